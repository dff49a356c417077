//! Tillbox, in the order in which a sale meets its parts.

pub mod clock;
pub mod config;
pub mod secret;
pub mod zone;

#[cfg(feature = "demo")]
pub mod demo;
