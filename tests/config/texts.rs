//! What a technician reads who writes what is no config: each file in `texts` with all that `tillbox check` says of it.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use crate::{SECRET, file};

/// Files that the configs name.
const BESIDE: [(&str, &str); 4] = [
    ("qasir.token", SECRET),
    ("bearer.token", "Bearer hunter2-Zq7\n"),
    ("quoted.token", "\"hunter2-Zq7\"\n"),
    ("placeholder.key", "<secret-key>\n"),
];

/// All that the program says of a config, and its exit code; the config is called `tillbox.toml`.
fn said(text: &str) -> String {
    let folder = TempDir::new().expect("a temporary folder");
    for (name, content) in BESIDE {
        file(&folder, name, content, 0o600);
    }
    let config = file(&folder, "tillbox.toml", text, 0o600);
    let run = Command::new(env!("CARGO_BIN_EXE_tillbox")).arg("check").arg("--config").arg(&config).output();
    let output = run.expect("the program starts");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).expect("text").replace(&format!("{}/", folder.path().display()), "");
    assert!(said.ends_with('\n'), "the last line ends: {said}");
    format!("{said}exit {}\n", output.status.code().expect("a code"))
}

#[test]
fn each_text_is_told_as_what_it_is_with_what_to_write_instead() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/texts");
    let (mut number, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(&folder).expect("the texts") {
        let path = entry.expect("an entry").path();
        if path.extension() != Some("toml".as_ref()) {
            continue;
        }
        number += 1;
        let said = said(&fs::read_to_string(&path).expect("a text"));
        assert!(!said.contains(SECRET), "{}: a secret is shown\n{said}", path.display());
        let expected = fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        if said != expected {
            wrong.push(format!("== {}\n{said}-- expected\n{expected}", path.display()));
        }
    }
    assert!(number >= 15, "{number} texts");
    assert!(wrong.is_empty(), "{} of {number} texts:\n{}", wrong.len(), wrong.join("\n"));
}
