//! The unit: the package on a Debian with systemd, as a technician meets it, and what systemd makes of it.
//!
//! Nothing is done in the box that a technician does not do, but for looking, and for the faults that are played.

mod acts;
mod card;

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use self::card::Card;
use crate::{
    machine::{Machine, Parts},
    wait::until,
    world::World,
};

/// Whatever is waited for comes within this, on an emulated machine beside others.
const PATIENCE: Duration = Duration::from_secs(180);

/// What a light shows, by how much of the time it is lit in percent: a wink leaves it steady.
const OFF: RangeInclusive<usize> = 0..=0;
const STEADY: RangeInclusive<usize> = 90..=100;

/// Secrets that must not be found on the boot partition.
const TOKEN: &str = "box-token-0123456789";

struct Unit {
    parts: Parts,
    world: World,
    card: Card,
    machine: Option<Machine>,
    boots: u32,
    failures: Vec<String>,
}

type Act = fn(&mut Unit);

/// What can be played after the first boot, in this order.
const ACTS: [(&str, Act); 9] = [
    ("sandbox", Unit::sandbox),
    ("technician", Unit::technician),
    ("idle", Unit::idle),
    ("ends", Unit::ends),
    ("configs", Unit::configs),
    ("provision", Unit::provisioned_again),
    ("power-cut", Unit::power_cut),
    ("faulty-file", Unit::faulty_file),
    ("new-card", Unit::new_card),
];

/// Whether there is an act of this name.
pub fn is_act(name: &str) -> bool {
    ACTS.iter().any(|(act, _)| *act == name)
}

/// Plays all acts, or those named; tells whether all of it was as it should be.
pub fn run(parts: &Parts, seed: u64, names: Option<&str>) -> bool {
    let world = World::open(&parts.folder, seed);
    let card = Card::flash(&parts.made.join("debian/card.img"), parts.card());
    let mut unit = Unit { parts: parts.clone(), world, card, machine: None, boots: 0, failures: Vec::new() };
    // Without a box that came up there is nothing to look at.
    if unit.first_boot() {
        let is_wanted = |act: &str| names.is_none_or(|names| names.split(',').any(|name| name == act));
        ACTS.iter().filter(|(name, _)| is_wanted(name)).for_each(|(_, act)| act(&mut unit));
    }
    if let Some(machine) = unit.machine.as_ref().filter(|_| !unit.failures.is_empty()) {
        println!("the console:\n{}", machine.console());
    }
    for failure in &unit.failures {
        println!("FAILED: {failure}");
    }
    println!("{}", if unit.failures.is_empty() { "the unit holds" } else { "the unit does NOT hold" });
    unit.failures.is_empty()
}

// --- How it is played ------------------------------------------------------------------------------------------------

impl Unit {
    fn expect(&mut self, holds: bool, what: &str) {
        println!("  {} {what}", if holds { "ok  " } else { "NOT " });
        if !holds {
            self.failures.push(what.to_owned());
        }
    }

    /// The same for what the guest says, which is shown where it is not as it should be.
    fn expect_said(&mut self, command: &str, holds: impl FnOnce(&str) -> bool, what: &str) -> String {
        let said = match self.machine().try_run(command) {
            Ok(said) | Err(said) => said,
        };
        let holds = holds(said.trim());
        self.expect(holds, what);
        if !holds {
            println!("       `{command}` said:\n{said}");
        }
        said
    }

    fn machine(&mut self) -> &mut Machine {
        self.machine.as_mut().expect("the power is on")
    }

    fn run(&mut self, command: &str) -> String {
        self.machine().run(command)
    }

    fn power_on(&mut self) {
        self.boots += 1;
        let (ird, tree) = (self.parts.made.join("debian/ird"), self.parts.made.join("debian/machine.dtb"));
        let arguments = ["-m", "512", "-dtb", &tree.display().to_string()];
        self.machine = Some(self.parts.power_on(self.boots, &ird, &arguments, "rdinit=/switch net.ifnames=0"));
    }

    fn cut_power(&mut self) {
        self.machine.take().expect("the power is on").cut();
    }

    fn property(&mut self, unit: &str, name: &str) -> String {
        self.run(&format!("systemctl show -P {name} {unit}")).trim().to_owned()
    }

    fn number(&mut self, name: &str) -> u64 {
        self.property("tillbox", name).parse().unwrap_or_default()
    }

    /// Waits until the unit has another process than this one, and the box is at HQ again by it.
    fn started_again(&mut self, pid: u64, limit: Duration) -> Option<Duration> {
        let begun = Instant::now();
        let machine = self.machine.as_mut().expect("the power is on");
        let is_other = || {
            let now = machine.run("systemctl show -P MainPID tillbox").trim().parse().unwrap_or(0);
            now != 0 && now != pid
        };
        until(limit, is_other).ok()?;
        let another = begun.elapsed();
        until(PATIENCE, || self.world.is_new_session()).ok()?;
        Some(another)
    }

    /// How much of some seconds a line is on, in percent.
    fn lit(&mut self, line: u32) -> usize {
        let said = self.run(&format!("look 60 {line} {line} {line}"));
        let looks: Vec<_> = said.lines().filter_map(|look| look.split_once(' ')).collect();
        looks.iter().filter(|(_, levels)| levels.starts_with('1')).count() * 100 / looks.len().max(1)
    }

    /// Waits for a light.
    fn shows(&mut self, line: u32, percent: RangeInclusive<usize>, what: &str) {
        let begun = Instant::now();
        let lit = loop {
            let lit = self.lit(line);
            if percent.contains(&lit) || begun.elapsed() > PATIENCE {
                break lit;
            }
        };
        self.expect(percent.contains(&lit), what);
    }

    fn sales_flow(&mut self, what: &str) {
        (0..10).for_each(|_| self.world.sell());
        let proof = self.world.wait_for_proof(PATIENCE);
        self.expect(proof.holds(), what);
        if !proof.holds() {
            print!("{proof}");
            let journal =
                "systemctl status --no-pager tillbox; journalctl --no-pager -n 40 -u tillbox -u tillbox-provision";
            println!("{}", self.machine().try_run(journal).unwrap_or_else(|said| said));
        }
    }

    /// What a technician writes; the point of sale's token stands in a file of its own.
    fn config(&self) -> String {
        let text = self.world.config("15s", "[board]\nprofile = \"raspberry-pi-4\"\n");
        let text = text.replace(&format!("token = \"{TOKEN}\""), "token-file = \"qasir.token\"");
        assert!(text.contains("token-file"), "the first shop wants a token");
        // The card's own folder for it is the program's default.
        text.replace("path = \"/data/tillbox\"\n", "")
    }
}
