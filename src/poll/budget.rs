//! How often a source may be asked: one budget per connection, across all its work.
//!
//! Pure: time comes in as an argument. Tokens are counted in milliseconds of waiting, so that no fraction is lost.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Requests that may follow each other at once after a quiet time.
const BURST: u32 = 10;

/// After this long without a complaint the rate grows again.
const RECOVER_AFTER: TimeDelta = TimeDelta::minutes(10);

/// A delay that the source gives is kept, up to this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// The rate is halved once in this time at most: what was sent before the source complained says nothing more.
const HALVED_FOR: TimeDelta = TimeDelta::minutes(1);

/// What may not be meant as a complaint lowers the rate to this part of it at most.
const EASED_TO: u32 = 8;

/// Wait after a 429 without `Retry-After`: the first, and the longest.
const COMPLAINT_WAIT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(600));

/// A token bucket whose rate halves when the source complains, and recovers step by step.
#[derive(Debug, Clone)]
pub struct Budget {
    per_minute_max: u32,
    per_minute: u32,
    /// Up to which instant the budget is spent; the past means room for a burst.
    spent_until: DateTime<Utc>,
    not_before: DateTime<Utc>,
    complaints: u32,
    quiet_since: DateTime<Utc>,
    halved: Option<DateTime<Utc>>,
}

impl Budget {
    /// A budget of `per_minute` requests, at least one.
    #[must_use]
    pub fn new(per_minute: u32, now: DateTime<Utc>) -> Self {
        let per_minute = per_minute.max(1);
        let past = DateTime::UNIX_EPOCH;
        let (spent_until, not_before) = (past, past);
        Self {
            per_minute_max: per_minute,
            per_minute,
            spent_until,
            not_before,
            complaints: 0,
            quiet_since: now,
            halved: None,
        }
    }

    /// How long to wait before the next request.
    #[must_use]
    pub fn wait(&self, now: DateTime<Utc>) -> Duration {
        // A source that complained is spared the bursts too: some count requests by the second.
        let at_once = if self.per_minute < self.per_minute_max { 1 } else { BURST.min(self.per_minute) };
        let burst = self.spacing() * i32::try_from(at_once).unwrap_or(1);
        let next = (self.spent_until + self.spacing() - burst).max(self.not_before);
        (next - now).to_std().unwrap_or_default()
    }

    /// A request is sent now.
    pub fn spend(&mut self, now: DateTime<Utc>) {
        self.spent_until = self.spent_until.max(now) + self.spacing();
        if self.per_minute < self.per_minute_max && now - self.quiet_since >= RECOVER_AFTER {
            self.per_minute = (self.per_minute + self.per_minute.div_ceil(4)).min(self.per_minute_max);
            self.quiet_since = now;
        }
    }

    /// The source answered properly.
    pub fn praise(&mut self) {
        self.complaints = 0;
    }

    /// The source answered 429: ask half as often, and not before the delay that it gave. `chance` is any number.
    pub fn complain(&mut self, retry_after: Option<Duration>, now: DateTime<Utc>, chance: u64) {
        self.slow_down(retry_after, now, chance, 1);
    }

    /// The same for an answer that may have other causes than how often it is asked (503 among good answers): that brings
    /// no box to a crawl.
    pub fn ease(&mut self, retry_after: Option<Duration>, now: DateTime<Utc>, chance: u64) {
        self.slow_down(retry_after, now, chance, self.per_minute_max.div_ceil(EASED_TO));
    }

    fn slow_down(&mut self, retry_after: Option<Duration>, now: DateTime<Utc>, chance: u64, least: u32) {
        let (first, longest) = COMPLAINT_WAIT;
        let doubled = first * (1 << self.complaints.min(7));
        let jitter = Duration::from_millis(chance % 1_000);
        self.complaints = self.complaints.saturating_add(1);
        self.hold(retry_after.unwrap_or(doubled.min(longest)), jitter, now);
        self.quiet_since = now;
        if self.halved.is_none_or(|halved| now - halved >= HALVED_FOR) {
            self.per_minute = (self.per_minute / 2).max(least.min(self.per_minute)).max(1);
            self.halved = Some(now);
        }
    }

    /// Not before this delay, which the source gave for another reason than how often it is asked.
    pub fn put_off(&mut self, retry_after: Duration, now: DateTime<Utc>) {
        self.hold(retry_after, Duration::ZERO, now);
    }

    fn hold(&mut self, delay: Duration, jitter: Duration, now: DateTime<Utc>) {
        self.not_before = self.not_before.max(now + (delay.min(RETRY_AFTER_MAX) + jitter));
    }

    /// Requests per minute at present.
    #[must_use]
    pub fn per_minute(&self) -> u32 {
        self.per_minute
    }

    fn spacing(&self) -> TimeDelta {
        TimeDelta::milliseconds(60_000 / i64::from(self.per_minute))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn sent_within(budget: &mut Budget, minutes: i64) -> u32 {
        let (mut now, mut sent) = (START, 0);
        while now < START + TimeDelta::minutes(minutes) {
            let wait = budget.wait(now);
            if wait.is_zero() {
                budget.spend(now);
                sent += 1;
            } else {
                now += wait;
            }
        }
        sent
    }

    #[test]
    fn a_steady_load_keeps_the_rate_after_a_burst() {
        assert_eq!(sent_within(&mut Budget::new(8, START), 60), 8 * 60 + 7);
        assert_eq!(sent_within(&mut Budget::new(50, START), 1), 50 + 9);
    }

    #[test]
    fn a_complaint_halves_the_rate_and_is_waited_out() {
        let mut budget = Budget::new(8, START);
        budget.complain(Some(Duration::from_secs(90)), START, 0);
        assert_eq!((budget.per_minute(), budget.wait(START)), (4, Duration::from_secs(90)));
        for (times, seconds) in [(1_u32, 10), (2, 20), (9, 600)] {
            let mut budget = Budget::new(8, START);
            (0..times).for_each(|_| budget.complain(None, START, 0));
            budget.complain(None, START, 0);
            assert_eq!(budget.wait(START), Duration::from_secs(seconds));
            assert!(budget.per_minute() >= 1);
        }
    }

    #[test]
    fn a_delay_is_kept_up_to_an_hour_and_lowers_no_rate_by_itself() {
        for ask in [60, 3_600, 86_400] {
            let mut budget = Budget::new(8, START);
            budget.put_off(Duration::from_secs(ask), START);
            assert_eq!((budget.per_minute(), budget.wait(START).as_secs()), (8, ask.min(3_600)));
            budget.complain(Some(Duration::from_secs(ask)), START, 0);
            assert_eq!((budget.per_minute(), budget.wait(START).as_secs()), (4, ask.min(3_600)));
        }
    }

    #[test]
    fn complaints_of_the_same_minute_halve_once_and_a_lower_rate_has_no_bursts() {
        let mut budget = Budget::new(40, START);
        for seconds in 0..60 {
            budget.complain(Some(Duration::ZERO), START + TimeDelta::seconds(seconds), 0);
        }
        assert_eq!(budget.per_minute(), 20);
        let now = START + TimeDelta::seconds(59);
        assert!(budget.wait(now).is_zero());
        budget.spend(now);
        assert_eq!(budget.wait(now), Duration::from_secs(3));
        budget.complain(None, START + TimeDelta::seconds(60), 0);
        assert_eq!(budget.per_minute(), 10);
    }

    #[test]
    fn what_may_have_other_causes_brings_no_box_to_a_crawl() {
        for (full, least) in [(40, 5), (20, 3), (8, 1), (1, 1)] {
            let mut budget = Budget::new(full, START);
            (0..9).for_each(|minutes| budget.ease(None, START + TimeDelta::minutes(minutes), 0));
            assert_eq!(budget.per_minute(), least);
            (9..18).for_each(|minutes| budget.complain(None, START + TimeDelta::minutes(minutes), 0));
            budget.ease(None, START + TimeDelta::minutes(18), 0);
            assert_eq!(budget.per_minute(), 1, "and raises no rate");
        }
    }

    #[test]
    fn the_rate_recovers_when_the_source_is_quiet() {
        let mut budget = Budget::new(8, START);
        budget.complain(None, START, 0);
        sent_within(&mut budget, 60);
        assert_eq!(budget.per_minute(), 8);
    }

    proptest! {
        #[test]
        fn no_minute_ever_holds_more_than_rate_and_burst(per_minute in 1_u32..100, minutes in 1_i64..50) {
            let sent = sent_within(&mut Budget::new(per_minute, START), minutes);
            prop_assert!(i64::from(sent) <= i64::from(per_minute) * (minutes + 1) + i64::from(BURST) + minutes);
        }
    }
}
