//! What the POS has shown already: per identity its content id and what a closing needs.
//!
//! Keys in random order would pin sled's segments for ever, so entries are grouped by the hour of the sale and packed
//! into small pages: new sales touch the newest page, and old hours are dropped as a range. An identity whose time was
//! edited must still be found, so a compact locator in memory knows for a hash of each identity the hour under which
//! its entry stands; a collision costs a look, never a mistake, since the page holds the whole identity.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    ops::RangeInclusive,
};

use chrono::{DateTime, Days, NaiveDate, Utc};

use super::{
    engine,
    layout::{self, connection_key, read_bytes, read_number, read_text, write_number, write_text},
};
use crate::{amount::Amount, config::Currency, content::ContentId, transaction::Kind, transaction::Resource};

/// A page takes entries until it holds this many bytes; so a sale rewrites at most about its own size.
const PAGE_BYTES: usize = 1_024;

/// A page that is written anyway takes this much more, so that a commit of many records writes few pages.
const FRESH_PAGE_BYTES: usize = 4 * 1_024;

/// Hours are counted from here; no accepted record is older.
const EPOCH_SECONDS: i64 = 946_684_800; // 2000-01-01T00:00:00Z

/// Bits of the locator that hold the hour; the others hold the identity's hash.
const HOUR_BITS: u32 = 24;

/// The name of a record within its connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// A record that was read.
    Record(Resource, String),
    /// A record that was put aside, by the content id of what was found.
    Quarantined(String),
}

/// What a closing counts of a record, and what its connector remembers it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub kind: Kind,
    pub currency: Currency,
    pub amount: Amount,
    pub business_date: NaiveDate,
    /// The record's own time, to the second.
    pub at: DateTime<Utc>,
    /// A number of the connector's own.
    pub mark: u64,
    /// HQ was told that the source no longer shows it.
    pub vanished: bool,
}

/// The latest state of an identity that was stored as an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub identity: Identity,
    pub content: ContentId,
    /// `None` for a quarantined record.
    pub standing: Option<Standing>,
    /// How many different contents were stored, from 1.
    pub revision: u32,
    /// The number of the event that holds the latest.
    pub sequence: u64,
}

/// Hours since 2000-01-01 UTC.
pub fn hour_of(instant: DateTime<Utc>) -> u32 {
    u32::try_from((instant.timestamp() - EPOCH_SECONDS) / 3600).unwrap_or(0).min((1 << HOUR_BITS) - 1)
}

/// A page's place: connection, hour, number within the hour.
type PagePlace = (String, u32, u16);

/// The locator, and the pages that the running commit has touched.
#[derive(Debug, Default)]
pub struct SeenIndex {
    locator: BTreeSet<u64>,
    /// Pages read or changed since the last [`SeenIndex::forget_pages`]; `true` marks a changed one.
    pages: BTreeMap<PagePlace, (Vec<Seen>, bool)>,
    /// Hours whose pages are all in `pages`.
    loaded: BTreeSet<(String, u32)>,
    /// What leaves the locator once the running commit is stored.
    expired: Vec<u64>,
}

impl SeenIndex {
    /// Builds the locator from every page of the store.
    pub fn open(tree: &sled::Tree) -> sled::Result<Self> {
        let mut index = Self::default();
        for row in tree.scan_prefix([layout::SEEN]) {
            let (key, value) = row?;
            let Some((connection, hour, _)) = read_page_key(&key) else { continue };
            for seen in read_page(&value) {
                index.locator.insert(locate(&connection, &seen.identity, hour));
            }
        }
        Ok(index)
    }

    /// The latest state of an identity, if it was seen.
    pub fn find(&mut self, tree: &sled::Tree, connection: &str, identity: &Identity) -> sled::Result<Option<&Seen>> {
        let Some((place, at)) = self.place(tree, connection, identity)? else { return Ok(None) };
        Ok(self.pages.get(&place).and_then(|(page, _)| page.get(at)))
    }

    /// Puts a new or changed state under `hour`; one that stands under another hour is moved there.
    pub fn put(&mut self, tree: &sled::Tree, connection: &str, hour: u32, seen: Seen) -> sled::Result<()> {
        if let Some((place, at)) = self.place(tree, connection, &seen.identity)?
            && let Some((page, changed)) = self.pages.get_mut(&place)
        {
            *changed = true;
            if place.1 == hour {
                page[at] = seen;
                return Ok(());
            }
            page.remove(at);
            self.expired.push(locate(connection, &seen.identity, place.1));
        }
        let located = locate(connection, &seen.identity, hour);
        // It may come back to where it was moved from.
        self.expired.retain(|expired| *expired != located);
        self.locator.insert(located);
        let number = self.open_page(tree, connection, hour)?;
        let (page, changed) = self.pages.entry((connection.to_owned(), hour, number)).or_default();
        page.push(seen);
        *changed = true;
        Ok(())
    }

    /// Whether the running commit has changed anything here.
    pub fn has_changes(&self) -> bool {
        self.pages.values().any(|(_, changed)| *changed)
    }

    /// Adds every changed page to a batch.
    pub fn write(&self, batch: &mut sled::Batch) {
        for ((connection, hour, number), (page, _)) in self.pages.iter().filter(|(_, (_, changed))| *changed) {
            let mut value = Vec::with_capacity(PAGE_BYTES * 2);
            for seen in page {
                write_entry(seen, &mut value);
            }
            batch.insert(page_key(connection, *hour, *number), value);
        }
    }

    /// The commit is stored: what it removed is not looked for any more.
    pub fn committed(&mut self) {
        for expired in std::mem::take(&mut self.expired) {
            self.locator.remove(&expired);
        }
    }

    /// Drops the pages from memory: after a commit, or to take back what a failed one did to them.
    pub fn forget_pages(&mut self) {
        self.expired.clear();
        self.pages.clear();
        self.loaded.clear();
    }

    /// Adds the removal of up to `most` pages of hours before `first_kept` to a batch.
    pub fn expire(
        &mut self,
        tree: &sled::Tree,
        connection: &str,
        first_kept: u32,
        most: usize,
        batch: &mut sled::Batch,
    ) -> sled::Result<()> {
        let range = connection_key(layout::SEEN, connection, &[])..page_key(connection, first_kept, 0);
        for row in tree.range(range).take(most) {
            let (key, value) = row?;
            let Some((_, hour, _)) = read_page_key(&key) else { continue };
            for seen in read_page(&value) {
                self.expired.push(locate(connection, &seen.identity, hour));
            }
            batch.remove(key);
        }
        Ok(())
    }

    /// The states of a connection that stand under some hours, as the store holds them: page by page, with the hour.
    pub fn between(
        tree: &sled::Tree,
        connection: &str,
        hours: RangeInclusive<u32>,
    ) -> impl Iterator<Item = sled::Result<(u32, Vec<Seen>)>> + use<> {
        let pages = tree.range(page_key(connection, *hours.start(), 0)..=page_key(connection, *hours.end(), u16::MAX));
        pages.filter_map(|row| {
            let (key, value) = match row {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            };
            read_page_key(&key).map(|(_, hour, _)| Ok((hour, read_page(&value))))
        })
    }

    fn place(
        &mut self,
        tree: &sled::Tree,
        connection: &str,
        identity: &Identity,
    ) -> sled::Result<Option<(PagePlace, usize)>> {
        let first = locate(connection, identity, 0);
        let hours: Vec<u32> = self
            .locator
            .range(first..=first | ((1 << HOUR_BITS) - 1))
            .map(|found| u32::try_from(found & ((1 << HOUR_BITS) - 1)).unwrap_or(0))
            .collect();
        for hour in hours {
            self.load(tree, connection, hour)?;
            let bucket = (connection.to_owned(), hour, 0)..=(connection.to_owned(), hour, u16::MAX);
            for (place, (page, _)) in self.pages.range(bucket) {
                if let Some(at) = page.iter().position(|seen| seen.identity == *identity) {
                    return Ok(Some((place.clone(), at)));
                }
            }
        }
        Ok(None)
    }

    /// The number of the page that takes a new entry of an hour.
    fn open_page(&mut self, tree: &sled::Tree, connection: &str, hour: u32) -> sled::Result<u16> {
        let (first, last) = ((connection.to_owned(), hour, 0), (connection.to_owned(), hour, u16::MAX));
        let newest =
            |index: &Self| index.pages.range(first.clone()..=last.clone()).next_back().map(|(place, _)| place.2);
        // What a commit adds goes behind what it has added already; only its first look goes to the store.
        if newest(self).is_none_or(|number| !self.pages[&(connection.to_owned(), hour, number)].1) {
            let known = newest(self).unwrap_or(0);
            let key = |number| page_key(connection, hour, u16::try_from(number).unwrap_or(u16::MAX));
            if let Some((key, value)) = engine::newest(tree, known.into(), u16::MAX.into(), key)?
                && let Some(place) = read_page_key(&key)
            {
                self.pages.entry(place).or_insert_with(|| (read_page(&value), false));
            }
        }
        Ok(match newest(self) {
            None => 0,
            Some(number) => {
                let (page, changed) = &self.pages[&(connection.to_owned(), hour, number)];
                let bytes = page.iter().map(entry_bytes).sum::<usize>();
                let most = if *changed { FRESH_PAGE_BYTES } else { PAGE_BYTES };
                if bytes < most || number == u16::MAX { number } else { number + 1 }
            }
        })
    }

    fn load(&mut self, tree: &sled::Tree, connection: &str, hour: u32) -> sled::Result<()> {
        if !self.loaded.insert((connection.to_owned(), hour)) {
            return Ok(());
        }
        for row in tree.scan_prefix(connection_key(layout::SEEN, connection, &hour.to_be_bytes())) {
            let (key, value) = row?;
            if let Some(place) = read_page_key(&key) {
                self.pages.entry(place).or_insert_with(|| (read_page(&value), false));
            }
        }
        Ok(())
    }
}

fn locate(connection: &str, identity: &Identity, hour: u32) -> u64 {
    let mut hasher = DefaultHasher::new();
    (connection, identity).hash(&mut hasher);
    hasher.finish() << HOUR_BITS | u64::from(hour)
}

fn page_key(connection: &str, hour: u32, number: u16) -> Vec<u8> {
    let mut rest = hour.to_be_bytes().to_vec();
    rest.extend_from_slice(&number.to_be_bytes());
    connection_key(layout::SEEN, connection, &rest)
}

fn read_page_key(key: &[u8]) -> Option<PagePlace> {
    let (kind, rest) = key.split_first()?;
    let end = rest.len().checked_sub(7)?;
    let (connection, rest) = rest.split_at(end);
    let ([0], rest) = rest.split_first_chunk()? else { return None };
    let (hour, number) = rest.split_first_chunk()?;
    (*kind == layout::SEEN).then_some(())?;
    Some((
        String::from_utf8(connection.to_vec()).ok()?,
        u32::from_be_bytes(*hour),
        u16::from_be_bytes(number.try_into().ok()?),
    ))
}

const RESOURCES: [Resource; 6] = [
    Resource::Transaction,
    Resource::Invoice,
    Resource::ReturnInvoice,
    Resource::Order,
    Resource::ReturnOrder,
    Resource::OrderRefund,
];
const KINDS: [Kind; 5] = [Kind::Sale, Kind::Refund, Kind::Order, Kind::OrderReturn, Kind::Void];
const QUARANTINED: u8 = u8::MAX;

/// The place of a value in its list of codes.
fn code<T: PartialEq>(list: &[T], value: &T) -> u8 {
    let at = list.iter().position(|listed| listed == value);
    u8::try_from(at.expect("every value stands in its list of codes")).expect("a list of codes is short")
}

/// About what an entry takes.
fn entry_bytes(seen: &Seen) -> usize {
    let (Identity::Record(_, id) | Identity::Quarantined(id)) = &seen.identity;
    id.len() + 40 + seen.standing.map_or(0, |standing| if standing.mark == 0 { 22 } else { 30 })
}

fn write_entry(seen: &Seen, out: &mut Vec<u8>) {
    let (resource, id) = match &seen.identity {
        Identity::Record(resource, id) => (code(&RESOURCES, resource), id),
        Identity::Quarantined(hash) => (QUARANTINED, hash),
    };
    out.push(resource);
    write_text(id, out);
    out.extend_from_slice(&seen.content.0);
    write_number(seen.revision.into(), out);
    write_number(seen.sequence, out);
    if let Some(standing) = &seen.standing {
        out.push(code(&KINDS, &standing.kind));
        out.extend_from_slice(standing.currency.as_str().as_bytes());
        write_text(&standing.amount.to_string(), out);
        let days = (standing.business_date - NaiveDate::default()).num_days();
        write_number(u64::try_from(days).unwrap_or(0), out);
        write_number(u64::try_from(standing.at.timestamp() - EPOCH_SECONDS).unwrap_or(0), out);
        out.push(u8::from(standing.vanished) | u8::from(standing.mark != 0) << 1);
        if standing.mark != 0 {
            out.extend_from_slice(&standing.mark.to_be_bytes());
        }
    }
}

/// Reads entries up to the first that cannot be read; what is lost here is read again from the source.
fn read_page(mut value: &[u8]) -> Vec<Seen> {
    std::iter::from_fn(|| read_entry(&mut value)).collect()
}

fn read_entry(from: &mut &[u8]) -> Option<Seen> {
    let resource = read_bytes::<1>(from)?[0];
    let id = read_text(from)?;
    let content = ContentId(*read_bytes(from)?);
    let revision = u32::try_from(read_number(from)?).ok()?;
    let sequence = read_number(from)?;
    if resource == QUARANTINED {
        return Some(Seen { identity: Identity::Quarantined(id), content, standing: None, revision, sequence });
    }
    let kind = *KINDS.get(usize::from(read_bytes::<1>(from)?[0]))?;
    let currency = Currency::parse(std::str::from_utf8(read_bytes::<3>(from)?).ok()?)?;
    let amount = Amount::parse(&read_text(from)?).ok()?;
    let business_date = NaiveDate::default().checked_add_days(Days::new(read_number(from)?))?;
    let at = DateTime::from_timestamp(i64::try_from(read_number(from)?).ok()? + EPOCH_SECONDS, 0)?;
    let traits = read_bytes::<1>(from)?[0];
    let mark = if traits & 2 == 0 { 0 } else { u64::from_be_bytes(*read_bytes(from)?) };
    let identity = Identity::Record(*RESOURCES.get(usize::from(resource))?, id);
    let standing = Some(Standing { kind, currency, amount, business_date, at, mark, vanished: traits & 1 != 0 });
    Some(Seen { identity, content, standing, revision, sequence })
}
