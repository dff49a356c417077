//! The contract with HQ (`docs/contract`) is what the program does: every kind of message is held against its schema,
//! every list of names in a schema against the code's, and the guide's examples against the code's hashes.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

mod contract;
mod documents;
mod life;
#[cfg(feature = "demo")]
mod line;
mod names;
mod strict;
mod tolerant;
