//! One of HQ's brokers: the way to it, its login, and whether a hello that is published there comes back.
//!
//! - The client id is the daemon's with `-check` behind it, so a daemon that runs keeps its session.
//! - No last will, nothing retained, a clean session. The hello is the daemon's own way of proving that its publishes
//!   arrive; consumers pass over it, and so does a daemon that did not send it.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::time::timeout;

use super::{
    Finding, Outcome,
    certificate::Validity,
    line::{Secured, Server, Unreached},
    patience::Waits,
};
use crate::{
    config::{Broker, Hq, Outlet},
    mqtt::{
        nonce,
        wire::{Arrived, Connect, Wire, WireError},
    },
    status, tls,
};

/// The hello must be back within this.
const HELLO_MAX: Duration = Duration::from_secs(5);

/// The login and the hello take no longer than this.
const ALL_MAX: Duration = Duration::from_secs(15);

/// The line's keep-alive, longer than all of it.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// How a broker is called in the lines.
pub fn item(broker: &Broker) -> String {
    format!("hq {broker}")
}

/// Tries one broker.
pub fn check(hq: &Hq, outlet: &Outlet, broker: &Broker, now: DateTime<Utc>, waits: &Waits) -> Vec<Finding> {
    let item = item(broker);
    let (secured, tls) = match reach(hq, broker, now, waits) {
        Ok(reached) => reached,
        Err(Unreached { outcome, text, remedy }) => return vec![Finding::not_ok(&item, outcome, text, remedy)],
    };
    waits.begin(format!("{broker} to let the box in and to give a hello back"));
    let mut findings = vec![match greet(hq, outlet, broker, tls) {
        Ok(took) => Finding::ok(&item, welcome(secured.as_ref(), outlet, hq, took, now)),
        Err(Unreached { outcome, text, remedy }) => Finding::not_ok(&item, outcome, text, remedy),
    }];
    let ends = secured.and_then(|secured| secured.validity).filter(|validity| validity.ends_soon(now));
    findings.extend(ends.map(|validity| {
        let text = format!("found that the broker's certificate {}; expected 30 days", validity.text(now));
        Finding::warn(&item, text, "let HQ renew it")
    }));
    findings
}

/// Looks at the box's own certificate, if it has one.
pub fn client_certificate(hq: &Hq, now: DateTime<Utc>) -> Option<Finding> {
    const ITEM: &str = "hq client-certificate";
    let path = hq.client_certificate.as_deref()?;
    let Some(validity) = leaf(path) else {
        let text = format!("found no certificate in {} that can be read; expected one in PEM form", path.display());
        return Some(Finding::correct(ITEM, text, "let HQ issue it anew"));
    };
    let renew = "let HQ issue another one before that day";
    Some(if now < validity.from {
        let text = format!("found one that begins on {}; expected one that holds today", validity.from.date_naive());
        Finding::correct(ITEM, text, "set the clock, or let HQ issue one that holds already")
    } else if now > validity.to {
        let text = format!("found one that ended on {}; expected one that holds today", validity.to.date_naive());
        Finding::correct(ITEM, text, "let HQ issue another one, or set the clock if that is wrong")
    } else if validity.ends_soon(now) {
        Finding::warn(ITEM, format!("found one that {}; expected 30 days", validity.text(now)), renew)
    } else {
        Finding::ok(ITEM, validity.text(now))
    })
}

fn leaf(path: &Path) -> Option<Validity> {
    Validity::of(&CertificateDer::from_pem_file(path).ok()?)
}

type Reached = (Option<Secured>, Option<Arc<ClientConfig>>);

fn reach(hq: &Hq, broker: &Broker, now: DateTime<Utc>, waits: &Waits) -> Result<Reached, Unreached> {
    let server = Server { host: &broker.host, port: broker.port, key: "brokers", now, waits };
    let stream = server.connect()?;
    if !broker.tls {
        return Ok((None, None));
    }
    let identity = hq.client_certificate.as_deref().zip(hq.client_key_file.as_deref());
    let config = tls::client(hq.ca_certificate.as_deref(), identity).map_err(|error| Unreached {
        outcome: Outcome::Correct,
        text: error.to_string(),
        remedy: "correct ca-certificate, client-certificate or client-key-file in [hq]".to_owned(),
    })?;
    let secured = server.secure(stream, Arc::clone(&config))?;
    Ok((Some(secured), Some(config)))
}

/// Logs in, subscribes, publishes a hello and waits for it; gives how long the hello took.
fn greet(hq: &Hq, outlet: &Outlet, broker: &Broker, tls: Option<Arc<ClientConfig>>) -> Result<Duration, Unreached> {
    let connect = Connect {
        broker: broker.clone(),
        client_id: format!("{}-check", outlet.client_id()),
        login: hq.username.clone().map(|name| (name, hq.password.clone())),
        tls,
        keep_alive: KEEP_ALIVE,
        last_will: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| later(format!("the system refuses a runtime: {error}"), "check again"))?;
    let silent = || {
        later(
            "found that the broker does not answer in time; expected it to".to_owned(),
            "ask HQ whether it is overloaded",
        )
    };
    let greeted = runtime.block_on(async {
        timeout(ALL_MAX, async {
            let mut wire = Wire::open(connect, hq.protocol, None).await.map_err(|error| told(&error, outlet))?;
            let greeted = hello(&mut wire, hq, outlet).await;
            wire.close().await;
            greeted
        })
        .await
        .unwrap_or_else(|_| Err(silent()))
    });
    // A resolver that hangs holds no more than its own thread.
    runtime.shutdown_background();
    greeted
}

async fn hello(wire: &mut Wire, hq: &Hq, outlet: &Outlet) -> Result<Duration, Unreached> {
    let base = format!("{}/{}", hq.topic_prefix, outlet.id);
    let (topic, nonce) = (format!("{base}/events/hello"), nonce());
    let denied = |found: &str, expected: &str| Unreached {
        outcome: Outcome::Correct,
        text: format!("found {found}; expected {expected}"),
        remedy: format!("let this client publish and subscribe below {base}/ in the broker's access rules"),
    };
    let told = |error: &WireError| told(error, outlet);
    wire.subscribe([format!("{base}/checkpoint"), format!("{base}/stored"), topic.clone()]).map_err(|e| told(&e))?;
    let (begun, mut sent, mut acknowledged) = (Instant::now(), None, false);
    loop {
        while let Some(arrived) = wire.arrived().map_err(|e| told(&e))? {
            match arrived {
                Arrived::Subscribed(_, Some(_)) => {
                    let expected = format!("to be let subscribe {base}/checkpoint, stored and events/hello");
                    return Err(denied("that the broker refuses a subscription", &expected));
                }
                Arrived::Subscribed(_, None) => {
                    let body = status::hello(&outlet.id, &nonce, 0);
                    sent = Some(wire.publish(&topic, body, false).map_err(|e| told(&e))?);
                }
                Arrived::Acknowledged(packet, _) => acknowledged |= sent == Some(packet),
                Arrived::Message { topic: at, body } => {
                    if at == topic && String::from_utf8_lossy(&body).contains(&nonce) {
                        return Ok(begun.elapsed());
                    }
                }
                Arrived::TooLarge { .. } | Arrived::Unsubscribed(_) | Arrived::Ponged => {}
            }
        }
        match timeout(HELLO_MAX.saturating_sub(begun.elapsed()), wire.wait()).await {
            Ok(Ok(())) => {}
            Ok(Err(WireError::Lost(_))) if sent.is_some() => {
                let found = "that the broker closes the connection at a publish to events/hello";
                return Err(denied(found, "it to come back"));
            }
            Ok(Err(error)) => return Err(told(&error)),
            Err(_) if acknowledged => {
                let found = "that a hello published to events/hello is acknowledged and does not come back";
                return Err(denied(found, "it to arrive"));
            }
            Err(_) => {
                return Err(later(
                    "found no answer to a hello; expected one".to_owned(),
                    "ask HQ whether the broker is overloaded",
                ));
            }
        }
    }
}

fn later(text: String, remedy: &str) -> Unreached {
    Unreached { outcome: Outcome::Later, text, remedy: remedy.to_owned() }
}

/// The wire's own lines for a person say what to do behind a semicolon.
fn told(error: &WireError, outlet: &Outlet) -> Unreached {
    match error {
        WireError::Lost(text) | WireError::Unfit(text) => {
            later(format!("found: {text}; expected a session"), "check again; if it stays, ask HQ")
        }
        WireError::Refused(text) | WireError::OtherVersion { text, .. } => {
            let (text, remedy) = text.split_once("; ").unwrap_or((text, "check [hq]"));
            let rules = format!("{remedy} (the check calls itself {}-check)", outlet.client_id());
            Unreached { outcome: Outcome::Correct, text: format!("found: {text}; expected a session"), remedy: rules }
        }
    }
}

fn welcome(secured: Option<&Secured>, outlet: &Outlet, hq: &Hq, took: Duration, now: DateTime<Utc>) -> String {
    let line = match secured {
        None => "plain mqtt".to_owned(),
        Some(Secured { version, validity: None }) => (*version).to_owned(),
        Some(Secured { version, validity: Some(validity) }) => {
            format!("{version}, a certificate that {}", validity.text(now))
        }
    };
    let (prefix, id) = (&hq.topic_prefix, &outlet.id);
    format!(
        "lets the box in, and a hello published to {prefix}/{id}/events/hello came back in {} ms ({line})",
        took.as_millis()
    )
}
