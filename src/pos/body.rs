//! A response body of status 200, opened as far as its list, or the reason why it cannot be.
//!
//! Only an object with the expected list is an answer. A missing list, `null`, an error in a 200, a web page: none of
//! them means "no sales", and whoever reads a body must not move its watermark for one. The elements of the list stay
//! closed ([`RawValue`]), so that one that cannot be read spoils only itself.
//!
//! Faults hold no text of the source: it may be a customer's.

use std::{collections::BTreeMap, fmt, str};

use serde::{Deserialize, Serialize};
use serde_json::{Value, error::Category, value::RawValue};
use thiserror::Error;

/// A JSON object, opened one level deep.
#[derive(Debug)]
pub struct Body<'a> {
    members: BTreeMap<String, &'a RawValue>,
}

/// Why a body is not an answer. The reaction is always the same: nothing is stored, the watermark stays, it is told.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BodyFault {
    /// Nothing, or only blanks.
    #[error("expected a JSON object, found an empty body")]
    Empty,
    /// Often a proxy's, a captive portal's or a front end's page: the base URL is wrong or the line is not open.
    #[error("expected a JSON object, found a web page")]
    Html,
    /// Not UTF-8.
    #[error("expected a JSON object, found bytes that are not UTF-8 at byte {at}")]
    NotUtf8 {
        /// Counted from the body's start.
        at: usize,
    },
    /// It ends before the JSON does.
    #[error("expected a JSON object, found one that is cut off after {at} bytes")]
    Cut {
        /// The body's length.
        at: usize,
    },
    /// Some other text.
    #[error("expected a JSON object, found a fault of its syntax near byte {at}")]
    NotJson {
        /// Counted from the body's start.
        at: usize,
    },
    /// JSON of another type.
    #[error("expected a JSON object, found {found}")]
    NotAnObject {
        /// Its type.
        found: JsonType,
    },
    /// The answer names an error in spite of its status.
    #[error("expected `{key}`, found an `error` member in an answer of status 200")]
    ErrorMember {
        /// The list's name.
        key: &'static str,
    },
    /// The list is not there: not the same as an empty one.
    #[error("expected a list `{key}`, found {found}")]
    NotAList {
        /// The list's name.
        key: &'static str,
        /// What stands there, [`JsonType::Missing`] if nothing does.
        found: JsonType,
    },
}

/// A JSON type by name: all that is told of a value that is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "JSON's own types, and the lack of a value")]
pub enum JsonType {
    Missing,
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

impl<'a> Body<'a> {
    /// Opens a body.
    ///
    /// # Errors
    /// It is not a JSON object.
    pub fn open(bytes: &'a [u8]) -> Result<Self, BodyFault> {
        let whole = raw(bytes)?;
        let found = JsonType::of_raw(whole);
        if found != JsonType::Object {
            return Err(BodyFault::NotAnObject { found });
        }
        let at = |_| BodyFault::NotJson { at: 0 };
        let members = serde_json::from_str(whole.get()).map_err(at)?;
        Ok(Self { members })
    }

    /// The list's elements, unread.
    ///
    /// # Errors
    /// There is no such list, or the body names an error.
    pub fn list(&self, key: &'static str) -> Result<Vec<&'a RawValue>, BodyFault> {
        let is_error = |value: &&RawValue| !matches!(value.get(), "null" | "false" | "0" | "\"\"" | "[]" | "{}");
        if self.members.get("error").is_some_and(is_error) {
            return Err(BodyFault::ErrorMember { key });
        }
        let found = self.members.get(key).map_or(JsonType::Missing, |value| JsonType::of_raw(value));
        match self.members.get(key) {
            Some(value) if found == JsonType::Array => {
                serde_json::from_str(value.get()).map_err(|_| BodyFault::NotAList { key, found })
            }
            _ => Err(BodyFault::NotAList { key, found }),
        }
    }

    /// The names of all members.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }
}

/// The one JSON value that a body is, unread.
///
/// # Errors
/// It is not JSON.
pub fn raw(bytes: &[u8]) -> Result<&RawValue, BodyFault> {
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(fault) => return Err(BodyFault::NotUtf8 { at: fault.valid_up_to() }),
    };
    // A byte order mark is no JSON, but RFC 8259 lets a reader pass over it, and some servers' languages write one.
    let content = text.trim_start_matches('\u{feff}').trim_ascii_start();
    match content.bytes().next() {
        None => return Err(BodyFault::Empty),
        Some(b'<') => return Err(BodyFault::Html),
        Some(_) => {}
    }
    let before = text.len() - content.len();
    serde_json::from_str(content).map_err(|fault| match fault.classify() {
        Category::Eof => BodyFault::Cut { at: bytes.len() },
        _ => BodyFault::NotJson { at: before + offset(content, &fault) },
    })
}

impl JsonType {
    /// The type of a value.
    #[must_use]
    pub fn of(value: Option<&Value>) -> Self {
        match value {
            None => Self::Missing,
            Some(Value::Null) => Self::Null,
            Some(Value::Bool(_)) => Self::Boolean,
            Some(Value::Number(_)) => Self::Number,
            Some(Value::String(_)) => Self::String,
            Some(Value::Array(_)) => Self::Array,
            Some(Value::Object(_)) => Self::Object,
        }
    }

    /// The type of an unread value, by its first character.
    #[must_use]
    pub fn of_raw(value: &RawValue) -> Self {
        match value.get().bytes().next() {
            None => Self::Missing,
            Some(b'n') => Self::Null,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'"') => Self::String,
            Some(b'[') => Self::Array,
            Some(b'{') => Self::Object,
            Some(_) => Self::Number,
        }
    }
}

impl fmt::Display for JsonType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "nothing",
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "a list",
            Self::Object => "an object",
        })
    }
}

/// Where in the text a fault was noticed; `serde_json` tells line and column only.
fn offset(text: &str, fault: &serde_json::Error) -> usize {
    let lines_before = text.split_inclusive('\n').take(fault.line().saturating_sub(1));
    lines_before.map(str::len).sum::<usize>() + fault.column().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(body: &[u8]) -> BodyFault {
        Body::open(body).and_then(|body| body.list("rows")).unwrap_err()
    }

    #[test]
    fn what_is_no_answer_says_what_it_is() {
        let missing = |found| BodyFault::NotAList { key: "rows", found };
        for (body, expected) in [
            (&b""[..], BodyFault::Empty),
            (b" \r\n", BodyFault::Empty),
            (b"\n<!doctype html><title>Siti 0812</title>", BodyFault::Html),
            (b"Too Many Requests", BodyFault::NotJson { at: 0 }),
            (b"{\"rows\": [\xff]}", BodyFault::NotUtf8 { at: 10 }),
            (b"{\"rows\": [{\"id\": 1},", BodyFault::Cut { at: 20 }),
            (b"{\n\"rows\": [],\n}", BodyFault::NotJson { at: 14 }),
            (b"{\"rows\": []} x", BodyFault::NotJson { at: 13 }),
            (b"[]", BodyFault::NotAnObject { found: JsonType::Array }),
            (b"null", BodyFault::NotAnObject { found: JsonType::Null }),
            (b"{}", missing(JsonType::Missing)),
            (b"{\"rows\": null}", missing(JsonType::Null)),
            (b"{\"rows\": {}}", missing(JsonType::Object)),
            (b"{\"error\": true, \"rows\": []}", BodyFault::ErrorMember { key: "rows" }),
            (b"{\"error\": {\"message\": \"Siti\"}}", BodyFault::ErrorMember { key: "rows" }),
        ] {
            assert_eq!(fault(body), expected, "{}", String::from_utf8_lossy(body));
            assert!(!expected.to_string().contains("Siti"));
            assert!(!expected.to_string().contains('\n'));
        }
    }

    #[test]
    fn an_answer_may_deny_an_error_and_begin_with_a_byte_order_mark() {
        let body = "\u{feff}{\"error\": false, \"rows\": [1, {}]}";
        let rows = Body::open(body.as_bytes()).unwrap().list("rows").unwrap();
        assert_eq!(rows.iter().map(|r| r.get()).collect::<Vec<_>>(), ["1", "{}"]);
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{{\"rows\": [{}{}]}}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(Body::open(deep.as_bytes()).unwrap().list("rows").unwrap().len(), 1);
        assert_eq!(fault("[".repeat(200_000).as_bytes()), BodyFault::Cut { at: 200_000 });
    }
}
