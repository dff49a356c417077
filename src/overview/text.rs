//! What `tillbox status` shows a person.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Connection, Overview, Queue, Standing, Trouble};
use crate::{
    board::profile::Light,
    page::write::Writer,
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
    let gravest = lights::gravest(overview.lights);
    let advice = lights::advice(gravest, overview.lights.of(gravest));
    lines.add("state", advice.meaning.of(Language::English));
    lines.add("to do", advice.to_do.of(Language::English));
    lines.blank();
    for light in Light::ALL {
        let pattern = overview.lights.of(light);
        let meaning = lights::advice(light, pattern).meaning.of(Language::English);
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
        Some(queue) => outbox(&mut lines, queue),
        None => lines.add("outbox", "the store is not open"),
    }
    if let Some(sales) = &overview.sales {
        let last = |at: Option<DateTime<Utc>>| at.map_or_else(|| "none in 24 hours".to_owned(), |at| lines.when(at));
        let text = format!("last seen {}; last at headquarters {}", last(sales.last_seen), last(sales.last_at_hq));
        lines.add("sales", &text);
        let total = sales.total();
        lines.add("", &format!("in 24 hours {}, of these at headquarters {}", total.seen, total.at_hq));
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
        |seconds| match seconds {
            0 => "as the point of sale's".to_owned(),
            ..0 => format!("{} s ahead of the point of sale's", seconds.unsigned_abs()),
            _ => format!("{seconds} s behind the point of sale's"),
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
    lines.add("hq", &format!("{broker}: {}, since {}", word(hq.standing), lines.when(hq.since)));
    let until = if hq.acknowledge == "feed" { "HQ's feed has stored it" } else { "the broker has it" };
    lines.add("", &format!("a sale is kept until {until}"));
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

fn outbox(lines: &mut Lines<'_>, queue: &Queue) {
    let waiting = match (queue.waiting(), queue.drained_in_s) {
        (0, _) => "nothing waits to be sent".to_owned(),
        (waiting, drained) => {
            let time = drained.and_then(|seconds| i64::try_from(seconds).ok()).map_or_else(
                || "how long that takes is unknown, as nothing moves".to_owned(),
                |seconds| format!("about {} until all is sent", lines.writer.span(TimeDelta::seconds(seconds))),
            );
            let events = if waiting == 1 { "event waits" } else { "events wait" };
            let oldest = queue.oldest_waiting.map(|at| format!(", the oldest of {}", lines.when(at)));
            format!("{waiting} {events} to be sent{}; {time}", oldest.unwrap_or_default())
        }
    };
    lines.add("outbox", &waiting);
    if queue.unconfirmed() > 0 {
        lines.add("", &format!("{} sent and kept until they may be forgotten", queue.unconfirmed()));
    }
    let (used, limit) = (lines.writer.bytes(queue.queued_bytes), lines.writer.bytes(queue.limit_bytes));
    lines.add("", &format!("{used} of {limit} used ({} %)", queue.percent()));
    if let Some(reason) = &queue.closed {
        lines.add("", &format!("the store is closed: {reason}"));
    }
}

fn unproven(lines: &mut Lines<'_>, overview: &Overview) {
    lines.add("gaps", &count(overview.open_gaps, "interval is", "intervals are", "not proven complete"));
    for gap in &overview.gaps {
        let reason = serde_json::to_value(gap.reason).unwrap_or_default();
        let (from, to) = (lines.when(gap.from), lines.when(gap.to));
        lines.add("", &format!("{}: {from} to {to}, {}", gap.connection, reason.as_str().unwrap_or_default()));
    }
    if overview.open_gaps > overview.gaps.len() {
        lines.add("", &format!("and {} more", overview.open_gaps - overview.gaps.len()));
    }
    lines.add("aside", &count(overview.put_aside(), "record is", "records are", "put aside, as it cannot be read"));
    if overview.put_aside() > 0 {
        lines.add("", "`tillbox outbox list` names them");
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
    /// Adds a line. Names come from the source: nothing in them may steer a terminal.
    fn add(&mut self, label: &str, line: &str) {
        let line = format!("{label:<9}{line}");
        self.text.extend(line.trim_end().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }));
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
