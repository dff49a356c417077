//! What one answer of the documented list proves. Pure.

use chrono::{DateTime, NaiveTime, TimeDelta, Timelike, Utc};

use crate::{
    pos::page::Page,
    transaction::{Flag, Transaction},
    zone::Zone,
};

/// In which order an answer's rows stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// No row is newer than the one before it.
    NewestFirst,
    /// No row is older than the one before it, and some are newer.
    OldestFirst,
    /// Neither.
    Mixed,
}

/// The times of an answer's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// It holds as many rows as an answer can: there may be more.
    pub full: bool,
    /// How they stand.
    pub order: Order,
    /// The time of the newest row, to the second.
    pub newest: Option<DateTime<Utc>>,
    /// The second, or the day, of the oldest row …
    pub oldest: Option<DateTime<Utc>>,
    /// … and its end: rows of the same one may have been cut off.
    pub oldest_ends: Option<DateTime<Utc>>,
    /// Some rows tell only their day.
    pub vague: bool,
}

impl Listed {
    /// What an answer of at most `limit` rows shows.
    #[must_use]
    pub fn of(page: &Page, zone: &Zone, limit: usize) -> Self {
        let times: Vec<_> = page.records.iter().map(second).collect();
        let rises = times.windows(2).any(|pair| pair[0] < pair[1]);
        let falls = times.windows(2).any(|pair| pair[0] > pair[1]);
        let order = match (rises, falls) {
            (false, _) => Order::NewestFirst,
            (true, false) => Order::OldestFirst,
            // Late uploads may stand where they arrived.
            (true, true) => Order::Mixed,
        };
        let oldest = page.records.iter().min_by_key(|record| record.timestamp);
        Self {
            full: page.rows >= limit,
            order,
            newest: times.iter().max().copied(),
            oldest: oldest.map(second),
            oldest_ends: oldest.map(|record| end(record, zone)),
            vague: page.records.iter().any(is_vague),
        }
    }

    /// From when on every sale stands in the answer, if that can be said.
    #[must_use]
    pub fn reach(&self) -> Option<DateTime<Utc>> {
        self.oldest_ends.filter(|_| self.order == Order::NewestFirst)
    }
}

/// A record's time to the second.
pub fn second(record: &Transaction) -> DateTime<Utc> {
    let at = record.timestamp.with_timezone(&Utc);
    at.with_nanosecond(0).unwrap_or(at)
}

fn is_vague(record: &Transaction) -> bool {
    record.flags.contains(&Flag::TimeOfDayUnknown) || record.flags.contains(&Flag::TimeOfDaySuspect)
}

/// The end of the second in which a record lies, or of the day where it tells no more.
fn end(record: &Transaction, zone: &Zone) -> DateTime<Utc> {
    let second = second(record);
    if !is_vague(record) {
        return second + TimeDelta::seconds(1);
    }
    let next = zone.local(second).date_naive().succ_opt();
    next.map_or(second + TimeDelta::days(1), |day| zone.day_begins(day, NaiveTime::MIN))
}
