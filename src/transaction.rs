//! The one record that every sale, refund and order becomes, whatever system it came from.
//!
//! Amounts are exact decimals and magnitudes: the direction is in [`Kind`]. `None` (written as `null`) means that the
//! source does not say; zero means that it says zero. What a record's content is stands in the private module `content`.

mod content;
mod parts;

use std::{collections::BTreeSet, fmt};

use chrono::{DateTime, FixedOffset, NaiveDate, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};

pub use self::parts::{
    Amounts, CurrencySource, Direction, Discount, DiscountScope, Flag, Item, Modifier, Outlet, Party, Payment,
    PaymentStatus, Related, Relation, SourceSystem, Status, Tax,
};
pub use crate::content::ContentId;
use crate::{
    amount::Amount,
    config::Currency,
    instant::{Precision, day, rfc3339, rfc3339_option, rfc3339_utc},
};

/// The name of this record's form.
pub const SCHEMA: &str = "tillbox.transaction.v1";

/// What the source's record is a list of. With outlet, connection and external id it is the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Qasir, Olsera: a sale, or a refund by its sign.
    Transaction,
    /// Asalta: a sale.
    Invoice,
    /// Asalta: a refund.
    ReturnInvoice,
    /// POS Kasir: a sale once paid. Asalta: not counted.
    Order,
    /// Asalta: not counted.
    ReturnOrder,
    /// POS Kasir: the refund that is only known from an order which lost its payment.
    OrderRefund,
}

/// What the record means for the day's money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Counts +.
    Sale,
    /// Counts −.
    Refund,
    /// Not counted: nothing was paid yet.
    Order,
    /// Not counted.
    OrderReturn,
    /// Not counted: it was taken back.
    Void,
}

/// One record in one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// Always [`SCHEMA`].
    pub schema: Schema,
    /// The kind of system that was asked.
    pub source_system: SourceSystem,
    /// The configured name of the account that was asked.
    pub connection: String,
    /// What list of the source's the record is from.
    pub resource: Resource,
    /// The source's key.
    pub external_id: String,
    /// The number on the slip.
    pub external_ref: Option<String>,
    /// What it means for the day's money.
    pub kind: Kind,
    /// From 1; the store counts it up with each new content.
    pub revision: u32,
    /// How far the sale is.
    pub status: Status,
    /// The source's word for that.
    pub status_raw: Option<String>,
    /// How far it is paid.
    pub payment_status: PaymentStatus,
    /// The total, a magnitude: the same as `amounts.grand_total`.
    pub amount: Amount,
    /// The method if there is one payment, `mixed` if there are several.
    pub payment_method: Option<String>,
    /// The same as `outlet.external_id`.
    pub outlet_id: Option<String>,
    /// When the sale was made, with the offset as sent or of the connection's zone.
    #[serde(with = "rfc3339")]
    pub timestamp: DateTime<FixedOffset>,
    /// The source's text of it.
    pub timestamp_raw: String,
    /// How finely the source told it.
    pub timestamp_precision: Precision,
    /// The outlet's business day.
    #[serde(with = "day")]
    pub business_date: NaiveDate,
    /// The source's own mark of its last change.
    #[serde(with = "rfc3339_option")]
    pub source_updated_at: Option<DateTime<FixedOffset>>,
    /// When the box read it, by the box's clock.
    #[serde(with = "rfc3339_utc")]
    pub observed_at: DateTime<Utc>,
    /// Where the source says the sale was made.
    pub outlet: Outlet,
    /// Of every amount in the record.
    pub currency: Currency,
    /// Who says so.
    pub currency_source: CurrencySource,
    /// The record's totals.
    pub amounts: Amounts,
    /// Line totals contain the tax.
    pub tax_included: Option<bool>,
    /// The usable lines; `None` if the source gave no list.
    pub items: Option<Vec<Item>>,
    /// Taxes on the whole record.
    pub taxes: Vec<Tax>,
    /// Discounts that the source tells apart.
    pub discounts: Vec<Discount>,
    /// What was paid, by which means.
    pub payments: Vec<Payment>,
    /// Other records that the source names.
    pub related: Vec<Related>,
    /// Who took part, as keys only.
    pub party: Option<Party>,
    /// What a reader should know about the record.
    pub flags: BTreeSet<Flag>,
    /// What else the source says that is neither personal nor has a field here.
    pub extra: Map<String, Value>,
}

impl Transaction {
    /// What the record is a state of. The outlet is the box's own and stands before it in every topic.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity { connection: self.connection.clone(), resource: self.resource, external_id: self.external_id.clone() }
    }

    /// The id of what the source states: equal for a record that was only read again, or spelt otherwise.
    #[must_use]
    pub fn content_id(&self) -> ContentId {
        content::content_id(self)
    }
}

/// Within one outlet: what a record is a state of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The configured name of the account.
    pub connection: String,
    /// Ids of different resources overlap.
    pub resource: Resource,
    /// The source's key.
    pub external_id: String,
}

impl Identity {
    /// `resource/external_id`, the subject of the record's events.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("{}/{}", self.resource.name(), self.external_id)
    }
}

/// `connection/resource/external_id`: one text per identity, as neither of the first two holds a slash.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.connection, self.resource.name(), self.external_id)
    }
}

impl Resource {
    /// The name as written in records and topics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Invoice => "invoice",
            Self::ReturnInvoice => "return_invoice",
            Self::Order => "order",
            Self::ReturnOrder => "return_order",
            Self::OrderRefund => "order_refund",
        }
    }
}

/// Written as [`SCHEMA`]; a record of another form is not read as this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Schema;

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(SCHEMA)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        if name == SCHEMA { Ok(Self) } else { Err(D::Error::custom(format_args!("the schema is not {SCHEMA}"))) }
    }
}
