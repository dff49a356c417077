//! What a config says that can be right, and as a rule is not.
//!
//! No faults: the box cannot know the network. They are told with a config that is otherwise good.

use super::{Finding, names::names};
use crate::config::{Broker, Config};

/// Of the names that RFC 2606 keeps for examples, those that documents use.
const EXAMPLES: [&str; 4] = ["example", "example.com", "example.net", "example.org"];

/// The ports that MQTT has at IANA, with TLS and without, and those of HTTP.
const MQTTS_PORT: u16 = 8883;
const MQTT_PORT: u16 = 1883;
const HTTPS_PORT: &str = ":443";
const HTTP_PORT: &str = ":80";

/// What is doubtful in a config; nothing as a rule.
#[must_use]
pub fn doubts(config: &Config) -> Vec<Finding> {
    let mut all = names(config);
    for pos in &config.pos {
        let item = format!("pos {}", pos.name);
        all.extend(example(&item, host_of(&pos.base_url), "the shop's own server"));
        all.extend(web_port(&item, &pos.base_url));
        all.extend(reversed_zone(&item, pos.timezone.name()));
    }
    for broker in &config.hq.brokers {
        let item = format!("hq {broker}");
        all.extend(example(&item, &broker.host, "HQ's own broker"));
        all.extend(broker_port(&item, broker));
    }
    let outlet = config.outlet.timezone.name();
    all.extend(
        reversed_zone("outlet timezone", outlet).filter(|_| config.pos.iter().all(|pos| pos.timezone.name() != outlet)),
    );
    all
}

/// A name that only documents have.
fn example(item: &str, host: &str, whose: &str) -> Option<Finding> {
    let host = host.to_ascii_lowercase();
    let is_below = |name: &&str| host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    EXAMPLES.iter().any(is_below).then_some(())?;
    let text = format!("found `{host}`, a name that is kept for examples and that nobody has; expected {whose}");
    Some(Finding::warn(item, text, "write its real name or address"))
}

/// TLS where plain MQTT is at home, or the other way round; the config lets only this machine have the latter.
fn broker_port(item: &str, broker: &Broker) -> Option<Finding> {
    let (says, other, home) = match (broker.tls, broker.port) {
        (true, MQTT_PORT) => ("mqtts:// at the port of MQTT without TLS", "mqtt://", MQTTS_PORT),
        (false, MQTTS_PORT) => ("mqtt:// at the port of MQTT with TLS", "mqtts://", MQTT_PORT),
        _ => return None,
    };
    let text = format!("found {says}; expected port {home}, or {other}");
    Some(Finding::warn(item, text, "leave it if the broker is set up so; else correct one of the two"))
}

/// The same for HTTP.
fn web_port(item: &str, url: &str) -> Option<Finding> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next().unwrap_or_default();
    let (says, other) = match scheme {
        "http" if authority.ends_with(HTTPS_PORT) => ("http:// at the port of https://", "https://"),
        "https" if authority.ends_with(HTTP_PORT) => ("https:// at the port of http://", "http://"),
        _ => return None,
    };
    let text = format!("found {says}; expected {other}, or another port");
    Some(Finding::warn(item, text, "leave it if the server is set up so; else correct one of the two"))
}

/// `Etc/GMT+7` is seven hours behind Greenwich, as POSIX has it, and people mean the opposite.
fn reversed_zone(item: &str, zone: &str) -> Option<Finding> {
    let offset =
        zone.strip_prefix("Etc/GMT").filter(|offset| offset.len() > 1 && *offset != "+0" && *offset != "-0")?;
    let (sign, hours) = offset.split_at_checked(1)?;
    let side = if sign == "+" { "behind" } else { "ahead of" };
    let text =
        format!("found `{zone}`, which is {hours} h {side} UTC: its sign is turned round; expected a place's zone");
    Some(Finding::warn(item, text, "write the zone by its city, such as `Asia/Jakarta`"))
}

/// The host of an address that the config has taken.
fn host_of(url: &str) -> &str {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Outcome;

    fn broker(tls: bool, port: u16) -> Broker {
        Broker { tls, host: "hq".to_owned(), port }
    }

    #[test]
    fn tls_at_the_port_of_plain_mqtt_is_doubted_and_not_refused() {
        let found = broker_port("hq", &broker(true, 1883)).unwrap();
        assert_eq!(found.outcome, Outcome::Warn);
        assert!(found.text.contains("mqtts:// at the port of MQTT without TLS"), "{found}");
        assert!(broker_port("hq", &broker(false, 8883)).unwrap().text.contains("mqtt:// at the port of MQTT with TLS"));
        for (tls, port) in [(true, 8883), (false, 1883), (true, 443), (false, 2883)] {
            assert_eq!(broker_port("hq", &broker(tls, port)), None);
        }
        assert!(web_port("pos", "http://10.0.0.5:443/api").is_some() && web_port("pos", "https://a:80").is_some());
        for good in
            ["http://10.0.0.5:8080/api", "https://a:443", "http://a:80", "https://api.qasir.id/v1", "https://a:8080"]
        {
            assert_eq!(web_port("pos", good), None, "{good}");
        }
    }

    #[test]
    fn names_and_zones_that_nobody_has_are_doubted() {
        for host in ["mqtt.hq.example", "MQTT.HQ.EXAMPLE", "example.com", "till.example.org"] {
            assert!(example("hq", host, "HQ's own").is_some(), "{host}");
        }
        for host in ["mqtt.hq.id", "notexample.com", "10.0.0.5", "localhost"] {
            assert_eq!(example("hq", host, "HQ's own"), None, "{host}");
        }
        assert!(reversed_zone("outlet", "Etc/GMT+7").unwrap().text.contains("7 h behind UTC"));
        assert!(reversed_zone("outlet", "Etc/GMT-7").unwrap().text.contains("7 h ahead of UTC"));
        for zone in ["Asia/Jakarta", "UTC", "Etc/GMT", "Etc/GMT+0", "Etc/UTC"] {
            assert_eq!(reversed_zone("outlet", zone), None, "{zone}");
        }
        assert_eq!(
            (host_of("https://[::1]:80/v1"), host_of("http://till:8080/api"), host_of("http://a")),
            ("::1", "till", "a")
        );
    }
}
