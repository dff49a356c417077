//! A shop, its point of sale and HQ on one machine, for `tillbox demo` and for the end-to-end tests.
//!
//! Nothing here is on the way of a real sale, and box builds leave it out. The point of sale and its books share no
//! parsing, no amounts and no identities with the rest of the program: a truth derived from the code under proof would
//! prove nothing.
//!
//! - [`shop`]: what happens in a shop on one day, and the shop's own books: the truth that HQ's states must equal.
//! - [`http_server`]: HTTP/1.1 on the loopback, with transport faults on command.
//! - [`simulator`]: what is the same of every simulated system.
//! - [`asalta`]: Asalta's API over it, with every reading of its reference.
//! - [`qasir`]: Qasir's API over it, as far as it is documented.
//! - [`street`]: the shops of the demonstration, one of each system.
//! - [`olsera`]: Olsera's two APIs, likewise.
//! - [`pos_kasir`]: POS Kasir's API over it, as its server is.
//! - [`broker`]: an embedded MQTT broker; [`mod@line`]: a line that can be cut; [`hq`]: HQ's side.
//! - [`daemon`]: the box, a process of its own.
//! - [`play`]: the script; [`screen`]: what is shown; [`proof`]: the comparison at the end.

pub mod asalta;
pub mod broker;
pub mod daemon;
pub mod hq;
pub mod http_server;
pub mod line;
pub mod olsera;
pub mod play;
pub mod pos_kasir;
pub mod proof;
pub mod qasir;
pub mod screen;
pub mod shop;
pub mod simulator;
pub mod street;

use std::{process::ExitCode, str::FromStr};

use chrono::{DateTime, Utc};

use self::play::Curtain;
use crate::clock::Clock;

/// What a person can choose.
#[derive(Debug, Clone)]
pub struct Options {
    /// Of the shops' days: the same seed plays the same days.
    pub seed: u64,
    /// Sales a day in each shop.
    pub sales: usize,
    /// Goes on with the next day until interrupted.
    pub keep_running: bool,
    /// What is done behind the box's back.
    pub sabotage: Option<Sabotage>,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 1, sales: 120, keep_running: false, sabotage: None }
    }
}

/// A betrayal that the proof must catch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// One event is withheld from HQ.
    DropOne,
}

impl FromStr for Sabotage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "drop-one" => Ok(Self::DropOne),
            other => Err(format!("unknown sabotage `{other}`; there is drop-one")),
        }
    }
}

/// Plays the demonstration; the exit code is 0 only if the proof holds.
#[must_use]
pub fn run(options: &Options) -> ExitCode {
    match play::play(options) {
        Ok(Curtain::Proven) => ExitCode::SUCCESS,
        Ok(Curtain::NotProven) => ExitCode::FAILURE,
        // As a shell says it of a program that SIGINT ended.
        Ok(Curtain::Interrupted) => ExitCode::from(130),
        Err(error) => {
            eprintln!("tillbox demo: {error}");
            ExitCode::from(70)
        }
    }
}

/// Reads a virtual clock as `2026-03-14T06:00:00Z@1500`: what it shows now, and how many times as fast it runs.
///
/// # Errors
/// Another form.
pub fn read_clock(text: &str) -> Result<Clock, String> {
    let wrong = || format!("`{text}` is no virtual clock such as 2026-03-14T06:00:00Z@1500");
    let (origin, rate) = text.split_once('@').ok_or_else(wrong)?;
    let origin: DateTime<Utc> = origin.parse().map_err(|_| wrong())?;
    Ok(Clock::running_at(origin, rate.parse().map_err(|_| wrong())?))
}
