//! Random shop histories at every simulated system, by the box's own poll and outbox, with faults, restarts and wiped
//! boxes: once the faults end, HQ's states are what the source shows, each day's closing says what the books say, and
//! the open gaps are those that the source makes unavoidable.
//!
//! A failing seed is printed. `TILLBOX_SEED=qasir:17` replays one, and with `TILLBOX_ASKED=1` tells each request;
//! `TILLBOX_HISTORIES` says how many to play.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, reason = "a test stops where its stage cannot be set")]

mod history;
mod hq;
mod systems;
mod world;

use std::{env, panic, thread};

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use rust_decimal::Decimal;
use tillbox::{clock::Clock, closing::Calendar, demo::shop::Chance, zone::Zone};

use crate::{
    history::History,
    systems::System,
    world::{Faults, Setting, World},
};

/// Histories of all systems together, unless the environment says otherwise.
const HISTORIES: u64 = 1_000;

/// Days of a history; the box comes on the second.
const DAYS: u32 = 3;

/// After the last fault: the nightly reading must have come by.
const SETTLES_WITHIN: TimeDelta = TimeDelta::hours(27);

fn pick<T: Copy>(chance: &mut Chance, of: &[T]) -> T {
    of[chance.below(u32::try_from(of.len()).unwrap()) as usize]
}

fn random_faults(chance: &mut Chance, begin: DateTime<Utc>, until: DateTime<Utc>) -> Faults {
    let minutes = u32::try_from((until - begin).num_minutes()).unwrap();
    let moment = |chance: &mut Chance| begin + TimeDelta::minutes(i64::from(chance.below(minutes)));
    let outages = (0..chance.below(3)).map(|_| {
        let from = moment(chance);
        (from, (from + TimeDelta::minutes(i64::from(chance.below(12 * 60)))).min(until))
    });
    let outages = outages.collect();
    let wipes = if chance.happens(30) { vec![moment(chance)] } else { Vec::new() };
    Faults { per_mille: chance.below(120), outages, restarts_per_10_000: chance.below(60), wipes, until }
}

/// Plays one history; panics with what is wrong.
fn play(system: System, seed: u64) {
    let mut chance = Chance::new(seed);
    let zone = pick(&mut chance, &["Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura", "Asia/Singapore"]);
    let day_starts = pick(&mut chance, &["00:00", "04:00"]);
    let first: DateTime<Utc> = Zone::load(zone).unwrap().day_begins("2026-03-01".parse().unwrap(), NaiveTime::MIN);
    let begin = first + TimeDelta::minutes(24 * 60 + i64::from(chance.below(20 * 60)));
    let until = first + TimeDelta::days(i64::from(DAYS));
    let clock = Clock::standing_at(begin);
    let simulator = system.simulator(&mut chance, &clock, zone);
    let history = History::random(&mut chance, first, DAYS, system.manners());
    simulator.play(&history.movements);
    for (at, id) in &history.removals {
        simulator.remove(id, *at);
    }
    let faults = random_faults(&mut chance, begin, until);
    let wiped = !faults.wipes.is_empty();
    let mut world = World::new(Setting {
        simulator,
        clock,
        zone,
        day_starts,
        poll_every: system.poll_every(&mut chance),
        backfill: pick(&mut chance, &["1d", "5d", "90d"]),
        faults,
        seed,
    });
    world.run_until(until + SETTLES_WITHIN);
    if env::var("TILLBOX_ASKED").is_ok() {
        history.removals.iter().for_each(|(at, id)| println!("{at} {id} disappears"));
        world.requests().iter().for_each(|(at, request)| println!("{at} {request}"));
    }
    let calendar =
        Calendar { zone: world.config.outlet.timezone.clone(), day_starts: world.config.outlet.business_day_starts };
    compare_states(&world, system, &calendar);
    compare_closings(&world, &calendar, begin, wiped);
    system.compare_gaps(&world);
    let minutes = (world.clock.now() - begin).num_minutes();
    let most = usize::try_from(minutes).unwrap() * world.config.pos[0].requests_per_minute as usize + 20;
    assert!(world.requests().len() <= most, "{} requests in {minutes} minutes", world.requests().len());
    let held = world.conditions();
    assert!(held.is_empty(), "{held:?}");
}

fn compare_states(world: &World, system: System, calendar: &Calendar) {
    let now = world.clock.now();
    let since = world.since.expect("told with the first answer");
    let sheet = world.simulator.sheet(now);
    let mut wrong = Vec::new();
    for (subject, entry) in &sheet {
        match world.hq.states.get(subject) {
            None if entry.optional || entry.at < since || system.excuses(world, entry) => {}
            None => wrong.push(format!("{subject} of {} is missing", entry.at)),
            Some(state) => {
                let signed = |subject: &str| {
                    let state = world.hq.states.get(subject)?;
                    Some(match state.kind.as_str() {
                        "sale" => state.amount,
                        "refund" => -state.amount,
                        _ => Decimal::ZERO,
                    })
                };
                let kinds: Vec<_> = entry.kinds.iter().map(|kind| kind.name()).collect();
                let counts = matches!(state.kind.as_str(), "sale" | "refund");
                let date = calendar.day_of(entry.at).to_string();
                let balanced = entry.balances.as_deref().is_none_or(|other| {
                    (signed(subject).unwrap_or_default() + signed(other).unwrap_or_default()).is_zero()
                });
                let right = kinds.contains(&state.kind.as_str())
                    && state.amount == entry.total
                    && (!counts || state.business_date == date)
                    && balanced;
                let excused = entry.at < since || entry.optional && system.excuses(world, entry);
                if !right && !excused {
                    wrong.push(format!("{subject}: {state:?}, expected {entry:?}"));
                }
            }
        }
    }
    for (subject, state) in world.hq.states.iter().filter(|(subject, _)| !sheet.contains_key(*subject)) {
        // What vanished stays as it was; a new box cannot know of what vanished before it came.
        if !world.hq.vanished.contains(subject) && !world.is_replaced() {
            wrong.push(format!("{subject} is not shown by the source: {state:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong, such as {:#?}", wrong.len(), &wrong[..wrong.len().min(6)]);
    assert_eq!(world.hq.quarantined, 0);
}

/// Each business day that was over has a closing; one that says that it is complete says what HQ has.
fn compare_closings(world: &World, calendar: &Calendar, begin: DateTime<Utc>, wiped: bool) {
    let now = world.clock.now();
    let last = calendar.day_of(now).pred_opt().unwrap();
    let mut date = calendar.day_of(begin).succ_opt().unwrap();
    while date <= last && calendar.bounds(date).1 + TimeDelta::hours(7) < now {
        let name = date.to_string();
        let closing = world.hq.closings.get(&name);
        let closing = closing.unwrap_or_else(|| panic!("no closing of {name}: {:?}", world.hq.closings.keys()));
        let mut told: Vec<_> = closing["totals"].as_array().unwrap().iter().collect();
        told.retain(|line| line["count"] != 0);
        let told: Vec<(String, u64, Decimal)> = told
            .iter()
            .map(|line| {
                let sum = Decimal::from_str_exact(line["sum"].as_str().unwrap()).unwrap();
                (line["kind"].as_str().unwrap().to_owned(), line["count"].as_u64().unwrap(), sum)
            })
            .collect();
        let has: Vec<_> = world.hq.day(&name).into_iter().map(|(kind, (count, sum))| (kind, count, sum)).collect();
        // A new box cannot see what vanished before it came, and HQ keeps it.
        let sheet = world.simulator.sheet(now);
        let mut that_day = world.hq.states.iter().filter(|(_, state)| state.business_date == name);
        let unseen = wiped && that_day.any(|(subject, _)| !sheet.contains_key(subject));
        let comparable = closing["complete"] == true && !unseen;
        let (mut told, mut has) = (told, has);
        told.sort();
        has.sort();
        assert!(!comparable || told == has, "{name}: the closing says {told:?}, HQ has {has:?}");
        assert!(!comparable || closing["digest"] == world.hq.digest(&name), "{name}: another digest than HQ's");
        let gaps = world.outbox().open_gaps();
        let (from, to) = calendar.bounds(date);
        let open = gaps.values().flatten().any(|gap| gap.from < to && from < gap.to);
        assert!(closing["complete"] == true || open || wiped, "{name} is not complete: {closing}");
        date = date.succ_opt().unwrap();
    }
}

#[test]
fn whatever_happens_hq_ends_with_what_the_source_shows() {
    if let Ok(replay) = env::var("TILLBOX_SEED") {
        let (system, seed) = replay.split_once(':').expect("TILLBOX_SEED is SYSTEM:NUMBER");
        return play(System::of_name(system), seed.parse().expect("TILLBOX_SEED is SYSTEM:NUMBER"));
    }
    let count = env::var("TILLBOX_HISTORIES").map_or(HISTORIES, |text| text.parse().expect("a number"));
    let workers = u64::try_from(thread::available_parallelism().map_or(1, Into::into)).unwrap();
    let all: Vec<(System, u64)> = System::TURNS.iter().copied().cycle().zip(0..count).collect();
    let failed: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|worker| {
                let all = &all;
                scope.spawn(move || {
                    let mine =
                        all.iter().skip(usize::try_from(worker).unwrap()).step_by(usize::try_from(workers).unwrap());
                    mine.filter(|(system, seed)| {
                        let (system, seed) = (*system, *seed);
                        let failed = panic::catch_unwind(move || play(system, seed)).is_err();
                        if failed {
                            eprintln!("replay with TILLBOX_SEED={}:{seed}", system.name());
                        }
                        failed
                    })
                    .map(|(system, seed)| format!("TILLBOX_SEED={}:{seed}", system.name()))
                    .take(5)
                    .collect::<Vec<_>>()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "replay with {}", failed.join(" or "));
    println!("{count} histories");
}
