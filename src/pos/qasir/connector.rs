//! How Qasir is read without holes: windows of time, several tiers of them.
//!
//! - *Newest*, at every poll: from the watermark, less a few minutes, to a little after now.
//! - *Catching up*: what lies between the watermark and the newest, from the oldest on, a day at a time; so after an
//!   outage, or on a new box, the sales of this minute come first and the history follows.
//! - *Recent*, hourly: the last 48 h again, for tills that sync late and for records that changed.
//! - *Nightly*: the last week again.
//! - *Gaps*: intervals that were not proven complete are asked again.
//!
//! The watermark moves only over windows whose answer was not cut off and lies where it was asked. Until a narrow
//! window around a known sale has shown that the server means by its bounds what its records say, every window is
//! asked with a day more on both sides.

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Timelike, Utc};
use serde::{Deserialize, Serialize};

use super::{
    parse::{parse_outlets, parse_transactions},
    windows::{Counts, Window},
};
use crate::{
    gap::{Gap, GapReason},
    health::Condition,
    notice::Notice,
    pos::{
        connector::{Connector, Progress, Step, Yield},
        http::{Answer, Failure, Request},
        page::{Page, ParseContext},
    },
    transaction::Flag,
};

/// Rows that one answer can hold: the documented `limit`.
const LIMIT_ROWS: usize = 100;

/// How far before the watermark the newest tier reads again.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);

/// How far after now it asks: a till's clock may run ahead.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// What a window is widened by on both sides, and what a row may lie outside of it, while the server's zone is unproven.
const SLACK: TimeDelta = TimeDelta::hours(24);

/// Half the width of the window by which the zone is proven.
const PROBE: TimeDelta = TimeDelta::minutes(1);

/// The recent tier: how far back, and how often.
const RECENT: (TimeDelta, TimeDelta) = (TimeDelta::hours(48), TimeDelta::hours(1));

/// The nightly tier reads this far back; a new box reads again from its predecessor's watermark less this.
pub const RESCAN_HORIZON: TimeDelta = TimeDelta::days(7);

/// Local hour after which the nightly tier is due.
const NIGHT_HOUR: u32 = 3;

/// The source keeps three months.
const HISTORY: TimeDelta = TimeDelta::days(90);

/// A backfill that begins at the end of the history may take this long before something is lost.
const HISTORY_SLACK: TimeDelta = TimeDelta::days(1);

/// An unproven zone is probed again after this long, an open gap asked again.
const TRY_AGAIN: TimeDelta = TimeDelta::hours(1);

/// What is stored with every commit that moves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// Everything from here …
    since: DateTime<Utc>,
    /// … to here was read at least once.
    watermark: DateTime<Utc>,
    /// A stretch after the watermark that was read already: the newest come first.
    ahead: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// The server means by its bounds what its records say.
    zone_proven: bool,
    /// The server refuses bounds with an offset, and gets local ones.
    naive_bounds: bool,
    recent_read: Option<DateTime<Utc>>,
    nightly_read: Option<NaiveDate>,
}

/// Why a stretch of time is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Newest,
    CatchUp,
    Recent,
    Nightly,
    Gap,
}

/// A stretch of time that is being read: the windows still to ask, the next one last.
#[derive(Debug, Clone)]
struct Reading {
    purpose: Purpose,
    windows: Vec<Window>,
    /// What counts as read once every window was: for a stretch that was widened. Else each window counts at once.
    whole: Option<Window>,
}

/// What was asked last.
#[derive(Debug, Clone)]
enum Asked {
    Outlets,
    Window(Purpose, Window),
    Probe(String, DateTime<Utc>),
}

/// The connector for one Qasir account.
pub struct Qasir {
    context: ParseContext,
    poll_every: TimeDelta,
    cursor: Cursor,
    open_gaps: Vec<Gap>,
    identity: Option<String>,
    outlet_unknown: bool,
    asked: Option<Asked>,
    newest: Option<Reading>,
    newest_due: DateTime<Utc>,
    newest_complete: bool,
    background: Option<Reading>,
    background_due: DateTime<Utc>,
    gaps_due: DateTime<Utc>,
    probe: Option<(String, DateTime<Utc>)>,
    probe_due: DateTime<Utc>,
    counts: Counts,
    notes: Vec<String>,
}

impl Qasir {
    /// A connector that goes on from the stored cursor, or begins `backfill` before now.
    #[must_use]
    pub fn new(
        context: ParseContext,
        poll_every: TimeDelta,
        backfill: TimeDelta,
        stored: Option<&[u8]>,
        open_gaps: Vec<Gap>,
        now: DateTime<Utc>,
    ) -> Self {
        let begin = whole_second(now - backfill.min(HISTORY));
        let cursor = stored.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or(Cursor {
            since: begin,
            watermark: begin,
            ahead: None,
            zone_proven: false,
            naive_bounds: false,
            recent_read: Some(now),
            nightly_read: None,
        });
        Self {
            context,
            poll_every,
            cursor,
            open_gaps,
            identity: None,
            outlet_unknown: false,
            asked: None,
            newest: None,
            newest_due: now,
            newest_complete: false,
            background: None,
            background_due: now,
            gaps_due: now,
            probe: None,
            probe_due: now,
            counts: Counts::default(),
            notes: Vec::new(),
        }
    }

    /// The windows of the newest tier at this moment.
    fn plan_newest(&mut self, now: DateTime<Utc>) -> Reading {
        let now = whole_second(now);
        // More than a day behind: today's sales first, what lies between follows as history.
        let behind = now - self.cursor.watermark > TimeDelta::days(1);
        let read_to = match self.cursor.ahead {
            Some((_, to)) if now - to < TimeDelta::days(1) => to,
            _ if behind => {
                let from = now - OVERLAP;
                self.cursor.ahead = Some((from, from));
                from
            }
            _ => self.cursor.watermark,
        };
        self.plan(Purpose::Newest, read_to.min(now) - OVERLAP, now + AHEAD)
    }

    fn plan(&self, purpose: Purpose, from: DateTime<Utc>, to: DateTime<Utc>) -> Reading {
        if self.cursor.zone_proven {
            return Reading { purpose, windows: self.counts.plan(Window { from, to }), whole: None };
        }
        let windows = self.counts.plan(Window { from: from - SLACK, to: to + SLACK });
        Reading { purpose, windows, whole: Some(Window { from, to }) }
    }

    /// The most pressing stretch of history, if any is due.
    fn plan_background(&mut self, now: DateTime<Utc>) -> Option<Reading> {
        let now = whole_second(now);
        if now < self.background_due {
            return None;
        }
        if let Some((ahead_from, _)) = self.cursor.ahead {
            let from = self.cursor.watermark - OVERLAP;
            // A day at a time, so that the plan is made anew with what was counted on the way.
            let to = ahead_from.min(self.cursor.watermark + TimeDelta::days(1));
            return Some(self.plan(Purpose::CatchUp, from, to));
        }
        if self.cursor.recent_read.is_none_or(|read| now - read >= RECENT.1) {
            return Some(self.plan(Purpose::Recent, (now - RECENT.0).max(self.cursor.since), now));
        }
        let local = self.context.outlet_zone.local(now);
        if local.hour() >= NIGHT_HOUR && self.cursor.nightly_read != Some(local.date_naive()) {
            return Some(self.plan(Purpose::Nightly, (now - RESCAN_HORIZON).max(self.cursor.since), now));
        }
        if now >= self.gaps_due && !self.open_gaps.is_empty() {
            self.gaps_due = now + TRY_AGAIN;
            let windows = self.open_gaps.iter().filter(|gap| gap.reason != GapReason::BehindHistory);
            let windows: Vec<_> = windows.map(|gap| Window { from: gap.from, to: gap.to }).collect();
            return (!windows.is_empty()).then_some(Reading { purpose: Purpose::Gap, windows, whole: None });
        }
        None
    }

    fn request_for(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Request {
        let text = |at: DateTime<Utc>| {
            let local = self.context.source_zone.local(at);
            if self.cursor.naive_bounds {
                local.format("%Y-%m-%dT%H:%M:%S").to_string()
            } else {
                local.to_rfc3339_opts(SecondsFormat::Secs, false)
            }
        };
        Request {
            path: "/transactions",
            query: vec![("from_date", text(from)), ("to_date", text(to)), ("limit", LIMIT_ROWS.to_string())],
        }
    }

    fn take_outlets(&mut self, answer: &Answer) -> Result<Yield, String> {
        let outlets = parse_outlets(&answer.body).map_err(|fault| fault.to_string())?;
        let names: Vec<&str> =
            outlets.iter().map(|o| o.name.as_deref().or(o.external_id.as_deref()).unwrap_or("unnamed")).collect();
        let mut notices = Vec::new();
        self.identity = Some(names.join(", ")).filter(|names| !names.is_empty());
        self.identity.get_or_insert_with(|| "no outlet named".to_owned());
        self.outlet_unknown = outlets.len() > 1;
        self.notes.clear();
        self.notes.push("voids, taxes and discounts are not told by this source".to_owned());
        if self.outlet_unknown {
            self.notes.push(format!("the token covers {} outlets, and a sale does not name its own", outlets.len()));
            notices.push(Notice::new("several_outlets", self.notes[1].clone()));
        }
        if outlets.is_empty() {
            self.notes.push("the token is accepted but covers no outlet".to_owned());
            notices.push(Notice::new("no_outlet", self.notes[1].clone()));
        }
        Ok(Yield { notices, ..Yield::default() })
    }

    fn take_window(
        &mut self,
        purpose: Purpose,
        window: Window,
        answer: &Answer,
        now: DateTime<Utc>,
    ) -> Result<Yield, String> {
        let mut page = self.parse(answer, now)?;
        let mut found = Yield::default();
        let honoured = page.records.iter().all(|record| window.holds(record.timestamp.with_timezone(&Utc), SLACK));
        let truncated = page.rows >= LIMIT_ROWS;
        self.remember_a_sale(&page);

        if !honoured {
            let text = format!(
                "a record lies more than {} h outside of the window that was asked: the source ignores the window or \
                 means another zone, so no answer proves anything; check the connection's timezone",
                SLACK.num_hours()
            );
            found.conditions.push((Condition::WindowNotHonoured, Some(text)));
            found.gaps_opened.push(gap(window, GapReason::WindowNotHonoured));
            self.drop_reading(purpose);
            self.background_due = now + TRY_AGAIN;
            self.newest_due = now + self.poll_every;
            self.newest_complete = false;
        } else if truncated && let Some((left, right)) = window.halves() {
            let windows = &mut self.reading(purpose).windows;
            windows.pop();
            windows.extend([right, left]);
        } else {
            found.conditions.push((Condition::WindowNotHonoured, None));
            self.reading(purpose).windows.pop();
            if truncated {
                found.gaps_opened.push(gap(window, GapReason::Truncated));
            } else {
                self.counts.learn(window, page.records.iter().map(|record| record.timestamp.with_timezone(&Utc)));
                let proven = self.open_gaps.iter().filter(|gap| window.from <= gap.from && gap.to <= window.to);
                found.gaps_closed = proven.cloned().collect();
            }
            self.read_through(purpose, window, now);
        }
        for opened in &found.gaps_opened {
            if !self.open_gaps.contains(opened) {
                self.open_gaps.push(opened.clone());
            }
        }
        self.open_gaps.retain(|open| !found.gaps_closed.contains(open));
        found.transactions = std::mem::take(&mut page.records);
        found.quarantined = page.quarantined;
        Ok(found)
    }

    /// A window was read whole: moves what it may move.
    fn read_through(&mut self, purpose: Purpose, window: Window, now: DateTime<Utc>) {
        let reading = self.reading(purpose);
        let (finished, whole) = (reading.windows.is_empty(), reading.whole);
        match whole {
            None => self.count_as_read(window, now),
            Some(whole) if finished => self.count_as_read(whole, now),
            Some(_) => {}
        }
        if !finished {
            return;
        }
        self.drop_reading(purpose);
        match purpose {
            Purpose::Newest => {
                self.newest_complete = true;
                self.newest_due = now + self.poll_every;
            }
            Purpose::Recent => self.cursor.recent_read = Some(now),
            Purpose::Nightly => self.cursor.nightly_read = Some(self.context.outlet_zone.local(now).date_naive()),
            Purpose::CatchUp | Purpose::Gap => {}
        }
    }

    fn count_as_read(&mut self, window: Window, now: DateTime<Utc>) {
        // A sale of this very second may still be missing: the watermark stays behind the clock.
        let to = window.to.min(whole_second(now));
        let cursor = &mut self.cursor;
        if window.from <= cursor.watermark {
            cursor.watermark = cursor.watermark.max(to);
        } else if let Some((from, ahead_to)) = &mut cursor.ahead
            && window.from <= *ahead_to
            && to >= *from
        {
            *ahead_to = to.max(*ahead_to);
        }
        if let Some((_, to)) = cursor.ahead.filter(|(from, _)| *from <= cursor.watermark) {
            cursor.watermark = cursor.watermark.max(to);
            cursor.ahead = None;
        }
    }

    fn take_probe(
        &mut self,
        id: &str,
        at: DateTime<Utc>,
        answer: &Answer,
        now: DateTime<Utc>,
    ) -> Result<Yield, String> {
        let page = self.parse(answer, now)?;
        let window = Window { from: at - PROBE, to: at + PROBE };
        let inside =
            page.records.iter().all(|record| window.holds(record.timestamp.with_timezone(&Utc), TimeDelta::seconds(2)));
        let shown = page.records.iter().any(|record| record.external_id == id);
        self.probe = None;
        self.probe_due = now + TRY_AGAIN;
        self.cursor.zone_proven = shown && inside;
        let text = "a narrow window around a known sale does not show it alone: the source seems to mean other times by \
                    its window than by its records, so every window is asked a day wider; check the connection's timezone";
        let conditions = vec![(Condition::WindowUnproven, (!self.cursor.zone_proven).then(|| text.to_owned()))];
        Ok(Yield { transactions: page.records, quarantined: page.quarantined, conditions, ..Yield::default() })
    }

    fn parse(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Page, String> {
        self.context.observed_at = now;
        let mut page = parse_transactions(&answer.body, &self.context).map_err(|fault| fault.to_string())?;
        for field in &page.unknown_fields {
            let note = format!("unknown field {field}");
            if !self.notes.contains(&note) {
                tracing::info!(connection = %self.context.connection, %field, "qasir: a field that this version does not know");
                self.notes.push(note);
            }
        }
        if self.outlet_unknown {
            for record in &mut page.records {
                record.flags.insert(Flag::OutletUnknown);
            }
        }
        page.records.sort_by_key(|record| record.timestamp);
        Ok(page)
    }

    /// Keeps one sale whose time is exact, for the probe.
    fn remember_a_sale(&mut self, page: &Page) {
        if self.cursor.zone_proven || self.probe.is_some() {
            return;
        }
        let exact = page.records.iter().rev().find(|record| !record.flags.contains(&Flag::TimeOfDayUnknown));
        self.probe = exact.map(|record| (record.external_id.clone(), record.timestamp.with_timezone(&Utc)));
    }

    fn reading(&mut self, purpose: Purpose) -> &mut Reading {
        let slot = if purpose == Purpose::Newest { &mut self.newest } else { &mut self.background };
        slot.get_or_insert(Reading { purpose, windows: Vec::new(), whole: None })
    }

    fn drop_reading(&mut self, purpose: Purpose) {
        *(if purpose == Purpose::Newest { &mut self.newest } else { &mut self.background }) = None;
    }
}

impl Connector for Qasir {
    fn next(&mut self, now: DateTime<Utc>) -> Step {
        if self.identity.is_none() {
            self.asked = Some(Asked::Outlets);
            return Step::Ask(Request { path: "/outlets", query: Vec::new() });
        }
        if let Some(probe) = self.probe.clone().filter(|_| now >= self.probe_due) {
            let (at, request) = (probe.1, self.request_for(probe.1 - PROBE, probe.1 + PROBE));
            self.asked = Some(Asked::Probe(probe.0, at));
            return Step::Ask(request);
        }
        if self.newest.is_none() && now >= self.newest_due {
            self.newest = Some(self.plan_newest(now));
        }
        if self.newest.is_none() && self.background.is_none() {
            self.background = self.plan_background(now);
        }
        let reading = self.newest.as_ref().or(self.background.as_ref());
        let Some((purpose, window)) = reading.and_then(|r| Some((r.purpose, *r.windows.last()?))) else {
            return Step::Wait(self.newest_due);
        };
        self.asked = Some(Asked::Window(purpose, window));
        // Bounds may be exclusive on either side, and are sent in whole seconds.
        Step::Ask(self.request_for(window.from - TimeDelta::seconds(1), window.to + TimeDelta::seconds(1)))
    }

    fn take(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        let mut found = match self.asked.take() {
            None => return Ok(Yield::default()),
            Some(Asked::Outlets) => self.take_outlets(answer)?,
            Some(Asked::Probe(id, at)) => self.take_probe(&id, at, answer, now)?,
            Some(Asked::Window(purpose, window)) => self.take_window(purpose, window, answer, now)?,
        };
        let oldest = whole_second(now - HISTORY);
        if self.cursor.watermark < oldest - HISTORY_SLACK {
            let behind = Gap { from: self.cursor.watermark, to: oldest, reason: GapReason::BehindHistory };
            self.cursor.watermark = oldest;
            self.open_gaps.push(behind.clone());
            found.gaps_opened.push(behind);
        }
        Ok(found)
    }

    fn failed(&mut self, failure: &Failure, _now: DateTime<Utc>) -> Option<Yield> {
        // A server that refuses a bound with an offset gets local time; its zone is then to be proven anew.
        if *failure == Failure::Unexpected(400)
            && !self.cursor.naive_bounds
            && !matches!(self.asked, Some(Asked::Outlets))
        {
            self.cursor.naive_bounds = true;
            self.cursor.zone_proven = false;
            let text = "the source refuses bounds with an offset, and is asked in local time";
            self.notes.push(text.to_owned());
            return Some(Yield { notices: vec![Notice::new("naive_bounds", text)], ..Yield::default() });
        }
        self.newest_complete = false;
        None
    }

    fn cursor(&self) -> Vec<u8> {
        serde_json::to_vec(&self.cursor).expect("times and flags are always JSON")
    }

    fn rewind(&mut self, since: DateTime<Utc>) {
        let since = whole_second(since);
        if since < self.cursor.watermark {
            if self.cursor.ahead.is_none() {
                self.cursor.ahead = Some((self.cursor.watermark, self.cursor.watermark));
            }
            self.cursor.watermark = since;
            self.cursor.since = self.cursor.since.min(since);
            self.background = None;
        }
    }

    fn progress(&self) -> Progress {
        Progress {
            identity: self.identity.clone(),
            watermark: Some(self.cursor.watermark),
            since: Some(self.cursor.since),
            complete: self.newest_complete && self.cursor.ahead.is_none(),
            notes: self.notes.clone(),
        }
    }

    fn covers(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
        self.cursor.since <= from && to <= self.cursor.watermark
    }
}

fn gap(window: Window, reason: GapReason) -> Gap {
    Gap { from: window.from, to: window.to, reason }
}

fn whole_second(at: DateTime<Utc>) -> DateTime<Utc> {
    at.with_nanosecond(0).unwrap_or(at)
}
