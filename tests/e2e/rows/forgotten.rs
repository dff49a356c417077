//! A broker that lost what it had: retained messages, and perhaps sales that it had acknowledged.

use std::{
    fs,
    time::{Duration, Instant},
};

use super::{PROTOCOLS, speaking};
use crate::parts::{
    commanded::Rules,
    scene::{PACE, SOON, Scene, wait_until_told},
    tillbox::{delivered, holds, level},
    wait::until,
};

fn deliver(scene: &Scene, daemon: &crate::parts::tillbox::Tillbox, at_least: u64) {
    daemon.wait_for_within(SOON, "all is delivered", |report| {
        level(report, "durable") >= at_least && delivered(report) == level(report, "durable")
    });
    let kept = || scene.broker.retained("tillbox/jkt-014/checkpoint").is_some_and(|told| told.contains("acknowledged"));
    until(SOON, || kept().then_some(()), || "no checkpoint".to_owned());
}

/// The broker acknowledged sales, lost them with all else, and came back.
#[test]
fn row_16_what_a_broker_lost_with_its_memory_goes_out_again() {
    for protocol in PROTOCOLS {
        let mut scene = Scene::new("broker", speaking(protocol, Rules { lose_events: true, ..Rules::default() }));
        scene.shop.sell(40);
        let mut daemon = scene.start();
        deliver(&scene, &daemon, 40);
        assert!(scene.hq.record().events.is_empty());
        scene.broker.behave();
        scene.broker.restart(true);
        scene.hq.wait_again();
        wait_until_told(&daemon, "broker_forgot");
        // Live sales go first; what was kept goes out behind them, with its numbers.
        scene.shop.sell(5);
        scene.wait_for_all(&daemon);
        assert_eq!(scene.hq.record().streams.len(), 1, "{}", daemon.log());
        // HQ is told in the stream.
        until(
            SOON,
            || {
                let record = scene.hq.record();
                record.events_of("notice").any(|event| event["data"]["code"] == "broker_forgot").then_some(())
            },
            || format!("HQ is not told\n{}", daemon.log()),
        );
        daemon.stop();
    }
}

#[test]
fn row_16_it_is_noticed_after_a_restart_of_the_box_as_well() {
    let mut scene = Scene::new("broker", Rules { lose_events: true, ..Rules::default() });
    scene.shop.sell(40);
    let mut daemon = scene.start();
    deliver(&scene, &daemon, 40);
    daemon.stop();
    scene.broker.behave();
    scene.broker.restart(true);
    scene.hq.wait_again();
    let mut daemon = scene.start();
    wait_until_told(&daemon, "broker_forgot");
    scene.wait_for_all(&daemon);
    daemon.stop();
}

/// The retained checkpoint that is found is older than the one that was told: what lies above it goes out again.
#[test]
fn row_16_an_older_checkpoint_is_a_loss_from_its_number_on() {
    let mut scene = Scene::new("broker", Rules::default());
    scene.shop.sell(20);
    let mut daemon = scene.start();
    deliver(&scene, &daemon, 20);
    daemon.stop();
    let topic = "tillbox/jkt-014/checkpoint";
    let older = scene.broker.retained(topic).expect("a checkpoint");
    scene.broker.command(|rules| rules.lose_events = true);
    scene.shop.sell(20);
    let mut daemon = scene.start();
    deliver(&scene, &daemon, 40);
    daemon.stop();
    scene.broker.restart(true);
    scene.broker.publish(topic, &older, true);
    scene.broker.behave();
    scene.hq.wait_again();
    let before = scene.broker.seen(|seen| seen.events);
    let mut daemon = scene.start();
    wait_until_told(&daemon, "broker_forgot");
    scene.wait_for_all(&daemon);
    let again = scene.broker.seen(|seen| seen.events) - before;
    assert!(again < 35, "{again} events went out again, of which 20 were behind the checkpoint");
    assert_eq!(scene.hq.record().streams.len(), 1, "{}", daemon.log());
    daemon.stop();
}

/// At full length: what has lasted a minute is told to HQ, and this was told at once.
#[test]
fn row_16_hq_is_told_once_of_a_broker_that_forgot() {
    let mut scene = Scene::new("broker", Rules::default());
    crate::parts::scene::take_time(&mut scene.setup);
    scene.shop.sell(20);
    let mut daemon = scene.start();
    deliver(&scene, &daemon, 20);
    scene.broker.restart(true);
    scene.hq.wait_again();
    wait_until_told(&daemon, "broker_forgot");
    let begun = std::time::Instant::now();
    let lasted = || (begun.elapsed() > std::time::Duration::from_secs(68)).then_some(());
    until(2 * SOON, lasted, String::new);
    let report = daemon.report().expect("a report");
    assert!(holds(&report, "broker_forgot"), "{report:#}");
    let record = scene.hq.record();
    let notices = record.events_of("notice").filter(|event| event["data"]["code"] == "broker_forgot").count();
    assert_eq!(notices, 1, "{}", daemon.log());
    drop(record);
    daemon.stop();
}

/// Once a day and address.
#[test]
fn row_16_a_broker_that_forgets_all_the_time_gets_the_kept_sales_once() {
    let mut scene = Scene::new("broker", Rules::default());
    scene.shop.sell(40);
    let mut daemon = scene.start();
    deliver(&scene, &daemon, 40);
    for restarts in 1..=4 {
        scene.broker.restart(true);
        scene.hq.wait_again();
        scene.shop.sell(1);
        deliver(&scene, &daemon, 40 + restarts);
        scene.wait_for_all(&daemon);
    }
    wait_until_told(&daemon, "broker_forgot");
    let events = |scene: &Scene| scene.broker.seen(|seen| seen.events);
    let resent = || (events(&scene) >= 80).then_some(());
    until(SOON, resent, || format!("{} publishes\n{}", events(&scene), daemon.log()));
    scene.broker.restart(true);
    scene.hq.wait_again();
    scene.shop.sell(1);
    scene.wait_for_all(&daemon);
    // Twice as long as it takes from the discovery to the sending.
    let begun = Instant::now();
    until(SOON, || (begun.elapsed() > Duration::from_secs(120) / PACE).then_some(()), String::new);
    let events = events(&scene);
    assert!((80..=115).contains(&events), "{events} publishes of 45 sales");
    daemon.stop();
}

/// A broker that keeps what it had is no loss.
#[test]
fn row_16_a_broker_that_remembers_gets_nothing_twice() {
    let mut scene = Scene::new("broker", Rules::default());
    scene.shop.sell(40);
    let mut daemon = scene.start();
    deliver(&scene, &daemon, 40);
    scene.broker.restart(false);
    scene.hq.wait_again();
    scene.shop.sell(5);
    deliver(&scene, &daemon, 45);
    scene.wait_for_all(&daemon);
    daemon.stop();
    assert!(!daemon.reported("broker_forgot"), "{}", daemon.log());
    assert_eq!(scene.hq.record().repeats, 0);
}

/// The broker forgot, the box was replaced meanwhile, and a sale was corrected: HQ holds the correction.
#[test]
fn row_15_the_correction_wins_when_broker_and_box_are_both_new() {
    for protocol in PROTOCOLS {
        let mut scene = Scene::new("broker", speaking(protocol, Rules::default()));
        let ids = scene.shop.sell(20);
        let mut daemon = scene.start();
        deliver(&scene, &daemon, 20);
        let old = daemon.report().expect("a report")["generation"].as_u64();
        daemon.stop();
        scene.broker.restart(true);
        scene.hq.wait_again();
        fs::remove_dir_all(&scene.setup.store).expect("the store can be wiped");
        scene.shop.edit(&ids[3], 99_000);
        let mut daemon = scene.start();
        deliver(&scene, &daemon, 20);
        scene.wait_for_all(&daemon);
        assert!(daemon.report().expect("a report")["generation"].as_u64() > old);
        assert_eq!(scene.hq.record().states[&ids[3]].amount, "99000");
        daemon.stop();
    }
}

/// What the feed releases while its resending runs is not read any more.
#[test]
fn row_17_a_word_that_comes_while_events_go_out_again_damages_nothing() {
    let rules = Rules { acknowledge_after: Duration::from_millis(3), ..Rules::default() };
    let mut scene = Scene::new("broker", rules);
    scene.setup.acknowledge = "feed";
    scene.setup.hq.push_str("window = 4\n");
    scene.shop.sold_before(2_000);
    let mut daemon = scene.start();
    daemon.wait_for_within(4 * SOON, "all is with the broker", |report| level(report, "acknowledged") >= 2_000);
    let mut said = 0;
    until(
        4 * SOON,
        || {
            // The word runs beside what goes out again, now before and now behind it.
            if scene.hq.record().repeats > 0 {
                said = (said + 37).min(2_000);
                let word = scene.hq.record().stored_through(said)?.to_string();
                scene.broker.publish("tillbox/jkt-014/stored", &word, true);
            }
            (said == 2_000).then_some(())
        },
        || format!("nothing went out again\n{}", daemon.log()),
    );
    daemon.wait_for_within(SOON, "all is released", |report| delivered(report) >= 2_000);
    let report = daemon.report().expect("a report");
    assert!(!holds(&report, "store_failed") && !daemon.reported("store_failed"), "{}", daemon.log());
    assert!(!daemon.log().contains("is missing"), "{}", daemon.log());
    daemon.stop();
}

/// HQ's word is there, the checkpoint is not: nothing was lost here.
#[test]
fn row_16_a_broker_that_forgot_is_no_lost_tail() {
    let mut scene = Scene::new("feed", Rules::default());
    scene.shop.sell(20);
    let mut daemon = scene.start();
    daemon.wait_for_within(SOON, "all is at HQ", |report| delivered(report) >= 20);
    let before = daemon.report().expect("a report")["generation"].as_u64();
    let word = scene.hq.record().stored_through(20).expect("a word").to_string();
    scene.broker.down();
    scene.broker.publish("tillbox/jkt-014/checkpoint", "", true);
    scene.broker.publish("tillbox/jkt-014/stored", &word, true);
    scene.broker.up(false);
    scene.hq.wait_again();
    wait_until_told(&daemon, "broker_forgot");
    scene.shop.sell(5);
    scene.wait_for_all(&daemon);
    assert!(!daemon.log().contains("no longer has"), "{}", daemon.log());
    assert_eq!(daemon.report().expect("a report")["generation"].as_u64(), before);
    daemon.stop();
}
