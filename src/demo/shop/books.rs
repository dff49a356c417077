//! The shop's own books: what every sale is now. HQ's states must equal them, nothing missing, nothing counted twice.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::{Kind, Sale};

/// One entry: what a proof compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Which way the money went.
    pub kind: Kind,
    /// How much, as a magnitude.
    pub total: Decimal,
    /// The business time.
    pub at: DateTime<Utc>,
}

/// The day's bottom line for one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Total {
    /// Number of entries.
    pub count: u64,
    /// Exact sum of the magnitudes.
    pub sum: Decimal,
}

/// The present state of every sale, by external id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books {
    states: BTreeMap<String, State>,
}

impl Books {
    /// Enters a sale, in place of what stood under its id. What was not paid stands in no book.
    pub fn enter(&mut self, sale: &Sale) {
        if !matches!(sale.kind, Kind::Sale | Kind::Refund) {
            self.states.remove(&sale.id);
            return;
        }
        self.states.insert(sale.id.clone(), State { kind: sale.kind, total: sale.total, at: sale.at });
    }

    /// Every entry by its external id.
    #[must_use]
    pub fn states(&self) -> &BTreeMap<String, State> {
        &self.states
    }

    /// Counts and exact sums by kind; a kind without entries is absent.
    ///
    /// # Panics
    /// If a sum needs more than 28 digits, which no shop's day does.
    #[must_use]
    pub fn totals(&self) -> BTreeMap<Kind, Total> {
        let mut totals = BTreeMap::<Kind, Total>::new();
        for state in self.states.values() {
            let total = totals.entry(state.kind).or_default();
            total.count += 1;
            #[expect(clippy::disallowed_methods, reason = "the books share no arithmetic with the program under proof")]
            let sum = total.sum.checked_add(state.total).expect("a shop's sums have fewer than 28 digits");
            total.sum = sum;
        }
        totals
    }
}

impl<'a> FromIterator<&'a Sale> for Books {
    fn from_iter<I: IntoIterator<Item = &'a Sale>>(sales: I) -> Self {
        let mut books = Self::default();
        sales.into_iter().for_each(|sale| books.enter(sale));
        books
    }
}
