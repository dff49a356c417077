//! Tillbox, in the order in which a sale meets its parts.

pub mod amount;
pub mod arithmetic;
pub mod clock;
pub mod config;
pub mod content;
pub mod instant;
pub mod numeral;
pub mod pos;
pub mod secret;
pub mod transaction;
pub mod zone;

#[cfg(feature = "demo")]
pub mod demo;
