//! A shop, its point of sale and HQ on one machine, for `tillbox demo` and for the end-to-end tests.
//!
//! Nothing here is on the way of a real sale, and box builds leave it out. It shares no parsing, no amounts and no
//! identities with the rest of the program: a truth derived from the code under proof would prove nothing.
//!
//! - [`shop`]: what happens in a shop on one day, and the shop's own books: the truth that HQ's states must equal.
//! - [`http_server`]: HTTP/1.1 on the loopback, with transport faults on command.
//! - [`qasir`]: Qasir's API over it, as far as it is documented.

pub mod http_server;
pub mod qasir;
pub mod shop;
