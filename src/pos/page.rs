//! One answer of a point of sale, read: its records, and what had to be put aside.
//!
//! A bad element never spoils its neighbours. Of one that is put aside only its place, its fault, its size and its hash
//! are kept: its text may hold names and card numbers, and the source still has it.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
};

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    body::{BodyFault, JsonType},
    raw::{ELEMENTS_MAX, RECORD_MAX_BYTES, Raw, Read, Unreadable, VALUES_MAX},
};
use crate::{
    amount::Amount,
    config::Currency,
    content::ContentId,
    instant::{SourceTime, rfc3339_utc},
    transaction::{
        Amounts, CurrencySource, Flag, Kind, Outlet, PaymentStatus, Resource, Schema, SourceSystem, Status, Transaction,
    },
    zone::Zone,
};

/// Names of unknown fields that are kept per page, and the characters that are kept of each.
const UNKNOWN_FIELDS_MAX: usize = 32;
const UNKNOWN_FIELD_CHARS_MAX: usize = 64;

/// Values in the records of one page, nested ones too: a hundred sales of 300 lines of three members each have fewer.
pub const PAGE_VALUES_MAX: usize = 150_000;

/// What a parser must know besides the body.
#[derive(Debug, Clone)]
pub struct ParseContext {
    /// The configured name of the account.
    pub connection: String,
    /// Where the shop stands: its business days.
    pub outlet_zone: Zone,
    /// In which the source means its times that have no offset.
    pub source_zone: Zone,
    /// Of amounts whose currency the source does not state.
    pub currency: Currency,
    /// Local time at which a business day begins.
    pub business_day_starts: NaiveTime,
    /// When the body was read.
    pub observed_at: DateTime<Utc>,
}

/// What no record can be without.
#[derive(Debug, Clone)]
pub struct Head {
    /// The kind of system that was asked.
    pub source_system: SourceSystem,
    /// What list of the source's the record is from.
    pub resource: Resource,
    /// The source's key.
    pub external_id: String,
    /// What it means for the day's money.
    pub kind: Kind,
    /// The total, a magnitude.
    pub amount: Amount,
    /// When it was made.
    pub time: SourceTime,
}

impl ParseContext {
    /// The business day of the first of these members that tells a time: for an element that is no record otherwise.
    #[must_use]
    pub fn day_of(&self, members: &Map<String, Value>, fields: &[&str]) -> Option<NaiveDate> {
        let time = |field: &&str| SourceTime::parse(members.get(*field)?.as_str()?, &self.source_zone).ok();
        let at = fields.iter().find_map(time)?.at.with_timezone(&Utc);
        Some(self.outlet_zone.business_date(at, self.business_day_starts))
    }

    /// A record of which the source says no more than its head; a parser fills in what else it finds. No flag is set.
    #[must_use]
    pub fn record(&self, head: Head) -> Transaction {
        let Head { source_system, resource, external_id, kind, amount, time } = head;
        Transaction {
            schema: Schema,
            source_system,
            connection: self.connection.clone(),
            resource,
            external_id,
            external_ref: None,
            kind,
            revision: 1,
            status: Status::Unknown,
            status_raw: None,
            payment_status: PaymentStatus::Unknown,
            amount,
            payment_method: None,
            outlet_id: None,
            timestamp: time.at,
            timestamp_raw: time.raw,
            timestamp_precision: time.precision,
            business_date: self.outlet_zone.business_date(time.at.with_timezone(&Utc), self.business_day_starts),
            source_updated_at: None,
            observed_at: self.observed_at,
            outlet: Outlet::default(),
            currency: self.currency,
            currency_source: CurrencySource::Configured,
            amounts: Amounts::total_only(amount),
            tax_included: None,
            items: None,
            taxes: Vec::new(),
            discounts: Vec::new(),
            payments: Vec::new(),
            related: Vec::new(),
            party: None,
            flags: BTreeSet::new(),
            extra: Map::new(),
        }
    }
}

/// What an answer holds.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// In the source's order; each identity once.
    pub records: Vec<Transaction>,
    /// In the source's order.
    pub quarantined: Vec<Quarantined>,
    /// The elements that the source sent, repeats and bad ones included: what its limit counts.
    pub rows: usize,
    /// Fields that this version does not know, as paths such as `/transactions/*/tip`: a first sign that the source has
    /// changed. At most 32, each name cut after 64 characters; their values were not kept.
    pub unknown_fields: BTreeSet<String>,
}

/// An element that could not become a record. It holds none of its text but a usable id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// What the element should have been.
    pub resource: Resource,
    /// The element's place in the body, a JSON pointer.
    pub pointer: String,
    /// The member at fault.
    pub field: Option<Cow<'static, str>>,
    /// The rule that it broke.
    pub reason: Reason,
    /// What should stand there.
    pub expected: Cow<'static, str>,
    /// The type of what stands there.
    pub found: JsonType,
    /// The element's length in the body.
    pub size_bytes: usize,
    /// The element's content, to tell whether it is still the same: the id of its canonical JSON, or of its bytes where
    /// it is [`Reason::Unreadable`] or [`Reason::TooLarge`].
    pub hash: ContentId,
    /// Where that much could be read.
    pub external_id: Option<String>,
    /// The business day to which it belongs, where its time could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business_date: Option<NaiveDate>,
    /// Where its time could not be read: the interval in which it lies, as far as it is known where it was met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Interval>,
}

/// An interval of a source's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Begin, inclusive.
    #[serde(with = "rfc3339_utc")]
    pub from: DateTime<Utc>,
    /// End, exclusive.
    #[serde(with = "rfc3339_utc")]
    pub to: DateTime<Utc>,
}

/// Why an element is put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No object.
    NotAnObject,
    /// No JSON: a bracket or a quote is missing, or a word such as `NaN` stands there, or it is nested too deep.
    Unreadable,
    /// More than can be held: in bytes, or in values.
    TooLarge,
    /// No text or number stands where the id should.
    IdMissing,
    /// A text or number that cannot be an id.
    IdInvalid,
    /// The same answer has this id with other content.
    IdConflict,
    /// The total is no plain decimal number.
    AmountInvalid,
    /// The total has more digits than can be held exactly.
    AmountOutOfRange,
    /// The time is in no known form, does not exist or lies before 2000.
    TimestampInvalid,
    /// A status that this version does not know, where the kind depends on it.
    StatusUnknown,
}

/// A parser's reason for not making a record of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The member at fault.
    pub field: &'static str,
    /// The rule that it broke.
    pub reason: Reason,
    /// What should stand there.
    pub expected: &'static str,
    /// The type of what stands there.
    pub found: JsonType,
    /// The element's id, where that much could be read.
    pub external_id: Option<String>,
}

/// The names of fields that a parser does not know, within bounds.
#[derive(Debug, Default)]
pub struct UnknownFields(BTreeSet<String>);

impl UnknownFields {
    /// Notes those names that are not `known`; `place` is the path of their object, such as `/transactions/*`.
    pub fn note<'n>(&mut self, place: &str, names: impl IntoIterator<Item = &'n str>, known: &[&str]) {
        for name in names {
            if self.0.len() >= UNKNOWN_FIELDS_MAX {
                return;
            }
            if !known.contains(&name) {
                let shown = name.chars().take(UNKNOWN_FIELD_CHARS_MAX);
                let shown: String = shown.map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
                self.0.insert(format!("{place}/{shown}"));
            }
        }
    }
}

impl Page {
    /// Notes where the elements lie whose own time could not be read.
    pub fn met_within(&mut self, window: Interval) {
        for aside in self.quarantined.iter_mut().filter(|aside| aside.business_date.is_none()) {
            aside.window = Some(window);
        }
    }

    /// Reads a list of elements with a system's parser of one. `place` is the list's JSON pointer.
    ///
    /// Two elements with one id: an exact repeat is passed over; one with other content is put aside, and the first
    /// stays. `day` finds the business day of an element that `parse` refuses. A record of which some text was damaged is
    /// kept, and says so.
    ///
    /// # Errors
    /// The records hold more than can be held at once: [`BodyFault::TooMuch`], [`BodyFault::TooMany`].
    pub fn read(
        elements: &[Raw<'_>],
        place: &str,
        resource: Resource,
        mut unknown: UnknownFields,
        day: impl Fn(&Map<String, Value>) -> Option<NaiveDate>,
        mut parse: impl FnMut(&Map<String, Value>, &mut UnknownFields) -> Result<Transaction, Refusal>,
    ) -> Result<Self, BodyFault> {
        if elements.len() > ELEMENTS_MAX {
            return Err(BodyFault::TooMany);
        }
        let mut page = Self { rows: elements.len(), ..Self::default() };
        let mut seen: HashMap<String, ContentId> = HashMap::with_capacity(elements.len());
        let mut values = 0_usize;
        for (n, raw) in elements.iter().enumerate() {
            let element = Element { raw: *raw, pointer: format!("{place}/{n}"), resource };
            let Read { value, mended, values: more } = match raw.read() {
                Ok(read) => read,
                Err(unreadable) => {
                    page.quarantined.push(element.unreadable(unreadable));
                    continue;
                }
            };
            values = values.saturating_add(more);
            if values > PAGE_VALUES_MAX {
                return Err(BodyFault::TooMuch);
            }
            let Value::Object(members) = &value else {
                page.quarantined.push(element.not_an_object(&value));
                continue;
            };
            match parse(members, &mut unknown) {
                Err(refusal) => {
                    let aside = element.refused(&value, refusal);
                    page.quarantined.push(Quarantined { business_date: day(members), ..aside });
                }
                Ok(mut record) => {
                    if mended {
                        record.flags.insert(Flag::TextMended);
                    }
                    let id = record.content_id();
                    match seen.get(&record.external_id) {
                        Some(first) if *first == id => {}
                        Some(_) => page.quarantined.push(element.conflicting(&value, record)),
                        None => {
                            seen.insert(record.external_id.clone(), id);
                            page.records.push(record);
                        }
                    }
                }
            }
        }
        page.unknown_fields = unknown.0;
        Ok(page)
    }

    /// Reads as many of the first elements as can be held at once; gives why others were left, too.
    ///
    /// # Errors
    /// As `read` gives them, of a list that can be held.
    pub fn read_what_can_be_held(
        elements: &[Raw<'_>],
        read: impl Fn(&[Raw<'_>]) -> Result<Self, BodyFault>,
    ) -> Result<(Self, Option<BodyFault>), BodyFault> {
        let (mut some, mut left) = (elements, None);
        loop {
            match read(some) {
                Err(fault @ (BodyFault::TooMuch | BodyFault::TooMany)) if some.len() > 1 => {
                    (some, left) = (&some[..some.len() / 2], Some(fault));
                }
                other => return other.map(|page| (page, left)),
            }
        }
    }

    /// Whether the list holds something else than records: no answer, then, and no proof of anything. A record that
    /// cannot be read is one all the same.
    #[must_use]
    pub fn is_of_something_else(&self) -> bool {
        let is_record = |aside: &Quarantined| match aside.reason {
            Reason::NotAnObject => false,
            Reason::Unreadable | Reason::TooLarge => aside.found == JsonType::Object,
            _ => true,
        };
        self.rows > 0 && self.records.is_empty() && !self.quarantined.iter().any(is_record)
    }
}

/// An element on its way to quarantine.
struct Element<'a> {
    raw: Raw<'a>,
    pointer: String,
    resource: Resource,
}

impl Element<'_> {
    fn unreadable(self, unreadable: Unreadable) -> Quarantined {
        let (reason, expected) = told(unreadable);
        let found = self.raw.json_type();
        let hash = ContentId::of_bytes(self.raw.bytes());
        self.put_aside(hash, reason, expected, found)
    }

    fn not_an_object(self, value: &Value) -> Quarantined {
        self.put_aside(ContentId::of_json(value), Reason::NotAnObject, "an object", JsonType::of(Some(value)))
    }

    fn conflicting(self, value: &Value, record: Transaction) -> Quarantined {
        let expected = "one content for one id in one answer";
        let aside = self.put_aside(ContentId::of_json(value), Reason::IdConflict, expected, JsonType::Object);
        let (external_id, business_date) = (Some(record.external_id), Some(record.business_date));
        Quarantined { external_id, business_date, ..aside }
    }

    fn refused(self, value: &Value, refusal: Refusal) -> Quarantined {
        let Refusal { field, reason, expected, found, external_id } = refusal;
        let aside = self.put_aside(ContentId::of_json(value), reason, expected, found);
        Quarantined { field: Some(field.into()), external_id, ..aside }
    }

    fn put_aside(self, hash: ContentId, reason: Reason, expected: &'static str, found: JsonType) -> Quarantined {
        Quarantined {
            resource: self.resource,
            pointer: self.pointer,
            field: None,
            reason,
            expected: expected.into(),
            found,
            size_bytes: self.raw.bytes().len(),
            hash,
            external_id: None,
            business_date: None,
            window: None,
        }
    }
}

/// The rule that an element broke which is no readable JSON.
#[must_use]
pub fn told(unreadable: Unreadable) -> (Reason, &'static str) {
    const { assert!(RECORD_MAX_BYTES == 1024 * 1024 && VALUES_MAX == 100_000, "the texts below tell them") };
    match unreadable {
        Unreadable::NotJson => (Reason::Unreadable, "JSON, nested at most 127 deep"),
        Unreadable::TooLarge => (Reason::TooLarge, "a record of at most 1 MiB"),
        Unreadable::TooMany => (Reason::TooLarge, "a record of at most 100,000 values"),
    }
}
