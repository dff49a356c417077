//! The same with the poll loop and a store as the daemon has them: what is concluded from memory survives a restart.

use std::sync::Arc;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use super::world::{morning, terms, zone};
use crate::{
    clock::Clock,
    closing::Calendar,
    config::Credentials,
    demo::{
        pos_kasir::{Options as Server, PosKasir as Simulated, uuid},
        shop::{self, Sale},
        simulator::InProcess,
    },
    event::EventType,
    outbox::{Options, Outbox, OutboxMemory},
    poll::{Poll, Poller},
    pos::{connector::Memory, pos_kasir::connector::PosKasir},
    secret::{Secret, SecretAt},
    stop::Stop,
    transaction::{Kind, Resource},
};

struct Stage {
    clock: Clock,
    server: Arc<Simulated>,
    outbox: Arc<Outbox>,
    poller: Poller,
    _folder: tempfile::TempDir,
}

fn poller(server: &Arc<Simulated>, outbox: &Arc<Outbox>, clock: &Clock) -> Poller {
    let secret = SecretAt::Here(Secret::new("kotak-kasir"));
    let credentials = Credentials::Login { email: "box@shop.example".to_owned(), password: secret.clone() };
    let poll = Poll {
        connection: "front".to_owned(),
        system: "pos-kasir",
        make: Box::new(move |begin| {
            let terms = terms(TimeDelta::days(30), TimeDelta::seconds(15));
            Box::new(PosKasir::new(terms, &credentials, begin))
        }),
        client: Box::new(InProcess::new(Arc::clone(server))),
        secret,
        remedy: String::new(),
        requests_per_minute: 30,
        calendar: Calendar { zone: zone("Asia/Jakarta"), day_starts: NaiveTime::MIN },
        retention: TimeDelta::days(40),
        outbox: Arc::clone(outbox),
        health: Arc::default(),
        clock: clock.clone(),
        stop: Stop::default(),
    };
    poll.begin().unwrap()
}

impl Stage {
    fn set() -> Self {
        let clock = Clock::standing_at(morning());
        let server = Arc::new(Simulated::new(clock.clone(), Server::new(zone("Asia/Jakarta"))));
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            folder: folder.path().to_owned(),
            max_bytes: 64 * 1024 * 1024,
            outlet: "jkt-014".to_owned(),
            topic_prefix: "tillbox".to_owned(),
            event_max_bytes: 128 * 1024,
            retention: TimeDelta::days(40),
            connections: vec![("front".to_owned(), "pos-kasir".to_owned())],
            retired: Vec::new(),
        };
        let outbox = Arc::new(Outbox::open(options, clock.now()).unwrap().outbox);
        let poller = poller(&server, &outbox, &clock);
        Self { clock, server, outbox, poller, _folder: folder }
    }

    fn restart(&mut self) {
        self.poller = poller(&self.server, &self.outbox, &self.clock);
    }

    fn run_to(&mut self, end: DateTime<Utc>) {
        while self.clock.now() < end {
            let pause = TimeDelta::from_std(self.poller.step()).unwrap();
            self.clock.set(self.clock.now() + pause + TimeDelta::milliseconds(100));
        }
    }

    fn minutes(&mut self, minutes: i64) {
        self.run_to(self.clock.now() + TimeDelta::minutes(minutes));
    }

    fn records(&self) -> usize {
        let events = self.outbox.read(self.outbox.level().epoch, 0, 500).unwrap();
        events.iter().filter(|event| event.draft.event_type == EventType::Transaction).count()
    }

    fn kinds(&self, sale: &str) -> (Option<Kind>, Option<Kind>) {
        let memory = OutboxMemory::new(Arc::clone(&self.outbox), "front");
        let kind = |resource| memory.find(resource, &uuid(sale)).map(|known| known.kind);
        (kind(Resource::Order), kind(Resource::OrderRefund))
    }
}

#[test]
fn a_refund_after_a_restart_is_derived_from_what_is_stored() {
    let mut stage = Stage::set();
    for n in 0..40 {
        stage.server.put_at(morning(), Sale::plain(&format!("S-{n}"), 1_000, morning() - TimeDelta::minutes(n)));
    }
    stage.minutes(10);
    assert_eq!(stage.kinds("S-7"), (Some(Kind::Sale), None));
    stage.restart();
    let refund_of = Some("S-7".to_owned());
    let refund = Sale { kind: shop::Kind::Refund, refund_of, ..Sale::plain("R", 1, stage.clock.now()) };
    stage.server.put_at(stage.clock.now(), refund);
    stage.minutes(5);
    assert_eq!(stage.kinds("S-7"), (Some(Kind::Sale), Some(Kind::Refund)));
    assert_eq!(stage.records(), 42, "40 sales, one of them once more, and its refund");
    stage.restart();
    stage.minutes(70);
    assert_eq!(stage.records(), 42, "what is read again is no news");
}
