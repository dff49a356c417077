//! What stands between the poll thread and a system's own ways.
//!
//! A connector decides and remembers; it does no I/O and has no clock. The poll thread asks it for the next [`Step`],
//! sends the request under the connection's budget, and hands the answer back. What the connector makes of it, a
//! [`Yield`], goes into one commit together with the connector's cursor. After a commit that failed the connector is
//! made anew from the cursor that is stored, so it can never run ahead of what is safe.
//!
//! Systems differ in how they are read; each way is a sequence of steps whose state is the connector's own:
//!
//! - windows of time and page walks: query parameters of a GET;
//! - an id cursor, and details one by one: the id is a segment of the path;
//! - a login first: one of the few POSTs, whose answer holds the token or sets the cookie. The connector holds the
//!   credential and puts it in each request. A session lives in the connector's memory and never in its cursor: one
//!   that is made anew logs in anew;
//! - an answer that is another status than 200 (an empty day that is a 404): [`Connector::accepts`];
//! - a session that is over (401): [`Connector::failed`] answers, and the next step is a login;
//! - a limit that is shared with the tills: [`Answer::rate`], and a [`Step::Wait`].

use chrono::{DateTime, Utc};

use super::{
    http::{Answer, Failure},
    page::Quarantined,
    request::Request,
};
use crate::{gap::Gap, health::Condition, notice::Notice, transaction::Transaction};

/// What a connector wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this request, and hand the answer back.
    Ask(Request),
    /// Nothing to ask before this instant.
    Wait(DateTime<Utc>),
}

/// What an answer brought.
#[derive(Debug, Default)]
pub struct Yield {
    /// Records, known or not.
    pub transactions: Vec<Transaction>,
    /// Elements that could not be read.
    pub quarantined: Vec<Quarantined>,
    /// Intervals that are not proven complete.
    pub gaps_opened: Vec<Gap>,
    /// Open gaps that are proven complete now.
    pub gaps_closed: Vec<Gap>,
    /// What HQ and a technician should know, once each.
    pub notices: Vec<Notice>,
    /// Conditions that hold from now on, with the text for a person, or no longer hold.
    pub conditions: Vec<(Condition, Option<String>)>,
}

/// How far a source is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Who answers there: the name of the outlet or merchant, from the identity check.
    pub identity: Option<String>,
    /// Everything from `since` up to here was read at least once.
    pub watermark: Option<DateTime<Utc>>,
    /// How far back the reading began.
    pub since: Option<DateTime<Utc>>,
    /// Whether the newest records were read by the last poll, and nothing older waits to be read.
    pub complete: bool,
    /// What this source cannot give, and what was found about it, for status.
    pub notes: Vec<String>,
}

/// One system's way of being read.
pub trait Connector: Send {
    /// What to do now.
    fn next(&mut self, now: DateTime<Utc>) -> Step;

    /// Whether a status other than 200 is an answer to the request that [`Connector::next`] gave last, for
    /// [`Connector::take`] to read; otherwise it is a failure.
    fn accepts(&self, _status: u16) -> bool {
        false
    }

    /// Takes the answer to the request that [`Connector::next`] gave last.
    ///
    /// # Errors
    /// The body is not what the API promises; one line that says what was expected. Nothing was taken from it, and
    /// the request will be asked again.
    fn take(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String>;

    /// Learns that the request failed. Waiting and asking again is the poll thread's part; a connector answers only
    /// where a failure means something to it, and says so by giving a yield: it is stored, and the next step follows
    /// without a wait. So it must not answer the same failure again before an answer was taken: a session that is
    /// refused is one login, a login that is refused is for a person.
    fn failed(&mut self, failure: &Failure, now: DateTime<Utc>) -> Option<Yield>;

    /// The state to store in the same commit as the yield; equal bytes mean that nothing moved.
    fn cursor(&self) -> Vec<u8>;

    /// Asks for everything since an instant again, as HQ's checkpoint of an earlier box demands.
    fn rewind(&mut self, since: DateTime<Utc>);

    /// How far the source is read.
    fn progress(&self) -> Progress;

    /// Whether everything between two instants was read at least once, beginning before the first.
    fn covers(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> bool;
}
