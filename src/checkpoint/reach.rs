//! From when on a box reads again by the checkpoint of its predecessor.
//!
//! A predecessor that had read its history leaves a watermark: what lies before was read, and is read once more for a
//! week, for what changed; what lies behind it is owed. A predecessor whose first reading was still under way leaves a
//! watermark somewhere in the history from before there was a box. Its successor's own first reading does that again, so
//! nothing is owed before what the config asks for, nor before the predecessor began.

use chrono::{DateTime, TimeDelta, Utc};

use crate::progress::Progress;

/// How far back a connection is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// By a new box, as the config asks and the source allows.
    pub asked: TimeDelta,
    /// What the source shows at all, where that is a span of time.
    pub history: Option<TimeDelta>,
}

/// When the connection's first reading began: what was sold later the outlet's boxes owe, what was sold before only the
/// config asks for. `known` is what was told of it before, by this box or its predecessor: the earliest counts. `None`
/// where nothing was read yet.
#[must_use]
pub fn begun(
    progress: &Progress,
    reach: Reach,
    known: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let own = progress.since.and_then(|since| since.checked_add_signed(reach.asked)).map(|begun| begun.min(now));
    own.into_iter().chain(known).min()
}

/// From when on a connection is read again whose predecessor read up to `watermark`. `reach` is `None` for a connection
/// that the config does not name, `begun` for one of whose beginning the checkpoint says nothing. `None` where no such
/// instant exists.
#[must_use]
pub fn read_from(
    watermark: DateTime<Utc>,
    begun: Option<DateTime<Utc>>,
    reach: Option<Reach>,
    rescan_horizon: TimeDelta,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let again = watermark.checked_sub_signed(rescan_horizon)?;
    let Some(reach) = reach else { return Some(again) };
    if let Some(begun) = begun.filter(|begun| watermark <= *begun) {
        return Some(watermark.max(begun.min(now.checked_sub_signed(reach.asked)?)));
    }
    // What is only read once more, and is not shown any more, is not lost.
    let shown = reach.history.and_then(|history| now.checked_sub_signed(history));
    Some(shown.map_or(again, |shown| again.max(watermark.min(shown))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HORIZON: TimeDelta = TimeDelta::days(7);
    const QASIR: Reach = Reach { asked: TimeDelta::days(90), history: Some(TimeDelta::days(90)) };

    fn day(n: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_770_000_000 + n * 86_400, 0).expect("in range")
    }

    fn from(watermark: i64, begun: Option<i64>, reach: Reach, now: i64) -> DateTime<Utc> {
        read_from(day(watermark), begun.map(day), Some(reach), HORIZON, day(now)).unwrap()
    }

    #[test]
    fn a_first_reading_that_was_under_way_owes_nothing_before_what_is_asked() {
        // The card died minutes after its first start, and was replaced two days later.
        assert_eq!(from(-90, Some(0), QASIR, 2), day(-88));
        // It had read five days of the ninety.
        assert_eq!(from(-85, Some(0), QASIR, 2), day(-85));
        // What was sold since the first box began is owed, also where the config asks for less, or the source forgets.
        assert_eq!(from(-20, Some(0), Reach { asked: TimeDelta::days(30), history: None }, 45), day(0));
        assert_eq!(from(-85, Some(0), QASIR, 100), day(0));
    }

    #[test]
    fn what_was_read_is_read_once_more_as_far_as_it_is_shown() {
        assert_eq!(from(50, Some(0), QASIR, 51), day(43));
        assert_eq!(from(50, None, QASIR, 51), day(43), "a checkpoint of before does not say when it began");
        // Off for long: what lies behind the watermark is owed, and shows as a gap.
        assert_eq!(from(50, Some(0), QASIR, 150), day(50));
        assert_eq!(from(50, Some(0), QASIR, 138), day(48), "what was read and is not shown any more is not lost");
        assert_eq!(from(50, Some(0), Reach { history: None, ..QASIR }, 400), day(43));
        assert_eq!(read_from(day(50), None, None, HORIZON, day(400)), Some(day(43)));
        assert_eq!(read_from(DateTime::<Utc>::MIN_UTC, None, Some(QASIR), HORIZON, day(0)), None);
    }

    #[test]
    fn the_beginning_is_the_earliest_that_was_told() {
        let progress = |since: i64| Progress { since: Some(day(since)), ..Progress::default() };
        assert_eq!(begun(&Progress::default(), QASIR, None, day(0)), None);
        assert_eq!(begun(&progress(-90), QASIR, None, day(3)), Some(day(0)));
        // A source that is read from its newest records back has not come far yet.
        assert_eq!(begun(&progress(-2), QASIR, None, day(3)), Some(day(3)));
        assert_eq!(begun(&progress(-2), QASIR, Some(day(1)), day(3)), Some(day(1)));
        assert_eq!(begun(&Progress::default(), QASIR, Some(day(1)), day(3)), Some(day(1)));
    }

    proptest! {
        /// Whatever was sold since the outlet's first box began, and was not read, is read or told as a gap.
        #[test]
        fn nothing_that_is_owed_is_passed_over(
            watermark in -400_i64..400, begun in prop::option::of(-400_i64..400), now in 0_i64..800,
            asked in 1_i64..400, history in prop::option::of(1_i64..400),
        ) {
            let reach = Reach { asked: TimeDelta::days(asked), history: history.map(TimeDelta::days) };
            let owed = day(watermark.max(begun.unwrap_or(watermark)));
            let from = from(watermark, begun, reach, now);
            prop_assert!(from <= owed);
            // And no more is asked for than that, what the config asks for, and a week to look again.
            prop_assert!(from >= day(now - asked).min(owed) - HORIZON);
        }
    }
}
