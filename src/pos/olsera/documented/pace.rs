//! How often the list is asked: so often that two answers have half of their rows in common.

use chrono::{DateTime, TimeDelta, Utc};

use super::list::{Listed, second};
use crate::{
    pos::{olsera::requests::LIMIT_ROWS, page::Page},
    transaction::Transaction,
};

/// Rows that may arrive between two polls.
const ROWS: usize = LIMIT_ROWS / 2;

/// The shortest and the longest time between two polls.
const SHORTEST: TimeDelta = TimeDelta::seconds(15);
const LONGEST: TimeDelta = TimeDelta::minutes(5);

/// The time to the next poll, from the rate at which rows arrive.
#[derive(Debug, Clone)]
pub struct Pace {
    shortest: TimeDelta,
    longest: TimeDelta,
    every: TimeDelta,
    last: Option<DateTime<Utc>>,
}

impl Pace {
    /// Begins with the shortest time: nothing was measured yet.
    #[must_use]
    pub fn new(poll_every: TimeDelta) -> Self {
        let shortest = poll_every.max(SHORTEST);
        Self { shortest, longest: LONGEST.max(shortest), every: shortest, last: None }
    }

    /// Learns from an answer to the question of `at` that had `fresh` rows that were not known, and gives the time to
    /// the next.
    pub fn learn(&mut self, page: &Page, listed: &Listed, fresh: usize, at: DateTime<Utc>) -> TimeDelta {
        let since = self.last.replace(at).map(|last| (at - last).max(TimeDelta::zero()));
        let arrived = since.map(|since| spread(since, fresh));
        // What the rows say of themselves: how long ago the newest 50, and the newest 10, began to come.
        let span = |rows: usize| {
            let mut times: Vec<_> = page.records.iter().map(second).collect();
            times.sort_unstable();
            let from = times.len().checked_sub(rows)?;
            Some(spread((at - times[from]).max(TimeDelta::zero()), rows))
        };
        let spans = if listed.vague { [None, None] } else { [span(ROWS), span(10)] };
        let wanted = arrived.into_iter().chain(spans.into_iter().flatten()).min().unwrap_or(self.every * 2);
        // Grows step by step: a quiet minute is no quiet hour.
        self.every = wanted.min(self.every * 2).clamp(self.shortest, self.longest);
        self.every
    }

    /// The last answer did not join the one before: the source is faster than was thought.
    pub fn hurry(&mut self) -> TimeDelta {
        self.every = self.shortest;
        self.every
    }
}

/// The time in which 50 rows arrive, where `rows` took so long.
fn spread(span: TimeDelta, rows: usize) -> TimeDelta {
    let rows = i64::try_from(rows.max(1)).unwrap_or(i64::MAX);
    TimeDelta::milliseconds(span.num_milliseconds().saturating_mul(i64::try_from(ROWS).unwrap_or(1)) / rows)
}

/// How many of these are not known.
pub fn fresh(records: &[Transaction], known: impl Fn(&str) -> bool) -> usize {
    records.iter().filter(|record| !known(&record.external_id)).count()
}
