//! Files come to their place and leave the boot partition, so that a power cut at any moment leaves one copy whole.
//!
//! 1. Every file is written beside its place under a temporary name and synced: a full disk is noticed before anything
//!    is replaced.
//! 2. They are renamed, the config last, and the folder is synced.
//! 3. Only then are the copies on the boot partition overwritten, synced and removed.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown},
    path::{Path, PathBuf},
};

/// Temporary files begin so.
const ARRIVING: &str = ".arriving-";

/// A file's name at its place, and its content.
pub(super) type Piece = (String, Vec<u8>);

/// Steps 1 and 2.
pub(super) fn put(folder: &Path, pieces: &[Piece], owner: Option<(u32, u32)>) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    sweep(folder)?;
    let put = put_all(folder, pieces, owner);
    if put.is_err() {
        let _the_next_start_sweeps_again = sweep(folder);
    }
    put
}

fn put_all(folder: &Path, pieces: &[Piece], owner: Option<(u32, u32)>) -> io::Result<()> {
    let temporary = |name: &str| folder.join(format!("{ARRIVING}{name}"));
    for (name, bytes) in pieces {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary(name))?;
        // Only root can give a file away, and only root needs to.
        if let Some((user, group)) = owner.filter(|_| file.metadata().is_ok_and(|made| made.uid() == 0)) {
            fchown(&file, Some(user), Some(group))?;
        }
        file.write_all(bytes)?;
        file.sync_all()?;
    }
    for (name, _) in pieces {
        fs::rename(temporary(name), folder.join(name))?;
    }
    sync(folder)
}

/// Removes what an interrupted start left: it may hold secrets.
pub(super) fn sweep(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(ARRIVING) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Step 3 for one file: zeros over its bytes, where they are, and it is gone.
pub(super) fn erase(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let mut left = file.metadata()?.len();
    let zeros = [0; 4096];
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
        file.write_all(&zeros[..length])?;
        left -= length as u64;
    }
    // Before the name goes: afterwards nothing tells which blocks were to be overwritten.
    file.sync_all()?;
    drop(file);
    fs::remove_file(path)?;
    path.parent().map_or(Ok(()), sync)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A user's id and group, as `/etc/passwd` knows them.
pub(super) fn owner(user: &str) -> Option<(u32, u32)> {
    let users = fs::read_to_string(PathBuf::from("/etc/passwd")).ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        (name == user).then_some((uid.parse().ok()?, gid.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_to_their_place_and_what_lay_in_the_way_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("etc");
        fs::create_dir(&place).unwrap();
        fs::write(place.join(".arriving-old"), "a secret").unwrap();
        put(&place, &[("box.key".into(), b"key".into()), ("tillbox.toml".into(), b"new".into())], None).unwrap();
        let names: std::collections::BTreeSet<_> =
            fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["box.key", "tillbox.toml"]);
        assert_eq!(fs::metadata(place.join("box.key")).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_erased_is_zeros_first_and_then_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, also) = (folder.path().join("tillbox.toml"), folder.path().join("also"));
        fs::write(&path, vec![b'x'; 10_000]).unwrap();
        // A second name shows what became of the bytes.
        fs::hard_link(&path, &also).unwrap();
        erase(&path).unwrap();
        erase(&path).unwrap();
        assert!(!path.exists());
        assert_eq!(fs::read(also).unwrap(), vec![0; 10_000]);
    }

    #[test]
    fn an_owner_is_known_by_name() {
        assert_eq!(owner("root"), Some((0, 0)));
        assert_eq!(owner("nobody-of-this-name"), None);
    }
}
