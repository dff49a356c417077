//! Olsera.

pub mod connector;
