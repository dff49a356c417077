//! Pages of which records cannot be read: between which neighbours these stand, and when they can be read after all. Pure.
//!
//! A page has no smaller one here, and a record that cannot be read has no id to be asked by. So what stands between the
//! last record before the break and the first of the next page is a gap, as soon as both are known: by their ids, which are
//! the place in a list, and by their times, which are nearly always in the same order.

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use serde::{Deserialize, Serialize};

use super::{cursor::Order, parse::Listed};
use crate::gap::{Gap, GapReason};

/// Gaps that are remembered with their places; of more, a page is told anew when it is met.
pub const SPOILT_MAX: usize = 64;

/// Records that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spoilt {
    /// Of which list.
    pub list: usize,
    /// The page that broke off, when it was met last.
    pub page: u64,
    /// The ids of their neighbours; 0: the begin of all.
    pub ids: (u64, u64),
    /// What is open for them.
    pub gap: Gap,
}

/// A record's place: its id and its time.
type Mark = (u64, DateTime<Utc>);

/// The ends of a page, in its list's order.
#[derive(Debug, Clone, Copy)]
struct Ends {
    page: u64,
    first: Mark,
    last: Mark,
}

/// A page that broke off and whose neighbours are not all known yet.
#[derive(Debug, Clone)]
struct Broken {
    page: u64,
    /// The last record before the break, or else of the page before.
    above: Option<Mark>,
    /// The first record of the next page.
    below: Option<Mark>,
    /// Nothing follows.
    is_last: bool,
    fault: String,
}

/// What was seen of a list's pages lately.
#[derive(Debug, Default)]
pub struct Breaks {
    /// Of the last page that was whole, and the one before it if it is its neighbour.
    whole: Option<(Ends, Option<Ends>)>,
    broken: Option<Broken>,
    /// When a page broke off last.
    pub last: Option<DateTime<Utc>>,
}

impl Breaks {
    /// A page broke off, of which this could be read.
    pub fn broke(&mut self, page: u64, listed: &Listed, fault: &str, now: DateTime<Utc>) {
        self.last = Some(now);
        // What it held before it broke off is not known to stand there.
        self.whole.take_if(|(ends, _)| ends.page == page);
        if let Some((_, neighbour)) = &mut self.whole {
            neighbour.take_if(|ends| ends.page == page);
        }
        let before = self.broken.take_if(|broken| broken.page == page);
        let known = self.whole.map(|(ends, _)| ends);
        let above = known.filter(|ends| ends.page + 1 == page).map(|ends| ends.last);
        let below = known.filter(|ends| ends.page == page + 1).map(|ends| ends.first);
        let read = ends(page, listed).map(|ends| ends.last);
        self.broken = Some(Broken {
            page,
            above: read.or(above).or(before.as_ref().and_then(|broken| broken.above)),
            below: below.or(before.and_then(|broken| broken.below)),
            is_last: false,
            fault: fault.to_owned(),
        });
    }

    /// A page was read whole.
    pub fn read(&mut self, page: u64, listed: &Listed) {
        let ends = ends(page, listed);
        self.broken.take_if(|broken| broken.page == page);
        if let Some(broken) = &mut self.broken {
            if broken.page + 1 == page {
                broken.below = ends.map(|ends| ends.first).or(broken.below);
                broken.is_last = ends.is_none() && listed.page.rows == 0;
            } else if page + 1 == broken.page {
                broken.above = broken.above.or(ends.map(|ends| ends.last));
            }
        }
        let neighbour = self.whole.map(|(before, _)| before).filter(|before| before.page.abs_diff(page) == 1);
        self.whole = ends.map(|ends| (ends, neighbour));
    }

    /// Whether this page broke off, and that is not told yet.
    #[must_use]
    pub fn is_broken(&self, page: u64) -> bool {
        self.broken.as_ref().is_some_and(|broken| broken.page == page)
    }

    /// What is at fault while it is not known yet what it is that could not be read.
    #[must_use]
    pub fn is_open(&self) -> Option<&str> {
        self.broken.as_ref().map(|broken| broken.fault.as_str())
    }

    /// The records that could not be read, once it is known between which others they stand, and what the answer was like.
    /// `since`: where the list begins, as far as it matters.
    pub fn told(&mut self, list: usize, order: Option<Order>, since: DateTime<Utc>) -> Option<(Spoilt, String)> {
        let broken = self.broken.as_ref()?;
        let begin = (0, since);
        let above = broken.above.or((broken.page == 1 && order == Some(Order::OldestFirst)).then_some(begin))?;
        let ends_here = broken.is_last && order == Some(Order::NewestFirst);
        let below = broken.below.or(ends_here.then_some(begin))?;
        let (page, fault) = (broken.page, broken.fault.clone());
        self.broken = None;
        let (from, to) = (above.1.min(below.1), above.1.max(below.1));
        let gap = Gap {
            from: from.with_nanosecond(0).unwrap_or(from),
            to: to.with_nanosecond(0).unwrap_or(to) + TimeDelta::seconds(1),
            reason: GapReason::Unreadable,
        };
        Some((Spoilt { list, page, ids: (above.0.min(below.0), above.0.max(below.0)), gap }, fault))
    }

    /// Whether the pages that were read last, whole and one behind the other, hold all that could not be read.
    #[must_use]
    pub fn holds(&self, spoilt: &Spoilt, order: Option<Order>) -> bool {
        let Some((ends, neighbour)) = self.whole else { return false };
        let pages = || std::iter::once(ends).chain(neighbour);
        let ids = || pages().flat_map(|ends| [ends.first.0, ends.last.0]);
        let begins = order == Some(Order::OldestFirst) && pages().any(|ends| ends.page == 1);
        let lowest = if begins { Some(0) } else { ids().min() };
        order.is_some_and(|order| order != Order::None)
            && lowest.is_some_and(|lowest| lowest <= spoilt.ids.0)
            && ids().max().is_some_and(|highest| spoilt.ids.1 <= highest)
    }
}

fn ends(page: u64, listed: &Listed) -> Option<Ends> {
    let marks = listed.page.records.iter().filter_map(|record| {
        let id = record.external_id.parse().ok()?;
        Some((id, record.timestamp.with_timezone(&Utc)))
    });
    let marks: Vec<Mark> = marks.collect();
    Some(Ends { page, first: *marks.first()?, last: *marks.last()? })
}
