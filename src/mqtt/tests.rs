//! A fault of the line itself.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;

use super::Link;
use crate::{
    clock::Clock,
    config::{Config, Origin},
    health::{Condition, Health},
    outbox::{Options, Outbox},
    status::Description,
    stop::Stop,
    watchdog::Heartbeat,
};

#[test]
fn a_panic_in_the_line_costs_one_session_and_is_told() {
    let text = "[outlet]\nid = \"jkt-014\"\ntimezone = \"Asia/Jakarta\"\ncurrency = \"IDR\"\n\
        [[pos]]\nname = \"front\"\nsystem = \"qasir\"\ntoken = \"abc\"\n\
        [hq]\nbrokers = [\"mqtt://127.0.0.1:1\"]\nacknowledge = \"broker\"\n[outbox]\npath = \"/tmp\"\n";
    let origin = Origin { path: Path::new("/tmp/tillbox.toml"), mode: 0o600, arriving: None };
    let config = Config::parse(text, &origin).unwrap_or_else(|faults| panic!("{faults}"));
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        folder: folder.path().join("outbox"),
        max_bytes: 64 * 1024 * 1024,
        outlet: config.outlet.id.clone(),
        topic_prefix: config.hq.topic_prefix.clone(),
        event_max_bytes: config.hq.event_max_bytes,
        retention: TimeDelta::days(30),
        connections: vec![("front".to_owned(), "qasir https://pos.example".to_owned())],
        retired: Vec::new(),
    };
    let clock = Clock::system();
    let outbox = Arc::new(Outbox::open(options, clock.now()).unwrap().outbox);
    let (health, stop, sessions) = (Arc::<Health>::default(), Stop::default(), Arc::new(AtomicU32::new(0)));
    let (begun, acknowledge) = (Arc::clone(&sessions), config.hq.acknowledge);
    // Each session describes the box in its last will.
    let describe = move || {
        assert!(begun.fetch_add(1, Ordering::SeqCst) > 0, "on purpose");
        Description { outlet: "jkt-014".to_owned(), name: None, acknowledge, stream: None }
    };
    let link = Link {
        hq: config.hq,
        outlet: config.outlet,
        outbox,
        health: Arc::clone(&health),
        clock,
        stop: stop.clone(),
        rescan_horizon: TimeDelta::days(7),
        reaches: std::collections::BTreeMap::new(),
        heartbeat: Heartbeat::default(),
        by_hand: false,
        describe: Box::new(describe),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let again = async {
            while sessions.load(Ordering::SeqCst) < 2 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(health.facts().holds(Condition::LinkFailed), "the panic is not told");
            stop.give();
        };
        let (ended, ()) =
            tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(link.run(), again) }).await.unwrap();
        assert!(ended.is_ok());
    });
}
