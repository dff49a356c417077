//! How a session begins, before any event is published.
//!
//! 1. Subscribe to `checkpoint`, `stored` and `events/hello`.
//! 2. Publish `hello` with a fresh nonce and wait for it to come back: publishes to the events' topics arrive, they are
//!    not only acknowledged.
//! 3. Weigh the retained checkpoint and HQ's word: take a generation, begin a new stream, or leave the outlet to another
//!    box.

use std::{
    sync::Arc,
    time::{Duration, Instant as StdInstant},
};

use tokio::time::{Instant, timeout};

use super::{
    Link,
    ended::Ended,
    stored::Stored,
    wire::{Arrived, Wire, WireError},
};
use crate::{
    checkpoint::{Decision, Found, decide},
    event::{Stream, StreamId},
    forward::Overdue,
    health::Condition,
    notice::Notice,
    outbox::{Begin, ReadAgain},
    status,
};

/// The hello must be back within this.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a store that HQ does not know yet waits for a checkpoint after its hello came back.
const UNKNOWN_WAIT: Duration = Duration::from_secs(1);

/// Two boxes for one outlet do not chase each other: this one takes the outlet over at most this often.
const TAKE_OVER_EVERY: Duration = Duration::from_secs(60 * 60);

/// A broker that closes the connection at the hello this many times in a row denies it; once may be chance.
const CLOSED_AT_HELLO_MAX: u32 = 3;

/// What the link remembers from one session to the next.
#[derive(Debug)]
pub struct Memory {
    pub(super) overdue: Overdue,
    closed_at_hello: u32,
    took_over: Option<Instant>,
    /// The stream whose numbers were held against HQ's words.
    compared: Option<StreamId>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { overdue: Overdue::new(StdInstant::now()), closed_at_hello: 0, took_over: None, compared: None }
    }
}

/// What stood at the broker when the session began.
#[derive(Default)]
pub(super) struct Greeted {
    pub(super) found: Option<Found>,
    pub(super) stored: Option<Vec<u8>>,
}

/// Steps 1 and 2: gives what is retained, once the hello is back and acknowledged.
pub(super) async fn greet(link: &Link, wire: &mut Wire, nonce: &str, memory: &mut Memory) -> Result<Greeted, Ended> {
    let (hello, checkpoint, stored) = (link.topic("events/hello"), link.topic("checkpoint"), link.topic("stored"));
    wire.subscribe([checkpoint.clone(), stored.clone(), hello.clone()]).await?;
    wire.flush().await?;
    let mut deadline = Instant::now() + HELLO_TIMEOUT;
    let mut waited = false;
    let (mut greeted, mut packet) = (Greeted::default(), None);
    let (mut acknowledged, mut returned) = (false, false);
    let denied = |what: &str| {
        Ended::Denied(format!(
            "{what}; let this client publish and subscribe below {}/ in the broker's access rules",
            link.topic("").trim_end_matches('/')
        ))
    };
    loop {
        while let Some(arrived) = wire.arrived() {
            match arrived {
                Arrived::Subscribed(false) => return Err(denied("the broker refuses a subscription")),
                Arrived::Subscribed(true) => {
                    packet = Some(wire.publish(&hello, status::hello(&link.outlet.id, nonce), false).await?);
                }
                Arrived::Acknowledged(id) => acknowledged |= packet == Some(id),
                Arrived::Message { topic, body } if topic == checkpoint => {
                    greeted.found = read_checkpoint(link, &body)?;
                }
                Arrived::Message { topic, body } if topic == stored => greeted.stored = Some(body),
                Arrived::Message { topic, body } => {
                    returned |= topic == hello && String::from_utf8_lossy(&body).contains(nonce);
                }
            }
            // The two come in either order, and an acknowledgement that came later would be nobody's.
            if acknowledged && returned {
                memory.closed_at_hello = 0;
                // A store that HQ does not know must not miss what stands there, however late the broker says it.
                let unknown = link.outbox.level().stream.is_none() && greeted.found.is_none();
                if !unknown || waited {
                    return Ok(greeted);
                }
                waited = true;
                deadline = Instant::now() + UNKNOWN_WAIT;
            }
        }
        wire.flush().await?;
        match timeout(deadline.saturating_duration_since(Instant::now()), wire.wait()).await {
            Ok(Ok(())) => {}
            Ok(Err(WireError::Lost(_))) if packet.is_some() && memory.closed_at_hello + 1 >= CLOSED_AT_HELLO_MAX => {
                return Err(denied("the broker closes the connection at the first publish to events/hello"));
            }
            Ok(Err(error)) => {
                memory.closed_at_hello += u32::from(packet.is_some());
                return Err(error.into());
            }
            Err(_) if waited => return Ok(greeted),
            Err(_) if acknowledged => {
                return Err(denied(
                    "a hello published to events/hello did not come back: publishes are acknowledged but do not arrive",
                ));
            }
            Err(_) => return Err(WireError::Lost("the broker does not answer in time".to_owned()).into()),
        }
    }
}

/// The retained checkpoint; `None` for one that was cleared. One that cannot be read is not the same as none: it may be
/// a later version's, and a box that took it for none would begin again below the generation of its predecessor.
fn read_checkpoint(link: &Link, body: &[u8]) -> Result<Option<Found>, Ended> {
    if body.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(body).map(Some).map_err(|_| {
        let text = "expected an object with stream, generation and acknowledged, found something else; clear the \
                    retained message, or install the tillbox that wrote it";
        Ended::Conflict(format!("the checkpoint retained at {} cannot be read: {text}", link.topic("checkpoint")))
    })
}

/// Step 3.
pub(super) fn reconcile(
    link: &Link,
    found: Option<&Found>,
    said: Option<&Stored>,
    memory: &mut Memory,
) -> Result<Arc<Stream>, Ended> {
    let level = link.outbox.level();
    let id = level.stream_id.ok_or(Ended::NewStream)?;
    let stored = said.filter(|said| StreamId::parse(&said.stream) == Some(id)).map_or(0, |said| said.through);
    // What was captured since the start says nothing about a tail that was lost before it: HQ's words are held against
    // what was on the device when the store was opened, until they were compared once.
    let at_open = link.outbox.durable_at_open(id).filter(|_| memory.compared != Some(id));
    let durable = at_open.unwrap_or(level.durable);
    let decision = decide(found, stored, id, level.stream.as_deref(), durable);
    memory.compared = Some(id);
    match &decision {
        Decision::Keep => {}
        Decision::Take(generation) => link.outbox.take_generation(*generation, true, read_again(link, found))?,
        Decision::Begin(generation) => {
            return Err(begin_stream(
                link,
                *generation,
                found,
                "HQ has events of this stream that the store no longer has",
            ));
        }
        Decision::TakeOver(generation) => {
            let why = "another box has published for this outlet since";
            if memory.took_over.is_some_and(|at| at.elapsed() < TAKE_OVER_EVERY) {
                let text = format!("{why}: this one keeps its sales and waits; take one of the two away");
                return Err(Ended::Conflict(text));
            }
            memory.took_over = Some(Instant::now());
            link.health.raise(Condition::OutletConflict, "", why, link.clock.now());
            return Err(begin_stream(link, *generation, found, why));
        }
    }
    if decision != Decision::Keep {
        tracing::info!(?decision, "mqtt: this store is a stream that HQ does not know yet");
    }
    link.outbox.stream().ok_or(Ended::NewStream)
}

/// From when on the connections are to be read again, by what an earlier stream had told HQ.
fn read_again(link: &Link, found: Option<&Found>) -> ReadAgain {
    let watermarks = found.iter().flat_map(|found| &found.watermarks);
    watermarks.filter_map(|(name, watermark)| Some((name.clone(), (*watermark)? - link.rescan_horizon))).collect()
}

/// Begins a new stream, and tells HQ why.
fn begin_stream(link: &Link, generation: u32, found: Option<&Found>, why: &str) -> Ended {
    let now = link.clock.now();
    let text = format!("{why}: a new stream begins, and the points of sale are read again");
    tracing::warn!(generation, "mqtt: {text}");
    let begun = link.outbox.begin_stream(Begin {
        generation: Some(generation),
        proven: true,
        read_again: read_again(link, found),
        ..Begin::default()
    });
    match begun.and_then(|()| link.outbox.tell(vec![Notice::new("new_stream", text).draft(None, now)], now)) {
        Ok(_) => Ended::NewStream,
        Err(error) => Ended::Store(error),
    }
}
