//! The way to a server: its name, its port, and TLS with the reasons for which a certificate is not taken.

use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpStream, ToSocketAddrs as _},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use chrono::{DateTime, Utc};
use rustls::{AlertDescription, CertificateError, ClientConfig, ClientConnection, pki_types::ServerName};

use super::{Outcome, certificate::Validity, clock::shown, patience::Waits};
use crate::instant;

/// How long a name may take to resolve, a connection to be made, and each read or write of the TLS handshake.
const STEP_MAX: Duration = Duration::from_secs(5);

/// Addresses of one name that are tried, at most.
const ADDRESSES_MAX: usize = 3;

/// Names of a certificate that are shown, at most.
const NAMES_MAX: usize = 3;

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
    /// Of the certificate of its chain that ends first.
    pub validity: Option<Validity>,
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

    /// Secures a connection and closes it again.
    pub fn secure(&self, mut stream: TcpStream, config: Arc<ClientConfig>) -> Result<Secured, Unreached> {
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
        let validity = chain.iter().filter_map(|der| Validity::of(der)).min_by_key(|validity| validity.to);
        let version = match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "TLS 1.3",
        };
        connection.send_close_notify();
        let _gone_already = connection.write_tls(&mut stream).and_then(|_| stream.flush());
        Ok(Secured { version, validity })
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
        match cause {
            rustls::Error::InvalidCertificate(cause) => self.untrusted(cause),
            rustls::Error::InvalidMessage(_) => self
                .insecure("an answer that is not TLS", &format!("write the port of the server's TLS in {}", self.key)),
            rustls::Error::AlertReceived(
                AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure,
            ) => self.insecure(
                &format!("that the server ends the handshake ({cause})"),
                "give the client-certificate that it asks for, with its client-key-file",
            ),
            other => {
                self.insecure(&other.to_string(), "check the server's TLS settings, client-certificate and the clock")
            }
        }
    }

    /// Why the server's certificate is not taken.
    fn untrusted(&self, cause: &CertificateError) -> Unreached {
        let now = shown(self.now);
        let instant = |time: &rustls::pki_types::UnixTime| {
            let seconds = i64::try_from(time.as_secs()).ok();
            seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0)).map_or_else(String::new, instant::text_utc)
        };
        let renew = "renew the server's certificate, or set the clock if that is wrong";
        match cause {
            CertificateError::ExpiredContext { not_after, .. } => self.insecure(
                &format!("a certificate that ended at {}, while the clock shows {now}", instant(not_after)),
                renew,
            ),
            CertificateError::Expired => {
                self.insecure(&format!("a certificate that has ended, while the clock shows {now}"), renew)
            }
            CertificateError::NotValidYetContext { not_before, .. } => self.insecure(
                &format!("a certificate that begins at {}, while the clock shows {now}", instant(not_before)),
                "set the clock, or give the server a certificate that holds already",
            ),
            CertificateError::NotValidYet => self.insecure(
                &format!("a certificate that does not hold yet, while the clock shows {now}"),
                "set the clock, or give the server a certificate that holds already",
            ),
            CertificateError::UnknownIssuer => self.insecure(
                "a certificate of an authority that is not trusted (UnknownIssuer)",
                "name the authority's certificate as ca-certificate, or let the server send its whole chain",
            ),
            CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => self.insecure(
                &format!("a certificate for {}", names(presented)),
                &format!("write a name of the certificate in {}, or certify the server for this one", self.key),
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => self.insecure(
                "a certificate for another name",
                &format!("write the certificate's name in {}, or certify the server for this one", self.key),
            ),
            other => self.insecure(
                &format!("a certificate that cannot be taken ({other})"),
                "give the server another certificate",
            ),
        }
    }
}

/// The first names of a certificate. The library writes each as `DnsName("mqtt.hq.example")`.
fn names(presented: &[String]) -> String {
    let plain = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        inner.unwrap_or(name).trim_matches('"').to_owned()
    };
    let shown = presented.iter().take(NAMES_MAX).map(plain).collect::<Vec<_>>().join(", ");
    match presented.len().saturating_sub(NAMES_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_certificate_are_plain_and_few() {
        let presented = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
        assert_eq!(names(&presented(&["DnsName(\"a.example\")", "IpAddress(10.0.0.1)"])), "a.example, 10.0.0.1");
        assert_eq!(names(&presented(&["a", "b", "c", "d", "e"])), "a, b, c and 2 more");
    }
}
