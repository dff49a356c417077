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
    /// Publishes do not arrive.
    Denied(String),
    /// Another box publishes for this outlet.
    Conflict(String),
    /// The store failed; it is opened again by its keeper.
    Store(OutboxError),
    /// A new stream began: the session starts again with it.
    NewStream,
}

impl From<WireError> for Ended {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl From<OutboxError> for Ended {
    fn from(error: OutboxError) -> Self {
        match error {
            OutboxError::NewStream => Self::NewStream,
            other => Self::Store(other),
        }
    }
}
