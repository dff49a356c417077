//! A whole box to which nothing happens: two connections and HQ over TLS, and the page that somebody reads.
//!
//! `TILLBOX_BENCH_PROGRAM` names another build of the program, such as that for a box, and `TILLBOX_BENCH_BOARD` the
//! profile of a board that this machine is.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use chrono::{TimeDelta, Utc};
use tillbox::{
    clock::Clock,
    demo::{
        pos_kasir::{self, PosKasir},
        qasir::{self, Qasir},
        shop::{Change, Movement, Sale},
        street::{Shop, Stall, Street},
    },
};

use crate::{
    machine::{Mosquitto, activity, free_port, status, wait},
    records,
    tls::Certificates,
};

/// Until it has read the points of sale and said all that it has to say.
const SETTLED_AFTER: Duration = Duration::from_secs(20);

const IDLE: Duration = Duration::from_secs(60);

const SALES: i64 = 10;

pub fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let certificates = Certificates::make(folder.path());
    let broker = Mosquitto::start_with(&format!(
        "cafile {}\ncertfile {}\nkeyfile {}\n",
        certificates.authority.display(),
        certificates.certificate.display(),
        certificates.key.display()
    ));
    let street = open_street();
    let page = free_port();
    let config = write_config(folder.path(), &street, &certificates, broker.port, page);
    let daemon = start(&config, &certificates);
    let process = daemon.0.id().to_string();
    wait(SETTLED_AFTER);
    let page_bytes = (0..3).map(|_| read_page(page)).min().unwrap_or(0);
    let sales: u64 = street.shops().iter().map(|shop| shop.server().http().requests()).sum();
    assert!(page_bytes > 1_000 && sales > 0, "the page has {page_bytes} bytes, and {sales} requests came");
    let (before_us, slept) = activity(&process);
    wait(IDLE);
    let (after_us, sleeps) = activity(&process);
    let (busy_us, sleeps) = (after_us - before_us, sleeps - slept);
    // A thousandth of a percent is 10 µs in a second.
    let share = busy_us / IDLE.as_secs() / 10;
    println!(
        "idle, 2 connections over TLS every 15 s, HQ over TLS, page{}: {} KiB resident, of which {} KiB its own and {} \
         KiB files; {}.{:03} % of a core; {} wake-ups in {} s; {} threads",
        if board().is_some() { ", board" } else { "" },
        status(&process, "VmRSS"),
        status(&process, "RssAnon"),
        status(&process, "RssFile"),
        share / 1_000,
        share % 1_000,
        sleeps,
        IDLE.as_secs(),
        status(&process, "Threads")
    );
}

/// Two shops with some sales, which ask for no patience.
fn open_street() -> Street {
    let (clock, zone) = (Clock::system(), records::zone());
    let qasir =
        qasir::Options { requests_per_minute: None, ..qasir::Options::new(zone.clone(), "bench-token-0123456") };
    let kasir = pos_kasir::Options { requests_per_minute: None, ..pos_kasir::Options::new(zone.clone()) };
    let stalls = vec![
        Stall {
            connection: "warung",
            sign: "Qasir",
            currency: "IDR",
            simulator: Arc::new(Qasir::new(clock.clone(), qasir)),
        },
        Stall {
            connection: "cafe",
            sign: "POS Kasir",
            currency: "IDR",
            simulator: Arc::new(PosKasir::new(clock.clone(), kasir)),
        },
    ];
    let street = Street::of(stalls, &clock, &zone).expect("a street");
    for (number, shop) in (0..SALES).zip(street.shops().iter().cycle()) {
        let now = Utc::now();
        let sale = Sale::plain(&format!("S-{number:06}"), 15_000 + number, now - TimeDelta::seconds(30 * number));
        shop.stall.simulator.play(&[Movement { known_at: now, change: Change::Sold, sale }]);
    }
    street
}

fn write_config(folder: &Path, street: &Street, certificates: &Certificates, broker: u16, page: u16) -> PathBuf {
    let block = |shop: &Shop| {
        let server = shop.server().http().address();
        let relay = format!("https://127.0.0.1:{}", certificates.relay(server));
        let url = shop.server().base_url().replace(&format!("http://{server}"), &relay);
        shop.stall.pos_block(&url, "poll-every = \"15s\"\nbackfill = \"1d\"\nrequests-per-minute = 6000")
    };
    let blocks: Vec<_> = street.shops().iter().map(block).collect();
    let board = board().map(|profile| format!("[board]\nprofile = \"{profile}\"\n")).unwrap_or_default();
    let text = format!(
        r#"[outlet]
id = "bench"
timezone = "Asia/Jakarta"
currency = "IDR"

{}
[hq]
brokers = ["mqtts://127.0.0.1:{broker}"]
acknowledge = "broker"

[page]
listen = "127.0.0.1:{page}"

[outbox]
path = "{}"

{board}"#,
        blocks.join("\n"),
        folder.join("outbox").display()
    );
    let config = folder.join("tillbox.toml");
    let mut file = fs::OpenOptions::new();
    let file = file.write(true).create_new(true).mode(0o600).open(&config);
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("a config");
    config
}

fn board() -> Option<String> {
    env::var("TILLBOX_BENCH_BOARD").ok()
}

/// The daemon, ended when dropped.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _gone_already = (self.0.kill(), self.0.wait());
    }
}

fn start(config: &Path, certificates: &Certificates) -> Daemon {
    let program = env::var_os("TILLBOX_BENCH_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_tillbox").into());
    let mut command = Command::new(program);
    command.args(["run", "--config"]).arg(config).env("SSL_CERT_FILE", &certificates.all_authorities);
    Daemon(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the daemon"))
}

/// The bytes of the page.
fn read_page(port: u16) -> usize {
    let mut answer = Vec::new();
    let asked = TcpStream::connect(("127.0.0.1", port)).and_then(|mut page| {
        page.write_all(b"GET / HTTP/1.1\r\nHost: box\r\n\r\n")?;
        page.read_to_end(&mut answer)
    });
    asked.unwrap_or(0)
}
