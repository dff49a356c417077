//! Each unpleasant trait of the source by itself.

use chrono::TimeDelta;

use super::world::{TestBox, at, morning, zone};
use crate::{
    demo::{
        pos_kasir::{User, uuid},
        shop::{Kind as ShopKind, Sale, ShopDay},
        simulator::Simulator,
    },
    gap::GapReason,
    health::Condition,
    pos::connector::Connector,
    transaction::{Flag, Kind, PaymentStatus, Resource, Status},
};

fn admin(options: &mut crate::demo::pos_kasir::Options) {
    options.users = vec![User::new("box@shop.example", "kotak-kasir", "admin")];
}

#[test]
fn a_day_is_held_and_the_tills_keep_their_limit() {
    let day = ShopDay::generate(7, at("2026-03-14T00:00:00Z").date_naive(), &zone("Asia/Jakarta"), 500);
    let mut tillbox = TestBox::at(at("2026-03-13T17:30:00Z"), |_| {});
    tillbox.server.play(day.movements());
    tillbox.run(TimeDelta::hours(26));
    assert_eq!(tillbox.differences(), Vec::<String>::new());
    assert!(tillbox.gaps.is_empty() && tillbox.failures.is_empty(), "{:?} {:?}", tillbox.gaps, tillbox.failures);
    assert!(tillbox.progress().complete);
    let hours = tillbox.asked.len() / 26;
    assert!(hours < 12 * 60, "{hours} requests an hour");
    let busiest = tillbox.asked.windows(25).all(|some| some[24].0 - some[0].0 >= TimeDelta::seconds(20));
    assert!(busiest, "a burst");
}

#[test]
fn a_quiet_hour_is_no_news_and_few_requests() {
    let mut tillbox = TestBox::new(|_| {});
    for n in 0..150 {
        tillbox.server.put_at(morning(), Sale::plain(&format!("Q-{n}"), 1_000 + n, morning() - TimeDelta::minutes(n)));
    }
    tillbox.minutes(60);
    assert_eq!((tillbox.differences(), tillbox.news), (vec![], 150));
    let before = tillbox.asked.len();
    tillbox.minutes(120);
    assert_eq!(tillbox.news, 150);
    assert!(tillbox.asked.len() - before < 2 * 60 * 5, "{}", tillbox.asked.len() - before);
    // The process's zone is another after a restart of the server: the same instants.
    tillbox.server.adjust(|options| options.zone = zone("Asia/Jakarta"));
    tillbox.restart();
    tillbox.minutes(61);
    assert_eq!(tillbox.news, 150);
    assert!(tillbox.connector.covers(morning() - TimeDelta::days(90), morning() + TimeDelta::hours(3)));
}

#[test]
fn a_refund_of_a_sale_that_was_seen_comes_to_nothing() {
    let mut tillbox = TestBox::new(|_| {});
    tillbox.sell("A", 62_160);
    tillbox.minutes(2);
    assert_eq!(tillbox.kinds("A"), (Some(Kind::Sale), None));
    let refunded_at = tillbox.now;
    tillbox.refund("A");
    tillbox.minutes(2);
    assert_eq!(tillbox.kinds("A"), (Some(Kind::Sale), Some(Kind::Refund)));
    let order = tillbox.order("A");
    assert_eq!((order.status, order.payment_status), (Status::Cancelled, PaymentStatus::Refunded));
    let refund = &tillbox.hq[&(Resource::OrderRefund, uuid("A"))];
    assert_eq!((refund.timestamp.to_utc(), refund.amount), (refunded_at, order.amount));
    assert!(refund.flags.contains(&Flag::Derived));
    let news = tillbox.news;
    tillbox.restart();
    tillbox.minutes(130);
    assert_eq!((tillbox.news, tillbox.differences()), (news, vec![]));
}

#[test]
fn what_was_never_seen_paid_is_void_and_a_box_without_memory_takes_its_refund_back() {
    let mut tillbox = TestBox::new(|_| {});
    tillbox.sell("A", 5_000);
    tillbox.minutes(2);
    tillbox.refund("A");
    tillbox.sell("B", 6_000);
    tillbox.refund("B");
    tillbox.minutes(2);
    assert_eq!(tillbox.kinds("A"), (Some(Kind::Sale), Some(Kind::Refund)));
    assert_eq!(tillbox.kinds("B"), (Some(Kind::Void), Some(Kind::Void)));
    tillbox.wipe();
    tillbox.minutes(2);
    assert_eq!(tillbox.kinds("A"), (Some(Kind::Void), Some(Kind::Void)));
    assert_eq!(tillbox.differences(), Vec::<String>::new());
}

#[test]
fn an_order_that_is_paid_again_takes_its_refund_back() {
    for wiped in [false, true] {
        let mut tillbox = TestBox::new(|_| {});
        let sold_at = tillbox.now;
        tillbox.sell("A", 5_000);
        tillbox.minutes(2);
        tillbox.refund("A");
        tillbox.minutes(2);
        // Reopened: the money went both ways.
        tillbox.put(Sale { kind: ShopKind::Order, ..Sale::plain("A", 5_000, sold_at) });
        if wiped {
            tillbox.wipe();
        }
        tillbox.minutes(2);
        assert_eq!(tillbox.kinds("A"), (Some(Kind::Order), Some(Kind::Void)));
        assert!(!tillbox.notices.contains(&"payment_vanished"));
        tillbox.put(Sale::plain("A", 5_000, sold_at));
        if wiped {
            tillbox.wipe();
        }
        tillbox.minutes(2);
        assert_eq!(tillbox.kinds("A"), (Some(Kind::Sale), Some(Kind::Void)));
        assert_eq!(tillbox.differences(), Vec::<String>::new());
    }
}

#[test]
fn the_log_tells_a_refund_that_no_poll_could_see() {
    let mut tillbox = TestBox::new(admin);
    tillbox.minutes(10);
    tillbox.sell("A", 62_160);
    tillbox.refund("A");
    tillbox.put(Sale { kind: ShopKind::Void, ..Sale::plain("B", 1_000, tillbox.now) });
    tillbox.minutes(10);
    assert_eq!(tillbox.kinds("A"), (Some(Kind::Sale), Some(Kind::Refund)));
    assert_eq!(tillbox.kinds("B"), (Some(Kind::Void), Some(Kind::Void)));
    let news = tillbox.news;
    tillbox.restart();
    tillbox.minutes(90);
    assert_eq!((tillbox.news, tillbox.differences()), (news, vec![]));
    assert!(tillbox.progress().notes.iter().any(|note| note.contains("role admin")));
}

#[test]
fn the_log_leads_to_an_old_order_that_changed() {
    for (is_admin, finds) in [(true, true), (false, false)] {
        let mut tillbox = TestBox::new(|options| {
            if is_admin {
                admin(options);
            }
        });
        let sold_at = tillbox.now - TimeDelta::days(5);
        tillbox.put(Sale::plain("OLD", 9_000, sold_at));
        tillbox.minutes(90);
        tillbox.refund("OLD");
        tillbox.minutes(70);
        assert_eq!(
            tillbox.kinds("OLD") == (Some(Kind::Sale), Some(Kind::Refund)),
            finds || tillbox.server_list_is_short()
        );
        tillbox.run(TimeDelta::hours(24));
        assert_eq!(tillbox.differences(), Vec::<String>::new(), "the nightly walk finds it");
    }
}

impl TestBox {
    /// On one page everything is seen at every poll.
    fn server_list_is_short(&self) -> bool {
        self.store.0.lock().unwrap().len() <= 100
    }
}

#[test]
fn a_payment_that_vanishes_is_told_once_and_stays_a_sale() {
    let mut tillbox = TestBox::new(|_| {});
    let sold_at = tillbox.now;
    tillbox.sell("A", 5_000);
    tillbox.minutes(2);
    tillbox.put(Sale { kind: ShopKind::Order, ..Sale::plain("A", 5_000, sold_at) });
    tillbox.minutes(2);
    assert_eq!(tillbox.kinds("A"), (Some(Kind::Sale), None));
    assert!(tillbox.order("A").flags.contains(&Flag::PaymentVanished));
    for _ in 0..3 {
        tillbox.restart();
        tillbox.minutes(70);
    }
    assert_eq!(tillbox.notices, ["payment_vanished"]);
    assert_eq!(tillbox.differences(), Vec::<String>::new());
}

#[test]
fn a_cancelled_order_that_is_still_paid_is_told_once() {
    let mut tillbox = TestBox::new(|options| options.keep_payment.extend(["A".to_owned()]));
    let sold_at = tillbox.now;
    tillbox.sell("A", 55_500);
    tillbox.minutes(2);
    tillbox.put(Sale { kind: ShopKind::Void, ..Sale::plain("A", 55_500, sold_at) });
    tillbox.minutes(2);
    tillbox.restart();
    tillbox.minutes(130);
    assert_eq!(tillbox.kinds("A"), (Some(Kind::Sale), None));
    assert!(tillbox.order("A").flags.contains(&Flag::CancelledButPaid));
    assert_eq!((tillbox.notices.as_slice(), tillbox.differences()), (&["cancelled_but_paid"][..], vec![]));
}

#[test]
fn a_dropped_row_is_a_gap_until_it_is_shown() {
    let mut tillbox = TestBox::new(|_| {});
    for n in 0..10 {
        tillbox.server.put_at(morning(), Sale::plain(&format!("S-{n}"), 1_000, morning() - TimeDelta::minutes(n * 7)));
    }
    tillbox.minutes(70);
    let dropped_at = tillbox.now;
    tillbox.server.adjust(|options| options.dropped.extend(["X".to_owned(), "S-4".to_owned()]));
    tillbox.sell("X", 7_000);
    tillbox.minutes(2);
    tillbox.sell("Y", 8_000);
    tillbox.minutes(90);
    assert_eq!(tillbox.kinds("X"), (None, None));
    assert_eq!(tillbox.kinds("Y").0, Some(Kind::Sale), "a gap blocks nothing");
    assert_eq!(tillbox.gaps.len(), 1, "{:?}", tillbox.gaps);
    let gap = &tillbox.gaps[0];
    assert_eq!(gap.reason, GapReason::ShortPage);
    assert!(gap.from <= dropped_at && dropped_at < gap.to, "{gap:?}");
    assert!(gap.to - gap.from < TimeDelta::hours(1), "{gap:?}");
    tillbox.restart();
    tillbox.minutes(70);
    assert!(tillbox.gaps.len() <= 2);
    let before = tillbox.asked.len();
    tillbox.minutes(60);
    assert!(tillbox.asked.len() - before < 60 * 6, "{}", tillbox.asked.len() - before);
    tillbox.server.adjust(|options| options.dropped.clear());
    tillbox.minutes(70);
    assert_eq!((tillbox.gaps.as_slice(), tillbox.differences()), (&[][..], vec![]));
}

#[test]
fn an_order_that_answers_500_blocks_no_other_and_its_money_is_known() {
    let mut tillbox = TestBox::new(|options| options.broken.extend(["BAD".to_owned()]));
    tillbox.sell("BAD", 7_000);
    tillbox.minutes(1);
    tillbox.sell("GOOD", 8_000);
    tillbox.minutes(5);
    assert_eq!(tillbox.kinds("GOOD").0, Some(Kind::Sale));
    assert_eq!(tillbox.kinds("BAD").0, Some(Kind::Sale), "by its row");
    assert_eq!(tillbox.gaps.iter().map(|gap| gap.reason).collect::<Vec<_>>(), [GapReason::Unreadable]);
    let before = tillbox.asked.len();
    tillbox.restart();
    tillbox.minutes(120);
    assert!(tillbox.asked.len() - before < 120 * 6, "{}", tillbox.asked.len() - before);
    assert_eq!(tillbox.gaps.len(), 1);
    tillbox.server.adjust(|options| options.broken.clear());
    tillbox.minutes(75);
    assert_eq!((tillbox.gaps.as_slice(), tillbox.differences()), (&[][..], vec![]));
    assert!(tillbox.order("BAD").amounts.lines_total.is_some(), "in detail");
}

#[test]
fn a_server_that_is_down_is_no_bad_order() {
    let mut tillbox = TestBox::new(|_| {});
    tillbox.minutes(2);
    tillbox.sell("A", 7_000);
    tillbox.server.adjust(|options| options.is_down = true);
    tillbox.minutes(60);
    assert!(tillbox.gaps.is_empty() && !tillbox.progress().complete);
    tillbox.server.adjust(|options| options.is_down = false);
    tillbox.minutes(5);
    assert_eq!((tillbox.gaps.len(), tillbox.differences()), (0, vec![]));
}

#[test]
fn a_database_that_was_reset_is_told_and_nothing_is_taken_from_it() {
    let mut tillbox = TestBox::new(|_| {});
    for n in 0..30 {
        tillbox.server.put_at(morning(), Sale::plain(&format!("S-{n}"), 1_000, morning() - TimeDelta::minutes(n * 7)));
    }
    tillbox.minutes(70);
    let news = tillbox.news;
    tillbox.server.reset();
    for n in 0..40 {
        tillbox.put(Sale::plain(&format!("SEED-{n}"), 2_000, morning() - TimeDelta::minutes(n * 5)));
    }
    tillbox.minutes(10);
    tillbox.restart();
    tillbox.minutes(10);
    assert!(tillbox.holds(Condition::PosReset).is_some());
    assert_eq!((tillbox.news, tillbox.notices.len(), tillbox.hq.len()), (news, 0, 30));
    assert!(!tillbox.progress().complete);
    let before = tillbox.asked.len();
    tillbox.minutes(60);
    assert!(tillbox.asked.len() - before < 100);
    tillbox.server.restore();
    tillbox.minutes(10);
    assert!(tillbox.all_is_well(), "{:?}", tillbox.conditions);
    tillbox.sell("NEW", 5);
    tillbox.minutes(2);
    assert_eq!(tillbox.kinds("NEW").0, Some(Kind::Sale));
}

#[test]
fn an_order_that_is_gone_has_vanished_and_comes_back() {
    let mut tillbox = TestBox::new(|_| {});
    for n in 0..8 {
        tillbox.server.put_at(morning(), Sale::plain(&format!("S-{n}"), 1_000, morning() - TimeDelta::minutes(n * 7)));
    }
    tillbox.minutes(65);
    tillbox.server.remove("S-3", tillbox.now);
    tillbox.minutes(130);
    assert_eq!((tillbox.vanished.len(), tillbox.notices.len()), (1, 0));
    assert!(tillbox.all_is_well());
    assert_eq!(tillbox.differences(), Vec::<String>::new());
}

#[test]
fn after_an_outage_the_newest_come_first_and_nothing_lacks() {
    let mut tillbox = TestBox::new(|_| {});
    tillbox.sell("FIRST", 1_000);
    tillbox.minutes(30);
    let off = tillbox.now;
    let watermark = tillbox.progress().watermark;
    for n in 0..700 {
        let sold = off + TimeDelta::minutes(n * 6);
        tillbox.server.put_at(sold, Sale::plain(&format!("O-{n}"), 1_000 + n, sold));
    }
    tillbox.pass(TimeDelta::hours(72));
    tillbox.restart();
    tillbox.minutes(3);
    assert_eq!(tillbox.kinds("O-699").0, Some(Kind::Sale));
    assert_eq!(tillbox.progress().watermark, watermark, "what lies between is not read yet");
    tillbox.sell("NEW", 5);
    tillbox.minutes(2);
    assert_eq!(tillbox.kinds("NEW").0, Some(Kind::Sale));
    // Restarts on the way lose nothing and read little twice.
    for _ in 0..3 {
        tillbox.minutes(5);
        tillbox.restart();
    }
    tillbox.minutes(60);
    assert_eq!(tillbox.differences(), Vec::<String>::new());
    assert!(tillbox.progress().complete && tillbox.gaps.is_empty());
    let details = tillbox.asked.iter().filter(|(_, path)| path.starts_with("/orders/")).count();
    assert!(details < 800, "{details}");
}

#[test]
fn a_new_box_reads_its_backfill_and_not_more() {
    let mut tillbox = TestBox::new(|_| {});
    for n in 0..450 {
        let sold = morning() - TimeDelta::hours(n * 8);
        tillbox.server.put_at(sold, Sale::plain(&format!("H-{n}"), 1_000, sold));
    }
    tillbox.run(TimeDelta::hours(2));
    let since = morning() - TimeDelta::days(90);
    let read = tillbox.hq.values().filter(|record| record.timestamp.to_utc() >= since).count();
    assert_eq!((read, tillbox.hq.len()), (271, 271));
    assert!(tillbox.progress().complete);
    assert!(tillbox.connector.covers(since + TimeDelta::seconds(1), morning()));
    let asked = tillbox.asked.len();
    tillbox.run(TimeDelta::hours(20));
    assert_eq!(tillbox.news, 271, "nothing is read again");
    assert!(tillbox.asked.len() - asked < 20 * 60 * 5);
}

#[test]
fn a_row_that_appears_late_is_read_within_the_hour() {
    let mut tillbox = TestBox::new(|_| {});
    for n in 0..300 {
        tillbox.server.put_at(morning(), Sale::plain(&format!("S-{n}"), 1_000, morning() - TimeDelta::minutes(n)));
    }
    tillbox.minutes(120);
    tillbox.server.put_at(tillbox.now, Sale::plain("LATE", 1_000, tillbox.now - TimeDelta::hours(6)));
    tillbox.minutes(65);
    assert_eq!(tillbox.kinds("LATE").0, Some(Kind::Sale));
    assert_eq!(tillbox.differences(), Vec::<String>::new());
}

#[test]
fn a_box_that_knows_of_unread_orders_does_not_say_that_it_is_done() {
    let mut tillbox = TestBox::new(|_| {});
    tillbox.sell("A", 1_000);
    tillbox.minutes(70);
    assert!(tillbox.progress().complete);
    // A tablet that was off the line for hours brings more than the newest pages hold.
    for n in 0..300 {
        let at = tillbox.now - TimeDelta::hours(6) + TimeDelta::minutes(n);
        tillbox.server.put_at(tillbox.now, Sale::plain(&format!("LATE-{n}"), 1_000, at));
    }
    let waits = |tillbox: &TestBox| tillbox.connector.shows_unread();
    tillbox.run_till(TimeDelta::hours(2), waits);
    assert!(waits(&tillbox) && !tillbox.progress().complete);
    tillbox.run_till(TimeDelta::hours(2), |tillbox| tillbox.hq.len() == 301);
    tillbox.minutes(5);
    assert!(tillbox.progress().complete);
    assert_eq!(tillbox.differences(), Vec::<String>::new());
}

#[test]
fn a_method_that_is_added_later_is_called_by_its_name() {
    let mut tillbox = TestBox::new(|_| {});
    tillbox.sell("A", 1_000);
    tillbox.minutes(15);
    tillbox.put(Sale { tender: Some("GoPay".to_owned()), ..Sale::plain("B", 1_000, tillbox.now) });
    tillbox.minutes(2);
    assert_eq!(tillbox.order("A").payment_method.as_deref(), Some("cash"));
    assert_eq!(tillbox.order("B").payment_method.as_deref(), Some("gopay"));
}

#[test]
fn a_box_replaced_in_its_first_reading_goes_on_without_a_gap() {
    let mut tillbox = TestBox::new(|_| {});
    for n in 0..400 {
        let sold = tillbox.now - TimeDelta::hours(5 * (400 - n));
        tillbox.server.put_at(sold, Sale::plain(&format!("old-{n}"), 5_000, sold));
    }
    tillbox.run_till(TimeDelta::hours(2), |tillbox| tillbox.news > 100);
    assert!(!tillbox.progress().complete, "in the middle of it");
    tillbox.replace(crate::config::System::PosKasir, TimeDelta::days(2));
    tillbox.run_till(TimeDelta::hours(3), |tillbox| tillbox.progress().complete);
    assert_eq!(tillbox.gaps, []);
    assert_eq!(tillbox.differences(), Vec::<String>::new());
}
