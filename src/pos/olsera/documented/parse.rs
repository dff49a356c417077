//! Bodies of the documented API: `{"data": […]}`, and the merchant's object.
//!
//! Of a transaction four members are documented, and only they are taken: `transaction_id`, `grand_total`, `date` and
//! the optional `outlet_id`. Lines, taxes, payments, status and currency are not told, a customer's name or phone never
//! taken. Refunds are not documented: a negative total is taken for one and says so.

use chrono::NaiveTime;
use serde_json::{Map, Value};

use crate::{
    pos::{
        body::{Body, BodyFault, Elements, JsonType, content},
        fields,
        page::{Head, Page, ParseContext, Refusal, UnknownFields},
    },
    transaction::{Flag, Kind, Outlet, Resource, SourceSystem, Transaction},
};

const TRANSACTION_FIELDS: &[&str] = &["transaction_id", "grand_total", "date", "outlet_id"];

/// Characters of a merchant's name that are shown.
const NAME_CHARS_MAX: usize = 64;

/// Who a key belongs to, as far as the source says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merchant {
    /// Its id.
    pub id: Option<String>,
    /// Its name, of 64 characters at most.
    pub name: Option<String>,
}

/// Reads the answer to `GET /transactions`. Whether it is complete is for the caller to judge.
///
/// # Errors
/// The body is not such an answer. That never means "no sales".
pub fn parse_transactions(body: &[u8], context: &ParseContext) -> Result<Page, BodyFault> {
    match parse_readable(body, context)? {
        (page, None) => Ok(page),
        (_, Some(fault)) => Err(fault),
    }
}

/// The same, of an answer that may break off somewhere: what can be read of it, and why there may be more.
///
/// # Errors
/// Nothing of it is such an answer.
pub fn parse_readable(body: &[u8], context: &ParseContext) -> Result<(Page, Option<BodyFault>), BodyFault> {
    let body = Body::open_as_far_as_it_goes(body)?;
    let Elements { raw: elements, stopped } = body.list_as_far_as_it_goes("data")?;
    let day = |members: &Map<String, Value>| context.day_of(members, &["date"]);
    let (page, left) = Page::read_what_can_be_held(&elements, |elements| {
        let mut unknown = UnknownFields::default();
        unknown.note("", body.names(), &["data", "error"]);
        Page::read(elements, "/data", Resource::Transaction, unknown, day, |members, unknown| {
            record(members, context, unknown)
        })
    })?;
    Ok((page, left.or(stopped)))
}

/// Reads the answer to `GET /merchant/info`. Its members are not documented: a `merchant_id` and a `name` are taken
/// where they are there, also one level down in `data` or `merchant`.
///
/// # Errors
/// The body is not a JSON object, or names an error; one line that says so.
pub fn parse_merchant(body: &[u8]) -> Result<Merchant, String> {
    if Body::open(body).map_err(|fault| fault.to_string())?.has_error() {
        return Err(BodyFault::ErrorMember { key: "merchant" }.to_string());
    }
    let whole = content(body).ok().and_then(|(raw, _)| raw.object());
    let whole = whole.ok_or("expected a merchant, found JSON that cannot be held")?;
    let inner = ["data", "merchant"].iter().filter_map(|key| whole.get(*key)?.as_object());
    let places: Vec<_> = std::iter::once(&whole).chain(inner).collect();
    let name = places.iter().find_map(|place| fields::optional_text(place.get("name")).ok().flatten());
    let shorten = |name: String| name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect::<String>();
    Ok(Merchant {
        id: places.iter().find_map(|place| fields::external_id(place, "merchant_id").ok()),
        name: name.map(shorten).filter(|name| !name.trim().is_empty()),
    })
}

fn record(
    members: &Map<String, Value>,
    context: &ParseContext,
    unknown: &mut UnknownFields,
) -> Result<Transaction, Refusal> {
    unknown.note("/data/*", members.keys().map(String::as_str), TRANSACTION_FIELDS);
    let external_id = fields::external_id(members, "transaction_id")?;
    let signed_total = fields::required_amount(members, "grand_total", &external_id)?;
    let time = fields::required_time(members, "date", &context.source_zone, &external_id)?;

    let mut flags = fields::time_flags(&time);
    flags.insert(Flag::LinesMissing);
    if !time.time_of_day_unknown && time.at.time() == NaiveTime::MIN {
        flags.insert(Flag::TimeOfDaySuspect);
    }
    if signed_total.is_negative() {
        flags.insert(Flag::KindInferredFromSign);
    }
    let outlet_id = outlet_id(members.get("outlet_id")).ok().flatten();
    if outlet_id.is_none() {
        flags.insert(Flag::OutletUnknown);
    }
    let amount = signed_total.magnitude();
    let head = Head {
        source_system: SourceSystem::Olsera,
        resource: Resource::Transaction,
        external_id,
        kind: if signed_total.is_negative() { Kind::Refund } else { Kind::Sale },
        amount,
        time,
    };
    Ok(Transaction {
        outlet_id: outlet_id.clone(),
        outlet: Outlet { external_id: outlet_id, ..Outlet::default() },
        flags,
        ..context.record(head)
    })
}

/// The outlet's key. One that cannot be a key is as good as none: it is not worth the sale.
fn outlet_id(value: Option<&Value>) -> Result<Option<String>, JsonType> {
    let text = fields::optional_text(value)?;
    let usable = |text: &String| !text.trim().is_empty() && text.chars().count() <= fields::ID_CHARS_MAX;
    Ok(text.filter(usable))
}
