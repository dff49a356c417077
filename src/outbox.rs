//! The outbox: where a sale is safe.
//!
//! The only user of sled. What it promises:
//!
//! 1. [`Outbox::capture`] stores new and changed records, what was seen, gaps and the connection's cursor in one
//!    atomic commit, and returns only when it is on the device: power may be cut the instant after.
//! 2. Every event has the next number of its stream; none is skipped, none is used twice.
//! 3. Readers see only what is durable: [`Level::durable`] moves after the flush, never before.
//! 4. An event leaves only after it was released: by HQ's `stored` whose chain fits, whatever the broker said, or by the
//!    broker's acknowledgement where the config says so. Removal is by prefix, whole chunks at a time.
//! 5. A store that shows any sign of a lost tail becomes a new stream and is read again from the source.
//! 6. When there is no more room, records are refused, never dropped; room for the box's own notices is kept.
//! 7. What cannot be read is listed until it is, or is forgotten with what was seen; a newer version reads it again.
//!    What a person ended (`by_hand`) is remembered as that, and never taken for proven.
//! 8. What was released is kept while there is room for it, and a week at most (see `kept`): it can be read again, and no
//!    new stream has it but one that HQ asked for with its word for starting again.
//! 9. What brings no news writes no byte: a cursor that moved alone waits for the next commit or the ordered stop.
//!
//! Deliberately absent: deleting anything that was not released, and any way to publish what is not durable.

mod aside;
mod by_hand;
mod draft;
mod engine;
mod error;
#[cfg(test)]
mod fixture;
mod identity;
mod kept;
mod layout;
pub mod leaving;
mod level;
mod look;
mod memory;
mod meta;
#[cfg(test)]
mod model;
mod news;
mod open;
mod place;
pub mod power;
mod release;
mod remembered;
mod seen;
mod stage;
mod stream;
#[cfg(test)]
mod tests;
mod totals;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tokio::sync::watch;

use self::{
    aside::AsideList,
    kept::Removed,
    layout::ChunkHead,
    meta::Meta,
    place::{Marker, Place},
    remembered::Remembered,
    seen::SeenIndex,
};
pub use self::{
    aside::{ASIDE_MAX, Aside, Asides, Crowd, OfDay},
    by_hand::{CLOSED_BY_HAND_MAX, ClosedGap, Dismissed, Ended},
    draft::lighten,
    error::OutboxError,
    identity::{ACCOUNT_IDS_MAX, Account, Held, Owner, held_in},
    kept::KEPT_DAYS,
    level::Level,
    look::Look,
    memory::OutboxMemory,
    meta::{chain_begin, chain_next},
    open::{Finding, Opened},
    place::{held_by, write_durably},
    release::{REMOVE_AFTER, StoredVerdict},
    remembered::{BROKERS_MAX, NONCE_MAX_BYTES, NONCES_MAX, Retained},
    stage::{Capture, Captured, ClosingDraft},
    stream::{Begin, TOKEN_MAX_BYTES},
    totals::DayTotals,
};
use crate::{
    event::{Event, Stream, StreamId},
    gap::Gap,
};

/// Room that only the box's own events may use once records are refused.
const NOTICE_RESERVE_BYTES: u64 = 1024 * 1024;

/// Below this much space on the file system no record is taken: sled must stay able to write.
const FREE_MIN_BYTES: u64 = 8 * 1024 * 1024;

/// Bytes of events that one reading takes at most, about: what is read waits in memory.
pub const READ_MAX_BYTES: usize = 1024 * 1024;

/// How a store is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder; made if it does not exist.
    pub folder: PathBuf,
    /// Bound of what the store may take on the card, sled's own slack included.
    pub max_bytes: u64,
    /// The outlet's id.
    pub outlet: String,
    /// The levels above it in every topic.
    pub topic_prefix: String,
    /// Largest event that HQ's broker takes, envelope included.
    pub event_max_bytes: usize,
    /// How long what was seen is remembered: longer than any poll looks back.
    pub retention: TimeDelta,
    /// The configured connections: name, and what it reads (to notice a renaming).
    pub connections: Vec<(String, String)>,
    /// Names of connections that are gone for good.
    pub retired: Vec<String>,
}

/// The durable queue between the point of sale and HQ. Shared by the threads of one daemon.
#[derive(Debug)]
pub struct Outbox {
    options: Options,
    place: Place,
    db: RwLock<Option<sled::Db>>,
    writer: Mutex<Writer>,
    level: watch::Sender<Level>,
    remembered: Arc<Remembered>,
    /// The stream that was found at the opening, and its highest number then.
    at_open: (Option<StreamId>, u64),
}

/// Per connection: from when on it is to be read again.
pub type ReadAgain = BTreeMap<String, DateTime<Utc>>;

/// What only one thread at a time may touch.
#[derive(Debug)]
struct Writer {
    meta: Meta,
    marker: Option<Marker>,
    /// Counts the streams of this process, so that what was read for an earlier one is not stored in a later.
    epoch: u64,
    /// The last number that was handed out.
    last: u64,
    cumulative_bytes: u64,
    /// Stored bytes of chunks that were released whole, over the store's life.
    released_bytes: u64,
    /// What went before the oldest chunk.
    removed: Removed,
    /// The instant at which the store was last looked after.
    now: DateTime<Utc>,
    /// The same as the outbox has.
    remembered: Arc<Remembered>,
    /// `None` until the first capture needs it: HQ gets what waits before the index is read.
    seen: Option<SeenIndex>,
    /// Cursors that moved without news.
    waiting_cursors: BTreeMap<String, Vec<u8>>,
    open_gaps: BTreeMap<String, Vec<Gap>>,
    /// Gaps that persons closed and nothing has proven since.
    closed_by_hand: BTreeMap<String, Vec<ClosedGap>>,
    /// Counts what persons ended in this process.
    words: u64,
    /// What is put aside; bounded, as HQ has it.
    aside: AsideList,
    closed: Option<String>,
    /// The failure that closed the store speaks of its content: it is looked through when it is opened again.
    damaged: bool,
}

impl Writer {
    fn queued_bytes(&self) -> u64 {
        self.cumulative_bytes.saturating_sub(self.released_bytes)
    }
}

impl Outbox {
    /// Where things stand now.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level.borrow().clone()
    }

    /// Follows the level; it changes with every commit, acknowledgement and release.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Level> {
        self.level.subscribe()
    }

    /// The running stream, once its generation is known. Never waits for the store.
    #[must_use]
    pub fn stream(&self) -> Option<Arc<Stream>> {
        self.level.borrow().stream.clone()
    }

    /// The highest number of a stream that this process found on the device when it opened the store; `None` for a
    /// stream that began since.
    #[must_use]
    pub fn durable_at_open(&self, stream: StreamId) -> Option<u64> {
        (self.at_open.0 == Some(stream)).then_some(self.at_open.1)
    }

    /// The cursor that a connection stored last, as its connector wrote it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn cursor(&self, connection: &str) -> Result<Option<Vec<u8>>, OutboxError> {
        let waiting = self.writer().waiting_cursors.get(connection).cloned();
        if waiting.is_some() {
            return Ok(waiting);
        }
        let key = layout::connection_key(layout::CURSOR, connection, &[]);
        self.reading(|tree| Ok(tree.get(key)?.map(|value| value.to_vec())))
    }

    /// The gaps that are open, by connection. Never waits for the store.
    #[must_use]
    pub fn open_gaps(&self) -> Arc<BTreeMap<String, Vec<Gap>>> {
        Arc::clone(&self.level.borrow().open_gaps)
    }

    /// Counts and sums of every business day of a connection from `first` on, over the current states.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn day_totals(
        &self,
        connection: &str,
        first: NaiveDate,
    ) -> Result<BTreeMap<NaiveDate, DayTotals>, OutboxError> {
        self.reading(|tree| totals::day_totals(tree, connection, first))
    }

    /// The digest of the closing that was stored last for a day.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn last_closing(&self, connection: &str, day: NaiveDate) -> Result<Option<Vec<u8>>, OutboxError> {
        let key = layout::connection_key(layout::CLOSING, connection, day.to_string().as_bytes());
        self.reading(|tree| Ok(tree.get(key)?.map(|value| value.to_vec())))
    }

    /// The durable events after number `after`, in order: at least one if there is one, about `most` and
    /// [`READ_MAX_BYTES`] at most. What was released meanwhile and is not kept is passed over: the first event tells by
    /// its number. `epoch` is [`Level::epoch`] when the caller took its number from the level.
    ///
    /// # Errors
    /// The store cannot be read, an event that must be there is not, or a new stream began.
    pub fn read(&self, epoch: u64, after: u64, most: usize) -> Result<Vec<Event>, OutboxError> {
        let (durable, base, first_kept) = {
            let level = self.level.borrow();
            if level.epoch != epoch {
                return Err(OutboxError::NewStream);
            }
            (level.durable + level.base, level.base, level.first_kept)
        };
        let at_once = {
            let after = after.max(first_kept.saturating_sub(1)).saturating_add(base);
            let db = self.db();
            engine::guarded("reading", || events_from(open_db(db.as_ref())?, base, after, durable, most))
        };
        match at_once {
            // What was not found may just be leaving: the store says so once nobody changes it.
            Err(OutboxError::Damaged(_)) => self.read_what_stays(epoch, after, most),
            Err(error) => {
                self.close_after(&mut self.writer(), &error);
                Err(error)
            }
            events => events,
        }
    }

    /// [`Outbox::read`] while nobody changes the store. What was delivered and cannot be read is no damage.
    fn read_what_stays(&self, epoch: u64, after: u64, most: usize) -> Result<Vec<Event>, OutboxError> {
        self.writing(|writer| {
            if writer.epoch != epoch {
                return Err(OutboxError::NewStream);
            }
            let (base, released) = (writer.meta.base, writer.meta.released);
            let after = after.saturating_add(base).max(writer.first_kept() - 1);
            let db = self.db();
            let tree = open_db(db.as_ref())?;
            let events = |after| engine::guarded("reading", || events_from(tree, base, after, writer.last, most));
            match events(after) {
                Err(OutboxError::Damaged(_)) if after < released => events(released),
                events => events,
            }
        })
    }

    /// The outlet's id.
    #[must_use]
    pub fn outlet(&self) -> &str {
        &self.options.outlet
    }

    /// What the store may take on the card.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.options.max_bytes
    }

    /// How long what was seen is remembered.
    #[must_use]
    pub fn retention(&self) -> TimeDelta {
        self.options.retention
    }

    /// The path of the store, for messages.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.options.folder
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn db(&self) -> RwLockReadGuard<'_, Option<sled::Db>> {
        self.db.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads from the store. Not to be called by a thread that holds the writer.
    fn reading<T>(&self, work: impl FnOnce(&sled::Tree) -> Result<T, OutboxError>) -> Result<T, OutboxError> {
        let result = {
            let db = self.db();
            engine::guarded("reading", || work(open_db(db.as_ref())?))
        };
        if let Err(error) = &result {
            self.close_after(&mut self.writer(), error);
        }
        result
    }

    /// Changes the store: the one way to the writer for whatever may fail, so that no failure leaves the store open.
    fn writing<T>(&self, work: impl FnOnce(&mut Writer) -> Result<T, OutboxError>) -> Result<T, OutboxError> {
        let mut writer = self.writer();
        let result = engine::guarded("writing", || work(&mut writer));
        if let Err(error) = &result {
            self.close_after(&mut writer, error);
        }
        result
    }

    /// How far back what was seen is kept.
    fn retained_since(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - self.options.retention
    }
}

fn open_db(db: Option<&sled::Db>) -> Result<&sled::Tree, OutboxError> {
    db.map(|db| &**db).ok_or_else(|| OutboxError::Closed("it failed, and is opened again".to_owned()))
}

/// The events after one stored number up to another, with the numbers of the stream that begins after `base`: about
/// `most` and [`READ_MAX_BYTES`] at most.
fn events_from(tree: &sled::Tree, base: u64, after: u64, durable: u64, most: usize) -> Result<Vec<Event>, OutboxError> {
    let mut next = after.saturating_add(1);
    let (mut events, mut bytes) = (Vec::new(), 0);
    while next <= durable && events.len() < most && bytes < READ_MAX_BYTES {
        let (head, chunk) = match chunk_of(tree, next) {
            // Whoever asks for what follows is told.
            Err(OutboxError::Damaged(_)) if !events.is_empty() => break,
            chunk => chunk?,
        };
        let wanted = next..=durable.min(head.last());
        for event in chunk.into_iter().filter(|event| wanted.contains(&event.sequence)) {
            bytes += event.draft.data.len();
            events.push(Event { sequence: event.sequence - base, ..event });
        }
        next = head.last() + 1;
    }
    Ok(events)
}

/// The chunk that holds a stored number, which must be there.
fn chunk_of(tree: &sled::Tree, number: u64) -> Result<(ChunkHead, Vec<Event>), OutboxError> {
    read_chunk_with(tree, number)?.ok_or_else(|| OutboxError::Damaged(format!("stored event {number} is missing")))
}

/// The chunk that holds a stored number, if the store has it.
fn read_chunk_with(tree: &sled::Tree, number: u64) -> Result<Option<(ChunkHead, Vec<Event>)>, OutboxError> {
    // Who reads on begins where a chunk does.
    let mut first = Some(number);
    if !tree.contains_key(layout::chunk_key(number, 0))? {
        // The newest key below is a part of the chunk that begins before the number.
        let row = engine::newest(tree, 0, number, |first| layout::chunk_key(first, 0).to_vec())?;
        first = row.and_then(|(key, _)| layout::read_chunk_key(&key)).map(|(first, _)| first);
    }
    let Some(first) = first else { return Ok(None) };
    let chunk = read_chunk_at(tree, first)?;
    Ok(chunk.filter(|(head, _)| head.last() >= number))
}

/// The chunk whose first event has this number.
fn read_chunk_at(tree: &sled::Tree, first: u64) -> Result<Option<(ChunkHead, Vec<Event>)>, OutboxError> {
    let mut stored = Vec::new();
    for row in tree.range(layout::chunk_key(first, 0)..=layout::chunk_key(first, u16::MAX)) {
        stored.extend_from_slice(&row?.1);
    }
    if stored.is_empty() {
        return Ok(None);
    }
    let damaged = || OutboxError::Damaged(format!("the chunk that begins at event {first} is damaged"));
    let head = ChunkHead::read(first, &stored).ok_or_else(damaged)?;
    let events = layout::read_chunk(first, &stored).ok_or_else(damaged)?;
    Ok(Some((head, events)))
}
