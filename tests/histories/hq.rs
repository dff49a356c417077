//! HQ, as the contract tells it: the latest state per identity by generation and number, gaps, closings.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use serde_json::Value;
use tillbox::{
    content::ContentId,
    event::{Event, EventType},
};

/// What HQ has of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub kind: String,
    pub amount: Decimal,
    pub business_date: String,
    pub content: ContentId,
}

/// What HQ has.
#[derive(Debug, Default)]
pub struct Hq {
    /// By `resource/external_id`.
    pub states: BTreeMap<String, State>,
    /// Latest by business day.
    pub closings: BTreeMap<String, Value>,
    /// Records that are told to have vanished, and were not seen again.
    pub vanished: BTreeSet<String>,
    /// The codes of all notices.
    pub notices: Vec<String>,
    /// Records put aside.
    pub quarantined: usize,
    /// Transactions that were sent.
    pub transactions: usize,
}

impl Hq {
    /// Takes an event; they come in order, generation after generation.
    pub fn take(&mut self, event: &Event) {
        let data: Value = serde_json::from_str(&event.draft.data).expect("data is JSON");
        let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
        match event.draft.event_type {
            EventType::Transaction => {
                self.transactions += 1;
                let amount = Decimal::from_str_exact(&text("amount")).expect("an amount");
                let (business_date, content) = (text("business_date"), event.draft.content);
                let state = State { kind: text("kind"), amount, business_date, content };
                self.states.insert(event.draft.subject.clone(), state);
            }
            EventType::Closing => drop(self.closings.insert(text("business_date"), data)),
            EventType::Quarantine => self.quarantined += 1,
            EventType::Notice => {
                let about = &data["record"];
                let subject = || {
                    let part = |name: &str| about[name].as_str().unwrap_or_default();
                    format!("{}/{}", part("resource"), part("external_id"))
                };
                match text("code").as_str() {
                    "vanished_at_source" => drop(self.vanished.insert(subject())),
                    "seen_again" => drop(self.vanished.remove(&subject())),
                    _ => {}
                }
                self.notices.push(text("code"));
            }
            EventType::Gap => {}
        }
    }

    /// The digest of one business day, as the contract tells it.
    pub fn digest(&self, date: &str) -> String {
        let states = self.states.iter().filter(|(_, state)| state.business_date == date);
        let mut lines: Vec<_> = states.map(|(subject, state)| format!("{subject} {}\n", state.content)).collect();
        lines.sort_unstable();
        ContentId::of_bytes(lines.concat().as_bytes()).to_string()
    }

    /// Counts and sums by kind of one business day.
    pub fn day(&self, date: &str) -> BTreeMap<String, (u64, Decimal)> {
        let mut sums = BTreeMap::<String, (u64, Decimal)>::new();
        for state in self.states.values().filter(|state| state.business_date == date) {
            let (count, sum) = sums.entry(state.kind.clone()).or_default();
            *count += 1;
            *sum += state.amount;
        }
        sums
    }
}
