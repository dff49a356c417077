//! The cross-check: the sales of the report against those that are stored.
//!
//! Both sides are reduced to a number that is made of what both mean alike: the slip's number, the total, what was paid,
//! how far that is all, and the return. Numbers of slips repeat, so the sides are compared as multisets.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::parse::Row;
use crate::{
    amount::Amount,
    pos::connector::Known,
    transaction::{PaymentStatus, Relation, Resource, Transaction},
    zone::Zone,
};

/// The lower bits of a mark say what is needed of a record without its text.
const NOT_FULLY_PAID: u64 = 1;
const HAS_RETURN: u64 = 2;
const BITS: u64 = NOT_FULLY_PAID | HAS_RETURN;

/// What is younger may be in one answer and not yet in the other.
const YOUNG: TimeDelta = TimeDelta::minutes(2);

/// Days of the report, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Days {
    pub first: NaiveDate,
    pub last: NaiveDate,
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Differences {
    /// Stored invoices that the report does not have so.
    pub stored: Vec<String>,
    /// Sales of the report that are not stored so.
    pub rows: Vec<u64>,
}

/// The mark of an invoice.
pub fn mark_of(record: &Transaction) -> u64 {
    let mut related = record.related.iter().filter(|related| related.relation == Relation::RefundedBy);
    let return_id = related.next().and_then(|related| related.external_id.as_deref());
    let paid = record.amounts.paid_total;
    let fingerprint =
        fingerprint(record.external_ref.as_deref(), record.amount, paid, record.payment_status, return_id);
    let open = matches!(record.payment_status, PaymentStatus::Unpaid | PaymentStatus::Partial);
    let bits = if open { NOT_FULLY_PAID } else { 0 } | if return_id.is_some() { HAS_RETURN } else { 0 };
    fingerprint & !BITS | bits
}

/// Whether something was left to pay when the record was read last.
pub fn is_open(mark: u64) -> bool {
    mark & NOT_FULLY_PAID != 0
}

/// Whether goods of it had come back.
pub fn has_return(mark: u64) -> bool {
    mark & HAS_RETURN != 0
}

fn row_fingerprint(row: &Row) -> u64 {
    let Row { at: _, reference, grand_total, paid, payment_status, return_id } = row;
    fingerprint(reference.as_deref(), *grand_total, *paid, *payment_status, return_id.as_deref()) & !BITS
}

/// FNV-1a: what it must be is the same in every version of this program.
fn fingerprint(
    reference: Option<&str>,
    total: Amount,
    paid: Option<Amount>,
    status: PaymentStatus,
    return_id: Option<&str>,
) -> u64 {
    let status = match status {
        PaymentStatus::Paid => "paid",
        PaymentStatus::Unpaid => "due",
        PaymentStatus::Partial => "partial",
        PaymentStatus::Refunded | PaymentStatus::Unknown => "",
    };
    let parts = [
        reference.unwrap_or_default(),
        &cents(total),
        &paid.map(cents).unwrap_or_default(),
        status,
        return_id.unwrap_or_default(),
    ];
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The report writes two decimals, the lists four.
fn cents(amount: Amount) -> String {
    let text = amount.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits: String = whole.chars().chain(fraction.chars().chain("000".chars()).take(3)).collect();
    let Ok(mills) = digits.trim_start_matches('-').parse::<u128>() else { return text };
    format!("{}{}", if text.starts_with('-') { "-" } else { "" }, (mills + 5) / 10)
}

impl Days {
    /// The instants from the first day's begin to the last day's end.
    pub fn bounds(self, zone: &Zone) -> (DateTime<Utc>, DateTime<Utc>) {
        let begin = |day: NaiveDate| zone.instant(day.and_time(NaiveTime::MIN)).to_utc();
        (begin(self.first), begin(self.last.succ_opt().unwrap_or(self.last)))
    }

    /// The first half and the second, for an answer that is too large.
    pub fn halves(self) -> Option<[Self; 2]> {
        let days = (self.last - self.first).num_days();
        let middle = self.first + TimeDelta::days(days / 2);
        (days > 0).then(|| {
            [Self { first: self.first, last: middle }, Self { first: middle + TimeDelta::days(1), last: self.last }]
        })
    }
}

/// Whether rows lie outside of the days that were asked: the source looks at another place for them.
pub fn ignores_days(rows: &[Row], days: Days, zone: &Zone) -> bool {
    let (from, to) = days.bounds(zone);
    // A day's slack: whether a bound is meant to be included is not said.
    let slack = TimeDelta::days(1);
    rows.iter().filter_map(|row| row.at).any(|at| at < from - slack || at >= to + slack)
}

/// Compares what the report shows of some days with what is stored of these and the days beside them. Nothing before
/// `since` is stored, and what is younger than some minutes may still be on its way.
pub fn compare(
    rows: &[Row],
    stored: &[Known],
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    since: DateTime<Utc>,
    asked_at: DateTime<Utc>,
) -> Differences {
    let invoices = || stored.iter().filter(|known| known.resource == Resource::Invoice && !known.vanished);
    let mut left: HashMap<u64, Vec<&Known>> = HashMap::new();
    for known in invoices() {
        left.entry(known.mark & !BITS).or_default().push(known);
    }
    // Of equal ones those within the days are matched first.
    for equal in left.values_mut() {
        equal.sort_by_key(|known| from <= known.at && known.at < to);
    }
    let inside = |at: DateTime<Utc>| from.max(since) <= at && at < to.min(asked_at - YOUNG);
    let mut differences = Differences::default();
    for row in rows.iter().filter(|row| row.at.is_none_or(|at| from <= at && at < to)) {
        let fingerprint = row_fingerprint(row);
        if left.get_mut(&fingerprint).and_then(Vec::pop).is_none() && row.at.is_some_and(inside) {
            differences.rows.push(fingerprint);
        }
    }
    let unmatched = left.into_values().flatten().filter(|known| inside(known.at));
    differences.stored = unmatched.map(|known| known.external_id.clone()).collect();
    differences.stored.sort();
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_write_the_same_money() {
        for (amount, text) in
            [("22200", "2220000"), ("0.005", "1"), ("1.2345", "123"), ("1.235", "124"), ("-1.5", "-150")]
        {
            assert_eq!(cents(Amount::parse(amount).unwrap()), text, "{amount}");
        }
    }

    #[test]
    fn days_are_halved_down_to_one() {
        let day = |day| NaiveDate::from_ymd_opt(2026, 3, day).unwrap();
        let [first, second] = Days { first: day(1), last: day(8) }.halves().unwrap();
        assert_eq!((first.last, second.first), (day(4), day(5)));
        assert_eq!(Days { first: day(1), last: day(1) }.halves(), None);
    }
}
