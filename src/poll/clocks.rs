//! Whose clock counts: the box's own, or the one that a source's `Date` tells.
//!
//! A Pi has no clock that outlives a power cut, and a till's server may be set by hand. What is asked must follow the
//! clock by which the source dates its sales, or the newest are missed under a green light; and nothing may count as read
//! that neither clock has reached:
//!
//! 1. Two clocks that agree to two minutes are one: the box's.
//! 2. Where they differ, reading follows the source's. If a time service keeps the box's clock, and they differ by a day
//!    at most, the later of both is followed: a cache on the way may tell an old `Date`.
//! 3. What counts as read ends at the source's clock, and at the box's where that is kept by a time service.
//! 4. A source that tells no `Date` contradicts nobody. But a clock that nobody keeps and that leaps ahead by more than a
//!    day may be wrong: until someone confirms it, what is new is read, and nothing counts as read past the time that
//!    surely passed.
//!
//! Pure: the clocks are arguments.

use chrono::{DateTime, TimeDelta, Utc};

use crate::instant;

/// Clocks that differ by no more agree: a condition tells a larger difference.
const AGREE: TimeDelta = TimeDelta::minutes(2);

/// A difference that changes by no more is the same: a server tells whole seconds, and an answer takes its time.
const SAME: TimeDelta = TimeDelta::seconds(30);

/// A larger difference is no old answer of a cache; a larger step ahead is a leap.
const LARGE: TimeDelta = TimeDelta::days(1);

/// What is known of the clocks of one connection.
#[derive(Debug, Clone)]
pub struct Clocks {
    /// How far the source's clock is ahead of the box's; zero where they agree, or it tells none.
    difference: TimeDelta,
    /// A time service keeps the box's clock.
    kept: bool,
    /// The source told its time in its last answer.
    told: bool,
    /// By now it is at least this late, if the clock was right when it was seen first; and what it showed then.
    surely: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// What is wrong with the clocks, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// They differ; reading follows the source's.
    Differ(String),
    /// The box's clock leapt ahead, and nobody confirms it.
    Leapt(String),
    /// Nobody confirms the box's clock.
    Unconfirmed(String),
}

impl Clocks {
    /// Before the first answer. `read_to`: up to when the source was read before, so surely a time that is past.
    #[must_use]
    pub fn new(read_to: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Self {
        let surely = read_to.map(|read_to| (read_to, read_to));
        let mut clocks = Self { difference: TimeDelta::zero(), kept: false, told: false, surely };
        clocks.passes(now);
        clocks
    }

    /// The time by which the source is asked, when the box's clock shows `now`.
    #[must_use]
    pub fn followed(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let later = self.kept && self.difference.abs() <= LARGE;
        let by = if later { self.difference.max(TimeDelta::zero()) } else { self.difference };
        now.checked_add_signed(by).unwrap_or(now)
    }

    /// Notes that the box's clock shows `now`: time passes, and does not leap.
    pub fn passes(&mut self, now: DateTime<Utc>) {
        match &mut self.surely {
            Some((surely, shown)) => {
                let passed = now - *shown;
                if (TimeDelta::zero()..=LARGE).contains(&passed) {
                    *surely += passed;
                    *shown = now;
                } else if passed < TimeDelta::zero() && now >= *surely {
                    // It was set back to where it may have been all the time.
                    (*surely, *shown) = (now, now);
                }
            }
            None => self.surely = Some((now, now)),
        }
    }

    /// Takes an answer's `Date`, at `now` of the box's clock; whether what is planned by the clock followed until now is to
    /// be planned anew.
    pub fn learn(&mut self, date: Option<DateTime<Utc>>, now: DateTime<Utc>, kept: bool) -> bool {
        let before = self.followed(now);
        (self.kept, self.told) = (kept, date.is_some());
        if let Some(date) = date {
            let difference = date - now;
            if difference.abs() <= AGREE {
                self.difference = TimeDelta::zero();
            } else if (difference - self.difference).abs() > SAME {
                self.difference = difference;
            }
        } else if kept {
            self.difference = TimeDelta::zero();
        }
        if self.is_confirmed() {
            self.surely = Some((self.followed(now), now));
        }
        self.passes(now);
        (self.followed(now) - before).abs() > SAME
    }

    /// Up to when an answer that was given at `date` can count as read, when the box's clock shows `now`.
    #[must_use]
    pub fn bound(&self, date: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let differ = !self.difference.is_zero();
        let own = (self.kept && differ).then_some(now);
        let surely = self.surely.map(|(surely, _)| surely).filter(|_| self.has_leapt(now));
        date.into_iter().chain(own).chain(surely).min()
    }

    /// Whether the box's clock leapt ahead and nobody confirms it.
    #[must_use]
    pub fn has_leapt(&self, now: DateTime<Utc>) -> bool {
        !self.is_confirmed() && self.surely.is_some_and(|(surely, _)| now - surely > LARGE)
    }

    /// What is wrong.
    #[must_use]
    pub fn fault(&self, now: DateTime<Utc>) -> Option<Fault> {
        if self.has_leapt(now) {
            let (surely, _) = self.surely?;
            return Some(Fault::Leapt(format!(
                "the box's clock shows {}, more than a day after {}, up to when was read, and nothing confirms it: what is \
                 new is read, and nothing counts as read after that; let the box reach a time server, or set its clock",
                instant::text_utc(now),
                instant::text_utc(surely)
            )));
        }
        if !self.is_confirmed() {
            return Some(Fault::Unconfirmed(
                "no time service keeps the box's clock, and the point of sale tells no time: if the clock is wrong, new \
                 sales are missed; let the box reach a time server"
                    .to_owned(),
            ));
        }
        if self.difference.is_zero() {
            return None;
        }
        let (span, ahead) = (span(self.difference), self.difference > TimeDelta::zero());
        let text = if self.kept {
            let way = if ahead { "ahead" } else { "behind" };
            format!(
                "the point of sale's clock is {span} {way}, and its sales may carry wrong times: reading allows for it; set \
                 that clock right"
            )
        } else {
            let way = if ahead { "behind" } else { "ahead of" };
            format!(
                "the box's clock is {span} {way} the point of sale's: reading follows the point of sale's; let the box reach \
                 a time server, or set its clock"
            )
        };
        Some(Fault::Differ(text))
    }

    fn is_confirmed(&self) -> bool {
        self.told || self.kept
    }
}

/// In the two largest units that say something.
fn span(of: TimeDelta) -> String {
    let minutes = of.num_minutes().abs();
    match (minutes / 1_440, minutes / 60 % 24, minutes % 60) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, 0, _) => format!("{days} days"),
        (days, hours, _) => format!("{days} days {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_780_000_000 + minutes * 60, 0).expect("in range")
    }

    fn hours(hours: i64) -> TimeDelta {
        TimeDelta::hours(hours)
    }

    #[test]
    fn clocks_that_agree_are_the_boxs() {
        let mut clocks = Clocks::new(Some(at(-10)), at(0));
        for seconds in [-119, -1, 0, 1, 119] {
            let date = at(0) + TimeDelta::seconds(seconds);
            assert!(!clocks.learn(Some(date), at(0), false));
            assert_eq!((clocks.followed(at(0)), clocks.bound(Some(date), at(0))), (at(0), Some(date)));
            assert_eq!(clocks.fault(at(0)), None);
        }
    }

    #[test]
    fn a_box_that_is_behind_asks_by_the_sources_clock() {
        let mut clocks = Clocks::new(Some(at(-10)), at(0));
        assert!(clocks.learn(Some(at(180)), at(0), false), "what was planned is planned anew");
        assert_eq!(clocks.followed(at(1)), at(181));
        assert_eq!(clocks.bound(Some(at(181)), at(1)), Some(at(181)));
        assert!(!clocks.learn(Some(at(181) + TimeDelta::seconds(20)), at(1), false), "the same difference");
        let Some(Fault::Differ(text)) = clocks.fault(at(1)) else { panic!("nothing is told") };
        assert!(text.starts_with("the box's clock is 3 h behind the point of sale's"), "{text}");
        // It is set right.
        assert!(clocks.learn(Some(at(182)), at(182), true) || clocks.followed(at(182)) == at(182));
        assert_eq!(clocks.fault(at(182)), None);
    }

    #[test]
    fn a_clock_that_is_kept_bounds_what_counts_as_read() {
        // The source's is three hours ahead: its newest are asked for, and nothing of the next hours counts as read.
        let mut clocks = Clocks::new(None, at(0));
        clocks.learn(Some(at(180)), at(0), true);
        assert_eq!((clocks.followed(at(0)), clocks.bound(Some(at(180)), at(0))), (at(180), Some(at(0))));
        // It is behind, or a cache answers.
        clocks.learn(Some(at(-180)), at(0), true);
        assert_eq!((clocks.followed(at(0)), clocks.bound(Some(at(-180)), at(0))), (at(0), Some(at(-180))));
        // By years: then no cache does.
        clocks.learn(Some(at(0) - hours(24 * 400)), at(0), true);
        assert_eq!(clocks.followed(at(0)), at(0) - hours(24 * 400));
        let Some(Fault::Differ(text)) = clocks.fault(at(0)) else { panic!("nothing is told") };
        assert!(text.starts_with("the point of sale's clock is 400 days behind"), "{text}");
    }

    #[test]
    fn a_leap_that_nobody_confirms_counts_nothing_as_read() {
        let year = hours(24 * 365);
        let mut clocks = Clocks::new(Some(at(-10)), at(0));
        clocks.learn(None, at(0), false);
        assert!(!clocks.has_leapt(at(0)));
        clocks.passes(at(5) + year);
        assert!(!clocks.learn(None, at(6) + year, false));
        assert_eq!(clocks.followed(at(6) + year), at(6) + year, "what is new is read");
        assert_eq!(clocks.bound(None, at(6) + year), Some(at(0)));
        assert!(matches!(clocks.fault(at(6) + year), Some(Fault::Leapt(_))));
        // It was right: the box was switched off for so long.
        let mut confirmed = clocks.clone();
        confirmed.learn(None, at(7) + year, true);
        assert_eq!((confirmed.bound(None, at(7) + year), confirmed.fault(at(7) + year)), (None, None));
        // It was wrong, and is set right; whether it is right now, nobody says.
        clocks.passes(at(8));
        assert_eq!(clocks.bound(None, at(8)), None);
        assert!(matches!(clocks.fault(at(8)), Some(Fault::Unconfirmed(_))));
    }

    #[test]
    fn a_restart_into_a_clock_that_is_a_year_ahead_is_a_leap() {
        let now = at(0) + hours(24 * 365);
        let mut clocks = Clocks::new(Some(at(0)), now);
        clocks.learn(None, now, false);
        assert_eq!(clocks.bound(None, now), Some(at(0)));
        // With a date that contradicts it, reading follows that.
        assert!(clocks.learn(Some(at(3)), now, false));
        assert_eq!((clocks.followed(now), clocks.bound(Some(at(3)), now)), (at(3), Some(at(3))));
    }

    proptest! {
        /// With one clock at least that is right and confirmed, what counts as read never passes the truth.
        #[test]
        fn nothing_counts_as_read_that_was_not_there(
            steps in prop::collection::vec((1_i64..2_000, -600_000_i64..600_000, any::<bool>(), any::<bool>()), 1..40),
        ) {
            let mut truth = at(0);
            let mut clocks = Clocks::new(Some(truth), truth);
            for (minutes, off, box_is_right, is_told) in steps {
                truth += TimeDelta::minutes(minutes);
                let wrong = truth + TimeDelta::minutes(off);
                // Either a time service keeps the box's clock, or the source tells the truth, or both.
                let (now, date, kept) = match (box_is_right, is_told) {
                    (true, true) => (truth, Some(wrong), true),
                    (true, false) => (truth, None, true),
                    (false, _) => (wrong, Some(truth), false),
                };
                clocks.passes(now);
                clocks.learn(date, now, kept);
                let seen = clocks.bound(date, now).unwrap_or(clocks.followed(now)).min(clocks.followed(now));
                prop_assert!(seen <= truth + AGREE, "{seen} counts as read at {truth}");
                prop_assert!(kept || (clocks.followed(now) - truth).abs() <= AGREE, "the newest are not asked for");
            }
        }
    }
}
