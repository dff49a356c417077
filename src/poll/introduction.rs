//! Tells the journal, once each, who answers and what was found about the source.

use std::collections::BTreeSet;

use crate::progress::Progress;

/// Notes on a source that are told in the journal, once each.
const NOTES_TOLD_MAX: usize = 64;

/// What the journal was told of a connection's source.
#[derive(Debug, Default)]
pub struct Introduction(BTreeSet<String>);

impl Introduction {
    /// Tells what is new. `clock_difference_s`: by how much the source's clock is ahead of the box's, where it is known.
    pub fn tell(&mut self, connection: &str, system: &str, progress: &Progress, clock_difference_s: Option<i64>) {
        let Some(identity) = &progress.identity else { return };
        let clocks = match clock_difference_s {
            Some(seconds) if self.0.is_empty() => format!(", whose clock is {seconds} s ahead of the box's"),
            _ => String::new(),
        };
        if self.0.insert(format!("reads {identity}")) {
            tracing::info!(%connection, system, "reads {identity}{clocks}");
        }
        for note in &progress.notes {
            if self.0.len() < NOTES_TOLD_MAX && self.0.insert(note.clone()) {
                tracing::info!(%connection, system, "{note}");
            }
        }
    }
}
