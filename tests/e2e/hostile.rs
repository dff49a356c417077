//! What is told is clean: names from a point of sale that begin lines of their own, turn the direction of writing or steer
//! a terminal show as escapes, in every system and wherever a person reads them.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tillbox::{
    clock::Clock,
    demo::{
        http_server::{Answer, HttpServer, Request, Service},
        shop::{Change, Movement, Sale},
        simulator::Simulator,
        street::stalls,
    },
    plain::is_plain,
    zone::Zone,
};

use crate::{
    page::shows,
    parts::{
        broker::{KEEPING, Mosquitto, free_address},
        hq::{Access, Hq},
        shop::ZONE,
        tillbox::Setup,
        wait::{PATIENCE, until},
    },
};

/// Begins a line, steers a terminal, turns the direction of writing, ends a line in three ways more, and hides.
const HOSTILE: &str =
    "\r\n2026-01-01T00:00:00.000000Z ERROR tillbox: forged\u{1b}[2J\u{202e}\u{85}\u{2028}\u{61c}\u{200b}\u{feff}";

/// An id that a point of sale may give: it has no control character.
const TURNED: &str = "H-\u{202e}1";

/// A simulator whose every name ends in hostile text, and whose every object has a member that is called so.
struct Hostile {
    inner: Arc<dyn Simulator>,
}

impl Service for Hostile {
    fn answer(&self, request: &Request) -> Answer {
        let mut answer = self.inner.answer(request);
        if let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) {
            spoil(&mut body);
            answer.body = body.to_string().into_bytes();
        }
        answer
    }

    fn now(&self) -> DateTime<Utc> {
        self.inner.now()
    }

    fn shown_date(&self) -> Option<DateTime<Utc>> {
        self.inner.shown_date()
    }

    fn mutates(&self, request: &Request) -> bool {
        self.inner.mutates(request)
    }
}

fn spoil(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(spoil),
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                match value {
                    Value::String(text) if name == "name" || name.ends_with("_name") => text.push_str(HOSTILE),
                    other => spoil(other),
                }
            }
            members.insert(format!("extra{HOSTILE}"), 1.into());
        }
        _ => {}
    }
}

#[test]
fn no_name_from_a_point_of_sale_forges_a_line_or_turns_one() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let broker = Mosquitto::start(folder.path(), KEEPING);
    // HQ never says that it has stored anything: all events wait, and are listed.
    let hq = Hq::listen(Access::open(broker.address()));
    let clock = Clock::system();
    let stalls = stalls(&clock, &Zone::load(ZONE).expect("a zone that everyone knows"));
    let mut setup = Setup::new(folder.path(), "", broker.address(), "feed");
    let address = free_address();
    setup.hq = setup.hq.clone() + &format!("\n[page]\nlisten = \"{address}\"\nlanguage = \"en\"\n");
    let (mut servers, mut blocks) = (Vec::new(), String::new());
    for stall in &stalls {
        let known_at = clock.now() - TimeDelta::minutes(30);
        let id = if stall.connection == "warung" { TURNED } else { "P-1" };
        stall.simulator.play(&[Movement { known_at, change: Change::Sold, sale: Sale::plain(id, 25_000, known_at) }]);
        let server =
            HttpServer::start(Hostile { inner: Arc::clone(&stall.simulator) }).expect("a port on the loopback");
        let url = format!("http://{}{}", server.address(), stall.simulator.base_path());
        blocks.push_str(&stall.pos_block(&url, "poll-every = \"1s\"\nrequests-per-minute = 6000\nbackfill = \"1d\"\n"));
        servers.push(server);
    }
    setup.blocks = Some(blocks);
    let mut daemon = setup.start();
    let told = |connection: &str| {
        let sold = hq
            .record()
            .events_of("transaction")
            .any(|event| event["source"].as_str().is_some_and(|source| source.ends_with(&format!("/{connection}"))));
        let log = daemon.log();
        // The name of the unknown member, and of whoever answers, where that is told.
        let shown = log.lines().any(|line| line.contains(connection) && line.contains(r"\u{202e}"));
        sold && shown
    };
    until(
        PATIENCE,
        || stalls.iter().all(|stall| told(stall.connection)).then_some(()),
        || format!("a sale and a name of each system: {}", daemon.log()),
    );

    for (command, arguments) in [
        ("status", &[][..]),
        ("status", &["--json"]),
        ("outbox list", &[]),
        ("outbox list", &["--json"]),
        ("outbox show 1", &[]),
        ("outbox export", &[]),
        ("check", &["--online"]),
        ("check", &["--online", "--json"]),
    ] {
        let output = setup.run_with(command, arguments);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).expect("text");
        clean(&format!("{command} {arguments:?}"), &said);
        assert!(!said.is_empty() && said.ends_with('\n'), "{command}: {said}");
        let named = match (command, arguments) {
            ("outbox list", []) => r"H-\u{202e}1",
            ("outbox list" | "outbox export", _) => r"H-\u202e1",
            ("status", []) => r"forged",
            _ => "",
        };
        assert!(said.contains(named), "{command} {arguments:?} does not show {named}: {said}");
    }
    for path in ["/", "/metrics", "/healthz"] {
        let (_, answer) = shows(address, path, &["\r\n\r\n"]);
        clean(path, answer.split_once("\r\n\r\n").expect("a head and a body").1);
    }
    shows(address, "/", &[r"\u{202e}"]);
    daemon.stop();

    let log = daemon.log();
    clean("the log", &log);
    let level =
        |line: &str| [" INFO ", " WARN ", "ERROR "].iter().any(|level| line[..40.min(line.len())].contains(level));
    for line in log.lines() {
        assert!(level(line) && !line.starts_with("2026-01-01"), "a line that nobody logged: {line}");
    }
    // What HQ reads as sentences is clean, too.
    let status = hq.record().last("status").expect("a status").clone();
    for condition in status["report"]["conditions"].as_array().into_iter().flatten() {
        clean("a condition", condition["text"].as_str().expect("a text"));
    }
}

fn clean(place: &str, text: &str) {
    let odd = text.char_indices().find(|(_, c)| *c != '\n' && !is_plain(*c));
    if let Some((at, c)) = odd {
        let around: String = text[..at].chars().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect();
        panic!("{place} holds {c:?} behind {around:?}");
    }
}
