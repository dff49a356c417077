//! The documented API: one thing each.

use std::{fs, path::PathBuf, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};

use super::world::{TestBox, at, bounds, context, jakarta};
use crate::{
    demo::{
        olsera::{Options, Order, Profile, Times},
        shop::{Kind, Sale},
        simulator::Simulator as _,
    },
    gap::GapReason,
    health::Condition,
    pos::{
        connector::{Begin, Connector, Nothing, Step, Terms, Yield},
        http::{Answer, Failure},
        olsera::documented::connector::Documented,
    },
    secret::Secret,
};

const NOON: &str = "2026-05-01T12:00:00+07:00";

fn options() -> Options {
    Options::new(jakarta(), Profile::Documented)
}

fn answer(name: &str) -> Answer {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/olsera").join(name).with_extension("json");
    Answer::of(fs::read(&path).unwrap())
}

fn made(now: DateTime<Utc>) -> Documented {
    let terms = Terms { context: context(), poll_every: TimeDelta::seconds(15), backfill: TimeDelta::days(2) };
    let begin =
        Begin { secret: Secret::new("olsera-key"), cursor: None, gaps: Vec::new(), memory: Arc::new(Nothing), now };
    Documented::new(terms, begin, "M-8812")
}

/// Takes a fixture as the answer to whatever comes next; gives the path that was asked, too.
fn take(connector: &mut Documented, name: &str, now: DateTime<Utc>) -> (String, Yield) {
    let Step::Ask(request) = connector.next(now) else { panic!("nothing to ask") };
    let query: Vec<_> = request.query().iter().map(|(name, value)| format!("{name}={value}")).collect();
    (format!("{}?{}", request.path(), query.join("&")), connector.take(&answer(name), now).unwrap())
}

#[test]
fn two_full_answers_without_a_common_sale_are_a_proven_gap() {
    let now = at("2026-05-01T20:00:10+07:00");
    let mut connector = made(now);
    assert_eq!(take(&mut connector, "edge-merchant-info", now).0, "/merchant/info?merchant_id=M-8812");
    let (asked, first) = take(&mut connector, "edge-transactions-exactly-100", now);
    assert_eq!((asked.as_str(), first.transactions.len()), ("/transactions?merchant_id=M-8812&limit=100", 100));
    assert!(first.gaps_opened.is_empty(), "history may have a way yet");
    // None of the three ways is one: each gives the newest rows again.
    for part in ["offset=90", "page=2", "start_date=2026-04-30&end_date=2026-04-30"] {
        let (asked, found) = take(&mut connector, "edge-transactions-exactly-100", now);
        assert!(asked.ends_with(part), "{asked}");
        if part.starts_with("start") {
            let [gap] = &found.gaps_opened[..] else { panic!("{found:?}") };
            assert_eq!(gap.reason, GapReason::BehindHistory);
            let (from, to) = ("2026-04-29T20:00:10+07:00", "2026-05-01T19:10:31+07:00");
            assert_eq!(bounds(gap), (from.to_owned(), to.to_owned()));
        } else {
            assert!(found.gaps_opened.is_empty());
        }
    }
    assert!(connector.progress().complete);
    let later = at("2026-05-01T23:00:05+07:00");
    let (_, second) = take(&mut connector, "edge-transactions-no-overlap-next", later);
    assert_eq!(second.transactions.len(), 100);
    let [gap] = &second.gaps_opened[..] else { panic!("{second:?}") };
    assert_eq!(gap.reason, GapReason::NoOverlap);
    let (from, to) = ("2026-05-01T20:00:00+07:00", "2026-05-01T22:10:31+07:00");
    assert_eq!(bounds(gap), (from.to_owned(), to.to_owned()));
    assert!(!connector.progress().complete && connector.progress().watermark == Some(later));
}

#[test]
fn a_way_back_that_is_answered_with_an_error_as_a_success_is_given_up() {
    let now = at("2026-05-01T20:00:10+07:00");
    let mut connector = made(now);
    take(&mut connector, "edge-merchant-info", now);
    take(&mut connector, "edge-transactions-exactly-100", now);
    let mut gaps = Vec::new();
    for part in ["offset=90", "page=2", "start_date=2026-04-30&end_date=2026-04-30"] {
        for n in 1..=3 {
            let Step::Ask(request) = connector.next(now) else { panic!("nothing to ask") };
            let query: Vec<_> = request.query().iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert!(query.join("&").ends_with(part), "{query:?}");
            let found = connector.take(&answer("edge-transactions-wrong-key"), now);
            assert_eq!(found.is_ok(), n == 3);
            gaps.extend(found.into_iter().flat_map(|found| found.gaps_opened));
        }
    }
    assert_eq!(gaps.iter().map(|gap| gap.reason).collect::<Vec<_>>(), [GapReason::BehindHistory]);
    assert!(connector.progress().complete && matches!(connector.next(now), Step::Wait(_)));
}

#[test]
fn another_merchant_is_told_and_nothing_is_read() {
    let now = at(NOON);
    let mut connector = made(now);
    let (_, found) = take(&mut connector, "edge-merchant-info-other", now);
    assert!(matches!(&found.conditions[..], [(Condition::PosUnfit, Some(text))] if text.contains("M-8812")));
    assert!(!format!("{found:?}").contains("9999"));
    assert!(matches!(connector.next(now), Step::Wait(until) if until == now + TimeDelta::minutes(5)));
    let later = now + TimeDelta::minutes(5);
    let (asked, found) = take(&mut connector, "edge-merchant-info", later);
    assert!(asked.starts_with("/merchant/info"));
    assert_eq!(found.conditions, [(Condition::PosUnfit, None)]);
    assert_eq!(connector.progress().identity.as_deref(), Some("Kopi Nusantara"));
    assert!(connector.progress().notes.contains(&"refunds are not available from this source".to_owned()));
}

#[test]
fn what_is_no_answer_moves_nothing_and_is_asked_again() {
    let now = at(NOON);
    let mut connector = made(now);
    for (path, wrong) in [("/merchant/info", "edge-error-401"), ("/transactions", "edge-transactions-wrong-key")] {
        for _ in 0..2 {
            let Step::Ask(request) = connector.next(now) else { panic!("nothing to ask") };
            assert_eq!(request.path(), path);
            let before = connector.cursor();
            assert!(connector.take(&answer(wrong), now).is_err());
            assert_eq!(connector.cursor(), before);
        }
        connector.next(now);
        if path == "/merchant/info" {
            connector.take(&answer("edge-merchant-info"), now).unwrap();
        }
    }
    for failure in [Failure::Refused(401), Failure::TooMany { retry_after: None }, Failure::Unexpected(404)] {
        connector.next(now);
        assert!(connector.failed(&failure, now).is_none());
    }
}

#[test]
fn fewer_than_100_sales_are_all_there_is() {
    let mut test = TestBox::new(NOON, options());
    test.sell("a", 99, TimeDelta::minutes(20));
    test.run(TimeDelta::minutes(10));
    assert_eq!((test.count(), test.gaps.len(), test.differences()), (99, 0, vec![]));
    assert!(test.progress().complete);
    assert!(test.connector.covers(test.now - TimeDelta::days(2), test.now - TimeDelta::minutes(6)));
    // No way was tried: there was nothing behind.
    assert!(test.asked.iter().all(|(_, asked)| !asked.contains("page=")));
}

#[test]
fn a_quiet_night_and_a_burst_are_joined_by_what_is_stored_also_across_restarts() {
    let mut test = TestBox::new(NOON, options());
    test.sell("a", 100, TimeDelta::minutes(5));
    test.run(TimeDelta::minutes(10));
    assert_eq!(test.gaps.len(), 1, "what was before the first answer: {:?}", test.gaps);
    for n in 0..5 {
        test.pass(TimeDelta::hours(1));
        test.sell(&format!("b{n}"), 99, TimeDelta::seconds(20));
        test.restart();
        test.run(TimeDelta::minutes(2));
        assert!(test.progress().complete);
    }
    assert_eq!((test.count(), test.gaps.len()), (595, 1));
    assert_eq!(test.differences(), Vec::<String>::new());
}

#[test]
fn a_hundred_new_sales_between_two_polls_are_a_gap_until_an_answer_reaches_over_it() {
    let mut test = TestBox::new(NOON, options());
    test.sell("a", 50, TimeDelta::minutes(5));
    test.run(TimeDelta::minutes(1));
    test.pass(TimeDelta::hours(2));
    test.sell("b", 120, TimeDelta::seconds(30));
    test.run(TimeDelta::minutes(1));
    let [gap] = &test.gaps[..] else { panic!("{:?}", test.gaps) };
    assert_eq!(gap.reason, GapReason::NoOverlap);
    assert!(gap.from <= at(NOON) && gap.to > test.now - TimeDelta::minutes(55));
    assert_eq!(test.count(), 150);
    // The next poll is joined, and the gap stays, without another word.
    test.run(TimeDelta::minutes(30));
    assert_eq!((test.gaps.len(), test.gap_events), (1, 1));
    assert!(test.progress().complete);
    // So many are deleted at the source that the list reaches over it again.
    for n in 60..120 {
        test.server.remove(&format!("b-{n:03}"), test.now);
    }
    test.run(TimeDelta::minutes(10));
    assert_eq!((test.gaps.len(), test.count()), (0, 170));
    test.run(TimeDelta::hours(3));
    assert_eq!((test.gone(), test.differences()), (60, vec![]));
}

#[test]
fn a_deleted_sale_vanishes_once_and_comes_back() {
    let mut test = TestBox::new(NOON, options());
    test.sell("a", 20, TimeDelta::minutes(5));
    test.run(TimeDelta::minutes(5));
    test.server.remove("a-010", test.now);
    test.run(TimeDelta::minutes(50));
    assert!(test.gone() == 0, "once is not twice");
    test.run(TimeDelta::hours(2));
    assert_eq!(test.gone(), 1);
    test.server.put(Sale::plain("a-010", 10_010, at(NOON) - TimeDelta::minutes(45)));
    test.run(TimeDelta::minutes(6));
    assert!(test.gone() == 0);
}

#[test]
fn a_change_within_the_newest_is_a_revision_and_one_behind_them_is_never_told() {
    let mut test = TestBox::new(NOON, options());
    test.sell("a", 100, TimeDelta::minutes(1));
    test.run(TimeDelta::minutes(5));
    test.pass(TimeDelta::minutes(40));
    test.sell("b", 50, TimeDelta::seconds(20));
    test.run(TimeDelta::minutes(5));
    for id in ["a-040", "a-060"] {
        let sale = test.held(id).unwrap().record;
        test.server.put(Sale::plain(id, 99, sale.timestamp.to_utc()));
    }
    test.run(TimeDelta::minutes(10));
    let revisions = ["a-040", "a-060"].map(|id| test.held(id).unwrap().revisions);
    assert_eq!(revisions, [1, 2]);
    assert_eq!(test.differences(), Vec::<String>::new());
    assert!(test.progress().notes.iter().any(|note| note.contains("neither changes nor late uploads")));
}

#[test]
fn the_time_between_polls_follows_the_shop() {
    let mut test = TestBox::new(NOON, options());
    test.run(TimeDelta::hours(1));
    let polls = |test: &TestBox, from| test.asked_since(from, "GET /transactions");
    let quiet = test.now - TimeDelta::minutes(30);
    assert_eq!(polls(&test, quiet), 5, "five minutes apart, and the time that an answer takes");
    // A sale every two seconds: fifty in 100 s.
    for n in 0..1_800 {
        let at = test.now + TimeDelta::seconds(n * 2);
        test.server.put_at(at, Sale::plain(&format!("r-{n}"), 1_000, at));
    }
    let busy = test.now;
    test.run(TimeDelta::minutes(59));
    let count = polls(&test, busy + TimeDelta::minutes(20));
    assert!((20..=80).contains(&count), "{count} polls in 39 minutes");
    assert!(test.gaps.iter().all(|gap| gap.to < busy + TimeDelta::minutes(12)), "{:?}", test.gaps);
    let per_minute = |minute: i64| {
        let from = busy + TimeDelta::minutes(minute);
        test.asked.iter().filter(|(at, _)| (from..from + TimeDelta::minutes(1)).contains(at)).count()
    };
    assert!((0..59).all(|minute| per_minute(minute) <= 80));
}

#[test]
fn a_full_list_with_the_oldest_first_is_told_and_proves_nothing() {
    let mut test = TestBox::new(NOON, Options { order: Order::OldestFirst, ..options() });
    test.sell("a", 99, TimeDelta::minutes(1));
    test.run(TimeDelta::minutes(20));
    assert!(test.progress().complete, "with fewer than 100 rows the order does not matter");
    let read_to = test.progress().watermark;
    test.pass(TimeDelta::minutes(10));
    test.sell("b", 20, TimeDelta::seconds(20));
    test.run(TimeDelta::minutes(20));
    assert!(test.holds(Condition::ListUnreliable).unwrap().contains("oldest"));
    assert!(!test.progress().complete);
    assert!(test.progress().watermark < read_to.map(|at| at + TimeDelta::minutes(12)));
    assert!(test.progress().notes.iter().any(|note| note.contains("oldest sales first")));
    // The source is put right: what was hidden is in reach.
    test.server.adjust(|options| options.order = Order::NewestFirst);
    test.run(TimeDelta::minutes(10));
    assert!(test.progress().complete && test.holds(Condition::ListUnreliable).is_none());
    assert_eq!(test.differences(), Vec::<String>::new());
}

#[test]
fn history_is_read_by_whatever_way_the_source_has() {
    for name in ["offset", "page", "start_date"] {
        for refuses_unknown in [false, true] {
            let options = Options {
                honours_offset: name == "offset",
                honours_page: name == "page",
                honours_dates: name == "start_date",
                refuses_unknown,
                ..options()
            };
            let mut test = TestBox::new(NOON, options);
            test.sell("old", 300, TimeDelta::minutes(20));
            test.run(TimeDelta::minutes(10));
            // Three days of backfill, a sale every 20 minutes.
            assert!(test.count() >= 216, "{name}: {}", test.count());
            assert_eq!(test.gaps, [], "{name}");
            assert!(test.progress().complete && test.progress().notes.iter().any(|note| note.contains(name)));
            // What was sold while the box was off is a gap only until the way was walked.
            test.pass(TimeDelta::days(3));
            test.sell("new", 150, TimeDelta::minutes(28));
            test.run(TimeDelta::minutes(2));
            assert!(test.gap_events > 0, "{name}");
            test.run(TimeDelta::minutes(75));
            assert_eq!((test.gaps.len(), test.gap_events), (0, 2), "{name}");
            let all = |prefix: &str, n: usize| (0..n).all(|n| test.held(&format!("{prefix}-{n:03}")).is_some());
            assert!(all("new", 150), "{name}");
        }
    }
}

#[test]
fn a_way_back_that_comes_later_is_found_within_a_day_and_closes_the_gap() {
    for name in ["offset", "page", "start_date"] {
        let mut test = TestBox::new(NOON, options());
        test.sell("old", 300, TimeDelta::minutes(20));
        test.run(TimeDelta::minutes(10));
        let reasons: Vec<_> = test.gaps.iter().map(|gap| gap.reason).collect();
        assert_eq!(reasons, [GapReason::BehindHistory], "{name}");
        test.server.adjust(|options| {
            options.honours_offset = name == "offset";
            options.honours_page = name == "page";
            options.honours_dates = name == "start_date";
        });
        test.run(TimeDelta::hours(23));
        assert_eq!(test.gaps.len(), 1, "{name}");
        test.run(TimeDelta::hours(2));
        assert_eq!(test.gaps, [], "{name}");
        assert!(test.count() >= 216, "{name}: {}", test.count());
    }
}

#[test]
fn a_list_that_is_cut_before_its_pages_are_counted_is_no_history() {
    for name in ["offset", "page"] {
        let (honours_offset, honours_page) = (name == "offset", name == "page");
        let options = Options { honours_offset, honours_page, keeps_rows: Some(100), ..options() };
        let mut test = TestBox::new(NOON, options);
        test.sell("a", 150, TimeDelta::minutes(5));
        test.run(TimeDelta::minutes(5));
        let reasons: Vec<_> = test.gaps.iter().map(|gap| gap.reason).collect();
        assert_eq!(reasons, [GapReason::BehindHistory], "{name}");
        test.pass(TimeDelta::hours(1));
        test.sell("b", 90, TimeDelta::seconds(20));
        test.run(TimeDelta::hours(4));
        assert_eq!((test.gaps.len(), test.gone()), (1, 0), "{name}");
    }
}

#[test]
fn a_walk_to_the_end_of_a_cut_list_proves_nothing() {
    for name in ["offset", "page"] {
        let (honours_offset, honours_page) = (name == "offset", name == "page");
        let options = Options { honours_offset, honours_page, keeps_rows: Some(250), ..options() };
        let mut test = TestBox::new(NOON, options);
        test.sell("a", 260, TimeDelta::minutes(10));
        test.run(TimeDelta::minutes(10));
        assert_eq!((test.count(), test.gaps.len()), (250, 0), "{name}: nobody can know");
        test.pass(TimeDelta::hours(1));
        test.sell("b", 50, TimeDelta::minutes(1));
        test.run(TimeDelta::hours(4));
        assert_eq!((test.count(), test.gone()), (300, 0), "{name}");
        let reasons: Vec<_> = test.gaps.iter().map(|gap| gap.reason).collect();
        assert_eq!(reasons, [GapReason::BehindHistory], "{name}");
    }
}

#[test]
fn fewer_rows_of_a_list_that_was_full_reach_no_further_than_the_oldest() {
    let mut test = TestBox::new(NOON, options());
    test.sell("a", 150, TimeDelta::minutes(5));
    test.run(TimeDelta::minutes(5));
    let behind = test.gaps.clone();
    assert_eq!(behind.iter().map(|gap| gap.reason).collect::<Vec<_>>(), [GapReason::BehindHistory]);
    test.server.adjust(|options| options.cap_rows = 60);
    test.run(TimeDelta::hours(4));
    assert_eq!((&test.gaps, test.gone()), (&behind, 0));
    test.connector.rewind(test.now - TimeDelta::days(9));
    test.run(TimeDelta::minutes(10));
    assert!(test.gaps.len() == 2 && test.progress().complete, "{:?}", test.gaps);
}

#[test]
fn a_list_that_is_cut_below_100_is_noticed_when_rows_fall_out() {
    let mut test = TestBox::new(NOON, Options { cap_rows: 40, ..options() });
    test.sell("a", 60, TimeDelta::minutes(5));
    test.run(TimeDelta::minutes(1));
    assert!(test.gaps.is_empty() && test.progress().complete, "nobody can know");
    test.sell("b", 3, TimeDelta::seconds(2));
    test.run(TimeDelta::minutes(5));
    assert_eq!(test.gaps.iter().map(|gap| gap.reason).collect::<Vec<_>>(), [GapReason::BehindHistory]);
    test.pass(TimeDelta::hours(1));
    test.sell("c", 50, TimeDelta::minutes(1));
    test.run(TimeDelta::minutes(5));
    assert_eq!(test.gaps.len(), 2);
    assert!(test.progress().notes.iter().any(|note| note.contains("40 rows")));
    assert!(test.asked.iter().all(|(_, asked)| !asked.contains("page=")));
    // It grows again: another limit, more is in reach, and a way behind it may be tried.
    test.server.adjust(|options| options.cap_rows = 100);
    test.run(TimeDelta::minutes(5));
    assert_eq!(test.count(), 100);
}

#[test]
fn times_of_midnight_only_make_gaps_of_whole_days() {
    let mut test = TestBox::new(NOON, Options { times: Times::Midnight, ..options() });
    test.sell("a", 30, TimeDelta::minutes(1));
    test.run(TimeDelta::minutes(1));
    test.pass(TimeDelta::days(1));
    test.sell("b", 150, TimeDelta::minutes(1));
    test.run(TimeDelta::minutes(1));
    let gap = test.gaps.iter().find(|gap| gap.reason == GapReason::NoOverlap).unwrap();
    let (from, to) = ("2026-05-01T00:00:00+07:00", "2026-05-03T00:00:00+07:00");
    assert_eq!(bounds(gap), (from.to_owned(), to.to_owned()));
}

#[test]
fn a_wiped_box_reads_what_there_is_and_says_what_it_lacks() {
    let mut test = TestBox::new(NOON, options());
    test.sell("a", 150, TimeDelta::minutes(5));
    test.run(TimeDelta::minutes(5));
    test.wipe();
    test.run(TimeDelta::minutes(1));
    let since = test.now - TimeDelta::days(7);
    test.connector.rewind(since);
    test.run(TimeDelta::minutes(5));
    assert_eq!(test.count(), 100);
    let earliest = test.gaps.iter().map(|gap| gap.from).min().unwrap();
    assert!(earliest <= since && test.gaps.iter().all(|gap| gap.reason == GapReason::BehindHistory), "{:?}", test.gaps);
    assert!(test.progress().complete);
    assert_eq!(test.differences(), Vec::<String>::new());
}

#[test]
fn what_this_source_cannot_show_is_not_there() {
    let mut test = TestBox::new(NOON, options());
    let refund = Sale { kind: Kind::Refund, refund_of: Some("a".to_owned()), ..Sale::plain("r", 500, test.now) };
    test.server.put(Sale::plain("a", 500, test.now));
    test.server.put(refund);
    test.server.put(Sale { kind: Kind::Order, ..Sale::plain("o", 700, test.now) });
    test.run(TimeDelta::minutes(5));
    assert_eq!((test.count(), test.differences()), (1, vec![]));
}

/// The list shows its newest 100 rows alone: what lies before them is a gap, but only as far as the config asks.
#[test]
fn a_box_replaced_in_its_first_reading_opens_no_gap_before_what_is_asked() {
    let mut test = TestBox::new(NOON, options());
    test.sell("a", 150, TimeDelta::minutes(10));
    test.run_till(TimeDelta::minutes(5), |test| test.count() == 100);
    assert!(!test.progress().complete && test.gaps.is_empty(), "in the middle of it");
    test.replace(crate::config::System::Olsera, TimeDelta::days(2));
    let asked = test.now - test.backfill;
    test.run(TimeDelta::minutes(10));
    assert!(test.progress().complete);
    let [gap] = &test.gaps[..] else { panic!("{:?}", test.gaps) };
    assert!(gap.reason == GapReason::BehindHistory && gap.from >= asked - TimeDelta::seconds(1), "{gap:?} {asked}");
}
