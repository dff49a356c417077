//! How Qasir is read without holes: windows of time, several tiers of them.
//!
//! - *Newest*, at every poll: from the watermark, less a few minutes, to a little after now.
//! - *Recent*, at the start and hourly: the last 48 h again, for tills that sync late and for records that changed.
//! - *Catching up*: what lies between the watermark and the newest, from the oldest on, a day at a time; so after an
//!   outage, or on a new box, the sales of this minute come first and the history follows.
//! - *Nightly*: the last week again, and once what lies after now: a till's clock may be far ahead.
//! - *Gaps*: seconds that could not be proven complete are asked again.
//!
//! What was stored and is missing from re-readings is looked for by `vanished`.
//!
//! The newest and the others take turns when both have much to ask. The watermark moves only over windows that their
//! answers prove (`reading`). Until a narrow window around a known sale has shown that the server means by its
//! bounds what its records say, every stretch is asked with a day more on both sides, and counts only as a whole.

mod answers;

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Timelike, Utc};

use super::{
    account::{Outlets, ask_outlets, ask_transactions},
    cursor::Cursor,
    reading::{Purpose, Reading, Server},
    vanished::Watch,
    windows::{Counts, Window, days},
};
use crate::{
    gap::{Gap, GapReason},
    notice::Notice,
    pos::{
        connector::{Begin, Connector, Memory, RESCAN_HORIZON, Step, Terms, Yield},
        http::{Answer, Failure},
        page::ParseContext,
        request::{Authorization, Request},
    },
    progress::Progress,
    secret::Secret,
};

/// How far before the watermark the newest tier reads again.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);

/// Further behind than this, the newest are read first and what lies between follows.
const FAR: TimeDelta = TimeDelta::hours(2);

/// How far after now it asks: a till's clock may run ahead.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// What a stretch is widened by on both sides, and what a row may lie outside of its window, while the server's zone is
/// unproven. Also what the box's clock may have been ahead of the truth before that is noticed.
const SLACK: TimeDelta = TimeDelta::hours(24);

/// Half the width of the window by which the zone is proven.
const PROBE: TimeDelta = TimeDelta::minutes(1);

/// The recent tier: how far back, and how often.
const RECENT: (TimeDelta, TimeDelta) = (TimeDelta::hours(48), TimeDelta::hours(1));

/// Local hour after which the nightly tier is due.
const NIGHT_HOUR: u32 = 3;

/// Days before today of which a narrow window is asked, until one has sales.
const GRAIN_DAYS_MAX: u64 = 7;

/// Once a night what a till with a wrong clock sold is looked for so far after now.
const FAR_AHEAD: TimeDelta = TimeDelta::days(400);

/// The source keeps three months.
pub const HISTORY: TimeDelta = TimeDelta::days(90);

/// A backfill that begins at the end of the history may take this long before something is lost.
const HISTORY_SLACK: TimeDelta = TimeDelta::days(1);

/// The account's outlets are asked for again after this long: a second one may have opened.
const OUTLETS_EVERY: TimeDelta = TimeDelta::hours(24);

/// An unproven zone is probed again after this long, open gaps asked again, and outlets that were not answered.
const TRY_AGAIN: TimeDelta = TimeDelta::hours(1);

/// A source that ignores windows is asked no more often than this.
const NOT_HONOURED_WAIT: TimeDelta = TimeDelta::minutes(1);

/// With so many seconds open that could not be proven, a further gap is a whole day.
const NARROW_GAPS_MAX: usize = 100;

/// Answers in a row that cannot be read until that is the source's fault and not one record's: a day is halved to a second
/// in 17 steps, and the second asked in three ways.
const SPOILT_MAX: u32 = 24;

/// For so many others counts a body of the largest size: eight in a row are enough.
const TOO_LARGE_COUNTS: u32 = 2;

/// A window that is narrower than this is not halved for an answer that does not come in time.
const SLOW_WINDOW: TimeDelta = TimeDelta::minutes(1);

/// Names of unknown fields that are remembered.
const UNKNOWN_FIELDS_MAX: usize = 32;

/// What was asked last, and when.
#[derive(Debug, Clone)]
enum Asked {
    Outlets,
    Window { purpose: Purpose, window: Window, bounds: Window, at: DateTime<Utc> },
    Probe(Window),
    Grain(Window),
}

/// The connector for one Qasir account.
pub struct Qasir {
    token: Secret,
    context: ParseContext,
    poll_every: TimeDelta,
    cursor: Cursor,
    /// What was read once before a rewind.
    read_before: Option<Window>,
    open_gaps: Vec<Gap>,
    /// The account's outlets, once they are known.
    outlets: Option<Outlets>,
    outlets_due: DateTime<Utc>,
    asked: Option<Asked>,
    newest: Option<Reading>,
    newest_due: DateTime<Utc>,
    newest_complete: bool,
    /// Requests of the newest reading so far, and of others since it began: they take turns.
    turns: (u32, u32),
    background: Option<Reading>,
    background_due: DateTime<Utc>,
    recent_read: Option<DateTime<Utc>>,
    gaps_due: DateTime<Utc>,
    gaps_to_ask: VecDeque<Gap>,
    /// A known sale for the probe of the zone.
    probe: Option<DateTime<Utc>>,
    probe_due: DateTime<Utc>,
    /// Days that are over, of which a narrow window is asked: perhaps the filter looks at the day alone.
    grain_days: VecDeque<NaiveDate>,
    grain_due: DateTime<Utc>,
    counts: Counts,
    server: Server,
    memory: Arc<dyn Memory>,
    watch: Watch,
    unknown_fields: BTreeSet<String>,
    /// Answers in a row that could not be read.
    spoilt_in_row: u32,
    /// What cannot be read is not halved before this: all of it could not be.
    halved_again: DateTime<Utc>,
    /// The last answer did not come in time, either.
    was_slow: bool,
}

impl Qasir {
    /// A connector that goes on from where the last one stopped, or begins the backfill before now.
    #[must_use]
    pub fn new(terms: Terms, begin: Begin) -> Self {
        let Terms { context, poll_every, backfill } = terms;
        let Begin { secret: token, cursor: stored, gaps: open_gaps, memory, now } = begin;
        let stored: Option<Cursor> = stored.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        // One that begins in the future is of a clock that was far ahead: nothing was read by it.
        let stored = stored.filter(|cursor| cursor.since <= now);
        // What a new box reads at first, it need not read again the same night.
        let nightly_read = Some(context.outlet_zone.local(now).date_naive());
        let begin = whole_second(now - backfill.min(HISTORY));
        let mut cursor = stored.unwrap_or(Cursor { nightly_read, ..Cursor::beginning(begin) });
        cursor.distrust_the_future(whole_second(now), AHEAD, SLACK);
        Self {
            token,
            context,
            poll_every,
            cursor,
            read_before: None,
            open_gaps,
            outlets: None,
            outlets_due: now,
            asked: None,
            newest: None,
            newest_due: now,
            newest_complete: false,
            turns: (0, 0),
            background: None,
            background_due: now,
            recent_read: None,
            gaps_due: now,
            gaps_to_ask: VecDeque::new(),
            probe: None,
            probe_due: now,
            grain_days: VecDeque::new(),
            grain_due: now,
            counts: Counts::default(),
            server: Server::default(),
            memory,
            watch: Watch::default(),
            unknown_fields: BTreeSet::new(),
            spoilt_in_row: 0,
            halved_again: now,
            was_slow: false,
        }
    }

    /// The windows of the newest tier at this moment.
    fn plan_newest(&mut self, now: DateTime<Utc>) -> Reading {
        let now = whole_second(now);
        let read_to = self.cursor.newest_read_to(now, FAR, OVERLAP).min(now);
        self.plan(Purpose::Newest, Window { from: read_to - OVERLAP, to: now + AHEAD }, now)
    }

    fn plan(&self, purpose: Purpose, stretch: Window, now: DateTime<Utc>) -> Reading {
        if self.cursor.by_day {
            let days = days(stretch.widened(SLACK), &self.context.source_zone);
            return Reading::of_days(purpose, now, days, stretch);
        }
        if self.cursor.zone_proven {
            let dense = self.open_gaps.iter().filter(|gap| is_asked_again(gap));
            let cuts: Vec<_> = dense.flat_map(|gap| [gap.from, gap.to]).collect();
            let whole = (purpose == Purpose::Gap).then_some(stretch);
            return Reading::new(purpose, now, self.counts.plan(stretch, &cuts), whole);
        }
        Reading::new(purpose, now, self.counts.plan(stretch.widened(SLACK), &[]), Some(stretch))
    }

    /// The most pressing stretch of history, if any is due.
    fn plan_background(&mut self, now: DateTime<Utc>) -> Option<Reading> {
        if now < self.background_due {
            return None;
        }
        let local = self.context.outlet_zone.local(now);
        let now = whole_second(now);
        let since = |span: TimeDelta| (now - span).max(self.cursor.since);
        if self.recent_read.is_none_or(|read| now - read >= RECENT.1) {
            return Some(self.plan(Purpose::Recent, Window { from: since(RECENT.0), to: now }, now));
        }
        if let Some((ahead_from, _)) = self.cursor.ahead {
            let from = self.cursor.watermark - OVERLAP;
            // A day at a time, so that the plan is made anew with what was counted on the way.
            let to = ahead_from.min(self.cursor.watermark + TimeDelta::days(1));
            return Some(self.plan(Purpose::CatchUp, Window { from, to }, now));
        }
        if local.hour() >= NIGHT_HOUR && self.cursor.nightly_read != Some(local.date_naive()) {
            self.server.forget();
            let from = (now - RESCAN_HORIZON).max(self.cursor.since);
            return Some(self.plan(Purpose::Nightly, Window { from, to: now }, now));
        }
        // Only bounds that are proven show that a row which lies after now is meant so.
        if local.hour() >= NIGHT_HOUR && self.cursor.looked_ahead != Some(local.date_naive()) && self.cursor.zone_proven
        {
            let beyond = Window { from: now + AHEAD, to: now + FAR_AHEAD };
            return Some(Reading::new(Purpose::Ahead, now, vec![beyond], None));
        }
        // While the zone is unproven no single second can be meant.
        if now >= self.gaps_due && (self.cursor.zone_proven || self.cursor.by_day) {
            self.gaps_due = now + TRY_AGAIN;
            let dense = self.open_gaps.iter().filter(|gap| is_asked_again(gap));
            self.gaps_to_ask = dense.cloned().collect();
        }
        let gap = self.gaps_to_ask.pop_front()?;
        Some(self.plan(Purpose::Gap, Window { from: gap.from, to: gap.to }, now))
    }

    fn request_for(&self, bounds: Window) -> Request {
        self.authorized(ask_transactions(bounds, &self.context.source_zone, self.cursor.naive_bounds))
    }

    fn authorized(&self, request: Request) -> Request {
        request.authorized(Authorization::Bearer(self.token.clone()))
    }

    fn is_newest_turn(&self, now: DateTime<Utc>) -> bool {
        let (newest, others) = self.turns;
        now >= self.newest_due && (self.background.is_none() || others >= newest)
    }
}

impl Connector for Qasir {
    fn next(&mut self, now: DateTime<Utc>) -> Step {
        if self.outlets.is_none() || now >= self.outlets_due {
            self.asked = Some(Asked::Outlets);
            return Step::Ask(self.authorized(ask_outlets()));
        }
        if let Some(day) = self.grain_days.front() {
            let noon = self.context.source_zone.day_begins(*day, NaiveTime::MIN) + TimeDelta::hours(12);
            let bounds = Window { from: noon, to: noon }.widened(TimeDelta::minutes(30));
            self.asked = Some(Asked::Grain(bounds));
            return Step::Ask(self.request_for(bounds));
        }
        if let Some(at) =
            self.probe.filter(|_| !self.cursor.zone_proven && !self.cursor.by_day && now >= self.probe_due)
        {
            let at = whole_second(at);
            let bounds = Window { from: at, to: at }.widened(PROBE);
            self.asked = Some(Asked::Probe(bounds));
            return Step::Ask(self.request_for(bounds));
        }
        if self.newest.is_none() && self.is_newest_turn(now) {
            self.newest = Some(self.plan_newest(now));
            self.turns = (0, 0);
        }
        if self.newest.is_none() && self.background.is_none() {
            self.background = self.plan_background(now);
            if let Some(reading) = self.background.as_ref().filter(|reading| reading.purpose.is_again()) {
                self.watch.begin(reading.whole);
            }
        }
        let reading = self.newest.as_ref().or(self.background.as_ref());
        let Some((purpose, (window, bounds))) = reading.and_then(|r| Some((r.purpose, r.next()?))) else {
            return Step::Wait(self.newest_due);
        };
        let turn = if purpose == Purpose::Newest { &mut self.turns.0 } else { &mut self.turns.1 };
        *turn = turn.saturating_add(1);
        self.asked = Some(Asked::Window { purpose, window, bounds, at: now });
        Step::Ask(self.request_for(bounds))
    }

    fn take(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        self.was_slow = false;
        let mut found = match self.asked.take() {
            None => return Ok(Yield::default()),
            Some(Asked::Outlets) => self.take_outlets(answer, now)?,
            Some(Asked::Grain(bounds)) => self.take_grain(bounds, answer, now)?,
            Some(Asked::Probe(bounds)) => self.take_probe(bounds, answer, now)?,
            Some(Asked::Window { purpose, window, bounds, at }) => {
                self.take_window(purpose, (window, bounds), at, answer, now)?
            }
        };
        // A clock that leapt ahead ends no history.
        let oldest = whole_second(answer.date.map_or(now, |date| date.min(now)) - HISTORY);
        if self.cursor.watermark < oldest - HISTORY_SLACK {
            let lost = self.cursor.give_up_before(oldest);
            // What was only to be read once more is not lost.
            if !self.read_before.is_some_and(|read| read.from <= lost.from && lost.to <= read.to) {
                let behind = Gap { from: lost.from, to: lost.to, reason: GapReason::BehindHistory };
                self.open_gaps.push(behind.clone());
                found.gaps_opened.push(behind);
            }
        }
        Ok(found)
    }

    fn failed(&mut self, failure: &Failure, now: DateTime<Utc>) -> Option<Yield> {
        self.newest_complete = false;
        let asked = self.asked.take();
        if matches!(asked, Some(Asked::Outlets)) {
            self.outlets_due = now + TRY_AGAIN;
        }
        // The first time it may be the line.
        let was_slow = std::mem::replace(&mut self.was_slow, matches!(failure, Failure::TooSlow(_)));
        if let Some(Asked::Window { purpose, window, at, .. }) = asked
            && (matches!(failure, Failure::TooLarge)
                || matches!(failure, Failure::TooSlow(_)) && was_slow && window.to - window.from > SLOW_WINDOW)
        {
            // What is that large costs the line: it counts for several.
            self.spoilt_in_row += u32::from(matches!(failure, Failure::TooLarge)) * TOO_LARGE_COUNTS;
            return self.spoilt(purpose, (window, at), &failure.to_string(), now);
        }
        let refused = matches!(failure, Failure::Unexpected(400 | 422)) && !matches!(asked, Some(Asked::Outlets));
        if !refused || self.cursor.naive_bounds {
            return None;
        }
        // A server that refuses a bound with an offset gets local time; its zone is then to be proven anew.
        self.cursor.naive_bounds = true;
        self.cursor.zone_proven = false;
        (self.newest, self.background, self.probe_due) = (None, None, now);
        let notice = Notice::new("naive_bounds", NAIVE_BOUNDS);
        Some(Yield { notices: vec![notice], ..Yield::default() })
    }

    fn cursor(&self) -> Vec<u8> {
        serde_json::to_vec(&self.cursor).expect("times and flags are always JSON")
    }

    fn rewind(&mut self, since: DateTime<Utc>) {
        self.read_before = Some(Window { from: self.cursor.since, to: self.cursor.watermark });
        self.cursor.rewind(whole_second(since));
        (self.newest, self.background, self.asked) = (None, None, None);
    }

    fn progress(&self) -> Progress {
        let mut notes = vec!["voids, taxes and discounts are not told by this source".to_owned()];
        notes.extend(self.outlets.as_ref().and_then(Outlets::note).map(|(_, text)| text));
        notes.extend(self.cursor.naive_bounds.then(|| NAIVE_BOUNDS.to_owned()));
        notes.extend(self.cursor.by_day.then(|| BY_DAY.to_owned()));
        notes.extend(self.unknown_fields.iter().map(|field| format!("unknown field {field}")));
        Progress {
            identity: self.outlets.as_ref().map(Outlets::names),
            watermark: Some(self.cursor.watermark),
            since: Some(self.cursor.since),
            complete: self.newest_complete && self.cursor.ahead.is_none(),
            notes,
        }
    }

    fn account(&self) -> Option<Vec<String>> {
        self.outlets.as_ref().map(|outlets| outlets.ids().to_vec())
    }

    fn covers(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
        self.cursor.since <= from && to <= self.cursor.watermark
    }

    fn read_at(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.cursor.readings.of(from, to)
    }
}

/// Gaps that an answer may close.
fn is_asked_again(gap: &Gap) -> bool {
    matches!(gap.reason, GapReason::Truncated | GapReason::Unreadable)
}

const BY_DAY: &str = "the source filters by whole days, and is asked day by day: a day with 100 sales or more cannot be proven \
                      complete";

const NAIVE_BOUNDS: &str = "the source refuses bounds with an offset, and is asked in local time";

fn whole_second(at: DateTime<Utc>) -> DateTime<Utc> {
    at.with_nanosecond(0).unwrap_or(at)
}
