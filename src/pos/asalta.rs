//! Asalta.

pub mod connector;
