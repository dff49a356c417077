//! One invoice, order or return.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    lines::lines,
    payments::{Stated, payments},
    present, short, text,
};
use crate::{
    amount::Amount,
    arithmetic,
    pos::{
        fields,
        page::{Head, ParseContext, Refusal, UnknownFields},
    },
    transaction::{
        Amounts, Discount, DiscountScope, Flag, Item, Kind, Outlet, Party, Payment, PaymentStatus, Related, Relation,
        Resource, SourceSystem, Status, Tax, Transaction,
    },
};

/// What is read, what is withheld, and what says nothing of the money.
const KNOWN: &[&str] = &[
    "id",
    "date",
    "reference_no",
    "biller_id",
    "warehouse",
    "total",
    "product_discount",
    "order_discount_id",
    "total_discount",
    "order_discount",
    "product_tax",
    "order_tax_id",
    "order_tax",
    "total_tax",
    "shipping",
    "exchange",
    "grand_total",
    "sale_status",
    "payment_status",
    "total_items",
    "pos",
    "paid",
    "return_id",
    "surcharge",
    "gst",
    "consignment_sale",
    "items",
    "payments",
    // People, and free text.
    "customer_id",
    "customer",
    "biller",
    "email_ids",
    "billing_address",
    "note",
    "staff_note",
    "attachment",
    // Terms of payment.
    "payment_term",
    "due_date",
];

/// Amounts that have no place of their own in the record; their equations are checked by these names.
const EXTRA_AMOUNTS: &[&str] = &["product_tax", "order_tax", "gst", "exchange"];

/// Small facts that have no place either.
const EXTRA_TEXTS: &[&str] = &["order_discount_id", "pos", "total_items", "consignment_sale"];

/// Words for a record that was called off. The reference shows none.
const CALLED_OFF: &[&str] = &["void", "voided", "cancelled", "canceled"];

/// Reads one element of a list.
pub fn record(
    members: &Map<String, Value>,
    resource: Resource,
    of: Option<&str>,
    context: &ParseContext,
    unknown: &mut UnknownFields,
) -> Result<Transaction, Refusal> {
    unknown.note("/data/*", members.keys().map(String::as_str), KNOWN);
    let external_id = fields::external_id(members, "id")?;
    let signed_total = fields::required_amount(members, "grand_total", &external_id)?;
    let time = fields::required_time(members, "date", &context.source_zone, &external_id)?;
    let mut flags = fields::time_flags(&time);

    let status_raw = short(members.get("sale_status"));
    let (status, called_off) = read_status(status_raw.as_deref());
    let kind = kind_of(resource, called_off, signed_total, &mut flags);
    let amounts = amounts(members, signed_total, &mut flags);
    let (items, lines_extra) = lines(members.get("items"), &mut flags, unknown);
    let paid = payments(members.get("payments"), kind, &context.source_zone, &mut flags, unknown);
    if paid.stated == Stated::Empty && amounts.paid_total.is_some_and(|paid| paid != Amount::ZERO) {
        // A list that is there and empty says that nothing was paid; one that is not there says nothing.
        flags.insert(Flag::PaymentsDoNotMatchPaid);
    }
    if called_off && resource == Resource::Invoice && amounts.paid_total.is_some_and(|paid| paid > Amount::ZERO) {
        flags.insert(Flag::CancelledButPaid);
    }
    let outlet = members.get("warehouse").and_then(Value::as_object).map(warehouse).unwrap_or_default();
    if outlet.external_id.is_none() {
        flags.insert(Flag::OutletUnknown);
    }
    let mut extra = extra(members);
    extra.extend(lines_extra.map(|lines| ("lines".to_owned(), lines)));
    extra.extend(paid.extra.map(|charges| ("payments_extra_charges".to_owned(), charges)));

    let head = Head { source_system: SourceSystem::Asalta, resource, external_id, kind, amount: signed_total, time };
    let mut record = Transaction {
        external_ref: short(members.get("reference_no")),
        status,
        status_raw,
        payment_status: read_payment_status(short(members.get("payment_status")).as_deref()),
        payment_method: method(&paid.payments),
        outlet_id: outlet.external_id.clone(),
        outlet,
        taxes: order_tax(members).into_iter().collect(),
        discounts: discounts(&amounts),
        amounts,
        // Of `total` the reference says that tax is in it, and the lines come to it.
        tax_included: Some(true),
        items,
        payments: paid.payments,
        related: related(members, resource, of),
        party: staff(members),
        flags,
        extra,
        ..context.record(head)
    };
    // With the signs as sent: lines that stand against their total do not come to it.
    arithmetic::mark(&mut record, arithmetic::ASALTA);
    if signed_total.is_negative() {
        record.flags.insert(Flag::SourceAmountNegative);
        turn(&mut record);
    }
    Ok(record)
}

/// A warehouse is an outlet: its id, code and name. Its address, telephone and e-mail are not read.
pub fn warehouse(members: &Map<String, Value>) -> Outlet {
    Outlet { external_id: short(members.get("id")), code: short(members.get("code")), name: short(members.get("name")) }
}

fn read_status(raw: Option<&str>) -> (Status, bool) {
    match raw.map(str::to_lowercase).as_deref() {
        Some("completed") => (Status::Completed, false),
        Some("new" | "pending") => (Status::Open, false),
        Some(word) if CALLED_OFF.contains(&word) => (Status::Cancelled, true),
        _ => (Status::Unknown, false),
    }
}

/// The report of sales spells it the same way.
pub fn read_payment_status(raw: Option<&str>) -> PaymentStatus {
    match raw.map(str::to_lowercase).as_deref() {
        Some("paid") => PaymentStatus::Paid,
        Some("due") => PaymentStatus::Unpaid,
        Some("partial") => PaymentStatus::Partial,
        _ => PaymentStatus::Unknown,
    }
}

fn kind_of(resource: Resource, called_off: bool, total: Amount, flags: &mut BTreeSet<Flag>) -> Kind {
    match resource {
        Resource::Order if called_off => Kind::Void,
        Resource::Order => Kind::Order,
        Resource::ReturnOrder => Kind::OrderReturn,
        Resource::ReturnInvoice => Kind::Refund,
        _ if called_off => Kind::Void,
        // Returns have a list of their own; a negative invoice is none that the reference knows, and no sale.
        _ if total.is_negative() => {
            flags.insert(Flag::KindInferredFromSign);
            Kind::Refund
        }
        _ => Kind::Sale,
    }
}

fn amount(members: &Map<String, Value>, name: &str) -> Option<Amount> {
    Amount::from_json(present(members.get(name))?).ok()
}

fn amounts(members: &Map<String, Value>, grand_total: Amount, flags: &mut BTreeSet<Flag>) -> Amounts {
    let amount = |name| amount(members, name);
    // These every sample has.
    if ["total", "product_tax", "total_tax"].iter().any(|name| amount(name).is_none()) {
        flags.insert(Flag::AmountsIncomplete);
    }
    Amounts {
        lines_total: None,
        line_discount_total: amount("product_discount"),
        order_discount: amount("order_discount"),
        discount_total: amount("total_discount"),
        net_total: amount("total"),
        tax_total: amount("total_tax"),
        service_charge: None,
        shipping: amount("shipping"),
        surcharge: amount("surcharge"),
        grand_total,
        paid_total: amount("paid"),
    }
}

fn discounts(amounts: &Amounts) -> Vec<Discount> {
    let whole = amounts.order_discount.filter(|amount| *amount != Amount::ZERO);
    whole.into_iter().map(|amount| Discount { scope: DiscountScope::Order, reference: None, amount }).collect()
}

fn order_tax(members: &Map<String, Value>) -> Option<Tax> {
    let amount = amount(members, "order_tax").filter(|amount| *amount != Amount::ZERO)?;
    Some(Tax { name: None, rate_percent: None, amount })
}

fn related(members: &Map<String, Value>, resource: Resource, of: Option<&str>) -> Vec<Related> {
    let related =
        |relation, resource, id: String| Related { relation, resource, external_id: Some(id), external_ref: None };
    let returned = short(members.get("return_id"));
    let returned = returned.filter(|id| id != "0").map(|id| match resource {
        Resource::Order | Resource::ReturnOrder => related(Relation::RefundedBy, Resource::ReturnOrder, id),
        _ => related(Relation::RefundedBy, Resource::ReturnInvoice, id),
    });
    let of = of.map(|sale| match resource {
        Resource::ReturnOrder => related(Relation::ReturnOf, Resource::Order, sale.to_owned()),
        _ => related(Relation::RefundOf, Resource::Invoice, sale.to_owned()),
    });
    returned.into_iter().chain(of).collect()
}

fn staff(members: &Map<String, Value>) -> Option<Party> {
    let staff_id = short(members.get("biller_id")).filter(|id| id != "0")?;
    Some(Party { customer_key: None, staff_id: Some(staff_id) })
}

fn method(payments: &[Payment]) -> Option<String> {
    match payments {
        [] => None,
        [one] => Some(one.method.clone()),
        _ => Some("mixed".to_owned()),
    }
}

/// What is left, amounts in their one spelling.
fn extra(members: &Map<String, Value>) -> Map<String, Value> {
    let amounts = EXTRA_AMOUNTS.iter().filter_map(|name| {
        let amount = amount(members, name)?;
        let says_something = *name != "exchange" || amount != Amount::ZERO;
        says_something.then(|| ((*name).to_owned(), Value::String(amount.to_string())))
    });
    let texts = EXTRA_TEXTS.iter().filter_map(|name| {
        let text =
            text(members.get(*name)).filter(|text| text != "0" && text.chars().count() <= fields::ID_CHARS_MAX)?;
        Some(((*name).to_owned(), Value::String(text)))
    });
    amounts.chain(texts).collect()
}

/// Turns a record whose total was negative to magnitudes: the direction is in its kind. Lines that were positive
/// already stand as they are.
fn turn(record: &mut Transaction) {
    record.amount = record.amount.magnitude();
    let Amounts {
        lines_total,
        line_discount_total,
        order_discount,
        discount_total,
        net_total,
        tax_total,
        service_charge,
        shipping,
        surcharge,
        grand_total,
        paid_total,
    } = &mut record.amounts;
    *grand_total = grand_total.magnitude();
    for amount in [
        lines_total,
        line_discount_total,
        order_discount,
        discount_total,
        net_total,
        tax_total,
        service_charge,
        shipping,
        surcharge,
        paid_total,
    ] {
        *amount = amount.map(Amount::magnitude);
    }
    for tax in &mut record.taxes {
        tax.amount = tax.amount.magnitude();
    }
    for discount in &mut record.discounts {
        discount.amount = discount.amount.magnitude();
    }
    for payment in &mut record.payments {
        payment.amount = payment.amount.map(Amount::magnitude);
    }
    let turned = |item: &Item| item.line_total.is_some_and(Amount::is_negative);
    for item in record.items.iter_mut().flatten().filter(|item| turned(item)) {
        item.quantity = item.quantity.magnitude();
        item.line_total = item.line_total.map(Amount::magnitude);
        item.discount = item.discount.map(Amount::magnitude);
        for price in [&mut item.unit_price, &mut item.list_price, &mut item.net_unit_price] {
            *price = price.map(Amount::magnitude);
        }
        for tax in &mut item.taxes {
            tax.amount = tax.amount.magnitude();
        }
    }
    for name in EXTRA_AMOUNTS {
        if let Some(Value::String(text)) = record.extra.get_mut(*name) {
            *text = text.trim_start_matches('-').to_owned();
        }
    }
}
