//! A store that leaves its place, since the box belongs to another outlet from now on: what was delivered is forgotten,
//! and what could not be sent is set aside in a folder of its own.
//!
//! Each is one rename, so that a cut leaves the old store in its place or a box without one. A set-aside store lies
//! beside the running one as `store.set-aside-OUTLET-STAMP`, an outbox folder by itself, with its marker; none is ever
//! removed. One that was sent since has `.sent` behind its name.
//!
//! Deliberately absent: taking anything of a store over into the next one. A cursor, a kept event or a nonce of another
//! shop would be a lie there.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    OutboxError, Owner,
    engine::wait_until_closed,
    error::waits,
    identity::{Held, held_at},
    place::{Place, write_durably},
};
use crate::instant;

/// How the folders of set-aside stores begin.
const SET_ASIDE: &str = "store.set-aside-";

/// What the folder of a set-aside store has behind its name once everything in it was delivered.
const SENT: &str = ".sent";

/// What lies beside a set-aside store, so that nobody must open it to tell of it.
const NOTE: &str = "set-aside.json";

/// A store that left its place with events that were not delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// Where it lies.
    pub folder: PathBuf,
    /// Whose it is.
    pub owner: Owner,
    /// Events that were not delivered when it was set aside.
    pub waiting: u64,
    /// When that was.
    pub at: String,
}

impl SetAside {
    /// What it is, and what to do about it, in one line.
    #[must_use]
    pub fn remedy(&self) -> String {
        let Self { folder, owner, waiting, at } = self;
        let folder = folder.display();
        let waits = waits(*waiting);
        format!(
            "the store of {owner} is set aside since {at}, and {waits}: send it with `tillbox outbox send {folder} \
             --config OLD.toml`, OLD.toml being that outlet's config"
        )
    }
}

/// Forgets a store of which everything was delivered, so that the next one begins with nothing.
///
/// # Errors
/// A daemon has it, it is not the owner's, something in it was not delivered, or the folder refuses. Then it stands there as
/// before.
pub fn forget_delivered(folder: &Path, owner: &Owner) -> Result<(), OutboxError> {
    let place = Place::take(folder)?;
    let held = held_at(&place)?;
    refuse_another(folder, &held, owner)?;
    if held.waiting > 0 {
        return Err(OutboxError::NotDelivered { folder: folder.to_owned(), waiting: held.waiting });
    }
    wait_until_closed(&place.store());
    let gone = folder.join("store.delivered");
    let failed = |doing, path: &Path| {
        let path = path.to_owned();
        move |cause| OutboxError::Folder { doing, path, cause }
    };
    // One that an earlier move was cut off from removing.
    remove(&gone).map_err(failed("remove", &gone))?;
    place.remove_copy().map_err(failed("remove the copy of", &place.store()))?;
    fs::rename(place.store(), &gone).map_err(failed("move", &place.store()))?;
    sync(folder).map_err(failed("sync", folder))?;
    place.remove_marker().map_err(failed("remove the marker in", folder))?;
    // What stays only takes room, and was delivered.
    if let Err(error) = remove(&gone) {
        tracing::warn!(%error, "outbox: {} cannot be removed", gone.display());
    }
    Ok(())
}

/// Sets a store aside as it is; gives its new place.
///
/// # Errors
/// A daemon has it, it is not the owner's, or the folder refuses. Then it stands there as before.
pub fn set_aside(folder: &Path, owner: &Owner, now: DateTime<Utc>) -> Result<SetAside, OutboxError> {
    let place = Place::take(folder)?;
    let held = held_at(&place)?;
    refuse_another(folder, &held, owner)?;
    wait_until_closed(&place.store());
    let (outlet, stamp) = (&owner.outlet, now.format("%Y%m%dT%H%M%SZ"));
    let mut to = folder.join(format!("{SET_ASIDE}{outlet}-{stamp}"));
    for again in 2.. {
        if !to.exists() && !sent_name(&to).exists() {
            break;
        }
        to = folder.join(format!("{SET_ASIDE}{outlet}-{stamp}-{again}"));
    }
    let aside =
        SetAside { folder: to.clone(), owner: owner.clone(), waiting: held.waiting, at: instant::text_utc(now) };
    let moved = || {
        place.remove_copy()?;
        DirBuilder::new().mode(0o700).create(&to)?;
        write_durably(&to.join(NOTE), &serde_json::to_vec(&aside)?, None)?;
        // Whoever opens the store there finds the lock to take, and the marker that belongs to it.
        File::create(to.join("lock"))?;
        if let Some(marker) = place.marker() {
            write_durably(&to.join("marker.json"), &serde_json::to_vec(&marker)?, None)?;
        }
        fs::rename(place.store(), to.join("store"))?;
        sync(&to)?;
        sync(folder)?;
        place.remove_marker()
    };
    moved().map_err(|cause| OutboxError::Folder { doing: "set the store aside to", path: to.clone(), cause })?;
    Ok(aside)
}

/// The stores that were set aside in a folder and that nobody has sent yet.
#[must_use]
pub fn set_aside_in(folder: &Path) -> Vec<SetAside> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with(SET_ASIDE) && !name.ends_with(SENT)
    });
    // A folder without a store is what is left of a move that was cut off.
    let stores = named.map(|entry| entry.path()).filter(|path| path.join("store").join("db").exists());
    let mut all: Vec<_> = stores.filter_map(|path| note_of(&path)).collect();
    all.sort_by(|a, b| a.folder.cmp(&b.folder));
    all
}

/// What the folder of a set-aside store says of itself; `None` if it is none.
#[must_use]
pub fn note_of(folder: &Path) -> Option<SetAside> {
    let note: SetAside = serde_json::from_slice(&fs::read(folder.join(NOTE)).ok()?).ok()?;
    Some(SetAside { folder: folder.to_owned(), ..note })
}

/// Gives a set-aside store of which everything was delivered the name that says so.
///
/// # Errors
/// A daemon has it, something in it was not delivered, or the folder refuses.
pub fn rename_sent(folder: &Path) -> Result<PathBuf, OutboxError> {
    let place = Place::take(folder)?;
    let held = held_at(&place)?;
    if held.waiting > 0 {
        return Err(OutboxError::NotDelivered { folder: folder.to_owned(), waiting: held.waiting });
    }
    let to = sent_name(folder);
    let renamed = fs::rename(folder, &to).and_then(|()| to.parent().map_or(Ok(()), sync));
    renamed.map_err(|cause| OutboxError::Folder { doing: "rename", path: folder.to_owned(), cause })?;
    Ok(to)
}

fn sent_name(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(SENT);
    PathBuf::from(name)
}

fn refuse_another(folder: &Path, held: &Held, owner: &Owner) -> Result<(), OutboxError> {
    match &held.owner {
        Some(holds) if holds == owner => Ok(()),
        Some(holds) => Err(OutboxError::OtherOutlet {
            folder: folder.to_owned(),
            holds: Box::new(holds.clone()),
            wanted: Box::new(owner.clone()),
            waiting: held.waiting,
        }),
        None => Err(OutboxError::NoOwner { folder: folder.to_owned() }),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
