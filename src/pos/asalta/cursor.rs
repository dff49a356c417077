//! How far each list was read: what is stored with every commit that moves it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::spoilt::Spoilt;

/// Notices that are remembered for a day, so that each number is told once.
const TOLD_MAX: usize = 50;

/// Everything that must survive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Records dated before this are passed over.
    pub since: DateTime<Utc>,
    /// Invoices, their returns, orders, their returns.
    pub lists: [ListCursor; 4],
    /// Sales, and orders, whose returns are to be asked one by one.
    pub returns_due: [BTreeSet<String>; 2],
    /// There was no room for some of these.
    #[serde(default)]
    pub returns_missed: [bool; 2],
    /// The local day of the last nightly cross-check.
    pub nightly: Option<NaiveDate>,
    /// The report ignores its form, and gets its days in the query too.
    pub report_in_query: bool,
    /// What differed from the report, and the day on which that was told.
    pub told: BTreeMap<String, NaiveDate>,
    /// Where records spoil the pages that hold them.
    #[serde(default)]
    pub spoilt: Vec<Spoilt>,
}

/// How far one list was read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ListCursor {
    /// Which records come first.
    pub order: Option<Order>,
    /// Newest first: everything up to this id was read, or waits for the whole reading.
    pub top: u64,
    /// Oldest first: the last page that was read, and the ids on it.
    pub page: u64,
    /// See `page`.
    pub on: Vec<u64>,
    /// Records of the list when it was read last.
    pub total: Option<u64>,
    /// A whole reading that is under way.
    pub back: Option<Back>,
    /// It was read whole at least once, and nothing has moved since.
    pub whole: bool,
    /// When the last whole reading began.
    pub whole_read: Option<DateTime<Utc>>,
    /// When the last reading of the newest began.
    pub read_to: Option<DateTime<Utc>>,
    /// The source gives returns only of one sale at a time.
    pub per_sale: bool,
    /// A first reading, or one that HQ asked for, is under way: what is dated since this is to be read, however old it
    /// has become meanwhile.
    #[serde(default)]
    pub owed: Option<DateTime<Utc>>,
}

/// A whole reading: from the newest page to the oldest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Back {
    /// The page to read next.
    pub next: u64,
    /// When it began.
    pub begun: DateTime<Utc>,
    /// Records of the list when its last page was read.
    pub total: Option<u64>,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// New records are on the last page.
    OldestFirst,
    /// New records are on the first page.
    NewestFirst,
    /// Neither: every reading is a whole one.
    None,
}

impl Cursor {
    /// Nothing was read yet.
    #[must_use]
    pub fn beginning(since: DateTime<Utc>) -> Self {
        Self {
            since,
            lists: Default::default(),
            returns_due: Default::default(),
            returns_missed: Default::default(),
            nightly: None,
            report_in_query: false,
            told: BTreeMap::new(),
            spoilt: Vec::new(),
        }
    }

    /// Whether this may be told today; it is not again.
    pub fn tell_once(&mut self, key: &str, today: NaiveDate) -> bool {
        self.told.retain(|_, day| *day >= today);
        if self.told.contains_key(key) || self.told.len() >= TOLD_MAX {
            return false;
        }
        self.told.insert(key.to_owned(), today);
        true
    }

    /// Everything since an instant is to be read again.
    pub fn rewind(&mut self, since: DateTime<Utc>) {
        self.since = self.since.min(since);
        for list in &mut self.lists {
            let owed = Some(list.owed.map_or(since, |owed| owed.min(since)));
            *list = ListCursor { order: list.order, per_sale: list.per_sale, owed, ..ListCursor::default() };
        }
    }
}

impl ListCursor {
    /// The highest id that was read, where the list was read whole and its end is known: what is beyond it is new.
    #[must_use]
    pub fn read_up_to(&self) -> Option<u64> {
        let up_to = match self.order {
            Some(Order::OldestFirst) => self.on.iter().copied().max(),
            Some(Order::NewestFirst) => Some(self.top),
            Some(Order::None) | None => None,
        };
        up_to.filter(|up_to| *up_to > 0 && self.whole)
    }

    /// Records have moved to other pages, or the order is another: all is to be found anew.
    pub fn lose_place(&mut self) {
        (self.top, self.page, self.back, self.whole, self.total) = (0, 0, None, false, None);
        self.on.clear();
    }
}
