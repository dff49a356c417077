//! A credential that no log, error, status or message can show, and the place where it stands.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// A credential. It has no `Display` and its `Debug` hides it; only [`Secret::expose`] gives the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a credential as written in the config or in its file.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// What no editor shows: byte order marks, blanks that do not break or have no width, marks of direction.
const UNSEEN: [char; 11] = [
    '\u{feff}', '\u{a0}', '\u{202f}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{200e}', '\u{200f}', '\r',
    '\n',
];

/// The credential in a file's text: without the line's end behind it, and without what an editor or a chat program put
/// around it that nobody sees. Ordinary blanks stay, as a password may begin or end with one.
#[must_use]
pub fn bare(text: &str) -> &str {
    text.trim_matches(UNSEEN)
}

/// Where a credential stands. One in a file of its own may be renewed while the daemon runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretAt {
    /// In the config.
    Here(Secret),
    /// Alone in a file.
    File(PathBuf),
}

impl SecretAt {
    /// The credential as it stands now, [`bare`].
    ///
    /// # Errors
    /// The file cannot be read, is no text or is empty; one line that names it.
    pub fn read(&self) -> Result<Secret, String> {
        let path = match self {
            Self::Here(secret) => return Ok(secret.clone()),
            Self::File(path) => path,
        };
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::InvalidData => format!("{} is no text in UTF-8; save it anew as UTF-8", path.display()),
            kind => format!("cannot read {}: {kind}", path.display()),
        };
        let text = fs::read_to_string(path).map_err(unreadable)?;
        match bare(&text) {
            "" => Err(format!("{} is empty", path.display())),
            secret => Ok(Secret::new(secret)),
        }
    }

    /// The file, if it stands in one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Here(_) => None,
            Self::File(path) => Some(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_around_a_credential_is_no_part_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let at = SecretAt::File(path.clone());
        for text in
            ["t0k", "t0k\r\n", "\u{feff}t0k\n", "\u{a0}t0k\u{202f}\u{200b}\n", "\u{200e}t0k\n\n", "t0k\n\u{feff}"]
        {
            fs::write(&path, text).unwrap();
            assert_eq!(at.read(), Ok(Secret::new("t0k")), "{text:?}");
        }
        fs::write(&path, " a b ").unwrap();
        assert_eq!(at.read(), Ok(Secret::new(" a b ")));
        fs::write(&path, "\u{feff}\n").unwrap();
        assert!(at.read().unwrap_err().ends_with("token is empty"));
        // What Windows calls Unicode.
        fs::write(&path, [0xff, 0xfe, b't', 0, b'0', 0]).unwrap();
        assert!(at.read().unwrap_err().ends_with("is no text in UTF-8; save it anew as UTF-8"));
    }
}
