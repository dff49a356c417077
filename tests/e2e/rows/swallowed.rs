//! A broker that answers and does not acknowledge, stops reading, or cuts: it is told, and the next one is tried.

use super::{PROTOCOLS, nothing_is_counted_that_did_not_arrive, speaking};
use crate::parts::{
    commanded::{Commanded, Mute, Reading, Rules},
    scene::{SOON, Scene, add_broker, is_on, wait_for_all, wait_for_condition},
    tillbox::{delivered, holds, level},
    wait::until,
};

#[test]
fn row_04_a_broker_that_answers_pings_and_acknowledges_nothing_is_told() {
    for protocol in PROTOCOLS {
        let scene = Scene::new("broker", speaking(protocol, Rules { mute: Mute::Events, ..Rules::default() }));
        scene.shop.sell(20);
        let mut daemon = scene.start();
        let report = wait_for_condition(&daemon, "not_acknowledged");
        assert!(is_on(&report, "hold"), "{report:#}");
        nothing_is_counted_that_did_not_arrive(&daemon, 0);
        assert!(scene.broker.sessions() <= 8, "{}", daemon.log());
        scene.broker.behave();
        scene.wait_for_all(&daemon);
        daemon.wait_for_within(SOON, "it is over", |report| !holds(report, "not_acknowledged"));
        daemon.stop();
    }
}

// As AWS IoT does with what it throttles: a greeting is swallowed as well.
#[test]
fn row_04_a_broker_that_acknowledges_nothing_at_all_is_told() {
    for protocol in PROTOCOLS {
        let scene = Scene::new("broker", speaking(protocol, Rules { mute: Mute::All, ..Rules::default() }));
        scene.shop.sell(20);
        let mut daemon = scene.start();
        daemon.wait_for_within(SOON, "told", |report| {
            report["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty())
                && level(report, "durable") >= 20
        });
        nothing_is_counted_that_did_not_arrive(&daemon, 0);
        scene.broker.behave();
        scene.wait_for_all(&daemon);
        daemon.stop();
    }
}

#[test]
fn row_04_the_next_broker_of_the_list_is_tried_when_one_is_mute() {
    for protocol in PROTOCOLS {
        let mut scene = Scene::new("broker", speaking(protocol, Rules { mute: Mute::Events, ..Rules::default() }));
        let other = Scene::new("broker", speaking(protocol, Rules::default()));
        add_broker(&mut scene.setup, other.broker.address());
        scene.shop.sell(20);
        let daemon = scene.start();
        wait_for_all(&other.hq, &scene.shop, &daemon);
    }
}

#[test]
fn row_04_one_publish_that_is_swallowed_goes_out_again() {
    for protocol in PROTOCOLS {
        let scene = Scene::new("broker", speaking(protocol, Rules { swallow: vec![7], ..Rules::default() }));
        scene.shop.sell(20);
        let mut daemon = scene.start();
        scene.wait_for_all(&daemon);
        daemon.wait_for_within(SOON, "all is delivered", |report| {
            level(report, "durable") >= 20 && delivered(report) == level(report, "durable")
        });
        daemon.stop();
    }
}

#[test]
fn row_04_a_broker_that_stops_reading_is_told_and_the_next_one_is_tried() {
    for protocol in PROTOCOLS {
        let broker = Commanded::start_with(speaking(protocol, Rules::default()), Some(4_096));
        let mut scene = Scene::with("broker", broker);
        let other = Scene::new("broker", speaking(protocol, Rules::default()));
        add_broker(&mut scene.setup, other.broker.address());
        // So long that only the events' own deadline can notice it.
        scene.setup.hq = scene.setup.hq.replace("5s", "10m");
        scene.shop.sell(5);
        let daemon = scene.start();
        scene.wait_for_all(&daemon);
        scene.broker.command(|rules| rules.reading = Reading::Nothing);
        let before = daemon.report().map_or(0, |report| delivered(&report));
        scene.shop.sell(400);
        until(
            SOON,
            || ["not_acknowledged", "hq_unreachable"].iter().any(|code| daemon.reported(code)).then_some(()),
            || format!("not told\n{}", daemon.log()),
        );
        daemon.wait_for_within(SOON, "the other one gets all", |report| {
            level(report, "durable") >= before + 400 && delivered(report) == level(report, "durable")
        });
        // What the first had taken before it stopped reading may be there.
        let arrived = || (other.hq.record().events.len() >= 390).then_some(());
        until(SOON, arrived, || format!("{} events at the other one", other.hq.record().events.len()));
    }
}

/// A second-generation line must not starve: a peer that takes its bytes is left alone.
#[test]
fn row_04_a_slow_line_is_left_alone() {
    let rules = Rules { reading: Reading::BytesPerSecond(8_000), ..Rules::default() };
    let scene = Scene::with("broker", Commanded::start_with(rules, Some(4_096)));
    scene.shop.sell_much("S-LARGE", 300);
    scene.shop.sell(20);
    let mut daemon = scene.start();
    scene.wait_for_all(&daemon);
    assert_eq!(scene.broker.sessions(), 1, "{}", daemon.log());
    assert!(!daemon.reported("not_acknowledged") && !daemon.reported("event_reduced"), "{}", daemon.log());
    daemon.stop();
}

/// Cut at every event: told, and neither stormed nor stripped.
#[test]
fn row_04_a_line_that_is_cut_at_every_event_is_told() {
    for protocol in PROTOCOLS {
        let scene = Scene::new("broker", speaking(protocol, Rules { cut_events: 1_000, ..Rules::default() }));
        scene.shop.sell(5);
        let mut daemon = scene.start();
        daemon.wait_for_within(SOON, "told", |report| {
            report["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty())
        });
        nothing_is_counted_that_did_not_arrive(&daemon, 0);
        scene.broker.behave();
        scene.wait_for_all(&daemon);
        daemon.stop();
    }
}
