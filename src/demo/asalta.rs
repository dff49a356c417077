//! Asalta's API, Inventory & POS, as far as its reference goes: pages whose size the server chooses, in one of four
//! shapes, no filter by time, strings with four decimals, a GET that voids, and a report that spells everything
//! otherwise.
//!
//! What the reference leaves open, and where its samples disagree, is an option. Sales are in Singapore dollars: a
//! hundredth of the shop's rupiah, so that cents occur. A sale whose server learns of it gets the next number of its
//! list; one that is removed lets all later ones move up.

mod auth;
mod rows;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::{Value, json};

use self::{
    auth::Codes,
    rows::{Facts, List},
};
use super::{
    http_server::{Answer, Request, Service},
    shop::{Kind, Ledger, Movement, Sale},
    simulator::{Entry, Sheet, Simulator},
};
use crate::{clock::Clock, zone::Zone};

/// What the reference does not say, and what tests want to turn.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a trait of its own")]
pub struct Options {
    /// In which it writes its naive times.
    pub zone: Zone,
    /// The token that is let in, and given for a code.
    pub token: String,
    /// The application that may ask for it.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Where its users are sent back to.
    pub redirect_uri: String,
    /// The user says no.
    pub denies: bool,
    /// The names of the account's warehouses; sales are made in the first.
    pub warehouses: Vec<String>,
    /// The key is one of another product: 403.
    pub other_product: bool,
    /// New records are on the first page.
    pub newest_first: bool,
    /// Records of a page.
    pub page_rows: usize,
    /// How it tells its pages.
    pub metadata: Metadata,
    /// What stands around a list.
    pub envelope: Envelope,
    /// Returns of invoices, and of orders, are listed without a sale; if not, that is a fault.
    pub returns_without_sale: (bool, bool),
    /// The status for a request that lacks something: the reference says 400 and 500.
    pub mandatory_status: u16,
    /// How payments are written.
    pub payments: Payments,
    /// The report looks for its days in the query only.
    pub report_ignores_form: bool,
    /// The report leaves out the sale with this id.
    pub report_leaves_out: Option<String>,
    /// The lists leave out the sale with this id.
    pub lists_leave_out: Option<String>,
    /// No page names a next one.
    pub next_is_missing: bool,
    /// This page names itself as the next.
    pub stuck_page: Option<usize>,
    /// Requests whose path or query holds this text are answered 500.
    pub broken: Option<String>,
    /// How far the `Date` header is off the clock; `None`: no such header.
    pub date_skew: Option<TimeDelta>,
}

/// How pages are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metadata {
    /// `_metadata` with `nextPage` and `pageSize`.
    PageSize,
    /// `_metadata` with `nextPage` and `totalPage`.
    TotalPage,
    /// `_metadata` with `perPage` and `pageCount`, and `_links`.
    PageCount,
    /// `_meta` with the same, and `_links`.
    Meta,
}

/// What stands around a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    /// `{"data": […]}`.
    Object,
    /// `[{"data": […]}]`.
    Wrapped,
    /// `[…]`, without a word on pages.
    Bare,
}

/// How payments are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payments {
    /// A list.
    List,
    /// An object, or an empty list.
    Object,
    /// By the number of the record one of the two, or nothing where nothing was paid.
    Mixed,
}

impl Options {
    /// The server of most samples: oldest first, twenty to a page.
    #[must_use]
    pub fn new(zone: Zone) -> Self {
        Self {
            zone,
            token: "asalta-token".to_owned(),
            client_id: "tillbox-014".to_owned(),
            client_secret: "asalta-client-secret".to_owned(),
            redirect_uri: "http://127.0.0.1:8014/".to_owned(),
            denies: false,
            warehouses: vec!["Toko Kemang".to_owned()],
            other_product: false,
            newest_first: false,
            page_rows: 20,
            metadata: Metadata::PageSize,
            envelope: Envelope::Object,
            returns_without_sale: (true, true),
            mandatory_status: 400,
            payments: Payments::Mixed,
            report_ignores_form: false,
            report_leaves_out: None,
            lists_leave_out: None,
            next_is_missing: false,
            stuck_page: None,
            broken: None,
            date_skew: Some(TimeDelta::zero()),
        }
    }
}

/// The API behind the transport.
pub struct Asalta {
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    options: Options,
    ledger: Ledger,
    book: Book,
    codes: Codes,
}

/// What the server has noted of its records.
#[derive(Debug, Default)]
struct Book {
    /// Their numbers, by list and the shop's id.
    numbers: BTreeMap<List, BTreeMap<String, u64>>,
    /// Orders that were voided by a request.
    voided: BTreeSet<u64>,
}

impl Asalta {
    /// The API alone, without any sale.
    #[must_use]
    pub fn new(clock: Clock, options: Options) -> Self {
        let state = State { options, ledger: Ledger::default(), book: Book::default(), codes: Codes::default() };
        Self { clock, state: Mutex::new(state) }
    }

    /// Turns options while the server runs.
    pub fn adjust(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.state().options);
    }

    /// A sale, or what it is then, known at that time.
    pub fn put_at(&self, known_at: DateTime<Utc>, sale: Sale) {
        self.state().ledger.put(known_at, sale);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Simulator for Asalta {
    /// Whoever starts a daemon puts the token into `asalta.token` beside its config, or lets `tillbox authorize` do so.
    fn pos_block(&self) -> String {
        let state = self.state();
        let Options { client_id, client_secret, redirect_uri, token, .. } = &state.options;
        format!(
            "system = \"asalta\"\nclient-id = \"{client_id}\"\nclient-secret = \"{client_secret}\"\n\
             redirect-uri = \"{redirect_uri}\"\ntoken = \"{token}\"\n"
        )
    }

    fn base_path(&self) -> &'static str {
        ""
    }

    fn play(&self, movements: &[Movement]) {
        self.state().ledger.extend(movements.iter().cloned());
    }

    fn remove(&self, id: &str, at: DateTime<Utc>) {
        self.state().ledger.remove(at, id);
    }

    fn sheet(&self, now: DateTime<Utc>) -> Sheet {
        let mut state = self.state();
        let State { ledger, book, options, .. } = &mut *state;
        let facts = book.facts(ledger, now);
        let invoices: BTreeSet<_> = facts.iter().filter(|f| f.list == List::Invoices).map(|f| f.number).collect();
        let only_by_sale = !options.returns_without_sale.0;
        let entry = |facts: Facts<'_>| {
            let kind = match facts.list {
                List::Invoices | List::Orders if facts.is_void => Kind::Void,
                List::Invoices => Kind::Sale,
                List::ReturnInvoices => Kind::Refund,
                List::Orders | List::ReturnOrders => Kind::Order,
            };
            let total = rows::dollars(facts.sale.total);
            // Nobody can ask for the returns of a sale that was removed before it was seen.
            let hidden = only_by_sale && kind == Kind::Refund && !facts.of.is_some_and(|of| invoices.contains(&of));
            let entry = Entry { optional: hidden, ..Entry::plain(kind, total, facts.sale.at) };
            (format!("{}/{}", facts.list.resource(), facts.number), entry)
        };
        facts.into_iter().map(entry).collect()
    }
}

impl Service for Asalta {
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

    /// One GET changes something, and two POSTs do not.
    fn mutates(&self, request: &Request) -> bool {
        let reads = match request.method.as_str() {
            "GET" => !request.path.to_ascii_lowercase().contains("void_order"),
            "POST" => matches!(request.path.as_str(), "/report/sales" | "/auth/token"),
            _ => false,
        };
        !reads
    }
}

impl State {
    fn answer(&mut self, request: &Request, now: DateTime<Utc>) -> Answer {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/auth") => return self.codes.ask(request, &self.options, now),
            ("POST", "/auth/token") => return self.codes.exchange(request, &self.options, now),
            _ => {}
        }
        if request.header("authorization") != Some(&format!("Bearer {}", self.options.token)) {
            let body = json!({"name": "Unauthorized", "message": "Your request was made with invalid credentials.",
                "code": 0, "status": 401});
            return Answer::json(401, &body);
        }
        if !request.header("accept").is_some_and(|accept| accept.contains("json") || accept.contains("*/*")) {
            return fault(406, "You requested a format that isn't json");
        }
        if self.options.other_product {
            return fault(403, "Forbidden");
        }
        let whole = format!("{}?{}", request.path, request.query.as_deref().unwrap_or_default());
        if self.options.broken.as_ref().is_some_and(|broken| whole.contains(broken)) {
            return fault(500, "We had a problem with our server. Try again later.");
        }
        let Some(name) = request.path.strip_prefix("/pos/") else {
            return match (request.method.as_str(), request.path.as_str()) {
                ("POST", "/report/sales") => self.report(request, now),
                (_, "/report/sales") => fault(405, "Method Not Allowed"),
                _ => fault(404, "Not Found"),
            };
        };
        if request.method != "GET" {
            // It would create or delete. What the box must never send changes nothing here but the count.
            return fault(405, "Method Not Allowed");
        }
        match name {
            "void_order" => self.void_order(request, now),
            "warehouses" => self.warehouses(request),
            "payments" => self.payments(request, now),
            "payment_methods" | "taxrates" | "items" => self.list(&[(); 0], |()| Value::Null, request),
            name => match List::of_path(name) {
                Some(list) => self.records(list, request, now),
                None => fault(404, "Not Found"),
            },
        }
    }

    fn warehouses(&self, request: &Request) -> Answer {
        let row = |(n, name): (usize, &String)| {
            json!({"id": (21 + n).to_string(), "code": format!("W{}", n + 1), "name": name, "warehouse_type": "Warehouse",
                "address": "Jl. Kemang Raya No. 5\nJakarta Selatan", "phone": "", "email": null})
        };
        let all: Vec<_> = self.options.warehouses.iter().enumerate().collect();
        self.list(&all, |of| row(*of), request)
    }

    fn records(&mut self, list: List, request: &Request, now: DateTime<Utc>) -> Answer {
        let facts = self.book.facts(&self.ledger, now);
        let mut own: Vec<_> = facts.iter().filter(|fact| fact.list == list).collect();
        own.retain(|fact| self.options.lists_leave_out.as_ref() != Some(&fact.sale.id));
        let row = |fact: &Facts<'_>| rows::row(fact, &facts, &self.options);
        if let Some(id) = request.parameter("id") {
            return match own.into_iter().find(|fact| fact.number.to_string() == id) {
                Some(fact) => Answer::json(200, &row(fact)),
                None => fault(404, "Not Found"),
            };
        }
        let needs_sale = match list {
            List::ReturnInvoices => !self.options.returns_without_sale.0,
            List::ReturnOrders => !self.options.returns_without_sale.1,
            List::Invoices | List::Orders => false,
        };
        match request.parameter("sale_id") {
            Some(sale) => own.retain(|fact| fact.of.is_some_and(|of| of.to_string() == sale)),
            None if needs_sale => return fault(self.options.mandatory_status, "Field sale_id is Mandatory."),
            None => {}
        }
        own.sort_by_key(|fact| fact.number);
        if self.options.newest_first {
            own.reverse();
        }
        self.list(&own, |fact| row(fact), request)
    }

    fn payments(&mut self, request: &Request, now: DateTime<Utc>) -> Answer {
        let Some(sale) = request.parameter("sale_id") else {
            return fault(self.options.mandatory_status, "Field sale_id is Mandatory.");
        };
        let facts = self.book.facts(&self.ledger, now);
        let of = |fact: &&Facts<'_>| fact.list == List::Invoices && fact.number.to_string() == sale;
        let payments = facts.iter().filter(of).flat_map(|fact| rows::payments(fact, &self.options.zone));
        let payments: Vec<_> = payments.collect();
        self.list(&payments, Value::clone, request)
    }

    fn void_order(&mut self, request: &Request, now: DateTime<Utc>) -> Answer {
        let id = request.parameter("id").and_then(|id| id.parse().ok());
        let facts = self.book.facts(&self.ledger, now);
        let known = |id: &u64| facts.iter().any(|fact| fact.list == List::Orders && fact.number == *id);
        match id.filter(known) {
            Some(id) => {
                self.book.voided.insert(id);
                Answer::json(200, &json!({"message": "Order voided successfully", "error": false}))
            }
            None => fault(404, "Not Found"),
        }
    }

    /// One page of rows, in the chosen shape.
    fn list<T>(&self, all: &[T], row: impl Fn(&T) -> Value, request: &Request) -> Answer {
        let Some(page) = request.parameter("page").map_or(Some(1), |page| page.parse().ok().filter(|page| *page > 0))
        else {
            return fault(400, "Please provide valid page.");
        };
        let (total, size) = (all.len(), self.options.page_rows);
        let pages = total.div_ceil(size).max(1);
        if page > pages {
            return fault(400, "Please provide valid page.");
        }
        let shown: Vec<_> = all.iter().skip((page - 1) * size).take(size).map(row).collect();
        let next = if self.options.stuck_page == Some(page) { Some(page) } else { (page < pages).then_some(page + 1) };
        let next = next.filter(|_| !self.options.next_is_missing);
        let link = |page: usize| json!({"href": format!("https://api.asalta.com{}?access_token={}&page={page}", request.path, self.options.token)});
        let counted = json!({"totalCount": total, "pageCount": pages, "currentPage": page, "perPage": size});
        let (name, meta) = match self.options.metadata {
            Metadata::PageSize => {
                ("_metadata", json!({"currentPage": page, "nextPage": next, "pageSize": size, "totalRecord": total}))
            }
            Metadata::TotalPage => {
                ("_metadata", json!({"currentPage": page, "nextPage": next, "totalPage": pages, "totalRecord": total}))
            }
            Metadata::PageCount => ("_metadata", counted),
            Metadata::Meta => ("_meta", counted),
        };
        let mut body = json!({"data": shown, name: meta});
        if matches!(self.options.metadata, Metadata::PageCount | Metadata::Meta) {
            body["_links"] = json!({"self": link(page), "last": link(pages)});
        }
        let body = match self.options.envelope {
            Envelope::Object => body,
            Envelope::Wrapped => json!([body]),
            Envelope::Bare => body["data"].take(),
        };
        Answer::json(200, &body)
    }

    fn report(&mut self, request: &Request, now: DateTime<Utc>) -> Answer {
        let form = Request { query: String::from_utf8(request.body.clone()).ok(), ..Request::default() };
        let text = |name: &str| {
            let of_form = form.parameter(name).filter(|_| !self.options.report_ignores_form);
            request.parameter(name).or(of_form)
        };
        let day = |name: &str| text(name).map(|text| text.parse::<NaiveDate>()).transpose();
        let (Ok(first), Ok(last)) = (day("startdate"), day("enddate")) else {
            return fault(self.options.mandatory_status, "Please provide valid date format.");
        };
        let facts = self.book.facts(&self.ledger, now);
        let shown = facts.iter().filter(|fact| {
            let local = self.options.zone.local(fact.sale.at).date_naive();
            let left_out = self.options.report_leaves_out.as_ref() == Some(&fact.sale.id);
            fact.list == List::Invoices
                && first.is_none_or(|first| first <= local)
                && last.is_none_or(|last| local <= last)
                && !left_out
        });
        let rows: Vec<_> = shown.map(|fact| rows::report_row(fact, &facts, &self.options)).collect();
        Answer::json(200, &Value::Array(rows))
    }
}

impl Book {
    /// What the server knows by now, each with the number of its list.
    fn facts<'a>(&mut self, ledger: &'a Ledger, now: DateTime<Utc>) -> Vec<Facts<'a>> {
        let mut found = rows::seen(ledger, now);
        found.sort_by(|a, b| (a.known_at, &a.sale.id).cmp(&(b.known_at, &b.sale.id)));
        for fact in &mut found {
            let numbers = self.numbers.entry(fact.list).or_default();
            let next = fact.list.first_number() + u64::try_from(numbers.len()).unwrap_or(u64::MAX);
            fact.number = numbers.get(&fact.sale.id).copied().unwrap_or(next);
            if fact.number == next {
                numbers.insert(fact.sale.id.clone(), next);
            }
            fact.is_void |= fact.list == List::Orders && self.voided.contains(&fact.number);
            let invoices = self.numbers.get(&List::Invoices);
            fact.of = fact.sale.refund_of.as_ref().and_then(|sold| invoices?.get(sold).copied());
        }
        found
    }
}

fn fault(status: u16, text: &str) -> Answer {
    Answer::json(status, &json!({"message": text, "error": true}))
}
