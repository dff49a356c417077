//! TLS to HQ and to the point of sale, with certificates of one's own.

use std::{
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use tillbox::pos::{
    http::{Ask as _, Client, Failure},
    request::Request,
};

use crate::parts::{
    broker::{KEEPING, Mosquitto},
    certificates::{Authority, Identity, Own},
    hq::{Access, Hq},
    shop::Shop,
    stage::Stage,
    tillbox::{Setup, Tillbox, holds, level},
};

#[test]
fn a_box_proves_itself_by_its_certificate_and_trusts_only_its_authority() {
    let (stage, authority) = behind_tls();
    stage.shop.sell(20);
    let client = authority.certify("box");
    let mut setup = stage.setup.clone();
    setup.hq.push_str(&trusting(&authority));
    setup.hq.push_str(&showing(&client));
    let mut daemon = setup.start();
    stage.wait_for_books(&daemon);
    daemon.stop();
    assert_eq!(daemon.warnings(), Vec::<String>::new());
}

#[test]
fn a_broker_of_another_authority_is_refused_in_one_clear_line() {
    let (stage, authority) = behind_tls();
    stage.shop.sell(20);
    let other = Authority::new(stage.path(), "other");
    let mut setup = stage.setup.clone();
    setup.hq.push_str(&trusting(&other));
    setup.hq.push_str(&showing(&authority.certify("box")));
    let daemon = setup.start();
    assert_refused(&daemon, "UnknownIssuer");
}

#[test]
fn a_box_without_a_certificate_is_told_so_in_one_clear_line() {
    let (stage, authority) = behind_tls();
    stage.shop.sell(20);
    let mut setup = stage.setup.clone();
    setup.hq.push_str(&trusting(&authority));
    let daemon = setup.start();
    assert_refused(&daemon, "client-certificate");
}

#[test]
fn the_point_of_sale_is_read_over_https_of_ones_own_authority() {
    let mut stage = Stage::new("broker");
    stage.shop.sell(20);
    let authority = Authority::new(stage.path(), "pos");
    let front = front(&authority.certify("server"), stage.shop.http().address()).expect("a TLS server");
    stage.setup.pos_url = format!("https://127.0.0.1:{}/v1", front.port());
    let plain = stage.setup.pos.clone();
    stage.setup.pos = plain.clone() + &trusting(&authority);
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);
    daemon.stop();
    assert_eq!(daemon.warnings(), Vec::<String>::new());

    let other = Authority::new(stage.path(), "other");
    stage.setup.pos = plain + &trusting(&other);
    let daemon = stage.start();
    let report = daemon.wait_for("refused", |report| holds(report, "pos_refused"));
    assert_eq!(report["lights"]["fault"].as_str(), Some("steady"));
    let warning = daemon.only_warning();
    let remedy = "; name the authority's certificate as ca-certificate (or the server's own)";
    for part in ["qasir GET /outlets: no secure connection: ", "UnknownIssuer", remedy] {
        assert!(warning.contains(part), "{part}: {warning}");
    }
}

/// Row 10: what is wrong with a certificate is red with its remedy, whatever it is.
#[test]
fn a_point_of_sale_whose_certificate_is_wrong_is_refused_in_one_clear_line() {
    let mut stage = Stage::new("broker");
    let authority = Authority::new(stage.path(), "pos");
    stage.setup.pos.push_str(&trusting(&authority));
    for (identity, found, remedy) in [
        (authority.certify_for("over", "IP:127.0.0.1", 0), "a certificate that ended at ", "; renew the server's"),
        (authority.certify_for("other", "DNS:kasir.example", 90), "a certificate for kasir.example", "in base-url"),
    ] {
        let front = front(&identity, stage.shop.http().address()).expect("a TLS server");
        stage.setup.pos_url = format!("https://127.0.0.1:{}/v1", front.port());
        let mut daemon = stage.start();
        let report = daemon.wait_for("refused", |report| holds(report, "pos_refused"));
        assert_eq!(report["lights"]["fault"].as_str(), Some("steady"), "{found}");
        let warning = daemon.only_warning();
        assert!(warning.contains(found) && warning.contains(remedy), "{warning}");
        daemon.stop();
    }
}

/// Row 11: a server's own certificate, copied to the box by hand, is taken by name or address, in every form.
#[test]
fn a_certificate_that_the_config_names_is_taken_as_it_stands() {
    let stage = Stage::new("broker");
    let behind = stage.shop.http().address();
    let request = Request::get(&["outlets"]).expect("a path");
    let ask = |url: &str, named: &Identity| {
        let client = Client::new(url, Some(&named.certificate)).expect("a client");
        client.ask(&request, &|status| status == 401)
    };
    let stranger = Identity::own(stage.path(), "stranger", Own::Usual);
    for own in [Own::Usual, Own::Rsa, Own::Version1, Own::Ended] {
        let identity = Identity::own(stage.path(), &format!("{own:?}"), own);
        let impostor = identity.impostor(stage.path());
        for version in [&TLS12, &TLS13] {
            let shown = format!("{own:?} by {:?}", version.version);
            let port = front_speaking(&identity, behind, &[version]).expect("a TLS server").port();
            for host in ["127.0.0.1", "localhost"] {
                let answer = ask(&format!("https://{host}:{port}/v1"), &identity);
                // Without a token; but the server was reached.
                assert_eq!(answer.map(|answer| answer.status), Ok(401), "{shown} at {host}");
            }
            let untrusted = ask(&format!("https://127.0.0.1:{port}/v1"), &stranger);
            assert!(matches!(untrusted, Err(Failure::Untrusted(_))), "{shown}: {untrusted:?}");
            // The certificate is no secret: only its key proves the server.
            let port = front_speaking(&impostor, behind, &[version]).expect("a TLS server").port();
            let fault = ask(&format!("https://127.0.0.1:{port}/v1"), &identity).expect_err("an impostor").to_string();
            assert!(
                fault.contains("a server that has not the key of the certificate that it shows"),
                "{shown}: {fault}"
            );
        }
    }
}

/// The same at HQ, and sales flow on both sides.
#[test]
fn a_box_works_with_the_own_certificates_of_both_its_servers() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let own = Identity::own(folder.path(), "hq", Own::Usual);
    let settings = format!(
        "certfile {}\nkeyfile {}\nallow_anonymous true\n{KEEPING}",
        own.certificate.display(),
        own.key.display()
    );
    let (broker, shop) = (Mosquitto::start_with(folder.path(), &settings), Shop::open());
    let more = vec!["--cafile".to_owned(), own.certificate.display().to_string(), "--insecure".to_owned()];
    let hq = Hq::listen(Access { address: broker.address(), more });
    let kasir = Identity::own(folder.path(), "kasir", Own::Version1);
    let front = front(&kasir, shop.http().address()).expect("a TLS server");
    let url = format!("https://127.0.0.1:{}/v1", front.port());
    let mut setup = Setup::new(folder.path(), &url, broker.address(), "broker");
    setup.broker = format!("mqtts://{}", broker.address());
    setup.hq.push_str(&naming(&own));
    setup.pos.push_str(&naming(&kasir));
    let stage = Stage { hq, broker, shop, setup, folder };
    stage.shop.sell(20);
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);
    let checked = stage.setup.run_with("check", &["--online"]);
    let text = String::from_utf8_lossy(&checked.stdout);
    for item in ["ok    pos front: ", "ok    hq mqtts://"] {
        let line = text.lines().find(|line| line.starts_with(item)).unwrap_or_else(|| panic!("{item}: {text}"));
        let accepted =
            "TLS 1.3, the very certificate that ca-certificate names, taken as it stands, which holds until ";
        assert!(line.contains(accepted), "{line}");
    }
    daemon.stop();
    assert_eq!(daemon.warnings(), Vec::<String>::new());
}

fn naming(identity: &Identity) -> String {
    format!("ca-certificate = \"{}\"\n", identity.certificate.display())
}

pub fn trusting(authority: &Authority) -> String {
    format!("ca-certificate = \"{}\"\n", authority.certificate().display())
}

fn showing(identity: &Identity) -> String {
    let Identity { certificate, key } = identity;
    format!("client-certificate = \"{}\"\nclient-key-file = \"{}\"\n", certificate.display(), key.display())
}

fn assert_refused(daemon: &Tillbox, part: &str) {
    let report = daemon.wait_for("refused", |report| holds(report, "hq_refused") && level(report, "durable") >= 20);
    assert_eq!((level(&report, "released"), report["lights"]["fault"].as_str()), (0, Some("steady")));
    let warning = daemon.only_warning();
    assert!(warning.contains(part), "{warning}");
}

/// A broker whose clients must show a certificate of the authority.
fn behind_tls() -> (Stage, Authority) {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let authority = Authority::new(folder.path(), "hq");
    let (server, hq) = (authority.certify("server"), authority.certify("subscriber"));
    let settings = format!(
        "cafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\nallow_anonymous true\n{KEEPING}",
        authority.certificate().display(),
        server.certificate.display(),
        server.key.display()
    );
    let (broker, shop) = (Mosquitto::start_with(folder.path(), &settings), Shop::open());
    let files = [("--cafile", authority.certificate()), ("--cert", hq.certificate), ("--key", hq.key)];
    let more = files.into_iter().flat_map(|(name, path)| [name.to_owned(), path.display().to_string()]).collect();
    let hq = Hq::listen(Access { address: broker.address(), more });
    let mut setup = Setup::new(folder.path(), &shop.base_url(), broker.address(), "broker");
    setup.broker = format!("mqtts://{}", broker.address());
    (Stage { hq, broker, shop, setup, folder }, authority)
}

/// A TLS front of an HTTP server: one request to a connection, then both ends close.
pub fn front(identity: &Identity, behind: SocketAddr) -> io::Result<SocketAddr> {
    front_speaking(identity, behind, &[&TLS13, &TLS12])
}

fn front_speaking(
    identity: &Identity,
    behind: SocketAddr,
    versions: &[&'static SupportedProtocolVersion],
) -> io::Result<SocketAddr> {
    let certificate = CertificateDer::from_pem_slice(&fs::read(&identity.certificate)?).map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_slice(&fs::read(&identity.key)?).map_err(io::Error::other)?;
    let provider = tillbox::tls::provider();
    let key = provider.key_provider.load_private_key(key).map_err(io::Error::other)?;
    // Whatever the certificate is, and whether or not the key is its own: rustls would refuse to show some of them.
    let shown = Arc::new(SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key)));
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(shown);
    let (config, listener) = (Arc::new(config), TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            // A client that does not trust the server goes away in the middle.
            let _told_by_the_client = carry(&config, near, behind);
        }
    });
    Ok(address)
}

fn carry(config: &Arc<ServerConfig>, near: TcpStream, behind: SocketAddr) -> io::Result<()> {
    let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    let (mut near, mut far) = (StreamOwned::new(connection, near), TcpStream::connect(behind)?);
    let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
    while !head.ends_with(b"\r\n\r\n") {
        match near.read(&mut buffer)? {
            0 => return Ok(()),
            read => head.extend_from_slice(&buffer[..read]),
        }
    }
    let line = head.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    far.write_all(&head[..line])?;
    far.write_all(b"Connection: close\r\n")?;
    far.write_all(&head[line..])?;
    io::copy(&mut far, &mut near)?;
    near.conn.send_close_notify();
    near.flush()
}
