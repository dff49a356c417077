//! A broker on command: it speaks MQTT 3.1.1 and 5 well, and fails in the way that a test tells it to.
//!
//! It keeps retained messages and last wills, delivers with quality 0 and 1, and notes whatever arrives. Persistent
//! sessions and quality 2 are deliberately absent: who is away misses what is published. What it can be told stands in
//! `rules`, what it does with a connection in `session`, what it saw in `ledger`.

mod ledger;
mod packet;
mod rules;
mod session;

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::Sender,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

pub use self::{
    ledger::{Ended, Ledger},
    rules::{Deny, Greets, Mute, Reading, Refusal, Retain, Rules, Unreadable, Versions},
};
use self::{
    packet::{Filter, Publish, Version},
    session::Out,
};
use super::wait::{PATIENCE, until};

/// How often it looks whether somebody wants in.
const ACCEPT_EVERY: Duration = Duration::from_millis(2);

/// A broker on a free port of the loopback; it ends when dropped.
pub struct Commanded {
    shared: Arc<Shared>,
    address: SocketAddr,
    receive_buffer: Option<u32>,
    accepting: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

/// What its connections have in common.
struct Shared {
    state: Mutex<State>,
    connections: AtomicU64,
}

#[derive(Default)]
struct State {
    rules: Rules,
    retained: BTreeMap<String, Publish>,
    clients: BTreeMap<u64, Client>,
    ledger: Ledger,
}

/// A client that was let in.
struct Client {
    id: String,
    version: Version,
    /// Whether the rules' faults concern it.
    is_box: bool,
    out: Sender<Out>,
    stream: TcpStream,
    subscriptions: Vec<Filter>,
    will: Option<Publish>,
    /// Deliveries that it takes before it acknowledges one, and those that wait for that.
    room: u16,
    waiting: VecDeque<Publish>,
    next_packet: u16,
}

impl Commanded {
    /// Starts a broker with these rules.
    pub fn start(rules: Rules) -> Self {
        Self::start_with(rules, None)
    }

    /// Starts a broker whose system takes no more than about so many bytes that it has not read.
    pub fn start_with(rules: Rules, receive_buffer: Option<u32>) -> Self {
        let state = Mutex::new(State { rules, ..State::default() });
        let shared = Arc::new(Shared { state, connections: AtomicU64::new(0) });
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), receive_buffer).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let mut this = Self { shared, address, receive_buffer, accepting: None };
        this.accept(listener);
        this
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the rules from now on.
    pub fn command(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.shared.state().rules);
    }

    /// From now on it is a good broker.
    pub fn behave(&self) {
        let mut state = self.shared.state();
        state.rules = Rules { versions: state.rules.versions, ..Rules::default() };
    }

    /// Looks at what it saw.
    pub fn seen<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.shared.state().ledger)
    }

    /// As the ledger tells.
    pub fn sessions(&self) -> usize {
        self.seen(Ledger::sessions)
    }

    /// As the ledger tells.
    pub fn delivered(&self) -> usize {
        self.seen(Ledger::delivered)
    }

    /// As the ledger tells.
    pub fn version(&self) -> Option<u8> {
        self.seen(Ledger::version)
    }

    /// Filters that are subscribed to now, by whomever.
    pub fn subscriptions(&self) -> usize {
        self.shared.state().clients.values().map(|client| client.subscriptions.len()).sum()
    }

    /// What is retained on a topic.
    pub fn retained(&self, topic: &str) -> Option<String> {
        let state = self.shared.state();
        state.retained.get(topic).map(|publish| String::from_utf8_lossy(&publish.body).into_owned())
    }

    /// Publishes as a broker's own rule might: with quality 1, to everybody who subscribes.
    pub fn publish(&self, topic: &str, body: &str, retain: bool) {
        let (topic, body) = (topic.to_owned(), body.as_bytes().to_vec());
        self.shared.state().route(0, &Publish { topic, body, qos: 1, retain, ..Publish::default() });
    }

    /// Closes the boxes' connections; those of version 5 are told why.
    pub fn disconnect_boxes(&self, code: u8) {
        let state = self.shared.state();
        for client in state.clients.values().filter(|client| client.is_box) {
            if client.version == Version::V5 {
                client.say(packet::disconnect(client.version, code));
            }
            client.close();
        }
    }

    /// Ends it as a power cut does: connections are gone, no will is published, new ones are refused.
    pub fn down(&mut self) {
        if let Some((stop, thread)) = self.accepting.take() {
            stop.store(true, Ordering::SeqCst);
            thread.thread().unpark();
            thread.join().expect("accepting does not fail");
        }
        for client in std::mem::take(&mut self.shared.state().clients).into_values() {
            client.cut();
        }
    }

    /// Starts it again on the same port; it may have forgotten what was retained.
    pub fn up(&mut self, forget: bool) {
        if forget {
            self.shared.state().retained.clear();
        }
        let (address, buffer) = (self.address, self.receive_buffer);
        let listener =
            until(PATIENCE, || listen(address, buffer).ok(), || format!("{address} cannot be listened on again"));
        self.accept(listener);
    }

    /// Down and up.
    pub fn restart(&mut self, forget: bool) {
        self.down();
        self.up(forget);
    }

    pub fn stop(&mut self) {
        self.down();
    }

    fn accept(&mut self, listener: TcpListener) {
        let (stop, shared) = (Arc::new(AtomicBool::new(false)), Arc::clone(&self.shared));
        let stopping = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopping.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((stream, _)) => session::begin(&shared, stream),
                    Err(_) => thread::park_timeout(ACCEPT_EVERY),
                }
            }
        });
        self.accepting = Some((stop, thread));
    }
}

impl Drop for Commanded {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("the broker on {} saw:\n{}", self.address, self.seen(Ledger::summary));
        }
        self.stop();
    }
}

/// A listener that does not block. Connections inherit its buffer.
fn listen(address: SocketAddr, receive_buffer: Option<u32>) -> io::Result<TcpListener> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.bind(address)?;
        socket.listen(128)?.into_std()
    })
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Keeps and delivers a publish of connection `from`; gives how many it went to.
    fn route(&mut self, from: u64, publish: &Publish) -> usize {
        let is_box = self.clients.get(&from).is_some_and(|client| client.is_box);
        let keeps = !is_box || matches!(self.rules.retain, Retain::Kept | Retain::WillAloneRefused);
        if publish.retain && keeps {
            if publish.body.is_empty() {
                self.retained.remove(&publish.topic);
            } else {
                self.retained.insert(publish.topic.clone(), publish.clone());
            }
        }
        let mut reached = 0;
        for (number, client) in &mut self.clients {
            let fits = |wanted: &&Filter| packet::fits(&wanted.pattern, &publish.topic);
            let wanted = client.subscriptions.iter().filter(fits);
            let Some(wanted) =
                wanted.filter(|wanted| !(wanted.no_local && *number == from)).max_by_key(|wanted| wanted.qos)
            else {
                continue;
            };
            reached += 1;
            let retain = publish.retain && keeps && wanted.as_published;
            let qos = publish.qos.min(wanted.qos);
            if !(client.is_box && self.rules.hides(&publish.topic)) {
                client.deliver(Publish { qos, retain, ..publish.clone() });
            }
        }
        reached
    }
}

impl Client {
    fn say(&self, bytes: Vec<u8>) {
        // A client that has gone needs no answer.
        let _ = self.out.send(Out::Now(bytes));
    }

    /// Closes once everything before it was written.
    fn close(&self) {
        // A client that has gone is closed already.
        let _ = self.out.send(Out::Close);
    }

    /// Closes at once.
    fn cut(&self) {
        // It may be closed already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    fn deliver(&mut self, publish: Publish) {
        if publish.qos == 0 {
            self.say(packet::publish(self.version, &publish));
        } else if self.room == 0 {
            self.waiting.push_back(publish);
        } else {
            self.room -= 1;
            self.next_packet = self.next_packet.checked_add(1).unwrap_or(1);
            self.say(packet::publish(self.version, &Publish { packet: self.next_packet, ..publish }));
        }
    }

    /// It acknowledged a delivery.
    fn acknowledged(&mut self) {
        self.room = self.room.saturating_add(1);
        if let Some(next) = self.waiting.pop_front() {
            self.deliver(next);
        }
    }
}
