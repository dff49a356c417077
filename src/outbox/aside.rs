//! Records that were put aside: a list per connection, of what could not be read and since when.
//!
//! HQ was told of each when it was found. The list is for a technician, who can see what it is about, and for the next
//! version of this program, which reads those records again. An entry leaves when its record is read at last, and HQ is
//! told that too. Its day is not complete as long as it stands here. One whose record cannot be recognized leaves when
//! what was seen is forgotten: one without an id, and one of two with the same id, of which the other is read at every
//! poll. One that a person dismissed stays here, so that it is not put aside anew and its day is not called complete.
//!
//! Deliberately absent: the source's text, and telling HQ of what leaves the list otherwise.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Dismissed, Outbox, OutboxError, ReadAgain,
    layout::{self, connection_key},
    meta::{Meta, VERSION},
};
use crate::{
    content::ContentId,
    instant::rfc3339_utc,
    pos::{
        connector::RESCAN_HORIZON,
        page::{Interval, Quarantined, Reason},
    },
    transaction::{Resource, Transaction},
};

/// Entries of one connection; beyond them the oldest leave the list.
pub const ASIDE_MAX: usize = 500;

/// How far a till's clock may be ahead of ours.
const AHEAD: TimeDelta = TimeDelta::minutes(10);

/// How far before what was read up to then a record may lie that was put aside: the windows of an answer.
const BEFORE: TimeDelta = TimeDelta::days(2);

/// A record that was put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// Where it stood, and why.
    pub quarantined: Quarantined,
    /// When it was found.
    #[serde(with = "rfc3339_utc")]
    pub observed_at: DateTime<Utc>,
    /// The version of this program that could not read it.
    pub version: String,
    /// Everything up to here had been read by then, so the record lies not long before: in a backfill it is old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_to: Option<DateTime<Utc>>,
    /// A person's word that it needs no more attention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dismissed: Option<Dismissed>,
}

impl Aside {
    pub(super) fn key(&self, connection: &str) -> Vec<u8> {
        // By time, so that the oldest come first.
        let second = u64::try_from(self.observed_at.timestamp()).unwrap_or(0);
        let mut rest = second.to_be_bytes().to_vec();
        rest.extend_from_slice(&self.quarantined.hash.0);
        connection_key(layout::ASIDE, connection, &rest)
    }

    /// Whether a record that was read is this one.
    pub(super) fn is(&self, transaction: &Transaction) -> bool {
        self.can_be_recognized()
            && self.quarantined.resource == transaction.resource
            && self.quarantined.external_id.as_ref() == Some(&transaction.external_id)
    }

    fn can_be_recognized(&self) -> bool {
        self.quarantined.external_id.is_some() && self.quarantined.reason != Reason::IdConflict
    }

    /// From when on the source is to be read again to meet it.
    fn read_from(&self) -> DateTime<Utc> {
        met_within(self.observed_at, self.read_to).from
    }

    /// Whether it may belong to a business day.
    fn touches(&self, day: NaiveDate, (begin, end): (DateTime<Utc>, DateTime<Utc>)) -> bool {
        if let Some(date) = self.quarantined.business_date {
            return date == day;
        }
        // An earlier version of this program did not note where.
        let window = self.quarantined.window.unwrap_or_else(|| met_within(self.observed_at, self.read_to));
        window.from < end && begin < window.to
    }

    /// The interval in which it lies, whatever the outlet's days are.
    fn interval(&self) -> Interval {
        let day = self.quarantined.business_date.map(|date| {
            let around = |day: Option<NaiveDate>| day.unwrap_or(date).and_time(NaiveTime::MIN).and_utc();
            Interval { from: around(date.pred_opt()), to: around(date.checked_add_days(Days::new(2))) }
        });
        day.or(self.quarantined.window).unwrap_or_else(|| met_within(self.observed_at, self.read_to))
    }
}

/// Where a record lies of which nothing is known but when it was met, and how far the source was read by then.
pub(super) fn met_within(observed_at: DateTime<Utc>, read_to: Option<DateTime<Utc>>) -> Interval {
    let by_observation = observed_at - RESCAN_HORIZON;
    let from = read_to.map_or(by_observation, |read_to| by_observation.min(read_to - BEFORE));
    Interval { from, to: observed_at + AHEAD }
}

/// Records for which the list had no room: where they lie, until the last of them is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crowd {
    count: u64,
    interval: Interval,
    #[serde(with = "rfc3339_utc")]
    last_observed_at: DateTime<Utc>,
}

impl Crowd {
    fn with(crowd: Option<Self>, aside: &Aside) -> Self {
        let (interval, at) = (aside.interval(), aside.observed_at);
        let Some(crowd) = crowd else { return Self { count: 1, interval, last_observed_at: at } };
        let (from, to) = (crowd.interval.from.min(interval.from), crowd.interval.to.max(interval.to));
        let last_observed_at = crowd.last_observed_at.max(at);
        Self { count: crowd.count.saturating_add(1), interval: Interval { from, to }, last_observed_at }
    }
}

/// What is put aside of one connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asides {
    /// The oldest first.
    pub list: Vec<Aside>,
    /// What had no room in it.
    pub crowd: Option<Crowd>,
}

impl Asides {
    /// How many records that are put aside belong, or may belong, to a business day with these bounds. One that was put
    /// aside in two forms is one; it is dismissed when both are.
    #[must_use]
    pub fn of_day(&self, day: NaiveDate, (begin, end): (DateTime<Utc>, DateTime<Utc>)) -> OfDay {
        let touching = self.list.iter().filter(|aside| aside.touches(day, (begin, end)));
        let name = |aside: &Aside| -> Result<(Resource, String), ContentId> {
            let id = aside.quarantined.external_id.clone().filter(|_| aside.can_be_recognized());
            id.map(|id| (aside.quarantined.resource, id)).ok_or(aside.quarantined.hash)
        };
        let mut is_dismissed: BTreeMap<_, bool> = BTreeMap::new();
        for aside in touching {
            *is_dismissed.entry(name(aside)).or_insert(true) &= aside.dismissed.is_some();
        }
        let dismissed = is_dismissed.values().filter(|dismissed| **dismissed).count() as u64;
        let waiting = is_dismissed.len() as u64 - dismissed;
        let crowd = self.crowd.filter(|crowd| crowd.interval.from < end && begin < crowd.interval.to);
        OfDay { waiting: waiting.saturating_add(crowd.map_or(0, |crowd| crowd.count)), dismissed }
    }
}

/// How many records that are put aside belong, or may belong, to a business day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OfDay {
    /// Those that wait to be read.
    pub waiting: u64,
    /// Those that a person dismissed.
    pub dismissed: u64,
}

/// What is put aside, by connection.
pub(super) type AsideList = BTreeMap<String, Asides>;

/// Reads the list from a store. What cannot be read of it is not in it: HQ has it.
pub(super) fn read(tree: &sled::Tree) -> Result<AsideList, OutboxError> {
    let mut list = AsideList::new();
    for row in tree.scan_prefix([layout::ASIDE]) {
        let (key, value) = row?;
        let connection = key[1..].split(|byte| *byte == 0).next().unwrap_or_default();
        let is_crowd = key.len() == connection.len() + 2;
        let asides = list.entry(String::from_utf8_lossy(connection).into_owned()).or_default();
        if is_crowd {
            asides.crowd = serde_json::from_slice(&value).ok();
        } else if let Ok(aside) = serde_json::from_slice(&value) {
            asides.list.push(aside);
        }
    }
    Ok(list)
}

/// Changes a connection's list in a commit: what was `read` leaves, what was `found` joins, and what is too old or too
/// much leaves with it; what is too much stays known as a crowd. Gives the list as it is then.
pub(super) fn stage(
    connection: &str,
    asides: &Asides,
    read: &BTreeSet<ContentId>,
    found: Vec<Aside>,
    retained_since: DateTime<Utc>,
    batch: &mut sled::Batch,
) -> Option<Asides> {
    let stays = |aside: &Aside| {
        !read.contains(&aside.quarantined.hash) && (aside.can_be_recognized() || aside.observed_at >= retained_since)
    };
    let (mut kept, mut gone): (Vec<_>, Vec<_>) = asides.list.iter().cloned().partition(stays);
    let mut crowd = asides.crowd.filter(|crowd| crowd.last_observed_at >= retained_since);
    if gone.is_empty() && found.is_empty() && crowd == asides.crowd {
        return None;
    }
    let found_from = kept.len();
    kept.extend(found);
    let gone_from = kept.len().saturating_sub(ASIDE_MAX);
    for aside in kept.drain(..gone_from) {
        crowd = Some(Crowd::with(crowd, &aside));
        gone.push(aside);
    }
    if crowd != asides.crowd {
        let key = connection_key(layout::ASIDE, connection, &[]);
        match crowd {
            Some(crowd) => batch.insert(key, serde_json::to_vec(&crowd).unwrap_or_default()),
            None => batch.remove(key),
        }
    }
    for aside in &gone {
        batch.remove(aside.key(connection));
    }
    for aside in &kept[found_from.saturating_sub(gone_from)..] {
        batch.insert(aside.key(connection), serde_json::to_vec(aside).unwrap_or_default());
    }
    Some(Asides { list: kept, crowd })
}

/// Notes which version reads. If another one did before, what is put aside is to be read again: as far back as what was
/// seen is remembered, since before that everything would look new.
pub(super) fn read_again_by_this_version(
    meta: &mut Meta,
    read_by: &str,
    list: &AsideList,
    retained_since: DateTime<Utc>,
    connections: &[(String, String)],
) {
    if read_by != VERSION {
        for (connection, asides) in list.iter().filter(|(name, _)| connections.iter().any(|(known, _)| known == *name))
        {
            if let Some(since) = asides.list.iter().map(Aside::read_from).min() {
                ask_again(&mut meta.read_again, connection, since.max(retained_since + TimeDelta::days(1)));
            }
        }
    }
    VERSION.clone_into(&mut meta.read_by);
}

/// A connection is to be read again from an instant on, or from an earlier one that it was asked for already.
pub(super) fn ask_again(asked: &mut ReadAgain, connection: &str, since: DateTime<Utc>) {
    asked.entry(connection.to_owned()).and_modify(|asked| *asked = since.min(*asked)).or_insert(since);
}

impl Outbox {
    /// What is put aside, by connection, the oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn put_aside(&self) -> Result<BTreeMap<String, Vec<Aside>>, OutboxError> {
        let asides = self.reading(read)?.into_iter();
        Ok(asides.filter(|(_, of)| !of.list.is_empty()).map(|(connection, of)| (connection, of.list)).collect())
    }

    /// What of one connection is put aside now.
    #[must_use]
    pub fn asides(&self, connection: &str) -> Asides {
        self.writer().aside.get(connection).cloned().unwrap_or_default()
    }
}
