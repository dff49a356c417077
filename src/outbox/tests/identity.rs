//! Whose store it is, and what becomes of it when the box belongs to another outlet.

use std::{collections::BTreeMap, fs, path::Path};

use crate::{
    config::Acknowledge,
    outbox::{
        Account, Begin, Finding, Look, Opened, Options, Outbox, OutboxError, Owner,
        engine::{open_sled, wait_until_closed},
        fixture::{SHOP, Shop, now, page, read_all, sales},
        held_in, layout,
        leaving::{forget_delivered, note_of, rename_sent, set_aside, set_aside_in},
    },
};

fn owner(shop: &Shop) -> Owner {
    Owner { outlet: shop.options.outlet.clone(), topic_prefix: shop.options.topic_prefix.clone() }
}

/// The same store under another outlet, and below another prefix.
fn others(shop: &Shop) -> [Options; 2] {
    [
        Options { outlet: "jkt-015".to_owned(), ..shop.options.clone() },
        Options { topic_prefix: "acme/tillbox".to_owned(), ..shop.options.clone() },
    ]
}

/// A store with ten events, the first five of them delivered.
fn filled(shop: &Shop) -> Outbox {
    let outbox = shop.open_sound();
    outbox.take_generation(1, true, BTreeMap::new()).unwrap();
    outbox.capture(page(&outbox, sales(0..10))).unwrap();
    deliver(&outbox, 5);
    outbox
}

fn deliver(outbox: &Outbox, through: u64) {
    outbox.acknowledge(outbox.level().epoch, through);
    outbox.settle(Acknowledge::Broker).unwrap();
}

fn close(outbox: Outbox, shop: &Shop) {
    drop(outbox);
    wait_until_closed(&shop.store());
}

#[test]
fn a_store_opens_under_its_own_outlet_and_prefix_alone() {
    let shop = Shop::new();
    close(filled(&shop), &shop);
    for options in others(&shop) {
        let error = Outbox::open(options.clone(), now()).unwrap_err();
        let OutboxError::OtherOutlet { holds, waiting, .. } = &error else { panic!("{error}") };
        assert_eq!((&**holds, *waiting), (&owner(&shop), 5));
        let text = error.to_string();
        assert!(text.contains("5 events wait") && text.contains("`tillbox outbox move`"), "{text}");
        // A look shows it under the name that it has.
        let look = Look::into(options).unwrap();
        assert_eq!(look.outbox().outlet(), shop.options.outlet);
        assert_eq!(look.outbox().stream().unwrap().outlet, shop.options.outlet);
        drop(look);
        wait_until_closed(&shop.store());
    }
    let outbox = shop.open_sound();
    assert_eq!(read_all(&outbox, 5).unwrap().len(), 5);
}

#[test]
fn a_store_of_an_earlier_version_takes_the_names_that_it_meets_first() {
    let shop = Shop::new();
    close(filled(&shop), &shop);
    let db = open_sled(&shop.store()).unwrap();
    db.remove([layout::OWNER]).unwrap().unwrap();
    db.flush().unwrap();
    drop(db);
    wait_until_closed(&shop.store());
    assert_eq!(held_in(&shop.folder).unwrap().unwrap().owner, None);
    let nobody = forget_delivered(&shop.folder, &owner(&shop)).unwrap_err();
    assert!(matches!(nobody, OutboxError::NoOwner { .. }), "{nobody}");

    close(shop.open_sound(), &shop);
    assert_eq!(held_in(&shop.folder).unwrap().unwrap().owner, Some(owner(&shop)));
    let [other, _] = others(&shop);
    assert!(matches!(Outbox::open(other, now()), Err(OutboxError::OtherOutlet { .. })));
}

#[test]
fn what_was_not_delivered_is_never_forgotten_and_of_what_was_nothing_stays() {
    let shop = Shop::new();
    let outbox = filled(&shop);
    outbox.add_nonce("a nonce").unwrap();
    outbox.note_account(SHOP, &Account::default().with(&["outlet:1".to_owned()])).unwrap();
    let old = outbox.stream().unwrap().id;
    let busy = forget_delivered(&shop.folder, &owner(&shop)).unwrap_err();
    assert!(matches!(busy, OutboxError::InUse { .. }), "{busy}");
    close(outbox, &shop);
    let left = forget_delivered(&shop.folder, &owner(&shop)).unwrap_err();
    assert!(matches!(left, OutboxError::NotDelivered { waiting: 5, .. }), "{left}");
    let another = Owner { outlet: "jkt-015".to_owned(), ..owner(&shop) };
    assert!(matches!(forget_delivered(&shop.folder, &another), Err(OutboxError::OtherOutlet { .. })));

    let outbox = shop.open_sound();
    assert_eq!(outbox.level().durable, 10);
    deliver(&outbox, 10);
    close(outbox, &shop);
    forget_delivered(&shop.folder, &owner(&shop)).unwrap();
    assert_eq!(held_in(&shop.folder).unwrap(), None);

    let [other, _] = others(&shop);
    let Opened { outbox, findings } = Outbox::open(other, now()).unwrap();
    // It is no store that lost its tail, but a new one.
    assert_eq!(findings, [Finding::Fresh]);
    let level = outbox.level();
    assert_ne!(level.stream_id, Some(old));
    assert_eq!((level.durable, level.kept_bytes, level.first_kept, level.stream.clone()), (0, 0, 1, None));
    assert_eq!((outbox.cursor(SHOP).unwrap(), outbox.account(SHOP).unwrap()), (None, None));
    assert!(!outbox.knows_nonce("a nonce"));
    let captured = outbox.capture(page(&outbox, sales(0..10))).unwrap();
    assert_eq!(captured.new, 10, "what the old shop sold is not known here");
    assert_eq!(names(&shop.folder), ["lock", "marker.json", "reserve", "store"]);
}

#[test]
fn a_store_that_is_set_aside_stays_whole_until_it_is_sent() {
    let shop = Shop::new();
    let outbox = filled(&shop);
    let (stream, before) = (outbox.stream().unwrap(), read_all(&outbox, 5).unwrap());
    close(outbox, &shop);
    let aside = set_aside(&shop.folder, &owner(&shop), now()).unwrap();
    assert_eq!((aside.waiting, &aside.owner), (5, &owner(&shop)));
    assert_eq!(set_aside_in(&shop.folder), std::slice::from_ref(&aside));
    assert!(aside.remedy().contains("`tillbox outbox send"), "{}", aside.remedy());
    assert_eq!(held_in(&shop.folder).unwrap(), None);

    // The new outlet's store begins beside it, and another one of the same second has a place of its own.
    let [other, _] = others(&shop);
    let Opened { outbox, findings } = Outbox::open(other, now()).unwrap();
    assert_eq!(findings, [Finding::Fresh]);
    close(outbox, &shop);
    let second = set_aside(&shop.folder, &Owner { outlet: "jkt-015".to_owned(), ..owner(&shop) }, now()).unwrap();
    assert_ne!(second.folder, aside.folder);

    let options = Options { folder: aside.folder.clone(), ..shop.options.clone() };
    let Opened { outbox, findings } = Outbox::open(options, now()).unwrap();
    assert_eq!(findings, [], "it lost no tail on the way");
    assert_eq!(outbox.stream().unwrap(), stream);
    assert_eq!(read_all(&outbox, 5).unwrap(), before);
    drop(outbox);
    wait_until_closed(&aside.folder.join("store"));
    assert!(matches!(rename_sent(&aside.folder), Err(OutboxError::NotDelivered { waiting: 5, .. })));

    let options = Options { folder: aside.folder.clone(), ..shop.options.clone() };
    let outbox = Outbox::open(options, now()).unwrap().outbox;
    deliver(&outbox, 10);
    drop(outbox);
    wait_until_closed(&aside.folder.join("store"));
    let sent = rename_sent(&aside.folder).unwrap();
    assert!(sent.join("store").join("db").exists() && !aside.folder.exists());
    assert_eq!(set_aside_in(&shop.folder), [second]);
    assert_eq!(note_of(&shop.folder), None);
}

#[test]
fn a_move_that_was_cut_off_leaves_the_old_store_or_none() {
    let shop = Shop::new();
    close(filled(&shop), &shop);
    // The folder was made, and then the power was cut.
    fs::create_dir(shop.folder.join("store.set-aside-jkt-014-20260101T000000Z")).unwrap();
    assert_eq!(set_aside_in(&shop.folder), []);
    close(shop.open_sound(), &shop);
    // The store was moved away, and its marker was not.
    let outbox = shop.open_sound();
    deliver(&outbox, 10);
    close(outbox, &shop);
    fs::rename(shop.store(), shop.folder.join("store.delivered")).unwrap();
    let [other, _] = others(&shop);
    let Opened { outbox, .. } = Outbox::open(other.clone(), now()).unwrap();
    assert_eq!(outbox.level().durable, 0);
    close(outbox, &shop);
    // What was left of it is removed by the next move.
    forget_delivered(&shop.folder, &Owner { outlet: other.outlet, ..owner(&shop) }).unwrap();
    assert!(!shop.folder.join("store.delivered").exists());
}

#[test]
fn an_account_is_remembered_through_restarts_and_new_streams() {
    let shop = Shop::new();
    let outbox = filled(&shop);
    assert_eq!(outbox.account(SHOP).unwrap(), None);
    let account = Account::default().with(&["outlet:1".to_owned(), "outlet:2".to_owned()]);
    outbox.note_account(SHOP, &account).unwrap();
    outbox.begin_stream(Begin::default()).unwrap();
    assert_eq!(outbox.account(SHOP).unwrap(), Some(account.clone()));
    close(outbox, &shop);
    let outbox = shop.open_sound();
    assert_eq!(outbox.account(SHOP).unwrap(), Some(account));
    assert!(outbox.forget_account(SHOP).unwrap());
    assert_eq!(outbox.account(SHOP).unwrap(), None);
    assert!(!outbox.forget_account(SHOP).unwrap());
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
