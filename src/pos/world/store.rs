//! What the box has stored, as the outbox remembers it.

use std::{collections::BTreeMap, sync::Mutex};

use chrono::{DateTime, Timelike as _, Utc};

use crate::{
    pos::connector::{Known, Memory},
    transaction::{Resource, Transaction},
};

pub type Id = (Resource, String);

/// `resource/external_id`, as a simulator's sheet has it.
pub fn key((resource, external_id): &Id) -> String {
    format!("{}/{external_id}", resource.name())
}

#[derive(Debug, Clone)]
pub struct Stored {
    pub known: Known,
    pub record: Transaction,
    /// How often it was news.
    pub revisions: u32,
}

/// What [`Store::put`] made of a record.
pub struct Put {
    pub is_news: bool,
    pub was_gone: bool,
}

#[derive(Debug, Default)]
pub struct Store(pub Mutex<BTreeMap<Id, Stored>>);

impl Memory for Store {
    fn find(&self, resource: Resource, external_id: &str) -> Option<Known> {
        self.get(resource, external_id).map(|stored| stored.known)
    }

    fn between(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Known> {
        let all = self.0.lock().unwrap();
        let known = all.values().map(|stored| &stored.known);
        known.filter(|known| from <= known.at && known.at < to).cloned().collect()
    }
}

impl Store {
    pub fn get(&self, resource: Resource, external_id: &str) -> Option<Stored> {
        self.0.lock().unwrap().get(&(resource, external_id.to_owned())).cloned()
    }

    pub fn put(&self, record: &Transaction, mark: Option<u64>) -> Put {
        let mut all = self.0.lock().unwrap();
        let id = (record.resource, record.external_id.clone());
        let before = all.get(&id);
        let is_news = before.is_none_or(|before| before.record.content_id() != record.content_id());
        let was_gone = before.is_some_and(|before| before.known.vanished);
        let known = Known {
            resource: record.resource,
            external_id: record.external_id.clone(),
            kind: record.kind,
            amount: record.amount,
            at: record.timestamp.to_utc().with_nanosecond(0).unwrap(),
            mark: mark.or(before.map(|before| before.known.mark)).unwrap_or(0),
            vanished: false,
        };
        let revisions = before.map_or(0, |before| before.revisions) + u32::from(is_news);
        all.insert(id, Stored { known, record: record.clone(), revisions });
        Put { is_news, was_gone }
    }

    pub fn vanish(&self, id: &Id) {
        let mut all = self.0.lock().unwrap();
        let stored = all.get_mut(id).expect("only what is stored can vanish");
        assert!(!std::mem::replace(&mut stored.known.vanished, true), "told twice: {id:?}");
    }

    /// Forgets what is older, as the outbox does.
    pub fn forget(&self, before: DateTime<Utc>) {
        self.0.lock().unwrap().retain(|_, stored| stored.known.at >= before);
    }
}
