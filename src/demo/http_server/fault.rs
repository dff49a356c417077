//! Faults on command: what a network and a server do to a client sooner or later.

use std::{
    collections::VecDeque,
    net::TcpStream,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::message::Answer;

/// How deep [`Garbling::Deep`] nests: more than a recursive parser's stack holds.
pub const DEEP_LEVELS: usize = 10_000;

/// How long [`Garbling::Endless`] is: more than a box may take into memory.
pub const ENDLESS_BYTES: usize = 50 * 1024 * 1024;

/// How often a held answer looks whether its client is still there.
const PEEK_EVERY: Duration = Duration::from_millis(50);

/// What goes wrong instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request is read and the connection closed without a byte.
    Cut,
    /// The right answer, but only after this span of the machine's time; `None`: not before the fault ends.
    Slow(Option<Duration>),
    /// 429, with `Retry-After` in seconds if given.
    TooMany(Option<u32>),
    /// This status instead of the answer: 500, 503 …
    Broken(u16),
    /// A page with this status, of something that stands before the server, with `Retry-After` in seconds if given.
    Page(u16, Option<u32>),
    /// 200 with a body that must not be taken for an answer.
    Garbled(Garbling),
}

/// Ways to spoil a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Garbling {
    /// The full `Content-Length`, half of the body, the end of the connection.
    Truncated,
    /// A page such as a hotel's login or a proxy's excuse.
    Html,
    /// No body at all.
    Empty,
    /// `{"error": …}`.
    ErrorBody,
    /// The answer, but each list in it is `null`.
    NullList,
    /// The answer, its lists emptied, drawn out with blanks to [`ENDLESS_BYTES`]: who reads it all is told, wrongly,
    /// that there is nothing. Sent in chunks, so that no header warns.
    Endless,
    /// The answer, but each list in it is [`DEEP_LEVELS`] lists in one another.
    Deep,
}

impl Garbling {
    /// The spoilt form of an answer. [`Garbling::Truncated`] and [`Garbling::Endless`] are spoilt further when sent.
    pub(super) fn spoil(self, answer: Answer) -> Answer {
        match self {
            Self::Truncated => answer,
            Self::Html => Answer::new(200, "text/html", b"<!DOCTYPE html><title>Login</title><p>Silakan masuk".into()),
            Self::Empty => Answer::new(200, "application/json", Vec::new()),
            Self::ErrorBody => {
                Answer::json(200, &serde_json::json!({"error": {"code": "internal", "message": "please try again"}}))
            }
            Self::NullList => with_lists(&answer, "null"),
            Self::Endless => with_lists(&answer, "[]"),
            Self::Deep => with_lists(&answer, &("[".repeat(DEEP_LEVELS) + &"]".repeat(DEEP_LEVELS))),
        }
    }
}

/// The answer's JSON object with `text` in the place of every list of its top level. By text, because a value nested
/// ten thousand levels deep would overflow our own stack when written or dropped.
fn with_lists(answer: &Answer, text: &str) -> Answer {
    let members = match serde_json::from_slice(&answer.body) {
        Ok(Value::Object(members)) => members,
        _ => serde_json::Map::new(),
    };
    let members: Vec<_> = members
        .into_iter()
        .map(|(key, value)| {
            let value = if value.is_array() { text.to_owned() } else { value.to_string() };
            format!("{}:{value}", Value::from(key))
        })
        .collect();
    Answer::new(200, "application/json", format!("{{{}}}", members.join(",")).into_bytes())
}

/// The faults in force.
#[derive(Debug, Default)]
pub(super) struct Faults {
    board: Mutex<Board>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Board {
    standing: Option<Fault>,
    /// Each for so many requests; they go before the standing one.
    next: VecDeque<(u32, Fault)>,
    /// Counts the changes of the standing fault: an answer is held only as long as the fault that holds it.
    change: u64,
    stopped: bool,
}

/// A fault drawn for one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drawn {
    pub fault: Fault,
    change: u64,
}

impl Faults {
    pub fn set(&self, standing: Option<Fault>) {
        let mut board = self.board();
        board.standing = standing;
        if standing.is_none() {
            board.next.clear();
        }
        board.change += 1;
        self.changed.notify_all();
    }

    pub fn queue(&self, requests: u32, fault: Fault) {
        if requests > 0 {
            self.board().next.push_back((requests, fault));
        }
    }

    /// Ends every held answer, for good.
    pub fn stop(&self) {
        self.board().stopped = true;
        self.changed.notify_all();
    }

    /// The fault for the request at hand; counts it.
    pub fn draw(&self) -> Option<Drawn> {
        let mut board = self.board();
        let fault = match board.next.front_mut() {
            Some((1, fault)) => {
                let fault = *fault;
                board.next.pop_front();
                fault
            }
            Some((left, fault)) => {
                *left -= 1;
                *fault
            }
            None => board.standing?,
        };
        Some(Drawn { fault, change: board.change })
    }

    /// Holds an answer for `delay`, or as long as its fault stands. False if nobody is left to answer: the client has
    /// gone, or the server stops.
    pub fn hold(&self, drawn: Drawn, delay: Option<Duration>, client: &TcpStream) -> bool {
        let started = Instant::now();
        let mut board = self.board();
        loop {
            let left = delay.map(|delay| delay.saturating_sub(started.elapsed()));
            if board.stopped || board.change != drawn.change || left == Some(Duration::ZERO) {
                return !board.stopped;
            }
            let wait = left.unwrap_or(PEEK_EVERY).min(PEEK_EVERY);
            board = self.changed.wait_timeout(board, wait).unwrap_or_else(PoisonError::into_inner).0;
            if has_gone(client) {
                return false;
            }
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the client has closed its end: otherwise each timed-out request would keep a thread.
fn has_gone(client: &TcpStream) -> bool {
    let peek = || {
        client.set_nonblocking(true)?;
        let peeked = client.peek(&mut [0]);
        client.set_nonblocking(false)?;
        peeked
    };
    match peek() {
        Ok(read) => read == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}
