//! Reading the members that every system's records have: an id, a total, a time, a text. A system may send each as a
//! string or a number; nothing else is made to fit.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    body::JsonType,
    page::{Reason, Refusal},
};
use crate::{
    amount::{Amount, AmountFault},
    instant::SourceTime,
    transaction::Flag,
    zone::Zone,
};

/// Characters of an id, and of a method of payment: far beyond any that is known, and short enough for a store's key.
pub const ID_CHARS_MAX: usize = 128;

/// The source's key: text as it stands, or a whole number as its digits (so `7`, `7.0` and `"7"` are one).
///
/// # Errors
/// Nothing, `null`, `""` or neither text nor number stands there: `id_missing`. A fraction, more than
/// [`ID_CHARS_MAX`] characters or a control character: `id_invalid`.
pub fn external_id(members: &Map<String, Value>, field: &'static str) -> Result<String, Refusal> {
    let value = members.get(field);
    let refusal = |reason, expected| refusal(field, reason, expected, value, None);
    let missing = || refusal(Reason::IdMissing, "text or a whole number");
    let invalid = || refusal(Reason::IdInvalid, "at most 128 printable characters, or a whole number");
    let id = match value {
        Some(Value::String(text)) if !text.trim().is_empty() => text.clone(),
        Some(Value::Number(number)) if number.as_str().bytes().all(|b| b.is_ascii_digit()) => number.to_string(),
        Some(number @ Value::Number(_)) => {
            let whole = Amount::from_json(number).map(|n| n.to_string()).ok().filter(|text| !text.contains('.'));
            whole.ok_or_else(invalid)?
        }
        _ => return Err(missing()),
    };
    // A half character is no key: another half may stand for another record.
    if id.chars().count() > ID_CHARS_MAX || id.chars().any(|c| c.is_control() || c == '\u{fffd}') {
        return Err(invalid());
    }
    Ok(id)
}

/// An amount that a record cannot be without.
///
/// # Errors
/// `amount_invalid`, `amount_out_of_range`.
pub fn required_amount(members: &Map<String, Value>, field: &'static str, id: &str) -> Result<Amount, Refusal> {
    let value = members.get(field);
    Amount::from_json(value.unwrap_or(&Value::Null)).map_err(|fault| {
        let (reason, expected) = match fault {
            AmountFault::Invalid => (Reason::AmountInvalid, "a number, or text such as 12500.50"),
            AmountFault::OutOfRange => (Reason::AmountOutOfRange, "at most 28 digits"),
        };
        refusal(field, reason, expected, value, Some(id))
    })
}

/// A time that a record cannot be without.
///
/// # Errors
/// `timestamp_invalid`.
pub fn required_time(
    members: &Map<String, Value>,
    field: &'static str,
    zone: &Zone,
    id: &str,
) -> Result<SourceTime, Refusal> {
    let value = members.get(field);
    let time = value.and_then(Value::as_str).and_then(|text| SourceTime::parse(text, zone).ok());
    let expected = "text such as 2026-03-14T09:15:00+07:00, not before 2000";
    time.ok_or_else(|| refusal(field, Reason::TimestampInvalid, expected, value, Some(id)))
}

/// What a reader should know of how the source told a time.
#[must_use]
pub fn time_flags(time: &SourceTime) -> BTreeSet<Flag> {
    let assumed = time.timezone_assumed.then_some(Flag::TimezoneAssumed);
    assumed.into_iter().chain(time.time_of_day_unknown.then_some(Flag::TimeOfDayUnknown)).collect()
}

/// A text that may be absent (or `null`); a number is taken by its own text.
///
/// # Errors
/// Neither text nor number stands there.
pub fn optional_text(value: Option<&Value>) -> Result<Option<String>, JsonType> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        other => Err(JsonType::of(other)),
    }
}

/// The usable lines of a record, each with whatever `read` makes of it. A bad one is left out and flagged: the header's
/// money must not be lost for it. `None`: the source gives no list.
pub fn lines<L>(
    value: Option<&Value>,
    flags: &mut BTreeSet<Flag>,
    read: impl FnMut(&Value) -> Option<L>,
) -> Option<Vec<L>> {
    let list = match value {
        None | Some(Value::Null) => {
            flags.insert(Flag::LinesMissing);
            return None;
        }
        Some(Value::Array(list)) => list,
        Some(_) => {
            flags.insert(Flag::LinesInvalid);
            return None;
        }
    };
    let lines: Vec<_> = list.iter().filter_map(read).collect();
    if lines.len() < list.len() {
        flags.insert(Flag::LinesInvalid);
    }
    Some(lines)
}

fn refusal(
    field: &'static str,
    reason: Reason,
    expected: &'static str,
    value: Option<&Value>,
    id: Option<&str>,
) -> Refusal {
    Refusal { field, reason, expected, found: JsonType::of(value), external_id: id.map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(json: &str) -> Result<String, Reason> {
        let members: Map<_, _> = serde_json::from_str(&format!("{{\"id\": {json}}}")).unwrap();
        external_id(&members, "id").map_err(|r| r.reason)
    }

    #[test]
    fn an_id_is_text_or_a_whole_number() {
        for (json, text) in
            [("\"QSR-1\"", "QSR-1"), ("7", "7"), ("7.0", "7"), ("\" 7\"", " 7"), ("-1", "-1"), ("7e2", "700")]
        {
            assert_eq!(id(json).as_deref(), Ok(text), "{json}");
        }
        let long = "9".repeat(128);
        assert_eq!(id(&long), Ok(long.clone()));
        for json in ["null", "\"\"", "\" \"", "{}", "[1]", "true"] {
            assert_eq!(id(json), Err(Reason::IdMissing), "{json}");
        }
        for json in ["1.5", "1e99", "\"a\\nb\"", &format!("{long}9"), &format!("\"{long}a\"")] {
            assert_eq!(id(json), Err(Reason::IdInvalid), "{json}");
        }
    }
}
