//! Board profiles: those that come with the program, those of technicians, and what a config changes of them.

use tempfile::TempDir;
use tillbox::{
    board::profile::{At, Bias, KNOWN, Light, Profile, Role},
    config::{Board, Config},
};

use crate::{LEAST, faults, file, private};

fn board(lines: &str) -> Profile {
    match private(&format!("{LEAST}\n[board]\n{lines}")).expect("valid").board {
        Board::Profile(profile) => profile,
        Board::None => panic!("no board"),
    }
}

fn faults_of_board(lines: &str) -> Vec<String> {
    faults(&format!("{LEAST}\n[board]\n{lines}"))
}

/// The faults of a profile in a file of its own, without the place in the config.
fn faults_of_profile(text: &str) -> Vec<String> {
    let folder = TempDir::new().expect("a temporary folder");
    file(&folder, "board.toml", text, 0o644);
    let config = file(&folder, "tillbox.toml", &format!("{LEAST}\nboard.profile = \"board.toml\""), 0o600);
    let printed = Config::load(&config).expect_err("a faulty profile").to_string();
    let place = format!("{}:6:17: board.profile: board.toml:", config.display());
    printed.lines().map(|line| line.strip_prefix(&place).unwrap_or_else(|| panic!("{line}")).to_owned()).collect()
}

#[test]
fn every_known_profile_has_a_line_for_each_role() {
    for (name, _) in KNOWN {
        let profile = board(&format!("profile = {name:?}"));
        assert_eq!(profile.name, name);
        assert_eq!(profile.lines.iter().map(|line| line.role).collect::<Vec<_>>(), Role::ALL, "{name}");
        for line in &profile.lines {
            assert!(line.chip.is_some() && line.pin.is_some(), "{name}: {line}");
            assert_eq!(line.bias, (!line.role.is_output()).then_some(Bias::PullUp), "{name}: {line}");
            assert_eq!(line.active_low, !line.role.is_output(), "{name}: {line}");
        }
    }
    let chip = |name: &str| board(&format!("profile = {name:?}")).lines[0].chip.clone().expect("a chip");
    assert_eq!(
        ["raspberry-pi-zero", "raspberry-pi-3", "raspberry-pi-4", "raspberry-pi-5"].map(chip),
        ["pinctrl-bcm2835", "pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1"]
    );
}

/// The same header: one drawing shows all of them.
#[test]
fn every_raspberry_pi_is_wired_alike() {
    let wires = |name: &str| {
        let lines = board(&format!("profile = {name:?}")).lines;
        let number = |at: At| match at {
            At::Name(name) => name,
            At::Offset(offset) => format!("GPIO{offset}"),
        };
        lines.into_iter().map(|line| (line.role, number(line.at), line.pin)).collect::<Vec<_>>()
    };
    let pis = KNOWN.iter().filter(|(name, _)| name.starts_with("raspberry"));
    for (name, _) in pis {
        assert_eq!(wires(name), wires("raspberry-pi-4"), "{name}");
    }
}

#[test]
fn the_template_is_a_profile() {
    let folder = TempDir::new().expect("a temporary folder");
    file(&folder, "board.toml", include_str!("../../board/template.toml"), 0o644);
    let path = file(&folder, "tillbox.toml", &format!("{LEAST}\nboard.profile = \"board.toml\""), 0o600);
    let Board::Profile(profile) = Config::load(&path).expect("valid").board else { panic!("no board") };
    assert_eq!((profile.name.as_str(), profile.lines.len()), ("board.toml", 8));
    assert_eq!(profile.line(Role::Light(Light::Sync)).expect("sync").at, At::Name("GPIO17".to_owned()));
}

#[test]
fn a_config_changes_single_keys() {
    let profile = board(
        "profile = \"raspberry-pi-5\"
        lines.paper-end = { active-low = false }
        lines.printer-fault = { used = false }
        lines.hold = { line = \"GPIO26\" }
        lines.fault = { chip = \"other\", offset = 3, active-low = true }",
    );
    let line = |role| profile.line(role).expect("a line");
    assert!(!line(Role::PaperEnd).active_low && line(Role::PaperLow).active_low);
    assert_eq!(line(Role::PaperEnd).bias, Some(Bias::PullUp), "the rest stays");
    assert!(profile.line(Role::PrinterFault).is_none());
    assert_eq!(
        (&line(Role::Light(Light::Hold)).at, line(Role::Light(Light::Hold)).pin),
        (&At::Name("GPIO26".to_owned()), None)
    );
    assert_eq!(line(Role::Light(Light::Hold)).chip.as_deref(), Some("pinctrl-rp1"));
    let fault = line(Role::Light(Light::Fault));
    assert_eq!((&fault.at, fault.chip.as_deref(), fault.active_low), (&At::Offset(3), Some("other"), true));

    let own = board("lines.sync = { line = \"LED\" }");
    assert_eq!((own.lines.len(), own.line(Role::Light(Light::Sync)).expect("sync").chip.clone()), (1, None));
}

#[test]
fn faults_of_the_table() {
    for (lines, fault) in [
        (
            "profile = \"raspberry-pie-4\"",
            "7:11: board.profile: `raspberry-pie-4` is no known board; expected \"raspberry-pi-zero\", \
             \"raspberry-pi-zero-2-w\", \"raspberry-pi-3\", \"raspberry-pi-4\", \"raspberry-pi-5\", \
             \"orange-pi-zero-3\", \"none\" or a path; did you mean `raspberry-pi-4`?",
        ),
        ("profil = \"none\"", "7:1: board.profil: unknown key; did you mean `profile`?"),
        (
            "profile = \"/nowhere/board.toml\"",
            "7:11: board.profile: the path is good up to / only: there is no such file; create it or correct the path",
        ),
        (
            "profile = \"raspberry-pi-4\"\nlines.paper-endd = { used = false }",
            "8:7: board.lines.paper-endd: unknown table; did you mean `paper-end`?",
        ),
        (
            "profile = \"raspberry-pi-4\"\nlines.paper-end = { active_low = false }",
            "8:21: board.lines.paper-end.active_low: unknown key; did you mean `active-low`?",
        ),
        (
            "profile = \"raspberry-pi-4\"\nlines.paper-end = { active-low = \"no\" }",
            "8:34: board.lines.paper-end.active-low: found text; expected true or false, without quotes; for `no` write false",
        ),
        (
            "profile = \"raspberry-pi-4\"\nlines.hold = { line = \"GPIO17\" }",
            "8:14: board.lines.hold: `sync` and `hold` are both on GPIO17; give each a line of its own",
        ),
        (
            "profile = \"raspberry-pi-4\"\nlines.sync = { bias = \"pull-up\" }",
            "8:23: board.lines.sync.bias: has no use for `sync`, which the box drives; take it out",
        ),
        (
            "lines.sync = { active-low = true }",
            "7:14: board.lines.sync.line: missing; give the line's `line`, its name, or its `offset` on the chip; \
             `gpioinfo` lists both",
        ),
        (
            "lines.sync = { offset = 17 }",
            "7:14: board.lines.sync.chip: missing; an `offset` counts on one chip; give its label, as `gpiodetect` shows it",
        ),
        (
            "lines.sync = { line = \"A\", offset = 17, chip = \"c\" }",
            "7:37: board.lines.sync.offset: `line` is given too; keep one of them",
        ),
    ] {
        assert_eq!(faults_of_board(lines), [fault], "{lines}");
    }
}

#[test]
fn faults_of_a_profile_have_their_place_in_it() {
    const LIGHTS: &str =
        "name = \"Mine\"\nchip = \"c\"\n[lines]\nsync.line = \"A\"\nhold.line = \"B\"\nfault.line = \"C\"\n";
    for (text, expected) in [
        ("name = \"Mine\"", vec!["1:1: lines: missing; write `[lines.sync]`, `[lines.hold]`, `[lines.fault]`"]),
        (
            "name = \"Mine\"\n[lines.sync]\nline = \"A\"\n[lines.hold]\nlin = \"B\"",
            vec![
                "2:2: lines.fault: missing; write `[lines.fault]` with its line",
                "5:1: lines.hold.lin: unknown key; did you mean `line`?",
            ],
        ),
        (
            &format!("{LIGHTS}paper-end = {{ line = \"B\" }}\npaper-low = {{ offset = 2_000 }}"),
            vec![
                "7:13: lines.paper-end: `hold` and `paper-end` are both on B; give each a line of its own",
                "8:24: lines.paper-low.offset: `2000` is out of bounds; expected a whole number, 0 to 1023",
            ],
        ),
        (
            &format!(
                "{LIGHTS}receipt-pulse = {{ offset = 7, pin = 11 }}\nreceipt-ready = {{ line = \"D\", pin = 11 }}"
            ),
            vec![
                "7:17: lines.receipt-pulse: `receipt-ready` and `receipt-pulse` are both on offset 7 (pin 11); give \
                 each a line of its own",
            ],
        ),
    ] {
        assert_eq!(faults_of_profile(text), expected, "{text}");
    }
    assert!(faults_of_profile("name = \"Mine")[0].starts_with("1:13: not TOML: "));
}
