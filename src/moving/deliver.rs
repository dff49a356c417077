//! Sends all that waits in a store, with nothing else running: no poll, no light, no page.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};

use super::MovingError;
use crate::{
    clock::Clock,
    config::{Acknowledge, Config},
    daemon::{outbox_options, tell_findings},
    health::{Condition, Health},
    mqtt::{self, Link},
    outbox::{Finding, Opened, Options, Outbox, OutboxError, Owner},
    pos::connector::RESCAN_HORIZON,
    status::Description,
    stop::Stop,
    watchdog::Heartbeat,
};

/// How far things are is looked at, and the store after its own affairs, this often at least.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Progress is told this often at most.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// What the store and the event loop may take to end.
const END_MAX: Duration = Duration::from_secs(10);

/// What is sent, and as whose.
pub struct Leaving<'a> {
    /// Whose brokers and credentials are used.
    pub config: &'a Config,
    /// The outbox.
    pub folder: &'a Path,
    /// Whose it is.
    pub owner: &'a Owner,
    /// Its connections, as the store knows them.
    pub connections: &'a [(String, String)],
    /// How long the line is given without any progress.
    pub patience: Duration,
}

/// Delivers everything; gives how many events that were. Afterwards the store is closed.
pub fn deliver(leaving: &Leaving<'_>, say: &mut dyn FnMut(&str)) -> Result<u64, MovingError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(MovingError::System)?;
    let result = runtime.block_on(deliver_all(leaving, say));
    // Whoever holds the store is gone with it.
    runtime.shutdown_timeout(END_MAX);
    result
}

async fn deliver_all(leaving: &Leaving<'_>, say: &mut dyn FnMut(&str)) -> Result<u64, MovingError> {
    let (clock, health, stop) = (Clock::system(), Arc::new(Health::default()), Stop::default());
    let acknowledge = leaving.config.hq.acknowledge;
    let options = Options {
        folder: leaving.folder.to_owned(),
        outlet: leaving.owner.outlet.clone(),
        topic_prefix: leaving.owner.topic_prefix.clone(),
        // Those of the new shop have no business here.
        connections: leaving.connections.to_vec(),
        ..outbox_options(leaving.config)
    };
    let Opened { outbox, findings } = Outbox::open(options, clock.now())?;
    tell_findings(&outbox, &findings, clock.now());
    for finding in &findings {
        if let Finding::PutAside { to, cause } = finding {
            say(&format!(
                "the store could not be read ({cause}); it lies at {} now, for somebody to look at",
                to.display()
            ));
        }
    }
    let outbox = Arc::new(outbox);
    let mut link = tokio::spawn(link(leaving, &outbox, &health, &clock, &stop).run());
    let mut progress = Progress::new(outbox.level().undelivered(acknowledge));
    let (mut levels, mut facts) = (outbox.watch(), health.watch());
    let result = loop {
        let left = levels.borrow_and_update().undelivered(acknowledge);
        facts.mark_unchanged();
        progress.note(left, &health, say);
        if left == 0 {
            break Ok(());
        }
        if progress.moved.elapsed() >= leaving.patience {
            break Err(why(&health, &outbox, acknowledge));
        }
        tokio::select! {
            ended = &mut link => break Err(match ended {
                Ok(Ok(())) => "the line to headquarters ended".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(error) => format!("the line to headquarters ended: {error}"),
            }),
            _ = levels.changed() => {}
            _ = facts.changed() => {}
            () = sleep(LOOK_EVERY) => tend(&outbox, &clock, acknowledge).await,
        }
    };
    stop.give();
    // What comes in with the last words still counts.
    if !link.is_finished() {
        let _left_as_it_is = timeout(mqtt::STOP_MAX, &mut link).await;
        link.abort();
    }
    let left = outbox.level().undelivered(acknowledge);
    let settled = Arc::clone(&outbox);
    let settle = tokio::task::spawn_blocking(move || settled.settle(acknowledge)).await;
    settle.unwrap_or_else(|panic| Err(OutboxError::Damaged(panic.to_string())))?;
    match result {
        Err(why) if left > 0 => Err(MovingError::Left { outlet: Box::new(leaving.owner.clone()), left, why }),
        _ => Ok(progress.delivered),
    }
}

fn link(leaving: &Leaving<'_>, outbox: &Arc<Outbox>, health: &Arc<Health>, clock: &Clock, stop: &Stop) -> Link {
    let mut outlet = leaving.config.outlet.clone();
    leaving.owner.outlet.clone_into(&mut outlet.id);
    // The name in the config may be the new shop's.
    outlet.name = None;
    let mut hq = leaving.config.hq.clone();
    leaving.owner.topic_prefix.clone_into(&mut hq.topic_prefix);
    let (id, acknowledge, described) = (outlet.id.clone(), hq.acknowledge, Arc::clone(outbox));
    let describe = move || Description { outlet: id.clone(), name: None, acknowledge, stream: described.stream() };
    Link {
        hq,
        outlet,
        outbox: Arc::clone(outbox),
        health: Arc::clone(health),
        clock: clock.clone(),
        stop: stop.clone(),
        rescan_horizon: RESCAN_HORIZON,
        reaches: BTreeMap::new(),
        heartbeat: Heartbeat::default(),
        by_hand: true,
        describe: Box::new(describe),
    }
}

/// A store that failed is opened again, and what was delivered makes room.
async fn tend(outbox: &Arc<Outbox>, clock: &Clock, acknowledge: Acknowledge) {
    let (outbox, now) = (Arc::clone(outbox), clock.now());
    let tended = tokio::task::spawn_blocking(move || outbox.tend(acknowledge, false, now).map(drop)).await;
    if let Ok(Err(error)) = tended {
        tracing::warn!(%error, "outbox: looking after the store failed");
    }
}

/// How far the sending is.
struct Progress {
    left: u64,
    delivered: u64,
    moved: Instant,
    told: Instant,
    named: BTreeSet<(Condition, String)>,
}

impl Progress {
    fn new(left: u64) -> Self {
        let now = Instant::now();
        Self { left, delivered: 0, moved: now, told: now, named: BTreeSet::new() }
    }

    /// Notes how much is left; tells of it now and then, and of what stands in the way, once each.
    fn note(&mut self, left: u64, health: &Health, say: &mut dyn FnMut(&str)) {
        if left < self.left {
            self.delivered += self.left - left;
            self.moved = Instant::now();
            if left > 0 && self.told.elapsed() >= TELL_EVERY {
                self.told = Instant::now();
                say(&format!("{} delivered, {left} left", self.delivered));
            }
        }
        self.left = left;
        for (condition, _, held) in health.facts().conditions() {
            if self.named.insert((condition, held.text.clone())) {
                say(&held.text);
            }
        }
    }
}

/// What stands in the way.
fn why(health: &Health, outbox: &Outbox, acknowledge: Acknowledge) -> String {
    let facts = health.facts();
    let held: Vec<_> = facts.conditions().map(|(_, _, held)| held.text.as_str()).collect();
    let level = outbox.level();
    if !held.is_empty() {
        held.join("; ")
    } else if acknowledge == Acknowledge::Feed && level.unacknowledged() == 0 {
        "the broker has them, and headquarters' feed has not confirmed them in time".to_owned()
    } else {
        "the broker did not take them in time".to_owned()
    }
}
