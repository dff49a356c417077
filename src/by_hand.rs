//! What only a person can end: a gap that no reading closes, a record that nobody will ever read.
//!
//! Such a word proves nothing. It ends the warning, and HQ gets it with name and reason; the day that it speaks of is
//! never called complete by it. A reading that proves the gap, or reads the record, after all still does.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{content::ContentId, gap::Gap, pos::page::Quarantined};

/// The longest name of a person, in bytes, as it is stored.
pub const NAME_MAX_BYTES: usize = 100;

/// The longest reason, in bytes, as it is stored.
pub const REASON_MAX_BYTES: usize = 1_000;

/// Hexadecimal digits of a handle: among all that one box can list, two that are equal are as good as impossible.
const HANDLE_DIGITS: usize = 10;

/// Who ended something by hand, and why. It is shown to whoever asks, and told to HQ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Who says so.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// Why a word cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StatementError {
    /// Nothing is in it.
    #[error("--{what} is empty: headquarters is told who ended it, and why")]
    Empty {
        /// Which of the two.
        what: &'static str,
    },
    /// More is in it than is stored.
    #[error("--{what} has {bytes} bytes, and {most} are stored at most; make it shorter")]
    TooLong {
        /// Which of the two.
        what: &'static str,
        /// Its length, with what had to be escaped.
        bytes: usize,
        /// How many there may be.
        most: usize,
    },
}

impl Statement {
    /// A person's word: without outer blanks, and with every character escaped that could steer whoever shows it.
    ///
    /// # Errors
    /// One of the two is empty or too long.
    pub fn new(name: &str, reason: &str) -> Result<Self, StatementError> {
        let (name, reason) = (("by", name, NAME_MAX_BYTES), ("reason", reason, REASON_MAX_BYTES));
        Ok(Self { name: taken(name)?, reason: taken(reason)? })
    }
}

fn taken((what, text, most): (&'static str, &str, usize)) -> Result<String, StatementError> {
    let text = escaped(text.trim());
    match text.len() {
        0 => Err(StatementError::Empty { what }),
        bytes if bytes > most => Err(StatementError::TooLong { what, bytes, most }),
        _ => Ok(text),
    }
}

/// A text in which control, bidirectional, line and invisible characters stand as `\u{…}`, or as `\n` and the like.
fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_invisible(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The short name by which a person speaks of a gap of a connection. It stays the same as long as the gap does.
#[must_use]
pub fn handle_of_gap(connection: &str, gap: &Gap) -> String {
    handle('g', connection, &gap.id())
}

/// The short name by which a person speaks of a record that is put aside.
#[must_use]
pub fn handle_of_record(connection: &str, quarantined: &Quarantined) -> String {
    handle('r', connection, &quarantined.hash.to_string())
}

fn handle(kind: char, connection: &str, id: &str) -> String {
    let mut digits = ContentId::of_bytes(format!("{kind}\0{connection}\0{id}").as_bytes()).to_string();
    digits.truncate(HANDLE_DIGITS);
    format!("{kind}{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_a_name_and_a_reason_within_bounds() {
        let word = Statement::new(" Sari ", "the till was broken\tthat day ").unwrap();
        assert_eq!((word.name.as_str(), word.reason.as_str()), ("Sari", "the till was broken\\tthat day"));
        for (name, reason, what) in [("", "why", "by"), (" \n ", "why", "by"), ("Sari", "", "reason")] {
            assert_eq!(Statement::new(name, reason), Err(StatementError::Empty { what }));
        }
        assert!(Statement::new(&"x".repeat(NAME_MAX_BYTES), &"x".repeat(REASON_MAX_BYTES)).is_ok());
        for (name, reason) in [(NAME_MAX_BYTES + 1, 1), (1, REASON_MAX_BYTES + 1)] {
            let word = Statement::new(&"x".repeat(name), &"x".repeat(reason));
            assert!(matches!(word, Err(StatementError::TooLong { .. })), "{word:?}");
        }
        // What is stored is what is bounded.
        assert!(Statement::new(&format!("a{}b", "\u{1b}".repeat(NAME_MAX_BYTES / 4)), "why").is_err());
    }

    #[test]
    fn nothing_in_a_word_steers_whoever_shows_it() {
        let word = Statement::new("Sari\r\n2026-03-14 ERROR", "\u{202e}cba \u{2028}\u{200b}\u{1b}[2J é 日").unwrap();
        assert_eq!(word.name, "Sari\\r\\n2026-03-14 ERROR");
        assert_eq!(word.reason, "\\u{202e}cba \\u{2028}\\u{200b}\\u{1b}[2J é 日");
    }
}
