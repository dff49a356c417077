//! What is to be asked now: the session first, then who it is, then whichever walk is due.

use chrono::{DateTime, TimeDelta, Timelike, Utc};

use super::{Asked, PosKasir, Slot, unlisted::is_of_pages};
use crate::gap::Gap;
use crate::pos::{
    connector::RESCAN_HORIZON,
    narrow::Position,
    pos_kasir::{
        requests,
        session::SessionAsk,
        shop::{Shop, ShopAsk},
        walk::{FAILS_MAX, Need, OVERLAP, Purpose, Task, Walk, whole_second},
    },
    request::Request,
};

/// Further behind than this, the newest page is read first and what lies between follows.
const FAR: TimeDelta = TimeDelta::hours(2);

/// The recent walk: how far back, and how often.
const RECENT: (TimeDelta, TimeDelta) = (TimeDelta::hours(48), TimeDelta::hours(1));

/// Local hour after which the nightly walk is due.
const NIGHT_HOUR: u32 = 3;

/// The activity log is read this often.
pub const LOG_EVERY: TimeDelta = TimeDelta::minutes(5);

impl PosKasir {
    /// The next question.
    ///
    /// # Errors
    /// Nothing is to be asked before this instant.
    pub(super) fn choose(&mut self, now: DateTime<Utc>) -> Result<Asked, DateTime<Utc>> {
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return Err(until);
        }
        if let Some(ask) = self.session.due(now)? {
            return Ok(Asked::Session(ask));
        }
        if let Some(ask) = self.shop.due(now)? {
            return Ok(Asked::Shop(ask));
        }
        if let Some(id) = self.probe.as_ref().and_then(|probe| probe.ids.front()) {
            // As with details: an outage decides nothing, and is no reason to go on.
            return Ok(if self.answered { Asked::Probe(id.clone()) } else { Asked::Shop(ShopAsk::Me) });
        }
        if let Some(ids) = &self.cursor.reset {
            if now < self.reset_due {
                return Err(self.reset_due);
            }
            let ids = ids.iter().cloned().collect();
            let probe = self.begin_probe(ids);
            return Ok(Asked::Probe(probe));
        }
        self.choose_walk(now)
    }

    fn choose_walk(&mut self, now: DateTime<Utc>) -> Result<Asked, DateTime<Utc>> {
        if self.newest.is_none() && self.is_newest_turn(now) {
            self.newest = Some(self.plan_newest(now).at(Position::begin(&self.narrow, now)));
            self.turns = (0, 0);
        }
        let mut until = if self.newest.is_none() { self.newest_due } else { now + TimeDelta::minutes(1) };
        match self.ask_of(Slot::Newest, now) {
            Some(Ok(asked)) => {
                self.turns.0 = self.turns.0.saturating_add(1);
                return Ok(asked);
            }
            Some(Err(blocked)) => until = until.min(blocked),
            None => {}
        }
        if self.shop.is_admin() && !self.log.refused {
            if now >= self.log.due {
                if self.log.page == 1 {
                    self.log.begun = now;
                }
                return Ok(Asked::Log { page: self.log.page });
            }
            until = until.min(self.log.due);
        }
        if self.background.is_none() {
            let position = Position::begin(&self.narrow, now);
            self.background = self.plan_background(now).map(|walk| walk.at(position));
        }
        match self.ask_of(Slot::Background, now) {
            Some(Ok(asked)) => {
                self.turns.1 = self.turns.1.saturating_add(1);
                return Ok(asked);
            }
            Some(Err(blocked)) => until = until.min(blocked),
            None => {}
        }
        // Whatever was due and could not be asked, is asked in a moment.
        Err(until.max(now + TimeDelta::seconds(1)))
    }

    /// What a walk asks, or until when it is blocked. A detail that failed is asked again only after another answer
    /// has shown that the server is well: else an outage would look like so many bad orders.
    fn ask_of(&self, slot: Slot, now: DateTime<Utc>) -> Option<Result<Asked, DateTime<Utc>>> {
        let walk = match slot {
            Slot::Newest => self.newest.as_ref()?,
            Slot::Background => self.background.as_ref()?,
        };
        Some(match walk.need(now) {
            Need::Wait(until) => Err(until),
            Need::Page(place) => Ok(Asked::Page { slot, place, at: now }),
            Need::Detail(_) if !self.answered => Ok(Asked::Shop(ShopAsk::Me)),
            Need::Detail(id) => Ok(Asked::Detail { slot, id }),
        })
    }

    fn is_newest_turn(&self, now: DateTime<Utc>) -> bool {
        let (newest, others) = self.turns;
        now >= self.newest_due && (self.background.is_none() || others >= newest)
    }

    /// From the newest on, until it meets what was read. Far behind, only the first page: the newest sales come first,
    /// and what lies between follows as an island is joined.
    fn plan_newest(&self, now: DateTime<Utc>) -> Walk {
        let near = self.cursor.read_to().filter(|read| now - *read <= FAR);
        Walk::new(Purpose::Newest, now, near.map(|read| read - OVERLAP))
    }

    /// The most pressing of what lies further back, if any is due.
    fn plan_background(&mut self, now: DateTime<Utc>) -> Option<Walk> {
        let again = self.bad.iter_mut().filter(|(_, bad)| bad.retry <= now);
        for (id, bad) in again {
            bad.retry = now + RECENT.1;
            self.hints.push_back(Task { at: bad.at, fails: FAILS_MAX - 1, ..Task::of_id(id.clone(), None) });
        }
        if !self.hints.is_empty() {
            return Some(Walk::single(now, std::mem::take(&mut self.hints)));
        }
        let walk = |purpose, stop| Some(Walk::new(purpose, now, Some(stop)));
        self.held.retain(|(_, until)| *until > now);
        let is_held = |purpose| self.held.iter().any(|(held, _)| *held == purpose);
        if !is_held(Purpose::Recent) && self.recent_read.is_none_or(|read| now - read >= RECENT.1) {
            return walk(Purpose::Recent, (now - RECENT.0).max(self.floor(now)));
        }
        if let (Some(_), Some(watermark), false) = (self.cursor.ahead, self.cursor.watermark, is_held(Purpose::CatchUp))
        {
            return walk(Purpose::CatchUp, watermark - OVERLAP);
        }
        if self.cursor.watermark.is_some() && self.cursor.has_older() && !is_held(Purpose::Backfill) {
            return walk(Purpose::Backfill, self.cursor.target);
        }
        let local = self.context.outlet_zone.local(now);
        let is_night = local.hour() >= NIGHT_HOUR && self.cursor.nightly_read != Some(local.date_naive());
        if is_night && !is_held(Purpose::Nightly) {
            return walk(Purpose::Nightly, self.floor(now));
        }
        None
    }

    /// What is older is not looked at: the store does not remember it. What is still to be read is no such.
    pub(super) fn floor(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let floor = whole_second(now - self.backfill.max(RESCAN_HORIZON));
        let older = self.cursor.has_older().then_some(self.cursor.target);
        // Behind the watermark something always waits: after an outage, all that was sold meanwhile.
        let behind = self.cursor.watermark.map(|watermark| watermark - OVERLAP);
        // Of what could not be listed, the end must not grow out of sight before the begin is read.
        let in_sight = |gap: &&Gap| is_of_pages(gap) && gap.to > floor;
        let unlisted = self.open_gaps.iter().filter(in_sight).map(|gap| gap.from);
        [older, behind].into_iter().flatten().chain(unlisted).fold(floor, DateTime::min)
    }

    pub(super) fn request(&self, asked: &Asked) -> Option<Request> {
        let request = match asked {
            Asked::Session(ask) => return Some(self.session.request(*ask)),
            Asked::Shop(ask) => Shop::request(*ask),
            Asked::Page { place, .. } => requests::orders(*place),
            Asked::Detail { id, .. } | Asked::Probe(id) => requests::order(id).ok()?,
            Asked::Log { page } => requests::activity(self.log_from(), self.log.begun, *page),
        };
        Some(self.session.authorized(request))
    }

    /// Which statuses other than 200 are answers.
    pub(super) fn takes(&self, status: u16) -> bool {
        match &self.asked {
            Some(Asked::Session(SessionAsk::Login)) => matches!(status, 400 | 404),
            Some(Asked::Shop(ShopAsk::Branding) | Asked::Detail { .. } | Asked::Probe(_)) => status == 404,
            Some(Asked::Log { .. }) => matches!(status, 403 | 404),
            _ => false,
        }
    }
}
