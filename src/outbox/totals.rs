//! A business day's counts and sums over the current states, for its closing.
//!
//! What was seen stands by the hour of its sale, and is read twice: once to learn under which hours each day stands,
//! then day by day. In memory there is never more than [`LINES_MAX`] lines of one day, however long the retention is.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use chrono::NaiveDate;
use ring::digest;

use super::{
    OutboxError,
    seen::{Identity, Seen, SeenIndex, Standing},
};
use crate::{amount::Amount, config::Currency, transaction::Kind};

/// Lines that are sorted in memory at a time; a day with more is read again for each such part.
const LINES_MAX: usize = 16 * 1024;

/// One business day of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayTotals {
    /// Records and their exact sum by kind and currency; no sum where it is beyond 28 digits.
    pub sums: BTreeMap<(Kind, Currency), (u64, Option<Amount>)>,
    /// The lowest and the highest number among the events that hold the states.
    pub sequences: (u64, u64),
    /// SHA-256 over the lines `{resource}/{external id} {content id}\n`, sorted bytewise.
    pub digest: [u8; 32],
}

/// Every day from `first` on.
pub(super) fn day_totals(
    tree: &sled::Tree,
    connection: &str,
    first: NaiveDate,
) -> Result<BTreeMap<NaiveDate, DayTotals>, OutboxError> {
    let mut days = BTreeMap::new();
    for (date, hours) in hours_of_days(tree, connection, first)? {
        let day = Day { tree, connection, date, hours };
        if let Some(mut totals) = day.sums()? {
            totals.digest = day.digest(LINES_MAX)?;
            days.insert(date, totals);
        }
    }
    Ok(days)
}

/// The hours under which the records of each day stand: a record whose time was edited keeps its place.
fn hours_of_days(
    tree: &sled::Tree,
    connection: &str,
    first: NaiveDate,
) -> Result<BTreeMap<NaiveDate, RangeInclusive<u32>>, OutboxError> {
    let mut days = BTreeMap::new();
    for page in SeenIndex::between(tree, connection, 0..=u32::MAX) {
        let (hour, page) = page?;
        for date in page.iter().filter_map(|seen| Some(seen.standing?.business_date)).filter(|date| *date >= first) {
            let hours = days.entry(date).or_insert(hour..=hour);
            *hours = *hours.start().min(&hour)..=*hours.end().max(&hour);
        }
    }
    Ok(days)
}

/// One business day, and where its records stand.
struct Day<'a> {
    tree: &'a sled::Tree,
    connection: &'a str,
    date: NaiveDate,
    hours: RangeInclusive<u32>,
}

impl Day<'_> {
    /// Shows each of the day's records.
    fn each(&self, mut show: impl FnMut(&Seen, &Standing)) -> Result<(), OutboxError> {
        for page in SeenIndex::between(self.tree, self.connection, self.hours.clone()) {
            for seen in &page?.1 {
                if let Some(standing) = seen.standing.filter(|standing| standing.business_date == self.date) {
                    show(seen, &standing);
                }
            }
        }
        Ok(())
    }

    /// All but the digest; `None` if nothing stands there any more.
    fn sums(&self) -> Result<Option<DayTotals>, OutboxError> {
        let mut day: Option<DayTotals> = None;
        self.each(|seen, standing| {
            let totals = day.get_or_insert_with(|| DayTotals {
                sums: BTreeMap::new(),
                sequences: (seen.sequence, seen.sequence),
                digest: [0; 32],
            });
            let (count, sum) = totals.sums.entry((standing.kind, standing.currency)).or_insert((0, Some(Amount::ZERO)));
            *count += 1;
            *sum = sum.and_then(|sum| sum.checked_add(standing.amount));
            totals.sequences = (totals.sequences.0.min(seen.sequence), totals.sequences.1.max(seen.sequence));
        })?;
        Ok(day)
    }

    /// Hashes the day's lines in their order, so many at a time: always the lowest that were not hashed yet.
    fn digest(&self, lines_max: usize) -> Result<[u8; 32], OutboxError> {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut hashed = String::new();
        loop {
            let mut lines = BTreeSet::new();
            self.each(|seen, _| {
                let Some(line) = line(seen).filter(|line| *line > hashed) else { return };
                let joins = lines.len() < lines_max || lines.last().is_some_and(|last| line < *last);
                if joins && lines.insert(line) && lines.len() > lines_max {
                    lines.pop_last();
                }
            })?;
            for line in &lines {
                context.update(line.as_bytes());
            }
            match lines.pop_last() {
                Some(last) if lines.len() + 1 == lines_max => hashed = last,
                _ => break,
            }
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Ok(digest)
    }
}

/// What a record adds to its day's digest.
fn line(seen: &Seen) -> Option<String> {
    let Identity::Record(resource, id) = &seen.identity else { return None };
    Some(format!("{}/{id} {}\n", resource.name(), seen.content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        content::ContentId,
        outbox::{
            fixture::{SHOP, Shop, page, sale},
            open_db,
        },
    };

    #[test]
    fn a_digest_is_the_same_in_parts_of_any_size() {
        let shop = Shop::new();
        let outbox = shop.open_sound();
        // Ids that begin one another, and records of one day that stand under several hours.
        let ids: Vec<String> = (0..40).map(|n| format!("{}{}", n % 7, " a".repeat(n / 7))).collect();
        let date = sale(&ids[0], 0, 1).business_date;
        let records = ids.iter().zip(1..).map(|(id, n)| {
            let mut record = sale(id, 0, n % 30);
            record.business_date = date;
            record
        });
        let records: Vec<_> = records.collect();
        let mut lines: Vec<_> = records
            .iter()
            .map(|record| format!("transaction/{} {}\n", record.external_id, record.content_id()))
            .collect();
        lines.sort_unstable();
        outbox.capture(page(&outbox, records)).unwrap();
        let expected = ContentId::of_bytes(lines.concat().as_bytes()).0;
        assert_eq!(outbox.day_totals(SHOP, date).unwrap()[&date].digest, expected);
        let db = outbox.db();
        let tree = open_db(db.as_ref()).unwrap();
        let hours = hours_of_days(tree, SHOP, date).unwrap().remove(&date).unwrap();
        assert!(hours.end() - hours.start() >= 29, "{hours:?}");
        let day = Day { tree, connection: SHOP, date, hours };
        for lines_max in [1, 3, 8, 39, 40, 41] {
            assert_eq!(day.digest(lines_max).unwrap(), expected, "{lines_max} at a time");
        }
    }
}
