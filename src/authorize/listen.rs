//! The end of the redirect on this machine: one small page for one request, 404 for all others.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    sync::mpsc::Sender,
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    Come,
    address::{Redirected, read_redirected},
};
use crate::stop::Stop;

/// A browser sends its request at once.
const IDLE: Duration = Duration::from_secs(5);

/// From one look for a browser to the next.
const LOOK: Duration = Duration::from_millis(100);

/// No request of a browser that was sent here is longer.
const HEAD_MAX_BYTES: usize = 16 * 1024;

/// Listens until it is dropped.
pub struct Listener {
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens where the redirect-uri points, if that is this machine; else `None`.
    ///
    /// # Errors
    /// Another program listens there; one line for a person.
    pub fn start(redirect_uri: &str, state: &str, found: Sender<Come>) -> Option<Result<Self, String>> {
        let (address, path) = loopback(redirect_uri)?;
        Some(
            Self::listen(address, path, state, found).map_err(|error| {
                format!("cannot listen on {address}, where the redirect-uri points: {}", error.kind())
            }),
        )
    }

    fn listen(address: SocketAddr, path: String, state: &str, found: Sender<Come>) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let stop = Stop::default();
        let (stopping, state) = (stop.clone(), state.to_owned());
        let thread = thread::Builder::new().name("redirect".to_owned()).spawn(move || {
            while !stopping.is_given() {
                match listener.accept() {
                    // A browser that goes away in the middle comes again, or its person pastes.
                    Ok((stream, _)) => _ = answer(&stream, &path, &state, &found),
                    Err(_) => _ = stopping.wait(LOOK),
                }
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.give();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has told so itself.
            let _ = thread.join();
        }
    }
}

fn answer(stream: &TcpStream, path: &str, state: &str, found: &Sender<Come>) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    let target = read_target(stream)?;
    let is_ours = target.as_deref().filter(|target| target.split('?').next() == Some(path));
    let redirected = is_ours.map(|target| read_redirected(target, state));
    let (status, text) = match redirected {
        Some(Redirected::Code(_)) => ("200 OK", "Done. Close this page and look at the terminal."),
        Some(Redirected::Denied(_)) => {
            ("200 OK", "The access was not allowed. Close this page and look at the terminal.")
        }
        Some(Redirected::OtherState) => ("400 Bad Request", "This page answers another request."),
        Some(Redirected::Nothing) | None => ("404 Not Found", "There is nothing here."),
    };
    let page = format!("<!DOCTYPE html><meta charset=\"utf-8\"><title>tillbox</title><p>{text}</p>\n");
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n",
        page.len()
    );
    let sent = (&*stream).write_all(format!("{head}{page}").as_bytes());
    if let Some(target) = target.filter(|_| !matches!(redirected, None | Some(Redirected::Nothing))) {
        let _the_end_may_be_known = found.send(Come::Address(target));
    }
    sent
}

/// The target of a GET; `None` if the request is none.
fn read_target(mut stream: &TcpStream) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut part = [0; 2_048];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part)? {
            0 => return Ok(None),
            read => head.extend_from_slice(&part[..read]),
        }
        if head.len() > HEAD_MAX_BYTES {
            return Ok(None);
        }
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target) = (words.next(), words.next());
    let target = target.filter(|_| method == Some(b"GET")).and_then(|target| str::from_utf8(target).ok());
    Ok(target.map(str::to_owned))
}

/// The address and the path of a redirect-uri on this machine.
fn loopback(redirect_uri: &str) -> Option<(SocketAddr, String)> {
    let rest = redirect_uri.strip_prefix("http://")?;
    let (place, path) = rest.find(['/', '?']).map_or((rest, ""), |end| rest.split_at(end));
    let path = path.split('?').next().unwrap_or_default();
    let (host, port) = place.rsplit_once(':')?;
    let host: IpAddr = match host {
        "127.0.0.1" | "localhost" => Ipv4Addr::LOCALHOST.into(),
        "[::1]" => Ipv6Addr::LOCALHOST.into(),
        _ => return None,
    };
    let path = if path.is_empty() { "/" } else { path };
    Some((SocketAddr::new(host, port.parse().ok()?), path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_listened_on() {
        let told = |uri| loopback(uri).map(|(address, path)| format!("{address} {path}"));
        assert_eq!(told("http://127.0.0.1:8014/back?x=1").as_deref(), Some("127.0.0.1:8014 /back"));
        assert_eq!(told("http://localhost:80").as_deref(), Some("127.0.0.1:80 /"));
        assert_eq!(told("http://[::1]:8014/?x").as_deref(), Some("[::1]:8014 /"));
        for other in ["https://127.0.0.1:8014/", "http://192.0.2.1:80/", "http://127.0.0.1/", "http://127.0.0.1:x/"] {
            assert_eq!(told(other), None, "{other}");
        }
    }
}
