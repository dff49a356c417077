//! The config file, as a technician meets it.

mod anything;
mod board;
mod example;
mod faults;
mod files;
mod mutations;
mod systems;
mod texts;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;
use tillbox::config::{Acknowledge, Board, Broker, Config, Faults, Origin, System};

const SECRET: &str = "hunter2-Zq7";

const VALID: &str = r#"
[outlet]
id = "jkt-014"
name = "Warung Sabang"
timezone = "Asia/Jakarta"
currency = "IDR"
business-day-starts = "04:00"

[[pos]]
name = "front"
system = "qasir"
token = "hunter2-Zq7"
poll-every = "30s"
backfill = "30d"
requests-per-minute = 20

[hq]
brokers = ["mqtts://mqtt.hq.example", "mqtt://[::1]:2883"]
acknowledge = "broker"
username = "box"
password = "hunter2-Zq7"
window = 500

[outbox]
path = "store"
max-size = "1GiB"
"#;

/// The least that is a config.
const LEAST: &str = r#"
outlet = { id = "o", timezone = "UTC", currency = "EUR" }
pos = [{ name = "p", system = "qasir", token = "t" }]
hq = { brokers = ["mqtts://b"], acknowledge = "feed" }
"#;

fn private(text: &str) -> Result<Config, Faults> {
    Config::parse(text, &Origin { path: Path::new("/etc/tillbox/tillbox.toml"), mode: 0o100_600, arriving: None })
}

/// The faults as they are printed, without the file's name.
fn faults(text: &str) -> Vec<String> {
    let printed = private(text).expect_err("a faulty config").to_string();
    printed
        .lines()
        .map(|line| line.strip_prefix("/etc/tillbox/tillbox.toml:").expect("the file's name").to_owned())
        .collect()
}

/// The one fault of a valid config after a change.
fn fault_of(from: &str, to: &str) -> String {
    assert!(VALID.contains(from), "{from}");
    let mut list = faults(&VALID.replacen(from, to, 1));
    assert_eq!(list.len(), 1, "{list:#?}");
    list.remove(0)
}

fn file(folder: &TempDir, name: &str, content: &str, mode: u32) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).expect("a file in the temporary folder");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
    path
}

#[test]
fn a_config_means_what_it_says() {
    let config = private(VALID).expect("valid");
    assert_eq!(config.outlet.id, "jkt-014");
    assert_eq!(config.outlet.business_day_starts.to_string(), "04:00:00");
    let [pos] = config.pos.as_slice() else { panic!("one connection") };
    assert_eq!((pos.system, pos.base_url.as_str()), (System::Qasir, "https://api.qasir.id/v1"));
    assert_eq!((pos.poll_every, pos.backfill), (Duration::from_secs(30), Duration::from_secs(30 * 86_400)));
    assert_eq!((pos.timezone.name(), pos.currency.as_str()), ("Asia/Jakarta", "IDR"));
    assert_eq!(pos.credentials.secret().read().expect("readable").expose(), SECRET);
    let brokers = [
        Broker { tls: true, host: "mqtt.hq.example".to_owned(), port: 8883 },
        Broker { tls: false, host: "::1".to_owned(), port: 2883 },
    ];
    assert_eq!(config.hq.brokers, brokers);
    assert_eq!((config.hq.acknowledge, config.hq.window), (Acknowledge::Broker, 500));
    assert_eq!((config.outbox.path.as_path(), config.outbox.max_bytes), (Path::new("/etc/tillbox/store"), 1 << 30));
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = private(LEAST).expect("valid");
    let pos = &config.pos[0];
    assert_eq!((pos.poll_every, pos.backfill), (Duration::from_secs(15), Duration::from_secs(90 * 86_400)));
    assert_eq!((pos.requests_per_minute, pos.currency.as_str()), (8, "EUR"));
    let hq = &config.hq;
    assert_eq!((hq.topic_prefix.as_str(), hq.window, hq.keep_alive), ("tillbox", 100, Duration::from_secs(30)));
    assert_eq!((hq.event_max_bytes, hq.brokers[0].port), (131_072, 8883));
    assert_eq!(config.outlet.business_day_starts.to_string(), "00:00:00");
    assert_eq!((config.outbox.path.to_str(), config.outbox.max_bytes), (Some("/var/lib/tillbox"), 512 << 20));
    assert_eq!(config.board, Board::None);
}

#[test]
fn the_summary_says_what_the_box_will_do() {
    assert_eq!(
        private(VALID).expect("valid").summary(),
        "\
outlet  jkt-014 (Warung Sabang), Asia/Jakarta, IDR, days begin at 04:00
pos     front: qasir at https://api.qasir.id/v1, every 30s, at most 20 requests a minute, 30d back, Asia/Jakarta, IDR
hq      mqtts://mqtt.hq.example:8883, then mqtt://[::1]:2883, topics below tillbox/jkt-014
        a sale is kept until the broker has it, no longer (acknowledge = \"broker\")
outbox  /etc/tillbox/store, at most 1GiB
board   none
page    none
"
    );
}
