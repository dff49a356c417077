//! The line to HQ.
//!
//! One task owns it. It tries the configured brokers in turn, runs one [`session`] on each connection, and waits with
//! jitter between attempts; what is refused is tried again slowly, and nothing is lost meanwhile: the store is the queue.
//! Only what was delivered counts as a line that works: a broker that greets and then takes nothing is as good as none.
//!
//! - [`wire`] is one connection, packet by packet, over rumqttc's codecs;
//! - `greeting` finds out what this broker remembers, and what that means for the store's stream;
//! - `session` publishes: events (`publishing`), and the box's own words (`telling`);
//! - `memory` concludes from how sessions ended, `feed` from what HQ says.

mod codec;
mod dial;
mod ended;
mod feed;
mod generation;
mod greeting;
mod memory;
mod publishing;
mod queued;
pub mod session;
mod telling;
#[cfg(test)]
mod tests;
pub mod wire;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use ring::rand::{SecureRandom, SystemRandom};

use self::{
    ended::Ended,
    memory::{Memory, Verdict},
    wire::{Connect, Wire, WireError},
};
use crate::{
    checkpoint::reach::Reach,
    clock::Clock,
    config::{Broker, Hq, Outlet},
    forward::reconnect_after,
    health::{Condition, Health},
    notice::Notice,
    outbox::Outbox,
    status,
    stop::Stop,
    tls::{self, TlsError},
    watchdog::Heartbeat,
};

/// One thing on the line is over within this: connecting, the greeting, a turn of the session between two waits. Each
/// write has a time-out of its own, and what the store adds is short.
const TURN_MAX: Duration = Duration::from_secs(180);

/// A box that another one disputes the outlet with looks this often whether it is gone.
const CONFLICT_WAIT: Duration = Duration::from_secs(600);

/// A clock agrees with another one that shows so much more or less.
const CLOCK_AGREES_S: i64 = 300;

/// Years that a right clock can show: from this version's to ten years later.
const PLAUSIBLE_YEARS: std::ops::RangeInclusive<i32> = 2026..=2036;

/// What is known to be wrong at a broker that is there. While one of these holds, `hq_unreachable` is told only once
/// connections cannot even be made, [`memory::STRIKES`] times in a row at whichever broker.
const KNOWN_CAUSES: [Condition; 6] = [
    Condition::HqRefused,
    Condition::PublishDenied,
    Condition::BrokerUnfit,
    Condition::OutletConflict,
    Condition::NotAcknowledged,
    Condition::LinkFailed,
];

/// What the task works with.
pub struct Link {
    /// The brokers and how to behave.
    pub hq: Hq,
    /// The outlet.
    pub outlet: Outlet,
    /// What is to be sent.
    pub outbox: Arc<Outbox>,
    /// Where everything is reported.
    pub health: Arc<Health>,
    /// The outlet's time.
    pub clock: Clock,
    /// The word to stop.
    pub stop: Stop,
    /// A successor reads again from its predecessor's watermarks less this.
    pub rescan_horizon: TimeDelta,
    /// How far back each connection is read.
    pub reaches: BTreeMap<String, Reach>,
    /// Shows that the line moves.
    pub heartbeat: Heartbeat,
    /// A person sends what a store holds that no daemon has: its clock is believed, and no word but the events leaves, so
    /// that another box of that outlet is not disturbed. What the store holds never wins over what that one told.
    pub by_hand: bool,
    /// Describes the box, for `status`.
    pub describe: Box<dyn Fn() -> status::Description + Send + Sync>,
}

/// How an attempt went.
struct Attempt {
    ended: Ended,
    /// The line worked: an event was acknowledged, or there was none to send.
    worked: bool,
}

impl Link {
    /// Forwards until the word to stop.
    ///
    /// # Errors
    /// The TLS files of the config cannot be used.
    pub async fn run(self) -> Result<(), TlsError> {
        let needs_tls = self.hq.brokers.iter().any(|broker| broker.tls);
        let identity = self.hq.client_certificate.as_deref().zip(self.hq.client_key_file.as_deref());
        let tls = if needs_tls { Some(tls::client(self.hq.ca_certificate.as_deref(), identity)?) } else { None };
        let mut memory = Memory::new(nonce(), pace());
        let (mut attempt, mut wait, mut in_conflict) = (0, Duration::ZERO, false);
        for broker in self.hq.brokers.clone().iter().cycle() {
            if !wait.is_zero() {
                self.heartbeat.will_wait(wait);
                let mut level = self.outbox.watch();
                let may_be_ordered = in_conflict && level.borrow().take_over.is_none();
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    _ = level.wait_for(|level| level.take_over.is_some()), if may_be_ordered => {}
                    () = self.stop.given() => {}
                }
            }
            if self.stop.is_given() {
                break;
            }
            self.heartbeat.promise(TURN_MAX);
            let Attempt { ended, worked } = self.attempt(broker, tls.clone(), &mut memory).await;
            self.health.update(|facts| (facts.hq_ready, facts.protocol) = (false, None));
            let ended = self.conclude(broker, ended, &mut memory);
            let slow = self.report(broker, &ended, memory.unopened);
            attempt = if worked { 1 } else { attempt + 1 };
            in_conflict = matches!(ended, Ended::Conflict(_));
            wait = match ended {
                Ended::Stopped => break,
                // A stream that begins again and again is slowed down like everything else.
                Ended::Again | Ended::NobodyListens if worked || attempt < 3 => Duration::ZERO,
                Ended::Conflict(_) => CONFLICT_WAIT / pace(),
                _ => reconnect_after(attempt - 1, slow, chance()) / pace(),
            };
        }
        Ok(())
    }

    /// One connection from the login to its end. A panic in it costs this session, and nothing else.
    async fn attempt(&self, broker: &Broker, tls: Option<Arc<rustls::ClientConfig>>, memory: &mut Memory) -> Attempt {
        let mut worked = false;
        let caught = {
            let mut session = pin!(self.connect_and_run(broker, tls, memory, &mut worked));
            std::future::poll_fn(move |context| {
                match catch_unwind(AssertUnwindSafe(|| session.as_mut().poll(context))) {
                    Ok(Poll::Pending) => Poll::Pending,
                    Ok(Poll::Ready(ended)) => Poll::Ready(Some(ended)),
                    Err(_) => Poll::Ready(None),
                }
            })
            .await
        };
        let Some(ended) = caught else {
            let text =
                "the line to HQ ended by a fault of this program, and is made again; report the journal to its makers";
            self.health.raise(Condition::LinkFailed, "", text, self.clock.now());
            return Attempt {
                ended: Ended::Wire(WireError::Lost("a fault of this program".to_owned())),
                worked: false,
            };
        };
        Attempt { ended, worked }
    }

    async fn connect_and_run(
        &self,
        broker: &Broker,
        tls: Option<Arc<rustls::ClientConfig>>,
        memory: &mut Memory,
        worked: &mut bool,
    ) -> Ended {
        let nonce = nonce();
        let connect = Connect {
            broker: broker.clone(),
            // Another box of this outlet may be on the line.
            client_id: if self.by_hand { format!("{}-move", self.outlet.client_id()) } else { self.outlet.client_id() },
            login: self.hq.username.clone().map(|name| (name, self.hq.password.clone())),
            tls: tls.filter(|_| broker.tls),
            keep_alive: self.hq.keep_alive,
            last_will: (!self.by_hand).then(|| (self.topic("status"), status::lost(&(self.describe)(), &nonce))),
        };
        let known = memory.of(&broker.to_string());
        let version = known.version(Instant::now());
        let opened = tokio::select! {
            opened = Wire::open(connect.clone(), self.hq.protocol, version) => opened,
            () = self.stop.given() => return Ended::Stopped,
        };
        known.logins_hung_up = if matches!(opened, Err(WireError::HungUp(_))) { known.logins_hung_up + 1 } else { 0 };
        let hung_up = known.logins_hung_up >= memory::STRIKES;
        memory.opens(!matches!(opened, Err(WireError::Lost(_))));
        if memory.unopened == 0 {
            // It is there, whatever it says then.
            self.health.update(|facts| facts.broker = Some(broker.to_string()));
        }
        match opened {
            Ok(wire) => session::run(self, wire, broker, &nonce, memory, worked).await,
            Err(WireError::HungUp(text)) if hung_up => {
                memory.of(&broker.to_string()).logins_hung_up = 0;
                self.try_without_will(connect, text).await
            }
            Err(error) => error.into(),
        }
    }

    /// A broker of MQTT 3.1.1 that takes no retained messages cannot say so: it hangs up at a login with such a last will;
    /// and some hang up at one by MQTT 5.
    async fn try_without_will(&self, connect: Connect, text: String) -> Ended {
        let only_311 = tokio::select! {
            only_311 = Wire::speaks_only_311(connect.clone(), self.hq.protocol) => only_311,
            () = self.stop.given() => return Ended::Stopped,
        };
        if only_311 {
            return WireError::only_311().into();
        }
        let opened = tokio::select! {
            opened = Wire::open(Connect { last_will: None, ..connect }, self.hq.protocol, None) => opened,
            () = self.stop.given() => return Ended::Stopped,
        };
        let Ok(wire) = opened else { return WireError::HungUp(text).into() };
        wire.close().await;
        WireError::Unfit(
            "the broker hangs up at a login with a retained last will, and takes one without: it retains no messages, or \
             takes no last wills; let it do both, or use a broker that does"
                .to_owned(),
        )
        .into()
    }

    /// An event was acknowledged, or there is none to send: the line works.
    fn works(&self) {
        let now = self.clock.now();
        for condition in [
            Condition::HqUnreachable,
            Condition::HqRefused,
            Condition::PublishDenied,
            Condition::NotAcknowledged,
            Condition::BrokerUnfit,
            Condition::OutletConflict,
            Condition::LinkFailed,
        ] {
            self.health.clear(condition, "", now);
        }
        self.health.update(|facts| facts.hq_ready = true);
    }

    /// The present moment, if something else than this box's clock confirms it: the kernel by a time service, or a point
    /// of sale.
    fn proven_now(&self) -> Option<DateTime<Utc>> {
        let now = self.clock.now();
        let told = self.health.facts();
        let differences = told.connections.values().filter_map(|connection| connection.clock_difference_s);
        let agrees = differences.into_iter().any(|seconds| seconds.abs() <= CLOCK_AGREES_S);
        let confirmed = agrees || self.by_hand || self.clock.is_synchronised();
        (confirmed && PLAUSIBLE_YEARS.contains(&now.year())).then_some(now)
    }

    /// What the end of a session means together with those before it.
    fn conclude(&self, broker: &Broker, ended: Ended, memory: &mut Memory) -> Ended {
        if let Ended::Wire(WireError::TakenOver(text)) = &ended
            && memory.taken_over(Instant::now())
        {
            // The other box may have no line of its own by which to say it.
            self.notice(Condition::OutletConflict.code(), &format!("hq {broker}: {text}"));
        }
        let lost = matches!(ended, Ended::Wire(WireError::Lost(_)) | Ended::Silent(_));
        let broker = memory.of(&broker.to_string());
        if !lost {
            broker.left();
            return ended;
        }
        match broker.ended(Instant::now()) {
            None => ended,
            Some(Verdict::Denied(below)) => Ended::Denied(format!(
                "the broker takes no publish on {topic}: it ends the connection or says nothing, even at a small one; {}",
                self.rights(&below),
                topic = self.topic(&below),
            )),
            Some(Verdict::Unreadable(below)) => Ended::Denied(format!(
                "the broker ends the connection at a subscription to {topic}; {}",
                self.rights_to_read(&below),
                topic = self.topic(&below),
            )),
            Some(Verdict::TooLarge { bytes }) => {
                tracing::warn!(bytes, "mqtt: this broker takes smaller messages, and none of this size");
                Ended::Again
            }
            Some(Verdict::Event { number, event_type }) => {
                let topic = self.topic(&format!("events/{}", event_type.name()));
                Ended::Denied(format!(
                    "the broker ends the connection at event {number} on {topic}, though it takes a hello of the same size \
                     there; look for a rule or a plug-in of the broker that judges what is published"
                ))
            }
        }
    }

    /// Reports how a session ended; tells whether the next attempt should come slowly. `unopened` connections in a row
    /// could not even be made.
    fn report(&self, broker: &Broker, ended: &Ended, unopened: u32) -> bool {
        let now = self.clock.now();
        let raise = |condition, text: &str| {
            // A broker that says what is wrong is reached.
            if KNOWN_CAUSES.contains(&condition) {
                self.health.clear(Condition::HqUnreachable, "", now);
            }
            self.health.raise(condition, "", &format!("hq {broker}: {text}"), now);
        };
        match ended {
            Ended::Stopped | Ended::Again | Ended::NobodyListens => false,
            Ended::Conflict(text) => {
                raise(Condition::OutletConflict, text);
                true
            }
            Ended::Wire(WireError::Lost(text) | WireError::HungUp(text) | WireError::TakenOver(text)) => {
                // Brokers end sessions at what they deny: that is no trouble of the internet.
                let facts = self.health.facts();
                if unopened < memory::STRIKES && KNOWN_CAUSES.iter().any(|known| facts.holds(*known)) {
                    tracing::debug!("mqtt: hq {broker}: {text}");
                } else {
                    raise(Condition::HqUnreachable, text);
                }
                false
            }
            Ended::Wire(WireError::Refused(text) | WireError::OtherVersion(text)) => {
                raise(Condition::HqRefused, text);
                true
            }
            Ended::Wire(WireError::Unfit(text)) => {
                raise(Condition::BrokerUnfit, text);
                true
            }
            Ended::Silent(text) => {
                raise(Condition::NotAcknowledged, text);
                false
            }
            Ended::Denied(text) => {
                raise(Condition::PublishDenied, text);
                true
            }
            Ended::Store(error) => {
                self.health.raise(Condition::StoreFailed, "", &error.to_string(), now);
                false
            }
        }
    }

    /// Tells HQ in the numbered stream, and a person in the journal; gives whether HQ will hear of it.
    fn notice(&self, code: &'static str, text: &str) -> bool {
        let now = self.clock.now();
        tracing::warn!("mqtt: {text}");
        let stored = self.outbox.tell(vec![Notice::new(code, text).draft(None, now)], now);
        if let Err(error) = &stored {
            tracing::debug!(%error, "mqtt: the notice {code} could not be stored");
        }
        stored.is_ok()
    }

    /// A condition holds of which HQ is told at once, where it `is_new`, and not a second time when it has lasted.
    fn notice_and_raise(&self, condition: Condition, text: &str, is_new: bool) {
        let told = !is_new || self.notice(condition.code(), text);
        let now = self.clock.now();
        if told {
            self.health.raise_noticed(condition, "", text, now);
        } else {
            self.health.raise(condition, "", text, now);
        }
    }

    /// A topic of this outlet.
    fn topic(&self, below: &str) -> String {
        format!("{}/{}/{below}", self.hq.topic_prefix, self.outlet.id)
    }

    /// The rule that a broker's administrator is to add for a topic.
    fn rights(&self, below: &str) -> String {
        let topic = self.topic(below);
        let right = match below {
            "stored" => "topic read",
            "checkpoint" => "topic readwrite",
            _ => "topic write",
        };
        format!("let the broker's access rules allow it to this login (Mosquitto: `{right} {topic}`)")
    }

    /// The rule that is to be added for a topic that the box must read.
    fn rights_to_read(&self, below: &str) -> String {
        let topic = self.topic(below);
        if !below.starts_with("events/") {
            return self.rights(below);
        }
        format!(
            "let the broker's access rules allow this login to read it (Mosquitto: `topic readwrite {topic}`), as under MQTT \
             3.1.1 only a hello that comes back proves anything; where the box must not read, write `acknowledge = \"feed\"`, \
             or `echo = \"none\"` to take the broker's bare word"
        )
    }

    /// The body of `status`.
    fn status(&self, state: status::State) -> Vec<u8> {
        status::body(&(self.describe)(), state, &self.health.facts(), &self.outbox.level(), self.clock.now())
    }
}

/// What the line's waits are divided by: 1, and in builds that can play a demonstration what their environment says, so
/// that a test need not wait for ten minutes.
fn pace() -> u32 {
    #[cfg(feature = "demo")]
    if let Some(pace) = std::env::var("TILLBOX_TEST_PACE").ok().and_then(|pace| pace.parse().ok()) {
        return u32::clamp(pace, 1, 1_000);
    }
    1
}

/// 16 random bytes in hexadecimal, so that a session's messages are known from another's.
pub(crate) fn nonce() -> String {
    let mut bytes = [0; 16];
    // Without random bytes the zeros still come back as they were sent.
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A string takes everything.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn chance() -> u64 {
    let mut bytes = [0; 8];
    // Without chance all boxes come back together, and that is all.
    let _ = SystemRandom::new().fill(&mut bytes);
    u64::from_be_bytes(bytes)
}

/// How long an ordered stop of the link takes at most.
pub const STOP_MAX: Duration = Duration::from_secs(2);
