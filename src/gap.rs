//! Gaps: intervals of a source that are not proven complete.
//!
//! A gap never blocks newer data. It stays open, is told to HQ, and shows on the box, until a later poll proves the
//! interval complete, or a person closes it, which proves nothing.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    by_hand::Statement,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_by: Option<&'a Statement>,
}

impl GapReason {
    /// Whether the source cannot show any more what is missing, so that as a rule only a person can end it.
    #[must_use]
    pub fn needs_a_person(self) -> bool {
        match self {
            Self::BehindHistory | Self::NoOverlap => true,
            Self::Truncated | Self::ShortPage | Self::Unreadable => false,
        }
    }

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::BehindHistory => "behind_history",
            Self::NoOverlap => "no_overlap",
            Self::ShortPage => "short_page",
            Self::Unreadable => "unreadable",
        }
    }
}

impl Gap {
    /// Whether everything of another gap lies in this one, for the same reason.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        self.reason == other.reason && self.from <= other.from && other.to <= self.to
    }

    /// The gap's name within its connection.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}/{}", text_utc(self.from), text_utc(self.to), self.reason.name())
    }

    /// The event that tells HQ that the gap is open, or proven complete.
    #[must_use]
    pub fn draft(&self, connection: &str, open: bool, now: DateTime<Utc>) -> Draft {
        self.told(connection, if open { "open" } else { "closed" }, None, now)
    }

    /// The event that tells HQ that a person closed the gap: nothing is proven.
    #[must_use]
    pub fn draft_closed_by(&self, connection: &str, by: &Statement, now: DateTime<Utc>) -> Draft {
        self.told(connection, "closed", Some(by), now)
    }

    fn told(&self, connection: &str, state: &'static str, closed_by: Option<&Statement>, now: DateTime<Utc>) -> Draft {
        let data = Data { schema: "tillbox.gap.v1", connection, state, gap: self, closed_by };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_that_was_proven_and_one_that_a_person_closed_are_told_apart() {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        let gap = Gap { from: at(0), to: at(60), reason: GapReason::BehindHistory };
        let data = |draft: Draft| serde_json::from_str::<serde_json::Value>(&draft.data).unwrap();
        let by = Statement::new("Sari", "the till was broken").unwrap();
        let (proven, by_hand) = (gap.draft("front", false, at(90)), gap.draft_closed_by("front", &by, at(90)));
        assert_eq!(proven.subject, by_hand.subject);
        let (proven, by_hand) = (data(proven), data(by_hand));
        assert_eq!((&proven["state"], proven.get("closed_by")), (&"closed".into(), None));
        assert_eq!(by_hand["closed_by"], serde_json::json!({ "name": "Sari", "reason": "the till was broken" }));
    }

    #[test]
    fn a_reason_is_written_as_it_is_named() {
        for reason in [
            GapReason::Truncated,
            GapReason::BehindHistory,
            GapReason::NoOverlap,
            GapReason::ShortPage,
            GapReason::Unreadable,
        ] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
        }
    }
}
