//! What is written, what is remembered, and what readers see.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use chrono::TimeDelta;

use crate::{
    amount::Amount,
    config::Acknowledge,
    content::ContentId,
    outbox::{
        Capture,
        fixture::{End, SHOP, Shop, notice, now, page, read_all, sale, sales, unreadable},
    },
    transaction::{Flag, Kind, Transaction},
};

#[test]
fn no_news_writes_nothing() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    let first = Capture { cursor: Some(b"one".to_vec()), ..page(&outbox, sales(0..50)) };
    outbox.capture(first).unwrap();
    let (syncs, bytes) = (shop.syncs(), std::fs::read(shop.db()).unwrap());
    let again = Capture { cursor: Some(b"two".to_vec()), ..page(&outbox, sales(0..50)) };
    assert_eq!(outbox.capture(again).unwrap().events, 0);
    outbox.tend(Acknowledge::Feed, true, now()).unwrap();
    outbox.tend(Acknowledge::Broker, true, now()).unwrap();
    assert_eq!(outbox.cursor(SHOP).unwrap().unwrap(), b"two");
    assert_eq!(shop.syncs(), syncs);
    assert!(std::fs::read(shop.db()).unwrap() == bytes, "the file changed");
    // A cut forgets the cursor that moved alone; a stop keeps it.
    shop.end(outbox, End::Power);
    let outbox = shop.open_sound();
    assert_eq!(outbox.cursor(SHOP).unwrap().unwrap(), b"one");
    let again = Capture { cursor: Some(b"two".to_vec()), ..page(&outbox, sales(0..50)) };
    assert_eq!(outbox.capture(again).unwrap().events, 0);
    outbox.settle(Acknowledge::Feed).unwrap();
    drop(outbox);
    assert_eq!(shop.open_sound().cursor(SHOP).unwrap().unwrap(), b"two");
}

#[test]
fn every_capture_is_synced_before_it_returns() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    for id in 0..20 {
        let before = shop.syncs();
        outbox.capture(page(&outbox, vec![sale(id, 0, 1)])).unwrap();
        assert!(shop.syncs() > before, "capture {id} returned without a sync");
    }
    shop.end(outbox, End::Power);
    assert_eq!(shop.open_sound().level().durable, 20);
}

#[test]
fn an_identity_whose_time_was_edited_is_found() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    outbox.capture(page(&outbox, vec![sale(1, 0, 2), unrelated()])).unwrap();
    drop(outbox);
    // The locator is built again from the store.
    let outbox = shop.open_sound();
    let captured = outbox.capture(page(&outbox, vec![sale(1, 0, 200)])).unwrap();
    assert_eq!((captured.new, captured.changed), (0, 1));
    let captured = outbox.capture(page(&outbox, vec![sale(1, 1, 2)])).unwrap();
    assert_eq!((captured.new, captured.changed), (0, 1));
    let last = read_all(&outbox, 3).unwrap().pop().unwrap();
    let record: Transaction = serde_json::from_str(&last.draft.data).unwrap();
    assert_eq!(record.revision, 3);
}

fn unrelated() -> Transaction {
    sale("unrelated", 0, 2)
}

#[test]
fn what_was_seen_expires_by_time() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    let at = |days: i64, transactions| Capture { now: now() + TimeDelta::days(days), ..page(&outbox, transactions) };
    outbox.capture(at(0, sales(0..10))).unwrap();
    assert_eq!(outbox.capture(at(29, sales(0..10))).unwrap().events, 0);
    // The record changes as its hour is about to leave: it must not be forgotten with it.
    let captured = outbox.capture(at(31, vec![sale(1, 7, 1)])).unwrap();
    assert_eq!((captured.new, captured.changed), (0, 1));
    assert_eq!(outbox.capture(at(32, vec![sale(1, 7, 1)])).unwrap().events, 0, "it was told a day ago");
    assert_eq!(outbox.capture(at(32, vec![sale(2, 0, 1)])).unwrap().new, 1, "it expired");
}

#[test]
fn totals_are_exact() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    let mut refund = sale("r", 0, 1);
    refund.kind = Kind::Refund;
    refund.amount = Amount::parse("0.10").unwrap();
    let captured = outbox.capture(page(&outbox, vec![sale(1, 0, 1), sale(2, 5, 1), refund])).unwrap();
    assert_eq!(captured.new_sales.len(), 2, "a refund is no sale");
    outbox.capture(page(&outbox, vec![sale(1, 2, 1)])).unwrap();
    outbox.capture(Capture { quarantined: vec![unreadable(1)], ..page(&outbox, vec![]) }).unwrap();
    let day = sale(1, 0, 1).business_date;
    let days = outbox.day_totals(SHOP, day).unwrap();
    let totals = &days[&day];
    let currency = sale(1, 0, 1).currency;
    assert_eq!(totals.sums[&(Kind::Sale, currency)], (2, Some(Amount::parse("30007").unwrap())));
    assert_eq!(totals.sums[&(Kind::Refund, currency)], (1, Some(Amount::parse("0.1").unwrap())));
    assert_eq!(totals.sequences, (2, 4));
    let mut refund = sale("r", 0, 1);
    refund.kind = Kind::Refund;
    refund.amount = Amount::parse("0.10").unwrap();
    let states = [("1", sale(1, 2, 1)), ("2", sale(2, 5, 1)), ("r", refund)];
    let lines = states.map(|(id, state)| format!("transaction/{id} {}\n", state.content_id())).concat();
    assert_eq!(totals.digest, ContentId::of_bytes(lines.as_bytes()).0);
    assert!(outbox.day_totals(SHOP, day.succ_opt().unwrap()).unwrap().is_empty());
}

#[test]
fn reading_begins_and_ends_anywhere() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    // Chunks of 64 KiB, of one, and of a page.
    outbox.capture(page(&outbox, sales(0..150))).unwrap();
    outbox.capture(page(&outbox, sales(150..151))).unwrap();
    outbox.capture(page(&outbox, sales(151..200))).unwrap();
    let epoch = outbox.level().epoch;
    let all = read_all(&outbox, 0).unwrap();
    assert_eq!(all.iter().map(|event| event.sequence).collect::<Vec<_>>(), (1..=200).collect::<Vec<_>>());
    for after in 0..200 {
        for most in [1, 2, 60] {
            let read = outbox.read(epoch, after, most).unwrap();
            let after = usize::try_from(after).unwrap();
            assert!(read.len() >= most.min(200 - after), "after {after}");
            assert_eq!(read[..], all[after..after + read.len()]);
        }
    }
    assert!(outbox.read(epoch, 200, 10).unwrap().is_empty());
    assert!(outbox.read(epoch, 900, 10).unwrap().is_empty());
}

#[test]
fn numbers_go_on_after_everything_left() {
    let shop = Shop::new();
    for round in 0..3_u32 {
        let outbox = shop.open_sound();
        outbox.capture(page(&outbox, sales(round * 10..round * 10 + 10))).unwrap();
        let level = outbox.level();
        assert_eq!(level.durable, u64::from(round + 1) * 10);
        // The middle of a chunk: it stays until it is released whole.
        outbox.acknowledge(level.epoch, level.durable - 4);
        outbox.tend(Acknowledge::Broker, true, now()).unwrap();
        assert_eq!(outbox.level().released, level.durable - 4);
        assert_eq!(outbox.level().queued_bytes, level.queued_bytes);
        outbox.acknowledge(level.epoch, level.durable);
        outbox.tend(Acknowledge::Broker, true, now()).unwrap();
        assert_eq!((outbox.level().released, outbox.level().queued_bytes), (level.durable, 0));
        outbox.settle(Acknowledge::Broker).unwrap();
    }
}

#[test]
fn readers_see_whole_durable_commits_only() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    let done = AtomicBool::new(false);
    let epoch = outbox.level().epoch;
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut next = 0;
            while !done.load(Ordering::SeqCst) || next < outbox.level().durable {
                for event in outbox.read(epoch, next, 64).unwrap() {
                    assert_eq!(event.sequence, next + 1);
                    assert!(event.sequence <= outbox.level().durable);
                    next = event.sequence;
                }
                outbox.acknowledge(epoch, next);
                outbox.day_totals(SHOP, now().date_naive()).unwrap();
            }
            next
        });
        for commit in 0..60_u32 {
            outbox.capture(page(&outbox, sales(commit * 20..commit * 20 + 20))).unwrap();
            outbox.tend(Acknowledge::Broker, true, now()).unwrap();
        }
        done.store(true, Ordering::SeqCst);
        assert_eq!(reader.join().unwrap(), 1_200);
    });
}

fn item(name: &str) -> serde_json::Value {
    serde_json::json!({
        "line_id": null, "product_id": null, "sku": null, "name": name, "quantity": "1", "unit_price": null,
        "list_price": null, "net_unit_price": null, "discount": null, "taxes": [], "line_total": null, "modifiers": []
    })
}

#[test]
fn a_large_event_goes_without_its_lines_and_always_fits() {
    for (limit, field) in [(16 * 1024, "items"), (16 * 1024, "extra"), (16 * 1024, "outlet"), (4 * 1024, "items")] {
        let mut shop = Shop::new();
        shop.options.event_max_bytes = limit;
        let outbox = shop.open_sound();
        outbox.take_generation(1, true, std::collections::BTreeMap::new()).unwrap();
        let mut record = serde_json::to_value(sale("\"".repeat(128), 0, 1)).unwrap();
        let long = "n".repeat(20 * 1024);
        let lines: Vec<_> = (0..200).map(|line| item(&format!("{line} {}", &long[..100]))).collect();
        match field {
            "items" => record["items"] = lines.into(),
            "extra" => record["extra"] = serde_json::json!({ "note": long }),
            _ => record["outlet"]["name"] = long.into(),
        }
        let record: Transaction = serde_json::from_str(&record.to_string()).unwrap();
        let (amount, content) = (record.amount, record.content_id());
        outbox.capture(page(&outbox, vec![record])).unwrap();
        let event = read_all(&outbox, 0).unwrap().pop().unwrap();
        assert!(event.envelope(&outbox.stream().unwrap()).len() <= limit, "{field}");
        let told: Transaction = serde_json::from_str(&event.draft.data).unwrap();
        assert!(told.flags.contains(&Flag::ItemsOmitted) && told.items.is_none());
        assert_eq!((told.amount, event.draft.content), (amount, content));
    }
}

#[test]
fn large_events_are_stored_in_parts_and_come_back_equal() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    // Text that cannot be made smaller.
    let mut chance = 1_u64;
    let mut noise = || {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + u8::try_from(chance >> 60).unwrap() * 5 + u8::try_from(chance >> 33 & 3).unwrap())
    };
    let mut records = sales(0..3);
    for record in &mut records {
        let text: String = (0..110 * 1024).map(|_| noise()).filter(|c| !"\"\\".contains(*c)).collect();
        record.extra.insert("text".to_owned(), text.into());
    }
    let expected = records.clone();
    for chunk in 0..40 {
        outbox.capture(page(&outbox, sales(1_000 + chunk * 10..1_010 + chunk * 10))).unwrap();
    }
    outbox.capture(page(&outbox, records)).unwrap();
    assert!(outbox.level().queued_bytes > 150 * 1024);
    shop.end(outbox, End::Power);
    let outbox = shop.open_sound();
    let events = read_all(&outbox, 400).unwrap();
    for (event, expected) in events.iter().zip(&expected) {
        assert_eq!(serde_json::from_str::<Transaction>(&event.draft.data).unwrap(), *expected);
    }
    assert_eq!(std::fs::read_dir(shop.store().join("blobs")).unwrap().count(), 0);
    outbox.tell(vec![notice("after it")], now()).unwrap();
}
