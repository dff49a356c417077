//! When a connection's business days are summed up: after a day's end, after late records, when what is put aside changes,
//! and at the start.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

use crate::{
    closing::{Calendar, Day, GRACE, closing},
    content::ContentId,
    gap::{Gap, GapReason},
    outbox::{Captured, ClosingDraft, DayTotals, Outbox, OutboxError},
    pos::connector::Connector,
};

/// A day that is over is looked at this long after it changed.
const LOOK_AFTER: TimeDelta = TimeDelta::minutes(15);

/// While a day is not whole, all are looked at this often.
const LOOK_AGAIN: TimeDelta = TimeDelta::hours(1);

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

    /// Something was stored: if it changed a day that is over, or what is proven, the days are looked at again.
    pub fn touched(&mut self, captured: &Captured, gaps_moved: bool, now: DateTime<Utc>) {
        let today = self.calendar.day_of(now);
        if gaps_moved || captured.asides_moved || captured.days.iter().any(|day| *day < today) {
            self.look_at(now + LOOK_AFTER);
        }
    }

    /// Whether to look now.
    pub fn are_due(&mut self, now: DateTime<Utc>) -> bool {
        now >= *self.due.get_or_insert(now + LOOK_AFTER)
    }

    /// A person ended something: the days are looked at at once.
    pub fn ended_by_hand(&mut self, now: DateTime<Utc>) {
        self.look_at(now);
    }

    fn look_at(&mut self, at: DateTime<Utc>) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// The closings that changed since they were last sent.
    pub fn drafts(
        &mut self,
        outbox: &Outbox,
        connection: &str,
        gaps: &[Gap],
        source: &dyn Connector,
        now: DateTime<Utc>,
    ) -> Result<Vec<ClosingDraft>, OutboxError> {
        let today = self.calendar.day_of(now);
        // Looking reads all that was seen: it is done when there is something to see, not by the minute.
        self.due = Some(self.calendar.bounds(today).1 + GRACE);
        // Of the oldest days entries may have expired already: their closings stand as they were.
        let first = self.calendar.day_of(now - self.retention).checked_add_days(Days::new(2)).unwrap_or(NaiveDate::MAX);
        let known = outbox.day_totals(connection, first)?;
        let asides = outbox.asides(connection);
        let closed_by_hand = outbox.gaps_closed_by_hand(connection);
        let asked = outbox.level().read_again.get(connection).copied();
        let reads_again_since = source.reads_again_since(now).min(asked.unwrap_or(now));
        let mut drafts = Vec::new();
        for date in first.iter_days().take_while(|date| *date < today) {
            let (begin, end) = self.calendar.bounds(date);
            let covered = source.covers(begin, end);
            let last = outbox.last_closing(connection, date)?;
            let totals = match known.get(&date) {
                Some(totals) => totals.clone(),
                // That nothing was sold is told too, where it is known.
                None if covered || last.is_some() => empty_day(),
                None => continue,
            };
            let touches = |gap: &Gap| gap.from < end && begin < gap.to;
            let is_asked = |gap: &Gap| gap.reason != GapReason::BehindHistory && touches(gap);
            let by_hand = closed_by_hand.iter().map(|closed| &closed.gap);
            let of_day = asides.of_day(date, (begin, end));
            let day = Day {
                date,
                totals: &totals,
                covered,
                quarantined: of_day.waiting,
                dismissed: of_day.dismissed,
                gaps_closed_by_hand: by_hand.clone().filter(|gap| touches(gap)).count() as u64,
                read_at: source.read_at(begin, end),
                is_final: end <= reads_again_since && !gaps.iter().chain(by_hand).any(is_asked),
                last: last.as_deref(),
            };
            if !day.is_whole(&self.calendar, gaps) {
                self.look_at(now + LOOK_AGAIN);
            } else if now < end + GRACE {
                self.look_at(end + GRACE);
            }
            drafts.extend(closing(connection, &self.calendar, &day, gaps, now));
        }
        Ok(drafts)
    }
}

/// A day on which nothing was sold: no lines make the digest.
fn empty_day() -> DayTotals {
    DayTotals { sums: BTreeMap::new(), sequences: (0, 0), digest: ContentId::of_bytes(&[]).0 }
}
