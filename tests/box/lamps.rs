//! What the lines of the emulated board do, read back over time and told as the table of `signal` names it.

use std::fmt;

use crate::machine::Machine;

/// Longer than the five seconds between two winks, by more than a wink.
const WINK_SPAN_MS: u32 = 5_600;

/// Three slow blinks: whoever does not ask for a wink need not wait for one.
const SPAN_MS: u32 = 3_000;

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
    /// None of them: for how many milliseconds it was lit, how often it went on and off, in how many milliseconds.
    Other(u64, usize, u64),
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

/// One line's levels over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Since when, in milliseconds, and which level; the first is where it began.
    pub edges: Vec<(u64, bool)>,
    pub end_ms: u64,
}

/// Watches lines for a span.
pub fn watch(machine: &mut Machine, lines: &[u32], span_ms: u32) -> Vec<Trace> {
    let numbers: Vec<_> = lines.iter().map(u32::to_string).collect();
    let said = machine.run(&format!("watch-lines {span_ms} {}", numbers.join(" ")));
    let words: Vec<Vec<&str>> = said.lines().map(|line| line.split(' ').collect()).collect();
    let ms = |word: &str| word.parse::<u64>().unwrap();
    let Some((["end", end], levels)) = words.split_last().map(|(last, levels)| (last.as_slice(), levels)) else {
        panic!("the guest's watch said {said}");
    };
    let trace = |line: usize| {
        let mut edges: Vec<_> = levels.iter().map(|words| (ms(words[0]), words[1].as_bytes()[line] == b'1')).collect();
        edges.dedup_by_key(|edge| edge.1);
        Trace { edges, end_ms: ms(end) }
    };
    (0..lines.len()).map(trace).collect()
}

/// Begins to record, in the kernel, each level that a line is given: however late the guest is with what else it does,
/// none is missed.
pub fn record(machine: &mut Machine, line: u32) {
    machine.run(&format!("record {line}"));
}

/// What was recorded, from the first change to the last; empty if there was none.
pub fn recorded(machine: &mut Machine) -> Trace {
    let said = machine.run("recorded");
    let mut edges: Vec<_> = said
        .lines()
        .filter_map(|line| {
            let (us, level) = line.split_once(' ')?;
            Some((us.replace('.', "").parse::<u64>().ok()? / 1_000, level == "1"))
        })
        .collect();
    // The levels that did not change are written again from time to time; before the first it was off.
    edges.dedup_by_key(|edge| edge.1);
    let from = edges.iter().position(|(_, level)| *level).unwrap_or(edges.len());
    edges.drain(..from);
    Trace { end_ms: edges.last().map_or(0, |edge| edge.0), edges }
}

/// The three lights, for so long that each of the patterns could be told from the others.
pub fn look(machine: &mut Machine, lines: [u32; 3], expected: [Seen; 3]) -> [Seen; 3] {
    let span_ms = if expected.contains(&Seen::SteadyWink) { WINK_SPAN_MS } else { SPAN_MS };
    let traces = watch(machine, &lines, span_ms);
    [0, 1, 2].map(|line| traces[line].seen())
}

impl Trace {
    /// How long it stayed at a level each time, the shortest first, in milliseconds.
    pub fn stays_ms(&self, level: bool) -> Vec<u64> {
        let pairs = self.edges.windows(2).filter(|pair| pair[0].1 == level);
        let mut stays: Vec<_> = pairs.map(|pair| pair[1].0 - pair[0].0).collect();
        stays.sort_unstable();
        stays
    }

    fn lit_ms(&self) -> u64 {
        let ends = self.edges.iter().skip(1).map(|(at, _)| *at).chain([self.end_ms]);
        self.edges.iter().zip(ends).filter(|((_, level), _)| *level).map(|((at, _), end)| end - at).sum()
    }

    fn seen(&self) -> Seen {
        let edges = self.edges.len() - 1;
        let lit_percent = self.lit_ms() * 100 / self.end_ms.max(1);
        // Edges in a hundred seconds: two for each blink.
        let rate = u64::try_from(edges).unwrap() * 100_000 / self.end_ms.max(1);
        let is_half = (35..=65).contains(&lit_percent);
        match rate {
            0 if self.edges[0].1 => Seen::Steady,
            0 => Seen::Off,
            10..=80 if lit_percent >= 90 => Seen::SteadyWink,
            150..=250 if is_half => Seen::Slow,
            600..=900 if is_half => Seen::Fast,
            _ => Seen::Other(self.lit_ms(), edges, self.end_ms),
        }
    }
}
