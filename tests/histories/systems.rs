//! What differs between the systems: their simulators' traits, what can happen there, and what they cannot help.

use std::sync::Arc;

use chrono::TimeDelta;
use tillbox::{
    clock::Clock,
    demo::{
        asalta, olsera, pos_kasir, qasir,
        shop::Chance,
        simulator::{Entry, Simulator},
    },
    gap::GapReason,
    zone::Zone,
};

use crate::{history::Manners, pick, world::World};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    Qasir,
    PosKasir,
    OlseraOpen,
    OlseraDocumented,
    Asalta,
}

impl System {
    pub const ALL: &[Self] = &[Self::Qasir, Self::PosKasir, Self::OlseraOpen, Self::OlseraDocumented, Self::Asalta];

    /// The systems as they take turns: a history of Asalta's many large records takes five times as long as another.
    pub const TURNS: &[Self] = &[
        Self::Qasir,
        Self::PosKasir,
        Self::OlseraOpen,
        Self::Qasir,
        Self::PosKasir,
        Self::OlseraDocumented,
        Self::Asalta,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Qasir => "qasir",
            Self::PosKasir => "pos-kasir",
            Self::OlseraOpen => "olsera-open",
            Self::OlseraDocumented => "olsera-documented",
            Self::Asalta => "asalta",
        }
    }

    pub fn of_name(name: &str) -> Self {
        *Self::ALL.iter().find(|system| system.name() == name).expect("a system's name")
    }

    /// A simulator with random traits.
    pub fn simulator(self, chance: &mut Chance, clock: &Clock, zone: &str) -> Arc<dyn Simulator> {
        let zone = Zone::load(zone).unwrap();
        match self {
            Self::Qasir => {
                let mut options = qasir::Options::new(zone, "token-0123456789");
                options.bounds =
                    pick(chance, &[qasir::Bounds::Inclusive, qasir::Bounds::HalfOpen, qasir::Bounds::Exclusive]);
                options.order = pick(chance, &[qasir::Order::NewestFirst, qasir::Order::OldestFirst]);
                options.times = pick(chance, &[qasir::Times::Naive, qasir::Times::WithOffset]);
                options.bounds_with_offset = !chance.happens(25);
                if chance.happens(15) {
                    options.cap_rows = 20 + chance.below(80) as usize;
                }
                Arc::new(qasir::Qasir::new(clock.clone(), options))
            }
            Self::PosKasir => {
                let mut options = pos_kasir::Options::new(zone);
                let role = pick(chance, &["manager", "admin"]);
                options.users = vec![pos_kasir::User::new("box@shop.example", "kotak-kasir", role)];
                options.session = TimeDelta::hours(i64::from(pick(chance, &[1, 8, 24])));
                options.taken_by_tills = u64::from(chance.below(70));
                Arc::new(pos_kasir::PosKasir::new(clock.clone(), options))
            }
            Self::OlseraOpen => {
                let mut options = olsera::Options::new(zone, olsera::Profile::OpenApi);
                options.lists_times = chance.happens(50);
                options.order = pick(chance, &[olsera::Order::NewestFirst, olsera::Order::OldestFirst]);
                Arc::new(olsera::Olsera::new(clock.clone(), options))
            }
            Self::OlseraDocumented => {
                let options = olsera::Options::new(zone, olsera::Profile::Documented);
                Arc::new(olsera::Olsera::new(clock.clone(), options))
            }
            Self::Asalta => {
                let mut options = asalta::Options::new(zone);
                options.newest_first = chance.happens(50);
                options.page_rows = pick(chance, &[7, 20, 20, 20]);
                options.returns_without_sale = (chance.happens(70), chance.happens(70));
                options.report_ignores_form = chance.happens(20);
                Arc::new(asalta::Asalta::new(clock.clone(), options))
            }
        }
    }

    /// How often it is polled.
    pub fn poll_every(self, chance: &mut Chance) -> &'static str {
        match self {
            // Four lists at each poll: a week in a second wants fewer of them.
            Self::Asalta => pick(chance, &["10m", "30m", "30m"]),
            _ => pick(chance, &["5m", "10m", "30m"]),
        }
    }

    /// What can happen there.
    pub fn manners(self) -> Manners {
        match self {
            Self::Qasir | Self::OlseraOpen => Manners {
                orders: true,
                parts: false,
                unpaid_again: false,
                late: true,
                removals: true,
                void_sales: true,
            },
            // The server makes an order when it is rung up: nothing is late.
            Self::PosKasir => Manners {
                orders: true,
                parts: false,
                unpaid_again: true,
                late: false,
                removals: false,
                void_sales: false,
            },
            Self::OlseraDocumented => Manners {
                orders: true,
                parts: false,
                unpaid_again: false,
                late: true,
                removals: false,
                void_sales: false,
            },
            Self::Asalta => Manners {
                orders: true,
                parts: true,
                unpaid_again: false,
                late: true,
                removals: true,
                void_sales: false,
            },
        }
    }

    /// Whether the source makes it unavoidable that this record is missing, or is not what it was.
    pub fn excuses(self, world: &World, entry: &Entry) -> bool {
        match self {
            // What was not among the newest 100 at any poll was never shown; the gap says so.
            Self::OlseraDocumented => {
                world.outbox().open_gaps().values().flatten().any(|gap| gap.from <= entry.at && entry.at <= gap.to)
            }
            _ => false,
        }
    }

    /// Open gaps are those that cannot be avoided.
    pub fn compare_gaps(self, world: &World) {
        let gaps: Vec<_> = world.outbox().open_gaps().values().flatten().cloned().collect();
        let unavoidable = |reason| {
            self == Self::OlseraDocumented && matches!(reason, GapReason::NoOverlap | GapReason::BehindHistory)
        };
        // A shop that never sold more than one answer holds has no gap at any system.
        let few = world.simulator.sheet(world.clock.now()).len() < 100;
        let avoidable: Vec<_> = gaps.iter().filter(|gap| few || !unavoidable(gap.reason)).collect();
        assert!(avoidable.is_empty(), "{avoidable:?}");
    }
}
