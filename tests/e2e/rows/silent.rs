//! HQ's feed does not confirm: nobody is there, or its word cannot be read.

use std::{fs, time::Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::{PROTOCOLS, speak, speaking};
use crate::parts::{
    broker::{KEEPING, Mosquitto},
    commanded::Rules,
    hq::{Access, Hq},
    scene::{SOON, Scene, hurry, is_green, wait_for_condition},
    shop::Shop,
    stage::Stage,
    tillbox::{Setup, Tillbox, delivered, level},
    wait::until,
};

const SALES: u32 = 300;

/// Ten minutes at the tests' pace.
const TEN_MINUTES: std::time::Duration = std::time::Duration::from_secs(600 / crate::parts::scene::PACE as u64);

/// A headquarters that receives and says nothing.
fn silent(protocol: &str) -> Scene {
    let mut scene = Scene::new("broker", speaking(protocol, Rules::default()));
    scene.setup.acknowledge = "feed";
    speak(&mut scene.setup, protocol);
    scene.shop.sell(SALES);
    scene
}

fn nothing_claims_that_it_is_at_hq(setup: &Setup) {
    let told = setup.run("status");
    let text = String::from_utf8_lossy(&told.stdout);
    assert!(!text.contains("All sales are at headquarters"), "{text}");
    let names_the_cause =
        ["has not confirmed", "confirm", "nobody subscribes"].iter().any(|cause| text.contains(cause));
    assert!(names_the_cause, "{text}");
}

fn becomes_green(daemon: &Tillbox) -> Value {
    daemon.wait_for_within(SOON, "green", |report| is_green(report) && delivered(report) >= u64::from(SALES))
}

#[test]
fn row_03_a_feed_that_says_nothing_is_told_and_the_backlog_goes_out_once() {
    for protocol in PROTOCOLS {
        let scene = silent(protocol);
        let mut daemon = scene.start();
        scene.wait_for_all(&daemon);
        let all = daemon.wait_for_within(SOON, "all is with the broker", |report| {
            level(report, "acknowledged") >= u64::from(SALES)
        });
        assert!(!is_green(&all), "not yet confirmed, and green: {all:#}");
        nothing_claims_that_it_is_at_hq(&scene.setup);
        let report = wait_for_condition(&daemon, "feed_silent");
        assert_eq!((delivered(&report), report["lights"]["fault"].as_str()), (0, Some("off")), "{report:#}");

        // From now on a few events at a time ask whether HQ is there, not the backlog.
        let (before, begun) = (scene.broker.seen(|seen| seen.events), Instant::now());
        until(SOON, || (begun.elapsed() > TEN_MINUTES).then_some(()), String::new);
        let more = scene.broker.seen(|seen| seen.events) - before;
        assert!(more <= u64::from(SALES) / 2, "{more} events within ten minutes\n{}", daemon.log());

        scene.hq.feed();
        becomes_green(&daemon);
        daemon.stop();
    }
}

#[test]
fn row_03_nobody_at_hq_at_all_is_told() {
    for protocol in PROTOCOLS {
        let broker = crate::parts::commanded::Commanded::start(speaking(protocol, Rules::default()));
        let (folder, shop) = (TempDir::new().expect("a temporary folder"), Shop::open());
        let mut setup = Setup::new(folder.path(), &shop.base_url(), broker.address(), "feed");
        hurry(&mut setup);
        speak(&mut setup, protocol);
        shop.sell(SALES);
        let mut daemon = setup.start();
        daemon.wait_for_within(SOON, "told", |report| {
            let told = ["feed_silent", "nobody_listens"].iter().any(|code| crate::parts::tillbox::holds(report, code));
            level(report, "durable") >= u64::from(SALES) && told && !is_green(report)
        });
        nothing_claims_that_it_is_at_hq(&setup);

        let hq = crate::parts::scene::listen(&broker);
        hq.feed();
        becomes_green(&daemon);
        daemon.stop();
    }
}

#[test]
fn row_03_a_word_that_may_not_be_read_is_told() {
    let folder = TempDir::new().expect("a temporary folder");
    let rules = folder.path().join("acl");
    let box_may = "user box\ntopic readwrite tillbox/+/events/#\ntopic readwrite tillbox/+/checkpoint\n\
                   topic readwrite tillbox/+/status\n";
    fs::write(&rules, format!("topic readwrite #\n{box_may}")).expect("the rules");
    crate::refused::add_user(&folder.path().join("users"), "-c", "box", "secret");
    let users = folder.path().join("users");
    let more = format!("{KEEPING}acl_file {}\npassword_file {}\n", rules.display(), users.display());
    let broker = Mosquitto::start(folder.path(), &more);
    let (hq, shop) = (Hq::listen(Access::open(broker.address())), Shop::open());
    let mut setup = Setup::new(folder.path(), &shop.base_url(), broker.address(), "feed");
    hurry(&mut setup);
    setup.hq.push_str("username = \"box\"\npassword = \"secret\"\n");
    let stage = Stage { hq, broker, shop, setup, folder };
    stage.hq.feed();
    stage.shop.sell(SALES);
    let mut daemon = stage.start();
    wait_for_condition(&daemon, "feed_silent");
    nothing_claims_that_it_is_at_hq(&stage.setup);

    fs::write(&rules, format!("topic readwrite #\n{box_may}topic read tillbox/+/stored\n")).expect("the rules");
    stage.broker.reload();
    becomes_green(&daemon);
    daemon.stop();
}

/// The page says how it stands, and metrics count what HQ released.
#[test]
fn row_03_page_and_metrics_tell_what_is_not_confirmed() {
    let mut scene = silent("5");
    let address = crate::parts::broker::free_address();
    scene.setup.hq.extend(["\n[page]\nlisten = \"", &address.to_string(), "\"\n"]);
    let daemon = scene.start();
    wait_for_condition(&daemon, "feed_silent");
    let (_, page) = crate::page::shows(address, "/?lang=en", &["Warung Sabang"]);
    assert!(page.contains("headquarters has not confirmed it"), "{page}");
    assert!(!page.contains("All sales are at headquarters"), "{page}");
    let (_, metrics) = crate::page::shows(address, "/metrics", &["tillbox_"]);
    assert!(!metrics.contains("tillbox_outbox_waiting_events 0\n"), "{metrics}");
}

/// A broker that has events which HQ will never see, since they were lost: they go out again.
#[test]
fn row_03_what_the_broker_lost_goes_out_again_in_feed_mode() {
    let scene = Scene::new("feed", Rules { lose_events: true, ..Rules::default() });
    // So many that questions of a few events each would take too long: once HQ answers, all the others follow.
    scene.shop.sell(SALES);
    let mut daemon = scene.start();
    let told = |report: &Value| level(report, "acknowledged") >= u64::from(SALES);
    daemon.wait_for_within(SOON, "all is with the broker", told);
    scene.broker.behave();
    scene.wait_for_all(&daemon);
    becomes_green(&daemon);
    daemon.stop();
}
