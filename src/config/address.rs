//! Addresses of servers: `scheme://host[:port][/path]`, and nothing that could hide a credential.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{nearest::suggestion, read::shown};

/// The longest name that DNS can hold.
const LONGEST_HOST_CHARS: usize = 253;
/// The longest part between two dots.
const LONGEST_LABEL_CHARS: usize = 63;

/// An address, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address<'a> {
    /// One of the schemes that were asked for.
    pub scheme: &'a str,
    pub host: Host<'a>,
    pub port: Option<u16>,
    /// Empty, or from the first slash on.
    pub path: &'a str,
}

/// Where the server stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Host<'a> {
    Name(&'a str),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl<'a> Address<'a> {
    /// Takes an address apart. What may hold a credential is refused without being shown.
    pub(super) fn parse(text: &'a str, schemes: &[&'a str]) -> Result<Self, String> {
        if text.contains('@') {
            return Err(
                "holds an `@`; take user and password out of the address, they have keys of their own".to_owned()
            );
        }
        if text.contains(['?', '#']) {
            return Err("has a query or a fragment; write the address without what begins at `?` or `#`".to_owned());
        }
        if !text.bytes().all(|b| b.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&b)) {
            return Err("holds a space or a character that no address has; write it in plain ASCII".to_owned());
        }
        let expected = schemes.iter().map(|scheme| format!("{scheme}://")).collect::<Vec<_>>().join(" or ");
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("{} has no scheme; write {expected} before it", shown(text)));
        };
        let Some(scheme) = schemes.iter().find(|known| **known == scheme) else {
            let meant = suggestion(scheme, schemes.iter().copied());
            return Err(format!("{} has another scheme; write {expected}{meant}", shown(text)));
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let bracketed = authority.strip_prefix('[').and_then(|inner| inner.split_once(']'));
        let (host, port) = if let Some((inner, port)) = bracketed {
            (inner.parse().ok().map(Host::V6), port)
        } else {
            let (name, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            (Host::parse(name), port)
        };
        let Some(host) = host else {
            return Err(format!(
                "{} has no valid host; write a name, an IPv4 address, or an IPv6 address in brackets",
                shown(text)
            ));
        };
        let port = match port.strip_prefix(':') {
            Some(number) => Some(
                port_number(number).ok_or_else(|| format!("{} has no valid port; expected 1 to 65535", shown(text)))?,
            ),
            None if port.is_empty() => None,
            None => {
                return Err(format!(
                    "{} has something between its host and its path; write only `:` and a port",
                    shown(text)
                ));
            }
        };
        Ok(Self { scheme, host, port, path })
    }
}

impl Address<'_> {
    /// The host as an address has it: IPv6 in brackets.
    pub(super) fn host_in_address(&self) -> String {
        match self.host {
            Host::V6(address) => format!("[{address}]"),
            _ => self.host.to_string(),
        }
    }
}

impl<'a> Host<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        if let Ok(address) = text.parse() {
            return Some(Self::V4(address));
        }
        let plain = |label: &str| {
            (1..=LONGEST_LABEL_CHARS).contains(&label.len())
                && !label.starts_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        // A name that ends in a number is a mistyped IPv4 address; no top-level domain is one.
        let numeric = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        (text.len() <= LONGEST_HOST_CHARS && text.split('.').all(plain) && !numeric).then_some(Self::Name(text))
    }

    /// This very machine: nothing on the network can listen.
    pub(super) fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name.eq_ignore_ascii_case("localhost"),
            Self::V4(address) => address.is_loopback(),
            Self::V6(address) => address.is_loopback(),
        }
    }
}

/// An IPv6 address without its brackets.
impl std::fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => address.fmt(f),
        }
    }
}

fn port_number(text: &str) -> Option<u16> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten().filter(|port| *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMES: [&str; 2] = ["https", "http"];

    #[test]
    fn an_address_is_taken_apart() {
        let address = Address::parse("https://api.qasir.id:8443/v1/x", &SCHEMES).expect("valid");
        assert_eq!(
            address,
            Address { scheme: "https", host: Host::Name("api.qasir.id"), port: Some(8443), path: "/v1/x" }
        );
        let address = Address::parse("http://[::1]:80", &SCHEMES).expect("valid");
        assert_eq!((address.host.to_string().as_str(), address.port, address.path), ("::1", Some(80), ""));
    }

    #[test]
    fn only_loopback_is_loopback() {
        for (text, loopback) in [
            ("http://localhost", true),
            ("http://LOCALHOST:1", true),
            ("http://127.8.9.10", true),
            ("http://[::1]", true),
            ("http://localhost.example", false),
            ("http://127.example", false),
            ("http://10.0.0.1", false),
            ("http://[::2]", false),
            ("http://[::ffff:10.0.0.1]", false),
        ] {
            assert_eq!(Address::parse(text, &SCHEMES).expect(text).host.is_loopback(), loopback, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "https://",
            "https:///v1",
            "api.qasir.id",
            "ftp://a",
            "HTTPS://a",
            "https://a:",
            "https://a:0",
            "https://a:65536",
            "https://a:+1",
            "https://a..b",
            "https://-a",
            "https://10.0.0.300",
            "https://[::1",
            "https://[::1]x",
            "https://[a]",
            "https://::1",
            "https://a b",
            "https://a/\n",
            "https://ä",
            "https://a?key=1",
            "https://a/#x",
            "https://a\\b",
        ] {
            assert!(Address::parse(text, &SCHEMES).is_err(), "{text}");
        }
    }

    #[test]
    fn what_may_be_a_credential_is_not_shown() {
        for text in [
            "https://user:hunter2@a",
            "user:hunter2@a",
            "ftp://hunter2@a/b",
            "https://a/v1?token=hunter2",
            "https://a#hunter2",
        ] {
            let message = Address::parse(text, &SCHEMES).expect_err("refused");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
