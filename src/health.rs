//! How the box is doing: the conditions that hold now, told once and counted.
//!
//! Every stage reports here and nowhere else. A condition that begins is logged once; one that flaps is counted, and
//! told again only after an hour, so the journal and the card stay bounded however long a fault repeats. Lights, the
//! status at HQ and the notices in the numbered stream are all made from what stands here.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{notice::Notice, plain::plain, progress::Progress};

/// A condition is told again after this long at the earliest.
const TELL_AGAIN_AFTER: TimeDelta = TimeDelta::hours(1);

/// A condition that ended is remembered this long, so that one that flaps is known for what it is.
const REMEMBERED: TimeDelta = TimeDelta::minutes(30);

/// A passing condition becomes a notice to HQ only after this long; one that needs a technician at once.
const NOTICE_AFTER: TimeDelta = TimeDelta::minutes(1);

/// A record put aside shows on the box for a day.
const PUT_ASIDE_SHOWN: TimeDelta = TimeDelta::days(1);

/// Something that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// No broker can be reached.
    HqUnreachable,
    /// The broker refuses the login, or TLS fails.
    HqRefused,
    /// Publishes to the events' topics do not arrive: the `hello` did not come back.
    PublishDenied,
    /// The broker says that nobody subscribes to the events: they stay here.
    NobodyListens,
    /// The broker takes events and does not acknowledge them.
    NotAcknowledged,
    /// The broker has events that HQ's feed has not confirmed for long.
    FeedSilent,
    /// The broker lost what it had retained for this outlet, so perhaps events that it had acknowledged.
    BrokerForgot,
    /// An event went to the broker without its items: it is too large for it.
    EventReduced,
    /// Nothing agrees with the box's clock yet: the first event waits for that.
    ClockUnproven,
    /// Sales of another shop stand in a store that was set aside.
    StoreSetAside,
    /// The broker cannot do what the line needs: it keeps no retained message, or takes no last will.
    BrokerUnfit,
    /// The line to HQ ended by a fault of the program: it is made again.
    LinkFailed,
    /// HQ's `stored` does not fit what was sent.
    StoredRejected,
    /// Another box publishes for this outlet.
    OutletConflict,
    /// The point of sale does not answer or asks to wait, or something in front of it refuses.
    PosUnreachable,
    /// The point of sale refuses the credentials, or its certificate cannot be trusted.
    PosRefused,
    /// The point of sale answers something else than its API promises.
    PosUnreadable,
    /// The point of sale gives records from outside of the window that was asked.
    WindowNotHonoured,
    /// The point of sale seems to mean other times by its window than by its records.
    WindowUnproven,
    /// The account is let in but is not the one that is needed: another shop's, or of a role that sees too little.
    PosUnfit,
    /// The point of sale's records were reset, or it is another one: what is stored is not there any more.
    PosReset,
    /// The point of sale's lists are not as they should be: their order, their pages or their counts.
    ListUnreliable,
    /// The store fails or cannot be opened.
    StoreFailed,
    /// There is no more room: reading has stopped.
    OutboxFull,
    /// The box's clock is wrong.
    ClockWrong,
    /// The box's clock and the point of sale's differ: reading follows the latter.
    ClockDiffers,
    /// Neither a time service nor the point of sale confirms the box's clock.
    ClockUnconfirmed,
    /// Sales are dated after now: a till's clock is ahead.
    TillClockWrong,
    /// The printer has little paper left.
    PaperLow,
    /// The printer is out of paper.
    PaperEnd,
    /// The printer reports a fault.
    PrinterFault,
    /// A line of the board is missing, in use elsewhere, or lost.
    LineLost,
    /// The config on the boot partition was not taken over; the box goes on with the one that it has.
    ConfigRefused,
}

impl Condition {
    /// Every condition, in the order of the enum.
    pub const ALL: [Self; 33] = [
        Self::HqUnreachable,
        Self::HqRefused,
        Self::PublishDenied,
        Self::NobodyListens,
        Self::NotAcknowledged,
        Self::FeedSilent,
        Self::BrokerForgot,
        Self::EventReduced,
        Self::ClockUnproven,
        Self::StoreSetAside,
        Self::BrokerUnfit,
        Self::LinkFailed,
        Self::StoredRejected,
        Self::OutletConflict,
        Self::PosUnreachable,
        Self::PosRefused,
        Self::PosUnreadable,
        Self::WindowNotHonoured,
        Self::WindowUnproven,
        Self::PosUnfit,
        Self::PosReset,
        Self::ListUnreliable,
        Self::StoreFailed,
        Self::OutboxFull,
        Self::ClockWrong,
        Self::ClockDiffers,
        Self::ClockUnconfirmed,
        Self::TillClockWrong,
        Self::PaperLow,
        Self::PaperEnd,
        Self::PrinterFault,
        Self::LineLost,
        Self::ConfigRefused,
    ];

    /// The name in status, notices and logs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::HqUnreachable => "hq_unreachable",
            Self::HqRefused => "hq_refused",
            Self::PublishDenied => "publish_denied",
            Self::NobodyListens => "nobody_listens",
            Self::NotAcknowledged => "not_acknowledged",
            Self::FeedSilent => "feed_silent",
            Self::BrokerForgot => "broker_forgot",
            Self::EventReduced => "event_reduced",
            Self::ClockUnproven => "clock_unproven",
            Self::StoreSetAside => "store_set_aside",
            Self::BrokerUnfit => "broker_unfit",
            Self::LinkFailed => "link_failed",
            Self::StoredRejected => "stored_rejected",
            Self::OutletConflict => "outlet_conflict",
            Self::PosUnreachable => "pos_unreachable",
            Self::PosRefused => "pos_refused",
            Self::PosUnreadable => "pos_unreadable",
            Self::WindowNotHonoured => "window_not_honoured",
            Self::WindowUnproven => "window_unproven",
            Self::PosUnfit => "pos_unfit",
            Self::PosReset => "pos_reset",
            Self::ListUnreliable => "list_unreliable",
            Self::StoreFailed => "store_failed",
            Self::OutboxFull => "outbox_full",
            Self::ClockWrong => "clock_wrong",
            Self::ClockDiffers => "clock_differs",
            Self::ClockUnconfirmed => "clock_unconfirmed",
            Self::TillClockWrong => "till_clock_wrong",
            Self::PaperLow => "paper_low",
            Self::PaperEnd => "paper_end",
            Self::PrinterFault => "printer_fault",
            Self::LineLost => "line_lost",
            Self::ConfigRefused => "config_refused",
        }
    }

    /// Whether it speaks of the line to headquarters.
    #[must_use]
    pub fn is_of_hq(self) -> bool {
        matches!(
            self,
            Self::HqUnreachable
                | Self::HqRefused
                | Self::PublishDenied
                | Self::NobodyListens
                | Self::NotAcknowledged
                | Self::FeedSilent
                | Self::BrokerForgot
                | Self::EventReduced
                | Self::ClockUnproven
                | Self::BrokerUnfit
                | Self::LinkFailed
                | Self::StoredRejected
                | Self::OutletConflict
        )
    }

    /// Whether nothing is delivered while it holds, and all is kept safe on the box: it passes without a technician of
    /// the box's.
    #[must_use]
    pub fn keeps_sales_here(self) -> bool {
        matches!(
            self,
            Self::HqUnreachable | Self::NobodyListens | Self::NotAcknowledged | Self::FeedSilent | Self::ClockUnproven
        )
    }

    /// Whether something that was told as done is not proven while it holds.
    #[must_use]
    pub fn leaves_unproven(self) -> bool {
        matches!(self, Self::BrokerForgot | Self::StoreSetAside | Self::ClockUnconfirmed)
    }

    /// Whether waiting does not help: somebody has to come.
    #[must_use]
    pub fn needs_technician(self) -> bool {
        match self {
            Self::HqRefused
            | Self::PublishDenied
            | Self::BrokerUnfit
            | Self::LinkFailed
            | Self::StoredRejected
            | Self::OutletConflict
            | Self::PosRefused
            | Self::WindowNotHonoured
            | Self::PosUnfit
            | Self::PosReset
            | Self::StoreFailed
            | Self::ClockWrong
            | Self::LineLost
            | Self::ConfigRefused => true,
            Self::HqUnreachable
            | Self::NobodyListens
            | Self::NotAcknowledged
            | Self::FeedSilent
            | Self::BrokerForgot
            | Self::EventReduced
            | Self::ClockUnproven
            | Self::StoreSetAside
            | Self::PosUnreachable
            | Self::PosUnreadable
            | Self::WindowUnproven
            | Self::ListUnreliable
            | Self::OutboxFull
            | Self::ClockDiffers
            | Self::ClockUnconfirmed
            | Self::TillClockWrong
            | Self::PaperLow
            | Self::PaperEnd
            | Self::PrinterFault => false,
        }
    }
}

/// Where the daemon is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// No stage has said anything yet.
    #[default]
    Starting,
    /// The stages are at work.
    Running,
    /// An ordered stop is under way.
    Stopping,
}

/// A condition that holds, or held lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// One line for a person.
    pub text: String,
    /// Since when, this time.
    pub since: DateTime<Utc>,
    /// How often it began since it was first remembered.
    pub times: u64,
    ended: Option<DateTime<Utc>>,
    told: DateTime<Utc>,
    noticed: bool,
}

/// One connection, for status and lights.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectionHealth {
    /// The system's name in the config.
    pub system: &'static str,
    /// How far it is read.
    pub progress: Progress,
    /// When its last answer was taken and stored.
    pub last_answer: Option<DateTime<Utc>>,
    /// Records put aside since the start, and when the last one was.
    pub put_aside: (u64, Option<DateTime<Utc>>),
    /// How far the server's clock is ahead of ours, in seconds; `None` where it tells no time.
    pub clock_difference_s: Option<i64>,
}

/// What is known of the box at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Where the daemon is in its life.
    pub phase: Phase,
    /// Whether events can be published: connected, and the `hello` came back.
    pub hq_ready: bool,
    /// The broker that is used.
    pub broker: Option<String>,
    /// The nonce of the session with it.
    pub session: Option<String>,
    /// The MQTT that the running session speaks: `5` or `3.1.1`.
    pub protocol: Option<&'static str>,
    /// The broker's bare word counts: MQTT 3.1.1, `acknowledge = "broker"` and `hq.echo = "none"`.
    pub unproven_echo: bool,
    /// The running session's broker keeps the box's checkpoint: a new subscription found it.
    pub checkpoint_found: bool,
    /// Since when the broker has events that HQ has not confirmed, the oldest of them.
    pub feed_waits_since: Option<DateTime<Utc>>,
    /// The configured connections by name.
    pub connections: BTreeMap<String, ConnectionHealth>,
    /// Open gaps of all connections.
    pub open_gaps: usize,
    /// Stores of other outlets that lie beside the running one and were not sent yet.
    pub stores_set_aside: usize,
    held: BTreeMap<(Condition, String), Held>,
}

impl Facts {
    /// The conditions that hold now, with the connection they speak of (empty for the box itself).
    pub fn conditions(&self) -> impl Iterator<Item = (Condition, &str, &Held)> {
        self.held
            .iter()
            .filter(|(_, held)| held.ended.is_none())
            .map(|((condition, connection), held)| (*condition, connection.as_str(), held))
    }

    /// Forgets what ended long ago, but for what HQ must still be told.
    fn forget_old(&mut self, now: DateTime<Utc>) {
        self.held.retain(|(condition, _), held| {
            held.ended.is_none_or(|ended| now - ended < REMEMBERED || condition.needs_technician() && !held.noticed)
        });
    }

    /// The facts without what moves with every poll.
    fn without_times(&self) -> Self {
        let mut facts = self.clone();
        facts.feed_waits_since = None;
        for connection in facts.connections.values_mut() {
            connection.last_answer = None;
            connection.progress.watermark = None;
        }
        facts
    }

    /// Whether a condition holds for any connection.
    #[must_use]
    pub fn holds(&self, condition: Condition) -> bool {
        self.conditions().any(|(held, _, _)| held == condition)
    }

    /// Whether a record was put aside lately.
    #[must_use]
    pub fn put_aside_lately(&self, now: DateTime<Utc>) -> bool {
        let last = self.connections.values().filter_map(|connection| connection.put_aside.1).max();
        last.is_some_and(|last| now - last < PUT_ASIDE_SHOWN)
    }

    /// Whether every connection's last polls were complete.
    #[must_use]
    pub fn polls_complete(&self) -> bool {
        !self.connections.is_empty()
            && self.connections.iter().all(|(name, connection)| {
                connection.progress.complete
                    && !self.conditions().any(|(condition, of, _)| {
                        of == name && matches!(condition, Condition::PosUnreachable | Condition::PosUnreadable)
                    })
            })
    }
}

/// A condition as a notice that is not in the store yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untold {
    /// The connection it speaks of.
    pub connection: Option<String>,
    /// What to tell.
    pub notice: Notice,
    condition: Condition,
}

/// The one place to which every stage reports.
#[derive(Debug)]
pub struct Health {
    facts: Mutex<Facts>,
    changed: watch::Sender<u64>,
    receipts: AtomicU64,
}

impl Default for Health {
    fn default() -> Self {
        Self { facts: Mutex::default(), changed: watch::Sender::new(0), receipts: AtomicU64::new(0) }
    }
}

impl Health {
    /// What is known now.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.lock().clone()
    }

    /// Wakes when something changed.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Changes facts; who watches is woken only if something else than the time of the last poll is different afterwards.
    pub fn update(&self, change: impl FnOnce(&mut Facts)) {
        let mut facts = self.lock();
        let before = facts.without_times();
        change(&mut facts);
        if facts.without_times() != before {
            drop(facts);
            self.changed.send_modify(|version| *version += 1);
        }
    }

    /// Changes what is known of one connection.
    pub fn update_connection(&self, name: &str, change: impl FnOnce(&mut ConnectionHealth)) {
        self.update(|facts| change(facts.connections.entry(name.to_owned()).or_default()));
    }

    /// A condition holds. It is logged when it begins, and when it still holds or begins again an hour later.
    pub fn raise(&self, condition: Condition, connection: &str, text: &str, now: DateTime<Utc>) {
        self.raise_with(condition, connection, text, now, false);
    }

    /// As [`Health::raise`], of something that HQ was told of in the numbered stream already.
    pub fn raise_noticed(&self, condition: Condition, connection: &str, text: &str, now: DateTime<Utc>) {
        self.raise_with(condition, connection, text, now, true);
    }

    fn raise_with(&self, condition: Condition, connection: &str, text: &str, now: DateTime<Utc>, noticed: bool) {
        // It travels to HQ, too, and a source or a broker may have a say in it.
        let text = &*plain(text);
        self.update(|facts| {
            let key = (condition, connection.to_owned());
            let code = condition.code();
            match facts.held.get_mut(&key) {
                None => {
                    tracing::warn!(connection, code, "{text}");
                    let held = Held { text: text.to_owned(), since: now, times: 1, ended: None, told: now, noticed };
                    facts.held.insert(key, held);
                }
                Some(held) => {
                    if held.ended.take().is_some() {
                        held.since = now;
                        held.times += 1;
                    }
                    text.clone_into(&mut held.text);
                    if now - held.told >= TELL_AGAIN_AFTER {
                        tracing::warn!(connection, code, times = held.times, "still: {text}");
                        held.told = now;
                        held.noticed = false;
                    }
                    held.noticed |= noticed;
                }
            }
        });
    }

    /// A condition no longer holds, or never did.
    pub fn clear(&self, condition: Condition, connection: &str, now: DateTime<Utc>) {
        self.update(|facts| {
            let key = (condition, connection.to_owned());
            if let Some(held) = facts.held.get_mut(&key).filter(|held| held.ended.is_none()) {
                held.ended = Some(now);
                // One that flaps is told as seldom when it ends as when it begins.
                if held.times == 1 || held.told == now {
                    tracing::info!(connection, code = condition.code(), "over: {}", held.text);
                }
            }
            facts.forget_old(now);
        });
    }

    /// The clock was set, by so much forwards: what was noted by it moves along, so that it is as old as it was.
    pub fn clock_was_set(&self, by: TimeDelta) {
        let moved = |at: DateTime<Utc>| at.checked_add_signed(by).unwrap_or(at);
        self.update(|facts| {
            facts.feed_waits_since = facts.feed_waits_since.map(moved);
            for held in facts.held.values_mut() {
                (held.since, held.told, held.ended) = (moved(held.since), moved(held.told), held.ended.map(moved));
            }
            for connection in facts.connections.values_mut() {
                connection.last_answer = connection.last_answer.map(moved);
                connection.put_aside.1 = connection.put_aside.1.map(moved);
            }
        });
    }

    /// Raises or clears, as a text is there or not.
    pub fn set(&self, condition: Condition, connection: &str, text: Option<&str>, now: DateTime<Utc>) {
        match text {
            Some(text) => self.raise(condition, connection, text, now),
            None => self.clear(condition, connection, now),
        }
    }

    /// The conditions that HQ has not been told of in the numbered stream and that are worth it by now, those that
    /// ended before they could be told included.
    #[must_use]
    pub fn notices(&self, now: DateTime<Utc>) -> Vec<Untold> {
        let facts = self.lock();
        let untold = facts.held.iter().filter(|((condition, _), held)| {
            let ripe = held.ended.is_none() && now - held.since >= NOTICE_AFTER;
            !held.noticed && (ripe || condition.needs_technician())
        });
        untold
            .map(|((condition, connection), held)| Untold {
                connection: (!connection.is_empty()).then(|| connection.clone()),
                notice: Notice::new(condition.code(), held.text.clone()),
                condition: *condition,
            })
            .collect()
    }

    /// HQ is told of them: they are in the store.
    pub fn noticed(&self, told: &[Untold], now: DateTime<Utc>) {
        let mut facts = self.lock();
        for Untold { connection, condition, .. } in told {
            if let Some(held) = facts.held.get_mut(&(*condition, connection.clone().unwrap_or_default())) {
                held.noticed = true;
            }
        }
        facts.forget_old(now);
    }

    /// So many young sales are durable now: each gives a receipt pulse.
    pub fn count_receipts(&self, sales: u64) {
        if sales > 0 {
            self.receipts.fetch_add(sales, Ordering::Relaxed);
            self.changed.send_modify(|version| *version += 1);
        }
    }

    /// The sales since the start that give a receipt pulse. A restart owes none.
    #[must_use]
    pub fn receipts(&self) -> u64 {
        self.receipts.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn minutes(n: i64) -> DateTime<Utc> {
        START + TimeDelta::minutes(n)
    }

    #[test]
    fn a_condition_that_flaps_is_one_condition_that_is_counted() {
        let health = Health::default();
        for n in 0..10 {
            health.raise(Condition::PosUnreachable, "front", "no answer", minutes(n * 2));
            assert!(health.facts().holds(Condition::PosUnreachable));
            health.clear(Condition::PosUnreachable, "front", minutes(n * 2 + 1));
            assert!(!health.facts().holds(Condition::PosUnreachable));
        }
        health.raise(Condition::PosUnreachable, "front", "no answer", minutes(20));
        let facts = health.facts();
        let held: Vec<_> = facts.conditions().collect();
        assert_eq!((held.len(), held[0].2.times), (1, 11));
    }

    #[test]
    fn what_passes_soon_is_no_notice_and_what_needs_a_technician_is_one_at_once() {
        let health = Health::default();
        health.raise(Condition::HqUnreachable, "", "the line is down", START);
        health.raise(Condition::PosRefused, "front", "bad token", START);
        let tell = |now| -> Vec<_> {
            let notices = health.notices(now);
            health.noticed(&notices, now);
            notices.into_iter().map(|told| (told.connection, told.notice.code)).collect()
        };
        assert_eq!(tell(START), [(Some("front".to_owned()), "pos_refused")]);
        assert_eq!(tell(minutes(2)), [(None, "hq_unreachable")]);
        assert!(tell(minutes(3)).is_empty());
    }

    #[test]
    fn what_a_technician_must_know_is_told_even_if_it_ended_before_it_could_be() {
        let health = Health::default();
        health.raise(Condition::StoreFailed, "", "the card fails", START);
        assert_eq!(health.notices(START).len(), 1, "not told: the store is closed");
        health.clear(Condition::StoreFailed, "", minutes(1));
        let notices = health.notices(minutes(90));
        assert_eq!(notices[0].notice.code, "store_failed");
        health.noticed(&notices, minutes(90));
        assert!(health.notices(minutes(91)).is_empty());
    }

    #[test]
    fn what_hq_was_told_of_at_once_is_no_second_notice() {
        let health = Health::default();
        health.raise_noticed(Condition::EventReduced, "", "event 3 goes without its items", START);
        assert!(health.facts().holds(Condition::EventReduced));
        assert!(health.notices(minutes(2)).is_empty());
        health.raise_noticed(Condition::EventReduced, "", "event 9 goes without its items", minutes(90));
        assert!(health.notices(minutes(92)).is_empty());
    }

    #[test]
    fn what_holds_is_as_old_as_it_was_when_the_clock_is_set_back() {
        let health = Health::default();
        let ahead = START + TimeDelta::days(365);
        health.raise(Condition::HqUnreachable, "", "no broker", ahead);
        health.update_connection("front", |connection| connection.last_answer = Some(ahead));
        health.clock_was_set(-TimeDelta::days(365));
        let facts = health.facts();
        assert_eq!(facts.conditions().map(|(_, _, held)| held.since).collect::<Vec<_>>(), [START]);
        assert_eq!(facts.connections["front"].last_answer, Some(START));
        assert_eq!(health.notices(minutes(2)).len(), 1, "HQ hears of it after a minute, not after a year");
    }

    #[test]
    fn nothing_changed_wakes_nobody() {
        let health = Health::default();
        let mut watch = health.watch();
        health.clear(Condition::HqRefused, "", START);
        health.update(|facts| facts.open_gaps = 0);
        assert!(!watch.has_changed().expect("the sender lives"));
        health.update(|facts| facts.open_gaps = 1);
        assert!(watch.has_changed().expect("the sender lives"));
        watch.mark_unchanged();
    }
}
