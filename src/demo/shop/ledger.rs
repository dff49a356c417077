//! What a point of sale's server knows, and since when: every version of every sale, so that a late upload or an edit
//! shows itself when its time has come and no thread has to push it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{Books, Movement, Sale};

/// All versions of all sales, by external id, oldest first. Absent are deletions by the box: it only reads.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    versions: BTreeMap<String, Vec<Version>>,
}

/// A sale as the server shows it, and its life there.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// What it is now.
    pub sale: &'a Sale,
    /// Since when the server knows it.
    pub first_known_at: DateTime<Utc>,
    /// Since when it is what it is now.
    pub known_at: DateTime<Utc>,
    versions: &'a [Version],
}

impl<'a> Shown<'a> {
    /// Every state that it was in until now, oldest first.
    #[must_use]
    pub fn states(&self) -> impl DoubleEndedIterator<Item = (DateTime<Utc>, &'a Sale)> {
        self.versions.iter().filter_map(|version| Some((version.known_at, version.sale.as_ref()?)))
    }
}

#[derive(Debug, Clone)]
struct Version {
    known_at: DateTime<Utc>,
    /// `None`: removed.
    sale: Option<Sale>,
}

impl Ledger {
    /// The server gets to know this version of a sale at `known_at`, which may lie in the future.
    pub fn put(&mut self, known_at: DateTime<Utc>, sale: Sale) {
        let versions = self.versions.entry(sale.id.clone()).or_default();
        let place = versions.partition_point(|version| version.known_at <= known_at);
        versions.insert(place, Version { known_at, sale: Some(sale) });
    }

    /// The sale disappears at `at`, with every later version that was already planned.
    pub fn remove(&mut self, at: DateTime<Utc>, id: &str) {
        if let Some(versions) = self.versions.get_mut(id) {
            versions.retain(|version| version.known_at <= at);
            versions.push(Version { known_at: at, sale: None });
        }
    }

    /// The sales as the server shows them at `now`, in the order of their ids, each with what the server knows of its
    /// life.
    pub fn shown(&self, now: DateTime<Utc>) -> impl Iterator<Item = Shown<'_>> {
        self.versions.values().filter_map(move |versions| {
            let known = versions.partition_point(|version| version.known_at <= now);
            let last = versions[..known].last()?;
            Some(Shown {
                sale: last.sale.as_ref()?,
                first_known_at: versions[0].known_at,
                known_at: last.known_at,
                versions: &versions[..known],
            })
        })
    }

    /// The sales as the server shows them at `now`, in the order of their ids.
    pub fn at(&self, now: DateTime<Utc>) -> impl Iterator<Item = &Sale> {
        self.versions.values().filter_map(move |versions| {
            let known = versions.partition_point(|version| version.known_at <= now);
            known.checked_sub(1).and_then(|last| versions[last].sale.as_ref())
        })
    }

    /// The books at `now`. A removed sale is not in them.
    #[must_use]
    pub fn books(&self, now: DateTime<Utc>) -> Books {
        self.at(now).collect()
    }
}

impl Extend<Movement> for Ledger {
    fn extend<I: IntoIterator<Item = Movement>>(&mut self, movements: I) {
        for movement in movements {
            self.put(movement.known_at, movement.sale);
        }
    }
}
