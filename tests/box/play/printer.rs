//! The printer's contacts, and the pulses that a counter follows.

use std::time::{Duration, Instant};

use tillbox::{board::pulses::Pulses, demo::shop::Sale};

use super::{ALL_IS_WELL, PAPER_END, PAPER_LOW, PATIENCE, PRINTER_FAULT, Play, RECEIPT_PULSE};
use crate::{
    lamps::{
        Seen::{Off, Slow},
        Trace, record, recorded,
    },
    wait::{pass, until},
};

/// A burst that a counter must follow.
const BURST: u32 = 1_000;

/// A burst that a restart cuts short.
const SHORT_BURST: u32 = 200;

/// After this long without an edge a burst is over.
const QUIET: Duration = Duration::from_secs(3);

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
    let told = |play: &Play| play.machine.console().matches("out of paper").count();
    let before = told(play);
    play.machine.run(&format!("chatter {PAPER_END} 150"));
    play.shows("paper end chattered", ALL_IS_WELL);
    play.expect(before > 0 && told(play) == before, "a contact that chatters is no fault");
}

fn pulses(play: &mut Play) {
    record(&mut play.machine, RECEIPT_PULSE);
    pass(QUIET);
    let idle = recorded(&mut play.machine);
    play.expect(idle.edges.is_empty(), "what was sold long ago gives no pulse");

    // At the shop whose answers hold 100 rows: the other one is asked for each order, ten in a second at most.
    play.world.ring_up(0, sales(play, "B", BURST, 1));
    let pulses = pulses_until_quiet(play);
    let (on, off) = (pulses.stays_ms(true), pulses.stays_ms(false));
    println!(
        "  {BURST} sales: {} pulses in {} ms",
        on.len(),
        pulses.end_ms - pulses.edges.first().map_or(0, |edge| edge.0)
    );
    let told = |stays: &[u64]| (stays.first().copied().unwrap_or(0), stays.get(stays.len() / 2).copied().unwrap_or(0));
    println!("  (shortest, median) in ms: on {:?}, off {:?}", told(&on), told(&off));
    play.expect(on.len() == BURST as usize, "a burst of sales is as many pulses");
    // The shortest is told and not asserted: on a busy machine a level is written later than was decided.
    let usual = told(&on).1.min(told(&off).1);
    play.expect(usual >= Pulses::HALF_MS - 1, "a counter can follow the pulses");
    play.expect_proof("the burst is at HQ");

    play.world.ring_up(0, sales(play, "C", SHORT_BURST, 1));
    let begins = until(PATIENCE, || play.level(RECEIPT_PULSE)).is_ok();
    play.expect(begins, "another burst begins");
    pass(Duration::from_secs(2));
    play.restart("tillbox");
    play.expect_session("the program comes back amid a burst");
    record(&mut play.machine, RECEIPT_PULSE);
    pass(QUIET);
    let owed = recorded(&mut play.machine);
    play.expect(owed.edges.is_empty(), "a restart owes no pulse");
    play.expect_proof("the burst is at HQ after the restart");
}

/// New sales, spread over some minutes from so many seconds ago on.
fn sales(play: &Play, name: &'static str, count: u32, seconds: u32) -> impl Iterator<Item = Sale> + use<> {
    let newest = play.world.ago(seconds);
    (0..count).map(move |number| {
        let at = newest - chrono::TimeDelta::seconds((number % 400).into());
        Sale::plain(&format!("{name}-{number:06}"), 1_000, at)
    })
}

/// What was recorded, once no more comes.
fn pulses_until_quiet(play: &mut Play) -> Trace {
    let begun = Instant::now();
    let mut before = recorded(&mut play.machine);
    loop {
        pass(QUIET);
        let now = recorded(&mut play.machine);
        if now == before && !now.edges.is_empty() || begun.elapsed() > PATIENCE * 2 {
            return now;
        }
        before = now;
    }
}
