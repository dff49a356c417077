//! `tillbox outbox move`, `send`, `take-over` and `same-account`: what changes whose sales the box sends. Each says first
//! what it will do.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use tillbox::{
    config::Config,
    daemon,
    inspect::{
        Ordered, Question, SAME_ACCOUNT, TAKE_OVER,
        client::{self, InspectError, Inspected},
    },
    moving::{self, MovingError, Plan},
    outbox::OutboxError,
};

use super::{CONFIG, SOFTWARE, TRY_AGAIN, USAGE, complain, list, say, told};

/// Waiting events that are shown before they are sent.
const SHOWN: usize = 10;

/// What is to be done.
pub enum Order {
    /// Give the box to the outlet that the config names.
    Move {
        /// Without sending: the store is set aside.
        set_aside: bool,
        /// How long the line is given without progress.
        patience: Duration,
    },
    /// Deliver a set-aside store.
    Send {
        /// Where it lies.
        folder: PathBuf,
        /// How long the line is given without progress.
        patience: Duration,
    },
    /// Take the outlet back from another box.
    TakeOver,
    /// Whoever answers on a connection is the same shop.
    SameAccount {
        /// The connection.
        connection: String,
    },
}

/// Does it; `yes` asks nobody.
pub fn obey(config: &Config, order: &Order, yes: bool) -> ExitCode {
    let done = match order {
        Order::Move { set_aside, patience } => give_over(config, *set_aside, *patience, yes),
        Order::Send { folder, patience } => send(config, folder, *patience, yes),
        Order::TakeOver => return take_over(config, yes),
        Order::SameAccount { connection } => return same_account(config, connection, yes),
    };
    done.unwrap_or_else(|error| {
        complain(&error);
        ExitCode::from(code(&error))
    })
}

fn code(error: &MovingError) -> u8 {
    match error {
        MovingError::Left { .. }
        | MovingError::Outbox(OutboxError::InUse { .. } | OutboxError::NotDelivered { .. }) => TRY_AGAIN,
        MovingError::Tls(_)
        | MovingError::OtherConfig { .. }
        | MovingError::Outbox(
            OutboxError::OtherOutlet { .. } | OutboxError::NoOwner { .. } | OutboxError::NewerVersion { .. },
        ) => CONFIG,
        MovingError::NotSetAside { .. } | MovingError::OtherUser { .. } => USAGE,
        MovingError::Outbox(_) | MovingError::System(_) => SOFTWARE,
    }
}

fn give_over(config: &Config, set_aside: bool, patience: Duration, yes: bool) -> Result<ExitCode, MovingError> {
    let (from, to, waiting, connections) = match moving::plan(config)? {
        Plan::NoStore => {
            tell(&format!("There is no store in {}: nothing to move.", config.outbox.path.display()));
            return Ok(ExitCode::SUCCESS);
        }
        Plan::Stays(owner) => {
            tell(&format!("The store is {owner}'s, as the config says: nothing to move."));
            return Ok(ExitCode::SUCCESS);
        }
        Plan::Leaves { from, to, waiting, connections } => (from, to, waiting, connections),
    };
    tell(&format!("The store in {} is {from}'s; the config says {to}.\n", config.outbox.path.display()));
    let shown = Inspected::at(daemon::outbox_options(config), config.hq.acknowledge)
        .and_then(|inspected| list(&inspected, false, SHOWN));
    if let Err(InspectError::Outbox(error)) = shown {
        return Err(error.into());
    }
    let first = match (set_aside, waiting) {
        (true, _) => format!(
            "The whole store, with {waiting} waiting, is set aside in a folder of its own beside, to be sent later."
        ),
        (false, 0) => "Nothing waits.".to_owned(),
        (false, _) => format!(
            "{waiting} waiting: they are sent first, as {from}, to {}; the store stays if that fails.",
            brokers(config)
        ),
    };
    tell(&format!(
        "\n{first}\nThen {to} begins with an empty store and a new stream, and its points of sale are read from their backfill."
    ));
    if !confirmed(yes) {
        return Ok(ExitCode::from(USAGE));
    }
    if set_aside {
        let aside = moving::set_aside(config, &from)?;
        tell(&format!(
            "Set aside in {}: send it with `tillbox outbox send {} --config OLD.toml`.",
            aside.folder.display(),
            aside.folder.display()
        ));
    } else {
        match moving::leave(config, &from, &connections, patience, &mut tell) {
            Ok(delivered) => tell(&format!("{delivered} delivered as {from}.")),
            Err(error @ MovingError::Left { .. }) => {
                complain(&error);
                eprintln!(
                    "tillbox: try again once that is mended, or set the store aside with `tillbox outbox move --set-aside` and \
                     send it later with the old outlet's config"
                );
                return Ok(ExitCode::from(TRY_AGAIN));
            }
            Err(error) => return Err(error),
        }
    }
    tell(&format!("The box is {to}'s now: start tillbox."));
    Ok(ExitCode::SUCCESS)
}

fn send(config: &Config, folder: &Path, patience: Duration, yes: bool) -> Result<ExitCode, MovingError> {
    let (owner, waiting) = moving::plan_sending(config, folder)?;
    tell(&format!("{waiting} waiting in {}: they are sent as {owner} to {}.", folder.display(), brokers(config)));
    if !confirmed(yes) {
        return Ok(ExitCode::from(USAGE));
    }
    let (to, delivered) = moving::send(config, folder, patience, &mut tell)?;
    tell(&format!("{delivered} delivered; the store lies in {} now, and may be removed.", to.display()));
    Ok(ExitCode::SUCCESS)
}

fn take_over(config: &Config, yes: bool) -> ExitCode {
    let outlet = moving::owner_of(config);
    tell(&format!(
        "This box takes {outlet} back from the other one: what waits here leaves first, as it is, and never wins over what the \
         other box told; then a new stream begins, the points of sale are read again, and the other box stands back in its \
         turn. Switch the other one off, or the two go on like this."
    ));
    if !confirmed(yes) {
        return ExitCode::from(USAGE);
    }
    order(config, &Question { ask: TAKE_OVER.to_owned(), ..Question::default() }, |done| {
        format!("Ordered: what waits up to number {} leaves first.", done.through.unwrap_or_default())
    })
}

fn same_account(config: &Config, connection: &str, yes: bool) -> ExitCode {
    if config.pos.iter().all(|pos| pos.name != connection) {
        complain(&format_args!("the config has no connection `{connection}`"));
        return ExitCode::from(CONFIG);
    }
    tell(&format!(
        "Whichever account answers on `{connection}` next is taken for the shop whose sales are stored under that name. If it is \
         another shop, their sales are mixed: then give the connection another name instead."
    ));
    if !confirmed(yes) {
        return ExitCode::from(USAGE);
    }
    let question =
        Question { ask: SAME_ACCOUNT.to_owned(), connection: Some(connection.to_owned()), ..Question::default() };
    order(config, &question, |done| match done.was_noted {
        Some(true) => "Noted: a running tillbox asks again within five minutes.".to_owned(),
        _ => "No account was noted for it: nothing to do.".to_owned(),
    })
}

fn order(config: &Config, order: &Question, done: impl FnOnce(Ordered) -> String) -> ExitCode {
    match give(config, order) {
        Ok(ordered) => told(say(&done(ordered))),
        Err(code) => code,
    }
}

/// Gives an order to the running daemon, or to the store. What it fails with is said, and its exit code given.
pub fn give(config: &Config, order: &Question) -> Result<Ordered, ExitCode> {
    let failed = |error: MovingError| {
        complain(&error);
        ExitCode::from(code(&error))
    };
    moving::refuse_other_user(&config.outbox.path).map_err(failed)?;
    client::order(daemon::outbox_options(config), order).map_err(|error| match error {
        InspectError::Outbox(error) => failed(error.into()),
        error => told(Err(error)),
    })
}

fn brokers(config: &Config) -> String {
    config.hq.brokers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Whoever reads may have enough: what is done is done all the same.
fn tell(text: &str) {
    let _nobody_reads = say(text);
}

/// Asks whoever sits there.
fn confirmed(yes: bool) -> bool {
    if yes {
        return true;
    }
    let input = io::stdin();
    if !input.is_terminal() {
        eprintln!("tillbox: nobody can be asked here: --yes does it");
        return false;
    }
    print!("\nGo on? [y/N] ");
    let _the_question_may_be_late = io::stdout().flush();
    let mut answer = String::new();
    let read = input.lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}
