//! What stands around the box: two points of sale, a line that can be cut, a broker, and HQ.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, NaiveTime, TimeDelta, Timelike as _, Utc};
use tillbox::{
    clock::Clock,
    closing::Calendar,
    config::Broker,
    demo::{
        hq::{Holdings, Hq},
        line::{Line, Wire},
        pos_kasir::{self, PosKasir},
        proof::{Proof, prove},
        qasir::{self, Qasir},
        shop::{Chance, Change, Kind, Movement, Sale},
        street::{Stall, Street},
    },
    zone::Zone,
};

use crate::{machine::ends_with_us, wait::until};

/// The outlet's id.
const OUTLET: &str = "box-001";

/// The address by which the guest reaches this machine's loopback.
const HOST: &str = "10.0.2.2";

/// Sales lie so many seconds back at most: within what every poll reads again, also where hundreds are sold.
const SPREAD_S: u32 = 60;

/// A broker that listens does so within this.
const BROKER_MAX: Duration = Duration::from_secs(10);

/// All of it.
pub struct World {
    pub street: Street,
    pub line: Wire,
    hq: Hq,
    broker: Mosquitto,
    calendar: Calendar,
    clock: Clock,
    chance: Chance,
    sold: Vec<(usize, Sale)>,
    session: Option<String>,
}

impl World {
    /// Opens the shops, the broker and HQ.
    pub fn open(folder: &Path, seed: u64) -> Self {
        let (clock, zone) = (Clock::system(), Zone::load("Asia/Jakarta").unwrap());
        // The run must not cross the end of a business day, whose closing would be due.
        let hour = (zone.local(clock.now()).hour() + 12) % 24;
        let calendar = Calendar { zone: zone.clone(), day_starts: NaiveTime::from_hms_opt(hour, 0, 0).unwrap() };
        // Limits per minute would only make each round longer.
        let qasir =
            qasir::Options { requests_per_minute: None, ..qasir::Options::new(zone.clone(), "box-token-0123456789") };
        let kasir = pos_kasir::Options { requests_per_minute: None, ..pos_kasir::Options::new(zone.clone()) };
        let stalls = vec![
            Stall {
                connection: "warung",
                sign: "Warung Bu Siti, Qasir",
                currency: "IDR",
                simulator: Arc::new(Qasir::new(clock.clone(), qasir)),
            },
            Stall {
                connection: "cafe",
                sign: "Kafe Sabang, POS Kasir",
                currency: "IDR",
                simulator: Arc::new(PosKasir::new(clock.clone(), kasir)),
            },
        ];
        let street = Street::of(stalls, &clock, &zone).unwrap();
        let broker = Mosquitto::start(folder);
        let line = Wire::to(([127, 0, 0, 1], broker.port).into()).unwrap();
        let direct = Broker { tls: false, host: "127.0.0.1".to_owned(), port: broker.port };
        let hq = Hq::start(direct, "tillbox", OUTLET, None).unwrap();
        Self { street, line, hq, broker, calendar, clock, chance: Chance::new(seed), sold: Vec::new(), session: None }
    }

    /// The config of a box that looks for sales so often, with further lines.
    pub fn config(&self, poll_every: &str, more: &str) -> String {
        let connections: Vec<_> = self
            .street
            .shops()
            .iter()
            .map(|shop| {
                let url = shop.server().base_url().replace("127.0.0.1", HOST);
                let more = format!(
                    "allow-plain-text = true\npoll-every = \"{poll_every}\"\nbackfill = \"1d\"\nrequests-per-minute = 6000"
                );
                shop.stall.pos_block(&url, &more)
            })
            .collect();
        format!(
            r#"[outlet]
id = "{OUTLET}"
timezone = "Asia/Jakarta"
currency = "IDR"
business-day-starts = "{}"

{}
[hq]
brokers = ["mqtt://{HOST}:{}"]
allow-plain-text = true
acknowledge = "feed"
keep-alive = "5s"

[outbox]
path = "/data/tillbox"
max-size = "32MiB"
{more}"#,
            self.calendar.day_starts.format("%H:%M"),
            connections.join("\n"),
            self.line.address().port()
        )
    }

    /// Something happens at a till: most often a sale, sometimes one that is changed afterwards or comes back.
    pub fn sell(&mut self) {
        let now = self.clock.now().with_nanosecond(0).unwrap();
        let earlier = self.sold.len().checked_sub(1).map(|last| {
            let number = self.chance.below(u32::try_from(last + 1).unwrap());
            self.sold[usize::try_from(number).unwrap()].clone()
        });
        let (shop, change, sale) = match (self.chance.below(10), earlier) {
            (0, Some((shop, sold))) if sold.kind == Kind::Sale => {
                let total = sold.total + rust_decimal::Decimal::from(500);
                (shop, Change::Edited, Sale { total, ..sold })
            }
            // POS Kasir gives an order back as a whole, and shows it as called off.
            (1, Some((0, sold))) if sold.kind == Kind::Sale => {
                let (id, refund_of) = (format!("R-{:06}", self.sold.len()), Some(sold.id.clone()));
                (0, Change::Refunded, Sale { id, kind: Kind::Refund, at: now, refund_of, ..sold })
            }
            _ => {
                let number = self.sold.len();
                let total = 1_000 + i64::from(self.chance.below(400)) * 250;
                // Hundreds in one second could not be told apart by an API that reads by seconds: an open gap.
                let at = now - TimeDelta::seconds(i64::from(self.chance.below(SPREAD_S)));
                (number % 2, Change::Sold, Sale::plain(&format!("S-{number:06}"), total, at))
            }
        };
        match self.sold.iter_mut().find(|(_, known)| known.id == sale.id) {
            Some((_, known)) => *known = sale.clone(),
            None => self.sold.push((shop, sale.clone())),
        }
        let movement = Movement { known_at: self.clock.now(), change, sale };
        self.street.shops()[shop].stall.simulator.play(&[movement]);
    }

    /// These sales at a shop, new or as they are from now on.
    pub fn ring_up(&self, shop: usize, sales: impl IntoIterator<Item = Sale>) {
        let known_at = self.clock.now();
        let movements: Vec<_> =
            sales.into_iter().map(|sale| Movement { known_at, change: Change::Sold, sale }).collect();
        self.street.shops()[shop].stall.simulator.play(&movements);
    }

    /// A whole second of this span ago.
    pub fn ago(&self, seconds: u32) -> DateTime<Utc> {
        self.clock.now().with_nanosecond(0).unwrap() - TimeDelta::seconds(seconds.into())
    }

    /// So many characters that nothing can compress by much, of the run's own chance.
    pub fn noise(&mut self, chars: usize) -> String {
        (0..chars).map(|_| char::from(b'0' + u8::try_from(self.chance.below(74)).unwrap())).collect()
    }

    /// A span below a bound, of the run's own chance.
    pub fn chance_ms(&mut self, bound: u32) -> Duration {
        Duration::from_millis(u64::from(self.chance.below(bound)))
    }

    /// Something of what HQ holds now.
    pub fn at_hq<T>(&self, look: impl FnOnce(&Holdings) -> T) -> T {
        look(&self.hq.holdings())
    }

    /// A value of the box's last status, by its JSON pointer.
    pub fn status(&self, pointer: &str) -> Option<serde_json::Value> {
        self.at_hq(|holdings| holdings.status.as_ref()?.pointer(pointer).cloned())
    }

    /// Whether a box is at HQ, by another session than when this was last so.
    pub fn is_new_session(&mut self) -> bool {
        let running = self.status("/state").is_some_and(|state| state == "running");
        let session = self.status("/session").and_then(|session| session.as_str().map(str::to_owned));
        let is_new = running && session.is_some() && session != self.session;
        if is_new {
            self.session = session;
        }
        is_new
    }

    /// What the shops' books say against what HQ holds.
    pub fn proof(&self) -> Proof {
        prove(&self.street, &self.hq.holdings(), &self.calendar, Utc::now())
    }

    /// Waits until HQ holds what the shops sold.
    pub fn wait_for_proof(&self, limit: Duration) -> Proof {
        let _judged_by_the_caller = until(limit, || self.proof().holds());
        self.proof()
    }

    /// The same for much to read: waits as long as each such span brings it nearer, and no longer than `limit`.
    pub fn wait_while_nearing(&self, span: Duration, limit: Duration) -> Proof {
        let begun = Instant::now();
        let mut lacks = usize::MAX;
        loop {
            let proof = self.wait_for_proof(span);
            let still = proof.missing.len() + proof.different.len();
            if proof.holds() || still >= lacks || begun.elapsed() > limit {
                return proof;
            }
            lacks = still;
        }
    }

    /// The line to HQ is cut, or mended.
    pub fn cut_line(&self) {
        self.line.set(Line::Cut);
    }

    pub fn mend_line(&self) {
        self.line.set(Line::Open);
    }

    /// The broker ends at once with all that it held in memory, and starts again.
    pub fn kill_broker(&mut self) {
        self.broker.kill();
    }

    pub fn start_broker(&mut self) {
        self.broker.start_again();
    }

    /// The broker starts again and lets nobody in, or anybody.
    pub fn close_broker(&mut self, closed: bool) {
        self.broker.kill();
        self.broker.configure(closed);
        self.broker.start_again();
    }
}

/// A broker on a free port of the loopback; it ends when dropped.
struct Mosquitto {
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Mosquitto {
    fn start(folder: &Path) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut this = Self { folder: folder.to_owned(), port, child: None };
        this.configure(false);
        this.start_again();
        this
    }

    fn configure(&self, closed: bool) {
        let (port, anonymous) = (self.port, !closed);
        let config = format!(
            "user root\nlistener {port} 127.0.0.1\nallow_anonymous {anonymous}\npersistence false\nmax_queued_messages 0\n"
        );
        fs::write(self.folder.join("mosquitto.conf"), config).unwrap();
    }

    fn start_again(&mut self) {
        let program = ["/usr/sbin/mosquitto", "mosquitto"].into_iter().find(|path| Path::new(path).exists());
        let log = File::options().create(true).append(true).open(self.folder.join("mosquitto.log")).unwrap();
        let mut command = ends_with_us(program.unwrap_or("mosquitto"));
        command.arg("-c").arg(self.folder.join("mosquitto.conf"));
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        self.child = Some(spawned.unwrap_or_else(|error| panic!("mosquitto: {error}")));
        until(BROKER_MAX, || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()).expect("mosquitto listens");
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone_already = (child.kill(), child.wait());
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}
