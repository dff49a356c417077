//! The keeper of the store: it removes what may go, opens a store that failed again, and tells HQ what holds.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep_until};

use crate::{
    clock::Clock,
    config::Acknowledge,
    health::{Condition, Health},
    notice::Notice,
    outbox::{
        Finding, Level, Outbox, REMOVE_AFTER,
        leaving::{SetAside, set_aside_in},
    },
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
    tell_set_aside(&set_aside_in(outbox.folder()), health, now);
    follow_words(outbox, health);
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

/// The lights follow what a person has ended: that comes from no poll.
fn follow_words(outbox: &Outbox, health: &Health) {
    let level = outbox.level();
    let open_gaps = level.open_gaps.values().map(Vec::len).sum();
    health.update(|facts| facts.open_gaps = open_gaps);
    if level.ended_by_hand == 0 {
        return;
    }
    let connections = health.facts().connections;
    for name in connections.into_iter().filter(|(_, of)| of.put_aside.1.is_some()).map(|(name, _)| name) {
        let asides = outbox.asides(&name);
        // Of those that had no room in the list nobody can say that they are dismissed.
        if asides.crowd.is_none() {
            let waiting = asides.list.iter().filter(|aside| aside.dismissed.is_none());
            let last = waiting.map(|aside| aside.observed_at).max();
            health.update_connection(&name, |of| of.put_aside.1 = of.put_aside.1.and(last));
        }
    }
}

/// Shows the stores of other outlets that lie beside, until somebody has sent them.
fn tell_set_aside(stores: &[SetAside], health: &Health, now: DateTime<Utc>) {
    let text = stores.first().map(|first| match stores.len() - 1 {
        0 => first.remedy(),
        more => format!("{}; and {more} more, which `tillbox outbox list` names", first.remedy()),
    });
    health.set(Condition::StoreSetAside, "", text.as_deref(), now);
    health.update(|facts| facts.stores_set_aside = stores.len());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Options;

    /// What needs a technician is told to HQ long before the store would be looked after anyway.
    #[test]
    fn a_change_is_looked_after_at_once_and_without_one_the_store_rests() {
        let folder = tempfile::TempDir::new().unwrap();
        let options = Options {
            folder: folder.path().join("outbox"),
            max_bytes: 64 << 20,
            outlet: "jkt-014".to_owned(),
            topic_prefix: "tillbox".to_owned(),
            event_max_bytes: 128 * 1024,
            retention: chrono::TimeDelta::days(30),
            connections: Vec::new(),
            retired: Vec::new(),
        };
        let outbox = Arc::new(Outbox::open(options, Clock::system().now()).unwrap().outbox);
        let health = Arc::new(Health::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let told_after = runtime.block_on(async {
            let keeping = keep(
                Arc::clone(&outbox),
                Arc::clone(&health),
                Clock::system(),
                Acknowledge::Broker,
                Heartbeat::default(),
            );
            let keeping = tokio::spawn(keeping);
            let (begun, before) = (Instant::now(), outbox.level().durable);
            let mut levels = outbox.watch();
            // The keeper has looked once and rests.
            sleep_until(begun + TEND_AGAIN_AFTER / 2).await;
            assert_eq!(outbox.level().durable, before);
            health.raise(Condition::PosRefused, "front", "the token is refused", Clock::system().now());
            levels.wait_for(|level| level.durable > before).await.unwrap();
            keeping.abort();
            begun.elapsed()
        });
        assert!((TEND_AGAIN_AFTER..TEND_EVERY).contains(&told_after), "{told_after:?}");
    }

    #[test]
    fn only_a_store_that_failed_or_has_no_room_is_looked_after_without_a_change() {
        let is_restless_with = |change: fn(&mut Level)| {
            let mut level = Level::default();
            let room = |level: &mut Level| level.limit_bytes = 1_000;
            room(&mut level);
            change(&mut level);
            is_restless(&level)
        };
        assert!(!is_restless_with(|_| {}));
        assert!(is_restless_with(|level| level.closed = Some("it failed".to_owned())));
        assert!(is_restless_with(|level| level.card_full = true));
        assert!(is_restless_with(|level| level.queued_bytes = 1_000));
    }
}
