//! Generations do not hang on what a broker remembers.

use std::fs;

use chrono::{TimeDelta, Utc};
use tempfile::TempDir;
use tillbox::clock::Clock;

use crate::parts::{
    broker::{FORGETTING, KEEPING, Mosquitto},
    commanded::{Commanded, Rules, Unreadable},
    hq::{Access, Hq},
    scene::{SOON, Scene, add_broker, hurry, is_on, wait_for_all, wait_for_condition},
    shop::Shop,
    stage::Stage,
    tillbox::{Setup, Tillbox, delivered, holds, level},
    wait::until,
};

fn wait_until_delivered(daemon: &Tillbox, at_least: u64) -> u64 {
    let report = daemon.wait_for_within(SOON, "all is delivered", |report| {
        level(report, "durable") >= at_least && delivered(report) == level(report, "durable")
    });
    report["generation"].as_u64().expect("a generation")
}

/// The box is lost, a sale is corrected, a new box comes: the new one's states win.
fn the_new_box_wins(stage: &Stage, old: u64, corrected: &str) {
    fs::remove_dir_all(&stage.setup.store).expect("the store can be wiped");
    stage.shop.edit(corrected, 99_000);
    let mut daemon = stage.start();
    wait_for_all(&stage.hq, &stage.shop, &daemon);
    let new = wait_until_delivered(&daemon, 20);
    assert!(new > old, "generation {new} after {old}");
    assert_eq!(stage.hq.record().states[corrected].amount, "99000");
    daemon.stop();
}

#[test]
fn row_07_a_checkpoint_that_was_cleared_brings_no_generation_twice() {
    let mut stage = Stage::new("broker");
    hurry(&mut stage.setup);
    let ids = stage.shop.sell(20);
    let mut daemon = stage.start();
    wait_for_all(&stage.hq, &stage.shop, &daemon);
    let old = wait_until_delivered(&daemon, 20);
    daemon.stop();
    stage.hq.publish("checkpoint", "", true);
    the_new_box_wins(&stage, old, &ids[3]);
}

#[test]
fn row_15_a_broker_without_memory_and_a_new_box_bring_no_generation_twice() {
    let mut stage = Stage::with("broker", FORGETTING, Shop::open());
    hurry(&mut stage.setup);
    let ids = stage.shop.sell(20);
    let mut daemon = stage.start();
    wait_for_all(&stage.hq, &stage.shop, &daemon);
    let old = wait_until_delivered(&daemon, 20);
    daemon.stop();
    stage.broker.stop();
    stage.broker.start_again();
    stage.hq.wait_again();
    the_new_box_wins(&stage, old, &ids[3]);
}

// RabbitMQ keeps retained messages per node.
#[test]
fn row_07_a_failover_broker_without_the_checkpoint_brings_no_generation_twice() {
    let mut first = Scene::new("broker", Rules::default());
    let second = Scene::new("broker", Rules::default());
    add_broker(&mut first.setup, second.broker.address());
    let ids = first.shop.sell(20);
    let mut daemon = first.start();
    first.wait_for_all(&daemon);
    let old = wait_until_delivered(&daemon, 20);
    daemon.stop();
    fs::remove_dir_all(&first.setup.store).expect("the store can be wiped");
    first.broker.down();
    first.shop.edit(&ids[3], 99_000);
    let mut daemon = first.start();
    wait_for_all(&second.hq, &first.shop, &daemon);
    let new = wait_until_delivered(&daemon, 20);
    assert!(new > old, "generation {new} after {old}");
    daemon.stop();
}

/// With HQ's old word retained, the new box is above it, and is released.
#[test]
fn row_07_an_old_word_of_hq_does_not_hold_the_new_box_up() {
    let mut stage = Stage::new("feed");
    hurry(&mut stage.setup);
    stage.shop.sell(20);
    let mut daemon = stage.start();
    wait_for_all(&stage.hq, &stage.shop, &daemon);
    let old = wait_until_delivered(&daemon, 20);
    daemon.stop();
    fs::remove_dir_all(&stage.setup.store).expect("the store can be wiped");
    stage.hq.publish("checkpoint", "", true);
    let mut daemon = stage.start();
    let new = wait_until_delivered(&daemon, 20);
    assert!(new > old, "generation {new} after {old}");
    assert!(!daemon.reported("stored_rejected"), "{}", daemon.log());
    daemon.stop();
}

/// A first event waits ten minutes for something that confirms the clock; what confirms it later corrects the generation.
#[test]
fn row_07_a_generation_waits_for_a_clock_and_is_corrected_by_a_later_one() {
    let shown = Clock::standing_at(Utc::now() - TimeDelta::hours(1));
    let mut stage = Stage::with("broker", KEEPING, Shop::open_at(shown.clone()));
    hurry(&mut stage.setup);
    stage.setup.environment.push(("TILLBOX_TEST_CLOCK_UNKEPT".to_owned(), "1".to_owned()));
    stage.shop.sell(20);
    let mut daemon = stage.start();
    let report = wait_for_condition(&daemon, "clock_unproven");
    assert_eq!((level(&report, "acknowledged"), stage.hq.record().events.len()), (0, 0), "{}", daemon.log());
    wait_for_all(&stage.hq, &stage.shop, &daemon);
    assert_eq!(wait_until_delivered(&daemon, 20), 1, "nothing confirms the clock, and nobody names a generation");
    let now = Utc::now();
    shown.set(now);
    stage.shop.sell(5);
    let by_clock = |report: &serde_json::Value| {
        report["generation"].as_u64().and_then(|it| i64::try_from(it).ok()).is_some_and(|it| it >= now.timestamp())
    };
    daemon.wait_for_within(SOON, "a generation by the clock", by_clock);
    wait_for_all(&stage.hq, &stage.shop, &daemon);
    daemon.stop();
}

/// Whoever heard of a higher generation at any time begins above it.
#[test]
fn row_07_a_word_about_a_higher_generation_begins_a_new_stream() {
    let mut stage = Stage::new("broker");
    stage.setup.acknowledge = "feed";
    hurry(&mut stage.setup);
    stage.shop.sell(5);
    let mut daemon = stage.start();
    wait_for_all(&stage.hq, &stage.shop, &daemon);
    let report = daemon.wait_for_within(SOON, "a generation", |report| report["generation"].is_u64());
    let first = report["generation"].as_u64().expect("a generation");
    let higher = first + 1_000;
    let word = serde_json::json!({
        "stream": "0f".repeat(16), "generation": higher, "through": 5, "chain": "0f".repeat(32),
    });
    stage.hq.publish("stored", &word.to_string(), true);
    daemon.wait_for_within(SOON, "above it", |report| report["generation"].as_u64() > Some(higher));
    wait_for_all(&stage.hq, &stage.shop, &daemon);
    daemon.stop();
}

fn a_checkpoint_that_cannot_be_found_lets_nothing_leave(setup: &Setup, shop: &Shop, arrived: impl Fn() -> usize) {
    shop.sell(20);
    let daemon = setup.start();
    let report = daemon.wait_for_within(SOON, "red", |report| {
        let told = ["broker_unfit", "publish_denied"].iter().any(|code| holds(report, code));
        level(report, "durable") >= 20 && told && is_on(report, "fault")
    });
    assert_eq!((level(&report, "acknowledged"), arrived()), (0, 0), "{}", daemon.log());
    daemon.wait_for_line("tillbox/jkt-014/checkpoint");
}

#[test]
fn row_07_a_checkpoint_that_mosquitto_s_rules_hide_lets_nothing_leave() {
    let folder = TempDir::new().expect("a temporary folder");
    let rules = folder.path().join("acl");
    let text = "topic readwrite #\nuser box\ntopic readwrite tillbox/+/events/#\ntopic write tillbox/+/checkpoint\n\
                topic readwrite tillbox/+/status\ntopic read tillbox/+/stored\n";
    fs::write(&rules, text).expect("the rules");
    let users = folder.path().join("users");
    crate::refused::add_user(&users, "-c", "box", "secret");
    let more = format!("{KEEPING}acl_file {}\npassword_file {}\n", rules.display(), users.display());
    let broker = Mosquitto::start(folder.path(), &more);
    let (hq, shop) = (Hq::listen(Access::open(broker.address())), Shop::open());
    let mut setup = Setup::new(folder.path(), &shop.base_url(), broker.address(), "broker");
    hurry(&mut setup);
    setup.hq.push_str("username = \"box\"\npassword = \"secret\"\n");
    a_checkpoint_that_cannot_be_found_lets_nothing_leave(&setup, &shop, || hq.record().events.len());
}

#[test]
fn row_07_a_check_finds_that_the_checkpoint_cannot_be_subscribed_to() {
    let hidden = vec![("tillbox/+/checkpoint".to_owned(), Unreadable::Code(0x87))];
    let scene = Scene::new("broker", Rules { unreadable: hidden, ..Rules::default() });
    let (code, text) = super::checked(&scene.setup);
    assert_eq!(code, Some(78), "{text}");
    assert!(super::found_at_hq(&text).iter().any(|line| line.contains("tillbox/jkt-014/checkpoint")), "{text}");
}

#[test]
fn row_07_a_checkpoint_that_a_broker_hides_lets_nothing_leave() {
    for how in [Unreadable::Silence, Unreadable::Code(0x87)] {
        let hidden = vec![("tillbox/+/checkpoint".to_owned(), how)];
        let broker = Commanded::start(Rules { unreadable: hidden, ..Rules::default() });
        let scene = Scene::with("broker", broker);
        let arrived = || scene.hq.record().events.len();
        a_checkpoint_that_cannot_be_found_lets_nothing_leave(&scene.setup, &scene.shop, arrived);
    }
}

/// It is told before the first event, and found again by a subscription of its own.
#[test]
fn row_07_the_checkpoint_is_found_before_the_first_event_leaves() {
    let scene = Scene::new("broker", Rules::default());
    scene.shop.sell(5);
    let mut daemon = scene.start();
    scene.wait_for_all(&daemon);
    scene.broker.seen(|seen| {
        let first = seen.events().next().expect("an event").at;
        let told = seen.on("/checkpoint").next().expect("a checkpoint");
        assert!(told.at < first, "the checkpoint came after the first event");
        let body = told.json();
        assert_eq!(body["acknowledged"].as_u64(), Some(0));
        assert_eq!(body["stream"], seen.events().next().expect("an event").json()["stream"]);
        let asked = seen.subscribed.iter().filter(|(_, filter, on)| *on && filter.ends_with("/checkpoint")).count();
        assert!(asked >= 2, "it was not looked for again: {:?}", seen.subscribed);
    });
    daemon.stop();
}

/// Until the new box's own watermarks are safe, the checkpoint carries those of its predecessor.
#[test]
fn row_07_the_predecessor_s_watermarks_stay_until_one_s_own_are_safe() {
    let scene = Scene::new("broker", Rules { cut_events: u64::MAX, ..Rules::default() });
    let body = serde_json::json!({
        "schema": "tillbox.checkpoint.v1", "stream": "0f".repeat(16), "generation": 3, "acknowledged": 12,
        "watermarks": { "front": "2026-11-20T00:00:00Z" }, "open_gaps": {},
    });
    scene.broker.publish("tillbox/jkt-014/checkpoint", &body.to_string(), true);
    scene.shop.sell(5);
    let daemon = scene.start();
    let kept = || -> Option<serde_json::Value> {
        serde_json::from_str(&scene.broker.retained("tillbox/jkt-014/checkpoint")?).ok()
    };
    let own = until(
        SOON,
        || kept().filter(|kept| kept["generation"].as_u64() > Some(3)),
        || format!("no checkpoint of its own: {:?}\n{}", kept(), daemon.log()),
    );
    assert_eq!(own["watermarks"]["front"], "2026-11-20T00:00:00Z", "{own}");
}
