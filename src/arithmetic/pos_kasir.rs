//! What POS Kasir's own code computes, whatever else happens to an order.

use super::Verdict;
use crate::transaction::{Item, Payment, Transaction};

/// Subtotal = quantity × price, line by line.
pub fn line_totals(record: &Transaction) -> Verdict {
    let product = |item: &Item| Some((item.line_total?, item.quantity.checked_mul(item.unit_price?)));
    let told = record.items.iter().flatten().filter_map(product);
    if told.into_iter().all(|(total, product)| product == Some(total)) { Verdict::Holds } else { Verdict::Broken }
}

/// Net = gross − discount + tax + service.
pub fn total(record: &Transaction) -> Verdict {
    let amounts = &record.amounts;
    let told = (amounts.lines_total, amounts.discount_total, amounts.tax_total, amounts.service_charge);
    let (Some(gross), Some(discount), Some(tax), Some(service)) = told else { return Verdict::Unknown };
    let net = gross.checked_sub(discount).and_then(|net| net.checked_add(tax)).and_then(|net| net.checked_add(service));
    if net == Some(amounts.grand_total) { Verdict::Holds } else { Verdict::Broken }
}

/// Cash handed over − change = what was paid.
pub fn change(record: &Transaction) -> Verdict {
    let cash = |payment: &Payment| Some((payment.tendered?, payment.change?, payment.amount?));
    let Some((tendered, change, paid)) = record.payments.first().and_then(cash) else { return Verdict::Unknown };
    if tendered.checked_sub(change) == Some(paid) { Verdict::Holds } else { Verdict::Broken }
}
