//! A broker that cannot keep what the line needs: no retained messages, no last will.

use super::{PROTOCOLS, checked, found_at_hq, speak, speaking};
use crate::parts::{
    broker::KEEPING,
    commanded::{Retain, Rules},
    scene::{SOON, Scene, add_broker, hurry, is_on, wait_for_all},
    shop::Shop,
    stage::Stage,
    tillbox::{Tillbox, holds, level},
    wait::until,
};

/// Red, with its reason, and nothing sent.
fn is_told(daemon: &Tillbox, arrived: usize) {
    let report = daemon.wait_for_within(SOON, "red", |report| {
        level(report, "durable") >= 20 && holds(report, "broker_unfit") && is_on(report, "fault")
    });
    assert_eq!((level(&report, "acknowledged"), arrived), (0, 0));
    daemon.wait_for_line("retain");
}

#[test]
fn row_08_mosquitto_without_retained_messages_is_told() {
    for protocol in PROTOCOLS {
        let mut stage = Stage::with("broker", &format!("{KEEPING}retain_available false\n"), Shop::open());
        hurry(&mut stage.setup);
        speak(&mut stage.setup, protocol);
        stage.shop.sell(20);
        let daemon = stage.start();
        is_told(&daemon, stage.hq.record().events.len());
    }
}

#[test]
fn row_08_a_check_finds_that_mosquitto_keeps_nothing() {
    for protocol in PROTOCOLS {
        let mut stage = Stage::with("broker", &format!("{KEEPING}retain_available false\n"), Shop::open());
        speak(&mut stage.setup, protocol);
        let (code, text) = checked(&stage.setup);
        assert_eq!(code, Some(78), "version {protocol}:\n{text}");
        assert!(found_at_hq(&text).iter().any(|line| line.contains("retain")), "version {protocol}:\n{text}");
    }
}

#[test]
fn row_08_a_broker_that_keeps_nothing_is_told_however_it_says_so() {
    for retain in [Retain::Ignored, Retain::IgnoredInSilence, Retain::WillRefused, Retain::WillAloneRefused] {
        for protocol in PROTOCOLS {
            let scene = Scene::new("broker", speaking(protocol, Rules { retain, ..Rules::default() }));
            scene.shop.sell(20);
            let daemon = scene.start();
            if protocol == "3.1.1" && matches!(retain, Retain::WillRefused | Retain::WillAloneRefused) {
                // A bare close before the CONNACK has no reason: that is found out, and stays the cause.
                let report = daemon.wait_for_within(SOON, "red", |report| holds(report, "broker_unfit"));
                assert!(!holds(&report, "hq_unreachable"), "{report:#}");
                let logins = || scene.broker.seen(|seen| seen.connections.len());
                let before = logins();
                until(SOON, || (logins() > before + 2).then_some(()), || daemon.log());
                let report = daemon.report().expect("a report");
                assert!(holds(&report, "broker_unfit") && !holds(&report, "hq_unreachable"), "{report:#}");
            } else {
                is_told(&daemon, scene.hq.record().events.len());
            }
            if protocol == "5" && retain == Retain::Ignored {
                // It need not be tried out.
                daemon.wait_for_line("says that it retains no messages");
            }
        }
    }
}

#[test]
fn row_08_a_check_finds_that_a_broker_keeps_nothing() {
    for retain in [Retain::Ignored, Retain::IgnoredInSilence, Retain::WillRefused, Retain::WillAloneRefused] {
        let scene = Scene::new("broker", Rules { retain, ..Rules::default() });
        let (code, text) = checked(&scene.setup);
        assert_eq!(code, Some(78), "{retain:?}:\n{text}");
        assert!(found_at_hq(&text).iter().any(|line| line.contains("retain")), "{retain:?}:\n{text}");
    }
}

/// What it leaves behind is a status, never a checkpoint.
#[test]
fn row_08_a_check_writes_no_checkpoint_and_clears_its_own_status() {
    let scene = Scene::new("broker", Rules::default());
    let (code, text) = checked(&scene.setup);
    assert_eq!(code, Some(0), "{text}");
    scene.broker.seen(|seen| {
        assert_eq!(seen.on("/checkpoint").count(), 0);
        assert!(seen.on("/status").any(|one| one.retain && one.body.contains("checking")), "no retained probe");
    });
}

#[test]
fn row_08_the_next_broker_is_tried_where_one_keeps_nothing() {
    let mut scene = Scene::new("broker", Rules { retain: Retain::Ignored, ..Rules::default() });
    let other = Scene::new("broker", Rules::default());
    add_broker(&mut scene.setup, other.broker.address());
    scene.shop.sell(20);
    let daemon = scene.start();
    wait_for_all(&other.hq, &scene.shop, &daemon);
}
