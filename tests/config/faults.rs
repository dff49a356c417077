//! What is printed for a faulty file.

use std::path::Path;

use tillbox::config::{Config, Origin};

use crate::{VALID, fault_of, faults, private};

#[test]
fn five_mistakes_are_five_lines() {
    let text = r#"[outlet]
id = "jkt 014"
timezone = "Asia/Jakrta"
currency = "IDR"

[[pos]]
name = "front"
system = "qasir"
token = "secret"
  pol-every = "15s"

[hq]
brokers = ["mqtts://mqtt.hq.example"]
window = 5000
"#;
    let printed = Config::parse(text, &Origin { path: Path::new("tillbox.toml"), mode: 0o600, arriving: None })
        .expect_err("faulty")
        .to_string();
    assert_eq!(
        printed,
        "\
tillbox.toml:2:6: outlet.id: `jkt 014` is no identifier; expected 1 to 64 of A-Z a-z 0-9 . _ -
tillbox.toml:3:12: outlet.timezone: `Asia/Jakrta` is no time zone of this system; did you mean `Asia/Jakarta`?
tillbox.toml:10:3: pos[0].pol-every: unknown key; did you mean `poll-every`?
tillbox.toml:12:1: hq.acknowledge: missing; choose whose word lets the box forget a sale: `acknowledge = \"feed\"` keeps \
it until HQ's `tillbox feed` says that it is stored; `acknowledge = \"broker\"` forgets it once the broker has it, for an \
HQ with consumers of its own
tillbox.toml:14:10: hq.window: `5000` is out of bounds; expected a whole number, 1 to 1000"
    );
}

#[test]
fn below_each_fault_its_line_is_shown_with_a_caret_under_the_place() {
    let text = "[outlet]\nid = \"jkt-014\"\ntimezone = \"Asia/Jakrta\"\ncurrency = \"IDR\"\n[[pos]]\nname = \"front\"\n\
                system = \"qasir\"\ntoken = \"secret\"\n\t  pol-every = \"15s\" # often\n[hq]\n\
                brokers = [\"mqtts://é\", \"mqtts://a\"]\nacknowledge = \"feed\"\ntokn = \"secret\"\n";
    let faults = Config::parse(text, &Origin { path: Path::new("tillbox.toml"), mode: 0o600, arriving: None })
        .expect_err("faulty");
    let shown = faults.shown().to_string();
    let below: String = shown.lines().filter(|line| line.starts_with(' ')).flat_map(|line| [line, "\n"]).collect();
    assert_eq!(
        below,
        "    3 | timezone = \"Asia/Jakrta\"
      |            ^
    9 | pol-every = …
      | ^
   11 | brokers = [\"mqtts://é\", \"mqtts://a\"]
      |            ^
   13 | tokn = …
      | ^
"
    );
    // The journal has a line for each.
    assert_eq!(faults.to_string().lines().count(), 4, "{faults}");
    assert_eq!(shown.lines().filter(|line| line.starts_with("tillbox.toml:")).count(), 4, "{shown}");
}

#[test]
fn broken_syntax_is_told_with_the_rest_and_once() {
    let text = VALID
        .replace("name = \"front\"", "name = \"front")
        .replace("window = 500", "window = five hundred")
        .replace("\"30s\"", "\"30\"");
    assert_eq!(
        faults(&text),
        [
            "10:14: not TOML: invalid basic string, expected `\"`",
            "13:14: pos[0].poll-every: `30` has no unit; write ms, s, m, h or d behind the number, such as \"30s\"",
            "22:10: not TOML: string values must be quoted, expected literal string",
        ]
    );
    assert_eq!(faults(&VALID.replace("[hq]", "[hq"))[0], "17:4: not TOML: unclosed table, expected `]`");
    assert_eq!(
        fault_of("window = 500", "window = 500\nwindow = 500"),
        "23:1: not TOML: duplicate key `window`; take one of the two out"
    );
}

#[test]
fn an_empty_file_is_told_what_to_write() {
    let list = faults("");
    assert_eq!(list.len(), 3, "{list:#?}");
    assert_eq!(list[0], "1:1: outlet: missing; write `[outlet]` with id, timezone and currency");
}

#[test]
fn columns_count_characters() {
    let fault = fault_of("name = \"Warung Sabang\"", "name = \"é\"\n\"ключ\".x = 1");
    assert_eq!(
        fault,
        "5:1: outlet.\"ключ\": unknown table; known here: id, name, timezone, currency, business-day-starts"
    );
    assert!(faults("outlet = { 'é' = 1, idd = \"a\" }").iter().any(|line| line.starts_with("1:21: outlet.idd: ")));
    assert!(faults("\u{feff}outlett = {}")[0].starts_with("1:1: outlett: unknown table; did you mean `outlet`?"));
}

#[test]
fn each_fault_of_outlet_and_connection_says_what_was_found_and_what_to_do() {
    for (from, to, fault) in [
        ("[outbox]", "[outbx]", "24:2: outbx: unknown table; did you mean `outbox`?"),
        ("id = \"jkt-014\"", "idd = \"jkt-014\"", "3:1: outlet.idd: unknown key; did you mean `id`?"),
        ("id = \"jkt-014\"", "", "2:1: outlet.id: missing; add a line such as `id = \"jkt-014\"`"),
        (
            "id = \"jkt-014\"",
            "id = 14",
            "3:6: outlet.id: found the whole number `14`; expected text in quotes, 1 to 64 of A-Z a-z 0-9 . _ -",
        ),
        (
            "\"Asia/Jakarta\"",
            "\"Jakarta\"",
            "5:12: outlet.timezone: `Jakarta` is no time zone of this system; did you mean `Asia/Jakarta`?",
        ),
        (
            "\"IDR\"",
            "\"idr\"",
            "6:12: outlet.currency: `idr` is not an active ISO 4217 code; expected three capitals such as \"IDR\"; did you mean `IDR`?",
        ),
        (
            "\"04:00\"",
            "\"24:00\"",
            "7:23: outlet.business-day-starts: `24:00` is no time of day; expected a time of day in quotes, from \"00:00\" to \"23:59\"",
        ),
        (
            "\"04:00\"",
            "04:00:00",
            "7:23: outlet.business-day-starts: found the date or time `04:00:00`; expected a time of day in quotes, from \"00:00\" to \"23:59\"",
        ),
        (
            "\"qasir\"",
            "\"qasr\"",
            "11:10: pos[0].system: `qasr` is unknown; expected \"qasir\" or \"olsera\" or \"pos-kasir\" or \"asalta\"; did you mean `qasir`?",
        ),
        (
            "\"qasir\"",
            "\"moka\"",
            "11:10: pos[0].system: `moka` is unknown; expected \"qasir\" or \"olsera\" or \"pos-kasir\" or \"asalta\"",
        ),
        ("\"30s\"", "\"2h\"", "13:14: pos[0].poll-every: `2h` is out of bounds; expected 1s to 1h"),
        (
            "\"30d\"",
            "90",
            "14:12: pos[0].backfill: found the whole number `90`; expected a duration in quotes, such as \"15s\"",
        ),
        (
            "= 20\n",
            "= 0\n",
            "15:23: pos[0].requests-per-minute: `0` is out of bounds; expected a whole number, 1 to 6000",
        ),
        (
            "= 20\n",
            "= 99999999999999999999\n",
            "15:23: pos[0].requests-per-minute: the whole number `99999999999999999999` is out of bounds; expected a whole number, 1 to 6000",
        ),
        (
            "token = \"hunter2-Zq7\"\n",
            "",
            "9:1: pos[0].token-file: missing; add a line such as `token-file = \"/etc/tillbox/qasir.token\"`",
        ),
        ("token =", "tokn =", "12:1: pos[0].tokn: unknown key; did you mean `token`?"),
    ] {
        assert_eq!(fault_of(from, to), fault, "{from} => {to}");
    }
}

#[test]
fn each_fault_of_the_rest_says_what_was_found_and_what_to_do() {
    for (from, to, fault) in [
        ("[[pos]]", "[pos]", "9:1: pos: found one table; expected tables, each headed `[[pos]]`"),
        (
            "\"broker\"",
            "\"brokr\"",
            "19:15: hq.acknowledge: `brokr` is unknown; expected \"feed\" or \"broker\"; did you mean `broker`?",
        ),
        (
            "username = \"box\"\n",
            "",
            "17:1: hq.username: missing; a password is given, and MQTT takes none without a user name; add a line such as `username = \"jkt-014\"`",
        ),
        (
            "mqtt.hq.example\"",
            "mqtt.hq.example:8883/x\"",
            "18:12: hq.brokers[0]: `mqtts://mqtt.hq.example:8883/x` has a path, and a broker has none; end it after the port",
        ),
        (
            "mqtt://[::1]:2883",
            "mqtts://mqtt.hq.example:8883",
            "18:39: hq.brokers[1]: `mqtts://mqtt.hq.example:8883` is listed twice; take one out",
        ),
        (
            "window",
            "topic-prefix = \"a/#\"\nwindow",
            "22:16: hq.topic-prefix: `a/#` is no topic prefix; expected levels with single slashes between them, without + or #, not beginning with $, 256 bytes at most",
        ),
        (
            "window",
            "event-max-size = \"1MiB\"\nwindow",
            "22:18: hq.event-max-size: `1MiB` is out of bounds; expected 4KiB to 192KiB",
        ),
        (
            "\"1GiB\"",
            "\"1GB\"",
            "26:12: outbox.max-size: `1GB` has a unit that is not read, only KiB, MiB and GiB are; did you mean \"1GiB\"?",
        ),
        (
            "[outbox]",
            "[board]\nprofile = \"pi\"\n[outbox]",
            "25:11: board.profile: `pi` is no known board; expected \"raspberry-pi-zero\", \"raspberry-pi-zero-2-w\", \"raspberry-pi-3\", \"raspberry-pi-4\", \"raspberry-pi-5\", \"orange-pi-zero-3\", \"none\" or a path",
        ),
    ] {
        assert_eq!(fault_of(from, to), fault, "{from} => {to}");
    }
}

#[test]
fn connections_have_names_of_their_own() {
    let second = "[[pos]]\nname = \"front\"\nsystem = \"qasir\"\ntoken = \"x\"\n[hq]";
    let fault = fault_of("[hq]", second);
    assert_eq!(
        fault,
        "18:8: pos[1].name: `front` is already the name of pos[0]; give each connection a name of its own"
    );
}

#[test]
fn an_account_is_read_by_one_connection() {
    let second = |rest: &str| format!("[[pos]]\nname = \"bar\"\nsystem = \"qasir\"\n{rest}\n[hq]");
    let twice = second("base-url = \"https://API.qasir.id/v1/\"\ntoken = \"hunter2-Zq7\"");
    assert_eq!(
        fault_of("[hq]", &twice),
        "21:9: pos[1].token: `front` and `bar` have one system, base-url and account, so every sale would be \
         counted twice; take one of them out, or give each its own account"
    );
    for other in ["token = \"x\"", "base-url = \"https://qasir.example\"\ntoken = \"hunter2-Zq7\""] {
        assert!(private(&VALID.replacen("[hq]", &second(other), 1)).is_ok(), "{other}");
    }
}

#[test]
fn plain_text_needs_consent_except_on_this_machine() {
    let base = |url: &str| VALID.replacen("token =", &format!("base-url = \"{url}\"\ntoken ="), 1);
    let fault = "12:12: pos[0].base-url: http:// shows sales and credentials to the network on the way to 10.0.0.5; \
                 write https://, or accept it with `allow-plain-text = true`";
    assert_eq!(faults(&base("http://10.0.0.5:8080/api")), [fault]);
    let accepted = base("http://10.0.0.5:8080/api/").replacen("token =", "allow-plain-text = true\ntoken =", 1);
    assert_eq!(private(&accepted).expect("accepted").pos[0].base_url, "http://10.0.0.5:8080/api");
    for url in ["http://localhost:1", "http://127.0.0.2/", "http://[::1]:80/v1"] {
        private(&base(url)).expect(url);
    }
    let fault = fault_of("mqtt://[::1]:2883", "mqtt://hq.example");
    assert!(fault.contains("hq.brokers[1]: mqtt:// shows sales and credentials"), "{fault}");
    private(
        &VALID.replace("mqtt://[::1]:2883", "mqtt://hq.example").replace("window", "allow-plain-text = true\nwindow"),
    )
    .expect("accepted");
}

#[test]
fn one_fault_is_one_line_whatever_the_file_holds() {
    for text in
        ["\"a\\nb\\u001b[2J\" = 1", "outlet = { id = \"x\\ny\\u2028\" }", "outlet = { timezone = \"a\\u0000b\" }"]
    {
        let faults = private(text).expect_err("faulty");
        let printed = faults.to_string();
        assert_eq!(printed.split(['\n', '\u{2028}']).count(), faults.list().len(), "{printed}");
        assert!(!printed.contains('\u{1b}'));
    }
}

#[test]
fn a_flood_of_faults_is_cut_and_counted() {
    let list = faults(&"=\n".repeat(1_000));
    assert_eq!(list.len(), 101);
    assert_eq!(list[100], " and 900 more; correct these first");
}
