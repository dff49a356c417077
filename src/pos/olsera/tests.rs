//! Both connectors against the simulated server and virtual time; nothing here does I/O.

mod documented;
mod driven;
mod open_api;
mod random;
mod spoilt;
mod world;
