//! The parts of which a [`Transaction`](super::Transaction) is made.

use chrono::{DateTime, FixedOffset};
use serde::{Deserialize, Serialize};

use super::Resource;
use crate::{amount::Amount, instant::rfc3339_option};

/// The kinds of system that a record can be from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "names of products")]
pub enum SourceSystem {
    Qasir,
    Olsera,
    PosKasir,
    Asalta,
}

/// How far a sale is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It may still change in the ordinary course.
    Open,
    /// It is done.
    Completed,
    /// It was called off.
    Cancelled,
    /// The source does not say.
    Unknown,
}

/// How far a sale is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// Nothing was paid.
    Unpaid,
    /// A part was paid.
    Partial,
    /// All was paid.
    Paid,
    /// It was paid and given back.
    Refunded,
    /// The source does not say.
    Unknown,
}

/// Who says in which currency the amounts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CurrencySource {
    /// The source.
    Stated,
    /// The box's configuration.
    Configured,
}

/// Where the source says a sale was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlet {
    /// The source's key.
    pub external_id: Option<String>,
    /// The source's short name.
    pub code: Option<String>,
    /// The shop's name.
    pub name: Option<String>,
}

/// A record's totals: magnitudes in the record's currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "section 7 of the sources' facts names them; the names say it")]
pub struct Amounts {
    pub lines_total: Option<Amount>,
    pub line_discount_total: Option<Amount>,
    pub order_discount: Option<Amount>,
    pub discount_total: Option<Amount>,
    pub net_total: Option<Amount>,
    pub tax_total: Option<Amount>,
    pub service_charge: Option<Amount>,
    pub shipping: Option<Amount>,
    pub surcharge: Option<Amount>,
    /// What the customer was to pay, or got back.
    pub grand_total: Amount,
    pub paid_total: Option<Amount>,
}

impl Amounts {
    /// For a source that states nothing but the total.
    #[must_use]
    pub fn total_only(grand_total: Amount) -> Self {
        Self {
            lines_total: None,
            line_discount_total: None,
            order_discount: None,
            discount_total: None,
            net_total: None,
            tax_total: None,
            service_charge: None,
            shipping: None,
            surcharge: None,
            grand_total,
            paid_total: None,
        }
    }
}

/// One line. In a refund a returned piece counts +, as the record's direction is in its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The source's key of the line.
    pub line_id: Option<String>,
    /// The source's key of the product.
    pub product_id: Option<String>,
    /// The shop's key of the product.
    pub sku: Option<String>,
    /// The product's name, as sent.
    pub name: Option<String>,
    /// Pieces, kilograms …; may be a fraction.
    pub quantity: Amount,
    /// For one of the quantity's units, after the line's discount.
    pub unit_price: Option<Amount>,
    /// The same before the line's discount.
    pub list_price: Option<Amount>,
    /// The same before tax.
    pub net_unit_price: Option<Amount>,
    /// The line's discount.
    pub discount: Option<Amount>,
    /// Taxes in this line.
    pub taxes: Vec<Tax>,
    /// What the source states as the line's total; never computed over it.
    pub line_total: Option<Amount>,
    /// Options of the product; their prices are already in the line's.
    pub modifiers: Vec<Modifier>,
}

/// An option that was chosen for a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modifier {
    /// The source's key of the option.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its price, for information.
    pub price: Option<Amount>,
}

/// A tax.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tax {
    /// Its name.
    pub name: Option<String>,
    /// Its rate, in per cent.
    pub rate_percent: Option<Amount>,
    /// What it comes to.
    pub amount: Amount,
}

/// A discount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discount {
    /// On what it was given.
    pub scope: DiscountScope,
    /// The source's key of its reason.
    pub reference: Option<String>,
    /// What it comes to.
    pub amount: Amount,
}

/// On what a discount was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscountScope {
    /// On one line.
    Line,
    /// On the whole record.
    Order,
}

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// The source's key.
    pub id: Option<String>,
    /// When it was made.
    #[serde(with = "rfc3339_option")]
    pub at: Option<DateTime<FixedOffset>>,
    /// The method in lower case and without blanks around it, so that `Cash` and `cash` are one.
    pub method: String,
    /// The source's spelling.
    pub method_raw: String,
    /// What it settles.
    pub amount: Option<Amount>,
    /// Cash handed over.
    pub tendered: Option<Amount>,
    /// Cash given back.
    pub change: Option<Amount>,
    /// To the shop or from it.
    pub direction: Direction,
    /// The payment's number at a bank or gateway.
    pub reference: Option<String>,
}

/// Which way money went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the shop.
    In,
    /// To the customer.
    Out,
}

/// Another record that the source names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Related {
    /// What this record is to the other.
    pub relation: Relation,
    /// The other's list.
    pub resource: Resource,
    /// The other's key.
    pub external_id: Option<String>,
    /// The number on the other's slip.
    pub external_ref: Option<String>,
}

/// What a record is to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Relation {
    RefundOf,
    RefundedBy,
    ReturnOf,
}

/// Who took part. Never a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// A keyed hash of the customer's id; only where a person switched it on.
    pub customer_key: Option<String>,
    /// The source's key of a member of the staff.
    pub staff_id: Option<String>,
}

/// What a reader should know about a record. A flag never changes an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// The source's time has no offset: the connection's zone was taken.
    TimezoneAssumed,
    /// The source tells only the day.
    TimeOfDayUnknown,
    /// The source's time is exactly midnight, which may mean that it tells only the day.
    TimeOfDaySuspect,
    /// The source gives no lines.
    LinesMissing,
    /// Lines, or the list of them, could not be read and are left out.
    LinesInvalid,
    /// Some text was damaged at the source: half characters are U+FFFD here.
    TextMended,
    /// A line's total is not its quantity times its price.
    LineArithmetic,
    /// The lines do not come to the total.
    LinesDoNotSumToTotal,
    /// The totals do not fit each other.
    TotalArithmetic,
    /// The taxes do not fit each other.
    TaxArithmetic,
    /// Totals that the source should give are missing.
    AmountsIncomplete,
    /// The source names no method of payment. It is not cash for that.
    PaymentMethodUnknown,
    /// Payments, or the list of them, could not be read and are left out.
    PaymentsInvalid,
    /// The payments do not come to what the source calls paid.
    PaymentsDoNotMatchPaid,
    /// The payments of a refund do not come to its total.
    PaymentsDoNotMatchTotal,
    /// The source does not say at which outlet, and there are several.
    OutletUnknown,
    /// The source has no refunds of their own: the total was negative.
    KindInferredFromSign,
    /// The source gave a negative amount where the direction is in the kind.
    SourceAmountNegative,
    /// The source calls it served or paid but names no payment.
    ServedOrPaidWithoutPayment,
    /// The source calls it cancelled, but the payment still stands.
    CancelledButPaid,
    /// It was paid once and is now neither paid nor cancelled.
    PaymentVanished,
    /// The source has no such record: it follows from two states of another.
    Derived,
    /// It was stored once and a complete reading no longer shows it.
    VanishedAtSource,
    /// The lines were left out because the event would have been too large.
    ItemsOmitted,
}
