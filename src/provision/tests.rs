//! Provisioning between two folders that stand for the boot partition and `/etc/tillbox`.

use super::*;
use std::os::unix::fs::PermissionsExt as _;

const TOKEN: &str = "a-token-that-nobody-may-see";

/// As the README has it: an absolute path, a relative one, and a secret in the file.
const CONFIG: &str = r#"[outlet]
id = "jkt-014"
timezone = "Asia/Jakarta"
currency = "IDR"

[[pos]]
name = "front"
system = "qasir"
token-file = "PLACE/qasir.token"

[hq]
brokers = ["mqtts://mqtt.hq.example:8883"]
acknowledge = "feed"
username = "jkt-014"
password = "an-inline-secret"
ca-certificate = "./hq-ca.crt"
"#;

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

struct Box {
    folder: tempfile::TempDir,
}

impl Box {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["boot", "etc", "run"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn text(&self) -> String {
        CONFIG.replace("PLACE", &self.path("etc").display().to_string())
    }

    /// The technician's computer writes files that everybody reads.
    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn put_all(&self) {
        self.put("boot/tillbox.toml", self.text());
        self.put("boot/qasir.token", format!("{TOKEN}\r\n"));
        self.put("boot/hq-ca.crt", CERTIFICATE);
    }

    fn start(&self) -> Outcome {
        let options = Options {
            boots: vec![self.path("boot/firmware"), self.path("boot")],
            config: self.path("etc/tillbox.toml"),
            user: "nobody-of-this-name".to_owned(),
            runtime: Some(self.path("run")),
        };
        provision(&options, "2026-03-14T12:00:00Z".parse().unwrap())
    }

    fn report(&self) -> String {
        fs::read_to_string(self.path("boot").join(REPORT)).unwrap_or_default()
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn assert_taken_over(&self) {
        let config = Config::load(&self.path("etc/tillbox.toml")).unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(config.pos[0].credentials.secret().read().unwrap().expose(), TOKEN);
        assert_eq!(self.names("etc"), ["hq-ca.crt", "qasir.token", "tillbox.toml"]);
        for name in self.names("etc") {
            let mode = fs::metadata(self.path("etc").join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(self.names("boot"), [REPORT]);
        assert!(refused(&self.path("run")).is_none());
    }
}

fn refusal(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Refused(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_right_config_and_what_it_names_become_the_daemons_own_and_leave_the_partition() {
    let the = Box::new();
    assert_eq!(the.start(), Outcome::Nothing);
    the.put_all();
    let outcome = the.start();
    assert!(matches!(&outcome, Outcome::TakenOver(text) if text.contains("hq-ca.crt, qasir.token")), "{outcome:?}");
    the.assert_taken_over();
    let report = the.report();
    assert!(report.contains("taken over at 2026-03-14T12:00:00Z") && report.contains("outlet  jkt-014"), "{report}");
    assert!(![TOKEN, "an-inline-secret"].iter().any(|secret| report.contains(secret)), "{report}");
    assert_eq!(the.start(), Outcome::Nothing, "a boot without news does nothing");
}

#[test]
fn a_config_alone_may_name_what_the_box_has_already() {
    let the = Box::new();
    the.put_all();
    the.start();
    the.put("boot/TILLBOX.TOML", the.text().replace("jkt-014", "jkt-015"));
    assert!(matches!(the.start(), Outcome::TakenOver(_)));
    the.assert_taken_over();
    assert_eq!(Config::load(&the.path("etc/tillbox.toml")).unwrap().outlet.id, "jkt-015");
}

#[test]
fn what_notepad_writes_is_read_and_utf_16_is_told() {
    let the = Box::new();
    the.put_all();
    the.put("boot/tillbox.toml", format!("\u{feff}{}", the.text().replace('\n', "\r\n")));
    assert!(matches!(the.start(), Outcome::TakenOver(_)), "{}", the.report());
    the.assert_taken_over();

    let wide: Vec<u8> = the.text().encode_utf16().flat_map(u16::to_le_bytes).collect();
    the.put("boot/tillbox.toml", [&[0xff, 0xfe][..], &wide].concat());
    assert!(refusal(&the.start()).contains("is UTF-16; save the file as UTF-8"));
    the.put("boot/tillbox.toml", wide);
    assert!(refusal(&the.start()).contains("holds zero bytes"));
    the.put("boot/tillbox.toml", b"[outlet]\nname = \"Caf\xe9\"\n");
    assert!(refusal(&the.start()).contains("line 2 is not UTF-8"));
    the.put("boot/tillbox.toml", vec![b'#'; 2 << 20]);
    assert!(refusal(&the.start()).contains("is longer than 64KiB"));
    the.put("boot/tillbox.toml", "");
    assert!(refusal(&the.start()).contains("tillbox.toml:1:1: outlet: missing"));
}

#[test]
fn a_faulty_config_stays_with_a_report_of_every_fault_and_the_box_goes_on() {
    let the = Box::new();
    the.put_all();
    the.start();
    let before = fs::read(the.path("etc/tillbox.toml")).unwrap();
    let faulty = the.text().replace("acknowledge", "acknowlege").replace("Asia/Jakarta", "Asia/Djakarta");
    the.put("boot/tillbox.toml", &faulty);
    let outcome = the.start();
    // Below each fault stands its line of the file.
    let told = refusal(&outcome).lines().filter(|line| !line.starts_with(' '));
    assert_eq!(told.count(), 2, "{outcome:?}");
    assert_eq!(fs::read(the.path("etc/tillbox.toml")).unwrap(), before);
    assert_eq!(fs::read_to_string(the.path("boot/tillbox.toml")).unwrap(), faulty);
    let report = the.report();
    assert!(report.contains("\r\ntillbox.toml:3:12: outlet.timezone: "), "{report}");
    assert!(report.contains("\r\n    3 | timezone = ") && report.contains("\r\n      |            ^\r\n"), "{report}");
    assert!(report.contains("\r\ntillbox.toml:13:1: hq.acknowlege: unknown key; did you mean `acknowledge`?\r\n"));
    assert!(report.contains("goes on with the settings that it has") && report.contains("BELUM"), "{report}");
    let told = refused(&the.path("run")).unwrap();
    assert!(told.contains("tillbox.toml:3:12") && told.ends_with("(and 1 more in tillbox-report.txt)"), "{told}");

    // The same again writes nothing.
    let stamp = || fs::metadata(the.path("boot").join(REPORT)).unwrap().modified().unwrap();
    let first = stamp();
    assert_eq!(the.start(), outcome);
    assert_eq!(stamp(), first);
    the.put_all();
    assert!(matches!(the.start(), Outcome::TakenOver(_)));
    the.assert_taken_over();
}

#[test]
fn a_file_that_is_missing_or_wrong_beside_the_config_is_a_fault_without_its_content() {
    let the = Box::new();
    the.put_all();
    fs::remove_file(the.path("boot/qasir.token")).unwrap();
    the.put("boot/hq-ca.crt", TOKEN);
    let outcome = the.start();
    let text = refusal(&outcome);
    assert!(text.contains("pos[0].token-file: ") && text.contains("no such file"), "{text}");
    assert!(text.contains("boot/./hq-ca.crt has no line") || text.contains("boot/hq-ca.crt has no line"), "{text}");
    assert!(!text.contains(TOKEN), "{text}");
    assert!(the.names("etc").is_empty() && the.report().contains("it has no settings yet"), "{}", the.report());
}

#[test]
fn a_misnamed_file_is_named_in_the_report() {
    let the = Box::new();
    the.put("boot/tillbox.toml.txt", the.text());
    assert!(refusal(&the.start()).starts_with("tillbox.toml.txt: is not the config's name; rename it to tillbox.toml"));
    assert!(the.report().contains("rename it to tillbox.toml"), "{}", the.report());
    assert_eq!(the.names("boot"), [REPORT, "tillbox.toml.txt"].map(str::to_owned));
}

#[test]
fn what_was_being_erased_when_the_power_went_is_erased_at_the_next_start() {
    let the = Box::new();
    let config = the.text();
    for zeroed in [1, config.len() / 2, config.len()] {
        // Everything is taken over; the certificate is half erased, the token wholly, the config not yet.
        the.put_all();
        the.start();
        the.put("boot/tillbox.toml", &config);
        the.put("boot/qasir.token", vec![0; TOKEN.len() + 2]);
        let mut half = CERTIFICATE.as_bytes().to_vec();
        half[10..30].fill(0);
        the.put("boot/hq-ca.crt", half);
        assert!(matches!(the.start(), Outcome::TakenOver(_)), "{}", the.report());
        the.assert_taken_over();
        // The config itself is being erased.
        let mut rest = config.clone().into_bytes();
        rest[..zeroed].fill(0);
        the.put("boot/tillbox.toml", rest);
        assert!(matches!(the.start(), Outcome::TakenOver(_)), "{}", the.report());
        the.assert_taken_over();
    }
}
