//! HQ's brokers.

use super::*;

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
    has(checked.line("ok    hq mqtts"), &["was taken, all in ", "TLS 1.3, a certificate that holds until "]);

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
fn the_documented_rules_suffice() {
    let folder = TempDir::new().expect("a temporary folder");
    let users = folder.path().join("users");
    add_user(&users, "-c", "jkt-014", "the right one");
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/brokers/mosquitto.acl");
    let settings = format!("allow_anonymous false\npassword_file {}\nacl_file {rules}\n{KEEPING}", users.display());
    let mut place = Place::with(folder, &settings);
    let hq = place.setup.hq.clone() + "username = \"jkt-014\"\npassword = \"the right one\"\n";
    for protocol in ["5", "3.1.1"] {
        place.setup.hq = format!("{hq}protocol = \"{protocol}\"\n");
        let checked = place.checked();
        checked.is_good();
        has(
            checked.line("ok    hq"),
            &[&format!("MQTT {protocol} "), "was found by a new subscription", "was taken, too"],
        );
    }
}
