//! How one list is read: its newest records, its recent ones again, and all of it.
//!
//! The place in a list is an id, never a date: tills upload late, and dates are set back. A list that is sorted by
//! neither end is read whole each time.
//!
//! - *Oldest first*: the last page that is known is read again, and what follows it. Where an id is missing there, or
//!   the list has become shorter, pages have moved up: all is read anew.
//! - *Newest first*: from the first page until one holds nothing new.
//! - *All of it* goes from the newest page to the oldest, so that a new box has today's sales first, and, where the
//!   oldest come first, so that nothing which moves up is missed. Where the newest come first, a list that has become
//!   shorter between two pages is read again from as many rows before.
//!
//! Pure: no clock and no I/O.

mod count;

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use self::count::{Count, fallen};
use super::{
    cursor::{Back, ListCursor, Order},
    paging::{self, Onward},
    parse::Meta,
};

/// How far back recent records are read again each hour, and how many pages at most.
const RECENT: (TimeDelta, u64) = (TimeDelta::days(3), 30);

/// Why a page is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// For what is new.
    Newest,
    /// For what has changed lately.
    Recent,
    /// For everything.
    Whole,
}

/// A page, as far as a walk is concerned.
#[derive(Debug, Clone)]
pub struct Sight {
    /// The ids on it, in the source's order. `None` for one that is no number.
    pub ids: Vec<Option<u64>>,
    /// Elements, unreadable ones too.
    pub rows: usize,
    /// What the source says of the list.
    pub meta: Meta,
    /// The newest date on it.
    pub newest: Option<DateTime<Utc>>,
    /// It breaks off: more stood on it, and what follows is to be asked.
    pub broken: bool,
}

/// What a page meant for its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a finding of its own")]
pub struct Step {
    /// The reading is done.
    pub done: bool,
    /// Records were found on other pages than before.
    pub moved: bool,
    /// What the source says of its pages cannot be true.
    pub lies: Option<&'static str>,
    /// The newest reading was one of all pages: [`Walk::seen`] holds every id.
    pub whole: bool,
    /// The page is no answer to what follows, and is to be asked again later.
    pub again: bool,
}

/// The readings of one list that are under way.
#[derive(Debug, Default)]
pub struct Walk {
    newest: Option<Newest>,
    recent: Option<Recent>,
    /// The order was looked at since the program began.
    pub checked: bool,
    /// Ids that a whole reading has seen, if it was not interrupted.
    pub seen: Option<BTreeSet<u64>>,
    /// Rows of a full page.
    rows: u64,
    count: Count,
}

#[derive(Debug)]
struct Newest {
    stage: Stage,
    begun: DateTime<Utc>,
    top: u64,
    total: Option<u64>,
    /// The page before, to notice one that is shown again.
    before: Vec<Option<u64>>,
    /// It began at the first page of a list whose end cannot be found otherwise.
    from_start: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The first page: which way is the list sorted?
    Check,
    /// What should be the last page.
    Anchor(u64),
    Forward(u64),
    Down(u64),
    All(u64),
}

#[derive(Debug)]
struct Recent {
    page: u64,
    left: u64,
}

const NEXT_STANDS: &str = "its next page does not lie ahead";
const NEXT_MISSING: &str = "it names no next page but counts more records";
const ENDS_EARLY: &str = "it ends before its own count does";
const COUNT_CHANGES: &str = "its count changes from page to page";
const UNSORTED: &str = "it is sorted by neither end";

impl Walk {
    /// The page to read, if a reading for this purpose is under way.
    pub fn page(&self, own: &ListCursor, purpose: Purpose) -> Option<u64> {
        match purpose {
            Purpose::Newest => self.newest.as_ref().map(|newest| match newest.stage {
                Stage::Check => 1,
                Stage::Anchor(page) | Stage::Forward(page) | Stage::Down(page) | Stage::All(page) => page,
            }),
            Purpose::Recent => self.recent.as_ref().map(|recent| recent.page),
            Purpose::Whole => own.back.as_ref().map(|back| back.next),
        }
    }

    /// Begins to read the newest, unless that is under way.
    pub fn begin_newest(&mut self, own: &ListCursor, now: DateTime<Utc>) {
        let stage = match own.order {
            Some(Order::OldestFirst) if self.checked && own.page > 0 => Stage::Forward(own.page),
            Some(Order::NewestFirst) if self.checked => Stage::Down(1),
            Some(Order::None) if self.checked => Stage::All(1),
            _ => Stage::Check,
        };
        let begin = || Newest { stage, begun: now, top: 0, total: None, before: Vec::new(), from_start: false };
        self.newest.get_or_insert_with(begin);
    }

    /// Begins to read the recent ones again, where the list has an end at which they are.
    pub fn begin_recent(&mut self, own: &ListCursor) {
        let page = match own.order {
            Some(Order::OldestFirst) if own.page > 1 => own.page,
            Some(Order::NewestFirst) if own.whole => 1,
            _ => return,
        };
        self.recent.get_or_insert(Recent { page, left: RECENT.1 });
    }

    /// Begins to read everything, unless that is under way.
    pub fn begin_whole(&mut self, own: &mut ListCursor, now: DateTime<Utc>) {
        let next = match own.order {
            Some(Order::OldestFirst) if own.page > 0 => own.page,
            Some(Order::NewestFirst) => 1,
            _ => return,
        };
        if own.back.is_none() {
            own.back = Some(Back { next, begun: now, total: None });
            self.seen = Some(BTreeSet::new());
        }
    }

    /// Takes a page.
    pub fn take(&mut self, own: &mut ListCursor, purpose: Purpose, sight: &Sight, now: DateTime<Utc>) -> Step {
        self.rows = self.rows.max(u64::try_from(sight.rows).unwrap_or(0));
        let mut sight = sight.clone();
        if sight.broken {
            sight.rows = sight.rows.max(1);
            sight.meta.total = sight.meta.total.or(self.count.last());
        }
        sight.meta.total = self.count.weigh(sight.meta.total, now);
        let step = match purpose {
            Purpose::Newest => self.take_newest(own, &sight),
            Purpose::Recent => self.take_recent(own, &sight, now),
            Purpose::Whole => self.take_whole(own, &sight),
        };
        self.judge_count(own, step, purpose, now)
    }

    /// What a step says of the source's count; one that lies is forgotten wherever it was kept.
    fn judge_count(&mut self, own: &mut ListCursor, step: Step, purpose: Purpose, now: DateTime<Utc>) -> Step {
        if step.moved && self.count.moved(now) {
            own.total = None;
            own.back.iter_mut().for_each(|back| back.total = None);
            self.newest.iter_mut().for_each(|newest| newest.total = None);
        } else if !step.moved && step.done && purpose != Purpose::Recent && own.whole && own.back.is_none() {
            self.count.held();
        }
        let lies = (self.count.is_distrusted() && purpose != Purpose::Recent).then_some(COUNT_CHANGES);
        Step { lies: step.lies.or(lies), ..step }
    }

    /// Judges a page; one that shows nothing new is an end only where no count says otherwise.
    fn onward(&self, sight: &Sight, page: u64, again: bool, before: Option<u64>) -> Onward {
        let nothing = again || sight.rows == 0 || sight.meta.current.is_some_and(|current| current < page);
        match nothing {
            true if paging::should_hold(&sight.meta, page, self.rows, before) => Onward::Short,
            _ if again => Onward::Last,
            _ => paging::onward(&sight.meta, page, sight.rows),
        }
    }

    fn take_newest(&mut self, own: &mut ListCursor, sight: &Sight) -> Step {
        let Some(mut newest) = self.newest.take() else { return Step::default() };
        let step = match newest.stage {
            Stage::Check => self.check(own, &mut newest, sight),
            Stage::Anchor(page) => self.anchor(own, &mut newest, page, sight),
            Stage::Forward(page) => self.forward(own, &mut newest, page, sight),
            Stage::Down(page) => self.down(own, &mut newest, page, sight),
            Stage::All(page) => self.all(own, &mut newest, page, sight),
        };
        newest.before.clone_from(&sight.ids);
        if !step.done {
            self.newest = Some(newest);
        }
        step
    }

    fn check(&mut self, own: &mut ListCursor, newest: &mut Newest, sight: &Sight) -> Step {
        let found = order_of(&sight.ids).or(own.order.filter(|_| sight.broken));
        let onward = self.onward(sight, 1, false, own.total);
        if onward == Onward::Short {
            return told(onward);
        }
        if onward == Onward::Last {
            // All of it is on one page; which way it is sorted may show when there is more.
            self.checked = found.is_some_and(|found| found != Order::None);
            own.order = found.or(own.order);
            let gone = own.page == 1 && !own.on.iter().all(|id| sight.ids.contains(&Some(*id)));
            let moved = own.page > 1 || gone;
            remember(own, 1, sight);
            own.top = highest(sight);
            own.back = None;
            self.seen = Some(sight.ids.iter().flatten().copied().collect());
            finish(own, newest, true);
            return Step { done: true, moved, whole: true, ..Step::default() };
        }
        // Of a page that breaks off, the order may show when it is mended.
        self.checked = found.is_some() || !sight.broken;
        let found = found.unwrap_or(Order::None);
        if own.order.is_some_and(|order| order != found) {
            own.lose_place();
        }
        own.order = Some(found);
        match found {
            Order::OldestFirst if own.page > 1 => {
                newest.stage = Stage::Forward(own.page);
                Step::default()
            }
            Order::OldestFirst if own.page == 1 => self.forward(own, newest, 1, sight),
            // Where to look for the end, any count may say.
            Order::OldestFirst => match paging::pages(&Meta { total: self.count.last(), ..sight.meta }, sight.rows)
                .filter(|pages| *pages > 1)
            {
                Some(last) if onward == Onward::Next => {
                    newest.top = highest(sight);
                    newest.stage = Stage::Anchor(last);
                    Step::default()
                }
                // Its end cannot be found but by going there.
                _ => {
                    newest.from_start = true;
                    self.forward(own, newest, 1, sight)
                }
            },
            Order::NewestFirst => self.down(own, newest, 1, sight),
            Order::None => self.all(own, newest, 1, sight),
        }
    }

    fn anchor(&mut self, own: &mut ListCursor, newest: &mut Newest, page: u64, sight: &Sight) -> Step {
        if sight.rows == 0 {
            (newest.stage, newest.from_start) = (Stage::Forward(1), true);
            return Step::default();
        }
        if highest(sight) < newest.top && !(sight.broken && sight.ids.is_empty()) {
            own.order = Some(Order::None);
            newest.stage = Stage::All(1);
            return Step { lies: Some(UNSORTED), ..Step::default() };
        }
        own.back = (page > 1).then(|| Back { next: page - 1, begun: newest.begun, total: None });
        self.seen = Some(sight.ids.iter().flatten().copied().collect());
        self.forward(own, newest, page, sight)
    }

    fn forward(&mut self, own: &mut ListCursor, newest: &mut Newest, page: u64, sight: &Sight) -> Step {
        let shorter = sight.meta.total.zip(own.total).is_some_and(|(total, before)| total < before);
        // A server that lags behind another shows fewer at the end; what was moved is missing before it.
        let end = if self.count.is_distrusted() { highest(sight) } else { u64::MAX };
        let stays = |id: &u64| *id >= end || sight.ids.contains(&Some(*id));
        let missing = page == own.page && !sight.broken && !own.on.iter().all(stays);
        if shorter || missing {
            own.lose_place();
            (newest.stage, newest.from_start) = (Stage::Check, false);
            return Step { moved: true, ..Step::default() };
        }
        let again = sight.rows > 0 && page > 1 && is_again(newest, sight);
        self.begin_seeing(own, page);
        if sight.rows > 0 && !again {
            // What was known to stand on a page that breaks off now, still does.
            if !(sight.broken && page == own.page) {
                remember(own, page, sight);
            }
            if let Some(seen) = &mut self.seen {
                seen.extend(sight.ids.iter().flatten());
            }
        }
        let onward = self.onward(sight, page, again, own.total);
        newest.stage = Stage::Forward(page + 1);
        let whole = onward == Onward::Last && (newest.from_start || own.page <= 1);
        if onward == Onward::Last {
            finish(own, newest, whole);
        }
        Step { whole, ..told(onward) }
    }

    /// A reading that begins at the first page may turn out to be one of all pages.
    fn begin_seeing(&mut self, own: &ListCursor, page: u64) {
        if page == 1 && own.back.is_none() {
            self.seen = Some(BTreeSet::new());
        }
    }

    fn down(&mut self, own: &mut ListCursor, newest: &mut Newest, page: u64, sight: &Sight) -> Step {
        if let Some(fallen) = fallen(newest.total, sight.meta.total) {
            newest.total = sight.meta.total;
            newest.stage = Stage::Down(page.saturating_sub(paging::moved_by(&sight.meta, sight.rows, fallen)).max(1));
            return Step { moved: true, ..Step::default() };
        }
        let again = page > 1 && is_again(newest, sight);
        let onward = self.onward(sight, page, again, newest.total.or(own.total));
        if onward == Onward::Short {
            return told(onward);
        }
        let shorter = page == 1 && sight.meta.total.zip(own.total).is_some_and(|(total, before)| total < before);
        newest.total = sight.meta.total;
        self.begin_seeing(own, page);
        if let Some(seen) = self.seen.as_mut().filter(|_| own.back.is_none()) {
            seen.extend(sight.ids.iter().flatten());
        }
        newest.top = newest.top.max(highest(sight));
        let is_new = own.top == 0 && page == 1;
        let known = highest(sight) > 0 && highest(sight) <= own.top;
        let last = onward == Onward::Last;
        if !(last || known || is_new) {
            newest.stage = Stage::Down(page + 1);
            return told(onward);
        }
        own.top = newest.top.max(own.top);
        own.total = sight.meta.total;
        if last {
            own.back = None;
        } else if is_new {
            own.back = Some(Back { next: 2, begun: newest.begun, total: sight.meta.total });
            self.seen = Some(sight.ids.iter().flatten().copied().collect());
        } else if shorter && own.whole {
            // Something was deleted: what, a whole reading shows.
            self.begin_whole(own, newest.begun);
        }
        finish(own, newest, last);
        Step { done: true, moved: shorter, whole: last, ..told(onward) }
    }

    fn take_recent(&mut self, own: &ListCursor, sight: &Sight, now: DateTime<Utc>) -> Step {
        let Some(recent) = &mut self.recent else { return Step::default() };
        recent.left -= 1;
        let old = sight.newest.is_some_and(|newest| newest < now - RECENT.0);
        let upward = own.order == Some(Order::NewestFirst);
        let last = if upward {
            paging::onward(&sight.meta, recent.page, sight.rows) != Onward::Next
        } else {
            recent.page <= 1
        };
        if old || last || recent.left == 0 {
            self.recent = None;
            return Step { done: true, ..Step::default() };
        }
        recent.page = if upward { recent.page + 1 } else { recent.page - 1 };
        Step::default()
    }

    fn take_whole(&mut self, own: &mut ListCursor, sight: &Sight) -> Step {
        let judge = |back: &Back| self.onward(sight, back.next, false, back.total.or(own.total));
        let Some(onward) = own.back.as_ref().map(judge) else { return Step::default() };
        let Some(back) = &mut own.back else { return Step::default() };
        if let Some(seen) = &mut self.seen {
            seen.extend(sight.ids.iter().flatten());
        }
        if own.order != Some(Order::NewestFirst) {
            // No page before the last is empty.
            if sight.rows == 0 {
                return Step { again: true, lies: Some(ENDS_EARLY), ..Step::default() };
            }
            if back.next > 1 {
                back.next -= 1;
                return Step::default();
            }
        } else if let Some(fallen) = fallen(back.total, sight.meta.total) {
            back.total = sight.meta.total;
            back.next = back.next.saturating_sub(paging::moved_by(&sight.meta, sight.rows, fallen)).max(1);
            return Step { moved: true, ..Step::default() };
        } else {
            if onward == Onward::Short {
                // The page before tells whether the list has become shorter.
                back.next = back.next.saturating_sub(1).max(1);
                return Step { done: false, ..told(onward) };
            }
            back.total = sight.meta.total;
            if onward != Onward::Last {
                if onward != Onward::Stuck {
                    back.next += 1;
                }
                // What lies after a page that names no next one is not read, and not claimed to be.
                return Step { done: false, ..told(onward) };
            }
        }
        own.whole_read = Some(back.begun);
        (own.back, own.whole) = (None, true);
        Step { done: true, ..Step::default() }
    }

    /// A list without an order is read from its first page to its last.
    fn all(&mut self, own: &mut ListCursor, newest: &mut Newest, page: u64, sight: &Sight) -> Step {
        let again = page > 1 && is_again(newest, sight);
        self.begin_seeing(own, page);
        if let Some(seen) = &mut self.seen {
            seen.extend(sight.ids.iter().flatten());
        }
        let onward = self.onward(sight, page, again, newest.total);
        newest.total = sight.meta.total.or(newest.total);
        newest.stage = Stage::All(page + 1);
        let whole = onward == Onward::Last;
        if whole {
            finish(own, newest, true);
        }
        let step = told(onward);
        Step { lies: step.lies.or(Some(UNSORTED)), whole, ..step }
    }
}

fn told(onward: Onward) -> Step {
    match onward {
        Onward::Next => Step::default(),
        Onward::Last => Step { done: true, ..Step::default() },
        Onward::Counted => Step { lies: Some(NEXT_MISSING), ..Step::default() },
        Onward::Stuck => Step { done: true, again: true, lies: Some(NEXT_STANDS), ..Step::default() },
        Onward::Short => Step { done: true, again: true, lies: Some(ENDS_EARLY), ..Step::default() },
    }
}

/// The page before is shown again.
fn is_again(newest: &Newest, sight: &Sight) -> bool {
    !sight.broken && sight.ids == newest.before
}

fn finish(own: &mut ListCursor, newest: &Newest, whole: bool) {
    own.read_to = Some(newest.begun);
    if whole {
        own.whole = true;
        own.whole_read = Some(newest.begun);
    }
}

fn remember(own: &mut ListCursor, page: u64, sight: &Sight) {
    own.page = page;
    own.on = sight.ids.iter().flatten().copied().collect();
    own.total = sight.meta.total;
}

fn highest(sight: &Sight) -> u64 {
    sight.ids.iter().flatten().copied().max().unwrap_or(0)
}

/// Which way a page is sorted; `None` if it has too few ids to tell.
fn order_of(ids: &[Option<u64>]) -> Option<Order> {
    let ids: Vec<u64> = ids.iter().flatten().copied().collect();
    match ids.as_slice() {
        [] | [_] => None,
        _ if ids.windows(2).all(|pair| pair[0] < pair[1]) => Some(Order::OldestFirst),
        _ if ids.windows(2).all(|pair| pair[0] > pair[1]) => Some(Order::NewestFirst),
        _ => Some(Order::None),
    }
}
