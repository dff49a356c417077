//! The details of the orders that a list shows as new or changed, and the search for those that none shows any more.

use chrono::{DateTime, TimeDelta, Timelike, Utc};

use super::{FAILURES_MAX, LOOKS_APART, OpenApi, REMEMBERED_MAX, Slot, Stuck, UNKNOWN_FIELDS_MAX};
use crate::{
    gap::{Gap, GapReason},
    pos::{
        connector::{RESCAN_HORIZON, Yield},
        http::{Answer, Failure},
        olsera::{
            open_api::{
                day::{Day, Purpose, Wanted},
                parse::parse_order,
            },
            requests::List,
        },
        page::Interval,
    },
    transaction::Resource,
};

/// Between two details: public clients that asked faster were refused some.
const DETAILS_APART: TimeDelta = TimeDelta::milliseconds(200);

impl OpenApi {
    /// Which details are to be read.
    pub(super) fn choose(&self, day: &mut Day, now: DateTime<Utc>) {
        for (id, (list, row)) in &day.rows {
            let waits = self.stuck.get(id).is_some_and(|stuck| now < stuck.due);
            // One that is put aside may be stored from before.
            let is_aside = self.aside.get(id) == Some(&row.mark);
            let known = self.memory.find(Resource::Transaction, id);
            let is_news = known.is_none_or(|known| known.mark != row.mark || known.vanished);
            if is_news && !is_aside && !waits {
                let (id, at) = (id.clone(), row.at);
                day.wanted.push_back(Wanted { id, list: *list, mark: Some(row.mark), at, tried_other: false });
            }
        }
        if day.purpose == Purpose::Newest || day.is_short() || day.strayed {
            return;
        }
        let (from, to) = self.bounds(day.date);
        let stored = self.memory.between(from, to.min(day.begun)).into_iter();
        for known in stored.filter(|known| !known.vanished && !day.rows.contains_key(&known.external_id)) {
            // One that is not paid any more stands among the open ones, but is in no list that is asked for.
            let (id, at) = (known.external_id, Some(known.at));
            day.wanted.push_back(Wanted { id, list: List::Open, mark: None, at, tried_other: false });
        }
    }

    pub(super) fn take_order(&mut self, slot: Slot, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        self.context.observed_at = now;
        self.details_due = now + DETAILS_APART;
        let Some(wanted) = self.slot(slot).as_ref().and_then(|day| day.wanted.front()).cloned() else {
            return Ok(Yield::default());
        };
        let read = parse_order(&answer.body, &self.context).and_then(|page| {
            let is_it = page.records.iter().all(|record| record.external_id == wanted.id);
            if is_it { Ok(page) } else { Err("expected the order that was asked for, found another".to_owned()) }
        });
        let mut page = match read {
            Ok(page) => page,
            Err(fault) if self.fails_for_good(&wanted, "unreadable") => {
                tracing::warn!(connection = self.context.connection, "olsera: an order's details: {fault}");
                return Ok(self.give_up(slot, &wanted, now));
            }
            Err(fault) => return Err(fault),
        };
        self.answered();
        for field in &page.unknown_fields {
            if self.unknown_fields.len() < UNKNOWN_FIELDS_MAX && self.unknown_fields.insert(field.clone()) {
                let connection = &self.context.connection;
                tracing::info!(connection, field, "olsera: a field that this version does not know");
            }
        }
        self.stuck.remove(&wanted.id);
        self.missing.remove(&wanted.id);
        let mut found = Yield::default();
        match wanted.mark {
            Some(mark) if page.records.is_empty() => {
                if self.aside.len() >= REMEMBERED_MAX {
                    self.aside.pop_first();
                }
                self.aside.insert(wanted.id.clone(), mark);
            }
            Some(mark) => {
                self.aside.remove(&wanted.id);
                found.marks.insert((Resource::Transaction, wanted.id.clone()), mark);
            }
            // Whatever a list shows of it later is news, unless it is only listed under another day than its time's.
            None => {
                let known = self.memory.find(Resource::Transaction, &wanted.id);
                let is_same = page.records.iter().any(|record| {
                    known.as_ref().is_some_and(|known| (known.kind, known.amount) == (record.kind, record.amount))
                });
                if !is_same {
                    found.marks.insert((Resource::Transaction, wanted.id.clone()), 0);
                }
            }
        }
        let (from, to) = self.bounds(self.date_in(slot, now));
        let second = wanted.at.map(|at| Interval { from: at, to: at + TimeDelta::seconds(1) });
        page.met_within(second.unwrap_or(Interval { from, to }));
        found.transactions = page.records;
        found.quarantined = page.quarantined;
        self.pop(slot, now, &mut found);
        Ok(found)
    }

    fn fails_for_good(&mut self, wanted: &Wanted, how: &str) -> bool {
        // One that was given up before is tried once.
        let most = if self.stuck.contains_key(&wanted.id) { 1 } else { FAILURES_MAX };
        self.lasts(format!("{} {how}", wanted.id), most)
    }

    /// This order's details cannot be read: a gap, and on with the next.
    fn give_up(&mut self, slot: Slot, wanted: &Wanted, now: DateTime<Utc>) -> Yield {
        self.failures = (String::new(), 0);
        let mut found = Yield::default();
        let date = self.date_in(slot, now);
        if wanted.mark.is_some() && (self.stuck.len() < REMEMBERED_MAX || self.stuck.contains_key(&wanted.id)) {
            // The list may tell only the day.
            let second = wanted.at.filter(|at| self.day_of(*at) == date).and_then(|at| at.with_nanosecond(0));
            let (from, to) = second.map_or_else(|| self.bounds(date), |at| (at, at + TimeDelta::seconds(1)));
            let gap = Gap { from, to, reason: GapReason::Unreadable };
            self.stuck.insert(wanted.id.clone(), Stuck { gap: gap.clone(), due: now + LOOKS_APART });
            found.gaps_opened.extend(self.open_gap(gap));
        }
        self.pop(slot, now, &mut found);
        found
    }

    /// An order that stands in no list has no details either.
    fn not_found(&mut self, slot: Slot, wanted: &Wanted, now: DateTime<Utc>) -> Yield {
        let mut found = Yield::default();
        match self.missing.get(&wanted.id) {
            Some((since, _)) if now - *since >= LOOKS_APART => {
                self.missing.remove(&wanted.id);
                found.vanished.push((Resource::Transaction, wanted.id.clone()));
            }
            Some(_) => {}
            None => {
                self.missing.retain(|_, (since, _)| now - *since < RESCAN_HORIZON);
                let date = self.date_in(slot, now);
                self.missing.insert(wanted.id.clone(), (now, date));
            }
        }
        self.pop(slot, now, &mut found);
        found
    }

    /// An order is done with.
    fn pop(&mut self, slot: Slot, now: DateTime<Utc>, found: &mut Yield) {
        if let Some(day) = self.slot(slot) {
            day.wanted.pop_front();
        }
        self.finish(slot, now, found);
    }

    pub(super) fn order_failed(&mut self, slot: Slot, failure: &Failure, now: DateTime<Utc>) -> Option<Yield> {
        let day = self.slot(slot).as_mut()?;
        let wanted = day.wanted.front_mut()?;
        let is_nowhere = *failure == Failure::Unexpected(404);
        if is_nowhere && !wanted.tried_other {
            // It has moved from one list to the other, perhaps.
            (wanted.list, wanted.tried_other) = (wanted.list.other(), true);
            return Some(Yield::default());
        }
        let tried = wanted.clone();
        if is_nowhere && wanted.mark.is_none() {
            return Some(self.not_found(slot, &tried, now));
        }
        if is_nowhere {
            (wanted.list, wanted.tried_other) = (wanted.list.other(), false);
        }
        let is_its_own =
            matches!(failure, Failure::Trouble(_) | Failure::TooSlow(_) | Failure::Unexpected(_) | Failure::TooLarge);
        let lasts = is_its_own && self.fails_for_good(&tried, &failure.to_string());
        lasts.then(|| self.give_up(slot, &tried, now))
    }
}
