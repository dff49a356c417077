//! The street of the demonstration: four shops, each with a point of sale of another system.

use std::io;

use chrono::{DateTime, NaiveDate, Utc};

use super::{
    http_server::{Fault, Garbling},
    qasir::{self, Qasir},
    shop::ShopDay,
    simulator::{Server, Sheet, Shopfront},
};
use crate::{clock::Clock, zone::Zone};

/// One shop of the street.
pub struct Shop {
    /// The connection that reads it.
    pub connection: &'static str,
    /// What people see above its door.
    pub sign: &'static str,
    /// Of its amounts.
    pub currency: &'static str,
    front: Box<dyn Shopfront>,
}

/// All of them.
pub struct Street {
    shops: Vec<Shop>,
    zone: Zone,
    clock: Clock,
}

impl Street {
    /// Opens every shop on a port of its own.
    ///
    /// # Errors
    /// No port or no thread can be had.
    pub fn open(clock: &Clock, zone: &Zone) -> io::Result<Self> {
        let shop = |connection, sign, currency, front| Shop { connection, sign, currency, front };
        let token = "demo-token-0123456789";
        let qasir = Server::start(Qasir::new(clock.clone(), qasir::Options::new(zone.clone(), token)))?;
        let shops = vec![shop("warung", "Warung Bu Siti, Qasir", "IDR", Box::new(qasir) as Box<dyn Shopfront>)];
        Ok(Self { shops, zone: zone.clone(), clock: clock.clone() })
    }

    /// The shops, in the order of the street.
    #[must_use]
    pub fn shops(&self) -> &[Shop] {
        &self.shops
    }

    /// Lets a day happen in every shop, each its own.
    pub fn play(&self, seed: u64, day: NaiveDate, sales: usize) {
        for (number, shop) in (0_u64..).zip(&self.shops) {
            let day = ShopDay::generate(seed.wrapping_mul(31).wrapping_add(number), day, &self.zone, sales);
            shop.front.simulator().play(day.movements());
        }
    }

    /// Every point of sale answers nonsense for a while.
    pub fn break_down(&self) {
        for shop in &self.shops {
            shop.front.fail_next(2, Fault::Broken(500));
            shop.front.fail_next(2, Fault::Garbled(Garbling::Html));
            shop.front.fail_next(2, Fault::Garbled(Garbling::Truncated));
            shop.front.fail_next(1, Fault::TooMany(Some(30)));
        }
    }

    /// Every point of sale is gone.
    pub fn cut(&self) {
        self.shops.iter().for_each(|shop| shop.front.fail(Fault::Cut));
    }

    /// Every point of sale is back.
    pub fn heal(&self) {
        self.shops.iter().for_each(|shop| shop.front.heal());
    }

    /// The currency of the shop whose connection begins an identity.
    #[must_use]
    pub fn currency_of(&self, identity: &str) -> Option<&'static str> {
        let connection = identity.split('/').next()?;
        self.shops.iter().find(|shop| shop.connection == connection).map(|shop| shop.currency)
    }

    /// Records in the books of all shops.
    #[must_use]
    pub fn records(&self) -> usize {
        self.shops.iter().map(|shop| shop.sheet(self.clock.now()).len()).sum()
    }
}

impl Shop {
    /// What stands in its books.
    #[must_use]
    pub fn sheet(&self, now: DateTime<Utc>) -> Sheet {
        self.front.simulator().sheet(now)
    }

    /// Its block of the box's config.
    #[must_use]
    pub fn pos_block(&self) -> String {
        let (block, url) = (self.front.simulator().pos_block(), self.front.base_url());
        let (name, currency) = (self.connection, self.currency);
        format!(
            "[[pos]]\nname = \"{name}\"\nbase-url = \"{url}\"\n{block}timezone = \"Asia/Jakarta\"\n\
             currency = \"{currency}\"\npoll-every = \"5m\"\nbackfill = \"1d\"\n"
        )
    }
}
