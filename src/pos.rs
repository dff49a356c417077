//! The point-of-sale systems: how each is asked, and how its answers become records or reasons why not.
//!
//! A system's parser is a pure function from a body to a [`page::Page`], and its [`connector::Connector`] a pure machine
//! that decides what to ask; neither sees a network, a clock or a store. Only [`http`] does I/O.

pub mod asalta;
pub mod body;
pub mod connector;
pub mod fields;
pub mod http;
pub mod narrow;
pub mod olsera;
pub mod page;
pub mod pos_kasir;
pub mod qasir;
pub mod raw;
pub mod readings;
pub mod request;
pub mod systems;
#[cfg(test)]
#[cfg_attr(not(feature = "demo"), expect(dead_code, reason = "what only the simulated servers need"))]
mod world;
