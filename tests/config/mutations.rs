//! A full and good config, spoilt in every way that a hand at a keyboard finds: the program must name each mistake at
//! its line and column, with its key, what it found and what to do, and must leave the disk as it was.
//!
//! The mistakes are made from `docs/tillbox.toml` with all its keys, so a key that is added there is spoilt here.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{SECRET, file};

const EXAMPLE: &str = include_str!("../../docs/tillbox.toml");

/// The other systems, which the example leaves to the README.
const OTHERS: &str = r#"
[[pos]]
name = "olsera-documented"
system = "olsera"
merchant-id = "M-8812"
api-key-file = "olsera.api-key"

[[pos]]
name = "olsera-open"
system = "olsera"
app-id = "12345"
secret-key-file = "olsera.key"

[[pos]]
name = "kasir"
system = "pos-kasir"
base-url = "https://till.example/api/v1"
email = "box@shop.example"
password-file = "pos-kasir.password"

[[pos]]
name = "asalta"
system = "asalta"
client-id = "c-1"
client-secret-file = "asalta.secret"
redirect-uri = "http://127.0.0.1:8912/authorized"
token-file = "asalta.token"
timezone = "Asia/Singapore"
currency = "SGD"

"#;

const SECRET_FILES: [&str; 8] = [
    "qasir.token",
    "hq.password",
    "box.key",
    "olsera.api-key",
    "olsera.key",
    "pos-kasir.password",
    "asalta.secret",
    "asalta.token",
];
const CERTIFICATES: [&str; 3] = ["box.crt", "hq-ca.crt", "pos-ca.crt"];

/// Words of which each remedy has one.
const REMEDIES: [&str; 16] = [
    "expected ",
    "write ",
    "add ",
    "did you mean ",
    "known here: ",
    "take ",
    "run `",
    "name a",
    "give ",
    "create ",
    "keep one",
    "correct ",
    "copy ",
    "choose ",
    "there is only one",
    "end it",
];

/// One mistake.
struct Mistake {
    /// What was done, for whoever reads a failure.
    what: String,
    text: String,
    /// A file whose permissions are opened to others, or the config's own.
    opened: Option<&'static str>,
    /// Where it must be told, from 1.
    line: usize,
    column: usize,
    /// What the line must hold: the key and what was found.
    names: Vec<String>,
}

/// A line `key = value` of the full config.
#[derive(Clone)]
struct Key {
    index: usize,
    /// The dotted path of its table, such as `pos[0]`.
    table: String,
    key: String,
    value: String,
}

impl Key {
    fn path(&self) -> String {
        format!("{}.{}", self.table, self.key)
    }

    fn value_column(&self) -> usize {
        self.key.chars().count() + " = ".len() + 1
    }

    fn is_secret(&self) -> bool {
        ["token", "key", "secret", "password"].iter().any(|word| self.key.contains(word))
            && self.key != "client-certificate"
    }
}

/// Every key of the example, and the other systems.
fn full() -> String {
    let shown = |line: &str| match line.strip_prefix("# ") {
        Some(key) if key.contains(" = ") && !key.contains('…') && key.split(" = ").next().is_some_and(is_key) => {
            key.to_owned()
        }
        _ => line.to_owned(),
    };
    let text = EXAMPLE.lines().map(shown).collect::<Vec<_>>().join("\n").replace("/etc/tillbox/", "") + "\n";
    assert!(text.contains("\n[hq]\n"));
    text.replacen("\n[hq]\n", &format!("{OTHERS}[hq]\n"), 1)
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

fn keys(text: &str) -> Vec<Key> {
    let (mut table, mut connections, mut keys) = (String::new(), 0, Vec::new());
    for (index, line) in text.lines().enumerate() {
        if line == "[[pos]]" {
            table = format!("pos[{connections}]");
            connections += 1;
        } else if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name.clone_into(&mut table);
        } else if let Some((key, value)) = line.split_once(" = ").filter(|(key, _)| is_key(key)) {
            keys.push(Key { index, table: table.clone(), key: key.to_owned(), value: value.to_owned() });
        }
    }
    keys
}

/// The full config with one line replaced.
fn with_line(text: &str, index: usize, line: &str) -> String {
    let lines = text.lines().enumerate().map(|(at, old)| if at == index { line } else { old });
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn mistake(what: String, text: String, line: usize, column: usize, names: &[&str]) -> Mistake {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Mistake { what, text, opened: None, line, column, names }
}

/// A letter too many in each key.
fn misspelt(text: &str) -> Vec<Mistake> {
    let spoil = |key: &Key| {
        let wrong = format!("{}x{}", &key.key[..1], &key.key[1..]);
        let line = format!("{wrong} = {}", key.value);
        let (path, meant) = (format!("{}.{wrong}: unknown key", key.table), format!("did you mean `{}`?", key.key));
        mistake(line.clone(), with_line(text, key.index, &line), key.index + 1, 1, &[&path, &meant])
    };
    keys(text).iter().map(spoil).collect()
}

/// Values of two wrong types for each key.
fn mistyped(text: &str) -> Vec<Mistake> {
    let mut all = Vec::new();
    for key in keys(text) {
        let wrong: [(&str, &str); 2] = match key.value.chars().next() {
            Some('"') => [("7", "the whole number"), ("[\"x\"]", "a list")],
            Some('[') => [("7", "the whole number `7`"), ("{ x = 1 }", "a table")],
            Some('t' | 'f') => [("\"yes\"", "text"), ("1", "the whole number `1`")],
            _ => [("\"many\"", "text"), ("true", "the truth value `true`")],
        };
        for (value, found) in wrong {
            let line = format!("{} = {value}", key.key);
            let text = with_line(text, key.index, &line);
            let names = [format!("{}: found {found}", key.path())];
            all.push(mistake(format!("{}: {line}", key.table), text, key.index + 1, key.value_column(), &[&names[0]]));
        }
    }
    all
}

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

fn impossible(text: &str) -> Vec<Mistake> {
    let keys = keys(text);
    let key = |path: &str| keys.iter().find(|key| key.path() == path).unwrap_or_else(|| panic!("no key {path}"));
    let mut all: Vec<_> = IMPOSSIBLE
        .iter()
        .map(|(path, value, shown)| {
            let key = key(path);
            let line = format!("{} = {value}", key.key);
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

/// Each file that is named is not there, is a folder, is empty, or is open to others.
fn files(text: &str) -> Vec<Mistake> {
    let mut all = Vec::new();
    for key in keys(text) {
        let name = key.value.trim_matches('"');
        let secret = SECRET_FILES.iter().copied().find(|file| *file == name);
        // Asalta's token is not there before `tillbox authorize`.
        if secret.is_none_or(|file| file == "asalta.token") && !CERTIFICATES.contains(&name) {
            continue;
        }
        let mut values = vec![("nowhere/file", "there is no such file"), (".", "is no regular file")];
        values.push((
            "empty",
            if CERTIFICATES.contains(&name) || name == "box.key" { "has no line" } else { "is empty" },
        ));
        for (value, found) in values {
            let line = format!("{} = \"{value}\"", key.key);
            let path = format!("{}: ", key.path());
            let text = with_line(text, key.index, &line);
            all.push(mistake(format!("{path}{line}"), text, key.index + 1, key.value_column(), &[&path, found]));
        }
        if secret.is_some() {
            let path = format!("{}: ", key.path());
            let names = [path.as_str(), "others can use", name, "mode 0644", "run `chmod o= "];
            let mut open =
                mistake(format!("{path}{name} is 0644"), text.to_owned(), key.index + 1, key.value_column(), &names);
            open.opened = secret;
            all.push(open);
        }
    }
    // A secret in the config itself.
    for (path, line) in
        [("pos[0].token-file", "token = \"hunter2-Zq7\""), ("hq.password-file", "password = \"hunter2-Zq7\"")]
    {
        let key = keys(text).into_iter().find(|key| key.path() == path).expect("a key");
        let column = line.find('"').expect("a value") + 1;
        let names = ["a secret stands here", "mode 0644", "run `chmod 600 "];
        let mut open = mistake(line.to_owned(), with_line(text, key.index, line), key.index + 1, column, &names);
        open.opened = Some("tillbox.toml");
        all.push(open);
    }
    all
}

/// Keys and tables that must be there, that must not, or that are there twice.
fn structure(text: &str) -> Vec<Mistake> {
    let keys = keys(text);
    let key = |path: &str| keys.iter().find(|key| key.path() == path).unwrap_or_else(|| panic!("no key {path}"));
    let header = |table: &str| {
        let lines = text.lines().enumerate();
        let of = |line: &str| line == format!("[{table}]");
        let connection = table.strip_prefix("pos[").and_then(|rest| rest.strip_suffix(']')?.parse::<usize>().ok());
        match connection {
            Some(number) => lines.filter(|(_, line)| *line == "[[pos]]").nth(number),
            None => lines.into_iter().find(|(_, line)| of(line)),
        }
        .map(|(index, _)| index + 1)
        .unwrap_or_else(|| panic!("no table {table}"))
    };
    let mut all = Vec::new();
    for (path, remedy) in [
        ("outlet.id", "add a line such as `id = "),
        ("outlet.timezone", "add a line such as `timezone = "),
        ("outlet.currency", "add a line such as `currency = "),
        ("pos[0].name", "add a line such as `name = "),
        ("pos[0].system", "add a line such as `system = "),
        ("pos[0].token-file", "add a line such as `token-file = "),
        ("pos[1].merchant-id", "add the line `merchant-id = "),
        ("pos[1].api-key-file", "add a line such as `api-key-file = "),
        ("pos[2].app-id", "add the line `app-id = "),
        ("pos[2].secret-key-file", "add a line such as `secret-key-file = "),
        ("pos[3].base-url", "add a line such as `base-url = "),
        ("pos[3].email", "add the line `email = "),
        ("pos[3].password-file", "add a line such as `password-file = "),
        ("pos[4].client-id", "add the line `client-id = "),
        ("pos[4].client-secret-file", "add a line such as `client-secret-file = "),
        ("pos[4].token-file", "add a line such as `token-file = "),
        ("pos[4].timezone", "add a line such as `timezone = "),
        ("pos[4].currency", "add a line such as `currency = "),
        ("hq.brokers", "write a list such as `brokers = "),
        ("hq.acknowledge", "choose whose word"),
        ("hq.username", "a password is given"),
        ("hq.client-certificate", "`client-key-file` is given"),
        ("hq.client-key-file", "`client-certificate` is given"),
    ] {
        let key = key(path);
        let name = format!("{path}: missing; ");
        all.push(mistake(
            format!("{path} is left out"),
            with_line(text, key.index, ""),
            header(&key.table),
            1,
            &[&name, remedy],
        ));
    }
    // Behind a line: what is added there, where it is told, and the names.
    for (path, line, column, names) in [
        ("pos[0].system", "merchant-id = \"M-1\"", 1, ["pos[0].merchant-id: unknown key", "known here: "]),
        ("pos[0].system", "email = \"box@shop.example\"", 1, ["pos[0].email: unknown key", "known here: "]),
        ("pos[1].system", "client-id = \"c\"", 1, ["pos[1].client-id: unknown key", "known here: "]),
        ("pos[3].system", "app-id = \"1\"", 1, ["pos[3].app-id: unknown key", "known here: "]),
        ("pos[4].system", "api-key-file = \"olsera.api-key\"", 1, ["pos[4].api-key-file: unknown key", "known here: "]),
        ("outlet.id", "id = \"jkt-015\"", 1, ["duplicate key `id`", "take one of the two out"]),
        ("hq.window", "window = 100", 1, ["duplicate key `window`", "take one of the two out"]),
        ("outbox.max-size", "size = 7", 1, ["outbox.size: unknown key", "known here: "]),
        ("outlet.currency", "[shop]", 2, ["shop: unknown table", "known here: "]),
        ("outlet.currency", "[outlets]", 2, ["outlets: unknown table", "did you mean `outlet`?"]),
        ("outbox.max-size", "[hq]", 2, ["duplicate key `hq`", "take one of the two out"]),
    ] {
        let key = key(path);
        let old = text.lines().nth(key.index).expect("a line");
        let spoilt = with_line(text, key.index, &format!("{old}\n{line}"));
        all.push(mistake(format!("behind {path}: {line}"), spoilt, key.index + 2, column, &names));
    }
    for (path, line, names) in [
        (
            "pos[1].name",
            "name = \"front\"",
            ["pos[1].name: `front` is already the name of pos[0]", "give each connection"],
        ),
        (
            "pos[2].name",
            "name = \"kasir\"",
            ["pos[3].name: `kasir` is already the name of pos[2]", "give each connection"],
        ),
    ] {
        let key = key(path);
        let told = if path == "pos[2].name" {
            self::keys(text).into_iter().find(|key| key.path() == "pos[3].name").expect("a key").index
        } else {
            key.index
        };
        all.push(mistake(line.to_owned(), with_line(text, key.index, line), told + 1, 8, &names));
    }
    // One account twice.
    let twice = "[[pos]]\nname = \"bar\"\nsystem = \"pos-kasir\"\nbase-url = \"https://till.example/api/v1/\"\nemail = \"b@shop.example\"\npassword-file = \"pos-kasir.password\"\n\n[hq]\n";
    let at = header("hq");
    all.push(mistake(
        "one shop twice".to_owned(),
        text.replacen("[hq]\n", twice, 1),
        at + 3,
        12,
        &["pos[5].base-url: `kasir` and `bar` have one system", "take one of them out"],
    ));
    for (from, to, table, column, names) in [
        ("[hq]", "[[hq]]", "hq", 1, ["hq: found a list", "there is only one, write `[hq]`"]),
        ("[outlet]", "[[outlet]]", "outlet", 1, ["outlet: found a list", "there is only one, write `[outlet]`"]),
        ("[outbox]", "[outbx]", "outbox", 2, ["outbx: unknown table", "did you mean `outbox`?"]),
        ("[board]", "[baord]", "board", 2, ["baord: unknown table", "did you mean `board`?"]),
    ] {
        let line = header(table);
        all.push(mistake(format!("{from} is {to}"), with_line(text, line - 1, to), line, column, &names));
    }
    all
}

/// What is no TOML: told at its line, and where the parser fell.
fn syntax(text: &str) -> Vec<Mistake> {
    let mut all = Vec::new();
    for key in keys(text) {
        let Key { index, key, value, .. } = &key;
        let line = format!("{key} {value}");
        all.push(mistake(line.clone(), with_line(text, *index, &line), index + 1, 0, &["not TOML: "]));
        if let Some(cut) = value.strip_suffix('"') {
            let line = format!("{key} = {cut}");
            all.push(mistake(line.clone(), with_line(text, *index, &line), index + 1, 0, &["not TOML: "]));
            let bare = value.trim_matches('"');
            let line = format!("{key} = {bare}");
            // Some are TOML without their quotes, and of another type.
            let is_toml = bare.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
            let found = if is_toml { "found the " } else { "not TOML: " };
            all.push(mistake(line.clone(), with_line(text, *index, &line), index + 1, 0, &[found]));
        }
    }
    for (index, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with('[')) {
        let line = line.trim_end_matches(']');
        all.push(mistake(line.to_owned(), with_line(text, index, line), index + 1, 0, &["not TOML: "]));
    }
    all
}

type Tree = BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)>;

fn tree(folder: &Path) -> Tree {
    let entries = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    let of = |path: PathBuf| {
        let meta = fs::metadata(&path).expect("its metadata");
        let content = if meta.is_file() { fs::read(&path).expect("its content") } else { Vec::new() };
        (path, (meta.mode(), meta.mtime(), meta.mtime_nsec(), content))
    };
    entries.map(of).chain([of(folder.to_owned())]).collect()
}

/// The program's exit code and what it says of a config.
fn check(config: &Path) -> (Option<i32>, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_tillbox")).arg("check").arg("--config").arg(config).output();
    let output = run.expect("the program starts");
    (output.status.code(), String::from_utf8(output.stderr).expect("text") + &String::from_utf8_lossy(&output.stdout))
}

/// What is wrong with the way in which a mistake was told, or nothing.
fn judge(mistake: &Mistake, config: &Path, code: Option<i32>, said: &str) -> Option<String> {
    let Mistake { line, column, names, .. } = mistake;
    let place = format!("{}:{line}:", config.display());
    let told = said.lines().filter(|told| told.starts_with(&place));
    let told: Vec<&str> = told.filter(|told| names.iter().all(|name| told.contains(name))).collect();
    let Some(told) = told.first() else { return Some(format!("not told at line {line} with {names:?}")) };
    let rest = &told[place.len()..];
    let found = rest.split(':').next().and_then(|column| column.parse::<usize>().ok());
    if found.is_none_or(|found| found == 0 || *column > 0 && found != *column) {
        return Some(format!("told at column {found:?}, expected {column}"));
    }
    if !REMEDIES.iter().any(|remedy| rest.contains(remedy)) {
        return Some("no remedy".to_owned());
    }
    if code != Some(78) {
        return Some(format!("exit code {code:?}, expected 78"));
    }
    // A mistake in a name may hide another line's worth, and no more.
    (said.lines().count() > 3).then(|| "told in more than three lines".to_owned())
}

#[test]
fn every_mistake_is_told_at_its_place_with_a_remedy_and_nothing_changes() {
    let folder = TempDir::new().expect("a temporary folder");
    for name in SECRET_FILES {
        file(&folder, name, SECRET, 0o600);
    }
    file(&folder, "box.key", "-----BEGIN PRIVATE KEY-----\n", 0o600);
    for name in CERTIFICATES {
        file(&folder, name, "-----BEGIN CERTIFICATE-----\n", 0o644);
    }
    file(&folder, "empty", "", 0o600);
    let text = full();
    let config = file(&folder, "tillbox.toml", &text, 0o600);
    let (code, said) = check(&config);
    assert_eq!(code, Some(0), "the full config is good: {said}");
    assert!(keys(&text).iter().filter(|key| key.is_secret()).count() >= 8);

    let kinds = [
        ("misspelt keys", misspelt(&text)),
        ("wrong types", mistyped(&text)),
        ("impossible values", impossible(&text)),
        ("files", files(&text)),
        ("structure", structure(&text)),
        ("syntax", syntax(&text)),
    ];
    let (mut number, mut wrong) = (0, Vec::new());
    for (kind, mistakes) in &kinds {
        println!("{kind}: {}", mistakes.len());
        number += mistakes.len();
        for mistake in mistakes {
            file(&folder, "tillbox.toml", &mistake.text, 0o600);
            let set = |mode| {
                if let Some(name) = mistake.opened {
                    let path = folder.path().join(name);
                    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
                }
            };
            set(0o644);
            let before = tree(folder.path());
            let (code, said) = check(&config);
            if tree(folder.path()) != before {
                wrong.push(format!("{kind}: {}: something on disk changed", mistake.what));
            }
            set(0o600);
            if said.contains(SECRET) {
                wrong.push(format!("{kind}: {}: a secret is shown", mistake.what));
            }
            wrong.extend(
                judge(mistake, &config, code, &said).map(|why| format!("{kind}: {}: {why}\n{said}", mistake.what)),
            );
        }
    }
    println!("{number} mistakes");
    assert!(number >= 100);
    assert!(wrong.is_empty(), "{} of {number} mistakes:\n{}", wrong.len(), wrong.join("\n"));
}
