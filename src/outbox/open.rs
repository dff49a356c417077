//! Opening a store, and opening it again: what does not open is put aside, never deleted, and a store that lost its
//! tail never goes on as if it had not.

use std::{
    any::Any,
    collections::BTreeMap,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, RwLock},
};

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use super::{
    Level, Options, Outbox, OutboxError, Writer,
    layout::{self, ChunkHead, META, connection_key},
    meta::{LAYOUT_VERSION, Meta},
    place::{Marker, Place, machine_id},
    power,
    stage::{apply, flush},
};
use crate::{event::StreamId, gap::Gap};

/// sled's page cache: it holds what is read and written, and a box has 512 MB for everything.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// sled collects one segment of garbage each time.
const COLLECT_EVERY_MS: u64 = 250;

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
        let db = open_tolerantly(&place, now, &mut findings)?;
        let mut writer = read_writer(&db, &place, &mut findings)?;
        check_connections(&db, &options)?;
        prove_sync(&db, &writer)?;
        place.sync().map_err(|cause| OutboxError::Folder { doing: "sync", path: place.store(), cause })?;
        place.keep_reserve();
        let outbox = Self {
            options,
            place,
            db: RwLock::new(Some(db)),
            writer: Mutex::new(writer),
            level: watch::Sender::new(Level::default()),
        };
        let mut writer = outbox.writer();
        outbox.move_marker(&mut writer);
        outbox.publish_level(&writer);
        drop(writer);
        Ok(Opened { outbox, findings })
    }

    /// Takes a generation for a stream that has none yet; published events carry it.
    ///
    /// # Errors
    /// The store fails.
    pub fn take_generation(&self, generation: u32) -> Result<(), OutboxError> {
        let mut writer = self.writer();
        if writer.meta.generation.is_none() {
            let mut meta = writer.meta.clone();
            meta.generation = Some(generation);
            self.write_meta(&meta)?;
            writer.meta = meta;
        }
        Ok(())
    }

    /// Begins a new stream: HQ's word shows that this store lost its tail, or that another box came after it. What was
    /// not released goes into the new stream; what was seen is forgotten, so the source is read again.
    ///
    /// # Errors
    /// The store fails.
    pub fn begin_stream(&self, generation: Option<u32>) -> Result<(), OutboxError> {
        let mut writer = self.writer();
        {
            let db = self.db();
            begin_stream(super::open_db(&db)?, &mut writer, generation)?;
        }
        self.move_marker(&mut writer);
        self.publish_level(&writer);
        Ok(())
    }

    /// Closes a store that failed: sled refuses everything after an error until it is opened again.
    pub(super) fn close_failed(&self, writer: &mut Writer, cause: String) {
        tracing::error!(%cause, "outbox: the store failed; it is opened again");
        writer.closed = Some(cause);
        writer.seen = None;
        let db = self.db.write().unwrap_or_else(PoisonError::into_inner).take();
        // Dropping the last handle flushes, which fails again on the same card: that must not end the daemon.
        let _the_failure_is_known = catch_unwind(AssertUnwindSafe(|| drop(db)));
        self.publish_level(writer);
    }

    /// Opens a store that failed again.
    pub(super) fn open_again(&self, writer: &mut Writer, now: DateTime<Utc>) -> Result<(), OutboxError> {
        if self.place.free_bytes().is_ok_and(|free| free < super::FREE_MIN_BYTES) && self.place.give_reserve_up() {
            tracing::warn!("outbox: the card is full; its reserve is given up so that what HQ has can be removed");
        }
        let mut findings = Vec::new();
        let db = open_tolerantly(&self.place, now, &mut findings)?;
        let mut opened = read_writer(&db, &self.place, &mut findings)?;
        prove_sync(&db, &opened)?;
        for finding in &findings {
            tracing::error!(?finding, "outbox: opened again after a failure");
        }
        let waiting_cursors = std::mem::take(&mut writer.waiting_cursors);
        let same_stream = opened.meta.stream == writer.meta.stream;
        opened.epoch = writer.epoch + u64::from(!same_stream);
        if same_stream {
            opened.waiting_cursors = waiting_cursors;
        }
        *writer = opened;
        *self.db.write().unwrap_or_else(PoisonError::into_inner) = Some(db);
        self.move_marker(writer);
        tracing::info!("outbox: the store is open again");
        Ok(())
    }

    fn write_meta(&self, meta: &Meta) -> Result<(), OutboxError> {
        let db = self.db();
        let tree = super::open_db(&db)?;
        let mut batch = sled::Batch::default();
        batch.insert(META, serde_json::to_vec(meta).unwrap_or_default());
        apply(tree, batch)?;
        flush(tree)
    }
}

/// Opens sled's folder: as it is, else without its snapshots, else anew beside what cannot be read.
fn open_tolerantly(place: &Place, now: DateTime<Utc>, findings: &mut Vec<Finding>) -> Result<sled::Db, OutboxError> {
    place.remove_unfinished_snapshots();
    let stamp = now.format("%Y%m%dT%H%M%SZ").to_string();
    let folder_error = |doing| move |cause| OutboxError::Folder { doing, path: PathBuf::from("store"), cause };
    let cause = match open_sled(&place.store()) {
        Ok(db) => return Ok(db),
        Err(Unopened::System(cause)) => {
            return Err(OutboxError::Folder { doing: "open the store in", path: place.store(), cause });
        }
        Err(Unopened::Damaged(cause)) => cause,
    };
    let copy = place.copy_without_snapshots().map_err(folder_error("copy"))?;
    if let Ok(db) = open_sled(&copy) {
        drop(db);
        let original = place.adopt(&copy, &stamp).map_err(folder_error("move aside"))?;
        findings.push(Finding::Repaired { original });
    } else {
        let to = place.put_aside(&stamp).map_err(folder_error("move aside"))?;
        findings.push(Finding::PutAside { to, cause });
    }
    open_sled(&place.store()).map_err(|unopened| match unopened {
        Unopened::System(cause) => OutboxError::Folder { doing: "open the store in", path: place.store(), cause },
        Unopened::Damaged(cause) => OutboxError::Engine(cause),
    })
}

enum Unopened {
    /// The file system refuses: permissions, a full or read-only card. The store itself may be sound.
    System(io::Error),
    /// The store cannot be read.
    Damaged(String),
}

fn open_sled(folder: &Path) -> Result<sled::Db, Unopened> {
    let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(Some(COLLECT_EVERY_MS));
    match catch_unwind(AssertUnwindSafe(|| config.open())) {
        Ok(Ok(db)) => Ok(db),
        Ok(Err(sled::Error::Io(cause))) if is_the_systems(&cause) => Err(Unopened::System(cause)),
        Ok(Err(error)) => Err(Unopened::Damaged(error.to_string())),
        Err(panic) => Err(Unopened::Damaged(format!("it panicked: {}", panic_text(&*panic)))),
    }
}

/// Whether an error speaks of the file system and not of the store's content.
fn is_the_systems(cause: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull, WouldBlock};
    matches!(
        cause.kind(),
        PermissionDenied | ReadOnlyFilesystem | StorageFull | QuotaExceeded | NotADirectory | WouldBlock
    ) || cause.raw_os_error().is_some()
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word").to_owned()
}

/// Reads the cursors and the ends of the queue, and looks for signs of a lost tail.
fn read_writer(db: &sled::Db, place: &Place, findings: &mut Vec<Finding>) -> Result<Writer, OutboxError> {
    let marker = place.marker();
    let stored: Option<Meta> = db.get(META)?.and_then(|value| serde_json::from_slice(&value).ok());
    let found = stored.as_ref().map_or(LAYOUT_VERSION, |meta| meta.version);
    if found > LAYOUT_VERSION {
        return Err(OutboxError::NewerVersion { found, known: LAYOUT_VERSION });
    }
    let fresh = stored.is_none();
    let random = || StreamId::random().map_err(|_| OutboxError::Engine("no random bytes".to_owned()));
    let meta = match stored {
        Some(meta) => meta,
        None => Meta::begin(random()?, 0),
    };
    let ends = queue_ends(db)?;
    let mut writer = Writer {
        epoch: 1,
        last: ends.map_or(meta.released, |(_, newest)| newest.last()),
        cumulative_bytes: ends.map_or(0, |(_, newest)| newest.cumulative_bytes),
        removed_bytes: ends.map_or(0, |(oldest, _)| oldest.cumulative_bytes - u64::from(oldest.stored_bytes)),
        seen: None,
        waiting_cursors: BTreeMap::new(),
        open_gaps: read_gaps(db)?,
        closed: None,
        marker: None,
        meta,
    };
    // What was acknowledged can stand beyond what is left only if the tail is gone.
    let beyond = writer.meta.acknowledged > writer.last;
    writer.meta.acknowledged = writer.meta.acknowledged.min(writer.last);
    let sign = if fresh && marker.is_some() {
        Some("the store is empty, and was not")
    } else if fresh {
        findings.push(Finding::Fresh);
        None
    } else {
        lost_tail_sign(&writer, marker.as_ref(), place).or(beyond.then_some("events that HQ has are not in it"))
    };
    if let Some(why) = sign {
        findings.push(Finding::NewStream { why });
        begin_stream(db, &mut writer, None)?;
    }
    Ok(writer)
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

/// Forgets what was seen and read, and begins a stream after what was released.
fn begin_stream(tree: &sled::Tree, writer: &mut Writer, generation: Option<u32>) -> Result<(), OutboxError> {
    let id = StreamId::random().map_err(|_| OutboxError::Engine("no random bytes".to_owned()))?;
    let mut batch = sled::Batch::default();
    for kind in [layout::SEEN, layout::CURSOR, layout::CLOSING] {
        for key in tree.scan_prefix([kind]).keys() {
            batch.remove(key?);
        }
    }
    let mut meta = Meta::begin(id, writer.meta.released);
    meta.generation = generation;
    batch.insert(META, serde_json::to_vec(&meta).unwrap_or_default());
    apply(tree, batch)?;
    flush(tree)?;
    writer.meta = meta;
    writer.epoch += 1;
    writer.seen = None;
    writer.waiting_cursors.clear();
    Ok(())
}

/// The oldest and the newest chunk.
fn queue_ends(db: &sled::Db) -> Result<Option<(ChunkHead, ChunkHead)>, OutboxError> {
    let damaged = || OutboxError::Engine("the queue's first or last chunk is damaged".to_owned());
    let Some(oldest) = db.scan_prefix([layout::QUEUE]).next() else { return Ok(None) };
    let (key, value) = oldest?;
    let (first, _) = layout::read_chunk_key(&key).ok_or_else(damaged)?;
    let oldest = ChunkHead::read(first, &value).ok_or_else(damaged)?;
    let Some(newest) = db.scan_prefix([layout::QUEUE]).next_back() else { return Ok(None) };
    let (first, _) = layout::read_chunk_key(&newest?.0).ok_or_else(damaged)?;
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

/// Refuses a renamed connection, and remembers the ones that are configured.
fn check_connections(db: &sled::Db, options: &Options) -> Result<(), OutboxError> {
    let mut known = BTreeMap::new();
    for row in db.scan_prefix([layout::CONNECTION]) {
        let (key, value) = row?;
        let name = String::from_utf8_lossy(&key[1..]).trim_end_matches('\0').to_owned();
        known.insert(name, String::from_utf8_lossy(&value).into_owned());
    }
    let mut batch = sled::Batch::default();
    for (name, source) in &options.connections {
        if known.get(name) == Some(source) {
            continue;
        }
        let gone = known.iter().find(|(old, old_source)| {
            *old_source == source
                && !options.connections.iter().any(|(name, _)| name == *old)
                && !options.retired.contains(old)
        });
        if let (false, Some((old, _))) = (known.contains_key(name), gone) {
            return Err(OutboxError::Renamed { old: old.clone(), new: name.clone() });
        }
        batch.insert(connection_key(layout::CONNECTION, name, &[]), source.as_bytes());
    }
    apply(db, batch)
}

/// Writes the cursors once at every start: a flush must be followed by a sync of the file, and whatever a killed
/// process left in the system's cache reaches the device before anything is published.
fn prove_sync(db: &sled::Db, writer: &Writer) -> Result<(), OutboxError> {
    let before = power::fdatasyncs();
    let mut batch = sled::Batch::default();
    batch.insert(META, serde_json::to_vec(&writer.meta).unwrap_or_default());
    apply(db, batch)?;
    flush(db)?;
    if power::fdatasyncs() == before { Err(OutboxError::SyncMissing) } else { Ok(()) }
}
