//! Requests read from a connection, answers written to it.

use std::{
    fmt::Write as _,
    io::{self, Read, Write},
};

use chrono::{DateTime, Utc};

/// The longest request line and headers.
const HEAD_MAX_BYTES: usize = 16 * 1024;
/// The most headers.
const HEADERS_MAX: usize = 64;
/// The longest request body: logins and report queries are far shorter.
const BODY_MAX_BYTES: usize = 64 * 1024;
/// What is read at once.
const READ_BYTES: usize = 4 * 1024;

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `GET` …
    pub method: String,
    /// The target before the `?`, not decoded.
    pub path: String,
    /// The target after the `?`, not decoded.
    pub query: Option<String>,
    /// Names as sent.
    pub headers: Vec<(String, String)>,
    /// At most 64 KiB.
    pub body: Vec<u8>,
    pub(in crate::demo) keep_alive: bool,
}

impl Request {
    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The first query parameter of this name, decoded as forms are: `+` is a blank.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        let pairs = self.query.as_deref()?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.into_iter().find(|(n, _)| decoded(n) == name).map(|(_, value)| decoded(value))
    }

    pub(super) fn keep_alive(&self) -> bool {
        self.keep_alive
    }
}

/// What a service says.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Beside `Date`, `Content-Length` and `Connection`, which the server adds.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer with a body of any type.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        Self { status, headers: vec![("Content-Type".to_owned(), content_type.to_owned())], body }
    }

    /// An answer with a JSON body.
    #[must_use]
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, "application/json", body.to_string().into_bytes())
    }

    /// An error in the form of Laravel, which the fixtures assume: `{"message": …}`.
    #[must_use]
    pub fn message(status: u16, text: &str) -> Self {
        Self::json(status, &serde_json::json!({ "message": text }))
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}

/// What came over a connection.
#[derive(Debug)]
pub(super) enum Received {
    Request(Request),
    /// Not a request that this server takes; the connection is of no use any more.
    Unfit(Answer),
    /// The client has ended the connection between two requests.
    Closed,
}

/// The receiving half of a connection; keeps what was read beyond a request.
#[derive(Debug)]
pub(super) struct Incoming<R> {
    stream: R,
    buffer: Vec<u8>,
}

impl<R: Read> Incoming<R> {
    pub fn new(stream: R) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub fn receive(&mut self) -> io::Result<Received> {
        let (mut request, head_bytes) = loop {
            match parse_head(&self.buffer) {
                Ok(Some(parsed)) => break parsed,
                Ok(None) if self.buffer.len() > HEAD_MAX_BYTES => {
                    return Ok(Received::Unfit(Answer::message(431, "Request Header Fields Too Large")));
                }
                Ok(None) => {}
                Err(error) => return Ok(Received::Unfit(Answer::message(400, &error.to_string()))),
            }
            if self.read_more()? == 0 {
                return Ok(Received::Closed);
            }
        };
        if request.header("transfer-encoding").is_some() {
            return Ok(Received::Unfit(Answer::message(411, "Length Required")));
        }
        let Ok(body_bytes) = request.header("content-length").unwrap_or("0").parse::<usize>() else {
            return Ok(Received::Unfit(Answer::message(400, "Bad Request")));
        };
        if body_bytes > BODY_MAX_BYTES {
            return Ok(Received::Unfit(Answer::message(413, "Payload Too Large")));
        }
        while self.buffer.len() < head_bytes + body_bytes {
            if self.read_more()? == 0 {
                return Ok(Received::Closed);
            }
        }
        let rest = self.buffer.split_off(head_bytes + body_bytes);
        request.body = self.buffer.split_off(head_bytes);
        self.buffer = rest;
        Ok(Received::Request(request))
    }

    fn read_more(&mut self) -> io::Result<usize> {
        let mut part = [0; READ_BYTES];
        let read = self.stream.read(&mut part)?;
        self.buffer.extend_from_slice(&part[..read]);
        Ok(read)
    }
}

/// A request without its body, and the bytes it took; `None` if more must be read.
fn parse_head(bytes: &[u8]) -> Result<Option<(Request, usize)>, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = parsed.parse(bytes)? else { return Ok(None) };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (path, query) = match parsed.path.unwrap_or_default().split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (parsed.path.unwrap_or_default(), None),
    };
    let mut request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        query,
        headers: parsed.headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect(),
        ..Request::default()
    };
    let closes = request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    request.keep_alive = parsed.version == Some(1) && !closes;
    Ok(Some((request, head_bytes)))
}

/// How the body of an answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
    Whole,
    /// For `HEAD`.
    WithoutBody,
    /// Half of what `Content-Length` promises.
    Half,
    /// In chunks, with so many blanks before its last byte.
    Drawn(usize),
}

/// Writes an answer. The connection can only be used again after [`Sending::Whole`] or [`Sending::WithoutBody`].
pub(super) fn send(
    mut to: impl Write,
    answer: &Answer,
    sending: Sending,
    date: Option<DateTime<Utc>>,
    keep_alive: bool,
) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason(answer.status));
    let mut header = |name: &str, value: &dyn std::fmt::Display| {
        write!(head, "{name}: {value}\r\n").expect("a String takes what is written");
    };
    for (name, value) in &answer.headers {
        header(name, value);
    }
    if let Some(date) = date {
        header("Date", &date.format("%a, %d %b %Y %H:%M:%S GMT"));
    }
    match sending {
        Sending::Drawn(_) => header("Transfer-Encoding", &"chunked"),
        _ => header("Content-Length", &answer.body.len()),
    }
    header("Connection", &if keep_alive { "keep-alive" } else { "close" });
    head.push_str("\r\n");
    match sending {
        // One write for a whole answer: one packet, where it fits.
        Sending::Whole => to.write_all(&[head.as_bytes(), &answer.body].concat())?,
        Sending::WithoutBody => to.write_all(head.as_bytes())?,
        Sending::Half => to.write_all(&[head.as_bytes(), &answer.body[..answer.body.len() / 2]].concat())?,
        Sending::Drawn(blanks) => {
            to.write_all(head.as_bytes())?;
            draw_out(&mut to, &answer.body, blanks)?;
        }
    }
    to.flush()
}

/// The body in chunks, with `blanks` before its last byte, which is a closing bracket.
fn draw_out(to: &mut impl Write, body: &[u8], blanks: usize) -> io::Result<()> {
    const CHUNK_BYTES: usize = 64 * 1024;
    let mut chunk = |bytes: &[u8]| {
        write!(to, "{:x}\r\n", bytes.len())?;
        to.write_all(bytes)?;
        to.write_all(b"\r\n")
    };
    let (start, end) = body.split_at(body.len().saturating_sub(1));
    if !start.is_empty() {
        chunk(start)?;
    }
    let filling = vec![b' '; CHUNK_BYTES];
    for _ in 0..blanks.div_ceil(CHUNK_BYTES) {
        chunk(&filling)?;
    }
    chunk(end)?;
    to.write_all(b"0\r\n\r\n")
}

/// Percent-decoded text with `+` as a blank; what is no code stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(byte) = code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(if *first == b'+' { b' ' } else { *first });
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_in_one_packet_are_told_apart() {
        let bytes = b"POST /v1/login?a=1 HTTP/1.1\r\nContent-Length: 4\r\n\r\n{\"a\"GET /b HTTP/1.0\r\n\r\nGET /c";
        let mut incoming = Incoming::new(&bytes[..]);
        let Received::Request(first) = incoming.receive().unwrap() else { panic!() };
        assert_eq!(
            (first.method.as_str(), first.path.as_str(), first.body.as_slice()),
            ("POST", "/v1/login", &b"{\"a\""[..])
        );
        assert!(first.keep_alive());
        let Received::Request(second) = incoming.receive().unwrap() else { panic!() };
        assert_eq!((second.path.as_str(), second.query, second.keep_alive), ("/b", None, false));
        assert!(matches!(incoming.receive().unwrap(), Received::Closed));
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let status = |bytes: &[u8]| match Incoming::new(bytes).receive().unwrap() {
            Received::Unfit(answer) => answer.status,
            other => panic!("{other:?}"),
        };
        assert_eq!(status(format!("GET /{} HTTP/1.1\r\n", "a".repeat(20_000)).as_bytes()), 431);
        assert_eq!(status(b"POST / HTTP/1.1\r\nContent-Length: 70000\r\n\r\n"), 413);
        assert_eq!(status(b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), 400);
        assert_eq!(status(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), 411);
        assert_eq!(status(b"\x16\x03\x01"), 400);
    }

    #[test]
    fn parameters_are_decoded_as_forms_are() {
        let query = Some("from_date=2026-03-14T00%3A00%3A00%2B07:00&x=a+b&empty&percent=%zz".to_owned());
        let request = Request { query, ..Request::default() };
        assert_eq!(request.parameter("from_date").unwrap(), "2026-03-14T00:00:00+07:00");
        assert_eq!(request.parameter("x").unwrap(), "a b");
        assert_eq!(request.parameter("empty").unwrap(), "");
        assert_eq!(request.parameter("percent").unwrap(), "%zz");
        assert_eq!(request.parameter("to_date"), None);
    }
}
