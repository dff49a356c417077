//! Everything that may be asked of Olsera, by either API: nothing else is ever sent.
//!
//! The open API also has calls that change an order (`order/openorder/updatestatus` and others); they are POSTs, and
//! [`Request`] has none of them.

use chrono::NaiveDate;

use crate::{
    pos::{
        narrow::Place,
        request::{Authorization, Payload, Post, Request},
    },
    secret::Secret,
};

/// Rows that one answer holds at most, by either API.
pub const LIMIT_ROWS: usize = 100;

/// Which part of the documented list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The newest rows, as documented.
    Newest,
    /// `page`, from 1; not documented.
    Page(u32),
    /// `offset`, rows from the newest on; not documented.
    Offset(u32),
    /// `start_date` and `end_date`, one local day; not documented.
    Day(NaiveDate),
}

/// The open API's two lists of orders. One order can be in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum List {
    /// `order/openorder`: not done yet; of these only the paid ones are asked for.
    Open,
    /// `order/closeorder`: done, or cancelled.
    Closed,
}

impl List {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Open => Self::Closed,
            Self::Closed => Self::Open,
        }
    }

    fn segment(self) -> &'static str {
        match self {
            Self::Open => "openorder",
            Self::Closed => "closeorder",
        }
    }
}

/// `GET /merchant/info`.
#[must_use]
pub fn ask_merchant(merchant_id: &str, key: &Secret) -> Request {
    documented(&["merchant", "info"], merchant_id, key)
}

/// `GET /transactions`, of so many rows at most.
#[must_use]
pub fn ask_transactions(part: Part, rows: usize, merchant_id: &str, key: &Secret) -> Request {
    let request = documented(&["transactions"], merchant_id, key).with("limit", rows.to_string());
    match part {
        Part::Newest => request,
        Part::Page(page) => request.with("page", page.to_string()),
        Part::Offset(rows) => request.with("offset", rows.to_string()),
        Part::Day(day) => request.with("start_date", day.to_string()).with("end_date", day.to_string()),
    }
}

/// `POST /token`, which logs in.
#[must_use]
pub fn ask_token(app_id: &str, secret_key: &Secret) -> Request {
    let members = [("app_id", app_id), ("secret_key", secret_key.expose()), ("grant_type", "secret_key")];
    Request::post(Post::Token, Payload::json(&members))
}

/// `GET /order/openorder` or `GET /order/closeorder`: one page of one local day.
#[must_use]
pub fn ask_orders(list: List, day: NaiveDate, place: Place, token: &Secret) -> Request {
    let request = open_api(&["order", list.segment()], token)
        .with("per_page", place.rows.to_string())
        .with("page", place.page().to_string())
        .with("start_date", day.to_string())
        .with("end_date", day.to_string());
    match list {
        List::Open => request.with("is_paid", "1"),
        List::Closed => request,
    }
}

/// `GET /order/openorder/detail` or `GET /order/closeorder/detail`.
#[must_use]
pub fn ask_order(list: List, id: &str, token: &Secret) -> Request {
    open_api(&["order", list.segment(), "detail"], token).with("id", id)
}

fn documented(segments: &[&str], merchant_id: &str, key: &Secret) -> Request {
    Request::get(segments)
        .expect("a path that only reads")
        .with("merchant_id", merchant_id)
        .authorized(Authorization::Header("X-API-Key", key.clone()))
}

fn open_api(segments: &[&str], token: &Secret) -> Request {
    Request::get(segments).expect("a path that only reads").authorized(Authorization::Bearer(token.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn these_are_all_requests() {
        let secret = Secret::new("hunter2");
        let day = NaiveDate::from_ymd_opt(2026, 5, 1).unwrap();
        let parts = [Part::Newest, Part::Page(2), Part::Offset(90), Part::Day(day)];
        let mut all: Vec<_> = parts.map(|part| ask_transactions(part, LIMIT_ROWS, "M-1", &secret)).into();
        all.push(ask_merchant("M-1", &secret));
        all.push(ask_token("A-1", &secret));
        for list in [List::Open, List::Closed] {
            all.extend([
                ask_orders(list, day, Place { offset: 0, rows: 100 }, &secret),
                ask_order(list, "../7?x=1", &secret),
            ]);
        }
        let mut lines: Vec<_> = all.iter().map(ToString::to_string).collect();
        lines.sort();
        lines.dedup();
        assert_eq!(
            lines,
            [
                "GET /merchant/info",
                "GET /order/closeorder",
                "GET /order/closeorder/detail",
                "GET /order/openorder",
                "GET /order/openorder/detail",
                "GET /transactions",
                "POST /token"
            ]
        );
        assert!(all.iter().all(|request| !format!("{request:?}").contains("hunter2")));
        let open = ask_orders(List::Open, day, Place { offset: 200, rows: 100 }, &secret);
        let query: Vec<_> = open.query().iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(query.join("&"), "per_page=100&page=3&start_date=2026-05-01&end_date=2026-05-01&is_paid=1");
    }
}
