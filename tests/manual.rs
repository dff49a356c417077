//! The manual page and the completions know every command and option that `tillbox --help` names, and each command has a
//! help of its own.

use std::{collections::BTreeSet, process::Command};

const MANUAL: &str = include_str!("../docs/man/tillbox.1");
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", include_str!("../docs/completions/tillbox.bash")),
    ("zsh", include_str!("../docs/completions/tillbox.zsh")),
    ("fish", include_str!("../docs/completions/tillbox.fish")),
];

fn help() -> String {
    says(&["--help"])
}

/// What the program says, which must end well, and with its last line.
fn says(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tillbox")).args(words).output().expect("the program runs");
    assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
    let text = String::from_utf8(output.stdout).expect("the help is text");
    assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{words:?}: {text}");
    text
}

/// `run`, `outbox list` …, each with the line of the help that names it and its options.
fn lines_of_commands(help: &str) -> Vec<(Vec<&str>, &str)> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let lines = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    lines.map(|line| (line.split_whitespace().take(2).take_while(|word| is_word(word)).collect(), line)).collect()
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

#[test]
fn each_command_has_a_help_of_its_own() {
    let help = help();
    let commands = lines_of_commands(&help);
    assert!(commands.len() >= 13, "{commands:?}");
    let mut all = BTreeSet::from([help.clone()]);
    for (command, line) in &commands {
        let name = command.join(" ");
        let own = says(&[&command[..], &["--help"]].concat());
        assert!(own.starts_with(&format!("tillbox {name}: ")), "{own}");
        assert!(own.contains(&format!("\nUsage: tillbox {name}")) && own.contains("\n  -h, --help "), "{own}");
        for option in options(line) {
            assert!(options(&own).contains(&option), "the help of {name} does not tell of {option}");
        }
        assert_eq!(says(&[&command[..], &["-h"]].concat()), own);
        assert!(own.lines().all(|line| line.chars().count() <= 120), "{own}");
        assert!(all.insert(own), "the help of {name} is another's");
    }
    let outbox = says(&["outbox", "--help"]);
    for (command, _) in commands.iter().filter(|(command, _)| command[0] == "outbox") {
        assert!(names(&outbox, command[1]), "`tillbox outbox --help` does not tell of {}", command[1]);
    }
    assert!(all.insert(outbox) && says(&[]) == help);
    // Behind a word that a command takes, too.
    assert_eq!(says(&["outbox", "show", "7", "--help"]), says(&["outbox", "show", "--help"]));
    assert_eq!(says(&["check", "--online", "--help"]), says(&["check", "--help"]));
}

#[test]
fn what_cannot_be_done_is_one_line_that_ends_and_steers_nothing() {
    for words in [&["chekc"][..], &["run", "--stya"], &["outbox"], &["outbox", "lsit"], &["a\u{1b}[2J\u{202e}\nb"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_tillbox")).args(words).output().expect("the program runs");
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!((output.status.code(), said.lines().count()), (Some(64), 1), "{said}");
        assert!(said.ends_with("; see tillbox --help\n") && !said.contains(['\u{1b}', '\u{202e}']), "{said}");
    }
}
