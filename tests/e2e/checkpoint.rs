//! Boxes are replaced, wiped, rolled back and doubled; HQ's states stay equal and exact.

use std::{fs, path::Path};

use crate::parts::{
    broker::KEEPING,
    shop::Shop,
    stage::Stage,
    tillbox::{Tillbox, holds, level},
    wait::{PATIENCE, until},
};

#[test]
fn a_wiped_box_takes_the_next_generation_and_reads_again() {
    let stage = Stage::new("broker");
    stage.shop.sold_before(60);
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);
    daemon.stop();
    let checkpoint = stage.hq.record().last("checkpoint").expect("a checkpoint");
    assert_eq!(checkpoint["acknowledged"].as_u64(), Some(60));

    fs::remove_dir_all(&stage.setup.store).expect("the store can be wiped");
    stage.shop.sell(20);
    let mut daemon = stage.start();
    wait_for_next_generation(&stage, &daemon);
    stage.wait_for_books(&daemon);
    daemon.stop();
    assert!(!daemon.reported("outlet_conflict"), "{}", daemon.log());
}

#[test]
fn a_store_that_was_rolled_back_becomes_a_new_stream() {
    let stage = Stage::new("broker");
    stage.shop.sold_before(60);
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);
    daemon.stop();
    let earlier = stage.path().join("earlier");
    copy(&stage.setup.store, &earlier);

    let mut daemon = stage.start();
    stage.shop.sell(30);
    stage.wait_for_books(&daemon);
    daemon.stop();

    // As an image of the card is written back: every file as it was, where it was.
    write_back(&earlier, &stage.setup.store);
    stage.shop.sell(10);
    let mut daemon = stage.start();
    wait_for_next_generation(&stage, &daemon);
    stage.wait_for_books(&daemon);
    daemon.stop();
    assert_eq!(notices(&stage, "new_stream"), 1, "{}", daemon.log());
}

/// Also where the broker has lost the checkpoint: HQ's own word names more than the store held when it was opened.
#[test]
fn a_store_that_was_rolled_back_is_found_out_by_hqs_word_alone() {
    is_found_out_after_reading_on(true);
}

/// What the box reads before it can ask HQ must not hide the tail that was lost: else its numbers would be used twice.
#[test]
fn a_store_that_was_rolled_back_is_found_out_however_much_it_reads_before_hq_is_there() {
    is_found_out_after_reading_on(false);
}

fn is_found_out_after_reading_on(checkpoint_is_lost: bool) {
    let mut stage = Stage::with("feed", KEEPING, Shop::open());
    stage.shop.sold_before(20);
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);
    daemon.stop();
    let earlier = stage.path().join("earlier");
    copy(&stage.setup.store, &earlier);

    let mut daemon = stage.start();
    stage.shop.sell(10);
    stage.wait_for_books(&daemon);
    daemon.stop();

    write_back(&earlier, &stage.setup.store);
    if checkpoint_is_lost {
        stage.hq.publish("checkpoint", "", true);
    }
    stage.broker.stop();
    stage.shop.sell(60);
    let mut daemon = stage.start();
    daemon.wait_for("more than HQ has", |report| level(report, "durable") >= 90);
    stage.broker.start_again();
    wait_for_next_generation(&stage, &daemon);
    stage.wait_for_books(&daemon);
    daemon.stop();
}

#[test]
fn a_store_that_was_copied_becomes_a_new_stream() {
    let mut stage = Stage::new("feed");
    stage.shop.sold_before(60);
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);
    daemon.stop();
    let elsewhere = stage.path().join("elsewhere");
    copy(&stage.setup.store, &elsewhere);
    stage.setup.store = elsewhere;
    stage.shop.sell(10);
    let mut daemon = stage.start();
    wait_for_next_generation(&stage, &daemon);
    stage.wait_for_books(&daemon);
    daemon.stop();
}

#[test]
fn two_boxes_for_one_outlet_are_told_and_lose_no_state() {
    let stage = Stage::new("broker");
    stage.shop.sold_before(40);
    let first = stage.start();
    stage.wait_for_books(&first);
    let mut second = stage.setup.clone();
    second.config = stage.path().join("second.toml");
    second.store = stage.path().join("second");
    let second = second.start();
    until(
        PATIENCE,
        || [&first, &second].iter().any(|daemon| daemon.reported("outlet_conflict")).then_some(()),
        || format!("nobody tells the conflict:\n{}\n{}", first.log(), second.log()),
    );
    stage.shop.sell(10);
    let log = || format!("{}\n{}", first.log(), second.log());
    stage.hq.wait_for_books(&stage.shop, log);
    // The two do not chase each other from stream to stream: the first waits for a person.
    let streams = stage.hq.record().streams.len();
    assert_eq!(streams, 2, "{}", log());
}

/// Waits until HQ has a second stream, of a higher generation than the first.
fn wait_for_next_generation(stage: &Stage, daemon: &Tillbox) {
    let first = stage.hq.record().streams.values().map(|stream| stream.generation).min().expect("a stream");
    daemon.wait_for("the next generation", |report| report["generation"].as_u64() > Some(first));
    daemon.wait_for("all is acknowledged", |report| {
        level(report, "durable") > 0
            && level(report, "durable") == level(report, "acknowledged")
            && !holds(report, "hq_unreachable")
    });
    let arrived = || stage.hq.record().streams.values().any(|stream| stream.generation > first).then_some(());
    until(PATIENCE, arrived, || format!("HQ has no second stream\n{}", daemon.log()));
}

fn notices(stage: &Stage, code: &str) -> usize {
    stage.hq.record().events_of("notice").filter(|event| event["data"]["code"] == code).count()
}

/// Copies a folder with everything below it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("a file can be copied");
        }
    }
}

/// Makes a folder what it was, file by file, each at its own place on the card.
fn write_back(earlier: &Path, folder: &Path) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let (now, before) = (entry.path(), earlier.join(entry.file_name()));
        match (now.is_dir(), before.exists()) {
            (true, true) => write_back(&before, &now),
            (false, false) => fs::remove_file(now).expect("a file can be removed"),
            _ => {}
        }
    }
    copy(earlier, folder);
}
