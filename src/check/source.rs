//! A point of sale: the way to it, and its own connector's first requests, until it says whose sales it reads.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};

use super::{
    Finding, Outcome,
    clock::Told,
    line::{Secured, Server, Unreached},
    patience::{Left, Waits},
};
use crate::{
    config::{Outlet, Pos},
    health::Condition,
    pos::{
        connector::{Begin, Connector, Nothing, Step, Yield},
        http::{Ask as _, Client, Failure},
        systems::{connector, remedy, terms},
    },
    tls,
};

/// Requests that a connector may need until it knows whose sales it reads: login, role, name, and what lies between.
const REQUESTS_MAX: usize = 5;

/// A request may take so long, …
const REQUEST_MAX: Duration = Duration::from_secs(8);

/// … and none begins after this.
const BEGIN_WITHIN: Duration = Duration::from_secs(12);

/// What came of a connection.
pub struct Tried {
    pub findings: Vec<Finding>,
    /// What the server told of the time.
    pub date: Option<Told>,
}

impl Tried {
    /// Of a connection that did not come to its end.
    pub fn left(item: &str, left: &Left) -> Self {
        Self { findings: vec![left.finding(item)], date: None }
    }
}

/// How a connection is called in the lines.
pub fn item(pos: &Pos) -> String {
    format!("pos {}", pos.name)
}

/// Tries one connection.
pub fn check(outlet: &Outlet, pos: &Pos, now: DateTime<Utc>, waits: &Waits) -> Tried {
    let item = item(pos);
    let mut date = None;
    let mut findings = Vec::new();
    match reach(pos, now, waits) {
        Err(Unreached { outcome, text, remedy }) => findings.push(Finding::not_ok(&item, outcome, text, remedy)),
        Ok(secured) => {
            findings.push(let_in(&item, outlet, pos, secured.as_ref(), now, (waits, &mut date)));
            let ends = secured
                .and_then(|secured| secured.ends_soon("found that the server's", "tell whoever runs it to", now));
            findings.extend(ends.map(|(text, remedy)| Finding::warn(&item, text, remedy)));
        }
    }
    Tried { findings, date }
}

/// Goes to the server and back, without a word to it.
fn reach(pos: &Pos, now: DateTime<Utc>, waits: &Waits) -> Result<Option<Secured>, Unreached> {
    let (tls, host, port) = endpoint(&pos.base_url);
    let server = Server { host, port, key: "base-url", now, waits };
    let stream = server.connect()?;
    if !tls {
        return Ok(None);
    }
    let config = tls::client(pos.ca_certificate.as_deref(), None).map_err(|error| Unreached {
        outcome: Outcome::Correct,
        text: error.to_string(),
        remedy: "correct ca-certificate".to_owned(),
    })?;
    server.secure(stream, config, pos.ca_certificate.as_deref()).map(Some)
}

/// Scheme, host and port of a base URL, which the config has judged.
fn endpoint(base_url: &str) -> (bool, &str, u16) {
    let (scheme, rest) = base_url.split_once("://").unwrap_or(("https", base_url));
    let authority = rest.split('/').next().unwrap_or_default();
    let tls = scheme == "https";
    let usual = if tls { 443 } else { 80 };
    let (host, port) = match authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    (tls, host, port.and_then(|port| port.parse().ok()).unwrap_or(usual))
}

/// What is known so far of a connection that is tried.
struct Trial<'a> {
    item: &'a str,
    pos: &'a Pos,
    connector: Box<dyn Connector>,
}

fn let_in(
    item: &str,
    outlet: &Outlet,
    pos: &Pos,
    secured: Option<&Secured>,
    now: DateTime<Utc>,
    (waits, date): (&Waits, &mut Option<Told>),
) -> Finding {
    let secret = match pos.credentials.secret().read() {
        Ok(secret) => secret,
        Err(reason) => {
            let text = format!("found no credential ({reason}); expected one");
            return Finding::correct(item, text, remedy(&pos.credentials, &pos.name));
        }
    };
    let client = match Client::within(REQUEST_MAX, &pos.base_url, pos.ca_certificate.as_deref()) {
        Ok(client) => client,
        Err(error) => return Finding::correct(item, error.to_string(), "correct ca-certificate"),
    };
    let begin = Begin { secret, cursor: None, gaps: Vec::new(), memory: Arc::new(Nothing), now };
    let made = connector(&pos.base_url, pos.system, &pos.credentials, terms(outlet, pos, now), begin);
    let mut trial = Trial { item, pos, connector: made };
    let asked = trial.ask(&client, waits, date);
    asked.unwrap_or_else(|| trial.welcome(secured))
}

impl Trial<'_> {
    /// Takes the connector's steps until it knows whose sales it reads; gives what is wrong.
    fn ask(&mut self, client: &Client, waits: &Waits, date: &mut Option<Told>) -> Option<Finding> {
        let begun = Instant::now();
        for _ in 0..REQUESTS_MAX {
            if self.connector.progress().identity.is_some() || begun.elapsed() > BEGIN_WITHIN {
                return None;
            }
            // One that wants to wait has said what it had to say.
            let Step::Ask(request) = self.connector.next(Utc::now()) else { return None };
            waits.begin(format!("the answer to {} {request}", self.pos.system.name()));
            let answered = client.ask(&request, &|status| self.connector.accepts(status));
            let now = Utc::now();
            let asked = format!("{} {request}", self.pos.system.name());
            let found = match &answered {
                Ok(answer) => {
                    *date = answer.date.map(|server| Told { difference: server - now }).or(date.take());
                    match self.connector.take(answer, now) {
                        Ok(found) => found,
                        Err(fault) => return Some(self.unreadable(&asked, &fault)),
                    }
                }
                Err(failure) => match self.connector.failed(failure, now) {
                    Some(found) => found,
                    None => return Some(self.failed(&asked, failure)),
                },
            };
            if let Some(finding) = self.judge(&found) {
                return Some(finding);
            }
        }
        None
    }

    /// What an answer says about the one who asks.
    fn judge(&self, found: &Yield) -> Option<Finding> {
        found.conditions.iter().find_map(|(condition, text)| match (condition, text) {
            (Condition::PosRefused, Some(text)) => {
                Some(Finding::correct(self.item, text, remedy(&self.pos.credentials, &self.pos.name)))
            }
            (Condition::PosUnfit, Some(text)) => {
                let (text, remedy) = what_and_remedy(text);
                Some(Finding::correct(self.item, text, remedy))
            }
            _ => None,
        })
    }

    fn unreadable(&self, asked: &str, fault: &str) -> Finding {
        let remedy = format!("check that base-url leads to the API of {}, not to its web page", self.pos.system.name());
        Finding::correct(self.item, format!("{asked}: {fault}"), remedy)
    }

    fn failed(&self, asked: &str, failure: &Failure) -> Finding {
        let text = format!("{asked}: {failure}");
        match failure {
            Failure::Refused(_) | Failure::Unsendable(_) => {
                Finding::correct(self.item, text, remedy(&self.pos.credentials, &self.pos.name))
            }
            Failure::Barred { .. } => {
                let remedy = "check again; if it stays, let whoever runs the server or its firewall admit this box";
                Finding::later(self.item, text, remedy)
            }
            Failure::Untrusted(fault) => {
                let text = format!("{asked}: found {}; expected a secure connection", fault.found);
                Finding::correct(self.item, text, fault.remedy.clone())
            }
            Failure::Unexpected(_) | Failure::TooLarge => Finding::correct(self.item, text, "check the base-url"),
            Failure::TooMany { .. } => Finding::later(self.item, text, "check again in some minutes"),
            Failure::Trouble(_) | Failure::TooSlow(_) | Failure::Busy { .. } | Failure::Unreachable(_) => {
                Finding::later(self.item, text, "check again; if it stays, ask whoever runs the server")
            }
        }
    }

    fn welcome(&self, secured: Option<&Secured>) -> Finding {
        let line = secured.map_or_else(|| "plain http".to_owned(), |secured| secured.text(Utc::now()));
        let system = self.pos.system.name();
        let text = match self.connector.progress().identity {
            Some(identity) => format!("{system} lets the box in and shows the sales of {identity} ({line})"),
            None => format!("{system} lets the box in, and gives no name for whose sales it shows ({line})"),
        };
        Finding::ok(self.item, text)
    }
}

/// A connector's own line for a person ends with what to do.
fn what_and_remedy(text: &str) -> (&str, &str) {
    let at = text.rfind("; ").or_else(|| text.rfind(": "));
    at.map_or((text, "correct the connection's credentials"), |at| (&text[..at], &text[at + 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        for (url, expected) in [
            ("https://api.qasir.id/v1", (true, "api.qasir.id", 443)),
            ("http://192.168.1.10:8080/api/v1", (false, "192.168.1.10", 8080)),
            ("http://localhost", (false, "localhost", 80)),
            ("https://[2001:db8::1]:8443/v1", (true, "2001:db8::1", 8443)),
            ("https://[2001:db8::1]", (true, "2001:db8::1", 443)),
        ] {
            assert_eq!(endpoint(url), expected);
        }
    }
}
