//! Answers that cannot be read, are too large or do not come, by either API: what can be read is, and reading goes on.

use chrono::TimeDelta;

use super::world::{TestBox, at, jakarta};
use crate::{
    demo::{
        olsera::{Options, Order, Profile},
        shop::Sale,
    },
    gap::GapReason,
    pos::{
        http::{Answer, Failure},
        world::Meddler,
    },
    transaction::Flag,
};

const NOON: &str = "2026-05-01T12:00:00+07:00";

/// `count` sales, one every two minutes, `a-000` first, the last one at noon.
fn shop(profile: Profile, order: Order, count: i64) -> TestBox {
    let test = TestBox::new(NOON, Options { order, ..Options::new(jakarta(), profile) });
    test.sell("a", count, TimeDelta::minutes(2));
    test
}

fn lacking(test: &TestBox, count: i64) -> Vec<i64> {
    (0..count).filter(|n| test.held(&format!("a-{n:03}")).is_none()).collect()
}

/// Lists, not details, that hold this text break off there.
fn cut_at(spoils: String) -> Meddler {
    Box::new(move |written, answered: Result<Answer, Failure>| {
        let mut answer = answered?;
        let text = String::from_utf8(answer.body.clone()).expect("text");
        if let Some(at) = text.find(&spoils).filter(|_| !written.contains("detail")) {
            answer.body.truncate(at);
        }
        Ok(answer)
    })
}

/// The order's number in the answers of its server.
fn number(test: &TestBox, id: &str, profile: Profile) -> String {
    let id = test.server.external_id(id);
    match profile {
        Profile::OpenApi => format!("\"id\":{id},"),
        Profile::Documented => format!("\"{id}\""),
    }
}

#[test]
fn a_row_that_spoils_its_page_costs_the_day_a_gap_and_no_other_sale() {
    for order in [Order::NewestFirst, Order::OldestFirst] {
        for bad in [0, 37, 229] {
            let mut test = shop(Profile::OpenApi, order, 230);
            test.meddler = Some(cut_at(number(&test, &format!("a-{bad:03}"), Profile::OpenApi)));
            test.run(TimeDelta::minutes(75));
            assert_eq!(lacking(&test, 230), [bad], "{order:?}");
            let day = test.gaps.iter().map(|gap| (gap.from, gap.reason)).collect::<Vec<_>>();
            assert_eq!(day, [(at("2026-05-01T00:00:00+07:00"), GapReason::Unreadable)], "{order:?} {bad}");
            assert!(test.notices.contains(&"answer_unreadable") && test.progress().complete, "{order:?} {bad}");
            assert!(test.progress().watermark.unwrap() > test.now - TimeDelta::minutes(3), "the newest day goes on");
            test.sell("new", 1, TimeDelta::minutes(1));
            let (before, events) = (test.asked.len(), test.gap_events);
            test.run(TimeDelta::minutes(60));
            assert!(test.held("new-000").is_some() && test.gap_events == events, "{order:?} {bad}: it is told once");
            let asked = test.asked.len() - before;
            assert!(asked < 60 * 30, "{order:?} {bad}: {asked} requests in an hour");
            test.meddler = None;
            test.run(TimeDelta::minutes(70));
            assert_eq!((lacking(&test, 230), test.gaps.len(), test.differences()), (vec![], 0, vec![]));
        }
    }
}

#[test]
fn a_past_day_with_such_a_row_is_passed() {
    let mut test = shop(Profile::OpenApi, Order::NewestFirst, 5);
    for n in 0..3 {
        let then = at("2026-04-29T18:00:00+07:00") + TimeDelta::minutes(n);
        test.server.put_at(then, Sale::plain(&format!("past-{n}"), 25_000 + n, then));
    }
    test.meddler = Some(cut_at(number(&test, "past-1", Profile::OpenApi)));
    test.run(TimeDelta::minutes(20));
    assert!(test.held("past-0").is_some() && test.held("past-1").is_none() && test.held("past-2").is_some());
    assert_eq!(test.gaps.iter().map(|gap| gap.from).collect::<Vec<_>>(), [at("2026-04-29T00:00:00+07:00")]);
    assert!(test.progress().complete && test.progress().watermark.unwrap() > test.now - TimeDelta::minutes(1));
    test.meddler = None;
    test.run(TimeDelta::minutes(70));
    assert_eq!((test.gaps.len(), test.differences()), (0, vec![]));
}

#[test]
fn where_the_source_gives_no_smaller_page_what_can_be_read_of_it_is_kept() {
    let mut test = shop(Profile::OpenApi, Order::OldestFirst, 230);
    let bad = number(&test, "a-130", Profile::OpenApi);
    test.meddler = Some(Box::new(move |written, answered| {
        let mut answer = answered?;
        let shown = String::from_utf8(answer.body.clone()).expect("text");
        let is_list = written.contains("closeorder?");
        let is_smaller = is_list && !written.contains("per_page=100");
        // Of a hundred at a time, whatever is asked.
        let shown = if is_smaller { shown.replace("\"per_page\":", "\"per_page\":1000") } else { shown };
        let end = shown.find(&bad).filter(|_| is_list).unwrap_or(shown.len());
        answer.body = shown.as_bytes()[..end].to_vec();
        Ok(answer)
    }));
    test.run(TimeDelta::minutes(75));
    assert_eq!(lacking(&test, 230), (130..200).collect::<Vec<_>>(), "the rest of that page, and nothing of the next");
    assert!(test.gaps.len() == 1 && test.progress().complete, "{:?}", test.gaps);
    test.meddler = None;
    test.run(TimeDelta::minutes(70));
    assert_eq!((lacking(&test, 230), test.gaps.len()), (vec![], 0));
}

#[test]
fn one_cut_answer_opens_no_gap_and_a_source_that_always_cuts_none_either() {
    let mut test = shop(Profile::OpenApi, Order::NewestFirst, 20);
    test.meddler = Some(cut_at("\"data\"".to_owned()));
    test.run(TimeDelta::minutes(60));
    assert_eq!((test.count(), test.gap_events), (0, 0));
    assert!(test.unreadable > 100 && test.asked.len() < 60 * 12, "{} requests", test.asked.len());
    let mut cuts = 0;
    test.meddler = Some(Box::new(move |written, answered| {
        let mut answer = answered?;
        if written.contains("closeorder?") && cuts < 1 {
            cuts += 1;
            answer.body.truncate(300);
        }
        Ok(answer)
    }));
    test.run(TimeDelta::minutes(70));
    assert_eq!((lacking(&test, 20), test.gap_events), (vec![], 0));
}

#[test]
fn a_page_that_is_too_large_or_too_slow_is_asked_for_smaller() {
    let slow = || Failure::TooSlow("expected an answer within 30 s, found none".to_owned());
    let fail: [fn() -> Failure; 2] = [|| Failure::TooLarge, slow];
    for (profile, rows) in [(Profile::OpenApi, "per_page="), (Profile::Documented, "limit=")] {
        for failure in fail {
            let mut test = shop(profile, Order::NewestFirst, 90);
            test.meddler = Some(Box::new(move |written, answered| {
                let asked = written.split_once(rows).and_then(|(_, rest)| rest.split('&').next()?.parse::<u32>().ok());
                if asked.is_some_and(|asked| asked > 30) { Err(failure()) } else { answered }
            }));
            test.run(TimeDelta::minutes(30));
            let read = lacking(&test, 90);
            // The documented list shows nothing behind its newest rows.
            let expected = if profile == Profile::OpenApi { vec![] } else { (0..65).collect() };
            assert_eq!(read, expected, "{profile:?} {}", failure());
            test.sell("new", 3, TimeDelta::minutes(1));
            test.run(TimeDelta::minutes(5));
            assert!(test.held("new-000").is_some() && test.held("new-002").is_some(), "{profile:?}");
        }
    }
}

#[test]
fn the_documented_list_is_read_as_far_as_it_can_be() {
    let mut test = shop(Profile::Documented, Order::NewestFirst, 50);
    test.run(TimeDelta::minutes(20));
    assert_eq!(lacking(&test, 50), Vec::<i64>::new());
    let watermark = |test: &TestBox| test.progress().watermark.unwrap();
    // Five new ones, of which the second spoils the answer.
    test.sell("new", 5, TimeDelta::minutes(1));
    test.meddler = Some(cut_at(number(&test, "new-001", Profile::Documented)));
    test.run(TimeDelta::minutes(10));
    let held = |test: &TestBox| (0..5).filter(|n| test.held(&format!("new-{n:03}")).is_some()).collect::<Vec<_>>();
    assert_eq!(held(&test), [2, 3, 4]);
    assert_eq!(test.gaps.iter().map(|gap| gap.reason).collect::<Vec<_>>(), [GapReason::Unreadable]);
    let gap = test.gaps[0].clone();
    assert!(gap.from <= test.now - TimeDelta::minutes(14) && gap.to > test.now - TimeDelta::minutes(14), "{gap:?}");
    assert!(watermark(&test) > test.now - TimeDelta::minutes(6) && test.notices.contains(&"answer_unreadable"));
    // It goes on, and is told once.
    test.sell("later", 2, TimeDelta::minutes(1));
    test.run(TimeDelta::minutes(10));
    assert!(test.held("later-001").is_some() && test.gaps == [gap], "{:?}", test.gaps);
    test.meddler = None;
    test.run(TimeDelta::minutes(10));
    assert_eq!((held(&test).len(), test.gaps.len(), test.differences()), (5, 0, vec![]));
}

/// Whatever holds this text has that in its place.
fn instead(good: String, bad: &'static [u8]) -> Meddler {
    Box::new(move |_, answered: Result<Answer, Failure>| {
        let mut answer = answered?;
        let text = String::from_utf8(answer.body.clone()).expect("text");
        if let Some(at) = text.find(&good) {
            answer.body.splice(at..at, bad.iter().copied());
        }
        Ok(answer)
    })
}

/// The small inputs 1, by both APIs.
#[test]
fn damaged_text_is_kept_and_nan_is_put_aside_alone() {
    for profile in [Profile::OpenApi, Profile::Documented] {
        let mark = |test: &TestBox| match profile {
            Profile::OpenApi => number(test, "a-005", profile),
            Profile::Documented => format!("\"transaction_id\":{}", number(test, "a-005", profile)),
        };
        let texts: [&[u8]; 5] = [
            b"\"note\":\"Caf\xe9\",",
            b"\"note\":\"\xf0\x9f\x98\",",
            b"\"note\":\"a\tb\",",
            b"\"note\":\"a\nb\",",
            b"\"note\":\"\\ud83d\",",
        ];
        for bad in texts {
            let mut test = shop(profile, Order::NewestFirst, 20);
            test.meddler = Some(instead(mark(&test), bad));
            test.run(TimeDelta::minutes(10));
            assert_eq!((lacking(&test, 20), test.quarantined, test.gaps.len()), (vec![], 0, 0), "{profile:?} {bad:?}");
            assert!(test.held("a-005").unwrap().record.flags.contains(&Flag::TextMended), "{profile:?} {bad:?}");
            assert_eq!(test.unreadable, 0);
        }
        let mut test = shop(profile, Order::NewestFirst, 20);
        test.meddler = Some(instead(mark(&test), b"\"odd\":NaN,"));
        test.run(TimeDelta::minutes(10));
        assert_eq!((lacking(&test, 20), test.unreadable), (vec![5], 0), "{profile:?}");
        assert!(test.quarantined > 0 && test.gaps.is_empty(), "{profile:?}");
    }
}

/// The small inputs 2: the only sale of the newest day, and of a past one.
#[test]
fn a_list_of_bad_records_only_counts_as_read() {
    for (profile, good, bad) in [
        (Profile::OpenApi, "\"id\":", "\"id\":null,\"was\":"),
        (Profile::Documented, "\"transaction_id\":", "\"transaction_id\":null,\"was\":"),
        (Profile::Documented, "\"grand_total\":", "\"grand_total\":\"\",\"was\":"),
        (Profile::OpenApi, "\"total_amount\":", "\"total_amount\":\"\",\"was\":"),
    ] {
        let mut test = shop(profile, Order::NewestFirst, 1);
        let then = at("2026-04-29T18:00:00+07:00");
        test.server.put_at(then, Sale::plain("past", 25_000, then));
        test.meddler = Some(Box::new(move |_, answered| {
            let mut answer = answered?;
            answer.body = String::from_utf8(answer.body).expect("text").replace(good, bad).into_bytes();
            Ok(answer)
        }));
        test.run(TimeDelta::minutes(30));
        assert!(test.quarantined > 0 && test.unreadable == 0, "{bad}: {} unreadable", test.unreadable);
        assert!(test.progress().watermark.unwrap() > test.now - TimeDelta::minutes(6), "{bad}: reading stands");
        if profile == Profile::OpenApi {
            assert!(test.progress().complete, "{bad}: the history is read");
        }
    }
}

#[test]
fn a_list_that_is_sent_as_an_object_is_one() {
    for profile in [Profile::OpenApi, Profile::Documented] {
        let mut test = shop(profile, Order::NewestFirst, 5);
        test.meddler = Some(Box::new(|_, answered| {
            let mut answer = answered?;
            let mut value: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
            if let Some(rows) = value["data"].as_array().cloned() {
                let rows = rows.into_iter().enumerate().map(|(n, row)| (n.to_string(), row)).collect();
                value["data"] = serde_json::Value::Object(rows);
            }
            answer.body = format!("\u{feff}{value}").into_bytes();
            Ok(answer)
        }));
        test.run(TimeDelta::minutes(5));
        assert_eq!((lacking(&test, 5), test.quarantined, test.unreadable), (vec![], 0, 0), "{profile:?}");
    }
}
