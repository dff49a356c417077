//! POS Kasir's server as its code is, not as its overview page says: a session by cookie, one limit for all behind an
//! address, a list newest first without any filter by time, and refunds that leave nothing but an order without its
//! payment.
//!
//! - A sale of the shop is a paid order; an order is an open one; what is called off is cancelled. A refund has no record
//!   here: it clears the payment of the order that it belongs to, always of the whole.
//! - `created_at` is the sale's time; a row shows itself when the server knows it, which may be later.
//! - What is unpleasant is an option or comes on command: a cashier's list, dropped rows, orders that answer 500, a
//!   database that is reset, a limiter whose store is down.
//!
//! Deliberately absent: every call that changes something. It gets 405 and is counted.

mod access;
mod life;
mod rows;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::{Value, json};

pub use self::{access::User, rows::uuid};
use self::{
    access::{Sessions, Window},
    life::{Logged, Order},
    rows::{detail, envelope, row, written},
};
use super::{
    http_server::{Answer, Request, Service},
    shop::{Kind, Ledger, Movement, Sale, Shown},
    simulator::{Entry, Sheet, Simulator},
};
use crate::{clock::Clock, zone::Zone};

/// The largest `limit`: more is answered 400.
pub const LIMIT_MAX_ROWS: usize = 100;

/// What differs from shop to shop, and what tests want to turn.
#[derive(Debug, Clone)]
pub struct Options {
    /// The zone of the server's process: the offset of all its times.
    pub zone: Zone,
    /// Who may log in; the first is the box's.
    pub users: Vec<User>,
    /// A token that a front takes in the header; the server itself takes none.
    pub bearer: Option<String>,
    /// How long a session lasts.
    pub session: TimeDelta,
    /// Requests in a minute, of everybody behind the address; `None`: any number.
    pub requests_per_minute: Option<u64>,
    /// Of them, what the tills use at the beginning of each minute.
    pub taken_by_tills: u64,
    /// The shop's name.
    pub app_name: String,
    /// Ids and names of the payment methods; other tenders get further ids.
    pub methods: Vec<(u64, String)>,
    /// Sales whose rows the list drops.
    pub dropped: BTreeSet<String>,
    /// Sales whose detail is answered 500.
    pub broken: BTreeSet<String>,
    /// Sales that stay paid when they are called off.
    pub keep_payment: BTreeSet<String>,
    /// The limiter's store is down: everything is answered 500.
    pub is_down: bool,
    /// How far the `Date` header is off the clock; `None`: no such header.
    pub date_skew: Option<TimeDelta>,
}

impl Options {
    /// A server whose box is a manager, with the seeded payment methods.
    #[must_use]
    pub fn new(zone: Zone) -> Self {
        let methods = [(1, "Cash"), (2, "QRIS Dinamis"), (3, "QRIS Statis")];
        Self {
            zone,
            users: vec![User::new("box@shop.example", "kotak-kasir", "manager")],
            bearer: None,
            session: TimeDelta::hours(24),
            requests_per_minute: Some(100),
            taken_by_tills: 0,
            app_name: "Warung Bu Siti".to_owned(),
            methods: methods.map(|(id, name)| (id, name.to_owned())).to_vec(),
            dropped: BTreeSet::new(),
            broken: BTreeSet::new(),
            keep_payment: BTreeSet::new(),
            is_down: false,
            date_skew: Some(TimeDelta::zero()),
        }
    }
}

/// The API behind the transport.
pub struct PosKasir {
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    options: Options,
    ledger: Ledger,
    /// The shop's ids by the server's.
    ids: BTreeMap<String, String>,
    /// When which sale was given back, by the sale's id.
    refunds: BTreeMap<String, Vec<DateTime<Utc>>>,
    sessions: Sessions,
    window: Window,
    /// What the server knew before this is gone.
    reset_at: Option<DateTime<Utc>>,
    logins: u64,
}

impl PosKasir {
    /// The API alone, without any order.
    #[must_use]
    pub fn new(clock: Clock, options: Options) -> Self {
        let state = State {
            options,
            ledger: Ledger::default(),
            ids: BTreeMap::new(),
            refunds: BTreeMap::new(),
            sessions: Sessions::default(),
            window: Window::default(),
            reset_at: None,
            logins: 0,
        };
        Self { clock, state: Mutex::new(state) }
    }

    /// Turns options while the server runs.
    pub fn adjust(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.state().options);
    }

    /// A sale, or what it is then, known at that time.
    pub fn put_at(&self, known_at: DateTime<Utc>, sale: Sale) {
        self.state().put(known_at, sale);
    }

    /// The database is truncated at once: no order that was known is there any more.
    pub fn reset(&self) {
        self.state().reset_at = Some(self.clock.now());
    }

    /// The database is restored from its backup.
    pub fn restore(&self) {
        self.state().reset_at = None;
    }

    /// Every session ends at once, as when the server gets another secret.
    pub fn end_sessions(&self) {
        self.state().sessions.end_all();
    }

    /// Somebody else logs in as the box's user: its refresh token is no longer good.
    pub fn log_in_elsewhere(&self) {
        let mut state = self.state();
        let email = state.options.users.first().map(|user| user.email.clone()).unwrap_or_default();
        state.sessions.end_refresh(&email);
    }

    /// How often a login was tried.
    #[must_use]
    pub fn logins(&self) -> u64 {
        self.state().logins
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Simulator for PosKasir {
    fn pos_block(&self) -> String {
        let state = self.state();
        let user = state.options.users.first().cloned().unwrap_or_else(|| User::new("", "", ""));
        format!("system = \"pos-kasir\"\nemail = \"{}\"\npassword = \"{}\"\n", user.email, user.password)
    }

    fn base_path(&self) -> &'static str {
        "/api/v1"
    }

    fn play(&self, movements: &[Movement]) {
        let mut state = self.state();
        for movement in movements {
            state.put(movement.known_at, movement.sale.clone());
        }
    }

    fn remove(&self, id: &str, at: DateTime<Utc>) {
        self.state().ledger.remove(at, id);
    }

    fn sheet(&self, now: DateTime<Utc>) -> Sheet {
        let state = self.state();
        let mut sheet = Sheet::new();
        for order in state.orders(now) {
            let (key, refund_key) =
                (format!("order/{}", uuid(&order.sale_id)), format!("order_refund/{}", uuid(&order.sale_id)));
            let given_back = !order.is_paid() && order.was_paid && order.is_cancelled();
            let (kinds, refund_kinds): (&[Kind], &[Kind]) = match (order.is_cancelled(), order.is_paid()) {
                (_, true) => (&[Kind::Sale], &[Kind::Void]),
                (true, false) if given_back => (&[Kind::Sale, Kind::Void], &[Kind::Refund, Kind::Void]),
                (true, false) => (&[Kind::Void], &[Kind::Void]),
                (false, false) if order.was_paid => (&[Kind::Sale, Kind::Order], &[Kind::Void]),
                (false, false) => (&[Kind::Order], &[Kind::Void]),
            };
            let entry =
                |kinds: &[Kind], at| Entry { kinds: kinds.to_vec(), ..Entry::plain(Kind::Void, order.sale.total, at) };
            let balances = given_back.then(|| refund_key.clone());
            sheet.insert(key, Entry { balances, ..entry(kinds, order.sale.at) });
            sheet.insert(refund_key, Entry { optional: true, ..entry(refund_kinds, order.updated_at) });
        }
        sheet
    }
}

impl Service for PosKasir {
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
        request.method != "GET" && !matches!(request.path.as_str(), "/api/v1/auth/login" | "/api/v1/auth/refresh")
    }
}

impl State {
    fn put(&mut self, known_at: DateTime<Utc>, sale: Sale) {
        if sale.kind != Kind::Refund {
            self.ids.insert(uuid(&sale.id), sale.id.clone());
            self.ledger.put(known_at, sale);
        } else if let Some(of) = sale.refund_of {
            // What a later state of the refund says is not for this server: the money is given back, whole.
            let times = self.refunds.entry(of).or_default();
            if times.is_empty() {
                times.push(known_at);
            }
        }
    }

    /// Newest first.
    fn shown(&self, now: DateTime<Utc>) -> Vec<Shown<'_>> {
        let is_there = |first_known_at| self.reset_at.is_none_or(|reset| first_known_at >= reset || now < reset);
        let mut shown: Vec<_> = self.ledger.shown(now).filter(|shown| is_there(shown.first_known_at)).collect();
        shown.sort_by(|a, b| (b.sale.at, &b.sale.id).cmp(&(a.sale.at, &a.sale.id)));
        shown
    }

    fn follow(&self, shown: &Shown<'_>, now: DateTime<Utc>) -> Order {
        let refunds = self.refunds.get(&shown.sale.id).map_or(&[][..], Vec::as_slice);
        let refunds: Vec<_> = refunds.iter().copied().filter(|at| *at <= now).collect();
        Order::follow(shown, &refunds, self.options.keep_payment.contains(&shown.sale.id))
    }

    fn orders(&self, now: DateTime<Utc>) -> Vec<Order> {
        self.shown(now).iter().map(|shown| self.follow(shown, now)).collect()
    }

    fn answer(&mut self, request: &Request, now: DateTime<Utc>) -> Answer {
        let Some(path) = request.path.strip_prefix("/api/v1") else {
            // The front end answers whatever the API does not.
            return Answer::new(200, "text/html", b"<!doctype html><title>POS Kasir</title>".to_vec());
        };
        if self.options.is_down {
            return Answer::message(500, "Internal Server Error");
        }
        let mut headers = Vec::new();
        if let Some(limit) = self.options.requests_per_minute {
            match self.window.admit(limit, self.options.taken_by_tills, now) {
                Err(reset) => {
                    let answer = Answer::new(429, "text/plain; charset=utf-8", b"Too Many Requests".to_vec());
                    return answer.with("Retry-After", &reset);
                }
                Ok((left, reset)) => headers.extend([
                    ("X-RateLimit-Limit", limit.to_string()),
                    ("X-RateLimit-Remaining", left.to_string()),
                    ("X-RateLimit-Reset", reset.to_string()),
                ]),
            }
        }
        let path: Vec<_> = path.trim_start_matches('/').split('/').collect();
        let answer = self.route(request, &path, now);
        headers.into_iter().fold(answer, |answer, (name, value)| answer.with(name, &value))
    }

    fn route(&mut self, request: &Request, path: &[&str], now: DateTime<Utc>) -> Answer {
        match (request.method.as_str(), path) {
            ("POST", ["auth", "login"]) => return self.login(request, now),
            ("POST", ["auth", "refresh"]) => {
                return match self.sessions.refreshed_by(request, now) {
                    Some(email) => self.session(&email, now),
                    None => Answer::message(401, "Invalid or expired session"),
                };
            }
            ("GET", _) => {}
            _ => return Answer::message(405, "Method Not Allowed"),
        }
        let by_front = self
            .options
            .bearer
            .as_ref()
            .is_some_and(|token| request.header("authorization") == Some(&format!("Bearer {token}")));
        let email = match self.sessions.user_of(request, now) {
            Some(email) => email.to_owned(),
            None if by_front => self.options.users.first().map(|user| user.email.clone()).unwrap_or_default(),
            None => return Answer::message(401, "unauthorized"),
        };
        let Some(user) = self.options.users.iter().find(|user| user.email == email).cloned() else {
            return Answer::message(401, "unauthorized");
        };
        match path {
            ["auth", "me"] => Answer::json(200, &envelope("Success", self.profile(&user))),
            ["settings", "branding"] => {
                let data = json!({"app_name": self.options.app_name, "app_logo": "", "footer_text": "Terima kasih"});
                Answer::json(200, &envelope("Branding settings retrieved successfully", data))
            }
            ["payment-methods"] => {
                Answer::json(200, &envelope("Payment methods retrieved successfully", self.methods()))
            }
            ["orders"] => self.list(request, &user, now),
            ["orders", id] => self.detail(id, now),
            ["activity-logs"] if user.role == "admin" => self.log(request, now),
            ["activity-logs"] => Answer::json(403, &json!({"error": "insufficient role"})),
            _ => Answer::message(404, "Not Found"),
        }
    }

    fn login(&mut self, request: &Request, now: DateTime<Utc>) -> Answer {
        self.logins += 1;
        let form: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let (Some(email), Some(password)) = (form["email"].as_str(), form["password"].as_str()) else {
            return Answer::message(400, "Validation failed");
        };
        match self.options.users.iter().find(|user| user.email == email) {
            None => Answer::message(404, "User not found"),
            Some(user) if user.password != password => Answer::message(401, "Invalid credentials"),
            Some(_) => self.session(email, now),
        }
    }

    fn session(&mut self, email: &str, now: DateTime<Utc>) -> Answer {
        let pair = self.sessions.open(email, self.options.session, now);
        let user = self.options.users.iter().find(|user| user.email == email);
        let profile = user.map(|user| self.profile(user));
        let data = json!({"expired": written(pair.expires, &self.options.zone), "profile": profile});
        // Secure, on plain HTTP too: a browser would keep them to itself.
        let cookie = |name: &str, token: &str| format!("{name}={token}; Path=/; HttpOnly; Secure; SameSite=Lax");
        Answer::json(200, &envelope("Success", data))
            .with("Set-Cookie", &cookie("access_token", &pair.access))
            .with("Set-Cookie", &cookie("refresh_token", &pair.refresh))
    }

    fn profile(&self, user: &User) -> Value {
        let created = written(DateTime::UNIX_EPOCH + TimeDelta::days(20_000), &self.options.zone);
        json!({
            "id": uuid(&user.email), "username": "agent", "email": user.email, "created_at": created,
            "updated_at": created, "avatar": null, "role": user.role, "is_active": true,
        })
    }

    fn methods(&self) -> Value {
        let created = written(DateTime::UNIX_EPOCH + TimeDelta::days(20_000), &self.options.zone);
        let method =
            |(id, name): &(u64, String)| json!({"id": id, "name": name, "is_active": true, "created_at": created});
        self.options.methods.iter().map(method).collect::<Vec<_>>().into()
    }

    /// A tender that is new is a method that the owner has added.
    fn method_of(&mut self, tender: &str) -> u64 {
        let methods = &mut self.options.methods;
        let found = methods.iter().find(|(_, name)| name.eq_ignore_ascii_case(tender)).map(|(id, _)| *id);
        found.unwrap_or_else(|| {
            let id = methods.iter().map(|(id, _)| *id).max().unwrap_or_default() + 1;
            methods.push((id, tender.to_owned()));
            id
        })
    }

    /// Sorting, searching and whatever it does not know are ignored.
    fn list(&self, request: &Request, user: &User, now: DateTime<Utc>) -> Answer {
        let number =
            |name: &str, default: usize| request.parameter(name).map_or(Some(default), |text| text.parse().ok());
        let (page, limit) = match (number("page", 1), number("limit", 10)) {
            (Some(page), Some(limit)) if page >= 1 && (1..=LIMIT_MAX_ROWS).contains(&limit) => (page, limit),
            _ => {
                let text = "must be less than or equal to 100";
                let body = json!({
                    "message": "Validation failed",
                    "error": format!("validation error: limit: {text}"),
                    "data": {"errors": {"limit": text}},
                });
                return Answer::json(400, &body);
            }
        };
        let mut shown = self.shown(now);
        if let Some(status) = request.parameter("statuses") {
            shown.retain(|shown| self.follow(shown, now).status == status);
        }
        if user.role == "cashier" {
            // A cashier sees its own orders, and the box has none.
            shown.clear();
        }
        let rows = shown.iter().skip((page - 1) * limit).take(limit).map(|shown| self.follow(shown, now));
        let rows = rows.filter(|order| !self.options.dropped.contains(&order.sale_id));
        let rows: Vec<_> = rows.map(|order| row(&order, &self.options.zone)).collect();
        let data = json!({
            "orders": if rows.is_empty() { Value::Null } else { rows.into() },
            "pagination": {
                "current_page": page,
                "total_page": shown.len().div_ceil(limit),
                "total_data": shown.len(),
                "per_page": limit,
            },
        });
        Answer::json(200, &envelope("Orders retrieved successfully", data))
    }

    fn detail(&mut self, id: &str, now: DateTime<Utc>) -> Answer {
        let found = self.ids.get(id).and_then(|sale| self.shown(now).into_iter().find(|shown| shown.sale.id == *sale));
        let Some(order) = found.map(|shown| self.follow(&shown, now)) else {
            return Answer::message(404, "Order not found");
        };
        if self.options.broken.contains(&order.sale_id) {
            return Answer::message(500, "Internal Server Error");
        }
        let method = order.paid_by.as_deref().map(|tender| self.method_of(tender));
        Answer::json(200, &envelope("Order retrieved successfully", detail(&order, method, &self.options.zone)))
    }

    fn log(&self, request: &Request, now: DateTime<Utc>) -> Answer {
        let day = |name| request.parameter(name).and_then(|text| text.parse::<NaiveDate>().ok());
        let (from, to) = (day("start_date"), day("end_date"));
        let number =
            |name: &str, default: usize| request.parameter(name).and_then(|text| text.parse().ok()).unwrap_or(default);
        let (page, limit) = (number("page", 1).max(1), number("limit", 10).clamp(1, LIMIT_MAX_ROWS));
        let orders = self.orders(now);
        let mut entries: Vec<_> =
            orders.iter().flat_map(|order| order.log.iter().map(move |(at, logged)| (*at, *logged, order))).collect();
        entries.retain(|(at, ..)| {
            let day = at.date_naive();
            from.is_none_or(|from| from <= day) && to.is_none_or(|to| day <= to)
        });
        entries.sort_by(|a, b| (b.0, &b.2.sale_id).cmp(&(a.0, &a.2.sale_id)));
        let total = entries.len();
        let entry = |(at, logged, order): (DateTime<Utc>, Logged, &Order)| {
            let (action, details) = match logged {
                Logged::Payment => ("PROCESS_PAYMENT", json!({"order_id": uuid(&order.sale_id)})),
                Logged::Refund => ("UPDATE", json!({"action": "refund", "reason": "Pelanggan komplain"})),
                Logged::Cancel => ("CANCEL", json!({"cancelled_order_id": uuid(&order.sale_id), "reason_id": 2})),
            };
            json!({
                "id": uuid(&format!("log {} {at}", order.sale_id)), "user_id": uuid("cashier"), "user_name": "cashier",
                "action_type": action, "entity_type": "ORDER", "entity_id": uuid(&order.sale_id), "details": details,
                "created_at": written(at, &self.options.zone),
            })
        };
        let logs: Vec<_> = entries.into_iter().skip((page - 1) * limit).take(limit).map(entry).collect();
        let data = json!({
            "logs": logs, "total_items": total, "total_pages": total.div_ceil(limit), "page": page, "limit": limit,
        });
        Answer::json(200, &envelope("Activity logs retrieved successfully", data))
    }
}
