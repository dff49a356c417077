//! Notices: what a technician or HQ should know, told in the numbered stream like everything else.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    content::ContentId,
    event::{Draft, EventType},
    instant,
};

/// What notices tell besides the codes of [`Condition`](crate::health::Condition); together they are what HQ's schema
/// knows.
pub const CODES: [&str; 6] =
    ["new_stream", "store_put_aside", "store_repaired", "several_outlets", "no_outlet", "naive_bounds"];

/// Something worth telling that is no sale, gap or quarantined record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// What kind of thing, in `snake_case`; HQ sorts by it.
    pub code: &'static str,
    /// One line for a person, without secrets and without text from the source.
    pub text: String,
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
        Self { code, text: text.into() }
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
            subject: format!("notice/{}", self.code),
            time,
            content: ContentId::of_json(&value),
            data: value.to_string(),
        }
    }
}
