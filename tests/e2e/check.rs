//! `tillbox check --online`: each thing that can be wrong is one line with one remedy, and nothing on disk changes.

mod hq;
mod patience;
mod pos;
mod topics;

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use tillbox::{
    clock::Clock,
    demo::{
        asalta::{self, Asalta},
        http_server::{Fault, Garbling},
        olsera::{self, Olsera, Profile},
        pos_kasir::{self, PosKasir, User},
        simulator::{Server, Simulator},
    },
    zone::Zone,
};

use crate::{
    parts::{
        broker::{KEEPING, Mosquitto, free_address},
        certificates::{Authority, Identity, Own},
        hq::Access,
        shop::{Shop, TOKEN, ZONE},
        tillbox::{PROGRAM, Setup},
        wait::{PATIENCE, until},
    },
    refused::add_user,
    tls::{front, trusting},
};

/// A check of a box at which something is wrong takes no longer than this, however busy the machine is.
const SOON: Duration = Duration::from_secs(60);

/// A box that was never started, its shop and its broker.
struct Place {
    broker: Mosquitto,
    shop: Shop,
    setup: Setup,
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self::with(TempDir::new().expect("a temporary folder"), &format!("allow_anonymous true\n{KEEPING}"))
    }

    fn with(folder: TempDir, broker: &str) -> Self {
        let (broker, shop) = (Mosquitto::start_with(folder.path(), broker), Shop::open());
        let mut setup = Setup::new(folder.path(), &shop.base_url(), broker.address(), "broker");
        // Nobody is at HQ here.
        setup.hq.push_str("without-subscribers = \"accept\"\n");
        Self { broker, shop, setup, folder }
    }

    /// With a broker behind TLS.
    fn behind_tls(certify: impl Fn(&Authority) -> Identity, more: &str) -> (Self, Authority) {
        let folder = TempDir::new().expect("a temporary folder");
        let authority = Authority::new(folder.path(), "hq");
        let server = certify(&authority);
        let settings = format!(
            "cafile {}\ncertfile {}\nkeyfile {}\nallow_anonymous true\n{more}{KEEPING}",
            authority.certificate().display(),
            server.certificate.display(),
            server.key.display()
        );
        let mut place = Self::with(folder, &settings);
        place.setup.broker = format!("mqtts://127.0.0.1:{}", place.broker.address().port());
        place.setup.hq.push_str(&trusting(&authority));
        (place, authority)
    }

    fn checked(&self) -> Checked {
        self.setup.write();
        // The broker keeps its own files.
        let before = tree(self.folder.path());
        let begun = Instant::now();
        let output = self.command().output().expect("the program starts");
        let took = begun.elapsed();
        assert!(took < SOON, "{took:?}");
        assert_eq!(tree(self.folder.path()), before, "something on disk changed");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        println!("{} ms\n{text}", took.as_millis());
        assert!(!text.contains(TOKEN), "a secret was written:\n{text}");
        Checked { text, code: output.status.code() }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["check", "--online", "--config"]).arg(&self.setup.config).env_remove("TILLBOX_LOG");
        command
    }

    /// The one fault that a check finds, as its line.
    fn fault(&self, code: i32) -> String {
        self.checked().fault(code)
    }
}

struct Checked {
    text: String,
    code: Option<i32>,
}

impl Checked {
    fn lines(&self, word: &str) -> Vec<&str> {
        self.text.lines().filter(|line| line.starts_with(word)).collect()
    }

    fn line(&self, start: &str) -> &str {
        line_of(&self.text, start)
    }

    fn fault(&self, code: i32) -> String {
        let faults = self.lines("fault");
        assert_eq!((faults.len(), self.code), (1, Some(code)), "{}", self.text);
        faults[0].to_owned()
    }

    /// Nothing is wrong; a temporary folder may lie on a file system of which is warned.
    fn is_good(&self) {
        assert_eq!((self.code, self.lines("fault").len()), (Some(0), 0), "{}", self.text);
        let warnings = self.lines("warn");
        assert!(warnings.iter().all(|line| line.starts_with("warn  outbox")), "{}", self.text);
    }
}

/// The first line that begins so.
fn line_of<'t>(text: &'t str, start: &str) -> &'t str {
    let line = text.lines().find(|line| line.starts_with(start));
    line.unwrap_or_else(|| panic!("no line `{start}`:\n{text}"))
}

fn has(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "`{part}` is not in:\n{line}");
    }
}

/// Mode, owner, time of the last change and content, by path.
type Tree = BTreeMap<PathBuf, (u32, u32, i64, i64, Option<Vec<u8>>)>;

/// Everything below a folder but the broker's own: kind, owner, mode, time and content.
fn tree(folder: &Path) -> Tree {
    let mut all = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(path) = left.pop() {
        let meta = fs::symlink_metadata(&path).expect("its metadata");
        let content = meta.is_file().then(|| fs::read(&path).expect("its content"));
        if meta.is_dir() {
            let entries = fs::read_dir(&path).expect("its entries").map(|entry| entry.expect("an entry").path());
            left.extend(entries.filter(|entry| !entry.ends_with("broker")));
        }
        all.insert(path, (meta.mode(), meta.uid(), meta.mtime(), meta.mtime_nsec(), content));
    }
    all
}

fn secret_file(path: &Path, content: &str) {
    fs::write(path, content).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode");
}

fn zone() -> Zone {
    Zone::load(ZONE).expect("a zone that everyone knows")
}

/// Asalta names neither.
const NAMED: &str = "timezone = \"Asia/Jakarta\"\ncurrency = \"IDR\"\n";

/// The block of a simulated system.
fn block<S: Simulator>(server: &Server<S>) -> String {
    let (url, keys) = (server.base_url(), server.simulator().pos_block());
    format!("[[pos]]\nname = \"front\"\nbase-url = \"{url}\"\n{keys}")
}

#[test]
fn a_good_box_is_told_so_line_by_line() {
    let place = Place::new();
    let checked = place.checked();
    checked.is_good();
    let starts: Vec<&str> = checked.text.lines().map(|line| line.split(": ").next().unwrap_or_default()).collect();
    let broker = format!("ok    hq {}", place.setup.broker);
    let expected =
        ["ok    config", "ok    clock", "ok    timezone", "ok    outbox", "ok    pos front", &broker, "ok    board"];
    let told: Vec<&str> = starts.into_iter().filter(|start| start.starts_with("ok")).collect();
    assert_eq!(told, expected);
    has(checked.line("ok    outbox"), &["is not there yet and can be made by "]);
    has(checked.line("ok    pos front"), &["qasir lets the box in and shows the sales of ", "(plain http)"]);
    let expected = [
        "lets the box in by MQTT 5 (plain mqtt)",
        "a hello on each topic of tillbox/jkt-014/events/+ was taken",
        "one of 128KiB was taken, too",
        "a retained status was found by a new subscription",
    ];
    has(checked.line("ok    hq"), &expected);
    assert!(!place.setup.store.exists());

    let output = place.command().arg("--json").output().expect("the program starts");
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(matches!(told["outcome"].as_str(), Some("ok" | "warn")), "{told}");
    assert!(told["findings"].as_array().is_some_and(|list| list.iter().any(|of| of["item"] == "pos front")), "{told}");
}

#[test]
fn a_config_with_a_mistake_is_told_and_nothing_is_tried() {
    let place = Place::new();
    place.setup.write();
    let text = fs::read_to_string(&place.setup.config).expect("the config").replace("\"IDR\"", "\"RUPIAH\"");
    fs::write(&place.setup.config, text).expect("the config");
    let output = place.command().output().expect("the program starts");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(78), 0));
    assert_eq!(place.shop.http().requests(), 0);
    for words in [&["check", "--json"][..], &["run", "--online"]] {
        assert_eq!(Command::new(PROGRAM).args(words).output().expect("the program starts").status.code(), Some(64));
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    const NOBODY: u32 = 65_534;
    let place = Place::new();
    place.setup.write();
    if fs::metadata(place.folder.path()).expect("its metadata").uid() != 0 {
        println!("only root can be somebody else: left out");
        return;
    }
    fs::set_permissions(place.folder.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
    fs::create_dir(&place.setup.store).expect("the folder");
    chown(&place.setup.config, Some(NOBODY), Some(NOBODY)).expect("root may");
    // The program, where everybody may reach it.
    let program = place.folder.path().join("tillbox");
    fs::copy(PROGRAM, &program).expect("a copy");
    let run = || {
        let before = tree(place.folder.path());
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
        command.args(["check", "--online", "--config"]).arg(&place.setup.config);
        let output = command.output().unwrap_or_else(|error| panic!("setpriv: {error}; install util-linux"));
        assert_eq!(tree(place.folder.path()), before);
        let text = String::from_utf8(output.stdout).expect("text") + &String::from_utf8_lossy(&output.stderr);
        Checked { text, code: output.status.code() }
    };
    has(&run().fault(78), &["fault outbox: found that uid 65534 cannot write in ", "; give it to the daemon's user"]);
    fs::set_permissions(&place.setup.store, fs::Permissions::from_mode(0o700)).expect("its mode");
    has(&run().fault(78), &["fault outbox: found that ", " this user (uid 65534)"]);
    chown(&place.setup.store, Some(NOBODY), Some(NOBODY)).expect("root may");
    run().is_good();
    fs::write(place.setup.store.join("x"), "").expect("a file");
    fs::remove_dir_all(&place.setup.store).expect("gone");
    fs::write(&place.setup.store, "").expect("a file");
    has(&run().fault(78), &["outbox"]);
}

#[test]
fn a_running_daemon_is_not_disturbed() {
    let place = Place::new();
    place.shop.sell(5);
    let mut daemon = place.setup.start();
    let ready =
        |report: &Value| report["hq"]["session"].is_string() || report["outbox"]["acknowledged"].as_u64() >= Some(5);
    daemon.wait_for("everything is at HQ", ready);
    let sessions = || place.broker.log().lines().filter(|line| line.contains(" as tillbox-jkt-014 ")).count();
    let before = sessions();
    let warned = daemon.warnings();
    for _ in 0..3 {
        let output = place.command().output().expect("the program starts");
        let text = String::from_utf8(output.stdout).expect("text");
        assert_eq!(output.status.code(), Some(0), "{text}");
        has(&text, &[&format!("in use by the running tillbox (process {})", daemon.pid()), "was taken, all in "]);
    }
    place.shop.sell(5);
    daemon.wait_for("it goes on", |report| report["outbox"]["acknowledged"].as_u64() >= Some(10));
    assert!(before > 0 && sessions() == before, "{}", place.broker.log());
    assert_eq!(daemon.warnings(), warned);
    daemon.stop();
    std::io::stdout().flush().expect("standard output");
}
