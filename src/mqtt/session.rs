//! One session with HQ's broker, from the login to the end of the connection.
//!
//! Steps 1 to 3 stand in `greeting`; then:
//!
//! 4. Publish from the first unacknowledged event, a window at a time; move the cursor by the acknowledgement of that
//!    very packet. What HQ does not say to be stored, where its word counts, is published again.
//! 5. Beside it: `status` at every change and every five minutes, `checkpoint` as things move, `stored` as HQ says it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant as StdInstant},
};

use chrono::{DateTime, Utc};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Link, TURN_MAX,
    ended::Ended,
    greeting::{Greeted, Memory, greet, reconcile},
    stored::Stored,
    wire::{Arrived, Wire, WireError},
};
use crate::{
    checkpoint::{self, Checkpoint, Found, SafeWatermarks},
    config::Acknowledge,
    event::{Event, Stream, StreamId},
    forward::{Forward, Overdue},
    health::Condition,
    outbox::{Level, OutboxError, StoredVerdict},
    status,
};

/// Status is published at least this often …
const STATUS_EVERY: Duration = Duration::from_secs(300);

/// … and changes at most this often.
const STATUS_PAUSE: Duration = Duration::from_secs(2);

/// The checkpoint is published at most this often while events flow.
const CHECKPOINT_PAUSE: Duration = Duration::from_secs(5);

/// Events that are read from the store ahead of the window.
const READ_AHEAD: usize = 256;

/// At an ordered stop acknowledgements may come in for this long.
const STOP_DEADLINE: Duration = Duration::from_millis(1_500);

/// A session that may publish.
struct Session<'a> {
    link: &'a Link,
    wire: Wire,
    stream: Arc<Stream>,
    forward: Forward,
    read_ahead: VecDeque<Event>,
    /// Packets of status and checkpoint that were not acknowledged yet.
    own: BTreeSet<u16>,
    level: watch::Receiver<Level>,
    health: watch::Receiver<u64>,
    safe: SafeWatermarks,
    told: Option<Checkpoint>,
    /// What was acknowledged and released when the checkpoint was last told.
    told_at: (u64, u64),
    checkpoint_due: Option<Instant>,
    status_due: Instant,
    ping_due: Instant,
    /// When nobody is left who disputes the outlet.
    undisputed: Instant,
    overdue: &'a mut Overdue,
    stored: Option<Stored>,
    storing: Option<JoinHandle<Result<StoredVerdict, OutboxError>>>,
    epoch: u64,
}

/// Runs one session until it ends. `ready` is called once events may be published.
pub async fn run(link: &Link, mut wire: Wire, nonce: &str, memory: &mut Memory, ready: impl FnOnce()) -> Ended {
    link.heartbeat.promise(TURN_MAX);
    let greeted = tokio::select! {
        greeted = greet(link, &mut wire, nonce, memory) => greeted,
        () = link.stop.given() => return Ended::Stopped,
    };
    let Greeted { found, stored } = match greeted {
        Ok(greeted) => greeted,
        Err(ended) => return ended,
    };
    let said = stored.as_deref().and_then(|body| serde_json::from_slice::<Stored>(body).ok());
    let stream = match reconcile(link, found.as_ref(), said.as_ref(), memory) {
        Ok(stream) => stream,
        Err(ended) => return ended,
    };
    let level = link.outbox.level();
    if level.stream_id != Some(stream.id) {
        return Ended::NewStream;
    }
    ready();
    let now = Instant::now();
    let mut session = Session {
        link,
        wire,
        forward: Forward::after(level.acknowledged, link.hq.window),
        read_ahead: VecDeque::new(),
        own: BTreeSet::new(),
        level: link.outbox.watch(),
        health: link.health.watch(),
        safe: SafeWatermarks::from(found.as_ref(), stream.id),
        told: None,
        told_at: (level.acknowledged, level.released),
        checkpoint_due: Some(now),
        status_due: now,
        ping_due: now + link.hq.keep_alive,
        undisputed: now + STATUS_EVERY,
        overdue: &mut memory.overdue,
        stored: None,
        storing: None,
        epoch: level.epoch,
        stream,
    };
    if let Some(body) = stored {
        session.hear_stored(&body);
    }
    let ended = session.serve().await;
    // Acknowledgements that came with the end of the connection still count.
    while let Some(arrived) = session.wire.arrived() {
        if let Arrived::Acknowledged(packet) = arrived
            && let Ok(Some(number)) = session.acknowledged(packet)
        {
            link.outbox.acknowledge(session.epoch, number);
        }
    }
    if let Ended::Stopped = ended {
        return session.say_goodbye().await;
    }
    ended
}

impl Session<'_> {
    /// Steps 4 and 5, until the session ends.
    async fn serve(&mut self) -> Ended {
        let stop = self.link.stop.clone();
        let stopped = stop.given();
        tokio::pin!(stopped);
        loop {
            self.link.heartbeat.promise(TURN_MAX);
            if let Err(ended) = self.turn().await {
                return ended;
            }
            let due = [Some(self.status_due), self.checkpoint_due, self.again_due()];
            let due = due.into_iter().flatten().fold(self.ping_due, Instant::min);
            self.link.heartbeat.will_wait(due.saturating_duration_since(Instant::now()));
            tokio::select! {
                arrived = self.wire.wait() => if let Err(error) = arrived { return error.into() },
                _ = self.level.changed() => {}
                _ = self.health.changed() => self.status_due = self.status_due.min(Instant::now() + STATUS_PAUSE),
                verdict = finished(&mut self.storing) => self.judged(verdict),
                () = sleep_until(due) => {}
                () = &mut stopped => return Ended::Stopped,
            }
        }
    }

    /// Takes what arrived, publishes what may be published, says what is due.
    async fn turn(&mut self) -> Result<(), Ended> {
        let mut acknowledged = None;
        while let Some(arrived) = self.wire.arrived() {
            match arrived {
                Arrived::Acknowledged(packet) => acknowledged = self.acknowledged(packet)?.or(acknowledged),
                Arrived::Message { topic, body } => self.take(&topic, &body)?,
                Arrived::Subscribed(_) => {}
            }
        }
        if let Some(number) = acknowledged {
            self.link.outbox.acknowledge(self.epoch, number);
        }
        let level = self.level.borrow_and_update().clone();
        if level.epoch != self.epoch {
            return Err(Ended::NewStream);
        }
        self.weigh_stored(&level);
        if self.again_due().is_some_and(|due| due <= Instant::now()) {
            tracing::debug!(after = level.released, "mqtt: HQ does not say that it stored these: they are sent again");
            self.overdue.sent_again(StdInstant::now());
            self.forward = Forward::after(level.released, self.link.hq.window);
            self.read_ahead.clear();
        }
        self.publish_events(&level).await?;
        self.say_what_is_due(&level).await?;
        self.wire.flush().await?;
        Ok(())
    }

    /// Gives the new cursor if it is an event's acknowledgement.
    fn acknowledged(&mut self, packet: u16) -> Result<Option<u64>, Ended> {
        if self.own.remove(&packet) {
            return Ok(None);
        }
        match self.forward.acknowledged(packet) {
            Ok(number) => Ok(Some(number)),
            Err(error) => Err(WireError::Lost(error.to_string()).into()),
        }
    }

    fn take(&mut self, topic: &str, body: &[u8]) -> Result<(), Ended> {
        if topic == self.link.topic("stored") {
            self.hear_stored(body);
        } else if topic == self.link.topic("checkpoint") {
            // What a broker says late is weighed at the begin of the next session, where a new stream can begin.
            let again = |why: &str| Err(Ended::Wire(WireError::Lost(why.to_owned())));
            match serde_json::from_slice::<Found>(body) {
                Ok(found) if StreamId::parse(&found.stream) == Some(self.stream.id) => {
                    if found.acknowledged > self.level.borrow().durable {
                        return again("the checkpoint is ahead of the store");
                    }
                }
                Ok(found) if found.generation >= self.stream.generation => {
                    return again("another box publishes for this outlet");
                }
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn hear_stored(&mut self, body: &[u8]) {
        // HQ takes its word back by clearing the retained one.
        if self.link.hq.acknowledge != Acknowledge::Feed || body.is_empty() {
            return;
        }
        match serde_json::from_slice(body) {
            Ok(stored) => self.stored = Some(stored),
            Err(_) => self.reject("it is no JSON object with stream, through and chain"),
        }
    }

    /// When to publish again what HQ does not say to be stored; only once nothing is on its way.
    fn again_due(&mut self) -> Option<Instant> {
        if self.link.hq.acknowledge != Acknowledge::Feed || self.forward.in_flight() > 0 {
            return None;
        }
        let (acknowledged, released) = {
            let level = self.level.borrow();
            (level.acknowledged, level.released)
        };
        self.overdue.due(acknowledged, released, StdInstant::now()).map(Instant::from_std)
    }

    /// Hands HQ's word to the store once everything that it speaks of was acknowledged.
    fn weigh_stored(&mut self, level: &Level) {
        if self.storing.is_some() {
            return;
        }
        let too_high =
            |stored: &Stored| stored.stream == self.stream.id.to_string() && stored.through > level.acknowledged;
        let Some(stored) = self.stored.take() else { return };
        if too_high(&stored) {
            if stored.through > level.durable {
                self.reject(&format!("it speaks of event {}, and the last one is {}", stored.through, level.durable));
            } else {
                self.stored = Some(stored);
            }
            return;
        }
        let Some(stream) = StreamId::parse(&stored.stream) else {
            self.reject("its stream is no stream's id");
            return;
        };
        let outbox = Arc::clone(&self.link.outbox);
        self.storing = Some(tokio::task::spawn_blocking(move || outbox.stored(stream, stored.through, stored.chain)));
    }

    fn judged(&mut self, verdict: Result<StoredVerdict, OutboxError>) {
        self.storing = None;
        let now = self.link.clock.now();
        match verdict {
            Ok(StoredVerdict::Released) => self.link.health.clear(Condition::StoredRejected, "", now),
            Ok(StoredVerdict::Stale | StoredVerdict::OtherStream) => {}
            Ok(StoredVerdict::TooHigh) => self.reject("it speaks of events that were not acknowledged"),
            Ok(StoredVerdict::Forged) => self.reject("its chain is not that of the events that were sent"),
            Err(error) => self.link.health.raise(Condition::StoreFailed, "", &error.to_string(), now),
        }
    }

    fn reject(&self, why: &str) {
        let text = format!("HQ's word on {} is not believed: {why}; nothing is removed", self.link.topic("stored"));
        self.link.health.raise(Condition::StoredRejected, "", &text, self.link.clock.now());
    }

    /// Publishes as many events as the window takes.
    async fn publish_events(&mut self, level: &Level) -> Result<(), Ended> {
        let mut room = self.forward.room();
        while room > 0 && self.forward.next() <= level.durable {
            if self.read_ahead.front().is_none_or(|event| event.sequence != self.forward.next()) {
                self.read_ahead = self.link.outbox.read(self.epoch, self.forward.next() - 1, READ_AHEAD)?.into();
            }
            let Some(event) = self.read_ahead.pop_front() else { return Ok(()) };
            let topic = self.link.topic(&format!("events/{}", event.draft.event_type.name()));
            let packet = self.wire.publish(&topic, event.envelope(&self.stream), false).await?;
            // Each is progress by itself on a line that is slow enough.
            self.link.heartbeat.promise(TURN_MAX);
            self.forward.published(packet);
            room -= 1;
        }
        Ok(())
    }

    /// Status, checkpoint and ping.
    async fn say_what_is_due(&mut self, level: &Level) -> Result<(), Ended> {
        let now = Instant::now();
        if self.checkpoint_due.is_none() && self.told_at != (level.acknowledged, level.released) {
            self.checkpoint_due = Some(now + CHECKPOINT_PAUSE);
        }
        if self.checkpoint_due.is_some_and(|due| due <= now) {
            self.checkpoint_due = None;
            self.say_checkpoint().await?;
        }
        if self.status_due <= now {
            self.status_due = now + STATUS_EVERY;
            if self.undisputed <= now {
                self.link.health.clear(Condition::OutletConflict, "", self.link.clock.now());
            }
            // Watermarks move without an event, too.
            self.checkpoint_due.get_or_insert(now + CHECKPOINT_PAUSE);
            let body = self.link.status(status::State::Running);
            let packet = self.wire.publish(&self.link.topic("status"), body, true).await?;
            self.own.insert(packet);
        }
        if self.ping_due <= now {
            self.ping_due = now + self.link.hq.keep_alive;
            self.wire.ping().await?;
        }
        Ok(())
    }

    async fn say_checkpoint(&mut self) -> Result<(), Ended> {
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
            stream: self.stream.id.to_string(),
            generation: self.stream.generation,
            acknowledged: level.acknowledged,
            watermarks: self.safe.safe().clone(),
            open_gaps: (*self.link.outbox.open_gaps()).clone(),
        };
        if self.told.as_ref() != Some(&checkpoint) {
            let body = serde_json::to_vec(&checkpoint).unwrap_or_default();
            let packet = self.wire.publish(&self.link.topic("checkpoint"), body, true).await?;
            self.own.insert(packet);
            self.told = Some(checkpoint);
        }
        Ok(())
    }

    fn watermarks(&self) -> BTreeMap<String, Option<DateTime<Utc>>> {
        let connections = self.link.health.facts().connections;
        connections.into_iter().map(|(name, connection)| (name, connection.progress.watermark)).collect()
    }

    /// An ordered stop: no new event, but acknowledgements may come in; then the last word.
    async fn say_goodbye(mut self) -> Ended {
        let last_words = async {
            self.say_checkpoint().await?;
            let body = self.link.status(status::State::Stopped);
            let packet = self.wire.publish(&self.link.topic("status"), body, true).await?;
            self.own.insert(packet);
            self.wire.flush().await?;
            while self.forward.in_flight() > 0 || !self.own.is_empty() {
                self.wire.wait().await?;
                while let Some(arrived) = self.wire.arrived() {
                    if let Arrived::Acknowledged(packet) = arrived
                        && let Some(number) = self.acknowledged(packet)?
                    {
                        self.link.outbox.acknowledge(self.epoch, number);
                    }
                }
            }
            Ok::<_, Ended>(())
        };
        let _what_is_not_acknowledged_is_sent_again = timeout(STOP_DEADLINE, last_words).await;
        let _gone_either_way = self.wire.close().await;
        Ended::Stopped
    }
}

/// Waits for the store's verdict on HQ's word; for ever while none is asked.
async fn finished(
    storing: &mut Option<JoinHandle<Result<StoredVerdict, OutboxError>>>,
) -> Result<StoredVerdict, OutboxError> {
    match storing {
        Some(handle) => handle.await.unwrap_or_else(|error| Err(OutboxError::Engine(error.to_string()))),
        None => std::future::pending().await,
    }
}
