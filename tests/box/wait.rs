//! Waiting for what others do.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Whether it came.
pub type Wait = Result<Duration, Duration>;

/// Waits until something holds; gives how long that took, or that it did not come.
pub fn until(limit: Duration, mut holds: impl FnMut() -> bool) -> Wait {
    let begun = Instant::now();
    loop {
        if holds() {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > limit {
            return Err(begun.elapsed());
        }
        thread::park_timeout(LOOK_EVERY);
    }
}

/// Lets a moment pass: where the moment is the subject, as that of a cut or of a look at a light.
pub fn pass(span: Duration) {
    let _it_does_not_come = until(span, || false);
}
