//! A box whose config cannot be used: red is lit, systemd is told why, and the config is looked at again until it can be.
//!
//! A daemon that only ended would leave all lights dark, and dark means that there is no power.

use std::{path::Path, time::Duration};

use sd_notify::NotifyState;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{DaemonError, listen_for_stop, systemd::notify};
use crate::{
    board::{
        gpio::Gpio,
        panel::Panel,
        profile::{self, Profile, Role},
    },
    config::{Board, Config},
    signal::{Lights, Pattern, Signals},
    stop::Stop,
};

/// The config is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Shows a fault until `again` says that another attempt is worth it, which it is asked every few seconds with the time
/// that has passed; `false` at the word to stop.
///
/// # Errors
/// The system refuses timers or signals.
pub fn show_fault(config: &Path, text: &str, again: impl FnMut(Duration) -> bool) -> Result<bool, DaemonError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| DaemonError::System("an event loop", error))?;
    runtime.block_on(wait(config, text, again))
}

async fn wait(config: &Path, text: &str, mut again: impl FnMut(Duration) -> bool) -> Result<bool, DaemonError> {
    let stop = Stop::default();
    listen_for_stop(&stop)?;
    let lights = Lights { sync: Pattern::Off, hold: Pattern::Off, fault: Pattern::Steady };
    let signals = Signals { lights, receipt_ready: false };
    let mut panel = Panel::new(&lights_of(config), Gpio);
    let first = text.lines().next().unwrap_or_default();
    let more = text.lines().count().saturating_sub(1);
    let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
    // The box has come up and says what it lacks: systemd must not give it up and start it again.
    notify(&[NotifyState::Ready, NotifyState::Status(&format!("the config cannot be used: {first}{more}"))]);
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let begun = Instant::now();
    panel.drive(signals, 0);
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.given() => {
                notify(&[NotifyState::Stopping]);
                return Ok(false);
            }
        }
        notify(&[NotifyState::Watchdog]);
        panel.drive(signals, u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
        if again(begun.elapsed()) {
            return Ok(true);
        }
    }
}

/// The lights of the board that a config names, however faulty the rest of it is; else those of the board that this is.
fn lights_of(config: &Path) -> Profile {
    let board = Config::board_of(config).or_else(|| {
        // Not in /proc, of which the service sees only its processes.
        let model = std::fs::read_to_string("/sys/firmware/devicetree/base/model").ok()?;
        Config::known_board(profile::of_model(&model)?)
    });
    let lines = board.as_ref().map_or(&[][..], Board::lines);
    let lights = lines.iter().filter(|line| matches!(line.role, Role::Light(_))).cloned();
    Profile { name: "lights".to_owned(), lines: lights.collect() }
}
