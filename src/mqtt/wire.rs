//! One MQTT 3.1.1 connection, packet by packet.
//!
//! rumqttc's own queue loses what is in it when a session is not resumed, and its `publish` does not say which packet an
//! acknowledgement belongs to. So a fresh event loop serves each connection, packets are written directly and flushed
//! in batches, and the loop's queue and its pending list are never used.

use std::{sync::Arc, time::Duration};

use rumqttc::{
    ConnectReturnCode, ConnectionError, Disconnect, Event, EventLoop, Incoming, LastWill, MqttOptions, Packet, PingReq,
    Publish, QoS, Request, StateError, Subscribe, SubscribeFilter, SubscribeReasonCode, TlsConfiguration, Transport,
};
use thiserror::Error;
use tokio::time::timeout;

use crate::{config::Broker, secret::Secret};

/// How long connecting, or writing to a connection that does not move, may take.
const IO_TIMEOUT: Duration = Duration::from_secs(10);

/// What a connection needs to be made.
#[derive(Debug, Clone)]
pub struct Connect {
    /// Where to.
    pub broker: Broker,
    /// The same at every connection of one outlet.
    pub client_id: String,
    /// Name and password.
    pub login: Option<(String, Option<Secret>)>,
    /// For `mqtts`.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// A dead peer is noticed within twice this.
    pub keep_alive: Duration,
    /// Retained last will: topic and body, if there is one.
    pub last_will: Option<(String, Vec<u8>)>,
    /// Publishes without an acknowledgement, at most.
    pub in_flight_max: u16,
    /// Largest packet body either way.
    pub packet_max_bytes: usize,
}

/// Why a connection could not be made or ended. The variants tell what to do next.
#[derive(Debug, Error)]
pub enum WireError {
    /// A person must look: waiting does not help.
    #[error("{0}")]
    Refused(String),
    /// Try again.
    #[error("{0}")]
    Lost(String),
}

/// What arrived.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrived {
    /// The broker acknowledges the packet.
    Acknowledged(u16),
    /// A message.
    Message {
        /// Its topic.
        topic: String,
        /// Its body.
        body: Vec<u8>,
    },
    /// The answer to a subscription: whether every topic was granted.
    Subscribed(bool),
}

/// An open connection.
pub struct Wire {
    event_loop: EventLoop,
    /// Something was written since the last flush.
    unflushed: bool,
}

impl Wire {
    /// Connects and logs in.
    ///
    /// # Errors
    /// The broker cannot be reached or refuses.
    pub async fn open(connect: Connect) -> Result<Self, WireError> {
        let Connect { broker, client_id, login, tls, keep_alive, last_will, in_flight_max, packet_max_bytes } = connect;
        let mut options = MqttOptions::new(client_id, broker.host, broker.port);
        options.set_clean_session(true).set_keep_alive(keep_alive).set_inflight(in_flight_max);
        options.set_max_packet_size(packet_max_bytes, packet_max_bytes);
        if let Some((topic, body)) = last_will {
            options.set_last_will(LastWill::new(topic, body, QoS::AtLeastOnce, true));
        }
        if let Some((name, password)) = login {
            options.set_credentials(name, password.as_ref().map(Secret::expose).unwrap_or_default());
        }
        if let Some(tls) = tls {
            options.set_transport(Transport::Tls(TlsConfiguration::Rustls(tls)));
        }
        let mut event_loop = EventLoop::new(options, 1);
        event_loop.network_options.set_connection_timeout(IO_TIMEOUT.as_secs());
        event_loop.network_options.set_tcp_nodelay(true);
        event_loop.poll().await.map_err(|error| describe(&error))?;
        Ok(Self { event_loop, unflushed: false })
    }

    /// Writes a publish of quality 1; gives its packet id. It leaves with the next [`Wire::flush`] at the latest.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn publish(&mut self, topic: &str, body: Vec<u8>, retain: bool) -> Result<u16, WireError> {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, body);
        publish.retain = retain;
        match self.outgoing(Request::Publish(publish))? {
            Some(Packet::Publish(publish)) => {
                let packet = publish.pkid;
                self.write(Packet::Publish(publish)).await?;
                Ok(packet)
            }
            _ => Err(WireError::Lost("the broker acknowledges out of order beyond the window".to_owned())),
        }
    }

    /// Writes a subscription to topics, quality 1.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn subscribe(&mut self, topics: impl IntoIterator<Item = String>) -> Result<(), WireError> {
        let filters = topics.into_iter().map(|topic| SubscribeFilter::new(topic, QoS::AtLeastOnce));
        self.send(Request::Subscribe(Subscribe::new_many(filters))).await
    }

    /// Writes a ping.
    ///
    /// # Errors
    /// The connection is lost, or the last ping was not answered.
    pub async fn ping(&mut self) -> Result<(), WireError> {
        self.send(Request::PingReq(PingReq)).await
    }

    /// Says goodbye, so that the last will is not sent.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn close(mut self) -> Result<(), WireError> {
        self.send(Request::Disconnect(Disconnect)).await?;
        self.flush().await
    }

    /// Hands everything written to the system.
    ///
    /// # Errors
    /// The connection is lost, or does not move.
    pub async fn flush(&mut self) -> Result<(), WireError> {
        if !std::mem::take(&mut self.unflushed) {
            return Ok(());
        }
        let network = self.event_loop.network.as_mut().ok_or_else(lost)?;
        match timeout(IO_TIMEOUT, network.flush()).await {
            Ok(result) => result.map_err(|error| describe_state(&error)),
            Err(_) => Err(WireError::Lost("the broker takes nothing any more".to_owned())),
        }
    }

    /// Waits until something arrives; [`Wire::arrived`] then gives it. Dropping this future loses nothing: at worst the
    /// acknowledgement of a message is not sent, and the broker sends that message again.
    ///
    /// # Errors
    /// The connection is lost. What arrived before is still given by [`Wire::arrived`].
    pub async fn wait(&mut self) -> Result<(), WireError> {
        let network = self.event_loop.network.as_mut().ok_or_else(lost)?;
        network.readb(&mut self.event_loop.state).await.map_err(|error| describe_state(&error))?;
        self.unflushed = true;
        Ok(())
    }

    /// The next thing that arrived.
    pub fn arrived(&mut self) -> Option<Arrived> {
        while let Some(event) = self.event_loop.state.events.pop_front() {
            match event {
                Event::Incoming(Incoming::PubAck(ack)) => return Some(Arrived::Acknowledged(ack.pkid)),
                Event::Incoming(Incoming::Publish(Publish { topic, payload, .. })) => {
                    return Some(Arrived::Message { topic, body: payload.to_vec() });
                }
                Event::Incoming(Incoming::SubAck(ack)) => {
                    let granted = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
                    return Some(Arrived::Subscribed(ack.return_codes.iter().all(granted)));
                }
                _ => {}
            }
        }
        None
    }

    async fn send(&mut self, request: Request) -> Result<(), WireError> {
        match self.outgoing(request)? {
            Some(packet) => self.write(packet).await,
            None => Ok(()),
        }
    }

    fn outgoing(&mut self, request: Request) -> Result<Option<Packet>, WireError> {
        self.event_loop.state.handle_outgoing_packet(request).map_err(|error| describe_state(&error))
    }

    async fn write(&mut self, packet: Packet) -> Result<(), WireError> {
        let network = self.event_loop.network.as_mut().ok_or_else(lost)?;
        self.unflushed = true;
        match timeout(IO_TIMEOUT, network.write(packet)).await {
            Ok(result) => result.map_err(|error| describe_state(&error)),
            Err(_) => Err(WireError::Lost("the broker takes nothing any more".to_owned())),
        }
    }
}

fn lost() -> WireError {
    WireError::Lost("the connection is closed".to_owned())
}

fn describe(error: &ConnectionError) -> WireError {
    match error {
        ConnectionError::ConnectionRefused(ConnectReturnCode::ServiceUnavailable) => {
            WireError::Lost("the broker answers that it is not available".to_owned())
        }
        ConnectionError::ConnectionRefused(code) => WireError::Refused(format!(
            "the broker refuses the login ({code:?}); check username, password, client certificate and the broker's \
             access rules for this client"
        )),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
            WireError::Lost("the broker does not answer in time".to_owned())
        }
        ConnectionError::Tls(rumqttc::TlsError::Io(error)) | ConnectionError::Io(error) => describe_io(error),
        ConnectionError::Tls(error) => WireError::Refused(format!("no secure connection to the broker: {error}")),
        ConnectionError::MqttState(error) => describe_state(error),
        other => WireError::Lost(other.to_string()),
    }
}

fn describe_state(error: &StateError) -> WireError {
    match error {
        StateError::Io(error) | StateError::Deserialization(rumqttc::mqttbytes::Error::Io(error)) => describe_io(error),
        StateError::AwaitPingResp => WireError::Lost("the broker has not answered a ping".to_owned()),
        StateError::ConnectionAborted => WireError::Lost("the broker closed the connection".to_owned()),
        other => WireError::Lost(format!("the connection broke: {other}")),
    }
}

fn describe_io(error: &std::io::Error) -> WireError {
    if error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some() {
        return WireError::Refused(format!(
            "no secure connection to the broker: {error}; check ca-certificate, client-certificate and the clock"
        ));
    }
    WireError::Lost(format!("no connection to the broker: {error}"))
}
