//! Sales that were stored and are no longer there: noticed by the re-readings, which alone see whole stretches again.
//!
//! A stored sale that a re-reading should have shown is a suspect, not more: its time may have been edited from a window
//! that was still to be asked into one that had been, or the server had a bad minute. Only one that two re-readings
//! missed, half an hour apart, and that no answer of any tier showed in between, counts as gone.
//!
//! Where none of many stored sales is shown, the source was reset or answers nonsense: that is one word for a person, and
//! no sale is suspected for it.
//!
//! Deliberately absent: a memory of suspects over a restart. The next two re-readings find them again.

use std::{
    collections::{BTreeMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use super::windows::Window;
use crate::{
    pos::{connector::Memory, page::Page},
    transaction::Resource,
    zone::Zone,
};

/// From the end of the reading that missed a sale first to the begin of the one that makes it certain, at least.
const APART: TimeDelta = TimeDelta::minutes(30);

/// Sales that are suspected at the same time; further ones are found once these are told.
const SUSPECTS_MAX: usize = 1_000;

/// A suspect that no re-reading reached again for so long is none any more: it lies behind all that are made.
const SUSPECTED_MAX: TimeDelta = TimeDelta::days(3);

/// So many stored sales, of which none is shown, are no chance.
const MANY: usize = 20;

/// Ids that are noted in one re-reading; one with more tells nothing.
const NOTED_MAX: usize = 200_000;

/// What the running re-reading has shown, and what the ones before it missed.
#[derive(Debug, Default)]
pub struct Watch {
    /// The stretch, where it counts only as a whole.
    whole: Option<Window>,
    /// The windows of which every row was seen, in the order of their asking.
    proven: Vec<Window>,
    /// Something in it is not proven, or could be any sale.
    spoilt: bool,
    /// Hashes of the ids that any answer has shown since it began: two alike would only hide that one is gone.
    noted: HashSet<u64>,
    /// When the first of the readings that missed a sale ended.
    suspects: BTreeMap<String, DateTime<Utc>>,
}

/// What a re-reading lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Not enough of it is proven.
    Unknown,
    /// Everything that was stored: so many sales.
    All(usize),
    /// These sales are surely gone; others may be.
    Some(Vec<(Resource, String)>),
}

impl Watch {
    /// A re-reading begins; what the one before it noted is dropped.
    pub fn begin(&mut self, whole: Option<Window>) {
        (self.whole, self.spoilt) = (whole, false);
        self.proven.clear();
        self.noted = HashSet::new();
    }

    /// Notes what an answer shows, whatever it was asked for.
    pub fn note(&mut self, page: &Page) {
        let records = page.records.iter().map(|record| record.external_id.as_str());
        // A row that cannot be read is still there.
        let aside = page.quarantined.iter().filter_map(|aside| aside.external_id.as_deref());
        for id in records.chain(aside) {
            if self.noted.len() <= NOTED_MAX {
                self.noted.insert(hash(id));
            }
            self.suspects.remove(id);
        }
    }

    /// A window of the re-reading is done. One that is not `proven` shows nothing by what it lacks; nor does one with a
    /// row whose id cannot be read, as that may be any sale.
    pub fn done(&mut self, window: Window, proven: bool, page: &Page) {
        if proven && page.quarantined.iter().all(|aside| aside.external_id.is_some()) {
            match self.proven.last_mut() {
                Some(before) if before.to == window.from => before.to = window.to,
                _ => self.proven.push(window),
            }
        } else {
            self.spoilt = true;
        }
    }

    /// The re-reading is over: gives what it lacks.
    pub fn missing(&mut self, memory: &dyn Memory, zone: &Zone, begun: DateTime<Utc>, now: DateTime<Utc>) -> Missing {
        let (proven, noted) = (std::mem::take(&mut self.proven), std::mem::take(&mut self.noted));
        let proven = match self.whole {
            None => proven,
            Some(whole) if !self.spoilt => vec![whole],
            Some(_) => return Missing::Unknown,
        };
        let from = proven.iter().map(|window| window.from).min();
        let Some((from, to)) = from.zip(proven.iter().map(|window| window.to).max()) else {
            return Missing::Unknown;
        };
        if noted.len() > NOTED_MAX {
            return Missing::Unknown;
        }
        self.suspects.retain(|_, missed| now - *missed < SUSPECTED_MAX);
        let mut expected = memory.between(from, to);
        expected.retain(|known| {
            !known.vanished && known.resource == Resource::Transaction && is_within(span(known.at, zone), &proven)
        });
        let stored = expected.len();
        expected.retain(|known| !noted.contains(&hash(&known.external_id)));
        if expected.len() == stored && stored >= MANY {
            return Missing::All(stored);
        }
        let mut gone = Vec::new();
        for known in expected {
            match self.suspects.get(&known.external_id) {
                Some(missed) if begun - *missed >= APART => {
                    self.suspects.remove(&known.external_id);
                    gone.push((known.resource, known.external_id));
                }
                None if self.suspects.len() < SUSPECTS_MAX => {
                    self.suspects.insert(known.external_id, now);
                }
                Some(_) | None => {}
            }
        }
        Missing::Some(gone)
    }
}

/// Where a source may show a sale of this time: at its second; or, if that is midnight, anywhere in the day, as a date
/// without a time of day reads the same.
fn span(at: DateTime<Utc>, zone: &Zone) -> Window {
    let is_midnight = zone.local(at).time() == NaiveTime::MIN;
    Window { from: at, to: at + if is_midnight { TimeDelta::days(1) } else { TimeDelta::seconds(1) } }
}

fn is_within(span: Window, proven: &[Window]) -> bool {
    proven.iter().any(|window| window.from <= span.from && span.to <= window.to)
}

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}
