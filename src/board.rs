//! The lines of a board: what `signal` decides becomes levels on pins.
//!
//! Generic over embedded-hal's traits, so that a virtual board and real lines are driven by the same code. Lines go to
//! their dark level when the board is dropped.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use embedded_hal::digital::{ErrorType, OutputPin, PinState};

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
}
