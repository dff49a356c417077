//! How long the outbox needs to drain, by how fast it has drained lately.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};

use crate::outbox::Level;

/// What was seen longer ago says nothing about now.
const REMEMBERED: TimeDelta = TimeDelta::minutes(1);

/// Of a shorter time nothing is concluded.
const SPAN_MIN: TimeDelta = TimeDelta::seconds(4);

/// What was acknowledged, and when.
#[derive(Debug, Default)]
pub struct Drain {
    epoch: u64,
    seen: VecDeque<(DateTime<Utc>, u64)>,
}

impl Drain {
    /// Notes how far the outbox is; to be called every few seconds.
    pub fn note(&mut self, level: &Level, now: DateTime<Utc>) {
        let backwards = self.seen.back().is_some_and(|(at, number)| *at > now || *number > level.acknowledged);
        if self.epoch != level.epoch || backwards {
            self.seen.clear();
            self.epoch = level.epoch;
        }
        self.seen.push_back((now, level.acknowledged));
        // The newest of what is too old stays, as the begin of the time that is looked at.
        while self.seen.get(1).is_some_and(|(at, _)| now - *at >= REMEMBERED) {
            self.seen.pop_front();
        }
    }

    /// Seconds until what waits is sent, rounded up; `None` where nothing moved lately.
    #[must_use]
    pub fn drained_in_s(&self, level: &Level) -> Option<u64> {
        let waiting = level.unacknowledged();
        if waiting == 0 {
            return Some(0);
        }
        let ((from, first), (to, last)) = (self.seen.front()?, self.seen.back()?);
        let (span, moved) = (*to - *from, last - first);
        if self.epoch != level.epoch || span < SPAN_MIN || moved == 0 {
            return None;
        }
        let span_ms = u64::try_from(span.num_milliseconds()).ok()?;
        Some((u128::from(waiting) * u128::from(span_ms)).div_ceil(u128::from(moved) * 1_000)).and_then(|s| s.try_into().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(durable: u64, acknowledged: u64, epoch: u64) -> Level {
        Level { durable, acknowledged, epoch, ..Level::default() }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn the_estimate_is_what_waits_by_what_moved() {
        let mut drain = Drain::default();
        assert_eq!(drain.drained_in_s(&level(5, 5, 0)), Some(0));
        assert_eq!(drain.drained_in_s(&level(1_000, 0, 0)), None, "nothing was seen yet");
        drain.note(&level(1_000, 0, 0), at(0));
        drain.note(&level(1_000, 20, 0), at(2));
        assert_eq!(drain.drained_in_s(&level(1_000, 20, 0)), None, "too short a time");
        drain.note(&level(1_000, 100, 0), at(10));
        assert_eq!(drain.drained_in_s(&level(1_000, 100, 0)), Some(90));
        assert_eq!(drain.drained_in_s(&level(1_001, 100, 0)), Some(91), "rounded up");
        assert_eq!(drain.drained_in_s(&level(1_000, 100, 1)), None, "another stream");
    }

    #[test]
    fn what_stands_still_is_unknown_and_old_speed_is_forgotten() {
        let mut drain = Drain::default();
        for second in 0..10 {
            drain.note(&level(1_000, 50 * second, 0), at(i64::try_from(second).unwrap()));
        }
        assert!(drain.drained_in_s(&level(1_000, 450, 0)).is_some());
        for second in 10..100 {
            drain.note(&level(1_000, 450, 0), at(second));
        }
        assert_eq!(drain.drained_in_s(&level(1_000, 450, 0)), None);
        assert!(drain.seen.len() < 70);
    }

    #[test]
    fn a_clock_or_a_stream_that_goes_back_begins_anew() {
        let mut drain = Drain::default();
        drain.note(&level(1_000, 0, 0), at(0));
        drain.note(&level(1_000, 100, 0), at(10));
        drain.note(&level(1_000, 100, 0), at(5));
        assert_eq!(drain.drained_in_s(&level(1_000, 100, 0)), None);
        drain.note(&level(1_000, 7, 0), at(6));
        assert_eq!(drain.seen.len(), 1);
        drain.note(&level(u64::MAX, 7, 1), at(7));
        drain.note(&level(u64::MAX, 8, 1), at(60));
        assert!(drain.drained_in_s(&level(u64::MAX, 8, 1)).is_none(), "more seconds than a number holds");
    }
}
