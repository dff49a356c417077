//! A response body of status 200, opened as far as its list, or the reason why it cannot be.
//!
//! Only an object with the expected list is an answer. A missing list, `null`, an error in a 200, a web page: none of
//! them means "no sales", and whoever reads a body must not move its watermark for one. The elements of the list stay
//! closed ([`Raw`]), so that one that cannot be read spoils only itself.
//!
//! Faults hold no text of the source: it may be a customer's.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use super::raw::{ELEMENTS_MAX, Parts, Raw, Uncut};

/// A JSON object, opened one level deep.
#[derive(Debug)]
pub struct Body<'a> {
    members: Vec<(String, Raw<'a>)>,
    stopped: Option<BodyFault>,
}

/// A list's elements, unread, as far as the body could be cut into them.
#[derive(Debug)]
pub struct Elements<'a> {
    /// In their order.
    pub raw: Vec<Raw<'a>>,
    /// Why there may be more of them; `None` if the list is whole.
    pub stopped: Option<BodyFault>,
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
    /// The list holds something else than records.
    #[error("expected objects in the list `{key}`, found none")]
    NoRecords {
        /// The list's name.
        key: &'static str,
    },
    /// More than can be held.
    #[error("expected at most {ELEMENTS_MAX} records in one answer, found more")]
    TooMany,
    /// The records of the page hold more values than can be held.
    #[error("expected at most {} values in the records of one answer, found more", super::page::PAGE_VALUES_MAX)]
    TooMuch,
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

impl BodyFault {
    /// Whether an answer to a narrower question may be readable: this one holds too much, or a record that spoils it.
    #[must_use]
    pub fn may_pass_when_halved(&self) -> bool {
        matches!(self, Self::Cut { .. } | Self::NotJson { .. } | Self::TooMany | Self::TooMuch)
    }
}

impl<'a> Body<'a> {
    /// Opens a body.
    ///
    /// # Errors
    /// It is not a JSON object, or its structure breaks off somewhere.
    pub fn open(bytes: &'a [u8]) -> Result<Self, BodyFault> {
        let body = Self::open_as_far_as_it_goes(bytes)?;
        match body.stopped {
            Some(fault) => Err(fault),
            None => Ok(body),
        }
    }

    /// Opens a body whose structure may break off somewhere: what stands before that can be read.
    ///
    /// # Errors
    /// It is not a JSON object.
    pub fn open_as_far_as_it_goes(bytes: &'a [u8]) -> Result<Self, BodyFault> {
        let (whole, before) = content(bytes)?;
        let found = whole.json_type();
        if found != JsonType::Object {
            return Err(not_an_object(whole, before, bytes.len()));
        }
        let Parts { parts: members, stopped } = whole.members();
        Ok(Self { members, stopped: stopped.map(|uncut| fault_of(uncut, before, bytes.len())) })
    }

    /// An object within a body.
    ///
    /// # Errors
    /// It is none.
    pub fn within(raw: Raw<'a>) -> Result<Self, BodyFault> {
        Self::open(raw.bytes())
    }

    /// The list's elements, unread. Where the name stands twice, those of both lists.
    ///
    /// # Errors
    /// There is no such list, or it is not whole, or the body names an error.
    pub fn list(&self, key: &'static str) -> Result<Vec<Raw<'a>>, BodyFault> {
        let Elements { raw, stopped } = self.list_as_far_as_it_goes(key)?;
        match stopped {
            Some(fault) => Err(fault),
            None => Ok(raw),
        }
    }

    /// The list's elements, unread, as far as the body could be cut into them.
    ///
    /// # Errors
    /// There is no such list, or the body names an error.
    pub fn list_as_far_as_it_goes(&self, key: &'static str) -> Result<Elements<'a>, BodyFault> {
        if self.has_error() {
            return Err(BodyFault::ErrorMember { key });
        }
        let found = self.member(key).map_or(JsonType::Missing, Raw::json_type);
        let mut elements = Elements { raw: Vec::new(), stopped: self.stopped.clone() };
        let mut is_there = false;
        for (_, list) in
            self.members.iter().filter(|(name, list)| name == key && (list.is_list() || is_cut_list(*list)))
        {
            is_there = true;
            let Parts { parts, stopped } = list.elements();
            elements.raw.extend(parts);
            elements.stopped = elements.stopped.or_else(|| stopped.map(|uncut| fault_of(uncut, 0, list.bytes().len())));
        }
        if !is_there {
            return Err(BodyFault::NotAList { key, found });
        }
        if elements.raw.len() > ELEMENTS_MAX {
            return Err(BodyFault::TooMany);
        }
        Ok(elements)
    }

    /// A member, unread; the last one of its name.
    #[must_use]
    pub fn member(&self, key: &str) -> Option<Raw<'a>> {
        self.members.iter().rev().find(|(name, _)| name == key).map(|(_, raw)| *raw)
    }

    /// A member that is an object and can be read.
    #[must_use]
    pub fn object(&self, key: &str) -> Option<Map<String, Value>> {
        self.member(key)?.object()
    }

    /// Whether the answer names an error: a member `error` that denies none.
    #[must_use]
    pub fn has_error(&self) -> bool {
        let denied: [&[u8]; 7] = [b"null", b"false", b"0", b"\"0\"", b"\"\"", b"[]", b"{}"];
        self.member("error").is_some_and(|error| !denied.contains(&error.bytes()))
    }

    /// The names of all members.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(name, _)| name.as_str())
    }
}

/// What a body holds, without the blanks around it, and how many bytes stand before that.
///
/// # Errors
/// It is empty, or a web page.
pub fn content(bytes: &[u8]) -> Result<(Raw<'_>, usize), BodyFault> {
    // A byte order mark is no JSON, but RFC 8259 lets a reader pass over it, and some servers' languages write one.
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let before = bytes.len() - text.trim_ascii_start().len();
    match text.trim_ascii_start().first() {
        None => Err(BodyFault::Empty),
        Some(b'<') => Err(BodyFault::Html),
        Some(_) => Ok((Raw::of(text), before)),
    }
}

/// What a cut that stopped says of the body, of which `length` bytes came; the value began behind `before` of them.
#[must_use]
pub fn fault_of(uncut: Uncut, before: usize, length: usize) -> BodyFault {
    match uncut {
        Uncut::Cut => BodyFault::Cut { at: length },
        Uncut::At(at) => BodyFault::NotJson { at: before + at },
        Uncut::TooMany => BodyFault::TooMany,
    }
}

/// A list that breaks off, at the end of a body that does.
fn is_cut_list(list: Raw<'_>) -> bool {
    list.json_type() == JsonType::Array
}

fn not_an_object(whole: Raw<'_>, before: usize, length: usize) -> BodyFault {
    let found = whole.json_type();
    if found == JsonType::Array {
        return whole
            .elements()
            .stopped
            .map_or(BodyFault::NotAnObject { found }, |uncut| fault_of(uncut, before, length));
    }
    match whole.read() {
        Ok(_) => BodyFault::NotAnObject { found },
        Err(_) => BodyFault::NotJson { at: before },
    }
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
            (b"{\"rows\": [{\"id\": 1},", BodyFault::Cut { at: 20 }),
            (b"{\n\"rows\": [], 7\n}", BodyFault::NotJson { at: 14 }),
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
        assert_eq!(rows.iter().map(|row| row.bytes()).collect::<Vec<_>>(), [&b"1"[..], b"{}"]);
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{{\"rows\": [{}{}]}}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(Body::open(deep.as_bytes()).unwrap().list("rows").unwrap().len(), 1);
        assert_eq!(fault("[".repeat(200_000).as_bytes()), BodyFault::Cut { at: 200_000 });
    }
}
