//! The way to a server: its name, its port, and TLS with the reasons for which a certificate is not taken.

use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpStream, ToSocketAddrs as _},
    path::Path,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use chrono::{DateTime, Utc};
use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};

use super::{Outcome, patience::Waits};
use crate::tls::{self, certificate::Validity, fault::TlsFault};

/// How long a name may take to resolve, a connection to be made, and each read or write of the TLS handshake.
const STEP_MAX: Duration = Duration::from_secs(5);

/// Addresses of one name that are tried, at most.
const ADDRESSES_MAX: usize = 3;

/// How a certificate is taken that the config names.
const NAMED: &str = "the very certificate that ca-certificate names, taken as it stands";

/// Whoever is asked.
#[derive(Debug, Clone)]
pub struct Server<'a> {
    pub host: &'a str,
    pub port: u16,
    /// The config's key that leads there.
    pub key: &'static str,
    pub now: DateTime<Utc>,
    /// Is told of each wait.
    pub waits: &'a Waits,
}

/// Why a server is not reached.
#[derive(Debug)]
pub struct Unreached {
    pub outcome: Outcome,
    pub text: String,
    pub remedy: String,
}

/// How it was reached by TLS.
#[derive(Debug)]
pub struct Secured {
    /// Such as `TLS 1.3`.
    pub version: &'static str,
    /// Of the certificate of its chain that ends first; of its own alone where that is named.
    pub validity: Option<Validity>,
    /// The config's ca-certificate names this very certificate, so it is taken as it stands.
    pub named: bool,
}

impl Secured {
    /// How it was accepted: `TLS 1.3, a certificate that holds until 2027-03-01, 97 days, of a trusted authority`.
    pub fn text(&self, now: DateTime<Utc>) -> String {
        let Self { version, validity, named } = self;
        let lasts = validity.map(|validity| validity.text(now));
        match (named, lasts) {
            (false, None) => format!("{version}, a certificate of a trusted authority"),
            (false, Some(lasts)) => format!("{version}, a certificate that {lasts}, of a trusted authority"),
            (true, None) => format!("{version}, {NAMED}"),
            (true, Some(lasts)) => format!("{version}, {NAMED}, which {lasts}"),
        }
    }

    /// A word on a certificate that ends soon: what was found, and what to do.
    pub fn ends_soon(&self, whose: &str, who: &str, now: DateTime<Utc>) -> Option<(String, String)> {
        let validity = self.validity.filter(|validity| validity.ends_soon(now))?;
        let found = format!("{whose} certificate {}; expected 30 days", validity.text(now));
        let renew = if self.named { "renew it, and name the new one as ca-certificate" } else { "renew it" };
        Some((found, format!("{who} {renew}")))
    }
}

impl Server<'_> {
    /// Resolves the name and connects.
    pub fn connect(&self) -> Result<TcpStream, Unreached> {
        let mut refused = None;
        for address in self.resolve()?.into_iter().take(ADDRESSES_MAX) {
            self.waits.begin(format!("a connection to {address}"));
            match TcpStream::connect_timeout(&address, STEP_MAX) {
                Ok(stream) => return Ok(stream),
                Err(error) => refused = Some((address, error)),
            }
        }
        let Some((address, error)) = refused else { return Err(self.unresolved("no address")) };
        let (found, remedy) = match error.kind() {
            io::ErrorKind::ConnectionRefused => (
                format!("found that {address} refuses connections"),
                format!("start the server, or correct host and port in {}", self.key),
            ),
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => (
                format!("found no answer from {address} within {} s", STEP_MAX.as_secs()),
                "check the network's cable, its firewall and the server".to_owned(),
            ),
            _ => (format!("found no way to {address}: {error}"), "check the network's cable and its router".to_owned()),
        };
        Err(Unreached { outcome: Outcome::Later, text: format!("{found}; expected a connection"), remedy })
    }

    /// The system's resolver knows no time limit, so it is left behind where it takes too long.
    fn resolve(&self) -> Result<Vec<SocketAddr>, Unreached> {
        self.waits.begin(format!("the name {} to be resolved", self.host));
        let (sender, answer) = mpsc::channel();
        let (host, port) = (self.host.to_owned(), self.port);
        thread::spawn(move || {
            let _nobody_waits_any_more = sender.send((host.as_str(), port).to_socket_addrs().map(Vec::from_iter));
        });
        match answer.recv_timeout(STEP_MAX) {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(_)) => Err(self.unresolved("no address")),
            Err(_) => Err(self.unresolved(&format!("no answer within {} s", STEP_MAX.as_secs()))),
        }
    }

    fn unresolved(&self, found: &str) -> Unreached {
        Unreached {
            outcome: Outcome::Later,
            text: format!("found {found} for the name {}; expected one from DNS", self.host),
            remedy: format!("check the network and its DNS server, or correct the name in {}", self.key),
        }
    }

    /// Secures a connection and closes it again. The config of rustls is the one that was made of `authority_file`.
    pub fn secure(
        &self,
        mut stream: TcpStream,
        config: Arc<ClientConfig>,
        authority_file: Option<&Path>,
    ) -> Result<Secured, Unreached> {
        let name = ServerName::try_from(self.host.to_owned());
        let made = name.map_err(|error| error.to_string()).and_then(|name| {
            let limited =
                stream.set_read_timeout(Some(STEP_MAX)).and_then(|()| stream.set_write_timeout(Some(STEP_MAX)));
            limited.map_err(|error| error.to_string())?;
            ClientConnection::new(config, name).map_err(|error| error.to_string())
        });
        let mut connection = made.map_err(|error| self.insecure(&error, "correct the config"))?;
        self.waits.begin(format!("{}:{} in the TLS handshake", self.host, self.port));
        while connection.is_handshaking() {
            connection.complete_io(&mut stream).map_err(|error| self.failed(&error))?;
        }
        let chain = connection.peer_certificates().unwrap_or_default();
        let named = chain.first().is_some_and(|own| tls::names(authority_file, own));
        // What else is sent with one that is named proves nothing, and ends nothing.
        let chain = if named { &chain[..1] } else { chain };
        let validity = chain.iter().filter_map(|der| Validity::of(der)).min_by_key(|validity| validity.to);
        let version = match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "TLS 1.3",
        };
        connection.send_close_notify();
        let _gone_already = connection.write_tls(&mut stream).and_then(|_| stream.flush());
        Ok(Secured { version, validity, named })
    }

    fn insecure(&self, found: &str, remedy: &str) -> Unreached {
        let text = format!("found {found}; expected a secure connection to {}", self.host);
        Unreached { outcome: Outcome::Correct, text, remedy: remedy.to_owned() }
    }

    fn failed(&self, error: &io::Error) -> Unreached {
        let Some(cause) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
            let text = format!("found that the connection ends in the TLS handshake ({error}); expected a secure one");
            let remedy =
                format!("check that {} leads to a port that speaks TLS, and that no firewall cuts it", self.key);
            return Unreached { outcome: Outcome::Later, text, remedy };
        };
        let TlsFault { found, remedy } = TlsFault::of(cause, self.key, self.now);
        self.insecure(&found, &remedy)
    }
}
