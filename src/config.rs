//! The config file: one strict TOML document.
//!
//! A config is right as a whole or not at all: [`Config::load`] reads on after every fault and tells all of them at
//! once, each with its place, its key and a way out. What a key means, its default and its bounds stand in `schema`;
//! how a document is walked, in `read`; what single values look like, in `value`.
//!
//! - Unknown keys are faults: a misspelt key must not silently leave a default in force.
//! - Whose word lets the box forget a sale has no default: the shop's owner chooses.
//! - A secret appears in no fault, no `Debug` and no summary, and neither does what may be one by mistake.
//! - Files that the config names are looked at here, so that a bad path is told by `tillbox check` and not at night.
//!
//! Deliberately absent: environment variables, includes and merging; one file says it all.

mod address;
mod board;
mod currency;
mod excerpt;
mod fault;
mod files;
mod keys;
mod meant;
mod nearest;
mod read;
mod schema;
mod summary;
mod unit;
mod value;

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{self, Read as _},
    net::{Ipv6Addr, SocketAddr},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::NaiveTime;

pub(crate) use self::unit::size_text;
pub use self::{
    currency::Currency,
    fault::{Fault, Faults, Position},
    files::{Arrival, Arriving, Origin, is_remains_of},
    unit::patience,
};
use crate::{
    board::profile::{Line, Profile},
    secret::{Secret, SecretAt},
    texts::Language,
    zone::Zone,
};

/// Far more than any shop needs; it bounds the work that a wrong file can make.
const MAX_CONFIG_BYTES: u64 = 64 * 1024;

/// Everything a technician can set, checked as a whole.
#[derive(Debug, Clone)]
pub struct Config {
    /// The shop.
    pub outlet: Outlet,
    /// At least one; names are unique.
    pub pos: Vec<Pos>,
    /// Where the events go.
    pub hq: Hq,
    /// Where they are kept until then.
    pub outbox: Outbox,
    /// LEDs and printer lines.
    pub board: Board,
    /// The page on the local network, if it is wanted.
    pub page: Option<Page>,
}

/// `[outlet]`: the shop in which the box stands.
#[derive(Debug, Clone)]
pub struct Outlet {
    /// Part of every topic and identity: 1 to 64 of `A-Z a-z 0-9 . _ -`.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
    /// The zone of its business days.
    pub timezone: Zone,
    /// What its tills take.
    pub currency: Currency,
    /// Local time at which a business day begins; sales before it count for the day before.
    pub business_day_starts: NaiveTime,
}

impl Outlet {
    /// The name that the box has at HQ's broker.
    #[must_use]
    pub fn client_id(&self) -> String {
        format!("tillbox-{}", self.id)
    }
}

/// `[[pos]]`: one account at one point-of-sale system.
#[derive(Debug, Clone)]
pub struct Pos {
    /// The connection; part of every identity (same rule as the outlet's id).
    pub name: String,
    /// What answers there.
    pub system: System,
    /// Without a trailing slash, `http://` or `https://`.
    pub base_url: String,
    /// What lets the box in.
    pub credentials: Credentials,
    /// From one poll for news to the next.
    pub poll_every: Duration,
    /// How far back a new store reads.
    pub backfill: Duration,
    /// The rate budget of everything that the connection asks.
    pub requests_per_minute: u32,
    /// The zone of the system's local times.
    pub timezone: Zone,
    /// The currency of its amounts.
    pub currency: Currency,
    /// A PEM file of authorities to trust instead of the system's.
    pub ca_certificate: Option<PathBuf>,
}

/// The point-of-sale systems that this version can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// Qasir.
    Qasir,
    /// Olsera, by the API of the document or by its open API, as the credentials say.
    Olsera,
    /// POS Kasir, which each shop hosts itself.
    PosKasir,
    /// Asalta.
    Asalta,
}

impl System {
    /// Every system.
    pub const ALL: [Self; 4] = [Self::Qasir, Self::Olsera, Self::PosKasir, Self::Asalta];

    /// The name in the config, in records and in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Qasir => "qasir",
            Self::Olsera => "olsera",
            Self::PosKasir => "pos-kasir",
            Self::Asalta => "asalta",
        }
    }
}

/// What a connection shows to the POS to be let in.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Qasir, and POS Kasir behind a front that takes it: `Authorization: Bearer …`; printable ASCII without spaces.
    Bearer {
        /// The token.
        token: SecretAt,
    },
    /// Olsera by the API of the document: `X-API-Key`, and the merchant in every query.
    ApiKey {
        /// Whose sales they are.
        merchant_id: String,
        /// The key.
        api_key: SecretAt,
    },
    /// Olsera's open API: a token is asked for with these.
    App {
        /// `app_id`.
        app_id: String,
        /// `secret_key`.
        secret_key: SecretAt,
    },
    /// POS Kasir: a login makes a session.
    Login {
        /// Of a user that the box has for itself, a manager or an admin.
        email: String,
        /// Its password.
        password: SecretAt,
    },
    /// Asalta: `tillbox authorize` makes the token.
    OAuth {
        /// Where the token stands, or will.
        token: SecretAt,
        /// The application that asks for it.
        client: OAuthClient,
    },
}

/// An application as it is known to Asalta.
#[derive(Debug, Clone)]
pub struct OAuthClient {
    /// `client_id`.
    pub id: String,
    /// `client_secret`.
    pub secret: SecretAt,
    /// `redirect_uri`, as it was registered.
    pub redirect_uri: String,
}

impl Credentials {
    /// The one secret that a connector works with.
    #[must_use]
    pub fn secret(&self) -> &SecretAt {
        match self {
            Self::Bearer { token } | Self::OAuth { token, .. } => token,
            Self::ApiKey { api_key, .. } => api_key,
            Self::App { secret_key, .. } => secret_key,
            Self::Login { password, .. } => password,
        }
    }

    /// What names the account beside the base URL, where it is no secret; else nothing.
    #[must_use]
    pub fn account(&self) -> &str {
        match self {
            Self::ApiKey { merchant_id: account, .. } | Self::App { app_id: account, .. } => account,
            Self::Bearer { .. } | Self::Login { .. } | Self::OAuth { .. } => "",
        }
    }
}

/// `[hq]`: where the events go.
#[derive(Debug, Clone)]
pub struct Hq {
    /// At least one, in the order in which they are tried.
    pub brokers: Vec<Broker>,
    /// The levels above the outlet's id in every topic.
    pub topic_prefix: String,
    /// Whose word lets the box forget an event.
    pub acknowledge: Acknowledge,
    /// Which version of MQTT is spoken.
    pub protocol: Protocol,
    /// What a broker of MQTT 3.1.1 must prove before its word lets the box forget.
    pub echo: Echo,
    /// What an acknowledgement means by which the broker says that nobody subscribes.
    pub without_subscribers: WithoutSubscribers,
    /// The broker's user; there whenever a password is.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// A PEM file of authorities to trust instead of the system's.
    pub ca_certificate: Option<PathBuf>,
    /// A PEM file with the box's own certificate; there exactly if its key is.
    pub client_certificate: Option<PathBuf>,
    /// A PEM file with the key to that certificate.
    pub client_key_file: Option<PathBuf>,
    /// Events published and not yet acknowledged, at most.
    pub window: u16,
    /// The longest silence on the line before the box pings.
    pub keep_alive: Duration,
    /// The largest event that is published.
    pub event_max_bytes: usize,
}

/// One of HQ's brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Whether the line is encrypted.
    pub tls: bool,
    /// A name or an address; IPv6 without brackets.
    pub host: String,
    /// From 1 on.
    pub port: u16,
}

/// Whose word lets the box forget an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledge {
    /// HQ's feed says `stored`.
    Feed,
    /// The broker's PUBACK.
    Broker,
}

/// Which version of MQTT the line speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT 5, and 3.1.1 where the broker does not speak it.
    Auto,
    /// MQTT 5 alone.
    V5,
    /// MQTT 3.1.1 alone.
    V311,
}

/// What a broker of MQTT 3.1.1 must prove with `acknowledge = "broker"`. Its acknowledgement has no reason code: some
/// acknowledge what their access rules deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// A `hello` on each topic, as large as the events, came back on this connection.
    Required,
    /// Nothing: what it acknowledges counts.
    None,
}

/// What MQTT 5's "no matching subscribers" (reason code 0x10) means for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutSubscribers {
    /// The event stays here until somebody subscribes.
    Wait,
    /// It was delivered: the broker has rules that read without a subscription.
    Accept,
}

/// `[outbox]`: the store on this box.
#[derive(Debug, Clone)]
pub struct Outbox {
    /// Its folder.
    pub path: PathBuf,
    /// What it may take on the card.
    pub max_bytes: u64,
    /// Names of connections that are gone for good: others may then read the same source.
    pub retired_connections: Vec<String>,
}

/// `[board]`: LEDs and printer lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Board {
    /// No hardware.
    None,
    /// Lines of a board.
    Profile(Profile),
}

impl Board {
    /// Its lines: none without hardware.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        match self {
            Self::None => &[],
            Self::Profile(profile) => &profile.lines,
        }
    }
}

/// `[page]`: what the box shows to a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its language; `None` for each browser's own.
    pub language: Option<Language>,
}

impl Config {
    /// Reads and checks a config file and the files that it names.
    ///
    /// # Errors
    /// Every fault, at once.
    pub fn load(path: &Path) -> Result<Self, Faults> {
        let (text, mode) = Self::read(path)?;
        Self::parse(&text, &Origin { path, mode, arriving: None })
    }

    /// Reads and checks a config file that is to lie at `place`, nobody else's to read, together with the files that it
    /// names: those which lie beside it are to lie beside it there. Gives the file's text and these names, too.
    ///
    /// # Errors
    /// Every fault, at once, by the name that the file has now.
    pub fn load_arriving(path: &Path, place: &Path) -> Result<(Self, String, BTreeMap<String, Arrival>), Faults> {
        let (text, _) = Self::read(path)?;
        let arriving = Arriving::from(path.parent().unwrap_or(Path::new("")));
        let origin = Origin { path: place, mode: 0o600, arriving: Some(&arriving) };
        let config = Self::parse(&text, &origin).map_err(|faults| faults.named(path))?;
        Ok((config, text, arriving.found()))
    }

    /// The board that a config file names, however faulty the rest of it is; `None` where nothing can be said.
    #[must_use]
    pub fn board_of(path: &Path) -> Option<Board> {
        let (text, mode) = Self::read(path).ok()?;
        let origin = Origin { path, mode, arriving: None };
        let mut board = None;
        let _the_faults_are_told_by_who_reads_all_of_it = read::Document::parse(&text).read(path, |root| {
            board = root.table("board", None, |table| Some(board::board(table, &origin)));
            None::<()>
        });
        board
    }

    /// Where the daemon of a config can be asked, and a zone to show its times in, however faulty the rest is: a running
    /// daemon goes on with what it read at its start. `None` where nothing can be said.
    #[must_use]
    pub fn to_be_asked(path: &Path) -> Option<(PathBuf, Zone)> {
        let (text, mode) = Self::read(path).ok()?;
        let origin = Origin { path, mode, arriving: None };
        let mut place = None;
        let _the_faults_are_told_by_who_reads_all_of_it = read::Document::parse(&text).read(path, |root| {
            place = schema::to_be_asked(root, &origin);
            None::<()>
        });
        place
    }

    /// The board of a profile that comes with the program.
    #[must_use]
    pub fn known_board(name: &str) -> Option<Board> {
        board::known(name).map(Board::Profile)
    }

    /// The text of a config file, and its permission bits.
    fn read(path: &Path) -> Result<(String, u32), Faults> {
        let unreadable = |error: &io::Error| Faults::whole(path, format!("cannot be read: {}", files::reason(error)));
        let file = File::open(path).map_err(|e| unreadable(&e))?;
        // Of the open file, not of the path: another file may stand there by now.
        let mode = file.metadata().map_err(|e| unreadable(&e))?.permissions().mode();
        let mut bytes = Vec::new();
        file.take(MAX_CONFIG_BYTES + 1).read_to_end(&mut bytes).map_err(|e| unreadable(&e))?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_CONFIG_BYTES) {
            let message = format!("is longer than {}; is this the config file?", unit::size_text(MAX_CONFIG_BYTES));
            return Err(Faults::whole(path, message));
        }
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err(Faults::whole(path, "is UTF-16; save the file as UTF-8".to_owned()));
        }
        if bytes.contains(&0) {
            let message = "holds zero bytes: it was not copied whole, or is UTF-16; copy it again, saved as UTF-8";
            return Err(Faults::whole(path, message.to_owned()));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.split(|byte| *byte == b'\n').count();
            Faults::whole(path, format!("line {line} is not UTF-8; save the file as UTF-8"))
        })?;
        Ok((text, mode))
    }

    /// Checks a config's text, and the files that it names, as if it were the content of `origin`.
    ///
    /// # Errors
    /// Every fault, at once.
    pub fn parse(text: &str, origin: &Origin) -> Result<Self, Faults> {
        if let Some((at, message)) = meant::other_language(text) {
            return Err(read::Document::parse(text).refused(origin.path, at, &message));
        }
        read::Document::parse(text).read(origin.path, |root| schema::config(root, origin))
    }
}

/// As the config writes it: `mqtts://mqtt.hq.example:8883`.
impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        match self.host.parse::<Ipv6Addr>() {
            Ok(address) => write!(f, "{scheme}://[{address}]:{}", self.port),
            Err(_) => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}
