//! The stream at this broker: its generation, and the proof that its checkpoint stays there.
//!
//! A generation is chosen when the stream's first event is about to leave, by a clock that something confirms; without
//! one the box waits up to ten minutes for it. If the clock is confirmed later and shows that the generation was too low,
//! a new stream begins. Before the first event leaves, the box's checkpoint must be found by a new subscription: a broker
//! that keeps none would let the next box begin below this one.

use std::time::{Duration, Instant as StdInstant};

use tokio::time::Instant;

use super::{
    ended::Ended,
    feed::Restart,
    pace,
    session::{Session, Standing},
    wire::{Arrived, WireError},
};
use crate::{
    checkpoint::{Found, generation},
    health::Condition,
    outbox::{Begin, Level},
};

/// So long a first event waits for a clock that something confirms.
const CLOCK_WAIT: Duration = Duration::from_secs(600);

/// A wait that is over sooner is told to nobody.
const CLOCK_TOLD_AFTER: Duration = Duration::from_secs(30);

/// HQ's word for starting again is obeyed at most once in this.
const RESTART_EVERY: Duration = Duration::from_secs(60 * 60);

impl Session<'_> {
    /// When the wait for a clock is over.
    pub(super) fn generation_due(&self) -> Option<Instant> {
        let waits = self.memory.clock_wait.filter(|_| self.stream.is_none())?;
        let tells = waits + CLOCK_TOLD_AFTER / pace();
        let ends = waits + CLOCK_WAIT / pace();
        Some(Instant::from_std(if tells > StdInstant::now() { tells } else { ends }))
    }

    /// Chooses, corrects or gives up the stream's generation, where that is due.
    pub(super) fn settle_generation(&mut self, level: &Level) -> Result<(), Ended> {
        if self.standing == Standing::TakesOver {
            let through = level.take_over.unwrap_or_default();
            let left = level.durable.min(through) <= level.durable - level.undelivered(self.link.hq.acknowledge);
            let why = "a person said that this box takes the outlet back";
            return if left { Err(self.begin_stream(0, why, self.begin_anew())) } else { Ok(()) };
        }
        if level.take_over.is_some() && self.standing != Standing::Greeting && !self.link.by_hand {
            // It must not lie in wait for a box that comes later.
            self.link.outbox.end_take_over()?;
            tracing::warn!("mqtt: no other box has this outlet: the order to take it over is void");
        }
        match self.stream.clone() {
            None if level.durable >= self.forward.next() => self.choose(),
            None => Ok(()),
            // What is sent by hand keeps the generation that it has.
            Some(_) if level.generation_proven || self.link.by_hand => Ok(()),
            Some(stream) => {
                let Some(now) = self.link.proven_now() else { return Ok(()) };
                if generation(0, Some(now)) <= stream.generation {
                    self.link.outbox.take_generation(stream.generation, true, self.read_again())?;
                    return Ok(());
                }
                let why =
                    "the clock is confirmed at last, and the stream had begun with a generation that may be too low";
                Err(self.begin_stream(stream.generation, why, self.begin_anew()))
            }
        }
    }

    fn choose(&mut self) -> Result<(), Ended> {
        let proven = self.link.proven_now();
        let since = *self.memory.clock_wait.get_or_insert_with(StdInstant::now);
        if proven.is_none() && since.elapsed() < CLOCK_WAIT / pace() {
            if since.elapsed() < CLOCK_TOLD_AFTER / pace() {
                return Ok(());
            }
            let text = "no time service and no point of sale confirms this box's clock yet: the first sales wait up to ten \
                        minutes for that, so that they get a generation above any earlier box's";
            self.link.health.raise(Condition::ClockUnproven, "", text, self.link.clock.now());
            return Ok(());
        }
        self.memory.clock_wait = None;
        self.link.health.clear(Condition::ClockUnproven, "", self.link.clock.now());
        let chosen = match self.above {
            1 if self.link.by_hand => {
                return Err(Ended::Conflict(
                    "another box sends for this outlet with generation 1, and what is sent by hand must be older than that"
                        .to_owned(),
                ));
            }
            // What is sent by hand is older than whatever another box has told.
            named if self.link.by_hand => named.saturating_sub(1).max(1),
            named => generation(named, proven),
        };
        self.link.outbox.take_generation(chosen, proven.is_some(), self.read_again())?;
        self.stream = self.link.outbox.stream();
        tracing::info!(generation = chosen, "mqtt: this store's stream is new to HQ, and has its generation now");
        Ok(())
    }

    /// Publishes the checkpoint, and finds it by a new subscription.
    pub(super) async fn confirm(&mut self) -> Result<(), Ended> {
        let topic = self.link.topic("checkpoint");
        // What comes after the next subscription is then what is retained, and not an echo.
        let packet = self.wire.unsubscribe(topic.clone())?;
        let mut ended = |arrived: &Arrived| matches!(arrived, Arrived::Unsubscribed(of) if *of == packet);
        if !self.until_quiet(&mut ended).await? {
            return Err(WireError::Lost("the broker does not end a subscription within 10 s".to_owned()).into());
        }
        self.told = None;
        self.tell_checkpoint()?;
        if let Some((packet, _)) = self.checkpoint_packet {
            let mut taken = |arrived: &Arrived| matches!(arrived, Arrived::Acknowledged(of, _) if *of == packet);
            if !self.until_quiet(&mut taken).await? {
                return Err(Ended::Denied(format!(
                    "the checkpoint published to {topic} was not acknowledged within 10 s; {}",
                    self.link.rights("checkpoint")
                )));
            }
        }
        let (id, nonce) = (self.id, self.memory.nonce.clone());
        let mut is_there = false;
        let is_ours = |arrived: &Arrived| match arrived {
            Arrived::Message { topic: of, body } if *of == topic => serde_json::from_slice::<Found>(body)
                .is_ok_and(|found| found.is_of(id) && found.nonce.as_deref() == Some(&nonce)),
            _ => false,
        };
        let packet = self.wire.subscribe([topic.clone()])?;
        let (mut refused, mut granted) = (None, false);
        // The retained message may come before the answer to the subscription, or after it.
        let found = self
            .until_quiet(&mut |arrived| {
                if let Arrived::Subscribed(of, refusal) = arrived
                    && *of == packet
                {
                    granted = true;
                    refused.clone_from(refusal);
                }
                is_there |= is_ours(arrived);
                refused.is_some() || granted && is_there
            })
            .await?;
        if found && refused.is_none() {
            self.standing = Standing::Confirmed;
            self.link.health.update(|facts| facts.checkpoint_found = true);
            let acknowledged = self.told.as_ref().map_or(0, |told| told.acknowledged);
            self.link.outbox.note_retained(&self.name, self.id, acknowledged)?;
            return Ok(());
        }
        Err(WireError::Unfit(format!(
            "the checkpoint published to {topic} is not found by a new subscription, so nothing is sent: the broker retains \
             no messages, or this login may not read or write there; let the broker retain messages, and allow both \
             (Mosquitto: `topic readwrite {topic}`)"
        ))
        .into())
    }

    /// HQ lost what it had: a new stream begins with all that is still here, and the points of sale are read again.
    pub(super) fn obey_restart(&mut self, restart: &Restart) -> Result<(), Ended> {
        let level = self.level.borrow().clone();
        let lately = self.memory.restarted.is_some_and(|at| at.elapsed() < RESTART_EVERY / pace());
        let known = level.restart_token.as_deref() == Some(&restart.token);
        let now = self.link.clock.now();
        let by_clock = level.restarted_at.is_some_and(|at| (now - at).abs() < chrono::TimeDelta::hours(1));
        if known || lately || by_clock && pace() == 1 {
            return Ok(());
        }
        // A stream without a generation has sent nothing that could be lost.
        let Some(stream) = &self.stream else { return Ok(()) };
        self.memory.restarted = Some(StdInstant::now());
        let connections = self.link.health.facts().connections;
        let read_again = connections.into_keys().map(|name| (name, restart.from)).collect();
        let why = format!("HQ lost what it had and says that this box starts again (token {})", restart.token);
        let token = Some(restart.token.clone());
        let begin = Begin { read_again, keep: true, restart_token: token, ..Begin::default() };
        Err(self.begin_stream(self.above.max(stream.generation), &why, begin))
    }
}
