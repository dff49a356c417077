//! HQ lost its memory, and says the word by which the box starts again.

use serde_json::{Value, json};
use tillbox::{event::StreamId, outbox::chain_begin};

use crate::parts::{
    commanded::Rules,
    record::Record,
    scene::{SOON, Scene, is_green, take_time},
    tillbox::{Tillbox, delivered, level},
    wait::until,
};

const TOPIC: &str = "tillbox/jkt-014/stored";

/// What a feed with an empty database says: nothing is stored of the stream that the checkpoint names.
fn word(scene: &Scene, token: &str) -> Value {
    word_from(scene, token, chrono::TimeDelta::hours(12))
}

/// The points of sale are to be read again from so long ago.
fn word_from(scene: &Scene, token: &str, ago: chrono::TimeDelta) -> Value {
    let checkpoint = scene.broker.retained("tillbox/jkt-014/checkpoint").expect("a checkpoint");
    let checkpoint: Value = serde_json::from_str(&checkpoint).expect("JSON");
    let stream = checkpoint["stream"].as_str().expect("a stream");
    let chain = chain_begin(StreamId::parse(stream).expect("an id"));
    json!({
        "stream": stream, "generation": checkpoint["generation"], "through": 0, "chain": chain,
        "restart": { "token": token, "from": chrono::Utc::now() - ago },
    })
}

fn stream(daemon: &Tillbox) -> (u64, u64) {
    let report = daemon.report().expect("a report");
    (report["generation"].as_u64().expect("a generation"), level(&report, "durable"))
}

fn wait_for_generation_above(daemon: &Tillbox, before: u64) -> u64 {
    let above = |report: &Value| report["generation"].as_u64().filter(|generation| *generation > before);
    let report = daemon.wait_for_within(SOON, "a new stream", |report| above(report).is_some());
    above(&report).expect("just seen")
}

fn released() -> (Scene, Tillbox) {
    let scene = Scene::new("feed", Rules::default());
    scene.shop.sell(40);
    let daemon = scene.start();
    daemon.wait_for_within(SOON, "all is released", |report| {
        level(report, "durable") >= 40 && delivered(report) == level(report, "durable")
    });
    (scene, daemon)
}

#[test]
fn row_12_a_box_that_hears_the_word_sends_again_what_it_can() {
    let (scene, mut daemon) = released();
    let before = stream(&daemon);
    // HQ's database is empty; its feed says the word until a checkpoint names the token.
    *scene.hq.record() = Record::default();
    let body = word(&scene, "token-1").to_string();
    let named = || {
        scene.broker.publish(TOPIC, &body, true);
        scene.broker.retained("tillbox/jkt-014/checkpoint").is_some_and(|told| told.contains("token-1"))
    };
    until(SOON, || named().then_some(()), || format!("no checkpoint names the token\n{}", daemon.log()));
    scene.wait_for_all(&daemon);
    let after = wait_for_generation_above(&daemon, before.0);
    // Once for each token: the word that still stands starts nothing.
    scene.shop.sell(5);
    scene.wait_for_all(&daemon);
    daemon.stop();
    scene.broker.publish(TOPIC, &body, true);
    let mut daemon = scene.start();
    scene.shop.sell(5);
    scene.wait_for_all(&daemon);
    scene.broker.publish(TOPIC, &body, true);
    scene.shop.sell(5);
    scene.wait_for_all(&daemon);
    // The first reports come before the store is open.
    daemon.wait_for_within(SOON, "all is released", |report| {
        report["generation"].is_u64() && delivered(report) == level(report, "durable")
    });
    assert_eq!(stream(&daemon).0, after, "{}", daemon.log());
    daemon.stop();
}

#[test]
fn row_12_the_word_is_heard_by_a_box_that_was_away() {
    let (scene, mut daemon) = released();
    let before = stream(&daemon);
    daemon.stop();
    *scene.hq.record() = Record::default();
    scene.broker.publish(TOPIC, &word(&scene, "token-2").to_string(), true);
    let mut daemon = scene.start();
    scene.wait_for_all(&daemon);
    wait_for_generation_above(&daemon, before.0);
    daemon.stop();
}

/// At most once an hour, however many tokens there are.
#[test]
fn row_12_tokens_do_not_chase_the_box() {
    let (scene, mut daemon) = released();
    let before = stream(&daemon);
    *scene.hq.record() = Record::default();
    for token in 0..20 {
        scene.broker.publish(TOPIC, &word(&scene, &format!("token-{token}")).to_string(), true);
    }
    wait_for_generation_above(&daemon, before.0);
    // Each of these is heard by itself.
    for token in 20..25 {
        scene.wait_for_all(&daemon);
        scene.broker.publish(TOPIC, &word(&scene, &format!("token-{token}")).to_string(), true);
        scene.shop.sell(1);
    }
    scene.wait_for_all(&daemon);
    let streams = scene.hq.record().streams.len();
    assert!(streams <= 2, "{streams} streams\n{}", daemon.log());
    daemon.stop();
}

/// The hour is the same for a box that was started since.
#[test]
fn row_12_a_start_of_the_box_does_not_shorten_the_hour() {
    let (mut scene, mut daemon) = released();
    let before = stream(&daemon);
    scene.broker.publish(TOPIC, &word(&scene, "token-1").to_string(), true);
    let after = wait_for_generation_above(&daemon, before.0);
    scene.wait_for_all(&daemon);
    daemon.stop();
    take_time(&mut scene.setup);
    let mut daemon = scene.start();
    scene.shop.sell(5);
    scene.wait_for_all(&daemon);
    scene.broker.publish(TOPIC, &word(&scene, "token-2").to_string(), true);
    scene.shop.sell(5);
    scene.wait_for_all(&daemon);
    daemon.wait_for_within(SOON, "all is released", |report| {
        report["generation"].is_u64() && delivered(report) == level(report, "durable")
    });
    assert_eq!(stream(&daemon).0, after, "{}", daemon.log());
    daemon.stop();
}

/// A box that reads so much of the past from its point of sale, at which ten sales lie two days apart.
fn with_a_past(backfill: &str) -> (Scene, Tillbox) {
    let mut scene = Scene::new("feed", Rules::default());
    scene.setup.pos = scene.setup.pos.replace("\"1d\"", &format!("\"{backfill}\""));
    scene.shop.sold_every_other_day(10);
    let daemon = scene.start();
    daemon.wait_for_within(SOON, "all is released", |report| {
        level(report, "durable") > 0 && delivered(report) == level(report, "durable") && is_green(report)
    });
    (scene, daemon)
}

/// What the point of sale is not asked for again the box itself still keeps.
#[test]
fn row_12_what_the_box_keeps_goes_out_though_it_is_not_read_again() {
    let (mut scene, mut daemon) = with_a_past("30d");
    scene.wait_for_all(&daemon);
    daemon.stop();
    // From now on a new stream's reading begins a day ago.
    scene.setup.pos = scene.setup.pos.replace("\"30d\"", "\"1d\"");
    let mut daemon = scene.start();
    scene.shop.sell(1);
    scene.wait_for_all(&daemon);
    *scene.hq.record() = Record::default();
    let body = word_from(&scene, "token-3", chrono::TimeDelta::zero()).to_string();
    scene.broker.publish(TOPIC, &body, true);
    scene.wait_for_all(&daemon);
    daemon.stop();
}

/// What the box never had is read from the time that HQ names.
#[test]
fn row_12_the_point_of_sale_is_read_again_from_the_time_that_is_named() {
    let (scene, mut daemon) = with_a_past("1d");
    let read = scene.hq.record().events_of("transaction").count();
    assert!(read < 5, "{read} of ten sales were read before");
    let body = word_from(&scene, "token-4", chrono::TimeDelta::days(21)).to_string();
    scene.broker.publish(TOPIC, &body, true);
    scene.wait_for_all(&daemon);
    daemon.stop();
}
