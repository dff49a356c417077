//! The checkpoint: what HQ's broker remembers of this outlet's box, so that the next box can go on.
//!
//! It is retained, and no last will touches it. A new or wiped box reads it before it publishes anything, and a box whose
//! store lost its tail, or was copied into a second box, notices it here. What follows from it is a pure decision.
//!
//! Generations order the streams of one outlet. They do not hang on a broker's memory: the generation of a stream is the
//! greatest of the one that was found plus 1, the one that HQ's `stored` names plus 1, and the seconds since 1970 of the
//! moment in which its first event leaves, by a clock that something else confirms.

pub mod reach;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    event::{Stream, StreamId},
    gap::Gap,
};

/// The name of the body's form.
pub const SCHEMA: &str = "tillbox.checkpoint.v1";

/// Watermarks of other years are nobody's: a later box would reckon with them.
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2200;

/// The retained body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The stream.
    pub stream: String,
    /// Its generation.
    pub generation: u32,
    /// Drawn at each start of a box; a box that finds one which is not in its own list has a twin.
    pub nonce: String,
    /// Every event of the stream up to here was acknowledged.
    pub acknowledged: u64,
    /// Per connection: everything up to here was read, and what was read has left the box. `null` where that is not
    /// known: then the next box reads its whole backfill.
    pub watermarks: Watermarks,
    /// Per connection: when its first reading began, by whichever box of the outlet; left out where that is not known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub begun: BTreeMap<String, DateTime<Utc>>,
    /// Per connection: intervals that are not proven complete.
    pub open_gaps: BTreeMap<String, Vec<Gap>>,
    /// Per connection: open gaps that are not listed, as the broker takes no more; HQ has all of them as events.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gaps_omitted: BTreeMap<String, u64>,
    /// HQ's last word for starting again that this box has obeyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarted: Option<String>,
}

impl Checkpoint {
    /// The body, at most `most` bytes of it: of the open gaps only so many are listed as fit.
    #[must_use]
    pub fn to_bytes(&self, most: usize) -> Vec<u8> {
        let mut told = self.clone();
        loop {
            let body = serde_json::to_vec(&told).unwrap_or_default();
            let longest = told.open_gaps.values().map(Vec::len).max().unwrap_or_default();
            if body.len() <= most || longest == 0 {
                return body;
            }
            for (connection, gaps) in &mut told.open_gaps {
                let omitted = gaps.len().saturating_sub(longest / 2);
                // The newest stay: they are what the next box is asked about first.
                gaps.drain(..omitted);
                if omitted > 0 {
                    *told.gaps_omitted.entry(connection.clone()).or_default() += omitted as u64;
                }
            }
        }
    }
}

/// A retained checkpoint as it is read: what a later version adds or spells otherwise does not hide the rest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Found {
    /// The stream.
    pub stream: String,
    /// Its generation.
    pub generation: u32,
    /// The nonce of the start that told it; a version of before had none.
    #[serde(default)]
    pub nonce: Option<String>,
    /// Every event of the stream up to here was acknowledged.
    pub acknowledged: u64,
    /// Per connection: everything up to here was read, and what was read has left the box.
    #[serde(default, deserialize_with = "plausible")]
    pub watermarks: Watermarks,
    /// Per connection: when its first reading began, where that is told.
    #[serde(default, deserialize_with = "plausible")]
    pub begun: Watermarks,
}

impl Found {
    /// Whether it is of this stream.
    #[must_use]
    pub fn is_of(&self, id: StreamId) -> bool {
        StreamId::parse(&self.stream) == Some(id)
    }
}

/// Watermarks as they are read: one that cannot be right is none.
fn plausible<'de, D: Deserializer<'de>>(from: D) -> Result<Watermarks, D::Error> {
    let told = BTreeMap::<String, serde_json::Value>::deserialize(from)?;
    let read = |value: serde_json::Value| {
        let at: DateTime<Utc> = serde_json::from_value(value).ok()?;
        YEARS.contains(&chrono::Datelike::year(&at)).then_some(at)
    };
    Ok(told.into_iter().map(|(connection, value)| (connection, read(value))).collect())
}

/// What HQ's own word says that bears on the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Word {
    /// HQ has events of this very stream that are not in the store, or are others there.
    pub has_more: bool,
    /// The generation of the stream that it speaks of, if it is another one.
    pub other: Option<u32>,
}

/// This store, as far as the decision needs it.
#[derive(Debug, Clone, Copy)]
pub struct Own<'a> {
    /// Its stream's id.
    pub id: StreamId,
    /// Its stream, once it has a generation.
    pub stream: Option<&'a Stream>,
    /// Its highest number when the start ran that told the checkpoint: what was captured since then hides no tail that was
    /// lost before.
    pub had: u64,
    /// Whether the nonce that was found is one of its own.
    pub knows_nonce: bool,
    /// A person said that this box takes the outlet back.
    pub takes_over: bool,
}

/// What to do about a checkpoint before anything is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is ours, or older than ours: go on.
    Keep,
    /// This store is new to HQ: once its first event leaves, it takes a generation above this one.
    Choose {
        /// The greatest generation that anybody names.
        above: u32,
    },
    /// Begin a new stream with a generation above this one.
    Begin {
        /// The greatest generation that anybody names.
        above: u32,
        /// For a person.
        why: &'static str,
    },
    /// Another box publishes for this outlet: a person must say which one goes on.
    Conflict,
    /// Nothing is above the generation that was found.
    Exhausted,
}

/// Decides what a retained checkpoint and HQ's word mean for this store.
#[must_use]
pub fn decide(found: Option<&Found>, word: Word, own: Own<'_>) -> Decision {
    let generations = [found.map(|found| found.generation), own.stream.map(|stream| stream.generation), word.other];
    let above = generations.into_iter().flatten().max().unwrap_or_default();
    let begin = |why| if above == u32::MAX { Decision::Exhausted } else { Decision::Begin { above, why } };
    let ours = found.filter(|found| found.is_of(own.id));
    if word.has_more || ours.is_some_and(|found| found.acknowledged > own.had) {
        return begin("HQ has events of this stream that the store no longer has");
    }
    if ours.is_some_and(|found| found.nonce.is_some() && !own.knows_nonce) {
        return begin("another box runs with a copy of this store");
    }
    let Some(stream) = own.stream else {
        return match ours {
            // Its generation was told before it was lost here.
            Some(found) => Decision::Choose { above: found.generation.saturating_sub(1) },
            None if above == u32::MAX => Decision::Exhausted,
            None => Decision::Choose { above },
        };
    };
    if found.is_some_and(|found| !found.is_of(own.id) && found.generation >= stream.generation) {
        return if own.takes_over { Decision::Keep } else { Decision::Conflict };
    }
    if word.other.is_some_and(|other| other > stream.generation) {
        return begin("HQ has states of a newer stream, which would win over this one's");
    }
    Decision::Keep
}

/// The generation of a stream: above what anybody names, and not before the seconds of a moment that is proven.
#[must_use]
pub fn generation(above: u32, proven: Option<DateTime<Utc>>) -> u32 {
    let seconds = proven.and_then(|now| u32::try_from(now.timestamp()).ok()).unwrap_or_default();
    above.saturating_add(1).max(seconds)
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
    /// Goes on from what the checkpoint says that was found: this stream's own, or its predecessor's, whose word stands
    /// until what this box read itself has left it.
    #[must_use]
    pub fn from(found: Option<&Found>) -> Self {
        Self { safe: found.map(|found| found.watermarks.clone()).unwrap_or_default(), waiting: None }
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
    use crate::gap::GapReason;

    const ID: StreamId = StreamId([7; 16]);
    const OTHER: StreamId = StreamId([9; 16]);

    fn found(stream: StreamId, generation: u32, acknowledged: u64) -> Found {
        Found {
            stream: stream.to_string(),
            generation,
            nonce: Some("aa".to_owned()),
            acknowledged,
            watermarks: BTreeMap::new(),
            begun: BTreeMap::new(),
        }
    }

    fn decided(found: Option<&Found>, word: Word, generation: Option<u32>, own: Own<'_>) -> Decision {
        let stream = generation.map(|generation| Stream { id: ID, generation, outlet: "o".to_owned() });
        decide(found, word, Own { stream: stream.as_ref(), ..own })
    }

    const OWN: Own<'_> = Own { id: ID, stream: None, had: 5, knows_nonce: true, takes_over: false };
    const SILENT: Word = Word { has_more: false, other: None };

    #[test]
    fn a_checkpoint_is_ours_or_older_or_ahead_or_anothers() {
        let of = |checkpoint: Option<Found>, generation| decided(checkpoint.as_ref(), SILENT, generation, OWN);
        assert_eq!(of(None, None), Decision::Choose { above: 0 });
        assert_eq!(of(None, Some(3)), Decision::Keep);
        assert_eq!(of(Some(found(OTHER, 4, 90)), None), Decision::Choose { above: 4 });
        assert_eq!(of(Some(found(ID, 2, 5)), Some(2)), Decision::Keep);
        assert!(matches!(of(Some(found(ID, 2, 6)), Some(2)), Decision::Begin { above: 2, .. }));
        assert_eq!(of(Some(found(OTHER, 2, 0)), Some(2)), Decision::Conflict);
        assert_eq!(of(Some(found(OTHER, 3, 0)), Some(2)), Decision::Conflict);
        assert_eq!(of(Some(found(OTHER, 1, 0)), Some(2)), Decision::Keep);
        assert_eq!(of(Some(found(ID, 2, 0)), None), Decision::Choose { above: 1 });
        let back = Own { takes_over: true, ..OWN };
        assert_eq!(decided(Some(&found(OTHER, 3, 0)), SILENT, Some(2), back), Decision::Keep);
    }

    #[test]
    fn a_nonce_that_is_not_in_the_list_is_a_twins() {
        let own = Own { knows_nonce: false, ..OWN };
        assert!(matches!(decided(Some(&found(ID, 2, 5)), SILENT, Some(2), own), Decision::Begin { above: 2, .. }));
        let before_nonces = Found { nonce: None, ..found(ID, 2, 5) };
        assert_eq!(decided(Some(&before_nonces), SILENT, Some(2), own), Decision::Keep);
    }

    #[test]
    fn a_store_that_stands_behind_hqs_word_lost_its_tail() {
        let (ours, word) = (found(ID, 2, 4), |has_more| Word { has_more, other: None });
        assert_eq!(decided(Some(&ours), word(false), Some(2), OWN), Decision::Keep);
        assert!(matches!(decided(Some(&ours), word(true), Some(2), OWN), Decision::Begin { above: 2, .. }));
        assert!(matches!(decided(None, word(true), Some(2), OWN), Decision::Begin { above: 2, .. }));
    }

    #[test]
    fn hqs_word_about_a_newer_stream_counts_where_the_broker_forgot() {
        let word = Word { has_more: false, other: Some(8) };
        assert_eq!(decided(None, word, None, OWN), Decision::Choose { above: 8 });
        assert!(matches!(decided(None, word, Some(2), OWN), Decision::Begin { above: 8, .. }));
        assert_eq!(decided(None, word, Some(8), OWN), Decision::Keep);
        assert_eq!(decided(Some(&found(OTHER, 8, 1)), word, Some(2), OWN), Decision::Conflict, "its box is there");
    }

    #[test]
    fn nothing_is_above_the_greatest_generation() {
        assert_eq!(decided(Some(&found(OTHER, u32::MAX, 0)), SILENT, None, OWN), Decision::Exhausted);
        assert_eq!(decided(Some(&found(ID, u32::MAX, 9)), SILENT, Some(u32::MAX), OWN), Decision::Exhausted);
    }

    #[test]
    fn a_generation_is_the_greatest_of_what_is_known_and_the_moment() {
        let now = DateTime::from_timestamp(1_800_000_000, 0);
        assert_eq!((generation(0, None), generation(4, None)), (1, 5));
        assert_eq!(generation(4, now), 1_800_000_000);
        assert_eq!(generation(1_900_000_000, now), 1_900_000_001);
    }

    #[test]
    fn a_checkpoint_from_outside_cannot_name_an_impossible_year() {
        let text = r#"{"stream":"s","generation":1,"acknowledged":0,"later":[1],"watermarks":{"a":"-262143-01-01T00:00:00Z",
            "b":"2026-03-14T00:00:00Z","c":null,"d":7,"e":"+262142-12-31T23:59:59Z"}}"#;
        let found: Found = serde_json::from_str(text).unwrap();
        let known: Vec<&str> =
            found.watermarks.iter().filter(|(_, at)| at.is_some()).map(|(name, _)| &**name).collect();
        assert_eq!((known, found.watermarks.len()), (vec!["b"], 5));
    }

    #[test]
    fn a_checkpoint_fits_however_many_gaps_are_open() {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        let gap = |n: i64| Gap { from: at(n * 100), to: at(n * 100 + 50), reason: GapReason::Truncated };
        let checkpoint = Checkpoint {
            schema: SCHEMA.to_owned(),
            stream: ID.to_string(),
            generation: 1,
            nonce: "aa".to_owned(),
            acknowledged: 9,
            watermarks: BTreeMap::new(),
            begun: BTreeMap::new(),
            open_gaps: BTreeMap::from([
                ("front".to_owned(), (0..2_000).map(gap).collect()),
                ("back".to_owned(), (0..3).map(gap).collect()),
            ]),
            gaps_omitted: BTreeMap::new(),
            restarted: None,
        };
        let body = checkpoint.to_bytes(8_000);
        assert!(body.len() <= 8_000, "{}", body.len());
        let told: Checkpoint = serde_json::from_slice(&body).unwrap();
        assert_eq!(told.open_gaps["front"].len() as u64 + told.gaps_omitted["front"], 2_000);
        assert_eq!(told.open_gaps["front"].last(), checkpoint.open_gaps["front"].last(), "the newest stay");
        assert_eq!(told.open_gaps["back"].len(), 3);
        assert!(serde_json::from_slice::<Checkpoint>(&checkpoint.to_bytes(100)).is_ok(), "it is sent without any");
    }

    #[test]
    fn a_watermark_is_told_only_when_its_backlog_has_left() {
        let at = |hour: i64| BTreeMap::from([("front".to_owned(), DateTime::from_timestamp(hour * 3600, 0))]);
        let predecessor = Found { watermarks: at(0), ..found(OTHER, 1, 0) };
        let mut safe = SafeWatermarks::from(Some(&predecessor));
        safe.learn(at(1), 10, 3);
        assert_eq!(*safe.safe(), at(0), "the predecessor's word stands");
        safe.learn(at(2), 20, 9);
        assert_eq!(*safe.safe(), at(0));
        safe.learn(at(3), 30, 10);
        assert_eq!(*safe.safe(), at(1));
        safe.learn(at(4), 40, 29);
        assert_eq!(*safe.safe(), at(1));
        safe.learn(at(5), 40, 40);
        assert_eq!(*safe.safe(), at(5));
    }
}
