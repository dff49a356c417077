//! The first boot, a box at which nothing happens, and sales that flow.

use std::time::{Duration, Instant};

use super::{PATIENCE, Play};
use crate::wait::{pass, until};

/// For how long an idle box is watched.
const IDLE: Duration = Duration::from_secs(30);

pub(super) fn act(play: &mut Play) {
    boot(play);
    idle(play);
    flow(play);
}

fn boot(play: &mut Play) {
    let started = play.machine.wait_for("BOX: the program starts", PATIENCE);
    play.expect(started.is_ok(), "the board boots");
    let user_space = play.machine.on_since.elapsed();
    play.expect_session("the box comes to HQ");
    let up = play.machine.on_since.elapsed();
    let sold = until(PATIENCE, || play.world.at_hq(|holdings| !holdings.states.is_empty()));
    let first = play.machine.on_since.elapsed();
    play.expect(sold.is_ok(), "the first boot brings the first sale to HQ");
    println!("  first boot, emulated: {} ms to the program", user_space.as_millis());
    println!("    program started → at HQ    {} ms", up.saturating_sub(user_space).as_millis());
    println!("    power → first sale at HQ   {} ms", first.as_millis());
    play.expect_proof("the sales of before the first boot reach HQ");
}

/// The processor's time and the memory of a box to which nothing happens.
fn idle(play: &mut Play) {
    play.restart("idle");
    play.expect_session("the program comes back after an ordered stop");
    pass(Duration::from_secs(10));
    let (before, begun) = (cpu_ticks(play), Instant::now());
    pass(IDLE);
    let (ticks, span) = (cpu_ticks(play) - before, begun.elapsed().as_millis());
    // A tick is 10 ms of one core.
    let per_mille = u128::from(ticks) * 10 * 1000 / span;
    println!("  idle, polling 2 connections every 15 s, emulated:");
    println!("    processor                  {}.{} % of a core ({ticks} ticks)", per_mille / 10, per_mille % 10);
    let memory = play.machine.run("grep -E 'VmRSS|RssAnon|VmHWM' /proc/$(cat /tmp/pid)/status");
    println!("    {}", memory.split_whitespace().collect::<Vec<_>>().join(" "));
}

fn cpu_ticks(play: &mut Play) -> u64 {
    let stat = play.machine.run("cat /proc/$(cat /tmp/pid)/stat");
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

fn flow(play: &mut Play) {
    play.restart("tillbox");
    play.expect_session("the program comes back with another config");
    for _ in 0..30 {
        play.world.sell();
        pass(Duration::from_millis(50));
    }
    play.expect_proof("sales flow to HQ");
}
