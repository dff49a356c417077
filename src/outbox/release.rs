//! Letting go, last of all: events are released in order, and from then on stay only while there is room for them.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{
    Level, Outbox, OutboxError, Writer, chunk_of,
    engine::{apply, flush},
    kept::{self, GONE_CHUNKS_MAX, Stay},
    layout::{self, META},
    meta::chain_next,
    open::Finding,
    open_db,
};
use crate::{
    config::Acknowledge,
    content::ContentId,
    event::{Event, StreamId},
};

/// Chunks that one batch releases at most.
const RELEASED_CHUNKS_MAX: usize = 64;

/// Acknowledged events are released once there are this many …
const REMOVE_AT_EVENTS: u64 = 100;

/// … or after this long, so that a card is not written for each sale twice.
pub const REMOVE_AFTER: Duration = Duration::from_secs(300);

/// What HQ's word `stored` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredVerdict {
    /// Events up to the number were released.
    Released,
    /// They had been released before.
    Stale,
    /// It speaks of another stream.
    OtherStream,
    /// It speaks of events that this store does not have.
    TooHigh,
    /// Its chain is not that of the events that this box sent.
    Forged,
}

impl Outbox {
    /// HQ says: stream S is stored through N, and this is the chain over its content ids up to N. A chain that fits is
    /// the proof, also for what the broker has not acknowledged.
    ///
    /// # Errors
    /// The store fails.
    pub fn stored(&self, stream: StreamId, through: u64, chain: ContentId) -> Result<StoredVerdict, OutboxError> {
        self.writing(|writer| {
            let level = self.level();
            if writer.meta.stream_id() != Some(stream) {
                return Ok(StoredVerdict::OtherStream);
            }
            if through <= level.released {
                return Ok(StoredVerdict::Stale);
            }
            if through > level.durable {
                return Ok(StoredVerdict::TooHigh);
            }
            let through = through + writer.meta.base;
            if chain_through(open_db(self.db().as_ref())?, writer, through)? != chain {
                return Ok(StoredVerdict::Forged);
            }
            self.release(writer, through)?;
            Ok(StoredVerdict::Released)
        })
    }

    /// Whether HQ's word `stored` fits this store: it has the events of stream S through N, and they are those that the
    /// chain was made of. What was released before fits; a word without a chain is held against the numbers alone.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn fits(&self, stream: StreamId, through: u64, chain: Option<ContentId>) -> Result<bool, OutboxError> {
        self.writing(|writer| {
            let level = self.level();
            if writer.meta.stream_id() != Some(stream) || through <= level.released {
                return Ok(true);
            }
            let Some(chain) = chain.filter(|_| through <= level.durable) else { return Ok(through <= level.durable) };
            Ok(chain_through(open_db(self.db().as_ref())?, writer, through + writer.meta.base)? == chain)
        })
    }

    /// Releases what may go, opens a store that failed, and looks after the room on the card. To be called about every
    /// second; it writes only when there is something to release. `ripe` says that [`REMOVE_AFTER`] has passed since
    /// events were last released. Gives what was found if the store was opened again, to be told to HQ.
    ///
    /// # Errors
    /// The store fails or cannot be opened again.
    pub fn tend(&self, acknowledge: Acknowledge, ripe: bool, now: DateTime<Utc>) -> Result<Vec<Finding>, OutboxError> {
        self.writing(|writer| {
            writer.now = now;
            let findings = if writer.closed.is_some() { self.open_again(writer, now)? } else { Vec::new() };
            self.place.keep_reserve();
            self.publish_level(writer);
            let level = self.level();
            if acknowledge == Acknowledge::Broker {
                let waiting = level.acknowledged.saturating_sub(level.released);
                if waiting >= REMOVE_AT_EVENTS || (waiting > 0 && (ripe || level.is_full())) {
                    self.release_acknowledged(writer, &level)?;
                }
            }
            if level.card_full && writer.kept_bytes() > 0 {
                self.keep_at_most(writer, 0)?;
            }
            Ok(findings)
        })
    }

    /// Releases what may go, stores cursors and marker: the last thing at an ordered stop.
    ///
    /// # Errors
    /// The store fails.
    pub fn settle(&self, acknowledge: Acknowledge) -> Result<(), OutboxError> {
        self.writing(|writer| {
            if acknowledge == Acknowledge::Broker {
                self.release_acknowledged(writer, &self.level())?;
            }
            let mut meta = writer.meta.clone();
            meta.acknowledged = self.level().acknowledged + meta.base;
            if meta != writer.meta || !writer.waiting_cursors.is_empty() || self.remembered.is_unwritten() {
                let mut batch = sled::Batch::default();
                for (connection, cursor) in &writer.waiting_cursors {
                    batch.insert(layout::connection_key(layout::CURSOR, connection, &[]), cursor.as_slice());
                }
                batch.insert(META, meta.to_bytes());
                let rows = self.remembered.stage(&mut batch);
                let db = self.db();
                apply(open_db(db.as_ref())?, batch)?;
                flush(open_db(db.as_ref())?)?;
                self.remembered.written(rows);
                writer.meta = meta;
                writer.waiting_cursors.clear();
            }
            if writer.marker.as_ref().is_none_or(|marker| marker.sequence != writer.last) {
                self.move_marker(writer);
            }
            Ok(())
        })
    }

    fn release_acknowledged(&self, writer: &mut Writer, level: &Level) -> Result<(), OutboxError> {
        self.release(writer, level.acknowledged + writer.meta.base)
    }

    /// Releases up to a stored number. The chunks stay, but for those that have to make room.
    fn release(&self, writer: &mut Writer, through: u64) -> Result<(), OutboxError> {
        let db = self.db();
        let tree = open_db(db.as_ref())?;
        while writer.meta.released < through {
            let mut batch = sled::Batch::default();
            let mut meta = writer.meta.clone();
            let mut released_bytes = writer.released_bytes;
            for _ in 0..RELEASED_CHUNKS_MAX {
                let number = meta.released + 1;
                if number > through {
                    break;
                }
                let (head, events) = chunk_of(tree, number)?;
                let released = head.last().min(through);
                meta.chain = chain_over(meta.chain, &events, number, released);
                meta.released = released;
                if released == head.last() {
                    released_bytes = head.cumulative_bytes;
                }
            }
            meta.acknowledged = (self.level().acknowledged + meta.base).max(meta.released);
            kept::note(&mut meta.released_on, writer.now, meta.released);
            let most_bytes = self.kept_most_bytes(writer.cumulative_bytes.saturating_sub(released_bytes));
            let aged = kept::aged(&meta.released_on, writer.now);
            let stay = Stay { released: meta.released, released_bytes, most_bytes, aged };
            // The released cursor moves in the batch that removes, or before it: else a cut would hand the numbers out
            // again.
            let removed = kept::give_way(tree, writer.removed, stay, GONE_CHUNKS_MAX, &mut batch)?;
            batch.insert(META, meta.to_bytes());
            let rows = self.remembered.stage(&mut batch);
            apply(tree, batch)?;
            self.remembered.written(rows);
            writer.meta = meta;
            writer.released_bytes = released_bytes;
            writer.removed = removed;
        }
        self.publish_level(writer);
        Ok(())
    }
}

/// The chain over the content ids up to a stored number, going on from what was released.
fn chain_through(tree: &sled::Tree, writer: &Writer, through: u64) -> Result<ContentId, OutboxError> {
    let mut chain = writer.meta.chain;
    let mut next = writer.meta.released + 1;
    while next <= through {
        let (head, events) = chunk_of(tree, next)?;
        chain = chain_over(chain, &events, next, through);
        next = head.last() + 1;
    }
    Ok(chain)
}

fn chain_over(chain: ContentId, events: &[Event], from: u64, through: u64) -> ContentId {
    let counted = events.iter().filter(|event| (from..=through).contains(&event.sequence));
    counted.fold(chain, |chain, event| chain_next(chain, event.draft.content))
}
