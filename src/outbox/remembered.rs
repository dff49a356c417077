//! What the box remembers of itself and of brokers: the nonces that it told, and what each broker held retained.
//!
//! All of it stands in memory, so that asking never waits for the store. A nonce is on the device before it is told. A
//! broker's number is written at once when the broker or the stream is new; later ones ride along with the releases, so
//! after a cut the number may be an older one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Outbox, OutboxError,
    engine::{apply, flush},
    layout, open_db,
};
use crate::event::StreamId;

/// Nonces that are remembered; the oldest is forgotten for a new one.
pub const NONCES_MAX: usize = 4_096;

/// The longest nonce, in bytes.
pub const NONCE_MAX_BYTES: usize = 64;

/// Brokers that are remembered; the one that was spoken of least lately is forgotten for a new one.
pub const BROKERS_MAX: usize = 32;

/// What a broker is known to hold retained for this outlet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Retained {
    /// The checkpoint's stream; empty while only [`Retained::resent`] is known.
    pub stream: String,
    /// The number that stood in it.
    pub acknowledged: u64,
    /// When what the broker forgot was last sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resent: Option<DateTime<Utc>>,
}

/// A broker, as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Broker {
    /// Grows with every word of a broker: it tells which was spoken of least lately.
    turn: u64,
    retained: Retained,
}

#[derive(Debug, Default)]
struct Memory {
    /// In the order in which they were added.
    nonces: BTreeMap<u64, String>,
    brokers: BTreeMap<String, Broker>,
    /// Brokers of which the store says something else than stands here.
    unwritten: BTreeSet<String>,
}

impl Memory {
    /// Changes what is known of a broker, and forgets another if there are too many.
    fn of(&mut self, broker: &str) -> &mut Retained {
        let turn = self.brokers.values().map(|broker| broker.turn).max().unwrap_or(0) + 1;
        if !self.brokers.contains_key(broker)
            && self.brokers.len() >= BROKERS_MAX
            && let Some(oldest) =
                self.brokers.iter().min_by_key(|(_, broker)| broker.turn).map(|(name, _)| name.clone())
        {
            self.brokers.remove(&oldest);
            self.unwritten.insert(oldest);
        }
        self.unwritten.insert(broker.to_owned());
        let broker = self.brokers.entry(broker.to_owned()).or_default();
        broker.turn = turn;
        &mut broker.retained
    }
}

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct Remembered(Mutex<Memory>);

/// What a batch says of brokers: each with its row, or that it has none.
pub(super) type Rows = Vec<(String, Option<Vec<u8>>)>;

impl Remembered {
    /// Reads what a store holds. What cannot be read of it is as if it had never been told.
    pub fn read(tree: &sled::Tree) -> sled::Result<Self> {
        let mut memory = Memory::default();
        for row in tree.scan_prefix([layout::NONCE]) {
            let (key, value) = row?;
            let Some(number) = key.get(1..).and_then(|number| number.try_into().ok()) else { continue };
            memory.nonces.insert(u64::from_be_bytes(number), String::from_utf8_lossy(&value).into_owned());
        }
        for row in tree.scan_prefix([layout::BROKER]) {
            let (key, value) = row?;
            if let Ok(broker) = serde_json::from_slice(&value) {
                memory.brokers.insert(String::from_utf8_lossy(&key[1..]).into_owned(), broker);
            }
        }
        Ok(Self(Mutex::new(memory)))
    }

    /// Adds to a batch what the store does not say yet of brokers.
    pub fn stage(&self, batch: &mut sled::Batch) -> Rows {
        let memory = self.memory();
        let rows = memory.unwritten.iter().map(|name| (name.clone(), memory.row(name)));
        let rows: Rows = rows.collect();
        for (name, row) in &rows {
            match row {
                Some(row) => batch.insert(layout::broker_key(name), row.as_slice()),
                None => batch.remove(layout::broker_key(name)),
            }
        }
        rows
    }

    /// Notes that the store has these rows now.
    pub fn written(&self, rows: Rows) {
        let mut memory = self.memory();
        for (name, row) in rows {
            // More may have been told since.
            if memory.row(&name) == row {
                memory.unwritten.remove(&name);
            }
        }
    }

    /// Whether the store lacks something.
    pub fn is_unwritten(&self) -> bool {
        !self.memory().unwritten.is_empty()
    }

    /// Goes on beside a store that was opened again: what is known here and is not in it is to be written anew.
    /// Gives the nonces that it lacks.
    pub fn go_on_beside(&self, opened: &Self) -> BTreeMap<u64, String> {
        let opened = opened.memory();
        let mut memory = self.memory();
        let lacking: Vec<String> = memory
            .brokers
            .iter()
            .filter(|(name, broker)| opened.brokers.get(*name) != Some(broker))
            .map(|(name, _)| name.clone())
            .collect();
        memory.unwritten.extend(lacking);
        let nonces = memory.nonces.iter().filter(|(number, _)| !opened.nonces.contains_key(number));
        nonces.map(|(number, nonce)| (*number, nonce.clone())).collect()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn row(&self, broker: &str) -> Option<Vec<u8>> {
        serde_json::to_vec(self.brokers.get(broker)?).ok()
    }
}

impl Outbox {
    /// Adds a nonce to those that this box told, before it tells it: it is on the device when this returns.
    ///
    /// # Errors
    /// The store fails, or the nonce is longer than [`NONCE_MAX_BYTES`].
    pub fn add_nonce(&self, nonce: &str) -> Result<(), OutboxError> {
        if nonce.len() > NONCE_MAX_BYTES {
            return Err(OutboxError::TooLong { what: "the nonce", bytes: nonce.len() });
        }
        self.writing(|_| {
            if self.knows_nonce(nonce) {
                return Ok(());
            }
            let (number, gone) = {
                let memory = self.remembered.memory();
                let number = memory.nonces.last_key_value().map_or(1, |(number, _)| number + 1);
                let surplus = (memory.nonces.len() + 1).saturating_sub(NONCES_MAX);
                (number, memory.nonces.keys().copied().take(surplus).collect::<Vec<_>>())
            };
            let mut batch = sled::Batch::default();
            for gone in &gone {
                batch.remove(&layout::nonce_key(*gone));
            }
            batch.insert(&layout::nonce_key(number), nonce);
            let db = self.db();
            apply(open_db(db.as_ref())?, batch)?;
            flush(open_db(db.as_ref())?)?;
            let mut memory = self.remembered.memory();
            memory.nonces.retain(|number, _| !gone.contains(number));
            memory.nonces.insert(number, nonce.to_owned());
            Ok(())
        })
    }

    /// Whether this box told a nonce, as far as it remembers. Never waits for the store.
    #[must_use]
    pub fn knows_nonce(&self, nonce: &str) -> bool {
        self.remembered.memory().nonces.values().any(|known| known == nonce)
    }

    /// Notes which checkpoint a broker (`host:port`) is known to hold retained. The first of a broker and of a stream is
    /// on the device when this returns; later ones do not wait for the store.
    ///
    /// # Errors
    /// The store fails.
    pub fn note_retained(&self, broker: &str, stream: StreamId, acknowledged: u64) -> Result<(), OutboxError> {
        let is_first = {
            let mut memory = self.remembered.memory();
            let stream = stream.to_string();
            let known = memory.brokers.get(broker).map(|known| &known.retained);
            if known.is_some_and(|known| known.stream == stream && known.acknowledged == acknowledged) {
                return Ok(());
            }
            let retained = memory.of(broker);
            let is_first = retained.stream != stream;
            (retained.stream, retained.acknowledged) = (stream, acknowledged);
            is_first
        };
        if is_first { self.write_remembered() } else { Ok(()) }
    }

    /// What a broker (`host:port`) is known to hold retained. Never waits for the store.
    #[must_use]
    pub fn retained(&self, broker: &str) -> Option<Retained> {
        self.remembered.memory().brokers.get(broker).map(|known| known.retained.clone())
    }

    /// Notes durably when what a broker forgot was sent again.
    ///
    /// # Errors
    /// The store fails.
    pub fn note_resent(&self, broker: &str, at: DateTime<Utc>) -> Result<(), OutboxError> {
        self.remembered.memory().of(broker).resent = Some(at);
        self.write_remembered()
    }

    fn write_remembered(&self) -> Result<(), OutboxError> {
        self.writing(|_| {
            let mut batch = sled::Batch::default();
            let rows = self.remembered.stage(&mut batch);
            let db = self.db();
            apply(open_db(db.as_ref())?, batch)?;
            flush(open_db(db.as_ref())?)?;
            self.remembered.written(rows);
            Ok(())
        })
    }
}
