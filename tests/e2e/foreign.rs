//! Real brokers of other makes, as Debian has them: RabbitMQ and NATS. Both speak MQTT 3.1.1 alone, and the box finds that
//! out by itself.

use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::parts::{
    broker::{Foreign, KEEPING, Mosquitto, Rights},
    hq::{Access, Hq, OUTLET},
    nats::Nats,
    rabbitmq::RabbitMq,
    record::Record,
    scene::{add_broker, hurry, is_green, is_on, wait_for_condition},
    shop::Shop,
    tillbox::{Setup, Tillbox, delivered, level},
    wait::until,
};

/// RabbitMQ needs a dozen seconds to come back.
const LONG: Duration = Duration::from_secs(60);

struct Place<B> {
    // In the order in which they end.
    hq: Hq,
    broker: B,
    shop: Shop,
    setup: Setup,
    folder: TempDir,
}

impl<B: Foreign> Place<B> {
    fn new(acknowledge: &'static str, rights: Rights) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let broker = B::start(folder.path(), rights);
        let (hq, shop) = (Hq::listen(Access::open(broker.address())), Shop::open());
        let mut setup = Setup::new(folder.path(), &shop.base_url(), broker.address(), acknowledge);
        hurry(&mut setup);
        setup.hq.extend(["username = \"", OUTLET, "\"\npassword = \"", OUTLET, "\"\n"]);
        if acknowledge == "feed" {
            hq.feed();
        }
        Self { hq, broker, shop, setup, folder }
    }

    fn wait_for_all(&self, daemon: &Tillbox) {
        wait_for_all(&self.shop, daemon, || Record::default().with(&self.hq));
    }
}

/// Everything is where it is promised to be, by the box's own word and light.
fn all_is_well(daemon: &Tillbox) {
    daemon.wait_for_within(LONG, "all is delivered, and green", |report| {
        level(report, "durable") > 0 && delivered(report) == level(report, "durable") && is_green(report)
    });
}

impl Record {
    /// With everything that a headquarters received.
    fn with(mut self, hq: &Hq) -> Self {
        for message in &hq.record().messages {
            self.take(message.clone());
        }
        self
    }

    fn sales(&self) -> usize {
        self.events_of("transaction").count()
    }
}

/// Waits until no sale is missing, and none is counted twice.
fn wait_for_all(shop: &Shop, daemon: &Tillbox, record: impl Fn() -> Record) {
    until(
        LONG,
        || record().losses(&shop.books()).is_empty().then_some(()),
        || {
            let losses = record().losses(&shop.books());
            let first: Vec<_> = losses.iter().take(5).collect();
            format!("{} sales or numbers differ at HQ: {first:#?}\n{}", losses.len(), daemon.log())
        },
    );
    assert_eq!(record().sales(), shop.books().states().len(), "each sale is one event\n{}", daemon.log());
}

fn drains<B: Foreign>(acknowledge: &'static str) {
    const SALES: u32 = 300;
    let place = Place::<B>::new(acknowledge, Rights::All);
    place.shop.sell(SALES);
    let mut daemon = place.setup.start();
    place.wait_for_all(&daemon);
    all_is_well(&daemon);
    assert_eq!(place.hq.record().differences(&place.shop.books()), Vec::<String>::new());
    assert_eq!(daemon.report().expect("a report")["protocol"], "3.1.1", "{}", daemon.log());
    assert_eq!(daemon.warnings(), Vec::<String>::new());
    daemon.stop();
}

/// What a broker promises of the order after it was killed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Kept,
    /// What was not acknowledged by HQ comes behind newer events.
    Mixed,
}

fn is_killed_in_the_drain<B: Foreign>(order: Order) {
    const SALES: u32 = 2_000;
    let mut place = Place::<B>::new("broker", Rights::All);
    // A small window makes the drain long enough to be hit.
    place.setup.hq.push_str("window = 5\n");
    place.shop.sold_before(SALES);
    let mut daemon = place.setup.start();
    until(
        LONG,
        || (place.hq.record().sales() > 100).then_some(()),
        || format!("no drain: {} sales\n{}", place.hq.record().sales(), daemon.log()),
    );
    place.broker.kill();
    let before = place.hq.record().sales();
    assert!(before < SALES as usize, "the drain was over before the kill");
    place.broker.start_again();
    place.wait_for_all(&daemon);
    all_is_well(&daemon);
    if order == Order::Kept {
        assert_eq!(place.hq.record().differences(&place.shop.books()), Vec::<String>::new());
    }
    daemon.stop();
}

fn fails_over_and_back<B: Foreign>() {
    const SALES: u32 = 100;
    let mut place = Place::<B>::new("broker", Rights::All);
    let mut second = Mosquitto::start(place.folder.path(), KEEPING);
    let there = Hq::listen(Access::open(second.address()));
    add_broker(&mut place.setup, second.address());
    let both = || Record::default().with(&place.hq).with(&there);
    place.shop.sell(SALES);
    let mut daemon = place.setup.start();
    wait_for_all(&place.shop, &daemon, both);
    assert_eq!(there.record().sales(), 0, "{}", daemon.log());
    place.broker.kill();
    place.shop.sell(SALES);
    wait_for_all(&place.shop, &daemon, both);
    assert!(there.record().sales() >= SALES as usize, "{}", daemon.log());
    place.broker.start_again();
    place.hq.wait_again();
    second.kill();
    let before = place.hq.record().sales();
    place.shop.sell(SALES);
    wait_for_all(&place.shop, &daemon, both);
    assert!(place.hq.record().sales() >= before + SALES as usize, "{}", daemon.log());
    all_is_well(&daemon);
    assert_eq!(both().streams.len(), 1, "{}", daemon.log());
    daemon.stop();
}

/// The box is red, says which right is missing, and frees nothing; with the right all arrive.
fn lacks_a_right<B: Foreign>(rights: Rights, remedy: &str) {
    const SALES: u32 = 60;
    let mut place = Place::<B>::new("broker", rights);
    place.shop.sell(SALES);
    let mut daemon = place.setup.start();
    daemon.wait_for_within(LONG, "all is read", |report| level(report, "durable") >= u64::from(SALES));
    let report = wait_for_condition(&daemon, "publish_denied");
    assert!(is_on(&report, "fault"), "{report:#}");
    let detail = report["conditions"].as_array().into_iter().flatten().find(|one| one["code"] == "publish_denied");
    let detail = detail.map(Value::to_string).unwrap_or_default();
    assert!(detail.contains(remedy), "`{remedy}` is not named: {detail}\n{}", daemon.log());
    assert_eq!(place.hq.record().sales(), 0, "{}", daemon.log());
    let report = daemon.report().expect("a report");
    assert_eq!(delivered(&report), 0, "{report:#}\n{}", daemon.log());
    place.broker.kill();
    place.broker.grant(Rights::All);
    place.broker.start_again();
    place.wait_for_all(&daemon);
    all_is_well(&daemon);
    daemon.stop();
}

#[test]
fn rabbitmq_gets_every_sale_once() {
    drains::<RabbitMq>("broker");
}

#[test]
fn rabbitmq_gets_every_sale_once_where_the_feed_acknowledges() {
    drains::<RabbitMq>("feed");
}

#[test]
fn rabbitmq_may_die_in_the_drain() {
    is_killed_in_the_drain::<RabbitMq>(Order::Kept);
}

#[test]
fn rabbitmq_and_another_broker_stand_in_for_each_other() {
    fails_over_and_back::<RabbitMq>();
}

#[test]
fn rabbitmq_where_the_box_may_write_but_not_read() {
    lacks_a_right::<RabbitMq>(Rights::WriteOnly, "checkpoint");
}

#[test]
fn rabbitmq_where_the_box_may_not_read_its_events() {
    lacks_a_right::<RabbitMq>(Rights::AllButReadingEvents, "events/");
}

/// What the daemon can do without, a check does without.
#[test]
fn rabbitmq_where_the_box_need_not_read_its_events_passes_a_check() {
    for (acknowledge, echo, code) in [("feed", "required", 0), ("broker", "none", 0), ("broker", "required", 78)] {
        let mut place = Place::<RabbitMq>::new(acknowledge, Rights::AllButReadingEvents);
        place.setup.hq.extend(["echo = \"", echo, "\"\n"]);
        place.setup.write();
        let output = place.setup.run_with("check", &["--online"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{acknowledge}, echo {echo}:\n{text}");
        if code == 0 {
            place.shop.sell(5);
            let mut daemon = place.setup.start();
            place.wait_for_all(&daemon);
            all_is_well(&daemon);
            daemon.stop();
        }
    }
}

#[test]
fn rabbitmq_closes_at_the_sales_that_it_denies_and_none_is_freed() {
    lacks_a_right::<RabbitMq>(Rights::AllButSales, "events/transaction");
}

#[test]
fn nats_gets_every_sale_once() {
    drains::<Nats>("broker");
}

#[test]
fn nats_gets_every_sale_once_where_the_feed_acknowledges() {
    drains::<Nats>("feed");
}

#[test]
fn nats_may_die_in_the_drain() {
    is_killed_in_the_drain::<Nats>(Order::Mixed);
}

#[test]
fn nats_and_another_broker_stand_in_for_each_other() {
    fails_over_and_back::<Nats>();
}

#[test]
fn nats_where_the_box_may_write_but_not_read() {
    lacks_a_right::<Nats>(Rights::WriteOnly, "checkpoint");
}

#[test]
fn nats_where_the_box_may_not_read_its_events() {
    lacks_a_right::<Nats>(Rights::AllButReadingEvents, "readwrite tillbox/jkt-014/events/");
}

#[test]
fn nats_acknowledges_the_sales_that_it_denies_and_none_is_freed() {
    lacks_a_right::<Nats>(Rights::AllButSales, "events/transaction");
}
