//! Keys and tables that must be there, that must not, or that are there twice.

use super::{Key, Mistake, keys, mistake, with_line};

pub fn mistakes(text: &str) -> Vec<Mistake> {
    [missing(text), added(text), twice(text)].into_iter().flatten().collect()
}

fn key(text: &str, path: &str) -> Key {
    keys(text).into_iter().find(|key| key.path() == path).unwrap_or_else(|| panic!("no key {path}"))
}

/// The line of a table's header, from 1.
fn header(text: &str, table: &str) -> usize {
    let mut lines = text.lines();
    let connection = table.strip_prefix("pos[").and_then(|rest| rest.strip_suffix(']')?.parse::<usize>().ok());
    let index = match connection {
        Some(number) => {
            text.lines().enumerate().filter(|(_, line)| *line == "[[pos]]").nth(number).map(|(index, _)| index)
        }
        None => lines.position(|line| line == format!("[{table}]")),
    };
    index.unwrap_or_else(|| panic!("no table {table}")) + 1
}

/// Keys that are left out.
fn missing(text: &str) -> Vec<Mistake> {
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
        let key = key(text, path);
        let name = format!("{path}: missing; ");
        all.push(mistake(
            format!("{path} is left out"),
            with_line(text, key.index, ""),
            header(text, &key.table),
            1,
            &[&name, remedy],
        ));
    }
    all
}

/// Lines that do not belong there.
fn added(text: &str) -> Vec<Mistake> {
    let mut all = Vec::new();
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
        let key = key(text, path);
        let old = text.lines().nth(key.index).expect("a line");
        let spoilt = with_line(text, key.index, &format!("{old}\n{line}"));
        all.push(mistake(format!("behind {path}: {line}"), spoilt, key.index + 2, column, &names));
    }
    all
}

/// What is there twice, and tables of another kind.
fn twice(text: &str) -> Vec<Mistake> {
    let mut all = Vec::new();
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
        let key = key(text, path);
        let told = if path == "pos[2].name" {
            keys(text).into_iter().find(|key| key.path() == "pos[3].name").expect("a key").index
        } else {
            key.index
        };
        all.push(mistake(line.to_owned(), with_line(text, key.index, line), told + 1, 8, &names));
    }
    // One account twice.
    let twice = "[[pos]]\nname = \"bar\"\nsystem = \"pos-kasir\"\nbase-url = \"https://till.example/api/v1/\"\nemail = \"b@shop.example\"\npassword-file = \"pos-kasir.password\"\n\n[hq]\n";
    let at = header(text, "hq");
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
        let line = header(text, table);
        all.push(mistake(format!("{from} is {to}"), with_line(text, line - 1, to), line, column, &names));
    }
    all
}
