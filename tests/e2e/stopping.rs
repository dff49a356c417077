//! An ordered stop ends within five seconds, whatever hangs.

use std::time::{Duration, Instant};

use tillbox::demo::{
    http_server::Fault,
    line::{Line, Wire},
};

use crate::parts::{
    stage::Stage,
    tillbox::Tillbox,
    wait::{PATIENCE, until},
};

const STOP_MAX: Duration = Duration::from_secs(5);

#[test]
fn a_stop_leaves_nothing_behind() {
    let stage = Stage::new("broker");
    let mut daemon = running(&stage);
    stop_in_time(&mut daemon);
    until(
        PATIENCE,
        || (stage.hq.record().last("status")?["state"] == "stopped").then_some(()),
        || format!("HQ is not told: {:?}", stage.hq.record().last("status")),
    );
    assert_eq!(daemon.warnings(), Vec::<String>::new());
}

#[test]
fn a_request_that_hangs_at_the_point_of_sale_does_not_hold_a_stop() {
    let stage = Stage::new("broker");
    let mut daemon = running(&stage);
    let before = stage.shop.http().requests();
    stage.shop.http().fail(Fault::Slow(None));
    until(PATIENCE, || (stage.shop.http().requests() > before).then_some(()), || "no request hangs".to_owned());
    stop_in_time(&mut daemon);
    until(
        PATIENCE,
        || (stage.hq.record().last("status")?["state"] == "stopped").then_some(()),
        || format!("HQ is not told: {:?}", stage.hq.record().last("status")),
    );
}

#[test]
fn a_headquarters_that_is_mute_does_not_hold_a_stop() {
    let mut stage = Stage::new("broker");
    let line = Wire::to(stage.broker.address()).expect("a line");
    stage.setup.broker = format!("mqtt://{}", line.address());
    let mut daemon = running(&stage);
    line.set(Line::Mute);
    stage.shop.sell(300);
    daemon.wait_for("sales on their way", |report| report["outbox"]["durable"].as_u64() > Some(300));
    stop_in_time(&mut daemon);

    line.set(Line::Cut);
    line.set(Line::Open);
    let daemon = stage.start();
    stage.wait_for_books(&daemon);
}

fn running(stage: &Stage) -> Tillbox {
    stage.shop.sell(10);
    let daemon = stage.start();
    stage.wait_for_books(&daemon);
    daemon
}

fn stop_in_time(daemon: &mut Tillbox) {
    let begun = Instant::now();
    daemon.terminate();
    let status = daemon.wait(STOP_MAX);
    assert!(status.success() && begun.elapsed() < STOP_MAX, "{status} after {:?}\n{}", begun.elapsed(), daemon.log());
}
