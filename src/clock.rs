//! The clock, as a parameter.
//!
//! Every decision takes `now` as an argument; only the shells that drive the stages own a [`Clock`]. A virtual clock
//! runs at another speed, so that the demonstration plays a whole shop day in under a minute with the very same code.

use std::time::{Duration, Instant};

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

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        match &self.pace {
            Pace::System => Utc::now(),
            Pace::Virtual { origin, started, rate } => {
                let elapsed = started.elapsed().saturating_mul(*rate);
                *origin + TimeDelta::from_std(elapsed).unwrap_or(TimeDelta::MAX)
            }
        }
    }

    /// How long a span of the outlet's time lasts on the machine's clock.
    #[must_use]
    pub fn real(&self, span: Duration) -> Duration {
        match self.pace {
            Pace::System => span,
            Pace::Virtual { rate, .. } => span / rate,
        }
    }
}
