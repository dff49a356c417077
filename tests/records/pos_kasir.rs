//! POS Kasir's bodies.

use std::{fs, path::PathBuf, sync::LazyLock};

use serde_json::{Value, json};
use tillbox::{
    pos::{
        page::{Page, ParseContext},
        pos_kasir::{
            order::{Methods, fingerprint},
            parse::{parse_branding, parse_log, parse_me, parse_methods, parse_order, parse_orders, parse_session},
        },
    },
    transaction::{Flag, Transaction},
};

use crate::fixture;

fn context() -> ParseContext {
    static CONTEXT: LazyLock<ParseContext> = LazyLock::new(|| crate::context("pos-kasir"));
    CONTEXT.clone()
}

fn methods() -> Methods {
    parse_methods(&fixture("pos-kasir/edge-payment-methods.json")).unwrap()
}

fn read(name: &str) -> Result<Page, String> {
    if name.contains("order-detail") {
        return parse_order(&fixture(name), &context(), &methods());
    }
    parse_orders(&fixture(name), &context()).map(|orders| orders.page).map_err(|fault| fault.to_string())
}

fn detail(name: &str) -> Transaction {
    let mut page = read(&format!("pos-kasir/edge-order-detail-{name}.json")).unwrap();
    assert!(page.unknown_fields.is_empty(), "{:?}", page.unknown_fields);
    page.records.remove(0)
}

#[test]
fn every_body_yields_what_is_expected_of_it() {
    let compared = crate::compare("pos-kasir/", read);
    let bodies = fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pos-kasir")).unwrap();
    let with_orders = bodies.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_str().unwrap().starts_with("edge-order")
    });
    assert_eq!(compared, with_orders.count(), "an expectation or a fixture is missing");
}

#[test]
fn pages_say_what_is_missing_of_them() {
    let orders =
        |name: &str| parse_orders(&fixture(&format!("pos-kasir/edge-orders-{name}.json")), &context()).unwrap();
    for (name, missing, is_last) in [
        ("page-1-of-3", 0, false),
        ("page-2-of-3", 0, false),
        ("page-3-of-3", 0, true),
        ("page-short", 1, false),
        ("empty", 0, true),
        ("beyond-last", 0, true),
        ("number-lexemes", 0, true),
    ] {
        let page = orders(name);
        assert_eq!((page.missing(), page.is_last()), (missing, is_last), "{name}");
    }
    let pages = ["page-1-of-3", "page-2-of-3", "page-3-of-3"].map(orders);
    let ids: std::collections::BTreeSet<_> =
        pages.iter().flat_map(|p| p.page.records.iter().map(|r| &r.external_id)).collect();
    assert_eq!(ids.len(), 9);
}

#[test]
fn a_record_reads_back_as_it_was_written() {
    for name in ["cash", "promo", "large-unicode", "offset-wib", "cancelled-but-paid"] {
        let record = detail(name);
        let text = serde_json::to_string(&record).unwrap();
        let again: Transaction = serde_json::from_str(&text).unwrap();
        assert_eq!(again, record);
        assert_eq!(again.content_id(), record.content_id());
    }
}

#[test]
fn a_payment_is_the_total_by_the_name_of_its_method() {
    let cash = &detail("cash").payments[0];
    assert_eq!((cash.method.as_str(), cash.amount.unwrap().to_string()), ("cash", "115440".to_owned()));
    assert_eq!(cash.tendered.unwrap().to_string(), "120000");
    let qris = detail("qris");
    assert_eq!(qris.payment_method.as_deref(), Some("qris dinamis"));
    assert_eq!(qris.payments[0].tendered, None);
    assert!(qris.payments[0].reference.is_some());
    let body = fixture("pos-kasir/edge-order-detail-cash.json");
    let page = parse_order(&body, &context(), &Methods::new()).unwrap();
    assert_eq!(page.records[0].payment_method.as_deref(), Some("id 1"), "an unknown method is not cash");
    assert!(page.records[0].flags.contains(&Flag::PaymentMethodUnknown));
}

#[test]
fn a_discount_names_its_promotion_and_options_are_not_added() {
    let promo = serde_json::to_value(detail("promo")).unwrap();
    let discount = json!({"scope": "order", "reference": "01980000-0000-7000-8000-0000000002bd", "amount": "25000"});
    assert_eq!(promo["discounts"], json!([discount]));
    assert_eq!((&promo["taxes"][0]["amount"], &promo["tax_included"]), (&json!("27500"), &json!(false)));
    let options = detail("options");
    let item = &options.items.as_ref().unwrap()[0];
    assert_eq!((item.modifiers.len(), item.line_total.unwrap().to_string()), (2, "69000".to_owned()));
}

#[test]
fn nothing_personal_is_kept() {
    let promo = serde_json::to_string(&detail("promo")).unwrap();
    assert!(!promo.contains("000000000321"), "the customer");
    let log = parse_log(&fixture("pos-kasir/edge-activity-logs-orders.json"), &context()).unwrap();
    let told = format!("{log:?}");
    assert!(!told.contains("komplain") && !told.contains("manager"), "{told}");
}

#[test]
fn the_list_shows_a_change_and_no_change_where_there_is_none() {
    let page = |name: &str| read(&format!("pos-kasir/edge-orders-{name}.json")).unwrap();
    let (first, shifted) = (page("page-1-of-3"), page("page-1-after-shift"));
    assert_eq!(fingerprint(&first.records[0]), fingerprint(&shifted.records[1]));
    let mut body: Value = serde_json::from_slice(&fixture("pos-kasir/edge-orders-page-1-of-3.json")).unwrap();
    body["data"]["orders"][0]["items"][0]["product_name"] = "Renamed".into();
    body["data"]["orders"][1]["is_paid"] = false.into();
    body["data"]["orders"][2]["items"][0]["quantity"] = 4.into();
    let other = parse_orders(body.to_string().as_bytes(), &context()).unwrap().page;
    let same: Vec<_> =
        first.records.iter().zip(&other.records).map(|(a, b)| fingerprint(a) == fingerprint(b)).collect();
    assert_eq!(same, [true, false, false]);
}

#[test]
fn the_other_answers_are_read() {
    assert_eq!(parse_me(&fixture("pos-kasir/edge-me-response.json")).unwrap().role, "manager");
    assert_eq!(parse_branding(&fixture("pos-kasir/edge-branding.json")).unwrap().as_deref(), Some("Warung Bu Siti"));
    for name in ["login", "refresh"] {
        assert!(parse_session(&fixture(&format!("pos-kasir/edge-{name}-response.json"))).unwrap().is_some());
    }
    assert_eq!(methods().values().collect::<Vec<_>>(), ["Cash", "QRIS Dinamis", "QRIS Statis"]);
    let log = parse_log(&fixture("pos-kasir/edge-activity-logs-orders.json"), &context()).unwrap();
    assert!(log.is_last);
    assert_eq!(log.entries.iter().map(|entry| entry.is_refund).collect::<Vec<_>>(), [true, false, false]);
}

#[test]
fn an_error_or_a_web_page_is_not_an_empty_list() {
    let errors = ["400-validation", "401", "401-login", "403-role", "404", "500"];
    for body in errors.map(|name| fixture(&format!("pos-kasir/edge-error-{name}.json"))) {
        assert!(parse_orders(&body, &context()).is_err());
        assert!(parse_order(&body, &context(), &methods()).is_err());
        assert!(parse_me(&body).is_err() && parse_methods(&body).is_err() && parse_session(&body).is_err());
    }
    for body in
        ["<!doctype html><title>POS Kasir</title>", "Too Many Requests", r#"{"message":"x","data":{"orders":{}}}"#]
    {
        assert!(parse_orders(body.as_bytes(), &context()).is_err(), "{body}");
        assert!(parse_order(body.as_bytes(), &context(), &methods()).is_err(), "{body}");
    }
}
