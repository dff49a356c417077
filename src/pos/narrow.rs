//! How a walk through the pages of a list gets past one that cannot be read, is too large or does not come: by smaller
//! pages, until the row that spoils it is alone, and on behind it.
//!
//! Places are counted in rows, and each size of a page divides the larger ones, so that a smaller page begins where the
//! larger one failed. New rows push others down meanwhile: that shows doubles, and never a hole.
//!
//! What was learnt lasts from walk to walk ([`Narrow`]): a row that spoils its page is asked for by itself each time it is
//! met, and a list that gives only smaller pages is asked for those, for an hour. Pure.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

/// Rows of a page, the largest first; each divides the one before.
const SIZES: [u64; 5] = [ROWS_MAX, 50, 25, 5, 1];

/// Rows of the largest page.
pub const ROWS_MAX: u64 = 100;

/// Requests in a row that fail until that is the source's fault, and no row's: nine rows in a row that spoil their pages
/// take about half as many.
const FAILED_MAX: u32 = 40;

/// What a source does not give now is asked for again after this.
const TRY_AGAIN: TimeDelta = TimeDelta::hours(1);

/// Rows that are remembered to spoil their pages. Of more, a page is narrowed anew.
const SPOILT_MAX: usize = 64;

/// A page: where it begins, and how large it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Rows before it.
    pub offset: u64,
    /// Rows that it holds; they divide the rows before it.
    pub rows: u64,
}

/// What is known of a list's pages.
#[derive(Debug, Clone, Default)]
pub struct Narrow {
    /// Rows that spoil each page that holds them, by their place when they were met last. They only move down.
    spoilt: BTreeSet<u64>,
    /// Larger pages fail, until then.
    most: Option<(u64, DateTime<Utc>)>,
    /// A page was narrowed before: the next one is at its first failure.
    is_known: bool,
    failed_in_row: u32,
    off_until: Option<DateTime<Utc>>,
    is_ignored: bool,
}

/// Where a walk is.
#[derive(Debug, Clone)]
pub struct Position {
    place: Place,
    times: u8,
    /// The largest page that failed and is not passed yet.
    failed: Option<Place>,
    /// A row of it was passed over.
    had_row: bool,
}

/// What to do with a page that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// As with any other failure: it may be the line, or the source gives no smaller pages.
    Other,
    /// The position is at a smaller page, or at the same row once more: it is asked at once.
    AskOn,
    /// One row spoils each page that holds it: the position is behind it.
    PassedOver,
    /// Too much failed in a row: for an hour nothing is narrowed. What the walk passed over proves nothing.
    Lost,
}

impl Place {
    /// The page's number, from 1.
    #[must_use]
    pub fn page(self) -> u64 {
        self.offset / self.rows.max(1) + 1
    }

    fn end(self) -> u64 {
        self.offset.saturating_add(self.rows)
    }
}

impl Narrow {
    /// Rows of the next page: as many as can be had without one that spoils it.
    fn fit(&self, offset: u64, now: DateTime<Utc>) -> u64 {
        let most = self.most.filter(|(_, until)| now < *until).map_or(ROWS_MAX, |(most, _)| most);
        let fits = |rows: &u64| {
            let is_clean = self.spoilt.range(offset..offset.saturating_add(*rows)).next().is_none();
            *rows <= most && offset.is_multiple_of(*rows) && is_clean
        };
        if self.is_ignored { ROWS_MAX } else { SIZES.into_iter().find(fits).unwrap_or(1) }
    }

    /// The source keeps to a page size of its own: no smaller one is asked for any more.
    pub fn keeps_its_size(&mut self) {
        *self = Self { is_ignored: true, ..Self::default() };
    }

    /// Whether a row is known that spoils its page.
    #[must_use]
    pub fn is_spoilt(&self) -> bool {
        !self.spoilt.is_empty()
    }

    fn was_read(&mut self, place: Place) {
        self.failed_in_row = 0;
        self.spoilt.retain(|row| !(place.offset..place.end()).contains(row));
    }
}

impl Position {
    /// At a list's begin.
    #[must_use]
    pub fn begin(narrow: &Narrow, now: DateTime<Utc>) -> Self {
        let place = Place { offset: 0, rows: narrow.fit(0, now) };
        Self { place, times: 0, failed: None, had_row: false }
    }

    /// The page to ask for.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// Rows before it, in pages of the largest size.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.place.offset.div_ceil(ROWS_MAX)
    }

    /// The page was read.
    pub fn passed(&mut self, narrow: &mut Narrow, now: DateTime<Utc>) {
        narrow.was_read(self.place);
        self.go_on(narrow, now);
    }

    /// Back by a page, if there is one before.
    pub fn step_back(&mut self) {
        self.place.offset = self.place.offset.saturating_sub(self.place.rows);
        self.times = 0;
    }

    /// Back to the begin of the page of the largest size: the source gives no other.
    pub fn realign(&mut self) {
        let offset = self.place.offset / ROWS_MAX * ROWS_MAX;
        *self = Self { place: Place { offset, rows: ROWS_MAX }, times: 0, failed: None, had_row: false };
    }

    /// The page failed in a way in which a smaller one may not: it cannot be read, is too large or does not come.
    pub fn failed(&mut self, narrow: &mut Narrow, now: DateTime<Utc>) -> Failing {
        if narrow.is_ignored || narrow.off_until.is_some_and(|until| now < until) {
            return Failing::Other;
        }
        self.times = self.times.saturating_add(1);
        // A line may cut an answer once.
        if self.times < 2 && !narrow.is_known {
            return Failing::Other;
        }
        narrow.is_known = true;
        narrow.failed_in_row += 1;
        if narrow.failed_in_row > FAILED_MAX {
            *narrow = Narrow { is_known: true, off_until: Some(now + TRY_AGAIN), ..Narrow::default() };
            return Failing::Lost;
        }
        let Place { offset, rows } = self.place;
        if let Some(smaller) = smaller(rows) {
            self.failed.get_or_insert(self.place);
            (self.place.rows, self.times) = (smaller, 0);
            return Failing::AskOn;
        }
        if self.times < 2 && !narrow.spoilt.contains(&offset) {
            return Failing::AskOn;
        }
        if narrow.spoilt.len() < SPOILT_MAX {
            narrow.spoilt.insert(offset);
        }
        self.had_row = true;
        self.go_on(narrow, now);
        Failing::PassedOver
    }

    fn go_on(&mut self, narrow: &mut Narrow, now: DateTime<Utc>) {
        let offset = self.place.end();
        if let Some(failed) = self.failed.take_if(|failed| failed.end() <= offset)
            && !std::mem::take(&mut self.had_row)
            && let Some(most) = smaller(failed.rows)
        {
            // No row of it spoils it: it is too large as such.
            narrow.most = Some((most, now + TRY_AGAIN));
        }
        self.place = Place { offset, rows: narrow.fit(offset, now) };
        self.times = 0;
    }
}

fn smaller(rows: u64) -> Option<u64> {
    SIZES.into_iter().find(|size| *size < rows)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    /// Walks a list of so many rows of which pages fail by `fails`: the rows that were read, and the requests; `None` if
    /// it was lost.
    fn walk(total: u64, narrow: &mut Narrow, fails: impl Fn(Place) -> bool) -> Option<(BTreeSet<u64>, u32)> {
        let mut position = Position::begin(narrow, NOW);
        let (mut read, mut requests) = (BTreeSet::new(), 0);
        while position.place().offset < total {
            let place = position.place();
            assert!(place.offset.is_multiple_of(place.rows) && place.page() >= 1, "{place:?}");
            requests += 1;
            assert!(requests < 10_000, "a walk without an end");
            if !fails(place) {
                read.extend(place.offset..place.end().min(total));
                position.passed(narrow, NOW);
            } else if position.failed(narrow, NOW) == Failing::Lost {
                return None;
            }
        }
        Some((read, requests))
    }

    fn holds(row: u64) -> impl Fn(Place) -> bool {
        move |place| (place.offset..place.end()).contains(&row)
    }

    #[test]
    fn a_row_that_spoils_its_page_is_alone_in_a_few_requests_and_fewer_the_next_time() {
        let mut narrow = Narrow::default();
        let (read, requests) = walk(300, &mut narrow, holds(37)).unwrap();
        assert_eq!((0..300).filter(|row| !read.contains(row)).collect::<Vec<_>>(), [37]);
        assert!(requests <= 20 && narrow.is_spoilt(), "{requests}");
        let (_, again) = walk(300, &mut narrow, holds(37)).unwrap();
        assert!(again <= 14, "{again}");
        // A newest walk ends before it.
        assert_eq!(Position::begin(&narrow, NOW).place(), Place { offset: 0, rows: 25 });
        // Two new rows came; then the source was mended.
        let (read, _) = walk(302, &mut narrow, holds(39)).unwrap();
        assert_eq!(read.len(), 301);
        let (read, _) = walk(302, &mut narrow, |_| false).unwrap();
        assert!(read.len() == 302 && !narrow.is_spoilt());
        assert_eq!(walk(302, &mut narrow, |_| false).unwrap().1, 4);
    }

    #[test]
    fn a_page_that_is_too_large_is_no_rows_fault_and_is_asked_for_smaller_for_an_hour() {
        let mut narrow = Narrow::default();
        let (read, _) = walk(500, &mut narrow, |place| place.rows > 25).unwrap();
        assert!(read.len() == 500 && !narrow.is_spoilt());
        assert_eq!(walk(500, &mut narrow, |place| place.rows > 25).unwrap().1, 20);
        let later = NOW + TRY_AGAIN;
        assert_eq!(Position::begin(&narrow, later).place().rows, ROWS_MAX);
    }

    #[test]
    fn one_cut_answer_narrows_nothing_and_a_source_that_always_cuts_is_left_alone() {
        let mut narrow = Narrow::default();
        let mut position = Position::begin(&narrow, NOW);
        assert_eq!(position.failed(&mut narrow, NOW), Failing::Other);
        assert_eq!(position.place(), Place { offset: 0, rows: ROWS_MAX });
        position.passed(&mut narrow, NOW);
        assert_eq!(position.place(), Place { offset: 100, rows: ROWS_MAX });
        assert_eq!(walk(10_000, &mut narrow, |_| true), None);
        assert!(!narrow.is_spoilt());
        let mut position = Position::begin(&narrow, NOW);
        for _ in 0..10 {
            assert_eq!(position.failed(&mut narrow, NOW), Failing::Other);
        }
        assert_eq!(position.failed(&mut narrow, NOW + TRY_AGAIN), Failing::AskOn);
    }

    #[test]
    fn a_source_that_keeps_its_page_size_is_asked_for_no_other() {
        let mut narrow = Narrow::default();
        let mut position = Position { place: Place { offset: 125, rows: 5 }, ..Position::begin(&narrow, NOW) };
        narrow.keeps_its_size();
        position.realign();
        assert_eq!(position.place(), Place { offset: 100, rows: ROWS_MAX });
        for _ in 0..3 {
            assert_eq!(position.failed(&mut narrow, NOW), Failing::Other);
        }
    }

    proptest! {
        /// Whichever rows spoil their pages, all others are read, in one walk or the next, while rows come in on top.
        #[test]
        fn all_others_are_read(spoilt in prop::collection::btree_set(0_u64..300, 0..12), total in 1_u64..300, down in 0_u64..9) {
            let mut narrow = Narrow::default();
            for moved in [0, down, down] {
                let is_spoilt = |row: u64| row >= moved && spoilt.contains(&(row - moved));
                let total = total + moved;
                let fails = |place: Place| (place.offset..place.end().min(total)).any(is_spoilt);
                let (read, _) = walk(total, &mut narrow, fails).expect("never more than twelve in a row");
                let lacking: Vec<_> = (0..total).filter(|row| !read.contains(row)).collect();
                prop_assert_eq!(lacking, (0..total).filter(|row| is_spoilt(*row)).collect::<Vec<_>>());
            }
        }
    }
}
