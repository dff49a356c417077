//! What single values must look like, each as a function from the value to what it means or to what is wrong with it.

use std::{collections::BTreeMap, net::SocketAddr, ops::RangeInclusive, time::Duration};

use chrono::NaiveTime;

use super::{
    Broker, Currency, System,
    address::Address,
    meant,
    nearest::{nearest, suggestion},
    read::{Read, Value, shown},
    unit,
};
use crate::zone::Zone;

const MAX_IDENTIFIER_CHARS: usize = 64;
const MAX_NAME_CHARS: usize = 128;
const MAX_TOPIC_PREFIX_BYTES: usize = 256;
const MAX_USERNAME_BYTES: usize = 256;
/// What MQTT's password field can hold.
const MAX_PASSWORD_BYTES: usize = 65_535;
/// The ports that MQTT has at IANA, with TLS and without.
const MQTTS_PORT: u16 = 8883;
const MQTT_PORT: u16 = 1883;

/// An outlet's id or a connection's name.
pub(super) fn identifier(value: &Value) -> Read<String> {
    let rule = format!("1 to {MAX_IDENTIFIER_CHARS} of A-Z a-z 0-9 . _ -");
    let text = value.text(&format!("text in quotes, {rule}"))?;
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    refuse_placeholder(text)?;
    if plain && (1..=MAX_IDENTIFIER_CHARS).contains(&text.len()) {
        return Ok(text.to_owned());
    }
    Err(format!("{} is no identifier; expected {rule}", shown(text)))
}

/// A name for people.
pub(super) fn name(value: &Value) -> Read<String> {
    let text = value.text("text in quotes")?.trim();
    if (1..=MAX_NAME_CHARS).contains(&text.chars().count()) && !text.contains(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(format!("{} is no name; expected 1 to {MAX_NAME_CHARS} characters on one line", shown(text)))
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(value: &Value, words: &[(&str, T)]) -> Read<T> {
    let expected = words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ");
    let text = value.text(&expected)?;
    if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*meaning);
    }
    let meant = suggestion(text, words.iter().map(|(word, _)| *word));
    Err(format!("{} is unknown; expected {expected}{meant}", shown(text)))
}

/// A point-of-sale system.
pub(super) fn system(value: &Value) -> Read<System> {
    one_of(value, &System::ALL.map(|system| (system.name(), system)))
}

/// A short text that a system gave to name an account: printable ASCII without spaces.
pub(super) fn account(value: &Value) -> Read<String> {
    let expected = format!("1 to {MAX_IDENTIFIER_CHARS} printable characters without spaces, in quotes");
    let text = value.text(&expected)?;
    refuse_placeholder(text)?;
    if (1..=MAX_IDENTIFIER_CHARS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(format!("{} is not what a system gives; expected {expected}", shown(text)))
}

/// The address with which a person logs in.
pub(super) fn email(value: &Value) -> Read<String> {
    let expected = "an e-mail address in quotes, such as \"box@shop.example\"";
    let text = value.text(expected)?;
    refuse_placeholder(text)?;
    let odd = |c: char| c.is_control() || c == ' ' || meant::is_unseen(c);
    let plain = text.len() <= MAX_USERNAME_BYTES && !text.contains(odd);
    match text.split_once('@') {
        Some((user, host)) if plain && !user.is_empty() && !host.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("{} is no e-mail address; expected {expected}", shown(text))),
    }
}

/// Where a browser is sent back to with a code: this machine itself, or a page from which a person copies the address.
pub(super) fn redirect_uri(value: &Value) -> Read<String> {
    let expected = "an address in quotes as it was registered, https://… or http://127.0.0.1:PORT/…";
    let text = value.text(expected)?;
    let loopback = ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"].iter().any(|own| text.starts_with(own));
    let plain = text.len() <= 512 && text.bytes().all(|b| b.is_ascii_graphic()) && !text.contains('#');
    if plain && (loopback || text.starts_with("https://")) {
        return Ok(text.to_owned());
    }
    Err(format!("{} cannot be used; expected {expected}", shown(text)))
}

/// An address and a port of this machine. A name would have to be looked up before there is a network.
pub(super) fn listen(value: &Value) -> Read<SocketAddr> {
    let expected =
        "an address and a port in quotes, such as \"127.0.0.1:8080\", or \"0.0.0.0:8080\" for the whole network";
    let text = value.text(expected)?;
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() > 0 => Ok(address),
        _ => Err(format!("{} is no address to listen on; expected {expected}", shown(text))),
    }
}

/// A time zone of the system's own database.
pub(super) fn zone(value: &Value) -> Read<Zone> {
    let text = value.text("an IANA zone name in quotes, such as \"Asia/Jakarta\"")?;
    Zone::load(text).map_err(|error| {
        if let Some(told) = meant::zone(text) {
            return told;
        }
        let names = Zone::names();
        let city = |name: &str| name.rsplit('/').next().unwrap_or_default().to_lowercase();
        // "Jakarta" is no misspelling of "Asia/Jakarta", but it is what people write.
        let meant = nearest(text, names.iter().map(String::as_str)).or_else(|| {
            let cities: BTreeMap<String, &str> = names.iter().map(|name| (city(name), name.as_str())).collect();
            nearest(&city(text), cities.keys().map(String::as_str)).and_then(|found| cities.get(found).copied())
        });
        match meant {
            Some(meant) => format!("{} is no time zone of this system; did you mean `{meant}`?", shown(text)),
            None => error.to_string(),
        }
    })
}

/// A currency.
pub(super) fn currency(value: &Value) -> Read<Currency> {
    let text = value.text("an ISO 4217 code in quotes, such as \"IDR\"")?;
    Currency::parse(text).ok_or_else(|| {
        let meant = meant::currency(text).map(|code| format!("; did you mean `{code}`?"));
        let meant = meant.unwrap_or_else(|| suggestion(text, Currency::codes()));
        format!("{} is not an active ISO 4217 code; expected three capitals such as \"IDR\"{meant}", shown(text))
    })
}

/// A time of day, such as `04:00`.
pub(super) fn time_of_day(value: &Value) -> Read<NaiveTime> {
    let expected = "a time of day in quotes, from \"00:00\" to \"23:59\"";
    let text = value.text(expected)?;
    let two = |digits: &str| {
        (digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
    };
    let time = text.split_once(':').and_then(|(hour, minute)| NaiveTime::from_hms_opt(two(hour)?, two(minute)?, 0));
    time.ok_or_else(|| format!("{} is no time of day; expected {expected}", shown(text)))
}

/// A duration within bounds.
pub(super) fn duration(value: &Value, bounds: &RangeInclusive<Duration>) -> Read<Duration> {
    let text = value.text("a duration in quotes, such as \"15s\"")?;
    unit::duration(text, bounds).map_err(|message| format!("{} {message}", shown(text)))
}

/// A size in bytes within bounds.
pub(super) fn size(value: &Value, bounds: &RangeInclusive<u64>) -> Read<u64> {
    let text = value.text("a size in quotes, such as \"512MiB\"")?;
    unit::size(text, bounds).map_err(|message| format!("{} {message}", shown(text)))
}

/// A count within bounds.
pub(super) fn count<T: TryFrom<i64> + PartialOrd + std::fmt::Display>(
    value: &Value,
    bounds: &RangeInclusive<T>,
) -> Read<T> {
    let expected = format!("a whole number, {} to {}", bounds.start(), bounds.end());
    let number = value.integer(&expected)?;
    let count = T::try_from(number).ok().filter(|count| bounds.contains(count));
    count.ok_or_else(|| format!("`{number}` is out of bounds; expected {expected}"))
}

/// Levels of an MQTT topic.
pub(super) fn topic_prefix(value: &Value) -> Read<String> {
    let text = value.text("MQTT topic levels in quotes, such as \"tillbox\"")?;
    let level = |level: &str| {
        !level.is_empty() && !level.contains(|c: char| c == '+' || c == '#' || c.is_control() || meant::is_unseen(c))
    };
    if text.len() <= MAX_TOPIC_PREFIX_BYTES && !text.starts_with('$') && text.split('/').all(level) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{} is no topic prefix; expected levels with single slashes between them, without + or #, not beginning with $, \
         {MAX_TOPIC_PREFIX_BYTES} bytes at most",
        shown(text)
    ))
}

/// A user of the broker.
pub(super) fn username(value: &Value) -> Read<String> {
    let text = value.text("text in quotes")?;
    refuse_placeholder(text)?;
    if (1..=MAX_USERNAME_BYTES).contains(&text.len()) && !text.contains(|c: char| c.is_control() || meant::is_unseen(c))
    {
        return Ok(text.to_owned());
    }
    Err(format!("{} is no user name; expected 1 to {MAX_USERNAME_BYTES} bytes on one line", shown(text)))
}

/// Whether a text can stand in an HTTP header as a token.
pub(super) fn token(text: &str) -> Read<()> {
    let begin = text.trim_start().to_ascii_lowercase();
    if begin.starts_with("bearer ") || begin.starts_with("authorization:") {
        return Err("begins with `Bearer`, which the box says itself; write only what stands behind it".to_owned());
    }
    if meant::is_placeholder(text) {
        return Err(A_PLACEHOLDER.to_owned());
    }
    let quoted = |quote: char| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote);
    if ['"', '\''].into_iter().any(quoted) {
        return Err("stands in quotes of its own; write the token without them".to_owned());
    }
    match text.char_indices().find(|(_, c)| !c.is_ascii_graphic()) {
        _ if text.is_empty() => Err("is empty; write the token".to_owned()),
        Some((at, c)) => Err(format!(
            "has a character that no token has, as number {}: {}; copy the token again",
            text[..at].chars().count() + 1,
            meant::called(c)
        )),
        None => Ok(()),
    }
}

const A_PLACEHOLDER: &str = "is a placeholder that was left in; write the real one";

fn refuse_placeholder(text: &str) -> Read<()> {
    if meant::is_placeholder(text) { Err(format!("{} {A_PLACEHOLDER}", shown(text))) } else { Ok(()) }
}

/// Whether a text can be an MQTT password, which other than a header's text need not be ASCII.
pub(super) fn password(text: &str) -> Read<()> {
    if text.is_empty() {
        return Err("is empty; write the password".to_owned());
    }
    if meant::is_placeholder(text) {
        return Err(A_PLACEHOLDER.to_owned());
    }
    if text.contains(char::is_control) {
        return Err("has a control character, such as a line's end; write the password alone".to_owned());
    }
    if text.len() > MAX_PASSWORD_BYTES {
        return Err(format!("is longer than {MAX_PASSWORD_BYTES} bytes, which MQTT cannot carry"));
    }
    Ok(())
}

/// The address of a POS, without a trailing slash.
pub(super) fn base_url(value: &Value, allow_plain_text: bool) -> Read<String> {
    let text = value.text("an address in quotes, such as \"https://api.qasir.id/v1\"")?;
    refuse_placeholder_in(text)?;
    let address = Address::parse(text, &["https", "http"])?;
    refuse_plain_text(&address, "http", allow_plain_text)?;
    Ok(text.trim_end_matches('/').to_owned())
}

/// The address of a broker.
pub(super) fn broker(value: &Value, allow_plain_text: bool) -> Read<Broker> {
    let text = value.text("an address in quotes, such as \"mqtts://mqtt.hq.example:8883\"")?;
    refuse_placeholder_in(text)?;
    let address = Address::parse(text, &["mqtts", "mqtt"])?;
    if !matches!(address.path, "" | "/") {
        return Err(format!("{} has a path, and a broker has none; end it after the port", shown(text)));
    }
    if address.scheme == "mqtt" && address.port == Some(MQTTS_PORT) && !address.host.is_loopback() {
        return Err(format!(
            "{} asks for MQTT without TLS at the port of MQTT with TLS; write `mqtts://{}:{MQTTS_PORT}`, or the other port, \
             as a rule {MQTT_PORT}",
            shown(text),
            address.host_in_address()
        ));
    }
    refuse_plain_text(&address, "mqtt", allow_plain_text)?;
    let tls = address.scheme == "mqtts";
    let port = address.port.unwrap_or(if tls { MQTTS_PORT } else { MQTT_PORT });
    Ok(Broker { tls, host: address.host.to_string(), port })
}

/// What has a user and a password in it is not shown.
fn refuse_placeholder_in(address: &str) -> Read<()> {
    if address.contains(['@', '?', '#']) || !meant::has_placeholder(address) {
        return Ok(());
    }
    Err(format!("{} has a placeholder in it that was left in; write the real address", shown(address)))
}

fn refuse_plain_text(address: &Address, plain: &str, allowed: bool) -> Read<()> {
    if address.scheme != plain || allowed || address.host.is_loopback() {
        return Ok(());
    }
    Err(format!(
        "{plain}:// shows sales and credentials to the network on the way to {}; write {plain}s://, or accept it with \
         `allow-plain-text = true`",
        address.host
    ))
}
