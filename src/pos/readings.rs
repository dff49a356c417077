//! When stretches of a source were last read whole: what a closing says of its day.
//!
//! Only readings of a whole stretch count (the recent and the nightly ones, a list from its begin): what came in sale by
//! sale was read as it was sold. Few are kept; what is forgotten makes an answer earlier, or none, never later.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Readings that are kept: a week of days, the recent ones, and some to spare. They stand in a cursor.
const KEPT_MAX: usize = 16;

/// What was read whole, and when: stretches that do not overlap, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Readings(Vec<Reading>);

/// A stretch that was read whole by a reading that began at `at`, or by some of which the first did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Reading {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    at: DateTime<Utc>,
}

impl Readings {
    /// Notes that everything between two instants was read, by a reading that began at `at`. What came after that was
    /// not there to be seen.
    pub fn note(&mut self, from: DateTime<Utc>, to: DateTime<Utc>, at: DateTime<Utc>) {
        let to = to.min(at);
        if from >= to {
            return;
        }
        // A clock that was ahead has claimed too much.
        let believed = self.0.iter().filter(|old| old.at <= at);
        // Of the older ones stays what the new one did not read.
        let rests = believed
            .flat_map(|old| [Reading { to: old.to.min(from), ..*old }, Reading { from: old.from.max(to), ..*old }]);
        let mut readings: Vec<_> = rests.filter(|rest| rest.from < rest.to).collect();
        readings.push(Reading { from, to, at });
        readings.sort_unstable_by_key(|reading| reading.from);
        self.0 = readings;
        while self.0.len() > KEPT_MAX {
            self.forget_one();
        }
    }

    /// The two neighbours whose times are the nearest become one, as old as the older; if none touch, the oldest goes. The
    /// newest stays as it is.
    fn forget_one(&mut self) {
        let newest = self.0.iter().map(|reading| reading.at).max();
        let touching = (1..self.0.len()).filter(|n| self.0[n - 1].to == self.0[*n].from);
        let touching = touching.filter(|n| Some(self.0[n - 1].at.max(self.0[*n].at)) != newest);
        if let Some(n) = touching.min_by_key(|n| (self.0[*n].at - self.0[n - 1].at).abs()) {
            let second = self.0.remove(n);
            let first = &mut self.0[n - 1];
            (first.to, first.at) = (second.to, first.at.min(second.at));
        } else if let Some(oldest) = (0..self.0.len()).min_by_key(|n| self.0[*n].at) {
            self.0.remove(oldest);
        }
    }

    /// When everything between two instants was read last: the begin of the oldest reading that is needed for it.
    #[must_use]
    pub fn of(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let needed: Vec<_> = self.0.iter().filter(|reading| reading.from < to && from < reading.to).collect();
        let (first, last) = (needed.first()?, needed.last()?);
        let joined = needed.windows(2).all(|pair| pair[0].to == pair[1].from);
        (joined && first.from <= from && to <= last.to).then(|| needed.iter().map(|reading| reading.at).min())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_770_000_000 + hours * 3_600, 0).expect("in range")
    }

    #[test]
    fn a_stretch_was_read_when_its_oldest_part_was() {
        let mut readings = Readings::default();
        assert_eq!(readings.of(at(0), at(24)), None);
        readings.note(at(-100), at(50), at(20));
        assert_eq!(readings.of(at(0), at(24)), None, "what comes after a reading began is not in it");
        readings.note(at(18), at(30), at(30));
        assert_eq!(readings.of(at(0), at(24)), Some(at(20)));
        assert_eq!(readings.of(at(19), at(24)), Some(at(30)));
        readings.note(at(-100), at(60), at(60));
        assert_eq!(readings.of(at(0), at(24)), Some(at(60)));
        assert_eq!(readings.0.len(), 1);
    }

    #[test]
    fn what_is_forgotten_makes_it_earlier_or_unknown() {
        let mut readings = Readings::default();
        let many = i64::try_from(KEPT_MAX).expect("few") * 2;
        for day in 0..many {
            readings.note(at(24 * day), at(24 * (day + 1)), at(10_000 + day));
        }
        assert_eq!(readings.0.len(), KEPT_MAX);
        assert_eq!(readings.of(at(24 * (many - 1)), at(24 * many)), Some(at(10_000 + many - 1)));
        assert_eq!(readings.of(at(0), at(24 * many)), Some(at(10_000)));
        // Apart from all others.
        let mut readings = Readings::default();
        for n in 0..many {
            readings.note(at(100 * n), at(100 * n + 1), at(10_000 + n));
        }
        assert_eq!(readings.of(at(0), at(1)), None);
    }

    #[test]
    fn an_hourly_reading_hides_no_nightly_one() {
        let mut readings = Readings::default();
        for hour in 0..9 * 24 {
            readings.note(at(hour - 48), at(hour), at(hour));
            if hour % 24 == 20 {
                readings.note(at(hour - 7 * 24), at(hour), at(hour));
            }
        }
        // Read by the last nightly reading; the next one did not reach back to it.
        let last_night = 8 * 24 + 20;
        assert_eq!(readings.of(at(last_night - 7 * 24), at(4 * 24)), Some(at(last_night)));
        assert_eq!(readings.of(at(last_night - 8 * 24), at(last_night - 7 * 24)), Some(at(last_night - 24)));
        assert_eq!(readings.of(at(9 * 24 - 40), at(9 * 24 - 2)), Some(at(9 * 24 - 1)));
        assert!(readings.0.len() <= KEPT_MAX);
    }

    #[test]
    fn a_clock_that_was_ahead_is_not_believed() {
        let mut readings = Readings::default();
        readings.note(at(0), at(900), at(1_000));
        readings.note(at(50), at(60), at(60));
        assert_eq!(readings.of(at(0), at(24)), None);
    }
}
