//! A box that is a connector, a budget and what was committed, before the simulated server and a clock that stands.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use crate::{
    clock::Clock,
    config::{Credentials, Currency, System},
    demo::{
        olsera::{Olsera, Options, Profile},
        shop::{Chance, Sale},
        simulator::{InProcess, Simulator as _},
    },
    gap::Gap,
    health::Condition,
    poll::budget::Budget,
    pos::{
        connector::{Begin, Connector, Known, Memory, Step, Terms, Yield},
        http::{Ask as _, Failure},
        page::ParseContext,
        systems,
    },
    progress::Progress,
    secret::{Secret, SecretAt},
    transaction::{Resource, Transaction},
    zone::Zone,
};

pub fn jakarta() -> Zone {
    static ZONE: std::sync::LazyLock<Zone> = std::sync::LazyLock::new(|| Zone::load("Asia/Jakarta").unwrap());
    ZONE.clone()
}

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
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

/// One stored record.
#[derive(Debug, Clone)]
pub struct Held {
    pub record: Transaction,
    pub mark: u64,
    pub vanished: bool,
    pub revisions: u32,
}

/// What was committed.
#[derive(Debug, Default)]
pub struct Store(Mutex<BTreeMap<String, Held>>);

impl Memory for Store {
    fn find(&self, _: Resource, external_id: &str) -> Option<Known> {
        self.0.lock().unwrap().get(external_id).map(known)
    }

    fn between(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Known> {
        let held = self.0.lock().unwrap();
        held.values().map(known).filter(|known| from <= known.at && known.at < to).collect()
    }
}

fn known(held: &Held) -> Known {
    let record = &held.record;
    Known {
        resource: record.resource,
        external_id: record.external_id.clone(),
        kind: record.kind,
        amount: record.amount,
        at: record.timestamp.to_utc(),
        mark: held.mark,
        vanished: held.vanished,
    }
}

pub struct TestBox {
    pub sim: Arc<Olsera>,
    pub clock: Clock,
    pub connector: Box<dyn Connector>,
    pub store: Arc<Store>,
    pub gaps: Vec<Gap>,
    pub gap_events: usize,
    pub vanished: BTreeSet<String>,
    pub quarantined: usize,
    pub cursor: Option<Vec<u8>>,
    pub conditions: BTreeMap<Condition, String>,
    /// What was asked when.
    pub asked: Vec<(DateTime<Utc>, String)>,
    pub backfill: TimeDelta,
    pub poll_every: TimeDelta,
    pub secret: &'static str,
    /// Of 1,000 requests so many fail; of 1,000 steps so many are followed by a restart.
    pub faults: (u32, u32),
    pub chance: Chance,
    profile: Profile,
    client: InProcess<Olsera>,
    budget: Budget,
    failures: u32,
    now: DateTime<Utc>,
}

impl TestBox {
    pub fn new(now: &str, options: Options) -> Self {
        let now = at(now);
        let clock = Clock::standing_at(now);
        let profile = options.profile;
        let sim = Arc::new(Olsera::new(clock.clone(), options));
        let store = Arc::new(Store::default());
        let secret = if profile == Profile::Documented { "olsera-key" } else { "olsera-secret" };
        let (backfill, poll_every) = (TimeDelta::days(3), TimeDelta::seconds(15));
        let mut made = Self {
            client: InProcess::new(Arc::clone(&sim)),
            connector: connector(profile, secret, (backfill, poll_every), None, Vec::new(), Arc::clone(&store), now),
            sim,
            clock,
            store,
            gaps: Vec::new(),
            gap_events: 0,
            vanished: BTreeSet::new(),
            quarantined: 0,
            cursor: None,
            conditions: BTreeMap::new(),
            asked: Vec::new(),
            backfill,
            poll_every,
            secret,
            faults: (0, 0),
            chance: Chance::new(1),
            profile,
            budget: Budget::new(80, now),
            failures: 0,
            now,
        };
        made.restart();
        made
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    pub fn restart(&mut self) {
        let (cursor, gaps) = (self.cursor.clone(), self.gaps.clone());
        let store = Arc::clone(&self.store);
        let spans = (self.backfill, self.poll_every);
        self.connector = connector(self.profile, self.secret, spans, cursor, gaps, store, self.now);
    }

    /// A new card: nothing is known any more.
    pub fn wipe(&mut self) {
        self.store = Arc::new(Store::default());
        (self.cursor, self.gaps) = (None, Vec::new());
        self.restart();
    }

    pub fn pass(&mut self, span: TimeDelta) {
        self.now += span;
        self.clock.set(self.now);
    }

    pub fn run(&mut self, span: TimeDelta) {
        let end = self.now + span;
        while self.now < end {
            self.step();
        }
    }

    /// A minute at most.
    pub fn run_till_held(&mut self, id: &str) {
        let end = self.now + TimeDelta::minutes(1);
        while self.held(id).is_none() {
            assert!(self.now < end, "{id} was not read in time");
            self.step();
        }
    }

    /// `count` sales, so far apart, the last one now; nobody polls meanwhile.
    pub fn sell(&self, name: &str, count: i64, apart: TimeDelta) {
        let now = DateTime::from_timestamp(self.now.timestamp(), 0).unwrap();
        for n in 0..count {
            let at = now - apart * i32::try_from(count - 1 - n).unwrap();
            self.sim.put_at(at, Sale::plain(&format!("{name}-{n:03}"), 10_000 + n, at));
        }
    }

    pub fn progress(&self) -> Progress {
        self.connector.progress()
    }

    pub fn held(&self, id: &str) -> Option<Held> {
        self.store.0.lock().unwrap().get(&self.sim.external_id(id)).cloned()
    }

    pub fn count(&self) -> usize {
        self.store.0.lock().unwrap().len()
    }

    pub fn asked_since(&self, since: DateTime<Utc>, what: &str) -> usize {
        self.asked.iter().filter(|(at, asked)| *at >= since && asked.contains(what)).count()
    }

    pub fn step(&mut self) {
        if self.chance.below(1_000) < self.faults.1 {
            self.restart();
        }
        let request = match self.connector.next(self.now) {
            Step::Wait(until) => {
                assert!(until > self.now, "a wait for the past is a hot loop");
                return self.pass(until - self.now);
            }
            Step::Ask(request) => request,
        };
        let wait = self.budget.wait(self.now);
        if !wait.is_zero() {
            return self.pass(TimeDelta::from_std(wait).unwrap());
        }
        self.budget.spend(self.now);
        let query: Vec<_> = request.query().iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.asked.push((self.now, format!("{request}?{}", query.join("&"))));
        let mut answered = self.client.ask(&request, &|status| self.connector.accepts(status));
        if self.chance.below(1_000) < self.faults.0 {
            answered = match (self.chance.below(4), answered) {
                (0, Ok(mut answer)) => {
                    answer.body.truncate(answer.body.len() / 2);
                    Ok(answer)
                }
                (1, _) => Err(Failure::TooMany { retry_after: None }),
                (2, _) => Err(Failure::Trouble(503)),
                (_, _) => Err(Failure::Unreachable("cut".to_owned())),
            };
        }
        self.pass(TimeDelta::milliseconds(80));
        match answered.map(|answer| self.connector.take(&answer, self.now)) {
            Ok(Ok(found)) => {
                self.failures = 0;
                self.commit(found);
            }
            Ok(Err(_)) => {
                self.conditions.insert(Condition::PosUnreadable, String::new());
                self.pass(TimeDelta::seconds(15));
            }
            Err(failure) => match (self.connector.failed(&failure, self.now), failure) {
                (Some(found), _) => self.commit(found),
                (None, Failure::TooMany { retry_after }) => self.budget.complain(retry_after, self.now, 0),
                (None, Failure::Refused(_)) => {
                    self.conditions.insert(Condition::PosRefused, String::new());
                    self.pass(TimeDelta::minutes(5));
                }
                (None, _) => {
                    self.failures += 1;
                    self.pass(TimeDelta::seconds((1 << self.failures.min(6)).min(60)));
                }
            },
        }
    }

    fn commit(&mut self, found: Yield) {
        for condition in [Condition::PosUnreadable, Condition::PosRefused] {
            self.conditions.remove(&condition);
        }
        let mut held = self.store.0.lock().unwrap();
        for record in found.transactions {
            let mark = found.marks.get(&(record.resource, record.external_id.clone())).copied();
            let before = held.get(&record.external_id);
            let same = before.is_some_and(|before| before.record.content_id() == record.content_id());
            let next = Held {
                mark: mark.or(before.map(|before| before.mark)).unwrap_or(0),
                vanished: false,
                revisions: before.map_or(0, |before| before.revisions) + u32::from(!same),
                record,
            };
            self.vanished.remove(&next.record.external_id);
            held.insert(next.record.external_id.clone(), next);
        }
        for (_, id) in found.vanished {
            let gone = held.get_mut(&id).expect("only what is stored can vanish");
            assert!(!std::mem::replace(&mut gone.vanished, true), "told twice");
            self.vanished.insert(id);
        }
        drop(held);
        self.quarantined += found.quarantined.len();
        self.gap_events += found.gaps_opened.len() + found.gaps_closed.len();
        for gap in found.gaps_closed {
            let place = self.gaps.iter().position(|open| *open == gap).expect("only an open gap can be closed");
            self.gaps.remove(place);
        }
        for gap in found.gaps_opened {
            assert!(!self.gaps.contains(&gap) && gap.from < gap.to, "opened twice: {gap:?}");
            self.gaps.push(gap);
        }
        for (condition, text) in found.conditions {
            let refused = condition == Condition::PosRefused && text.is_some();
            match text {
                Some(text) => drop(self.conditions.insert(condition, text)),
                None => drop(self.conditions.remove(&condition)),
            }
            if refused {
                self.pass(TimeDelta::minutes(5));
            }
        }
        self.cursor = Some(self.connector.cursor());
    }

    /// Every difference between what is held and what may be held, of what the box was to read at all.
    pub fn differences(&self) -> Vec<String> {
        let since = self.progress().since.unwrap();
        let sheet = self.sim.sheet(self.now);
        let held = self.store.0.lock().unwrap();
        let mut all = Vec::new();
        for (key, entry) in &sheet {
            let Some(held) = held.get(key.strip_prefix("transaction/").unwrap()) else {
                if !entry.optional && entry.at >= since {
                    all.push(format!("{key} is missing, of {}", entry.at));
                }
                continue;
            };
            let record = &held.record;
            let kind = serde_json::to_value(record.kind).unwrap();
            let kinds: Vec<_> = entry.kinds.iter().map(|kind| kind.name()).collect();
            let total = entry.total.normalize().to_string();
            let is_it = kinds.contains(&kind.as_str().unwrap()) && record.amount.to_string() == total;
            if !is_it || record.timestamp.to_utc() != entry.at || held.vanished {
                all.push(format!("{key} is {kind} {} {}, not {entry:?}", record.amount, record.timestamp));
            }
        }
        for (id, held) in held.iter().filter(|(_, held)| !held.vanished) {
            if !sheet.contains_key(&format!("transaction/{id}")) {
                all.push(format!("{id} of {} is held and gone", held.record.timestamp));
            }
        }
        all
    }
}

fn connector(
    profile: Profile,
    secret: &str,
    (backfill, poll_every): (TimeDelta, TimeDelta),
    cursor: Option<Vec<u8>>,
    gaps: Vec<Gap>,
    memory: Arc<Store>,
    now: DateTime<Utc>,
) -> Box<dyn Connector> {
    let here = SecretAt::Here(Secret::new(secret));
    let credentials = match profile {
        Profile::Documented => Credentials::ApiKey { merchant_id: "M-8812".to_owned(), api_key: here },
        Profile::OpenApi => Credentials::App { app_id: "olsera-app".to_owned(), secret_key: here },
    };
    let terms = Terms { context: context(), poll_every, backfill };
    let begin = Begin { secret: Secret::new(secret), cursor, gaps, memory, now };
    systems::connector("", System::Olsera, &credentials, terms, begin)
}

/// A whole second of Jakarta's time as a gap's bound.
pub fn bounds(gap: &Gap) -> (String, String) {
    let text = |at: DateTime<Utc>| jakarta().local(at).to_rfc3339();
    (text(gap.from), text(gap.to))
}
