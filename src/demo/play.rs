//! The play: a shop day in under a minute, with everything that happens to a box on the way.

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt as _,
    process,
    time::{Duration, Instant},
};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::{
    Options, Sabotage, broker, daemon,
    hq::Hq,
    line::{Line, Wire},
    proof::{Proof, money, prove},
    screen::{Moment, Screen},
    street::Street,
};
use crate::{clock::Clock, closing::Calendar, config::Broker, stop::Stop, zone::Zone};

/// The shop's clock runs so many times as fast as ours: a day of 18 hours lasts three quarters of a minute.
const RATE: u32 = 1_500;

/// The first day that is played.
const FIRST_DAY: (i32, u32, u32) = (2026, 3, 14);

/// Local time at which the shop's day begins for the play.
const OPENS: NaiveTime = NaiveTime::from_hms_opt(6, 0, 0).expect("a time of day");

/// How long after midnight the play goes on: the closing of the day is sent a quarter of an hour after it.
const AFTER_MIDNIGHT: TimeDelta = TimeDelta::minutes(30);

/// After the faults end, everything must be at HQ within this; else the proof is made with what is there.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often the play looks at things.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Sabotage withholds the transaction that arrives as this one.
const WITHHELD: u64 = 100;

/// What happens at a time of the shop's day (hours and minutes), and the words for it.
const SCRIPT: &[(u32, u32, Act, &str)] = &[
    (9, 10, Act::CutHq, "the line to HQ is cut: sales are kept in the box"),
    (12, 20, Act::MendHq, "the line to HQ is back: the box catches up"),
    (13, 40, Act::PosBroken, "the points of sale answer 500, then a web page, then half a body"),
    (14, 30, Act::PosCut, "the points of sale are gone"),
    (16, 10, Act::PosBack, "the points of sale are back"),
    (17, 0, Act::CutHq, "the line to HQ is cut again"),
    (17, 30, Act::Kill, "the daemon is killed, with sales waiting in it"),
    (18, 30, Act::Start, "the daemon starts again, still without a line"),
    (19, 0, Act::MendHq, "the line to HQ is back"),
    (20, 0, Act::Mute, "the line to HQ goes mute: it takes everything and carries nothing"),
    (21, 0, Act::MendHq, "the line to HQ carries again"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    CutHq,
    MendHq,
    Mute,
    PosBroken,
    PosCut,
    PosBack,
    Kill,
    Start,
}

/// Everything that plays along.
struct Stage {
    screen: Screen,
    calendar: Calendar,
    clock: Clock,
    street: Street,
    line: Wire,
    hq: Hq,
    daemon: daemon::Box,
    stop: Stop,
}

/// How a play ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curtain {
    /// HQ holds what the shop sold.
    Proven,
    /// It does not.
    NotProven,
    /// Somebody wanted it to end.
    Interrupted,
}

/// Plays until the proof, or until SIGINT or SIGTERM.
///
/// # Errors
/// The machine gives no port, process or folder, or the daemon ended by itself.
pub fn play(options: &Options) -> io::Result<Curtain> {
    let folder = std::env::temp_dir().join(format!("tillbox-demo-{}", process::id()));
    // The token lies in it: it must be ours alone, and new.
    DirBuilder::new().mode(0o700).create(&folder)?;
    let ended = play_in(options, &folder);
    if matches!(ended, Ok(Curtain::Proven | Curtain::Interrupted)) {
        std::fs::remove_dir_all(&folder)?;
    } else {
        println!("What the daemon logged is in {}", folder.join("daemon.log").display());
    }
    ended
}

fn play_in(options: &Options, folder: &std::path::Path) -> io::Result<Curtain> {
    let zone = Zone::load("Asia/Jakarta").map_err(io::Error::other)?;
    let calendar = Calendar { zone: zone.clone(), day_starts: NaiveTime::MIN };
    let first = NaiveDate::from_ymd_opt(FIRST_DAY.0, FIRST_DAY.1, FIRST_DAY.2).unwrap_or_default();
    let clock = Clock::running_at(zone.day_begins(first, OPENS), RATE);

    let street = Street::open(&clock, &zone)?;
    let broker = broker::start()?;
    let line = Wire::to(broker)?;
    let withheld = (options.sabotage == Some(Sabotage::DropOne)).then_some(WITHHELD);
    let direct = Broker { tls: false, host: broker.ip().to_string(), port: broker.port() };
    let hq = Hq::start(direct, "tillbox", daemon::OUTLET, withheld)?;
    let daemon = daemon::Box::prepare(folder, street.shops(), line.address())?;
    let mut stage =
        Stage { screen: Screen::default(), calendar, clock, street, line, hq, daemon, stop: Stop::default() };
    listen_for_stop(&stage.stop)?;

    stage.screen.say(&format!(
        "A street of {} shops with {} sales a day each, every one at a simulated point of sale of another system; a box \
         that is a process of its own, an MQTT broker, HQ. One day takes under a minute.",
        stage.street.shops().len(),
        options.sales
    ));
    if withheld.is_some() {
        stage
            .screen
            .say(&format!("Sabotage: transaction number {WITHHELD} is withheld from HQ, behind the box's back."));
    }
    stage.daemon.start(stage.clock.now(), RATE)?;
    let mut day = first;
    loop {
        stage.street.play(options.seed.wrapping_add(day_number(day, first)), day, options.sales);
        stage.play_day(day)?;
        let proof = stage.settle()?;
        if stage.stop.is_given() {
            return Ok(Curtain::Interrupted);
        }
        stage.screen.say(&format!("\nThe proof for {day}:\n{proof}"));
        if !proof.holds() {
            stage.screen.say("NOT PROVEN: HQ does not hold what the shops sold.");
            return Ok(Curtain::NotProven);
        }
        stage.screen.say("Proven: HQ holds every sale exactly as it was, each once.");
        if !options.keep_running {
            return Ok(Curtain::Proven);
        }
        day = day.checked_add_days(Days::new(1)).unwrap_or(day);
    }
}

fn listen_for_stop(stop: &Stop) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (runtime, stop) = (tokio::runtime::Builder::new_current_thread().enable_all().build()?, stop.clone());
    let (mut terminate, mut interrupt) = {
        let _entered = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        stop.give();
    })?;
    Ok(())
}

fn day_number(day: NaiveDate, first: NaiveDate) -> u64 {
    u64::try_from((day - first).num_days()).unwrap_or(0)
}

impl Stage {
    /// Lets a day pass, with the script's faults.
    fn play_day(&mut self, day: NaiveDate) -> io::Result<()> {
        let end = self.calendar.bounds(day).1 + AFTER_MIDNIGHT;
        let at = |hour, minute| {
            let time = NaiveTime::from_hms_opt(hour, minute, 0).unwrap_or_default();
            self.calendar.zone.day_begins(day, time)
        };
        let mut acts: Vec<(DateTime<Utc>, Act, &str)> =
            SCRIPT.iter().map(|(hour, minute, act, words)| (at(*hour, *minute), *act, *words)).collect();
        acts.reverse();
        while self.clock.now() < end && !self.stop.is_given() {
            while let Some((_, act, words)) = acts.pop_if(|(at, _, _)| *at <= self.clock.now()) {
                let time = self.local_time();
                self.screen.say(&format!("{time}  {words}"));
                self.perform(act)?;
            }
            self.look()?;
        }
        Ok(())
    }

    fn perform(&mut self, act: Act) -> io::Result<()> {
        match act {
            Act::CutHq => self.line.set(Line::Cut),
            Act::Mute => self.line.set(Line::Mute),
            // What was swallowed on a mute line is gone: its connections end with it.
            Act::MendHq => {
                self.line.set(Line::Cut);
                self.line.set(Line::Open);
            }
            Act::PosBroken => self.street.break_down(),
            Act::PosCut => self.street.cut(),
            Act::PosBack => self.street.heal(),
            Act::Kill => self.daemon.kill(),
            Act::Start => self.daemon.start(self.clock.now(), RATE)?,
        }
        Ok(())
    }

    /// Waits until HQ holds everything, or patience ends; then compares.
    fn settle(&mut self) -> io::Result<Proof> {
        let begun = Instant::now();
        loop {
            let now = self.clock.now();
            let proof = prove(&self.street, &self.hq.holdings(), &self.calendar, now);
            if proof.holds() || begun.elapsed() > PATIENCE || self.stop.is_given() {
                return Ok(proof);
            }
            self.look()?;
        }
    }

    /// Shows the moment, and lets a little time pass.
    fn look(&mut self) -> io::Result<()> {
        // The terminal sends its interrupt to the daemon, too.
        if let Some(words) = self.daemon.ended().filter(|_| !self.stop.wait(LOOK_EVERY)) {
            return Err(io::Error::other(words));
        }
        let report = self.daemon.report();
        let number = |path: &str| report.as_ref().and_then(|report| report.pointer(path)?.as_u64()).unwrap_or(0);
        let waiting = number("/report/outbox/durable").saturating_sub(number("/report/outbox/released"));
        let (states, money) = {
            let holdings = self.hq.holdings();
            let states =
                holdings.states.iter().filter(|(identity, _)| self.street.currency_of(identity) == Some("IDR"));
            let sum = states.map(|(_, state)| match state.kind.as_str() {
                "sale" => state.amount,
                "refund" => -state.amount,
                _ => rust_decimal::Decimal::ZERO,
            });
            (holdings.states.len(), money(sum.sum(), "IDR"))
        };
        let clock = self.local_time();
        let books = self.street.records();
        self.screen.show(&Moment { clock, books, waiting, hq: (states, money), report });
        let _seen_by_the_caller = self.stop.wait(LOOK_EVERY);
        Ok(())
    }

    fn local_time(&self) -> String {
        self.calendar.zone.local(self.clock.now()).format("%H:%M").to_string()
    }
}
