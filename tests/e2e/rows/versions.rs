//! Both versions of MQTT, and what a broker may ask of a client.

use std::time::Duration;

use super::{PROTOCOLS, checked, speak, speaking};
use crate::parts::{
    commanded::{Greets, Refusal, Rules, Versions},
    scene::{SOON, Scene, add_broker, is_green, wait_for_all},
    tillbox::{Tillbox, delivered, holds},
    wait::until,
};

fn delivers(scene: &Scene, daemon: &Tillbox, sales: u64) {
    scene.wait_for_all(daemon);
    daemon.wait_for_within(SOON, "green", |report| delivered(report) >= sales && is_green(report));
}

#[test]
fn version_5_is_tried_first_and_3_1_1_where_a_broker_does_not_speak_it() {
    let refusals = [Refusal::Code1, Refusal::Code84, Refusal::Close].map(Versions::Only311);
    for (versions, spoken) in [(Versions::Both, 5), (Versions::Only5, 5)].into_iter().chain(refusals.map(|it| (it, 4)))
    {
        let scene = Scene::new("broker", Rules { versions, ..Rules::default() });
        scene.shop.sell(20);
        let mut daemon = scene.start();
        delivers(&scene, &daemon, 20);
        assert_eq!(scene.broker.version(), Some(spoken), "{versions:?}");
        assert!(!daemon.reported("hq_refused") && daemon.warnings().is_empty(), "{versions:?}\n{}", daemon.log());
        daemon.stop();
        let (code, text) = checked(&scene.setup);
        assert_eq!(code, Some(0), "{versions:?}\n{text}");
    }
}

#[test]
fn the_config_may_name_the_version() {
    for (protocol, spoken) in [("5", 5), ("3.1.1", 4)] {
        let mut scene = Scene::new("broker", Rules::default());
        speak(&mut scene.setup, protocol);
        scene.shop.sell(5);
        let mut daemon = scene.start();
        delivers(&scene, &daemon, 5);
        assert_eq!(scene.broker.version(), Some(spoken));
        daemon.stop();
    }
    let mut scene = Scene::new("broker", Rules::of_3_1_1());
    speak(&mut scene.setup, "5");
    scene.shop.sell(5);
    let daemon = scene.start();
    daemon.wait_for_within(SOON, "told", |report| {
        ["hq_refused", "hq_unreachable", "broker_unfit"].iter().any(|code| holds(report, code))
    });
    assert_eq!(scene.broker.sessions(), 0);
}

/// RabbitMQ before 3.13: it hangs up at a login by version 5.
#[test]
fn a_version_that_the_broker_does_not_speak_is_named_with_its_remedy() {
    let rules = Rules { versions: Versions::Only311(Refusal::Close), ..Rules::default() };
    let mut scene = Scene::new("broker", rules);
    let good = scene.setup.clone();
    speak(&mut scene.setup, "5");
    let (code, text) = checked(&scene.setup);
    assert_eq!(code, Some(78), "{text}");
    let fault = super::found_at_hq(&text).join("\n");
    assert!(fault.contains("speaks MQTT 3.1.1 only") && fault.contains("write `protocol = \"auto\"`"), "{text}");
    scene.shop.sell(5);
    let mut daemon = scene.start();
    let report = daemon.wait_for_within(SOON, "told", |report| holds(report, "hq_refused"));
    assert!(!holds(&report, "hq_unreachable") && report["lights"]["fault"] == "steady", "{report:#}");
    let line = daemon.wait_for_line("speaks MQTT 3.1.1 only");
    assert!(line.contains("write `protocol = \"auto\"` under [hq]"), "{line}");
    scene.broker.seen(|seen| assert!(seen.arrived.is_empty() && seen.wills == 0, "something was left there"));
    daemon.stop();
    scene.setup = good;
    let mut daemon = scene.start();
    delivers(&scene, &daemon, 5);
    daemon.stop();
}

// HiveMQ takes ten at once, and closes beyond.
#[test]
fn a_receive_maximum_is_kept_to() {
    for most in [1, 10] {
        let rules =
            Rules { receive_maximum: Some(most), acknowledge_after: Duration::from_millis(5), ..Rules::default() };
        let scene = Scene::new("broker", rules);
        scene.shop.sell(100);
        let mut daemon = scene.start();
        delivers(&scene, &daemon, 100);
        assert_eq!(scene.broker.seen(|seen| (seen.sessions(), seen.wills)), (1, 0), "{}", daemon.log());
        daemon.stop();
    }
}

/// The broker's keep-alive replaces the config's.
#[test]
fn a_server_s_keep_alive_is_kept_to() {
    let mut scene = Scene::new("broker", Rules { server_keep_alive: Some(2), ..Rules::default() });
    scene.setup.hq = scene.setup.hq.replace("5s", "10m");
    scene.shop.sell(5);
    let mut daemon = scene.start();
    delivers(&scene, &daemon, 5);
    let pinged = || scene.broker.seen(|seen| seen.pings >= 3 || seen.sessions() > 1).then_some(());
    until(SOON, pinged, || format!("no pings\n{}", daemon.log()));
    assert_eq!(scene.broker.sessions(), 1, "{}", daemon.log());
    daemon.stop();
}

/// Busy, use another server, moved, quota: the next one of the list is taken.
#[test]
fn a_broker_that_sends_the_box_away_is_named_and_the_next_one_is_taken() {
    for code in [0x88, 0x89, 0x97, 0x9C, 0x9D, 0x9F, 0xA5] {
        let mut scene = Scene::new("broker", Rules { greeting: Greets::Code(code), ..Rules::default() });
        let other = Scene::new("broker", Rules::default());
        add_broker(&mut scene.setup, other.broker.address());
        scene.shop.sell(5);
        let mut daemon = scene.start();
        wait_for_all(&other.hq, &scene.shop, &daemon);
        daemon.stop();
    }
}

#[test]
fn a_broker_that_is_busy_is_waited_for() {
    let scene = Scene::new("broker", Rules { greeting: Greets::Code(0x89), ..Rules::default() });
    scene.shop.sell(5);
    let mut daemon = scene.start();
    let report = daemon.wait_for_within(SOON, "told", |report| {
        ["hq_refused", "hq_unreachable"].iter().any(|code| holds(report, code))
    });
    assert_eq!(report["lights"]["fault"], "off", "busy is no fault of the login: {report:#}");
    scene.broker.behave();
    delivers(&scene, &daemon, 5);
    daemon.stop();
}

#[test]
fn a_connect_without_an_answer_leads_to_the_next_broker() {
    for greeting in [Greets::Silence, Greets::Close] {
        let mut scene = Scene::new("broker", Rules { greeting, ..Rules::default() });
        let other = Scene::new("broker", Rules::default());
        add_broker(&mut scene.setup, other.broker.address());
        scene.shop.sell(5);
        let daemon = scene.start();
        wait_for_all(&other.hq, &scene.shop, &daemon);
    }
}

/// Taken over, shut down, an administrator: the box comes back, loses nothing, and makes no forty lines of it.
#[test]
fn a_session_that_the_broker_ends_is_one_line_and_no_loss() {
    for code in [0x8E, 0x8B, 0x98, 0x9D, 0xA5] {
        let scene = Scene::new("broker", Rules::default());
        scene.shop.sell(5);
        let mut daemon = scene.start();
        delivers(&scene, &daemon, 5);
        let before = daemon.log().lines().count();
        scene.broker.disconnect_boxes(code);
        scene.shop.sell(5);
        delivers(&scene, &daemon, 10);
        daemon.stop();
        let more = daemon.log().lines().count() - before;
        assert!(more <= 12, "{more} lines\n{}", daemon.log());
        assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
    }
}

/// A greeting is no proof of a line: back-off and condition last until an event was acknowledged.
#[test]
fn row_13_a_close_behind_every_greeting_is_told_once() {
    for protocol in PROTOCOLS {
        let rules = Rules { close_after_connack: Some(Duration::from_millis(30)), ..Rules::default() };
        let scene = Scene::new("broker", speaking(protocol, rules));
        scene.shop.sell(5);
        let mut daemon = scene.start();
        daemon.wait_for_within(SOON, "told", |report| holds(report, "hq_unreachable"));
        let warned = daemon.warnings().len();
        assert!(warned <= 3, "{}", daemon.log());
        scene.broker.behave();
        delivers(&scene, &daemon, 5);
        daemon.stop();
    }
}

/// Under 3.1.1 a topic is proven by a greeting that came back; then the box holds no subscription on it.
#[test]
fn under_3_1_1_a_topic_is_proven_before_a_sale_leaves_and_not_subscribed_to_after() {
    let mut scene = Scene::new("broker", Rules::of_3_1_1());
    scene.shop.sell_much("S-LARGE", 400);
    scene.shop.sell(20);
    let mut daemon = scene.start();
    delivers(&scene, &daemon, 21);
    scene.broker.seen(|seen| {
        let first = seen.on("/events/transaction").find(|one| one.is_event).expect("a sale");
        let greetings: Vec<_> = seen.on("/events/transaction").filter(|one| !one.is_event).collect();
        assert!(greetings.iter().any(|one| one.at < first.at), "no greeting before the first sale");
        // As large as the large one.
        let largest = seen.events().map(|one| one.size).max();
        assert!(greetings.iter().any(|one| Some(one.size) >= largest), "no greeting was as large as {largest:?}");
        let mut held = std::collections::BTreeSet::new();
        for (_, filter, on) in &seen.subscribed {
            if *on {
                held.insert(filter.clone())
            } else {
                held.remove(filter)
            };
        }
        assert!(!held.iter().any(|filter| filter.ends_with("/events/transaction")), "{held:?}");
    });
    daemon.stop();
    scene.setup.hq.push_str("echo = \"none\"\n");
    let before = scene.broker.seen(|seen| seen.arrived.len());
    let mut daemon = scene.start();
    scene.shop.sell(5);
    delivers(&scene, &daemon, 26);
    scene.broker.seen(|seen| {
        let padded =
            seen.arrived[before..].iter().filter(|one| one.topic.ends_with("/events/transaction") && !one.is_event);
        assert_eq!(padded.count(), 0);
    });
    daemon.stop();
}
