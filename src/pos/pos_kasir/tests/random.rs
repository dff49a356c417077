//! Random histories with faults: once they end, HQ holds what the sheet allows.

use chrono::TimeDelta;

use super::world::{Faults, TestBox, morning};
use crate::{
    demo::shop::{Chance, Kind, Sale},
    pos::world,
};

fn history(seed: u64) {
    let mut tillbox = TestBox::new(|options| {
        if seed.is_multiple_of(3) {
            "admin".clone_into(&mut options.users[0].role);
        }
    });
    let mut chance = Chance::new(seed);
    tillbox.chance = world::Chance::new(seed ^ 0xA5A5);
    tillbox.poll_every = TimeDelta::minutes(1);
    tillbox.restart();
    let number = |below: u32| i64::from(below);
    let span_minutes = 40 * 60;
    for n in 0..180_u32 {
        let sold = morning() + TimeDelta::minutes(number(chance.below(span_minutes)) - 600);
        let late = if chance.below(8) == 0 { TimeDelta::minutes(number(chance.below(600))) } else { TimeDelta::zero() };
        let id = format!("R-{n}");
        let sale = Sale::plain(&id, 1_000 + number(chance.below(90)) * 500, sold);
        let mut known = sold + late;
        let first = [Kind::Sale, Kind::Sale, Kind::Order, Kind::Void];
        let first = first[usize::try_from(chance.below(4)).unwrap()];
        tillbox.server.put_at(known, Sale { kind: first, ..sale.clone() });
        for _ in 0..chance.below(4) {
            known += TimeDelta::seconds(number(chance.below(4 * 3_600)));
            let next = match chance.below(5) {
                0 => Sale { kind: Kind::Order, ..sale.clone() },
                1 => Sale { kind: Kind::Void, ..sale.clone() },
                2 => Sale::plain(&id, 2_000 + number(chance.below(90)) * 500, sold),
                3 => {
                    Sale { kind: Kind::Refund, refund_of: Some(id.clone()), ..Sale::plain(&format!("{id}r"), 1, known) }
                }
                _ => sale.clone(),
            };
            tillbox.server.put_at(known, next);
        }
    }
    tillbox.faults =
        Faults { requests_per_mille: 30, commits_per_mille: 10, restarts_per_10_000: 20, ..Faults::default() };
    tillbox.run(TimeDelta::hours(20));
    if seed % 4 == 1 {
        tillbox.wipe();
    }
    tillbox.run(TimeDelta::hours(22));
    tillbox.faults = Faults::default();
    tillbox.run(TimeDelta::hours(4));
    let differences = tillbox.differences();
    assert!(differences.is_empty(), "seed {seed}: {differences:#?}");
    assert!(tillbox.gaps.is_empty(), "seed {seed}: {:?}", tillbox.gaps);
    assert!(tillbox.progress().complete, "seed {seed}");
}

#[test]
fn whatever_happens_hq_holds_what_the_shop_did() {
    for seed in 0..6 {
        history(seed);
    }
}
