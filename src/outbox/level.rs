//! How full the outbox is, and how far things have got: what everyone who watches it sees.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};

use super::{FREE_MIN_BYTES, Outbox, ReadAgain, Writer};
use crate::{
    config::Acknowledge,
    event::{Stream, StreamId},
    gap::Gap,
};

/// How full the outbox is, and how far things have got. Numbers are the stream's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Level {
    /// The highest number that is on the device.
    pub durable: u64,
    /// Every event up to here was published and acknowledged.
    pub acknowledged: u64,
    /// Every event up to here was released.
    pub released: u64,
    /// The first number that can still be read: of an event that was released and is kept, else of the first that was
    /// not.
    pub first_kept: u64,
    /// Bytes that the events take which were not released.
    pub queued_bytes: u64,
    /// Bytes that released events take which are kept; they count for nothing as long as there is room.
    pub kept_bytes: u64,
    /// Bytes that events may take.
    pub limit_bytes: u64,
    /// The card itself is (nearly) full.
    pub card_full: bool,
    /// Why the store is closed, if it is.
    pub closed: Option<String>,
    /// Counts the streams of this process: a caller that remembers what it read compares it.
    pub epoch: u64,
    /// The running stream, once its generation is known.
    pub stream: Option<Arc<Stream>>,
    /// Its id.
    pub stream_id: Option<StreamId>,
    /// Whether its generation was chosen by a clock that was proven, or follows one that HQ has.
    pub generation_proven: bool,
    /// The last word for starting again that was obeyed, of whichever stream.
    pub restart_token: Option<String>,
    /// When that was.
    pub restarted_at: Option<DateTime<Utc>>,
    /// The box was told to take the outlet back once every event up to here has left.
    pub take_over: Option<u64>,
    /// The gaps that are open, by connection.
    pub open_gaps: Arc<BTreeMap<String, Vec<Gap>>>,
    /// Counts what persons ended in this process: whoever sums up days looks again when it moved.
    pub ended_by_hand: u64,
    /// Instants from which connections are to be read again, until that is on the device.
    pub read_again: Arc<ReadAgain>,
    /// The stored number before the stream's first.
    pub(super) base: u64,
}

impl Level {
    /// Events that the broker has not acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> u64 {
        self.durable.saturating_sub(self.acknowledged)
    }

    /// Events that are not delivered, by what the config takes for that.
    #[must_use]
    pub fn undelivered(&self, acknowledge: Acknowledge) -> u64 {
        match acknowledge {
            Acknowledge::Feed => self.durable.saturating_sub(self.released),
            Acknowledge::Broker => self.unacknowledged(),
        }
    }

    /// Events that the broker has and that HQ has not confirmed, where its word counts.
    #[must_use]
    pub fn unconfirmed(&self, acknowledge: Acknowledge) -> u64 {
        self.undelivered(acknowledge).saturating_sub(self.unacknowledged())
    }

    /// Every event up to here is delivered, by what the config takes for that.
    #[must_use]
    pub fn delivered(&self, acknowledge: Acknowledge) -> u64 {
        self.durable.saturating_sub(self.undelivered(acknowledge))
    }

    /// Whether records are refused.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.card_full || self.queued_bytes >= self.limit_bytes
    }

    /// How full, in percent of what may be queued.
    #[must_use]
    pub fn percent(&self) -> u64 {
        self.queued_bytes.saturating_mul(100) / self.limit_bytes.max(1)
    }
}

impl Outbox {
    /// Notes that every event up to `number` was published and acknowledged, unless another stream began since
    /// [`Level::epoch`] was `epoch`: then the number speaks of other events. Never waits for the store.
    pub fn acknowledge(&self, epoch: u64, number: u64) {
        self.level.send_if_modified(|level| {
            if level.epoch != epoch {
                return false;
            }
            let acknowledged = number.min(level.durable).max(level.acknowledged);
            std::mem::replace(&mut level.acknowledged, acknowledged) != acknowledged
        });
    }

    /// Tells everyone who watches where things stand. What was acknowledged is known here alone until it is stored.
    pub(super) fn publish_level(&self, writer: &Writer) {
        let card_full = self.place.free_bytes().is_ok_and(|free| free < FREE_MIN_BYTES);
        self.level.send_if_modified(|level| {
            let meta = &writer.meta;
            let base = meta.base;
            let same_stream = level.epoch == writer.epoch;
            let acknowledged = meta.acknowledged - base;
            let now = Level {
                durable: writer.last - base,
                acknowledged: if same_stream { acknowledged.max(level.acknowledged) } else { acknowledged },
                released: meta.released - base,
                first_kept: writer.first_kept() - base,
                queued_bytes: writer.queued_bytes(),
                kept_bytes: writer.kept_bytes(),
                limit_bytes: self.limit_bytes(),
                card_full,
                closed: writer.closed.clone(),
                epoch: writer.epoch,
                stream: meta.stream(&self.options.outlet).map(Arc::new),
                stream_id: meta.stream_id(),
                generation_proven: meta.generation.is_some() && meta.generation_proven,
                restart_token: meta.restart.as_ref().map(|restart| restart.token.clone()),
                restarted_at: meta.restart.as_ref().map(|restart| restart.at),
                take_over: meta.take_over.map(|number| number.saturating_sub(base)),
                open_gaps: if *level.open_gaps == writer.open_gaps {
                    Arc::clone(&level.open_gaps)
                } else {
                    Arc::new(writer.open_gaps.clone())
                },
                ended_by_hand: writer.words,
                read_again: Arc::new(meta.read_again.clone()),
                base,
            };
            let changed = *level != now;
            *level = now;
            changed
        });
    }

    /// Bytes that events may take: sled keeps up to about twice what is queued, and what was seen stands beside it.
    pub(super) fn limit_bytes(&self) -> u64 {
        self.options.max_bytes / 8 * 3
    }
}
