//! How long the outbox needs to drain, by how fast it has drained lately.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};

/// What was seen longer ago says nothing about now.
const REMEMBERED: TimeDelta = TimeDelta::minutes(1);

/// Of a shorter time nothing is concluded.
const SPAN_MIN: TimeDelta = TimeDelta::seconds(4);

/// What was delivered, and when.
#[derive(Debug, Default)]
pub struct Drain {
    epoch: u64,
    seen: VecDeque<(DateTime<Utc>, u64)>,
}

impl Drain {
    /// Notes how many events of a stream are delivered; to be called every few seconds.
    pub fn note(&mut self, epoch: u64, delivered: u64, now: DateTime<Utc>) {
        let backwards = self.seen.back().is_some_and(|(at, number)| *at > now || *number > delivered);
        if self.epoch != epoch || backwards {
            self.seen.clear();
            self.epoch = epoch;
        }
        self.seen.push_back((now, delivered));
        // The newest of what is too old stays, as the begin of the time that is looked at.
        while self.seen.get(1).is_some_and(|(at, _)| now - *at >= REMEMBERED) {
            self.seen.pop_front();
        }
    }

    /// Seconds until what waits is delivered, rounded up; `None` where nothing moved lately.
    #[must_use]
    pub fn drained_in_s(&self, epoch: u64, waiting: u64) -> Option<u64> {
        if waiting == 0 {
            return Some(0);
        }
        let ((from, first), (to, last)) = (self.seen.front()?, self.seen.back()?);
        let (span, moved) = (*to - *from, last - first);
        if self.epoch != epoch || span < SPAN_MIN || moved == 0 {
            return None;
        }
        let span_ms = u64::try_from(span.num_milliseconds()).ok()?;
        Some((u128::from(waiting) * u128::from(span_ms)).div_ceil(u128::from(moved) * 1_000))
            .and_then(|s| s.try_into().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn the_estimate_is_what_waits_by_what_moved() {
        let mut drain = Drain::default();
        assert_eq!(drain.drained_in_s(0, 0), Some(0));
        assert_eq!(drain.drained_in_s(0, 1_000), None, "nothing was seen yet");
        drain.note(0, 0, at(0));
        drain.note(0, 20, at(2));
        assert_eq!(drain.drained_in_s(0, 1_000 - 20), None, "too short a time");
        drain.note(0, 100, at(10));
        assert_eq!(drain.drained_in_s(0, 1_000 - 100), Some(90));
        assert_eq!(drain.drained_in_s(0, 1_001 - 100), Some(91), "rounded up");
        assert_eq!(drain.drained_in_s(1, 1_000 - 100), None, "another stream");
    }

    #[test]
    fn what_stands_still_is_unknown_and_old_speed_is_forgotten() {
        let mut drain = Drain::default();
        for second in 0..10 {
            drain.note(0, 50 * second, at(i64::try_from(second).unwrap()));
        }
        assert!(drain.drained_in_s(0, 1_000 - 450).is_some());
        for second in 10..100 {
            drain.note(0, 450, at(second));
        }
        assert_eq!(drain.drained_in_s(0, 1_000 - 450), None);
        assert!(drain.seen.len() < 70);
    }

    #[test]
    fn a_clock_or_a_stream_that_goes_back_begins_anew() {
        let mut drain = Drain::default();
        drain.note(0, 0, at(0));
        drain.note(0, 100, at(10));
        drain.note(0, 100, at(5));
        assert_eq!(drain.drained_in_s(0, 1_000 - 100), None);
        drain.note(0, 7, at(6));
        assert_eq!(drain.seen.len(), 1);
        drain.note(1, 7, at(7));
        drain.note(1, 8, at(60));
        assert!(drain.drained_in_s(1, u64::MAX - 8).is_none(), "more seconds than a number holds");
    }
}
