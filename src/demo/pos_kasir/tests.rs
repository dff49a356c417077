//! The server as its code is.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::*;

fn noon() -> DateTime<Utc> {
    "2026-03-14T05:00:00Z".parse().unwrap()
}

fn server(turn: impl FnOnce(&mut Options)) -> PosKasir {
    let mut options = Options::new(Zone::load("Asia/Jakarta").unwrap());
    turn(&mut options);
    PosKasir::new(Clock::standing_at(noon()), options)
}

fn ask(server: &PosKasir, method: &str, target: &str, cookie: &str, body: &str) -> Answer {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query.to_owned())));
    server.answer(&Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query,
        headers: vec![("Cookie".to_owned(), cookie.to_owned())],
        body: body.as_bytes().to_vec(),
        ..Request::default()
    })
}

fn login(server: &PosKasir) -> (String, String) {
    let body = r#"{"email": "box@shop.example", "password": "kotak-kasir"}"#;
    let answer = ask(server, "POST", "/api/v1/auth/login", "", body);
    assert_eq!(answer.status, 200);
    let cookies: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "Set-Cookie").map(|(_, set)| set).collect();
    assert!(cookies.iter().all(|set| set.contains("; Secure") && set.contains("HttpOnly")));
    let pair = |n: usize| cookies[n].split(';').next().unwrap().to_owned();
    (pair(0), pair(1))
}

fn get(server: &PosKasir, target: &str) -> (u16, Value) {
    let answer = ask(server, "GET", &format!("/api/v1{target}"), &login(server).0, "");
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

#[test]
fn only_the_cookie_lets_in_and_a_refresh_token_is_good_once() {
    let server = server(|_| {});
    let (access, refresh) = login(&server);
    let status = |method: &str, target: &str, cookie: &str| ask(&server, method, target, cookie, "").status;
    assert_eq!(status("GET", "/api/v1/auth/me", &access), 200);
    assert_eq!(status("GET", "/api/v1/auth/me", ""), 401);
    assert_eq!(status("POST", "/api/v1/auth/refresh", &refresh), 200);
    assert_eq!(status("POST", "/api/v1/auth/refresh", &refresh), 401);
    assert_eq!(status("GET", "/api/v1/auth/me", &access), 200, "an access token ends by its time alone");
    for (body, expected) in [
        (r#"{"email": "box@shop.example", "password": "x"}"#, 401),
        (r#"{"email": "nobody@shop.example", "password": "x"}"#, 404),
        ("{}", 400),
    ] {
        assert_eq!(ask(&server, "POST", "/api/v1/auth/login", "", body).status, expected);
    }
    assert_eq!(status("POST", "/api/v1/orders/x/refund", &access), 405);
    let refund =
        Request { method: "POST".to_owned(), path: "/api/v1/orders/x/refund".to_owned(), ..Request::default() };
    assert!(server.mutates(&refund));
}

#[test]
fn lists_are_newest_first_and_pages_beyond_the_end_are_null() {
    let server = server(|_| {});
    for n in 0..12 {
        server.put_at(noon(), Sale::plain(&format!("S-{n}"), 1_000, noon() - TimeDelta::minutes(n)));
    }
    let (_, first) = get(&server, "/orders?limit=10&offset=10&sortBy=id");
    let (_, second) = get(&server, "/orders?limit=10&page=2");
    assert_eq!(first["data"]["orders"][0]["id"], uuid("S-0"), "what it does not know is ignored");
    assert_eq!(first["data"]["orders"][0]["created_at"], "2026-03-14T12:00:00+07:00");
    assert_eq!(second["data"]["orders"].as_array().unwrap().len(), 2);
    let (_, beyond) = get(&server, "/orders?limit=10&page=3");
    assert_eq!((&beyond["data"]["orders"], &beyond["data"]["pagination"]["total_data"]), (&Value::Null, &12.into()));
    let (status, body) = get(&server, "/orders?limit=101");
    assert_eq!((status, body["message"].as_str()), (400, Some("Validation failed")));
}

#[test]
fn a_refund_leaves_an_order_without_its_payment() {
    let server = server(|_| {});
    server.put_at(noon() - TimeDelta::minutes(9), Sale::plain("A", 62_160, noon() - TimeDelta::minutes(9)));
    let detail = |server: &PosKasir| get(server, &format!("/orders/{}", uuid("A"))).1["data"].clone();
    let before = detail(&server);
    assert_eq!((&before["version"], &before["payment_method_id"]), (&3.into(), &1.into()));
    let refund = Sale { kind: Kind::Refund, refund_of: Some("A".to_owned()), ..Sale::plain("R", 1, noon()) };
    server.put_at(noon(), refund);
    let after = detail(&server);
    assert_eq!((&after["version"], &after["status"]), (&4.into(), &"cancelled".into()));
    assert_eq!((&after["net_total"], after.get("payment_method_id")), (&62_160.into(), None));
    assert_eq!(after["updated_at"], "2026-03-14T12:00:00+07:00");
}

#[test]
fn the_limit_is_shared_and_the_front_end_answers_everything_else() {
    let server = server(|options| options.taken_by_tills = 98);
    let (access, _) = login(&server);
    let answer = ask(&server, "GET", "/api/v1/auth/me", &access, "");
    assert!(answer.headers.contains(&("X-RateLimit-Remaining".to_owned(), "0".to_owned())));
    let refused = ask(&server, "GET", "/api/v1/auth/me", &access, "");
    assert_eq!((refused.status, refused.body.as_slice()), (429, &b"Too Many Requests"[..]));
    let page = ask(&server, "GET", "/v1/orders", "", "");
    assert_eq!(page.status, 200);
    assert!(page.body.starts_with(b"<!doctype html>"));
}

#[test]
fn the_log_is_for_admins() {
    let managed = server(|_| {});
    assert_eq!(get(&managed, "/activity-logs").0, 403);
    let server = server(|options| options.users[0].role = "admin".to_owned());
    server.put_at(noon(), Sale::plain("A", 1, noon()));
    server.put_at(noon(), Sale { kind: Kind::Refund, refund_of: Some("A".to_owned()), ..Sale::plain("R", 1, noon()) });
    let (_, log) = get(&server, "/activity-logs?entity_type=ORDER&start_date=2026-03-14&end_date=2026-03-14&limit=100");
    let actions: Vec<_> = log["data"]["logs"].as_array().unwrap().iter().map(|entry| &entry["action_type"]).collect();
    assert_eq!(actions.len(), 2);
    assert_eq!(get(&server, "/activity-logs?start_date=2026-03-15&end_date=2026-03-16").1["data"]["total_items"], 0);
}
