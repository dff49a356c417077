//! Users, sessions by cookie, and the limit that everybody behind one address shares.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::demo::http_server::Request;

/// A user of the point of sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// By which it logs in.
    pub email: String,
    /// Its password.
    pub password: String,
    /// `cashier`, `manager` or `admin`.
    pub role: String,
}

impl User {
    /// A user of this role.
    #[must_use]
    pub fn new(email: &str, password: &str, role: &str) -> Self {
        Self { email: email.to_owned(), password: password.to_owned(), role: role.to_owned() }
    }
}

/// Who is logged in.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    issued: u64,
    /// E-mail and end by access token: as in a signed token, nothing ends it early.
    access: BTreeMap<String, (String, DateTime<Utc>)>,
    /// Token and end by e-mail: one for each user.
    refresh: BTreeMap<String, (String, DateTime<Utc>)>,
}

/// A new pair of tokens.
pub(super) struct Pair {
    pub access: String,
    pub refresh: String,
    pub expires: DateTime<Utc>,
}

impl Sessions {
    pub fn open(&mut self, email: &str, life: TimeDelta, now: DateTime<Utc>) -> Pair {
        self.issued += 1;
        let (access, refresh) = (format!("eyJ.access.{}", self.issued), format!("eyJ.refresh.{}", self.issued));
        let expires = now + life;
        self.access.retain(|_, (_, end)| *end > now);
        self.access.insert(access.clone(), (email.to_owned(), expires));
        self.refresh.insert(email.to_owned(), (refresh.clone(), now + TimeDelta::days(7)));
        Pair { access, refresh, expires }
    }

    /// Whose access token the request's cookie holds. Headers of another kind are not looked at.
    pub fn user_of(&self, request: &Request, now: DateTime<Utc>) -> Option<&str> {
        let token = cookie(request, "access_token")?;
        self.access.get(&token).filter(|(_, end)| now < *end).map(|(email, _)| email.as_str())
    }

    /// Whose refresh token it holds, if no other was given out since.
    pub fn refreshed_by(&self, request: &Request, now: DateTime<Utc>) -> Option<String> {
        let token = cookie(request, "refresh_token")?;
        let held = |(_, (held, end)): &(&String, &(String, DateTime<Utc>))| *held == token && now < *end;
        self.refresh.iter().find(held).map(|(email, _)| email.clone())
    }

    /// No token is good any more: the server has another secret.
    pub fn end_all(&mut self) {
        (self.access, self.refresh) = (BTreeMap::new(), BTreeMap::new());
    }

    /// The refresh token of a user is another's: somebody logged in elsewhere.
    pub fn end_refresh(&mut self, email: &str) {
        self.refresh.remove(email);
    }
}

fn cookie(request: &Request, name: &str) -> Option<String> {
    let pairs = request.header("cookie")?.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

/// A fixed window of one minute.
#[derive(Debug, Default)]
pub(super) struct Window {
    ends: Option<DateTime<Utc>>,
    used: u64,
}

impl Window {
    /// Counts a request: what is left and in how many seconds it counts anew, or only the latter.
    pub fn admit(&mut self, limit: u64, by_tills: u64, now: DateTime<Utc>) -> Result<(u64, i64), i64> {
        if self.ends.is_none_or(|ends| ends <= now) {
            (self.ends, self.used) = (Some(now + TimeDelta::minutes(1)), by_tills);
        }
        let reset = self.ends.map_or(0, |ends| (ends - now).num_seconds() + 1);
        if self.used >= limit {
            return Err(reset);
        }
        self.used += 1;
        Ok((limit - self.used, reset))
    }
}
