//! The power is cut again and again while sales come in and acknowledgements flow.

use std::{thread, time::Duration};

use tillbox::demo::shop::Chance;

use crate::parts::stage::Stage;

const KILLS: u32 = 8;
const SALES_BETWEEN: u32 = 40;

#[test]
fn kills_lose_nothing_where_the_broker_acknowledges() {
    kill_again_and_again("broker", 1);
}

#[test]
fn kills_lose_nothing_where_the_feed_acknowledges() {
    kill_again_and_again("feed", 2);
}

fn kill_again_and_again(acknowledge: &'static str, seed: u64) {
    let mut chance = Chance::new(seed);
    let stage = Stage::new(acknowledge);
    stage.shop.sold_before(400);
    for _ in 0..KILLS {
        let mut daemon = stage.start();
        let moments = 2 + chance.below(6);
        for _ in 0..moments {
            stage.shop.sell(SALES_BETWEEN / moments);
            // The moment of the kill is the point here, not something that is waited for.
            thread::park_timeout(Duration::from_millis(u64::from(100 + chance.below(600))));
        }
        daemon.kill();
    }
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);
    daemon.wait_for("all is at HQ", |report| report["lights"]["sync"] == "steady_wink");
    daemon.stop();
    assert_eq!(stage.hq.record().streams.len(), 1, "a kill is no sign of a lost tail");
}
