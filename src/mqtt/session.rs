//! One session with HQ's broker, from the login to the end of the connection.
//!
//! Steps 1 to 3 stand in `greeting`, the stream's generation in `generation`; then:
//!
//! 4. Publish from the first unacknowledged event, a window at a time; what a word of the broker about one of them means
//!    stands in [`forward`](crate::forward). What HQ does not say to be stored, where its word counts, and what a broker
//!    forgot go out again behind that (`publishing`).
//! 5. Beside it: `status` at every change and every five minutes, `checkpoint` as things move (`telling`), `stored` as HQ
//!    says it.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant as StdInstant},
};

use bytes::Bytes;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Link, TURN_MAX,
    ended::Ended,
    feed::Stored,
    greeting::{self, hello_timeout},
    memory::{BrokerMemory, Doing, Memory},
    pace,
    publishing::{Again, Proven, Ready},
    telling::STATUS_PAUSE,
    wire::{Arrived, Outcome, Refusal, Version, Wire, WireError},
};
use crate::{
    checkpoint::{Checkpoint, Found, SafeWatermarks},
    config::{Acknowledge, Broker, Echo, WithoutSubscribers},
    event::{Event, EventType, Stream, StreamId},
    forward::{Counts, Forward, Rules, Word},
    health::Condition,
    outbox::{Level, OutboxError, StoredVerdict},
};

/// Another broker of the list is looked for this often while nobody subscribes here.
const NOBODY_MAX: Duration = Duration::from_secs(600);

/// No single answer is waited for longer than this, however slow the line is.
const ANSWER_MAX: Duration = Duration::from_secs(600);

/// How the box stands at a broker in one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The greeting is under way: what is retained is only noted.
    Greeting,
    /// Its checkpoint was not yet found here by a subscription.
    Unconfirmed,
    /// It was: events may leave.
    Confirmed,
    /// What waits leaves under its old generation, and then this box takes the outlet back.
    TakesOver,
}

/// A session that may publish.
pub(super) struct Session<'a> {
    pub(super) link: &'a Link,
    pub(super) broker: &'a Broker,
    /// The broker as the config writes it.
    pub(super) name: String,
    /// The topics of the event types, in their order.
    pub(super) topics: [String; EventType::ALL.len()],
    /// What the broker's side had taken, and the largest packet that it takes, when this turn began.
    pub(super) taken: u64,
    pub(super) limit: usize,
    pub(super) memory: &'a mut Memory,
    pub(super) wire: Wire,
    /// Names this session in its status.
    pub(super) nonce: &'a str,
    /// `None` until the stream has a generation.
    pub(super) stream: Option<Arc<Stream>>,
    pub(super) id: StreamId,
    /// The retained checkpoint's text, noted by the greeting.
    pub(super) retained: Option<Bytes>,
    /// The checkpoint that the greeting found.
    pub(super) found: Option<Found>,
    /// The greatest generation that anybody names.
    pub(super) above: u32,
    /// How this box stands at the broker.
    pub(super) standing: Standing,
    pub(super) forward: Forward,
    pub(super) read_ahead: VecDeque<Event>,
    pub(super) ready: Option<Ready>,
    pub(super) again: Option<Again>,
    pub(super) proven: Proven,
    /// The event at which an earlier session ended was looked into.
    pub(super) examined: bool,
    /// Packets of status and checkpoint that were not acknowledged yet, and what they were.
    pub(super) own: BTreeSet<u16>,
    pub(super) checkpoint_packet: Option<(u16, u64)>,
    pub(super) level: watch::Receiver<Level>,
    health: watch::Receiver<u64>,
    pub(super) safe: SafeWatermarks,
    pub(super) told: Option<Checkpoint>,
    /// What was acknowledged and released when the checkpoint was last told.
    pub(super) told_at: (u64, u64),
    pub(super) checkpoint_due: Option<Instant>,
    pub(super) status_due: Instant,
    ping_due: Instant,
    /// Pings without an answer.
    pub(super) pings: u32,
    /// Until when an answer must have come, and what the broker had taken when that was set.
    pong_due: Option<(Instant, u64)>,
    keep_alive: Duration,
    pub(super) stored: Option<Stored>,
    storing: Option<JoinHandle<Result<StoredVerdict, OutboxError>>>,
    pub(super) epoch: u64,
    /// The line works, by its first acknowledgement.
    worked: &'a mut bool,
    begun: Instant,
    /// Somebody is known to subscribe.
    heard: bool,
    /// Whether it was told how HQ's word stands, and what was told: since when something waits for it, and whether for long.
    pub(super) told_silence: (bool, Option<(StdInstant, bool)>),
    /// What counted as acknowledged when the session began.
    began_at: u64,
}

/// Runs one session until it ends. `worked` is set once the line works: an event was acknowledged, or none waits.
pub(super) async fn run(
    link: &Link,
    wire: Wire,
    broker: &Broker,
    nonce: &str,
    memory: &mut Memory,
    worked: &mut bool,
) -> Ended {
    link.heartbeat.promise(TURN_MAX);
    if wire.refused_5() {
        memory.of(&broker.to_string()).refused_5(StdInstant::now());
    }
    let level = link.outbox.level();
    let Some(id) = level.stream_id else { return Ended::Again };
    let now = Instant::now();
    let codes = wire.version() == Version::V5;
    let rules = Rules {
        window: link.hq.window.min(wire.welcome().receive_max.unwrap_or(u16::MAX)),
        counts: if codes { Counts::AtOnce } else { Counts::AfterPing },
        needs_subscriber: codes && link.hq.without_subscribers == WithoutSubscribers::Wait,
        pace: pace(),
    };
    let told_keep_alive = wire.welcome().keep_alive_s.filter(|&seconds| seconds > 0).map(u64::from);
    let keep_alive = told_keep_alive.map_or(link.hq.keep_alive, |it| link.hq.keep_alive.min(Duration::from_secs(it)));
    let mut session = Session {
        link,
        broker,
        name: broker.to_string(),
        topics: EventType::ALL.map(|event_type| link.topic(&format!("events/{}", event_type.name()))),
        taken: 0,
        limit: link.hq.event_max_bytes,
        memory,
        wire,
        nonce,
        stream: level.stream.clone(),
        id,
        retained: None,
        found: None,
        above: 0,
        standing: Standing::Greeting,
        forward: Forward::after(level.acknowledged.max(level.released), rules, now.into_std()),
        read_ahead: VecDeque::new(),
        ready: None,
        again: None,
        proven: Proven::default(),
        examined: false,
        own: BTreeSet::new(),
        checkpoint_packet: None,
        level: link.outbox.watch(),
        health: link.health.watch(),
        safe: SafeWatermarks::default(),
        told: None,
        told_at: (level.acknowledged, level.released),
        checkpoint_due: Some(now),
        status_due: now,
        ping_due: now + keep_alive,
        pings: 0,
        pong_due: None,
        keep_alive,
        stored: None,
        storing: None,
        epoch: level.epoch,
        worked,
        begun: now,
        heard: false,
        told_silence: (false, None),
        began_at: level.acknowledged.max(level.released),
    };
    let ended = session.greet_and_serve().await;
    // What came with the end of the connection still counts, as far as it counts at all.
    while let Ok(Some(arrived)) = session.wire.arrived() {
        if session.handle(arrived).is_err() {
            break;
        }
    }
    session.count();
    let id = session.id;
    let rest = session.again.as_ref().and_then(Again::rest).map(|(from, through)| (id, from, through));
    session.broker_memory().resend = rest;
    match ended {
        Ended::Stopped => session.say_goodbye().await,
        // The broker is well: it need not send the last will.
        Ended::Again | Ended::NobodyListens | Ended::Conflict(_) | Ended::Denied(_) => {
            let Session { wire, .. } = session;
            // Gone either way.
            let _ = timeout(Duration::from_secs(1), wire.close()).await;
        }
        _ => {}
    }
    ended
}

impl Session<'_> {
    async fn greet_and_serve(&mut self) -> Ended {
        if let Err(ended) = self.greet().await.and_then(|()| self.reconcile()) {
            return ended;
        }
        self.note_session();
        self.safe = SafeWatermarks::from(self.found.as_ref());
        self.serve().await
    }

    /// Steps 4 and 5, until the session ends.
    async fn serve(&mut self) -> Ended {
        loop {
            self.link.heartbeat.promise(TURN_MAX);
            if let Err(ended) = self.turn().await {
                return ended;
            }
            let due = self.due();
            self.link.heartbeat.will_wait(due.saturating_duration_since(Instant::now()));
            let stop = self.link.stop.given();
            tokio::select! {
                moved = self.wire.wait() => if let Err(error) = moved { return error.into() },
                _ = self.level.changed() => {}
                _ = self.health.changed() => self.status_due = self.status_due.min(Instant::now() + STATUS_PAUSE),
                verdict = finished(&mut self.storing) => self.judged(verdict),
                () = sleep_until(due) => {}
                () = stop => return Ended::Stopped,
            }
        }
    }

    /// Takes what arrived, says what is due, publishes what may be published.
    async fn turn(&mut self) -> Result<(), Ended> {
        self.taken = self.wire.taken();
        self.limit = self.limit_now();
        while let Some(arrived) = self.wire.arrived()? {
            self.handle(arrived)?;
        }
        self.count();
        let level = self.level.borrow_and_update().clone();
        if level.epoch != self.epoch || level.stream_id != Some(self.id) {
            return Err(Ended::Again);
        }
        let now = StdInstant::now();
        self.forward.skip_to(level.released, now, self.taken);
        self.weigh_stored(&level)?;
        self.settle_generation(&level)?;
        self.watch_feed(&level);
        self.keep_alive()?;
        self.tell_what_is_due(&level)?;
        self.publish(&level).await?;
        if self.forward.wants_ping() {
            self.ping();
            self.forward.pinged();
        }
        self.note_works(&level)?;
        if self.forward.is_overdue(StdInstant::now(), self.taken) {
            return Err(Ended::Silent(self.silent_text()));
        }
        if self.again.as_ref().and_then(Again::deadline).is_some_and(|deadline| deadline <= StdInstant::now()) {
            return Err(Ended::Silent("the broker does not acknowledge what is sent to it again".to_owned()));
        }
        Ok(())
    }

    /// When something is to be done without anything happening.
    fn due(&mut self) -> Instant {
        let now = Instant::now();
        let std = |at: Option<StdInstant>| at.map(Instant::from_std);
        let waits_for_room = self.wire.room() == 0;
        [
            (!waits_for_room).then_some(self.status_due),
            self.checkpoint_due.filter(|_| !waits_for_room),
            std(self.forward.deadline()),
            std(self.forward.tries_again()).filter(|_| self.forward.in_flight() == 0),
            std(self.feed_due()),
            std(self.again.as_ref().and_then(Again::due)).filter(|_| self.forward.next() > self.level.borrow().durable),
            std(self.again.as_ref().and_then(Again::deadline)),
            self.generation_due(),
            self.pong_due.map(|(due, _)| due),
        ]
        .into_iter()
        .flatten()
        .fold(self.ping_due, Instant::min)
        // Whatever cannot be done yet is looked at again soon, and not in a loop.
        .max(now + Duration::from_millis(5))
    }

    /// Takes one thing that arrived.
    pub(super) fn handle(&mut self, arrived: Arrived) -> Result<(), Ended> {
        match arrived {
            Arrived::Acknowledged(packet, outcome) => self.acknowledged(packet, outcome),
            Arrived::Message { topic, body } => self.take(&topic, body),
            Arrived::TooLarge { topic, bytes } => self.too_large(&topic, bytes),
            Arrived::Ponged => {
                self.pings = self.pings.saturating_sub(1);
                if self.pings == 0 {
                    self.pong_due = None;
                }
                self.forward.ponged(StdInstant::now(), self.taken);
                Ok(())
            }
            Arrived::Subscribed(..) | Arrived::Unsubscribed(_) => Ok(()),
        }
    }

    /// Waits until `done` says so of something that arrived, at most until `deadline`; everything is handled as always.
    pub(super) async fn until(
        &mut self,
        deadline: Instant,
        done: &mut (dyn FnMut(&Arrived) -> bool + Send),
    ) -> Result<bool, Ended> {
        loop {
            while let Some(arrived) = self.wire.arrived()? {
                let is_done = done(&arrived);
                self.handle(arrived)?;
                if is_done {
                    return Ok(true);
                }
            }
            if deadline <= Instant::now() {
                return Ok(false);
            }
            self.keep_alive()?;
            let wake = self.pong_due.map_or(self.ping_due, |(due, _)| due.min(self.ping_due)).min(deadline);
            self.link.heartbeat.promise(TURN_MAX + wake.saturating_duration_since(Instant::now()));
            let stop = self.link.stop.given();
            tokio::select! {
                moved = self.wire.wait() => moved?,
                () = sleep_until(wake) => {}
                () = stop => return Err(Ended::Stopped),
            }
        }
    }

    /// Waits as [`Session::until`], for as long as bytes move: a slow line needs its time, there and back.
    pub(super) async fn until_quiet(&mut self, done: &mut (dyn FnMut(&Arrived) -> bool + Send)) -> Result<bool, Ended> {
        let last = Instant::now() + ANSWER_MAX;
        loop {
            let taken = self.wire.taken();
            if self.until((Instant::now() + hello_timeout()).min(last), done).await? {
                return Ok(true);
            }
            let moves = self.wire.taken() > taken || self.wire.is_receiving();
            if !moves || Instant::now() >= last {
                return Ok(false);
            }
        }
    }

    /// Waits until the broker takes another publish.
    pub(super) async fn make_room(&mut self) -> Result<(), Ended> {
        while self.wire.room() == 0 {
            if !self.until_quiet(&mut |arrived| matches!(arrived, Arrived::Acknowledged(..))).await? {
                return Err(Ended::Silent(self.silent_text()));
            }
        }
        Ok(())
    }

    fn acknowledged(&mut self, packet: u16, outcome: Outcome) -> Result<(), Ended> {
        if self.own.remove(&packet) {
            let Outcome::Refused(refusal) = outcome else {
                return self.own_acknowledged(packet);
            };
            let below =
                if self.checkpoint_packet.is_some_and(|(of, _)| of == packet) { "checkpoint" } else { "status" };
            return Err(self.refused(below, None, &refusal));
        }
        let now = StdInstant::now();
        let of_event = self.forward.find(packet);
        let heard = outcome != Outcome::NobodyListens || !self.forward.needs_subscriber();
        let of_again = self.again.as_mut().is_some_and(|again| again.acknowledged(packet, heard, now));
        match outcome {
            Outcome::Taken => self.forward.acknowledged(packet, Word::Taken, now, self.taken),
            Outcome::NobodyListens => {
                // The broker is well: what ends the session now speaks against no event.
                self.doing(Doing::Nothing);
                self.forward.acknowledged(packet, Word::NobodyListens, now, self.taken);
            }
            Outcome::Refused(refusal) => {
                if let Some((number, bytes, event_type)) = of_event {
                    // A refusal by size is known for what it is.
                    if refusal.code == 0x95 {
                        self.memory.of(&self.name).takes_less_than(bytes, now);
                        return Err(Ended::Again);
                    }
                    return Err(self.refused(&format!("events/{}", event_type.name()), Some(number), &refusal));
                }
                if of_again {
                    self.again = None;
                }
            }
        }
        Ok(())
    }

    /// What a reason code means.
    pub(super) fn refused(&self, below: &str, number: Option<u64>, refusal: &Refusal) -> Ended {
        let topic = self.link.topic(below);
        let what = number.map_or_else(|| "a publish".to_owned(), |number| format!("event {number}"));
        match refusal.code {
            // What may pass by itself.
            0x89 | 0x93 | 0x96 | 0x97 => Ended::Silent(format!(
                "the broker refuses {what} on {topic} for now ({refusal}); it is tried again; let HQ look at the broker's \
                 limits for this login"
            )),
            _ => {
                Ended::Denied(format!("the broker refuses {what} on {topic} ({refusal}); {}", self.link.rights(below)))
            }
        }
    }

    fn take(&mut self, topic: &str, body: Bytes) -> Result<(), Ended> {
        if topic == self.link.topic("stored") {
            self.hear_stored(&body);
        } else if topic != self.link.topic("checkpoint") {
        } else if self.standing == Standing::Greeting {
            self.retained = Some(body);
        } else if self.standing != Standing::TakesOver && !self.link.by_hand {
            // What a broker says late is weighed at the beginning of the next session, where a new stream can begin.
            let again = |why: &str| Err(Ended::Wire(WireError::Lost(why.to_owned())));
            let Some(stream) = &self.stream else { return Ok(()) };
            match serde_json::from_slice::<Found>(&body) {
                Ok(found) if found.is_of(self.id) => {
                    let known = found.nonce.as_deref().is_none_or(|nonce| self.link.outbox.knows_nonce(nonce));
                    if found.acknowledged > self.level.borrow().durable || !known {
                        return again("the checkpoint is not this box's");
                    }
                }
                Ok(found) if found.generation >= stream.generation => {
                    return again("another box publishes for this outlet");
                }
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn too_large(&self, topic: &str, bytes: usize) -> Result<(), Ended> {
        if topic == self.link.topic("checkpoint") {
            return Err(greeting::unreadable(self.link, &format!("it has {bytes} bytes")));
        }
        if topic == self.link.topic("stored") {
            self.reject(&format!("it has {bytes} bytes"));
        }
        Ok(())
    }

    pub(super) fn hear_stored(&mut self, body: &[u8]) {
        // HQ takes its word back by clearing the retained one.
        if body.is_empty() {
            return;
        }
        match greeting::read_stored(body) {
            Ok(stored) => self.stored = Some(stored),
            Err(why) => self.reject(&why),
        }
    }

    /// Tells the store how far the broker's word counts.
    fn count(&mut self) {
        let cursor = self.forward.cursor();
        if cursor > self.level.borrow().acknowledged {
            let moved = cursor - self.level.borrow().acknowledged;
            self.link.outbox.acknowledge(self.epoch, cursor);
            self.broker_memory().moved(moved);
            self.note_worked();
        }
    }

    /// Whether the line works, and what the absence of a subscriber means.
    fn note_works(&mut self, level: &Level) -> Result<(), Ended> {
        let nothing_waits = level.undelivered(Acknowledge::Broker) == 0;
        if nothing_waits {
            self.note_worked();
        }
        let nobody = self.forward.tries_again().is_some();
        if !nobody && (nothing_waits || self.forward.has_opened()) {
            if !std::mem::replace(&mut self.heard, true) {
                self.link.health.clear(Condition::NobodyListens, "", self.link.clock.now());
            }
        } else if nobody {
            self.heard = false;
            self.note_worked();
            let text = format!(
                "hq {}: nobody subscribes to {topic}, the broker says (MQTT 5, 0x10): {} events are kept here; let HQ's feed \
                 subscribe to {}",
                self.broker,
                level.undelivered(self.link.hq.acknowledge),
                self.link.topic("events/+"),
                topic = self
                    .forward
                    .first_type()
                    .map_or_else(|| self.link.topic("events/+"), |it| self.topics[it as usize].clone()),
            );
            self.link.health.raise(Condition::NobodyListens, "", &text, self.link.clock.now());
            let tried = self.begun + NOBODY_MAX / pace();
            if self.link.hq.brokers.len() > 1 && tried <= Instant::now() {
                return Err(Ended::NobodyListens);
            }
        }
        Ok(())
    }

    fn note_worked(&mut self) {
        if std::mem::replace(self.worked, true) {
            return;
        }
        self.link.works();
        // A line that flaps would fill the journal: later sessions are told by the condition that is over.
        if !std::mem::replace(&mut self.memory.has_worked, true) {
            let version = self.wire.version().name();
            tracing::info!(broker = %self.broker, version, "mqtt: connected, and publishes are taken");
        }
    }

    /// Tells everyone which session runs.
    fn note_session(&self) {
        let version = self.wire.version();
        let hq = &self.link.hq;
        let takes_bare_word =
            version == Version::V311 && hq.acknowledge == Acknowledge::Broker && hq.echo == Echo::None;
        self.link.health.update(|facts| {
            facts.broker = Some(self.name.clone());
            facts.session = Some(self.nonce.to_owned());
            facts.protocol = Some(version.name());
            facts.unproven_echo = takes_bare_word;
            facts.checkpoint_found = self.standing == Standing::Confirmed;
        });
    }

    /// Sends a ping; who waits for its answer is the caller's.
    pub(super) fn ping(&mut self) {
        self.wire.ping();
        self.pings += 1;
        let now = Instant::now();
        self.ping_due = now + self.keep_alive;
        self.pong_due.get_or_insert((now + self.keep_alive, self.wire.taken()));
    }

    fn keep_alive(&mut self) -> Result<(), Ended> {
        let now = Instant::now();
        if let Some((due, taken_then)) = self.pong_due
            && due <= now
        {
            let heard = Instant::from_std(self.wire.heard()) + self.keep_alive > now;
            let takes = self.wire.taken().saturating_sub(taken_then) >= 1_024 * self.keep_alive.as_secs();
            if !heard && !takes {
                return Err(WireError::Lost("the broker has not answered a ping".to_owned()).into());
            }
            self.pong_due = Some((now + self.keep_alive, self.wire.taken()));
        }
        if self.ping_due <= now {
            self.ping();
            if !self.forward.waits_for_pong() {
                self.forward.pinged();
            }
        }
        Ok(())
    }

    fn silent_text(&self) -> String {
        self.silent_text_of(self.forward.cursor() + 1, self.forward.first_type().unwrap_or(EventType::Transaction))
    }

    /// What it means that an event is not acknowledged.
    pub(super) fn silent_text_of(&self, number: u64, event_type: EventType) -> String {
        let below = format!("events/{}", event_type.name());
        format!(
            "the broker is there and does not acknowledge event {number} on {topic}, which it has had for a minute: it may \
             deny that topic, or messages of its size, or be throttled; {}, and look at the broker's limits",
            self.link.rights(&below),
            topic = self.link.topic(&below),
        )
    }

    /// Hands HQ's word to the store.
    fn weigh_stored(&mut self, level: &Level) -> Result<(), Ended> {
        if self.storing.is_some() {
            return Ok(());
        }
        let Some(stored) = self.stored.take() else { return Ok(()) };
        self.heed(&stored)?;
        if self.link.hq.acknowledge != Acknowledge::Feed {
            // It lets nothing go here; that it can be read is all.
            self.link.health.clear(Condition::StoredRejected, "", self.link.clock.now());
            return Ok(());
        }
        if stored.stream.is_empty() || stored.through == 0 {
            return Ok(());
        }
        let Some(stream) = StreamId::parse(&stored.stream) else {
            self.reject("its stream is no stream's id");
            return Ok(());
        };
        let Some(chain) = stored.chain else {
            self.reject("it has no chain");
            return Ok(());
        };
        if stream == self.id && stored.through > level.durable {
            self.reject(&format!("it speaks of event {}, and the last one is {}", stored.through, level.durable));
            return Ok(());
        }
        let outbox = Arc::clone(&self.link.outbox);
        self.storing = Some(tokio::task::spawn_blocking(move || outbox.stored(stream, stored.through, chain)));
        Ok(())
    }

    fn judged(&mut self, verdict: Result<StoredVerdict, OutboxError>) {
        self.storing = None;
        let now = self.link.clock.now();
        match verdict {
            Ok(StoredVerdict::Released | StoredVerdict::Stale) => {
                self.link.health.clear(Condition::StoredRejected, "", now);
            }
            Ok(StoredVerdict::OtherStream) => {}
            Ok(StoredVerdict::TooHigh) => self.reject("it speaks of events that are not there"),
            Ok(StoredVerdict::Forged) => self.reject("its chain is not that of the events that were sent"),
            Err(error) => self.link.health.raise(Condition::StoreFailed, "", &error.to_string(), now),
        }
    }

    pub(super) fn reject(&self, why: &str) {
        let text = format!("HQ's word on {} is not believed: {why}; nothing is removed", self.link.topic("stored"));
        self.link.health.raise(Condition::StoredRejected, "", &text, self.link.clock.now());
    }

    /// Whether an acknowledgement came in this session.
    pub(super) fn has_moved(&self) -> bool {
        *self.worked && self.forward.cursor() > self.began_at
    }

    /// What is remembered of this broker.
    pub(super) fn broker_memory(&mut self) -> &mut BrokerMemory {
        self.memory.of(&self.name)
    }

    /// Says what this session is doing, in case it ends.
    pub(super) fn doing(&mut self, doing: Doing) {
        self.broker_memory().doing = doing;
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
