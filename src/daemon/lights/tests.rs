//! When the lights are looked at: at a change at once, and else seldom.

use std::{
    convert::Infallible,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use embedded_hal::digital::{ErrorType, InputPin, OutputPin};

use super::*;
use crate::{
    board::{
        lines::LineFault,
        profile::{At, Line, Profile},
    },
    clock::Clock,
    config::Acknowledge,
    watchdog::Heartbeat,
};

/// A printer's contact that somebody closes, and how often it was read.
#[derive(Debug, Clone, Default)]
struct Contact(Arc<(AtomicBool, AtomicU32)>);

impl Lines for Contact {
    type Output = Self;
    type Input = Self;

    fn output(&mut self, _line: &Line, _high: bool) -> Result<Self, LineFault> {
        Err(LineFault::NoChips)
    }

    fn input(&mut self, _line: &Line) -> Result<Self, LineFault> {
        Ok(self.clone())
    }
}

impl ErrorType for Contact {
    type Error = Infallible;
}

impl OutputPin for Contact {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl InputPin for Contact {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        self.0.1.fetch_add(1, Ordering::Relaxed);
        Ok(self.0.0.load(Ordering::Relaxed))
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        self.is_high().map(|high| !high)
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Waits until the paper has ended, or is there again.
async fn until_paper_end(health: &Health, holds: bool) {
    let mut changed = health.watch();
    while health.facts().holds(Condition::PaperEnd) != holds {
        changed.changed().await.unwrap();
    }
}

#[test]
fn a_contact_is_told_within_moments_and_read_no_more_often_than_that_takes() {
    let (contact, health) = (Contact::default(), Arc::new(Health::default()));
    health.update(|facts| facts.phase = Phase::Running);
    let line = Line { role: Role::PaperEnd, chip: None, at: At::Offset(6), pin: None, active_low: false, bias: None };
    let panel = Panel::new(&Profile { name: "bench".to_owned(), lines: vec![line] }, contact.clone());
    let mode = Mode { clock: Clock::system(), refused: None, report: false };
    let describe = || Description { outlet: String::new(), name: None, acknowledge: Acknowledge::Broker, stream: None };
    let span = runtime().block_on(async {
        let begun = Instant::now();
        let lights =
            drive_lights(panel, SharedOutbox::default(), Arc::clone(&health), mode, describe, Heartbeat::default());
        let lights = tokio::spawn(lights);
        contact.0.0.store(true, Ordering::Relaxed);
        until_paper_end(&health, true).await;
        contact.0.0.store(false, Ordering::Relaxed);
        until_paper_end(&health, false).await;
        lights.abort();
        begun.elapsed()
    });
    // Two changes, each looked at for 200 ms, one look in 7 ms, until it counts; between them the line rests.
    let (reads, rests) = (contact.0.1.load(Ordering::Relaxed), millis(span) / 1_000 * 4);
    assert!((4..=2 * 32 + rests).contains(&u64::from(reads)), "{reads} reads in {} ms", span.as_millis());
}

#[test]
fn what_changes_in_the_health_or_in_the_outbox_is_looked_at_at_once() {
    let (health, level) = (Health::default(), watch::Sender::new(Level::default()));
    let mut changes = Changes { health: health.watch(), level: Some(level.subscribe()) };
    let no_outbox_yet = SharedOutbox::new(OnceLock::new());
    changes.mark_seen(&no_outbox_yet);
    assert!(!changes.are_there());
    level.send_modify(|level| level.acknowledged = 7);
    runtime().block_on(changes.come());
    assert!(changes.are_there(), "it waits to be looked at");
    changes.mark_seen(&no_outbox_yet);
    assert!(!changes.are_there());
    health.raise(Condition::HqUnreachable, "", "the line is down", DateTime::UNIX_EPOCH);
    runtime().block_on(changes.come());
    assert!(changes.are_there(), "and so does this");
    changes.mark_seen(&no_outbox_yet);
    assert!(!changes.are_there());
}
