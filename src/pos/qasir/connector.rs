//! How Qasir is read without holes: windows of time, several tiers of them.
//!
//! - *Newest*, at every poll: from the watermark, less a few minutes, to a little after now.
//! - *Recent*, at the start and hourly: the last 48 h again, for tills that sync late and for records that changed.
//! - *Catching up*: what lies between the watermark and the newest, from the oldest on, a day at a time; so after an
//!   outage, or on a new box, the sales of this minute come first and the history follows.
//! - *Nightly*: the last week again.
//! - *Gaps*: seconds that could not be proven complete are asked again.
//!
//! What was stored and is missing from re-readings is looked for by `vanished`.
//!
//! The newest and the others take turns when both have much to ask. The watermark moves only over windows that their
//! answers prove (`reading`). Until a narrow window around a known sale has shown that the server means by its
//! bounds what its records say, every stretch is asked with a day more on both sides, and counts only as a whole.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use chrono::{DateTime, NaiveTime, TimeDelta, Timelike, Utc};

use super::{
    account::{Outlets, ask_outlets, ask_transactions},
    cursor::Cursor,
    parse::parse_transactions,
    reading::{Purpose, Reading, Server, Verdict, honoured, hull},
    vanished::{Missing, Watch},
    windows::{Counts, Window},
};
use crate::{
    gap::{Gap, GapReason},
    health::Condition,
    notice::Notice,
    pos::{
        body::JsonType,
        connector::{Begin, Connector, Memory, Progress, RESCAN_HORIZON, Step, Terms, Yield},
        http::{Answer, Failure},
        page::{Page, ParseContext},
        request::{Authorization, Request},
    },
    secret::Secret,
    transaction::Flag,
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

/// The source keeps three months.
const HISTORY: TimeDelta = TimeDelta::days(90);

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

/// Names of unknown fields that are remembered.
const UNKNOWN_FIELDS_MAX: usize = 32;

/// What was asked last, and when.
#[derive(Debug, Clone)]
enum Asked {
    Outlets,
    Window { purpose: Purpose, window: Window, bounds: Window, at: DateTime<Utc> },
    Probe(Window),
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
    counts: Counts,
    server: Server,
    memory: Arc<dyn Memory>,
    watch: Watch,
    unknown_fields: BTreeSet<String>,
}

impl Qasir {
    /// A connector that goes on from where the last one stopped, or begins the backfill before now.
    #[must_use]
    pub fn new(terms: Terms, begin: Begin) -> Self {
        let Terms { context, poll_every, backfill } = terms;
        let Begin { secret: token, cursor: stored, gaps: open_gaps, memory, now } = begin;
        let stored: Option<Cursor> = stored.and_then(|bytes| serde_json::from_slice(&bytes).ok());
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
            counts: Counts::default(),
            server: Server::default(),
            memory,
            watch: Watch::default(),
            unknown_fields: BTreeSet::new(),
        }
    }

    /// The windows of the newest tier at this moment.
    fn plan_newest(&mut self, now: DateTime<Utc>) -> Reading {
        let now = whole_second(now);
        let read_to = self.cursor.newest_read_to(now, FAR, OVERLAP).min(now);
        self.plan(Purpose::Newest, Window { from: read_to - OVERLAP, to: now + AHEAD }, now)
    }

    fn plan(&self, purpose: Purpose, stretch: Window, now: DateTime<Utc>) -> Reading {
        if self.cursor.zone_proven {
            let dense = self.open_gaps.iter().filter(|gap| gap.reason == GapReason::Truncated);
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
        // While the zone is unproven no single second can be meant.
        if now >= self.gaps_due && self.cursor.zone_proven {
            self.gaps_due = now + TRY_AGAIN;
            let dense = self.open_gaps.iter().filter(|gap| gap.reason == GapReason::Truncated);
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

    fn take_outlets(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        // If that is no answer, a box that knows them goes on with the sales.
        self.outlets_due = now + TRY_AGAIN;
        let outlets = Outlets::read(&answer.body)?;
        let notice = outlets.note().map(|(code, text)| Notice::new(code, text));
        // Told once, not at every start.
        let told = notice.is_some().then_some(outlets.count());
        let is_news = std::mem::replace(&mut self.cursor.outlets_told, told) != told;
        self.outlets = Some(outlets);
        self.outlets_due = now + OUTLETS_EVERY;
        Ok(Yield { notices: notice.into_iter().filter(|_| is_news).collect(), ..Yield::default() })
    }

    fn take_window(
        &mut self,
        purpose: Purpose,
        (window, bounds): (Window, Window),
        asked_at: DateTime<Utc>,
        answer: &Answer,
        now: DateTime<Utc>,
    ) -> Result<Yield, String> {
        let page = self.parse(answer, now)?;
        let times = exact_times(&page);
        let slot = if purpose == Purpose::Newest { &mut self.newest } else { &mut self.background };
        let Some(reading) = slot else { return Ok(yield_of(page)) };
        let slack = if self.cursor.zone_proven { TimeDelta::zero() } else { SLACK };
        if !honoured(bounds, &times, slack) {
            return Ok(self.not_honoured(page, now));
        }
        if !self.cursor.zone_proven {
            self.probe = self.probe.or(times.last().copied());
        }
        self.server.bounds_proven = self.cursor.zone_proven;
        let begun = reading.begun;
        let verdict = reading.judge(page.rows, &times, &mut self.server);
        let mut found = Yield::default();
        if verdict != Verdict::AskOn && !times.is_empty() {
            found.conditions.push((Condition::WindowNotHonoured, None));
        }
        if verdict == Verdict::Gap {
            // Where the rows stand is where some are missing; a proven zone says it to the second.
            let place = if self.cursor.zone_proven { window } else { hull(&times).unwrap_or(window) };
            found.gaps_opened.extend(self.open_gap(place));
        }
        if verdict == Verdict::Whole {
            let held = times.iter().copied().filter(|at| window.from <= *at && *at < window.to);
            self.counts.learn(window, held);
        }
        if verdict != Verdict::AskOn {
            if purpose.is_again() {
                self.watch.done(window, verdict == Verdict::Whole, &page);
            }
            // Neither our clock nor the server's may let the watermark pass what was not there to be seen.
            let seen_at = whole_second(answer.date.map_or(asked_at, |date| date.min(asked_at)));
            found.gaps_closed = self.window_done(purpose, (window, verdict), seen_at, now);
            if purpose.is_again() && self.background.is_none() {
                match self.watch.missing(&*self.memory, &self.context.source_zone, begun, now) {
                    Missing::Unknown => {}
                    Missing::All(sales) => found.conditions.push((Condition::PosReset, Some(all_missing(sales)))),
                    Missing::Some(vanished) => {
                        found.conditions.push((Condition::PosReset, None));
                        found.vanished = vanished;
                    }
                }
            }
        }
        Ok(Yield { transactions: page.records, quarantined: page.quarantined, ..found })
    }

    /// Opens a gap where nothing is proven, unless it is open already. Where many are open, a further one is its whole
    /// day: a source that proves nothing shall not fill the store with seconds.
    pub(super) fn open_gap(&mut self, place: Window) -> Option<Gap> {
        let mut gap = Gap { from: place.from, to: place.to, reason: GapReason::Truncated };
        let dense = |open: &&Gap| open.reason == GapReason::Truncated;
        if self.open_gaps.iter().filter(dense).count() >= NARROW_GAPS_MAX {
            if self.open_gaps.iter().filter(dense).any(|open| open.from <= gap.from && gap.to <= open.to) {
                return None;
            }
            gap.from = midnight_before(gap.from);
            gap.to = midnight_before(gap.to - TimeDelta::seconds(1)) + TimeDelta::days(1);
        }
        if self.open_gaps.contains(&gap) {
            return None;
        }
        self.open_gaps.push(gap.clone());
        Some(gap)
    }

    /// A window needs no more asking: moves what it may move, and gives the gaps that it closes.
    fn window_done(
        &mut self,
        purpose: Purpose,
        (window, verdict): (Window, Verdict),
        seen_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Vec<Gap> {
        let slot = if purpose == Purpose::Newest { &mut self.newest } else { &mut self.background };
        let Some(reading) = slot else { return Vec::new() };
        let (finished, begun) = (reading.windows.is_empty(), reading.begun);
        let (read, proven) = match reading.whole {
            None => (Some((window, seen_at)), verdict == Verdict::Whole),
            Some(whole) => (finished.then_some((whole, begun.min(seen_at))), !reading.has_gap),
        };
        if finished {
            *slot = None;
            match purpose {
                Purpose::Newest => {
                    self.newest_complete = true;
                    self.newest_due = now + self.poll_every;
                }
                Purpose::Recent => self.recent_read = Some(begun),
                Purpose::Nightly => {
                    self.cursor.nightly_read = Some(self.context.outlet_zone.local(begun).date_naive());
                }
                Purpose::CatchUp | Purpose::Gap => {}
            }
        }
        let Some((read, at)) = read else { return Vec::new() };
        self.cursor.count_as_read(read, at);
        if !proven {
            return Vec::new();
        }
        let is_closed = |gap: &Gap| {
            gap.reason == GapReason::Truncated && read.from <= gap.from && gap.to <= read.to && gap.to <= at
        };
        self.open_gaps.extract_if(.., |gap| is_closed(gap)).collect()
    }

    /// Rows from elsewhere prove nothing of the window: what they say is kept, and the watermark stays.
    fn not_honoured(&mut self, page: Page, now: DateTime<Utc>) -> Yield {
        let mut found = yield_of(page);
        (self.newest, self.background) = (None, None);
        self.newest_complete = false;
        if self.cursor.zone_proven {
            // Perhaps the server means another zone now: all is asked wider, until that is proven anew.
            self.cursor.zone_proven = false;
            (self.probe, self.probe_due) = (None, now);
            return found;
        }
        let text = format!(
            "qasir GET /transactions: expected records within {} h of the window that was asked, found others: the \
             source ignores the window, so no answer proves anything; check the base-url and the connection's timezone",
            SLACK.num_hours()
        );
        found.conditions.push((Condition::WindowNotHonoured, Some(text)));
        self.background_due = now + TRY_AGAIN;
        self.newest_due = now + self.poll_every.max(NOT_HONOURED_WAIT);
        found
    }

    /// A server whose zone is another shows the known sale's neighbours of hours ago, or nobody.
    fn take_probe(&mut self, bounds: Window, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        let page = self.parse(answer, now)?;
        let times = exact_times(&page);
        let proven = !times.is_empty() && honoured(bounds, &times, TimeDelta::zero());
        self.probe = None;
        self.probe_due = now + TRY_AGAIN;
        if proven {
            // What was planned wider is planned anew.
            (self.newest, self.background) = (None, None);
            self.cursor.zone_proven = true;
        }
        let text = "qasir GET /transactions: expected a known sale in a narrow window around its time, found it not, or \
                    others too: the source seems to mean other times by its window than by its records, so every window \
                    is asked a day wider; check the connection's timezone";
        let condition = (Condition::WindowUnproven, (!proven).then(|| text.to_owned()));
        Ok(Yield { conditions: vec![condition], ..yield_of(page) })
    }

    fn parse(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Page, String> {
        self.context.observed_at = now;
        let mut page = parse_transactions(&answer.body, &self.context).map_err(|fault| fault.to_string())?;
        // A bad record is put aside; a list of something else is no answer, and proves nothing.
        let no_objects = page.quarantined.iter().all(|aside| aside.found != JsonType::Object);
        if page.rows > 0 && page.records.is_empty() && no_objects {
            return Err("expected objects in the list `transactions`, found none".to_owned());
        }
        for field in &page.unknown_fields {
            if self.unknown_fields.len() < UNKNOWN_FIELDS_MAX && self.unknown_fields.insert(field.clone()) {
                let connection = &self.context.connection;
                tracing::info!(connection, field, "qasir: a field that this version does not know");
            }
        }
        if self.outlets.as_ref().is_some_and(|outlets| outlets.count() > 1) {
            for record in &mut page.records {
                record.flags.insert(Flag::OutletUnknown);
            }
        }
        page.records.sort_by_key(|record| record.timestamp);
        self.watch.note(&page);
        Ok(page)
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
        if let Some(at) = self.probe.filter(|_| !self.cursor.zone_proven && now >= self.probe_due) {
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
        let mut found = match self.asked.take() {
            None => return Ok(Yield::default()),
            Some(Asked::Outlets) => self.take_outlets(answer, now)?,
            Some(Asked::Probe(bounds)) => self.take_probe(bounds, answer, now)?,
            Some(Asked::Window { purpose, window, bounds, at }) => {
                self.take_window(purpose, (window, bounds), at, answer, now)?
            }
        };
        let oldest = whole_second(now - HISTORY);
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
        notes.extend(self.unknown_fields.iter().map(|field| format!("unknown field {field}")));
        Progress {
            identity: self.outlets.as_ref().map(Outlets::names),
            watermark: Some(self.cursor.watermark),
            since: Some(self.cursor.since),
            complete: self.newest_complete && self.cursor.ahead.is_none(),
            notes,
        }
    }

    fn covers(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
        self.cursor.since <= from && to <= self.cursor.watermark
    }
}

const NAIVE_BOUNDS: &str = "the source refuses bounds with an offset, and is asked in local time";

fn all_missing(sales: usize) -> String {
    format!(
        "qasir GET /transactions: expected the {sales} sales of this time that are stored, found none of them: the \
         source's records were reset, or it is another account; what is stored stays; check the token and the base-url"
    )
}

/// The times of a page whose time of day is told, ascending as its records are.
fn exact_times(page: &Page) -> Vec<DateTime<Utc>> {
    let exact = page.records.iter().filter(|record| !record.flags.contains(&Flag::TimeOfDayUnknown));
    exact.map(|record| record.timestamp.with_timezone(&Utc)).collect()
}

fn yield_of(page: Page) -> Yield {
    Yield { transactions: page.records, quarantined: page.quarantined, ..Yield::default() }
}

fn whole_second(at: DateTime<Utc>) -> DateTime<Utc> {
    at.with_nanosecond(0).unwrap_or(at)
}

/// By UTC: what matters is only that the days are few.
fn midnight_before(at: DateTime<Utc>) -> DateTime<Utc> {
    at.date_naive().and_time(NaiveTime::MIN).and_utc()
}
