//! The wiring page: every stage is made here, supervised here, and stopped here in order.
//!
//! - One named thread per connection polls; one task forwards; one keeps the store; one drives the lights; one answers
//!   whoever asks about the box on its socket, and one whoever opens its page.
//! - The death of any of them but the last ends the process with its reason, and systemd starts it anew.
//! - Stopping: polling first, then acknowledgements may come in, then the store settles. The whole of it takes less than
//!   5 s; a request that hangs at a point of sale is abandoned.

mod faulty;
mod keeper;
mod lights;
mod socket;
mod systemd;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use chrono::TimeDelta;
use thiserror::Error;
use tokio::{sync::mpsc, time::timeout};

pub use self::faulty::show_fault;
pub(crate) use self::keeper::tell_findings;
use self::{
    keeper::keep,
    lights::drive_lights,
    socket::answer_questions,
    systemd::{notify, start_feeding},
};
use crate::{
    board::{gpio::Gpio, panel::Panel, profile::Profile},
    checkpoint::reach::Reach,
    clock::Clock,
    closing::Calendar,
    config::{self, Board, Config, Outlet, Pos},
    health::{Condition, Health, Phase},
    mqtt::{self, Link},
    outbox::{Opened, Options, Outbox, OutboxError},
    overview::observer::{Observer, SharedOutbox},
    page::{self, Page},
    poll::Poll,
    pos::{
        connector::RESCAN_HORIZON,
        http::{Ask, Client},
        systems,
    },
    status::Description,
    stop::Stop,
    tls::TlsError,
    watchdog::{Heartbeat, Watchdog},
};

/// What was seen is remembered this much longer than any poll looks back.
const RETENTION_MARGIN: TimeDelta = TimeDelta::days(4);

/// A store that cannot be opened is tried again after this long.
const OPEN_AGAIN_AFTER: Duration = Duration::from_secs(15);

/// Opening the store is over within this, one that is copied before it is repaired included.
const OPEN_MAX: Duration = Duration::from_secs(600);

/// A stage that has just been made moves within this.
const BEGIN_MAX: Duration = Duration::from_secs(60);

/// At a stop, polls in flight may end within this; then they are abandoned.
const POLLS_STOP_MAX: Duration = Duration::from_secs(1);

/// A thread for what blocks is kept this long: the keeper of the store wants one more often.
const THREAD_KEPT: Duration = Duration::from_secs(10);

/// How the daemon runs beside what its config says.
#[derive(Debug, Clone)]
pub struct Mode {
    /// The outlet's time.
    pub clock: Clock,
    /// The config on the boot partition was refused: what is wrong with it.
    pub refused: Option<String>,
    /// Writes the status to standard output, a line of JSON at each change: for the demonstration and for tests.
    pub report: bool,
}

/// Why the daemon ended otherwise than by the word to stop.
#[derive(Debug, Error)]
pub enum DaemonError {
    /// The store cannot be used at all.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// Certificates or keys of the config cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The system gives no threads, signals or timers.
    #[error("the system refuses {0}: {1}")]
    System(&'static str, std::io::Error),
    /// A stage ended that must not.
    #[error("{0} ended unexpectedly: {1}")]
    StageEnded(String, String),
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// The daemon cannot start or a stage ended; one line that says why.
pub fn run(config: Config, mode: Mode) -> Result<(), DaemonError> {
    // Where the kernel gives huge pages unasked, 2 MiB become resident at a thread's stack, or at the engine's tables,
    // of which a few pages are used.
    let _an_old_kernel_has_none = rustix::thread::disable_transparent_huge_pages(true);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(16)
        .thread_keep_alive(THREAD_KEPT)
        .build()
        .map_err(|error| DaemonError::System("an event loop", error))?;
    let result = runtime.block_on(run_stages(config, mode));
    // A request that hangs at a point of sale must not hold the process.
    runtime.shutdown_background();
    result
}

async fn run_stages(config: Config, mode: Mode) -> Result<(), DaemonError> {
    let stop = Stop::default();
    listen_for_stop(&stop)?;
    let health = Arc::new(Health::default());
    let clock = mode.clock.clone();
    if let Some(text) = &mode.refused {
        health.raise(Condition::ConfigRefused, "", text, clock.now());
    }

    // The lights come first: they show a store that cannot be opened, too.
    let shared = SharedOutbox::default();
    let watchdog = Watchdog::default();
    let beat = |name: &str| watchdog.stage(name, BEGIN_MAX);
    let feeding = start_feeding(watchdog.clone(), Arc::clone(&health), Arc::clone(&shared), config.hq.acknowledge)?;
    let described = describe(&config, &shared);
    let panel = Panel::new(&profile_of(&config.board), Gpio);
    let mut lights =
        tokio::spawn(drive_lights(panel, Arc::clone(&shared), Arc::clone(&health), mode, described, beat("lights")));
    let observer = Arc::new(Observer::new(&config, Arc::clone(&shared), Arc::clone(&health), clock.clone()));
    let looking = tokio::spawn(Arc::clone(&observer).note_regularly());
    // It shows a store that cannot be opened, too, and whatever becomes of it, the sales go on.
    let page = config
        .page
        .map(|settings| tokio::spawn(page::serve(settings, show(&config, settings, &observer), watchdog.clone())));
    let Some(outbox) = open_outbox(&config, &clock, &health, &stop, beat("store")).await? else { return Ok(()) };
    let outbox = Arc::clone(shared.get_or_init(|| Arc::new(outbox)));
    let (ended, mut endings) = mpsc::unbounded_channel();

    let polls_stop = Stop::default();
    let mut polls = Vec::new();
    for pos in &config.pos {
        let poll = make_poll(&config, pos, &outbox, &health, &clock, &polls_stop)?;
        let heartbeat = beat(&format!("poll {}", pos.name));
        polls.push(start_poll(poll, heartbeat, ended.clone())?);
    }

    let link_stop = Stop::default();
    let link = make_link(&config, &shared, &outbox, &health, &clock, &link_stop, beat("hq"));
    let mut link = tokio::spawn(link.run());
    let mut socket = tokio::spawn(answer_questions(Arc::clone(&outbox), observer, watchdog.clone()));
    let acknowledge = config.hq.acknowledge;
    let mut keeper =
        tokio::spawn(keep(Arc::clone(&outbox), Arc::clone(&health), clock.clone(), acknowledge, beat("keeper")));

    notify(&[sd_notify::NotifyState::Ready]);
    tracing::info!(outlet = %config.outlet.id, connections = config.pos.len(), "tillbox {} is running", env!("CARGO_PKG_VERSION"));

    let result = tokio::select! {
        () = stop.given() => Ok(()),
        Some((name, reason)) = endings.recv() => Err(DaemonError::StageEnded(name, reason)),
        ended = &mut link => match ended {
            Ok(Ok(())) => Err(DaemonError::StageEnded("hq".to_owned(), "it returned".to_owned())),
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(DaemonError::StageEnded("hq".to_owned(), error.to_string())),
        },
        Err(error) = &mut keeper => Err(DaemonError::StageEnded("keeper".to_owned(), error.to_string())),
        Err(error) = &mut socket => Err(DaemonError::StageEnded("socket".to_owned(), error.to_string())),
        Err(error) = &mut lights => Err(DaemonError::StageEnded("lights".to_owned(), error.to_string())),
    };

    drop(feeding);
    notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!("stopping");
    health.update(|facts| facts.phase = Phase::Stopping);
    polls_stop.give();
    wait_for_polls(polls).await;
    link_stop.give();
    if result.is_ok() && timeout(mqtt::STOP_MAX, &mut link).await.is_err() {
        tracing::warn!("stopping: the line to HQ did not end in time; what was not acknowledged is sent again");
    }
    keeper.abort();
    socket.abort();
    looking.abort();
    page.inspect(tokio::task::JoinHandle::abort);
    let level = outbox.level();
    let settle = tokio::task::spawn_blocking(move || outbox.settle(config.hq.acknowledge));
    match timeout(Duration::from_secs(1), settle).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => tracing::warn!(%error, "stopping: the store could not be settled; nothing is lost"),
        Ok(Err(_)) | Err(_) => tracing::warn!("stopping: the store did not settle in time; nothing is lost"),
    }
    lights.abort();
    let _lines_go_dark_with_it = lights.await;
    tracing::info!(unacknowledged = level.unacknowledged(), "stopped");
    result
}

/// The lines that the config speaks of; without hardware none.
fn profile_of(board: &Board) -> Profile {
    match board {
        Board::None => Profile { name: "none".to_owned(), lines: Vec::new() },
        Board::Profile(profile) => profile.clone(),
    }
}

/// Opens the store; one that cannot be opened for now shows as a fault and is tried again, so that no crash loop wears
/// the card. `None` at the word to stop.
async fn open_outbox(
    config: &Config,
    clock: &Clock,
    health: &Arc<Health>,
    stop: &Stop,
    heartbeat: Heartbeat,
) -> Result<Option<Outbox>, DaemonError> {
    let options = outbox_options(config);
    loop {
        let now = clock.now();
        let opening = options.clone();
        heartbeat.promise(OPEN_MAX);
        let opened = tokio::task::spawn_blocking(move || Outbox::open(opening, now)).await;
        let opened = opened.unwrap_or_else(|panic| Err(OutboxError::Damaged(panic.to_string())));
        match opened {
            Ok(Opened { outbox, findings }) => {
                health.clear(Condition::StoreFailed, "", now);
                tell_findings(&outbox, &findings, now);
                return Ok(Some(outbox));
            }
            Err(error @ (OutboxError::Folder { .. } | OutboxError::Engine(_))) => {
                health.update(|facts| facts.phase = Phase::Running);
                health.raise(Condition::StoreFailed, "", &error.to_string(), now);
                // The box has come up and says what it lacks: systemd must not give it up and start it again.
                notify(&[sd_notify::NotifyState::Ready]);
                heartbeat.will_wait(OPEN_AGAIN_AFTER);
                tokio::select! {
                    () = tokio::time::sleep(OPEN_AGAIN_AFTER) => {}
                    () = stop.given() => return Ok(None),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// How the config has the store kept.
#[must_use]
pub fn outbox_options(config: &Config) -> Options {
    let longest_look_back = config.pos.iter().map(|pos| pos.backfill).max().unwrap_or_default();
    let longest_look_back = TimeDelta::from_std(longest_look_back).unwrap_or(TimeDelta::days(3650));
    Options {
        folder: config.outbox.path.clone(),
        max_bytes: config.outbox.max_bytes,
        outlet: config.outlet.id.clone(),
        topic_prefix: config.hq.topic_prefix.clone(),
        event_max_bytes: config.hq.event_max_bytes,
        retention: longest_look_back.max(RESCAN_HORIZON) + RETENTION_MARGIN,
        connections: config.pos.iter().map(|pos| (pos.name.clone(), source_of(pos))).collect(),
        retired: config.outbox.retired_connections.clone(),
    }
}

/// What a connection reads: two names for one source would count each of its sales twice.
fn source_of(pos: &Pos) -> String {
    let source = format!("{:?} {} {}", pos.system, pos.base_url, pos.credentials.account());
    source.trim_end().to_lowercase()
}

fn make_poll(
    config: &Config,
    pos: &Pos,
    outbox: &Arc<Outbox>,
    health: &Arc<Health>,
    clock: &Clock,
    stop: &Stop,
) -> Result<Poll, TlsError> {
    let client = Client::new(&pos.base_url, pos.ca_certificate.as_deref())?;
    health.update_connection(&pos.name, |connection| connection.system = pos.system.name());
    Ok(poll_of(&config.outlet, pos, Box::new(client), outbox, health, clock, stop))
}

/// The poll of one connection, whatever asks its server.
pub fn poll_of(
    outlet: &Outlet,
    pos: &Pos,
    client: Box<dyn Ask>,
    outbox: &Arc<Outbox>,
    health: &Arc<Health>,
    clock: &Clock,
    stop: &Stop,
) -> Poll {
    let (system, credentials, terms) = (pos.system, pos.credentials.clone(), systems::terms(outlet, pos, clock.now()));
    let base_url = pos.base_url.clone();
    Poll {
        connection: pos.name.clone(),
        system: system.name(),
        secret: credentials.secret().clone(),
        remedy: systems::remedy(&credentials, &pos.name),
        make: Box::new(move |begin| systems::connector(&base_url, system, &credentials, terms.clone(), begin)),
        client,
        requests_per_minute: pos.requests_per_minute,
        calendar: Calendar { zone: outlet.timezone.clone(), day_starts: outlet.business_day_starts },
        retention: outbox.retention(),
        outbox: Arc::clone(outbox),
        health: Arc::clone(health),
        clock: clock.clone(),
        stop: stop.clone(),
    }
}

type Endings = mpsc::UnboundedSender<(String, String)>;

fn start_poll(poll: Poll, heartbeat: Heartbeat, ended: Endings) -> Result<thread::JoinHandle<()>, DaemonError> {
    let name = format!("poll {}", poll.connection);
    let stop = poll.stop.clone();
    let run = move || {
        let name = format!("poll {}", poll.connection);
        let reason = match catch_unwind(AssertUnwindSafe(|| poll.run(&heartbeat))) {
            Ok(Ok(())) if stop.is_given() => return,
            Ok(Ok(())) => "it returned".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it panicked".to_owned(),
        };
        let _the_daemon_ends_already = ended.send((name, reason));
    };
    // Thread names are cut at 15 bytes by the kernel; the connection's name tells most.
    thread::Builder::new().name(name).spawn(run).map_err(|error| DaemonError::System("a thread", error))
}

async fn wait_for_polls(polls: Vec<thread::JoinHandle<()>>) {
    let joined = tokio::task::spawn_blocking(move || polls.into_iter().for_each(|poll| drop(poll.join())));
    if timeout(POLLS_STOP_MAX, joined).await.is_err() {
        tracing::warn!("stopping: a request hangs at a point of sale and is abandoned");
    }
}

fn make_link(
    config: &Config,
    shared: &SharedOutbox,
    outbox: &Arc<Outbox>,
    health: &Arc<Health>,
    clock: &Clock,
    stop: &Stop,
    heartbeat: Heartbeat,
) -> Link {
    Link {
        hq: config.hq.clone(),
        outlet: config.outlet.clone(),
        outbox: Arc::clone(outbox),
        health: Arc::clone(health),
        clock: clock.clone(),
        stop: stop.clone(),
        rescan_horizon: RESCAN_HORIZON,
        reaches: config.pos.iter().map(reach_of).collect(),
        heartbeat,
        by_hand: false,
        describe: Box::new(describe(config, shared)),
    }
}

fn reach_of(pos: &Pos) -> (String, Reach) {
    (pos.name.clone(), systems::reach(pos.system, systems::backfill(pos)))
}

/// What a browser is shown.
fn show(config: &Config, settings: config::Page, observer: &Arc<Observer>) -> Arc<Page> {
    let observer = Arc::clone(observer);
    let (language, zone) = (settings.language, config.outlet.timezone.clone());
    Arc::new(Page { language, zone, overview: Box::new(move || observer.observe()) })
}

fn describe(config: &Config, outbox: &SharedOutbox) -> impl Fn() -> Description + Send + Sync + 'static {
    let (outlet, name, acknowledge) = (config.outlet.id.clone(), config.outlet.name.clone(), config.hq.acknowledge);
    let outbox = Arc::clone(outbox);
    move || Description {
        outlet: outlet.clone(),
        name: name.clone(),
        acknowledge,
        stream: outbox.get().and_then(|outbox| outbox.stream()),
    }
}

fn listen_for_stop(stop: &Stop) -> Result<(), DaemonError> {
    use tokio::signal::unix::{SignalKind, signal};
    let refused = |error| DaemonError::System("signals", error);
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate()).map_err(refused)?, signal(SignalKind::interrupt()).map_err(refused)?);
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.give();
    });
    Ok(())
}
