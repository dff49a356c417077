//! What servers, and what stands before them, answer instead of sales: refusals, pages, limits; in every system, over
//! the box's own poll with a clock that stands until it is set.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, reason = "a test stops where its stage cannot be set")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;
use tillbox::{
    clock::Clock,
    config::{Config, Origin},
    daemon::poll_of,
    demo::{
        asalta, olsera, pos_kasir, qasir,
        shop::{Change, Movement, Sale},
        simulator::{InProcess, Server, Simulator},
    },
    health::{Condition, Health},
    outbox::{Options, Outbox, ReadAgain},
    poll::Poller,
    pos::{
        http::{Answer, Ask, Client, Failure},
        request::Request,
    },
    secret::SecretAt,
    stop::Stop,
    zone::Zone,
};

const BEGIN: &str = "2026-03-14T05:00:00Z";
const BUSY: Failure = Failure::Busy { retry_after: None };
const REFUSED: Failure = Failure::Refused(401);

type Script = Box<dyn Fn(usize, &Request) -> Option<Failure> + Send>;

/// What stands between box and server: a script by the number of a request, and what was asked when.
#[derive(Default)]
struct Between {
    script: Option<Script>,
    asked: Vec<(DateTime<Utc>, String)>,
}

struct Scripted {
    inner: Box<dyn Ask>,
    clock: Clock,
    between: Arc<Mutex<Between>>,
}

impl Ask for Scripted {
    fn ask(&self, request: &Request, accepts: &dyn Fn(u16) -> bool) -> Result<Answer, Failure> {
        let now = self.clock.now();
        self.clock.set(now + TimeDelta::milliseconds(50));
        let mut between = self.between.lock().unwrap();
        let number = between.asked.len();
        between.asked.push((now, request.to_string()));
        match between.script.as_ref().and_then(|script| script(number, request)) {
            Some(failure) => Err(failure),
            None => self.inner.ask(request, accepts),
        }
    }
}

struct Shop {
    simulator: Arc<dyn Simulator>,
    clock: Clock,
    health: Arc<Health>,
    outbox: Arc<Outbox>,
    between: Arc<Mutex<Between>>,
    poller: Poller,
    sold: u32,
    _server: Option<Server<Arc<dyn Simulator>>>,
    _folder: TempDir,
}

fn simulators(clock: &Clock) -> Vec<(&'static str, Arc<dyn Simulator>)> {
    let zone = || Zone::load("Asia/Jakarta").unwrap();
    let olsera = |profile| olsera::Olsera::new(clock.clone(), olsera::Options::new(zone(), profile));
    vec![
        ("qasir", Arc::new(qasir::Qasir::new(clock.clone(), qasir::Options::new(zone(), "token-0123456789")))),
        ("pos-kasir", Arc::new(pos_kasir::PosKasir::new(clock.clone(), pos_kasir::Options::new(zone())))),
        ("olsera-open", Arc::new(olsera(olsera::Profile::OpenApi))),
        ("olsera-documented", Arc::new(olsera(olsera::Profile::Documented))),
        ("asalta", Arc::new(asalta::Asalta::new(clock.clone(), asalta::Options::new(zone())))),
    ]
}

impl Shop {
    /// A shop of each system, whose first sales the box has read.
    fn each() -> Vec<(&'static str, Self)> {
        let names: Vec<_> = simulators(&Clock::standing_at(at(BEGIN))).into_iter().map(|(name, _)| name).collect();
        names.into_iter().map(|name| (name, Self::open(name))).collect()
    }

    fn open(name: &str) -> Self {
        Self::with(name, None)
    }

    /// `token`: the file in which the credential stands instead.
    fn with(name: &str, token: Option<PathBuf>) -> Self {
        let clock = Clock::standing_at(at(BEGIN));
        let (_, simulator) = simulators(&clock).into_iter().find(|(of, _)| *of == name).unwrap();
        let text = format!(
            "[outlet]\nid = \"t\"\ntimezone = \"Asia/Jakarta\"\ncurrency = \"IDR\"\n[[pos]]\nname = \"front\"\n{}base-url = \
             \"http://127.0.0.1:1{}\"\ntimezone = \"Asia/Jakarta\"\ncurrency = \"IDR\"\npoll-every = \"15s\"\nbackfill = \"1d\"\n[hq]\nbrokers = [\"mqtt://127.0.0.1\"]\n\
             acknowledge = \"broker\"\n",
            simulator.pos_block(),
            simulator.base_path()
        );
        let origin = Origin { path: Path::new("tillbox.toml"), mode: 0o600, arriving: None };
        let config = Config::parse(&text, &origin).unwrap_or_else(|faults| panic!("{text}\n{faults}"));
        // The card is not what is under test here: memory spares it.
        let shm = Path::new("/dev/shm");
        let folder = if shm.is_dir() { TempDir::new_in(shm) } else { TempDir::new() }.unwrap();
        let options = Options {
            folder: folder.path().to_owned(),
            max_bytes: 64 * 1024 * 1024,
            outlet: "t".to_owned(),
            topic_prefix: "tillbox".to_owned(),
            event_max_bytes: 128 * 1024,
            retention: TimeDelta::days(100),
            connections: vec![("front".to_owned(), "source".to_owned())],
            retired: Vec::new(),
        };
        let outbox = Arc::new(Outbox::open(options, clock.now()).unwrap().outbox);
        outbox.take_generation(1, true, ReadAgain::new()).unwrap();
        let (health, between) = (Arc::<Health>::default(), Arc::<Mutex<Between>>::default());
        // What a header carries is the client's to say, so one over the network asks where tokens change.
        let server = token.as_ref().map(|_| Server::start(Arc::clone(&simulator)).unwrap());
        let inner: Box<dyn Ask> = match &server {
            Some(server) => Box::new(Client::new(&server.base_url(), None).unwrap()),
            None => Box::new(InProcess::new(Arc::clone(&simulator))),
        };
        let client = Scripted { inner, clock: clock.clone(), between: Arc::clone(&between) };
        let ends = Stop::default();
        let mut poll = poll_of(&config.outlet, &config.pos[0], Box::new(client), &outbox, &health, &clock, &ends);
        if let Some(file) = token {
            poll.secret = SecretAt::File(file);
        }
        let poller = poll.begin().unwrap();
        let mut shop =
            Self { simulator, clock, health, outbox, between, poller, sold: 0, _server: server, _folder: folder };
        shop.sell();
        shop.run(TimeDelta::minutes(30), |_| {});
        assert_eq!((shop.has_all(), shop.held()), (true, None), "{name}: {:?}", shop.facts());
        shop
    }

    fn sell(&mut self) {
        self.sold += 1;
        let sale = Sale::plain(&format!("S-{}", self.sold), 25_000, self.clock.now());
        self.simulator.play(&[Movement { known_at: sale.at, change: Change::Sold, sale }]);
    }

    /// Whether each sale is stored.
    fn has_all(&self) -> bool {
        let day = |date| self.outbox.day_totals("front", date).unwrap();
        let days = day((self.clock.now() - TimeDelta::days(3)).date_naive());
        let seen: u64 = days.values().flat_map(|totals| totals.sums.values()).map(|(count, _)| count).sum();
        seen == u64::from(self.sold)
    }

    /// Takes steps for so long, and looks after each.
    fn run(&mut self, span: TimeDelta, mut look: impl FnMut(&Self)) {
        let end = self.clock.now() + span;
        while self.clock.now() < end {
            let pause = self.poller.step().max(Duration::from_millis(1));
            look(self);
            self.clock.set(self.clock.now() + TimeDelta::from_std(pause).unwrap());
        }
    }

    fn script(&self, script: impl Fn(usize, &Request) -> Option<Failure> + Send + 'static) {
        self.between.lock().unwrap().script = Some(Box::new(script));
    }

    fn heal(&self) {
        self.between.lock().unwrap().script = None;
    }

    /// What was asked since the number of a request.
    fn asked_since(&self, number: usize) -> Vec<(DateTime<Utc>, String)> {
        self.between.lock().unwrap().asked[number..].to_vec()
    }

    fn asked(&self) -> usize {
        self.between.lock().unwrap().asked.len()
    }

    fn facts(&self) -> Vec<(Condition, String)> {
        let facts = self.health.facts();
        facts.conditions().map(|(condition, _, held)| (condition, held.text.clone())).collect()
    }

    /// What of the ways not to be answered holds, with its text.
    fn held(&self) -> Option<(Condition, String)> {
        let of_pos = [Condition::PosUnreachable, Condition::PosRefused, Condition::PosUnreadable, Condition::PosUnfit];
        self.facts().into_iter().find(|(condition, _)| of_pos.contains(condition))
    }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Row 9: a passing 401 changes nothing, and so does a passing page that comes again and again.
#[test]
fn a_passing_refusal_changes_nothing() {
    for (name, mut shop) in Shop::each() {
        let before = shop.asked();
        shop.script(|number, _| (number % 7 == 0).then_some(REFUSED));
        shop.sell();
        shop.run(TimeDelta::minutes(20), |shop| assert_eq!(shop.held(), None, "{name}"));
        assert!(shop.has_all(), "{name}");
        let logins = shop.asked_since(before).iter().filter(|(_, asked)| asked.starts_with("POST /")).count();
        let reads = name == "asalta"; // its report is a POST that only reads
        assert!(logins == 0 || reads, "{name}: {logins} logins for refusals that passed");
    }
}

/// Row 9: one that stands is told at once, and says how long the box waits.
#[test]
fn a_refusal_that_stands_at_a_second_try_is_red_at_once() {
    for (name, mut shop) in Shop::each() {
        let before = shop.asked();
        shop.script(|_, _| Some(REFUSED));
        let mut told = None;
        shop.run(TimeDelta::minutes(2), |shop| {
            if let Some((condition, text)) = shop.held() {
                assert_eq!(condition, Condition::PosRefused, "{name}: {text}");
                assert!(text.contains("it refuses the credentials; the box tries again every 5 minutes; "), "{text}");
                told = told.or(Some(shop.clock.now()));
            }
        });
        let first = shop.asked_since(before)[0].0;
        let after = told.unwrap_or_else(|| panic!("{name}: not told")) - first;
        assert!(after >= TimeDelta::seconds(5) && after <= TimeDelta::seconds(30), "{name}: {after}");
        // Meanwhile nobody is asked in a loop.
        let asked = shop.asked();
        shop.run(TimeDelta::minutes(30), |_| {});
        let tries = shop.asked() - asked;
        assert!((5..=7).contains(&tries), "{name}: {tries} tries in 30 minutes");
        shop.heal();
        shop.sell();
        shop.run(TimeDelta::minutes(15), |_| {});
        assert_eq!((shop.has_all(), shop.held()), (true, None), "{name}");
    }
}

/// Row 9: a firewall's page is trouble, with or without `Retry-After`, and no reason to renew a token …
#[test]
fn a_page_before_the_server_is_trouble_for_a_quarter_of_an_hour_and_then_a_refusal() {
    for retry_after in [None, Some(Duration::from_secs(30)), Some(Duration::from_secs(7_200))] {
        for (name, mut shop) in Shop::each() {
            let (before, begun) = (shop.asked(), shop.clock.now());
            shop.script(move |_, _| Some(Failure::Barred { status: 403, retry_after }));
            let mut red = None;
            shop.run(TimeDelta::minutes(40), |shop| match shop.held() {
                Some((Condition::PosUnreachable, text)) => {
                    assert!(text.contains("something in front of it, such as a firewall, refuses"), "{text}");
                    assert_eq!(red, None, "{name}: {text}");
                }
                Some((condition, text)) => {
                    assert_eq!(condition, Condition::PosRefused, "{name}: {text}");
                    assert!(text.contains("admit this box; or ") && text.contains("every 5 minutes"), "{text}");
                    red = red.or(Some(shop.clock.now() - begun));
                }
                None => assert!(shop.asked() == before, "{name}: not told"),
            });
            let red = red.unwrap_or_else(|| panic!("{name}: never red"));
            assert!(red >= TimeDelta::minutes(15) && red <= TimeDelta::minutes(21), "{name}: {red}");
            let asked = shop.asked_since(before);
            let longest = asked.windows(2).map(|pair| pair[1].0 - pair[0].0).max().unwrap();
            assert!(longest <= TimeDelta::minutes(5) + TimeDelta::seconds(10), "{name}: {longest}");
            shop.heal();
            shop.sell();
            shop.run(TimeDelta::minutes(20), |_| {});
            assert_eq!((shop.has_all(), shop.held()), (true, None), "{name}");
        }
    }
}

/// … and one that passes is over with the next answer.
#[test]
fn a_page_that_passes_holds_nothing_up() {
    for (name, mut shop) in Shop::each() {
        let first = shop.asked();
        let page = Failure::Barred { status: 403, retry_after: Some(Duration::from_secs(20)) };
        shop.script(move |number, _| (number == first).then(|| page.clone()));
        shop.sell();
        shop.run(TimeDelta::minutes(10), |shop| {
            assert!(shop.held().is_none_or(|(condition, _)| condition == Condition::PosUnreachable), "{name}");
        });
        let asked = shop.asked_since(first);
        let waited = asked[1].0 - asked[0].0;
        assert!(waited >= TimeDelta::seconds(20) && waited <= TimeDelta::seconds(90), "{name}: {waited}");
        assert_eq!((shop.has_all(), shop.held()), (true, None), "{name}");
    }
}

/// Row 9: nginx's `limit_req` refuses what comes too soon after another request.
#[test]
fn a_503_among_good_answers_lowers_the_rate_and_is_no_outage() {
    for (name, mut shop) in Shop::each() {
        let before = shop.asked();
        shop.script(|number, _| (number % 4 == 0).then_some(BUSY));
        for _ in 0..60 {
            shop.sell();
            shop.run(TimeDelta::minutes(1), |shop| assert_eq!(shop.held(), None, "{name}"));
        }
        let asked = shop.asked_since(before);
        // Nobody logs in or asks who it is for it: that comes as often as without.
        let who = ["/auth/me", "/outlets", "/merchant/info", "/pos/warehouses", "/token", "/auth/login"];
        let again = asked.iter().filter(|(_, path)| who.iter().any(|who| path.ends_with(who))).count();
        assert!(again <= 3, "{name}: asked {again} times who it is");
        shop.heal();
        shop.run(TimeDelta::minutes(30), |_| {});
        assert_eq!((shop.has_all(), shop.held()), (true, None), "{name}");
    }
}

/// The rate is what the limit needs, as after a 429.
#[test]
fn a_limit_that_answers_503_is_kept_after_a_while() {
    let mut shop = Shop::open("olsera-open");
    // Ten in a minute are let through.
    let let_in = Arc::new(Mutex::new(Vec::<DateTime<Utc>>::new()));
    let (clock, refused) = (shop.clock.clone(), Arc::new(Mutex::new(Vec::new())));
    let told = Arc::clone(&refused);
    shop.script(move |_, _| {
        let (now, mut let_in) = (clock.now(), let_in.lock().unwrap());
        let_in.retain(|at| now - *at < TimeDelta::minutes(1));
        if let_in.len() >= 10 {
            told.lock().unwrap().push(now);
            return Some(BUSY);
        }
        let_in.push(now);
        None
    });
    let begun = shop.clock.now();
    for _ in 0..60 {
        (0..4).for_each(|_| shop.sell());
        shop.run(TimeDelta::minutes(1), |shop| assert_eq!(shop.held(), None));
    }
    let refused = refused.lock().unwrap();
    let within = |from, to| {
        let minutes = |n| begun + TimeDelta::minutes(n);
        refused.iter().filter(|at| (minutes(from)..minutes(to)).contains(*at)).count()
    };
    assert!(!refused.is_empty() && within(30, 60) <= 6, "{} then {}", within(0, 30), within(30, 60));
}

/// A server that only answers 503 is away: that is told, its `Retry-After` is kept to, and the rate stays.
#[test]
fn a_503_alone_is_an_outage_and_its_wait_is_kept() {
    for (name, mut shop) in Shop::each() {
        let before = shop.asked();
        shop.script(|_, _| Some(Failure::Busy { retry_after: Some(Duration::from_secs(600)) }));
        shop.run(TimeDelta::minutes(60), |_| {});
        let held = shop.held();
        assert!(
            held.as_ref().is_some_and(|(condition, text)| *condition == Condition::PosUnreachable
                && text.contains("the server answered 503, expected 200; it asks to wait 600 s")),
            "{name}: {held:?}"
        );
        let tries = shop.asked() - before;
        assert!((5..=8).contains(&tries), "{name}: {tries} tries in an hour");
        shop.heal();
        shop.sell();
        shop.run(TimeDelta::minutes(40), |_| {});
        assert_eq!((shop.has_all(), shop.held()), (true, None), "{name}");
    }
}

/// A server's wait of a day is kept for an hour.
#[test]
fn no_wait_is_longer_than_an_hour() {
    for failure in [
        Failure::Busy { retry_after: Some(Duration::from_secs(86_400)) },
        Failure::TooMany { retry_after: Some(Duration::from_secs(86_400)) },
    ] {
        let mut shop = Shop::open("qasir");
        let first = shop.asked();
        shop.script(move |number, _| (number == first).then(|| failure.clone()));
        shop.sell();
        shop.run(TimeDelta::hours(2), |_| {});
        let asked = shop.asked_since(first);
        let waited = asked[1].0 - asked[0].0;
        assert!(waited >= TimeDelta::minutes(60) && waited <= TimeDelta::minutes(61), "{waited}");
        assert!(shop.has_all());
    }
}

/// Row 10: a certificate that cannot be trusted is for a person, with the remedy.
#[test]
fn a_certificate_that_cannot_be_trusted_is_red_and_the_server_is_asked_again() {
    let mut shop = Shop::open("qasir");
    let cause = rustls::CertificateError::NotValidForName;
    let fault = tillbox::tls::fault::TlsFault::of(&cause.into(), "base-url", shop.clock.now());
    shop.script(move |_, _| Some(Failure::Untrusted(fault.clone())));
    shop.run(TimeDelta::minutes(5), |_| {});
    let (condition, text) = shop.held().unwrap();
    assert_eq!(condition, Condition::PosRefused);
    let told = ": no secure connection: a certificate for another name; write the certificate's name in base-url";
    assert!(text.contains(told), "{text}");
    shop.heal();
    shop.sell();
    shop.run(TimeDelta::minutes(5), |_| {});
    assert_eq!((shop.has_all(), shop.held()), (true, None));
}

/// Row 16: what an editor puts around a token is no part of it, and a token that no header carries is told as such.
#[test]
fn a_token_is_renewed_on_a_running_box_whatever_an_editor_put_around_it() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "token-0123456789\n").unwrap();
    let mut shop = Shop::with("qasir", Some(file.clone()));
    // The server does not take it any more, and so another is looked for.
    shop.script(|_, _| Some(REFUSED));
    shop.run(TimeDelta::minutes(3), |_| {});
    assert_eq!(shop.held().map(|(condition, _)| condition), Some(Condition::PosRefused));
    // Copied out of a letter, with a hyphen that is none.
    fs::write(&file, "token\u{2010}0123456789").unwrap();
    shop.heal();
    shop.run(TimeDelta::minutes(3), |shop| {
        assert_eq!(shop.held().map(|(condition, _)| condition), Some(Condition::PosRefused), "red goes off");
    });
    let (_, text) = shop.held().unwrap();
    assert!(text.contains("U+2010") && text.contains("; renew the token of connection `front`"), "{text}");
    assert!(!text.contains("0123456789"), "{text}");
    fs::write(&file, "\u{feff}token-0123456789\u{a0}\r\n").unwrap();
    shop.sell();
    shop.run(TimeDelta::minutes(3), |_| {});
    assert_eq!((shop.has_all(), shop.held()), (true, None));
}
