//! What the shipped schemas take besides what this version sends: other versions' members, HQ's own words.

use serde_json::{Value, json};
use tillbox::{content::ContentId, event::StreamId, outbox::chain_begin};

use crate::contract::{faults_at_hq, hold, hold_event};

#[track_caller]
fn refused(name: &str, value: &Value) {
    assert!(!faults_at_hq(name, value).is_empty(), "{name} takes {value:#}");
}

#[test]
fn a_feed_that_has_nothing_says_so_and_one_that_has_something_proves_it() {
    let stream = StreamId::parse("00112233445566778899aabbccddeeff").unwrap();
    hold("stored", &json!({ "through": 0 }));
    hold("stored", &json!({ "stream": stream, "through": 0, "chain": chain_begin(stream) }));
    let whole = json!({ "stream": stream, "through": 7, "chain": ContentId([7; 32]), "generation": 1_790_000_000 });
    hold("stored", &whole);
    for member in ["stream", "chain", "through"] {
        let mut less = whole.clone();
        less.as_object_mut().unwrap().remove(member);
        refused("stored", &less);
    }
    for generation in [json!(0), json!(4_294_967_296_u64), json!("1")] {
        let mut other = whole.clone();
        other["generation"] = generation;
        refused("stored", &other);
    }
}

#[test]
fn the_word_for_starting_again_has_a_token_and_a_time() {
    let with = |restart: Value| json!({ "through": 0, "restart": restart });
    hold("stored", &with(json!({ "token": "lost-2026.03", "from": "2026-03-01T00:00:00Z" })));
    for restart in [
        json!({ "token": "again" }),
        json!({ "from": "2026-03-01T00:00:00Z" }),
        json!({ "token": "", "from": "2026-03-01T00:00:00Z" }),
        json!({ "token": "two words", "from": "2026-03-01T00:00:00Z" }),
        json!({ "token": "again", "from": "2026-03-01T00:00:00+07:00" }),
        json!("again"),
    ] {
        refused("stored", &with(restart));
    }
}

#[test]
fn a_checkpoint_may_say_who_wrote_it_what_it_obeyed_and_what_it_leaves_out() {
    let plain = json!({
        "schema": "tillbox.checkpoint.v1", "stream": "00112233445566778899aabbccddeeff", "generation": 1,
        "acknowledged": 3, "watermarks": {}, "open_gaps": {},
    });
    hold("checkpoint", &plain);
    let mut whole = plain.clone();
    whole["nonce"] = "00112233445566778899aabbccddeeff".into();
    whole["restarted"] = "lost-2026.03".into();
    whole["begun"] = json!({ "front": "2026-03-01T00:00:00Z" });
    whole["gaps_omitted"] = json!({ "front": 1_900 });
    hold("checkpoint", &whole);
    whole["gaps_omitted"]["front"] = 0.into();
    refused("checkpoint", &whole);
}

#[test]
fn a_padded_greeting_may_stand_on_every_topic() {
    let nonce = "00112233445566778899aabbccddeeff";
    let mut hello: Value = serde_json::from_slice(&tillbox::status::hello("jkt-014", nonce, 0)).unwrap();
    hello["data"]["padding"] = " ".repeat(65_536).into();
    for topic in ["hello", "transaction", "closing", "quarantine", "gap", "notice"] {
        hold_event(topic, hello.to_string().as_bytes());
    }
}

/// Events that were queued by an earlier version go out as they are.
#[test]
fn bodies_of_before_are_valid_still() {
    let closing = json!({
        "schema": "tillbox.closing.v1", "connection": "front", "business_date": "2026-03-14", "complete": true,
        "totals": [], "records": 0, "first_sequence": 0, "last_sequence": 0, "open_gaps": [],
        "digest": ContentId::of_bytes(&[]),
    });
    hold("closing", &closing);
    let quarantine = json!({
        "schema": "tillbox.quarantine.v1", "connection": "front", "observed_at": "2026-03-14T02:15:00Z",
        "resource": "transaction", "pointer": "/transactions/0", "field": null, "reason": "not_an_object",
        "expected": "an object", "found": "string", "size_bytes": 3, "hash": ContentId([1; 32]), "external_id": null,
    });
    hold("quarantine", &quarantine);
}
