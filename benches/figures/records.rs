//! Sales as a point of sale answers them, of about a kilobyte as an event.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use tillbox::{
    config::Currency,
    outbox::{Capture, Opened, Options, Outbox},
    pos::{page::ParseContext, qasir::parse::parse_transactions},
    zone::Zone,
};

/// The connection of all of them.
pub const CONNECTION: &str = "front";

pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_773_450_000, 0).expect("an instant")
}

pub fn zone() -> Zone {
    Zone::load("Asia/Jakarta").expect("Debian's tzdata")
}

/// A body with `count` sales, numbered from `first`.
pub fn body(first: u64, count: u64) -> Vec<u8> {
    let sales: Vec<String> = (first..first + count)
        .map(|n| {
            let at = now() - TimeDelta::seconds(i64::try_from(n % 700_000).unwrap_or(0) * 10);
            let at = at.format("%Y-%m-%dT%H:%M:%S+00:00");
            let (price, total) = (1_000 + n % 977 * 50, 2 * (1_000 + n % 977 * 50) + 15_000);
            format!(
                r#"{{"id":"QSR-{n:08}","total_amount":"{total}","transaction_date":"{at}","payment_method":"qris","items":[{{"product_name":"Kopi Susu Gula Aren {n}","qty":2,"price":"{price}"}},{{"product_name":"Roti Bakar","qty":"1","price":15000}}]}}"#
            )
        })
        .collect();
    format!(r#"{{"transactions":[{}]}}"#, sales.join(",")).into_bytes()
}

/// Reads a body as the poll thread does.
pub fn capture(outbox: &Outbox, body: &[u8]) -> Capture {
    let context = ParseContext {
        connection: CONNECTION.to_owned(),
        outlet_zone: zone(),
        source_zone: zone(),
        currency: Currency::parse("IDR").expect("a currency"),
        business_day_starts: NaiveTime::MIN,
        observed_at: now(),
    };
    let page = parse_transactions(body, &context).expect("a page");
    let epoch = outbox.level().epoch;
    Capture { connection: CONNECTION.to_owned(), epoch, now: now(), transactions: page.records, ..Capture::default() }
}

/// A new outbox in a folder.
pub fn open(folder: &std::path::Path) -> Outbox {
    let options = Options {
        folder: folder.to_owned(),
        max_bytes: 2 << 30,
        outlet: "bench".to_owned(),
        topic_prefix: "tillbox".to_owned(),
        event_max_bytes: 128 * 1024,
        retention: TimeDelta::days(97),
        connections: vec![(CONNECTION.to_owned(), "bench".to_owned())],
        retired: Vec::new(),
    };
    let Opened { outbox, .. } = Outbox::open(options, now()).expect("an outbox");
    // As after the first session: a store that HQ does not know yet waits a second for a checkpoint.
    outbox.take_generation(1, true, std::collections::BTreeMap::new()).expect("a generation");
    outbox
}
