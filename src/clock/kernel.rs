//! What the kernel knows of its clock: whether a time service keeps it.
//!
//! The only call is adjtimex(2) without any mode, which changes nothing and needs no right; no library with a safe
//! interface to it is at hand.

#![allow(unsafe_code)]

/// Whether a time service has set the kernel's clock and keeps it (its status lacks `STA_UNSYNC`).
#[must_use]
pub fn is_synchronised() -> bool {
    // SAFETY: all of `timex` is integers, for which zeros are values; the kernel writes to it and keeps no reference.
    let (state, status) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        let state = libc::adjtimex(&raw mut timex);
        (state, timex.status)
    };
    state >= 0 && state != libc::TIME_ERROR && status & libc::STA_UNSYNC == 0
}
