//! The box at a glance: what `tillbox status`, the page and its metrics tell, all from one value.
//!
//! An [`Overview`] is plain data that travels as JSON over the daemon's socket. The [`Observer`](observer::Observer) in
//! the daemon makes it, from health, the outbox and the clock; how fast the outbox drains is estimated by
//! [`Drain`](drain::Drain). It names no secret, no person and no money.

pub mod drain;
pub mod observer;
pub mod text;
pub mod told;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    config::Acknowledge,
    gap::GapReason,
    health::{Condition, ConnectionHealth, Facts, Phase},
    mqtt::wire::Version,
    outbox::{Level, Outbox, leaving::set_aside_in},
    signal::Lights,
    status::acknowledge_name,
};

/// Hours that [`Sales`] covers.
pub const HOURS: usize = 24;

/// Open gaps that are listed; all are counted.
pub const GAPS_LISTED_MAX: usize = 20;

/// The box at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// The program's version.
    pub version: String,
    /// The moment, by the box's clock.
    pub at: DateTime<Utc>,
    /// When the daemon started.
    pub up_since: DateTime<Utc>,
    /// The outlet's id.
    pub outlet: String,
    /// What people call it.
    pub name: Option<String>,
    /// Where the daemon is in its life.
    pub phase: Phase,
    /// What the lights show.
    pub lights: Lights,
    /// The line to headquarters.
    pub hq: Hq,
    /// The points of sale.
    pub connections: Vec<Connection>,
    /// What is not as it should be.
    pub conditions: Vec<Trouble>,
    /// `None` while the store is not open.
    pub outbox: Option<Queue>,
    /// The last day's sales; `None` while the store cannot be read.
    pub sales: Option<Sales>,
    /// Intervals that are not proven complete, the first [`GAPS_LISTED_MAX`] of them …
    pub gaps: Vec<OpenGap>,
    /// … and how many there are.
    pub open_gaps: usize,
    /// Whether a record was put aside so lately that the lights tell it.
    pub put_aside_lately: bool,
    /// Whether the board has lines to a printer.
    pub has_printer_lines: bool,
    /// Space where the store lies.
    pub disk_free_bytes: Option<u64>,
    /// The processor's temperature, where the machine tells it.
    pub temperature_millicelsius: Option<i64>,
}

/// How a line is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nothing was heard yet.
    Starting,
    /// As it should be.
    Fine,
    /// As it should be, and older records are still being read.
    CatchingUp,
    /// It does not work, and may work again by itself.
    Waiting,
    /// It does not work until somebody comes.
    NeedsTechnician,
}

/// The line to headquarters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hq {
    /// How it is doing.
    pub standing: Standing,
    /// Since when, as far as this process knows.
    pub since: DateTime<Utc>,
    /// Whether the line stands: a broker is reached, and events may be published there.
    pub connected: bool,
    /// The broker that is used, or was last.
    pub broker: Option<String>,
    /// The MQTT that is spoken with it: `5` or `3.1.1`.
    pub protocol: Option<String>,
    /// Whose word makes a sale count as delivered: `feed` or `broker`.
    pub acknowledge: String,
    /// The broker's bare word counts, which nothing proves: `hq.echo = "none"`.
    pub unproven_echo: bool,
    /// Since when the broker has events that HQ has not confirmed, the oldest of them.
    pub feed_waits_since: Option<DateTime<Utc>>,
}

impl Hq {
    /// Whether HQ itself confirms what it has; else the broker's acknowledgement is all that is known.
    #[must_use]
    pub fn confirms(&self) -> bool {
        self.acknowledge == acknowledge_name(Acknowledge::Feed)
    }

    /// Whether the broker's word is all that counts, over a protocol that never tells whether anybody subscribes.
    #[must_use]
    pub fn hears_of_no_listener(&self) -> bool {
        !self.confirms() && self.protocol.as_deref() == Some(Version::V311.name())
    }
}

/// One point of sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Its name in the config.
    pub name: String,
    /// What answers there.
    pub system: String,
    /// Who answers there, in its own words.
    pub identity: Option<String>,
    /// How it is doing.
    pub standing: Standing,
    /// Since when, as far as this process knows.
    pub standing_since: DateTime<Utc>,
    /// Everything up to here was read …
    pub watermark: Option<DateTime<Utc>>,
    /// … from here on.
    pub read_since: Option<DateTime<Utc>>,
    /// When its last answer was stored.
    pub last_answer: Option<DateTime<Utc>>,
    /// How far its clock is ahead of the box's.
    pub clock_difference_s: Option<i64>,
    /// Records that cannot be read and are put aside.
    pub put_aside: usize,
    /// What it cannot give, and what was found about it.
    pub notes: Vec<String>,
}

/// A condition that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Its code.
    pub code: String,
    /// The connection it speaks of; `None` for the box itself.
    pub connection: Option<String>,
    /// One line for a technician.
    pub text: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// How often it began lately.
    pub times: u64,
    /// Whether waiting does not help.
    pub needs_technician: bool,
}

/// The outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// The stream's id, once there is one.
    pub stream: Option<String>,
    /// Its generation, once HQ was reached.
    pub generation: Option<u32>,
    /// The highest number that is stored.
    pub durable: u64,
    /// Every event up to here was acknowledged by the broker.
    pub acknowledged: u64,
    /// Every event up to here may be forgotten.
    pub released: u64,
    /// Events that are not where `acknowledge` promises them: those of the next two together.
    pub undelivered: u64,
    /// Events that the broker has not acknowledged.
    pub waiting_for_broker: u64,
    /// Events that the broker has and that HQ has not confirmed; none where the broker's word is all that counts.
    pub waiting_for_hq: u64,
    /// Bytes that the events take which the box may not forget yet.
    pub queued_bytes: u64,
    /// Bytes that those may take.
    pub limit_bytes: u64,
    /// Bytes of delivered events that are kept in case they are asked for again: they go first when room is needed.
    pub kept_bytes: u64,
    /// What the store may take on the card with all that belongs to it, as configured.
    pub max_bytes: u64,
    /// When the oldest undelivered event happened.
    pub oldest_undelivered: Option<DateTime<Utc>>,
    /// How long it takes until all is delivered; `None` where nothing moves by which that could be known.
    pub drained_in_s: Option<u64>,
    /// Why the store is closed, if it is.
    pub closed: Option<String>,
    /// Stores of other outlets that lie beside this one and were not sent yet.
    #[serde(default)]
    pub stores_set_aside: usize,
}

impl Queue {
    /// How an outbox stands at a level, where `acknowledge` says whose word counts.
    #[must_use]
    pub fn of(outbox: &Outbox, level: &Level, acknowledge: Acknowledge, drained_in_s: Option<u64>) -> Self {
        let (undelivered, delivered) = (level.undelivered(acknowledge), level.delivered(acknowledge));
        let first = level.stream_id.filter(|_| undelivered > 0);
        let first = first.and_then(|id| outbox.waiting(id, delivered, 1).ok());
        let oldest = first.and_then(|events| DateTime::parse_from_rfc3339(&events.first()?.draft.time).ok());
        Self {
            stream: level.stream_id.map(|id| id.to_string()),
            generation: level.stream.as_ref().map(|stream| stream.generation),
            durable: level.durable,
            acknowledged: level.acknowledged,
            released: level.released,
            undelivered,
            waiting_for_broker: level.unacknowledged(),
            waiting_for_hq: level.unconfirmed(acknowledge),
            queued_bytes: level.queued_bytes,
            limit_bytes: level.limit_bytes,
            kept_bytes: level.kept_bytes,
            max_bytes: outbox.max_bytes(),
            oldest_undelivered: oldest.map(|at| at.with_timezone(&Utc)),
            drained_in_s,
            closed: level.closed.clone(),
            stores_set_aside: set_aside_in(outbox.folder()).len(),
        }
    }

    /// Events that are delivered and not released yet: they still take room among what waits.
    #[must_use]
    pub fn just_left(&self) -> u64 {
        self.durable.saturating_sub(self.undelivered).saturating_sub(self.released)
    }

    /// How full, in percent.
    #[must_use]
    pub fn percent(&self) -> u64 {
        self.queued_bytes.saturating_mul(100) / self.limit_bytes.max(1)
    }
}

/// The sales of the last [`HOURS`] hours, by the hour in which each was made: they are read from the store, so a restart
/// loses none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sales {
    /// When the first hour begins; the last one is running.
    pub from: DateTime<Utc>,
    /// Hour by hour.
    pub hours: Vec<Hour>,
    /// The newest sale that the box has seen.
    pub last_seen: Option<DateTime<Utc>>,
    /// The newest that is delivered.
    pub last_delivered: Option<DateTime<Utc>>,
}

/// One hour's sales.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hour {
    /// Sales that the box has seen.
    pub seen: u64,
    /// Those of them that are where `acknowledge` promises them, as they are now.
    pub delivered: u64,
}

impl Sales {
    /// Counts sales, of which each is given with whether it is delivered. `from` begins the first hour.
    #[must_use]
    pub fn count(from: DateTime<Utc>, sales: impl Iterator<Item = (DateTime<Utc>, bool)>) -> Self {
        let mut this = Self { from, hours: vec![Hour::default(); HOURS], last_seen: None, last_delivered: None };
        for (at, delivered) in sales {
            let hour = usize::try_from((at - from).num_hours()).ok().filter(|_| at >= from);
            let Some(hour) = hour.and_then(|hour| this.hours.get_mut(hour)) else { continue };
            hour.seen += 1;
            this.last_seen = this.last_seen.max(Some(at));
            if delivered {
                hour.delivered += 1;
                this.last_delivered = this.last_delivered.max(Some(at));
            }
        }
        this
    }

    /// When an hour begins.
    #[must_use]
    pub fn begins(&self, hour: usize) -> DateTime<Utc> {
        self.from + TimeDelta::hours(i64::try_from(hour).unwrap_or(0))
    }

    /// All of them together.
    #[must_use]
    pub fn total(&self) -> Hour {
        let add = |a: Hour, b: &Hour| Hour { seen: a.seen + b.seen, delivered: a.delivered + b.delivered };
        self.hours.iter().fold(Hour::default(), add)
    }
}

/// An interval that is not proven complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenGap {
    /// The name by which a person ends it.
    #[serde(default)]
    pub handle: String,
    /// The connection.
    pub connection: String,
    /// Begin, inclusive.
    pub from: DateTime<Utc>,
    /// End, exclusive.
    pub to: DateTime<Utc>,
    /// Why.
    pub reason: GapReason,
}

impl Trouble {
    /// Whether it speaks of the line to headquarters.
    #[must_use]
    pub fn is_of_hq(&self) -> bool {
        self.is(Condition::is_of_hq)
    }

    /// Whether it keeps the line that it speaks of from working.
    #[must_use]
    pub fn hinders(&self) -> bool {
        self.is(hinders)
    }

    /// Whether its condition is of a kind; one that no version knows is of none.
    #[must_use]
    pub fn is(&self, kind: fn(Condition) -> bool) -> bool {
        Condition::ALL.iter().any(|condition| condition.code() == self.code && kind(*condition))
    }
}

impl Overview {
    /// The conditions that speak of a connection; of the box itself for an empty name.
    pub fn troubles_of<'a>(&'a self, connection: &'a str) -> impl Iterator<Item = &'a Trouble> {
        self.conditions.iter().filter(move |trouble| trouble.connection.as_deref().unwrap_or_default() == connection)
    }

    /// Whether a condition holds, for whatever it speaks of.
    #[must_use]
    pub fn holds(&self, condition: Condition) -> bool {
        self.conditions.iter().any(|trouble| trouble.code == condition.code())
    }

    /// Whether one of the gaps that are listed is of the kind that as a rule only a person can end.
    #[must_use]
    pub fn gaps_need_a_person(&self) -> bool {
        self.gaps.iter().any(|gap| gap.reason.needs_a_person())
    }

    /// Records put aside, of all connections.
    #[must_use]
    pub fn put_aside(&self) -> usize {
        self.connections.iter().map(|connection| connection.put_aside).sum()
    }

    /// The clock of the connection that differs most from the box's.
    #[must_use]
    pub fn clock_difference_s(&self) -> Option<i64> {
        self.connections.iter().filter_map(|connection| connection.clock_difference_s).max_by_key(|s| s.abs())
    }
}

/// How the line to headquarters is doing.
#[must_use]
pub fn standing_of_hq(facts: &Facts) -> Standing {
    let of_hq = facts.conditions().map(|(condition, _, _)| condition).filter(|condition| condition.is_of_hq());
    worst(of_hq.filter(|condition| hinders(*condition))).unwrap_or(if facts.hq_ready {
        Standing::Fine
    } else {
        Standing::Starting
    })
}

/// How a point of sale is doing.
#[must_use]
pub fn standing_of(facts: &Facts, name: &str, health: &ConnectionHealth) -> Standing {
    let held = facts.conditions().filter(|(condition, of, _)| *of == name && hinders(*condition));
    worst(held.map(|(of, _, _)| of)).unwrap_or(match health {
        ConnectionHealth { last_answer: None, .. } => Standing::Starting,
        ConnectionHealth { progress, .. } if progress.complete => Standing::Fine,
        _ => Standing::CatchingUp,
    })
}

/// What is only noticed about a line does not keep it from working.
fn hinders(condition: Condition) -> bool {
    condition.needs_technician()
        || !matches!(
            condition,
            Condition::WindowUnproven
                | Condition::ListUnreliable
                | Condition::BrokerForgot
                | Condition::EventReduced
                | Condition::ClockDiffers
                | Condition::ClockUnconfirmed
                | Condition::TillClockWrong
        )
}

fn worst(held: impl Iterator<Item = Condition>) -> Option<Standing> {
    held.map(|of| if of.needs_technician() { Standing::NeedsTechnician } else { Standing::Waiting }).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sales_are_counted_by_their_hour_and_the_newest_are_known() {
        let from: DateTime<Utc> = "2026-03-04T03:00:00Z".parse().unwrap();
        let at = |minutes| from + TimeDelta::minutes(minutes);
        let sales = [(at(-1), true), (at(0), true), (at(59), false), (at(60), true), (at(24 * 60), true)];
        let counted = Sales::count(from, sales.into_iter());
        assert_eq!(counted.hours.len(), HOURS);
        assert_eq!(
            (counted.hours[0], counted.hours[1]),
            (Hour { seen: 2, delivered: 1 }, Hour { seen: 1, delivered: 1 })
        );
        assert_eq!(counted.total(), Hour { seen: 3, delivered: 2 });
        assert_eq!((counted.last_seen, counted.last_delivered), (Some(at(60)), Some(at(60))));
        assert_eq!(counted.begins(3), at(180));
    }

    #[test]
    fn a_connection_stands_as_its_gravest_condition_says() {
        let now = DateTime::UNIX_EPOCH;
        let health = crate::health::Health::default();
        let standing = || {
            let facts = health.facts();
            (standing_of(&facts, "front", &facts.connections["front"]), standing_of_hq(&facts))
        };
        health.update_connection("front", |_| {});
        assert_eq!(standing(), (Standing::Starting, Standing::Starting));
        health.update(|facts| facts.hq_ready = true);
        health.update_connection("front", |connection| connection.last_answer = Some(now));
        assert_eq!(standing(), (Standing::CatchingUp, Standing::Fine));
        health.update_connection("front", |connection| connection.progress.complete = true);
        health.raise(Condition::ListUnreliable, "front", "a remark", now);
        health.raise(Condition::PosRefused, "back", "another's", now);
        assert_eq!(standing(), (Standing::Fine, Standing::Fine));
        for remark in [Condition::EventReduced, Condition::BrokerForgot] {
            health.raise(remark, "", "told, and the line works", now);
            assert_eq!(standing().1, Standing::Fine, "{remark:?}");
        }
        for waits in
            [Condition::NobodyListens, Condition::NotAcknowledged, Condition::FeedSilent, Condition::ClockUnproven]
        {
            health.raise(waits, "", "nothing is delivered", now);
            assert_eq!(standing().1, Standing::Waiting, "{waits:?}");
            health.clear(waits, "", now);
        }
        for grave in [Condition::BrokerUnfit, Condition::LinkFailed, Condition::PublishDenied] {
            health.raise(grave, "", "somebody has to come", now);
            assert_eq!(standing().1, Standing::NeedsTechnician, "{grave:?}");
            health.clear(grave, "", now);
        }
        health.raise(Condition::PosUnreachable, "front", "no answer", now);
        health.raise(Condition::HqUnreachable, "", "no broker", now);
        assert_eq!(standing(), (Standing::Waiting, Standing::Waiting));
        health.raise(Condition::PosRefused, "front", "401", now);
        health.raise(Condition::HqRefused, "", "not authorised", now);
        assert_eq!(standing(), (Standing::NeedsTechnician, Standing::NeedsTechnician));
    }
}
