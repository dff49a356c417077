//! How far the list was read, and what was found about it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::pos::{olsera::requests::LIMIT_ROWS, readings::Readings};

/// Whether anything behind the newest 100 rows can be read: none of it is documented, so it is tried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum History {
    /// Nothing was found.
    Closed,
    /// By `offset`.
    Offset,
    /// By `page`.
    Page,
    /// By `start_date` and `end_date`.
    Days,
}

/// What is stored with every commit that brings news.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// How far back it is to be read.
    pub target: DateTime<Utc>,
    /// The target was not reached yet, nor given up.
    pub back: bool,
    /// Everything from here …
    pub since: Option<DateTime<Utc>>,
    /// … to here was read at least once, open gaps apart: the last poll that joined.
    pub watermark: Option<DateTime<Utc>>,
    /// The time of the newest row that was read: a gap begins there.
    pub newest: Option<DateTime<Utc>>,
    /// The list was full once: fewer rows then are not all that there ever was, unless one of them is known.
    pub ever_full: bool,
    /// The list was seen to move while its oldest row came first: it holds the newest rows, only turned around.
    pub turned: bool,
    /// Rows that an answer holds at most, as it was found: 100, or fewer.
    pub limit: usize,
    /// What was found by trying.
    pub history: Option<History>,
    /// Stretches that were read whole, and when.
    #[serde(default)]
    pub readings: Readings,
}

impl Cursor {
    /// Nothing was read yet.
    #[must_use]
    pub fn beginning(target: DateTime<Utc>) -> Self {
        Self {
            target,
            back: true,
            since: None,
            watermark: None,
            newest: None,
            ever_full: false,
            turned: false,
            limit: LIMIT_ROWS,
            history: None,
            readings: Readings::default(),
        }
    }

    /// A way behind the newest rows.
    #[must_use]
    pub fn way(&self) -> Option<History> {
        self.history.filter(|history| *history != History::Closed)
    }

    /// If our clock was ahead of the truth, what was read lately was read earlier than it says.
    pub fn distrust_the_future(&mut self, now: DateTime<Utc>, tolerance: TimeDelta) {
        if self.watermark.is_some_and(|watermark| watermark > now + tolerance) {
            self.watermark = self.newest.filter(|newest| *newest <= now).or(self.since).map(|at| at.min(now));
        }
        self.newest = self.newest.map(|newest| newest.min(now + tolerance));
    }
}
