//! What the lines of the emulated board do, read back over time and told as the table of `signal` names it.

use std::fmt;

use crate::machine::Machine;

/// So many looks, one in 25 ms and what the look itself takes: more than the 5 s between two winks.
const LOOKS: u32 = 260;

/// A line over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Off,
    Steady,
    /// Lit, with a dip about every five seconds.
    SteadyWink,
    /// About once a second.
    Slow,
    /// About four times a second.
    Fast,
    /// None of them: looks, looks that were lit, times that it went on, in how many hundredths of a second.
    Other(usize, usize, usize, usize),
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.pad("off"),
            Self::Steady => f.pad("steady"),
            Self::SteadyWink => f.pad("steady, winks"),
            Self::Slow => f.pad("1 Hz"),
            Self::Fast => f.pad("4 Hz"),
            Self::Other(..) => f.pad(&format!("{self:?}")),
        }
    }
}

/// Three lines over some seconds.
pub fn look(machine: &mut Machine, lines: [u32; 3]) -> [Seen; 3] {
    let [a, b, c] = lines;
    let said = machine.run(&format!("look {LOOKS} {a} {b} {c}"));
    let looks: Vec<(usize, &[u8])> = said
        .lines()
        .filter_map(|line| {
            let (at, levels) = line.split_once(' ')?;
            Some((at.replace('.', "").parse().ok()?, levels.as_bytes()))
        })
        .collect();
    assert!(looks.len() > 100, "the guest looked too seldom: {said}");
    [0, 1, 2].map(|line| seen(&looks.iter().map(|(at, levels)| (*at, levels[line] == b'1')).collect::<Vec<_>>()))
}

/// Names what one line did, by times in hundredths of a second.
fn seen(looks: &[(usize, bool)]) -> Seen {
    let lit = looks.iter().filter(|(_, lit)| *lit).count();
    let rises = looks.windows(2).filter(|pair| !pair[0].1 && pair[1].1).count();
    let falls = looks.windows(2).filter(|pair| pair[0].1 && !pair[1].1).count();
    let span = looks[looks.len() - 1].0 - looks[0].0;
    // In a hundred seconds.
    let rate = rises.max(falls) * 10_000 / span.max(1);
    let is_half = (30..=70).contains(&(lit * 100 / looks.len()));
    match rate {
        _ if lit == 0 => Seen::Off,
        _ if lit == looks.len() => Seen::Steady,
        5..=45 if lit * 100 / looks.len() >= 90 => Seen::SteadyWink,
        75..=135 if is_half => Seen::Slow,
        300..=450 if is_half => Seen::Fast,
        _ => Seen::Other(looks.len(), lit, rises, span),
    }
}
