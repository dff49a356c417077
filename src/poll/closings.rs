//! When a connection's business days are summed up: after a day's end, after late records, and at the start.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

use crate::{
    closing::{Calendar, Day, closing},
    gap::Gap,
    outbox::{Captured, ClosingDraft, Outbox, OutboxError},
};

/// The days are looked at this often while late records come in.
const LOOK_EVERY: TimeDelta = TimeDelta::minutes(15);

/// When to look at the days next.
#[derive(Debug)]
pub struct Closings {
    calendar: Calendar,
    retention: TimeDelta,
    due: Option<DateTime<Utc>>,
}

impl Closings {
    /// The first look comes soon after the start.
    pub fn new(calendar: &Calendar, retention: TimeDelta) -> Self {
        Self { calendar: calendar.clone(), retention, due: None }
    }

    /// Something was stored: if it changed a day that is over, the days are looked at again.
    pub fn touched(&mut self, captured: &Captured, now: DateTime<Utc>) {
        let today = self.calendar.day_of(now);
        if captured.days.iter().any(|day| *day < today) {
            let soon = now + LOOK_EVERY;
            self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
        }
    }

    /// Whether to look now.
    pub fn are_due(&mut self, now: DateTime<Utc>) -> bool {
        now >= *self.due.get_or_insert(now + LOOK_EVERY)
    }

    /// The closings that changed since they were last sent.
    pub fn drafts(
        &mut self,
        outbox: &Outbox,
        connection: &str,
        calendar: &Calendar,
        gaps: &[Gap],
        covers: impl Fn(DateTime<Utc>, DateTime<Utc>) -> bool,
        now: DateTime<Utc>,
    ) -> Result<Vec<ClosingDraft>, OutboxError> {
        self.due = Some(now + LOOK_EVERY);
        // Of the oldest days entries may have expired already: their closings stand as they were.
        let first = calendar.day_of(now - self.retention).checked_add_days(Days::new(2)).unwrap_or(NaiveDate::MAX);
        let mut drafts = Vec::new();
        for (date, totals) in outbox.day_totals(connection, first)? {
            let (begin, end) = calendar.bounds(date);
            if end > now {
                continue;
            }
            let last = outbox.last_closing(connection, date)?;
            let day = Day { date, totals: &totals, covered: covers(begin, end), last: last.as_deref() };
            drafts.extend(closing(connection, calendar, &day, gaps, now));
        }
        Ok(drafts)
    }
}
