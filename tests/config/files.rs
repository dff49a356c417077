//! Secrets, certificates and the config file itself: what may stand where, and what is never shown.

use std::fs;

use tempfile::TempDir;
use tillbox::config::Config;

use crate::{SECRET, VALID, file, private};

#[test]
fn secrets_in_the_config_need_a_private_file() {
    for (mode, fault) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
        let folder = TempDir::new().expect("a temporary folder");
        let path = file(&folder, "tillbox.toml", VALID, mode);
        let loaded = Config::load(&path);
        assert_eq!(loaded.is_err(), fault, "{mode:o}");
        let Err(faults) = loaded else { continue };
        let expected = format!(
            "a secret stands here, and not only its owner can read the file (mode {mode:04o}); run `chmod 600 {}`",
            path.display()
        );
        let keys: Vec<_> = faults.list().iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(keys, ["pos[0].token", "hq.password"]);
        assert!(faults.list().iter().all(|fault| fault.message == expected), "{faults}");
    }
}

#[test]
fn secrets_in_files_are_read_from_beside_the_config() {
    let folder = TempDir::new().expect("a temporary folder");
    // What nobody sees around it is no part of it.
    file(&folder, "token", &format!("\u{feff}{SECRET}\u{a0}\r\n"), 0o640);
    file(&folder, "password", "pass wörd", 0o600);
    let text = VALID
        .replace("token = \"hunter2-Zq7\"", "token-file = \"token\"")
        .replace("password = \"hunter2-Zq7\"", "password-file = \"password\"");
    // It holds no secret itself, so others may read it.
    let config = Config::load(&file(&folder, "tillbox.toml", &text, 0o644)).expect("valid");
    assert_eq!(config.pos[0].credentials.secret().read().expect("readable").expose(), SECRET);
    assert_eq!(config.hq.password.expect("given").expose(), "pass wörd");
}

#[test]
fn a_secret_file_that_will_not_do_is_told_and_not_shown() {
    let long = "x".repeat(65_536);
    for (content, mode, expected) in [
        ("", 0o600, "is empty; write the token"),
        ("\n", 0o600, "is empty; write the token"),
        ("hunter2-Zq7\nx\n", 0o600, "has a character that no token has, as number 12"),
        ("hunter2-Zq7 ", 0o600, "has a character that no token has, as number 12"),
        ("hunter2-Zq7é", 0o600, "has a character that no token has, as number 12"),
        ("hunter2-Zq7", 0o604, "run `chmod o= "),
        ("hunter2-Zq7", 0o602, "run `chmod o= "),
        (&long, 0o600, "is longer than 65535 bytes"),
    ] {
        let folder = TempDir::new().expect("a temporary folder");
        file(&folder, "token", content, mode);
        let text = VALID.replace("token = \"hunter2-Zq7\"", "token-file = \"token\"");
        let faults = Config::load(&file(&folder, "tillbox.toml", &text, 0o600)).expect_err("refused").to_string();
        assert!(faults.contains(":12:14: pos[0].token-file: ") && faults.contains(expected), "{faults}");
        assert!(!faults.contains(SECRET) && faults.lines().count() == 1, "{faults}");
    }
}

#[test]
fn one_of_a_secret_and_its_file() {
    let folder = TempDir::new().expect("a temporary folder");
    file(&folder, "t", "x", 0o600);
    let text = VALID.replace("poll-every", "token-file = \"t\"\npoll-every");
    let faults = Config::load(&file(&folder, "tillbox.toml", &text, 0o600)).expect_err("refused").to_string();
    assert!(faults.ends_with(":13:14: pos[0].token-file: `token` is given too; keep one of them"), "{faults}");
}

#[test]
fn secrets_are_shown_nowhere() {
    let config = private(VALID).expect("valid");
    assert!(!format!("{config:?}").contains(SECRET) && !config.summary().contains(SECRET));
    // Every way to write a secret where it does not belong.
    for (from, to) in [
        ("token = \"hunter2-Zq7\"", "tokn = \"hunter2-Zq7\""),
        ("token = \"hunter2-Zq7\"", "token = hunter2-Zq7"),
        ("token = \"hunter2-Zq7\"", "token = \"hunter2-Zq7"),
        ("token = \"hunter2-Zq7\"", "token =\nhunter2-Zq7"),
        ("token = \"hunter2-Zq7\"", "hunter2-Zq7"),
        ("token = \"hunter2-Zq7\"", "token = [\"hunter2-Zq7\"]"),
        ("token = \"hunter2-Zq7\"", "token = { hunter2-Zq7 = 1 }"),
        ("token = \"hunter2-Zq7\"", "token = \"hunter2-Zq7\\u0007\""),
        ("token = \"hunter2-Zq7\"", "token = \"hunter2-Zq7 é\""),
        ("token = \"hunter2-Zq7\"", "token-file = \"hunter2-Zq7\""),
        ("token = \"hunter2-Zq7\"", "token-file = \"/hunter2-Zq7/x\""),
        ("token = \"hunter2-Zq7\"", "token-file = \"/etc/hunter2-Zq7\""),
        ("token = \"hunter2-Zq7\"", "token-file = \"/etc/passwd/hunter2-Zq7\""),
        ("window", "client-key-file = \"hunter2-Zq7\"\nwindow"),
        ("password =", "username =\"x\"\npassword ="),
        ("password = \"hunter2-Zq7\"", "password = \"hunter2-Zq7\\n\""),
        ("[\"mqtts://mqtt.hq.example\"", "[\"mqtts://x:hunter2-Zq7@mqtt.hq.example\""),
        ("[\"mqtts://mqtt.hq.example\", \"mqtt://[::1]:2883\"]", "\"mqtts://x:hunter2-Zq7@mqtt.hq.example\""),
        ("system =", "base-url = \"https://api.qasir.id/v1?token=hunter2-Zq7\"\nsystem ="),
        ("system =", "base-url = \"x:hunter2-Zq7@y\"\nsystem ="),
        // The line is shown as well: what of it may be a secret is not.
        ("name = \"front\"", "name = \"f r\", token = \"hunter2-Zq7\""),
        ("name = \"front\"", "name = \"f r\" # hunter2-Zq7"),
        ("name = \"front\"", "name = 'front # hunter2-Zq7"),
        ("token = \"hunter2-Zq7\"", "token: hunter2-Zq7"),
        ("token = \"hunter2-Zq7\"", "token: hunter2-Zq7 ="),
        ("token = \"hunter2-Zq7\"", "token hunter2-Zq7"),
        ("token = \"hunter2-Zq7\"", "token = “hunter2-Zq7”"),
        ("token = \"hunter2-Zq7\"", "tokn = “hunter2-Zq7”"),
        ("token = \"hunter2-Zq7\"", "token =\n“hunter2-Zq7”"),
        ("token = \"hunter2-Zq7\"", "token =\n\u{a0}hunter2-Zq7=="),
        ("token = \"hunter2-Zq7\"", "token = \"Bearer hunter2-Zq7\""),
        ("token = \"hunter2-Zq7\"", "token = \"hunter2-Zq7\u{a0}\""),
        ("token = \"hunter2-Zq7\"", "password = \"hunter2-Zq7\""),
        ("token = \"hunter2-Zq7\"", "token = [\n\"hunter2-Zq7\",\n]"),
        ("\"mqtt://[::1]:2883\"", "\n\"mqtt://x:hunter2-Zq7@mqtt.hq.example\""),
    ] {
        assert!(VALID.contains(from), "{from}");
        let printed = private(&VALID.replace(from, to)).expect_err(to);
        assert!(!format!("{printed} {printed:?} {}", printed.shown()).contains(SECRET), "{to}\n{}", printed.shown());
    }
    let numbers =
        private(&VALID.replace("token = \"hunter2-Zq7\"", "token = 271828")).expect_err("no text").to_string();
    assert!(numbers.ends_with("found the whole number (not shown); expected text in quotes"), "{numbers}");
}

#[test]
fn certificates_come_with_their_key_and_with_tls() {
    let folder = TempDir::new().expect("a temporary folder");
    file(&folder, "box.crt", "-----BEGIN CERTIFICATE-----\n", 0o644);
    file(&folder, "box.key", "-----BEGIN PRIVATE KEY-----\n", 0o600);
    let load = |lines: &str, brokers: &str| {
        let text = VALID.replace("window", &format!("{lines}\nwindow")).replace("mqtts://mqtt.hq.example", brokers);
        let loaded = Config::load(&file(&folder, "tillbox.toml", &text, 0o600));
        loaded.map_err(|faults| faults.list().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    };
    let both = "client-certificate = \"box.crt\"\nclient-key-file = \"box.key\"";
    let config = load(both, "mqtts://a").expect("valid");
    assert_eq!(config.hq.client_key_file, Some(folder.path().join("box.key")));
    for (lines, brokers, expected) in [
        (
            "client-certificate = \"box.crt\"",
            "mqtts://a",
            "17:1: hq.client-key-file: missing; `client-certificate` is given",
        ),
        (
            "client-key-file = \"box.key\"",
            "mqtts://a",
            "17:1: hq.client-certificate: missing; `client-key-file` is given",
        ),
        (both, "mqtt://localhost", "22:22: hq.client-certificate: has no use, as no broker is reached by mqtts://"),
        (
            "client-certificate = \"box.key\"\nclient-key-file = \"box.key\"",
            "mqtts://a",
            "has no line `-----BEGIN CERTIFICATE-----`",
        ),
        ("ca-certificate = \"absent.crt\"", "mqtts://a", "there is no such file; create it or correct the path"),
        ("ca-certificate = \".\"", "mqtts://a", "is no regular file; name a file"),
    ] {
        let found = load(lines, brokers).expect_err(expected);
        assert!(found.contains(expected) && found.lines().count() == 1, "{found}");
    }
}

#[test]
fn a_file_that_is_no_config_is_told() {
    let folder = TempDir::new().expect("a temporary folder");
    let absent = folder.path().join("absent.toml");
    let printed = Config::load(&absent).expect_err("absent").to_string();
    assert_eq!(
        printed,
        format!("{}: cannot be read: there is no such file; create it or correct the path", absent.display())
    );
    let long = file(&folder, "long.toml", &"#".repeat(65_537), 0o600);
    assert!(
        Config::load(&long)
            .expect_err("too long")
            .to_string()
            .ends_with(": is longer than 64KiB; is this the config file?")
    );
    let latin = folder.path().join("latin.toml");
    fs::write(&latin, b"a = 1\nb = \"\xe9\"\n").expect("written");
    assert!(
        Config::load(&latin)
            .expect_err("not UTF-8")
            .to_string()
            .ends_with(": line 2 is not UTF-8; save the file as UTF-8")
    );
    assert!(Config::load(folder.path()).is_err());
}
