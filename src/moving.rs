//! A box that belongs to another outlet from now on: carried into another shop, or its id was wrong.
//!
//! 1. [`plan`] looks whose store it is, and how much of it waits.
//! 2. [`leave`] sends what waits under the old outlet's name (`deliver`), and when HQ has all of it forgets the store:
//!    the new outlet begins with an empty one, a new stream, and its own backfill.
//! 3. Where that cannot be, as the new shop's certificate may not speak for the old one, [`set_aside`] moves the whole store
//!    into a folder of its own, and [`send`] delivers it some day with the old config.
//!
//! Nothing of two shops is ever mixed: no file of the old store stays where the new one begins, and the old one is opened
//! under its own name alone. What is not delivered is never removed.
//!
//! Deliberately absent: a way to give events of one outlet to another.

mod deliver;

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use thiserror::Error;

use self::deliver::{Leaving, deliver};
use crate::{
    clock::Clock,
    config::Config,
    outbox::{
        OutboxError, Owner, held_in,
        leaving::{self, SetAside},
    },
    tls::TlsError,
};

/// Without any progress the line is given so long, unless told otherwise.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// What is to be done about a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// There is none.
    NoStore,
    /// It is the config's own.
    Stays(Owner),
    /// It is another outlet's.
    Leaves {
        /// Whose it is.
        from: Owner,
        /// For whom the next one begins.
        to: Owner,
        /// Events that wait in it.
        waiting: u64,
        /// Its connections.
        connections: Vec<(String, String)>,
    },
}

/// Why a box was not given to another outlet.
#[derive(Debug, Error)]
pub enum MovingError {
    /// The store refuses.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// Certificates or keys of the config cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The system gives no event loop.
    #[error("the system refuses an event loop: {0}")]
    System(std::io::Error),
    /// Not everything was delivered.
    #[error("{left} of the events of {outlet} are not delivered: {why}; they stay where they are, and nothing is lost")]
    Left {
        /// Whose they are.
        outlet: Box<Owner>,
        /// How many.
        left: u64,
        /// What stood in the way.
        why: String,
    },
    /// The folder holds no set-aside store.
    #[error("{} is no store that was set aside; `tillbox status` names those that wait", folder.display())]
    NotSetAside {
        /// The folder.
        folder: PathBuf,
    },
    /// The config is another outlet's than the set-aside store.
    #[error(
        "the store in {} is {holds}'s, and the config is {wanted}'s: give the old outlet's config with --config",
        folder.display()
    )]
    OtherConfig {
        /// The folder.
        folder: PathBuf,
        /// Whose store it is.
        holds: Box<Owner>,
        /// Whose config it is.
        wanted: Box<Owner>,
    },
    /// What this user would write, the daemon could not read.
    #[error(
        "{} belongs to user {owner}, and what another user writes there the daemon cannot use: run this as that user, such \
         as with `sudo setpriv --reuid {owner} --regid {group} --clear-groups tillbox …`",
        folder.display()
    )]
    OtherUser {
        /// The folder.
        folder: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Its group.
        group: u32,
    },
}

/// Looks whose store the config's outbox is.
///
/// # Errors
/// A daemon has it, it cannot be read or does not say whose it is, or this is not the daemon's user.
pub fn plan(config: &Config) -> Result<Plan, MovingError> {
    let folder = &config.outbox.path;
    refuse_other_user(folder)?;
    let Some(held) = held_in(folder)? else { return Ok(Plan::NoStore) };
    let to = owner_of(config);
    match held.owner {
        None => Err(OutboxError::NoOwner { folder: folder.clone() }.into()),
        Some(from) if from == to => Ok(Plan::Stays(from)),
        Some(from) => Ok(Plan::Leaves { from, to, waiting: held.waiting, connections: held.connections }),
    }
}

/// Sends what waits in the config's outbox under the name of the outlet whose it is, then forgets the store. Gives how
/// many events were delivered.
///
/// # Errors
/// A daemon has the store, or not everything was delivered: then it stands there as before.
pub fn leave(
    config: &Config,
    from: &Owner,
    connections: &[(String, String)],
    patience: Duration,
    say: &mut dyn FnMut(&str),
) -> Result<u64, MovingError> {
    let folder = &config.outbox.path;
    let leaving = Leaving { config, folder, owner: from, connections, patience };
    let delivered = if held_in(folder)?.is_some_and(|held| held.waiting > 0) { deliver(&leaving, say)? } else { 0 };
    leaving::forget_delivered(folder, from)?;
    Ok(delivered)
}

/// Sets the config's outbox aside.
///
/// # Errors
/// A daemon has the store, or its folder refuses.
pub fn set_aside(config: &Config, from: &Owner) -> Result<SetAside, MovingError> {
    Ok(leaving::set_aside(&config.outbox.path, from, Clock::system().now())?)
}

/// A set-aside store, and how many events wait in it.
///
/// # Errors
/// It is none, it is not that of the config's outlet, or it cannot be read.
pub fn plan_sending(config: &Config, folder: &Path) -> Result<(Owner, u64), MovingError> {
    refuse_other_user(folder)?;
    let not_one = || MovingError::NotSetAside { folder: folder.to_owned() };
    leaving::note_of(folder).ok_or_else(not_one)?;
    let held = held_in(folder)?.ok_or_else(not_one)?;
    let holds = held.owner.ok_or_else(|| OutboxError::NoOwner { folder: folder.to_owned() })?;
    let wanted = owner_of(config);
    if holds != wanted {
        let (holds, wanted) = (Box::new(holds), Box::new(wanted));
        return Err(MovingError::OtherConfig { folder: folder.to_owned(), holds, wanted });
    }
    Ok((holds, held.waiting))
}

/// Delivers a set-aside store with the config of its outlet, and gives it the name that says so: that name, and how many
/// events were delivered.
///
/// # Errors
/// Not everything was delivered: then it stays as it is.
pub fn send(
    config: &Config,
    folder: &Path,
    patience: Duration,
    say: &mut dyn FnMut(&str),
) -> Result<(PathBuf, u64), MovingError> {
    let (owner, waiting) = plan_sending(config, folder)?;
    let connections = held_in(folder)?.map(|held| held.connections).unwrap_or_default();
    let leaving = Leaving { config, folder, owner: &owner, connections: &connections, patience };
    let delivered = if waiting > 0 { deliver(&leaving, say)? } else { 0 };
    Ok((leaving::rename_sent(folder)?, delivered))
}

/// The outlet that the config names.
#[must_use]
pub fn owner_of(config: &Config) -> Owner {
    Owner { outlet: config.outlet.id.clone(), topic_prefix: config.hq.topic_prefix.clone() }
}

/// Refuses another user than the folder's: root would leave files that the daemon cannot read.
///
/// # Errors
/// This process runs as another user.
pub fn refuse_other_user(folder: &Path) -> Result<(), MovingError> {
    let Ok(metadata) = fs::metadata(folder) else { return Ok(()) };
    if rustix::process::geteuid().as_raw() == metadata.uid() {
        return Ok(());
    }
    Err(MovingError::OtherUser { folder: folder.to_owned(), owner: metadata.uid(), group: metadata.gid() })
}
