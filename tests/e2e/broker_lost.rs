//! The broker stops, dies, and forgets.

use std::fs;

use crate::parts::{
    broker::{FORGETTING, KEEPING},
    shop::Shop,
    stage::Stage,
    tillbox::{Tillbox, holds, level},
    wait::{PATIENCE, until},
};

const BACKLOG: u32 = 2_500;

#[test]
fn a_broker_that_stops_and_comes_back_gets_what_waited() {
    let mut stage = Stage::new("broker");
    stage.shop.sell(20);
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);
    stage.broker.stop();
    stage.shop.sell(50);
    let report =
        daemon.wait_for("kept here", |report| holds(report, "hq_unreachable") && level(report, "durable") >= 70);
    assert_eq!((report["lights"]["hold"].as_str(), report["lights"]["fault"].as_str()), (Some("steady"), Some("off")));
    stage.broker.start_again();
    stage.wait_for_books(&daemon);
    daemon.wait_for("all is well", |report| report["lights"]["sync"] == "steady_wink");
    daemon.stop();
}

#[test]
fn a_broker_that_dies_in_the_middle_of_a_drain_costs_nothing_where_the_feed_acknowledges() {
    die_in_mid_drain(KEEPING);
}

#[test]
fn a_broker_that_forgets_everything_costs_nothing_where_the_feed_acknowledges() {
    die_in_mid_drain(FORGETTING);
}

fn die_in_mid_drain(broker: &str) {
    let mut stage = Stage::with("feed", broker, Shop::open());
    // A small window makes the drain long enough to be hit.
    stage.setup.hq.push_str("window = 5\n");
    stage.broker.kill();
    stage.shop.sold_before(BACKLOG);
    let mut daemon = stage.start();
    daemon.wait_for("a backlog", |report| level(report, "durable") >= u64::from(BACKLOG));
    for deaths in 1..=3 {
        stage.broker.start_again();
        let part = u64::from(BACKLOG) * deaths / 5;
        until(
            PATIENCE,
            || (stage.hq.record().events.len() as u64 > part).then_some(()),
            || format!("no drain: {} events\n{}", stage.hq.record().events.len(), daemon.log()),
        );
        stage.broker.kill();
    }
    stage.broker.start_again();
    arrive_in_the_end(&stage, &daemon);
    daemon.stop();
}

/// What a broker acknowledged and forgot arrives too, once the box finds that HQ does not say it is stored.
fn arrive_in_the_end(stage: &Stage, daemon: &Tillbox) {
    daemon.wait_for_within(2 * PATIENCE, "HQ has everything", |report| {
        level(report, "released") == level(report, "durable")
    });
    let differences: Vec<_> = stage.hq.record().differences(&stage.shop.books());
    // Numbers that HQ missed at first arrive after later ones.
    let grave: Vec<_> = differences.iter().filter(|text| !text.contains("arrived first after a later one")).collect();
    assert!(grave.is_empty(), "{grave:#?}");
}

#[test]
fn a_store_that_drained_takes_no_more_room_than_before() {
    let mut stage = Stage::new("broker");
    stage.broker.stop();
    stage.shop.sold_before(BACKLOG);
    let mut daemon = stage.start();
    daemon.wait_for("a backlog", |report| level(report, "durable") >= u64::from(BACKLOG));
    stage.broker.start_again();
    stage.wait_for_books(&daemon);
    daemon.wait_for("all is removed", |report| level(report, "queued_bytes") < 1_000);
    daemon.stop();
    let marker = stage.setup.store.join("marker.json");
    assert!(fs::read_to_string(marker).is_ok_and(|text| text.contains("\"sequence\":2")));
}

#[test]
fn a_broker_that_comes_and_goes_is_told_once() {
    let mut stage = Stage::new("broker");
    stage.shop.sell(5);
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);
    for _ in 0..6 {
        stage.broker.stop();
        daemon.wait_for("HQ is gone", |report| holds(report, "hq_unreachable"));
        stage.broker.start_again();
        daemon.wait_for("HQ is back", |report| !holds(report, "hq_unreachable"));
    }
    stage.shop.sell(5);
    stage.wait_for_books(&daemon);
    daemon.stop();
    assert_eq!(daemon.warnings().len(), 1, "{}", daemon.log());
    let told = stage.hq.record().events_of("notice").count();
    assert_eq!(told, 0, "what passes soon is no notice");
    assert!(daemon.log().lines().count() < 20, "{}", daemon.log());
}
