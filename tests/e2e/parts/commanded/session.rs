//! One connection of a broker on command: a thread that reads, and one that writes.

use std::{
    collections::VecDeque,
    io::{self, Read, Write as _},
    net::{Shutdown, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    Client, Shared, State,
    ledger::{Arrived, Connection, Ended},
    packet::{self, Connect, Filter, Greeting, Packet, Publish, Version},
    rules::{Deny, Greets, Mute, Reading, Refusal, Retain, Rules, Unreadable, Versions},
};

/// What the writing thread does.
pub(super) enum Out {
    Now(Vec<u8>),
    /// An acknowledgement, not before that.
    Acknowledgement(Instant, Vec<u8>),
    Close,
}

/// How often a reader that must not read looks whether it may.
const LOOK_EVERY: Duration = Duration::from_millis(5);

pub(super) fn begin(shared: &Arc<Shared>, stream: TcpStream) {
    let shared = Arc::clone(shared);
    let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
    thread::spawn(move || {
        // However a connection ends, it is closed once everything was written.
        let _ = serve(&shared, &stream, number);
    });
}

fn serve(shared: &Arc<Shared>, stream: &TcpStream, number: u64) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    let mut inlet = Inlet { stream: stream.try_clone()?, shared, is_box: false, owed_us: 0 };
    let Packet::Connect(connect) = packet::read(&mut inlet, Version::V311)? else { return Ok(()) };
    let (out, ordered) = channel();
    let unacknowledged = Arc::new(AtomicU32::new(0));
    let (mut writing, written) = (stream.try_clone()?, Arc::clone(&unacknowledged));
    thread::spawn(move || write(&mut writing, &ordered, &written));
    let served = talk(shared, &mut inlet, number, &connect, &out, &unacknowledged);
    // The writer may have ended already.
    let _ = out.send(Out::Close);
    served
}

fn talk(
    shared: &Arc<Shared>,
    inlet: &mut Inlet,
    number: u64,
    connect: &Connect,
    out: &Sender<Out>,
    unacknowledged: &AtomicU32,
) -> io::Result<()> {
    let Some(version) = let_in(shared, &inlet.stream, number, connect, out)? else {
        // A box that nobody answers waits as long as it likes.
        return if silent(shared, connect) { io::copy(inlet, &mut io::sink()).map(drop) } else { Ok(()) };
    };
    let (rules, is_box) = shared.state().rules_for(number);
    inlet.is_box = is_box;
    if let Some(after) = rules.close_after_connack {
        let closing = out.clone();
        thread::spawn(move || {
            let begun = Instant::now();
            while begun.elapsed() < after {
                thread::park_timeout(after.saturating_sub(begun.elapsed()));
            }
            closing.send(Out::Close)
        });
    }
    let keep_alive = rules.server_keep_alive.unwrap_or(connect.keep_alive);
    inlet.stream.set_read_timeout((keep_alive > 0).then(|| Duration::from_millis(u64::from(keep_alive) * 1_500)))?;
    let ended = loop {
        match packet::read(inlet, version) {
            Ok(Packet::Publish(publish)) => shared.state().published(number, &publish, unacknowledged),
            Ok(Packet::PubAck) => shared.state().with(number, Client::acknowledged),
            Ok(Packet::Subscribe(packet, filters)) => shared.state().subscribe(number, packet, filters),
            Ok(Packet::Unsubscribe(packet, filters)) => shared.state().unsubscribe(number, packet, &filters),
            Ok(Packet::PingReq) => {
                let mut state = shared.state();
                state.ledger.pings += usize::from(is_box);
                state.with(number, |client| client.say(packet::pingresp()));
            }
            Ok(Packet::Disconnect(reason)) => break Ended::Goodbye(reason),
            Ok(Packet::Connect(_)) => break Ended::Closed,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                break Ended::Silent;
            }
            Err(_) => break Ended::Lost,
        }
    };
    shared.state().gone(number, ended);
    Ok(())
}

fn silent(shared: &Shared, connect: &Connect) -> bool {
    let rules = &shared.state().rules;
    rules.greeting == Greets::Silence && connect.client.starts_with(rules.whom)
}

fn write(stream: &mut TcpStream, ordered: &Receiver<Out>, unacknowledged: &AtomicU32) {
    for out in ordered {
        let written = match out {
            Out::Now(bytes) => stream.write_all(&bytes),
            Out::Acknowledgement(at, bytes) => {
                while let Some(left) = at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
                    thread::park_timeout(left);
                }
                unacknowledged.fetch_sub(1, Ordering::SeqCst);
                stream.write_all(&bytes)
            }
            Out::Close => break,
        };
        if written.is_err() {
            break;
        }
    }
    // It may be closed already.
    let _ = stream.shutdown(Shutdown::Both);
}

/// Answers a CONNECT; gives the version if the client was let in.
fn let_in(
    shared: &Shared,
    stream: &TcpStream,
    number: u64,
    connect: &Connect,
    out: &Sender<Out>,
) -> io::Result<Option<Version>> {
    let mut state = shared.state();
    let is_box = connect.client.starts_with(state.rules.whom);
    let rules = if is_box { state.rules.clone() } else { Rules::default() };
    let version = match connect.level {
        4 => Some(Version::V311),
        5 => Some(Version::V5),
        _ => None,
    };
    let mut noted = Connection {
        number,
        client: connect.client.clone(),
        is_box,
        version,
        keep_alive: connect.keep_alive,
        has_will: connect.will.is_some(),
        at: Instant::now(),
        greeted: false,
        ended: None,
    };
    let refusal = refusal(&rules, version, connect);
    let say = |bytes| out.send(Out::Now(bytes)).map_err(io::Error::other);
    let Some(version) = version.filter(|_| refusal.is_none()) else {
        state.ledger.connections.push(noted);
        if let Some(bytes) = refusal.flatten() {
            say(bytes)?;
        }
        if rules.greeting != Greets::Silence {
            out.send(Out::Close).map_err(io::Error::other)?;
        }
        return Ok(None);
    };
    noted.greeted = true;
    state.ledger.connections.push(noted);
    let client = if connect.client.is_empty() { format!("unnamed-{number}") } else { connect.client.clone() };
    let before = state.clients.iter().find(|(_, known)| known.id == client).map(|(number, _)| *number);
    if let Some(before) = before {
        let tells = rules.tells_taken_over;
        state.with(before, |old| {
            if tells && old.version == Version::V5 {
                old.say(packet::disconnect(old.version, 0x8E));
            }
            old.close();
        });
        state.gone(before, Ended::TakenOver);
    }
    let greeting = Greeting {
        receive_maximum: rules.receive_maximum,
        maximum_packet: rules.announce_maximum_packet,
        no_retain: matches!(rules.retain, Retain::Ignored | Retain::WillRefused),
        keep_alive: rules.server_keep_alive,
        client: connect.client.is_empty().then(|| client.clone()),
    };
    say(packet::connack(version, 0, &greeting))?;
    let taken = Client {
        id: client,
        version,
        is_box,
        out: out.clone(),
        stream: stream.try_clone()?,
        subscriptions: Vec::new(),
        will: connect.will.clone(),
        room: connect.receive_maximum,
        waiting: VecDeque::new(),
        next_packet: 0,
    };
    state.clients.insert(number, taken);
    Ok(Some(version))
}

/// Whether a CONNECT is refused, and by what, if by anything.
#[expect(clippy::option_option, reason = "a refusal may be a bare close")]
fn refusal(rules: &Rules, version: Option<Version>, connect: &Connect) -> Option<Option<Vec<u8>>> {
    let connack = |version, code| Some(Some(packet::connack(version, code, &Greeting::default())));
    let version = match (rules.versions, version) {
        (_, None) | (Versions::Only5, Some(Version::V311)) | (Versions::Only311(Refusal::Code1), Some(Version::V5)) => {
            return connack(Version::V311, 1);
        }
        (Versions::Only311(Refusal::Code84), Some(Version::V5)) => return connack(Version::V5, 0x84),
        (Versions::Only311(Refusal::Close), Some(Version::V5)) => return Some(None),
        (_, Some(version)) => version,
    };
    let retained_will = connect.will.as_ref().is_some_and(|will| will.retain);
    match rules.greeting {
        Greets::Code(code) => connack(version, code),
        Greets::Close | Greets::Silence => Some(None),
        Greets::Well if rules.retain.refuses_wills() && retained_will => match version {
            Version::V5 => connack(version, 0x9A),
            Version::V311 => Some(None),
        },
        Greets::Well => None,
    }
}

impl State {
    fn with(&mut self, number: u64, act: impl FnOnce(&mut Client)) {
        if let Some(client) = self.clients.get_mut(&number) {
            act(client);
        }
    }

    /// The rules that hold for a connection, and whether it is a box's.
    fn rules_for(&self, number: u64) -> (Rules, bool) {
        let is_box = self.clients.get(&number).is_some_and(|client| client.is_box);
        (if is_box { self.rules.clone() } else { Rules::default() }, is_box)
    }

    /// A connection is over: its will is published if it did not take its leave.
    fn gone(&mut self, number: u64, ended: Ended) {
        let will = self.clients.get_mut(&number).and_then(|client| client.will.take());
        if let Some(will) = will.filter(|_| ended != Ended::Goodbye(0)) {
            self.ledger.wills += usize::from(self.clients[&number].is_box);
            self.route(number, &will);
        }
        if self.clients.remove(&number).is_none() {
            return;
        }
        let noted = self.ledger.connections.iter_mut().find(|connection| connection.number == number);
        if let Some(noted) = noted {
            noted.ended.get_or_insert(ended);
        }
    }

    /// The broker closes a connection; its reader notices.
    fn close(&mut self, number: u64) {
        if let Some(noted) = self.ledger.connections.iter_mut().find(|connection| connection.number == number) {
            noted.ended = Some(Ended::Closed);
        }
        self.with(number, |client| client.close());
    }

    fn published(&mut self, number: u64, publish: &Publish, unacknowledged: &AtomicU32) {
        let (rules, is_box) = self.rules_for(number);
        let Some(client) = self.clients.get(&number) else { return };
        let version = client.version;
        if self.is_closing(number) {
            return;
        }
        let mut arrived = Arrived::new(number, publish);
        let outstanding = if publish.qos > 0 { unacknowledged.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
        if publish.qos > 1 || rules.receive_maximum.is_some_and(|most| outstanding > most.into()) {
            let code = if publish.qos > 1 { 0x9B } else { 0x93 };
            self.note(arrived, is_box);
            self.with(number, |client| client.say(packet::disconnect(version, code)));
            return self.close(number);
        }
        self.ledger.events += u64::from(is_box && arrived.is_event);
        let event = self.ledger.events;
        if arrived.is_event && rules.cut_events > 0 {
            self.rules.cut_events -= 1;
            self.note(arrived, is_box);
            return self.close(number);
        }
        let denied =
            rules.denied.iter().find(|(filter, _)| packet::fits(filter, &publish.topic)).map(|(_, deny)| *deny);
        let too_large = rules.too_large.filter(|(most, _)| publish.size > *most).map(|(_, deny)| deny);
        let swallowed = rules.mute == Mute::All
            || arrived.is_event && (rules.mute == Mute::Events || rules.swallow.contains(&event));
        let lost = arrived.is_event && rules.lose_events;
        let deny = denied.or(too_large).or(swallowed.then_some(Deny::Silence)).or(lost.then_some(Deny::Acknowledge));
        let (code, disconnect, close) = match deny {
            Some(Deny::Silence) => (None, None, false),
            Some(Deny::Acknowledge) => (Some(0), None, false),
            Some(Deny::AcknowledgeThenClose) => (Some(0), None, true),
            Some(Deny::Close) => (None, None, true),
            Some(Deny::Code(code)) => (Some(code), None, false),
            Some(Deny::CodeThenDisconnect(code, reason)) => (Some(code), Some(reason), true),
            Some(Deny::Disconnect(reason)) => (None, Some(reason), true),
            None => {
                arrived.reached = self.route(number, publish);
                let nobody = arrived.reached == 0 && rules.tells_of_nobody;
                (Some(if nobody { 0x10 } else { 0 }), None, arrived.is_event && rules.close_behind_puback)
            }
        };
        let code = code.filter(|_| publish.qos > 0).map(|code| if version == Version::V5 { code } else { 0 });
        arrived.answer = code;
        self.note(arrived, is_box);
        self.with(number, |client| {
            if let Some(code) = code {
                let at = Instant::now() + rules.acknowledge_after;
                // A client that has gone needs no answer.
                let _ = client.out.send(Out::Acknowledgement(at, packet::puback(version, publish.packet, code)));
            }
            if let Some(reason) = disconnect {
                client.say(packet::disconnect(version, reason));
            }
        });
        if close {
            self.close(number);
        }
    }

    fn is_closing(&self, number: u64) -> bool {
        let mut connections = self.ledger.connections.iter().rev();
        connections.find(|connection| connection.number == number).is_some_and(|found| found.ended.is_some())
    }

    fn note(&mut self, arrived: Arrived, is_box: bool) {
        if is_box {
            self.ledger.arrived.push(arrived);
        }
    }

    fn subscribe(&mut self, number: u64, packet: u16, filters: Vec<Filter>) {
        let (rules, is_box) = self.rules_for(number);
        let Some(client) = self.clients.get_mut(&number) else { return };
        let (mut codes, mut retained) = (Vec::new(), Vec::new());
        for filter in filters {
            let refused = rules.unreadable.iter().find(|(hidden, _)| packet::fits(hidden, &filter.pattern));
            if let Some((_, Unreadable::Close)) = refused {
                return self.close(number);
            }
            if let Some((_, Unreadable::Code(code))) = refused {
                codes.push(if client.version == Version::V5 { *code } else { 0x80 });
                continue;
            }
            codes.push(filter.qos);
            let known = client.subscriptions.iter().position(|known| known.pattern == filter.pattern);
            if filter.retain_handling == 0 || filter.retain_handling == 1 && known.is_none() {
                let kept = self.retained.values().filter(|kept| packet::fits(&filter.pattern, &kept.topic));
                let shown = kept.filter(|kept| !rules.hides(&kept.topic));
                retained.extend(shown.map(|kept| Publish { qos: kept.qos.min(filter.qos), ..kept.clone() }));
            }
            if is_box {
                self.ledger.subscribed.push((number, filter.pattern.clone(), true));
            }
            match known {
                Some(at) => client.subscriptions[at] = filter,
                None => client.subscriptions.push(filter),
            }
        }
        client.say(packet::suback(client.version, packet, &codes));
        for publish in retained {
            client.deliver(publish);
        }
    }

    fn unsubscribe(&mut self, number: u64, packet: u16, filters: &[String]) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        client.subscriptions.retain(|known| !filters.contains(&known.pattern));
        client.say(packet::unsuback(client.version, packet, filters.len()));
        if client.is_box {
            self.ledger.subscribed.extend(filters.iter().map(|filter| (number, filter.clone(), false)));
        }
    }
}

impl Rules {
    /// Whether boxes get nothing of a topic.
    pub(super) fn hides(&self, topic: &str) -> bool {
        self.unreadable.iter().any(|(hidden, _)| packet::fits(hidden, topic))
    }
}

/// A socket that is read as the rules allow.
struct Inlet<'a> {
    stream: TcpStream,
    shared: &'a Shared,
    is_box: bool,
    owed_us: u64,
}

impl Read for Inlet<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let reading = if self.is_box { self.shared.state().rules.reading } else { Reading::All };
            match reading {
                Reading::All => return self.stream.read(buffer),
                Reading::Nothing => {
                    if self.stream.take_error()?.is_some() {
                        return Ok(0);
                    }
                    thread::park_timeout(LOOK_EVERY);
                }
                Reading::BytesPerSecond(rate) => {
                    let part = buffer.len().min((rate / 20).max(1));
                    let read = self.stream.read(&mut buffer[..part])?;
                    self.owed_us += u64::try_from(read * 1_000_000 / rate.max(1)).expect("a short time");
                    let owed = Duration::from_micros(self.owed_us);
                    if owed >= LOOK_EVERY {
                        thread::park_timeout(owed);
                        self.owed_us = 0;
                    }
                    return Ok(read);
                }
            }
        }
    }
}
