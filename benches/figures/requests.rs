//! Requests of a whole day, per system: a shop with 500 sales, a poll every 15 s, a box that has settled the day before.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use tillbox::{
    clock::Clock,
    config::{Config, Origin},
    daemon::poll_of,
    demo::{
        shop::ShopDay,
        simulator::{InProcess, Simulator},
        street::{Stall, stalls},
    },
    health::Health,
    pos::{
        http::{Answer, Ask, Failure},
        request::Request,
    },
    stop::Stop,
};

use crate::records;

const SALES: usize = 500;

/// Counts what is asked, by the minute.
struct Counting {
    inner: InProcess<dyn Simulator>,
    clock: Clock,
    minutes: Arc<Mutex<BTreeMap<i64, u64>>>,
    failures: Arc<AtomicU64>,
}

impl Ask for Counting {
    fn ask(&self, request: &Request, accepts: &dyn Fn(u16) -> bool) -> Result<Answer, Failure> {
        let now = self.clock.now();
        if let Ok(mut minutes) = self.minutes.lock() {
            *minutes.entry(now.timestamp() / 60).or_default() += 1;
        }
        // About what an answer from the cloud takes.
        self.clock.set(now + TimeDelta::milliseconds(120));
        let answer = self.inner.ask(request, accepts);
        self.failures.fetch_add(u64::from(answer.is_err()), Ordering::Relaxed);
        answer
    }
}

pub fn measure() {
    let zone = records::zone();
    let begin = zone.day_begins(NaiveDate::from_ymd_opt(2026, 3, 13).unwrap_or_default(), NaiveTime::MIN);
    for number in 0..stalls(&Clock::standing_at(begin), &zone).len() {
        let clock = Clock::standing_at(begin);
        let stall = stalls(&clock, &zone).remove(number);
        measure_one(&stall, &clock, begin);
    }
}

fn measure_one(stall: &Stall, clock: &Clock, begin: DateTime<Utc>) {
    let simulator = &stall.simulator;
    let zone = records::zone();
    for day in 0..2 {
        let date = NaiveDate::from_ymd_opt(2026, 3, 13 + day).unwrap_or_default();
        simulator.play(ShopDay::generate(u64::from(day), date, &zone, SALES).movements());
    }
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "[outlet]\nid = \"bench\"\ntimezone = \"Asia/Jakarta\"\ncurrency = \"IDR\"\n{}\
         [hq]\nbrokers = [\"mqtt://127.0.0.1\"]\nacknowledge = \"broker\"\n",
        stall.pos_block(&format!("http://127.0.0.1:1{}", simulator.base_path()), "backfill = \"7d\"")
    );
    let config = Config::parse(&text, &Origin { path: Path::new("bench.toml"), mode: 0o600, arriving: None });
    let config = config.unwrap_or_else(|faults| panic!("{faults}"));
    let outbox = Arc::new(records::open(folder.path()));
    let (minutes, failures) = (Arc::<Mutex<BTreeMap<i64, u64>>>::default(), Arc::<AtomicU64>::default());
    let inner = InProcess::new(Arc::clone(simulator));
    let counting =
        Counting { inner, clock: clock.clone(), minutes: Arc::clone(&minutes), failures: Arc::clone(&failures) };
    let (health, stop) = (Arc::new(Health::default()), Stop::default());
    let poll = poll_of(&config.outlet, &config.pos[0], Box::new(counting), &outbox, &health, clock, &stop);
    let mut poller = poll.begin().expect("a poll");
    let end = begin + TimeDelta::days(2);
    while clock.now() < end {
        let pause = poller.step();
        clock.set(clock.now() + TimeDelta::from_std(pause).unwrap_or(TimeDelta::minutes(1)));
    }
    let minutes = minutes.lock().map(|minutes| minutes.clone()).unwrap_or_default();
    let second_day = (begin + TimeDelta::days(1)).timestamp() / 60;
    let day: Vec<u64> = minutes.range(second_day..).map(|(_, count)| *count).collect();
    let total: u64 = day.iter().sum();
    println!(
        "requests of a day, {}: {total}, {} a minute on average, {} in the busiest minute, allowed {}; {} failed",
        stall.sign,
        Tenths(total * 10 / (24 * 60)),
        day.iter().max().unwrap_or(&0),
        config.pos[0].requests_per_minute,
        failures.load(Ordering::Relaxed)
    );
}

/// A number with one digit after the point.
struct Tenths(u64);

impl std::fmt::Display for Tenths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0 / 10, self.0 % 10)
    }
}
