//! A card that fills up under the running outbox, on a real small file system.
//!
//! The test runs itself again in a mount namespace of its own, in which it mounts a tmpfs: that needs no root where
//! user namespaces are allowed, and leaves nothing behind however it ends.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

use std::{
    collections::BTreeSet,
    env,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use chrono::{DateTime, TimeDelta, Utc};
use tillbox::{
    config::Acknowledge,
    event::Event,
    outbox::{Capture, Options, Outbox, OutboxError},
    transaction::Transaction,
};

/// Tells the child its file system, and by being there that it is the child.
const CARD: &str = "TILLBOX_TEST_SMALL_CARD";

fn now() -> DateTime<Utc> {
    "2026-03-14T12:00:00Z".parse().unwrap()
}

fn options(card: &Path) -> Options {
    Options {
        folder: card.join("outbox"),
        max_bytes: 64 * 1024 * 1024,
        outlet: "jkt-014".to_owned(),
        topic_prefix: "tillbox".to_owned(),
        event_max_bytes: 128 * 1024,
        retention: TimeDelta::days(30),
        connections: vec![("front".to_owned(), "qasir".to_owned())],
        retired: Vec::new(),
    }
}

fn page(outbox: &Outbox, number: u32) -> Capture {
    let records: Vec<serde_json::Value> = serde_json::from_str(include_str!("fixtures/content-ids.json")).unwrap();
    let record: Transaction = serde_json::from_str(&records[0]["record"].to_string()).unwrap();
    let transactions = (number * 100..(number + 1) * 100)
        .map(|id| Transaction { external_id: id.to_string(), ..record.clone() })
        .collect();
    let epoch = outbox.level().epoch;
    Capture { connection: "front".to_owned(), epoch, now: now(), transactions, ..Capture::default() }
}

fn read_all(outbox: &Outbox, after: u64) -> Vec<Event> {
    let level = outbox.level();
    let mut events = Vec::new();
    while after + (events.len() as u64) < level.durable {
        events.extend(outbox.read(level.epoch, after + events.len() as u64, 500).unwrap());
    }
    events
}

/// Something else that fills the card to its last byte.
fn ballast(path: &Path) {
    let mut file = File::create(path).unwrap();
    for block in [1 << 20, 4_096, 1] {
        while file.write_all(&vec![1; block]).is_ok() {}
    }
}

#[test]
fn child() {
    let Some(card) = env::var_os(CARD).map(PathBuf::from) else { return };
    let filler = card.join("ballast");
    let outbox = Outbox::open(options(&card), now()).unwrap().outbox;
    assert!(card.join("outbox/reserve").exists());
    let stream = || outbox.level().epoch;
    let epoch = stream();
    let mut pages = 0;
    for round in 0..3 {
        for _ in 0..10 {
            outbox.capture(page(&outbox, pages)).unwrap();
            pages += 1;
        }
        let mut sent = read_all(&outbox, outbox.level().released);
        // Something is kept when the card becomes full.
        let released = outbox.level().released + 100;
        outbox.acknowledge(epoch, released);
        outbox.tend(Acknowledge::Broker, true, now()).unwrap();
        assert!(outbox.level().kept_bytes > 0);
        ballast(&filler);

        // It goes on as long as what sled has claimed already holds, and then it says so.
        let mut refused = None;
        for _ in 0..2_000 {
            match outbox.capture(page(&outbox, pages)) {
                Ok(_) => pages += 1,
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let refused = refused.expect("a full card cannot take so many records");
        assert!(matches!(&refused, OutboxError::Engine(cause) if cause.contains("StorageFull")), "{refused}");
        let durable = outbox.level().durable;
        assert_eq!(durable, u64::from(pages) * 100, "round {round}: what was confirmed counts, nothing else");
        assert!(matches!(outbox.capture(page(&outbox, pages)), Err(OutboxError::Closed(_))));

        // With the reserve it opens again though the card is full; where that is used up it says so, and waits.
        for _ in 0..3 {
            let tended = outbox.tend(Acknowledge::Broker, true, now());
            assert!(tended.as_ref().map_or(true, Vec::is_empty), "{tended:?}");
            assert!(outbox.capture(page(&outbox, pages)).is_err(), "records on a full card");
            assert!(outbox.level().card_full || outbox.level().closed.is_some());
        }
        if outbox.level().closed.is_none() {
            assert_eq!(outbox.level().kept_bytes, 0, "on a full card nothing is kept");
            // What HQ has can leave.
            outbox.acknowledge(epoch, 500);
            outbox.tend(Acknowledge::Broker, true, now()).unwrap();
            assert!(outbox.level().released >= 500);
            assert_eq!(outbox.level().kept_bytes, 0, "on a full card nothing is kept");
        }
        fs::remove_file(&filler).unwrap();
        assert!(outbox.tend(Acknowledge::Broker, true, now()).unwrap().is_empty());
        outbox.capture(page(&outbox, pages)).unwrap();
        pages += 1;
        assert_eq!(stream(), epoch, "no new stream");

        // The same events under the same numbers, and each record once.
        let released = outbox.level().released;
        let events = read_all(&outbox, released);
        sent.retain(|event| event.sequence > released);
        assert_eq!(events[..sent.len()], sent[..]);
        let subjects: BTreeSet<_> = events.iter().map(|event| event.draft.subject.as_str()).collect();
        assert_eq!(subjects.len(), events.len(), "a record was stored twice");
        assert_eq!(outbox.level().durable, u64::from(pages) * 100, "every record is stored");
    }
    // HQ has it all, and nothing is left to tell.
    outbox.acknowledge(epoch, outbox.level().durable);
    outbox.settle(Acknowledge::Broker).unwrap();
    for number in 0..pages {
        assert_eq!(outbox.capture(page(&outbox, number)).unwrap().events, 0);
    }
}

#[test]
fn a_full_card_loses_and_repeats_nothing() {
    let card = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=48m tmpfs "$0" && exec "$1" --exact child --nocapture"#;
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .arg(card.path())
        .arg(env::current_exe().unwrap())
        .env(CARD, card.path())
        .output()
        .unwrap_or_else(|error| panic!("unshare cannot be run ({error}): install the Debian package `util-linux`"));
    assert!(
        output.status.success(),
        "if it says that unshare or mount is not permitted, allow user namespaces (kernel.unprivileged_userns_clone=1) \
         or run the tests as root:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
