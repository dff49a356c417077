//! What the broker does with a publish: many at once where all is well, and one at a time where it closes at one of them.

use std::time::Duration;

use super::connection::{ANSWER_MAX, Connection, Waited};
use crate::mqtt::wire::{Arrived, Outcome, Refusal, Version, WireError};

/// Publishes on their way at once, at most.
const TOGETHER_MAX: usize = 16;

/// So long an echo may come later than everything else where it is not required.
const ECHO_GRACE: Duration = Duration::from_millis(1_500);

/// One publish that is tried.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The topic below the outlet's.
    pub below: String,
    /// The topic.
    pub topic: String,
    /// Is found in the body, and nowhere else.
    pub nonce: String,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the broker is to keep it.
    pub retain: bool,
    /// Under MQTT 3.1.1: whether it is to come back.
    pub echo: Echo,
}

/// Whether a publish is to come back under MQTT 3.1.1, which has no reason codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// It is not looked for.
    No,
    /// Nothing hangs on it, and it says something where it comes.
    Welcome,
    /// The broker's word counts only with it.
    Required,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The broker took it; under MQTT 3.1.1 it came back where that was looked for.
    Taken,
    /// It took it, and nobody subscribes.
    Nobody,
    /// It acknowledged it, which under MQTT 3.1.1 proves nothing.
    Unproven,
    /// It acknowledged it and did not give it back.
    NoEcho,
    /// It refused it.
    Refused(Refusal),
    /// It ended the connection, with these words.
    Closed(String),
    /// It said nothing to it, and went on.
    Silent,
    /// It could not be tried.
    Untried(String),
}

impl Verdict {
    /// Whether the broker took it as far as it says.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Taken | Self::Nobody | Self::Unproven)
    }
}

/// Tries them all; a verdict each, in their order.
pub async fn try_all(connection: &mut Connection, trials: &[Trial]) -> Vec<Verdict> {
    let mut verdicts: Vec<Option<Verdict>> = vec![None; trials.len()];
    let mut together = TOGETHER_MAX;
    while let Some(first) = verdicts.iter().position(Option::is_none) {
        let late = connection.is_late().then(|| "there was no time left for it".to_owned());
        let room = match connection.wire().await {
            Ok(wire) => Ok(wire.room()),
            Err(error) => Err(error.to_string()),
        };
        let room = match (late, room) {
            (Some(text), _) | (None, Err(text)) => {
                for verdict in &mut verdicts {
                    verdict.get_or_insert_with(|| Verdict::Untried(text.clone()));
                }
                break;
            }
            (None, Ok(room)) => room,
        };
        if room == 0 {
            // What it is silent about takes its whole window.
            connection.close().await;
            continue;
        }
        let batch: Vec<usize> =
            (first..trials.len()).filter(|&at| verdicts[at].is_none()).take(together.min(room)).collect();
        let mut states: Vec<State> = batch.iter().map(|&at| State::of(&trials[at])).collect();
        let ended = attempt(connection, &mut states).await;
        let alone = batch.len() == 1;
        for (&at, state) in batch.iter().zip(&states) {
            verdicts[at] = match (&ended, state.outcome.as_ref()) {
                // What was refused is known, whatever came behind it.
                (_, Some(Outcome::Refused(refusal))) => Some(Verdict::Refused(refusal.clone())),
                // Under MQTT 5 a code is the broker's word on that very publish.
                (Err(_), Some(_)) if connection.version() == Version::V5 => Some(state.verdict(Version::V5)),
                (Err(error), _) if alone => Some(Verdict::Closed(error.to_string())),
                (Err(_), _) => None,
                (Ok(Waited::Late), _) if !state.is_done() => {
                    Some(Verdict::Untried("the line is too slow for it in the time that a check has".to_owned()))
                }
                (Ok(_), _) => Some(state.verdict(connection.version())),
            };
        }
        if ended.is_err() {
            together = 1;
        }
    }
    verdicts.into_iter().map(|verdict| verdict.unwrap_or(Verdict::Silent)).collect()
}

/// One trial on its way.
struct State<'a> {
    trial: &'a Trial,
    packet: u16,
    outcome: Option<Outcome>,
    looks_back: bool,
    came_back: bool,
}

impl<'a> State<'a> {
    fn of(trial: &'a Trial) -> Self {
        Self { trial, packet: 0, outcome: None, looks_back: false, came_back: false }
    }

    fn note(&mut self, arrived: &Arrived) {
        match arrived {
            Arrived::Acknowledged(packet, outcome) if *packet == self.packet => self.outcome = Some(outcome.clone()),
            Arrived::Message { topic, body } if *topic == self.trial.topic => {
                self.came_back |= String::from_utf8_lossy(body).contains(&self.trial.nonce);
            }
            _ => {}
        }
    }

    fn is_done(&self) -> bool {
        match self.outcome {
            Some(Outcome::Refused(_)) => true,
            Some(_) => self.came_back || !self.looks_back,
            None => false,
        }
    }

    fn verdict(&self, version: Version) -> Verdict {
        match &self.outcome {
            None => Verdict::Silent,
            Some(Outcome::Refused(refusal)) => Verdict::Refused(refusal.clone()),
            Some(Outcome::NobodyListens) => Verdict::Nobody,
            Some(Outcome::Taken) if version == Version::V5 || self.came_back => Verdict::Taken,
            Some(Outcome::Taken) => match self.trial.echo {
                Echo::No => Verdict::Taken,
                Echo::Welcome => Verdict::Unproven,
                Echo::Required => Verdict::NoEcho,
            },
        }
    }
}

fn take(states: &mut [State<'_>], arrived: &Arrived) {
    for state in states {
        state.note(arrived);
    }
}

/// Publishes all of them, and waits for what comes of it.
async fn attempt(connection: &mut Connection, states: &mut [State<'_>]) -> Result<Waited, WireError> {
    let mut back: Vec<String> = Vec::new();
    if connection.version() == Version::V311 {
        let asks = |echo| echo == Echo::Required || echo == Echo::Welcome && !connection.reads_no_echo;
        back = states.iter().filter(|state| asks(state.trial.echo)).map(|state| state.trial.topic.clone()).collect();
    }
    let required = states.iter().any(|state| state.trial.echo == Echo::Required);
    let mut refused = Vec::new();
    if !back.is_empty() {
        match connection.subscribe(&back).await {
            Ok(answered) => refused = answered,
            // Some end the connection at what they deny to be read (RabbitMQ). The box itself reads nothing there.
            Err(_) if !required => {
                connection.reads_no_echo = true;
                back.clear();
            }
            Err(error) => return Err(error),
        }
    }
    if !back.is_empty() {
        let read: Vec<&String> = back.iter().zip(&refused).filter(|(_, no)| no.is_none()).map(|(it, _)| it).collect();
        for state in &mut *states {
            state.looks_back = read.contains(&&state.trial.topic);
        }
    }
    for state in &mut *states {
        let Trial { topic, body, retain, .. } = state.trial;
        state.packet = connection.wire().await?.publish(topic, body.clone(), *retain)?;
    }
    // Some acknowledge what they deny, or refuse it, and close then: the answer to a ping tells that they go on.
    connection.ping().await?;
    let waited = connection
        .wait(ANSWER_MAX, |arrived, ponged| {
            take(states, arrived);
            let is_over = |state: &State<'_>| state.is_done() || !required && state.outcome.is_some();
            ponged && states.iter().all(is_over)
        })
        .await?;
    if waited == Waited::Done && states.iter().any(|state| !state.is_done()) {
        connection
            .wait(ECHO_GRACE, |arrived, _| {
                take(states, arrived);
                states.iter().all(State::is_done)
            })
            .await?;
    }
    for topic in &back {
        connection.unsubscribe(topic).await?;
    }
    Ok(waited)
}
