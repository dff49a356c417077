//! What a fault of TLS means to a person: what was found, and what to do. A fault of TLS does not pass by waiting.
//!
//! The same words for HQ and the points of sale, in the daemon's conditions and in `tillbox check`.

use chrono::{DateTime, SubsecRound as _, Utc};
use rustls::{AlertDescription, CertificateError, pki_types::UnixTime};

use crate::instant;

/// Names of a certificate that are shown, at most.
const NAMES_MAX: usize = 3;

const RENEW: &str = "renew the server's certificate, or set the clock if that is wrong";
const SET_CLOCK: &str = "set the clock, or give the server a certificate that holds already";

/// A fault as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFault {
    /// What was found instead of a secure connection, such as `a certificate for another name`.
    pub found: String,
    /// What to do.
    pub remedy: String,
}

impl TlsFault {
    fn new(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { found: found.into(), remedy: remedy.into() }
    }

    /// Of a connection to the server to which this key of the config leads, at this instant.
    #[must_use]
    pub fn of(error: &rustls::Error, key: &str, now: DateTime<Utc>) -> Self {
        match error {
            rustls::Error::InvalidCertificate(cause) => untrusted(cause, key, now),
            rustls::Error::InvalidMessage(_) => {
                Self::new("an answer that is not TLS", format!("write the port of the server's TLS in {key}"))
            }
            rustls::Error::AlertReceived(
                AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure,
            ) => Self::new(
                format!("a server that ends the handshake ({error})"),
                "give the client-certificate that it asks for, with its client-key-file",
            ),
            other => Self::new(other.to_string(), "check the server's TLS settings, client-certificate and the clock"),
        }
    }
}

/// Why the server's certificate is not taken.
fn untrusted(cause: &CertificateError, key: &str, now: DateTime<Utc>) -> TlsFault {
    let now = instant::text_utc(now.trunc_subsecs(0));
    match cause {
        CertificateError::ExpiredContext { not_after, .. } => TlsFault::new(
            format!("a certificate that ended at {}, while the clock shows {now}", shown(*not_after)),
            RENEW,
        ),
        CertificateError::Expired => {
            TlsFault::new(format!("a certificate that has ended, while the clock shows {now}"), RENEW)
        }
        CertificateError::NotValidYetContext { not_before, .. } => TlsFault::new(
            format!("a certificate that begins at {}, while the clock shows {now}", shown(*not_before)),
            SET_CLOCK,
        ),
        CertificateError::NotValidYet => {
            TlsFault::new(format!("a certificate that does not hold yet, while the clock shows {now}"), SET_CLOCK)
        }
        CertificateError::UnknownIssuer => TlsFault::new(
            "a certificate of an authority that is not trusted (UnknownIssuer)",
            "name the authority's certificate as ca-certificate (or the server's own), or let the server send its whole \
             chain",
        ),
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => TlsFault::new(
            format!("a certificate for {}", names(presented)),
            format!("write a name of the certificate in {key}, or certify the server for this one"),
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => TlsFault::new(
            "a certificate for another name",
            format!("write the certificate's name in {key}, or certify the server for this one"),
        ),
        CertificateError::BadSignature => TlsFault::new(
            "a server that has not the key of the certificate that it shows",
            "give the server the key of its certificate, and look who else answers at this address",
        ),
        other => TlsFault::new(
            format!("a certificate that cannot be taken ({other})"),
            "name the server's own certificate as ca-certificate, or give the server another one",
        ),
    }
}

fn shown(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0)).map_or_else(String::new, instant::text_utc)
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

    #[test]
    fn a_fault_says_what_was_found_and_what_to_do() {
        let now = DateTime::UNIX_EPOCH;
        let of = |cause: CertificateError| TlsFault::of(&cause.into(), "base-url", now);
        let fault = of(CertificateError::UnknownIssuer);
        assert!(fault.found.contains("not trusted (UnknownIssuer)") && fault.remedy.contains("the server's own"));
        let ended = CertificateError::ExpiredContext {
            time: UnixTime::since_unix_epoch(std::time::Duration::ZERO),
            not_after: UnixTime::since_unix_epoch(std::time::Duration::from_secs(86_400)),
        };
        assert_eq!(
            of(ended).found,
            "a certificate that ended at 1970-01-02T00:00:00Z, while the clock shows 1970-01-01T00:00:00Z"
        );
        let other = CertificateError::NotValidForNameContext {
            expected: rustls::pki_types::ServerName::try_from("pos.example").expect("a name"),
            presented: vec!["DnsName(\"till.example\")".to_owned()],
        };
        assert_eq!(of(other).found, "a certificate for till.example");
        assert!(TlsFault::of(&rustls::Error::DecryptError, "base-url", now).remedy.contains("the clock"));
    }
}
