//! What leaves: events in order, each within what this broker takes and on a topic that is proven where that is needed;
//! and behind them what goes out again.
//!
//! With MQTT 3.1.1 and `acknowledge = "broker"` a topic is proven by a `hello` on it that came back, once per connection
//! and in steps of size, sent only when a larger event waits; then the box unsubscribes, so that it holds no subscription
//! of its own on a topic while acknowledgements of it count.

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    time::{Duration, Instant as StdInstant},
};

use super::{
    TURN_MAX,
    ended::Ended,
    memory::Doing,
    nonce, pace,
    session::{Session, Standing},
    wire::{Arrived, Outcome, Version},
};
use crate::{
    config::Acknowledge,
    event::{Event, EventType, Stream},
    forward::DEADLINE,
    health::Condition,
    instant,
    outbox::{Level, lighten},
    status,
};

/// Events that are read from the store ahead of the window.
const READ_AHEAD: usize = 256;

/// Sizes at which a topic is proven; above them the event's own.
const STEPS: [usize; 3] = [4 * 1024, 16 * 1024, 64 * 1024];

/// Bytes of a packet beside topic and body: header, packet id, lengths.
const PACKET_OVERHEAD_BYTES: usize = 16;

/// What a broker forgot goes out again this long after that was noticed.
const RESEND_AFTER: Duration = Duration::from_secs(60);

/// What goes out again and nobody hears is tried once more after this …
const UNHEARD_FIRST: Duration = Duration::from_secs(5);

/// … and later after this at most.
const UNHEARD_LONGEST: Duration = Duration::from_secs(60);

/// Events that go out again and were not acknowledged yet, at most.
const AGAIN_MAX: usize = 16;

/// How an event that waits for its turn leaves.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) number: u64,
    pub(super) event_type: EventType,
    pub(super) body: Vec<u8>,
    /// Bytes of the whole packet, about.
    pub(super) bytes: usize,
}

/// Up to which size a topic is proven on this connection.
#[derive(Debug, Default)]
pub(super) struct Proven(BTreeMap<EventType, usize>);

impl Proven {
    fn covers(&self, event_type: EventType, bytes: usize) -> bool {
        self.0.get(&event_type).is_some_and(|&proven| proven >= bytes)
    }

    fn add(&mut self, event_type: EventType, bytes: usize) {
        let proven = self.0.entry(event_type).or_default();
        *proven = bytes.max(*proven);
    }
}

/// What became of a hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// It was acknowledged, the broker answers behind it, and it came back where that was asked.
    Passed,
    /// It was acknowledged, the broker answers behind it, and it did not come back; or it was refused for its size.
    NotReturned,
    /// It was not acknowledged, or nothing was answered behind it.
    Unanswered,
}

/// Events that go out again behind live ones, with their numbers: what a broker forgot, or what HQ is asked with.
#[derive(Debug)]
pub(super) struct Again {
    next: u64,
    through: u64,
    /// Packets that were not acknowledged yet, and their numbers.
    waiting: BTreeMap<u16, u64>,
    /// Nobody subscribed: not before this, and how long to wait then.
    not_before: Option<StdInstant>,
    wait: Duration,
    /// When something of it last left or was acknowledged.
    since: Option<StdInstant>,
    /// It is what a broker forgot.
    forgotten: bool,
}

impl Again {
    /// A range; none if it is empty.
    pub(super) fn of(from: u64, through: u64, forgotten: bool) -> Option<Self> {
        (from <= through).then(|| Self {
            next: from,
            through,
            waiting: BTreeMap::new(),
            // Whoever reads there has lost its session as well, and comes back.
            not_before: forgotten.then(|| StdInstant::now() + RESEND_AFTER / pace()),
            wait: UNHEARD_FIRST,
            since: None,
            forgotten,
        })
    }

    fn is_done(&self) -> bool {
        self.next > self.through && self.waiting.is_empty()
    }

    /// The broker's word about a packet; false if it was none of these. What nobody heard goes out once more, later.
    pub(super) fn acknowledged(&mut self, packet: u16, heard: bool, now: StdInstant) -> bool {
        let Some(number) = self.waiting.remove(&packet) else { return false };
        self.since = Some(now);
        if heard {
            self.wait = UNHEARD_FIRST;
        } else {
            self.next = self.next.min(number);
            // Of those that left together one counts.
            if self.not_before.is_none_or(|at| at <= now) {
                self.not_before = Some(now + self.wait / pace());
                self.wait = (self.wait * 2).min(UNHEARD_LONGEST);
            }
        }
        true
    }

    /// What of it is still to be sent to a broker that forgot it.
    pub(super) fn rest(&self) -> Option<(u64, u64)> {
        let next = self.waiting.values().copied().min().map_or(self.next, |waiting| waiting.min(self.next));
        (self.forgotten && next <= self.through).then_some((next, self.through))
    }

    /// Until when something of it must have been acknowledged.
    pub(super) fn deadline(&self) -> Option<StdInstant> {
        self.since.filter(|_| !self.waiting.is_empty()).map(|since| since + DEADLINE / pace())
    }

    /// When more of it may leave.
    pub(super) fn due(&self) -> Option<StdInstant> {
        self.not_before.filter(|_| self.waiting.is_empty())
    }
}

impl Session<'_> {
    /// Publishes as many events as the window takes.
    pub(super) async fn publish(&mut self, level: &Level) -> Result<(), Ended> {
        let Some(stream) = self.stream.clone() else { return Ok(()) };
        // An outlet that is taken back gets its new stream before what came after the order.
        let last = level
            .take_over
            .filter(|_| self.standing == Standing::TakesOver)
            .map_or(level.durable, |last| last.min(level.durable));
        let waits = self.forward.next() <= last;
        if !waits && self.again.is_none() {
            return Ok(());
        }
        if self.standing == Standing::Unconfirmed && !self.link.by_hand {
            self.confirm().await?;
        }
        if waits {
            self.examine().await?;
        }
        let careful = self.broker_memory().is_careful();
        let mut room = self.forward.room(StdInstant::now()).min(self.wire.room());
        if careful {
            room = room.min(usize::from(self.forward.in_flight() == 0));
        }
        while room > 0 && self.forward.next() <= last {
            if !self.make_ready(&stream)? {
                return Ok(());
            }
            let Some(&Ready { number, event_type, bytes, .. }) = self.ready.as_ref() else { return Ok(()) };
            if !self.forward.takes(bytes) {
                break;
            }
            self.prove_for(number, event_type, bytes).await?;
            let Some(ready) = self.ready.take() else { return Ok(()) };
            if !self.has_moved() {
                self.doing(if careful { Doing::Alone(number, event_type, bytes) } else { Doing::Publishing });
            } else if careful {
                self.doing(Doing::Alone(number, event_type, bytes));
            }
            let packet = self.wire.publish(&self.topics[ready.event_type as usize], ready.body, false)?;
            // Each is progress by itself on a line that is slow enough.
            self.link.heartbeat.promise(TURN_MAX);
            self.forward.published(packet, event_type, bytes, StdInstant::now(), self.taken);
            room -= 1;
        }
        if self.forward.next() > last {
            self.publish_again(&stream).await?;
        }
        Ok(())
    }

    /// Prepares the next event; false if none can be read.
    fn make_ready(&mut self, stream: &Stream) -> Result<bool, Ended> {
        let next = self.forward.next();
        if self.ready.as_ref().is_some_and(|ready| ready.number == next) {
            return Ok(true);
        }
        if self.read_ahead.front().is_none_or(|event| event.sequence != next) {
            self.read_ahead = self.link.outbox.read(self.epoch, next - 1, READ_AHEAD)?.into();
        }
        let Some(event) = self.read_ahead.pop_front() else { return Ok(false) };
        if event.sequence != next {
            // HQ's word has released those between, and they are gone.
            self.forward.skip_to(event.sequence - 1, StdInstant::now(), self.taken);
            self.read_ahead.push_front(event);
            return Ok(false);
        }
        self.ready = Some(self.prepare(event, stream)?);
        Ok(true)
    }

    /// An event as a packet that this broker takes.
    fn prepare(&mut self, mut event: Event, stream: &Stream) -> Result<Ready, Ended> {
        let event_type = event.draft.event_type;
        let topic = &self.topics[event_type as usize];
        let beside = topic.len() + PACKET_OVERHEAD_BYTES;
        let mut body = event.envelope(stream);
        let limit = self.limit;
        let whole = body.len() + beside;
        if whole > limit {
            let data_max = limit.saturating_sub(whole - event.draft.data.len());
            let lighter =
                (event_type == EventType::Transaction).then(|| lighten(&event.draft.data, data_max)).flatten();
            let Some(lighter) = lighter else {
                return Err(Ended::Denied(format!(
                    "event {} on {topic} has {whole} bytes, and the broker takes {limit}, which is less than the event needs \
                     without its items; let HQ raise the broker's limit for one message to {} bytes",
                    event.sequence, self.link.hq.event_max_bytes,
                )));
            };
            event.draft.data = lighter;
            body = event.envelope(stream);
            self.tell_reduced(event.sequence, whole, limit);
        }
        let bytes = body.len() + beside;
        Ok(Ready { number: event.sequence, event_type, body, bytes })
    }

    /// Bytes of the largest packet that this broker takes: by its word, by what was found out, and by the config.
    pub(super) fn limit_now(&mut self) -> usize {
        let told =
            self.wire.welcome().packet_max_bytes.map_or(usize::MAX, |bytes| bytes.try_into().unwrap_or(usize::MAX));
        let found_out = self.broker_memory().limit(StdInstant::now()).unwrap_or(usize::MAX);
        let topic = self.topics[EventType::Transaction as usize].len();
        told.min(found_out).min(self.link.hq.event_max_bytes + topic + PACKET_OVERHEAD_BYTES)
    }

    fn tell_reduced(&mut self, number: u64, bytes: usize, limit: usize) {
        let text = format!(
            "hq {}: event {number} has {bytes} bytes, and the broker takes {limit}: it goes there without its items, and this \
             box keeps the whole one until it is delivered; let HQ raise the broker's limit for one message to {} bytes",
            self.broker, self.link.hq.event_max_bytes
        );
        let is_new = self.memory.reduced.is_none_or(|(told, _)| told < number);
        self.memory.reduced = Some((number, StdInstant::now()));
        self.link.notice_and_raise(Condition::EventReduced, &text, is_new);
    }

    /// Proves a topic for events of a size, where the broker's word needs that.
    async fn prove_for(&mut self, number: u64, event_type: EventType, bytes: usize) -> Result<(), Ended> {
        if !self.needs_echo() || self.proven.covers(event_type, bytes) {
            return Ok(());
        }
        let limit = self.limit;
        let step = STEPS.into_iter().find(|step| *step >= bytes).map_or(bytes, |step| step.min(limit.max(bytes)));
        let exact = self.broker_memory().exact || step == bytes;
        for size in [step, bytes].into_iter().skip(usize::from(exact)) {
            self.doing(if size > bytes { Doing::Step } else { Doing::Alone(number, event_type, bytes) });
            match self.prove(event_type, size, true).await? {
                Proof::Passed => {
                    self.doing(Doing::Nothing);
                    self.proven.add(event_type, size);
                    return Ok(());
                }
                // The line may be at fault: that counts only if it is so again and again.
                Proof::Unanswered => return Err(Ended::Silent(self.silent_text_of(number, event_type))),
                Proof::NotReturned => self.doing(Doing::Nothing),
            }
        }
        match self.prove(event_type, 0, true).await? {
            Proof::Passed => {
                self.broker_memory().takes_less_than(bytes, StdInstant::now());
                Err(Ended::Again)
            }
            Proof::Unanswered => Err(Ended::Silent(self.silent_text_of(number, event_type))),
            Proof::NotReturned => Err(Ended::Denied(self.no_echo(&format!("events/{}", event_type.name()), 0))),
        }
    }

    /// Looks into the event at which an earlier session ended: does a small publish pass here, and one of its size?
    async fn examine(&mut self) -> Result<(), Ended> {
        let next = self.forward.next();
        let Some(suspect) = self.broker_memory().suspect(next).filter(|_| !self.examined) else { return Ok(()) };
        self.doing(Doing::Small);
        if self.prove(suspect.event_type, 0, false).await? != Proof::Passed {
            return Err(Ended::Silent(self.silent_text_of(next, suspect.event_type)));
        }
        self.broker_memory().small_passed();
        if self.prove(suspect.event_type, suspect.bytes, false).await? != Proof::Passed {
            return Err(Ended::Silent(self.silent_text_of(next, suspect.event_type)));
        }
        self.broker_memory().large_passed();
        self.examined = true;
        Ok(())
    }

    /// Whether a `hello` of about this many bytes passes on the topic of an event type: it is acknowledged, the broker goes
    /// on answering behind it, and it comes back where that is asked.
    async fn prove(&mut self, event_type: EventType, bytes: usize, echo: bool) -> Result<Proof, Ended> {
        self.make_room().await?;
        let below = format!("events/{}", event_type.name());
        let topic = self.link.topic(&below);
        if echo {
            self.subscribe_to(&below, topic.clone()).await?;
        }
        let nonce = nonce();
        let body =
            status::hello(&self.link.outlet.id, &nonce, bytes.saturating_sub(topic.len() + PACKET_OVERHEAD_BYTES));
        let packet = self.wire.publish(&topic, body, false)?;
        let (mut acknowledged, mut returned, mut refused) = (false, !echo, None);
        let passed = self
            .until_quiet(&mut |arrived| {
                match arrived {
                    Arrived::Acknowledged(of, outcome) if *of == packet => {
                        acknowledged = true;
                        if let Outcome::Refused(refusal) = outcome {
                            refused = Some(refusal.clone());
                        }
                    }
                    Arrived::Message { topic: of, body } if *of == topic => {
                        returned |= String::from_utf8_lossy(body).contains(&nonce);
                    }
                    _ => {}
                }
                refused.is_some() || acknowledged && returned
            })
            .await?;
        match refused {
            Some(refusal) if refusal.code == 0x95 => return Ok(Proof::NotReturned),
            Some(refusal) => return Err(self.refused(&below, None, &refusal)),
            None => {}
        }
        if echo {
            let packet = self.wire.unsubscribe(topic)?;
            let mut ended = |arrived: &Arrived| matches!(arrived, Arrived::Unsubscribed(of) if *of == packet);
            self.until_quiet(&mut ended).await?;
        }
        if !acknowledged {
            return Ok(Proof::Unanswered);
        }
        if self.wire.version() == Version::V311 {
            // Some acknowledge what they deny, and close then.
            self.ping();
            let mut pongs = self.pings;
            let answers = self
                .until_quiet(&mut |arrived| {
                    pongs = pongs.saturating_sub(u32::from(matches!(arrived, Arrived::Ponged)));
                    pongs == 0
                })
                .await?;
            if !answers {
                return Ok(Proof::Unanswered);
            }
        }
        Ok(if passed { Proof::Passed } else { Proof::NotReturned })
    }

    /// Publishes what goes out again, a little at a time.
    async fn publish_again(&mut self, stream: &Stream) -> Result<(), Ended> {
        let Some(mut again) = self.again.take() else { return Ok(()) };
        if again.not_before.is_some_and(|at| StdInstant::now() < at || !again.waiting.is_empty()) {
            self.again = Some(again);
            return Ok(());
        }
        // The box's own words need a place, where the broker takes more than one publish at once.
        let spare = usize::from(self.wire.welcome().receive_max != Some(1));
        if self.wire.room() <= spare {
            self.again = Some(again);
            return Ok(());
        }
        if again.forgotten && again.not_before.take().is_some() {
            // What left since may have met nobody, either.
            again.through = again.through.max(self.forward.cursor());
            self.link.outbox.note_resent(&self.name, self.link.clock.now())?;
        }
        again.not_before = None;
        while again.next <= again.through && again.waiting.len() < AGAIN_MAX && self.wire.room() > spare {
            let events = self.link.outbox.read(self.epoch, again.next - 1, AGAIN_MAX)?;
            let Some(first) = events.first().map(|event| event.sequence) else { break };
            // What HQ released meanwhile is gone.
            again.next = again.next.max(first);
            for event in events {
                if event.sequence > again.through || again.waiting.len() >= AGAIN_MAX || self.wire.room() <= spare {
                    break;
                }
                let ready = self.prepare(event, stream)?;
                self.prove_for(ready.number, ready.event_type, ready.bytes).await?;
                again.waiting.insert(
                    self.wire.publish(&self.topics[ready.event_type as usize], ready.body, false)?,
                    ready.number,
                );
                again.next = ready.number + 1;
                again.since = Some(StdInstant::now());
            }
        }
        if !again.is_done() {
            self.again = Some(again);
        }
        Ok(())
    }

    /// What the feed's silence means: it is asked, a person is told, and once it answers all goes out again.
    pub(super) fn watch_feed(&mut self, level: &Level) {
        if self.link.hq.acknowledge != Acknowledge::Feed || self.stream.is_none() {
            return;
        }
        let now = StdInstant::now();
        let acknowledged = self.forward.cursor().max(level.acknowledged);
        if let Some(all) = self.memory.feed.learn(acknowledged, level.released, now) {
            self.send_again(&all);
        }
        if self.again.is_none() && self.memory.feed.due().is_some_and(|due| due <= now) {
            let asked = self.memory.feed.ask(acknowledged, now);
            tracing::debug!(?asked, "mqtt: HQ does not say that it stored these: they are sent again");
            self.send_again(&asked);
        }
        self.tell_silence(level, acknowledged, now);
    }

    fn send_again(&mut self, events: &RangeInclusive<u64>) {
        if self.again.as_ref().is_none_or(|again| !again.forgotten) {
            self.again = Again::of(*events.start(), *events.end(), false);
        }
    }

    fn tell_silence(&mut self, level: &Level, acknowledged: u64, now: StdInstant) {
        let at = self.link.clock.now();
        let (waits, silent) = (self.memory.feed.since(), self.memory.feed.silent(now).is_some());
        let told = (true, waits.map(|since| (since, silent)));
        if self.told_silence == told {
            return;
        }
        self.told_silence = told;
        let since = waits.map(|since| at - (now.saturating_duration_since(since)));
        self.link.health.update(|facts| facts.feed_waits_since = since);
        let silent = silent.then(|| {
            format!(
                "hq {}: the broker has {} events that headquarters has not confirmed since {}: start HQ's feed for this \
                 outlet, or let this login read its word (Mosquitto: `topic read {}`); nothing is forgotten here before that",
                self.broker,
                acknowledged.saturating_sub(level.released),
                since.map_or_else(String::new, instant::text_utc),
                self.link.topic("stored")
            )
        });
        self.link.health.set(Condition::FeedSilent, "", silent.as_deref(), at);
    }

    /// When something about the feed is due.
    pub(super) fn feed_due(&self) -> Option<StdInstant> {
        if self.link.hq.acknowledge != Acknowledge::Feed || self.stream.is_none() {
            return None;
        }
        let now = StdInstant::now();
        let asks = self.memory.feed.due().filter(|_| self.again.is_none());
        let tells = self.memory.feed.silent_from().filter(|at| *at > now);
        [asks, tells].into_iter().flatten().min()
    }
}
