//! Every request that is sent to POS Kasir. No other is built anywhere.

use chrono::{DateTime, Utc};

use crate::{
    pos::{
        narrow::{Place, ROWS_MAX},
        request::{Authorization, PathFault, Payload, Post, Request},
    },
    secret::Secret,
};

/// Rows of a page: the server answers 400 to more.
pub const PAGE_ROWS: u64 = ROWS_MAX;

/// `POST /auth/login`.
pub fn login(email: &str, password: &Secret) -> Request {
    Request::post(Post::Login, Payload::json(&[("email", email), ("password", password.expose())]))
}

/// `POST /auth/refresh`.
pub fn refresh(token: &Secret) -> Request {
    let cookie = Secret::new(format!("refresh_token={}", token.expose()));
    Request::post(Post::Refresh, Payload::json(&[])).authorized(Authorization::Cookie(cookie))
}

/// `GET /auth/me`.
pub fn me() -> Request {
    get(&["auth", "me"])
}

/// `GET /settings/branding`.
pub fn branding() -> Request {
    get(&["settings", "branding"])
}

/// `GET /payment-methods`.
pub fn payment_methods() -> Request {
    get(&["payment-methods"])
}

/// `GET /orders`: every status, as a filtered list shrinks while it is paged and skips rows.
pub fn orders(place: Place) -> Request {
    get(&["orders"]).with("page", place.page().to_string()).with("limit", place.rows.to_string())
}

/// `GET /orders/{id}`.
///
/// # Errors
/// The id cannot stand in a path.
pub fn order(id: &str) -> Result<Request, PathFault> {
    Request::get(&["orders", id])
}

/// `GET /activity-logs` of orders, by UTC days, both inclusive.
pub fn activity(from: DateTime<Utc>, to: DateTime<Utc>, page: u64) -> Request {
    get(&["activity-logs"])
        .with("entity_type", "ORDER")
        .with("start_date", from.format("%Y-%m-%d").to_string())
        .with("end_date", to.format("%Y-%m-%d").to_string())
        .with("page", page.to_string())
        .with("limit", PAGE_ROWS.to_string())
}

fn get(segments: &[&str]) -> Request {
    Request::get(segments).expect("a path that only reads")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_logins_are_posted() {
        let at = DateTime::UNIX_EPOCH;
        let all = [
            login("box@shop.id", &Secret::new("x")),
            refresh(&Secret::new("r")),
            me(),
            branding(),
            payment_methods(),
            orders(Place { offset: 100, rows: 100 }),
            order("01980000-0000-7000-8000-00000000006b").unwrap(),
            activity(at, at, 1),
        ];
        let shown = all.map(|request| request.to_string());
        assert_eq!(
            shown,
            [
                "POST /auth/login",
                "POST /auth/refresh",
                "GET /auth/me",
                "GET /settings/branding",
                "GET /payment-methods",
                "GET /orders",
                "GET /orders/01980000-0000-7000-8000-00000000006b",
                "GET /activity-logs",
            ]
        );
        assert_eq!(order("x/../refund").unwrap().path(), "/orders/x%2F..%2Frefund");
    }
}
