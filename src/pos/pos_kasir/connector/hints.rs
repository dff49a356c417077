//! What is learnt beside the list: the activity log, which an admin may read, and whether the source was reset.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use super::{PosKasir, due::LOG_EVERY};
use crate::{
    health::Condition,
    pos::{
        body::Body,
        connector::{RESCAN_HORIZON, Yield},
        http::Answer,
        pos_kasir::{
            parse::{LogEntry, Orders, parse_log, parse_order},
            walk::Task,
        },
    },
    transaction::{Kind, Resource},
};

/// How far back the log is read at first, and again after a start: entries are written a little after the answer.
const LOG_BACK: TimeDelta = TimeDelta::hours(48);
const LOG_OVERLAP: TimeDelta = TimeDelta::hours(1);

/// Pages of the log in one reading.
const LOG_PAGES_MAX: u64 = 10;

/// The hourly walk sees changes of orders that are younger than this; older ones are for the log to tell.
const SEEN_HOURLY: TimeDelta = TimeDelta::hours(47);

/// Refunds of which the log told and whose orders were not read yet.
const REFUNDS_MAX: usize = 1_000;

/// Orders that wait to be read by themselves.
const HINTS_MAX: usize = 500;

/// Stored orders that a source must not know to be taken for reset.
const PROBES: usize = 5;

/// A source that was reset is asked again after this; one that was not is trusted for as long.
const PROBE_WAIT: TimeDelta = TimeDelta::minutes(5);

const RESET: &str = "pos-kasir GET /orders: expected orders that are stored, found none of them: the source's database \
                     was reset, or the base-url leads to another server; nothing is read or deleted until they are \
                     there again; if the shop began anew, give it a connection of a new name";

/// How far the activity log is read.
#[derive(Debug)]
pub(in crate::pos::pos_kasir) struct LogReading {
    pub due: DateTime<Utc>,
    pub page: u64,
    /// When the first page of this reading was asked for.
    pub begun: DateTime<Utc>,
    /// The user may not read it.
    pub refused: bool,
    /// What was answered last is no log.
    pub is_unreadable: bool,
    /// Orders of whose refund it told, with its time.
    pub refunds: BTreeMap<String, DateTime<Utc>>,
    begins: bool,
}

impl LogReading {
    pub fn new(now: DateTime<Utc>) -> Self {
        Self {
            due: now,
            page: 1,
            begun: now,
            refused: false,
            is_unreadable: false,
            refunds: BTreeMap::new(),
            begins: true,
        }
    }
}

/// Stored orders that are asked for one by one, to see whether the source was reset.
#[derive(Debug)]
pub(in crate::pos::pos_kasir) struct Probe {
    pub ids: VecDeque<String>,
    gone: Vec<String>,
    /// One of them could not be had, which tells nothing.
    is_undecided: bool,
}

impl PosKasir {
    pub(in crate::pos::pos_kasir) fn log_from(&self) -> DateTime<Utc> {
        let overlap = if self.log.begins { LOG_OVERLAP } else { TimeDelta::minutes(1) };
        self.cursor.log_read_to.map_or(self.log.begun - LOG_BACK, |read| read - overlap)
    }

    pub(super) fn take_log(&mut self, answer: &Answer, now: DateTime<Utc>) {
        if answer.status != 200 {
            self.log.refused = true;
            return;
        }
        let Ok(log) = parse_log(&answer.body, &self.context) else {
            // It is only a hint: what it would have told is found at night, and nothing waits for it.
            (self.log.page, self.log.due, self.log.is_unreadable) = (1, now + LOG_EVERY, true);
            return;
        };
        self.log.is_unreadable = false;
        if self.log.page == 1 {
            // Its entries have the server's time.
            self.log.begun = answer.date.map_or(self.log.begun, |date| date.min(self.log.begun));
        }
        let from = self.log_from();
        let passed = log.entries.iter().any(|entry| entry.at < from);
        for entry in log.entries.into_iter().filter(|entry| entry.at >= from) {
            self.take_entry(entry, now);
        }
        if log.is_last || passed || self.log.page >= LOG_PAGES_MAX {
            self.cursor.log_read_to = Some(self.log.begun);
            (self.log.page, self.log.due, self.log.begins) = (1, now + LOG_EVERY, false);
        } else {
            self.log.page += 1;
        }
    }

    /// An order is worth another look where the walks would not see the change within the hour, or cannot tell it from
    /// another: a refund of what was never seen paid.
    fn take_entry(&mut self, entry: LogEntry, now: DateTime<Utc>) {
        let known = self.memory.find(Resource::Order, &entry.order);
        if entry.is_refund && known.as_ref().is_none_or(|known| known.kind != Kind::Sale) {
            if self.log.refunds.len() >= REFUNDS_MAX
                && let Some(oldest) = self.log.refunds.iter().min_by_key(|(_, at)| **at).map(|(id, _)| id.clone())
            {
                self.log.refunds.remove(&oldest);
            }
            self.log.refunds.insert(entry.order.clone(), entry.at);
        }
        let Some(known) = known else { return };
        let undecided = entry.is_refund && known.kind != Kind::Sale;
        let old = known.at < now - SEEN_HOURLY;
        let waits = self.hints.iter().any(|task| task.id == entry.order);
        if (undecided || old) && !waits && self.hints.len() < HINTS_MAX {
            self.hints.push_back(Task { at: Some(known.at), ..Task::of_id(entry.order, None) });
        }
    }

    /// A first page on which no order is known, though some should be: which to ask for.
    pub(super) fn signs_of_a_reset(&self, orders: &Orders, now: DateTime<Utc>) -> Option<VecDeque<String>> {
        if now < self.trusted_until || self.cursor.watermark.is_none() {
            return None;
        }
        let known = |id: &String| self.memory.find(Resource::Order, id).is_some();
        if orders.page.records.iter().any(|row| known(&row.external_id)) {
            return None;
        }
        self.sample(now)
    }

    /// Some of the orders that were stored lately; `None` where they are too few to prove anything.
    pub(super) fn sample(&self, now: DateTime<Utc>) -> Option<VecDeque<String>> {
        let mut known = self.memory.between(now - RESCAN_HORIZON, now + TimeDelta::days(1));
        known.retain(|known| known.resource == Resource::Order && !known.vanished);
        known.sort_by_key(|known| known.at);
        let step = known.len() / PROBES;
        let spread = known.into_iter().step_by(step.max(1)).take(PROBES).map(|known| known.external_id);
        (step > 0).then(|| spread.collect())
    }

    /// Asks for these orders before anything else; gives the first.
    pub(in crate::pos::pos_kasir) fn begin_probe(&mut self, ids: VecDeque<String>) -> String {
        let first = ids.front().cloned().unwrap_or_default();
        self.probe = Some(Probe { ids, gone: Vec::new(), is_undecided: false });
        first
    }

    pub(super) fn take_probe(&mut self, id: &str, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        // A web page of some front says nothing about an order.
        Body::open(&answer.body).map_err(|fault| fault.to_string())?;
        let is_there = answer.status == 200;
        if is_there && parse_order(&answer.body, &self.context, &self.shop.methods()).is_err() {
            self.probe_undecided(now);
            return Ok(Yield::default());
        }
        let Some(probe) = self.probe.as_mut() else { return Ok(Yield::default()) };
        probe.ids.pop_front();
        if !is_there {
            probe.gone.push(id.to_owned());
        }
        let was_reset = self.cursor.reset.is_some();
        if !is_there && probe.ids.is_empty() && probe.is_undecided {
            self.end_undecided(now);
            return Ok(Yield::default());
        }
        if is_there || probe.ids.is_empty() && probe.gone.len() < PROBES && !was_reset {
            // It is the same source: those that it does not know have vanished one by one.
            let gone = std::mem::take(&mut probe.gone);
            self.probe = None;
            self.cursor.reset = None;
            self.trusted_until = now + PROBE_WAIT;
            let vanished = gone.iter().flat_map(|id| self.vanished(id)).collect();
            return Ok(Yield { vanished, conditions: vec![(Condition::PosReset, None)], ..Yield::default() });
        }
        if probe.ids.is_empty() {
            self.cursor.reset = Some(std::mem::take(&mut probe.gone));
            self.probe = None;
            self.reset_due = now + PROBE_WAIT;
            self.newest_complete = false;
            (self.newest, self.background) = (None, None);
            let condition = (Condition::PosReset, Some(RESET.to_owned()));
            return Ok(Yield { conditions: vec![condition], ..Yield::default() });
        }
        Ok(Yield::default())
    }

    /// What was asked for could not be had although the server answers: the next one may tell.
    pub(super) fn probe_undecided(&mut self, now: DateTime<Utc>) {
        let Some(probe) = self.probe.as_mut() else { return };
        probe.ids.pop_front();
        probe.is_undecided = true;
        if probe.ids.is_empty() {
            self.end_undecided(now);
        }
    }

    /// It is not known whether the source was reset: what was held so far is, for a while.
    fn end_undecided(&mut self, now: DateTime<Utc>) {
        self.probe = None;
        (self.reset_due, self.trusted_until) = (now + PROBE_WAIT, now + PROBE_WAIT);
    }
}
