//! What is wrong with a config file: one line for each fault, and to whoever sits there the line of the file as well.

use std::{
    error::Error,
    fmt::{self, Write as _},
    path::{Path, PathBuf},
};

use super::excerpt::Excerpt;
use crate::plain::Plain;

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
    /// What of the file may be shown for the first of them, each where there is something to show.
    excerpts: Vec<Option<Excerpt>>,
}

impl Faults {
    /// The faults of one file of this text, put in the file's order.
    pub(super) fn new(file: &Path, mut list: Vec<Fault>, text: &str) -> Self {
        list.sort_by_key(|fault| fault.position);
        let excerpts = list.iter().take(SHOWN_FAULTS).map(|fault| Excerpt::of(text, fault)).collect();
        Self { file: file.to_owned(), list, excerpts }
    }

    /// The file as a whole cannot be read.
    pub(super) fn whole(file: &Path, message: String) -> Self {
        Self::new(file, vec![Fault { position: None, key: String::new(), message }], "")
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

impl Faults {
    /// As a terminal shows them: below each fault its line of the file with a caret under the place, and a line's end
    /// behind the last. What may be a secret is left out of the line.
    #[must_use]
    pub fn shown(&self) -> impl fmt::Display + '_ {
        Shown(self)
    }

    /// How the faults are called, one after the other, and how many are not.
    fn lines(&self) -> impl Iterator<Item = (String, Option<&Excerpt>)> {
        let file = self.file.display();
        let faults = self.list.iter().zip(&self.excerpts).map(move |(fault, excerpt)| {
            let gap = if fault.position.is_some() { "" } else { " " };
            (Plain(format_args!("{file}:{gap}{fault}")).to_string(), excerpt.as_ref())
        });
        let more = self.list.len().saturating_sub(SHOWN_FAULTS);
        let file = self.file.display();
        let more = (more > 0).then(|| Plain(format_args!("{file}: and {more} more; correct these first")).to_string());
        faults.chain(more.map(|more| (more, None)))
    }
}

/// One line for each fault: `tillbox.toml:12:3: pos[0].pol-every: unknown key; did you mean …`.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (line, _)) in self.lines().enumerate() {
            if index > 0 {
                f.write_char('\n')?;
            }
            f.write_str(&line)?;
        }
        Ok(())
    }
}

struct Shown<'a>(&'a Faults);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.lines().try_for_each(|(line, excerpt)| {
            writeln!(f, "{line}")?;
            excerpt.map_or(Ok(()), |excerpt| excerpt.fmt(f))
        })
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
