//! Asalta's bodies: lists of invoices, orders and returns, one of them alone, the warehouses, and the report of sales.
//!
//! - `envelope`: what stands around the records, in any of the shapes that the samples show.
//! - `record`: one of them; `lines` and `payments`: its parts.
//! - `sales`: the rows of `POST /report/sales`, which spells the same things otherwise.
//!
//! Names of people, addresses, e-mails and notes are not read at all, card and cheque fields neither; a gift card's
//! number is money, and only its last four characters are kept.

mod envelope;
mod lines;
mod payments;
mod record;
mod sales;

use serde_json::{Map, Value};

use self::envelope::{Envelope, Readable};
pub use self::{
    envelope::Meta,
    sales::{Row, parse_report},
};
use crate::{
    pos::{
        body::BodyFault,
        fields,
        page::{Page, ParseContext, UnknownFields},
    },
    transaction::{Outlet, Resource},
};

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its records.
    pub page: Page,
    /// What the source says of the list.
    pub meta: Meta,
}

impl Listed {
    /// A page that is not there.
    #[must_use]
    pub fn nothing() -> Self {
        Self { page: Page::default(), meta: Meta::default() }
    }
}

/// Reads a page of a list, or one record alone. `of` is the sale that the returns were asked of.
///
/// # Errors
/// The body is no such answer. That never means "no records".
pub fn parse_records(
    body: &[u8],
    resource: Resource,
    of: Option<&str>,
    context: &ParseContext,
) -> Result<Listed, BodyFault> {
    let envelope = Envelope::open(body)?;
    let mut unknown = UnknownFields::default();
    unknown.note("", envelope.names(), envelope::KNOWN);
    let elements = envelope.elements()?;
    let day = |members: &Map<String, Value>| context.day_of(members, &["date"]);
    let mut page = Page::read(&elements, envelope.place(), resource, unknown, day, |members, unknown| {
        record::record(members, resource, of, context, unknown)
    })?;
    if envelope.is_one() {
        // One record alone is no element of a list: its place is that of the envelope.
        for aside in &mut page.quarantined {
            envelope.place().clone_into(&mut aside.pointer);
        }
    }
    Ok(Listed { page, meta: envelope.meta() })
}

/// The same, of a list that breaks off somewhere or holds too much: what can be read of it.
///
/// # Errors
/// Nothing of it is such an answer.
pub fn parse_readable(body: &[u8], resource: Resource, context: &ParseContext) -> Result<Listed, BodyFault> {
    let Readable { elements, place, meta } = Readable::open(body)?;
    let day = |members: &Map<String, Value>| context.day_of(members, &["date"]);
    let (page, _) = Page::read_what_can_be_held(&elements, |elements| {
        Page::read(elements, place, resource, UnknownFields::default(), day, |members, unknown| {
            record::record(members, resource, None, context, unknown)
        })
    })?;
    Ok(Listed { page, meta })
}

/// Whether an answer says by itself that it is an error, whatever its status.
#[must_use]
pub fn says_error(body: &[u8]) -> bool {
    matches!(Envelope::open(body), Err(BodyFault::ErrorMember { .. }))
}

/// Reads the answer to `GET /pos/warehouses`.
///
/// # Errors
/// The body is no such answer.
pub fn parse_warehouses(body: &[u8]) -> Result<Vec<Outlet>, BodyFault> {
    let elements = Envelope::open(body)?.elements()?;
    let warehouse = |members: Map<String, Value>| record::warehouse(&members);
    Ok(elements.iter().map(|raw| raw.object().map(warehouse).unwrap_or_default()).collect())
}

/// A text that Asalta did not leave out: `null`, `""` and the text `null` are all nothing.
fn text(value: Option<&Value>) -> Option<String> {
    fields::optional_text(value).ok().flatten().filter(|text| !is_absent(text))
}

/// The value, unless it is nothing.
fn present(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| match value {
        Value::Null => false,
        Value::String(text) => !is_absent(text),
        _ => true,
    })
}

fn is_absent(text: &str) -> bool {
    matches!(text.trim(), "" | "null")
}

/// A short text without control characters, such as a name or a number on a slip.
fn short(value: Option<&Value>) -> Option<String> {
    text(value).filter(|text| text.chars().count() <= fields::ID_CHARS_MAX && !text.contains(char::is_control))
}
