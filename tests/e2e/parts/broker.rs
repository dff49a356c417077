//! A Mosquitto of one's own.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::wait::{PATIENCE, ended, signal, until};

/// Where Debian puts the broker, which is not on every user's path.
const PROGRAMS: [&str; 2] = ["/usr/sbin/mosquitto", "mosquitto"];

/// What to say when a program of Mosquitto's is not there.
pub const MISSING: &str = "install Debian's packages mosquitto and mosquitto-clients";

/// Keeps what it has over an orderly restart, and bounds no queue.
pub const KEEPING: &str = "persistence true\nmax_queued_messages 0\n";

/// Forgets everything when it ends.
pub const FORGETTING: &str = "persistence false\nmax_queued_messages 0\n";

/// A broker on a free port of the loopback; it ends when dropped.
pub struct Mosquitto {
    folder: PathBuf,
    address: SocketAddr,
    child: Option<Child>,
}

impl Mosquitto {
    /// Starts a broker that lets everyone in.
    pub fn start(folder: &Path, settings: &str) -> Self {
        Self::start_with(folder, &format!("allow_anonymous true\n{settings}"))
    }

    /// Starts a broker with exactly these settings beside its port and its folder.
    pub fn start_with(folder: &Path, settings: &str) -> Self {
        let folder = folder.join("broker");
        fs::create_dir_all(&folder).expect("a folder for the broker");
        let address = free_address();
        let config = format!(
            "user root\nlistener {} 127.0.0.1\npersistence_location {}/\nset_tcp_nodelay true\n{settings}",
            address.port(),
            folder.display()
        );
        fs::write(folder.join("mosquitto.conf"), config).expect("the broker's config");
        let mut this = Self { folder, address, child: None };
        this.start_again();
        this
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts it, and waits until it listens.
    pub fn start_again(&mut self) {
        self.child = Some(start_listening(self.address, || self.spawn(), || self.log()));
    }

    /// Ends it in order: it saves what it keeps.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal(&child, "TERM");
            ended(&mut child, PATIENCE, || "the broker does not stop".to_owned());
        }
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        end(&mut self.child);
    }

    /// Lets it read its access rules again.
    pub fn reload(&self) {
        signal(self.child.as_ref().expect("a running broker"), "HUP");
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn spawn(&self) -> Child {
        let log = File::options().create(true).append(true).open(self.folder.join("log")).expect("the broker's log");
        let program = PROGRAMS.into_iter().find(|program| Path::new(program).exists()).unwrap_or(PROGRAMS[1]);
        let config = self.folder.join("mosquitto.conf");
        let spawned =
            Command::new(program).arg("-c").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        spawned.unwrap_or_else(|error| panic!("{program}: {error}; {MISSING}"))
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// What the box may do at a broker that is not Mosquitto, under its outlet's name as user and password.
#[derive(Debug, Clone, Copy)]
pub enum Rights {
    All,
    WriteOnly,
    AllButReadingEvents,
    AllButSales,
}

/// A real broker of another make, on the loopback; it ends when dropped. Who comes without a name may do everything.
pub trait Foreign {
    /// Starts it with a folder of its own below this one.
    fn start(folder: &Path, rights: Rights) -> Self;

    fn address(&self) -> SocketAddr;

    /// Changes what the box may do, from the next start on.
    fn grant(&mut self, rights: Rights);

    fn start_again(&mut self);

    /// Ends it at once.
    fn kill(&mut self);

    fn log(&self) -> String;
}

/// Starts a broker, and waits until it listens. Another program may have its port for a moment: then it is tried again.
pub(super) fn start_listening(address: SocketAddr, spawn: impl Fn() -> Child, log: impl FnOnce() -> String) -> Child {
    let mut child = spawn();
    until(
        PATIENCE,
        || {
            if child.try_wait().expect("a child can be waited for").is_some() {
                child = spawn();
            }
            TcpStream::connect(address).ok()
        },
        || format!("the broker does not listen on {address}:\n{}", log()),
    );
    child
}

/// Ends a process at once, if it runs.
pub(super) fn end(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        let _gone_already = (child.kill(), child.wait());
    }
}

/// An address where nobody listens.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address")
}
