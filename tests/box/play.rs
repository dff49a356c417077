//! The play: from the first boot through losses and faults, every cell of the table of lights, and figures on the way.
//!
//! Each act has a board, a card, shops and an HQ of its own, so it can be played alone. The lights are read back from
//! the board's lines and from nowhere else.

mod board;
mod cells;
mod first_boot;
mod lines;
mod printer;
mod records;
mod store;

use std::time::{Duration, Instant};

use self::cells::Cells;
use crate::{
    lamps::{
        Seen::{self, Off, SteadyWink},
        look,
    },
    machine::{Machine, Parts},
    wait::until,
    world::World,
};

/// Whatever is waited for comes within this, on an emulated machine beside others.
const PATIENCE: Duration = Duration::from_secs(120);

/// The green, the yellow and the red light.
const LIGHTS: [u32; 3] = [0, 1, 2];

/// What they show when everything is at HQ.
const ALL_IS_WELL: [Seen; 3] = [SteadyWink, Off, Off];

/// The other lines.
const RECEIPT_READY: u32 = 3;
const RECEIPT_PULSE: u32 = 4;
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

type Act = fn(&mut Play);

const ACTS: [(&str, Act); 6] = [
    ("first-boot", first_boot::act),
    ("lines", lines::act),
    ("records", records::act),
    ("store", store::act),
    ("printer", printer::act),
    ("board", board::act),
];

/// One act under way.
struct Play {
    world: World,
    machine: Machine,
    cells: Cells,
    failures: Vec<String>,
}

/// Whether there is an act of this name.
pub fn is_act(name: &str) -> bool {
    ACTS.iter().any(|(act, _)| *act == name)
}

/// Plays all acts, or those named; tells whether all of it was as it should be.
pub fn run(parts: &Parts, seed: u64, names: Option<&str>) -> bool {
    let begun = Instant::now();
    let (mut cells, mut failures) = (Cells::default(), Vec::new());
    for (number, (name, act)) in (1..).zip(ACTS) {
        if names.is_some_and(|names| names.split(',').all(|wanted| wanted != name)) {
            continue;
        }
        println!("\n{name}");
        let act_begun = Instant::now();
        let mut play = Play::open(parts, seed, number, cells);
        act(&mut play);
        println!("  this act took {} s", act_begun.elapsed().as_secs());
        if !play.failures.is_empty() {
            println!("the console of {name}:\n{}", play.machine.console());
        }
        failures.extend(play.failures.into_iter().map(|failure| format!("{name}: {failure}")));
        cells = play.cells;
    }
    println!("\n{cells}");
    if names.is_none() {
        failures.extend(cells.not_driven().map(|cell| format!("the table of lights: {cell} was not driven")));
    }
    for failure in &failures {
        println!("FAILED: {failure}");
    }
    let verdict = if failures.is_empty() { "holds" } else { "does NOT hold" };
    println!("the play {verdict}, {} s", begun.elapsed().as_secs());
    failures.is_empty()
}

impl Play {
    /// Opens everything for an act, with some sales of before the first boot, and switches the board on.
    fn open(parts: &Parts, seed: u64, number: u32, cells: Cells) -> Self {
        let mut world = World::open(&parts.folder, seed);
        parts.new_card();
        let board = |name: &str| format!("[board]\nprofile = \"/etc/tillbox/{name}.toml\"\n");
        let quick = world.config("1s", &board("board"));
        parts.write_etc(&[
            ("board.toml", BOARD),
            ("own.toml", PL061),
            ("tillbox.toml", &quick),
            ("idle.toml", &world.config("15s", &board("board"))),
            ("pl061.toml", &world.config("1s", &board("own"))),
            ("faulty.toml", &quick.replace("poll-every = \"1s\"", "poll-every = \"often\"")),
        ]);
        (0..10).for_each(|_| world.sell());
        Self { machine: parts.boot(number), world, cells, failures: Vec::new() }
    }

    fn expect(&mut self, holds: bool, what: &str) {
        if !holds {
            println!("  {what:<38} NOT SO");
            self.failures.push(what.to_owned());
        }
    }

    /// A further session of the box is at HQ.
    fn expect_session(&mut self, what: &str) {
        let is_there = until(PATIENCE, || self.world.is_new_session()).is_ok();
        self.expect(is_there, what);
    }

    fn expect_proof(&mut self, what: &str) {
        let proof = self.world.wait_for_proof(PATIENCE);
        if !proof.holds() {
            println!("{proof}");
        }
        self.expect(proof.holds(), what);
    }

    /// The board is up, and what was sold before is at HQ.
    fn expect_first_session(&mut self) {
        self.expect_session("the board boots, and the box is at HQ");
        self.expect_proof("the sales of before the first boot reach HQ");
    }

    fn restart(&mut self, config: &str) {
        self.machine.run("stop");
        self.machine.run(&format!("echo /etc/tillbox/{config}.toml >/tmp/config"));
        self.machine.run("start");
    }

    /// Looks at the three lights until they are as they should be, or patience ends.
    fn shows(&mut self, what: &str, expected: [Seen; 3]) {
        let begun = Instant::now();
        let seen = loop {
            let seen = look(&mut self.machine, LIGHTS, expected);
            if seen == expected || begun.elapsed() > PATIENCE {
                break seen;
            }
        };
        let holds = seen == expected;
        let verdict = if holds { "as it should be" } else { "NOT as it should be" };
        let [green, yellow, red] = seen.map(|seen| seen.to_string());
        println!("  {what:<38} {green:<14} {yellow:<8} {red:<8} {verdict}, {} s", begun.elapsed().as_secs());
        if holds {
            self.cells.drive(what, seen);
        } else {
            self.failures.push(format!("lights, {what}: {seen:?} and not {expected:?}"));
        }
    }

    /// The level of a line, now.
    fn level(&mut self, line: u32) -> bool {
        self.machine.run(&format!("cat /sys/devices/platform/gpio-sim.*/gpiochip*/sim_gpio{line}/value")) == "1\n"
    }

    /// A line comes to a level.
    fn expect_level(&mut self, line: u32, level: bool, what: &str) {
        let comes = until(PATIENCE, || self.level(line) == level).is_ok();
        self.expect(comes, what);
    }

    /// What HQ knows of a condition that holds.
    fn condition(&self, code: &str) -> Option<String> {
        let conditions = self.world.status("/report/conditions")?;
        let condition = conditions.as_array()?.iter().find(|condition| condition["code"] == code)?;
        Some(condition["text"].as_str()?.to_owned())
    }

    /// A condition is told to HQ, or is no longer.
    fn expect_condition(&mut self, code: &str, holds: bool) {
        let comes = until(PATIENCE, || self.condition(code).is_some() == holds).is_ok();
        let told = if holds { "is told to HQ" } else { "is over, and HQ knows" };
        self.expect(comes, &format!("{code} {told}"));
    }
}
