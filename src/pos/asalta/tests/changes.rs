//! What changes after it was read: payments, returns, voids, deletions, and what the report says of them.

use chrono::TimeDelta;
use rust_decimal::Decimal;

use super::{
    named::{refund, shop},
    world::{TestBox, at, instead, refused, sale},
};
use crate::{
    demo::{
        asalta::Payments,
        shop::{Kind as ShopKind, Sale},
        simulator::Simulator as _,
    },
    health::Condition,
    transaction::{Kind, Relation, Resource},
};

const NOON: &str = "2026-03-14T12:00:00+08:00";

#[test]
fn a_due_invoice_becomes_partial_then_paid_then_returned() {
    let mut stage = shop(30, |options| (options.page_rows, options.payments) = (5, Payments::Mixed));
    let sold = at("2026-03-13T10:00:00+08:00");
    let due = Sale { paid: Some(Decimal::ZERO), ..sale("DUE", 16_650, sold) };
    stage.server.put_at(sold, due.clone());
    stage.run(TimeDelta::minutes(5));
    stage.assert_whole();
    let id = stage.server.sheet(stage.now).into_iter().find(|(_, e)| e.total == Decimal::new(16_650, 2)).unwrap().0;
    let id = id.strip_prefix("invoice/").unwrap().to_owned();
    let now = |stage: &TestBox| stage.record(Resource::Invoice, &id).unwrap();
    assert_eq!(now(&stage).amounts.paid_total.unwrap().to_string(), "0");
    for (paid, told) in [(Some(10_000), "100"), (None, "166.5")] {
        stage.put(Sale { paid: paid.map(Decimal::from), ..due.clone() });
        stage.run(TimeDelta::minutes(65));
        assert_eq!(now(&stage).amounts.paid_total.unwrap().to_string(), told, "within about an hour");
    }
    stage.put(refund("R1", "DUE", 16_650, stage.now));
    stage.run(TimeDelta::minutes(65));
    assert_eq!(now(&stage).related[0].relation, Relation::RefundedBy);
    assert_eq!(stage.revisions(Resource::Invoice, &id), 4);
    stage.assert_whole();
    assert!(stage.notices.is_empty(), "{:?}", stage.notices);
}

#[test]
fn the_report_finds_what_no_page_shows_any_more() {
    // Five days old, and so on none of the pages that are read again each hour.
    let mut stage = shop(900, |options| options.report_ignores_form = true);
    let old = at("2026-03-09T10:00:00+08:00");
    stage.server.put_at(old, sale("OLD", 4_242, old));
    let older = at("2026-02-20T10:00:00+08:00");
    stage.server.put_at(older, sale("OLDER", 4_141, older));
    stage.run(TimeDelta::minutes(20));
    stage.assert_whole();
    stage.put(sale("OLD", 4_343, old));
    stage.run(TimeDelta::minutes(70));
    stage.assert_whole();
    assert!(stage.requests("/report/sales?startdate") > 0, "the form alone was ignored");
    assert!(stage.requests("invoices?id=") >= 1);
    assert!(stage.notices.is_empty());
}

#[test]
fn what_differs_from_the_report_for_good_is_told_once_a_day() {
    let mut stage = shop(40, |options| options.report_leaves_out = Some("J0007".to_owned()));
    stage.run(TimeDelta::hours(3));
    assert_eq!(stage.notices, ["report_differs"]);
    // Past midnight.
    stage.run(TimeDelta::hours(11));
    assert_eq!(stage.notices, ["report_differs", "report_differs"]);
}

#[test]
fn a_sale_that_is_only_in_the_report_has_everything_read_anew() {
    let mut stage = shop(40, |options| {
        (options.page_rows, options.lists_leave_out) = (10, Some("J0007".to_owned()));
    });
    stage.run(TimeDelta::minutes(20));
    let page = |stage: &TestBox, page: u64| stage.requests(&format!("/pos/invoices?page={page}"));
    assert_eq!(stage.notices, ["report_differs"], "it was looked for, and then told");
    assert!(page(&stage, 2) >= 2, "the history twice");
    stage.server.adjust(|options| options.lists_leave_out = None);
    stage.run(TimeDelta::minutes(70));
    stage.assert_whole();
}

#[test]
fn an_old_difference_is_told_after_the_night() {
    let mut stage = shop(5, |_| {});
    let old = at("2026-02-20T10:00:00+08:00");
    stage.server.put_at(old, sale("OLD", 4_141, old));
    stage.run(TimeDelta::hours(10));
    stage.server.adjust(|options| options.report_leaves_out = Some("OLD".to_owned()));
    stage.run(TimeDelta::hours(8));
    assert_eq!(stage.notices, ["report_differs"]);
}

#[test]
fn returns_that_want_a_sale_are_asked_of_each_sale_that_has_some() {
    for status in [400, 500] {
        let mut stage = shop(50, |options| {
            options.returns_without_sale = (false, false);
            (options.mandatory_status, options.page_rows) = (status, 7);
        });
        let now = at(NOON);
        stage.server.put_at(now - TimeDelta::hours(1), refund("R1", "J0003", 500, now - TimeDelta::hours(1)));
        stage.server.put_at(now - TimeDelta::hours(1), refund("R2", "J0003", 300, now - TimeDelta::hours(1)));
        stage.run(TimeDelta::minutes(20));
        stage.assert_whole();
        assert!(stage.progress().complete, "{status}: {:?}", stage.progress());
        let refund_of = stage.record(Resource::ReturnInvoice, "2003").unwrap().related.remove(0);
        assert_eq!((refund_of.relation, refund_of.external_id.as_deref()), (Relation::RefundOf, Some("2004")));
        stage.put(refund("R3", "J0049", 200, stage.now));
        stage.run(TimeDelta::minutes(2));
        stage.assert_whole();
        // And none is asked again and again.
        let before = stage.requests("sale_id");
        stage.run(TimeDelta::minutes(30));
        assert_eq!(stage.requests("sale_id"), before);
        assert!(stage.progress().notes.iter().any(|note| note.contains("only for one sale")));
    }
}

#[test]
fn a_second_return_of_a_sale_is_found_in_the_night() {
    let mut stage = shop(50, |options| options.returns_without_sale = (false, true));
    stage.put(refund("R1", "J0003", 500, stage.now));
    stage.run(TimeDelta::hours(2));
    stage.assert_whole();
    stage.put(refund("R2", "J0003", 300, stage.now));
    stage.run(TimeDelta::hours(20));
    stage.assert_whole();
}

#[test]
fn an_order_is_not_counted_and_is_told_when_it_is_called_off() {
    let mut stage = shop(3, |options| options.page_rows = 2);
    let order = |n: i64, kind| Sale { kind, ..sale(&format!("O{n}"), 5_000 + n, at("2026-03-14T11:00:00+08:00")) };
    (0..9).for_each(|n| stage.put(order(n, ShopKind::Order)));
    stage.run(TimeDelta::minutes(10));
    stage.assert_whole();
    stage.put(order(1, ShopKind::Void));
    stage.put(order(2, ShopKind::Sale));
    stage.run(TimeDelta::minutes(70));
    stage.assert_whole();
    assert_eq!(stage.record(Resource::Order, "2003").unwrap().kind, Kind::Void);
    assert_eq!(stage.record(Resource::Order, "2004").unwrap().kind, Kind::Order, "beside the invoice that it became");
}

#[test]
fn what_is_deleted_has_vanished_and_moves_nobody_out_of_sight() {
    for newest_first in [false, true] {
        let mut stage = shop(50, |options| (options.newest_first, options.page_rows) = (newest_first, 10));
        stage.run(TimeDelta::minutes(5));
        let now = stage.now;
        stage.server.remove("J0013", now);
        stage.put(sale("N1", 5_555, now + TimeDelta::seconds(1)));
        stage.put(sale("N2", 5_556, now + TimeDelta::seconds(1)));
        stage.run(TimeDelta::minutes(90));
        assert_eq!(stage.vanished, ["-invoice/2014"], "{newest_first}");
        stage.assert_whole();
        assert!(stage.progress().complete);
        let moved: Vec<_> = stage.notices.iter().filter(|code| **code == "list_moved").collect();
        assert!(moved.len() <= 1 && stage.notices.len() == moved.len(), "{:?}", stage.notices);
    }
}

#[test]
fn what_is_deleted_from_a_list_of_one_page_has_vanished_too() {
    for newest_first in [false, true] {
        let mut stage = shop(6, |options| (options.newest_first, options.page_rows) = (newest_first, 20));
        stage.run(TimeDelta::minutes(5));
        let now = stage.now;
        stage.server.remove("J0003", now);
        stage.run(TimeDelta::minutes(30));
        assert_eq!(stage.vanished, ["-invoice/2004"], "{newest_first}");
        stage.assert_whole();
    }
}

#[test]
fn a_deletion_in_the_middle_of_a_whole_reading_hides_nothing() {
    for newest_first in [false, true] {
        for after in [3, 6, 9, 14] {
            let mut stage = shop(120, |options| (options.newest_first, options.page_rows) = (newest_first, 5));
            (0..after).for_each(|_| stage.step());
            let now = stage.now;
            for id in ["J0001", "J0050", "J0100", "J0118", "J0119"] {
                stage.server.remove(id, now);
            }
            stage.run(TimeDelta::minutes(130));
            assert_eq!(stage.held(), stage.due(), "{newest_first} after {after}");
        }
    }
}

#[test]
fn a_sale_that_comes_between_two_pages_of_returns_takes_none_from_another() {
    let mut stage = shop(50, |options| (options.returns_without_sale, options.page_rows) = ((false, true), 5));
    (0..12).for_each(|n| stage.put(refund(&format!("R{n:02}"), "J0040", 50, stage.now)));
    let asked = |stage: &TestBox| stage.requests("return_invoices?sale_id=2041&page=1") > 0;
    (0..200).for_each(|_| {
        if !asked(&stage) {
            stage.step();
        }
    });
    assert!(asked(&stage));
    // It sorts before the one whose second page is due.
    stage.put(refund("S", "J0003", 70, stage.now));
    stage.run(TimeDelta::minutes(3));
    stage.assert_whole();
}

#[test]
fn returns_that_cannot_be_asked_hold_up_no_other_sales() {
    let mut stage = shop(50, |options| {
        (options.returns_without_sale, options.broken) = ((false, true), Some("sale_id=2004".to_owned()));
    });
    stage.put(refund("R1", "J0003", 500, stage.now));
    stage.put(refund("R2", "J0040", 300, stage.now));
    stage.run(TimeDelta::minutes(8));
    assert!(stage.held().contains_key("return_invoice/2004"), "{:?}", stage.held().keys());
    assert!(!stage.progress().complete);
    stage.server.adjust(|options| options.broken = None);
    stage.run(TimeDelta::minutes(90));
    stage.assert_whole();
}

#[test]
fn returns_for_which_there_was_no_room_are_found_by_reading_all_sales_again() {
    let mut stage = shop(50, |options| (options.returns_without_sale, options.page_rows) = ((false, true), 5));
    stage.run(TimeDelta::minutes(5));
    let told = |stage: &mut TestBox, change: &dyn Fn(&mut serde_json::Value)| {
        let mut cursor = serde_json::from_slice(stage.cursor.as_ref().unwrap()).unwrap();
        change(&mut cursor);
        stage.cursor = Some(serde_json::to_vec(&cursor).unwrap());
        stage.restart();
    };
    stage.server.adjust(|options| options.broken = Some("sale_id=7".to_owned()));
    told(&mut stage, &|cursor| {
        cursor["returns_due"][0] = (0..20_000).map(|n| format!("7{n}")).collect();
    });
    stage.put(refund("R1", "J0049", 500, stage.now));
    let missed = |stage: &TestBox| {
        String::from_utf8(stage.cursor.clone().unwrap()).unwrap().contains("\"returns_missed\":[true")
    };
    (0..200).for_each(|_| {
        if !missed(&stage) {
            stage.step();
        }
    });
    assert!(missed(&stage));
    let claimed = stage.progress().watermark;
    told(&mut stage, &|cursor| cursor["returns_due"][0] = serde_json::json!([]));
    stage.run(TimeDelta::minutes(3));
    stage.assert_whole();
    assert!(stage.progress().watermark > claimed);
    assert!(!missed(&stage));
}

#[test]
fn an_answer_that_cannot_be_read_holds_up_nothing_else() {
    for (of, body) in [
        ("/pos/return_invoices?page", r#"{"error":true,"message":"Field sale_id is Mandatory."}"#),
        ("/pos/return_invoices?page", r#"{"message":"Field sale_id is Mandatory."}"#),
        ("/report/sales", r#"{"rows":3}"#),
        ("/pos/invoices?id=", r#"{"data":[]}"#),
        ("/pos/orders", "{}"),
    ] {
        let mut stage = shop(30, |options| options.page_rows = 5);
        stage.meddler = Some(instead(of, body));
        stage.put(Sale { paid: Some(Decimal::ONE), ..sale("DUE", 9_000, stage.now) });
        stage.put(sale("OLD", 4_242, at("2026-03-09T10:00:00+08:00")));
        stage.run(TimeDelta::minutes(10));
        stage.assert_whole();
        // The report finds it.
        stage.put(sale("OLD", 4_343, at("2026-03-09T10:00:00+08:00")));
        stage.run(TimeDelta::hours(3));
        stage.put(sale("N1", 4_444, stage.now));
        stage.run(TimeDelta::minutes(2));
        assert!(stage.held().values().any(|(_, total)| total == "44.44"), "{of}");
        let error = body.contains("error");
        assert!(error && stage.unreadable == 0 || !error && stage.unreadable < 60, "{of}: {}", stage.unreadable);
        stage.meddler = None;
        stage.run(TimeDelta::hours(26));
        stage.assert_whole();
    }
}

#[test]
fn an_empty_page_before_the_counted_end_ends_no_reading() {
    for newest_first in [false, true] {
        for body in [Some(r#"{"data":[]}"#), None] {
            for asked in ["page=2", "page=3", "page=4", "page=5", "page=6"] {
                let mut stage = shop(58, |options| (options.newest_first, options.page_rows) = (newest_first, 10));
                let what = format!("{newest_first} {body:?} {asked}");
                let asked = &*format!("/pos/invoices?{asked}").leak();
                match body {
                    Some(body) => stage.meddler = Some(instead(asked, body)),
                    None => stage.meddler = Some(refused(asked)),
                }
                stage.run(TimeDelta::minutes(10));
                assert!(!stage.progress().complete, "{what}");
                assert_eq!(stage.progress().watermark, stage.progress().since, "{what}");
                assert!(stage.holds(Condition::ListUnreliable).is_some(), "{what}");
                let before = stage.asked.len();
                stage.run(TimeDelta::minutes(10));
                assert!(stage.asked.len() - before < 150, "{what}: {}", stage.asked.len() - before);
                stage.meddler = None;
                stage.run(TimeDelta::minutes(75));
                stage.assert_whole();
                assert!(stage.progress().complete, "{what}: {:?}", stage.progress());
                assert_eq!(stage.holds(Condition::ListUnreliable), None, "{what}");
            }
        }
    }
}
