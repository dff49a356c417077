//! What the box says of itself on HQ's retained `status` topic, and the unnumbered `hello`.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    config::Acknowledge,
    event::Stream,
    health::Facts,
    instant,
    outbox::Level,
    progress::Progress,
    signal::{Lights, Signs, lights},
};

/// What does not change while the daemon runs, and the stream.
#[derive(Debug, Clone)]
pub struct Description {
    /// The outlet's id.
    pub outlet: String,
    /// Its name.
    pub name: Option<String>,
    /// Whose word releases an event.
    pub acknowledge: Acknowledge,
    /// The stream, once it has a generation.
    pub stream: Option<Arc<Stream>>,
}

/// The box's own word on its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It runs.
    Running,
    /// It was stopped in order.
    Stopped,
    /// The broker says it: the connection of that session is gone.
    Lost,
    /// `tillbox check --online` looks whether the broker keeps it; it says nothing of the box.
    Checking,
}

#[derive(Serialize)]
struct Body<'a> {
    schema: &'static str,
    outlet: &'a str,
    name: Option<&'a str>,
    state: State,
    session: Option<&'a str>,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Report<'a>>,
}

#[derive(Serialize)]
struct Report<'a> {
    at: String,
    stream: Option<String>,
    generation: Option<u32>,
    acknowledge: &'static str,
    protocol: Option<&'static str>,
    unproven_echo: bool,
    lights: Lights,
    outbox: OutboxReport,
    open_gaps: usize,
    connections: Vec<ConnectionReport<'a>>,
    conditions: Vec<ConditionReport<'a>>,
}

#[derive(Serialize)]
struct OutboxReport {
    durable: u64,
    acknowledged: u64,
    released: u64,
    undelivered: u64,
    waiting_for_broker: u64,
    waiting_for_hq: u64,
    queued_bytes: u64,
    limit_bytes: u64,
    kept_bytes: u64,
    stores_set_aside: usize,
}

#[derive(Serialize)]
struct ConnectionReport<'a> {
    name: &'a str,
    system: &'static str,
    identity: Option<&'a str>,
    complete: bool,
    since: Option<String>,
    watermark: Option<String>,
    last_answer: Option<String>,
    put_aside: u64,
    clock_difference_s: Option<i64>,
    notes: &'a [String],
}

#[derive(Serialize)]
struct ConditionReport<'a> {
    code: &'static str,
    connection: Option<&'a str>,
    text: &'a str,
    since: String,
    times: u64,
    needs_technician: bool,
}

/// The body of a birth, a change or a goodbye.
#[must_use]
pub fn body(description: &Description, state: State, facts: &Facts, level: &Level, now: DateTime<Utc>) -> Vec<u8> {
    let connections = facts.connections.iter().map(|(name, health)| {
        let Progress { identity, watermark, since, complete, notes } = &health.progress;
        ConnectionReport {
            name,
            system: health.system,
            identity: identity.as_deref(),
            complete: *complete,
            since: since.map(instant::text_utc),
            watermark: watermark.map(instant::text_utc),
            last_answer: health.last_answer.map(instant::text_utc),
            put_aside: health.put_aside.0,
            clock_difference_s: health.clock_difference_s,
            notes,
        }
    });
    let conditions = facts.conditions().map(|(condition, connection, held)| ConditionReport {
        code: condition.code(),
        connection: (!connection.is_empty()).then_some(connection),
        text: &held.text,
        since: instant::text_utc(held.since),
        times: held.times,
        needs_technician: condition.needs_technician(),
    });
    let acknowledge = description.acknowledge;
    let report = Report {
        at: instant::text_utc(now),
        stream: description.stream.as_ref().map(|stream| stream.id.to_string()),
        generation: description.stream.as_ref().map(|stream| stream.generation),
        acknowledge: acknowledge_name(acknowledge),
        protocol: facts.protocol,
        unproven_echo: facts.unproven_echo,
        lights: lights(Signs::of(facts, level, acknowledge, now)),
        outbox: OutboxReport {
            durable: level.durable,
            acknowledged: level.acknowledged,
            released: level.released,
            undelivered: level.undelivered(acknowledge),
            waiting_for_broker: level.unacknowledged(),
            waiting_for_hq: level.unconfirmed(acknowledge),
            queued_bytes: level.queued_bytes,
            limit_bytes: level.limit_bytes,
            kept_bytes: level.kept_bytes,
            stores_set_aside: facts.stores_set_aside,
        },
        open_gaps: facts.open_gaps,
        connections: connections.collect(),
        conditions: conditions.collect(),
    };
    write(description, state, facts.session.as_deref(), Some(report))
}

/// The last will of a session: the broker publishes it when the connection is gone without a goodbye.
#[must_use]
pub fn lost(description: &Description, session: &str) -> Vec<u8> {
    write(description, State::Lost, Some(session), None)
}

/// The probe by which `tillbox check --online` finds out whether what is retained stays; `nonce` names it.
#[must_use]
pub fn checking(outlet: &str, name: Option<&str>, nonce: &str) -> Vec<u8> {
    let description = Description {
        outlet: outlet.to_owned(),
        name: name.map(str::to_owned),
        acknowledge: Acknowledge::Broker,
        stream: None,
    };
    write(&description, State::Checking, Some(nonce), None)
}

fn write(description: &Description, state: State, session: Option<&str>, report: Option<Report<'_>>) -> Vec<u8> {
    let body = Body {
        schema: "tillbox.status.v1",
        outlet: &description.outlet,
        name: description.name.as_deref(),
        state,
        session,
        version: env!("CARGO_PKG_VERSION"),
        report,
    };
    serde_json::to_vec(&body).expect("texts and integers are always JSON")
}

pub(crate) fn acknowledge_name(acknowledge: Acknowledge) -> &'static str {
    match acknowledge {
        Acknowledge::Feed => "feed",
        Acknowledge::Broker => "broker",
    }
}

#[derive(Serialize)]
struct Hello<'a> {
    specversion: &'static str,
    id: String,
    source: String,
    #[serde(rename = "type")]
    event_type: &'static str,
    datacontenttype: &'static str,
    dataschema: &'static str,
    outlet: &'a str,
    data: HelloData<'a>,
}

#[derive(Serialize)]
struct HelloData<'a> {
    schema: &'static str,
    nonce: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    padding: &'a str,
}

/// The unnumbered event by which a session proves that its publishes arrive, padded to `bytes` if it has fewer.
///
/// # Panics
/// Never: texts are always JSON.
#[must_use]
pub fn hello(outlet: &str, nonce: &str, bytes: usize) -> Vec<u8> {
    let bare = write_hello(outlet, nonce, "");
    // The member's own name takes bytes, too.
    match bytes.saturating_sub(bare.len() + r#","padding":"""#.len()) {
        0 => bare,
        padding => write_hello(outlet, nonce, &"-".repeat(padding)),
    }
}

fn write_hello(outlet: &str, nonce: &str, padding: &str) -> Vec<u8> {
    let hello = Hello {
        specversion: "1.0",
        id: format!("hello.{nonce}"),
        source: format!("/outlets/{outlet}"),
        event_type: "tillbox.hello.v1",
        datacontenttype: "application/json",
        dataschema: "urn:tillbox:schema:hello:v1",
        outlet,
        data: HelloData { schema: "tillbox.hello.v1", nonce, padding },
    };
    serde_json::to_vec(&hello).expect("texts are always JSON")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::health::Health;

    fn report(acknowledge: Acknowledge, health: &Health, level: &Level) -> Value {
        let description = Description { outlet: "jkt-014".to_owned(), name: None, acknowledge, stream: None };
        let body = body(&description, State::Running, &health.facts(), level, DateTime::UNIX_EPOCH);
        serde_json::from_slice::<Value>(&body).expect("JSON")["report"].clone()
    }

    #[test]
    fn what_waits_is_told_by_the_word_that_counts() {
        let health = Health::default();
        let mut level = Level::default();
        (level.durable, level.acknowledged, level.released, level.kept_bytes) = (10, 7, 4, 99);
        let waits = |report: &Value| {
            ["undelivered", "waiting_for_broker", "waiting_for_hq"].map(|of| report["outbox"][of].as_u64().unwrap())
        };
        let by_feed = report(Acknowledge::Feed, &health, &level);
        assert_eq!((waits(&by_feed), by_feed["outbox"]["kept_bytes"].as_u64()), ([6, 3, 3], Some(99)));
        assert_eq!(waits(&report(Acknowledge::Broker, &health, &level)), [3, 3, 0], "HQ confirms nothing there");
    }

    #[test]
    fn a_bare_word_is_told_to_hq_as_what_it_is() {
        let health = Health::default();
        let none = report(Acknowledge::Broker, &health, &Level::default());
        assert_eq!((&none["protocol"], &none["unproven_echo"]), (&Value::Null, &false.into()));
        health.update(|facts| (facts.protocol, facts.unproven_echo) = (Some("3.1.1"), true));
        let bare = report(Acknowledge::Broker, &health, &Level::default());
        assert_eq!((&bare["protocol"], &bare["unproven_echo"]), (&"3.1.1".into(), &true.into()));
    }
}
