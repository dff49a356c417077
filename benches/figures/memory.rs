//! Resident memory of the daemon itself: idle, and after it captured a backlog that no broker takes.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use tillbox::{
    clock::Clock,
    demo::{
        qasir::{Options, QasirServer},
        shop::Sale,
    },
};

use crate::{
    machine::{Mosquitto, cpu_ms, resident_kib, wait},
    records,
};

const QUEUED: i64 = 100_000;
const TOKEN: &str = "bench-token-0123456789";

pub fn measure() {
    let broker = Mosquitto::start();
    let pos = QasirServer::start(Clock::system(), options()).expect("a simulator");
    let (mut daemon, folder) = start(&pos, broker.port);
    wait(Duration::from_secs(10));
    let (cpu, idle) = (cpu_ms(&daemon.id().to_string()), Duration::from_secs(20));
    wait(idle);
    let cpu = cpu_ms(&daemon.id().to_string()) - cpu;
    println!(
        "resident memory, empty outbox: {} KiB; CPU while idle, a poll every 15 s: {cpu} ms in {} s",
        resident_kib(&daemon.id().to_string()),
        idle.as_secs()
    );
    end(&mut daemon);
    drop(folder);

    let pos = QasirServer::start(Clock::system(), options()).expect("a simulator");
    let first = Utc::now() - TimeDelta::days(30);
    for n in 0..QUEUED {
        pos.put(Sale::plain(&format!("QSR-{n:08}"), 15_000 + n, first + TimeDelta::seconds(n * 25)));
    }
    let (mut daemon, folder) = start(&pos, 9);
    let begun = Instant::now();
    let mut queued = 0;
    let store = folder.path().join("outbox/store/db");
    // The file stops growing when everything is captured.
    let (mut size, mut since) = (0, Instant::now());
    while begun.elapsed() < Duration::from_secs(300) && since.elapsed() < Duration::from_secs(8) {
        wait(Duration::from_millis(200));
        let now = fs::metadata(&store).map_or(0, |file| file.len());
        queued = queued.max(resident_kib(&daemon.id().to_string()));
        if now != size {
            (size, since) = (now, Instant::now());
        }
    }
    println!(
        "resident memory, {QUEUED} sales queued, in the process that captured them: {} KiB (peak {queued} KiB), file {} KiB",
        resident_kib(&daemon.id().to_string()),
        size / 1024
    );
    end(&mut daemon);
    let (mut daemon, _same) = start_in(&pos, 9, folder);
    wait(Duration::from_secs(5));
    println!("resident memory, {QUEUED} sales queued, after a restart: {} KiB", resident_kib(&daemon.id().to_string()));
    end(&mut daemon);
}

fn options() -> Options {
    let mut options = Options::new(records::zone(), TOKEN);
    options.requests_per_minute = None;
    options
}

fn start(pos: &QasirServer, broker_port: u16) -> (Child, tempfile::TempDir) {
    start_in(pos, broker_port, tempfile::tempdir().expect("a folder"))
}

fn start_in(pos: &QasirServer, broker_port: u16, folder: tempfile::TempDir) -> (Child, tempfile::TempDir) {
    let config = folder.path().join("tillbox.toml");
    let text = format!(
        r#"
[outlet]
id = "bench"
timezone = "Asia/Jakarta"
currency = "IDR"
[[pos]]
name = "front"
system = "qasir"
base-url = "{}"
token = "{TOKEN}"
requests-per-minute = 6000
backfill = "31d"
[hq]
brokers = ["mqtt://127.0.0.1:{broker_port}"]
acknowledge = "broker"
[outbox]
path = "{}"
"#,
        pos.base_url(),
        folder.path().join("outbox").display()
    );
    let mut file = fs::OpenOptions::new();
    let mut file = file.write(true).create(true).truncate(true).mode(0o600).open(&config).expect("a config");
    file.write_all(text.as_bytes()).expect("a config");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillbox"));
    command.args(["run", "--config"]).arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
    (command.spawn().expect("the daemon"), folder)
}

fn end(daemon: &mut Child) {
    let _terminated = Command::new("kill").arg(daemon.id().to_string()).status();
    let _ended = daemon.wait();
}
