//! The newest rows: whether they are the newest, all there are, and joined to those of before.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    super::{
        list::{Listed, Order},
        pace::fresh,
    },
    Documented, OLDEST_FIRST, RECENT, whole_second, yield_of,
};
use crate::{
    gap::{Gap, GapReason},
    health::Condition,
    pos::{connector::Yield, http::Answer, olsera::requests::LIMIT_ROWS, page::Page},
    transaction::Resource,
};

/// A full list that is older than what was read before, by this much and at so many polls, does not show what is new.
const STALE: (TimeDelta, u32) = (TimeDelta::hours(1), 3);

/// A list that is cut to fewer rows is no list.
const CUT_ROWS_MIN: usize = 10;

impl Documented {
    pub(super) fn take_newest(
        &mut self,
        asked_at: DateTime<Utc>,
        answer: &Answer,
        now: DateTime<Utc>,
    ) -> Result<Yield, String> {
        let page = match self.parse(answer, now) {
            Ok(page) => page,
            Err(fault) => return self.take_broken(asked_at, answer, &fault, now),
        };
        self.broken[0] = 0;
        self.pages.answered();
        let limit = self.limit(&page, now);
        let listed = Listed::of(&page, &self.context.source_zone, limit.min(self.pages.rows(now)));
        if listed.full && page.records.is_empty() {
            return Err("expected sales that can be read in the list `data`, found none".to_owned());
        }
        let fresh_rows = fresh(&page.records, |id| self.memory.find(Resource::Transaction, id).is_some());
        let is_known = fresh_rows < page.records.len();
        if self.is_unreliable(&page, &listed) {
            self.joined = false;
            self.due = now + self.pace.hurry();
            let text = format!("olsera GET /transactions: expected the newest sales first; {OLDEST_FIRST}");
            let conditions = vec![(Condition::ListUnreliable, Some(text))];
            return Ok(Yield { conditions, ..yield_of(page) });
        }
        if limit < self.cursor.limit {
            // What was taken for all there is was not.
            self.cursor.back = true;
        } else if limit > self.cursor.limit {
            // It was no limit, or is none any more: what it ruled out may be tried.
            self.cursor.history = None;
        }
        self.cursor.limit = limit;
        // Of a list that was full once, fewer rows are all only if something of before is among them.
        let whole = !listed.full && (is_known || !self.cursor.ever_full);
        // Nor do they show that nothing lies before them.
        let from = if listed.full || self.cursor.ever_full { listed.reach() } else { Some(DateTime::<Utc>::MIN_UTC) };
        self.cursor.ever_full |= listed.full;
        let mut found = Yield { conditions: vec![(Condition::ListUnreliable, None)], ..Yield::default() };
        found.gaps_closed = self.close_gaps(from);
        // Neither our clock nor the server's may let the watermark pass what was not there to be seen.
        let seen_at = whole_second(answer.date.map_or(asked_at, |date| date.min(asked_at)));
        self.joined = whole || is_known || self.cursor.watermark.is_none();
        let every = if self.joined { self.pace.learn(&page, &listed, fresh_rows, asked_at) } else { self.pace.hurry() };
        if !self.joined
            && let Some(to) = listed.oldest_ends
        {
            // Late uploads may make the old newest row younger than all of these.
            let newest = self.cursor.newest.or(self.cursor.watermark).unwrap_or(to);
            let from = listed.oldest.map_or(newest, |oldest| oldest.min(newest));
            found.gaps_opened.extend(self.open_gap(Gap { from, to, reason: GapReason::NoOverlap }));
        }
        found.gaps_opened.extend(self.look_back(from, &listed, &page, now));
        if let Some(from) = from {
            self.cursor.readings.note(from.max(self.cursor.target), seen_at, seen_at);
        }
        self.cursor.watermark = self.cursor.watermark.max(Some(seen_at));
        self.cursor.newest = self.cursor.newest.max(listed.newest.map(|newest| newest.min(seen_at)));
        let ids = page.records.iter().map(|record| record.external_id.clone());
        let asides = page.quarantined.iter().filter_map(|aside| aside.external_id.clone());
        self.shown = (ids.chain(asides).collect(), asked_at);
        if now >= self.look_due {
            found.vanished = from.map(|from| self.vanished(from, &self.shown.0.clone(), seen_at)).unwrap_or_default();
            self.look_due = now + RECENT.1;
        }
        self.due = now + every;
        Ok(Yield { transactions: page.records, quarantined: page.quarantined, ..found })
    }

    /// Rows that an answer holds at most. A list that gives up its oldest row for each new one is full, however few they
    /// are; one that grows beyond a limit has another.
    pub(super) fn limit(&self, page: &Page, now: DateTime<Utc>) -> usize {
        if self.pages.rows(now) < LIMIT_ROWS {
            return self.cursor.limit;
        }
        if page.rows > self.cursor.limit {
            return LIMIT_ROWS;
        }
        let (before, _) = &self.shown;
        let oldest = page.records.iter().map(|record| record.timestamp.to_utc()).min();
        let ids: HashSet<_> = page.records.iter().map(|record| &record.external_id).collect();
        let mut lost = before.iter().filter(|id| !ids.contains(id)).peekable();
        let fell = |id: &String| {
            let known = self.memory.find(Resource::Transaction, id);
            known.zip(oldest).is_some_and(|(known, oldest)| known.at <= oldest)
        };
        let is_cut = page.rows >= CUT_ROWS_MIN && page.rows == before.len() && lost.peek().is_some() && lost.all(fell);
        if is_cut { page.rows } else { self.cursor.limit }
    }

    /// Whether this answer, though full, need not hold the newest rows.
    pub(super) fn is_unreliable(&mut self, page: &Page, listed: &Listed) -> bool {
        let advanced = self.cursor.newest.is_some_and(|before| listed.newest.is_some_and(|newest| newest > before));
        // Only if the one before was full, too, did an old row make room for a new one.
        let moved = advanced && self.shown.0.len() >= self.cursor.limit;
        self.cursor.turned |= listed.full && listed.order == Order::OldestFirst && moved;
        let behind = self.cursor.newest.is_some_and(|before| listed.newest.is_none_or(|n| n < before - STALE.0));
        self.stale = if listed.full && behind { self.stale.saturating_add(1) } else { 0 };
        let turned = listed.full && listed.order == Order::OldestFirst && !self.cursor.turned;
        // A list that was full and is empty shows nothing at all.
        let emptied = page.rows == 0 && self.cursor.ever_full;
        self.unreliable = turned || emptied || self.stale >= STALE.1;
        self.unreliable
    }
}
