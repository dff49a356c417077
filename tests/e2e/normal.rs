//! A day on which nothing fails.

use serde_json::Value;

use crate::parts::{
    stage::Stage,
    tillbox::level,
    wait::{PATIENCE, until},
};

#[test]
fn every_sale_arrives_exactly_as_it_was_and_a_healthy_run_logs_no_warning() {
    let stage = Stage::new("broker");
    stage.shop.sold_before(30);
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);

    let ids = stage.shop.sell(20);
    stage.wait_for_books(&daemon);
    stage.shop.edit(&ids[3], 77_000);
    stage.shop.refund("R-1", 5_000);
    stage.wait_for_books(&daemon);
    assert_eq!(stage.hq.record().states[&ids[3]].revision, 2);
    assert_eq!(stage.hq.record().states[&ids[4]].revision, 1);
    assert_eq!(stage.hq.record().states["R-1"].kind, "refund");

    let report = daemon.wait_for("all is at HQ", |report| {
        report["lights"] == serde_json::json!({"sync": "steady_wink", "hold": "off", "fault": "off"})
    });
    assert_eq!(level(&report, "durable"), level(&report, "acknowledged"));
    daemon.stop();
    assert_eq!(daemon.warnings(), Vec::<String>::new());

    let record = stage.hq.record();
    assert_eq!(record.repeats, 0, "nothing failed, so nothing was sent twice");
    assert_eq!(record.events_of("transaction").count(), 52);
    assert_eq!(stage.shop.http().mutations(), 0);
    drop(record);
    stage.assert_no_secret(&daemon.said());
}

#[test]
fn with_feed_events_are_released_by_hq_alone() {
    let stage = Stage::new("feed");
    stage.shop.sell(120);
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);
    daemon.wait_for("all is released", |report| {
        level(report, "released") == level(report, "durable") && level(report, "durable") >= 120
    });
    daemon.stop();
    assert_eq!(daemon.warnings(), Vec::<String>::new());
}

#[test]
fn the_status_is_born_lives_and_says_goodbye() {
    let stage = Stage::new("broker");
    stage.shop.sell(1);
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);
    daemon.wait_for("green", |report| report["lights"]["sync"] == "steady_wink");
    let birth = stage.hq.record().last("status").expect("a birth");
    assert_eq!((birth["state"].as_str(), birth["schema"].as_str()), (Some("running"), Some("tillbox.status.v1")));
    assert!(birth["session"].as_str().is_some_and(|session| session.len() == 32));
    daemon.stop();
    assert_eq!(retained_status(&stage)["state"], "stopped");

    // A box that goes without a word is told as lost by the broker, and only with the session that was lost.
    let mut daemon = stage.start();
    daemon.wait_for("connected", |report| report["lights"]["sync"] == "steady_wink");
    let session = retained_status(&stage)["session"].clone();
    daemon.kill();
    let lost = until(
        PATIENCE,
        || Some(retained_status(&stage)).filter(|status| status["state"] == "lost"),
        || format!("no last will: {}", retained_status(&stage)),
    );
    assert_eq!(lost["session"], session);
}

/// The status that a newcomer would see.
fn retained_status(stage: &Stage) -> Value {
    stage.hq.record().last("status").unwrap_or_default()
}
