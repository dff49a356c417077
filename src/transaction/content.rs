//! Which of a record's fields are its content: what the source states, in one spelling.
//!
//! Left out on purpose, so that reading a record again is no change: what is ours (connection, revision, `observed_at`,
//! business date, flags, who states the currency), the source's spellings (`*_raw`) and how finely it told a time.
//! Times are instants in UTC: the same instant with another offset is no change. `outlet_id` repeats `outlet`.
//!
//! `tests/fixtures/content-ids.json` holds records with their ids. Within [`SCHEMA`](super::SCHEMA)'s version 1 they
//! never change: a box that reads its source again must find that nothing changed.

use chrono::{DateTime, FixedOffset, Utc};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{
    Amounts, Direction, Discount, Item, Kind, Outlet, Party, Payment, PaymentStatus, Related, Resource, SourceSystem,
    Status, Tax, Transaction,
};
use crate::{amount::Amount, config::Currency, content::ContentId, instant};

pub(super) fn content_id(record: &Transaction) -> ContentId {
    let content = Content::of(record);
    let value = serde_json::to_value(&content).expect("every map key of a record is text, and no part of it fails");
    ContentId::of_json(&value)
}

/// The listed fields, under the record's own names.
#[derive(Serialize)]
struct Content<'a> {
    source_system: SourceSystem,
    resource: Resource,
    external_id: &'a str,
    external_ref: Option<&'a str>,
    kind: Kind,
    status: Status,
    payment_status: PaymentStatus,
    amount: Amount,
    payment_method: Option<&'a str>,
    timestamp: Moment,
    source_updated_at: Option<Moment>,
    outlet: &'a Outlet,
    currency: Currency,
    amounts: &'a Amounts,
    tax_included: Option<bool>,
    items: Option<&'a [Item]>,
    taxes: &'a [Tax],
    discounts: &'a [Discount],
    payments: Vec<PaymentContent<'a>>,
    related: &'a [Related],
    party: Option<&'a Party>,
    extra: &'a Map<String, Value>,
}

/// A payment without the source's spelling of its method.
#[derive(Serialize)]
struct PaymentContent<'a> {
    id: Option<&'a str>,
    at: Option<Moment>,
    method: &'a str,
    amount: Option<Amount>,
    tendered: Option<Amount>,
    change: Option<Amount>,
    direction: Direction,
    reference: Option<&'a str>,
}

/// An instant, written in UTC.
struct Moment(DateTime<Utc>);

impl<'a> Content<'a> {
    fn of(record: &'a Transaction) -> Self {
        // Taken apart by name, so that a new field cannot be forgotten here.
        let Transaction {
            schema: _,
            source_system,
            connection: _,
            resource,
            external_id,
            external_ref,
            kind,
            revision: _,
            status,
            status_raw: _,
            payment_status,
            amount,
            payment_method,
            outlet_id: _,
            timestamp,
            timestamp_raw: _,
            timestamp_precision: _,
            business_date: _,
            source_updated_at,
            observed_at: _,
            outlet,
            currency,
            currency_source: _,
            amounts,
            tax_included,
            items,
            taxes,
            discounts,
            payments,
            related,
            party,
            flags: _,
            extra,
        } = record;
        Self {
            source_system: *source_system,
            resource: *resource,
            external_id,
            external_ref: external_ref.as_deref(),
            kind: *kind,
            status: *status,
            payment_status: *payment_status,
            amount: *amount,
            payment_method: payment_method.as_deref(),
            timestamp: Moment::of(*timestamp),
            source_updated_at: source_updated_at.map(Moment::of),
            outlet,
            currency: *currency,
            amounts,
            tax_included: *tax_included,
            items: items.as_deref(),
            taxes,
            discounts,
            payments: payments.iter().map(PaymentContent::of).collect(),
            related,
            party: party.as_ref(),
            extra,
        }
    }
}

impl<'a> PaymentContent<'a> {
    fn of(payment: &'a Payment) -> Self {
        let Payment { id, at, method, method_raw: _, amount, tendered, change, direction, reference } = payment;
        Self {
            id: id.as_deref(),
            at: at.map(Moment::of),
            method,
            amount: *amount,
            tendered: *tendered,
            change: *change,
            direction: *direction,
            reference: reference.as_deref(),
        }
    }
}

impl Moment {
    fn of(at: DateTime<FixedOffset>) -> Self {
        Self(at.with_timezone(&Utc))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&instant::text_utc(self.0))
    }
}
