//! What a record's content is, for the question whether it has changed: a SHA-256 over a canonical JSON text.
//!
//! The text: members sorted by the bytes of their names, no blanks; members that are `null` left out (what a source
//! leaves out and what it sends as `null` is the same to us); numbers in the one spelling of their value
//! ([`Numeral::canonical`]); strings with the escapes that JSON requires and no others. Sorting and numbers are done
//! here: neither may change with a library's map or number type.

use std::{
    fmt::{self, Write as _},
    str::FromStr,
};

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;
use thiserror::Error;

use crate::numeral::Numeral;

/// SHA-256 over a canonical text. Equal content, equal id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId(pub [u8; 32]);

/// The text is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a content id has 64 lower-case hexadecimal digits")]
pub struct NotAContentId;

impl ContentId {
    /// The id of any JSON value.
    #[must_use]
    pub fn of_json(value: &Value) -> Self {
        Self::of_bytes(canonical_text(value).as_bytes())
    }

    /// The id of bytes that are no JSON value (source text that cannot be read).
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut id = [0; 32];
        id.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(id)
    }
}

/// The canonical text of a JSON value. It nests as deep as the value does.
#[must_use]
pub fn canonical_text(value: &Value) -> String {
    let mut text = String::new();
    write_value(value, &mut text);
    text
}

fn write_value(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(truth) => text.push_str(if *truth { "true" } else { "false" }),
        // An exponent beyond what a numeral holds keeps its spelling: two spellings of such a value are a change.
        Value::Number(number) => match Numeral::of_json_number(number.as_str()) {
            Ok(numeral) => text.push_str(&numeral.canonical()),
            Err(_) => text.push_str(number.as_str()),
        },
        Value::String(string) => write_string(string, text),
        Value::Array(list) => {
            text.push('[');
            for (n, element) in list.iter().enumerate() {
                if n > 0 {
                    text.push(',');
                }
                write_value(element, text);
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut said: Vec<_> = members.iter().filter(|(_, value)| !value.is_null()).collect();
            said.sort_unstable_by_key(|(name, _)| name.as_bytes());
            text.push('{');
            for (n, (name, value)) in said.into_iter().enumerate() {
                if n > 0 {
                    text.push(',');
                }
                write_string(name, text);
                text.push(':');
                write_value(value, text);
            }
            text.push('}');
        }
    }
}

fn write_string(string: &str, text: &mut String) {
    text.push('"');
    for c in string.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            c if c < ' ' => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ContentId {
    type Err = NotAContentId;

    fn from_str(text: &str) -> Result<Self, NotAContentId> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(NotAContentId),
        };
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| NotAContentId)?;
        let mut id = [0; 32];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(id))
    }
}

impl Serialize for ContentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;

    fn canonical(json: &str) -> String {
        canonical_text(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn spelling_is_no_content() {
        assert_eq!(canonical(r#"{ "b": 50000.0, "a": null, "A": [1e2, null] }"#), r#"{"A":[100,null],"b":50000}"#);
        assert_eq!(canonical(r#""\u00e9\u0001\/\"\n\u007f""#), "\"é\\u0001/\\\"\\n\u{7f}\"");
    }

    #[test]
    fn an_id_is_its_hexadecimal_text() {
        let id = ContentId::of_json(&json!({}));
        // printf '{}' | sha256sum
        assert_eq!(id.to_string(), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(serde_json::from_value::<ContentId>(serde_json::to_value(id).unwrap()).unwrap(), id);
        assert_eq!(id.to_string().to_uppercase().parse::<ContentId>(), Err(NotAContentId));
        assert_eq!("44".parse::<ContentId>(), Err(NotAContentId));
    }

    /// Values of any shape; numbers as they may be spelt.
    fn value() -> impl Strategy<Value = Value> {
        let number = (any::<i64>(), 0_u32..4).prop_map(|(n, zeros)| {
            let text = if zeros == 0 { n.to_string() } else { format!("{n}.{}", "0".repeat(zeros as usize)) };
            serde_json::from_str(&text).unwrap()
        });
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            number,
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..4).prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    /// The same value with its members turned round, absent ones as `null` and whole numbers as fractions.
    fn respelt(value: &Value) -> Value {
        match value {
            Value::Number(n) => {
                serde_json::from_str(&if n.as_str().contains('.') { format!("{n}0") } else { format!("{n}.0e0") })
                    .unwrap()
            }
            Value::Array(list) => list.iter().map(respelt).collect(),
            Value::Object(members) => {
                let mut turned: Map<_, _> = members.iter().rev().map(|(k, v)| (k.clone(), respelt(v))).collect();
                turned.entry("a name of its own").or_insert(Value::Null);
                Value::Object(turned)
            }
            other => other.clone(),
        }
    }

    proptest! {
        #[test]
        fn the_same_content_has_the_same_id(value in value()) {
            prop_assert_eq!(ContentId::of_json(&value), ContentId::of_json(&respelt(&value)));
            let canonical = canonical_text(&value);
            let again: Value = serde_json::from_str(&canonical).unwrap();
            prop_assert_eq!(canonical_text(&again), canonical);
        }
    }
}
