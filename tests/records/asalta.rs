//! Asalta's bodies.

use std::{collections::BTreeSet, fs, path::PathBuf, sync::LazyLock};

use serde_json::Value;
use tillbox::{
    amount::Amount,
    pos::{
        asalta::parse::{Listed, parse_records, parse_report, parse_warehouses},
        body::BodyFault,
        page::ParseContext,
    },
    transaction::{Direction, Flag, PaymentStatus, Relation, Resource, Transaction},
};

use crate::fixture;

fn context() -> ParseContext {
    static CONTEXT: LazyLock<ParseContext> = LazyLock::new(|| crate::context("asalta"));
    CONTEXT.clone()
}

fn resource(name: &str) -> Resource {
    match name {
        _ if name.contains("return-orders") => Resource::ReturnOrder,
        _ if name.contains("return-invoices") => Resource::ReturnInvoice,
        _ if name.contains("orders") => Resource::Order,
        _ => Resource::Invoice,
    }
}

fn read(name: &str) -> Listed {
    let name = format!("asalta/{name}.json");
    parse_records(&fixture(&name), resource(&name), None, &context()).unwrap_or_else(|fault| panic!("{name}: {fault}"))
}

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

#[test]
fn every_body_yields_what_is_expected_of_it() {
    let read = |name: &str| {
        let listed = parse_records(&fixture(name), resource(name), None, &context());
        listed.map(|listed| listed.page).map_err(|fault| fault.to_string())
    };
    let compared = crate::compare("asalta/", read);
    let bodies = fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/asalta")).unwrap();
    let with_records = bodies.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        let name = name.to_str().unwrap();
        name == "giftcards-one.json"
            || !name.starts_with("report-")
                && ["invoices-", "orders-"].iter().any(|start| name.contains(start))
                && !name.starts_with("edge-error")
    });
    assert_eq!(compared, with_records.count(), "an expectation or a fixture is missing");
}

#[test]
fn a_record_reads_back_as_it_was_written() {
    for name in
        ["invoices-one", "orders-list", "return-invoices-list", "return-orders-one", "edge-invoices-page-2-grown"]
    {
        for record in read(name).page.records {
            let again: Transaction = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
            assert_eq!(again, record);
            assert_eq!(again.content_id(), record.content_id());
        }
    }
}

#[test]
fn three_envelopes_hold_the_same_records() {
    let ids = |name| read(name).page.records.iter().map(Transaction::content_id).collect::<Vec<_>>();
    let whole = ids("edge-invoices-page-1-of-2");
    assert_eq!(ids("edge-invoices-meta-links-shape"), whole);
    assert_eq!(ids("edge-invoices-bare-array"), whole);
    assert_eq!(ids("edge-invoices-array-wrapped"), whole[..1]);
}

#[test]
fn nothing_personal_and_no_card_is_in_a_record() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/asalta");
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let bytes = fixture(&format!("asalta/{name}"));
        let Ok(listed) = parse_records(&bytes, resource(&name), None, &context()) else { continue };
        let written = serde_json::to_string(&listed.page.records).unwrap() + &format!("{:?}", listed.page.quarantined);
        let source: Value = serde_json::from_slice(&bytes).unwrap();
        let mut withheld = BTreeSet::new();
        gather(&source, &mut withheld);
        // One sample's warehouse has its name for an address.
        for text in withheld.into_iter().filter(|text| text != "Homefix") {
            assert!(!written.contains(&text), "{text} of {name}");
        }
        assert!(!written.contains("access_token"), "{name}");
    }
}

/// Every text under a name that must not leave.
fn gather(value: &Value, into: &mut BTreeSet<String>) {
    const NAMES: [&str; 17] = [
        "customer",
        "biller",
        "email_ids",
        "billing_address",
        "address",
        "phone",
        "email",
        "note",
        "staff_note",
        "cc_no",
        "cc_holder",
        "cc_month",
        "cc_year",
        "cheque_no",
        "card_no",
        "href",
        "replenishment_email",
    ];
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if NAMES.contains(&name.as_str()) && text.trim().chars().count() > 4 => {
                        into.insert(text.trim().to_owned());
                    }
                    _ => gather(value, into),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| gather(value, into)),
        _ => {}
    }
}

#[test]
fn a_gift_card_keeps_its_last_four_and_is_no_product() {
    let items = read("giftcards-one").page.records.remove(0).items.unwrap();
    assert_eq!(items[0].sku.as_deref(), Some("…1689"));
    assert_eq!((&items[0].product_id, items[1].sku.as_deref()), (&None, Some("…0623")));
}

#[test]
fn every_amount_has_its_place() {
    let record = read("edge-invoices-page-1-of-2").page.records.remove(1);
    let amounts = &record.amounts;
    assert_eq!(amounts.net_total, Some(amount("127500")));
    assert_eq!((amounts.order_discount, amounts.shipping), (Some(amount("5000")), Some(amount("10000"))));
    assert_eq!(record.payments.len(), 2);
    assert_eq!(record.payments[0].reference, record.payments[1].reference, "numbers of payments repeat");
    assert_eq!(record.payment_method.as_deref(), Some("mixed"));
    assert_eq!(record.outlet.name.as_deref(), Some("Toko Kemang"));
    let one = read("invoices-one").page.records.remove(0);
    let line = &one.items.unwrap()[0];
    assert_eq!(line.taxes.iter().map(|tax| tax.amount).collect::<Vec<_>>(), [amount("3.535"), amount("3.535")]);
    assert_eq!(one.extra["lines"][0]["nup_before_order_discount"], "100.93457943925");
}

#[test]
fn a_return_names_its_sale_where_it_was_asked_of_it_and_a_sale_its_return() {
    let bytes = fixture("asalta/return-invoices-list.json");
    let listed = parse_records(&bytes, Resource::ReturnInvoice, Some("905"), &context()).unwrap();
    let refund = &listed.page.records[0];
    assert_eq!(
        (refund.related[0].relation, refund.related[0].external_id.as_deref()),
        (Relation::RefundOf, Some("905"))
    );
    assert!(refund.payments.iter().all(|payment| payment.direction == Direction::Out));
    let sale = read("edge-invoices-paid-and-returned").page.records.remove(0);
    assert_eq!(sale.related[0].external_id.as_deref(), Some("410"));
    assert_eq!(sale.related[0].resource, Resource::ReturnInvoice);
}

#[test]
fn an_error_is_not_an_empty_page() {
    for name in ["200-error-true", "400-date", "400-page", "500-mandatory", "401"] {
        let bytes = fixture(&format!("asalta/edge-error-{name}.json"));
        assert!(parse_records(&bytes, Resource::Invoice, None, &context()).is_err(), "{name}");
        assert!(parse_report(&bytes, &context().source_zone).is_err(), "{name}");
    }
    let told = parse_records(&fixture("asalta/edge-error-200-error-true.json"), Resource::Invoice, None, &context());
    assert_eq!(told.unwrap_err(), BodyFault::ErrorMember { key: "data" });
    for body in [&b"{}"[..], b"null", b"\"\"", b"{\"data\": null}", b"{\"data\": 1}", b"[", b"<html>"] {
        assert!(parse_records(body, Resource::Invoice, None, &context()).is_err());
    }
}

#[test]
fn the_report_is_read_as_far_as_it_means_the_same() {
    let (rows, unread) = parse_report(&fixture("asalta/report-sales.json"), &context().source_zone).unwrap();
    assert_eq!((rows.len(), unread), (2, 0));
    assert_eq!((rows[0].grand_total, rows[0].paid), (amount("3531"), Some(Amount::ZERO)));
    assert_eq!((rows[0].payment_status, rows[1].payment_status), (PaymentStatus::Unpaid, PaymentStatus::Paid));
    assert_eq!(rows[1].at.unwrap().to_rfc3339(), "2016-04-02T10:36:34+00:00");
    let empty = parse_report(&fixture("asalta/edge-report-sales-empty.json"), &context().source_zone).unwrap();
    assert_eq!(empty, (Vec::new(), 0));
}

#[test]
fn the_warehouses_are_listed() {
    let outlets = parse_warehouses(&fixture("asalta/warehouses-list.json")).unwrap();
    assert_eq!(outlets.iter().filter_map(|o| o.name.as_deref()).collect::<Vec<_>>(), ["Warehouse 1", "Warehouse 2"]);
}

#[test]
fn a_negative_invoice_is_no_sale() {
    let body = br#"{"id": 7, "date": "2026-03-14 09:00:00", "grand_total": "-5.0000", "total": "-5.0000",
        "product_tax": "0", "total_tax": "0", "exchange": "2.5", "warehouse": {"id": 1}}"#;
    let record = parse_records(body, Resource::Invoice, None, &context()).unwrap().page.records.remove(0);
    assert_eq!((record.amount, record.kind), (amount("5"), tillbox::transaction::Kind::Refund));
    assert!(record.flags.contains(&Flag::KindInferredFromSign) && record.flags.contains(&Flag::SourceAmountNegative));
    assert_eq!(record.extra["exchange"], "2.5");
}

mod sequences {
    use super::*;

    #[test]
    fn pages_hold_four_invoices_one_of_them_twice() {
        let pages = ["edge-invoices-page-1-of-2", "edge-invoices-page-2-of-2", "edge-invoices-page-2-grown"].map(read);
        let mut states = std::collections::BTreeMap::<String, BTreeSet<_>>::new();
        for record in pages.into_iter().flat_map(|listed| listed.page.records) {
            states.entry(record.external_id.clone()).or_default().insert(record.content_id());
        }
        assert_eq!(states.keys().collect::<Vec<_>>(), ["2001", "2002", "2003", "2004"]);
        assert!(states.values().all(|revisions| revisions.len() == 1));
    }

    #[test]
    fn one_invoice_has_three_revisions() {
        let names = ["edge-invoices-due", "edge-invoices-partial", "edge-invoices-paid-and-returned"];
        let states = names.map(|name| read(name).page.records.remove(0));
        assert_eq!(
            states.each_ref().map(|record| record.amounts.paid_total.unwrap().to_string()),
            ["0", "100000", "166500"]
        );
        assert!(states.iter().all(|record| record.amount == amount("166500")));
        assert_eq!(states.iter().map(Transaction::content_id).collect::<BTreeSet<_>>().len(), 3);
        assert_eq!(states[2].related[0].relation, Relation::RefundedBy, "its returns are to be fetched");
    }

    #[test]
    fn the_cross_check_finds_a_sale_that_is_missing() {
        let report = fixture("asalta/edge-report-sales-missing-one.json");
        let (rows, _) = parse_report(&report, &context().source_zone).unwrap();
        let stored = read("edge-invoices-page-1-of-2").page.records;
        let known = |reference: &Option<String>| stored.iter().any(|record| &record.external_ref == reference);
        let missing: Vec<_> = rows.iter().filter(|row| !known(&row.reference)).collect();
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].reference.as_deref(), Some("SALE/POS/2026/03/0099"));
        assert_eq!(missing[0].grand_total, amount("11100"));
    }
}
