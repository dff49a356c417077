//! All of it together: folder, broker, shop, headquarters, and a box that can be started.

use std::path::Path;

use tempfile::TempDir;

use super::{
    broker::{KEEPING, Mosquitto},
    hq::{Access, Hq},
    shop::{Shop, TOKEN},
    tillbox::{Setup, Tillbox},
};

pub struct Stage {
    // In the order in which they end.
    pub hq: Hq,
    pub broker: Mosquitto,
    pub shop: Shop,
    pub setup: Setup,
    pub folder: TempDir,
}

impl Stage {
    pub fn new(acknowledge: &'static str) -> Self {
        Self::with(acknowledge, KEEPING, Shop::open())
    }

    /// With other settings of the broker, or another shop.
    pub fn with(acknowledge: &'static str, broker: &str, shop: Shop) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let broker = Mosquitto::start(folder.path(), broker);
        let hq = Hq::listen(Access::open(broker.address()));
        let setup = Setup::new(folder.path(), &shop.base_url(), broker.address(), acknowledge);
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

    /// Waits until HQ's states are the shop's books.
    pub fn wait_for_books(&self, daemon: &Tillbox) {
        self.hq.wait_for_books(&self.shop, || daemon.log());
    }

    /// No secret stands in anything that a box said or sent.
    pub fn assert_no_secret(&self, said: &str) {
        self.assert_nowhere(TOKEN, said);
    }

    pub fn assert_nowhere(&self, secret: &str, said: &str) {
        assert!(!said.contains(secret), "a secret was written:\n{said}");
        let record = self.hq.record();
        let sent =
            record.messages.iter().find(|message| message.body.contains(secret) || message.topic.contains(secret));
        assert!(sent.is_none(), "a secret was sent: {sent:?}");
    }
}
