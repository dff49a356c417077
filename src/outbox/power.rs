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
    // SAFETY: `fdatasync` takes any number as a descriptor and answers EBADF to a wrong one.
    let result = unsafe { libc::fdatasync(fd) };
    if result == 0 {
        FDATASYNCS.fetch_add(1, Ordering::SeqCst);
    }
    result
}
