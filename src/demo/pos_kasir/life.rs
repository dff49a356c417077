//! What became of an order until now: creation, payment, edits, a payment that is lost, refund, cancellation, reopening.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use crate::demo::shop::{Kind, Sale, Shown};

/// An order as the server holds it.
#[derive(Debug, Clone)]
pub(super) struct Order {
    /// The shop's own id of it.
    pub sale_id: String,
    /// The slip as it is now.
    pub sale: Sale,
    pub status: &'static str,
    /// By which means it is paid.
    pub paid_by: Option<String>,
    pub has_gateway_reference: bool,
    pub version: u64,
    pub updated_at: DateTime<Utc>,
    /// It was paid at some time until now.
    pub was_paid: bool,
    /// What the activity log says of it.
    pub log: Vec<(DateTime<Utc>, Logged)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logged {
    Payment,
    Refund,
    Cancel,
}

enum Event<'a> {
    Version(&'a Sale),
    Refund,
}

impl Order {
    /// Follows an order's life. `refunds`: when the till gave its payment back. `keeps_payment`: where it is cancelled
    /// although it is paid, the payment stays.
    pub fn follow(shown: &Shown<'_>, refunds: &[DateTime<Utc>], keeps_payment: bool) -> Self {
        let mut events: Vec<_> = shown.states().map(|(at, sale)| (at, Event::Version(sale))).collect();
        // A refund that the server knows before its sale is entered right after it.
        events.extend(refunds.iter().map(|at| ((*at).max(shown.first_known_at), Event::Refund)));
        events.sort_by_key(|(at, event)| (*at, matches!(event, Event::Refund)));
        let first = shown.states().next().map_or(shown.sale, |(_, sale)| sale);
        let mut order = Self {
            sale_id: first.id.clone(),
            sale: Sale { kind: Kind::Order, ..first.clone() },
            status: "open",
            paid_by: None,
            has_gateway_reference: false,
            version: 2,
            updated_at: shown.first_known_at,
            was_paid: false,
            log: Vec::new(),
        };
        for (at, event) in events {
            match event {
                Event::Version(sale) => order.become_like(sale, at, keeps_payment),
                // The server answers 400 to a refund of what is not paid.
                Event::Refund if order.paid_by.is_some() => order.refund(at),
                Event::Refund => {}
            }
        }
        order
    }

    pub fn is_cancelled(&self) -> bool {
        self.status == "cancelled"
    }

    pub fn is_paid(&self) -> bool {
        self.paid_by.is_some()
    }

    fn become_like(&mut self, sale: &Sale, at: DateTime<Utc>, keeps_payment: bool) {
        if (sale.total, &sale.lines) != (self.sale.total, &self.sale.lines) {
            self.version += 1;
            self.updated_at = at;
        }
        self.sale = Sale { at: self.sale.at, id: self.sale.id.clone(), ..sale.clone() };
        // This server knows no part payments: what is not paid in full is not paid.
        let in_full = sale.paid.is_none_or(|paid: Decimal| paid >= sale.total);
        match sale.kind {
            Kind::Sale if in_full => self.pay(sale.tender.as_deref().unwrap_or("Lainnya"), at),
            Kind::Sale | Kind::Order => self.reopen(at),
            Kind::Void if self.is_paid() && !keeps_payment => self.refund(at),
            Kind::Void => self.cancel(at),
            Kind::Refund => {}
        }
    }

    fn pay(&mut self, method: &str, at: DateTime<Utc>) {
        if self.is_cancelled() {
            (self.status, self.updated_at) = ("open", at);
        }
        if self.paid_by.as_deref() == Some(method) {
            return;
        }
        self.paid_by = Some(method.to_owned());
        self.was_paid = true;
        self.version += 1;
        self.updated_at = at;
        // Kitchens differ in how far they carry an order on; money was received all the same.
        let ways = ["in_progress", "served", "paid"];
        self.status = ways[self.sale.id.bytes().map(usize::from).sum::<usize>() % 3];
        self.log.push((at, Logged::Payment));
    }

    /// Open and unpaid: by its creation, by being reopened, or because a QR was asked for what was paid.
    fn reopen(&mut self, at: DateTime<Utc>) {
        if self.is_cancelled() {
            (self.status, self.updated_at) = ("open", at);
        }
        if self.paid_by.take().is_some() {
            self.has_gateway_reference = true;
            self.version += 1;
            self.updated_at = at;
        }
    }

    fn cancel(&mut self, at: DateTime<Utc>) {
        if !self.is_cancelled() {
            (self.status, self.updated_at) = ("cancelled", at);
            self.log.push((at, Logged::Cancel));
        }
    }

    fn refund(&mut self, at: DateTime<Utc>) {
        self.paid_by = None;
        self.status = "cancelled";
        self.version += 1;
        self.updated_at = at;
        self.log.push((at, Logged::Refund));
    }
}
