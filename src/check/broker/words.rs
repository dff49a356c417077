//! What the verdicts mean, in the words that a technician and HQ act on.

use super::{topics::Topics, trial::Verdict};
use crate::{check::Finding, config::size_text, event::EventType, mqtt::wire::Refusal};

/// Not even what is this small fits: then no sale is sure to.
pub(super) const LEAST_BYTES: usize = 4 * 1024;

/// What the broker does not take or give, though it must.
#[derive(Debug)]
pub(super) struct Denied {
    pub(super) below: String,
    pub(super) right: &'static str,
    pub(super) why: String,
}

impl Topics<'_> {
    pub(super) fn deny(&mut self, below: &str, right: &'static str, why: impl Into<String>) {
        self.denied.push(Denied { below: below.to_owned(), right, why: why.into() });
    }

    /// What a verdict on a small publish means.
    pub(super) fn judge(&mut self, below: &str, verdict: &Verdict) {
        match verdict {
            Verdict::Taken | Verdict::Nobody | Verdict::Unproven => {}
            Verdict::NoEcho => self.deny(
                below,
                "readwrite",
                "it is acknowledged and does not come back, by which alone MQTT 3.1.1 tells that it arrived",
            ),
            Verdict::Refused(refusal) if passes(refusal) => {
                self.put_off.push((below.to_owned(), refusal.to_string()));
            }
            Verdict::Refused(refusal) => self.deny(below, "readwrite", format!("the broker refuses it: {refusal}")),
            Verdict::Closed(text) => self.deny(below, "readwrite", format!("{text} at it")),
            Verdict::Silent => self.deny(below, "readwrite", "the broker does not acknowledge it, and goes on"),
            Verdict::Untried(text) => {
                let text = format!("found no answer to a hello on {}: {text}; expected one", self.topic(below));
                self.findings.push(Finding::later(
                    &self.item,
                    text,
                    "correct what is wrong beside it, and check again",
                ));
            }
        }
    }

    /// All denials in one line: one who corrects the rules needs all of them.
    pub(super) fn told_denied(&self) -> Option<Finding> {
        let base = self.topic("");
        let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
        for Denied { below, why, .. } in &self.denied {
            match found.iter_mut().find(|(of, _)| of == why) {
                Some((_, belows)) => belows.push(below),
                None => found.push((why, vec![below])),
            }
        }
        let topics = |belows: &[&str]| joined(belows).into_iter().map(|below| self.topic(below)).collect::<Vec<_>>();
        let found: Vec<String> =
            found.iter().map(|(why, belows)| format!("{} ({why})", topics(belows).join(", "))).collect();
        if found.is_empty() {
            return None;
        }
        let with = |right: &str| {
            let belows = self.denied.iter().filter(|denied| denied.right == right).map(|denied| denied.below.as_str());
            topics(&belows.collect::<Vec<_>>())
                .into_iter()
                .map(|topic| format!("`topic {right} {topic}`"))
                .collect::<Vec<_>>()
        };
        let rules: Vec<String> = [with("readwrite"), with("read")].concat();
        let text = format!(
            "found that this login is denied {}; expected every topic of the box to be allowed",
            found.join(", ")
        );
        let remedy = format!(
            "let this client publish and subscribe below {base} in the broker's access rules (Mosquitto: {})",
            rules.join(", ")
        );
        Some(Finding::correct(&self.item, text, remedy))
    }

    /// What is refused for now, in one line.
    pub(super) fn told_put_off(&self) -> Option<Finding> {
        let (_, why) = self.put_off.first()?;
        let belows: Vec<&str> = self.put_off.iter().map(|(below, _)| below.as_str()).collect();
        let topics: Vec<String> = joined(&belows).into_iter().map(|below| self.topic(below)).collect();
        let text = format!(
            "found that the broker refuses a publish on {} for now ({why}); expected it to be taken",
            topics.join(", ")
        );
        Some(Finding::later(&self.item, text, "let HQ look at the broker's limits for this login"))
    }

    pub(super) fn retain_remedy(&self, topic: &str) -> String {
        format!(
            "let this client publish and subscribe below {} in the broker's access rules (Mosquitto: `topic readwrite {topic}`), and \
             let the broker retain messages",
            self.topic("")
        )
    }

    pub(super) fn too_small(&mut self, what: &str, needed: usize, takes_some: bool) {
        let expected = "expected it to take what event-max-size allows";
        let remedy = format!(
            "let HQ raise the broker's limit for one message to {needed} bytes (Mosquitto: `message_size_limit`, \
             `max_packet_size`), or write a lower event-max-size under [hq]: a larger sale goes there without its items"
        );
        self.findings.push(if takes_some {
            Finding::warn(&self.item, format!("found that {what}; {expected}"), remedy)
        } else {
            let least = size_text(LEAST_BYTES as u64);
            Finding::correct(&self.item, format!("found that {what}, and not even {least} pass; {expected}"), remedy)
        });
    }

    pub(super) fn too_slow(&mut self, size: &str, why: &str) {
        let text =
            format!("found that a hello of {size} could not be tried to its end: {why}; expected it to be taken");
        let remedy = "check again, or write a lower event-max-size under [hq] for a line that is always this slow";
        self.findings.push(Finding::warn(&self.item, text, remedy));
    }
}

/// Names of topics; all those of events as one.
fn joined<'a>(belows: &[&'a str]) -> Vec<&'a str> {
    let of_events = |below: &&&str| below.starts_with("events/");
    if belows.iter().filter(of_events).count() <= EventType::ALL.len() {
        return belows.to_vec();
    }
    let others = belows.iter().filter(|below| !of_events(below)).copied();
    std::iter::once("events/+").chain(others).collect()
}

/// Whether a refusal may pass by itself.
pub(super) fn passes(refusal: &Refusal) -> bool {
    matches!(refusal.code, 0x89 | 0x93 | 0x96 | 0x97)
}
