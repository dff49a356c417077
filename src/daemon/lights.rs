//! The shell around the board: it shows what `signal` decides, reads the printer, and reports what changes.
//!
//! It sleeps until the next edge of a pattern or a pulse, or until something changed: a box at which nothing happens
//! wakes once in two seconds, and for the winks; with lines from a printer once a second, as nothing tells of those.

use std::{io::Write as _, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::Mode;
use crate::{
    board::{lines::Lines, panel::Panel, profile::Role},
    health::{Condition, Facts, Health, Phase},
    outbox::Level,
    overview::observer::SharedOutbox,
    signal::{Lights, Signals},
    status::{self, Description, State},
    watchdog::Heartbeat,
};

/// What the lights show is decided anew at least this often, as some of it only the course of time tells …
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// … so often where a printer's contacts are to be read …
const READ_EVERY: Duration = Duration::from_secs(1);

/// … and so often while the box starts, or has no store yet that would tell of its changes.
const START_EVERY: Duration = Duration::from_millis(500);

/// However much changes, it is not looked at more often than this.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(125);

/// Changes of the lights that are logged one after the other, and one more each hour; the rest only when asked for by
/// `TILLBOX_LOG=debug`.
const LIGHTS_TOLD: u32 = 8;

/// A stage that has said nothing after this long no longer counts as starting.
const STARTING_MAX: Duration = Duration::from_secs(15);

/// The lights turn so often that a silence of this length means that nothing does.
const LIGHTS_MAX: Duration = Duration::from_secs(30);

/// What a printer's contact means, and what to do.
const CONTACTS: [(Role, Condition, &str); 3] = [
    (Role::PaperLow, Condition::PaperLow, "the printer has little paper left: keep a new roll at hand"),
    (Role::PaperEnd, Condition::PaperEnd, "the printer is out of paper: put in a new roll"),
    (
        Role::PrinterFault,
        Condition::PrinterFault,
        "the printer reports a fault: look at its cover, its cutter and its lamp",
    ),
];

/// Drives the board, and logs and reports what changes.
pub async fn drive_lights<L: Lines>(
    mut panel: Panel<L>,
    outbox: SharedOutbox,
    health: Arc<Health>,
    mode: Mode,
    describe: impl Fn() -> Description + Send,
    heartbeat: Heartbeat,
) {
    let (started, acknowledge) = (Instant::now(), describe().acknowledge);
    let (mut shown, mut reported, mut told) = (None, None, (LIGHTS_TOLD, mode.clock.now()));
    let mut found = Found::default();
    let mut changes = Changes { health: health.watch(), level: None };
    let mut receipts = 0;
    loop {
        heartbeat.promise(LIGHTS_MAX);
        let looked = Instant::now();
        changes.mark_seen(&outbox);
        let all = health.receipts();
        panel.owe_pulses(all - receipts);
        receipts = all;
        let facts = health.facts();
        if facts.phase == Phase::Starting && (has_settled(&facts) || started.elapsed() > STARTING_MAX) {
            health.update(|facts| facts.phase = Phase::Running);
            continue;
        }
        let level = outbox.get().map(|outbox| outbox.level()).unwrap_or_default();
        let now = mode.clock.now();
        let signals = Signals::of(&facts, &level, acknowledge, now);
        let lights = signals.lights;
        if shown.replace(lights) != Some(lights) && facts.phase != Phase::Starting {
            tell(lights, &mut told, now);
        }
        let is_starting = facts.phase == Phase::Starting;
        let report = (facts, level);
        if mode.report && reported.as_ref() != Some(&report) {
            let (facts, level) = &report;
            write_report(&status::body(&describe(), State::Running, facts, level, now));
            reported = Some(report);
        }
        let every = match panel.has_inputs() {
            _ if is_starting || changes.level.is_none() => START_EVERY,
            true => READ_EVERY,
            false => LOOK_EVERY,
        };
        drive_until_look(&mut panel, signals, started, (looked, every), &mut changes).await;
        found.tell(&panel, &health, mode.clock.now());
    }
}

/// Drives the lines until it is time to look at the facts again.
async fn drive_until_look<L: Lines>(
    panel: &mut Panel<L>,
    signals: Signals,
    started: Instant,
    (looked, every): (Instant, Duration),
    changes: &mut Changes,
) {
    loop {
        let now = Instant::now();
        let at_ms = millis(now - started);
        panel.drive(signals, at_ms);
        let has_changed = changes.are_there();
        let look = looked + if has_changed { LOOK_AGAIN_AFTER } else { every };
        if now >= look {
            return;
        }
        let edge = panel.next_ms(signals, at_ms).map(|edge| started + Duration::from_millis(edge));
        let next = edge.map_or(look, |edge| edge.min(look));
        if has_changed {
            sleep_until(next).await;
            continue;
        }
        tokio::select! {
            () = sleep_until(next) => {}
            () = changes.come() => {}
        }
    }
}

/// Who tells that the lights may have changed: the health, and the outbox once it is open. Both live as long as their
/// handles that the caller holds.
struct Changes {
    health: watch::Receiver<u64>,
    level: Option<watch::Receiver<Level>>,
}

impl Changes {
    /// What there is now is about to be looked at.
    fn mark_seen(&mut self, outbox: &SharedOutbox) {
        self.health.mark_unchanged();
        if self.level.is_none() {
            self.level = outbox.get().map(|outbox| outbox.watch());
        }
        if let Some(level) = &mut self.level {
            level.mark_unchanged();
        }
    }

    /// Whether something changed since.
    fn are_there(&self) -> bool {
        let level = self.level.as_ref().is_some_and(|level| level.has_changed().unwrap_or(false));
        level || self.health.has_changed().unwrap_or(false)
    }

    /// Waits until something changes; it then still counts as unseen.
    async fn come(&mut self) {
        let Self { health, level } = self;
        let level_changes = async {
            match level {
                Some(level) => {
                    let _it_lives = level.changed().await;
                    level.mark_changed();
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = health.changed() => health.mark_changed(),
            () = level_changes => {}
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// What was found at the lines and is known to the health.
#[derive(Default)]
struct Found {
    closed: [bool; CONTACTS.len()],
    lost: Option<String>,
}

impl Found {
    fn tell<L: Lines>(&mut self, panel: &Panel<L>, health: &Health, now: DateTime<Utc>) {
        for ((role, condition, text), known) in CONTACTS.iter().zip(&mut self.closed) {
            let closed = panel.is_closed(*role);
            if std::mem::replace(known, closed) != closed {
                health.set(*condition, "", closed.then_some(*text), now);
            }
        }
        let lost = panel.lost();
        if lost != self.lost {
            health.set(Condition::LineLost, "", lost.as_deref(), now);
            self.lost = lost;
        }
    }
}

/// Logs what the lights show now. Lights that flap would fill the journal; the conditions behind them are told there,
/// too.
fn tell(Lights { sync, hold, fault }: Lights, told: &mut (u32, DateTime<Utc>), now: DateTime<Utc>) {
    let hours = u32::try_from((now - told.1).num_hours()).unwrap_or(0);
    if hours > 0 {
        *told = (LIGHTS_TOLD.min(told.0 + hours), now);
    }
    if told.0 > 0 {
        told.0 -= 1;
        tracing::info!(?sync, ?hold, ?fault, "lights");
    } else {
        tracing::debug!(?sync, ?hold, ?fault, "lights");
    }
}

/// Whether every stage has said how it is doing.
fn has_settled(facts: &Facts) -> bool {
    let conditions: Vec<_> = facts.conditions().map(|(condition, connection, _)| (condition, connection)).collect();
    let hq = facts.hq_ready || conditions.iter().any(|(condition, _)| condition.is_of_hq());
    let mut connections = facts.connections.iter();
    hq && connections.all(|(name, health)| {
        health.last_answer.is_some() || conditions.iter().any(|(_, connection)| connection == name)
    })
}

fn write_report(body: &[u8]) {
    let mut out = std::io::stdout().lock();
    // Whoever read the reports may be gone; the daemon goes on.
    let _nobody_reads = out.write_all(body).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests;
