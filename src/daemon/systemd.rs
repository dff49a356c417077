//! What systemd is told: that the box is up, that work moves, and one sentence about it.
//!
//! A thread of its own tells it, so that an event loop that hangs is named in the journal and not only missed.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use sd_notify::NotifyState;

use super::{DaemonError, SharedOutbox};
use crate::{
    config::Acknowledge,
    health::{Facts, Health, Phase},
    outbox::Level,
    plain::plain,
    stop::Stop,
    watchdog::Watchdog,
};

/// The stages are looked at this often at least.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// `systemctl status` shows one line.
const SENTENCE_MAX_CHARS: usize = 200;

/// Tells systemd something. Without systemd there is nobody to tell.
pub(crate) fn notify(states: &[NotifyState<'_>]) {
    let _nobody = sd_notify::notify(states);
}

/// The feeding of systemd's watchdog; it ends with this.
pub(super) struct Feeding(Stop);

impl Drop for Feeding {
    fn drop(&mut self) {
        self.0.give();
    }
}

/// Feeds systemd's watchdog, where it has one, while every stage keeps its promise.
pub(super) fn start_feeding(
    watchdog: Watchdog,
    health: Arc<Health>,
    outbox: SharedOutbox,
    acknowledge: Acknowledge,
) -> Result<Feeding, DaemonError> {
    let stop = Stop::default();
    let feeding = Feeding(stop.clone());
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return Ok(feeding);
    }
    let level = move || outbox.get().map(|outbox| outbox.level()).unwrap_or_default();
    let sentence = move || sentence(&health.facts(), &level(), acknowledge);
    let feed = move || feed(&watchdog, sd_notify::watchdog_enabled(), &stop, &sentence, &mut notify);
    let thread = thread::Builder::new().name("watchdog".to_owned()).spawn(feed);
    thread.map(|_| feeding).map_err(|error| DaemonError::System("a thread", error))
}

/// Looks at the stages, at half of the time within which the watchdog is to be fed, and says what it sees.
fn feed(
    watchdog: &Watchdog,
    within: Option<Duration>,
    stop: &Stop,
    sentence: &dyn Fn() -> String,
    say: &mut dyn FnMut(&[NotifyState<'_>]),
) {
    let pause = within.map_or(LOOK_EVERY, |within| (within / 2).min(LOOK_EVERY));
    let (mut said, mut stuck) = (String::new(), false);
    while !stop.wait(pause) {
        let late = watchdog.late(Instant::now());
        let names = late.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        if stuck == late.is_empty() {
            stuck = !late.is_empty();
            if stuck {
                tracing::error!("watchdog: {names}: no word to systemd until that moves again");
            } else {
                tracing::warn!("watchdog: every stage moves again");
            }
        }
        let text = if stuck { format!("stuck: {names}") } else { sentence() };
        if text != said {
            say(&[NotifyState::Status(&text)]);
            said = text;
        }
        if within.is_some() && !stuck {
            say(&[NotifyState::Watchdog]);
        }
    }
}

/// How the box is doing; of sales it says no more than what `acknowledge` lets be known.
fn sentence(facts: &Facts, level: &Level, acknowledge: Acknowledge) -> String {
    let mut held: Vec<_> = facts.conditions().collect();
    held.sort_by_key(|(condition, _, _)| !condition.needs_technician());
    let (all, whom) = match acknowledge {
        Acknowledge::Feed => ("headquarters has confirmed all sales", "headquarters' word"),
        Acknowledge::Broker => ("all sales are with the broker", "the broker"),
    };
    let text = match (held.first(), level.undelivered(acknowledge)) {
        (Some((_, _, first)), _) => {
            let more = held.len() - 1;
            let (first, more) = (&first.text, if more > 0 { format!("; and {more} more") } else { String::new() });
            return cut(first, SENTENCE_MAX_CHARS - more.chars().count()) + &more;
        }
        (None, _) if facts.phase == Phase::Starting => "starting",
        (None, 0) if facts.hq_ready && facts.polls_complete() => all,
        (None, 0) => "reading the points of sale",
        (None, 1) => return format!("1 event waits for {whom}"),
        (None, waiting) => return format!("{waiting} events wait for {whom}"),
    };
    text.to_owned()
}

/// A text of so many characters at most, in one line: a line's end would begin another word to systemd.
fn cut(text: &str, most: usize) -> String {
    let line = plain(text);
    match line.char_indices().nth(most) {
        Some(_) => line.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        None => line.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Condition;
    use chrono::DateTime;
    use std::cell::Cell;

    const TICK: Duration = Duration::from_millis(10);

    /// What systemd hears in a number of turns.
    fn hear(watchdog: &Watchdog, turns: usize) -> Vec<String> {
        let (stop, turn, mut heard) = (Stop::default(), Cell::new(0), Vec::new());
        let sentence = || {
            turn.set(turn.get() + 1);
            if turn.get() >= turns {
                stop.give();
            }
            "fine".to_owned()
        };
        feed(watchdog, Some(TICK), &stop, &sentence, &mut |states| {
            heard.extend(states.iter().map(ToString::to_string));
        });
        heard
    }

    #[test]
    fn a_box_that_moves_is_told_to_be_alive_and_its_sentence_once() {
        let watchdog = Watchdog::default();
        let _all_day = watchdog.stage("poll front", Duration::from_secs(3_600));
        let heard = hear(&watchdog, 4);
        assert_eq!(heard, ["STATUS=fine", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]);
    }

    /// A stage that hangs beats never again; the others go on.
    #[test]
    fn one_stage_that_hangs_ends_the_feeding_until_it_moves_again() {
        let (watchdog, stop) = (Watchdog::default(), Stop::default());
        let (hanging, _healthy) =
            (watchdog.stage("poll front", TICK * 3), watchdog.stage("hq", Duration::from_secs(3_600)));
        let (mut heard, ending) = (Vec::<String>::new(), stop.clone());
        feed(&watchdog, Some(TICK * 2), &stop, &|| "fine".to_owned(), &mut |states| {
            heard.extend(states.iter().map(ToString::to_string));
            let stuck = heard.iter().any(|word| word.starts_with("STATUS=stuck: poll front is 0 s late"));
            if stuck && heard.last().is_some_and(|word| word.starts_with("STATUS=stuck")) {
                // Here systemd would wait in vain; the stage comes back just in time.
                let _nobody_stops = Stop::default().wait(TICK * 10);
                hanging.promise(Duration::from_secs(3_600));
            } else if stuck {
                ending.give();
            }
        });
        let at = heard.iter().position(|word| word.starts_with("STATUS=stuck")).expect("told to be stuck");
        assert!(heard[..at].iter().any(|word| word == "WATCHDOG=1"), "{heard:?}");
        assert_eq!(heard.get(at + 1).map(String::as_str), Some("STATUS=fine"), "nothing is fed between: {heard:?}");
    }

    #[test]
    fn a_stage_that_never_beats_is_never_fed_for() {
        let (watchdog, stop) = (Watchdog::default(), Stop::default());
        let _hanging = watchdog.stage("keeper", Duration::ZERO);
        let _a_moment = stop.wait(TICK);
        let ending = stop.clone();
        let ender = thread::spawn(move || {
            let _a_while = Stop::default().wait(TICK * 20);
            ending.give();
        });
        let mut heard = Vec::<String>::new();
        feed(&watchdog, Some(TICK * 2), &stop, &|| "fine".to_owned(), &mut |states| {
            heard.extend(states.iter().map(ToString::to_string));
        });
        ender.join().expect("the ender");
        assert!(!heard.is_empty() && heard.iter().all(|word| word.starts_with("STATUS=stuck: keeper")), "{heard:?}");
    }

    #[test]
    fn the_sentence_tells_the_gravest_first_and_fits_a_line() {
        let health = Health::default();
        let mut level = Level::default();
        let sentence = |health: &Health, level: &Level| sentence(&health.facts(), level, Acknowledge::Feed);
        assert_eq!(sentence(&health, &level), "starting");
        health.update(|facts| facts.phase = Phase::Running);
        assert_eq!(sentence(&health, &level), "reading the points of sale");
        (level.durable, level.acknowledged, level.released) = (7, 7, 5);
        assert_eq!(sentence(&health, &level), "2 events wait for headquarters' word");
        assert_eq!(super::sentence(&health.facts(), &level, Acknowledge::Broker), "reading the points of sale");
        let now = DateTime::UNIX_EPOCH;
        health.raise(Condition::HqUnreachable, "", "the line is down", now);
        health.raise(Condition::PosRefused, "front", "qasir: the token\nis refused", now);
        assert_eq!(sentence(&health, &level), r"qasir: the token\nis refused; and 1 more");
        health.raise(Condition::PosRefused, "front", &"x".repeat(1_000), now);
        let long = sentence(&health, &level);
        assert!(long.chars().count() <= SENTENCE_MAX_CHARS && long.ends_with("…; and 1 more"), "{long}");
    }
}
