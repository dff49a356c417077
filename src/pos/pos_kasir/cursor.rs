//! How far the orders are read: a stretch without holes, whose ends move apart; and, in memory only, an island of the
//! newest ahead of it.
//!
//! Little needs to last: whoever begins anew lists a few pages again, and finds by the marks in the store what it has
//! read in detail.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::pos::readings::Readings;

/// What is stored with every commit that moves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Everything from here …
    pub since: Option<DateTime<Utc>>,
    /// … to here was read at least once.
    pub watermark: Option<DateTime<Utc>>,
    /// Back to here it is to be read.
    pub target: DateTime<Utc>,
    /// The local day of the last nightly scan.
    pub nightly_read: Option<NaiveDate>,
    /// Up to where the activity log was read.
    pub log_read_to: Option<DateTime<Utc>>,
    /// Stored orders that it did not know any more when it was found to be reset.
    pub reset: Option<Vec<String>>,
    /// Stretches that were read whole, and when.
    #[serde(default)]
    pub readings: Readings,
    /// A stretch after the watermark that was read already: the newest come first.
    #[serde(skip)]
    pub ahead: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Cursor {
    /// Nothing was read yet; it is to be read back to `target`.
    pub fn beginning(target: DateTime<Utc>, today: NaiveDate) -> Self {
        Self {
            since: None,
            watermark: None,
            target,
            // What a new box reads at first, it need not read again the same night.
            nightly_read: Some(today),
            log_read_to: None,
            reset: None,
            readings: Readings::default(),
            ahead: None,
        }
    }

    /// Up to where the newest were read.
    pub fn read_to(&self) -> Option<DateTime<Utc>> {
        self.ahead.map(|(_, to)| to).or(self.watermark)
    }

    /// Everything between was read; it was asked for at `to`.
    pub fn count_as_read(&mut self, from: DateTime<Utc>, to: DateTime<Utc>) {
        let (Some(since), Some(watermark)) = (self.since, self.watermark) else {
            (self.since, self.watermark) = (Some(from), Some(to));
            return;
        };
        if from <= watermark && to >= since {
            (self.since, self.watermark) = (Some(since.min(from)), Some(watermark.max(to)));
        } else {
            self.ahead = match self.ahead {
                Some((a, b)) if from <= b && to >= a => Some((a.min(from), b.max(to))),
                Some((_, b)) if to < b => self.ahead,
                _ => Some((from, to)),
            };
        }
        if let Some((from, to)) = self.ahead
            && self.watermark.is_some_and(|watermark| from <= watermark)
        {
            self.watermark = self.watermark.max(Some(to));
            self.ahead = None;
        }
    }

    /// The history is read down to here, from the stretch's begin on.
    pub fn read_down_to(&mut self, from: DateTime<Utc>) {
        self.since = self.since.map(|since| since.min(from));
    }

    /// Whether everything between was read.
    pub fn covers(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
        self.since.is_some_and(|since| since <= from) && self.watermark.is_some_and(|watermark| to <= watermark)
    }

    /// History waits to be read.
    pub fn has_older(&self) -> bool {
        self.since.is_none_or(|since| since > self.target)
    }

    /// If our clock was ahead of the truth, what was claimed to be read lately may not have been: the last `most` is read
    /// again, or everything, if the clock was ahead by more.
    pub fn distrust_the_future(&mut self, now: DateTime<Utc>, tolerance: TimeDelta, most: TimeDelta) {
        if self.watermark.is_some_and(|watermark| watermark > now + most) {
            (self.since, self.watermark) = (None, None);
        } else if self.watermark.is_some_and(|watermark| watermark > now + tolerance) {
            self.watermark = self.watermark.min(Some(now - most));
            self.since = self.since.min(self.watermark);
        }
        self.log_read_to = self.log_read_to.filter(|read| *read <= now + tolerance);
    }

    /// Everything since an instant is to be read again.
    pub fn rewind(&mut self, since: DateTime<Utc>) {
        self.target = self.target.min(since);
        if self.watermark.is_some_and(|watermark| since < watermark) {
            self.watermark = Some(since);
            self.since = self.since.min(Some(since));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_770_000_000 + hours * 3_600, 0).expect("in range")
    }

    fn cursor() -> Cursor {
        Cursor::beginning(at(0), NaiveDate::MIN)
    }

    #[test]
    fn a_new_box_reads_from_both_ends_of_a_growing_stretch() {
        let mut cursor = cursor();
        cursor.count_as_read(at(99), at(100));
        assert!(cursor.covers(at(99), at(100)) && !cursor.covers(at(98), at(100)) && cursor.has_older());
        cursor.count_as_read(at(50), at(101));
        cursor.read_down_to(at(0));
        assert!(cursor.covers(at(0), at(101)) && !cursor.has_older());
    }

    #[test]
    fn an_outage_leaves_an_island_that_joins() {
        let mut cursor = cursor();
        cursor.count_as_read(at(0), at(10));
        cursor.count_as_read(at(58), at(60));
        assert_eq!((cursor.watermark, cursor.ahead), (Some(at(10)), Some((at(58), at(60)))));
        // Another outage: the first island is not taken for joined.
        cursor.count_as_read(at(130), at(131));
        assert_eq!(cursor.ahead, Some((at(130), at(131))));
        cursor.count_as_read(at(9), at(132));
        assert_eq!((cursor.watermark, cursor.ahead), (Some(at(132)), None));
    }

    #[test]
    fn a_rewind_and_a_wrong_clock_take_back_what_is_claimed() {
        let mut cursor = cursor();
        cursor.count_as_read(at(10), at(20));
        cursor.rewind(at(15));
        assert_eq!((cursor.since, cursor.watermark, cursor.target), (Some(at(10)), Some(at(15)), at(0)));
        cursor.rewind(at(-5));
        assert_eq!((cursor.since, cursor.watermark, cursor.target), (Some(at(-5)), Some(at(-5)), at(-5)));
        cursor.distrust_the_future(at(-8), TimeDelta::minutes(5), TimeDelta::hours(24));
        assert_eq!((cursor.since, cursor.watermark), (Some(at(-32)), Some(at(-32))));
    }
}
