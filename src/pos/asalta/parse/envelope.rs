//! What stands around the records.
//!
//! The samples of the reference print `[ "data": […] ]`, which is no JSON, bare objects, and four shapes of meta data.
//! All are taken. Links are not read: they carry the token.

use std::collections::BTreeMap;

use serde_json::{Map, Value, value::RawValue};

use crate::pos::body::{BodyFault, JsonType, raw};

/// Members of an envelope that are known, links and messages among them.
pub const KNOWN: &[&str] = &["data", "error", "message", "Message", "_metadata", "_meta", "_links"];

/// A body, opened as far as its records.
#[derive(Debug)]
pub struct Envelope<'a> {
    members: BTreeMap<String, &'a RawValue>,
    form: Form<'a>,
}

#[derive(Debug)]
enum Form<'a> {
    /// `{"data": […]}`, or the same within a list.
    List(&'a RawValue, &'static str),
    /// `[…]`.
    Bare(&'a RawValue),
    /// `{"id": …}`, or `{"data": {…}}`.
    One(&'a RawValue, &'static str),
}

/// What the source says of a list. The samples' own numbers do not always fit each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Meta {
    /// Which page this is.
    pub current: Option<u64>,
    /// The next page: `None` if the source does not speak of it, `Some(None)` if it says that there is none.
    pub next: Option<Option<u64>>,
    /// How many pages there are.
    pub pages: Option<u64>,
    /// Records of a page.
    pub size: Option<u64>,
    /// Records of the whole list.
    pub total: Option<u64>,
}

impl<'a> Envelope<'a> {
    /// Opens a body.
    ///
    /// # Errors
    /// It is no JSON object or list, or it names an error.
    pub fn open(bytes: &'a [u8]) -> Result<Self, BodyFault> {
        let whole = raw(bytes)?;
        match JsonType::of_raw(whole) {
            JsonType::Object => Self::of_object(whole, ["", "/data"]),
            JsonType::Array => {
                let wrapped: Option<[&RawValue; 1]> = serde_json::from_str(whole.get()).ok();
                let inner = wrapped.map(|[inner]| inner).filter(|inner| JsonType::of_raw(inner) == JsonType::Object);
                // Only an object with a list inside wraps one; else it is the list's only record.
                let is_wrapper = |envelope: &Self| matches!(envelope.form, Form::List(..));
                match inner.map(|inner| Self::of_object(inner, ["/0", "/0/data"])).transpose()?.filter(is_wrapper) {
                    Some(envelope) => Ok(envelope),
                    None => Ok(Self { members: BTreeMap::new(), form: Form::Bare(whole) }),
                }
            }
            found => Err(BodyFault::NotAnObject { found }),
        }
    }

    fn of_object(object: &'a RawValue, [own, data]: [&'static str; 2]) -> Result<Self, BodyFault> {
        let members: BTreeMap<String, &RawValue> =
            serde_json::from_str(object.get()).map_err(|_| BodyFault::NotJson { at: 0 })?;
        let denied = ["null", "false", "0", "\"\"", "[]", "{}"];
        if members.get("error").is_some_and(|error| !denied.contains(&error.get())) {
            return Err(BodyFault::ErrorMember { key: "data" });
        }
        let found = members.get("data").map_or(JsonType::Missing, |value| JsonType::of_raw(value));
        let form = match (members.get("data").copied(), found) {
            (Some(list), JsonType::Array) => Form::List(list, data),
            (Some(one), JsonType::Object) => Form::One(one, data),
            (None, _) if members.contains_key("id") => Form::One(object, own),
            _ => return Err(BodyFault::NotAList { key: "data", found }),
        };
        Ok(Self { members, form })
    }

    /// The records, unread.
    ///
    /// # Errors
    /// The list cannot be taken apart.
    pub fn elements(&self) -> Result<Vec<&'a RawValue>, BodyFault> {
        match self.form {
            Form::List(list, _) | Form::Bare(list) => serde_json::from_str(list.get())
                .map_err(|_| BodyFault::NotAList { key: "data", found: JsonType::Array }),
            Form::One(one, _) => Ok(vec![one]),
        }
    }

    /// The place of the records, a JSON pointer.
    pub fn place(&self) -> &'static str {
        match self.form {
            Form::List(_, place) | Form::One(_, place) => place,
            Form::Bare(_) => "",
        }
    }

    /// Whether the body is one record alone.
    pub fn is_one(&self) -> bool {
        matches!(self.form, Form::One(..))
    }

    /// The names around the records.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let around = matches!(self.form, Form::List(..));
        self.members.keys().map(String::as_str).filter(move |_| around)
    }

    /// What the source says of the list.
    pub fn meta(&self) -> Meta {
        let shape = self.members.get("_metadata").or_else(|| self.members.get("_meta"));
        let Some(shape) = shape.and_then(|raw| serde_json::from_str::<Map<String, Value>>(raw.get()).ok()) else {
            return Meta::default();
        };
        let number = |names: [&str; 2]| names.iter().find_map(|name| whole(shape.get(*name)?));
        Meta {
            current: number(["currentPage", "currentPage"]),
            next: shape.get("nextPage").map(whole),
            pages: number(["pageCount", "totalPage"]),
            size: number(["pageSize", "perPage"]).filter(|size| *size > 0),
            total: number(["totalRecord", "totalCount"]),
        }
    }
}

fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_str().parse().ok(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
