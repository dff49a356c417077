//! Pages that break off, are too large or do not come: what can be read of them is kept, and reading goes on behind them.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    named::shop,
    world::{Meddler, TestBox, at, sale},
};
use crate::{
    demo::asalta::Options,
    gap::GapReason,
    health::Condition,
    pos::{
        connector::Connector as _,
        http::{Answer, Failure},
    },
    transaction::Flag,
};

const NOON: &str = "2026-03-14T12:00:00+08:00";

/// 60 sales, one every ten minutes until noon, five to a page.
fn sixty(newest_first: bool) -> TestBox {
    shop(60, |options: &mut Options| (options.newest_first, options.page_rows) = (newest_first, 5))
}

fn sold(n: i64) -> DateTime<Utc> {
    at(NOON) - TimeDelta::minutes(10 * (60 - n))
}

/// Pages of invoices that hold this text break off there.
fn cut_at(spoils: &'static str) -> Meddler {
    Box::new(move |written, answered: Result<Answer, Failure>| {
        let mut answer = answered?;
        let text = String::from_utf8(answer.body.clone()).expect("text");
        if let Some(at) = text.find(spoils).filter(|_| written.contains("/pos/invoices?page")) {
            answer.body.truncate(at);
        }
        Ok(answer)
    })
}

/// The totals that should be held and are not, in cents above 1,000: the number of the sale.
fn lacking(stage: &TestBox) -> Vec<i64> {
    let held: Vec<_> = stage.held().into_values().map(|(_, total)| total).collect();
    let total = |n: &i64| rust_decimal::Decimal::new(1_000 + n, 2).normalize().to_string();
    (0..60).filter(|n| !held.contains(&total(n))).collect()
}

#[test]
fn what_stands_behind_a_break_is_a_gap_and_reading_goes_on() {
    // The grand total of the 33rd, which is the third of its page in either order.
    for (newest_first, lost) in [(false, vec![32, 33, 34]), (true, vec![30, 31, 32])] {
        let mut stage = sixty(newest_first);
        stage.meddler = Some(cut_at("\"10.3200\""));
        stage.run(TimeDelta::minutes(20));
        assert_eq!(lacking(&stage), lost, "{newest_first}");
        let gaps: Vec<_> = stage.gaps.iter().map(|gap| (gap.from, gap.to, gap.reason)).collect();
        let (above, below) = (sold(lost[0] - 1), sold(lost[2] + 1) + TimeDelta::seconds(1));
        assert_eq!(gaps, [(above, below, GapReason::Unreadable)], "{newest_first}");
        assert!(stage.notices.contains(&"answer_unreadable"), "{newest_first}");
        assert!(stage.progress().complete, "{newest_first}: {:?}", stage.progress());
        assert!(stage.progress().watermark.unwrap() > stage.now - TimeDelta::minutes(2), "{newest_first}");
        stage.put(sale("N1", 777, stage.now));
        let (before, events) = (stage.asked.len(), stage.gap_events);
        stage.run(TimeDelta::minutes(180));
        assert!(stage.held().values().any(|(_, total)| total == "7.77"), "{newest_first}");
        let asked = stage.asked.len() - before;
        assert!(asked < 180 * 12 && stage.gap_events == events, "{newest_first}: {asked}, {:?}", stage.gaps);
        // Another start knows its gap.
        stage.restart();
        stage.run(TimeDelta::minutes(5));
        assert_eq!(stage.gap_events, events);
        stage.meddler = None;
        stage.run(TimeDelta::hours(24));
        assert_eq!((lacking(&stage), stage.gaps.len()), (vec![], 0), "{newest_first}");
        stage.assert_whole();
    }
}

#[test]
fn at_the_lists_end_nothing_more_is_claimed_until_it_is_known_what_lacks() {
    let mut stage = sixty(false);
    stage.run(TimeDelta::minutes(20));
    stage.put(sale("N1", 2_001, stage.now));
    stage.put(sale("N2", 2_002, stage.now));
    stage.meddler = Some(cut_at("\"20.0200\""));
    let before = stage.now;
    stage.run(TimeDelta::minutes(20));
    assert!(stage.held().values().any(|(_, total)| total == "20.01"), "what can be read is");
    let watermark = |stage: &TestBox| stage.progress().watermark.unwrap();
    assert!(watermark(&stage) <= before + TimeDelta::minutes(1) && !stage.progress().complete);
    assert!(stage.holds(Condition::ListUnreliable).unwrap_or_default().contains("spoils the page"));
    assert_eq!(stage.gap_events, 0);
    // The page is full, and a next one begins.
    for n in 3..8 {
        stage.run(TimeDelta::minutes(1));
        stage.put(sale(&format!("N{n}"), 2_000 + n, stage.now));
    }
    stage.run(TimeDelta::minutes(10));
    assert!(stage.held().values().any(|(_, total)| total == "20.07"));
    assert!(stage.gaps.len() == 1 && stage.progress().complete, "{:?} {:?}", stage.gaps, stage.progress());
    assert!(watermark(&stage) > stage.now - TimeDelta::minutes(2));
    assert_eq!(stage.holds(Condition::ListUnreliable), None);
    stage.meddler = None;
    stage.run(TimeDelta::minutes(75));
    assert_eq!(stage.gaps, []);
    stage.assert_whole();
}

#[test]
fn one_cut_answer_opens_no_gap_and_a_server_that_always_cuts_none_either() {
    let mut stage = sixty(false);
    let mut cuts = 0;
    stage.meddler = Some(Box::new(move |written, answered| {
        let mut answer = answered?;
        if written.contains("/pos/invoices?page=7") && cuts < 1 {
            cuts += 1;
            answer.body.truncate(300);
        }
        Ok(answer)
    }));
    stage.run(TimeDelta::minutes(20));
    assert_eq!((lacking(&stage), stage.gap_events), (vec![], 0));
    let mut stage = sixty(false);
    stage.meddler = Some(Box::new(|written, answered| {
        let mut answer = answered?;
        if !written.contains("warehouses") {
            answer.body.truncate(8);
        }
        Ok(answer)
    }));
    stage.run(TimeDelta::minutes(60));
    assert_eq!((stage.held().len(), stage.gap_events), (0, 0));
    assert!(stage.asked.len() < 60 * 10, "{} requests", stage.asked.len());
}

#[test]
fn a_page_that_is_too_large_or_does_not_come_is_passed() {
    let slow = || Failure::TooSlow("expected an answer within 30 s, found none".to_owned());
    let fail: [fn() -> Failure; 2] = [|| Failure::TooLarge, slow];
    for failure in fail {
        let mut stage = sixty(false);
        stage.meddler =
            Some(Box::new(
                move |written, answered| {
                    if written.ends_with("/pos/invoices?page=7") { Err(failure()) } else { answered }
                },
            ));
        stage.run(TimeDelta::minutes(20));
        assert_eq!(lacking(&stage), [30, 31, 32, 33, 34], "{}", failure());
        assert!(stage.gaps.len() == 1 && stage.progress().complete, "{:?}", stage.gaps);
        stage.meddler = None;
        stage.run(TimeDelta::hours(24));
        assert_eq!((lacking(&stage), stage.gaps.len()), (vec![], 0));
    }
}

#[test]
fn another_box_closes_the_gaps_of_the_one_before() {
    let mut stage = sixty(false);
    stage.meddler = Some(cut_at("\"10.3200\""));
    stage.run(TimeDelta::minutes(20));
    let gaps = stage.gaps.clone();
    assert_eq!(gaps.len(), 1);
    stage.wipe();
    stage.gaps = gaps;
    stage.restart();
    stage.meddler = None;
    stage.run(TimeDelta::minutes(20));
    assert_eq!(stage.gaps, []);
    stage.assert_whole();
}

/// The small inputs 1.
#[test]
fn damaged_text_is_kept_and_nan_is_put_aside_alone() {
    let spoils = |bad: &'static [u8]| -> Meddler {
        Box::new(move |_, answered: Result<Answer, Failure>| {
            let mut answer = answered?;
            let text = String::from_utf8(answer.body.clone()).expect("text");
            if let Some(at) = text.find("\"grand_total\":\"10.3200\"") {
                answer.body.splice(at..at, bad.iter().copied());
            }
            Ok(answer)
        })
    };
    let texts: [&[u8]; 5] = [
        b"\"odd\":\"Caf\xe9\",",
        b"\"odd\":\"\xf0\x9f\x98\",",
        b"\"odd\":\"a\tb\",",
        b"\"odd\":\"a\nb\",",
        b"\"odd\":\"\\ud83d\",",
    ];
    for bad in texts {
        let mut stage = sixty(false);
        stage.meddler = Some(spoils(bad));
        stage.run(TimeDelta::minutes(20));
        assert_eq!((lacking(&stage), stage.quarantined, stage.unreadable), (vec![], 0, 0), "{bad:?}");
        let mended = stage.store.0.lock().unwrap();
        let mended = mended.values().filter(|stored| stored.record.flags.contains(&Flag::TextMended));
        assert_eq!(mended.count(), 1, "{bad:?}");
    }
    let mut stage = sixty(false);
    stage.meddler = Some(spoils(b"\"odd\":NaN,"));
    stage.run(TimeDelta::minutes(20));
    assert_eq!((lacking(&stage), stage.unreadable, stage.gap_events), (vec![32], 0, 0));
    assert!(stage.quarantined > 0);
}

/// The small inputs 2: the only invoice has no id, or no total.
#[test]
fn a_list_of_a_bad_invoice_only_counts_as_read() {
    for (good, bad) in
        [("\"grand_total\":", "\"grand_total\":\"\",\"was\":"), ("\"date\":", "\"date\":\"soon\",\"was\":")]
    {
        let mut stage = shop(1, |_| {});
        stage.meddler = Some(Box::new(move |written, answered| {
            let mut answer = answered?;
            if written.contains("/pos/invoices") {
                answer.body = String::from_utf8(answer.body).expect("text").replace(good, bad).into_bytes();
            }
            Ok(answer)
        }));
        stage.run(TimeDelta::minutes(20));
        assert!(stage.quarantined > 0 && stage.unreadable == 0, "{bad}: {} unreadable", stage.unreadable);
        assert!(stage.progress().watermark.unwrap() > stage.now - TimeDelta::minutes(2), "{bad}: reading stands");
    }
}

#[test]
fn a_list_that_is_sent_as_an_object_is_one() {
    let mut stage = sixty(false);
    stage.meddler = Some(Box::new(|_, answered| {
        let mut answer = answered?;
        let mut value: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        if let Some(rows) = value["data"].as_array().filter(|rows| !rows.is_empty()).cloned() {
            let rows = rows.into_iter().enumerate().map(|(n, row)| (n.to_string(), row)).collect();
            value["data"] = serde_json::Value::Object(rows);
        }
        answer.body = format!("\u{feff}{value}").into_bytes();
        Ok(answer)
    }));
    stage.run(TimeDelta::minutes(10));
    assert_eq!((lacking(&stage), stage.quarantined, stage.unreadable), (vec![], 0, 0));
    assert!(stage.connector.progress().complete);
}
