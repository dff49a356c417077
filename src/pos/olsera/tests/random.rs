//! Random shops, servers, faults and restarts, by both APIs. A failing seed is in the panic's text; `OLSERA_SEED` replays
//! it, `PROPTEST_CASES` runs more.

use std::{env, panic};

use chrono::TimeDelta;

use super::world::{Faults, TestBox, at, jakarta};
use crate::{
    demo::{
        olsera::{Options, Order, Profile, Spelling},
        shop::{Chance, Kind, Sale},
        simulator::Simulator as _,
    },
    gap::GapReason,
    pos::world,
};

const CASES: u64 = 4;

fn random_options(chance: &mut Chance, profile: Profile) -> Options {
    let spellings = [Spelling::Text, Spelling::Numbers, Spelling::Mixed];
    let mut options = Options::new(jakarta(), profile);
    options.spelling = spellings[chance.below(3) as usize];
    match profile {
        Profile::Documented => match chance.below(4) {
            0 => options.honours_page = true,
            1 => options.honours_offset = true,
            _ => options.refuses_unknown = chance.happens(50),
        },
        Profile::OpenApi => {
            options.prepared_for = TimeDelta::minutes(i64::from(chance.below(3)) * 15);
            options.order = [Order::NewestFirst, Order::OldestFirst][chance.below(2) as usize];
            options.lists_times = chance.happens(50);
            options.cap_rows = [100, 40][chance.below(2) as usize];
        }
    }
    options
}

fn a_box_of_chance(seed: u64, profile: Profile) {
    let mut chance = Chance::new(seed);
    let options = random_options(&mut chance, profile);
    let reaches_back = profile == Profile::OpenApi || options.honours_page || options.honours_offset;
    let begin = at("2026-05-01T07:00:00+07:00");
    let mut test = TestBox::new("2026-05-02T10:00:00+07:00", options);
    // Fewer polls: only reading rows takes time here.
    test.poll_every = TimeDelta::minutes(2);
    test.restart();
    let days = 3;
    for n in 0..60 + chance.below(120) * chance.below(3) {
        let sold = begin + TimeDelta::seconds(i64::from(chance.below(days * 86_400)));
        let late = if chance.happens(10) { chance.below(36 * 3_600) } else { chance.below(5) };
        let known = sold + TimeDelta::seconds(i64::from(late));
        let sale = Sale::plain(&format!("s-{n}"), i64::from(1_000 + chance.below(9_000)), sold);
        test.server.put_at(known, sale.clone());
        let later = known + TimeDelta::minutes(i64::from(chance.below(600)) + 1);
        match chance.below(20) {
            0 => test.server.put_at(later, Sale { total: sale.total + sale.total, ..sale }),
            1 => test.server.remove(&sale.id, later),
            2 if profile == Profile::OpenApi => test.server.put_at(later, Sale { kind: Kind::Void, ..sale }),
            3 if profile == Profile::OpenApi => {
                // The payment goes and comes again.
                test.server.put_at(later, Sale { kind: Kind::Order, ..sale.clone() });
                test.server.put_at(later + TimeDelta::hours(3), sale);
            }
            _ => {}
        }
    }
    let (requests_per_mille, restarts_per_10_000) = (chance.below(150).into(), i64::from(chance.below(20)) * 10);
    test.faults = Faults { requests_per_mille, restarts_per_10_000, ..Faults::default() };
    test.chance = world::Chance::new(seed + 1);
    for _ in 0..chance.below(3) {
        test.run(TimeDelta::minutes(i64::from(chance.below(900))));
        test.pass(TimeDelta::minutes(i64::from(chance.below(1_200))));
    }
    test.run(TimeDelta::days(2));
    test.faults = Faults::default();
    if chance.happens(20) {
        test.wipe();
    }
    test.run(TimeDelta::hours(40));
    let mut differences = test.differences();
    if !reaches_back {
        // Whether one that fell behind the newest is gone cannot be seen.
        differences.retain(|text| !text.ends_with("is held and gone") && !text.contains("optional: true"));
    }
    assert_eq!(differences, Vec::<String>::new());
    assert!(test.progress().complete, "{:?}", test.progress());
    let closable = |gap: &&crate::gap::Gap| reaches_back || gap.reason == GapReason::Unreadable;
    assert_eq!(test.gaps.iter().filter(closable).collect::<Vec<_>>(), Vec::<&crate::gap::Gap>::new());
}

#[test]
fn whatever_happens_the_box_ends_with_what_the_source_shows() {
    let seeds = match env::var("OLSERA_SEED") {
        Ok(seed) => seed.parse::<u64>().map(|seed| seed..seed + 1).unwrap(),
        Err(_) => 0..env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(CASES),
    };
    for seed in seeds {
        for profile in [Profile::Documented, Profile::OpenApi] {
            if let Err(panic) = panic::catch_unwind(|| a_box_of_chance(seed, profile)) {
                eprintln!("replay with OLSERA_SEED={seed}, {profile:?}");
                panic::resume_unwind(panic);
            }
        }
    }
}
