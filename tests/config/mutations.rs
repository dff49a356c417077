//! A full and good config, spoilt in every way that a hand at a keyboard finds: the program must name each mistake at
//! its line and column, with its key, what it found and what to do, and must leave the disk as it was.
//!
//! The mistakes are made from `docs/tillbox.toml` with all its keys, so a key that is added there is spoilt here.

mod impossible;
mod structure;

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
    name: String,
    value: String,
}

impl Key {
    fn path(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }

    fn value_column(&self) -> usize {
        self.name.chars().count() + " = ".len() + 1
    }

    fn is_secret(&self) -> bool {
        ["token", "key", "secret", "password"].iter().any(|word| self.name.contains(word))
            && self.name != "client-certificate"
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
            keys.push(Key { index, table: table.clone(), name: key.to_owned(), value: value.to_owned() });
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
        let wrong = format!("{}x{}", &key.name[..1], &key.name[1..]);
        let line = format!("{wrong} = {}", key.value);
        let (path, meant) = (format!("{}.{wrong}: unknown key", key.table), format!("did you mean `{}`?", key.name));
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
            let line = format!("{} = {value}", key.name);
            let text = with_line(text, key.index, &line);
            let names = [format!("{}: found {found}", key.path())];
            all.push(mistake(format!("{}: {line}", key.table), text, key.index + 1, key.value_column(), &[&names[0]]));
        }
    }
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
            let line = format!("{} = \"{value}\"", key.name);
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

/// What is no TOML: told at its line, and where the parser fell.
fn syntax(text: &str) -> Vec<Mistake> {
    let mut all = Vec::new();
    for key in keys(text) {
        let Key { index, name: key, value, .. } = &key;
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
    let place = format!("{}:", config.display());
    let told = said.lines().filter(|told| told.starts_with(&place)).count();
    (told > 3).then(|| "told in more than three lines".to_owned())
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
        ("impossible values", impossible::mistakes(&text)),
        ("files", files(&text)),
        ("structure", structure::mistakes(&text)),
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
