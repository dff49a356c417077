//! Whose sales the token shows: the identity check, and the requests that may be sent at all.

use chrono::{DateTime, SecondsFormat, Utc};

use super::{parse::parse_outlets, reading::LIMIT_ROWS, windows::Window};
use crate::{outbox::ACCOUNT_IDS_MAX, pos::request::Request, transaction::Outlet, zone::Zone};

/// Outlets that are named; the others are only counted.
const NAMED_MAX: usize = 3;

/// Characters of a name that is shown.
const NAME_CHARS_MAX: usize = 64;

/// The outlets that the token covers.
#[derive(Debug, Clone)]
pub struct Outlets {
    count: usize,
    /// At most [`NAMED_MAX`], each of [`NAME_CHARS_MAX`] characters at most.
    named: Vec<String>,
    /// At most [`ACCOUNT_IDS_MAX`].
    ids: Vec<String>,
}

impl Outlets {
    /// Reads the answer to [`ask_outlets`].
    ///
    /// # Errors
    /// The body is no such answer; one line that says what was expected.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let outlets = parse_outlets(body).map_err(|fault| fault.to_string())?;
        let count = outlets.len();
        let name = |outlet: Outlet| outlet.name.or(outlet.external_id).unwrap_or_else(|| "unnamed".to_owned());
        let ids = outlets.iter().filter_map(|outlet| outlet.external_id.as_deref()).take(ACCOUNT_IDS_MAX);
        let ids = ids.map(|id| format!("outlet:{id}")).collect();
        let named = outlets.into_iter().take(NAMED_MAX).map(|outlet| shortened(name(outlet))).collect();
        Ok(Self { count, named, ids })
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The ids of the outlets, as the store compares them.
    #[must_use]
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// The first names, and how many more there are, in one line.
    #[must_use]
    pub fn names(&self) -> String {
        let names = self.named.join(", ");
        match self.count - self.named.len() {
            _ if self.count == 0 => "no outlet named".to_owned(),
            0 => names,
            more => format!("{names} and {more} more"),
        }
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

fn shortened(name: String) -> String {
    if name.chars().count() <= NAME_CHARS_MAX {
        return name;
    }
    name.chars().take(NAME_CHARS_MAX - 1).chain(['…']).collect()
}

/// `GET /outlets`.
#[must_use]
pub fn ask_outlets() -> Request {
    Request::get(&["outlets"]).expect("a path that only reads")
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
    Request::get(&["transactions"])
        .expect("a path that only reads")
        .with("from_date", text(bounds.from))
        .with("to_date", text(bounds.to))
        .with("limit", LIMIT_ROWS.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(of: &[&str]) -> String {
        let outlets: Vec<_> = of.iter().map(|name| serde_json::json!({ "id": "1", "name": name })).collect();
        Outlets::read(serde_json::json!({ "outlets": outlets }).to_string().as_bytes()).unwrap().names()
    }

    #[test]
    fn the_names_of_many_outlets_are_a_few_short_ones_and_a_count() {
        assert_eq!(names(&[]), "no outlet named");
        assert_eq!(names(&["A", "B", "C"]), "A, B, C");
        assert_eq!(names(&["A", "B", "C", "D", "E"]), "A, B, C and 2 more");
        let long = "é".repeat(100);
        let shown = names(&[long.as_str(); 1_000]);
        assert_eq!(shown, format!("{0}…, {0}…, {0}… and 997 more", "é".repeat(63)));
    }
}
