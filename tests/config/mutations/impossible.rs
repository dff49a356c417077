//! Values of the right type that cannot be.

use super::{Mistake, keys, mistake, with_line};

/// Values that cannot be, by key: the value, and what of it must be shown.
const IMPOSSIBLE: &[(&str, &str, &str)] = &[
    ("outlet.id", "\"\"", "``"),
    ("outlet.id", "\"jkt 014\"", "`jkt 014`"),
    ("outlet.id", "\"jkt/014\"", "`jkt/014`"),
    ("outlet.name", "\"\"", "``"),
    ("outlet.timezone", "\"Jakarta\"", "did you mean `Asia/Jakarta`?"),
    ("outlet.timezone", "\"Asia/Jakrta\"", "did you mean `Asia/Jakarta`?"),
    ("outlet.timezone", "\"WIB\"", "WIB"),
    ("outlet.timezone", "\"../etc/passwd\"", "../etc/passwd"),
    ("outlet.currency", "\"Rp\"", "`Rp`"),
    ("outlet.currency", "\"idr\"", "did you mean `IDR`?"),
    ("outlet.currency", "\"XXQ\"", "`XXQ`"),
    ("outlet.business-day-starts", "\"24:00\"", "`24:00`"),
    ("outlet.business-day-starts", "\"4:00\"", "`4:00`"),
    ("outlet.business-day-starts", "\"04.00\"", "`04.00`"),
    ("pos[0].name", "\"\"", "``"),
    ("pos[0].name", "\"till one\"", "`till one`"),
    ("pos[0].system", "\"moka\"", "`moka`"),
    ("pos[0].system", "\"Qasir\"", "`Qasir`"),
    ("pos[2].system", "\"olsra\"", "did you mean `olsera`?"),
    ("pos[0].base-url", "\"\"", "``"),
    ("pos[0].base-url", "\"api.qasir.id/v1\"", "`api.qasir.id/v1`"),
    ("pos[0].base-url", "\"ftp://api.qasir.id\"", "`ftp://api.qasir.id`"),
    ("pos[0].base-url", "\"https://box:pw@api.qasir.id\"", "`@`"),
    ("pos[0].base-url", "\"https://api.qasir.id/v1?page=1\"", "a query"),
    ("pos[0].base-url", "\"https://api.qasir.id:99999\"", "no valid port"),
    ("pos[3].base-url", "\"http://192.168.1.10:8080/api/v1\"", "192.168.1.10"),
    ("pos[0].poll-every", "\"0s\"", "`0s`"),
    ("pos[0].poll-every", "\"-15s\"", "`-15s`"),
    ("pos[0].poll-every", "\"2h\"", "`2h`"),
    ("pos[0].poll-every", "\"15\"", "`15`"),
    ("pos[0].poll-every", "\"15 s\"", "`15 s`"),
    ("pos[0].poll-every", "\"15sec\"", "`15sec`"),
    ("pos[0].poll-every", "\"99999999999999999999s\"", "`99999999999999999999s`"),
    ("pos[0].backfill", "\"3651d\"", "`3651d`"),
    ("pos[0].backfill", "\"3 months\"", "`3 months`"),
    ("pos[0].requests-per-minute", "0", "`0`"),
    ("pos[0].requests-per-minute", "-8", "`-8`"),
    ("pos[0].requests-per-minute", "6001", "`6001`"),
    ("pos[0].requests-per-minute", "99999999999999999999", "`99999999999999999999`"),
    ("pos[0].requests-per-minute", "8.5", "`8.5`"),
    ("pos[0].timezone", "\"UTC+7\"", "UTC+7"),
    ("pos[0].currency", "\"IRD\"", "`IRD`"),
    ("pos[1].merchant-id", "\"M 8812\"", "`M 8812`"),
    ("pos[2].app-id", "\"\"", "``"),
    ("pos[3].email", "\"box\"", "`box`"),
    ("pos[4].redirect-uri", "\"http://shop.example/back\"", "`http://shop.example/back`"),
    ("hq.brokers", "[]", "an empty list"),
    ("hq.acknowledge", "\"maybe\"", "`maybe`"),
    ("hq.acknowledge", "\"Feed\"", "did you mean `feed`?"),
    ("hq.topic-prefix", "\"\"", "``"),
    ("hq.topic-prefix", "\"shops/#\"", "`shops/#`"),
    ("hq.topic-prefix", "\"/shops\"", "`/shops`"),
    ("hq.topic-prefix", "\"$SYS\"", "`$SYS`"),
    ("hq.username", "\"\"", "``"),
    ("hq.window", "0", "`0`"),
    ("hq.window", "-1", "`-1`"),
    ("hq.window", "1001", "`1001`"),
    ("hq.keep-alive", "\"4s\"", "`4s`"),
    ("hq.keep-alive", "\"11m\"", "`11m`"),
    ("hq.event-max-size", "\"3KiB\"", "`3KiB`"),
    ("hq.event-max-size", "\"1MiB\"", "`1MiB`"),
    ("hq.event-max-size", "\"128KB\"", "did you mean \"128KiB\"?"),
    ("hq.event-max-size", "\"128\"", "`128`"),
    ("outbox.path", "\"\"", "is empty"),
    ("outbox.max-size", "\"31MiB\"", "`31MiB`"),
    ("outbox.max-size", "\"5000GiB\"", "`5000GiB`"),
    ("outbox.max-size", "\"0MiB\"", "`0MiB`"),
    ("outbox.max-size", "\"512MB\"", "did you mean \"512MiB\"?"),
    ("outbox.retired-connections", "[]", "an empty list"),
    ("board.profile", "\"toaster-4\"", "board"),
];

/// Elements of the brokers' list that cannot be.
const BROKERS: &[(&str, &str)] = &[
    ("\"\"", "``"),
    ("7", "the whole number `7`"),
    ("\"mqtt.hq.example\"", "`mqtt.hq.example`"),
    ("\"https://mqtt.hq.example\"", "`https://mqtt.hq.example`"),
    ("\"mqtt://mqtt.hq.example\"", "allow-plain-text = true"),
    ("\"mqtts://mqtt.hq.example/x\"", "has a path"),
    ("\"mqtts://mqtt.hq.example:0\"", "no valid port"),
    ("\"mqtts://10.0.0.300\"", "`mqtts://10.0.0.300`"),
    ("\"mqtts://first.example:8883\"", "is listed twice"),
];

pub fn mistakes(text: &str) -> Vec<Mistake> {
    let keys = keys(text);
    let key = |path: &str| keys.iter().find(|key| key.path() == path).unwrap_or_else(|| panic!("no key {path}"));
    let mut all: Vec<_> = IMPOSSIBLE
        .iter()
        .map(|(path, value, shown)| {
            let key = key(path);
            let line = format!("{} = {value}", key.name);
            let text = with_line(text, key.index, &line);
            let name = format!("{path}: ");
            mistake(format!("{path}: {line}"), text, key.index + 1, key.value_column(), &[&name, shown])
        })
        .collect();
    let brokers = key("hq.brokers");
    all.extend(BROKERS.iter().map(|(element, shown)| {
        let line = format!("brokers = [\"mqtts://first.example\", {element}]");
        let column = line.find(element).expect("it stands there") + 1;
        // The first broker looks like the doubled one; the second is the mistake.
        let column = if shown.contains("twice") { line.rfind(element).expect("it stands there") + 1 } else { column };
        mistake(
            line.clone(),
            with_line(text, brokers.index, &line),
            brokers.index + 1,
            column,
            &["hq.brokers[1]: ", shown],
        )
    }));
    let retired = key("outbox.retired-connections");
    let line = "retired-connections = [\"old-till\", \"a b\"]";
    let names = ["outbox.retired-connections[1]: ", "`a b`"];
    all.push(mistake(line.to_owned(), with_line(text, retired.index, line), retired.index + 1, 36, &names));
    all
}
