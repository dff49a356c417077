//! The one record that every sale, refund and order becomes, whatever system it came from.
//!
//! Amounts are exact decimals and magnitudes: the direction is in [`Kind`]. `None` means that the source does not say.

use chrono::{DateTime, FixedOffset, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::amount::Amount;

/// The name of this record's form.
pub const SCHEMA: &str = "tillbox.transaction.v1";

/// What the source's record is a list of. With outlet, connection and external id it is the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource { Transaction, Invoice, ReturnInvoice, Order, ReturnOrder, OrderRefund }

/// What the record means for the day's money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind { Sale, Refund, Order, OrderReturn, Void }

/// Content id: SHA-256 over what the source states.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId(pub [u8; 32]);

/// Which outlet-side account the record came from and when it was seen.
pub struct Transaction {
    pub resource: Resource,
    pub external_id: String,
    pub kind: Kind,
    pub amount: Amount,
    pub currency: crate::config::Currency,
    pub timestamp: DateTime<FixedOffset>,
    pub business_date: NaiveDate,
    pub observed_at: DateTime<Utc>,
    // … section 7
}
