//! POS Kasir's world: the shop's own server, and what HQ should come to hold.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};

pub use crate::pos::world::{Faults, Meddler, at, zone};
use crate::{
    clock::Clock,
    config::Credentials,
    demo::{
        pos_kasir::{Options, PosKasir as Server, uuid},
        shop::{self, Sale},
        simulator::{InProcess, Simulator},
    },
    pos::{
        connector::{Begin, Terms},
        http::{Answer, Ask, Failure},
        page::ParseContext,
        pos_kasir::connector::PosKasir,
        request::Request,
        world::{self, Id, System},
    },
    secret::{Secret, SecretAt},
    transaction::{Kind, Resource, Transaction},
};

pub type TestBox = world::TestBox<Arc<Server>>;

impl System for Arc<Server> {
    type Connector = PosKasir;

    const REQUESTS_PER_MINUTE: u32 = 30;

    fn context() -> ParseContext {
        world::context(&zone("Asia/Jakarta"), "IDR")
    }

    fn connector(credentials: &Credentials, terms: Terms, begin: Begin) -> Box<PosKasir> {
        Box::new(PosKasir::new(terms, credentials, begin))
    }

    fn ask(&self, request: &Request, _: DateTime<Utc>, accepts: &dyn Fn(u16) -> bool) -> Result<Answer, Failure> {
        InProcess::new(Self::clone(self)).ask(request, accepts)
    }

    fn shows(&self, key: &str, now: DateTime<Utc>) -> bool {
        self.sheet(now).contains_key(key)
    }

    /// Its path and page.
    fn written(request: &Request) -> String {
        let page = request.query().iter().find(|(name, _)| *name == "page");
        format!("{}{}", request.path(), page.map_or(String::new(), |(_, page)| format!("#{page}")))
    }
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
        let password = SecretAt::Here(Secret::new(user.password.clone()));
        let credentials = Credentials::Login { email: user.email, password };
        let spans = (TimeDelta::seconds(15), TimeDelta::days(90));
        Self::of(server, clock, (credentials, &user.password), spans)
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

    pub fn minutes(&mut self, minutes: i64) {
        self.run(TimeDelta::minutes(minutes));
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
        let gone = |id: &Id| self.store.get(id.0, &id.1).is_some_and(|stored| stored.known.vanished);
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
    Terms { context: Arc::<Server>::context(), poll_every, backfill }
}
