//! Commits: pages and single sales, against a bare write of 4 KiB and an fdatasync.

use std::{fs::File, os::unix::fs::FileExt, time::Instant};

use tillbox::config::Acknowledge;

use crate::{
    machine::{median, ratio, written_bytes},
    records,
};

const PAGES: u64 = 300;
const PAGE_RECORDS: u64 = 100;
const SINGLES: u64 = 400;

pub fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let outbox = records::open(folder.path());
    let bodies: Vec<Vec<u8>> = (0..PAGES).map(|page| records::body(page * PAGE_RECORDS, PAGE_RECORDS)).collect();

    let (written, begun) = (written_bytes(), Instant::now());
    for body in &bodies {
        let captured = outbox.capture(records::capture(&outbox, body)).expect("a commit");
        assert_eq!(captured.new, PAGE_RECORDS);
    }
    let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let in_bytes = written_bytes() - written;
    let json_bytes: u64 = (0..PAGES * PAGE_RECORDS)
        .step_by(1_000)
        .map(|after| {
            let events = outbox.read(outbox.level().epoch, after, 1_000).expect("events");
            events.iter().take(1_000).map(|event| event.draft.data.len() as u64).sum::<u64>()
        })
        .sum();
    outbox.acknowledge(outbox.level().epoch, outbox.level().durable);
    let written = written_bytes();
    outbox.settle(Acknowledge::Broker).expect("a release");
    let out_bytes = written_bytes() - written;
    println!(
        "page commit: {} records/s parsed and durable (pages of {PAGE_RECORDS}, {} bytes of JSON a record)",
        PAGES * PAGE_RECORDS * 1_000 / elapsed_ms.max(1),
        json_bytes / (PAGES * PAGE_RECORDS)
    );
    println!(
        "bytes written per byte of JSON, pages of {PAGE_RECORDS}: {} in, {} when removed (to the file; the file \
         system's journal comes on top)",
        ratio(in_bytes, json_bytes),
        ratio(out_bytes, json_bytes)
    );

    drop(outbox);
    let folder = tempfile::tempdir().expect("a folder");
    let outbox = records::open(folder.path());
    let bare_file = File::create(folder.path().join("bare")).expect("a file");
    let (mut singles, mut bare) = (Vec::new(), Vec::new());
    let written = written_bytes();
    let mut bare_bytes = 0;
    for n in 0..SINGLES {
        let capture = records::capture(&outbox, &records::body(1_000_000 + n, 1));
        let begun = Instant::now();
        outbox.capture(capture).expect("a commit");
        singles.push(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
        let begun = Instant::now();
        bare_file.write_all_at(&[1; 4096], n * 4096).expect("a write");
        bare_file.sync_data().expect("a sync");
        bare.push(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
        bare_bytes += 4096;
    }
    let (single, bare) = (median(singles), median(bare));
    println!(
        "single commit: {single} µs, bare 4 KiB write + fdatasync: {bare} µs, ratio {} (medians of {SINGLES}, one after \
         the other)",
        ratio(single, bare)
    );
    println!("bytes written per single sale: {}", (written_bytes() - written - bare_bytes) / SINGLES);
}
