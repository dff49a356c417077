//! `GET /merchant/info` and `GET /transactions`.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};

use super::{Options, Order, State, Times, spelling};
use crate::demo::{
    http_server::{Answer, Request},
    shop::{Kind, Sale},
    simulator::{Entry, Sheet},
};

pub(super) fn answer(state: &mut State, path: &str, request: &Request, now: DateTime<Utc>) -> Answer {
    if !matches!(path, "/merchant/info" | "/transactions") {
        return state.error(404, "Not Found");
    }
    let is_known = request.parameter("merchant_id").as_deref() == Some(&state.options.merchant_id);
    if request.header("x-api-key") != Some(&state.options.api_key) || !is_known {
        return state.error(401, "Invalid API key");
    }
    if path == "/merchant/info" { merchant(&state.options) } else { transactions(state, request, now) }
}

fn merchant(options: &Options) -> Answer {
    let mut body = json!({ "name": "Kopi Nusantara", "outlets": [{ "outlet_id": "11", "name": "Senayan" }] });
    if let Some(id) = &options.shown_merchant_id {
        body["merchant_id"] = json!(id);
    }
    Answer::json(200, &body)
}

fn transactions(state: &mut State, request: &Request, now: DateTime<Utc>) -> Answer {
    let options = &state.options;
    let knows = |name: &str| match name {
        "page" => options.honours_page,
        "offset" => options.honours_offset,
        _ => options.honours_dates,
    };
    for name in ["page", "offset", "start_date", "end_date"] {
        if options.refuses_unknown && request.parameter(name).is_some() && !knows(name) {
            return state.error(400, &format!("unknown parameter {name}"));
        }
    }
    let number = |name: &str| request.parameter(name).and_then(|text| text.parse::<usize>().ok());
    let day = |name: &str| request.parameter(name).and_then(|text| text.parse::<NaiveDate>().ok());
    let limit = number("limit").unwrap_or(20).min(options.cap_rows);
    let mut skip = 0;
    if options.honours_page {
        skip += (number("page").unwrap_or(1).max(1) - 1) * limit;
    }
    if options.honours_offset {
        skip += number("offset").unwrap_or(0);
    }
    let (from, to) = if options.honours_dates { (day("start_date"), day("end_date")) } else { (None, None) };
    let inside = |sale: &&Sale| {
        let date = options.zone.local(sale.at).date_naive();
        from.is_none_or(|from| from <= date) && to.is_none_or(|to| date <= to)
    };
    let kept = options.keeps_rows.unwrap_or(usize::MAX);
    let sales: Vec<Sale> =
        listed(state, now).into_iter().take(kept).filter(inside).skip(skip).take(limit).cloned().collect();
    let rows: Vec<_> = sales.iter().map(|sale| row(state, sale)).collect();
    state.given.extend(sales.iter().map(|sale| (sale.id.clone(), sale.total)));
    Answer::json(200, &json!({ "data": rows }))
}

/// The rows of the whole list, in its order.
fn listed(state: &State, now: DateTime<Utc>) -> Vec<&Sale> {
    let mut sales: Vec<_> = state.ledger.at(now).filter(|sale| sale.kind == Kind::Sale).collect();
    sales.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    if state.options.order == Order::NewestFirst {
        sales.reverse();
    }
    sales
}

fn row(state: &State, sale: &Sale) -> Value {
    let options = &state.options;
    let date = match options.times {
        Times::Naive => spelling::local(sale.at, options),
        Times::WithOffset => options.zone.local(sale.at).to_rfc3339(),
        Times::Midnight => options.zone.local(sale.at).format("%Y-%m-%d 00:00:00").to_string(),
    };
    json!({
        "transaction_id": state.external_id(&sale.id),
        "grand_total": spelling::amount(&sale.id, sale.total, options.spelling),
        "date": date,
        "outlet_id": "11",
    })
}

/// What is in the newest rows now must be held. Of what has fallen behind them a reader may hold what it was shown last;
/// whether it was there to see it, nobody here knows.
pub(super) fn sheet(state: &State, now: DateTime<Utc>) -> Sheet {
    let reaches_all = state.options.honours_page || state.options.honours_offset;
    let entry = |(place, sale): (usize, &Sale)| {
        let mut entry = Entry::plain(Kind::Sale, sale.total, spelling::shown(sale.at, state.options.times));
        if place >= state.options.cap_rows && !reaches_all {
            entry.optional = true;
            entry.total = state.given.get(&sale.id).copied().unwrap_or(sale.total);
        }
        if state.options.times == Times::Midnight {
            let zone = &state.options.zone;
            entry.at = zone.day_begins(zone.local(sale.at).date_naive(), chrono::NaiveTime::MIN);
        }
        (format!("transaction/{}", state.external_id(&sale.id)), entry)
    };
    listed(state, now).into_iter().enumerate().map(entry).collect()
}
