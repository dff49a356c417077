//! MQTT 5 says that nobody subscribes: the broker is reached, and nothing is delivered.

use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::parts::{
    broker::{KEEPING, Mosquitto},
    commanded::{Commanded, Rules},
    hq::{Access, Hq},
    scene::{SOON, add_broker, hurry, is_green, is_on, listen, wait_for_all, wait_for_condition},
    shop::Shop,
    tillbox::{Setup, delivered, holds},
    wait::until,
};

const SALES: u32 = 50;

fn alone(address: std::net::SocketAddr) -> (TempDir, Shop, Setup) {
    let (folder, shop) = (TempDir::new().expect("a temporary folder"), Shop::open());
    let mut setup = Setup::new(folder.path(), &shop.base_url(), address, "broker");
    hurry(&mut setup);
    setup.hq.push_str("protocol = \"5\"\n");
    shop.sell(SALES);
    (folder, shop, setup)
}

#[test]
fn row_03_mosquitto_says_that_nobody_listens() {
    let place = TempDir::new().expect("a temporary folder");
    let broker = Mosquitto::start(place.path(), KEEPING);
    let (_folder, shop, setup) = alone(broker.address());
    let mut daemon = setup.start();
    let report = wait_for_condition(&daemon, "nobody_listens");
    assert!(is_on(&report, "hold") && !is_on(&report, "fault"), "yellow: {report:#}");
    assert!(!holds(&report, "hq_unreachable"), "{report:#}");
    assert_eq!(delivered(&report), 0);
    let log = daemon.log();
    assert!(log.contains("subscribe to tillbox/jkt-014/events/+"), "the remedy is not named:\n{log}");

    // Only the events: that nobody reads status and checkpoint is no fault.
    let filters = ["tillbox/+/events/+"];
    let hq = Hq::listen_to(Access::open(broker.address()), &filters);
    wait_for_all(&hq, &shop, &daemon);
    daemon.wait_for_within(SOON, "green", |report| is_green(report) && !holds(report, "nobody_listens"));
    daemon.stop();
}

/// Only the first event asks again, more and more seldom, over the same line.
#[test]
fn row_03_the_first_event_alone_asks_whether_somebody_listens() {
    let broker = Commanded::start(Rules::default());
    let (_folder, shop, setup) = alone(broker.address());
    let mut daemon = setup.start();
    wait_for_condition(&daemon, "nobody_listens");
    let (before, begun) = (broker.seen(|seen| seen.events), Instant::now());
    until(SOON, || (begun.elapsed() > Duration::from_secs(10)).then_some(()), String::new);
    broker.seen(|seen| {
        // Ten seconds are five minutes; the waits are 5, 10, 20, 40, 60 s.
        assert!(seen.events - before <= 15, "{} events", seen.events - before);
        let tried: std::collections::BTreeSet<_> = seen.events().map(|event| event.body.clone()).collect();
        assert!(tried.len() <= 101, "more than the first window was tried: {}", tried.len());
        let late: std::collections::BTreeSet<_> =
            seen.events().filter(|event| event.at > begun).map(|event| event.body.clone()).collect();
        assert!(late.len() <= 1, "{} events were tried again", late.len());
        assert_eq!(seen.sessions(), 1, "{}", daemon.log());
    });
    let hq = listen(&broker);
    wait_for_all(&hq, &shop, &daemon);
    daemon.stop();
}

#[test]
fn row_03_a_config_may_accept_that_nobody_listens() {
    let broker = Commanded::start(Rules::default());
    let (_folder, _shop, mut setup) = alone(broker.address());
    setup.hq.push_str("without-subscribers = \"accept\"\n");
    let mut daemon = setup.start();
    daemon.wait_for_within(SOON, "green", |report| is_green(report) && delivered(report) >= u64::from(SALES));
    assert!(!daemon.reported("nobody_listens"), "{}", daemon.log());
    daemon.stop();
}

/// Other brokers are looked at, too, though seldom.
#[test]
fn row_03_somebody_may_listen_at_the_next_broker() {
    let (broker, other) = (Commanded::start(Rules::default()), Commanded::start(Rules::default()));
    let hq = listen(&other);
    let (_folder, shop, mut setup) = alone(broker.address());
    add_broker(&mut setup, other.address());
    let mut daemon = setup.start();
    wait_for_all(&hq, &shop, &daemon);
    assert!(broker.sessions() <= 4, "{}", daemon.log());
    daemon.stop();
}

/// A box that listened to itself would count itself as a subscriber.
#[test]
fn row_03_the_box_itself_is_nobody() {
    let broker = Commanded::start(Rules::default());
    let (_folder, _shop, setup) = alone(broker.address());
    let daemon = setup.start();
    wait_for_condition(&daemon, "nobody_listens");
    broker.seen(|seen| {
        assert!(seen.events().count() > 0);
        let counted = seen.events().filter(|event| event.reached > 0).count();
        assert_eq!(counted, 0, "events went to the box's own subscription");
    });
}

/// A new shop without a consumer is a warning, no fault.
#[test]
fn row_03_a_check_warns_that_nobody_listens() {
    let broker = Commanded::start(Rules::default());
    let (_folder, _shop, setup) = alone(broker.address());
    let (code, text) = super::checked(&setup);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        super::found_at_hq(&text).iter().any(|line| line.starts_with("warn") && line.contains("events/+")),
        "{text}"
    );
}
