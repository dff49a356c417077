//! A technician's way to Asalta's token, with the shipped program: a fault with its remedy before there is one, a
//! browser that comes back, sales that flow without a restart, and the same again when the token stops working.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use tillbox::{
    clock::Clock,
    demo::{
        asalta::{Asalta, Options},
        shop::{Change, Movement, Sale},
        simulator::{Server, Simulator as _},
    },
    zone::Zone,
};

use crate::parts::{
    broker::{KEEPING, Mosquitto},
    hq::{Access, Hq},
    shop::ZONE,
    tillbox::{PROGRAM, Setup, holds},
    wait::{PATIENCE, until},
};

#[test]
fn a_token_is_got_by_a_browser_and_taken_up_without_a_restart() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let broker = Mosquitto::start(folder.path(), KEEPING);
    let hq = Hq::listen(Access::open(broker.address()));
    let clock = Clock::system();
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let mut options = Options::new(Zone::load(ZONE).expect("a zone that everyone knows"));
    options.redirect_uri = format!("http://127.0.0.1:{port}/authorized");
    let (client_id, client_secret) = (options.client_id.clone(), options.client_secret.clone());
    let (redirect_uri, secret) = (options.redirect_uri.clone(), options.token.clone());
    let server = Server::start(Asalta::new(clock.clone(), options)).expect("a port on the loopback");
    let sale = Sale::plain("A-1", 25_000, clock.now() - chrono::TimeDelta::minutes(3));
    server.simulator().play(&[Movement { known_at: sale.at, change: Change::Sold, sale }]);

    let token = folder.path().join("asalta.token");
    let mut setup = Setup::new(folder.path(), "", broker.address(), "broker");
    setup.blocks = Some(format!(
        "[[pos]]\nname = \"boutique\"\nsystem = \"asalta\"\nbase-url = \"{}\"\nclient-id = \"{client_id}\"\n\
         client-secret = \"{client_secret}\"\nredirect-uri = \"{redirect_uri}\"\ntoken-file = \"{}\"\n\
         timezone = \"{ZONE}\"\ncurrency = \"SGD\"\npoll-every = \"1s\"\nbackfill = \"1d\"\n",
        server.base_url(),
        token.display()
    ));
    let mut daemon = setup.start();
    let report = daemon.wait_for("no token yet", |report| holds(report, "pos_refused"));
    let conditions = report["conditions"].as_array().expect("conditions").iter();
    let text = conditions.filter(|held| held["code"] == "pos_refused").find_map(|held| held["text"].as_str());
    assert!(text.is_some_and(|text| text.contains("tillbox authorize --connection boutique")), "{text:?}");

    let authorize = || {
        let mut child = Command::new(PROGRAM)
            .args(["authorize", "--connection", "boutique", "--config"])
            .arg(&setup.config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let (mut said, mut opened) = (String::new(), false);
        for line in out.lines().map_while(Result::ok) {
            if let Some(address) = line.split_whitespace().find(|word| word.contains("/auth?") && !opened) {
                opened = true;
                let page = ureq::get(address).call().expect("a browser comes back");
                assert_eq!(page.status().as_u16(), 200);
            }
            said.push_str(&line);
            said.push('\n');
        }
        let output = child.wait_with_output().expect("it ends");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && opened, "{said}{complaint}");
        assert!(!said.contains(&secret) && !said.contains(&client_secret), "{said}");
    };
    // The first key is of another product: that is told, and the next one is taken up though nobody asks for an hour.
    server.simulator().adjust(|options| options.other_product = true);
    authorize();
    daemon.wait_for("another product", |report| holds(report, "pos_unfit"));
    server.simulator().adjust(|options| (options.other_product, options.token) = (false, "second-token".to_owned()));
    authorize();
    assert_eq!(fs::metadata(&token).expect("a token").permissions().mode() & 0o777, 0o600);
    let has = |count: usize| move |hq: &Hq| (hq.record().events_of("transaction").count() >= count).then_some(());
    until(PATIENCE, || has(1)(&hq), || daemon.log());
    daemon.wait_for("no fault", |report| !holds(report, "pos_refused") && !holds(report, "pos_unfit"));

    // Asalta takes it back: a fault with the remedy, and the next one is taken up.
    server.simulator().adjust(|options| options.token = "another-token".to_owned());
    daemon.wait_for("refused", |report| holds(report, "pos_refused"));
    let sale = Sale::plain("A-2", 35_000, clock.now());
    server.simulator().play(&[Movement { known_at: sale.at, change: Change::Sold, sale }]);
    authorize();
    until(PATIENCE, || has(2)(&hq), || daemon.log());
    daemon.wait_for("no fault", |report| !holds(report, "pos_refused"));
    daemon.stop();
    assert!(!daemon.log().contains("another-token") && !daemon.log().contains(&client_secret));
    assert_eq!(server.http().mutations(), 0);
}
