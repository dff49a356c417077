//! The program as it ships: its config, its process, what it says.

use std::{
    fs,
    io::{BufRead, BufReader, Write as _},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use serde_json::Value;

use super::{
    hq::OUTLET,
    shop::{TOKEN, ZONE},
    wait::{PATIENCE, ended, signal, until},
};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_tillbox");

/// What the config of a test's box says. `pos` and `hq` take more lines.
#[derive(Debug, Clone)]
pub struct Setup {
    pub config: PathBuf,
    pub outlet: String,
    pub store: PathBuf,
    pub connection: String,
    pub pos_url: String,
    pub broker: String,
    pub acknowledge: &'static str,
    pub pos: String,
    /// All connections, where they are not the one of Qasir.
    pub blocks: Option<String>,
    pub hq: String,
    /// More arguments of `tillbox run`.
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
}

impl Setup {
    pub fn new(folder: &Path, pos_url: &str, broker: SocketAddr, acknowledge: &'static str) -> Self {
        Self {
            config: folder.join("tillbox.toml"),
            outlet: OUTLET.to_owned(),
            store: folder.join("outbox"),
            connection: "front".to_owned(),
            pos_url: pos_url.to_owned(),
            broker: format!("mqtt://{broker}"),
            acknowledge,
            pos: "poll-every = \"1s\"\nrequests-per-minute = 6000\nbackfill = \"1d\"\n".to_owned(),
            blocks: None,
            hq: "keep-alive = \"5s\"\n".to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Writes the config, which holds secrets and is nobody else's to read.
    pub fn write(&self) {
        let Self { outlet, connection, pos_url, broker, acknowledge, pos, hq, .. } = self;
        let store = self.store.display();
        let front = format!(
            "[[pos]]\nname = \"{connection}\"\nsystem = \"qasir\"\nbase-url = \"{pos_url}\"\ntoken = \"{TOKEN}\"\n{pos}"
        );
        let blocks = self.blocks.as_deref().unwrap_or(&front);
        let text = format!(
            "[outlet]\nid = \"{outlet}\"\nname = \"Warung Sabang\"\ntimezone = \"{ZONE}\"\ncurrency = \"IDR\"\n\n\
             {blocks}\n\
             [hq]\nbrokers = [\"{broker}\"]\nacknowledge = \"{acknowledge}\"\n{hq}\n[outbox]\npath = \"{store}\"\n"
        );
        let mut file = fs::File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&self.config)
            .expect("the config can be written");
        file.write_all(text.as_bytes()).expect("the config can be written");
    }

    /// Starts the daemon.
    pub fn start(&self) -> Tillbox {
        self.write();
        self.start_as_written()
    }

    /// Starts the daemon with the config as it stands there.
    pub fn start_as_written(&self) -> Tillbox {
        let mut child = self
            .command("run")
            .arg("--report")
            .args(&self.arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let out = note(child.stdout.take().expect("a pipe"));
        let log = note(child.stderr.take().expect("a pipe"));
        Tillbox { child, out, log }
    }

    /// Runs a command, such as `outbox list`, to its end.
    pub fn run(&self, command: &str) -> Output {
        self.run_with(command, &[])
    }

    /// Runs a command with more arguments to its end.
    pub fn run_with(&self, command: &str, arguments: &[&str]) -> Output {
        self.command(command).args(arguments).output().expect("the program starts")
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(name.split(' ')).arg("--config").arg(&self.config).stdin(Stdio::null());
        for name in ["JOURNAL_STREAM", "NOTIFY_SOCKET", "TILLBOX_LOG"] {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().cloned());
        command
    }
}

type Lines = Arc<Mutex<Vec<String>>>;

/// A running daemon; killed when dropped.
pub struct Tillbox {
    child: Child,
    out: Lines,
    log: Lines,
}

impl Tillbox {
    /// What it logged.
    pub fn log(&self) -> String {
        text(&self.log)
    }

    /// Everything that it wrote, anywhere.
    pub fn said(&self) -> String {
        text(&self.out) + &self.log()
    }

    /// Lines of its log that warn or worse.
    pub fn warnings(&self) -> Vec<String> {
        let is_warning = |line: &&str| [" WARN ", "ERROR "].iter().any(|level| line.contains(level));
        self.log().lines().filter(is_warning).map(str::to_owned).collect()
    }

    /// Its one warning, which reaches the log a moment after the report.
    pub fn only_warning(&self) -> String {
        let first = until(PATIENCE, || self.warnings().into_iter().next(), || format!("a warning:\n{}", self.log()));
        assert_eq!(self.warnings().len(), 1, "{}", self.log());
        first
    }

    /// What it said of itself last.
    pub fn report(&self) -> Option<Value> {
        let lines = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::from_str(lines.last()?).ok().map(|mut body: Value| body["report"].take())
    }

    /// Every condition that it ever reported, by code.
    pub fn reported(&self, code: &str) -> bool {
        text(&self.out).contains(&format!("\"code\":\"{code}\""))
    }

    /// Waits for a report of which something holds.
    pub fn wait_for(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        self.wait_for_within(PATIENCE, what, holds)
    }

    pub fn wait_for_within(&self, limit: Duration, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        until(
            limit,
            || self.report().filter(|report| holds(report)),
            || format!("{what}; the last report: {:#}\n{}", self.report().unwrap_or_default(), self.log()),
        )
    }

    /// Waits for a line of its log.
    pub fn wait_for_line(&self, part: &str) -> String {
        until(
            PATIENCE,
            || self.log().lines().find(|line| line.contains(part)).map(str::to_owned),
            || format!("`{part}` in the log:\n{}", self.log()),
        )
    }

    /// Ends it as a power cut ends a process.
    pub fn kill(&mut self) {
        self.child.kill().expect("a running daemon can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        signal(&self.child, "TERM");
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let log = Arc::clone(&self.log);
        ended(&mut self.child, limit, || format!("the daemon does not end:\n{}", text(&log)))
    }

    /// Stops it in order.
    pub fn stop(&mut self) {
        self.terminate();
        let status = self.wait(Duration::from_secs(5));
        assert!(status.success(), "{status}\n{}", self.log());
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Tillbox {
    fn drop(&mut self) {
        let _gone_already = (self.child.kill(), self.child.wait());
    }
}

/// Whether a report names a condition.
pub fn holds(report: &Value, code: &str) -> bool {
    report["conditions"].as_array().is_some_and(|list| list.iter().any(|condition| condition["code"] == code))
}

/// Up to which event everything is where `acknowledge` promises it.
pub fn delivered(report: &Value) -> u64 {
    level(report, if report["acknowledge"] == "feed" { "released" } else { "acknowledged" })
}

/// A number of the report's outbox.
pub fn level(report: &Value, name: &str) -> u64 {
    report["outbox"][name].as_u64().unwrap_or_default()
}

fn note(pipe: impl std::io::Read + Send + 'static) -> Lines {
    let lines = Lines::default();
    let noting = Arc::clone(&lines);
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            noting.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
    lines
}

fn text(lines: &Lines) -> String {
    let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}
