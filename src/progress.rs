//! How far a source is read, as its connector tells it and everything that the box shows repeats it.

use chrono::{DateTime, Utc};

/// How far a source is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Who answers there: the name of the outlet or merchant, from the identity check.
    pub identity: Option<String>,
    /// Everything from `since` up to here was read at least once.
    pub watermark: Option<DateTime<Utc>>,
    /// How far back the reading began.
    pub since: Option<DateTime<Utc>>,
    /// Whether the newest records were read by the last poll, and nothing older waits to be read.
    pub complete: bool,
    /// What this source cannot give, and what was found about it, for status.
    pub notes: Vec<String>,
}
