//! What the demonstration shows while it runs: one line that is redrawn on a terminal, plain lines elsewhere.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use serde_json::Value;

/// Where there is no terminal, a line this often.
const PLAIN_EVERY: Duration = Duration::from_secs(3);

/// One moment of the demonstration.
#[derive(Debug, Clone)]
pub struct Moment {
    /// The shop's clock.
    pub clock: String,
    /// Records in the shop's books.
    pub books: usize,
    /// Events that wait in the box.
    pub waiting: u64,
    /// States at HQ, and their money.
    pub hq: (usize, String),
    /// The daemon's word on itself; `None` while it is dead.
    pub report: Option<Value>,
}

/// Standard output.
#[derive(Debug)]
pub struct Screen {
    terminal: bool,
    colours: bool,
    drawn: bool,
    last_plain: Option<Instant>,
}

impl Default for Screen {
    fn default() -> Self {
        let terminal = io::stdout().is_terminal();
        let colours = terminal && std::env::var_os("NO_COLOR").is_none();
        Self { terminal, colours, drawn: false, last_plain: None }
    }
}

impl Screen {
    /// A line that stays.
    pub fn say(&mut self, text: &str) {
        Self::write(&format!("{}{text}\n", if self.drawn { "\r\x1b[K" } else { "" }));
        self.drawn = false;
    }

    /// The line that changes.
    pub fn show(&mut self, moment: &Moment) {
        if !self.terminal && self.last_plain.is_some_and(|last| last.elapsed() < PLAIN_EVERY) {
            return;
        }
        self.last_plain = Some(Instant::now());
        let Moment { clock, books, waiting, hq: (states, money), report } = moment;
        let lights = self.lights(report.as_ref());
        let line = format!("{clock}  {lights}  shop {books:>3}  box {waiting:>3} waiting  HQ {states:>3}  {money}");
        if self.terminal {
            Self::write(&format!("\r\x1b[K{line}"));
            self.drawn = true;
        } else {
            Self::write(&format!("{line}\n"));
        }
    }

    fn lights(&self, report: Option<&Value>) -> String {
        let pattern = |line: &str| report.and_then(|report| report["report"]["lights"][line].as_str()).unwrap_or("off");
        let light = |line: &str, colour: u8| {
            let (glyph, word) = match pattern(line) {
                "steady" | "steady_wink" => ("●", "steady"),
                "slow" => ("◐", "slow"),
                "fast" => ("◍", "fast"),
                _ => ("○", "off"),
            };
            let glyph = if self.colours { format!("\x1b[{colour}m{glyph}\x1b[0m") } else { glyph.to_owned() };
            format!("{glyph} {line} {word:<6}")
        };
        format!("{} {} {}", light("sync", 32), light("hold", 33), light("fault", 31))
    }

    fn write(text: &str) {
        let mut out = io::stdout().lock();
        // Whoever watched may be gone; the proof goes on and its exit code counts.
        let _nobody_watches = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}
