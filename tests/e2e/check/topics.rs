//! What a check tries topic by topic, and what it leaves behind.

use serde_json::json;

use super::{has, line_of};
use crate::parts::{
    commanded::{Deny, Mute, Rules, Unreadable, Versions},
    scene::{SOON, Scene, add_broker, wait_for_condition},
    tillbox::{Setup, delivered},
};

const STATUS: &str = "tillbox/jkt-014/status";
const CHECKPOINT: &str = "tillbox/jkt-014/checkpoint";

fn checked(setup: &Setup) -> (Option<i32>, String) {
    setup.write();
    let output = setup.run_with("check", &["--online"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{text}");
    (output.status.code(), text)
}

fn of_3_1_1(rules: Rules) -> Rules {
    Rules { versions: Rules::of_3_1_1().versions, ..rules }
}

#[test]
fn what_stood_at_status_is_put_back() {
    let versions = [Versions::Both, Rules::of_3_1_1().versions];
    for (versions, former) in versions.into_iter().flat_map(|it| [(it, None), (it, Some("{\"state\":\"stopped\"}"))]) {
        let scene = Scene::new("broker", Rules { versions, ..Rules::default() });
        if let Some(former) = former {
            scene.broker.publish(STATUS, former, true);
        }
        let (code, text) = checked(&scene.setup);
        assert_eq!(code, Some(0), "{text}");
        has(line_of(&text, "ok    hq"), &["a retained status was found by a new subscription"]);
        assert_eq!(scene.broker.retained(STATUS).as_deref(), former);
        assert_eq!(scene.broker.seen(|seen| seen.wills), 0, "a last will was left");
    }
}

#[test]
fn a_box_that_runs_elsewhere_is_told_and_its_word_is_left_alone() {
    let scene = Scene::new("broker", Rules::default());
    let said = json!({ "state": "running", "report": { "at": chrono::Utc::now().to_rfc3339() } }).to_string();
    scene.broker.publish(STATUS, &said, true);
    let (code, text) = checked(&scene.setup);
    assert_eq!(code, Some(0), "{text}");
    has(line_of(&text, "warn  hq"), &["a box runs for this outlet", "; take one of the two away"]);
    scene.broker.seen(|seen| assert_eq!(seen.on("/status").count(), 0));
}

#[test]
fn the_running_box_is_asked_what_its_own_line_has_found() {
    let scene = Scene::new("broker", Rules::default());
    scene.shop.sell(5);
    let mut daemon = scene.start();
    scene.wait_for_all(&daemon);
    let (code, text) = checked(&scene.setup);
    assert_eq!(code, Some(0), "{text}");
    has(
        line_of(&text, "ok    hq: "),
        &["the running tillbox uses mqtt://", " by MQTT 5; a new subscription has found its checkpoint there"],
    );
    scene.broker.seen(|seen| assert!(seen.on("/status").all(|one| !one.body.contains("checking")), "probed beside it"));
    scene.broker.command(|rules| rules.denied = vec![("tillbox/+/events/transaction".to_owned(), Deny::Code(0x87))]);
    scene.shop.sell(1);
    wait_for_condition(&daemon, "publish_denied");
    let (code, text) = checked(&scene.setup);
    assert_eq!(code, Some(78), "{text}");
    has(line_of(&text, "fault hq: "), &["the running tillbox says publish_denied: "]);
    daemon.stop();
}

#[test]
fn brokers_that_do_not_share_what_is_retained_are_a_warning() {
    let (mut scene, other) = (Scene::new("broker", Rules::default()), Scene::new("broker", Rules::default()));
    add_broker(&mut scene.setup, other.broker.address());
    let found = json!({ "stream": "0f".repeat(16), "generation": 3, "acknowledged": 12 }).to_string();
    scene.broker.publish(CHECKPOINT, &found, true);
    let (code, text) = checked(&scene.setup);
    assert_eq!(code, Some(0), "{text}");
    has(line_of(&text, "warn  hq: "), &["(none) than on mqtt://", "(one of generation 3); expected the same"]);
    other.broker.publish(CHECKPOINT, &found, true);
    assert!(!checked(&scene.setup).1.contains("warn  hq: "));
}

#[test]
fn a_feed_that_answers_is_told_and_one_that_does_not_is_a_warning() {
    let scene = Scene::new("feed", Rules::default());
    scene.shop.sell(5);
    let mut daemon = scene.start();
    daemon.wait_for("all is stored", |report| report["outbox"]["released"].as_u64() >= Some(5));
    daemon.stop();
    let (code, text) = checked(&scene.setup);
    assert_eq!(code, Some(0), "{text}");
    has(line_of(&text, "ok    hq"), &["HQ's feed answers a hello"]);
    scene.broker.command(|rules| rules.unreadable = vec![("tillbox/+/stored".to_owned(), Unreadable::Silence)]);
    let (code, text) = checked(&scene.setup);
    assert_eq!(code, Some(0), "{text}");
    has(
        line_of(&text, "warn  hq"),
        &["nobody at HQ answered a hello", "start HQ's feed", "`topic read tillbox/jkt-014/stored`"],
    );
}

/// The events of a box are read only where nothing else proves that they arrive: a missing right is judged by the mode.
#[test]
fn a_box_that_need_not_read_its_events_may_lack_that_right() {
    let unreadable = vec![("tillbox/+/events/+".to_owned(), Unreadable::Close)];
    for (acknowledge, echo) in [("feed", "required"), ("broker", "none"), ("broker", "required")] {
        let mut scene = Scene::new(acknowledge, of_3_1_1(Rules { unreadable: unreadable.clone(), ..Rules::default() }));
        scene.setup.hq.extend(["echo = \"", echo, "\"\n"]);
        let (code, text) = checked(&scene.setup);
        if (acknowledge, echo) == ("broker", "required") {
            assert_eq!(code, Some(78), "{text}");
            has(line_of(&text, "fault hq"), &["`topic readwrite tillbox/jkt-014/events/+`"]);
            continue;
        }
        assert_eq!(code, Some(0), "{acknowledge}, echo {echo}:\n{text}");
        has(line_of(&text, "ok    hq"), &["a hello on each topic of tillbox/jkt-014/events/+ was taken"]);
        // The box itself sees it so.
        scene.shop.sell(5);
        let mut daemon = scene.start();
        daemon.wait_for_within(SOON, "all is delivered", |report| delivered(report) >= 5);
        daemon.stop();
    }
}

#[test]
fn each_topic_that_must_be_read_is_named_where_the_broker_closes_at_it() {
    let unreadable = vec![
        ("tillbox/+/checkpoint".to_owned(), Unreadable::Close),
        ("tillbox/+/stored".to_owned(), Unreadable::Close),
        ("tillbox/+/status".to_owned(), Unreadable::Close),
    ];
    let scene = Scene::new("feed", of_3_1_1(Rules { unreadable, ..Rules::default() }));
    let (code, text) = checked(&scene.setup);
    assert_eq!(code, Some(78), "{text}");
    has(
        line_of(&text, "fault hq"),
        &["`topic readwrite tillbox/jkt-014/checkpoint`", "`topic read tillbox/jkt-014/stored`"],
    );
    // Nothing but the check reads there.
    assert!(text.contains("found that this login may not read tillbox/jkt-014/status"), "{text}");
}

/// Nothing on such a line can tell it: the check says so before the box is left alone.
#[test]
fn where_the_broker_cannot_tell_of_listeners_a_check_warns() {
    let told = "MQTT 3.1.1 does not tell whether anybody listens";
    for (acknowledge, rules, warns) in
        [("broker", Rules::of_3_1_1(), true), ("feed", Rules::of_3_1_1(), false), ("broker", Rules::default(), false)]
    {
        let scene = Scene::new(acknowledge, rules);
        let (code, text) = checked(&scene.setup);
        assert_eq!((code, text.contains(told)), (Some(0), warns), "{text}");
        if warns {
            has(
                line_of(&text, "warn  hq"),
                &[told, "subscribes to tillbox/jkt-014/events/+", "a kept session", "`acknowledge = \"feed\"`"],
            );
        }
    }
    let mut scene = Scene::new("broker", Rules::of_3_1_1());
    scene.setup.hq.push_str("without-subscribers = \"accept\"\n");
    assert!(!checked(&scene.setup).1.contains(told), "nobody need listen there");
}

#[test]
fn a_denial_names_each_topic_and_its_rule_once() {
    let denied = vec![("tillbox/+/events/closing".to_owned(), Deny::Code(0x87))];
    let scene = Scene::new("broker", Rules { denied, ..Rules::default() });
    let (code, text) = checked(&scene.setup);
    assert_eq!(code, Some(78), "{text}");
    has(
        line_of(&text, "fault hq"),
        &[
            "denied tillbox/jkt-014/events/closing (",
            "0x87 not authorized",
            "`topic readwrite tillbox/jkt-014/events/closing`)",
        ],
    );
    for deny in [Deny::Close, Deny::Acknowledge, Deny::AcknowledgeThenClose, Deny::Silence] {
        let denied = vec![("tillbox/+/events/+".to_owned(), deny)];
        let scene = Scene::new("broker", of_3_1_1(Rules { denied, ..Rules::default() }));
        let (code, text) = checked(&scene.setup);
        assert_eq!(code, Some(if deny == Deny::Silence { 75 } else { 78 }), "{deny:?}:\n{text}");
        has(line_of(&text, "fault hq"), &["readwrite tillbox/jkt-014/"]);
    }
}

#[test]
fn a_broker_that_is_mute_or_has_a_quota_may_pass_by_itself() {
    let quota = vec![("tillbox/+/events/+".to_owned(), Deny::Code(0x97))];
    for rules in [Rules { mute: Mute::All, ..Rules::default() }, Rules { denied: quota, ..Rules::default() }] {
        let scene = Scene::new("broker", rules);
        let (code, text) = checked(&scene.setup);
        assert_eq!(code, Some(75), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("fault hq")).count(), 1, "{text}");
    }
}

#[test]
fn not_even_a_small_event_fits() {
    for (rules, code) in [
        (Rules { announce_maximum_packet: Some(2_000), ..Rules::default() }, 78),
        (Rules { announce_maximum_packet: Some(20_000), ..Rules::default() }, 0),
        (Rules { too_large: Some((2_000, Deny::Code(0x95))), ..Rules::default() }, 78),
        (of_3_1_1(Rules { too_large: Some((20_000, Deny::Close)), ..Rules::default() }), 0),
        (of_3_1_1(Rules { too_large: Some((20_000, Deny::Silence)), ..Rules::default() }), 0),
    ] {
        let scene = Scene::new("broker", rules);
        let (found, text) = checked(&scene.setup);
        assert_eq!(found, Some(code), "{text}");
        let start = if code == 0 { "warn  hq" } else { "fault hq" };
        has(
            line_of(&text, start),
            &["expected it to take what event-max-size allows", "raise the broker's limit for one message to 131"],
        );
    }
}

#[test]
fn a_receive_maximum_of_one_is_kept_to() {
    for rules in [Rules::default(), of_3_1_1(Rules::default())] {
        let scene = Scene::new("broker", Rules { receive_maximum: Some(1), ..rules });
        let (code, text) = checked(&scene.setup);
        assert_eq!(code, Some(0), "{text}");
    }
}
