//! A store that cannot be written.

use std::fs;

use crate::parts::{
    stage::Stage,
    tillbox::{Tillbox, holds, level},
};

#[test]
fn a_store_that_cannot_be_made_is_a_fault_without_a_crash_loop_and_passes() {
    let mut stage = Stage::new("broker");
    stage.shop.sell(10);
    let obstacle = stage.path().join("card");
    fs::write(&obstacle, "no folder").expect("a file");
    stage.setup.store = obstacle.join("tillbox");
    let mut daemon = stage.start();
    let report = daemon.wait_for("the store fails", |report| holds(report, "store_failed"));
    assert_eq!(report["lights"]["fault"], "steady");
    assert_eq!(level(&report, "durable"), 0, "{}", daemon.log());
    daemon.only_warning();

    fs::remove_file(&obstacle).expect("the obstacle goes");
    fs::create_dir(&obstacle).expect("a folder in its place");
    recover(&stage, &daemon);
    daemon.stop();
}

fn recover(stage: &Stage, daemon: &Tillbox) {
    stage.wait_for_books(daemon);
    daemon.wait_for("the fault is over", |report| report["lights"]["fault"] == "off");
}
