//! Records that were put aside: listed, read at last, and read again by another version.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    event::EventType,
    outbox::{
        ASIDE_MAX, Aside, Capture, Outbox,
        engine::{open_sled, wait_until_closed},
        fixture::{End, SHOP, Shop, now, page, read_all, sale, unreadable},
        layout::META,
        meta::VERSION,
    },
    pos::{
        connector::RESCAN_HORIZON,
        page::{Quarantined, Reason},
    },
};

fn aside(outbox: &Outbox, quarantined: Vec<Quarantined>) -> Capture {
    Capture { quarantined, ..page(outbox, vec![]) }
}

fn listed(outbox: &Outbox) -> Vec<Aside> {
    outbox.put_aside().unwrap().remove(SHOP).unwrap_or_default()
}

fn codes(outbox: &Outbox) -> Vec<String> {
    let events = read_all(outbox, 0).unwrap().into_iter();
    events.filter(|event| event.draft.event_type == EventType::Notice).map(|event| event.draft.data).collect()
}

/// The store as another version of the program would have left it.
fn was_read_by(shop: &Shop, version: Option<&str>) {
    wait_until_closed(&shop.store());
    let db = open_sled(&shop.store()).unwrap();
    let mut meta: serde_json::Value = serde_json::from_slice(&db.get(META).unwrap().unwrap()).unwrap();
    match version {
        Some(version) => meta["read_by"] = version.into(),
        None => drop(meta.as_object_mut().unwrap().remove("read_by")),
    }
    db.insert(META, meta.to_string().as_bytes()).unwrap();
    db.flush().unwrap();
    drop(db);
    wait_until_closed(&shop.store());
}

fn read_again(outbox: &Outbox) -> Option<DateTime<Utc>> {
    outbox.level().read_again.get(SHOP).copied()
}

#[test]
fn what_is_put_aside_is_listed_over_a_power_cut_until_it_is_read() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    outbox.capture(aside(&outbox, vec![unreadable(1), unreadable(2)])).unwrap();
    shop.end(outbox, End::Power);
    let outbox = shop.open_sound();
    let found = listed(&outbox);
    let one = found.iter().find(|aside| aside.quarantined == unreadable(1)).unwrap();
    assert_eq!((found.len(), one.observed_at, one.version.as_str()), (2, now(), VERSION));
    // The same again is no news, and what reads the same record at last takes it from the list.
    assert_eq!(outbox.capture(aside(&outbox, vec![unreadable(1)])).unwrap().events, 0);
    let captured = outbox.capture(page(&outbox, vec![sale(1, 0, 1), sale(2, 0, 1)])).unwrap();
    assert_eq!((captured.new, captured.events), (2, 3));
    shop.end(outbox, End::Power);
    let outbox = shop.open_sound();
    assert_eq!(listed(&outbox).len(), 1, "the other says no id");
    let told = codes(&outbox);
    assert!(matches!(&told[..], [data] if data.contains(r#""code":"quarantine_read""#)), "{told:?}");
    assert!(told[0].contains(r#""record":{"external_id":"1","resource":"transaction"}"#), "{told:?}");
    assert_eq!(outbox.capture(page(&outbox, vec![sale(1, 0, 1)])).unwrap().events, 0, "told once");
}

#[test]
fn a_known_record_that_becomes_unreadable_and_readable_again_is_told() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    outbox.capture(page(&outbox, vec![sale(1, 0, 1)])).unwrap();
    outbox.capture(aside(&outbox, vec![unreadable(1)])).unwrap();
    // In one answer with what cannot be read it is not read.
    let both = Capture { quarantined: vec![unreadable(1)], ..page(&outbox, vec![sale(1, 0, 1)]) };
    assert_eq!(outbox.capture(both).unwrap().events, 0);
    assert_eq!(outbox.capture(page(&outbox, vec![sale(1, 0, 1)])).unwrap().events, 1);
    assert_eq!((listed(&outbox).len(), codes(&outbox).len()), (0, 1));
}

#[test]
fn of_two_records_with_one_id_the_second_stays_put_aside() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    let conflict = Quarantined { reason: Reason::IdConflict, ..unreadable(1) };
    outbox.capture(Capture { quarantined: vec![conflict], ..page(&outbox, vec![sale(1, 0, 1)]) }).unwrap();
    assert_eq!(outbox.capture(page(&outbox, vec![sale(1, 0, 1)])).unwrap().events, 0);
    assert_eq!(listed(&outbox).len(), 1);
}

#[test]
fn the_list_is_bounded_and_forgets_what_nobody_can_recognize() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    let at = |days: i64, quarantined| Capture { now: now() + TimeDelta::days(days), ..aside(&outbox, quarantined) };
    outbox.capture(at(0, vec![unreadable(1), unreadable(2)])).unwrap();
    outbox.capture(at(31, vec![unreadable(3)])).unwrap();
    let hashes = |outbox: &Outbox| listed(outbox).into_iter().map(|aside| aside.quarantined.hash).collect::<Vec<_>>();
    assert_eq!(hashes(&outbox), [1, 3].map(|number| unreadable(number).hash));
    assert_eq!(outbox.capture(at(32, vec![unreadable(1)])).unwrap().events, 0, "still listed, and told long ago");
    let many = u32::try_from(ASIDE_MAX).unwrap();
    outbox.capture(at(32, (10..10 + many).map(unreadable).collect())).unwrap();
    let kept = hashes(&outbox);
    assert_eq!((kept.len(), kept.contains(&unreadable(3).hash)), (ASIDE_MAX, false));
    drop(outbox);
    let outbox = shop.open_sound();
    assert_eq!(hashes(&outbox).len(), ASIDE_MAX);
    outbox
        .capture(Capture {
            now: now() + TimeDelta::days(33),
            ..aside(&outbox, (1_000..1_700).map(unreadable).collect())
        })
        .unwrap();
    assert_eq!(hashes(&outbox).len(), ASIDE_MAX);
}

#[test]
fn another_version_reads_again_what_was_put_aside_once() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    outbox.take_generation(1, true, std::collections::BTreeMap::new()).unwrap();
    outbox.capture(aside(&outbox, vec![unreadable(1), unreadable(2)])).unwrap();
    drop(outbox);
    assert_eq!(read_again(&shop.open_sound()), None, "the same version");
    was_read_by(&shop, Some("0.0.1"));
    let outbox = shop.open_sound();
    let since = now() - RESCAN_HORIZON;
    assert_eq!(read_again(&outbox), Some(since));
    // Until what it brings is stored; what is still unreadable is not told again.
    shop.end(outbox, End::Power);
    let outbox = shop.open_sound();
    assert_eq!(read_again(&outbox), Some(since));
    let again = Capture {
        quarantined: vec![unreadable(2)],
        cursor: Some(vec![1]),
        read_again: Some(since),
        ..page(&outbox, vec![sale(1, 0, 1)])
    };
    let captured = outbox.capture(again).unwrap();
    assert_eq!((captured.quarantined, captured.new, captured.events), (0, 1, 2));
    drop(outbox);
    assert_eq!(read_again(&shop.open_sound()), None, "once");
}

#[test]
fn a_store_of_before_reads_again_and_one_without_anything_put_aside_does_not() {
    for (asides, version) in [(true, None), (false, None), (false, Some("9.9.9"))] {
        let shop = Shop::new();
        let outbox = shop.open_sound();
        let quarantined = if asides { vec![unreadable(1)] } else { vec![] };
        outbox.capture(Capture { quarantined, ..page(&outbox, vec![sale(7, 0, 1)]) }).unwrap();
        drop(outbox);
        was_read_by(&shop, version);
        assert_eq!(read_again(&shop.open_sound()).is_some(), asides);
    }
}

#[test]
fn what_a_backfill_put_aside_is_looked_for_where_it_was_and_no_further_than_is_remembered() {
    for (read_to_days_ago, since_days_ago) in [(0, 7), (20, 22), (80, 29)] {
        let shop = Shop::new();
        let outbox = shop.open_sound();
        let read_to = Some(now() - TimeDelta::days(read_to_days_ago));
        outbox.capture(Capture { read_to, ..aside(&outbox, vec![unreadable(1)]) }).unwrap();
        drop(outbox);
        was_read_by(&shop, Some("0.0.1"));
        let outbox = shop.open_sound();
        assert_eq!(read_again(&outbox), Some(now() - TimeDelta::days(since_days_ago)));
        // HQ's checkpoint may ask for more, not for less.
        let earlier = now() - TimeDelta::days(40);
        outbox.take_generation(1, true, [(SHOP.to_owned(), now())].into()).unwrap();
        assert_eq!(read_again(&outbox), Some(now() - TimeDelta::days(since_days_ago)));
        drop(outbox);
        let shop = Shop::new();
        let outbox = shop.open_sound();
        outbox.take_generation(1, true, [(SHOP.to_owned(), earlier)].into()).unwrap();
        assert_eq!(read_again(&outbox), Some(earlier));
    }
}

fn of_day(outbox: &Outbox, days_ago: i64) -> u64 {
    let begin = (now() - TimeDelta::days(days_ago)).date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
    outbox.asides(SHOP).of_day(begin.date_naive(), (begin, begin + TimeDelta::days(1))).waiting
}

#[test]
fn a_record_counts_for_its_day_or_for_each_that_its_window_touches() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    let yesterday = Some((now() - TimeDelta::days(1)).date_naive());
    let dated = Quarantined { business_date: yesterday, ..unreadable(1) };
    // The same record, changed and as bad: it is one.
    let changed = Quarantined { hash: unreadable(3).hash, ..dated.clone() };
    let nowhere = Quarantined { business_date: None, ..unreadable(2) };
    let within = |days_ago: i64| {
        let to = now() - TimeDelta::days(days_ago);
        crate::pos::page::Interval { from: to - TimeDelta::seconds(1), to }
    };
    let near = Quarantined { business_date: None, window: Some(within(3)), ..unreadable(4) };
    outbox.capture(aside(&outbox, vec![dated, changed])).unwrap();
    assert_eq!([0, 1, 2, 3].map(|days| of_day(&outbox, days)), [0, 1, 0, 0]);
    let captured = outbox.capture(aside(&outbox, vec![near])).unwrap();
    assert!(captured.asides_moved);
    assert_eq!([0, 1, 2, 3, 4].map(|days| of_day(&outbox, days)), [0, 1, 0, 1, 0]);
    let read_to = Some(now() - TimeDelta::days(20));
    outbox.capture(Capture { read_to, ..aside(&outbox, vec![nowhere]) }).unwrap();
    shop.end(outbox, End::Power);
    let outbox = shop.open_sound();
    assert_eq!([0, 1, 3, 22, 23].map(|days| of_day(&outbox, days)), [1, 2, 2, 1, 0]);
    let told = read_all(&outbox, 0).unwrap().into_iter().map(|event| event.draft.data);
    let windows = told.filter(|data| data.contains(r#""window":{"from":"#)).count();
    assert_eq!(windows, 2, "HQ is told where it was met");
    // Read after all.
    let captured = outbox.capture(page(&outbox, vec![sale(1, 0, 24)])).unwrap();
    assert!(captured.asides_moved);
    assert_eq!(of_day(&outbox, 1), 1);
}

#[test]
fn what_had_no_room_in_the_list_counts_until_it_is_forgotten() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    let many = u32::try_from(ASIDE_MAX).unwrap() + 7;
    // None of them says its id.
    let found: Vec<_> = (0..many).map(|n| unreadable(2 * n)).collect();
    outbox.capture(aside(&outbox, found)).unwrap();
    assert_eq!((listed(&outbox).len(), of_day(&outbox, 0)), (ASIDE_MAX, many.into()));
    shop.end(outbox, End::Power);
    let outbox = shop.open_sound();
    assert_eq!((listed(&outbox).len(), of_day(&outbox, 0)), (ASIDE_MAX, many.into()));
    let later = Capture { now: now() + TimeDelta::days(31), ..page(&outbox, vec![sale(1, 0, 1)]) };
    assert!(outbox.capture(later).unwrap().asides_moved);
    assert_eq!((listed(&outbox).len(), of_day(&outbox, 0)), (0, 0));
    shop.end(outbox, End::Power);
    assert_eq!(of_day(&shop.open_sound(), 0), 0);
}

#[test]
fn what_was_read_and_is_as_bad_as_before_is_put_aside_again() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    outbox.capture(aside(&outbox, vec![unreadable(1)])).unwrap();
    outbox.capture(page(&outbox, vec![sale(1, 0, 1)])).unwrap();
    assert_eq!(of_day(&outbox, 0), 0);
    let captured = outbox.capture(aside(&outbox, vec![unreadable(1)])).unwrap();
    assert_eq!((captured.quarantined, of_day(&outbox, 0)), (1, 1));
    assert_eq!(outbox.capture(aside(&outbox, vec![unreadable(1)])).unwrap().events, 0);
}
