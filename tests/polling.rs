//! The poll loop as the daemon runs it: its own thread, the simulated Qasir over HTTP, a real outbox, a virtual clock.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, reason = "a test stops where its stage cannot be set")]

use std::{
    collections::BTreeMap,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tempfile::TempDir;
use tillbox::{
    clock::Clock,
    closing::Calendar,
    config::{Acknowledge, Currency},
    demo::{
        http_server::{Fault, Garbling},
        qasir::{Options as Server, QasirServer},
        shop::{Kind, Sale, ShopDay},
    },
    event::EventType,
    health::{Condition, Health},
    outbox::{Options, Outbox, OutboxError},
    poll::Poll,
    pos::{connector::Terms, http::Client, page::ParseContext, qasir::connector::Qasir},
    secret::{Secret, SecretAt},
    stop::Stop,
    watchdog::Heartbeat,
    zone::Zone,
};

const TOKEN: &str = "qasir-token";

/// The machine's time that a condition may take to come true, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn jakarta() -> Zone {
    Zone::load("Asia/Jakarta").unwrap()
}

struct Stage {
    server: QasirServer,
    outbox: Arc<Outbox>,
    health: Arc<Health>,
    clock: Clock,
    stop: Stop,
    thread: Option<JoinHandle<Result<(), OutboxError>>>,
    _folder: TempDir,
}

/// What a test turns.
struct Setting {
    origin: &'static str,
    /// The server's clock, where it is another.
    server_origin: Option<&'static str>,
    rate: u32,
    max_bytes: u64,
}

impl Default for Setting {
    fn default() -> Self {
        Self { origin: "2026-03-14T12:00:00+07:00", server_origin: None, rate: 120, max_bytes: 64 * 1024 * 1024 }
    }
}

impl Stage {
    fn set(setting: &Setting, prepare: impl FnOnce(&QasirServer)) -> Self {
        let clock = Clock::running_at(at(setting.origin), setting.rate);
        let server_clock = setting.server_origin.map(|origin| Clock::running_at(at(origin), setting.rate));
        let options = Server::new(jakarta(), TOKEN);
        let server = QasirServer::start(server_clock.unwrap_or_else(|| clock.clone()), options).unwrap();
        prepare(&server);
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            folder: folder.path().to_owned(),
            max_bytes: setting.max_bytes,
            outlet: "jkt-014".to_owned(),
            topic_prefix: "tillbox".to_owned(),
            event_max_bytes: 128 * 1024,
            retention: TimeDelta::days(100),
            connections: vec![("front".to_owned(), "qasir".to_owned())],
            retired: Vec::new(),
        };
        let outbox = Arc::new(Outbox::open(options, clock.now()).unwrap().outbox);
        let mut stage = Self {
            server,
            outbox,
            health: Arc::default(),
            clock,
            stop: Stop::default(),
            thread: None,
            _folder: folder,
        };
        stage.start();
        stage
    }

    fn start(&mut self) {
        let day_starts = NaiveTime::from_hms_opt(4, 0, 0).unwrap();
        let context = ParseContext {
            connection: "front".to_owned(),
            outlet_zone: jakarta(),
            source_zone: jakarta(),
            currency: Currency::parse("IDR").unwrap(),
            business_day_starts: day_starts,
            observed_at: self.clock.now(),
        };
        let poll = Poll {
            connection: "front".to_owned(),
            system: "qasir",
            make: Box::new(move |begin| {
                let (poll_every, backfill) = (TimeDelta::seconds(15), TimeDelta::days(2));
                Box::new(Qasir::new(Terms { context: context.clone(), poll_every, backfill }, begin))
            }),
            client: Box::new(Client::new(&self.server.base_url(), None).unwrap()),
            secret: SecretAt::Here(Secret::new(TOKEN)),
            remedy: "renew the token".to_owned(),
            requests_per_minute: 40,
            calendar: Calendar { zone: jakarta(), day_starts },
            retention: TimeDelta::days(100),
            outbox: Arc::clone(&self.outbox),
            health: Arc::clone(&self.health),
            clock: self.clock.clone(),
            stop: self.stop.clone(),
        };
        self.thread = Some(std::thread::spawn(move || poll.run(&Heartbeat::default())));
    }

    /// Waits for a condition, by the machine's clock only as long as it takes.
    fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            let held: Vec<_> = self.held();
            assert!(begun.elapsed() < PATIENCE, "not in time: {what}; {held:?}, {:?}", self.outbox.level());
            let _woken_by_the_stop = Stop::default().wait(Duration::from_millis(5));
        }
    }

    fn held(&self) -> Vec<(Condition, String)> {
        let facts = self.health.facts();
        facts.conditions().map(|(condition, _, held)| (condition, held.text.clone())).collect()
    }

    fn holds(&self, condition: Condition) -> bool {
        self.health.facts().holds(condition)
    }

    fn watermark(&self) -> Option<DateTime<Utc>> {
        self.health.facts().connections.get("front")?.progress.watermark
    }

    fn is_complete(&self) -> bool {
        self.health.facts().connections.get("front").is_some_and(|connection| connection.progress.complete)
    }

    fn put(&self, id: &str, total: i64) {
        self.server.put(Sale::plain(id, total, self.clock.now() - TimeDelta::minutes(1)));
    }

    fn events(&self, of: EventType) -> Vec<Value> {
        let (mut events, mut after) = (Vec::new(), self.outbox.level().released);
        while let Some(last) =
            self.outbox.read(self.outbox.level().epoch, after, 500).unwrap().last().map(|event| event.sequence)
        {
            events.extend(
                self.outbox
                    .read(self.outbox.level().epoch, after, 500)
                    .unwrap()
                    .into_iter()
                    .filter(|event| event.sequence <= last),
            );
            after = last;
        }
        let wanted = events.into_iter().filter(|event| event.draft.event_type == of);
        wanted.map(|event| serde_json::from_str(&event.draft.data).unwrap()).collect()
    }

    /// The latest state of each sale, as HQ would have it.
    fn states(&self) -> BTreeMap<String, Value> {
        let events = self.events(EventType::Transaction).into_iter();
        events.map(|data| (data["external_id"].as_str().unwrap().to_owned(), data)).collect()
    }

    fn has_all(&self) -> bool {
        let (states, books) = (self.states(), self.server.books());
        states.len() == books.states().len()
            && books.states().iter().all(|(id, entry)| {
                states.get(id).is_some_and(|data| data["amount"].as_str() == Some(&entry.total.normalize().to_string()))
            })
    }

    fn end(mut self) {
        self.stop.give();
        self.thread.take().unwrap().join().unwrap().unwrap();
        assert_eq!(self.server.http().mutations(), 0);
        assert!(self.server.http().seen().iter().all(|request| request.method == "GET"));
    }
}

#[test]
fn every_fault_is_one_condition_that_says_what_was_expected_and_costs_nothing() {
    let stage = Stage::set(&Setting { rate: 60, ..Setting::default() }, |_| {});
    stage.until("first reading", Stage::is_complete);
    let garbled = |garbling| (Fault::Garbled(garbling), Condition::PosUnreadable);
    let faults = [
        (Fault::Cut, Condition::PosUnreachable),
        (Fault::Broken(500), Condition::PosUnreachable),
        (Fault::TooMany(Some(1)), Condition::PosUnreachable),
        (Fault::Garbled(Garbling::Truncated), Condition::PosUnreachable),
        (Fault::Broken(401), Condition::PosRefused),
        (Fault::Broken(404), Condition::PosUnreadable),
        garbled(Garbling::Html),
        garbled(Garbling::Empty),
        garbled(Garbling::ErrorBody),
        garbled(Garbling::NullList),
        garbled(Garbling::Deep),
        garbled(Garbling::Endless),
    ];
    for (n, (fault, condition)) in faults.into_iter().enumerate() {
        stage.server.http().fail(fault);
        stage.put(&format!("F-{n}"), 1_000);
        stage.until(&format!("{fault:?}"), |stage| stage.holds(condition));
        let (watermark, known) = (stage.watermark(), stage.outbox.level().durable);
        let seen = stage.server.http().requests();
        let held = stage.held();
        assert_eq!(held.len(), 1, "{fault:?}: {held:?}");
        let text = &held[0].1;
        assert!(text.starts_with("qasir GET /") && !text.contains(TOKEN) && !text.contains('\n'), "{fault:?}: {text}");
        assert!(text.contains("expect") || text.contains("answered") || text.contains("connection"), "{text}");
        println!("{fault:?}: {text}");
        if condition == Condition::PosUnreadable {
            stage.until("asked again", |stage| stage.server.http().requests() > seen);
        }
        assert_eq!((stage.watermark(), stage.outbox.level().durable), (watermark, known), "{fault:?}");
        stage.server.http().heal();
        stage.until("over", |stage| stage.held().is_empty() && stage.has_all());
    }
    assert_eq!(stage.events(EventType::Transaction).len(), 12, "each sale once");
    stage.end();
}

#[test]
fn a_hanging_request_ends_and_a_stop_waits_for_no_more_than_that() {
    let mut stage = Stage::set(&Setting { rate: 20, ..Setting::default() }, |_| {});
    stage.until("first reading", Stage::is_complete);
    stage.server.http().fail(Fault::Slow(None));
    let asked = stage.server.http().requests();
    stage.until("a request hangs", |stage| stage.server.http().requests() > asked);
    stage.stop.give();
    stage.server.http().heal();
    let begun = Instant::now();
    stage.thread.take().unwrap().join().unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    // A wait ends at once: the credentials are refused, and would be tried again after five minutes.
    stage.stop = Stop::default();
    stage.clock = Clock::running_at(stage.clock.now(), 1);
    stage.server.http().fail(Fault::Broken(401));
    stage.start();
    stage.until("refused", |stage| stage.holds(Condition::PosRefused));
    let begun = Instant::now();
    stage.end();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_request_that_hangs_for_good_is_given_up_and_told() {
    let stage = Stage::set(&Setting { rate: 20, ..Setting::default() }, |_| {});
    stage.until("first reading", Stage::is_complete);
    stage.server.http().fail(Fault::Slow(None));
    stage.put("H-1", 1_000);
    stage.until("given up", |stage| stage.holds(Condition::PosUnreachable));
    assert!(stage.held()[0].1.contains("expected an answer within 30 s"), "{:?}", stage.held());
    stage.server.http().heal();
    stage.until("captured", |stage| stage.held().is_empty() && stage.has_all());
    stage.end();
}

#[test]
fn a_clock_that_is_off_reads_by_the_servers() {
    // Three hours, and two days; behind, and ahead.
    for (origin, hour) in [
        ("2026-03-14T15:00:00+07:00", "2026-03-14T14:59:00+07:00"),
        ("2026-03-16T12:00:00+07:00", "2026-03-16T11:59:00+07:00"),
        ("2026-03-14T09:00:00+07:00", "2026-03-14T08:59:00+07:00"),
        ("2026-03-12T12:00:00+07:00", "2026-03-12T11:59:00+07:00"),
    ] {
        let wrong = Setting { server_origin: Some(origin), ..Setting::default() };
        let stage = Stage::set(&wrong, |server| server.put(Sale::plain("C-1", 1_000, at(hour))));
        stage.until("read by the server's clock", |stage| stage.states().len() == 1 && stage.is_complete());
        assert!(stage.holds(Condition::ClockDiffers) && !stage.holds(Condition::ClockWrong), "{:?}", stage.held());
        let watermark = stage.health.facts().connections["front"].progress.watermark.unwrap();
        assert!((watermark - at(origin)).num_hours() == 0, "{watermark}");
        stage.end();
    }
}

#[test]
fn a_clock_that_is_set_right_takes_its_word_back() {
    let wrong = Setting { server_origin: Some("2026-03-16T12:00:00+07:00"), ..Setting::default() };
    let stage = Stage::set(&wrong, |server| server.put(Sale::plain("C-1", 1_000, at("2026-03-14T11:00:00+07:00"))));
    stage.until("told", |stage| stage.holds(Condition::ClockDiffers));
    stage.server.adjust(|options| options.date_skew = Some(TimeDelta::days(-2)));
    stage.until("right again", |stage| stage.held().is_empty() && stage.states().len() == 1);
    stage.end();
}

#[test]
fn a_clock_in_1970_that_nobody_corrects_stores_nothing() {
    let setting = Setting { origin: "1970-01-01T00:00:10Z", ..Setting::default() };
    let stage = Stage::set(&setting, |_| {});
    stage.until("told", |stage| stage.holds(Condition::ClockWrong));
    let seen = stage.server.http().requests();
    stage.until("asked again", |stage| stage.server.http().requests() > seen);
    assert_eq!((stage.outbox.level().durable, stage.outbox.cursor("front").unwrap()), (0, None));
    stage.end();
}

#[test]
fn a_clock_in_1970_that_the_server_corrects_reads_at_once() {
    let setting = Setting {
        origin: "1970-01-01T00:00:10Z",
        server_origin: Some("2026-03-14T12:00:00+07:00"),
        ..Setting::default()
    };
    let stage = Stage::set(&setting, |server| server.put(Sale::plain("N-1", 1_000, at("2026-03-14T11:59:00+07:00"))));
    stage.until("captured", |stage| stage.states().len() == 1);
    stage.end();
}

#[test]
fn a_clock_that_comes_right_begins_as_if_it_had_never_been_wrong() {
    // 2025-12-31T23:59 is before this program was made; a minute later it is not.
    let setting = Setting { origin: "2025-12-31T23:50:00Z", rate: 600, ..Setting::default() };
    let sale = Sale::plain("N-1", 1_000, at("2025-12-31T12:00:00Z"));
    let stage = Stage::set(&setting, |server| server.put_at(at("2025-12-31T12:00:00Z"), sale));
    stage.until("captured", |stage| stage.states().len() == 1 && stage.held().is_empty());
    let since = stage.health.facts().connections["front"].progress.since.unwrap();
    assert!(since >= at("2025-12-30T00:00:00Z"), "{since}");
    stage.end();
}

#[test]
fn a_full_outbox_stops_the_reading_and_room_lets_it_go_on() {
    let setting = Setting { max_bytes: 256 * 1024, rate: 60, ..Setting::default() };
    let day = ShopDay::generate(5, NaiveDate::from_ymd_opt(2026, 3, 13).unwrap(), &jakarta(), 1_500);
    let stage = Stage::set(&setting, |server| server.load(&day));
    stage.until("full", |stage| stage.holds(Condition::OutboxFull));
    let seen = stage.server.http().requests();
    let (durable, begun) = (stage.outbox.level().durable, stage.clock.now());
    stage.until("some minutes", |stage| stage.clock.now() > begun + TimeDelta::minutes(2));
    assert!(stage.server.http().requests() <= seen + 1, "reading goes on");
    assert_eq!(stage.outbox.level().durable, durable);
    // HQ takes everything, and what comes after.
    let mut states = BTreeMap::new();
    stage.until("all through", |stage| {
        // Only what was looked at is acknowledged: the poll goes on meanwhile.
        let level = stage.outbox.level();
        states.extend(stage.states());
        stage.outbox.acknowledge(level.epoch, level.durable);
        stage.outbox.tend(Acknowledge::Broker, true, stage.clock.now()).unwrap();
        states.len() == stage.server.books().states().len()
    });
    stage.until("no word more", |stage| stage.held().is_empty());
    stage.end();
}

#[test]
fn each_day_is_closed_once_with_the_books_counts_and_sums_and_again_when_it_changes() {
    let date = NaiveDate::from_ymd_opt(2026, 3, 14).unwrap();
    let day = ShopDay::generate(11, date, &jakarta(), 300);
    // From the evening on, an hour of the shop's in a second: the day ends at four in the morning.
    let setting = Setting { origin: "2026-03-14T22:00:00+07:00", rate: 1_200, ..Setting::default() };
    let stage = Stage::set(&setting, |server| server.load(&day));
    let of_day = |stage: &Stage| -> Vec<Value> {
        let all = stage.events(EventType::Closing).into_iter();
        all.filter(|closing| closing["business_date"] == "2026-03-14").collect()
    };
    stage.until("closed", |stage| !of_day(stage).is_empty());
    let closing = of_day(&stage).remove(0);
    assert_eq!(closing["complete"], true, "{closing}");
    let books = stage.server.books();
    for (kind, name) in [(Kind::Sale, "sale"), (Kind::Refund, "refund")] {
        let line = closing["totals"].as_array().unwrap().iter().find(|line| line["kind"] == name).unwrap();
        let total = books.totals()[&kind];
        assert_eq!(line["count"], total.count);
        assert_eq!(line["sum"].as_str().unwrap(), total.sum.normalize().to_string());
    }
    // A till that was off line brings one more: the closing is sent again, and no other.
    stage.server.put(Sale::plain("LATE-1", 12_345, at("2026-03-14T15:00:00+07:00")));
    stage.until("closed again", |stage| of_day(stage).len() == 2);
    let again = of_day(&stage).remove(1);
    assert_eq!(again["records"].as_u64().unwrap(), closing["records"].as_u64().unwrap() + 1);
    let begun = stage.clock.now();
    stage.until("some hours more", |stage| stage.clock.now() > begun + TimeDelta::hours(4));
    assert_eq!(of_day(&stage).len(), 2, "nothing else was new");
    let mut days = BTreeMap::<String, usize>::new();
    for closing in stage.events(EventType::Closing) {
        *days.entry(closing["business_date"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert!(days.iter().all(|(date, count)| *count == if date == "2026-03-14" { 2 } else { 1 }), "{days:?}");
    stage.end();
}

#[test]
fn a_day_with_a_gap_is_closed_as_incomplete() {
    let setting = Setting { origin: "2026-03-14T22:00:00+07:00", rate: 1_200, ..Setting::default() };
    let noon = at("2026-03-14T12:00:00+07:00");
    let stage = Stage::set(&setting, |server| {
        (0..120).for_each(|n| server.put_at(noon, Sale::plain(&format!("G-{n}"), 1_000, noon)));
    });
    let of_day = |stage: &Stage| {
        let all = stage.events(EventType::Closing).into_iter();
        all.filter(|closing| closing["business_date"] == "2026-03-14").collect::<Vec<_>>()
    };
    stage.until("closed", |stage| !of_day(stage).is_empty());
    let closing = of_day(&stage).remove(0);
    assert_eq!((&closing["complete"], closing["open_gaps"].as_array().unwrap().len()), (&Value::Bool(false), 1));
    assert_eq!(stage.health.facts().open_gaps, 1);
    // Enough of them go, and the day is proven.
    (0..30).for_each(|n| stage.server.remove(&format!("G-{n}")));
    stage.until("proven", |stage| of_day(stage).last().is_some_and(|closing| closing["complete"] == true));
    stage.end();
}

/// Row 11: the day's money is short as long as a record of it is put aside, and no closing may prove it.
#[test]
fn a_day_with_a_record_put_aside_is_not_complete_until_it_is_read() {
    let setting = Setting { origin: "2026-03-14T22:00:00+07:00", rate: 1_200, ..Setting::default() };
    let sold = at("2026-03-14T12:00:00+07:00");
    let too_much = Sale { total: rust_decimal::Decimal::MAX, ..Sale::plain("BAD-1", 1_000, sold) };
    let stage = Stage::set(&setting, |server| {
        server.put_at(sold, Sale::plain("GOOD-1", 5_000, sold));
        server.put_at(sold, too_much);
    });
    let of_day = |stage: &Stage| {
        let all = stage.events(EventType::Closing).into_iter();
        all.filter(|closing| closing["business_date"] == "2026-03-14").collect::<Vec<_>>()
    };
    stage.until("closed", |stage| !of_day(stage).is_empty());
    let closing = of_day(&stage).remove(0);
    assert_eq!(
        (&closing["complete"], &closing["quarantined"], &closing["records"]),
        (&json!(false), &json!(1), &json!(1))
    );
    let aside = stage.events(EventType::Quarantine).remove(0);
    assert_eq!((&aside["business_date"], &aside["window"]), (&json!("2026-03-14"), &Value::Null));
    // Of the other days nothing is put aside.
    let all = stage.events(EventType::Closing);
    assert!(
        all.iter()
            .filter(|closing| closing["business_date"] != "2026-03-14")
            .all(|closing| closing["quarantined"] == 0)
    );
    // Its amount is put right, and the day is proven.
    stage.server.put(Sale::plain("BAD-1", 1_000, sold));
    stage.until("proven", |stage| of_day(stage).last().is_some_and(|closing| closing["complete"] == true));
    let closing = of_day(&stage).pop().unwrap();
    assert_eq!(
        (&closing["quarantined"], &closing["records"], &closing["final"]),
        (&json!(0), &json!(2), &json!(false))
    );
    assert!(closing["read_at"].is_string(), "{closing}");
    stage.end();
}

/// A day is told once more when nothing looks at it any more.
#[test]
fn a_day_behind_the_horizon_is_final() {
    let setting = Setting { origin: "2026-03-14T22:00:00+07:00", rate: 20_000, ..Setting::default() };
    let stage = Stage::set(&setting, |server| {
        let sold = at("2026-03-14T12:00:00+07:00");
        server.put_at(sold, Sale::plain("GOOD-1", 5_000, sold));
    });
    let of_day = |stage: &Stage| {
        let all = stage.events(EventType::Closing).into_iter();
        all.filter(|closing| closing["business_date"] == "2026-03-14").collect::<Vec<_>>()
    };
    stage.until("final", |stage| of_day(stage).last().is_some_and(|closing| closing["final"] == true));
    let told = of_day(&stage);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!(
        (&told[0]["final"], &told[0]["complete"], &told[1]["complete"]),
        (&json!(false), &json!(true), &json!(true))
    );
    let read_at: DateTime<Utc> = told[1]["read_at"].as_str().unwrap().parse().unwrap();
    assert!(read_at > at("2026-03-20T00:00:00+07:00"), "{read_at}");
    stage.end();
}

#[test]
fn a_sale_that_is_gone_at_the_source_is_told_once_and_no_day_forgets_it() {
    let setting = Setting { rate: 1_200, ..Setting::default() };
    let sold = at("2026-03-14T11:00:00+07:00");
    let stage = Stage::set(&setting, |server| {
        (0..5).for_each(|n| server.put_at(sold, Sale::plain(&format!("V-{n}"), 1_000, sold + TimeDelta::minutes(n))));
    });
    stage.until("first reading", |stage| stage.is_complete() && stage.has_all());
    let told = |stage: &Stage| -> Vec<(String, Value)> {
        let notices = stage.events(EventType::Notice).into_iter();
        notices.map(|notice| (notice["code"].as_str().unwrap().to_owned(), notice["record"].clone())).collect()
    };
    let day = sold.date_naive();
    let totals = stage.outbox.day_totals("front", day).unwrap();
    stage.server.remove("V-3");
    stage.until("told", |stage| !told(stage).is_empty());
    let record = json!({ "resource": "transaction", "external_id": "V-3" });
    let gone = ("vanished_at_source".to_owned(), record.clone());
    let begun = stage.clock.now();
    stage.until("some hours more", |stage| stage.clock.now() > begun + TimeDelta::hours(4));
    assert_eq!(told(&stage), std::slice::from_ref(&gone));
    assert_eq!(stage.outbox.day_totals("front", day).unwrap(), totals, "it stays as it was");
    stage.server.put(Sale::plain("V-3", 1_000, sold + TimeDelta::minutes(3)));
    stage.until("told again", |stage| told(stage).len() == 2);
    assert_eq!(told(&stage), [gone, ("seen_again".to_owned(), record)]);
    assert_eq!(stage.events(EventType::Transaction).len(), 5);
    stage.end();
}
