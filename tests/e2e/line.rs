//! The line to HQ swallows, or is cut.

use std::time::{Duration, Instant};

use tillbox::demo::{
    line::{Line, Wire},
    shop::Chance,
};

use crate::parts::{
    stage::Stage,
    tillbox::{holds, level},
    wait::{PATIENCE, until},
};

/// As the tests' config says.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

#[test]
fn a_line_that_swallows_is_noticed_within_twice_the_keep_alive() {
    let (stage, line) = over_a_line("broker");
    stage.shop.sell(10);
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);
    line.set(Line::Mute);
    let muted = Instant::now();
    stage.shop.sell(10);
    let margin = Duration::from_secs(2);
    daemon.wait_for_within(2 * KEEP_ALIVE + margin, "the silence is noticed", |report| holds(report, "hq_unreachable"));
    assert!(muted.elapsed() > Duration::from_secs(1), "only silence told it");
    mend(&line);
    stage.wait_for_books(&daemon);
    daemon.stop();
}

#[test]
fn a_line_that_swallows_the_greeting_is_no_fault_of_the_brokers_rules() {
    let (stage, line) = over_a_line("broker");
    line.set(Line::Mute);
    stage.shop.sell(10);
    let mut daemon = stage.start();
    daemon.wait_for("the silence is noticed", |report| holds(report, "hq_unreachable"));
    mend(&line);
    stage.wait_for_books(&daemon);
    daemon.stop();
    assert!(!daemon.reported("publish_denied"), "{}", daemon.log());
}

#[test]
fn many_cuts_in_a_drain_lose_nothing_and_are_no_fault() {
    const BACKLOG: u32 = 3_000;
    let (mut stage, line) = over_a_line("broker");
    stage.setup.hq.push_str("window = 3\n");
    line.set(Line::Cut);
    stage.shop.sold_before(BACKLOG);
    let mut daemon = stage.start();
    daemon.wait_for("a backlog", |report| level(report, "durable") >= u64::from(BACKLOG));
    let mut chance = Chance::new(4);
    line.set(Line::Open);
    for _ in 0..12 {
        let so_far = line.carried_bytes() + u64::from(chance.below(200_000));
        until(
            PATIENCE,
            || (line.carried_bytes() > so_far || stage.hq.record().states.len() > 2_900).then_some(()),
            || format!("the drain stands still\n{}", daemon.log()),
        );
        mend(&line);
    }
    stage.wait_for_books(&daemon);
    daemon.stop();
    assert!(!daemon.reported("publish_denied"), "{}", daemon.log());
}

fn over_a_line(acknowledge: &'static str) -> (Stage, Wire) {
    let mut stage = Stage::new(acknowledge);
    let line = Wire::to(stage.broker.address()).expect("a line");
    stage.setup.broker = format!("mqtt://{}", line.address());
    (stage, line)
}

/// Ends the connections over a line, and lets new ones through.
fn mend(line: &Wire) {
    line.set(Line::Cut);
    line.set(Line::Open);
}
