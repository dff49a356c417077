//! Why the outbox refuses, in a technician's words.

use std::{io, path::PathBuf};

use thiserror::Error;

use super::Owner;

/// Why the outbox cannot do what was asked.
#[derive(Debug, Error)]
pub enum OutboxError {
    /// The folder or a file in it.
    #[error("outbox: cannot {doing} {}: {cause}; check that the folder exists, is writable and not full", path.display())]
    Folder {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another daemon has the store.
    #[error(
        "outbox: {} is in use by another tillbox{}; stop it first, or give this one another [outbox] path",
        folder.display(), pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The other process, if it could be read.
        pid: Option<u32>,
    },
    /// The store was written by a later version of this program.
    #[error(
        "outbox: the store has layout version {found}, this tillbox knows {known}: install the newer tillbox again"
    )]
    NewerVersion {
        /// The store's version.
        found: u32,
        /// This program's.
        known: u32,
    },
    /// A flush did not reach the device.
    #[error("outbox: a flush of the store was not followed by a sync of its file: this build must not be used")]
    SyncMissing,
    /// A connection got another name.
    #[error(
        "outbox: connection `{new}` is new and `{old}`, which reads the same source, is gone: the name is part of each \
         sale's identity, and a new one would count every sale twice; name it `{old}` again, or if it really is \
         another account, add `{old}` to retired-connections in [outbox]"
    )]
    Renamed {
        /// The name that is gone.
        old: String,
        /// The name that is new.
        new: String,
    },
    /// The store is another outlet's.
    #[error(
        "outbox: the store in {} is {holds}'s, and the config says {wanted}: {}; `tillbox outbox move` sends what waits \
         under the old name and then gives the box to the new one; if the config is wrong, correct it",
        folder.display(), waits(*waiting)
    )]
    OtherOutlet {
        /// The folder.
        folder: PathBuf,
        /// Whose store it is.
        holds: Box<Owner>,
        /// For whom it was opened.
        wanted: Box<Owner>,
        /// Events in it that were not released.
        waiting: u64,
    },
    /// The store does not say whose it is.
    #[error(
        "outbox: the store in {} is of an earlier version, which did not note its outlet; start tillbox once with the \
         config of that outlet, then it is noted",
        folder.display()
    )]
    NoOwner {
        /// The folder.
        folder: PathBuf,
    },
    /// A store that was to be forgotten holds something that was not delivered.
    #[error("outbox: the store in {} is not done: {}", folder.display(), waits(*waiting))]
    NotDelivered {
        /// The folder.
        folder: PathBuf,
        /// Events in it that were not released.
        waiting: u64,
    },
    /// sled says so; opening the store again may help.
    #[error("outbox: the store fails: {0}")]
    Engine(String),
    /// What must be in the store is not, or cannot be read.
    #[error("outbox: the store is damaged: {0}")]
    Damaged(String),
    /// There is no more room for records.
    #[error(
        "outbox: full: {queued_bytes} of {limit_bytes} bytes wait for HQ; records are read again once there is room"
    )]
    Full {
        /// Bytes that wait.
        queued_bytes: u64,
        /// Bytes that may.
        limit_bytes: u64,
    },
    /// A word from outside is longer than any that is stored.
    #[error("outbox: {what} has {bytes} bytes, more than are stored of one")]
    TooLong {
        /// Which.
        what: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// The store is closed after an error, until it can be opened again.
    #[error("outbox: the store is closed: {0}")]
    Closed(String),
    /// The store began a new stream since the caller last looked: what it read must be read again.
    #[error("outbox: a new stream began; reading again")]
    NewStream,
}

/// How many events wait, in words.
pub(super) fn waits(events: u64) -> String {
    match events {
        0 => "nothing waits in it".to_owned(),
        1 => "1 event waits in it".to_owned(),
        events => format!("{events} events wait in it"),
    }
}
