//! How a session begins, before any event is published.
//!
//! 1. Subscribe to `checkpoint` and `stored`.
//! 2. Publish `hello` with a fresh nonce: the broker lets this box publish, and HQ's feed answers with `stored`. With MQTT
//!    3.1.1 and `acknowledge = "broker"` it must come back, as an acknowledgement alone says nothing there.
//! 3. Weigh the retained checkpoint and HQ's word: go on, choose a generation once the first event leaves, begin a new
//!    stream, or leave the outlet to another box until a person says otherwise.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::{
    Link,
    ended::Ended,
    feed::Stored,
    memory::Doing,
    pace,
    publishing::Again,
    session::{Session, Standing},
    wire::{Arrived, Outcome, Version},
};
use crate::{
    checkpoint::{Decision, Found, Own, Word, decide, generation, reach::read_from},
    config::{Acknowledge, Echo},
    event::StreamId,
    health::Condition,
    outbox::{Begin, ReadAgain},
    status,
};

/// Each answer of the greeting must be there within this …
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// … and in a test that hurries within this at least: the machine is no faster there.
const HELLO_TIMEOUT_MIN: Duration = Duration::from_secs(2);

/// Within which time an answer to one packet must be there.
pub(super) fn hello_timeout() -> Duration {
    (HELLO_TIMEOUT / pace()).max(HELLO_TIMEOUT_MIN)
}

/// How long a store that HQ does not know yet waits for a checkpoint after its hello passed.
const UNKNOWN_WAIT: Duration = Duration::from_secs(1);

/// What a broker forgot is sent again this often at most.
const RESEND_EVERY_H: i64 = 24;

impl Session<'_> {
    /// Whether the broker's word counts only on topics on which a hello came back.
    pub(super) fn needs_echo(&self) -> bool {
        let hq = &self.link.hq;
        self.wire.version() == Version::V311 && hq.acknowledge == Acknowledge::Broker && hq.echo == Echo::Required
    }

    /// Steps 1 and 2: what is retained then stands in `found` and `stored`.
    pub(super) async fn greet(&mut self) -> Result<(), Ended> {
        let (checkpoint, hello) = (self.link.topic("checkpoint"), self.link.topic("events/hello"));
        let echo = self.needs_echo();
        self.subscribe_to("checkpoint", checkpoint.clone()).await?;
        match self.subscribe_to("stored", self.link.topic("stored")).await {
            // Without a feed nobody need be allowed to speak there.
            Err(Ended::Denied(text)) if self.link.hq.acknowledge == Acknowledge::Broker => {
                tracing::debug!("mqtt: {text}");
            }
            other => other?,
        }
        if echo {
            self.subscribe_to("events/hello", hello.clone()).await?;
        }
        let body = status::hello(&self.link.outlet.id, self.nonce, 0);
        let packet = self.wire.publish(&hello, body, false)?;
        self.doing(Doing::Greeting);
        let (mut acknowledged, mut returned, mut refused) = (false, !echo, None);
        let nonce = self.nonce.to_owned();
        let passed = self
            .until_quiet(&mut |arrived| {
                match arrived {
                    Arrived::Acknowledged(of, outcome) if *of == packet => {
                        acknowledged = true;
                        if let Outcome::Refused(refusal) = outcome {
                            refused = Some(refusal.clone());
                        }
                    }
                    Arrived::Message { topic, body } if *topic == hello => {
                        returned |= String::from_utf8_lossy(body).contains(&nonce);
                    }
                    _ => {}
                }
                refused.is_some() || acknowledged && returned
            })
            .await?;
        if let Some(refusal) = refused {
            return Err(self.refused("events/hello", None, &refusal));
        }
        match (passed, acknowledged) {
            (true, _) => {}
            (false, true) => return Err(Ended::Denied(self.no_echo("events/hello", 0))),
            (false, false) => {
                return Err(Ended::Denied(format!(
                    "a hello published to {hello} was not acknowledged within 10 s; {}",
                    self.link.rights("events/hello")
                )));
            }
        }
        self.broker_memory().greeted();
        if echo {
            self.wire.unsubscribe(hello)?;
        }
        // A store that HQ does not know must not miss what stands there, however late the broker says it.
        let expects_one = self.link.outbox.retained(&self.name).is_some_and(|known| !known.stream.is_empty());
        if (self.stream.is_none() || expects_one) && self.retained.is_none() {
            self.until(
                Instant::now() + UNKNOWN_WAIT,
                &mut |arrived| matches!(arrived, Arrived::Message { topic, .. } if *topic == checkpoint),
            )
            .await?;
        }
        if let Some(body) = self.retained.take().filter(|body| !body.is_empty()) {
            let found = serde_json::from_slice::<Found>(&body);
            self.found = Some(found.map_err(|error| unreadable(self.link, &error.to_string()))?);
        }
        self.standing = Standing::Unconfirmed;
        Ok(())
    }

    /// Subscribes to a topic, and waits until that is granted.
    pub(super) async fn subscribe_to(&mut self, below: &str, topic: String) -> Result<(), Ended> {
        let packet = self.wire.subscribe([topic.clone()])?;
        self.broker_memory().subscribes(below);
        let mut refused = None;
        let answered = self
            .until_quiet(&mut |arrived| match arrived {
                Arrived::Subscribed(of, refusal) if *of == packet => {
                    refused.clone_from(refusal);
                    true
                }
                _ => false,
            })
            .await?;
        if answered {
            self.broker_memory().subscribed();
        }
        match refused {
            Some(refusal) => Err(Ended::Denied(format!(
                "the broker refuses a subscription to {topic} ({refusal}); {}",
                self.link.rights_to_read(below)
            ))),
            None if answered => Ok(()),
            None => Err(super::wire::WireError::Lost(format!(
                "the broker does not answer a subscription to {topic} within 10 s"
            ))
            .into()),
        }
    }

    /// What it means that a hello was acknowledged and did not come back.
    pub(super) fn no_echo(&self, below: &str, bytes: usize) -> String {
        let topic = self.link.topic(below);
        let size = if bytes > 0 { format!(" of {bytes} bytes") } else { String::new() };
        format!(
            "a hello{size} on {topic} was acknowledged and did not come back: this login may not publish there, or may not \
             read it, and MQTT 3.1.1 cannot say which; let the broker's access rules allow both (Mosquitto: `topic readwrite \
             {topic}`); where the box must not read, write `acknowledge = \"feed\"`, or `echo = \"none\"` to take the \
             broker's bare word"
        )
    }

    /// Step 3.
    pub(super) fn reconcile(&mut self) -> Result<(), Ended> {
        let level = self.link.outbox.level();
        let found = self.found.clone();
        if !self.link.by_hand {
            self.notice_forgotten();
        }
        let id = self.id;
        if let Some((_, from, through)) = self.broker_memory().resend.take().filter(|(of, ..)| *of == id) {
            self.again = Again::of(from, through, true);
        }
        let stored = self.stored.as_ref();
        let of_this = stored.is_some_and(|stored| StreamId::parse(&stored.stream) == Some(self.id));
        let word = Word {
            has_more: match stored.filter(|_| of_this) {
                Some(stored) => !self.link.outbox.fits(self.id, stored.through, stored.chain)?,
                None => false,
            },
            other: stored.filter(|_| !of_this).and_then(|stored| stored.generation),
        };
        let told_by_this_start = found.as_ref().is_some_and(|found| found.nonce.as_deref() == Some(&self.memory.nonce));
        let at_open = self.link.outbox.durable_at_open(id).filter(|_| !told_by_this_start);
        let nonce = found.as_ref().and_then(|found| found.nonce.as_deref());
        let own = Own {
            id: self.id,
            stream: level.stream.as_deref(),
            had: at_open.unwrap_or(level.durable),
            knows_nonce: nonce.is_none_or(|nonce| self.link.outbox.knows_nonce(nonce)),
            takes_over: level.take_over.is_some() || self.link.by_hand,
        };
        let at = self.link.topic("checkpoint");
        match decide(found.as_ref(), word, own) {
            Decision::Keep => {
                let stream = level.stream.as_ref().map_or(0, |stream| stream.generation);
                let has_another =
                    found.as_ref().is_some_and(|found| !found.is_of(self.id) && found.generation >= stream);
                if level.take_over.is_some() && has_another && !self.link.by_hand {
                    self.standing = Standing::TakesOver;
                } else if found.as_ref().is_some_and(|found| found.is_of(self.id)) {
                    self.standing = Standing::Confirmed;
                }
                Ok(())
            }
            Decision::Choose { above } => {
                self.above = above.max(self.memory.above);
                Ok(())
            }
            // Whatever it is, what is sent by hand leaves as it stands.
            Decision::Begin { .. } if self.link.by_hand => Ok(()),
            Decision::Begin { above, why } => Err(self.begin_stream(above, why, self.begin_anew())),
            Decision::Conflict => Err(Ended::Conflict(format!(
                "another box publishes for this outlet ({at} names stream {}, generation {}): this one keeps its sales and \
                 waits; take one of the two away, and if this one is to stay, run `tillbox outbox take-over` on it",
                shown(found.as_ref().map_or("", |found| &found.stream)),
                found.as_ref().map_or(0, |found| found.generation),
            ))),
            Decision::Exhausted => Err(exhausted(self.link)),
        }
    }

    /// From when on the connections are to be read again, by what an earlier stream had told HQ.
    pub(super) fn read_again(&self) -> ReadAgain {
        let Some(found) = &self.found else { return ReadAgain::new() };
        let now = self.link.clock.now();
        let from = |(name, watermark): (&String, &Option<DateTime<Utc>>)| {
            let begun = found.begun.get(name).copied().flatten();
            let reach = self.link.reaches.get(name).copied();
            let from = read_from((*watermark)?, begun, reach, self.link.rescan_horizon, now)?;
            Some((name.clone(), from))
        };
        found.watermarks.iter().filter_map(from).collect()
    }

    /// A new stream that reads again what an earlier one had not told.
    pub(super) fn begin_anew(&self) -> Begin {
        Begin { read_again: self.read_again(), ..Begin::default() }
    }

    /// Begins a new stream with a generation above one that is named, and tells HQ why. Without a clock that something
    /// confirms the generation is chosen later, when the first event leaves.
    pub(super) fn begin_stream(&mut self, above: u32, why: &str, begin: Begin) -> Ended {
        let own = self.stream.as_ref().map_or(0, |stream| stream.generation);
        let found = self.found.as_ref().map_or(0, |found| found.generation);
        let above = above.max(own).max(found).max(self.above);
        if above == u32::MAX {
            return exhausted(self.link);
        }
        let proven = self.link.proven_now();
        let chosen = proven.map(|_| generation(above, proven));
        self.memory.above = self.memory.above.max(above);
        match self.link.outbox.begin_stream(Begin { generation: chosen, proven: proven.is_some(), ..begin }) {
            Ok(()) => {
                let text = format!("{why}: a new stream begins, and the points of sale are read again");
                self.link.notice("new_stream", &text);
                Ended::Again
            }
            Err(error) => error.into(),
        }
    }

    /// Whether this broker lost what it was known to hold; then perhaps events, too, that it had acknowledged.
    fn notice_forgotten(&mut self) {
        let broker = self.name.clone();
        let Some(known) = self.link.outbox.retained(&broker).filter(|known| !known.stream.is_empty()) else {
            return;
        };
        let from = match &self.found {
            None => 0,
            Some(found) if found.stream == known.stream && found.acknowledged < known.acknowledged => {
                found.acknowledged
            }
            Some(_) => return,
        };
        let of_this = known.stream == self.id.to_string();
        let level = self.link.outbox.level();
        let now = self.link.clock.now();
        let lately = known.resent.is_some_and(|at| (now - at).num_hours() < RESEND_EVERY_H);
        let resends = of_this && self.link.hq.acknowledge == Acknowledge::Broker;
        let what = if self.found.is_none() { "is gone" } else { "is an older one" };
        let then = match (resends, lately) {
            (true, false) => "what this box still keeps is sent again behind new sales",
            (true, true) => "what this box keeps was sent again within the last day already",
            (false, _) => "HQ's feed says what it lacks",
        };
        let text = format!(
            "the broker {broker} lost its memory: the checkpoint that it held (event {}) {what}, so events that it had \
             acknowledged may be gone; {then}; let it keep its memory on disk, and compare the closings",
            known.acknowledged
        );
        // While nothing is told there anew it is found again and again.
        let is_new = !self.link.health.facts().holds(Condition::BrokerForgot);
        self.link.notice_and_raise(Condition::BrokerForgot, &text, is_new);
        self.memory.forgotten = Some(std::time::Instant::now());
        if resends && !lately {
            self.broker_memory().resend = Some((self.id, level.first_kept.max(from + 1), level.acknowledged));
        }
    }

    /// What HQ's word means besides what is stored.
    pub(super) fn heed(&mut self, stored: &Stored) -> Result<(), Ended> {
        let other = stored.generation.filter(|_| StreamId::parse(&stored.stream) != Some(self.id));
        if let Some(other) = other {
            self.above = self.above.max(other);
            if self.stream.as_ref().is_some_and(|stream| other > stream.generation)
                && self.standing != Standing::TakesOver
                && !self.link.by_hand
            {
                let why = "HQ has states of a newer stream, which would win over this one's";
                return Err(self.begin_stream(other, why, self.begin_anew()));
            }
        }
        match &stored.restart {
            Some(restart) if !self.link.by_hand => self.obey_restart(restart),
            _ => Ok(()),
        }
    }
}

/// Nothing can be newer than what is named.
fn exhausted(link: &Link) -> Ended {
    Ended::Conflict(format!(
        "the greatest generation that there can be, {}, is named at HQ ({}, or stored): nothing can be newer; clear what \
         names it",
        u32::MAX,
        link.topic("checkpoint")
    ))
}

/// A checkpoint that cannot be read is not the same as none: it may be a later version's, and a box that took it for none
/// would begin again below the generation of its predecessor.
pub(super) fn unreadable(link: &Link, why: &str) -> Ended {
    Ended::Conflict(format!(
        "the checkpoint retained at {} cannot be read ({why}): expected an object with stream, generation and acknowledged; \
         clear the retained message, or install the tillbox that wrote it",
        link.topic("checkpoint")
    ))
}

/// HQ's word from its text.
pub(super) fn read_stored(body: &[u8]) -> Result<Stored, String> {
    let stored: Stored = serde_json::from_slice(body)
        .map_err(|error| format!("it is no JSON object with stream, through and chain ({error})"))?;
    match stored.restart.as_ref().and_then(super::feed::Restart::fault) {
        Some(fault) => Err(fault.to_owned()),
        None => Ok(stored),
    }
}

/// A stream's id as it is shown: what stands there came from outside.
fn shown(stream: &str) -> &str {
    if StreamId::parse(stream).is_some() { stream } else { "that cannot be read" }
}
