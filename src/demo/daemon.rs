//! The box of the demonstration: the daemon as a process of its own, with its virtual board.

use std::{
    fs::{self, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use super::street::Shop;

/// The outlet's id.
pub const OUTLET: &str = "demo-001";

/// A daemon that was started, or will be.
#[derive(Debug)]
pub struct Box {
    config: PathBuf,
    log: PathBuf,
    child: Option<Child>,
    report: Arc<Mutex<Option<Value>>>,
    starts: u32,
}

impl Box {
    /// Writes the config of a box whose store lies in `folder`, and which reads these shops.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn prepare(folder: &Path, shops: &[Shop], broker: SocketAddr) -> io::Result<Self> {
        let config = folder.join("tillbox.toml");
        let connections: Vec<_> = shops.iter().map(Shop::pos_block).collect();
        let text = format!(
            r#"[outlet]
id = "{OUTLET}"
name = "Jalan Sabang"
timezone = "Asia/Jakarta"
currency = "IDR"

{}
[hq]
brokers = ["mqtt://{broker}"]
acknowledge = "feed"
keep-alive = "5s"

[outbox]
path = "{}"
"#,
            connections.join("\n"),
            folder.join("outbox").display()
        );
        // Tokens stand in the file, so nobody else may read it.
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&config)?
            .write_all(text.as_bytes())?;
        Ok(Self { config, log: folder.join("daemon.log"), child: None, report: Arc::default(), starts: 0 })
    }

    /// Starts the daemon with a clock that shows `now` and runs `rate` times as fast.
    ///
    /// # Errors
    /// The program cannot be started again as the daemon.
    pub fn start(&mut self, now: DateTime<Utc>, rate: u32) -> io::Result<()> {
        let clock = format!("{}@{rate}", now.to_rfc3339_opts(SecondsFormat::Millis, true));
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["run", "--report", "--virtual-clock", &clock, "--config"])
            .arg(&self.config)
            .env_remove("JOURNAL_STREAM")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let (out, report) = (child.stdout.take(), Arc::clone(&self.report));
        if let Some(out) = out {
            thread::Builder::new().name("board".to_owned()).spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    *report.lock().unwrap_or_else(PoisonError::into_inner) = serde_json::from_str(&line).ok();
                }
                *report.lock().unwrap_or_else(PoisonError::into_inner) = None;
            })?;
        }
        self.child = Some(child);
        self.starts += 1;
        Ok(())
    }

    /// Ends the daemon at once, as a power cut ends a process.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone_already = child.kill();
            let _gone_already = child.wait();
        }
    }

    /// The daemon's exit, if it ended by itself.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let last = log.lines().rev().take(5).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
        Some(format!("the daemon ended by itself ({status}); its last words:\n{last}"))
    }

    /// What the daemon said of itself last; `None` while it is not running.
    #[must_use]
    pub fn report(&self) -> Option<Value> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often it was started.
    #[must_use]
    pub fn starts(&self) -> u32 {
        self.starts
    }
}

impl Drop for Box {
    fn drop(&mut self) {
        self.kill();
    }
}
