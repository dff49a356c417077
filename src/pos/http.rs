//! Asking a point of sale: the only user of ureq.
//!
//! A [`Request`] can only be made of a connector's closed list, every body is bounded, redirects are not followed (they
//! could carry the credential elsewhere), and no error holds a header, a query or a body's text.

use std::{io::Read, path::Path, time::Duration};

use chrono::{DateTime, Utc};
use thiserror::Error;
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig},
};

use crate::{
    secret::Secret,
    tls::{self, TlsError},
};

/// No answer of a point of sale may be larger: a page of 100 sales takes some 100 KB.
pub const BODY_MAX_BYTES: u64 = 8 * 1024 * 1024;

/// How long the POS may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request may take in all.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// One request of a connector's closed list. Only reading requests can be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Path below the base URL, with a leading slash.
    pub path: &'static str,
    /// Query parameters; percent-encoded when sent.
    pub query: Vec<(&'static str, String)>,
}

/// An answer with status 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// At most [`BODY_MAX_BYTES`].
    pub body: Vec<u8>,
    /// The server's clock, where it told it.
    pub date: Option<DateTime<Utc>>,
}

/// Why there is no answer to read. The variants tell what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// Wait and ask again: the network, a time-out, a server in trouble.
    #[error("{0}")]
    Unreachable(String),
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

/// A client for one account at one point of sale.
pub struct Client {
    agent: Agent,
    base_url: String,
    bearer: Secret,
}

impl Client {
    /// A client that shows `bearer` to the server at `base_url`.
    ///
    /// # Errors
    /// The authorities to trust cannot be read.
    pub fn new(base_url: &str, bearer: Secret, authority_file: Option<&Path>) -> Result<Self, TlsError> {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // Not by way of whatever the environment names: the credential goes to the configured server alone.
            .proxy(None)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(REQUEST_TIMEOUT))
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
        Ok(Self { agent: config.build().new_agent(), base_url: base_url.to_owned(), bearer })
    }

    /// Sends a request and reads the whole answer. Blocks for 30 s at most.
    ///
    /// # Errors
    /// There is no answer with status 200 and a body within bounds.
    pub fn ask(&self, request: &Request) -> Result<Answer, Failure> {
        let mut call = self
            .agent
            .get(format!("{}{}", self.base_url, request.path))
            .header("Accept", "application/json")
            .header("Authorization", format!("Bearer {}", self.bearer.expose()));
        for (name, value) in &request.query {
            call = call.query(name, value);
        }
        let mut response = call.call().map_err(|error| failure(&error))?;
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let date = header("date").and_then(read_http_date);
        match response.status().as_u16() {
            200 => {}
            401 | 403 => return Err(Failure::Refused(response.status().as_u16())),
            429 => {
                let retry_after = header("retry-after").and_then(|text| read_retry_after(text, date));
                return Err(Failure::TooMany { retry_after });
            }
            status @ (408 | 500..=599) => {
                return Err(Failure::Unreachable(format!("the server answered {status}, expected 200")));
            }
            status => return Err(Failure::Unexpected(status)),
        }
        let mut body = Vec::new();
        let read = response.body_mut().with_config().limit(BODY_MAX_BYTES).reader().read_to_end(&mut body);
        match read {
            Ok(_) => Ok(Answer { body, date }),
            Err(cause) => Err(match cause.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
                Some(error) => failure(error),
                None => Failure::Unreachable(format!(
                    "expected a whole answer, found one that broke off after {} bytes",
                    body.len()
                )),
            }),
        }
    }
}

/// An error of ureq without what a URL could hold.
fn failure(error: &ureq::Error) -> Failure {
    match error {
        ureq::Error::BodyExceedsLimit(_) => Failure::TooLarge,
        ureq::Error::Timeout(phase) => Failure::Unreachable(format!(
            "expected an answer within {} s, found none ({phase})",
            REQUEST_TIMEOUT.as_secs()
        )),
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
