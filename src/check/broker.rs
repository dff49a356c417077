//! One of HQ's brokers: the way to it, its login, and what it does with what a box publishes and reads there.
//!
//! - The client id is the daemon's with `-check` behind it, so a daemon that runs keeps its session.
//! - Hellos alone stand on the events' topics: the daemon's own way of proving that its publishes arrive, which consumers
//!   pass over. `checkpoint` is read and never written.
//! - Whether the broker keeps what is retained is tried by a `status` that says `checking`, and only where no daemon runs;
//!   what stood there is put back. A daemon that runs is asked what its own line has found.
//! - A broker may close at each publish, or say nothing: each wait is bounded, and all of it is over within [`ALL_MAX`].

mod connection;
mod retained;
mod topics;
mod trial;
mod words;

use std::{path::Path, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use self::{connection::Connection, topics::Topics};
use super::{
    Finding, Outcome,
    line::{Secured, Server, Unreached},
    patience::Waits,
};
use crate::{
    config::{Broker, Hq, Outlet},
    inspect::Probe,
    mqtt::wire::{Connect, Wire, WireError},
    tls::{self, certificate::Validity},
};

/// What is tried at one broker is over within this, and what must be put back within three seconds more.
const ALL_MAX: Duration = Duration::from_secs(25);

/// The line's keep-alive, longer than all of it.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// How a broker is called in the lines.
pub fn item(broker: &Broker) -> String {
    format!("hq {broker}")
}

/// What was found at one broker.
#[derive(Debug)]
pub struct Tried {
    pub findings: Vec<Finding>,
    /// The retained checkpoint.
    pub checkpoint: Checkpoint,
}

/// What is retained as the outlet's checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkpoint {
    /// It could not be read.
    Unread,
    /// Nothing.
    Absent,
    /// One of a stream.
    Of { stream: String, generation: u32 },
}

impl From<Vec<Finding>> for Tried {
    fn from(findings: Vec<Finding>) -> Self {
        Self { findings, checkpoint: Checkpoint::Unread }
    }
}

/// Whether a daemon has the outbox; `None` until that is known.
pub type Running = watch::Receiver<Option<bool>>;

/// Tries one broker.
pub fn check(hq: &Hq, outlet: &Outlet, broker: &Broker, now: DateTime<Utc>, running: Running, waits: &Waits) -> Tried {
    let item = item(broker);
    let until = Instant::now() + ALL_MAX;
    let not_ok = |Unreached { outcome, text, remedy }| vec![Finding::not_ok(&item, outcome, text, remedy)];
    let (secured, tls) = match reach(hq, broker, now, waits) {
        Ok(reached) => reached,
        Err(unreached) => return not_ok(unreached).into(),
    };
    waits.begin(format!("{broker} to let the box in and to take what a box publishes"));
    let mut tried = match try_line(hq, outlet, broker, tls, (secured.as_ref(), now), until, running) {
        Ok(tried) => tried,
        Err(unreached) => not_ok(unreached).into(),
    };
    let ends = secured.and_then(|secured| secured.ends_soon("found that the broker's", "let HQ", now));
    let ends = ends.map(|(text, remedy)| Finding::warn(&item, text, remedy));
    let behind_first = tried.findings.len().min(1);
    tried.findings.splice(behind_first..behind_first, ends);
    tried
}

/// What the running daemon's own line has found; `None` where none runs.
pub fn of_daemon(probe: &Probe) -> Vec<Finding> {
    const ITEM: &str = "hq";
    let mut findings = Vec::new();
    let broker = probe.broker.as_deref().unwrap_or("no broker");
    if probe.works {
        let version = probe.protocol.as_deref().unwrap_or("of no version");
        let checkpoint = if probe.checkpoint_found {
            "a new subscription has found its checkpoint there"
        } else {
            "it has not looked for its checkpoint there yet, as nothing was to be sent"
        };
        findings.push(Finding::ok(ITEM, format!("the running tillbox uses {broker} by MQTT {version}; {checkpoint}")));
    } else if probe.conditions.is_empty() {
        let text = format!("found that the running tillbox has no line that works yet (at {broker}); expected one");
        findings.push(Finding::warn(ITEM, text, "check again in a minute"));
    }
    findings.extend(probe.conditions.iter().map(|condition| {
        let outcome = if condition.needs_technician { Outcome::Correct } else { Outcome::Warn };
        let (found, remedy) = condition.text.split_once("; ").unwrap_or((&condition.text, "see `tillbox status`"));
        Finding::not_ok(
            ITEM,
            outcome,
            format!("found that the running tillbox says {}: {found}", condition.code),
            remedy,
        )
    }));
    findings
}

/// Brokers that do not share what is retained: to each of them a box looks like another one.
pub fn compare(checkpoints: &[(&Broker, Checkpoint)]) -> Option<Finding> {
    let mut checkpoints = checkpoints.iter().filter(|(_, found)| *found != Checkpoint::Unread);
    let (first, expected) = checkpoints.next()?;
    let (other, found) = checkpoints.find(|(_, found)| found != expected)?;
    let shown = |checkpoint: &Checkpoint| match checkpoint {
        Checkpoint::Of { generation, .. } => format!("one of generation {generation}"),
        Checkpoint::Absent | Checkpoint::Unread => "none".to_owned(),
    };
    let text = format!(
        "found another retained checkpoint on {other} ({}) than on {first} ({}); expected the same on each broker",
        shown(found),
        shown(expected)
    );
    let remedy = "let the brokers share what is retained (RabbitMQ keeps it per node); where they cannot, a box that goes to \
                  another broker publishes its checkpoint there anew";
    Some(Finding::warn("hq", text, remedy))
}

/// Looks at the box's own certificate, if it has one.
pub fn client_certificate(hq: &Hq, now: DateTime<Utc>) -> Option<Finding> {
    const ITEM: &str = "hq client-certificate";
    let path = hq.client_certificate.as_deref()?;
    let Some(validity) = leaf(path) else {
        let text = format!("found no certificate in {} that can be read; expected one in PEM form", path.display());
        return Some(Finding::correct(ITEM, text, "let HQ issue it anew"));
    };
    let renew = "let HQ issue another one before that day";
    Some(if now < validity.from {
        let text = format!("found one that begins on {}; expected one that holds today", validity.from.date_naive());
        Finding::correct(ITEM, text, "set the clock, or let HQ issue one that holds already")
    } else if now > validity.to {
        let text = format!("found one that ended on {}; expected one that holds today", validity.to.date_naive());
        Finding::correct(ITEM, text, "let HQ issue another one, or set the clock if that is wrong")
    } else if validity.ends_soon(now) {
        Finding::warn(ITEM, format!("found one that {}; expected 30 days", validity.text(now)), renew)
    } else {
        Finding::ok(ITEM, validity.text(now))
    })
}

fn leaf(path: &Path) -> Option<Validity> {
    Validity::of(&CertificateDer::from_pem_file(path).ok()?)
}

type Reached = (Option<Secured>, Option<Arc<ClientConfig>>);

fn reach(hq: &Hq, broker: &Broker, now: DateTime<Utc>, waits: &Waits) -> Result<Reached, Unreached> {
    let server = Server { host: &broker.host, port: broker.port, key: "brokers", now, waits };
    let stream = server.connect()?;
    if !broker.tls {
        return Ok((None, None));
    }
    let identity = hq.client_certificate.as_deref().zip(hq.client_key_file.as_deref());
    let config = tls::client(hq.ca_certificate.as_deref(), identity).map_err(|error| Unreached {
        outcome: Outcome::Correct,
        text: error.to_string(),
        remedy: "correct ca-certificate, client-certificate or client-key-file in [hq]".to_owned(),
    })?;
    let secured = server.secure(stream, Arc::clone(&config), hq.ca_certificate.as_deref())?;
    Ok((Some(secured), Some(config)))
}

/// Logs in, and tries what a box does.
fn try_line(
    hq: &Hq,
    outlet: &Outlet,
    broker: &Broker,
    tls: Option<Arc<ClientConfig>>,
    (secured, now): (Option<&Secured>, DateTime<Utc>),
    until: Instant,
    running: Running,
) -> Result<Tried, Unreached> {
    let connect = Connect {
        broker: broker.clone(),
        client_id: format!("{}-check", outlet.client_id()),
        login: hq.username.clone().map(|name| (name, hq.password.clone())),
        tls,
        keep_alive: KEEP_ALIVE,
        last_will: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| later(format!("the system refuses a runtime: {error}"), "check again"))?;
    let item = item(broker);
    let tried = runtime.block_on(async {
        let mut opened = Connection::open(connect.clone(), hq.protocol, until).await;
        if matches!(opened, Err(WireError::HungUp(_))) {
            let only_311 = timeout_at(until, Wire::speaks_only_311(connect, hq.protocol)).await;
            if only_311.unwrap_or(false) {
                opened = Err(WireError::only_311());
            }
        }
        let mut topics = Topics::of(hq, outlet, opened.map_err(|error| told(&error, outlet))?, item, now);
        topics.try_them(running).await;
        Ok(topics.end(&line(secured, now)))
    });
    // A resolver that hangs holds no more than its own thread.
    runtime.shutdown_background();
    tried
}

fn later(text: String, remedy: &str) -> Unreached {
    Unreached { outcome: Outcome::Later, text, remedy: remedy.to_owned() }
}

/// The wire's own lines for a person say what to do behind a semicolon.
fn told(error: &WireError, outlet: &Outlet) -> Unreached {
    let text = error.to_string();
    let (found, remedy) = text.split_once("; ").unwrap_or((&text, "check [hq]"));
    let found = format!("found: {found}; expected a session");
    match error {
        WireError::Lost(_) | WireError::HungUp(_) | WireError::TakenOver(_) => {
            later(found, "check again; if it stays, ask HQ")
        }
        WireError::Unfit(_) | WireError::OtherVersion(_) => {
            Unreached { outcome: Outcome::Correct, text: found, remedy: remedy.to_owned() }
        }
        WireError::Refused(_) => {
            let remedy = format!("{remedy} (the check calls itself {}-check)", outlet.client_id());
            Unreached { outcome: Outcome::Correct, text: found, remedy }
        }
    }
}

fn line(secured: Option<&Secured>, now: DateTime<Utc>) -> String {
    secured.map_or_else(|| "plain mqtt".to_owned(), |secured| secured.text(now))
}
