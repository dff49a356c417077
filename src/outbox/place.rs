//! The folder of a store: who may use it, what surely was handed out, and room to breathe on a full card.
//!
//! Beside sled's own folder `store` lie `lock` (the running daemon's pid), `marker.json` (a number that was surely
//! handed out) and `reserve` (a file to give up when the card is full). Whatever is written here is written to a
//! temporary file, synced, renamed, and its folder synced. Stores that could not be read lie there as
//! `store.unreadable-…`, and those of another outlet as `store.set-aside-…` (see `leaving`); none is ever removed, since
//! it may hold what HQ does not have. `store.copy` is a repair that is not done yet.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::OutboxError;

/// Kept aside, and given up so that a full card still lets acknowledged events be removed.
const RESERVE_BYTES: u64 = 4 * 1024 * 1024;

/// What sled itself writes when it opens a copy: a segment or two, and a snapshot.
const COPY_MARGIN_BYTES: u64 = 4 * 1024 * 1024;

/// More stores than this that could not be read are worth a word: they take the room that the queue will need.
const UNREADABLE_UNTOLD: usize = 3;

/// A store's folder, locked for this process.
#[derive(Debug)]
pub struct Place {
    folder: PathBuf,
    _lock: File,
}

/// A number that the store had surely handed out, and where it stood then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    pub stream: String,
    pub sequence: u64,
    /// Inode of sled's file: a store that was copied stands elsewhere.
    pub inode: u64,
    /// The system's machine id, where it has one.
    pub machine: Option<String>,
}

impl Place {
    /// Takes the folder, making it if it does not exist.
    pub fn take(folder: &Path) -> Result<Self, OutboxError> {
        let failed = |doing: &'static str, path: &Path| {
            let path = path.to_owned();
            move |cause: io::Error| OutboxError::Folder { doing, path, cause }
        };
        // What a shop sold is nobody else's business.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(failed("make the folder", folder))?;
        let path = folder.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed("open", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(folder, &mut lock)),
            Err(TryLockError::Error(cause)) => return Err(failed("lock", &path)(cause)),
        }
        // On a full card the pid cannot be written; the lock itself holds all the same.
        let _pid_is_only_a_courtesy =
            lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| writeln!(lock, "{}", std::process::id()));
        Ok(Self { folder: folder.to_owned(), _lock: lock })
    }

    /// Takes the folder of a store that is there, to look into it: the lock holds, and says nothing of who has it.
    pub fn visit(folder: &Path) -> Result<Self, OutboxError> {
        let path = folder.join("lock");
        let failed = |doing, cause| OutboxError::Folder { doing, path: path.clone(), cause };
        let mut lock = File::open(&path).map_err(|cause| failed("open", cause))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(in_use(folder, &mut lock)),
            Err(TryLockError::Error(cause)) => Err(failed("lock", cause)),
        }
    }

    pub fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    pub fn marker(&self) -> Option<Marker> {
        serde_json::from_slice(&fs::read(self.folder.join("marker.json")).ok()?).ok()
    }

    pub fn set_marker(&self, marker: &Marker) -> io::Result<()> {
        write_durably(&self.folder.join("marker.json"), serde_json::to_string(marker)?.as_bytes(), None)
    }

    /// Removes the marker, of a store that is not there any more.
    pub fn remove_marker(&self) -> io::Result<()> {
        match fs::remove_file(self.folder.join("marker.json")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => File::open(&self.folder)?.sync_all(),
        }
    }

    /// Inode of sled's file, 0 while there is none.
    pub fn inode(&self) -> u64 {
        fs::metadata(self.store().join("db")).map_or(0, |file| file.ino())
    }

    /// Makes the system read sled's file from the card when it is opened again. After a sync that failed its cache may
    /// hold what the card does not, and a second sync would succeed without writing it.
    pub fn forget_cached(&self) {
        if let Ok(file) = File::open(self.store().join("db")) {
            let _a_hint_that_is_not_taken_does_no_harm =
                rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
        }
    }

    /// Syncs what sled leaves unsynced when it makes its files.
    pub fn sync(&self) -> io::Result<()> {
        sync_store(&self.store())?;
        File::open(&self.folder)?.sync_all()?;
        self.folder.parent().map_or(Ok(()), |parent| match File::open(parent) {
            Ok(parent) => parent.sync_all(),
            // A parent that this user may not read was not made by this user either.
            Err(_) => Ok(()),
        })
    }

    /// Moves a store that cannot be read aside; gives its new place.
    pub fn put_aside(&self, stamp: &str) -> io::Result<PathBuf> {
        let mut aside = self.folder.join(format!("store.unreadable-{stamp}"));
        for again in 2.. {
            if !aside.exists() {
                break;
            }
            aside = self.folder.join(format!("store.unreadable-{stamp}-{again}"));
        }
        fs::rename(self.store(), &aside)?;
        File::open(&self.folder)?.sync_all()?;
        Ok(aside)
    }

    /// Removes what a cut-off snapshot left behind, which sled would refuse to open.
    pub fn remove_unfinished_snapshots(&self) {
        for entry in fs::read_dir(self.store()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("snap.") && name.ends_with(".generating") {
                let _sled_names_what_stays = fs::remove_file(entry.path());
            }
        }
    }

    /// Fails if the card has no room for a copy of the store, before a byte of it is written.
    pub fn refuse_copy_without_room(&self) -> io::Result<()> {
        // What an earlier attempt left behind is in nobody's way but the new copy's.
        self.remove_copy()?;
        let mut copied_bytes = 0;
        for entry in fs::read_dir(self.store())? {
            let entry = entry?;
            if is_copied(&entry)? {
                copied_bytes += entry.metadata()?.len();
            }
        }
        let free_bytes = self.free_bytes()?;
        if has_room_for_copy(copied_bytes, free_bytes) {
            return Ok(());
        }
        let needed_bytes = copied_bytes.saturating_add(COPY_MARGIN_BYTES);
        let crowd = self.crowd();
        let text = format!(
            "it is damaged, and to repair it takes {needed_bytes} bytes on the card, of which {free_bytes} are free{crowd}"
        );
        Err(io::Error::new(io::ErrorKind::StorageFull, text))
    }

    /// A word on the stores that could not be read, if there are many of them.
    pub fn crowd(&self) -> String {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let unreadable = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("store.unreadable-"));
        match unreadable.count() {
            few if few <= UNREADABLE_UNTOLD => String::new(),
            many => format!("; {many} stores that could not be read are kept in {}", self.folder.display()),
        }
    }

    /// Copies the store without its snapshots, which sled rebuilds from the log: for a store that does not open.
    pub fn copy_without_snapshots(&self) -> io::Result<PathBuf> {
        let copy = self.folder.join("store.copy");
        self.remove_copy()?;
        fs::create_dir(&copy)?;
        let copied = fs::read_dir(self.store())?.try_for_each(|entry| {
            let entry = entry?;
            if is_copied(&entry)? {
                let to = copy.join(entry.file_name());
                fs::copy(entry.path(), &to)?;
                File::open(to)?.sync_all()?;
            }
            Ok(())
        });
        if copied.is_err() {
            self.remove_copy()?;
        }
        copied.map(|()| copy)
    }

    /// Removes a copy that is of no use; the store it was made from stays.
    pub fn remove_copy(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.folder.join("store.copy")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => File::open(&self.folder)?.sync_all(),
        }
    }

    /// Puts a copy that opens in the place of the store that does not.
    pub fn adopt(&self, copy: &Path, stamp: &str) -> io::Result<PathBuf> {
        sync_store(copy)?;
        let aside = self.put_aside(stamp)?;
        self.finish_adopting()?;
        Ok(aside)
    }

    /// Puts a copy in the place of a store that was moved aside, also after that was cut off between the two renames.
    ///
    /// A copy without a store beside it is whole: `store` is moved away only by [`Place::adopt`], once its copy was
    /// read and synced, and by [`Place::put_aside`] on its own, before which the copy is removed for certain. A copy
    /// that was cut off has its store beside it, and is left alone.
    pub fn finish_adopting(&self) -> io::Result<()> {
        let copy = self.folder.join("store.copy");
        if self.store().try_exists()? || !copy.try_exists()? {
            return Ok(());
        }
        fs::rename(copy, self.store())?;
        File::open(&self.folder)?.sync_all()
    }

    /// Bytes that the file system still has for us.
    pub fn free_bytes(&self) -> io::Result<u64> {
        let file_system = rustix::fs::statvfs(&self.folder)?;
        Ok(file_system.f_bavail.saturating_mul(file_system.f_frsize))
    }

    /// Makes the reserve if it is not there and there is ample room for it.
    pub fn keep_reserve(&self) {
        let path = self.folder.join("reserve");
        if !path.exists() && self.free_bytes().is_ok_and(|free| free > 4 * RESERVE_BYTES) {
            let made = File::create(&path).and_then(|file| {
                rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, RESERVE_BYTES)?;
                file.sync_all()
            });
            if made.is_err() {
                let _a_reserve_that_is_not_whole_is_none = fs::remove_file(&path);
            }
        }
    }

    /// Gives the reserve up; tells whether there was one.
    pub fn give_reserve_up(&self) -> bool {
        fs::remove_file(self.folder.join("reserve")).is_ok()
    }
}

fn in_use(folder: &Path, lock: &mut File) -> OutboxError {
    let mut pid = String::new();
    let _unreadable_pid_is_named_so = lock.read_to_string(&mut pid);
    OutboxError::InUse { folder: folder.to_owned(), pid: pid.trim().parse().ok() }
}

/// Whether a daemon has the folder of a store, and its process if it could be read. Nothing is changed to find out.
///
/// # Errors
/// The folder cannot be looked into.
pub fn held_by(folder: &Path) -> io::Result<Option<Option<u32>>> {
    match Place::visit(folder) {
        Ok(_given_back) => Ok(None),
        Err(OutboxError::InUse { pid, .. }) => Ok(Some(pid)),
        Err(OutboxError::Folder { cause, .. }) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        Err(_) => Ok(None),
    }
}

/// Whether a copy leaves sled room to work.
fn has_room_for_copy(copied_bytes: u64, free_bytes: u64) -> bool {
    copied_bytes.saturating_add(COPY_MARGIN_BYTES) <= free_bytes
}

/// Whether a file of the store belongs into a copy.
fn is_copied(entry: &fs::DirEntry) -> io::Result<bool> {
    Ok(entry.file_type()?.is_file() && !entry.file_name().to_string_lossy().starts_with("snap."))
}

/// Syncs sled's files and the folder that names them.
fn sync_store(store: &Path) -> io::Result<()> {
    for name in ["conf", "db", "blobs", "."] {
        let path = store.join(name);
        if path.exists() {
            File::open(path)?.sync_all()?;
        }
    }
    Ok(())
}

/// The system's machine id.
pub fn machine_id() -> Option<String> {
    let id = fs::read_to_string("/etc/machine-id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// Replaces a file so that after a power cut either the old or the new one stands there, whole. Root gives it to the
/// owner and the group that are named.
///
/// # Errors
/// The file system refuses one of the steps; the old file then still stands there.
pub fn write_durably(path: &Path, bytes: &[u8], owner: Option<(u32, u32)>) -> io::Result<()> {
    let temporary = path.with_extension("new");
    // One that was left there may be open to others, or lead elsewhere: what is written may be a secret.
    fs::remove_file(&temporary).or_else(|fault| match fault.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(fault),
    })?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = file.metadata()?;
    // Only root can give a file away, and only root needs to.
    if let Some((user, group)) = owner.filter(|owner| written.uid() == 0 && *owner != (0, written.gid())) {
        fchown(&file, Some(user), Some(group))?;
    }
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_lies_in_wait_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("token"), folder.path().join("other"));
        fs::write(&other, "kept").unwrap();
        std::os::unix::fs::symlink(&other, file.with_extension("new")).unwrap();
        write_durably(&file, b"secret", None).unwrap();
        assert_eq!((fs::read(&file).unwrap(), fs::read(&other).unwrap()), (b"secret".to_vec(), b"kept".to_vec()));
        assert!(fs::symlink_metadata(&file).unwrap().is_file());
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_copy_needs_its_size_and_a_margin() {
        assert!(has_room_for_copy(1_000_000, 1_000_000 + COPY_MARGIN_BYTES));
        assert!(!has_room_for_copy(1_000_000, 1_000_000 + COPY_MARGIN_BYTES - 1));
        assert!(!has_room_for_copy(u64::MAX, u64::MAX - 1));
    }

    #[test]
    fn a_store_without_room_for_its_copy_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::take(folder.path()).unwrap();
        fs::create_dir(place.store()).unwrap();
        // A file with a hole: larger than any card, and no work to write.
        let db = File::create(place.store().join("db")).unwrap();
        db.set_len(1 << 43).unwrap();
        for number in 0..4 {
            fs::create_dir(folder.path().join(format!("store.unreadable-{number}"))).unwrap();
        }
        let error = place.refuse_copy_without_room().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().contains("; 4 stores that could not be read are kept in "), "{error}");
        assert!(!folder.path().join("store.copy").exists());
        db.set_len(1 << 10).unwrap();
        place.refuse_copy_without_room().unwrap();
        fs::remove_dir(folder.path().join("store.unreadable-0")).unwrap();
        assert_eq!(place.crowd(), "");
    }
}
