//! The table of lights, and what each cell of it was driven by.

use std::{collections::BTreeMap, fmt};

use crate::lamps::Seen;

const LINES: [&str; 3] = ["green", "yellow", "red"];

const PATTERNS: [&str; 4] = ["off", "steady", "1 Hz", "4 Hz"];

/// By line and pattern, all that it was seen at.
#[derive(Debug, Default)]
pub struct Cells(BTreeMap<(usize, usize), Vec<String>>);

impl Cells {
    /// The lights were seen like this.
    pub fn drive(&mut self, by: &str, seen: [Seen; 3]) {
        for (line, seen) in seen.into_iter().enumerate() {
            let pattern = match seen {
                Seen::Off => 0,
                Seen::Steady | Seen::SteadyWink => 1,
                Seen::Slow => 2,
                Seen::Fast => 3,
                Seen::Other(..) => continue,
            };
            self.0.entry((line, pattern)).or_default().push(by.to_owned());
        }
    }

    /// The cells that nothing has driven.
    pub fn not_driven(&self) -> impl Iterator<Item = String> {
        all().filter(|cell| !self.0.contains_key(cell)).map(|(line, pattern)| name(line, pattern))
    }
}

fn all() -> impl Iterator<Item = (usize, usize)> {
    (0..LINES.len()).flat_map(|line| (0..PATTERNS.len()).map(move |pattern| (line, pattern)))
}

fn name(line: usize, pattern: usize) -> String {
    format!("{} {}", LINES[line], PATTERNS[pattern])
}

impl fmt::Display for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "cell           seen, by what it was driven")?;
        for (line, pattern) in all() {
            let by = self.0.get(&(line, pattern)).map_or(&[][..], Vec::as_slice);
            write!(f, "{:<14} {:>2}x", name(line, pattern), by.len())?;
            // What drives a cell is told in full, but for the many at which a light is as it is when all is well.
            let is_usual = pattern == usize::from(line == 0) || line == 0 && pattern == 2;
            let told = if is_usual { by.len().min(3) } else { by.len() };
            writeln!(f, "  {}{}", by[..told].join("; "), if told < by.len() { "; …" } else { "" })?;
        }
        Ok(())
    }
}
