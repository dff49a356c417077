//! The broker refuses: publishes, or the login.

use std::{fs, path::Path, process::Command, time::Duration};

use tempfile::TempDir;

use crate::parts::{
    broker::{KEEPING, MISSING, Mosquitto},
    hq::{Access, Hq},
    shop::Shop,
    stage::Stage,
    tillbox::{Setup, holds, level},
};

const PASSWORD: &str = "mqtt-password-hunter3-Yw8";

/// After a refusal the box tries again within a minute.
const SLOWLY: Duration = Duration::from_secs(90);

#[test]
fn publishes_that_are_denied_are_a_fault_and_nothing_leaves_until_they_arrive() {
    let folder = TempDir::new().expect("a temporary folder");
    let rules = folder.path().join("acl");
    fs::write(&rules, "topic read #\ntopic write tillbox/+/status\ntopic write tillbox/+/test/#\n").expect("the rules");
    let settings = format!("{KEEPING}acl_file {}\n", rules.display());
    let stage = stage_with(folder, &format!("allow_anonymous true\n{settings}"), Vec::new());
    stage.shop.sell(30);
    let mut daemon = stage.start();
    let report = daemon.wait_for("denied", |report| holds(report, "publish_denied") && level(report, "durable") >= 30);
    assert_eq!(report["lights"]["fault"], "steady");
    assert_eq!((level(&report, "acknowledged"), level(&report, "released")), (0, 0));
    daemon.wait_for_line("Mosquitto: `topic write tillbox/jkt-014/events/hello`");

    fs::write(&rules, "topic readwrite #\n").expect("the rules");
    stage.broker.reload();
    daemon.wait_for_within(SLOWLY, "everything leaves", |report| level(report, "acknowledged") >= 30);
    stage.wait_for_books(&daemon);
    daemon.wait_for("the fault is over", |report| report["lights"]["fault"] == "off");
    daemon.stop();
    let record = stage.hq.record();
    assert_eq!(record.events_of("notice").filter(|event| event["data"]["code"] == "publish_denied").count(), 1);
}

#[test]
fn a_wrong_password_is_a_fault_and_loses_nothing() {
    let folder = TempDir::new().expect("a temporary folder");
    let users = folder.path().join("users");
    add_user(&users, "-c", "jkt-014", "another");
    add_user(&users, "", "hq", "hq");
    let settings = format!("allow_anonymous false\npassword_file {}\n{KEEPING}", users.display());
    let login = ["-u", "hq", "-P", "hq"].map(str::to_owned).to_vec();
    let mut stage = stage_with(folder, &settings, login);
    stage.setup.hq.extend(["username = \"jkt-014\"\npassword = \"", PASSWORD, "\"\n"]);
    stage.shop.sell(30);
    let mut daemon = stage.start();
    let report = daemon.wait_for("refused", |report| holds(report, "hq_refused") && level(report, "durable") >= 30);
    assert_eq!((report["lights"]["fault"].as_str(), level(&report, "released")), (Some("steady"), 0));
    daemon.only_warning();

    add_user(&users, "", "jkt-014", PASSWORD);
    stage.broker.reload();
    daemon.wait_for_within(SLOWLY, "everything leaves", |report| level(report, "acknowledged") >= 30);
    stage.wait_for_books(&daemon);
    daemon.stop();
    stage.assert_nowhere(PASSWORD, &daemon.said());
    stage.assert_no_secret(&daemon.said());
}

fn stage_with(folder: TempDir, settings: &str, login: Vec<String>) -> Stage {
    let (broker, shop) = (Mosquitto::start_with(folder.path(), settings), Shop::open());
    let hq = Hq::listen(Access { address: broker.address(), more: login });
    let setup = Setup::new(folder.path(), &shop.base_url(), broker.address(), "broker");
    Stage { hq, broker, shop, setup, folder }
}

pub fn add_user(users: &Path, create: &str, name: &str, password: &str) {
    let mut command = Command::new("mosquitto_passwd");
    command.args(Some("-b")).args((!create.is_empty()).then_some(create)).arg(users).args([name, password]);
    let output = command.output().unwrap_or_else(|error| panic!("mosquitto_passwd: {error}; {MISSING}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
