//! A server that is a function from request to answer, and a box that is a connector, a budget and what was committed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use chrono::{DateTime, NaiveDateTime, NaiveTime, TimeDelta, Timelike as _, Utc};
use serde_json::Value;

use crate::{
    config::Currency,
    gap::{Gap, GapReason},
    health::Condition,
    poll::budget::Budget,
    pos::{
        connector::{Begin, Connector, Known, Memory, Nothing, Step, Terms, Yield},
        http::{Answer, Failure},
        page::ParseContext,
        qasir::connector::Qasir,
        request::Request,
    },
    progress::Progress,
    secret::Secret,
    transaction::{Kind, Resource},
    zone::Zone,
};

/// Chance that is the same for a seed.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }

    pub fn below(&mut self, bound: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from((self.0 >> 2) % u64::try_from(bound.max(1)).expect("positive")).expect("62 bits")
    }

    pub fn per_mille(&mut self, share: i64) -> bool {
        self.below(1_000) < share
    }
}

/// One sale at the source, and what it was when. `None`: gone.
#[derive(Debug, Clone)]
pub struct Sale {
    pub at: DateTime<Utc>,
    pub versions: Vec<(DateTime<Utc>, Option<i64>)>,
}

impl Sale {
    pub fn shown(&self, now: DateTime<Utc>) -> Option<i64> {
        self.versions.iter().rev().find(|(known, _)| *known <= now)?.1
    }
}

/// What the document leaves open.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a trait of its own")]
pub struct Traits {
    pub includes: (bool, bool),
    pub newest_first: bool,
    pub naive_times: bool,
    pub refuses_offset: bool,
    pub ignores_window: bool,
    pub cap: usize,
    /// Bounds mean so much later than they say.
    pub shift: TimeDelta,
}

impl Default for Traits {
    fn default() -> Self {
        Self {
            includes: (true, true),
            newest_first: true,
            naive_times: true,
            refuses_offset: false,
            ignores_window: false,
            cap: 100,
            shift: TimeDelta::zero(),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub struct Source {
    pub traits: Traits,
    /// By id, whose order is that of `by_time`.
    pub sales: BTreeMap<String, Sale>,
    pub by_time: BTreeMap<DateTime<Utc>, Vec<String>>,
}

impl Source {
    pub fn put(&mut self, id: &str, sale: Sale) {
        self.by_time.entry(sale.at).or_default().push(id.to_owned());
        self.sales.insert(id.to_owned(), sale);
    }

    /// A sale gets another time at once.
    pub fn retime(&mut self, id: &str, at: DateTime<Utc>) {
        let sale = self.sales.get_mut(id).expect("a sale of the source");
        self.by_time.get_mut(&sale.at).expect("its time").retain(|other| other != id);
        sale.at = at;
        self.by_time.entry(at).or_default().push(id.to_owned());
    }

    pub fn answer(&self, request: &Request, now: DateTime<Utc>) -> Result<Vec<u8>, Failure> {
        if request.path() == "/outlets" {
            return Ok(br#"{"outlets":[{"id":"1","name":"Warung"}]}"#.to_vec());
        }
        let traits = &self.traits;
        let value = |name| &request.query().iter().find(|(key, _)| *key == name).expect("documented").1;
        let bound = |name| {
            let text = value(name);
            let zone = jakarta();
            match NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S") {
                Ok(local) => Ok(zone.instant(local).to_utc()),
                Err(_) if traits.refuses_offset => Err(Failure::Unexpected(400)),
                Err(_) => Ok(text.parse::<DateTime<Utc>>().expect("RFC 3339")),
            }
        };
        let (from, to) = (bound("from_date")? + traits.shift, bound("to_date")? + traits.shift);
        let inside = |at: &DateTime<Utc>| {
            let (from_too, to_too) = traits.includes;
            (*at > from || from_too && *at == from) && (*at < to || to_too && *at == to)
        };
        let range = if traits.ignores_window { DateTime::<Utc>::MIN_UTC..=now } else { from..=to.max(from) };
        let ids = self.by_time.range(range).filter(|(at, _)| traits.ignores_window || inside(at));
        let rows = ids.flat_map(|(_, ids)| ids).filter_map(|id| {
            let sale = &self.sales[id];
            sale.shown(now).filter(|_| sale.at >= now - TimeDelta::days(92)).map(|amount| (id, sale.at, amount))
        });
        let mut rows: Vec<_> = rows.collect();
        if traits.newest_first {
            rows.reverse();
        }
        rows.truncate(traits.cap.min(value("limit").parse().expect("a number")));
        let form = if traits.naive_times { "%Y-%m-%dT%H:%M:%S%.f" } else { "%Y-%m-%dT%H:%M:%S%.f%:z" };
        let row = |(id, at, amount): (&String, DateTime<Utc>, i64)| {
            let at = jakarta().local(at).format(form);
            format!(r#"{{"id":"{id}","total_amount":{amount},"transaction_date":"{at}","items":[]}}"#)
        };
        Ok(format!(r#"{{"transactions":[{}]}}"#, rows.into_iter().map(row).collect::<Vec<_>>().join(",")).into())
    }

    /// Seconds that hold at least `rows` rows.
    pub fn dense_seconds(&self, now: DateTime<Utc>, rows: usize) -> Vec<DateTime<Utc>> {
        let mut counts = BTreeMap::<i64, usize>::new();
        for sale in self.sales.values().filter(|sale| sale.shown(now).is_some()) {
            *counts.entry(sale.at.timestamp()).or_default() += 1;
        }
        let dense = counts.into_iter().filter(|(_, count)| *count >= rows);
        dense.filter_map(|(second, _)| DateTime::from_timestamp(second, 0)).collect()
    }
}

pub fn jakarta() -> Zone {
    static ZONE: std::sync::LazyLock<Zone> = std::sync::LazyLock::new(|| Zone::load("Asia/Jakarta").unwrap());
    ZONE.clone()
}

pub fn token() -> Secret {
    Secret::new("qasir-token")
}

pub fn context() -> ParseContext {
    ParseContext {
        connection: "front".to_owned(),
        outlet_zone: jakarta(),
        source_zone: jakarta(),
        currency: Currency::parse("IDR").unwrap(),
        business_day_starts: NaiveTime::from_hms_opt(4, 0, 0).unwrap(),
        observed_at: DateTime::UNIX_EPOCH,
    }
}

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A connector without a memory of earlier records.
pub fn made(
    poll_every: TimeDelta,
    backfill: TimeDelta,
    cursor: Option<Vec<u8>>,
    gaps: Vec<Gap>,
    now: DateTime<Utc>,
) -> Qasir {
    let terms = Terms { context: context(), poll_every, backfill };
    Qasir::new(terms, Begin { secret: token(), cursor, gaps, memory: Arc::new(Nothing), now })
}

/// What was committed of each record, as the outbox remembers it.
#[derive(Debug, Default)]
pub struct Remembered(pub Mutex<BTreeMap<String, Known>>);

impl Memory for Remembered {
    fn find(&self, _: Resource, external_id: &str) -> Option<Known> {
        self.0.lock().unwrap().get(external_id).cloned()
    }

    fn between(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Known> {
        let known = self.0.lock().unwrap();
        known.values().filter(|known| from <= known.at && known.at < to).cloned().collect()
    }
}

/// What goes wrong, by chance and by plan.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Of 1,000 requests so many fail.
    pub per_mille: i64,
    /// Of 1,000 commits so many fail.
    pub commits_per_mille: i64,
    /// Of 10,000 steps so many are followed by a restart.
    pub restarts_per_10_000: i64,
    /// While one of these lasts nobody answers.
    pub outages: Vec<(DateTime<Utc>, DateTime<Utc>)>,
    /// Nothing goes wrong after this.
    pub until: DateTime<Utc>,
}

pub struct TestBox {
    pub source: Source,
    pub now: DateTime<Utc>,
    pub connector: Qasir,
    pub faults: Faults,
    pub chance: Chance,
    pub poll_every: TimeDelta,
    pub backfill: TimeDelta,
    /// What was committed.
    pub captured: BTreeMap<String, String>,
    pub quarantined: usize,
    pub gaps: Vec<Gap>,
    pub gap_events: usize,
    pub notices: Vec<&'static str>,
    /// Ids that were told to be gone, and shown again, in order; a hyphen stands before one that is gone.
    pub vanished: Vec<String>,
    memory: Arc<Remembered>,
    pub cursor: Option<Vec<u8>>,
    pub conditions: BTreeMap<Condition, Option<String>>,
    /// What was asked when: from and to of windows, or the path.
    pub asked: Vec<(DateTime<Utc>, String)>,
    budget: Budget,
    failures: u32,
}

impl TestBox {
    pub fn new(source: Source, now: DateTime<Utc>, poll_every: TimeDelta, backfill: TimeDelta, seed: u64) -> Self {
        let mut test = Self {
            source,
            now,
            connector: made(poll_every, backfill, None, Vec::new(), now),
            faults: Faults { until: DateTime::<Utc>::MIN_UTC, ..Faults::default() },
            chance: Chance::new(seed),
            poll_every,
            backfill,
            captured: BTreeMap::new(),
            quarantined: 0,
            gaps: Vec::new(),
            gap_events: 0,
            notices: Vec::new(),
            vanished: Vec::new(),
            memory: Arc::default(),
            cursor: None,
            conditions: BTreeMap::new(),
            asked: Vec::new(),
            budget: Budget::new(8, now),
            failures: 0,
        };
        test.restart();
        test
    }

    /// The clock is set right, backwards: as the poll loop does it.
    pub fn set_back(&mut self, now: DateTime<Utc>) {
        self.now = now;
        self.budget = Budget::new(8, now);
        self.restart();
    }

    pub fn restart(&mut self) {
        let terms = Terms { context: context(), poll_every: self.poll_every, backfill: self.backfill };
        let memory = Arc::<Remembered>::clone(&self.memory);
        let (cursor, gaps, now) = (self.cursor.clone(), self.gaps.clone(), self.now);
        self.connector = Qasir::new(terms, Begin { secret: token(), cursor, gaps, memory, now });
    }

    pub fn run_until(&mut self, end: DateTime<Utc>) {
        while self.now < end {
            self.step();
        }
    }

    /// Runs until a condition holds, `most` at most.
    pub fn run_till(&mut self, most: TimeDelta, holds: impl Fn(&Self) -> bool) {
        let end = self.now + most;
        while !holds(self) {
            assert!(self.now < end, "not within {most}: {:?}", self.progress());
            self.step();
        }
    }

    pub fn progress(&self) -> Progress {
        self.connector.progress()
    }

    pub fn watermark(&self) -> DateTime<Utc> {
        self.progress().watermark.expect("always told")
    }

    pub fn step(&mut self) {
        let faulty = self.now < self.faults.until;
        if faulty && self.chance.below(10_000) < self.faults.restarts_per_10_000 {
            self.now += TimeDelta::seconds(20);
            self.restart();
        }
        let request = match self.connector.next(self.now) {
            Step::Wait(until) => {
                assert!(until > self.now, "a wait for the past is a hot loop");
                self.now = until;
                return;
            }
            Step::Ask(request) => request,
        };
        let wait = self.budget.wait(self.now);
        if !wait.is_zero() {
            self.now += wait;
            return;
        }
        self.budget.spend(self.now);
        let bounds: Vec<_> = request.query().iter().take(2).map(|(_, text)| text.as_str()).collect();
        let what = if bounds.is_empty() { request.path().to_owned() } else { bounds.join(" ") };
        self.asked.push((self.now, what));
        let seen_at = self.now;
        let answered = self.spoilt(&request, faulty);
        self.now += TimeDelta::milliseconds(50 + self.chance.below(400));
        let taken = answered.map(|body| self.connector.take(&Answer::of(body), self.now));
        match taken {
            Ok(Ok(found)) => {
                self.failures = 0;
                let fails = faulty && self.chance.below(1_000) < self.faults.commits_per_mille;
                if fails { self.restart() } else { self.commit(found, seen_at) }
            }
            Ok(Err(_)) => self.now += TimeDelta::seconds(15),
            Err(failure) => {
                if let Some(found) = self.connector.failed(&failure, self.now) {
                    self.commit(found, seen_at);
                } else if let Failure::TooMany { retry_after } = failure {
                    self.budget.complain(retry_after, self.now, 0);
                } else {
                    self.failures += 1;
                    self.now += TimeDelta::seconds((1 << self.failures.min(6)).min(60));
                }
            }
        }
    }

    fn spoilt(&mut self, request: &Request, faulty: bool) -> Result<Vec<u8>, Failure> {
        if self.faults.outages.iter().any(|(from, to)| (*from..*to).contains(&self.now)) {
            return Err(Failure::Unreachable("an outage".to_owned()));
        }
        let body = self.source.answer(request, self.now)?;
        if !faulty || !self.chance.per_mille(self.faults.per_mille) {
            return Ok(body);
        }
        match self.chance.below(5) {
            0 => Err(Failure::Unreachable("cut".to_owned())),
            1 => Err(Failure::TooMany { retry_after: None }),
            2 => Ok(body[..body.len() / 2].to_vec()),
            3 => Ok(b"<!DOCTYPE html>".to_vec()),
            _ => Ok(br#"{"error":"later"}"#.to_vec()),
        }
    }

    /// One atomic commit; invariant 1 is checked with it.
    fn commit(&mut self, found: Yield, seen_at: DateTime<Utc>) {
        let before = self.cursor.clone().map(|bytes| watermark_and_ahead(&bytes));
        for record in found.transactions {
            let sign = if record.kind == Kind::Refund { "-" } else { "" };
            let at = record.timestamp.with_timezone(&Utc).with_nanosecond(0).unwrap();
            let (resource, external_id, kind, amount) =
                (record.resource, record.external_id.clone(), record.kind, record.amount);
            let known = Known { resource, external_id, kind, amount, at, mark: 0, vanished: false };
            let before = self.memory.0.lock().unwrap().insert(record.external_id.clone(), known);
            if before.is_some_and(|before| before.vanished) {
                self.vanished.push(record.external_id.clone());
            }
            self.captured.insert(record.external_id.clone(), format!("{sign}{}", record.amount));
        }
        for (_, id) in found.vanished {
            let mut memory = self.memory.0.lock().unwrap();
            let known = memory.get_mut(&id).expect("only what was stored can vanish");
            assert!(!std::mem::replace(&mut known.vanished, true), "told twice: {id}");
            assert_eq!(self.source.sales[&id].shown(seen_at), None, "{id} is there");
            self.vanished.push(format!("-{id}"));
        }
        self.quarantined += found.quarantined.len();
        self.gap_events += found.gaps_opened.len() + found.gaps_closed.len();
        for gap in found.gaps_opened {
            assert!(!self.gaps.contains(&gap), "opened twice: {gap:?}");
            self.gaps.push(gap);
        }
        for gap in found.gaps_closed {
            let place = self.gaps.iter().position(|open| *open == gap).expect("only an open gap can be closed");
            self.gaps.remove(place);
        }
        self.notices.extend(found.notices.iter().map(|notice| notice.code));
        self.conditions.extend(found.conditions);
        let cursor = self.connector.cursor();
        let ((after, _), (passed, had_island)) = (watermark_and_ahead(&cursor), before.unwrap_or_default());
        self.cursor = Some(cursor);
        let since = self.progress().since.expect("always told");
        for (at, ids) in self.source.by_time.range(passed.min(after).max(since)..after) {
            for id in ids {
                let sale = &self.source.sales[id];
                // What comes late into an island is for the hourly tier; the watermark may join the island first.
                let late = had_island && sale.versions[0].0 > *at + TimeDelta::minutes(5);
                let in_gap = self.gaps.iter().any(|gap| gap.from <= *at && *at <= gap.to);
                let missed = sale.shown(seen_at).is_some() && !self.captured.contains_key(id);
                assert!(!missed || late || in_gap, "the watermark {after} passed {id} of {at}, seen at {seen_at}");
            }
        }
    }

    pub fn truncated(&self) -> Vec<DateTime<Utc>> {
        let truncated = self.gaps.iter().filter(|gap| gap.reason == GapReason::Truncated);
        let mut seconds: Vec<_> = truncated.map(|gap| gap.from).collect();
        seconds.sort();
        seconds
    }

    /// What the source shows and the box has not, or has otherwise, of what lies after `since`.
    pub fn missing(&self, since: DateTime<Utc>) -> Vec<(String, Sale)> {
        let differs = |(id, sale): &(&String, &Sale)| match sale.shown(self.now) {
            Some(amount) if sale.at >= since => self.captured.get(*id) != Some(&amount.to_string()),
            _ => false,
        };
        self.source.sales.iter().filter(differs).map(|(id, sale)| (id.clone(), sale.clone())).collect()
    }

    /// Requests in each of some last hours.
    pub fn requests_since(&self, since: DateTime<Utc>) -> usize {
        self.asked.iter().filter(|(at, _)| *at >= since).count()
    }
}

fn watermark_and_ahead(cursor: &[u8]) -> (DateTime<Utc>, bool) {
    let cursor: Value = serde_json::from_slice(cursor).unwrap();
    (at(cursor["watermark"].as_str().unwrap()), !cursor["ahead"].is_null())
}
