//! The figures that the README shows, measured: `cargo bench`, or a part of them: `cargo bench -- store latency`.
//!
//! Speeds are ratios to a bare reference in the same run, as the machine's own speed drifts. Nothing is asserted. The
//! broker is Mosquitto from Debian's package `mosquitto`, on the loopback.

mod drain;
mod idle;
mod latency;
mod machine;
mod memory;
mod records;
mod requests;
mod store;
mod tls;

fn main() {
    // Without `cargo bench` it is only asked whether this builds and starts.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!("{}", machine::description());
    let chosen: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let parts: [(&str, fn()); 6] = [
        ("store", store::measure),
        ("latency", latency::measure),
        ("drain", drain::measure),
        ("memory", memory::measure),
        ("idle", idle::measure),
        ("requests", requests::measure),
    ];
    for (name, measure) in parts {
        if chosen.is_empty() || chosen.iter().any(|part| part == name) {
            measure();
        }
    }
}
