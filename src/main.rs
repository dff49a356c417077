//! The `tillbox` program: its commands and exit codes.

#[path = "main/by_hand.rs"]
mod by_hand;
#[path = "main/help.rs"]
mod help;
#[path = "main/moving.rs"]
mod moving;

use std::{
    fmt, fs,
    io::{self, BufReader, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime},
};

use lexopt::prelude::*;
use tillbox::{
    authorize::{self, AuthorizeError},
    check,
    clock::Clock,
    config::{Config, patience as read_patience},
    daemon::{self, DaemonError, Mode},
    inspect::{
        Summary,
        client::{self, InspectError, Inspected},
        text,
        unproven::Unproven,
    },
    log,
    outbox::OutboxError,
    overview,
    plain::{Plain, plain_json, plain_lines},
    provision::{self, Outcome},
};

use self::{by_hand::What, moving::Order};

/// What was asked for is not there.
const MISSING: u8 = 1;

/// Exit codes of `sysexits.h`, which systemd knows too.
const USAGE: u8 = 64;
const UNAVAILABLE: u8 = 69;
const SOFTWARE: u8 = 70;
const INPUT_OUTPUT: u8 = 74;
const TRY_AGAIN: u8 = 75;
const CONFIG: u8 = 78;

/// Events that `tillbox outbox list` names unless told otherwise.
const LISTED: usize = 50;

const DEFAULT_CONFIG: &str = "/etc/tillbox/tillbox.toml";

/// Where Raspberry Pi OS mounts the boot partition, now and before.
const DEFAULT_BOOTS: [&str; 2] = ["/boot/firmware", "/boot"];

/// The daemon's user, as the package makes it.
const USER: &str = "tillbox";

/// A config that can be read but not used is tried again after this long, as a file that it names may have changed.
const TRY_CONFIG_AGAIN: Duration = Duration::from_secs(300);

const HELP: &str = "\
tillbox: every sale of the point of sale reaches headquarters, exactly as it was

Usage: tillbox COMMAND [OPTIONS]

Commands:
  run    [--config FILE] [--stay]
                            poll, keep and forward until SIGTERM; --stay shows a config that cannot be used in red, and
                            waits for a better one
  provision [--boot FOLDER] [--config FILE]
                            take the config over from the card's boot partition
  check  [--config FILE] [--online [--json]]
                            read the config and name every fault in it; with --online, then try all that it names:
                            clock, outbox, points of sale, brokers and the board's lines, a line each
  status [--config FILE] [--json]
                            how the running box is doing, and what to do
  outbox list   [--config FILE] [--json] [--limit N]
                            what waits for headquarters, what is not proven complete, what could not be read
  outbox show   NUMBER      one waiting event
  outbox export [--from N]  all waiting events, a line of JSON each
  outbox move   [--set-aside] [--patience TIME]
                            give the box to the outlet that the config names: what waits is sent first, under the old
                            name, or the whole store is set aside
  outbox send FOLDER [--patience TIME]
                            send a store that was set aside; --config is the old outlet's
  outbox gaps   [--json]    what is not proven complete and what could not be read, each with the handle by which a
                            person ends it
  outbox close-gap HANDLE --by NAME --reason TEXT
                            close a gap that nothing can prove: headquarters gets name and reason, and the day is never
                            called complete by it
  outbox dismiss HANDLE --by NAME --reason TEXT
                            the same for a record that was put aside
  outbox take-over          take the outlet back from another box that sends for it
  outbox same-account NAME  the account that answers on connection NAME is the same shop's, whatever its ids
  authorize --connection NAME [--config FILE]
                            get Asalta's token: log in with a browser, once
  demo   [--seed N] [--sales N] [--sabotage drop-one] [--keep-running]
                            the whole thing on this machine: a day of four shops in under a minute

Options:
  --config FILE   the config file (default /etc/tillbox/tillbox.toml)
  --connection NAME   the connection to authorize, as the config names it
  --by NAME           who ends a gap or dismisses a record
  --reason TEXT       why
  --patience TIME     how long the line is given without progress, such as 90s (default 2m)
  --yes               ask nobody
  -h, --help      this text
  -V, --version   the version

`tillbox check --online` changes nothing on disk, and may run beside the daemon, best as the same user. It logs in where a
point of sale has a login. At each broker it publishes hellos on the events' topics, as `tillbox-OUTLET-check`, and where
no daemon runs a status that says `checking`, which it takes back. It takes 30 s at most: what has no end by then is
left, with what it waited for.

`tillbox status` asks the running daemon, as the same user.
`tillbox outbox list`, `show`, `export` and `gaps` change nothing. They ask the running daemon, as the same user; while none runs
they look into the store itself, which a daemon cannot open meanwhile. `move` and `send` need the store for themselves;
`take-over` and `same-account` tell the running daemon, or the store. Each of the four says first what it will do.
`close-gap` and `dismiss` tell the running daemon, or the store; a second call says that it is done already, and by whom.

Exit codes: 0 done, 1 the demonstration's proof failed, no such event waits or nothing has that handle, 64 usage, 69 no tillbox runs, 70 a stage
failed, 74 the config could not be stored, 75 try again later, 78 the config must be corrected.
TILLBOX_LOG chooses what is logged, such as `debug` or `warn,tillbox::poll=debug`.
";

enum Command {
    Run {
        config: PathBuf,
        mode: Mode,
        stay: bool,
    },
    Provision(provision::Options),
    Check {
        config: PathBuf,
        online: bool,
        json: bool,
    },
    Status {
        config: PathBuf,
        json: bool,
    },
    Outbox {
        config: PathBuf,
        look: Look,
    },
    Obey {
        config: PathBuf,
        order: Order,
        yes: bool,
    },
    End {
        config: PathBuf,
        word: by_hand::Word,
    },
    Authorize {
        config: PathBuf,
        connection: String,
    },
    #[cfg(feature = "demo")]
    Demo(tillbox::demo::Options),
    Print(String),
}

/// The word behind `outbox`.
enum Word {
    Look(Look),
    Order(Order),
    End { what: What, handle: String, by: Option<String>, reason: Option<String> },
}

/// What of the outbox is looked at.
enum Look {
    List { json: bool, limit: usize },
    Show(u64),
    Export { from: u64 },
    Gaps { json: bool },
}

fn main() -> ExitCode {
    match parse(lexopt::Parser::from_env()) {
        Ok(Command::Print(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Command::Check { config, online, json }) => check(&config, online, json),
        Ok(Command::Run { config, mode, stay }) => run(&config, &mode, stay),
        Ok(Command::Status { config, json }) => status(&config, json),
        Ok(Command::Provision(options)) => provision(&options),
        Ok(Command::Outbox { config, look }) => outbox(&config, &look),
        Ok(Command::Obey { config, order, yes }) => obey(&config, &order, yes),
        Ok(Command::End { config, word }) => end(&config, &word),
        Ok(Command::Authorize { config, connection }) => authorize(&config, &connection),
        #[cfg(feature = "demo")]
        Ok(Command::Demo(options)) => tillbox::demo::run(&options),
        Err(error) => {
            complain(&format_args!("{error}; see tillbox --help"));
            ExitCode::from(USAGE)
        }
    }
}

fn run(path: &Path, mode: &Mode, stay: bool) -> ExitCode {
    let mut logs = false;
    loop {
        let (loaded, stamp) = (Config::load(path), stamp(path));
        if !logs && (loaded.is_ok() || stay) {
            log::start();
            logs = true;
        }
        let ended = match loaded {
            Ok(config) => match daemon::run(config, mode.clone()) {
                Ok(()) => return ExitCode::SUCCESS,
                Err(error) => {
                    tracing::error!("{error}");
                    let code = exit_code(&error);
                    if code != CONFIG || !stay {
                        return ExitCode::from(code);
                    }
                    daemon::show_fault(path, &error.to_string(), |passed| {
                        passed >= TRY_CONFIG_AGAIN || self::stamp(path) != stamp
                    })
                }
            },
            Err(faults) if stay => {
                let faults = faults.to_string();
                faults.lines().for_each(|fault| tracing::error!("{fault}"));
                // A file that the config names may be what is missing: all of it is looked at again.
                daemon::show_fault(path, &faults, |_| match Config::load(path) {
                    Ok(_) => true,
                    Err(now) => now.to_string() != faults,
                })
            }
            Err(faults) => {
                eprint!("{}", faults.shown());
                return ExitCode::from(CONFIG);
            }
        };
        match ended {
            Ok(true) => {}
            Ok(false) => return ExitCode::SUCCESS,
            Err(error) => {
                tracing::error!("{error}");
                return ExitCode::from(SOFTWARE);
            }
        }
    }
}

fn exit_code(error: &DaemonError) -> u8 {
    match error {
        DaemonError::Outbox(
            OutboxError::Renamed { .. } | OutboxError::OtherOutlet { .. } | OutboxError::NewerVersion { .. },
        )
        | DaemonError::Tls(_) => CONFIG,
        DaemonError::Outbox(OutboxError::InUse { .. }) => TRY_AGAIN,
        _ => SOFTWARE,
    }
}

/// What tells one content of a file from another.
fn stamp(path: &Path) -> Option<(u64, u64, Option<SystemTime>)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.len(), metadata.modified().ok()))
}

/// What systemd makes for as long as the box is up.
fn runtime_folder() -> Option<PathBuf> {
    std::env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from)
}

fn provision(options: &provision::Options) -> ExitCode {
    match provision::provision(options, Clock::system().now()) {
        Outcome::Nothing => ExitCode::SUCCESS,
        Outcome::TakenOver(text) => {
            let _nobody_reads = say(text.trim_end());
            ExitCode::SUCCESS
        }
        Outcome::Refused(text) => {
            eprintln!("{}", plain_lines(text.trim_end()));
            ExitCode::from(CONFIG)
        }
        Outcome::NotStored(text) => {
            eprintln!("{}", plain_lines(text.trim_end()));
            ExitCode::from(INPUT_OUTPUT)
        }
    }
}

fn check(path: &Path, online: bool, json: bool) -> ExitCode {
    match Config::load(path) {
        Ok(config) if online => try_all(path, &config, json),
        Ok(config) => {
            let doubts = check::doubts(&config);
            let lines: Vec<String> = std::iter::once(config.summary().trim_end().to_owned())
                .chain(doubts.iter().map(ToString::to_string))
                .collect();
            told(say(&lines.join("\n")))
        }
        Err(faults) => {
            eprint!("{}", faults.shown());
            ExitCode::from(CONFIG)
        }
    }
}

/// Tries what the config names.
fn try_all(path: &Path, config: &Config, json: bool) -> ExitCode {
    let findings = check::online(config, chrono::Utc::now());
    let worst = check::worst(&findings);
    // Whoever reads may have enough; the exit code says it all the same.
    let _nobody_reads = if json {
        say_json(&format!("{:#}", serde_json::json!({ "config": path, "outcome": worst, "findings": findings })))
    } else {
        let read = format!("ok    config: {} is read without a fault", path.display());
        let lines = std::iter::once(read).chain(findings.iter().map(ToString::to_string));
        say(&lines.collect::<Vec<_>>().join("\n"))
    };
    match worst {
        check::Outcome::Ok | check::Outcome::Warn => ExitCode::SUCCESS,
        check::Outcome::Later => ExitCode::from(TRY_AGAIN),
        check::Outcome::Correct => ExitCode::from(CONFIG),
    }
}

/// The running daemon is asked also where the config, or a secret that it names, is faulty by now: it goes on with what it
/// has, and what it says of that is what a technician needs.
fn status(path: &Path, json: bool) -> ExitCode {
    let (folder, zone, faults) = match Config::load(path) {
        Ok(config) => (config.outbox.path, config.outlet.timezone, None),
        Err(faults) => {
            let Some((folder, zone)) = Config::to_be_asked(path) else {
                eprint!("{}", faults.shown());
                return ExitCode::from(CONFIG);
            };
            (folder, zone, Some(faults))
        }
    };
    let asked = client::overview(&folder);
    if let Some(faults) = faults {
        eprint!("{}", faults.shown());
        if asked.is_err() {
            return ExitCode::from(CONFIG);
        }
        eprintln!("tillbox: the running tillbox goes on with the config that it read at its start");
    }
    let told_of = asked.and_then(|(overview, line)| {
        if json { say_json(line.trim_end()) } else { say(overview::text::status(&overview, &zone).trim_end()) }
    });
    told(told_of)
}

fn outbox(path: &Path, look: &Look) -> ExitCode {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(faults) => {
            eprint!("{}", faults.shown());
            return ExitCode::from(CONFIG);
        }
    };
    let looked =
        Inspected::at(daemon::outbox_options(&config), config.hq.acknowledge).and_then(|inspected| match look {
            Look::List { json, limit } => list(&inspected, *json, *limit),
            Look::Show(number) => {
                let event: serde_json::Value = serde_json::from_str(&inspected.event(*number)?)
                    .map_err(|e| InspectError::Broken(e.to_string()))?;
                say_json(&format!("{event:#}"))
            }
            Look::Export { from } => inspected.export(*from, say_json),
            Look::Gaps { json } => gaps(&inspected, *json),
        });
    told(looked)
}

fn obey(path: &Path, order: &Order, yes: bool) -> ExitCode {
    match Config::load(path) {
        Ok(config) => moving::obey(&config, order, yes),
        Err(faults) => {
            eprint!("{}", faults.shown());
            ExitCode::from(CONFIG)
        }
    }
}

fn end(path: &Path, word: &by_hand::Word) -> ExitCode {
    match Config::load(path) {
        Ok(config) => by_hand::end(&config, word),
        Err(faults) => {
            eprint!("{faults}");
            ExitCode::from(CONFIG)
        }
    }
}

/// The exit code of what was asked, and the reason if there is no answer.
fn told(asked: Result<(), InspectError>) -> ExitCode {
    match asked {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has enough.
        Err(InspectError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::from(match error {
                InspectError::NoSuchEvent { .. } => MISSING,
                InspectError::NotRunning { .. } => UNAVAILABLE,
                InspectError::Mute { .. } | InspectError::Broken(_) => TRY_AGAIN,
                _ => SOFTWARE,
            })
        }
    }
}

fn list(inspected: &Inspected, json: bool, limit: usize) -> Result<(), InspectError> {
    let summary: Summary = inspected.summary()?;
    let delivered = summary.outbox.durable.saturating_sub(summary.outbox.undelivered);
    let heads = inspected.heads(&summary, delivered, limit)?;
    if json {
        let Summary { outlet, acknowledge, outbox, open_gaps, put_aside, closed_by_hand, set_aside } = summary;
        let listed = serde_json::json!({
            "outlet": outlet, "acknowledge": acknowledge, "outbox": outbox, "open_gaps": open_gaps, "put_aside": put_aside,
            "closed_by_hand": closed_by_hand, "set_aside": set_aside, "waiting": heads,
        });
        say_json(&format!("{listed:#}"))
    } else {
        say(text::list(&summary, &heads).trim_end())
    }
}

fn gaps(inspected: &Inspected, json: bool) -> Result<(), InspectError> {
    let summary = inspected.summary()?;
    let unproven = Unproven::of(&summary);
    if json { say_json(&format!("{:#}", serde_json::json!(unproven))) } else { say(unproven.text().trim_end()) }
}

/// Lines for a person. Each may hold foreign text, in which nothing may steer the terminal.
fn say(lines: &str) -> Result<(), InspectError> {
    print_line(&plain_lines(lines))
}

/// JSON, for a program or a person: what would steer the terminal stands there as JSON's own escapes.
fn say_json(json: &str) -> Result<(), InspectError> {
    print_line(&plain_json(json))
}

fn print_line(line: &str) -> Result<(), InspectError> {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).map_err(InspectError::Output)
}

/// Why something cannot be done, in one line.
fn complain(error: &dyn fmt::Display) {
    eprintln!("tillbox: {}", Plain(error));
}

fn authorize(path: &Path, connection: &str) -> ExitCode {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(faults) => {
            eprint!("{}", faults.shown());
            return ExitCode::from(CONFIG);
        }
    };
    let input = BufReader::new(io::stdin());
    let authorized = authorize::choose(&config, connection)
        .and_then(|pos| authorize::authorize(pos, input, &mut io::stdout(), authorize::PATIENCE));
    let Err(error) = authorized else { return ExitCode::SUCCESS };
    complain(&error);
    ExitCode::from(match error {
        AuthorizeError::Unknown { .. }
        | AuthorizeError::OtherSystem { .. }
        | AuthorizeError::NoFile { .. }
        | AuthorizeError::NoSecret(_)
        | AuthorizeError::Application(_)
        | AuthorizeError::NoToken(_)
        | AuthorizeError::Tls(_) => CONFIG,
        AuthorizeError::Denied(_)
        | AuthorizeError::TooLate(_)
        | AuthorizeError::NoAddress
        | AuthorizeError::Code(_)
        | AuthorizeError::Unreachable(_) => TRY_AGAIN,
        AuthorizeError::NoChance | AuthorizeError::Write { .. } => SOFTWARE,
    })
}

fn parse(mut parser: lexopt::Parser) -> Result<Command, lexopt::Error> {
    let command = match parser.next()? {
        None | Some(Long("help") | Short('h')) => return Ok(Command::Print(HELP.to_owned())),
        Some(Long("version") | Short('V')) => {
            return Ok(Command::Print(format!("tillbox {}\n", env!("CARGO_PKG_VERSION"))));
        }
        Some(Value(command)) => command.string()?,
        Some(other) => return Err(other.unexpected()),
    };
    let mut word = if command == "outbox" { word_of_outbox(&mut parser)? } else { None };
    let mut yes = false;
    let mut config = PathBuf::from(DEFAULT_CONFIG);
    let mut connection = None;
    let (mut online, mut json, mut stay, mut boots) = (false, false, false, Vec::new());
    let mut mode = Mode { clock: Clock::system(), report: false, refused: None };
    #[cfg(feature = "demo")]
    let mut demo = tillbox::demo::Options::default();
    while let Some(argument) = parser.next()? {
        match (command.as_str(), argument) {
            (_, Long("help") | Short('h')) => return Ok(Command::Print(help())),
            ("run" | "check" | "status" | "outbox" | "authorize" | "provision", Long("config")) => {
                config = parser.value()?.into();
            }
            ("authorize", Long("connection")) => connection = Some(parser.value()?.string()?),
            ("check", Long("online")) => online = true,
            ("check" | "status", Long("json")) => json = true,
            ("run", Long("report")) => mode.report = true,
            ("run", Long("stay")) => stay = true,
            ("provision", Long("boot")) => boots.push(parser.value()?.into()),
            ("outbox", argument) => match (word.as_mut(), argument) {
                (Some(Word::Look(Look::List { json, .. } | Look::Gaps { json })), Long("json")) => *json = true,
                (Some(Word::Look(Look::List { limit, .. })), Long("limit")) => *limit = parser.value()?.parse()?,
                (Some(Word::Look(Look::Export { from })), Long("from")) => *from = parser.value()?.parse()?,
                (Some(Word::Order(Order::Move { set_aside, .. })), Long("set-aside")) => *set_aside = true,
                (Some(Word::Order(Order::Move { patience, .. } | Order::Send { patience, .. })), Long("patience")) => {
                    *patience = parser.value()?.parse_with(read_patience)?;
                }
                (Some(Word::Order(_)), Long("yes")) => yes = true,
                (Some(Word::End { by, .. }), Long("by")) => *by = Some(parser.value()?.string()?),
                (Some(Word::End { reason, .. }), Long("reason")) => *reason = Some(parser.value()?.string()?),
                (_, other) => return Err(other.unexpected()),
            },
            #[cfg(feature = "demo")]
            ("run", Long("virtual-clock")) => mode.clock = parser.value()?.parse_with(tillbox::demo::read_clock)?,
            #[cfg(feature = "demo")]
            ("demo", Long("seed")) => demo.seed = parser.value()?.parse()?,
            #[cfg(feature = "demo")]
            ("demo", Long("sales")) => demo.sales = parser.value()?.parse()?,
            #[cfg(feature = "demo")]
            ("demo", Long("keep-running")) => demo.keep_running = true,
            #[cfg(feature = "demo")]
            ("demo", Long("sabotage")) => demo.sabotage = Some(parser.value()?.parse()?),
            (_, other) => return Err(other.unexpected()),
        }
    }
    match command.as_str() {
        "run" => {
            mode.refused = runtime_folder().and_then(|folder| provision::refused(&folder));
            Ok(Command::Run { config, mode, stay })
        }
        "provision" => {
            if boots.is_empty() {
                boots = DEFAULT_BOOTS.map(PathBuf::from).to_vec();
            }
            let (user, runtime) = (USER.to_owned(), runtime_folder());
            Ok(Command::Provision(provision::Options { boots, config, user, runtime }))
        }
        "check" if json && !online => Err("`check --json` needs --online".into()),
        "check" => Ok(Command::Check { config, online, json }),
        "status" => Ok(Command::Status { config, json }),
        "outbox" => match word {
            Some(Word::Look(look)) => Ok(Command::Outbox { config, look }),
            Some(Word::Order(order)) => Ok(Command::Obey { config, order, yes }),
            Some(Word::End { what, handle, by: Some(by), reason: Some(reason) }) => {
                Ok(Command::End { config, word: by_hand::Word { what, handle, by, reason } })
            }
            Some(Word::End { .. }) => {
                Err("`outbox close-gap` and `outbox dismiss` need --by NAME and --reason TEXT: headquarters is told"
                    .into())
            }
            None => Ok(Command::Print(help())),
        },
        "authorize" => match connection {
            Some(connection) => Ok(Command::Authorize { config, connection }),
            None => Err("authorize needs --connection NAME".into()),
        },
        #[cfg(feature = "demo")]
        "demo" => Ok(Command::Demo(demo)),
        #[cfg(not(feature = "demo"))]
        "demo" => Err("this build leaves the demonstration out; build it with --features demo".into()),
        other => Err(format!("unknown command `{other}`").into()),
    }
}

/// The help of the command that was said.
fn help() -> String {
    let said = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    help::of(said).unwrap_or(HELP).to_owned()
}

/// The word behind `outbox`, and what stands behind it: a number, a folder, a name; `None` for `--help`.
fn word_of_outbox(parser: &mut lexopt::Parser) -> Result<Option<Word>, lexopt::Error> {
    let word = match parser.next()? {
        Some(Value(word)) => word.string()?,
        Some(Long("help") | Short('h')) => return Ok(None),
        Some(other) => return Err(other.unexpected()),
        None => {
            return Err(
                "`outbox` needs `list`, `show`, `export`, `gaps`, `close-gap`, `dismiss`, `move`, `send`, `take-over` \
                        or `same-account`"
                    .into(),
            );
        }
    };
    let mut behind = |what: &str| match parser.next()? {
        Some(Value(value)) => Ok(Some(value)),
        Some(Long("help") | Short('h')) => Ok(None),
        _ => Err(lexopt::Error::from(format!("`outbox {word}` needs {what}"))),
    };
    let patience = tillbox::moving::PATIENCE;
    Ok(Some(match word.as_str() {
        "list" => Word::Look(Look::List { json: false, limit: LISTED }),
        "show" => match behind("the number of an event")? {
            Some(number) => Word::Look(Look::Show(number.parse()?)),
            None => return Ok(None),
        },
        "export" => Word::Look(Look::Export { from: 1 }),
        "gaps" => Word::Look(Look::Gaps { json: false }),
        "close-gap" | "dismiss" => {
            let what = if word == "close-gap" { What::Gap } else { What::Record };
            match behind("a handle, as `tillbox outbox gaps` shows it")? {
                Some(handle) => Word::End { what, handle: handle.string()?, by: None, reason: None },
                None => return Ok(None),
            }
        }
        "move" => Word::Order(Order::Move { set_aside: false, patience }),
        "send" => match behind("the folder of a store that was set aside")? {
            Some(folder) => Word::Order(Order::Send { folder: folder.into(), patience }),
            None => return Ok(None),
        },
        "take-over" => Word::Order(Order::TakeOver),
        "same-account" => match behind("the name of a connection")? {
            Some(name) => Word::Order(Order::SameAccount { connection: name.string()? }),
            None => return Ok(None),
        },
        other => return Err(format!("unknown command `outbox {other}`").into()),
    }))
}
