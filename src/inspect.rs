//! Questions about a box, and its answers: what `tillbox outbox` asks.
//!
//! A running daemon has its store locked, so it is asked itself, over a Unix socket in the outbox's folder ([`SOCKET`],
//! for its own user alone). A question is one line of JSON, [`Question`]; the answer is lines of JSON, of which the last
//! is [`End`]: an answer without it was cut off. One connection may ask several questions, one after the other. While
//! no daemon runs the same questions go to the store itself.
//!
//! What can be asked:
//!
//! - `{"ask":"outbox"}`: one [`Summary`];
//! - `{"ask":"events","stream":…,"after":90,"most":100}`: the events that wait after a number, one a line, as
//!   HQ receives them; before the stream has a generation as [`Unsent`]. With `"heads":true` only a [`Head`] each;
//! - `{"ask":"status"}`: one [`Overview`], of a running daemon only;
//! - `{"ask":"probe"}`: one [`Probe`], of a running daemon only: what its line to headquarters has found.
//!
//! Four orders change what is noted in the store, and nothing else; each is a person's word on what the box cannot know:
//!
//! - `{"ask":"take-over"}`: the outlet is taken back from another box, once what waits has left. One [`Ordered`];
//! - `{"ask":"same-account","connection":"front"}`: whoever answers on the connection is the same shop. One [`Ordered`];
//! - `{"ask":"close-gap","handle":"g…","by":{"name":…,"reason":…}}`: a gap is closed. One [`Ordered`];
//! - `{"ask":"dismiss","handle":"r…","by":{"name":…,"reason":…}}`: a record that is put aside is dismissed. One [`Ordered`].

pub mod client;
pub mod text;
pub mod unproven;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::{
    by_hand::{Statement, StatementError},
    config::Acknowledge,
    content::ContentId,
    event::{Event, Stream, StreamId},
    gap::Gap,
    outbox::{
        Aside, ClosedGap, Ended, Outbox, OutboxError,
        leaving::{SetAside, set_aside_in},
    },
    overview::{Overview, Queue, Trouble},
    status::acknowledge_name,
};

/// The name of the socket in the outbox's folder.
pub const SOCKET: &str = "tillbox.sock";

/// The question for the box at a glance.
pub const STATUS: &str = "status";

/// The question for what the line to headquarters has found.
pub const PROBE: &str = "probe";

/// The order to take the outlet back.
pub const TAKE_OVER: &str = "take-over";

/// The order to take whoever answers on a connection for the same shop.
pub const SAME_ACCOUNT: &str = "same-account";

/// The order to close a gap.
pub const CLOSE_GAP: &str = "close-gap";

/// The order to dismiss a record that is put aside.
pub const DISMISS: &str = "dismiss";

/// The longest question, in bytes.
pub const QUESTION_MAX_BYTES: usize = 4 * 1024;

/// Events in one answer at most; what follows is asked for again.
pub const EVENTS_MAX: usize = 500;

/// What is asked. What a question does not need is left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Question {
    /// What about.
    pub ask: String,
    /// Of which stream numbers are spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// The connection that an order speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// What an order ends, by its handle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
    /// Who ends it, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Statement>,
    /// Events after this number.
    #[serde(default)]
    pub after: u64,
    /// So many at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<usize>,
    /// What they are about, without what they say.
    #[serde(default)]
    pub heads: bool,
}

/// What the running daemon's own line to headquarters has found: its session has the outlet's client id, and probes what
/// nobody else may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The broker of its session, or of the last one.
    pub broker: Option<String>,
    /// The MQTT that is spoken there: `5` or `3.1.1`.
    pub protocol: Option<String>,
    /// The line works: an event was taken, or none waits.
    pub works: bool,
    /// A new subscription found the checkpoint that this box publishes there.
    pub checkpoint_found: bool,
    /// What is wrong with the line.
    pub conditions: Vec<Trouble>,
}

/// The last line of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The answer is whole.
    pub done: bool,
    /// Why it is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// The number of the last event in it: what follows is asked for after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u64>,
}

/// How an outbox stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The outlet's id.
    pub outlet: String,
    /// Whose word makes an event count as delivered: `feed` or `broker`.
    pub acknowledge: String,
    /// Its figures.
    pub outbox: Queue,
    /// By connection: what is not proven complete.
    pub open_gaps: BTreeMap<String, Vec<Gap>>,
    /// By connection: records that could not be read, the oldest first.
    pub put_aside: BTreeMap<String, Vec<Aside>>,
    /// By connection: gaps that persons closed, and nothing has proven since.
    #[serde(default)]
    pub closed_by_hand: BTreeMap<String, Vec<ClosedGap>>,
    /// Stores of other outlets that lie beside this one and were not sent yet.
    #[serde(default)]
    pub set_aside: Vec<SetAside>,
}

/// What an order did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ordered {
    /// Of a take-over: the events up to this number leave before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<u64>,
    /// Of an account: whether one was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was_noted: Option<bool>,
    /// Of a word that ends something: what became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// Why an order was not obeyed.
#[derive(Debug, Error)]
pub enum OrderError {
    /// The store fails.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// It does not say who gives it, and why.
    #[error(transparent)]
    Statement(#[from] StatementError),
}

/// What a waiting event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its number in the stream.
    pub number: u64,
    /// What it tells.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The connection it speaks of; `None` for the box itself.
    pub connection: Option<String>,
    /// What it is about.
    pub subject: String,
    /// When that happened.
    pub time: String,
}

/// An event that cannot be published yet, as its stream has no generation.
#[derive(Debug, Serialize)]
pub struct Unsent<'a> {
    /// What it is about.
    #[serde(flatten)]
    pub head: Head,
    /// The content id of what it states.
    pub contentid: ContentId,
    /// What it states.
    pub data: &'a RawValue,
}

/// Answers a question about an outbox, where `acknowledge` says whose word counts: the lines, the last of them an [`End`].
#[must_use]
pub fn answer(outbox: &Outbox, acknowledge: Acknowledge, question: &Question, now: DateTime<Utc>) -> Vec<String> {
    let lines = match question.ask.as_str() {
        "outbox" => {
            summary(outbox, acknowledge).map(|summary| (vec![line(&summary)], None)).map_err(|error| error.to_string())
        }
        "events" => events(outbox, question),
        TAKE_OVER | SAME_ACCOUNT | CLOSE_GAP | DISMISS => {
            ordered(outbox, question, now).map(|done| (vec![line(&done)], None)).map_err(|error| error.to_string())
        }
        other => Err(format!("this tillbox ({}) cannot be asked about `{other}`", env!("CARGO_PKG_VERSION"))),
    };
    ended(lines)
}

/// Answers the question for the box at a glance.
#[must_use]
pub fn status(overview: &Overview) -> Vec<String> {
    ended(Ok((vec![line(overview)], None)))
}

/// Answers the question for what the line has found.
#[must_use]
pub fn probed(probe: &Probe) -> Vec<String> {
    ended(Ok((vec![line(probe)], None)))
}

/// Lines of an answer, and the number of the last event in it.
pub type Lines = (Vec<String>, Option<u64>);

/// Whole lines of an answer, or the fault that it ends with.
#[must_use]
pub fn ended(lines: Result<Lines, String>) -> Vec<String> {
    let ((mut lines, last), fault) = match lines {
        Ok(lines) => (lines, None),
        Err(fault) => (Lines::default(), Some(fault)),
    };
    lines.push(line(&End { done: fault.is_none(), fault, last }));
    lines
}

fn line(of: &impl Serialize) -> String {
    serde_json::to_string(of).unwrap_or_default()
}

fn summary(outbox: &Outbox, acknowledge: Acknowledge) -> Result<Summary, OutboxError> {
    let put_aside = outbox.put_aside()?;
    let level = outbox.level();
    let open_gaps = level.open_gaps.iter().filter(|(_, gaps)| !gaps.is_empty());
    Ok(Summary {
        outlet: outbox.outlet().to_owned(),
        acknowledge: acknowledge_name(acknowledge).to_owned(),
        outbox: Queue::of(outbox, &level, acknowledge, None),
        open_gaps: open_gaps.map(|(connection, gaps)| (connection.clone(), gaps.clone())).collect(),
        put_aside,
        closed_by_hand: outbox.all_gaps_closed_by_hand(),
        set_aside: set_aside_in(outbox.folder()),
    })
}

/// Does what is ordered.
///
/// # Errors
/// The store fails, or a word does not say whose it is, and why.
pub fn ordered(outbox: &Outbox, order: &Question, now: DateTime<Utc>) -> Result<Ordered, OrderError> {
    match order.ask.as_str() {
        CLOSE_GAP | DISMISS => {
            let ended = end_by_hand(outbox, order, now)?;
            Ok(Ordered { ended: Some(ended), ..Ordered::default() })
        }
        TAKE_OVER => {
            let through = outbox.order_take_over()?;
            tracing::warn!(through, "a person orders this box to take the outlet back once what waits has left");
            Ok(Ordered { through: Some(through), ..Ordered::default() })
        }
        _ => {
            let connection = order.connection.as_deref().unwrap_or_default();
            let was_noted = outbox.forget_account(connection)?;
            tracing::warn!(connection, "a person says that whoever answers is the same shop");
            Ok(Ordered { was_noted: Some(was_noted), ..Ordered::default() })
        }
    }
}

/// Ends a gap, or a record that is put aside. Who it was is told to HQ, and stands in no log.
fn end_by_hand(outbox: &Outbox, order: &Question, now: DateTime<Utc>) -> Result<Ended, OrderError> {
    let handle = order.handle.as_deref().unwrap_or_default();
    let (name, reason) = order.by.as_ref().map_or(("", ""), |by| (by.name.as_str(), by.reason.as_str()));
    let by = Statement::new(name, reason)?;
    let (ended, what) = if order.ask == CLOSE_GAP {
        (outbox.close_gap(handle, &by, now)?, "a gap is closed by a person's word; nothing is proven by it")
    } else {
        (outbox.dismiss(handle, &by, now)?, "a record that is put aside is dismissed by a person's word")
    };
    if ended == Ended::Now {
        tracing::warn!(handle, "{what}");
    }
    Ok(ended)
}

fn events(outbox: &Outbox, question: &Question) -> Result<Lines, String> {
    let stream = question.stream.as_deref().and_then(StreamId::parse);
    let stream = stream.ok_or("a question for events names their stream, 32 hexadecimal digits")?;
    let most = question.most.unwrap_or(EVENTS_MAX).min(EVENTS_MAX);
    let events = outbox.waiting(stream, question.after, most).map_err(|error| error.to_string())?;
    let published = outbox.stream().filter(|running| running.id == stream);
    let lines = events.iter().map(|event| event_line(event, published.as_deref(), question.heads)).collect();
    Ok((lines, events.last().map(|event| event.sequence)))
}

fn event_line(event: &Event, stream: Option<&Stream>, head_only: bool) -> String {
    let draft = &event.draft;
    let head = || Head {
        number: event.sequence,
        event_type: draft.event_type.name().to_owned(),
        connection: draft.connection.clone(),
        subject: draft.subject.clone(),
        time: draft.time.clone(),
    };
    match stream {
        _ if head_only => line(&head()),
        Some(stream) => String::from_utf8_lossy(&event.envelope(stream)).into_owned(),
        None => match serde_json::from_str(&draft.data) {
            Ok(data) => line(&Unsent { head: head(), contentid: draft.content, data }),
            Err(_) => line(&head()),
        },
    }
}
