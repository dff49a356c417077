use std::collections::{BTreeMap, BTreeSet};

use chrono::Timelike as _;

use super::*;

fn jakarta() -> Zone {
    Zone::load("Asia/Jakarta").unwrap()
}

fn day(seed: u64, sales: usize) -> ShopDay {
    ShopDay::generate(seed, NaiveDate::from_ymd_opt(2026, 3, 14).unwrap(), &jakarta(), sales)
}

fn of(day: &ShopDay, change: Change) -> impl Iterator<Item = &Movement> {
    day.movements().iter().filter(move |movement| movement.change == change)
}

#[test]
fn a_seed_is_a_day() {
    assert_eq!(day(1, 320), day(1, 320));
    assert_ne!(day(1, 320), day(2, 320));
    assert_eq!(day(1, 320).books(), day(1, 320).books());
    assert_ne!(day(1, 320).books(), day(2, 320).books());
}

#[test]
fn a_day_has_the_traits_of_a_shop() {
    let day = day(42, 320);
    let sold: Vec<_> = of(&day, Change::Sold).collect();
    assert_eq!(sold.len(), 320);
    assert_eq!(sold.iter().filter(|m| m.known_at - m.sale.at >= TimeDelta::minutes(4)).count(), 13);
    assert_eq!(of(&day, Change::Edited).count(), 7);
    assert_eq!(of(&day, Change::Refunded).count(), 7);

    let hour = |m: &&&Movement| jakarta().local(m.sale.at).hour();
    let between = |hours: std::ops::Range<u32>| sold.iter().filter(|m| hours.contains(&hour(m))).count();
    assert!(between(7..9) > 2 * between(9..11), "breakfast");
    assert!(between(12..14) > 2 * between(14..16), "lunch");
    assert!(between(18..20) > 2 * between(20..22), "dinner");

    let lines = || sold.iter().flat_map(|m| &m.sale.lines);
    assert!(lines().any(|line| line.quantity == Decimal::new(25, 2)), "a quarter of a kilogram");
    assert!(lines().any(|line| !line.name.is_ascii()), "names in unicode");
    let tenders: BTreeSet<_> = sold.iter().map(|m| m.sale.tender.as_deref()).collect();
    assert!(tenders.len() >= 6 && tenders.contains(&None), "{tenders:?}");
    let uneven = sold.iter().filter(|m| m.sale.total != m.sale.lines_total()).count();
    assert!((10..80).contains(&uneven), "{uneven} with discount or tax");
}

#[test]
fn movements_are_in_order_and_end_with_the_day() {
    for seed in 0..50 {
        let day = day(seed, 300);
        assert!(day.movements().is_sorted_by_key(|m| m.known_at));
        let end = jakarta().instant(NaiveDate::from_ymd_opt(2026, 3, 14).unwrap().and_time(KNOWN_BY)).to_utc();
        assert!(day.complete_at().unwrap() <= end);
        let mut seen = BTreeMap::new();
        for m in day.movements() {
            assert!(m.known_at >= m.sale.at && m.sale.total >= Decimal::ZERO, "{m:?}");
            let before = seen.insert(&m.sale.id, &m.sale);
            assert_eq!(before.is_some(), matches!(m.change, Change::Edited | Change::Voided), "{m:?}");
            let changed = |before: &&Sale| (before.total != m.sale.total) == (m.change == Change::Edited);
            assert!(before.is_none_or(|before| changed(&before) && before.at == m.sale.at), "{m:?}");
            assert_eq!(m.sale.kind == Kind::Order, m.change == Change::Ordered);
            assert_eq!(m.sale.kind == Kind::Void, m.change == Change::Voided);
            assert_eq!(m.sale.kind == Kind::Refund, m.change == Change::Refunded);
        }
    }
}

#[test]
fn books_hold_the_last_state_of_each() {
    let day = day(3, 300);
    let books = day.books();
    assert_eq!(books.states().len(), 306);
    for edit in of(&day, Change::Edited) {
        assert_eq!(books.states()[&edit.sale.id].total, edit.sale.total);
    }
    let by_hand: Decimal = books.states().values().filter(|s| s.kind == Kind::Sale).map(|s| s.total).sum();
    let totals = books.totals();
    assert_eq!(totals[&Kind::Sale], Total { count: 300, sum: by_hand });
    assert_eq!(totals[&Kind::Refund].count, 6);
}

#[test]
fn small_and_empty_days_exist() {
    assert_eq!(day(1, 0).complete_at(), None);
    assert_eq!(day(1, 0).books().totals(), BTreeMap::new());
    assert_eq!(of(&day(1, 1), Change::Sold).count(), 1);
}

#[test]
fn a_ledger_shows_what_is_known_by_then() {
    let at = |minute| "2026-03-14T05:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minute);
    let totals = |ledger: &Ledger, minute| ledger.at(at(minute)).map(|s| s.total.to_string()).collect::<Vec<_>>();
    let mut ledger = Ledger::default();
    ledger.put(at(30), Sale::plain("late", 1_000, at(0)));
    ledger.put(at(0), Sale::plain("edited", 2_000, at(0)));
    ledger.put(at(10), Sale::plain("edited", 2_500, at(0)));
    assert_eq!(totals(&ledger, -1), [""; 0]);
    assert_eq!(totals(&ledger, 0), ["2000"]);
    assert_eq!(totals(&ledger, 10), ["2500"]);
    assert_eq!(totals(&ledger, 30), ["2500", "1000"]);
    ledger.remove(at(5), "edited");
    assert_eq!(totals(&ledger, 4), ["2000"]);
    assert_eq!(totals(&ledger, 60), ["1000"], "an edit that was planned does not bring it back");
    assert_eq!(ledger.books(at(60)).states().len(), 1);

    let day = day(9, 300);
    let mut ledger = Ledger::default();
    ledger.extend(day.movements().iter().cloned());
    assert_eq!(ledger.books(day.complete_at().unwrap()), day.books());
}
