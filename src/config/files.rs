//! The files that a config names: secrets and certificates, and who else can read them.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::{meant, read::Read};
use crate::secret::{Secret, bare};

/// A password of MQTT is counted in 16 bits; no secret is longer.
const MAX_SECRET_BYTES: u64 = 64 * 1024 - 1;
/// A whole store of authorities is some 250 KiB.
const MAX_PEM_BYTES: u64 = 4 * 1024 * 1024;
/// Each line of a board takes a handful of keys.
const MAX_PROFILE_BYTES: u64 = 64 * 1024;
/// The config holds a secret itself: only its owner may touch it.
const GROUP_AND_OTHERS: u32 = 0o077;
/// A secret's own file may be shared with a group, as systemd does with credentials.
const OTHERS: u32 = 0o007;

/// Where a config stands: it settles relative paths, the names in messages, and whether it may hold secrets.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The config file, as it is called in messages.
    pub path: &'a Path,
    /// Its permission bits.
    pub mode: u32,
    /// Set while the config is only on its way to `path`.
    pub arriving: Option<&'a Arriving>,
}

/// A folder from which a config comes, and with it files that it names: they are looked at there first, as they will
/// lie beside the config. Whoever can read them there is no matter, they get modes of their own.
#[derive(Debug)]
pub struct Arriving {
    folder: PathBuf,
    found: RefCell<BTreeMap<String, Arrival>>,
}

/// How a file that the config names lies in the folder from which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// To be carried over.
    Whole,
    /// It is being erased there: what was carried over before counts.
    Remains,
}

impl Arriving {
    /// From this folder.
    #[must_use]
    pub fn from(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), found: RefCell::default() }
    }

    /// The names of the files that the config names and that lie there, once it was read.
    #[must_use]
    pub fn found(self) -> BTreeMap<String, Arrival> {
        self.found.into_inner()
    }

    /// Where to look at a file that is to lie at `path`.
    fn look(&self, path: &Path) -> Option<PathBuf> {
        let name = path.file_name()?.to_str()?;
        let here = self.folder.join(name);
        let arrives = || read(&here, MAX_PEM_BYTES);
        if !fs::metadata(&here).is_ok_and(|metadata| metadata.is_file()) {
            return None;
        }
        let erased = arrives().is_ok_and(|bytes| is_remains_of(&bytes, path));
        let arrival = if erased { Arrival::Remains } else { Arrival::Whole };
        self.found.borrow_mut().insert(name.to_owned(), arrival);
        (!erased).then_some(here)
    }
}

/// Whether these are the bytes of the file at `path` with some of them zeroed: it was being erased when the power went.
#[must_use]
pub fn is_remains_of(bytes: &[u8], path: &Path) -> bool {
    let zeroed = |(byte, whole): (&u8, &u8)| *byte == 0 || byte == whole;
    let is_shorter = |whole: &[u8]| whole.len() == bytes.len() && bytes.iter().zip(whole).all(zeroed);
    bytes.contains(&0) && fs::read(path).is_ok_and(|whole| !whole.contains(&0) && is_shorter(&whole))
}

/// What a PEM file is to hold, as its begin marker says.
#[derive(Clone, Copy)]
pub(super) enum Pem {
    Certificate,
    PrivateKey,
}

impl Origin<'_> {
    /// A path of the config; a relative one begins at the config's folder.
    pub(super) fn resolve(&self, text: &str) -> Read<PathBuf> {
        if text.is_empty() {
            return Err("is empty; write a path".to_owned());
        }
        if let Some(odd) = text.chars().find(|c| meant::is_unseen(*c)) {
            return Err(format!("holds {}; write the path anew", meant::called(odd)));
        }
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let path = folder.join(text);
        // `./box.crt` lies beside the config, too.
        let beside = path.parent().is_some_and(|parent| parent.components().eq(folder.components()));
        let arrived = self.arriving.filter(|_| beside && path != self.path).and_then(|arriving| arriving.look(&path));
        Ok(arrived.unwrap_or(path))
    }

    /// Others must not use a secret's file; one that arrives gets another mode.
    fn others(&self, path: &Path) -> u32 {
        let arrives = self.arriving.is_some_and(|arriving| path.parent() == Some(&arriving.folder));
        if arrives { 0 } else { OTHERS }
    }

    /// A secret that stands in the config itself.
    pub(super) fn inline_secret(&self, text: &str, check: fn(&str) -> Read<()>) -> Read<Secret> {
        if self.mode & GROUP_AND_OTHERS != 0 {
            let (mode, path) = (self.mode & 0o777, self.path.display());
            return Err(format!(
                "a secret stands here, and not only its owner can read the file (mode {mode:04o}); run `chmod 600 {path}`"
            ));
        }
        check(text).map(|()| Secret::new(text))
    }

    /// A secret in a file of its own, without what nobody sees around it.
    pub(super) fn secret(&self, text: &str, check: fn(&str) -> Read<()>) -> Read<Secret> {
        let path = self.resolve(text)?;
        let bytes = read_private(&path, MAX_SECRET_BYTES, self.others(&path))?;
        let content = String::from_utf8(bytes)
            .map_err(|_| format!("{} is not text; write the secret alone into it", path.display()))?;
        let content = bare(&content);
        check(content).map_err(|message| format!("what {} holds {message}", path.display()))?;
        Ok(Secret::new(content))
    }

    /// A board's profile.
    pub(super) fn profile(&self, text: &str) -> Read<String> {
        let path = self.resolve(text)?;
        let bytes = read(&path, MAX_PROFILE_BYTES)?;
        String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8; save it as UTF-8", path.display()))
    }

    /// A file of certificates; only its marker is looked at, its content is the TLS library's to judge.
    pub(super) fn certificate(&self, text: &str) -> Read<PathBuf> {
        let path = self.resolve(text)?;
        let bytes = read(&path, MAX_PEM_BYTES)?;
        Pem::Certificate.check(&path, &bytes)
    }

    /// A file with a private key, which is a secret.
    pub(super) fn private_key(&self, text: &str) -> Read<PathBuf> {
        let path = self.resolve(text)?;
        let bytes = read_private(&path, MAX_PEM_BYTES, self.others(&path))?;
        Pem::PrivateKey.check(&path, &bytes)
    }
}

impl Pem {
    fn check(self, path: &Path, bytes: &[u8]) -> Read<PathBuf> {
        let wanted = match self {
            Self::Certificate => "CERTIFICATE-----",
            Self::PrivateKey => "PRIVATE KEY-----",
        };
        let content = String::from_utf8_lossy(bytes);
        let mut labels = content.lines().filter_map(|line| line.trim().strip_prefix("-----BEGIN "));
        if labels.any(|label| label.ends_with(wanted)) {
            return Ok(path.to_owned());
        }
        Err(format!("{} has no line `-----BEGIN {wanted}`; give the file in PEM form", path.display()))
    }
}

fn read_private(path: &Path, limit: u64, others: u32) -> Read<Vec<u8>> {
    let bytes = read(path, limit)?;
    let mode = fs::metadata(path).map_err(|e| unreadable(path, &e))?.permissions().mode();
    if mode & others != 0 {
        let path = path.display();
        return Err(format!(
            "others can use {path}, which holds a secret (mode {:04o}); run `chmod o= {path}`",
            mode & 0o777
        ));
    }
    Ok(bytes)
}

fn read(path: &Path, limit: u64) -> Read<Vec<u8>> {
    let metadata = fs::metadata(path).map_err(|e| unreadable(path, &e))?;
    // Opening a pipe would wait for its writer.
    if !metadata.is_file() {
        return Err(format!("{} is no regular file; name a file", path.display()));
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|e| unreadable(path, &e))?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| unreadable(path, &e))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
        return Err(format!("{} is longer than {limit} bytes; name another file", path.display()));
    }
    Ok(bytes)
}

/// Shows only the part of the path that exists: who writes the secret itself where its file's name belongs must not
/// find it in the journal.
fn unreadable(path: &Path, error: &io::Error) -> String {
    let exists = |path: &&Path| path.symlink_metadata().is_ok();
    let reason = reason(error);
    match path.ancestors().find(exists) {
        Some(known) if known == path => format!("{} cannot be read: {reason}", path.display()),
        Some(known) => format!("the path is good up to {} only: {reason}", known.display()),
        None => reason,
    }
}

/// Why a file cannot be read, and what to do.
pub(super) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file; create it or correct the path".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied; let the daemon's user read it".to_owned(),
        _ => format!("{error}; correct the path"),
    }
}
