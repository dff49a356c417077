//! The outbox's folder: who has it, whether the daemon could write there, and on what it lies.
//!
//! Nothing is made to find out: the system is asked what would be allowed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access, statfs, statvfs};
use tokio::sync::watch;

use super::Finding;
use crate::{
    config::{Outbox, size_text},
    outbox::held_by,
};

const ITEM: &str = "outbox";

/// With less than this the store cannot work.
const FREE_MIN_BYTES: u64 = 32 << 20;

/// Entries of the folder that are counted as its size, at most.
const ENTRIES_MAX: usize = 4_096;

/// File systems on which a store is not safe, by the number that the system gives, and why.
const DOUBTFUL: [(u32, &str, &str); 9] = [
    (0x0102_1994, "tmpfs", "sales that wait for HQ are lost when the power goes"),
    (0x8584_58f6, "ramfs", "sales that wait for HQ are lost when the power goes"),
    (0x794c_7630, "overlay", "it may be thrown away with its upper layer"),
    (0x0000_4d44, "vfat", "it has no owners, and a power cut may damage it"),
    (0x2011_bab0, "exfat", "it has no owners, and a power cut may damage it"),
    (0x0000_6969, "nfs", "without the network there is no store"),
    (0xff53_4d42, "cifs", "without the network there is no store"),
    (0xfe53_4d42, "smb", "without the network there is no store"),
    (0x7371_7368, "squashfs", "it cannot be written"),
];

/// Looks at the folder, and tells `running` whether a daemon has it.
pub fn check(outbox: &Outbox, running: &watch::Sender<Option<bool>>) -> Vec<Finding> {
    let path = &outbox.path;
    let holder = match held_by(path) {
        Ok(holder) => {
            running.send_replace(Some(holder.is_some()));
            holder
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let text = format!("found that {} cannot be looked into by this user (uid {})", path.display(), uid());
            return vec![Finding::correct(
                ITEM,
                text + "; expected the daemon's user",
                "run the check as the daemon's user",
            )];
        }
        Err(error) => {
            let text = format!("found that {} cannot be looked into: {error}; expected a folder", path.display());
            return vec![Finding::correct(ITEM, text, "correct path in [outbox]")];
        }
    };
    let (place, is_there) = nearest(path);
    let mut findings = vec![match holder {
        Some(pid) => Finding::ok(ITEM, format!("{}, in use by the running tillbox{}", path.display(), process(pid))),
        None => writable(path, &place, is_there),
    }];
    findings.extend(room(outbox, &place));
    findings.extend(kind(&place));
    findings
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The folder, or the nearest one above it that exists, and which of the two.
fn nearest(path: &Path) -> (PathBuf, bool) {
    let found = path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    (found.to_owned(), found == path)
}

fn writable(path: &Path, place: &Path, is_there: bool) -> Finding {
    let shown = path.display();
    if !place.is_dir() {
        let text = format!("found that {} is no folder; expected one", place.display());
        return Finding::correct(ITEM, text, "correct path in [outbox]");
    }
    // The store's own folder must be writable as well, where there is one: root may have made it.
    let store = Some(path.join("store")).filter(|store| store.exists());
    for folder in std::iter::once(place.to_owned()).chain(store) {
        if let Err(error) = access(&folder, Access::WRITE_OK | Access::READ_OK | Access::EXEC_OK) {
            let text = format!(
                "found that uid {} cannot write in {} ({error}); expected a folder to keep sales in",
                uid(),
                folder.display()
            );
            let remedy = if error == rustix::io::Errno::ROFS {
                "mount it for writing, or correct path in [outbox]"
            } else {
                "give it to the daemon's user (`chown`), run the check as that user, or correct path in [outbox]"
            };
            return Finding::correct(ITEM, text, remedy);
        }
    }
    let user = if uid() == 0 { "root (whatever user the daemon has)".to_owned() } else { format!("uid {}", uid()) };
    if is_there {
        Finding::ok(ITEM, format!("{shown} can be written by {user}"))
    } else {
        Finding::ok(ITEM, format!("{shown} is not there yet and can be made by {user}"))
    }
}

/// What is free, and what the store takes already, against what it may take.
fn room(outbox: &Outbox, place: &Path) -> Option<Finding> {
    let file_system = match statvfs(place) {
        Ok(file_system) => file_system,
        Err(error) => {
            let text = format!("found that the free space of {} is not told: {error}", place.display());
            return Some(Finding::warn(ITEM, text, "see that the card has room for max-size"));
        }
    };
    let free = file_system.f_bavail.saturating_mul(file_system.f_frsize);
    let taken = size_of(&outbox.path);
    let (needed, shown) = (outbox.max_bytes.saturating_sub(taken), size_text(free >> 20 << 20));
    let text = format!(
        "found {shown} free at {}, and {} taken by the store; expected {} in all for max-size",
        place.display(),
        size_text(taken >> 20 << 20),
        size_text(outbox.max_bytes)
    );
    let remedy = "make room on the card, or lower max-size in [outbox]";
    if free.saturating_add(taken) < FREE_MIN_BYTES {
        return Some(Finding::correct(ITEM, text, remedy));
    }
    (free < needed).then(|| Finding::warn(ITEM, text, remedy))
}

/// Bytes that the folder's files take, those of the store included.
fn size_of(folder: &Path) -> u64 {
    let files = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().take(ENTRIES_MAX);
    let bytes = |entry: fs::DirEntry| entry.metadata().ok().filter(fs::Metadata::is_file).map_or(0, |file| file.len());
    let inner = files(folder).filter(|entry| entry.path().is_dir()).flat_map(|folder| files(&folder.path()));
    files(folder).chain(inner).map(bytes).fold(0, u64::saturating_add)
}

fn kind(place: &Path) -> Option<Finding> {
    // The width of the number differs from machine to machine; its lowest 32 bits are the file system's.
    let number = statfs(place).ok().and_then(|found| u32::try_from(i128::from(found.f_type) & 0xffff_ffff).ok())?;
    let (_, name, why) = DOUBTFUL.iter().find(|(known, ..)| *known == number)?;
    let text = format!("found {name} at {}; expected a file system of the card: {why}", place.display());
    Some(Finding::warn(ITEM, text, "correct path in [outbox] if this is no trial"))
}
