//! How often the source is asked once all is read.

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

/// Requests per hour over a day in steady state, and hours that the backfill of 10 days takes.
fn rates(sales_a_day: i64) -> (usize, i64) {
    let start = at("2026-03-11T21:00:00+07:00");
    let mut test = TestBox::new(shop(sales_a_day, 14), start, TimeDelta::seconds(15), TimeDelta::days(90), 1);
    test.run_till(TimeDelta::days(2), |test| test.progress().complete);
    let backfill = test.now - start;
    let missing = test.missing(DateTime::<Utc>::MIN_UTC);
    assert!(missing.iter().all(|(_, sale)| sale.at > test.now - TimeDelta::minutes(1)), "{missing:?}");
    let day = at("2026-03-12T07:00:00+07:00");
    test.run_until(day + TimeDelta::days(1));
    (test.requests_since(day) / 24, backfill.num_minutes())
}

#[test]
fn the_steady_load_stays_far_below_the_limit() {
    for (sales_a_day, per_hour_max) in [(300, 270), (1_500, 330)] {
        let (per_hour, backfill_minutes) = rates(sales_a_day);
        println!("{sales_a_day} sales a day: {per_hour} requests an hour, backfill in {backfill_minutes} minutes");
        assert!(per_hour <= per_hour_max, "{per_hour} requests an hour");
    }
}
