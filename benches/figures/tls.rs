//! TLS around the servers: certificates by the `openssl` program, and a relay before a server that has none.

use std::{
    fs,
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
    time::Duration,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// How long one side is listened to before the other.
const TURN: Duration = Duration::from_millis(10);

/// Where Debian keeps the authorities that it trusts.
const TRUSTED: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A server's certificate and key, the authority that certified it, and that one among all others that Debian trusts.
pub struct Certificates {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub authority: PathBuf,
    pub all_authorities: PathBuf,
}

impl Certificates {
    pub fn make(folder: &Path) -> Self {
        fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").expect("a file");
        let new_key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        for arguments in [
            format!("req -x509 {new_key} -keyout ca.key -out ca.crt -days 9 -subj /CN=authority"),
            format!("req -new {new_key} -keyout server.key -out server.csr -subj /CN=server"),
            "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 9 -extfile names"
                .to_owned(),
        ] {
            let run = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
            let output = run.expect("openssl must be installed: apt-get install openssl");
            assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
        }
        let file = |name: &str| folder.join(name);
        let mut all = fs::read(TRUSTED).expect("Debian's ca-certificates must be installed");
        all.extend(fs::read(file("ca.crt")).expect("it was made"));
        fs::write(file("all.crt"), all).expect("a file");
        Self {
            certificate: file("server.crt"),
            key: file("server.key"),
            authority: file("ca.crt"),
            all_authorities: file("all.crt"),
        }
    }

    /// Listens on a port of its own and passes on what comes to a server without TLS.
    pub fn relay(&self, to: SocketAddr) -> u16 {
        let chain =
            CertificateDer::pem_file_iter(&self.certificate).and_then(Iterator::collect).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(&self.key).expect("a key");
        let config = ServerConfig::builder_with_provider(tillbox::tls::provider())
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map(Arc::new)
            .expect("a server");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        // Both end with this process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                thread::spawn(move || pass(client, config, to));
            }
        });
        port
    }
}

/// Passes on what either side says until one of them is done.
fn pass(client: TcpStream, config: Arc<ServerConfig>, to: SocketAddr) -> io::Result<()> {
    let mut server = TcpStream::connect(to)?;
    client.set_read_timeout(Some(TURN))?;
    server.set_read_timeout(Some(TURN))?;
    let mut client = StreamOwned::new(ServerConnection::new(config).map_err(io::Error::other)?, client);
    while pass_part(&mut client, &mut server)? && pass_part(&mut server, &mut client)? {}
    client.conn.send_close_notify();
    client.flush()
}

/// `false` at the end.
fn pass_part(from: &mut impl Read, to: &mut impl Write) -> io::Result<bool> {
    let mut part = [0; 16 * 1024];
    match from.read(&mut part) {
        Ok(bytes) => to.write_all(&part[..bytes]).and_then(|()| to.flush()).map(|()| bytes > 0),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(true),
        Err(error) => Err(error),
    }
}
