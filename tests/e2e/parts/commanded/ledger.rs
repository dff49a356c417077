//! What a broker on command saw.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::packet::{Publish, Version};

#[derive(Debug, Default)]
pub struct Ledger {
    /// Every publish of a box, in the order of arrival.
    pub arrived: Vec<Arrived>,
    /// Every connection that got as far as a CONNECT.
    pub connections: Vec<Connection>,
    /// Every SUBSCRIBE and UNSUBSCRIBE of a box: the connection, the filter, whether it was subscribed.
    pub subscribed: Vec<(u64, String, bool)>,
    /// Last wills of boxes that were published.
    pub wills: usize,
    pub pings: usize,
    /// Events among what arrived, repeats as well.
    pub events: u64,
}

#[derive(Debug, Clone)]
pub struct Arrived {
    pub connection: u64,
    pub at: Instant,
    pub topic: String,
    pub body: String,
    pub retain: bool,
    pub repeated: bool,
    pub packet: u16,
    pub size: usize,
    /// An event that counts, no `hello`.
    pub is_event: bool,
    /// How many it was delivered to.
    pub reached: usize,
    /// The code of its PUBACK, 0 under 3.1.1; `None` if there was none.
    pub answer: Option<u8>,
}

#[derive(Debug, Clone)]
pub struct Connection {
    pub number: u64,
    pub client: String,
    pub is_box: bool,
    pub version: Option<Version>,
    pub keep_alive: u16,
    pub has_will: bool,
    pub at: Instant,
    /// It was let in.
    pub greeted: bool,
    pub ended: Option<Ended>,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By the client's DISCONNECT with this reason.
    Goodbye(u8),
    /// By the client, without a word.
    Lost,
    /// By the broker.
    Closed,
    /// By silence longer than its keep-alive.
    Silent,
    TakenOver,
}

impl Ledger {
    /// Sessions of boxes that were let in.
    pub fn sessions(&self) -> usize {
        self.connections.iter().filter(|connection| connection.is_box && connection.greeted).count()
    }

    /// Sessions of boxes that were let in within the last so long.
    pub fn sessions_within(&self, limit: Duration) -> usize {
        let recent = self.connections.iter().filter(|connection| connection.is_box && connection.greeted);
        recent.filter(|connection| connection.at.elapsed() <= limit).count()
    }

    /// The version of the last session of a box.
    pub fn version(&self) -> Option<u8> {
        let mut greeted = self.connections.iter().rev().filter(|connection| connection.is_box && connection.greeted);
        greeted.next()?.version.map(|version| if version == Version::V5 { 5 } else { 4 })
    }

    /// What arrived on topics that end so.
    pub fn on<'a>(&'a self, end: &'a str) -> impl DoubleEndedIterator<Item = &'a Arrived> {
        self.arrived.iter().filter(move |arrived| arrived.topic.ends_with(end))
    }

    /// Events that arrived, repeats as well.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Arrived> {
        self.arrived.iter().filter(|arrived| arrived.is_event)
    }

    /// The last connections and publishes, a line each, for a test that fails.
    pub fn summary(&self) -> String {
        const LAST: usize = 30;
        let mut lines = Vec::new();
        let boxes: Vec<_> = self.connections.iter().filter(|one| one.is_box).collect();
        for one in boxes.iter().rev().take(LAST).rev() {
            let (ago, version) = (one.at.elapsed(), one.version);
            lines.push(format!(
                "connection {} of {} {ago:.1?} ago, {version:?}, let in: {}, ended: {:?}",
                one.number, one.client, one.greeted, one.ended
            ));
        }
        for (connection, filter, on) in self.subscribed.iter().rev().take(LAST).rev() {
            lines.push(format!("connection {connection} {} {filter}", if *on { "subscribed" } else { "unsubscribed" }));
        }
        for one in self.arrived.iter().rev().take(LAST).rev() {
            lines.push(format!(
                "connection {} {:.1?} ago, packet {}: {} ({} bytes{}), reached {}, answered {:?}",
                one.connection,
                one.at.elapsed(),
                one.packet,
                one.topic,
                one.size,
                if one.is_event { "" } else { ", no event" },
                one.reached,
                one.answer
            ));
        }
        lines.join("\n")
    }

    /// Events that went to somebody.
    pub fn delivered(&self) -> usize {
        self.events().filter(|event| event.reached > 0).count()
    }
}

impl Arrived {
    pub(super) fn new(connection: u64, publish: &Publish) -> Self {
        let body = String::from_utf8_lossy(&publish.body).into_owned();
        let is_event = publish.topic.contains("/events/") && !body.contains("tillbox.hello.v1");
        Self {
            connection,
            at: Instant::now(),
            topic: publish.topic.clone(),
            body,
            retain: publish.retain,
            repeated: publish.repeated,
            packet: publish.packet,
            size: publish.size,
            is_event,
            reached: 0,
            answer: None,
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}
