//! The four lists, and how often each is read.
//!
//! A shop with 500 sales a day, polled every 15 s, costs four requests a minute for its invoices; the others are read
//! less often, as nothing at the counter waits for them: returns each minute, orders every two, their returns every
//! five. With the hourly and nightly readings that is under ten a minute, of the 30 that are taken to be allowed.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    cursor::ListCursor,
    spoilt::Breaks,
    walk::{Purpose, Walk},
};
use crate::transaction::Resource;

/// The recent records are read again so often: what was changed afterwards shows within the hour.
const RECENT_EVERY: TimeDelta = TimeDelta::hours(1);

/// A list that is sorted by neither end is read whole, and so less often.
const UNSORTED_EVERY: TimeDelta = TimeDelta::minutes(10);

/// Where a list's cursor stands in [`super::cursor::Cursor::lists`].
pub const INVOICES: usize = 0;
pub const RETURNS: usize = 1;
pub const ORDERS: usize = 2;
pub const ORDER_RETURNS: usize = 3;

/// One list, as it is being read.
#[derive(Debug)]
pub struct List {
    pub resource: Resource,
    pub walk: Walk,
    /// When the newest are due.
    pub due: DateTime<Utc>,
    pub recent_due: DateTime<Utc>,
    pub whole_due: DateTime<Utc>,
    every: TimeDelta,
    whole_every: TimeDelta,
    /// When what is stored is to be compared with the next reading of all pages.
    pub look_due: DateTime<Utc>,
    /// The last reading of the newest came to its end.
    pub newest_read: bool,
    /// What makes the list one that proves nothing.
    pub lies: Option<&'static str>,
    /// Pages that broke off.
    pub breaks: Breaks,
    /// What the reading that is under way has met.
    pub lies_now: Option<&'static str>,
}

impl List {
    /// All four, in the order of their cursors.
    pub fn all(poll_every: TimeDelta, now: DateTime<Utc>) -> [Self; 4] {
        let week = TimeDelta::days(7);
        // What is not counted can be read whole each night: there is no report to compare it with.
        let day = TimeDelta::days(1);
        [
            Self::new(Resource::Invoice, poll_every, week, now),
            Self::new(Resource::ReturnInvoice, poll_every.max(TimeDelta::minutes(1)), week, now),
            Self::new(Resource::Order, poll_every.max(TimeDelta::minutes(2)), day, now),
            Self::new(Resource::ReturnOrder, poll_every.max(TimeDelta::minutes(5)), day, now),
        ]
    }

    fn new(resource: Resource, every: TimeDelta, whole_every: TimeDelta, now: DateTime<Utc>) -> Self {
        Self {
            resource,
            walk: Walk::default(),
            due: now,
            recent_due: now + RECENT_EVERY,
            whole_due: now,
            every,
            whole_every,
            look_due: now,
            newest_read: false,
            lies: None,
            breaks: Breaks::default(),
            lies_now: None,
        }
    }

    /// Begins what is due, and gives the page that is to be read for a purpose.
    pub fn page(&mut self, own: &mut ListCursor, purpose: Purpose, now: DateTime<Utc>) -> Option<u64> {
        if own.per_sale {
            return None;
        }
        match purpose {
            Purpose::Newest if now >= self.due => self.walk.begin_newest(own, now),
            Purpose::Recent if now >= self.recent_due && self.walk.checked => {
                self.recent_due = now + RECENT_EVERY;
                self.walk.begin_recent(own);
            }
            Purpose::Whole if now < self.whole_due => return None,
            Purpose::Whole => {
                let stale = own.whole && own.whole_read.is_none_or(|read| now - read >= self.whole_every);
                // A first reading from the start that was interrupted has no place to go on from.
                let never = !own.whole && own.read_to.is_some() && self.walk.checked;
                if stale || never {
                    self.walk.begin_whole(own, now);
                }
            }
            Purpose::Newest | Purpose::Recent => {}
        }
        self.walk.page(own, purpose)
    }

    /// What is stored was compared with all that is listed.
    pub fn looked(&mut self, now: DateTime<Utc>) {
        self.look_due = now + self.whole_every;
    }

    /// The newest were read.
    pub fn newest_done(&mut self, own: &ListCursor, now: DateTime<Utc>) {
        let unsorted = own.order == Some(super::cursor::Order::None);
        self.due = now + if unsorted { self.every.max(UNSORTED_EVERY) } else { self.every };
    }
}
