//! sled behind a wall: what it answers, and what it panics about, becomes an [`OutboxError`] that says what to do.

// A store whose failures end the process could not be closed, put aside and opened again.
#[cfg(panic = "abort")]
compile_error!("the outbox needs unwinding: build without panic = \"abort\"");

use std::{
    any::Any,
    fs::File,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::OutboxError;

/// sled's page cache: it holds what is read and written, and a box has 512 MB for everything.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// sled collects garbage for at most half of this each time, and then wakes the card: it syncs, written or not.
const COLLECT_EVERY_MS: u64 = 1_000;

/// How long sled's own threads may go on holding the file of a store that was just closed.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// Opens sled's folder.
pub fn open_sled(folder: &Path) -> Result<sled::Db, OutboxError> {
    let begun = Instant::now();
    loop {
        match open_once(folder) {
            Err(OutboxError::Folder { cause, .. }) if is_locked(&cause) && begun.elapsed() < LOCK_PATIENCE => {
                thread::park_timeout(LOCK_PATIENCE / 50);
            }
            other => return other,
        }
    }
}

/// Waits until sled's own threads let go of a store that was just closed: before that they may still write to it.
pub fn wait_until_closed(folder: &Path) {
    let begun = Instant::now();
    // A file that cannot be opened is held by nobody; one that stays held is copied as it is.
    while let Ok(file) = File::open(folder.join("db"))
        && file.try_lock().is_err()
        && begun.elapsed() < LOCK_PATIENCE
    {
        thread::park_timeout(LOCK_PATIENCE / 50);
    }
}

fn open_once(folder: &Path) -> Result<sled::Db, OutboxError> {
    let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(Some(COLLECT_EVERY_MS));
    match catch_unwind(AssertUnwindSafe(|| config.open())) {
        Ok(Ok(db)) => Ok(db),
        Ok(Err(sled::Error::Io(cause))) if is_the_systems(&cause) => {
            Err(OutboxError::Folder { doing: "open the store in", path: folder.to_owned(), cause })
        }
        Ok(Err(error)) => Err(OutboxError::Damaged(error.to_string())),
        Err(panic) => Err(OutboxError::Damaged(format!("it panicked while it was opened: {}", panic_text(&*panic)))),
    }
}

/// Does something with the store; a panic in it is a failure of the store like any other.
pub fn guarded<T>(doing: &str, work: impl FnOnce() -> Result<T, OutboxError>) -> Result<T, OutboxError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(OutboxError::Damaged(format!("it panicked while {doing}: {}", panic_text(&*panic))))
    })
}

/// The row with the greatest number, of those that are written from `from` to `most` as `key` spells numbers.
///
/// sled walks backwards as well, but what does so brings a constant of 1 MiB into the program, a sixth of it.
pub fn newest(
    tree: &sled::Tree,
    from: u64,
    most: u64,
    key: impl Fn(u64) -> Vec<u8>,
) -> sled::Result<Option<(sled::IVec, sled::IVec)>> {
    let first_from = |number| tree.range(key(number)..=key(most)).next().transpose();
    let Some(mut newest) = first_from(from)? else { return Ok(None) };
    // There are rows from `low` on, and none from `high` on. Steps double until they are too long, then halve.
    let (mut low, mut high, mut step) = (from, None, 1_u64);
    loop {
        let probe = match high {
            None => low.saturating_add(step).min(most),
            Some(high) => low + (high - low) / 2,
        };
        if probe == low {
            return Ok(Some(newest));
        }
        if let Some(row) = first_from(probe)? {
            (newest, low, step) = (row, probe, step.saturating_mul(2));
        } else {
            high = Some(probe);
        }
    }
}

/// Applies a batch to sled's log in memory.
pub fn apply(tree: &sled::Tree, batch: sled::Batch) -> Result<(), OutboxError> {
    guarded("committing", || Ok(tree.apply_batch(batch)?))
}

/// Returns when everything applied so far is on the device.
pub fn flush(tree: &sled::Tree) -> Result<(), OutboxError> {
    guarded("flushing", || {
        tree.flush()?;
        Ok(())
    })
}

/// Drops the last handle. That flushes, which fails again on the same card and must not end the daemon.
pub fn close(db: Option<sled::Db>) {
    let _the_failure_is_known = catch_unwind(AssertUnwindSafe(|| drop(db)));
}

impl From<sled::Error> for OutboxError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Corruption { .. } | sled::Error::ReportableBug(_) => Self::Damaged(error.to_string()),
            error => Self::Engine(error.to_string()),
        }
    }
}

/// Whether an error speaks of the system and not of the store's content: such a store may be sound, and stays.
fn is_the_systems(cause: &io::Error) -> bool {
    use io::ErrorKind::{
        NotADirectory, OutOfMemory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull, WouldBlock,
    };
    let kind = matches!(
        cause.kind(),
        PermissionDenied | ReadOnlyFilesystem | StorageFull | QuotaExceeded | NotADirectory | WouldBlock | OutOfMemory
    );
    let no_descriptors = matches!(cause.raw_os_error(), Some(libc::EMFILE | libc::ENFILE));
    kind || no_descriptors || is_locked(cause)
}

/// sled tells only in words that its file is locked: by what still holds the handle of a store that was closed.
fn is_locked(cause: &io::Error) -> bool {
    cause.to_string().starts_with("could not acquire lock")
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_row_is_the_one_that_walking_backwards_finds() {
        let folder = tempfile::TempDir::new().unwrap();
        let db = open_sled(folder.path()).unwrap();
        let key = |number: u64| [b"q".as_slice(), &number.to_be_bytes()].concat();
        db.insert("p", "before").unwrap();
        db.insert("r", "behind").unwrap();
        let found = |from| newest(&db, from, u64::MAX, key).unwrap();
        assert_eq!(found(0), None);
        for number in [7, 8, 9, 300, 301, 5_000, 1 << 40, u64::MAX - 1, u64::MAX] {
            db.insert(key(number), number.to_string().as_str()).unwrap();
            let last = db.scan_prefix("q").last().transpose().unwrap();
            for from in [0, 1, 7, number - 1, number] {
                assert_eq!(found(from), last, "{number} from {from}");
            }
            assert!(number == u64::MAX || found(number + 1).is_none());
        }
        assert_eq!(newest(&db, 0, 4_999, key).unwrap().unwrap().1, "301");
    }
}
