//! The way to a broker: name, TCP, and TLS where it is configured.

use std::{
    io,
    net::SocketAddr,
    os::fd::AsFd as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpSocket, TcpStream, lookup_host},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{queued, wire::WireError};
use crate::{clock::Clock, config::Broker, tls::fault::TlsFault};

/// The system holds about twice this, at most, of what was written and not yet taken by the broker: the kernel doubles what
/// it is asked for.
const SEND_BUFFER_BYTES: u32 = 128 * 1024;

/// A TCP connection that counts what was written to it.
#[derive(Debug)]
pub struct Metered {
    tcp: TcpStream,
    written: u64,
}

impl Metered {
    /// Bytes that the other side's system has taken.
    fn taken(&self) -> u64 {
        self.written.saturating_sub(queued::bytes(self.tcp.as_fd()))
    }
}

/// An open way to a broker.
#[derive(Debug)]
pub enum Stream {
    /// In clear.
    Plain(Metered),
    /// Under TLS.
    Secured(Box<TlsStream<Metered>>),
}

impl Stream {
    /// Connects to the first of the broker's addresses that answers, and secures the connection with `tls` if it is given.
    ///
    /// # Errors
    /// No address answers, or TLS fails.
    pub async fn open(broker: &Broker, tls: Option<Arc<rustls::ClientConfig>>) -> Result<Self, WireError> {
        let addresses = lookup_host((broker.host.as_str(), broker.port)).await.map_err(|error| {
            WireError::Lost(format!("no address of {} is found: {error}; check the name and the network", broker.host))
        })?;
        let mut refused = None;
        for address in addresses {
            match connect(address).await {
                Ok(tcp) => return secure(Metered { tcp, written: 0 }, broker, tls).await,
                Err(error) => refused = Some(error),
            }
        }
        let error = refused.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "its name has no address"));
        Err(describe_io(&error))
    }

    /// Bytes that the broker's side has taken so far: so a slow line is told from a dead one.
    pub fn taken(&self) -> u64 {
        match self {
            Self::Plain(metered) => metered.taken(),
            Self::Secured(tls) => tls.get_ref().0.taken(),
        }
    }

    pub(super) fn poll_read(&mut self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(metered) => Pin::new(metered).poll_read(context, into),
            Self::Secured(tls) => Pin::new(tls).poll_read(context, into),
        }
    }

    pub(super) fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(metered) => Pin::new(metered).poll_write(context, bytes),
            Self::Secured(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(metered) => Pin::new(metered).poll_flush(context),
            Self::Secured(tls) => Pin::new(tls).poll_flush(context),
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    let tcp = socket.connect(address).await?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

async fn secure(
    metered: Metered,
    broker: &Broker,
    tls: Option<Arc<rustls::ClientConfig>>,
) -> Result<Stream, WireError> {
    let Some(tls) = tls else { return Ok(Stream::Plain(metered)) };
    let name = ServerName::try_from(broker.host.clone())
        .map_err(|_| WireError::Refused(format!("{} is no name that a certificate can have", broker.host)))?;
    let secured = TlsConnector::from(tls).connect(name, metered).await.map_err(|error| describe_io(&error))?;
    Ok(Stream::Secured(Box::new(secured)))
}

/// What an error of the system means to a person: a fault of TLS does not pass by waiting.
pub(super) fn describe_io(error: &io::Error) -> WireError {
    if let Some(cause) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        let TlsFault { found, remedy } = TlsFault::of(cause, "brokers", Clock::system().now());
        return WireError::Refused(format!("no secure connection to the broker: {found}; {remedy}"));
    }
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
            WireError::closed()
        }
        _ => WireError::Lost(format!("no connection to the broker: {error}")),
    }
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(context, into)
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.tcp).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = wrote {
            self.written += count as u64;
        }
        wrote
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
