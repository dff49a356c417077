//! Whoever connects: browsers, rubbish, the slow, the many.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tillbox::signal::Pattern;

use crate::{PATIENCE, exchange, fixture, get, served, served_by};

fn head_of(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("a head").0
}

#[test]
fn every_answer_is_closed_uncached_and_under_its_policy() {
    let address = served(fixture::healthy());
    for (path, content_type) in
        [("/", "text/html; charset=utf-8"), ("/metrics", "text/plain; version=0.0.4"), ("/healthz", "text/plain")]
    {
        let answer = exchange(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        for line in [
            &format!("Content-Type: {content_type}"),
            &format!("Content-Length: {}\r", body.len()),
            "Connection: close",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            "Referrer-Policy: no-referrer",
            "Content-Security-Policy: default-src 'none'; ",
        ] {
            assert!(format!("{head}\r").contains(line), "{line}: {head}");
        }
        assert!(!head.contains("Set-Cookie") && !head.contains("unsafe"));
        let only_head = exchange(address, format!("HEAD {path} HTTP/1.1\r\n\r\n").as_bytes());
        assert_eq!(only_head, format!("{head}\r\n\r\n"), "HEAD is GET without its body");
    }
}

#[test]
fn the_language_is_the_links_else_the_browsers() {
    let address = served(fixture::healthy());
    let lang = |path: &str, accepts: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nAccept-Language: {accepts}\r\n\r\n");
        let answer = exchange(address, request.as_bytes());
        answer.split_once("<html lang=").expect("a page").1[..2].to_owned()
    };
    assert_eq!(lang("/", "id-ID,id;q=0.9,en;q=0.8"), "id");
    assert_eq!(lang("/", "en-GB"), "en");
    assert_eq!(lang("/", "ja"), "en");
    assert_eq!(lang("/?lang=id", "en"), "id");
    assert_eq!(lang("/?lang=en", "id"), "en");
    assert_eq!(lang("/?lang=%3Cscript%3E", "id"), "id");
}

#[test]
fn the_health_line_alarms_only_for_what_needs_somebody() {
    assert_eq!(get(served(fixture::healthy()), "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(get(served(fixture::holding()), "/healthz"), (200, "ok, but hq_unreachable\n".to_owned()));
    let (status, line) = get(served(fixture::faulty()), "/healthz");
    assert_eq!((status, line.as_str()), (503, "needs a technician: pos_refused\n"));
    let mut full = fixture::healthy();
    full.lights.fault = Pattern::Fast;
    assert_eq!(get(served(full), "/healthz").0, 503);
}

#[test]
fn rubbish_gets_a_reason_and_harms_nobody() {
    let address = served(fixture::healthy());
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(20_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(100));
    let cases: [(&[u8], &str); 9] = [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400"),
        (b"\x00\x00\x00\x00\r\n\r\n", "400"),
        (b"GET / HTTP/7.7\r\n\r\n", "400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", "405"),
        (b"OPTIONS * HTTP/1.1\r\n\r\n", "405"),
        (b"GET /../../etc/passwd HTTP/1.1\r\n\r\n", "404"),
        (b"GET /favicon.ico HTTP/1.1\r\n\r\n", "404"),
        (long.as_bytes(), "431"),
        (many.as_bytes(), "431"),
    ];
    for (bytes, status) in cases {
        let answer = exchange(address, bytes);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {answer:?}");
        assert!(head_of(&answer).contains("nosniff"));
    }
    let refused = exchange(address, b"PUT / HTTP/1.1\r\n\r\n");
    assert!(refused.contains("\r\nAllow: GET, HEAD\r\n"), "{refused}");
    assert_eq!(get(address, "/").0, 200);
}

#[test]
fn a_request_in_single_bytes_is_answered_and_one_that_never_ends_is_left() {
    let address = served(fixture::healthy());
    let mut slow = TcpStream::connect(address).expect("a connection");
    for byte in b"GET /healthz HTTP/1.1\r\nHost: box\r\n\r\n" {
        slow.write_all(&[*byte]).expect("taken");
        slow.flush().expect("sent");
    }
    let mut answer = String::new();
    slow.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with("ok\n"), "{answer}");

    let mut endless = TcpStream::connect(address).expect("a connection");
    endless.set_read_timeout(Some(PATIENCE)).expect("a limit");
    endless.write_all(b"GET / HTTP/1.1\r\nX: ").expect("taken");
    let begun = Instant::now();
    assert_eq!(endless.read(&mut [0; 16]).unwrap_or(0), 0, "it is closed without a word");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn who_holds_many_connections_is_cut_off_and_the_page_comes_back() {
    let address = served(fixture::healthy());
    let mut held: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(address).expect("a connection")).collect();
    // Those beyond the bound of one address are closed at once; each other ends with its time.
    let closed = |stream: &mut TcpStream| {
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        stream.read(&mut [0; 16]).unwrap_or(0) == 0
    };
    let begun = Instant::now();
    assert!(held.iter_mut().rev().take(184).all(closed));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(held.iter_mut().take(16).all(closed));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(get(address, "/").0, 200);
}

#[test]
fn a_page_that_panics_costs_its_reader_an_answer_and_nobody_else() {
    let fails = Arc::new(AtomicBool::new(true));
    let failing = Arc::clone(&fails);
    let overview = Arc::new(fixture::healthy());
    let address: SocketAddr = served_by(move || {
        assert!(!failing.load(Ordering::SeqCst), "on purpose");
        Arc::clone(&overview)
    });
    for path in ["/", "/metrics", "/healthz"] {
        assert_eq!(get(address, path).0, 500, "{path}");
    }
    fails.store(false, Ordering::SeqCst);
    assert_eq!(get(address, "/").0, 200);
}

#[test]
fn a_hundred_readers_are_answered_and_quickly() {
    let address = served(fixture::faulty());
    let begun = Instant::now();
    let readers: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || (0..25).map(|_| get(address, "/").0).filter(|status| *status == 200).count())
        })
        .collect();
    let answered: usize = readers.into_iter().map(|reader| reader.join().expect("a reader")).sum();
    assert_eq!(answered, 100);
    eprintln!("page: {} µs for each of 100 requests, 4 at a time", begun.elapsed().as_micros() / 100);
}
