//! The committed content ids: what was once published must never look changed. `fixtures/content_ids.py` computes them
//! a second time, without this crate.

#![allow(clippy::unwrap_used, reason = "a test stops where its fixture is not as it should be")]

use serde_json::Value;
use tillbox::transaction::{ContentId, Transaction};

fn vectors() -> Vec<(String, ContentId, Value)> {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("fixtures/content-ids.json")).unwrap();
    let vector = |v: Value| {
        let id = v["content_id"].as_str().unwrap().parse().unwrap();
        (v["name"].as_str().unwrap().to_owned(), id, v["record"].clone())
    };
    vectors.into_iter().map(vector).collect()
}

#[test]
fn the_committed_ids_hold() {
    for (name, id, record) in vectors() {
        let record: Transaction = serde_json::from_value(record).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(record.content_id(), id, "{name}");
    }
}

#[test]
fn each_committed_record_is_written_as_it_stands() {
    for (name, _, record) in vectors() {
        // By way of text, as the store and HQ read it: serde_json's `from_value` may spell a number in another way.
        let read: Transaction = serde_json::from_str(&record.to_string()).unwrap();
        let written: Value = serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
        assert_eq!(written, record, "{name}");
    }
}

#[test]
fn what_is_ours_is_no_content_and_what_the_source_states_is() {
    let ids: Vec<_> = vectors().into_iter().map(|(_, id, _)| id).collect();
    assert_eq!(ids[1], ids[2], "only what is ours differs");
    assert_ne!(ids[1], ids[3], "the lines differ");
}

#[test]
fn a_record_of_another_form_is_refused() {
    let (_, _, mut record) = vectors().swap_remove(0);
    record["schema"] = "tillbox.transaction.v2".into();
    assert!(serde_json::from_value::<Transaction>(record).is_err());
}
