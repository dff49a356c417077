//! Random shops, servers, faults and restarts. A failing seed is in the panic's text; `QASIR_SEED` replays it,
//! `PROPTEST_CASES` runs more.

use std::{env, panic};

use chrono::{DateTime, TimeDelta, Utc};

use super::world::{Chance, Faults, Sale, Source, TestBox, Traits, at};

const CASES: u64 = 6;

/// Midnight in Jakarta.
fn first_day() -> DateTime<Utc> {
    at("2026-03-01T00:00:00+07:00")
}

fn random_traits(chance: &mut Chance) -> Traits {
    Traits {
        includes: [(true, true), (true, false), (false, false)][usize::try_from(chance.below(3)).unwrap()],
        newest_first: chance.per_mille(500),
        naive_times: chance.per_mille(500),
        refuses_offset: chance.per_mille(250),
        cap: if chance.per_mille(200) { 20 + usize::try_from(chance.below(80)).unwrap() } else { 100 },
        ..Traits::default()
    }
}

/// Some days of a shop: rush hours, sales in one second, late uploads, edits, refunds, back-dated rows.
fn random_shop(chance: &mut Chance, traits: Traits, days: i64) -> Source {
    let mut source = Source { traits, ..Source::default() };
    let fractions = chance.per_mille(300);
    // Few shops are big: in a debug build reading rows is slow.
    let sales = 10 + if chance.per_mille(100) { chance.below(400) } else { chance.below(120) };
    let end = first_day() + TimeDelta::days(days);
    for day in 0..days {
        let midnight = first_day() + TimeDelta::days(day);
        let rush = 8 + chance.below(12);
        for n in 0..sales {
            let hour = if chance.per_mille(400) { rush } else { 7 + chance.below(15) };
            let mut at = midnight + TimeDelta::seconds(hour * 3_600 + chance.below(3_600));
            if fractions {
                at += TimeDelta::milliseconds(chance.below(1_000));
            }
            let known = match chance.below(100) {
                0..4 => at + TimeDelta::minutes(chance.below(240)),
                4..6 => at + TimeDelta::minutes(chance.below(36 * 60)),
                _ => at + TimeDelta::seconds(chance.below(3)),
            };
            let known = known.min(end);
            let amount = if chance.per_mille(30) { -1_000 } else { 1_000 + chance.below(1_000) };
            let mut versions = vec![(known, Some(amount))];
            if chance.per_mille(30) {
                versions.push(((known + TimeDelta::minutes(chance.below(600))).min(end), Some(amount.abs() + 1)));
            }
            if chance.per_mille(15) {
                versions.push(((known + TimeDelta::minutes(chance.below(50 * 60))).min(end), None));
                versions.sort_by_key(|(known, _)| *known);
            }
            source.put(&format!("{day}-{n}"), Sale { at, versions });
        }
        // Several sales in one second; sometimes more than one answer can hold, or close to it on both sides.
        if chance.per_mille(400) {
            let second = midnight + TimeDelta::seconds(12 * 3_600 + chance.below(7_200));
            let full = i64::try_from(source.traits.cap).unwrap();
            let shape = [(0, full + 5, 0), (full * 2 / 3, full / 3, full * 2 / 3), (0, full - 1, 3), (5, 6, 7)];
            let (before, there, after) = shape[usize::try_from(chance.below(4)).unwrap()];
            // Of the full second some rows may go again.
            let shrinks = chance.per_mille(500);
            for (offset, rows) in [(-1, before), (0, there), (1, after)] {
                for n in 0..if fractions && offset != 0 { 0 } else { rows } {
                    let at = second + TimeDelta::seconds(offset);
                    let mut versions = vec![(at, Some(500 + n))];
                    if shrinks && n < 20 {
                        versions.push(((at + TimeDelta::hours(5)).min(end), None));
                    }
                    source.put(&format!("{day}-same-{offset}-{n}"), Sale { at, versions });
                }
            }
        }
    }
    source
}

fn random_faults(chance: &mut Chance, begin: DateTime<Utc>, until: DateTime<Utc>) -> Faults {
    let hours = (until - begin).num_hours();
    let outages = (0..chance.below(3)).map(|_| {
        let from = begin + TimeDelta::hours(chance.below(hours));
        (from, (from + TimeDelta::minutes(chance.below(40 * 60))).min(until))
    });
    Faults {
        outages: outages.collect(),
        requests_per_mille: chance.below(150),
        commits_per_mille: chance.below(60),
        restarts_per_10_000: chance.below(40),
        until: Some(until),
        next: Vec::new(),
    }
}

fn a_box_of_chance(seed: u64) {
    let mut chance = Chance::new(seed);
    let traits = random_traits(&mut chance);
    let source = random_shop(&mut chance, traits, 7);
    let begin = first_day() + TimeDelta::days(4) + TimeDelta::minutes(chance.below(1_440));
    let until = first_day() + TimeDelta::days(7);
    let poll_every = TimeDelta::seconds([120, 300, 600][usize::try_from(chance.below(3)).unwrap()]);
    let backfill = TimeDelta::days([1, 5, 90][usize::try_from(chance.below(3)).unwrap()]);
    let faults = random_faults(&mut chance, begin, until);
    let mut test = TestBox::new(source, begin, poll_every, backfill, seed);
    test.faults = faults;
    test.run_until(until);
    test.run_until(until + TimeDelta::hours(30));

    let since = test.progress().since.unwrap();
    let cap = test.server.traits.cap;
    let dense = test.server.dense_seconds(test.now, cap);
    let missing = test.missing(since);
    let unexcused: Vec<_> = missing
        .iter()
        .filter(|(_, sale)| !dense.iter().any(|second| sale.at.timestamp() == second.timestamp()))
        .collect();
    assert!(unexcused.is_empty(), "{} missing: {:?}", unexcused.len(), &unexcused[..unexcused.len().min(5)]);
    let fractions = test.server.sales.values().any(|sale| sale.at.timestamp_subsec_nanos() > 0);
    let dense: Vec<_> = dense.into_iter().filter(|second| *second >= since).collect();
    // With fractions the second before a dense one cannot be told from it where the end of a window is included.
    let before_dense = |gap: &DateTime<Utc>| fractions && dense.contains(&(*gap + TimeDelta::seconds(1)));
    let gaps: Vec<_> = test.truncated().into_iter().filter(|gap| !before_dense(gap)).collect();
    assert_eq!(gaps, dense, "gaps; {:?}", test.server.traits);
    assert!(test.progress().complete);
    // That none is told too early is checked as it is told; here, that each of the last two days is told at last.
    let told =
        |id: &str| test.vanished.iter().rev().find(|told| told.trim_start_matches('-') == format!("transaction/{id}"));
    let dense_too = |at: DateTime<Utc>| dense.iter().any(|second| (at - *second).abs() <= TimeDelta::seconds(1));
    for (id, sale) in &test.server.sales {
        let gone = test.has(id) && sale.shown(test.now).is_none();
        let reread = sale.at > test.now - TimeDelta::hours(44) && !dense_too(sale.at);
        assert!(!(gone && reread) || told(id).is_some_and(|told| told.starts_with('-')), "{id} of {} is gone", sale.at);
    }
    let minutes = usize::try_from((test.now - begin).num_minutes()).unwrap();
    assert!(test.asked.len() <= minutes * 8 + 10, "{} requests in {minutes} minutes", test.asked.len());
}

#[test]
fn whatever_happens_the_box_ends_with_what_the_source_shows() {
    let seeds = match env::var("QASIR_SEED") {
        Ok(seed) => seed.parse::<u64>().map(|seed| seed..seed + 1).unwrap(),
        Err(_) => 0..env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(CASES),
    };
    for seed in seeds {
        if let Err(panic) = panic::catch_unwind(|| a_box_of_chance(seed)) {
            eprintln!("replay with QASIR_SEED={seed}");
            panic::resume_unwind(panic);
        }
    }
}
