//! Store and shop belong together: what one shop sold is never sent, counted or read as another's.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tillbox::clock::Clock;

use crate::{
    parts::{
        broker::{KEEPING, Mosquitto},
        hq::{Access, Hq, OUTLET},
        shop::{Shop, TOKEN},
        stage::Stage,
        tillbox::{PROGRAM, Setup, Tillbox, holds, level},
        wait::{PATIENCE, until},
    },
    refused::add_user,
};

const SOON: Duration = Duration::from_secs(20);

/// The outlet into which the box is carried.
const NEW: &str = "jkt-015";

#[test]
fn what_waits_leaves_under_the_old_name_and_the_new_shop_is_read_whole() {
    for acknowledge in ["broker", "feed"] {
        let (mut stage, new_shop) = (Stage::new(acknowledge), new_shop());
        stage.shop.sell(10);
        let mut daemon = stage.start();
        stage.wait_for_books(&daemon);
        stage.broker.stop();
        stage.shop.sell(15);
        daemon.wait_for("more waits", |report| level(report, "durable") >= 25);
        daemon.stop();

        let old = stage.setup.clone();
        carry(&mut stage.setup, &new_shop);
        refuses(&stage.setup, &["outlet `jkt-014`", "outlet `jkt-015`", "wait in it", "`tillbox outbox move`"]);
        // While the broker is away nothing is given up.
        let output = outbox(&stage.setup, &["move", "--yes", "--patience", "2s"]);
        assert_eq!(output.status.code(), Some(75), "{}", told(&output));
        assert!(told(&output).contains("tillbox outbox move --set-aside"), "{}", told(&output));
        old.write();
        let listed = outbox(&old, &["list"]);
        assert!(told(&listed).contains("outlet   jkt-014"), "{}", told(&listed));
        stage.setup.write();
        // A listing tells whose it is, whatever the config says.
        let listed = outbox(&stage.setup, &["list"]);
        assert!(told(&listed).contains("outlet   jkt-014"), "{}", told(&listed));

        stage.broker.start_again();
        let output = outbox(&stage.setup, &["move", "--yes", "--patience", "60s"]);
        assert!(output.status.success(), "{}", told(&output));
        wait_for_ids(&stage.hq, OUTLET, &stage.shop, || told(&output));
        if acknowledge == "feed" {
            // The stage's feed speaks for the old outlet alone.
            stage.setup.acknowledge = "broker";
        }
        let mut daemon = stage.start();
        wait_for_ids(&stage.hq, NEW, &new_shop, || daemon.log());
        daemon.stop();
        assert_unmixed(&stage.hq, &[(OUTLET, &stage.shop), (NEW, &new_shop)]);
        let streams = stage.hq.record().streams.len();
        assert_eq!(streams, 2, "each outlet has a stream of its own");
        assert!(!daemon.log().contains("lost tail"), "{}", daemon.log());
    }
}

#[test]
fn what_the_broker_does_not_take_any_more_is_set_aside_and_sent_with_the_old_config() {
    let folder = TempDir::new().expect("a temporary folder");
    let rules = folder.path().join("rules");
    let access = [("hq", "#"), (OUTLET, "tillbox/jkt-014/#"), (NEW, "tillbox/jkt-015/#")];
    let lines = access.map(|(user, topic)| format!("user {user}\ntopic readwrite {topic}\n"));
    fs::write(&rules, lines.concat()).expect("the rules");
    let users = folder.path().join("users");
    for (number, (user, _)) in access.iter().enumerate() {
        add_user(&users, if number == 0 { "-c" } else { "" }, user, user);
    }
    let settings =
        format!("allow_anonymous false\npassword_file {}\nacl_file {}\n{KEEPING}", users.display(), rules.display());
    let (shop, new_shop) = (Shop::open(), new_shop());
    let mut broker = Mosquitto::start_with(folder.path(), &settings);
    let login = ["-u", "hq", "-P", "hq"].map(str::to_owned).to_vec();
    let hq = Hq::listen(Access { address: broker.address(), more: login });
    let mut setup = Setup::new(folder.path(), &shop.base_url(), broker.address(), "broker");
    login_as(&mut setup, OUTLET);

    broker.stop();
    shop.sell(12);
    let mut daemon = setup.start();
    daemon.wait_for("all waits", |report| level(report, "durable") >= 12);
    daemon.stop();
    broker.start_again();
    let mut old = setup.clone();
    old.config = folder.path().join("old.toml");
    old.write();

    // The new shop's user may not speak for the old outlet.
    carry(&mut setup, &new_shop);
    login_as(&mut setup, NEW);
    setup.write();
    let output = outbox(&setup, &["move", "--yes", "--patience", "8s"]);
    assert_eq!(output.status.code(), Some(75), "{}", told(&output));
    assert!(told(&output).contains("--set-aside"), "{}", told(&output));
    refuses(&setup, &["12 events wait in it"]);
    let output = outbox(&setup, &["move", "--set-aside", "--yes"]);
    assert!(output.status.success(), "{}", told(&output));
    let aside = only_set_aside(&setup.store);
    assert!(told(&output).contains(&aside.display().to_string()), "{}", told(&output));

    let mut daemon = setup.start();
    let report = daemon.wait_for("it is told", |report| holds(report, "store_set_aside"));
    assert_eq!(level(&report, "stores_set_aside"), 1);
    wait_for_ids(&hq, NEW, &new_shop, || daemon.log());
    assert!(hq.record().events_of("transaction").all(|event| event["outlet"] == NEW));
    let status = told(&setup.run("status"));
    assert!(status.contains(&format!("tillbox outbox send {}", aside.display())), "{status}");
    let name = aside.display().to_string();
    let wrong = outbox(&setup, &["send", &name, "--yes"]);
    assert_eq!(wrong.status.code(), Some(78), "{}", told(&wrong));

    let output = outbox(&old, &["send", &name, "--yes", "--patience", "60s"]);
    assert!(output.status.success(), "{}", told(&output));
    wait_for_ids(&hq, OUTLET, &shop, || told(&output));
    daemon.wait_for("it is over", |report| !holds(report, "store_set_aside"));
    assert!(!aside.exists() && Path::new(&format!("{name}.sent")).exists());
    daemon.stop();
    assert_unmixed(&hq, &[(OUTLET, &shop), (NEW, &new_shop)]);
}

#[test]
fn another_account_is_not_read_and_a_new_name_reads_it_whole() {
    let (mut stage, other) = (Stage::new("broker"), new_shop());
    stage.shop.sell(8);
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);
    daemon.stop();
    stage.setup.pos_url = other.base_url();
    let mut daemon = stage.start();
    let report = daemon.wait_for("it is refused", |report| holds(report, "pos_unfit"));
    assert_eq!(report["lights"]["fault"], "steady");
    let line = daemon.wait_for_line("give this connection another name").replace('\n', " ");
    assert!(line.contains("outlet:OUT-001") && line.contains("outlet:OUT-002"), "{line}");
    daemon.stop();
    assert_unmixed(&stage.hq, &[(OUTLET, &stage.shop)]);

    stage.setup.connection = "front-2".to_owned();
    let store = stage.setup.store.display().to_string();
    let retire = format!("[outbox]\npath = \"{store}\"\nretired-connections = [\"front\"]\n");
    let mut daemon = start_with(&stage.setup, &format!("[outbox]\npath = \"{store}\"\n"), &retire);
    until(PATIENCE, || (ids_of(&stage.hq, OUTLET, Some("front-2")) == ids_in(&other)).then_some(()), || daemon.log());
    assert_eq!(ids_of(&stage.hq, OUTLET, Some("front")), ids_in(&stage.shop));
    daemon.stop();
}

#[test]
fn a_renewed_token_of_the_same_account_goes_on() {
    let mut stage = Stage::new("broker");
    stage.shop.sell(5);
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);
    daemon.stop();
    // The same outlet at the point of sale, another token: as after a renewal.
    let renewed = Shop::open_as(Clock::system(), "OUT-001", "another-token-Xk1", "T");
    renewed.sell(6);
    stage.setup.blocks = Some(format!(
        "[[pos]]\nname = \"front\"\nsystem = \"qasir\"\nbase-url = \"{}\"\ntoken = \"another-token-Xk1\"\n{}",
        renewed.base_url(),
        stage.setup.pos
    ));
    let mut daemon = stage.start();
    until(PATIENCE, || ids_of(&stage.hq, OUTLET, None).is_superset(&ids_in(&renewed)).then_some(()), || daemon.log());
    assert!(!daemon.reported("pos_unfit"), "{}", daemon.log());
    daemon.stop();
}

#[test]
fn an_account_with_other_ids_is_read_once_a_person_says_that_it_is_the_same_shop() {
    let (mut stage, other) = (Stage::new("broker"), new_shop());
    stage.shop.sell(5);
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);
    daemon.stop();
    stage.setup.pos_url = other.base_url();
    let mut daemon = stage.start();
    daemon.wait_for("it is refused", |report| holds(report, "pos_unfit"));
    // The running daemon takes the order; one that starts afterwards goes by it at once.
    let output = outbox(&stage.setup, &["same-account", "front", "--yes"]);
    assert!(output.status.success() && told(&output).contains("Noted"), "{}", told(&output));
    daemon.stop();
    let mut daemon = stage.start();
    until(PATIENCE, || ids_of(&stage.hq, OUTLET, None).is_superset(&ids_in(&other)).then_some(()), || daemon.log());
    until(
        PATIENCE,
        || {
            let record = stage.hq.record();
            let told = record.events_of("notice").any(|event| event["data"]["code"] == "account_unproven");
            told.then_some(())
        },
        || daemon.log(),
    );
    daemon.stop();
}

#[test]
fn a_running_daemon_keeps_its_store_and_has_nothing_to_take_over() {
    let stage = Stage::new("broker");
    stage.shop.sell(3);
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);
    let mut carried = stage.setup.clone();
    carried.config = stage.path().join("new.toml");
    carried.outlet = NEW.to_owned();
    carried.write();
    for arguments in [&["move", "--yes"][..], &["move", "--set-aside", "--yes"][..]] {
        let output = outbox(&carried, arguments);
        assert_eq!(output.status.code(), Some(75), "{}", told(&output));
        assert!(told(&output).contains(&format!("(process {})", daemon.pid())), "{}", told(&output));
    }
    // Nobody sits there to be asked.
    let output = outbox(&stage.setup, &["take-over"]);
    assert_eq!(output.status.code(), Some(64), "{}", told(&output));
    let output = outbox(&stage.setup, &["take-over", "--yes"]);
    assert!(!output.status.success() && told(&output).contains("nothing to take over"), "{}", told(&output));
    daemon.stop();
    let output = outbox(&stage.setup, &["move", "--yes"]);
    assert!(output.status.success() && told(&output).contains("nothing to move"), "{}", told(&output));
    let output = outbox(&stage.setup, &["take-over", "--yes"]);
    assert!(output.status.success() && told(&output).contains("Ordered"), "{}", told(&output));
}

/// A shop with a history of its own.
fn new_shop() -> Shop {
    let shop = Shop::open_as(Clock::system(), "OUT-002", TOKEN, "N");
    shop.sold_before(30);
    shop
}

/// The technician writes the new shop's config.
fn carry(setup: &mut Setup, to: &Shop) {
    NEW.clone_into(&mut setup.outlet);
    setup.pos_url = to.base_url();
}

fn login_as(setup: &mut Setup, user: &str) {
    setup.hq = format!("keep-alive = \"5s\"\nusername = \"{user}\"\npassword = \"{user}\"\n");
}

/// Runs a command on the outbox to its end.
fn outbox(setup: &Setup, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("outbox").args(arguments).arg("--config").arg(&setup.config).stdin(Stdio::null());
    command.env_remove("TILLBOX_LOG").output().expect("the program starts")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The daemon refuses to start, in one line that says all of this.
fn refuses(setup: &Setup, parts: &[&str]) {
    let mut daemon = setup.start();
    assert_eq!(daemon.wait(SOON).code(), Some(78), "{}", daemon.log());
    let log = daemon.log();
    assert_eq!(log.lines().count(), 1, "{log}");
    for part in parts {
        assert!(log.contains(part), "{part}: {log}");
    }
}

fn start_with(setup: &Setup, from: &str, to: &str) -> Tillbox {
    let mut changed = setup.clone();
    changed.config = setup.config.with_file_name("retired.toml");
    changed.write();
    let text = fs::read_to_string(&changed.config).expect("the config");
    assert!(text.contains(from), "{text}");
    fs::write(&changed.config, text.replace(from, to)).expect("the config");
    changed.start_as_written()
}

fn only_set_aside(store: &Path) -> PathBuf {
    let entries = fs::read_dir(store).expect("the outbox").map(|entry| entry.expect("an entry").path());
    let named =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("store.set-aside-"));
    let found: Vec<_> = entries.filter(named).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().expect("one")
}

/// External ids of the sales that HQ has under an outlet, and a connection.
fn ids_of(hq: &Hq, outlet: &str, connection: Option<&str>) -> BTreeSet<String> {
    let record = hq.record();
    let under = record.events_of("transaction").filter(|event| {
        let source = event["source"].as_str().unwrap_or_default();
        event["outlet"] == outlet && connection.is_none_or(|name| source == format!("/outlets/{outlet}/{name}"))
    });
    under.map(|event| event["data"]["external_id"].as_str().unwrap_or_default().to_owned()).collect()
}

fn ids_in(shop: &Shop) -> BTreeSet<String> {
    shop.books().states().keys().cloned().collect()
}

fn wait_for_ids(hq: &Hq, outlet: &str, shop: &Shop, log: impl Fn() -> String) {
    until(
        PATIENCE,
        || (ids_of(hq, outlet, None) == ids_in(shop)).then_some(()),
        || format!("{outlet} has {:?}\n{}", ids_of(hq, outlet, None), log()),
    );
}

/// Each outlet has its own shop's sales and no other's, and nothing that must never be was seen.
fn assert_unmixed(hq: &Hq, shops: &[(&str, &Shop)]) {
    for (outlet, shop) in shops {
        assert_eq!(ids_of(hq, outlet, None), ids_in(shop), "{outlet}");
    }
    let record = hq.record();
    assert!(record.wrongs.is_empty(), "{:?}", record.wrongs);
}
