//! What the kernel still holds of what was written to a socket: the broker's side has not taken it yet.
//!
//! The only call is ioctl(2) with `TIOCOUTQ` (`SIOCOUTQ` of tcp(7)); no library with a safe interface to it is at hand.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Bytes that wait in a TCP socket to be sent, or to be acknowledged by the other side's kernel; 0 where it cannot be told.
pub fn bytes(socket: BorrowedFd<'_>) -> u64 {
    let mut waiting: libc::c_int = 0;
    // SAFETY: the descriptor is borrowed and so open, and the kernel writes one integer to where it is told.
    let answered = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut waiting) };
    if answered == 0 { u64::try_from(waiting).unwrap_or_default() } else { 0 }
}
