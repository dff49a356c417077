//! Does a record's arithmetic hold? What does not becomes a flag: an amount is never repaired, no record is dropped.
//!
//! Which equations a system promises differs, so each has its own list of checks. A check that lacks a number it needs
//! says nothing.

use crate::{
    amount::Amount,
    transaction::{Flag, Item, Payment, Transaction},
};

/// One equation: the flag that a record gets when it does not hold, and the test.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// What the record is marked with.
    pub flag: Flag,
    /// Whether the equation holds.
    pub test: fn(&Transaction) -> Verdict,
}

/// What a check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The equation holds.
    Holds,
    /// It does not.
    Broken,
    /// The source does not give all its numbers.
    Unknown,
}

/// Qasir names neither tax nor discount, so lines that differ from the total may be in order; the flag says that the
/// record does not explain its total.
pub const QASIR: &[Check] = &[Check { flag: Flag::LinesDoNotSumToTotal, test: lines_sum_to_total }];

/// POS Kasir's own code computes these, whatever else happens to an order.
pub const POS_KASIR: &[Check] = &[
    Check { flag: Flag::LineArithmetic, test: kasir_line_totals },
    Check { flag: Flag::LinesDoNotSumToTotal, test: kasir_lines_sum_to_gross },
    Check { flag: Flag::TotalArithmetic, test: kasir_total },
    Check { flag: Flag::PaymentsDoNotMatchPaid, test: kasir_change },
];

/// Marks a record with the flags of those checks that do not hold.
pub fn mark(record: &mut Transaction, checks: &[Check]) {
    for check in checks {
        if (check.test)(record) == Verdict::Broken {
            record.flags.insert(check.flag);
        }
    }
}

/// What one line comes to: the source's total of it, else quantity times unit price. `None` if neither is given or it
/// has more digits than can be held.
#[must_use]
pub fn line_total(item: &Item) -> Option<Amount> {
    item.line_total.or_else(|| item.quantity.checked_mul(item.unit_price?))
}

/// Σ lines = grand total. Unknown without lines, and where some could not be read.
fn lines_sum_to_total(record: &Transaction) -> Verdict {
    let Some(items) = record.items.as_deref().filter(|items| !items.is_empty()) else { return Verdict::Unknown };
    let told = |item: &Item| item.line_total.is_some() || item.unit_price.is_some();
    if record.flags.contains(&Flag::LinesInvalid) || !items.iter().all(told) {
        return Verdict::Unknown;
    }
    // A sum that needs more digits than an amount can have is not equal to one that has them.
    let sum = items.iter().try_fold(Amount::ZERO, |sum, item| sum.checked_add(line_total(item)?));
    if sum == Some(record.amounts.grand_total) { Verdict::Holds } else { Verdict::Broken }
}

/// Subtotal = quantity × price, line by line.
fn kasir_line_totals(record: &Transaction) -> Verdict {
    let product = |item: &Item| Some((item.line_total?, item.quantity.checked_mul(item.unit_price?)));
    let told = record.items.iter().flatten().filter_map(product);
    if told.into_iter().all(|(total, product)| product == Some(total)) { Verdict::Holds } else { Verdict::Broken }
}

/// Σ subtotals = gross. Unknown without lines, and where some could not be read.
fn kasir_lines_sum_to_gross(record: &Transaction) -> Verdict {
    let (Some(items), Some(gross)) = (&record.items, record.amounts.lines_total) else { return Verdict::Unknown };
    if record.flags.contains(&Flag::LinesInvalid) || items.iter().any(|item| item.line_total.is_none()) {
        return Verdict::Unknown;
    }
    let sum = items.iter().try_fold(Amount::ZERO, |sum, item| sum.checked_add(item.line_total?));
    if sum == Some(gross) { Verdict::Holds } else { Verdict::Broken }
}

/// Net = gross − discount + tax + service.
fn kasir_total(record: &Transaction) -> Verdict {
    let amounts = &record.amounts;
    let told = (amounts.lines_total, amounts.discount_total, amounts.tax_total, amounts.service_charge);
    let (Some(gross), Some(discount), Some(tax), Some(service)) = told else { return Verdict::Unknown };
    let net = gross.checked_sub(discount).and_then(|net| net.checked_add(tax)).and_then(|net| net.checked_add(service));
    if net == Some(amounts.grand_total) { Verdict::Holds } else { Verdict::Broken }
}

/// Cash handed over − change = what was paid.
fn kasir_change(record: &Transaction) -> Verdict {
    let cash = |payment: &Payment| Some((payment.tendered?, payment.change?, payment.amount?));
    let Some((tendered, change, paid)) = record.payments.first().and_then(cash) else { return Verdict::Unknown };
    if tendered.checked_sub(change) == Some(paid) { Verdict::Holds } else { Verdict::Broken }
}
