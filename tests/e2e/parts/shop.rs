//! The shop: its point of sale over HTTP, and its books.

use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, TimeDelta, Timelike as _, Utc};
use tillbox::{
    clock::Clock,
    demo::{
        http_server::HttpServer,
        qasir::{Options, Qasir, QasirServer},
        shop::{Books, Kind, Line, Sale},
    },
    zone::Zone,
};

pub const TOKEN: &str = "pos-token-hunter2-Zq7";
pub const ZONE: &str = "Asia/Jakarta";

/// New sales lie this many seconds back at most, each at a second of its own: well within what every poll reads again.
const SPREAD_S: u32 = 480;

pub struct Shop {
    pos: QasirServer,
    clock: Clock,
    sold: AtomicU32,
    /// How the ids of its sales begin.
    ids: String,
}

impl Shop {
    /// Opens at this machine's time.
    pub fn open() -> Self {
        Self::open_at(Clock::system())
    }

    pub fn open_at(clock: Clock) -> Self {
        Self::open_with(clock, |_| {})
    }

    /// Opens with an outlet id at the point of sale, a token, and the begin of its sales' ids.
    pub fn open_as(clock: Clock, outlet: &str, token: &str, ids: &str) -> Self {
        let outlets = vec![(outlet.to_owned(), "Warung Bu Siti".to_owned())];
        let token = token.to_owned();
        let shop = Self::open_with(clock, |options| {
            options.outlets = outlets;
            options.token = token;
        });
        Self { ids: ids.to_owned(), ..shop }
    }

    /// Opens with a point of sale that differs from the ordinary one.
    pub fn open_with(clock: Clock, differ: impl FnOnce(&mut Options)) -> Self {
        let zone = Zone::load(ZONE).expect("a zone that everyone knows");
        let mut options = Options { requests_per_minute: None, ..Options::new(zone, TOKEN) };
        differ(&mut options);
        let pos = QasirServer::start(clock.clone(), options).expect("a port on the loopback");
        Self { pos, clock, sold: AtomicU32::new(0), ids: "S".to_owned() }
    }

    pub fn base_url(&self) -> String {
        self.pos.base_url()
    }

    pub fn http(&self) -> &HttpServer<Qasir> {
        self.pos.http()
    }

    /// Sells so many things now; gives the external ids.
    pub fn sell(&self, sales: u32) -> Vec<String> {
        self.sell_from(sales, |number| TimeDelta::seconds(i64::from(number % SPREAD_S)))
    }

    /// Sells so many things, spread over the last 20 hours.
    pub fn sold_before(&self, sales: u32) -> Vec<String> {
        let step_s = i64::from(20 * 60 * 60 / sales.max(1));
        self.sell_from(sales, |number| TimeDelta::seconds(i64::from(number) * step_s % (20 * 60 * 60)))
    }

    /// Sells so many things, each two days before the one that was put in before it.
    pub fn sold_every_other_day(&self, sales: u32) -> Vec<String> {
        self.sell_from(sales, |number| TimeDelta::days(2 * i64::from(number)) + TimeDelta::hours(1))
    }

    /// Sells so many things in each of so many seconds of the last hours.
    pub fn sell_crowded(&self, seconds: u32, sales_per_second: u32) {
        let place = |number: u32| TimeDelta::minutes(10 + 5 * i64::from(number / sales_per_second));
        self.sell_from(seconds * sales_per_second, place);
    }

    fn sell_from(&self, sales: u32, ago: impl Fn(u32) -> TimeDelta) -> Vec<String> {
        let now = self.now();
        let first = self.sold.fetch_add(sales, Ordering::Relaxed);
        let put = |number| {
            let sale =
                Sale::plain(&format!("{}-{number:06}", self.ids), 1_000 + i64::from(number) * 25, now - ago(number));
            let id = sale.id.clone();
            self.pos.put(sale);
            id
        };
        (first..first + sales).map(put).collect()
    }

    /// A known sale has another total now.
    pub fn edit(&self, id: &str, total: i64) {
        let at = self.books().states()[id].at;
        self.pos.put(Sale::plain(id, total, at));
    }

    /// Goods come back.
    pub fn refund(&self, id: &str, total: i64) {
        self.pos.put(Sale { kind: Kind::Refund, ..Sale::plain(id, total, self.now()) });
    }

    /// A sale of so many things with long names.
    pub fn sell_much(&self, id: &str, lines: usize) {
        let mut sale = Sale::plain(id, 2_500_000, self.now());
        let line = |number| Line {
            name: format!("{number:04} {}", "Nasi Goreng Kambing ".repeat(6)),
            ..sale.lines[0].clone()
        };
        sale.lines = (0..lines).map(line).collect();
        self.pos.put(sale);
    }

    pub fn books(&self) -> Books {
        self.pos.books()
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now().with_nanosecond(0).expect("a whole second")
    }
}
