//! What the outbox's tests share: records, a store in a folder of its own, and power cuts.

use std::{
    collections::BTreeMap,
    fmt::Display,
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Capture, Finding, Opened, Options, Outbox, OutboxError, power::witness};
use crate::{
    amount::Amount,
    content::ContentId,
    event::{Draft, Event},
    gap::{Gap, GapReason},
    notice::Notice,
    pos::{
        body::JsonType,
        page::{Quarantined, Reason},
    },
    transaction::{Resource, Transaction},
};

pub const SHOP: &str = "front";

pub fn now() -> DateTime<Utc> {
    "2026-03-14T12:00:00Z".parse().unwrap()
}

pub fn options(folder: &Path) -> Options {
    Options {
        folder: folder.to_owned(),
        max_bytes: 64 * 1024 * 1024,
        outlet: "jkt-014".to_owned(),
        topic_prefix: "tillbox".to_owned(),
        event_max_bytes: 128 * 1024,
        retention: TimeDelta::days(30),
        connections: vec![(SHOP.to_owned(), "qasir https://pos.example".to_owned())],
        retired: Vec::new(),
    }
}

/// A sale of some hours ago with a total that tells its version.
pub fn sale(id: impl Display, version: u32, hours_ago: i64) -> Transaction {
    static RECORD: LazyLock<Transaction> = LazyLock::new(|| {
        let records: Vec<serde_json::Value> =
            serde_json::from_str(include_str!("../../tests/fixtures/content-ids.json")).unwrap();
        serde_json::from_str(&records[0]["record"].to_string()).unwrap()
    });
    let mut sale = RECORD.clone();
    sale.external_id = id.to_string();
    sale.amount = Amount::parse(&(15_000 + version).to_string()).unwrap();
    sale.amounts.grand_total = sale.amount;
    sale.timestamp = (now() - TimeDelta::hours(hours_ago)).into();
    sale.business_date = sale.timestamp.date_naive();
    sale
}

pub fn sales(ids: std::ops::Range<u32>) -> Vec<Transaction> {
    ids.map(|id| sale(id, 0, 1)).collect()
}

/// A record that cannot be read; every second one at least says its id.
pub fn unreadable(number: u32) -> Quarantined {
    Quarantined {
        resource: Resource::Transaction,
        pointer: format!("/transactions/{number}"),
        field: Some("total".into()),
        reason: Reason::AmountInvalid,
        expected: "a number".into(),
        found: JsonType::Null,
        size_bytes: 12,
        hash: ContentId::of_bytes(&number.to_be_bytes()),
        external_id: (number % 2 == 1).then(|| number.to_string()),
        business_date: Some(now().date_naive()),
        window: None,
    }
}

pub fn gap(number: u32) -> Gap {
    let from = now() - TimeDelta::hours(i64::from(number) + 1);
    Gap { from, to: from + TimeDelta::minutes(5), reason: GapReason::Truncated }
}

pub fn notice(text: &str) -> Draft {
    Notice::new("test", text).draft(None, now())
}

pub fn page(outbox: &Outbox, transactions: Vec<Transaction>) -> Capture {
    Capture { connection: SHOP.to_owned(), epoch: outbox.level().epoch, now: now(), transactions, ..Capture::default() }
}

/// All durable events of the stream after a number that can still be read.
pub fn read_all(outbox: &Outbox, after: u64) -> Result<Vec<Event>, OutboxError> {
    let level = outbox.level();
    let mut events = Vec::new();
    let mut next = after;
    // Where all was released and nothing is kept there is nothing to read.
    while next < level.durable && level.first_kept <= level.durable {
        let more = outbox.read(level.epoch, next, 7)?;
        next = more.last().map(|event| event.sequence).expect("a durable event is read");
        events.extend(more);
    }
    Ok(events)
}

/// A store that can lose its process or its power.
pub struct Shop {
    _temporary: tempfile::TempDir,
    pub folder: PathBuf,
    pub options: Options,
}

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is killed: the files are as the system has them.
    Killed,
    /// The power is cut: of sled's file there is what was synced.
    Power,
    /// The power is cut during the last sync: some sectors of it are on the device, others are not.
    Torn(u64),
}

impl End {
    /// The same end outside of any sync.
    pub fn whole(self) -> Self {
        if matches!(self, Self::Torn(_)) { Self::Power } else { self }
    }
}

impl Shop {
    pub fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let folder = fs::canonicalize(temporary.path()).unwrap().join("outbox");
        Self { _temporary: temporary, options: options(&folder), folder }
    }

    pub fn open(&self) -> Result<Opened, OutboxError> {
        let opened = Outbox::open(self.options.clone(), now())?;
        witness::follow(&self.db());
        Ok(opened)
    }

    /// Opens a store in which nothing must be found.
    pub fn open_sound(&self) -> Outbox {
        let Opened { outbox, findings } = self.open().unwrap();
        assert!(findings.iter().all(|finding| *finding == Finding::Fresh), "{findings:?}");
        outbox
    }

    pub fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    pub fn db(&self) -> PathBuf {
        self.store().join("db")
    }

    pub fn syncs(&self) -> u64 {
        witness::of(&self.db()).syncs
    }

    /// Ends the process that has the store open. The files are put back in place, so that each keeps its inode.
    pub fn end(&self, outbox: Outbox, end: End) {
        let seen = witness::of(&self.db());
        let others = small_files(&self.store());
        let marker = fs::read(self.folder.join("marker.json")).unwrap();
        let image = match end {
            End::Killed => fs::read(self.db()).unwrap(),
            End::Power => seen.durable,
            End::Torn(chance) => torn(&seen.in_flight.0, &seen.in_flight.1, chance),
        };
        witness::forget(&self.db());
        // Dropping writes more; all of that is taken back.
        drop(outbox);
        for path in small_files(&self.store()).into_keys() {
            fs::remove_file(path).unwrap();
        }
        for (path, bytes) in others {
            fs::write(path, bytes).unwrap();
        }
        overwrite(&self.db(), &image);
        overwrite(&self.folder.join("marker.json"), &marker);
    }
}

/// sled's files beside its log.
fn small_files(store: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(store).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.is_file() && !path.ends_with("db"));
    files.filter_map(|path| Some((path.clone(), fs::read(&path).ok()?))).collect()
}

pub fn overwrite(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).truncate(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

/// A file of which only some of the last write's sectors were written.
fn torn(before: &[u8], after: &[u8], chance: u64) -> Vec<u8> {
    const SECTOR: usize = 512;
    let mut chance = chance | 1;
    let mut coin = move || {
        // xorshift: enough to toss a coin per sector, and the same for the same seed.
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        chance & 1 == 0
    };
    let mut image = before.to_vec();
    if coin() {
        image.resize(after.len(), 0);
    }
    for (sector, new) in image.chunks_mut(SECTOR).zip(after.chunks(SECTOR)) {
        if sector.len() == new.len() && sector != new && coin() {
            sector.copy_from_slice(new);
        }
    }
    image
}
