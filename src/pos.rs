//! The point-of-sale systems: how each is asked, and how its answers become records or reasons why not.
//!
//! A system's parser is a pure function from a body to a [`page::Page`]; it sees no network, no clock and no store.

pub mod body;
pub mod fields;
pub mod page;
pub mod qasir;
