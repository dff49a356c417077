//! The card, and how much is kept on it.

use chrono::TimeDelta;
use tillbox::demo::shop::{Line, Sale};

use super::{ALL_IS_WELL, PATIENCE, Play, RECEIPT_READY};
use crate::{
    lamps::Seen::{Fast, Off, Slow, Steady},
    wait::until,
};

/// A slip of which a few hundred fill the outbox: so many lines, of names that no compression makes short.
const MANY_LINES: u32 = 200;
const NAME_CHARS: usize = 240;

/// So many such slips are rung up at a time: a step of about 5 %.
const SLIPS: u32 = 15;

/// Slips that a run needs at most: more would mean that the outbox does not fill.
const SLIPS_MAX: u32 = 900;

pub(super) fn act(play: &mut Play) {
    play.expect_first_session();
    play.shows("everything is at HQ", ALL_IS_WELL);
    play.expect_level(RECEIPT_READY, true, "receipt-ready is on while sales are durable");
    read_only_card(play);
    full_card(play);
    // Last, as every poll reads the long slips again.
    outbox_fills(play);
}

fn outbox_fills(play: &mut Play) {
    play.world.cut_line();
    let mut slips = 0;
    while queued_percent(play) <= 80 && slips < SLIPS_MAX {
        ring_up_many_lines(play, &mut slips);
    }
    play.shows("the outbox is above 80 %", [Slow, Fast, Off]);
    play.expect_level(RECEIPT_READY, true, "receipt-ready is on while there is room");
    while queued_percent(play) < 100 && slips < SLIPS_MAX {
        ring_up_many_lines(play, &mut slips);
    }
    println!("  {slips} slips of {MANY_LINES} lines fill the outbox to {} %", queued_percent(play));
    play.shows("the outbox is full", [Slow, Fast, Fast]);
    play.expect_level(RECEIPT_READY, false, "receipt-ready is off while the outbox is full");
    let said = play.machine.run("tillbox status --config \"$(cat /tmp/config)\"");
    play.expect(said.contains("reading has stopped"), "a full outbox says that reading has stopped");
    // They must wait at the point of sale.
    (0..20).for_each(|_| play.world.sell());
    play.world.mend_line();
    play.shows("the outbox is empty again", ALL_IS_WELL);
    play.expect_level(RECEIPT_READY, true, "receipt-ready is on again");
    play.expect_proof("nothing was lost while the outbox was full");
}

/// Rings up a few long slips, and waits until the box has them or has no room.
fn ring_up_many_lines(play: &mut Play, slips: &mut u32) {
    let newest = play.world.ago(60);
    let before = queued_percent(play);
    for number in *slips..*slips + SLIPS {
        let plain = Sale::plain(&format!("L-{number:06}"), 1_000, newest - TimeDelta::seconds((number % 400).into()));
        let line = |_| Line { name: play.world.noise(NAME_CHARS), ..plain.lines[0].clone() };
        let lines = (0..MANY_LINES).map(line).collect();
        play.world.ring_up(0, [Sale { lines, ..plain.clone() }]);
    }
    *slips += SLIPS;
    let _it_may_be_full = until(PATIENCE / 10, || queued_percent(play) > before);
}

/// How full the outbox is, by the running program's word.
fn queued_percent(play: &mut Play) -> u64 {
    let said = play.machine.run("tillbox status --json --config \"$(cat /tmp/config)\"");
    let overview: serde_json::Value = serde_json::from_str(&said).unwrap();
    let bytes = |name: &str| overview["outbox"][name].as_u64().unwrap();
    bytes("queued_bytes") * 100 / bytes("limit_bytes")
}

fn read_only_card(play: &mut Play) {
    // As the kernel does it with a card that fails. A forced remount would not do: without an error of its own, ext4 goes
    // on to take writes to open files, and says yes to each sync.
    play.machine.run("echo failing >/sys/fs/ext4/vda/trigger_fs_error");
    play.machine.run("test \"$(cat /sys/fs/ext4/vda/errors_count)\" -gt 0");
    (0..5).for_each(|_| play.world.sell());
    play.shows("the card cannot be written", [Slow, Off, Steady]);
    play.expect_level(RECEIPT_READY, false, "receipt-ready is off while the card cannot be written");
    // It takes a start of the box, or what amounts to it.
    play.machine.run("stop; umount /data && card && start");
    play.shows("the card can be written again", ALL_IS_WELL);
    play.expect_level(RECEIPT_READY, true, "receipt-ready is on again");
}

fn full_card(play: &mut Play) {
    play.machine.run(
        "dd if=/dev/zero of=/data/ballast bs=1M >/dev/null 2>&1; dd if=/dev/zero of=/data/more bs=512 >/dev/null 2>&1; true",
    );
    // What the store has claimed already takes some sales yet.
    (0..100).for_each(|_| play.world.sell());
    play.shows("the card is full", [Slow, Off, Fast]);
    play.expect_level(RECEIPT_READY, false, "receipt-ready is off while the card is full");
    play.machine.run("rm -f /data/ballast /data/more");
    play.shows("the card has room again", ALL_IS_WELL);
    play.expect_level(RECEIPT_READY, true, "receipt-ready is on again");
    play.expect_proof("nothing was lost by the card's faults");
}
