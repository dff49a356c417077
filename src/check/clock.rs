//! The clock, held against the servers' clocks, and the zones.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Timelike as _, Utc};

use super::Finding;
use crate::{config::Config, instant};

/// A clock that differs by less is right: a server tells whole seconds, and its answer takes its time.
const RIGHT_WITHIN: TimeDelta = TimeDelta::seconds(60);

/// The daemon reads nothing while its clock differs by more than this.
const WRONG_FROM: TimeDelta = TimeDelta::hours(24);

const SET: &str =
    "set it: install systemd-timesyncd, let UDP port 123 out, and wait until `timedatectl` says synchronized";

/// A clock is compared with what each server told, and by how much it is off: server's less ours.
pub struct Told {
    pub difference: TimeDelta,
}

/// Judges the clock by what the connections' servers told.
pub fn check(config: &Config, dates: &[(String, Told)], now: DateTime<Utc>) -> Vec<Finding> {
    vec![clock(dates, now), zones(config, now)]
}

fn clock(dates: &[(String, Told)], now: DateTime<Utc>) -> Finding {
    let shows = format!("shows {}", shown(now));
    let Some((worst, told)) = dates.iter().max_by_key(|(_, told)| told.difference.abs()) else {
        let text = format!("{shows}, and no point of sale told its own time to compare it with");
        return Finding::warn("clock", text, "correct what is wrong below, and check again");
    };
    let seconds = told.difference.num_seconds();
    let differs = if seconds < 0 {
        format!("is {} s ahead of the server of {worst}", -seconds)
    } else {
        format!("is {seconds} s behind the server of {worst}")
    };
    match told.difference.abs() {
        off if off <= RIGHT_WITHIN => Finding::ok("clock", format!("{shows}, as {} do", servers(dates))),
        off if off <= WRONG_FROM => {
            Finding::warn("clock", format!("{shows}, and {differs}; expected 60 s at most"), SET)
        }
        _ => Finding::later(
            "clock",
            format!("{shows}, and {differs}; expected 60 s at most, and nothing is read from 24 h on"),
            SET,
        ),
    }
}

/// To the second, which is all that a server tells.
pub fn shown(now: DateTime<Utc>) -> String {
    instant::text_utc(now.with_nanosecond(0).unwrap_or(now))
}

fn servers(dates: &[(String, Told)]) -> String {
    let names: Vec<&str> = dates.iter().map(|(name, _)| name.as_str()).collect();
    format!("the servers of {}", names.join(", "))
}

/// The config was read, so each zone was found; what it makes of the clock shows a person whether it is the right one.
fn zones(config: &Config, now: DateTime<Utc>) -> Finding {
    let zones = std::iter::once(&config.outlet.timezone).chain(config.pos.iter().map(|pos| &pos.timezone));
    let mut known = BTreeSet::new();
    let shown: Vec<String> = zones
        .filter(|zone| known.insert(zone.name().to_owned()))
        .map(|zone| format!("{}, where it is {}", zone.name(), zone.local(now).format("%Y-%m-%d %H:%M (UTC%:z)")))
        .collect();
    Finding::ok("timezone", shown.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Outcome;

    #[test]
    fn a_clock_is_judged_by_the_server_that_differs_most() {
        let told = |seconds| ("front".to_owned(), Told { difference: TimeDelta::seconds(seconds) });
        let now = DateTime::UNIX_EPOCH;
        for (seconds, outcome, part) in [
            (-60, Outcome::Ok, "shows 1970-01-01T00:00:00Z, as the servers of front, front do"),
            (61, Outcome::Warn, "is 61 s behind the server of front"),
            (-3_600, Outcome::Warn, "is 3600 s ahead of the server of front"),
            (86_401, Outcome::Later, "nothing is read from 24 h on"),
        ] {
            let finding = clock(&[told(0), told(seconds)], now);
            assert!(finding.outcome == outcome && finding.text.contains(part), "{finding}");
        }
        assert_eq!(clock(&[], now).outcome, Outcome::Warn);
    }
}
