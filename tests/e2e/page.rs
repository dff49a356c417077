//! The page and `tillbox status` of a running box.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use serde_json::Value;

use crate::parts::{
    broker::free_address,
    stage::Stage,
    tillbox::level,
    wait::{PATIENCE, until},
};

/// What a path gives: the status and all that was sent.
fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: box\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some((answer.split(' ').nth(1)?.parse().ok()?, answer))
}

/// Waits until a path shows all parts.
fn shows(address: SocketAddr, path: &str, parts: &[&str]) -> (u16, String) {
    until(
        PATIENCE,
        || get(address, path).filter(|(_, text)| parts.iter().all(|part| text.contains(part))),
        || format!("{path} does not show {parts:?}: {:?}", get(address, path)),
    )
}

#[test]
fn the_page_follows_the_box_through_a_day() {
    let mut stage = Stage::new("broker");
    let address = free_address();
    stage.setup.hq = stage.setup.hq.clone() + &format!("\n[page]\nlisten = \"{address}\"\nlanguage = \"id\"\n");
    stage.shop.sell(20);
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);
    daemon.wait_for("green", |report| report["lights"]["sync"] == "steady_wink");

    let (status, text) = shows(
        address,
        "/?lang=en",
        &[
            "All sales are with the broker.",
            "20 sales in the last 24 hours, 20 of them with the broker",
            "nothing waits",
            "Warung Sabang",
            "Outlet jkt-014",
            "Point of sale front",
            "the broker has them",
        ],
    );
    assert_eq!(status, 200);
    stage.assert_no_secret(&text);
    shows(address, "/", &["Semua penjualan sudah diterima broker.", "<html lang=id>"]);
    assert_eq!(shows(address, "/healthz", &["ok\n"]).0, 200);
    let metrics =
        shows(address, "/metrics", &["tillbox_broker_connected 1\n", "tillbox_outbox_undelivered_events 0\n"]).1;
    assert!(metrics.contains("tillbox_pos_up{connection=\"front\",system=\"qasir\"} 1\n"), "{metrics}");
    stage.assert_no_secret(&metrics);

    let told = stage.setup.run("status");
    let told = (told.status.code(), String::from_utf8_lossy(&told.stdout).into_owned());
    assert_eq!(told.0, Some(0), "{}", told.1);
    for part in ["state    All sales are with the broker.", "pos      front (qasir): works", "outbox   nothing waits"] {
        assert!(told.1.contains(part), "{part}\n{}", told.1);
    }
    stage.assert_no_secret(&told.1);

    stage.broker.kill();
    stage.shop.sell(7);
    daemon.wait_for("kept", |report| {
        report["lights"]["hold"] == "steady" && level(report, "durable") >= level(report, "acknowledged") + 7
    });
    let (_, text) = shows(
        address,
        "/?lang=en",
        &[
            "Headquarters cannot be reached; sales are kept safe in the box.",
            "27 sales in the last 24 hours, 20 of them with the broker",
            "time until all is delivered: unknown",
            "No connection; tries again",
        ],
    );
    assert!(text.contains("Waiting for the broker<dd>"), "{text}");
    assert_eq!(shows(address, "/healthz", &["ok, but hq_unreachable\n"]).0, 200);
    shows(
        address,
        "/metrics",
        &["tillbox_broker_connected 0\n", "tillbox_condition{code=\"hq_unreachable\",connection=\"\"} 1\n"],
    );

    // What the box keeps is known after a restart, too.
    daemon.stop();
    let told = stage.setup.run("status");
    let said = String::from_utf8_lossy(&told.stderr).into_owned();
    assert_eq!((told.status.code(), said.lines().count()), (Some(69), 1), "{said}");
    assert!(said.contains("no tillbox runs on") && said.contains("systemctl start tillbox"), "{said}");
    let daemon = stage.start();
    shows(address, "/?lang=en", &["27 sales in the last 24 hours, 20 of them with the broker"]);
    stage.broker.start_again();
    daemon.wait_for("green again", |report| report["lights"]["sync"] == "steady_wink");
    shows(address, "/?lang=en", &["27 sales in the last 24 hours, 27 of them with the broker"]);
}

#[test]
fn status_as_json_is_what_the_daemon_says() {
    let stage = Stage::new("feed");
    stage.shop.sell(3);
    let daemon = stage.start();
    stage.wait_for_books(&daemon);
    daemon.wait_for("all is released", |report| {
        level(report, "released") == level(report, "durable") && level(report, "durable") >= 3
    });
    let overview = until(
        PATIENCE,
        || {
            let told = stage.setup.run_with("status", &["--json"]);
            let overview: Value = serde_json::from_slice(&told.stdout).ok()?;
            Some(overview).filter(|overview| overview["outbox"]["acknowledged"] == overview["outbox"]["released"])
        },
        || "no status in which all is released".to_owned(),
    );
    assert_eq!((overview["outlet"].as_str(), overview["hq"]["acknowledge"].as_str()), (Some("jkt-014"), Some("feed")));
    assert_eq!((overview["connections"][0]["name"].as_str(), overview["open_gaps"].as_u64()), (Some("front"), Some(0)));
    assert_eq!(overview["sales"]["hours"].as_array().map(Vec::len), Some(24));
}

#[test]
fn a_page_that_cannot_listen_is_told_once_and_the_sales_go_on() {
    let mut stage = Stage::new("broker");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address");
    stage.setup.hq = stage.setup.hq.clone() + &format!("\n[page]\nlisten = \"{address}\"\n");
    stage.shop.sell(3);
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);
    daemon.stop();
    let warnings = daemon.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("page: cannot listen there"), "{warnings:?}");
}
