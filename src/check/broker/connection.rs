//! The check's own connection: made anew after each close, and bounded in all.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    config::Protocol,
    mqtt::wire::{Arrived, Connect, Refusal, Version, Wire, WireError},
};

/// Connecting and the login take no longer than this.
const LOGIN_MAX: Duration = Duration::from_secs(15);

/// Logins at most: a broker that closes at each publish is not stormed.
const LOGINS_MAX: u32 = 16;

/// How often is looked whether the broker takes what was written.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Saying goodbye takes no longer than this.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// An answer to one packet is there within this after the last byte moved.
pub const ANSWER_MAX: Duration = Duration::from_secs(4);

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// What was waited for is there.
    Done,
    /// Nothing moved any more.
    Silent,
    /// The check's time is over.
    Late,
}

/// A connection, or the way to one.
#[derive(Debug)]
pub struct Connection {
    connect: Connect,
    protocol: Protocol,
    version: Option<Version>,
    wire: Option<Wire>,
    until: Instant,
    logins: u32,
    /// Pings without an answer.
    pings: u32,
    /// The broker ended the connection at a subscription that nothing hangs on: no such is tried again.
    pub reads_no_echo: bool,
    heard: BTreeMap<String, Heard>,
}

/// What came on one topic.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// The last body.
    pub body: Bytes,
    /// How many.
    pub count: u32,
}

impl Connection {
    /// Connects; everything is over at `until`.
    ///
    /// # Errors
    /// The broker cannot be reached, or does not let the box in.
    pub async fn open(connect: Connect, protocol: Protocol, until: Instant) -> Result<Self, WireError> {
        let heard = BTreeMap::new();
        let mut this = Self {
            connect,
            protocol,
            version: None,
            wire: None,
            until,
            logins: 0,
            pings: 0,
            reads_no_echo: false,
            heard,
        };
        this.wire().await?;
        Ok(this)
    }

    /// The wire; a new one if the last is gone.
    ///
    /// # Errors
    /// As [`Connection::open`], or it was closed too often.
    pub async fn wire(&mut self) -> Result<&mut Wire, WireError> {
        let wire = match self.wire.take() {
            Some(wire) => wire,
            None => self.log_in().await?,
        };
        Ok(self.wire.insert(wire))
    }

    async fn log_in(&mut self) -> Result<Wire, WireError> {
        if self.logins >= LOGINS_MAX {
            return Err(WireError::Lost("the broker closes the connection again and again".to_owned()));
        }
        self.logins += 1;
        self.pings = 0;
        let until = self.until.min(Instant::now() + LOGIN_MAX);
        let late = |_| Err(WireError::Lost("the broker does not answer in time".to_owned()));
        let opened = timeout_at(until, Wire::open(self.connect.clone(), self.protocol, self.version)).await;
        let wire = opened.unwrap_or_else(late)?;
        self.version = Some(wire.version());
        Ok(wire)
    }

    /// Whether a login with another will is taken; the connection beside it stays closed.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn log_in_with_will(&mut self, topic: String, body: Vec<u8>) -> Result<(), WireError> {
        self.close().await;
        let without = self.connect.last_will.replace((topic, body));
        let opened = self.log_in().await;
        self.connect.last_will = without;
        self.wire = Some(opened?);
        self.close().await;
        Ok(())
    }

    /// The version that is spoken.
    pub fn version(&self) -> Version {
        self.version.unwrap_or(Version::V5)
    }

    /// How often it has logged in.
    pub fn logins(&self) -> u32 {
        self.logins
    }

    /// Whether anything more can be tried.
    pub fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }

    /// There is so much time at least: for what must still be put right.
    pub fn grant(&mut self, time: Duration) {
        self.until = self.until.max(Instant::now() + time);
        self.logins = self.logins.min(LOGINS_MAX - 1);
    }

    /// What came on a topic.
    pub fn heard(&self, topic: &str) -> Heard {
        self.heard.get(topic).cloned().unwrap_or_default()
    }

    /// Writes a ping; `done` of the next wait is told once all pings are answered.
    ///
    /// # Errors
    /// As [`Connection::wire`].
    pub async fn ping(&mut self) -> Result<(), WireError> {
        self.wire().await?.ping();
        self.pings += 1;
        Ok(())
    }

    /// Waits until `done` says so of something that arrived, which is also told whether all pings are answered, or until
    /// nothing has moved for `patience`.
    ///
    /// # Errors
    /// The connection is lost; the next [`Connection::wire`] makes another.
    pub async fn wait(
        &mut self,
        patience: Duration,
        mut done: impl FnMut(&Arrived, bool) -> bool,
    ) -> Result<Waited, WireError> {
        let Some(mut wire) = self.wire.take() else { return Err(WireError::Lost("no connection".to_owned())) };
        let (mut moved, mut taken) = (Instant::now(), wire.taken());
        let mut lost = None;
        loop {
            loop {
                match wire.arrived() {
                    Ok(Some(arrived)) => {
                        self.note(&arrived);
                        if done(&arrived, self.pings == 0) {
                            // What is lost is made anew when it is needed.
                            self.wire = Some(wire).filter(|_| lost.is_none());
                            return Ok(Waited::Done);
                        }
                    }
                    Ok(None) => break,
                    Err(error) => return Err(error),
                }
            }
            if let Some(error) = lost {
                return Err(error);
            }
            if wire.taken() != taken {
                (moved, taken) = (Instant::now(), wire.taken());
            }
            moved = moved.max(Instant::from_std(wire.heard()));
            let now = Instant::now();
            let ended = match (now >= self.until, now - moved >= patience) {
                (true, _) => Some(Waited::Late),
                (false, true) => Some(Waited::Silent),
                (false, false) => None,
            };
            if let Some(ended) = ended {
                self.wire = Some(wire);
                return Ok(ended);
            }
            // What came before the end is still looked at.
            lost = timeout(LOOK_EVERY, wire.wait()).await.ok().and_then(Result::err);
        }
    }

    fn note(&mut self, arrived: &Arrived) {
        match arrived {
            Arrived::Message { topic, body } => {
                let heard = self.heard.entry(topic.clone()).or_default();
                heard.count += 1;
                heard.body = body.clone();
            }
            Arrived::Ponged => self.pings = self.pings.saturating_sub(1),
            _ => {}
        }
    }

    /// Subscribes to topics one by one in one go, and waits for what is retained there; gives what was refused.
    ///
    /// # Errors
    /// The connection is lost, or the broker does not answer.
    pub async fn subscribe(&mut self, topics: &[String]) -> Result<Vec<Option<Refusal>>, WireError> {
        let mut waiting = BTreeMap::new();
        for (at, topic) in topics.iter().enumerate() {
            waiting.insert(self.wire().await?.subscribe([topic.clone()])?, at);
        }
        let mut refused = vec![None; topics.len()];
        self.ping().await?;
        let waited = self.wait(ANSWER_MAX, |arrived, ponged| {
            if let Arrived::Subscribed(packet, refusal) = arrived
                && let Some(at) = waiting.remove(packet)
            {
                refused[at].clone_from(refusal);
            }
            ponged && waiting.is_empty()
        });
        match waited.await? {
            Waited::Done => Ok(refused),
            _ => Err(WireError::Lost("the broker does not answer a subscription".to_owned())),
        }
    }

    /// Ends a subscription.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn unsubscribe(&mut self, topic: &str) -> Result<(), WireError> {
        let packet = self.wire().await?.unsubscribe(topic.to_owned())?;
        self.wait(ANSWER_MAX, |arrived, _| matches!(arrived, Arrived::Unsubscribed(of) if *of == packet)).await?;
        Ok(())
    }

    /// Says goodbye.
    pub async fn close(&mut self) {
        if let Some(wire) = self.wire.take() {
            // Gone either way.
            let _ = timeout(GOODBYE_MAX, wire.close()).await;
        }
    }
}
