//! A short life without a line: what the parser reads, the outbox numbers and the status tells, held message by message.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use chrono::{DateTime, NaiveTime, TimeDelta, TimeZone as _, Utc};
use serde_json::{Value, json};
use tillbox::{
    by_hand::{Statement, handle_of_gap, handle_of_record},
    checkpoint::{self, Checkpoint},
    closing::{Calendar, Day, closing},
    config::{Acknowledge, Currency},
    content::ContentId,
    event::Stream,
    gap::{Gap, GapReason},
    health::{Condition, ConnectionHealth, Health, Phase},
    notice::{self, Notice},
    outbox::{Capture, Ended, Options, Outbox},
    pos::{
        page::{Page, ParseContext, Quarantined, Reason},
        qasir::parse::parse_transactions,
    },
    progress::Progress,
    status::{self, Description, State},
    zone::Zone,
};

use crate::{
    contract::{faults_at_hq, hold, hold_event},
    names::variants,
};

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 17, 5, 0, 0).unwrap()
}

fn calendar() -> Calendar {
    Calendar { zone: Zone::load("Asia/Jakarta").unwrap(), day_starts: NaiveTime::from_hms_opt(4, 0, 0).unwrap() }
}

fn pages() -> Vec<(String, Page)> {
    let zone = Zone::load("Asia/Jakarta").unwrap();
    let context = ParseContext {
        connection: "front".to_owned(),
        outlet_zone: zone.clone(),
        source_zone: zone,
        currency: Currency::parse("IDR").unwrap(),
        business_day_starts: calendar().day_starts,
        observed_at: now(),
    };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/qasir");
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let page = |path: std::path::PathBuf| {
        let page = parse_transactions(&fs::read(&path).unwrap(), &context).ok()?;
        Some((path.file_name()?.to_str()?.to_owned(), page))
    };
    names.into_iter().filter_map(page).collect()
}

struct Life {
    _folder: tempfile::TempDir,
    outbox: Outbox,
}

impl Life {
    fn begin(event_max_bytes: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            folder: folder.path().join("outbox"),
            max_bytes: 64 * 1024 * 1024,
            outlet: "jkt-014".to_owned(),
            topic_prefix: "tillbox".to_owned(),
            event_max_bytes,
            retention: TimeDelta::days(90),
            connections: vec![("front".to_owned(), "qasir".to_owned())],
            retired: Vec::new(),
        };
        let outbox = Outbox::open(options, now()).unwrap().outbox;
        outbox.take_generation(1, true, std::collections::BTreeMap::new()).unwrap();
        Self { _folder: folder, outbox }
    }

    fn capture(&self, capture: Capture) {
        let epoch = self.outbox.level().epoch;
        self.outbox.capture(Capture { connection: "front".to_owned(), epoch, now: now(), ..capture }).unwrap();
    }

    fn close_days(&self) {
        let gaps = self.outbox.open_gaps().get("front").cloned().unwrap_or_default();
        let days = self.outbox.day_totals("front", chrono::NaiveDate::MIN).unwrap();
        let life_asides = self.outbox.asides("front");
        let drafts = days.iter().filter_map(|(date, totals)| {
            let of_day = life_asides.of_day(*date, calendar().bounds(*date));
            let (begin, end) = calendar().bounds(*date);
            let closed = self.outbox.gaps_closed_by_hand("front");
            let touching = closed.iter().filter(|closed| closed.gap.from < end && begin < closed.gap.to);
            let day = Day {
                date: *date,
                totals,
                covered: true,
                quarantined: of_day.waiting,
                dismissed: of_day.dismissed,
                gaps_closed_by_hand: u64::try_from(touching.count()).unwrap(),
                read_at: Some(now()),
                is_final: false,
                last: None,
            };
            closing("front", &calendar(), &day, &gaps, now() + TimeDelta::days(3650))
        });
        self.capture(Capture { closings: drafts.collect(), ..Capture::default() });
    }

    /// Every event so far, each held.
    fn events(&self) -> Vec<Value> {
        let stream: Stream = (*self.outbox.stream().unwrap()).clone();
        let level = self.outbox.level();
        let mut events = Vec::new();
        while u64::try_from(events.len()).unwrap() < level.durable {
            for event in self.outbox.read(level.epoch, u64::try_from(events.len()).unwrap(), 256).unwrap() {
                events.push(hold_event(event.draft.event_type.name(), &event.envelope(&stream)));
            }
        }
        events
    }
}

fn truncated() -> Gap {
    let second = Utc.with_ymd_and_hms(2026, 3, 14, 5, 0, 0).unwrap();
    Gap { from: second, to: second, reason: GapReason::Truncated }
}

fn named(events: &[Value], event_type: &str, member: &str) -> BTreeSet<String> {
    let of_type = events.iter().filter(|event| event["type"] == format!("tillbox.{event_type}.v1"));
    let names = |event: &Value| match &event["data"][member] {
        Value::Array(list) => list.iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
        name => vec![name.as_str().unwrap().to_owned()],
    };
    of_type.flat_map(names).collect()
}

#[test]
fn every_event_of_a_life_keeps_to_its_schema() {
    let life = Life::begin(128 * 1024);
    for (name, page) in pages() {
        // A second that holds a full page cannot be proven complete.
        let gaps_opened = if name.contains("one-second") { vec![truncated()] } else { Vec::new() };
        let Page { records: transactions, quarantined, .. } = page;
        life.capture(Capture { transactions, quarantined, gaps_opened, ..Capture::default() });
    }
    life.close_days();
    let others = variants::<GapReason>().into_iter().filter(|reason| *reason != truncated().reason);
    let others = others.map(|reason| Gap { to: now() + TimeDelta::milliseconds(1), reason, ..truncated() });
    life.capture(Capture { gaps_opened: others.collect(), gaps_closed: vec![truncated()], ..Capture::default() });
    let codes = Condition::ALL.iter().map(|condition| condition.code()).chain(notice::CODES);
    let of_the_box = codes.clone().map(|code| Notice::new(code, "a line for a person").draft(None, now()));
    let of_a_connection = codes.map(|code| Notice::new(code, "a \"line\"").draft(Some("front"), now()));
    life.outbox.tell(of_the_box.chain(of_a_connection).collect(), now()).unwrap();

    let events = life.events();
    let types: BTreeSet<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types.len(), 5, "{types:?}");
    assert_eq!(named(&events, "gap", "state"), ["closed", "open"].map(str::to_owned).into());
    assert_eq!(named(&events, "gap", "reason").len(), variants::<GapReason>().len());
    assert_eq!(named(&events, "transaction", "kind"), ["refund", "sale"].map(str::to_owned).into());
    let flags = named(&events, "transaction", "flags");
    for flag in ["timezone_assumed", "lines_missing", "lines_do_not_sum_to_total", "kind_inferred_from_sign"] {
        assert!(flags.contains(flag), "{flag} is in none of {flags:?}");
    }
    let reasons = named(&events, "quarantine", "reason");
    assert!(reasons.contains("id_missing") && reasons.contains("amount_invalid"), "{reasons:?}");
    for (n, event) in (1_u64..).zip(&events) {
        assert_eq!(event["sequence"], format!("{n:020}"), "no hole");
    }
}

#[test]
fn every_reason_of_quarantine_keeps_to_the_schema() {
    let life = Life::begin(128 * 1024);
    let (_, page) = pages().into_iter().find(|(name, _)| name.contains("malformed")).unwrap();
    let pattern = page.quarantined.first().unwrap().clone();
    let reasons = variants::<Reason>();
    let quarantined = (0_u8..).zip(&reasons).map(|(n, reason)| {
        let mut one = pattern.clone();
        (one.reason, one.hash) = (*reason, ContentId([n; 32]));
        one
    });
    life.capture(Capture { quarantined: quarantined.collect(), ..Capture::default() });
    assert_eq!(named(&life.events(), "quarantine", "reason").len(), reasons.len());
}

#[test]
fn what_a_person_ended_keeps_to_the_schemas_and_is_told_from_what_was_proven() {
    let life = Life::begin(128 * 1024);
    let (_, page) = pages().into_iter().find(|(name, _)| name.contains("malformed")).unwrap();
    let Page { records: transactions, quarantined, .. } = page;
    let day = transactions.first().unwrap().business_date;
    let record = Quarantined { business_date: Some(day), window: None, ..quarantined.first().unwrap().clone() };
    let noon = calendar().bounds(day).0 + TimeDelta::hours(8);
    let of = |hour| Gap { from: noon, to: noon + TimeDelta::hours(hour), reason: GapReason::BehindHistory };
    let (gaps_opened, quarantined) = (vec![of(1), of(2)], vec![record.clone()]);
    life.capture(Capture { transactions, quarantined, gaps_opened, ..Capture::default() });
    let by = Statement::new("Sari", "the till was broken\nthat day").unwrap();
    for gap in [of(1), of(2)] {
        let handle = handle_of_gap("front", &gap);
        assert_eq!(life.outbox.close_gap(&handle, &by, now()).unwrap(), Ended::Now);
    }
    let handle = handle_of_record("front", &record);
    assert_eq!(life.outbox.dismiss(&handle, &by, now()).unwrap(), Ended::Now);
    life.close_days();
    life.capture(Capture { gaps_closed: vec![of(2)], ..Capture::default() });

    let events = life.events();
    let data = |event_type: &'static str| {
        let of_type = move |event: &&Value| event["type"] == format!("tillbox.{event_type}.v1");
        events.iter().filter(of_type).map(|event| &event["data"]).collect::<Vec<_>>()
    };
    let closed: Vec<_> = data("gap").into_iter().filter(|gap| gap["state"] == "closed").collect();
    let by_hand = closed.iter().filter(|gap| gap["closed_by"]["name"] == "Sari").count();
    assert_eq!((closed.len(), by_hand), (3, 2), "the third is proven after all");
    assert!(data("quarantine").iter().any(|aside| aside["dismissed_by"]["reason"] == "the till was broken\\nthat day"));
    let closings = data("closing");
    let told = closings.iter().find(|told| told["business_date"] == day.to_string()).unwrap();
    assert_eq!((&told["complete"], &told["quarantined"]), (&json!(false), &json!(0)));
    assert_eq!((&told["dismissed"], &told["gaps_closed_by_hand"]), (&json!(1), &json!(2)));
    for nobody in [json!({ "name": "", "reason": "why" }), json!({ "name": "Sari" }), json!("Sari")] {
        let gap = closed.iter().find(|gap| gap.get("closed_by").is_some()).unwrap();
        let mut gap = Value::clone(gap);
        gap["closed_by"] = nobody;
        assert!(!faults_at_hq("gap", &gap).is_empty(), "{gap}");
    }
}

#[test]
fn a_record_that_is_too_large_goes_without_its_lines() {
    let life = Life::begin(2 * 1024);
    for (_, page) in pages() {
        life.capture(Capture { transactions: page.records, ..Capture::default() });
    }
    let events = life.events();
    let cut = events.iter().find(|event| event["data"]["flags"].to_string().contains("items_omitted")).unwrap();
    assert_eq!(cut["data"]["items"], Value::Null);
    assert_ne!(cut["data"]["amount"], "0");
}

/// HQ's side of a closing, from the events alone and by the words of the guide.
#[test]
fn hq_comes_to_the_closings_figures_by_itself() {
    let life = Life::begin(128 * 1024);
    for (_, page) in pages() {
        life.capture(Capture { transactions: page.records, ..Capture::default() });
    }
    life.close_days();
    let (mut states, mut closings) = (BTreeMap::new(), BTreeMap::new());
    for event in life.events() {
        let key = (event["source"].to_string(), event["subject"].as_str().unwrap().to_owned());
        match event["type"].as_str().unwrap() {
            "tillbox.transaction.v1" => drop(states.insert(key, event)),
            "tillbox.closing.v1" => drop(closings.insert(key, event["data"].clone())),
            other => panic!("{other}"),
        }
    }
    assert!(closings.len() > 1);
    for closing in closings.values() {
        let of_the_day: Vec<_> =
            states.iter().filter(|(_, event)| event["data"]["business_date"] == closing["business_date"]).collect();
        let written = |((_, subject), event): &(&(String, String), &Value)| {
            format!("{subject} {}\n", event["contentid"].as_str().unwrap())
        };
        let mut lines: Vec<String> = of_the_day.iter().map(written).collect();
        lines.sort_unstable();
        assert_eq!(closing["digest"], ContentId::of_bytes(lines.concat().as_bytes()).to_string());
        assert_eq!(closing["records"], of_the_day.len());
        let numbers: BTreeSet<u64> =
            of_the_day.iter().map(|(_, event)| event["sequence"].as_str().unwrap().parse().unwrap()).collect();
        assert_eq!(closing["first_sequence"].as_u64(), numbers.first().copied());
        assert_eq!(closing["last_sequence"].as_u64(), numbers.last().copied());
    }
}

#[test]
fn every_status_and_the_checkpoint_keep_to_their_schemas() {
    let life = Life::begin(128 * 1024);
    life.capture(Capture { gaps_opened: vec![truncated()], ..Capture::default() });
    let mut description = Description {
        outlet: "jkt-014".to_owned(),
        name: Some("Warung Sabang".to_owned()),
        acknowledge: Acknowledge::Feed,
        stream: None,
    };
    let health = Health::default();
    let level = life.outbox.level();
    let held = |description: &Description, state, health: &Health| {
        let body = status::body(description, state, &health.facts(), &level, now());
        let body: Value = serde_json::from_slice(&body).unwrap();
        hold("status", &body);
        body
    };
    // At the very start: no session, no stream, nothing known of a connection.
    health.update_connection("front", |connection| connection.system = "qasir");
    held(&description, State::Running, &health);

    description.stream = life.outbox.stream();
    (description.name, description.acknowledge) = (None, Acknowledge::Broker);
    for condition in Condition::ALL {
        health.raise(condition, "front", "a line", now());
        health.raise(condition, "", "a line", now());
    }
    health.update(|facts| {
        (facts.phase, facts.hq_ready, facts.open_gaps) = (Phase::Running, true, 1);
        facts.session = Some("00112233445566778899aabbccddeeff".to_owned());
        facts.connections.insert(
            "front".to_owned(),
            ConnectionHealth {
                system: "qasir",
                progress: Progress {
                    identity: Some("Warung Bu Siti – Kemang".to_owned()),
                    watermark: Some(now()),
                    since: Some(now() - TimeDelta::days(90)),
                    complete: true,
                    notes: vec!["voids, taxes and discounts are not told by this source".to_owned()],
                },
                last_answer: Some(now()),
                put_aside: (3, Some(now())),
                clock_difference_s: Some(-700),
            },
        );
    });
    let body = held(&description, State::Running, &health);
    assert_eq!(body["report"]["conditions"].as_array().unwrap().len(), 2 * Condition::ALL.len());
    assert_eq!(body["report"]["acknowledge"], "broker");
    held(&description, State::Stopped, &health);
    let lost = status::lost(&description, "00112233445566778899aabbccddeeff");
    hold("status", &serde_json::from_slice(&lost).unwrap());
    let checking = status::checking("jkt-014", Some("Warung Sabang"), "00112233445566778899aabbccddeeff");
    hold("status", &serde_json::from_slice(&checking).unwrap());
    hold_event("hello", &status::hello("jkt-014", "00112233445566778899aabbccddeeff", 4_096));

    let stream = life.outbox.stream().unwrap();
    let checkpoint = Checkpoint {
        schema: checkpoint::SCHEMA.to_owned(),
        stream: stream.id.to_string(),
        generation: stream.generation,
        nonce: "00112233445566778899aabbccddeeff".to_owned(),
        acknowledged: 0,
        watermarks: [("front".to_owned(), Some(now())), ("back".to_owned(), None)].into(),
        begun: [("front".to_owned(), now() - TimeDelta::days(40))].into(),
        open_gaps: (*life.outbox.open_gaps()).clone(),
        gaps_omitted: [("front".to_owned(), 3)].into(),
        restarted: Some("r-1".to_owned()),
    };
    assert_eq!(checkpoint.open_gaps["front"].len(), 1);
    let body = serde_json::to_value(&checkpoint).unwrap();
    hold("checkpoint", &body);
    assert_eq!(serde_json::from_value::<Checkpoint>(body).unwrap(), checkpoint);
    hold("stored", &json!({ "stream": stream.id, "through": 1, "chain": ContentId([0; 32]), "at": "HQ's own" }));
}
