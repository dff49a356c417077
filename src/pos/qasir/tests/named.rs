//! One thing each: the fixtures' sequences, the identity check, answers that are none, backfill, outages, zones.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use chrono::{DateTime, TimeDelta, Utc};

use super::world::{Faults, Sale, Source, TestBox, Traits, at, made};
use crate::{
    gap::{Gap, GapReason},
    health::Condition,
    pos::{
        connector::{Connector, Step, Yield},
        http::{Answer, Failure},
        page::Reason,
        qasir::{connector::Qasir, windows::Window},
    },
    transaction::Flag,
};

const NOON: &str = "2026-03-15T12:00:00+07:00";

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/qasir").join(name).with_extension("json");
    fs::read(&path).unwrap()
}

fn answer(name: &str) -> Answer {
    Answer::of(fixture(name))
}

fn new_box(backfill: TimeDelta, stored: Option<&[u8]>, now: DateTime<Utc>) -> Qasir {
    made(TimeDelta::seconds(15), backfill, stored.map(<[u8]>::to_vec), Vec::new(), now)
}

/// A box that knows its outlets and the server's zone, and has read everything until ten minutes before now.
fn settled(now: DateTime<Utc>, read_to: DateTime<Utc>) -> Qasir {
    let cursor = format!(
        r#"{{"since":"2026-03-01T00:00:00Z","watermark":"{}","ahead":null,"zone_proven":true,"naive_bounds":false,
        "nightly_read":"2026-03-15","outlets_told":null}}"#,
        read_to.to_rfc3339()
    );
    let mut connector = new_box(TimeDelta::days(90), Some(cursor.as_bytes()), now);
    assert!(matches!(connector.next(now), Step::Ask(request) if request.path() == "/outlets"));
    connector.take(&Answer::of(br#"{"outlets":[{"id":1}]}"#.to_vec()), now).unwrap();
    connector
}

fn ask(connector: &mut Qasir, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
    let Step::Ask(request) = connector.next(now) else { panic!("nothing to ask") };
    (at(&request.query()[0].1), at(&request.query()[1].1))
}

fn take(connector: &mut Qasir, name: &str, now: DateTime<Utc>) -> Yield {
    connector.take(&answer(name), now).unwrap()
}

fn watermark(connector: &Qasir) -> DateTime<Utc> {
    connector.progress().watermark.unwrap()
}

#[test]
fn a_window_of_exactly_100_rows_is_split() {
    let now = at("2026-03-15T09:53:00+07:00");
    let mut connector = settled(now, at("2026-03-15T08:10:00+07:00"));
    let whole = ask(&mut connector, now);
    let first = take(&mut connector, "edge-window-full-100", now);
    assert_eq!(watermark(&connector), at("2026-03-15T08:10:00+07:00"), "a full answer proves nothing");
    let left = ask(&mut connector, now);
    let second = take(&mut connector, "edge-window-first-half", now);
    let right = ask(&mut connector, now);
    let third = take(&mut connector, "edge-window-second-half", now);
    assert_eq!((left.0, right.1), whole);
    assert!(right.0 < left.1 && left.1 < whole.1);
    let mut amounts = BTreeMap::new();
    for record in [first, second, third].into_iter().flat_map(|found| found.transactions) {
        amounts.insert(record.external_id, record.amount.to_string().parse::<i64>().unwrap());
    }
    assert_eq!((amounts.len(), amounts.values().sum::<i64>()), (115, 1_477_750));
    assert_eq!(watermark(&connector), now);
}

#[test]
fn a_second_that_cannot_be_split_is_a_gap_and_stops_nothing() {
    let second = at(NOON);
    let mut source = Source::default();
    for n in 0..100 {
        source.put(&format!("{n}"), Sale { at: second, versions: vec![(second, Some(n))] });
    }
    source.put("late", Sale { at: second, versions: vec![(second, Some(1))] });
    source.put("other", Sale { at: second + TimeDelta::minutes(3), versions: vec![(second, Some(1))] });
    let begin = second - TimeDelta::hours(1);
    let mut test = TestBox::new(source, begin, TimeDelta::seconds(15), TimeDelta::days(2), 1);
    test.run_until(second + TimeDelta::minutes(50));
    assert_eq!(test.truncated(), [second]);
    assert_eq!((test.gaps[0].to - test.gaps[0].from, test.hq.len()), (TimeDelta::seconds(1), 101));
    assert!(test.watermark() > test.now - TimeDelta::minutes(1));
    // It stays open without a word until there is room in an answer, and the last one is found.
    test.run_until(second + TimeDelta::hours(5));
    let told = test.gap_events;
    for id in ["10", "11", "12"] {
        test.server.sales.get_mut(id).unwrap().versions.push((test.now, None));
    }
    test.run_until(test.now + TimeDelta::minutes(130));
    assert_eq!((test.truncated().len(), test.hq.len(), test.gap_events), (0, 102, told + 1));
}

#[test]
fn the_fixture_of_one_full_second_is_stored_and_a_gap() {
    let second = at(NOON);
    let now = second + TimeDelta::minutes(1);
    let mut connector = settled(now, second - TimeDelta::minutes(1));
    let (mut stored, mut gaps) = (0, Vec::new());
    while gaps.is_empty() {
        let (from, to) = ask(&mut connector, now);
        let name =
            if from <= second && second <= to { "edge-window-one-second-100" } else { "edge-transactions-empty" };
        let found = take(&mut connector, name, now);
        stored = stored.max(found.transactions.len());
        gaps.extend(found.gaps_opened);
    }
    assert_eq!((stored, gaps[0].reason), (100, GapReason::Truncated));
    assert!(gaps[0].to - gaps[0].from == TimeDelta::seconds(1) && watermark(&connector) >= gaps[0].to);
}

#[test]
fn rows_from_elsewhere_are_stored_and_prove_nothing() {
    let now = at("2026-03-15T12:05:00+07:00");
    let mut connector = settled(now, at("2026-03-15T11:50:00+07:00"));
    let mut raised = false;
    for _ in 0..2 {
        ask(&mut connector, now);
        let found = take(&mut connector, "edge-window-outside", now);
        assert_eq!((found.transactions.len(), found.gaps_opened.len()), (2, 0));
        raised |= found.conditions.iter().any(|(c, text)| *c == Condition::WindowNotHonoured && text.is_some());
    }
    assert!(raised);
    assert_eq!(watermark(&connector), at("2026-03-15T11:50:00+07:00"));
    assert!(!connector.progress().complete);
    assert!(matches!(connector.next(now), Step::Wait(until) if until >= now + TimeDelta::minutes(1)));
}

#[test]
fn one_id_with_two_contents_is_put_aside_and_one_repeated_is_one_sale() {
    let now = at("2026-03-15T12:05:00+07:00");
    let mut connector = settled(now, at("2026-03-15T11:50:00+07:00"));
    ask(&mut connector, now);
    let found = take(&mut connector, "edge-transactions-id-conflict", now);
    assert_eq!((found.transactions.len(), found.quarantined.len()), (1, 1));
    assert_eq!(found.quarantined[0].reason, Reason::IdConflict);
}

#[test]
fn the_identity_check_tells_what_the_token_covers_once() {
    let now = at(NOON);
    let check = |name: &str, stored: Option<&[u8]>| {
        let mut connector = new_box(TimeDelta::days(1), stored, now);
        connector.next(now);
        let found = connector.take(&answer(name), now);
        (found, connector)
    };
    let (found, mut connector) = check("edge-outlets", None);
    assert_eq!(found.unwrap().notices[0].code, "several_outlets");
    assert!(connector.progress().notes.iter().any(|note| note.contains("covers 2 outlets")));
    connector.next(now);
    let sales = connector.take(&answer("edge-transactions-basic"), now).unwrap().transactions;
    assert!(sales.iter().all(|sale| sale.flags.contains(&Flag::OutletUnknown)) && !sales.is_empty());
    // Not once more at the next start, but again when something else is true.
    let stored = connector.cursor();
    assert!(check("edge-outlets", Some(&stored)).0.unwrap().notices.is_empty());
    let (found, connector) = check("edge-outlets-empty", Some(&stored));
    assert_eq!(found.unwrap().notices[0].code, "no_outlet");
    assert_eq!(connector.progress().identity.as_deref(), Some("no outlet named"));
    let (found, mut connector) = check("edge-outlets-wrong-key", None);
    assert!(found.unwrap_err().contains("`outlets`"));
    assert!(matches!(connector.next(now), Step::Ask(request) if request.path() == "/outlets"));
}

#[test]
fn what_is_no_answer_moves_nothing_and_is_asked_again() {
    let now = at("2026-03-15T12:05:00+07:00");
    let mut connector = settled(now, at("2026-03-15T11:50:00+07:00"));
    let asked = ask(&mut connector, now);
    let before = connector.cursor();
    for name in ["edge-error-200-error-body", "edge-transactions-null", "edge-transactions-wrong-key"] {
        assert!(connector.take(&answer(name), now).unwrap_err().contains("`transactions`"), "{name}");
        assert_eq!((connector.cursor(), ask(&mut connector, now)), (before.clone(), asked));
    }
    for failure in [Failure::Refused(401), Failure::TooMany { retry_after: None }, Failure::TooSlow(String::new())] {
        assert!(connector.failed(&failure, now).is_none() && !connector.progress().complete);
        assert_eq!((connector.cursor(), ask(&mut connector, now)), (before.clone(), asked));
    }
    take(&mut connector, "edge-transactions-empty", now);
    assert_eq!(watermark(&connector), now);
}

#[test]
fn a_second_outlet_is_noticed_within_a_day_and_silence_about_outlets_holds_up_no_sale() {
    let now = at("2026-03-15T12:05:00+07:00");
    let mut connector = settled(now, at("2026-03-15T11:50:00+07:00"));
    let asks_outlets = |connector: &mut Qasir, now| match connector.next(now) {
        Step::Ask(request) => request.path() == "/outlets",
        Step::Wait(_) => false,
    };
    assert!(!asks_outlets(&mut connector, now));
    let next_day = now + TimeDelta::hours(24);
    assert!(asks_outlets(&mut connector, next_day));
    assert!(connector.failed(&Failure::Unexpected(404), next_day).is_none());
    assert!(!asks_outlets(&mut connector, next_day), "a box that knows them goes on");
    take(&mut connector, "edge-transactions-basic", next_day);
    let later = next_day + TimeDelta::hours(1);
    assert!(asks_outlets(&mut connector, later));
    assert!(connector.take(&answer("edge-outlets-wrong-key"), later).is_err());
    assert!(!asks_outlets(&mut connector, later));
    let later = later + TimeDelta::hours(1);
    assert!(asks_outlets(&mut connector, later));
    assert_eq!(take(&mut connector, "edge-outlets", later).notices[0].code, "several_outlets");
    ask(&mut connector, later);
    let sales = take(&mut connector, "edge-transactions-basic", later).transactions;
    assert!(sales.iter().all(|sale| sale.flags.contains(&Flag::OutletUnknown)));
    assert_eq!(connector.progress().identity.as_deref().map(|names| names.contains(", ")), Some(true));
}

/// One sale every `minutes`, from `days` before to `days` after noon.
fn regular(minutes: i64, days: i64) -> Source {
    let mut source = Source::default();
    for n in -days * 1_440 / minutes..days * 1_440 / minutes {
        let at = at(NOON) + TimeDelta::minutes(n * minutes) + TimeDelta::seconds(7);
        source.put(&format!("{n}"), Sale { at, versions: vec![(at, Some(1_000))] });
    }
    source
}

fn box_on(source: Source, backfill_days: i64) -> TestBox {
    TestBox::new(source, at(NOON), TimeDelta::seconds(60), TimeDelta::days(backfill_days), 1)
}

#[test]
fn a_backfill_brings_the_newest_first_and_then_every_day() {
    let mut test = box_on(regular(30, 91), 90);
    test.run_till(TimeDelta::minutes(1), |test| !test.hq.is_empty());
    assert!(test.has("-1"), "{:?}", test.hq.keys());
    assert!(test.hq.len() < 200, "history follows later");
    test.run_till(TimeDelta::hours(3), |test| test.progress().complete);
    let since = test.progress().since.unwrap();
    assert_eq!(since, at(NOON) - TimeDelta::days(90));
    assert!(test.missing(since).iter().all(|(_, sale)| sale.at > test.now - TimeDelta::minutes(2)));
    assert!(test.gaps.is_empty());
    let windows = test.asked.iter().filter_map(|(_, text)| text.split_once(' ')).map(|(a, b)| at(b) - at(a));
    assert!(windows.max().unwrap() <= TimeDelta::days(1) + TimeDelta::seconds(1));
}

#[test]
fn after_ten_days_without_a_line_nothing_is_missing() {
    let mut test = box_on(regular(10, 12), 3);
    let (begin, end) = (at(NOON) + TimeDelta::hours(20), at(NOON) + TimeDelta::days(11) - TimeDelta::hours(4));
    test.faults = Faults { outages: vec![(begin, end)], ..Faults::default() };
    test.run_until(end + TimeDelta::minutes(10));
    assert!(test.missing(end - TimeDelta::minutes(10)).len() < 2, "today's sales come first");
    test.run_until(end + TimeDelta::hours(4));
    assert!(test.progress().complete && test.gaps.is_empty());
    assert!(test.missing(at(NOON) - TimeDelta::days(3)).iter().all(|(_, s)| s.at > test.now - TimeDelta::minutes(2)));
}

#[test]
fn after_a_hundred_days_what_the_source_has_forgotten_is_a_gap() {
    let mut test = box_on(regular(120, 105), 2);
    let (begin, end) = (at(NOON) + TimeDelta::hours(20), at(NOON) + TimeDelta::days(101));
    test.run_until(begin);
    test.now = end;
    test.restart();
    test.run_until(end + TimeDelta::hours(5));
    assert_eq!(test.gaps.len(), 1);
    let gap = &test.gaps[0];
    assert_eq!(gap.reason, GapReason::BehindHistory);
    assert!(
        (gap.from - begin).abs() < TimeDelta::minutes(5)
            && (end - TimeDelta::days(90) - gap.to).abs() < TimeDelta::minutes(5)
    );
    assert!(test.missing(gap.to).iter().all(|(_, sale)| sale.at > test.now - TimeDelta::minutes(2)));
}

#[test]
fn a_zone_is_proven_by_a_known_sale() {
    let mut test = box_on(regular(10, 2), 1);
    test.run_till(TimeDelta::hours(1), |test| test.conditions.contains_key(&Condition::WindowUnproven));
    assert_eq!(test.conditions[&Condition::WindowUnproven], None);
    let asked = test.asked.len();
    test.run_until(test.now + TimeDelta::hours(2));
    assert!(test.asked.len() - asked < 2 * 75, "narrow windows from then on: {}", test.asked.len() - asked);
}

#[test]
fn a_server_in_another_zone_is_told_and_nothing_is_lost() {
    for shift_hours in [-7, 7] {
        let mut source = regular(20, 6);
        source.traits.shift = TimeDelta::hours(shift_hours);
        let mut test = box_on(source, 2);
        test.run_until(at(NOON) + TimeDelta::hours(30));
        assert!(test.conditions[&Condition::WindowUnproven].is_some());
        assert!(
            !test.conditions.contains_key(&Condition::WindowNotHonoured)
                || test.conditions[&Condition::WindowNotHonoured].is_none()
        );
        let since = test.progress().since.unwrap();
        let late = test.now - TimeDelta::minutes(20);
        let missing = test.missing(since);
        assert!(missing.iter().all(|(_, sale)| sale.at > late), "{missing:?}");
        assert!(test.watermark() > late && test.gaps.is_empty());
        // The zone is set right at the source: proven within the hour, and the word is taken back.
        test.server.traits.shift = TimeDelta::zero();
        test.run_until(test.now + TimeDelta::minutes(70));
        assert_eq!(test.conditions[&Condition::WindowUnproven], None);
    }
}

#[test]
fn a_zone_that_changes_later_is_noticed() {
    let mut test = box_on(regular(10, 3), 1);
    test.run_until(at(NOON) + TimeDelta::hours(3));
    test.server.traits.shift = TimeDelta::hours(-7);
    test.run_until(at(NOON) + TimeDelta::hours(6));
    assert!(test.conditions[&Condition::WindowUnproven].is_some());
    assert!(test.missing(at(NOON)).iter().all(|(_, sale)| sale.at > test.now - TimeDelta::minutes(20)));
}

#[test]
fn a_server_that_ignores_the_window_is_told_and_new_sales_still_come() {
    let mut source = regular(10, 3);
    source.traits.ignores_window = true;
    let mut test = box_on(source, 1);
    test.run_until(at(NOON) + TimeDelta::hours(10));
    assert!(test.conditions[&Condition::WindowNotHonoured].is_some());
    assert_eq!((test.gap_events, test.watermark()), (0, at(NOON) - TimeDelta::days(1)));
    assert!(test.missing(at(NOON)).iter().all(|(_, sale)| sale.at > test.now - TimeDelta::minutes(3)));
    assert!(test.asked.len() < 10 * 60 * 5, "{} requests", test.asked.len());
    test.server.traits.ignores_window = false;
    test.run_until(test.now + TimeDelta::hours(3));
    assert_eq!(test.conditions[&Condition::WindowNotHonoured], None);
    assert!(test.progress().complete);
}

/// A till whose clock is hours, or a year, ahead sells in the future: what it sold is found the same night, and told.
#[test]
fn what_a_till_with_a_clock_that_is_ahead_sold_is_found_in_the_night() {
    for ahead in [TimeDelta::hours(7), TimeDelta::days(365)] {
        let mut source = regular(30, 3);
        let uploaded = at(NOON) + TimeDelta::hours(2);
        source.put("F-1", Sale { at: uploaded + ahead, versions: vec![(uploaded, Some(9_000))] });
        let mut test = box_on(source, 1);
        test.run_until(at(NOON) + TimeDelta::hours(16));
        assert!(test.has("F-1"), "{ahead}");
        // A sale that has become one of the past meanwhile is no news.
        if ahead > TimeDelta::days(1) {
            let told = test.holds(Condition::TillClockWrong).expect("it is told");
            assert!(told.contains("a till's clock is ahead"), "{told}");
        }
        assert!(test.gaps.is_empty() && test.watermark() <= test.now);
    }
}

#[test]
fn a_filter_whose_grain_is_the_day_is_asked_day_by_day() {
    // 48 sales a day fit in an answer; 144 do not, and each such day is a gap, while new sales still come.
    for (minutes, fits) in [(30, true), (10, false)] {
        let mut source = regular(minutes, 6);
        source.traits.by_day = true;
        let mut test = box_on(source, 3);
        test.run_until(at(NOON) + TimeDelta::hours(12));
        assert!(test.all_is_well(), "{:?}", test.conditions);
        assert_eq!(test.notices.iter().filter(|code| **code == "by_day").count(), 1);
        let late = test.now - TimeDelta::minutes(3);
        let missing = test.missing(at(NOON) - TimeDelta::days(3));
        if fits {
            assert!(missing.iter().all(|(_, sale)| sale.at > late) && test.gaps.is_empty(), "{missing:?}");
            assert!(test.progress().complete);
        } else {
            assert!(missing.iter().all(|(_, sale)| sale.at < at(NOON) || sale.at > late), "{missing:?}");
            assert!(!test.gaps.is_empty() && test.gap_events < 10, "{:?}", test.gaps);
        }
        let asked = test.asked.len();
        test.run(TimeDelta::hours(3));
        assert!(test.asked.len() - asked <= 3 * 60 * 8, "{} requests", test.asked.len() - asked);
        // A restart knows it.
        test.restart();
        test.run(TimeDelta::hours(1));
        assert_eq!(test.notices.iter().filter(|code| **code == "by_day").count(), 1);
    }
}

#[test]
fn bounds_with_an_offset_that_are_refused_are_sent_in_local_time() {
    let mut source = regular(10, 2);
    source.traits = Traits { refuses_offset: true, ..Traits::default() };
    let mut test = box_on(source, 1);
    test.run_until(at(NOON) + TimeDelta::hours(2));
    assert_eq!(test.notices, ["naive_bounds"]);
    assert_eq!(test.conditions[&Condition::WindowUnproven], None);
    test.restart();
    test.run_until(test.now + TimeDelta::hours(1));
    assert_eq!(test.notices, ["naive_bounds"]);
    assert!(test.progress().notes.iter().any(|note| note.contains("local time")));
}

#[test]
fn a_cap_below_the_limit_is_found_out() {
    let mut source = regular(2, 2);
    source.traits.cap = 15;
    let mut test = box_on(source, 1);
    test.run_till(TimeDelta::hours(8), |test| test.progress().complete);
    let since = test.progress().since.unwrap();
    let missing = test.missing(since);
    assert!(missing.iter().all(|(_, sale)| sale.at > test.now - TimeDelta::minutes(3)), "{missing:?}");
    assert!(test.gaps.is_empty());
}

#[test]
fn a_clock_that_was_hours_ahead_hides_nothing() {
    let mut test = box_on(regular(10, 3), 1);
    test.run_until(at(NOON) + TimeDelta::hours(2));
    let truth = test.now;
    // Our clock runs 20 hours ahead for one poll, then the box is off until 5 hours later by the right clock.
    test.now += TimeDelta::hours(20);
    test.server.by_time.retain(|at, _| *at <= truth);
    test.run_until(truth + TimeDelta::hours(20) + TimeDelta::minutes(5));
    test.server = regular(10, 3);
    test.set_back(truth + TimeDelta::hours(5));
    assert!(test.watermark() <= truth, "what was not there to be seen is not claimed");
    test.run_until(test.now + TimeDelta::hours(1));
    let missing = test.missing(at(NOON));
    assert!(
        missing.iter().all(|(_, sale)| sale.at > test.now - TimeDelta::minutes(2)),
        "{missing:?} {:?}",
        test.asked.last_chunk::<6>()
    );
}

/// A clock that was far ahead at the first boot, or for weeks, where nobody told better: all of it is read once more.
#[test]
fn a_clock_that_was_months_ahead_hides_nothing() {
    for (ahead, right_before) in [(TimeDelta::days(365), TimeDelta::zero()), (TimeDelta::days(30), TimeDelta::hours(3))]
    {
        let mut test = box_on(regular(30, 20), 5);
        test.run_until(at(NOON) + right_before);
        // The box believes that it is later than it is; the server goes on by the true time.
        test.server.ahead = ahead;
        test.now += ahead;
        test.restart();
        test.run(TimeDelta::days(2));
        test.server.ahead = TimeDelta::zero();
        test.set_back(test.now - ahead);
        test.run_till(TimeDelta::hours(12), |test| test.progress().complete);
        let since = at(NOON) - TimeDelta::days(5) + TimeDelta::days(2);
        let missing = test.missing(since);
        assert!(missing.iter().all(|(_, sale)| sale.at > test.now - TimeDelta::minutes(2)), "{ahead}: {missing:?}");
        assert!(test.gaps.iter().all(|gap| gap.to <= test.now), "{:?}", test.gaps);
    }
}

#[test]
fn the_servers_clock_bounds_the_watermark() {
    let now = at("2026-03-15T12:05:00+07:00");
    let mut connector = settled(now, at("2026-03-15T10:30:00+07:00"));
    ask(&mut connector, now);
    let date = now - TimeDelta::hours(1);
    let empty = Answer { date: Some(date), ..answer("edge-transactions-empty") };
    connector.take(&empty, now).unwrap();
    assert_eq!(watermark(&connector), date);
}

#[test]
fn unknown_fields_are_noted_once_and_within_bounds() {
    let now = at("2026-03-15T12:05:00+07:00");
    let mut connector = settled(now, at("2026-03-15T11:50:00+07:00"));
    for page in 0..20 {
        connector.next(now);
        let fields: Vec<_> = (0..20).map(|n| format!(r#""x{page}-{n}":1"#)).collect();
        let body = format!(
            r#"{{"transactions":[{{"id":1,"total_amount":1,"transaction_date":"2026-03-15T12:00:00",{}}}]}}"#,
            fields.join(",")
        );
        connector.take(&Answer::of(body.into()), now).unwrap();
        connector.next(now + TimeDelta::hours(page));
    }
    let noted = connector.progress().notes.iter().filter(|note| note.starts_with("unknown field")).count();
    assert_eq!(noted, 32);
}

#[test]
fn a_rewind_reads_again_from_there_without_forgetting_the_newest() {
    let mut test = box_on(regular(30, 5), 1);
    test.run_until(at(NOON) + TimeDelta::hours(3));
    test.connector.next(test.now + TimeDelta::minutes(1));
    test.connector.rewind(at(NOON) - TimeDelta::days(4));
    assert!(!test.progress().complete);
    test.run_until(test.now + TimeDelta::hours(1));
    assert!(test.progress().complete);
    let missing = test.missing(at(NOON) - TimeDelta::days(4));
    assert!(missing.iter().all(|(_, sale)| sale.at > test.now - TimeDelta::minutes(2)), "{missing:?}");
}

#[test]
fn what_is_read_once_more_is_not_lost_behind_the_history() {
    let mut test = box_on(regular(30, 95), 90);
    test.run_till(TimeDelta::hours(3), |test| test.progress().complete);
    test.now += TimeDelta::days(4);
    test.restart();
    test.run_until(test.now + TimeDelta::hours(1));
    test.connector.rewind(test.progress().since.unwrap() + TimeDelta::hours(1));
    test.run_till(TimeDelta::hours(3), |test| test.progress().complete);
    assert!(test.gaps.is_empty(), "{:?}", test.gaps);
    let missing = test.missing(test.now - TimeDelta::days(90));
    assert!(missing.iter().all(|(_, sale)| sale.at > test.now - TimeDelta::minutes(2)), "{missing:?}");
}

#[test]
fn a_source_that_proves_nothing_opens_no_gap_for_each_second() {
    let now = at("2026-03-14T12:00:00Z");
    let mut connector = new_box(TimeDelta::days(2), None, now);
    let mut open: Vec<Gap> = Vec::new();
    for n in 0..3 * 86_400 / 60 {
        let from = now - TimeDelta::days(3) + TimeDelta::minutes(n);
        let place = Window { from, to: from + TimeDelta::seconds(1) };
        open.extend(connector.open_gap(place, GapReason::Truncated));
        assert!(open.iter().any(|gap| gap.from <= place.from && place.to <= gap.to), "{place:?}");
    }
    assert_eq!(open.len(), 100 + 4, "100 seconds, and the four days that the rest touches");
    assert_eq!(open.iter().collect::<BTreeSet<_>>().len(), open.len(), "none is opened twice");
}

/// Tills sync late: what was not there when its time was read is found by the overlap within minutes, and by the recent
/// tier within the hour, long before any night.
#[test]
fn a_sale_that_was_uploaded_late_is_captured_within_the_hour() {
    let start = at("2026-03-14T02:00:00Z");
    let mut source = Source::default();
    for minute in 0..240 {
        let sold = start + TimeDelta::minutes(minute * 2);
        source.put(&format!("S-{minute:03}"), Sale { at: sold, versions: vec![(sold, Some(15_000))] });
    }
    let (few_minutes_late, a_day_late) = (start + TimeDelta::hours(4), start - TimeDelta::hours(30));
    let uploaded = few_minutes_late + TimeDelta::minutes(6);
    source.put("L-1", Sale { at: few_minutes_late, versions: vec![(uploaded, Some(20_000))] });
    source.put("L-2", Sale { at: a_day_late, versions: vec![(uploaded, Some(30_000))] });
    let mut shop = TestBox::new(source, start, TimeDelta::seconds(15), TimeDelta::days(3), 7);
    shop.run_until(uploaded + TimeDelta::minutes(3));
    assert!(shop.has("L-1"), "the overlap reads the last minutes again");
    shop.run_until(uploaded + TimeDelta::minutes(75));
    assert!(shop.has("L-2"), "the recent tier reads the last two days again");
}

/// A card that dies in its first hours is replaced days later: what lies before the 90 days that the config asks for is
/// nobody's gap, and the rest is read.
#[test]
fn a_box_replaced_in_its_first_reading_opens_no_gap_before_what_is_asked() {
    for read_days in [0, 5] {
        let mut test = box_on(regular(30, 95), 90);
        let reached = test.now - TimeDelta::days(90 - read_days);
        test.run_till(TimeDelta::hours(3), |test| test.watermark() >= reached && test.news > 0);
        assert!(!test.progress().complete, "in the middle of it");
        test.replace(crate::config::System::Qasir, TimeDelta::days(2));
        test.run_till(TimeDelta::hours(3), |test| test.progress().complete);
        assert_eq!(test.gaps, [], "after {read_days} days");
        let missing = test.missing(test.now - TimeDelta::days(89));
        assert!(missing.iter().all(|(_, sale)| sale.at > test.now - TimeDelta::minutes(2)), "{missing:?}");
    }
}

/// What was sold since the first box began is owed, and what of it the source has forgotten is a gap.
#[test]
fn a_box_replaced_after_the_source_forgot_tells_what_is_lost() {
    let mut test = box_on(regular(120, 105), 90);
    let began = test.now;
    test.run_till(TimeDelta::hours(3), |test| test.watermark() >= began - TimeDelta::days(85));
    test.replace(crate::config::System::Qasir, TimeDelta::days(100));
    test.run_till(TimeDelta::hours(6), |test| test.progress().complete);
    let [gap] = &test.gaps[..] else { panic!("{:?}", test.gaps) };
    assert_eq!(gap.reason, GapReason::BehindHistory);
    assert!((gap.from - began).abs() < TimeDelta::hours(3), "{gap:?} begins at {began}");
}
