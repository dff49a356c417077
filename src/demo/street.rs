//! The street of the demonstration: four shops, each with a point of sale of another system.

use std::{io, sync::Arc};

use chrono::{DateTime, NaiveDate, Utc};

use super::{
    asalta::{self, Asalta},
    http_server::{Fault, Garbling},
    olsera::{self, Olsera, Profile},
    pos_kasir::{self, PosKasir},
    qasir::{self, Qasir},
    shop::ShopDay,
    simulator::{Server, Sheet, Simulator},
};
use crate::{clock::Clock, zone::Zone};

/// One shop of the street: its point of sale, and what the box calls it.
#[derive(Clone)]
pub struct Stall {
    /// The connection that reads it.
    pub connection: &'static str,
    /// What people see above its door.
    pub sign: &'static str,
    /// Of its amounts.
    pub currency: &'static str,
    /// Its point of sale.
    pub simulator: Arc<dyn Simulator>,
}

/// Every shop of the street, one of each system.
#[must_use]
pub fn stalls(clock: &Clock, zone: &Zone) -> Vec<Stall> {
    let stall = |connection, sign, currency, simulator| Stall { connection, sign, currency, simulator };
    let qasir = Qasir::new(clock.clone(), qasir::Options::new(zone.clone(), "demo-token-0123456789"));
    let kasir = PosKasir::new(clock.clone(), pos_kasir::Options::new(zone.clone()));
    let olsera = Olsera::new(clock.clone(), olsera::Options::new(zone.clone(), Profile::OpenApi));
    let asalta = Asalta::new(clock.clone(), asalta::Options::new(zone.clone()));
    vec![
        stall("warung", "Warung Bu Siti, Qasir", "IDR", Arc::new(qasir)),
        stall("cafe", "Kafe Sabang, POS Kasir", "IDR", Arc::new(kasir)),
        stall("kiosk", "Kios Kopi Senja, Olsera", "IDR", Arc::new(olsera)),
        stall("boutique", "Toko Kemang, Asalta", "SGD", Arc::new(asalta)),
    ]
}

impl Stall {
    /// Its block of a box's config, at this address and with these further lines.
    #[must_use]
    pub fn pos_block(&self, base_url: &str, more: &str) -> String {
        let Self { connection, currency, simulator, .. } = self;
        let block = simulator.pos_block();
        format!(
            "[[pos]]\nname = \"{connection}\"\nbase-url = \"{base_url}\"\n{block}timezone = \"Asia/Jakarta\"\n\
             currency = \"{currency}\"\n{more}\n"
        )
    }
}

/// A shop that is open: its point of sale answers.
pub struct Shop {
    /// What it is.
    pub stall: Stall,
    server: Server<Arc<dyn Simulator>>,
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
        Self::of(stalls(clock, zone), clock, zone)
    }

    /// Opens these shops, each on a port of its own.
    ///
    /// # Errors
    /// No port or no thread can be had.
    pub fn of(stalls: Vec<Stall>, clock: &Clock, zone: &Zone) -> io::Result<Self> {
        let open = |stall: Stall| Ok(Shop { server: Server::start(Arc::clone(&stall.simulator))?, stall });
        let shops = stalls.into_iter().map(open).collect::<io::Result<_>>()?;
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
            shop.stall.simulator.play(day.movements());
        }
    }

    /// Every point of sale answers nonsense for a while.
    pub fn break_down(&self) {
        for shop in &self.shops {
            shop.server.http().fail_next(2, Fault::Broken(500));
            shop.server.http().fail_next(2, Fault::Garbled(Garbling::Html));
            shop.server.http().fail_next(2, Fault::Garbled(Garbling::Truncated));
            shop.server.http().fail_next(1, Fault::TooMany(Some(30)));
        }
    }

    /// Every point of sale is gone.
    pub fn cut(&self) {
        self.shops.iter().for_each(|shop| shop.server.http().fail(Fault::Cut));
    }

    /// Every point of sale is back.
    pub fn heal(&self) {
        self.shops.iter().for_each(|shop| shop.server.http().heal());
    }

    /// The currency of the shop whose connection begins an identity.
    #[must_use]
    pub fn currency_of(&self, identity: &str) -> Option<&'static str> {
        let connection = identity.split('/').next()?;
        self.shops.iter().find(|shop| shop.stall.connection == connection).map(|shop| shop.stall.currency)
    }

    /// Records that the books of all shops must hold.
    #[must_use]
    pub fn records(&self) -> usize {
        let required = |shop: &Shop| shop.sheet(self.clock.now()).values().filter(|entry| !entry.optional).count();
        self.shops.iter().map(required).sum()
    }
}

impl Shop {
    /// The server that answers for it: its address, and faults on command.
    #[must_use]
    pub fn server(&self) -> &Server<Arc<dyn Simulator>> {
        &self.server
    }

    /// What stands in its books.
    #[must_use]
    pub fn sheet(&self, now: DateTime<Utc>) -> Sheet {
        self.stall.simulator.sheet(now)
    }

    /// Its block of the box's config.
    #[must_use]
    pub fn pos_block(&self) -> String {
        self.stall.pos_block(&self.server.base_url(), "poll-every = \"5m\"\nbackfill = \"1d\"")
    }
}
