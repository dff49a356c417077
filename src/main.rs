//! The `tillbox` program: its commands and exit codes.

use std::{
    io::{self, BufReader, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use lexopt::prelude::*;
use tillbox::{
    authorize::{self, AuthorizeError},
    check::{self, Outcome},
    clock::Clock,
    config::Config,
    daemon::{self, DaemonError, Mode},
    inspect::{
        Summary,
        client::{InspectError, Inspected},
        text,
    },
    log,
    outbox::OutboxError,
};

/// What was asked for is not there.
const MISSING: u8 = 1;

/// Exit codes of `sysexits.h`, which systemd knows too.
const USAGE: u8 = 64;
const SOFTWARE: u8 = 70;
const TRY_AGAIN: u8 = 75;
const CONFIG: u8 = 78;

/// Events that `tillbox outbox list` names unless told otherwise.
const LISTED: usize = 50;

const DEFAULT_CONFIG: &str = "/etc/tillbox/tillbox.toml";

const HELP: &str = "\
tillbox: every sale of the point of sale reaches headquarters, exactly as it was

Usage: tillbox COMMAND [OPTIONS]

Commands:
  run    [--config FILE]    poll, keep and forward until SIGTERM
  check  [--config FILE] [--online [--json]]
                            read the config and name every fault in it; with --online, then try all that it names:
                            clock, outbox, points of sale and brokers, a line each
  outbox list   [--config FILE] [--json] [--limit N]
                            what waits for headquarters, what is not proven complete, what could not be read
  outbox show   NUMBER      one waiting event
  outbox export [--from N]  all waiting events, a line of JSON each
  authorize --connection NAME [--config FILE]
                            get Asalta's token: log in with a browser, once
  demo   [--seed N] [--sales N] [--sabotage drop-one] [--keep-running]
                            the whole thing on this machine: a day of four shops in under a minute

Options:
  --config FILE   the config file (default /etc/tillbox/tillbox.toml)
  --connection NAME   the connection to authorize, as the config names it
  -h, --help      this text
  -V, --version   the version

`tillbox check --online` changes nothing on disk, and may run beside the daemon, best as the same user. It logs in where a
point of sale has a login, and publishes one hello at each broker, as `tillbox-OUTLET-check`. It takes up to a minute where
servers are mute.

`tillbox outbox` changes nothing. It asks the running daemon, as the same user; while none runs it looks into the store
itself, which a daemon cannot open meanwhile.

Exit codes: 0 done, 1 the demonstration's proof failed or no such event waits, 64 usage, 70 a stage failed, 75 try again later,
78 the config must be corrected.
TILLBOX_LOG chooses what is logged, such as `debug` or `warn,tillbox::poll=debug`.
";

enum Command {
    Run {
        config: PathBuf,
        mode: Mode,
    },
    Check {
        config: PathBuf,
        online: bool,
        json: bool,
    },
    Outbox {
        config: PathBuf,
        look: Look,
    },
    Authorize {
        config: PathBuf,
        connection: String,
    },
    #[cfg(feature = "demo")]
    Demo(tillbox::demo::Options),
    Print(String),
}

/// What of the outbox is looked at.
enum Look {
    List { json: bool, limit: usize },
    Show(u64),
    Export { from: u64 },
}

fn main() -> ExitCode {
    match parse(lexopt::Parser::from_env()) {
        Ok(Command::Print(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Command::Check { config, online, json }) => check(&config, online, json),
        Ok(Command::Run { config, mode }) => run(&config, mode),
        Ok(Command::Outbox { config, look }) => outbox(&config, &look),
        Ok(Command::Authorize { config, connection }) => authorize(&config, &connection),
        #[cfg(feature = "demo")]
        Ok(Command::Demo(options)) => tillbox::demo::run(&options),
        Err(error) => {
            eprintln!("tillbox: {error}; see tillbox --help");
            ExitCode::from(USAGE)
        }
    }
}

fn run(path: &std::path::Path, mode: Mode) -> ExitCode {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(faults) => {
            eprint!("{faults}");
            return ExitCode::from(CONFIG);
        }
    };
    log::start();
    match daemon::run(config, mode) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::from(match error {
                DaemonError::Outbox(OutboxError::Renamed { .. } | OutboxError::NewerVersion { .. })
                | DaemonError::Tls(_) => CONFIG,
                DaemonError::Outbox(OutboxError::InUse { .. }) => TRY_AGAIN,
                _ => SOFTWARE,
            })
        }
    }
}

fn check(path: &std::path::Path, online: bool, json: bool) -> ExitCode {
    match Config::load(path) {
        Ok(config) if online => try_all(path, &config, json),
        Ok(config) => {
            println!("{}", config.summary().trim_end());
            ExitCode::SUCCESS
        }
        Err(faults) => {
            eprint!("{faults}");
            ExitCode::from(CONFIG)
        }
    }
}

/// Tries what the config names.
fn try_all(path: &std::path::Path, config: &Config, json: bool) -> ExitCode {
    let findings = check::online(config, chrono::Utc::now());
    let worst = check::worst(&findings);
    let text = if json {
        format!("{:#}", serde_json::json!({ "config": path, "outcome": worst, "findings": findings }))
    } else {
        let read = format!("ok    config: {} is read without a fault", path.display());
        let lines = std::iter::once(read).chain(findings.iter().map(ToString::to_string));
        lines.collect::<Vec<_>>().join("\n")
    };
    // Whoever reads may have enough; the exit code says it all the same.
    let _nobody_reads = say(&text);
    match worst {
        Outcome::Ok | Outcome::Warn => ExitCode::SUCCESS,
        Outcome::Later => ExitCode::from(TRY_AGAIN),
        Outcome::Correct => ExitCode::from(CONFIG),
    }
}

fn outbox(path: &std::path::Path, look: &Look) -> ExitCode {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(faults) => {
            eprint!("{faults}");
            return ExitCode::from(CONFIG);
        }
    };
    let looked = Inspected::at(daemon::outbox_options(&config)).and_then(|inspected| match look {
        Look::List { json, limit } => list(&inspected, *json, *limit),
        Look::Show(number) => {
            let event: serde_json::Value =
                serde_json::from_str(&inspected.event(*number)?).map_err(|e| InspectError::Broken(e.to_string()))?;
            say(&format!("{event:#}"))
        }
        Look::Export { from } => inspected.export(*from, say),
    });
    match looked {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has enough.
        Err(InspectError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tillbox: {error}");
            ExitCode::from(match error {
                InspectError::NoSuchEvent { .. } => MISSING,
                InspectError::Mute { .. } | InspectError::Broken(_) => TRY_AGAIN,
                _ => SOFTWARE,
            })
        }
    }
}

fn list(inspected: &Inspected, json: bool, limit: usize) -> Result<(), InspectError> {
    let summary: Summary = inspected.summary()?;
    let heads = inspected.heads(&summary, summary.released, limit)?;
    if json {
        say(&format!("{:#}", serde_json::json!({ "outbox": summary, "waiting": heads })))
    } else {
        say(text::list(&summary, &heads).trim_end())
    }
}

fn say(line: &str) -> Result<(), InspectError> {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).map_err(InspectError::Output)
}

fn authorize(path: &std::path::Path, connection: &str) -> ExitCode {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(faults) => {
            eprint!("{faults}");
            return ExitCode::from(CONFIG);
        }
    };
    let input = BufReader::new(io::stdin());
    let authorized = authorize::choose(&config, connection)
        .and_then(|pos| authorize::authorize(pos, input, &mut io::stdout(), authorize::PATIENCE));
    let Err(error) = authorized else { return ExitCode::SUCCESS };
    eprintln!("tillbox: {error}");
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
    let mut look = if command == "outbox" { what_to_look_at(&mut parser)? } else { None };
    let mut config = PathBuf::from(DEFAULT_CONFIG);
    let mut connection = None;
    let (mut online, mut json) = (false, false);
    let mut mode = Mode { clock: Clock::system(), report: false };
    #[cfg(feature = "demo")]
    let mut demo = tillbox::demo::Options::default();
    while let Some(argument) = parser.next()? {
        match (command.as_str(), argument) {
            (_, Long("help") | Short('h')) => return Ok(Command::Print(HELP.to_owned())),
            ("run" | "check" | "outbox" | "authorize", Long("config")) => config = parser.value()?.into(),
            ("authorize", Long("connection")) => connection = Some(parser.value()?.string()?),
            ("check", Long("online")) => online = true,
            ("check", Long("json")) => json = true,
            ("run", Long("report")) => mode.report = true,
            ("outbox", argument) => match (look.as_mut(), argument) {
                (Some(Look::List { json, .. }), Long("json")) => *json = true,
                (Some(Look::List { limit, .. }), Long("limit")) => *limit = parser.value()?.parse()?,
                (Some(Look::Export { from }), Long("from")) => *from = parser.value()?.parse()?,
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
        "run" => Ok(Command::Run { config, mode }),
        "check" if json && !online => Err("`check --json` needs --online".into()),
        "check" => Ok(Command::Check { config, online, json }),
        "outbox" => match look {
            Some(look) => Ok(Command::Outbox { config, look }),
            None => Ok(Command::Print(HELP.to_owned())),
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

/// The word behind `outbox`, and the number behind `show`; `None` for `--help`.
fn what_to_look_at(parser: &mut lexopt::Parser) -> Result<Option<Look>, lexopt::Error> {
    let word = match parser.next()? {
        Some(Value(word)) => word.string()?,
        Some(Long("help") | Short('h')) => return Ok(None),
        Some(other) => return Err(other.unexpected()),
        None => return Err("`outbox` needs `list`, `show` or `export`".into()),
    };
    Ok(Some(match word.as_str() {
        "list" => Look::List { json: false, limit: LISTED },
        "show" => match parser.next()? {
            Some(Value(number)) => Look::Show(number.parse()?),
            Some(Long("help") | Short('h')) => return Ok(None),
            _ => return Err("`outbox show` needs the number of an event".into()),
        },
        "export" => Look::Export { from: 1 },
        other => return Err(format!("unknown command `outbox {other}`").into()),
    }))
}
