//! A server that is a function from request to answer, with everything that the integrators' guide leaves open.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use serde_json::Value;

pub use crate::pos::world::{Chance, Faults, Store, at};
use crate::{
    clock::Clock,
    config::Credentials,
    gap::{Gap, GapReason},
    pos::{
        connector::{Begin, Nothing, Terms},
        http::{Answer, Failure},
        page::ParseContext,
        qasir::connector::Qasir,
        request::Request,
        world::{self, System},
    },
    secret::{Secret, SecretAt},
    transaction::{Kind, Resource},
    zone::Zone,
};

pub type TestBox = world::TestBox<Source>;

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
    /// The filter looks at the day of its bounds alone.
    pub by_day: bool,
    pub cap: usize,
    /// What stands in each row in the place of what: it is put aside.
    pub spoils: Option<(&'static str, &'static str)>,
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
            by_day: false,
            cap: 100,
            spoils: None,
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
    /// By how much the box's clock is ahead of the truth.
    pub ahead: TimeDelta,
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
        let (from, to) = if traits.by_day {
            let begins = |day: NaiveDate| jakarta().day_begins(day, NaiveTime::MIN);
            let day = |at| jakarta().local(at).date_naive();
            (begins(day(from)), begins(day(to).succ_opt().expect("a day")) - TimeDelta::nanoseconds(1))
        } else {
            (from, to)
        };
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
            let row = format!(r#"{{"id":"{id}","total_amount":{amount},"transaction_date":"{at}","items":[]}}"#);
            traits.spoils.map_or_else(|| row.clone(), |(good, bad)| row.replace(good, bad))
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
    static ZONE: std::sync::LazyLock<Zone> = std::sync::LazyLock::new(|| world::zone("Asia/Jakarta"));
    ZONE.clone()
}

pub fn context() -> ParseContext {
    world::context(&jakarta(), "IDR")
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
    Qasir::new(terms, Begin { secret: Secret::new(TOKEN), cursor, gaps, memory: Arc::new(Nothing), now })
}

const TOKEN: &str = "qasir-token";

impl System for Source {
    type Connector = Qasir;

    const REQUESTS_PER_MINUTE: u32 = 8;

    fn context() -> ParseContext {
        context()
    }

    fn connector(_: &Credentials, terms: Terms, begin: Begin) -> Box<Qasir> {
        Box::new(Qasir::new(terms, begin))
    }

    fn ask(&self, request: &Request, now: DateTime<Utc>, _: &dyn Fn(u16) -> bool) -> Result<Answer, Failure> {
        self.answer(request, now - self.ahead).map(Answer::of)
    }

    fn shows(&self, key: &str, now: DateTime<Utc>) -> bool {
        let id = key.strip_prefix("transaction/").expect("Qasir has nothing else");
        self.sales[id].shown(now).is_some()
    }

    /// From and to of a window, or the path.
    fn written(request: &Request) -> String {
        let bounds: Vec<_> = request.query().iter().take(2).map(|(_, text)| text.as_str()).collect();
        if bounds.is_empty() { request.path().to_owned() } else { bounds.join(" ") }
    }

    /// The watermark passes nothing that was shown and is not stored.
    fn check(test: &TestBox, before: Option<&[u8]>, seen_at: DateTime<Utc>) {
        if test.server.traits.spoils.is_some() || !test.server.ahead.is_zero() {
            return;
        }
        let (passed, had_island) = before.map(watermark_and_ahead).unwrap_or_default();
        let (after, _) = watermark_and_ahead(test.cursor.as_ref().expect("just committed"));
        let since = test.progress().since.expect("always told");
        for (at, ids) in test.server.by_time.range(passed.min(after).max(since)..after) {
            for id in ids {
                let sale = &test.server.sales[id];
                // What comes late into an island is for the hourly tier; the watermark may join the island first.
                let late = had_island && sale.versions[0].0 > *at + TimeDelta::minutes(5);
                let in_gap = test.gaps.iter().any(|gap| gap.from <= *at && *at <= gap.to);
                let missed = sale.shown(seen_at).is_some() && !test.has(id);
                assert!(!missed || late || in_gap, "the watermark {after} passed {id} of {at}, seen at {seen_at}");
            }
        }
    }
}

impl TestBox {
    pub fn new(source: Source, now: DateTime<Utc>, poll_every: TimeDelta, backfill: TimeDelta, seed: u64) -> Self {
        let credentials = Credentials::Bearer { token: SecretAt::Here(Secret::new(TOKEN)) };
        let mut test = Self::of(source, Clock::standing_at(now), (credentials, TOKEN), (poll_every, backfill));
        test.chance = Chance::new(seed);
        test
    }

    pub fn watermark(&self) -> DateTime<Utc> {
        self.progress().watermark.expect("always told")
    }

    /// Whether a sale was captured, whatever became of it.
    pub fn has(&self, id: &str) -> bool {
        self.hq.contains_key(&(Resource::Transaction, id.to_owned()))
    }

    pub fn truncated(&self) -> Vec<DateTime<Utc>> {
        let truncated = self.gaps.iter().filter(|gap| gap.reason == GapReason::Truncated);
        let mut seconds: Vec<_> = truncated.map(|gap| gap.from).collect();
        seconds.sort();
        seconds
    }

    /// What the source shows and HQ has not, or has otherwise, of what lies after `since`.
    pub fn missing(&self, since: DateTime<Utc>) -> Vec<(String, Sale)> {
        let held = |id: &str| {
            let record = self.hq.get(&(Resource::Transaction, id.to_owned()))?;
            let sign = if record.kind == Kind::Refund { "-" } else { "" };
            Some(format!("{sign}{}", record.amount))
        };
        let differs = |(id, sale): &(&String, &Sale)| match sale.shown(self.now) {
            Some(amount) if sale.at >= since => held(id) != Some(amount.to_string()),
            _ => false,
        };
        self.server.sales.iter().filter(differs).map(|(id, sale)| (id.clone(), sale.clone())).collect()
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
