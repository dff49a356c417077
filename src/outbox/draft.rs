//! Records as events, each within the size that HQ's broker takes.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

use super::Aside;
use crate::{
    by_hand::Statement,
    content::ContentId,
    event::{Draft, ENVELOPE_MAX_BYTES, EventType},
    instant,
    pos::page::Quarantined,
    transaction::{Flag, Transaction},
};

/// What is left out of a record that is too large, one after the other, until it fits: its lines, then what else has no
/// bound, then texts of the source's. A member becomes what it is in a record that has none of it.
const OMISSIONS: [&[(&str, &str)]; 3] = [
    &[("items", "null")],
    &[("extra", "{}"), ("related", "[]"), ("discounts", "[]"), ("taxes", "[]")],
    &[
        ("payments", "[]"),
        ("party", "null"),
        ("outlet", r#"{"external_id":null,"code":null,"name":null}"#),
        ("outlet_id", "null"),
        ("external_ref", "null"),
        ("status_raw", "null"),
        ("payment_method", "null"),
    ],
];

/// A record as an event. One that is larger than HQ's broker takes goes without its lines, and if it must without all
/// that has no bound: the header's money must not be lost, and an event that no broker takes would hold up all others.
pub fn of_transaction(transaction: &Transaction, content: ContentId, event_max_bytes: usize) -> Draft {
    let subject = transaction.identity().subject();
    let room = event_max_bytes.saturating_sub(json_bytes(&subject) + ENVELOPE_MAX_BYTES);
    let mut data = serde_json::to_string(transaction).unwrap_or_default();
    if data.len() > room {
        data = without_items(&data, room).unwrap_or(data);
    }
    Draft {
        event_type: EventType::Transaction,
        connection: Some(transaction.connection.clone()),
        time: instant::text(transaction.timestamp),
        subject,
        content,
        data,
    }
}

/// A transaction event's data for a broker that takes less than it was stored with: without its lines, and if it must
/// without all that has no bound, `most` bytes at most. `None` if it still has more, or is no transaction.
#[must_use]
pub fn lighten(data: &str, most: usize) -> Option<String> {
    without_items(data, most).filter(|data| data.len() <= most)
}

/// A record's text with as little left out as makes it fit into `most` bytes, or with all of it if it never does.
fn without_items(data: &str, most: usize) -> Option<String> {
    let mut record: Map<String, Value> = serde_json::from_str(data).ok()?;
    let omitted = serde_json::to_value(Flag::ItemsOmitted).ok()?;
    if let Some(flags) = record.get_mut("flags").and_then(Value::as_array_mut)
        && !flags.contains(&omitted)
    {
        flags.push(omitted);
    }
    let mut text = None;
    for members in OMISSIONS {
        for (member, nothing) in members {
            record.insert((*member).to_owned(), serde_json::from_str(nothing).ok()?);
        }
        let shorter = serde_json::to_string(&record).ok()?;
        let fits = shorter.len() <= most;
        text = Some(shorter);
        if fits {
            break;
        }
    }
    text
}

/// Bytes of a text with the escapes that JSON needs.
fn json_bytes(text: &str) -> usize {
    serde_json::to_string(text).map_or(text.len(), |text| text.len())
}

#[derive(Serialize)]
struct QuarantineData<'a> {
    schema: &'static str,
    connection: &'a str,
    observed_at: String,
    #[serde(flatten)]
    quarantined: &'a Quarantined,
    #[serde(skip_serializing_if = "Option::is_none")]
    dismissed_by: Option<&'a Statement>,
}

/// A record that was put aside as an event: where and why, and nothing of its text.
pub fn of_quarantined(quarantined: &Quarantined, connection: &str, now: DateTime<Utc>) -> Draft {
    told(quarantined, None, connection, (now, now))
}

/// The same of one that is listed, with a person's word on it.
pub fn of_aside(aside: &Aside, connection: &str, now: DateTime<Utc>) -> Draft {
    let dismissed_by = aside.dismissed.as_ref().map(|dismissed| &dismissed.by);
    told(&aside.quarantined, dismissed_by, connection, (aside.observed_at, now))
}

fn told(
    quarantined: &Quarantined,
    dismissed_by: Option<&Statement>,
    connection: &str,
    (observed_at, now): (DateTime<Utc>, DateTime<Utc>),
) -> Draft {
    let (observed_at, time) = (instant::text_utc(observed_at), instant::text_utc(now));
    let data = QuarantineData { schema: "tillbox.quarantine.v1", connection, observed_at, quarantined, dismissed_by };
    let value = serde_json::to_value(data).unwrap_or_default();
    Draft {
        event_type: EventType::Quarantine,
        connection: Some(connection.to_owned()),
        subject: format!("quarantine/{}", quarantined.hash),
        time,
        content: ContentId::of_json(&value),
        data: value.to_string(),
    }
}
