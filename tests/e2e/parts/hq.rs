//! Headquarters: an independent subscriber that notes every message, and says `stored` where a test wants it to.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    str::FromStr as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tillbox::{
    content::ContentId,
    event::StreamId,
    outbox::{chain_begin, chain_next},
};

use super::{
    broker::MISSING,
    record::{Message, Record},
    shop::Shop,
    wait::{PATIENCE, until},
};

pub const OUTLET: &str = "jkt-014";

/// How often the feed looks whether there is more to say.
const FEED_EVERY: Duration = Duration::from_millis(100);

/// `mosquitto_sub` with a session that the broker keeps.
pub struct Hq {
    access: Access,
    record: Arc<Mutex<Record>>,
    feeding: Arc<AtomicBool>,
    child: Child,
}

/// How Mosquitto's own clients get to the broker.
#[derive(Debug, Clone)]
pub struct Access {
    pub address: SocketAddr,
    /// More arguments: login, certificates.
    pub more: Vec<String>,
}

impl Access {
    pub fn open(address: SocketAddr) -> Self {
        Self { address, more: Vec::new() }
    }

    /// Publishes a body; false if the broker did not take it.
    pub fn publish(&self, below: &str, body: &str, retain: bool) -> bool {
        let mut command = self.client("mosquitto_pub");
        // By a pipe, as an argument has a limit.
        let body_by = if body.is_empty() { "-n" } else { "-s" };
        command.args(["-q", "1", "-t", &format!("tillbox/{OUTLET}/{below}"), body_by]);
        if retain {
            command.arg("-r");
        }
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("mosquitto_pub: {error}; {MISSING}"));
        let written = child.stdin.take().expect("a pipe").write_all(body.as_bytes());
        child.wait().expect("it ends").success() && written.is_ok()
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-h", &self.address.ip().to_string(), "-p", &self.address.port().to_string()]).args(&self.more);
        command
    }
}

impl Hq {
    /// Subscribes to everything below the prefix.
    pub fn listen(access: Access) -> Self {
        Self::listen_to(access, &["tillbox/#"])
    }

    /// Subscribes to these filters, and to the topic by which it tries whether it does.
    pub fn listen_to(access: Access, filters: &[&str]) -> Self {
        let mut command = access.client("mosquitto_sub");
        command.args(["-q", "1", "-c", "-i", "hq", "-F", "%r %t %p", "-t", "tillbox/+/test/#"]);
        command.args(filters.iter().flat_map(|filter| ["-t", filter]));
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("mosquitto_sub: {error}; {MISSING}"));
        let (record, out) = (Arc::<Mutex<Record>>::default(), child.stdout.take().expect("a pipe"));
        let noting = Arc::clone(&record);
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let mut parts = line.splitn(3, ' ');
                let (Some(retained), Some(topic), Some(body)) = (parts.next(), parts.next(), parts.next()) else {
                    continue;
                };
                let message = Message { retained: retained == "1", topic: topic.to_owned(), body: body.to_owned() };
                noting.lock().unwrap_or_else(PoisonError::into_inner).take(message);
            }
        });
        let this = Self { access, record, feeding: Arc::default(), child };
        this.wait_until_subscribed();
        this
    }

    /// A subscription that is not there yet would miss what is published.
    fn wait_until_subscribed(&self) {
        self.wait_for_ready(0);
    }

    /// Waits until it is there again, after its broker was away.
    pub fn wait_again(&self) {
        self.wait_for_ready(self.ready());
    }

    fn wait_for_ready(&self, before: usize) {
        until(
            PATIENCE,
            || {
                self.access.publish("test/ready", "1", false);
                (self.ready() > before).then_some(())
            },
            || "mosquitto_sub does not receive".to_owned(),
        );
    }

    fn ready(&self) -> usize {
        self.record().messages.iter().filter(|message| message.topic.ends_with("/test/ready")).count()
    }

    pub fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes below the outlet's base topic.
    pub fn publish(&self, below: &str, body: &str, retain: bool) {
        assert!(self.access.publish(below, body, retain), "the broker did not take a message to {below}");
    }

    /// Says `stored`, as HQ's feed does, for all that arrived and arrives without a hole, until dropped; again when a
    /// box greets, or sends what is stored already.
    pub fn feed(&self) {
        if self.feeding.swap(true, Ordering::SeqCst) {
            return;
        }
        let (access, record, feeding) = (self.access.clone(), Arc::clone(&self.record), Arc::clone(&self.feeding));
        thread::spawn(move || {
            let (mut said, mut answered) = (None, (0, 0));
            while feeding.load(Ordering::SeqCst) {
                let (now, asked) = {
                    let record = record.lock().unwrap_or_else(PoisonError::into_inner);
                    (record.stored(), (record.hellos, record.repeats))
                };
                let is_news = now != said || asked != answered;
                if is_news && now.as_ref().is_none_or(|body| access.publish("stored", &body.to_string(), true)) {
                    (said, answered) = (now, asked);
                }
                thread::park_timeout(FEED_EVERY);
            }
        });
    }

    /// Waits until the states at HQ are the shop's books, each number there once and in order.
    pub fn wait_for_books(&self, shop: &Shop, log: impl FnOnce() -> String) {
        until(
            PATIENCE,
            || self.record().differences(&shop.books()).is_empty().then_some(()),
            || {
                let differences = self.record().differences(&shop.books());
                let first: Vec<_> = differences.iter().take(10).collect();
                format!("HQ's states are not the books, {} differences: {first:#?}\n{}", differences.len(), log())
            },
        );
    }
}

impl Record {
    /// What a feed would say now.
    pub fn stored(&self) -> Option<Value> {
        let (_, through, _) = self.whole()?;
        self.stored_through(through)
    }

    /// What a feed that has stored up to a number would say.
    pub fn stored_through(&self, through: u64) -> Option<Value> {
        let (stream, _, contents) = self.whole()?;
        let generation = self.streams[stream].generation;
        let contents = contents.into_iter().take(usize::try_from(through).ok()?).map(ContentId::from_str);
        let chain = contents.flatten().fold(chain_begin(StreamId::parse(stream)?), chain_next);
        (through > 0).then(|| json!({ "stream": stream, "generation": generation, "through": through, "chain": chain }))
    }
}

impl Drop for Hq {
    fn drop(&mut self) {
        self.feeding.store(false, Ordering::SeqCst);
        let _gone_already = (self.child.kill(), self.child.wait());
    }
}
