//! The manual page and the completions know every command and option that `tillbox --help` names.

use std::{collections::BTreeSet, process::Command};

const MANUAL: &str = include_str!("../docs/man/tillbox.1");
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", include_str!("../docs/completions/tillbox.bash")),
    ("zsh", include_str!("../docs/completions/tillbox.zsh")),
    ("fish", include_str!("../docs/completions/tillbox.fish")),
];

fn help() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tillbox")).arg("--help").output().expect("the program runs");
    String::from_utf8(output.stdout).expect("the help is text")
}

/// `run`, `outbox`, `list` …: the lower-case words that begin the lines under `Commands:`.
fn commands(help: &str) -> BTreeSet<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    lines
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .flat_map(|line| {
            let words = line.split_whitespace().take(2);
            words.take_while(|word| is_word(word)).collect::<Vec<_>>()
        })
        .map(str::to_owned)
        .collect()
}

fn is_word(word: &str) -> bool {
    !word.starts_with('-') && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

/// `--config`, `--json` …, wherever they stand.
fn options(help: &str) -> BTreeSet<String> {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c == '-';
    help.split(|c| !is_of_name(c)).filter(|word| word.starts_with("--") && word.len() > 2).map(str::to_owned).collect()
}

/// Whether a text names something, and not only as a part of a longer name.
fn names(text: &str, name: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c == '-';
    text.split(|c| !is_of_name(c)).any(|word| word == name)
}

#[test]
fn the_manual_page_and_the_completions_know_every_command_and_option() {
    let help = help();
    let (commands, options) = (commands(&help), options(&help));
    assert!(commands.contains("run") && commands.contains("export") && options.contains("--config"), "{help}");
    let manual = MANUAL.replace("\\-", "-").replace("\\fI", " ").replace("\\fB", " ").replace("\\fR", " ");
    for name in commands.iter().chain(&options) {
        assert!(names(&manual, name), "docs/man/tillbox.1 does not tell of {name}");
        for (shell, completion) in COMPLETIONS {
            let bare = if shell == "fish" { name.trim_start_matches("--") } else { name };
            assert!(names(completion, bare), "the completions for {shell} do not offer {name}");
        }
    }
}
