//! The checkpoint: what HQ's broker remembers of this outlet's box, so that the next box can go on.
//!
//! It is retained, and no last will touches it. A new or wiped box reads it before it publishes anything, and a box
//! whose store lost its tail notices it here. What follows from it is a pure decision.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    event::{Stream, StreamId},
    gap::Gap,
};

/// The name of the body's form.
pub const SCHEMA: &str = "tillbox.checkpoint.v1";

/// The retained body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The stream.
    pub stream: String,
    /// Its generation.
    pub generation: u32,
    /// Every event of the stream up to here was acknowledged.
    pub acknowledged: u64,
    /// Per connection: everything up to here was read, and what was read has left the box. `null` where that is not
    /// known: then the next box reads its whole backfill.
    pub watermarks: Watermarks,
    /// Per connection: intervals that are not proven complete.
    pub open_gaps: BTreeMap<String, Vec<Gap>>,
}

/// A retained checkpoint as it is read: what a later version adds or spells otherwise does not hide the rest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Found {
    /// The stream.
    pub stream: String,
    /// Its generation.
    pub generation: u32,
    /// Every event of the stream up to here was acknowledged.
    pub acknowledged: u64,
    /// Per connection: everything up to here was read, and what was read has left the box.
    #[serde(default)]
    pub watermarks: Watermarks,
}

/// What to do about a checkpoint before anything is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is ours, or older than ours: go on.
    Keep,
    /// This store is new to HQ: take this generation.
    Take(u32),
    /// This store lost its tail: begin a new stream of this generation.
    Begin(u32),
    /// Another box has published for this outlet since: to publish again, begin a new stream of this generation.
    TakeOver(u32),
}

/// Decides what a retained checkpoint means for this store. `stream` is `None` while the store has no generation;
/// `stored` is the number up to which HQ has this very stream by its own word.
#[must_use]
pub fn decide(found: Option<&Found>, stored: u64, id: StreamId, stream: Option<&Stream>, durable: u64) -> Decision {
    if stored > durable {
        let generations = found.map(|found| found.generation).into_iter().chain(stream.map(|stream| stream.generation));
        return Decision::Begin(generations.max().unwrap_or_default().saturating_add(1));
    }
    let Some(found) = found else {
        return if stream.is_none() { Decision::Take(1) } else { Decision::Keep };
    };
    let next = found.generation.saturating_add(1);
    let ours = StreamId::parse(&found.stream) == Some(id);
    match stream {
        _ if ours && found.acknowledged > durable => Decision::Begin(next),
        None if ours => Decision::Take(found.generation),
        None => Decision::Take(next),
        Some(stream) if !ours && found.generation >= stream.generation => Decision::TakeOver(next),
        Some(_) => Decision::Keep,
    }
}

/// Per connection: how far it was read, where that is known.
pub type Watermarks = BTreeMap<String, Option<DateTime<Utc>>>;

/// Which watermarks are safe to tell: those whose records have all left the box.
///
/// A box that dies with a backlog takes it along; its successor must read again from before the backlog.
#[derive(Debug, Clone, Default)]
pub struct SafeWatermarks {
    safe: Watermarks,
    waiting: Option<(u64, Watermarks)>,
}

impl SafeWatermarks {
    /// Goes on from what the checkpoint of this very stream says.
    #[must_use]
    pub fn from(found: Option<&Found>, id: StreamId) -> Self {
        let ours = found.filter(|found| StreamId::parse(&found.stream) == Some(id));
        Self { safe: ours.map(|found| found.watermarks.clone()).unwrap_or_default(), waiting: None }
    }

    /// Learns how far things are: the watermarks in the box, the highest number in the store, and the number up to
    /// which everything has left the box for good.
    pub fn learn(&mut self, now: Watermarks, durable: u64, left: u64) {
        if let Some((needed, waiting)) = self.waiting.take() {
            if left >= needed {
                self.safe = waiting;
            } else {
                self.waiting = Some((needed, waiting));
                return;
            }
        }
        if left >= durable {
            self.safe = now;
        } else {
            self.waiting = Some((durable, now));
        }
    }

    /// The watermarks that are safe to tell.
    #[must_use]
    pub fn safe(&self) -> &Watermarks {
        &self.safe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: StreamId = StreamId([7; 16]);

    fn checkpoint(stream: StreamId, generation: u32, acknowledged: u64) -> Found {
        Found { stream: stream.to_string(), generation, acknowledged, watermarks: BTreeMap::new() }
    }

    fn decided(found: Option<&Found>, generation: Option<u32>, durable: u64) -> Decision {
        let stream = generation.map(|generation| Stream { id: ID, generation, outlet: "o".to_owned() });
        decide(found, 0, ID, stream.as_ref(), durable)
    }

    #[test]
    fn a_checkpoint_is_ours_or_older_or_ahead_or_anothers() {
        let other = StreamId([9; 16]);
        assert_eq!(decided(None, None, 0), Decision::Take(1));
        assert_eq!(decided(None, Some(3), 5), Decision::Keep);
        assert_eq!(decided(Some(&checkpoint(other, 4, 90)), None, 0), Decision::Take(5));
        assert_eq!(decided(Some(&checkpoint(ID, 2, 5)), Some(2), 5), Decision::Keep);
        assert_eq!(decided(Some(&checkpoint(ID, 2, 6)), Some(2), 5), Decision::Begin(3));
        assert_eq!(decided(Some(&checkpoint(other, 2, 0)), Some(2), 5), Decision::TakeOver(3));
        assert_eq!(decided(Some(&checkpoint(other, 1, 0)), Some(2), 5), Decision::Keep);
        assert_eq!(decided(Some(&checkpoint(ID, 2, 0)), None, 5), Decision::Take(2));
    }

    #[test]
    fn a_store_that_stands_behind_hqs_word_lost_its_tail() {
        let stream = Stream { id: ID, generation: 2, outlet: "o".to_owned() };

        let found = checkpoint(ID, 2, 4);
        assert_eq!(decide(Some(&found), 5, ID, Some(&stream), 5), Decision::Keep);
        assert_eq!(decide(Some(&found), 6, ID, Some(&stream), 5), Decision::Begin(3));
        assert_eq!(decide(None, 6, ID, Some(&stream), 5), Decision::Begin(3));
    }

    #[test]
    fn a_watermark_is_told_only_when_its_backlog_has_left() {
        let at = |hour: i64| BTreeMap::from([("front".to_owned(), DateTime::from_timestamp(hour * 3600, 0))]);
        let mut safe = SafeWatermarks::default();
        safe.learn(at(1), 10, 3);
        assert!(safe.safe().is_empty());
        safe.learn(at(2), 20, 9);
        assert!(safe.safe().is_empty());
        safe.learn(at(3), 30, 10);
        assert_eq!(*safe.safe(), at(1));
        safe.learn(at(4), 40, 29);
        assert_eq!(*safe.safe(), at(1));
        safe.learn(at(5), 40, 40);
        assert_eq!(*safe.safe(), at(5));
    }
}
