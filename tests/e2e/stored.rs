//! HQ's word `stored` releases events only if it is HQ's word about these events.

use serde_json::{Value, json};

use crate::parts::{
    broker::KEEPING,
    shop::Shop,
    stage::Stage,
    tillbox::{Tillbox, holds, level},
    wait::{PATIENCE, until},
};

/// A box in feed mode whose events have all arrived, and an HQ that has said nothing yet.
fn silent_hq() -> (Stage, Tillbox) {
    let mut stage = Stage::with("broker", KEEPING, Shop::open());
    stage.setup.acknowledge = "feed";
    stage.shop.sell(40);
    let daemon = stage.start();
    stage.wait_for_books(&daemon);
    daemon.wait_for("all is acknowledged", |report| level(report, "acknowledged") >= 40);
    (stage, daemon)
}

fn right_word(stage: &Stage, through: u64) -> Value {
    stage.hq.record().stored_through(through).expect("events arrived")
}

fn with(mut word: Value, key: &str, value: Value) -> String {
    word[key] = value;
    word.to_string()
}

#[test]
fn without_a_word_nothing_is_released_not_even_by_a_restart() {
    let (stage, mut daemon) = silent_hq();
    daemon.stop();
    let daemon = stage.start();
    stage.shop.sell(5);
    let report = daemon.wait_for("more is acknowledged", |report| level(report, "acknowledged") >= 45);
    assert_eq!(level(&report, "released"), 0);
}

#[test]
fn a_word_that_is_not_right_removes_nothing_and_is_told() {
    let (stage, mut daemon) = silent_hq();
    let right = right_word(&stage, 10);
    let forgeries = [
        ("its chain", with(right.clone(), "chain", right_word(&stage, 9)["chain"].clone())),
        ("the last one is", with(right.clone(), "through", json!(4_000))),
        ("no JSON object", "<html>".to_owned()),
        ("no JSON object", with(right.clone(), "through", json!(-1))),
        ("no stream's id", with(right.clone(), "stream", json!("front"))),
    ];
    for (retain, (why, body)) in [true, false].into_iter().flat_map(|retain| forgeries.iter().map(move |f| (retain, f)))
    {
        stage.hq.publish("stored", body, retain);
        let text = |report: &Value| {
            let held = report["conditions"].as_array().into_iter().flatten();
            held.filter(|held| held["code"] == "stored_rejected")
                .any(|held| held["text"].as_str().is_some_and(|t| t.contains(why)))
        };
        let report = daemon.wait_for(&format!("`{body}` is rejected"), text);
        assert_eq!((level(&report, "released"), report["lights"]["fault"].as_str()), (0, Some("steady")));
    }

    // A right one is believed all the same, and the fault is over.
    stage.hq.publish("stored", &right.to_string(), true);
    let report = daemon.wait_for("the right word", |report| level(report, "released") == 10);
    daemon.wait_for("the fault is over", |report| !holds(report, "stored_rejected"));
    assert!(level(&report, "acknowledged") >= 40);

    // Stale words and those of other streams change nothing.
    stage.hq.publish("stored", &right_word(&stage, 5).to_string(), true);
    stage.hq.publish("stored", &with(right, "stream", json!("0".repeat(32))), false);
    stage.hq.publish("stored", &right_word(&stage, 20).to_string(), true);
    daemon.wait_for("the next right word", |report| level(report, "released") == 20);
    daemon.stop();
}

#[test]
fn a_word_that_is_no_json_is_told_also_when_it_was_there_before_the_box() {
    let stage = Stage::new("broker");
    let mut setup = stage.setup.clone();
    setup.acknowledge = "feed";
    stage.hq.publish("stored", "garbage", true);
    stage.shop.sell(3);
    let daemon = setup.start();
    daemon.wait_for("rejected", |report| holds(report, "stored_rejected"));
    stage.wait_for_books(&daemon);
}

#[test]
fn a_word_that_comes_before_the_acknowledgement_waits_for_it() {
    // HQ's feed is told of an event by the broker before the box is told that the broker has it.
    let (stage, daemon) = silent_hq();
    stage.hq.feed();
    stage.shop.sell(200);
    daemon.wait_for("all is released", |report| {
        level(report, "durable") >= 240 && level(report, "released") == level(report, "durable")
    });
    assert!(!daemon.reported("stored_rejected"), "{}", daemon.log());
}

#[test]
fn what_hq_does_not_say_to_be_stored_is_asked_with_a_few_events() {
    let (stage, daemon) = silent_hq();
    stage.hq.publish("stored", &right_word(&stage, 10).to_string(), true);
    until(
        PATIENCE,
        || (stage.hq.record().repeats >= 8).then_some(()),
        || format!("{} repeats\n{}", stage.hq.record().repeats, daemon.log()),
    );
    // HQ has these, too: it listens, and all that it lacks goes out again.
    stage.hq.publish("stored", &right_word(&stage, 18).to_string(), true);
    until(
        PATIENCE,
        || (stage.hq.record().repeats >= 20).then_some(()),
        || format!("{} repeats\n{}", stage.hq.record().repeats, daemon.log()),
    );
    stage.wait_for_books(&daemon);
}
