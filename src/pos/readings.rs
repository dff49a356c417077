//! When stretches of a source were last read whole: what a closing says of its day.
//!
//! Only readings of a whole stretch count (the recent and the nightly ones, a list from its begin): what came in sale by
//! sale was read as it was sold. Few are kept; what is forgotten makes an answer earlier, or none, never later.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Readings that are kept: a week of days, the recent ones, and some to spare. They stand in a cursor.
const KEPT_MAX: usize = 16;

/// What was read whole, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Readings(Vec<Reading>);

/// A stretch that was read whole by a reading that began at `at`.
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
        self.0.retain(|old| old.at <= at && !(from <= old.from && old.to <= to));
        self.0.push(Reading { from, to, at });
        while self.0.len() > KEPT_MAX {
            self.forget_one();
        }
    }

    /// The oldest joins one that it touches, which is then as old, or goes.
    fn forget_one(&mut self) {
        let Some(oldest) = (0..self.0.len()).min_by_key(|n| self.0[*n].at) else { return };
        let oldest = self.0.remove(oldest);
        let touching = self.0.iter_mut().filter(|other| oldest.from <= other.to && other.from <= oldest.to);
        if let Some(other) = touching.min_by_key(|other| other.at) {
            let (from, to) = (oldest.from.min(other.from), oldest.to.max(other.to));
            *other = Reading { from, to, at: oldest.at };
        }
    }

    /// When everything between two instants was read last: the begin of the oldest reading that is needed for it.
    #[must_use]
    pub fn of(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut read = self.0.clone();
        read.sort_by_key(|reading| std::cmp::Reverse(reading.at));
        (1..=read.len()).find(|n| covers(&read[..*n], from, to)).map(|n| read[n - 1].at)
    }
}

fn covers(readings: &[Reading], from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
    let mut reached = from;
    // Each round that helps uses up one of them.
    for _ in readings {
        let ahead = readings.iter().filter(|reading| reading.from <= reached).map(|reading| reading.to).max();
        reached = reached.max(ahead.unwrap_or(reached));
    }
    reached >= to
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
    fn a_clock_that_was_ahead_is_not_believed() {
        let mut readings = Readings::default();
        readings.note(at(0), at(900), at(1_000));
        readings.note(at(50), at(60), at(60));
        assert_eq!(readings.of(at(0), at(24)), None);
    }
}
