//! Which key belongs where, for what is told about a key in a wrong place, and of which keys the values may be shown.
//!
//! What a key means stands in `schema`; a test compares the two.

/// The tables, as they are headed, with the keys that all of one kind have.
const TABLES: &[(&str, &[&str])] = &[
    ("[outlet]", &["id", "name", "timezone", "currency", "business-day-starts"]),
    (
        "[[pos]]",
        &[
            "name",
            "system",
            "base-url",
            "poll-every",
            "backfill",
            "requests-per-minute",
            "timezone",
            "currency",
            "ca-certificate",
            "allow-plain-text",
            "token",
            "token-file",
            "merchant-id",
            "api-key",
            "api-key-file",
            "app-id",
            "secret-key",
            "secret-key-file",
            "email",
            "password",
            "password-file",
            "client-id",
            "client-secret",
            "client-secret-file",
            "redirect-uri",
        ],
    ),
    (
        "[hq]",
        &[
            "brokers",
            "acknowledge",
            "topic-prefix",
            "protocol",
            "echo",
            "without-subscribers",
            "username",
            "password",
            "password-file",
            "ca-certificate",
            "client-certificate",
            "client-key-file",
            "window",
            "keep-alive",
            "event-max-size",
            "allow-plain-text",
        ],
    ),
    ("[outbox]", &["path", "max-size", "retired-connections"]),
    ("[board]", &["profile", "lines"]),
    ("[page]", &["listen", "language"]),
];

/// What lets the box in, by system.
const SYSTEMS: &[(&str, &[&str])] = &[
    ("qasir", &["token", "token-file"]),
    ("olsera", &["merchant-id", "api-key", "api-key-file", "app-id", "secret-key", "secret-key-file"]),
    ("pos-kasir", &["email", "password", "password-file", "token", "token-file"]),
    ("asalta", &["client-id", "client-secret", "client-secret-file", "redirect-uri", "token", "token-file"]),
];

/// Keys whose values are neither secrets nor names of people, nor paths where a secret may stand by mistake.
const SHOWN: &[&str] = &[
    "id",
    "name",
    "timezone",
    "currency",
    "business-day-starts",
    "system",
    "base-url",
    "poll-every",
    "backfill",
    "requests-per-minute",
    "allow-plain-text",
    "brokers",
    "acknowledge",
    "topic-prefix",
    "protocol",
    "echo",
    "without-subscribers",
    "window",
    "keep-alive",
    "event-max-size",
    "max-size",
    "retired-connections",
    "profile",
    "listen",
    "language",
    "active-low",
    "used",
    "pin",
    "offset",
    "bias",
];

/// Every key of every table.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    TABLES.iter().flat_map(|(_, keys)| keys.iter().copied())
}

/// Whether it is a table, or some table has the key.
pub(super) fn is_known(key: &str) -> bool {
    all().chain(TABLES.iter().map(|(table, _)| table.trim_matches(['[', ']']))).any(|known| known == key)
        || is_shown(key)
}

/// Whether what the key is set to may be shown.
pub(super) fn is_shown(key: &str) -> bool {
    SHOWN.contains(&key)
}

/// Whether the key is set to true or false.
pub(super) fn is_truth(key: &str) -> bool {
    ["allow-plain-text", "active-low", "used"].contains(&key)
}

/// Whether the key is set to a text: not to a number, a truth value, a list or a table.
pub(super) fn is_text(key: &str) -> bool {
    const OTHERS: [&str; 5] = ["requests-per-minute", "window", "brokers", "retired-connections", "lines"];
    all().any(|known| known == key) && !OTHERS.contains(&key) && !is_truth(key)
}

/// Where a key belongs that the table at `path` does not have: `it belongs to [hq]`.
pub(super) fn place_of(key: &str, path: &str) -> Option<String> {
    let here = path.split(['[', '.']).next().unwrap_or_default();
    let elsewhere = TABLES.iter().filter(|(table, keys)| keys.contains(&key) && table.trim_matches(['[', ']']) != here);
    let tables = elsewhere.map(|(table, _)| *table).collect::<Vec<_>>().join(" or ");
    (!tables.is_empty()).then(|| format!("it belongs to {tables}: write it below that line"))
}

/// Which system a key is of that lets no box in at `system`.
pub(super) fn system_of(key: &str, system: &str) -> Option<String> {
    let of = SYSTEMS.iter().filter(|(_, keys)| keys.contains(&key)).map(|(name, _)| *name);
    let of: Vec<_> = of.collect();
    if of.is_empty() || of.contains(&system) {
        return None;
    }
    let write: Vec<_> = of.iter().map(|name| format!("`system = \"{name}\"`")).collect();
    let (of, write) = (of.join(" and "), write.join(" or "));
    Some(format!("it is a key of {of}, and this connection's system is {system}; take it out, or write {write}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_a_wrong_place_is_known() {
        assert_eq!(place_of("brokers", "outlet").unwrap(), "it belongs to [hq]: write it below that line");
        assert_eq!(place_of("timezone", "hq").unwrap(), "it belongs to [outlet] or [[pos]]: write it below that line");
        assert_eq!(place_of("id", "").unwrap(), "it belongs to [outlet]: write it below that line");
        assert_eq!((place_of("token", "pos[0]"), place_of("colour", "hq")), (None, None));
        assert!(
            system_of("email", "qasir")
                .unwrap()
                .starts_with("it is a key of pos-kasir, and this connection's system is qasir")
        );
        assert!(system_of("token", "olsera").unwrap().contains("of qasir and pos-kasir and asalta"));
        assert_eq!((system_of("token", "asalta"), system_of("colour", "qasir")), (None, None));
    }

    #[test]
    fn nothing_is_shown_that_may_be_a_secret() {
        let secrets = SYSTEMS.iter().flat_map(|(_, keys)| keys.iter().copied());
        for key in secrets.chain(["password", "username", "client-key-file", "ca-certificate", "path", "lines"]) {
            assert!(!is_shown(key), "{key}");
        }
    }
}
