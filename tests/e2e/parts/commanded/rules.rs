//! What a broker can be told to do.

use std::time::Duration;

/// How a broker behaves; all of it can be changed while it runs. By default it is a good one.
///
/// Faults concern the boxes alone: clients whose id begins with `whom`.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Rules {
    pub whom: &'static str,
    pub versions: Versions,
    pub greeting: Greets,
    /// Closes so long after the CONNACK.
    pub close_after_connack: Option<Duration>,
    pub mute: Mute,
    /// Swallows the events with these numbers in the order of their arrival, from 1 on since the start.
    pub swallow: Vec<u64>,
    /// Acknowledges events, and forgets them before anyone gets them; whatever is no event passes.
    pub lose_events: bool,
    /// Closes at so many more events.
    pub cut_events: u64,
    /// Closes behind the acknowledgement of every event that it took.
    pub close_behind_puback: bool,
    /// Topics by filter, and what happens to a publish there, a `hello` as well.
    pub denied: Vec<(String, Deny)>,
    /// Publishes whose packet is larger than this.
    pub too_large: Option<(usize, Deny)>,
    pub announce_maximum_packet: Option<u32>,
    pub reading: Reading,
    /// An acknowledgement takes so long.
    pub acknowledge_after: Duration,
    /// Announced, and a client that has more on its way is closed with 0x93.
    pub receive_maximum: Option<u16>,
    pub server_keep_alive: Option<u16>,
    pub retain: Retain,
    /// Says 0x10 where nobody subscribes.
    pub tells_of_nobody: bool,
    /// Topics by filter that cannot be read.
    pub unreadable: Vec<(String, Unreadable)>,
    /// Tells a client that was taken over (version 5).
    pub tells_taken_over: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            whom: "tillbox-",
            versions: Versions::Both,
            greeting: Greets::Well,
            close_after_connack: None,
            mute: Mute::Off,
            swallow: Vec::new(),
            lose_events: false,
            cut_events: 0,
            close_behind_puback: false,
            denied: Vec::new(),
            too_large: None,
            announce_maximum_packet: None,
            reading: Reading::All,
            acknowledge_after: Duration::ZERO,
            receive_maximum: None,
            server_keep_alive: None,
            retain: Retain::Kept,
            tells_of_nobody: true,
            unreadable: Vec::new(),
            tells_taken_over: true,
        }
    }
}

impl Rules {
    /// A good broker of version 3.1.1 alone.
    pub fn of_3_1_1() -> Self {
        Self { versions: Versions::Only311(Refusal::Code1), ..Self::default() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    Both,
    Only5,
    Only311(Refusal),
}

/// How a broker that does not speak version 5 says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// CONNACK 0x01 in the form of 3.1.1.
    Code1,
    /// CONNACK 0x84.
    Code84,
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greets {
    Well,
    /// A code of the client's own version, such as 0x89 (busy) or 0x9C (use another server).
    Code(u8),
    Close,
    /// Never.
    Silence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mute {
    Off,
    /// Takes events and neither acknowledges nor delivers them; whatever is no event passes.
    Events,
    /// Takes every publish so.
    All,
}

/// What happens to a publish that is not wanted. None of them is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deny {
    /// Nothing.
    Silence,
    /// It is acknowledged as if all were well.
    Acknowledge,
    AcknowledgeThenClose,
    Close,
    /// This reason; under 3.1.1, which has none, a bare acknowledgement.
    Code(u8),
    /// This reason, then a DISCONNECT with the other one.
    CodeThenDisconnect(u8, u8),
    /// A DISCONNECT packet, under 3.1.1 as well, then a close.
    Disconnect(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    All,
    /// Nothing is taken from the socket, and nothing answered.
    Nothing,
    BytesPerSecond(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retain {
    Kept,
    /// Version 5 is told so; the flag is passed over.
    Ignored,
    /// The flag is passed over, and nobody is told.
    IgnoredInSilence,
    /// As the first, and a CONNECT with a retained will is refused with 0x9A.
    WillRefused,
    /// What is published is kept, and a CONNECT with a retained will is refused with 0x9A.
    WillAloneRefused,
}

impl Retain {
    pub fn refuses_wills(self) -> bool {
        matches!(self, Self::WillRefused | Self::WillAloneRefused)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// The subscription is granted, and nothing comes.
    Silence,
    /// SUBACK with this code; under 3.1.1 0x80.
    Code(u8),
    /// The connection is closed at the subscription.
    Close,
}
