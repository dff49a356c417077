//! In `broker` mode nothing claims that a sale is at headquarters: a broker may drop what it acknowledged.

use super::{PROTOCOLS, speak, speaking};
use crate::{
    page::shows,
    parts::{
        broker::free_address,
        commanded::Rules,
        scene::{SOON, Scene, is_green},
        tillbox::delivered,
    },
};

/// Sentences by which a box would claim it.
const CLAIMS: [&str; 7] =
    ["at headquarters", "at HQ", "at=\"hq\"", "headquarters has", "confirmed", "di kantor pusat", "mengonfirmasi"];

#[test]
fn row_18_what_the_broker_has_is_said_to_be_with_the_broker() {
    for protocol in PROTOCOLS {
        let mut scene = Scene::new("broker", speaking(protocol, Rules { lose_events: true, ..Rules::default() }));
        speak(&mut scene.setup, protocol);
        let address = free_address();
        scene.setup.hq.extend(["\n[page]\nlisten = \"", &address.to_string(), "\"\n"]);
        scene.shop.sell(20);
        let mut daemon = scene.start();
        daemon.wait_for_within(SOON, "green", |report| is_green(report) && delivered(report) >= 20);
        let told = String::from_utf8_lossy(&scene.setup.run("status").stdout).into_owned();
        let english = shows(address, "/?lang=en", &["Warung Sabang"]).1;
        let indonesian = shows(address, "/?lang=id", &["Warung Sabang"]).1;
        let metrics = shows(address, "/metrics", &["tillbox_"]).1;
        let sent = scene.broker.seen(|seen| seen.on("/status").map(|one| one.body.clone()).collect::<String>());
        for text in [&told, &english, &indonesian, &metrics, &sent, &daemon.said()] {
            let claims: Vec<_> = CLAIMS.iter().filter(|claim| text.contains(**claim)).collect();
            assert!(claims.is_empty(), "version {protocol}: {claims:?} in:\n{text}");
        }
        assert!(told.contains("with the broker") && english.contains("with the broker"), "{told}\n{english}");
        daemon.stop();
    }
}

/// In `feed` mode it is headquarters' own word.
#[test]
fn row_18_what_hq_confirmed_is_said_to_be_at_headquarters() {
    let scene = Scene::new("feed", Rules::default());
    scene.shop.sell(20);
    let mut daemon = scene.start();
    daemon.wait_for_within(SOON, "green", |report| is_green(report) && delivered(report) >= 20);
    let told = String::from_utf8_lossy(&scene.setup.run("status").stdout).into_owned();
    assert!(told.contains("at headquarters"), "{told}");
    daemon.stop();
}

/// `hq.echo = "none"` takes a bare word, and status and page name it.
#[test]
fn an_unproven_echo_is_named() {
    let mut scene = Scene::new("broker", Rules::of_3_1_1());
    let address = free_address();
    scene.setup.hq.extend(["echo = \"none\"\n\n[page]\nlisten = \"", &address.to_string(), "\"\n"]);
    scene.shop.sell(5);
    let mut daemon = scene.start();
    scene.wait_for_all(&daemon);
    let told = String::from_utf8_lossy(&scene.setup.run("status").stdout).into_owned();
    let page = shows(address, "/?lang=en", &["Warung Sabang"]).1;
    assert!(told.contains("unproven") || told.contains("not proven"), "{told}");
    assert!(page.contains("bare word counts"), "{page}");
    daemon.stop();
}
