//! The shell around the board: it shows what `signal` decides, reads the printer, and reports what changes.
//!
//! It sleeps until the next edge of a pattern or a pulse, or until something changed: a box at which nothing happens
//! wakes a few times a second.

use std::{io::Write as _, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{Mode, SharedOutbox};
use crate::{
    board::{lines::Lines, panel::Panel, profile::Role},
    health::{Condition, Facts, Health, Phase},
    signal::{Lights, Signals},
    status::{self, Description, State},
};

/// What the lights show is decided anew at least this often.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// However much changes, it is not looked at more often than this.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(125);

/// Changes of the lights that are logged one after the other, and one more each hour; the rest only when asked for by
/// `TILLBOX_LOG=debug`.
const LIGHTS_TOLD: u32 = 8;

/// A stage that has said nothing after this long no longer counts as starting.
const STARTING_MAX: Duration = Duration::from_secs(15);

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
) {
    let started = Instant::now();
    let (mut shown, mut reported, mut told) = (None, None, (LIGHTS_TOLD, mode.clock.now()));
    let mut found = Found::default();
    let mut changed = health.watch();
    let mut receipts = 0;
    loop {
        let looked = Instant::now();
        changed.mark_unchanged();
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
        let signals = Signals::of(&facts, &level, now);
        let lights = signals.lights;
        if shown.replace(lights) != Some(lights) && facts.phase != Phase::Starting {
            tell(lights, &mut told, now);
        }
        let report = (facts, level);
        if mode.report && reported.as_ref() != Some(&report) {
            let (facts, level) = &report;
            write_report(&status::body(&describe(), State::Running, facts, level, now));
            reported = Some(report);
        }
        drive_until_look(&mut panel, &signals, started, looked, &mut changed).await;
        found.tell(&panel, &health, mode.clock.now());
    }
}

/// Drives the lines until it is time to look at the facts again.
async fn drive_until_look<L: Lines>(
    panel: &mut Panel<L>,
    signals: &Signals,
    started: Instant,
    looked: Instant,
    changed: &mut watch::Receiver<u64>,
) {
    loop {
        let now = Instant::now();
        let at_ms = millis(now - started);
        panel.drive(signals, at_ms);
        // The sender lives as long as the health that the caller holds.
        let has_changed = changed.has_changed().unwrap_or(false);
        let look = looked + if has_changed { LOOK_AGAIN_AFTER } else { LOOK_EVERY };
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
            _ = changed.changed() => changed.mark_changed(),
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
    let hq = facts.hq_ready
        || conditions.iter().any(|(condition, _)| {
            matches!(condition, Condition::HqUnreachable | Condition::HqRefused | Condition::PublishDenied)
        });
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
