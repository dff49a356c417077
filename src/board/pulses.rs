//! The pulses that a counter follows: one for each new sale, never closer than it can count.

/// A pulse that is due now, or waits for its turn.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pulses {
    owed: u32,
    high: bool,
    /// The next edge comes at this moment at the earliest.
    next_ms: u64,
}

impl Pulses {
    /// A pulse, and at least as long a pause behind it: an electromechanical counter follows 10 a second.
    pub const HALF_MS: u64 = 50;

    /// Pulses that wait, at most: ten minutes of them. A sale is no news after that.
    pub const OWED_MAX: u32 = 6_000;

    /// So many more are owed.
    pub fn owe(&mut self, pulses: u64) {
        let pulses = u32::try_from(pulses).unwrap_or(u32::MAX);
        self.owed = self.owed.saturating_add(pulses).min(Self::OWED_MAX);
    }

    /// Nothing is owed any more.
    pub fn forget(&mut self) {
        self.owed = 0;
        self.high = false;
    }

    /// The level at a moment, in milliseconds since any fixed one. Late calls make longer pulses and pauses, never
    /// shorter ones.
    pub fn level(&mut self, at_ms: u64) -> bool {
        if at_ms >= self.next_ms {
            if self.high {
                self.high = false;
                self.next_ms = at_ms + Self::HALF_MS;
            } else if self.owed > 0 {
                self.owed -= 1;
                self.high = true;
                self.next_ms = at_ms + Self::HALF_MS;
            }
        }
        self.high
    }

    /// When the level changes next, if it does.
    #[must_use]
    pub fn next_ms(&self) -> Option<u64> {
        (self.high || self.owed > 0).then_some(self.next_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every edge, as a counter sees them that is asked at the times that `late` makes of those that were due.
    fn edges(pulses: &mut Pulses, late: impl Fn(u64) -> u64) -> Vec<(u64, bool)> {
        let (mut edges, mut at) = (Vec::new(), 0);
        while let Some(next) = pulses.next_ms() {
            at = late(next.max(at));
            let level = pulses.level(at);
            if edges.last().is_none_or(|(_, last)| *last != level) {
                edges.push((at, level));
            }
        }
        edges
    }

    #[test]
    fn a_burst_of_a_thousand_sales_can_be_counted() {
        for late in [|at| at, |at| at + at % 7, |at: u64| at + if at.is_multiple_of(1_300) { 900 } else { 0 }] {
            let mut pulses = Pulses::default();
            pulses.owe(400);
            pulses.owe(600);
            let edges = edges(&mut pulses, late);
            assert_eq!(edges.len(), 2_000);
            assert_eq!(edges.iter().filter(|(_, high)| *high).count(), 1_000);
            assert!(edges.windows(2).all(|two| two[1].0 - two[0].0 >= Pulses::HALF_MS && two[1].1 != two[0].1));
            assert!(!edges[1_999].1, "it ends low");
        }
    }

    #[test]
    fn what_is_owed_has_a_bound_and_can_be_forgotten() {
        let mut pulses = Pulses::default();
        pulses.owe(u64::MAX);
        pulses.owe(u64::MAX);
        assert_eq!(edges(&mut pulses, |at| at).len(), 2 * 6_000);
        pulses.owe(3);
        assert!(pulses.level(1_000_000));
        pulses.forget();
        assert!(!pulses.level(1_000_000) && pulses.next_ms().is_none());
    }
}
