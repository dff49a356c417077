//! Qasir's server, as documented: `GET /v1/outlets` and `GET /v1/transactions` with a bearer token, at most 100 rows, 50
//! requests a minute, three months of history.
//!
//! What the document leaves open (bounds, order, zone, number or text, a lower cap) is an option, so that a connector
//! can be shown each reading. A sale appears when its time to be known has come by the clock; no thread feeds it.
//!
//! Deliberately absent: anything that changes a sale from outside. Other methods than GET get 405 and are counted in
//! [`HttpServer::mutations`].

mod rows;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{
    http_server::{Answer, HttpServer, Request, Service},
    shop::{Books, Kind, Ledger, Movement, Sale, ShopDay},
    simulator::{Entry, Sheet, Simulator},
};
use crate::{clock::Clock, zone::Zone};

/// The largest `limit` that is documented.
pub const LIMIT_MAX_ROWS: usize = 100;

/// What the document does not say, and what tests want to turn.
#[derive(Debug, Clone)]
pub struct Options {
    /// The zone of naive times, in rows and in bounds.
    pub zone: Zone,
    /// The bearer token that is let in.
    pub token: String,
    /// Id and name of each outlet that the token covers.
    pub outlets: Vec<(String, String)>,
    /// Whether a sale on a bound belongs to the window.
    pub bounds: Bounds,
    /// Whether bounds with an offset are understood; if not, they are answered 400.
    pub bounds_with_offset: bool,
    /// Which rows come first, and so which are cut off.
    pub order: Order,
    /// Rows in one answer, whatever `limit` says.
    pub cap_rows: usize,
    /// How times are written.
    pub times: Times,
    /// How amounts are written.
    pub spelling: Spelling,
    /// Requests in 60 seconds of the clock; `None`: any number.
    pub requests_per_minute: Option<usize>,
    /// Older sales are not shown.
    pub history: TimeDelta,
    /// How far the `Date` header is off the clock; `None`: no such header.
    pub date_skew: Option<TimeDelta>,
}

/// Whether a sale on a bound belongs to the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bounds {
    /// On both.
    Inclusive,
    /// On `from_date`, not on `to_date`.
    HalfOpen,
    /// On neither.
    Exclusive,
    /// The server does not look at the bounds at all.
    Ignored,
}

/// Which rows come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Descending by business time.
    NewestFirst,
    /// Ascending by business time.
    OldestFirst,
}

/// How times are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// `2026-03-14T09:15:00`, local.
    Naive,
    /// `2026-03-14T09:15:00+07:00`.
    WithOffset,
}

/// How amounts and quantities are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// `"45000"`.
    Text,
    /// `45000`; ids of digits only are numbers too.
    Numbers,
    /// By the id of the sale one of `"45000"`, `"45000.00"`, `45000`, `45000.00`.
    Mixed,
}

impl Options {
    /// The documented server; where the document is silent: inclusive bounds, newest first, naive local times, mixed
    /// spelling, a right clock, one outlet.
    #[must_use]
    pub fn new(zone: Zone, token: &str) -> Self {
        Self {
            zone,
            token: token.to_owned(),
            outlets: vec![("OUT-001".to_owned(), "Warung Bu Siti – Kemang".to_owned())],
            bounds: Bounds::Inclusive,
            bounds_with_offset: true,
            order: Order::NewestFirst,
            cap_rows: LIMIT_MAX_ROWS,
            times: Times::Naive,
            spelling: Spelling::Mixed,
            requests_per_minute: Some(50),
            history: TimeDelta::days(92),
            date_skew: Some(TimeDelta::zero()),
        }
    }
}

/// A running server; dropping it stops it.
pub struct QasirServer {
    http: HttpServer<Qasir>,
}

impl QasirServer {
    /// Listens on a free port of 127.0.0.1, without any sale.
    ///
    /// # Errors
    /// No port or no thread can be had.
    pub fn start(clock: Clock, options: Options) -> io::Result<Self> {
        Ok(Self { http: HttpServer::start(Qasir::new(clock, options))? })
    }

    /// The transport: faults on command, and the requests seen.
    #[must_use]
    pub fn http(&self) -> &HttpServer<Qasir> {
        &self.http
    }

    /// For the config's `base-url`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.http.address())
    }

    /// Lets a whole day happen: each movement shows itself when its time has come.
    pub fn load(&self, day: &ShopDay) {
        self.state().ledger.extend(day.movements().iter().cloned());
    }

    /// A sale, or what it is now, known at once.
    pub fn put(&self, sale: Sale) {
        self.put_at(self.now(), sale);
    }

    /// A sale, or what it is then, known at that time.
    pub fn put_at(&self, known_at: DateTime<Utc>, sale: Sale) {
        self.state().ledger.put(known_at, sale);
    }

    /// The sale is gone at once.
    pub fn remove(&self, id: &str) {
        let now = self.now();
        self.state().ledger.remove(now, id);
    }

    /// Turns options while the server runs: another token, a lower cap …
    pub fn adjust(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.state().options);
    }

    /// The books of what the server knows by now; a removed sale is not in them.
    #[must_use]
    pub fn books(&self) -> Books {
        let now = self.now();
        self.state().ledger.books(now)
    }

    fn now(&self) -> DateTime<Utc> {
        self.http.service().now()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.http.service().state()
    }
}

/// The API behind the transport.
pub struct Qasir {
    clock: Clock,
    state: Mutex<State>,
}

impl Simulator for Qasir {
    fn pos_block(&self) -> String {
        format!("system = \"qasir\"\ntoken = \"{}\"\n", self.state().options.token)
    }

    fn base_path(&self) -> &'static str {
        "/v1"
    }

    fn play(&self, movements: &[Movement]) {
        self.state().ledger.extend(movements.iter().cloned());
    }

    fn remove(&self, id: &str, at: DateTime<Utc>) {
        self.state().ledger.remove(at, id);
    }

    /// Only what was paid is shown; what was called off is gone.
    fn sheet(&self, now: DateTime<Utc>) -> Sheet {
        let state = self.state();
        let shown = state.ledger.at(now).filter(|sale| matches!(sale.kind, Kind::Sale | Kind::Refund));
        shown.map(|sale| (format!("transaction/{}", sale.id), Entry::plain(sale.kind, sale.total, sale.at))).collect()
    }
}

struct State {
    options: Options,
    ledger: Ledger,
    /// The times of the requests in the last 60 seconds; at most as many as the limit allows.
    admitted: VecDeque<DateTime<Utc>>,
}

impl Service for Qasir {
    fn answer(&self, request: &Request) -> Answer {
        self.state().answer(request, self.clock.now())
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    fn shown_date(&self) -> Option<DateTime<Utc>> {
        let skew = self.state().options.date_skew?;
        Some(self.clock.now() + skew)
    }
}

impl Qasir {
    /// The API alone, without any sale.
    #[must_use]
    pub fn new(clock: Clock, options: Options) -> Self {
        let state = State { options, ledger: Ledger::default(), admitted: VecDeque::new() };
        Self { clock, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Refusals in the order in which frameworks make them: method, path, token, rate, parameters.
    fn answer(&mut self, request: &Request, now: DateTime<Utc>) -> Answer {
        if request.method != "GET" {
            return Answer::message(405, "Method Not Allowed").with("Allow", &"GET");
        }
        let rows = match request.path.as_str() {
            "/v1/outlets" => false,
            "/v1/transactions" => true,
            _ => return Answer::message(404, "Not Found"),
        };
        if request.header("authorization") != Some(&format!("Bearer {}", self.options.token)) {
            return Answer::message(401, "Unauthenticated.");
        }
        if let Err(seconds) = self.admit(now) {
            return Answer::message(429, "Too Many Attempts.").with("Retry-After", &seconds);
        }
        if rows { self.transactions(request, now) } else { self.outlets() }
    }

    /// Counts a request, or says in how many seconds there will be room for it.
    fn admit(&mut self, now: DateTime<Utc>) -> Result<(), i64> {
        let Some(limit) = self.options.requests_per_minute else { return Ok(()) };
        let minute = TimeDelta::minutes(1);
        while self.admitted.front().is_some_and(|&at| at + minute <= now) {
            self.admitted.pop_front();
        }
        if self.admitted.len() < limit {
            self.admitted.push_back(now);
            return Ok(());
        }
        let free_at = self.admitted.front().map_or(now, |&at| at + minute);
        Err((free_at - now).num_seconds() + 1)
    }

    fn outlets(&self) -> Answer {
        let outlets: Vec<_> = self.options.outlets.iter().map(|(id, name)| json!({"id": id, "name": name})).collect();
        Answer::json(200, &json!({ "outlets": outlets }))
    }

    fn transactions(&self, request: &Request, now: DateTime<Utc>) -> Answer {
        let window = match rows::Window::asked(request, &self.options) {
            Ok(window) => window,
            Err(name) => return Answer::message(400, &format!("The {name} is not valid.")),
        };
        let mut sales: Vec<_> = self
            .ledger
            .at(now)
            .filter(|sale| matches!(sale.kind, Kind::Sale | Kind::Refund))
            .filter(|sale| sale.at >= now - self.options.history && window.shows(sale.at, self.options.bounds))
            .collect();
        sales.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        if self.options.order == Order::NewestFirst {
            sales.reverse();
        }
        sales.truncate(window.rows);
        let rows: Vec<_> = sales.into_iter().map(|sale| rows::row(sale, &self.options)).collect();
        Answer::json(200, &json!({ "transactions": rows }))
    }
}
