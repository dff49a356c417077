//! Bodies of the open API: the token, pages of orders, one order's details.
//!
//! - Numbers and texts are mixed; both do.
//! - A success has `error: 0`, a failure an object there.
//! - An order's time is `order_time`, local. `order_date` is always midnight; `created_time` is in another zone, and
//!   never read.
//! - A line's `amount` holds its add-ons and its discount already: nothing is added again.
//! - Customer, table, staff and cost are not taken.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::super::requests::LIMIT_ROWS;
use crate::{
    amount::Amount,
    arithmetic,
    content::ContentId,
    instant::SourceTime,
    pos::{
        body::{Body, BodyFault, Elements, JsonType},
        fields,
        page::{Head, Page, ParseContext, Quarantined, Reason, Refusal, UnknownFields, told},
        raw::Raw,
    },
    secret::Secret,
    transaction::{Amounts, Flag, Item, Kind, Modifier, PaymentStatus, Resource, SourceSystem, Status, Transaction},
    zone::Zone,
};

/// How long a token lives if the source does not say.
const TOKEN_LIVES: TimeDelta = TimeDelta::hours(1);

/// Characters of a status or another code.
const CODE_CHARS_MAX: usize = 16;

const ORDER_FIELDS: &[&str] = &[
    "id",
    "order_no",
    "order_date",
    "order_time",
    "created_time",
    "modified_time",
    "status",
    "status_desc",
    "is_paid",
    "order_amount",
    "total_amount",
    "total_item_qty",
    "customer_id",
    "customer_name",
    "table_no",
    "sales_by_name",
    "serve_by_name",
    "order_source",
    "orderitems",
];

const LINE_FIELDS: &[&str] = &[
    "id",
    "product_id",
    "product_name",
    "product_sku",
    "product_variant_id",
    "product_variant_name",
    "qty",
    "price",
    "addon_price",
    "discount",
    "amount",
    "cost_amount",
    "status",
];

/// What of a row of a list tells that its order has changed.
const MARKED_FIELDS: &[&str] = &[
    "status",
    "is_paid",
    "total_amount",
    "order_amount",
    "total_item_qty",
    "order_no",
    "order_date",
    "order_time",
    "modified_time",
];

/// The answer to `POST /token`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// Let in.
    Token {
        /// For `Authorization: Bearer`.
        token: Secret,
        /// How long it lives.
        lives: TimeDelta,
    },
    /// Not let in: a person must correct the credentials.
    Refused,
}

/// One page of a list of orders.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    /// The orders, each once.
    pub rows: Vec<Row>,
    /// Elements without a usable id.
    pub quarantined: Vec<Quarantined>,
    /// How many the source counts in all pages.
    pub total: Option<usize>,
    /// Whether it says that there is another page.
    pub more: bool,
    /// Rows of a full page, where it says so.
    pub per_page: Option<u64>,
    /// Why rows may be missing from what could be read; `None` if the page is whole.
    pub stopped: Option<BodyFault>,
}

/// An order as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The order's key.
    pub id: String,
    /// A hash of what would show a change; never 0.
    pub mark: u64,
    /// The day in whose list it belongs.
    pub day: Option<NaiveDate>,
    /// Its time, where the list tells it.
    pub at: Option<DateTime<Utc>>,
}

/// Reads the answer to `POST /token`.
///
/// # Errors
/// It is neither a token nor a refusal; one line that says what was expected.
pub fn parse_token(body: &[u8]) -> Result<Login, String> {
    let body = opened(body)?;
    if body.has_error() {
        return Ok(Login::Refused);
    }
    let value = |name: &str| body.member(name).and_then(|raw| raw.read().ok()).map(|read| read.value);
    let token = value("access_token").as_ref().and_then(Value::as_str).map(str::to_owned);
    let fits = |token: &String| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    let token = token.filter(fits).ok_or("expected `access_token`, found none that can be used")?;
    let seconds = value("expires_in").and_then(|value| match value {
        Value::Number(number) => number.as_str().parse().ok(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    });
    let lives = seconds.filter(|seconds| *seconds > 0).and_then(TimeDelta::try_seconds).unwrap_or(TOKEN_LIVES);
    Ok(Login::Token { token: Secret::new(token), lives })
}

/// Whether the body of a 404 is the API's own: there is nothing. A proxy's page is not.
///
/// # Errors
/// It is not; one line that says what was expected.
pub fn parse_nothing(body: &[u8]) -> Result<(), String> {
    if opened(body)?.has_error() { Ok(()) } else { Err("expected a member `error` in a 404, found none".to_owned()) }
}

/// Reads a page of orders, as far as it can be read.
///
/// # Errors
/// The body is not such an answer. That never means "no orders".
pub fn parse_orders(body: &[u8], zone: &Zone) -> Result<Orders, String> {
    let body = Body::open_as_far_as_it_goes(body).map_err(|fault| fault.to_string())?;
    let Elements { raw: elements, stopped } = body.list_as_far_as_it_goes("data").map_err(|fault| fault.to_string())?;
    let (meta, links) = (body.object("meta").unwrap_or_default(), body.object("links").unwrap_or_default());
    let number = |name: &str| {
        let text = fields::optional_text(meta.get(name)).ok().flatten();
        text.and_then(|text| text.trim().parse::<usize>().ok())
    };
    let next = links.get("next").is_some_and(|next| !matches!(next, Value::Null | Value::Bool(false)));
    let later = number("last_page").zip(number("current_page")).map(|(last, current)| current < last);
    let mut orders = Orders {
        total: number("total"),
        per_page: number("per_page").and_then(|rows| u64::try_from(rows).ok()),
        stopped,
        // Who says nothing of pages may have another one if this one is full.
        more: next || later.unwrap_or(meta.is_empty() && links.is_empty() && elements.len() >= LIMIT_ROWS),
        ..Orders::default()
    };
    let mut seen = BTreeSet::new();
    for (n, raw) in elements.iter().enumerate() {
        match row(*raw, zone) {
            Ok(row) if seen.insert(row.id.clone()) => orders.rows.push(row),
            Ok(_) => {}
            Err(refusal) => orders.quarantined.push(put_aside(*raw, n, refusal)),
        }
    }
    Ok(orders)
}

/// Reads an order's details, as a page of this one order.
///
/// # Errors
/// The body is not such an answer, or of another order.
pub fn parse_order(body: &[u8], context: &ParseContext) -> Result<Page, String> {
    let body = opened(body)?;
    if body.has_error() {
        return Err(BodyFault::ErrorMember { key: "data" }.to_string());
    }
    let found = body.member("data").map_or(JsonType::Missing, Raw::json_type);
    let Some(data) = body.member("data").filter(|_| found == JsonType::Object) else {
        return Err(format!("expected an object `data`, found {found}"));
    };
    let mut unknown = UnknownFields::default();
    unknown.note("", body.names(), &["data", "error"]);
    let day = |members: &Map<String, Value>| context.day_of(members, &["order_time", "order_date"]);
    let page = Page::read(&[data], "/data", Resource::Transaction, unknown, day, |members, unknown| {
        record(members, context, unknown)
    });
    let mut page = page.map_err(|fault| fault.to_string())?;
    page.quarantined.iter_mut().for_each(|aside| "/data".clone_into(&mut aside.pointer));
    Ok(page)
}

fn opened(body: &[u8]) -> Result<Body<'_>, String> {
    Body::open(body).map_err(|fault| fault.to_string())
}

fn row(raw: Raw<'_>, zone: &Zone) -> Result<Row, Refusal> {
    let refusal = |reason, expected, found| Refusal { field: "id", reason, expected, found, external_id: None };
    let value = raw.read().map(|read| read.value).map_err(|unreadable| {
        let (reason, expected) = told(unreadable);
        refusal(reason, expected, raw.json_type())
    })?;
    let Value::Object(members) = &value else {
        return Err(refusal(Reason::NotAnObject, "an object", JsonType::of(Some(&value))));
    };
    let id = fields::external_id(members, "id")?;
    let time = |name: &str| {
        let text = members.get(name)?.as_str()?;
        Some(SourceTime::parse(text, zone).ok()?.at.with_timezone(&Utc))
    };
    let day = time("order_date").or_else(|| time("order_time")).map(|at| zone.local(at).date_naive());
    Ok(Row { id, mark: mark(members), day, at: time("order_time") })
}

/// A number and a text of it are one.
fn mark(members: &Map<String, Value>) -> u64 {
    let plain = |name: &&str| match members.get(*name) {
        None | Some(Value::Null) => String::new(),
        Some(value) => Amount::from_json(value).map_or_else(|_| value.to_string(), |amount| amount.to_string()),
    };
    let hash = ContentId::of_json(&json!(MARKED_FIELDS.iter().map(plain).collect::<Vec<_>>()));
    let first = hash.0.first_chunk().copied().unwrap_or_default();
    u64::from_be_bytes(first).max(1)
}

fn put_aside(raw: Raw<'_>, n: usize, refusal: Refusal) -> Quarantined {
    let is_object = !matches!(refusal.reason, Reason::NotAnObject | Reason::Unreadable | Reason::TooLarge);
    let hash = raw.read().map(|read| ContentId::of_json(&read.value));
    Quarantined {
        resource: Resource::Transaction,
        pointer: format!("/data/{n}"),
        field: is_object.then(|| refusal.field.into()),
        reason: refusal.reason,
        expected: refusal.expected.into(),
        found: refusal.found,
        size_bytes: raw.bytes().len(),
        hash: hash.unwrap_or_else(|_| ContentId::of_bytes(raw.bytes())),
        external_id: refusal.external_id,
        business_date: None,
        window: None,
    }
}

fn record(
    members: &Map<String, Value>,
    context: &ParseContext,
    unknown: &mut UnknownFields,
) -> Result<Transaction, Refusal> {
    unknown.note("/data", members.keys().map(String::as_str), ORDER_FIELDS);
    let external_id = fields::external_id(members, "id")?;
    let signed_total = fields::required_amount(members, "total_amount", &external_id)?;
    let mut flags = BTreeSet::new();
    let time = time(members, context, &external_id, &mut flags)?;
    let (mut kind, status, payment_status) = standing(members, &external_id, &mut flags)?;
    if signed_total.is_negative() && kind == Kind::Sale {
        kind = Kind::Refund;
        flags.insert(Flag::KindInferredFromSign);
    } else if signed_total.is_negative() {
        flags.insert(Flag::SourceAmountNegative);
    }
    let items = fields::lines(members.get("orderitems"), &mut flags, |value| line(value, unknown));
    let grand_total = signed_total.magnitude();
    // What the lines come to; tax and service come on top of it.
    let lines_total =
        members.get("order_amount").and_then(|value| Amount::from_json(value).ok()).map(Amount::magnitude);
    if lines_total.is_none() {
        flags.insert(Flag::AmountsIncomplete);
    }
    let mut extra = Map::new();
    if let Some(source) = code(members.get("order_source")) {
        extra.insert("order_source".to_owned(), source.into());
    }
    let head = Head {
        source_system: SourceSystem::Olsera,
        resource: Resource::Transaction,
        external_id,
        kind,
        amount: grand_total,
        time,
    };
    let mut record = Transaction {
        external_ref: text(members.get("order_no")),
        status,
        status_raw: code(members.get("status")),
        payment_status,
        // `modified_time` is local in one list and not in another.
        amounts: Amounts { lines_total, ..Amounts::total_only(grand_total) },
        items,
        flags,
        extra,
        ..context.record(head)
    };
    arithmetic::mark(&mut record, arithmetic::OLSERA);
    Ok(record)
}

/// `order_time`; without one, the day of `order_date`.
fn time(
    members: &Map<String, Value>,
    context: &ParseContext,
    id: &str,
    flags: &mut BTreeSet<Flag>,
) -> Result<SourceTime, Refusal> {
    let is_absent = |value: Option<&Value>| match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    };
    let name = if is_absent(members.get("order_time")) && !is_absent(members.get("order_date")) {
        flags.insert(Flag::TimeOfDaySuspect);
        "order_date"
    } else {
        "order_time"
    };
    let time = fields::required_time(members, name, &context.source_zone, id)?;
    if time.time_of_day_unknown {
        flags.remove(&Flag::TimeOfDaySuspect);
    }
    flags.extend(fields::time_flags(&time));
    Ok(time)
}

/// Section 7.2: cancelled is void, unpaid is an order, paid is a sale, done or not.
fn standing(
    members: &Map<String, Value>,
    id: &str,
    flags: &mut BTreeSet<Flag>,
) -> Result<(Kind, Status, PaymentStatus), Refusal> {
    let refused = |field: &'static str, expected: &'static str| Refusal {
        field,
        reason: Reason::StatusUnknown,
        expected,
        found: JsonType::of(members.get(field)),
        external_id: Some(id.to_owned()),
    };
    let status = code(members.get("status")).unwrap_or_default();
    let is_paid = match members.get("is_paid") {
        Some(Value::Bool(paid)) => Some(*paid),
        value => match fields::optional_text(value).ok().flatten().as_deref().map(str::trim) {
            Some("1") => Some(true),
            Some("0") => Some(false),
            _ => None,
        },
    };
    if status == "X" {
        if is_paid == Some(true) {
            flags.insert(Flag::CancelledButPaid);
        }
        return Ok((Kind::Void, Status::Cancelled, PaymentStatus::Unknown));
    }
    let status = match status.as_str() {
        "Z" => Status::Completed,
        "P" | "A" | "S" => Status::Open,
        _ => return Err(refused("status", "one of P, A, S, Z, X")),
    };
    match is_paid {
        Some(true) => Ok((Kind::Sale, status, PaymentStatus::Paid)),
        Some(false) => Ok((Kind::Order, Status::Open, PaymentStatus::Unpaid)),
        None => Err(refused("is_paid", "0 or 1")),
    }
}

fn line(value: &Value, unknown: &mut UnknownFields) -> Option<Item> {
    let members = value.as_object()?;
    unknown.note("/data/orderitems/*", members.keys().map(String::as_str), LINE_FIELDS);
    // Absent is not told; what is no amount spoils the line.
    let amount = |name: &str| match members.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(value) => Amount::from_json(value).ok().map(Some),
    };
    let (price, addon, discount) = (amount("price")?, amount("addon_price")?, amount("discount")?);
    let is_some = |value: Option<Amount>| value.is_some_and(|amount| amount != Amount::ZERO);
    let variant = text(members.get("product_variant_name"));
    let variant =
        variant.map(|name| Modifier { id: text(members.get("product_variant_id")), name: Some(name), price: None });
    let addon_line =
        addon.filter(|_| is_some(addon)).map(|price| Modifier { id: None, name: None, price: Some(price) });
    Some(Item {
        line_id: text(members.get("id")),
        product_id: text(members.get("product_id")),
        sku: text(members.get("product_sku")),
        name: text(members.get("product_name")),
        quantity: Amount::from_json(members.get("qty")?).ok()?,
        // With a discount or an add-on the price of one is not what is asked for one, and none is made up.
        unit_price: price.filter(|_| !is_some(discount) && !is_some(addon)),
        list_price: price,
        net_unit_price: None,
        discount,
        taxes: Vec::new(),
        line_total: Some(Amount::from_json(members.get("amount")?).ok()?),
        modifiers: variant.into_iter().chain(addon_line).collect(),
    })
}

/// A text or number that is there and not empty.
fn text(value: Option<&Value>) -> Option<String> {
    fields::optional_text(value).ok().flatten().filter(|text| !text.trim().is_empty())
}

/// A short code of the source's; anything longer is no code.
fn code(value: Option<&Value>) -> Option<String> {
    text(value).filter(|text| text.chars().count() <= CODE_CHARS_MAX && text.bytes().all(|b| b.is_ascii_alphanumeric()))
}
