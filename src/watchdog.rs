//! The watchdog: every stage promises when it will be back, and systemd hears that the box is alive only while all of
//! them keep their word.
//!
//! - Progress, not presence: a thread that hangs in a request, a task that waits for a lock and an event loop that does
//!   not turn all look alive from outside. Each of them breaks its promise.
//! - A long wait is no hang: whoever waits for an hour says so before.
//! - Time is monotonic. The wall clock of a box without a battery jumps by years when the network tells it the time.
//! - A stage that ends takes its promise with it: that it ended is its supervisor's to notice.
//!
//! Deliberately absent: anything on the disk, and any remedy. Who does not feed the watchdog is started anew by systemd.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

/// Waits are promised with this much more than they should take, for a machine that is busy with something else.
const SLACK: Duration = Duration::from_secs(30);

/// No stage waits longer; a promise beyond it is cut, so that no sum of time and span can overflow.
const LONGEST: Duration = Duration::from_secs(48 * 60 * 60);

/// All promises; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Watchdog(Arc<Mutex<Vec<Weak<Stage>>>>);

/// A stage's side: it promises, and keeps its word by promising again in time. Dropped, it promises nothing any more.
#[derive(Debug, Clone, Default)]
pub struct Heartbeat(Option<Arc<Stage>>);

#[derive(Debug)]
struct Stage {
    name: String,
    back_by: Mutex<Instant>,
}

/// A stage that is not back though it promised to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Late {
    /// Which one.
    pub stage: String,
    /// How long ago it should have been back.
    pub by: Duration,
}

impl Watchdog {
    /// A further stage that is watched, and is back within `span` for the first time.
    #[must_use]
    pub fn stage(&self, name: &str, span: Duration) -> Heartbeat {
        let stage = Arc::new(Stage { name: name.to_owned(), back_by: Mutex::new(Instant::now()) });
        let mut stages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stages.retain(|known| known.strong_count() > 0);
        stages.push(Arc::downgrade(&stage));
        drop(stages);
        let heartbeat = Heartbeat(Some(stage));
        heartbeat.promise(span);
        heartbeat
    }

    /// Every stage that has broken its promise by `now`, the latest first.
    #[must_use]
    pub fn late(&self, now: Instant) -> Vec<Late> {
        let stages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut late: Vec<_> = stages.iter().filter_map(|stage| stage.upgrade()?.late(now)).collect();
        late.sort_by(|one, other| other.by.cmp(&one.by).then_with(|| one.stage.cmp(&other.stage)));
        late
    }
}

impl Heartbeat {
    /// Work begins that takes no longer than `span`.
    pub fn promise(&self, span: Duration) {
        self.promise_at(Instant::now(), span);
    }

    /// A wait begins that ends after `span`.
    pub fn will_wait(&self, span: Duration) {
        self.promise(span.saturating_add(SLACK));
    }

    fn promise_at(&self, now: Instant, span: Duration) {
        if let Some(stage) = &self.0 {
            *stage.back_by.lock().unwrap_or_else(PoisonError::into_inner) = now + span.min(LONGEST);
        }
    }
}

impl Stage {
    fn late(&self, now: Instant) -> Option<Late> {
        let by = now.checked_duration_since(*self.back_by.lock().unwrap_or_else(PoisonError::into_inner))?;
        (!by.is_zero()).then(|| Late { stage: self.name.clone(), by })
    }
}

/// `poll front is 12 s late`.
impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {} s late", self.stage, self.by.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn names(watchdog: &Watchdog, now: Instant) -> Vec<String> {
        watchdog.late(now).into_iter().map(|late| late.stage).collect()
    }

    #[test]
    fn who_is_back_in_time_is_not_late_and_who_is_not_is_named() {
        let (watchdog, begin) = (Watchdog::default(), Instant::now());
        let (front, hq) = (watchdog.stage("poll front", SECOND), watchdog.stage("hq", SECOND));
        front.promise_at(begin, 60 * SECOND);
        hq.promise_at(begin, 90 * SECOND);
        assert!(watchdog.late(begin + 60 * SECOND).is_empty());
        assert_eq!(names(&watchdog, begin + 61 * SECOND), ["poll front"]);
        assert_eq!(names(&watchdog, begin + 99 * SECOND), ["poll front", "hq"], "the latest first");
        assert_eq!(watchdog.late(begin + 99 * SECOND)[0].to_string(), "poll front is 39 s late");
        front.promise_at(begin + 99 * SECOND, 60 * SECOND);
        assert_eq!(names(&watchdog, begin + 120 * SECOND), ["hq"], "one that moves again is forgiven");
    }

    #[test]
    fn a_long_wait_that_was_told_is_no_hang() {
        let (watchdog, begin) = (Watchdog::default(), Instant::now());
        let poll = watchdog.stage("poll front", SECOND);
        poll.promise_at(begin, 3_600 * SECOND);
        assert!(watchdog.late(begin + 3_599 * SECOND).is_empty());
        poll.will_wait(Duration::MAX);
        assert!(watchdog.late(Instant::now() + 24 * 3_600 * SECOND).is_empty());
        assert_eq!(names(&watchdog, Instant::now() + 49 * 3_600 * SECOND), ["poll front"]);
    }

    #[test]
    fn a_stage_that_ended_promises_nothing_and_one_without_a_watchdog_is_asked_nothing() {
        let watchdog = Watchdog::default();
        let later = Instant::now() + 3_600 * SECOND;
        let answer = watchdog.stage("answer", SECOND);
        let clone = answer.clone();
        drop(answer);
        assert_eq!(names(&watchdog, later), ["answer"], "a clone still holds the promise");
        drop(clone);
        assert!(watchdog.late(later).is_empty());
        for _ in 0..1_000 {
            drop(watchdog.stage("answer", SECOND));
        }
        assert!(watchdog.0.lock().unwrap().len() <= 1, "what ended leaves nothing behind");
        Heartbeat::default().promise(SECOND);
    }

    #[test]
    fn a_stage_that_never_beats_is_late_once_its_first_span_is_over() {
        let watchdog = Watchdog::default();
        let _never = watchdog.stage("keeper", SECOND);
        assert!(watchdog.late(Instant::now()).is_empty());
        assert_eq!(names(&watchdog, Instant::now() + 2 * SECOND), ["keeper"]);
    }
}
