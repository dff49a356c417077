//! Trying one item in a thread of its own, which is left behind if it does not come to an end.
//!
//! Not everything that may hang can be given a limit: the system's resolver knows none, and a server that sends a byte a
//! second keeps every single read within its own. So the wait for the whole item has one, and what the item last said
//! that it waits for is told.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Instant,
};

/// What an item waits for, in words that go on after "waiting for".
#[derive(Debug, Clone, Default)]
pub struct Waits(Arc<Mutex<String>>);

impl Waits {
    /// A wait begins.
    pub fn begin(&self, what: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = what.into();
    }

    fn last(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An item that is being tried.
#[derive(Debug)]
pub struct Trying<T> {
    answer: mpsc::Receiver<T>,
    waits: Waits,
}

/// Why there is no result.
#[derive(Debug, PartialEq, Eq)]
pub enum Left {
    /// The trial panicked, or could not begin.
    Broken,
    /// It had not come to its end, and waited for this.
    Waiting(String),
}

impl<T: Send + 'static> Trying<T> {
    /// Begins to try an item.
    pub fn begin(name: &str, trial: impl FnOnce(&Waits) -> T + Send + 'static) -> Self {
        let (sender, answer) = mpsc::channel();
        let waits = Waits::default();
        let told = waits.clone();
        let run = move || {
            let _nobody_waits_any_more = sender.send(trial(&told));
        };
        // One that cannot begin has dropped its sender: it is as one that broke off.
        let _left_behind = thread::Builder::new().name(name.to_owned()).spawn(run);
        Self { answer, waits }
    }

    /// Waits for the result, and no longer than until then.
    pub fn end(self, until: Instant) -> Result<T, Left> {
        self.answer.recv_timeout(until.saturating_duration_since(Instant::now())).map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => Left::Waiting(self.waits.last()),
            mpsc::RecvTimeoutError::Disconnected => Left::Broken,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{Ipv4Addr, TcpListener, TcpStream},
        time::Duration,
    };

    use chrono::Utc;

    use super::*;
    use crate::{
        check::{Outcome, line::Server},
        stop::Stop,
        tls,
    };

    const SOON: Duration = Duration::from_millis(500);

    #[test]
    fn what_comes_to_its_end_is_told_and_what_breaks_off_is_not_waited_for() {
        let long = Duration::from_secs(60);
        assert_eq!(Trying::begin("x", |_| 7).end(Instant::now() + long), Ok(7));
        let begun = Instant::now();
        let broken: Trying<()> = Trying::begin("x", |_| panic!("as a fault would"));
        assert_eq!(broken.end(begun + long), Err(Left::Broken));
        assert!(begun.elapsed() < long);
    }

    #[test]
    fn what_hangs_is_left_with_what_it_waits_for() {
        let (go_on, held) = mpsc::channel::<()>();
        let hanging = Trying::begin("x", move |waits| {
            waits.begin("one thing");
            waits.begin("the name hq.example");
            let _until_the_test_ends = held.recv();
        });
        let left = hanging.end(Instant::now() + SOON).expect_err("it hangs");
        assert_eq!(left, Left::Waiting("the name hq.example".to_owned()));
        let finding = left.finding("hq mqtts://hq.example:8883");
        assert_eq!(finding.outcome, Outcome::Later);
        let line = finding.to_string();
        assert!(line.contains("found no end within 30 s, waiting for the name hq.example; expected"), "{line}");
        drop(go_on);
    }

    /// Each byte is in time, and the handshake never ends: as a record of TLS it claims to have 16,384 bytes.
    #[test]
    fn a_server_that_drips_is_left() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let drip = move |mut stream: TcpStream| -> std::io::Result<()> {
            let _hello = stream.read(&mut [0; 4_096])?;
            stream.write_all(&[22, 3, 3, 64, 0])?;
            loop {
                stream.write_all(&[2])?;
                let _nobody_stops = Stop::default().wait(Duration::from_millis(100));
            }
        };
        thread::spawn(move || listener.accept().and_then(|(stream, _)| drip(stream)));
        let dripping = Trying::begin("x", move |waits| {
            let server = Server { host: "127.0.0.1", port, key: "brokers", now: Utc::now(), waits };
            let stream = server.connect().expect("it accepts");
            server.secure(stream, tls::client(None, None).expect("a client"), None).is_ok()
        });
        let left = dripping.end(Instant::now() + 4 * SOON).expect_err("it drips");
        assert_eq!(left, Left::Waiting(format!("127.0.0.1:{port} in the TLS handshake")));
    }
}
