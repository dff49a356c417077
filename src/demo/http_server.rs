//! A small HTTP/1.1 server on the loopback, for services that imitate a point of sale.
//!
//! - A thread per connection, keep-alive, a bound on everything that a client can make grow.
//! - Every request is remembered, and counted apart if it would change something: the box must be seen to read only.
//! - [`Fault`]s strike on command, at the transport or in the body, without the service knowing.
//! - Dropping the server ends its connections and joins its threads.
//!
//! A server of an existing crate was refused: none of them breaks an answer off in the middle.

mod fault;
mod message;

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use chrono::{DateTime, Utc};

pub use fault::{DEEP_LEVELS, ENDLESS_BYTES, Fault, Garbling};
pub use message::{Answer, Request};
use message::{Incoming, Received, Sending};

/// Connections at the same time; one more is closed at once.
const CONNECTIONS_MAX: usize = 64;
/// Requests that are remembered; older ones are only counted.
const REMEMBERED_MAX: usize = 10_000;
/// A connection without a request for this long is closed, so is one whose client does not take its answer.
const IDLE: Duration = Duration::from_secs(60);
/// A failed accept is tried again after this.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// What answers the requests.
pub trait Service: Send + Sync + 'static {
    /// The answer. It must not wait: slowness is a [`Fault`].
    fn answer(&self, request: &Request) -> Answer;

    /// The service's time.
    fn now(&self) -> DateTime<Utc>;

    /// What the `Date` header shows; `None`: no such header.
    fn shown_date(&self) -> Option<DateTime<Utc>> {
        Some(self.now())
    }

    /// Whether the request would change something at the point of sale.
    fn mutates(&self, request: &Request) -> bool {
        request.method != "GET"
    }
}

/// A request that was received, whatever became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// By the service's clock.
    pub at: DateTime<Utc>,
    /// `GET` …
    pub method: String,
    /// Without the query.
    pub path: String,
    /// As it was sent.
    pub query: Option<String>,
}

/// A running server.
pub struct HttpServer<S: Service> {
    shared: Arc<Shared<S>>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

impl<S: Service> HttpServer<S> {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port or no thread can be had.
    pub fn start(service: S) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            service,
            faults: fault::Faults::default(),
            seen: Mutex::default(),
            requests: AtomicU64::new(0),
            mutations: AtomicU64::new(0),
            connections: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        let acceptor =
            thread::Builder::new().name("pos-sim".to_owned()).spawn(move || accept(&accepting, &listener))?;
        Ok(Self { shared, address, acceptor: Some(acceptor) })
    }

    /// What answers here.
    #[must_use]
    pub fn service(&self) -> &S {
        &self.shared.service
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets every request meet this fault, until [`Self::heal`] or another fault. Answers that an earlier fault holds
    /// are let go.
    pub fn fail(&self, fault: Fault) {
        self.shared.faults.set(Some(fault));
    }

    /// Lets the next `requests` requests meet this fault, after those that were announced before and ahead of a
    /// standing one.
    pub fn fail_next(&self, requests: u32, fault: Fault) {
        self.shared.faults.queue(requests, fault);
    }

    /// Ends all faults, also those that were announced.
    pub fn heal(&self) {
        self.shared.faults.set(None);
    }

    /// The newest 10,000 requests, oldest first.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).iter().cloned().collect()
    }

    /// How many requests there were.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// How many of them would have changed something.
    #[must_use]
    pub fn mutations(&self) -> u64 {
        self.shared.mutations.load(Ordering::Relaxed)
    }
}

impl<S: Service> Drop for HttpServer<S> {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.faults.stop();
        // `accept` cannot be interrupted: a connection of our own wakes it.
        let woken = TcpStream::connect(self.address).is_ok();
        if let Some(acceptor) = self.acceptor.take().filter(|_| woken) {
            // A thread that panicked has told so itself; there is nobody here to hear it again.
            let _ = acceptor.join();
        }
    }
}

struct Shared<S> {
    service: S,
    faults: fault::Faults,
    seen: Mutex<VecDeque<Seen>>,
    requests: AtomicU64,
    mutations: AtomicU64,
    /// By a number of our own, to end them.
    connections: Mutex<HashMap<u64, TcpStream>>,
    stopping: AtomicBool,
}

/// The acceptor's thread: it ends only when the server is dropped, after all its connections.
fn accept<S: Service>(shared: &Arc<Shared<S>>, listener: &TcpListener) {
    let mut threads = Vec::<JoinHandle<()>>::new();
    for number in 0.. {
        let accepted = listener.accept();
        if shared.stopping.load(Ordering::SeqCst) {
            break;
        }
        threads.retain(|thread| !thread.is_finished());
        match accepted {
            // No room for one more is the client's loss, as at any overloaded server.
            Ok((stream, _)) => threads.extend(open(shared, number, stream)),
            // Out of file descriptors, most likely: they come back when connections end.
            Err(_) => thread::park_timeout(ACCEPT_AGAIN),
        }
    }
    for stream in lock(&shared.connections).values() {
        let _ = stream.shutdown(Shutdown::Both);
    }
    for thread in threads {
        let _ = thread.join();
    }
}

/// Gives a connection its thread.
fn open<S: Service>(shared: &Arc<Shared<S>>, number: u64, stream: TcpStream) -> io::Result<JoinHandle<()>> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    stream.set_nodelay(true)?;
    {
        let mut connections = lock(&shared.connections);
        if connections.len() >= CONNECTIONS_MAX {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        connections.insert(number, stream.try_clone()?);
    }
    let serving = Arc::clone(shared);
    let thread = thread::Builder::new().name(format!("pos-sim-{number}")).spawn(move || {
        // A client that goes away in the middle is not our fault.
        let _ = serving.serve(&stream);
        let _ = stream.shutdown(Shutdown::Both);
        lock(&serving.connections).remove(&number);
    });
    if thread.is_err() {
        lock(&shared.connections).remove(&number);
    }
    thread
}

impl<S: Service> Shared<S> {
    /// One connection, from its first request to its end.
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let mut incoming = Incoming::new(stream);
        while !self.stopping.load(Ordering::SeqCst) {
            let request = match incoming.receive()? {
                Received::Request(request) => request,
                Received::Unfit(answer) => return self.send(stream, &answer, Sending::Whole, false),
                Received::Closed => return Ok(()),
            };
            self.remember(&request);
            let Some((answer, mut sending)) = self.outcome(&request, stream) else { return Ok(()) };
            if request.method == "HEAD" {
                sending = Sending::WithoutBody;
            }
            let keep_alive = request.keep_alive() && matches!(sending, Sending::Whole | Sending::WithoutBody);
            self.send(stream, &answer, sending, keep_alive)?;
            if !keep_alive {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What the request gets; `None`: the end of the connection.
    fn outcome(&self, request: &Request, stream: &TcpStream) -> Option<(Answer, Sending)> {
        let Some(drawn) = self.faults.draw() else { return Some((self.service.answer(request), Sending::Whole)) };
        let answer = match drawn.fault {
            Fault::Cut => return None,
            Fault::Slow(delay) => {
                if !self.faults.hold(drawn, delay, stream) {
                    return None;
                }
                self.service.answer(request)
            }
            Fault::TooMany(seconds) => {
                let answer = Answer::message(429, "Too Many Attempts.");
                seconds.map_or(answer.clone(), |seconds| answer.with("Retry-After", &seconds))
            }
            Fault::Broken(status) => Answer::message(status, "Server Error"),
            Fault::Page(status, seconds) => {
                let page = b"<html><head><title>Request blocked</title></head><body>Ray ID</body></html>".to_vec();
                let answer = Answer::new(status, "text/html", page);
                seconds.map_or(answer.clone(), |seconds| answer.with("Retry-After", &seconds))
            }
            Fault::Garbled(garbling) => {
                let sending = match garbling {
                    Garbling::Truncated => Sending::Half,
                    Garbling::Endless => Sending::Drawn(ENDLESS_BYTES),
                    _ => Sending::Whole,
                };
                return Some((garbling.spoil(self.service.answer(request)), sending));
            }
        };
        Some((answer, Sending::Whole))
    }

    fn send(&self, stream: &TcpStream, answer: &Answer, sending: Sending, keep_alive: bool) -> io::Result<()> {
        message::send(stream, answer, sending, self.service.shown_date(), keep_alive)
    }

    fn remember(&self, request: &Request) {
        let at = self.service.now();
        let (method, path, query) = (request.method.clone(), request.path.clone(), request.query.clone());
        let mut seen = lock(&self.seen);
        if seen.len() == REMEMBERED_MAX {
            seen.pop_front();
        }
        seen.push_back(Seen { at, method, path, query });
        self.requests.fetch_add(1, Ordering::Relaxed);
        if self.service.mutates(request) {
            self.mutations.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
