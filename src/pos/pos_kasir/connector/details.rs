//! What is made of an order's detail, or of its lack.

use chrono::{DateTime, TimeDelta, Utc};

use super::{PosKasir, Slot};
use crate::{
    gap::{Gap, GapReason},
    pos::{
        body::Body,
        connector::Yield,
        http::Answer,
        page::Interval,
        pos_kasir::{
            parse::parse_order,
            states::{BITS, Before, MARKED, ROW_ONLY, judge},
            walk::{FAILS_MAX, Task, Walk, whole_second},
        },
    },
    transaction::{Flag, Kind, Resource, Transaction},
};

/// A detail that was given up is asked for again after this.
const AGAIN: TimeDelta = TimeDelta::hours(1);

/// Orders that are remembered as bad, and as put aside.
const REMEMBERED_MAX: usize = 1_000;

/// So many stored orders in a row that the source does not know are looked into.
const GONE_MAX: usize = 20;

/// An order whose detail cannot be had.
#[derive(Debug, Clone, Copy)]
pub(in crate::pos::pos_kasir) struct Bad {
    /// When it was created, if that is known.
    pub at: Option<DateTime<Utc>>,
    /// It is asked for again then.
    pub retry: DateTime<Utc>,
}

impl PosKasir {
    pub(super) fn take_detail(
        &mut self,
        slot: Slot,
        id: &str,
        answer: &Answer,
        now: DateTime<Utc>,
    ) -> Result<Yield, String> {
        if answer.status == 404 {
            // A web page of some front says nothing about an order.
            Body::open(&answer.body).map_err(|fault| fault.to_string())?;
            let is_listed = self.slot(slot).as_mut().and_then(Walk::task).is_some_and(|task| task.is_listed());
            if is_listed && self.memory.find(Resource::Order, id).is_none() {
                // The list has just shown it: not to be passed over for a word of the server's against itself.
                return Ok(self.detail_failed(slot, now));
            }
            return Ok(self.gone(slot, id, now));
        }
        let read = parse_order(&answer.body, &self.context, &self.shop.methods()).and_then(|page| {
            let same = page.records.iter().all(|record| record.external_id == id);
            if same { Ok(page) } else { Err("expected the order that was asked for, found another".to_owned()) }
        });
        let mut page = match read {
            Ok(page) => page,
            Err(fault) => {
                // JSON that is no order, again and again, is this order's fault. A web page is not.
                let is_json = Body::open(&answer.body).is_ok();
                let task = self.slot(slot).as_mut().and_then(Walk::task).filter(|_| is_json);
                return match task {
                    Some(task) if task.fails + 1 < FAILS_MAX => {
                        task.fails += 1;
                        Err(fault)
                    }
                    Some(_) => Ok(self.detail_failed(slot, now)),
                    None => Err(fault),
                };
            }
        };
        self.learn_fields(&page.unknown_fields);
        let nameless = page.records.iter().any(|record| record.flags.contains(&Flag::PaymentMethodUnknown));
        if nameless && self.shop.methods_are_stale(now) {
            return Ok(Yield::default());
        }
        let Some((walk, task)) = self.pop(slot) else { return Ok(Yield::default()) };
        if let Some(from) = task.at {
            page.met_within(Interval { from, to: from + TimeDelta::seconds(1) });
        }
        let mut found = Yield::default();
        self.gone_in_a_row = 0;
        found.gaps_closed.extend(self.readable_again(&task));
        if !page.quarantined.is_empty() {
            self.put_aside(id, task.print);
        }
        found.quarantined = page.quarantined;
        for record in page.records {
            self.put_aside.remove(id);
            let before = Before {
                order: self.memory.find(Resource::Order, id),
                refund: self.memory.find(Resource::OrderRefund, id),
                refund_logged: self.log.refunds.remove(id).is_some(),
            };
            let known_print = before.order.as_ref().map(|known| known.mark & !BITS);
            let judged = judge(record, &before, &self.context);
            let print = task.print.map(|print| print & !BITS).or(known_print).unwrap_or(0);
            found.marks.insert((Resource::Order, id.to_owned()), print | judged.bits);
            found.notices.extend(judged.notice);
            found.transactions.extend(judged.records);
        }
        self.settle(slot, walk, &mut found, now);
        Ok(found)
    }

    /// The source does not know the order.
    fn gone(&mut self, slot: Slot, id: &str, now: DateTime<Utc>) -> Yield {
        let mut found = Yield::default();
        let Some((walk, task)) = self.pop(slot) else { return found };
        found.vanished = self.vanished(id);
        found.gaps_closed.extend(self.readable_again(&task));
        if let Some(aside) = task.aside {
            self.put_aside(id, task.print);
            found.quarantined.push(*aside);
        }
        if !found.vanished.is_empty() {
            self.gone_in_a_row += 1;
        }
        if self.gone_in_a_row >= GONE_MAX && self.probe.is_none() {
            self.gone_in_a_row = 0;
            if let Some(sample) = self.sample(now) {
                self.begin_probe(sample);
            }
        }
        self.settle(slot, walk, &mut found, now);
        found
    }

    /// What is stored of an order, and so is gone with it.
    pub(super) fn vanished(&self, id: &str) -> Vec<(Resource, String)> {
        let stored = |resource: &Resource| self.memory.find(*resource, id).is_some_and(|known| !known.vanished);
        [Resource::Order, Resource::OrderRefund].into_iter().filter(stored).map(|r| (r, id.to_owned())).collect()
    }

    /// The detail could not be had although the server answers: another time, or, after some, as a gap. Its row's money
    /// is not lost for that.
    pub(super) fn detail_failed(&mut self, slot: Slot, now: DateTime<Utc>) -> Yield {
        let mut found = Yield::default();
        let Some(mut walk) = self.slot(slot).take() else { return found };
        if let Some(task) = walk.put_off(now) {
            self.give_up(task, &mut found, now);
        }
        self.settle(slot, walk, &mut found, now);
        found
    }

    fn give_up(&mut self, task: Task, found: &mut Yield, now: DateTime<Utc>) {
        let known = self.memory.find(Resource::Order, &task.id);
        let at = task.at.or(known.as_ref().map(|known| known.at));
        if let Some(row) = task.row {
            self.tell_by_row(*row, task.print.unwrap_or(0), found);
        }
        found.quarantined.extend(task.aside.map(|aside| *aside));
        if self.bad.len() < REMEMBERED_MAX {
            self.bad.insert(task.id, Bad { at, retry: now + AGAIN });
        }
        // Where no time is known, there is none to call incomplete.
        let Some(at) = at else { return };
        let gap = unreadable(at);
        if !self.open_gaps.contains(&gap) {
            self.open_gaps.push(gap.clone());
            found.gaps_opened.push(gap);
        }
    }

    /// What the row says of an order whose detail cannot be had, if that is news and nothing better is known.
    pub(super) fn tell_by_row(&self, row: Transaction, print: u64, found: &mut Yield) {
        let mark = print & !BITS | MARKED | ROW_ONLY;
        let is_news = self.memory.find(Resource::Order, &row.external_id).is_none_or(|known| {
            let changed = known.vanished || (known.mark ^ mark) & !BITS != 0;
            known.mark & ROW_ONLY != 0 && changed
        });
        if is_news && row.kind != Kind::Void {
            found.marks.insert((Resource::Order, row.external_id.clone()), mark);
            found.transactions.push(row);
        }
    }

    /// The gap that an order stood for, if no other order of that second still does.
    fn readable_again(&mut self, task: &Task) -> Option<Gap> {
        let given_up = self.bad.remove(&task.id);
        // Without a memory of it, it may have been given up before the last start.
        let gap = unreadable(given_up.and_then(|bad| bad.at).or(task.at)?);
        if self.bad.values().any(|bad| bad.at.is_some_and(|at| unreadable(at) == gap)) {
            return None;
        }
        let place = self.open_gaps.iter().position(|open| *open == gap)?;
        Some(self.open_gaps.remove(place))
    }

    /// Its detail need not be read again before its row is another.
    fn put_aside(&mut self, id: &str, print: Option<u64>) {
        if self.put_aside.len() < REMEMBERED_MAX {
            self.put_aside.insert(id.to_owned(), print.unwrap_or(0));
        }
    }

    fn pop(&mut self, slot: Slot) -> Option<(Walk, Task)> {
        let mut walk = self.slot(slot).take()?;
        let task = walk.pop();
        if task.is_none() {
            *self.slot(slot) = Some(walk);
            return None;
        }
        Some((walk, task?))
    }
}

fn unreadable(at: DateTime<Utc>) -> Gap {
    let from = whole_second(at);
    Gap { from, to: from + TimeDelta::seconds(1), reason: GapReason::Unreadable }
}
