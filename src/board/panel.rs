//! The lines of one board, driven and read.
//!
//! - Only a level that changes is written, and every level again after a while, so that a line that got lost is
//!   noticed and one that was disturbed is right again.
//! - A line that is missing, busy or lost is a fault with a name; the others go on, and it is taken again when it returns.
//! - Outputs go to their dark level when the panel is dropped: at an ordered stop, when a stage ends, and when a panic
//!   unwinds.

use std::{collections::BTreeMap, fmt::Display};

use embedded_hal::digital::{InputPin, OutputPin, PinState};

use super::{
    contact::Contact,
    lines::{LineFault, Lines},
    profile::{Line, Profile, Role},
    pulses::Pulses,
};
use crate::signal::Signals;

/// A line that cannot be had is tried again after this long.
pub const TRY_AGAIN_MS: u64 = 5_000;

/// A level that did not change is written again after this long.
const WRITE_AGAIN_MS: u64 = 5_000;

/// A contact that may bounce is looked at this often: no part or multiple of the mains' 10 and 20 ms, whose hum would
/// else be seen at the same moment of each period, and look steady.
const LOOK_AGAIN_MS: u64 = 7;

/// A board's lines.
#[derive(Debug)]
pub struct Panel<L: Lines> {
    lines: L,
    outputs: Vec<Output<L::Output>>,
    inputs: Vec<Input<L::Input>>,
    pulses: Pulses,
}

#[derive(Debug)]
struct Output<P> {
    line: Line,
    held: Held<P>,
    /// What was written last, and when.
    written: Option<(bool, u64)>,
}

#[derive(Debug)]
struct Input<P> {
    line: Line,
    held: Held<P>,
    contact: Contact,
}

/// A line, or why there is none.
#[derive(Debug)]
enum Held<P> {
    Open(P),
    /// Nothing was tried before there is a fault.
    Lost(Option<LineFault>, u64),
}

impl<P> Held<P> {
    fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    /// The line, taken now if it is due.
    fn take(&mut self, at_ms: u64, open: impl FnOnce() -> Result<P, LineFault>) -> Option<&mut P> {
        if matches!(self, Self::Lost(_, again) if *again <= at_ms) {
            *self = open().map_or_else(|fault| Self::lost(fault, at_ms), Self::Open);
        }
        match self {
            Self::Open(pin) => Some(pin),
            Self::Lost(..) => None,
        }
    }

    fn lost(fault: LineFault, at_ms: u64) -> Self {
        Self::Lost(Some(fault), at_ms + TRY_AGAIN_MS)
    }
}

impl<L: Lines> Panel<L> {
    /// The panel of a board; the lines are taken when they are first used.
    pub fn new(profile: &Profile, lines: L) -> Self {
        let (outputs, inputs): (Vec<_>, Vec<_>) = profile.lines.iter().cloned().partition(|line| line.role.is_output());
        let outputs = outputs.into_iter().map(|line| Output { line, held: Held::Lost(None, 0), written: None });
        let inputs =
            inputs.into_iter().map(|line| Input { line, held: Held::Lost(None, 0), contact: Contact::default() });
        Self { lines, outputs: outputs.collect(), inputs: inputs.collect(), pulses: Pulses::default() }
    }

    /// So many new sales: each gives a pulse, if there is a line for it.
    pub fn owe_pulses(&mut self, sales: u64) {
        if self.outputs.iter().any(|output| output.line.role == Role::ReceiptPulse && output.held.is_open()) {
            self.pulses.owe(sales);
        }
    }

    /// Drives the outputs as they are at a moment, in milliseconds since any fixed one, and reads the inputs.
    pub fn drive(&mut self, signals: Signals, at_ms: u64) {
        let Self { lines, outputs, inputs, pulses } = self;
        for output in outputs {
            output.drive(signals, at_ms, lines, pulses);
        }
        for input in inputs {
            input.read(at_ms, lines);
        }
    }

    /// When something is to be driven or read next, unless the signals change before; `None` if never.
    #[must_use]
    pub fn next_ms(&self, signals: Signals, at_ms: u64) -> Option<u64> {
        let outputs = self.outputs.iter().filter(|output| output.held.is_open());
        let outputs = outputs.filter_map(|output| match output.line.role {
            Role::ReceiptPulse => self.pulses.next_ms(),
            role => signals.pattern(role)?.next_edge_ms(at_ms),
        });
        let unsettled = self.inputs.iter().any(|input| input.contact.is_unsettled());
        outputs.chain(unsettled.then_some(at_ms + LOOK_AGAIN_MS)).min()
    }

    /// Whether there are lines to read: nothing tells when they change.
    #[must_use]
    pub fn has_inputs(&self) -> bool {
        !self.inputs.is_empty()
    }

    /// Whether a printer's contact is closed; one without a line never is.
    #[must_use]
    pub fn is_closed(&self, role: Role) -> bool {
        self.inputs.iter().any(|input| input.line.role == role && input.contact.is_closed())
    }

    /// The lines that cannot be had and why, in one line; those with one reason together.
    #[must_use]
    pub fn lost(&self) -> Option<String> {
        let mut lost: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let outputs = self.outputs.iter().map(|output| (&output.line, fault(&output.held)));
        for (line, fault) in outputs.chain(self.inputs.iter().map(|input| (&input.line, fault(&input.held)))) {
            if let Some(fault) = fault {
                lost.entry(fault.to_string()).or_default().push(format!("`{}` on {line}", line.role.name()));
            }
        }
        let told = lost.into_iter().map(|(fault, lines)| format!("{}: {fault}", lines.join(", ")));
        let told = told.collect::<Vec<_>>().join("; ");
        (!told.is_empty()).then(|| format!("board: no line for {told}"))
    }
}

fn fault<P>(held: &Held<P>) -> Option<&LineFault> {
    match held {
        Held::Open(_) => None,
        Held::Lost(fault, _) => fault.as_ref(),
    }
}

impl<L: Lines> Drop for Panel<L> {
    fn drop(&mut self) {
        for Output { line, held, .. } in &mut self.outputs {
            if let Held::Open(pin) = held {
                let _nobody_is_left_to_tell = pin.set_state(state(line, false));
            }
        }
    }
}

impl<P: OutputPin<Error: Display>> Output<P> {
    fn drive(&mut self, signals: Signals, at_ms: u64, lines: &mut impl Lines<Output = P>, pulses: &mut Pulses) {
        let line = &self.line;
        let dark = state(line, false) == PinState::High;
        let Some(pin) = self.held.take(at_ms, || lines.output(line, dark)) else { return };
        let level = match line.role {
            Role::ReceiptPulse => pulses.level(at_ms),
            role => signals.is_on(role, at_ms),
        };
        if self.written.is_some_and(|(last, then)| last == level && at_ms.saturating_sub(then) < WRITE_AGAIN_MS) {
            return;
        }
        match pin.set_state(state(line, level)) {
            Ok(()) => self.written = Some((level, at_ms)),
            Err(error) => {
                self.held = Held::lost(LineFault::Lost(error.to_string()), at_ms);
                self.written = None;
                if self.line.role == Role::ReceiptPulse {
                    // A pulse that comes late tells of a sale that is no news.
                    pulses.forget();
                }
            }
        }
    }
}

impl<P: InputPin<Error: Display>> Input<P> {
    fn read(&mut self, at_ms: u64, lines: &mut impl Lines<Input = P>) {
        let line = &self.line;
        let Some(pin) = self.held.take(at_ms, || lines.input(line)) else { return };
        match pin.is_high() {
            Ok(high) => {
                self.contact.see(high != line.active_low, at_ms);
            }
            Err(error) => {
                self.held = Held::lost(LineFault::Lost(error.to_string()), at_ms);
                // What nobody can read is no reason to fetch paper.
                self.contact = Contact::default();
            }
        }
    }
}

/// The one place where a meaning becomes a level.
fn state(line: &Line, on: bool) -> PinState {
    PinState::from(on != line.active_low)
}

#[cfg(test)]
mod tests;
