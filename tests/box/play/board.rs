//! The board itself: a chip that goes and comes back, lines at the end of the program, and a chip of another kind.

use super::{ALL_IS_WELL, LIGHTS, PATIENCE, Play, RECEIPT_READY};
use crate::{
    lamps::{Seen::Off, watch},
    wait::until,
};

pub(super) fn act(play: &mut Play) {
    play.expect_first_session();
    play.shows("everything is at HQ", ALL_IS_WELL);
    lost_chip(play);
    ends(play);
    own_chip(play);
}

/// The chip is pulled out and put in again while sales go on.
fn lost_chip(play: &mut Play) {
    play.machine.run("echo 0 >/sys/kernel/config/gpio-sim/box/live");
    play.expect_condition("line_lost", true);
    println!("  the chip is gone: {}", play.condition("line_lost").unwrap_or_default());
    (0..10).for_each(|_| play.world.sell());
    play.expect_proof("sales go on without lines");
    play.machine.run("echo 1 >/sys/kernel/config/gpio-sim/box/live");
    play.expect_condition("line_lost", false);
    play.shows("the lines are taken again", ALL_IS_WELL);
    play.expect_level(RECEIPT_READY, true, "receipt-ready is on again");
}

/// An ordered end, and one without a word.
fn ends(play: &mut Play) {
    play.machine.run("stop");
    play.expect_level(RECEIPT_READY, false, "receipt-ready is off after an ordered stop");
    play.shows("the program was stopped", [Off, Off, Off]);
    play.machine.run("start");
    play.shows("the program runs again", ALL_IS_WELL);

    // The kernel takes the lines back; what they are then is the driver's choice, and gpio-sim's is the pull.
    play.machine.run("stop -KILL");
    let left = watch(&mut play.machine, &[LIGHTS.as_slice(), &[RECEIPT_READY]].concat(), 1_000);
    let levels: Vec<_> = left.iter().map(|trace| u8::from(trace.edges[0].1)).collect();
    println!("  after SIGKILL the kernel leaves green, yellow, red and receipt-ready at {levels:?}");
    play.shows("the program was killed", [Off, Off, Off]);
    play.machine.run("start");
    play.shows("the program runs after SIGKILL", ALL_IS_WELL);
    play.expect_proof("nothing was lost by SIGKILL");
}

/// The same on a chip of another kind: lines are opened, driven and given back.
fn own_chip(play: &mut Play) {
    play.restart("pl061");
    play.machine.run("mount -t debugfs none /sys/kernel/debug 2>/dev/null; true");
    let driven = |play: &mut Play| {
        let held = play.machine.run("grep -A9 pl061 /sys/kernel/debug/gpio");
        held.lines().filter(|line| line.contains("tillbox") && line.contains("out")).count()
    };
    play.expect_session("the program runs on the machine's own chip");
    let all = until(PATIENCE, || driven(play) == 3).is_ok();
    println!("  on pl061, {} lines are driven", driven(play));
    play.expect(all, "three lines of pl061 are driven");
    play.machine.run("stop");
    let left = play.machine.run("grep -c tillbox /sys/kernel/debug/gpio; true");
    play.expect(left.trim() == "0", "the lines of pl061 are given back");
}
