//! One reading of the list, newest first, page by page. The details that a page asks for are read before the next page:
//! new orders push rows down meanwhile, so a walk sees doubles, and never a hole.

use std::collections::{BTreeSet, VecDeque};

use chrono::{DateTime, TimeDelta, Timelike, Utc};

use super::parse::Orders;
use crate::{
    gap::GapReason,
    pos::{
        narrow::{Narrow, Place, Position},
        page::Quarantined,
    },
    transaction::Transaction,
};

/// How far before what was read the newest walk reads again: a row is there a little later than its time says.
pub const OVERLAP: TimeDelta = TimeDelta::minutes(10);

/// A short page is asked again so often.
const SHORT_RETRIES: u8 = 2;

/// Steps back because the list became shorter, in one walk.
const STEPS_BACK_MAX: u8 = 5;

/// A detail that fails so often is given up for now.
pub const FAILS_MAX: u8 = 5;

/// A page that fails so often, always in the same way, is given up for now. In the newest walk, whose first page was
/// answered, fewer will do: what lies further down is then read as history.
pub const PAGE_FAILS_MAX: (u8, u8) = (5, 3);

/// Wait before a failed detail is asked again, times the failures.
const FAIL_WAIT: TimeDelta = TimeDelta::seconds(5);

/// Why the list is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// What is new, at every poll.
    Newest,
    /// The last 48 h: late rows, changes, whatever is not paid yet.
    Recent,
    /// From the newest back to the watermark, after an outage.
    CatchUp,
    /// The history of a new box.
    Backfill,
    /// All that is ever looked at again.
    Nightly,
    /// No list at all: single orders.
    Single,
}

/// An order whose detail is to be read.
#[derive(Debug, Clone)]
pub struct Task {
    pub id: String,
    /// When it was created, where a row or the store says so.
    pub at: Option<DateTime<Utc>>,
    /// The fingerprint of its row.
    pub print: Option<u64>,
    /// What the row alone says.
    pub row: Option<Box<Transaction>>,
    /// The row, where it could not be read: to be told if the detail tells no better.
    pub aside: Option<Box<Quarantined>>,
    pub fails: u8,
    pub due: Option<DateTime<Utc>>,
}

impl Task {
    pub fn of_row(row: &Transaction, print: u64) -> Self {
        let at = Some(row.timestamp.to_utc());
        Self { at, row: Some(Box::new(row.clone())), ..Self::of_id(row.external_id.clone(), Some(print)) }
    }

    pub fn of_id(id: String, print: Option<u64>) -> Self {
        Self { id, at: None, print, row: None, aside: None, fails: 0, due: None }
    }

    pub fn of_aside(id: String, aside: &Quarantined, print: u64) -> Self {
        Self { aside: Some(Box::new(aside.clone())), ..Self::of_id(id, Some(print)) }
    }

    /// The list has shown it.
    pub fn is_listed(&self) -> bool {
        self.row.is_some() || self.aside.is_some()
    }
}

/// Rows that a page lacks, or that spoil it, between the neighbours' times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Short {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub missing: u64,
    /// Short page, or unreadable.
    pub reason: GapReason,
}

/// What a walk needs next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    Page(Place),
    Detail(String),
    Wait(DateTime<Utc>),
}

/// What to do with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Ask it, or the one before, again; nothing is taken from it.
    Again,
    /// Its rows count.
    Taken,
}

/// A reading in progress.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each tells of another end")]
pub struct Walk {
    pub purpose: Purpose,
    pub begun: DateTime<Utc>,
    /// When it began by this box's clock alone.
    pub planned: DateTime<Utc>,
    /// A page whose oldest row is older than this is the last one; `None`: the first page is.
    pub stop: Option<DateTime<Utc>>,
    /// Everything from here to `begun` was listed.
    pub lowest: Option<DateTime<Utc>>,
    /// It came as far as it should: to `stop`, or to the list's end.
    pub reached: bool,
    /// The list has no more pages.
    pub list_ended: bool,
    pub tasks: VecDeque<Task>,
    /// Rows that lack, page by page.
    pub shorts: Vec<Short>,
    /// Hashes of the ids that were listed, where it is asked afterwards which were not.
    pub listed: BTreeSet<u64>,
    /// It was asked which were not.
    pub compared: bool,
    /// Unfinished orders that are read again though nothing in the list changed.
    pub refreshed: usize,
    pub position: Position,
    pages_done: bool,
    total: Option<u64>,
    retries: u8,
    steps_back: u8,
    /// How the page failed last, and how often so.
    page_failure: (String, u8),
    /// Below which time the rows lack that the last page lacked, or that were passed over; their lower neighbour is on the
    /// next page.
    open_short: Option<(DateTime<Utc>, u64, GapReason)>,
    aside: VecDeque<Task>,
}

impl Walk {
    pub fn new(purpose: Purpose, begun: DateTime<Utc>, stop: Option<DateTime<Utc>>) -> Self {
        Self {
            purpose,
            begun,
            planned: begun,
            stop,
            lowest: None,
            reached: false,
            list_ended: false,
            tasks: VecDeque::new(),
            shorts: Vec::new(),
            listed: BTreeSet::new(),
            compared: false,
            refreshed: 0,
            position: Position::begin(&Narrow::default(), begun),
            pages_done: false,
            total: None,
            retries: 0,
            steps_back: 0,
            page_failure: (String::new(), 0),
            open_short: None,
            aside: VecDeque::new(),
        }
    }

    /// The same, from the page that can be had.
    pub fn at(self, position: Position) -> Self {
        Self { position, ..self }
    }

    /// Only these orders, without the list.
    pub fn single(begun: DateTime<Utc>, tasks: VecDeque<Task>) -> Self {
        Self { tasks, pages_done: true, ..Self::new(Purpose::Single, begun, None) }
    }

    /// What to ask now.
    pub fn need(&self, now: DateTime<Utc>) -> Need {
        if let Some(task) = self.tasks.front() {
            return Need::Detail(task.id.clone());
        }
        match self.aside.front().and_then(|task| task.due.map(|due| (due, &task.id))) {
            Some((due, _)) if due > now => Need::Wait(due),
            Some((_, id)) => Need::Detail(id.clone()),
            None => Need::Page(self.position.place()),
        }
    }

    /// The task of the detail that was asked.
    pub fn task(&mut self) -> Option<&mut Task> {
        if self.tasks.is_empty() { self.aside.front_mut() } else { self.tasks.front_mut() }
    }

    /// The task is done with.
    pub fn pop(&mut self) -> Option<Task> {
        self.tasks.pop_front().or_else(|| self.aside.pop_front())
    }

    /// The task failed: it is tried again a little later, the others first. `Some`: it failed too often, and is given
    /// up.
    pub fn put_off(&mut self, now: DateTime<Utc>) -> Option<Task> {
        let mut task = self.pop()?;
        task.fails = task.fails.saturating_add(1);
        if task.fails >= FAILS_MAX {
            return Some(task);
        }
        task.due = Some(now + FAIL_WAIT * i32::from(task.fails));
        self.aside.push_back(task);
        None
    }

    /// Nothing is left to ask.
    pub fn is_done(&self) -> bool {
        self.pages_done && self.tasks.is_empty() && self.aside.is_empty()
    }

    /// The last page is behind it.
    pub fn is_listed(&self) -> bool {
        self.pages_done
    }

    /// A row spoils each page that holds it, and was passed over: what it stands between is a gap, once a row below it was
    /// read.
    pub fn passed_over(&mut self) {
        let (above, missing, _) =
            self.open_short.unwrap_or((self.lowest.unwrap_or(self.begun), 0, GapReason::Unreadable));
        self.open_short = Some((above, missing + 1, GapReason::Unreadable));
        self.page_failure = (String::new(), 0);
    }

    /// Goes on to the next page although it came as far as it should: something on the last one has changed.
    pub fn go_on(&mut self) {
        self.pages_done = self.list_ended;
    }

    /// It came as far as it should, with nothing to read on the way.
    pub fn end(&mut self, list_ended: bool) {
        (self.pages_done, self.reached, self.list_ended) = (true, true, list_ended);
    }

    /// Gives up before it came as far as it should.
    pub fn break_off(&mut self, lowest: Option<DateTime<Utc>>) {
        self.pages_done = true;
        if let Some(lowest) = lowest {
            (self.lowest, self.reached, self.list_ended) = (Some(lowest), false, false);
        }
    }

    /// The page failed, in this way: how often it has so far.
    pub fn page_failed(&mut self, how: String) -> u8 {
        let (last, fails) = &mut self.page_failure;
        *fails = if *last == how { fails.saturating_add(1) } else { 1 };
        *last = how;
        *fails
    }

    /// Takes a page. `lacking`: its missing rows that are no stored orders; `unexplained`: of them, those that no open gap
    /// explains.
    pub fn take(
        &mut self,
        orders: &Orders,
        (lacking, unexplained): (u64, u64),
        narrow: &mut Narrow,
        now: DateTime<Utc>,
    ) -> Turn {
        self.page_failure = (String::new(), 0);
        let shrank = self.total.is_some_and(|before| orders.total < before);
        self.total = Some(orders.total);
        if shrank && self.position.place().offset > 0 && self.steps_back < STEPS_BACK_MAX {
            // Rows moved up: one may have slipped to the page before.
            self.position.step_back();
            self.steps_back += 1;
            return Turn::Again;
        }
        if unexplained > 0 && self.retries < SHORT_RETRIES {
            self.retries += 1;
            return Turn::Again;
        }
        let times = || orders.page.records.iter().map(|row| row.timestamp.to_utc());
        let (newest, oldest) = (times().max(), times().min());
        // Below what was passed over, a row must be read.
        let closes = |(_, _, reason): &mut (_, _, GapReason)| newest.is_some() || *reason == GapReason::ShortPage;
        if let Some((above, missing, reason)) = self.open_short.take_if(closes) {
            let below = newest.or(self.lowest).unwrap_or(above);
            self.shorts.push(Short { from: whole_second(below), to: above, missing, reason });
        }
        if lacking > 0 && self.open_short.is_none() {
            self.open_short = Some((self.lowest.unwrap_or(self.begun), lacking, GapReason::ShortPage));
        }
        self.lowest = [self.lowest, oldest].into_iter().flatten().min();
        self.list_ended = orders.is_last();
        let passed = self.stop.is_none_or(|stop| oldest.is_some_and(|oldest| oldest < stop));
        self.reached = self.list_ended || passed && self.stop.is_some();
        self.pages_done = self.list_ended || passed;
        self.position.passed(narrow, now);
        self.retries = 0;
        Turn::Taken
    }

    /// What the last page lacked, if no page followed it. `floor`: how far down the list may reach.
    pub fn close_short(&mut self, floor: DateTime<Utc>) {
        if let Some((above, missing, reason)) = self.open_short.take() {
            let below = if self.list_ended { floor } else { self.lowest.unwrap_or(floor) };
            self.shorts.push(Short { from: whole_second(below.min(above)), to: above, missing, reason });
        }
    }
}

/// The second that an instant lies in.
pub fn whole_second(at: DateTime<Utc>) -> DateTime<Utc> {
    at.with_nanosecond(0).unwrap_or(at)
}

/// The first second that begins after an instant.
pub fn second_after(at: DateTime<Utc>) -> DateTime<Utc> {
    whole_second(at) + TimeDelta::seconds(1)
}
