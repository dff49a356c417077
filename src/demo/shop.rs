//! One day in a shop, made from a seed: sales in the rush hours, tills that upload hours late, slips that are corrected
//! afterwards, goods that come back.
//!
//! - The same seed, date, zone and number of sales give the same day, byte for byte: there is no clock and no other
//!   source of chance in here.
//! - Money and quantities are exact decimals.
//! - Whatever the shop does on a day is known to its server before [`KNOWN_BY`], so that a demonstration has an end.

mod books;
mod chance;
mod goods;
mod ledger;
#[cfg(test)]
mod tests;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use rust_decimal::Decimal;

pub use books::{Books, State, Total};
pub use chance::Chance;
pub use ledger::{Ledger, Shown};

use crate::zone::Zone;

/// The currency of all prices here.
pub const CURRENCY: &str = "IDR";

/// Local time by which the server knows everything about a generated day.
pub const KNOWN_BY: NaiveTime = NaiveTime::from_hms_opt(23, 45, 0).expect("a time of day");

/// Of 1,000 sales, this many reach the server minutes to hours after they happened.
const LATE_PER_MILLE: usize = 40;
/// Of 1,000 sales, this many are changed afterwards.
const EDITED_PER_MILLE: usize = 20;
/// Of 1,000 sales, this many are given back, as a record of its own.
const REFUNDED_PER_MILLE: usize = 20;

/// Beside 1,000 sales, this many orders are called off before they are paid, and as many stay unpaid.
const UNPAID_PER_MILLE: usize = 15;

/// Which way the money went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Into the till.
    Sale,
    /// Out of it.
    Refund,
    /// Nothing was paid yet.
    Order,
    /// Called off before anything was paid.
    Void,
}

impl Kind {
    /// As records name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sale => "sale",
            Self::Refund => "refund",
            Self::Order => "order",
            Self::Void => "void",
        }
    }
}

/// One line of a slip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The product's name.
    pub name: String,
    /// How much of it; may be a fraction, is never negative.
    pub quantity: Decimal,
    /// The price of one.
    pub unit_price: Decimal,
}

/// A slip as the till knows it. All amounts are magnitudes; the direction is in `kind`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// The key at the point of sale.
    pub id: String,
    /// Which way the money went.
    pub kind: Kind,
    /// What was paid; with a discount or tax not the sum of the lines.
    pub total: Decimal,
    /// The business time.
    pub at: DateTime<Utc>,
    /// How it was paid, if the till says so.
    pub tender: Option<String>,
    /// What was bought.
    pub lines: Vec<Line>,
    /// What was paid of a sale so far, where that is not all of it.
    pub paid: Option<Decimal>,
    /// The sale whose goods came back, for a refund.
    pub refund_of: Option<String>,
}

impl Sale {
    /// A plain sale for tests: `total` rupiah in cash for one thing.
    #[must_use]
    pub fn plain(id: &str, total: i64, at: DateTime<Utc>) -> Self {
        let total = Decimal::from(total);
        let lines = vec![Line { name: "Kopi Tubruk".to_owned(), quantity: Decimal::ONE, unit_price: total }];
        Self {
            id: id.to_owned(),
            kind: Kind::Sale,
            total,
            at,
            tender: Some("cash".to_owned()),
            lines,
            paid: None,
            refund_of: None,
        }
    }

    /// The sum of the lines, before discount and tax.
    #[must_use]
    pub fn lines_total(&self) -> Decimal {
        self.lines.iter().map(|line| line.quantity * line.unit_price).sum()
    }
}

/// What a movement does to the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A new sale.
    Sold,
    /// A sale that was known is something else now; its id and business time stay.
    Edited,
    /// Goods came back: a new record with an id of its own.
    Refunded,
    /// Ordered and not paid yet.
    Ordered,
    /// An order is called off, or a sale that was rung up by mistake.
    Voided,
}

/// Something that the server gets to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// When the server knows it: at the business time, or later.
    pub known_at: DateTime<Utc>,
    /// What it does.
    pub change: Change,
    /// The slip as it is from then on.
    pub sale: Sale,
}

/// A whole day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShopDay {
    movements: Vec<Movement>,
}

impl ShopDay {
    /// The day that belongs to `seed`: `sales` sales, and the edits and refunds that follow from them. Ids begin with
    /// the date, so that the days of one shop do not share any.
    #[must_use]
    pub fn generate(seed: u64, date: NaiveDate, zone: &Zone, sales: usize) -> Self {
        let mut day = Generator { chance: Chance::new(seed), date, zone, movements: Vec::new() };
        day.sell(sales);
        day.edit_and_refund(sales);
        day.upload_late(sales);
        day.order(sales);
        let mut movements = day.movements;
        movements.sort_by(|a, b| (a.known_at, &a.sale.id).cmp(&(b.known_at, &b.sale.id)));
        Self { movements }
    }

    /// Everything that happens, in the order in which the server gets to know it.
    #[must_use]
    pub fn movements(&self) -> &[Movement] {
        &self.movements
    }

    /// The books after the last movement.
    #[must_use]
    pub fn books(&self) -> Books {
        self.movements.iter().map(|movement| &movement.sale).collect()
    }

    /// When the server knows everything; `None` for a day without sales.
    #[must_use]
    pub fn complete_at(&self) -> Option<DateTime<Utc>> {
        self.movements.last().map(|movement| movement.known_at)
    }
}

struct Generator<'a> {
    chance: Chance,
    date: NaiveDate,
    zone: &'a Zone,
    movements: Vec<Movement>,
}

impl Generator<'_> {
    /// The sales in the order of their business times, each known at once; they take the first places.
    fn sell(&mut self, sales: usize) {
        let mut times: Vec<_> = (0..sales).map(|_| self.business_time()).collect();
        times.sort_unstable();
        for (n, at) in times.into_iter().enumerate() {
            let sale = self.slip(self.id('J', n + 1), at);
            self.movements.push(Movement { known_at: at, change: Change::Sold, sale });
        }
    }

    /// Changes some sales and takes others back, never the same ones: a refund of what an edit made of a sale would
    /// only tell how we imagine it.
    fn edit_and_refund(&mut self, sales: usize) {
        let (edits, refunds) = (share(sales, EDITED_PER_MILLE), share(sales, REFUNDED_PER_MILLE));
        let chosen = self.chance.shuffled(sales);
        for (n, index) in chosen.into_iter().take(edits + refunds).enumerate() {
            let sold = self.movements[index].sale.clone();
            let later = self.later(sold.at, 3, 180);
            let (change, sale) = if n < edits {
                (Change::Edited, self.edited(sold))
            } else {
                (Change::Refunded, self.refund(self.id('R', n + 1 - edits), sold, later))
            };
            self.movements.push(Movement { known_at: later, change, sale });
        }
    }

    /// Lets some tills be offline for a while. An edit of a late sale is uploaded no earlier than the sale.
    fn upload_late(&mut self, sales: usize) {
        let late = share(sales, LATE_PER_MILLE);
        for index in self.chance.shuffled(sales).into_iter().take(late) {
            let known_at = self.later(self.movements[index].sale.at, 4, 240);
            let id = self.movements[index].sale.id.clone();
            for movement in self.movements.iter_mut().filter(|movement| movement.sale.id == id) {
                let delay = if movement.change == Change::Edited { TimeDelta::minutes(1) } else { TimeDelta::zero() };
                movement.known_at = movement.known_at.max(known_at + delay);
            }
        }
    }

    /// Orders that are not paid: some are called off, some stay open.
    fn order(&mut self, sales: usize) {
        let share = share(sales, UNPAID_PER_MILLE);
        for n in 0..2 * share {
            let at = self.business_time();
            let order = Sale { kind: Kind::Order, ..self.slip(self.id('O', n + 1), at) };
            let later = self.later(at, 3, 60);
            self.movements.push(Movement { known_at: at, change: Change::Ordered, sale: order.clone() });
            if n < share {
                let void = Sale { kind: Kind::Void, ..order };
                self.movements.push(Movement { known_at: later, change: Change::Voided, sale: void });
            }
        }
    }

    fn slip(&mut self, id: String, at: DateTime<Utc>) -> Sale {
        let lines: Vec<_> = (0..*self.chance.weighted(goods::LINES)).map(|_| self.line()).collect();
        let tender = self.chance.weighted(goods::TENDERS).map(str::to_owned);
        let mut sale =
            Sale { id, kind: Kind::Sale, total: Decimal::ZERO, at, tender, lines, paid: None, refund_of: None };
        sale.total = self.priced(sale.lines_total());
        sale
    }

    fn line(&mut self) -> Line {
        let product = *self.chance.weighted(goods::SHELF);
        let pieces = *self.chance.weighted(goods::PIECES);
        let thousandths = *self.chance.weighted(goods::THOUSANDTHS);
        Line {
            name: product.name.to_owned(),
            quantity: goods::quantity(product.measure, pieces, thousandths),
            unit_price: Decimal::from(product.price),
        }
    }

    /// What is paid for goods: sometimes less by a voucher, sometimes more by the restaurant tax. Neither is shown by
    /// the documented APIs, so that the lines do not sum to the total.
    fn priced(&mut self, lines_total: Decimal) -> Decimal {
        let voucher = Decimal::from(*self.chance.weighted(&[(70, 2_000_u32), (30, 5_000)]));
        let (voucher_shown, taxed) = (self.chance.happens(6), self.chance.happens(7));
        if voucher_shown && lines_total > voucher * Decimal::TWO {
            lines_total - voucher
        } else if taxed {
            // 10 % (PB1), in whole rupiah as tills print it.
            (lines_total * Decimal::new(110, 2)).trunc()
        } else {
            lines_total
        }
        .normalize()
    }

    /// Another line, or the last one gone, or only another total.
    fn edited(&mut self, mut sale: Sale) -> Sale {
        let before = sale.total;
        match self.chance.below(3) {
            0 if sale.lines.len() > 1 => {
                sale.lines.pop();
                sale.total = sale.lines_total();
            }
            1 => sale.total -= (sale.total * Decimal::new(5, 2)).trunc().max(Decimal::ONE),
            _ => {
                let line = self.line();
                sale.lines.push(line);
                sale.total = sale.lines_total();
            }
        }
        if sale.total == before {
            // Tax or voucher happened to equal what the edit did: an edit that changes nothing is none.
            sale.total += Decimal::from(500);
        }
        sale.total = sale.total.normalize();
        sale
    }

    /// The whole slip, or its first line, goes back.
    fn refund(&mut self, id: String, sold: Sale, at: DateTime<Utc>) -> Sale {
        let whole = sold.lines.len() == 1 || self.chance.happens(50);
        let refund_of = Some(sold.id.clone());
        let mut refund = Sale { id, kind: Kind::Refund, at, refund_of, ..sold };
        if !whole {
            refund.lines.truncate(1);
            refund.total = refund.lines_total().normalize();
        }
        refund
    }

    fn business_time(&mut self) -> DateTime<Utc> {
        let hour = *self.chance.weighted(goods::HOURS);
        let time = NaiveTime::from_hms_opt(hour, self.chance.below(60), self.chance.below(60))
            .expect("the hours of the table, minutes and seconds below 60 are a time of day");
        self.zone.instant(self.date.and_time(time)).to_utc()
    }

    /// Some minutes after `since`, within what is left of the day.
    fn later(&mut self, since: DateTime<Utc>, least_minutes: u32, most_minutes: u32) -> DateTime<Utc> {
        let minutes = least_minutes + self.chance.below(most_minutes - least_minutes);
        let then = since + TimeDelta::seconds(i64::from(minutes * 60 + self.chance.below(60)));
        // A minute is kept free for the edit of a late sale.
        let end = self.zone.instant(self.date.and_time(KNOWN_BY)).to_utc() - TimeDelta::minutes(1);
        then.min(end)
    }

    fn id(&self, series: char, number: usize) -> String {
        format!("{series}{}-{number:04}", self.date.format("%y%m%d"))
    }
}

/// So many of `sales`, at least one where there are sales at all.
fn share(sales: usize, per_mille: usize) -> usize {
    (sales * per_mille).div_ceil(1_000)
}
