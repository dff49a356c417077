//! How a source receives the box: what a refusal or a limit means in the light of what else it answered.
//!
//! Pure: time comes in as an argument.
//!
//! - A refusal in the system's own form may be a passing one, such as while its server starts anew. It counts when it
//!   stands at a second try.
//! - A page instead, or a wait, comes from something in front of the server. That is trouble, until it was the only
//!   answer for a quarter of an hour.
//! - 503 among good answers is a limit (nginx's `limit_req` answers so), and else an outage. A single request that is
//!   answered so again and again is that request's trouble.

use chrono::{DateTime, TimeDelta, Utc};

use crate::pos::{http::Failure, request::Request};

/// A source that gave a good answer within this is there …
const IS_THERE: TimeDelta = TimeDelta::minutes(1);

/// … and one that is asked seldom, until so many requests in a row were not answered, or the first of them for so long.
const NOT_ANSWERED: (u32, TimeDelta) = (3, TimeDelta::minutes(5));

/// A second refusal of the same request within this, while others are answered, stands.
const SECOND_TRY_WITHIN: TimeDelta = TimeDelta::minutes(10);

/// What stands before a server and is the only one that answers for so long keeps the box out.
const BARRED_FOR_GOOD: TimeDelta = TimeDelta::minutes(15);

/// One request that is answered 503 so often in a row, while others are answered, is in trouble by itself.
const BUSY_MAX: u32 = 5;

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing yet: the same is asked again soon.
    Passing,
    /// Ask less often: the source is there.
    Limit,
    /// Waiting helps, or what the failure itself says.
    Trouble,
    /// Somebody has to come.
    Refusal,
}

/// What a source answered lately.
#[derive(Debug, Default)]
pub struct Reception {
    /// Its last good answer.
    answered: Option<DateTime<Utc>>,
    /// Failures since then, and when the first was.
    failures: (u32, Option<DateTime<Utc>>),
    /// A request that was refused and not answered since, and when.
    refused: Option<(String, DateTime<Utc>)>,
    /// No good answer came since something was refused.
    refused_only: bool,
    /// Since when something before it is all that answers.
    barred_since: Option<DateTime<Utc>>,
    /// A request that was answered 503, and how often in a row.
    busy: Option<(Request, u32)>,
}

impl Reception {
    /// A good answer came to this request.
    pub fn answered(&mut self, request: &Request, now: DateTime<Utc>) {
        (self.answered, self.failures) = (Some(now), (0, None));
        self.refused_only = false;
        self.barred_since = None;
        self.refused.take_if(|(path, _)| *path == request.to_string());
        self.busy.take_if(|(busy, _)| busy == request);
    }

    /// What the failure of this request means.
    pub fn failed(&mut self, request: &Request, failure: &Failure, now: DateTime<Utc>) -> Meaning {
        let (failures, first) = self.failures;
        self.failures = (failures.saturating_add(1), first.or(Some(now)));
        match failure {
            Failure::Unreachable(_) => return Meaning::Trouble,
            Failure::Unsendable(_) | Failure::Untrusted(_) => return Meaning::Refusal,
            Failure::Barred { .. } => {
                let since = self.barred_since.get_or_insert(now);
                return if now - *since >= BARRED_FOR_GOOD { Meaning::Refusal } else { Meaning::Trouble };
            }
            _ => self.barred_since = None,
        }
        match failure {
            Failure::Refused(_) => self.refused(request, now),
            Failure::TooMany { .. } => Meaning::Limit,
            Failure::Busy { .. } => self.busy(request, now),
            _ => Meaning::Trouble,
        }
    }

    /// Whether a source that says nothing else until an instant is to be called away then.
    #[must_use]
    pub fn is_away(&self, at: DateTime<Utc>) -> bool {
        let ((enough, long), (failures, first)) = (NOT_ANSWERED, self.failures);
        let lasts = first.is_some_and(|first| at - first > long);
        self.answered.is_none_or(|answered| lasts || at - answered > IS_THERE && failures >= enough)
    }

    fn refused(&mut self, request: &Request, now: DateTime<Utc>) -> Meaning {
        let path = request.to_string();
        let before = self.refused.take().filter(|(refused, at)| *refused == path && now - *at <= SECOND_TRY_WITHIN);
        let stands = before.is_some() || self.refused_only;
        self.refused = Some((path, now));
        self.refused_only = true;
        if stands { Meaning::Refusal } else { Meaning::Passing }
    }

    fn busy(&mut self, request: &Request, now: DateTime<Utc>) -> Meaning {
        let before = self.busy.take().filter(|(busy, _)| busy == request).map_or(0, |(_, times)| times);
        let times = before.saturating_add(1);
        self.busy = Some((request.clone(), times));
        if self.is_away(now) || times >= BUSY_MAX { Meaning::Trouble } else { Meaning::Limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: Failure = Failure::Refused(401);
    const BUSY: Failure = Failure::Busy { retry_after: None };
    const BARRED: Failure = Failure::Barred { status: 403, retry_after: None };

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_770_000_000 + seconds, 0).expect("in range")
    }

    fn ask(segment: &str) -> Request {
        Request::get(&[segment]).expect("a path")
    }

    #[test]
    fn a_refusal_counts_when_it_stands_at_a_second_try() {
        let mut source = Reception::default();
        assert_eq!(source.failed(&ask("a"), &REFUSED, at(0)), Meaning::Passing);
        assert_eq!(source.failed(&ask("b"), &REFUSED, at(5)), Meaning::Refusal, "nothing else was answered");
        assert_eq!(source.failed(&ask("a"), &REFUSED, at(300)), Meaning::Refusal);
        source.answered(&ask("a"), at(310));
        assert_eq!(source.failed(&ask("a"), &REFUSED, at(320)), Meaning::Passing, "it was let in meanwhile");
        source.answered(&ask("b"), at(322));
        assert_eq!(source.failed(&ask("a"), &REFUSED, at(325)), Meaning::Refusal, "only another was let in");
        source.answered(&ask("b"), at(330));
        assert_eq!(source.failed(&ask("a"), &REFUSED, at(330 + 3_600)), Meaning::Passing, "an hour later");
        // A line that fails in between says nothing.
        let cut = Failure::Unreachable("cut".to_owned());
        assert_eq!(source.failed(&ask("a"), &cut, at(4_000)), Meaning::Trouble);
        assert_eq!(source.failed(&ask("a"), &REFUSED, at(4_005)), Meaning::Refusal);
    }

    #[test]
    fn what_stands_before_a_server_is_trouble_for_a_quarter_of_an_hour() {
        let mut source = Reception::default();
        for (seconds, meaning) in [(0, Meaning::Trouble), (899, Meaning::Trouble), (900, Meaning::Refusal)] {
            assert_eq!(source.failed(&ask("a"), &BARRED, at(seconds)), meaning);
        }
        let cut = Failure::Unreachable("cut".to_owned());
        source.failed(&ask("a"), &cut, at(910));
        assert_eq!(source.failed(&ask("a"), &BARRED, at(920)), Meaning::Refusal, "nobody answered in between");
        for other in [Some(Failure::Trouble(500)), Some(REFUSED), Some(BUSY), None] {
            match other {
                Some(failure) => _ = source.failed(&ask("a"), &failure, at(930)),
                None => source.answered(&ask("a"), at(930)),
            }
            assert_eq!(source.failed(&ask("a"), &BARRED, at(940)), Meaning::Trouble, "it answers");
            assert_eq!(source.failed(&ask("a"), &BARRED, at(2_000)), Meaning::Refusal);
        }
    }

    #[test]
    fn a_503_is_a_limit_while_others_are_answered_and_else_an_outage() {
        let mut source = Reception::default();
        assert_eq!(source.failed(&ask("a"), &BUSY, at(0)), Meaning::Trouble, "it never answered");
        source.answered(&ask("b"), at(10));
        assert_eq!(source.failed(&ask("a"), &BUSY, at(70)), Meaning::Limit);
        assert_eq!(source.failed(&ask("b"), &BUSY, at(71)), Meaning::Limit, "the second since then");
        assert_eq!(source.failed(&ask("a"), &BUSY, at(72)), Meaning::Trouble);
        assert!(!source.is_away(at(70)) && source.is_away(at(71)));
        source.answered(&ask("b"), at(80));
        assert!(!source.is_away(at(9_999)), "nobody asked");
        assert_eq!(source.failed(&ask("a"), &BUSY, at(1_000)), Meaning::Limit, "it was asked seldom");
        assert!(!source.is_away(at(1_300)) && source.is_away(at(1_301)), "a long wait is told before it is over");
    }

    #[test]
    fn a_request_that_is_always_answered_503_is_in_trouble_by_itself() {
        let mut source = Reception::default();
        for n in 1..BUSY_MAX {
            source.answered(&ask("b"), at(0));
            assert_eq!(source.failed(&ask("a"), &BUSY, at(1)), Meaning::Limit, "{n}");
        }
        source.answered(&ask("b"), at(0));
        assert_eq!(source.failed(&ask("a"), &BUSY, at(1)), Meaning::Trouble);
        source.answered(&ask("a"), at(2));
        assert_eq!(source.failed(&ask("a"), &BUSY, at(3)), Meaning::Limit);
    }
}
