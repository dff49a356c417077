//! Who makes the overview, in the daemon.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Timelike as _, Utc};

use super::{
    Connection, GAPS_LISTED_MAX, HOURS, Hq, OpenGap, Overview, Queue, Sales, Standing, Trouble, drain::Drain,
    standing_of, standing_of_hq,
};
use crate::{
    by_hand::handle_of_gap,
    clock::Clock,
    config::{Acknowledge, Config},
    health::{Facts, Health},
    inspect::Probe,
    outbox::{Level, Outbox, OutboxError},
    signal::{Signs, lights},
    status::acknowledge_name,
    zone::Zone,
};

/// An overview serves everyone who asks for so long: however many ask, the store is read once.
const FRESH: Duration = Duration::from_secs(1);

/// How often the box looks at itself, for what only the course of time tells.
const NOTE_EVERY: Duration = Duration::from_secs(2);

/// The clock was set if it moved by so much more or less than time passed.
const CLOCK_SET: TimeDelta = TimeDelta::seconds(30);

/// Where Linux tells the processor's temperature, in thousandths of a degree.
const TEMPERATURE: &str = "/sys/class/thermal/thermal_zone0/temp";

/// The outbox, once it is open.
pub type SharedOutbox = Arc<OnceLock<Arc<Outbox>>>;

/// Makes overviews.
#[derive(Debug)]
pub struct Observer {
    outlet: String,
    name: Option<String>,
    zone: Zone,
    acknowledge: Acknowledge,
    has_printer_lines: bool,
    outbox: SharedOutbox,
    health: Arc<Health>,
    clock: Clock,
    noted: Mutex<Noted>,
    fresh: Mutex<Option<(Instant, Arc<Overview>)>>,
}

/// What is known from having looked before.
#[derive(Debug)]
struct Noted {
    drain: Drain,
    /// When the daemon started, by the clock as it is now.
    up_since: DateTime<Utc>,
    /// When somebody looked last, by the clock and by the time that passes whatever the clock shows.
    looked: (DateTime<Utc>, Instant),
    /// Per connection, and under no name for HQ: how it is doing, and since when.
    standings: BTreeMap<String, (Standing, DateTime<Utc>)>,
}

impl Observer {
    /// Observes a box as its config describes it.
    #[must_use]
    pub fn new(config: &Config, outbox: SharedOutbox, health: Arc<Health>, clock: Clock) -> Self {
        Self {
            outlet: config.outlet.id.clone(),
            name: config.outlet.name.clone(),
            zone: config.outlet.timezone.clone(),
            acknowledge: config.hq.acknowledge,
            has_printer_lines: config.board.lines().iter().any(|line| !line.role.is_output()),
            outbox,
            health,
            noted: Mutex::new(Noted::at(clock.now())),
            clock,
            fresh: Mutex::default(),
        }
    }

    /// Whose word makes an event count as delivered.
    #[must_use]
    pub fn acknowledge(&self) -> Acknowledge {
        self.acknowledge
    }

    /// The outlet's time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Looks at the box again and again, for what only the course of time tells.
    pub async fn note_regularly(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(NOTE_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let level = self.outbox.get().map(|outbox| outbox.level()).unwrap_or_default();
            self.note(&self.health.facts(), &level, self.clock.now());
        }
    }

    fn note(&self, facts: &Facts, level: &Level, now: DateTime<Utc>) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        self.follow(&mut noted, now);
        noted.drain.note(level.epoch, level.delivered(self.acknowledge), now);
        noted.stand("", standing_of_hq(facts), now);
        for (name, health) in &facts.connections {
            noted.stand(name, standing_of(facts, name, health), now);
        }
    }

    /// Notices that the clock was set since somebody looked last, and moves with it what was noted by it: else all of it
    /// would lie in the future, or years back.
    fn follow(&self, noted: &mut Noted, now: DateTime<Utc>) {
        let passed = self.clock.passed(noted.looked.1);
        if let Some(by) = noted.follow(now, passed) {
            self.health.clock_was_set(by);
        }
    }

    /// The box now, or a moment ago. Reads the store: not for a task that must not wait.
    #[must_use]
    pub fn observe(&self) -> Arc<Overview> {
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, overview)) = fresh.as_ref()
            && made.elapsed() < FRESH
        {
            return Arc::clone(overview);
        }
        let overview = Arc::new(self.look(self.clock.now()));
        *fresh = Some((Instant::now(), Arc::clone(&overview)));
        overview
    }

    /// What the line to headquarters has found.
    #[must_use]
    pub fn probe(&self) -> Probe {
        let facts = self.health.facts();
        Probe {
            broker: facts.broker.clone(),
            protocol: facts.protocol.map(str::to_owned),
            works: facts.hq_ready,
            checkpoint_found: facts.checkpoint_found,
            conditions: troubles(&facts).into_iter().filter(Trouble::is_of_hq).collect(),
        }
    }

    fn look(&self, now: DateTime<Utc>) -> Overview {
        self.follow(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner), now);
        let facts = self.health.facts();
        let outbox = self.outbox.get();
        let level = outbox.map(|outbox| outbox.level()).unwrap_or_default();
        // A store that fails says so among the conditions; what it holds is then unknown, not nothing.
        let aside = outbox.and_then(|outbox| outbox.put_aside().ok()).unwrap_or_default();
        let sales = outbox.and_then(|outbox| self.sales(outbox, &facts, &level, now).ok());
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let standing = standing_of_hq(&facts);
        let hq = Hq {
            standing,
            since: noted.stand("", standing, now),
            connected: facts.hq_ready,
            broker: facts.broker.clone(),
            protocol: facts.protocol.map(str::to_owned),
            acknowledge: acknowledge_name(self.acknowledge).to_owned(),
            unproven_echo: facts.unproven_echo,
            feed_waits_since: facts.feed_waits_since,
        };
        let connections = facts.connections.iter().map(|(name, health)| {
            let standing = standing_of(&facts, name, health);
            Connection {
                name: name.clone(),
                system: health.system.to_owned(),
                identity: health.progress.identity.clone(),
                standing,
                standing_since: noted.stand(name, standing, now),
                watermark: health.progress.watermark,
                read_since: health.progress.since,
                last_answer: health.last_answer,
                clock_difference_s: health.clock_difference_s,
                put_aside: aside.get(name).map_or(0, |list| list.iter().filter(|of| of.dismissed.is_none()).count()),
                notes: health.progress.notes.clone(),
            }
        });
        let connections = connections.collect();
        let drained_in_s = noted
            .drain
            .drained_in_s(level.epoch, level.undelivered(self.acknowledge))
            .filter(|seconds| *seconds == 0 || facts.hq_ready);
        let up_since = noted.up_since;
        drop(noted);
        let gaps = level.open_gaps.iter().flat_map(|(name, gaps)| gaps.iter().map(move |gap| (name, gap)));
        let open_gaps = gaps.clone().count();
        Overview {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at: now,
            up_since,
            outlet: self.outlet.clone(),
            name: self.name.clone(),
            phase: facts.phase,
            lights: lights(Signs::of(&facts, &level, self.acknowledge, now)),
            hq,
            connections,
            conditions: troubles(&facts),
            outbox: outbox.map(|outbox| Queue::of(outbox, &level, self.acknowledge, drained_in_s)),
            sales,
            gaps: gaps
                .take(GAPS_LISTED_MAX)
                .map(|(name, gap)| OpenGap {
                    handle: handle_of_gap(name, gap),
                    connection: name.clone(),
                    from: gap.from,
                    to: gap.to,
                    reason: gap.reason,
                })
                .collect(),
            open_gaps,
            put_aside_lately: facts.put_aside_lately(now),
            has_printer_lines: self.has_printer_lines,
            disk_free_bytes: outbox.and_then(|outbox| outbox.disk_free_bytes()),
            temperature_millicelsius: fs::read_to_string(TEMPERATURE).ok().and_then(|text| text.trim().parse().ok()),
        }
    }

    fn sales(&self, outbox: &Outbox, facts: &Facts, level: &Level, now: DateTime<Utc>) -> Result<Sales, OutboxError> {
        // Hours begin as the outlet's clocks show them, which in some zones is half an hour off the world's.
        let past = i64::from(self.zone.local(now).minute()) * 60 + i64::from(self.zone.local(now).second());
        let running = now.with_nanosecond(0).unwrap_or(now) - TimeDelta::seconds(past);
        let from = running - TimeDelta::hours(i64::try_from(HOURS - 1).unwrap_or(0));
        let mut sales = Vec::new();
        for name in facts.connections.keys() {
            sales.extend(outbox.sales_between(name, from, running + TimeDelta::hours(1))?);
        }
        let delivered = level.delivered(self.acknowledge);
        Ok(Sales::count(from, sales.into_iter().map(|(at, number)| (at, number <= delivered))))
    }
}

impl Noted {
    fn at(now: DateTime<Utc>) -> Self {
        Self { drain: Drain::default(), up_since: now, looked: (now, Instant::now()), standings: BTreeMap::new() }
    }

    /// Learns the clock's present moment, `passed` after the last one; gives by how much it was set since.
    fn follow(&mut self, now: DateTime<Utc>, passed: Option<TimeDelta>) -> Option<TimeDelta> {
        let by = passed.map(|passed| now - self.looked.0 - passed).filter(|by| by.abs() > CLOCK_SET);
        self.looked = (now, Instant::now());
        let moved = |at: &mut DateTime<Utc>| *at = at.checked_add_signed(by.unwrap_or_default()).unwrap_or(*at);
        moved(&mut self.up_since);
        self.standings.values_mut().for_each(|(_, since)| moved(since));
        by
    }

    /// Since when something stands as it does.
    fn stand(&mut self, name: &str, standing: Standing, now: DateTime<Utc>) -> DateTime<Utc> {
        let stood = self.standings.entry(name.to_owned()).or_insert((standing, now));
        if stood.0 != standing {
            *stood = (standing, now);
        }
        stood.1
    }
}

fn troubles(facts: &Facts) -> Vec<Trouble> {
    let troubles = facts.conditions().map(|(condition, connection, held)| Trouble {
        code: condition.code().to_owned(),
        connection: (!connection.is_empty()).then(|| connection.to_owned()),
        text: held.text.clone(),
        since: held.since,
        times: held.times,
        needs_technician: condition.needs_technician(),
    });
    troubles.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It was a year ahead at first, and was set right after an hour.
    #[test]
    fn what_was_noted_by_a_clock_that_was_set_back_is_as_old_as_it_was() {
        let right: DateTime<Utc> = "2026-11-28T13:00:00Z".parse().unwrap();
        let ahead = right + TimeDelta::days(365);
        let mut noted = Noted::at(ahead);
        noted.stand("front", Standing::Fine, ahead);
        let second = TimeDelta::seconds(1);
        assert_eq!(noted.follow(ahead + second, Some(second)), None);
        let hour = TimeDelta::hours(1);
        let by = noted.follow(right + hour + second, Some(hour));
        assert_eq!((by, noted.up_since), (Some(-TimeDelta::days(365)), right));
        assert_eq!(noted.stand("front", Standing::Fine, right + hour), right);
        assert_eq!(noted.follow(right, None), None, "a clock that stands still is set on purpose");
        assert_eq!(noted.up_since, right);
    }
}
