//! POS Kasir.

pub mod connector;
