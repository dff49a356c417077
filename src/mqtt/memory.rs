//! What the line remembers from one session to the next, and what it concludes from how sessions ended.
//!
//! A close or a silence speaks against an event only if a small `hello` passes on the same broker and one of the event's
//! size does not, [`STRIKES`] times: a poor line cuts anything. Then the event is too large for that broker, and goes there
//! without its items. If the small one does not pass either, the topic is denied.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{feed::FeedWatch, wire::Version};
use crate::event::{EventType, StreamId};

/// Two boxes that throw each other out are told once in this.
const TAKEN_OVER_TOLD_AGAIN: Duration = Duration::from_secs(60 * 60);

/// So often in a row the same thing must fail before it is more than chance.
pub const STRIKES: u32 = 3;

/// After a session without any acknowledgement so many events go one at a time.
const CAREFUL: u32 = 200;

/// What was learned of a broker is learned anew after this long: somebody may have mended it.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// What the link remembers.
#[derive(Debug)]
pub struct Memory {
    /// Names this start of the box in its checkpoints.
    pub(super) nonce: String,
    /// Whether the nonce stands in the store's list.
    pub(super) nonce_kept: bool,
    /// The line has worked since the start.
    pub(super) has_worked: bool,
    pub(super) feed: FeedWatch,
    /// Since when a first event waits for a clock that something confirms.
    pub(super) clock_wait: Option<Instant>,
    /// When HQ's word for starting again was last obeyed.
    pub(super) restarted: Option<Instant>,
    /// The last event that went without its items, and when it did.
    pub(super) reduced: Option<(u64, Instant)>,
    /// The greatest generation that was named when a stream began whose own was to be chosen later.
    pub(super) above: u32,
    /// When a broker was last found to have lost its memory.
    pub(super) forgotten: Option<Instant>,
    /// When HQ was last told that another client took this box's session.
    taken_over: Option<Instant>,
    /// Connections in a row that could not be made, at whichever broker.
    pub(super) unopened: u32,
    brokers: BTreeMap<String, BrokerMemory>,
}

impl Memory {
    /// A start of the box.
    pub(super) fn new(nonce: String, pace: u32) -> Self {
        Self {
            nonce,
            nonce_kept: false,
            has_worked: false,
            feed: FeedWatch::new(pace),
            clock_wait: None,
            restarted: None,
            reduced: None,
            above: 0,
            forgotten: None,
            taken_over: None,
            unopened: 0,
            brokers: BTreeMap::new(),
        }
    }

    /// Another client took this box's session; whether HQ is to be told.
    pub(super) fn taken_over(&mut self, now: Instant) -> bool {
        let lately = self.taken_over.is_some_and(|told| now.saturating_duration_since(told) < TAKEN_OVER_TOLD_AGAIN);
        if !lately {
            self.taken_over = Some(now);
        }
        !lately
    }

    /// A broker was reached, or was not.
    pub(super) fn opens(&mut self, reached: bool) {
        self.unopened = if reached { 0 } else { self.unopened.saturating_add(1) };
    }

    /// What is remembered of one broker.
    pub(super) fn of(&mut self, broker: &str) -> &mut BrokerMemory {
        self.brokers.entry(broker.to_owned()).or_default()
    }
}

/// What is remembered of one broker.
#[derive(Debug, Default)]
pub struct BrokerMemory {
    /// It said that it does not speak MQTT 5.
    speaks_311: Option<Instant>,
    /// Bytes of the largest event that it takes, as far as it was tried.
    limit: Option<(usize, Instant)>,
    suspect: Option<Suspect>,
    greetings_failed: u32,
    /// Sessions in a row that ended at the checkpoint.
    checkpoints_failed: u32,
    /// The topic (below the outlet's base) at whose subscription sessions ended, and how often in a row.
    unreadable: Option<(String, u32)>,
    /// So many events go one at a time: an earlier session ended without any acknowledgement.
    careful: u32,
    /// Topics are proven at the sizes of the events: an earlier session ended at a larger step.
    pub(super) exact: bool,
    /// What it forgot and is to be sent again: stream, first and last number.
    pub(super) resend: Option<(StreamId, u64, u64)>,
    /// Logins in a row at which it hung up.
    pub(super) logins_hung_up: u32,
    pub(super) doing: Doing,
    /// The topic (below the outlet's base) whose subscription is on its way.
    subscribing: Option<String>,
}

/// An event at which a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspect {
    /// Its number.
    pub number: u64,
    /// Its type, which names its topic.
    pub event_type: EventType,
    /// Its size as a packet.
    pub bytes: usize,
    small: u32,
    large: u32,
    alone: u32,
}

/// What a session is doing, in case it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Doing {
    /// Nothing that could be held against anything.
    #[default]
    Nothing,
    /// Its first hello is on its way.
    Greeting,
    /// A checkpoint is on its way.
    Checkpoint,
    /// Events are on their way, and nothing was acknowledged in this session.
    Publishing,
    /// This event alone is on its way, or a hello of its very size in front of it.
    Alone(u64, EventType, usize),
    /// A hello is on its way that is larger than the event behind it: a step of size.
    Step,
    /// A small hello is on its way on the suspect's topic.
    Small,
    /// One of the suspect's size is.
    Large,
}

/// What follows from how a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not even a small publish passes on this topic (below the outlet's base).
    Denied(String),
    /// The broker grants no subscription to this topic (below the outlet's base): it ends the connection at it.
    Unreadable(String),
    /// The broker takes no event of this size.
    TooLarge {
        /// Bytes of the event.
        bytes: usize,
    },
    /// The broker ends the connection at this event, and not at a hello of its size.
    Event {
        /// The event's number.
        number: u64,
        /// Its type.
        event_type: EventType,
    },
}

impl BrokerMemory {
    /// The version that it speaks, if that is known.
    pub(super) fn version(&self, now: Instant) -> Option<Version> {
        self.speaks_311.filter(|at| now.saturating_duration_since(*at) < REMEMBERED).map(|_| Version::V311)
    }

    /// It said that it does not speak MQTT 5.
    pub(super) fn refused_5(&mut self, now: Instant) {
        self.speaks_311.get_or_insert(now);
    }

    /// Bytes of the largest packet that it takes, as far as that was found out.
    pub(super) fn limit(&mut self, now: Instant) -> Option<usize> {
        self.limit = self.limit.filter(|(_, at)| now.saturating_duration_since(*at) < REMEMBERED);
        self.limit.map(|(bytes, _)| bytes)
    }

    /// It takes no packet of `bytes`.
    pub(super) fn takes_less_than(&mut self, bytes: usize, now: Instant) {
        let limit = bytes.saturating_sub(1);
        self.limit = Some(self.limit.map_or((limit, now), |(known, _)| (known.min(limit), now)));
    }

    /// The event at which a session ended, if it is this one.
    pub(super) fn suspect(&self, number: u64) -> Option<Suspect> {
        self.suspect.filter(|suspect| suspect.number == number)
    }

    /// Events were acknowledged: nothing is held against anything any more.
    pub(super) fn moved(&mut self, events: u64) {
        (self.suspect, self.greetings_failed, self.doing) = (None, 0, Doing::Nothing);
        self.careful = self.careful.saturating_sub(u32::try_from(events).unwrap_or(u32::MAX));
    }

    /// Whether events go one at a time, so that it is known at which one a session ends.
    pub(super) fn is_careful(&self) -> bool {
        self.careful > 0 || self.suspect.is_some()
    }

    /// The first hello passed.
    pub(super) fn greeted(&mut self) {
        (self.greetings_failed, self.doing) = (0, Doing::Nothing);
    }

    /// A checkpoint is on its way. Beside an event it is not known at which of the two a session ends.
    pub(super) fn gets_checkpoint(&mut self) {
        if self.doing == Doing::Nothing {
            self.doing = Doing::Checkpoint;
        }
    }

    /// It took the checkpoint.
    pub(super) fn took_checkpoint(&mut self) {
        self.checkpoints_failed = 0;
        if self.doing == Doing::Checkpoint {
            self.doing = Doing::Nothing;
        }
    }

    /// A subscription is on its way, and the session may end at it.
    pub(super) fn subscribes(&mut self, below: &str) {
        self.subscribing = Some(below.to_owned());
    }

    /// The subscription was answered.
    pub(super) fn subscribed(&mut self) {
        let below = self.subscribing.take();
        if self.unreadable.as_ref().is_some_and(|(known, _)| below.as_ref() == Some(known)) {
            self.unreadable = None;
        }
    }

    /// The session ended in another way than by the broker.
    pub(super) fn left(&mut self) {
        (self.doing, self.subscribing) = (Doing::Nothing, None);
    }

    /// The session ended: the connection was lost, or the broker was silent for too long.
    pub(super) fn ended(&mut self, now: Instant) -> Option<Verdict> {
        if let Some(below) = self.subscribing.take() {
            self.doing = Doing::Nothing;
            let before = self.unreadable.take().filter(|(known, _)| *known == below).map_or(0, |(_, times)| times);
            self.unreadable = Some((below.clone(), before + 1));
            return (before + 1 >= STRIKES).then_some(Verdict::Unreadable(below));
        }
        match std::mem::take(&mut self.doing) {
            Doing::Nothing => None,
            Doing::Greeting => {
                self.greetings_failed += 1;
                (self.greetings_failed >= STRIKES).then(|| Verdict::Denied("events/hello".to_owned()))
            }
            Doing::Checkpoint => {
                self.checkpoints_failed += 1;
                (self.checkpoints_failed >= STRIKES).then(|| Verdict::Denied("checkpoint".to_owned()))
            }
            Doing::Publishing => {
                self.careful = CAREFUL;
                None
            }
            Doing::Alone(number, event_type, bytes) => {
                let known = self.suspect(number);
                let mut suspect = known.unwrap_or(Suspect { number, event_type, bytes, small: 0, large: 0, alone: 0 });
                // In this session hellos had passed before.
                suspect.alone += u32::from(known.is_some());
                self.suspect = Some(suspect);
                (suspect.alone >= STRIKES).then_some(Verdict::Event { number, event_type })
            }
            Doing::Step => {
                self.exact = true;
                None
            }
            Doing::Small => {
                let suspect = self.suspect.as_mut()?;
                suspect.small += 1;
                (suspect.small >= STRIKES).then(|| Verdict::Denied(format!("events/{}", suspect.event_type.name())))
            }
            Doing::Large => {
                let suspect = self.suspect.as_mut()?;
                suspect.large += 1;
                if suspect.large < STRIKES {
                    return None;
                }
                let bytes = suspect.bytes;
                self.suspect = None;
                self.takes_less_than(bytes, now);
                Some(Verdict::TooLarge { bytes })
            }
        }
    }

    /// A small hello passed on the suspect's topic.
    pub(super) fn small_passed(&mut self) {
        self.doing = Doing::Large;
        if let Some(suspect) = &mut self.suspect {
            suspect.small = 0;
        }
    }

    /// One of its size passed, too: the end of the earlier session was chance, or the event itself.
    pub(super) fn large_passed(&mut self) {
        self.doing = Doing::Nothing;
        if let Some(suspect) = &mut self.suspect {
            suspect.large = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: Doing = Doing::Alone(7, EventType::Transaction, 50_000);

    fn ends(memory: &mut BrokerMemory, doing: Doing) -> Option<Verdict> {
        memory.doing = doing;
        memory.ended(Instant::now())
    }

    #[test]
    fn three_cuts_of_a_poor_line_strip_nothing() {
        let mut memory = BrokerMemory::default();
        for _ in 0..3 {
            assert_eq!(ends(&mut memory, EVENT), None);
        }
        assert_eq!(memory.limit(Instant::now()), None);
        let mut memory = BrokerMemory::default();
        assert_eq!(ends(&mut memory, EVENT), None);
        memory.doing = Doing::Small;
        memory.small_passed();
        assert_eq!(memory.ended(Instant::now()), None);
        memory.doing = Doing::Small;
        memory.small_passed();
        assert_eq!(memory.ended(Instant::now()), None);
        memory.doing = Doing::Small;
        memory.small_passed();
        memory.large_passed();
        assert_eq!(ends(&mut memory, Doing::Large), None, "it had passed since");
        assert_eq!(memory.limit(Instant::now()), None);
    }

    #[test]
    fn a_size_that_never_passes_where_a_small_one_does_is_too_large() {
        let mut memory = BrokerMemory::default();
        assert_eq!(ends(&mut memory, EVENT), None);
        assert_eq!(memory.suspect(7).map(|suspect| suspect.bytes), Some(50_000));
        let verdicts: Vec<_> = (0..STRIKES)
            .map(|_| {
                memory.doing = Doing::Small;
                memory.small_passed();
                memory.ended(Instant::now())
            })
            .collect();
        assert_eq!(verdicts, [None, None, Some(Verdict::TooLarge { bytes: 50_000 })]);
        let now = Instant::now();
        assert_eq!((memory.limit(now), memory.suspect(7)), (Some(49_999), None));
        assert_eq!(memory.limit(now + REMEMBERED * 2), None, "the broker may have been mended");
    }

    #[test]
    fn a_session_without_an_acknowledgement_makes_the_next_careful() {
        let mut memory = BrokerMemory::default();
        assert!(!memory.is_careful());
        assert_eq!(ends(&mut memory, Doing::Publishing), None);
        assert!(memory.is_careful() && memory.suspect.is_none(), "any of the window may have been it");
        memory.moved(199);
        assert!(memory.is_careful());
        memory.moved(1);
        assert!(!memory.is_careful());
    }

    #[test]
    fn a_topic_on_which_nothing_passes_is_denied() {
        let mut memory = BrokerMemory::default();
        assert_eq!(ends(&mut memory, EVENT), None);
        assert_eq!((ends(&mut memory, Doing::Small), ends(&mut memory, Doing::Small)), (None, None));
        assert_eq!(ends(&mut memory, Doing::Small), Some(Verdict::Denied("events/transaction".to_owned())));
        memory.moved(1);
        assert_eq!(memory.suspect(7), None);
        assert_eq!((ends(&mut memory, Doing::Greeting), ends(&mut memory, Doing::Greeting)), (None, None));
        assert_eq!(ends(&mut memory, Doing::Greeting), Some(Verdict::Denied("events/hello".to_owned())));
    }

    #[test]
    fn a_subscription_at_which_every_session_ends_is_denied_and_holds_nothing_against_an_event() {
        let mut memory = BrokerMemory::default();
        let mut session = |passes: bool, doing| {
            memory.subscribes("checkpoint");
            memory.subscribed();
            memory.doing = doing;
            memory.subscribes("events/transaction");
            if passes {
                memory.subscribed();
            }
            memory.ended(Instant::now())
        };
        assert_eq!([session(false, EVENT), session(false, EVENT), session(true, Doing::Nothing)], [None, None, None]);
        assert_eq!([session(false, EVENT), session(false, EVENT)], [None, None], "it had passed since");
        assert_eq!(session(false, Doing::Step), Some(Verdict::Unreadable("events/transaction".to_owned())));
        assert_eq!((memory.suspect(7), memory.exact), (None, false));
    }

    #[test]
    fn an_event_that_is_refused_where_a_hello_of_its_size_passes_is_named() {
        let mut memory = BrokerMemory::default();
        let verdicts: Vec<_> = (0..4).map(|_| ends(&mut memory, EVENT)).collect();
        assert_eq!(verdicts[..3], [None, None, None]);
        assert_eq!(verdicts[3], Some(Verdict::Event { number: 7, event_type: EventType::Transaction }));
        assert_eq!(ends(&mut memory, Doing::Nothing), None);
    }
}
