//! Olsera's server, in either of its forms.
//!
//! - [`Profile::Documented`]: `GET /v1/merchant/info` and `GET /v1/transactions` with a key and a merchant, the newest
//!   100 rows, 100 requests a minute. Parameters that no document names are ignored, or honoured where an option says so.
//! - [`Profile::OpenApi`]: a token for an hour, orders by day and page, details, 404 for a day without orders.
//!
//! Neither shows refunds: goods that came back stay in their sale. By the document an order that is not paid, or was
//! called off, is not shown either; by the open API the former stands in no list that a reader of paid orders asks for.
//!
//! Other methods than GET and the login get 405 and are counted as mutations.

mod documented;
mod open_api;
mod spelling;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;

use super::{
    http_server::{Answer, Request, Service},
    shop::{Ledger, Movement, Sale},
    simulator::{Sheet, Simulator},
};
use crate::{clock::Clock, zone::Zone};

/// The largest `limit` and `per_page`.
pub const LIMIT_MAX_ROWS: usize = 100;

/// Which API is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// The one of the integrators' guide.
    Documented,
    /// The one that public clients use.
    OpenApi,
}

/// Which rows come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Descending by business time.
    NewestFirst,
    /// Ascending by business time.
    OldestFirst,
}

/// How the documented API writes times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// `2026-05-01 06:57:24`, local.
    Naive,
    /// `2026-05-01T06:57:24+07:00`.
    WithOffset,
    /// `2026-05-01 00:00:00`, whatever the time of day.
    Midnight,
}

/// How amounts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// `"45000.00"`.
    Text,
    /// `45000`.
    Numbers,
    /// By the sale one or the other.
    Mixed,
}

/// What no document says, and what tests want to turn.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a trait of its own")]
pub struct Options {
    /// The zone of naive times and of days.
    pub zone: Zone,
    /// Which API is spoken.
    pub profile: Profile,
    /// The merchant that the key belongs to.
    pub merchant_id: String,
    /// Its id as `merchant/info` shows it, if it does.
    pub shown_merchant_id: Option<String>,
    /// The documented API's key.
    pub api_key: String,
    /// The open API's `app_id`.
    pub app_id: String,
    /// The open API's `secret_key`.
    pub secret_key: String,
    /// The status with which a login is refused.
    pub refusal_status: u16,
    /// Which rows come first.
    pub order: Order,
    /// Rows in one answer, whatever is asked for.
    pub cap_rows: usize,
    /// How amounts are written.
    pub spelling: Spelling,
    /// How the documented API writes times.
    pub times: Times,
    /// The documented API knows `page`.
    pub honours_page: bool,
    /// The documented API knows `offset`.
    pub honours_offset: bool,
    /// The documented API knows `start_date` and `end_date`.
    pub honours_dates: bool,
    /// Parameters that are not known are answered 400.
    pub refuses_unknown: bool,
    /// Requests in 60 seconds of the clock; `None`: any number.
    pub requests_per_minute: Option<usize>,
    /// How long a token lives.
    pub token_lives: TimeDelta,
    /// So long a paid order of the open API stays among the open ones; the second half of it in both lists.
    pub prepared_for: TimeDelta,
    /// The open API's lists tell `order_time` and `modified_time`, too.
    pub lists_times: bool,
    /// The details of these sales, by [`Sale::id`], are answered 500.
    pub failing: BTreeSet<String>,
    /// Rows of the documented list, before it is cut to what was asked for; `None`: all.
    pub keeps_rows: Option<usize>,
    /// Days by which these orders, by [`Sale::id`], are off their time: in which day's list they stand, and which day
    /// they tell there.
    pub days_off: BTreeMap<String, (i64, i64)>,
    /// These orders, by [`Sale::id`], have a status that nobody knows.
    pub odd_status: BTreeSet<String>,
    /// How far the `Date` header is off the clock; `None`: no such header.
    pub date_skew: Option<TimeDelta>,
}

impl Options {
    /// The documented server; where the documents are silent: newest first, naive local times, mixed spelling, no
    /// parameters but those that are named.
    #[must_use]
    pub fn new(zone: Zone, profile: Profile) -> Self {
        Self {
            zone,
            profile,
            merchant_id: "M-8812".to_owned(),
            shown_merchant_id: Some("M-8812".to_owned()),
            api_key: "olsera-key".to_owned(),
            app_id: "olsera-app".to_owned(),
            secret_key: "olsera-secret".to_owned(),
            refusal_status: 401,
            order: Order::NewestFirst,
            cap_rows: LIMIT_MAX_ROWS,
            spelling: Spelling::Mixed,
            times: Times::Naive,
            honours_page: false,
            honours_offset: false,
            honours_dates: false,
            refuses_unknown: false,
            requests_per_minute: Some(100),
            token_lives: TimeDelta::hours(1),
            prepared_for: TimeDelta::zero(),
            lists_times: false,
            failing: BTreeSet::new(),
            keeps_rows: None,
            days_off: BTreeMap::new(),
            odd_status: BTreeSet::new(),
            date_skew: Some(TimeDelta::zero()),
        }
    }
}

/// The API behind the transport.
pub struct Olsera {
    clock: Clock,
    state: Mutex<State>,
}

impl Olsera {
    /// The API alone, without any sale.
    #[must_use]
    pub fn new(clock: Clock, options: Options) -> Self {
        let state = State {
            options,
            ledger: Ledger::default(),
            admitted: VecDeque::new(),
            numbers: BTreeMap::new(),
            tokens: Vec::new(),
            given: BTreeMap::new(),
        };
        Self { clock, state: Mutex::new(state) }
    }

    /// A sale, or what it is then, known at that time.
    pub fn put_at(&self, known_at: DateTime<Utc>, sale: Sale) {
        let mut state = self.state();
        state.number([(known_at, sale.id.clone())]);
        state.ledger.put(known_at, sale);
    }

    /// A sale, or what it is now, known at once.
    pub fn put(&self, sale: Sale) {
        self.put_at(self.clock.now(), sale);
    }

    /// Turns options while the server runs.
    pub fn adjust(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.state().options);
    }

    /// Every token is over at once.
    pub fn end_tokens(&self) {
        self.state().tokens.clear();
    }

    /// The key under which a sale is shown.
    #[must_use]
    pub fn external_id(&self, id: &str) -> String {
        self.state().external_id(id)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Simulator for Olsera {
    fn pos_block(&self) -> String {
        let options = &self.state().options;
        let credentials = match options.profile {
            Profile::Documented => {
                format!("merchant-id = \"{}\"\napi-key = \"{}\"\n", options.merchant_id, options.api_key)
            }
            Profile::OpenApi => format!("app-id = \"{}\"\nsecret-key = \"{}\"\n", options.app_id, options.secret_key),
        };
        format!("system = \"olsera\"\n{credentials}")
    }

    fn base_path(&self) -> &'static str {
        self.state().base_path()
    }

    fn play(&self, movements: &[Movement]) {
        let mut state = self.state();
        state.number(movements.iter().map(|movement| (movement.known_at, movement.sale.id.clone())));
        state.ledger.extend(movements.iter().cloned());
    }

    fn remove(&self, id: &str, at: DateTime<Utc>) {
        self.state().ledger.remove(at, id);
    }

    fn sheet(&self, now: DateTime<Utc>) -> Sheet {
        let state = self.state();
        match state.options.profile {
            Profile::Documented => documented::sheet(&state, now),
            Profile::OpenApi => open_api::sheet(&state, now),
        }
    }
}

impl Service for Olsera {
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

    fn mutates(&self, request: &Request) -> bool {
        let is_login = request.method == "POST" && request.path.ends_with("/token");
        request.method != "GET" && !is_login
    }
}

struct State {
    options: Options,
    ledger: Ledger,
    /// The times of the requests in the last 60 seconds; at most as many as the limit allows.
    admitted: VecDeque<DateTime<Utc>>,
    /// The open API's keys, in the order in which the server got to know the sales.
    numbers: BTreeMap<String, u64>,
    /// Tokens, and their ends.
    tokens: Vec<(String, DateTime<Utc>)>,
    /// What the documented API last showed of each sale: of one that fell behind the newest rows no more can be known.
    given: BTreeMap<String, Decimal>,
}

impl State {
    fn base_path(&self) -> &'static str {
        match self.options.profile {
            Profile::Documented => "/v1",
            Profile::OpenApi => "/api/open-api/v1/id",
        }
    }

    fn answer(&mut self, request: &Request, now: DateTime<Utc>) -> Answer {
        let Some(path) = request.path.strip_prefix(self.base_path()) else { return self.error(404, "Not Found") };
        let is_login = self.options.profile == Profile::OpenApi && path == "/token";
        if request.method != if is_login { "POST" } else { "GET" } {
            return self.error(405, "Method Not Allowed").with("Allow", &"GET");
        }
        if let Err(seconds) = self.admit(now) {
            return self.error(429, "Too many requests").with("Retry-After", &seconds);
        }
        match self.options.profile {
            Profile::Documented => documented::answer(self, path, request, now),
            Profile::OpenApi => open_api::answer(self, path, request, now),
        }
    }

    /// An error in the form of the API.
    fn error(&self, status: u16, text: &str) -> Answer {
        let body = match self.options.profile {
            Profile::Documented => serde_json::json!({ "error": text }),
            Profile::OpenApi => {
                let id = text.to_lowercase().replace(' ', "_");
                serde_json::json!({ "error": { "id": id, "message": text, "status_code": status, "error": text } })
            }
        };
        Answer::json(status, &body)
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

    fn number(&mut self, sales: impl IntoIterator<Item = (DateTime<Utc>, String)>) {
        let mut new: Vec<_> = sales.into_iter().filter(|(_, id)| !self.numbers.contains_key(id)).collect();
        new.sort();
        for (_, id) in new {
            let next = 5_120_001 + self.numbers.len() as u64;
            self.numbers.entry(id).or_insert(next);
        }
    }

    fn external_id(&self, id: &str) -> String {
        match self.options.profile {
            Profile::Documented => format!("OLS-{id}"),
            Profile::OpenApi => self.numbers.get(id).map_or_else(String::new, u64::to_string),
        }
    }
}
