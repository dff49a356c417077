//! Stores that cannot be read: put aside or repaired, never deleted, and never a reason not to start.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    config::Acknowledge,
    outbox::{
        Finding, Opened, OutboxError,
        engine::open_sled,
        fixture::{Shop, now, overwrite, page, read_all, sales},
        layout,
    },
};

/// Pages of 100 records in a filled store.
const PAGES: u32 = 20;

fn filled() -> Shop {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    for page_number in 0..PAGES {
        outbox.capture(page(&outbox, sales(page_number * 100..(page_number + 1) * 100))).unwrap();
    }
    outbox.settle(Acknowledge::Feed).unwrap();
    drop(outbox);
    shop
}

fn snapshots(shop: &Shop) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(shop.store()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("snap.")).collect()
}

fn remove_snapshots(shop: &Shop) {
    for path in snapshots(shop) {
        fs::remove_file(path).unwrap();
    }
}

/// Opens a damaged store. Whatever sled makes of the damage, the outbox works after it, what is there is whole, and
/// anything that is missing has made it a new stream.
fn opens_and_works(shop: &Shop, damaged: &[u8]) -> Vec<Finding> {
    let Opened { outbox, findings } = shop.open().unwrap();
    let aside = findings.iter().find_map(|finding| match finding {
        Finding::PutAside { to, .. } => Some(to),
        Finding::Repaired { original } => Some(original),
        _ => None,
    });
    if let Some(aside) = aside {
        assert_eq!(fs::read(aside.join("db")).unwrap().len(), damaged.len(), "the damaged store is kept");
    }
    let level = outbox.level();
    assert_eq!(read_all(&outbox, 0).unwrap().len() as u64, level.durable);
    if level.durable != u64::from(PAGES) * 100 {
        assert!(findings.iter().any(|finding| matches!(finding, Finding::NewStream { .. })), "{findings:?}");
    }
    outbox.capture(page(&outbox, sales(9_000..9_010))).unwrap();
    assert_eq!(read_all(&outbox, 0).unwrap().len() as u64, level.durable + 10);
    findings
}

#[test]
fn garbage_is_put_aside() {
    let shop = filled();
    let garbage: Vec<u8> = (0..700_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    overwrite(&shop.db(), &garbage);
    let findings = opens_and_works(&shop, &garbage);
    assert!(findings.iter().any(|finding| matches!(finding, Finding::NewStream { .. })), "{findings:?}");
}

#[test]
fn a_truncated_store_is_a_new_stream() {
    for snapshot in [true, false] {
        let shop = filled();
        if !snapshot {
            remove_snapshots(&shop);
        }
        let bytes = fs::read(shop.db()).unwrap();
        let half = &bytes[..bytes.len() / 2];
        overwrite(&shop.db(), half);
        opens_and_works(&shop, half);
    }
}

#[test]
fn flipped_bytes_never_stop_the_box() {
    for snapshot in [true, false] {
        for eighth in 0..8 {
            let shop = filled();
            if !snapshot {
                remove_snapshots(&shop);
            }
            let mut bytes = fs::read(shop.db()).unwrap();
            let at = bytes.len() / 8 * eighth + 4_321;
            bytes[at] ^= 0x55;
            overwrite(&shop.db(), &bytes);
            let Opened { outbox, findings } = shop.open().unwrap();
            let renewed = findings.iter().any(|finding| matches!(finding, Finding::NewStream { .. }));
            assert!(
                renewed || outbox.level().durable == u64::from(PAGES) * 100,
                "a lost tail went unseen: {findings:?}"
            );
            // The damage may show only when it is read: then the store is closed, looked through and put aside.
            if let Err(error) = read_all(&outbox, 0) {
                assert!(matches!(error, OutboxError::Damaged(_)), "{error}");
                let findings = outbox.tend(Acknowledge::Feed, false, now()).unwrap();
                assert!(findings.iter().any(|finding| matches!(finding, Finding::NewStream { .. })), "{findings:?}");
                assert_eq!(read_all(&outbox, 0).unwrap().len() as u64, outbox.level().durable);
            }
            outbox.capture(page(&outbox, sales(9_000..9_010))).unwrap();
        }
    }
}

#[test]
fn a_damaged_snapshot_is_left_out() {
    let shop = filled();
    shop.open_sound();
    let snapshot = snapshots(&shop).pop().expect("sled wrote a snapshot when it was opened again");
    overwrite(&snapshot, b"not a snapshot at all");
    let bytes = fs::read(shop.db()).unwrap();
    let findings = opens_and_works(&shop, &bytes);
    assert!(matches!(findings[..], [Finding::Repaired { .. }, Finding::NewStream { .. }]), "{findings:?}");
}

#[test]
fn a_snapshot_that_was_cut_off_is_removed() {
    let shop = filled();
    fs::write(shop.store().join("snap.000000000000ABCD.generating"), b"half").unwrap();
    shop.open_sound();
}

#[test]
fn a_missing_chunk_is_found_when_it_is_read_and_the_store_is_put_aside() {
    let shop = filled();
    let db = open_sled(&shop.store()).unwrap();
    let second = db.range(layout::chunk_key(101, 0)..).next().unwrap().unwrap().0;
    db.remove(second).unwrap();
    drop(db);
    let outbox = shop.open_sound();
    assert!(matches!(read_all(&outbox, 0), Err(OutboxError::Damaged(_))));
    assert!(outbox.level().closed.is_some());
    assert!(matches!(outbox.capture(page(&outbox, sales(0..1))), Err(OutboxError::Closed(_))));
    let findings = outbox.tend(Acknowledge::Feed, false, now()).unwrap();
    assert!(matches!(findings[..], [Finding::PutAside { .. }, Finding::NewStream { .. }]), "{findings:?}");
    let level = outbox.level();
    assert_eq!((level.closed, level.durable, level.epoch), (None, 0, 2));
    assert_eq!(outbox.capture(page(&outbox, sales(0..3))).unwrap().new, 3);
}

#[test]
fn events_without_a_stream_are_put_aside() {
    let shop = filled();
    let db = open_sled(&shop.store()).unwrap();
    db.insert(layout::META, b"{}").unwrap();
    drop(db);
    let findings = shop.open().unwrap().findings;
    assert!(matches!(findings[..], [Finding::PutAside { .. }, Finding::NewStream { .. }]), "{findings:?}");
    // A second time in the same second: both stay.
    let db = open_sled(&shop.store()).unwrap();
    db.insert(layout::META, b"{}").unwrap();
    drop(db);
    shop.open().unwrap();
    let aside = fs::read_dir(&shop.folder).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(aside.filter(|name| name.to_string_lossy().starts_with("store.unreadable-")).count(), 2);
}

#[test]
fn a_repair_that_was_cut_off_between_its_renames_is_finished() {
    let shop = filled();
    // So it stands there when the power goes once the damaged store is away and before its copy has taken its place.
    fs::rename(shop.store(), shop.folder.join("store.copy")).unwrap();
    let aside = shop.folder.join("store.unreadable-20260314T120000Z");
    fs::create_dir(&aside).unwrap();
    assert_eq!(shop.open_sound().level().durable, u64::from(PAGES) * 100);
    assert!(!shop.folder.join("store.copy").exists());
    assert!(aside.exists());
}

#[test]
fn a_copy_that_was_cut_off_is_not_taken_for_the_store() {
    let shop = filled();
    fs::create_dir(shop.folder.join("store.copy")).unwrap();
    fs::write(shop.folder.join("store.copy/db"), "half").unwrap();
    assert_eq!(shop.open_sound().level().durable, u64::from(PAGES) * 100);
    // Not even when what it was a copy of is put aside.
    let db = open_sled(&shop.store()).unwrap();
    db.insert(layout::META, b"{}").unwrap();
    drop(db);
    let findings = shop.open().unwrap().findings;
    assert!(matches!(findings[..], [Finding::PutAside { .. }, Finding::NewStream { .. }]), "{findings:?}");
    assert!(!shop.folder.join("store.copy").exists());
}

#[test]
fn many_unreadable_stores_are_counted_and_kept() {
    let shop = filled();
    for number in 1..=4 {
        let db = open_sled(&shop.store()).unwrap();
        db.insert(layout::META, b"{}").unwrap();
        drop(db);
        let findings = shop.open().unwrap().findings;
        let Some(Finding::PutAside { cause, .. }) = findings.first() else { panic!("{findings:?}") };
        assert_eq!(cause.contains("; 4 stores that could not be read are kept in "), number == 4, "{cause}");
    }
}

/// Counts what would stand in the journal.
struct Journal(Arc<AtomicUsize>);

impl tracing::Subscriber for Journal {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn a_store_that_flaps_does_not_fill_the_journal() {
    let shop = filled();
    let outbox = shop.open_sound();
    let told = Arc::new(AtomicUsize::new(0));
    tracing::subscriber::with_default(Journal(Arc::clone(&told)), || {
        tracing::error!("the journal is read");
        for _ in 0..3 {
            let error = outbox.reading(|_| Err::<(), _>(OutboxError::Engine("the card went away".to_owned())));
            assert!(matches!(error, Err(OutboxError::Engine(_))));
            assert!(outbox.level().closed.is_some());
            assert_eq!(outbox.tend(Acknowledge::Feed, false, now()).unwrap(), []);
        }
    });
    assert_eq!(told.load(Ordering::Relaxed), 1);
}

/// The model found it: sled's own threads may hold the file a moment longer than the handle that was dropped.
#[test]
fn a_store_whose_file_is_still_held_is_neither_damaged_nor_put_aside() {
    let shop = filled();
    let held = open_sled(&shop.store()).unwrap();
    let error = shop.open().map(|_| ()).unwrap_err();
    assert!(matches!(error, OutboxError::Folder { .. }), "{error}");
    drop(held);
    assert_eq!(shop.open_sound().level().durable, u64::from(PAGES) * 100);
}
