//! A token that comes while the daemon runs, through the poll loop and a real outbox.

use std::{fs, sync::Arc};

use chrono::{NaiveTime, TimeDelta};

use super::world::{at, sale, singapore};
use crate::{
    clock::Clock,
    closing::Calendar,
    config::Currency,
    demo::{
        asalta::{Asalta as Server, Options as ServerOptions},
        simulator::InProcess,
    },
    health::{Condition, Health},
    outbox::{Options, Outbox},
    poll::{Poll, Poller},
    pos::{asalta::connector::Asalta, connector::Terms, page::ParseContext},
    secret::SecretAt,
    stop::Stop,
};

#[test]
fn a_token_is_taken_up_when_it_comes_and_when_it_is_another() {
    let clock = Clock::standing_at(at("2026-03-14T12:00:00+08:00"));
    let server = Arc::new(Server::new(clock.clone(), ServerOptions::new(singapore())));
    server.put_at(clock.now(), sale("J1", 1_250, clock.now()));
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        folder: folder.path().join("store"),
        max_bytes: 64 * 1024 * 1024,
        outlet: "jkt-014".to_owned(),
        topic_prefix: "tillbox".to_owned(),
        event_max_bytes: 128 * 1024,
        retention: TimeDelta::days(100),
        connections: vec![("front".to_owned(), "asalta".to_owned())],
        retired: Vec::new(),
    };
    let outbox = Arc::new(Outbox::open(options, clock.now()).unwrap().outbox);
    let health = Arc::<Health>::default();
    let day_starts = NaiveTime::from_hms_opt(4, 0, 0).unwrap();
    let context = ParseContext {
        connection: "front".to_owned(),
        outlet_zone: singapore(),
        source_zone: singapore(),
        currency: Currency::parse("SGD").unwrap(),
        business_day_starts: day_starts,
        observed_at: clock.now(),
    };
    let token = folder.path().join("asalta.token");
    let poll = Poll {
        connection: "front".to_owned(),
        system: "asalta",
        make: Box::new(move |begin| {
            let (poll_every, backfill) = (TimeDelta::seconds(15), TimeDelta::days(2));
            Box::new(Asalta::new(Terms { context: context.clone(), poll_every, backfill }, begin))
        }),
        client: Box::new(InProcess::new(Arc::clone(&server))),
        secret: SecretAt::File(token.clone()),
        remedy: "run `tillbox authorize --connection front`".to_owned(),
        requests_per_minute: 30,
        calendar: Calendar { zone: singapore(), day_starts },
        retention: TimeDelta::days(100),
        outbox: Arc::clone(&outbox),
        health: Arc::clone(&health),
        clock: clock.clone(),
        stop: Stop::default(),
    };
    let mut poller = poll.begin().unwrap();
    let run = |poller: &mut Poller| {
        let until = clock.now() + TimeDelta::minutes(1);
        while clock.now() < until {
            let pause = poller.step();
            clock.set(clock.now() + TimeDelta::from_std(pause).unwrap());
        }
    };
    run(&mut poller);
    assert!(health.facts().holds(Condition::PosRefused), "there is none");
    fs::write(&token, "an-old-token\n").unwrap();
    run(&mut poller);
    assert!(health.facts().holds(Condition::PosRefused), "it is refused");
    assert_eq!(outbox.level().queued_bytes, 0);
    fs::write(&token, "asalta-token\n").unwrap();
    run(&mut poller);
    assert!(!health.facts().holds(Condition::PosRefused));
    assert!(outbox.level().queued_bytes > 0, "the sale is stored");
}
