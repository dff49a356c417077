//! What HQ receives: numbered `CloudEvents` 1.0 in structured JSON.
//!
//! A [`Draft`] is an event before it has a number; the outbox numbers it as it stores it. The envelope is written at
//! publishing, because a new box learns its generation from HQ only then.

use std::fmt;

use serde::Serialize;

use crate::content::ContentId;

/// What an event tells; the last level of its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// A record of the source as it is now.
    Transaction,
    /// A business day's counts and sums.
    Closing,
    /// A record that could not be read, and why.
    Quarantine,
    /// An interval whose completeness is not proven, or is proven at last.
    Gap,
    /// Something a technician or HQ should know.
    Notice,
}

impl EventType {
    /// Every type, in the order of their codes in the store.
    pub const ALL: [Self; 5] = [Self::Transaction, Self::Closing, Self::Quarantine, Self::Gap, Self::Notice];

    /// The name in topics and in the `type` attribute.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Closing => "closing",
            Self::Quarantine => "quarantine",
            Self::Gap => "gap",
            Self::Notice => "notice",
        }
    }
}

/// An event without a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What it tells.
    pub event_type: EventType,
    /// The connection it speaks of; `None` for the box itself.
    pub connection: Option<String>,
    /// `{resource}/{external_id}`, or what else the event is about.
    pub subject: String,
    /// When it happened, RFC 3339 with its offset.
    pub time: String,
    /// The content id of what it states.
    pub content: ContentId,
    /// The record: one JSON object.
    pub data: String,
}

/// An event with its number in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// From 1, without a hole, across all types.
    pub sequence: u64,
    /// What was stored.
    pub draft: Draft,
}

/// The random name of a store's stream.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamId(pub [u8; 16]);

impl StreamId {
    /// A new random id.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn random() -> Result<Self, ring::error::Unspecified> {
        let mut bytes = [0; 16];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads the 32 lower-case hexadecimal digits that `Display` writes, and nothing else: two spellings of one stream
    /// would be two streams to whoever compares texts.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        if text.len() != 32 || !text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for StreamId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What all events of one stream share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// The stream's id.
    pub id: StreamId,
    /// Orders the streams of one outlet; from 1.
    pub generation: u32,
    /// The outlet's id.
    pub outlet: String,
}

/// Bytes that an envelope adds to its data and subject at most; ids, names and times are bounded.
pub const ENVELOPE_MAX_BYTES: usize = 1_024;

#[derive(Serialize)]
struct Envelope<'a> {
    specversion: &'static str,
    id: String,
    source: String,
    #[serde(rename = "type")]
    event_type: String,
    subject: &'a str,
    time: &'a str,
    datacontenttype: &'static str,
    dataschema: String,
    stream: StreamId,
    generation: u32,
    sequence: String,
    contentid: ContentId,
    outlet: &'a str,
}

impl Event {
    /// The event as HQ receives it: one `CloudEvents` 1.0 object in structured JSON.
    ///
    /// # Panics
    /// Never: strings and integers are always JSON.
    #[must_use]
    pub fn envelope(&self, stream: &Stream) -> Vec<u8> {
        let Draft { event_type, connection, subject, time, content, data } = &self.draft;
        let name = event_type.name();
        let source = match connection {
            Some(connection) => format!("/outlets/{}/{connection}", stream.outlet),
            None => format!("/outlets/{}", stream.outlet),
        };
        let envelope = Envelope {
            specversion: "1.0",
            id: format!("{}.{}", stream.id, self.sequence),
            source,
            event_type: format!("tillbox.{name}.v1"),
            subject,
            time,
            datacontenttype: "application/json",
            dataschema: format!("urn:tillbox:schema:{name}:v1"),
            stream: stream.id,
            generation: stream.generation,
            sequence: format!("{:020}", self.sequence),
            contentid: *content,
            outlet: &stream.outlet,
        };
        let mut text = serde_json::to_vec(&envelope).expect("strings and integers are always JSON");
        // The data is JSON text already: it joins as the last member, byte for byte as it was stored.
        text.pop();
        text.extend_from_slice(b",\"data\":");
        text.extend_from_slice(data.as_bytes());
        text.push(b'}');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_one_spelling() {
        let text = "00ff4a5b6c7d8e9f00112233445566aa";
        assert_eq!(StreamId::parse(text).map(|id| id.to_string()).as_deref(), Some(text));
        assert_eq!(StreamId::parse(&text.to_uppercase()), None);
        assert_eq!(StreamId::parse("+f000000000000000000000000000000"), None);
        assert_eq!(StreamId::parse(&text[1..]), None);
    }
}
