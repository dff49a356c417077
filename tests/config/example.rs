//! The commented example is the reference of the keys: it must be valid, whole and true.

use std::fs;

use tempfile::TempDir;
use tillbox::config::Config;

use crate::{SECRET, file};

const EXAMPLE: &str = include_str!("../../docs/tillbox.toml");

#[test]
fn the_example_is_valid() {
    let folder = TempDir::new().expect("a temporary folder");
    file(&folder, "qasir.token", SECRET, 0o600);
    let text = EXAMPLE.replace("/etc/tillbox/", "");
    let config = Config::load(&file(&folder, "tillbox.toml", &text, 0o644)).expect("the example");
    assert_eq!(config.outlet.id, "jkt-014");
}

#[test]
fn the_example_shows_every_key_with_its_default() {
    let folder = TempDir::new().expect("a temporary folder");
    for name in ["qasir.token", "hq.password", "box.key"] {
        file(&folder, name, "-----BEGIN PRIVATE KEY-----", 0o600);
    }
    fs::write(folder.path().join("qasir.token"), SECRET).expect("written");
    for name in ["box.crt", "hq-ca.crt", "pos-ca.crt"] {
        file(&folder, name, "-----BEGIN CERTIFICATE-----", 0o644);
    }
    // A commented key is `# key = …`; only the secrets themselves stay out, as their files are given.
    let shown = |line: &str| match line.strip_prefix("# ") {
        Some(key)
            if key.split(" = ").next().is_some_and(|key| !key.contains(' '))
                && key.contains(" = ")
                && !key.contains('…') =>
        {
            key.to_owned()
        }
        _ => line.to_owned(),
    };
    let text = EXAMPLE.lines().map(shown).collect::<Vec<_>>().join("\n").replace("/etc/tillbox/", "");
    let full = Config::load(&file(&folder, "tillbox.toml", &text, 0o644)).expect("every key of the example");
    assert!(full.hq.client_key_file.is_some() && full.pos[0].ca_certificate.is_some() && full.hq.password.is_some());

    // What is written as a default is the default.
    let least =
        Config::load(&file(&folder, "least.toml", &EXAMPLE.replace("/etc/tillbox/", ""), 0o644)).expect("the example");
    let without_examples = Config {
        outlet: tillbox::config::Outlet { name: None, ..full.outlet },
        pos: full.pos.into_iter().map(|pos| tillbox::config::Pos { ca_certificate: None, ..pos }).collect(),
        hq: tillbox::config::Hq {
            username: None,
            password: None,
            ca_certificate: None,
            client_certificate: None,
            client_key_file: None,
            ..full.hq
        },
        outbox: tillbox::config::Outbox { retired_connections: Vec::new(), ..full.outbox },
        page: full.page.map(|page| tillbox::config::Page { language: None, ..page }),
        ..full
    };
    assert_eq!(format!("{without_examples:?}"), format!("{least:?}"));

    // Whatever key the reader knows is told for a table in which nothing is known.
    for (table, stranger) in [
        ("outlet", "[outlet]"),
        ("pos", "[[pos]]"),
        ("hq", "[hq]"),
        ("outbox", "[outbox]"),
        ("board", "[board]"),
        ("page", "[page]"),
    ] {
        let strange = text.replace(stranger, &format!("{stranger}\nxxxxxxxxxxxx = 1"));
        let faults = Config::load(&file(&folder, "strange.toml", &strange, 0o600)).expect_err("an unknown key");
        let fault = faults.list().iter().find(|fault| fault.key.starts_with(table)).expect("its fault");
        let known = fault.message.split_once("known here: ").expect("the known keys").1;
        for key in known.split(", ") {
            assert!(EXAMPLE.contains(&format!("{key} = ")), "{key} is not in the example");
        }
    }
}
