//! The proof: what the shops' own books say against what HQ built from MQTT alone.

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use serde_json::Value;

use super::{
    hq::{Holdings, State},
    shop::Kind,
    simulator::{Entry, Sheet},
    street::{Stall, Street},
};
use crate::closing::Calendar;

/// The outcome of the comparison.
#[derive(Debug, Default)]
pub struct Proof {
    /// Per shop.
    shops: Vec<Rows>,
    /// In the books and not at HQ.
    pub missing: Vec<String>,
    /// At HQ and not in the books.
    pub surplus: Vec<String>,
    /// Another amount or kind.
    pub different: Vec<String>,
    /// Numbers that did not arrive, by stream.
    pub holes: BTreeMap<String, Vec<u64>>,
    /// The same number with another content.
    pub conflicts: u64,
    /// Events that came again and were dropped by their id.
    pub repeats: u64,
    /// Events in all.
    pub events: usize,
    /// Business days whose closing does not say what the books say.
    pub wrong_closings: Vec<String>,
    /// Business days whose closing says what the books say, and that they are complete.
    pub right_closings: Vec<String>,
    /// Gaps that are still open.
    pub gaps: Vec<String>,
}

/// One shop: by kind count and sum in the books, then at HQ.
#[derive(Debug)]
struct Rows {
    sign: &'static str,
    currency: &'static str,
    kinds: Vec<(Kind, Side, Side)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Side {
    count: u64,
    sum: Decimal,
}

impl Side {
    fn add(&mut self, amount: Decimal) {
        self.count += 1;
        self.sum += amount;
    }
}

/// The kinds in the order in which they are shown, with their words.
const KINDS: [(Kind, &str); 4] =
    [(Kind::Sale, "sales"), (Kind::Refund, "refunds"), (Kind::Void, "voids"), (Kind::Order, "orders")];

/// Compares. Business days that are over by `now` must have a closing that says what the books say.
#[must_use]
pub fn prove(street: &Street, holdings: &Holdings, calendar: &Calendar, now: DateTime<Utc>) -> Proof {
    let mut proof = Proof {
        conflicts: holdings.conflicts,
        repeats: holdings.repeats,
        events: holdings.streams.values().map(|book| book.contents.len()).sum(),
        gaps: holdings.gaps.iter().cloned().collect(),
        ..Proof::default()
    };
    for shop in street.shops() {
        let connection = shop.stall.connection;
        let books = proof.compare_states(connection, &shop.sheet(now), holdings);
        proof.add_rows(&shop.stall, &books, holdings);
        proof.compare_closings(connection, &books, holdings, calendar, now);
    }
    for (stream, book) in &holdings.streams {
        let holes = book.holes();
        if !holes.is_empty() {
            proof.holes.insert(stream.clone(), holes);
        }
    }
    proof
}

/// One record as the books have it.
struct Booked {
    kind: Kind,
    total: Decimal,
    at: DateTime<Utc>,
}

impl Proof {
    /// Whether everything holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.missing.is_empty()
            && self.surplus.is_empty()
            && self.different.is_empty()
            && self.holes.is_empty()
            && self.conflicts == 0
            && self.wrong_closings.is_empty()
            && self.gaps.is_empty()
            && self.shops.iter().flat_map(|shop| &shop.kinds).all(|(_, here, there)| here == there)
    }

    /// Compares the states of one shop; gives its books with one kind for each record: that which HQ holds, where the
    /// source leaves a choice.
    fn compare_states(&mut self, connection: &str, sheet: &Sheet, holdings: &Holdings) -> Vec<Booked> {
        let mut books = Vec::new();
        let held = |subject: &str| holdings.states.get(&format!("{connection}/{subject}"));
        for (subject, entry) in sheet {
            let state = held(subject);
            let held_kind = state.and_then(|state| entry.kinds.iter().find(|kind| kind.name() == state.kind));
            match state {
                None if entry.optional => continue,
                None => self.missing.push(format!("{connection}/{subject}")),
                Some(state) if state.amount == entry.total && held_kind.is_some() && balanced(entry, subject, held) => {
                }
                Some(_) => self.different.push(format!("{connection}/{subject}")),
            }
            if let Some(kind) = held_kind.or(entry.kinds.first()) {
                books.push(Booked { kind: *kind, total: entry.total, at: entry.at });
            }
        }
        let own = format!("{connection}/");
        let surplus = holdings.states.keys().filter_map(|identity| identity.strip_prefix(&own));
        let surplus = surplus.filter(|subject| !sheet.contains_key(*subject));
        self.surplus.extend(surplus.map(|subject| format!("{own}{subject}")));
        books
    }

    fn add_rows(&mut self, shop: &Stall, books: &[Booked], holdings: &Holdings) {
        let own = format!("{}/", shop.connection);
        let kinds = KINDS.iter().map(|(kind, _)| {
            let (mut here, mut there) = (Side::default(), Side::default());
            books.iter().filter(|booked| booked.kind == *kind).for_each(|booked| here.add(booked.total));
            let states = holdings.states.iter().filter(|(identity, _)| identity.starts_with(&own));
            states.filter(|(_, state)| state.kind == kind.name()).for_each(|(_, state)| there.add(state.amount));
            (*kind, here, there)
        });
        let kinds = kinds.filter(|(_, here, there)| here.count + there.count > 0).collect();
        self.shops.push(Rows { sign: shop.sign, currency: shop.currency, kinds });
    }

    fn compare_closings(
        &mut self,
        connection: &str,
        books: &[Booked],
        holdings: &Holdings,
        calendar: &Calendar,
        now: DateTime<Utc>,
    ) {
        let mut days: BTreeMap<NaiveDate, BTreeMap<&str, Side>> = BTreeMap::new();
        for booked in books {
            let day = days.entry(calendar.day_of(booked.at)).or_default();
            day.entry(booked.kind.name()).or_default().add(booked.total);
        }
        for (day, sides) in days {
            if calendar.bounds(day).1 > now {
                continue;
            }
            let day = format!("{connection}/{day}");
            let said = holdings.closings.get(&day).map(closing_sides);
            let expected = sides.into_iter().map(|(kind, side)| (kind.to_owned(), side)).collect();
            let right = said == Some((true, expected));
            if right { &mut self.right_closings } else { &mut self.wrong_closings }.push(day);
        }
    }
}

/// Whether a sale and the refund that is derived from it come to nothing.
fn balanced<'h>(entry: &Entry, subject: &str, held: impl Fn(&str) -> Option<&'h State>) -> bool {
    let signed = |subject: &str| match held(subject) {
        Some(state) if state.kind == "sale" => state.amount,
        Some(state) if state.kind == "refund" => -state.amount,
        _ => Decimal::ZERO,
    };
    entry.balances.as_deref().is_none_or(|other| (signed(subject) + signed(other)).is_zero())
}

/// Whether a closing says that its day is complete, and its counts and sums by kind.
fn closing_sides(closing: &Value) -> (bool, BTreeMap<String, Side>) {
    let lines = closing["totals"].as_array().into_iter().flatten().filter_map(|line| {
        let sum = Decimal::from_str_exact(line["sum"].as_str()?).ok()?;
        Some((line["kind"].as_str()?.to_owned(), Side { count: line["count"].as_u64()?, sum }))
    });
    (closing["complete"] == true, lines.collect())
}

/// An amount as a person writes it: `Rp 1.250.000`, `S$ 12.50`.
#[must_use]
pub fn money(amount: Decimal, currency: &str) -> String {
    let (sign, point, group) = if currency == "IDR" { ("Rp", ",", '.') } else { ("S$", ".", ',') };
    let text = if currency == "IDR" { amount.normalize().to_string() } else { format!("{amount:.2}") };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (minus, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n) % 3 == 0 {
            grouped.push(group);
        }
        grouped.push(digit);
    }
    let point = if fraction.is_empty() { "" } else { point };
    format!("{minus}{sign} {grouped}{point}{fraction}")
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for shop in &self.shops {
            writeln!(f, "  {:<34}{:>22}{:>26}", shop.sign, "the shop's own books", "HQ, from MQTT alone")?;
            for (kind, here, there) in &shop.kinds {
                let side = |side: &Side| format!("{} = {}", side.count, money(side.sum, shop.currency));
                let word = KINDS.iter().find(|(known, _)| known == kind).map_or("", |(_, word)| word);
                let counted = if matches!(kind, Kind::Sale | Kind::Refund) { "" } else { " (not counted)" };
                let verdict = if here == there { "equal" } else { "NOT EQUAL" };
                writeln!(f, "    {:<26}{:>26}{:>26}   {verdict}", format!("{word}{counted}"), side(here), side(there))?;
            }
        }
        let holes: usize = self.holes.values().map(Vec::len).sum();
        writeln!(
            f,
            "  {} missing, {} counted twice or unknown, {} different; {} events, {holes} numbers missing, {} numbers \
             used twice; {} repeats dropped by id",
            self.missing.len(),
            self.surplus.len(),
            self.different.len(),
            self.events,
            self.conflicts,
            self.repeats,
        )?;
        for day in &self.right_closings {
            writeln!(f, "  the closing of {day} says the same, and that the day is complete")?;
        }
        for day in &self.wrong_closings {
            writeln!(f, "  the closing of {day} is missing or does NOT say the same")?;
        }
        for (what, ids) in [
            ("missing at HQ", &self.missing),
            ("unknown in the books", &self.surplus),
            ("different", &self.different),
            ("open gap", &self.gaps),
        ] {
            for id in ids.iter().take(5) {
                writeln!(f, "  {what}: {id}")?;
            }
        }
        for (stream, holes) in &self.holes {
            writeln!(
                f,
                "  stream {stream} lacks number {}",
                holes.iter().take(5).map(u64::to_string).collect::<Vec<_>>().join(", ")
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_grouped() {
        let shown = |text: &str| money(Decimal::from_str_exact(text).unwrap(), "IDR");
        assert_eq!(money(Decimal::from_str_exact("1234567.5").unwrap(), "SGD"), "S$ 1,234,567.50");
        assert_eq!(shown("1250000"), "Rp 1.250.000");
        assert_eq!(shown("999"), "Rp 999");
        assert_eq!(shown("-12500.50"), "-Rp 12.500,5");
    }
}
