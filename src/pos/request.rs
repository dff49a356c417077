//! What may be asked of a point of sale: any GET that reads, and a closed list of POSTs that log in or read.
//!
//! - A [`Request`] is made by its constructors alone, so nothing can be built that would change a sale: the paths of
//!   all POSTs are part of [`Post`], and a GET that is known to change something is refused by its path.
//! - A path is made of segments, each percent-encoded: an id that a source gave stays one segment.
//! - No `Debug` shows a credential or a body. `Display` is method and path, for messages.

use std::fmt::{self, Write as _};

use thiserror::Error;

use crate::secret::Secret;

/// Asalta's `GET /pos/void_order` voids the order.
const CHANGING_GET: &str = "void_order";

/// A request that reads, or logs in.
///
/// No other can be built:
/// ```compile_fail
/// # use tillbox::pos::request::{Authorization, Request};
/// let request = Request { method: "DELETE", path: "/orders/7".into(), query: vec![], authorization: Authorization::None };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    authorization: Authorization,
}

/// Closed: there is no way to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post(Payload),
}

/// The only POSTs, each with its one path below the base URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Post {
    /// POS Kasir: `/auth/login`.
    Login,
    /// POS Kasir: `/auth/refresh`.
    Refresh,
    /// Olsera: `/token`.
    Token,
    /// Asalta: `/auth/token`, a code for a token.
    Code,
    /// Asalta: `/report/sales`, which only reads.
    Report,
}

/// The body of a POST. It may hold a password: its `Debug` hides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    pub(crate) content_type: &'static str,
    pub(crate) text: Secret,
}

/// How a request shows who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Authorization {
    /// It does not: a login shows it in its body.
    #[default]
    None,
    /// `Authorization: Bearer …`.
    Bearer(Secret),
    /// A header of the system's own, such as `X-API-Key`.
    Header(&'static str, Secret),
    /// `Cookie: …`, the whole `name=value`.
    Cookie(Secret),
}

/// Why a path is not asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PathFault {
    /// A server may take it for another path than the one that is meant.
    #[error("expected an id or a name in the path, found an empty one or dots")]
    NoSegment,
    /// It is a GET in name only.
    #[error("the path would change something at the point of sale, and is never asked")]
    Changes,
}

impl Request {
    /// A GET of the path that these segments make below the base URL.
    ///
    /// # Errors
    /// A segment is empty, `.` or `..`, or the path is known to change something.
    pub fn get(segments: &[&str]) -> Result<Self, PathFault> {
        if segments.is_empty() || segments.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
            return Err(PathFault::NoSegment);
        }
        if segments.iter().any(|segment| segment.to_ascii_lowercase().contains(CHANGING_GET)) {
            return Err(PathFault::Changes);
        }
        Ok(Self::new(Method::Get, segments))
    }

    /// One of the few POSTs.
    #[must_use]
    pub fn post(post: Post, payload: Payload) -> Self {
        Self::new(Method::Post(payload), post.segments())
    }

    fn new(method: Method, segments: &[&str]) -> Self {
        let mut path = String::new();
        for segment in segments {
            path.push('/');
            encode(segment, &mut path);
        }
        Self { method, path, query: Vec::new(), authorization: Authorization::None }
    }

    /// Adds a query parameter; it is percent-encoded when sent. A name may stand there twice.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Shows who asks.
    #[must_use]
    pub fn authorized(self, authorization: Authorization) -> Self {
        Self { authorization, ..self }
    }

    /// The path below the base URL, with a leading slash, percent-encoded.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query parameters, not encoded.
    #[must_use]
    pub fn query(&self) -> &[(&'static str, String)] {
        &self.query
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    pub(crate) fn authorization(&self) -> &Authorization {
        &self.authorization
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match self.method {
            Method::Get => "GET",
            Method::Post(_) => "POST",
        };
        write!(f, "{method} {}", self.path)
    }
}

impl Post {
    fn segments(self) -> &'static [&'static str] {
        match self {
            Self::Login => &["auth", "login"],
            Self::Refresh => &["auth", "refresh"],
            Self::Token => &["token"],
            Self::Code => &["auth", "token"],
            Self::Report => &["report", "sales"],
        }
    }
}

impl Payload {
    /// A JSON object of texts.
    #[must_use]
    pub fn json(members: &[(&str, &str)]) -> Self {
        let object: serde_json::Map<_, _> =
            members.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        Self { content_type: "application/json", text: Secret::new(serde_json::Value::Object(object).to_string()) }
    }

    /// A form.
    #[must_use]
    pub fn form(members: &[(&str, &str)]) -> Self {
        let mut text = String::new();
        for (name, value) in members {
            if !text.is_empty() {
                text.push('&');
            }
            encode(name, &mut text);
            text.push('=');
            encode(value, &mut text);
        }
        Self { content_type: "application/x-www-form-urlencoded", text: Secret::new(text) }
    }
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
pub(crate) fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            write!(into, "%{byte:02X}").expect("a string takes everything");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_one_segment_of_the_path() {
        for (id, path) in [
            ("0198-ab~c_d.e", "/orders/0198-ab~c_d.e"),
            ("../settings", "/orders/..%2Fsettings"),
            ("7/refund?x=1#y", "/orders/7%2Frefund%3Fx%3D1%23y"),
            ("%2e%2e", "/orders/%252e%252e"),
            ("a b\r\né", "/orders/a%20b%0D%0A%C3%A9"),
        ] {
            assert_eq!(Request::get(&["orders", id]).unwrap().path(), path);
        }
        for none in ["", ".", ".."] {
            assert_eq!(Request::get(&["orders", none]), Err(PathFault::NoSegment));
        }
        assert_eq!(Request::get(&[]), Err(PathFault::NoSegment));
    }

    #[test]
    fn a_get_that_changes_something_is_refused_by_its_path() {
        for segments in [
            &["pos", "void_order"][..],
            &["void_order"],
            &["pos/void_order"],
            &["pos", "VOID_ORDER", "7"],
            &["void_order.json"],
        ] {
            assert_eq!(Request::get(segments), Err(PathFault::Changes), "{segments:?}");
        }
        assert!(Request::get(&["pos", "orders"]).is_ok());
    }

    #[test]
    fn every_post_logs_in_or_reads() {
        let paths = [Post::Login, Post::Refresh, Post::Token, Post::Code, Post::Report]
            .map(|post| Request::post(post, Payload::form(&[])).to_string());
        let known = ["/auth/login", "/auth/refresh", "/token", "/auth/token", "/report/sales"];
        assert_eq!(paths, known.map(|path| format!("POST {path}")));
    }

    #[test]
    fn nothing_shows_a_credential() {
        let payload = Payload::json(&[("password", "hunter2")]);
        for authorization in [
            Authorization::Bearer(Secret::new("hunter2")),
            Authorization::Header("X-API-Key", Secret::new("hunter2")),
            Authorization::Cookie(Secret::new("access_token=hunter2")),
        ] {
            let request = Request::post(Post::Login, payload.clone()).authorized(authorization);
            assert!(!format!("{request:?} {request}").contains("hunter2"));
        }
    }

    #[test]
    fn payloads_are_what_they_say() {
        let members = [("email", "a+b@c.id"), ("password", "x&y=\"z\" é")];
        assert_eq!(Payload::json(&members).text.expose(), r#"{"email":"a+b@c.id","password":"x&y=\"z\" é"}"#);
        assert_eq!(Payload::form(&members).text.expose(), "email=a%2Bb%40c.id&password=x%26y%3D%22z%22%20%C3%A9");
    }
}
