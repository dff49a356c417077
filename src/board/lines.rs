//! Where lines come from: the seam between the panel and what is below it.

use std::fmt::Display;

use embedded_hal::digital::{InputPin, OutputPin};
use thiserror::Error;

use super::profile::Line;

/// Gives the lines of a board. High and low are the levels of the pin itself.
pub trait Lines {
    /// An output line.
    type Output: OutputPin<Error: Display>;
    /// An input line.
    type Input: InputPin<Error: Display>;

    /// Takes an output line, which begins at a level.
    ///
    /// # Errors
    /// It cannot be had now.
    fn output(&mut self, line: &Line, high: bool) -> Result<Self::Output, LineFault>;

    /// Takes an input line.
    ///
    /// # Errors
    /// It cannot be had now.
    fn input(&mut self, line: &Line) -> Result<Self::Input, LineFault>;
}

/// Why a line cannot be had: what was found, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LineFault {
    /// No chip at all.
    #[error("this machine has no GPIO chip; take out [board] profile, or run on the board that it names")]
    NoChips,
    /// The chip is not there.
    #[error("no GPIO chip `{chip}` is here, but {found}; name this board's own profile in [board]")]
    NoChip {
        /// What the profile asks for.
        chip: String,
        /// The chips that are here.
        found: String,
    },
    /// A chip cannot be opened.
    #[error("{chip} cannot be opened: {reason}; let the daemon's user open it, as by the group `gpio`")]
    Denied {
        /// Its device.
        chip: String,
        /// The system's word.
        reason: String,
    },
    /// The chip has no such line.
    #[error("there is no line `{line}` on {found}; correct it in the profile: `gpioinfo` lists the lines")]
    NoLine {
        /// What the profile asks for.
        line: String,
        /// Where it was looked for.
        found: String,
    },
    /// More than one chip has such a line.
    #[error("`{line}` is a line of {found}; give its `chip` in the profile")]
    Ambiguous {
        /// What the profile asks for.
        line: String,
        /// Where it was found.
        found: String,
    },
    /// Something else has it.
    #[error("it is in use by `{by}`; stop that, or give the role another line")]
    Busy {
        /// What has it, as the kernel knows it.
        by: String,
    },
    /// The kernel refuses it, or it was lost.
    #[error("{0}; look whether `gpioinfo` still lists it")]
    Lost(String),
}
