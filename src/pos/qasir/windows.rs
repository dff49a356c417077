//! Windows of time that can be asked without being cut off.
//!
//! What was counted is remembered, so that a stretch is planned into windows that fit, and a re-read stays within the
//! rate. Pure: no clock and no I/O.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use crate::zone::Zone;

/// A planned window should hold about this many rows, well below the limit of 100.
const ROWS_PLANNED: i64 = 60;

/// No planned window is longer: the source is asked day by day.
const LONGEST: TimeDelta = TimeDelta::days(1);

/// The smallest window that can be asked.
const SHORTEST: TimeDelta = TimeDelta::seconds(1);

/// Counted rows are remembered by slots of this many seconds: finer than the windows of a rush hour.
const SLOT_SECONDS: i64 = 600;

/// Slots of a day: what is not known of a slot is taken from the same time one day earlier.
const SLOTS_A_DAY: i64 = 86_400 / SLOT_SECONDS;

/// Slots that are remembered: the longest re-read, a week, and a day.
const REMEMBERED_SLOTS: usize = 8 * 144;

/// An interval of the source's time in whole seconds: what it proves is `from <= t < to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Begin.
    pub from: DateTime<Utc>,
    /// End.
    pub to: DateTime<Utc>,
}

impl Window {
    /// The two halves, or `None` for a window that cannot be split.
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

    /// The window with `by` more on both sides.
    #[must_use]
    pub fn widened(self, by: TimeDelta) -> Self {
        Self { from: self.from - by, to: self.to + by }
    }
}

/// The local days that a stretch touches, the last one first: a stack. For a source whose filter looks at the day alone.
#[must_use]
pub fn days(whole: Window, zone: &Zone) -> Vec<Window> {
    let begins = |day: NaiveDate| zone.day_begins(day, NaiveTime::MIN);
    let (first, last) = (zone.local(whole.from).date_naive(), zone.local(whole.to).date_naive());
    let window = |day: NaiveDate| Some(Window { from: begins(day), to: begins(day.succ_opt()?) });
    let mut days: Vec<_> = first.iter_days().take_while(|day| *day <= last).filter_map(window).collect();
    days.reverse();
    days
}

/// How many rows each slot held when it was read last.
#[derive(Debug, Clone, Default)]
pub struct Counts(BTreeMap<i64, i64>);

impl Counts {
    /// Takes the timestamps of a window that was read whole.
    pub fn learn(&mut self, window: Window, rows: impl Iterator<Item = DateTime<Utc>>) {
        let first_whole = (window.from.timestamp() + SLOT_SECONDS - 1).div_euclid(SLOT_SECONDS);
        let after_whole = window.to.timestamp().div_euclid(SLOT_SECONDS);
        // A slot that the window holds whole is counted anew; one that it only touches keeps the larger count.
        let mut counted: BTreeMap<i64, i64> = (first_whole..after_whole).map(|slot| (slot, 0)).collect();
        rows.for_each(|at| *counted.entry(slot(at)).or_default() += 1);
        for (slot, count) in counted {
            let known = self.0.entry(slot).or_default();
            *known = if (first_whole..after_whole).contains(&slot) { count } else { count.max(*known) };
        }
        while self.0.len() > REMEMBERED_SLOTS {
            self.0.pop_first();
        }
    }

    /// Cuts a stretch of time into windows that should fit, the last one first: a stack. `cuts` are cut too: what is
    /// known to be dense shall not spoil its neighbours.
    #[must_use]
    pub fn plan(&self, whole: Window, cuts: &[DateTime<Utc>]) -> Vec<Window> {
        let mut windows = Vec::new();
        let mut from = whole.from;
        while from < whole.to {
            let end = cuts.iter().copied().filter(|cut| *cut > from).min().map_or(whole.to, |cut| cut.min(whole.to));
            let to = self.end_of(from, end);
            windows.push(Window { from, to });
            from = to;
        }
        if windows.is_empty() {
            windows.push(Window { from: whole.from, to: whole.from + SHORTEST });
        }
        windows.reverse();
        windows
    }

    fn end_of(&self, from: DateTime<Utc>, end: DateTime<Utc>) -> DateTime<Utc> {
        let longest = (from + LONGEST).min(end);
        let (mut at_s, longest_s) = (from.timestamp(), longest.timestamp());
        let mut room = ROWS_PLANNED;
        while at_s < longest_s {
            let slot = at_s.div_euclid(SLOT_SECONDS);
            let slot_ends_s = (slot + 1) * SLOT_SECONDS;
            let count = self.expected(slot);
            let rows = (count * (slot_ends_s.min(longest_s) - at_s) + SLOT_SECONDS - 1) / SLOT_SECONDS;
            if rows > room && room < ROWS_PLANNED {
                return instant(at_s);
            }
            if rows > room {
                // One slot alone is too much: only a part of it fits.
                let part_s = (room * SLOT_SECONDS / count).max(SHORTEST.num_seconds());
                return instant((at_s + part_s).min(longest_s));
            }
            room -= rows;
            at_s = slot_ends_s;
        }
        longest
    }

    /// What a slot should hold. One that was never read should hold what it held the day before; not so one after all
    /// that was read, which lies in the future.
    fn expected(&self, slot: i64) -> i64 {
        let newest = self.0.last_key_value().map_or(i64::MIN, |(newest, _)| *newest);
        let yesterday = || self.0.get(&(slot - SLOTS_A_DAY)).filter(|_| slot <= newest);
        self.0.get(&slot).or_else(yesterday).copied().unwrap_or(0)
    }
}

fn slot(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(SLOT_SECONDS)
}

fn instant(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
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
        assert_eq!((window.to - window.from, splits), (SHORTEST, 16));
    }

    #[test]
    fn what_was_counted_makes_windows_that_fit() {
        // 300 rows in one hour, 60 in the next, nothing else in the day.
        let rows = (0..300).map(|n| at(n * 12)).chain((0..60).map(|n| at(3_600 + n * 60)));
        let day = Window { from: at(0), to: at(86_400) };
        let mut counts = Counts::default();
        counts.learn(day, rows.clone());
        let plan = counts.plan(day, &[]);
        assert!(plan.len() <= 9, "{plan:?}");
        for window in plan {
            let held = rows.clone().filter(|row| window.from <= *row && *row < window.to).count();
            assert!(held < 100, "{held} rows in {window:?}");
        }
    }

    proptest! {
        #[test]
        fn a_plan_covers_everything_in_order(
            length in 0_i64..1_000_000,
            rows in proptest::collection::vec(0_i64..1_000_000, 0..2_000),
            cuts in proptest::collection::vec(0_i64..1_000_000, 0..3),
        ) {
            let whole = Window { from: at(0), to: at(length) };
            let cuts: Vec<_> = cuts.into_iter().map(at).collect();
            let mut counts = Counts::default();
            counts.learn(whole, rows.iter().filter(|row| **row <= length).map(|row| at(*row)));
            let mut plan = counts.plan(whole, &cuts);
            plan.reverse();
            prop_assert_eq!(plan[0].from, whole.from);
            prop_assert!(plan[plan.len() - 1].to >= whole.to);
            for window in &plan {
                prop_assert!(window.from < window.to && window.to - window.from <= LONGEST);
                prop_assert!(cuts.iter().all(|cut| !(window.from < *cut && *cut < window.to)));
            }
            for pair in plan.windows(2) {
                prop_assert_eq!(pair[0].to, pair[1].from);
            }
        }
    }
}
