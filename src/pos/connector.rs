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
//! - a limit that is shared with the tills: [`Answer::rate`], and a [`Step::Wait`];
//! - records that say something only beside what they were before: the [`Memory`] of what the box has stored.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    http::{Answer, Failure},
    page::{ParseContext, Quarantined},
    request::Request,
};
use crate::{
    amount::Amount,
    gap::Gap,
    health::Condition,
    notice::Notice,
    progress::Progress,
    secret::Secret,
    transaction::{Kind, Resource, Transaction},
};

/// Every system is read again at least this far back, each night; a new box reads again from its predecessor's
/// watermark less this.
pub const RESCAN_HORIZON: TimeDelta = TimeDelta::days(7);

/// What a connection's config says to every connector.
#[derive(Debug, Clone)]
pub struct Terms {
    /// What parsing must know besides the body.
    pub context: ParseContext,
    /// From one poll for news to the next.
    pub poll_every: TimeDelta,
    /// How far back a new store reads.
    pub backfill: TimeDelta,
}

/// From where a connector goes on.
pub struct Begin {
    /// The credential, as it stands now.
    pub secret: Secret,
    /// What [`Connector::cursor`] gave last; `None` in a new store.
    pub cursor: Option<Vec<u8>>,
    /// The gaps that are open.
    pub gaps: Vec<Gap>,
    /// What was stored before.
    pub memory: Arc<dyn Memory>,
    /// Now.
    pub now: DateTime<Utc>,
}

/// What the box has stored of one connection's records, for as long as any poll looks back.
///
/// Where the store cannot be read there is no answer; the commit that follows fails then too, so nothing that was
/// concluded from it is ever stored.
pub trait Memory: Send + Sync {
    /// The state that was stored last for a record.
    fn find(&self, resource: Resource, external_id: &str) -> Option<Known>;

    /// Every record whose time lies in `from..to`, in no order. Each call reads the store: it is for scans, not for
    /// polls.
    fn between(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Known>;
}

/// A record as it was stored last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What list it is from.
    pub resource: Resource,
    /// The source's key.
    pub external_id: String,
    /// What it meant.
    pub kind: Kind,
    /// Its total, a magnitude.
    pub amount: Amount,
    /// Its time, to the second.
    pub at: DateTime<Utc>,
    /// What the connector noted beside it in [`Yield::marks`]; 0 if nothing.
    pub mark: u64,
    /// It was found missing at the source since.
    pub vanished: bool,
}

/// The memory of a box that has stored nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Memory for Nothing {
    fn find(&self, _: Resource, _: &str) -> Option<Known> {
        None
    }

    fn between(&self, _: DateTime<Utc>, _: DateTime<Utc>) -> Vec<Known> {
        Vec::new()
    }
}

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
    /// A number of the connector's own beside some of them, to be found in [`Known::mark`]: such as a hash of what the
    /// list showed of a record whose details were read. It is stored with the record, also where nothing else changed.
    pub marks: BTreeMap<(Resource, String), u64>,
    /// Elements that could not be read.
    pub quarantined: Vec<Quarantined>,
    /// Stored records that the source surely no longer shows. They stay as they are; HQ is told, once.
    pub vanished: Vec<(Resource, String)>,
    /// Intervals that are not proven complete.
    pub gaps_opened: Vec<Gap>,
    /// Open gaps that are proven complete now.
    pub gaps_closed: Vec<Gap>,
    /// What HQ and a technician should know, once each.
    pub notices: Vec<Notice>,
    /// Conditions that hold from now on, with the text for a person, or no longer hold. With
    /// [`Condition::PosRefused`] the poll thread waits as after a 401.
    pub conditions: Vec<(Condition, Option<String>)>,
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

    /// Learns that the request failed; not where it may be chance (a first refusal, a limit), as then the same is asked
    /// once more. Waiting and asking again is the poll thread's part; a connector answers only
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

    /// The ids by which the source tells whose sales it shows, each as `kind:id`: empty where it tells none, and `None`
    /// before it said who answers. No sale is given before that.
    fn account(&self) -> Option<Vec<String>>;

    /// Whether everything between two instants was read at least once, beginning before the first.
    fn covers(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> bool;

    /// When everything between two instants was read last by one reading of the whole: its begin. `None` where that is
    /// not known, as of what was only read as it came.
    fn read_at(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<DateTime<Utc>>;

    /// What lies before this is not read again by itself.
    fn reads_again_since(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - RESCAN_HORIZON
    }
}
