//! What a consumer at HQ holds after what it was sent: built from messages alone, with none of the program's parsing.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use serde_json::Value;
use tillbox::demo::shop::Books;

/// One message as it arrived.
#[derive(Debug, Clone)]
pub struct Message {
    pub retained: bool,
    pub topic: String,
    pub body: String,
}

/// One stream: the numbers that arrived, with their content ids.
#[derive(Debug, Default)]
pub struct Stream {
    pub generation: u64,
    pub contents: BTreeMap<u64, String>,
}

/// The latest state of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub place: (u64, u64),
    pub kind: String,
    pub amount: String,
    pub revision: u64,
}

/// Everything that arrived, and what follows from it.
#[derive(Debug, Default)]
pub struct Record {
    pub messages: Vec<Message>,
    /// Events in the order of their first arrivals.
    pub events: Vec<Value>,
    pub streams: BTreeMap<String, Stream>,
    pub states: BTreeMap<String, State>,
    pub repeats: usize,
    /// Greetings, wherever they stood.
    pub hellos: usize,
    /// What must never be, in words.
    pub wrongs: Vec<String>,
    bodies: BTreeMap<String, String>,
}

impl Record {
    pub fn take(&mut self, message: Message) {
        if let Some((_, event_type)) = message.topic.rsplit_once("/events/") {
            // A greeting may stand on the topic of any event: a consumer passes over it by its type.
            if message.body.contains(r#""type":"tillbox.hello.v1""#) {
                self.hellos += 1;
            } else {
                self.take_event(event_type, &message);
            }
        }
        self.messages.push(message);
    }

    fn take_event(&mut self, event_type: &str, message: &Message) {
        let Ok(event) = serde_json::from_str::<Value>(&message.body) else {
            self.wrongs.push(format!("an event is no JSON: {}", message.body));
            return;
        };
        let faults = attribute_faults(event_type, &message.topic, &event);
        self.wrongs.extend(faults.into_iter().map(|fault| format!("{fault}: {event}")));
        if message.retained {
            self.wrongs.push(format!("an event is retained: {event}"));
        }
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let (stream, number) = (text("stream"), text("sequence").parse::<u64>().unwrap_or_default());
        if let Some(known) = self.bodies.get(&text("id")) {
            self.repeats += 1;
            if *known != message.body {
                self.wrongs.push(format!("one id with two bodies: {known} and {event}"));
            }
            return;
        }
        self.bodies.insert(text("id"), message.body.clone());
        let book = self.streams.entry(stream).or_default();
        book.generation = event["generation"].as_u64().unwrap_or_default();
        if book.contents.keys().next_back().is_some_and(|last| *last > number) {
            self.wrongs.push(format!("number {number} arrived first after a later one"));
        }
        book.contents.insert(number, text("contentid"));
        if event_type == "transaction" {
            let data = &event["data"];
            let state = State {
                place: (book.generation, number),
                kind: data["kind"].as_str().unwrap_or_default().to_owned(),
                amount: data["amount"].as_str().unwrap_or_default().to_owned(),
                revision: data["revision"].as_u64().unwrap_or_default(),
            };
            let id = data["external_id"].as_str().unwrap_or_default().to_owned();
            if self.states.get(&id).is_none_or(|known| known.place < state.place) {
                self.states.insert(id, state);
            }
        }
        self.events.push(event);
    }

    /// Events of one type, in the order of their first arrivals.
    pub fn events_of<'a>(&'a self, event_type: &'a str) -> impl Iterator<Item = &'a Value> {
        let name = format!("tillbox.{event_type}.v1");
        self.events.iter().filter(move |event| event["type"] == *name)
    }

    /// The last body on a topic of the outlet, such as `status`.
    pub fn last(&self, below: &str) -> Option<Value> {
        let message = self.messages.iter().rev().find(|message| message.topic.ends_with(&format!("/{below}")))?;
        serde_json::from_str(&message.body).ok()
    }

    /// The newest stream: its id, the number up to which nothing is missing, and the content ids up to there.
    pub fn whole(&self) -> Option<(&str, u64, Vec<&str>)> {
        let (id, stream) = self.streams.iter().max_by_key(|(_, stream)| stream.generation)?;
        let contents: Vec<&str> = (1..).map_while(|number| Some(stream.contents.get(&number)?.as_str())).collect();
        Some((id, contents.len() as u64, contents))
    }

    /// The event that says what a record is now.
    pub fn event_of(&self, id: &str) -> Option<&Value> {
        self.events.iter().rev().find(|event| event["data"]["external_id"] == id)
    }

    /// How what is here differs from the shop's books, but for the order in which it came.
    pub fn losses(&self, books: &Books) -> Vec<String> {
        let mut found = self.differences(books);
        found.retain(|text| !text.contains("arrived first after a later one"));
        found
    }

    /// How what is here differs from the shop's books, in words; empty if it does not.
    pub fn differences(&self, books: &Books) -> Vec<String> {
        let mut found = self.wrongs.clone();
        for (id, stream) in &self.streams {
            let highest = stream.contents.keys().next_back().copied().unwrap_or_default();
            let holes: BTreeSet<u64> = (1..=highest).filter(|number| !stream.contents.contains_key(number)).collect();
            if !holes.is_empty() {
                found.push(format!("of stream {id} the numbers {holes:?} are missing"));
            }
        }
        for (id, booked) in books.states() {
            let kind = booked.kind.name();
            let amount = booked.total.normalize().to_string();
            match self.states.get(id) {
                Some(state) if state.kind == kind && state.amount == amount => {}
                other => found.push(format!("{id} is {kind} {amount} in the books, and at HQ {other:?}")),
            }
        }
        let surplus = self.states.keys().filter(|id| !books.states().contains_key(*id));
        found.extend(surplus.map(|id| format!("{id} is in no book")));
        found
    }
}

/// What an event lacks of the contract's attributes.
fn attribute_faults(event_type: &str, topic: &str, event: &Value) -> Vec<String> {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    let outlet = topic.split('/').rev().nth(2).unwrap_or_default();
    let number: u64 = text("sequence").parse().unwrap_or_default();
    let source_is_the_outlets = text("source")
        .strip_prefix(&format!("/outlets/{outlet}"))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let rules = [
        ("specversion", text("specversion") == "1.0"),
        ("id", text("id") == format!("{}.{number}", text("stream"))),
        ("source", source_is_the_outlets),
        ("type", text("type") == format!("tillbox.{event_type}.v1")),
        ("subject", text("subject").contains('/')),
        ("time", DateTime::parse_from_rfc3339(text("time")).is_ok()),
        ("datacontenttype", text("datacontenttype") == "application/json"),
        ("dataschema", text("dataschema") == format!("urn:tillbox:schema:{event_type}:v1")),
        ("stream", text("stream").len() == 32),
        ("generation", event["generation"].as_u64().is_some_and(|generation| generation > 0)),
        ("sequence", text("sequence").len() == 20 && number > 0),
        ("contentid", !text("contentid").is_empty()),
        ("outlet", text("outlet") == outlet),
        ("data", event["data"].is_object()),
    ];
    rules
        .into_iter()
        .filter(|(_, kept)| !kept)
        .map(|(name, _)| format!("attribute {name} is not as promised"))
        .collect()
}
