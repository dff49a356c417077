//! Whether a time service keeps this machine's clock, by the kernel's word or by that of systemd's own service.
//!
//! Under the unit the kernel is not asked: `ProtectClock` denies the call. Then the file counts by which
//! systemd-timesyncd(8) tells that it has set the clock since the machine started.
//!
//! The only call is adjtimex(2) without any mode, which changes nothing and needs no right; no library with a safe
//! interface to it is at hand.

#![allow(unsafe_code)]

use std::path::Path;

/// There once systemd-timesyncd has set the clock in this boot.
const SET_BY_TIMESYNCD: &str = "/run/systemd/timesync/synchronized";

/// Whether a time service has set the clock.
#[must_use]
pub fn is_synchronised() -> bool {
    // A test of what follows where nobody keeps the clock must not depend on the machine that it runs on.
    if cfg!(feature = "demo") && std::env::var_os("TILLBOX_TEST_CLOCK_UNKEPT").is_some() {
        return false;
    }
    kernel_says_so() || Path::new(SET_BY_TIMESYNCD).exists()
}

/// Whether the kernel's clock is kept by a time service: its status lacks `STA_UNSYNC`.
fn kernel_says_so() -> bool {
    // SAFETY: all of `timex` is integers, for which zeros are values; the kernel writes to it and keeps no reference.
    let (state, status) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        let state = libc::adjtimex(&raw mut timex);
        (state, timex.status)
    };
    state >= 0 && state != libc::TIME_ERROR && status & libc::STA_UNSYNC == 0
}
