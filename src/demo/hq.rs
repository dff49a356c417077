//! HQ's side of the demonstration: it builds its states from MQTT alone, and says what is stored.
//!
//! It does what any consumer does: drop what it has by `id`, keep the latest state per identity by generation and
//! sequence, and say `stored` for the events up to the first hole, with the chain over their content ids.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    str::FromStr as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::{
    config::Broker,
    content::ContentId,
    event::StreamId,
    mqtt::wire::{Arrived, Connect, Wire, WireError},
    outbox::{chain_begin, chain_next},
    stop::Stop,
};

/// `stored` is said at most this often.
const SAY_EVERY: Duration = Duration::from_millis(100);

/// A state as HQ has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Which event told it.
    pub place: (u32, u64),
    /// `sale`, `refund` …
    pub kind: String,
    /// The record's amount.
    pub amount: Decimal,
    /// The business day.
    pub business_date: String,
}

/// One stream as HQ has it.
#[derive(Debug, Default)]
pub struct StreamBook {
    /// Its generation.
    pub generation: u32,
    /// Content ids by number.
    pub contents: BTreeMap<u64, ContentId>,
    /// Everything up to here is there, and the chain over it.
    stored: Option<(u64, ContentId)>,
}

impl StreamBook {
    /// Numbers below the highest that are not there.
    #[must_use]
    pub fn holes(&self) -> Vec<u64> {
        let highest = self.contents.keys().next_back().copied().unwrap_or(0);
        (1..=highest).filter(|number| !self.contents.contains_key(number)).collect()
    }
}

/// What HQ holds.
#[derive(Debug, Default)]
pub struct Holdings {
    /// Latest states by `connection/resource/external_id`.
    pub states: BTreeMap<String, State>,
    /// Streams by id.
    pub streams: BTreeMap<String, StreamBook>,
    /// Events that came again.
    pub repeats: u64,
    /// The same number with another content: must never be.
    pub conflicts: u64,
    /// The latest closing by `connection/business day`.
    pub closings: BTreeMap<String, Value>,
    /// Open gaps, by subject.
    pub gaps: BTreeSet<String>,
    /// Texts of quarantined records and notices.
    pub notices: Vec<String>,
    /// The retained status.
    pub status: Option<Value>,
    ids: BTreeSet<String>,
    withhold: Option<u64>,
    arrived: u64,
    withheld: Option<String>,
}

/// HQ's side, at work in a thread until it is dropped.
#[derive(Debug)]
pub struct Hq {
    holdings: Arc<Mutex<Holdings>>,
    stop: Stop,
}

impl Hq {
    /// Connects to the broker and begins to receive an outlet's events. With `withhold`, that one of the transactions
    /// is dropped on its way, behind the box's back.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn start(broker: Broker, prefix: &str, outlet: &str, withhold: Option<u64>) -> io::Result<Self> {
        let holdings = Arc::new(Mutex::new(Holdings { withhold, ..Holdings::default() }));
        let (stop, base) = (Stop::default(), format!("{prefix}/{outlet}"));
        let this = Self { holdings: Arc::clone(&holdings), stop: stop.clone() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("hq".to_owned()).spawn(move || {
            runtime.block_on(async {
                while !stop.is_given() {
                    tokio::select! {
                        _lost = receive(&broker, &base, &holdings) => {}
                        () = stop.given() => {}
                    }
                    // The broker may not listen yet.
                    tokio::time::sleep(SAY_EVERY).await;
                }
            });
        })?;
        Ok(this)
    }

    /// What HQ holds now.
    pub fn holdings(&self) -> MutexGuard<'_, Holdings> {
        self.holdings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hq {
    fn drop(&mut self) {
        self.stop.give();
    }
}

async fn receive(broker: &Broker, base: &str, holdings: &Mutex<Holdings>) -> Result<(), WireError> {
    let connect = Connect {
        broker: broker.clone(),
        client_id: "hq".to_owned(),
        login: None,
        tls: None,
        keep_alive: Duration::from_secs(30),
        last_will: None,
        in_flight_max: 100,
        packet_max_bytes: 512 * 1024,
    };
    let mut wire = Wire::open(connect).await?;
    wire.subscribe([format!("{base}/events/+"), format!("{base}/status")]).await?;
    wire.flush().await?;
    let mut ticks = tokio::time::interval(SAY_EVERY);
    loop {
        tokio::select! {
            arrived = wire.wait() => arrived?,
            _ = ticks.tick() => {
                let said = holdings.lock().unwrap_or_else(PoisonError::into_inner).what_is_stored();
                if let Some(stored) = said {
                    wire.publish(&format!("{base}/stored"), stored.to_string().into_bytes(), true).await?;
                }
            }
        }
        while let Some(arrived) = wire.arrived() {
            if let Arrived::Message { topic, body } = arrived {
                holdings.lock().unwrap_or_else(PoisonError::into_inner).take(&topic, &body);
            }
        }
        wire.flush().await?;
    }
}

impl Holdings {
    fn take(&mut self, topic: &str, body: &[u8]) {
        let Ok(event) = serde_json::from_slice::<Value>(body) else { return };
        match topic.rsplit('/').next() {
            Some("status") => self.status = Some(event),
            // Every copy of it, however often the box sends it again.
            Some("transaction") if self.is_withheld(&event) => {}
            Some(event_type @ ("transaction" | "closing" | "quarantine" | "gap" | "notice")) => {
                self.keep(event_type, &event);
            }
            _ => {}
        }
    }

    /// Whether this is the transaction that is withheld: the one that arrives as the named one, from then on.
    fn is_withheld(&mut self, event: &Value) -> bool {
        let Some(number) = self.withhold else { return false };
        let id = event.get("id").and_then(Value::as_str).map(str::to_owned);
        self.arrived += 1;
        if self.arrived == number {
            self.withheld = id;
            return true;
        }
        self.withheld.is_some() && self.withheld == id
    }

    fn keep(&mut self, event_type: &str, event: &Value) -> Option<()> {
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        let (stream, content) = (text("stream")?, ContentId::from_str(text("contentid")?).ok()?);
        let number: u64 = text("sequence")?.parse().ok()?;
        let generation = u32::try_from(event.get("generation")?.as_u64()?).ok()?;
        let book = self.streams.entry(stream.to_owned()).or_default();
        book.generation = generation;
        if book.contents.get(&number).is_some_and(|known| *known != content) {
            self.conflicts += 1;
        }
        book.contents.insert(number, content);
        if !self.ids.insert(text("id")?.to_owned()) {
            self.repeats += 1;
            return Some(());
        }
        let (data, subject) = (event.get("data")?, text("subject")?);
        match event_type {
            "transaction" => self.keep_state((generation, number), subject, data)?,
            "closing" => {
                let (connection, day) = (data.get("connection")?.as_str()?, data.get("business_date")?.as_str()?);
                self.closings.insert(format!("{connection}/{day}"), data.clone());
            }
            "gap" if data.get("state")? == "open" => drop(self.gaps.insert(subject.to_owned())),
            "gap" => drop(self.gaps.remove(subject)),
            _ => self.notices.push(data.to_string()),
        }
        Some(())
    }

    fn keep_state(&mut self, place: (u32, u64), subject: &str, data: &Value) -> Option<()> {
        let text = |name: &str| data.get(name).and_then(Value::as_str);
        let identity = format!("{}/{subject}", text("connection")?);
        let state = State {
            place,
            kind: text("kind")?.to_owned(),
            amount: Decimal::from_str_exact(text("amount")?).ok()?,
            business_date: text("business_date")?.to_owned(),
        };
        if self.states.get(&identity).is_none_or(|known| known.place < place) {
            self.states.insert(identity, state);
        }
        Some(())
    }

    /// What to say for the newest stream, if more of it is there than was said.
    fn what_is_stored(&mut self) -> Option<Value> {
        let (stream, book) = self.streams.iter_mut().max_by_key(|(_, book)| book.generation)?;
        let begin = (0, chain_begin(StreamId::parse(stream)?));
        let (mut through, mut chain) = book.stored.unwrap_or(begin);
        while let Some(content) = book.contents.get(&(through + 1)) {
            chain = chain_next(chain, *content);
            through += 1;
        }
        if book.stored == Some((through, chain)) || through == 0 {
            return None;
        }
        book.stored = Some((through, chain));
        Some(json!({ "stream": stream, "through": through, "chain": chain }))
    }
}
