//! The packets of MQTT 3.1.1 and 5 as bytes: the only user of rumqttc, whose codecs do the work.
//!
//! Reason codes are read here: rumqttc's readers refuse a packet whose code they do not know, and brokers send codes that
//! the standard does not list for a packet (Mosquitto 2.0 answers a publish that is too large with PUBACK 0x95). To this
//! reader a code that it does not know is a refusal.

use bytes::{Buf as _, Bytes, BytesMut};
use rumqttc::{mqttbytes as v4common, mqttbytes::v4, v5::mqttbytes as v5common, v5::mqttbytes::v5};

use super::wire::{Connect, WireError};
use crate::{plain::Plain, secret::Secret};

/// Which version a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// MQTT 5.
    V5,
    /// MQTT 3.1.1.
    V311,
}

impl Version {
    /// As people write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V5 => "5",
            Self::V311 => "3.1.1",
        }
    }
}

/// A reason code from 0x80 on, with the broker's own words if it gave some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The code; 0x80 to 0xFF.
    pub code: u8,
    /// What the broker says about it.
    pub reason: Option<String>,
}

/// Longest text of a broker that is shown.
const REASON_MAX_CHARS: usize = 120;

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#04x} {}", self.code, meaning(self.code))?;
        match &self.reason {
            Some(reason) => {
                let shown: String = reason.chars().take(REASON_MAX_CHARS).collect();
                write!(f, ", \"{}\"", Plain(shown))
            }
            None => Ok(()),
        }
    }
}

/// The standard's name of a reason code (MQTT 5, section 2.4).
fn meaning(code: u8) -> &'static str {
    match code {
        0x80 => "unspecified error",
        0x81 => "malformed packet",
        0x82 => "protocol error",
        0x83 => "implementation specific error",
        0x84 => "unsupported protocol version",
        0x85 => "client identifier not valid",
        0x86 => "bad user name or password",
        0x87 => "not authorized",
        0x88 => "server unavailable",
        0x89 => "server busy",
        0x8a => "banned",
        0x8b => "server shutting down",
        0x8c => "bad authentication method",
        0x8d => "keep alive timeout",
        0x8e => "session taken over",
        0x8f => "topic filter invalid",
        0x90 => "topic name invalid",
        0x91 => "packet identifier in use",
        0x93 => "receive maximum exceeded",
        0x95 => "packet too large",
        0x96 => "message rate too high",
        0x97 => "quota exceeded",
        0x98 => "administrative action",
        0x99 => "payload format invalid",
        0x9a => "retain not supported",
        0x9b => "quality of service not supported",
        0x9c => "use another server",
        0x9d => "server moved",
        0x9f => "connection rate exceeded",
        0xa0 => "maximum connect time",
        _ => "a code that the standard does not know",
    }
}

/// A packet that came, as far as the line needs it.
#[derive(Debug)]
pub enum Incoming {
    /// The answer to the login.
    Welcome(Welcome),
    /// The answer to a publish; `None` for success, 0x10 as it stands.
    Acknowledged { packet: u16, code: u8, reason: Option<String> },
    /// A message; its packet id is 0 if it wants no acknowledgement.
    Message { topic: String, body: Bytes, packet: u16 },
    /// The answer to a subscription: what was refused, if anything was.
    Subscribed { packet: u16, refused: Option<Refusal> },
    /// The answer to the end of a subscription.
    Unsubscribed { packet: u16 },
    /// The answer to a ping.
    Pong,
    /// The broker says that it ends the connection; 0x00 under MQTT 3.1.1, which has no such word.
    Goodbye { code: u8, reason: Option<String>, server: Option<String> },
}

/// What a broker grants, and what it asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Welcome {
    /// 0 if the login was taken; a reason code of MQTT 5, or a return code of MQTT 3.1.1 (1 to 5).
    pub code: u8,
    /// What the broker says about it.
    pub reason: Option<String>,
    /// Another broker that it names.
    pub server: Option<String>,
    /// Publishes without an acknowledgement that it takes at once.
    pub receive_max: Option<u16>,
    /// Bytes of the largest packet that it takes.
    pub packet_max_bytes: Option<u32>,
    /// Seconds of silence that it bears.
    pub keep_alive_s: Option<u16>,
    /// It says that it retains nothing.
    pub retains_nothing: bool,
    /// It takes no publish of quality 1.
    pub quality_0_only: bool,
}

/// A frame that cannot be what the standard says.
fn broken(what: impl std::fmt::Display) -> WireError {
    WireError::Lost(format!("the broker sends what is no MQTT ({what})"))
}

/// The type of a packet, in the first byte's upper half.
const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const SUBACK: u8 = 9;
const UNSUBACK: u8 = 11;
const PINGRESP: u8 = 13;
const DISCONNECT: u8 = 14;

/// The header of the next frame, once all of it is there: its own bytes, and the bytes that follow.
pub(super) fn frame(bytes: &[u8]) -> Result<Option<(usize, usize)>, WireError> {
    let mut length = 0_usize;
    for (at, byte) in bytes.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((at + 2, length)));
        }
    }
    if bytes.len() >= 5 { Err(broken("a length of more than four bytes")) } else { Ok(None) }
}

/// What the first bytes of a message tell that is too large to be read: its topic and packet id, once they are there.
pub(super) fn message_head(header: usize, bytes: &[u8]) -> Option<(String, u16)> {
    let quality = bytes.first()? >> 1 & 3;
    let mut rest = bytes.get(header..)?;
    if rest.len() < 2 {
        return None;
    }
    let length = usize::from(rest.get_u16());
    let (topic, mut rest) = rest.split_at_checked(length)?;
    let packet = match quality {
        0 => 0,
        _ if rest.len() < 2 => return None,
        _ => rest.get_u16(),
    };
    Some((String::from_utf8_lossy(topic).into_owned(), packet))
}

/// Reads one whole frame.
pub(super) fn read(version: Version, header: usize, frame: BytesMut) -> Result<Option<Incoming>, WireError> {
    let kind = frame[0] >> 4;
    let body = &frame[header..];
    match kind {
        PINGRESP => Ok(Some(Incoming::Pong)),
        CONNACK => read_welcome(header, frame).map(Some),
        PUBACK => {
            let packet = packet_id(body)?;
            let code = body.get(2).copied().unwrap_or_default();
            let properties = (code >= 0x80).then(|| with_known_code(frame, header + 2));
            let reason = match properties.map(read_v5) {
                Some(Some(v5::Packet::PubAck(ack))) => ack.properties.and_then(|it| it.reason_string),
                _ => None,
            };
            Ok(Some(Incoming::Acknowledged { packet, code, reason }))
        }
        SUBACK => {
            let packet = packet_id(body)?;
            let codes = match version {
                Version::V311 => body.get(2..).unwrap_or_default(),
                Version::V5 => after_properties(body.get(2..).unwrap_or_default())?,
            };
            let refused = codes.iter().find(|&&code| code > 2).map(|&code| Refusal { code, reason: None });
            Ok(Some(Incoming::Subscribed { packet, refused }))
        }
        UNSUBACK => Ok(Some(Incoming::Unsubscribed { packet: packet_id(body)? })),
        DISCONNECT => {
            let code = body.first().copied().unwrap_or_default();
            let properties = (body.len() > 1).then(|| with_known_code(frame, header)).and_then(read_v5);
            let properties = match properties {
                Some(v5::Packet::Disconnect(disconnect)) => disconnect.properties,
                _ => None,
            };
            let (reason, server) = properties.map_or((None, None), |it| (it.reason_string, it.server_reference));
            Ok(Some(Incoming::Goodbye { code, reason, server }))
        }
        PUBLISH => read_message(version, frame).map(Some),
        // PUBREC and its like belong to quality 2, which the box neither asks for nor sends.
        5..=7 => Ok(None),
        other => Err(broken(format_args!("packet type {other}"))),
    }
}

fn packet_id(body: &[u8]) -> Result<u16, WireError> {
    let id = body.first_chunk().map(|id| u16::from_be_bytes(*id)).filter(|&id| id != 0);
    id.ok_or_else(|| broken("an answer without a packet id"))
}

/// What follows properties whose length stands in front of them.
fn after_properties(bytes: &[u8]) -> Result<&[u8], WireError> {
    let mut padded = vec![0];
    padded.extend_from_slice(&bytes[..bytes.len().min(5)]);
    match frame(&padded)? {
        Some((header, length)) => bytes.get(header - 1 + length..).ok_or_else(|| broken("properties that are cut")),
        None => Err(broken("properties that are cut")),
    }
}

/// The same frame with a reason code that rumqttc's reader knows for every packet.
fn with_known_code(mut frame: BytesMut, at: usize) -> BytesMut {
    if let Some(code) = frame.get_mut(at) {
        *code = 0x80;
    }
    frame
}

fn read_v5(mut frame: BytesMut) -> Option<v5::Packet> {
    v5::Packet::read(&mut frame, None).ok()
}

fn read_welcome(header: usize, mut frame: BytesMut) -> Result<Incoming, WireError> {
    let Some(&code) = frame.get(header + 1) else { return Err(broken("a CONNACK that is cut")) };
    let mut welcome = Welcome { code, ..Welcome::default() };
    // In the form of 3.1.1, which a broker that does not speak 5 answers with.
    if frame.len() > header + 2 {
        if code != 0 {
            frame = with_known_code(frame, header + 1);
        }
        if let Some(v5::Packet::ConnAck(v5::ConnAck { properties: Some(told), .. })) = read_v5(frame) {
            welcome.reason = told.reason_string;
            welcome.server = told.server_reference;
            welcome.receive_max = told.receive_max.filter(|&most| most > 0);
            welcome.packet_max_bytes = told.max_packet_size;
            welcome.keep_alive_s = told.server_keep_alive;
            welcome.retains_nothing = told.retain_available == Some(0);
            welcome.quality_0_only = told.max_qos == Some(0);
        }
    }
    Ok(Incoming::Welcome(welcome))
}

fn read_message(version: Version, mut frame: BytesMut) -> Result<Incoming, WireError> {
    let size = frame.len();
    match version {
        Version::V311 => match v4::Packet::read(&mut frame, size) {
            Ok(v4::Packet::Publish(it)) => Ok(Incoming::Message { topic: it.topic, body: it.payload, packet: it.pkid }),
            Ok(_) => Err(broken("a message")),
            Err(error) => Err(broken(error)),
        },
        Version::V5 => match v5::Packet::read(&mut frame, None) {
            Ok(v5::Packet::Publish(it)) => {
                let topic = String::from_utf8_lossy(&it.topic).into_owned();
                Ok(Incoming::Message { topic, body: it.payload, packet: it.pkid })
            }
            Ok(_) => Err(broken("a message")),
            Err(error) => Err(broken(error)),
        },
    }
}

/// Writes a login.
pub(super) fn write_connect(version: Version, connect: &Connect, to: &mut BytesMut) -> Result<(), WireError> {
    let Connect { client_id, login, keep_alive, last_will, .. } = connect;
    let keep_alive = u16::try_from(keep_alive.as_secs()).unwrap_or(u16::MAX);
    let secret = |password: &Option<Secret>| password.as_ref().map(Secret::expose).unwrap_or_default().to_owned();
    match version {
        Version::V311 => {
            let mut packet = v4::Connect::new(client_id.clone());
            packet.keep_alive = keep_alive;
            if let Some((name, password)) = login {
                packet.set_login(name.clone(), secret(password));
            }
            packet.last_will = last_will
                .as_ref()
                .map(|(topic, body)| v4::LastWill::new(topic.clone(), body.clone(), v4common::QoS::AtLeastOnce, true));
            written(packet.write(to))
        }
        Version::V5 => {
            let packet = v5::Connect { keep_alive, client_id: client_id.clone(), clean_start: true, properties: None };
            let will = last_will.as_ref().map(|(topic, body)| {
                v5::LastWill::new(topic.clone(), body.clone(), v5common::QoS::AtLeastOnce, true, None)
            });
            let login =
                login.as_ref().map(|(name, password)| v5::Login { username: name.clone(), password: secret(password) });
            written(packet.write(&will, &login, to))
        }
    }
}

/// Writes a publish of quality 1.
pub(super) fn write_publish(
    version: Version,
    packet: u16,
    topic: &str,
    body: Bytes,
    retain: bool,
    to: &mut BytesMut,
) -> Result<(), WireError> {
    match version {
        Version::V311 => {
            let mut publish = v4::Publish::from_bytes(topic, v4common::QoS::AtLeastOnce, body);
            (publish.pkid, publish.retain) = (packet, retain);
            written(publish.write(to))
        }
        Version::V5 => {
            let topic = Bytes::copy_from_slice(topic.as_bytes());
            let qos = v5common::QoS::AtLeastOnce;
            let publish = v5::Publish { dup: false, qos, retain, topic, pkid: packet, payload: body, properties: None };
            written(publish.write(to))
        }
    }
}

/// Writes a subscription of quality 1; under MQTT 5 without what this client publishes itself.
pub(super) fn write_subscribe(
    version: Version,
    packet: u16,
    topics: Vec<String>,
    to: &mut BytesMut,
) -> Result<(), WireError> {
    match version {
        Version::V311 => {
            let filters = topics.into_iter().map(|topic| v4::SubscribeFilter::new(topic, v4common::QoS::AtLeastOnce));
            let mut subscribe = v4::Subscribe::new_many(filters);
            subscribe.pkid = packet;
            written(subscribe.write(to))
        }
        Version::V5 => {
            let filters = topics.into_iter().map(|topic| {
                let mut filter = v5::Filter::new(topic, v5common::QoS::AtLeastOnce);
                filter.nolocal = true;
                filter
            });
            let mut subscribe = v5::Subscribe::new_many(filters, None);
            subscribe.pkid = packet;
            written(subscribe.write(to))
        }
    }
}

/// Writes the end of a subscription.
pub(super) fn write_unsubscribe(
    version: Version,
    packet: u16,
    topic: String,
    to: &mut BytesMut,
) -> Result<(), WireError> {
    match version {
        Version::V311 => {
            let mut unsubscribe = v4::Unsubscribe::new(topic);
            unsubscribe.pkid = packet;
            written(unsubscribe.write(to))
        }
        Version::V5 => {
            let mut unsubscribe = v5::Unsubscribe::new(topic, None);
            unsubscribe.pkid = packet;
            written(unsubscribe.write(to))
        }
    }
}

/// Writes the acknowledgement of a message, the same in both versions.
pub(super) fn write_ack(packet: u16, to: &mut BytesMut) {
    let [high, low] = packet.to_be_bytes();
    to.extend_from_slice(&[PUBACK << 4, 2, high, low]);
}

/// Writes a ping, the same in both versions.
pub(super) fn write_ping(to: &mut BytesMut) {
    to.extend_from_slice(&[0xc0, 0]);
}

/// Writes a goodbye after which no last will is sent, the same in both versions.
pub(super) fn write_goodbye(to: &mut BytesMut) {
    to.extend_from_slice(&[DISCONNECT << 4, 0]);
}

fn written<E: std::fmt::Display>(result: Result<usize, E>) -> Result<(), WireError> {
    result.map(drop).map_err(|error| WireError::Refused(format!("a packet cannot be written: {error}")))
}
