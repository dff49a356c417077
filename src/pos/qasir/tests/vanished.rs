//! Sales that are gone: told once, never too early, and taken back when they are there again.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use serde_json::json;

use super::world::{Sale, Source, Store, TestBox, Traits, at, context, jakarta};
use crate::{
    health::Condition,
    pos::{
        page::Page,
        qasir::{
            parse::parse_transactions,
            vanished::{Missing, Watch},
            windows::Window,
        },
    },
};

const NOON: &str = "2026-03-15T12:00:00+07:00";

/// A sale every half hour for some days on both sides of noon.
fn shop() -> TestBox {
    shop_with(Traits::default())
}

fn shop_with(traits: Traits) -> TestBox {
    let mut source = Source { traits, ..Source::default() };
    for n in -240..240 {
        let at = at(NOON) + TimeDelta::minutes(n * 30) + TimeDelta::seconds(7);
        source.put(&format!("{n}"), Sale { at, versions: vec![(at, Some(1_000))] });
    }
    let mut test = TestBox::new(source, at(NOON), TimeDelta::seconds(60), TimeDelta::days(4), 1);
    test.run_till(TimeDelta::hours(2), |test| test.progress().complete);
    test.run_until(test.now + TimeDelta::minutes(30));
    test
}

/// The sale is not shown from now on, or is again.
fn show(test: &mut TestBox, id: &str, shown: bool) {
    let (now, sale) = (test.now, test.server.sales.get_mut(id).unwrap());
    sale.versions.push((now, shown.then_some(1_000)));
}

#[test]
fn a_sale_that_is_gone_is_told_once_and_taken_back_when_it_is_there_again() {
    let mut test = shop();
    show(&mut test, "-10", false);
    let gone = test.now;
    test.run_until(gone + TimeDelta::minutes(62));
    assert!(test.vanished.is_empty(), "one reading is not enough");
    test.run_until(gone + TimeDelta::minutes(125));
    assert_eq!(test.vanished, ["-transaction/-10"]);
    test.run_until(gone + TimeDelta::hours(30));
    test.restart();
    test.run_until(gone + TimeDelta::hours(40));
    assert_eq!(test.vanished.len(), 1, "once");
    show(&mut test, "-10", true);
    test.run_until(gone + TimeDelta::hours(50));
    assert_eq!(test.vanished, ["-transaction/-10", "transaction/-10"]);
    assert!(test.gaps.is_empty() && test.notices.is_empty());
}

#[test]
fn a_bad_minute_and_an_edited_time_are_no_loss() {
    let mut test = shop();
    // Not shown for one re-reading, and there again at the next.
    show(&mut test, "-10", false);
    test.run_until(test.now + TimeDelta::minutes(62));
    show(&mut test, "-10", true);
    test.run_until(test.now + TimeDelta::hours(5));
    // The time is moved back and forth while re-readings run; each time it is shown somewhere.
    for hours in [-1, -30, -2, -47, -3] {
        test.server.retime("-5", at(NOON) + TimeDelta::hours(hours));
        test.run_until(test.now + TimeDelta::minutes(61));
    }
    assert_eq!(test.vanished, Vec::<String>::new());
}

#[test]
fn what_only_the_nights_see_is_told_after_two_of_them() {
    let mut test = shop();
    show(&mut test, "-160", false);
    test.run_until(at(NOON) + TimeDelta::hours(24));
    assert!(test.vanished.is_empty());
    test.run_until(at(NOON) + TimeDelta::hours(48));
    assert_eq!(test.vanished, ["-transaction/-160"]);
}

#[test]
fn the_seconds_of_an_open_gap_miss_nothing() {
    let second = at(NOON) + TimeDelta::hours(2);
    let mut test = shop();
    for n in 0..130 {
        // The first ones are captured before the others push them out of the answer.
        let known = if n < 50 { second } else { second + TimeDelta::minutes(20) };
        test.server.put(&format!("full-{n:03}"), Sale { at: second, versions: vec![(known, Some(5))] });
    }
    test.run_until(second + TimeDelta::hours(8));
    assert_eq!((test.truncated().len(), test.vanished.len()), (1, 0));
}

#[test]
fn a_server_in_another_zone_loses_nothing_and_what_is_gone_is_told() {
    let mut test = shop_with(Traits { shift: TimeDelta::hours(7), ..Traits::default() });
    test.run_until(test.now + TimeDelta::hours(9));
    assert_eq!(test.vanished, Vec::<String>::new());
    show(&mut test, "-10", false);
    test.run_until(test.now + TimeDelta::hours(5));
    assert_eq!(test.vanished, ["-transaction/-10"]);
}

#[test]
fn a_source_that_shows_nothing_more_is_one_word_and_not_one_for_each_sale() {
    let mut test = shop();
    let hidden = std::mem::take(&mut test.server.by_time);
    test.run_until(test.now + TimeDelta::hours(4));
    assert!(test.conditions[&Condition::PosReset].as_ref().unwrap().contains("sales of this time that are stored"));
    test.server.by_time = hidden;
    test.run_until(test.now + TimeDelta::hours(2));
    assert_eq!(test.conditions[&Condition::PosReset], None);
    assert_eq!(test.vanished, Vec::<String>::new());
}

/// Two re-readings of a day, an hour apart, in which only `shown` is there; gives what is told of `stored`.
fn told(stored: &[(&str, DateTime<Utc>)], window: Window, shown: &serde_json::Value) -> Vec<String> {
    let sold =
        |(id, at): &(&str, DateTime<Utc>)| json!({ "id": id, "total_amount": 0, "transaction_date": at.to_rfc3339() });
    let stored = json!({ "transactions": stored.iter().map(sold).collect::<Vec<_>>() });
    let memory = Store::default();
    for record in parse_transactions(stored.to_string().as_bytes(), &context()).unwrap().records {
        memory.put(&record, None);
    }
    let page: Page = parse_transactions(shown.to_string().as_bytes(), &context()).unwrap();
    let (mut watch, mut gone) = (Watch::default(), Vec::new());
    for hour in 0..2 {
        let now = window.to + TimeDelta::hours(hour);
        watch.begin(None);
        watch.note(&page);
        watch.done(window, true, &page);
        let Missing::Some(missing) = watch.missing(&memory, &jakarta(), now, now) else { continue };
        gone.extend(missing);
    }
    gone.into_iter().map(|(_, id)| id).collect()
}

#[test]
fn a_row_that_cannot_be_read_is_there() {
    let noon = at(NOON);
    let day = Window { from: noon - TimeDelta::days(1), to: noon };
    let stored = [("1", noon - TimeDelta::hours(1)), ("2", noon - TimeDelta::hours(2))];
    let with_id = json!({ "transactions": [{ "id": "1", "total_amount": "Rp 5", "transaction_date": "2026-03-15" }] });
    assert_eq!(told(&stored, day, &with_id), ["2"]);
    // One without an id may be any of them.
    let without = json!({ "transactions": [{ "id": null, "total_amount": 5, "transaction_date": "2026-03-15" }] });
    assert_eq!(told(&stored, day, &without), Vec::<String>::new());
}

#[test]
fn a_date_without_a_time_of_day_is_missed_only_by_a_reading_of_the_whole_day() {
    let noon = at(NOON);
    let midnight = jakarta().instant(noon.date_naive().and_time(NaiveTime::MIN)).to_utc();
    let empty = json!({ "transactions": [] });
    let until_noon = Window { from: midnight - TimeDelta::hours(1), to: noon };
    assert_eq!(told(&[("1", midnight), ("2", noon - TimeDelta::hours(1))], until_noon, &empty), ["2"]);
    let whole = Window { from: midnight, to: midnight + TimeDelta::days(1) };
    assert_eq!(told(&[("1", midnight)], whole, &empty), ["1"]);
}
