//! What lies behind the newest rows: the ways to it that are tried, and the walks by the one that was found.

use chrono::{DateTime, Timelike, Utc};

use super::{
    super::{
        cursor::History,
        history::{Probing, Stage, Walk, bounds},
        list::Listed,
    },
    Documented, PROBE_AGAIN, RECENT, is_ours, whole_second, yield_of,
};
use crate::{
    gap::{Gap, GapReason},
    pos::{
        connector::{RESCAN_HORIZON, Yield},
        http::Answer,
        olsera::requests::LIMIT_ROWS,
        page::Page,
    },
    transaction::Resource,
};

/// Local hour after which the week is read again, where there is a way back.
const NIGHT_HOUR: u32 = 3;

impl Documented {
    /// What there is before the newest rows: all of it was shown, or is walked to, or is lost.
    pub(super) fn look_back(
        &mut self,
        from: Option<DateTime<Utc>>,
        listed: &Listed,
        page: &Page,
        now: DateTime<Utc>,
    ) -> Option<Gap> {
        if self.cursor.back && from.is_some_and(|from| from <= self.cursor.target) {
            self.reached_target();
        }
        self.cursor.since = self.cursor.since.or(listed.oldest_ends).or(self.cursor.watermark);
        let wanted = self.cursor.back || self.open_gaps.iter().any(is_ours);
        if listed.full && self.cursor.limit < LIMIT_ROWS {
            // How a server that gives fewer rows than it is asked for counts its pages, nobody can tell.
            self.cursor.history = Some(History::Closed);
        } else if self.cursor.history == Some(History::Closed) && listed.full && wanted && now >= self.probe_due {
            (self.cursor.history, self.probe_due) = (None, now + PROBE_AGAIN);
        }
        match self.cursor.history {
            None if listed.full && wanted && self.probing.is_none() => {
                self.probing = Some(Probing::of(page, &self.context.source_zone));
                None
            }
            // With fewer rows than were once there, no way can be tried.
            None if !listed.full && self.joined && self.cursor.back => self.give_up_before(listed.oldest_ends),
            Some(History::Closed) if self.cursor.back => self.give_up_before(listed.oldest_ends),
            _ => None,
        }
    }

    pub(super) fn take_probe(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        let page = match self.parse(answer, now) {
            Ok(page) => page,
            // An error that comes as a success is one all the same.
            Err(_) if self.probing.as_mut().is_some_and(|probing| probing.failed(false)) => {
                return Ok(Yield { gaps_opened: self.probed(), ..Yield::default() });
            }
            Err(fault) => return Err(fault.to_string()),
        };
        let Some(probing) = &mut self.probing else { return Ok(yield_of(page)) };
        if let Some(way) = probing.take(&page) {
            self.cursor.history = Some(way);
            (self.probing, self.walk_due) = (None, now);
        }
        let gaps_opened = self.probed();
        Ok(Yield { gaps_opened, ..yield_of(page) })
    }

    /// All was tried: there is no way.
    pub(super) fn probed(&mut self) -> Vec<Gap> {
        if self.probing.as_ref().is_none_or(|probing| probing.next().is_some()) {
            return Vec::new();
        }
        self.probing = None;
        self.cursor.history = Some(History::Closed);
        if self.cursor.back { self.give_up_before(self.cursor.since).into_iter().collect() } else { Vec::new() }
    }

    /// The most pressing way back, if there is one and any is due.
    pub(super) fn plan_walk(&mut self, now: DateTime<Utc>) -> Option<Walk> {
        let way = self.cursor.way().filter(|_| self.joined && now >= self.walk_due)?;
        let local = self.context.outlet_zone.local(now);
        let reachable = |from: DateTime<Utc>| from.max(self.cursor.target);
        let gap = self.open_gaps.iter().filter(|gap| is_ours(gap)).map(|gap| gap.from).min();
        let until = if self.cursor.back {
            self.cursor.target
        } else if self.recent_read.is_none_or(|read| now - read >= RECENT.1) {
            let missing = self.missing.values().map(|(_, at)| *at);
            let from = missing.chain(gap).fold(now - RECENT.0, DateTime::min);
            self.recent_read = Some(now);
            reachable(from)
        } else if local.hour() >= NIGHT_HOUR && self.nightly_read != local.date_naive() {
            self.nightly_read = local.date_naive();
            reachable(now - RESCAN_HORIZON)
        } else {
            return None;
        };
        let (newest, begun) = self.shown.clone();
        let at = |id: &String| self.memory.find(Resource::Transaction, id).map(|known| known.at);
        let oldest = newest.iter().filter_map(at).min();
        let mut walk = Walk::new(way, until, newest, begun, &self.context.source_zone);
        walk.oldest = oldest;
        Some(walk)
    }

    pub(super) fn take_walk(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        let (page, spoilt) = match self.parse(answer, now) {
            Ok(page) => (page, None),
            Err(fault) => (self.readable(1, answer, &fault)?, Some(fault.to_string())),
        };
        if spoilt.is_none() {
            self.broken[1] = 0;
        }
        let zone = self.context.source_zone.clone();
        let stage = self.walk.as_mut().map_or(Stage::Lost, |walk| walk.take(&page, spoilt, &zone));
        let mut found = yield_of(page);
        let walk = match stage {
            Stage::On => return Ok(found),
            Stage::Done | Stage::Lost => self.walk.take(),
        };
        let Some(walk) = walk.filter(|_| stage == Stage::Done) else {
            self.lost += 1;
            if self.lost >= 5 {
                // The rows move faster than they are read, or the way is none: for now it is not gone.
                (self.lost, self.walk_due) = (0, now + RECENT.1);
            }
            return Ok(found);
        };
        self.lost = 0;
        if walk.ended && self.has_older(&walk) {
            // The list is cut somewhere: what lies before cannot be had this way either.
            self.cursor.history = Some(History::Closed);
            found.gaps_opened.extend(self.give_up_before(walk.oldest));
            return Ok(found);
        }
        if self.cursor.back && walk.until <= self.cursor.target {
            self.reached_target();
        }
        for day in &walk.cut {
            let (from, to) = bounds(*day, &zone);
            found.gaps_opened.extend(self.open_gap(Gap { from, to, reason: GapReason::Truncated }));
        }
        for (place, fault) in &walk.spoilt {
            self.open_spoilt(*place, fault, &mut found);
        }
        let is_cut = |gap: &Gap| {
            walk.cut.iter().any(|day| overlaps(gap, bounds(*day, &zone)))
                || walk.spoilt.iter().any(|(place, _)| overlaps(gap, *place))
        };
        let closed = |gap: &Gap| is_ours(gap) && walk.until <= gap.from && gap.to <= walk.begun && !is_cut(gap);
        found.gaps_closed = self.open_gaps.extract_if(.., |gap| closed(gap)).collect();
        if walk.cut.is_empty() && walk.spoilt.is_empty() {
            self.cursor.readings.note(walk.until, whole_second(walk.begun), whole_second(walk.begun));
            found.vanished = self.vanished(walk.until, &walk.seen, whole_second(walk.begun));
        }
        Ok(found)
    }

    /// Whether something is stored from before the end of the list that a walk came to.
    pub(super) fn has_older(&self, walk: &Walk) -> bool {
        let Some(oldest) = walk.oldest else { return false };
        let stored = self.memory.between(oldest - RESCAN_HORIZON, oldest);
        stored.iter().any(|known| !known.vanished && !walk.seen.contains(&known.external_id))
    }
}

fn overlaps(gap: &Gap, (from, to): (DateTime<Utc>, DateTime<Utc>)) -> bool {
    gap.from < to && from < gap.to
}
