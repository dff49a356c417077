//! `tillbox outbox`, the program as it ships, against a store with and without a running daemon.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, reason = "a test stops where its stage cannot be set")]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    os::unix::{
        fs::{FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tempfile::TempDir;
use tillbox::{
    clock::Clock,
    config::{Acknowledge, Config},
    daemon::outbox_options,
    demo::{
        qasir::{Options as Server, QasirServer},
        shop::Sale,
    },
    gap::{Gap, GapReason},
    outbox::{Capture, Outbox},
    pos::{
        body::JsonType,
        page::{Quarantined, Reason},
    },
    transaction::{Resource, Transaction},
    zone::Zone,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tillbox");
const TOKEN: &str = "pos-token-hunter2-Zq7";
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder with a config, and perhaps a store.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new(pos_url: &str) -> Self {
        Self::with(pos_url, "outbox")
    }

    fn with(pos_url: &str, store: &str) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        // A port on which nobody listens.
        let broker = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let text = format!(
            "[outlet]\nid = \"jkt-014\"\nname = \"Warung Sabang\"\ntimezone = \"Asia/Jakarta\"\ncurrency = \"IDR\"\n\n\
             [[pos]]\nname = \"front\"\nsystem = \"qasir\"\nbase-url = \"{pos_url}\"\ntoken = \"{TOKEN}\"\n\
             poll-every = \"1s\"\nrequests-per-minute = 6000\nbackfill = \"1d\"\n\n\
             [hq]\nbrokers = [\"mqtt://{broker}\"]\nacknowledge = \"feed\"\n\n[outbox]\npath = \"{}\"\n",
            place.folder.path().join(store).display()
        );
        let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(place.config()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        place
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("tillbox.toml")
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("outbox")
    }

    fn socket(&self) -> PathBuf {
        self.store().join("tillbox.sock")
    }

    fn open(&self) -> Outbox {
        Outbox::open(outbox_options(&Config::load(&self.config()).unwrap()), now()).unwrap().outbox
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(words).arg("--config").arg(self.config()).stdin(Stdio::null());
        for name in ["JOURNAL_STREAM", "NOTIFY_SOCKET", "TILLBOX_LOG"] {
            command.env_remove(name);
        }
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// What a command says, which must succeed.
    fn says(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.says(words)).unwrap()
    }

    /// What a command says as it fails, and its exit code.
    fn refuses(&self, words: &[&str]) -> (String, i32) {
        let output = self.run(words);
        assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
        (text(&output.stderr), output.status.code().unwrap())
    }

    fn daemon(&self) -> Daemon {
        let child = self.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        Daemon(child)
    }
}

struct Daemon(Child);

impl Daemon {
    /// Stops it in order; gives its log.
    fn stop(mut self) -> String {
        let sent = Command::new("kill").args(["-s", "TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert!(self.0.wait().unwrap().success());
        let mut log = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        log
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _gone_already = (self.0.kill(), self.0.wait());
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn now() -> DateTime<Utc> {
    "2026-03-14T12:00:00Z".parse().unwrap()
}

fn until<T>(what: &str, mut holds: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = holds() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn record(id: u32) -> Transaction {
    let records: Vec<Value> = serde_json::from_str(include_str!("fixtures/content-ids.json")).unwrap();
    let mut record: Transaction = serde_json::from_str(&records[0]["record"].to_string()).unwrap();
    record.external_id = id.to_string();
    record.timestamp = now().into();
    record
}

fn aside(id: Option<&str>) -> Quarantined {
    Quarantined {
        resource: Resource::Transaction,
        pointer: "/transactions/3".to_owned(),
        field: Some("total_amount".into()),
        reason: Reason::AmountInvalid,
        expected: "a plain decimal number".into(),
        found: JsonType::String,
        size_bytes: 92,
        hash: tillbox::content::ContentId::of_bytes(id.unwrap_or_default().as_bytes()),
        external_id: id.map(str::to_owned),
        business_date: None,
        window: None,
    }
}

/// Ten sales, of which HQ has three, a gap, and two records that could not be read.
fn filled(generation: Option<u32>) -> Place {
    let place = Place::new("http://127.0.0.1:9/v1");
    let outbox = place.open();
    if let Some(generation) = generation {
        outbox.take_generation(generation, true, BTreeMap::new()).unwrap();
    }
    let from = now() - TimeDelta::hours(2);
    let capture = |transactions| Capture {
        connection: "front".to_owned(),
        epoch: outbox.level().epoch,
        now: now(),
        transactions,
        ..Capture::default()
    };
    outbox.capture(capture((0..5).map(record).collect())).unwrap();
    let more = Capture {
        quarantined: vec![aside(Some("B-06")), aside(None)],
        gaps_opened: vec![Gap { from, to: from + TimeDelta::seconds(1), reason: GapReason::Truncated }],
        ..capture((5..10).map(record).collect())
    };
    outbox.capture(more).unwrap();
    outbox.acknowledge(outbox.level().epoch, 3);
    outbox.settle(Acknowledge::Broker).unwrap();
    outbox.acknowledge(outbox.level().epoch, 4);
    outbox.settle(Acknowledge::Feed).unwrap();
    place
}

#[test]
fn a_store_without_a_daemon_is_listed_shown_and_exported() {
    let place = filled(Some(2));
    let listed = place.json(&["outbox", "list", "--json"]);
    let outbox = &listed["outbox"];
    let number = |name: &str| outbox[name].as_u64().unwrap();
    assert_eq!((number("durable"), number("acknowledged"), number("released")), (13, 4, 3));
    assert_eq!((number("generation"), listed["outlet"].as_str()), (2, Some("jkt-014")));
    assert_eq!((number("undelivered"), number("waiting_for_broker"), number("waiting_for_hq")), (10, 9, 1));
    assert!(number("queued_bytes") > 0 && number("queued_bytes") < number("limit_bytes"));
    let numbers: Vec<_> = listed["waiting"].as_array().unwrap().iter().map(|head| head["number"].as_u64()).collect();
    assert_eq!(numbers, (4..=13).map(Some).collect::<Vec<_>>());
    assert_eq!(listed["waiting"][9]["type"], "gap");
    assert_eq!(listed["open_gaps"]["front"][0]["reason"], "truncated");
    assert_eq!(listed["put_aside"]["front"].as_array().unwrap().len(), 2);

    let said = place.says(&["outbox", "list", "--limit", "2"]);
    for line in [
        "numbers  durable 13, acknowledged 4, released 3",
        "9 events wait for the broker",
        "1 event waits for headquarters' word: the broker has it; headquarters has not confirmed it",
        "         4  transaction  front  transaction/3  2026-03-14T12:00:00Z  (the broker has it)",
        "         5  transaction  front  transaction/4  2026-03-14T12:00:00Z",
        "  and 8 more; --limit shows more",
        "  front  from 2026-03-14T10:00:00Z to 2026-03-14T10:00:01Z  truncated",
        "put aside: 2 records",
        "  front  transaction B-06  total_amount: amount_invalid, expected a plain decimal number, found string; since \
         2026-03-14T12:00:00Z (tillbox 0.1.0)",
    ] {
        assert!(said.lines().any(|said| said == line), "{line}\nin\n{said}");
    }

    let shown = place.json(&["outbox", "show", "6"]);
    assert_eq!((&shown["sequence"], &shown["subject"]), (&json!("00000000000000000006"), &json!("transaction/5")));
    assert_eq!(shown["data"]["external_id"], "5");
    let (said, code) = place.refuses(&["outbox", "show", "3"]);
    assert_eq!((said.as_str(), code), ("tillbox: event 3 does not wait in the outbox, which holds 4 to 13\n", 1));

    let exported = |words: &[&str]| -> Vec<Value> {
        place.says(words).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = exported(&["outbox", "export"]);
    assert_eq!(all.len(), 10);
    assert!(all.iter().all(|event| event["specversion"] == "1.0" && event["generation"] == 2));
    assert_eq!(all[2], shown);
    assert_eq!(exported(&["outbox", "export", "--from", "12"]), all[8..]);
}

#[test]
fn by_the_brokers_word_what_it_has_does_not_wait() {
    let place = filled(Some(2));
    let config = fs::read_to_string(place.config()).unwrap().replace("\"feed\"", "\"broker\"");
    fs::write(place.config(), config).unwrap();
    let listed = place.json(&["outbox", "list", "--json"]);
    let number = |name: &str| listed["outbox"][name].as_u64().unwrap();
    assert_eq!((number("undelivered"), number("waiting_for_broker"), number("waiting_for_hq")), (9, 9, 0));
    assert_eq!((&listed["acknowledge"], &listed["waiting"][0]["number"]), (&json!("broker"), &json!(5)));
    let said = place.says(&["outbox", "list"]);
    assert!(
        said.contains("\n9 events wait for the broker\n") && !said.to_lowercase().contains("headquarters"),
        "{said}"
    );
    assert!(said.contains("outbox.max-size is 536870912, with what the store needs for itself"), "{said}");
}

#[test]
fn looking_changes_nothing() {
    let place = filled(None);
    let beside = |name: &str| fs::read(place.store().join(name)).unwrap();
    let before = (beside("marker.json"), beside("lock"));
    let exported = place.says(&["outbox", "export"]);
    assert_eq!(exported, place.says(&["outbox", "export"]));
    let first: Value = serde_json::from_str(exported.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["number"], &first["type"], &first["data"]["external_id"]),
        (&json!(4), &json!("transaction"), &json!("3"))
    );
    assert_eq!(first["contentid"].as_str().unwrap().len(), 64);
    place.says(&["outbox", "list"]);
    assert_eq!((beside("marker.json"), beside("lock")), before);
    // A store that lost its tail is shown as it is, and is still found out at the next start.
    let mut marker: Value = serde_json::from_slice(&before.0).unwrap();
    marker["sequence"] = 99.into();
    fs::write(place.store().join("marker.json"), marker.to_string()).unwrap();
    assert_eq!(exported, place.says(&["outbox", "export"]));
    let config = Config::load(&place.config()).unwrap();
    let findings = Outbox::open(outbox_options(&config), now()).unwrap().findings;
    assert_eq!(findings.len(), 1, "{findings:?}");
}

#[test]
fn where_no_store_is_none_is_made() {
    let place = Place::new("http://127.0.0.1:9/v1");
    let (said, code) = place.refuses(&["outbox", "list"]);
    assert!(said.contains("outbox: cannot open ") && code == 70, "{said} {code}");
    assert!(!place.store().exists());
    for words in [&["outbox"][..], &["outbox", "remove"], &["outbox", "show", "x"], &["outbox", "show", "1", "--json"]]
    {
        assert_eq!(place.refuses(words).1, 64, "{words:?}");
    }
}

#[test]
fn a_running_daemon_is_asked_and_goes_on() {
    let clock = Clock::system();
    let options = Server { requests_per_minute: None, ..Server::new(Zone::load("Asia/Jakarta").unwrap(), TOKEN) };
    let server = QasirServer::start(clock.clone(), options).unwrap();
    for n in 0..1_200 {
        server.put(Sale::plain(&format!("S-{n:04}"), 1_000, clock.now() - TimeDelta::seconds(60 + n * 5)));
    }
    let place = Place::new(&server.base_url());
    fs::create_dir(place.store()).unwrap();
    fs::write(place.socket(), "stale").unwrap();
    let daemon = place.daemon();
    let durable = |place: &Place| -> Option<u64> {
        let output = place.run(&["outbox", "list", "--json"]);
        let listed: Value = serde_json::from_slice(&output.stdout).ok()?;
        listed["outbox"]["durable"].as_u64()
    };
    until("everything is captured", || durable(&place).filter(|durable| *durable >= 1_200));
    let socket = fs::symlink_metadata(place.socket()).unwrap();
    assert!(socket.file_type().is_socket() && socket.permissions().mode() & 0o777 == 0o600);

    let lines = place.says(&["outbox", "export"]);
    let subjects: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(subjects.len() >= 1_200);
    assert!(subjects.iter().zip(1_u64..).all(|(event, number)| event["number"] == number), "each once, in order");
    assert_eq!(place.json(&["outbox", "show", "700"]), subjects[699]);
    let said = place.says(&["outbox", "list", "--limit", "1100"]);
    assert!(said.contains("generation not known before HQ is reached") && said.lines().count() > 1_100);
    assert!(!(lines + &said).contains(TOKEN));

    questions(&place.socket());
    // It goes on, says nothing of all this, and takes its socket with it.
    server.put(Sale::plain("AFTER", 1_000, clock.now() - TimeDelta::seconds(5)));
    until("the next sale", || place.says(&["outbox", "export"]).contains("AFTER").then_some(()));
    let log = daemon.stop();
    assert!(!log.contains("socket") && !log.contains("question"), "{log}");
    assert!(!place.socket().exists());
    assert!(place.says(&["outbox", "export"]).contains("AFTER"), "the same from the store itself");
}

/// What no client of ours would ask.
fn questions(socket: &Path) {
    let connect = || {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let ask = |stream: &mut UnixStream, question: &str| -> Vec<Value> {
        stream.write_all(question.as_bytes()).unwrap();
        let mut lines = Vec::new();
        for line in BufReader::new(stream.try_clone().unwrap()).lines() {
            lines.push(serde_json::from_str::<Value>(&line.unwrap()).unwrap());
            if lines.last().unwrap().get("done").is_some() {
                break;
            }
        }
        lines
    };
    let fault = |stream: &mut UnixStream, question: &str| {
        let mut lines = ask(stream, question);
        assert_eq!((lines.len(), &lines[0]["done"]), (1, &json!(false)), "{question}");
        lines.remove(0)["fault"].as_str().unwrap().to_owned()
    };
    let mut stream = connect();
    assert!(fault(&mut stream, "no json\n").contains("no question"));
    assert!(fault(&mut stream, "{\"ask\":\"the way\"}\n").contains("cannot be asked about `the way`"));
    assert!(fault(&mut stream, "{\"ask\":\"events\"}\n").contains("names their stream"));
    let other = format!("{{\"ask\":\"events\",\"stream\":\"{}\"}}\n", "0".repeat(32));
    assert!(fault(&mut stream, &other).contains("new stream"));
    let summary = ask(&mut stream, "{\"ask\":\"outbox\",\"of a later version\":1}\n").remove(0);
    let of_stream = |rest: &str| format!("{{\"ask\":\"events\",\"stream\":{},{rest}}}\n", summary["outbox"]["stream"]);
    let bounded = ask(&mut stream, &of_stream("\"after\":0,\"most\":1000000,\"heads\":true"));
    assert_eq!((bounded.len(), &bounded[500]), (501, &json!({ "done": true, "last": 500 })));
    let beyond = ask(&mut stream, &of_stream("\"after\":18446744073709551615"));
    assert_eq!(beyond, [json!({ "done": true })]);
    assert!(fault(&mut connect(), &format!("{{{}\n", " ".repeat(5_000))).contains("no question"));
    drop(stream);
    // Whoever is silent holds nobody up, as long as there are few of them.
    let _silent: Vec<_> = (0..3).map(|_| connect()).collect();
    assert_eq!(ask(&mut connect(), "{\"ask\":\"outbox\"}\n").len(), 2);
}

#[test]
fn a_daemon_whose_socket_cannot_be_made_runs_and_says_so() {
    let server = QasirServer::start(Clock::system(), Server::new(Zone::load("Asia/Jakarta").unwrap(), TOKEN)).unwrap();
    let place = Place::with(&server.base_url(), &"long/".repeat(30));
    let daemon = place.daemon();
    let said = until("it has the store", || {
        let (said, code) = place.refuses(&["outbox", "list"]);
        (code == 75).then_some(said)
    });
    assert!(said.contains("does not answer on tillbox.sock"), "{said}");
    until("it asks the point of sale", || (server.http().requests() > 0).then_some(()));
    let log = daemon.stop();
    assert!(log.contains("WARN") && log.contains("bytes too long for a socket"), "{log}");
}
