//! Forwarding, as a pure decision: what may be published now, and what a word of the broker frees.
//!
//! The path of an acknowledgement:
//!
//! 1. Events leave in sequence order, at most a window and [`UNACKNOWLEDGED_MAX_BYTES`] of them unacknowledged. Each is
//!    known by the packet id of its publish on this very connection.
//! 2. The broker's word about that packet comes, with a reason code under MQTT 5:
//!
//!    | The broker … | yields |
//!    |---|---|
//!    | says 0x00 (MQTT 5) | step 4 |
//!    | acknowledges (MQTT 3.1.1) | step 3 |
//!    | says 0x10, nobody subscribes | the event stays; alone, it is tried again after 5 s, more and more seldom up to 60 s |
//!    | says any other code, known or not | the event stays; the session ends with that refusal |
//!    | says nothing, swallows it, reads nothing | the event stays; the line is useless after [`DEADLINE`] |
//!    | closes the connection | what step 4 has not reached stays |
//!
//! 3. MQTT 3.1.1 has no codes, and some brokers acknowledge what they deny and then close: an acknowledgement counts only
//!    once a ping was answered that left after it came. (With `acknowledge = "broker"` events leave only on topics that a
//!    `hello` has proven before: that is the session's.)
//! 4. The cursor moves over the contiguous prefix of what counts, never past a hole.
//! 5. A new connection starts again at the first event that the cursor has not passed: a fresh [`Forward`].
//! 6. HQ's `stored` moves the cursor, too, whatever the broker said: [`Forward::skip_to`].
//!
//! Deliberately absent: any queue of events that lives longer than a connection. The store is the queue.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::event::EventType;

/// Bytes of events that are published and not acknowledged, at most; a single event may be larger.
pub const UNACKNOWLEDGED_MAX_BYTES: usize = 256 * 1024;

/// The first unacknowledged event must be acknowledged within this, anew for each that becomes the first, and while the
/// broker takes at least 1 KB/s.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Smaller windows are refilled at once: a broker that gathers small packets (Nagle) sends its next acknowledgements only
/// when the box's side answers the first, and an event is the soonest answer.
pub const BATCHED_FROM: usize = 64;

/// A line that takes so much is slow, not dead.
const SLOWEST_BYTES_PER_S: u64 = 1_024;

/// What nobody subscribes to is tried again first after this …
const UNHEARD_FIRST: Duration = Duration::from_secs(5);

/// … and later after this at most.
const UNHEARD_LONGEST: Duration = Duration::from_secs(60);

/// When the broker's word about a publish counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// As it comes: it has a reason code.
    AtOnce,
    /// Once a later ping was answered.
    AfterPing,
}

/// How the line behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Events unacknowledged at most.
    pub window: u16,
    /// When a word counts.
    pub counts: Counts,
    /// Whether an event to which nobody subscribes stays.
    pub needs_subscriber: bool,
    /// What the waits are divided by; 1 but for tests.
    pub pace: u32,
}

/// What the broker says of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It took it.
    Taken,
    /// It took it, and nobody subscribes.
    NobodyListens,
}

/// The events of one connection that are on their way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    rules: Rules,
    acknowledged: u64,
    in_flight: VecDeque<InFlight>,
    unacknowledged_bytes: usize,
    /// Acknowledgements that came; a ping covers those before it.
    acknowledgements: u64,
    ping_covers: Option<u64>,
    proven: u64,
    /// When somebody is looked for again who subscribes; `None` once somebody does.
    unheard: Option<Unheard>,
    /// When the first event became the first, and what the broker had taken then.
    first: (Instant, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct InFlight {
    packet: u16,
    event_type: EventType,
    bytes: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Sent,
    /// The n-th acknowledgement of this connection.
    Acknowledged(u64),
    Unheard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unheard {
    /// `None` while it was not tried yet.
    again: Option<Instant>,
    wait: Duration,
}

impl Forward {
    /// A new connection: everything after `acknowledged` is to be published.
    #[must_use]
    pub fn after(acknowledged: u64, rules: Rules, now: Instant) -> Self {
        let unheard = Unheard { again: None, wait: UNHEARD_FIRST / rules.pace };
        Self {
            rules,
            acknowledged,
            in_flight: VecDeque::new(),
            unacknowledged_bytes: 0,
            acknowledgements: 0,
            ping_covers: None,
            proven: 0,
            unheard: rules.needs_subscriber.then_some(unheard),
            first: (now, 0),
        }
    }

    /// The number of the next event to publish.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.acknowledged + self.in_flight.len() as u64 + 1
    }

    /// Every event up to here counts as acknowledged.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        self.acknowledged
    }

    /// How many events may be published now; of a window of [`BATCHED_FROM`] on 0 until a quarter is free, so that they go in
    /// batches. Until somebody is known to subscribe, one at a time.
    #[must_use]
    pub fn room(&self, now: Instant) -> usize {
        match self.unheard {
            Some(Unheard { again: Some(again), .. }) if now < again => 0,
            Some(_) => usize::from(self.in_flight.is_empty()),
            None => {
                let window = usize::from(self.rules.window.max(1));
                let free = window.saturating_sub(self.in_flight.len());
                if window < BATCHED_FROM || free * 4 >= window { free } else { 0 }
            }
        }
    }

    /// Whether an event of this size may join those that are on their way.
    #[must_use]
    pub fn takes(&self, bytes: usize) -> bool {
        self.unacknowledged_bytes == 0 || self.unacknowledged_bytes + bytes <= UNACKNOWLEDGED_MAX_BYTES
    }

    /// Events published whose acknowledgement does not count yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The unacknowledged event that a packet carries: its number, size and type.
    #[must_use]
    pub fn find(&self, packet: u16) -> Option<(u64, usize, EventType)> {
        let at = self.in_flight.iter().position(|event| event.packet == packet && event.state == State::Sent)?;
        let event = &self.in_flight[at];
        Some((self.acknowledged + 1 + at as u64, event.bytes, event.event_type))
    }

    /// The type of the first event that waits for its acknowledgement.
    #[must_use]
    pub fn first_type(&self) -> Option<EventType> {
        self.in_flight.front().map(|event| event.event_type)
    }

    /// Whether events leave a window at a time: somebody is known to subscribe, or need not be.
    #[must_use]
    pub fn has_opened(&self) -> bool {
        self.unheard.is_none()
    }

    /// Whether an event to which nobody subscribes stays.
    #[must_use]
    pub fn needs_subscriber(&self) -> bool {
        self.rules.needs_subscriber
    }

    /// The event that was [`Forward::next`] was published with this packet id; `taken` are the bytes that the broker has
    /// taken so far.
    pub fn published(&mut self, packet: u16, event_type: EventType, bytes: usize, now: Instant, taken: u64) {
        if self.in_flight.is_empty() {
            self.first = (now, taken);
        }
        self.in_flight.push_back(InFlight { packet, event_type, bytes, state: State::Sent });
        self.unacknowledged_bytes += bytes;
    }

    /// The broker's word about a packet. One that is no event's, or is HQ's already, is passed over.
    pub fn acknowledged(&mut self, packet: u16, word: Word, now: Instant, taken: u64) {
        let waiting = self.in_flight.iter_mut().find(|event| event.packet == packet && event.state == State::Sent);
        let Some(event) = waiting else { return };
        self.unacknowledged_bytes -= event.bytes;
        if word == Word::NobodyListens && self.rules.needs_subscriber {
            event.state = State::Unheard;
            let known = self.unheard.unwrap_or(Unheard { again: None, wait: UNHEARD_FIRST / self.rules.pace });
            // Of those that left together one counts.
            if known.again.is_none_or(|again| again <= now) {
                let longest = UNHEARD_LONGEST / self.rules.pace;
                self.unheard = Some(Unheard { again: Some(now + known.wait), wait: (known.wait * 2).min(longest) });
            }
        } else {
            self.acknowledgements += 1;
            event.state = State::Acknowledged(self.acknowledgements);
            if self.in_flight.iter().all(|event| event.state != State::Unheard) {
                self.unheard = None;
            }
            if self.rules.counts == Counts::AtOnce {
                self.proven = self.acknowledgements;
            }
        }
        self.move_on(now, taken);
    }

    /// Whether a ping is to be sent for acknowledgements to count.
    #[must_use]
    pub fn wants_ping(&self) -> bool {
        self.ping_covers.is_none() && self.acknowledgements > self.proven
    }

    /// Whether a ping is on its way.
    #[must_use]
    pub fn waits_for_pong(&self) -> bool {
        self.ping_covers.is_some()
    }

    /// A ping was sent.
    pub fn pinged(&mut self) {
        self.ping_covers = Some(self.acknowledgements);
    }

    /// It was answered.
    pub fn ponged(&mut self, now: Instant, taken: u64) {
        if let Some(covers) = self.ping_covers.take() {
            self.proven = self.proven.max(covers);
            self.move_on(now, taken);
        }
    }

    /// HQ itself has everything up to a number.
    pub fn skip_to(&mut self, number: u64, now: Instant, taken: u64) {
        if number <= self.acknowledged {
            return;
        }
        let known = usize::try_from(number - self.acknowledged).unwrap_or(usize::MAX).min(self.in_flight.len());
        for event in self.in_flight.drain(..known) {
            if event.state == State::Sent {
                self.unacknowledged_bytes -= event.bytes;
            }
        }
        self.acknowledged = number;
        // Somebody listens, whatever the broker says.
        self.unheard = None;
        self.rules.needs_subscriber = false;
        self.first = (now, taken);
        self.move_on(now, taken);
    }

    /// Until when the first event must be acknowledged, if one waits.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.in_flight.front().map(|_| self.first.0 + DEADLINE / self.rules.pace)
    }

    /// Whether the line is useless: the deadline is over, and the broker has hardly taken anything either.
    pub fn is_overdue(&mut self, now: Instant, taken: u64) -> bool {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return false;
        }
        let (_, taken_then) = self.first;
        let slowest = SLOWEST_BYTES_PER_S * DEADLINE.as_secs() / u64::from(self.rules.pace);
        if taken.saturating_sub(taken_then) >= slowest {
            self.first = (now, taken);
            return false;
        }
        true
    }

    fn move_on(&mut self, now: Instant, taken: u64) {
        let counts = |event: &InFlight| matches!(event.state, State::Acknowledged(nth) if nth <= self.proven);
        let moved = self.in_flight.iter().take_while(|event| counts(event)).count();
        if moved > 0 {
            self.in_flight.drain(..moved);
            self.acknowledged += moved as u64;
            self.first = (now, taken);
        }
        // Behind an event that nobody heard nothing counts: once all have had their answer, it is the next again.
        if self.in_flight.iter().any(|event| event.state == State::Unheard)
            && self.in_flight.iter().all(|event| event.state != State::Sent)
        {
            self.in_flight.clear();
        }
    }

    /// When somebody is looked for again who subscribes.
    #[must_use]
    pub fn tries_again(&self) -> Option<Instant> {
        self.unheard.and_then(|unheard| unheard.again)
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
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const RULES: Rules = Rules { window: 4, counts: Counts::AtOnce, needs_subscriber: false, pace: 1 };

    fn forward(acknowledged: u64, rules: Rules) -> (Forward, Instant) {
        let now = Instant::now();
        (Forward::after(acknowledged, rules, now), now)
    }

    #[test]
    fn the_cursor_waits_for_a_hole_to_fill() {
        let (mut forward, now) = forward(10, RULES);
        assert_eq!((forward.next(), forward.room(now)), (11, 4));
        (1..=4).for_each(|packet| forward.published(packet, EventType::Transaction, 100, now, 0));
        assert_eq!((forward.next(), forward.room(now)), (15, 0));
        for (packet, cursor) in [(2, 10), (3, 10), (1, 13)] {
            forward.acknowledged(packet, Word::Taken, now, 0);
            assert_eq!(forward.cursor(), cursor);
        }
        assert_eq!((forward.in_flight(), forward.room(now)), (1, 3));
        forward.acknowledged(1, Word::Taken, now, 0);
        assert_eq!(forward.cursor(), 13, "what is no event's is passed over");
    }

    #[test]
    fn without_codes_a_word_counts_only_behind_a_ping() {
        let (mut forward, now) = forward(0, Rules { counts: Counts::AfterPing, ..RULES });
        (1..=3).for_each(|packet| forward.published(packet, EventType::Transaction, 100, now, 0));
        assert!(!forward.wants_ping());
        forward.acknowledged(1, Word::Taken, now, 0);
        assert_eq!((forward.cursor(), forward.wants_ping()), (0, true), "a close behind it frees nothing");
        forward.pinged();
        forward.acknowledged(2, Word::Taken, now, 0);
        assert!(!forward.wants_ping(), "one ping at a time");
        forward.ponged(now, 0);
        assert_eq!((forward.cursor(), forward.wants_ping()), (1, true), "the second came after the ping had left");
        forward.pinged();
        forward.ponged(now, 0);
        assert_eq!((forward.cursor(), forward.wants_ping(), forward.in_flight()), (2, false, 1));
    }

    #[test]
    fn what_nobody_hears_stays_and_is_tried_alone_more_and_more_seldom() {
        let (mut forward, mut now) = forward(0, Rules { needs_subscriber: true, ..RULES });
        let mut waits = Vec::new();
        for packet in 1..=6 {
            assert_eq!((forward.next(), forward.room(now)), (1, 1));
            forward.published(packet, EventType::Transaction, 100, now, 0);
            assert_eq!(forward.room(now), 0);
            forward.acknowledged(packet, Word::NobodyListens, now, 0);
            assert_eq!((forward.cursor(), forward.deadline(), forward.room(now)), (0, None, 0));
            let again = forward.tries_again().unwrap();
            waits.push((again - now).as_secs());
            now = again;
        }
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        forward.published(7, EventType::Transaction, 100, now, 0);
        forward.acknowledged(7, Word::Taken, now, 0);
        assert_eq!((forward.cursor(), forward.next(), forward.room(now)), (1, 2, 4), "the window opens");
        // Whoever listened is gone again: what came behind the first that nobody heard does not count.
        (8..=10).for_each(|packet| forward.published(packet, EventType::Transaction, 100, now, 0));
        forward.acknowledged(8, Word::NobodyListens, now, 0);
        forward.acknowledged(9, Word::Taken, now, 0);
        assert_eq!((forward.cursor(), forward.next()), (1, 5));
        forward.acknowledged(10, Word::NobodyListens, now, 0);
        assert_eq!((forward.cursor(), forward.next(), forward.room(now)), (1, 2, 0));
    }

    #[test]
    fn what_hq_has_counts_whatever_the_broker_said() {
        let (mut forward, now) = forward(0, Rules { needs_subscriber: true, ..RULES });
        forward.published(1, EventType::Transaction, 100, now, 0);
        forward.acknowledged(1, Word::NobodyListens, now, 0);
        forward.skip_to(1, now, 0);
        assert_eq!((forward.cursor(), forward.next(), forward.room(now)), (1, 2, 4));
        (2..=4).for_each(|packet| forward.published(packet, EventType::Transaction, 100, now, 0));
        forward.skip_to(3, now, 0);
        forward.acknowledged(2, Word::Taken, now, 0);
        assert_eq!((forward.cursor(), forward.next(), forward.in_flight()), (3, 5, 1));
        forward.acknowledged(4, Word::NobodyListens, now, 0);
        assert_eq!((forward.cursor(), forward.in_flight()), (4, 0), "HQ reads without a subscription");
        forward.skip_to(9, now, 0);
        assert_eq!((forward.cursor(), forward.next()), (9, 10));
    }

    #[test]
    fn a_large_window_is_refilled_by_quarters_and_a_small_one_at_once() {
        for (window, after_one) in [(64_u16, 0), (63, 1)] {
            let (mut forward, now) = forward(0, Rules { window, ..RULES });
            (1..=window).for_each(|packet| forward.published(packet, EventType::Transaction, 100, now, 0));
            forward.acknowledged(1, Word::Taken, now, 0);
            assert_eq!(forward.room(now), after_one, "window {window}");
        }
        let (mut forward, now) = forward(0, Rules { window: 64, ..RULES });
        (1..=64).for_each(|packet| forward.published(packet, EventType::Transaction, 100, now, 0));
        (1..=16).for_each(|packet| forward.acknowledged(packet, Word::Taken, now, 0));
        assert_eq!(forward.room(now), 16);
    }

    #[test]
    fn bytes_on_their_way_are_bounded_and_a_large_event_goes_alone() {
        let (mut forward, now) = forward(0, RULES);
        assert!(forward.takes(UNACKNOWLEDGED_MAX_BYTES * 2));
        forward.published(1, EventType::Transaction, UNACKNOWLEDGED_MAX_BYTES - 10, now, 0);
        assert!(forward.takes(10) && !forward.takes(11));
        forward.acknowledged(1, Word::Taken, now, 0);
        assert!(forward.takes(UNACKNOWLEDGED_MAX_BYTES));
    }

    #[test]
    fn a_line_is_useless_when_its_first_event_waits_and_nothing_is_taken() {
        let (mut forward, begin) = forward(0, RULES);
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert!(!forward.is_overdue(at(1_000), 0), "nothing waits");
        forward.published(1, EventType::Transaction, 100, at(0), 500);
        forward.published(2, EventType::Transaction, 100, at(50), 600);
        assert!(!forward.is_overdue(at(59), 700));
        assert!(forward.is_overdue(at(60), 700));
        assert!(!forward.is_overdue(at(60), 500 + 60 * 1_024), "it is slow, not dead");
        assert!(forward.is_overdue(at(120), 600 + 60 * 1_024), "and now it takes no more");
        forward.acknowledged(2, Word::Taken, at(121), 0);
        assert!(forward.is_overdue(at(122), 60 * 1_024), "a later one does not speak for the first");
        forward.acknowledged(1, Word::Taken, at(122), 0);
        assert_eq!(forward.deadline(), None);
        forward.published(3, EventType::Transaction, 100, at(200), 0);
        assert!(!forward.is_overdue(at(259), 0));
        assert!(forward.is_overdue(at(260), 0));
    }

    #[test]
    fn waits_double_up_to_a_minute() {
        let longest = |attempt, slow| reconnect_after(attempt, slow, u64::MAX >> 1).as_millis();
        assert!(longest(0, false) < 1_000 && longest(3, false) < 8_000 && longest(99, false) < 60_000);
        assert!(reconnect_after(0, true, 0).as_millis() == 30_000);
    }

    proptest! {
        /// Whatever the order of acknowledgements and pings, the cursor is the length of the acknowledged prefix, and
        /// packet ids that are used again are not mistaken for their former owners.
        #[test]
        fn the_cursor_is_the_acknowledged_prefix(
            window in 1_u16..20,
            order in proptest::collection::vec(any::<prop::sample::Index>(), 1..300),
        ) {
            let (mut forward, now) = forward(0, Rules { window, ..RULES });
            let (mut packet, mut sent, mut in_flight) = (0_u16, 0_u64, Vec::<(u64, u16)>::new());
            let mut acknowledged = BTreeSet::new();
            for pick in order {
                while forward.in_flight() < usize::from(window) {
                    packet = packet % (window * 2) + 1;
                    if in_flight.iter().any(|(_, taken)| *taken == packet) { continue; }
                    sent += 1;
                    prop_assert_eq!(forward.next(), sent);
                    forward.published(packet, EventType::Transaction, 1, now, 0);
                    in_flight.push((sent, packet));
                }
                let (number, packet) = in_flight.swap_remove(pick.index(in_flight.len()));
                acknowledged.insert(number);
                let prefix = (1..=sent).take_while(|number| acknowledged.contains(number)).count() as u64;
                forward.acknowledged(packet, Word::Taken, now, 0);
                prop_assert_eq!(forward.cursor(), prefix);
                let waiting = usize::try_from(sent).unwrap() - acknowledged.len();
                prop_assert_eq!(forward.unacknowledged_bytes, waiting);
            }
        }
    }
}
