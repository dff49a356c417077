//! A NATS of one's own, with JetStream. It speaks 3.1.1 alone.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::{
    broker::{Foreign, Rights, end, free_address, start_listening},
    hq::OUTLET,
};

const PROGRAM: &str = "/usr/sbin/nats-server";

const MISSING: &str = "install Debian's package nats-server";

pub struct Nats {
    folder: PathBuf,
    address: SocketAddr,
    /// Where it speaks its own protocol, which MQTT cannot do without.
    own: SocketAddr,
    child: Option<Child>,
}

impl Foreign for Nats {
    fn start(folder: &Path, rights: Rights) -> Self {
        let folder = folder.join("nats");
        fs::create_dir_all(&folder).expect("a folder for the broker");
        let mut this = Self { folder, address: free_address(), own: free_address(), child: None };
        this.grant(rights);
        this.start_again();
        this
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn grant(&mut self, rights: Rights) {
        let Self { folder, address, own, .. } = self;
        let denied = match rights {
            Rights::All => "",
            Rights::WriteOnly => r#"subscribe { deny: ["tillbox.>"] }"#,
            Rights::AllButReadingEvents => r#"subscribe { deny: ["tillbox.*.events.*"] }"#,
            Rights::AllButSales => r#"publish { deny: ["tillbox.*.events.transaction"] }"#,
        };
        // What HQ did not acknowledge goes out again after two seconds rather than thirty.
        let config = format!(
            "server_name: tillbox\nlisten: \"{own}\"\njetstream {{ store_dir: \"{}\" }}\n\
             mqtt {{ listen: \"{address}\", ack_wait: \"2s\", no_auth_user: \"open\" }}\n\
             accounts {{ shops {{ jetstream: enabled\n users: [\n {{ user: \"open\", password: \"open\" }}\n \
             {{ user: \"{OUTLET}\", password: \"{OUTLET}\", permissions {{ {denied} }} }}\n ] }} }}\n",
            folder.display()
        );
        fs::write(folder.join("nats.conf"), config).expect("the broker's config");
    }

    fn start_again(&mut self) {
        self.child = Some(start_listening(self.address, || self.spawn(), || self.log()));
    }

    fn kill(&mut self) {
        end(&mut self.child);
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Nats {
    fn spawn(&self) -> Child {
        let log = File::options().create(true).append(true).open(self.folder.join("log")).expect("the broker's log");
        let config = self.folder.join("nats.conf");
        let spawned =
            Command::new(PROGRAM).arg("-c").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        spawned.unwrap_or_else(|error| panic!("{PROGRAM}: {error}; {MISSING}"))
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}
