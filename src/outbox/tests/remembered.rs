//! Nonces, and what brokers are known to hold.

use std::fs;

use crate::{
    config::Acknowledge,
    event::StreamId,
    outbox::{
        BROKERS_MAX, NONCE_MAX_BYTES, NONCES_MAX, OutboxError,
        fixture::{End, Shop, now, page, sales},
    },
};

const STREAM: StreamId = StreamId([7; 16]);

#[test]
fn a_nonce_is_on_the_device_before_it_is_told() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    outbox.add_nonce("one").unwrap();
    outbox.add_nonce("one").unwrap();
    shop.end(outbox, End::Power);
    let outbox = shop.open_sound();
    assert!(outbox.knows_nonce("one") && !outbox.knows_nonce("two"));
    let long = "n".repeat(NONCE_MAX_BYTES + 1);
    assert!(matches!(outbox.add_nonce(&long), Err(OutboxError::TooLong { .. })));
    // A new stream is the same box.
    outbox.begin_stream(crate::outbox::Begin::default()).unwrap();
    drop(outbox);
    assert!(shop.open_sound().knows_nonce("one"));
}

#[test]
fn the_oldest_nonce_is_forgotten() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    for number in 0..NONCES_MAX {
        outbox.add_nonce(&number.to_string()).unwrap();
    }
    assert!(outbox.knows_nonce("0"));
    outbox.add_nonce("one more").unwrap();
    let newest = (NONCES_MAX - 1).to_string();
    let known =
        |outbox: &crate::outbox::Outbox| ["0", "1", newest.as_str(), "one more"].map(|nonce| outbox.knows_nonce(nonce));
    assert_eq!(known(&outbox), [false, true, true, true]);
    drop(outbox);
    let outbox = shop.open_sound();
    assert_eq!(known(&outbox), [false, true, true, true]);
    outbox.add_nonce("and another").unwrap();
    assert!(!outbox.knows_nonce("1") && outbox.knows_nonce("2"));
}

#[test]
fn what_was_told_is_known_beside_a_store_that_was_put_aside() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    outbox.add_nonce("told").unwrap();
    outbox.note_retained("hq:1883", STREAM, 5).unwrap();
    let lost = outbox.reading(|_| Err::<(), _>(OutboxError::Damaged("a test".to_owned())));
    assert!(lost.is_err());
    // The files are gone from under it.
    fs::remove_dir_all(shop.store()).unwrap();
    assert!(!outbox.tend(Acknowledge::Feed, false, now()).unwrap().is_empty());
    assert!(outbox.knows_nonce("told"));
    outbox.settle(Acknowledge::Feed).unwrap();
    drop(outbox);
    let outbox = shop.open_sound();
    assert!(outbox.knows_nonce("told"), "it stands in the new store as well");
    assert_eq!(outbox.retained("hq:1883").unwrap().acknowledged, 5);
}

#[test]
fn the_first_word_of_a_broker_and_of_a_stream_is_flushed_and_later_ones_ride_along() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    assert_eq!(outbox.retained("hq:1883"), None);
    outbox.note_retained("hq:1883", STREAM, 5).unwrap();
    let syncs = shop.syncs();
    outbox.note_retained("hq:1883", STREAM, 9).unwrap();
    assert_eq!(shop.syncs(), syncs, "a later number writes nothing");
    assert_eq!(outbox.retained("hq:1883").unwrap().acknowledged, 9);
    shop.end(outbox, End::Power);
    let outbox = shop.open_sound();
    assert_eq!(outbox.retained("hq:1883").unwrap().acknowledged, 5);
    // A release takes it along.
    outbox.note_retained("hq:1883", STREAM, 12).unwrap();
    outbox.capture(page(&outbox, sales(0..2))).unwrap();
    outbox.acknowledge(outbox.level().epoch, 2);
    outbox.tend(Acknowledge::Broker, true, now()).unwrap();
    outbox.capture(page(&outbox, sales(2..3))).unwrap();
    shop.end(outbox, End::Power);
    let outbox = shop.open_sound();
    assert_eq!(outbox.retained("hq:1883").unwrap().acknowledged, 12);
    // So does an ordered stop.
    outbox.note_retained("hq:1883", STREAM, 13).unwrap();
    outbox.settle(Acknowledge::Broker).unwrap();
    shop.end(outbox, End::Power);
    let outbox = shop.open_sound();
    assert_eq!(outbox.retained("hq:1883").unwrap().acknowledged, 13);
    // Another stream is flushed again, and what was sent again is remembered beside it.
    outbox.note_resent("hq:1883", now()).unwrap();
    outbox.note_retained("hq:1883", StreamId([8; 16]), 1).unwrap();
    shop.end(outbox, End::Power);
    let retained = shop.open_sound().retained("hq:1883").unwrap();
    assert_eq!((retained.stream, retained.acknowledged), (StreamId([8; 16]).to_string(), 1));
    assert_eq!(retained.resent, Some(now()));
}

#[test]
fn the_broker_that_was_spoken_of_least_lately_is_forgotten() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    for number in 0..BROKERS_MAX {
        outbox.note_retained(&format!("hq-{number}:1883"), STREAM, 1).unwrap();
    }
    outbox.note_retained("hq-0:1883", STREAM, 2).unwrap();
    outbox.note_retained("another:1883", STREAM, 1).unwrap();
    let known = |outbox: &crate::outbox::Outbox| {
        ["hq-0:1883", "hq-1:1883", "hq-2:1883", "another:1883"].map(|broker| outbox.retained(broker).is_some())
    };
    assert_eq!(known(&outbox), [true, false, true, true]);
    drop(outbox);
    assert_eq!(known(&shop.open_sound()), [true, false, true, true]);
}
