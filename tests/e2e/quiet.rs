//! However long and often something fails, the log stays short.

use chrono::{DateTime, SecondsFormat, Utc};
use tillbox::{
    clock::Clock,
    demo::http_server::{Fault, Garbling},
};

use crate::parts::{
    broker::KEEPING,
    shop::Shop,
    stage::Stage,
    tillbox::{Tillbox, holds},
    wait::{PATIENCE, until},
};

/// An hour passes in less than half a second.
const RATE: u32 = 9_000;
const FAILURES: u64 = 2_000;

#[test]
fn thousands_of_failures_of_the_point_of_sale_are_told_about_once_an_hour() {
    let (stage, clock, daemon) = fast_box();
    stage.shop.http().fail(Fault::Broken(500));
    let (begun, before) = (clock.now(), lines(&daemon));
    requests(&stage, FAILURES, &daemon);
    assert!(daemon.report().is_some_and(|report| holds(&report, "pos_unreachable")));
    assert_few_lines(&daemon, before, begun, &clock);
}

#[test]
fn a_point_of_sale_that_comes_and_goes_thousands_of_times_is_told_about_once_an_hour() {
    let (stage, clock, daemon) = fast_box();
    let (begun, before) = (clock.now(), lines(&daemon));
    for _ in 0..FAILURES / 4 {
        stage.shop.http().fail_next(1, Fault::Broken(503));
        stage.shop.http().fail_next(1, Fault::Garbled(Garbling::Html));
        requests(&stage, 4, &daemon);
    }
    assert_few_lines(&daemon, before, begun, &clock);
}

/// A box on a fast clock that has found its feet.
fn fast_box() -> (Stage, Clock, Tillbox) {
    let origin: DateTime<Utc> = "2026-03-14T06:00:00Z".parse().expect("an instant");
    let clock = Clock::running_at(origin, RATE);
    let mut stage = Stage::with("broker", KEEPING, Shop::open_at(clock.clone()));
    let now = clock.now().to_rfc3339_opts(SecondsFormat::Millis, true);
    stage.setup.arguments = vec!["--virtual-clock".to_owned(), format!("{now}@{RATE}")];
    "poll-every = \"1m\"\nrequests-per-minute = 60\nbackfill = \"1d\"\n".clone_into(&mut stage.setup.pos);
    let daemon = stage.start();
    daemon.wait_for("all is well", |report| report["lights"]["sync"] == "steady_wink");
    (stage, clock, daemon)
}

fn requests(stage: &Stage, more: u64, daemon: &Tillbox) {
    let enough = stage.shop.http().requests() + more;
    until(
        3 * PATIENCE,
        || (stage.shop.http().requests() >= enough).then_some(()),
        || format!("{} of {enough} requests\n{}", stage.shop.http().requests(), daemon.log()),
    );
}

fn lines(daemon: &Tillbox) -> i64 {
    i64::try_from(daemon.log().lines().count()).expect("few lines")
}

fn assert_few_lines(daemon: &Tillbox, before: i64, begun: DateTime<Utc>, clock: &Clock) {
    // Two conditions, each told when it begins, when it ends, and again after an hour.
    let hours = (clock.now() - begun).num_hours();
    let told = lines(daemon) - before;
    assert!(told <= 4 * (hours + 2), "{told} lines in {hours} hours:\n{}", daemon.log());
}
