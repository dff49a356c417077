//! A RabbitMQ of one's own, with its plugin for MQTT. It speaks 3.1.1 alone before its version 3.13.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use super::{
    broker::{Foreign, Rights, end, free_address, start_listening},
    hq::{Access, OUTLET},
    wait::{PATIENCE, until},
};

/// Debian's own script changes the user, and knows one folder.
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// Erlang's book of nodes, one for each broker here: all nodes may bear one name then, and none outlives its test.
const EPMD: &str = "/usr/bin/epmd";

const MISSING: &str = "install Debian's package rabbitmq-server";

/// Who comes without a name may do everything; the box has the rights that a test gives it.
const OPEN: &str = "open";

pub struct RabbitMq {
    folder: PathBuf,
    address: SocketAddr,
    names: SocketAddr,
    nodes: SocketAddr,
    child: Option<Child>,
    epmd: Option<Child>,
}

impl Foreign for RabbitMq {
    fn start(folder: &Path, rights: Rights) -> Self {
        let folder = folder.join("rabbitmq");
        fs::create_dir_all(folder.join("mnesia")).expect("a folder for the broker");
        let [address, names, nodes] = [free_address(), free_address(), free_address()];
        let mut this = Self { folder, address, names, nodes, child: None, epmd: None };
        let definitions = this.path("definitions.json");
        let config = format!(
            "listeners.tcp = none\nmqtt.listeners.tcp.1 = {address}\nmqtt.allow_anonymous = true\n\
             mqtt.default_user = {OPEN}\nmqtt.default_pass = {OPEN}\nload_definitions = {definitions}\n\
             log.console = true\nlog.console.level = warning\nlog.file = false\n"
        );
        fs::write(this.path("rabbitmq.conf"), config).expect("the broker's config");
        fs::write(this.path("plugins"), "[rabbitmq_mqtt].\n").expect("the broker's plugins");
        this.grant(rights);
        this.start_again();
        this
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn grant(&mut self, rights: Rights) {
        fs::write(self.path("definitions.json"), definitions(rights).to_string()).expect("the broker's users");
    }

    fn start_again(&mut self) {
        // Before the broker, which would start one that stays.
        self.epmd = Some(start_listening(self.names, || self.spawn_epmd(), String::new));
        self.child = Some(start_listening(self.address, || self.spawn(), || self.log()));
        // It listens before its plugin has chosen a leader, and refuses everyone until then.
        until(
            PATIENCE,
            || Access::open(self.address).publish("test/up", "1", false).then_some(()),
            || format!("RabbitMQ lets nobody in:\n{}", self.log()),
        );
    }

    fn kill(&mut self) {
        end(&mut self.child);
        end(&mut self.epmd);
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl RabbitMq {
    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn spawn_epmd(&self) -> Child {
        let mut epmd = Command::new(EPMD);
        epmd.args(["-port", &self.names.port().to_string(), "-address", "127.0.0.1"]);
        epmd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        epmd.spawn().unwrap_or_else(|error| panic!("{EPMD}: {error}; {MISSING}"))
    }

    fn spawn(&self) -> Child {
        let log = File::options().create(true).append(true).open(self.path("log")).expect("the broker's log");
        let mut command = Command::new(PROGRAM);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").envs([
            // It becomes the broker then, rather than its parent; nobody is notified.
            ("RUNNING_UNDER_SYSTEMD", "1".to_owned()),
            ("HOME", self.path("")),
            ("RABBITMQ_CONF_ENV_FILE", self.path("none")),
            ("RABBITMQ_CONFIG_FILE", self.path("rabbitmq.conf")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", self.path("plugins")),
            ("RABBITMQ_MNESIA_BASE", self.path("mnesia")),
            ("RABBITMQ_LOG_BASE", self.path("")),
            ("RABBITMQ_PID_FILE", self.path("pid")),
            ("RABBITMQ_NODENAME", "tillbox@localhost".to_owned()),
            ("RABBITMQ_DIST_PORT", self.nodes.port().to_string()),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}".to_owned()),
            ("ERL_EPMD_PORT", self.names.port().to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
        ]);
        let out = log.try_clone().expect("a second handle of the log");
        let spawned = command.current_dir(&self.folder).stdin(Stdio::null()).stdout(out).stderr(log).spawn();
        spawned.unwrap_or_else(|error| panic!("{PROGRAM}: {error}; {MISSING}"))
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Users and what they may; topics are checked with `.` for `/`, and `*` for `+`.
fn definitions(rights: Rights) -> Value {
    let all = ".*";
    let (write, read) = match rights {
        Rights::All => (all, all),
        Rights::WriteOnly => (all, "^$"),
        Rights::AllButReadingEvents => (all, r"\.(checkpoint|stored|status)$"),
        Rights::AllButSales => (r"\.(events\.(hello|gap|notice|closing|quarantine)|checkpoint|status)$", all),
    };
    let users = [OPEN, OUTLET].map(|name| json!({ "name": name, "password": name, "tags": "" }));
    let permissions =
        [OPEN, OUTLET].map(|user| json!({ "user": user, "vhost": "/", "configure": all, "write": all, "read": all }));
    let topics = json!([
        { "user": OUTLET, "vhost": "/", "exchange": "amq.topic", "write": write, "read": read }
    ]);
    json!({ "vhosts": [{ "name": "/" }], "users": users, "permissions": permissions, "topic_permissions": topics })
}
