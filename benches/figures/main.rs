//! The figures that the README shows, measured: `cargo bench`.
//!
//! Speeds are ratios to a bare reference in the same run, as the machine's own speed drifts. Nothing is asserted. The
//! broker is Mosquitto from Debian's package `mosquitto`, on the loopback.

mod drain;
mod latency;
mod machine;
mod memory;
mod records;
mod store;

fn main() {
    // Without `cargo bench` it is only asked whether this builds and starts.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!("{}", machine::description());
    store::measure();
    latency::measure();
    drain::measure();
    memory::measure();
}
