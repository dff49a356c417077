//! The connector against a simulated server and virtual time; nothing here does I/O.

mod named;
mod random;
mod rates;
mod spoilt;
mod vanished;
mod world;
