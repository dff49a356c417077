//! The window that a request asks for, and the rows that go back.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use rust_decimal::Decimal;
use serde_json::{Number, Value, json};

use super::{Bounds, Options, Spelling, Times};
use crate::{
    demo::{
        http_server::Request,
        shop::{Kind, Line, Sale},
    },
    zone::Zone,
};

/// `from_date`, `to_date` and `limit` of a request; a bound that is not given is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    pub rows: usize,
}

impl Window {
    /// The error is the name of the parameter that is not understood.
    pub fn asked(request: &Request, options: &Options) -> Result<Self, &'static str> {
        let bound = |name: &'static str| match request.parameter(name) {
            Some(text) => parse_bound(&text, options).map(Some).ok_or(name),
            None => Ok(None),
        };
        let rows = match request.parameter("limit") {
            Some(text) => text.parse().ok().filter(|&rows: &usize| rows > 0).ok_or("limit")?,
            None => options.cap_rows,
        };
        Ok(Self { from: bound("from_date")?, to: bound("to_date")?, rows: rows.min(options.cap_rows) })
    }

    /// Whether a sale of this time is in the window.
    pub fn shows(&self, at: DateTime<Utc>, bounds: Bounds) -> bool {
        let (from, to) = (self.from.unwrap_or(DateTime::<Utc>::MIN_UTC), self.to.unwrap_or(DateTime::<Utc>::MAX_UTC));
        match bounds {
            Bounds::Inclusive => from <= at && at <= to,
            Bounds::HalfOpen => from <= at && at < to,
            Bounds::Exclusive => from < at && at < to,
            Bounds::Ignored => true,
        }
    }
}

/// A bound in any of the usual ISO forms; without an offset it is the server's local time.
fn parse_bound(text: &str, options: &Options) -> Option<DateTime<Utc>> {
    let with_offset = || {
        let parsed =
            DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"));
        parsed.ok().filter(|_| options.bounds_with_offset).map(|at| at.to_utc())
    };
    let naive = || {
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
            .or_else(|| Some(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_time(NaiveTime::MIN)))
            .map(|local| options.zone.instant(local).to_utc())
    };
    with_offset().or_else(naive)
}

/// One element of `transactions`. An absent tender is an absent member.
pub(super) fn row(sale: &Sale, options: &Options) -> Value {
    let speller = Speller::of(sale, options.spelling);
    let mut row = json!({
        "id": speller.id(&sale.id),
        "total_amount": speller.amount(signed(sale.kind, sale.total)),
        "transaction_date": written(sale.at, &options.zone, options.times),
        "items": sale.lines.iter().map(|line| item(line, sale.kind, speller)).collect::<Vec<_>>(),
    });
    if let Some(tender) = &sale.tender {
        row["payment_method"] = json!(tender);
    }
    row
}

fn item(line: &Line, kind: Kind, speller: Speller) -> Value {
    json!({
        "product_name": line.name,
        "qty": speller.quantity(signed(kind, line.quantity)),
        "price": speller.amount(line.unit_price),
    })
}

/// Refunds are assumed to be negative: the document does not name them.
fn signed(kind: Kind, magnitude: Decimal) -> Decimal {
    match kind {
        Kind::Refund => -magnitude,
        Kind::Sale | Kind::Order | Kind::Void => magnitude,
    }
}

fn written(at: DateTime<Utc>, zone: &Zone, times: Times) -> String {
    let form = match times {
        Times::Naive => "%Y-%m-%dT%H:%M:%S%.f",
        Times::WithOffset => "%Y-%m-%dT%H:%M:%S%.f%:z",
    };
    zone.local(at).format(form).to_string()
}

/// How the numbers of one sale are written; the same at each reading, so that a re-read is no change.
#[derive(Debug, Clone, Copy)]
struct Speller {
    numbers: bool,
    cents: bool,
    numeric_ids: bool,
}

impl Speller {
    fn of(sale: &Sale, spelling: Spelling) -> Self {
        let numeric_ids = spelling == Spelling::Numbers;
        match spelling {
            Spelling::Text => Self { numbers: false, cents: false, numeric_ids },
            Spelling::Numbers => Self { numbers: true, cents: false, numeric_ids },
            Spelling::Mixed => {
                let mark = sale.id.bytes().fold(0_u8, u8::wrapping_add);
                Self { numbers: mark & 1 == 1, cents: mark & 2 == 2, numeric_ids }
            }
        }
    }

    fn id(self, id: &str) -> Value {
        let digits_only = !id.starts_with('0') && id.bytes().all(|b| b.is_ascii_digit());
        if self.numeric_ids && digits_only { number(id) } else { json!(id) }
    }

    fn amount(self, amount: Decimal) -> Value {
        let amount = amount.normalize();
        // Only ever more digits: a third decimal is not rounded away.
        let text = if self.cents && amount.scale() <= 2 { format!("{amount:.2}") } else { amount.to_string() };
        self.value(&text)
    }

    fn quantity(self, quantity: Decimal) -> Value {
        self.value(&quantity.normalize().to_string())
    }

    fn value(self, text: &str) -> Value {
        if self.numbers { number(text) } else { json!(text) }
    }
}

/// A JSON number of exactly this text, never through a float; text that is no number stays a string.
fn number(text: &str) -> Value {
    text.parse::<Number>().map_or_else(|_| json!(text), Value::Number)
}
