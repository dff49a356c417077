//! The lines of a board: what `signal` decides becomes levels on pins.
//!
//! Generic over embedded-hal's traits, so that a virtual board and real lines are driven by the same code. Lines go to
//! their dark level when the board is dropped.

pub mod profile;

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use embedded_hal::digital::{ErrorType, InputPin, OutputPin, PinState};

use crate::signal::Lights;

/// The three lights on three output lines.
#[derive(Debug)]
pub struct Lamps<P: OutputPin> {
    sync: Lamp<P>,
    hold: Lamp<P>,
    fault: Lamp<P>,
}

#[derive(Debug)]
struct Lamp<P: OutputPin> {
    pin: P,
    lit: Option<bool>,
}

impl<P: OutputPin> Lamps<P> {
    /// Lamps on three pins, high when lit.
    pub fn new(sync: P, hold: P, fault: P) -> Self {
        let lamp = |pin| Lamp { pin, lit: None };
        Self { sync: lamp(sync), hold: lamp(hold), fault: lamp(fault) }
    }

    /// Shows the lights as they are at a moment, in milliseconds since any fixed one. Only a level that changes is
    /// written.
    ///
    /// # Errors
    /// A line cannot be driven; the others were.
    pub fn show(&mut self, lights: Lights, at_ms: u64) -> Result<(), P::Error> {
        let sync = self.sync.set(lights.sync.lit(at_ms));
        let hold = self.hold.set(lights.hold.lit(at_ms));
        let fault = self.fault.set(lights.fault.lit(at_ms));
        sync.and(hold).and(fault)
    }
}

impl<P: OutputPin> Drop for Lamps<P> {
    fn drop(&mut self) {
        let _nobody_is_left_to_tell = self.show(Lights::DARK, 0);
    }
}

impl<P: OutputPin> Lamp<P> {
    fn set(&mut self, lit: bool) -> Result<(), P::Error> {
        if self.lit != Some(lit) {
            self.pin.set_state(PinState::from(lit))?;
            self.lit = Some(lit);
        }
        Ok(())
    }
}

/// An input line, such as a printer's `paper-end`, whose level counts once it has been steady.
#[derive(Debug)]
pub struct Contact<P: InputPin> {
    pin: P,
    /// What counts, and the level that is waiting to count, since when.
    closed: bool,
    seen: (bool, u64),
}

impl<P: InputPin> Contact<P> {
    /// A level must be steady for this long before it counts.
    pub const STEADY_MS: u64 = 200;

    /// A contact that is open until its line has been high for long enough.
    pub fn new(pin: P) -> Self {
        Self { pin, closed: false, seen: (false, 0) }
    }

    /// Reads the line at a moment, in milliseconds since any fixed one; tells whether the contact is closed.
    ///
    /// # Errors
    /// The line cannot be read.
    pub fn read(&mut self, at_ms: u64) -> Result<bool, P::Error> {
        let high = self.pin.is_high()?;
        if high != self.seen.0 {
            self.seen = (high, at_ms);
        } else if at_ms.saturating_sub(self.seen.1) >= Self::STEADY_MS {
            self.closed = high;
        }
        Ok(self.closed)
    }
}

/// A line without hardware, whose level can be looked at from elsewhere.
#[derive(Debug, Clone, Default)]
pub struct VirtualPin(Arc<AtomicBool>);

impl VirtualPin {
    /// Whether the line is high.
    #[must_use]
    pub fn is_high(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl ErrorType for VirtualPin {
    type Error = Infallible;
}

impl OutputPin for VirtualPin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl InputPin for VirtualPin {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(Self::is_high(self))
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(!Self::is_high(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Pattern;

    #[test]
    fn lamps_follow_the_lights_and_end_dark() {
        let pins = [VirtualPin::default(), VirtualPin::default(), VirtualPin::default()];
        let [sync, hold, fault] = pins.clone();
        let mut lamps = Lamps::new(sync, hold, fault);
        let lights = Lights { sync: Pattern::Slow, hold: Pattern::Steady, fault: Pattern::Off };
        let shown = || pins.each_ref().map(VirtualPin::is_high);
        lamps.show(lights, 0).expect("a virtual line never fails");
        assert_eq!(shown(), [true, true, false]);
        lamps.show(lights, 500).expect("a virtual line never fails");
        assert_eq!(shown(), [false, true, false]);
        drop(lamps);
        assert_eq!(shown(), [false; 3]);
    }

    #[test]
    fn a_contact_that_bounces_does_not_count() {
        let mut line = VirtualPin::default();
        let mut contact = Contact::new(line.clone());
        let mut closed = |line: &mut VirtualPin, high: bool, at_ms| {
            line.set_state(PinState::from(high)).expect("a virtual line never fails");
            contact.read(at_ms).expect("a virtual line never fails")
        };
        assert!(!closed(&mut line, true, 1_000) && !closed(&mut line, false, 1_100) && !closed(&mut line, true, 1_150));
        assert!(!closed(&mut line, true, 1_300) && closed(&mut line, true, 1_350));
        assert!(closed(&mut line, false, 1_400) && !closed(&mut line, false, 1_600));
    }
}
