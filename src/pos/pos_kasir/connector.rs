//! How POS Kasir is read without holes: walks down a list that can only be had newest first, and the details of what
//! they find.
//!
//! - *Newest*, at every poll: the first page, and on while it has not met what was read, or its last rows changed.
//! - *Recent*, at the start and hourly: the last 48 h, for changes further down, rows that appear late, and stored
//!   orders that the list no longer shows.
//! - *Catching up*: after an outage, from the newest back to the watermark. *Backfill*: a new box's history.
//! - *Nightly*: everything that the store remembers. *Single*: orders that failed or of which the activity log told.
//!
//! A detail is read where the row is new or its fingerprint is not the one that is stored beside the record (its mark);
//! so whoever begins anew lists some pages again and asks for little. The server's limit is shared with the tills: when
//! it runs low, everything waits.
//!
//! The parts: `due` (what is asked), `pages` and `details` (what is made of the answers), `unlisted` (pages that fail for
//! good), `hints` (the activity log and the probe for a reset).

mod details;
mod due;
mod hints;
mod pages;
mod unlisted;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Utc};

use self::{
    details::Bad,
    due::LOG_EVERY,
    hints::{LogReading, Probe},
    unlisted::is_of_pages,
};
use super::{
    cursor::Cursor,
    parse::{parse_branding, parse_me, parse_methods},
    session::{Session, SessionAsk},
    shop::{Shop, ShopAsk},
    walk::{Purpose, Task, Walk, whole_second},
};
use crate::{
    config::Credentials,
    content::ContentId,
    gap::{Gap, GapReason},
    health::Condition,
    pos::{
        connector::{Begin, Connector, Memory, Step, Terms, Yield},
        http::{Answer, Failure, Rate},
        narrow::{Narrow, Place},
        page::ParseContext,
    },
    progress::Progress,
    transaction::Resource,
};

/// A server that has fewer requests left than this is left to the tills until it counts anew.
const LEFT_TO_TILLS: u64 = 40;

/// It counts anew within this; where it does not say when, the first is waited.
const RATE_WAIT: (TimeDelta, TimeDelta) = (TimeDelta::seconds(15), TimeDelta::minutes(2));

/// A clock that runs ahead by less than the first is right; one that was wrong was so by the second at most.
const CLOCK_SLACK: (TimeDelta, TimeDelta) = (TimeDelta::minutes(5), TimeDelta::hours(24));

/// Names of unknown fields that are remembered.
const UNKNOWN_FIELDS_MAX: usize = 32;

/// Which of the two walks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Newest,
    Background,
}

/// What was asked last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    Session(SessionAsk),
    Shop(ShopAsk),
    Page { slot: Slot, place: Place, at: DateTime<Utc> },
    Detail { slot: Slot, id: String },
    Log { page: u64 },
    Probe(String),
}

/// The connector for one POS Kasir server.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact that holds whatever the others say")]
pub struct PosKasir {
    pub(super) context: ParseContext,
    poll_every: TimeDelta,
    pub(super) backfill: TimeDelta,
    plain_http: bool,
    memory: Arc<dyn Memory>,
    pub(super) session: Session,
    pub(super) shop: Shop,
    pub(super) cursor: Cursor,
    open_gaps: Vec<Gap>,
    pub(super) asked: Option<Asked>,
    pub(super) newest: Option<Walk>,
    pub(super) newest_due: DateTime<Utc>,
    newest_complete: bool,
    /// The first page on which everything was known, and whether the list ends there.
    unchanged: Option<(ContentId, bool)>,
    /// Requests of the newest walk so far, and of others since it began: they take turns.
    pub(super) turns: (u32, u32),
    pub(super) background: Option<Walk>,
    pub(super) recent_read: Option<DateTime<Utc>>,
    /// Why the list is not read before when: a page of it failed for good.
    held: Vec<(Purpose, DateTime<Utc>)>,
    /// A page of the newest walk was answered since a background page failed.
    newest_answered: bool,
    /// Orders to be read by themselves.
    pub(super) hints: VecDeque<Task>,
    pub(super) log: LogReading,
    pub(super) probe: Option<Probe>,
    pub(super) reset_due: DateTime<Utc>,
    /// A page without any known order is no sign of a reset before this.
    trusted_until: DateTime<Utc>,
    gone_in_a_row: usize,
    /// Orders whose detail cannot be had.
    pub(super) bad: BTreeMap<String, Bad>,
    /// Rows whose detail was put aside, by their fingerprint.
    put_aside: BTreeMap<String, u64>,
    /// How many rows each open gap of short pages stands for.
    short_counts: BTreeMap<Gap, u64>,
    /// What is known of pages that fail.
    pub(super) narrow: Narrow,
    /// What the answer was like that a row spoilt last.
    spoilt_by: String,
    /// The server answered something since the last detail failed.
    pub(super) answered: bool,
    pub(super) paused_until: Option<DateTime<Utc>>,
    unknown_fields: BTreeSet<String>,
}

impl PosKasir {
    /// A connector that goes on from where the last one stopped, or begins with the newest orders.
    #[must_use]
    pub fn new(terms: Terms, credentials: &Credentials, begin: Begin) -> Self {
        let Terms { context, poll_every, backfill } = terms;
        let Begin { secret, cursor: stored, gaps: open_gaps, memory, now } = begin;
        let session = match credentials {
            Credentials::Login { email, .. } => Session::login(email, secret),
            _ => Session::bearer(secret),
        };
        let stored: Option<Cursor> = stored.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        // One that begins in the future is of a clock that was far ahead.
        let stored = stored.filter(|cursor| cursor.target <= now);
        let today = context.outlet_zone.local(now).date_naive();
        let mut cursor = stored.unwrap_or_else(|| Cursor::beginning(whole_second(now - backfill), today));
        cursor.distrust_the_future(whole_second(now), CLOCK_SLACK.0, CLOCK_SLACK.1);
        let short = open_gaps.iter().filter(|gap| gap.reason == GapReason::ShortPage || is_of_pages(gap));
        let short_counts = short.map(|gap| (gap.clone(), 1)).collect();
        Self {
            context,
            poll_every,
            backfill,
            plain_http: false,
            memory,
            session,
            shop: Shop::new(now),
            cursor,
            open_gaps,
            asked: None,
            newest: None,
            newest_due: now,
            newest_complete: false,
            unchanged: None,
            turns: (0, 0),
            background: None,
            recent_read: None,
            held: Vec::new(),
            newest_answered: false,
            hints: VecDeque::new(),
            log: LogReading::new(now),
            probe: None,
            reset_due: now,
            trusted_until: now,
            gone_in_a_row: 0,
            bad: BTreeMap::new(),
            put_aside: BTreeMap::new(),
            short_counts,
            narrow: Narrow::default(),
            spoilt_by: "expected a list of orders, found one that cannot be read".to_owned(),
            answered: true,
            paused_until: None,
            unknown_fields: BTreeSet::new(),
        }
    }

    /// The server is asked over plain HTTP: password and session are open to whoever listens on that line.
    #[must_use]
    pub fn over_plain_http(self, plain_http: bool) -> Self {
        Self { plain_http, ..self }
    }

    fn take_session(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        match self.session.take(answer, now)? {
            None => {
                self.shop.check_again(now);
                Ok(Yield::default())
            }
            text => Ok(Yield { conditions: vec![(Condition::PosUnfit, text)], ..Yield::default() }),
        }
    }

    fn take_shop(&mut self, ask: ShopAsk, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        match ask {
            ShopAsk::Me => {
                let unfit = self.shop.take_me(parse_me(&answer.body)?, now);
                return Ok(Yield { conditions: vec![(Condition::PosUnfit, unfit)], ..Yield::default() });
            }
            ShopAsk::Branding if answer.status == 404 => self.shop.take_branding(None),
            ShopAsk::Branding => self.shop.take_branding(parse_branding(&answer.body)?),
            ShopAsk::Methods => self.shop.take_methods(parse_methods(&answer.body)?, now),
        }
        Ok(Yield::default())
    }

    /// The tills need what is left of the limit.
    fn mind(&mut self, rate: Rate, now: DateTime<Utc>) {
        if rate.remaining.is_none_or(|left| left >= LEFT_TO_TILLS) {
            return;
        }
        let (unsaid, most) = RATE_WAIT;
        // Seconds until then; a large number would be seconds since 1970.
        let reset = rate.reset.and_then(|reset| i64::try_from(reset).ok()).map(|reset| match reset {
            since_1970 if since_1970 > 1_000_000_000 => TimeDelta::try_seconds(since_1970 - now.timestamp()),
            seconds => TimeDelta::try_seconds(seconds),
        });
        let wait = reset.map_or(unsaid, |reset| reset.unwrap_or(most));
        self.paused_until = Some(now + wait.clamp(TimeDelta::seconds(1), most));
    }

    /// Whether the walk further down met orders that are not stored yet.
    pub(super) fn shows_unread(&self) -> bool {
        let is_stored = |task: &Task| self.memory.find(Resource::Order, &task.id).is_some();
        self.background
            .as_ref()
            .is_some_and(|walk| walk.tasks.iter().any(|task| task.row.is_some() && !is_stored(task)))
    }

    fn slot(&mut self, slot: Slot) -> &mut Option<Walk> {
        match slot {
            Slot::Newest => &mut self.newest,
            Slot::Background => &mut self.background,
        }
    }

    fn learn_fields(&mut self, fields: &BTreeSet<String>) {
        for field in fields {
            if self.unknown_fields.len() < UNKNOWN_FIELDS_MAX && self.unknown_fields.insert(field.clone()) {
                let connection = &self.context.connection;
                tracing::info!(connection, field, "pos-kasir: a field that this version does not know");
            }
        }
    }
}

impl Connector for PosKasir {
    fn next(&mut self, now: DateTime<Utc>) -> Step {
        loop {
            let asked = match self.choose(now) {
                Ok(asked) => asked,
                Err(until) => {
                    self.asked = None;
                    return Step::Wait(until.max(now + TimeDelta::milliseconds(100)));
                }
            };
            if let Some(request) = self.request(&asked) {
                self.asked = Some(asked);
                return Step::Ask(request);
            }
            // An id that cannot stand in a path names no order; it is a UUID, so this does not happen.
            if let Asked::Detail { slot, .. } = asked {
                self.slot(slot).as_mut().and_then(Walk::pop);
            } else {
                self.probe = None;
            }
        }
    }

    fn accepts(&self, status: u16) -> bool {
        self.takes(status)
    }

    fn take(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        self.mind(answer.rate, now);
        self.context.observed_at = now;
        let Some(asked) = self.asked.clone() else { return Ok(Yield::default()) };
        let found = match &asked {
            Asked::Session(_) => self.take_session(answer, now)?,
            Asked::Shop(ask) => self.take_shop(*ask, answer, now)?,
            Asked::Page { slot, place, at } => match self.take_page(*slot, *place, *at, answer, now) {
                Ok(found) => {
                    self.newest_answered |= *slot == Slot::Newest;
                    found
                }
                Err(fault) => {
                    let text = fault.to_string();
                    let may_pass = fault.may_pass_when_smaller();
                    let breaks = may_pass.then(|| self.page_breaks(*slot, &text, now)).flatten();
                    breaks.or_else(|| self.page_failed(*slot, &text, now)).ok_or(text)?
                }
            },
            Asked::Detail { slot, id } => self.take_detail(*slot, id, answer, now)?,
            Asked::Log { .. } => {
                self.take_log(answer, now);
                Yield::default()
            }
            Asked::Probe(id) => self.take_probe(id, answer, now)?,
        };
        self.asked = None;
        if !matches!(asked, Asked::Session(_)) {
            self.session.accepted();
            self.answered = true;
        }
        Ok(found)
    }

    fn failed(&mut self, failure: &Failure, now: DateTime<Utc>) -> Option<Yield> {
        let asked = self.asked.take()?;
        match (&asked, failure) {
            (Asked::Session(SessionAsk::Refresh), Failure::Refused(_) | Failure::Unexpected(_)) => {
                self.session.refresh_refused();
                return Some(Yield::default());
            }
            (Asked::Session(_), _) => {}
            (_, Failure::Refused(401)) => return self.session.refused().then(Yield::default),
            // Only where the server has answered something else since: an outage is not the order's fault.
            (
                Asked::Detail { slot, .. },
                Failure::Trouble(_) | Failure::TooSlow(_) | Failure::Unexpected(_) | Failure::TooLarge,
            ) if self.answered => {
                self.answered = false;
                return Some(self.detail_failed(*slot, now));
            }
            (Asked::Page { slot, .. }, Failure::TooLarge | Failure::TooSlow(_)) => {
                let how = failure.to_string();
                let breaks = self.page_breaks(*slot, &how, now);
                let is_large = *failure == Failure::TooLarge;
                if let Some(found) = breaks.or_else(|| is_large.then(|| self.page_failed(*slot, &how, now)).flatten()) {
                    return Some(found);
                }
            }
            (Asked::Page { slot, .. }, Failure::Trouble(_) | Failure::Unexpected(_)) => {
                if let Some(found) = self.page_failed(*slot, &failure.to_string(), now) {
                    return Some(found);
                }
            }
            (
                Asked::Probe(_),
                Failure::Trouble(_) | Failure::TooSlow(_) | Failure::Unexpected(_) | Failure::TooLarge,
            ) if self.answered => {
                self.answered = false;
                self.probe_undecided(now);
                return Some(Yield::default());
            }
            (Asked::Log { .. }, _) => self.log.due = now + LOG_EVERY,
            _ => {}
        }
        self.newest_complete = false;
        None
    }

    fn cursor(&self) -> Vec<u8> {
        serde_json::to_vec(&self.cursor).expect("times and ids are always JSON")
    }

    fn rewind(&mut self, since: DateTime<Utc>) {
        self.cursor.rewind(whole_second(since));
        (self.newest, self.background, self.asked, self.unchanged) = (None, None, None, None);
    }

    fn progress(&self) -> Progress {
        let mut notes: Vec<String> = Vec::new();
        notes.extend(self.shop.note().map(str::to_owned));
        if self.plain_http {
            let text = "the base-url is plain http: password and session are open to whoever listens on that line";
            notes.push(text.to_owned());
        }
        if self.log.is_unreadable {
            notes.push("the activity log cannot be read: a refund that no poll could see is not told".to_owned());
        }
        notes.push("this source keeps no record of a refund: it is derived where the order was seen paid".to_owned());
        notes.extend(self.unknown_fields.iter().map(|field| format!("unknown field {field}")));
        Progress {
            identity: self.shop.name(),
            watermark: self.cursor.watermark,
            since: self.cursor.since,
            complete: self.newest_complete
                && self.cursor.ahead.is_none()
                && self.cursor.watermark.is_some()
                && !self.cursor.has_older()
                && !self.shows_unread(),
            notes,
        }
    }

    fn account(&self) -> Option<Vec<String>> {
        self.shop.account()
    }

    fn covers(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
        self.cursor.covers(from, to)
    }

    fn read_at(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.cursor.readings.of(from, to)
    }

    fn reads_again_since(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.floor(now)
    }
}
