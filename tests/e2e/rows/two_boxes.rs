//! Two boxes for one outlet: a card that was cloned, and an old box beside a new one.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    checkpoint::copy,
    parts::{
        commanded::Rules,
        scene::{SOON, Scene, is_green, take_time},
        tillbox::{Setup, Tillbox, delivered, holds, level},
        wait::until,
    },
};

/// A copy that the store cannot tell from itself, as `dd` makes one: every file, and sled's at the same inode.
fn clone_card(from: &Path, to: &Path) {
    copy(from, to);
    let marker = to.join("marker.json");
    let mut told: Value = serde_json::from_slice(&fs::read(&marker).expect("a marker")).expect("JSON");
    let inode = fs::metadata(to.join("store").join("db")).expect("sled's file").ino();
    told["inode"] = inode.into();
    fs::write(marker, told.to_string()).expect("a marker");
}

fn another(setup: &Setup, folder: &Path) -> Setup {
    Setup { config: folder.join("second.toml"), store: folder.join("second"), ..setup.clone() }
}

fn either(daemons: [&Tillbox; 2], code: &str) {
    until(
        SOON,
        || daemons.iter().any(|daemon| daemon.reported(code)).then_some(()),
        || format!("nobody tells {code}:\n{}\n---\n{}", daemons[0].log(), daemons[1].log()),
    );
}

/// The two do not throw each other out for ever.
fn is_calm(scene: &Scene) {
    const WATCHED: Duration = Duration::from_secs(20);
    let begun = Instant::now();
    until(2 * WATCHED, || (begun.elapsed() > WATCHED).then_some(()), String::new);
    let sessions = scene.broker.seen(|seen| seen.sessions_within(WATCHED));
    assert!(sessions <= 8, "{sessions} sessions within {WATCHED:?}");
}

#[test]
fn row_09_a_cloned_card_becomes_a_stream_of_its_own() {
    let mut scene = Scene::new("broker", Rules::default());
    take_time(&mut scene.setup);
    scene.shop.sell(20);
    let mut daemon = scene.start();
    scene.wait_for_all(&daemon);
    daemon.stop();
    let second = another(&scene.setup, scene.path());
    clone_card(&scene.setup.store, &second.store);
    scene.shop.sell(10);
    let (first, second) = (scene.start(), second.start());
    either([&first, &second], "outlet_conflict");
    scene.shop.sell(10);
    let log = || format!("{}\n---\n{}", first.log(), second.log());
    until(
        SOON,
        || scene.hq.record().losses(&scene.shop.books()).is_empty().then_some(()),
        || format!("{:#?}\n{}", scene.hq.record().losses(&scene.shop.books()), log()),
    );
    // No number carries two contents.
    let wrongs: Vec<_> = scene.hq.record().wrongs.iter().filter(|it| it.contains("two bodies")).cloned().collect();
    assert!(wrongs.is_empty(), "{wrongs:#?}");
    is_calm(&scene);
    assert!(scene.hq.record().streams.len() <= 3, "{}", log());
}

/// The old box was thought dead, and comes back beside its successor.
fn old_and_new() -> (Scene, Tillbox, Setup) {
    let mut scene = Scene::new("broker", Rules::default());
    scene.shop.sell(20);
    let mut daemon = scene.start();
    scene.wait_for_all(&daemon);
    daemon.stop();
    let new = another(&scene.setup, scene.path());
    let mut newer = new.start();
    newer.wait_for_within(SOON, "the new one is in", |report| is_green(report) && level(report, "durable") >= 20);
    newer.stop();
    // What the old one read and could not send before it was taken away.
    scene.broker.down();
    scene.shop.sell(10);
    let mut old = scene.start();
    old.wait_for_within(SOON, "read on", |report| level(report, "durable") >= 30);
    old.stop();
    scene.broker.up(false);
    scene.hq.wait_again();
    (scene, newer, new)
}

#[test]
fn row_09_an_old_box_does_not_take_the_outlet_back_by_itself() {
    let (scene, _, new) = old_and_new();
    let generation = |report: &Value| report["generation"].as_u64().unwrap_or_default();
    let newer = new.start();
    newer.wait_for_within(SOON, "the new one is in", |report| level(report, "durable") >= 30 && is_green(report));
    let old = scene.start();
    let report = old.wait_for_within(SOON, "red", |report| holds(report, "outlet_conflict"));
    assert_eq!(report["lights"]["fault"], "steady", "{report:#}");
    // It goes on reading.
    scene.shop.sell(5);
    old.wait_for_within(SOON, "it reads on", |report| level(report, "durable") >= 35);
    scene.wait_for_all(&newer);
    is_calm(&scene);
    let (before, now) = (generation(&newer.report().expect("a report")), generation(&old.report().expect("a report")));
    assert!(now < before, "the old one took generation {now}, the new one has {before}\n{}", old.log());
    old.wait_for_line("outbox take-over");
    let report = old.report().expect("a report");
    assert!(holds(&report, "outlet_conflict") && !holds(&report, "hq_unreachable"), "{report:#}");
    let text = String::from_utf8_lossy(&scene.setup.run("status").stdout).into_owned();
    assert!(text.contains("cause    Another box sends for this outlet."), "{text}");
    assert!(!text.contains("no broker was reached"), "{text}");
}

/// The broker threw it off its line for the other one: that is no trouble of the internet.
#[test]
fn row_09_a_box_whose_line_another_one_took_names_that_one() {
    let scene = Scene::new("broker", Rules::default());
    scene.shop.sell(20);
    let mut old = scene.start();
    scene.wait_for_all(&old);
    let newer = another(&scene.setup, scene.path()).start();
    let report = old.wait_for_within(SOON, "red", |report| holds(report, "outlet_conflict"));
    assert!(!holds(&report, "hq_unreachable"), "{report:#}");
    let text = String::from_utf8_lossy(&scene.setup.run("status").stdout).into_owned();
    assert!(text.contains(&format!("hq       {}: needs a technician", scene.setup.broker)), "{text}");
    old.stop();
    scene.wait_for_all(&newer);
}

#[test]
fn row_09_a_command_gives_the_outlet_to_the_old_box() {
    let (scene, _, _) = old_and_new();
    let mut old = scene.start();
    let report = old.wait_for_within(SOON, "red", |report| holds(report, "outlet_conflict"));
    let before = report["generation"].as_u64();
    let output = scene.setup.run("outbox take-over --yes");
    assert!(output.status.success(), "{output:?}");
    old.wait_for_within(SOON, "it took it", |report| {
        report["generation"].as_u64() > before
            && delivered(report) == level(report, "durable")
            && !holds(report, "outlet_conflict")
    });
    scene.wait_for_all(&old);
    // What it had waiting left under its old generation, and is no newer state.
    let record = scene.hq.record();
    let old_stream = record.streams.values().find(|stream| Some(stream.generation) == before).expect("its old stream");
    assert!(old_stream.contents.len() >= 30, "{} events of the old generation", old_stream.contents.len());
    drop(record);
    old.stop();
}

/// A blank box does take over, without a command.
#[test]
fn row_09_a_blank_box_takes_over() {
    let (scene, _, new) = old_and_new();
    fs::remove_dir_all(&new.store).expect("the store can be wiped");
    let mut newest = new.start();
    newest.wait_for_within(SOON, "it is in", |report| is_green(report) && level(report, "durable") >= 30);
    assert!(!newest.reported("outlet_conflict"), "{}", newest.log());
    scene.wait_for_all(&newest);
    newest.stop();
}

/// An older version tells no nonce: no conflict.
#[test]
fn row_09_a_checkpoint_without_a_nonce_is_no_conflict() {
    let scene = Scene::new("broker", Rules::default());
    scene.shop.sell(20);
    let mut daemon = scene.start();
    scene.wait_for_all(&daemon);
    daemon.stop();
    let topic = "tillbox/jkt-014/checkpoint";
    let mut told: Value = serde_json::from_str(&scene.broker.retained(topic).expect("a checkpoint")).expect("JSON");
    let known = ["schema", "stream", "generation", "acknowledged", "watermarks", "open_gaps"];
    told.as_object_mut().expect("an object").retain(|name, _| known.contains(&name.as_str()));
    scene.broker.publish(topic, &told.to_string(), true);
    let mut daemon = scene.start();
    scene.shop.sell(5);
    scene.wait_for_all(&daemon);
    assert!(!daemon.reported("outlet_conflict"), "{}", daemon.log());
    daemon.wait_for_within(SOON, "its own generation", |report| report["generation"] == told["generation"]);
    daemon.stop();
}

/// Each start draws a nonce; a foreign one in the box's own checkpoint is a clone.
#[test]
fn row_09_a_foreign_nonce_begins_a_new_stream() {
    let scene = Scene::new("broker", Rules::default());
    scene.shop.sell(20);
    let mut daemon = scene.start();
    scene.wait_for_all(&daemon);
    daemon.stop();
    let topic = "tillbox/jkt-014/checkpoint";
    let mut told: Value = serde_json::from_str(&scene.broker.retained(topic).expect("a checkpoint")).expect("JSON");
    assert!(told["nonce"].is_string(), "{told}");
    told["nonce"] = "0f".repeat(16).into();
    scene.broker.publish(topic, &told.to_string(), true);
    let mut daemon = scene.start();
    let before = told["generation"].as_u64();
    daemon.wait_for_within(SOON, "a new stream", |report| report["generation"].as_u64() > before);
    scene.wait_for_all(&daemon);
    daemon.stop();
}

/// HQ's word about the old box's own stream is no lost tail, however short the old box has been running.
#[test]
fn row_09_an_old_box_in_its_first_start_does_not_take_the_outlet_back() {
    let scene = Scene::new("feed", Rules::default());
    scene.shop.sell(20);
    let old = scene.start();
    old.wait_for_within(SOON, "all is at HQ", |report| delivered(report) >= 20 && is_green(report));
    let new = another(&scene.setup, scene.path());
    // What the feed says when the old one is back: still of the old one's stream.
    let word = scene.hq.record().stored_through(20).expect("a word").to_string();
    let newer = new.start();
    until(SOON, || old.log().contains("0x8e").then_some(()), || format!("nobody is thrown out\n{}", old.log()));
    scene.broker.publish("tillbox/jkt-014/stored", &word, true);
    newer.wait_for_within(SOON, "the new one is in", |report| level(report, "durable") >= 20 && is_green(report));
    old.wait_for_within(SOON, "red", |report| holds(report, "outlet_conflict"));
    assert!(!old.log().contains("no longer has"), "{}", old.log());
    let generation = |daemon: &Tillbox| daemon.report().and_then(|report| report["generation"].as_u64());
    assert!(generation(&old) < generation(&newer), "{}", old.log());
    // One of the two has a line, and says it.
    scene.wait_for_all(&newer);
}

/// A box that has the outlet takes no order to take it over; one that was given while it was off is void once it sees so.
#[test]
fn row_09_an_order_to_take_over_does_not_lie_in_wait() {
    let scene = Scene::new("broker", Rules::default());
    scene.shop.sell(10);
    let mut daemon = scene.start();
    scene.wait_for_all(&daemon);
    daemon.wait_for_within(SOON, "green", is_green);
    let refused = scene.setup.run("outbox take-over --yes");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("nothing to take over"), "{refused:?}");
    daemon.stop();
    assert!(scene.setup.run("outbox take-over --yes").status.success(), "nobody is asked");
    let mut daemon = scene.start();
    daemon.wait_for_line("is void");
    scene.shop.sell(5);
    scene.wait_for_all(&daemon);
    let before = daemon.report().and_then(|report| report["generation"].as_u64());
    daemon.stop();
    // Another box comes; the order of long ago does not strike.
    let new = another(&scene.setup, scene.path());
    let mut newer = new.start();
    newer.wait_for_within(SOON, "the new one is in", |report| is_green(report) && level(report, "durable") >= 15);
    newer.stop();
    let old = scene.start();
    let report = old.wait_for_within(SOON, "red", |report| holds(report, "outlet_conflict"));
    assert_eq!(report["generation"].as_u64(), before);
}

#[test]
fn row_09_an_order_makes_no_store() {
    let scene = Scene::new("broker", Rules::default());
    scene.setup.write();
    let ordered = scene.setup.run("outbox take-over --yes");
    assert!(!ordered.status.success() && String::from_utf8_lossy(&ordered.stderr).contains("no store"), "{ordered:?}");
    assert!(!scene.setup.store.exists());
}
