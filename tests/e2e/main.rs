//! End to end with real parts: the program as it ships, Mosquitto, the point of sale over HTTP, a file system.
//!
//! Each test has a folder, a broker, a point of sale and a headquarters of its own, so they run side by side. Nothing
//! sleeps to be right: every wait is for a condition, and one that does not come fails with the daemon's own log.

mod parts;

mod answers;
mod authorize;
mod broker_lost;
mod by_hand;
mod check;
mod checkpoint;
mod commanded;
mod demo;
mod exits;
mod foreign;
mod hostile;
mod killed;
mod line;
mod memory;
mod normal;
mod notify;
mod page;
mod private;
mod quiet;
mod refused;
mod rows;
mod shop;
mod size;
mod stopping;
mod store;
mod stored;
mod tls;
