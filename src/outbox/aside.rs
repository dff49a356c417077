//! Records that were put aside: a list per connection, of what could not be read and since when.
//!
//! HQ was told of each when it was found. The list is for a technician, who can see what it is about, and for the next
//! version of this program, which reads those records again. An entry leaves when its record is read at last, and HQ is
//! told that too. One whose record cannot be recognized leaves when what was seen is forgotten: one without an id, and
//! one of two with the same id, of which the other is read at every poll.
//!
//! Deliberately absent: the source's text, and telling HQ of what leaves the list otherwise.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Outbox, OutboxError, ReadAgain,
    layout::{self, connection_key},
    meta::{Meta, VERSION},
};
use crate::{
    content::ContentId,
    instant::rfc3339_utc,
    pos::{
        connector::RESCAN_HORIZON,
        page::{Quarantined, Reason},
    },
    transaction::Transaction,
};

/// Entries of one connection; beyond them the oldest leave the list.
pub const ASIDE_MAX: usize = 500;

/// How far before what was read up to then a record may lie that was put aside: the windows of an answer.
const BEFORE: TimeDelta = TimeDelta::days(2);

/// A record that was put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// Where it stood, and why.
    pub quarantined: Quarantined,
    /// When it was found.
    #[serde(with = "rfc3339_utc")]
    pub observed_at: DateTime<Utc>,
    /// The version of this program that could not read it.
    pub version: String,
    /// Everything up to here had been read by then, so the record lies not long before: in a backfill it is old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_to: Option<DateTime<Utc>>,
}

impl Aside {
    fn key(&self, connection: &str) -> Vec<u8> {
        // By time, so that the oldest come first.
        let second = u64::try_from(self.observed_at.timestamp()).unwrap_or(0);
        let mut rest = second.to_be_bytes().to_vec();
        rest.extend_from_slice(&self.quarantined.hash.0);
        connection_key(layout::ASIDE, connection, &rest)
    }

    /// Whether a record that was read is this one.
    pub(super) fn is(&self, transaction: &Transaction) -> bool {
        self.can_be_recognized()
            && self.quarantined.resource == transaction.resource
            && self.quarantined.external_id.as_ref() == Some(&transaction.external_id)
    }

    fn can_be_recognized(&self) -> bool {
        self.quarantined.external_id.is_some() && self.quarantined.reason != Reason::IdConflict
    }

    /// From when on the source is to be read again to meet it.
    fn read_from(&self) -> DateTime<Utc> {
        let by_observation = self.observed_at - RESCAN_HORIZON;
        self.read_to.map_or(by_observation, |read_to| by_observation.min(read_to - BEFORE))
    }
}

/// What is put aside, by connection, the oldest first.
pub(super) type AsideList = BTreeMap<String, Vec<Aside>>;

/// Reads the list from a store. What cannot be read of it is not in it: HQ has it.
pub(super) fn read(tree: &sled::Tree) -> Result<AsideList, OutboxError> {
    let mut list = AsideList::new();
    for row in tree.scan_prefix([layout::ASIDE]) {
        let (key, value) = row?;
        let connection = key[1..].split(|byte| *byte == 0).next().unwrap_or_default();
        if let Ok(aside) = serde_json::from_slice(&value) {
            list.entry(String::from_utf8_lossy(connection).into_owned()).or_default().push(aside);
        }
    }
    Ok(list)
}

/// Changes a connection's list in a commit: what was `read` leaves, what was `found` joins, and what is too old or too
/// much leaves with it. Gives the list as it is then.
pub(super) fn stage(
    connection: &str,
    list: &[Aside],
    read: &BTreeSet<ContentId>,
    found: Vec<Aside>,
    retained_since: DateTime<Utc>,
    batch: &mut sled::Batch,
) -> Option<Vec<Aside>> {
    let stays = |aside: &Aside| {
        !read.contains(&aside.quarantined.hash) && (aside.can_be_recognized() || aside.observed_at >= retained_since)
    };
    let (mut kept, mut gone): (Vec<_>, Vec<_>) = list.iter().cloned().partition(stays);
    if gone.is_empty() && found.is_empty() {
        return None;
    }
    let found_from = kept.len();
    kept.extend(found);
    let gone_from = kept.len().saturating_sub(ASIDE_MAX);
    gone.extend(kept.drain(..gone_from));
    for aside in &gone {
        batch.remove(aside.key(connection));
    }
    for aside in &kept[found_from.saturating_sub(gone_from)..] {
        batch.insert(aside.key(connection), serde_json::to_vec(aside).unwrap_or_default());
    }
    Some(kept)
}

/// Notes which version reads. If another one did before, what is put aside is to be read again: as far back as what was
/// seen is remembered, since before that everything would look new.
pub(super) fn read_again_by_this_version(
    meta: &mut Meta,
    read_by: &str,
    list: &AsideList,
    retained_since: DateTime<Utc>,
    connections: &[(String, String)],
) {
    if read_by != VERSION {
        for (connection, asides) in list.iter().filter(|(name, _)| connections.iter().any(|(known, _)| known == *name))
        {
            if let Some(since) = asides.iter().map(Aside::read_from).min() {
                ask_again(&mut meta.read_again, connection, since.max(retained_since + TimeDelta::days(1)));
            }
        }
    }
    VERSION.clone_into(&mut meta.read_by);
}

/// A connection is to be read again from an instant on, or from an earlier one that it was asked for already.
pub(super) fn ask_again(asked: &mut ReadAgain, connection: &str, since: DateTime<Utc>) {
    asked.entry(connection.to_owned()).and_modify(|asked| *asked = since.min(*asked)).or_insert(since);
}

impl Outbox {
    /// What is put aside, by connection, the oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn put_aside(&self) -> Result<BTreeMap<String, Vec<Aside>>, OutboxError> {
        self.reading(read)
    }
}
