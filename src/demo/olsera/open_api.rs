//! `POST /token`, `GET /order/{open,close}order` and their details.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{LIMIT_MAX_ROWS, Options, Order, State, Times, spelling};
use crate::demo::{
    http_server::{Answer, Request},
    shop::{Kind, Line, Sale, Shown},
    simulator::{Entry, Sheet},
};

/// In which list an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    Open,
    Closed,
}

pub(super) fn answer(state: &mut State, path: &str, request: &Request, now: DateTime<Utc>) -> Answer {
    let (list, detail) = match path {
        "/token" => return token(state, request, now),
        "/order/openorder" => (List::Open, false),
        "/order/closeorder" => (List::Closed, false),
        "/order/openorder/detail" => (List::Open, true),
        "/order/closeorder/detail" => (List::Closed, true),
        _ => return state.error(404, "Not Found Resource"),
    };
    let bearer = request.header("authorization").and_then(|text| text.strip_prefix("Bearer "));
    state.tokens.retain(|(_, end)| now < *end);
    if !state.tokens.iter().any(|(token, _)| Some(token.as_str()) == bearer) {
        return state.error(401, "Unauthenticated");
    }
    if detail { self::detail(state, list, request, now) } else { orders(state, list, request, now) }
}

fn token(state: &mut State, request: &Request, now: DateTime<Utc>) -> Answer {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let options = &state.options;
    let fits = body["app_id"] == json!(options.app_id)
        && body["secret_key"] == json!(options.secret_key)
        && body["grant_type"] == "secret_key";
    if !fits {
        let error = json!({ "id": "invalid_client", "message": "Client authentication failed", "status_code": 401 });
        return Answer::json(options.refusal_status, &json!({ "error": error }));
    }
    let token = format!("token-{}", now.timestamp_millis());
    let lives = options.token_lives;
    state.tokens.push((token.clone(), now + lives));
    let expires_in = lives.num_seconds();
    Answer::json(
        200,
        &json!({ "token_type": "Bearer", "expires_in": expires_in, "access_token": token, "refresh_token": "XXXXXX" }),
    )
}

/// Whether an order is paid: a part is not enough.
fn is_paid(sale: &Sale) -> bool {
    sale.kind == Kind::Sale && sale.paid.is_none_or(|paid| paid >= sale.total)
}

/// The source's word for how far it is.
fn status(shown: &Shown<'_>, options: &Options, now: DateTime<Utc>) -> &'static str {
    match shown.sale.kind {
        Kind::Void => "X",
        _ if is_paid(shown.sale) && now >= shown.known_at + options.prepared_for => "Z",
        _ => "A",
    }
}

fn is_in(list: List, shown: &Shown<'_>, options: &Options, now: DateTime<Utc>) -> bool {
    let is_done = status(shown, options, now) != "A";
    match list {
        List::Open => !is_done,
        // For a while it is in both.
        List::Closed => is_done || is_paid(shown.sale) && now >= shown.known_at + options.prepared_for / 2,
    }
}

fn orders(state: &State, list: List, request: &Request, now: DateTime<Utc>) -> Answer {
    let options = &state.options;
    let number = |name: &str| request.parameter(name).and_then(|text| text.parse::<usize>().ok());
    let day = |name: &str| request.parameter(name).and_then(|text| text.parse::<NaiveDate>().ok());
    let (from, to) = (day("start_date"), day("end_date"));
    let only_paid = request.parameter("is_paid").as_deref() == Some("1");
    let inside = |shown: &Shown<'_>| {
        let date = options.zone.local(shown.sale.at).date_naive() + days_off(shown.sale, options).0;
        from.is_none_or(|from| from <= date) && to.is_none_or(|to| date <= to)
    };
    let mut found: Vec<_> = state
        .ledger
        .shown(now)
        .filter(|shown| shown.sale.kind != Kind::Refund && is_in(list, shown, options, now) && inside(shown))
        .filter(|shown| !only_paid || is_paid(shown.sale))
        .collect();
    found.sort_by_key(|shown| state.numbers.get(&shown.sale.id).copied());
    if options.order == Order::NewestFirst {
        found.reverse();
    }
    if found.is_empty() {
        return state.error(404, "Not Found Resource");
    }
    let per_page = number("per_page").unwrap_or(15).clamp(1, LIMIT_MAX_ROWS).min(options.cap_rows);
    let (asked, pages) = (number("page").unwrap_or(1).max(1), found.len().div_ceil(per_page));
    let rows: Vec<_> = found.iter().skip((asked - 1) * per_page).take(per_page).map(|s| row(state, s, now)).collect();
    let link = |page: usize| format!("https://api-open.olsera.co.id/api/open-api/v1/id/order?page={page}");
    let next = (asked < pages).then(|| link(asked + 1));
    let meta = json!({ "current_page": asked, "last_page": pages, "per_page": per_page, "total": found.len() });
    let links = json!({ "first": link(1), "last": link(pages), "prev": null, "next": next });
    Answer::json(200, &json!({ "data": rows, "links": links, "meta": meta, "error": 0 }))
}

/// How far an order's list, and the day that it tells, are off its time.
fn days_off(sale: &Sale, options: &Options) -> (TimeDelta, TimeDelta) {
    let (list, told) = options.days_off.get(&sale.id).copied().unwrap_or_default();
    (TimeDelta::days(list), TimeDelta::days(told))
}

/// What a list shows of an order.
fn row(state: &State, shown: &Shown<'_>, now: DateTime<Utc>) -> Value {
    let (sale, options) = (shown.sale, &state.options);
    let is_odd = options.odd_status.contains(&sale.id);
    let status = if is_odd { "Q" } else { status(shown, options, now) };
    let date = options.zone.local(sale.at) + days_off(sale, options).1;
    let mut row = json!({
        "id": state.numbers.get(&sale.id),
        "order_no": format!("DF01{}", state.numbers.get(&sale.id).copied().unwrap_or_default()),
        "order_date": date.format("%Y-%m-%d 00:00:00").to_string(),
        "status": status,
        "status_desc": if status == "Z" { "Completed" } else { "" },
        "order_amount": spelling::amount(&sale.id, sale.lines_total(), options.spelling),
        "total_amount": spelling::amount(&sale.id, sale.total, options.spelling),
        "is_paid": i32::from(is_paid(sale)),
    });
    if options.lists_times {
        row["order_time"] = json!(spelling::local(sale.at, options));
        row["modified_time"] = json!(spelling::local(shown.known_at, options));
    }
    row
}

fn detail(state: &State, list: List, request: &Request, now: DateTime<Utc>) -> Answer {
    let id = request.parameter("id").unwrap_or_default();
    let options = &state.options;
    let mut found = state.ledger.shown(now).filter(|shown| shown.sale.kind != Kind::Refund);
    let is_it = |shown: &Shown<'_>| state.external_id(&shown.sale.id) == id && is_in(list, shown, options, now);
    let Some(shown) = found.find(is_it) else { return state.error(404, "Not Found Resource") };
    let sale = shown.sale;
    if options.failing.contains(&sale.id) {
        return state.error(500, "Server Error");
    }
    let mut data = row(state, &shown, now);
    data["order_time"] = json!(spelling::local(sale.at, options));
    // In another zone than all the rest.
    data["created_time"] = json!(sale.at.format("%Y-%m-%d %H:%M:%S").to_string());
    data["modified_time"] = json!(spelling::local(shown.known_at, options));
    data["total_item_qty"] = json!(sale.lines.len());
    data["customer_id"] = json!(0);
    data["customer_name"] = json!("Ibu Ratna Wulandari");
    data["table_no"] = json!("7");
    data["sales_by_name"] = json!("KASIR A");
    data["order_source"] = json!("D");
    let lines = sale.lines.iter().enumerate().map(|(n, line)| self::line(n, line, sale, options));
    data["orderitems"] = json!(lines.collect::<Vec<_>>());
    Answer::json(200, &json!({ "data": data, "error": 0 }))
}

fn line(n: usize, line: &Line, sale: &Sale, options: &Options) -> Value {
    let amount = |amount| spelling::amount(&sale.id, amount, options.spelling);
    json!({
        "id": 9_900_001 + n,
        "product_id": 40_011 + n,
        "product_name": line.name,
        "product_sku": "",
        "product_variant_id": null,
        "product_variant_name": null,
        "qty": line.quantity.normalize().to_string(),
        "price": amount(line.unit_price),
        "addon_price": 0,
        "discount": "0.00",
        "amount": amount(line.quantity * line.unit_price),
        "cost_amount": "0.00",
        "status": "A",
    })
}

/// A paid order is a sale, one that was called off void. One that is not paid any more is in no list that is asked for:
/// who knew it can look for it and find an order, who did not knows nothing.
pub(super) fn sheet(state: &State, now: DateTime<Utc>) -> Sheet {
    let mut sheet = Sheet::new();
    for shown in state.ledger.shown(now) {
        let sale = shown.sale;
        let kind = match sale.kind {
            Kind::Refund => continue,
            Kind::Void => Kind::Void,
            _ if is_paid(sale) => Kind::Sale,
            Kind::Sale | Kind::Order => Kind::Order,
        };
        let was_listed = shown.states().any(|(_, state)| is_paid(state) || state.kind == Kind::Void);
        if kind == Kind::Order && !was_listed {
            continue;
        }
        let entry = Entry {
            optional: kind == Kind::Order,
            ..Entry::plain(kind, sale.total, spelling::shown(sale.at, Times::Naive))
        };
        sheet.insert(format!("transaction/{}", state.external_id(&sale.id)), entry);
    }
    sheet
}
