//! Asalta's world: its simulated server, and what meddles with its answers.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};

pub use crate::pos::world::{Meddler, at};
use crate::{
    clock::Clock,
    config::Credentials,
    demo::{
        asalta::{Asalta as Server, Options},
        shop::{Kind as ShopKind, Sale},
        simulator::{InProcess, Simulator},
    },
    pos::{
        asalta::connector::Asalta,
        connector::{Begin, Terms},
        http::{Answer, Ask, Failure},
        page::ParseContext,
        request::Request,
        world::{self, System, key},
    },
    secret::{Secret, SecretAt},
    transaction::{Kind, Resource, Transaction},
    zone::Zone,
};

pub type TestBox = world::TestBox<Arc<Server>>;

const TOKEN: &str = "asalta-token";

pub fn singapore() -> Zone {
    static ZONE: std::sync::LazyLock<Zone> = std::sync::LazyLock::new(|| world::zone("Asia/Singapore"));
    ZONE.clone()
}

/// A sale of `total` cents.
pub fn sale(id: &str, total: i64, at: DateTime<Utc>) -> Sale {
    Sale::plain(id, total, at)
}

impl System for Arc<Server> {
    type Connector = Asalta;

    const REQUESTS_PER_MINUTE: u32 = 30;

    fn context() -> ParseContext {
        world::context(&singapore(), "SGD")
    }

    fn connector(_: &Credentials, terms: Terms, begin: Begin) -> Box<Asalta> {
        Box::new(Asalta::new(terms, begin))
    }

    fn ask(&self, request: &Request, _: DateTime<Utc>, accepts: &dyn Fn(u16) -> bool) -> Result<Answer, Failure> {
        InProcess::new(Self::clone(self)).ask(request, accepts)
    }

    fn shows(&self, key: &str, now: DateTime<Utc>) -> bool {
        self.sheet(now).contains_key(key)
    }

    /// It is never unsure for good, but of what it could not read.
    fn check(test: &TestBox, _: Option<&[u8]>, _: DateTime<Utc>) {
        assert!(test.gap_events == 0 || test.notices.contains(&"answer_unreadable"), "{:?}", test.gaps);
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

    /// Every third page of invoices comes from it.
    pub fn meddles(self) -> Meddler {
        let mut pages = 0;
        Box::new(move |asked, mut answered| {
            if let Ok(answer) = &mut answered
                && asked.contains("/pos/invoices?page")
            {
                pages += 1;
                if pages % 3 == 1 {
                    self.answers(&mut answer.body);
                }
            }
            answered
        })
    }
}

/// Requests that contain `of` are answered with this body.
pub fn instead(of: &'static str, body: &'static str) -> Meddler {
    Box::new(move |asked, answered| match answered {
        Ok(answer) if asked.contains(of) => Ok(Answer { body: body.as_bytes().to_vec(), ..answer }),
        _ => answered,
    })
}

/// Requests that contain `of` get a 400.
pub fn refused(of: &'static str) -> Meddler {
    Box::new(move |asked, answered| if asked.contains(of) { Err(Failure::Unexpected(400)) } else { answered })
}

impl TestBox {
    pub fn new(now: DateTime<Utc>, turn: impl FnOnce(&mut Options)) -> Self {
        let clock = Clock::standing_at(now);
        let mut options = Options::new(singapore());
        turn(&mut options);
        let server = Arc::new(Server::new(clock.clone(), options));
        let credentials = Credentials::Bearer { token: SecretAt::Here(Secret::new(TOKEN)) };
        Self::of(server, clock, (credentials, TOKEN), (TimeDelta::seconds(15), TimeDelta::days(30)))
    }

    pub fn put(&self, sale: Sale) {
        self.server.put_at(self.now, sale);
    }

    pub fn record(&self, resource: Resource, id: &str) -> Option<Transaction> {
        self.store.get(resource, id).map(|stored| stored.record)
    }

    pub fn revisions(&self, resource: Resource, id: &str) -> u32 {
        self.store.get(resource, id).map_or(0, |stored| stored.revisions)
    }

    pub fn requests(&self, what: &str) -> usize {
        self.asked.iter().filter(|(_, asked)| asked.contains(what)).count()
    }

    /// What is stored and not gone, as the sheet writes it.
    pub fn held(&self) -> BTreeMap<String, (Kind, String)> {
        let all = self.store.0.lock().unwrap();
        let standing = all.iter().filter(|(_, stored)| !stored.known.vanished);
        standing.map(|(id, stored)| (key(id), (stored.known.kind, stored.known.amount.to_string()))).collect()
    }

    /// What should be, of what lies within the backfill.
    pub fn due(&self) -> BTreeMap<String, (Kind, String)> {
        let since = self.progress().since.unwrap();
        let held = self.held();
        let sheet = self.server.sheet(self.now).into_iter().filter(|(_, entry)| entry.at >= since);
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
}
