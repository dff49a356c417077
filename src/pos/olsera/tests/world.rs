//! Olsera's world, by either API.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};

pub use crate::pos::world::{Faults, at};
use crate::{
    clock::Clock,
    config::{Credentials, System as Name},
    demo::{
        olsera::{Olsera, Options, Profile},
        shop::Sale,
        simulator::{InProcess, Simulator as _},
    },
    gap::Gap,
    pos::{
        connector::{Begin, Connector, Terms},
        http::{Answer, Ask as _, Failure},
        page::ParseContext,
        request::Request,
        systems,
        world::{self, System, key, store::Stored},
    },
    secret::{Secret, SecretAt},
    transaction::Resource,
    zone::Zone,
};

pub type TestBox = world::TestBox<Arc<Olsera>>;

pub fn jakarta() -> Zone {
    static ZONE: std::sync::LazyLock<Zone> = std::sync::LazyLock::new(|| world::zone("Asia/Jakarta"));
    ZONE.clone()
}

pub fn context() -> ParseContext {
    world::context(&jakarta(), "IDR")
}

impl System for Arc<Olsera> {
    type Connector = dyn Connector;

    const REQUESTS_PER_MINUTE: u32 = 80;

    fn context() -> ParseContext {
        context()
    }

    fn connector(credentials: &Credentials, terms: Terms, begin: Begin) -> Box<dyn Connector> {
        systems::connector("", Name::Olsera, credentials, terms, begin)
    }

    fn ask(&self, request: &Request, _: DateTime<Utc>, accepts: &dyn Fn(u16) -> bool) -> Result<Answer, Failure> {
        InProcess::new(Self::clone(self)).ask(request, accepts)
    }

    fn shows(&self, key: &str, now: DateTime<Utc>) -> bool {
        self.sheet(now).contains_key(key)
    }

    /// With its method: a login is a POST.
    fn written(request: &Request) -> String {
        let query: Vec<_> = request.query().iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{request}?{}", query.join("&"))
    }
}

impl TestBox {
    pub fn new(now: &str, options: Options) -> Self {
        let clock = Clock::standing_at(at(now));
        let here = |secret| SecretAt::Here(Secret::new(secret));
        let (credentials, secret) = match options.profile {
            Profile::Documented => {
                let (merchant_id, api_key) = ("M-8812".to_owned(), here("olsera-key"));
                (Credentials::ApiKey { merchant_id, api_key }, "olsera-key")
            }
            Profile::OpenApi => {
                let (app_id, secret_key) = ("olsera-app".to_owned(), here("olsera-secret"));
                (Credentials::App { app_id, secret_key }, "olsera-secret")
            }
        };
        let server = Arc::new(Olsera::new(clock.clone(), options));
        Self::of(server, clock, (credentials, secret), (TimeDelta::seconds(15), TimeDelta::days(3)))
    }

    /// A minute at most.
    pub fn run_till_held(&mut self, id: &str) {
        self.run_till(TimeDelta::minutes(1), |test| test.held(id).is_some());
    }

    /// `count` sales, so far apart, the last one now; nobody polls meanwhile.
    pub fn sell(&self, name: &str, count: i64, apart: TimeDelta) {
        let now = DateTime::from_timestamp(self.now.timestamp(), 0).unwrap();
        for n in 0..count {
            let at = now - apart * i32::try_from(count - 1 - n).unwrap();
            self.server.put_at(at, Sale::plain(&format!("{name}-{n:03}"), 10_000 + n, at));
        }
    }

    pub fn held(&self, id: &str) -> Option<Stored> {
        self.store.get(Resource::Transaction, &self.server.external_id(id))
    }

    pub fn count(&self) -> usize {
        self.store.0.lock().unwrap().len()
    }

    /// How many of them are gone.
    pub fn gone(&self) -> usize {
        self.store.0.lock().unwrap().values().filter(|stored| stored.known.vanished).count()
    }

    pub fn asked_since(&self, since: DateTime<Utc>, what: &str) -> usize {
        self.asked.iter().filter(|(at, asked)| *at >= since && asked.contains(what)).count()
    }

    /// Every difference between what is held and what may be held, of what the box was to read at all.
    pub fn differences(&self) -> Vec<String> {
        let since = self.progress().since.unwrap();
        let sheet = self.server.sheet(self.now);
        let store = self.store.0.lock().unwrap();
        let held: BTreeMap<_, _> = store.iter().map(|(id, stored)| (key(id), stored)).collect();
        let mut all = Vec::new();
        for (key, entry) in &sheet {
            let Some(held) = held.get(key) else {
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
            if !is_it || record.timestamp.to_utc() != entry.at || held.known.vanished {
                all.push(format!("{key} is {kind} {} {}, not {entry:?}", record.amount, record.timestamp));
            }
        }
        for (id, held) in held.iter().filter(|(_, held)| !held.known.vanished) {
            if !sheet.contains_key(id) {
                all.push(format!("{id} of {} is held and gone", held.record.timestamp));
            }
        }
        all
    }
}

/// A whole second of Jakarta's time as a gap's bound.
pub fn bounds(gap: &Gap) -> (String, String) {
    let text = |at: DateTime<Utc>| jakarta().local(at).to_rfc3339();
    (text(gap.from), text(gap.to))
}
