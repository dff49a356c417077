//! Gaps: intervals of a source that are not proven complete.
//!
//! A gap never blocks newer data. It stays open, is told to HQ, and shows on the box, until a later poll proves the
//! interval complete.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    content::ContentId,
    event::{Draft, EventType},
    instant::{rfc3339_utc, text_utc},
};

/// Why an interval is not proven complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The source gave a full page for the smallest window that can be asked.
    Truncated,
    /// The interval lies further back than the source keeps, or shows, its history.
    BehindHistory,
    /// Two answers of a source that shows only its newest records have none in common.
    NoOverlap,
    /// A page held fewer records than the source itself counts.
    ShortPage,
    /// The source answers with an error for good where a record of that time should be, or each answer that holds such a
    /// record breaks off, is too large or does not come.
    Unreadable,
}

/// An interval that is not proven complete. Two gaps of a connection with equal bounds and reason are one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// Begin, inclusive.
    #[serde(with = "rfc3339_utc")]
    pub from: DateTime<Utc>,
    /// End, exclusive.
    #[serde(with = "rfc3339_utc")]
    pub to: DateTime<Utc>,
    /// Why.
    pub reason: GapReason,
}

#[derive(Serialize)]
struct Data<'a> {
    schema: &'static str,
    connection: &'a str,
    state: &'static str,
    #[serde(flatten)]
    gap: &'a Gap,
}

impl Gap {
    /// The gap's name within its connection.
    #[must_use]
    pub fn id(&self) -> String {
        let reason = serde_json::to_value(self.reason).unwrap_or_default();
        format!("{}/{}/{}", text_utc(self.from), text_utc(self.to), reason.as_str().unwrap_or_default())
    }

    /// The event that tells HQ that the gap is open, or closed.
    #[must_use]
    pub fn draft(&self, connection: &str, open: bool, now: DateTime<Utc>) -> Draft {
        let state = if open { "open" } else { "closed" };
        let data = Data { schema: "tillbox.gap.v1", connection, state, gap: self };
        let value = serde_json::to_value(data).unwrap_or_default();
        Draft {
            event_type: EventType::Gap,
            connection: Some(connection.to_owned()),
            subject: format!("gap/{}", self.id()),
            time: text_utc(now),
            content: ContentId::of_json(&value),
            data: value.to_string(),
        }
    }
}
