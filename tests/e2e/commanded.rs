//! The broker on command is tried itself: with Mosquitto's clients in both versions, and with the codecs that the box
//! uses. A test is worth what its broker is.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use rumqttc::{
    mqttbytes::{QoS, v4},
    v5::mqttbytes::{QoS as QoS5, v5},
};

use crate::parts::{
    broker::MISSING,
    commanded::{Commanded, Deny, Ended, Greets, Mute, Reading, Refusal, Retain, Rules, Unreadable, Versions},
    wait::{PATIENCE, until},
};

const VERSIONS: [&str; 2] = ["311", "5"];

fn client(program: &str, address: SocketAddr, version: &str, more: &[&str]) -> Command {
    let mut command = Command::new(program);
    let port = address.port().to_string();
    command.args(["-h", "127.0.0.1", "-p", &port, "-V", version, "-q", "1"]).args(more);
    command
}

/// Runs `mosquitto_pub` as a box.
fn publish(address: SocketAddr, version: &str, more: &[&str]) -> Output {
    let more = [&["-i", "tillbox-1"], more].concat();
    let output = client("mosquitto_pub", address, version, &more).output();
    output.unwrap_or_else(|error| panic!("mosquitto_pub: {error}; {MISSING}"))
}

fn subscribe(address: SocketAddr, version: &str, more: &[&str]) -> Child {
    let mut command = client("mosquitto_sub", address, version, more);
    command.args(["-F", "%r %q %t %p"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap_or_else(|error| panic!("mosquitto_sub: {error}; {MISSING}"))
}

fn said(child: Child) -> String {
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn wait_for_subscription(broker: &Commanded) {
    until(PATIENCE, || (broker.subscriptions() == 2).then_some(()), || "nobody subscribes".to_owned());
    // Delivered as everything else, and kept for nobody.
    broker.publish("ready", "1", false);
}

#[test]
fn mosquitto_s_clients_publish_subscribe_and_get_what_is_retained_in_both_versions() {
    for (from, to) in VERSIONS.into_iter().flat_map(|from| VERSIONS.map(|to| (from, to))) {
        let mut broker = Commanded::start(Rules::default());
        let address = broker.address();
        let hq = subscribe(address, to, &["-i", "hq", "-t", "a/+/c", "-t", "ready", "-C", "4", "-W", "30"]);
        wait_for_subscription(&broker);
        for (topic, body) in [("a/b/c", "one"), ("a/b", "nobody's"), ("a/x/c", "two")] {
            let output = publish(address, from, &["-t", topic, "-m", body]);
            assert!(output.status.success(), "{output:?}");
        }
        assert!(publish(address, from, &["-r", "-t", "a/r/c", "-m", "kept"]).status.success());
        let got = said(hq);
        let got: Vec<&str> = got.lines().filter(|line| !line.ends_with("ready 1")).collect();
        assert_eq!(got, ["0 1 a/b/c one", "0 1 a/x/c two", "0 1 a/r/c kept"]);

        broker.restart(false);
        let got = said(subscribe(address, to, &["-t", "a/#", "-C", "1", "-W", "30"]));
        assert_eq!(got, "1 1 a/r/c kept\n");
        broker.restart(true);
        assert_eq!(broker.retained("a/r/c"), None);

        let answers: Vec<_> = broker.seen(|seen| seen.arrived.iter().map(|one| (one.reached, one.answer)).collect());
        let nobody = if from == "5" { 0x10 } else { 0 };
        assert_eq!(answers, [(1, Some(0)), (0, Some(nobody)), (1, Some(0)), (1, Some(0))]);
        broker.seen(|seen| assert_eq!((seen.sessions(), seen.wills), (4, 0)));
    }
}

#[test]
fn a_will_is_published_when_a_client_goes_without_a_word_and_when_its_id_is_taken() {
    for version in VERSIONS {
        let broker = Commanded::start(Rules::default());
        let will = ["--will-topic", "will", "--will-payload", "gone", "--will-retain", "-t", "x", "-i", "tillbox-1"];
        let mut first = subscribe(broker.address(), version, &will);
        until(PATIENCE, || (broker.seen(|seen| seen.subscribed.len()) == 1).then_some(()), String::new);
        let mut second = subscribe(broker.address(), version, &will);
        until(PATIENCE, || (broker.seen(|seen| seen.wills) >= 1).then_some(()), String::new);
        broker.seen(|seen| assert_eq!(seen.connections[0].ended, Some(Ended::TakenOver)));
        first.kill().expect("it runs");
        first.wait().expect("it ends");
        assert_eq!(broker.retained("will").as_deref(), Some("gone"));
        let wills = broker.seen(|seen| seen.wills);
        second.kill().expect("it runs");
        second.wait().expect("it ends");
        until(PATIENCE, || (broker.seen(|seen| seen.wills) > wills).then_some(()), String::new);
    }
}

#[test]
fn version_5_is_refused_in_three_ways_and_3_1_1_is_let_in() {
    for refusal in [Refusal::Code1, Refusal::Code84, Refusal::Close] {
        let rules = Rules { versions: Versions::Only311(refusal), ..Rules::default() };
        let broker = Commanded::start(rules);
        assert!(publish(broker.address(), "311", &["-t", "t", "-m", "x"]).status.success());
        let got = raw(broker.address(), &connect_5());
        let expected: &[u8] = match refusal {
            Refusal::Code1 => &[0x20, 2, 0, 1],
            Refusal::Code84 => &[0x20, 3, 0, 0x84, 0],
            Refusal::Close => &[],
        };
        assert_eq!(got, expected);
    }
    let broker = Commanded::start(Rules { versions: Versions::Only5, ..Rules::default() });
    assert!(publish(broker.address(), "5", &["-t", "t", "-m", "x"]).status.success());
    assert!(!publish(broker.address(), "311", &["-t", "t", "-m", "x"]).status.success());
    broker.command(|rules| rules.greeting = Greets::Code(0x89));
    assert_eq!(raw(broker.address(), &connect_5()), [0x20, 3, 0, 0x89, 0]);
}

#[test]
fn what_is_announced_is_read_by_the_codec_of_the_box() {
    let broker = Commanded::start(Rules {
        receive_maximum: Some(10),
        announce_maximum_packet: Some(4_096),
        server_keep_alive: Some(7),
        retain: Retain::Ignored,
        ..Rules::default()
    });
    let mut line = Line5::to(broker.address());
    let v5::Packet::ConnAck(greeted) = line.next().expect("a CONNACK") else { panic!("no CONNACK") };
    let said = greeted.properties.expect("properties");
    let said = (said.receive_max, said.max_packet_size, said.server_keep_alive, said.retain_available);
    assert_eq!(said, (Some(10), Some(4_096), Some(7), Some(0)));

    broker.command(|rules| rules.acknowledge_after = Duration::from_millis(200));
    for number in 1..=11 {
        line.publish(number, "tillbox/x/events/transaction", b"{}");
    }
    let answers: Vec<_> = std::iter::from_fn(|| line.next()).collect();
    let Some(v5::Packet::Disconnect(goodbye)) = answers.last() else { panic!("{answers:?}") };
    assert_eq!(goodbye.reason_code, v5::DisconnectReasonCode::ReceiveMaximumExceeded);
}

#[test]
fn each_denial_answers_as_it_is_told() {
    let event = "tillbox/x/events/transaction";
    // What 3.1.1 says, what 5 says, and whether a close follows.
    let denials: [(Deny, &[u8], &[u8], bool); 7] = [
        (Deny::Silence, &[], &[], false),
        (Deny::Acknowledge, &[0x40, 2, 0, 1], &[0x40, 2, 0, 1], false),
        (Deny::AcknowledgeThenClose, &[0x40, 2, 0, 1], &[0x40, 2, 0, 1], true),
        (Deny::Close, &[], &[], true),
        (Deny::Code(0xA5), &[0x40, 2, 0, 1], &[0x40, 3, 0, 1, 0xA5], false),
        (
            Deny::CodeThenDisconnect(0x87, 0x87),
            &[0x40, 2, 0, 1, 0xE0, 0],
            &[0x40, 3, 0, 1, 0x87, 0xE0, 2, 0x87, 0],
            true,
        ),
        (Deny::Disconnect(0x97), &[0xE0, 0], &[0xE0, 2, 0x97, 0], true),
    ];
    for (deny, in_311, in_5, closes) in denials {
        for version in [4, 5] {
            let broker = Commanded::start(Rules { denied: vec![(event.to_owned(), deny)], ..Rules::default() });
            let greeting: &[u8] = if version == 5 { &[0x20, 5, 0, 0, 2, 0x24, 1] } else { &[0x20, 2, 0, 0] };
            let mut sent = if version == 5 { connect_5() } else { connect_4() };
            sent.extend(publish_bytes(version, event, b"{}"));
            if !closes {
                sent.extend([0xC0, 0, 0xE0, 0]);
            }
            let answer = if version == 5 { in_5 } else { in_311 };
            let pong: &[u8] = if closes { &[] } else { &[0xD0, 0] };
            let expected = [greeting, answer, pong].concat();
            assert_eq!(raw(broker.address(), &sent), expected, "{deny:?} in version {version}");
            let answered = broker.seen(|seen| seen.arrived.iter().map(|one| (one.reached, one.answer)).next());
            assert_eq!(
                answered.map(|(reached, answer)| (reached, answer.is_some())),
                Some((0, answer.len() > 2 && answer[0] == 0x40))
            );
        }
    }
}

#[test]
fn events_are_swallowed_and_lost_while_what_is_none_passes() {
    let broker = Commanded::start(Rules { mute: Mute::Events, ..Rules::default() });
    let mut line = Line5::to(broker.address());
    line.next().expect("a CONNACK");
    let event = "tillbox/x/events/transaction";
    line.publish(1, event, b"{}");
    line.publish(2, event, br#"{"type":"tillbox.hello.v1"}"#);
    line.publish(3, "tillbox/x/status", b"{}");
    assert_eq!((line.acknowledged(), line.acknowledged()), (Some(2), Some(3)));
    broker.command(|rules| (rules.mute, rules.swallow) = (Mute::Off, vec![3]));
    line.publish(4, event, b"{}");
    line.publish(5, event, b"{}");
    line.publish(6, event, b"{}");
    assert_eq!((line.acknowledged(), line.acknowledged()), (Some(4), Some(6)));
    broker.command(|rules| rules.too_large = Some((100, Deny::Code(0x95))));
    line.publish(7, event, &[b'x'; 200]);
    line.publish(8, event, &[b'x'; 20]);
    // The codec of the box refuses a PUBACK 0x95, so it is read as bytes.
    assert_eq!(line.bytes(9), [0x40, 3, 0, 7, 0x95, 0x40, 3, 0, 8]);
    broker.seen(|seen| {
        let answers: Vec<_> = seen.arrived.iter().map(|one| one.answer).collect();
        let no = Some(0x10);
        assert_eq!(answers, [None, no, no, no, None, no, Some(0x95), no]);
        assert_eq!((seen.events, seen.delivered()), (6, 0));
        let packets: Vec<_> = seen.arrived.iter().map(|one| (one.connection, one.packet, one.repeated)).collect();
        let expected: Vec<_> = (1..=8).map(|packet| (1, packet, false)).collect();
        assert_eq!(packets, expected);
        assert_eq!((seen.connections[0].keep_alive, seen.connections[0].has_will), (30, false));
    });
}

#[test]
fn it_stops_reading_and_reads_slowly() {
    let broker = Commanded::start_with(Rules { reading: Reading::Nothing, ..Rules::default() }, Some(4_096));
    let mut line = Line5::to(broker.address());
    line.next().expect("a CONNACK");
    line.stream.set_write_timeout(Some(Duration::from_millis(500))).expect("a time-out");
    let stuck = (0..200).any(|_| line.stream.write_all(&publish_bytes(5, "t", &vec![b'x'; 60_000])).is_err());
    assert!(stuck, "all was taken");

    broker.command(|rules| rules.reading = Reading::BytesPerSecond(20_000));
    let mut line = Line5::to(broker.address());
    line.next().expect("a CONNACK");
    let begun = Instant::now();
    line.publish(1, "t", &[b'x'; 10_000]);
    line.acknowledged().expect("a PUBACK");
    assert!((400..3_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

#[test]
fn reading_a_topic_can_be_denied_and_a_silent_client_is_closed() {
    let hidden = |how| Rules { unreadable: vec![("a/b".to_owned(), how)], ..Rules::default() };
    for (how, code) in [(Unreadable::Silence, 1), (Unreadable::Code(0x87), 0x87)] {
        let broker = Commanded::start(hidden(how));
        broker.publish("a/b", "secret", true);
        let sent = [connect_5(), vec![0x82, 9, 0, 1, 0, 0, 3], b"a/b".to_vec(), vec![1, 0xC0, 0, 0xE0, 0]].concat();
        let got = raw(broker.address(), &sent);
        assert_eq!(got[7..], [0x90, 4, 0, 1, 0, code, 0xD0, 0]);
    }
    let broker = Commanded::start(Rules { server_keep_alive: Some(1), ..Rules::default() });
    let begun = Instant::now();
    raw(broker.address(), &connect_5());
    assert!(begun.elapsed() >= Duration::from_millis(1_400));
    broker.seen(|seen| assert_eq!(seen.connections[0].ended, Some(Ended::Silent)));

    let broker = Commanded::start(Rules { close_after_connack: Some(Duration::from_millis(50)), ..Rules::default() });
    assert_eq!(raw(broker.address(), &connect_5()).len(), 7);
    let broker = Commanded::start(Rules { cut_events: 1, ..Rules::default() });
    for expected in [7, 7 + 5 + 2] {
        let mut sent = [connect_5(), publish_bytes(5, "a/events/b", b"{}")].concat();
        sent.extend([0xC0, 0, 0xE0, 0]);
        assert_eq!(raw(broker.address(), &sent).len(), expected);
    }
}

/// Sends bytes, and gives all that comes until the end.
fn raw(address: SocketAddr, sent: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(sent).expect("it takes");
    let mut got = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut got);
    got
}

fn connect_5() -> Vec<u8> {
    let connect =
        v5::Connect { keep_alive: 30, client_id: "tillbox-1".to_owned(), clean_start: true, properties: None };
    let mut bytes = BytesMut::new();
    v5::Packet::Connect(connect, None, None).write(&mut bytes, None).expect("a packet");
    bytes.to_vec()
}

fn connect_4() -> Vec<u8> {
    let mut bytes = BytesMut::new();
    v4::Connect::new("tillbox-1").write(&mut bytes).expect("a packet");
    bytes.to_vec()
}

fn publish_bytes(version: u8, topic: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    if version == 5 {
        let mut packet = v5::Publish::new(topic, QoS5::AtLeastOnce, body.to_vec(), None);
        packet.pkid = 1;
        packet.write(&mut bytes).expect("a packet");
    } else {
        let mut packet = v4::Publish::new(topic, QoS::AtLeastOnce, body.to_vec());
        packet.pkid = 1;
        packet.write(&mut bytes).expect("a packet");
    }
    bytes.to_vec()
}

/// A client of version 5 over the codec of the box.
struct Line5 {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Line5 {
    fn to(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(&connect_5()).expect("it takes");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
        Self { stream, buffer: BytesMut::new() }
    }

    fn publish(&mut self, number: u16, topic: &str, body: &[u8]) {
        let mut packet = v5::Publish::new(topic, QoS5::AtLeastOnce, body.to_vec(), None);
        packet.pkid = number;
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes).expect("a packet");
        // A broker that closes may be gone before all is written.
        let _ = self.stream.write_all(&bytes);
    }

    fn next(&mut self) -> Option<v5::Packet> {
        loop {
            if let Ok(packet) = v5::Packet::read(&mut self.buffer, None) {
                return Some(packet);
            }
            let mut part = [0; 1_024];
            let read = self.stream.read(&mut part).ok().filter(|read| *read > 0)?;
            self.buffer.extend_from_slice(&part[..read]);
        }
    }

    fn acknowledged(&mut self) -> Option<u16> {
        match self.next()? {
            v5::Packet::PubAck(acknowledgement) => Some(acknowledgement.pkid),
            other => panic!("{other:?}"),
        }
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let mut got = vec![0; most];
        self.stream.read_exact(&mut got).expect("bytes");
        got
    }
}

#[test]
fn a_connect_that_is_met_with_silence_stays_open() {
    let broker = Commanded::start(Rules { greeting: Greets::Silence, ..Rules::default() });
    let mut stream = TcpStream::connect(broker.address()).expect("it listens");
    stream.write_all(&connect_5()).expect("it takes");
    stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a time-out");
    assert!(stream.read(&mut [0]).is_err(), "something came");
}
