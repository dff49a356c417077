//! What the simulator shows, by hand-written expectations.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{Olsera, Options, Order, Profile, Spelling, Times};
use crate::{
    clock::Clock,
    demo::{
        http_server::{Answer, Request, Service},
        shop::{Kind, Sale},
        simulator::Simulator,
    },
    zone::Zone,
};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn server(change: impl FnOnce(&mut Options), profile: Profile) -> (Olsera, Clock) {
    let clock = Clock::standing_at(at("2026-05-01T12:00:00+07:00"));
    let mut options =
        Options { spelling: Spelling::Text, ..Options::new(Zone::load("Asia/Jakarta").unwrap(), profile) };
    change(&mut options);
    (Olsera::new(clock.clone(), options), clock)
}

fn ask(sim: &Olsera, method: &str, target: &str, header: (&str, &str), body: &str) -> Answer {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query.to_owned())));
    sim.answer(&Request {
        method: method.to_owned(),
        path: format!("{}{path}", sim.base_path()),
        query,
        headers: vec![(header.0.to_owned(), header.1.to_owned())],
        body: body.as_bytes().to_vec(),
        ..Request::default()
    })
}

fn get(sim: &Olsera, target: &str) -> (u16, Value) {
    let answer = ask(sim, "GET", target, ("X-API-Key", "olsera-key"), "");
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

fn log_in(sim: &Olsera) -> String {
    let body = json!({ "app_id": "olsera-app", "secret_key": "olsera-secret", "grant_type": "secret_key" });
    let answer = ask(sim, "POST", "/token", ("Content-Type", "application/json"), &body.to_string());
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &body["expires_in"]), (200, &json!(3_600)));
    format!("Bearer {}", body["access_token"].as_str().unwrap())
}

fn get_with(sim: &Olsera, token: &str, target: &str) -> (u16, Value) {
    let answer = ask(sim, "GET", target, ("Authorization", token), "");
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

fn sell(sim: &Olsera, count: i64) {
    for n in 0..count {
        let at = at("2026-05-01T12:00:00+07:00") - TimeDelta::minutes(count - n);
        sim.put_at(at, Sale::plain(&format!("{n:03}"), 1_000 + n, at));
    }
}

#[test]
fn the_documented_list_is_the_newest_hundred_and_ignores_what_it_does_not_know() {
    let (sim, _) = server(|_| {}, Profile::Documented);
    sell(&sim, 120);
    let plain = get(&sim, "/transactions?merchant_id=M-8812&limit=100");
    let rows = plain.1["data"].as_array().unwrap();
    assert_eq!((plain.0, rows.len()), (200, 100));
    let newest = json!({ "transaction_id": "OLS-119", "grand_total": "1119.00", "date": "2026-05-01 11:59:00", "outlet_id": "11" });
    assert_eq!(rows[0], newest);
    for more in ["page=2", "offset=100", "start_date=2026-04-30&end_date=2026-04-30"] {
        assert_eq!(get(&sim, &format!("/transactions?merchant_id=M-8812&limit=100&{more}")), plain);
    }
    sim.adjust(|options| {
        (options.honours_page, options.order, options.times) = (true, Order::OldestFirst, Times::Midnight);
    });
    let second = get(&sim, "/transactions?merchant_id=M-8812&limit=100&page=2").1;
    assert_eq!(second["data"].as_array().unwrap().len(), 20);
    assert_eq!(second["data"][0]["date"], "2026-05-01 00:00:00");
    assert_eq!(get(&sim, "/transactions?merchant_id=M-1&limit=100").0, 401);
    assert_eq!(get(&sim, "/merchant/info?merchant_id=M-8812").1["merchant_id"], "M-8812");
}

#[test]
fn the_documented_sheet_requires_what_is_in_reach_only() {
    let (sim, _) = server(|_| {}, Profile::Documented);
    sell(&sim, 120);
    sim.put(Sale { kind: Kind::Refund, ..Sale::plain("r", 5, sim.now()) });
    let sheet = sim.sheet(sim.now());
    assert_eq!((sheet.len(), sheet.values().filter(|entry| entry.optional).count()), (120, 20));
    assert!(sheet["transaction/OLS-019"].optional && !sheet["transaction/OLS-020"].optional);
}

#[test]
fn more_than_a_hundred_requests_a_minute_are_too_many() {
    let (sim, clock) = server(|_| {}, Profile::Documented);
    for _ in 0..100 {
        assert_eq!(get(&sim, "/merchant/info?merchant_id=M-8812").0, 200);
    }
    let refused = ask(&sim, "GET", "/merchant/info?merchant_id=M-8812", ("X-API-Key", "olsera-key"), "");
    assert_eq!(refused.status, 429);
    assert!(refused.headers.iter().any(|(name, value)| name == "Retry-After" && value == "61"));
    clock.set(clock.now() + TimeDelta::minutes(1));
    assert_eq!(get(&sim, "/merchant/info?merchant_id=M-8812").0, 200);
}

#[test]
fn the_open_api_lets_in_for_an_hour_and_has_no_empty_day() {
    let (sim, clock) = server(|_| {}, Profile::OpenApi);
    let day = "/order/closeorder?per_page=100&page=1&start_date=2026-05-01&end_date=2026-05-01";
    assert_eq!(get_with(&sim, "Bearer x", day).0, 401);
    let token = log_in(&sim);
    let (status, body) = get_with(&sim, &token, day);
    assert_eq!((status, &body["error"]["status_code"]), (404, &json!(404)));
    sell(&sim, 3);
    let (status, body) = get_with(&sim, &token, day);
    assert_eq!((status, &body["error"], body["data"].as_array().unwrap().len()), (200, &json!(0), 3));
    let expected = json!({
        "id": 5_120_003, "order_no": "DF015120003", "order_date": "2026-05-01 00:00:00", "status": "Z",
        "status_desc": "Completed", "order_amount": "1002.00", "total_amount": "1002.00", "is_paid": 1
    });
    assert_eq!(body["data"][0], expected);
    assert_eq!(body["meta"], json!({ "current_page": 1, "last_page": 1, "per_page": 100, "total": 3 }));
    let (_, detail) = get_with(&sim, &token, "/order/closeorder/detail?id=5120003");
    let times = ["order_time", "created_time"].map(|name| detail["data"][name].as_str().unwrap());
    assert_eq!(times, ["2026-05-01 11:59:00", "2026-05-01 04:59:00"]);
    assert_eq!(get_with(&sim, &token, "/order/openorder/detail?id=5120003").0, 404);
    clock.set(clock.now() + TimeDelta::hours(1));
    assert_eq!(get_with(&sim, &token, day).0, 401);
}

#[test]
fn an_order_goes_from_the_open_list_by_way_of_both_to_the_closed_one() {
    let (sim, clock) = server(|options| options.prepared_for = TimeDelta::minutes(20), Profile::OpenApi);
    let sold = at("2026-05-01T12:00:00+07:00");
    sim.put_at(sold, Sale::plain("a", 500, sold));
    sim.put_at(sold, Sale { kind: Kind::Order, ..Sale::plain("unpaid", 500, sold) });
    for (minute, open, closed) in [(1, 200, 404), (11, 200, 200), (21, 404, 200)] {
        clock.set(sold + TimeDelta::minutes(minute));
        let token = log_in(&sim);
        let asked = ["openorder?is_paid=1", "closeorder?x=1"]
            .map(|list| get_with(&sim, &token, &format!("/order/{list}&start_date=2026-05-01&end_date=2026-05-01")).0);
        assert_eq!(asked, [open, closed], "after {minute} min");
    }
    assert_eq!(sim.sheet(clock.now()).len(), 1);
}

#[test]
fn only_a_login_may_be_posted() {
    let (sim, _) = server(|_| {}, Profile::OpenApi);
    for (method, path, changes, status) in [
        ("POST", "/token", false, 401),
        ("POST", "/order/openorder/updatestatus", true, 405),
        ("DELETE", "/order/closeorder", true, 405),
    ] {
        let request =
            Request { method: method.to_owned(), path: format!("{}{path}", sim.base_path()), ..Request::default() };
        assert_eq!((sim.mutates(&request), sim.answer(&request).status), (changes, status), "{method} {path}");
    }
}
