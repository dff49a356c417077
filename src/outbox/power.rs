//! What stands between a sale and a power cut.
//!
//! sled 0.34.7 ends its `flush` with `sync_file_range`, which neither commits the file's size and extents nor empties
//! the card's cache: a cut could take the whole store. This file gives the program its own C symbol of that name, so
//! that every write of sled's log, its collector's included, ends with a real `fdatasync`. Whether the symbol was
//! taken depends on the linker, so [`fdatasyncs`] counts the calls and the outbox refuses a store on which a flush did
//! not move the count. It is the only file of this crate that may use `unsafe`.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

static FDATASYNCS: AtomicU64 = AtomicU64::new(0);

/// How often the log was synced to the device since the program began.
#[must_use]
pub fn fdatasyncs() -> u64 {
    FDATASYNCS.load(Ordering::SeqCst)
}

/// Takes the place of Linux's `sync_file_range(2)` in this program: syncs the whole file.
///
/// Returns 0, or −1 with `errno` set, as the system call does.
// SAFETY of the attribute: the signature is the C library's, and a caller that asked for less than a full sync loses
// nothing but time.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
pub extern "C" fn sync_file_range(
    fd: libc::c_int,
    _offset: libc::off64_t,
    _bytes: libc::off64_t,
    _flags: libc::c_uint,
) -> libc::c_int {
    #[cfg(test)]
    let image = witness::before(fd);
    // SAFETY: `fdatasync` takes any number as a descriptor and answers EBADF to a wrong one.
    let result = unsafe { libc::fdatasync(fd) };
    if result == 0 {
        FDATASYNCS.fetch_add(1, Ordering::SeqCst);
        #[cfg(test)]
        witness::after(fd, image);
    }
    result
}

/// For tests: what a power cut would leave of a file.
#[cfg(test)]
pub mod witness {
    use std::{
        collections::BTreeMap,
        fs,
        path::{Path, PathBuf},
        sync::{Mutex, PoisonError},
    };

    /// What is known of one file.
    #[derive(Debug, Clone, Default)]
    pub struct Seen {
        /// The file as the last sync left it on the device.
        pub durable: Vec<u8>,
        /// The file before the last sync: on the device, and as the system held it.
        pub in_flight: (Vec<u8>, Vec<u8>),
        /// How often it was synced.
        pub syncs: u64,
        /// Orders the images: syncs of several threads may end in another order than they began.
        taken: u64,
        durable_is: u64,
    }

    static FILES: Mutex<BTreeMap<PathBuf, Seen>> = Mutex::new(BTreeMap::new());

    fn with<T>(work: impl FnOnce(&mut BTreeMap<PathBuf, Seen>) -> T) -> T {
        work(&mut FILES.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Follows a file from now on, as it stands.
    pub fn follow(path: &Path) {
        let durable = fs::read(path).unwrap_or_default();
        with(|files| files.insert(path.to_owned(), Seen { durable, ..Seen::default() }));
    }

    /// What is known of a file that is followed.
    #[must_use]
    pub fn of(path: &Path) -> Seen {
        with(|files| files.get(path).cloned()).unwrap_or_default()
    }

    /// Follows it no more.
    pub fn forget(path: &Path) {
        with(|files| drop(files.remove(path)));
    }

    pub(super) fn before(fd: libc::c_int) -> Option<(u64, Vec<u8>)> {
        note(fd, |seen, now| {
            seen.in_flight = (seen.durable.clone(), now.clone());
            seen.taken += 1;
            (seen.taken, now)
        })
    }

    /// What was written while the sync ran may not be on the device: the file as it stood before it is.
    pub(super) fn after(fd: libc::c_int, image: Option<(u64, Vec<u8>)>) {
        let Some((taken, image)) = image else { return };
        note(fd, |seen, _| {
            seen.syncs += 1;
            if taken > seen.durable_is {
                (seen.durable, seen.durable_is) = (image, taken);
            }
        });
    }

    fn note<T>(fd: libc::c_int, work: impl FnOnce(&mut Seen, Vec<u8>) -> T) -> Option<T> {
        let path = fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
        with(|files| files.get_mut(&path).map(|seen| work(seen, fs::read(&path).unwrap_or_default())))
    }
}
