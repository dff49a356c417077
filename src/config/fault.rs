//! What is wrong with a config file, one line for each fault.

use std::{
    error::Error,
    fmt::{self, Write as _},
    path::{Path, PathBuf},
};

/// A file may be wrong in so many places that the list would bury its reader: more faults are only counted.
const SHOWN_FAULTS: usize = 100;

/// A place in the file, both counted from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One thing to correct. It never holds a secret's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it stands; `None` if the file could not be read at all.
    pub position: Option<Position>,
    /// The key's dotted path, such as `pos[0].poll-every`; empty for a fault of the syntax.
    pub key: String,
    /// What was found, what is expected, what to do next.
    pub message: String,
}

/// Every fault of a config file, in the file's order; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    file: PathBuf,
    list: Vec<Fault>,
}

impl Faults {
    /// The faults of one file, put in the file's order.
    pub(super) fn new(file: &Path, mut list: Vec<Fault>) -> Self {
        list.sort_by_key(|fault| fault.position);
        Self { file: file.to_owned(), list }
    }

    /// The file as a whole cannot be read.
    pub(super) fn whole(file: &Path, message: String) -> Self {
        Self::new(file, vec![Fault { position: None, key: String::new(), message }])
    }

    /// The same faults of a file that is called otherwise.
    #[must_use]
    pub fn named(self, file: &Path) -> Self {
        Self { file: file.to_owned(), ..self }
    }

    /// The faults, in the file's order.
    #[must_use]
    pub fn list(&self) -> &[Fault] {
        &self.list
    }
}

impl Error for Faults {}

/// One line for each fault: `tillbox.toml:12:3: pos[0].pol-every: unknown key; did you mean …`.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display().to_string();
        for (index, fault) in self.list.iter().take(SHOWN_FAULTS).enumerate() {
            if index > 0 {
                f.write_char('\n')?;
            }
            let gap = if fault.position.is_some() { "" } else { " " };
            write_line(f, &format!("{file}:{gap}{fault}"))?;
        }
        match self.list.len().saturating_sub(SHOWN_FAULTS) {
            0 => Ok(()),
            more => {
                f.write_char('\n')?;
                write_line(f, &format!("{file}: and {more} more; correct these first"))
            }
        }
    }
}

/// The fault without its file.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Keys and paths come from the file: whatever would break the line, or steer a terminal, is escaped.
fn write_line(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|c| match c {
        '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            write!(f, "{}", c.escape_unicode())
        }
        c if c.is_control() => write!(f, "{}", c.escape_default()),
        c => f.write_char(c),
    })
}
