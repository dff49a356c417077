//! The printer's contacts, and the pulses that a counter follows.

use std::time::Duration;

use tillbox::{board::pulses::Pulses, demo::shop::Sale};

use super::{ALL_IS_WELL, PAPER_END, PAPER_LOW, PATIENCE, PRINTER_FAULT, Play, RECEIPT_PULSE};
use crate::{
    lamps::{
        Seen::{Off, Slow},
        watch, watch_while,
    },
    wait::{pass, until},
};

/// A burst that a counter must follow.
const BURST: u32 = 1_000;

/// A burst that a restart cuts short.
const SHORT_BURST: u32 = 200;

/// After this long without an edge a burst is over.
const QUIET_MS: u32 = 3_000;

pub(super) fn act(play: &mut Play) {
    // More than ten minutes old: no news for a counter.
    play.world.ring_up(0, sales(play, "O", 20, 700));
    play.expect_first_session();
    contacts(play);
    pulses(play);
}

fn contacts(play: &mut Play) {
    for (line, code, what) in [
        (PAPER_LOW, "paper_low", "paper low"),
        (PAPER_END, "paper_end", "paper end"),
        (PRINTER_FAULT, "printer_fault", "the printer's fault"),
    ] {
        play.machine.run(&format!("pull {line} up"));
        play.shows(what, [Slow, Off, Slow]);
        play.expect_condition(code, true);
        play.machine.run(&format!("pull {line} down"));
        play.expect_condition(code, false);
    }
    play.shows("the printer is well again", ALL_IS_WELL);
    let told = |play: &Play| play.world.at_hq(|holdings| holdings.notices.len());
    let before = told(play);
    play.machine.run(&format!("chatter {PAPER_END} 150"));
    play.shows("paper end chattered", ALL_IS_WELL);
    let known = play.machine.console().matches("out of paper").count();
    play.expect(told(play) == before && known <= 1, "a contact that chatters is no fault");
}

fn pulses(play: &mut Play) {
    let [idle] = one(watch(&mut play.machine, &[RECEIPT_PULSE], 3_000));
    play.expect(idle.rises() == 0, "what was sold long ago gives no pulse, and nothing is owed");

    let burst: Vec<_> = sales(play, "B", BURST, 1).collect();
    let world = &play.world;
    let [trace] = one(watch_while(&mut play.machine, &[RECEIPT_PULSE], 170_000, QUIET_MS, || {
        (0..2).for_each(|shop| world.ring_up(shop, burst.iter().skip(shop).step_by(2).cloned()));
    }));
    let shortest = |level| trace.stays().filter(|(of, _)| *of == level).map(|(_, ms)| ms).min().unwrap_or(0);
    let (on, off) = (shortest(true), shortest(false));
    println!("  {BURST} sales: {} pulses in {} ms, at least {on} ms on and {off} ms off", trace.rises(), trace.end_ms);
    println!("  no look was longer away than {} ms", trace.blind_ms);
    play.expect(trace.rises() == BURST as usize, "a burst of sales is as many pulses");
    // An edge is seen up to a look late.
    let half = Pulses::HALF_MS - 10;
    play.expect(on >= half && off >= half, "a counter can follow the pulses");
    play.expect(trace.blind_ms < half, "no pulse was missed");
    play.expect_proof("the burst is at HQ");

    play.world.ring_up(0, sales(play, "C", SHORT_BURST, 1));
    let begins = until(PATIENCE, || play.level(RECEIPT_PULSE)).is_ok();
    play.expect(begins, "another burst begins");
    pass(Duration::from_secs(2));
    play.restart("tillbox");
    play.expect_session("the program comes back amid a burst");
    let [owed] = one(watch(&mut play.machine, &[RECEIPT_PULSE], 6_000));
    play.expect(owed.rises() == 0, "a restart owes no pulse");
    play.expect_proof("the burst is at HQ after the restart");
}

/// New sales, spread over some minutes from so many seconds ago on.
fn sales(play: &Play, name: &'static str, count: u32, seconds: u32) -> impl Iterator<Item = Sale> + use<> {
    let newest = play.world.ago(seconds);
    (0..count).map(move |number| {
        let at = newest - chrono::TimeDelta::seconds((number % 240).into());
        Sale::plain(&format!("{name}-{number:06}"), 1_000, at)
    })
}

fn one<T: std::fmt::Debug>(traces: Vec<T>) -> [T; 1] {
    traces.try_into().unwrap()
}
