//! The line to HQ: the only user of rumqttc.
//!
//! One task owns it. It tries the configured brokers in turn, runs one [`session`] on each connection, and waits with
//! jitter between attempts; a login or a publish that is refused is tried again slowly, and nothing is lost meanwhile:
//! the store is the queue.

mod ended;
mod greeting;
pub mod session;
mod stored;
pub mod wire;

use std::{fmt::Write as _, sync::Arc, time::Duration};

use chrono::TimeDelta;
use ring::rand::{SecureRandom, SystemRandom};

use self::{
    ended::Ended,
    greeting::Memory,
    wire::{Connect, Wire, WireError},
};
use crate::{
    clock::Clock,
    config::{Broker, Hq, Outlet},
    forward::reconnect_after,
    health::{Condition, Health},
    outbox::Outbox,
    status,
    stop::Stop,
    tls::{self, TlsError},
    watchdog::Heartbeat,
};

/// What an event's envelope may add to a packet beside the event: topic and packet header.
const PACKET_OVERHEAD_BYTES: usize = 4 * 1024;

/// One thing on the line is over within this: connecting, the greeting, a turn of the session between two waits. Each
/// write has a time-out of its own, and what the store adds is short.
const TURN_MAX: Duration = Duration::from_secs(180);

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
    /// Shows that the line moves.
    pub heartbeat: Heartbeat,
    /// Describes the box, for `status`.
    pub describe: Box<dyn Fn() -> status::Description + Send + Sync>,
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
        let (mut attempt, mut slow, mut memory) = (0, false, Memory::default());
        for broker in self.hq.brokers.clone().iter().cycle() {
            if attempt > 0 {
                let wait = reconnect_after(attempt - 1, slow, chance());
                self.heartbeat.will_wait(wait);
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = self.stop.given() => {}
                }
            }
            if self.stop.is_given() {
                break;
            }
            self.heartbeat.promise(TURN_MAX);
            let mut was_ready = false;
            let ended = self.attempt(broker, tls.clone(), &mut memory, || was_ready = true).await;
            self.health.update(|facts| facts.hq_ready = false);
            slow = self.report(broker, &ended);
            attempt = if was_ready || matches!(ended, Ended::NewStream) { 1 } else { attempt + 1 };
            if matches!(ended, Ended::Stopped) {
                break;
            }
        }
        Ok(())
    }

    async fn attempt(
        &self,
        broker: &Broker,
        tls: Option<Arc<rustls::ClientConfig>>,
        memory: &mut Memory,
        ready: impl FnOnce(),
    ) -> Ended {
        let nonce = nonce();
        let packet_max_bytes = self.hq.event_max_bytes + PACKET_OVERHEAD_BYTES;
        let connect = Connect {
            broker: broker.clone(),
            client_id: self.outlet.client_id(),
            login: self.hq.username.clone().map(|name| (name, self.hq.password.clone())),
            tls: tls.filter(|_| broker.tls),
            keep_alive: self.hq.keep_alive,
            last_will: Some((self.topic("status"), status::lost(&(self.describe)(), &nonce))),
            // Twice the window and the box's own: an acknowledgement that is late never meets its packet id again.
            in_flight_max: self.hq.window.saturating_mul(2).saturating_add(16),
            packet_max_bytes,
        };
        let opened = tokio::select! {
            opened = Wire::open(connect) => opened,
            () = self.stop.given() => return Ended::Stopped,
        };
        let wire = match opened {
            Ok(wire) => wire,
            Err(error) => return Ended::Wire(error),
        };
        let ready = || {
            ready();
            let now = self.clock.now();
            for condition in [Condition::HqUnreachable, Condition::HqRefused, Condition::PublishDenied] {
                self.health.clear(condition, "", now);
            }
            // A line that flaps would fill the journal: later sessions are told by the condition that is over.
            if self.health.facts().session.is_none() {
                tracing::info!(%broker, "mqtt: connected, and publishes arrive");
            }
            self.health.update(|facts| {
                facts.hq_ready = true;
                facts.broker = Some(broker.to_string());
                facts.session = Some(nonce.clone());
            });
        };
        session::run(self, wire, &nonce, memory, ready).await
    }

    /// Reports how a session ended; tells whether the next attempt should come slowly.
    fn report(&self, broker: &Broker, ended: &Ended) -> bool {
        let now = self.clock.now();
        let raise = |condition, text: String| self.health.raise(condition, "", &format!("hq {broker}: {text}"), now);
        match ended {
            Ended::Stopped | Ended::NewStream => false,
            Ended::Conflict(text) => {
                raise(Condition::OutletConflict, text.clone());
                true
            }
            Ended::Wire(WireError::Lost(text)) => {
                raise(Condition::HqUnreachable, text.clone());
                false
            }
            Ended::Wire(WireError::Refused(text)) => {
                raise(Condition::HqRefused, text.clone());
                true
            }
            Ended::Denied(text) => {
                raise(Condition::PublishDenied, text.clone());
                true
            }
            Ended::Store(error) => {
                raise(Condition::StoreFailed, error.to_string());
                false
            }
        }
    }

    /// A topic of this outlet.
    fn topic(&self, below: &str) -> String {
        format!("{}/{}/{below}", self.hq.topic_prefix, self.outlet.id)
    }

    /// The body of `status`.
    fn status(&self, state: status::State) -> Vec<u8> {
        status::body(&(self.describe)(), state, &self.health.facts(), &self.outbox.level(), self.clock.now())
    }
}

/// 16 random bytes in hexadecimal, so that a session's messages are known from another's.
pub(crate) fn nonce() -> String {
    let mut bytes = [0; 16];
    let _zeros_still_come_back_as_sent = SystemRandom::new().fill(&mut bytes);
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _a_string_takes_all = write!(text, "{byte:02x}");
        text
    })
}

fn chance() -> u64 {
    let mut bytes = [0; 8];
    let _without_chance_all_boxes_come_back_together = SystemRandom::new().fill(&mut bytes);
    u64::from_be_bytes(bytes)
}

/// How long an ordered stop of the link takes at most.
pub const STOP_MAX: Duration = Duration::from_secs(2);
