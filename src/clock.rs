//! The clock, as a parameter.
//!
//! Every decision takes `now` as an argument; only the shells that drive the stages own a [`Clock`]. A virtual clock
//! runs at another speed, so that the demonstration plays a whole shop day in under a minute with the very same code.

mod kernel;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};

/// Tells the outlet's time, and how long a span of it lasts.
#[derive(Clone, Debug)]
pub struct Clock {
    pace: Pace,
}

#[derive(Clone, Debug)]
enum Pace {
    System,
    Virtual { origin: DateTime<Utc>, started: Instant, rate: u32 },
    Still(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's own clock.
    #[must_use]
    pub fn system() -> Self {
        Self { pace: Pace::System }
    }

    /// A clock that shows `origin` now and then runs `rate` times as fast as the machine's (at least once).
    #[must_use]
    pub fn running_at(origin: DateTime<Utc>, rate: u32) -> Self {
        Self { pace: Pace::Virtual { origin, started: Instant::now(), rate: rate.max(1) } }
    }

    /// A clock that stands at `origin` until it is [set](Self::set), for whoever plays a week in a second. Its clones show
    /// the same. Milliseconds are its finest step.
    #[must_use]
    pub fn standing_at(origin: DateTime<Utc>) -> Self {
        Self { pace: Pace::Still(Arc::new(AtomicI64::new(origin.timestamp_millis()))) }
    }

    /// Sets a clock that stands still; one that runs is left alone.
    pub fn set(&self, now: DateTime<Utc>) {
        if let Pace::Still(millis) = &self.pace {
            millis.store(now.timestamp_millis(), Ordering::SeqCst);
        }
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        match &self.pace {
            Pace::System => Utc::now(),
            Pace::Virtual { origin, started, rate } => {
                let elapsed = started.elapsed().saturating_mul(*rate);
                *origin + TimeDelta::from_std(elapsed).unwrap_or(TimeDelta::MAX)
            }
            Pace::Still(millis) => DateTime::from_timestamp_millis(millis.load(Ordering::SeqCst)).unwrap_or_default(),
        }
    }

    /// Whether the kernel says that a time service keeps this clock. No other clock than the machine's has one.
    #[must_use]
    pub fn is_synchronised(&self) -> bool {
        matches!(self.pace, Pace::System) && kernel::is_synchronised()
    }

    /// How much time has passed since a moment, whatever this clock was set to meanwhile; `None` for one that stands still.
    #[must_use]
    pub fn passed(&self, since: Instant) -> Option<TimeDelta> {
        let passed = |rate| TimeDelta::from_std(since.elapsed().saturating_mul(rate)).unwrap_or(TimeDelta::MAX);
        match self.pace {
            Pace::System => Some(passed(1)),
            Pace::Virtual { rate, .. } => Some(passed(rate)),
            Pace::Still(_) => None,
        }
    }

    /// How long a span of the outlet's time lasts on the machine's clock.
    #[must_use]
    pub fn real(&self, span: Duration) -> Duration {
        match self.pace {
            Pace::System | Pace::Still(_) => span,
            Pace::Virtual { rate, .. } => span / rate,
        }
    }
}
