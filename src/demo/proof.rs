//! The proof: what the shop's own books say against what HQ built from MQTT alone.

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use serde_json::Value;

use super::{
    hq::Holdings,
    shop::{Books, Kind},
};
use crate::closing::Calendar;

/// The outcome of the comparison.
#[derive(Debug, Default)]
pub struct Proof {
    /// Per kind: name, then count and sum in the books, then at HQ.
    rows: Vec<(&'static str, Side, Side)>,
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

/// Compares. Business days that are over by `now` must have a closing that says what the books say.
#[must_use]
pub fn prove(books: &Books, holdings: &Holdings, calendar: &Calendar, now: DateTime<Utc>) -> Proof {
    let mut proof = Proof {
        conflicts: holdings.conflicts,
        repeats: holdings.repeats,
        events: holdings.streams.values().map(|book| book.contents.len()).sum(),
        gaps: holdings.gaps.iter().cloned().collect(),
        ..Proof::default()
    };
    for (name, kind) in [("sales", Kind::Sale), ("refunds", Kind::Refund)] {
        let (mut here, mut there) = (Side::default(), Side::default());
        books.states().values().filter(|state| state.kind == kind).for_each(|state| here.add(state.total));
        let same = holdings.states.values().filter(|state| state.kind == kind.name());
        same.for_each(|state| there.add(state.amount));
        proof.rows.push((name, here, there));
    }
    for (id, state) in books.states() {
        match holdings.states.get(&identity(id)) {
            None => proof.missing.push(id.clone()),
            Some(held) if held.amount != state.total || held.kind != state.kind.name() => {
                proof.different.push(id.clone());
            }
            Some(_) => {}
        }
    }
    let known: std::collections::BTreeSet<String> = books.states().keys().map(|id| identity(id)).collect();
    proof.surplus = holdings.states.keys().filter(|identity| !known.contains(*identity)).cloned().collect();
    for (stream, book) in &holdings.streams {
        let holes = book.holes();
        if !holes.is_empty() {
            proof.holes.insert(stream.clone(), holes);
        }
    }
    proof.compare_closings(books, holdings, calendar, now);
    proof
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
            && self.rows.iter().all(|(_, here, there)| here == there)
    }

    fn compare_closings(&mut self, books: &Books, holdings: &Holdings, calendar: &Calendar, now: DateTime<Utc>) {
        let mut days: BTreeMap<NaiveDate, BTreeMap<&str, Side>> = BTreeMap::new();
        for state in books.states().values() {
            let day = days.entry(calendar.day_of(state.at)).or_default();
            day.entry(state.kind.name()).or_default().add(state.total);
        }
        for (day, sides) in days {
            if calendar.bounds(day).1 > now {
                continue;
            }
            let day = day.to_string();
            let said = holdings.closings.get(&day).map(closing_sides);
            let expected = sides.into_iter().map(|(kind, side)| (kind.to_owned(), side)).collect();
            let right = said == Some((true, expected));
            if right { &mut self.right_closings } else { &mut self.wrong_closings }.push(day);
        }
    }
}

/// Whether a closing says that its day is complete, and its counts and sums by kind.
fn closing_sides(closing: &Value) -> (bool, BTreeMap<String, Side>) {
    let lines = closing["totals"].as_array().into_iter().flatten().filter_map(|line| {
        let sum = Decimal::from_str_exact(line["sum"].as_str()?).ok()?;
        Some((line["kind"].as_str()?.to_owned(), Side { count: line["count"].as_u64()?, sum }))
    });
    (closing["complete"] == true, lines.collect())
}

fn identity(id: &str) -> String {
    format!("front/transaction/{id}")
}

/// An amount of rupiah as a person writes it: `Rp 1.250.000`.
#[must_use]
pub fn rupiah(amount: Decimal) -> String {
    let text = amount.normalize().to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n) % 3 == 0 {
            grouped.push('.');
        }
        grouped.push(digit);
    }
    let comma = if fraction.is_empty() { "" } else { "," };
    format!("{sign}Rp {grouped}{comma}{fraction}")
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {:<10}{:>26}{:>26}", "", "the shop's own books", "HQ, from MQTT alone")?;
        for (name, here, there) in &self.rows {
            let side = |side: &Side| format!("{} = {}", side.count, rupiah(side.sum));
            let verdict = if here == there { "equal" } else { "NOT EQUAL" };
            writeln!(f, "  {name:<10}{:>26}{:>26}   {verdict}", side(here), side(there))?;
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
    fn rupiah_are_grouped() {
        let shown = |text: &str| rupiah(Decimal::from_str_exact(text).unwrap());
        assert_eq!(shown("1250000"), "Rp 1.250.000");
        assert_eq!(shown("999"), "Rp 999");
        assert_eq!(shown("-12500.50"), "-Rp 12.500,5");
    }
}
