//! Whether the credential of a connection may be used, and when another is looked for.

use chrono::{DateTime, TimeDelta, Utc};

use crate::secret::{Secret, SecretAt};

/// Wait before credentials that were refused are tried again.
pub const REFUSED_WAIT: TimeDelta = TimeDelta::minutes(5);

/// For so long after a refusal another credential is looked for: a connector that goes on asks again within the hour.
const DOUBT: TimeDelta = TimeDelta::minutes(90);

/// What is to be done about the credential before the source is asked.
#[derive(Debug)]
pub enum Verdict {
    /// Nothing.
    Use,
    /// Another one stands in its place: the connector is to be made anew.
    Another,
    /// It was refused a moment ago.
    Refused,
    /// There is none, for this reason.
    Missing(String),
}

/// A credential, and what the source said of it.
#[derive(Debug)]
pub struct Credential {
    at: SecretAt,
    /// The one that the connector has, or why there is none.
    held: Result<Secret, String>,
    /// Until then a refusal makes it doubtful, also where the connector goes on: another is looked for.
    doubted_until: Option<DateTime<Utc>>,
    /// It is not tried again before this.
    refused_until: Option<DateTime<Utc>>,
}

impl Credential {
    pub fn new(at: SecretAt, held: Result<Secret, String>) -> Self {
        Self { at, held, doubted_until: None, refused_until: None }
    }

    /// The connector was made with this one.
    pub fn hold(&mut self, held: Result<Secret, String>) {
        self.held = held;
    }

    /// Looks at its place only where there is none, or one that was refused.
    pub fn look(&mut self, now: DateTime<Utc>) -> Verdict {
        let lacks = self.held.is_err();
        let refused = self.refused_until.is_some_and(|until| now < until);
        if !refused {
            self.refused_until = None;
        }
        if !lacks && !refused && !self.is_doubted(now) {
            return Verdict::Use;
        }
        match self.at.read() {
            Ok(secret) if self.held.as_ref() != Ok(&secret) => {
                (self.refused_until, self.doubted_until) = (None, None);
                Verdict::Another
            }
            Err(reason) if lacks || refused => Verdict::Missing(reason),
            _ if lacks || refused => Verdict::Refused,
            _ => Verdict::Use,
        }
    }

    /// A source that goes on with the rest doubts it.
    pub fn doubt(&mut self, now: DateTime<Utc>) {
        self.doubted_until = Some(now + DOUBT);
    }

    /// The source does not take it.
    pub fn refuse(&mut self, now: DateTime<Utc>) {
        self.refused_until = Some(now + REFUSED_WAIT);
    }

    /// Whether another may stand in its file at any moment.
    pub fn is_doubted(&self, now: DateTime<Utc>) -> bool {
        self.at.file().is_some() && self.doubted_until.is_some_and(|until| now < until)
    }
}
