//! A box that is a connector, a budget and what was committed; HQ, that keeps the latest state of everything; and the
//! simulated server between.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use crate::{
    clock::Clock,
    config::{Credentials, Currency},
    demo::{
        pos_kasir::{Options, PosKasir as Server, uuid},
        shop::{self, Chance, Sale},
        simulator::{InProcess, Simulator},
    },
    gap::Gap,
    health::Condition,
    poll::budget::Budget,
    pos::{
        connector::{Begin, Connector, Known, Memory, Step, Terms, Yield},
        http::{Answer, Ask, Failure},
        page::ParseContext,
        pos_kasir::connector::PosKasir,
    },
    progress::Progress,
    secret::{Secret, SecretAt},
    transaction::{Kind, Resource, Transaction},
    zone::Zone,
};

pub type Id = (Resource, String);

#[derive(Debug, Clone)]
pub struct Stored {
    pub record: Transaction,
    pub mark: u64,
    pub vanished: bool,
}

/// What the box has stored.
#[derive(Debug, Default)]
pub struct Store(pub Mutex<BTreeMap<Id, Stored>>);

fn known(stored: &Stored) -> Known {
    let record = &stored.record;
    Known {
        resource: record.resource,
        external_id: record.external_id.clone(),
        kind: record.kind,
        amount: record.amount,
        at: crate::pos::pos_kasir::walk::whole_second(record.timestamp.to_utc()),
        mark: stored.mark,
        vanished: stored.vanished,
    }
}

impl Memory for Store {
    fn find(&self, resource: Resource, external_id: &str) -> Option<Known> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.get(&(resource, external_id.to_owned())).map(known)
    }

    fn between(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Known> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let inside = |stored: &&Stored| (from..to).contains(&stored.record.timestamp.to_utc());
        map.values().filter(inside).map(known).collect()
    }
}

/// What goes wrong, by chance: of a thousand each.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    pub requests: u32,
    pub commits: u32,
    pub restarts: u32,
}

/// What becomes of the answer to a request, shown as its path and page, on its way to the box.
pub type Meddler = Box<dyn Fn(&str, Result<Answer, Failure>) -> Result<Answer, Failure>>;

pub struct TestBox {
    pub server: Arc<Server>,
    pub clock: Clock,
    pub now: DateTime<Utc>,
    pub connector: PosKasir,
    pub store: Arc<Store>,
    pub hq: BTreeMap<Id, Transaction>,
    pub gaps: Vec<Gap>,
    pub notices: Vec<&'static str>,
    pub conditions: BTreeMap<Condition, String>,
    pub failures: Vec<Failure>,
    pub quarantined: usize,
    pub cursor: Option<Vec<u8>>,
    /// Records that were news.
    pub news: usize,
    pub asked: Vec<(DateTime<Utc>, String)>,
    pub password: String,
    pub credentials: Credentials,
    pub faults: Faults,
    pub chance: Chance,
    pub backfill: TimeDelta,
    pub poll_every: TimeDelta,
    pub meddler: Meddler,
    budget: Budget,
    failed: u32,
    refused_until: Option<DateTime<Utc>>,
}

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub fn zone(name: &str) -> Zone {
    Zone::load(name).unwrap()
}

/// Nine in the morning in Jakarta.
pub fn morning() -> DateTime<Utc> {
    at("2026-03-14T02:00:00Z")
}

impl TestBox {
    pub fn new(turn: impl FnOnce(&mut Options)) -> Self {
        Self::at(morning(), turn)
    }

    pub fn at(now: DateTime<Utc>, turn: impl FnOnce(&mut Options)) -> Self {
        let clock = Clock::standing_at(now);
        let mut options = Options::new(zone("Etc/UTC"));
        turn(&mut options);
        let user = options.users[0].clone();
        let server = Arc::new(Server::new(clock.clone(), options));
        let store = Arc::new(Store::default());
        let password = SecretAt::Here(Secret::new(user.password.clone()));
        let credentials = Credentials::Login { email: user.email, password };
        let (backfill, poll_every) = (TimeDelta::days(90), TimeDelta::seconds(15));
        let begin = begin(&user.password, None, Vec::new(), &store, now);
        let connector = PosKasir::new(terms(backfill, poll_every), &credentials, begin);
        Self {
            server,
            clock,
            now,
            connector,
            store,
            hq: BTreeMap::new(),
            gaps: Vec::new(),
            notices: Vec::new(),
            conditions: BTreeMap::new(),
            failures: Vec::new(),
            quarantined: 0,
            cursor: None,
            news: 0,
            asked: Vec::new(),
            password: user.password,
            credentials,
            faults: Faults::default(),
            chance: Chance::new(1),
            backfill,
            poll_every,
            meddler: Box::new(|_, answered| answered),
            budget: Budget::new(30, now),
            failed: 0,
            refused_until: None,
        }
    }

    pub fn restart(&mut self) {
        let begin = begin(&self.password, self.cursor.clone(), self.gaps.clone(), &self.store, self.now);
        self.connector = PosKasir::new(terms(self.backfill, self.poll_every), &self.credentials, begin);
    }

    /// Another box in the place of this one: it remembers nothing, HQ everything.
    pub fn wipe(&mut self) {
        self.store = Arc::new(Store::default());
        (self.cursor, self.gaps) = (None, Vec::new());
        self.restart();
    }

    pub fn put(&self, sale: Sale) {
        self.server.put_at(self.now, sale);
    }

    /// A sale of now.
    pub fn sell(&self, id: &str, total: i64) {
        self.put(Sale::plain(id, total, self.now));
    }

    pub fn refund(&self, id: &str) {
        let refund_of = Some(id.to_owned());
        self.put(Sale { kind: shop::Kind::Refund, refund_of, ..Sale::plain(&format!("{id}-refund"), 1, self.now) });
    }

    pub fn run(&mut self, span: TimeDelta) {
        let end = self.now + span;
        while self.now < end {
            self.step();
        }
    }

    pub fn minutes(&mut self, minutes: i64) {
        self.run(TimeDelta::minutes(minutes));
    }

    pub fn progress(&self) -> Progress {
        self.connector.progress()
    }

    fn pass(&mut self, span: TimeDelta) {
        self.now += span.max(TimeDelta::milliseconds(100));
        self.clock.set(self.now);
    }

    pub fn step(&mut self) {
        if self.chance.below(1_000) < self.faults.restarts {
            self.restart();
        }
        if let Some(until) = self.refused_until.take_if(|until| *until > self.now) {
            return self.pass(until - self.now);
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
        let page = request
            .query()
            .iter()
            .find(|(name, _)| *name == "page")
            .map_or(String::new(), |(_, page)| format!("#{page}"));
        let asked = format!("{}{page}", request.path());
        self.asked.push((self.now, asked.clone()));
        let answered = if self.chance.below(1_000) < self.faults.requests {
            Err(if self.chance.below(2) == 0 { Failure::Trouble(500) } else { Failure::Unreachable("cut".to_owned()) })
        } else {
            InProcess::new(Arc::clone(&self.server)).ask(&request, &|status| self.connector.accepts(status))
        };
        let answered = (self.meddler)(&asked, answered);
        self.pass(TimeDelta::milliseconds(150));
        match answered.map(|answer| self.connector.take(&answer, self.now)) {
            Ok(Ok(found)) => {
                self.failed = 0;
                if self.chance.below(1_000) < self.faults.commits { self.restart() } else { self.commit(found) }
            }
            Ok(Err(_)) => self.pass(TimeDelta::seconds(15)),
            Err(failure) => self.fail(&failure),
        }
    }

    fn fail(&mut self, failure: &Failure) {
        self.failures.push(failure.clone());
        if let Some(found) = self.connector.failed(failure, self.now) {
            return self.commit(found);
        }
        match failure {
            Failure::Refused(_) => self.refused_until = Some(self.now + TimeDelta::minutes(5)),
            Failure::TooMany { retry_after } => self.budget.complain(*retry_after, self.now, 0),
            _ => {
                self.failed += 1;
                self.pass(TimeDelta::seconds((1 << self.failed.min(6)).min(60)));
            }
        }
    }

    fn commit(&mut self, found: Yield) {
        let mut map = self.store.0.lock().unwrap();
        for record in found.transactions {
            let id = (record.resource, record.external_id.clone());
            let mark = found.marks.get(&id).copied();
            let before = map.get(&id);
            let mark = mark.or(before.map(|stored| stored.mark)).unwrap_or(0);
            if before.is_none_or(|stored| stored.record.content_id() != record.content_id()) {
                self.news += 1;
                self.hq.insert(id.clone(), record.clone());
            }
            map.insert(id, Stored { record, mark, vanished: false });
        }
        for id in found.vanished {
            let stored = map.get_mut(&id).expect("only what is stored can vanish");
            if !std::mem::replace(&mut stored.vanished, true) {
                self.notices.push("vanished_at_source");
            }
        }
        drop(map);
        self.quarantined += found.quarantined.len();
        for gap in found.gaps_opened {
            assert!(!self.gaps.contains(&gap), "opened twice: {gap:?}");
            self.gaps.push(gap);
        }
        for gap in found.gaps_closed {
            let place = self.gaps.iter().position(|open| *open == gap).expect("only an open gap can be closed");
            self.gaps.remove(place);
        }
        self.notices.extend(found.notices.iter().map(|notice| notice.code));
        for (condition, text) in found.conditions {
            match text {
                Some(text) => drop(self.conditions.insert(condition, text)),
                None => drop(self.conditions.remove(&condition)),
            }
        }
        self.cursor = Some(self.connector.cursor());
    }

    /// HQ's state of an order, and of the refund that was derived from it.
    pub fn kinds(&self, sale: &str) -> (Option<Kind>, Option<Kind>) {
        let kind = |resource| self.hq.get(&(resource, uuid(sale))).map(|record| record.kind);
        (kind(Resource::Order), kind(Resource::OrderRefund))
    }

    pub fn order(&self, sale: &str) -> &Transaction {
        &self.hq[&(Resource::Order, uuid(sale))]
    }

    /// Where HQ's states are not what the server's sheet allows.
    pub fn differences(&self) -> Vec<String> {
        let sheet = self.server.sheet(self.now);
        let mut differences = Vec::new();
        let sign = |key: &str| {
            let record = self.hq.iter().find(|((resource, id), _)| format!("{}/{id}", resource.name()) == key);
            record.map_or(0, |(_, record)| match record.kind {
                Kind::Sale => 1,
                Kind::Refund => -1,
                _ => 0,
            })
        };
        let held: BTreeMap<_, _> =
            self.hq.iter().map(|((resource, id), record)| (format!("{}/{id}", resource.name()), record)).collect();
        for (key, entry) in &sheet {
            let Some(record) = held.get(key) else {
                if !entry.optional {
                    differences.push(format!("{key} lacks"));
                }
                continue;
            };
            let kind = serde_json::to_value(record.kind).unwrap();
            if !entry.kinds.iter().any(|allowed| kind == allowed.name()) {
                differences.push(format!("{key} is {kind}, not {:?}", entry.kinds));
            }
            // A refund that is not is of no day and no amount: a new box need not know what an earlier one said of it.
            if entry.optional && record.kind == Kind::Void {
                continue;
            }
            if record.amount.to_string() != entry.total.normalize().to_string() {
                differences.push(format!("{key} comes to {}, not {}", record.amount, entry.total));
            }
            if record.timestamp.to_utc() != entry.at {
                differences.push(format!("{key} is of {}, not {}", record.timestamp, entry.at));
            }
            if let Some(other) = &entry.balances
                && sign(key) + sign(other) != 0
            {
                differences.push(format!("{key} and {other} do not come to nothing"));
            }
        }
        let gone = |id: &Id| self.store.0.lock().unwrap().get(id).is_some_and(|stored| stored.vanished);
        for (id, record) in &self.hq {
            let key = format!("{}/{}", id.0.name(), id.1);
            if !sheet.contains_key(&key) && !gone(id) {
                differences.push(format!("{key} is {:?} and the source has none", record.kind));
            }
        }
        differences
    }
}

pub fn terms(backfill: TimeDelta, poll_every: TimeDelta) -> Terms {
    let context = ParseContext {
        connection: "front".to_owned(),
        outlet_zone: zone("Asia/Jakarta"),
        source_zone: zone("Asia/Jakarta"),
        currency: Currency::parse("IDR").unwrap(),
        business_day_starts: NaiveTime::from_hms_opt(4, 0, 0).unwrap(),
        observed_at: DateTime::UNIX_EPOCH,
    };
    Terms { context, poll_every, backfill }
}

fn begin(password: &str, cursor: Option<Vec<u8>>, gaps: Vec<Gap>, store: &Arc<Store>, now: DateTime<Utc>) -> Begin {
    let memory: Arc<dyn Memory> = Arc::<Store>::clone(store);
    Begin { secret: Secret::new(password), cursor, gaps, memory, now }
}
