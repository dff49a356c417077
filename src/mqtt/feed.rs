//! HQ's own word: what it says, and what follows while it says nothing.
//!
//! A broker that lost its memory, or that dropped what waited for HQ, has acknowledged everything all the same. So what HQ
//! does not say to be stored goes out again: first a few events, as a question; once HQ answers, all of them.

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use chrono::{DateTime, Datelike as _, Utc};
use serde::Deserialize;

use crate::content::ContentId;

/// HQ is asked with a few events after this much silence, doubling …
const ASK_FIRST: Duration = Duration::from_secs(60);

/// … up to this.
const ASK_LONGEST: Duration = Duration::from_secs(60 * 60);

/// Events of one question.
const ASKED: u64 = 8;

/// Silence that a person is told of.
const SILENT_AFTER: Duration = Duration::from_secs(600);

/// A token is no longer than this.
const TOKEN_MAX_CHARS: usize = 64;

/// What HQ's feed says on `stored`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Stored {
    /// The stream that it speaks of; empty where HQ has nothing.
    #[serde(default)]
    pub(super) stream: String,
    /// Its generation.
    #[serde(default)]
    pub(super) generation: Option<u32>,
    /// Everything of it up to here is stored.
    #[serde(default)]
    pub(super) through: u64,
    /// The chain over the content ids up to there; needed from 1 on.
    #[serde(default)]
    pub(super) chain: Option<ContentId>,
    /// The word for starting again.
    #[serde(default)]
    pub(super) restart: Option<Restart>,
}

/// HQ lost what it had: the box begins anew, and sends again what it can.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Restart {
    /// Obeyed once.
    pub(super) token: String,
    /// From when on the points of sale are read again.
    pub(super) from: DateTime<Utc>,
}

impl Restart {
    /// Why it cannot be obeyed, if it cannot.
    pub(super) fn fault(&self) -> Option<&'static str> {
        if self.token.is_empty()
            || self.token.len() > TOKEN_MAX_CHARS
            || !self.token.bytes().all(|it| it.is_ascii_graphic())
        {
            return Some("restart.token must be 1 to 64 visible ASCII characters");
        }
        (!(2000..=2200).contains(&self.from.year())).then_some("restart.from must lie in the years 2000 to 2200")
    }
}

/// Watches what the broker has and HQ does not say to be stored.
#[derive(Debug, Clone)]
pub struct FeedWatch {
    released: u64,
    /// Since when HQ has said nothing new, while something waits for its word.
    since: Option<Instant>,
    wait: Duration,
    asked: Option<Instant>,
    pace: u32,
}

impl FeedWatch {
    /// Nothing waits yet. The waits are divided by `pace`.
    #[must_use]
    pub fn new(pace: u32) -> Self {
        Self { released: 0, since: None, wait: ASK_FIRST / pace, asked: None, pace }
    }

    /// Learns how far things are; gives what is to go out again at once: HQ has answered a question, so it listens.
    pub fn learn(&mut self, acknowledged: u64, released: u64, now: Instant) -> Option<RangeInclusive<u64>> {
        let waits = acknowledged > released;
        let spoke = released != self.released;
        if spoke || !waits {
            let answered = self.asked.is_some() && released > self.released && waits;
            *self = Self { released, since: waits.then_some(now), ..Self::new(self.pace) };
            return answered.then(|| released + 1..=acknowledged);
        }
        self.since.get_or_insert(now);
        None
    }

    /// When HQ is asked next.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.since.map(|since| self.asked.unwrap_or(since) + self.wait)
    }

    /// The events to ask with now.
    pub fn ask(&mut self, acknowledged: u64, now: Instant) -> RangeInclusive<u64> {
        if self.asked.is_some() {
            self.wait = (self.wait * 2).min(ASK_LONGEST / self.pace);
        } else {
            self.wait = ASK_FIRST * 2 / self.pace;
        }
        self.asked = Some(now);
        self.released + 1..=acknowledged.min(self.released + ASKED)
    }

    /// Since when HQ has been silent, once a person should know.
    #[must_use]
    pub fn silent(&self, now: Instant) -> Option<Instant> {
        self.since.filter(|&since| now.saturating_duration_since(since) >= SILENT_AFTER / self.pace)
    }

    /// When HQ has been silent for so long that a person should know.
    #[must_use]
    pub fn silent_from(&self) -> Option<Instant> {
        self.since.map(|since| since + SILENT_AFTER / self.pace)
    }

    /// Since when something has waited for HQ's word without any.
    #[must_use]
    pub fn since(&self) -> Option<Instant> {
        self.since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hq_is_asked_with_a_few_events_more_and_more_seldom() {
        let begin = Instant::now();
        let mut watch = FeedWatch::new(1);
        let mut asked_at = Vec::new();
        for second in 0..4 * 60 * 60 {
            let now = begin + Duration::from_secs(second);
            assert_eq!(watch.learn(1_000, 4, now), None);
            if watch.due().is_some_and(|due| due <= now) {
                assert_eq!(watch.ask(1_000, now), 5..=12, "not the whole backlog");
                asked_at.push(second);
            }
            assert_eq!(watch.silent(now).is_some(), second >= 600, "after {second} s");
        }
        assert_eq!(asked_at[..4], [60, 180, 420, 900]);
        assert!(asked_at.len() < 12, "{asked_at:?}");
        let now = begin + Duration::from_secs(4 * 60 * 60);
        assert_eq!(watch.learn(1_000, 12, now), Some(13..=1_000), "HQ answers, so it listens");
        assert_eq!((watch.silent(now), watch.due()), (None, Some(now + ASK_FIRST)));
        assert_eq!(watch.learn(1_000, 500, now), None, "it goes on by itself");
        assert_eq!(watch.learn(1_000, 1_000, now), None);
        assert_eq!((watch.due(), watch.since()), (None, None));
    }

    #[test]
    fn what_hq_says_may_lack_what_it_has_nothing_to_say_about() {
        let nothing: Stored = serde_json::from_str(r#"{"through":0}"#).unwrap();
        assert_eq!((nothing.stream.as_str(), nothing.through, nothing.chain), ("", 0, None));
        assert!(serde_json::from_str::<Stored>(r#"{"through":-1}"#).is_err());
        assert!(serde_json::from_str::<Stored>(r#"{"through":1e400}"#).is_err());
    }

    #[test]
    fn a_word_for_starting_again_is_bounded() {
        let word = |token: &str, from: &str| {
            let text = format!(r#"{{"token":{},"from":"{from}"}}"#, serde_json::to_string(token).unwrap());
            serde_json::from_str::<Restart>(&text).map(|restart| restart.fault())
        };
        assert_eq!(word("r-1", "2026-03-01T00:00:00+07:00").unwrap(), None);
        assert!(word("", "2026-03-01T00:00:00Z").unwrap().is_some());
        assert!(word("a\nb", "2026-03-01T00:00:00Z").unwrap().is_some());
        assert!(word(&"a".repeat(65), "2026-03-01T00:00:00Z").unwrap().is_some());
        assert!(word("r-1", "-262143-01-01T00:00:00Z").unwrap().is_some());
    }
}
