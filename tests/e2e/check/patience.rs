//! Servers that cost time: each item has its end, and says what it waited for.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
};

use tillbox::{check::ITEM_MAX, stop::Stop};

use super::*;

/// A server that takes every connection and gives it to somebody who has time.
fn server(keep: fn(TcpStream) -> io::Result<()>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || keep(stream));
        }
    });
    address
}

/// Reads, and never says a word.
fn mute(mut stream: TcpStream) -> io::Result<()> {
    while stream.read(&mut [0; 1_024])? > 0 {}
    Ok(())
}

/// Says one byte a second, of what may go on for hours.
fn drip(mut stream: TcpStream, begin: &[u8]) -> io::Result<()> {
    let _asked = stream.read(&mut [0; 1_024])?;
    for byte in begin.iter().chain([b'1'].iter().cycle()) {
        stream.write_all(&[*byte])?;
        let _nobody_stops = Stop::default().wait(Duration::from_secs(1));
    }
    Ok(())
}

fn drip_http(stream: TcpStream) -> io::Result<()> {
    drip(stream, b"HTTP/1.1 200 OK\r\n")
}

/// A record of TLS that claims to be long, and a server's greeting in it that claims it too.
fn drip_tls(stream: TcpStream) -> io::Result<()> {
    drip(stream, &[22, 3, 3, 64, 0, 2, 0, 63, 0])
}

fn checked(pos: SocketAddr, broker: &str) -> Checked {
    let mut place = Place::new();
    place.setup.pos_url = format!("http://{pos}/v1");
    broker.clone_into(&mut place.setup.broker);
    let begun = Instant::now();
    let checked = place.checked();
    // What is on this machine is tried meanwhile.
    assert!(begun.elapsed() < ITEM_MAX + Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!((checked.lines("fault").len(), checked.code), (2, Some(75)), "{}", checked.text);
    checked
}

#[test]
fn servers_that_accept_and_never_answer_are_left() {
    let checked = checked(server(mute), &format!("mqtt://{}", server(mute)));
    has(
        checked.line("fault pos front"),
        &["qasir GET /outlets: expected an answer within 8 s, found none", "; check again"],
    );
    has(checked.line("fault hq mqtt"), &["the broker does not answer in time; expected a session; check again"]);
}

#[test]
fn servers_that_drip_are_left() {
    let checked = checked(server(drip_http), &format!("mqtts://{}", server(drip_tls)));
    has(
        checked.line("fault pos front"),
        &["qasir GET /outlets: expected an answer within 8 s, found none", "; check again"],
    );
    has(
        checked.line("fault hq mqtts"),
        &[
            "found no end within 30 s, waiting for 127.0.0.1:",
            " in the TLS handshake; expected ",
            "; check the network",
        ],
    );
}
