//! The whole way: the poll loop, a real store, a simulated server, a clock that stands until it is set.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use tempfile::TempDir;

use super::world::{at, context, jakarta};
use crate::{
    clock::Clock,
    closing::Calendar,
    config::{Credentials, System},
    demo::{
        olsera::{Olsera, Options as Server, Profile},
        shop::Sale,
        simulator::InProcess,
    },
    health::{Condition, Health},
    outbox::{Options, Outbox, OutboxMemory},
    poll::{Poll, Poller},
    pos::{
        connector::{Memory as _, Terms},
        systems,
    },
    secret::{Secret, SecretAt},
    stop::Stop,
    transaction::Resource,
};

struct Stage {
    sim: Arc<Olsera>,
    clock: Clock,
    outbox: Arc<Outbox>,
    health: Arc<Health>,
    secret: SecretAt,
    profile: Profile,
    folder: TempDir,
}

impl Stage {
    fn set(server: Server) -> Self {
        let clock = Clock::standing_at(at("2026-05-01T12:00:00+07:00"));
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            folder: folder.path().join("outbox"),
            max_bytes: 64 * 1024 * 1024,
            outlet: "jkt-014".to_owned(),
            topic_prefix: "tillbox".to_owned(),
            event_max_bytes: 128 * 1024,
            retention: TimeDelta::days(100),
            connections: vec![("front".to_owned(), "olsera".to_owned())],
            retired: Vec::new(),
        };
        let outbox = Arc::new(Outbox::open(options, clock.now()).unwrap().outbox);
        let secret = if server.profile == Profile::Documented { "olsera-key" } else { "olsera-secret" };
        Self {
            profile: server.profile,
            sim: Arc::new(Olsera::new(clock.clone(), server)),
            clock,
            outbox,
            health: Arc::default(),
            secret: SecretAt::Here(Secret::new(secret)),
            folder,
        }
    }

    fn poller(&self) -> Poller {
        let credentials = match self.profile {
            Profile::Documented => {
                Credentials::ApiKey { merchant_id: "M-8812".to_owned(), api_key: self.secret.clone() }
            }
            Profile::OpenApi => Credentials::App { app_id: "olsera-app".to_owned(), secret_key: self.secret.clone() },
        };
        let (poll_every, backfill) = (TimeDelta::seconds(15), TimeDelta::days(2));
        let terms = Terms { context: context(), poll_every, backfill };
        let poll = Poll {
            connection: "front".to_owned(),
            system: "olsera",
            make: Box::new(move |begin| systems::connector("", System::Olsera, &credentials, terms.clone(), begin)),
            client: Box::new(InProcess::new(Arc::clone(&self.sim))),
            secret: self.secret.clone(),
            remedy: "correct the keys".to_owned(),
            requests_per_minute: 80,
            calendar: Calendar { zone: jakarta(), day_starts: NaiveTime::from_hms_opt(4, 0, 0).unwrap() },
            retention: TimeDelta::days(100),
            outbox: Arc::clone(&self.outbox),
            health: Arc::clone(&self.health),
            clock: self.clock.clone(),
            stop: Stop::default(),
        };
        poll.begin().unwrap()
    }

    fn run(&self, poller: &mut Poller, span: TimeDelta) {
        let end = self.clock.now() + span;
        while self.clock.now() < end {
            let pause = poller.step().max(Duration::from_millis(50));
            self.clock.set(self.clock.now() + pause);
        }
    }

    fn is_stored(&self, id: &str) -> bool {
        let memory = OutboxMemory::new(Arc::clone(&self.outbox), "front");
        memory.find(Resource::Transaction, &self.sim.external_id(id)).is_some()
    }

    fn holds(&self, condition: Condition) -> bool {
        self.health.facts().holds(condition)
    }
}

fn sell(stage: &Stage, name: &str, count: i64, now: DateTime<Utc>) {
    for n in 0..count {
        let at = now - TimeDelta::minutes(n);
        stage.sim.put_at(at, Sale::plain(&format!("{name}-{n}"), 1_000 + n, at));
    }
}

#[test]
fn both_apis_are_read_into_the_store_and_a_restart_reads_nothing_twice() {
    for profile in [Profile::Documented, Profile::OpenApi] {
        let stage = Stage::set(Server::new(jakarta(), profile));
        sell(&stage, "a", 120, stage.clock.now());
        let mut poller = stage.poller();
        stage.run(&mut poller, TimeDelta::minutes(10));
        let expected = if profile == Profile::Documented { 100 } else { 120 };
        assert_eq!((0..120).filter(|n| stage.is_stored(&format!("a-{n}"))).count(), expected);
        let events = stage.outbox.level().durable;
        sell(&stage, "b", 3, stage.clock.now());
        drop(poller);
        let mut poller = stage.poller();
        stage.run(&mut poller, TimeDelta::minutes(10));
        assert_eq!(stage.outbox.level().durable, events + 3, "{profile:?}");
        assert!(stage.health.facts().connections["front"].progress.complete);
        let gaps = stage.outbox.open_gaps().get("front").map_or(0, Vec::len);
        assert_eq!(gaps, usize::from(profile == Profile::Documented), "what was before the first answer");
    }
}

#[test]
fn a_refusal_in_an_answer_of_another_status_waits_for_new_credentials() {
    for refusal_status in [200, 400, 401] {
        let mut stage = Stage::set(Server { refusal_status, ..Server::new(jakarta(), Profile::OpenApi) });
        let file = stage.folder.path().join("key");
        std::fs::write(&file, "wrong").unwrap();
        stage.secret = SecretAt::File(file.clone());
        sell(&stage, "a", 1, stage.clock.now());
        let mut poller = stage.poller();
        stage.run(&mut poller, TimeDelta::minutes(3));
        assert!(stage.holds(Condition::PosRefused), "{refusal_status}");
        let text = format!("{:?}", stage.health.facts());
        assert!(text.contains("correct the keys") && !text.contains("wrong\""), "{text}");
        std::fs::write(&file, "olsera-secret\n").unwrap();
        stage.run(&mut poller, TimeDelta::seconds(20));
        assert!(stage.is_stored("a-0") && !stage.holds(Condition::PosRefused));
    }
}
