//! Asking a point of sale: the only user of ureq.
//!
//! A [`Request`] can only read or log in, and brings its own credential: the client holds none. Every body is bounded,
//! redirects are not followed (they could carry the credential elsewhere), and no error holds a header, a query or a
//! body's text.

use std::{io::Read, path::Path, time::Duration};

use chrono::{DateTime, Utc};
use thiserror::Error;
use ureq::{
    Agent, RequestBuilder,
    tls::{Certificate, RootCerts, TlsConfig},
};

use super::request::{Authorization, Method, Request};
use crate::{
    secret::Secret,
    tls::{self, TlsError},
};

/// No answer of a point of sale may be larger: a page of 100 sales takes some 100 KB.
pub const BODY_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// How long the POS may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request may take in all.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// An answer that its connector can read: of status 200, or another that it accepts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// 200, or one that the connector accepts.
    pub status: u16,
    /// At most [`BODY_MAX_BYTES`].
    pub body: Vec<u8>,
    /// The server's clock, where it told it.
    pub date: Option<DateTime<Utc>>,
    /// The values of `Set-Cookie`: sessions, so they are hidden.
    pub set_cookies: Vec<Secret>,
    /// What the server told of its limit.
    pub rate: Rate,
}

/// A limit that others may share, as the server tells it with every answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rate {
    /// `X-RateLimit-Remaining`: requests that are left.
    pub remaining: Option<u64>,
    /// `X-RateLimit-Reset`: seconds, until then or since 1970; the connector knows its system.
    pub reset: Option<u64>,
}

impl Answer {
    /// An answer of status 200 that is nothing but its body.
    #[must_use]
    pub fn of(body: Vec<u8>) -> Self {
        Self { status: 200, body, ..Self::default() }
    }

    /// The value of a cookie that the server sets. Its attributes are left alone: whether it goes back is the
    /// connector's decision, and POS Kasir marks its cookies `Secure` on plain HTTP too.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<Secret> {
        let mut pairs = self.set_cookies.iter().rev().filter_map(|set| set.expose().split(';').next()?.split_once('='));
        pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| Secret::new(value.trim()))
    }
}

/// Why there is no answer to read. The variants tell what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// Wait and ask again: the network.
    #[error("{0}")]
    Unreachable(String),
    /// Wait and ask again, perhaps for less: the server took the request and did not answer in time.
    #[error("{0}")]
    TooSlow(String),
    /// Wait and ask again: the server is in trouble (408, 5xx), or says so of a request that it dislikes.
    #[error("the server answered {0}, expected 200")]
    Trouble(u16),
    /// Ask less often, and not before the delay that the server gave.
    #[error("the server answered 429: too many requests{}", retry_after.map(|after| format!("; it asks to wait {} s", after.as_secs())).unwrap_or_default())]
    TooMany {
        /// The delay that the server gave.
        retry_after: Option<Duration>,
    },
    /// A person must renew the credentials.
    #[error("the server answered {0}: it refuses the credentials")]
    Refused(u16),
    /// The request, or the API, is not what we believe it is.
    #[error("the server answered {0}, expected 200")]
    Unexpected(u16),
    /// The body is larger than any that can be right.
    #[error("expected a body of {} MiB at most, found a larger one", BODY_MAX_BYTES / 1024 / 1024)]
    TooLarge,
}

/// Whoever can send a request to a point of sale and bring the answer.
pub trait Ask: Send {
    /// Sends a request and gives the whole answer. A status other than 200 is an answer where `accepts` says so.
    ///
    /// # Errors
    /// There is no answer with such a status and a body within bounds.
    fn ask(&self, request: &Request, accepts: &dyn Fn(u16) -> bool) -> Result<Answer, Failure>;
}

/// A client for one point of sale.
pub struct Client {
    agent: Agent,
    base_url: String,
    timeout: Duration,
}

impl Client {
    /// A client of the server at `base_url`.
    ///
    /// # Errors
    /// The authorities to trust cannot be read.
    pub fn new(base_url: &str, authority_file: Option<&Path>) -> Result<Self, TlsError> {
        Self::within(REQUEST_TIMEOUT, base_url, authority_file)
    }

    /// The same, for requests that make no sense after so long.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn within(timeout: Duration, base_url: &str, authority_file: Option<&Path>) -> Result<Self, TlsError> {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // Not by way of whatever the environment names: the credential goes to the configured server alone.
            .proxy(None)
            .timeout_connect(Some(CONNECT_TIMEOUT.min(timeout)))
            .timeout_global(Some(timeout))
            .max_idle_connections(1)
            .max_response_header_size(16 * 1024)
            .user_agent(concat!("tillbox/", env!("CARGO_PKG_VERSION")));
        if base_url.starts_with("https://") {
            let authorities = tls::authorities(authority_file)?;
            let authorities: Vec<_> = authorities.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
            let tls = TlsConfig::builder()
                .root_certs(RootCerts::new_with_certs(&authorities))
                .unversioned_rustls_crypto_provider(tls::provider())
                .build();
            config = config.tls_config(tls);
        }
        Ok(Self { agent: config.build().new_agent(), base_url: base_url.to_owned(), timeout })
    }
}

/// Blocks for 30 s at most.
impl Ask for Client {
    fn ask(&self, request: &Request, accepts: &dyn Fn(u16) -> bool) -> Result<Answer, Failure> {
        let url = format!("{}{}", self.base_url, request.path());
        let sent = match request.method() {
            Method::Get => with_headers(self.agent.get(url), request).call(),
            Method::Post(payload) => with_headers(self.agent.post(url), request)
                .header("Content-Type", payload.content_type)
                .send(payload.text.expose()),
        };
        let mut response = sent.map_err(|error| failure(&error, self.timeout))?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let mut answer = head(response.status().as_u16(), header, accepts)?;
        let cookies = response.headers().get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
        answer.set_cookies = cookies.map(Secret::new).collect();
        let read = response.body_mut().with_config().limit(BODY_MAX_BYTES).reader().read_to_end(&mut answer.body);
        match read {
            Ok(_) => Ok(answer),
            Err(cause) => Err(match cause.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
                Some(error) => failure(error, self.timeout),
                None => Failure::Unreachable(format!(
                    "expected a whole answer, found one that broke off after {} bytes",
                    answer.body.len()
                )),
            }),
        }
    }
}

/// What status and headers say: an answer without its cookies and body yet, or why there is none.
pub(crate) fn head<'h>(
    status: u16,
    header: impl Fn(&str) -> Option<&'h str>,
    accepts: &dyn Fn(u16) -> bool,
) -> Result<Answer, Failure> {
    let date = header("date").and_then(read_http_date);
    match status {
        accepted if accepted == 200 || accepts(accepted) => {}
        401 | 403 => return Err(Failure::Refused(status)),
        429 => {
            let retry_after = header("retry-after").and_then(|text| read_retry_after(text, date));
            return Err(Failure::TooMany { retry_after });
        }
        408 | 500..=599 => return Err(Failure::Trouble(status)),
        _ => return Err(Failure::Unexpected(status)),
    }
    let number = |name| header(name).and_then(|text| text.trim().parse().ok());
    let rate = Rate { remaining: number("x-ratelimit-remaining"), reset: number("x-ratelimit-reset") };
    Ok(Answer { status, date, rate, ..Answer::default() })
}

fn with_headers<B>(call: RequestBuilder<B>, request: &Request) -> RequestBuilder<B> {
    let call = call.header("Accept", "application/json");
    let call = match request.authorization() {
        Authorization::None => call,
        Authorization::Bearer(token) => call.header("Authorization", format!("Bearer {}", token.expose())),
        Authorization::Header(name, key) => call.header(*name, key.expose()),
        Authorization::Cookie(pair) => call.header("Cookie", pair.expose()),
    };
    request.query().iter().fold(call, |call, (name, value)| call.query(name, value))
}

/// An error of ureq without what a URL could hold.
fn failure(error: &ureq::Error, timeout: Duration) -> Failure {
    match error {
        ureq::Error::BodyExceedsLimit(_) => Failure::TooLarge,
        ureq::Error::Timeout(phase) => {
            let text = format!("expected an answer within {} s, found none ({phase})", timeout.as_secs());
            match phase {
                ureq::Timeout::Resolve | ureq::Timeout::Connect => Failure::Unreachable(text),
                _ => Failure::TooSlow(text),
            }
        }
        ureq::Error::HostNotFound => Failure::Unreachable("the host's name cannot be resolved".to_owned()),
        ureq::Error::ConnectionFailed => Failure::Unreachable("the connection cannot be made".to_owned()),
        ureq::Error::Io(cause) => Failure::Unreachable(format!("the connection failed: {cause}")),
        ureq::Error::Rustls(cause) => Failure::Unreachable(format!("no secure connection: {cause}")),
        ureq::Error::Protocol(cause) => Failure::Unreachable(format!("the answer is no HTTP: {cause}")),
        ureq::Error::BadUri(_) => Failure::Unreachable("the base URL cannot be used".to_owned()),
        other => Failure::Unreachable(format!("the request failed: {}", kind_of(other))),
    }
}

fn kind_of(error: &ureq::Error) -> &'static str {
    match error {
        ureq::Error::Tls(text) => text,
        ureq::Error::LargeResponseHeader(..) => "its headers are too large",
        ureq::Error::BodyStalled => "its body stalled",
        ureq::Error::TooManyRedirects | ureq::Error::RedirectFailed => "it redirects",
        _ => "for an unknown reason",
    }
}

fn read_http_date(text: &str) -> Option<DateTime<Utc>> {
    httpdate::parse_http_date(text).ok().map(DateTime::from)
}

/// Seconds, or a date that is taken against the server's own clock.
fn read_retry_after(text: &str, date: Option<DateTime<Utc>>) -> Option<Duration> {
    match text.trim().parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => (read_http_date(text)? - date?).to_std().ok(),
    }
}

#[cfg(all(test, feature = "demo"))]
#[expect(clippy::unwrap_used, reason = "a test stops where its stage cannot be set")]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;
    use crate::{
        demo::http_server::{self, HttpServer, Service},
        pos::request::{Payload, Post},
    };

    /// Answers alike whatever is asked, and keeps the requests.
    struct Echo {
        answer: http_server::Answer,
        received: Mutex<Vec<http_server::Request>>,
    }

    impl Service for Echo {
        fn answer(&self, request: &http_server::Request) -> http_server::Answer {
            self.received.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
            self.answer.clone()
        }

        fn now(&self) -> DateTime<Utc> {
            DateTime::UNIX_EPOCH
        }
    }

    fn server(answer: http_server::Answer) -> (HttpServer<Echo>, Client) {
        let server = HttpServer::start(Echo { answer, received: Mutex::default() }).unwrap();
        let client = Client::new(&format!("http://{}/v1", server.address()), None).unwrap();
        (server, client)
    }

    fn sent(request: &Request) -> http_server::Request {
        let (server, client) = server(http_server::Answer::json(200, &serde_json::json!({})));
        client.ask(request, &|_| false).unwrap();
        let mut received = server.service().received.lock().unwrap();
        assert_eq!(received.len(), 1);
        received.remove(0)
    }

    #[test]
    fn each_request_shows_its_own_credential_and_no_other() {
        let names = ["Authorization", "X-API-Key", "Cookie"];
        for (authorization, expected) in [
            (Authorization::None, [None; 3]),
            (Authorization::Bearer(Secret::new("t0")), [Some("Bearer t0"), None, None]),
            (Authorization::Header("X-API-Key", Secret::new("k1")), [None, Some("k1"), None]),
            (Authorization::Cookie(Secret::new("access_token=j2")), [None, None, Some("access_token=j2")]),
        ] {
            let received = sent(&Request::get(&["merchant", "info"]).unwrap().authorized(authorization));
            assert_eq!(names.map(|name| received.header(name)), expected);
            assert_eq!(received.header("Accept"), Some("application/json"));
        }
    }

    #[test]
    fn path_and_query_arrive_as_they_were_meant() {
        let request = Request::get(&["orders", "7/refund?x"]).unwrap();
        let received = sent(&request.with("statuses", "paid").with("statuses", "a&b=c+d é"));
        assert_eq!((received.method.as_str(), received.path.as_str()), ("GET", "/v1/orders/7%2Frefund%3Fx"));
        assert_eq!(received.parameter("statuses").as_deref(), Some("paid"));
        let query = received.query.unwrap();
        assert!(query.starts_with("statuses=paid&statuses=a%26b") && query.contains("%2Bd"), "{query}");
    }

    #[test]
    fn a_login_is_a_post_with_its_body() {
        let members = [("email", "box@shop.id"), ("password", "x&y")];
        for (post, payload, path, kind, body) in [
            (
                Post::Login,
                Payload::json(&members),
                "/v1/auth/login",
                "application/json",
                r#"{"email":"box@shop.id","password":"x&y"}"#,
            ),
            (
                Post::Token,
                Payload::form(&members),
                "/v1/token",
                "application/x-www-form-urlencoded",
                "email=box%40shop.id&password=x%26y",
            ),
        ] {
            let received = sent(&Request::post(post, payload));
            assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", path));
            let kinds = received.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
            assert_eq!(kinds.map(|(_, kind)| kind.as_str()).collect::<Vec<_>>(), [kind]);
            assert_eq!(String::from_utf8(received.body).unwrap(), body);
        }
    }

    #[test]
    fn an_answer_brings_cookies_and_the_limit() {
        let answer = http_server::Answer::json(200, &serde_json::json!({}))
            .with("Set-Cookie", &"access_token=j=2; Path=/; HttpOnly; Secure")
            .with("Set-Cookie", &"refresh_token=r3; Path=/")
            .with("X-RateLimit-Remaining", &39)
            .with("X-RateLimit-Reset", &"soon");
        let (_server, client) = server(answer);
        let answer = client.ask(&Request::post(Post::Refresh, Payload::json(&[])), &|_| false).unwrap();
        assert_eq!(answer.cookie("access_token"), Some(Secret::new("j=2")));
        assert_eq!(answer.cookie("refresh_token"), Some(Secret::new("r3")));
        assert_eq!(answer.cookie("Path"), None);
        assert_eq!(answer.rate, Rate { remaining: Some(39), reset: None });
        assert!(!format!("{answer:?}").contains("j=2"));
    }

    #[test]
    fn another_status_is_an_answer_only_where_the_connector_says_so() {
        let request = Request::get(&["order", "closeorder"]).unwrap();
        for (status, failure) in [
            (404, Failure::Unexpected(404)),
            (401, Failure::Refused(401)),
            (500, Failure::Trouble(500)),
            (429, Failure::TooMany { retry_after: None }),
        ] {
            let (_server, client) = server(http_server::Answer::message(status, "Siti"));
            assert_eq!(client.ask(&request, &|_| false), Err(failure.clone()));
            assert!(!format!("{failure} {failure:?}").contains("Siti"));
            let answer = client.ask(&request, &|accepted| accepted == status).unwrap();
            assert_eq!((answer.status, answer.body.as_slice()), (status, &br#"{"message":"Siti"}"#[..]));
        }
    }
}
