//! What a box publishes and reads at a broker, tried topic by topic, and what is said of it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, timeout};

use super::{
    Checkpoint, Running, Tried,
    connection::{Connection, Waited},
    retained::{self, Retained},
    trial::{Echo, Trial, Verdict, try_all},
    words::{Denied, LEAST_BYTES, passes},
};
use crate::{
    check::Finding,
    checkpoint::Found,
    config::{self, Acknowledge, Hq, Outlet, WithoutSubscribers, size_text},
    event::EventType,
    mqtt::{
        nonce,
        wire::{Arrived, Refusal, Version, WireError},
    },
    status,
};

/// HQ's feed answers a hello within this.
const FEED_MAX: Duration = Duration::from_secs(5);

/// Whether a daemon runs is known within this.
const RUNNING_KNOWN_MAX: Duration = Duration::from_secs(5);

/// Bytes of a packet beside topic and body.
const PACKET_OVERHEAD_BYTES: usize = 16;

/// What is tried at one broker, and what was found so far.
pub struct Topics<'a> {
    pub(super) hq: &'a Hq,
    pub(super) outlet: &'a Outlet,
    pub(super) connection: Connection,
    pub(super) item: String,
    pub(super) now: DateTime<Utc>,
    /// What works, in words.
    pub(super) works: Vec<String>,
    pub(super) denied: Vec<Denied>,
    /// What is refused for now, with the broker's reason.
    pub(super) put_off: Vec<(String, String)>,
    /// No publish at all is acknowledged.
    is_mute: bool,
    pub(super) findings: Vec<Finding>,
    pub(super) checkpoint: Checkpoint,
}

impl<'a> Topics<'a> {
    /// Over a connection that stands.
    pub fn of(hq: &'a Hq, outlet: &'a Outlet, connection: Connection, item: String, now: DateTime<Utc>) -> Self {
        let (works, denied, put_off, findings) = Default::default();
        Self {
            hq,
            outlet,
            connection,
            item,
            now,
            works,
            denied,
            put_off,
            is_mute: false,
            findings,
            checkpoint: Checkpoint::Unread,
        }
    }

    /// Tries all of them.
    pub async fn try_them(&mut self, running: Running) {
        self.read().await;
        let small = self.publish_small().await;
        if self.hq.acknowledge == Acknowledge::Feed && small.first().is_some_and(Verdict::is_good) {
            self.ask_feed().await;
        }
        let runs = runs(running).await;
        match runs {
            Some(false) => {
                self.retain().await;
                // Nobody but the daemon writes there.
                self.works.push("whether this login may write its checkpoint shows when the box runs".to_owned());
            }
            Some(true) => self.works.push("whether it keeps what is retained the running tillbox sees".to_owned()),
            None => self.works.push(
                "whether it keeps what is retained was not tried, as a tillbox may run that this user cannot see"
                    .to_owned(),
            ),
        }
        if let Some(transaction) = small.get(1).filter(|verdict| verdict.is_good()) {
            self.publish_large(transaction).await;
        }
        if runs == Some(false) && !self.connection.is_late() {
            self.leave_a_will().await;
        }
        self.warn_of_nobody();
        self.connection.close().await;
    }

    /// MQTT 3.1.1 has no word for it that nobody subscribes, and the broker's is all that counts.
    fn warn_of_nobody(&mut self) {
        let counts_alone = self.hq.acknowledge == Acknowledge::Broker;
        let must_be_heard = self.hq.without_subscribers == WithoutSubscribers::Wait;
        if self.connection.version() != Version::V311 || !counts_alone || !must_be_heard {
            return;
        }
        let topic = self.topic("events/+");
        let text = format!(
            "found that this broker's MQTT 3.1.1 does not tell whether anybody listens: it acknowledges what nobody subscribes \
             to, and drops it; expected somebody who subscribes to {topic}"
        );
        let remedy = "see that HQ subscribes there with a kept session before the box is left alone, or write `acknowledge = \
                      \"feed\"` under [hq]";
        self.findings.push(Finding::warn(&self.item, text, remedy));
    }

    /// What was found, and how the broker was reached.
    pub fn end(self, line: &str) -> Tried {
        let version = self.connection.version().name();
        let mut text = format!("lets the box in by MQTT {version} ({line})");
        for part in &self.works {
            text.push_str("; ");
            text.push_str(part);
        }
        let denied = self.told_denied().into_iter().chain(self.told_put_off());
        let first = Finding::ok(&self.item, text);
        let findings = std::iter::once(first).chain(denied).chain(self.findings).collect();
        Tried { findings, checkpoint: self.checkpoint }
    }

    pub(super) fn topic(&self, below: &str) -> String {
        format!("{}/{}/{below}", self.hq.topic_prefix, self.outlet.id)
    }

    /// Whether the box may subscribe to what it reads, and what stands there.
    async fn read(&mut self) {
        for below in ["checkpoint", "stored"] {
            let right = if below == "stored" { "read" } else { "readwrite" };
            // One at a time: some end the connection at the one that they deny (RabbitMQ), and all that are denied are told.
            let refusal = match self.connection.subscribe(&[self.topic(below)]).await {
                Ok(refused) => refused.into_iter().next().flatten(),
                Err(error) => {
                    self.deny(below, right, format!("at a subscription to it: {error}"));
                    continue;
                }
            };
            match refusal {
                None if below == "checkpoint" => self.look_at_checkpoint(),
                None => {}
                // Without a feed nobody need be allowed to speak there.
                Some(refusal) if below == "stored" && self.hq.acknowledge == Acknowledge::Broker => {
                    let topic = self.topic(below);
                    let text = format!(
                        "found that the broker refuses a subscription to {topic} ({refusal}); expected to hear there when HQ \
                         lost what it had"
                    );
                    let remedy = format!("let this login read it (Mosquitto: `topic read {topic}`)");
                    self.findings.push(Finding::warn(&self.item, text, remedy));
                }
                Some(refusal) => {
                    self.deny(below, right, format!("the broker refuses a subscription: {refusal}"));
                }
            }
        }
    }

    fn look_at_checkpoint(&mut self) {
        let topic = self.topic("checkpoint");
        let body = self.connection.heard(&topic).body;
        let found = (!body.is_empty()).then(|| serde_json::from_slice::<Found>(&body));
        match found {
            None => {
                self.checkpoint = Checkpoint::Absent;
                self.works.push("no checkpoint stands there yet".to_owned());
            }
            Some(Ok(found)) => {
                self.works.push(format!("the retained checkpoint is of generation {}", found.generation));
                self.checkpoint = Checkpoint::Of { stream: found.stream, generation: found.generation };
            }
            Some(Err(error)) => {
                let text = format!(
                    "found a checkpoint retained at {topic} that cannot be read ({error}); expected an object with stream, \
                     generation and acknowledged"
                );
                let remedy = "clear the retained message, or install the tillbox that wrote it";
                self.findings.push(Finding::correct(&self.item, text, remedy));
            }
        }
    }

    fn hello(&self, below: &str, bytes: usize) -> Trial {
        let nonce = nonce();
        let required = self.hq.acknowledge == Acknowledge::Broker && self.hq.echo == config::Echo::Required;
        Trial {
            below: below.to_owned(),
            topic: self.topic(below),
            body: status::hello(&self.outlet.id, &nonce, bytes),
            nonce,
            retain: false,
            echo: if required { Echo::Required } else { Echo::Welcome },
        }
    }

    /// A small hello on each topic; gives the verdicts, that of `hello` first and that of `transaction` behind it.
    async fn publish_small(&mut self) -> Vec<Verdict> {
        let events = EventType::ALL.iter().map(|event_type| format!("events/{}", event_type.name()));
        let trials: Vec<Trial> =
            std::iter::once("events/hello".to_owned()).chain(events).map(|below| self.hello(&below, 0)).collect();
        let begun = Instant::now();
        let verdicts = try_all(&mut self.connection, &trials).await;
        let took = begun.elapsed().as_millis();
        let names = |of: &dyn Fn(&Verdict) -> bool| -> Vec<&str> {
            trials.iter().zip(&verdicts).filter(|(_, it)| of(it)).map(|(trial, _)| trial.below.as_str()).collect()
        };
        let good = names(&Verdict::is_good);
        if good.len() == trials.len() {
            let base = self.topic("events/+");
            self.works.push(format!("a hello on each topic of {base} was taken, all in {took} ms"));
        } else if !good.is_empty() {
            self.works.push(format!("a hello was taken on {}", good.join(", ")));
        }
        // One topic may be denied by silence; a broker that is silent to all of them has another trouble.
        if verdicts.iter().all(|verdict| *verdict == Verdict::Silent) {
            let text = "found that the broker is there and acknowledges no publish; expected it to";
            let remedy = format!(
                "ask HQ whether it is overloaded or throttled, or denies this login all of it (Mosquitto: `topic readwrite {}`)",
                self.topic("#")
            );
            self.is_mute = true;
            self.findings.push(Finding::later(&self.item, text, remedy));
            return verdicts;
        }
        let nobody = names(&|verdict| *verdict == Verdict::Nobody);
        // Nobody need listen to `hello`.
        let nobody: Vec<&str> = nobody.into_iter().filter(|below| *below != "events/hello").collect();
        if !nobody.is_empty() && self.hq.without_subscribers == WithoutSubscribers::Wait {
            let (topic, which) = (self.topic("events/+"), nobody.join(", "));
            let text =
                format!("found that nobody subscribes to {topic} (MQTT 5, 0x10, at {which}); expected HQ's feed");
            let remedy = format!("let HQ's feed subscribe to {topic}; until then the box keeps what it has");
            self.findings.push(Finding::warn(&self.item, text, remedy));
        }
        if self.connection.version() == Version::V311
            && self.hq.acknowledge == Acknowledge::Broker
            && self.hq.echo == config::Echo::None
        {
            let text = "found that the broker's bare word counts (MQTT 3.1.1 and echo = \"none\"), which proves nothing; expected \
                        MQTT 5, or echo = \"required\"";
            self.findings.push(Finding::warn(&self.item, text, "let HQ compare the closings"));
        }
        for (trial, verdict) in trials.iter().zip(&verdicts) {
            self.judge(&trial.below, verdict);
        }
        verdicts
    }

    /// Whether somebody at HQ says `stored` to a hello.
    async fn ask_feed(&mut self) {
        let stored = self.topic("stored");
        let answered = self.is_answered(&stored).await.unwrap_or(false);
        if answered {
            self.works.push("HQ's feed answers a hello".to_owned());
            return;
        }
        let text = format!(
            "found that nobody at HQ answered a hello at {stored} within {} s; expected HQ's feed to say what it stored",
            FEED_MAX.as_secs()
        );
        let remedy = format!(
            "start HQ's feed for this outlet, or let this login read its word (Mosquitto: `topic read {stored}`)"
        );
        self.findings.push(Finding::warn(&self.item, text, remedy));
    }

    /// A hello of its own, as what came before may be HQ's retained word.
    async fn is_answered(&mut self, stored: &str) -> Result<bool, WireError> {
        self.connection.subscribe(&[stored.to_owned()]).await?;
        let (retained, logins) = (self.connection.heard(stored).count, self.connection.logins());
        let hello = [self.hello("events/hello", 0)];
        try_all(&mut self.connection, &hello).await;
        if self.connection.logins() > logins {
            return Ok(false);
        }
        if self.connection.heard(stored).count > retained {
            return Ok(true);
        }
        let is_word = |arrived: &Arrived| matches!(arrived, Arrived::Message { topic, .. } if topic == stored);
        Ok(self.connection.wait(FEED_MAX, |arrived, _| is_word(arrived)).await? == Waited::Done)
    }

    /// Whether the broker keeps what is retained.
    async fn retain(&mut self) {
        let topic = self.topic("status");
        let (found, restored) = retained::probe(&mut self.connection, self.outlet, &topic, self.now).await;
        let kept = "expected the broker to keep what is retained, as the box's checkpoint must stay there";
        match found {
            Retained::Kept => self.works.push("a retained status was found by a new subscription".to_owned()),
            Retained::OtherBox => {
                let text = format!(
                    "found at {topic} that a box runs for this outlet, and it is not this one; expected one box; so whether the \
                     broker retains was not tried"
                );
                self.findings.push(Finding::warn(&self.item, text, "take one of the two away before this one starts"));
            }
            Retained::Unreadable(refusal) => {
                let text = format!(
                    "found that this login may not read {topic} ({refusal}), so whether the broker keeps what is retained could \
                     not be tried; expected it to be read"
                );
                let remedy = format!("let this login read it (Mosquitto: `topic readwrite {topic}`)");
                self.findings.push(Finding::warn(&self.item, text, remedy));
            }
            Retained::NotFound => {
                let text = format!(
                    "found that a retained message published to {topic} is not found by a new subscription; {kept}"
                );
                self.findings.push(Finding::correct(&self.item, text, self.retain_remedy(&topic)));
            }
            Retained::NotTaken(Verdict::Silent) if self.is_mute => {}
            Retained::NotTaken(verdict) if is_put_off(&verdict) => self.judge("status", &verdict),
            Retained::NotTaken(verdict) if self.denied.is_empty() || refuses_retain(&verdict) => {
                let what = match &verdict {
                    Verdict::Refused(refusal) => format!("is refused ({refusal})"),
                    Verdict::Closed(text) => format!("is not taken ({text} at it)"),
                    Verdict::Untried(text) => format!("could not be tried ({text})"),
                    _ => "is not acknowledged".to_owned(),
                };
                let text = format!("found that a retained message on {topic} {what}; {kept}");
                let remedy = self.retain_remedy(&topic);
                self.findings.push(match verdict {
                    Verdict::Untried(_) => {
                        Finding::later(&self.item, text, "correct what is wrong beside it, and check again")
                    }
                    _ => Finding::correct(&self.item, text, remedy),
                });
            }
            Retained::NotTaken(verdict) => self.judge("status", &verdict),
            Retained::Lost(error) => {
                let text = format!("found, while a retained message on {topic} was tried: {error}; {kept}");
                self.findings.push(Finding::later(&self.item, text, "check again; if it stays, ask HQ"));
            }
        }
        if !restored {
            let text =
                format!("found that what stood at {topic} could not be put back; expected to leave all as it was");
            self.findings.push(Finding::warn(&self.item, text, "start the box: it publishes its status anew"));
        }
    }

    /// Whether the broker takes an event of the largest size, on the topic where such events stand.
    async fn publish_large(&mut self, small: &Verdict) {
        let below = "events/transaction";
        let large = self.hello(below, self.hq.event_max_bytes);
        let needed = large.body.len() + large.topic.len() + PACKET_OVERHEAD_BYTES;
        let size = size_text(self.hq.event_max_bytes as u64);
        let announced = match self.connection.wire().await {
            Ok(wire) => wire.welcome().packet_max_bytes.and_then(|bytes| usize::try_from(bytes).ok()),
            Err(error) => return self.too_slow(&size, &error.to_string()),
        };
        if let Some(announced) = announced.filter(|bytes| *bytes < needed) {
            let what = format!("the broker says that it takes messages of {announced} bytes at most");
            return self.too_small(&what, needed, announced >= LEAST_BYTES);
        }
        let verdict = try_all(&mut self.connection, &[large]).await.pop().unwrap_or(Verdict::Silent);
        let what = match &verdict {
            Verdict::Taken | Verdict::Nobody => {
                return self.works.push(format!("one of {size} was taken, too"));
            }
            // Where the small one did not come back either, that says nothing.
            Verdict::Unproven if *small == Verdict::Unproven => {
                return self.works.push(format!("one of {size} was acknowledged, too"));
            }
            Verdict::Refused(refusal) if passes(refusal) => return self.judge(below, &verdict),
            Verdict::Untried(text) => return self.too_slow(&size, text),
            Verdict::Refused(refusal) => format!("it is refused: {refusal}"),
            Verdict::Closed(text) => format!("{text} at it"),
            Verdict::Silent => "it is never acknowledged".to_owned(),
            Verdict::NoEcho | Verdict::Unproven => "it is acknowledged and does not come back".to_owned(),
        };
        let least = self.hello(below, LEAST_BYTES - needed.min(512));
        let least = try_all(&mut self.connection, &[least]).await.pop();
        let fits =
            least.is_some_and(|least| least.is_good() && !(least == Verdict::Unproven && *small == Verdict::Taken));
        let what = format!("a small hello on {} is taken, and one of {size} is not ({what})", self.topic(below));
        self.too_small(&what, needed, fits);
    }

    /// Whether the broker takes a login with the daemon's last will.
    async fn leave_a_will(&mut self) {
        let description = status::Description {
            outlet: self.outlet.id.clone(),
            name: self.outlet.name.clone(),
            acknowledge: self.hq.acknowledge,
            stream: None,
        };
        let topic = self.topic("status");
        let body = status::lost(&description, &nonce());
        let error = match self.connection.log_in_with_will(topic.clone(), body).await {
            // The line went away, which says nothing of the will.
            Ok(()) | Err(WireError::Lost(_)) => return,
            Err(error) => error.to_string(),
        };
        let found = error.split_once("; ").map_or(error.as_str(), |(found, _)| found);
        let text = format!(
            "found that a login with a retained last will on {topic} is not taken ({found}); expected it to be"
        );
        self.findings.push(Finding::correct(&self.item, text, self.retain_remedy(&topic)));
    }
}

fn is_put_off(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Refused(refusal) if passes(refusal))
}

fn refuses_retain(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Refused(Refusal { code: 0x9a, .. }))
}

/// Whether a daemon runs here; `None` where that cannot be seen.
async fn runs(mut running: Running) -> Option<bool> {
    match timeout(RUNNING_KNOWN_MAX, running.wait_for(Option::is_some)).await {
        Ok(Ok(known)) => *known,
        Ok(Err(_)) | Err(_) => None,
    }
}
