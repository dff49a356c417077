//! What a store says of itself: its stream and its two cursors.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use ring::digest;
use serde::{Deserialize, Serialize};

use super::ReadAgain;
use crate::{
    content::ContentId,
    event::{Stream, StreamId},
};

/// The version that reads.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version of the store's layout that this program writes.
///
/// In version 1 no event stayed once it was released: a program that knows only that takes what is kept for damage.
pub const LAYOUT_VERSION: u32 = 2;

/// A store's stream and cursors. Numbers in it count the store's whole life; a stream's own numbers begin after
/// `base`, so a new stream takes over what was not acknowledged without rewriting it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    pub version: u32,
    pub stream: String,
    /// `None` until HQ's checkpoint was read: nothing is published before.
    pub generation: Option<u32>,
    /// Whether the generation was chosen by a clock that was proven, or follows one that HQ has; it did in every store
    /// of before this was noted.
    #[serde(default = "yes")]
    pub generation_proven: bool,
    /// The last number before this stream's first.
    pub base: u64,
    /// Every event up to here was published and acknowledged.
    pub acknowledged: u64,
    /// Every event up to here may be removed, and is when there is no room to keep it.
    pub released: u64,
    /// Chain over the content ids up to `released`, hexadecimal.
    pub chain: ContentId,
    /// Connections that are to be read again, from when on, until their cursors say so.
    #[serde(default, skip_serializing_if = "ReadAgain::is_empty")]
    pub read_again: ReadAgain,
    /// The version of this program that read last; empty in a store of before it was noted.
    #[serde(default)]
    pub read_by: String,
    /// By day (UTC): the number up to which was released by its end. Bounded, see [`super::kept`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub released_on: BTreeMap<NaiveDate, u64>,
    /// HQ's last word for starting again that was obeyed, in whichever stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// The outlet is to be taken back once every event up to here has left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take_over: Option<u64>,
}

/// A word for starting again that was obeyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    pub token: String,
    pub at: DateTime<Utc>,
}

fn yes() -> bool {
    true
}

impl Meta {
    /// A stream that begins after `base`.
    pub fn begin(stream: StreamId, base: u64) -> Self {
        Self {
            version: LAYOUT_VERSION,
            stream: stream.to_string(),
            generation: None,
            generation_proven: false,
            base,
            acknowledged: base,
            released: base,
            chain: chain_begin(stream),
            read_again: ReadAgain::new(),
            read_by: VERSION.to_owned(),
            released_on: BTreeMap::new(),
            restart: None,
            take_over: None,
        }
    }

    /// As the store holds it.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and integers are always JSON")
    }

    /// The stream's id.
    pub fn stream_id(&self) -> Option<StreamId> {
        StreamId::parse(&self.stream)
    }

    /// What the stream's events share, once the generation is known.
    pub fn stream(&self, outlet: &str) -> Option<Stream> {
        Some(Stream { id: self.stream_id()?, generation: self.generation?, outlet: outlet.to_owned() })
    }
}

/// The chain before a stream's first event: SHA-256 of the stream's id in hexadecimal.
#[must_use]
pub fn chain_begin(stream: StreamId) -> ContentId {
    hash(&[stream.to_string().as_bytes()])
}

/// The chain after one more event: SHA-256 of the chain before it and the event's content id, 32 bytes each.
#[must_use]
pub fn chain_next(chain: ContentId, content: ContentId) -> ContentId {
    hash(&[&chain.0, &content.0])
}

fn hash(parts: &[&[u8]]) -> ContentId {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut id = ContentId([0; 32]);
    id.0.copy_from_slice(context.finish().as_ref());
    id
}
