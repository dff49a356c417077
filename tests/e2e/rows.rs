//! What a broker, an HQ or another box can do to the line: one file for each kind, one test for each way.
//!
//! The box is told to hurry (`TILLBOX_TEST_PACE`): a minute of the line is two seconds.

mod again;
mod denied;
mod forgotten;
mod generations;
mod hostile;
mod nobody;
mod silent;
mod sizes;
mod swallowed;
mod two_boxes;
mod unfit;
mod versions;
mod words;

use serde_json::Value;

use crate::parts::{
    commanded::Rules,
    stage::Stage,
    tillbox::{Setup, Tillbox, delivered},
};

/// Both versions of MQTT, as the config names them.
const PROTOCOLS: [&str; 2] = ["5", "3.1.1"];

const TRANSACTIONS: &str = "tillbox/+/events/transaction";

/// Rules for a version.
fn speaking(protocol: &str, rules: Rules) -> Rules {
    match protocol {
        "5" => rules,
        _ => Rules { versions: Rules::of_3_1_1().versions, ..rules },
    }
}

/// Makes a box speak one version.
fn speak(setup: &mut Setup, protocol: &str) {
    setup.hq.extend(["protocol = \"", protocol, "\"\n"]);
}

/// No more is counted as delivered than arrived.
fn nothing_is_counted_that_did_not_arrive(daemon: &Tillbox, arrived: usize) {
    let report = daemon.report().expect("a report");
    let arrived = u64::try_from(arrived).expect("a number");
    assert!(delivered(&report) <= arrived, "{arrived} arrived: {report:#}\n{}", daemon.log());
}

/// What `tillbox check --online` says, and its exit code.
fn checked(setup: &Setup) -> (Option<i32>, String) {
    setup.write();
    let output = setup.run_with("check", &["--online"]);
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The faults and warnings about HQ in what a check says.
fn found_at_hq(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("fault hq") || line.starts_with("warn  hq")).collect()
}

/// What is retained below the outlet, as HQ saw it last.
fn last(stage: &Stage, below: &str) -> Value {
    stage.hq.record().last(below).unwrap_or_default()
}
