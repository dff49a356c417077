//! The keys of the config file, with their defaults and bounds, table by table.

use std::{
    net::{Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

use chrono::NaiveTime;

use super::{
    Acknowledge, Board, Broker, Config, Credentials, Currency, Echo, Hq, OAuthClient, Outbox, Outlet, Page, Pos,
    Protocol, System, WithoutSubscribers, board,
    files::Origin,
    keys,
    read::{Read, Table, Value},
    value,
};
use crate::{
    secret::{Secret, SecretAt},
    texts::Language,
    zone::Zone,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Each connection is a thread; a shop has a handful.
const MAX_CONNECTIONS: usize = 32;

const DEFAULT_POLL_EVERY: Duration = Duration::from_secs(15);
const POLL_EVERY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60 * 60);
/// Qasir's own history: three months.
const DEFAULT_BACKFILL: Duration = DAY.saturating_mul(90);
const BACKFILL: RangeInclusive<Duration> = Duration::ZERO..=DAY.saturating_mul(3_650);
const REQUESTS_PER_MINUTE: RangeInclusive<u32> = 1..=6_000;

/// Where `tillbox authorize` listens for the browser that comes back.
const DEFAULT_REDIRECT_URI: &str = "http://127.0.0.1:8912/authorized";

const DEFAULT_TOPIC_PREFIX: &str = "tillbox";
const DEFAULT_WINDOW: u16 = 100;
const WINDOW: RangeInclusive<u16> = 1..=1_000;
const DEFAULT_KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(10 * 60);
const DEFAULT_EVENT_MAX_BYTES: usize = 128 << 10;
const EVENT_MAX_BYTES: RangeInclusive<u64> = 4 * KIB..=192 * KIB;

/// What lets the box in at Olsera's open API; its documented one has other keys.
const OPEN_API: [&str; 3] = ["app-id", "secret-key", "secret-key-file"];

const DEFAULT_OUTBOX_PATH: &str = "/var/lib/tillbox";
const DEFAULT_OUTBOX_MAX_BYTES: u64 = 512 * MIB;
/// From what the store needs for itself to more than any card holds.
const OUTBOX_MAX_BYTES: RangeInclusive<u64> = 32 * MIB..=4_096 * GIB;

/// This machine alone; the shop's phones need the box's own address, or all of them.
const DEFAULT_PAGE_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

const ACKNOWLEDGE: &str = "choose whose word lets the box forget a sale: `acknowledge = \"feed\"` keeps it until HQ's \
    `tillbox feed` says that it is stored; `acknowledge = \"broker\"` forgets it once the broker has it, for an HQ with \
    consumers of its own";

/// The whole document.
pub(super) fn config(root: &mut Table, origin: &Origin) -> Option<Config> {
    let outlet = root.table("outlet", Some("write `[outlet]` with id, timezone and currency"), outlet);
    let inherited = outlet.as_ref().map(|outlet| (outlet.timezone.clone(), outlet.currency));
    let mut listed = Listed::default();
    let pos = root.tables("pos", "write `[[pos]]` with name, system and its credentials", MAX_CONNECTIONS, |table| {
        pos(table, origin, inherited.as_ref(), &mut listed)
    });
    let hq = root.table("hq", Some("write `[hq]` with brokers and acknowledge"), |table| hq(table, origin));
    let outbox = root.table("outbox", None, |table| Some(outbox(table, origin)));
    let board = root.table("board", None, |table| Some(board::board(table, origin)));
    let page = root.table("page", None, |table| Some(page(table)));
    Some(Config {
        outlet: outlet?,
        pos: pos?,
        hq: hq?,
        outbox: outbox.unwrap_or_default(),
        board: board.unwrap_or(Board::None),
        page,
    })
}

/// Where the daemon can be asked, and a zone for its times: the outlet's, or UTC where that cannot be read.
pub(super) fn to_be_asked(root: &mut Table, origin: &Origin) -> Option<(PathBuf, Zone)> {
    let zone = root.table("outlet", None, |table| table.optional("timezone", value::zone));
    let path = root.table("outbox", None, |table| Some(outbox(table, origin).path));
    Some((path.unwrap_or_else(|| Outbox::default().path), zone.or_else(|| Zone::load("UTC").ok())?))
}

fn outlet(table: &mut Table) -> Option<Outlet> {
    let id = table.required("id", "add a line such as `id = \"jkt-014\"`", value::identifier);
    let name = table.optional("name", value::name);
    let timezone = table.required("timezone", "add a line such as `timezone = \"Asia/Jakarta\"`", value::zone);
    let currency = table.required("currency", "add a line such as `currency = \"IDR\"`", value::currency);
    let business_day_starts = table.or("business-day-starts", NaiveTime::MIN, value::time_of_day);
    Some(Outlet { id: id?, name, timezone: timezone?, currency: currency?, business_day_starts })
}

/// What the tables `[[pos]]` so far have taken.
#[derive(Default)]
struct Listed {
    /// Each with the table that it names.
    names: Vec<(String, String)>,
    /// Each with the table, and the name if it has one, of the connection that reads it.
    accounts: Vec<(Account, String)>,
}

/// Whose sales a connection reads.
#[derive(PartialEq, Eq)]
struct Account {
    system: System,
    base_url: String,
    /// What tells two accounts of one server apart; nothing where a server has only one shop.
    whose: Secret,
}

fn pos(table: &mut Table, origin: &Origin, inherited: Option<&(Zone, Currency)>, listed: &mut Listed) -> Option<Pos> {
    let here = table.path().to_owned();
    let name = table.required("name", "add a line such as `name = \"front\"`", |found| {
        let name = value::identifier(found)?;
        if let Some((_, there)) = listed.names.iter().find(|(known, _)| *known == name) {
            return Err(format!("`{name}` is already the name of {there}; give each connection a name of its own"));
        }
        listed.names.push((name.clone(), here.clone()));
        Ok(name)
    });
    let system = table.required("system", "add a line such as `system = \"qasir\"`", value::system);
    let assumed = system.unwrap_or_else(|| meant(table));
    let is_open_api = assumed == System::Olsera && OPEN_API.iter().any(|key| table.has(key));
    let is_bearer = assumed == System::PosKasir && ["token", "token-file"].iter().any(|key| table.has(key));
    table.elsewhere(move |key| match key {
        "merchant-id" | "api-key" | "api-key-file" if is_open_api => {
            Some(format!("Olsera has two ways in, and {} are the other; take out those of one", OPEN_API.join(", ")))
        }
        "email" | "password" | "password-file" if is_bearer => {
            Some("a token is given, and lets the box in by itself; take out one of the two ways".to_owned())
        }
        _ => keys::system_of(key, assumed.name()),
    });
    let (whose, credentials) = credentials(table, origin, assumed).unzip();
    let allow_plain_text = table.or("allow-plain-text", false, Value::boolean);
    let base_url = |found: &Value| value::base_url(found, allow_plain_text);
    let base_url = if let Some(default) = assumed.default_base_url(credentials.as_ref()) {
        Some(table.or("base-url", default.to_owned(), base_url))
    } else {
        let remedy =
            "add a line such as `base-url = \"http://192.168.1.10:8080/api/v1\"`: each shop has its own server";
        table.required("base-url", remedy, base_url)
    };
    if let (Some(system), Some(whose), Some(base_url)) = (system, whose, &base_url) {
        let account = Account { system, base_url: base_url.to_ascii_lowercase(), whose };
        one_account_once(table, name.as_deref(), account, listed);
    }
    let poll_every = table.or("poll-every", DEFAULT_POLL_EVERY, |found| value::duration(found, &POLL_EVERY));
    let backfill = table.or("backfill", DEFAULT_BACKFILL, |found| value::duration(found, &BACKFILL));
    let requests_per_minute = table.or("requests-per-minute", assumed.default_requests_per_minute(), |found| {
        value::count(found, &REQUESTS_PER_MINUTE)
    });
    if assumed == System::Asalta {
        // Its times and amounts name neither, and its shops stand in more than one country.
        table.require(
            &["timezone"],
            "add a line such as `timezone = \"Asia/Singapore\"`: Asalta's times do not say theirs",
        );
        table.require(&["currency"], "add a line such as `currency = \"SGD\"`: Asalta's amounts do not say theirs");
    }
    let timezone = table.optional("timezone", value::zone);
    let currency = table.optional("currency", value::currency);
    let ca_certificate = certificate(table, origin, "ca-certificate");
    if ca_certificate.is_some() && base_url.as_ref().is_some_and(|url| url.starts_with("http://")) {
        table.fault("ca-certificate", "has no use with an http:// address; take it out, or write https://");
    }
    Some(Pos {
        name: name?,
        system: system?,
        base_url: base_url?,
        credentials: credentials?,
        poll_every,
        backfill,
        requests_per_minute,
        timezone: timezone.or_else(|| inherited.map(|(zone, _)| zone.clone()))?,
        currency: currency.or_else(|| inherited.map(|(_, currency)| *currency))?,
        ca_certificate,
    })
}

/// The system that a table is of whose `system` cannot be read: the one whose keys it has, so that these are no faults.
fn meant(table: &Table) -> System {
    let has = |keys: &[&str]| keys.iter().any(|key| table.has(key));
    match table {
        _ if has(&["email", "password", "password-file"]) => System::PosKasir,
        _ if has(&["client-id", "client-secret", "client-secret-file", "redirect-uri"]) => System::Asalta,
        _ if has(&["merchant-id", "api-key", "api-key-file", "app-id", "secret-key", "secret-key-file"]) => {
            System::Olsera
        }
        _ => System::Qasir,
    }
}

/// What lets the box in, each system by its own keys, and what tells the account from another on the same server.
fn credentials(table: &mut Table, origin: &Origin, system: System) -> Option<(Secret, Credentials)> {
    match system {
        System::Qasir => bearer(table, origin, "add a line such as `token-file = \"/etc/tillbox/qasir.token\"`"),
        System::Olsera if OPEN_API.iter().any(|key| table.has(key)) => {
            let app_id = table.required("app-id", "add the line `app-id = \"…\"`, as Olsera gave it", value::account);
            let remedy = "add a line such as `secret-key-file = \"/etc/tillbox/olsera.key\"`";
            let secret_key = secret_at(table, origin, ["secret-key", "secret-key-file"], value::token, Some(remedy));
            let (app_id, (_, secret_key)) = (app_id?, secret_key?);
            Some((Secret::new(&*app_id), Credentials::App { app_id, secret_key }))
        }
        System::Olsera => {
            let merchant_id = table.required(
                "merchant-id",
                "add the line `merchant-id = \"…\"` and an api-key-file, or app-id and secret-key-file for the open API",
                value::account,
            );
            let remedy = "add a line such as `api-key-file = \"/etc/tillbox/olsera.key\"`";
            let api_key = secret_at(table, origin, ["api-key", "api-key-file"], value::token, Some(remedy));
            let (merchant_id, (_, api_key)) = (merchant_id?, api_key?);
            Some((Secret::new(&*merchant_id), Credentials::ApiKey { merchant_id, api_key }))
        }
        System::PosKasir if ["token", "token-file"].iter().any(|key| table.has(key)) => {
            let (_, credentials) = bearer(table, origin, "")?;
            Some((Secret::new(""), credentials))
        }
        System::PosKasir => {
            let remedy = "add the line `email = \"…\"` of a user that the box has for itself, a manager or an admin";
            let email = table.required("email", remedy, value::email);
            let remedy = "add a line such as `password-file = \"/etc/tillbox/pos-kasir.password\"`";
            let password = secret_at(table, origin, ["password", "password-file"], value::password, Some(remedy));
            let (email, (_, password)) = (email?, password?);
            // One server is one shop, whoever logs in.
            Some((Secret::new(""), Credentials::Login { email, password }))
        }
        System::Asalta => {
            let client_id =
                table.required("client-id", "add the line `client-id = \"…\"`, as Asalta gave it", value::account);
            let remedy = "add a line such as `client-secret-file = \"/etc/tillbox/asalta.secret\"`";
            let client_secret =
                secret_at(table, origin, ["client-secret", "client-secret-file"], value::token, Some(remedy));
            let redirect_uri = table.or("redirect-uri", DEFAULT_REDIRECT_URI.to_owned(), value::redirect_uri);
            let remedy =
                "add a line such as `token-file = \"/var/lib/tillbox/asalta.token\"`: `tillbox authorize` writes it";
            table.require(&["token-file", "token"], remedy);
            let here = table.secret("token", |found| origin.inline_secret(found.text("text in quotes")?, value::token));
            // Before the authorization the file is not there.
            let file = table.optional("token-file", |found| origin.resolve(found.text(A_PATH)?));
            if here.is_some() && file.is_some() {
                table.fault("token-file", "`token` is given too; keep one of them");
            }
            let token = file.map(SecretAt::File).or(here.map(SecretAt::Here))?;
            let (id, (_, secret)) = (client_id?, client_secret?);
            // Before the authorization there is no token; two of one application may still be two shops.
            let whose = token.read().ok().unwrap_or_else(|| Secret::new(format!("{:?}", token.file())));
            Some((whose, Credentials::OAuth { token, client: OAuthClient { id, secret, redirect_uri } }))
        }
    }
}

fn bearer(table: &mut Table, origin: &Origin, remedy: &str) -> Option<(Secret, Credentials)> {
    let (secret, token) = secret_at(table, origin, ["token", "token-file"], value::token, Some(remedy))?;
    Some((secret, Credentials::Bearer { token }))
}

/// A secret and where it stands: `keys` are that of the text itself and that of its file.
fn secret_at(
    table: &mut Table,
    origin: &Origin,
    keys: [&'static str; 2],
    check: fn(&str) -> Read<()>,
    remedy: Option<&str>,
) -> Option<(Secret, SecretAt)> {
    let [key, file_key] = keys;
    let file = table.optional_text(file_key).and_then(|text| origin.resolve(&text).ok());
    let secret = secret(table, origin, key, file_key, check);
    if let Some(remedy) = remedy {
        table.require(&[file_key, key], remedy);
    }
    let secret = secret?;
    let at = file.map_or_else(|| SecretAt::Here(secret.clone()), SecretAt::File);
    Some((secret, at))
}

/// Two connections to one account would each send every sale, and HQ could not know that the two are one.
fn one_account_once(table: &Table, name: Option<&str>, account: Account, listed: &mut Listed) {
    let called = |name: Option<&str>| name.map_or_else(|| table.path().to_owned(), |name| format!("`{name}`"));
    let here = called(name);
    if let Some((_, there)) = listed.accounts.iter().find(|(known, _)| *known == account) {
        let keys = ["token-file", "token", "merchant-id", "app-id", "base-url"];
        let key = keys.into_iter().find(|key| table.has(key)).unwrap_or("name");
        let rule = "have one system, base-url and account, so every sale would be counted twice";
        table.fault(key, format!("{there} and {here} {rule}; take one of them out, or give each its own account"));
    }
    listed.accounts.push((account, here));
}

fn hq(table: &mut Table, origin: &Origin) -> Option<Hq> {
    let allow_plain_text = table.or("allow-plain-text", false, Value::boolean);
    let mut listed: Vec<Broker> = Vec::new();
    let remedy = "write a list such as `brokers = [\"mqtts://mqtt.hq.example:8883\"]`";
    let brokers = table.each("brokers", remedy, |found| {
        let broker = value::broker(found, allow_plain_text)?;
        if listed.contains(&broker) {
            return Err(format!("`{broker}` is listed twice; take one out"));
        }
        listed.push(broker.clone());
        Ok(broker)
    });
    let acknowledge = table.required("acknowledge", ACKNOWLEDGE, |found| {
        value::one_of(found, &[("feed", Acknowledge::Feed), ("broker", Acknowledge::Broker)])
    });
    let topic_prefix = table.or("topic-prefix", DEFAULT_TOPIC_PREFIX.to_owned(), value::topic_prefix);
    let protocol = table.or("protocol", Protocol::Auto, |found| {
        value::one_of(found, &[("auto", Protocol::Auto), ("5", Protocol::V5), ("3.1.1", Protocol::V311)])
    });
    let echo = table.or("echo", Echo::Required, |found| {
        value::one_of(found, &[("required", Echo::Required), ("none", Echo::None)])
    });
    let without_subscribers = table.or("without-subscribers", WithoutSubscribers::Wait, |found| {
        value::one_of(found, &[("wait", WithoutSubscribers::Wait), ("accept", WithoutSubscribers::Accept)])
    });
    let username = table.optional("username", value::username);
    let password = secret(table, origin, "password", "password-file", value::password);
    let ca_certificate = certificate(table, origin, "ca-certificate");
    let client_certificate = certificate(table, origin, "client-certificate");
    let client_key_file = table.secret("client-key-file", |found| origin.private_key(found.text(A_PATH)?));
    let window = table.or("window", DEFAULT_WINDOW, |found| value::count(found, &WINDOW));
    let keep_alive = table.or("keep-alive", DEFAULT_KEEP_ALIVE, |found| value::duration(found, &KEEP_ALIVE));
    let event_max_bytes = table.or("event-max-size", DEFAULT_EVENT_MAX_BYTES, |found| {
        let bytes = value::size(found, &EVENT_MAX_BYTES)?;
        usize::try_from(bytes).map_err(|e| e.to_string())
    });

    for (given, absent) in [("client-certificate", "client-key-file"), ("client-key-file", "client-certificate")] {
        if table.has(given) && !table.has(absent) {
            table.require(
                &[absent],
                &format!(
                    "`{given}` is given, and neither has a use without the other; add {absent}, or take {given} out"
                ),
            );
        }
    }
    if ["password", "password-file"].iter().any(|key| table.has(key)) {
        table.require(
            &["username"],
            "a password is given, and MQTT takes none without a user name; add a line such as `username = \"jkt-014\"`",
        );
    }
    if brokers.as_ref().is_some_and(|list| !list.is_empty() && list.iter().all(|broker| !broker.tls)) {
        for key in ["ca-certificate", "client-certificate"].into_iter().filter(|key| table.has(key)) {
            table.fault(key, "has no use, as no broker is reached by mqtts://; take it out, or write mqtts://");
        }
    }
    Some(Hq {
        brokers: brokers?,
        topic_prefix,
        acknowledge: acknowledge?,
        protocol,
        echo,
        without_subscribers,
        username,
        password,
        ca_certificate,
        client_certificate,
        client_key_file,
        window,
        keep_alive,
        event_max_bytes,
    })
}

fn outbox(table: &mut Table, origin: &Origin) -> Outbox {
    let default = Outbox::default();
    Outbox {
        path: table.or("path", default.path, |found| origin.resolve(found.text(A_PATH)?)),
        max_bytes: table.or("max-size", default.max_bytes, |found| value::size(found, &OUTBOX_MAX_BYTES)),
        retired_connections: table
            .list("retired-connections", "write a list of names such as `[\"front\"]`", value::identifier)
            .unwrap_or_default(),
    }
}

fn page(table: &mut Table) -> Page {
    let listen = table.or("listen", DEFAULT_PAGE_LISTEN, value::listen);
    let languages = Language::ALL.map(|language| (language.code(), language));
    Page { listen, language: table.optional("language", |found| value::one_of(found, &languages)) }
}

const A_PATH: &str = "a path in quotes";

fn certificate(table: &mut Table, origin: &Origin, key: &'static str) -> Option<PathBuf> {
    table.optional(key, |found| origin.certificate(found.text(A_PATH)?))
}

/// A secret in the config itself or in a file of its own, not both.
fn secret(
    table: &mut Table,
    origin: &Origin,
    key: &'static str,
    file_key: &'static str,
    check: fn(&str) -> Read<()>,
) -> Option<Secret> {
    let inline = table.secret(key, |found| origin.inline_secret(found.text("text in quotes")?, check));
    let in_file = table.secret(file_key, |found| origin.secret(found.text(A_PATH)?, check));
    if table.has(key) && table.has(file_key) {
        table.fault(file_key, format!("`{key}` is given too; keep one of them"));
    }
    in_file.or(inline)
}

impl System {
    /// `None` where each shop has its own server.
    fn default_base_url(self, credentials: Option<&Credentials>) -> Option<&'static str> {
        Some(match (self, credentials) {
            (Self::Qasir, _) => "https://api.qasir.id/v1",
            (Self::Olsera, Some(Credentials::App { .. })) => "https://api-open.olsera.co.id/api/open-api/v1/id",
            (Self::Olsera, _) => "https://api.olsera.com/v1",
            (Self::PosKasir, _) => return None,
            (Self::Asalta, _) => "https://api.asalta.com",
        })
    }

    /// So that with the burst of ten that the budget allows no minute holds more than what is told: Qasir 50 a minute or
    /// 500 an hour, Olsera 80 of its 100, POS Kasir 30 of 100 that the tills need, too, and Asalta, which tells none, 30.
    fn default_requests_per_minute(self) -> u32 {
        match self {
            Self::Qasir => 8,
            Self::Olsera => 70,
            Self::PosKasir | Self::Asalta => 20,
        }
    }
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            path: PathBuf::from(DEFAULT_OUTBOX_PATH),
            max_bytes: DEFAULT_OUTBOX_MAX_BYTES,
            retired_connections: Vec::new(),
        }
    }
}
