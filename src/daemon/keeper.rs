//! The keeper of the store: it removes what may go, opens a store that failed again, and tells HQ what holds.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep_until};

use crate::{
    clock::Clock,
    config::Acknowledge,
    health::{Condition, Health},
    notice::Notice,
    outbox::{Finding, Level, Outbox, REMOVE_AFTER},
    watchdog::Heartbeat,
};

/// However much changes, the store is not looked after more often than this; one that failed or has no room is, so often.
const TEND_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The store is looked after this often at least, for what nobody tells: the room on the card, and the course of time.
const TEND_EVERY: Duration = Duration::from_secs(5);

/// Looking after the store is over within this, one that is copied before it is repaired included.
const TEND_MAX: Duration = Duration::from_secs(600);

/// Keeps the store: removal, opening it again after a failure, and the notices of what holds.
pub async fn keep(
    outbox: Arc<Outbox>,
    health: Arc<Health>,
    clock: Clock,
    acknowledge: Acknowledge,
    heartbeat: Heartbeat,
) {
    let (mut levels, mut facts) = (outbox.watch(), health.watch());
    let mut removed = (0, Instant::now());
    loop {
        heartbeat.promise(TEND_MAX);
        let begun = Instant::now();
        facts.mark_unchanged();
        let level = levels.borrow_and_update().clone();
        if level.released != removed.0 || level.acknowledged == level.released {
            removed = (level.released, begun);
        }
        let ripe = removed.1.elapsed() >= REMOVE_AFTER;
        let (tended, told, now) = (Arc::clone(&outbox), Arc::clone(&health), clock.clone());
        let tended = tokio::task::spawn_blocking(move || tend(&tended, &told, &now, acknowledge, ripe));
        if tended.await.is_err() {
            tracing::error!("outbox: looking after the store panicked");
        }
        if !is_restless(&levels.borrow()) {
            // Whoever would tell of a change lives as long as what is held here.
            tokio::select! {
                () = sleep_until(begun + TEND_EVERY) => {}
                _ = levels.changed() => {}
                _ = facts.changed() => {}
            }
        }
        sleep_until(begun + TEND_AGAIN_AFTER).await;
    }
}

/// Whether the store is to be looked after without a change: it failed, or waits for room.
fn is_restless(level: &Level) -> bool {
    level.closed.is_some() || level.is_full()
}

fn tend(outbox: &Outbox, health: &Health, clock: &Clock, acknowledge: Acknowledge, ripe: bool) {
    let now = clock.now();
    match outbox.tend(acknowledge, ripe, now) {
        Ok(findings) => {
            health.clear(Condition::StoreFailed, "", now);
            tell_findings(outbox, &findings, now);
        }
        Err(error) => health.raise(Condition::StoreFailed, "", &error.to_string(), now),
    }
    let notices = health.notices(now);
    if notices.is_empty() {
        return;
    }
    let drafts = notices.iter().map(|told| told.notice.draft(told.connection.as_deref(), now)).collect();
    match outbox.tell(drafts, now) {
        Ok(_) => health.noticed(&notices, now),
        // They are told once the store takes them.
        Err(error) => tracing::debug!(%error, "outbox: a notice for HQ cannot be stored yet"),
    }
}

/// Tells HQ, and the journal, what was found when the store was opened.
pub fn tell_findings(outbox: &Outbox, findings: &[Finding], now: DateTime<Utc>) {
    let mut notices = Vec::new();
    for finding in findings {
        let notice = match finding {
            Finding::Fresh => {
                tracing::info!(folder = %outbox.folder().display(), "outbox: a new store");
                continue;
            }
            Finding::NewStream { why } => Notice::new(
                "new_stream",
                format!(
                    "the store shows a sign of a lost tail ({why}): a new stream begins, and the points of sale are read again"
                ),
            ),
            Finding::PutAside { to, cause } => Notice::new(
                "store_put_aside",
                format!("the store could not be read ({cause}); it lies at {} now, and a new one begins", to.display()),
            ),
            Finding::Repaired { original } => Notice::new(
                "store_repaired",
                format!("the store opened only without its snapshots; the original lies at {}", original.display()),
            ),
        };
        tracing::error!(code = notice.code, "outbox: {}", notice.text);
        notices.push(notice.draft(None, now));
    }
    if !notices.is_empty()
        && let Err(error) = outbox.tell(notices, now)
    {
        tracing::error!(%error, "outbox: the notice for HQ cannot be stored");
    }
}
