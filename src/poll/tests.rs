//! What a connector is told when it is made from what is stored.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use super::Poll;
use crate::{
    by_hand::{Statement, handle_of_gap},
    clock::Clock,
    closing::Calendar,
    config::{Credentials, Currency, System},
    gap::{Gap, GapReason},
    health::Health,
    outbox::{Capture, Options, Outbox},
    pos::{
        connector::Terms,
        http::{Answer, Ask, Failure},
        page::ParseContext,
        request::Request,
        systems,
    },
    secret::{Secret, SecretAt},
    stop::Stop,
    zone::Zone,
};

struct Nobody;

impl Ask for Nobody {
    fn ask(&self, _: &Request, _: &dyn Fn(u16) -> bool) -> Result<Answer, Failure> {
        Err(Failure::Unreachable("nobody".to_owned()))
    }
}

/// A gap that a person closed is not proven: its connector goes on trying to, after a restart too.
#[test]
fn a_connector_begins_with_the_gaps_that_are_open_and_with_those_that_a_person_closed() {
    let now: DateTime<Utc> = "2026-03-14T05:00:00Z".parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        folder: folder.path().join("outbox"),
        max_bytes: 64 * 1024 * 1024,
        outlet: "jkt-014".to_owned(),
        topic_prefix: "tillbox".to_owned(),
        event_max_bytes: 128 * 1024,
        retention: TimeDelta::days(30),
        connections: vec![("front".to_owned(), "qasir".to_owned())],
        retired: Vec::new(),
    };
    let outbox = Arc::new(Outbox::open(options, now).unwrap().outbox);
    let gap = |hour| {
        let from = now - TimeDelta::hours(hour);
        Gap { from, to: from + TimeDelta::seconds(1), reason: GapReason::Truncated }
    };
    let epoch = outbox.level().epoch;
    let gaps_opened = vec![gap(3), gap(5)];
    outbox.capture(Capture { connection: "front".to_owned(), epoch, now, gaps_opened, ..Capture::default() }).unwrap();
    let by = Statement::new("Sari", "the till was broken").unwrap();
    outbox.close_gap(&handle_of_gap("front", &gap(5)), &by, now).unwrap();

    let zone = Zone::load("Asia/Jakarta").unwrap();
    let context = ParseContext {
        connection: "front".to_owned(),
        outlet_zone: zone.clone(),
        source_zone: zone.clone(),
        currency: Currency::parse("IDR").unwrap(),
        business_day_starts: NaiveTime::MIN,
        observed_at: now,
    };
    let secret = SecretAt::Here(Secret::new("token"));
    let credentials = Credentials::Bearer { token: secret.clone() };
    let begun_with = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&begun_with);
    let poll = Poll {
        connection: "front".to_owned(),
        system: "qasir",
        make: Box::new(move |begin| {
            noted.lock().unwrap().extend(begin.gaps.clone());
            let (poll_every, backfill) = (TimeDelta::seconds(15), TimeDelta::days(1));
            let terms = Terms { context: context.clone(), poll_every, backfill };
            systems::connector("https://pos.example", System::Qasir, &credentials, terms, begin)
        }),
        client: Box::new(Nobody),
        secret,
        remedy: String::new(),
        requests_per_minute: 8,
        calendar: Calendar { zone, day_starts: NaiveTime::MIN },
        retention: TimeDelta::days(30),
        outbox,
        health: Arc::new(Health::default()),
        clock: Clock::standing_at(now),
        stop: Stop::default(),
    };
    poll.begin().unwrap();
    assert_eq!(*begun_with.lock().unwrap(), [gap(3), gap(5)]);
}
