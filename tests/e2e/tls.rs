//! TLS to HQ and to the point of sale, with certificates of one's own.

use std::{
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use crate::parts::{
    broker::{KEEPING, Mosquitto},
    certificates::{Authority, Identity},
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
    daemon.wait_for("refused", |report| holds(report, "pos_unreachable"));
    let warning = daemon.only_warning();
    for part in ["qasir GET /outlets: ", "UnknownIssuer"] {
        assert!(warning.contains(part), "{part}: {warning}");
    }
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
    let certificate = CertificateDer::from_pem_slice(&fs::read(&identity.certificate)?).map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_slice(&fs::read(&identity.key)?).map_err(io::Error::other)?;
    let config = ServerConfig::builder_with_provider(tillbox::tls::provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate], key))
        .map_err(io::Error::other)?;
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
