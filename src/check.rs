//! `tillbox check --online`: tries everything that a config names, and says in one line each what is found.
//!
//! - Nothing changes: no file is written or locked for longer than a look, no store is opened, and at HQ's broker
//!   hellos are published, which nobody stores, and where no daemon runs a `status` that is put back at once. What a point of sale is asked are its connector's own first requests, so
//!   they are of the closed list that only reads or logs in; POS Kasir and Olsera's open API make a session for it.
//! - A daemon that runs meanwhile keeps its store, its socket and its session with the broker: the check has a client
//!   id of its own.
//! - Each wait for a server has a limit, all items are tried side by side, and one that has not come to its end within
//!   [`ITEM_MAX`] is left where it is: its line says what it waited for.
//!
//! Deliberately absent: publishing `checkpoint` or an event. Those belong to the daemon; where it runs, it is asked what
//! its own line has found.

mod broker;
mod clock;
mod doubts;
mod folder;
mod line;
mod names;
mod patience;
mod source;

use std::{
    fmt,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::sync::watch;

pub use self::doubts::doubts;
use self::patience::{Left, Trying};
use crate::{
    board::gpio,
    config::{Board, Config},
    inspect::client,
    plain::Plain,
};

/// No item takes longer: a resolver that hangs, or a server that drips, has its end here at the latest.
pub const ITEM_MAX: Duration = Duration::from_secs(30);

/// What became of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is as it should be.
    Ok,
    /// It works, and a person should know something.
    Warn,
    /// It does not work now and may by itself later: somebody else's machine, or the network.
    Later,
    /// It does not work before somebody corrects it.
    Correct,
}

/// One line of the result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was tried, such as `pos front`.
    pub item: String,
    /// What became of it.
    pub outcome: Outcome,
    /// What was found and, where that is wrong, what was expected.
    pub text: String,
    /// What to do; there for whatever is not in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    fn ok(item: &str, text: impl Into<String>) -> Self {
        Self { item: item.to_owned(), outcome: Outcome::Ok, text: text.into(), remedy: None }
    }

    fn not_ok(item: &str, outcome: Outcome, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { item: item.to_owned(), outcome, text: text.into(), remedy: Some(remedy.into()) }
    }

    fn warn(item: &str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::not_ok(item, Outcome::Warn, text, remedy)
    }

    fn later(item: &str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::not_ok(item, Outcome::Later, text, remedy)
    }

    fn correct(item: &str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::not_ok(item, Outcome::Correct, text, remedy)
    }
}

/// `fault hq mqtts://mqtt.hq.example:8883: found …; expected …; do …`, always one line.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.outcome {
            Outcome::Ok => "ok",
            Outcome::Warn => "warn",
            Outcome::Later | Outcome::Correct => "fault",
        };
        let mut line = format!("{word:<5} {}: {}", self.item, self.text);
        if let Some(remedy) = &self.remedy {
            line.push_str("; ");
            line.push_str(remedy);
        }
        // Servers have a say in it: what would break the line, or steer a terminal, is escaped.
        Plain(line).fmt(f)
    }
}

/// The worst that was found; [`Outcome::Ok`] for nothing at all.
#[must_use]
pub fn worst(findings: &[Finding]) -> Outcome {
    findings.iter().map(|finding| finding.outcome).max().unwrap_or(Outcome::Ok)
}

/// Tries everything that the config names, in the order in which it names it.
#[must_use]
pub fn online(config: &Config, now: DateTime<Utc>) -> Vec<Finding> {
    let until = Instant::now() + ITEM_MAX;
    let sources = config.pos.iter().map(|pos| {
        let (outlet, pos) = (config.outlet.clone(), pos.clone());
        Trying::begin(&source::item(&pos), move |waits| source::check(&outlet, &pos, now, waits))
    });
    let sources: Vec<_> = sources.collect();
    let (knows, running) = watch::channel(None);
    let brokers = config.hq.brokers.iter().map(|broker| {
        let (hq, outlet, broker, running) = (config.hq.clone(), config.outlet.clone(), broker.clone(), running.clone());
        Trying::begin(&broker::item(&broker), move |waits| broker::check(&hq, &outlet, &broker, now, running, waits))
    });
    let brokers: Vec<_> = brokers.collect();
    let outbox = config.outbox.clone();
    let folder = Trying::begin("outbox", move |waits| {
        waits.begin(format!("the file system of {}", outbox.path.display()));
        folder::check(&outbox, &knows)
    });
    let path = config.outbox.path.clone();
    let daemon = Trying::begin("hq", move |waits| {
        waits.begin("the running tillbox to tell what its own line has found");
        client::probe(&path)
    });
    let (mut dates, mut found) = (Vec::new(), Vec::new());
    for (pos, trying) in config.pos.iter().zip(sources) {
        let tried = trying.end(until).unwrap_or_else(|left| source::Tried::left(&source::item(pos), &left));
        dates.extend(tried.date.map(|date| (pos.name.clone(), date)));
        found.extend(tried.findings);
    }
    found.extend(broker::client_certificate(&config.hq, now));
    let mut checkpoints = Vec::new();
    for (broker, trying) in config.hq.brokers.iter().zip(brokers) {
        let tried = trying.end(until).unwrap_or_else(|left| vec![left.finding(&broker::item(broker))].into());
        checkpoints.push((broker, tried.checkpoint));
        found.extend(tried.findings);
    }
    found.extend(broker::compare(&checkpoints));
    match daemon.end(until) {
        Ok(Ok(probe)) => found.extend(probe.iter().flat_map(broker::of_daemon)),
        Ok(Err(error)) => found.push(Finding::warn(
            "hq",
            format!("found that the running tillbox cannot be asked: {error}; expected what its own line has found"),
            "run the check as the daemon's user",
        )),
        Err(left) => found.push(left.finding("hq")),
    }
    let mut all = doubts(config);
    all.extend(clock::check(config, &dates, now));
    all.extend(folder.end(until).unwrap_or_else(|left| vec![left.finding("outbox")]));
    all.extend(found);
    all.extend(board(&config.board));
    all
}

/// The lines of the board, by their names.
fn board(board: &Board) -> Vec<Finding> {
    if board.lines().is_empty() {
        return vec![Finding::ok("board", "none: the box drives no LEDs and no printer lines")];
    }
    let tried = board.lines().iter().map(|line| {
        let item = format!("board {}", line.role.name());
        match gpio::look(line) {
            Ok(place) => Finding::ok(&item, format!("{line} is {place}")),
            Err(fault) => {
                let text = fault.to_string();
                let (found, remedy) = text.split_once("; ").unwrap_or((&text, "look at it with `gpioinfo`"));
                Finding::correct(&item, format!("{line}: {found}"), remedy)
            }
        }
    });
    tried.collect()
}

impl Left {
    fn finding(&self, item: &str) -> Finding {
        match self {
            // A panic is told where it belongs, and hides no other item.
            Self::Broken => {
                Finding::correct(item, "the check itself broke off", "report this to the authors of tillbox")
            }
            Self::Waiting(what) => {
                let text = format!(
                    "found no end within {} s, waiting for {what}; expected an answer by then",
                    ITEM_MAX.as_secs()
                );
                Finding::later(item, text, "check the network and its DNS server, then whoever is waited for")
            }
        }
    }
}
