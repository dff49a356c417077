//! A broker takes no more than so many bytes, announced or not, and the checkpoint is never too large.

use chrono::{TimeDelta, Utc};
use serde_json::json;
use tillbox::clock::Clock;

use super::{PROTOCOLS, checked, found_at_hq, last, nothing_is_counted_that_did_not_arrive, speak, speaking};
use crate::parts::{
    broker::KEEPING,
    commanded::{Deny, Rules},
    scene::{SOON, Scene, hurry, is_green, wait_for_all, wait_until_told},
    shop::Shop,
    stage::Stage,
    tillbox::{Tillbox, delivered, holds, level},
    wait::until,
};

/// Well above a plain sale, the status and the checkpoint; well below the large sale.
const LIMIT: usize = 6_000;
const LARGE: &str = "S-LARGE";
const LARGE_LINES: usize = 100;

/// The large sale is at HQ without its items, the others are whole, and it is told.
fn arrives_reduced(hq: &crate::parts::hq::Hq, shop: &Shop, daemon: &Tillbox) {
    wait_for_all(hq, shop, daemon);
    daemon.wait_for_within(SOON, "all is delivered", |report| delivered(report) == level(report, "durable"));
    let record = hq.record();
    let flagged = |id: &str| {
        let event = record.event_of(id).expect("it arrived");
        let flags = event["data"]["flags"].as_array().expect("flags");
        (flags.contains(&json!("items_omitted")), event["data"]["items"].is_array())
    };
    assert_eq!(flagged(LARGE), (true, false));
    assert_eq!(flagged("S-000000"), (false, true));
    drop(record);
    wait_until_told(daemon, "event_reduced");
}

fn at_mosquitto(setting: &str, protocol: &str) {
    let mut stage = Stage::with("broker", &format!("{KEEPING}{setting} {LIMIT}\n"), Shop::open());
    hurry(&mut stage.setup);
    speak(&mut stage.setup, protocol);
    stage.shop.sell(5);
    stage.shop.sell_much(LARGE, LARGE_LINES);
    let mut daemon = stage.start();
    arrives_reduced(&stage.hq, &stage.shop, &daemon);
    stage.shop.sell(5);
    wait_for_all(&stage.hq, &stage.shop, &daemon);
    daemon.stop();
}

#[test]
fn row_02_message_size_limit_under_version_5() {
    at_mosquitto("message_size_limit", "5");
}

#[test]
fn row_02_message_size_limit_under_version_3_1_1() {
    at_mosquitto("message_size_limit", "3.1.1");
}

#[test]
fn row_02_max_packet_size_under_version_5() {
    at_mosquitto("max_packet_size", "5");
}

#[test]
fn row_02_max_packet_size_under_version_3_1_1() {
    at_mosquitto("max_packet_size", "3.1.1");
}

/// Not even a sale without its items fits: nothing is counted, and it is told.
#[test]
fn row_02_a_broker_that_is_too_small_for_every_sale_is_told_and_frees_nothing() {
    for protocol in PROTOCOLS {
        let mut stage = Stage::with("broker", &format!("{KEEPING}message_size_limit 700\n"), Shop::open());
        hurry(&mut stage.setup);
        speak(&mut stage.setup, protocol);
        stage.shop.sell(20);
        let daemon = stage.start();
        let report = daemon.wait_for_within(SOON, "told", |report| {
            let told = ["publish_denied", "broker_unfit", "not_acknowledged"].iter().any(|code| holds(report, code));
            level(report, "durable") >= 20 && told
        });
        assert!(!is_green(&report), "{report:#}");
        nothing_is_counted_that_did_not_arrive(&daemon, stage.hq.record().events.len());
    }
}

#[test]
fn row_02_a_check_finds_a_broker_that_is_smaller_than_an_event_may_be() {
    for (setting, protocol) in
        ["message_size_limit", "max_packet_size"].into_iter().flat_map(|it| PROTOCOLS.map(|version| (it, version)))
    {
        let mut stage = Stage::with("broker", &format!("{KEEPING}{setting} {LIMIT}\n"), Shop::open());
        speak(&mut stage.setup, protocol);
        let (_, text) = checked(&stage.setup);
        assert!(!found_at_hq(&text).is_empty(), "{setting}, version {protocol}:\n{text}");
    }
}

/// Moquette, mochi, rumqttd: too large without having said so.
fn at_a_broker_on_command(protocol: &str, deny: Deny) {
    let rules = Rules { too_large: Some((LIMIT, deny)), ..Rules::default() };
    let scene = Scene::new("broker", speaking(protocol, rules));
    scene.shop.sell(5);
    scene.shop.sell_much(LARGE, LARGE_LINES);
    let mut daemon = scene.start();
    arrives_reduced(&scene.hq, &scene.shop, &daemon);
    let sessions = scene.broker.sessions();
    assert!(sessions <= 12, "{sessions} sessions");
    // The next large one needs no new trial.
    scene.shop.sell_much("S-LARGE-2", LARGE_LINES);
    wait_for_all(&scene.hq, &scene.shop, &daemon);
    assert!(scene.broker.sessions() <= sessions + 1, "{}", daemon.log());
    daemon.stop();
}

#[test]
fn row_04_a_broker_that_closes_at_a_large_event_gets_it_reduced_under_version_5() {
    at_a_broker_on_command("5", Deny::Close);
}

#[test]
fn row_13_a_broker_that_closes_at_a_large_event_gets_it_reduced_under_version_3_1_1() {
    at_a_broker_on_command("3.1.1", Deny::Close);
}

#[test]
fn row_02_a_broker_that_drops_large_events_gets_them_reduced_under_version_3_1_1() {
    at_a_broker_on_command("3.1.1", Deny::Acknowledge);
}

#[test]
fn row_02_packet_too_large_is_answered_by_a_smaller_one() {
    at_a_broker_on_command("5", Deny::Code(0x95));
}

// RabbitMQ above `max_message_size`.
#[test]
fn row_02_a_broker_that_passes_over_large_events_gets_them_reduced() {
    at_a_broker_on_command("3.1.1", Deny::Silence);
}

/// At full length: what has lasted a minute is told to HQ, and this was told at once.
#[test]
fn row_02_hq_is_told_once_of_a_sale_without_its_items() {
    let mut scene = Scene::new("broker", Rules { announce_maximum_packet: Some(6_000), ..Rules::default() });
    crate::parts::scene::take_time(&mut scene.setup);
    scene.shop.sell(5);
    scene.shop.sell_much(LARGE, LARGE_LINES);
    let mut daemon = scene.start();
    arrives_reduced(&scene.hq, &scene.shop, &daemon);
    let begun = std::time::Instant::now();
    let lasted = || (begun.elapsed() > std::time::Duration::from_secs(68)).then_some(());
    until(2 * SOON, lasted, String::new);
    let report = daemon.report().expect("a report");
    assert!(holds(&report, "event_reduced"), "{report:#}");
    let record = scene.hq.record();
    let notices = record.events_of("notice").filter(|event| event["data"]["code"] == "event_reduced").count();
    assert_eq!(notices, 1, "{}", daemon.log());
    drop(record);
    daemon.stop();
}

#[test]
fn row_02_a_size_that_is_announced_is_kept_to() {
    let rules = Rules {
        announce_maximum_packet: Some(6_000),
        too_large: Some((LIMIT, Deny::Disconnect(0x95))),
        ..Rules::default()
    };
    let scene = Scene::new("broker", rules);
    scene.shop.sell(5);
    scene.shop.sell_much(LARGE, LARGE_LINES);
    let mut daemon = scene.start();
    arrives_reduced(&scene.hq, &scene.shop, &daemon);
    scene.broker.seen(|seen| {
        let largest = seen.arrived.iter().map(|one| one.size).max();
        assert!(largest <= Some(LIMIT), "{largest:?}");
        assert_eq!(seen.sessions(), 1);
    });
    daemon.stop();
}

#[test]
fn row_13_three_cuts_of_a_poor_line_strip_no_sale() {
    for protocol in PROTOCOLS {
        let scene = Scene::new("broker", speaking(protocol, Rules { cut_events: 3, ..Rules::default() }));
        scene.shop.sell_much(LARGE, LARGE_LINES);
        scene.shop.sell(5);
        let mut daemon = scene.start();
        scene.wait_for_all(&daemon);
        daemon.stop();
        let record = scene.hq.record();
        assert!(record.event_of(LARGE).expect("it arrived")["data"]["items"].is_array());
        assert!(!daemon.reported("event_reduced") && !daemon.reported("publish_denied"), "{}", daemon.log());
    }
}

/// HQ has the gaps as events; the checkpoint merges them, or leaves some out.
#[test]
fn row_06_a_checkpoint_with_more_gaps_than_fit_holds_nothing_up() {
    // So many sales in one second that the point of sale does not show them all: each such second is a gap.
    const SECONDS: u32 = 60;
    let shop = Shop::open_with(Clock::system(), |options| options.cap_rows = 10);
    let mut stage = Stage::with("broker", KEEPING, shop);
    hurry(&mut stage.setup);
    stage.setup.hq.push_str("event-max-size = \"4KiB\"\n");
    stage.shop.sell_crowded(SECONDS, 11);
    let mut daemon = stage.start();
    let done =
        |report: &serde_json::Value| level(report, "durable") > 600 && delivered(report) == level(report, "durable");
    daemon.wait_for_within(2 * SOON, "all is delivered", |report| {
        done(report) && stage.hq.record().events_of("gap").count() >= 45
    });
    until(
        SOON,
        || {
            let told = last(&stage, "checkpoint")["acknowledged"].as_u64();
            (told == daemon.report().map(|report| delivered(&report))).then_some(())
        },
        || format!("the checkpoint is not told: {}\n{}", last(&stage, "checkpoint"), daemon.log()),
    );
    let size = last(&stage, "checkpoint").to_string().len();
    assert!(size <= 4_096, "{size} bytes");
    daemon.stop();
}

/// What comes in is not bounded by what goes out.
#[test]
fn row_06_a_large_checkpoint_of_a_predecessor_is_received() {
    let mut stage = Stage::new("broker");
    hurry(&mut stage.setup);
    stage.setup.hq.push_str("event-max-size = \"4KiB\"\n");
    let now = Utc::now();
    let gap = |number: i64| {
        let from = now - TimeDelta::minutes(10 + 2 * number);
        json!({ "from": from, "to": from + TimeDelta::minutes(1), "reason": "truncated" })
    };
    let gaps: Vec<_> = (0..1_600).map(gap).collect();
    let checkpoint = json!({
        "schema": "tillbox.checkpoint.v1", "stream": "0f".repeat(16), "generation": 7, "acknowledged": 12,
        "watermarks": { "front": now - TimeDelta::hours(1) }, "open_gaps": { "front": gaps },
    });
    assert!(checkpoint.to_string().len() > 150_000);
    stage.hq.publish("checkpoint", &checkpoint.to_string(), true);
    stage.shop.sell(5);
    let mut daemon = stage.start();
    wait_for_all(&stage.hq, &stage.shop, &daemon);
    let report = daemon.wait_for_within(SOON, "a generation", |report| report["generation"].as_u64() > Some(7));
    assert!(!holds(&report, "outlet_conflict"), "{report:#}");
    daemon.stop();
}
