//! The panel on lines without hardware.

use std::{
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use chrono::DateTime;
use embedded_hal::digital::{ErrorKind, ErrorType};

use super::*;
use crate::{
    board::profile::{At, Light},
    config::Acknowledge,
    health::Health,
    outbox::Level,
    signal::{Lights, Pattern},
};

/// A board on a bench: levels to look at, and lines that can be cut.
#[derive(Debug, Clone, Default)]
struct Bench(Arc<Mutex<BTreeMap<Role, Pin>>>);

#[derive(Debug, Clone, Copy, Default)]
struct Pin {
    high: bool,
    cut: bool,
    writes: u32,
    taken: u32,
}

/// A line of it, given back when it is dropped.
#[derive(Debug)]
struct Wire(Bench, Role);

#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such device")
    }
}

impl embedded_hal::digital::Error for Cut {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

impl Bench {
    fn with<T>(&self, role: Role, change: impl FnOnce(&mut Pin) -> T) -> T {
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(role).or_default())
    }

    fn high(&self, role: Role) -> bool {
        self.with(role, |pin| pin.high)
    }

    fn take(&self, role: Role) -> Result<Wire, LineFault> {
        self.with(role, |pin| {
            pin.taken += 1;
            if pin.cut { Err(LineFault::NoChips) } else { Ok(Wire(self.clone(), role)) }
        })
    }
}

impl Lines for Bench {
    type Output = Wire;
    type Input = Wire;

    fn output(&mut self, line: &Line, high: bool) -> Result<Wire, LineFault> {
        let wire = self.take(line.role)?;
        self.with(line.role, |pin| pin.high = high);
        Ok(wire)
    }

    fn input(&mut self, line: &Line) -> Result<Wire, LineFault> {
        self.take(line.role)
    }
}

impl ErrorType for Wire {
    type Error = Cut;
}

impl OutputPin for Wire {
    fn set_low(&mut self) -> Result<(), Cut> {
        self.set_state(PinState::Low)
    }

    fn set_high(&mut self) -> Result<(), Cut> {
        self.set_state(PinState::High)
    }

    fn set_state(&mut self, state: PinState) -> Result<(), Cut> {
        self.0.with(self.1, |pin| {
            if pin.cut {
                return Err(Cut);
            }
            pin.high = state == PinState::High;
            pin.writes += 1;
            Ok(())
        })
    }
}

impl InputPin for Wire {
    fn is_high(&mut self) -> Result<bool, Cut> {
        self.0.with(self.1, |pin| if pin.cut { Err(Cut) } else { Ok(pin.high) })
    }

    fn is_low(&mut self) -> Result<bool, Cut> {
        self.is_high().map(|high| !high)
    }
}

/// Every role; `low` are those that are active-low.
fn profile(low: &[Role]) -> Profile {
    let lines = Role::ALL.map(|role| Line {
        role,
        chip: None,
        at: At::Name(format!("GPIO-{}", role.name())),
        pin: None,
        active_low: low.contains(&role),
        bias: None,
    });
    Profile { name: "bench".to_owned(), lines: lines.to_vec() }
}

fn panel(low: &[Role]) -> (Bench, Panel<Bench>) {
    let bench = Bench::default();
    (bench.clone(), Panel::new(&profile(low), bench))
}

fn signals(sync: Pattern, hold: Pattern, fault: Pattern) -> Signals {
    Signals { lights: Lights { sync, hold, fault }, receipt_ready: true }
}

const LIT: Signals = Signals {
    lights: Lights { sync: Pattern::Steady, hold: Pattern::Steady, fault: Pattern::Steady },
    receipt_ready: true,
};

/// Drives as the daemon does: at each moment that the panel asks for.
fn drive(panel: &mut Panel<Bench>, signals: Signals, from_ms: u64, to_ms: u64, mut seen: impl FnMut(u64)) {
    let mut at = from_ms;
    while at < to_ms {
        panel.drive(signals, at);
        seen(at);
        at = panel.next_ms(signals, at).map_or(at + 500, |next| next.max(at + 1).min(at + 500));
    }
}

#[test]
fn every_pattern_on_every_light_is_as_the_table_says() {
    for pattern in [Pattern::Off, Pattern::Steady, Pattern::SteadyWink, Pattern::Slow, Pattern::Fast] {
        for light in Light::ALL {
            for low in [false, true] {
                let (bench, mut panel) = panel(if low { &Role::ALL } else { &[] });
                let of = |role| if role == light { pattern } else { Pattern::Off };
                let signals = signals(of(Light::Sync), of(Light::Hold), of(Light::Fault));
                drive(&mut panel, signals, 0, 11_000, |at| {
                    for other in Light::ALL {
                        let lit = other == light && pattern.lit(at);
                        assert_eq!(
                            bench.high(Role::Light(other)) != low,
                            lit,
                            "{pattern:?} on {other:?} at {at}, low: {low}"
                        );
                    }
                });
                // No level was written that had not changed, but for one look each 5 s.
                let edges = (1..11_000).filter(|at| pattern.lit(*at) != pattern.lit(at - 1)).count();
                assert!(bench.with(Role::Light(light), |pin| pin.writes) as usize <= edges + 4, "{pattern:?}");
            }
        }
    }
}

#[test]
fn a_thousand_sales_are_a_thousand_pulses() {
    let (bench, mut panel) = panel(&[]);
    panel.drive(LIT, 0);
    panel.owe_pulses(1_000);
    let (mut edges, mut last) = (Vec::new(), false);
    drive(&mut panel, LIT, 1, 110_000, |at| {
        let high = bench.high(Role::ReceiptPulse);
        if high != last {
            edges.push(at);
            last = high;
        }
    });
    assert_eq!((edges.len(), last), (2_000, false));
    assert!(edges.windows(2).all(|two| two[1] - two[0] >= 50));
    assert!(edges[1_999] < 101_000, "and no slower than it must be: {}", edges[1_999]);
}

#[test]
fn without_a_pulse_line_nothing_is_owed() {
    let (bench, mut panel) = panel(&[]);
    panel.owe_pulses(5);
    bench.with(Role::ReceiptPulse, |pin| pin.cut = true);
    panel.drive(LIT, 0);
    panel.owe_pulses(5);
    bench.with(Role::ReceiptPulse, |pin| pin.cut = false);
    drive(&mut panel, LIT, 1, 20_000, |_| assert!(!bench.high(Role::ReceiptPulse)));

    panel.owe_pulses(5);
    bench.with(Role::ReceiptPulse, |pin| pin.cut = true);
    panel.drive(LIT, 20_001);
    bench.with(Role::ReceiptPulse, |pin| pin.cut = false);
    drive(&mut panel, LIT, 20_002, 40_000, |_| assert!(!bench.high(Role::ReceiptPulse), "they are no news"));
}

#[test]
fn a_contact_counts_once_it_is_steady() {
    let (bench, mut panel) = panel(&[Role::PaperEnd]);
    let level = |high| bench.with(Role::PaperEnd, |pin| pin.high = high);
    level(true);
    drive(&mut panel, LIT, 0, 1_000, |_| ());
    assert!(!panel.is_closed(Role::PaperEnd), "active-low: high is open");
    // It bounces for 3 s, never steady for 200 ms.
    for n in 0..30 {
        level(n % 2 == 1);
        panel.drive(LIT, 1_000 + n * 100);
        assert!(!panel.is_closed(Role::PaperEnd), "{n}");
    }
    level(false);
    drive(&mut panel, LIT, 4_000, 4_600, |_| ());
    assert!(panel.is_closed(Role::PaperEnd) && !panel.is_closed(Role::PaperLow));
    // Nobody can read it any more.
    bench.with(Role::PaperEnd, |pin| pin.cut = true);
    panel.drive(LIT, 5_000);
    assert!(!panel.is_closed(Role::PaperEnd));
}

#[test]
fn a_contact_that_chatters_or_hums_never_counts() {
    // On and off, in milliseconds: worn contacts, and the mains' hum on a line that nothing holds.
    for (on, off) in [(10, 10), (10, 30), (10, 90), (5, 5), (8, 12), (90, 10)] {
        let (bench, mut panel) = panel(&[]);
        let mut at = 0;
        while at < 20_000 {
            bench.with(Role::PaperEnd, |pin| pin.high = at % (on + off) < on);
            panel.drive(LIT, at);
            assert!(!panel.is_closed(Role::PaperEnd), "{on} ms on, {off} ms off, at {at}");
            at = panel.next_ms(LIT, at).map_or(at + 500, |next| next.clamp(at + 1, at + 500));
        }
    }
}

#[test]
fn a_lost_line_is_named_and_taken_again_and_stops_no_other() {
    let (bench, mut panel) = panel(&[]);
    for role in [Role::Light(Light::Hold), Role::PaperLow] {
        bench.with(role, |pin| pin.cut = true);
    }
    panel.drive(LIT, 0);
    assert!(
        bench.high(Role::Light(Light::Sync))
            && !bench.high(Role::Light(Light::Hold))
            && bench.high(Role::Light(Light::Fault))
    );
    assert_eq!(
        panel.lost().expect("two lines"),
        "board: no line for `hold` on GPIO-hold, `paper-low` on GPIO-paper-low: this machine has no GPIO chip; take \
         out [board] profile, or run on the board that it names"
    );
    for role in [Role::Light(Light::Hold), Role::PaperLow] {
        bench.with(role, |pin| pin.cut = false);
    }
    drive(&mut panel, LIT, 1, TRY_AGAIN_MS, |_| ());
    assert!(panel.lost().is_some(), "it is not asked for all the time");
    assert_eq!(bench.with(Role::Light(Light::Hold), |pin| pin.taken), 1);
    drive(&mut panel, LIT, TRY_AGAIN_MS, TRY_AGAIN_MS + 501, |_| ());
    assert_eq!(panel.lost(), None);
    assert!(bench.high(Role::Light(Light::Hold)));

    // A line that never changes is noticed, too, when it goes at run time, and is right when it returns.
    bench.with(Role::Light(Light::Sync), |pin| (pin.cut, pin.high) = (true, false));
    drive(&mut panel, LIT, 6_000, 11_000, |_| ());
    let lost = panel.lost().expect("sync");
    assert_eq!(lost, "board: no line for `sync` on GPIO-sync: no such device; look whether `gpioinfo` still lists it");
    bench.with(Role::Light(Light::Sync), |pin| pin.cut = false);
    drive(&mut panel, LIT, 11_000, 17_000, |_| ());
    assert!(panel.lost().is_none() && bench.high(Role::Light(Light::Sync)));
}

#[test]
fn the_lines_are_dark_at_the_end_and_after_a_panic() {
    let dark = |bench: &Bench, low: bool| {
        Role::ALL.iter().filter(|role| role.is_output()).all(|role| bench.high(*role) == low)
    };
    for low in [false, true] {
        let roles: &[Role] = if low { &Role::ALL } else { &[] };
        let (bench, mut ended) = panel(roles);
        ended.drive(LIT, 0);
        ended.owe_pulses(1);
        ended.drive(LIT, 1);
        assert!(Role::ALL.iter().filter(|role| role.is_output()).all(|role| bench.high(*role) != low));
        drop(ended);
        assert!(dark(&bench, low));

        let (bench, mut panicked) = panel(roles);
        let panic = catch_unwind(AssertUnwindSafe(move || {
            panicked.drive(LIT, 0);
            panic!("something is not as it should be");
        }));
        assert!(panic.is_err() && dark(&bench, low));

        // An event loop that ends without waiting for its tasks.
        let (bench, mut left) = panel(roles);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
        runtime.block_on(async {
            tokio::spawn(async move {
                left.drive(LIT, 0);
                std::future::pending::<()>().await;
            });
            tokio::task::yield_now().await;
        });
        assert!(!dark(&bench, low));
        runtime.shutdown_background();
        assert!(dark(&bench, low));
    }
}

#[test]
fn a_box_at_which_nothing_happens_has_nothing_to_do_but_wink() {
    let (_, mut panel) = panel(&[]);
    let idle = signals(Pattern::SteadyWink, Pattern::Off, Pattern::Off);
    panel.drive(idle, 0);
    let mut wakes = Vec::new();
    let mut at = 0;
    while at < 20_000 {
        at = panel.next_ms(idle, at).expect("a wink");
        wakes.push(at);
    }
    assert_eq!(wakes, [150, 5_000, 5_150, 10_000, 10_150, 15_000, 15_150, 20_000]);
    assert_eq!(panel.next_ms(LIT, 0), None);
}

#[test]
fn receipt_ready_follows_the_store() {
    let (bench, mut panel) = panel(&[]);
    let health = Health::default();
    let mut level = Level::default();
    level.limit_bytes = 1;
    panel.drive(Signals::of(&health.facts(), &level, Acknowledge::Broker, DateTime::UNIX_EPOCH), 0);
    assert!(bench.high(Role::ReceiptReady));
    panel.drive(Signals::of(&health.facts(), &Level::default(), Acknowledge::Broker, DateTime::UNIX_EPOCH), 1);
    assert!(!bench.high(Role::ReceiptReady));
}
