//! A box that is a connector, a budget and what was committed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use chrono::{DateTime, NaiveTime, TimeDelta, Timelike, Utc};

use crate::{
    clock::Clock,
    config::Currency,
    demo::{
        asalta::{Asalta as Server, Options},
        shop::{Kind as ShopKind, Sale},
        simulator::{InProcess, Simulator},
    },
    health::Condition,
    poll::budget::Budget,
    pos::{
        asalta::connector::Asalta,
        connector::{Begin, Connector, Known, Memory, Step, Terms, Yield},
        http::{Ask, Failure},
        page::ParseContext,
    },
    progress::Progress,
    secret::Secret,
    transaction::{Kind, Resource, Transaction},
    zone::Zone,
};

pub fn singapore() -> Zone {
    static ZONE: std::sync::LazyLock<Zone> = std::sync::LazyLock::new(|| Zone::load("Asia/Singapore").unwrap());
    ZONE.clone()
}

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A sale of `total` cents.
pub fn sale(id: &str, total: i64, at: DateTime<Utc>) -> Sale {
    Sale::plain(id, total, at)
}

#[derive(Debug, Default)]
pub struct Stored(Mutex<BTreeMap<(Resource, String), State>>);

/// What a record is, and in which revision.
type State = (Known, Transaction, u32);

impl Memory for Stored {
    fn find(&self, resource: Resource, external_id: &str) -> Option<Known> {
        self.0.lock().unwrap().get(&(resource, external_id.to_owned())).map(|(known, ..)| known.clone())
    }

    fn between(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Known> {
        let all = self.0.lock().unwrap();
        all.values().map(|(known, ..)| known.clone()).filter(|known| from <= known.at && known.at < to).collect()
    }
}

impl Stored {
    /// Forgets what is older, as the outbox does.
    pub fn forget(&self, before: DateTime<Utc>) {
        self.0.lock().unwrap().retain(|_, (known, ..)| known.at >= before);
    }

    fn store(&self, record: Transaction, mark: Option<u64>) {
        let mut all = self.0.lock().unwrap();
        let key = (record.resource, record.external_id.clone());
        let before = all.get(&key);
        let revisions = before.map_or(0, |(_, before, n)| n - u32::from(before.content_id() == record.content_id()));
        let mark = mark.or(before.map(|(known, ..)| known.mark)).unwrap_or(0);
        let known = Known {
            resource: record.resource,
            external_id: record.external_id.clone(),
            kind: record.kind,
            amount: record.amount,
            at: record.timestamp.with_timezone(&Utc).with_nanosecond(0).unwrap(),
            mark,
            vanished: false,
        };
        all.insert(key, (known, record, revisions + 1));
    }
}

/// How the other server differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Other {
    /// It counts one less.
    Counts,
    /// It does not have the last record of the last page yet.
    Lags,
}

impl Other {
    fn answers(self, body: &mut Vec<u8>) {
        let mut told: serde_json::Value = serde_json::from_slice(body).unwrap();
        let total = told["_metadata"]["totalRecord"].as_u64().unwrap();
        told["_metadata"]["totalRecord"] = (total - 1).into();
        if self == Self::Lags && told["_metadata"]["nextPage"].is_null() {
            told["data"].as_array_mut().unwrap().pop();
        }
        *body = serde_json::to_vec(&told).unwrap();
    }
}

pub struct TestBox {
    pub server: Arc<Server>,
    pub clock: Clock,
    pub connector: Asalta,
    pub stored: Arc<Stored>,
    pub cursor: Option<Vec<u8>>,
    pub notices: Vec<&'static str>,
    pub conditions: BTreeMap<Condition, Option<String>>,
    pub quarantined: usize,
    pub vanished: Vec<String>,
    /// What was asked when.
    pub asked: Vec<(DateTime<Utc>, String)>,
    /// What was committed, in order.
    pub order: Vec<String>,
    pub backfill: TimeDelta,
    /// The next requests meet these.
    pub faults: Vec<Failure>,
    /// Requests that contain this get a 400.
    pub refused: Option<&'static str>,
    /// Requests that contain the first get the second with a 200.
    pub instead: Vec<(&'static str, &'static str)>,
    /// Every third page of invoices comes from another server.
    pub other: Option<Other>,
    others: u32,
    /// Answers that were not taken.
    pub unreadable: usize,
    budget: Budget,
    client: InProcess<Server>,
}

impl TestBox {
    pub fn new(now: DateTime<Utc>, turn: impl FnOnce(&mut Options)) -> Self {
        let clock = Clock::standing_at(now);
        let mut options = Options::new(singapore());
        turn(&mut options);
        let server = Arc::new(Server::new(clock.clone(), options));
        let stored = Arc::new(Stored::default());
        let backfill = TimeDelta::days(30);
        Self {
            connector: made(&stored, None, backfill, now),
            client: InProcess::new(Arc::clone(&server)),
            budget: Budget::new(30, now),
            server,
            clock,
            stored,
            cursor: None,
            notices: Vec::new(),
            conditions: BTreeMap::new(),
            quarantined: 0,
            vanished: Vec::new(),
            asked: Vec::new(),
            order: Vec::new(),
            backfill,
            unreadable: 0,
            faults: Vec::new(),
            instead: Vec::new(),
            refused: None,
            other: None,
            others: 0,
        }
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub fn put(&self, sale: Sale) {
        self.server.put_at(self.now(), sale);
    }

    pub fn restart(&mut self) {
        self.connector = made(&self.stored, self.cursor.clone(), self.backfill, self.now());
    }

    pub fn run(&mut self, span: TimeDelta) {
        let end = self.now() + span;
        while self.now() < end {
            self.step();
        }
    }

    pub fn step(&mut self) {
        let now = self.now();
        let request = match self.connector.next(now) {
            Step::Wait(until) => {
                assert!(until > now, "a wait for the past is a hot loop");
                self.clock.set(until);
                return;
            }
            Step::Ask(request) => request,
        };
        let wait = self.budget.wait(now);
        if !wait.is_zero() {
            self.clock.set(now + wait);
            return;
        }
        self.budget.spend(now);
        let query: Vec<_> = request.query().iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.asked.push((now, format!("{}?{}", request.path(), query.join("&"))));
        let ask = || self.client.ask(&request, &|status| self.connector.accepts(status));
        let fault = self.faults.pop();
        let mut answered = fault.map_or_else(ask, Err);
        let asked = &self.asked.last().unwrap().1;
        if self.refused.is_some_and(|of| asked.contains(of)) {
            answered = Err(Failure::Unexpected(400));
        }
        if let Some((_, body)) = self.instead.iter().find(|(of, _)| asked.contains(of))
            && let Ok(answer) = &mut answered
        {
            answer.body = body.as_bytes().to_vec();
        }
        if let (Some(other), Ok(answer)) = (self.other, &mut answered)
            && asked.contains("/pos/invoices?page")
        {
            self.others += 1;
            if self.others % 3 == 1 {
                other.answers(&mut answer.body);
            }
        }
        let now = now + TimeDelta::milliseconds(120);
        self.clock.set(now);
        match answered {
            Ok(answer) => match self.connector.take(&answer, now) {
                Ok(found) => self.commit(found),
                Err(fault) => {
                    assert!(!self.instead.is_empty(), "{request}: {fault}");
                    self.unreadable += 1;
                    self.clock.set(now + TimeDelta::seconds(15));
                }
            },
            Err(failure) => {
                if let Some(found) = self.connector.failed(&failure, now) {
                    self.commit(found);
                    return;
                }
                if let Failure::TooMany { retry_after } = failure {
                    self.budget.complain(retry_after, now, 0);
                }
                self.clock.set(now + TimeDelta::seconds(2));
            }
        }
    }

    fn commit(&mut self, found: Yield) {
        for record in found.transactions {
            let key = (record.resource, record.external_id.clone());
            self.order.push(format!("{}/{}", record.resource.name(), record.external_id));
            self.stored.store(record, found.marks.get(&key).copied());
        }
        for key in found.vanished {
            if let Some((known, ..)) = self.stored.0.lock().unwrap().get_mut(&key)
                && !std::mem::replace(&mut known.vanished, true)
            {
                self.vanished.push(format!("{}/{}", key.0.name(), key.1));
            }
        }
        self.quarantined += found.quarantined.len();
        assert!(found.gaps_opened.is_empty() && found.gaps_closed.is_empty());
        self.notices.extend(found.notices.iter().map(|notice| notice.code));
        self.conditions.extend(found.conditions);
        self.cursor = Some(self.connector.cursor());
    }

    pub fn progress(&self) -> Progress {
        self.connector.progress()
    }

    pub fn record(&self, resource: Resource, id: &str) -> Option<Transaction> {
        self.stored.0.lock().unwrap().get(&(resource, id.to_owned())).map(|(_, record, _)| record.clone())
    }

    pub fn revisions(&self, resource: Resource, id: &str) -> u32 {
        self.stored.0.lock().unwrap().get(&(resource, id.to_owned())).map_or(0, |(.., revisions)| *revisions)
    }

    pub fn requests(&self, what: &str) -> usize {
        self.asked.iter().filter(|(_, asked)| asked.contains(what)).count()
    }

    /// What is stored and not gone, as the sheet writes it.
    pub fn held(&self) -> BTreeMap<String, (Kind, String)> {
        let all = self.stored.0.lock().unwrap();
        let standing = all.values().filter(|(known, ..)| !known.vanished);
        standing
            .map(|(known, record, _)| {
                let key = format!("{}/{}", record.resource.name(), record.external_id);
                (key, (known.kind, known.amount.to_string()))
            })
            .collect()
    }

    /// What should be, of what lies within the backfill.
    pub fn due(&self) -> BTreeMap<String, (Kind, String)> {
        let since = self.progress().since.unwrap();
        let held = self.held();
        let sheet = self.server.sheet(self.now()).into_iter().filter(|(_, entry)| entry.at >= since);
        let sheet = sheet.filter(|(key, entry)| !entry.optional || held.contains_key(key));
        sheet
            .map(|(key, entry)| {
                let kind = match entry.kinds[0] {
                    ShopKind::Sale => Kind::Sale,
                    ShopKind::Refund => Kind::Refund,
                    ShopKind::Order => Kind::Order,
                    ShopKind::Void => Kind::Void,
                };
                (key, (kind, entry.total.normalize().to_string()))
            })
            .collect()
    }

    #[track_caller]
    pub fn assert_whole(&self) {
        assert_eq!(self.held(), self.due());
    }

    pub fn holds(&self, condition: Condition) -> Option<&str> {
        self.conditions.get(&condition).and_then(Option::as_deref)
    }
}

fn made(stored: &Arc<Stored>, cursor: Option<Vec<u8>>, backfill: TimeDelta, now: DateTime<Utc>) -> Asalta {
    let context = ParseContext {
        connection: "front".to_owned(),
        outlet_zone: singapore(),
        source_zone: singapore(),
        currency: Currency::parse("SGD").unwrap(),
        business_day_starts: NaiveTime::from_hms_opt(4, 0, 0).unwrap(),
        observed_at: now,
    };
    let terms = Terms { context, poll_every: TimeDelta::seconds(15), backfill };
    let memory = Arc::clone(stored) as Arc<dyn Memory>;
    Asalta::new(terms, Begin { secret: Secret::new("asalta-token"), cursor, gaps: Vec::new(), memory, now })
}
