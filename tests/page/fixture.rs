//! Boxes in various states.

use chrono::{DateTime, TimeDelta, Utc};
use tillbox::{
    gap::GapReason,
    health::{Condition, Phase},
    overview::{Connection, HOURS, Hour, Hq, OpenGap, Overview, Queue, Sales, Standing, Trouble},
    signal::{Lights, Pattern},
};

/// A quarter to three in the afternoon in Jakarta.
pub fn now() -> DateTime<Utc> {
    "2026-03-04T07:45:30Z".parse().expect("an instant")
}

fn ago(minutes: i64) -> DateTime<Utc> {
    now() - TimeDelta::minutes(minutes)
}

/// All is well.
pub fn healthy() -> Overview {
    Overview {
        version: "0.1.0".to_owned(),
        at: now(),
        up_since: ago(9 * 24 * 60 + 130),
        outlet: "jkt-014".to_owned(),
        name: Some("Warung Sabang".to_owned()),
        phase: Phase::Running,
        lights: Lights { sync: Pattern::SteadyWink, hold: Pattern::Off, fault: Pattern::Off },
        hq: Hq {
            standing: Standing::Fine,
            since: ago(300),
            connected: true,
            broker: Some("mqtts://mqtt.hq.example:8883".to_owned()),
            protocol: Some("5".to_owned()),
            acknowledge: "feed".to_owned(),
            unproven_echo: false,
            feed_waits_since: None,
        },
        connections: vec![connection("front", "qasir", "Warung Sabang, Menteng")],
        conditions: Vec::new(),
        outbox: Some(Queue {
            stream: Some("0123456789abcdef0123456789abcdef".to_owned()),
            generation: Some(1),
            durable: 48_211,
            acknowledged: 48_211,
            released: 48_211,
            undelivered: 0,
            waiting_for_broker: 0,
            waiting_for_hq: 0,
            queued_bytes: 0,
            limit_bytes: 192 << 20,
            kept_bytes: 1_843_200,
            max_bytes: 512 << 20,
            oldest_undelivered: None,
            drained_in_s: Some(0),
            closed: None,
            stores_set_aside: 0,
        }),
        sales: Some(sales(24)),
        gaps: Vec::new(),
        open_gaps: 0,
        put_aside_lately: false,
        has_printer_lines: true,
        disk_free_bytes: Some(23_500_000_000),
        temperature_millicelsius: Some(48_312),
    }
}

/// HQ has been gone since noon, and the sales wait.
pub fn holding() -> Overview {
    let mut overview = healthy();
    overview.lights = Lights { sync: Pattern::Slow, hold: Pattern::Steady, fault: Pattern::Off };
    (overview.hq.standing, overview.hq.connected, overview.hq.protocol) = (Standing::Waiting, false, None);
    overview.hq.since = ago(167);
    overview.conditions =
        vec![trouble(Condition::HqUnreachable, None, "mqtts://mqtt.hq.example:8883: connection refused", 167)];
    overview.sales = Some(sales(21));
    if let Some(queue) = &mut overview.outbox {
        queue.durable += 83;
        (queue.undelivered, queue.waiting_for_broker) = (83, 83);
        queue.queued_bytes = 61_440;
        queue.oldest_undelivered = Some(ago(165));
        queue.drained_in_s = None;
    }
    overview
}

/// The same box, where the broker's word is all that counts.
pub fn by_broker(mut overview: Overview) -> Overview {
    "broker".clone_into(&mut overview.hq.acknowledge);
    if let Some(queue) = &mut overview.outbox {
        (queue.waiting_for_hq, queue.undelivered) = (0, queue.waiting_for_broker);
    }
    overview
}

/// The broker's bare word counts, over a protocol that proves nothing.
pub fn by_bare_word() -> Overview {
    let mut overview = by_broker(healthy());
    (overview.hq.unproven_echo, overview.hq.protocol) = (true, Some("3.1.1".to_owned()));
    overview
}

/// A condition of the line to HQ, or of the box, holds by itself: seven sales were made since, and are not delivered.
pub fn with(condition: Condition) -> Overview {
    let mut overview = holding();
    (overview.hq.standing, overview.hq.connected) = (Standing::Waiting, true);
    overview.hq.protocol = Some("5".to_owned());
    overview.hq.since = ago(20);
    overview.sales = Some(sales(24));
    if let Some(sales) = overview.sales.as_mut().filter(|_| condition.keeps_sales_here()) {
        sales.hours[HOURS - 1].delivered -= 7;
        sales.last_delivered = Some(ago(22));
    }
    let queue = overview.outbox.as_mut().expect("an outbox");
    queue.durable = queue.released + 7;
    (queue.undelivered, queue.waiting_for_broker, queue.oldest_undelivered) = (7, 7, Some(ago(21)));
    if condition.leaves_unproven() {
        overview.lights.hold = Pattern::Fast;
    }
    if condition.leaves_unproven() || condition == Condition::EventReduced {
        overview.hq.standing = Standing::Fine;
        queue.durable = queue.released;
        (queue.undelivered, queue.waiting_for_broker, queue.oldest_undelivered) = (0, 0, None);
        queue.drained_in_s = Some(0);
    }
    if condition == Condition::EventReduced {
        overview.lights = Lights { sync: Pattern::SteadyWink, hold: Pattern::Off, fault: Pattern::Off };
    }
    if condition.needs_technician() {
        overview.lights.fault = Pattern::Steady;
        overview.hq.standing = Standing::NeedsTechnician;
    }
    if condition == Condition::FeedSilent {
        queue.acknowledged = queue.durable;
        (queue.waiting_for_broker, queue.waiting_for_hq) = (0, 7);
        overview.hq.feed_waits_since = Some(ago(20));
    }
    overview.conditions = vec![trouble(condition, None, "what a technician wants to know of it", 20)];
    overview
}

/// Much is wrong at once.
pub fn faulty() -> Overview {
    let mut overview = holding();
    overview.lights.fault = Pattern::Steady;
    overview.lights.hold = Pattern::Fast;
    overview.connections[0].standing = Standing::NeedsTechnician;
    overview.connections[0].standing_since = ago(52);
    overview.connections[0].last_answer = Some(ago(53));
    overview.connections.push(connection("kitchen", "pos-kasir", "Dapur <b>Sabang</b> & Co"));
    overview.connections[1].standing = Standing::CatchingUp;
    overview.connections[1].put_aside = 2;
    overview.connections[1].clock_difference_s = Some(-95);
    overview.connections[1].notes =
        vec!["this system does not tell refunds of single items".to_owned(), "history begins 2026-01-01".to_owned()];
    let refused = "qasir GET /v1/transactions: the credentials are refused (401); write a new token to \
                   /etc/tillbox/qasir.token";
    overview.conditions.push(trouble(Condition::PosRefused, Some("front"), refused, 52));
    overview.conditions[1].times = 3;
    let paper =
        Trouble { code: "paper_low".to_owned(), ..trouble(Condition::ClockWrong, None, "line paper-low is lit", 12) };
    overview.conditions.push(Trouble { needs_technician: false, ..paper });
    overview.gaps = vec![OpenGap {
        handle: String::new(),
        connection: "kitchen".to_owned(),
        from: ago(400),
        to: ago(380),
        reason: GapReason::Truncated,
    }];
    (overview.open_gaps, overview.put_aside_lately) = (1, true);
    overview
}

/// More than any box has, and hostile names.
pub fn worst() -> Overview {
    let mut overview = faulty();
    let long = "<script>\"'&".repeat(400);
    overview.name = Some(long.clone());
    overview.connections = (0..8)
        .map(|n| {
            let mut of = connection(&format!("connection-{n}-{}", "x".repeat(50)), "pos-kasir", &long);
            of.standing = Standing::NeedsTechnician;
            of.notes = vec![long.clone(); 20];
            of.put_aside = 500;
            of
        })
        .collect();
    let names: Vec<String> = overview.connections.iter().map(|of| of.name.clone()).collect();
    overview.conditions = Condition::ALL
        .into_iter()
        .flat_map(|condition| names.iter().map(move |name| (condition, name)))
        .map(|(condition, name)| trouble(condition, Some(name), &long, 99_999))
        .collect();
    for code in ["paper_low", "paper_end", "printer_fault", "line_lost"] {
        let of = trouble(Condition::ClockWrong, None, &long, 1);
        overview.conditions.push(Trouble { code: code.to_owned(), ..of });
    }
    overview.sales =
        Some(Sales { hours: vec![Hour { seen: u64::MAX / 100, delivered: u64::MAX / 300 }; HOURS], ..sales(24) });
    overview.hq.broker = Some(long.clone());
    overview.gaps = vec![OpenGap { connection: long, ..overview.gaps[0].clone() }; 20];
    overview.open_gaps = 100_000;
    overview
}

pub fn connection(name: &str, system: &str, identity: &str) -> Connection {
    Connection {
        name: name.to_owned(),
        system: system.to_owned(),
        identity: Some(identity.to_owned()),
        standing: Standing::Fine,
        standing_since: ago(9 * 24 * 60),
        watermark: Some(ago(0)),
        read_since: Some(ago(90 * 24 * 60)),
        last_answer: Some(now() - TimeDelta::seconds(9)),
        clock_difference_s: Some(1),
        put_aside: 0,
        notes: Vec::new(),
    }
}

pub fn trouble(condition: Condition, connection: Option<&str>, text: &str, minutes: i64) -> Trouble {
    Trouble {
        code: condition.code().to_owned(),
        connection: connection.map(str::to_owned),
        text: text.to_owned(),
        since: ago(minutes),
        times: 1,
        needs_technician: condition.needs_technician(),
    }
}

/// A day of a warung; hours from `sent` on are still in the box.
fn sales(sent: usize) -> Sales {
    let from: DateTime<Utc> = "2026-03-03T08:00:00Z".parse().expect("an instant");
    let seen = [22, 14, 18, 37, 44, 41, 26, 9, 0, 0, 0, 0, 0, 0, 0, 3, 12, 15, 11, 19, 36, 47, 31, 12];
    let hours = seen.iter().enumerate().map(|(hour, seen)| Hour {
        seen: *seen,
        delivered: match hour {
            _ if hour + 1 < sent || sent == HOURS => *seen,
            _ if hour + 1 == sent => 12,
            _ => 0,
        },
    });
    let last_delivered = if sent == HOURS { ago(3) } else { ago(168) };
    Sales { from, hours: hours.collect(), last_seen: Some(ago(3)), last_delivered: Some(last_delivered) }
}
