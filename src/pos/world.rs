//! The world in which the tests drive a connector: its server, a box that remembers what was committed, HQ, and a clock
//! that stands until it is set.
//!
//! The box does what the poll loop does, without I/O: it asks for the next step, keeps to the budget, commits what an
//! answer brought together with the cursor, and makes the connector anew where a commit is lost. It trusts the connector
//! with nothing: a wait for the past, a gap that is opened twice or closed though it is not open, a sale that is told to
//! be gone twice, or though it is there, and an answer of the server's own that cannot be read end the test.
//!
//! What a [`System`] must say is its server, its connector, and how its requests are written down.

mod chance;
pub mod store;

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

pub use self::{
    chance::Chance,
    store::{Id, Store, key},
};
use super::{
    connector::{Begin, Connector, Memory, RESCAN_HORIZON, Step, Terms, Yield},
    http::{Answer, Failure},
    page::ParseContext,
    request::Request,
    systems,
};
use crate::{
    checkpoint::reach,
    clock::Clock,
    config::{Credentials, Currency},
    gap::Gap,
    health::Condition,
    poll::budget::Budget,
    progress::Progress,
    secret::Secret,
    transaction::Transaction,
    zone::Zone,
};

/// From one login that is refused to the next, as the poll loop has it.
const REFUSED_WAIT: TimeDelta = TimeDelta::minutes(5);

/// A server, and the connector that reads it.
pub trait System: Sized {
    type Connector: Connector + ?Sized;

    const REQUESTS_PER_MINUTE: u32;

    /// What parsing must know.
    fn context() -> ParseContext;

    fn connector(credentials: &Credentials, terms: Terms, begin: Begin) -> Box<Self::Connector>;

    fn ask(&self, request: &Request, now: DateTime<Utc>, accepts: &dyn Fn(u16) -> bool) -> Result<Answer, Failure>;

    /// Whether the source has this record, by its [`key`].
    fn shows(&self, key: &str, now: DateTime<Utc>) -> bool;

    /// How a request stands in [`TestBox::asked`], and is shown to a [`Meddler`].
    fn written(request: &Request) -> String {
        let query: Vec<_> = request.query().iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}?{}", request.path(), query.join("&"))
    }

    /// Looks at what was committed just now, of an answer of `seen_at`; `before` is the cursor until then.
    fn check(_: &TestBox<Self>, _before: Option<&[u8]>, _seen_at: DateTime<Utc>) {}
}

/// What goes wrong, by chance and by plan.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Of 1,000 requests so many fail, or are answered with what is no answer.
    pub requests_per_mille: i64,
    /// Of 1,000 commits so many fail.
    pub commits_per_mille: i64,
    /// Of 10,000 steps so many are preceded by a restart.
    pub restarts_per_10_000: i64,
    /// Nothing goes wrong by chance after this.
    pub until: Option<DateTime<Utc>>,
    /// While one of these lasts nobody answers.
    pub outages: Vec<(DateTime<Utc>, DateTime<Utc>)>,
    /// The next requests meet these, the last one first.
    pub next: Vec<Failure>,
}

/// What becomes of the answer to a request on its way to the box.
pub type Meddler = Box<dyn FnMut(&str, Result<Answer, Failure>) -> Result<Answer, Failure>>;

pub struct TestBox<S: System> {
    pub server: S,
    pub clock: Clock,
    pub now: DateTime<Utc>,
    pub connector: Box<S::Connector>,
    pub credentials: Credentials,
    pub secret: String,
    pub backfill: TimeDelta,
    pub poll_every: TimeDelta,
    pub faults: Faults,
    pub chance: Chance,
    pub meddler: Option<Meddler>,
    pub store: Arc<Store>,
    pub cursor: Option<Vec<u8>>,
    /// The latest state of everything that was ever committed.
    pub hq: BTreeMap<Id, Transaction>,
    /// Records that were news.
    pub news: usize,
    /// The keys of what was committed, in order.
    pub order: Vec<String>,
    /// The keys of what was told to be gone, a hyphen before each, and of what was there again, in order.
    pub vanished: Vec<String>,
    pub quarantined: usize,
    pub gaps: Vec<Gap>,
    pub gap_events: usize,
    pub notices: Vec<&'static str>,
    /// What was told last of each condition: its text, or that it is over.
    pub conditions: BTreeMap<Condition, Option<String>>,
    /// What was asked when.
    pub asked: Vec<(DateTime<Utc>, String)>,
    pub failures: Vec<Failure>,
    /// Answers that were not taken.
    pub unreadable: usize,
    budget: Budget,
    failed: u32,
}

impl<S: System> TestBox<S> {
    pub fn of(
        server: S,
        clock: Clock,
        (credentials, secret): (Credentials, &str),
        (poll_every, backfill): (TimeDelta, TimeDelta),
    ) -> Self {
        let now = clock.now();
        let store = Arc::<Store>::default();
        let terms = Terms { context: S::context(), poll_every, backfill };
        let memory = Arc::clone(&store) as Arc<dyn Memory>;
        let begin = Begin { secret: Secret::new(secret), cursor: None, gaps: Vec::new(), memory, now };
        Self {
            connector: S::connector(&credentials, terms, begin),
            server,
            clock,
            now,
            credentials,
            secret: secret.to_owned(),
            backfill,
            poll_every,
            faults: Faults::default(),
            chance: Chance::new(1),
            meddler: None,
            store,
            cursor: None,
            hq: BTreeMap::new(),
            news: 0,
            order: Vec::new(),
            vanished: Vec::new(),
            quarantined: 0,
            gaps: Vec::new(),
            gap_events: 0,
            notices: Vec::new(),
            conditions: BTreeMap::new(),
            asked: Vec::new(),
            failures: Vec::new(),
            unreadable: 0,
            budget: Budget::new(S::REQUESTS_PER_MINUTE, now),
            failed: 0,
        }
    }

    /// The connector is made anew from what is stored.
    pub fn restart(&mut self) {
        let terms = Terms { context: S::context(), poll_every: self.poll_every, backfill: self.backfill };
        let memory = Arc::clone(&self.store) as Arc<dyn Memory>;
        let (cursor, gaps, now) = (self.cursor.clone(), self.gaps.clone(), self.now);
        let begin = Begin { secret: Secret::new(&*self.secret), cursor, gaps, memory, now };
        self.connector = S::connector(&self.credentials, terms, begin);
    }

    /// Another box in the place of this one: it remembers nothing, HQ everything.
    pub fn wipe(&mut self) {
        self.store = Arc::default();
        (self.cursor, self.gaps) = (None, Vec::new());
        self.restart();
    }

    /// Another box in the place of this one some time later, which goes on by the checkpoint that this one left: as the
    /// line to HQ does it.
    pub fn replace(&mut self, system: crate::config::System, after: TimeDelta) {
        let (progress, reach) = (self.progress(), systems::reach(system, self.backfill));
        let begun = reach::begun(&progress, reach, None, self.now);
        self.pass(after);
        self.wipe();
        let watermark = progress.watermark.expect("something was read");
        let from = reach::read_from(watermark, begun, Some(reach), RESCAN_HORIZON, self.now);
        self.connector.rewind(from.expect("an instant of our time"));
    }

    /// The clock is set right, backwards: as the poll loop does it.
    pub fn set_back(&mut self, now: DateTime<Utc>) {
        self.now = now;
        self.budget = Budget::new(S::REQUESTS_PER_MINUTE, now);
        self.restart();
    }

    /// Nobody polls meanwhile.
    pub fn pass(&mut self, span: TimeDelta) {
        self.now += span;
        self.clock.set(self.now);
    }

    pub fn run(&mut self, span: TimeDelta) {
        self.run_until(self.now + span);
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

    /// The text of a condition that holds.
    pub fn holds(&self, condition: Condition) -> Option<&str> {
        self.conditions.get(&condition).and_then(Option::as_deref)
    }

    pub fn all_is_well(&self) -> bool {
        self.conditions.values().all(Option::is_none)
    }

    /// One thing, as the poll loop does it.
    pub fn step(&mut self) {
        self.clock.set(self.now);
        let faulty = self.faults.until.is_none_or(|until| self.now < until);
        if faulty && self.chance.below(10_000) < self.faults.restarts_per_10_000 {
            self.pass(TimeDelta::seconds(20));
            self.restart();
        }
        let request = match self.connector.next(self.now) {
            Step::Wait(until) => {
                assert!(until > self.now, "a wait for the past is a hot loop");
                return self.pass((until - self.now).max(TimeDelta::milliseconds(100)));
            }
            Step::Ask(request) => request,
        };
        let wait = self.budget.wait(self.now);
        if !wait.is_zero() {
            return self.pass(TimeDelta::from_std(wait).unwrap());
        }
        self.budget.spend(self.now);
        let seen_at = self.now;
        let (answered, is_own) = self.ask(&request, faulty);
        let took = TimeDelta::milliseconds(50 + self.chance.below(400));
        self.pass(took);
        match answered.map(|answer| self.connector.take(&answer, self.now)) {
            Ok(Ok(found)) => {
                self.failed = 0;
                self.store(found, seen_at, faulty);
            }
            Ok(Err(fault)) => {
                assert!(!is_own, "{request}: {fault}");
                self.unreadable += 1;
                self.tell(Condition::PosUnreadable, Some(fault));
                self.pass(TimeDelta::seconds(15));
            }
            Err(failure) => self.fail(&failure, seen_at, faulty),
        }
    }

    /// The answer as it reaches the box, and whether it is the server's own.
    fn ask(&mut self, request: &Request, faulty: bool) -> (Result<Answer, Failure>, bool) {
        let written = S::written(request);
        self.asked.push((self.now, written.clone()));
        if self.faults.outages.iter().any(|(from, to)| (*from..*to).contains(&self.now)) {
            return (Err(Failure::Unreachable("an outage".to_owned())), false);
        }
        let answered = self.server.ask(request, self.now, &|status| self.connector.accepts(status));
        if let Some(failure) = self.faults.next.pop() {
            return (Err(failure), false);
        }
        if faulty && self.chance.per_mille(self.faults.requests_per_mille) {
            return (self.spoilt(answered), false);
        }
        match &mut self.meddler {
            Some(meddler) => (meddler(&written, answered), false),
            None => (answered, true),
        }
    }

    fn spoilt(&mut self, answered: Result<Answer, Failure>) -> Result<Answer, Failure> {
        let mut answer = answered?;
        match self.chance.below(7) {
            0 => return Err(Failure::Unreachable("cut".to_owned())),
            1 => return Err(Failure::TooMany { retry_after: None }),
            2 => return Err(Failure::Trouble(500)),
            3 => return Err(Failure::Trouble(503)),
            4 => answer.body.truncate(answer.body.len() / 2),
            5 => answer.body = b"<!DOCTYPE html>".to_vec(),
            _ => answer.body = br#"{"error":"later"}"#.to_vec(),
        }
        Ok(answer)
    }

    fn fail(&mut self, failure: &Failure, seen_at: DateTime<Utc>, faulty: bool) {
        self.failures.push(failure.clone());
        if let Some(found) = self.connector.failed(failure, self.now) {
            return self.store(found, seen_at, faulty);
        }
        match failure {
            Failure::TooMany { retry_after } => self.budget.complain(*retry_after, self.now, 0),
            Failure::Refused(status) => {
                self.tell(Condition::PosRefused, Some(status.to_string()));
                self.pass(REFUSED_WAIT);
            }
            _ => {
                self.failed += 1;
                self.pass(TimeDelta::seconds((1 << self.failed.min(6)).min(60)));
            }
        }
    }

    fn store(&mut self, found: Yield, seen_at: DateTime<Utc>, faulty: bool) {
        if faulty && self.chance.per_mille(self.faults.commits_per_mille) {
            self.restart();
        } else {
            self.commit(found, seen_at);
        }
    }

    /// One atomic commit.
    fn commit(&mut self, found: Yield, seen_at: DateTime<Utc>) {
        for record in found.transactions {
            let id = (record.resource, record.external_id.clone());
            let put = self.store.put(&record, found.marks.get(&id).copied());
            self.order.push(key(&id));
            if put.was_gone {
                self.vanished.push(key(&id));
            }
            if put.is_news {
                self.news += 1;
                self.hq.insert(id, record);
            }
        }
        for id in found.vanished {
            self.store.vanish(&id);
            assert!(self.meddler.is_some() || !self.server.shows(&key(&id), seen_at), "{id:?} is there");
            self.vanished.push(format!("-{}", key(&id)));
        }
        self.quarantined += found.quarantined.len();
        self.gap_events += found.gaps_opened.len() + found.gaps_closed.len();
        for gap in found.gaps_opened {
            assert!(!self.gaps.contains(&gap) && gap.from < gap.to, "opened twice, or empty: {gap:?}");
            self.gaps.push(gap);
        }
        for gap in found.gaps_closed {
            let place = self.gaps.iter().position(|open| *open == gap).expect("only an open gap can be closed");
            self.gaps.remove(place);
        }
        self.notices.extend(found.notices.iter().map(|notice| notice.code));
        for condition in [Condition::PosUnreadable, Condition::PosRefused] {
            self.tell(condition, None);
        }
        for (condition, text) in found.conditions {
            let is_refused = condition == Condition::PosRefused && text.is_some();
            self.tell(condition, text);
            if is_refused {
                self.pass(REFUSED_WAIT);
            }
        }
        let before = self.cursor.replace(self.connector.cursor());
        S::check(self, before.as_deref(), seen_at);
    }

    fn tell(&mut self, condition: Condition, text: Option<String>) {
        self.conditions.insert(condition, text);
    }
}

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub fn zone(name: &str) -> Zone {
    Zone::load(name).unwrap()
}

/// A shop whose source tells its own zone's time, and whose business day begins at four.
pub fn context(zone: &Zone, currency: &str) -> ParseContext {
    ParseContext {
        connection: "front".to_owned(),
        outlet_zone: zone.clone(),
        source_zone: zone.clone(),
        currency: Currency::parse(currency).unwrap(),
        business_day_starts: NaiveTime::from_hms_opt(4, 0, 0).unwrap(),
        observed_at: DateTime::UNIX_EPOCH,
    }
}
