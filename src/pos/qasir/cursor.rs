//! How far the source was read: a stretch without holes up to the watermark, and perhaps an island ahead of it.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::windows::Window;
use crate::pos::readings::Readings;

/// What is stored with every commit that moves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Everything from here …
    pub since: DateTime<Utc>,
    /// … to here was read at least once.
    pub watermark: DateTime<Utc>,
    /// A stretch after the watermark that was read already: the newest come first.
    pub ahead: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// The server means by its bounds what its records say.
    pub zone_proven: bool,
    /// The server refuses bounds with an offset, and gets local ones.
    pub naive_bounds: bool,
    /// The server's filter looks at the day of its bounds alone.
    #[serde(default)]
    pub by_day: bool,
    /// The local day of the last nightly re-read.
    pub nightly_read: Option<NaiveDate>,
    /// The local day of the last look at what lies after now.
    #[serde(default)]
    pub looked_ahead: Option<NaiveDate>,
    /// The number of outlets that HQ was told of, if that was worth a word.
    pub outlets_told: Option<usize>,
    /// Stretches that were read whole, and when.
    #[serde(default)]
    pub readings: Readings,
}

impl Cursor {
    /// Nothing was read yet; reading begins here.
    #[must_use]
    pub fn beginning(since: DateTime<Utc>) -> Self {
        Self {
            since,
            watermark: since,
            ahead: None,
            zone_proven: false,
            naive_bounds: false,
            by_day: false,
            nightly_read: None,
            looked_ahead: None,
            outlets_told: None,
            readings: Readings::default(),
        }
    }

    /// A window was read whole at an instant. Nothing after that instant counts as read: it was not there to be seen.
    pub fn count_as_read(&mut self, window: Window, at: DateTime<Utc>) {
        let to = window.to.min(at);
        if window.from <= self.watermark {
            self.watermark = self.watermark.max(to);
        } else if let Some((from, ahead_to)) = &mut self.ahead
            && window.from <= *ahead_to
            && to >= *from
        {
            (*from, *ahead_to) = (window.from.min(*from), to.max(*ahead_to));
        }
        if let Some((_, to)) = self.ahead.filter(|(from, _)| *from <= self.watermark) {
            self.watermark = self.watermark.max(to);
            self.ahead = None;
        }
    }

    /// Up to where the newest were read, for a reading that begins now. More than `far` behind, an island begins: today's sales
    /// come first, and what lies between follows as history.
    pub fn newest_read_to(&mut self, now: DateTime<Utc>, far: TimeDelta, overlap: TimeDelta) -> DateTime<Utc> {
        match self.ahead {
            Some((_, to)) if now - to <= far => return to,
            _ if now - self.watermark <= far => return self.watermark,
            // An island that was left behind by another outage is read again as history.
            _ => {}
        }
        let from = now - overlap;
        self.ahead = Some((from, from));
        from
    }

    /// If our clock was ahead of the truth, what was claimed to be read lately may not have been: the last `most` is read
    /// again, or everything, if the clock was ahead by more. A step of `tolerance` is none.
    pub fn distrust_the_future(&mut self, now: DateTime<Utc>, tolerance: TimeDelta, most: TimeDelta) {
        let newest = self.ahead.map_or(self.watermark, |(_, to)| to);
        if newest > now + tolerance {
            let back = if newest > now + most { self.since } else { now - most };
            self.watermark = self.watermark.min(back);
            self.since = self.since.min(self.watermark);
            self.ahead = None;
        }
    }

    /// What lies before `oldest` can no longer be read: gives the stretch that is lost.
    pub fn give_up_before(&mut self, oldest: DateTime<Utc>) -> Window {
        let lost = Window { from: self.watermark, to: oldest };
        self.count_as_read(lost, oldest);
        lost
    }

    /// Everything since an instant is to be read again.
    pub fn rewind(&mut self, since: DateTime<Utc>) {
        if since < self.watermark {
            self.ahead = self.ahead.or(Some((self.watermark, self.watermark)));
            self.watermark = since;
            self.since = self.since.min(since);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_770_000_000 + hours * 3_600, 0).expect("in range")
    }

    fn window(from: i64, to: i64) -> Window {
        Window { from: at(from), to: at(to) }
    }

    const OVERLAP: TimeDelta = TimeDelta::minutes(10);

    #[test]
    fn two_outages_leave_one_island_and_no_hole() {
        let mut cursor = Cursor::beginning(at(0));
        cursor.count_as_read(window(0, 10), at(10));
        // Two days later the newest come first …
        let newest = cursor.newest_read_to(at(58), TimeDelta::hours(2), OVERLAP);
        cursor.count_as_read(Window { from: newest, to: at(60) }, at(60));
        assert_eq!((cursor.watermark, cursor.ahead), (at(10), Some((at(58) - OVERLAP, at(60)))));
        // … then three more days without an answer: the first island is forgotten, not taken for joined.
        let newest = cursor.newest_read_to(at(132), TimeDelta::hours(2), OVERLAP);
        cursor.count_as_read(Window { from: newest, to: at(133) }, at(133));
        assert_eq!((cursor.watermark, cursor.ahead), (at(10), Some((at(132) - OVERLAP, at(133)))));
        for from in (10..=130).step_by(24) {
            cursor.count_as_read(window(from, from + 24), at(133));
        }
        assert_eq!((cursor.watermark, cursor.ahead), (at(133), None));
    }

    #[test]
    fn what_touches_neither_moves_nothing() {
        let mut cursor = Cursor { ahead: Some((at(50), at(60))), ..Cursor::beginning(at(0)) };
        for stray in [window(10, 20), window(61, 70), window(40, 49)] {
            let before = cursor.clone();
            cursor.count_as_read(stray, at(100));
            assert_eq!(cursor, before);
        }
        cursor.count_as_read(window(45, 70), at(65));
        assert_eq!(cursor.ahead, Some((at(45), at(65))));
    }

    #[test]
    fn a_clock_that_was_ahead_takes_back_what_it_claimed() {
        let mut cursor = Cursor { watermark: at(20), ..Cursor::beginning(at(0)) };
        cursor.distrust_the_future(at(21), OVERLAP, TimeDelta::hours(24));
        assert_eq!(cursor.watermark, at(20));
        cursor.distrust_the_future(at(10), OVERLAP, TimeDelta::hours(24));
        assert_eq!((cursor.watermark, cursor.since), (at(-14), at(-14)));
    }

    #[test]
    fn a_rewind_keeps_what_was_read_as_an_island() {
        let mut cursor = Cursor { watermark: at(20), ..Cursor::beginning(at(10)) };
        cursor.rewind(at(5));
        assert_eq!((cursor.since, cursor.watermark, cursor.ahead), (at(5), at(5), Some((at(20), at(20)))));
        cursor.rewind(at(7));
        assert_eq!(cursor.watermark, at(5));
    }
}
