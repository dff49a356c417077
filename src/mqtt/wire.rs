//! One MQTT connection, packet by packet: no queue, no session, nothing that outlives it.
//!
//! What is to leave waits in one buffer, and what came waits to be taken; [`Wire::wait`] moves both and can be dropped at
//! any moment without a loss. Every acknowledgement names the packet that it is for, in both versions, and what came
//! before the end of a connection is still given.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::{Buf as _, Bytes, BytesMut};
use thiserror::Error;
use tokio::{io::ReadBuf, time::timeout};

pub use super::codec::{Refusal, Version, Welcome};
use super::{
    codec::{self, Incoming},
    dial::{self, Stream},
};
use crate::{
    config::{Broker, Protocol},
    plain::Plain,
    secret::Secret,
};

/// How long connecting, TLS and the login may take.
const OPEN_MAX: Duration = Duration::from_secs(30);

/// A packet that is larger is passed over byte by byte: HQ's words are a hundredth of this.
const INCOMING_MAX_BYTES: usize = 1024 * 1024;

/// Bytes that one reading takes.
const READ_BYTES: usize = 16 * 1024;

/// Broker's own words are shown with this much of them.
const SERVER_MAX_CHARS: usize = 100;

/// What a connection needs to be made.
#[derive(Debug, Clone)]
pub struct Connect {
    /// Where to.
    pub broker: Broker,
    /// The same at every connection of one outlet.
    pub client_id: String,
    /// Name and password.
    pub login: Option<(String, Option<Secret>)>,
    /// For `mqtts`.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// The longest silence before a ping.
    pub keep_alive: Duration,
    /// Retained last will: topic and body, if there is one.
    pub last_will: Option<(String, Vec<u8>)>,
}

/// Why a connection could not be made or ended. The variants tell what to do next.
#[derive(Debug, Error)]
pub enum WireError {
    /// A person must look: waiting does not help.
    #[error("{0}")]
    Refused(String),
    /// The broker cannot do what the line needs, by its own word.
    #[error("{0}")]
    Unfit(String),
    /// It does not speak this version of MQTT, by its own word.
    #[error("{0}")]
    OtherVersion(String),
    /// It ended the connection at the login, without a word.
    #[error("{0}")]
    HungUp(String),
    /// Another client has this one's id by now.
    #[error("{0}")]
    TakenOver(String),
    /// Try again.
    #[error("{0}")]
    Lost(String),
}

impl WireError {
    /// It speaks another version than the one that the config names.
    pub(crate) fn only_311() -> Self {
        Self::OtherVersion(
            "the broker speaks MQTT 3.1.1 only: it hangs up at a login by MQTT 5, and takes one by 3.1.1; write `protocol = \
             \"auto\"` under [hq]"
                .to_owned(),
        )
    }

    /// The connection is gone, and nobody said why.
    pub(super) fn closed() -> Self {
        Self::Lost("the broker closed the connection".to_owned())
    }
}

/// What the broker says of a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It took it.
    Taken,
    /// It took it, and nobody subscribes to its topic (MQTT 5, 0x10).
    NobodyListens,
    /// It refused it (MQTT 5).
    Refused(Refusal),
}

/// What arrived.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrived {
    /// The broker acknowledges a publish.
    Acknowledged(u16, Outcome),
    /// A message.
    Message {
        /// Its topic.
        topic: String,
        /// Its body.
        body: Bytes,
    },
    /// A message that was too large to be read.
    TooLarge {
        /// Its topic.
        topic: String,
        /// Its size.
        bytes: usize,
    },
    /// The answer to a subscription: what was refused of it, if anything was.
    Subscribed(u16, Option<Refusal>),
    /// The answer to the end of a subscription.
    Unsubscribed(u16),
    /// The answer to a ping.
    Ponged,
}

/// An open connection.
#[derive(Debug)]
pub struct Wire {
    stream: Stream,
    version: Version,
    /// The broker said that it does not speak MQTT 5.
    refused_5: bool,
    welcome: Welcome,
    inbound: BytesMut,
    outbound: BytesMut,
    /// Bytes of a packet that is passed over.
    passed_over: usize,
    arrived: VecDeque<Arrived>,
    ids: PacketIds,
    /// Publishes that were not acknowledged yet.
    publishes: u32,
    heard: Instant,
}

impl Wire {
    /// Connects and logs in: with MQTT 5 first where both versions are allowed, unless `known` says what this broker speaks.
    ///
    /// # Errors
    /// The broker cannot be reached, refuses, or cannot do what the line needs.
    pub async fn open(connect: Connect, protocol: Protocol, known: Option<Version>) -> Result<Self, WireError> {
        let first = match protocol {
            Protocol::V311 => Version::V311,
            Protocol::V5 => Version::V5,
            Protocol::Auto => known.unwrap_or(Version::V5),
        };
        let opened = Self::open_with(&connect, first).await;
        // Some brokers that do not speak 5 only hang up.
        let said = matches!(opened, Err(WireError::OtherVersion(_)));
        let opened = match opened {
            Err(WireError::OtherVersion(_) | WireError::HungUp(_))
                if protocol == Protocol::Auto && first == Version::V5 =>
            {
                Self::open_with(&connect, Version::V311).await.map(|wire| Self { refused_5: said, ..wire })
            }
            other => other,
        };
        opened.map_err(|error| match error {
            WireError::OtherVersion(text) => WireError::Refused(format!(
                "{text}; write `protocol = \"auto\"` under [hq], or name a version that it speaks"
            )),
            other => other,
        })
    }

    /// Whether a broker that hung up at a login by MQTT 5 takes one by 3.1.1: then that is all that it speaks. Nothing is
    /// left there.
    pub async fn speaks_only_311(connect: Connect, protocol: Protocol) -> bool {
        if protocol != Protocol::V5 {
            return false;
        }
        let Ok(wire) = Self::open_with(&Connect { last_will: None, ..connect }, Version::V311).await else {
            return false;
        };
        wire.close().await;
        true
    }

    async fn open_with(connect: &Connect, version: Version) -> Result<Self, WireError> {
        let late = |_| Err(WireError::Lost("the broker does not answer in time".to_owned()));
        timeout(OPEN_MAX, Self::log_in(connect, version)).await.unwrap_or_else(late)
    }

    async fn log_in(connect: &Connect, version: Version) -> Result<Self, WireError> {
        let stream = Stream::open(&connect.broker, connect.tls.clone()).await?;
        let mut wire = Self {
            stream,
            version,
            refused_5: false,
            welcome: Welcome::default(),
            inbound: BytesMut::new(),
            outbound: BytesMut::new(),
            passed_over: 0,
            arrived: VecDeque::new(),
            ids: PacketIds::default(),
            publishes: 0,
            heard: Instant::now(),
        };
        codec::write_connect(version, connect, &mut wire.outbound)?;
        loop {
            if let Some(Incoming::Welcome(welcome)) = wire.next_packet()? {
                judge(&welcome, version, connect)?;
                wire.welcome = welcome;
                return Ok(wire);
            }
            match wire.wait().await {
                Ok(()) => {}
                Err(WireError::Lost(text)) => {
                    return Err(WireError::HungUp(format!("{text} at the login, without a word")));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The version that is spoken.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether 3.1.1 is spoken because the broker said that it does not speak 5.
    #[must_use]
    pub fn refused_5(&self) -> bool {
        self.refused_5
    }

    /// What the broker granted at the login.
    #[must_use]
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// When the last packet came.
    #[must_use]
    pub fn heard(&self) -> Instant {
        self.heard
    }

    /// Bytes that the broker's side has taken so far.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.stream.taken()
    }

    /// Whether a packet is on its way of which only a part is there.
    #[must_use]
    pub fn is_receiving(&self) -> bool {
        !self.inbound.is_empty() || self.passed_over > 0
    }

    /// How many more publishes the broker takes at once.
    #[must_use]
    pub fn room(&self) -> usize {
        let most = self.welcome.receive_max.map_or(u32::from(u16::MAX), u32::from);
        usize::try_from(most.saturating_sub(self.publishes)).unwrap_or(usize::MAX)
    }

    /// Writes a publish of quality 1; gives its packet id. It leaves with the next [`Wire::wait`].
    ///
    /// # Errors
    /// Every packet id is in use, or the topic cannot be written.
    pub fn publish(&mut self, topic: &str, body: impl Into<Bytes>, retain: bool) -> Result<u16, WireError> {
        let packet = self.ids.take()?;
        codec::write_publish(self.version, packet, topic, body.into(), retain, &mut self.outbound)?;
        self.publishes += 1;
        Ok(packet)
    }

    /// Writes a subscription of quality 1; gives its packet id.
    ///
    /// # Errors
    /// Every packet id is in use, or a topic cannot be written.
    pub fn subscribe(&mut self, topics: impl IntoIterator<Item = String>) -> Result<u16, WireError> {
        let packet = self.ids.take()?;
        codec::write_subscribe(self.version, packet, topics.into_iter().collect(), &mut self.outbound)?;
        Ok(packet)
    }

    /// Writes the end of a subscription; gives its packet id.
    ///
    /// # Errors
    /// Every packet id is in use, or the topic cannot be written.
    pub fn unsubscribe(&mut self, topic: String) -> Result<u16, WireError> {
        let packet = self.ids.take()?;
        codec::write_unsubscribe(self.version, packet, topic, &mut self.outbound)?;
        Ok(packet)
    }

    /// Writes a ping.
    pub fn ping(&mut self) {
        codec::write_ping(&mut self.outbound);
    }

    /// Says goodbye, so that the last will is not sent, and waits until that has left.
    pub async fn close(mut self) {
        codec::write_goodbye(&mut self.outbound);
        while !self.outbound.is_empty() && self.wait().await.is_ok() {}
    }

    /// Waits until something came or went; [`Wire::arrived`] then gives what came. Dropping this future loses nothing.
    ///
    /// # Errors
    /// The connection is lost. What arrived before is still given by [`Wire::arrived`].
    pub async fn wait(&mut self) -> Result<(), WireError> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        let mut moved = false;
        while !self.outbound.is_empty() {
            match self.stream.poll_write(context, &self.outbound) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(WireError::closed())),
                Poll::Ready(Ok(count)) => {
                    self.outbound.advance(count);
                    moved = true;
                }
                // What came before the other side was gone is still to be read.
                Poll::Ready(Err(error)) => {
                    let _ = self.read(context);
                    return Poll::Ready(Err(dial::describe_io(&error)));
                }
                Poll::Pending => break,
            }
        }
        if let Poll::Ready(Err(error)) = self.stream.poll_flush(context) {
            let _ = self.read(context);
            return Poll::Ready(Err(dial::describe_io(&error)));
        }
        match self.read(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Pending if moved => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Takes what is there to be read.
    fn read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        let mut space = [0; READ_BYTES];
        let mut into = ReadBuf::new(&mut space);
        match self.stream.poll_read(context, &mut into) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(dial::describe_io(&error))),
            Poll::Ready(Ok(())) if into.filled().is_empty() => Poll::Ready(Err(WireError::closed())),
            Poll::Ready(Ok(())) => {
                let mut came = into.filled();
                let skipped = self.passed_over.min(came.len());
                self.passed_over -= skipped;
                came = &came[skipped..];
                self.inbound.extend_from_slice(came);
                self.heard = Instant::now();
                Poll::Ready(Ok(()))
            }
        }
    }

    /// The next thing that arrived.
    ///
    /// # Errors
    /// The broker ended the connection with its next word, or what came is no MQTT.
    pub fn arrived(&mut self) -> Result<Option<Arrived>, WireError> {
        let Some(incoming) = self.next_packet()? else { return Ok(self.arrived.pop_front()) };
        match incoming {
            Incoming::Acknowledged { packet, code, reason } => {
                self.ids.give_back(packet)?;
                self.publishes = self.publishes.saturating_sub(1);
                let outcome = match code {
                    0 => Outcome::Taken,
                    0x10 => Outcome::NobodyListens,
                    code => Outcome::Refused(Refusal { code, reason }),
                };
                Ok(Some(Arrived::Acknowledged(packet, outcome)))
            }
            Incoming::Message { topic, body, packet } => {
                if packet != 0 {
                    codec::write_ack(packet, &mut self.outbound);
                }
                Ok(Some(Arrived::Message { topic, body }))
            }
            Incoming::Subscribed { packet, refused } => {
                self.ids.give_back(packet)?;
                Ok(Some(Arrived::Subscribed(packet, refused)))
            }
            Incoming::Unsubscribed { packet } => {
                self.ids.give_back(packet)?;
                Ok(Some(Arrived::Unsubscribed(packet)))
            }
            Incoming::Pong => Ok(Some(Arrived::Ponged)),
            Incoming::Goodbye { code, reason, server } => Err(farewell(code, reason, server.as_deref())),
            Incoming::Welcome(_) => Err(WireError::Lost("the broker answers a login that was not asked".to_owned())),
        }
    }

    /// The next whole packet that came.
    fn next_packet(&mut self) -> Result<Option<Incoming>, WireError> {
        while let Some((header, length)) = codec::frame(&self.inbound)? {
            let size = header + length;
            if size > INCOMING_MAX_BYTES {
                // Only messages have a size that others choose; of one that is too large its head is enough.
                if self.inbound.len() < size.min(READ_BYTES * 5) {
                    return Ok(None);
                }
                let Some((topic, packet)) = codec::message_head(header, &self.inbound) else {
                    return Err(WireError::Lost(format!("the broker sends a packet of {size} bytes")));
                };
                if packet != 0 {
                    codec::write_ack(packet, &mut self.outbound);
                }
                self.passed_over = size.saturating_sub(self.inbound.len());
                self.inbound.advance(size.min(self.inbound.len()));
                self.arrived.push_back(Arrived::TooLarge { topic, bytes: size });
                return Ok(None);
            }
            if self.inbound.len() < size {
                self.inbound.reserve(size - self.inbound.len());
                return Ok(None);
            }
            let frame = self.inbound.split_to(size);
            if let Some(packet) = codec::read(self.version, header, frame)? {
                return Ok(Some(packet));
            }
        }
        Ok(None)
    }
}

/// Whether the login was taken, and what a refusal means.
fn judge(welcome: &Welcome, version: Version, connect: &Connect) -> Result<(), WireError> {
    let Welcome { code, reason, server, .. } = welcome;
    let said = Refusal { code: *code, reason: reason.clone() };
    let login = "check username, password, client certificate and the broker's access rules for this client";
    match (version, code) {
        (_, 0) if welcome.retains_nothing => Err(WireError::Unfit(
            "the broker says that it retains no messages (MQTT 5, retain available 0); let it retain messages below the \
             outlet's topics, or use a broker that does"
                .to_owned(),
        )),
        (_, 0) if welcome.quality_0_only => Err(WireError::Unfit(
            "the broker takes publishes of quality 0 alone, which prove nothing; use a broker that takes quality 1"
                .to_owned(),
        )),
        (_, 0) => Ok(()),
        (Version::V5, 1 | 0x84) | (Version::V311, 1) => {
            Err(WireError::OtherVersion(format!("the broker does not speak MQTT {}", version.name())))
        }
        (Version::V311, 3) => Err(WireError::Lost("the broker answers that it is not available".to_owned())),
        (Version::V311, code) => Err(WireError::Refused(format!("the broker refuses the login (code {code}); {login}"))),
        (Version::V5, 0x9a | 0x9b) => Err(WireError::Unfit(format!(
            "the broker refuses the login ({said}): the last will is a retained message of quality 1; let it take one, or \
             use a broker that does"
        ))),
        (Version::V5, 0x88 | 0x89 | 0x97 | 0x9c | 0x9d | 0x9f) => {
            Err(WireError::Lost(format!("the broker refuses the login ({said}){}", elsewhere(server.as_deref()))))
        }
        (Version::V5, 0x85) => Err(WireError::Refused(format!(
            "the broker refuses the client id `{}` ({said}); let the broker allow it",
            connect.client_id
        ))),
        (Version::V5, _) => Err(WireError::Refused(format!("the broker refuses the login ({said}); {login}"))),
    }
}

/// What it means that the broker ended the connection with a word of its own.
fn farewell(code: u8, reason: Option<String>, server: Option<&str>) -> WireError {
    let said = Refusal { code, reason };
    match code {
        0 => WireError::closed(),
        0x8e => WireError::TakenOver(
            "another client logged in with this outlet's client id, and the broker ended this connection (0x8e session \
             taken over); look for a second box, or for another program with this outlet's login"
                .to_owned(),
        ),
        0x87 => WireError::Lost(format!("the broker ended the connection ({said})")),
        _ => WireError::Lost(format!("the broker ended the connection ({said}){}", elsewhere(server))),
    }
}

fn elsewhere(server: Option<&str>) -> String {
    let shown = |name: &str| Plain(name.chars().take(SERVER_MAX_CHARS).collect::<String>()).to_string();
    server.map_or_else(String::new, |name| {
        format!("; it names another broker, {}: if that is right, write it under [hq] brokers", shown(name))
    })
}

/// Which packet ids wait for an answer.
#[derive(Debug)]
struct PacketIds {
    last: u16,
    in_use: Box<[u64; 1024]>,
}

impl Default for PacketIds {
    fn default() -> Self {
        Self { last: 0, in_use: Box::new([0; 1024]) }
    }
}

impl PacketIds {
    fn slot(&mut self, id: u16) -> (&mut u64, u64) {
        (&mut self.in_use[usize::from(id / 64)], 1 << (id % 64))
    }

    /// The next id that is free: one whose answer is late never meets another packet.
    fn take(&mut self) -> Result<u16, WireError> {
        for _ in 0..u16::MAX {
            self.last = self.last.checked_add(1).unwrap_or(1);
            let (slot, bit) = self.slot(self.last);
            if *slot & bit == 0 {
                *slot |= bit;
                return Ok(self.last);
            }
        }
        Err(WireError::Lost("the broker answers nothing: every packet id waits for it".to_owned()))
    }

    fn give_back(&mut self, id: u16) -> Result<(), WireError> {
        let (slot, bit) = self.slot(id);
        if *slot & bit == 0 {
            return Err(WireError::Lost(format!("the broker acknowledges packet {id}, which was not sent")));
        }
        *slot &= !bit;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_id_is_not_used_again_before_it_was_acknowledged() {
        let mut ids = PacketIds::default();
        let taken: Vec<u16> = (0..u16::MAX).map(|_| ids.take().unwrap()).collect();
        assert_eq!((taken[0], taken[65_534]), (1, 65_535));
        assert!(ids.take().is_err(), "all wait");
        ids.give_back(7).unwrap();
        assert!(ids.give_back(7).is_err(), "it is acknowledged once");
        assert_eq!(ids.take().unwrap(), 7);
        ids.give_back(65_535).unwrap();
        ids.give_back(1).unwrap();
        assert_eq!((ids.take().unwrap(), ids.take().unwrap()), (65_535, 1));
    }

    #[test]
    fn a_code_that_nobody_knows_is_a_refusal() {
        let text = Refusal { code: 0xf3, reason: Some("no\nway".to_owned()) }.to_string();
        assert_eq!(text, "0xf3 a code that the standard does not know, \"no\\nway\"");
    }
}
