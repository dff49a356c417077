//! An MQTT broker inside this program, so that the demonstration needs nothing installed.
//!
//! It keeps everything in memory and is good for this alone: the tests talk to a real one.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    thread,
};

use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};

/// Room for more than any demonstration sends: a full segment would drop what was acknowledged.
const SEGMENT: (usize, usize) = (16 * 1024 * 1024, 16);

/// Starts a broker on the loopback for the rest of the process's life; gives its address.
///
/// # Errors
/// No port, or no thread can be had.
pub fn start() -> io::Result<SocketAddr> {
    // The broker takes a port only by number: one that was free a moment ago.
    let listen = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let connections = ConnectionSettings {
        connection_timeout_ms: 5_000,
        max_payload_size: 256 * 1024,
        max_inflight_count: 500,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let server =
        ServerSettings { name: "demo".to_owned(), listen, tls: None, next_connection_delay_ms: 1, connections };
    let router = RouterConfig {
        max_connections: 32,
        max_outgoing_packet_count: 200,
        max_segment_size: SEGMENT.0,
        max_segment_count: SEGMENT.1,
        ..RouterConfig::default()
    };
    let config = Config { router, v4: Some(HashMap::from([("1".to_owned(), server)])), ..Config::default() };
    let mut broker = Broker::new(config);
    thread::Builder::new().name("broker".to_owned()).spawn(move || {
        if let Err(error) = broker.start() {
            eprintln!("tillbox demo: the broker ended: {error}");
        }
    })?;
    Ok(listen)
}
