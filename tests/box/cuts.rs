//! Power cuts: the emulator is killed at moments of chance, and the box comes up again with the same card.
//!
//! Sales go on all the while. What must hold:
//! - Whatever the box told HQ, or told HQ that it holds, is in its store after the cut: a stream never stands behind
//!   itself, and no new stream begins.
//! - Every boot ends with a box that runs, without a hand.
//! - In the end HQ holds what the shops sold, each record once.

use std::time::{Duration, Instant};

use crate::{
    machine::{Machine, Parts},
    wait::{pass, until},
    world::World,
};

/// A box that is not back at HQ after so long needs a hand.
const RECOVERY_MAX: Duration = Duration::from_secs(120);

/// HQ holds the first sale within this; in the end, each such span brings it nearer to holding everything.
const PROOF_STEP: Duration = Duration::from_secs(60);

/// In the end, HQ holds everything within this: an order of POS Kasir is a request of its own.
const PROOF_MAX: Duration = Duration::from_secs(1_200);

/// Sales that wait when a backlog is drained.
const BACKLOG: u32 = 150;

/// While what the power is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum While {
    /// The store is opened, and what a cut left is put right.
    Opening,
    /// Sales come in and leave.
    Selling,
    /// A backlog leaves.
    Draining,
    /// The box stops in order, and removes what HQ has.
    Removing,
}

const TURNS: [While; 5] = [While::Selling, While::Opening, While::Draining, While::Selling, While::Removing];

/// What was found.
#[derive(Debug, Default)]
struct Tally {
    cuts: [u32; 4],
    /// Events that a store said it held, or that HQ has, and that were not there after a cut.
    lost: u64,
    hands: u32,
    longest_recovery: Duration,
    complaints: Vec<String>,
}

/// How far a stream was, by the box's own word and by what HQ has of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reached {
    stream: String,
    number: u64,
}

/// Cuts the power so many times; tells whether all of it held.
pub fn run(parts: &Parts, cuts: u32, seed: u64, without_sync: bool) -> bool {
    let begun = Instant::now();
    let mut world = World::open(&parts.folder, seed);
    parts.new_card();
    let environment = if without_sync { "LD_PRELOAD=/usr/lib/no-sync.so" } else { "" };
    parts.write_etc(&[("tillbox.toml", &world.config("1s", "")), ("environment", environment)]);
    let mut tally = Tally::default();
    // The first cut finds a box that has come up once.
    let mut reached = {
        let machine = parts.boot(0);
        world.sell();
        if !recovered(&mut world, &machine, None, &mut tally) {
            return report(&world, &tally, begun);
        }
        let held = until(PROOF_STEP, || world.proof().holds());
        tally.complain(held.is_err(), || format!("the first sale did not reach HQ\n{}", machine.console()));
        reached(&world)
    };
    for number in 1..=cuts {
        let turn = TURNS[number as usize % TURNS.len()];
        reached = cycle(parts, &mut world, turn, number, reached, &mut tally);
        tally.cuts[turn as usize] += 1;
        let told = reached.as_ref().map_or(0, |reached| reached.number);
        println!(
            "cut {number:>4} of {cuts}, {:<8}  {told:>6} events at HQ, {} lost, {} hands",
            format!("{turn:?}").to_lowercase(),
            tally.lost,
            tally.hands
        );
        if tally.hands > 0 {
            break;
        }
    }
    let machine = parts.boot(cuts + 1);
    world.mend_line();
    if recovered(&mut world, &machine, reached.as_ref(), &mut tally) {
        let proof = world.wait_while_nearing(PROOF_STEP, PROOF_MAX);
        tally.complain(!proof.holds(), || format!("the last box's console:\n{}", machine.console()));
    }
    report(&world, &tally, begun)
}

/// One boot, to its cut; gives how far the stream was then.
fn cycle(
    parts: &Parts,
    world: &mut World,
    turn: While,
    number: u32,
    before: Option<Reached>,
    tally: &mut Tally,
) -> Option<Reached> {
    let mut machine = parts.boot(number);
    if turn == While::Opening {
        let begins = machine.wait_for("BOX: the program starts", RECOVERY_MAX);
        tally.complain(begins.is_err(), || format!("the board did not come up:\n{}", machine.console()));
        let span = world.chance_ms(1_500);
        sell_for(world, span);
        machine.cut();
        return before;
    }
    if turn == While::Draining {
        // The box must have begun its line once: without the checkpoint it would publish nothing.
        world.cut_line();
        for _ in 0..BACKLOG {
            world.sell();
        }
        let kept = machine.wait_for("BOX: the program starts", RECOVERY_MAX);
        tally.complain(kept.is_err(), || format!("the board did not come up:\n{}", machine.console()));
        pass(Duration::from_secs(4) + world.chance_ms(2_000));
        world.mend_line();
    }
    if !recovered(world, &machine, before.as_ref(), tally) {
        return before;
    }
    if turn == While::Removing {
        sell_for(world, Duration::from_millis(500));
        let _it_may_be_gone = machine.try_run("stop >/dev/null 2>&1 &");
        pass(world.chance_ms(900));
    } else {
        // The first polls take a second or two: some cuts come before them.
        let span = world.chance_ms(5_000);
        sell_for(world, span);
    }
    machine.cut();
    reached(world).max_by_number(before)
}

trait MaxByNumber {
    fn max_by_number(self, other: Self) -> Self;
}

impl MaxByNumber for Option<Reached> {
    fn max_by_number(self, other: Self) -> Self {
        match (self, other) {
            (Some(one), Some(other)) if one.stream == other.stream && other.number > one.number => Some(other),
            (None, other) => other,
            (one, _) => one,
        }
    }
}

/// Something is sold, again and again.
fn sell_for(world: &mut World, span: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < span {
        world.sell();
        pass(world.chance_ms(120));
    }
}

/// Waits until the box is back at HQ, and compares how far its store is with how far it was.
fn recovered(world: &mut World, machine: &Machine, before: Option<&Reached>, tally: &mut Tally) -> bool {
    if until(RECOVERY_MAX, || world.is_new_session()).is_err() {
        tally.hands += 1;
        tally.complaints.push(format!("the box did not come back:\n{}", machine.console()));
        return false;
    }
    tally.longest_recovery = tally.longest_recovery.max(machine.on_since.elapsed());
    if let (Some(before), Some(now)) = (before, told(world)) {
        if now.stream != before.stream {
            tally.complaints.push(format!("the store lost its tail: {before:?} became {now:?}"));
            tally.lost += 1;
        } else if now.number < before.number {
            tally.lost += before.number - now.number;
            tally.complaints.push(format!("the store stands behind itself: {before:?} became {now:?}"));
        }
    }
    true
}

/// How far the box says that its store is.
fn told(world: &World) -> Option<Reached> {
    let stream = world.status("/report/stream")?.as_str()?.to_owned();
    Some(Reached { stream, number: world.status("/report/outbox/durable")?.as_u64()? })
}

/// How far the stream is, by the box's word or by what HQ has of it: only what is durable may leave.
fn reached(world: &World) -> Option<Reached> {
    let newest = world.at_hq(|holdings| {
        let (stream, book) = holdings.streams.iter().max_by_key(|(_, book)| book.generation)?;
        Some(Reached { stream: stream.clone(), number: *book.contents.keys().next_back()? })
    });
    newest.max_by_number(told(world))
}

fn report(world: &World, tally: &Tally, begun: Instant) -> bool {
    let proof = world.proof();
    let (streams, notices) = world.at_hq(|holdings| (holdings.streams.len(), holdings.notices.clone()));
    let [opening, selling, draining, removing] = tally.cuts;
    println!("\n{proof}");
    println!(
        "{} power cuts: {selling} while selling, {draining} while draining, {opening} while opening, {removing} while removing",
        tally.cuts.iter().sum::<u32>()
    );
    println!("  lost                         {}", tally.lost + u64::try_from(proof.missing.len()).unwrap());
    println!("  twice                        {}", u64::try_from(proof.surplus.len()).unwrap() + proof.conflicts);
    println!("  streams begun anew           {}", streams.saturating_sub(1));
    println!("  starts that needed a hand    {}", tally.hands);
    println!("  longest recovery             {} ms, from power to HQ", tally.longest_recovery.as_millis());
    println!("  the whole run                {} s", begun.elapsed().as_secs());
    for complaint in tally.complaints.iter().chain(&notices) {
        println!("  found: {complaint}");
    }
    proof.holds() && tally.lost == 0 && tally.hands == 0 && tally.complaints.is_empty() && streams == 1
}

impl Tally {
    fn complain(&mut self, is_so: bool, words: impl FnOnce() -> String) {
        if is_so {
            self.complaints.push(words());
        }
    }
}
