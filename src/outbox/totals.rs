//! A business day's counts and sums over the current states, for its closing.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use ring::digest;

use super::{
    OutboxError,
    seen::{Identity, SeenIndex},
};
use crate::{amount::Amount, config::Currency, transaction::Kind};

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
    let mut days: BTreeMap<NaiveDate, (DayTotals, Vec<String>)> = BTreeMap::new();
    for page in SeenIndex::all(tree, connection) {
        for seen in page? {
            let (Some(standing), Identity::Record(resource, id)) = (seen.standing, &seen.identity) else { continue };
            if standing.business_date < first {
                continue;
            }
            let (totals, lines) = days.entry(standing.business_date).or_insert_with(|| {
                let empty =
                    DayTotals { sums: BTreeMap::new(), sequences: (seen.sequence, seen.sequence), digest: [0; 32] };
                (empty, Vec::new())
            });
            let (count, sum) = totals.sums.entry((standing.kind, standing.currency)).or_insert((0, Some(Amount::ZERO)));
            *count += 1;
            *sum = sum.and_then(|sum| sum.checked_add(standing.amount));
            totals.sequences = (totals.sequences.0.min(seen.sequence), totals.sequences.1.max(seen.sequence));
            lines.push(format!("{}/{id} {}\n", resource.name(), seen.content));
        }
    }
    Ok(days
        .into_iter()
        .map(|(day, (mut totals, mut lines))| {
            lines.sort_unstable();
            let mut context = digest::Context::new(&digest::SHA256);
            for line in lines {
                context.update(line.as_bytes());
            }
            totals.digest.copy_from_slice(context.finish().as_ref());
            (day, totals)
        })
        .collect())
}
