//! Random histories of a shop: sales, orders that are paid later or called off, edits, refunds, payments that come and
//! go, late uploads, back-dated slips, records that vanish.

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;
use tillbox::demo::shop::{Chance, Change, Kind, Line, Movement, Sale};

/// What happens in a shop, and when its server knows of it.
pub struct History {
    /// In the order in which the server gets to know them.
    pub movements: Vec<Movement>,
    /// Records that disappear from the source.
    pub removals: Vec<(DateTime<Utc>, String)>,
}

/// What can happen at a system at all.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a trait of its own")]
pub struct Manners {
    /// Orders are shown before they are paid.
    pub orders: bool,
    /// A sale can be paid in parts.
    pub parts: bool,
    /// A payment can go again without a refund.
    pub unpaid_again: bool,
    /// Sales are entered long after they were made.
    pub late: bool,
    /// Records can disappear.
    pub removals: bool,
    /// Sales can be voided after they were paid.
    pub void_sales: bool,
}

impl History {
    /// `days` days from `first` on, all of it known before they are over.
    pub fn random(chance: &mut Chance, first: DateTime<Utc>, days: u32, manners: Manners) -> Self {
        let mut history = Self { movements: Vec::new(), removals: Vec::new() };
        let end = first + TimeDelta::days(i64::from(days));
        let per_day = if chance.happens(8) { 50 + chance.below(80) } else { 2 + chance.below(24) };
        for day in 0..days {
            let rush = 8 + chance.below(11);
            for n in 0..per_day {
                let hour = if chance.happens(40) { rush } else { 7 + chance.below(15) };
                let at = first + seconds(day * 86_400 + hour * 3_600 + chance.below(3_600));
                history.slip(chance, &format!("S{day}-{n:03}"), at, end, manners);
            }
        }
        history.movements.sort_by(|a, b| (a.known_at, &a.sale.id).cmp(&(b.known_at, &b.sale.id)));
        history
    }

    /// One slip's life.
    fn slip(&mut self, chance: &mut Chance, id: &str, at: DateTime<Utc>, end: DateTime<Utc>, manners: Manners) {
        let known_at = match chance.below(100) {
            0..4 if manners.late => at + minutes(chance, 240),
            4..7 if manners.late => at + minutes(chance, 40 * 60),
            _ => at + seconds(chance.below(3)),
        };
        let mut life = Life { id, now: known_at.min(end - TimeDelta::minutes(5)), end, sale: slip(chance, id, at) };
        if manners.orders && chance.happens(30) {
            life.sale.kind = Kind::Order;
            self.movements.push(life.movement(Change::Ordered));
            life.later(chance, 90);
            if chance.happens(15) {
                life.sale.kind = Kind::Void;
                self.movements.push(life.movement(Change::Voided));
                return;
            }
            life.sale.kind = Kind::Sale;
            if chance.happens(20) {
                life.edit(chance);
            }
        }
        if manners.parts && chance.happens(15) {
            life.sale.paid = Some(Decimal::ZERO);
            self.movements.push(life.movement(Change::Sold));
            life.later(chance, 600);
            if chance.happens(60) {
                life.sale.paid = Some((life.sale.total / Decimal::TWO).trunc());
                self.movements.push(life.movement(Change::Edited));
                life.later(chance, 600);
            }
            if chance.happens(20) {
                return;
            }
            life.sale.paid = None;
            self.movements.push(life.movement(Change::Edited));
        } else {
            self.movements.push(life.movement(Change::Sold));
        }
        if manners.unpaid_again && chance.happens(4) {
            life.later(chance, 300);
            life.sale.kind = Kind::Order;
            self.movements.push(life.movement(Change::Edited));
            life.later(chance, 300);
            if chance.happens(50) {
                life.sale.kind = Kind::Sale;
                self.movements.push(life.movement(Change::Edited));
            }
            return;
        }
        if chance.happens(8) {
            life.later(chance, 20 * 60);
            life.edit(chance);
            self.movements.push(life.movement(Change::Edited));
        }
        match chance.below(100) {
            0..8 => {
                life.later(chance, 30 * 60);
                let refund = Sale {
                    id: format!("R{id}"),
                    kind: Kind::Refund,
                    at: life.now,
                    refund_of: Some(id.to_owned()),
                    ..life.sale.clone()
                };
                self.movements.push(Movement { known_at: life.now, change: Change::Refunded, sale: refund });
            }
            8..11 if manners.void_sales => {
                life.later(chance, 60);
                life.sale.kind = Kind::Void;
                self.movements.push(life.movement(Change::Voided));
            }
            11..13 if manners.removals => {
                life.later(chance, 20 * 60);
                self.removals.push((life.now, id.to_owned()));
            }
            _ => {}
        }
    }
}

struct Life<'a> {
    id: &'a str,
    now: DateTime<Utc>,
    end: DateTime<Utc>,
    sale: Sale,
}

impl Life<'_> {
    fn movement(&self, change: Change) -> Movement {
        debug_assert_eq!(self.sale.id, self.id);
        Movement { known_at: self.now, change, sale: self.sale.clone() }
    }

    /// Some time passes, at least a second and never beyond the history's end.
    fn later(&mut self, chance: &mut Chance, minutes_max: u32) {
        let passed = seconds(1 + chance.below(60)) + minutes(chance, minutes_max);
        self.now = (self.now + passed).min(self.end - TimeDelta::seconds(1)).max(self.now + TimeDelta::seconds(1));
    }

    fn edit(&mut self, chance: &mut Chance) {
        let line = line(chance);
        self.sale.total += line.quantity * line.unit_price;
        self.sale.lines.push(line);
    }
}

fn slip(chance: &mut Chance, id: &str, at: DateTime<Utc>) -> Sale {
    let lines: Vec<_> = (0..=chance.below(3)).map(|_| line(chance)).collect();
    let total = lines.iter().map(|line| line.quantity * line.unit_price).sum();
    let tender = (!chance.happens(10)).then(|| ["cash", "qris", "debit"][chance.below(3) as usize].to_owned());
    Sale { id: id.to_owned(), kind: Kind::Sale, total, at, tender, lines, paid: None, refund_of: None }
}

fn line(chance: &mut Chance) -> Line {
    let unit_price = Decimal::from(1_000 + 500 * chance.below(60));
    Line { name: "Nasi Goreng".to_owned(), quantity: Decimal::from(1 + chance.below(3)), unit_price }
}

fn seconds(n: u32) -> TimeDelta {
    TimeDelta::seconds(i64::from(n))
}

fn minutes(chance: &mut Chance, most: u32) -> TimeDelta {
    TimeDelta::minutes(i64::from(chance.below(most)))
}
