//! The rows of `POST /report/sales`. They have no ids, two decimals, and `total` without tax: only what both sides
//! mean alike is read.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{envelope::Envelope, present, record::read_payment_status, short};
use crate::{
    amount::Amount,
    instant::SourceTime,
    pos::{
        body::{BodyFault, content},
        raw::{Parts, Raw},
    },
    transaction::PaymentStatus,
    zone::Zone,
};

/// One sale of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// When; `None` if that cannot be read.
    pub at: Option<DateTime<Utc>>,
    /// The number on the slip. Numbers repeat.
    pub reference: Option<String>,
    /// What the customer was to pay.
    pub grand_total: Amount,
    /// What was paid.
    pub paid: Option<Amount>,
    /// How far that is all.
    pub payment_status: PaymentStatus,
    /// The id of a return.
    pub return_id: Option<String>,
}

/// Reads the answer: its rows, and how many of them cannot be read.
///
/// # Errors
/// The body is no such answer. That never means "nothing was sold".
pub fn parse_report(body: &[u8], zone: &Zone) -> Result<(Vec<Row>, usize), BodyFault> {
    let read = |raw: &Raw<'_>| row(&raw.object()?, zone);
    let elements = match Envelope::open(body) {
        Ok(envelope) => envelope.elements()?,
        // The only sale of its days stands in the list like an envelope, and is none: it has no id.
        Err(fault) => match content(body).map(|(whole, _)| whole.elements()) {
            Ok(Parts { parts, stopped: None }) if parts.len() == 1 && read(&parts[0]).is_some() => parts,
            _ => return Err(fault),
        },
    };
    let rows: Vec<_> = elements.iter().filter_map(read).collect();
    let unread = elements.len() - rows.len();
    Ok((rows, unread))
}

fn row(members: &Map<String, Value>, zone: &Zone) -> Option<Row> {
    let amount = |name: &str| Amount::from_json(present(members.get(name))?).ok();
    let time = short(members.get("sale_date")).and_then(|text| SourceTime::parse(&text, zone).ok());
    Some(Row {
        at: time.map(|time| time.at.with_timezone(&Utc)),
        reference: short(members.get("reference_no")),
        grand_total: amount("grand_total")?.magnitude(),
        paid: amount("paid").map(Amount::magnitude),
        payment_status: read_payment_status(short(members.get("payment_status")).as_deref()),
        return_id: short(members.get("return_id")).filter(|id| id != "0"),
    })
}
