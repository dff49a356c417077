//! The config file: one strict TOML document.

use std::{path::PathBuf, time::Duration};
use chrono::NaiveTime;
use crate::{secret::Secret, zone::Zone};

/// Everything a technician can set, checked as a whole.
#[derive(Debug, Clone)]
pub struct Config {
    pub outlet: Outlet,
    /// At least one; names are unique.
    pub pos: Vec<Pos>,
    pub hq: Hq,
    pub outbox: Outbox,
    pub board: Board,
}

/// `[outlet]`: the shop in which the box stands.
#[derive(Debug, Clone)]
pub struct Outlet {
    /// Part of every topic and identity: 1 to 64 of `A-Z a-z 0-9 . _ -`.
    pub id: String,
    pub name: Option<String>,
    pub timezone: Zone,
    pub currency: Currency,
    /// Local time at which a business day begins; sales before it count for the day before.
    pub business_day_starts: NaiveTime,
}

/// `[[pos]]`: one account at one point-of-sale system.
#[derive(Debug, Clone)]
pub struct Pos {
    /// The connection; part of every identity (same rule as the outlet's id).
    pub name: String,
    pub system: System,
    /// Without a trailing slash, `http://` or `https://`.
    pub base_url: String,
    pub credentials: Credentials,
    pub poll_every: Duration,
    pub backfill: Duration,
    pub requests_per_minute: u32,
    pub timezone: Zone,
    pub currency: Currency,
    /// A PEM file of authorities to trust instead of the system's.
    pub ca_certificate: Option<PathBuf>,
}

/// The point-of-sale systems that this version can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System { Qasir }

/// What a connection shows to the POS to be let in.
#[derive(Debug, Clone)]
pub enum Credentials { BearerToken(Secret) }

/// `[hq]`: where the events go.
#[derive(Debug, Clone)]
pub struct Hq {
    /// At least one, in the order in which they are tried.
    pub brokers: Vec<Broker>,
    pub topic_prefix: String,
    pub acknowledge: Acknowledge,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub ca_certificate: Option<PathBuf>,
    pub client_certificate: Option<PathBuf>,
    pub client_key_file: Option<PathBuf>,
    /// Events published and not yet acknowledged, at most.
    pub window: u16,
    pub keep_alive: Duration,
    pub event_max_bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker { pub tls: bool, pub host: String, pub port: u16 }

/// Whose word lets the box forget an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledge {
    /// HQ's feed says `stored`.
    Feed,
    /// The broker's PUBACK.
    Broker,
}

/// `[outbox]`: the store on this box.
#[derive(Debug, Clone)]
pub struct Outbox { pub path: PathBuf, pub max_bytes: u64 }

/// `[board]`: LEDs and printer lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Board { None }

/// An ISO 4217 code, such as `IDR`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

// A stand-in until the config's own reading of a currency arrives.
impl Currency {
    /// The code of a currency, three capital letters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let code: [u8; 3] = text.as_bytes().try_into().ok()?;
        code.iter().all(u8::is_ascii_uppercase).then_some(Self(code))
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Display for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Debug for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a currency is three capital letters"))
    }
}
