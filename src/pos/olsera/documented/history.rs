//! Reading behind the newest rows, where the source lets itself be asked for them though no document says so.
//!
//! Each way is tried once, and taken only if the answer holds other rows than the plain one, or only rows of the asked
//! day: a source that ignores a parameter gives the newest rows again, and one that cuts the list before it counts its
//! pages gives the last of them, or none. A walk then goes from the newest rows backwards.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::{
    cursor::History,
    list::{Listed, second},
};
use crate::{
    pos::{
        olsera::requests::{LIMIT_ROWS, Part},
        page::Page,
    },
    zone::Zone,
};

/// Rows that two neighbouring answers of a walk by `offset` have in common: so many may vanish in between.
const OVERLAP_ROWS: usize = 10;

/// Answers of one walk; beyond it the source goes in circles.
const ANSWERS_MAX: u32 = 2_000;

/// Failures of the source at a question that it may not understand, until that is taken for a no.
pub const TRIES: u32 = 3;

/// What is tried: each way with a question, in this order.
#[derive(Debug, Clone)]
pub struct Probing {
    ways: Vec<(History, Part)>,
    newest: HashSet<String>,
    zone: Zone,
    failed: u32,
}

impl Probing {
    /// Plans the questions from a full answer of the plain list.
    #[must_use]
    pub fn of(page: &Page, zone: &Zone) -> Self {
        let newest = page.records.iter().map(|record| record.external_id.clone()).collect();
        let mut ways = vec![(History::Offset, offset(1)), (History::Page, Part::Page(2))];
        let days: BTreeSet<NaiveDate> =
            page.records.iter().map(|record| zone.local(second(record)).date_naive()).collect();
        // A day of which the plain list does not consist alone: its own oldest one, or the one before.
        let day = days.first().and_then(|first| if days.len() > 1 { Some(*first) } else { first.pred_opt() });
        ways.extend(day.map(|day| (History::Days, Part::Day(day))));
        ways.reverse();
        Self { ways, newest, zone: zone.clone(), failed: 0 }
    }

    /// The next question, if one is left.
    #[must_use]
    pub fn next(&self) -> Option<Part> {
        self.ways.last().map(|(_, part)| *part)
    }

    /// Takes the answer to it: the way, if it is one.
    pub fn take(&mut self, page: &Page) -> Option<History> {
        let (way, part) = self.ways.pop()?;
        self.failed = 0;
        let honoured = match part {
            Part::Page(_) => self.common(page) * 2 < page.records.len(),
            // Only a row from behind the newest ones shows that there is anything to be had.
            Part::Offset(_) => {
                let common = self.common(page);
                (1..=2 * OVERLAP_ROWS).contains(&common) && common < page.records.len()
            }
            Part::Day(day) => !page.records.is_empty() && all_of(page, day, &self.zone),
            Part::Newest => false,
        };
        honoured.then_some(way)
    }

    /// The question failed; whether that answers it, as it is not understood.
    pub fn failed(&mut self, for_good: bool) -> bool {
        self.failed += 1;
        let given_up = for_good || self.failed >= TRIES;
        if given_up {
            self.ways.pop();
            self.failed = 0;
        }
        given_up
    }

    fn common(&self, page: &Page) -> usize {
        page.records.iter().filter(|record| self.newest.contains(&record.external_id)).count()
    }
}

/// From when to when.
pub type Span = (DateTime<Utc>, DateTime<Utc>);

/// On the way back to an instant.
#[derive(Debug, Clone)]
pub struct Walk {
    way: History,
    /// The list is read back to here.
    pub until: DateTime<Utc>,
    /// When the newest rows were read, from which it starts.
    pub begun: DateTime<Utc>,
    answers: u32,
    day: NaiveDate,
    last: HashSet<String>,
    /// Every row that it saw.
    pub seen: HashSet<String>,
    /// The time of the oldest of them.
    pub oldest: Option<DateTime<Utc>>,
    /// The list ended before the walk got to where it was to go.
    pub ended: bool,
    /// Days that hold more rows than one answer: nothing proves that they were read whole.
    pub cut: BTreeSet<NaiveDate>,
    /// Where rows could not be read, and what the answer was like.
    pub spoilt: Vec<(Span, String)>,
    /// Below which time rows could not be read: their lower neighbour is in the next answer.
    open: Option<(DateTime<Utc>, String)>,
}

/// How a walk goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// With another question.
    On,
    /// It reached its end: everything since then was shown.
    Done,
    /// Rows are missing between two answers, or the way is none any more.
    Lost,
}

impl Walk {
    /// Starts from the newest rows, as they were just read.
    #[must_use]
    pub fn new(way: History, until: DateTime<Utc>, newest: HashSet<String>, begun: DateTime<Utc>, zone: &Zone) -> Self {
        Self {
            way,
            until,
            begun,
            answers: 0,
            day: zone.local(begun).date_naive(),
            seen: newest.clone(),
            last: newest,
            oldest: None,
            ended: false,
            cut: BTreeSet::new(),
            spoilt: Vec::new(),
            open: None,
        }
    }

    /// The next question.
    #[must_use]
    pub fn next(&self) -> Part {
        match self.way {
            History::Page => Part::Page(self.answers + 2),
            History::Days => Part::Day(self.day),
            History::Offset | History::Closed => offset(self.answers + 1),
        }
    }

    /// Takes the answer to it; `fault` is what is wrong with one that breaks off, of which this is what can be read.
    pub fn take(&mut self, page: &Page, fault: Option<String>, zone: &Zone) -> Stage {
        let listed = Listed { full: page.rows >= LIMIT_ROWS || fault.is_some(), ..Listed::of(page, zone, LIMIT_ROWS) };
        let ids: HashSet<_> = page.records.iter().map(|record| record.external_id.clone()).collect();
        let asides = page.quarantined.iter().filter_map(|aside| aside.external_id.clone());
        let joined = ids.iter().any(|id| self.last.contains(id));
        self.seen.extend(ids.iter().cloned().chain(asides));
        self.oldest = self.oldest.into_iter().chain(listed.oldest).min();
        self.answers += 1;
        if self.answers > ANSWERS_MAX {
            return Stage::Lost;
        }
        if self.way == History::Days {
            if !all_of(page, self.day, zone) {
                return Stage::Lost;
            }
            match fault {
                Some(fault) => self.spoilt.push((bounds(self.day, zone), fault)),
                None if listed.full => _ = self.cut.insert(self.day),
                None => {}
            }
            let begins = zone.day_begins(self.day, NaiveTime::MIN);
            let Some(before) = self.day.pred_opt().filter(|_| begins > self.until) else { return Stage::Done };
            self.day = before;
            return Stage::On;
        }
        let above = self.open.take();
        if self.way == History::Offset && !joined && page.rows > 0 && above.is_none() {
            return Stage::Lost;
        }
        match (above, listed.newest) {
            // Of two such answers in a row, of the second nothing.
            (Some(above), None) => self.open = Some(above),
            (Some((above, fault)), Some(newest)) => self.spoilt.push(((newest.min(above), above), fault)),
            (None, _) => {}
        }
        if let Some(fault) = fault {
            if self.open.is_some() {
                return Stage::Lost;
            }
            let above = listed.oldest_ends.or(self.oldest).unwrap_or(self.begun);
            self.open = Some((above, fault));
        }
        self.last = ids;
        let there = listed.reach().is_some_and(|reach| reach <= self.until);
        self.ended = !there && !listed.full;
        if there || self.ended { Stage::Done } else { Stage::On }
    }
}

/// The `n`-th answer after the newest rows.
fn offset(n: u32) -> Part {
    let step = u32::try_from(LIMIT_ROWS - OVERLAP_ROWS).unwrap_or(1);
    Part::Offset(n.saturating_mul(step))
}

fn all_of(page: &Page, day: NaiveDate, zone: &Zone) -> bool {
    page.records.iter().all(|record| zone.local(second(record)).date_naive() == day)
}

/// The bounds of a local day.
pub fn bounds(day: NaiveDate, zone: &Zone) -> (DateTime<Utc>, DateTime<Utc>) {
    let begins = zone.day_begins(day, NaiveTime::MIN);
    let ends = day.succ_opt().map_or(begins + TimeDelta::days(1), |next| zone.day_begins(next, NaiveTime::MIN));
    (begins, ends)
}
