//! From the answer of the point of sale to the broker's acknowledgement: parse, commit, publish, PUBACK.

use std::{sync::Arc, time::Instant};

use crate::{
    drain::start_link,
    machine::{Mosquitto, median},
    records,
};

const SALES: u64 = 1_000;

pub fn measure() {
    let (folder, broker) = (tempfile::tempdir().expect("a folder"), Mosquitto::start());
    let _subscriber = broker.subscriber();
    let outbox = Arc::new(records::open(folder.path()));
    let link = start_link(&outbox, broker.port, 100);
    let mut spans = Vec::new();
    let mut level = outbox.watch();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for n in 0..SALES {
        let body = records::body(n, 1);
        let begun = Instant::now();
        outbox.capture(records::capture(&outbox, &body)).expect("a commit");
        let reached = runtime.block_on(level.wait_for(|level| level.acknowledged == n + 1)).is_ok();
        assert!(reached, "the outbox lives");
        spans.push(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    link.stop();
    spans.sort_unstable();
    let p99 = spans[spans.len() * 99 / 100];
    println!(
        "POS answer to PUBACK: median {} µs, p99 {p99} µs, longest {} µs ({SALES} single sales, Mosquitto on the loopback)",
        median(spans.clone()),
        spans[spans.len() - 1]
    );
}
