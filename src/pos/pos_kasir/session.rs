//! The session: a cookie that the server sets at a login, and that this box sends itself.
//!
//! - The server marks its cookies `Secure` on plain HTTP too; whether one goes back is decided here, not by a jar.
//! - One refresh token per user is good: whoever logs in elsewhere as the same user ends it. A refresh that fails is
//!   followed by a login.
//! - A login that is refused is for a person, and so is a session that is refused before it was ever accepted. Wrong
//!   passwords stand in the shop's activity log, so nobody tries them in a loop.
//! - It lives in memory only.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::{parse::parse_session, requests};
use crate::{
    pos::{
        http::Answer,
        request::{Authorization, Request},
    },
    secret::Secret,
};

/// A session is renewed so long before its end.
const MARGIN: TimeDelta = TimeDelta::minutes(2);

/// An e-mail that the server does not know is tried again after this.
const UNKNOWN_WAIT: TimeDelta = TimeDelta::minutes(5);

/// How the box shows who it is.
enum Way {
    Login { email: String, password: Secret },
    Bearer(Secret),
}

/// What the session asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionAsk {
    Login,
    Refresh,
}

/// A session, or the way to one.
pub struct Session {
    way: Way,
    access: Option<Secret>,
    refresh: Option<Secret>,
    expires: Option<DateTime<Utc>>,
    not_before: Option<DateTime<Utc>>,
    /// The server has accepted it.
    proven: bool,
}

impl Session {
    /// By e-mail and password, as the server wants it.
    pub fn login(email: &str, password: Secret) -> Self {
        Self::by(Way::Login { email: email.to_owned(), password })
    }

    /// By a token in the header, as the overview page has it; for a front that takes it.
    pub fn bearer(token: Secret) -> Self {
        Self::by(Way::Bearer(token))
    }

    fn by(way: Way) -> Self {
        Self { way, access: None, refresh: None, expires: None, not_before: None, proven: false }
    }

    /// What is to be asked before anything else, if anything is.
    ///
    /// # Errors
    /// Nothing may be asked before this instant.
    pub fn due(&self, now: DateTime<Utc>) -> Result<Option<SessionAsk>, DateTime<Utc>> {
        if matches!(self.way, Way::Bearer(_)) {
            return Ok(None);
        }
        let lives = self.access.is_some() && self.expires.is_none_or(|expires| now < expires - MARGIN);
        if lives {
            return Ok(None);
        }
        if self.refresh.is_some() {
            return Ok(Some(SessionAsk::Refresh));
        }
        match self.not_before {
            Some(until) if now < until => Err(until),
            _ => Ok(Some(SessionAsk::Login)),
        }
    }

    /// The request for it.
    pub fn request(&self, ask: SessionAsk) -> Request {
        match (ask, &self.refresh, &self.way) {
            (SessionAsk::Refresh, Some(token), _) => requests::refresh(token),
            (_, _, Way::Login { email, password }) => requests::login(email, password),
            (_, _, Way::Bearer(_)) => requests::me(),
        }
    }

    /// Adds what shows who asks.
    pub fn authorized(&self, request: Request) -> Request {
        match (&self.way, &self.access) {
            (Way::Bearer(token), _) => request.authorized(Authorization::Bearer(token.clone())),
            (_, Some(token)) => {
                request.authorized(Authorization::Cookie(Secret::new(format!("access_token={}", token.expose()))))
            }
            (_, None) => request,
        }
    }

    /// Takes the answer to a login or a refresh. `Some`: a line for a person, as there is no session.
    ///
    /// # Errors
    /// It is no such answer.
    pub fn take(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Option<String>, String> {
        if answer.status != 200 {
            self.not_before = Some(now + UNKNOWN_WAIT);
            return Ok(Some(no_session(answer)));
        }
        let expires = parse_session(&answer.body)?;
        let Some(access) = answer.cookie("access_token").filter(|token| !token.expose().is_empty()) else {
            return Err("expected a cookie `access_token` with the session, found none".to_owned());
        };
        self.access = Some(access);
        self.refresh = answer.cookie("refresh_token").filter(|token| !token.expose().is_empty());
        // An end that has come already tells of a clock, not of a session: then the server's 401 is waited for.
        self.expires = expires.filter(|expires| *expires - MARGIN > now);
        self.not_before = None;
        self.proven = false;
        Ok(None)
    }

    /// The server refused a refresh: a login follows.
    pub fn refresh_refused(&mut self) {
        (self.access, self.refresh) = (None, None);
    }

    /// The server accepted it.
    pub fn accepted(&mut self) {
        self.proven = true;
    }

    /// The server refused it. Whether another is worth trying without asking a person.
    pub fn refused(&mut self) -> bool {
        if matches!(self.way, Way::Bearer(_)) {
            return false;
        }
        self.access = None;
        if !self.proven {
            self.refresh = None;
        }
        std::mem::take(&mut self.proven)
    }
}

/// Why a login made no session, for a person. The server answers 404 for two reasons, and its message tells which.
fn no_session(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct Said {
        message: String,
    }
    let said = serde_json::from_slice::<Said>(&answer.body).ok();
    let said = said.map(|said| said.message.trim().to_ascii_lowercase());
    let told = match (answer.status, said.as_deref()) {
        (404, Some("user not found")) => {
            "it knows no user of this e-mail; correct the connection's email, or make that user at the point of sale"
        }
        // Without a message something else answers than the point of sale: its front end, or another program.
        (404, Some("not found") | None) => {
            "it has no such path; correct the connection's base-url, which as a rule ends in /api/v1"
        }
        (400, _) => "it takes the e-mail or the password for none; correct the connection's email or password",
        _ => "it knows no user of this e-mail, or has no such path; correct the connection's email or base-url",
    };
    format!("pos-kasir POST /auth/login: the server answered {}: {told}", answer.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of an answer to a login.
    fn told(status: u16, body: &str) -> String {
        let mut session = Session::login("box@shop.example", Secret::new("x"));
        let answer = Answer { status, body: body.as_bytes().to_vec(), ..Answer::default() };
        session.take(&answer, DateTime::UNIX_EPOCH).expect("an answer").expect("a line for a person")
    }

    #[test]
    fn the_two_kinds_of_404_at_login_are_told_apart() {
        let user = told(404, r#"{"message":"User not found"}"#);
        assert!(
            user.contains("knows no user of this e-mail; correct the connection's email") && !user.contains("path"),
            "{user}"
        );
        for body in [r#"{"message":"Not Found"}"#, "<html>404</html>", ""] {
            let path = told(404, body);
            assert!(
                path.contains("has no such path; correct the connection's base-url") && !path.contains("user"),
                "{path}"
            );
        }
        let other = told(404, r#"{"message":"Shop \u202e closed"}"#);
        assert!(
            other.contains("knows no user of this e-mail, or has no such path") && !other.contains("closed"),
            "{other}"
        );
        assert!(
            told(400, r#"{"message":"bad form"}"#)
                .contains("answered 400: it takes the e-mail or the password for none")
        );
    }
}
