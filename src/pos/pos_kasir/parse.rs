//! POS Kasir's bodies: `{"message": …, "data": …}`, where an empty list of orders is `null`.
//!
//! Faults are one line without any text of the source.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use thiserror::Error;

use super::order::{Form, Methods, order};
use crate::{
    instant::SourceTime,
    pos::{
        body::{Body, BodyFault, JsonType},
        fields,
        page::{Page, ParseContext, Reason, UnknownFields},
        raw::Raw,
    },
    transaction::Resource,
};

/// Methods, and characters of a name, that are kept.
const METHODS_MAX: usize = 200;
const NAME_CHARS_MAX: usize = 64;

/// A page of the list of orders.
#[derive(Debug, Clone)]
pub struct Orders {
    /// The rows, newest first; records of what the list alone tells.
    pub page: Page,
    /// Which page it is, from 1.
    pub number: u64,
    /// Orders in the whole list.
    pub total: u64,
    /// Rows of a full page.
    pub rows_max: u64,
}

impl Orders {
    /// Rows that the server's own count demands of this page and that are not there: it drops a row whose items it
    /// cannot read, and still answers 200.
    #[must_use]
    pub fn missing(&self) -> u64 {
        let before = self.number.saturating_sub(1).saturating_mul(self.rows_max);
        let due = self.total.saturating_sub(before).min(self.rows_max);
        due.saturating_sub(self.page.rows as u64)
    }

    /// No page follows.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.number.saturating_mul(self.rows_max) >= self.total
    }
}

/// Why a page of the list is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PageFault {
    /// Its body.
    #[error("{0}")]
    Body(#[from] BodyFault),
    /// What the body holds.
    #[error("{0}")]
    Form(String),
}

impl PageFault {
    /// Whether a smaller page may be readable.
    #[must_use]
    pub fn may_pass_when_smaller(&self) -> bool {
        matches!(self, Self::Body(fault) if fault.may_pass_when_halved())
    }
}

/// Who is logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// `admin`, `manager`, `cashier`, as sent; at most 64 characters.
    pub role: String,
    /// The user's id.
    pub id: Option<String>,
}

/// An entry of the activity log that speaks of an order. Of its text nothing is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The order.
    pub order: String,
    /// When it was written.
    pub at: DateTime<Utc>,
    /// It tells of a refund.
    pub is_refund: bool,
}

/// A page of the activity log, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Those that could be read.
    pub entries: Vec<LogEntry>,
    /// No page follows.
    pub is_last: bool,
}

/// Reads the answer to `GET /orders`.
///
/// # Errors
/// The body is not such an answer. That never means "no orders".
pub fn parse_orders(body: &[u8], context: &ParseContext) -> Result<Orders, PageFault> {
    let form = |text: &str| PageFault::Form(text.to_owned());
    let body = Body::open(body)?;
    let data = Body::within(object(data_of(&body)?).map_err(PageFault::Form)?)?;
    let elements = match data.list("orders") {
        Err(BodyFault::NotAList { found: JsonType::Null, .. }) => Vec::new(),
        other => other?,
    };
    let pagination = data.object("pagination").ok_or_else(|| form("expected an object `pagination`, found none"))?;
    let number = |field: &'static str| {
        let found = pagination.get(field).and_then(Value::as_u64);
        found.ok_or_else(|| PageFault::Form(format!("expected a whole number `pagination/{field}`, found none")))
    };
    let (page_number, total, rows_max) = (number("current_page")?, number("total_data")?, number("per_page")?);
    if page_number == 0 || rows_max == 0 {
        return Err(form("expected pages and rows counted from 1, found 0"));
    }
    let mut unknown = UnknownFields::default();
    unknown.note("/data", data.names(), &["orders", "pagination"]);
    let day = |members: &Map<String, Value>| context.day_of(members, &["created_at"]);
    let page = Page::read(&elements, "/data/orders", Resource::Order, unknown, day, |members, unknown| {
        order(members, Form::Row, context, unknown)
    })?;
    Ok(Orders { page, number: page_number, total, rows_max })
}

/// Reads the answer to `GET /orders/{id}`: one record, or why it is put aside.
///
/// # Errors
/// The body is not such an answer.
pub fn parse_order(body: &[u8], context: &ParseContext, methods: &Methods) -> Result<Page, String> {
    let data = object(data(body)?)?;
    let form = Form::Detail(methods);
    let day = |members: &Map<String, Value>| context.day_of(members, &["created_at"]);
    let page = Page::read(&[data], "/data", Resource::Order, UnknownFields::default(), day, |members, unknown| {
        order(members, form, context, unknown)
    });
    let mut page = page.map_err(|fault| fault.to_string())?;
    for aside in &mut page.quarantined {
        // There is no list here.
        "/data".clone_into(&mut aside.pointer);
        if matches!(aside.reason, Reason::IdMissing) {
            return Err("expected an order with its id, found none".to_owned());
        }
    }
    Ok(page)
}

/// Reads when the session ends, of the answer to a login or a refresh. The tokens are in its cookies.
///
/// # Errors
/// The body is not such an answer.
pub fn parse_session(body: &[u8]) -> Result<Option<DateTime<Utc>>, String> {
    let data = members(data(body)?)?;
    let text = data.get("expired").and_then(Value::as_str);
    Ok(text.and_then(|text| DateTime::parse_from_rfc3339(text).ok()).map(|at| at.to_utc()))
}

/// Reads the answer to `GET /auth/me`.
///
/// # Errors
/// The body is not such an answer.
pub fn parse_me(body: &[u8]) -> Result<Me, String> {
    let data = members(data(body)?)?;
    let role = data.get("role").and_then(Value::as_str).ok_or("expected a text `data/role`, found none")?;
    Ok(Me { role: shown(role), id: fields::external_id(&data, "id").ok() })
}

/// Reads the shop's name from the answer to `GET /settings/branding`.
///
/// # Errors
/// The body is not such an answer.
pub fn parse_branding(body: &[u8]) -> Result<Option<String>, String> {
    let data = members(data(body)?)?;
    let name = data.get("app_name").and_then(Value::as_str).map(str::trim);
    Ok(name.filter(|name| !name.is_empty()).map(shown))
}

/// Reads the answer to `GET /payment-methods`. An element without id or name is passed over.
///
/// # Errors
/// The body is not such an answer.
pub fn parse_methods(body: &[u8]) -> Result<Methods, String> {
    let list = data(body)?.read().map(|read| read.value).unwrap_or_default();
    let Value::Array(list) = list else {
        return Err("expected a list of objects `data`, found something else".to_owned());
    };
    let elements: Option<Vec<_>> = list.iter().map(Value::as_object).collect();
    let elements = elements.ok_or("expected a list of objects `data`, found something else")?;
    let method = |members: &Map<String, Value>| {
        let name = members.get("name").and_then(Value::as_str).map(str::trim).filter(|name| !name.is_empty())?;
        Some((fields::external_id(members, "id").ok()?, shown(name)))
    };
    Ok(elements.into_iter().filter_map(method).take(METHODS_MAX).collect())
}

/// Reads the answer to `GET /activity-logs`. An entry that cannot be read is passed over: the log is only a hint.
///
/// # Errors
/// The body is not such an answer.
pub fn parse_log(body: &[u8], context: &ParseContext) -> Result<Log, String> {
    let data = members(data(body)?)?;
    let number = |field: &str| data.get(field).and_then(Value::as_u64);
    let is_last = match (number("page"), number("total_pages")) {
        (Some(page), Some(pages)) => page >= pages,
        _ => return Err("expected whole numbers `data/page` and `data/total_pages`, found none".to_owned()),
    };
    let logs = match data.get("logs") {
        Some(Value::Array(logs)) => logs.as_slice(),
        Some(Value::Null) => &[],
        other => return Err(format!("expected a list `data/logs`, found {}", JsonType::of(other))),
    };
    let entry = |value: &Value| {
        let at = SourceTime::parse(value.get("created_at")?.as_str()?, &context.source_zone).ok()?;
        let order = value.get("entity_id")?.as_str()?;
        (order.len() <= fields::ID_CHARS_MAX).then(|| LogEntry {
            order: order.to_owned(),
            at: at.at.to_utc(),
            is_refund: value.pointer("/details/action").and_then(Value::as_str) == Some("refund"),
        })
    };
    Ok(Log { entries: logs.iter().filter_map(entry).collect(), is_last })
}

/// The member `data` of an answer, unread.
fn data(body: &[u8]) -> Result<Raw<'_>, String> {
    let body = Body::open(body).map_err(|fault| fault.to_string())?;
    data_of(&body).map_err(|fault| fault.to_string())
}

fn data_of<'a>(body: &Body<'a>) -> Result<Raw<'a>, PageFault> {
    if body.has_error() {
        return Err(BodyFault::ErrorMember { key: "data" }.into());
    }
    body.member("data").ok_or_else(|| PageFault::Form("expected a member `data`, found none".to_owned()))
}

fn object(raw: Raw<'_>) -> Result<Raw<'_>, String> {
    match raw.json_type() {
        JsonType::Object => Ok(raw),
        found => Err(format!("expected an object `data`, found {found}")),
    }
}

fn members(raw: Raw<'_>) -> Result<Map<String, Value>, String> {
    object(raw)?.object().ok_or_else(|| "expected an object `data` that can be held".to_owned())
}

fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect()
}
