//! All of it together, as in `stage`, with brokers on command.

use std::{net::SocketAddr, path::Path, time::Duration};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    commanded::{Commanded, Rules},
    hq::{Access, Hq},
    record::Record,
    shop::Shop,
    tillbox::{Setup, Tillbox},
    wait::until,
};

/// By how much the waits of the line are shortened: a minute is two seconds, ten minutes are twenty.
pub const PACE: u32 = 30;

/// What the box must have noticed and told by then, at that pace.
pub const SOON: Duration = Duration::from_secs(45);

pub struct Scene {
    // In the order in which they end.
    pub hq: Hq,
    pub broker: Commanded,
    pub shop: Shop,
    pub setup: Setup,
    pub folder: TempDir,
}

impl Scene {
    pub fn new(acknowledge: &'static str, rules: Rules) -> Self {
        Self::with(acknowledge, Commanded::start(rules))
    }

    pub fn with(acknowledge: &'static str, broker: Commanded) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let (hq, shop) = (listen(&broker), Shop::open());
        let mut setup = Setup::new(folder.path(), &shop.base_url(), broker.address(), acknowledge);
        hurry(&mut setup);
        if acknowledge == "feed" {
            hq.feed();
        }
        Self { hq, broker, shop, setup, folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn start(&self) -> Tillbox {
        self.setup.start()
    }

    /// Waits until nothing is missing at HQ, in whatever order it came.
    pub fn wait_for_all(&self, daemon: &Tillbox) {
        wait_for_all(&self.hq, &self.shop, daemon);
    }
}

/// Shortens the waits of the line.
pub fn hurry(setup: &mut Setup) {
    setup.environment.push(("TILLBOX_TEST_PACE".to_owned(), PACE.to_string()));
}

/// Without shortened waits.
pub fn take_time(setup: &mut Setup) {
    setup.environment.retain(|(name, _)| name != "TILLBOX_TEST_PACE");
}

/// Adds a broker to the list.
pub fn add_broker(setup: &mut Setup, address: SocketAddr) {
    setup.broker.extend(["\", \"mqtt://", &address.to_string()]);
}

/// A headquarters at a broker on command.
pub fn listen(broker: &Commanded) -> Hq {
    Hq::listen(Access::open(broker.address()))
}

/// Waits until nothing is missing at HQ, in whatever order it came.
pub fn wait_for_all(hq: &Hq, shop: &Shop, daemon: &Tillbox) {
    let losses = |record: &Record| record.losses(&shop.books());
    until(
        SOON,
        || losses(&hq.record()).is_empty().then_some(()),
        || {
            let losses = losses(&hq.record());
            let first: Vec<_> = losses.iter().take(5).collect();
            format!("{} sales or numbers differ at HQ: {first:#?}\n{}", losses.len(), daemon.log())
        },
    );
}

/// Waits for a condition; the light is not green then.
pub fn wait_for_condition(daemon: &Tillbox, code: &str) -> Value {
    let report = daemon.wait_for_within(SOON, code, |report| super::tillbox::holds(report, code));
    assert!(!is_green(&report), "green beside {code}: {report:#}");
    report
}

/// Waits until a condition was told at all: one that passes soon need not be seen as it holds.
pub fn wait_until_told(daemon: &Tillbox, code: &str) {
    let told = || daemon.reported(code) || daemon.log().contains(&format!("code=\"{code}\""));
    until(SOON, || told().then_some(()), || format!("{code} is not told\n{}", daemon.log()));
}

/// Whether the box says that everything is where `acknowledge` promises it.
pub fn is_green(report: &Value) -> bool {
    report["lights"]["sync"].as_str().is_some_and(|sync| sync.starts_with("steady"))
}

/// Whether one light of the report is on in any way.
pub fn is_on(report: &Value, light: &str) -> bool {
    report["lights"][light].as_str().is_some_and(|pattern| pattern != "off")
}
