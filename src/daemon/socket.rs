//! The socket by which the running daemon answers questions about itself ([`inspect`](crate::inspect)): in the outbox's
//! folder, for the daemon's own user alone. It answers, and takes the orders that only a person can give.
//!
//! A box without it captures and forwards all the same, so whatever fails here is a warning and no more.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    task::JoinSet,
    time::timeout,
};

use crate::{
    health::Condition,
    inspect::{self, PROBE, Probe, QUESTION_MAX_BYTES, Question, SOCKET, STATUS, TAKE_OVER},
    outbox::Outbox,
    overview::observer::Observer,
    watchdog::{Heartbeat, Watchdog},
};

/// Who asks at the same time, at most; others wait.
const ASKING_MAX: usize = 4;

/// Who neither asks nor reads for so long is left.
const PATIENCE: Duration = Duration::from_secs(10);

/// Wait after a connection that could not be taken.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Bytes that a Unix socket's path may have, less the one that ends it.
const PATH_MAX_BYTES: usize = 107;

/// Whoever listens looks up this often, so that it is seen to.
const LOOK_UP_EVERY: Duration = Duration::from_secs(30);

/// Reading the store for one answer is over within this.
const ANSWER_MAX: Duration = Duration::from_secs(180);

/// The extension of a socket that is not finished yet.
const UNFINISHED: &str = "new";

/// Why an order to take over is not taken.
const NOTHING_TO_TAKE_OVER: &str =
    "this box has the outlet: no other one sends for it at the broker, so there is nothing to take over";

/// Answers until the daemon ends. Where no socket can be had, it says so and waits for that.
pub async fn answer_questions(outbox: Arc<Outbox>, observer: Arc<Observer>, watchdog: Watchdog) {
    let path = outbox.folder().join(SOCKET);
    let (listener, _removed_at_the_end) = match listen(&path) {
        Ok(listening) => listening,
        Err(error) => {
            let socket = path.display();
            tracing::warn!(%socket, %error, "tillbox outbox cannot ask the running daemon: no socket can be made");
            return std::future::pending().await;
        }
    };
    let (mut asking, heartbeat) = (JoinSet::new(), watchdog.stage("socket", LOOK_UP_EVERY));
    loop {
        heartbeat.will_wait(LOOK_UP_EVERY);
        tokio::select! {
            accepted = listener.accept(), if asking.len() < ASKING_MAX => match accepted {
                Ok((stream, _)) => {
                    let heartbeat = watchdog.stage("answer", ANSWER_MAX);
                    asking.spawn(answer(stream, Arc::clone(&outbox), Arc::clone(&observer), heartbeat));
                }
                Err(error) => {
                    tracing::debug!(%error, "a question cannot be taken");
                    tokio::time::sleep(TRY_AGAIN_AFTER).await;
                }
            },
            Some(_) = asking.join_next() => {}
            () = tokio::time::sleep(LOOK_UP_EVERY) => {}
        }
    }
}

/// The socket's file; it goes with its daemon.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _the_next_start_replaces_it = fs::remove_file(&self.0);
    }
}

/// Listens on a socket that nobody else may connect to. The store's lock is ours, so one that stands there is stale.
fn listen(path: &Path) -> io::Result<(UnixListener, Removed)> {
    let unfinished = path.with_extension(UNFINISHED);
    let bytes = path.as_os_str().len().max(unfinished.as_os_str().len());
    if bytes > PATH_MAX_BYTES {
        let excess = bytes - PATH_MAX_BYTES;
        let text = format!("its path is {excess} bytes too long for a socket; a shorter [outbox] path would do");
        return Err(io::Error::new(io::ErrorKind::InvalidFilename, text));
    }
    if let Err(error) = fs::remove_file(&unfinished)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let listener = UnixListener::bind(&unfinished)?;
    let made =
        fs::set_permissions(&unfinished, Permissions::from_mode(0o600)).and_then(|()| fs::rename(&unfinished, path));
    if let Err(error) = made {
        let _the_next_start_replaces_it = fs::remove_file(&unfinished);
        return Err(error);
    }
    Ok((listener, Removed(path.to_owned())))
}

/// Whether the line works and has found no other box.
fn has_the_outlet(probe: &Probe) -> bool {
    let conflict = probe.conditions.iter().any(|trouble| trouble.code == Condition::OutletConflict.code());
    probe.works && probe.checkpoint_found && !conflict
}

/// Answers one after the other what somebody asks.
async fn answer(stream: UnixStream, outbox: Arc<Outbox>, observer: Arc<Observer>, heartbeat: Heartbeat) {
    let mut stream = BufReader::new(stream);
    loop {
        heartbeat.will_wait(PATIENCE);
        let mut text = Vec::new();
        let most = u64::try_from(QUESTION_MAX_BYTES).unwrap_or(u64::MAX);
        let mut line = (&mut stream).take(most);
        match timeout(PATIENCE, line.read_until(b'\n', &mut text)).await {
            Ok(Ok(bytes)) if bytes > 0 => {}
            _ => return,
        }
        let whole = text.ends_with(b"\n");
        let question = serde_json::from_slice::<Question>(&text);
        heartbeat.promise(ANSWER_MAX);
        let lines = match question {
            Ok(question) if whole => {
                let (outbox, observer) = (Arc::clone(&outbox), Arc::clone(&observer));
                // Reading the store may take its time, and may wait for a commit.
                let answered = tokio::task::spawn_blocking(move || match question.ask.as_str() {
                    STATUS => inspect::status(&observer.observe()),
                    PROBE => inspect::probed(&observer.probe()),
                    TAKE_OVER if has_the_outlet(&observer.probe()) => {
                        inspect::ended(Err(NOTHING_TO_TAKE_OVER.to_owned()))
                    }
                    _ => inspect::answer(&outbox, observer.acknowledge(), &question, observer.now()),
                })
                .await;
                answered.unwrap_or_else(|_| inspect::ended(Err("the answer panicked".to_owned())))
            }
            Ok(_) => inspect::ended(Err("the question is too long".to_owned())),
            Err(error) => inspect::ended(Err(format!("that is no question: {error}"))),
        };
        for line in lines {
            let text = line + "\n";
            heartbeat.will_wait(PATIENCE);
            if !matches!(timeout(PATIENCE, stream.write_all(text.as_bytes())).await, Ok(Ok(()))) {
                return;
            }
        }
        if !whole {
            return;
        }
    }
}
