use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use rust_decimal::Decimal;
use serde_json::Value;

use super::*;
use crate::demo::{
    http_server::{DEEP_LEVELS, ENDLESS_BYTES, Fault, Garbling},
    shop::Kind,
};

const TOKEN: &str = "qasir-token";
const DAY: &str = "/transactions?from_date=2026-03-14T00:00:00%2B07:00&to_date=2026-03-15T00:00:00%2B07:00&limit=100";

fn jakarta() -> Zone {
    Zone::load("Asia/Jakarta").unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The evening of the day of the tests, in Jakarta 20:00.
fn evening() -> DateTime<Utc> {
    at("2026-03-14T20:00:00+07:00")
}

/// A server whose clock has just shown `now`, with tests' options.
fn server_at(now: DateTime<Utc>, change: impl FnOnce(&mut Options)) -> QasirServer {
    let mut options = Options::new(jakarta(), TOKEN);
    change(&mut options);
    QasirServer::start(Clock::running_at(now, 1), options).unwrap()
}

fn server() -> QasirServer {
    server_at(evening(), |_| {})
}

struct Client {
    agent: ureq::Agent,
    base: String,
}

struct Got {
    status: u16,
    headers: ureq::http::HeaderMap,
    body: Vec<u8>,
}

impl Client {
    fn of(server: &QasirServer) -> Self {
        Self::patient(server, Duration::from_secs(10))
    }

    fn patient(server: &QasirServer, timeout: Duration) -> Self {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).proxy(None).timeout_global(Some(timeout));
        Self { agent: config.build().new_agent(), base: server.base_url() }
    }

    fn try_get(&self, target: &str) -> Result<Got, ureq::Error> {
        let request =
            self.agent.get(format!("{}{target}", self.base)).header("Authorization", format!("Bearer {TOKEN}"));
        let mut response = request.call()?;
        let body = response.body_mut().with_config().limit(1024 * 1024).read_to_vec()?;
        Ok(Got { status: response.status().as_u16(), headers: response.headers().clone(), body })
    }

    fn get(&self, target: &str) -> Got {
        self.try_get(target).unwrap()
    }

    fn ids(&self, target: &str) -> Vec<String> {
        let rows = self.get(target).json()["transactions"].as_array().unwrap().clone();
        rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    }
}

impl Got {
    fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// `from_date` and `to_date` on the day of the tests, local and naive.
fn between(from: &str, to: &str) -> String {
    format!("/transactions?from_date=2026-03-14T{from}&to_date=2026-03-14T{to}&limit=100")
}

#[test]
fn outlets_and_transactions_have_the_documented_form() {
    let server = server_at(evening(), |options| options.spelling = Spelling::Text);
    let mut sale = Sale::plain("QSR-1", 45_000, at("2026-03-14T09:15:00+07:00"));
    sale.lines[0].quantity = Decimal::new(25, 2);
    server.put(sale);
    let client = Client::of(&server);
    assert_eq!(client.get("/outlets").json()["outlets"][0]["id"], "OUT-001");
    let row = client.get(DAY).json()["transactions"][0].take();
    let expected = serde_json::json!({
        "id": "QSR-1", "total_amount": "45000", "transaction_date": "2026-03-14T09:15:00", "payment_method": "cash",
        "items": [{"product_name": "Kopi Tubruk", "qty": "0.25", "price": "45000"}],
    });
    assert_eq!(row, expected);
    assert_eq!(client.get("/sales").status, 404);
}

#[test]
fn a_refund_is_negative_and_an_absent_tender_is_absent() {
    let server = server_at(evening(), |options| options.spelling = Spelling::Numbers);
    let plain = Sale::plain("2001", 45_000, at("2026-03-14T09:15:00+07:00"));
    server.put(Sale { kind: Kind::Refund, tender: None, ..plain });
    let body = String::from_utf8(Client::of(&server).get(DAY).body).unwrap();
    assert!(body.contains(r#""total_amount":-45000"#) && body.contains(r#""qty":-1"#), "{body}");
    assert!(body.contains(r#""id":2001"#) && !body.contains("payment_method"), "{body}");
}

#[test]
fn amounts_are_mixed_but_the_same_at_each_reading_and_exact() {
    let server = server();
    for n in 0..8 {
        let total = Decimal::from_i128_with_scale(12_345_678_901_234_567_890, 2);
        server.put(Sale { total, ..Sale::plain(&format!("M-{n}"), 1, at("2026-03-14T09:00:00+07:00")) });
    }
    let client = Client::of(&server);
    let first = client.get(DAY);
    assert_eq!(first.body, client.get(DAY).body);
    let rows = first.json()["transactions"].take();
    let strings = rows.as_array().unwrap().iter().filter(|row| row["total_amount"].is_string()).count();
    assert_eq!(strings, 4);
    assert_eq!(String::from_utf8_lossy(&first.body).matches("123456789012345678.9").count(), 8);
}

#[test]
fn the_token_is_checked_and_can_be_changed() {
    let server = server();
    let client = Client::of(&server);
    assert_eq!(client.get("/outlets").status, 200);
    server.adjust(|options| options.token = "another".to_owned());
    let refused = client.get(DAY);
    assert_eq!((refused.status, refused.body.as_slice()), (401, &br#"{"message":"Unauthenticated."}"#[..]));
}

#[test]
fn bounds_may_have_an_offset_or_none() {
    let server = server();
    server.put(Sale::plain("night", 1_000, at("2026-03-14T00:30:00+07:00")));
    server.put(Sale::plain("noon", 1_000, at("2026-03-14T12:00:00+07:00")));
    let client = Client::of(&server);
    assert_eq!(client.ids(DAY), ["noon", "night"]);
    assert_eq!(client.ids(&between("00:00:00", "01:00:00")), ["night"]);
    assert_eq!(client.ids("/transactions?from_date=2026-03-14T05:00:00Z&to_date=2026-03-14T12:00:00%2b0700"), ["noon"]);
    // A `+` that is not percent-encoded is a blank.
    for wrong in ["14/03/2026", "2026-03-14T00:00:00+07:00", "", "2026-02-30"] {
        assert_eq!(client.get(&format!("/transactions?from_date={wrong}")).status, 400, "{wrong}");
    }
    assert_eq!(client.get("/transactions?limit=0").status, 400);
    server.adjust(|options| options.bounds_with_offset = false);
    assert_eq!(client.get(DAY).status, 400);
    assert_eq!(client.ids(&between("00:00:00", "23:59:59")), ["noon", "night"]);
}

#[test]
fn a_sale_on_the_bound_is_shown_as_configured() {
    let server = server();
    for (id, time) in [("a", "09:00:00"), ("b", "09:30:00"), ("c", "10:00:00")] {
        server.put(Sale::plain(id, 1_000, at(&format!("2026-03-14T{time}+07:00"))));
    }
    server.put(Sale::plain("outside", 1_000, at("2026-03-13T10:00:00+07:00")));
    let client = Client::of(&server);
    let shown = |bounds, order| {
        server.adjust(|options| (options.bounds, options.order) = (bounds, order));
        client.ids(&between("09:00:00", "10:00:00"))
    };
    assert_eq!(shown(Bounds::Inclusive, Order::NewestFirst), ["c", "b", "a"]);
    assert_eq!(shown(Bounds::Inclusive, Order::OldestFirst), ["a", "b", "c"]);
    assert_eq!(shown(Bounds::HalfOpen, Order::OldestFirst), ["a", "b"]);
    assert_eq!(shown(Bounds::Exclusive, Order::OldestFirst), ["b"]);
    assert_eq!(shown(Bounds::Ignored, Order::OldestFirst), ["outside", "a", "b", "c"]);
}

#[test]
fn no_answer_has_more_rows_than_the_cap() {
    let server = server();
    for n in 0..130 {
        let time = at("2026-03-14T09:00:00+07:00") + TimeDelta::minutes(n);
        server.put(Sale::plain(&format!("S-{n:03}"), 1_000, time));
    }
    let client = Client::of(&server);
    let ids = client.ids("/transactions?limit=1000");
    assert_eq!((ids.len(), ids[0].as_str(), ids[99].as_str()), (100, "S-129", "S-030"));
    assert_eq!(client.ids("/transactions?limit=7").len(), 7);
    server.adjust(|options| options.cap_rows = 50);
    assert_eq!(client.ids("/transactions?limit=100").len(), 50);
}

#[test]
fn a_sale_is_shown_when_it_is_known() {
    let server = server();
    server.put_at(evening() + TimeDelta::hours(1), Sale::plain("late", 1_000, evening() - TimeDelta::hours(1)));
    server.put(Sale::plain("gone", 1_000, evening()));
    server.put(Sale::plain("old", 1_000, evening() - TimeDelta::days(93)));
    let client = Client::of(&server);
    assert_eq!(client.ids("/transactions"), ["gone"]);
    server.remove("gone");
    assert_eq!(client.ids("/transactions"), [""; 0]);
}

#[test]
fn a_day_read_back_is_the_books() {
    let date = evening().date_naive();
    let day = ShopDay::generate(5, date, &jakarta(), 300);
    let server = server_at(day.complete_at().unwrap(), |options| options.requests_per_minute = None);
    server.load(&day);
    assert_eq!(server.books(), day.books());
    let client = Client::of(&server);
    let mut totals = std::collections::BTreeMap::new();
    for hour in 0..24 {
        let rows = client.get(&between(&format!("{hour:02}:00:00"), &format!("{hour:02}:59:59"))).json();
        let rows = rows["transactions"].as_array().unwrap().clone();
        assert!(rows.len() < 100);
        for row in rows {
            let text = row["total_amount"].to_string();
            let total: Decimal = text.trim_matches('"').parse().unwrap();
            totals.insert(row["id"].as_str().unwrap().to_owned(), total);
        }
    }
    let books = day.books();
    assert_eq!(totals.len(), books.states().len());
    for (id, state) in books.states() {
        let sign = if state.kind == Kind::Refund { -Decimal::ONE } else { Decimal::ONE };
        assert_eq!(totals[id], state.total * sign, "{id}");
    }
}

#[test]
fn fifty_requests_a_minute_by_the_clock() {
    let now = evening();
    let options = Options::new(jakarta(), TOKEN);
    let mut state = State { options, ledger: Ledger::default(), admitted: VecDeque::new() };
    for second in 0..50 {
        assert_eq!(state.admit(now + TimeDelta::seconds(second)), Ok(()));
    }
    assert_eq!(state.admit(now + TimeDelta::seconds(50)), Err(11));
    assert_eq!(state.admit(now + TimeDelta::seconds(60)), Ok(()));
    assert_eq!(state.admit(now + TimeDelta::seconds(60)), Err(2));

    let server = server_at(now, |options| options.requests_per_minute = Some(1));
    let client = Client::of(&server);
    assert_eq!(client.get("/outlets").status, 200);
    let refused = client.get("/outlets");
    assert_eq!(refused.status, 429);
    assert!((50..=60).contains(&refused.header("Retry-After").parse::<u32>().unwrap()));
}

#[test]
fn the_date_header_can_be_wrong_or_absent() {
    let server = server_at(evening(), |options| options.date_skew = Some(TimeDelta::days(365)));
    let client = Client::of(&server);
    assert!(client.get("/outlets").header("Date").starts_with("Sun, 14 Mar 2027 13:00:0"));
    server.adjust(|options| options.date_skew = None);
    assert!(!client.get("/outlets").headers.contains_key("Date"));
}

#[test]
fn what_would_change_something_is_refused_and_counted() {
    let server = server();
    let client = Client::of(&server);
    client.get("/outlets?x=1");
    let posted = client.agent.post(format!("{}/transactions", client.base)).send("{}").unwrap();
    assert_eq!(posted.status().as_u16(), 405);
    assert_eq!(client.agent.head(format!("{}/outlets", client.base)).call().unwrap().status().as_u16(), 405);
    server.http().fail_next(1, Fault::Cut);
    assert!(client.agent.delete(format!("{}/transactions/1", client.base)).call().is_err());
    assert_eq!((server.http().requests(), server.http().mutations()), (4, 3));
    let seen = server.http().seen();
    assert_eq!((seen[0].method.as_str(), seen[0].path.as_str()), ("GET", "/v1/outlets"));
    assert_eq!(seen[0].query.as_deref(), Some("x=1"));
    assert!(seen[0].at >= evening());
}

#[test]
fn cut_closes_without_an_answer() {
    let server = server();
    let client = Client::of(&server);
    server.http().fail_next(2, Fault::Cut);
    assert!(client.try_get("/outlets").is_err());
    assert!(client.try_get("/outlets").is_err());
    assert_eq!(client.get("/outlets").status, 200);
    server.http().fail(Fault::Cut);
    assert!(client.try_get("/outlets").is_err());
    server.http().heal();
    assert_eq!(client.get("/outlets").status, 200);
}

#[test]
fn slow_delays_or_hangs_until_it_is_over() {
    let server = server();
    server.http().fail_next(1, Fault::Slow(Some(Duration::from_millis(120))));
    let started = Instant::now();
    assert_eq!(Client::of(&server).get("/outlets").status, 200);
    assert!(started.elapsed() >= Duration::from_millis(120));

    server.http().fail(Fault::Slow(None));
    let impatient = Client::patient(&server, Duration::from_millis(100));
    assert!(matches!(impatient.try_get("/outlets"), Err(ureq::Error::Timeout(_))));
    let patient = Client::of(&server);
    std::thread::scope(|scope| {
        let held = scope.spawn(|| patient.get("/outlets").status);
        while server.http().requests() < 3 {
            std::thread::yield_now();
        }
        assert!(!held.is_finished());
        server.http().heal();
        assert_eq!(held.join().unwrap(), 200);
    });
}

#[test]
fn a_held_answer_does_not_hold_the_end() {
    let server = server();
    server.http().fail(Fault::Slow(None));
    let patient = Client::of(&server);
    std::thread::scope(|scope| {
        let held = scope.spawn(|| patient.try_get("/outlets").is_err());
        while server.http().requests() < 1 {
            std::thread::yield_now();
        }
        drop(server);
        assert!(held.join().unwrap());
    });
}

#[test]
fn too_many_and_broken_have_their_status() {
    let server = server();
    let client = Client::of(&server);
    server.http().fail_next(1, Fault::TooMany(Some(7)));
    server.http().fail_next(1, Fault::TooMany(None));
    server.http().fail(Fault::Broken(500));
    let first = client.get("/outlets");
    assert_eq!((first.status, first.header("Retry-After")), (429, "7"));
    let second = client.get("/outlets");
    assert_eq!((second.status, second.headers.contains_key("Retry-After")), (429, false));
    assert_eq!(client.get("/outlets").status, 500);
    server.http().fail(Fault::Broken(503));
    assert_eq!(client.get("/outlets").status, 503);
}

#[test]
fn garbled_bodies_are_what_they_are_called() {
    let server = server();
    server.put(Sale::plain("a", 1_000, evening()));
    let client = Client::of(&server);
    let garbled = |garbling| {
        server.http().fail_next(1, Fault::Garbled(garbling));
        client.try_get(DAY)
    };
    assert!(garbled(Garbling::Truncated).is_err());
    let html = garbled(Garbling::Html).unwrap();
    assert_eq!((html.status, html.header("Content-Type")), (200, "text/html"));
    let empty = garbled(Garbling::Empty).unwrap();
    assert_eq!((empty.status, empty.body.len()), (200, 0));
    assert!(garbled(Garbling::ErrorBody).unwrap().json()["error"].is_object());
    assert_eq!(garbled(Garbling::NullList).unwrap().body, br#"{"transactions":null}"#);
    assert!(matches!(garbled(Garbling::Endless), Err(ureq::Error::BodyExceedsLimit(_))));
    let deep = garbled(Garbling::Deep).unwrap().body;
    assert_eq!(deep.split(|&byte| byte == b'[').count(), DEEP_LEVELS + 1);
    assert!(serde_json::from_slice::<Value>(&deep).is_err());
    assert_eq!(client.ids(DAY), ["a"]);
}

#[test]
fn an_endless_body_ends_and_says_that_there_is_nothing() {
    let server = server();
    server.put(Sale::plain("a", 1_000, evening()));
    server.http().fail(Fault::Garbled(Garbling::Endless));
    let mut stream = TcpStream::connect(server.http().address()).unwrap();
    write!(stream, "GET /v1/transactions HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut body = Vec::new();
    stream.read_to_end(&mut body).unwrap();
    assert!(body.len() > ENDLESS_BYTES && body.ends_with(b"\r\n1\r\n}\r\n0\r\n\r\n"));
    assert!(String::from_utf8_lossy(&body[..300]).contains(r#"{"transactions":[]"#));
}
