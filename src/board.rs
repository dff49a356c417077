//! The board: what `signal` decides becomes levels on lines, and a printer's contacts become conditions.
//!
//! - [`profile`] says which line has which role, whatever drives it;
//! - [`panel`] drives and reads the lines of one profile, over embedded-hal's traits alone;
//! - [`lines`] is where it takes them from, and [`gpio`], the only user of `linux-embedded-hal`, gives real ones;
//! - [`pulses`] and [`contact`] decide when a pulse begins and when a contact counts: no I/O, and no clock of their own.
//!
//! A level here is a meaning: `true` is lit, ready, closed. What that is in volts is said once, by the profile's
//! `active-low`, and applied once, in `panel`.
//!
//! Deliberately absent: the cash drawer. Neither HQ nor a bug must open it.

pub mod contact;
pub mod gpio;
pub mod lines;
pub mod panel;
pub mod profile;
pub mod pulses;
