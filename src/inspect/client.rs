//! Whoever asks: the running daemon is asked if there is one, else the store itself.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::de::DeserializeOwned;
use thiserror::Error;

use super::{
    EVENTS_MAX, End, Head, Lines, OrderError, Ordered, PROBE, Probe, Question, SOCKET, STATUS, Summary, answer, ordered,
};
use crate::{
    by_hand::StatementError,
    clock::Clock,
    config::Acknowledge,
    daemon::tell_findings,
    outbox::{Look, Opened, Options, Outbox, OutboxError},
    overview::Overview,
};

/// The daemon answers within this, also while it commits.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// The longest line of an answer.
const LINE_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum InspectError {
    /// The store cannot be looked into.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The order is not obeyed.
    #[error(transparent)]
    Order(StatementError),
    /// A daemon has the store and cannot be asked.
    #[error("a tillbox has the store in {}, and does not answer on {SOCKET} there: {cause}; its journal says why", folder.display())]
    Mute {
        /// The outbox's folder.
        folder: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// There is nothing that could be ordered.
    #[error("no store is in {} yet; start tillbox first", folder.display())]
    NoStore {
        /// The outbox's folder.
        folder: PathBuf,
    },
    /// Nobody can be asked.
    #[error("no tillbox runs on {}: {cause}; start it with `systemctl start tillbox`, or see what it says of itself with `journalctl -u tillbox`", socket.display())]
    NotRunning {
        /// Where it would answer.
        socket: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The running daemon belongs to another user.
    #[error("a tillbox has {}, and this user may not ask it; run this as root, or as the daemon's own user", socket.display())]
    Forbidden {
        /// Where it answers.
        socket: PathBuf,
    },
    /// The daemon stopped in the middle of an answer, or gave another one than was asked for.
    #[error("the running tillbox gave no whole answer: {0}; ask again")]
    Broken(String),
    /// The question cannot be answered.
    #[error("{0}")]
    Fault(String),
    /// The event does not wait.
    #[error("event {number} does not wait in the outbox, which holds {first} to {last}")]
    NoSuchEvent {
        /// Its number.
        number: u64,
        /// The first that waits.
        first: u64,
        /// The last.
        last: u64,
    },
    /// The output cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(io::Error),
}

impl From<OrderError> for InspectError {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::Outbox(error) => Self::Outbox(error),
            OrderError::Statement(error) => Self::Order(error),
        }
    }
}

/// Asks the running daemon for the box at a glance; gives it as it is and as the daemon wrote it.
///
/// # Errors
/// No daemon runs, or it gives no answer.
pub fn overview(folder: &Path) -> Result<(Overview, String), InspectError> {
    if let Err(cause) = connect(folder) {
        let socket = folder.join(SOCKET);
        return Err(match cause.kind() {
            io::ErrorKind::PermissionDenied => InspectError::Forbidden { socket },
            _ => InspectError::NotRunning { socket, cause },
        });
    }
    let question = Question { ask: STATUS.to_owned(), ..Question::default() };
    let (lines, _) = ask_source(&Source::Daemon(folder.to_owned()), Acknowledge::Feed, &question)?;
    let line = lines.into_iter().next().unwrap_or_default();
    Ok((read_line(&line)?, line))
}

/// Gives an order to the running daemon, or notes it in the store while none runs.
///
/// # Errors
/// A daemon does not answer, or the store refuses.
pub fn order(options: Options, order: &Question) -> Result<Ordered, InspectError> {
    let folder = options.folder.clone();
    let cause = match connect(&folder) {
        Ok(_answers) => {
            let (lines, _) = ask_source(&Source::Daemon(folder), Acknowledge::Feed, order)?;
            return read_line(lines.first().map(String::as_str).unwrap_or_default());
        }
        Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
            return Err(InspectError::Forbidden { socket: folder.join(SOCKET) });
        }
        Err(cause) => cause,
    };
    if !folder.join("store").exists() {
        return Err(InspectError::NoStore { folder });
    }
    let now = Clock::system().now();
    match Outbox::open(options, now) {
        Ok(Opened { outbox, findings }) => {
            tell_findings(&outbox, &findings, now);
            Ok(ordered(&outbox, order, now)?)
        }
        Err(OutboxError::InUse { .. }) => Err(InspectError::Mute { folder, cause }),
        Err(error) => Err(error.into()),
    }
}

/// Asks the running daemon what its line to headquarters has found; `None` where no daemon can be asked.
///
/// # Errors
/// It gives no answer, or belongs to another user.
pub fn probe(folder: &Path) -> Result<Option<Probe>, InspectError> {
    match connect(folder) {
        Ok(_) => {}
        Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
            return Err(InspectError::Forbidden { socket: folder.join(SOCKET) });
        }
        Err(_) => return Ok(None),
    }
    let question = Question { ask: PROBE.to_owned(), ..Question::default() };
    let (lines, _) = ask_source(&Source::Daemon(folder.to_owned()), Acknowledge::Feed, &question)?;
    read_line(lines.first().map(String::as_str).unwrap_or_default()).map(Some)
}

/// A box that can be asked.
pub struct Inspected {
    source: Source,
    /// Whose word counts, as the config says; a daemon goes by its own.
    acknowledge: Acknowledge,
}

enum Source {
    /// The daemon's folder. Each question has a connection of its own: whoever pages through an export takes their time.
    Daemon(PathBuf),
    Store(Box<Look>),
}

impl Inspected {
    /// Finds whom to ask about the store in a folder; `acknowledge` says whose word counts.
    ///
    /// # Errors
    /// There is no store, it cannot be read, or a daemon has it that does not answer.
    pub fn at(options: Options, acknowledge: Acknowledge) -> Result<Self, InspectError> {
        let folder = options.folder.clone();
        let found = |source| Ok(Self { source, acknowledge });
        let Err(cause) = connect(&folder) else { return found(Source::Daemon(folder)) };
        match Look::into(options) {
            Ok(look) => found(Source::Store(Box::new(look))),
            Err(OutboxError::InUse { .. }) => Err(InspectError::Mute { folder, cause }),
            Err(error) => Err(error.into()),
        }
    }

    /// How the outbox stands.
    ///
    /// # Errors
    /// There is no answer.
    pub fn summary(&self) -> Result<Summary, InspectError> {
        let (lines, _) = self.ask(&Question { ask: "outbox".to_owned(), ..Question::default() })?;
        read_line(lines.first().map(String::as_str).unwrap_or_default())
    }

    /// What the events are about that wait after a number, `most` of them at most.
    ///
    /// # Errors
    /// There is no answer.
    pub fn heads(&self, summary: &Summary, after: u64, most: usize) -> Result<Vec<Head>, InspectError> {
        let (mut heads, mut after) = (Vec::new(), after);
        while heads.len() < most {
            let (lines, Some(last)) = self.events(summary, after, most - heads.len(), true)? else { break };
            for line in lines {
                heads.push(read_line(&line)?);
            }
            after = last;
        }
        Ok(heads)
    }

    /// One waiting event as JSON.
    ///
    /// # Errors
    /// There is no answer, or no such event.
    pub fn event(&self, number: u64) -> Result<String, InspectError> {
        let summary = self.summary()?;
        let (first, last) = (summary.outbox.released + 1, summary.outbox.durable);
        if number < first || number > last {
            return Err(InspectError::NoSuchEvent { number, first, last });
        }
        let (mut lines, read) = self.events(&summary, number - 1, 1, false)?;
        // It may have been released just now.
        let found = lines.pop().filter(|_| read == Some(number));
        found.ok_or(InspectError::NoSuchEvent { number, first, last })
    }

    /// Hands every event that waits from a number on to `take`, as one line of JSON each; what is released
    /// meanwhile is left out.
    ///
    /// # Errors
    /// There is no answer, or `take` fails.
    pub fn export(
        &self,
        from: u64,
        mut take: impl FnMut(&str) -> Result<(), InspectError>,
    ) -> Result<(), InspectError> {
        let summary = self.summary()?;
        let mut after = from.saturating_sub(1).max(summary.outbox.released);
        while after < summary.outbox.durable {
            let (lines, Some(last)) = self.events(&summary, after, EVENTS_MAX, false)? else { break };
            lines.iter().try_for_each(|line| take(line))?;
            after = last;
        }
        Ok(())
    }

    fn events(&self, summary: &Summary, after: u64, most: usize, heads: bool) -> Result<Lines, InspectError> {
        let stream = summary.outbox.stream.clone();
        let ask = "events".to_owned();
        self.ask(&Question { ask, stream, after, most: Some(most), heads, ..Question::default() })
    }

    fn ask(&self, question: &Question) -> Result<Lines, InspectError> {
        ask_source(&self.source, self.acknowledge, question)
    }
}

/// Asks; gives the lines of the answer without its end.
fn ask_source(source: &Source, acknowledge: Acknowledge, question: &Question) -> Result<Lines, InspectError> {
    let mut lines = match source {
        Source::Store(look) => answer(look.outbox(), acknowledge, question, Clock::system().now()),
        Source::Daemon(folder) => {
            let answered = connect(folder).and_then(|stream| ask_daemon(stream, question));
            answered.map_err(|error| InspectError::Broken(error.to_string()))?
        }
    };
    let end: End = read_line(&lines.pop().unwrap_or_default())?;
    match end.fault {
        None => Ok((lines, end.last)),
        Some(fault) => Err(InspectError::Fault(fault)),
    }
}

fn connect(folder: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(folder.join(SOCKET))?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.set_write_timeout(Some(ANSWER_MAX))?;
    Ok(stream)
}

fn ask_daemon(mut stream: UnixStream, question: &Question) -> io::Result<Vec<String>> {
    let mut text = serde_json::to_string(question)?;
    text.push('\n');
    stream.write_all(text.as_bytes())?;
    let mut stream = BufReader::new(stream);
    let mut lines: Vec<String> = Vec::new();
    loop {
        let mut line = String::new();
        stream.by_ref().take(LINE_MAX_BYTES).read_line(&mut line)?;
        if !line.ends_with('\n') {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the line ended before the answer"));
        }
        line.pop();
        let is_end = line.starts_with("{\"done\":");
        lines.push(line);
        if is_end || lines.len() > EVENTS_MAX + 1 {
            return Ok(lines);
        }
    }
}

fn read_line<T: DeserializeOwned>(line: &str) -> Result<T, InspectError> {
    serde_json::from_str(line).map_err(|error| InspectError::Broken(error.to_string()))
}
