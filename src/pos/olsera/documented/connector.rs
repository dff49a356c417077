//! How the documented list is read without silent holes.
//!
//! - *Who answers*: the merchant's own id, where it is told, must be the configured one; else nothing is read.
//! - *Newest*, at every poll: the newest 100 rows. The answer is joined to the one before if it holds a row that is
//!   stored, or if the list has fewer than 100 rows. If not, the time between the newest row of before and the oldest
//!   row of now is a proven gap, from the second of the one to the end of the second of the other: both seconds may
//!   hold rows that were never shown.
//! - *Back*: what lies behind the newest rows cannot be asked for as documented. Three undocumented ways are tried once
//!   (`history`); without one, what lies before the first answer is a gap for good.
//! - Gaps are closed by an answer that reaches back over them: because rows vanished, or by such a way.
//!
//! Which rows were there before is known from what is stored, so a restart forgets nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use chrono::{DateTime, NaiveDate, TimeDelta, Timelike, Utc};

use super::{
    cursor::{Cursor, History},
    history::{Probing, Stage, Walk, bounds},
    list::{Listed, Order},
    pace::{Pace, fresh},
    parse::{parse_merchant, parse_transactions},
};
use crate::{
    gap::{Gap, GapReason},
    health::Condition,
    pos::{
        connector::{Begin, Connector, Memory, Progress, RESCAN_HORIZON, Step, Terms, Yield},
        http::{Answer, Failure},
        olsera::{
            NO_REFUNDS,
            requests::{LIMIT_ROWS, Part, ask_merchant, ask_transactions},
        },
        page::{Page, ParseContext, Reason},
    },
    secret::Secret,
    transaction::Resource,
};

/// A merchant that is not the configured one is asked again after this long.
const UNFIT_WAIT: TimeDelta = TimeDelta::minutes(5);

/// A clock that is ahead by no more is not distrusted.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// Where there is a way back: how far it is read again, and how often. So often, too, open gaps are asked for, and
/// stored rows that should stand in the list are looked for.
const RECENT: (TimeDelta, TimeDelta) = (TimeDelta::hours(48), TimeDelta::hours(1));

/// Local hour after which the week is read again, where there is a way back.
const NIGHT_HOUR: u32 = 3;

/// A full list that is older than what was read before, by this much and at so many polls, does not show what is new.
const STALE: (TimeDelta, u32) = (TimeDelta::hours(1), 3);

/// A list that is cut to fewer rows is no list.
const CUT_ROWS_MIN: usize = 10;

/// Names of unknown fields that are remembered.
const UNKNOWN_FIELDS_MAX: usize = 32;

const OLDEST_FIRST: &str = "the list shows the oldest sales first and is full: new sales are not seen";

/// What was asked last, and when.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Merchant,
    Newest(DateTime<Utc>),
    Probe,
    Walk,
}

/// The connector for one merchant.
pub struct Documented {
    key: Secret,
    merchant_id: String,
    context: ParseContext,
    memory: Arc<dyn Memory>,
    cursor: Cursor,
    open_gaps: Vec<Gap>,
    /// Who answers, once that is known to be right.
    identity: Option<String>,
    merchant_due: DateTime<Utc>,
    asked: Option<Asked>,
    due: DateTime<Utc>,
    pace: Pace,
    joined: bool,
    unreliable: bool,
    stale: u32,
    /// The rows of the last good answer, and when it was asked for.
    shown: (HashSet<String>, DateTime<Utc>),
    probing: Option<Probing>,
    walk: Option<Walk>,
    /// Times that a walk was lost in a row.
    lost: u32,
    walk_due: DateTime<Utc>,
    recent_read: Option<DateTime<Utc>>,
    nightly_read: NaiveDate,
    /// Stored rows that were missing from a list that should show them: since when, and their times.
    missing: BTreeMap<String, (DateTime<Utc>, DateTime<Utc>)>,
    look_due: DateTime<Utc>,
    unknown_fields: BTreeSet<String>,
}

impl Documented {
    /// A connector that goes on from where the last one stopped.
    #[must_use]
    pub fn new(terms: Terms, begin: Begin, merchant_id: &str) -> Self {
        let Terms { context, poll_every, backfill } = terms;
        let Begin { secret: key, cursor: stored, gaps: open_gaps, memory, now } = begin;
        let stored: Option<Cursor> = stored.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut cursor = stored.unwrap_or_else(|| Cursor::beginning(whole_second(now - backfill)));
        cursor.distrust_the_future(whole_second(now), AHEAD);
        let nightly_read = context.outlet_zone.local(now).date_naive();
        Self {
            key,
            merchant_id: merchant_id.to_owned(),
            context,
            memory,
            cursor,
            open_gaps,
            identity: None,
            merchant_due: now,
            asked: None,
            due: now,
            pace: Pace::new(poll_every),
            joined: false,
            unreliable: false,
            stale: 0,
            shown: (HashSet::new(), now),
            probing: None,
            walk: None,
            lost: 0,
            walk_due: now,
            recent_read: None,
            nightly_read,
            missing: BTreeMap::new(),
            look_due: now,
            unknown_fields: BTreeSet::new(),
        }
    }

    fn take_merchant(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        let merchant = parse_merchant(&answer.body)?;
        let is_other = merchant.id.is_some_and(|id| id.trim() != self.merchant_id.trim());
        let text = is_other.then(|| {
            format!(
                "olsera GET /merchant/info: expected merchant `{}`, found another; nothing is read; correct \
                 merchant-id or api-key",
                self.merchant_id
            )
        });
        if is_other {
            self.merchant_due = now + UNFIT_WAIT;
        } else {
            self.identity = Some(merchant.name.unwrap_or_else(|| format!("merchant {}", self.merchant_id)));
        }
        Ok(Yield { conditions: vec![(Condition::PosUnfit, text)], ..Yield::default() })
    }

    fn take_newest(&mut self, asked_at: DateTime<Utc>, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        let page = self.parse(answer, now)?;
        let limit = self.limit(&page);
        let listed = Listed::of(&page, &self.context.source_zone, limit);
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
        found.gaps_opened.extend(self.look_back(from, &listed, &page));
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
    fn limit(&self, page: &Page) -> usize {
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
    fn is_unreliable(&mut self, page: &Page, listed: &Listed) -> bool {
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

    /// What there is before the newest rows: all of it was shown, or is walked to, or is lost.
    fn look_back(&mut self, from: Option<DateTime<Utc>>, listed: &Listed, page: &Page) -> Option<Gap> {
        if self.cursor.back && from.is_some_and(|from| from <= self.cursor.target) {
            self.reached_target();
        }
        self.cursor.since = self.cursor.since.or(listed.oldest_ends).or(self.cursor.watermark);
        let wanted = self.cursor.back || self.open_gaps.iter().any(is_ours);
        if listed.full && self.cursor.limit < LIMIT_ROWS {
            // How a server that gives fewer rows than it is asked for counts its pages, nobody can tell.
            self.cursor.history = Some(History::Closed);
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

    fn reached_target(&mut self) {
        self.cursor.back = false;
        self.cursor.since = Some(self.cursor.since.map_or(self.cursor.target, |since| since.min(self.cursor.target)));
    }

    /// What lies between the target and here cannot be had: a gap for good.
    fn give_up_before(&mut self, here: Option<DateTime<Utc>>) -> Option<Gap> {
        self.cursor.back = false;
        let behind = self.open_gaps.iter().filter(|gap| gap.reason == GapReason::BehindHistory);
        let earliest = behind.map(|gap| gap.from).min();
        let (from, to) = (self.cursor.target, earliest.into_iter().chain(here).min()?);
        self.open_gap(Gap { from, to, reason: GapReason::BehindHistory })
    }

    fn open_gap(&mut self, gap: Gap) -> Option<Gap> {
        if gap.from >= gap.to || self.open_gaps.contains(&gap) {
            return None;
        }
        self.open_gaps.push(gap.clone());
        Some(gap)
    }

    /// Everything since `from` was shown.
    fn close_gaps(&mut self, from: Option<DateTime<Utc>>) -> Vec<Gap> {
        let Some(from) = from else { return Vec::new() };
        self.open_gaps.extract_if(.., |gap| is_ours(gap) && from <= gap.from).collect()
    }

    /// Stored rows since `from` that are not among those shown, at two looks.
    fn vanished(&mut self, from: DateTime<Utc>, shown: &HashSet<String>, to: DateTime<Utc>) -> Vec<(Resource, String)> {
        let from = from.max(to - RESCAN_HORIZON);
        let stored = self.memory.between(from, to).into_iter();
        let lacks = stored.filter(|known| !known.vanished && !shown.contains(&known.external_id));
        let lacks: BTreeMap<_, _> = lacks.map(|known| (known.external_id, known.at)).collect();
        // What lies before `from` was not looked for, and waits.
        let mut gone = Vec::new();
        for (id, at) in lacks {
            match self.missing.get(&id) {
                Some((since, _)) if to - *since >= RECENT.1 - AHEAD => gone.push((Resource::Transaction, id)),
                Some(_) => {}
                None => {
                    self.missing.insert(id, (to, at));
                }
            }
        }
        // Nor is it remembered for longer than it can be looked for.
        let waits = |id: &String, since: DateTime<Utc>| !shown.contains(id) && to - since < RECENT.0;
        self.missing.retain(|id, (since, _)| waits(id, *since) && !gone.iter().any(|(_, gone)| gone == id));
        gone
    }

    fn take_probe(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        let page = match self.parse(answer, now) {
            Ok(page) => page,
            // An error that comes as a success is one all the same.
            Err(_) if self.probing.as_mut().is_some_and(|probing| probing.failed(false)) => {
                return Ok(Yield { gaps_opened: self.probed(), ..Yield::default() });
            }
            Err(fault) => return Err(fault),
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
    fn probed(&mut self) -> Vec<Gap> {
        if self.probing.as_ref().is_none_or(|probing| probing.next().is_some()) {
            return Vec::new();
        }
        self.probing = None;
        self.cursor.history = Some(History::Closed);
        if self.cursor.back { self.give_up_before(self.cursor.since).into_iter().collect() } else { Vec::new() }
    }

    /// The most pressing way back, if there is one and any is due.
    fn plan_walk(&mut self, now: DateTime<Utc>) -> Option<Walk> {
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

    fn take_walk(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        let page = self.parse(answer, now)?;
        let zone = self.context.source_zone.clone();
        let stage = self.walk.as_mut().map_or(Stage::Lost, |walk| walk.take(&page, &zone));
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
        let is_cut = |gap: &Gap| walk.cut.iter().any(|day| overlaps(gap, bounds(*day, &zone)));
        let closed = |gap: &Gap| is_ours(gap) && walk.until <= gap.from && gap.to <= walk.begun && !is_cut(gap);
        found.gaps_closed = self.open_gaps.extract_if(.., |gap| closed(gap)).collect();
        if walk.cut.is_empty() {
            found.vanished = self.vanished(walk.until, &walk.seen, whole_second(walk.begun));
        }
        Ok(found)
    }

    /// Whether something is stored from before the end of the list that a walk came to.
    fn has_older(&self, walk: &Walk) -> bool {
        let Some(oldest) = walk.oldest else { return false };
        let stored = self.memory.between(oldest - RESCAN_HORIZON, oldest);
        stored.iter().any(|known| !known.vanished && !walk.seen.contains(&known.external_id))
    }

    fn parse(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Page, String> {
        self.context.observed_at = now;
        let page = parse_transactions(&answer.body, &self.context).map_err(|fault| fault.to_string())?;
        // A bad record is put aside; a list of something else is no answer, and proves nothing.
        let no_objects = page.quarantined.iter().all(|aside| aside.reason == Reason::NotAnObject);
        if page.rows > 0 && page.records.is_empty() && no_objects {
            return Err("expected objects in the list `data`, found none".to_owned());
        }
        for field in &page.unknown_fields {
            if self.unknown_fields.len() < UNKNOWN_FIELDS_MAX && self.unknown_fields.insert(field.clone()) {
                let connection = &self.context.connection;
                tracing::info!(connection, field, "olsera: a field that this version does not know");
            }
        }
        Ok(page)
    }
}

impl Connector for Documented {
    fn next(&mut self, now: DateTime<Utc>) -> Step {
        if self.identity.is_none() {
            if now < self.merchant_due {
                return Step::Wait(self.merchant_due);
            }
            self.asked = Some(Asked::Merchant);
            return Step::Ask(ask_merchant(&self.merchant_id, &self.key));
        }
        if now >= self.due {
            self.asked = Some(Asked::Newest(now));
            return Step::Ask(ask_transactions(Part::Newest, &self.merchant_id, &self.key));
        }
        if let Some(part) = self.probing.as_ref().and_then(Probing::next) {
            self.asked = Some(Asked::Probe);
            return Step::Ask(ask_transactions(part, &self.merchant_id, &self.key));
        }
        if self.walk.is_none() {
            self.walk = self.plan_walk(now);
        }
        let Some(walk) = &self.walk else { return Step::Wait(self.due) };
        self.asked = Some(Asked::Walk);
        Step::Ask(ask_transactions(walk.next(), &self.merchant_id, &self.key))
    }

    fn take(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        match self.asked.take() {
            None => Ok(Yield::default()),
            Some(Asked::Merchant) => self.take_merchant(answer, now),
            Some(Asked::Newest(at)) => self.take_newest(at, answer, now),
            Some(Asked::Probe) => self.take_probe(answer, now),
            Some(Asked::Walk) => self.take_walk(answer, now),
        }
    }

    fn failed(&mut self, failure: &Failure, now: DateTime<Utc>) -> Option<Yield> {
        let for_good = matches!(failure, Failure::Unexpected(_) | Failure::TooLarge);
        let counts = for_good || matches!(failure, Failure::Trouble(_));
        match self.asked.take()? {
            Asked::Newest(_) => self.joined = false,
            Asked::Probe if counts => {
                let answered = self.probing.as_mut().is_some_and(|probing| probing.failed(for_good));
                let gaps_opened = self.probed();
                return answered.then(|| Yield { gaps_opened, ..Yield::default() });
            }
            Asked::Walk if for_good => {
                // So far and no further, today: the newest rows are read all the same.
                (self.walk, self.walk_due) = (None, now + RECENT.1);
                return Some(Yield::default());
            }
            Asked::Merchant | Asked::Probe | Asked::Walk => {}
        }
        None
    }

    fn cursor(&self) -> Vec<u8> {
        serde_json::to_vec(&self.cursor).expect("times and flags are always JSON")
    }

    fn rewind(&mut self, since: DateTime<Utc>) {
        self.cursor.target = self.cursor.target.min(whole_second(since));
        self.cursor.back = true;
        (self.walk, self.asked) = (None, None);
        // The next answer says what of it there is.
        self.due = DateTime::<Utc>::MIN_UTC;
    }

    fn progress(&self) -> Progress {
        let mut notes = vec![NO_REFUNDS.to_owned(), "lines, taxes and payments are not told by this source".to_owned()];
        let behind = match self.cursor.history {
            Some(History::Offset) => "sales behind the newest 100 are read by `offset`, which is not documented",
            Some(History::Page) => "sales behind the newest 100 are read by `page`, which is not documented",
            Some(History::Days) => "sales behind the newest 100 are read by `start_date`, which is not documented",
            Some(History::Closed) | None => {
                "of sales behind the newest 100 neither changes nor late uploads are told by this source"
            }
        };
        notes.push(behind.to_owned());
        let limit = self.cursor.limit;
        notes.extend((limit < LIMIT_ROWS).then(|| format!("the list holds {limit} rows at most, 100 are asked for")));
        notes.extend(self.unreliable.then(|| OLDEST_FIRST.to_owned()));
        notes.extend(self.unknown_fields.iter().map(|field| format!("unknown field {field}")));
        Progress {
            identity: self.identity.clone(),
            // On the way back nothing is joined yet from the target on.
            watermark: if self.cursor.back { Some(self.cursor.target) } else { self.cursor.watermark },
            since: Some(self.cursor.since.filter(|_| !self.cursor.back).unwrap_or(self.cursor.target)),
            complete: self.joined && !self.cursor.back,
            notes,
        }
    }

    fn covers(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
        let since = self.cursor.since.is_some_and(|since| since <= from);
        since && self.cursor.watermark.is_some_and(|watermark| to <= watermark)
    }
}

/// What this list's answers open and close.
fn is_ours(gap: &Gap) -> bool {
    matches!(gap.reason, GapReason::NoOverlap | GapReason::BehindHistory)
}

fn overlaps(gap: &Gap, (from, to): (DateTime<Utc>, DateTime<Utc>)) -> bool {
    gap.from < to && from < gap.to
}

fn yield_of(page: Page) -> Yield {
    Yield { transactions: page.records, quarantined: page.quarantined, ..Yield::default() }
}

fn whole_second(at: DateTime<Utc>) -> DateTime<Utc> {
    at.with_nanosecond(0).unwrap_or(at)
}
