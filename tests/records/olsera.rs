//! Olsera's bodies, of both APIs.

use std::{fs, path::PathBuf, sync::LazyLock};

use chrono::TimeDelta;
use serde_json::{Value, json};
use tillbox::{
    amount::Amount,
    pos::{
        olsera::{
            documented::parse::{Merchant, parse_merchant, parse_transactions},
            open_api::parse::{Login, parse_nothing, parse_order, parse_orders, parse_token},
        },
        page::{Page, ParseContext, Reason},
    },
    transaction::{Flag, Kind, PaymentStatus, Status, Transaction},
};

use crate::fixture;

fn context() -> ParseContext {
    static CONTEXT: LazyLock<ParseContext> = LazyLock::new(|| crate::context("olsera"));
    CONTEXT.clone()
}

fn read(name: &str) -> Page {
    parse_transactions(&fixture(name), &context()).unwrap_or_else(|fault| panic!("{name}: {fault}"))
}

fn detail(change: impl FnOnce(&mut Value)) -> Page {
    let mut body: Value = serde_json::from_slice(&fixture("olsera/edge-openapi-closeorder-detail.json")).unwrap();
    change(&mut body["data"]);
    parse_order(body.to_string().as_bytes(), &context()).unwrap()
}

#[test]
fn every_body_yields_what_is_expected_of_it() {
    let read = |name: &str| {
        if name.contains("edge-openapi") {
            return parse_order(&fixture(name), &context());
        }
        parse_transactions(&fixture(name), &context()).map_err(|fault| fault.to_string())
    };
    let compared = crate::compare("olsera/", read);
    let bodies = fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/olsera")).unwrap();
    let with_transactions = bodies.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        let name = name.to_str().unwrap();
        name.starts_with("edge-transactions") || name.ends_with("detail.json")
    });
    assert_eq!(compared, with_transactions.count(), "an expectation or a fixture is missing");
}

#[test]
fn the_merchant_is_who_it_says() {
    let merchant = |name: &str| parse_merchant(&fixture(name)).unwrap();
    let known = merchant("olsera/edge-merchant-info.json");
    assert_eq!((known.id.as_deref(), known.name.as_deref()), (Some("M-8812"), Some("Kopi Nusantara")));
    assert_eq!(merchant("olsera/edge-merchant-info-other.json").id.as_deref(), Some("M-9999"));
    for (body, id) in [
        (r#"{"data": {"merchant_id": 8812, "name": "X"}}"#, Some("8812")),
        (r#"{"merchant": {"merchant_id": "M-1"}, "error": 0}"#, Some("M-1")),
        (r#"{"id": 7, "outlets": []}"#, None),
        ("{}", None),
    ] {
        assert_eq!(parse_merchant(body.as_bytes()).unwrap().id.as_deref(), id, "{body}");
    }
    assert_eq!(parse_merchant(b"{}"), Ok(Merchant::default()));
    assert!(parse_merchant(b"[]").is_err() && parse_merchant(b"<html>").is_err());
}

#[test]
fn an_error_is_not_an_empty_page() {
    for name in ["edge-error-401", "edge-error-429", "edge-openapi-empty-404", "edge-openapi-token-error"] {
        let body = fixture(&format!("olsera/{name}.json"));
        assert!(parse_transactions(&body, &context()).is_err(), "{name}");
        assert!(parse_merchant(&body).is_err(), "{name}");
        assert!(parse_orders(&body, &context().source_zone).is_err(), "{name}");
        assert!(parse_order(&body, &context()).is_err(), "{name}");
    }
}

#[test]
fn no_customer_is_taken_and_no_text_of_what_is_put_aside() {
    let page = read("olsera/edge-transactions-missing-optional.json");
    let malformed = read("olsera/edge-transactions-malformed.json");
    let written = serde_json::to_string(&(&page.records, &malformed.quarantined)).unwrap();
    for personal in ["Ratna", "0812", "10.000", "customer"] {
        assert!(!written.contains(personal), "{personal} in {written}");
    }
    assert!(page.unknown_fields.contains("/data/*/customer_name"));
    assert!(malformed.quarantined.iter().any(|aside| aside.external_id.as_deref() == Some("K-04")));
}

#[test]
fn a_token_is_let_in_and_an_error_body_is_not() {
    let token = parse_token(&fixture("olsera/edge-openapi-token.json")).unwrap();
    assert!(
        matches!(&token, Login::Token { token, lives } if token.expose() == "XXXXXX" && *lives == TimeDelta::hours(1))
    );
    assert!(!format!("{token:?}").contains("XXXXXX"));
    assert_eq!(parse_token(&fixture("olsera/edge-openapi-token-error.json")), Ok(Login::Refused));
    for body in [r#"{"access_token": ""}"#, r#"{"access_token": "a\nb"}"#, "{}", "[]", "<html>", r#"{"error": 0}"#] {
        assert!(parse_token(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn the_404_of_an_empty_day_is_the_apis_own() {
    assert_eq!(parse_nothing(&fixture("olsera/edge-openapi-empty-404.json")), Ok(()));
    assert!(parse_nothing(b"<html>nginx</html>").is_err() && parse_nothing(b"{}").is_err());
}

#[test]
fn a_list_names_orders_and_whether_there_is_more() {
    let zone = context().source_zone;
    let list = |name: &str| parse_orders(&fixture(name), &zone).unwrap();
    let whole = list("olsera/edge-openapi-closeorder-list.json");
    let ids: Vec<_> = whole.rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!((ids, whole.total, whole.more), (vec!["5120031", "5120032"], Some(2), false));
    assert_eq!(whole.rows[0].day.unwrap().to_string(), "2026-05-01");
    assert_eq!(whole.rows[0].at, None, "midnight is no time");
    let first = list("olsera/edge-openapi-closeorder-list-page-1-of-2.json");
    assert_eq!((first.rows.len(), first.total, first.more), (1, Some(2), true));

    let mark = |row: &str| parse_orders(format!(r#"{{"data": [{row}], "error": 0}}"#).as_bytes(), &zone).unwrap();
    let marks =
        [r#""total_amount": "100.00", "is_paid": 1"#, r#""is_paid": "1", "total_amount": 100"#, r#""is_paid": 0"#]
            .map(|rest| mark(&format!(r#"{{"id": 7, {rest}}}"#)).rows[0].mark);
    assert!(marks[0] == marks[1] && marks[1] != marks[2] && !marks.contains(&0));
    let bad = mark(r#"{"order_no": "Siti"}, 7, {"id": 8}"#);
    let reasons: Vec<_> = bad.quarantined.iter().map(|aside| (aside.pointer.as_str(), aside.reason)).collect();
    assert_eq!(reasons, [("/data/0", Reason::IdMissing), ("/data/1", Reason::NotAnObject)]);
    assert!(bad.rows.len() == 1 && !format!("{bad:?}").contains("Siti"));
}

#[test]
fn an_order_is_read_with_its_lines_add_ons_not_added_twice() {
    let page = parse_order(&fixture("olsera/edge-openapi-closeorder-detail.json"), &context()).unwrap();
    let order = &page.records[0];
    assert_eq!((order.kind, order.status, order.payment_status), (Kind::Sale, Status::Completed, PaymentStatus::Paid));
    let written = serde_json::to_value(order).unwrap();
    assert_eq!(written["timestamp"], "2026-05-01T06:57:24+07:00");
    assert_eq!(written["external_ref"], "DF0126050100000034");
    let amounts = ["grand_total", "lines_total", "tax_total"].map(|name| &written["amounts"][name]);
    assert_eq!(amounts, [&json!("121000"), &json!("110000"), &Value::Null]);
    assert_eq!(order.flags.iter().collect::<Vec<_>>(), [&Flag::TimezoneAssumed], "the arithmetic holds");
    let second = &written["items"][1];
    let line =
        ["line_total", "list_price", "unit_price", "discount", "quantity", "sku", "product_id"].map(|n| &second[n]);
    let expected =
        [json!("50000"), json!("50000"), Value::Null, json!("5000"), json!("1"), json!("RP-1"), json!("40012")];
    assert_eq!(line, expected.each_ref());
    assert_eq!(second["modifiers"][0]["name"], "Dewasa");
    assert_eq!(second["modifiers"][1]["price"], "5000");
    for personal in ["KASIR", "23:57", "cost", "table"] {
        assert!(!written.to_string().contains(personal), "{personal}");
    }
    let again: Transaction = serde_json::from_value(written).unwrap();
    assert_eq!(again.content_id(), order.content_id());
}

#[test]
fn kind_and_status_follow_the_sources_words() {
    for (status, is_paid, kind, standing, payment) in [
        ("Z", json!(1), Kind::Sale, Status::Completed, PaymentStatus::Paid),
        ("A", json!("1"), Kind::Sale, Status::Open, PaymentStatus::Paid),
        ("P", json!(true), Kind::Sale, Status::Open, PaymentStatus::Paid),
        ("S", json!(0), Kind::Order, Status::Open, PaymentStatus::Unpaid),
        ("X", json!(0), Kind::Void, Status::Cancelled, PaymentStatus::Unknown),
    ] {
        let page = detail(|data| (data["status"], data["is_paid"]) = (json!(status), is_paid.clone()));
        let order = &page.records[0];
        assert_eq!((order.kind, order.status, order.payment_status), (kind, standing, payment), "{status} {is_paid}");
        assert_eq!(order.status_raw.as_deref(), Some(status));
    }
    let paid_and_cancelled = detail(|data| data["status"] = json!("X"));
    assert!(paid_and_cancelled.records[0].flags.contains(&Flag::CancelledButPaid));
    for (field, value) in [("status", json!("R")), ("status", Value::Null), ("is_paid", json!("yes"))] {
        let page = detail(|data| data[field] = value);
        assert_eq!((page.records.len(), page.quarantined[0].reason), (0, Reason::StatusUnknown));
        assert_eq!(
            (page.quarantined[0].pointer.as_str(), page.quarantined[0].field.as_deref()),
            ("/data", Some(field))
        );
    }
}

#[test]
fn what_a_detail_lacks_is_flagged_or_put_aside() {
    let day_only = detail(|data| drop(data.as_object_mut().unwrap().remove("order_time")));
    assert!(day_only.records[0].flags.contains(&Flag::TimeOfDaySuspect));
    let wrong_time = detail(|data| data["order_time"] = json!("01/05/2026"));
    assert_eq!(wrong_time.quarantined[0].reason, Reason::TimestampInvalid);
    let no_lines = detail(|data| data["orderitems"] = Value::Null);
    assert!(no_lines.records[0].flags.contains(&Flag::LinesMissing));
    let bad_line = detail(|data| data["orderitems"][0]["qty"] = json!("two"));
    let bad_line = &bad_line.records[0];
    assert_eq!(bad_line.items.as_ref().map(Vec::len), Some(1));
    assert!(bad_line.flags.contains(&Flag::LinesInvalid) && !bad_line.flags.contains(&Flag::LinesDoNotSumToTotal));
    let wrong_line = detail(|data| data["orderitems"][1]["amount"] = json!("55000.00"));
    let flags = &wrong_line.records[0].flags;
    assert!(flags.contains(&Flag::LineArithmetic) && flags.contains(&Flag::LinesDoNotSumToTotal));
    assert_eq!(wrong_line.records[0].amount, Amount::parse("121000").unwrap(), "no amount is repaired");
}
