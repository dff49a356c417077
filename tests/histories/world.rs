//! A simulated point of sale, the box's own poll and outbox, and HQ, by a clock that stands until it is set.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;
use tillbox::{
    clock::Clock,
    config::{Acknowledge, Config, Origin},
    daemon::poll_of,
    demo::{
        shop::Chance,
        simulator::{InProcess, Simulator},
    },
    health::Health,
    outbox::{Options, Outbox, ReadAgain},
    poll::Poller,
    pos::{
        connector::RESCAN_HORIZON,
        http::{Answer, Ask, Failure},
        request::Request,
    },
    stop::Stop,
};

use crate::hq::Hq;

/// What goes wrong between the box and the point of sale.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Of 1,000 requests so many fail.
    pub per_mille: u32,
    /// While one of these lasts nobody answers.
    pub outages: Vec<(DateTime<Utc>, DateTime<Utc>)>,
    /// Of 10,000 steps so many are followed by a restart.
    pub restarts_per_10_000: u32,
    /// When the box is replaced by one that knows nothing.
    pub wipes: Vec<DateTime<Utc>>,
    /// Nothing goes wrong after this.
    pub until: DateTime<Utc>,
}

/// A line to the simulator on which things go wrong, and on which time passes.
struct Faulty {
    inner: InProcess<dyn Simulator>,
    clock: Clock,
    faults: Faults,
    shared: Arc<Mutex<Shared>>,
}

/// What the line and its owner both see.
struct Shared {
    chance: Chance,
    asked: Vec<(DateTime<Utc>, String)>,
}

impl Ask for Faulty {
    fn ask(&self, request: &Request, accepts: &dyn Fn(u16) -> bool) -> Result<Answer, Failure> {
        let now = self.clock.now();
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let query: Vec<_> = request.query().iter().map(|(name, value)| format!("{name}={value}")).collect();
        shared.asked.push((now, format!("{request} {}", query.join("&"))));
        self.clock.set(now + TimeDelta::milliseconds(20 + i64::from(shared.chance.below(300))));
        if self.faults.outages.iter().any(|(from, to)| *from <= now && now < *to) {
            return Err(Failure::Unreachable("an outage".to_owned()));
        }
        let fails = now < self.faults.until && shared.chance.below(1_000) < self.faults.per_mille;
        // Some faults strike before the server sees the request, some after.
        let fault = fails.then(|| shared.chance.below(6));
        match fault {
            Some(0) => return Err(Failure::Unreachable("cut".to_owned())),
            Some(1) => return Err(Failure::TooMany { retry_after: None }),
            Some(2) => return Err(Failure::Trouble(502)),
            _ => {}
        }
        let mut answer = self.inner.ask(request, accepts)?;
        match fault {
            Some(3) => answer.body.truncate(answer.body.len() / 2),
            Some(4) => answer.body = b"<!DOCTYPE html><title>Login</title>".to_vec(),
            Some(5) => answer.body = br#"{"error": "later"}"#.to_vec(),
            _ => {}
        }
        Ok(answer)
    }
}

/// How a world is set up.
pub struct Setting {
    pub simulator: Arc<dyn Simulator>,
    pub clock: Clock,
    pub zone: &'static str,
    pub day_starts: &'static str,
    pub poll_every: &'static str,
    pub backfill: &'static str,
    pub faults: Faults,
    pub seed: u64,
}

pub struct World {
    pub config: Config,
    pub simulator: Arc<dyn Simulator>,
    pub clock: Clock,
    pub health: Arc<Health>,
    outbox: Option<Arc<Outbox>>,
    pub hq: Hq,
    /// How far back the first box began.
    pub since: Option<DateTime<Utc>>,
    poller: Option<Poller>,
    faults: Faults,
    shared: Arc<Mutex<Shared>>,
    chance: Chance,
    folder: TempDir,
    boxes: u32,
    taken: u64,
    /// The watermark whose records HQ has.
    watermark: Option<DateTime<Utc>>,
}

impl World {
    pub fn new(setting: Setting) -> Self {
        let Setting { simulator, clock, zone, day_starts, poll_every, backfill, mut faults, seed } = setting;
        faults.wipes.sort();
        faults.wipes.reverse();
        // The card is not what is under test here: memory spares it.
        let shm = Path::new("/dev/shm");
        let folder = if shm.is_dir() { TempDir::new_in(shm) } else { TempDir::new() }.unwrap();
        let text = format!(
            "[outlet]\nid = \"t\"\ntimezone = \"{zone}\"\ncurrency = \"IDR\"\nbusiness-day-starts = \"{day_starts}\"\n\
             [[pos]]\nname = \"front\"\n{}base-url = \"http://127.0.0.1:1{}\"\npoll-every = \"{poll_every}\"\n\
             backfill = \"{backfill}\"\ntimezone = \"{zone}\"\ncurrency = \"IDR\"\n\
             [hq]\nbrokers = [\"mqtt://127.0.0.1\"]\nacknowledge = \"broker\"\n",
            simulator.pos_block(),
            simulator.base_path()
        );
        let origin = Origin { path: Path::new("tillbox.toml"), mode: 0o600, arriving: None };
        let config = Config::parse(&text, &origin).unwrap_or_else(|faults| panic!("{text}\n{faults}"));
        let shared = Arc::new(Mutex::new(Shared { chance: Chance::new(seed ^ 0x5EED), asked: Vec::new() }));
        let outbox = open(&config, folder.path(), 0, clock.now());
        outbox.take_generation(1, true, ReadAgain::new()).unwrap();
        let mut world = Self {
            config,
            simulator,
            clock,
            health: Arc::default(),
            outbox: Some(outbox),
            hq: Hq::default(),
            since: None,
            poller: None,
            faults,
            shared,
            chance: Chance::new(seed ^ 0xB0B),
            folder,
            boxes: 0,
            taken: 0,
            watermark: None,
        };
        world.start();
        world
    }

    fn start(&mut self) {
        let inner = InProcess::new(Arc::clone(&self.simulator));
        let faulty =
            Faulty { inner, clock: self.clock.clone(), faults: self.faults.clone(), shared: Arc::clone(&self.shared) };
        let (outlet, pos) = (&self.config.outlet, &self.config.pos[0]);
        let stop = Stop::default();
        let poll = poll_of(outlet, pos, Box::new(faulty), self.outbox(), &self.health, &self.clock, &stop);
        self.poller = Some(poll.begin().unwrap());
    }

    /// The process ends without a word and starts again.
    fn restart(&mut self) {
        self.poller = None;
        self.reopen(self.boxes);
        self.start();
    }

    /// Another box takes its place, which knows only what HQ remembers.
    fn wipe(&mut self) {
        self.poller = None;
        self.boxes += 1;
        self.taken = 0;
        self.reopen(self.boxes);
        let again = self.watermark.map(|watermark| ("front".to_owned(), watermark - RESCAN_HORIZON));
        self.outbox().take_generation(self.boxes + 1, true, again.into_iter().collect()).unwrap();
        self.start();
    }

    fn reopen(&mut self, number: u32) {
        // The lock must be given up before it is taken again.
        self.outbox = None;
        let outbox = open(&self.config, self.folder.path(), number, self.clock.now());
        self.outbox = Some(outbox);
        self.health = Arc::default();
    }

    pub fn run_until(&mut self, end: DateTime<Utc>) {
        let mut looked = 0;
        while self.clock.now() < end {
            let now = self.clock.now();
            if self.faults.wipes.pop_if(|at| *at <= now).is_some() {
                self.wipe();
            }
            if now < self.faults.until && self.chance.below(10_000) < self.faults.restarts_per_10_000 {
                self.clock.set(now + TimeDelta::seconds(20));
                self.restart();
            }
            let pause = self.poller.as_mut().unwrap().step();
            self.clock.set(self.clock.now() + TimeDelta::from_std(pause).unwrap());
            looked += 1;
            if looked % 16 == 0 && self.chance.happens(50) {
                self.drain();
            }
        }
        self.drain();
    }

    /// HQ takes everything, and the box forgets it.
    fn drain(&mut self) {
        let level = self.outbox().level();
        while self.taken < level.durable {
            let events = self.outbox().read(level.epoch, self.taken, 500).unwrap();
            for event in events {
                self.hq.take(&event);
                self.taken = event.sequence;
            }
        }
        self.outbox().acknowledge(level.epoch, level.durable);
        self.outbox().tend(Acknowledge::Broker, true, self.clock.now()).unwrap();
        let facts = self.health.facts();
        let Some(connection) = facts.connections.get("front") else { return };
        self.watermark = connection.progress.watermark.or(self.watermark);
        self.since = self.since.or(connection.progress.since);
    }

    /// Whether another box took the first one's place.
    pub fn is_replaced(&self) -> bool {
        self.boxes > 0
    }

    pub fn outbox(&self) -> &Arc<Outbox> {
        self.outbox.as_ref().expect("open but while it is opened anew")
    }

    pub fn requests(&self) -> Vec<(DateTime<Utc>, String)> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).asked.clone()
    }

    /// The conditions that hold, with their texts.
    pub fn conditions(&self) -> BTreeMap<String, String> {
        let facts = self.health.facts();
        facts.conditions().map(|(condition, _, held)| (condition.code().to_owned(), held.text.clone())).collect()
    }
}

fn open(config: &Config, folder: &Path, number: u32, now: DateTime<Utc>) -> Arc<Outbox> {
    let options = Options {
        folder: folder_of(folder, number),
        max_bytes: 64 * 1024 * 1024,
        outlet: config.outlet.id.clone(),
        topic_prefix: "tillbox".to_owned(),
        event_max_bytes: 128 * 1024,
        retention: TimeDelta::days(100),
        connections: vec![("front".to_owned(), "source".to_owned())],
        retired: Vec::new(),
    };
    Arc::new(Outbox::open(options, now).unwrap().outbox)
}

fn folder_of(folder: &Path, number: u32) -> PathBuf {
    folder.join(number.to_string())
}
