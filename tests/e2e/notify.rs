//! What systemd is told.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use crate::parts::{
    stage::Stage,
    tillbox::holds,
    wait::{PATIENCE, until},
};

/// How long the listener waits for a word before it looks whether it is still needed.
const LISTEN: Duration = Duration::from_secs(60);

struct Systemd {
    heard: Arc<Mutex<Vec<String>>>,
}

impl Systemd {
    fn listen(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("a socket");
        socket.set_read_timeout(Some(LISTEN)).expect("a time-out");
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let hearing = Arc::clone(&heard);
        thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(length) = socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]).trim().to_owned();
                hearing.lock().unwrap_or_else(PoisonError::into_inner).push(text);
            }
        });
        Self { heard }
    }

    fn lines(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.iter().flat_map(|text| text.lines()).map(str::to_owned).collect()
    }

    fn count(&self, word: &str) -> usize {
        self.lines().iter().filter(|line| *line == word).count()
    }

    fn wait_for(&self, word: &str) {
        self.wait_for_times(word, 1);
    }

    fn wait_for_times(&self, word: &str, times: usize) {
        let often = || (self.count(word) >= times).then_some(());
        until(PATIENCE, often, || format!("{times} times {word}; heard {:?}", self.lines()));
    }

    fn wait_for_line(&self, what: &str, is: impl Fn(&str) -> bool) {
        let there = || self.lines().iter().any(|line| is(line)).then_some(());
        until(PATIENCE, there, || format!("{what}; heard {:?}", self.lines()));
    }
}

fn with_systemd() -> (Stage, Systemd) {
    let mut stage = Stage::new("broker");
    let path = stage.path().join("notify");
    let systemd = Systemd::listen(&path);
    stage.setup.environment.push(("NOTIFY_SOCKET".to_owned(), path.display().to_string()));
    (stage, systemd)
}

#[test]
fn systemd_hears_when_the_box_is_ready_and_when_it_stops() {
    let (stage, systemd) = with_systemd();
    let mut daemon = stage.start();
    systemd.wait_for("READY=1");
    daemon.stop();
    systemd.wait_for("STOPPING=1");
}

#[test]
fn a_box_without_a_store_is_ready_all_the_same_so_that_systemd_does_not_start_it_again_and_again() {
    let (mut stage, systemd) = with_systemd();
    let obstacle = stage.path().join("card");
    fs::write(&obstacle, "no folder").expect("a file");
    stage.setup.store = obstacle.join("tillbox");
    let daemon = stage.start();
    daemon.wait_for("the store fails", |report| holds(report, "store_failed"));
    systemd.wait_for("READY=1");
}

/// The time within which this test's systemd wants to be told that the box is alive.
const WITHIN: Duration = Duration::from_millis(400);

#[test]
fn systemd_hears_that_work_moves_and_one_sentence_about_it() {
    let (mut stage, systemd) = with_systemd();
    stage.shop.sell(2);
    stage.setup.environment.push(("WATCHDOG_USEC".to_owned(), WITHIN.as_micros().to_string()));
    let mut daemon = stage.start();
    systemd.wait_for("READY=1");
    systemd.wait_for("STATUS=all sales are with the broker");
    systemd.wait_for_times("WATCHDOG=1", 3);
    stage.broker.stop();
    systemd.wait_for_line("an outage", |line| line.starts_with("STATUS=hq mqtt://"));
    let before = systemd.count("WATCHDOG=1");
    systemd.wait_for_times("WATCHDOG=1", before + 3);
    daemon.stop();
    systemd.wait_for("STOPPING=1");
}
