//! The points of sale.

use super::*;

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
    place.shop.http().fail(Fault::Page(403, Some(30)));
    has(
        &place.fault(75),
        &["something in front of it, such as a firewall, refuses; it asks to wait 30 s; check again", "admit this box"],
    );
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
    // A server's own certificate, named by hand: it has ended, and is taken all the same, with a word on it.
    let own = Identity::own(place.folder.path(), "own", Own::Ended);
    let own_front = front(&own, place.shop.http().address()).expect("a TLS server");
    let plain = place.setup.pos.clone();
    let trusts = plain.find("ca-certificate").expect("the key");
    place.setup.pos = format!("{}ca-certificate = \"{}\"\n", &plain[..trusts], own.certificate.display());
    place.setup.pos_url = format!("https://127.0.0.1:{}/v1", own_front.port());
    let checked = place.checked();
    assert_eq!(checked.code, Some(0), "{}", checked.text);
    has(checked.line("ok    pos front"), &["the very certificate that ca-certificate names", ", which ended on "]);
    has(
        checked.line("warn  pos front"),
        &["certificate ended on ", "to renew it, and name the new one as ca-certificate"],
    );
    place.setup.pos = plain;
    // TLS is asked of a port that speaks none.
    place.setup.pos_url = format!("https://{}/v1", place.shop.http().address());
    has(
        &place.fault(78),
        &["found an answer that is not TLS; expected", "; write the port of the server's TLS in base-url"],
    );
}
