//! Records that cannot be read, and sales that no answer shows whole.

use rust_decimal::Decimal;
use tillbox::demo::shop::Sale;

use super::{ALL_IS_WELL, PATIENCE, Play};
use crate::{
    lamps::Seen::{Fast, Off, Slow},
    wait::until,
};

/// Sales in one second that no answer of 100 rows can hold.
const BEYOND_ONE_ANSWER: u32 = 120;

pub(super) fn act(play: &mut Play) {
    play.expect_first_session();
    play.shows("everything is at HQ", ALL_IS_WELL);

    // 29 digits: one more than an amount can hold.
    let sale = Sale::plain("U-000001", 1_000, play.world.ago(30));
    let unreadable = Sale { total: Decimal::from_i128_with_scale(10_i128.pow(28), 0), ..sale.clone() };
    play.world.ring_up(0, [unreadable]);
    play.shows("a record was put aside", [Slow, Fast, Off]);
    let told = until(PATIENCE, || {
        play.world
            .status("/report/connections")
            .is_some_and(|connections| connections.to_string().contains(r#""put_aside":1"#))
    });
    play.expect(told.is_ok(), "HQ knows that one record was put aside");
    play.world.ring_up(0, [sale]);
    play.expect_proof("the record comes once it can be read");
    // For a day it shows that something was put aside; a program that begins anew has nothing to show.
    play.restart("tillbox");
    play.shows("nothing was put aside", ALL_IS_WELL);

    let at = play.world.ago(5);
    play.world.ring_up(0, (0..BEYOND_ONE_ANSWER).map(|number| Sale::plain(&format!("X-{number:06}"), 1_000, at)));
    play.shows("a gap is open", [Slow, Fast, Off]);
}
