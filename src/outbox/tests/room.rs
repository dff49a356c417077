//! No room: refused, never dropped.

use crate::{
    config::Acknowledge,
    outbox::{
        Outbox, OutboxError,
        fixture::{Shop, notice, now, page, read_all, sales},
    },
};

/// Captures until the outbox is full; gives how many records were taken.
fn fill(outbox: &Outbox) -> u32 {
    for round in 0.. {
        match outbox.capture(page(outbox, sales(round * 100..(round + 1) * 100))) {
            Ok(_) => {}
            Err(OutboxError::Full { queued_bytes, limit_bytes }) => {
                assert!(queued_bytes >= limit_bytes);
                return round * 100;
            }
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("a bounded store takes no endless number of records")
}

#[test]
fn records_are_refused_and_notices_go_on() {
    let mut shop = Shop::new();
    shop.options.max_bytes = 512 * 1024;
    let outbox = shop.open_sound();
    let taken = fill(&outbox);
    assert!(outbox.level().is_full() && outbox.level().percent() >= 100);
    outbox.tell(vec![notice("the outbox is full")], now()).unwrap();
    let level = outbox.level();
    assert_eq!(level.durable, u64::from(taken) + 1);
    // What was refused is as unknown as before.
    outbox.acknowledge(level.epoch, level.durable);
    outbox.tend(Acknowledge::Broker, false, now()).unwrap();
    assert!(!outbox.level().is_full());
    assert_eq!(outbox.capture(page(&outbox, sales(taken..taken + 100))).unwrap().new, 100);
    assert_eq!(read_all(&outbox, level.durable).unwrap().len(), 100);
}

#[test]
fn even_notices_have_a_bound() {
    let mut shop = Shop::new();
    shop.options.max_bytes = 64 * 1024;
    let outbox = shop.open_sound();
    let mut chance = 1_u64;
    let refused = (0..20_000).any(|_| {
        let text: String = (0..2_000)
            .map(|_| {
                chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'a' + u8::try_from(chance >> 60).unwrap())
            })
            .collect();
        matches!(outbox.tell(vec![notice(&text); 20], now()), Err(OutboxError::Full { .. }))
    });
    assert!(refused);
}
