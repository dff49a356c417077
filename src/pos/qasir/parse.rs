//! Qasir's bodies: `{"transactions": […]}` and `{"outlets": […]}`.
//!
//! Of a transaction six members are documented, and only they are taken: `id`, `total_amount`, `transaction_date`,
//! `payment_method`, and of each of `items` its `product_name`, `qty` and `price`. The guide's sample code calls
//! `float()`, `int()` and `fromisoformat()` on them, so text and number must both do. Refunds are not documented: a
//! negative total is taken for one and says so. Status, outlet, tax, discount and currency are not told.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{
    amount::Amount,
    arithmetic,
    pos::{
        body::{Body, BodyFault},
        fields,
        page::{Head, Page, ParseContext, Refusal, UnknownFields},
    },
    transaction::{Direction, Flag, Item, Kind, Outlet, Payment, Resource, SourceSystem, Transaction},
};

const TRANSACTION_FIELDS: &[&str] = &["id", "total_amount", "transaction_date", "payment_method", "items"];
const ITEM_FIELDS: &[&str] = &["product_name", "qty", "price"];

/// Reads the answer to `GET /transactions`.
///
/// Whether the page is complete, and whether its rows lie in the window that was asked for, is for the caller to judge.
///
/// # Errors
/// The body is not such an answer. That never means "no sales".
pub fn parse_transactions(body: &[u8], context: &ParseContext) -> Result<Page, BodyFault> {
    let body = Body::open(body)?;
    let elements = body.list("transactions")?;
    let mut unknown = UnknownFields::default();
    unknown.note("", body.names(), &["transactions", "error"]);
    let day = |members: &Map<String, Value>| context.day_of(members, &["transaction_date"]);
    Page::read(&elements, "/transactions", Resource::Transaction, unknown, day, |members, unknown| {
        record(members, context, unknown)
    })
}

/// Reads the answer to `GET /outlets`. Its members are not documented; `id` and `name` are taken where they are there.
/// The list is as long as the source's: a transaction does not name its outlet, so more than one is worth a word.
///
/// # Errors
/// The body is not such an answer. That never means "no outlets".
pub fn parse_outlets(body: &[u8]) -> Result<Vec<Outlet>, BodyFault> {
    let outlet = |members: Map<String, Value>| Outlet {
        external_id: fields::external_id(&members, "id").ok(),
        code: None,
        name: fields::optional_text(members.get("name")).ok().flatten(),
    };
    let elements = Body::open(body)?.list("outlets")?;
    Ok(elements.iter().map(|raw| raw.object().map(outlet).unwrap_or_default()).collect())
}

fn record(
    members: &Map<String, Value>,
    context: &ParseContext,
    unknown: &mut UnknownFields,
) -> Result<Transaction, Refusal> {
    unknown.note("/transactions/*", members.keys().map(String::as_str), TRANSACTION_FIELDS);
    let external_id = fields::external_id(members, "id")?;
    let signed_total = fields::required_amount(members, "total_amount", &external_id)?;
    let time = fields::required_time(members, "transaction_date", &context.source_zone, &external_id)?;

    let mut flags = fields::time_flags(&time);
    let is_refund = signed_total.is_negative();
    if is_refund {
        flags.insert(Flag::KindInferredFromSign);
    }
    let mut items = fields::lines(members.get("items"), &mut flags, |value| line(value, unknown));
    if is_refund {
        items = items.map(turned_to_magnitudes);
    }
    let direction = if is_refund { Direction::Out } else { Direction::In };
    let payments: Vec<_> = payment(members.get("payment_method"), direction, &mut flags).into_iter().collect();

    let amount = signed_total.magnitude();
    let head = Head {
        source_system: SourceSystem::Qasir,
        resource: Resource::Transaction,
        external_id,
        kind: if is_refund { Kind::Refund } else { Kind::Sale },
        amount,
        time,
    };
    let mut record = Transaction {
        payment_method: payments.first().map(|p| p.method.clone()),
        items,
        payments,
        flags,
        ..context.record(head)
    };
    arithmetic::mark(&mut record, arithmetic::QASIR);
    Ok(record)
}

fn line(value: &Value, unknown: &mut UnknownFields) -> Option<Item> {
    let members = value.as_object()?;
    unknown.note("/transactions/*/items/*", members.keys().map(String::as_str), ITEM_FIELDS);
    Some(Item {
        line_id: None,
        product_id: None,
        sku: None,
        name: fields::optional_text(members.get("product_name")).ok()?,
        quantity: Amount::from_json(members.get("qty")?).ok()?,
        unit_price: Some(Amount::from_json(members.get("price")?).ok()?),
        list_price: None,
        net_unit_price: None,
        discount: None,
        taxes: Vec::new(),
        // The source sends none, and none is made up: quantity times price is for whoever reads the record.
        line_total: None,
        modifiers: Vec::new(),
    })
}

/// The lines of a refund that was known by its negative total. If they come to less than nothing, their signs say once
/// more what the kind says, and are turned; if not, the source wrote them as magnitudes, and they stand as they are.
fn turned_to_magnitudes(items: Vec<Item>) -> Vec<Item> {
    let sum = items.iter().try_fold(Amount::ZERO, |sum, item| sum.checked_add(arithmetic::line_total(item)?));
    if sum.is_none_or(|sum| !sum.is_negative()) {
        return items;
    }
    let turned = |item: Item| match item.unit_price {
        Some(price) if price.is_negative() && !item.quantity.is_negative() => {
            Item { unit_price: Some(price.negated()), ..item }
        }
        _ => Item { quantity: item.quantity.negated(), ..item },
    };
    items.into_iter().map(turned).collect()
}

/// The one method that a transaction can name; how much it settled is not told. An absent one is not cash.
fn payment(value: Option<&Value>, direction: Direction, flags: &mut BTreeSet<Flag>) -> Option<Payment> {
    let named = fields::optional_text(value).map(|text| text.filter(|text| !text.trim().is_empty()));
    let method_raw = match named {
        Ok(Some(text)) if text.chars().count() <= fields::ID_CHARS_MAX => text,
        Ok(None) => {
            flags.insert(Flag::PaymentMethodUnknown);
            return None;
        }
        Ok(Some(_)) | Err(_) => {
            flags.insert(Flag::PaymentsInvalid);
            return None;
        }
    };
    Some(Payment {
        id: None,
        at: None,
        method: method_raw.trim().to_lowercase(),
        method_raw,
        amount: None,
        tendered: None,
        change: None,
        direction,
        reference: None,
    })
}
