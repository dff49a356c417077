//! `tillbox check --online`: each thing that can be wrong is one line with one remedy, and nothing on disk changes.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use tillbox::{
    clock::Clock,
    demo::{
        asalta::{self, Asalta},
        http_server::{Fault, Garbling},
        olsera::{self, Olsera, Profile},
        pos_kasir::{self, PosKasir, User},
        simulator::{Server, Simulator},
    },
    zone::Zone,
};

use crate::{
    parts::{
        broker::{KEEPING, Mosquitto, free_address},
        certificates::{Authority, Identity},
        hq::Access,
        shop::{Shop, TOKEN, ZONE},
        tillbox::{PROGRAM, Setup},
        wait::{PATIENCE, until},
    },
    refused::add_user,
    tls::{front, trusting},
};

/// A check of a box at which something is wrong takes no longer than this, however busy the machine is.
const SOON: Duration = Duration::from_secs(60);

/// A box that was never started, its shop and its broker.
struct Place {
    broker: Mosquitto,
    shop: Shop,
    setup: Setup,
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self::with(TempDir::new().expect("a temporary folder"), &format!("allow_anonymous true\n{KEEPING}"))
    }

    fn with(folder: TempDir, broker: &str) -> Self {
        let (broker, shop) = (Mosquitto::start_with(folder.path(), broker), Shop::open());
        let setup = Setup::new(folder.path(), &shop.base_url(), broker.address(), "broker");
        Self { broker, shop, setup, folder }
    }

    /// With a broker behind TLS.
    fn behind_tls(certify: impl Fn(&Authority) -> Identity, more: &str) -> (Self, Authority) {
        let folder = TempDir::new().expect("a temporary folder");
        let authority = Authority::new(folder.path(), "hq");
        let server = certify(&authority);
        let settings = format!(
            "cafile {}\ncertfile {}\nkeyfile {}\nallow_anonymous true\n{more}{KEEPING}",
            authority.certificate().display(),
            server.certificate.display(),
            server.key.display()
        );
        let mut place = Self::with(folder, &settings);
        place.setup.broker = format!("mqtts://127.0.0.1:{}", place.broker.address().port());
        place.setup.hq.push_str(&trusting(&authority));
        (place, authority)
    }

    fn checked(&self) -> Checked {
        self.setup.write();
        // The broker keeps its own files.
        let before = tree(self.folder.path());
        let begun = Instant::now();
        let output = self.command().output().expect("the program starts");
        let took = begun.elapsed();
        assert!(took < SOON, "{took:?}");
        assert_eq!(tree(self.folder.path()), before, "something on disk changed");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        println!("{} ms\n{text}", took.as_millis());
        assert!(!text.contains(TOKEN), "a secret was written:\n{text}");
        Checked { text, code: output.status.code() }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["check", "--online", "--config"]).arg(&self.setup.config).env_remove("TILLBOX_LOG");
        command
    }

    /// The one fault that a check finds, as its line.
    fn fault(&self, code: i32) -> String {
        self.checked().fault(code)
    }
}

struct Checked {
    text: String,
    code: Option<i32>,
}

impl Checked {
    fn lines(&self, word: &str) -> Vec<&str> {
        self.text.lines().filter(|line| line.starts_with(word)).collect()
    }

    fn line(&self, start: &str) -> &str {
        let mut lines = self.text.lines().filter(|line| line.starts_with(start));
        lines.next().unwrap_or_else(|| panic!("no line `{start}`:\n{}", self.text))
    }

    fn fault(&self, code: i32) -> String {
        let faults = self.lines("fault");
        assert_eq!((faults.len(), self.code), (1, Some(code)), "{}", self.text);
        faults[0].to_owned()
    }

    /// Nothing is wrong; a temporary folder may lie on a file system of which is warned.
    fn is_good(&self) {
        assert_eq!((self.code, self.lines("fault").len()), (Some(0), 0), "{}", self.text);
        let warnings = self.lines("warn");
        assert!(warnings.iter().all(|line| line.starts_with("warn  outbox")), "{}", self.text);
    }
}

fn has(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "`{part}` is not in:\n{line}");
    }
}

/// Mode, owner, time of the last change and content, by path.
type Tree = BTreeMap<PathBuf, (u32, u32, i64, i64, Option<Vec<u8>>)>;

/// Everything below a folder but the broker's own: kind, owner, mode, time and content.
fn tree(folder: &Path) -> Tree {
    let mut all = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(path) = left.pop() {
        let meta = fs::symlink_metadata(&path).expect("its metadata");
        let content = meta.is_file().then(|| fs::read(&path).expect("its content"));
        if meta.is_dir() {
            let entries = fs::read_dir(&path).expect("its entries").map(|entry| entry.expect("an entry").path());
            left.extend(entries.filter(|entry| !entry.ends_with("broker")));
        }
        all.insert(path, (meta.mode(), meta.uid(), meta.mtime(), meta.mtime_nsec(), content));
    }
    all
}

fn secret_file(path: &Path, content: &str) {
    fs::write(path, content).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode");
}

fn zone() -> Zone {
    Zone::load(ZONE).expect("a zone that everyone knows")
}

/// Asalta names neither.
const NAMED: &str = "timezone = \"Asia/Jakarta\"\ncurrency = \"IDR\"\n";

/// The block of a simulated system.
fn block<S: Simulator>(server: &Server<S>) -> String {
    let (url, keys) = (server.base_url(), server.simulator().pos_block());
    format!("[[pos]]\nname = \"front\"\nbase-url = \"{url}\"\n{keys}")
}

#[test]
fn a_good_box_is_told_so_line_by_line() {
    let place = Place::new();
    let checked = place.checked();
    checked.is_good();
    let starts: Vec<&str> = checked.text.lines().map(|line| line.split(": ").next().unwrap_or_default()).collect();
    let broker = format!("ok    hq {}", place.setup.broker);
    let expected =
        ["ok    config", "ok    clock", "ok    timezone", "ok    outbox", "ok    pos front", &broker, "ok    board"];
    let told: Vec<&str> = starts.into_iter().filter(|start| start.starts_with("ok")).collect();
    assert_eq!(told, expected);
    has(checked.line("ok    outbox"), &["is not there yet and can be made by "]);
    has(checked.line("ok    pos front"), &["qasir lets the box in and shows the sales of ", "(plain http)"]);
    has(checked.line("ok    hq"), &["events/hello came back in ", "(plain mqtt)"]);
    assert!(!place.setup.store.exists());

    let output = place.command().arg("--json").output().expect("the program starts");
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(matches!(told["outcome"].as_str(), Some("ok" | "warn")), "{told}");
    assert!(told["findings"].as_array().is_some_and(|list| list.iter().any(|of| of["item"] == "pos front")), "{told}");
}

#[test]
fn a_config_with_a_mistake_is_told_and_nothing_is_tried() {
    let place = Place::new();
    place.setup.write();
    let text = fs::read_to_string(&place.setup.config).expect("the config").replace("\"IDR\"", "\"RUPIAH\"");
    fs::write(&place.setup.config, text).expect("the config");
    let output = place.command().output().expect("the program starts");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(78), 0));
    assert_eq!(place.shop.http().requests(), 0);
    for words in [&["check", "--json"][..], &["run", "--online"]] {
        assert_eq!(Command::new(PROGRAM).args(words).output().expect("the program starts").status.code(), Some(64));
    }
}

#[test]
fn every_system_is_tried_by_its_own_ways() {
    let mut place = Place::new();
    let (clock, folder) = (Clock::system(), place.folder.path().to_owned());
    let kasir = Server::start(PosKasir::new(clock.clone(), pos_kasir::Options::new(zone()))).expect("a server");
    let open = Server::start(Olsera::new(clock.clone(), olsera::Options::new(zone(), Profile::OpenApi))).expect("one");
    let documented = olsera::Options::new(zone(), Profile::Documented);
    let documented = Server::start(Olsera::new(clock.clone(), documented)).expect("a server");
    let asalta = Server::start(Asalta::new(clock, asalta::Options::new(zone()))).expect("a server");
    let token = folder.join("asalta.token");
    for (url, keys) in [
        (kasir.base_url(), kasir.simulator().pos_block()),
        (open.base_url(), open.simulator().pos_block()),
        (documented.base_url(), documented.simulator().pos_block()),
        (asalta.base_url(), asalta.simulator().pos_block() + NAMED),
    ] {
        place.setup.blocks = Some(format!("[[pos]]\nname = \"front\"\nbase-url = \"{url}\"\n{keys}"));
        let checked = place.checked();
        checked.is_good();
        has(checked.line("ok    pos front"), &["lets the box in"]);
    }
    assert_eq!(kasir.simulator().logins(), 1);
    assert_eq!((asalta.http().mutations(), documented.http().mutations()), (0, 0));

    // The token is read, and stays what it is.
    let options = asalta::Options::new(zone());
    secret_file(&token, "not the token\n");
    let keys = asalta.simulator().pos_block();
    let keys: String = keys.lines().filter(|line| !line.starts_with("token")).flat_map(|line| [line, "\n"]).collect();
    let lines = format!("{keys}{NAMED}token-file = \"{}\"\n", token.display());
    place.setup.blocks = Some(format!("[[pos]]\nname = \"front\"\nbase-url = \"{}\"\n{lines}", asalta.base_url()));
    has(
        &place.fault(78),
        &["fault pos front: asalta GET /pos/warehouses", "run `tillbox authorize --connection front`"],
    );
    fs::remove_file(&token).expect("a file");
    has(&place.fault(78), &["found no credential", "run `tillbox authorize --connection front`"]);
    assert!(!options.token.is_empty() && !token.exists());
}

#[test]
fn a_wrong_token_is_for_a_person() {
    let mut place = Place::new();
    place.setup.write();
    let text = fs::read_to_string(&place.setup.config).expect("the config");
    let blocks = text.split("[[pos]]").nth(1).and_then(|rest| rest.split("[hq]").next()).expect("the block");
    place.setup.blocks = Some(format!("[[pos]]{}", blocks.replace(TOKEN, "another")));
    let fault = place.fault(78);
    has(&fault, &["pos front: qasir GET /outlets: the server answered 401", "; renew the token of connection `front`"]);
}

#[test]
fn a_point_of_sale_that_is_not_reached_may_come_back() {
    let mut place = Place::new();
    place.setup.pos_url = format!("http://{}/v1", free_address());
    let fault = place.fault(75);
    has(
        &fault,
        &["refuses connections; expected a connection", "; start the server, or correct host and port in base-url"],
    );
    place.setup.pos_url = "http://till.invalid/v1".to_owned();
    place.setup.pos.push_str("allow-plain-text = true\n");
    has(&place.fault(75), &["for the name till.invalid; expected one from DNS; check the network"]);
    place.setup.pos_url = place.shop.base_url();
    place.shop.http().fail(Fault::Broken(503));
    has(&place.fault(75), &["the server answered 503", "ask whoever runs the server"]);
    place.shop.http().fail(Fault::TooMany(Some(30)));
    has(&place.fault(75), &["too many requests", "check again in some minutes"]);
}

#[test]
fn a_page_instead_of_an_answer_is_told() {
    let place = Place::new();
    place.shop.http().fail(Fault::Garbled(Garbling::Html));
    has(&place.fault(78), &["qasir GET /outlets: ", "; check that base-url leads to the API of qasir"]);
    place.shop.http().fail(Fault::Broken(404));
    has(&place.fault(78), &["the server answered 404", "; check the base-url"]);
}

#[test]
fn a_server_that_is_mute_is_left_in_time() {
    let place = Place::new();
    place.shop.http().fail(Fault::Slow(None));
    has(&place.fault(75), &["expected an answer within 8 s, found none"]);
}

#[test]
fn a_role_that_sees_too_little_is_told() {
    let mut place = Place::new();
    let options = pos_kasir::Options {
        users: vec![User::new("box@shop.example", "kotak-kasir", "cashier")],
        ..pos_kasir::Options::new(zone())
    };
    let server = Server::start(PosKasir::new(Clock::system(), options)).expect("a server");
    place.setup.blocks = Some(block(&server));
    let fault = place.fault(78);
    has(
        &fault,
        &["pos-kasir GET /auth/me: expected a user of role manager or admin", "; give the box a user of its own"],
    );
    server.simulator().adjust(|options| options.users = vec![User::new("box@shop.example", "another", "manager")]);
    has(&place.fault(78), &["correct e-mail and password of connection `front`"]);
    // Wrong passwords are not tried in a loop.
    assert_eq!(server.simulator().logins(), 2);
}

#[test]
fn a_clock_that_is_off_is_told_by_the_servers() {
    let mut place = Place::new();
    for (minutes, code, word) in [(5, 0, "warn  clock"), (-60 * 48, 75, "fault clock")] {
        let skew = chrono::TimeDelta::minutes(minutes);
        let options = pos_kasir::Options { date_skew: Some(skew), ..pos_kasir::Options::new(zone()) };
        let server = Server::start(PosKasir::new(Clock::system(), options)).expect("a server");
        place.setup.blocks = Some(block(&server));
        let checked = place.checked();
        assert_eq!(checked.code, Some(code), "{}", checked.text);
        has(checked.line(word), &[" the server of front", "; set it: "]);
    }
}

#[test]
fn the_certificate_of_a_point_of_sale_is_judged() {
    let mut place = Place::new();
    let authority = Authority::new(place.folder.path(), "pos");
    let good = front(&authority.certify("server"), place.shop.http().address()).expect("a TLS server");
    let old = authority.certify_for("old", "IP:127.0.0.1", 0);
    let old = front(&old, place.shop.http().address()).expect("a TLS server");
    let pos = place.setup.pos.clone();
    place.setup.pos = pos + &trusting(&authority);
    place.setup.pos_url = format!("https://127.0.0.1:{}/v1", good.port());
    let checked = place.checked();
    checked.is_good();
    has(checked.line("ok    pos front"), &["(TLS 1.3, a certificate that holds until "]);
    place.setup.pos_url = format!("https://127.0.0.1:{}/v1", old.port());
    has(
        &place.fault(78),
        &["found a certificate that ended at ", "; renew the server's certificate, or set the clock"],
    );
    place.setup.pos_url = place.setup.pos_url.replace(&old.port().to_string(), &good.port().to_string());
    place.setup.pos_url = place.setup.pos_url.replace("127.0.0.1", "ip6-localhost.invalid");
    has(&place.fault(75), &["from DNS"]);
    // TLS is asked of a port that speaks none.
    place.setup.pos_url = format!("https://{}/v1", place.shop.http().address());
    has(
        &place.fault(78),
        &["found an answer that is not TLS; expected", "; write the port of the server's TLS in base-url"],
    );
}

#[test]
fn a_broker_behind_tls_is_tried_with_the_box_s_own_certificate() {
    let (mut place, authority) =
        Place::behind_tls(|authority| authority.certify("server"), "require_certificate true\n");
    let hq = place.setup.hq.clone();
    let fault = place.fault(78);
    has(&fault, &["fault hq mqtts://127.0.0.1:", "client-certificate"]);
    let showing = |client: &Identity| {
        format!(
            "client-certificate = \"{}\"\nclient-key-file = \"{}\"\n",
            client.certificate.display(),
            client.key.display()
        )
    };
    place.setup.hq = hq.clone() + &showing(&authority.certify("box"));
    let checked = place.checked();
    checked.is_good();
    has(checked.line("ok    hq client-certificate"), &["holds until ", ", 89 days"]);
    has(checked.line("ok    hq mqtts"), &["came back in ", "TLS 1.3, a certificate that holds until "]);

    place.setup.hq = hq.clone() + &showing(&authority.certify_for("soon", "DNS:box", 10));
    let checked = place.checked();
    assert_eq!(checked.code, Some(0));
    has(
        checked.line("warn  hq client-certificate"),
        &["found one that holds until ", "9 days; expected 30 days; let HQ"],
    );
    place.setup.hq = hq + &showing(&authority.certify_for("over", "DNS:box", 0));
    let checked = place.checked();
    assert_eq!(checked.code, Some(78));
    has(checked.line("fault hq client-certificate"), &["found one that ended on ", "; let HQ issue another one"]);
}

#[test]
fn a_broker_s_certificate_is_judged() {
    let (place, _) = Place::behind_tls(|authority| authority.certify_for("over", "IP:127.0.0.1", 0), "");
    has(&place.fault(78), &["found a certificate that ended at ", "; renew the server's certificate"]);

    let (place, _) = Place::behind_tls(|authority| authority.certify_for("soon", "IP:127.0.0.1", 10), "");
    let checked = place.checked();
    assert_eq!(checked.code, Some(0));
    has(
        checked.line("warn  hq mqtts"),
        &["the broker's certificate holds until ", "9 days; expected 30 days; let HQ renew it"],
    );

    let (mut place, _) = Place::behind_tls(|authority| authority.certify_for("other", "DNS:mqtt.hq.example", 90), "");
    has(&place.fault(78), &["mqtt.hq.example", "; write a name of the certificate in brokers"]);
    let other = Authority::new(place.folder.path(), "another");
    place.setup.hq = trusting(&other);
    has(&place.fault(78), &["UnknownIssuer", "; name the authority's certificate as ca-certificate"]);
    place.setup.broker = format!("mqtts://127.0.0.1:{}", free_address().port());
    has(&place.fault(75), &["refuses connections", "correct host and port in brokers"]);
}

#[test]
fn a_broker_s_login_and_rules_are_tried() {
    let folder = TempDir::new().expect("a temporary folder");
    let (users, rules) = (folder.path().join("users"), folder.path().join("acl"));
    add_user(&users, "-c", "jkt-014", "the right one");
    fs::write(&rules, "user jkt-014\ntopic readwrite tillbox/jkt-014/#\n").expect("the rules");
    let settings =
        format!("allow_anonymous false\npassword_file {}\nacl_file {}\n{KEEPING}", users.display(), rules.display());
    let mut place = Place::with(folder, &settings);
    let hq = place.setup.hq.clone();
    place.setup.hq = hq.clone() + "username = \"jkt-014\"\npassword = \"the wrong one\"\n";
    let fault = place.fault(78);
    has(&fault, &["the broker refuses the login", "; check username, password", "calls itself tillbox-jkt-014-check"]);
    assert!(!fault.contains("the wrong one"));
    place.setup.hq = hq + "username = \"jkt-014\"\npassword = \"the right one\"\n";
    place.checked().is_good();
    for rule in ["topic read tillbox/jkt-014/#", "topic write tillbox/jkt-014/#"] {
        fs::write(&rules, format!("user jkt-014\n{rule}\n")).expect("the rules");
        place.broker.reload();
        // Mosquitto reads its rules when it comes to it.
        let access = Access {
            address: place.broker.address(),
            more: ["-u", "jkt-014", "-P", "the right one"].map(str::to_owned).to_vec(),
        };
        until(PATIENCE, || access.publish("test/ready", "1", false).then_some(()), || place.broker.log());
        let fault = until(
            PATIENCE,
            || Some(place.checked()).filter(|checked| checked.code == Some(78)),
            || "the rule is not in force".to_owned(),
        );
        has(
            &fault.fault(78),
            &["; let this client publish and subscribe below tillbox/jkt-014/ in the broker's access rules"],
        );
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    const NOBODY: u32 = 65_534;
    let place = Place::new();
    place.setup.write();
    if fs::metadata(place.folder.path()).expect("its metadata").uid() != 0 {
        println!("only root can be somebody else: left out");
        return;
    }
    fs::set_permissions(place.folder.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
    fs::create_dir(&place.setup.store).expect("the folder");
    chown(&place.setup.config, Some(NOBODY), Some(NOBODY)).expect("root may");
    // The program, where everybody may reach it.
    let program = place.folder.path().join("tillbox");
    fs::copy(PROGRAM, &program).expect("a copy");
    let run = || {
        let before = tree(place.folder.path());
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
        command.args(["check", "--online", "--config"]).arg(&place.setup.config);
        let output = command.output().unwrap_or_else(|error| panic!("setpriv: {error}; install util-linux"));
        assert_eq!(tree(place.folder.path()), before);
        let text = String::from_utf8(output.stdout).expect("text") + &String::from_utf8_lossy(&output.stderr);
        Checked { text, code: output.status.code() }
    };
    has(&run().fault(78), &["fault outbox: found that uid 65534 cannot write in ", "; give it to the daemon's user"]);
    fs::set_permissions(&place.setup.store, fs::Permissions::from_mode(0o700)).expect("its mode");
    has(&run().fault(78), &["fault outbox: found that ", " this user (uid 65534)"]);
    chown(&place.setup.store, Some(NOBODY), Some(NOBODY)).expect("root may");
    run().is_good();
    fs::write(place.setup.store.join("x"), "").expect("a file");
    fs::remove_dir_all(&place.setup.store).expect("gone");
    fs::write(&place.setup.store, "").expect("a file");
    has(&run().fault(78), &["outbox"]);
}

#[test]
fn a_running_daemon_is_not_disturbed() {
    let place = Place::new();
    place.shop.sell(5);
    let mut daemon = place.setup.start();
    let ready =
        |report: &Value| report["hq"]["session"].is_string() || report["outbox"]["acknowledged"].as_u64() >= Some(5);
    daemon.wait_for("everything is at HQ", ready);
    let sessions = || place.broker.log().lines().filter(|line| line.contains(" as tillbox-jkt-014 ")).count();
    let before = sessions();
    let warned = daemon.warnings();
    for _ in 0..3 {
        let output = place.command().output().expect("the program starts");
        let text = String::from_utf8(output.stdout).expect("text");
        assert_eq!(output.status.code(), Some(0), "{text}");
        has(&text, &[&format!("in use by the running tillbox (process {})", daemon.pid()), "came back in "]);
    }
    place.shop.sell(5);
    daemon.wait_for("it goes on", |report| report["outbox"]["acknowledged"].as_u64() >= Some(10));
    assert!(before > 0 && sessions() == before, "{}", place.broker.log());
    assert_eq!(daemon.warnings(), warned);
    daemon.stop();
    std::io::stdout().flush().expect("standard output");
}
