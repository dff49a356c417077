//! The connector against the simulated server and a clock that stands; nothing here does I/O.

mod changes;
mod lasting;
mod named;
mod random;
mod spoilt;
mod token;
mod world;
