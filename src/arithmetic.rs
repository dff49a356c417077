//! Does a record's arithmetic hold? What does not becomes a flag: an amount is never repaired, no record is dropped.
//!
//! Which equations a system promises differs, so each has its own list of checks. A check that lacks a number it needs
//! says nothing.

mod asalta;
mod pos_kasir;

use crate::{
    amount::Amount,
    transaction::{Flag, Item, Transaction},
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

/// Olsera's open API tells what the lines come to (`order_amount`), and of each line its price, add-ons and discount. The
/// documented API tells nothing but the total.
pub const OLSERA: &[Check] = &[
    Check { flag: Flag::LineArithmetic, test: priced_lines_hold },
    Check { flag: Flag::LinesDoNotSumToTotal, test: lines_sum_to_lines_total },
];

/// Asalta's equations: one to three, six and seven hold in all samples of its reference, the others in nearly all. The
/// order matters: where the lines do not come to the total, some are missing, and their taxes prove nothing.
pub const ASALTA: &[Check] = &[
    Check { flag: Flag::LineArithmetic, test: asalta::price_times_quantity },
    Check { flag: Flag::LineArithmetic, test: asalta::list_price_less_discount },
    Check { flag: Flag::TaxArithmetic, test: asalta::net_price_and_tax },
    Check { flag: Flag::LinesDoNotSumToTotal, test: asalta::lines_sum_to_net_total },
    Check { flag: Flag::TaxArithmetic, test: asalta::line_taxes_sum },
    Check { flag: Flag::TaxArithmetic, test: asalta::taxes_sum },
    Check { flag: Flag::TotalArithmetic, test: asalta::discounts_sum },
    Check { flag: Flag::TotalArithmetic, test: asalta::line_discounts_sum },
    Check { flag: Flag::TotalArithmetic, test: asalta::totals_sum },
    Check { flag: Flag::PaymentsDoNotMatchPaid, test: asalta::payments_sum_to_paid },
    Check { flag: Flag::PaymentsDoNotMatchTotal, test: asalta::payments_sum_to_refund },
];

/// POS Kasir's own code computes these, whatever else happens to an order.
pub const POS_KASIR: &[Check] = &[
    Check { flag: Flag::LineArithmetic, test: pos_kasir::line_totals },
    Check { flag: Flag::LinesDoNotSumToTotal, test: lines_sum_to_lines_total },
    Check { flag: Flag::TotalArithmetic, test: pos_kasir::total },
    Check { flag: Flag::PaymentsDoNotMatchPaid, test: pos_kasir::change },
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

/// Σ lines = what the source says that they come to, before tax and service. Unknown without lines, and where some could
/// not be read.
fn lines_sum_to_lines_total(record: &Transaction) -> Verdict {
    let Some(items) = record.items.as_deref().filter(|items| !items.is_empty()) else { return Verdict::Unknown };
    let Some(lines_total) = record.amounts.lines_total else { return Verdict::Unknown };
    if record.flags.contains(&Flag::LinesInvalid) || items.iter().any(|item| item.line_total.is_none()) {
        return Verdict::Unknown;
    }
    let sum = items.iter().try_fold(Amount::ZERO, |sum, item| sum.checked_add(item.line_total?));
    if sum == Some(lines_total) { Verdict::Holds } else { Verdict::Broken }
}

/// Of every line: (list price + add-ons) × quantity − discount = line total.
fn priced_lines_hold(record: &Transaction) -> Verdict {
    let holds = |item: &Item| {
        let (Some(price), Some(total)) = (item.list_price, item.line_total) else { return true };
        let mut addons = item.modifiers.iter().filter_map(|modifier| modifier.price);
        let each = addons.try_fold(price, Amount::checked_add);
        let asked = each.and_then(|each| each.checked_mul(item.quantity));
        asked.and_then(|asked| asked.checked_sub(item.discount.unwrap_or(Amount::ZERO))) == Some(total)
    };
    match record.items.as_deref() {
        None | Some([]) => Verdict::Unknown,
        Some(items) if items.iter().all(holds) => Verdict::Holds,
        Some(_) => Verdict::Broken,
    }
}
