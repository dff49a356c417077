//! What a browser asks for: one request, read without trusting a byte of it.

use crate::texts::Language;

/// The longest head of a request.
pub const HEAD_MAX_BYTES: usize = 8 * 1024;

/// Header lines of a request, at most.
const HEADERS_MAX: usize = 64;

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The page, in the language that was chosen by its link, or in the one that the browser prefers.
    Page {
        /// By the link.
        chosen: Option<Language>,
        /// By the browser.
        preferred: Option<Language>,
    },
    /// Figures for Prometheus.
    Metrics,
    /// Whether the box needs somebody.
    Health,
}

/// A request that can be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// What for.
    pub what: What,
    /// HEAD: only the head of the answer.
    pub head_only: bool,
}

/// Why a request cannot be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is no HTTP request.
    Nonsense,
    /// Its head is too long, or has too many lines.
    TooLong,
    /// There is nothing at its path.
    NotFound,
    /// It wants to change something.
    Method,
}

/// Reads the head of a request; `None` while it is not whole.
#[must_use]
pub fn read(head: &[u8]) -> Option<Result<Request, Refusal>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => Some(understand(&request)),
        Ok(httparse::Status::Partial) if head.len() >= HEAD_MAX_BYTES => Some(Err(Refusal::TooLong)),
        Ok(httparse::Status::Partial) => None,
        Err(httparse::Error::TooManyHeaders) => Some(Err(Refusal::TooLong)),
        Err(_) => Some(Err(Refusal::Nonsense)),
    }
}

fn understand(request: &httparse::Request<'_, '_>) -> Result<Request, Refusal> {
    let head_only = match request.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => return Err(Refusal::Method),
    };
    let target = request.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let what = match path {
        "/" => {
            let chosen = query.split('&').find_map(|pair| pair.strip_prefix("lang=")).and_then(Language::of_code);
            let accepts = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("accept-language"));
            let preferred = accepts.and_then(|header| Language::accepted(std::str::from_utf8(header.value).ok()?));
            What::Page { chosen, preferred }
        }
        "/metrics" => What::Metrics,
        "/healthz" => What::Health,
        _ => return Err(Refusal::NotFound),
    };
    Ok(Request { what, head_only })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn what(head: &str) -> Result<What, Refusal> {
        read(head.as_bytes()).expect("a whole head").map(|request| request.what)
    }

    #[test]
    fn the_few_things_that_can_be_asked_for() {
        let page = |chosen, preferred| Ok(What::Page { chosen, preferred });
        let (english, indonesian) = (Some(Language::English), Some(Language::Indonesian));
        assert_eq!(what("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), page(None, None));
        assert_eq!(what("GET /?lang=id HTTP/1.1\r\naccept-LANGUAGE: en\r\n\r\n"), page(indonesian, english));
        assert_eq!(what("GET /?x=1&lang=xx HTTP/1.0\r\nAccept-Language: id\r\n\r\n"), page(None, indonesian));
        assert_eq!(what("GET /metrics?x HTTP/1.1\r\n\r\n"), Ok(What::Metrics));
        assert_eq!(what("GET /healthz HTTP/1.1\r\n\r\n"), Ok(What::Health));
        assert!(read(b"HEAD / HTTP/1.1\r\n\r\n").unwrap().unwrap().head_only);
    }

    #[test]
    fn whatever_else_is_refused_with_its_reason() {
        assert_eq!(what("POST / HTTP/1.1\r\n\r\n"), Err(Refusal::Method));
        assert_eq!(what("DELETE /metrics HTTP/1.1\r\n\r\n"), Err(Refusal::Method));
        for path in ["/favicon.ico", "/..", "//", "/metrics/", "/healthz/x", "http://x/", "*", "/%2e%2e/etc/passwd"] {
            assert_eq!(what(&format!("GET {path} HTTP/1.1\r\n\r\n")), Err(Refusal::NotFound), "{path}");
        }
        for nonsense in
            ["\u{16}\u{3}\u{1}\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n"]
        {
            assert_eq!(what(nonsense), Err(Refusal::Nonsense), "{nonsense:?}");
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(HEADERS_MAX + 1));
        assert_eq!(what(&many), Err(Refusal::TooLong));
        assert_eq!(read(b"GET / HTTP/1.1\r\nHost: x\r\n"), None, "not whole yet");
        let endless = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(HEAD_MAX_BYTES));
        assert_eq!(read(endless.as_bytes()), Some(Err(Refusal::TooLong)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _any = read(&bytes);
            let mut head = b"GET /".to_vec();
            head.extend(&bytes);
            head.extend(b" HTTP/1.1\r\naccept-language: ");
            head.extend(&bytes);
            head.extend(b"\r\n\r\n");
            let _any = read(&head);
        }
    }
}
