//! How long a connection waits after failures in a row.

use std::time::Duration;

/// Wait before a failed request is sent again: the first, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));

/// Waits that grow from failure to failure, spread by chance so that a thousand boxes do not ask at the same moment.
#[derive(Debug)]
pub struct Backoff {
    failures: u32,
    chance: u64,
}

impl Backoff {
    pub fn new() -> Self {
        let mut bytes = [0; 8];
        let _without_chance_all_boxes_are_alike =
            ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes);
        Self { failures: 0, chance: u64::from_be_bytes(bytes) }
    }

    /// One more failure in a row: how long to wait.
    pub fn failed(&mut self) -> Duration {
        let (first, longest) = RETRY;
        let full = (first * (1 << self.failures.min(5))).min(longest);
        self.failures = self.failures.saturating_add(1);
        full / 2 + self.jitter(full / 2)
    }

    /// The row of failures ended.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Anything below a span.
    pub fn jitter(&mut self, span: Duration) -> Duration {
        let span_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1);
        Duration::from_millis(self.chance() % span_ms)
    }

    /// A number that differs from box to box.
    pub fn chance(&mut self) -> u64 {
        // A step of a linear congruence is chance enough to spread boxes.
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.chance >> 33
    }
}
