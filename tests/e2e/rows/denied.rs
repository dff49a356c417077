//! A broker denies the events: by an access rule, by silence, by a close, by a code.

use std::{fs, time::Duration};

use tempfile::TempDir;

use super::{PROTOCOLS, TRANSACTIONS, checked, found_at_hq, nothing_is_counted_that_did_not_arrive, speak, speaking};
use crate::parts::{
    broker::{KEEPING, Mosquitto},
    commanded::{Deny, Rules, Unreadable, Versions},
    hq::{Access, Hq},
    scene::{SOON, Scene, hurry, is_on, wait_for_all, wait_for_condition},
    shop::Shop,
    stage::Stage,
    tillbox::{Setup, delivered, holds, level},
    wait::until,
};

/// Everything but the sales.
const RULES: &str = "topic read #\ntopic write tillbox/+/events/hello\ntopic write tillbox/+/events/notice\n\
                     topic write tillbox/+/events/gap\ntopic write tillbox/+/events/closing\n\
                     topic write tillbox/+/status\ntopic write tillbox/+/checkpoint\ntopic write tillbox/+/test/#\n";

/// A Mosquitto that denies the sales.
fn mosquitto() -> Stage {
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("acl"), RULES).expect("the rules");
    let rules = folder.path().join("acl");
    let broker = Mosquitto::start(folder.path(), &format!("{KEEPING}acl_file {}\n", rules.display()));
    let hq = Hq::listen(Access::open(broker.address()));
    let shop = Shop::open();
    let mut setup = Setup::new(folder.path(), &shop.base_url(), broker.address(), "broker");
    hurry(&mut setup);
    Stage { hq, broker, shop, setup, folder }
}

fn mosquitto_s_rules_free_no_sale(protocol: &str) {
    const SALES: u32 = 60;
    let mut stage = mosquitto();
    speak(&mut stage.setup, protocol);
    stage.shop.sell(SALES);
    let mut daemon = stage.start();
    daemon.wait_for_within(SOON, "all is read", |report| level(report, "durable") >= u64::from(SALES));
    let report = wait_for_condition(&daemon, "publish_denied");
    assert_eq!(report["lights"]["fault"], "steady", "{report:#}");
    nothing_is_counted_that_did_not_arrive(&daemon, stage.hq.record().events.len());
    daemon.wait_for_line("events/transaction");

    fs::write(stage.path().join("acl"), "topic readwrite #\n").expect("the rules");
    stage.broker.reload();
    wait_for_all(&stage.hq, &stage.shop, &daemon);
    daemon.wait_for_within(SOON, "the fault is over", |report| report["lights"]["fault"] == "off");
    daemon.stop();
}

#[test]
fn row_01_sales_that_mosquitto_s_rules_deny_stay_in_the_box_under_version_5() {
    mosquitto_s_rules_free_no_sale("5");
}

#[test]
fn row_01_sales_that_mosquitto_s_rules_deny_stay_in_the_box_under_version_3_1_1() {
    mosquitto_s_rules_free_no_sale("3.1.1");
}

#[test]
fn row_01_a_check_names_the_rule_that_is_missing() {
    for protocol in PROTOCOLS {
        let mut stage = mosquitto();
        speak(&mut stage.setup, protocol);
        let (code, text) = checked(&stage.setup);
        let found = found_at_hq(&text);
        assert_eq!(code, Some(78), "version {protocol}:\n{text}");
        assert!(found.iter().any(|line| line.contains("tillbox/jkt-014/events/")), "version {protocol}:\n{text}");
    }
}

/// A box whose sales a broker on command denies: it is told, nothing is counted, few sessions are needed for that, and
/// in the end all arrive.
fn is_told(what: Rules, condition: &str) {
    let said = format!("{what:?}");
    is_told_in(&Scene::new("broker", what), &said, condition);
}

fn is_told_in(scene: &Scene, said: &str, condition: &str) {
    const SALES: u32 = 20;
    scene.shop.sell(SALES);
    let mut daemon = scene.start();
    daemon.wait_for_within(SOON, "all is read", |report| level(report, "durable") >= u64::from(SALES));
    let report = wait_for_condition(&daemon, condition);
    assert!(is_on(&report, "fault") || is_on(&report, "hold"), "{said}: {report:#}");
    assert!(!holds(&report, "hq_unreachable"), "{said}: its cause is known: {report:#}");
    nothing_is_counted_that_did_not_arrive(&daemon, scene.broker.delivered());
    scene.broker.behave();
    scene.wait_for_all(&daemon);
    daemon.stop();
}

fn denying(protocol: &str, deny: Deny) -> Rules {
    speaking(protocol, Rules { denied: vec![(TRANSACTIONS.to_owned(), deny)], ..Rules::default() })
}

/// NATS.
#[test]
fn row_14_what_a_broker_acknowledges_and_drops_stays_in_the_box() {
    is_told(denying("3.1.1", Deny::Acknowledge), "publish_denied");
}

/// Moquette. Silence may be a denial or a fault of the line: a padded greeting that is met with it as well tells.
#[test]
fn row_14_silence_at_one_topic_is_told() {
    is_told(denying("3.1.1", Deny::Silence), "publish_denied");
}

#[test]
fn row_14_silence_at_one_topic_is_told_under_version_5() {
    let scene = Scene::new("broker", denying("5", Deny::Silence));
    scene.shop.sell(20);
    let daemon = scene.start();
    let told =
        |report: &serde_json::Value| ["publish_denied", "not_acknowledged"].iter().any(|code| holds(report, code));
    daemon.wait_for_within(SOON, "told", told);
    nothing_is_counted_that_did_not_arrive(&daemon, scene.broker.delivered());
}

#[test]
fn row_14_a_check_finds_a_topic_whose_publishes_are_dropped_in_silence() {
    for deny in [Deny::Acknowledge, Deny::Silence, Deny::Close] {
        let scene = Scene::new("broker", denying("3.1.1", deny));
        let (code, text) = checked(&scene.setup);
        assert_eq!(code, Some(78), "{deny:?}:\n{text}");
        let found = found_at_hq(&text);
        assert!(found.iter().any(|line| line.contains("tillbox/jkt-014/events/")), "{deny:?}:\n{text}");
    }
}

/// Mosquitto under 3.1.1.
#[test]
fn row_01_an_acknowledgement_with_a_close_behind_it_frees_nothing() {
    is_told(denying("3.1.1", Deny::AcknowledgeThenClose), "publish_denied");
}

/// A bare acknowledgement counts once a ping behind it was answered, also where no hello has proven the topic before.
#[test]
fn row_01_a_bare_acknowledgement_counts_only_behind_an_answered_ping() {
    let mut scene = Scene::new("broker", denying("3.1.1", Deny::AcknowledgeThenClose));
    scene.setup.hq.push_str("echo = \"none\"\n");
    is_told_in(&scene, "a close behind each acknowledgement", "publish_denied");
}

// RabbitMQ, aedes.
#[test]
fn row_13_a_broker_that_closes_at_the_sales_is_a_denial_under_version_3_1_1() {
    is_told(denying("3.1.1", Deny::Close), "publish_denied");
}

#[test]
fn row_13_a_broker_that_closes_at_the_sales_is_a_denial_under_version_5() {
    is_told(denying("5", Deny::Close), "publish_denied");
}

/// mochi says a packet that 3.1.1 does not give to brokers.
#[test]
fn row_13_a_disconnect_packet_under_3_1_1_is_a_close() {
    is_told(denying("3.1.1", Deny::Disconnect(0)), "publish_denied");
}

#[test]
fn row_13_not_authorized_is_a_denial() {
    is_told(denying("5", Deny::Code(0x87)), "publish_denied");
}

// HiveMQ.
#[test]
fn row_13_a_code_counts_before_the_disconnect_behind_it() {
    is_told(denying("5", Deny::CodeThenDisconnect(0x87, 0x87)), "publish_denied");
}

#[test]
fn a_reason_that_nobody_knows_is_a_refusal() {
    for code in [0xA5, 0x83, 0x99, 0x01] {
        is_told(denying("5", Deny::Code(code)), "publish_denied");
    }
}

/// A quota passes by itself, so it is no fault; but nothing is counted, and it is told.
#[test]
fn a_quota_that_is_used_up_is_told_and_frees_nothing() {
    let scene = Scene::new("broker", denying("5", Deny::Code(0x97)));
    scene.shop.sell(20);
    let mut daemon = scene.start();
    daemon.wait_for_within(SOON, "told", |report| {
        level(report, "durable") >= 20
            && report["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty())
    });
    nothing_is_counted_that_did_not_arrive(&daemon, scene.broker.delivered());
    scene.broker.behave();
    scene.wait_for_all(&daemon);
    daemon.stop();
}

/// RabbitMQ, where the box may not read: the broker is reached and its rules are the cause, not the internet.
#[test]
fn a_broker_that_closes_at_a_subscription_is_reached_and_its_rules_are_named() {
    let unreadable = vec![("tillbox/+/checkpoint".to_owned(), Unreadable::Close)];
    let scene = Scene::new("broker", Rules { unreadable, ..Rules::of_3_1_1() });
    scene.shop.sell(5);
    let mut daemon = scene.start();
    wait_for_condition(&daemon, "publish_denied");
    let sessions = scene.broker.sessions();
    until(SOON, || (scene.broker.sessions() > sessions + 2).then_some(()), || daemon.log());
    let report = daemon.report().expect("a report");
    assert!(holds(&report, "publish_denied") && !holds(&report, "hq_unreachable"), "{report:#}");
    let output = scene.setup.run("status");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(&format!("hq       {}: needs a technician", scene.setup.broker)), "{text}");
    assert!(text.contains("cause    The broker does not let the box's sales through"), "{text}");
    assert!(!text.contains("no broker was reached") && !text.contains("Check the internet connection"), "{text}");

    // Then the internet fails, too, and stays away.
    let mut scene = scene;
    scene.broker.down();
    daemon.wait_for_within(SOON, "unreachable", |report| holds(report, "hq_unreachable"));
    scene.broker.behave();
    scene.broker.up(false);
    scene.hq.wait_again();
    scene.wait_for_all(&daemon);
    daemon.stop();
}

/// At full length: back-off is not reset by each greeting. It was 72 sessions and wills in a minute.
fn is_not_stormed(denied: &str) {
    const WATCHED: Duration = Duration::from_secs(45);
    let rules = Rules { denied: vec![(denied.to_owned(), Deny::Close)], ..Rules::default() };
    let mut scene = Scene::new("broker", speaking("3.1.1", rules));
    crate::parts::scene::take_time(&mut scene.setup);
    scene.shop.sell(20);
    let begun = std::time::Instant::now();
    let daemon = scene.start();
    until(2 * WATCHED, || (begun.elapsed() > WATCHED).then_some(()), String::new);
    let (sessions, wills) = scene.broker.seen(|seen| (seen.sessions(), seen.wills));
    assert!(sessions <= 12 && wills <= 12, "{sessions} sessions, {wills} wills\n{}", daemon.log());
    assert!(daemon.warnings().len() <= 6, "{}", daemon.log());
    assert!(daemon.reported("publish_denied") || daemon.reported("hq_unreachable"), "{}", daemon.log());
}

#[test]
fn row_13_a_broker_that_closes_at_each_sale_is_not_stormed() {
    is_not_stormed(TRANSACTIONS);
}

/// No verdict about an event slows that down, only the back-off.
#[test]
fn row_13_a_broker_that_closes_at_the_status_is_not_stormed() {
    is_not_stormed("tillbox/+/status");
}

/// Who closes at the checkpoint denies it, and is told so by its topic.
#[test]
fn row_13_a_broker_that_closes_at_the_checkpoint_is_named() {
    for protocol in PROTOCOLS {
        let rules = Rules { denied: vec![("tillbox/+/checkpoint".to_owned(), Deny::Close)], ..Rules::default() };
        let scene = Scene::new("broker", speaking(protocol, rules));
        scene.shop.sell(5);
        let mut daemon = scene.start();
        let report = wait_for_condition(&daemon, "publish_denied");
        assert_eq!(report["lights"]["fault"], "steady", "{report:#}");
        daemon.wait_for_line("tillbox/jkt-014/checkpoint");
        scene.broker.behave();
        scene.wait_for_all(&daemon);
        daemon.stop();
    }
}

/// Behind the acknowledgement, as a poor line does: it delivered, so nothing is lost, and no sale is stripped.
#[test]
fn row_13_a_close_behind_each_acknowledgement_loses_nothing() {
    for protocol in PROTOCOLS {
        let what = speaking(protocol, Rules { close_behind_puback: true, ..Rules::default() });
        let scene = Scene::new("broker", what);
        scene.shop.sell(5);
        let mut daemon = scene.start();
        daemon.wait_for_within(SOON, "told", |report| {
            report["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty()) || delivered(report) >= 5
        });
        nothing_is_counted_that_did_not_arrive(&daemon, scene.broker.delivered());
        scene.broker.behave();
        scene.wait_for_all(&daemon);
        daemon.stop();
        assert!(!daemon.reported("event_reduced"), "{}", daemon.log());
    }
}

/// The next broker of the list may let it.
#[test]
fn row_13_the_next_broker_is_tried_where_one_denies() {
    for deny in [Deny::Close, Deny::Code(0x87)] {
        let mut scene = Scene::new("broker", Rules { versions: Versions::Both, ..denying("5", deny) });
        let other = Scene::new("broker", Rules::default());
        crate::parts::scene::add_broker(&mut scene.setup, other.broker.address());
        scene.shop.sell(20);
        let daemon = scene.start();
        wait_for_all(&other.hq, &scene.shop, &daemon);
    }
}
