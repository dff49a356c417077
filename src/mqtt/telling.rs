//! The box's own words: `status`, `checkpoint`, and the goodbye.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use tokio::time::{Instant, timeout};

use super::{
    ended::Ended,
    pace,
    session::{Session, Standing},
};
use crate::{
    checkpoint::{self, Checkpoint, reach},
    config::Acknowledge,
    health::{Condition, ConnectionHealth},
    outbox::Level,
    status,
};

/// Status is published at least this often …
const STATUS_EVERY: Duration = Duration::from_secs(300);

/// … and changes at most this often.
pub(super) const STATUS_PAUSE: Duration = Duration::from_secs(2);

/// The checkpoint is published at most this often while events flow.
const CHECKPOINT_PAUSE: Duration = Duration::from_secs(5);

/// A checkpoint lists no more open gaps than fit: each connection begins with it, on a slow line, too.
const CHECKPOINT_MAX_BYTES: usize = 16 * 1024;

/// At an ordered stop acknowledgements may come in for this long.
const STOP_DEADLINE: Duration = Duration::from_millis(1_500);

/// That a broker lost its memory is told for this long at least.
const FORGOTTEN_TOLD: Duration = Duration::from_secs(120);

/// A condition that speaks of one event is told for this long.
const REDUCED_TOLD: Duration = Duration::from_secs(24 * 60 * 60);

impl Session<'_> {
    /// Status and checkpoint, as far as the broker takes a publish now.
    pub(super) fn tell_what_is_due(&mut self, level: &Level) -> Result<(), Ended> {
        let now = Instant::now();
        if self.memory.reduced.is_some_and(|(_, at)| at.elapsed() > REDUCED_TOLD) {
            self.link.health.clear(Condition::EventReduced, "", self.link.clock.now());
        }
        let told = self.memory.forgotten.is_some_and(|at| at.elapsed() > FORGOTTEN_TOLD / pace());
        let made_good = match self.link.hq.acknowledge {
            Acknowledge::Broker => self.again.is_none(),
            Acknowledge::Feed => level.undelivered(Acknowledge::Feed) == 0,
        };
        if told && made_good {
            self.memory.forgotten = None;
            self.link.health.clear(Condition::BrokerForgot, "", self.link.clock.now());
        }
        if self.checkpoint_due.is_none() && self.told_at != (level.acknowledged, level.released) {
            self.checkpoint_due = Some(now + CHECKPOINT_PAUSE);
        }
        if self.checkpoint_due.is_some_and(|due| due <= now) && self.wire.room() > 0 {
            self.checkpoint_due = None;
            self.tell_checkpoint()?;
        }
        if self.status_due <= now && self.wire.room() > 0 {
            self.status_due = now + STATUS_EVERY;
            // Watermarks move without an event, too.
            self.checkpoint_due.get_or_insert(now + CHECKPOINT_PAUSE);
            self.tell_status(status::State::Running)?;
        }
        Ok(())
    }

    fn tell_status(&mut self, state: status::State) -> Result<(), Ended> {
        if self.link.by_hand {
            return Ok(());
        }
        let body = self.link.status(state);
        let packet = self.wire.publish(&self.link.topic("status"), body, true)?;
        self.own.insert(packet);
        Ok(())
    }

    /// Publishes the checkpoint, if it says something new.
    pub(super) fn tell_checkpoint(&mut self) -> Result<(), Ended> {
        let tells = matches!(self.standing, Standing::Unconfirmed | Standing::Confirmed) && !self.link.by_hand;
        let Some(stream) = self.stream.clone().filter(|_| tells) else { return Ok(()) };
        if !self.memory.nonce_kept {
            self.link.outbox.add_nonce(&self.memory.nonce)?;
            self.memory.nonce_kept = true;
        }
        // The watermarks first: a record that one of them has passed is then surely counted in the level.
        let watermarks = self.watermarks();
        let level = self.link.outbox.level();
        let left = match self.link.hq.acknowledge {
            Acknowledge::Feed => level.released,
            Acknowledge::Broker => level.acknowledged,
        };
        self.safe.learn(watermarks, level.durable, left);
        self.told_at = (level.acknowledged, level.released);
        let checkpoint = Checkpoint {
            schema: checkpoint::SCHEMA.to_owned(),
            stream: stream.id.to_string(),
            generation: stream.generation,
            nonce: self.memory.nonce.clone(),
            acknowledged: level.acknowledged,
            watermarks: self.safe.safe().clone(),
            begun: self.begun(),
            open_gaps: (*level.open_gaps).clone(),
            gaps_omitted: BTreeMap::new(),
            restarted: level.restart_token.clone(),
        };
        if self.told.as_ref() != Some(&checkpoint) {
            let body = checkpoint
                .to_bytes(CHECKPOINT_MAX_BYTES.min(self.limit.saturating_sub(self.link.topic("checkpoint").len())));
            let packet = self.wire.publish(&self.link.topic("checkpoint"), body, true)?;
            self.own.insert(packet);
            self.checkpoint_packet = Some((packet, checkpoint.acknowledged));
            self.broker_memory().gets_checkpoint();
            self.told = Some(checkpoint);
        }
        Ok(())
    }

    /// Status or checkpoint was acknowledged: what is retained now is remembered, so that its loss is noticed.
    pub(super) fn own_acknowledged(&mut self, packet: u16) -> Result<(), Ended> {
        let Some((_, acknowledged)) = self.checkpoint_packet.filter(|(of, _)| *of == packet) else { return Ok(()) };
        self.broker_memory().took_checkpoint();
        if self.standing == Standing::Confirmed {
            self.link.outbox.note_retained(&self.name, self.id, acknowledged)?;
        }
        Ok(())
    }

    /// When each connection's first reading began.
    fn begun(&self) -> BTreeMap<String, DateTime<Utc>> {
        let now = self.link.clock.now();
        let of = |(name, connection): (String, ConnectionHealth)| {
            let told = self.told.as_ref().and_then(|told| told.begun.get(&name).copied());
            let found = self.found.as_ref().and_then(|found| found.begun.get(&name).copied().flatten());
            let known = told.into_iter().chain(found).min();
            let begun = match self.link.reaches.get(&name) {
                Some(reach) => reach::begun(&connection.progress, *reach, known, now),
                None => known,
            };
            Some((name, begun?))
        };
        self.link.health.facts().connections.into_iter().filter_map(of).collect()
    }

    fn watermarks(&self) -> BTreeMap<String, Option<DateTime<Utc>>> {
        let connections = self.link.health.facts().connections;
        connections.into_iter().map(|(name, connection)| (name, connection.progress.watermark)).collect()
    }

    /// An ordered stop: no new event, but acknowledgements may come in; then the last word.
    pub(super) async fn say_goodbye(mut self) {
        let last_words = async {
            self.make_room().await?;
            self.tell_checkpoint()?;
            self.make_room().await?;
            self.tell_status(status::State::Stopped)?;
            while self.forward.in_flight() > 0 || !self.own.is_empty() {
                self.wire.wait().await?;
                while let Some(arrived) = self.wire.arrived()? {
                    self.handle(arrived)?;
                }
                if self.forward.wants_ping() {
                    self.ping();
                    self.forward.pinged();
                }
            }
            Ok::<_, Ended>(())
        };
        // What is not acknowledged by then is sent again.
        let _ = timeout(STOP_DEADLINE, last_words).await;
        self.link.outbox.acknowledge(self.epoch, self.forward.cursor());
        let Self { wire, .. } = self;
        // Gone either way.
        let _ = timeout(Duration::from_millis(200), wire.close()).await;
    }
}
