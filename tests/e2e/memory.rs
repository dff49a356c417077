//! Bodies that are small on the wire and large in memory: whatever a point of sale answers, the box stays within the
//! memory that its unit allows, and its other connection goes on.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use chrono::{DateTime, Utc};
use serde_json::json;
use tillbox::demo::http_server::{Answer, HttpServer, Request, Service};

use crate::parts::{
    stage::Stage,
    tillbox::level,
    wait::{PATIENCE, until},
};

/// `MemoryMax` of the unit.
const UNIT_MAX_BYTES: u64 = 160 * 1024 * 1024;

/// A Qasir that answers each window with the same transactions.
struct Heavy(Mutex<Vec<u8>>);

impl Service for Heavy {
    fn answer(&self, request: &Request) -> Answer {
        if request.path.ends_with("/outlets") {
            return Answer::json(200, &json!({ "outlets": [{ "id": "OUT-9", "name": "Gudang" }] }));
        }
        let body = self.0.lock().expect("nobody panics here").clone();
        Answer::new(200, "application/json", body)
    }

    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

fn sale(id: &str, items: &str) -> String {
    let now = Utc::now().to_rfc3339();
    format!("{{\"id\": \"{id}\", \"total_amount\": 5000, \"transaction_date\": \"{now}\", \"items\": [{items}]}}")
}

fn transactions(records: &[String]) -> Vec<u8> {
    format!("{{\"transactions\": [{}]}}", records.join(",")).into_bytes()
}

/// A group of processes of the unit's size, where the machine lets one be made.
fn group(name: &str) -> Option<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let (root, limit) = match own.lines().find(|line| line.contains(":memory:")) {
        Some(line) => (
            Path::new("/sys/fs/cgroup/memory").join(line.rsplit(':').next()?.trim_start_matches('/')),
            "memory.limit_in_bytes",
        ),
        None => (Path::new("/sys/fs/cgroup").to_owned(), "memory.max"),
    };
    let group = root.join(name);
    fs::create_dir(&group).ok()?;
    let limited = fs::write(group.join(limit), UNIT_MAX_BYTES.to_string());
    if limited.is_err() {
        let _unused = fs::remove_dir(&group);
        return None;
    }
    Some(group)
}

/// The most memory that a process had resident so far.
fn peak_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel tells it");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") * 1024
}

#[test]
fn no_answer_takes_more_memory_than_the_unit_allows() {
    let line = "{\"product_name\":\"a\",\"qty\":1,\"price\":1}";
    let lines = |n: usize| vec![line; n].join(",");
    let bodies: [(&str, Vec<u8>); 7] = [
        ("750,000 lines in one sale", transactions(&[sale("B-1", &vec!["{}"; 750_000].join(","))])),
        ("110,000 sales", transactions(&vec![r#"{"id":1}"#.to_owned(); 110_000])),
        (
            "as many sales as a page may have",
            transactions(&(0..9_999).map(|n| sale(&format!("C-{n}"), "")).collect::<Vec<_>>()),
        ),
        (
            "a million numbers",
            format!("{{\"transactions\": [], \"numbers\": [{}1]}}", "1,".repeat(1_000_000)).into_bytes(),
        ),
        ("a million numbers for sales", format!("{{\"transactions\": [{}1]}}", "1,".repeat(1_000_000)).into_bytes()),
        (
            "many sales of many lines",
            transactions(&(0..150).map(|n| sale(&format!("D-{n}"), &lines(245))).collect::<Vec<_>>()),
        ),
        ("depth", format!("{{\"transactions\": [{}", "[".repeat(7_000_000)).into_bytes()),
    ];
    let mut stage = Stage::new("broker");
    let heavy = HttpServer::start(Heavy(Mutex::new(transactions(&[sale("A-1", line)])))).expect("a port");
    stage.setup.pos.extend([
        "\n[[pos]]\nname = \"heavy\"\nsystem = \"qasir\"\nbase-url = \"http://",
        &heavy.address().to_string(),
        "/v1\"\ntoken = \"any\"\npoll-every = \"1s\"\nrequests-per-minute = 6000\nbackfill = \"1d\"\n",
    ]);
    let mut daemon = stage.start();
    let group = group(&format!("tillbox-memory-{}", std::process::id()));
    if let Some(group) = &group {
        fs::write(group.join("cgroup.procs"), daemon.pid().to_string()).expect("the process goes into the group");
    }
    daemon.wait_for("the first sale", |report| level(report, "acknowledged") >= 1);
    let mut before = 0;
    for (what, body) in bodies {
        *heavy.service().0.lock().expect("nobody panics here") = body;
        let asked = heavy.requests();
        let sold = stage.shop.sell(3);
        until(
            PATIENCE * 3,
            || {
                let has = |id: &String| stage.hq.record().states.contains_key(id);
                (heavy.requests() >= asked + 3 && sold.iter().all(has)).then_some(())
            },
            || format!("{what}: the other connection goes on:\n{}", daemon.log()),
        );
        let peak = peak_bytes(daemon.pid());
        println!("{what}: {} MiB at most", peak / 1024 / 1024);
        assert!(peak < UNIT_MAX_BYTES, "{what}: {} MiB, {} MiB before", peak / 1024 / 1024, before / 1024 / 1024);
        before = peak;
    }
    daemon.stop();
    if let Some(group) = group {
        let _its_process_has_ended = fs::remove_dir(group);
    }
}
