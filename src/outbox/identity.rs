//! Whose sales a store holds: the outlet under which they leave, and per connection the account that answered.
//!
//! A box that is carried into another shop comes with a store. Whatever waits in it is the old shop's, and its cursors
//! say how far the old shop was read; under another name both would be lies. So a store opens under the outlet and the
//! topic prefix that it was made for and under no other, and a connection is read only while the account that answers
//! is the one whose sales were stored. A store that remembers neither is of an earlier version, and takes those that it
//! meets first.

use std::collections::BTreeSet;

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use super::{
    Options, Outbox, OutboxError, Writer,
    engine::{apply, close, flush, guarded, open_sled, wait_until_closed},
    layout::{self, connection_key},
    open::read_writer,
    open_db,
    place::Place,
};

/// Ids that are remembered of one account at most; the last that were told stay.
pub const ACCOUNT_IDS_MAX: usize = 256;

/// The outlet under which a store's events leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The outlet's id.
    pub outlet: String,
    /// The levels above it in every topic.
    pub topic_prefix: String,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "outlet `{}` below `{}/`", self.outlet, self.topic_prefix)
    }
}

/// The account whose sales a connection stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Account {
    /// Its ids, each as `kind:id`; none where the source tells none.
    pub ids: BTreeSet<String>,
    /// HQ was told that it cannot be compared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub told: bool,
}

/// What stands in a store that no daemon has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Whose it is; `None` in a store of an earlier version, which did not note it.
    pub owner: Option<Owner>,
    /// Events that were not released.
    pub waiting: u64,
    /// Its connections: name, and what it reads.
    pub connections: Vec<(String, String)>,
}

/// Looks whose store stands in a folder. `None`: there is none.
///
/// # Errors
/// A daemon has it, or it cannot be read.
pub fn held_in(folder: &std::path::Path) -> Result<Option<Held>, OutboxError> {
    let path = folder.join("store").join("db");
    if let Ok(false) = path.try_exists() {
        return Ok(None);
    }
    held_at(&Place::visit(folder)?).map(Some)
}

/// Looks whose store stands in a place.
pub(super) fn held_at(place: &Place) -> Result<Held, OutboxError> {
    let db = open_sled(&place.store())?;
    let held = guarded("reading whose it is", || {
        let writer = read_writer(&db, DateTime::UNIX_EPOCH)?;
        let waiting = writer.last - writer.meta.released;
        Ok(Held { owner: read_owner(&db)?, waiting, connections: connections(&db)? })
    });
    close(Some(db));
    wait_until_closed(&place.store());
    held
}

fn connections(db: &sled::Tree) -> Result<Vec<(String, String)>, OutboxError> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let rows = db.scan_prefix([layout::CONNECTION]);
    rows.map(|row| {
        row.map(|(key, value)| (text(key[1..].strip_suffix(&[0]).unwrap_or(&key[1..])), text(&value)))
            .map_err(Into::into)
    })
    .collect()
}

/// Whose store it is, if it says so.
pub(super) fn read_owner(db: &sled::Tree) -> Result<Option<Owner>, OutboxError> {
    let Some(stored) = db.get([layout::OWNER])? else { return Ok(None) };
    let owner = serde_json::from_slice(&stored);
    owner.map(Some).map_err(|_| OutboxError::Damaged("what it says of its outlet cannot be read".to_owned()))
}

/// Refuses the store of another outlet.
pub(super) fn refuse_other_outlet(db: &sled::Tree, writer: &Writer, options: &Options) -> Result<(), OutboxError> {
    let wanted = options.owner();
    match read_owner(db)? {
        Some(holds) if holds != wanted => Err(OutboxError::OtherOutlet {
            folder: options.folder.clone(),
            holds: Box::new(holds),
            wanted: Box::new(wanted),
            waiting: writer.last - writer.meta.released,
        }),
        Some(_) => Ok(()),
        None => {
            if db.get(layout::META)?.is_some() {
                tracing::info!("outbox: the store of an earlier version is {wanted}'s from now on");
            }
            Ok(())
        }
    }
}

/// Notes whose store it is.
pub(super) fn note_owner(batch: &mut sled::Batch, options: &Options) {
    let owner = serde_json::to_vec(&options.owner()).expect("texts are always JSON");
    batch.insert(&[layout::OWNER], owner);
}

impl Options {
    fn owner(&self) -> Owner {
        Owner { outlet: self.outlet.clone(), topic_prefix: self.topic_prefix.clone() }
    }
}

impl Outbox {
    /// The account whose sales a connection stored; `None` where none was noted yet.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn account(&self, connection: &str) -> Result<Option<Account>, OutboxError> {
        let key = connection_key(layout::ACCOUNT, connection, &[]);
        // One that cannot be read is none that could be compared.
        self.reading(|tree| Ok(tree.get(key)?.and_then(|stored| serde_json::from_slice(&stored).ok())))
    }

    /// Notes the account whose sales a connection stores from now on, and returns when that is on the device.
    ///
    /// # Errors
    /// The store fails.
    ///
    /// # Panics
    /// Never: texts are always JSON.
    pub fn note_account(&self, connection: &str, account: &Account) -> Result<(), OutboxError> {
        let value = serde_json::to_vec(account).expect("texts are always JSON");
        self.change_account(connection, |batch, key| batch.insert(key, value))
    }

    /// Forgets whose sales a connection stored: whoever answers next is taken to be the same. Tells whether any account
    /// was noted.
    ///
    /// # Errors
    /// The store fails.
    pub fn forget_account(&self, connection: &str) -> Result<bool, OutboxError> {
        let known = self.account(connection)?.is_some_and(|account| !account.ids.is_empty());
        if known {
            self.change_account(connection, sled::Batch::remove)?;
        }
        Ok(known)
    }

    fn change_account(
        &self,
        connection: &str,
        change: impl FnOnce(&mut sled::Batch, Vec<u8>),
    ) -> Result<(), OutboxError> {
        self.writing(|_writer| {
            let db = self.db();
            let tree = open_db(db.as_ref())?;
            let mut batch = sled::Batch::default();
            change(&mut batch, connection_key(layout::ACCOUNT, connection, &[]));
            apply(tree, batch)?;
            flush(tree)
        })
    }
}

impl Account {
    /// The same account with ids that were told now.
    #[must_use]
    pub fn with(&self, now: &[String]) -> Self {
        let mut ids: BTreeSet<String> = now.iter().take(ACCOUNT_IDS_MAX).cloned().collect();
        for id in &self.ids {
            if ids.len() < ACCOUNT_IDS_MAX {
                ids.insert(id.clone());
            }
        }
        Self { ids, told: self.told }
    }
}
