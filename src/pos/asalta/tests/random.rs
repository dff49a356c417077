//! Random shops on random servers: once everything is quiet, what is held is what the server shows.

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;

use super::world::{TestBox, at, sale};
use crate::{
    demo::{
        asalta::{Envelope, Metadata, Payments},
        shop::{Chance, Kind, Sale},
        simulator::Simulator as _,
    },
    pos::http::Failure,
};

struct History {
    chance: Chance,
    stage: TestBox,
    sales: Vec<Sale>,
    refunded: Vec<String>,
    number: usize,
}

impl History {
    fn begin(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let mut one_of = |n: usize| chance.shuffled(n)[0];
        let stage = TestBox::new(at("2026-03-14T09:00:00+08:00"), |options| {
            options.newest_first = one_of(2) == 0;
            options.page_rows = 2 + one_of(19);
            options.metadata =
                [Metadata::PageSize, Metadata::TotalPage, Metadata::PageCount, Metadata::Meta][one_of(4)];
            options.envelope = [Envelope::Object, Envelope::Object, Envelope::Wrapped, Envelope::Bare][one_of(4)];
            options.payments = [Payments::List, Payments::Object, Payments::Mixed][one_of(3)];
            options.returns_without_sale = (one_of(2) == 0, one_of(2) == 0);
            options.report_ignores_form = one_of(2) == 0;
            options.mandatory_status = [400, 500][one_of(2)];
        });
        Self { chance, stage, sales: Vec::new(), refunded: Vec::new(), number: 0 }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.chance.shuffled(bound)[0]
    }

    /// Something happens in the shop; the server learns of it now, or later.
    fn happen(&mut self, now: DateTime<Utc>) {
        let minutes = |n: usize| TimeDelta::minutes(i64::try_from(n).unwrap());
        self.number += 1;
        let id = format!("S{:04}", self.number);
        let total = i64::try_from(100 + self.below(90_000)).unwrap();
        let known_at = now + minutes([0, 0, 0, 200][self.below(4)]);
        let what = if self.sales.is_empty() { 0 } else { self.below(12) };
        let chosen = self.below(self.sales.len().max(1));
        let change = match what {
            0..5 => {
                let back = minutes(self.below(3) * self.below(600));
                sale(&id, total, now - back)
            }
            5 => Sale { paid: Some(Decimal::from(total / 2)), ..sale(&id, total, now) },
            6 => Sale { kind: Kind::Order, ..sale(&id, total, now) },
            7 => match self.sales[chosen].clone() {
                order if order.kind == Kind::Order && self.below(2) == 0 => Sale { kind: Kind::Void, ..order },
                order if order.kind == Kind::Order => Sale { kind: Kind::Sale, ..order },
                sold => Sale { total: sold.total + Decimal::ONE, ..sold },
            },
            8 => Sale { paid: None, ..self.sales[chosen].clone() },
            9 if self.sales[chosen].kind == Kind::Sale && !self.refunded.contains(&self.sales[chosen].id) => {
                let sold = self.sales[chosen].clone();
                self.refunded.push(sold.id.clone());
                Sale { id, kind: Kind::Refund, refund_of: Some(sold.id), at: now, total: sold.total, ..sold }
            }
            10 if self.sales[chosen].kind == Kind::Sale && self.below(3) == 0 => {
                let gone = self.sales.swap_remove(chosen);
                self.stage.server.remove(&gone.id, now + TimeDelta::hours(4));
                return;
            }
            _ => return,
        };
        self.sales.retain(|known| known.id != change.id);
        if change.kind != Kind::Refund {
            self.sales.push(change.clone());
        }
        self.stage.server.put_at(known_at, change);
    }

    fn disturb(&mut self) {
        let fault = match self.below(40) {
            0 => Failure::Unreachable("cut".to_owned()),
            1 => Failure::Trouble(500),
            2 => Failure::TooMany { retry_after: None },
            3 => Failure::Trouble(503),
            4 => {
                self.stage.restart();
                return;
            }
            _ => return,
        };
        self.stage.faults.next.push(fault);
    }
}

#[test]
fn whatever_happens_the_box_ends_up_with_what_the_server_shows() {
    for seed in 0..6 {
        let mut history = History::begin(seed);
        // A past, which the box finds when it is switched on.
        for hours in 0..60 {
            let past = history.stage.now - TimeDelta::hours(60 - hours);
            history.happen(past);
        }
        let end = history.stage.now + TimeDelta::hours(8);
        while history.stage.now < end {
            let now = history.stage.now;
            history.happen(now);
            let next = now + TimeDelta::minutes(6);
            while history.stage.now < next {
                history.disturb();
                history.stage.step();
            }
        }
        history.stage.faults.next.clear();
        history.stage.run(TimeDelta::hours(6));
        let stage = &history.stage;
        assert_eq!(stage.held(), stage.due(), "seed {seed}: {:?}", stage.progress());
        assert!(stage.progress().complete, "seed {seed}: {:?} {:?}", stage.progress(), stage.conditions);
        assert_eq!(stage.quarantined, 0, "seed {seed}");
    }
}
