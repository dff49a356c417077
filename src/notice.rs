//! Notices: what a technician or HQ should know, told in the numbered stream like everything else.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    content::ContentId,
    event::{Draft, EventType},
    instant,
    plain::Plain,
    transaction::Resource,
};

/// What notices tell besides the codes of [`Condition`](crate::health::Condition); together they are what HQ's schema
/// knows.
pub const CODES: [&str; 16] = [
    "account_unproven",
    "new_stream",
    "store_put_aside",
    "store_repaired",
    "several_outlets",
    "no_outlet",
    "naive_bounds",
    "vanished_at_source",
    "seen_again",
    "cancelled_but_paid",
    "payment_vanished",
    "report_differs",
    "list_moved",
    "quarantine_read",
    "answer_unreadable",
    "by_day",
];

/// Something worth telling that is no sale, gap or quarantined record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// What kind of thing, in `snake_case`; HQ sorts by it.
    pub code: &'static str,
    /// One line for a person, without secrets and without text from the source.
    pub text: String,
    /// The record it speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<About>,
}

/// The record of a connection that a notice speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct About {
    /// What list of the source's it is from.
    pub resource: Resource,
    /// The source's key.
    pub external_id: String,
}

#[derive(Serialize)]
struct Data<'a> {
    schema: &'static str,
    connection: Option<&'a str>,
    observed_at: String,
    #[serde(flatten)]
    notice: &'a Notice,
}

impl Notice {
    /// A notice of one code: of [`CODES`], or a condition's.
    #[must_use]
    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: Plain(text.into()).to_string(), record: None }
    }

    /// A record, or a few, spoil each answer that holds them, of the time between two instants. `asked` is the system and
    /// its request, `fault` what the answer is like, `again` when it is asked again: a clause.
    #[must_use]
    pub fn unreadable(asked: &str, (from, to): (DateTime<Utc>, DateTime<Utc>), fault: &str, again: &str) -> Self {
        let (from, to) = (instant::text_utc(from), instant::text_utc(to));
        let text = format!(
            "{asked}: a record between {from} and {to} spoils every answer that holds it ({fault}); what lies around it \
             is read, and {again}"
        );
        Self::new("answer_unreadable", text)
    }

    /// The same, of one record.
    #[must_use]
    pub fn about(self, resource: Resource, external_id: impl Into<String>) -> Self {
        Self { record: Some(About { resource, external_id: external_id.into() }), ..self }
    }

    /// What the event is a state of: notices of one code about different records do not replace each other.
    fn subject(&self) -> String {
        match &self.record {
            Some(About { resource, external_id }) => {
                format!("notice/{}/{}/{external_id}", self.code, resource.name())
            }
            None => format!("notice/{}", self.code),
        }
    }

    /// The event that tells it to HQ.
    #[must_use]
    pub fn draft(&self, connection: Option<&str>, now: DateTime<Utc>) -> Draft {
        let time = instant::text_utc(now);
        let data = Data { schema: "tillbox.notice.v1", connection, observed_at: time.clone(), notice: self };
        let value = serde_json::to_value(data).unwrap_or_default();
        Draft {
            event_type: EventType::Notice,
            connection: connection.map(str::to_owned),
            subject: self.subject(),
            time,
            content: ContentId::of_json(&value),
            data: value.to_string(),
        }
    }
}
