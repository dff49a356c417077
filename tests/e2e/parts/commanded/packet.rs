//! The wire format of MQTT 3.1.1 and 5, as far as a broker needs it; written by hand, so that it owes nothing to the
//! codec that the box uses, and can say what that codec would refuse.

use std::io::{self, Read};

/// The level of the protocol that a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V311,
    V5,
}

/// What a client sends.
#[derive(Debug, Clone)]
pub enum Packet {
    Connect(Connect),
    Publish(Publish),
    PubAck,
    Subscribe(u16, Vec<Filter>),
    Unsubscribe(u16, Vec<String>),
    PingReq,
    /// With its reason; 0 where none stands.
    Disconnect(u8),
}

#[derive(Debug, Clone)]
pub struct Connect {
    /// 4 or 5, or what else was said.
    pub level: u8,
    pub client: String,
    pub keep_alive: u16,
    pub will: Option<Publish>,
    /// How many deliveries the client takes at once.
    pub receive_maximum: u16,
}

#[derive(Debug, Clone, Default)]
pub struct Publish {
    pub topic: String,
    pub body: Vec<u8>,
    pub qos: u8,
    pub retain: bool,
    pub repeated: bool,
    pub packet: u16,
    /// Bytes of the whole packet as it came.
    pub size: usize,
}

#[derive(Debug, Clone)]
pub struct Filter {
    pub pattern: String,
    pub qos: u8,
    pub no_local: bool,
    pub as_published: bool,
    /// 0 sends what is retained, 1 only to a new subscription, 2 never.
    pub retain_handling: u8,
}

/// The properties of a CONNACK of MQTT 5.
#[derive(Debug, Clone, Default)]
pub struct Greeting {
    pub receive_maximum: Option<u16>,
    pub maximum_packet: Option<u32>,
    pub no_retain: bool,
    pub keep_alive: Option<u16>,
    pub client: Option<String>,
}

/// Reads one packet. `version` is that of the connection, once it is known.
pub fn read(stream: &mut impl Read, version: Version) -> io::Result<Packet> {
    let mut first = [0];
    stream.read_exact(&mut first)?;
    let (mut length, mut digits) = (0, 1);
    for shift in [0, 7, 14, 21] {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        length |= usize::from(byte[0] & 0x7F) << shift;
        if byte[0] & 0x80 == 0 {
            break;
        }
        digits += 1;
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    parse(first[0], &body, version, 1 + digits + length)
        .ok_or_else(|| io::Error::other(format!("a packet {:#04x} of {length} bytes is not understood", first[0])))
}

fn parse(first: u8, body: &[u8], version: Version, size: usize) -> Option<Packet> {
    let mut rest = Rest(body);
    Some(match first >> 4 {
        1 => Packet::Connect(connect(&mut rest)?),
        3 => {
            let qos = (first >> 1) & 3;
            let topic = rest.text()?;
            let packet = if qos > 0 { rest.number()? } else { 0 };
            if version == Version::V5 {
                rest.properties()?;
            }
            let (retain, repeated) = (first & 1 == 1, first & 8 == 8);
            Packet::Publish(Publish { topic, body: rest.0.to_vec(), qos, retain, repeated, packet, size })
        }
        4 => rest.number().map(|_| Packet::PubAck)?,
        8 => {
            let packet = rest.number()?;
            if version == Version::V5 {
                rest.properties()?;
            }
            let mut filters = Vec::new();
            while !rest.0.is_empty() {
                let (pattern, options) = (rest.text()?, rest.byte()?);
                filters.push(Filter {
                    pattern,
                    qos: (options & 3).min(1),
                    no_local: options & 4 == 4,
                    as_published: options & 8 == 8,
                    retain_handling: (options >> 4) & 3,
                });
            }
            Packet::Subscribe(packet, filters)
        }
        10 => {
            let packet = rest.number()?;
            if version == Version::V5 {
                rest.properties()?;
            }
            let mut filters = Vec::new();
            while !rest.0.is_empty() {
                filters.push(rest.text()?);
            }
            Packet::Unsubscribe(packet, filters)
        }
        12 => Packet::PingReq,
        14 => Packet::Disconnect(rest.byte().unwrap_or(0)),
        _ => return None,
    })
}

fn connect(rest: &mut Rest) -> Option<Connect> {
    let _protocol_name = rest.text()?;
    let (level, flags, keep_alive) = (rest.byte()?, rest.byte()?, rest.number()?);
    let mut receive_maximum = u16::MAX;
    if level == 5 {
        let mut properties = Rest(rest.properties()?);
        while let Some(name) = properties.byte() {
            match name {
                0x21 => receive_maximum = properties.number()?,
                0x11 | 0x27 => _ = properties.take(4)?,
                0x22 => _ = properties.number()?,
                0x17 | 0x19 => _ = properties.byte()?,
                0x15 | 0x16 => _ = properties.text()?,
                0x26 => _ = (properties.text()?, properties.text()?),
                _ => return None,
            }
        }
    }
    let client = rest.text()?;
    let will = if flags & 4 == 4 {
        if level == 5 {
            rest.properties()?;
        }
        let topic = rest.text()?;
        let length = rest.number()?;
        let body = rest.take(length.into())?.to_vec();
        Some(Publish { topic, body, qos: ((flags >> 3) & 3).min(1), retain: flags & 32 == 32, ..Publish::default() })
    } else {
        None
    };
    Some(Connect { level, client, keep_alive, will, receive_maximum })
}

/// What is left of a packet's body.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|taken| u16::from_be_bytes([taken[0], taken[1]]))
    }

    fn text(&mut self) -> Option<String> {
        let length = self.number()?;
        String::from_utf8(self.take(length.into())?.to_vec()).ok()
    }

    fn properties(&mut self) -> Option<&'a [u8]> {
        let mut length = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        self.take(length)
    }
}

/// A whole packet: its first byte, its length, its body.
fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let (mut bytes, mut length) = (vec![first], body.len());
    loop {
        let digit = u8::try_from(length % 128).expect("below 128");
        length /= 128;
        bytes.push(if length > 0 { digit | 0x80 } else { digit });
        if length == 0 {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

fn text(into: &mut Vec<u8>, text: &str) {
    into.extend(u16::try_from(text.len()).expect("a short text").to_be_bytes());
    into.extend(text.as_bytes());
}

/// A CONNACK; version 3.1.1 has codes of its own.
pub fn connack(version: Version, code: u8, greeting: &Greeting) -> Vec<u8> {
    let mut body = vec![0, code];
    if version == Version::V5 {
        let mut properties = Vec::new();
        if code == 0 {
            properties.extend([0x24, 1]);
        }
        if let Some(number) = greeting.receive_maximum {
            properties.push(0x21);
            properties.extend(number.to_be_bytes());
        }
        if let Some(bytes) = greeting.maximum_packet {
            properties.push(0x27);
            properties.extend(bytes.to_be_bytes());
        }
        if greeting.no_retain {
            properties.extend([0x25, 0]);
        }
        if let Some(seconds) = greeting.keep_alive {
            properties.push(0x13);
            properties.extend(seconds.to_be_bytes());
        }
        if let Some(client) = &greeting.client {
            properties.push(0x12);
            text(&mut properties, client);
        }
        body.push(u8::try_from(properties.len()).expect("few properties"));
        body.extend(properties);
    }
    packet(0x20, &body)
}

pub fn publish(version: Version, publish: &Publish) -> Vec<u8> {
    let mut body = Vec::with_capacity(publish.body.len() + publish.topic.len() + 5);
    text(&mut body, &publish.topic);
    if publish.qos > 0 {
        body.extend(publish.packet.to_be_bytes());
    }
    if version == Version::V5 {
        body.push(0);
    }
    body.extend(&publish.body);
    packet(0x30 | publish.qos << 1 | u8::from(publish.retain), &body)
}

/// A PUBACK; a reason is told in version 5 alone.
pub fn puback(version: Version, number: u16, code: u8) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    if version == Version::V5 && code != 0 {
        body.push(code);
    }
    packet(0x40, &body)
}

pub fn suback(version: Version, number: u16, codes: &[u8]) -> Vec<u8> {
    listed(0x90, version, number, codes)
}

pub fn unsuback(version: Version, number: u16, filters: usize) -> Vec<u8> {
    let codes = if version == Version::V5 { vec![0; filters] } else { Vec::new() };
    listed(0xB0, version, number, &codes)
}

fn listed(first: u8, version: Version, number: u16, codes: &[u8]) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    if version == Version::V5 {
        body.push(0);
    }
    body.extend(codes);
    packet(first, &body)
}

pub fn pingresp() -> Vec<u8> {
    packet(0xD0, &[])
}

/// A DISCONNECT from the broker, which the standard gives to version 5 alone.
pub fn disconnect(version: Version, code: u8) -> Vec<u8> {
    let body: &[u8] = if version == Version::V5 { &[code, 0] } else { &[] };
    packet(0xE0, body)
}

/// Whether a topic is one of those that a filter means.
pub fn fits(filter: &str, topic: &str) -> bool {
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => return false,
        }
    }
}
