//! `tillbox check --online`: tries everything that a config names, and says in one line each what is found.
//!
//! - Nothing changes: no file is written or locked for longer than a look, no store is opened, and at HQ's broker only
//!   a hello is published, which nobody stores. What a point of sale is asked are its connector's own first requests, so
//!   they are of the closed list that only reads or logs in; POS Kasir and Olsera's open API make a session for it.
//! - A daemon that runs meanwhile keeps its store, its socket and its session with the broker: the check has a client
//!   id of its own.
//! - Each wait for a server has a limit, and all items are tried side by side.
//!
//! Deliberately absent: publishing `status`, `checkpoint` or an event. What is retained belongs to the daemon.

mod broker;
mod certificate;
mod clock;
mod folder;
mod line;
mod source;

use std::{fmt, thread};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    board::gpio,
    config::{Board, Config},
};

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
        line.chars()
            .try_for_each(|c| if c.is_control() { write!(f, "{}", c.escape_default()) } else { write!(f, "{c}") })
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
    thread::scope(|scope| {
        let sources: Vec<_> =
            config.pos.iter().map(|pos| scope.spawn(move || source::check(&config.outlet, pos, now))).collect();
        let brokers: Vec<_> = config
            .hq
            .brokers
            .iter()
            .map(|broker| scope.spawn(move || broker::check(&config.hq, &config.outlet, broker, now)))
            .collect();
        let folder = folder::check(&config.outbox);
        let (mut dates, mut found) = (Vec::new(), Vec::new());
        for (pos, tried) in config.pos.iter().zip(sources) {
            // A panic is told where it belongs, and hides no other item.
            let tried = tried.join().unwrap_or_else(|_| source::Tried::broken(&source::item(pos)));
            dates.extend(tried.date.map(|date| (pos.name.clone(), date)));
            found.extend(tried.findings);
        }
        found.extend(broker::client_certificate(&config.hq, now));
        for (broker, tried) in config.hq.brokers.iter().zip(brokers) {
            found.extend(tried.join().unwrap_or_else(|_| vec![broken(&broker::item(broker))]));
        }
        let mut all = clock::check(config, &dates, now);
        all.extend(folder);
        all.extend(found);
        all.extend(board(&config.board));
        all
    })
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

fn broken(item: &str) -> Finding {
    Finding::correct(item, "the check itself broke off", "report this to the authors of tillbox")
}
