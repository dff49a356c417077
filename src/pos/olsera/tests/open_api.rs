//! The open API: one thing each.

use chrono::TimeDelta;

use super::world::{TestBox, at, bounds, jakarta};
use crate::{
    demo::{
        olsera::{Options, Order, Profile, Spelling},
        shop::{Kind, Sale},
        simulator::Simulator as _,
    },
    gap::GapReason,
    health::Condition,
    transaction,
};

const NOON: &str = "2026-05-01T12:00:00+07:00";

fn options() -> Options {
    Options::new(jakarta(), Profile::OpenApi)
}

fn logins(test: &TestBox) -> usize {
    test.asked.iter().filter(|(_, asked)| asked.starts_with("POST /token")).count()
}

#[test]
fn days_are_read_from_the_newest_back_and_an_empty_one_is_no_error() {
    let mut test = TestBox::new(NOON, options());
    test.sell("today", 5, TimeDelta::minutes(3));
    let before = at("2026-04-29T18:00:00+07:00");
    test.server.put_at(before, Sale::plain("before", 25_000, before));
    test.run_till_held("today-004");
    assert!(test.held("before").is_none());
    assert!(!test.progress().complete);
    test.run(TimeDelta::minutes(3));
    assert_eq!((test.count(), test.gaps.len(), test.differences()), (6, 0, vec![]));
    assert!(test.progress().complete && test.all_is_well());
    assert_eq!(test.progress().since, Some(at("2026-04-28T00:00:00+07:00")));
    assert!(test.connector.covers(at("2026-04-28T04:00:00+07:00"), at("2026-05-01T04:00:00+07:00")));
    assert!(!test.connector.covers(at("2026-04-27T04:00:00+07:00"), at("2026-04-28T04:00:00+07:00")));
    let days: Vec<_> = ["05-01", "04-30", "04-29", "04-28"]
        .map(|day| test.asked.iter().position(|(_, asked)| asked.contains(&format!("start_date=2026-{day}"))))
        .into();
    assert!(days.is_sorted() && days.iter().all(Option::is_some), "{days:?}");
    assert!(test.progress().notes.contains(&"refunds are not available from this source".to_owned()));
    assert_eq!(test.progress().identity.as_deref(), Some("the store of app olsera-app"));
}

#[test]
fn details_are_read_once_and_again_when_the_list_shows_a_change() {
    let mut test = TestBox::new(NOON, options());
    test.sell("a", 10, TimeDelta::minutes(3));
    test.run(TimeDelta::minutes(10));
    let details = |test: &TestBox| test.asked_since(at(NOON), "detail");
    assert_eq!(details(&test), 10);
    let sale = test.held("a-003").unwrap().record;
    test.server.put(Sale::plain("a-003", 77, sale.timestamp.to_utc()));
    test.run(TimeDelta::minutes(2));
    assert_eq!((details(&test), test.held("a-003").unwrap().revisions), (11, 2));
    test.restart();
    test.run(TimeDelta::hours(2));
    assert_eq!((details(&test), test.differences()), (11, vec![]));
}

#[test]
fn what_a_detail_says_is_in_the_record_and_no_name_is() {
    let mut test = TestBox::new(NOON, options());
    test.sell("a", 1, TimeDelta::minutes(3));
    test.run(TimeDelta::minutes(1));
    let record = test.held("a-000").unwrap().record;
    assert_eq!(record.timestamp.to_rfc3339(), NOON);
    assert_eq!(record.status_raw.as_deref(), Some("Z"));
    assert_eq!(record.flags.iter().collect::<Vec<_>>(), [&transaction::Flag::TimezoneAssumed]);
    let written = serde_json::to_string(&record).unwrap();
    for personal in ["Ratna", "KASIR", "table", "created"] {
        assert!(!written.contains(personal), "{personal} in {written}");
    }
}

#[test]
fn many_orders_are_walked_page_by_page_whatever_their_order_and_spelling() {
    for (order, spelling, cap_rows) in
        [(Order::NewestFirst, Spelling::Text, 100), (Order::OldestFirst, Spelling::Numbers, 30)]
    {
        let mut test = TestBox::new(NOON, Options { order, cap_rows, spelling, ..options() });
        test.sell("a", 230, TimeDelta::minutes(2));
        test.run(TimeDelta::minutes(15));
        assert_eq!((test.count(), test.gaps.len(), test.differences()), (230, 0, vec![]));
        assert!(test.progress().complete);
    }
}

#[test]
fn an_order_in_both_lists_is_one_record_and_its_end_a_revision() {
    let mut test = TestBox::new(NOON, Options { prepared_for: TimeDelta::minutes(20), ..options() });
    test.sell("a", 1, TimeDelta::minutes(1));
    test.run(TimeDelta::minutes(3));
    let open = test.held("a-000").unwrap();
    assert_eq!((open.record.kind, open.record.status), (transaction::Kind::Sale, transaction::Status::Open));
    test.run(TimeDelta::minutes(12));
    assert_eq!((test.held("a-000").unwrap().revisions, test.count()), (1, 1));
    test.run(TimeDelta::minutes(10));
    let done = test.held("a-000").unwrap();
    assert_eq!((done.record.status, done.revisions), (transaction::Status::Completed, 2));
}

#[test]
fn an_order_that_is_called_off_or_not_paid_any_more_is_told() {
    let mut test = TestBox::new(NOON, options());
    test.sell("a", 4, TimeDelta::minutes(1));
    test.server.put(Sale { kind: Kind::Order, ..Sale::plain("never paid", 500, at(NOON)) });
    test.run(TimeDelta::minutes(5));
    assert_eq!((test.count(), test.differences()), (4, vec![]));
    for (id, kind) in [("a-000", Kind::Void), ("a-001", Kind::Order)] {
        let record = test.held(id).unwrap().record;
        let at = record.timestamp.to_utc();
        test.server.put(Sale { kind, ..Sale::plain(id, record.amount.to_string().parse().unwrap(), at) });
    }
    test.run(TimeDelta::minutes(1));
    assert_eq!(test.held("a-000").unwrap().record.kind, transaction::Kind::Void);
    test.run(TimeDelta::hours(3));
    assert_eq!(test.held("a-001").unwrap().record.kind, transaction::Kind::Order);
    assert_eq!((test.gone(), test.differences()), (0, vec![]));
}

#[test]
fn an_order_that_is_listed_under_another_day_than_its_time_is_no_news_each_hour() {
    let mut test = TestBox::new(NOON, options());
    let sold = at("2026-05-01T00:10:00+07:00");
    test.server.adjust(|options| {
        options.days_off.insert("late".to_owned(), (-1, -1));
    });
    test.server.put_at(sold, Sale::plain("late", 1_000, sold));
    test.run(TimeDelta::minutes(10));
    let mark = test.held("late").unwrap().known.mark;
    assert_ne!(mark, 0);
    for _ in 0..40 {
        test.run(TimeDelta::minutes(5));
        assert_eq!(test.held("late").unwrap().known.mark, mark);
    }
    assert_eq!((test.gone(), test.differences()), (0, vec![]));
}

#[test]
fn an_odd_row_on_a_past_day_is_a_gap_and_keeps_no_older_day_from_being_read() {
    let mut test = TestBox::new(NOON, options());
    test.server.adjust(|options| {
        options.days_off.insert("odd".to_owned(), (0, 1));
    });
    test.backfill = TimeDelta::days(6);
    test.wipe();
    for (id, day) in [("odd", 27), ("older", 26)] {
        let sold = at(&format!("2026-04-{day}T10:00:00+07:00"));
        test.server.put_at(sold, Sale::plain(id, 1_000, sold));
    }
    test.run(TimeDelta::hours(3));
    assert!(test.held("older").is_some() && test.progress().complete);
    let [gap] = &test.gaps[..] else { panic!("{:?}", test.gaps) };
    let (from, to) = ("2026-04-27T00:00:00+07:00", "2026-04-28T00:00:00+07:00");
    assert_eq!((gap.reason, bounds(gap)), (GapReason::Unreadable, (from.to_owned(), to.to_owned())));
    test.server.adjust(|options| options.days_off.clear());
    test.run(TimeDelta::hours(2));
    assert_eq!((test.gaps.len(), test.gap_events, test.differences()), (0, 2, vec![]));
}

#[test]
fn odd_rows_on_today_and_a_recent_day_keep_no_older_day_from_being_read() {
    let mut test = TestBox::new(NOON, options());
    test.server.adjust(|options| {
        options.days_off.insert("today".to_owned(), (0, 1));
        options.days_off.insert("recent".to_owned(), (0, 1));
    });
    test.backfill = TimeDelta::days(6);
    test.wipe();
    for (id, day) in [("today", "05-01"), ("recent", "04-29"), ("older", "04-26")] {
        let sold = at(&format!("2026-{day}T10:00:00+07:00"));
        test.server.put_at(sold, Sale::plain(id, 1_000, sold));
    }
    test.run(TimeDelta::minutes(45));
    assert!(["today", "recent", "older"].iter().all(|id| test.held(id).is_some()));
    let [gap] = &test.gaps[..] else { panic!("{:?}", test.gaps) };
    let (from, to) = ("2026-04-29T00:00:00+07:00", "2026-04-30T00:00:00+07:00");
    assert_eq!((gap.reason, bounds(gap)), (GapReason::Unreadable, (from.to_owned(), to.to_owned())));
    assert!(!test.progress().complete && test.holds(Condition::WindowNotHonoured).is_some());
    test.server.adjust(|options| options.days_off.clear());
    test.run(TimeDelta::hours(2));
    assert!(test.progress().complete && test.all_is_well());
    assert_eq!((test.gaps.len(), test.differences()), (0, vec![]));
}

#[test]
fn a_day_on_which_no_poll_succeeded_is_not_covered_before_it_was_read() {
    let mut test = TestBox::new("2026-05-01T22:00:00+07:00", options());
    let day = (at("2026-05-01T00:00:00+07:00"), at("2026-05-02T00:00:00+07:00"));
    let sold = at("2026-05-01T21:00:00+07:00");
    test.server.put_at(sold, Sale::plain("first", 1_000, sold));
    // Nothing answers for two weeks: longer than any list is read again.
    test.pass(TimeDelta::days(14));
    let mut covered = false;
    for _ in 0..600 {
        test.step();
        covered |= test.connector.covers(day.0, day.1);
        assert!(!covered || test.held("first").is_some(), "the day is covered and its sale is not there");
    }
    test.run(TimeDelta::hours(1));
    assert!(test.connector.covers(day.0, day.1) && test.progress().complete);
    assert_eq!((test.gaps.len(), test.differences()), (0, vec![]));
}

#[test]
fn a_day_that_stays_odd_is_not_read_at_every_turn_and_is_told_without_a_break() {
    let mut test = TestBox::new("2026-05-01T23:50:00+07:00", options());
    // Good days with orders lie before it.
    test.sell("good", 6, TimeDelta::hours(12));
    test.run(TimeDelta::minutes(8));
    let begun = test.now;
    // One in the first minute of each of three days, so that no day is read well.
    for day in 0..3 {
        let odd = format!("odd-{day}");
        test.server.adjust(|options| _ = options.days_off.insert(odd.clone(), (0, 1)));
        test.server.put(Sale::plain(&odd, 1_000, at("2026-05-02T00:00:10+07:00") + TimeDelta::days(day)));
        test.run(TimeDelta::minutes(10));
        for _ in 10..24 * 60 {
            test.run(TimeDelta::minutes(1));
            assert!(test.holds(Condition::WindowNotHonoured).is_some(), "{}", test.now);
        }
    }
    let again = test.asked_since(begun + TimeDelta::hours(48), "start_date=2026-05-02");
    assert!((20..60).contains(&again), "an odd day was asked for {again} times on the third day");
    test.server.adjust(|options| options.days_off.clear());
    test.run(TimeDelta::hours(3));
    assert!(test.progress().complete && test.all_is_well(), "{:?}", test.conditions);
}

#[test]
fn a_stored_order_whose_status_nobody_knows_is_read_once() {
    let mut test = TestBox::new(NOON, options());
    test.sell("a", 2, TimeDelta::minutes(1));
    test.run(TimeDelta::minutes(5));
    test.server.adjust(|options| {
        options.odd_status.insert("a-001".to_owned());
    });
    let turned = test.now;
    test.run(TimeDelta::minutes(30));
    assert_eq!((test.asked_since(turned, "detail"), test.quarantined), (1, 1));
    test.server.adjust(|options| options.odd_status.clear());
    test.server.put(Sale::plain("a-001", 99, at(NOON)));
    test.run(TimeDelta::minutes(5));
    assert_eq!((test.held("a-001").unwrap().revisions, test.differences()), (2, vec![]));
}

#[test]
fn a_deleted_order_vanishes_after_two_looks_and_comes_back() {
    let mut test = TestBox::new(NOON, options());
    test.sell("a", 4, TimeDelta::minutes(1));
    test.run(TimeDelta::minutes(5));
    test.server.remove("a-002", test.now);
    test.run(TimeDelta::minutes(70));
    assert!(test.gone() == 0, "once is not twice");
    test.run(TimeDelta::minutes(60));
    assert_eq!(test.gone(), 1);
    test.server.put(Sale::plain("a-002", 10_002, at(NOON) - TimeDelta::minutes(1)));
    test.run(TimeDelta::minutes(5));
    assert_eq!((test.gone(), test.differences()), (0, vec![]));
}

#[test]
fn a_detail_that_fails_for_good_is_a_gap_and_stops_nobody() {
    for lists_times in [false, true] {
        let mut test = TestBox::new(NOON, Options { lists_times, ..options() });
        test.server.adjust(|options| options.failing.extend(["a-001".to_owned(), "a-003".to_owned()]));
        test.sell("a", 6, TimeDelta::minutes(1));
        test.run(TimeDelta::minutes(10));
        assert_eq!(test.count(), 4);
        assert!(test.gaps.iter().all(|gap| gap.reason == GapReason::Unreadable));
        let first = bounds(&test.gaps[0]);
        if lists_times {
            assert_eq!(test.gaps.len(), 2);
            assert_eq!(first, ("2026-05-01T11:56:00+07:00".to_owned(), "2026-05-01T11:56:01+07:00".to_owned()));
        } else {
            assert_eq!(test.gaps.len(), 1, "the list tells the day only");
            assert_eq!(first, ("2026-05-01T00:00:00+07:00".to_owned(), "2026-05-02T00:00:00+07:00".to_owned()));
        }
        assert!(test.progress().complete, "polls go on");
        // Asked again hourly, also after a restart, until it can be read.
        let events = test.gap_events;
        let now = test.now;
        test.run(TimeDelta::hours(3));
        assert!((2..=16).contains(&test.asked_since(now, "detail")), "{}", test.asked_since(now, "detail"));
        test.restart();
        test.run(TimeDelta::hours(1));
        assert_eq!(test.gap_events, events);
        test.server.adjust(|options| {
            options.failing.remove("a-001");
        });
        test.run(TimeDelta::hours(2));
        assert_eq!((test.count(), test.gaps.len()), (5, 1));
        test.server.adjust(|options| options.failing.clear());
        test.run(TimeDelta::hours(2));
        assert_eq!((test.gaps.len(), test.differences()), (0, vec![]));
    }
}

#[test]
fn the_token_is_renewed_in_time_and_once_when_it_is_refused() {
    let mut test = TestBox::new(NOON, options());
    test.sell("a", 2, TimeDelta::minutes(1));
    test.run(TimeDelta::hours(3));
    assert_eq!(logins(&test), 4, "every 55 minutes");
    assert!(test.holds(Condition::PosRefused).is_none());
    test.server.end_tokens();
    test.run(TimeDelta::minutes(5));
    assert_eq!(logins(&test), 5);
    assert!(test.all_is_well() && test.progress().complete);
}

#[test]
fn refused_credentials_are_for_a_person_and_no_loop() {
    for refusal_status in [200, 400, 401, 422] {
        let mut test = TestBox::new(NOON, Options { refusal_status, ..options() });
        test.secret = "wrong".to_owned();
        test.restart();
        test.run(TimeDelta::minutes(30));
        assert!(test.holds(Condition::PosRefused).is_some(), "{refusal_status}");
        assert_eq!(logins(&test), test.asked.len());
        assert!(logins(&test) <= 7, "{} logins with {refusal_status}", logins(&test));
    }
}

#[test]
fn a_token_that_no_answer_accepts_is_no_loop_either() {
    let mut test = TestBox::new(NOON, options());
    test.run(TimeDelta::minutes(2));
    let before = test.asked.len();
    for _ in 0..200 {
        test.server.end_tokens();
        test.step();
    }
    // Each refusal is a login, and every second one five minutes of waiting.
    assert!(test.now > at(NOON) + TimeDelta::minutes(60), "{} requests", test.asked.len() - before);
}

#[test]
fn after_an_outage_over_days_the_newest_come_first_and_every_day_follows() {
    let mut test = TestBox::new(NOON, options());
    test.sell("a", 3, TimeDelta::minutes(1));
    test.run(TimeDelta::minutes(10));
    test.pass(TimeDelta::hours(5));
    test.sell("evening", 10, TimeDelta::minutes(5));
    test.pass(TimeDelta::hours(40));
    test.sell("later", 20, TimeDelta::minutes(90));
    test.restart();
    test.run_till_held("later-019");
    assert!(!test.progress().complete && test.held("evening-005").is_none());
    assert!(test.progress().watermark <= Some(at("2026-05-01T12:11:00+07:00")));
    test.run(TimeDelta::minutes(5));
    assert!(test.progress().complete);
    assert_eq!((test.count(), test.differences()), (33, vec![]));
}

#[test]
fn the_end_of_a_day_is_read_after_midnight() {
    let mut test = TestBox::new("2026-05-01T23:59:00+07:00", options());
    for second in 0..120 {
        let at = test.now + TimeDelta::seconds(second);
        test.server.put_at(at + TimeDelta::seconds(20), Sale::plain(&format!("m-{second}"), 1_000, at));
    }
    test.run(TimeDelta::minutes(8));
    assert_eq!((test.count(), test.differences()), (120, vec![]));
    assert!(test.progress().complete && test.progress().watermark > Some(at("2026-05-02T00:05:00+07:00")));
}

#[test]
fn a_late_upload_is_found_within_the_hour_or_the_night() {
    let mut test = TestBox::new("2026-05-04T12:00:00+07:00", Options { ..options() });
    test.backfill = TimeDelta::days(9);
    test.wipe();
    test.run(TimeDelta::minutes(10));
    let (recent, older) = (at("2026-05-03T10:00:00+07:00"), at("2026-04-29T10:00:00+07:00"));
    test.server.put(Sale::plain("recent", 1_000, recent));
    test.server.put(Sale::plain("older", 1_000, older));
    test.run(TimeDelta::minutes(65));
    assert!(test.held("recent").is_some() && test.held("older").is_none());
    test.run(TimeDelta::hours(15));
    assert_eq!(test.differences(), Vec::<String>::new());
}

#[test]
fn a_box_that_knows_of_unread_orders_does_not_say_that_it_is_done() {
    let mut test = TestBox::new("2026-05-04T12:00:00+07:00", options());
    test.sell("today", 5, TimeDelta::minutes(3));
    test.run(TimeDelta::minutes(70));
    assert!(test.progress().complete);
    let yesterday = at("2026-05-03T10:00:00+07:00");
    for n in 0..100 {
        test.server.put(Sale::plain(&format!("late-{n:03}"), 1_000, yesterday + TimeDelta::minutes(n)));
    }
    let some_came = |test: &TestBox| test.count() > 10;
    test.run_till(TimeDelta::hours(2), some_came);
    assert!(some_came(&test) && test.count() < 105 && !test.progress().complete);
    test.run_till(TimeDelta::hours(2), |test| test.count() == 105);
    test.run(TimeDelta::minutes(5));
    assert!(test.progress().complete);
    assert_eq!(test.differences(), Vec::<String>::new());
}

#[test]
fn a_steady_shop_stays_far_below_the_limit() {
    let mut test = TestBox::new(NOON, Options { requests_per_minute: Some(60), ..options() });
    for n in 0..60 {
        let at = test.now + TimeDelta::minutes(n);
        test.server.put_at(at, Sale::plain(&format!("s-{n}"), 1_000, at));
    }
    let begun = test.now;
    test.run(TimeDelta::hours(1));
    assert!(test.asked_since(begun, "") <= 60 * 12, "{}", test.asked_since(begun, ""));
    test.run(TimeDelta::minutes(2));
    assert_eq!(test.differences(), Vec::<String>::new());
}

#[test]
fn a_box_replaced_in_its_first_reading_goes_on_without_a_gap() {
    let mut test = TestBox::new(NOON, options());
    test.backfill = TimeDelta::days(90);
    test.wipe();
    for n in 0..88 {
        let sold = test.now - TimeDelta::days(n) - TimeDelta::hours(1);
        test.server.put_at(sold, Sale::plain(&format!("old-{n}"), 25_000, sold));
    }
    test.run_till(TimeDelta::hours(1), |test| test.news > 20);
    assert!(!test.progress().complete, "in the middle of it");
    test.replace(crate::config::System::Olsera, TimeDelta::days(2));
    test.run_till(TimeDelta::hours(3), |test| test.progress().complete);
    assert_eq!((test.count(), &test.gaps[..], test.differences()), (88, &[][..], vec![]));
}
