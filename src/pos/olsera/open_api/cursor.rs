//! How far the orders were read: up to an instant, days apart that wait.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::pos::readings::Readings;

/// What is stored with every commit that brings news.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The first local day that is read.
    pub first: NaiveDate,
    /// Up to here everything was read at least once, but for the days that wait.
    pub read_to: Option<DateTime<Utc>>,
    /// Past days that wait to be read: ranges, ascending, both ends included.
    pub unread: Vec<(NaiveDate, NaiveDate)>,
    /// The local day of the last nightly re-read.
    pub nightly_read: NaiveDate,
    /// Stretches that were read whole, and when.
    #[serde(default)]
    pub readings: Readings,
}

impl Cursor {
    /// Nothing was read yet.
    #[must_use]
    pub fn beginning(first: NaiveDate, today: NaiveDate, begins: DateTime<Utc>) -> Self {
        // What a new box reads at first, it need not read again the same night.
        let mut cursor = Self {
            first,
            read_to: Some(begins),
            unread: Vec::new(),
            nightly_read: today,
            readings: Readings::default(),
        };
        cursor.wait_for(first, today.pred_opt().unwrap_or(today));
        cursor
    }

    /// These days wait to be read.
    pub fn wait_for(&mut self, from: NaiveDate, to: NaiveDate) {
        if from > to {
            return;
        }
        let mut merged = (from, to);
        let touches = |range: &(NaiveDate, NaiveDate)| {
            let before = merged.0.pred_opt().unwrap_or(merged.0);
            let after = merged.1.succ_opt().unwrap_or(merged.1);
            range.0 <= after && before <= range.1
        };
        let (touching, apart): (Vec<_>, Vec<_>) = self.unread.iter().copied().partition(touches);
        for range in touching {
            merged = (merged.0.min(range.0), merged.1.max(range.1));
        }
        self.unread = apart;
        self.unread.push(merged);
        self.unread.sort_unstable();
    }

    /// A past day was read.
    pub fn was_read(&mut self, day: NaiveDate) {
        let holds = |range: &(NaiveDate, NaiveDate)| range.0 <= day && day <= range.1;
        let Some(place) = self.unread.iter().position(holds) else { return };
        let (from, to) = self.unread.remove(place);
        if let Some(before) = day.pred_opt().filter(|before| from <= *before) {
            self.unread.push((from, before));
        }
        if let Some(after) = day.succ_opt().filter(|after| *after <= to) {
            self.unread.push((after, to));
        }
        self.unread.sort_unstable();
    }

    /// The newest day that waits.
    #[must_use]
    pub fn newest_unread(&self) -> Option<NaiveDate> {
        self.unread.last().map(|(_, to)| *to)
    }

    /// The oldest day that waits.
    #[must_use]
    pub fn oldest_unread(&self) -> Option<NaiveDate> {
        self.unread.first().map(|(from, _)| *from)
    }

    /// Whether one of these days waits.
    #[must_use]
    pub fn waits_within(&self, from: NaiveDate, to: NaiveDate) -> bool {
        self.unread.iter().any(|range| range.0 <= to && from <= range.1)
    }

    /// If our clock was ahead of the truth, what was claimed to be read lately may not have been: the last `most` is read
    /// again, or every day, if the clock was ahead by more.
    pub fn distrust_the_future(&mut self, now: DateTime<Utc>, today: NaiveDate, most: TimeDelta) {
        if self.read_to.is_some_and(|read_to| read_to > now + TimeDelta::minutes(5)) {
            if self.read_to.is_some_and(|read_to| read_to > now + most) {
                self.wait_for(self.first, today.pred_opt().unwrap_or(today));
            }
            self.read_to = Some(now - most);
        }
        self.unread.retain(|(from, _)| *from < today);
        if let Some((_, to)) = self.unread.last_mut() {
            *to = (*to).min(today.pred_opt().unwrap_or(today));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 5, n).unwrap()
    }

    #[test]
    fn days_wait_as_few_ranges() {
        let mut cursor = Cursor::beginning(day(1), day(11), DateTime::UNIX_EPOCH);
        assert_eq!(cursor.unread, [(day(1), day(10))]);
        cursor.was_read(day(10));
        cursor.was_read(day(5));
        cursor.was_read(day(1));
        assert_eq!(cursor.unread, [(day(2), day(4)), (day(6), day(9))]);
        assert_eq!((cursor.newest_unread(), cursor.oldest_unread()), (Some(day(9)), Some(day(2))));
        assert!(cursor.waits_within(day(4), day(5)) && !cursor.waits_within(day(5), day(5)));
        cursor.wait_for(day(5), day(5));
        cursor.wait_for(day(12), day(13));
        cursor.wait_for(day(3), day(2));
        assert_eq!(cursor.unread, [(day(2), day(9)), (day(12), day(13))]);
        cursor.distrust_the_future(DateTime::UNIX_EPOCH, day(12), TimeDelta::hours(24));
        assert_eq!(cursor.unread, [(day(2), day(9))]);
    }
}
