//! Windows of time that can be asked without being cut off.
//!
//! An answer with as many rows as the limit proves nothing: the window is halved until it holds fewer, down to a
//! second. What was counted is remembered, so that a re-read is planned into windows that fit, and stays within the
//! rate. Pure: no clock and no I/O.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

/// A planned window should hold at most this many rows, well below the limit of 100.
const ROWS_PLANNED: u32 = 60;

/// No planned window is longer: the source is asked day by day.
const LONGEST: TimeDelta = TimeDelta::days(1);

/// The smallest window that can be asked.
const SHORTEST: TimeDelta = TimeDelta::seconds(1);

/// Hours whose counts are remembered: the longest re-read, a week, and a day.
const REMEMBERED_HOURS: usize = 8 * 24;

/// An interval of the source's time, both bounds inclusive, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Begin.
    pub from: DateTime<Utc>,
    /// End.
    pub to: DateTime<Utc>,
}

impl Window {
    /// The two halves, which share a second so that no bound can be lost between them; `None` for a window that cannot
    /// be split.
    #[must_use]
    pub fn halves(self) -> Option<(Self, Self)> {
        let length = self.to - self.from;
        if length <= SHORTEST {
            return None;
        }
        let middle = self.from + TimeDelta::seconds((length.num_seconds() / 2).max(1));
        Some((Self { from: self.from, to: middle }, Self { from: middle, to: self.to }))
    }

    /// Whether an instant lies within the window, or within `slack` beside it.
    #[must_use]
    pub fn holds(self, at: DateTime<Utc>, slack: TimeDelta) -> bool {
        self.from - slack <= at && at <= self.to + slack
    }
}

/// How many rows each hour held when it was read last.
#[derive(Debug, Clone, Default)]
pub struct Counts(BTreeMap<i64, u32>);

impl Counts {
    /// Takes the timestamps of a window that was read whole.
    pub fn learn(&mut self, window: Window, rows: impl Iterator<Item = DateTime<Utc>>) {
        let (first, last) = (hour(window.from), hour(window.to));
        // An hour that the window holds whole is counted anew; one that it only touches keeps the larger count.
        let mut counted: BTreeMap<i64, u32> = (first + 1..last).map(|hour| (hour, 0)).collect();
        rows.for_each(|at| *counted.entry(hour(at)).or_default() += 1);
        for (hour, count) in counted {
            let known = self.0.entry(hour).or_default();
            *known = if first < hour && hour < last { count } else { count.max(*known) };
        }
        while self.0.len() > REMEMBERED_HOURS {
            self.0.pop_first();
        }
    }

    /// Cuts a stretch of time into windows that should fit, the last one first: a stack. Neighbours share a second.
    #[must_use]
    pub fn plan(&self, whole: Window) -> Vec<Window> {
        let mut windows = Vec::new();
        let mut from = whole.from;
        while from < whole.to {
            let to = self.end_of(from, whole.to);
            windows.push(Window { from, to });
            from = to;
        }
        if windows.is_empty() {
            windows.push(Window { from: whole.from, to: whole.to.max(whole.from + SHORTEST) });
        }
        windows.reverse();
        windows
    }

    fn end_of(&self, from: DateTime<Utc>, end: DateTime<Utc>) -> DateTime<Utc> {
        let longest = (from + LONGEST).min(end);
        let mut rows = 0;
        for hour in hour(from)..=hour(longest) {
            rows += self.0.get(&hour).copied().unwrap_or(0);
            let begins = instant(hour);
            if rows > ROWS_PLANNED && begins > from {
                return begins.min(longest);
            }
        }
        longest
    }
}

fn hour(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(3_600)
}

fn instant(hour: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(hour.saturating_mul(3_600), 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_770_000_000 + seconds, 0).expect("in range")
    }

    #[test]
    fn halves_share_their_bound_down_to_a_second() {
        let mut window = Window { from: at(0), to: at(86_400) };
        let mut splits = 0;
        while let Some((left, right)) = window.halves() {
            assert_eq!((left.from, left.to, right.to), (window.from, right.from, window.to));
            window = if splits % 2 == 0 { left } else { right };
            splits += 1;
        }
        assert_eq!((window.to - window.from, splits), (SHORTEST, 17));
    }

    proptest! {
        #[test]
        fn a_plan_covers_everything_in_order(
            length in 0_i64..1_000_000,
            rows in proptest::collection::vec(0_i64..1_000_000, 0..2_000),
        ) {
            let whole = Window { from: at(0), to: at(length) };
            let mut counts = Counts::default();
            counts.learn(whole, rows.iter().filter(|row| **row <= length).map(|row| at(*row)));
            let mut plan = counts.plan(whole);
            plan.reverse();
            prop_assert_eq!(plan[0].from, whole.from);
            prop_assert!(plan[plan.len() - 1].to >= whole.to);
            for window in &plan {
                prop_assert!(window.from < window.to && window.to - window.from <= LONGEST);
            }
            for pair in plan.windows(2) {
                prop_assert_eq!(pair[0].to, pair[1].from);
            }
        }
    }
}
