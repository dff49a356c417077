//! How Asalta is read.

use chrono::{DateTime, TimeDelta, Utc};

use crate::pos::{
    connector::{Begin, Connector, Progress, Step, Terms, Yield},
    http::{Answer, Failure},
};

/// The connector for one Asalta account.
pub struct Asalta {
    _terms: Terms,
}

impl Asalta {
    /// A connector that goes on from where the last one stopped.
    #[must_use]
    pub fn new(terms: Terms, _begin: &Begin) -> Self {
        Self { _terms: terms }
    }
}

impl Connector for Asalta {
    fn next(&mut self, now: DateTime<Utc>) -> Step {
        Step::Wait(now + TimeDelta::hours(1))
    }

    fn take(&mut self, _answer: &Answer, _now: DateTime<Utc>) -> Result<Yield, String> {
        Ok(Yield::default())
    }

    fn failed(&mut self, _failure: &Failure, _now: DateTime<Utc>) -> Option<Yield> {
        None
    }

    fn cursor(&self) -> Vec<u8> {
        Vec::new()
    }

    fn rewind(&mut self, _since: DateTime<Utc>) {}

    fn progress(&self) -> Progress {
        Progress::default()
    }

    fn covers(&self, _from: DateTime<Utc>, _to: DateTime<Utc>) -> bool {
        false
    }
}
