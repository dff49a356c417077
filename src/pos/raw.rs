//! JSON as it came, cut into members and elements without trusting what they hold.
//!
//! One sale with a broken character, a raw line end in a name or a `NaN` must not cost its neighbours. So nothing here
//! reads a value to find where it ends: only quotes, brackets and commas are followed, and each record is then read by
//! itself. A record that lacks a bracket of its own, or has one too many, spoils no more than itself where the brackets
//! around it show that.
//!
//! What is found has bounds ([`ELEMENTS_MAX`], [`RECORD_MAX_BYTES`], [`VALUES_MAX`]): a body that is small on the wire
//! can be large in memory. Pure, and without recursion.

use serde_json::{Map, Value};

use super::body::JsonType;

/// Elements of one list, or members of one object: no page of a known system holds a hundredth of it.
pub const ELEMENTS_MAX: usize = 10_000;

/// One record: a sale of 5,000 lines takes about half of it.
pub const RECORD_MAX_BYTES: usize = 1024 * 1024;

/// Values in one record, nested ones too: a sale of 5,000 lines of ten members each has half as many.
pub const VALUES_MAX: usize = 100_000;

/// A stretch of a body that should be one JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(&'a [u8]);

/// A value that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// It.
    pub value: Value,
    /// Some text in it was damaged: half characters were replaced by U+FFFD, raw control characters taken as they stand.
    pub mended: bool,
    /// Values in it, itself among them.
    pub values: usize,
}

/// Why a stretch cannot be read as one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// More than [`RECORD_MAX_BYTES`].
    TooLarge,
    /// More than [`VALUES_MAX`].
    TooMany,
    /// No JSON, or nested deeper than 127.
    NotJson,
}

/// Why something cannot be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uncut {
    /// It ends before its last bracket.
    Cut,
    /// Something stands at this byte of it that cannot stand there.
    At(usize),
    /// It has more parts than [`ELEMENTS_MAX`].
    TooMany,
}

/// What a list or an object was cut into, as far as it could be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts<T> {
    /// In their order.
    pub parts: Vec<T>,
    /// What stopped it; `None` if nothing did.
    pub stopped: Option<Uncut>,
}

impl<'a> Raw<'a> {
    /// A stretch without the blanks around it.
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Self {
        Self(bytes.trim_ascii())
    }

    /// The bytes, as they came.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Its type, by its first character.
    #[must_use]
    pub fn json_type(self) -> JsonType {
        match self.0.first() {
            None => JsonType::Missing,
            Some(b'n') => JsonType::Null,
            Some(b't' | b'f') => JsonType::Boolean,
            Some(b'"') => JsonType::String,
            Some(b'[') => JsonType::Array,
            Some(b'{') => JsonType::Object,
            Some(_) => JsonType::Number,
        }
    }

    /// Reads it. Where only text in it is damaged, the text is mended.
    ///
    /// # Errors
    /// It is no JSON, or beyond a bound.
    pub fn read(self) -> Result<Read, Unreadable> {
        if self.0.len() > RECORD_MAX_BYTES {
            return Err(Unreadable::TooLarge);
        }
        let values = self.values();
        if values > VALUES_MAX {
            return Err(Unreadable::TooMany);
        }
        if let Ok(value) = serde_json::from_slice(self.0) {
            return Ok(Read { value, mended: false, values });
        }
        let mended = mend(self.0).ok_or(Unreadable::NotJson)?;
        let value = serde_json::from_str(&mended).map_err(|_| Unreadable::NotJson)?;
        Ok(Read { value, mended: true, values })
    }

    /// Reads it as an object.
    #[must_use]
    pub fn object(self) -> Option<Map<String, Value>> {
        match self.read().ok()?.value {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The members of an object, in their order. Of one that breaks off, the last may do so too.
    #[must_use]
    pub fn members(self) -> Parts<(String, Self)> {
        let mut parts = Vec::new();
        let stopped = self.cut(b'{', |at, part, is_whole| {
            match Self(part).member() {
                Some(member) => parts.push(member),
                None if is_whole => return Err(Uncut::At(at)),
                None => {}
            }
            Ok(())
        });
        Parts { parts, stopped: stopped.err() }
    }

    /// The elements of a list; of an object whose names are all numbers, its members: PHP writes a list so as soon as an
    /// index is missing.
    #[must_use]
    pub fn elements(self) -> Parts<Self> {
        if self.json_type() == JsonType::Object {
            let Parts { parts, stopped } = self.members();
            return Parts { parts: parts.into_iter().map(|(_, value)| value).collect(), stopped };
        }
        let mut parts = Vec::new();
        let stopped = self.cut(b'[', |_, part, is_whole| {
            if is_whole {
                parts.push(Self(part));
            }
            Ok(())
        });
        Parts { parts, stopped: stopped.err() }
    }

    /// Whether it can stand for a list.
    #[must_use]
    pub fn is_list(self) -> bool {
        match self.json_type() {
            JsonType::Array => true,
            JsonType::Object => {
                let Parts { parts, .. } = self.members();
                let is_index = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
                !parts.is_empty() && parts.iter().all(|(name, _)| is_index(name))
            }
            _ => false,
        }
    }

    /// Gives each part of a list or an object, where it begins, and whether it is whole: the last one may break off.
    fn cut(self, open: u8, mut take: impl FnMut(usize, &'a [u8], bool) -> Result<(), Uncut>) -> Result<(), Uncut> {
        let bytes = self.0;
        if bytes.first() != Some(&open) {
            return Err(Uncut::At(0));
        }
        let closing = if open == b'[' { b']' } else { b'}' };
        let (mut at, mut count) = (1, 0_usize);
        let mut brackets = Brackets::default();
        loop {
            at += bytes[at..].len() - bytes[at..].trim_ascii_start().len();
            let end = brackets.end_of_value(bytes, at, closing);
            let part = bytes[at..end.unwrap_or(bytes.len())].trim_ascii_end();
            // An empty list has no part; nor has what stands behind a last comma.
            if !part.is_empty() {
                count += 1;
                if count > ELEMENTS_MAX {
                    return Err(Uncut::TooMany);
                }
                take(at, part, end.is_some())?;
            }
            let Some(end) = end else { return Err(Uncut::Cut) };
            at = end + 1;
            if bytes[end] == closing {
                let behind = bytes[at..].trim_ascii_start();
                return if behind.is_empty() { Ok(()) } else { Err(Uncut::At(bytes.len() - behind.len())) };
            }
        }
    }

    /// A name and its value.
    fn member(self) -> Option<(String, Self)> {
        let (name, rest) = self.0.starts_with(b"\"").then(|| self.split_string())??;
        let value = rest.trim_ascii_start().strip_prefix(b":")?;
        match Self(name).read().ok()?.value {
            Value::String(name) => Some((name, Self::of(value))),
            _ => None,
        }
    }

    /// A leading string, with its quotes, and what follows it.
    fn split_string(self) -> Option<(&'a [u8], &'a [u8])> {
        let end = end_of_string(self.0, 0)?;
        Some(self.0.split_at(end))
    }

    /// How many values stand in it, as its commas and brackets say.
    fn values(self) -> usize {
        let (mut at, mut count) = (0, 1);
        while let Some(byte) = self.0.get(at) {
            match byte {
                b'"' => match end_of_string(self.0, at) {
                    Some(end) => {
                        at = end;
                        continue;
                    }
                    None => return count,
                },
                b',' | b'[' | b'{' => count += 1,
                _ => {}
            }
            at += 1;
        }
        count
    }
}

/// The brackets that are open.
#[derive(Debug, Default)]
struct Brackets(Vec<u8>);

impl Brackets {
    /// Where the value that begins at `at` ends: at the comma behind it, or at the bracket `closing` of what it stands in.
    /// `None`: nowhere.
    fn end_of_value(&mut self, bytes: &[u8], mut at: usize, closing: u8) -> Option<usize> {
        self.0.clear();
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => {
                    at = end_of_string(bytes, at)?;
                    continue;
                }
                b',' => {
                    // Within an object a name must follow. Where an object does, this one was never closed.
                    if self.0.last() == Some(&b'{') && bytes[at + 1..].trim_ascii_start().starts_with(b"{") {
                        self.0.pop();
                    }
                    if self.0.is_empty() {
                        return Some(at);
                    }
                }
                b'[' | b'{' => self.0.push(*byte),
                b']' | b'}' => {
                    let opened = if *byte == b']' { b'[' } else { b'{' };
                    match self.0.iter().rposition(|open| *open == opened) {
                        Some(open) => self.0.truncate(open),
                        // It closes what the value stands in; the value's own brackets are not closed.
                        None if *byte == closing => return Some(at),
                        None => {}
                    }
                }
                _ => {}
            }
            at += 1;
        }
        None
    }
}

/// Where the string ends whose first quote stands at `at`: behind its last quote.
fn end_of_string(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The same JSON with whole text. Only strings are touched: what stands outside of them is structure and numbers.
fn mend(bytes: &[u8]) -> Option<String> {
    let mut mended = String::with_capacity(bytes.len() + 16);
    let mut at = 0;
    while at < bytes.len() {
        let (outside, inside) = match bytes[at..].iter().position(|byte| *byte == b'"') {
            Some(quote) => (&bytes[at..at + quote], Some(at + quote)),
            None => (&bytes[at..], None),
        };
        mended.push_str(str::from_utf8(outside).ok()?);
        let Some(quote) = inside else { return Some(mended) };
        at = end_of_string(bytes, quote)?;
        mended.push('"');
        mend_string(&bytes[quote + 1..at - 1], &mut mended);
        mended.push('"');
    }
    Some(mended)
}

fn mend_string(content: &[u8], mended: &mut String) {
    for chunk in content.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(odd) = rest.find(|c: char| c == '\\' || c < ' ') {
            mended.push_str(&rest[..odd]);
            rest = &rest[odd..];
            let taken = if rest.starts_with('\\') { mend_escape(rest, mended) } else { mend_control(rest, mended) };
            rest = &rest[taken..];
        }
        mended.push_str(rest);
        if !chunk.invalid().is_empty() {
            mended.push('\u{fffd}');
        }
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A control character that stands raw in a string; gives how many bytes that was.
fn mend_control(rest: &str, mended: &mut String) -> usize {
    let code = rest.bytes().next().unwrap_or_default();
    mended.push_str("\\u00");
    mended.extend([code >> 4, code & 15].map(|digit| char::from(HEX[usize::from(digit)])));
    1
}

/// An escape: a whole one stays, half a character becomes U+FFFD, and before what is none the backslash is meant as it
/// stands. Gives how many bytes that was.
fn mend_escape(rest: &str, mended: &mut String) -> usize {
    match rest.as_bytes().get(1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
            mended.push_str(&rest[..2]);
            2
        }
        Some(b'u') => match unit(rest) {
            Some(0xd800..=0xdbff) if unit(&rest[6..]).is_some_and(|low| (0xdc00..=0xdfff).contains(&low)) => {
                mended.push_str(&rest[..12]);
                12
            }
            Some(0xd800..=0xdfff) => {
                mended.push('\u{fffd}');
                6
            }
            Some(_) => {
                mended.push_str(&rest[..6]);
                6
            }
            None => {
                mended.push_str("\\\\");
                1
            }
        },
        _ => {
            mended.push_str("\\\\");
            1
        }
    }
}

/// The code unit of an escape `\uXXXX` at the begin of a text.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests;
