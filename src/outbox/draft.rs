//! Records as events, each within the size that HQ's broker takes.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    content::ContentId,
    event::{Draft, ENVELOPE_MAX_BYTES, EventType},
    instant,
    pos::page::Quarantined,
    transaction::{Flag, Transaction},
};

/// What is left out of a record that is too large, one after the other, until it fits.
const OMISSIONS: [fn(&mut Transaction); 3] = [
    |record| record.items = None,
    |record| {
        record.extra.clear();
        record.related.clear();
        record.discounts.clear();
        record.taxes.clear();
    },
    |record| {
        record.payments.clear();
        record.party = None;
        record.outlet = crate::transaction::Outlet::default();
        record.outlet_id = None;
        record.external_ref = None;
        record.status_raw = None;
        record.payment_method = None;
    },
];

/// A record as an event. One that is larger than HQ's broker takes goes without its lines, and if it must without all
/// that has no bound: the header's money must not be lost, and an event that no broker takes would hold up all others.
pub fn of_transaction(mut transaction: Transaction, content: ContentId, event_max_bytes: usize) -> Draft {
    let subject = transaction.identity().subject();
    let subject_bytes = json_bytes(&subject);
    let fits = |data: &str| data.len() + subject_bytes + ENVELOPE_MAX_BYTES <= event_max_bytes;
    let text = |transaction: &Transaction| serde_json::to_string(transaction).unwrap_or_default();
    let mut data = text(&transaction);
    for omit in OMISSIONS {
        if fits(&data) {
            break;
        }
        omit(&mut transaction);
        transaction.flags.insert(Flag::ItemsOmitted);
        data = text(&transaction);
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
    let mut transaction: Transaction = serde_json::from_str(data).ok()?;
    transaction.flags.insert(Flag::ItemsOmitted);
    OMISSIONS.into_iter().find_map(|omit| {
        omit(&mut transaction);
        serde_json::to_string(&transaction).ok().filter(|data| data.len() <= most)
    })
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
}

/// A record that was put aside as an event: where and why, and nothing of its text.
pub fn of_quarantined(quarantined: &Quarantined, connection: &str, now: DateTime<Utc>) -> Draft {
    let time = instant::text_utc(now);
    let data = QuarantineData { schema: "tillbox.quarantine.v1", connection, observed_at: time.clone(), quarantined };
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
