//! One local day, read whole: the pages of both lists, then the details of what is new or has changed. Pure.
//!
//! The open orders come before the closed ones: an order that is closed in between is then seen twice, not never. Pages
//! are counted, links never followed. A list is whole if as many different orders were seen as the source counts, and
//! the count did not fall on the way: where rows vanish between two pages, others slip through.

use std::collections::{BTreeMap, HashSet, VecDeque};

use chrono::{DateTime, NaiveDate, Utc};

use super::{
    super::requests::List,
    parse::{Orders, Row},
};

/// Pages of one list of one day, at most.
const PAGES_MAX: u32 = 1_000;

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
    listing: Option<Listing>,
}

/// The walk through one list.
#[derive(Debug)]
struct Listing {
    list: List,
    page: u32,
    ids: HashSet<String>,
    asides: usize,
    total: Option<usize>,
    shrank: bool,
    walks: u32,
}

impl Day {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(date: NaiveDate, purpose: Purpose, begun: DateTime<Utc>) -> Self {
        Self {
            date,
            purpose,
            begun,
            rows: BTreeMap::new(),
            wanted: VecDeque::new(),
            strayed: false,
            short: false,
            listing: Some(Listing::of(List::Open, 1)),
        }
    }

    /// The page to ask next; `None` once the lists are read.
    #[must_use]
    pub fn next_page(&self) -> Option<(List, u32)> {
        self.listing.as_ref().map(|listing| (listing.list, listing.page))
    }

    /// Takes a page; one without rows for an empty day.
    pub fn take(&mut self, orders: Orders) -> Stage {
        let Some(listing) = &mut self.listing else { return Stage::Listed };
        let before = listing.ids.len();
        listing.asides += orders.quarantined.len();
        let grown = orders.total.zip(listing.total).is_none_or(|(now, before)| now >= before);
        listing.shrank |= !grown;
        listing.total = orders.total.or(listing.total);
        let is_empty = orders.rows.is_empty() && orders.quarantined.is_empty();
        let list = listing.list;
        for row in orders.rows {
            self.strayed |= row.day.is_some_and(|day| day != self.date);
            listing.ids.insert(row.id.clone());
            self.rows.insert(row.id.clone(), (list, row));
        }
        // Without a count a page that brings nothing new is the end, too.
        let stands = listing.total.is_none() && listing.ids.len() == before;
        if orders.more && !is_empty && !stands && listing.page < PAGES_MAX {
            listing.page += 1;
            return Stage::On;
        }
        let counted = listing.total.is_none_or(|total| listing.ids.len() + listing.asides >= total);
        if (!counted || listing.shrank) && listing.walks < WALKS_MAX {
            self.listing = Some(Listing::of(list, listing.walks + 1));
            return Stage::On;
        }
        self.short |= !counted;
        self.listing = (list == List::Open).then(|| Listing::of(List::Closed, 1));
        if self.listing.is_some() { Stage::On } else { Stage::Listed }
    }
}

impl Listing {
    fn of(list: List, walks: u32) -> Self {
        Self { list, page: 1, ids: HashSet::new(), asides: 0, total: None, shrank: false, walks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(ids: std::ops::Range<u32>, total: Option<usize>, more: bool) -> Orders {
        let row = |n: u32| Row { id: n.to_string(), mark: 1, day: None, at: None };
        Orders { rows: ids.map(row).collect(), quarantined: Vec::new(), total, more }
    }

    fn day() -> Day {
        let date = NaiveDate::from_ymd_opt(2026, 5, 1).unwrap();
        let mut day = Day::new(date, Purpose::Newest, DateTime::UNIX_EPOCH);
        assert_eq!(day.next_page(), Some((List::Open, 1)));
        assert_eq!(day.take(Orders::default()), Stage::On);
        day
    }

    #[test]
    fn pages_are_counted_to_the_last() {
        let mut day = day();
        for (n, stage) in [(1, Stage::On), (2, Stage::On), (3, Stage::Listed)] {
            assert_eq!(day.next_page(), Some((List::Closed, n)));
            assert_eq!(day.take(page((n - 1) * 100..n * 100, Some(300), n < 3)), stage);
        }
        assert_eq!((day.rows.len(), day.short, day.next_page()), (300, false, None));
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
        assert!(!shrinks.short && shrinks.rows.contains_key("100"));
    }

    #[test]
    fn a_count_that_is_never_reached_ends() {
        let mut day = day();
        let pages = (1..100).take_while(|_| day.take(page(0..50, Some(60), false)) == Stage::On).count();
        assert_eq!((pages + 1, day.short), (5, true));
    }

    #[test]
    fn who_counts_nothing_is_walked_until_nothing_new_comes() {
        let mut day = day();
        assert_eq!(day.take(page(0..100, None, true)), Stage::On);
        assert_eq!(day.take(page(0..100, None, true)), Stage::Listed);
    }
}
