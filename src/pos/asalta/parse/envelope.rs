//! What stands around the records.
//!
//! The samples of the reference print `[ "data": […] ]`, which is no JSON, bare objects, and four shapes of meta data.
//! All are taken. Links are not read: they carry the token.

use serde_json::Value;

use crate::pos::{
    body::{Body, BodyFault, JsonType, content, fault_of},
    raw::{Parts, Raw},
};

/// Members of an envelope that are known, links and messages among them.
pub const KNOWN: &[&str] = &["data", "error", "message", "Message", "_metadata", "_meta", "_links"];

/// A body, opened as far as its records.
#[derive(Debug)]
pub struct Envelope<'a> {
    around: Option<Body<'a>>,
    form: Form<'a>,
}

#[derive(Debug)]
enum Form<'a> {
    /// `{"data": […]}`, or the same within a list.
    List(Raw<'a>, &'static str),
    /// `[…]`.
    Bare(Raw<'a>),
    /// `{"id": …}`, or `{"data": {…}}`.
    One(Raw<'a>, &'static str),
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

/// What can be read of a list that breaks off.
#[derive(Debug)]
pub struct Readable<'a> {
    /// Its records up to there, unread.
    pub elements: Vec<Raw<'a>>,
    /// The place of the list, a JSON pointer.
    pub place: &'static str,
    /// What the source says of it, where that stands before the break.
    pub meta: Meta,
}

impl<'a> Readable<'a> {
    /// Opens a body as far as it goes.
    ///
    /// # Errors
    /// Nothing of it is a list of records.
    pub fn open(bytes: &'a [u8]) -> Result<Self, BodyFault> {
        let (whole, _) = content(bytes)?;
        if whole.json_type() != JsonType::Array {
            return Self::of_object(whole, "/data");
        }
        let inner = Raw::of(whole.bytes().get(1..).unwrap_or_default());
        if inner.json_type() == JsonType::Object
            && let Ok(wrapped) = Self::of_object(inner, "/0/data")
        {
            return Ok(wrapped);
        }
        Ok(Self { elements: whole.elements().parts, place: "", meta: Meta::default() })
    }

    fn of_object(object: Raw<'a>, place: &'static str) -> Result<Self, BodyFault> {
        let body = Body::open_as_far_as_it_goes(object.bytes())?;
        let elements = body.list_as_far_as_it_goes("data")?.raw;
        Ok(Self { elements, place, meta: Meta::of(&body) })
    }
}

impl<'a> Envelope<'a> {
    /// Opens a body.
    ///
    /// # Errors
    /// It is no JSON object or list, or it names an error.
    pub fn open(bytes: &'a [u8]) -> Result<Self, BodyFault> {
        let (whole, before) = content(bytes)?;
        if whole.json_type() != JsonType::Array {
            return Self::of_object(Body::open(bytes)?, whole, ["", "/data"]);
        }
        let Parts { parts, stopped } = whole.elements();
        if let Some(uncut) = stopped {
            return Err(fault_of(uncut, before, bytes.len()));
        }
        if let [inner] = parts[..]
            && inner.json_type() == JsonType::Object
        {
            // Only an object with a list inside wraps one; else it is the list's only record, readable or not.
            match Body::within(inner).and_then(|body| Self::of_object(body, inner, ["/0", "/0/data"])) {
                Ok(wrapper) if matches!(wrapper.form, Form::List(..)) => return Ok(wrapper),
                Err(fault @ (BodyFault::ErrorMember { .. } | BodyFault::NotAList { .. })) => return Err(fault),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(Self { around: None, form: Form::Bare(whole) })
    }

    fn of_object(body: Body<'a>, object: Raw<'a>, [own, data]: [&'static str; 2]) -> Result<Self, BodyFault> {
        if body.has_error() {
            return Err(BodyFault::ErrorMember { key: "data" });
        }
        let found = body.member("data").map_or(JsonType::Missing, Raw::json_type);
        let form = match body.member("data") {
            Some(list) if list.is_list() => Form::List(list, data),
            Some(one) if found == JsonType::Object => Form::One(one, data),
            None if body.member("id").is_some() => Form::One(object, own),
            _ => return Err(BodyFault::NotAList { key: "data", found }),
        };
        Ok(Self { around: Some(body), form })
    }

    /// The records, unread.
    ///
    /// # Errors
    /// The list cannot be taken apart.
    pub fn elements(&self) -> Result<Vec<Raw<'a>>, BodyFault> {
        let list = match self.form {
            Form::List(list, _) | Form::Bare(list) => list,
            Form::One(one, _) => return Ok(vec![one]),
        };
        let Parts { parts, stopped } = list.elements();
        match stopped {
            Some(uncut) => Err(fault_of(uncut, 0, list.bytes().len())),
            None => Ok(parts),
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
        let around = self.around.as_ref().filter(|_| matches!(self.form, Form::List(..)));
        around.into_iter().flat_map(Body::names)
    }

    /// What the source says of the list.
    pub fn meta(&self) -> Meta {
        self.around.as_ref().map(Meta::of).unwrap_or_default()
    }
}

impl Meta {
    fn of(around: &Body<'_>) -> Self {
        let shape = around.object("_metadata").or_else(|| around.object("_meta"));
        let Some(shape) = shape else { return Self::default() };
        let number = |names: [&str; 2]| names.iter().find_map(|name| whole(shape.get(*name)?));
        Self {
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
