//! What was released and is kept: readable for a while, first to go, and in no stream but HQ's new beginning.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    config::Acknowledge,
    event::Event,
    outbox::{
        Begin, Outbox, OutboxError, StoredVerdict, chain_begin, chain_next,
        engine::open_sled,
        fixture::{End, Shop, now, page, read_all, sales},
        layout::{self, META},
        meta::LAYOUT_VERSION,
    },
};

fn at(days: i64) -> DateTime<Utc> {
    now() + TimeDelta::days(days)
}

/// Captures so many records of a number on, each in a chunk of its own, and releases them.
fn released(outbox: &Outbox, ids: std::ops::Range<u32>, now: DateTime<Utc>) {
    for id in ids {
        outbox.capture(page(outbox, sales(id..id + 1))).unwrap();
    }
    let level = outbox.level();
    outbox.acknowledge(level.epoch, level.durable);
    outbox.tend(Acknowledge::Broker, true, now).unwrap();
    assert_eq!(outbox.level().released, level.durable);
}

/// The numbers of the events that can be read.
fn readable(outbox: &Outbox) -> Vec<u64> {
    read_all(outbox, 0).unwrap().iter().map(|event| event.sequence).collect()
}

fn subjects(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.draft.subject.as_str()).collect()
}

#[test]
fn what_was_released_is_kept_for_a_week() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    released(&outbox, 0..3, at(0));
    released(&outbox, 3..5, at(3));
    let level = outbox.level();
    assert_eq!((level.first_kept, level.queued_bytes, level.percent()), (1, 0, 0));
    assert!(level.kept_bytes > 0);
    outbox.tend(Acknowledge::Broker, true, at(6)).unwrap();
    assert_eq!(readable(&outbox), [1, 2, 3, 4, 5]);
    // To forget them is no reason to write.
    let bytes = std::fs::read(shop.db()).unwrap();
    outbox.tend(Acknowledge::Broker, true, at(7)).unwrap();
    assert_eq!((readable(&outbox), outbox.level().first_kept), (vec![4, 5], 4));
    assert_eq!(outbox.level().kept_bytes, level.kept_bytes);
    assert!(std::fs::read(shop.db()).unwrap() == bytes, "the file changed");
    // The next release takes them along.
    released(&outbox, 5..6, at(7));
    assert_eq!(readable(&outbox), [4, 5, 6]);
    assert!(outbox.level().kept_bytes < level.kept_bytes);
    outbox.tend(Acknowledge::Broker, true, at(30)).unwrap();
    assert_eq!((readable(&outbox).len(), outbox.level().first_kept), (0, 7));
}

#[test]
fn what_is_kept_survives_any_end() {
    for end in [End::Killed, End::Power] {
        let shop = Shop::new();
        let outbox = shop.open_sound();
        released(&outbox, 0..3, now());
        outbox.capture(page(&outbox, sales(3..5))).unwrap();
        let (level, events) = (outbox.level(), read_all(&outbox, 0).unwrap());
        shop.end(outbox, end);
        let outbox = shop.open_sound();
        let opened = outbox.level();
        assert_eq!((opened.released, opened.durable, opened.first_kept), (3, 5, 1));
        assert_eq!((opened.kept_bytes, opened.queued_bytes), (level.kept_bytes, level.queued_bytes));
        assert_eq!(read_all(&outbox, 0).unwrap(), events);
        // Also where nothing waits.
        released(&outbox, 5..6, now());
        outbox.settle(Acknowledge::Broker).unwrap();
        drop(outbox);
        let outbox = shop.open_sound();
        assert_eq!((outbox.level().released, outbox.level().queued_bytes), (6, 0));
        released(&outbox, 6..7, now());
        assert_eq!(readable(&outbox), [1, 2, 3, 4, 5, 6, 7]);
    }
}

/// Captures until the outbox is full; gives how many records were taken.
fn fill(outbox: &Outbox, from: u32) -> u32 {
    let level = outbox.level();
    for id in from.. {
        match outbox.capture(page(outbox, sales(id * 10..(id + 1) * 10))) {
            Ok(_) => {}
            Err(OutboxError::Full { .. }) => return id - from,
            Err(error) => panic!("{error}"),
        }
        let now = outbox.level();
        assert!(now.kept_bytes == 0 || now.queued_bytes + now.kept_bytes <= now.limit_bytes, "{now:?}");
        assert!(now.kept_bytes <= level.kept_bytes, "{now:?}");
    }
    unreachable!("a bounded store takes no endless number of records")
}

#[test]
fn what_is_kept_has_an_eighth_and_gives_way_to_what_waits() {
    let mut shop = Shop::new();
    shop.options.max_bytes = 256 * 1024;
    let outbox = shop.open_sound();
    for round in 0..40 {
        released(&outbox, round * 10..(round + 1) * 10, now());
        let level = outbox.level();
        assert!(level.kept_bytes <= shop.options.max_bytes / 8, "{level:?}");
        assert_eq!((level.is_full(), level.percent()), (false, 0));
        assert_eq!(readable(&outbox), (level.first_kept..=level.durable).collect::<Vec<_>>());
    }
    let level = outbox.level();
    assert!(level.first_kept > 1 && level.kept_bytes > shop.options.max_bytes / 10, "{level:?}");
    let taken = fill(&outbox, 1_000);
    let full = outbox.level();
    assert_eq!((full.kept_bytes, full.first_kept), (0, full.released + 1));
    // As many as a store that keeps nothing.
    let mut other = Shop::new();
    other.options.max_bytes = shop.options.max_bytes;
    let difference = i64::from(fill(&other.open_sound(), 1_000)) - i64::from(taken);
    assert!(difference.abs() <= 2, "{difference}");
    // What was stored is whole, and the books agree after a restart.
    assert_eq!(readable(&outbox).len() as u64, full.durable - full.released);
    drop(outbox);
    let outbox = shop.open_sound();
    assert_eq!((outbox.level().queued_bytes, outbox.level().kept_bytes), (full.queued_bytes, 0));
}

#[test]
fn a_new_stream_does_not_have_what_is_kept_unless_hq_begins_anew() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    outbox.take_generation(1, true, std::collections::BTreeMap::new()).unwrap();
    released(&outbox, 0..3, now());
    outbox.capture(page(&outbox, sales(3..5))).unwrap();
    let before = read_all(&outbox, 0).unwrap();
    outbox.begin_stream(Begin { generation: Some(2), proven: true, ..Begin::default() }).unwrap();
    let level = outbox.level();
    assert_eq!((level.released, level.first_kept, level.durable), (0, 1, 2));
    assert!(level.kept_bytes > 0, "it stays for a word of HQ");
    assert_eq!(subjects(&read_all(&outbox, 0).unwrap()), subjects(&before[3..]));
    // Numbers of the old stream mean nothing in the new one.
    assert_eq!(outbox.read(level.epoch, 0, 1).unwrap()[0].draft, before[3].draft);
    released(&outbox, 20..21, now());
    let word = Begin { generation: Some(3), keep: true, restart_token: Some("again".to_owned()), ..Begin::default() };
    outbox.begin_stream(word).unwrap();
    let level = outbox.level();
    assert_eq!((level.released, level.acknowledged, level.first_kept, level.durable), (0, 0, 1, 6));
    assert_eq!((level.kept_bytes, level.restart_token.as_deref()), (0, Some("again")));
    assert!(level.restarted_at.is_some() && !level.generation_proven);
    assert_eq!(readable(&outbox), [1, 2, 3, 4, 5, 6]);
    assert_eq!(subjects(&read_all(&outbox, 0).unwrap()[..5]), subjects(&before));
    // HQ repeats its word; the store knows it in any later stream, and after any end.
    shop.end(outbox, End::Power);
    let outbox = shop.open_sound();
    assert_eq!(readable(&outbox), [1, 2, 3, 4, 5, 6]);
    outbox.begin_stream(Begin { generation: Some(4), ..Begin::default() }).unwrap();
    assert_eq!(outbox.level().restart_token.as_deref(), Some("again"));
    drop(outbox);
    assert_eq!(shop.open_sound().level().restart_token.as_deref(), Some("again"));
}

#[test]
fn what_was_kept_and_sent_anew_is_as_young_as_its_new_release() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    released(&outbox, 0..3, at(0));
    released(&outbox, 3..4, at(4));
    outbox.begin_stream(Begin { keep: true, ..Begin::default() }).unwrap();
    released(&outbox, 4..5, at(5));
    outbox.tend(Acknowledge::Broker, true, at(11)).unwrap();
    assert_eq!(readable(&outbox), [1, 2, 3, 4, 5]);
    outbox.tend(Acknowledge::Broker, true, at(12)).unwrap();
    assert!(readable(&outbox).is_empty());
}

#[test]
fn a_token_has_a_bound() {
    let outbox = Shop::new().open_sound();
    let stream = outbox.level().stream_id;
    let token = Some("t".repeat(super::super::TOKEN_MAX_BYTES + 1));
    let refused = outbox.begin_stream(Begin { restart_token: token, ..Begin::default() });
    assert!(matches!(refused, Err(OutboxError::TooLong { .. })));
    assert_eq!((outbox.level().stream_id, outbox.level().closed), (stream, None));
}

/// Takes the rows of the chunk that begins at a number out of the store, or puts rubbish in their place.
fn spoil(shop: &Shop, number: u64, rubbish: bool) {
    let db = open_sled(&shop.store()).unwrap();
    for key in db.range(layout::chunk_key(number, 0)..=layout::chunk_key(number, u16::MAX)).keys() {
        let key = key.unwrap();
        if rubbish {
            // The head is whole, what follows is not.
            let mut value = db.get(&key).unwrap().unwrap().to_vec();
            value.truncate(24);
            db.insert(key, value).unwrap();
        } else {
            db.remove(key).unwrap();
        }
    }
    db.flush().unwrap();
}

#[test]
fn damage_among_what_was_delivered_is_no_damage() {
    for rubbish in [false, true] {
        let shop = Shop::new();
        let outbox = shop.open_sound();
        released(&outbox, 0..5, now());
        outbox.capture(page(&outbox, sales(5..7))).unwrap();
        drop(outbox);
        spoil(&shop, 3, rubbish);
        let outbox = shop.open_sound();
        assert_eq!(readable(&outbox), [1, 2, 6, 7]);
        assert_eq!(outbox.level().closed, None);
        // No stream may have a hole.
        outbox.begin_stream(Begin { generation: Some(2), keep: true, ..Begin::default() }).unwrap();
        let level = outbox.level();
        assert_eq!((readable(&outbox), level.durable), (vec![1, 2, 3, 4], 4));
        drop(outbox);
        let outbox = shop.open_sound();
        assert_eq!((outbox.level().queued_bytes, outbox.level().kept_bytes), (level.queued_bytes, level.kept_bytes));
        // It leaves as everything does.
        outbox.forget_kept().unwrap();
        assert_eq!((readable(&outbox), outbox.level().kept_bytes), (vec![1, 2, 3, 4], 0));
    }
}

#[test]
fn a_hole_among_what_was_delivered_costs_no_event_that_waits() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    released(&outbox, 0..5, now());
    outbox.capture(page(&outbox, sales(5..7))).unwrap();
    drop(outbox);
    // Its bytes are missed in the books: whoever makes room by them alone goes on to the next chunk.
    spoil(&shop, 5, false);
    let outbox = shop.open_sound();
    outbox.acknowledge(outbox.level().epoch, 6);
    outbox.tend(Acknowledge::Broker, true, now()).unwrap();
    outbox.forget_kept().unwrap();
    // The hole stands before 6, which was delivered, too.
    assert_eq!(readable(&outbox), [7]);
    drop(outbox);
    assert_eq!(readable(&shop.open_sound()), [6, 7]);
}

#[test]
fn a_due_event_that_is_missing_behind_what_is_kept_is_damage() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    released(&outbox, 0..3, now());
    outbox.capture(page(&outbox, sales(3..4))).unwrap();
    outbox.capture(page(&outbox, sales(4..5))).unwrap();
    drop(outbox);
    spoil(&shop, 4, false);
    assert!(!shop.open().unwrap().findings.is_empty());
    // So is an end before what was released: the numbers would be given to others.
    let shop = Shop::new();
    let outbox = shop.open_sound();
    released(&outbox, 0..3, now());
    outbox.settle(Acknowledge::Broker).unwrap();
    drop(outbox);
    spoil(&shop, 3, false);
    assert!(!shop.open().unwrap().findings.is_empty());
}

#[test]
fn a_read_that_meets_a_removal_gets_what_is_still_there() {
    let mut shop = Shop::new();
    // Little is kept, so that much is removed.
    shop.options.max_bytes = 128 * 1024;
    let outbox = shop.open_sound();
    outbox.take_generation(1, true, std::collections::BTreeMap::new()).unwrap();
    let stream = outbox.stream().unwrap().id;
    let done = AtomicBool::new(false);
    let epoch = outbox.level().epoch;
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut gaps = 0;
            while !done.load(Ordering::SeqCst) {
                let after = outbox.level().released.saturating_sub(30);
                let events = outbox.read(epoch, after, 500).unwrap();
                gaps += u64::from(events.first().is_some_and(|event| event.sequence > after + 1));
                for pair in events.windows(2) {
                    assert!(pair[0].sequence < pair[1].sequence);
                }
            }
            gaps
        });
        let mut chain = chain_begin(stream);
        for commit in 0..120_u32 {
            let before = outbox.level().durable;
            for id in commit * 10..commit * 10 + 10 {
                outbox.capture(page(&outbox, sales(id..id + 1))).unwrap();
            }
            let events = read_all(&outbox, before).unwrap();
            chain = events.iter().fold(chain, |chain, event| chain_next(chain, event.draft.content));
            // HQ's word comes while its events go out again.
            assert_eq!(outbox.stored(stream, before + 10, chain).unwrap(), StoredVerdict::Released);
        }
        done.store(true, Ordering::SeqCst);
        assert!(reader.join().unwrap() < u64::MAX);
    });
    let level = outbox.level();
    assert_eq!((level.closed, level.released, level.durable), (None, 1_200, 1_200));
    assert!(level.first_kept > 1, "something was removed");
}

#[test]
fn a_word_whose_chain_fits_is_the_proof_whatever_the_broker_said() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    outbox.take_generation(1, true, std::collections::BTreeMap::new()).unwrap();
    outbox.capture(page(&outbox, sales(0..10))).unwrap();
    let stream = outbox.stream().unwrap().id;
    outbox.acknowledge(outbox.level().epoch, 2);
    let contents: Vec<_> = read_all(&outbox, 0).unwrap().iter().map(|event| event.draft.content).collect();
    let chain =
        |through: usize| contents[..through].iter().fold(chain_begin(stream), |chain, id| chain_next(chain, *id));
    let fits = |through: u64, chain| outbox.fits(stream, through, chain).unwrap();
    assert!(fits(7, Some(chain(7))) && fits(10, None) && fits(10, Some(chain(10))));
    assert!(!fits(7, Some(chain(6))) && !fits(11, None) && !fits(11, Some(chain(10))));
    assert_eq!(outbox.stored(stream, 7, chain(6)).unwrap(), StoredVerdict::Forged);
    assert_eq!(outbox.stored(stream, 11, chain(10)).unwrap(), StoredVerdict::TooHigh);
    assert_eq!(outbox.level().undelivered(Acknowledge::Feed), 10);
    assert_eq!(outbox.level().undelivered(Acknowledge::Broker), 8);
    assert_eq!(outbox.stored(stream, 7, chain(7)).unwrap(), StoredVerdict::Released);
    let level = outbox.level();
    assert_eq!((level.released, level.acknowledged, level.first_kept), (7, 7, 1));
    assert!(outbox.fits(stream, 7, None).unwrap(), "what was released was proven");
    assert_eq!((level.undelivered(Acknowledge::Feed), level.undelivered(Acknowledge::Broker)), (3, 3));
    outbox.acknowledge(level.epoch, 9);
    assert_eq!(outbox.stored(stream, 10, chain(10)).unwrap(), StoredVerdict::Released);
    drop(outbox);
    let level = shop.open_sound().level();
    assert_eq!((level.released, level.acknowledged), (10, 10));
}

#[test]
fn a_store_of_an_older_version_goes_on() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    outbox.take_generation(1, false, std::collections::BTreeMap::new()).unwrap();
    // The middle of a chunk: what was released of it stands there in such a store, too.
    outbox.capture(page(&outbox, sales(0..4))).unwrap();
    outbox.capture(page(&outbox, sales(4..10))).unwrap();
    outbox.acknowledge(outbox.level().epoch, 6);
    outbox.settle(Acknowledge::Broker).unwrap();
    let stream = outbox.level().stream_id;
    outbox.forget_kept().unwrap();
    drop(outbox);
    let db = open_sled(&shop.store()).unwrap();
    let mut meta: serde_json::Value = serde_json::from_slice(&db.get(META).unwrap().unwrap()).unwrap();
    let members = meta.as_object_mut().unwrap();
    members.remove("generation_proven").expect("it is written");
    members.remove("released_on").expect("it is written");
    members.insert("version".to_owned(), 1.into());
    assert_eq!(members.len(), 8, "{members:?}");
    db.insert(META, meta.to_string().as_bytes()).unwrap();
    db.flush().unwrap();
    drop(db);
    let outbox = shop.open_sound();
    let level = outbox.level();
    assert_eq!((level.released, level.durable, level.stream_id), (6, 10, stream));
    assert!(level.generation_proven, "its stream goes on unchanged");
    assert_eq!(readable(&outbox), [5, 6, 7, 8, 9, 10]);
    released(&outbox, 10..11, now());
    drop(outbox);
    // An older program is told that it cannot read it: it would take what is kept for damage.
    let db = open_sled(&shop.store()).unwrap();
    let meta: serde_json::Value = serde_json::from_slice(&db.get(META).unwrap().unwrap()).unwrap();
    assert_eq!(meta["version"], LAYOUT_VERSION);
}

#[test]
fn a_generation_that_is_proven_later_is_noted() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    assert!(!outbox.level().generation_proven);
    outbox.take_generation(7, false, std::collections::BTreeMap::new()).unwrap();
    assert!(!outbox.level().generation_proven);
    outbox.take_generation(8, true, std::collections::BTreeMap::new()).unwrap();
    assert!(!outbox.level().generation_proven, "that is another one");
    outbox.take_generation(7, true, std::collections::BTreeMap::new()).unwrap();
    shop.end(outbox, End::Power);
    let outbox = shop.open_sound();
    assert_eq!((outbox.stream().unwrap().generation, outbox.level().generation_proven), (7, true));
    outbox.take_generation(7, false, std::collections::BTreeMap::new()).unwrap();
    assert!(outbox.level().generation_proven);
}

#[test]
fn an_order_to_take_over_holds_until_the_next_stream() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    released(&outbox, 0..3, now());
    outbox.begin_stream(Begin::default()).unwrap();
    outbox.capture(page(&outbox, sales(3..5))).unwrap();
    assert_eq!((outbox.level().take_over, outbox.order_take_over().unwrap()), (None, 2));
    outbox.capture(page(&outbox, sales(5..6))).unwrap();
    assert_eq!(outbox.order_take_over().unwrap(), 2, "what came since goes into the new stream");
    shop.end(outbox, End::Power);
    let outbox = shop.open_sound();
    assert_eq!(outbox.level().take_over, Some(2));
    outbox.begin_stream(Begin::default()).unwrap();
    assert_eq!(outbox.level().take_over, None);
    drop(outbox);
    assert_eq!(shop.open_sound().level().take_over, None);
}
