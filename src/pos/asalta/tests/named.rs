//! What each unpleasant trait must come to.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use rust_decimal::Decimal;

use super::world::{TestBox, at, sale};
use crate::{
    demo::{
        asalta::{Envelope, Metadata},
        http_server::{self, Service as _},
        shop::{Kind as ShopKind, Sale},
    },
    health::Condition,
    pos::{asalta::requests, http::Failure},
    transaction::{Flag, Resource},
};

const NOON: &str = "2026-03-14T12:00:00+08:00";

/// A shop with a past: `count` sales, one every ten minutes until noon.
pub fn shop(count: i64, turn: impl FnOnce(&mut crate::demo::asalta::Options)) -> TestBox {
    let now = at(NOON);
    let stage = TestBox::new(now, turn);
    for n in 0..count {
        let sold = now - TimeDelta::minutes(10 * (count - n));
        stage.server.put_at(sold, sale(&format!("J{n:04}"), 1_000 + n, sold));
    }
    stage
}

pub fn refund(id: &str, of: &str, total: i64, at: chrono::DateTime<chrono::Utc>) -> Sale {
    Sale { kind: ShopKind::Refund, refund_of: Some(of.to_owned()), ..sale(id, total, at) }
}

#[test]
fn every_shape_of_a_list_is_read_whole_in_both_orders() {
    for newest_first in [false, true] {
        for metadata in [Metadata::PageSize, Metadata::TotalPage, Metadata::PageCount, Metadata::Meta] {
            for envelope in [Envelope::Object, Envelope::Wrapped, Envelope::Bare] {
                for page_rows in [2, 5, 20] {
                    let mut stage = shop(21, |options| {
                        (options.newest_first, options.metadata) = (newest_first, metadata);
                        (options.envelope, options.page_rows) = (envelope, page_rows);
                    });
                    let what = format!("{newest_first} {metadata:?} {envelope:?} {page_rows}");
                    stage.run(TimeDelta::minutes(5));
                    assert_eq!(stage.held(), stage.due(), "{what}");
                    assert!(stage.progress().complete, "{what}: {:?}", stage.progress());
                    stage.put(sale("N1", 777, stage.now));
                    stage.run(TimeDelta::seconds(40));
                    assert_eq!(stage.held(), stage.due(), "{what}");
                    assert!(stage.notices.is_empty(), "{what}: {:?}", stage.notices);
                    assert_eq!(stage.holds(Condition::ListUnreliable), None, "{what}");
                    assert!(stage.progress().watermark.unwrap() > stage.now - TimeDelta::minutes(2), "{what}");
                }
            }
        }
    }
}

#[test]
fn a_new_box_reads_today_first_and_passes_over_what_is_older_than_the_backfill() {
    for newest_first in [false, true] {
        let now = at(NOON);
        let mut stage = TestBox::new(now, |options| (options.newest_first, options.page_rows) = (newest_first, 10));
        for day in (0..60).rev() {
            for n in 0..5 {
                let sold = now - TimeDelta::days(day) - TimeDelta::minutes(n);
                stage.server.put_at(sold, sale(&format!("D{day:02}-{n}"), 500 + day, sold));
            }
        }
        stage.run(TimeDelta::seconds(20));
        let first: BTreeSet<_> = stage.order.iter().filter(|what| what.starts_with("invoice")).cloned().collect();
        assert!(first.contains("invoice/2300"), "the newest is among the first: {first:?}");
        assert!(!stage.progress().complete);
        assert_eq!(stage.progress().watermark, stage.progress().since, "nothing is proven yet");
        stage.run(TimeDelta::minutes(5));
        stage.assert_whole();
        assert_eq!(stage.due().len(), 30 * 5 + 1, "thirty days and the sale of that very instant");
        assert!(stage.progress().complete);
    }
}

#[test]
fn the_load_of_a_busy_shop_stays_small() {
    let mut stage = shop(500, |_| {});
    stage.run(TimeDelta::minutes(10));
    let before = stage.asked.len();
    for n in 0..60 {
        stage.put(sale(&format!("B{n}"), 900 + n, stage.now));
        stage.run(TimeDelta::minutes(1));
    }
    let an_hour = stage.asked.len() - before;
    assert!(an_hour < 8 * 60, "{an_hour} requests in an hour");
    stage.assert_whole();
}

#[test]
fn a_page_that_names_no_next_one_is_counted_past_and_raised() {
    for newest_first in [false, true] {
        let mut stage = shop(23, |options| {
            (options.newest_first, options.page_rows, options.next_is_missing) = (newest_first, 5, true);
        });
        stage.run(TimeDelta::minutes(3));
        stage.assert_whole();
        let all: String = stage.conditions.values().flatten().cloned().collect();
        assert!(newest_first || all.is_empty() || all.contains("no next page"), "{all}");
        for n in 0..7 {
            stage.put(sale(&format!("N{n}"), 600 + n, stage.now));
        }
        stage.run(TimeDelta::minutes(1));
        stage.assert_whole();
    }
}

#[test]
fn a_page_that_names_itself_as_the_next_stops_the_reading_and_is_raised() {
    let mut stage = shop(23, |options| (options.page_rows, options.stuck_page) = (5, Some(1)));
    stage.run(TimeDelta::minutes(3));
    assert!(stage.holds(Condition::ListUnreliable).unwrap().contains("does not lie ahead"));
    assert!(!stage.progress().complete);
    assert_eq!(stage.progress().watermark, stage.progress().since, "nothing is claimed");
    let asked = stage.asked.len();
    stage.run(TimeDelta::minutes(10));
    assert!(stage.asked.len() - asked < 100, "it is not asked in circles");
    stage.server.adjust(|options| options.stuck_page = None);
    stage.run(TimeDelta::minutes(5));
    stage.assert_whole();
    assert_eq!(stage.holds(Condition::ListUnreliable), None);
}

#[test]
fn a_url_that_fails_for_good_holds_up_nothing_else() {
    let mut stage = shop(30, |_| {});
    stage.server.adjust(|options| options.broken = Some("/pos/orders".to_owned()));
    stage.run(TimeDelta::minutes(10));
    stage.assert_whole();
    assert!(stage.holds(Condition::ListUnreliable).unwrap().contains("/pos/orders"));
    let asked = stage.requests("/pos/orders");
    assert!((5..=7).contains(&asked), "{asked}");
    stage.put(sale("N1", 600, stage.now));
    stage.run(TimeDelta::minutes(1));
    stage.assert_whole();
    stage.server.adjust(|options| options.broken = None);
    stage.run(TimeDelta::minutes(70));
    assert_eq!(stage.holds(Condition::ListUnreliable), None);
    assert!(stage.progress().complete);
}

#[test]
fn a_server_in_trouble_is_not_a_url_that_fails_for_good() {
    let mut stage = shop(30, |_| {});
    stage.run(TimeDelta::minutes(5));
    stage.server.adjust(|options| options.broken = Some("/".to_owned()));
    stage.run(TimeDelta::minutes(30));
    stage.put(sale("N1", 600, stage.now));
    stage.server.adjust(|options| options.broken = None);
    stage.run(TimeDelta::minutes(3));
    stage.assert_whole();
    assert_eq!(stage.holds(Condition::ListUnreliable), None);
}

#[test]
fn a_key_of_another_product_is_told_and_tried_again() {
    let mut stage = shop(3, |options| options.other_product = true);
    stage.run(TimeDelta::minutes(30));
    assert!(stage.holds(Condition::PosUnfit).unwrap().contains("Inventory & POS"));
    assert_eq!(stage.asked.len(), 1);
    stage.server.adjust(|options| options.other_product = false);
    stage.run(TimeDelta::minutes(60));
    assert_eq!(stage.holds(Condition::PosUnfit), None);
    stage.assert_whole();
    assert_eq!(stage.progress().identity.as_deref(), Some("Toko Kemang"));
}

#[test]
fn a_refused_token_is_for_the_poll_loop() {
    let mut stage = shop(3, |_| {});
    for failure in [Failure::Refused(401), Failure::Unreachable(String::new()), Failure::TooMany { retry_after: None }]
    {
        let crate::pos::connector::Step::Ask(_) =
            crate::pos::connector::Connector::next(&mut *stage.connector, at(NOON))
        else {
            panic!("it asks");
        };
        let told = crate::pos::connector::Connector::failed(&mut *stage.connector, &failure, at(NOON));
        assert!(told.is_none(), "{failure}");
    }
}

#[test]
fn a_restart_at_any_step_loses_and_doubles_nothing() {
    for newest_first in [false, true] {
        let mut stage = shop(60, |options| (options.newest_first, options.page_rows) = (newest_first, 4));
        for n in 0..120 {
            stage.step();
            if n % 3 == 0 {
                stage.restart();
            }
            if n % 10 == 0 {
                stage.put(sale(&format!("N{n}"), 600 + n, stage.now - TimeDelta::hours(n)));
            }
        }
        stage.run(TimeDelta::minutes(10));
        stage.assert_whole();
        assert!(stage.progress().complete);
        let twice: Vec<_> = stage
            .held()
            .into_keys()
            .filter(|key| key.strip_prefix("invoice/").is_some_and(|id| stage.revisions(Resource::Invoice, id) > 1))
            .collect();
        assert!(twice.is_empty(), "{twice:?}");
    }
}

#[test]
fn what_brings_no_news_moves_only_the_watermark() {
    let mut stage = shop(30, |_| {});
    stage.run(TimeDelta::minutes(10));
    let stripped = |stage: &TestBox| {
        let mut cursor: serde_json::Value = serde_json::from_slice(stage.cursor.as_ref().unwrap()).unwrap();
        for list in cursor["lists"].as_array_mut().unwrap() {
            list["read_to"] = serde_json::Value::Null;
            list["whole_read"] = serde_json::Value::Null;
        }
        cursor
    };
    let before = stripped(&stage);
    stage.run(TimeDelta::minutes(40));
    assert_eq!(stripped(&stage), before);
    assert!(stage.cursor.as_ref().unwrap().len() < 2_000, "{} bytes", stage.cursor.as_ref().unwrap().len());
}

#[test]
fn a_back_dated_sale_and_a_late_one_are_read_at_once() {
    let mut stage = shop(30, |options| options.page_rows = 5);
    stage.run(TimeDelta::minutes(5));
    stage.put(sale("LATE", 612, at("2026-03-01T09:00:00+08:00")));
    stage.put(sale("ANCIENT", 613, at("2024-03-01T09:00:00+08:00")));
    stage.run(TimeDelta::seconds(30));
    stage.assert_whole();
}

#[test]
fn a_predecessors_watermark_is_read_again() {
    let mut stage = shop(30, |options| options.page_rows = 5);
    stage.server.put_at(at("2026-01-02T10:00:00+08:00"), sale("JAN", 1, at("2026-01-02T10:00:00+08:00")));
    stage.run(TimeDelta::minutes(5));
    crate::pos::connector::Connector::rewind(&mut *stage.connector, at("2026-01-01T00:00:00Z"));
    assert!(!crate::pos::connector::Connector::covers(&*stage.connector, at("2026-01-01T00:00:00Z"), at(NOON)));
    stage.run(TimeDelta::minutes(5));
    stage.assert_whole();
    assert!(crate::pos::connector::Connector::covers(&*stage.connector, at("2026-01-01T00:00:00Z"), at(NOON)));
}

#[test]
fn nothing_but_the_closed_list_is_asked_and_nothing_is_changed() {
    let mut asked = BTreeSet::new();
    for per_sale in [false, true] {
        let mut stage = shop(60, |options| {
            options.page_rows = 5;
            options.returns_without_sale = (!per_sale, !per_sale);
        });
        stage.put(refund("R1", "J0003", 500, stage.now));
        stage.put(Sale { kind: ShopKind::Order, ..sale("O1", 300, stage.now) });
        stage.put(Sale { paid: Some(Decimal::ONE), ..sale("DUE", 9_000, stage.now) });
        stage.run(TimeDelta::hours(3));
        for (_, what) in &stage.asked {
            let (path, query) = what.split_once('?').unwrap();
            let method = if path == "/report/sales" { "POST" } else { "GET" };
            let mut request = http_server::Request::default();
            (request.method, request.path, request.query) = (method.into(), path.into(), Some(query.into()));
            assert!(!stage.server.mutates(&request));
            asked.insert(path.to_owned());
        }
    }
    assert_eq!(asked, requests::CLOSED.iter().map(|path| (*path).to_owned()).collect());
}

#[test]
fn a_flag_is_raised_by_nothing_that_is_right() {
    let mut stage = shop(30, |_| {});
    stage.run(TimeDelta::minutes(5));
    for key in stage.held().into_keys() {
        let (_, id) = key.split_once('/').unwrap();
        let record = stage.record(Resource::Invoice, id).unwrap();
        assert_eq!(record.flags, BTreeSet::from([Flag::TimezoneAssumed]), "{key}");
    }
}

#[test]
fn a_box_replaced_in_its_first_reading_goes_on_without_a_gap() {
    let mut stage = shop(400, |_| {});
    stage.run_till(TimeDelta::hours(1), |stage| stage.news > 100);
    assert!(!stage.progress().complete, "in the middle of it");
    stage.replace(crate::config::System::Asalta, TimeDelta::days(2));
    stage.run_till(TimeDelta::hours(3), |stage| stage.progress().complete);
    assert_eq!(stage.gaps, []);
    stage.assert_whole();
}
