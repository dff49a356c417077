//! Qasir (`https://api.qasir.id/v1`). No vendor's reference is public: the field names are those of an integrator's
//! guide, and what it does not say is not assumed.

mod account;
pub mod connector;
mod cursor;
pub mod parse;
mod reading;
#[cfg(test)]
mod tests;
mod vanished;
mod windows;
