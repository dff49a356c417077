//! The shipped program at a real broker: every message that it publishes in a short life, from its birth to its last will.
//!
//! HQ's side is written here by the words of the guide; it shares no hashing of streams with the program.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeZone as _, Utc};
use serde_json::{Value, json};
use tillbox::{
    clock::Clock,
    config::{Broker, Protocol},
    content::ContentId,
    demo::{
        qasir::{self, QasirServer},
        shop::ShopDay,
    },
    mqtt::wire::{Arrived, Connect, Wire},
    zone::Zone,
};
use tokio::time::{Instant, sleep, timeout_at};

use crate::contract::{hold, hold_event};

const TOKEN: &str = "contract-token-0123456789";
const BASE: &str = "hq/tillbox/jkt-014";

/// The shop's clock: two virtual hours pass in five seconds.
const RATE: u32 = 1_500;

/// Anything that is waited for comes within this, or the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _it_may_be_gone = self.0.kill();
        let _it_may_be_gone = self.0.wait();
    }
}

impl Running {
    fn terminate(&mut self) {
        let told = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", self.0.id())).status();
        assert!(told.unwrap().success());
        assert!(self.0.wait().unwrap().success());
    }
}

fn start_broker(folder: &Path) -> (Running, u16) {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let config = folder.join("mosquitto.conf");
    fs::write(&config, format!("listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")).unwrap();
    let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/opt/homebrew/sbin/mosquitto"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .unwrap_or("mosquitto");
    let quiet = Command::new(program).arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    (Running(quiet.expect("mosquitto is not installed: tests/run installs it")), port)
}

fn start_box(config: &Path, now: DateTime<Utc>) -> Running {
    let clock = format!("{}@{RATE}", now.to_rfc3339_opts(SecondsFormat::Millis, true));
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillbox"));
    command.args(["run", "--virtual-clock", &clock, "--config"]).arg(config);
    Running(command.env("TILLBOX_LOG", "error").stdout(Stdio::null()).spawn().unwrap())
}

fn write_config(folder: &Path, pos_url: &str, port: u16) -> std::path::PathBuf {
    let path = folder.join("tillbox.toml");
    let text = format!(
        r#"[outlet]
id = "jkt-014"
timezone = "Asia/Jakarta"
currency = "IDR"

[[pos]]
name = "front"
system = "qasir"
base-url = "{pos_url}"
token = "{TOKEN}"
poll-every = "5m"
backfill = "1d"

[hq]
brokers = ["mqtt://127.0.0.1:{port}"]
acknowledge = "feed"
topic-prefix = "hq/tillbox"

[outbox]
path = "{}"
"#,
        folder.join("outbox").display()
    );
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
    path
}

/// HQ: it holds what arrives against the schemas, and remembers it.
struct Hq {
    wire: Wire,
    events: Vec<Value>,
    hellos: usize,
    statuses: Vec<Value>,
    checkpoints: Vec<Value>,
}

impl Hq {
    async fn connect(port: u16) -> Self {
        let broker = Broker { tls: false, host: "127.0.0.1".to_owned(), port };
        let connect = Connect {
            broker,
            client_id: "hq".to_owned(),
            login: None,
            tls: None,
            keep_alive: Duration::from_secs(30),
            last_will: None,
        };
        let deadline = Instant::now() + PATIENCE;
        let mut wire = loop {
            match Wire::open(connect.clone(), Protocol::Auto, None).await {
                Ok(wire) => break wire,
                Err(error) => assert!(Instant::now() < deadline, "mosquitto does not listen: {error}"),
            }
            sleep(Duration::from_millis(20)).await;
        };
        wire.subscribe([format!("{BASE}/#")]).unwrap();
        Self { wire, events: Vec::new(), hellos: 0, statuses: Vec::new(), checkpoints: Vec::new() }
    }

    async fn until(&mut self, what: &str, mut seen: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            while let Some(arrived) = self.wire.arrived().unwrap() {
                if let Arrived::Message { topic, body } = arrived {
                    self.take(topic.strip_prefix(BASE).unwrap().trim_start_matches('/'), &body);
                }
            }
            if seen(self) {
                return;
            }
            timeout_at(deadline, self.wire.wait()).await.unwrap_or_else(|_| panic!("never came: {what}")).unwrap();
        }
    }

    fn take(&mut self, topic: &str, body: &[u8]) {
        match topic {
            "status" | "checkpoint" | "stored" => {
                let body: Value = serde_json::from_slice(body).unwrap();
                hold(topic, &body);
                match topic {
                    "status" => self.statuses.push(body),
                    "checkpoint" => self.checkpoints.push(body),
                    _ => {}
                }
            }
            "events/hello" => {
                hold_event("hello", body);
                self.hellos += 1;
            }
            _ => {
                let event = hold_event(topic.strip_prefix("events/").unwrap(), body);
                if !self.events.iter().any(|known| known["id"] == event["id"]) {
                    self.events.push(event);
                }
            }
        }
    }

    fn has(&self, event_type: &str, member: &str, value: &str) -> bool {
        let of_type = format!("tillbox.{event_type}.v1");
        self.events.iter().any(|event| event["type"] == of_type && event["data"][member] == value)
    }

    fn last_state(&self) -> &str {
        self.statuses.last().map_or("", |status| status["state"].as_str().unwrap())
    }

    /// `stored` for everything that is here, as the guide tells it.
    fn stored(&self) -> Value {
        let stream = self.events[0]["stream"].as_str().unwrap();
        let mut link = ContentId::of_bytes(stream.as_bytes());
        for (n, event) in (1_u64..).zip(&self.events) {
            assert_eq!(event["sequence"], format!("{n:020}"), "in order and without a hole");
            let content: ContentId = event["contentid"].as_str().unwrap().parse().unwrap();
            link = ContentId::of_bytes(&[link.0, content.0].concat());
        }
        json!({ "stream": stream, "through": self.events.len(), "chain": link })
    }

    fn say_stored(&mut self, stored: &Value) {
        hold("stored", stored);
        self.wire.publish(&format!("{BASE}/stored"), stored.to_string().into_bytes(), true).unwrap();
    }
}

#[test]
fn every_message_of_the_program_keeps_to_its_schema() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(live());
}

async fn live() {
    let folder = tempfile::tempdir().unwrap();
    let zone = Zone::load("Asia/Jakarta").unwrap();
    // 22:00 in Jakarta: the day's sales are there, and its closing is near.
    let clock = Clock::running_at(Utc.with_ymd_and_hms(2026, 3, 14, 15, 0, 0).unwrap(), RATE);
    let pos = QasirServer::start(clock.clone(), qasir::Options::new(zone.clone(), TOKEN)).unwrap();
    pos.load(&ShopDay::generate(7, NaiveDate::from_ymd_opt(2026, 3, 14).unwrap(), &zone, 60));
    let (_broker, port) = start_broker(folder.path());
    let mut hq = Hq::connect(port).await;
    let config = write_config(folder.path(), &pos.base_url(), port);

    let mut shop_box = start_box(&config, clock.now());
    hq.until("the day's closing", |hq| hq.has("closing", "business_date", "2026-03-14")).await;
    assert_eq!(hq.last_state(), "running");
    assert!(hq.events.iter().filter(|event| event["type"] == "tillbox.transaction.v1").count() >= 60);

    let mut forged = hq.stored();
    forged["chain"] = ContentId([0; 32]).to_string().into();
    hq.say_stored(&forged);
    hq.until("a notice of the forged word", |hq| hq.has("notice", "code", "stored_rejected")).await;
    let stored = hq.stored();
    hq.say_stored(&stored);
    // Only what has left the box moves the watermark that its successor goes on from.
    hq.until("a checkpoint with a watermark", |hq| {
        hq.checkpoints.last().is_some_and(|checkpoint| checkpoint["watermarks"]["front"].is_string())
    })
    .await;

    shop_box.terminate();
    hq.until("a goodbye", |hq| hq.last_state() == "stopped").await;
    let mut shop_box = start_box(&config, clock.now());
    hq.until("a second birth", |hq| hq.hellos == 2 && hq.last_state() == "running").await;
    shop_box.0.kill().unwrap();
    hq.until("the last will", |hq| hq.last_state() == "lost").await;
    let sessions: Vec<&Value> = hq.statuses.iter().rev().map(|status| &status["session"]).take(2).collect();
    assert_eq!(sessions[0], sessions[1], "the last will is of the session that ran");
}
