//! How a session with the broker ends.

use super::wire::WireError;
use crate::outbox::OutboxError;

/// How a session ended.
#[derive(Debug)]
pub enum Ended {
    /// In order, at the word to stop.
    Stopped,
    /// The connection is gone.
    Wire(WireError),
    /// The broker took events and acknowledged none of them in time.
    Silent(String),
    /// Publishes do not arrive, or are refused.
    Denied(String),
    /// Another box publishes for this outlet.
    Conflict(String),
    /// The store failed; it is opened again by its keeper.
    Store(OutboxError),
    /// A new stream began, or a limit was learned: the session starts again with it.
    Again,
    /// Nobody subscribes here: another broker of the list may have somebody who does.
    NobodyListens,
}

impl From<WireError> for Ended {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl From<OutboxError> for Ended {
    fn from(error: OutboxError) -> Self {
        match error {
            OutboxError::NewStream => Self::Again,
            other => Self::Store(other),
        }
    }
}
