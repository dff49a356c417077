//! What differs between the systems: their simulators' traits, what can happen there, and what they cannot help.

use std::sync::Arc;

use tillbox::{
    clock::Clock,
    demo::{
        qasir,
        shop::Chance,
        simulator::{Entry, Simulator},
    },
    zone::Zone,
};

use crate::{history::Manners, pick, world::World};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    Qasir,
}

impl System {
    pub const ALL: &[Self] = &[Self::Qasir];

    pub fn name(self) -> &'static str {
        match self {
            Self::Qasir => "qasir",
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
        }
    }

    /// What can happen there.
    pub fn manners(self) -> Manners {
        match self {
            Self::Qasir => Manners {
                orders: true,
                parts: false,
                unpaid_again: false,
                late: true,
                removals: true,
                void_sales: true,
            },
        }
    }

    /// Whether the source makes it unavoidable that this record is missing.
    pub fn excuses(self, _world: &World, _entry: &Entry) -> bool {
        match self {
            Self::Qasir => false,
        }
    }

    /// Open gaps are those that cannot be avoided.
    pub fn compare_gaps(self, world: &World) {
        let gaps: Vec<_> = world.outbox().open_gaps().values().flatten().cloned().collect();
        match self {
            Self::Qasir => assert!(gaps.is_empty(), "{gaps:?}"),
        }
    }
}
