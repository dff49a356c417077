//! How Asalta is read without holes.
//!
//! - *The lists*, each by its own walk (`walk`, `lists`): the newest, the recent ones again each hour, everything each
//!   week; on a new box everything at once, the newest first. No link of a body is followed.
//! - *Returns*: their lists as well, where the source gives them without a sale; else those of each sale that says that
//!   it has some.
//! - *The report of sales* (`report`), hourly for a week and nightly for ninety days: invoices that differ from it are
//!   read again one by one; a sale that is only in the report has everything read anew.
//! - *One by one*, nightly: what is not fully paid; and what a whole reading no longer showed: it has vanished if the
//!   source says 404 of it.
//! - *A request that fails for good* (five equal answers while others succeed) is put off for an hour, and holds up
//!   nothing else. Until then the others are asked in between.
//!
//! No gap is opened for a list that proves nothing: the watermark does not pass it, so nothing is claimed. A page that
//! breaks off is passed (`breaks`): what stood on it behind the break is a gap.

mod answers;
mod breaks;
mod trouble;
mod work;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Timelike, Utc};

use self::trouble::Trouble;
use super::{
    cursor::{Cursor, ListCursor, Order},
    lists::{INVOICES, List, ORDER_RETURNS, RETURNS},
    parse::{Listed, says_error},
    report::Days,
    requests,
    walk::{Purpose, Walk},
};
use crate::{
    gap::{Gap, GapReason},
    health::Condition,
    pos::{
        connector::{Begin, Connector, Memory, RESCAN_HORIZON, Step, Terms, Yield},
        http::{Answer, Failure},
        page::ParseContext,
        request::{Authorization, Request},
    },
    progress::Progress,
    secret::Secret,
    transaction::Resource,
};

/// A request that failed for good is put off for so long, and so is a key that does not fit.
const TRY_AGAIN: TimeDelta = TimeDelta::hours(1);

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Warehouses,
    Page(usize, Purpose, u64),
    /// A page of the returns of a sale or an order.
    Returns(usize, String, u64),
    One(Resource, String),
    Report(Days),
}

/// The connector for one Asalta account.
pub struct Asalta {
    token: Secret,
    context: ParseContext,
    /// What is older may have been forgotten by the store, and would be taken for new.
    look_back: TimeDelta,
    memory: Arc<dyn Memory>,
    cursor: Cursor,
    identity: Option<String>,
    /// Whose account it is, by the ids of its warehouses.
    account: Vec<String>,
    warehouses_due: DateTime<Utc>,
    lists: [List; 4],
    asked: Option<(Target, DateTime<Utc>)>,
    /// Newest and other work take turns.
    others_turn: bool,
    fetches: VecDeque<(Resource, String)>,
    /// The page that follows of the returns of a sale with more than one.
    returns_at: Option<(usize, String, u64)>,
    report_due: DateTime<Utc>,
    report_days: VecDeque<Days>,
    /// The comparison that is due next looks again at what was read again.
    confirming: bool,
    /// How often days were put back to be compared again, in this hour or night.
    looked_again: BTreeMap<Days, u32>,
    /// Invoices that were read again for the comparison that runs, and rows that were seen before.
    refetched: BTreeSet<String>,
    suspects: BTreeMap<u64, DateTime<Utc>>,
    troubles: BTreeMap<Target, Trouble>,
    /// Open gaps whose places are not known: of a box that this one took the place of.
    inherited: Vec<Gap>,
    begun: DateTime<Utc>,
    answered: DateTime<Utc>,
    /// What was told of the lists, empty if nothing is wrong; `None` before anything was.
    told_unreliable: Option<String>,
    unknown_fields: BTreeSet<String>,
}

impl Asalta {
    /// A connector that goes on from where the last one stopped, or begins the backfill before now.
    #[must_use]
    pub fn new(terms: Terms, begin: Begin) -> Self {
        let Terms { context, poll_every, backfill } = terms;
        let Begin { secret: token, cursor: stored, gaps, memory, now } = begin;
        let stored: Option<Cursor> = stored.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        // One that begins in the future is of a clock that was far ahead.
        let stored = stored.filter(|cursor| cursor.since <= now);
        let unreadable = gaps.into_iter().filter(|gap| gap.reason == GapReason::Unreadable);
        // What a new box reads at first, it need not compare the same night.
        let nightly = Some(context.outlet_zone.local(now).date_naive());
        let since = (now - backfill).with_nanosecond(0).unwrap_or(now - backfill);
        let mut cursor = stored.unwrap_or(Cursor { nightly, ..Cursor::beginning(since) });
        let inherited = unreadable.filter(|gap| !cursor.spoilt.iter().any(|spoilt| spoilt.gap == *gap)).collect();
        let since = cursor.since;
        for list in &mut cursor.lists {
            if list.whole_read.is_none() && !list.per_sale {
                list.owed.get_or_insert(since);
            }
            // A clock that was ahead claimed to have read what was not there.
            list.read_to = list.read_to.map(|read| read.min(now));
        }
        Self {
            token,
            context,
            look_back: backfill.max(RESCAN_HORIZON),
            memory,
            cursor,
            identity: None,
            account: Vec::new(),
            warehouses_due: now,
            lists: List::all(poll_every, now),
            asked: None,
            others_turn: false,
            fetches: VecDeque::new(),
            returns_at: None,
            report_due: now,
            report_days: VecDeque::new(),
            confirming: false,
            looked_again: BTreeMap::new(),
            refetched: BTreeSet::new(),
            suspects: BTreeMap::new(),
            troubles: BTreeMap::new(),
            inherited,
            begun: now,
            answered: DateTime::<Utc>::MIN_UTC,
            told_unreliable: None,
            unknown_fields: BTreeSet::new(),
        }
    }

    fn request(&self, target: &Target) -> Request {
        let request = match target {
            Target::Warehouses => requests::warehouses(),
            Target::Page(list, _, page) => requests::list(self.lists[*list].resource, *page, None),
            Target::Returns(list, sale, page) => requests::list(self.lists[*list].resource, *page, Some(sale)),
            Target::One(resource, id) => requests::one(*resource, id),
            Target::Report(days) => requests::report(days.first, days.last, self.cursor.report_in_query),
        };
        request.authorized(Authorization::Bearer(self.token.clone()))
    }

    /// Whether it is not known yet that returns are given without a sale.
    fn is_unproven(&self, target: &Target) -> bool {
        let Target::Page(list, ..) = target else { return false };
        matches!(*list, RETURNS | ORDER_RETURNS) && self.cursor.lists[*list].read_to.is_none()
    }

    /// Goes on without what was put off.
    fn give_up(&mut self, target: &Target, now: DateTime<Utc>) -> Yield {
        match target {
            // Returns without a sale are refused by a 500 too, says the reference.
            Target::Page(list, ..) if self.is_unproven(target) => _ = self.go_per_sale(*list, now),
            Target::One(resource, id) => self.fetches.retain(|one| one != &(*resource, id.clone())),
            Target::Report(_) => _ = self.report_days.pop_front(),
            _ => {}
        }
        let mut found = Yield::default();
        self.forget_troubles(now);
        self.tell_unreliable(&mut found);
        found
    }

    /// What is dated before this is passed over. Once a list was read whole this moves along: the store forgets what is
    /// older, and a reading of everything would find it new again.
    fn bound(&self, list: usize, now: DateTime<Utc>) -> DateTime<Utc> {
        let kept = now - self.look_back;
        let owed = self.cursor.lists[list].owed;
        owed.map_or(kept, |owed| owed.min(kept)).max(self.cursor.since)
    }

    fn counted(&self) -> [&ListCursor; 2] {
        [&self.cursor.lists[INVOICES], &self.cursor.lists[RETURNS]]
    }

    /// Everything that counts was read from `since` up to here.
    fn watermark(&self) -> DateTime<Utc> {
        let read = |own: &ListCursor| own.read_to.filter(|_| own.whole || own.per_sale);
        let least = self.counted().into_iter().map(read).min().flatten();
        least.map_or(self.cursor.since, |read| read.max(self.cursor.since))
    }
}

impl Connector for Asalta {
    fn next(&mut self, now: DateTime<Utc>) -> Step {
        let target = if self.identity.is_none() {
            if now < self.warehouses_due {
                return Step::Wait(self.warehouses_due);
            }
            Some(Target::Warehouses)
        } else if self.others_turn {
            self.other_target(now).or_else(|| self.newest_target(now))
        } else {
            self.newest_target(now).or_else(|| self.other_target(now))
        };
        let Some(target) = target else { return Step::Wait(self.wakes(now)) };
        self.others_turn = matches!(target, Target::Page(_, Purpose::Newest, _));
        let request = self.request(&target);
        self.asked = Some((target, now));
        Step::Ask(request)
    }

    fn accepts(&self, status: u16) -> bool {
        // A record that is gone, or a sale that has no returns.
        matches!(self.asked, Some((Target::One(..) | Target::Returns(..), _))) && matches!(status, 404 | 410)
    }

    fn take(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        let Some((target, asked_at)) = self.asked.clone() else { return Ok(Yield::default()) };
        let taken = match &target {
            Target::Warehouses => self.take_warehouses(answer),
            Target::Page(list, purpose, page) => {
                let resource = self.lists[*list].resource;
                let place = (*list, *purpose, *page);
                match self.parse(answer, resource, None, now) {
                    Ok(listed) => Ok(self.take_page(place, listed, None, now)),
                    Err(fault) => {
                        let text = fault.to_string();
                        let may_pass = fault.may_pass_when_halved();
                        let broken = may_pass.then(|| self.page_breaks(place, Some(answer), &text, now)).flatten();
                        broken.ok_or(text)
                    }
                }
            }
            Target::Returns(list, sale, page) => self.take_returns((*list, sale, *page), answer, now),
            Target::One(resource, id) => self.take_one(*resource, id, answer, now),
            Target::Report(days) => self.take_report(*days, asked_at, answer, now),
        };
        let mut found = match taken {
            Ok(found) => found,
            Err(text) if target == Target::Warehouses => return Err(text),
            Err(_) if self.is_unproven(&target) && says_error(&answer.body) => match target {
                Target::Page(list, ..) => self.go_per_sale(list, now),
                _ => Yield::default(),
            },
            Err(text) if !self.count(&target, &text, false, now) => return Err(text),
            Err(_) => {
                self.asked = None;
                return Ok(self.give_up(&target, now));
            }
        };
        self.asked = None;
        self.answered = now;
        if !matches!(target, Target::Page(..)) {
            self.troubles.remove(&target);
        }
        self.forget_troubles(now);
        self.tell_unreliable(&mut found);
        Ok(found)
    }

    fn failed(&mut self, failure: &Failure, now: DateTime<Utc>) -> Option<Yield> {
        let (target, _) = self.asked.take()?;
        let unfit = matches!(failure, Failure::Refused(403) | Failure::Unexpected(_));
        match (&target, failure) {
            (Target::Warehouses, _) if unfit => {
                self.warehouses_due = now + TRY_AGAIN;
                let text = format!(
                    "asalta GET /pos/warehouses: {failure}: the key is perhaps not one of the product Inventory & POS; \
                     ask Asalta for such a key, or check the base-url"
                );
                Some(Yield { conditions: vec![(Condition::PosUnfit, Some(text))], ..Yield::default() })
            }
            (Target::Page(list, ..), Failure::Unexpected(400)) if self.is_unproven(&target) => {
                Some(self.go_per_sale(*list, now))
            }
            (Target::Page(list, purpose, page), Failure::Unexpected(400)) if *page > 1 => {
                // There is no such page (any more).
                let mut found = self.take_page((*list, *purpose, *page), Listed::nothing(), None, now);
                self.tell_unreliable(&mut found);
                Some(found)
            }
            (Target::Page(list, purpose, page), Failure::TooLarge | Failure::TooSlow(_)) => {
                let text = failure.to_string();
                if let Some(mut found) = self.page_breaks((*list, *purpose, *page), None, &text, now) {
                    self.tell_unreliable(&mut found);
                    return Some(found);
                }
                let put_off = self.count(&target, &text, false, now);
                put_off.then(|| self.give_up(&target, now))
            }
            (Target::Report(days), Failure::TooLarge | Failure::TooSlow(_)) if days.halves().is_some() => {
                let halves = days.halves().into_iter().flatten();
                self.report_days.pop_front();
                halves.rev().for_each(|half| self.report_days.push_front(half));
                Some(Yield::default())
            }
            (Target::Warehouses, _) => None,
            (
                _,
                Failure::Refused(403)
                | Failure::Trouble(_)
                | Failure::TooSlow(_)
                | Failure::Unexpected(_)
                | Failure::TooLarge,
            ) => {
                let forbidden = matches!(failure, Failure::Refused(403));
                let put_off = self.count(&target, &failure.to_string(), forbidden, now);
                put_off.then(|| self.give_up(&target, now))
            }
            _ => None,
        }
    }

    fn cursor(&self) -> Vec<u8> {
        serde_json::to_vec(&self.cursor).expect("times, numbers and flags are always JSON")
    }

    fn rewind(&mut self, since: DateTime<Utc>) {
        self.cursor.rewind(since.with_nanosecond(0).unwrap_or(since));
        self.asked = None;
        for list in &mut self.lists {
            list.walk = Walk::default();
        }
    }

    fn progress(&self) -> Progress {
        let own = &self.cursor.lists;
        let mut notes = vec![
            "orders and their returns are told but not counted: an order that is sold is an invoice of its own"
                .to_owned(),
            "the source does not say in which zone its times are: the configured one is taken".to_owned(),
        ];
        let order = |list: usize| match own[list].order {
            Some(Order::OldestFirst) => {
                Some(format!("{} are listed oldest first", requests::name(self.lists[list].resource)))
            }
            Some(Order::NewestFirst) => {
                Some(format!("{} are listed newest first", requests::name(self.lists[list].resource)))
            }
            Some(Order::None) => Some(format!(
                "{} are listed in no order: all are read each time",
                requests::name(self.lists[list].resource)
            )),
            None => None,
        };
        notes.extend((0..self.lists.len()).filter_map(order));
        let per_sale = |list: usize| {
            own[list]
                .per_sale
                .then(|| format!("{} are given only for one sale at a time", requests::name(self.lists[list].resource)))
        };
        notes.extend([RETURNS, ORDER_RETURNS].into_iter().filter_map(per_sale));
        notes.extend(
            self.cursor.report_in_query.then(|| "the report ignores its form, and is asked by the query".to_owned()),
        );
        notes.extend(self.unknown_fields.iter().map(|field| format!("unknown field {field}")));
        let read = |list: usize| own[list].per_sale || self.lists[list].newest_read && own[list].whole;
        let put_off = self.troubles.values().any(|trouble| trouble.put_off.is_some());
        let is_open = [INVOICES, RETURNS].iter().any(|list| self.lists[*list].breaks.is_open().is_some());
        Progress {
            identity: self.identity.clone(),
            watermark: Some(self.watermark()),
            since: Some(self.cursor.since),
            complete: read(INVOICES) && read(RETURNS) && self.cursor.returns_due[0].is_empty() && !put_off && !is_open,
            notes,
        }
    }

    fn account(&self) -> Option<Vec<String>> {
        self.identity.as_ref().map(|_| self.account.clone())
    }

    fn covers(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
        self.cursor.since <= from && to <= self.watermark()
    }

    fn read_at(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // Returns that are asked sale by sale come with the sales.
        let whole = self.counted().into_iter().filter(|list| !list.per_sale).map(|list| list.whole_read);
        whole.min().flatten().filter(|read| self.cursor.since <= from && to <= *read)
    }

    fn reads_again_since(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.bound(INVOICES, now).min(self.bound(RETURNS, now))
    }
}
