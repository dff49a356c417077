//! A line between two programs of the demonstration that can be cut, or go mute.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// How a line behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// It carries everything.
    Open,
    /// Connections are closed and refused.
    Cut,
    /// Connections stay open, and nothing is carried: what is sent is swallowed.
    Mute,
}

/// A forwarder on the loopback.
#[derive(Debug, Clone)]
pub struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    line: Mutex<Line>,
    open: Mutex<Vec<TcpStream>>,
    connections: AtomicU64,
    carried_bytes: AtomicU64,
}

impl Wire {
    /// A line to `target`.
    ///
    /// # Errors
    /// No port or thread can be had.
    pub fn to(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let shared = Arc::new(Shared {
            line: Mutex::new(Line::Open),
            open: Mutex::default(),
            connections: AtomicU64::new(0),
            carried_bytes: AtomicU64::new(0),
        });
        let wire = Self { address: listener.local_addr()?, shared: Arc::clone(&shared) };
        thread::Builder::new().name("line".to_owned()).spawn(move || {
            for near in listener.incoming().flatten() {
                if shared.line() == Line::Cut {
                    continue;
                }
                let Ok(far) = TcpStream::connect_timeout(&target, Duration::from_secs(2)) else { continue };
                shared.connections.fetch_add(1, Ordering::Relaxed);
                let _ends_with_the_connection = shared.carry(&near, &far).and_then(|()| shared.carry(&far, &near));
                shared.open.lock().unwrap_or_else(PoisonError::into_inner).extend([near, far]);
            }
        })?;
        Ok(wire)
    }

    /// Where to connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes how the line behaves from now on.
    pub fn set(&self, line: Line) {
        *self.shared.line.lock().unwrap_or_else(PoisonError::into_inner) = line;
        if line == Line::Cut {
            for stream in self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                let _closed_already = stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// Connections made over it so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Bytes carried so far, both ways.
    #[must_use]
    pub fn carried_bytes(&self) -> u64 {
        self.shared.carried_bytes.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn line(&self) -> Line {
        *self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry(self: &Arc<Self>, from: &TcpStream, to: &TcpStream) -> io::Result<()> {
        let (mut from, mut to, shared) = (from.try_clone()?, to.try_clone()?, Arc::clone(self));
        thread::Builder::new().name("line".to_owned()).spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(bytes @ 1..) = from.read(&mut buffer) {
                match shared.line() {
                    Line::Open => {
                        if to.write_all(&buffer[..bytes]).is_err() {
                            break;
                        }
                        shared.carried_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
                    }
                    Line::Mute => {}
                    Line::Cut => break,
                }
            }
            let _the_other_end_may_be_gone = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        })?;
        Ok(())
    }
}
