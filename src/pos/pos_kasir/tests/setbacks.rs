//! What goes wrong at the source, and must not stop or spoil the rest.

use chrono::TimeDelta;

use super::world::TestBox;
use crate::{
    demo::{pos_kasir::User, shop::Sale},
    gap::GapReason,
    pos::{
        connector::{Connector, Step},
        http::{Answer, Failure, Rate},
    },
    transaction::Kind,
};

#[test]
fn two_broken_orders_in_a_row_stop_nothing() {
    let mut tillbox = TestBox::new(|options| options.broken.extend(["BAD-1".to_owned(), "BAD-2".to_owned()]));
    tillbox.minutes(2);
    tillbox.sell("BAD-1", 7_000);
    tillbox.sell("BAD-2", 7_500);
    tillbox.minutes(1);
    tillbox.sell("GOOD", 8_000);
    tillbox.minutes(5);
    for sale in ["BAD-1", "BAD-2", "GOOD"] {
        assert_eq!(tillbox.kinds(sale).0, Some(Kind::Sale), "{sale}");
    }
    assert!(tillbox.gaps.iter().all(|gap| gap.reason == GapReason::Unreadable) && !tillbox.gaps.is_empty());
    tillbox.server.adjust(|options| options.broken.clear());
    tillbox.minutes(75);
    assert_eq!((tillbox.gaps.as_slice(), tillbox.differences()), (&[][..], vec![]));
}

#[test]
fn a_reset_that_is_no_time_is_a_short_wait() {
    for reset in [1_000_000_001, 9_300_000_000_000_000, i64::MAX.unsigned_abs(), u64::MAX] {
        let mut tillbox = TestBox::new(|_| {});
        let rate = Rate { remaining: Some(0), reset: Some(reset) };
        tillbox.connector.take(&Answer { rate, ..Answer::default() }, tillbox.now).unwrap();
        let Step::Wait(until) = tillbox.connector.next(tillbox.now) else { panic!("it does not wait") };
        assert!(until <= tillbox.now + TimeDelta::minutes(2), "{reset}");
    }
}

#[test]
fn an_outage_longer_than_the_history_loses_nothing() {
    let mut tillbox = TestBox::new(|_| {});
    tillbox.backfill = TimeDelta::days(2);
    tillbox.restart();
    tillbox.sell("FIRST", 1_000);
    tillbox.minutes(70);
    let sold = tillbox.now + TimeDelta::days(1);
    tillbox.server.put_at(sold, Sale::plain("MEANWHILE", 2_000, sold));
    tillbox.pass(TimeDelta::days(20));
    tillbox.restart();
    tillbox.minutes(10);
    assert_eq!(tillbox.kinds("MEANWHILE").0, Some(Kind::Sale));
    assert!(tillbox.progress().complete);
}

#[test]
fn a_log_that_is_none_is_noted_and_holds_up_nothing() {
    let mut tillbox =
        TestBox::new(|options| options.users = vec![User::new("box@shop.example", "kotak-kasir", "admin")]);
    let mut logs = 0;
    for _ in 0..400 {
        let before = tillbox.connector.next(tillbox.now);
        match before {
            Step::Ask(request) if request.path().starts_with("/activity-logs") => {
                logs += 1;
                let answer = Answer::of(br#"{"message":"ok","data":{"rows":[]}}"#.to_vec());
                tillbox.connector.take(&answer, tillbox.now).unwrap();
            }
            _ => tillbox.step(),
        }
    }
    assert!((1..=40).contains(&logs), "{logs}");
    assert!(tillbox.progress().complete, "the history is read");
    assert!(tillbox.progress().notes.iter().any(|note| note.contains("activity log cannot be read")));
}

#[test]
fn a_probe_that_tells_nothing_is_followed_by_the_next() {
    let mut tillbox = TestBox::new(|_| {});
    for n in 0..30 {
        tillbox.sell(&format!("S-{n}"), 1_000);
    }
    tillbox.minutes(10);
    for readable in [false, true] {
        tillbox.connector.begin_probe(["a", "b", "c"].map(str::to_owned).into());
        for _ in 0..3 {
            let asked = loop {
                match tillbox.connector.next(tillbox.now) {
                    Step::Ask(request) if request.path().starts_with("/orders/") => break request,
                    _ => tillbox.step(),
                }
            };
            assert!(asked.path().len() == "/orders/a".len(), "{}", asked.path());
            if readable {
                let answer = Answer::of(br#"{"message":"ok","data":{}}"#.to_vec());
                tillbox.connector.take(&answer, tillbox.now).unwrap();
            } else {
                assert!(tillbox.connector.failed(&Failure::Trouble(500), tillbox.now).is_some());
            }
        }
        tillbox.minutes(10);
        assert!(tillbox.all_is_well() && tillbox.progress().complete);
    }
}

#[test]
fn a_server_whose_clock_is_behind_is_not_read_again_and_again() {
    let admin = vec![User::new("box@shop.example", "kotak-kasir", "admin")];
    let mut tillbox = TestBox::new(|options| {
        (options.users, options.date_skew) = (admin, Some(TimeDelta::minutes(-65)));
    });
    for n in 0..20 {
        tillbox.sell(&format!("S-{n}"), 1_000);
    }
    tillbox.minutes(60);
    let before = tillbox.asked.len();
    tillbox.minutes(60);
    assert!(tillbox.asked.len() - before < 60 * 6, "{}", tillbox.asked.len() - before);
    let cursor: serde_json::Value = serde_json::from_slice(&tillbox.connector.cursor()).unwrap();
    let read_to = super::world::at(cursor["log_read_to"].as_str().unwrap());
    assert!(read_to <= tillbox.now - TimeDelta::minutes(65), "{read_to}");
}

#[test]
fn an_order_whose_detail_cannot_be_had_is_told_anew_when_its_row_changes() {
    let mut tillbox = TestBox::new(|options| options.broken.extend(["BAD".to_owned()]));
    let sold_at = tillbox.now;
    tillbox.sell("BAD", 7_000);
    tillbox.minutes(5);
    assert_eq!((tillbox.order("BAD").amount.to_string().as_str(), tillbox.gaps.len()), ("7000", 1));
    tillbox.put(Sale::plain("BAD", 9_000, sold_at));
    tillbox.minutes(2);
    assert_eq!(tillbox.order("BAD").amount.to_string(), "9000");
    let news = tillbox.news;
    tillbox.minutes(10);
    assert_eq!((tillbox.news, tillbox.gaps.len()), (news, 1));
}
