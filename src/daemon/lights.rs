//! The shell around the lights: it shows what `signal` decides, and reports what changes.

use std::{io::Write as _, sync::Arc, time::Duration};

use tokio::time::{Instant, interval};

use super::{Mode, SharedOutbox};
use crate::{
    board::{Lamps, VirtualPin},
    health::{Condition, Facts, Health, Phase},
    signal::{Lights, Signs, lights},
    status::{self, Description, State},
    watchdog::Heartbeat,
};

/// The lights are driven this often: often enough for the fastest pattern.
const LIGHTS_EVERY: Duration = Duration::from_millis(125);

/// What the lights show is decided anew at least this often.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Changes of the lights that are logged one after the other, and one more each hour; the rest only when asked for by
/// `TILLBOX_LOG=debug`.
const LIGHTS_TOLD: u32 = 8;

/// A stage that has said nothing after this long no longer counts as starting.
const STARTING_MAX: Duration = Duration::from_secs(15);

/// The lights turn so often that a silence of this length means that nothing does.
const LIGHTS_MAX: Duration = Duration::from_secs(30);

/// Drives the lights, and logs and reports what changes.
pub async fn drive_lights(
    outbox: SharedOutbox,
    health: Arc<Health>,
    mode: Mode,
    describe: impl Fn() -> Description + Send,
    heartbeat: Heartbeat,
) {
    let mut lamps = Lamps::new(VirtualPin::default(), VirtualPin::default(), VirtualPin::default());
    let mut ticks = interval(LIGHTS_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let started = Instant::now();
    let (mut shown, mut reported, mut told) = (None, None, (LIGHTS_TOLD, mode.clock.now()));
    let (mut changed, mut looked, mut now_shown) = (health.watch(), Instant::now(), Lights::DARK);
    loop {
        heartbeat.promise(LIGHTS_MAX);
        ticks.tick().await;
        // Most ticks only drive the pattern: what it shows is decided when something changed, and twice a second.
        let Ok(()) = lamps.show(now_shown, u64::try_from(started.elapsed().as_millis()).unwrap_or(0));
        if !changed.has_changed().unwrap_or(true) && looked.elapsed() < LOOK_EVERY {
            continue;
        }
        looked = Instant::now();
        changed.mark_unchanged();
        let facts = health.facts();
        if facts.phase == Phase::Starting && (has_settled(&facts) || started.elapsed() > STARTING_MAX) {
            health.update(|facts| facts.phase = Phase::Running);
            continue;
        }
        let level = outbox.get().map(|outbox| outbox.level()).unwrap_or_default();
        let now = mode.clock.now();
        let lights = lights(Signs::of(&facts, &level, now));
        now_shown = lights;
        if shown.replace(lights) != Some(lights) && facts.phase != Phase::Starting {
            let Lights { sync, hold, fault } = lights;
            // Lights that flap would fill the journal; the conditions behind them are told there, too.
            let hours = u32::try_from((now - told.1).num_hours()).unwrap_or(0);
            if hours > 0 {
                told = (LIGHTS_TOLD.min(told.0 + hours), now);
            }
            if told.0 > 0 {
                told.0 -= 1;
                tracing::info!(?sync, ?hold, ?fault, "lights");
            } else {
                tracing::debug!(?sync, ?hold, ?fault, "lights");
            }
        }
        let report = (facts, level);
        if mode.report && reported.as_ref() != Some(&report) {
            let (facts, level) = &report;
            write_report(&status::body(&describe(), State::Running, facts, level, now));
            reported = Some(report);
        }
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
