//! The payments of a record: a list, one object, an empty list, or nothing.
//!
//! `cheque_no` and every `cc_…` are not read.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{present, short};
use crate::{
    amount::Amount,
    instant::SourceTime,
    pos::page::UnknownFields,
    transaction::{Direction, Flag, Kind, Payment},
    zone::Zone,
};

const KNOWN: &[&str] = &[
    "id",
    "date",
    "purchase_id",
    "reference_no",
    "transaction_id",
    "paid_by",
    "cheque_no",
    "cc_no",
    "cc_holder",
    "cc_month",
    "cc_year",
    "cc_type",
    "amount",
    "extra_charges",
    "currency",
    "attachment",
    "type",
    "note",
    "sale_id",
    "return_id",
];

/// What a record says of its payments.
#[derive(Debug, Clone)]
pub struct Paid {
    /// The usable ones.
    pub payments: Vec<Payment>,
    /// Whether it says anything.
    pub stated: Stated,
    /// `extra_charges` by payment, where one is not zero.
    pub extra: Option<Value>,
}

/// Whether payments are spoken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stated {
    /// Not a word.
    Nothing,
    /// There are none, or none that can be read.
    Empty,
    /// There are some.
    Some,
}

pub fn payments(
    value: Option<&Value>,
    kind: Kind,
    zone: &Zone,
    flags: &mut BTreeSet<Flag>,
    unknown: &mut UnknownFields,
) -> Paid {
    let one;
    let list: &[Value] = match present(value) {
        None => return Paid { payments: Vec::new(), stated: Stated::Nothing, extra: None },
        Some(Value::Array(list)) => list,
        Some(Value::Object(members)) if members.is_empty() => &[],
        Some(object @ Value::Object(_)) => {
            one = [object.clone()];
            &one
        }
        Some(_) => {
            flags.insert(Flag::PaymentsInvalid);
            &[]
        }
    };
    let mut payments = Vec::with_capacity(list.len());
    let mut charges = Map::new();
    for element in list {
        let Some(members) = element.as_object() else { continue };
        unknown.note("/data/*/payments/*", members.keys().map(String::as_str), KNOWN);
        let Some(payment) = payment(members, kind, zone, flags) else { continue };
        let charge = present(members.get("extra_charges")).and_then(|charge| Amount::from_json(charge).ok());
        if let Some(charge) = charge.filter(|charge| *charge != Amount::ZERO) {
            charges.insert(payment.id.clone().unwrap_or_default(), json!(charge));
        }
        payments.push(payment);
    }
    if payments.len() < list.len() {
        flags.insert(Flag::PaymentsInvalid);
    }
    let stated = if payments.is_empty() { Stated::Empty } else { Stated::Some };
    Paid { payments, stated, extra: (!charges.is_empty()).then_some(Value::Object(charges)) }
}

fn payment(members: &Map<String, Value>, kind: Kind, zone: &Zone, flags: &mut BTreeSet<Flag>) -> Option<Payment> {
    let amount = Amount::from_json(present(members.get("amount"))?).ok()?;
    if amount.is_negative() {
        flags.insert(Flag::SourceAmountNegative);
    }
    let own = if kind == Kind::Refund || kind == Kind::OrderReturn { Direction::Out } else { Direction::In };
    let direction = match short(members.get("type")).map(|word| word.to_lowercase()).as_deref() {
        Some("received") => Direction::In,
        Some("returned") => Direction::Out,
        _ => own,
    };
    let method_raw = short(members.get("paid_by"));
    if method_raw.is_none() {
        flags.insert(Flag::PaymentMethodUnknown);
    }
    let method = method_raw.as_deref().map_or("unknown".to_owned(), |raw| raw.trim().to_lowercase());
    let at = short(members.get("date")).and_then(|text| SourceTime::parse(&text, zone).ok()).map(|time| time.at);
    Some(Payment {
        id: short(members.get("id")),
        at,
        method,
        method_raw: method_raw.unwrap_or_default(),
        amount: Some(amount.magnitude()),
        tendered: None,
        change: None,
        direction,
        reference: short(members.get("reference_no")),
    })
}
