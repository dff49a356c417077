//! Who may open a store, and what makes it a new stream.

use std::fs;

use crate::outbox::{
    Begin, Finding, Opened, Outbox, OutboxError,
    engine::{open_sled, wait_until_closed},
    fixture::{SHOP, Shop, now, options, page, read_all, sale, sales},
    layout::META,
};

/// A store with some events, of which the first half was acknowledged; gives its stream.
fn filled(shop: &Shop) -> String {
    let outbox = shop.open_sound();
    outbox.take_generation(1, true, std::collections::BTreeMap::new()).unwrap();
    outbox.capture(page(&outbox, sales(0..10))).unwrap();
    outbox.acknowledge(outbox.level().epoch, 5);
    outbox.settle(crate::config::Acknowledge::Feed).unwrap();
    outbox.stream().unwrap().id.to_string()
}

/// Opens a store that must have become a new stream.
fn renewed(shop: &Shop, old: &str) -> (Outbox, &'static str) {
    let Opened { outbox, findings } = shop.open().unwrap();
    let Some(&Finding::NewStream { why }) = findings.last() else { panic!("{findings:?}") };
    assert_eq!(outbox.stream(), None, "HQ's checkpoint gives the generation");
    outbox.take_generation(2, true, std::collections::BTreeMap::new()).unwrap();
    assert_ne!(outbox.stream().unwrap().id.to_string(), old);
    assert_eq!(outbox.cursor(SHOP).unwrap(), None, "the source is read again");
    (outbox, why)
}

#[test]
fn a_store_in_use_names_its_user() {
    let shop = Shop::new();
    let _first = shop.open_sound();
    let Err(OutboxError::InUse { pid, .. }) = shop.open() else { panic!("it opened twice") };
    assert_eq!(pid, Some(std::process::id()));
}

#[test]
fn a_later_layout_is_refused_and_left_alone() {
    let shop = Shop::new();
    filled(&shop);
    let db = open_sled(&shop.store()).unwrap();
    db.insert(META, &br#"{"version": 3, "something": "else"}"#[..]).unwrap();
    db.flush().unwrap();
    drop(db);
    let Err(error) = shop.open() else { panic!("it opened") };
    assert!(matches!(error, OutboxError::NewerVersion { found: 3, known: 2 }), "{error}");
    let db = open_sled(&shop.store()).unwrap();
    assert_eq!(&db.get(META).unwrap().unwrap()[..], br#"{"version": 3, "something": "else"}"#);
}

#[test]
fn a_later_layout_with_other_chunks_is_no_damage() {
    for snapshot_is_damaged in [false, true] {
        let shop = Shop::new();
        filled(&shop);
        let db = open_sled(&shop.store()).unwrap();
        db.insert(META, &br#"{"version": 3}"#[..]).unwrap();
        db.insert(&b"q"[..], &b"another kind of key"[..]).unwrap();
        db.insert(&b"q\xff another kind of chunk"[..], &b""[..]).unwrap();
        db.flush().unwrap();
        drop(db);
        drop(open_sled(&shop.store()).unwrap());
        wait_until_closed(&shop.store());
        if snapshot_is_damaged {
            let mut files = fs::read_dir(shop.store()).unwrap().map(|entry| entry.unwrap().path());
            let snapshot = files.find(|path| path.file_name().unwrap().to_string_lossy().starts_with("snap."));
            fs::write(snapshot.expect("sled wrote one when it was opened again"), "not a snapshot").unwrap();
        }
        let Err(error) = shop.open() else { panic!("it opened") };
        assert!(matches!(error, OutboxError::NewerVersion { found: 3, known: 2 }), "{error}");
        let stores = fs::read_dir(&shop.folder).unwrap().map(|entry| entry.unwrap().file_name());
        let stores: Vec<_> = stores.filter(|name| name.to_string_lossy().starts_with("store")).collect();
        assert_eq!(stores, ["store"], "nothing was moved");
    }
}

#[test]
fn a_renamed_connection_is_refused_until_the_old_is_retired() {
    let mut shop = Shop::new();
    filled(&shop);
    let source = shop.options.connections[0].1.clone();
    shop.options.connections = vec![("counter".to_owned(), source)];
    let error = shop.open().map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("connection `counter` is new and `front`, which reads the same"), "{error}");
    assert!(error.to_string().contains("add `front` to retired-connections"), "{error}");
    shop.options.retired = vec![SHOP.to_owned()];
    shop.open_sound();
    shop.open_sound();
}

#[test]
fn another_source_may_join() {
    let mut shop = Shop::new();
    filled(&shop);
    shop.options.connections.push(("bar".to_owned(), "qasir https://other.example".to_owned()));
    shop.open_sound();
}

#[test]
fn a_store_behind_its_marker_is_a_new_stream() {
    let shop = Shop::new();
    let old = filled(&shop);
    let path = shop.folder.join("marker.json");
    let mut marker: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    marker["sequence"] = 11.into();
    fs::write(&path, marker.to_string()).unwrap();
    let (outbox, why) = renewed(&shop, &old);
    assert_eq!(why, "it ends before numbers that were handed out");
    // What was not released goes on in the new stream, from 1.
    let events = read_all(&outbox, 0).unwrap();
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    drop(outbox);
    shop.open_sound();
}

#[test]
fn a_store_without_its_marker_is_a_new_stream() {
    let shop = Shop::new();
    let old = filled(&shop);
    fs::remove_file(shop.folder.join("marker.json")).unwrap();
    assert_eq!(renewed(&shop, &old).1, "the marker beside it is gone");
}

#[test]
fn an_emptied_store_is_a_new_stream() {
    let shop = Shop::new();
    let old = filled(&shop);
    fs::remove_dir_all(shop.store()).unwrap();
    let (outbox, why) = renewed(&shop, &old);
    assert_eq!(why, "the store is empty, and was not");
    assert_eq!(outbox.level().durable, 0);
}

#[test]
fn a_copied_store_is_a_new_stream() {
    let shop = Shop::new();
    let old = filled(&shop);
    let mut copy = Shop::new();
    let copied = std::process::Command::new("cp").arg("-r").arg(&shop.folder).arg(&copy.folder).status().unwrap();
    assert!(copied.success());
    copy.options = options(&copy.folder);
    assert_eq!(renewed(&copy, &old).1, "it was copied from another place or machine");
    shop.open_sound();
}

#[test]
fn a_new_stream_keeps_what_was_not_released_and_counts_from_one() {
    let shop = Shop::new();
    let outbox = shop.open_sound();
    outbox.take_generation(1, true, std::collections::BTreeMap::new()).unwrap();
    outbox.capture(page(&outbox, sales(0..10))).unwrap();
    let epoch = outbox.level().epoch;
    outbox.acknowledge(epoch, 7);
    outbox.tend(crate::config::Acknowledge::Broker, true, now()).unwrap();
    let waiting = read_all(&outbox, 7).unwrap();
    outbox.begin_stream(Begin { generation: Some(2), proven: true, ..Begin::default() }).unwrap();
    let level = outbox.level();
    assert_eq!((level.durable, level.acknowledged, level.released), (3, 0, 0));
    outbox.acknowledge(epoch, 3);
    assert_eq!(outbox.level().acknowledged, 0, "an acknowledgement of the old stream says nothing of the new");
    let renumbered = read_all(&outbox, 0).unwrap();
    assert_eq!(renumbered.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(renumbered.iter().map(|event| &event.draft).eq(waiting.iter().map(|event| &event.draft)));
    // What was seen is forgotten: the source is read again.
    assert_eq!(outbox.capture(page(&outbox, vec![sale(0, 0, 1)])).unwrap().new, 1);
    drop(outbox);
    let outbox = shop.open_sound();
    assert_eq!(outbox.stream().unwrap().generation, 2);
    assert_eq!(outbox.level().durable, 4);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let shop = Shop::new();
    let file = shop.folder.with_file_name("file");
    fs::write(&file, "a file").unwrap();
    let error = Outbox::open(options(&file.join("outbox")), now()).map(|_| ()).unwrap_err();
    assert!(matches!(&error, OutboxError::Folder { .. }), "{error}");
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "a file");
}
