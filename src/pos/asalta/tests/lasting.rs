//! What would go on for ever: a history told again and again, a report asked in circles, a walk without an end.

use chrono::TimeDelta;

use super::{
    named::shop,
    world::{Other, TestBox, at, sale},
};
use crate::{health::Condition, pos::connector::Connector as _};

#[test]
fn what_the_store_has_forgotten_is_not_told_again() {
    for newest_first in [false, true] {
        let mut stage = shop(60, |options| (options.newest_first, options.page_rows) = (newest_first, 5));
        stage.backfill = TimeDelta::days(7);
        stage.restart();
        stage.run(TimeDelta::minutes(10));
        stage.assert_whole();
        assert_eq!(stage.held().len(), 60);
        stage.pass(TimeDelta::days(12));
        stage.store.forget(stage.now - TimeDelta::days(11));
        stage.put(sale("NEW", 4_141, stage.now));
        // A till that was off for long.
        stage.put(sale("LATE", 4_242, stage.now - TimeDelta::days(9)));
        let before = stage.asked.len();
        stage.run(TimeDelta::hours(3));
        let again =
            |page| stage.asked[before..].iter().any(|(_, asked)| *asked == format!("/pos/invoices?page={page}"));
        assert!((1..=12).all(again), "{newest_first}: everything was read again");
        let mut held: Vec<_> = stage.held().into_values().map(|(_, total)| total).collect();
        held.sort();
        assert_eq!(held, ["41.41", "42.42"], "{newest_first}");
        assert!(stage.notices.is_empty(), "{newest_first}: {:?}", stage.notices);
        // HQ's word goes before.
        stage.connector.rewind(stage.now - TimeDelta::days(14));
        stage.run(TimeDelta::minutes(10));
        assert_eq!(stage.held().len(), 62, "{newest_first}");
        // And is kept once.
        stage.store.forget(stage.now - TimeDelta::days(11));
        stage.run(TimeDelta::minutes(70));
        assert_eq!(stage.held().len(), 2, "{newest_first}");
    }
}

#[test]
fn an_invoice_that_differs_and_cannot_be_fetched_holds_up_nothing() {
    let mut stage = shop(40, |options| options.page_rows = 5);
    let (old, middle) = (at("2026-02-20T10:00:00+08:00"), at("2026-03-09T10:00:00+08:00"));
    // On a page that is not read again each hour.
    stage.server.put_at(old, sale("OLD", 4_141, old));
    stage.server.put_at(old + TimeDelta::minutes(1), sale("MIDDLE", 4_242, middle));
    for n in 0..10 {
        let filler = old + TimeDelta::minutes(2 + n);
        stage.server.put_at(filler, sale(&format!("F{n}"), 700 + n, filler));
    }
    stage.run(TimeDelta::minutes(20));
    stage.assert_whole();
    stage.put(sale("OLD", 5_151, old));
    stage.put(sale("MIDDLE", 5_252, middle));
    stage.server.adjust(|options| options.broken = Some("/pos/invoices?id=".to_owned()));
    let before = stage.asked.len();
    let mut told = 0;
    for _ in 0..16 * 6 {
        stage.run(TimeDelta::minutes(10));
        told +=
            usize::from(stage.holds(Condition::ListUnreliable).unwrap_or_default().contains("asked again in an hour"));
    }
    assert!((1..60).contains(&told), "told for {told} times ten minutes of sixteen hours");
    let asked = |stage: &TestBox, from: usize, what: &str| {
        stage.asked[from..].iter().filter(|(_, asked)| asked.starts_with(what)).count()
    };
    let reports = asked(&stage, before, "/report/sales");
    assert!((20..100).contains(&reports), "{reports} reports in sixteen hours");
    assert!(asked(&stage, before, "/pos/invoices?page=5") >= 14, "the recent ones each hour");
    // One of them is answered again; of the other nobody asks before the next night.
    stage.server.adjust(|options| options.broken = Some("/pos/invoices?id=2001".to_owned()));
    stage.run(TimeDelta::minutes(130));
    assert_eq!(stage.holds(Condition::ListUnreliable), None);
    let holds = |stage: &TestBox, wanted: &str| stage.held().values().any(|(_, total)| total == wanted);
    assert!(holds(&stage, "52.52") && !holds(&stage, "51.51"));
    stage.server.adjust(|options| options.broken = None);
    stage.run(TimeDelta::hours(23));
    stage.assert_whole();
    assert!(stage.notices.is_empty(), "{:?}", stage.notices);
}

#[test]
fn a_count_that_differs_from_page_to_page_is_not_gone_by_for_ever() {
    for (newest_first, other) in [(false, Other::Counts), (true, Other::Counts), (false, Other::Lags)] {
        let mut stage = shop(60, |options| (options.newest_first, options.page_rows) = (newest_first, 5));
        let what = format!("{newest_first} {other:?}");
        stage.meddler = Some(other.meddles());
        stage.run(TimeDelta::minutes(40));
        assert_eq!(stage.held(), stage.due(), "{what}");
        let told = stage.holds(Condition::ListUnreliable).unwrap_or_default().to_owned();
        assert!(told.contains("changes from page to page"), "{what}: {told}");
        let before = stage.asked.len();
        stage.run(TimeDelta::minutes(30));
        let asked = stage.asked.len() - before;
        assert!(asked < 10 * 30, "{what}: {asked} requests in half an hour");
        stage.put(sale("N1", 777, stage.now));
        stage.run(TimeDelta::minutes(2));
        assert_eq!(stage.held(), stage.due(), "{what}");
        assert!(stage.notices.len() <= 1, "{what}: {:?}", stage.notices);
        stage.meddler = None;
        stage.run(TimeDelta::minutes(75));
        assert_eq!(stage.holds(Condition::ListUnreliable), None, "{what}");
        assert!(stage.progress().complete, "{what}: {:?}", stage.progress());
    }
}
