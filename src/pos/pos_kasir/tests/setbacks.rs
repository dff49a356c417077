//! What goes wrong at the source, and must not stop or spoil the rest.

use chrono::TimeDelta;

use super::world::TestBox;
use crate::{
    demo::shop::Sale,
    gap::GapReason,
    pos::{
        connector::{Connector, Step},
        http::{Answer, Rate},
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
    tillbox.now += TimeDelta::days(20);
    tillbox.clock.set(tillbox.now);
    tillbox.restart();
    tillbox.minutes(10);
    assert_eq!(tillbox.kinds("MEANWHILE").0, Some(Kind::Sale));
    assert!(tillbox.progress().complete);
}
