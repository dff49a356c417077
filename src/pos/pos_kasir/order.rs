//! One order, as a row of the list or in detail, as a record of what that alone says.
//!
//! Money was received if, and only if, a payment method is set. What an order was before, and so whether it was
//! refunded, is not here but in `states`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::{Map, Value};

use crate::{
    amount::Amount,
    arithmetic,
    content::ContentId,
    instant::SourceTime,
    pos::{
        body::JsonType,
        fields,
        page::{Head, ParseContext, Reason, Refusal, UnknownFields},
    },
    transaction::{
        Direction, Discount, DiscountScope, Flag, Item, Kind, Modifier, Party, Payment, PaymentStatus, Resource,
        SourceSystem, Status, Tax, Transaction,
    },
};

const ROW_FIELDS: &[&str] =
    &["id", "user_id", "type", "status", "net_total", "created_at", "items", "queue_number", "is_paid"];
const DETAIL_FIELDS: &[&str] = &[
    "id",
    "user_id",
    "customer_id",
    "type",
    "status",
    "gross_total",
    "discount_amount",
    "net_total",
    "tax_amount",
    "service_charge_amount",
    "payment_method_id",
    "payment_gateway_reference",
    "cash_received",
    "change_due",
    "applied_promotion_id",
    "created_at",
    "updated_at",
    "version",
    "items",
    "queue_number",
    "is_paid",
];
const ITEM_FIELDS: &[&str] = &["id", "product_id", "product_name", "quantity", "price_at_sale", "subtotal", "options"];

/// The names of the payment methods by id. Ids are serial, so they say nothing by themselves.
pub type Methods = BTreeMap<String, String>;

/// How an order is told.
#[derive(Debug, Clone, Copy)]
pub enum Form<'a> {
    /// A row of `GET /orders`: neither tax nor payment.
    Row,
    /// The answer to `GET /orders/{id}`.
    Detail(&'a Methods),
}

/// Reads an order.
///
/// # Errors
/// A member that no record can be without is not as it should be.
pub fn order(
    members: &Map<String, Value>,
    form: Form<'_>,
    context: &ParseContext,
    unknown: &mut UnknownFields,
) -> Result<Transaction, Refusal> {
    let (place, known) = match form {
        Form::Row => ("/data/orders/*", ROW_FIELDS),
        Form::Detail(_) => ("/data", DETAIL_FIELDS),
    };
    unknown.note(place, members.keys().map(String::as_str), known);
    let external_id = uuid(members)?;
    let status_raw = status(members, &external_id)?;
    let signed_total = fields::required_amount(members, "net_total", &external_id)?;
    let time = fields::required_time(members, "created_at", &context.source_zone, &external_id)?;

    let mut flags = fields::time_flags(&time);
    flags.extend(signed_total.is_negative().then_some(Flag::SourceAmountNegative));
    let amount = signed_total.magnitude();
    let items = fields::lines(members.get("items"), &mut flags, |value| line(value, place, unknown));
    let (is_paid, payments) = match form {
        Form::Row => (members.get("is_paid").and_then(Value::as_bool).unwrap_or(false), Vec::new()),
        Form::Detail(methods) => {
            let is_paid = !matches!(members.get("payment_method_id"), None | Some(Value::Null));
            let paid = is_paid.then(|| payment(members, amount, methods, &mut flags)).flatten();
            (is_paid, paid.into_iter().collect())
        }
    };
    let is_cancelled = status_raw == "cancelled";
    let kind = match (is_paid, is_cancelled) {
        (true, _) => Kind::Sale,
        (false, true) => Kind::Void,
        (false, false) => Kind::Order,
    };
    flags.extend((is_cancelled && is_paid).then_some(Flag::CancelledButPaid));
    flags.extend((!is_paid && matches!(status_raw, "served" | "paid")).then_some(Flag::ServedOrPaidWithoutPayment));

    let head =
        Head { source_system: SourceSystem::PosKasir, resource: Resource::Order, external_id, kind, amount, time };
    let mut record = Transaction {
        status: match status_raw {
            "paid" => Status::Completed,
            "cancelled" => Status::Cancelled,
            _ => Status::Open,
        },
        status_raw: Some(status_raw.to_owned()),
        payment_status: if is_paid { PaymentStatus::Paid } else { PaymentStatus::Unpaid },
        payment_method: payments.first().map(|p: &Payment| p.method.clone()),
        // Tax comes on top of the lines.
        tax_included: Some(false),
        items,
        payments,
        flags,
        ..context.record(head)
    };
    if matches!(form, Form::Detail(_)) {
        detail(&mut record, members, context);
        arithmetic::mark(&mut record, arithmetic::POS_KASIR);
    }
    Ok(record)
}

/// What the list shows of an order beside its time, as a number: another one means that the order has changed. Names
/// of products are left out: renaming one is no reason to read a year of orders again.
#[must_use]
pub fn fingerprint(row: &Transaction) -> u64 {
    let paid = row.payment_status == PaymentStatus::Paid;
    let mut text = format!("{} {} {paid}", row.status_raw.as_deref().unwrap_or_default(), row.amount);
    for item in row.items.iter().flatten() {
        let price = item.unit_price.unwrap_or(Amount::ZERO);
        let id = item.line_id.as_deref().unwrap_or_default();
        let product = item.product_id.as_deref().unwrap_or_default();
        write!(text, "\n{id} {product} {} {price}", item.quantity).expect("a string takes everything");
    }
    hash(&ContentId::of_bytes(text.as_bytes()))
}

/// The first bytes of a content id.
#[must_use]
pub fn hash(content: &ContentId) -> u64 {
    content.0.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn uuid(members: &Map<String, Value>) -> Result<String, Refusal> {
    let id = fields::external_id(members, "id")?;
    let groups: Vec<_> = id.split('-').map(str::len).collect();
    if groups != [8, 4, 4, 4, 12] || !id.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit()) {
        let found = JsonType::of(members.get("id"));
        let (reason, expected) = (Reason::IdInvalid, "a UUID");
        return Err(Refusal { field: "id", reason, expected, found, external_id: None });
    }
    Ok(id)
}

fn status(members: &Map<String, Value>, id: &str) -> Result<&'static str, Refusal> {
    let found = members.get("status");
    let known = ["open", "in_progress", "served", "paid", "cancelled"];
    known.into_iter().find(|name| found.and_then(Value::as_str) == Some(name)).ok_or_else(|| Refusal {
        field: "status",
        reason: Reason::StatusUnknown,
        expected: "open, in_progress, served, paid or cancelled",
        found: JsonType::of(found),
        external_id: Some(id.to_owned()),
    })
}

/// What only the detail tells. A total that cannot be read is left out and flagged.
fn detail(record: &mut Transaction, members: &Map<String, Value>, context: &ParseContext) {
    let mut total = |field: &str| match members.get(field) {
        None | Some(Value::Null) => None,
        Some(value) => {
            let amount = Amount::from_json(value).ok();
            if amount.is_none() {
                record.flags.insert(Flag::AmountsIncomplete);
            }
            amount
        }
    };
    let (gross, discount, tax, service) =
        (total("gross_total"), total("discount_amount"), total("tax_amount"), total("service_charge_amount"));
    record.amounts.lines_total = gross;
    record.amounts.discount_total = discount;
    record.amounts.tax_total = tax;
    record.amounts.service_charge = service;
    let is_some = |amount: &Amount| *amount != Amount::ZERO;
    record.taxes.extend(tax.filter(is_some).map(|amount| Tax { name: None, rate_percent: None, amount }));
    let reference = key(members.get("applied_promotion_id"));
    let discount = discount.filter(|amount| is_some(amount) || reference.is_some());
    record.discounts.extend(discount.map(|amount| Discount { scope: DiscountScope::Order, reference, amount }));
    let updated = members.get("updated_at").and_then(Value::as_str);
    record.source_updated_at =
        updated.and_then(|text| SourceTime::parse(text, &context.source_zone).ok()).map(|time| time.at);
    record.party = key(members.get("user_id")).map(|id| Party { customer_key: None, staff_id: Some(id) });
    if let Some(version) = members.get("version").filter(|value| value.is_u64()) {
        record.extra.insert("version".to_owned(), version.clone());
    }
    if let Some(kind) = key(members.get("type")) {
        record.extra.insert("type".to_owned(), kind.into());
    }
}

/// A key or an enum's word; anything longer is none.
fn key(value: Option<&Value>) -> Option<String> {
    let text = fields::optional_text(value).ok().flatten()?;
    (!text.trim().is_empty() && text.chars().count() <= fields::ID_CHARS_MAX).then_some(text)
}

/// The one payment that an order can have: always of the whole total. Cash handed over is not what was paid.
fn payment(
    members: &Map<String, Value>,
    amount: Amount,
    methods: &Methods,
    flags: &mut BTreeSet<Flag>,
) -> Option<Payment> {
    let Some(id) = key(members.get("payment_method_id")) else {
        flags.insert(Flag::PaymentsInvalid);
        return None;
    };
    let method_raw = methods.get(&id).cloned().unwrap_or_else(|| {
        flags.insert(Flag::PaymentMethodUnknown);
        format!("id {id}")
    });
    let mut cash = |field: &str| match members.get(field) {
        None | Some(Value::Null) => None,
        Some(value) => Amount::from_json(value).ok().or_else(|| {
            flags.insert(Flag::PaymentsInvalid);
            None
        }),
    };
    Some(Payment {
        id: None,
        at: None,
        method: method_raw.trim().to_lowercase(),
        method_raw,
        amount: Some(amount),
        tendered: cash("cash_received"),
        change: cash("change_due"),
        direction: Direction::In,
        reference: key(members.get("payment_gateway_reference")),
    })
}

fn line(value: &Value, place: &str, unknown: &mut UnknownFields) -> Option<Item> {
    let members = value.as_object()?;
    unknown.note(&format!("{place}/items/*"), members.keys().map(String::as_str), ITEM_FIELDS);
    let options = members.get("options").and_then(Value::as_array);
    Some(Item {
        line_id: key(members.get("id")),
        product_id: key(members.get("product_id")),
        sku: None,
        name: fields::optional_text(members.get("product_name")).ok()?,
        quantity: Amount::from_json(members.get("quantity")?).ok()?,
        unit_price: Some(Amount::from_json(members.get("price_at_sale")?).ok()?),
        list_price: None,
        net_unit_price: None,
        discount: None,
        taxes: Vec::new(),
        line_total: members.get("subtotal").and_then(|value| Amount::from_json(value).ok()),
        modifiers: options.into_iter().flatten().filter_map(modifier).collect(),
    })
}

/// For information only: its price is already in the line's.
fn modifier(value: &Value) -> Option<Modifier> {
    let members = value.as_object()?;
    Some(Modifier {
        id: key(members.get("product_option_id")),
        name: fields::optional_text(members.get("option_name")).ok()?,
        price: members.get("price_at_sale").and_then(|value| Amount::from_json(value).ok()),
    })
}
