//! How amounts and times stand in a body.

use chrono::{DateTime, Timelike, Utc};
use rust_decimal::Decimal;
use serde_json::{Number, Value, json};

use super::{Options, Spelling, Times};

/// An amount of a sale; the same at each reading, so that a re-read is no change.
pub(super) fn amount(id: &str, amount: Decimal, spelling: Spelling) -> Value {
    let amount = amount.normalize();
    let numbers = match spelling {
        Spelling::Text => false,
        Spelling::Numbers => true,
        Spelling::Mixed => id.bytes().fold(0_u8, u8::wrapping_add) & 1 == 1,
    };
    // Only ever more digits: a third decimal is not rounded away.
    let text = if amount.scale() <= 2 && !numbers { format!("{amount:.2}") } else { amount.to_string() };
    // A JSON number of exactly this text, never through a float.
    if numbers { text.parse::<Number>().map_or_else(|_| json!(text), Value::Number) } else { json!(text) }
}

/// `2026-05-01 06:57:24`, local.
pub(super) fn local(at: DateTime<Utc>, options: &Options) -> String {
    options.zone.local(at).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// The time that a reader gets to know: only RFC 3339 shows fractions of a second here.
pub(super) fn shown(at: DateTime<Utc>, times: Times) -> DateTime<Utc> {
    if times == Times::WithOffset { at } else { at.with_nanosecond(0).unwrap_or(at) }
}
