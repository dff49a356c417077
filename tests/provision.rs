//! Provisioning by the program as it ships: cut at every step, on a full card, from a partition that can only be read.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram, process::ExitStatusExt as _},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tillbox");
const TOKEN: &str = "a-token-that-nobody-may-see";
const OLD_TOKEN: &str = "the-token-of-last-year";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

/// A boot partition with a config, a token and a certificate, and a box that has older ones.
struct Card(TempDir);

impl Card {
    fn new() -> Self {
        let card = Self(tempfile::tempdir().unwrap());
        for name in ["boot", "etc", "run"] {
            fs::create_dir(card.path(name)).unwrap();
        }
        for (name, content) in card.old() {
            let path = card.path("etc").join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        for (name, content) in card.new_ones() {
            fs::write(card.path("boot").join(name), content).unwrap();
        }
        card
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    fn config(&self, outlet: &str) -> String {
        format!(
            "[outlet]\nid = \"{outlet}\"\ntimezone = \"Asia/Jakarta\"\ncurrency = \"IDR\"\n\n\
             [[pos]]\nname = \"front\"\nsystem = \"qasir\"\ntoken-file = \"qasir.token\"\n\
             base-url = \"http://127.0.0.1:9\"\n\n\
             [hq]\nbrokers = [\"mqtts://127.0.0.1:9\"]\nacknowledge = \"feed\"\nca-certificate = \"hq-ca.crt\"\n\n\
             [outbox]\npath = \"{}\"\n",
            self.path("outbox").display()
        )
    }

    fn old(&self) -> BTreeMap<String, String> {
        files([("tillbox.toml", &self.config("jkt-013")), ("qasir.token", OLD_TOKEN), ("hq-ca.crt", CERTIFICATE)])
    }

    fn new_ones(&self) -> BTreeMap<String, String> {
        files([("tillbox.toml", &self.config("jkt-014")), ("qasir.token", TOKEN), ("hq-ca.crt", CERTIFICATE)])
    }

    fn content(&self, folder: &str) -> BTreeMap<String, String> {
        let entries = fs::read_dir(self.path(folder)).unwrap().map(Result::unwrap);
        let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        entries.map(|entry| (entry.file_name().into_string().unwrap(), read(entry.path()))).collect()
    }

    /// `tillbox provision`, behind other words if need be.
    fn provision(&self, before: &[&str]) -> Output {
        let words = [before, &[PROGRAM, "provision"]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("--boot").arg(self.path("boot"));
        command.arg("--config").arg(self.path("etc/tillbox.toml")).env("RUNTIME_DIRECTORY", self.path("run"));
        command.output().unwrap_or_else(|error| panic!("{words:?} cannot be run ({error}): install its Debian package"))
    }

    /// Either copy of each file is whole, and the daemon could run.
    fn assert_nothing_lost(&self, when: &str) {
        let (boot, etc, old) = (self.content("boot"), self.content("etc"), self.old());
        for (name, new) in self.new_ones() {
            assert!(boot.get(&name) == Some(&new) || etc.get(&name) == Some(&new), "{when}: {name} is lost");
            assert!(etc[&name] == new || etc[&name] == old[&name], "{when}: {name} is neither old nor new");
        }
        let checked = Command::new(PROGRAM).arg("check").arg("--config").arg(self.path("etc/tillbox.toml")).output();
        assert!(checked.unwrap().status.success(), "{when}: the daemon could not run");
    }

    fn assert_taken_over(&self, when: &str) {
        assert_eq!(self.content("etc"), self.new_ones(), "{when}");
        let boot = self.content("boot");
        assert_eq!(boot.keys().collect::<Vec<_>>(), ["tillbox-report.txt"], "{when}");
        let report = &boot["tillbox-report.txt"];
        assert!(report.contains("has taken over") && !report.contains(TOKEN), "{when}: {report}");
        assert!(self.content("run").is_empty(), "{when}");
    }
}

fn files<const N: usize>(list: [(&str, &str); N]) -> BTreeMap<String, String> {
    list.into_iter().map(|(name, content)| (name.to_owned(), content.to_owned())).collect()
}

#[test]
fn killed_before_any_of_its_steps_it_loses_nothing_and_the_next_start_goes_on() {
    let mut cuts = 0;
    for call in ["openat", "write", "fsync", "fchown", "rename", "unlink"] {
        for number in 1..200 {
            let card = Card::new();
            let inject = format!("inject={call}:signal=KILL:when={number}");
            let output =
                card.provision(&["strace", "-f", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject]);
            let when = format!("killed at {call} {number}");
            if output.status.success() {
                card.assert_taken_over(&when);
                break;
            }
            assert_eq!(output.status.signal(), Some(9), "{when}: {output:?}");
            cuts += 1;
            card.assert_nothing_lost(&when);
            let again = card.provision(&[]);
            assert!(again.status.success(), "{when}: {again:?}");
            card.assert_taken_over(&when);
        }
    }
    println!("{cuts} cuts");
    assert!(cuts > 30, "only {cuts} cuts");
}

#[test]
fn on_a_full_card_the_old_config_stays_and_the_report_says_so() {
    let mut full = 0;
    for number in 1..20 {
        let card = Card::new();
        let inject = format!("inject=write:error=ENOSPC:when={number}");
        let output = card.provision(&["strace", "-f", "-o", "/dev/null", "-e", "trace=write", "-e", &inject]);
        if output.status.code() == Some(74) {
            full += 1;
            assert_eq!((card.content("etc"), card.content("run").len()), (card.old(), 1), "write {number}");
            let boot = card.content("boot");
            assert!(boot["tillbox-report.txt"].contains("make room on the card"), "{boot:?}");
            assert!(card.new_ones().iter().all(|(name, new)| boot[name] == *new), "write {number}");
            assert!(card.provision(&[]).status.success());
            card.assert_taken_over(&format!("after a full card at write {number}"));
            continue;
        }
        // The partition, or whoever listens, takes no more: the report may be missing, and nothing else is.
        card.assert_nothing_lost(&format!("write {number}"));
        assert!(card.provision(&[]).status.success());
        assert_eq!(card.content("etc"), card.new_ones(), "write {number}");
        assert_eq!(card.content("boot").keys().collect::<Vec<_>>(), ["tillbox-report.txt"], "write {number}");
    }
    assert_eq!(full, 3, "each of the three files met a full card once");
}

#[test]
fn a_partition_that_can_only_be_read_is_taken_over_once_and_said_to_keep_its_secrets() {
    let card = Card::new();
    let boot = card.path("boot").display().to_string();
    let script = format!("mount --bind '{boot}' '{boot}' && mount -o remount,bind,ro '{boot}' && exec \"$@\"");
    let read_only = ["unshare", "--mount", "sh", "-c", &script, "sh"];
    let probe = Command::new("unshare").args(&read_only[1..]).arg("true").status();
    if !probe.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("TILLBOX_TESTS").is_none_or(|how| how != "strict"), "no mounts can be made here");
        eprintln!("not run: no mounts can be made here");
        return;
    }
    for _ in 0..2 {
        let output = card.provision(&read_only);
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("cannot be erased") && said.contains("delete it by hand"), "{said}");
        assert_eq!(card.content("boot"), card.new_ones());
        let etc = card.content("etc");
        assert!(card.new_ones().iter().all(|(name, new)| etc[name] == *new), "{etc:?}");
    }
    // What a technician changes on the box itself is not undone at the next start.
    let path = card.path("etc/tillbox.toml");
    let changed = card.config("jkt-099");
    fs::write(&path, &changed).unwrap();
    assert!(card.provision(&read_only).status.success());
    assert_eq!(fs::read_to_string(&path).unwrap(), changed);
    // Once the partition can be written, its copies go.
    assert!(card.provision(&[]).status.success());
    assert_eq!(fs::read_to_string(&path).unwrap(), changed);
    assert_eq!(card.content("boot").keys().collect::<Vec<_>>(), ["tillbox-report.txt"]);
    assert_eq!(card.content("etc").keys().collect::<Vec<_>>(), ["hq-ca.crt", "qasir.token", "tillbox.toml"]);
}

/// A daemon that is killed with its test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _gone_already = (self.0.kill(), self.0.wait());
    }
}

#[test]
fn a_daemon_whose_config_is_faulty_stays_says_why_and_goes_on_once_it_is_right() {
    let card = Card::new();
    let config = card.path("etc/tillbox.toml");
    fs::write(&config, card.config("jkt-014").replace("IDR", "RUPIAH")).unwrap();
    fs::write(card.path("run/provisioning-refused"), "the config on the boot partition was not taken over: x\n")
        .unwrap();
    let socket = card.path("notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let hear = |word: &str| {
        let mut buffer = [0; 1024];
        loop {
            let length = systemd.recv(&mut buffer).unwrap_or_else(|error| panic!("{word} is not heard: {error}"));
            if String::from_utf8_lossy(&buffer[..length]).lines().any(|line| line.starts_with(word)) {
                return;
            }
        }
    };
    let mut command = Command::new(PROGRAM);
    command.args(["run", "--stay", "--config"]).arg(&config).env_remove("JOURNAL_STREAM");
    command.env("NOTIFY_SOCKET", &socket).env("RUNTIME_DIRECTORY", card.path("run"));
    command.env("WATCHDOG_USEC", "20000000");
    let mut daemon = Daemon(command.stderr(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(daemon.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("outlet.currency")));
    hear("STATUS=the config cannot be used: ");
    hear("WATCHDOG=1");
    fs::write(&config, card.config("jkt-014")).unwrap();
    assert!(lines.any(|line| line.contains("config_refused") && line.contains("was not taken over: x")));
    assert!(lines.any(|line| line.contains("is running")));
    hear("READY=1");
    assert!(Command::new("kill").args(["-s", "TERM", &daemon.0.id().to_string()]).status().unwrap().success());
    assert!(daemon.0.wait().unwrap().success());
}
