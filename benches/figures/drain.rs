//! Draining a backlog to PUBACK, with a live persistent subscriber, against a bare loop over the same client library.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use chrono::NaiveTime;
use tillbox::{
    clock::Clock,
    config::{Acknowledge, Broker, Currency, Echo, Hq, Outlet, Protocol, WithoutSubscribers},
    event::{Stream, StreamId},
    forward::BATCHED_FROM,
    health::Health,
    mqtt::{
        Link,
        wire::{Arrived, Connect, Wire},
    },
    outbox::Outbox,
    status::Description,
    stop::Stop,
    watchdog::Heartbeat,
};

use crate::{
    machine::{Mosquitto, cpu_ms, median, ratio},
    records,
};

const EVENTS: u64 = 100_000;
const RUNS: usize = 3;

/// A link to HQ in a thread of its own.
pub struct RunningLink {
    stop: Stop,
    thread: JoinHandle<()>,
}

impl RunningLink {
    pub fn stop(self) {
        self.stop.give();
        self.thread.join().expect("the link ends");
    }
}

pub fn start_link(outbox: &Arc<Outbox>, port: u16, window: u16) -> RunningLink {
    let stop = Stop::default();
    let link = Link {
        hq: Hq {
            brokers: vec![Broker { tls: false, host: "127.0.0.1".to_owned(), port }],
            topic_prefix: "tillbox".to_owned(),
            acknowledge: Acknowledge::Broker,
            protocol: Protocol::Auto,
            echo: Echo::Required,
            without_subscribers: WithoutSubscribers::Wait,
            username: None,
            password: None,
            ca_certificate: None,
            client_certificate: None,
            client_key_file: None,
            window,
            keep_alive: Duration::from_secs(30),
            event_max_bytes: 128 * 1024,
        },
        outlet: Outlet {
            id: "bench".to_owned(),
            name: None,
            timezone: records::zone(),
            currency: Currency::parse("IDR").expect("a currency"),
            business_day_starts: NaiveTime::MIN,
        },
        outbox: Arc::clone(outbox),
        health: Arc::new(Health::default()),
        clock: Clock::system(),
        stop: stop.clone(),
        rescan_horizon: chrono::TimeDelta::days(7),
        reaches: std::collections::BTreeMap::new(),
        heartbeat: Heartbeat::default(),
        by_hand: false,
        describe: {
            let outbox = Arc::clone(outbox);
            Box::new(move || Description {
                outlet: "bench".to_owned(),
                name: None,
                acknowledge: Acknowledge::Broker,
                stream: outbox.stream(),
            })
        },
    };
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(link.run()).expect("the link runs");
    });
    RunningLink { stop, thread }
}

pub fn measure() {
    for window in [100, 500] {
        let (mut ours, mut bares, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let (ms, cpu_ms) = drain(window);
            ours.push(ms);
            cpu.push(cpu_ms);
            bares.push(bare(window));
        }
        let (ours, bare) = (median(ours), median(bares));
        println!(
            "drain of {EVENTS} events, window {window}: {} events/s, bare loop {} messages/s, ratio {}; {} ms of CPU \
             (medians of {RUNS}, in turn)",
            EVENTS * 1_000 / ours.max(1),
            EVENTS * 1_000 / bare.max(1),
            ratio(bare, ours),
            median(cpu)
        );
    }
}

/// Milliseconds, and milliseconds of CPU, to drain a full outbox.
fn drain(window: u16) -> (u64, u64) {
    let (folder, broker) = (tempfile::tempdir().expect("a folder"), Mosquitto::start());
    let _subscriber = broker.subscriber();
    let outbox = Arc::new(records::open(folder.path()));
    for page in 0..EVENTS / 100 {
        outbox.capture(records::capture(&outbox, &records::body(page * 100, 100))).expect("a commit");
    }
    let (cpu, begun) = (cpu_ms("self"), Instant::now());
    let link = start_link(&outbox, broker.port, window);
    let mut level = outbox.watch();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(level.wait_for(|level| level.acknowledged == EVENTS)).map(drop).expect("the outbox lives");
    let spent = (u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX), cpu_ms("self") - cpu);
    link.stop();
    spent
}

/// Milliseconds to publish as many messages of the same kind without a store.
fn bare(window: u16) -> u64 {
    let broker = Mosquitto::start();
    let _subscriber = broker.subscriber();
    let folder = tempfile::tempdir().expect("a folder");
    let outbox = records::open(folder.path());
    outbox.capture(records::capture(&outbox, &records::body(0, 100))).expect("a commit");
    let stream = Stream { id: StreamId([7; 16]), generation: 1, outlet: "bench".to_owned() };
    let events = outbox.read(outbox.level().epoch, 0, 100).expect("events");
    let payloads: Vec<Vec<u8>> = events.iter().map(|event| event.envelope(&stream)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let connect = Connect {
            broker: Broker { tls: false, host: "127.0.0.1".to_owned(), port: broker.port },
            client_id: "bare".to_owned(),
            login: None,
            tls: None,
            keep_alive: Duration::from_secs(30),
            last_will: None,
        };
        let mut wire = Wire::open(connect, Protocol::Auto, None).await.expect("a connection");
        // As many as the broker takes at once.
        let window = window.min(wire.welcome().receive_max.unwrap_or(u16::MAX));
        let begun = Instant::now();
        let (mut sent, mut acknowledged) = (0, 0);
        while acknowledged < EVENTS {
            let free = u64::from(window) - (sent - acknowledged);
            let refills = usize::from(window) < BATCHED_FROM || free * 4 >= u64::from(window);
            let mut room = if refills { free.min(wire.room() as u64) } else { 0 };
            while room > 0 && sent < EVENTS {
                let payload = payloads[usize::try_from(sent % 100).unwrap_or(0)].clone();
                wire.publish("tillbox/bench/events/transaction", payload, false).expect("a publish");
                sent += 1;
                room -= 1;
            }
            wire.wait().await.expect("an answer");
            while let Some(arrived) = wire.arrived().expect("an answer") {
                acknowledged += u64::from(matches!(arrived, Arrived::Acknowledged(..)));
            }
        }
        u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    })
}
