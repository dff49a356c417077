//! A person ends what no machine can, on a running box and on a store at rest.

use std::process::Output;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::{Value, json};
use tillbox::{
    config::Config,
    content::ContentId,
    daemon::outbox_options,
    gap::{Gap, GapReason},
    outbox::{Capture, Outbox},
    pos::{
        body::JsonType,
        page::{Quarantined, Reason},
    },
    transaction::Resource,
};

use crate::parts::{
    hq::OUTLET,
    stage::Stage,
    tillbox::{Setup, Tillbox},
    wait::{PATIENCE, until},
};

/// A record of a day that cannot be read.
fn unreadable(day: NaiveDate) -> Quarantined {
    Quarantined {
        resource: Resource::Transaction,
        pointer: "/transactions/3".to_owned(),
        field: Some("total_amount".into()),
        reason: Reason::AmountInvalid,
        expected: "a plain decimal number".into(),
        found: JsonType::String,
        size_bytes: 92,
        hash: ContentId::of_bytes(b"B-06"),
        external_id: Some("B-06".to_owned()),
        business_date: Some(day),
        window: None,
    }
}

/// A box that has read four days, of which one, the day before yesterday, has a gap that the source shows no more, and a
/// record that cannot be read.
fn stage() -> (Stage, NaiveDate) {
    let mut stage = Stage::new("broker");
    stage.setup.pos = stage.setup.pos.replace("\"1d\"", "\"4d\"");
    stage.setup.write();
    let now = Utc::now();
    let noon = now.date_naive().and_hms_opt(5, 0, 0).expect("a time of day").and_utc() - TimeDelta::days(2);
    let outbox = open(&stage.setup, now);
    let gap = Gap { from: noon, to: noon + TimeDelta::hours(1), reason: GapReason::BehindHistory };
    let capture = Capture {
        connection: "front".to_owned(),
        epoch: outbox.level().epoch,
        now,
        gaps_opened: vec![gap],
        quarantined: vec![unreadable(noon.date_naive())],
        ..Capture::default()
    };
    outbox.capture(capture).expect("the store takes it");
    (stage, noon.date_naive())
}

fn open(setup: &Setup, now: DateTime<Utc>) -> Outbox {
    let config = Config::load(&setup.config).expect("a config without a fault");
    Outbox::open(outbox_options(&config), now).expect("the store opens").outbox
}

fn json(output: &Output) -> Option<Value> {
    output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("JSON"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn handles(setup: &Setup, of: &str) -> Vec<String> {
    let listed = json(&setup.run("outbox gaps --json")).expect("a list");
    let handle = |one: &Value| one["handle"].as_str().expect("a handle").to_owned();
    listed[of].as_array().expect("a list").iter().map(handle).collect()
}

fn wait_for_status(setup: &Setup, daemon: &Tillbox, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let look = || json(&setup.run("status --json")).filter(|status| holds(status));
    until(PATIENCE, look, || format!("{what}: {}\n{}", said(&setup.run("status --json")), daemon.log()))
}

fn wait_for_event(stage: &Stage, daemon: &Tillbox, of: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let look = || stage.hq.record().events_of(of).find(|event| is_it(&event["data"])).cloned();
    until(PATIENCE, look, || format!("no such {of} at HQ\n{}", daemon.log()))
}

#[test]
fn a_person_ends_a_gap_and_a_record_on_a_running_box_and_the_day_is_never_complete() {
    let (stage, day) = stage();
    stage.shop.sell(3);
    let mut daemon = stage.start();
    let is_read = |status: &Value| status["connections"][0]["standing"] == "fine" && status["lights"]["hold"] == "fast";
    let status = wait_for_status(&stage.setup, &daemon, "it blinks", is_read);
    assert_eq!(status["open_gaps"], 1);
    let text = said(&stage.setup.run("status"));
    let (gap, record) = (handles(&stage.setup, "open_gaps"), handles(&stage.setup, "put_aside"));
    assert!(text.contains(&format!("only a person can end it: `tillbox outbox close-gap {}`", gap[0])), "{text}");

    let close = |handle: &str, word: &[&str]| stage.setup.run_with(&format!("outbox close-gap {handle}"), word);
    for arguments in [&[][..], &["--by", "Sari"], &["--by", " ", "--reason", "why"]] {
        let output = close(&gap[0], arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", said(&output));
    }
    let word = ["--by", "Sari", "--reason", "Kasir mati\nhari itu"];
    let output = close("g0000000000", &word);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));

    let output = close(&gap[0], &word);
    assert!(output.status.success() && said(&output).contains("is closed"), "{}", said(&output));
    let by = json!({ "name": "Sari", "reason": "Kasir mati\\nhari itu" });
    let event = wait_for_event(&stage, &daemon, "gap", |data| data["state"] == "closed");
    assert_eq!((&event["data"]["closed_by"], &event["source"]), (&by, &json!(format!("/outlets/{OUTLET}/front"))));
    let of_day = |data: &Value| data["business_date"] == day.to_string();
    let closing = wait_for_event(&stage, &daemon, "closing", |data| of_day(data) && data["gaps_closed_by_hand"] == 1);
    assert_eq!((&closing["data"]["complete"], &closing["data"]["open_gaps"]), (&json!(false), &json!([])));
    let again = close(&gap[0], &["--by", "Budi", "--reason", "me too"]);
    assert!(again.status.success() && said(&again).contains("by Sari"), "{}", said(&again));

    let output = stage.setup.run_with(&format!("outbox dismiss {}", record[0]), &word);
    assert!(output.status.success() && said(&output).contains("is dismissed"), "{}", said(&output));
    wait_for_event(&stage, &daemon, "quarantine", |data| data["dismissed_by"] == by);
    let closing = wait_for_event(&stage, &daemon, "closing", |data| of_day(data) && data["dismissed"] == 1);
    assert_eq!((&closing["data"]["complete"], &closing["data"]["quarantined"]), (&json!(false), &json!(0)));
    wait_for_status(&stage.setup, &daemon, "the yellow light goes off", |status| {
        status["lights"]["hold"] == "off" && status["open_gaps"] == 0 && status["connections"][0]["put_aside"] == 0
    });
    let listed = said(&stage.setup.run("outbox gaps"));
    assert!(listed.contains("not proven complete: nothing") && listed.contains("by Sari: Kasir mati\\nhari itu"));
    daemon.stop();
    assert!(!daemon.log().contains("Sari"), "who it was is HQ's to know: {}", daemon.log());
    // Nothing of it comes back with a new start.
    let mut daemon = stage.start();
    wait_for_status(&stage.setup, &daemon, "all is well", |status| status["lights"]["hold"] == "off");
    daemon.stop();
}

#[test]
fn a_store_at_rest_takes_a_persons_word_and_the_next_start_tells_it() {
    let (stage, _) = stage();
    let gap = handles(&stage.setup, "open_gaps");
    let word = ["--by", "Sari", "--reason", "the till was broken"];
    let output = stage.setup.run_with(&format!("outbox close-gap {}", gap[0]), &word);
    assert!(output.status.success(), "{}", said(&output));
    let again = stage.setup.run_with(&format!("outbox close-gap {}", gap[0]), &word);
    assert!(again.status.success() && said(&again).contains("already"), "{}", said(&again));
    assert_eq!(handles(&stage.setup, "open_gaps"), Vec::<String>::new());
    assert_eq!(handles(&stage.setup, "ended_by_hand"), gap);
    let mut daemon = stage.start();
    wait_for_event(&stage, &daemon, "gap", |data| data["closed_by"]["name"] == "Sari");
    daemon.stop();
}
