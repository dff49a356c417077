//! What persons ended: told once, remembered over any end, not found anew, and taken back by a proof.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{
    by_hand::{Statement, handle_of_gap, handle_of_record},
    event::EventType,
    gap::{Gap, GapReason},
    outbox::{
        Begin, CLOSED_BY_HAND_MAX, Capture, Ended, Outbox,
        fixture::{End, SHOP, Shop, gap, now, page, read_all, sale, unreadable},
    },
};

fn sari() -> Statement {
    Statement::new("Sari", "the till was broken").unwrap()
}

fn gaps(outbox: &Outbox, opened: Vec<Gap>, closed: Vec<Gap>) -> u64 {
    let capture = Capture { gaps_opened: opened, gaps_closed: closed, ..page(outbox, vec![]) };
    outbox.capture(capture).unwrap().events
}

fn told(outbox: &Outbox, of: EventType) -> Vec<Value> {
    let events = read_all(outbox, 0).unwrap().into_iter().filter(|event| event.draft.event_type == of);
    events.map(|event| serde_json::from_str(&event.draft.data).unwrap()).collect()
}

fn is_before(ended: &Ended, at: DateTime<Utc>) -> bool {
    matches!(ended, Ended::Before { by, at: then } if *by == sari() && *then == at)
}

#[test]
fn a_gap_that_a_person_closed_is_told_with_name_and_reason_and_not_opened_again() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    let handle = handle_of_gap(SHOP, &gap(1));
    assert_eq!(outbox.close_gap(&handle, &sari(), now()).unwrap(), Ended::Unknown);
    assert_eq!(gaps(&outbox, vec![gap(1), gap(2)], vec![]), 2);
    assert_eq!(outbox.close_gap(&handle, &sari(), now()).unwrap(), Ended::Now);
    assert_eq!(outbox.level().ended_by_hand, 1, "whoever sums up days looks again");
    shop.end(outbox, End::Power);
    let outbox = shop.open_sound();
    let again = outbox.close_gap(&handle, &Statement::new("Budi", "me too").unwrap(), now()).unwrap();
    assert!(is_before(&again, now()), "{again:?}");
    // Nor is a part of it for the same reason, and another reason is another gap.
    let part = Gap { from: gap(1).from + TimeDelta::minutes(1), ..gap(1) };
    let other = Gap { reason: GapReason::ShortPage, ..gap(1) };
    assert_eq!(gaps(&outbox, vec![gap(1), part, other.clone()], vec![]), 1);
    assert_eq!(*outbox.open_gaps()[SHOP], [gap(2), other]);
    let events = told(&outbox, EventType::Gap);
    assert_eq!((&events[2]["state"], &events[2]["closed_by"]), (&"closed".into(), &json!(sari())));
    assert_eq!(events.len(), 4);
}

#[test]
fn what_a_person_closed_is_told_as_proven_once_it_is() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    gaps(&outbox, vec![gap(1)], vec![]);
    outbox.close_gap(&handle_of_gap(SHOP, &gap(1)), &sari(), now()).unwrap();
    assert_eq!(gaps(&outbox, vec![], vec![gap(1)]), 1);
    let events = told(&outbox, EventType::Gap);
    assert_eq!((&events[2]["state"], events[2].get("closed_by")), (&"closed".into(), None));
    shop.end(outbox, End::Power);
    let outbox = shop.open_sound();
    assert!(outbox.gaps_closed_by_hand(SHOP).is_empty());
    // What shows a hole after it was proven is a new one.
    assert_eq!(gaps(&outbox, vec![gap(1)], vec![]), 1);
}

#[test]
fn a_record_that_a_person_dismissed_is_told_with_name_and_reason_and_stays_noted() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    let found = || vec![unreadable(1), unreadable(2)];
    let aside = |outbox: &Outbox| Capture { quarantined: found(), ..page(outbox, vec![]) };
    outbox.capture(aside(&outbox)).unwrap();
    let handle = handle_of_record(SHOP, &unreadable(1));
    let later = now() + TimeDelta::hours(3);
    assert_eq!(outbox.dismiss(&handle, &sari(), later).unwrap(), Ended::Now);
    shop.end(outbox, End::Power);
    let outbox = shop.open_sound();
    let again = outbox.dismiss(&handle, &sari(), later + TimeDelta::days(1)).unwrap();
    assert!(is_before(&again, later), "{again:?}");
    assert_eq!(outbox.dismiss(&handle_of_gap(SHOP, &gap(1)), &sari(), later).unwrap(), Ended::Unknown);
    let events = told(&outbox, EventType::Quarantine);
    assert_eq!((events.len(), &events[2]["dismissed_by"]), (3, &json!(sari())));
    assert_eq!((&events[2]["hash"], &events[2]["observed_at"]), (&events[0]["hash"], &events[0]["observed_at"]));
    let day = now().date_naive();
    let begin = day.and_time(chrono::NaiveTime::MIN).and_utc();
    let of_day = outbox.asides(SHOP).of_day(day, (begin, begin + TimeDelta::days(1)));
    assert_eq!((of_day.waiting, of_day.dismissed), (1, 1), "it never leaves the day");
    assert_eq!(outbox.capture(aside(&outbox)).unwrap().events, 0, "it is not put aside anew");

    // A new stream tells it again, as it stands.
    outbox.begin_stream(Begin::default()).unwrap();
    let before = told(&outbox, EventType::Quarantine).len();
    let captured = outbox.capture(aside(&outbox)).unwrap();
    assert_eq!((captured.events, captured.quarantined), (2, 1), "it is no news that would light a lamp");
    let events = told(&outbox, EventType::Quarantine);
    let dismissed: Vec<_> = events[before..].iter().filter(|event| event.get("dismissed_by").is_some()).collect();
    assert!(matches!(&dismissed[..], [one] if one["external_id"] == "1"), "{dismissed:?}");

    // Read after all.
    let captured = outbox.capture(page(&outbox, vec![sale(1, 0, 1)])).unwrap();
    assert!(captured.asides_moved);
    assert_eq!(outbox.dismiss(&handle, &sari(), later).unwrap(), Ended::Unknown);
}

#[test]
fn a_record_that_was_put_aside_in_two_forms_waits_until_both_are_dismissed() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    let changed = crate::pos::page::Quarantined { hash: unreadable(3).hash, ..unreadable(1) };
    outbox.capture(Capture { quarantined: vec![unreadable(1), changed.clone()], ..page(&outbox, vec![]) }).unwrap();
    let begin = now().date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
    let counts = |outbox: &Outbox| {
        let of_day = outbox.asides(SHOP).of_day(begin.date_naive(), (begin, begin + TimeDelta::days(1)));
        (of_day.waiting, of_day.dismissed)
    };
    outbox.dismiss(&handle_of_record(SHOP, &unreadable(1)), &sari(), now()).unwrap();
    assert_eq!(counts(&outbox), (1, 0));
    outbox.dismiss(&handle_of_record(SHOP, &changed), &sari(), now()).unwrap();
    assert_eq!(counts(&outbox), (0, 1));
}

#[test]
fn only_so_many_gaps_are_remembered_and_those_of_days_long_gone_give_way() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    let nth = |n: usize, days_ago: i64| {
        let from = now() - TimeDelta::days(days_ago) - TimeDelta::seconds(10 * i64::try_from(n).unwrap());
        Gap { from, to: from + TimeDelta::seconds(1), reason: GapReason::Truncated }
    };
    let close = |gap: &Gap, at| outbox.close_gap(&handle_of_gap(SHOP, gap), &sari(), at).unwrap();
    let all: Vec<_> = (0..=CLOSED_BY_HAND_MAX).map(|n| nth(n, 1)).collect();
    gaps(&outbox, all.clone(), vec![]);
    let (last, others) = all.split_last().unwrap();
    assert!(others.iter().all(|gap| close(gap, now()) == Ended::Now));
    assert_eq!(close(last, now()), Ended::NoRoom);
    assert_eq!(outbox.open_gaps()[SHOP].len(), 1, "it stays open");
    assert_eq!(close(last, now() + TimeDelta::days(40)), Ended::Now);
    assert_eq!(outbox.gaps_closed_by_hand(SHOP).len(), 1);
}

/// A box whose clock stands in 1970, or years ahead, loses nothing of what was seen by a person's word.
#[test]
fn a_word_under_a_wrong_clock_forgets_nothing() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    outbox.capture(page(&outbox, vec![sale(1, 0, 1)])).unwrap();
    // The second one says no id: it would leave with what was seen.
    outbox.capture(Capture { quarantined: vec![unreadable(1), unreadable(2)], ..page(&outbox, vec![]) }).unwrap();
    gaps(&outbox, vec![gap(1)], vec![]);
    outbox.dismiss(&handle_of_record(SHOP, &unreadable(1)), &sari(), DateTime::UNIX_EPOCH).unwrap();
    outbox.close_gap(&handle_of_gap(SHOP, &gap(1)), &sari(), now() + TimeDelta::days(4_000)).unwrap();
    assert_eq!(outbox.asides(SHOP).list.len(), 2);
    assert_eq!(outbox.capture(page(&outbox, vec![sale(1, 0, 1)])).unwrap().events, 1, "only that it can be read");
}
