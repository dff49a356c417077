//! What the box shows: three lights whose meaning needs no reading.
//!
//! A pure, total function from health to a pattern per line. Colours follow IEC 60073, and patterns differ as well, so
//! nothing is told by colour alone.
//!
//! | Line | Off | Steady | Slow blink (1 Hz) | Fast blink (4 Hz) |
//! |---|---|---|---|---|
//! | `sync` (green) | not running | everything is delivered, with a short wink every 5 s | not everything is delivered | starting |
//! | `hold` (yellow) | no warning | HQ unreachable, or sales are not taken or not confirmed there: they are kept here | POS unreachable | a gap, a record put aside, a broker that forgot, another shop's sales set aside, or outbox above 80 % |
//! | `fault` (red) | none | needs a technician | printer: paper or fault | card full, reading stopped |
//!
//! Delivered is what `acknowledge` promises: with `feed` what HQ itself has confirmed, with `broker` what the broker
//! has acknowledged. No light says more than that.
//!
//! Where several apply to one line, the graver one shows: on `hold` fast before slow before steady; on `fault` fast
//! before steady before slow. Between the lines fault stands before hold before sync: green is steady only while yellow
//! and red are dark, so no line ever says that all is well while another says that it is not.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    board::profile::{Light, Role},
    config::Acknowledge,
    health::{Condition, Facts, Phase},
    outbox::Level,
};

/// Above this much of the room for events the box warns.
pub const NEARLY_FULL_PERCENT: u64 = 80;

/// A sale that is captured within this of its time gives a receipt pulse.
const RECEIPT_WITHIN: TimeDelta = TimeDelta::minutes(10);

const WINK_EVERY_MS: u64 = 5_000;
const WINK_MS: u64 = 150;
const SLOW_HALF_MS: u64 = 500;
const FAST_HALF_MS: u64 = 125;

/// How a line is lit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// Dark.
    Off,
    /// Lit.
    Steady,
    /// Lit, with a short wink every 5 s: a frozen program does not wink.
    SteadyWink,
    /// 1 Hz.
    Slow,
    /// 4 Hz.
    Fast,
}

impl Pattern {
    /// Whether the line is lit at a moment, in milliseconds since any fixed one.
    #[must_use]
    pub fn lit(self, at_ms: u64) -> bool {
        match self {
            Self::Off => false,
            Self::Steady => true,
            Self::SteadyWink => at_ms % WINK_EVERY_MS >= WINK_MS,
            Self::Slow => at_ms % (2 * SLOW_HALF_MS) < SLOW_HALF_MS,
            Self::Fast => at_ms % (2 * FAST_HALF_MS) < FAST_HALF_MS,
        }
    }

    /// The first moment after this one at which the line changes; `None` if it never does.
    #[must_use]
    pub fn next_edge_ms(self, at_ms: u64) -> Option<u64> {
        let next = |every| at_ms - at_ms % every + every;
        match self {
            Self::Off | Self::Steady => None,
            Self::SteadyWink if !self.lit(at_ms) => Some(at_ms - at_ms % WINK_EVERY_MS + WINK_MS),
            Self::SteadyWink => Some(next(WINK_EVERY_MS)),
            Self::Slow => Some(next(SLOW_HALF_MS)),
            Self::Fast => Some(next(FAST_HALF_MS)),
        }
    }
}

/// The three lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lights {
    /// Green.
    pub sync: Pattern,
    /// Yellow.
    pub hold: Pattern,
    /// Red.
    pub fault: Pattern,
}

impl Lights {
    /// What a box shows that is not running.
    pub const DARK: Self = Self { sync: Pattern::Off, hold: Pattern::Off, fault: Pattern::Off };

    /// How a light is lit.
    #[must_use]
    pub fn of(self, light: Light) -> Pattern {
        match light {
            Light::Sync => self.sync,
            Light::Hold => self.hold,
            Light::Fault => self.fault,
        }
    }
}

/// What the output lines show, but for the pulses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signals {
    /// The lights.
    pub lights: Lights,
    /// Captured sales are durable.
    pub receipt_ready: bool,
}

impl Signals {
    /// What a box shows that is not running.
    pub const DARK: Self = Self { lights: Lights::DARK, receipt_ready: false };

    /// What is shown of what is known, where `acknowledge` says whose word counts.
    #[must_use]
    pub fn of(facts: &Facts, level: &Level, acknowledge: Acknowledge, now: DateTime<Utc>) -> Self {
        Self { lights: lights(Signs::of(facts, level, acknowledge, now)), receipt_ready: receipt_ready(facts, level) }
    }

    /// How a line is lit; `None` for one that is no steady or blinking output.
    #[must_use]
    pub fn pattern(self, role: Role) -> Option<Pattern> {
        match role {
            Role::Light(light) => Some(self.lights.of(light)),
            Role::ReceiptReady => Some(if self.receipt_ready { Pattern::Steady } else { Pattern::Off }),
            Role::ReceiptPulse | Role::PaperLow | Role::PaperEnd | Role::PrinterFault => None,
        }
    }

    /// Whether an output is on at a moment.
    #[must_use]
    pub fn is_on(self, role: Role, at_ms: u64) -> bool {
        self.pattern(role).is_some_and(|pattern| pattern.lit(at_ms))
    }
}

/// Whether what is captured now will be durable: the store is open and has room.
#[must_use]
pub fn receipt_ready(facts: &Facts, level: &Level) -> bool {
    let is_open = level.limit_bytes > 0 && level.closed.is_none();
    let fails = facts.holds(Condition::StoreFailed) || facts.holds(Condition::OutboxFull);
    facts.phase != Phase::Stopping && is_open && !level.is_full() && !fails
}

/// Whether a new sale gives a receipt pulse: it is young, by a clock that is not far off.
#[must_use]
pub fn gives_receipt(sold: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (now - sold).abs() < RECEIPT_WITHIN
}

/// What the lights depend on, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a column or row of the table above")]
pub struct Signs {
    /// The daemon runs.
    pub running: bool,
    /// It has not yet heard from its stages.
    pub starting: bool,
    /// Every event is where `acknowledge` promises it, the line stands, and the last polls were complete.
    pub all_delivered: bool,
    /// What is sold is not delivered for now, and is kept safe here: HQ is unreachable, or its broker does not take the
    /// events, or HQ does not confirm them.
    pub kept_here: bool,
    /// A point of sale does not answer, or not as it should.
    pub pos_unreachable: bool,
    /// A gap is open, or a record was put aside lately; the broker forgot what it had; or another shop's sales still
    /// wait in a store that was set aside.
    pub unproven: bool,
    /// The outbox is above 80 % of its room.
    pub nearly_full: bool,
    /// Waiting does not help.
    pub needs_technician: bool,
    /// The printer wants paper, or reports a fault.
    pub printer: bool,
    /// There is no more room, and reading has stopped.
    pub full: bool,
}

impl Signs {
    /// Reads the signs from what is known, where `acknowledge` says whose word counts.
    #[must_use]
    pub fn of(facts: &Facts, level: &Level, acknowledge: Acknowledge, now: DateTime<Utc>) -> Self {
        let holds = |kind: fn(Condition) -> bool| facts.conditions().any(|(condition, _, _)| kind(condition));
        Self {
            running: facts.phase != Phase::Stopping,
            starting: facts.phase == Phase::Starting,
            all_delivered: facts.hq_ready && level.undelivered(acknowledge) == 0 && facts.polls_complete(),
            kept_here: facts.phase == Phase::Running && (!facts.hq_ready || holds(Condition::keeps_sales_here)),
            pos_unreachable: facts.holds(Condition::PosUnreachable) || facts.holds(Condition::PosUnreadable),
            unproven: facts.open_gaps > 0 || facts.put_aside_lately(now) || holds(Condition::leaves_unproven),
            nearly_full: level.percent() > NEARLY_FULL_PERCENT,
            needs_technician: holds(Condition::needs_technician),
            printer: [Condition::PaperLow, Condition::PaperEnd, Condition::PrinterFault]
                .iter()
                .any(|of_the_printer| facts.holds(*of_the_printer)),
            // A store that could not be opened yet has no room and no limit either: that is another fault.
            full: facts.holds(Condition::OutboxFull) || (level.limit_bytes > 0 && level.is_full()),
        }
    }
}

/// What the lines show.
#[must_use]
pub fn lights(signs: Signs) -> Lights {
    if !signs.running {
        return Lights::DARK;
    }
    let fault = match signs {
        Signs { full: true, .. } => Pattern::Fast,
        Signs { needs_technician: true, .. } => Pattern::Steady,
        Signs { printer: true, .. } => Pattern::Slow,
        _ => Pattern::Off,
    };
    let hold = match signs {
        Signs { unproven: true, .. } | Signs { nearly_full: true, .. } => Pattern::Fast,
        Signs { pos_unreachable: true, .. } => Pattern::Slow,
        Signs { kept_here: true, .. } => Pattern::Steady,
        _ => Pattern::Off,
    };
    let sync = match signs {
        Signs { starting: true, .. } => Pattern::Fast,
        Signs { all_delivered: true, .. } if hold == Pattern::Off && fault == Pattern::Off => Pattern::SteadyWink,
        _ => Pattern::Slow,
    };
    Lights { sync, hold, fault }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: Signs = Signs {
        running: true,
        starting: false,
        all_delivered: true,
        kept_here: false,
        pos_unreachable: false,
        unproven: false,
        nearly_full: false,
        needs_technician: false,
        printer: false,
        full: false,
    };

    fn shown(signs: Signs) -> [Pattern; 3] {
        let Lights { sync, hold, fault } = lights(signs);
        [sync, hold, fault]
    }

    #[test]
    fn every_cell_of_the_table() {
        use Pattern::{Fast, Off, Slow, Steady, SteadyWink};
        assert_eq!(shown(Signs { running: false, ..FINE }), [Off, Off, Off], "not running");
        assert_eq!(shown(FINE), [SteadyWink, Off, Off], "everything is delivered");
        assert_eq!(shown(Signs { all_delivered: false, ..FINE }), [Slow, Off, Off], "not everything is delivered");
        assert_eq!(shown(Signs { starting: true, all_delivered: false, ..FINE }), [Fast, Off, Off], "starting");
        assert_eq!(shown(Signs { kept_here: true, ..FINE }), [Slow, Steady, Off], "sales are kept here");
        assert_eq!(shown(Signs { pos_unreachable: true, ..FINE }), [Slow, Slow, Off], "POS unreachable");
        assert_eq!(shown(Signs { unproven: true, ..FINE }), [Slow, Fast, Off], "something is not proven");
        assert_eq!(shown(Signs { nearly_full: true, ..FINE }), [Slow, Fast, Off], "outbox above 80 %");
        assert_eq!(shown(Signs { needs_technician: true, ..FINE }), [Slow, Off, Steady], "needs a technician");
        assert_eq!(shown(Signs { printer: true, ..FINE }), [Slow, Off, Slow], "printer");
        assert_eq!(shown(Signs { full: true, ..FINE }), [Slow, Off, Fast], "card full");
    }

    #[test]
    fn the_graver_one_shows() {
        use Pattern::{Fast, Slow, Steady};
        let line = |signs: Signs| (lights(signs).hold, lights(signs).fault);
        let both_lines_down = Signs { kept_here: true, pos_unreachable: true, ..FINE };
        assert_eq!(line(both_lines_down).0, Slow);
        assert_eq!(line(Signs { unproven: true, ..both_lines_down }).0, Fast);
        let technician = Signs { needs_technician: true, printer: true, ..FINE };
        assert_eq!(line(technician).1, Steady);
        assert_eq!(line(Signs { full: true, ..technician }).1, Fast);
    }

    /// A box that runs, has read everything and stores nothing; its outbox is open.
    fn running() -> (crate::health::Health, Level) {
        let health = crate::health::Health::default();
        health.update(|facts| (facts.phase, facts.hq_ready) = (Phase::Running, true));
        health.update_connection("front", |front| front.progress.complete = true);
        let mut level = Level::default();
        (level.limit_bytes, level.durable, level.acknowledged, level.released) = (1_000, 10, 10, 10);
        (health, level)
    }

    fn of(health: &crate::health::Health, level: &Level, acknowledge: Acknowledge) -> [Pattern; 3] {
        let Lights { sync, hold, fault } =
            Signals::of(&health.facts(), level, acknowledge, DateTime::UNIX_EPOCH).lights;
        [sync, hold, fault]
    }

    /// Green is HQ's own word in `feed` mode: what only the broker has is not delivered there.
    #[test]
    fn green_is_the_word_that_acknowledge_waits_for() {
        use Pattern::{Off, Slow, SteadyWink};
        let (health, mut level) = running();
        for acknowledge in [Acknowledge::Feed, Acknowledge::Broker] {
            assert_eq!(of(&health, &level, acknowledge), [SteadyWink, Off, Off], "{acknowledge:?}");
        }
        level.released = 9;
        assert_eq!(
            of(&health, &level, Acknowledge::Feed),
            [Slow, Off, Off],
            "the broker has it, HQ has not confirmed it"
        );
        assert_eq!(
            of(&health, &level, Acknowledge::Broker),
            [SteadyWink, Off, Off],
            "the broker's word is the promise"
        );
        (level.acknowledged, level.released) = (9, 9);
        for acknowledge in [Acknowledge::Feed, Acknowledge::Broker] {
            assert_eq!(
                of(&health, &level, acknowledge),
                [Slow, Off, Off],
                "{acknowledge:?}: nobody has it but the box"
            );
        }
        (level.acknowledged, level.released) = (10, 10);
        health.update(|facts| facts.hq_ready = false);
        assert_eq!(of(&health, &level, Acknowledge::Broker), [Slow, Pattern::Steady, Off], "no line");
        health.update(|facts| facts.hq_ready = true);
        health.update_connection("front", |front| front.progress.complete = false);
        assert_eq!(of(&health, &level, Acknowledge::Feed), [Slow, Off, Off], "orders that were not read yet");
    }

    /// Not one condition that lights something leaves green steady, though every event counts as delivered.
    #[test]
    fn each_condition_lights_what_it_means() {
        use Pattern::{Fast, Off, Slow, Steady, SteadyWink};
        let now = DateTime::UNIX_EPOCH;
        for condition in Condition::ALL {
            let shown = match condition {
                Condition::HqUnreachable
                | Condition::NobodyListens
                | Condition::NotAcknowledged
                | Condition::FeedSilent
                | Condition::ClockUnproven => [Slow, Steady, Off],
                // Reading goes on by itself: green would be steady if the polls were complete.
                Condition::PosUnreachable | Condition::PosUnreadable => [Slow, Slow, Off],
                Condition::BrokerForgot | Condition::StoreSetAside | Condition::ClockUnconfirmed => [Slow, Fast, Off],
                // Told, and nothing that a shop should act upon.
                Condition::EventReduced
                | Condition::WindowUnproven
                | Condition::ListUnreliable
                | Condition::ClockDiffers
                | Condition::TillClockWrong => [SteadyWink, Off, Off],
                Condition::OutboxFull => [Slow, Off, Fast],
                Condition::PaperLow | Condition::PaperEnd | Condition::PrinterFault => [Slow, Off, Slow],
                _ => {
                    assert!(condition.needs_technician(), "{condition:?} lights nothing");
                    [Slow, Off, Steady]
                }
            };
            for acknowledge in [Acknowledge::Feed, Acknowledge::Broker] {
                let (health, level) = running();
                health.raise(condition, "", "a line", now);
                assert_eq!(of(&health, &level, acknowledge), shown, "{condition:?}, {acknowledge:?}");
                health.clear(condition, "", now);
                assert_eq!(of(&health, &level, acknowledge), [SteadyWink, Off, Off], "{condition:?} is over");
            }
        }
    }

    /// All 1,024 combinations: green is steady only when the other lines are dark, and no light is lit on a dead box.
    #[test]
    fn no_line_says_that_all_is_well_while_another_says_that_it_is_not() {
        for bits in 0_u32..1 << 10 {
            let bit = |n: u32| bits >> n & 1 == 1;
            let signs = Signs {
                running: bit(0),
                starting: bit(1),
                all_delivered: bit(2),
                kept_here: bit(3),
                pos_unreachable: bit(4),
                unproven: bit(5),
                nearly_full: bit(6),
                needs_technician: bit(7),
                printer: bit(8),
                full: bit(9),
            };
            let [sync, hold, fault] = shown(signs);
            assert_eq!(signs.running, sync != Pattern::Off, "{signs:?}");
            assert!(signs.running || hold == Pattern::Off && fault == Pattern::Off, "{signs:?}");
            if sync == Pattern::SteadyWink {
                assert!(hold == Pattern::Off && fault == Pattern::Off && signs.all_delivered, "{signs:?}");
            }
        }
    }

    #[test]
    fn patterns_blink_as_named() {
        let edges =
            |pattern: Pattern, span_ms: u64| (1..span_ms).filter(|at| pattern.lit(*at) != pattern.lit(at - 1)).count();
        assert_eq!(edges(Pattern::Slow, 10_001), 20);
        assert_eq!(edges(Pattern::Fast, 10_001), 80);
        assert_eq!(edges(Pattern::SteadyWink, 10_001), 4);
        assert_eq!(edges(Pattern::Steady, 10_001) + edges(Pattern::Off, 10_001), 0);
    }

    #[test]
    fn the_next_edge_is_where_the_line_changes() {
        for pattern in [Pattern::Off, Pattern::Steady, Pattern::SteadyWink, Pattern::Slow, Pattern::Fast] {
            for at in (0..10_000).step_by(13) {
                let found = (at + 1..at + 6_000).find(|later| pattern.lit(*later) != pattern.lit(at));
                assert_eq!(pattern.next_edge_ms(at), found, "{pattern:?} at {at}");
            }
        }
    }

    #[test]
    fn a_receipt_is_ready_only_while_sales_can_be_stored() {
        let health = crate::health::Health::default();
        let mut open = Level::default();
        open.limit_bytes = 1_000;
        assert!(!receipt_ready(&health.facts(), &Level::default()), "no store is open yet");
        assert!(receipt_ready(&health.facts(), &open));
        let mut closed = open.clone();
        closed.closed = Some("why".to_owned());
        assert!(!receipt_ready(&health.facts(), &closed));
        for condition in [Condition::StoreFailed, Condition::OutboxFull] {
            health.raise(condition, "", "a line", DateTime::UNIX_EPOCH);
            assert!(!receipt_ready(&health.facts(), &open), "{condition:?}");
            health.clear(condition, "", DateTime::UNIX_EPOCH);
        }
        health.raise(Condition::HqUnreachable, "", "a line", DateTime::UNIX_EPOCH);
        assert!(receipt_ready(&health.facts(), &open), "it is stored here");
        health.update(|facts| facts.phase = Phase::Stopping);
        assert!(!receipt_ready(&health.facts(), &open));
    }

    #[test]
    fn only_a_young_sale_gives_a_receipt() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        assert!(gives_receipt(now - TimeDelta::seconds(599), now) && gives_receipt(now + TimeDelta::seconds(5), now));
        assert!(!gives_receipt(now - TimeDelta::minutes(10), now));
        assert!(!gives_receipt(now, DateTime::UNIX_EPOCH), "a clock that begins in 1970 makes no sale young");
    }

    #[test]
    fn what_the_printer_says_blinks_red() {
        for condition in [Condition::PaperLow, Condition::PaperEnd, Condition::PrinterFault] {
            let health = crate::health::Health::default();
            health.update(|facts| facts.phase = Phase::Running);
            health.raise(condition, "", "a line", DateTime::UNIX_EPOCH);
            let lights =
                Signals::of(&health.facts(), &Level::default(), Acknowledge::Feed, DateTime::UNIX_EPOCH).lights;
            assert_eq!(lights.fault, Pattern::Slow, "{condition:?}");
        }
    }
}
