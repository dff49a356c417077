//! Rows and pages of the list that cannot be read.

use chrono::TimeDelta;

use super::world::{Meddler, TestBox, morning};
use crate::{
    demo::{pos_kasir::uuid, shop::Sale},
    gap::{Gap, GapReason},
    pos::http::{Answer, Failure},
    transaction::Kind,
};

/// The list's row of a sale has a time that is none.
fn bad_row(sale: &str) -> Meddler {
    let id = uuid(sale);
    Box::new(move |asked, answered| {
        let answer = answered?;
        if !asked.starts_with("/orders#") {
            return Ok(answer);
        }
        let mut body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        for row in body["data"]["orders"].as_array_mut().into_iter().flatten() {
            if row["id"] == id.as_str() {
                row["created_at"] = "yesterday".into();
            }
        }
        Ok(Answer { body: serde_json::to_vec(&body).unwrap(), ..answer })
    })
}

/// A page of the list, and all that follow, are answered so.
fn bad_from(first: u64, bad: fn() -> Result<Answer, Failure>) -> Meddler {
    Box::new(move |asked, answered| match asked.strip_prefix("/orders#") {
        Some(page) if page.parse::<u64>().unwrap() >= first => bad(),
        _ => answered,
    })
}

/// A shop with a sale every two hours, for most of the 90 days that are read.
fn shop() -> TestBox {
    let tillbox = TestBox::new(|_| {});
    for n in 0..1_000 {
        let sold = morning() - TimeDelta::hours(n * 2);
        tillbox.server.put_at(sold, Sale::plain(&format!("H-{n}"), 1_000 + n, sold));
    }
    tillbox
}

fn is_open(gaps: &[Gap], n: i64) -> bool {
    let sold = morning() - TimeDelta::hours(n * 2);
    gaps.iter().any(|gap| gap.from <= sold && sold < gap.to)
}

#[test]
fn a_row_that_cannot_be_read_is_told_where_its_detail_fails() {
    let mut tillbox = TestBox::new(|options| options.broken.extend(["BAD".to_owned()]));
    tillbox.meddler = Some(bad_row("BAD"));
    tillbox.sell("BAD", 7_000);
    tillbox.sell("GOOD", 8_000);
    tillbox.minutes(10);
    assert_eq!((tillbox.kinds("GOOD").0, tillbox.kinds("BAD").0), (Some(Kind::Sale), None));
    // By the newest walk and by the recent one: the store holds it once.
    let told = tillbox.quarantined;
    assert!((1..=2).contains(&told), "{told}");
    let before = tillbox.asked.len();
    tillbox.minutes(120);
    assert!(tillbox.asked.len() - before < 120 * 6, "{}", tillbox.asked.len() - before);
    assert!(tillbox.progress().complete && tillbox.quarantined == told);
    tillbox.server.adjust(|options| options.broken.clear());
    tillbox.minutes(75);
    assert_eq!(tillbox.kinds("BAD").0, Some(Kind::Sale), "by its detail");
}

#[test]
fn a_row_that_cannot_be_read_is_told_where_its_detail_is_not_there() {
    for is_known in [false, true] {
        let mut tillbox = TestBox::new(|_| {});
        tillbox.sell("BAD", 7_000);
        tillbox.sell("GOOD", 8_000);
        if is_known {
            tillbox.minutes(5);
        }
        let (mut row, detail) = (bad_row("BAD"), format!("/orders/{}", uuid("BAD")));
        tillbox.meddler = Some(Box::new(move |asked, answered| {
            let not_found = || Answer { status: 404, ..Answer::of(br#"{"message":"Order not found"}"#.to_vec()) };
            if asked == detail { Ok(not_found()) } else { row(asked, answered) }
        }));
        tillbox.minutes(10);
        assert!((1..=2).contains(&tillbox.quarantined), "known: {is_known}, {}", tillbox.quarantined);
        assert_eq!((tillbox.vanished.len(), tillbox.notices.len()), (usize::from(is_known), 0), "it has vanished");
        tillbox.meddler = None;
        tillbox.minutes(75);
        assert_eq!(tillbox.differences(), Vec::<String>::new());
    }
}

#[test]
fn a_page_that_fails_for_good_is_a_gap_and_holds_up_nothing_else() {
    let trouble: fn() -> Result<Answer, Failure> = || Err(Failure::Trouble(500));
    for bad in [trouble, || Ok(Answer::of(br#"{"message":"Success","data":{}}"#.to_vec()))] {
        let mut tillbox = shop();
        tillbox.meddler = Some(bad_from(5, bad));
        tillbox.minutes(90);
        let first = tillbox.gaps.clone();
        assert!(first.len() == 1 && first[0].reason == GapReason::Unreadable, "{first:?}");
        assert!(!is_open(&first, 398) && is_open(&first, 400) && is_open(&first, 1_079));
        // Neither a restart nor another hour opens it again; the newest and the recent are read meanwhile.
        for _ in 0..3 {
            tillbox.restart();
            tillbox.sell(&format!("NEW-{}", tillbox.now), 5);
            tillbox.minutes(80);
        }
        assert_eq!(tillbox.gaps, first);
        assert!(!tillbox.progress().complete);
        // The nightly walk meets it too, days later.
        tillbox.run(TimeDelta::hours(50));
        assert!(tillbox.gaps.len() <= 2 && is_open(&tillbox.gaps, 500), "{:?}", tillbox.gaps);
        tillbox.meddler = None;
        tillbox.restart();
        tillbox.minutes(150);
        assert_eq!((tillbox.gaps.as_slice(), tillbox.differences()), (&[][..], vec![]));
        assert!(tillbox.progress().complete);
    }
}

#[test]
fn a_page_that_fails_at_night_is_a_gap_until_a_later_night_reads_it() {
    let mut tillbox = shop();
    tillbox.run(TimeDelta::hours(4));
    assert!(tillbox.progress().complete && tillbox.gaps.is_empty());
    tillbox.meddler = Some(bad_from(5, || Err(Failure::Trouble(500))));
    tillbox.run(TimeDelta::hours(96));
    assert!(is_open(&tillbox.gaps, 500) && tillbox.gaps.len() <= 2, "{:?}", tillbox.gaps);
    let asked = tillbox.asked.len();
    tillbox.run(TimeDelta::hours(2));
    assert!(tillbox.asked.len() - asked < 2 * 60 * 6, "{}", tillbox.asked.len() - asked);
    tillbox.meddler = None;
    tillbox.run(TimeDelta::hours(2));
    assert_eq!((tillbox.gaps.as_slice(), tillbox.differences()), (&[][..], vec![]));
}

#[test]
fn a_second_page_that_fails_keeps_no_newer_sale_from_being_read() {
    let mut tillbox = TestBox::new(|_| {});
    tillbox.sell("FIRST", 1_000);
    tillbox.minutes(70);
    for n in 0..150 {
        tillbox.put(Sale::plain(&format!("S-{n}"), 1_000, tillbox.now - TimeDelta::seconds(n)));
    }
    tillbox.meddler = Some(bad_from(2, || Err(Failure::Trouble(500))));
    tillbox.minutes(30);
    tillbox.sell("NEW", 5);
    tillbox.minutes(5);
    assert_eq!(tillbox.kinds("NEW").0, Some(Kind::Sale));
    tillbox.meddler = None;
    tillbox.minutes(90);
    assert_eq!((tillbox.gaps.as_slice(), tillbox.differences()), (&[][..], vec![]));
    assert!(tillbox.progress().complete);
}

#[test]
fn an_outage_while_the_history_is_read_is_no_bad_page() {
    let mut tillbox = shop();
    tillbox.minutes(5);
    tillbox.server.adjust(|options| options.is_down = true);
    tillbox.minutes(60);
    assert!(tillbox.gaps.is_empty());
    tillbox.server.adjust(|options| options.is_down = false);
    tillbox.run(TimeDelta::hours(3));
    assert_eq!((tillbox.gaps.as_slice(), tillbox.differences()), (&[][..], vec![]));
}
