//! Pages that cannot be read, are too large or do not come: one row at a time is passed over, and nothing else.

use chrono::{DateTime, TimeDelta, Utc};

use super::world::{TestBox, morning};
use crate::{
    demo::{pos_kasir::uuid, shop::Sale},
    gap::GapReason,
    pos::{
        connector::Connector as _,
        http::{Answer, Failure},
        pos_kasir::walk::second_after,
        world::Meddler,
    },
    transaction::{Flag, Resource},
};

/// One order every ten minutes before the morning, `S-0` the newest.
fn shop(count: i64) -> TestBox {
    let tillbox = TestBox::new(|_| {});
    for n in 0..count {
        tillbox.server.put_at(morning(), Sale::plain(&format!("S-{n}"), 1_000 + n, sold(n)));
    }
    tillbox
}

fn sold(n: i64) -> DateTime<Utc> {
    morning() - TimeDelta::minutes(10 * n)
}

/// A page of the list that holds this order breaks off in it.
fn cut_at(sale: &str) -> Meddler {
    let id = uuid(sale);
    Box::new(move |written, answered: Result<Answer, Failure>| {
        let mut answer = answered?;
        let text = String::from_utf8(answer.body.clone()).expect("text");
        if let Some(at) = text.find(&id).filter(|_| written.contains('#')) {
            answer.body.truncate(at + 20);
        }
        Ok(answer)
    })
}

fn lacking(tillbox: &TestBox, count: i64) -> Vec<i64> {
    let holds = |n: &i64| tillbox.hq.contains_key(&(Resource::Order, uuid(&format!("S-{n}"))));
    (0..count).filter(|n| !holds(n)).collect()
}

#[test]
fn a_row_that_spoils_its_page_costs_itself_alone_wherever_it_stands() {
    for bad in [0, 37, 249] {
        let mut tillbox = shop(250);
        tillbox.meddler = Some(cut_at(&format!("S-{bad}")));
        tillbox.minutes(75);
        assert_eq!(lacking(&tillbox, 250), [bad]);
        let gaps: Vec<_> =
            tillbox.gaps.iter().map(|gap| (gap.reason, gap.from <= sold(bad), sold(bad) < gap.to)).collect();
        assert_eq!(gaps, [(GapReason::Unreadable, true, true)], "{bad}");
        let width = tillbox.gaps[0].to - tillbox.gaps[0].from;
        assert!(bad == 249 || width <= TimeDelta::minutes(21), "{bad}: {:?}", tillbox.gaps);
        assert!(tillbox.notices.contains(&"answer_unreadable") && tillbox.progress().complete);
        assert!(tillbox.progress().since.unwrap() <= sold(250), "the history is read behind it");
        tillbox.sell("NEW", 7_000);
        let (before, events) = (tillbox.asked.len(), tillbox.gap_events);
        tillbox.minutes(100);
        assert!(tillbox.kinds("NEW").0.is_some());
        let asked = tillbox.asked.len() - before;
        assert!(asked < 100 * 6, "{bad}: {asked} requests in 100 minutes");
        assert_eq!((tillbox.gap_events, tillbox.unreadable <= 2), (events, true), "{bad}: it is told once");
        // The source was mended: what is older than two days is read again at night.
        tillbox.meddler = None;
        tillbox.minutes(if bad == 249 { 22 * 60 } else { 65 });
        assert_eq!((tillbox.gaps.as_slice(), lacking(&tillbox, 250)), (&[][..], vec![]), "{bad}");
        assert_eq!(tillbox.differences(), Vec::<String>::new());
    }
}

#[test]
fn one_cut_answer_opens_no_gap() {
    let mut tillbox = shop(120);
    let mut cuts = 0;
    tillbox.meddler = Some(Box::new(move |written, answered| {
        let mut answer = answered?;
        if written.contains("#2") && cuts < 1 {
            cuts += 1;
            answer.body.truncate(200);
        }
        Ok(answer)
    }));
    tillbox.minutes(30);
    assert_eq!((lacking(&tillbox, 120), tillbox.gap_events, tillbox.unreadable), (vec![], 0, 1));
}

#[test]
fn a_source_that_always_breaks_off_is_not_asked_row_by_row_for_ever() {
    let mut tillbox = shop(120);
    tillbox.meddler = Some(Box::new(|written, answered| {
        let mut answer = answered?;
        if written.contains('#') {
            answer.body.truncate(60);
        }
        Ok(answer)
    }));
    tillbox.minutes(120);
    assert_eq!((tillbox.hq.len(), tillbox.gap_events), (0, 0));
    assert!(tillbox.asked.len() < 120 * 8 && tillbox.unreadable > 100, "{} requests", tillbox.asked.len());
    tillbox.meddler = None;
    tillbox.minutes(120);
    assert_eq!((lacking(&tillbox, 120), tillbox.gap_events), (vec![], 0));
}

#[test]
fn a_page_that_is_too_large_or_too_slow_is_asked_for_smaller() {
    let slow = || Failure::TooSlow("expected an answer within 30 s, found none".to_owned());
    let fail: [fn() -> Failure; 2] = [|| Failure::TooLarge, slow];
    for failure in fail {
        let mut tillbox = shop(250);
        tillbox.meddler = Some(Box::new(move |written, answered| {
            let answer = answered?;
            let rows = String::from_utf8_lossy(&answer.body).matches("\"net_total\"").count();
            if written.contains('#') && rows > 30 { Err(failure()) } else { Ok(answer) }
        }));
        tillbox.minutes(60);
        assert_eq!((lacking(&tillbox, 250), tillbox.gap_events), (vec![], 0), "{}", failure());
        assert!(tillbox.progress().complete);
    }
}

#[test]
fn a_source_that_gives_no_smaller_pages_is_read_as_before() {
    let mut tillbox = shop(250);
    let id = uuid("S-137");
    tillbox.meddler = Some(Box::new(move |written, answered| {
        let mut answer = answered?;
        if written.contains('#') {
            let text = String::from_utf8(answer.body.clone()).expect("text");
            // Whatever is asked, it says that its pages are of a hundred.
            answer.body = ["50", "25", "5", "1"]
                .iter()
                .fold(text, |text, rows| text.replace(&format!("\"per_page\":{rows},"), "\"per_page\":100,"))
                .into_bytes();
            if String::from_utf8_lossy(&answer.body).contains(&id) {
                answer.body.truncate(400);
            }
        }
        Ok(answer)
    }));
    tillbox.minutes(60);
    assert_eq!(lacking(&tillbox, 100), Vec::<i64>::new(), "the first page is read");
    assert!(tillbox.gaps.iter().any(|gap| gap.reason == GapReason::Unreadable && gap.from <= sold(137)));
    tillbox.meddler = None;
    tillbox.run(TimeDelta::hours(24));
    assert_eq!((lacking(&tillbox, 250), tillbox.gaps.len()), (vec![], 0));
}

/// An order has this beside its id, in the list and by itself.
fn spoils(sale: &str, bad: &'static [u8]) -> Meddler {
    let id = uuid(sale);
    Box::new(move |_, answered: Result<Answer, Failure>| {
        let mut answer = answered?;
        let mark = format!("\"id\":\"{id}\",");
        let text = String::from_utf8(answer.body.clone()).expect("text");
        if let Some(at) = text.find(&mark) {
            let behind = at + mark.len();
            answer.body.splice(behind..behind, bad.iter().copied());
        }
        Ok(answer)
    })
}

/// The shop's small inputs 1: a text that is damaged is kept and flagged, a word that is no JSON puts its record aside.
#[test]
fn damaged_text_is_kept_and_nan_is_put_aside_alone() {
    let texts: [&[u8]; 5] = [
        b"\"note\":\"Caf\xe9\",",
        b"\"note\":\"\xf0\x9f\x98\",",
        b"\"note\":\"a\tb\",",
        b"\"note\":\"a\nb\",",
        b"\"note\":\"\\ud83d\",",
    ];
    for bad in texts {
        let mut tillbox = shop(120);
        tillbox.meddler = Some(spoils("S-5", bad));
        tillbox.minutes(30);
        assert_eq!((lacking(&tillbox, 120), tillbox.quarantined, tillbox.gaps.len()), (vec![], 0, 0), "{bad:?}");
        assert!(tillbox.order("S-5").flags.contains(&Flag::TextMended), "{bad:?}");
        assert!(tillbox.progress().complete && tillbox.unreadable == 0);
    }
    let mut tillbox = shop(120);
    tillbox.meddler = Some(spoils("S-5", b"\"odd\":NaN,"));
    tillbox.minutes(30);
    assert_eq!(lacking(&tillbox, 120), [5]);
    assert!(tillbox.quarantined > 0 && tillbox.gaps.is_empty() && tillbox.progress().complete);
}

/// The small input 2: the only order of the list has no id, or no total. It is put aside, and reading goes on.
#[test]
fn a_page_of_bad_orders_only_counts_as_read() {
    let id = format!("\"id\":\"{}\"", uuid("S-0"));
    for (good, bad) in [(id.as_str(), "\"id\":null"), ("\"net_total\":1000", "\"net_total\":\"\"")] {
        let mut tillbox = shop(1);
        let good = good.to_owned();
        tillbox.meddler = Some(Box::new(move |_, answered| {
            let mut answer = answered?;
            answer.body = String::from_utf8(answer.body).expect("text").replace(&good, bad).into_bytes();
            Ok(answer)
        }));
        tillbox.minutes(30);
        assert!(tillbox.quarantined > 0 && tillbox.unreadable == 0, "{}", tillbox.unreadable);
        assert!(
            tillbox.progress().watermark.is_some_and(|read| read > second_after(tillbox.now - TimeDelta::minutes(2)))
        );
        tillbox.sell("NEW", 7_000);
        tillbox.minutes(2);
        assert!(tillbox.kinds("NEW").0.is_some());
    }
}

/// PHP's way to write a list, and a byte order mark before it.
#[test]
fn a_list_that_is_sent_as_an_object_is_one() {
    let mut tillbox = shop(3);
    tillbox.meddler = Some(Box::new(|written, answered| {
        let mut answer = answered?;
        if written.contains('#') {
            let mut value: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
            if let Some(rows) = value["data"]["orders"].as_array().cloned() {
                let rows = rows.into_iter().enumerate().map(|(n, row)| (n.to_string(), row)).collect();
                value["data"]["orders"] = serde_json::Value::Object(rows);
            }
            answer.body = format!("\u{feff}{value}").into_bytes();
        }
        Ok(answer)
    }));
    tillbox.minutes(5);
    assert_eq!((lacking(&tillbox, 3), tillbox.quarantined, tillbox.unreadable), (vec![], 0, 0));
    assert!(tillbox.connector.progress().complete);
}
