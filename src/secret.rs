//! A credential that no log, error, status or message can show, and the place where it stands.

use std::{
    fmt, fs,
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

/// Where a credential stands. One in a file of its own may be renewed while the daemon runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretAt {
    /// In the config.
    Here(Secret),
    /// Alone in a file.
    File(PathBuf),
}

impl SecretAt {
    /// The credential as it stands now, without the line's end behind it.
    ///
    /// # Errors
    /// The file cannot be read or is empty; one line that names it.
    pub fn read(&self) -> Result<Secret, String> {
        let path = match self {
            Self::Here(secret) => return Ok(secret.clone()),
            Self::File(path) => path,
        };
        let text =
            fs::read_to_string(path).map_err(|error| format!("cannot read {}: {}", path.display(), error.kind()))?;
        match text.trim_end_matches(['\r', '\n']) {
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
