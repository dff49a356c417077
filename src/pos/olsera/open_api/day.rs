//! One local day, read whole: the pages of both lists, then the details of what is new or has changed. Pure.
//!
//! The open orders come before the closed ones: an order that is closed in between is then seen twice, not never. Pages
//! are counted, links never followed. A list is whole if as many different orders were seen as the source counts, and
//! the count did not fall on the way: where rows vanish between two pages, others slip through.
//!
//! A page that cannot be read is asked for in smaller ones, until the row that spoils it is alone; where the source keeps
//! to its own page size, what can be read of the page is taken. Either way the day is [`Day::spoilt`].

use std::collections::{BTreeMap, HashSet, VecDeque};

use chrono::{DateTime, NaiveDate, Utc};

use super::{
    super::requests::List,
    parse::{Orders, Row},
};
use crate::pos::narrow::{Failing, Narrow, Place, Position, ROWS_MAX};

/// Pages of one list of one day, at most.
const PAGES_MAX: u32 = 1_000;

/// Lists of days of whose pages something is remembered; of more, the oldest days are forgotten.
const LISTS_MAX: usize = 64;

/// Pages in a row of which nothing can be read, until no further one is asked for.
const BLANK_MAX: u32 = 3;

/// Times that a list that will not add up is walked.
const WALKS_MAX: u32 = 5;

/// Why a day is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// What is new.
    Newest,
    /// What is new, changed or vanished since.
    Again,
    /// The night's re-read.
    Nightly,
    /// It was never read.
    History,
}

/// An order whose details are to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The order's key.
    pub id: String,
    /// In which list it was seen.
    pub list: List,
    /// The list's hash of it; `None`: it stands in no list, and is looked for.
    pub mark: Option<u64>,
    /// Its time, where the list told it.
    pub at: Option<DateTime<Utc>>,
    /// The other list was tried, too.
    pub tried_other: bool,
}

/// How far the lists are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Another page is to be asked.
    On,
    /// Both lists are read.
    Listed,
    /// Nothing of a list could be read: that is no record's fault.
    Unreadable,
}

/// The reading of one day.
#[derive(Debug)]
pub struct Day {
    /// Which.
    pub date: NaiveDate,
    /// Why.
    pub purpose: Purpose,
    /// When it began.
    pub begun: DateTime<Utc>,
    /// The orders, and in which list they were seen last.
    pub rows: BTreeMap<String, (List, Row)>,
    /// What is still to be read.
    pub wanted: VecDeque<Wanted>,
    /// Rows of other days came.
    pub strayed: bool,
    /// A list did not add up.
    pub short: bool,
    /// What an answer was like of which a row, or the rest, could not be read.
    pub spoilt: Option<String>,
    listing: Option<Listing>,
}

/// The walk through one list.
#[derive(Debug)]
struct Listing {
    list: List,
    position: Position,
    /// That were read.
    pages: u32,
    ids: HashSet<String>,
    asides: usize,
    total: Option<usize>,
    shrank: bool,
    /// Rows of it could not be read.
    is_spoilt: bool,
    /// An answer was whole, or held a row.
    is_readable: bool,
    /// Pages in a row of which nothing could be read.
    blank: u32,
    walks: u32,
}

impl Day {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(date: NaiveDate, purpose: Purpose, begun: DateTime<Utc>, pages: &Pages) -> Self {
        let day = Self {
            date,
            purpose,
            begun,
            rows: BTreeMap::new(),
            wanted: VecDeque::new(),
            strayed: false,
            short: false,
            spoilt: None,
            listing: None,
        };
        Self { listing: Some(day.begin(List::Open, 1, pages)), ..day }
    }

    fn begin(&self, list: List, walks: u32, pages: &Pages) -> Listing {
        let position = Position::begin(pages.of(self.date, list), self.begun);
        Listing {
            list,
            position,
            pages: 0,
            ids: HashSet::new(),
            asides: 0,
            total: None,
            shrank: false,
            is_spoilt: false,
            is_readable: false,
            blank: 0,
            walks,
        }
    }

    /// The page to ask next; `None` once the lists are read.
    #[must_use]
    pub fn next_page(&self) -> Option<(List, Place)> {
        self.listing.as_ref().map(|listing| (listing.list, listing.position.place()))
    }

    /// Takes a page; one without rows for an empty day.
    pub fn take(&mut self, orders: Orders, pages: &mut Pages, now: DateTime<Utc>) -> Stage {
        let Some(listing) = &mut self.listing else { return Stage::Listed };
        let narrow = pages.of_mut(self.date, listing.list);
        let place = listing.position.place();
        if place.rows < ROWS_MAX && orders.per_page.is_some_and(|rows| rows != place.rows) {
            // These rows are not those that were asked for.
            narrow.keeps_its_size();
            listing.position.realign();
            return Stage::On;
        }
        let before = listing.ids.len();
        listing.asides += orders.quarantined.len();
        let grown = orders.total.zip(listing.total).is_none_or(|(now, before)| now >= before);
        listing.shrank |= !grown;
        listing.total = orders.total.or(listing.total);
        if let Some(fault) = &orders.stopped {
            self.spoilt = Some(fault.to_string());
            listing.is_spoilt = true;
        }
        let rows = u64::try_from(orders.rows.len() + orders.quarantined.len()).unwrap_or(u64::MAX);
        let is_blank = rows == 0 && orders.stopped.is_some();
        listing.is_readable |= !is_blank;
        listing.blank = if is_blank { listing.blank + 1 } else { 0 };
        let is_empty = rows == 0 && !is_blank;
        // Who says nothing of pages may have another one if this one is full.
        let is_full =
            place.rows < ROWS_MAX && orders.total.is_none() && orders.per_page.is_none() && rows >= place.rows;
        let (list, walks) = (listing.list, listing.walks);
        for row in orders.rows {
            self.strayed |= row.day.is_some_and(|day| day != self.date);
            listing.ids.insert(row.id.clone());
            self.rows.insert(row.id.clone(), (list, row));
        }
        // Without a count a page that brings nothing new is the end, too.
        let stands = listing.total.is_none() && listing.ids.len() == before && !listing.is_spoilt;
        listing.position.passed(narrow, now);
        listing.pages += 1;
        // What follows one that breaks off, it cannot tell.
        let more = orders.more || is_full || orders.stopped.is_some() && listing.blank < BLANK_MAX;
        if more && !is_empty && !stands && listing.pages < PAGES_MAX {
            return Stage::On;
        }
        if listing.is_spoilt && !listing.is_readable {
            return Stage::Unreadable;
        }
        let counted = listing.total.is_none_or(|total| listing.ids.len() + listing.asides >= total);
        let is_spoilt = listing.is_spoilt;
        let adds_up = (counted || is_spoilt) && !listing.shrank;
        if !adds_up && walks < WALKS_MAX {
            self.listing = Some(self.begin(list, walks + 1, pages));
            return Stage::On;
        }
        self.short |= !counted && !is_spoilt;
        self.listing = (list == List::Open).then(|| self.begin(List::Closed, 1, pages));
        if self.listing.is_some() { Stage::On } else { Stage::Listed }
    }

    /// The page cannot be read, is too large or does not come, and a smaller one may not be so.
    pub fn page_breaks(&mut self, fault: &str, pages: &mut Pages, now: DateTime<Utc>) -> Failing {
        let Some(listing) = &mut self.listing else { return Failing::Other };
        let failing = listing.position.failed(pages.of_mut(self.date, listing.list), now);
        let (list, walks) = (listing.list, listing.walks);
        match failing {
            Failing::PassedOver => {
                listing.asides += 1;
                listing.is_spoilt = true;
                self.spoilt = Some(fault.to_owned());
            }
            Failing::Lost => {
                // What was passed over may be as good as the rest.
                self.listing = Some(self.begin(list, walks, pages));
                self.spoilt = None;
            }
            Failing::AskOn | Failing::Other => {}
        }
        failing
    }

    /// The lists are not known to be whole.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.short || self.spoilt.is_some()
    }
}

/// What is known of the pages of the days' lists that fail.
#[derive(Debug, Default)]
pub struct Pages {
    of: BTreeMap<(NaiveDate, List), Narrow>,
    untouched: Narrow,
}

impl Pages {
    fn of(&self, date: NaiveDate, list: List) -> &Narrow {
        self.of.get(&(date, list)).unwrap_or(&self.untouched)
    }

    fn of_mut(&mut self, date: NaiveDate, list: List) -> &mut Narrow {
        if self.of.len() >= LISTS_MAX && !self.of.contains_key(&(date, list)) {
            self.of.pop_first();
        }
        self.of.entry((date, list)).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(ids: std::ops::Range<u32>, total: Option<usize>, more: bool) -> Orders {
        let row = |n: u32| Row { id: n.to_string(), mark: 1, day: None, at: None };
        Orders { rows: ids.map(row).collect(), total, more, ..Orders::default() }
    }

    /// A day, and what is known of its pages.
    struct Reading(Day, Pages);

    impl Reading {
        fn take(&mut self, orders: Orders) -> Stage {
            self.0.take(orders, &mut self.1, DateTime::UNIX_EPOCH)
        }

        fn next_page(&self) -> Option<(List, u64)> {
            self.0.next_page().map(|(list, place)| (list, place.page()))
        }
    }

    fn day() -> Reading {
        let date = NaiveDate::from_ymd_opt(2026, 5, 1).unwrap();
        let pages = Pages::default();
        let mut day = Reading(Day::new(date, Purpose::Newest, DateTime::UNIX_EPOCH, &pages), pages);
        assert_eq!(day.next_page(), Some((List::Open, 1)));
        assert_eq!(day.take(Orders::default()), Stage::On);
        day
    }

    #[test]
    fn pages_are_counted_to_the_last() {
        let mut day = day();
        for (n, stage) in [(1_u32, Stage::On), (2, Stage::On), (3, Stage::Listed)] {
            assert_eq!(day.next_page(), Some((List::Closed, u64::from(n))));
            assert_eq!(day.take(page((n - 1) * 100..n * 100, Some(300), n < 3)), stage);
        }
        assert_eq!((day.0.rows.len(), day.0.short, day.next_page()), (300, false, None));
    }

    #[test]
    fn a_list_that_grows_is_whole_and_one_that_shrinks_is_walked_again() {
        let mut grows = day();
        grows.take(page(0..100, Some(120), true));
        // One came in on top: the last row of the first page is the first of the second.
        assert_eq!(grows.take(page(99..120, Some(121), false)), Stage::On, "the new one was not seen");
        assert_eq!(grows.next_page(), Some((List::Closed, 1)));
        grows.take(page(0..100, Some(121), true));
        assert_eq!(grows.take(page(100..121, Some(121), false)), Stage::Listed);

        let mut shrinks = day();
        shrinks.take(page(0..100, Some(120), true));
        assert_eq!(shrinks.take(page(101..120, Some(119), false)), Stage::On);
        shrinks.take(page(1..101, Some(119), true));
        assert_eq!(shrinks.take(page(101..120, Some(119), false)), Stage::Listed);
        assert!(!shrinks.0.short && shrinks.0.rows.contains_key("100"));
    }

    #[test]
    fn a_count_that_is_never_reached_ends() {
        let mut day = day();
        let pages = (1..100).take_while(|_| day.take(page(0..50, Some(60), false)) == Stage::On).count();
        assert_eq!((pages + 1, day.0.short), (5, true));
    }

    #[test]
    fn who_counts_nothing_is_walked_until_nothing_new_comes() {
        let mut day = day();
        assert_eq!(day.take(page(0..100, None, true)), Stage::On);
        assert_eq!(day.take(page(0..100, None, true)), Stage::Listed);
    }
}
