//! What belongs to people stays in the shop: names, phones, notes and card numbers that the point of sale tells with
//! every record stand in no byte of the store, no message, no log and no status.

use std::{fs, path::Path, sync::Arc};

use serde_json::Value;
use tillbox::{
    clock::Clock,
    demo::{
        http_server::{Answer, HttpServer, Request, Service},
        shop::{Change, Kind, Movement, Sale},
        simulator::Simulator,
        street::stalls,
    },
    zone::Zone,
};

use crate::parts::{
    broker::{KEEPING, Mosquitto},
    hq::{Access, Hq},
    shop::ZONE,
    tillbox::Setup,
    wait::{PATIENCE, until},
};

/// What the sources tell of people, by the fields in which they tell it, and others might.
const PERSONAL: [(&str, &str); 26] = [
    ("customer", "Siti Rahmawati-CANARY01"),
    ("customer_name", "Siti Rahmawati-CANARY02"),
    ("customer_phone", "0812-CANARY03"),
    ("phone", "0812-CANARY04"),
    ("email", "canary05@people.example"),
    ("email_ids", "canary06@people.example"),
    ("billing_address", "Jl. Canary07 No. 7"),
    ("address", "Jl. Canary08 No. 8"),
    ("note", "alergi kacang CANARY09"),
    ("staff_note", "pelanggan marah CANARY10"),
    ("biller", "Budi Canary11"),
    ("created_by", "budi.canary12"),
    ("created_from", "203.0.113.77-CANARY13"),
    ("sales_by_name", "Budi Canary14"),
    ("table_no", "CANARY15"),
    ("cc_no", "4111-1111-CANARY16"),
    ("cc_holder", "SITI CANARY17"),
    ("cc_month", "CANARY18"),
    ("cc_year", "CANARY19"),
    ("cc_type", "CANARY20"),
    ("cheque_no", "CANARY21"),
    ("username", "budi.canary22"),
    ("reason", "CANARY23"),
    ("ip_address", "203.0.113.78-CANARY24"),
    ("avatar", "CANARY25"),
    ("loyalty_no", "CANARY26"),
];

/// A simulator whose every object tells of people.
struct Tainted {
    inner: Arc<dyn Simulator>,
}

impl Service for Tainted {
    fn answer(&self, request: &Request) -> Answer {
        let mut answer = self.inner.answer(request);
        if let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) {
            taint(&mut body);
            answer.body = body.to_string().into_bytes();
        }
        answer
    }

    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.inner.now()
    }

    fn shown_date(&self) -> Option<chrono::DateTime<chrono::Utc>> {
        self.inner.shown_date()
    }

    fn mutates(&self, request: &Request) -> bool {
        self.inner.mutates(request)
    }
}

fn taint(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(taint),
        Value::Object(members) => {
            members.values_mut().for_each(taint);
            for (name, text) in PERSONAL {
                members.insert(name.to_owned(), text.into());
            }
        }
        _ => {}
    }
}

/// A sale that was paid, one that came back, one that was changed, an order that was called off.
fn deeds(clock: &Clock) -> Vec<Movement> {
    let now = clock.now();
    let sale = |id: &str, minutes: i64| Sale::plain(id, 25_000, now - chrono::TimeDelta::minutes(minutes));
    let put = |change, sale: Sale, minutes: i64| Movement {
        known_at: now - chrono::TimeDelta::minutes(minutes),
        change,
        sale,
    };
    let refund = Sale { kind: Kind::Refund, refund_of: Some("P-2".to_owned()), ..sale("P-2R", 20) };
    let order = |kind| Sale { kind, ..sale("P-4", 15) };
    vec![
        put(Change::Sold, sale("P-1", 40), 40),
        put(Change::Sold, sale("P-2", 35), 35),
        put(Change::Sold, sale("P-3", 30), 30),
        put(Change::Refunded, refund, 20),
        put(Change::Ordered, order(Kind::Order), 15),
        put(Change::Voided, order(Kind::Void), 10),
        put(Change::Edited, Sale { total: 27_000.into(), ..sale("P-3", 30) }, 5),
    ]
}

#[test]
fn what_belongs_to_people_stays_in_the_shop() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let broker = Mosquitto::start(folder.path(), KEEPING);
    let hq = Hq::listen(Access::open(broker.address()));
    let clock = Clock::system();
    let stalls = stalls(&clock, &Zone::load(ZONE).expect("a zone that everyone knows"));
    let movements = deeds(&clock);
    let mut servers = Vec::new();
    let mut setup = Setup::new(folder.path(), "", broker.address(), "broker");
    let mut blocks = String::new();
    for stall in &stalls {
        stall.simulator.play(&movements);
        let server = HttpServer::start(Tainted { inner: Arc::clone(&stall.simulator) });
        let server = server.expect("a port on the loopback");
        let url = format!("http://{}{}", server.address(), stall.simulator.base_path());
        let more = "poll-every = \"1s\"\nrequests-per-minute = 6000\nbackfill = \"1d\"\n";
        blocks.push_str(&stall.pos_block(&url, more));
        servers.push(server);
    }
    setup.blocks = Some(blocks);
    setup.environment.push(("TILLBOX_LOG".to_owned(), "trace".to_owned()));
    let mut daemon = setup.start();
    let missing = || -> Vec<String> {
        let record = hq.record();
        let held = |connection: &str, subject: &str| {
            let source = format!("/{connection}");
            record.events_of("transaction").any(|event| {
                event["subject"] == *subject && event["source"].as_str().is_some_and(|text| text.ends_with(&source))
            })
        };
        let wanted = stalls.iter().flat_map(|stall| {
            let sheet = stall.simulator.sheet(clock.now()).into_iter();
            sheet.filter(|(_, entry)| !entry.optional).map(|(subject, _)| (stall.connection, subject))
        });
        let wanted = wanted.filter(|(name, subject)| !held(name, subject));
        wanted.map(|(name, subject)| format!("{name}/{subject}")).collect()
    };
    until(PATIENCE, || missing().is_empty().then_some(()), || format!("missing: {:?}\n{}", missing(), daemon.log()));
    daemon.stop();

    let log = daemon.log();
    let record = hq.record();
    assert!(record.last("status").is_some());
    let sent = record.messages.iter().map(|message| (&message.topic, message.body.as_bytes()));
    for (topic, body) in sent {
        nothing_of_people(topic, body);
    }
    nothing_of_people("the log", log.as_bytes());
    let mut files = 0;
    each_file(&setup.store, &mut |path, bytes| {
        files += 1;
        nothing_of_people(&path.display().to_string(), bytes);
    });
    assert!(files > 0 && log.len() > 1_000, "{files} files");
    assert!(servers.iter().all(|server| server.mutations() == 0), "nothing was changed");
}

fn nothing_of_people(place: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    if let Some(at) = text.find("canary") {
        let from = text[..at].char_indices().rev().nth(80).map_or(0, |(from, _)| from);
        panic!("{place} tells of people: {}", text[from..].chars().take(160).collect::<String>());
    }
}

fn each_file(folder: &Path, show: &mut impl FnMut(&Path, &[u8])) {
    for entry in fs::read_dir(folder).expect("the store") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            each_file(&path, show);
        } else if path.is_file() {
            show(&path, &fs::read(&path).expect("a file of the store"));
        }
    }
}
