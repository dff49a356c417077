//! Answers that cannot be read, or do not come: one record at a time is given up, and nothing else.

use chrono::{DateTime, TimeDelta};

use super::world::{Sale, Source, TestBox, at};
use crate::{
    gap::GapReason,
    pos::{
        http::{Answer, Failure},
        world::Meddler,
    },
};

const NOON: &str = "2026-03-15T12:00:00+07:00";

/// One sale every ten minutes, from two days before noon to one after.
fn shop() -> TestBox {
    let mut source = Source::default();
    for n in -2 * 144..144 {
        let at = at(NOON) + TimeDelta::minutes(n * 10) + TimeDelta::seconds(7);
        source.put(&format!("S{n}"), Sale { at, versions: vec![(at, Some(1_000))] });
    }
    TestBox::new(source, at(NOON), TimeDelta::seconds(60), TimeDelta::days(1), 1)
}

/// An answer with the text `spoils` breaks off there.
fn cut_at(spoils: &'static str) -> Meddler {
    Box::new(move |_, answered: Result<Answer, Failure>| {
        let mut answer = answered?;
        let text = String::from_utf8(answer.body).expect("text");
        let end = text.find(spoils).unwrap_or(text.len());
        answer.body = text.as_bytes()[..end].to_vec();
        Ok(answer)
    })
}

fn all_but(test: &TestBox, id: &str) -> bool {
    let late = test.now - TimeDelta::minutes(2);
    test.missing(at(NOON) - TimeDelta::days(1)).iter().all(|(missing, sale)| *missing == id || sale.at > late)
}

#[test]
fn a_record_that_spoils_its_answer_costs_its_second_and_nothing_else() {
    for (id, minutes) in [("S-30", -300), ("S3", 30)] {
        let mut test = shop();
        test.meddler = Some(cut_at(if id == "S3" { "\"S3\"" } else { "\"S-30\"" }));
        test.run_until(at(NOON) + TimeDelta::hours(4));
        assert!(all_but(&test, id) && !test.has(id), "{:?}", test.missing(at(NOON) - TimeDelta::days(1)));
        let sold = at(NOON) + TimeDelta::minutes(minutes) + TimeDelta::seconds(7);
        let gaps: Vec<_> = test.gaps.iter().map(|gap| (gap.from - sold, gap.to - sold, gap.reason)).collect();
        let second = TimeDelta::seconds(1);
        assert!(gaps.contains(&(TimeDelta::zero(), second, GapReason::Unreadable)), "{id}: {gaps:?}");
        // The seconds beside it are proven only where it is known whether the source includes its bounds.
        assert!(gaps.iter().all(|(from, to, _)| -second <= *from && *to <= second * 2), "{id}: {gaps:?}");
        let told = test.gap_events;
        assert!(test.notices.contains(&"answer_unreadable"));
        assert!(test.progress().complete && test.watermark() > test.now - TimeDelta::minutes(3));
        let asked = test.asked.len();
        test.run_until(test.now + TimeDelta::hours(6));
        assert!(test.asked.len() - asked < 6 * 120, "{} requests in six hours", test.asked.len() - asked);
        assert!(test.gap_events <= told + 1, "it is told once");
        // The source was mended.
        test.meddler = None;
        test.run_until(test.now + TimeDelta::hours(2));
        assert!(test.has(id) && test.gaps.is_empty(), "{:?}", test.gaps);
    }
}

#[test]
fn a_source_that_always_breaks_off_is_asked_no_second_by_itself() {
    let mut test = shop();
    test.meddler = Some(cut_at("\"transactions\""));
    test.run_until(at(NOON) + TimeDelta::hours(2));
    assert_eq!((test.hq.len(), test.gap_events), (0, 0));
    assert!(test.asked.len() < 2 * 60 * 8 && test.unreadable > 0, "{} requests", test.asked.len());
    test.meddler = None;
    test.run_until(test.now + TimeDelta::hours(2));
    assert!(all_but(&test, "") && test.gaps.is_empty());
}

/// How long a window is that was asked, by what is written of its request.
fn width(written: &str) -> TimeDelta {
    written.split_once(' ').map_or(TimeDelta::zero(), |(from, to)| at(to) - at(from))
}

#[test]
fn a_window_that_fails_by_size_or_time_is_halved() {
    let too_slow = || Failure::TooSlow("expected an answer within 30 s, found none".to_owned());
    let fail: [fn() -> Failure; 2] = [|| Failure::TooLarge, too_slow];
    for failure in fail {
        let mut test = shop();
        test.meddler = Some(Box::new(
            move |written, answered| {
                if width(written) > TimeDelta::hours(3) { Err(failure()) } else { answered }
            },
        ));
        test.run_until(at(NOON) + TimeDelta::hours(12));
        assert!(all_but(&test, "") && test.gaps.is_empty(), "{:?} {:?}", failure(), test.gaps);
        assert!(test.progress().complete);
    }
}

#[test]
fn an_outage_halves_nothing() {
    let mut test = shop();
    test.run_until(at(NOON) + TimeDelta::hours(1));
    let end: DateTime<_> = test.now + TimeDelta::hours(2);
    test.meddler = Some(Box::new(move |_, _| Err(Failure::Unreachable("an outage".to_owned()))));
    test.run_until(end);
    test.meddler = None;
    let asked = test.asked.len();
    test.run_until(end + TimeDelta::minutes(10));
    assert!(all_but(&test, "") && test.asked.len() - asked < 40, "{} requests", test.asked.len() - asked);
}

/// An answer that holds only bad records is one: they are put aside, and reading goes on behind them.
#[test]
fn a_window_of_bad_records_only_counts_as_read() {
    for (good, bad) in [("\"total_amount\":", "\"total_amount\":\"\",\"was\":"), ("\"id\":", "\"id\":null,\"was\":")] {
        let mut test = shop();
        test.run_until(at(NOON) + TimeDelta::hours(1));
        test.server.traits.spoils = Some((good, bad));
        test.run_until(at(NOON) + TimeDelta::hours(3));
        assert!(test.quarantined > 0 && test.unreadable == 0, "{} unreadable", test.unreadable);
        assert!(test.watermark() > test.now - TimeDelta::minutes(3), "{bad}: reading stands");
    }
}
