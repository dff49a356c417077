//! What `tillbox status` shows a person.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Connection, Hq, Overview, Queue, Standing, Trouble, told};
use crate::{
    board::profile::Light,
    health::Condition,
    page::write::Writer,
    plain::plain,
    texts::{Language, lights},
    zone::Zone,
};

/// The box in lines; times are the outlet's.
#[must_use]
pub fn status(overview: &Overview, zone: &Zone) -> String {
    let writer = Writer { language: Language::English, zone, now: overview.at };
    let mut lines = Lines { text: String::new(), writer };
    let Overview { version, outlet, name, up_since, .. } = overview;
    let name = name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    lines.add("outlet", &format!("{outlet}{name}, {}", zone.name()));
    lines.add("tillbox", &format!("{version}, up since {}", lines.when(*up_since)));
    let told = told::gravest(overview, Language::English);
    lines.add("state", &told.meaning);
    lines.add("to do", &told.to_do);
    for told in told::remedies(overview, Language::English) {
        lines.add("cause", &told.meaning);
        lines.add("remedy", &told.to_do);
    }
    lines.blank();
    for light in Light::ALL {
        let pattern = overview.lights.of(light);
        let meaning = told::told(overview, light, Language::English).meaning;
        let (name, lit) = (light.name(), lights::pattern(pattern).of(Language::English));
        lines.add("light", &format!("{name:<6}{lit:<14} {meaning}"));
    }
    lines.blank();
    hq(&mut lines, overview);
    for connection in &overview.connections {
        lines.blank();
        pos(&mut lines, overview, connection);
    }
    lines.blank();
    match &overview.outbox {
        Some(queue) => outbox(&mut lines, &overview.hq, queue),
        None => lines.add("outbox", "the store is not open"),
    }
    if let Some(sales) = &overview.sales {
        let last = |at: Option<DateTime<Utc>>| at.map_or_else(|| "none in 24 hours".to_owned(), |at| lines.when(at));
        let place = if overview.hq.confirms() { "at headquarters" } else { "with the broker" };
        let text = format!("last seen {}; last {place} {}", last(sales.last_seen), last(sales.last_delivered));
        lines.add("sales", &text);
        let total = sales.total();
        lines.add("", &format!("in 24 hours {}, of these {place} {}", total.seen, total.delivered));
    }
    unproven(&mut lines, overview);
    lines.blank();
    for trouble in overview.conditions.iter().filter(|trouble| trouble.connection.is_none() && !trouble.is_of_hq()) {
        lines.trouble(trouble);
    }
    let bytes = overview.disk_free_bytes.map_or_else(|| "unknown".to_owned(), |bytes| writer.bytes(bytes));
    lines.add("disk", &format!("{bytes} free"));
    let clock = overview.clock_difference_s().map_or_else(
        || "no point of sale has told its time yet".to_owned(),
        |seconds| {
            let by = writer.difference(seconds);
            match seconds {
                0 => "as the point of sale's".to_owned(),
                ..0 => format!("{by} ahead of the point of sale's"),
                _ => format!("{by} behind the point of sale's"),
            }
        },
    );
    lines.add("clock", &clock);
    if let Some(at) = overview.temperature_millicelsius {
        lines.add("heat", &writer.temperature(at));
    }
    lines.text
}

fn hq(lines: &mut Lines<'_>, overview: &Overview) {
    let hq = &overview.hq;
    let broker = hq.broker.as_deref().unwrap_or("no broker was reached yet");
    let protocol = hq.protocol.as_deref().map(|of| format!(" (MQTT {of})")).unwrap_or_default();
    let standing = match hq.standing {
        // A line that stands and on which nothing moves is another thing than none.
        Standing::Waiting if !overview.holds(Condition::HqUnreachable) => "sales are kept here; it is tried again",
        standing => word(standing),
    };
    lines.add("hq", &format!("{broker}{protocol}: {standing}, since {}", lines.when(hq.since)));
    let until = if hq.confirms() {
        "headquarters has stored it"
    } else {
        "the broker has it; what becomes of it there only headquarters can tell"
    };
    lines.add("", &format!("a sale is kept until {until}"));
    if hq.hears_of_no_listener() {
        lines.add("", "not proven: sales are with the broker; whether headquarters listens, MQTT 3.1.1 does not tell");
    }
    if hq.unproven_echo {
        lines.add("", "not proven: the broker's bare word counts (hq.echo = none)");
    }
    overview.conditions.iter().filter(|trouble| trouble.is_of_hq()).for_each(|trouble| lines.trouble(trouble));
}

fn pos(lines: &mut Lines<'_>, overview: &Overview, of: &Connection) {
    let (standing, since) = (word(of.standing), lines.when(of.standing_since));
    lines.add("pos", &format!("{} ({}): {standing}, since {since}", of.name, of.system));
    lines.add("", &format!("account {}", of.identity.as_deref().unwrap_or("not known yet")));
    let at = |at: Option<DateTime<Utc>>| at.map_or_else(|| "nothing yet".to_owned(), |at| lines.when(at));
    let read_since = of.read_since.map(|since| format!(", from {} on", lines.when(since))).unwrap_or_default();
    let read = format!("read up to {}{read_since}; last answer {}", at(of.watermark), at(of.last_answer));
    lines.add("", &read);
    overview.troubles_of(&of.name).for_each(|trouble| lines.trouble(trouble));
    for note in &of.notes {
        lines.add("", &format!("note: {note}"));
    }
}

fn outbox(lines: &mut Lines<'_>, hq: &Hq, queue: &Queue) {
    let mut waits = waits(queue, hq.confirms()).into_iter();
    lines.add("outbox", &waits.next().unwrap_or_default());
    waits.for_each(|line| lines.add("", &line));
    if let Some(since) = hq.feed_waits_since.filter(|_| queue.waiting_for_hq > 0) {
        lines.add("", &format!("headquarters' word is waited for since {}", lines.when(since)));
    }
    if queue.undelivered > 0 {
        let oldest = queue.oldest_undelivered.map(|at| format!("the oldest is of {}; ", lines.when(at)));
        let time = queue.drained_in_s.and_then(|seconds| i64::try_from(seconds).ok()).map_or_else(
            || "how long it takes until all is delivered is unknown, as nothing moves".to_owned(),
            |seconds| format!("about {} until all is delivered", lines.writer.span(TimeDelta::seconds(seconds))),
        );
        lines.add("", &format!("{}{time}", oldest.unwrap_or_default()));
    }
    for line in room(queue, |bytes| lines.writer.bytes(bytes)) {
        lines.add("", &line);
    }
    if let Some(reason) = &queue.closed {
        lines.add("", &format!("the store is closed: {reason}"));
    }
}

/// What waits for whom, in lines; `confirms` says whether HQ confirms what it has, or only the broker does.
#[must_use]
pub fn waits(queue: &Queue, confirms: bool) -> Vec<String> {
    let wait = |number: u64, for_whom: &str| match number {
        1 => format!("1 event waits for {for_whom}"),
        _ => format!("{number} events wait for {for_whom}"),
    };
    let mut lines = Vec::new();
    if queue.waiting_for_broker > 0 {
        lines.push(wait(queue.waiting_for_broker, "the broker"));
    }
    if queue.waiting_for_hq > 0 {
        let it = if queue.waiting_for_hq == 1 { "it" } else { "them" };
        let wait = wait(queue.waiting_for_hq, "headquarters' word");
        lines.push(format!("{wait}: the broker has {it}; headquarters has not confirmed {it}"));
    }
    if lines.is_empty() {
        let by_whom = match (queue.durable, confirms) {
            (0, _) => "there is no event yet",
            (_, true) => "headquarters has confirmed every event",
            (_, false) => "the broker has every event",
        };
        lines.push(format!("nothing waits: {by_whom}"));
    }
    lines
}

/// What the card takes, in lines, and what the limits mean.
pub fn room(queue: &Queue, bytes: impl Fn(u64) -> String) -> [String; 2] {
    let Queue { queued_bytes, limit_bytes, kept_bytes, max_bytes, .. } = queue;
    let kept = match kept_bytes {
        0 => "no delivered event is still kept".to_owned(),
        _ => format!("{} by delivered events that are kept until that room is needed", bytes(*kept_bytes)),
    };
    let what = match (queue.undelivered, queue.just_left()) {
        (_, 0) => "what waits",
        (0, _) => "what has just left and is let go within five minutes",
        _ => "what waits and what has just left",
    };
    [
        format!("{} of {} used by {what} ({} %); {kept}", bytes(*queued_bytes), bytes(*limit_bytes), queue.percent()),
        format!("outbox.max-size is {}, with what the store needs for itself", bytes(*max_bytes)),
    ]
}

fn unproven(lines: &mut Lines<'_>, overview: &Overview) {
    lines.add("gaps", &count(overview.open_gaps, "interval is", "intervals are", "not proven complete"));
    for gap in &overview.gaps {
        let (from, to) = (lines.when(gap.from), lines.when(gap.to));
        let ends = if gap.reason.needs_a_person() && !gap.handle.is_empty() {
            format!("; only a person can end it: `tillbox outbox close-gap {}`", gap.handle)
        } else {
            String::new()
        };
        lines.add("", &format!("{}: {from} to {to}, {}{ends}", gap.connection, gap.reason.name()));
    }
    if overview.open_gaps > overview.gaps.len() {
        lines.add("", &format!("and {} more", overview.open_gaps - overview.gaps.len()));
    }
    lines.add("aside", &count(overview.put_aside(), "record is", "records are", "put aside, as it cannot be read"));
    if overview.put_aside() > 0 {
        lines.add("", "`tillbox outbox gaps` names them, and how a person dismisses them");
    }
}

fn count(number: usize, one: &str, many: &str, what: &str) -> String {
    match number {
        0 => "none".to_owned(),
        1 => format!("1 {one} {what}"),
        _ => format!("{number} {many} {}", what.replace("it cannot", "they cannot")),
    }
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Starting => "starting",
        Standing::Fine => "works",
        Standing::CatchingUp => "works, and reads older records",
        Standing::Waiting => "does not work; it is tried again",
        Standing::NeedsTechnician => "needs a technician",
    }
}

struct Lines<'a> {
    text: String,
    writer: Writer<'a>,
}

impl Lines<'_> {
    /// Adds a line. Names come from the source: nothing in them may break it, or steer a terminal.
    fn add(&mut self, label: &str, line: &str) {
        let line = format!("{label:<9}{line}");
        self.text.push_str(&plain(line.trim_end()));
        self.text.push('\n');
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    fn trouble(&mut self, trouble: &Trouble) {
        let times = if trouble.times > 1 { format!(", {} times lately", trouble.times) } else { String::new() };
        let text = format!("{}: {} (since {}{times})", trouble.code, trouble.text, self.when(trouble.since));
        self.add("  !", &text);
    }

    fn when(&self, at: DateTime<Utc>) -> String {
        format!("{} ({})", self.writer.time(at), self.writer.ago(at))
    }
}
