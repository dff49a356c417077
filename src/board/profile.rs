//! What a board has: which line has which role, as its profile says.
//!
//! The profiles that come with the program stand in the folder `board/`, one TOML file each; `config` reads them as it
//! reads one that a technician wrote, so a fault in either is told in the same way.

use std::fmt;

/// The profiles that come with the program, each by its name and text.
pub const KNOWN: [(&str, &str); 6] = [
    ("raspberry-pi-zero", include_str!("../../board/raspberry-pi-zero.toml")),
    ("raspberry-pi-zero-2-w", include_str!("../../board/raspberry-pi-zero-2-w.toml")),
    ("raspberry-pi-3", include_str!("../../board/raspberry-pi-3.toml")),
    ("raspberry-pi-4", include_str!("../../board/raspberry-pi-4.toml")),
    ("raspberry-pi-5", include_str!("../../board/raspberry-pi-5.toml")),
    ("orange-pi-zero-3", include_str!("../../board/orange-pi-zero-3.toml")),
];

/// The name of the profile of a board that calls itself so in its device tree, such as `Raspberry Pi 4 Model B Rev 1.4`.
#[must_use]
pub fn of_model(model: &str) -> Option<&'static str> {
    // A later name that holds an earlier one comes first.
    let known = [
        ("Raspberry Pi Zero 2", "raspberry-pi-zero-2-w"),
        ("Raspberry Pi Zero", "raspberry-pi-zero"),
        ("Raspberry Pi 3", "raspberry-pi-3"),
        ("Raspberry Pi 4", "raspberry-pi-4"),
        ("Raspberry Pi 5", "raspberry-pi-5"),
        ("OrangePi Zero3", "orange-pi-zero-3"),
    ];
    known.iter().find(|(begins, _)| model.starts_with(begins)).map(|(_, name)| *name)
}

/// One of the three lights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Light {
    /// Green.
    Sync,
    /// Yellow.
    Hold,
    /// Red.
    Fault,
}

impl Light {
    /// Every light, from the top.
    pub const ALL: [Self; 3] = [Self::Sync, Self::Hold, Self::Fault];

    /// The name on the box.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Hold => "hold",
            Self::Fault => "fault",
        }
    }
}

/// What a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A light, which every board has.
    Light(Light),
    /// To the printer: captured sales are durable.
    ReceiptReady,
    /// To the printer: a new sale.
    ReceiptPulse,
    /// From the printer: little paper is left.
    PaperLow,
    /// From the printer: no paper is left.
    PaperEnd,
    /// From the printer: something else is wrong with it.
    PrinterFault,
}

impl Role {
    /// Every role: the lights, the other outputs, the inputs.
    pub const ALL: [Self; 8] = [
        Self::Light(Light::Sync),
        Self::Light(Light::Hold),
        Self::Light(Light::Fault),
        Self::ReceiptReady,
        Self::ReceiptPulse,
        Self::PaperLow,
        Self::PaperEnd,
        Self::PrinterFault,
    ];

    /// The name in profiles and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Light(light) => light.name(),
            Self::ReceiptReady => "receipt-ready",
            Self::ReceiptPulse => "receipt-pulse",
            Self::PaperLow => "paper-low",
            Self::PaperEnd => "paper-end",
            Self::PrinterFault => "printer-fault",
        }
    }

    /// Whether the box drives the line; else it reads it.
    #[must_use]
    pub fn is_output(self) -> bool {
        !matches!(self, Self::PaperLow | Self::PaperEnd | Self::PrinterFault)
    }
}

/// How a line is found on its chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// By the name that the board's maker gave it, such as `GPIO17`.
    Name(String),
    /// By its number on the chip.
    Offset(u32),
}

/// What holds an input where nothing drives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bias {
    /// At 3.3 V.
    PullUp,
    /// At 0 V.
    PullDown,
    /// Nothing.
    Disabled,
}

/// One line of a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is for.
    pub role: Role,
    /// Its chip, by label, name or device; without one any chip that has the line.
    pub chip: Option<String>,
    /// Which line of the chip.
    pub at: At,
    /// Its number on the header, for people.
    pub pin: Option<u32>,
    /// Whether 0 V means "yes".
    pub active_low: bool,
    /// What holds an input where nothing drives it; `None` leaves that as it is.
    pub bias: Option<Bias>,
}

impl Line {
    /// Whether both surely are the same pin.
    #[must_use]
    pub fn is_same_pin(&self, other: &Self) -> bool {
        self.pin.is_some() && self.pin == other.pin || (&self.chip, &self.at) == (&other.chip, &other.at)
    }
}

/// As people look for it: `GPIO17 (pin 11)`.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            At::Name(name) => f.write_str(name)?,
            At::Offset(offset) => write!(f, "offset {offset}")?,
        }
        self.pin.map_or(Ok(()), |pin| write!(f, " (pin {pin})"))
    }
}

/// The lines of a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// What the config calls it: a name or a path.
    pub name: String,
    /// One line for each role that the board has.
    pub lines: Vec<Line>,
}

impl Profile {
    /// The line of a role, if the board has one.
    #[must_use]
    pub fn line(&self, role: Role) -> Option<&Line> {
        self.lines.iter().find(|line| line.role == role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_is_known_by_what_it_calls_itself() {
        for (model, name) in [
            ("Raspberry Pi Zero 2 W Rev 1.0\0", Some("raspberry-pi-zero-2-w")),
            ("Raspberry Pi Zero W Rev 1.1\0", Some("raspberry-pi-zero")),
            ("Raspberry Pi 4 Model B Rev 1.4\0", Some("raspberry-pi-4")),
            ("Raspberry Pi 5 Model B Rev 1.0\0", Some("raspberry-pi-5")),
            ("linux,dummy-virt\0", None),
        ] {
            assert_eq!(of_model(model), name, "{model}");
            assert!(name.is_none_or(|name| KNOWN.iter().any(|(known, _)| *known == name)));
        }
    }
}
