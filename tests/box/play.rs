//! One play: from the first boot through losses and faults, every cell of the table of lights, and figures on the way.
//!
//! The lights are read back from the board's lines and from nowhere else.

use std::time::{Duration, Instant};

use tillbox::demo::http_server::Fault;

use crate::{
    lamps::{
        Seen::{self, Fast, Off, Slow, Steady, SteadyWink},
        look,
    },
    machine::{Machine, Parts},
    wait::{pass, until},
    world::World,
};

/// Whatever is waited for comes within this, on an emulated machine beside others.
const PATIENCE: Duration = Duration::from_secs(120);

/// For how long an idle box is watched.
const IDLE: Duration = Duration::from_secs(60);

/// The green, the yellow and the red light.
const LIGHTS: [u32; 3] = [0, 1, 2];

/// What the printer tells.
const PAPER_LOW: u32 = 5;
const PAPER_END: u32 = 6;
const PRINTER_FAULT: u32 = 7;

const BOARD: &str = r#"name = "Emulated board"
chip = "box"
[lines.sync]
offset = 0
[lines.hold]
offset = 1
[lines.fault]
offset = 2
[lines.receipt-ready]
offset = 3
[lines.receipt-pulse]
offset = 4
[lines.paper-low]
offset = 5
[lines.paper-end]
offset = 6
[lines.printer-fault]
offset = 7
"#;

/// The GPIO controller that the emulated machine has of itself.
const PL061: &str = r#"name = "The emulated machine's own chip"
chip = "9030000.pl061"
[lines.sync]
offset = 0
[lines.hold]
offset = 1
[lines.fault]
offset = 2
"#;

/// Sales in one second that no answer of 100 rows can hold.
const BEYOND_ONE_ANSWER: u32 = 120;

struct Play {
    world: World,
    machine: Machine,
    failures: Vec<String>,
}

/// Plays; tells whether all of it was as it should be.
pub fn run(parts: &Parts, seed: u64) -> bool {
    let mut world = World::open(&parts.folder, seed);
    parts.new_card();
    let board = |name: &str| format!("[board]\nprofile = \"/etc/tillbox/{name}.toml\"\n");
    parts.write_etc(&[
        ("board.toml", BOARD),
        ("own.toml", PL061),
        ("tillbox.toml", &world.config("15s", &board("board"))),
        ("quick.toml", &world.config("1s", &board("board"))),
        ("pl061.toml", &world.config("1s", &board("own"))),
    ]);
    (0..10).for_each(|_| world.sell());
    let mut play = Play { machine: parts.boot(1), world, failures: Vec::new() };
    play.first_boot();
    play.idle();
    play.flow();
    play.lights();
    play.own_chip();
    for failure in &play.failures {
        println!("FAILED: {failure}");
    }
    println!("{}", if play.failures.is_empty() { "the play holds" } else { "the play does NOT hold" });
    if !play.failures.is_empty() {
        println!("the console:\n{}", play.machine.console());
    }
    play.failures.is_empty()
}

impl Play {
    fn expect(&mut self, holds: bool, what: &str) {
        if !holds {
            self.failures.push(what.to_owned());
        }
    }

    fn first_boot(&mut self) {
        let started = self.machine.wait_for("BOX: the program starts", PATIENCE);
        self.expect(started.is_ok(), "the board boots");
        let user_space = self.machine.on_since.elapsed();
        let born = until(PATIENCE, || self.world.is_new_session());
        let up = self.machine.on_since.elapsed();
        let sold = until(PATIENCE, || self.world.at_hq(|holdings| !holdings.states.is_empty()));
        let first = self.machine.on_since.elapsed();
        self.expect(born.is_ok() && sold.is_ok(), "the first boot brings the first sale to HQ");
        println!("first boot, emulated: {} ms to the program", user_space.as_millis());
        println!("  program started → at HQ      {} ms", up.saturating_sub(user_space).as_millis());
        println!("  power → first sale at HQ     {} ms", first.as_millis());
        let held = self.world.wait_for_proof(PATIENCE).holds();
        self.expect(held, "the sales before the first boot reach HQ");
    }

    /// The processor's time and the memory of a box to which nothing happens.
    fn idle(&mut self) {
        pass(Duration::from_secs(10));
        let (before, begun) = (self.cpu_ticks(), Instant::now());
        pass(IDLE);
        let (ticks, span) = (self.cpu_ticks() - before, begun.elapsed().as_millis());
        // A tick is 10 ms of one core.
        let per_mille = u128::from(ticks) * 10 * 1000 / span;
        println!("idle, polling 2 connections every 15 s, emulated:");
        println!("  processor                    {}.{} % of a core ({ticks} ticks)", per_mille / 10, per_mille % 10);
        let memory = self.machine.run("grep -E 'VmRSS|RssAnon|VmHWM' /proc/$(cat /tmp/pid)/status");
        println!("  {}", memory.split_whitespace().collect::<Vec<_>>().join(" "));
    }

    fn cpu_ticks(&mut self) -> u64 {
        let stat = self.machine.run("cat /proc/$(cat /tmp/pid)/stat");
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
    }

    fn restart(&mut self, config: &str) {
        self.machine.run("stop");
        self.machine.run(&format!("echo /etc/tillbox/{config}.toml >/tmp/config"));
        self.machine.run("start");
    }

    fn flow(&mut self) {
        self.restart("quick");
        let born = until(PATIENCE, || self.world.is_new_session()).is_ok();
        self.expect(born, "the program comes back after an ordered stop");
        for _ in 0..30 {
            self.world.sell();
            pass(Duration::from_millis(50));
        }
        let held = self.world.wait_for_proof(PATIENCE).holds();
        self.expect(held, "sales flow to HQ");
        let ready = self.machine.run("cat /sys/devices/platform/gpio-sim.0/gpiochip*/sim_gpio3/value");
        self.expect(ready == "1\n", "receipt-ready is on while sales are durable");
    }

    /// Looks at the three lights until they are as they should be, or patience ends.
    fn shows(&mut self, what: &str, expected: [Seen; 3]) {
        let begun = Instant::now();
        let seen = loop {
            let seen = look(&mut self.machine, LIGHTS);
            if seen == expected || begun.elapsed() > PATIENCE {
                break seen;
            }
        };
        let verdict = if seen == expected { "as it should be" } else { "NOT as it should be" };
        println!(
            "  {what:<38} {:<14} {:<8} {:<8} {verdict}",
            seen[0].to_string(),
            seen[1].to_string(),
            seen[2].to_string()
        );
        self.expect(seen == expected, &format!("lights, {what}: {seen:?} and not {expected:?}"));
    }

    /// Every cell of the table, each brought about from outside.
    fn lights(&mut self) {
        println!("lights                                   green          yellow   red");
        self.shows("everything is at HQ", [SteadyWink, Off, Off]);

        self.world.cut_line();
        (0..20).for_each(|_| self.world.sell());
        self.shows("HQ cannot be reached", [Slow, Steady, Off]);
        self.world.mend_line();
        self.shows("HQ is back", [SteadyWink, Off, Off]);

        self.world.kill_broker();
        (0..5).for_each(|_| self.world.sell());
        self.shows("the broker died", [Slow, Steady, Off]);
        self.world.start_broker();
        self.shows("the broker is back", [SteadyWink, Off, Off]);

        self.world.street.cut();
        (0..5).for_each(|_| self.world.sell());
        self.shows("the POS cannot be reached", [Slow, Slow, Off]);
        self.world.street.heal();
        self.shows("the POS is back", [SteadyWink, Off, Off]);

        self.fail_pos(Fault::Broken(401));
        self.shows("the POS refuses the credentials", [Slow, Off, Steady]);
        self.world.street.heal();
        self.shows("the credentials are good again", [SteadyWink, Off, Off]);

        for (line, what) in [(PAPER_LOW, "paper low"), (PAPER_END, "paper end"), (PRINTER_FAULT, "printer's fault")] {
            self.machine.run(&format!("pull {line} up"));
            self.shows(what, [Slow, Off, Slow]);
            self.machine.run(&format!("pull {line} down"));
        }
        self.shows("the printer is well again", [SteadyWink, Off, Off]);
        self.card_faults();
        self.ends();
    }

    fn fail_pos(&self, fault: Fault) {
        self.world.street.shops().iter().for_each(|shop| shop.server().http().fail(fault));
    }

    fn card_faults(&mut self) {
        self.machine.run("mount -o remount,ro /data");
        (0..5).for_each(|_| self.world.sell());
        self.shows("the card cannot be written", [Slow, Off, Steady]);
        self.machine.run("mount -o remount,rw /data");
        self.shows("the card can be written again", [SteadyWink, Off, Off]);

        self.machine.run("dd if=/dev/zero of=/data/ballast bs=1M >/dev/null 2>&1; dd if=/dev/zero of=/data/more bs=512 >/dev/null 2>&1; true");
        // What the store has claimed already takes some sales yet.
        (0..400).for_each(|_| self.world.sell());
        self.shows("the card is full", [Slow, Off, Fast]);
        self.machine.run("rm -f /data/ballast /data/more");
        self.shows("the card has room again", [SteadyWink, Off, Off]);
    }

    fn ends(&mut self) {
        let proof = self.world.wait_for_proof(PATIENCE);
        print!("{proof}");
        self.expect(proof.holds(), "after all of it HQ holds what the shops sold");

        self.machine.run("stop");
        self.shows("the program does not run", [Off, Off, Off]);
        // Answers that do not come: the box is starting until it knows better, and then it waits for them.
        self.fail_pos(Fault::Slow(None));
        self.machine.run("start");
        self.shows("starting", [Fast, Off, Off]);
        self.shows("catching up", [Slow, Off, Off]);
        self.world.street.heal();
        self.shows("all is well", [SteadyWink, Off, Off]);

        self.world.sell_at_once(BEYOND_ONE_ANSWER);
        self.shows("a gap is open", [Slow, Fast, Off]);
    }

    /// The same on a chip of another kind: lines are opened, driven and given back.
    fn own_chip(&mut self) {
        self.restart("pl061");
        self.machine.run("mount -t debugfs none /sys/kernel/debug 2>/dev/null; true");
        let born = until(PATIENCE, || self.world.is_new_session()).is_ok();
        self.expect(born, "the program runs on the machine's own chip");
        let held = self.machine.run("grep -A9 pl061 /sys/kernel/debug/gpio");
        let driven = held.lines().filter(|line| line.contains("tillbox") && line.contains("out")).count();
        println!("on pl061, {driven} lines are driven:\n{held}");
        self.expect(driven == 3, "three lines of pl061 are driven");
        self.machine.run("stop");
        let left = self.machine.run("grep -c tillbox /sys/kernel/debug/gpio; true");
        self.expect(left.trim() == "0", "the lines of pl061 are given back");
    }
}
