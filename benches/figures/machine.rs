//! What is measured on, and how much of it is used.

use std::{fs, process::Command, time::Duration};

use tillbox::stop::Stop;

/// The machine, the kernel and the day.
pub fn description() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let day = chrono::Utc::now().format("%Y-%m-%d");
    format!("{day}, {cores} cores of {model}, Linux {}, {}", kernel.trim(), std::env::consts::ARCH)
}

/// CPU time of a process so far, in milliseconds (the kernel counts in hundredths of a second).
pub fn cpu_ms(process: &str) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}

/// Resident memory of a process, in KiB.
pub fn resident_kib(process: &str) -> u64 {
    status(process, "VmRSS")
}

/// A number of a process's status as the kernel tells it, memory in KiB.
pub fn status(process: &str, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// What a process's threads did so far: microseconds on a processor, and how often they slept.
pub fn activity(process: &str) -> (u64, u64) {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    threads.fold((0, 0), |(spent_us, sleeps), thread| {
        let stat = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        let spent_ns: u64 = stat.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0);
        let thread = format!("{process}/task/{}", thread.file_name().to_string_lossy());
        (spent_us + spent_ns / 1_000, sleeps + status(&thread, "voluntary_ctxt_switches"))
    })
}

/// Lets time pass.
pub fn wait(span: Duration) {
    let _never_given = Stop::default().wait(span);
}

/// Bytes that this process has sent to the storage layer so far.
pub fn written_bytes() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
    io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok()).unwrap_or(0)
}

/// The middle one.
pub fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// A ratio in hundredths as a text: `1.25`.
pub fn ratio(numerator: u64, denominator: u64) -> String {
    let hundredths = numerator.saturating_mul(100) / denominator.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// A port of the loopback that nobody listens on.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// A Mosquitto on a free port of the loopback, ended when dropped.
pub struct Mosquitto {
    pub port: u16,
    child: std::process::Child,
    _folder: tempfile::TempDir,
}

impl Mosquitto {
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts one with further settings.
    pub fn start_with(settings: &str) -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("mosquitto.conf");
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nlog_type none\nuser root\n{settings}"
        );
        fs::write(&config, text).expect("a config file");
        let child = Command::new("mosquitto").arg("-c").arg(&config).spawn();
        let child = child.expect("Mosquitto must be installed: apt-get install mosquitto mosquitto-clients");
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        Self { port, child, _folder: folder }
    }

    /// A live persistent subscriber to everything.
    pub fn subscriber(&self) -> Subscriber {
        let mut command = Command::new("mosquitto_sub");
        command.args(["-h", "127.0.0.1", "-q", "1", "-c", "-i", "hq", "-t", "#", "-p", &self.port.to_string()]);
        let child = command.stdout(std::process::Stdio::null()).spawn();
        Subscriber(child.expect("mosquitto_sub must be installed: apt-get install mosquitto-clients"))
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// A subscriber process, ended when dropped.
pub struct Subscriber(std::process::Child);

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}
