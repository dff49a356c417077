//! The `tillbox` program: its commands and exit codes.

use std::{
    io::{self, BufReader},
    path::PathBuf,
    process::ExitCode,
};

use lexopt::prelude::*;
use tillbox::{
    authorize::{self, AuthorizeError},
    clock::Clock,
    config::Config,
    daemon::{self, DaemonError, Mode},
    log,
    outbox::OutboxError,
};

/// Exit codes of `sysexits.h`, which systemd knows too.
const USAGE: u8 = 64;
const SOFTWARE: u8 = 70;
const TRY_AGAIN: u8 = 75;
const CONFIG: u8 = 78;

const DEFAULT_CONFIG: &str = "/etc/tillbox/tillbox.toml";

const HELP: &str = "\
tillbox: every sale of the point of sale reaches headquarters, exactly as it was

Usage: tillbox COMMAND [OPTIONS]

Commands:
  run    [--config FILE]    poll, keep and forward until SIGTERM
  check  [--config FILE]    read the config and name every fault in it
  authorize --connection NAME [--config FILE]
                            get Asalta's token: log in with a browser, once
  demo   [--seed N] [--sales N] [--sabotage drop-one] [--keep-running]
                            the whole thing on this machine: a shop day in under a minute

Options:
  --config FILE   the config file (default /etc/tillbox/tillbox.toml)
  --connection NAME   the connection to authorize, as the config names it
  -h, --help      this text
  -V, --version   the version

Exit codes: 0 done, 1 the demonstration's proof failed, 64 usage, 70 a stage failed, 75 try again later,
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
    },
    Authorize {
        config: PathBuf,
        connection: String,
    },
    #[cfg(feature = "demo")]
    Demo(tillbox::demo::Options),
    Print(String),
}

fn main() -> ExitCode {
    match parse(lexopt::Parser::from_env()) {
        Ok(Command::Print(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Command::Check { config }) => check(&config),
        Ok(Command::Run { config, mode }) => run(&config, mode),
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

fn check(path: &std::path::Path) -> ExitCode {
    match Config::load(path) {
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
    let mut config = PathBuf::from(DEFAULT_CONFIG);
    let mut connection = None;
    let mut mode = Mode { clock: Clock::system(), report: false };
    #[cfg(feature = "demo")]
    let mut demo = tillbox::demo::Options::default();
    while let Some(argument) = parser.next()? {
        match (command.as_str(), argument) {
            (_, Long("help") | Short('h')) => return Ok(Command::Print(HELP.to_owned())),
            ("run" | "check" | "authorize", Long("config")) => config = parser.value()?.into(),
            ("authorize", Long("connection")) => connection = Some(parser.value()?.string()?),
            ("run", Long("report")) => mode.report = true,
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
        "check" => Ok(Command::Check { config }),
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
