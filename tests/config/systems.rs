//! The blocks that the README shows for each system, and what is told where one lacks something.

use tempfile::TempDir;
use tillbox::config::{Config, Credentials, System};

use crate::{SECRET, file, private};

/// The README's blocks, in a config of their own.
fn readme_config() -> String {
    let readme = include_str!("../../README.md");
    let from = readme.find("[[pos]]                                         # Qasir").expect("the blocks");
    let blocks = &readme[from..from + readme[from..].find("```").expect("their end")];
    format!(
        "[outlet]\nid = \"o\"\ntimezone = \"Asia/Jakarta\"\ncurrency = \"IDR\"\n{blocks}\n[hq]\nbrokers = [\"mqtts://b\"]\n\
         acknowledge = \"feed\"\n"
    )
}

#[test]
fn the_blocks_of_the_readme_are_valid() {
    let folder = TempDir::new().expect("a temporary folder");
    for name in ["qasir.token", "pos-kasir.password", "olsera.key", "olsera.api-key", "asalta.secret"] {
        file(&folder, name, SECRET, 0o600);
    }
    let text = readme_config().replace("/etc/tillbox/", "").replace("/var/lib/tillbox/", "");
    let config = Config::load(&file(&folder, "tillbox.toml", &text, 0o644)).unwrap_or_else(|faults| panic!("{faults}"));
    let told: Vec<_> =
        config.pos.iter().map(|pos| (pos.system, pos.base_url.as_str(), pos.requests_per_minute)).collect();
    assert_eq!(
        told,
        [
            (System::Qasir, "https://api.qasir.id/v1", 8),
            (System::PosKasir, "http://192.168.1.10:8080/api/v1", 20),
            (System::Olsera, "https://api-open.olsera.co.id/api/open-api/v1/id", 70),
            (System::Olsera, "https://api.olsera.com/v1", 70),
            (System::Asalta, "https://api.asalta.com", 20),
        ]
    );
    let Credentials::OAuth { token, client } = &config.pos[4].credentials else { panic!("{:?}", config.pos[4]) };
    assert!(token.read().is_err(), "there is no token before `tillbox authorize`");
    assert_eq!(client.redirect_uri, "http://127.0.0.1:8912/authorized");
    assert!(!config.summary().contains(SECRET) && !format!("{config:?}").contains(SECRET));
    assert!(matches!(&config.pos[2].credentials, Credentials::App { app_id, .. } if app_id == "12345"));
    assert!(matches!(&config.pos[3].credentials, Credentials::ApiKey { merchant_id, .. } if merchant_id == "M-8812"));
}

/// The faults of a block of one system.
fn faults_of(block: &str) -> Vec<String> {
    let text = format!(
        "[outlet]\nid = \"o\"\ntimezone = \"UTC\"\ncurrency = \"IDR\"\n[[pos]]\nname = \"p\"\n{block}\n[hq]\n\
         brokers = [\"mqtts://b\"]\nacknowledge = \"feed\"\n"
    );
    match private(&text) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.list().iter().map(|fault| format!("{}: {}", fault.key, fault.message)).collect(),
    }
}

#[test]
fn each_system_says_what_lets_the_box_in() {
    for (block, keys) in [
        ("system = \"qasir\"", &["pos[0].token-file: missing; add a line such as `token-file"][..]),
        (
            "system = \"olsera\"",
            &["pos[0].merchant-id: missing; add the line `merchant-id", "pos[0].api-key-file: missing; add a line"],
        ),
        ("system = \"olsera\"\napp-id = \"1\"", &["pos[0].secret-key-file: missing; add a line such as"]),
        (
            "system = \"pos-kasir\"",
            &["pos[0].email: missing", "pos[0].password-file: missing", "pos[0].base-url: missing; add a line such as"],
        ),
        (
            "system = \"asalta\"",
            &[
                "pos[0].client-id: missing",
                "pos[0].client-secret-file: missing",
                "pos[0].token-file: missing",
                "pos[0].timezone: missing; add a line such as `timezone = \"Asia/Singapore\"`",
                "pos[0].currency: missing",
            ],
        ),
    ] {
        let faults = faults_of(block);
        assert_eq!(faults.len(), keys.len(), "{block}: {faults:#?}");
        for (fault, key) in faults.iter().zip(keys) {
            assert!(fault.starts_with(key), "{block}: {fault}");
        }
    }
}

#[test]
fn what_is_of_another_system_is_unknown() {
    let faults = faults_of("system = \"qasir\"\ntoken = \"t\"\nemail = \"a@b\"");
    assert!(faults.len() == 1 && faults[0].starts_with("pos[0].email: unknown key"), "{faults:#?}");
}

#[test]
fn one_server_of_pos_kasir_is_one_shop() {
    let block = |name: &str, email: &str| {
        format!(
            "[[pos]]\nname = \"{name}\"\nsystem = \"pos-kasir\"\nbase-url = \"https://till.example/api/v1\"\n\
             email = \"{email}\"\npassword = \"{SECRET}\"\n"
        )
    };
    let text = format!(
        "[outlet]\nid = \"o\"\ntimezone = \"UTC\"\ncurrency = \"IDR\"\n{}{}[hq]\nbrokers = [\"mqtts://b\"]\n\
         acknowledge = \"feed\"\n",
        block("a", "a@shop.example"),
        block("b", "b@shop.example")
    );
    let faults = private(&text).expect_err("one shop twice");
    assert_eq!(faults.list().len(), 1, "{faults}");
    assert!(faults.list()[0].message.contains("every sale would be counted twice"), "{faults}");
}

#[test]
fn values_that_no_system_gives_are_told() {
    for (block, fault) in [
        ("system = \"pos-kasir\"\nbase-url = \"https://x\"\nemail = \"box\"\npassword = \"p\"", "is no e-mail address"),
        ("system = \"olsera\"\nmerchant-id = \"M 1\"\napi-key = \"k\"", "is not what a system gives"),
        (
            "system = \"asalta\"\nclient-id = \"c\"\nclient-secret = \"s\"\ntoken-file = \"t\"\ntimezone = \"UTC\"\n\
             currency = \"SGD\"\nredirect-uri = \"http://shop.example/back\"",
            "cannot be used; expected an address",
        ),
    ] {
        let faults = faults_of(block);
        assert!(faults.len() == 1 && faults[0].contains(fault), "{block}: {faults:#?}");
    }
}
