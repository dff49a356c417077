//! The page as its readers meet it: browsers, Prometheus, and whoever sends rubbish.

mod browser;
mod contents;
mod fixture;
mod visitors;

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use tillbox::{
    overview::Overview,
    page::{self, Page},
    watchdog::Watchdog,
    zone::Zone,
};
use tokio::net::TcpListener;

/// Whoever waits longer waits in vain.
const PATIENCE: Duration = Duration::from_secs(30);

fn jakarta() -> Zone {
    Zone::load("Asia/Jakarta").expect("the system's time zones")
}

/// Serves an overview on a free port of the loopback until the tests end.
fn served(overview: Overview) -> SocketAddr {
    let overview = Arc::new(overview);
    served_by(move || Arc::clone(&overview))
}

fn served_by(overview: impl Fn() -> Arc<Overview> + Send + Sync + 'static) -> SocketAddr {
    let page = Arc::new(Page { language: None, zone: jakarta(), overview: Box::new(overview) });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || runtime.block_on(page::answer_all(listener, page, Watchdog::default())));
    address
}

/// Sends bytes and reads until the other side closes.
fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let _answered_early = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _closed = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let answer = exchange(address, format!("GET {path} HTTP/1.1\r\nHost: box\r\n\r\n").as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, body.to_owned())
}
