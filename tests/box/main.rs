//! The whole box, emulated: a board with an ARM processor on which the program runs as it ships, between simulated
//! points of sale and an HQ.
//!
//! `tests/box/run` prepares what it boots from and starts this. In a plain `cargo test` there is nothing to boot, so it
//! says so and passes.
//!
//! - A run is made from its seed, but for the time that the emulator takes.
//! - Every wait has an end, and whatever was started ends with the run.
//! - Figures are of an emulated machine on whatever else this machine does: they are printed, and none is asserted.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]
#![allow(clippy::duration_suboptimal_units, reason = "spans that are compared are told in one unit")]

mod cuts;
mod lamps;
mod machine;
mod play;
mod unit;
mod wait;
mod world;

use std::{env, path::PathBuf, process::ExitCode};

use crate::machine::Parts;

/// Where `prepare` put what the box boots from; whoever sets it wants a box.
const PARTS: &str = "TILLBOX_BOX_PARTS";

const USAGE: &str = "\
usage: tests/box/run [--acts NAME,NAME… | --cuts N [--without-sync]] [--seed S]
       tests/box/systemd [--acts NAME,NAME…] [--seed S]

  without --cuts   the play: from the first boot through losses and faults, with its figures
  --acts NAMES     some acts of it: first-boot, lines, records, store, printer, board; under systemd the first boot and
                   sandbox, technician, idle, ends, configs, provision, power-cut, faulty-file, new-card
  --cuts N         cuts the power N times, and proves that HQ holds what the shops sold
  --seed S         another run than the one of seed 1
  --without-sync   makes every sync in the guest a lie: the cuts must find that out, or they prove nothing";

/// What is wanted.
struct Options {
    cuts: Option<u32>,
    seed: u64,
    without_sync: bool,
    systemd: bool,
    acts: Option<String>,
}

fn main() -> ExitCode {
    let Some(made) = env::var_os(PARTS).map(PathBuf::from) else {
        println!("no emulated box here: tests/box/run prepares one and starts this");
        return ExitCode::SUCCESS;
    };
    let Some(options) = parse(env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    let name = if options.systemd {
        "systemd"
    } else if options.cuts.is_none() {
        "play"
    } else if options.without_sync {
        "without-sync"
    } else {
        "cuts"
    };
    let parts = Parts { folder: machine::folder(&made, name), made };
    let holds = match options.cuts {
        _ if options.systemd => unit::run(&parts, options.seed, options.acts.as_deref()),
        Some(cuts) => cuts::run(&parts, cuts, options.seed, options.without_sync),
        None => play::run(&parts, options.seed, options.acts.as_deref()),
    };
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options { cuts: None, seed: 1, without_sync: false, systemd: false, acts: None };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--cuts" => options.cuts = Some(arguments.next()?.parse().ok()?),
            "--seed" => options.seed = arguments.next()?.parse().ok()?,
            "--systemd" => options.systemd = true,
            "--acts" => options.acts = Some(arguments.next()?),
            "--without-sync" => options.without_sync = true,
            _ => return None,
        }
    }
    let is_act = if options.systemd { unit::is_act } else { play::is_act };
    options.acts.iter().flat_map(|names| names.split(',')).all(is_act).then_some(options)
}
