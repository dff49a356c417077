//! The flow against the simulated server, over the loopback.

use std::{
    io::{BufReader, Cursor, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    sync::mpsc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::{
    clock::Clock,
    config::{Acknowledge, Currency, Origin},
    demo::{
        asalta::{Asalta, Options},
        simulator::Server,
    },
    secret::SecretAt,
    zone::Zone,
};

struct Stage {
    server: Server<Asalta>,
    clock: Clock,
    folder: tempfile::TempDir,
    redirect_uri: String,
}

impl Stage {
    fn new() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let clock = Clock::standing_at("2026-03-14T12:00:00Z".parse::<DateTime<Utc>>().unwrap());
        let redirect_uri = format!("http://127.0.0.1:{port}/back");
        let mut options = Options::new(Zone::load("Asia/Singapore").unwrap());
        options.redirect_uri.clone_from(&redirect_uri);
        let server = Server::start(Asalta::new(clock.clone(), options)).unwrap();
        Self { server, clock, folder: tempfile::tempdir().unwrap(), redirect_uri }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("asalta.token")
    }

    fn pos(&self) -> Pos {
        Pos {
            name: "front".to_owned(),
            system: System::Asalta,
            base_url: self.server.base_url(),
            credentials: Credentials::OAuth {
                token: SecretAt::File(self.file()),
                client: OAuthClient {
                    id: "tillbox-014".to_owned(),
                    secret: SecretAt::Here(Secret::new("asalta-client-secret")),
                    redirect_uri: self.redirect_uri.clone(),
                },
            },
            poll_every: Duration::from_secs(15),
            backfill: Duration::from_secs(86_400),
            requests_per_minute: 30,
            timezone: Zone::load("Asia/Singapore").unwrap(),
            currency: Currency::parse("SGD").unwrap(),
            ca_certificate: None,
        }
    }

    /// Runs the flow; `person` gets the address to open and gives what to paste, if anything.
    fn run(pos: &Pos, person: impl FnOnce(String) -> Option<String>) -> (Result<PathBuf, AuthorizeError>, String) {
        let (told, tells) = mpsc::channel();
        let (paste, pasted) = mpsc::channel();
        let pos = pos.clone();
        let flow = thread::spawn(move || {
            let mut output = Told(told);
            authorize(&pos, BufReader::new(Pasted(pasted, Cursor::default())), &mut output, Duration::from_secs(20))
        });
        let mut shown = String::new();
        let address = loop {
            let part: String = tells.recv().unwrap();
            shown.push_str(&part);
            if let Some(line) = shown.lines().find(|line| line.starts_with("  http")).filter(|_| shown.ends_with('\n'))
            {
                break line.trim().to_owned();
            }
        };
        if let Some(text) = person(address) {
            paste.send(text).unwrap();
        }
        let result = flow.join().unwrap();
        drop(paste);
        shown.extend(tells.try_iter());
        (result, shown)
    }
}

struct Told(mpsc::Sender<String>);

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Pasted(mpsc::Receiver<String>, Cursor<Vec<u8>>);

impl Read for Pasted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.1.read(into)?;
        if read > 0 {
            return Ok(read);
        }
        match self.0.recv() {
            Ok(text) => {
                self.1 = Cursor::new(format!("{text}\n").into_bytes());
                self.1.read(into)
            }
            Err(_) => Ok(0),
        }
    }
}

/// What a server answers to a GET: head and body.
fn get(address: &str) -> String {
    let rest = address.strip_prefix("http://").unwrap();
    let (place, path) = rest.find('/').map(|at| rest.split_at(at)).unwrap();
    let mut stream = TcpStream::connect(place).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {place}\r\nAccept: text/html\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Opens the address, and gives where it sends the browser.
fn sent_to(address: &str) -> String {
    let answer = get(address);
    let location = answer.lines().find_map(|line| line.strip_prefix("Location: "));
    location.unwrap_or_else(|| panic!("{answer}")).trim().to_owned()
}

#[test]
fn a_browser_that_comes_back_brings_the_token() {
    let stage = Stage::new();
    let (result, shown) = Stage::run(&stage.pos(), |address| {
        let back = sent_to(&address);
        let base = stage.redirect_uri.strip_suffix("/back").unwrap();
        assert!(get(&format!("{base}/favicon.ico")).starts_with("HTTP/1.1 404"));
        assert!(get(&stage.redirect_uri).starts_with("HTTP/1.1 404"));
        assert!(get(&format!("{}?code=guess&state=guess", stage.redirect_uri)).starts_with("HTTP/1.1 400"));
        let page = get(&back);
        assert!(page.starts_with("HTTP/1.1 200") && page.contains("Close this page"));
        None
    });
    assert_eq!(result.unwrap(), stage.file());
    assert_eq!(fs::read_to_string(stage.file()).unwrap(), "asalta-token\n");
    assert_eq!(fs::metadata(stage.file()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(stage.folder.path()).unwrap().count(), 1, "nothing else is left there");
    assert_eq!(stage.pos().credentials.secret().read().unwrap(), Secret::new("asalta-token"), "as the daemon reads it");
    assert!(!shown.contains("asalta-token") && !shown.contains("code%2B") && !shown.contains("code+"), "{shown}");
    assert!(shown.contains("another request"), "the guess was told: {shown}");
    assert_eq!(stage.server.http().mutations(), 0);
}

#[test]
fn an_address_can_be_pasted_and_replaces_a_token_that_is_there() {
    let stage = Stage::new();
    fs::write(stage.file(), "old\n").unwrap();
    fs::set_permissions(stage.file(), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(stage.file().with_extension("new"), "left").unwrap();
    let (result, _) = Stage::run(&stage.pos(), |address| Some(format!("nonsense\n\n{}", sent_to(&address))));
    result.unwrap();
    assert_eq!(fs::read_to_string(stage.file()).unwrap(), "asalta-token\n");
    assert_eq!(fs::metadata(stage.file()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_redirect_to_another_machine_is_only_pasted() {
    let mut stage = Stage::new();
    "https://hq.example/back".clone_into(&mut stage.redirect_uri);
    stage.server.simulator().adjust(|options| options.redirect_uri = "https://hq.example/back".to_owned());
    let (result, shown) = Stage::run(&stage.pos(), |address| Some(sent_to(&address)));
    result.unwrap();
    assert!(shown.contains("paste the address"));
}

#[test]
fn a_code_that_is_too_old_is_refused_and_the_old_token_stays() {
    let stage = Stage::new();
    fs::write(stage.file(), "old\n").unwrap();
    let (result, _) = Stage::run(&stage.pos(), |address| {
        let back = sent_to(&address);
        stage.clock.set(stage.clock.now() + TimeDelta::seconds(31));
        Some(back)
    });
    let error = result.unwrap_err();
    assert!(matches!(error, AuthorizeError::Code(_)) && error.to_string().contains("30 seconds"), "{error}");
    assert_eq!(fs::read_to_string(stage.file()).unwrap(), "old\n");
}

#[test]
fn another_state_is_not_taken() {
    let stage = Stage::new();
    let (result, shown) = Stage::run(&stage.pos(), |address| {
        let back = sent_to(&address);
        let (head, _) = back.split_once("state=").unwrap();
        Some(format!("{head}state=0123\n{back}"))
    });
    result.unwrap();
    assert!(shown.contains("`state` is another"), "{shown}");
}

#[test]
fn a_refusal_is_told() {
    let stage = Stage::new();
    stage.server.simulator().adjust(|options| options.denies = true);
    let (result, _) = Stage::run(&stage.pos(), |address| Some(sent_to(&address)));
    assert!(result.unwrap_err().to_string().contains("access_denied"));
    stage.server.simulator().adjust(|options| {
        options.denies = false;
        options.client_secret = "another".to_owned();
    });
    let (result, _) = Stage::run(&stage.pos(), |address| Some(sent_to(&address)));
    assert!(matches!(result.unwrap_err(), AuthorizeError::Application(_)));
    assert!(!stage.file().exists());
}

#[test]
fn a_wrong_redirect_uri_is_refused_before_a_person_logs_in() {
    let stage = Stage::new();
    stage.server.simulator().adjust(|options| options.redirect_uri = "http://127.0.0.1:1/".to_owned());
    let address = authorize_address(&stage.server.base_url(), "tillbox-014", &stage.redirect_uri, "s");
    assert!(get(&address).starts_with("HTTP/1.1 400"));
}

#[test]
fn nobody_is_waited_for_without_end() {
    let stage = Stage::new();
    let mut output = Vec::new();
    let result = authorize(&stage.pos(), Cursor::new(Vec::new()), &mut output, Duration::from_millis(50));
    assert!(matches!(result.unwrap_err(), AuthorizeError::TooLate(_)), "the browser may still come");
    let mut pos = stage.pos();
    let Credentials::OAuth { client, .. } = &mut pos.credentials else { panic!("it is Asalta") };
    client.redirect_uri = "https://hq.example/".to_owned();
    let result = authorize(&pos, Cursor::new(Vec::new()), &mut output, Duration::from_secs(20));
    assert!(matches!(result.unwrap_err(), AuthorizeError::NoAddress));
}

#[test]
fn only_connections_of_asalta_are_authorized() {
    let text = "[outlet]\nid = \"jkt-014\"\ntimezone = \"Asia/Jakarta\"\ncurrency = \"IDR\"\n\
        [[pos]]\nname = \"front\"\nsystem = \"qasir\"\ntoken = \"abc\"\n\
        [hq]\nbrokers = [\"mqtt://127.0.0.1:1883\"]\nacknowledge = \"feed\"\n[outbox]\npath = \"/tmp\"\n";
    let origin = Origin { path: Path::new("/tmp/tillbox.toml"), mode: 0o600, arriving: None };
    let config = Config::parse(text, &origin).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(config.hq.acknowledge, Acknowledge::Feed);
    let told = |name| choose(&config, name).unwrap_err().to_string();
    assert_eq!(
        told("front"),
        "connection `front` is of qasir, which has no such authorization; its credentials stand in the config"
    );
    assert_eq!(told("back"), "the config has no connection `back`; it has `front`");
}
