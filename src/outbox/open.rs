//! Opening a store, and opening it again: what does not open is put aside, never deleted, and a store that lost its
//! tail never goes on as if it had not.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use super::{
    Begin, Level, Options, Outbox, OutboxError, Writer, aside, by_hand, chunk_of,
    engine::{apply, close, flush, guarded, newest, open_sled, wait_until_closed},
    identity::{note_owner, refuse_other_outlet},
    kept::Removed,
    layout::{self, ChunkHead, META, connection_key},
    meta::{LAYOUT_VERSION, Meta},
    place::{Marker, Place, machine_id},
    power,
    remembered::Remembered,
    stream::begin_stream,
};
use crate::{event::StreamId, gap::Gap};

/// Below this much space on the file system a store that seems damaged is not judged: sled fails in many ways there.
const JUDGED_FREE_MIN_BYTES: u64 = 1024 * 1024;

/// Something that a technician and HQ should know about the store that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// There was no store yet.
    Fresh,
    /// The store shows a sign of a lost tail, so a new stream began and the source is read again.
    NewStream {
        /// The sign.
        why: &'static str,
    },
    /// The store could not be read; it lies at another place now.
    PutAside {
        /// Where it lies.
        to: PathBuf,
        /// What was wrong with it.
        cause: String,
    },
    /// The store opened only after its snapshots were left out; the original lies at another place.
    Repaired {
        /// Where the original lies.
        original: PathBuf,
    },
}

/// An outbox that was opened, and what was found on the way.
#[derive(Debug)]
pub struct Opened {
    /// The outbox, ready to capture and to be read.
    pub outbox: Outbox,
    /// What to tell.
    pub findings: Vec<Finding>,
}

impl Outbox {
    /// Opens the store in a folder, or makes one. It waits for nobody: a folder in use is an error.
    ///
    /// # Errors
    /// The folder cannot be used, another daemon has it, a later version wrote it, or a connection was renamed. A
    /// store that cannot be read is no error: it is put aside and a new one begins, and that is among the findings.
    pub fn open(options: Options, now: DateTime<Utc>) -> Result<Opened, OutboxError> {
        let place = Place::take(&options.folder)?;
        let mut findings = Vec::new();
        let (db, writer) =
            Opening { place: &place, options: &options, before: None, whole: false, now }.open(&mut findings)?;
        place.sync().map_err(|cause| OutboxError::Folder { doing: "sync", path: place.store(), cause })?;
        place.keep_reserve();
        let at_open = (writer.meta.stream_id(), writer.last - writer.meta.base);
        let remembered = Arc::clone(&writer.remembered);
        let outbox = Self {
            options,
            place,
            db: RwLock::new(Some(db)),
            writer: Mutex::new(writer),
            level: watch::Sender::new(Level::default()),
            remembered,
            at_open,
        };
        let mut writer = outbox.writer();
        outbox.move_marker(&mut writer);
        outbox.publish_level(&writer);
        drop(writer);
        Ok(Opened { outbox, findings })
    }

    /// Closes a store that failed: sled refuses everything after an error until it is opened again. The caller holds
    /// no handle: closing waits for all of them.
    pub(super) fn close_after(&self, writer: &mut Writer, error: &OutboxError) {
        if !matches!(error, OutboxError::Engine(_) | OutboxError::Damaged(_)) {
            return;
        }
        // For the journal the daemon's health tells it once; a store that fails for hours is closed every second.
        tracing::debug!(%error, "outbox: the store is closed, and will be opened again");
        writer.closed = Some(error.to_string());
        writer.damaged |= matches!(error, OutboxError::Damaged(_));
        writer.seen = None;
        close(self.db.write().unwrap_or_else(PoisonError::into_inner).take());
        self.publish_level(writer);
    }

    /// Opens a store that failed again.
    pub(super) fn open_again(&self, writer: &mut Writer, now: DateTime<Utc>) -> Result<Vec<Finding>, OutboxError> {
        if self.place.free_bytes().is_ok_and(|free| free < super::FREE_MIN_BYTES) && self.place.give_reserve_up() {
            tracing::warn!("outbox: the card is full; its reserve is given up so that what HQ has can be removed");
        }
        self.place.forget_cached();
        let before = Some((writer.meta.stream.as_str(), writer.last));
        let opening = Opening { place: &self.place, options: &self.options, before, whole: writer.damaged, now };
        let mut findings = Vec::new();
        let (db, mut opened) = opening.open(&mut findings)?;
        for finding in &findings {
            tracing::debug!(?finding, "outbox: opened again after a failure");
        }
        let same_stream = opened.meta.stream == writer.meta.stream;
        opened.epoch = writer.epoch + u64::from(!same_stream);
        // What was told is told, also where the store that knew it had to be put aside.
        let mut batch = sled::Batch::default();
        for (number, nonce) in self.remembered.go_on_beside(&opened.remembered) {
            batch.insert(&layout::nonce_key(number), nonce.as_str());
        }
        apply(&db, batch)?;
        flush(&db)?;
        opened.remembered = Arc::clone(&self.remembered);
        if same_stream {
            opened.waiting_cursors = std::mem::take(&mut writer.waiting_cursors);
        }
        *writer = opened;
        *self.db.write().unwrap_or_else(PoisonError::into_inner) = Some(db);
        self.move_marker(writer);
        tracing::debug!("outbox: the store is open again");
        Ok(findings)
    }
}

/// One opening of a store.
struct Opening<'a> {
    place: &'a Place,
    options: &'a Options,
    /// The stream that this process knew, and the last number that it handed out.
    before: Option<(&'a str, u64)>,
    /// Everything in it is read first: something could not be.
    whole: bool,
    now: DateTime<Utc>,
}

impl Opening<'_> {
    /// Opens the store: as it is, else without its snapshots, else anew beside what cannot be read.
    fn open(&self, findings: &mut Vec<Finding>) -> Result<(sled::Db, Writer), OutboxError> {
        let adopted = self.place.finish_adopting();
        adopted.map_err(|cause| OutboxError::Folder {
            doing: "finish the repair of",
            path: self.place.store(),
            cause,
        })?;
        self.place.remove_unfinished_snapshots();
        let cause = match self.open_as_it_is(findings) {
            Err(OutboxError::Damaged(cause)) => cause,
            other => return other,
        };
        if self.place.free_bytes().is_ok_and(|free| free < JUDGED_FREE_MIN_BYTES) {
            return Err(OutboxError::Engine(format!("{cause}; the card is full, make room on it first")));
        }
        findings.clear();
        findings.push(self.repair_or_put_aside(cause)?);
        self.open_as_it_is(findings)
    }

    fn repair_or_put_aside(&self, cause: String) -> Result<Finding, OutboxError> {
        let stamp = self.now.format("%Y%m%dT%H%M%SZ").to_string();
        let failed = |doing| {
            let path = self.place.store();
            move |cause| OutboxError::Folder { doing, path, cause }
        };
        wait_until_closed(&self.place.store());
        let readable = match self.place.refuse_copy_without_room().and_then(|()| self.place.copy_without_snapshots()) {
            Ok(copy) => {
                // An empty copy of a store that was not is no repair.
                let holds_something = |db: sled::Db| {
                    self.look_through(&db)?;
                    Ok(db.contains_key(META)?)
                };
                let readable = open_sled(&copy).and_then(|db| guarded("reading a copy", || holds_something(db)));
                wait_until_closed(&copy);
                if let Err(newer @ OutboxError::NewerVersion { .. }) = readable {
                    let _a_copy_that_stays_only_takes_room = self.place.remove_copy();
                    return Err(newer);
                }
                readable.is_ok_and(|readable| readable).then_some(copy)
            }
            // Without room for a copy it cannot be told whether one would be readable: it is for a technician to say.
            // The room is looked at first, since to fill the card at every attempt would only wear it.
            Err(cause) if cause.kind() == io::ErrorKind::StorageFull => return Err(failed("copy")(cause)),
            Err(_) => None,
        };
        if let Some(copy) = readable {
            let original = self.place.adopt(&copy, &stamp).map_err(failed("move aside"))?;
            let crowd = self.place.crowd();
            if !crowd.is_empty() {
                tracing::warn!("outbox: the store was repaired{crowd}");
            }
            return Ok(Finding::Repaired { original });
        }
        // Once `store` is away, a copy that still stood there would be taken for a sound one.
        self.place.remove_copy().map_err(failed("remove the copy of"))?;
        let to = self.place.put_aside(&stamp).map_err(failed("move aside"))?;
        Ok(Finding::PutAside { to, cause: cause + &self.place.crowd() })
    }

    fn open_as_it_is(&self, findings: &mut Vec<Finding>) -> Result<(sled::Db, Writer), OutboxError> {
        let db = open_sled(&self.place.store())?;
        let result = guarded("reading what it holds", || {
            let writer = self.look_through(&db)?;
            refuse_other_outlet(&db, &writer, self.options)?;
            refuse_renamed(&db, self.options)?;
            let read_by = writer.meta.read_by.clone();
            let mut writer = self.settle_stream(&db, writer, findings)?;
            writer.meta.version = LAYOUT_VERSION;
            let retained_since = self.now - self.options.retention;
            let connections = &self.options.connections;
            aside::read_again_by_this_version(&mut writer.meta, &read_by, &writer.aside, retained_since, connections);
            prove_sync(&db, &writer, self.options)?;
            Ok(writer)
        });
        match result {
            Ok(writer) => Ok((db, writer)),
            Err(error) => {
                close(Some(db));
                Err(error)
            }
        }
    }

    /// Reads what the store says of itself, and changes nothing.
    fn look_through(&self, db: &sled::Db) -> Result<Writer, OutboxError> {
        let writer = read_writer(db, self.now)?;
        if self.whole {
            db.iter().try_for_each(|row| row.map(drop))?;
            let mut next = writer.meta.released + 1;
            while next <= writer.last {
                next = chunk_of(db, next)?.0.last() + 1;
            }
        }
        Ok(writer)
    }

    /// Looks for signs of a lost tail; a store with one becomes a new stream.
    fn settle_stream(
        &self,
        db: &sled::Db,
        mut writer: Writer,
        findings: &mut Vec<Finding>,
    ) -> Result<Writer, OutboxError> {
        let marker = self.place.marker();
        let fresh = db.get(META)?.is_none();
        // What was acknowledged can stand beyond what is left only if the tail is gone.
        let beyond = writer.meta.acknowledged > writer.last;
        writer.meta.acknowledged = writer.meta.acknowledged.min(writer.last);
        let sign = if fresh && (marker.is_some() || self.before.is_some()) {
            Some("the store is empty, and was not")
        } else if fresh {
            findings.push(Finding::Fresh);
            None
        } else if self.before.is_some_and(|(stream, last)| stream != writer.meta.stream || last > writer.last) {
            Some("it ends before numbers that were handed out")
        } else {
            lost_tail_sign(&writer, marker.as_ref(), self.place)
                .or(beyond.then_some("events that HQ has are not in it"))
        };
        if let Some(why) = sign {
            findings.push(Finding::NewStream { why });
            begin_stream(db, &mut writer, Begin::default())?;
        }
        Ok(writer)
    }
}

/// Reads the cursors and the ends of the queue.
pub(super) fn read_writer(db: &sled::Db, now: DateTime<Utc>) -> Result<Writer, OutboxError> {
    let damaged = |what: &str| OutboxError::Damaged(what.to_owned());
    let stored = db.get(META)?;
    // First of all: to this version the chunks and keys of a later layout only look damaged.
    stored.as_deref().map_or(Ok(()), refuse_newer)?;
    let ends = queue_ends(db)?;
    let meta = match stored {
        Some(stored) => {
            serde_json::from_slice(&stored).map_err(|_| damaged("what it says of its stream cannot be read"))?
        }
        // A commit stores both, so events without a stream are what is left of something.
        None if ends.is_some() => return Err(damaged("it holds events of no stream")),
        None => {
            let random = StreamId::random().map_err(|_| OutboxError::Engine("no random bytes".to_owned()))?;
            Meta::begin(random, 0)
        }
    };
    if !(meta.base <= meta.released && meta.released <= meta.acknowledged) {
        return Err(damaged("its cursors contradict each other"));
    }
    let removed =
        ends.map(|(oldest, _)| Removed { through: oldest.first.saturating_sub(1), bytes: oldest.bytes_before() });
    let released_bytes = match ends {
        Some((oldest, newest)) if oldest.first <= newest.first && newest.last() > meta.released => {
            // What was not released begins in the chunk that holds the next number; before it stands what is kept.
            let due = due_head(db, meta.released + 1)?
                .ok_or_else(|| damaged("its first event is not the one that is due"))?;
            due.bytes_before()
        }
        Some((oldest, newest)) if oldest.first <= newest.first && newest.last() == meta.released => {
            newest.cumulative_bytes
        }
        Some(_) => return Err(damaged("it ends before what was released")),
        None => 0,
    };
    Ok(Writer {
        epoch: 1,
        last: ends.map_or(meta.released, |(_, newest)| newest.last()),
        cumulative_bytes: ends.map_or(0, |(_, newest)| newest.cumulative_bytes),
        released_bytes,
        removed: removed.unwrap_or(Removed { through: meta.released, bytes: 0 }),
        now,
        remembered: Arc::new(Remembered::read(db)?),
        seen: None,
        waiting_cursors: BTreeMap::new(),
        open_gaps: read_gaps(db)?,
        closed_by_hand: by_hand::read(db)?,
        words: 0,
        aside: aside::read(db)?,
        closed: None,
        damaged: false,
        marker: None,
        meta,
    })
}

/// The head of the chunk that holds a stored number.
fn due_head(db: &sled::Db, number: u64) -> Result<Option<ChunkHead>, OutboxError> {
    let row = newest(db, 0, number, |first| layout::chunk_key(first, 0).to_vec())?;
    let Some((first, _)) = row.and_then(|(key, _)| layout::read_chunk_key(&key)) else { return Ok(None) };
    let part = db.get(layout::chunk_key(first, 0))?;
    Ok(part.and_then(|part| ChunkHead::read(first, &part)).filter(|head| head.last() >= number))
}

/// A later layout may hold anything else, but says its version in the same place.
fn refuse_newer(stored: &[u8]) -> Result<(), OutboxError> {
    #[derive(serde::Deserialize)]
    struct Version {
        version: u32,
    }
    match serde_json::from_slice(stored) {
        Ok(Version { version: found }) if found > LAYOUT_VERSION => {
            Err(OutboxError::NewerVersion { found, known: LAYOUT_VERSION })
        }
        _ => Ok(()),
    }
}

fn lost_tail_sign(writer: &Writer, marker: Option<&Marker>, place: &Place) -> Option<&'static str> {
    let Some(marker) = marker else {
        return (writer.last > 0).then_some("the marker beside it is gone");
    };
    if marker.stream != writer.meta.stream {
        Some("the marker beside it speaks of another stream")
    } else if marker.sequence > writer.last {
        Some("it ends before numbers that were handed out")
    } else if marker.inode != place.inode() || marker.machine != machine_id() {
        Some("it was copied from another place or machine")
    } else {
        None
    }
}

/// The oldest and the newest chunk.
fn queue_ends(db: &sled::Db) -> Result<Option<(ChunkHead, ChunkHead)>, OutboxError> {
    let damaged = || OutboxError::Damaged("the queue's first or last chunk is damaged".to_owned());
    let Some(oldest) = db.scan_prefix([layout::QUEUE]).next() else { return Ok(None) };
    let (key, value) = oldest?;
    let (first, _) = layout::read_chunk_key(&key).ok_or_else(damaged)?;
    let oldest = ChunkHead::read(first, &value).ok_or_else(damaged)?;
    let newest = newest(db, first, u64::MAX, |first| layout::chunk_key(first, 0).to_vec())?;
    let Some((key, _)) = newest else { return Ok(None) };
    let (first, _) = layout::read_chunk_key(&key).ok_or_else(damaged)?;
    let value = db.get(layout::chunk_key(first, 0))?.ok_or_else(damaged)?;
    let newest = ChunkHead::read(first, &value).ok_or_else(damaged)?;
    Ok(Some((oldest, newest)))
}

fn read_gaps(db: &sled::Db) -> Result<BTreeMap<String, Vec<Gap>>, OutboxError> {
    let mut gaps: BTreeMap<String, Vec<Gap>> = BTreeMap::new();
    for row in db.scan_prefix([layout::GAP]) {
        let (key, value) = row?;
        let connection = key[1..].split(|byte| *byte == 0).next().unwrap_or_default();
        if let Ok(gap) = serde_json::from_slice(&value) {
            gaps.entry(String::from_utf8_lossy(connection).into_owned()).or_default().push(gap);
        }
    }
    Ok(gaps)
}

/// Refuses a renamed connection.
fn refuse_renamed(db: &sled::Db, options: &Options) -> Result<(), OutboxError> {
    let mut known = BTreeMap::new();
    for row in db.scan_prefix([layout::CONNECTION]) {
        let (key, value) = row?;
        let name = String::from_utf8_lossy(&key[1..]).trim_end_matches('\0').to_owned();
        known.insert(name, String::from_utf8_lossy(&value).into_owned());
    }
    let configured = |old: &String| options.connections.iter().any(|(name, _)| name == old);
    for (new, source) in options.connections.iter().filter(|(name, _)| !known.contains_key(name)) {
        let gone = known
            .iter()
            .find(|(old, old_source)| *old_source == source && !configured(old) && !options.retired.contains(old));
        if let Some((old, _)) = gone {
            return Err(OutboxError::Renamed { old: old.clone(), new: new.clone() });
        }
    }
    Ok(())
}

/// Writes the cursors and the configured connections once at every start: a flush must be followed by a sync of the
/// file, and whatever a killed process left in the system's cache reaches the device before anything is published.
fn prove_sync(db: &sled::Db, writer: &Writer, options: &Options) -> Result<(), OutboxError> {
    let before = power::fdatasyncs();
    let mut batch = sled::Batch::default();
    batch.insert(META, writer.meta.to_bytes());
    note_owner(&mut batch, options);
    for (name, source) in &options.connections {
        batch.insert(connection_key(layout::CONNECTION, name, &[]), source.as_bytes());
    }
    apply(db, batch)?;
    flush(db)?;
    if power::fdatasyncs() == before { Err(OutboxError::SyncMissing) } else { Ok(()) }
}
