//! Asalta's equations, by the numbers of its facts: amounts as the source signs them, line totals with tax.

use serde_json::Value;

use super::Verdict;
use crate::{
    amount::Amount,
    transaction::{Direction, Flag, Item, Kind, Resource, Transaction},
};

/// 1: line total = unit price × quantity. Returns have no unit price. The unit price stands after the line's discount;
/// one before it is told too by rule 3, and no fault.
pub fn price_times_quantity(record: &Transaction) -> Verdict {
    each_line(record, |item| {
        let whole = item.unit_price?.checked_mul(item.quantity)?;
        let less = whole.checked_sub(item.discount.unwrap_or(Amount::ZERO))?;
        Some(item.line_total? == whole || item.line_total? == less)
    })
}

/// 3: line total = list price × quantity − the line's discount.
pub fn list_price_less_discount(record: &Transaction) -> Verdict {
    each_line(record, |item| {
        let whole = item.list_price?.checked_mul(item.quantity)?;
        Some(item.line_total? == whole.checked_sub(item.discount.unwrap_or(Amount::ZERO))?)
    })
}

/// 2: line total = net unit price × quantity + tax; the net price is rounded, so each unit may be a cent off.
pub fn net_price_and_tax(record: &Transaction) -> Verdict {
    each_line(record, |item| {
        let net = item.net_unit_price?.checked_mul(item.quantity)?;
        let units = item.quantity.magnitude().max(whole(1));
        Some(near(item.line_total?, net.checked_add(line_tax(item)?)?, cent().checked_mul(units)?))
    })
}

/// 4: Σ line totals − order discount = total.
pub fn lines_sum_to_net_total(record: &Transaction) -> Verdict {
    let Some(items) = all_lines(record) else { return Verdict::Unknown };
    let Some(total) = record.amounts.net_total else { return Verdict::Unknown };
    let sum = items.iter().try_fold(Amount::ZERO, |sum, item| sum.checked_add(item.line_total?));
    let discount = record.amounts.order_discount.unwrap_or(Amount::ZERO);
    verdict(sum.and_then(|sum| Some(sum.checked_sub(discount)? == total)).or(Some(false)))
}

/// 5: Σ line taxes = product tax, a cent off for each line.
pub fn line_taxes_sum(record: &Transaction) -> Verdict {
    let Some(items) = all_lines(record) else { return Verdict::Unknown };
    if record.flags.contains(&Flag::LinesDoNotSumToTotal) {
        return Verdict::Unknown;
    }
    verdict((|| {
        let product_tax = extra(record, "product_tax")?;
        let sum = items.iter().try_fold(Amount::ZERO, |sum, item| sum.checked_add(line_tax(item)?))?;
        let lines = whole(i64::try_from(items.len()).ok()?);
        Some(near(sum, product_tax, cent().checked_mul(lines)?))
    })())
}

/// 6: product tax + order tax = total tax.
pub fn taxes_sum(record: &Transaction) -> Verdict {
    verdict((|| {
        let total = record.amounts.tax_total?;
        let sum = extra(record, "product_tax")?.checked_add(extra(record, "order_tax").unwrap_or(Amount::ZERO))?;
        Some(sum == total)
    })())
}

/// 7: product discount + order discount = total discount.
pub fn discounts_sum(record: &Transaction) -> Verdict {
    let amounts = &record.amounts;
    verdict((|| {
        let sum = amounts.line_discount_total?.checked_add(amounts.order_discount.unwrap_or(Amount::ZERO))?;
        Some(sum == amounts.discount_total?)
    })())
}

/// 7: Σ line discounts = product discount.
pub fn line_discounts_sum(record: &Transaction) -> Verdict {
    let Some(items) = all_lines(record) else { return Verdict::Unknown };
    if record.flags.contains(&Flag::LinesDoNotSumToTotal) {
        return Verdict::Unknown;
    }
    verdict((|| {
        let sum = items.iter().try_fold(Amount::ZERO, |sum, item| sum.checked_add(item.discount?))?;
        Some(sum == record.amounts.line_discount_total?)
    })())
}

/// 8: grand total = total + order tax + shipping + surcharge; a return's surcharge is kept back.
pub fn totals_sum(record: &Transaction) -> Verdict {
    let amounts = &record.amounts;
    let is_return = matches!(record.resource, Resource::ReturnInvoice | Resource::ReturnOrder);
    verdict((|| {
        let sum = amounts.net_total?.checked_add(extra(record, "order_tax").unwrap_or(Amount::ZERO))?;
        let sum = sum.checked_add(amounts.shipping.unwrap_or(Amount::ZERO))?;
        let surcharge = amounts.surcharge.unwrap_or(Amount::ZERO);
        let sum = if is_return { sum.checked_sub(surcharge)? } else { sum.checked_add(surcharge)? };
        Some(sum == amounts.grand_total)
    })())
}

/// 9: Σ payments = paid.
pub fn payments_sum_to_paid(record: &Transaction) -> Verdict {
    verdict((|| Some(payments(record, Direction::In)? == record.amounts.paid_total?))())
}

/// 10: Σ payments of a refund = its total.
pub fn payments_sum_to_refund(record: &Transaction) -> Verdict {
    if record.kind != Kind::Refund {
        return Verdict::Unknown;
    }
    verdict((|| Some(payments(record, Direction::Out)?.magnitude() == record.amounts.grand_total.magnitude()))())
}

/// What was paid one way, less what was paid the other. Unknown without payments.
fn payments(record: &Transaction, way: Direction) -> Option<Amount> {
    if record.payments.is_empty() {
        return None;
    }
    record.payments.iter().try_fold(Amount::ZERO, |sum, payment| {
        if payment.direction == way { sum.checked_add(payment.amount?) } else { sum.checked_sub(payment.amount?) }
    })
}

fn each_line(record: &Transaction, holds: impl Fn(&Item) -> Option<bool>) -> Verdict {
    let told: Vec<bool> = record.items.iter().flatten().filter_map(holds).collect();
    match told.iter().all(|holds| *holds) {
        _ if told.is_empty() => Verdict::Unknown,
        true => Verdict::Holds,
        false => Verdict::Broken,
    }
}

/// The lines, if there are any and all could be read.
fn all_lines(record: &Transaction) -> Option<&[Item]> {
    let whole = !record.flags.contains(&Flag::LinesInvalid);
    record.items.as_deref().filter(|items| whole && !items.is_empty())
}

/// A line without any tax does not say that there is none.
fn line_tax(item: &Item) -> Option<Amount> {
    item.taxes.first()?;
    item.taxes.iter().try_fold(Amount::ZERO, |sum, tax| sum.checked_add(tax.amount))
}

fn extra(record: &Transaction, name: &str) -> Option<Amount> {
    match record.extra.get(name)? {
        Value::String(text) => Amount::parse(text).ok(),
        _ => None,
    }
}

fn near(one: Amount, other: Amount, tolerance: Amount) -> bool {
    one.checked_sub(other).is_some_and(|difference| difference.magnitude() <= tolerance)
}

fn verdict(holds: Option<bool>) -> Verdict {
    match holds {
        None => Verdict::Unknown,
        Some(true) => Verdict::Holds,
        Some(false) => Verdict::Broken,
    }
}

fn whole(number: i64) -> Amount {
    Amount::parse(&number.to_string()).expect("a whole number is an amount")
}

fn cent() -> Amount {
    Amount::parse("0.01").expect("a cent is an amount")
}
