//! `tillbox authorize`: a person lets the box read their Asalta account, once.
//!
//! 1. The address to open is printed. It holds a nonce, `state`, that only the answer to it can hold.
//! 2. The person logs in at Asalta, in a browser on any machine, and is sent back to the redirect-uri with a code.
//! 3. The code comes here: by the browser, where the redirect-uri is this machine (`listen`), or by the person, who
//!    pastes the address to which they were sent.
//! 4. It lives 30 seconds, so it is exchanged at once, and the token is written where the daemon looks for it.
//!
//! A running daemon takes a new token up without a restart. Neither code nor token is ever printed.

mod address;
mod listen;
#[cfg(all(test, feature = "demo"))]
#[expect(clippy::unwrap_used, reason = "a test stops where its stage cannot be set")]
mod tests;

use std::{
    fs,
    io::{self, BufRead, Read as _, Write},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Map, Value};
use thiserror::Error;

use self::{
    address::{Redirected, authorize_address, read_redirected},
    listen::Listener,
};
use crate::{
    config::{Config, Credentials, OAuthClient, Pos, System},
    outbox::write_durably,
    pos::{
        http::{Ask as _, Client, Failure},
        request::{Payload, Post, Request},
    },
    secret::Secret,
    tls::TlsError,
};

/// How long a person may take to log in.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// A code lives 30 seconds from when it was given, and some of them are gone when it comes here.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(20);

/// No pasted address is longer.
const LINE_MAX_BYTES: u64 = 8 * 1024;

/// No token is longer.
const TOKEN_MAX_CHARS: usize = 4_096;

/// Why there is no token, and what to do about it.
#[derive(Debug, Error)]
pub enum AuthorizeError {
    /// No such connection.
    #[error("the config has no connection `{name}`; it has {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Another system.
    #[error("connection `{name}` is of {system}, which has no such authorization; its credentials stand in the config")]
    OtherSystem {
        /// The connection.
        name: String,
        /// Its system.
        system: &'static str,
    },
    /// The token stands in the config, where only a person writes.
    #[error(
        "connection `{name}` has its token in the config; write a token-file there instead, for this to write into"
    )]
    NoFile {
        /// The connection.
        name: String,
    },
    /// The application's secret is not there.
    #[error("no client secret: {0}; put it there and run this again")]
    NoSecret(String),
    /// The authorities to trust cannot be read.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The application is not the one that Asalta knows.
    #[error("asalta refuses the application ({0}); correct client-id, client-secret and redirect-uri")]
    Application(Failure),
    /// The person, or Asalta, said no.
    #[error("asalta did not authorize: {0}; run this again and allow the access")]
    Denied(String),
    /// Nobody came.
    #[error("no authorization within {} min; run this again", .0.as_secs() / 60)]
    TooLate(Duration),
    /// Nothing more can come.
    #[error("no address was pasted; run this again")]
    NoAddress,
    /// The code was too old, used, or unknown.
    #[error("the code was refused ({0}): it lives 30 seconds and works once; run this again and be quick")]
    Code(Failure),
    /// The exchange did not come through.
    #[error("the code could not be exchanged: {0}; run this again")]
    Unreachable(Failure),
    /// The answer holds no token.
    #[error("expected an access_token in the answer, found {0}; check the base-url and run this again")]
    NoToken(&'static str),
    /// No chance can be had from the system.
    #[error("the system gives no random numbers; run this again")]
    NoChance,
    /// The token cannot be kept.
    #[error("cannot write {path}: {cause}; make its folder writable for this user, and run this again")]
    Write {
        /// The token's file.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
}

/// The connection to authorize.
///
/// # Errors
/// There is none of that name, or it is not Asalta's.
pub fn choose<'c>(config: &'c Config, name: &str) -> Result<&'c Pos, AuthorizeError> {
    let known = || {
        let names: Vec<_> = config.pos.iter().map(|pos| format!("`{}`", pos.name)).collect();
        names.join(", ")
    };
    let unknown = || AuthorizeError::Unknown { name: name.to_owned(), known: known() };
    let pos = config.pos.iter().find(|pos| pos.name == name).ok_or_else(unknown)?;
    match pos.system {
        System::Asalta => Ok(pos),
        other => Err(AuthorizeError::OtherSystem { name: name.to_owned(), system: other.name() }),
    }
}

/// Lets a person authorize a connection, and gives the file in which its token stands then.
///
/// # Errors
/// There is no token; the file is as it was.
pub fn authorize(
    pos: &Pos,
    input: impl BufRead + Send + 'static,
    output: &mut impl Write,
    patience: Duration,
) -> Result<PathBuf, AuthorizeError> {
    let Credentials::OAuth { token, client } = &pos.credentials else {
        return Err(AuthorizeError::OtherSystem { name: pos.name.clone(), system: pos.system.name() });
    };
    let file = token.file().ok_or_else(|| AuthorizeError::NoFile { name: pos.name.clone() })?;
    // Whatever can be wrong already is told before a person logs in.
    let secret = client.secret.read().map_err(AuthorizeError::NoSecret)?;
    let http = Client::within(EXCHANGE_TIMEOUT, &pos.base_url, pos.ca_certificate.as_deref())?;
    let state = nonce().ok_or(AuthorizeError::NoChance)?;

    let (found, coming) = mpsc::channel();
    let listener = Listener::start(&client.redirect_uri, &state, found.clone());
    let address = authorize_address(&pos.base_url, &client.id, &client.redirect_uri, &state);
    say(output, &format!("Open this address in a browser, log in at Asalta and allow the access:\n\n  {address}\n"));
    match &listener {
        Some(Ok(_)) => say(
            output,
            "Waiting for the browser to come back. On another machine: paste the address to which it was sent.",
        ),
        Some(Err(reason)) => say(output, &format!("({reason}.) Paste the address to which the browser was sent:")),
        None => say(output, "Then paste the address to which the browser was sent, within 30 seconds:"),
    }
    read_lines(input, found);
    let listens = matches!(listener, Some(Ok(_)));
    let code = wait(&coming, &state, listens, output, patience)?;
    let token = exchange(&http, client, &secret, &code)?;
    keep(file, &token).map_err(|cause| AuthorizeError::Write { path: file.display().to_string(), cause })?;
    say(output, &format!("Done: the token stands in {}. A running tillbox takes it up by itself.", file.display()));
    Ok(file.to_owned())
}

/// What can come while a person logs in.
enum Come {
    /// An address, or the target of a request, with a code or an error in it.
    Address(String),
    /// Nobody will paste anything any more.
    EndOfInput,
}

fn wait(
    coming: &mpsc::Receiver<Come>,
    state: &str,
    listens: bool,
    output: &mut impl Write,
    patience: Duration,
) -> Result<Secret, AuthorizeError> {
    let until = Instant::now() + patience;
    loop {
        match coming.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Come::Address(address)) => match read_redirected(&address, state) {
                Redirected::Code(code) => return Ok(code),
                Redirected::Denied(reason) => return Err(AuthorizeError::Denied(reason)),
                // Another tab, or somebody's guess: the right one may still come.
                Redirected::OtherState => {
                    say(output, "That address answers another request (its `state` is another); open the one above.");
                }
                Redirected::Nothing => {
                    say(output, "There is no code in that; paste the whole address, with all after the `?`.");
                }
            },
            Ok(Come::EndOfInput) if listens => {}
            Ok(Come::EndOfInput) | Err(RecvTimeoutError::Disconnected) => return Err(AuthorizeError::NoAddress),
            Err(RecvTimeoutError::Timeout) => return Err(AuthorizeError::TooLate(patience)),
        }
    }
}

/// Reads what is pasted on a thread of its own: it can wait for ever, and ends with the program.
fn read_lines(mut input: impl BufRead + Send + 'static, found: Sender<Come>) {
    let read = move || {
        loop {
            let mut line = String::new();
            match (&mut input).take(LINE_MAX_BYTES).read_line(&mut line) {
                Ok(0) | Err(_) => break,
                Ok(_) if line.trim().is_empty() => {}
                Ok(_) if found.send(Come::Address(line.trim().to_owned())).is_err() => return,
                Ok(_) => {}
            }
        }
        let _the_end_may_be_known = found.send(Come::EndOfInput);
    };
    // Without it there is still the listener, and the person's patience.
    let _pasting_is_not_the_only_way = thread::Builder::new().name("paste".to_owned()).spawn(read);
}

fn exchange(http: &Client, client: &OAuthClient, secret: &Secret, code: &Secret) -> Result<Secret, AuthorizeError> {
    let form = Payload::form(&[
        ("grant_type", "authorization_code"),
        ("code", code.expose()),
        ("client_id", &client.id),
        ("client_secret", secret.expose()),
        ("redirect_uri", &client.redirect_uri),
    ]);
    let answer = http.ask(&Request::post(Post::Code, form), &|_| false).map_err(|failure| match failure {
        Failure::Refused(_) => AuthorizeError::Application(failure),
        Failure::Unexpected(_) => AuthorizeError::Code(failure),
        _ => AuthorizeError::Unreachable(failure),
    })?;
    let members: Map<String, Value> =
        serde_json::from_slice(&answer.body).map_err(|_| AuthorizeError::NoToken("no JSON object"))?;
    match members.get("access_token") {
        Some(Value::String(token)) if is_token(token) => Ok(Secret::new(token)),
        Some(_) => Err(AuthorizeError::NoToken("something that is no token")),
        None => Err(AuthorizeError::NoToken("none")),
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= TOKEN_MAX_CHARS && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Writes the token whole or not at all, for its owner alone: who owned it before, else who owns its folder. A technician
/// runs this as root, and the daemon has a user of its own.
fn keep(file: &Path, token: &Secret) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let owner = fs::metadata(file).or_else(|_| fs::metadata(folder))?;
    write_durably(file, format!("{}\n", token.expose()).as_bytes(), Some((owner.uid(), owner.gid())))
}

fn nonce() -> Option<String> {
    let mut bytes = [0_u8; 16];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes).ok()?;
    Some(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// A terminal that is gone is no reason to stop: the token is what matters.
fn say(output: &mut impl Write, text: &str) {
    let _nobody_reads = writeln!(output, "{text}").and_then(|()| output.flush());
}
