//! Forwarding, as a pure decision: what may be published now, and what an acknowledgement frees.
//!
//! 1. Events leave in sequence order, at most a window of them unacknowledged.
//! 2. An acknowledgement counts only for the publish of this very connection that carries its packet id.
//! 3. The cursor moves over the contiguous acknowledged prefix, never past a hole.
//! 4. A new connection starts again at the first unacknowledged event: a fresh [`Forward`].
//! 5. What HQ does not say to be stored, though the broker acknowledged it, is published again: see [`Overdue`].
//!
//! Deliberately absent: any queue of events that lives longer than a connection. The store is the queue.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The events of one connection that are on their way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    window: usize,
    acknowledged: u64,
    in_flight: VecDeque<InFlight>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct InFlight {
    packet: u16,
    acknowledged: bool,
}

/// An acknowledgement for which there is no publish: the broker and the box disagree, so the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("packet {0} was acknowledged, but nothing was published with it")]
pub struct Unsolicited(pub u16);

impl Forward {
    /// A new connection: everything after `acknowledged` is to be published, `window` events at a time.
    #[must_use]
    pub fn after(acknowledged: u64, window: u16) -> Self {
        Self { window: usize::from(window.max(1)), acknowledged, in_flight: VecDeque::new() }
    }

    /// The number of the next event to publish.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.acknowledged + self.in_flight.len() as u64 + 1
    }

    /// How many events may be published now; 0 until a quarter of the window is free, so that they go in batches.
    #[must_use]
    pub fn room(&self) -> usize {
        let free = self.window - self.in_flight.len();
        if free * 4 >= self.window { free } else { 0 }
    }

    /// Events published and not yet acknowledged in order.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The event that was [`Forward::next`] was published with this packet id.
    pub fn published(&mut self, packet: u16) {
        self.in_flight.push_back(InFlight { packet, acknowledged: false });
    }

    /// The broker acknowledged a packet; gives the number up to which everything is acknowledged now.
    ///
    /// # Errors
    /// No unacknowledged event carries the packet id.
    pub fn acknowledged(&mut self, packet: u16) -> Result<u64, Unsolicited> {
        let waiting = self.in_flight.iter_mut().find(|event| event.packet == packet && !event.acknowledged);
        waiting.ok_or(Unsolicited(packet))?.acknowledged = true;
        while self.in_flight.front().is_some_and(|event| event.acknowledged) {
            self.in_flight.pop_front();
            self.acknowledged += 1;
        }
        Ok(self.acknowledged)
    }
}

/// Watches for events that the broker acknowledged and HQ does not say to be stored: a broker that lost its memory, or
/// that dropped what waited for HQ, has acknowledged them all the same. They are published again, more and more seldom
/// while HQ says nothing at all.
#[derive(Debug, Clone)]
pub struct Overdue {
    released: u64,
    since: Instant,
    wait: Duration,
}

impl Overdue {
    const FIRST: Duration = Duration::from_secs(60);
    const LONGEST: Duration = Duration::from_secs(60 * 60);

    /// Nothing is overdue yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { released: 0, since: now, wait: Self::FIRST }
    }

    /// Learns how far things are; gives the instant at which what is not released is to be published again.
    pub fn due(&mut self, acknowledged: u64, released: u64, now: Instant) -> Option<Instant> {
        if released != self.released || acknowledged <= released {
            *self = Self { released, ..Self::new(now) };
        }
        (acknowledged > released).then(|| self.since + self.wait)
    }

    /// It is published again now.
    pub fn sent_again(&mut self, now: Instant) {
        self.since = now;
        self.wait = (self.wait * 2).min(Self::LONGEST);
    }
}

/// How long to wait before the next attempt to connect: doubling from a second to a minute, the upper half of it left
/// to chance, so that a thousand boxes do not come back at once. `chance` is any number.
#[must_use]
pub fn reconnect_after(attempt: u32, slow: bool, chance: u64) -> Duration {
    const FIRST_MS: u64 = 1_000;
    const LONGEST_MS: u64 = 60_000;
    let full_ms = if slow { LONGEST_MS } else { (FIRST_MS << attempt.min(6)).min(LONGEST_MS) };
    Duration::from_millis(full_ms / 2 + chance % (full_ms / 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_cursor_waits_for_a_hole_to_fill() {
        let mut forward = Forward::after(10, 4);
        assert_eq!((forward.next(), forward.room()), (11, 4));
        (1..=4).for_each(|packet| forward.published(packet));
        assert_eq!((forward.next(), forward.room()), (15, 0));
        assert_eq!(forward.acknowledged(2), Ok(10));
        assert_eq!(forward.acknowledged(3), Ok(10));
        assert_eq!(forward.acknowledged(1), Ok(13));
        assert_eq!((forward.in_flight(), forward.room()), (1, 3));
        assert_eq!(forward.acknowledged(1), Err(Unsolicited(1)));
    }

    #[test]
    fn what_hq_does_not_say_to_be_stored_is_sent_again_more_and_more_seldom() {
        let (begin, mut at) = (Instant::now(), 0);
        let mut overdue = Overdue::new(begin);
        let mut sent_at = Vec::new();
        while at < 4 * 60 * 60 {
            let now = begin + Duration::from_secs(at);
            if overdue.due(10, 4, now).is_some_and(|due| due <= now) {
                overdue.sent_again(now);
                sent_at.push(at);
            }
            at += 1;
        }
        assert_eq!(sent_at[..4], [60, 180, 420, 900]);
        assert!(sent_at.len() < 12, "{sent_at:?}");
        let now = begin + Duration::from_secs(at);
        assert_eq!(overdue.due(10, 5, now), Some(now + Duration::from_secs(60)), "HQ speaks again");
        assert_eq!(overdue.due(10, 10, now), None);
    }

    #[test]
    fn waits_double_up_to_a_minute() {
        let longest = |attempt, slow| reconnect_after(attempt, slow, u64::MAX >> 1).as_millis();
        assert!(longest(0, false) < 1_000 && longest(3, false) < 8_000 && longest(99, false) < 60_000);
        assert!(reconnect_after(0, true, 0).as_millis() == 30_000);
    }

    proptest! {
        /// Whatever the order of acknowledgements, the cursor is the length of the acknowledged prefix, and packet ids
        /// that are used again are not mistaken for their former owners.
        #[test]
        fn the_cursor_is_the_acknowledged_prefix(
            window in 1_u16..20,
            order in proptest::collection::vec(any::<prop::sample::Index>(), 1..300),
        ) {
            let mut forward = Forward::after(0, window);
            let (mut packet, mut sent, mut in_flight) = (0_u16, 0_u64, Vec::<(u64, u16)>::new());
            let mut acknowledged = std::collections::BTreeSet::new();
            for pick in order {
                while forward.in_flight() < usize::from(window) {
                    packet = packet % (window * 2) + 1;
                    if in_flight.iter().any(|(_, taken)| *taken == packet) { continue; }
                    sent += 1;
                    prop_assert_eq!(forward.next(), sent);
                    forward.published(packet);
                    in_flight.push((sent, packet));
                }
                let (number, packet) = in_flight.swap_remove(pick.index(in_flight.len()));
                acknowledged.insert(number);
                let prefix = (1..=sent).take_while(|number| acknowledged.contains(number)).count() as u64;
                prop_assert_eq!(forward.acknowledged(packet), Ok(prefix));
            }
        }
    }
}
