//! Every body in `fixtures/` yields exactly what `fixtures/expectations.json` says. The expectations were made by another
//! implementation in another language, with exact decimals, and read through by hand.

#![allow(clippy::unwrap_used, reason = "a test stops where its fixture is not as it should be")]

mod asalta;
mod olsera;
mod pos_kasir;
mod qasir;
mod spoilt;

use std::{collections::BTreeSet, fs, path::PathBuf};

use chrono::{NaiveTime, TimeZone as _, Utc};
use serde_json::{Value, json};
use tillbox::{
    config::Currency,
    pos::page::{Page, ParseContext},
    transaction::Transaction,
    zone::Zone,
};

/// A file of `fixtures/`, such as `qasir/edge-outlets.json`.
#[must_use]
fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What each of them must yield.
#[must_use]
fn expectations() -> Value {
    serde_json::from_slice(&fixture("expectations.json")).unwrap()
}

/// The zone and currency that the expectations assume for a system.
#[must_use]
fn context(system: &str) -> ParseContext {
    let assumed = &expectations()["config"][system];
    let zone = Zone::load(assumed["timezone"].as_str().unwrap()).unwrap();
    ParseContext {
        connection: "front".to_owned(),
        outlet_zone: zone.clone(),
        source_zone: zone,
        currency: Currency::parse(assumed["currency"].as_str().unwrap()).unwrap(),
        business_day_starts: NaiveTime::from_hms_opt(4, 0, 0).unwrap(),
        observed_at: Utc.with_ymd_and_hms(2026, 3, 15, 5, 0, 0).unwrap(),
    }
}

/// Compares every body of a system whose name begins so with what is expected of it, and gives how many there were.
/// `read` is the parser; its error is a schema error.
fn compare(start: &str, read: impl Fn(&str) -> Result<Page, String>) -> usize {
    let expectations = expectations();
    let files = expectations["files"].as_object().unwrap();
    let mut compared = 0;
    for (name, expected) in files.iter().filter(|(name, _)| name.starts_with(start)) {
        compared += 1;
        let page = read(name);
        if expected["page"].as_str().unwrap_or_default().starts_with("schema_error") {
            assert!(page.is_err(), "{name}");
            continue;
        }
        let page = page.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let mut accepted = expected["accepted"].as_array().cloned().unwrap_or_default();
        for record in &mut accepted {
            record["flags"] = sorted(&record["flags"]).into();
        }
        let records: Vec<_> = page.records.iter().zip(&accepted).map(|(record, told)| as_told(record, told)).collect();
        assert_eq!(page.records.len(), accepted.len(), "{name}");
        assert_eq!(records, accepted, "{name}");
        let aside: Vec<_> = page.quarantined.iter().map(|q| json!({"at": q.pointer, "reason": q.reason})).collect();
        assert_eq!(aside, expected["quarantined"].as_array().cloned().unwrap_or_default(), "{name}");
    }
    compared
}

/// A record by the members that the expectation has; status and payment status are the source's own words there.
fn as_told(record: &Transaction, expected: &Value) -> Value {
    let written = serde_json::to_value(record).unwrap();
    let mut told = json!({});
    for (member, expected) in expected.as_object().unwrap() {
        let payment = |field: &str| written["payments"][0][field].clone();
        told[member] = match member.as_str() {
            "items" => json!(record.items.as_ref().map(Vec::len)),
            "payments" => json!(record.payments.len()),
            "flags" => json!(sorted(&written["flags"])),
            "status" if record.status_raw.is_none() => written["status"].clone(),
            "status" => json!(record.status_raw),
            "payment_status" if expected == "due" && written[member] == "unpaid" => json!("due"),
            "outlet" => written["outlet_id"].clone(),
            "gross" => written["amounts"]["lines_total"].clone(),
            "discount" => written["amounts"]["discount_total"].clone(),
            "tax" | "total_tax" => written["amounts"]["tax_total"].clone(),
            "service_charge" => written["amounts"]["service_charge"].clone(),
            "paid" => written["amounts"]["paid_total"].clone(),
            "version" => json!(written["extra"]["version"].as_u64()),
            "updated_at" => written["source_updated_at"].clone(),
            // A row of a list gives the total alone.
            "needs_detail" => json!(record.amounts.lines_total.is_none()),
            "tendered" => payment("tendered"),
            "change_due" => payment("change"),
            other => written[other].clone(),
        };
    }
    told
}

fn sorted(list: &Value) -> Vec<String> {
    let texts: BTreeSet<String> = list.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect();
    texts.into_iter().collect()
}
