//! Whose sales the token shows: the identity check, and the requests that may be sent at all.

use chrono::{DateTime, SecondsFormat, Utc};

use super::{parse::parse_outlets, reading::LIMIT_ROWS, windows::Window};
use crate::{pos::http::Request, transaction::Outlet, zone::Zone};

/// The names of the outlets that the token covers.
#[derive(Debug, Clone)]
pub struct Outlets(Vec<String>);

impl Outlets {
    /// Reads the answer to [`ask_outlets`].
    ///
    /// # Errors
    /// The body is no such answer; one line that says what was expected.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let outlets = parse_outlets(body).map_err(|fault| fault.to_string())?;
        let name = |outlet: Outlet| outlet.name.or(outlet.external_id).unwrap_or_else(|| "unnamed".to_owned());
        Ok(Self(outlets.into_iter().map(name).collect()))
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// All names in one line.
    #[must_use]
    pub fn names(&self) -> String {
        if self.0.is_empty() { "no outlet named".to_owned() } else { self.0.join(", ") }
    }

    /// What is worth a word: a code, and the line for a person.
    #[must_use]
    pub fn note(&self) -> Option<(&'static str, String)> {
        match self.count() {
            0 => Some(("no_outlet", "the token is accepted but covers no outlet".to_owned())),
            1 => None,
            n => Some(("several_outlets", format!("the token covers {n} outlets, and a sale does not name its own"))),
        }
    }
}

/// `GET /outlets`.
#[must_use]
pub fn ask_outlets() -> Request {
    Request { path: "/outlets", query: Vec::new() }
}

/// `GET /transactions` between two bounds in the source's local time, with its offset unless they are `naive`.
#[must_use]
pub fn ask_transactions(bounds: Window, zone: &Zone, naive: bool) -> Request {
    let text = |at: DateTime<Utc>| {
        let local = zone.local(at);
        if naive {
            local.format("%Y-%m-%dT%H:%M:%S").to_string()
        } else {
            local.to_rfc3339_opts(SecondsFormat::Secs, false)
        }
    };
    let query = vec![("from_date", text(bounds.from)), ("to_date", text(bounds.to)), ("limit", LIMIT_ROWS.to_string())];
    Request { path: "/transactions", query }
}
