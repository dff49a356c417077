//! Answers of the point of sale that must not be taken for answers.

use std::fs;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tillbox::{
    clock::Clock,
    demo::http_server::{Answer, Fault, Garbling, HttpServer, Request, Service},
};

use crate::parts::{
    record::Record,
    stage::Stage,
    tillbox::holds,
    wait::{PATIENCE, until},
};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/qasir/edge-transactions-malformed.json");

#[test]
fn nonsense_is_told_in_one_line_and_the_next_poll_goes_on() {
    for (fault, code, expected) in [
        (Fault::Garbled(Garbling::Html), "pos_unreadable", "expected a JSON object, found a web page"),
        (Fault::Garbled(Garbling::Empty), "pos_unreadable", "expected a JSON object, found an empty body"),
        (Fault::Garbled(Garbling::Truncated), "pos_unreachable", "expected a whole answer, found one that broke off"),
        (Fault::Garbled(Garbling::ErrorBody), "pos_unreadable", "found an `error` member in an answer of status 200"),
        (Fault::Garbled(Garbling::NullList), "pos_unreadable", "found null"),
        (Fault::Garbled(Garbling::Endless), "pos_unreadable", "expected a body of 16 MiB at most, found a larger one"),
        (Fault::Garbled(Garbling::Deep), "pos_unreadable", "expected objects in the list `transactions`, found none"),
    ] {
        let stage = Stage::new("broker");
        stage.shop.sell(5);
        let mut daemon = stage.start();
        stage.wait_for_books(&daemon);
        stage.shop.http().fail(fault);
        stage.shop.sell(5);
        daemon.wait_for(&format!("{fault:?} is told"), |report| holds(report, code));
        let warning = daemon.only_warning();
        for part in ["qasir GET /transactions: ", expected] {
            assert!(warning.contains(part), "{part}: {warning}");
        }
        stage.shop.http().heal();
        stage.wait_for_books(&daemon);
        daemon.stop();
    }
}

/// A point of sale that answers with one document, whatever is asked.
struct Fixed {
    clock: Clock,
    rows: Vec<u8>,
}

impl Service for Fixed {
    fn answer(&self, request: &Request) -> Answer {
        if request.path.ends_with("/outlets") {
            return Answer::json(200, &json!({ "outlets": [{ "id": "OUT-001", "name": "Warung" }] }));
        }
        Answer::new(200, "application/json", self.rows.clone())
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

#[test]
fn records_that_cannot_be_read_are_put_aside_with_their_reason_and_the_others_go_on() {
    let origin = "2026-03-14T09:30:00Z";
    let clock = Clock::running_at(origin.parse().expect("an instant"), 1);
    let pos = HttpServer::start(Fixed { clock, rows: fs::read(FIXTURE).expect("the fixture") }).expect("a port");
    let mut stage = Stage::new("broker");
    stage.setup.pos_url = format!("http://{}", pos.address());
    stage.setup.arguments = vec!["--virtual-clock".to_owned(), format!("{origin}@1")];
    let daemon = stage.start();
    let read = |record: &Record| {
        let ids = record.events_of("transaction").filter_map(|event| event["data"]["external_id"].as_str());
        ids.map(str::to_owned).collect::<Vec<_>>()
    };
    until(
        PATIENCE,
        || ["G-01", "G-02", "G-03"].iter().all(|id| read(&stage.hq.record()).iter().any(|r| r == id)).then_some(()),
        || format!("{:?}\n{}", read(&stage.hq.record()), daemon.log()),
    );
    let report = daemon.wait_for("yellow", |report| report["lights"]["hold"] == "fast");
    assert!(report["connections"][0]["put_aside"].as_u64() >= Some(14));

    let record = stage.hq.record();
    let aside: Vec<&Value> = record.events_of("quarantine").map(|event| &event["data"]).collect();
    assert!(aside.len() >= 14, "{aside:#?}");
    assert!(aside.iter().any(|data| data["reason"] == "amount_invalid"), "{aside:#?}");
    for data in &aside {
        for key in ["pointer", "reason", "expected", "found"] {
            assert!(data[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {data}");
        }
        let text = data.to_string();
        for source in ["1.250.000", "Rp 25.000", "25,000", "not an object", "also"] {
            assert!(!text.contains(source), "{text}");
        }
    }
}
