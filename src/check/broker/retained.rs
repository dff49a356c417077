//! Whether the broker keeps what is retained: a probe on `status`, which is put back to what stood there.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::{
    connection::{ANSWER_MAX, Connection, Waited},
    trial::{Echo, Trial, Verdict, try_all},
};
use crate::{
    config::Outlet,
    mqtt::{
        nonce,
        wire::{Arrived, WireError},
    },
    status,
};

/// A box that runs says so more often than this.
const RUNNING_FRESH: TimeDelta = TimeDelta::minutes(10);

/// Putting back what stood there has so much time, whatever went before.
const RESTORE_MAX: Duration = Duration::from_secs(3);

/// What was found.
#[derive(Debug)]
pub enum Retained {
    /// A new subscription found it.
    Kept,
    /// It was taken, and a new subscription does not find it.
    NotFound,
    /// Another box runs for the outlet, and its word stands there: nothing was tried.
    OtherBox,
    /// What stands there cannot be read, so nothing was tried.
    Unreadable(String),
    /// The broker did not take it.
    NotTaken(Verdict),
    /// The connection was lost beside it.
    Lost(WireError),
}

/// Publishes the probe, looks for it by a new subscription, and puts back what stood there; gives whether that was done.
pub async fn probe(connection: &mut Connection, outlet: &Outlet, topic: &str, now: DateTime<Utc>) -> (Retained, bool) {
    let own = [topic.to_owned()];
    let subscribed = match connection.subscribe(&own).await {
        // It may have been closed for what went before.
        Err(_) => connection.subscribe(&own).await,
        subscribed => subscribed,
    };
    match subscribed {
        Ok(refused) => {
            if let Some(refusal) = refused.into_iter().flatten().next() {
                return (Retained::Unreadable(refusal.to_string()), true);
            }
        }
        // Some end the connection at what they deny to be read.
        Err(error) if !connection.is_late() => return (Retained::Unreadable(format!("{error} at it")), true),
        Err(error) => return (Retained::Lost(error), true),
    }
    let former = connection.heard(topic).body;
    if is_running(&former, now) {
        return (Retained::OtherBox, true);
    }
    // What comes after the next subscription is then what is retained, and not an echo.
    if let Err(error) = connection.unsubscribe(topic).await {
        return (Retained::Lost(error), true);
    }
    let nonce = nonce();
    let body = status::checking(&outlet.id, outlet.name.as_deref(), &nonce);
    let trial = |body, nonce| Trial {
        below: "status".to_owned(),
        topic: topic.to_owned(),
        nonce,
        body,
        retain: true,
        echo: Echo::No,
    };
    let found = match try_all(connection, &[trial(body, nonce.clone())]).await.pop() {
        Some(verdict) if verdict.is_good() => find(connection, topic, &nonce).await.unwrap_or_else(Retained::Lost),
        Some(verdict @ Verdict::Refused(_)) => return (Retained::NotTaken(verdict), true),
        verdict => Retained::NotTaken(verdict.unwrap_or(Verdict::Silent)),
    };
    connection.grant(RESTORE_MAX);
    let restored = try_all(connection, &[trial(former.to_vec(), nonce)]).await;
    // What was not taken before need not be put back.
    let restored = restored.iter().all(Verdict::is_good) || matches!(found, Retained::NotTaken(_));
    (found, restored)
}

async fn find(connection: &mut Connection, topic: &str, nonce: &str) -> Result<Retained, WireError> {
    let is_probe = |body: &[u8]| String::from_utf8_lossy(body).contains(nonce);
    let refused = connection.subscribe(&[topic.to_owned()]).await?;
    if let Some(refusal) = refused.into_iter().flatten().next() {
        return Ok(Retained::Unreadable(refusal.to_string()));
    }
    if is_probe(&connection.heard(topic).body) {
        return Ok(Retained::Kept);
    }
    let waited = connection.wait(
        ANSWER_MAX,
        |arrived, _| matches!(arrived, Arrived::Message { topic: of, body } if of == topic && is_probe(body)),
    );
    Ok(if waited.await? == Waited::Done { Retained::Kept } else { Retained::NotFound })
}

/// Whether a status says that a box runs, and says it lately.
fn is_running(body: &[u8], now: DateTime<Utc>) -> bool {
    let Ok(status) = serde_json::from_slice::<Value>(body) else { return false };
    let at = status["report"]["at"].as_str().and_then(|at| DateTime::parse_from_rfc3339(at).ok());
    status["state"] == "running" && at.is_some_and(|at| (now - at.with_timezone(&Utc)).abs() < RUNNING_FRESH)
}
