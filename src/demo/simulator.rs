//! What the demonstration, the random histories and the benches need of a simulated point of sale, whatever its system.
//!
//! A simulator is told what happens in a shop ([`Movement`]s), shows of it what its system's API would show, and says in
//! a [`Sheet`] what a reader of that API may rightly hold. It can answer over HTTP ([`Server`]) or directly
//! ([`InProcess`]), for whoever plays a week in a second.

use std::{collections::BTreeMap, io, sync::Arc};

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::{
    http_server::{self, HttpServer, Service},
    shop::{Kind, Movement},
};
use crate::pos::{
    http::{Answer, Ask, BODY_MAX_BYTES, Failure, head},
    request::{Authorization, Method, Request, encode},
};
use crate::secret::Secret;

/// A simulated point of sale.
pub trait Simulator: Service {
    /// The lines of a config's `[[pos]]` block that choose the system and let the box in, without name and base-url.
    fn pos_block(&self) -> String;

    /// The path of the base URL, such as `/v1`.
    fn base_path(&self) -> &'static str;

    /// Lets these movements happen: each shows itself when its time has come.
    fn play(&self, movements: &[Movement]);

    /// The record of this sale disappears from the source.
    fn remove(&self, id: &str, at: DateTime<Utc>);

    /// What a reader may rightly hold of what the source shows at `now`.
    fn sheet(&self, now: DateTime<Utc>) -> Sheet;
}

/// What a reader may rightly hold, by `resource/external_id`.
pub type Sheet = BTreeMap<String, Entry>;

/// What a reader may rightly hold of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The kinds that it may have for the reader. More than one where it matters whether the reader saw the record
    /// before: POS Kasir shows a refunded order like one that was never paid.
    pub kinds: Vec<Kind>,
    /// Its total, a magnitude.
    pub total: Decimal,
    /// Its business time; it tells the business day.
    pub at: DateTime<Utc>,
    /// A reader may also lack it.
    pub optional: bool,
    /// The key of another entry with which it must come to nothing: a sale and the refund that is derived from it.
    pub balances: Option<String>,
}

impl Entry {
    /// A record that must be held, of one kind.
    #[must_use]
    pub fn plain(kind: Kind, total: Decimal, at: DateTime<Utc>) -> Self {
        Self { kinds: vec![kind], total, at, optional: false, balances: None }
    }
}

/// A simulator that answers on a free port of 127.0.0.1; dropping it stops it.
pub struct Server<S: Simulator> {
    http: HttpServer<S>,
}

impl<S: Simulator> Server<S> {
    /// Listens.
    ///
    /// # Errors
    /// No port or no thread can be had.
    pub fn start(simulator: S) -> io::Result<Self> {
        Ok(Self { http: HttpServer::start(simulator)? })
    }

    /// The transport: faults on command, and the requests seen.
    #[must_use]
    pub fn http(&self) -> &HttpServer<S> {
        &self.http
    }

    /// The simulator itself.
    #[must_use]
    pub fn simulator(&self) -> &S {
        self.http.service()
    }

    /// For the config's `base-url`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}{}", self.http.address(), self.simulator().base_path())
    }
}

/// Whichever system it is of.
impl Simulator for Arc<dyn Simulator> {
    fn pos_block(&self) -> String {
        (**self).pos_block()
    }

    fn base_path(&self) -> &'static str {
        (**self).base_path()
    }

    fn play(&self, movements: &[Movement]) {
        (**self).play(movements);
    }

    fn remove(&self, id: &str, at: DateTime<Utc>) {
        (**self).remove(id, at);
    }

    fn sheet(&self, now: DateTime<Utc>) -> Sheet {
        (**self).sheet(now)
    }
}

impl Service for Arc<dyn Simulator> {
    fn answer(&self, request: &http_server::Request) -> http_server::Answer {
        (**self).answer(request)
    }

    fn now(&self) -> DateTime<Utc> {
        (**self).now()
    }

    fn shown_date(&self) -> Option<DateTime<Utc>> {
        (**self).shown_date()
    }

    fn mutates(&self, request: &http_server::Request) -> bool {
        (**self).mutates(request)
    }
}

/// Asks a simulator without any network between.
pub struct InProcess<S: ?Sized> {
    simulator: Arc<S>,
}

impl<S: Simulator + ?Sized> InProcess<S> {
    /// Asks this simulator.
    #[must_use]
    pub fn new(simulator: Arc<S>) -> Self {
        Self { simulator }
    }
}

impl<S: Simulator + ?Sized> Ask for InProcess<S> {
    fn ask(&self, request: &Request, accepts: &dyn Fn(u16) -> bool) -> Result<Answer, Failure> {
        let answered = self.simulator.answer(&as_received(request, self.simulator.base_path()));
        let date = self.simulator.shown_date().map(|date| httpdate::fmt_http_date(date.into()));
        let header = |name: &str| match name {
            "date" => date.as_deref(),
            _ => answered.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()),
        };
        let mut answer = head(answered.status, header, accepts)?;
        let cookies = answered.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        answer.set_cookies = cookies.map(|(_, value)| Secret::new(value)).collect();
        if u64::try_from(answered.body.len()).is_ok_and(|bytes| bytes > BODY_MAX_BYTES) {
            return Err(Failure::TooLarge);
        }
        answer.body = answered.body;
        Ok(answer)
    }
}

/// A request as it would arrive.
fn as_received(request: &Request, base_path: &str) -> http_server::Request {
    let mut headers = vec![("Accept".to_owned(), "application/json".to_owned())];
    match request.authorization() {
        Authorization::None => {}
        Authorization::Bearer(token) => {
            headers.push(("Authorization".to_owned(), format!("Bearer {}", token.expose())));
        }
        Authorization::Header(name, key) => headers.push(((*name).to_owned(), key.expose().to_owned())),
        Authorization::Cookie(pair) => headers.push(("Cookie".to_owned(), pair.expose().to_owned())),
    }
    let (method, body) = match request.method() {
        Method::Get => ("GET", Vec::new()),
        Method::Post(payload) => {
            headers.push(("Content-Type".to_owned(), payload.content_type.to_owned()));
            ("POST", payload.text.expose().as_bytes().to_vec())
        }
    };
    let mut query = String::new();
    for (name, value) in request.query() {
        if !query.is_empty() {
            query.push('&');
        }
        encode(name, &mut query);
        query.push('=');
        encode(value, &mut query);
    }
    http_server::Request {
        method: method.to_owned(),
        path: format!("{base_path}{}", request.path()),
        query: (!query.is_empty()).then_some(query),
        headers,
        body,
        ..http_server::Request::default()
    }
}
