//! What an order means beside what it was before.
//!
//! A refund at the till leaves an order that is cancelled and has no payment, like one that nobody ever paid. Only who
//! saw it paid can tell them apart:
//!
//! | now | seen paid before | then |
//! | --- | --- | --- |
//! | paid | – | `sale`; a refund that was derived once is taken back |
//! | cancelled, unpaid | no | `void`, and the derived refund's identity as `void` too |
//! | cancelled, unpaid | yes, or the log tells of a refund | `sale` and the derived `refund`: together nothing |
//! | open, unpaid | no | `order` |
//! | open, unpaid | yes, and a refund was derived | `order`: it was reopened, and the refund is taken back with the sale |
//! | open, unpaid | yes | `sale`, flagged: its payment has vanished |
//!
//! A box that has lost its memory may follow one that derived a refund. What it reads as never paid, or paid again,
//! takes that refund back by publishing its identity as `void`: else HQ would count less than nothing.
//!
//! All of it is a function of the detail and of the kinds that are stored, so reading the same again is no news.

use std::collections::BTreeSet;

use chrono::Utc;

use crate::{
    instant,
    notice::Notice,
    pos::{connector::Known, page::ParseContext},
    transaction::{Amounts, Flag, Kind, PaymentStatus, Related, Relation, Resource, Status, Transaction},
};

/// In the mark: there is one.
pub const MARKED: u64 = 1;
/// In the mark: HQ was told that it is cancelled but paid.
pub const TOLD_CANCELLED: u64 = 2;
/// In the mark: HQ was told that its payment has vanished.
pub const TOLD_VANISHED: u64 = 4;
/// In the mark: only the list's row could be read.
pub const ROW_ONLY: u64 = 8;
/// The mark's lower bits; the others are the row's fingerprint.
pub const BITS: u64 = 15;

/// A version from which on an order may have been refunded: 2 at creation, and one more by payment and refund each.
const REFUNDED_VERSION: u64 = 4;

/// What is known of an order besides its detail.
#[derive(Debug, Clone, Default)]
pub struct Before {
    /// The order, as stored.
    pub order: Option<Known>,
    /// The refund that was derived from it, as stored.
    pub refund: Option<Known>,
    /// The activity log tells of a refund.
    pub refund_logged: bool,
}

/// What follows.
#[derive(Debug)]
pub struct Judged {
    /// The order, and the derived refund where it is to be told.
    pub records: Vec<Transaction>,
    /// What HQ was not told of it yet.
    pub notice: Option<Notice>,
    /// Bits for the order's mark.
    pub bits: u64,
}

/// Judges an order by its detail.
pub fn judge(mut order: Transaction, before: &Before, context: &ParseContext) -> Judged {
    let kind_of = |known: &Option<Known>| known.as_ref().map(|known| known.kind);
    let (was, refund_was) = (kind_of(&before.order), kind_of(&before.refund));
    let version = order.extra.get("version").and_then(serde_json::Value::as_u64).unwrap_or(u64::MAX);
    let was_paid = was == Some(Kind::Sale);
    let takes_back = |from: u64| refund_was.is_some() || was.is_none() && version >= from;
    let refund = match order.kind {
        // Paid again, after payment and refund.
        Kind::Sale => takes_back(REFUNDED_VERSION + 1).then_some(Kind::Void),
        Kind::Void if was_paid || before.refund_logged => {
            (order.kind, order.payment_status) = (Kind::Sale, PaymentStatus::Refunded);
            let id = Some(order.external_id.clone());
            let (relation, resource) = (Relation::RefundedBy, Resource::OrderRefund);
            order.related.push(Related { relation, resource, external_id: id, external_ref: None });
            Some(Kind::Refund)
        }
        Kind::Void => Some(Kind::Void),
        _ if was_paid && refund_was != Some(Kind::Refund) => {
            order.kind = Kind::Sale;
            order.flags.insert(Flag::PaymentVanished);
            refund_was.map(|_| Kind::Void)
        }
        _ => takes_back(REFUNDED_VERSION).then_some(Kind::Void),
    };
    let refund = refund.map(|kind| derived(&order, kind, context));
    let mut bits = MARKED;
    let mut notice = None;
    let told = before.order.as_ref().map_or(0, |known| known.mark);
    for (flag, bit, code, text) in [
        (
            Flag::CancelledButPaid,
            TOLD_CANCELLED,
            "cancelled_but_paid",
            "is cancelled but its payment stands: it is counted as a sale until it is refunded",
        ),
        (
            Flag::PaymentVanished,
            TOLD_VANISHED,
            "payment_vanished",
            "was paid, and now has no payment without being cancelled: it is counted as a sale still",
        ),
    ] {
        if order.flags.contains(&flag) {
            bits |= bit;
            if told & bit == 0 {
                let text = format!("an order of {} {} {text}", order.amount, order.currency);
                notice = Some(Notice::new(code, text).about(Resource::Order, order.external_id.clone()));
            }
        }
    }
    Judged { records: std::iter::once(order).chain(refund).collect(), notice, bits }
}

/// The refund of an order, which the source has no record of; or, as `void`, the word that there is none.
fn derived(order: &Transaction, kind: Kind, context: &ParseContext) -> Transaction {
    let at = order.source_updated_at.unwrap_or(order.timestamp);
    let (status, payment_status) = match kind {
        Kind::Refund => (Status::Completed, PaymentStatus::Refunded),
        _ => (Status::Cancelled, PaymentStatus::Unpaid),
    };
    Transaction {
        resource: Resource::OrderRefund,
        kind,
        status,
        status_raw: None,
        payment_status,
        payment_method: None,
        timestamp: at,
        timestamp_raw: instant::text(at),
        timestamp_precision: order.timestamp_precision,
        business_date: context.outlet_zone.business_date(at.with_timezone(&Utc), context.business_day_starts),
        amounts: Amounts::total_only(order.amount),
        tax_included: None,
        items: None,
        taxes: Vec::new(),
        discounts: Vec::new(),
        payments: Vec::new(),
        related: vec![Related {
            relation: Relation::RefundOf,
            resource: Resource::Order,
            external_id: Some(order.external_id.clone()),
            external_ref: None,
        }],
        party: None,
        flags: BTreeSet::from([Flag::Derived]),
        extra: serde_json::Map::new(),
        ..order.clone()
    }
}
