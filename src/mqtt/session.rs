//! One session with HQ's broker, from the login to the end of the connection.
//!
//! 1. Connect, subscribe to `checkpoint`, `stored` and `events/hello`.
//! 2. Publish `hello` with a fresh nonce and wait for it to come back: publishes to the events' topics arrive, they are
//!    not only acknowledged.
//! 3. Read the retained checkpoint: take a generation, or begin a new stream.
//! 4. Publish from the first unacknowledged event, a window at a time; move the cursor by the acknowledgement of that
//!    very packet.
//! 5. Beside it: `status` at every change and every five minutes, `checkpoint` as things move, `stored` as HQ says it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Link,
    wire::{Arrived, Wire, WireError},
};
use crate::{
    checkpoint::{self, Checkpoint, Decision, SafeWatermarks, decide},
    config::Acknowledge,
    content::ContentId,
    event::{Event, Stream, StreamId},
    forward::Forward,
    health::Condition,
    outbox::{Level, OutboxError, StoredVerdict},
    status,
};

/// The hello must be back within this.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

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

/// How a session ended.
#[derive(Debug)]
pub enum Ended {
    /// In order, at the word to stop.
    Stopped,
    /// The connection is gone.
    Wire(WireError),
    /// Publishes do not arrive.
    Denied(String),
    /// The store failed; it is opened again by its keeper.
    Store(OutboxError),
    /// A new stream began: the session starts again with it.
    NewStream,
}

impl From<WireError> for Ended {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl From<OutboxError> for Ended {
    fn from(error: OutboxError) -> Self {
        match error {
            OutboxError::NewStream => Self::NewStream,
            other => Self::Store(other),
        }
    }
}

/// What HQ's feed says.
#[derive(Debug, Deserialize)]
struct Stored {
    stream: String,
    through: u64,
    chain: ContentId,
}

/// A session that may publish.
struct Session<'a> {
    link: &'a Link,
    wire: Wire,
    stream: Stream,
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
    stored: Option<Stored>,
    storing: Option<JoinHandle<Result<StoredVerdict, OutboxError>>>,
    epoch: u64,
}

/// Runs one session until it ends. `ready` is called once events may be published.
pub async fn run(link: &Link, mut wire: Wire, nonce: &str, ready: impl FnOnce()) -> Ended {
    let greeted = tokio::select! {
        greeted = greet(link, &mut wire, nonce) => greeted,
        () = link.stop.given() => return Ended::Stopped,
    };
    let (found, stored) = match greeted {
        Ok(greeted) => greeted,
        Err(ended) => return ended,
    };
    let stream = match reconcile(link, found.as_ref()) {
        Ok(stream) => stream,
        Err(ended) => return ended,
    };
    let level = link.outbox.level();
    if link.outbox.stream_id() != stream.id {
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
        stored,
        storing: None,
        epoch: level.epoch,
        stream,
    };
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

/// Steps 1 and 2: gives the retained checkpoint and what HQ has stored.
async fn greet(link: &Link, wire: &mut Wire, nonce: &str) -> Result<(Option<Checkpoint>, Option<Stored>), Ended> {
    let (hello, checkpoint, stored) = (link.topic("events/hello"), link.topic("checkpoint"), link.topic("stored"));
    wire.subscribe([checkpoint.clone(), stored.clone(), hello.clone()]).await?;
    wire.flush().await?;
    let deadline = Instant::now() + HELLO_TIMEOUT;
    let (mut found, mut said, mut greeted) = (None, None, false);
    let denied = |what: &str| {
        Ended::Denied(format!(
            "{what}; let this client publish and subscribe below {}/ in the broker's access rules",
            link.topic("").trim_end_matches('/')
        ))
    };
    loop {
        while let Some(arrived) = wire.arrived() {
            match arrived {
                Arrived::Subscribed(false) => return Err(denied("the broker refuses a subscription")),
                Arrived::Subscribed(true) => {
                    wire.publish(&hello, status::hello(&link.outlet.id, nonce), false).await?;
                    wire.flush().await?;
                    greeted = true;
                }
                Arrived::Message { topic, body } if topic == checkpoint => {
                    found = serde_json::from_slice(&body).ok();
                }
                Arrived::Message { topic, body } if topic == stored => said = serde_json::from_slice(&body).ok(),
                Arrived::Message { topic, body } if topic == hello => {
                    if String::from_utf8_lossy(&body).contains(nonce) {
                        return Ok((found, said));
                    }
                }
                Arrived::Message { .. } | Arrived::Acknowledged(_) => {}
            }
        }
        wire.flush().await?;
        match timeout(deadline.saturating_duration_since(Instant::now()), wire.wait()).await {
            Ok(Ok(())) => {}
            Ok(Err(WireError::Lost(_))) if greeted => {
                return Err(denied("the broker closed the connection at the first publish to events/hello"));
            }
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {
                return Err(denied(
                    "a hello published to events/hello did not come back: publishes are acknowledged \
                                   but do not arrive",
                ));
            }
        }
    }
}

/// Step 3.
fn reconcile(link: &Link, found: Option<&Checkpoint>) -> Result<Stream, Ended> {
    let now = link.clock.now();
    let stream = link.outbox.stream();
    let decision = decide(found, link.outbox.stream_id(), stream.as_ref(), link.outbox.level().durable);
    match &decision {
        Decision::Keep => link.health.clear(Condition::OutletConflict, "", now),
        Decision::Take(generation) => {
            link.outbox.take_generation(*generation)?;
            for (connection, watermark) in found.iter().flat_map(|found| &found.watermarks) {
                if let Some(watermark) = watermark {
                    (link.rewind)(connection, *watermark);
                }
            }
        }
        Decision::Begin { generation, why } => {
            let text = format!("{why}: a new stream begins, and the points of sale are read again");
            link.health.raise(Condition::OutletConflict, "", &text, now);
            link.outbox.begin_stream(Some(*generation))?;
            return Err(Ended::NewStream);
        }
    }
    if decision != Decision::Keep {
        tracing::info!(?decision, "mqtt: this store is a stream that HQ does not know yet");
    }
    link.outbox.stream().ok_or(Ended::NewStream)
}

impl Session<'_> {
    /// Steps 4 and 5, until the session ends.
    async fn serve(&mut self) -> Ended {
        let stop = self.link.stop.clone();
        let stopped = stop.given();
        tokio::pin!(stopped);
        loop {
            if let Err(ended) = self.turn().await {
                return ended;
            }
            let due = self.status_due.min(self.ping_due).min(self.checkpoint_due.unwrap_or(self.ping_due));
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
            match serde_json::from_slice(body) {
                Ok(stored) => self.stored = Some(stored),
                Err(_) => self.reject("it is no JSON object with stream, through and chain"),
            }
        } else if topic == self.link.topic("checkpoint") {
            let other = serde_json::from_slice(body)
                .ok()
                .filter(|found: &Checkpoint| found.stream != self.stream.id.to_string());
            if other.is_some_and(|other| other.generation >= self.stream.generation) {
                return Err(Ended::Wire(WireError::Lost("another box publishes for this outlet".to_owned())));
            }
        }
        Ok(())
    }

    /// Hands HQ's word to the store once everything that it speaks of was acknowledged.
    fn weigh_stored(&mut self, level: &Level) {
        if self.link.hq.acknowledge != Acknowledge::Feed || self.storing.is_some() {
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
            open_gaps: self.link.outbox.open_gaps(),
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
