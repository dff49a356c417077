//! What becomes of the source's own count of its records, by which it is told that a list has become shorter and that its
//! records moved to other pages. A count by which records move again and again is one that lies: two servers that differ
//! may answer in turn.

use chrono::{DateTime, TimeDelta, Utc};

/// After so many moves a reading that does not come to its end no longer goes by the source's count; nor after so many
/// in the time after which it is trusted again, if it has not fallen since.
const MOVES_MAX: u32 = 3;
const FALLS_MAX: usize = 6;
const TRUSTED_AFTER: TimeDelta = TimeDelta::hours(1);

/// The count of one list, and how far it is gone by.
#[derive(Debug, Default)]
pub struct Count {
    /// As it was told last.
    last: Option<u64>,
    /// Moves since a reading of everything came to its end.
    moves: u32,
    /// When records moved lately.
    moved: Vec<DateTime<Utc>>,
    /// It changes from page to page and is not gone by; when it fell last.
    distrusted: Option<DateTime<Utc>>,
}

impl Count {
    /// As it was told last, whether it can be relied on or not.
    pub fn last(&self) -> Option<u64> {
        self.last
    }

    pub fn is_distrusted(&self) -> bool {
        self.distrusted.is_some()
    }

    /// Takes what a page tells; gives it back as far as it is to be relied on.
    pub fn weigh(&mut self, told: Option<u64>, now: DateTime<Utc>) -> Option<u64> {
        let fell = fallen(self.last, told).is_some();
        self.last = told.or(self.last);
        match self.distrusted {
            None => return told,
            Some(_) if fell => self.distrusted = Some(now),
            Some(last) if now - last >= TRUSTED_AFTER => {
                *self = Self { last: self.last, ..Self::default() };
                return told;
            }
            Some(_) => {}
        }
        None
    }

    /// Records were found on other pages than before; whether that is once too often.
    pub fn moved(&mut self, now: DateTime<Utc>) -> bool {
        self.moves = self.moves.saturating_add(1);
        self.moved.retain(|moved| now - *moved < TRUSTED_AFTER);
        self.moved.push(now);
        let too_often = self.moves >= MOVES_MAX || self.moved.len() >= FALLS_MAX;
        if too_often {
            self.distrusted = Some(now);
        }
        too_often
    }

    /// A reading of everything came to its end.
    pub fn held(&mut self) {
        self.moves = 0;
    }
}

/// By how much a list has become shorter since the page before.
pub fn fallen(before: Option<u64>, now: Option<u64>) -> Option<u64> {
    before?.checked_sub(now?).filter(|fallen| *fallen > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: DateTime<Utc> = DateTime::UNIX_EPOCH;

    #[test]
    fn a_count_is_gone_by_until_records_move_too_often_and_again_after_a_quiet_hour() {
        let mut count = Count::default();
        assert_eq!(count.weigh(Some(90), START), Some(90));
        assert!(!count.moved(START) && !count.moved(START) && count.moved(START), "the third move is one too many");
        assert_eq!(count.weigh(Some(80), START + TimeDelta::minutes(5)), None);
        assert_eq!(count.last(), Some(80), "where to look for the end it still says");
        assert_eq!(count.weigh(Some(80), START + TimeDelta::minutes(64)), None, "it fell less than an hour ago");
        assert_eq!(count.weigh(Some(81), START + TimeDelta::minutes(65)), Some(81));
        assert!(!count.is_distrusted() && !count.moved(START + TimeDelta::minutes(65)), "it begins anew");
    }

    #[test]
    fn moves_between_whole_readings_count_only_where_they_are_many_in_an_hour() {
        let mut count = Count::default();
        let mut move_and_hold = |at| {
            let too_often = count.moved(START + at);
            count.held();
            too_often
        };
        assert!((0..9).all(|nth| !move_and_hold(TimeDelta::minutes(13) * nth)), "five in an hour at most");
        let hour_later = TimeDelta::hours(4);
        assert!((0..5).all(|nth| !move_and_hold(hour_later + TimeDelta::minutes(nth.into()))));
        assert!(move_and_hold(hour_later + TimeDelta::minutes(6)));
    }

    #[test]
    fn a_list_has_fallen_only_where_both_counts_say_so() {
        assert_eq!(fallen(Some(9), Some(7)), Some(2));
        for (before, now) in [(Some(7), Some(7)), (Some(7), Some(9)), (None, Some(1)), (Some(1), None)] {
            assert_eq!(fallen(before, now), None);
        }
    }
}
