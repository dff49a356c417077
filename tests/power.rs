//! A capture reaches the device before it returns: seen from outside, in the system calls of a process of its own.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

use std::{env, fs, path::Path, process::Command};

use chrono::{DateTime, TimeDelta, Utc};
use tillbox::{
    notice::Notice,
    outbox::{Options, Outbox, power},
};

/// Tells the child its folder, and by being there that it is the child.
const FOLDER: &str = "TILLBOX_TEST_POWER_FOLDER";
const CAPTURES: usize = 8;

fn options(folder: &Path) -> Options {
    Options {
        folder: folder.to_owned(),
        max_bytes: 64 * 1024 * 1024,
        outlet: "jkt-014".to_owned(),
        topic_prefix: "tillbox".to_owned(),
        event_max_bytes: 128 * 1024,
        retention: TimeDelta::days(30),
        connections: Vec::new(),
        retired: Vec::new(),
    }
}

/// The process that is traced; without a folder there is nothing to do.
#[test]
fn child() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let now: DateTime<Utc> = "2026-03-14T12:00:00Z".parse().unwrap();
    let outbox = Outbox::open(options(Path::new(&folder)), now).unwrap().outbox;
    for number in 0..CAPTURES {
        // A system call that the trace shows between the captures.
        fs::write(Path::new(&folder).join("step"), format!("before {number}")).unwrap();
        outbox.tell(vec![Notice::new("test", "something happened").draft(None, now)], now).unwrap();
        fs::write(Path::new(&folder).join("step"), format!("after {number}")).unwrap();
    }
}

#[test]
fn every_capture_ends_with_a_sync_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = fs::canonicalize(folder.path()).unwrap();
    let trace = folder.join("trace");
    let traced = Command::new("strace")
        .args(["-f", "-y", "-s", "64", "-e", "trace=fdatasync,fsync,sync_file_range,write", "-o"])
        .arg(&trace)
        .arg(env::current_exe().unwrap())
        .args(["--exact", "child", "--test-threads=1"])
        .env(FOLDER, folder.join("outbox"))
        .output()
        .unwrap_or_else(|error| panic!("strace cannot be run ({error}): install the Debian package `strace`"));
    assert!(traced.status.success(), "{}", String::from_utf8_lossy(&traced.stderr));
    let trace = fs::read_to_string(&trace).unwrap();
    let db = format!("<{}>", folder.join("outbox/store/db").display());
    assert!(!trace.contains("sync_file_range("), "sled's own call reached the system");
    for number in 0..CAPTURES {
        let from = trace.find(&format!("before {number}")).expect("the child says where it is");
        let to = trace.find(&format!("after {number}")).expect("the child says where it is");
        // A call that another thread's interrupts is shown in two lines; either names it.
        let synced = trace[from..to].lines().any(|line| line.contains("fdatasync(") && line.contains(&db));
        assert!(synced, "capture {number} returned without a sync:\n{}", &trace[from..to]);
    }
}

#[test]
fn the_count_moves_with_every_capture() {
    let folder = tempfile::tempdir().unwrap();
    let now: DateTime<Utc> = "2026-03-14T12:00:00Z".parse().unwrap();
    let outbox = Outbox::open(options(folder.path()), now).unwrap().outbox;
    for _ in 0..CAPTURES {
        let before = power::fdatasyncs();
        outbox.tell(vec![Notice::new("test", "something happened").draft(None, now)], now).unwrap();
        assert!(power::fdatasyncs() > before);
    }
}
