//! What the connector makes of its answers: what they prove, what they open and close, and what they lack.

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};

use super::{
    BY_DAY, GRAIN_DAYS_MAX, NARROW_GAPS_MAX, NOT_HONOURED_WAIT, OUTLETS_EVERY, Qasir, SLACK, SPOILT_MAX, TRY_AGAIN,
    UNKNOWN_FIELDS_MAX, is_asked_again, whole_second,
};
use crate::{
    gap::{Gap, GapReason},
    health::Condition,
    instant,
    notice::Notice,
    pos::{
        body::BodyFault,
        connector::Yield,
        http::Answer,
        page::{Interval, Page},
        qasir::{
            account::Outlets,
            parse::parse_transactions,
            reading::{Purpose, Verdict, honoured, honoured_by_day, hull},
            vanished::Missing,
            windows::Window,
        },
    },
    transaction::Flag,
};

impl Qasir {
    pub(super) fn take_outlets(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
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

    pub(super) fn take_window(
        &mut self,
        purpose: Purpose,
        (window, bounds): (Window, Window),
        asked_at: DateTime<Utc>,
        answer: &Answer,
        now: DateTime<Utc>,
    ) -> Result<Yield, String> {
        let mut page = match self.parse(answer, now) {
            Ok(page) => page,
            Err(fault) if fault.may_pass_when_halved() => {
                let fault = fault.to_string();
                return self.spoilt(purpose, (window, asked_at), &fault, now).ok_or(fault);
            }
            Err(fault) => return Err(fault.to_string()),
        };
        (self.spoilt_in_row, self.halved_again) = (0, now);
        let times = exact_times(&page);
        let slot = if purpose == Purpose::Newest { &mut self.newest } else { &mut self.background };
        let Some(reading) = slot else { return Ok(yield_of(page)) };
        let slack = if self.cursor.zone_proven { TimeDelta::zero() } else { SLACK };
        if !honoured(bounds, &times, slack) {
            return Ok(self.not_honoured(bounds, page, &times, now));
        }
        if purpose == Purpose::Ahead {
            return Ok(self.looked_ahead(page, now));
        }
        let asked = bounds.widened(slack);
        page.met_within(Interval { from: asked.from, to: asked.to });
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
            let place =
                if self.cursor.zone_proven || self.cursor.by_day { window } else { hull(&times).unwrap_or(window) };
            found.gaps_opened.extend(self.open_gap(place, GapReason::Truncated));
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

    /// Sales after now are sales: they are kept, and the till is told of.
    fn looked_ahead(&mut self, page: Page, now: DateTime<Utc>) -> Yield {
        self.background = None;
        self.cursor.looked_ahead = Some(self.context.outlet_zone.local(now).date_naive());
        let last = page.records.last().map(|record| record.timestamp.to_utc());
        let text = last.map(|last| {
            format!(
                "qasir GET /transactions: expected no sale after now, found {}, the last at {}: a till's clock is ahead, or \
                 the connection's timezone is wrong; they are kept as they are; set that clock right",
                page.rows,
                instant::text_utc(last)
            )
        });
        Yield { conditions: vec![(Condition::TillClockWrong, text)], ..yield_of(page) }
    }

    /// The answer to a window cannot be read, or does not come: it is halved. `None`: too many in a row, so that it is
    /// no record's fault; nothing was taken, and all of it is planned anew.
    pub(super) fn spoilt(
        &mut self,
        purpose: Purpose,
        (window, asked_at): (Window, DateTime<Utc>),
        fault: &str,
        now: DateTime<Utc>,
    ) -> Option<Yield> {
        self.newest_complete = false;
        self.spoilt_in_row += 1;
        if self.spoilt_in_row > SPOILT_MAX || now < self.halved_again {
            // Until it is readable again, or an hour is over, no second is looked for.
            if now >= self.halved_again {
                self.halved_again = now + TRY_AGAIN;
            }
            self.spoilt_in_row = 0;
            (self.newest, self.background) = (None, None);
            return None;
        }
        let mut found = Yield::default();
        let slot = if purpose == Purpose::Newest { &mut self.newest } else { &mut self.background };
        let Some(reading) = slot else { return Some(found) };
        if reading.spoilt() == Verdict::Gap {
            self.spoilt_in_row = 0;
            let gap = self.open_gap(window, GapReason::Unreadable);
            if gap.is_some() {
                let again = "this second is asked again each hour";
                let place = (window.from, window.to);
                found.notices.push(Notice::unreadable("qasir GET /transactions", place, fault, again));
            }
            found.gaps_opened.extend(gap);
            if purpose.is_again() {
                self.watch.done(window, false, &Page::default());
            }
            found.gaps_closed = self.window_done(purpose, (window, Verdict::Gap), whole_second(asked_at), now);
        }
        Some(found)
    }

    /// Opens a gap where nothing is proven, unless it is open already. Where many are open, a further one is its whole
    /// day: a source that proves nothing shall not fill the store with seconds.
    pub(in super::super) fn open_gap(&mut self, place: Window, reason: GapReason) -> Option<Gap> {
        let mut gap = Gap { from: place.from, to: place.to, reason };
        let dense = |open: &&Gap| open.reason == reason;
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
                Purpose::CatchUp | Purpose::Ahead | Purpose::Gap => {}
            }
        }
        let Some((read, at)) = read else { return Vec::new() };
        self.cursor.count_as_read(read, at);
        if !proven {
            return Vec::new();
        }
        if purpose != Purpose::Newest {
            self.cursor.readings.note(read.from, read.to, begun.min(at));
        }
        let is_closed = |gap: &Gap| is_asked_again(gap) && read.from <= gap.from && gap.to <= read.to && gap.to <= at;
        self.open_gaps.extract_if(.., |gap| is_closed(gap)).collect()
    }

    /// Rows from elsewhere prove nothing of the window: what they say is kept, and the watermark stays.
    fn not_honoured(&mut self, bounds: Window, page: Page, times: &[DateTime<Utc>], now: DateTime<Utc>) -> Yield {
        let mut found = yield_of(page);
        (self.newest, self.background) = (None, None);
        self.newest_complete = false;
        let zone = &self.context.source_zone;
        if !self.cursor.by_day && now >= self.grain_due && honoured_by_day(bounds, times, zone) {
            // A source that ignores its bounds would look the same: a day that is over tells them apart.
            self.grain_due = now + TRY_AGAIN;
            self.grain_days = (1..=GRAIN_DAYS_MAX)
                .filter_map(|n| zone.local(now).date_naive().checked_sub_days(Days::new(n)))
                .collect();
            return found;
        }
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

    /// A narrow window of a day that is over: a server that looks at the day alone shows all of that day, one that ignores
    /// the window shows others, and one that honours it proves nothing here.
    pub(super) fn take_grain(&mut self, bounds: Window, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        let page = self.parse(answer, now).map_err(|fault| fault.to_string())?;
        let times = exact_times(&page);
        self.grain_days.pop_front();
        let by_day = honoured_by_day(bounds, &times, &self.context.source_zone);
        if by_day || !times.is_empty() {
            self.grain_days.clear();
        }
        let mut found = yield_of(page);
        if by_day {
            (self.newest, self.background, self.newest_due) = (None, None, now);
            (self.cursor.by_day, self.cursor.zone_proven) = (true, false);
            found.notices.push(Notice::new("by_day", BY_DAY));
            found.conditions.extend([(Condition::WindowNotHonoured, None), (Condition::WindowUnproven, None)]);
        }
        Ok(found)
    }

    /// A server whose zone is another shows the known sale's neighbours of hours ago, or nobody.
    pub(super) fn take_probe(&mut self, bounds: Window, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        let page = self.parse(answer, now).map_err(|fault| fault.to_string())?;
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

    fn parse(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Page, BodyFault> {
        self.context.observed_at = now;
        let mut page = parse_transactions(&answer.body, &self.context)?;
        // A bad record is put aside; a list of something else is no answer, and proves nothing.
        if page.is_of_something_else() {
            return Err(BodyFault::NoRecords { key: "transactions" });
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
}

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

/// By UTC: what matters is only that the days are few.
fn midnight_before(at: DateTime<Utc>) -> DateTime<Utc> {
    at.date_naive().and_time(NaiveTime::MIN).and_utc()
}
