//! The page: what a browser on the shop's network sees of the box.
//!
//! - `/`: what the lights mean, what waits, what to do; readable without scripts, which its policy forbids anyway.
//! - `/metrics`: figures in Prometheus' text format.
//! - `/healthz`: 200 while the box helps itself, 503 while it needs a technician; one line either way.
//!
//! It answers GET and HEAD and changes nothing. It shows no secret, no person and no money, so it asks nobody who they
//! are. Whatever comes from outside is bounded: connections, those of one address, the bytes and the time of a request,
//! the time of an answer. A page that fails, or panics, costs its reader an answer and nobody else anything.
//!
//! Deliberately absent: TLS, keep-alive, compression, files, and a way to listen on more than one address.

pub mod chart;
pub mod html;
pub mod metrics;
pub mod request;
pub mod write;

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::{Id, JoinSet},
    time::timeout,
};

use self::request::{HEAD_MAX_BYTES, Refusal, Request, What};
use crate::{
    config, health::Condition, overview::Overview, signal::Pattern, texts::Language, watchdog::Watchdog, zone::Zone,
};

/// Connections at the same time, at most; others wait …
const CONNECTIONS_MAX: usize = 32;

/// … and of one address no more than this: what goes beyond is closed at once, so that nobody keeps others out.
const CONNECTIONS_OF_ONE_MAX: usize = 16;

/// A request that is not whole by then is left.
const REQUEST_MAX: Duration = Duration::from_secs(5);

/// An answer that is not taken by then is left.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What still arrives after an answer is read away for so long, and so many bytes of it, so that the answer is not lost.
const REST_MAX: Duration = Duration::from_secs(1);
const REST_MAX_BYTES: usize = 64 * 1024;

/// An address that cannot be had, or no longer, is tried again after this long: the network may come later.
const LISTEN_AGAIN_AFTER: Duration = Duration::from_secs(15);

/// Wait after a connection that could not be taken.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Whoever listens looks up this often, so that it is seen to.
const LOOK_UP_EVERY: Duration = Duration::from_secs(30);

/// Making one answer, for which the store is read, is over within this.
const MAKE_MAX: Duration = Duration::from_secs(180);

/// What the page shows, and how.
pub struct Page {
    /// Its language; `None` for each browser's own.
    pub language: Option<Language>,
    /// The outlet's zone.
    pub zone: Zone,
    /// Gives the overview; it may take its time.
    pub overview: Box<dyn Fn() -> Arc<Overview> + Send + Sync>,
}

/// Listens where the config says and answers until the daemon ends. An address that cannot be had is told once, and
/// tried again: that is a wait like another, of which the watchdog is told.
pub async fn serve(config: config::Page, page: Arc<Page>, watchdog: Watchdog) {
    let (mut told, listening) = (false, watchdog.stage("page", LOOK_UP_EVERY));
    loop {
        match TcpListener::bind(config.listen).await {
            Ok(listener) => {
                tracing::info!(address = %config.listen, "page: a browser can read it");
                drop(listening);
                return answer_all(listener, page, watchdog).await;
            }
            Err(error) if told => tracing::debug!(%error, "page: still nowhere to listen"),
            Err(error) => {
                let address = config.listen;
                tracing::warn!(%address, %error, "page: cannot listen there; it is tried again, and all else goes on");
                told = true;
            }
        }
        listening.will_wait(LISTEN_AGAIN_AFTER);
        tokio::time::sleep(LISTEN_AGAIN_AFTER).await;
    }
}

/// Answers whoever connects.
pub async fn answer_all(listener: TcpListener, page: Arc<Page>, watchdog: Watchdog) {
    let (mut answering, heartbeat) = (JoinSet::new(), watchdog.stage("page", LOOK_UP_EVERY));
    let mut open: Vec<(Id, IpAddr)> = Vec::with_capacity(CONNECTIONS_MAX);
    loop {
        heartbeat.will_wait(LOOK_UP_EVERY);
        tokio::select! {
            accepted = listener.accept(), if answering.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, from)) => {
                    if open.iter().filter(|(_, of)| *of == from.ip()).count() < CONNECTIONS_OF_ONE_MAX {
                        let task = answering.spawn(answer(stream, Arc::clone(&page), watchdog.clone()));
                        open.push((task.id(), from.ip()));
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "page: a connection cannot be taken");
                    tokio::time::sleep(TRY_AGAIN_AFTER).await;
                }
            },
            Some(ended) = answering.join_next_with_id() => {
                let id = match ended {
                    Ok((id, ())) => id,
                    Err(error) => {
                        tracing::error!(%error, "page: an answer failed");
                        error.id()
                    }
                };
                open.retain(|(of, _)| *of != id);
            }
            () = tokio::time::sleep(LOOK_UP_EVERY) => {}
        }
    }
}

/// Answers one request, and closes.
async fn answer(mut stream: TcpStream, page: Arc<Page>, watchdog: Watchdog) {
    let Ok(Some(request)) = timeout(REQUEST_MAX, read_request(&mut stream)).await else { return };
    let (answer, head_only) = match request {
        Ok(Request { what, head_only }) => {
            // The store is read for it; and a panic in there ends there. Only this can hang: the network has its limits.
            let _promise = watchdog.stage("page answer", MAKE_MAX);
            let made = tokio::task::spawn_blocking(move || page.answer(what)).await;
            (made.unwrap_or_else(|_| Answer::text(500, "the page failed; the box's journal says more\n")), head_only)
        }
        Err(refusal) => (Answer::refused(refusal), false),
    };
    let wrote = async {
        stream.write_all(&answer.bytes(head_only)).await?;
        stream.shutdown().await
    };
    if matches!(timeout(ANSWER_MAX, wrote).await, Ok(Ok(()))) {
        let _gone_either_way = timeout(REST_MAX, read_away(&mut stream)).await;
    }
}

/// Reads the head of a request; `None` if the other side went without one.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Result<Request, Refusal>> {
    let mut head = Vec::new();
    loop {
        let mut part = [0; 2_048];
        let room = part.len().min(HEAD_MAX_BYTES - head.len());
        match stream.read(&mut part[..room]).await {
            Ok(bytes) if bytes > 0 => head.extend_from_slice(&part[..bytes]),
            _ => return None,
        }
        // A request is read when its end may have come, not after each of its bytes.
        let may_end = head.len() == HEAD_MAX_BYTES || head.windows(2).any(|end| end == b"\n\n" || end == b"\n\r");
        if (may_end || !looks_like_http(&head))
            && let Some(request) = request::read(&head)
        {
            return Some(request);
        }
    }
}

/// Whether what came so far may still become a request: what is none, such as TLS, is told at once.
fn looks_like_http(head: &[u8]) -> bool {
    head.first().is_none_or(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'\r' | b'\n'))
}

async fn read_away(stream: &mut (impl AsyncRead + Unpin)) {
    let (mut part, mut left) = ([0; 2_048], REST_MAX_BYTES);
    while left > 0 {
        match stream.read(&mut part).await {
            Ok(bytes) if bytes > 0 => left = left.saturating_sub(bytes),
            _ => return,
        }
    }
}

/// What is sent back.
#[derive(Debug)]
struct Answer {
    status: u16,
    content_type: &'static str,
    /// What the answer may load and run.
    policy: String,
    body: String,
}

impl Page {
    fn answer(&self, what: What) -> Answer {
        let overview = (self.overview)();
        match what {
            What::Page { chosen, preferred } => {
                let language = chosen.or(self.language).or(preferred).unwrap_or_default();
                let body = html::page(&overview, &self.zone, language);
                let policy = format!(
                    "default-src 'none'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'; \
                     frame-ancestors 'none'",
                    html::STYLE_SHA256
                );
                Answer { status: 200, content_type: "text/html; charset=utf-8", policy, body }
            }
            What::Metrics => {
                let content_type = "text/plain; version=0.0.4; charset=utf-8";
                Answer { content_type, ..Answer::text(200, &metrics::metrics(&overview)) }
            }
            What::Health => {
                let (status, line) = health_line(&overview);
                Answer::text(status, &line)
            }
        }
    }
}

/// Whether the box needs somebody, in a line. What passes by itself, and what the shop mends, is no alarm.
fn health_line(overview: &Overview) -> (u16, String) {
    let codes = |keep: &dyn Fn(&str, bool) -> bool| {
        let kept = overview.conditions.iter().filter(|trouble| keep(&trouble.code, trouble.needs_technician));
        let mut codes: Vec<&str> = kept.map(|trouble| trouble.code.as_str()).collect();
        codes.dedup();
        codes.join(", ")
    };
    let full = Condition::OutboxFull.code();
    if matches!(overview.lights.fault, Pattern::Off | Pattern::Slow) {
        let all = codes(&|_, _| true);
        return (200, if all.is_empty() { "ok\n".to_owned() } else { format!("ok, but {all}\n") });
    }
    let grave = codes(&|code, needs_technician| needs_technician || code == full);
    (503, if grave.is_empty() { "needs a technician\n".to_owned() } else { format!("needs a technician: {grave}\n") })
}

impl Answer {
    fn text(status: u16, text: &str) -> Self {
        let policy = "default-src 'none'; frame-ancestors 'none'".to_owned();
        Self { status, content_type: "text/plain; charset=utf-8", policy, body: text.to_owned() }
    }

    fn refused(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Nonsense => Self::text(400, "this is no HTTP request; open the page with http://\n"),
            Refusal::TooLong => Self::text(431, "the request is too long\n"),
            Refusal::NotFound => Self::text(404, "there is only /, /metrics and /healthz\n"),
            Refusal::Method => Self::text(405, "nothing can be changed here: only GET and HEAD are answered\n"),
        }
    }

    fn bytes(&self, head_only: bool) -> Vec<u8> {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            431 => "Request Header Fields Too Large",
            503 => "Service Unavailable",
            _ => "Internal Server Error",
        };
        let Self { status, content_type, policy, body } = self;
        let allow = if *status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{allow}\
             Connection: close\r\nCache-Control: no-store\r\nContent-Security-Policy: {policy}\r\n\
             X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\r\n"
        );
        let mut bytes = head.into_bytes();
        if !head_only {
            bytes.extend_from_slice(body.as_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, net::Ipv4Addr, sync::mpsc, thread, time::Instant};

    use super::*;
    use crate::watchdog::Heartbeat;

    /// More than any promise that the page makes.
    const HOURS: Duration = Duration::from_secs(3 * 3_600);

    fn names(watchdog: &Watchdog, now: Instant) -> Vec<String> {
        watchdog.late(now).into_iter().map(|late| late.stage).collect()
    }

    fn event_loop() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop")
    }

    /// A page of which nobody gets to see anything: making it never ends. It tells when that begins.
    fn endless() -> (Arc<Page>, mpsc::Receiver<()>) {
        let (begun, waiting) = mpsc::channel();
        let overview = move || {
            let _nobody_waits_any_more = begun.send(());
            loop {
                thread::park();
            }
        };
        let zone = Zone::load("Asia/Jakarta").expect("the system's time zones");
        (Arc::new(Page { language: None, zone, overview: Box::new(overview) }), waiting)
    }

    /// Another stage of the daemon, which keeps its word: whatever the page does, it is not late.
    fn healthy(watchdog: &Watchdog) -> Heartbeat {
        watchdog.stage("poll front", 10 * HOURS)
    }

    #[test]
    fn a_page_that_hangs_is_named_and_one_that_turns_is_not() {
        let (watchdog, (page, waiting)) = (Watchdog::default(), endless());
        let (_healthy, runtime) = (healthy(&watchdog), event_loop());
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        let address = listener.local_addr().expect("its address");
        runtime.spawn(answer_all(listener, page, watchdog.clone()));
        let turn = |span| runtime.block_on(async { tokio::time::sleep(span).await });
        turn(Duration::from_millis(1));
        let begun = Instant::now();
        assert!(watchdog.late(begun).is_empty());
        assert_eq!(names(&watchdog, begun + HOURS), ["page"], "an event loop that no longer turns");

        // Somebody connects: the loop turns and promises anew.
        turn(Duration::from_millis(50));
        let mut visitor = std::net::TcpStream::connect(address).expect("a connection");
        let before = watchdog.late(begun + HOURS)[0].by;
        turn(Duration::from_millis(50));
        assert!(watchdog.late(begun + HOURS)[0].by < before, "it promised anew");

        // What it asks for never comes.
        visitor.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("a request");
        turn(Duration::from_millis(50));
        waiting.recv_timeout(Duration::from_secs(30)).expect("the request is read");
        assert!(watchdog.late(Instant::now()).is_empty(), "it has its time");
        let late = names(&watchdog, Instant::now() + HOURS);
        assert!(late.contains(&"page answer".to_owned()) && late.contains(&"page".to_owned()), "{late:?}");
        runtime.shutdown_background();
        assert!(!names(&watchdog, Instant::now() + HOURS).contains(&"page".to_owned()), "it ended, and hangs no more");
    }

    #[test]
    fn a_page_that_cannot_listen_keeps_its_promises() {
        let (watchdog, (page, _waiting)) = (Watchdog::default(), endless());
        let (_healthy, runtime) = (healthy(&watchdog), event_loop());
        let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let listen = taken.local_addr().expect("its address");
        runtime.spawn(serve(config::Page { listen, language: None }, page, watchdog.clone()));
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(50)).await });
        let now = Instant::now();
        assert!(names(&watchdog, now + LISTEN_AGAIN_AFTER).is_empty(), "it is back before it is missed");
        assert_eq!(names(&watchdog, now + HOURS), ["page"], "and missed if it does not come back");
        runtime.shutdown_background();
    }
}
