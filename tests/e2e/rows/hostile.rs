//! What stands retained is outside data: it ends neither the daemon nor the polls.

use serde_json::{Value, json};

use crate::parts::{
    scene::{SOON, hurry, is_on, wait_for_all},
    stage::Stage,
    tillbox::{delivered, holds, level},
    wait::until,
};

fn stage() -> Stage {
    let mut stage = Stage::new("broker");
    hurry(&mut stage.setup);
    stage.shop.sell(5);
    stage
}

fn checkpoint() -> Value {
    json!({
        "schema": "tillbox.checkpoint.v1", "stream": "0f".repeat(16), "generation": 3, "acknowledged": 12,
        "watermarks": { "front": "2026-01-01T00:00:00Z" }, "open_gaps": {},
    })
}

/// Polls go on, whatever the line does.
fn reads_on(stage: &Stage, daemon: &mut crate::parts::tillbox::Tillbox, why: &str) {
    let before = daemon.report().map_or(0, |report| level(&report, "durable"));
    stage.shop.sell(5);
    daemon.wait_for_within(SOON, why, |report| level(report, "durable") >= before.max(5) + 5);
    assert!(!daemon.log().contains("panicked"), "{why}:\n{}", daemon.log());
}

#[test]
fn row_05_a_watermark_before_all_time_ends_nothing() {
    for watermark in
        ["-262143-01-01T00:00:00Z", "+262142-12-31T23:59:59Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
    {
        let stage = stage();
        let mut body = checkpoint();
        body["watermarks"]["front"] = json!(watermark);
        stage.hq.publish("checkpoint", &body.to_string(), true);
        let mut daemon = stage.start();
        wait_for_all(&stage.hq, &stage.shop, &daemon);
        reads_on(&stage, &mut daemon, watermark);
        wait_for_all(&stage.hq, &stage.shop, &daemon);
        daemon.stop();
    }
}

/// A generation that cannot be followed by another one, and bodies that cannot be.
#[test]
fn row_05_a_generation_at_its_maximum_is_refused_and_reading_goes_on() {
    for (member, value) in [("generation", json!(u32::MAX)), ("generation", json!(u64::MAX)), ("generation", json!(0))]
    {
        let stage = stage();
        let mut body = checkpoint();
        body[member] = value.clone();
        stage.hq.publish("checkpoint", &body.to_string(), true);
        let mut daemon = stage.start();
        let why = format!("{member} {value}");
        reads_on(&stage, &mut daemon, &why);
        if value != json!(0) {
            daemon.wait_for_within(SOON, &why, |report| is_on(report, "fault"));
            assert_eq!(stage.hq.record().events.len(), 0, "{why}");
        }
        daemon.stop();
    }
}

#[test]
fn row_05_numbers_and_bodies_without_bounds_end_nothing() {
    let whole = checkpoint();
    let with = |member: &str, value: Value| {
        let mut body = whole.clone();
        body[member] = value;
        body.to_string()
    };
    let deep = "[".repeat(20_000);
    let bodies = [
        with("acknowledged", json!(u64::MAX)),
        with("acknowledged", json!(-1)),
        with("watermarks", json!({ "front": "yesterday" })),
        with("watermarks", json!(null)),
        with(
            "watermarks",
            Value::Object((0..2_000).map(|n| (format!("c{n}"), json!("2026-01-01T00:00:00Z"))).collect()),
        ),
        with("open_gaps", json!({ "front": [{ "from": "-262143-01-01T00:00:00Z", "to": 7, "reason": "none" }] })),
        deep,
    ];
    for body in bodies {
        let stage = stage();
        stage.hq.publish("checkpoint", &body, true);
        let mut daemon = stage.start();
        daemon.wait_for_within(SOON, "a session", |report| level(report, "durable") >= 5);
        reads_on(&stage, &mut daemon, &body[..body.len().min(200)]);
        daemon.stop();
    }
}

#[test]
fn row_05_a_word_of_hq_without_bounds_ends_nothing() {
    let mut stage = stage();
    stage.setup.acknowledge = "feed";
    let mut daemon = stage.start();
    wait_for_all(&stage.hq, &stage.shop, &daemon);
    let right = stage.hq.record().stored_through(3).expect("events arrived");
    let with = |member: &str, value: Value| {
        let mut body = right.clone();
        body[member] = value;
        body.to_string()
    };
    for body in [
        with("through", json!(u64::MAX)),
        with("generation", json!(u64::MAX)),
        with("restart", json!({ "token": "x".repeat(70_000), "from": "-262143-01-01T00:00:00Z" })),
        with("restart", json!({ "token": "", "from": "+262142-12-31T23:59:59Z" })),
        with("restart", json!(7)),
    ] {
        stage.hq.publish("stored", &body, true);
        reads_on(&stage, &mut daemon, &body[..body.len().min(200)]);
    }
    // What is right is believed all the same.
    stage.hq.feed();
    until(
        SOON,
        || daemon.report().filter(|report| delivered(report) == level(report, "durable")),
        || format!("not released\n{}", daemon.log()),
    );
    assert!(!daemon.report().is_some_and(|report| holds(&report, "link_failed")));
    daemon.stop();
}
