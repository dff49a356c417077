//! How often the source is asked once all is read.

use std::env;

use chrono::{DateTime, TimeDelta, Utc};

use super::world::{Chance, Sale, Source, TestBox, at};

fn shop(sales_a_day: i64, days: i64) -> Source {
    let mut chance = Chance::new(7);
    let mut source = Source::default();
    // Weights of the hours from 7 on: two rush hours.
    let hours = [2, 5, 8, 7, 6, 14, 13, 7, 5, 5, 8, 12, 10, 6, 2];
    for day in 0..days {
        let midnight = at("2026-03-01T00:00:00+07:00") + TimeDelta::days(day);
        for n in 0..sales_a_day {
            let mut drawn = chance.below(hours.iter().sum());
            let hour = hours
                .iter()
                .position(|weight| {
                    drawn -= weight;
                    drawn < 0
                })
                .unwrap();
            let at = midnight + TimeDelta::seconds((7 + i64::try_from(hour).unwrap()) * 3_600 + chance.below(3_600));
            source.put(&format!("{day}-{n}"), Sale { at, versions: vec![(at, Some(1_000 + n))] });
        }
    }
    source
}

/// Requests per hour over some hours in steady state, and minutes that the backfill of all days takes.
fn rates(sales_a_day: i64, days: i64, hours: i64) -> (usize, i64) {
    let start = at("2026-03-01T10:00:00+07:00") + TimeDelta::days(days);
    let mut test = TestBox::new(shop(sales_a_day, days + 2), start, TimeDelta::seconds(15), TimeDelta::days(90), 1);
    test.run_till(TimeDelta::days(2), |test| test.progress().complete);
    let backfill = test.now - start;
    let missing = test.missing(DateTime::<Utc>::MIN_UTC);
    assert!(missing.iter().all(|(_, sale)| sale.at > test.now - TimeDelta::minutes(1)), "{missing:?}");
    let day = test.now + TimeDelta::minutes(10);
    test.run_until(day);
    test.run_until(day + TimeDelta::hours(hours));
    (test.requests_since(day) / usize::try_from(hours).unwrap(), backfill.num_minutes())
}

#[test]
fn the_steady_load_stays_far_below_the_limit() {
    // A day and more of history take minutes in a debug build.
    let (days, hours) = if env::var_os("PROPTEST_CASES").is_some() { (10, 24) } else { (2, 3) };
    for (sales_a_day, per_hour_max) in [(300, 280), (1_500, 340)] {
        let (per_hour, backfill_minutes) = rates(sales_a_day, days, hours);
        println!("{sales_a_day} sales a day: {per_hour} requests an hour, backfill in {backfill_minutes} minutes");
        assert!(per_hour <= per_hour_max, "{per_hour} requests an hour");
    }
}
