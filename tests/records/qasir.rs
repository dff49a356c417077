//! Qasir's bodies.

use std::{collections::BTreeSet, fs, path::PathBuf, sync::LazyLock};

use chrono::TimeDelta;
use serde_json::{Value, json};
use tillbox::{
    amount::Amount,
    outbox::{Capture, Options, Outbox},
    pos::{
        body::{BodyFault, JsonType},
        page::{Page, ParseContext, Reason},
        qasir::parse::{parse_outlets, parse_transactions},
    },
    transaction::{Flag, Transaction},
};

use crate::fixture;

fn context() -> ParseContext {
    static CONTEXT: LazyLock<ParseContext> = LazyLock::new(|| crate::context("qasir"));
    CONTEXT.clone()
}

fn read(name: &str) -> Page {
    parse_transactions(&fixture(name), &context()).unwrap_or_else(|fault| panic!("{name}: {fault}"))
}

#[test]
fn every_body_yields_what_is_expected_of_it() {
    let read = |name: &str| parse_transactions(&fixture(name), &context()).map_err(|fault| fault.to_string());
    let compared = crate::compare("qasir/", read);
    let bodies = fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/qasir")).unwrap();
    let with_transactions = bodies.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        ["edge-transactions", "edge-window"].iter().any(|start| name.to_str().unwrap().starts_with(start))
    });
    assert_eq!(compared, with_transactions.count(), "an expectation or a fixture is missing");
}

#[test]
fn a_record_reads_back_as_it_was_written() {
    for name in ["qasir/edge-transactions-basic.json", "qasir/edge-transactions-unicode-large.json"] {
        for record in read(name).records {
            let text = serde_json::to_string(&record).unwrap();
            let again: Transaction = serde_json::from_str(&text).unwrap();
            assert_eq!(again, record);
            assert_eq!(again.content_id(), record.content_id());
        }
    }
}

#[test]
fn another_spelling_is_no_change_and_another_amount_is_one() {
    let id = |n: u8| read(&format!("qasir/edge-transactions-revision-{n}.json")).records[0].content_id();
    assert_eq!(id(1), id(2));
    assert_ne!(id(1), id(3));
}

#[test]
fn the_outbox_stores_a_record_again_only_where_it_changed() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        folder: folder.path().join("outbox"),
        max_bytes: 64 * 1024 * 1024,
        outlet: "jkt-014".to_owned(),
        topic_prefix: "tillbox".to_owned(),
        event_max_bytes: 128 * 1024,
        retention: TimeDelta::days(30),
        connections: vec![("front".to_owned(), "qasir".to_owned())],
        retired: Vec::new(),
    };
    let now = "2026-03-15T12:00:00Z".parse().unwrap();
    let outbox = Outbox::open(options, now).unwrap().outbox;
    let epoch = outbox.level().epoch;
    let stored = [1, 2, 3, 3].map(|n: u8| {
        let transactions = read(&format!("qasir/edge-transactions-revision-{n}.json")).records;
        outbox
            .capture(Capture { connection: "front".to_owned(), epoch, now, transactions, ..Capture::default() })
            .unwrap()
    });
    assert_eq!(stored.map(|captured| (captured.new, captured.changed)), [(1, 0), (0, 0), (0, 1), (0, 0)]);
    let events = outbox.read(epoch, 0, 10).unwrap();
    let last: Transaction = serde_json::from_str(&events[1].draft.data).unwrap();
    assert_eq!((events.len(), last.external_id.as_str(), last.revision), (2, "V-01", 2));
    assert_eq!(last.amount, Amount::parse("25000").unwrap());
}

#[test]
fn the_halves_of_a_full_window_hold_every_sale_once() {
    let halves = ["qasir/edge-window-first-half.json", "qasir/edge-window-second-half.json"].map(read);
    assert_eq!(halves.each_ref().map(|page| page.rows), [60, 56]);
    assert_eq!(read("qasir/edge-window-full-100.json").rows, 100);
    let mut distinct = std::collections::BTreeMap::new();
    for record in halves.into_iter().flat_map(|page| page.records) {
        let id = record.content_id();
        assert!(distinct.insert(record.identity(), (id, record.amount)).is_none_or(|(before, _)| before == id));
    }
    assert_eq!(distinct.len(), 115);
    let sum = distinct.values().try_fold(Amount::ZERO, |sum, (_, amount)| sum.checked_add(*amount));
    assert_eq!(sum, Some(Amount::parse("1477750").unwrap()));
}

#[test]
fn a_repeat_counts_as_a_row_and_a_conflict_is_told_with_its_id() {
    let page = read("qasir/edge-transactions-id-conflict.json");
    assert_eq!((page.rows, page.records.len()), (3, 1));
    assert_eq!(page.quarantined[0].external_id.as_deref(), Some("C-01"));
    assert_eq!(page.quarantined[0].reason, Reason::IdConflict);
}

#[test]
fn what_is_put_aside_says_why_and_nothing_else() {
    let page = read("qasir/edge-transactions-malformed.json");
    assert_eq!(page.rows, 21);
    let aside = &page.quarantined[5];
    assert_eq!(aside.field.as_deref(), Some("total_amount"));
    assert_eq!((aside.found, aside.size_bytes), (JsonType::String, 92));
    assert_eq!(aside.external_id.as_deref(), Some("B-06"));
    let written = serde_json::to_string(&page.quarantined).unwrap();
    for source_text in ["Rp", "25.000", "1.250", "also", "not an object", "16:06"] {
        assert!(!written.contains(source_text), "{source_text} in {written}");
    }
}

#[test]
fn a_field_of_a_later_version_is_named_and_not_kept() {
    let page = read("qasir/edge-transactions-missing-optional.json");
    assert_eq!(page.unknown_fields, BTreeSet::from(["/transactions/*/field_added_later".to_owned()]));
    let written = serde_json::to_string(&page.records).unwrap();
    assert!(!written.contains("field_added_later"));
}

#[test]
fn text_of_any_script_stays_as_it_is() {
    let page = read("qasir/edge-transactions-unicode-large.json");
    let names: Vec<_> = page.records.iter().flat_map(|r| r.items.iter().flatten()).map(|i| i.name.clone()).collect();
    assert_eq!(names[2].as_deref(), Some("ꦱꦺꦒꦥꦼꦕꦼꦭ꧀ (Sega Pecel)"));
    assert_eq!(names[3].as_deref(), Some("Keripik <b>\"pedas\"</b> & sambal\nlevel 5"));
}

#[test]
fn a_refund_is_a_magnitude_down_to_its_lines() {
    let refund = &read("qasir/edge-transactions-refund-negative.json").records[1];
    assert_eq!(refund.items.as_ref().unwrap()[0].quantity, Amount::parse("1").unwrap());
    let written = serde_json::to_value(refund).unwrap();
    assert_eq!(
        (&written["payments"][0]["direction"], &written["payments"][0]["amount"]),
        (&json!("out"), &Value::Null)
    );

    let unsigned = br#"{"transactions": [{"id": 1, "total_amount": -5, "transaction_date": "2026-03-14",
        "payment_method": "Cash ", "items": [{"product_name": "Teh", "qty": 1, "price": 5}]}]}"#;
    let refund = &parse_transactions(unsigned, &context()).unwrap().records[0];
    assert!(!refund.flags.contains(&Flag::LinesDoNotSumToTotal), "lines without signs are magnitudes already");
    assert_eq!((refund.payments[0].method.as_str(), refund.payments[0].method_raw.as_str()), ("cash", "Cash "));
}

#[test]
fn a_sale_after_midnight_belongs_to_the_evening_before() {
    let body = br#"{"transactions": [{"id": 1, "total_amount": 5, "transaction_date": "2026-03-14T20:59:59Z"}]}"#;
    let record = &parse_transactions(body, &context()).unwrap().records[0];
    assert_eq!(record.business_date.to_string(), "2026-03-14");
}

#[test]
fn one_unreadable_sale_does_not_hold_up_the_others() {
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let good = r#"{"id": 1, "total_amount": 5, "transaction_date": "2026-03-14"}"#;
    let body = format!(r#"{{"transactions": [{{"id": "half a \ud83c"}}, {good}, {{"id": 2, "note": {deep}}}]}}"#);
    let page = parse_transactions(body.as_bytes(), &context()).unwrap();
    assert_eq!((page.rows, page.records.len()), (3, 1));
    let reasons: Vec<_> = page.quarantined.iter().map(|aside| aside.reason).collect();
    assert_eq!(reasons, [Reason::IdInvalid, Reason::Unreadable]);
}

#[test]
fn unknown_names_are_bounded() {
    let many: Vec<String> = (0..100).map(|n| format!("\"{n}\\u0007{}\": 1", "x".repeat(500))).collect();
    let body = format!("{{\"transactions\": [{{{}}}]}}", many.join(","));
    let page = parse_transactions(body.as_bytes(), &context()).unwrap();
    assert_eq!(page.unknown_fields.len(), 32);
    assert!(page.unknown_fields.iter().all(|name| name.chars().count() <= 80 && !name.contains('\u{7}')));
}

#[test]
fn the_outlets_are_listed() {
    let outlets = parse_outlets(&fixture("qasir/edge-outlets.json")).unwrap();
    assert_eq!(outlets.len(), 2);
    assert_eq!(outlets[0].external_id.as_deref(), Some("OUT-001"));
    assert_eq!(outlets[1].name.as_deref(), Some("Warung Bu Siti – Tebet"));
    assert_eq!(parse_outlets(&fixture("qasir/edge-outlets-empty.json")), Ok(vec![]));
    let missing = BodyFault::NotAList { key: "outlets", found: JsonType::Missing };
    assert_eq!(parse_outlets(&fixture("qasir/edge-outlets-wrong-key.json")), Err(missing));
}

#[test]
fn an_error_is_not_an_empty_page() {
    for status in ["401", "429", "500", "200-error-body"] {
        assert!(parse_transactions(&fixture(&format!("qasir/edge-error-{status}.json")), &context()).is_err());
    }
}

mod anything {
    use proptest::prelude::*;
    use serde_json::Map;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "-?[1-9][0-9]{0,40}(\\.[0-9]{1,40})?(e[+-]?[0-9]{1,5})?".prop_map(|n| serde_json::from_str(&n).unwrap()),
            "[+-]?[0-9]{1,6}(\\.[0-9]{1,3})?".prop_map(Value::from),
            "20[0-9]{2}-[01][0-9]-[0-3][0-9]([T ][0-2][0-9]:[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,9})?)?(Z|[+-]0[0-9]:?00)?)?"
                .prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let name = prop_oneof![
                "(id|total_amount|transaction_date|payment_method|items|product_name|qty|price)",
                ".{0,5}".boxed(),
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((name, inner), 0..8).prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    /// An element that is nearly, or wholly, a transaction.
    fn element() -> impl Strategy<Value = Value> {
        let member = |name: &'static str, good: Value| {
            prop_oneof![4 => Just(good), 1 => value()].prop_map(move |value| (name.to_owned(), value))
        };
        let whole = (
            member("id", json!("A")),
            member("total_amount", json!("-12.50")),
            member("transaction_date", json!("2026-03-14 09:15")),
            member("payment_method", json!("cash")),
            member("items", json!([{"product_name": "Teh", "qty": 2, "price": "6.25"}])),
        );
        let whole = whole.prop_map(|(a, b, c, d, e)| Value::Object(Map::from_iter([a, b, c, d, e])));
        prop_oneof![4 => whole, 1 => value()]
    }

    proptest! {
        #[test]
        fn every_element_is_a_record_or_put_aside_or_a_repeat(elements in prop::collection::vec(element(), 0..12)) {
            let rows = elements.len();
            let body = json!({ "transactions": elements }).to_string();
            let page = parse_transactions(body.as_bytes(), &context()).unwrap();
            prop_assert_eq!(page.rows, rows);
            prop_assert!(page.records.len() + page.quarantined.len() <= rows);
            let ids: BTreeSet<_> = page.records.iter().map(Transaction::identity).collect();
            prop_assert_eq!(ids.len(), page.records.len());
            for record in &page.records {
                prop_assert!(!record.amount.is_negative());
                let again: Transaction = serde_json::from_str(&serde_json::to_string(record).unwrap()).unwrap();
                prop_assert_eq!(&again, record);
            }
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in any::<prop::sample::Index>()) {
            let _ = parse_transactions(&bytes, &context());
            let _ = parse_outlets(&bytes);
            let whole = fixture("qasir/edge-transactions-basic.json");
            let whole = whole.trim_ascii();
            let cut = cut.index(whole.len());
            prop_assert!(parse_transactions(&whole[..cut], &context()).is_err());
        }

        #[test]
        fn the_order_of_members_is_no_content(elements in prop::collection::vec(element(), 1..4), swap in any::<bool>()) {
            let element = |value: &Value| match value {
                Value::Object(members) => {
                    let mut members: Vec<_> = members.iter().map(|(k, v)| format!("{}: {v}", json!(k))).collect();
                    if swap { members.reverse(); }
                    format!("{{{}}}", members.join(" ,"))
                }
                other => other.to_string(),
            };
            let ids = |body: String| -> Vec<_> {
                let page = parse_transactions(body.as_bytes(), &context()).unwrap();
                page.records.iter().map(Transaction::content_id).collect()
            };
            let turned = elements.iter().map(element).collect::<Vec<_>>().join(",\n");
            prop_assert_eq!(ids(format!("{{\"transactions\":[{turned}]}}")), ids(json!({"transactions": elements}).to_string()));
        }
    }
}
