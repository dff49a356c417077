//! What persons ended: gaps that were closed and records that were dismissed by hand.
//!
//! Each word is one commit: the event that tells HQ, and the note that remembers it. The note keeps the connection from
//! opening the same gap, or putting the same record aside, once more, and the day from ever being called complete by it.
//! Nothing is forgotten here by the clock, which may be wrong, but where there is no more room.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Captured, Outbox, OutboxError, Writer, draft,
    engine::{apply, flush},
    layout::{self, connection_key},
    open_db,
    stage::{Staged, gap_key, stage_events},
};
use crate::{
    by_hand::{Statement, handle_of_gap, handle_of_record},
    event::Draft,
    gap::Gap,
    instant::rfc3339_utc,
};

/// Gaps of one connection that are remembered as closed by hand; beyond them those give way whose days are not summed up
/// any more, and where there is none no more is closed.
pub const CLOSED_BY_HAND_MAX: usize = 500;

/// A gap that a person closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedGap {
    /// Which.
    pub gap: Gap,
    /// Who closed it, and why.
    pub closed_by: Statement,
    /// When, by the box's clock.
    #[serde(with = "rfc3339_utc")]
    pub closed_at: DateTime<Utc>,
}

/// A person's word that a record needs no more attention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dismissed {
    /// Who says so, and why.
    pub by: Statement,
    /// When, by the box's clock.
    #[serde(with = "rfc3339_utc")]
    pub at: DateTime<Utc>,
}

/// What became of a person's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Ended {
    /// It is ended now, and HQ is told.
    Now,
    /// It was ended before, and stays as it was.
    Before {
        /// Who ended it, and why.
        by: Statement,
        /// When.
        #[serde(with = "rfc3339_utc")]
        at: DateTime<Utc>,
    },
    /// Nothing that is open has this handle: it never had, or was proven or read meanwhile.
    Unknown,
    /// As many are remembered as may be.
    NoRoom,
}

impl Outbox {
    /// The gaps of a connection that persons closed and nothing has proven since.
    #[must_use]
    pub fn gaps_closed_by_hand(&self, connection: &str) -> Vec<ClosedGap> {
        self.writer().closed_by_hand.get(connection).cloned().unwrap_or_default()
    }

    /// The same, by connection.
    #[must_use]
    pub fn all_gaps_closed_by_hand(&self) -> BTreeMap<String, Vec<ClosedGap>> {
        self.writer().closed_by_hand.clone()
    }

    /// Closes an open gap by a person's word, and returns when that is on the device together with its event.
    ///
    /// # Errors
    /// The store fails, or has no more room for the box's own events.
    pub fn close_gap(&self, handle: &str, by: &Statement, now: DateTime<Utc>) -> Result<Ended, OutboxError> {
        self.writing(|writer| {
            let closed = writer.closed_by_hand.iter().flat_map(|(name, gaps)| gaps.iter().map(move |of| (name, of)));
            if let Some((_, of)) = closed.into_iter().find(|(name, of)| handle_of_gap(name, &of.gap) == handle) {
                return Ok(Ended::Before { by: of.closed_by.clone(), at: of.closed_at });
            }
            let open = writer.open_gaps.iter().flat_map(|(name, gaps)| gaps.iter().map(move |gap| (name, gap)));
            let found = open.into_iter().find(|(name, gap)| handle_of_gap(name, gap) == handle);
            let Some((connection, gap)) = found.map(|(name, gap)| (name.clone(), gap.clone())) else {
                return Ok(Ended::Unknown);
            };
            let mut batch = sled::Batch::default();
            let mut closed = writer.closed_by_hand.get(&connection).cloned().unwrap_or_default();
            if closed.len() >= CLOSED_BY_HAND_MAX {
                let retained_since = self.retained_since(now);
                for old in closed.extract_if(.., |of| of.gap.to < retained_since) {
                    batch.remove(closed_key(&connection, &old.gap));
                }
                if closed.len() >= CLOSED_BY_HAND_MAX {
                    return Ok(Ended::NoRoom);
                }
            }
            let draft = gap.draft_closed_by(&connection, by, now);
            let mut open = writer.open_gaps.get(&connection).cloned().unwrap_or_default();
            open.retain(|of| *of != gap);
            batch.remove(gap_key(&connection, &gap));
            let of = ClosedGap { gap, closed_by: by.clone(), closed_at: now };
            batch.insert(closed_key(&connection, &of.gap), serde_json::to_vec(&of).unwrap_or_default());
            closed.push(of);
            let staged = Staged { open_gaps: Some(open), closed_by_hand: Some(closed), ..Staged::of(batch) };
            self.commit_word(writer, &connection, draft, staged)
        })
    }

    /// Dismisses a record that is put aside by a person's word, and returns when that is on the device together with its
    /// event.
    ///
    /// # Errors
    /// As [`Outbox::close_gap`].
    pub fn dismiss(&self, handle: &str, by: &Statement, now: DateTime<Utc>) -> Result<Ended, OutboxError> {
        self.writing(|writer| {
            let listed = writer.aside.iter().find_map(|(connection, asides)| {
                let mut records = asides.list.iter();
                let at = records.position(|aside| handle_of_record(connection, &aside.quarantined) == handle)?;
                Some((connection.clone(), at))
            });
            let Some((connection, at)) = listed else { return Ok(Ended::Unknown) };
            let mut asides = writer.aside.get(&connection).cloned().unwrap_or_default();
            let Some(aside) = asides.list.get_mut(at) else { return Ok(Ended::Unknown) };
            if let Some(Dismissed { by, at }) = &aside.dismissed {
                return Ok(Ended::Before { by: by.clone(), at: *at });
            }
            aside.dismissed = Some(Dismissed { by: by.clone(), at: now });
            let draft = draft::of_aside(aside, &connection, now);
            let mut batch = sled::Batch::default();
            batch.insert(aside.key(&connection), serde_json::to_vec(aside).unwrap_or_default());
            let staged = Staged { aside: Some(asides), ..Staged::of(batch) };
            self.commit_word(writer, &connection, draft, staged)
        })
    }

    fn commit_word(
        &self,
        writer: &mut Writer,
        connection: &str,
        draft: Draft,
        mut staged: Staged,
    ) -> Result<Ended, OutboxError> {
        let db = self.db();
        let tree = open_db(db.as_ref())?;
        staged.chunks = stage_events(writer, &[draft], &mut staged.batch);
        staged.captured = Captured { events: 1, ..Captured::default() };
        // What a connection read and did not store yet goes along, as with every commit.
        for (connection, cursor) in &writer.waiting_cursors {
            staged.batch.insert(connection_key(layout::CURSOR, connection, &[]), cursor.clone());
        }
        self.check_room(writer, &staged)?;
        let removed = self.make_room(writer, tree, &mut staged)?;
        apply(tree, std::mem::take(&mut staged.batch))?;
        flush(tree)?;
        (writer.removed, writer.words) = (removed, writer.words + 1);
        self.adopt(writer, connection, staged);
        Ok(Ended::Now)
    }
}

/// Where a gap is noted that a person closed.
pub(super) fn closed_key(connection: &str, gap: &Gap) -> Vec<u8> {
    connection_key(layout::CLOSED_BY_HAND, connection, gap.id().as_bytes())
}

/// Reads which gaps persons closed. What cannot be read of it is not in it: HQ has it.
pub(super) fn read(tree: &sled::Tree) -> Result<BTreeMap<String, Vec<ClosedGap>>, OutboxError> {
    let mut closed = BTreeMap::<String, Vec<ClosedGap>>::new();
    for row in tree.scan_prefix([layout::CLOSED_BY_HAND]) {
        let (key, value) = row?;
        let connection = key[1..].split(|byte| *byte == 0).next().unwrap_or_default();
        if let Ok(gap) = serde_json::from_slice(&value) {
            closed.entry(String::from_utf8_lossy(connection).into_owned()).or_default().push(gap);
        }
    }
    Ok(closed)
}
