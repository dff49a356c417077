//! How the open API is read: day by day, each order's details only where the list shows something new.
//!
//! - *Newest*, at every poll: today; in the first hours of a day also the day before.
//! - *Again*, hourly: the last 48 hours, and every day with an open gap or a missing order. Stored orders that no list
//!   shows any more are looked for one by one; who is found nowhere, twice an hour apart, has vanished.
//! - *History*: days that were never read, from the newest to the oldest.
//! - *Nightly*: the last week.
//!
//! An order whose details cannot be read is a gap at its time and holds up nobody else; nor does a row that spoils its page
//! (`spoilt`).

mod details;
mod spoilt;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Timelike, Utc};

use super::{
    cursor::Cursor,
    day::{Day, Pages, Purpose, Stage, Wanted},
    parse::{Orders, parse_nothing, parse_orders},
    session::Session,
};
use crate::{
    gap::{Gap, GapReason},
    health::Condition,
    pos::{
        connector::{Begin, Connector, Memory, RESCAN_HORIZON, Step, Terms, Yield},
        http::{Answer, Failure},
        olsera::{
            NO_REFUNDS,
            requests::{ask_order, ask_orders},
        },
        page::{Interval, ParseContext},
    },
    progress::Progress,
    transaction::Resource,
};

/// What the box's clock may have been ahead of the truth before that is noticed.
const CLOCK_SLACK: TimeDelta = TimeDelta::hours(24);

/// Local hours in which the day before is read with today.
const LATE_HOURS: u32 = 2;

/// The hourly tier: how many past days, and how often.
const RECENT: (u64, TimeDelta) = (2, TimeDelta::hours(1));

/// Two looks for an order are so far apart: the hour, less the time that a reading takes.
const LOOKS_APART: TimeDelta = TimeDelta::minutes(55);

/// Local hour after which the nightly tier is due.
const NIGHT_HOUR: u32 = 3;

/// Equal failures of one request until it is taken for lasting.
const FAILURES_MAX: u32 = 5;

/// A source that gives orders of other days than asked is asked no more often than this.
const STRAYED_WAIT: TimeDelta = TimeDelta::minutes(1);

/// So many days in a row that are read again and give orders of others are taken for such a source.
const STRAYED_MAX: u32 = 3;

/// Orders that were put aside or could not be read, and names of unknown fields, that are remembered.
const REMEMBERED_MAX: usize = 1_000;
const UNKNOWN_FIELDS_MAX: usize = 32;

/// Which of the two readings a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Newest,
    Background,
}

#[derive(Debug, Clone, Copy)]
enum Asked {
    Token,
    Orders(Slot),
    Order(Slot),
}

/// An order whose details could not be read.
#[derive(Debug, Clone)]
struct Stuck {
    gap: Gap,
    due: DateTime<Utc>,
}

/// The connector for one store.
pub struct OpenApi {
    session: Session,
    context: ParseContext,
    poll_every: TimeDelta,
    memory: Arc<dyn Memory>,
    cursor: Cursor,
    open_gaps: Vec<Gap>,
    asked: Option<Asked>,
    newest: Option<Day>,
    /// Further days of this poll, and when it began.
    newest_days: VecDeque<NaiveDate>,
    newest_begun: DateTime<Utc>,
    newest_due: DateTime<Utc>,
    newest_complete: bool,
    background: Option<Day>,
    background_days: VecDeque<(Purpose, NaiveDate)>,
    background_due: DateTime<Utc>,
    /// Days that were read again and gave orders of others, in a row.
    strayed_in_row: u32,
    /// Days whose last list held orders of others.
    odd_days: BTreeSet<NaiveDate>,
    recent_read: Option<DateTime<Utc>>,
    details_due: DateTime<Utc>,
    /// Failures of the request that was asked last, in a row.
    failures: (String, u32),
    stuck: BTreeMap<String, Stuck>,
    /// Orders that were put aside, with the list's hash: they are not read again until that changes.
    aside: BTreeMap<String, u64>,
    /// Stored orders that were found nowhere: since when, and on which day they should be.
    missing: BTreeMap<String, (DateTime<Utc>, NaiveDate)>,
    /// What is known of pages that fail.
    pages: Pages,
    unknown_fields: BTreeSet<String>,
}

impl OpenApi {
    /// A connector that goes on from where the last one stopped, or begins with the days before now.
    #[must_use]
    pub fn new(terms: Terms, begin: Begin, app_id: &str) -> Self {
        let Terms { context, poll_every, backfill } = terms;
        let Begin { secret, cursor: stored, gaps: open_gaps, memory, now } = begin;
        let stored: Option<Cursor> = stored.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let day_of = |at: DateTime<Utc>| context.source_zone.local(at).date_naive();
        // One that begins in the future is of a clock that was far ahead.
        let stored = stored.filter(|cursor| cursor.first <= day_of(now));
        let begins = context.source_zone.day_begins(day_of(now), NaiveTime::MIN);
        let mut cursor = stored.unwrap_or_else(|| Cursor::beginning(day_of(now - backfill), day_of(now), begins));
        cursor.distrust_the_future(now, day_of(now), CLOCK_SLACK);
        Self {
            session: Session::new(app_id, secret),
            context,
            poll_every,
            memory,
            cursor,
            open_gaps,
            asked: None,
            newest: None,
            newest_days: VecDeque::new(),
            newest_begun: now,
            newest_due: now,
            newest_complete: false,
            background: None,
            background_days: VecDeque::new(),
            background_due: now,
            strayed_in_row: 0,
            odd_days: BTreeSet::new(),
            recent_read: None,
            details_due: now,
            failures: (String::new(), 0),
            stuck: BTreeMap::new(),
            aside: BTreeMap::new(),
            missing: BTreeMap::new(),
            pages: Pages::default(),
            unknown_fields: BTreeSet::new(),
        }
    }

    fn day_of(&self, at: DateTime<Utc>) -> NaiveDate {
        self.context.source_zone.local(at).date_naive()
    }

    /// Begin and end of a local day.
    fn bounds(&self, day: NaiveDate) -> (DateTime<Utc>, DateTime<Utc>) {
        let begins = |day: NaiveDate| self.context.source_zone.day_begins(day, NaiveTime::MIN);
        (begins(day), begins(day.succ_opt().unwrap_or(day)))
    }

    fn plan_newest(&mut self, now: DateTime<Utc>) {
        let local = self.context.source_zone.local(now);
        let today = local.date_naive();
        let yesterday = today.pred_opt().unwrap_or(today);
        if let Some(read_to) = self.cursor.read_to {
            // The rest of the last day that was read, and all days since.
            let last = self.day_of(read_to);
            self.cursor.wait_for(last, yesterday);
            if last < today {
                self.cursor.read_to = Some(self.bounds(today).0);
            }
        }
        self.newest_days = VecDeque::new();
        if local.hour() < LATE_HOURS && yesterday >= self.cursor.first {
            self.newest_days.push_back(yesterday);
        }
        self.newest_begun = now;
        self.newest = Some(Day::new(today, Purpose::Newest, now, &self.pages));
    }

    /// Whether a day that is read again shows orders that are not stored yet.
    fn shows_unread(&self) -> bool {
        let is_stored = |id: &str| self.memory.find(Resource::Transaction, id).is_some();
        let is_listed = |wanted: &&Wanted| wanted.mark.is_some();
        self.background.as_ref().is_some_and(|day| day.wanted.iter().filter(is_listed).any(|it| !is_stored(&it.id)))
    }

    /// The most pressing past day, if any is due.
    fn plan_background(&mut self, now: DateTime<Utc>) -> Option<Day> {
        let local = self.context.source_zone.local(now);
        let (today, first) = (local.date_naive(), self.cursor.first);
        let back = |from: u64, to: u64| (from..=to).filter_map(move |n| today.checked_sub_days(Days::new(n)));
        if self.background_days.is_empty() && self.recent_read.is_none_or(|read| now - read >= RECENT.1) {
            self.recent_read = Some(now);
            let mut days: BTreeSet<_> = back(0, RECENT.0).filter(|day| *day >= first).collect();
            days.extend(self.missing.values().map(|(_, day)| *day));
            days.extend(self.open_gaps.iter().map(|gap| self.day_of(gap.from)).filter(|day| *day <= today));
            self.background_days.extend(days.into_iter().rev().map(|day| (Purpose::Again, day)));
        }
        if self.background_days.is_empty() {
            let unread = self.cursor.newest_unread().filter(|day| *day < today);
            self.background_days.extend(unread.map(|day| (Purpose::History, day)));
        }
        let is_night = local.hour() >= NIGHT_HOUR && self.cursor.nightly_read != today;
        if self.background_days.is_empty() && is_night {
            self.cursor.nightly_read = today;
            let week = u64::try_from(RESCAN_HORIZON.num_days()).unwrap_or(0);
            let days = back(1, week).filter(|day| *day >= first);
            self.background_days.extend(days.map(|day| (Purpose::Nightly, day)));
        }
        let (purpose, date) = self.background_days.pop_front()?;
        Some(Day::new(date, purpose, now, &self.pages))
    }

    fn slot(&mut self, slot: Slot) -> &mut Option<Day> {
        match slot {
            Slot::Newest => &mut self.newest,
            Slot::Background => &mut self.background,
        }
    }

    fn date_in(&self, slot: Slot, now: DateTime<Utc>) -> NaiveDate {
        let day = if slot == Slot::Newest { &self.newest } else { &self.background };
        day.as_ref().map_or_else(|| self.day_of(now), |day| day.date)
    }

    fn take_token(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        let let_in = self.session.take(answer.status, &answer.body, now)?;
        let text = (!let_in).then(|| "olsera POST /token: the source refuses app-id and secret-key".to_owned());
        Ok(Yield { conditions: vec![(Condition::PosRefused, text)], ..Yield::default() })
    }

    fn take_orders(&mut self, slot: Slot, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        let orders = if answer.status == 404 {
            parse_nothing(&answer.body).map(|()| Orders::default())?
        } else {
            parse_orders(&answer.body, &self.context.source_zone)?
        };
        if let Some(found) = self.as_far_as_read(slot, &orders, now)? {
            return Ok(found);
        }
        self.answered();
        let Some(mut day) = self.slot(slot).take() else { return Ok(Yield::default()) };
        let mut found = Yield { quarantined: orders.quarantined.clone(), ..Yield::default() };
        let has_rows = !orders.rows.is_empty();
        let stage = day.take(orders, &mut self.pages, now);
        if stage == Stage::Unreadable {
            let quarantined = found.quarantined;
            return self.nothing_read(slot, day, now).map(|gone| Yield { quarantined, ..gone });
        }
        let (from, to) = self.bounds(day.date);
        for aside in found.quarantined.iter_mut().filter(|_| !day.strayed) {
            aside.window = Some(Interval { from, to });
        }
        if day.strayed && self.odd_days.len() < REMEMBERED_MAX {
            self.odd_days.insert(day.date);
        } else if has_rows {
            self.odd_days.remove(&day.date);
        }
        if has_rows || day.strayed {
            let text = (!self.odd_days.is_empty()).then(|| {
                "olsera GET /order: expected orders of the day that was asked, found others: the source ignores the \
                 days, so no answer proves anything; check the base-url and the connection's timezone"
                    .to_owned()
            });
            found.conditions.push((Condition::WindowNotHonoured, text));
        }
        if stage == Stage::Listed {
            self.choose(&mut day, now);
        }
        *self.slot(slot) = Some(day);
        self.finish(slot, now, &mut found);
        Ok(found)
    }

    /// The source answered as it should.
    fn answered(&mut self) {
        self.session.answered();
        self.failures = (String::new(), 0);
    }

    /// Counts a failure of this request; whether it is a lasting one by now.
    fn lasts(&mut self, what: String, most: u32) -> bool {
        let (last, count) = &mut self.failures;
        *count = if *last == what { *count + 1 } else { 1 };
        *last = what;
        *count >= most
    }

    fn open_gap(&mut self, gap: Gap) -> Option<Gap> {
        if self.open_gaps.contains(&gap) {
            return None;
        }
        self.open_gaps.push(gap.clone());
        Some(gap)
    }

    /// If nothing of this day is left to ask: what that proves.
    fn finish(&mut self, slot: Slot, now: DateTime<Utc>, found: &mut Yield) {
        let is_done = |day: &Day| day.next_page().is_none() && day.wanted.is_empty();
        let Some(day) = self.slot(slot).take_if(|day| is_done(day)) else { return };
        let (from, to) = self.bounds(day.date);
        if day.strayed {
            // Kept, and proves nothing.
            let gap = Gap { from, to, reason: GapReason::Unreadable };
            if day.purpose == Purpose::History || self.open_gaps.contains(&gap) && slot == Slot::Background {
                // Nor may it keep the days before it from being read.
                self.cursor.was_read(day.date);
                found.gaps_opened.extend(self.open_gap(gap));
                self.background_due = now + STRAYED_WAIT;
            } else if slot == Slot::Newest {
                self.newest_complete = false;
                self.newest_days.clear();
                self.newest_due = now + self.poll_every.max(STRAYED_WAIT);
            } else {
                // One odd row holds up no other day. A source that ignores the days is not asked for all of them each
                // hour, and history goes on all the same.
                self.background_due = now + STRAYED_WAIT;
                self.strayed_in_row += 1;
                if self.strayed_in_row >= STRAYED_MAX {
                    self.strayed_in_row = 0;
                    self.background_days.clear();
                }
            }
            return;
        }
        if slot == Slot::Background {
            self.strayed_in_row = 0;
        }
        if day.short {
            found.gaps_opened.extend(self.open_gap(Gap { from, to, reason: GapReason::ShortPage }));
        }
        if let Some(fault) = &day.spoilt {
            self.open_spoilt(&day, fault, found);
        }
        if !day.is_short() {
            // One that is listed no more need not be read any more.
            let is_here = |stuck: &Stuck| from <= stuck.gap.from && stuck.gap.to <= to;
            self.stuck.retain(|id, stuck| !is_here(stuck) || day.rows.contains_key(id));
        }
        let stuck: Vec<_> = self.stuck.values().map(|stuck| stuck.gap.clone()).collect();
        let is_proven = |gap: &Gap| match gap.reason {
            GapReason::Unreadable => {
                let is_spoilt = day.spoilt.is_some() && (gap.from, gap.to) == (from, to);
                from <= gap.from && gap.to <= to && !stuck.contains(gap) && !is_spoilt
            }
            GapReason::ShortPage => !day.is_short() && (gap.from, gap.to) == (from, to),
            _ => false,
        };
        found.gaps_closed.extend(self.open_gaps.extract_if(.., |gap| is_proven(gap)));
        if !day.is_short() && !stuck.iter().any(|gap| gap.from < to && from < gap.to) {
            self.cursor.readings.note(from, to, day.begun);
        }
        if to <= day.begun {
            self.cursor.was_read(day.date);
        }
        if slot == Slot::Background {
            return;
        }
        self.newest = self.newest_days.pop_front().map(|next| Day::new(next, Purpose::Newest, now, &self.pages));
        if self.newest.is_none() {
            self.cursor.read_to = self.cursor.read_to.max(self.newest_begun.with_nanosecond(0));
            self.newest_complete = true;
            // To get past a row that spoils its pages takes several requests.
            let is_spoilt = day.spoilt.is_some();
            self.newest_due = now + if is_spoilt { self.poll_every.max(STRAYED_WAIT) } else { self.poll_every };
        }
    }
}

impl Connector for OpenApi {
    fn next(&mut self, now: DateTime<Utc>) -> Step {
        let Some(token) = self.session.token(now).cloned() else {
            self.asked = Some(Asked::Token);
            return Step::Ask(self.session.ask());
        };
        if self.newest.is_none() && now >= self.newest_due {
            self.plan_newest(now);
        }
        if self.newest.is_none() && self.background.is_none() && now >= self.background_due {
            self.background = self.plan_background(now);
        }
        let slot = if self.newest.is_some() { Slot::Newest } else { Slot::Background };
        let details_due = self.details_due;
        let Some(day) = self.slot(slot) else { return Step::Wait(self.newest_due) };
        let (asked, request) = match (day.next_page(), day.wanted.front()) {
            (Some((list, place)), _) => (Asked::Orders(slot), ask_orders(list, day.date, place, &token)),
            (None, Some(_)) if now < details_due => return Step::Wait(details_due),
            (None, Some(wanted)) => (Asked::Order(slot), ask_order(wanted.list, &wanted.id, &token)),
            (None, None) => unreachable!("a day with nothing to ask was finished"),
        };
        self.asked = Some(asked);
        Step::Ask(request)
    }

    /// An empty day is a 404, and who refuses an app may say so with a 400 or a 422.
    fn accepts(&self, status: u16) -> bool {
        match self.asked {
            Some(Asked::Orders(_)) => status == 404,
            Some(Asked::Token) => matches!(status, 400 | 422),
            _ => false,
        }
    }

    fn take(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        match self.asked.take() {
            None => Ok(Yield::default()),
            Some(Asked::Token) => self.take_token(answer, now),
            Some(Asked::Orders(slot)) => self.take_orders(slot, answer, now),
            Some(Asked::Order(slot)) => self.take_order(slot, answer, now),
        }
    }

    fn failed(&mut self, failure: &Failure, now: DateTime<Utc>) -> Option<Yield> {
        self.newest_complete = false;
        let slot = match self.asked.take()? {
            Asked::Token => return None,
            _ if matches!(failure, Failure::Refused(_)) => return self.session.refused().then(Yield::default),
            Asked::Order(slot) => return self.order_failed(slot, failure, now),
            Asked::Orders(slot) => slot,
        };
        let text = failure.to_string();
        if matches!(failure, Failure::TooLarge | Failure::TooSlow(_))
            && let Some(found) = self.page_breaks(slot, &text, now)
        {
            return Some(found);
        }
        let day = self.slot(slot).as_ref()?;
        let what = format!("{} {failure}", day.date);
        let counts = matches!(failure, Failure::Trouble(_) | Failure::Unexpected(_) | Failure::TooLarge);
        let lasts = slot == Slot::Background && counts && self.lasts(what, FAILURES_MAX);
        let is_large = *failure == Failure::TooLarge;
        lasts.then(|| self.give_up_day(slot, is_large.then_some(text.as_str())))
    }

    fn cursor(&self) -> Vec<u8> {
        serde_json::to_vec(&self.cursor).expect("times and days are always JSON")
    }

    fn rewind(&mut self, since: DateTime<Utc>) {
        let from = self.day_of(since);
        self.cursor.first = self.cursor.first.min(from);
        if let Some(read_to) = self.cursor.read_to {
            self.cursor.wait_for(from, self.day_of(read_to).pred_opt().unwrap_or(from));
        } else {
            // What waits already begins later.
            let to = self.cursor.oldest_unread().and_then(|day| day.pred_opt());
            self.cursor.wait_for(from, to.unwrap_or(self.cursor.nightly_read.pred_opt().unwrap_or(from)));
        }
        (self.newest, self.background, self.asked) = (None, None, None);
        self.background_days.clear();
        self.newest_due = DateTime::<Utc>::MIN_UTC;
    }

    fn progress(&self) -> Progress {
        let mut notes =
            vec![NO_REFUNDS.to_owned(), "taxes and methods of payment are not told by this source".to_owned()];
        notes.extend(self.unknown_fields.iter().map(|field| format!("unknown field {field}")));
        let begins = |day: NaiveDate| self.bounds(day).0;
        let since = begins(self.cursor.first);
        let waits = self.cursor.oldest_unread().map(begins);
        Progress {
            identity: self.session.identity(),
            watermark: Some(
                self.cursor
                    .read_to
                    .into_iter()
                    .chain(waits)
                    .min()
                    .filter(|_| self.cursor.read_to.is_some())
                    .unwrap_or(since),
            ),
            since: Some(since),
            complete: self.newest_complete && self.cursor.unread.is_empty() && !self.shows_unread(),
            notes,
        }
    }

    fn account(&self) -> Option<Vec<String>> {
        self.session.account()
    }

    fn covers(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
        let last = self.day_of(to - TimeDelta::seconds(1));
        self.bounds(self.cursor.first).0 <= from
            && self.cursor.read_to.is_some_and(|read_to| to <= read_to)
            && !self.cursor.waits_within(self.day_of(from), last)
    }

    fn read_at(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.cursor.readings.of(from, to)
    }

    fn reads_again_since(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.bounds(self.day_of(now - RESCAN_HORIZON)).0
    }
}
