//! Waiting for a condition, with an end.

use std::{
    process::{Child, ExitStatus},
    thread,
    time::{Duration, Instant},
};

/// Long enough for a busy machine, short enough for a person.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits until `look` gives something; fails with the words of `otherwise` when `limit` is over.
pub fn until<T>(limit: Duration, mut look: impl FnMut() -> Option<T>, otherwise: impl FnOnce() -> String) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < limit, "not within {limit:?}: {}", otherwise());
        thread::park_timeout(LOOK_EVERY);
    }
}

/// Sends a signal by its name, such as `TERM`.
pub fn signal(child: &Child, name: &str) {
    let sent = std::process::Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
    assert!(sent.expect("kill, of Debian's package procps").success(), "SIG{name} could not be sent");
}

/// Waits for the end of a process.
pub fn ended(child: &mut Child, limit: Duration, otherwise: impl FnOnce() -> String) -> ExitStatus {
    until(limit, || child.try_wait().expect("a child can be waited for"), otherwise)
}
