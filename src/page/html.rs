//! The page itself, as one document: style and drawings are in it, and nothing else is loaded.
//!
//! Everything from outside goes through [`Escaped`]. What there may be much of is listed while there is room: the
//! document stays below [`PAGE_MAX_BYTES`].

use std::fmt::Write as _;

use chrono::TimeDelta;

use super::{
    chart::chart,
    write::{Escaped, Writer},
};
use crate::{
    board::profile::Light,
    health::Condition,
    overview::{Connection, Overview, Queue, Standing, Trouble, told},
    signal::{NEARLY_FULL_PERCENT, Pattern},
    texts::{Language, Text, conditions, lights, page},
    zone::Zone,
};

/// The longest document.
pub const PAGE_MAX_BYTES: usize = 30 * 1024;

/// What needs attention is listed up to here, connections up to there: what follows has its room.
const ATTENTION_TO_BYTES: usize = 18 * 1024;
const CONNECTIONS_TO_BYTES: usize = 24 * 1024;

/// The page renews itself this often.
const RENEWED_EVERY_S: u32 = 15;

const STYLE: &str = include_str!("style.css");

/// The SHA-256 of the style, as the page's policy names it: nothing else may set how the page looks.
pub const STYLE_SHA256: &str = "5ZNLe2CvFuZBJKpksuoQQJE97rWMs70GvIhnLyZYbzY=";

/// Writes the page.
#[must_use]
pub fn page(overview: &Overview, zone: &Zone, language: Language) -> String {
    let writer = Writer { language, zone, now: overview.at };
    let mut document = Document { to: String::with_capacity(PAGE_MAX_BYTES), overview, writer };
    document.head();
    document.sentence();
    document.lights();
    document.glance();
    if let Some(sales) = &overview.sales {
        chart(&mut document.to, sales, overview.hq.confirms(), &writer);
    }
    document.attention();
    document.connections();
    document.printer();
    document.facts();
    document.end();
    document.to
}

struct Document<'a> {
    to: String,
    overview: &'a Overview,
    writer: Writer<'a>,
}

impl Document<'_> {
    fn say(&self, text: Text) -> &'static str {
        text.of(self.writer.language)
    }

    fn fill(&self, text: Text, with: &[&str]) -> String {
        text.filled(self.writer.language, with)
    }

    fn head(&mut self) {
        let (language, overview) = (self.writer.language, self.overview);
        let (code, other) = (language.code(), language.other());
        let other_code = other.code();
        let name = overview.name.as_deref().unwrap_or(&overview.outlet);
        let title = self.fill(page::TITLE, &[&Escaped(name).to_string()]);
        let outlet = self.fill(page::OUTLET, &[&Escaped(&overview.outlet).to_string()]);
        let icon = match tone(overview) {
            "ok" => "%2312744a'/%3E%3Cpath d='M4 8.5l3 3 5-6",
            "busy" => "%231c5fa8'/%3E%3Cpath d='M8 12V4M4.5 7.5L8 4l3.5 3.5",
            "warn" => "%23815300'/%3E%3Cpath d='M6 5v6M10 5v6",
            _ => "%23ab2219'/%3E%3Cpath d='M8 4v5M8 11v1",
        };
        let _ = write!(
            self.to,
            "<!doctype html><html lang={code}><head><meta charset=utf-8>\
             <meta name=viewport content=\"width=device-width,initial-scale=1\">\
             <meta http-equiv=refresh content={RENEWED_EVERY_S}><title>{title}</title>\
             <link rel=icon href=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
             %3Ccircle cx='8' cy='8' r='8' fill='{icon}' stroke='white' stroke-width='2' fill='none'/%3E%3C/svg%3E\">\
             <style>{STYLE}</style></head><body><header><div><h1>{}</h1><p>{outlet}</p></div>\
             <nav><a href=\"?lang={other_code}\" hreflang={other_code} lang={other_code}>{}</a></nav></header><main>",
            Escaped(name),
            other.name(),
        );
    }

    /// What the lights mean now, in one sentence, and what to do.
    fn sentence(&mut self) {
        let tone = tone(self.overview);
        let told = told::gravest(self.overview, self.writer.language);
        let drawing = match tone {
            "ok" => "<path d=\"M14 25l7 7 14-16\"/>",
            "busy" => "<path d=\"M24 36V13M14 22l10-10 10 10\"/>",
            "warn" => "<path d=\"M19 15v18M29 15v18\"/>",
            _ => "<path d=\"M24 11v17M24 35v2\"/>",
        };
        let _ = write!(
            self.to,
            "<section class=\"say {tone}\"><svg viewBox=\"0 0 48 48\" fill=none stroke=currentColor stroke-width=4 \
             stroke-linecap=round stroke-linejoin=round aria-hidden=true><circle cx=24 cy=24 r=21 />{drawing}</svg>\
             <div><h2>{}</h2><p><strong>{}:</strong> {}</p></div></section>",
            told.meaning,
            self.say(page::TO_DO),
            told.to_do,
        );
    }

    /// The three lights: each with its colour and pattern in words, drawn as it is lit, and as a strip of time.
    fn lights(&mut self) {
        let _ = write!(self.to, "<section class=box><h2>{}</h2><ul>", self.say(page::LIGHTS));
        for light in Light::ALL {
            let (name, pattern) = (light.name(), self.overview.lights.of(light));
            let (motion, dashes) = match pattern {
                Pattern::Off => ("off", ""),
                Pattern::Steady => ("", ""),
                Pattern::SteadyWink => (" wink", " stroke-dasharray=\"46 4\""),
                Pattern::Slow => (" slow", " stroke-dasharray=\"12 12\""),
                Pattern::Fast => (" fast", " stroke-dasharray=\"4 4\""),
            };
            let lit = if pattern == Pattern::Off { "" } else { name };
            let _ = write!(
                self.to,
                "<li><svg width=88 height=44 viewBox=\"0 0 88 44\" aria-hidden=true>\
                 <circle cx=20 cy=22 r=19 fill=\"#0c100e\"/><circle class=\"lens {lit}{motion}\" cx=20 cy=22 r=14 />\
                 <path class=\"strip {}\"{dashes} d=\"M44 22h44\"/></svg>\
                 <div><strong>{} · {}</strong><small>{}</small>{}</div>",
                if lit.is_empty() { "off" } else { lit },
                self.say(lights::colour(light)),
                name.to_uppercase(),
                self.say(lights::pattern(pattern)),
                told::told(self.overview, light, self.writer.language).meaning,
            );
        }
        self.to.push_str("</ul></section>");
    }

    fn glance(&mut self) {
        let _ = write!(self.to, "<section class=tiles><h2>{}</h2>", self.say(page::AT_A_GLANCE));
        let sales = self.overview.sales.as_ref();
        let confirms = self.overview.hq.confirms();
        let last_delivered = if confirms { page::LAST_AT_HQ } else { page::LAST_WITH_BROKER };
        let lasts = [
            (page::LAST_SEEN, sales.map(|sales| sales.last_seen)),
            (last_delivered, sales.map(|sales| sales.last_delivered)),
        ];
        for (label, last) in lasts {
            let (value, more) = match last {
                Some(Some(at)) => (self.writer.time(at), self.writer.ago(at)),
                Some(None) => ("–".to_owned(), self.say(page::NONE_LATELY).to_owned()),
                None => ("–".to_owned(), self.say(page::UNKNOWN).to_owned()),
            };
            self.tile(label, &value, &more);
        }
        match &self.overview.outbox {
            None => self.tile(page::WAITING_FOR_BROKER, "–", self.say(page::UNKNOWN)),
            Some(queue) => self.waiting(queue, confirms),
        }
        self.to.push_str("</section>");
    }

    /// What waits for whom, and for how long all of it will.
    fn waiting(&mut self, queue: &Queue, confirms: bool) {
        let number = |number| self.writer.language.number(number);
        let (for_broker, for_hq) = (number(queue.waiting_for_broker), number(queue.waiting_for_hq));
        let how_long = self.how_long(queue);
        if queue.waiting_for_broker == 0 {
            self.tile(page::WAITING_FOR_BROKER, &for_broker, self.say(page::NOTHING_WAITS));
        } else {
            self.tile(page::WAITING_FOR_BROKER, &for_broker, &how_long);
        }
        if !confirms {
            return;
        }
        // Where nobody is there, or nothing was sent yet, nobody has confirmed anything.
        let confirmed = queue.released > 0 && !self.overview.holds(Condition::NobodyListens);
        let more = match (queue.waiting_for_hq, queue.waiting_for_broker) {
            (0, _) if confirmed => self.say(page::ALL_CONFIRMED).to_owned(),
            (0, _) => self.say(page::NOTHING_WAITS).to_owned(),
            (_, 0) => format!("{}; {how_long}", self.say(page::NOT_CONFIRMED)),
            _ => self.say(page::NOT_CONFIRMED).to_owned(),
        };
        self.tile(page::WAITING_FOR_HQ, &for_hq, &more);
    }

    fn how_long(&self, queue: &Queue) -> String {
        let mut text = match queue.drained_in_s {
            Some(seconds) => {
                let span = TimeDelta::seconds(i64::try_from(seconds).unwrap_or(i64::MAX / 1_000));
                self.fill(page::DRAINED_IN, &[&self.writer.span(span)])
            }
            None => self.say(page::DRAINED_UNKNOWN).to_owned(),
        };
        if let Some(oldest) = queue.oldest_undelivered {
            let _ = write!(text, "; {}", self.fill(page::OLDEST, &[&self.writer.time(oldest)]));
        }
        text
    }

    fn tile(&mut self, label: Text, value: &str, more: &str) {
        let label = self.say(label);
        let _ = write!(self.to, "<div><dl><dt>{label}<dd>{value}<small>{more}</small></dl></div>");
    }

    fn attention(&mut self) {
        let overview = self.overview;
        let _ = write!(self.to, "<section><h2>{}</h2><ul class=tell>", self.say(page::ATTENTION));
        let begin = self.to.len();
        // The grave ones first: there may be no room for all.
        let mut troubles: Vec<&Trouble> =
            overview.conditions.iter().filter(|trouble| !conditions::is_of_printer(&trouble.code)).collect();
        troubles.sort_by_key(|trouble| !trouble.needs_technician);
        for (at, trouble) in troubles.iter().enumerate() {
            if self.to.len() > ATTENTION_TO_BYTES {
                let more = self.fill(page::AND_MORE, &[&(troubles.len() - at).to_string()]);
                let _ = write!(self.to, "<li class=warn><p>{more}</p>");
                break;
            }
            self.trouble(trouble);
        }
        let counted = |number: usize| number.to_string();
        if overview.open_gaps > 0 {
            let mut of: Vec<&str> = overview.gaps.iter().map(|gap| gap.connection.as_str()).collect();
            of.dedup();
            let title = self.fill(page::GAPS, &[&counted(overview.open_gaps)]);
            let to_do = if overview.gaps_need_a_person() { page::GAPS_FOR_A_PERSON } else { page::GAPS_TO_DO };
            self.told(&title, &of.join(", "), to_do);
        }
        if overview.put_aside() > 0 {
            let title = self.fill(page::PUT_ASIDE, &[&counted(overview.put_aside())]);
            self.told(&title, "", page::PUT_ASIDE_TO_DO);
        }
        match &overview.outbox {
            Some(queue) if queue.percent() > NEARLY_FULL_PERCENT => {
                let title = self.fill(page::NEARLY_FULL, &[&queue.percent().to_string()]);
                self.told(&title, "", page::NEARLY_FULL_TO_DO);
            }
            _ => {}
        }
        if self.to.len() == begin {
            self.to.truncate(begin - "<ul class=tell>".len());
            let _ = write!(self.to, "<p>{}</p></section>", self.say(page::ALL_WELL));
        } else {
            self.to.push_str("</ul></section>");
        }
    }

    /// Something that needs attention and is no condition.
    fn told(&mut self, title: &str, of: &str, to_do: Text) {
        let to_do = self.say(to_do);
        let of = if of.is_empty() { String::new() } else { format!("<small>{}</small>", Escaped(of)) };
        let _ = write!(self.to, "<li class=warn><h3>{title}</h3>{of}<p>{to_do}</p>");
    }

    fn trouble(&mut self, trouble: &Trouble) {
        let class = if trouble.needs_technician { "bad" } else { "warn" };
        let advice = conditions::advice(&trouble.code);
        let (meaning, to_do) = match advice {
            Some(advice) => (self.say(advice.meaning), self.say(advice.to_do)),
            // A newer part of the program names it; its own words follow below.
            None => (trouble.code.as_str(), self.say(page::FOR_TECHNICIAN)),
        };
        let mut when = self.since(trouble.since);
        if trouble.times > 1 {
            let _ = write!(when, "; {}", self.fill(page::TIMES, &[&trouble.times.to_string()]));
        }
        let _ = write!(self.to, "<li class={class}><h3>{}</h3><small>", Escaped(meaning));
        if let Some(connection) = &trouble.connection {
            let _ = write!(self.to, "{} · ", Escaped(connection));
        }
        let _ = write!(
            self.to,
            "{when}</small><p>{}</p><details><summary>{}</summary><p lang=en class=soft>{}</p></details>",
            Escaped(to_do),
            self.say(page::FOR_TECHNICIAN),
            Escaped(&trouble.text),
        );
    }

    fn since(&self, at: chrono::DateTime<chrono::Utc>) -> String {
        format!("{} ({})", self.fill(page::SINCE, &[&self.writer.time(at)]), self.writer.ago(at))
    }

    fn connections(&mut self) {
        let overview = self.overview;
        let _ = write!(self.to, "<section><h2>{}</h2><div class=lines>", self.say(page::LINES));
        let hq = &overview.hq;
        // A line that stands and on which nothing moves is another thing than none.
        let waits = if overview.holds(Condition::HqUnreachable) { page::NO_CONNECTION } else { page::KEPT_HERE };
        self.article("", page::HQ, hq.standing, waits);
        let _ = write!(self.to, "<p class=soft>{}</p>", self.since(hq.since));
        self.advice(overview.troubles_of("").filter(|trouble| trouble.is_of_hq()));
        self.to.push_str("<dl>");
        if let Some(broker) = &hq.broker {
            let protocol = hq.protocol.as_deref().map(|of| format!(" (MQTT {})", Escaped(of))).unwrap_or_default();
            self.pair(page::BROKER, &format!("{}{protocol}", Escaped(broker)));
        }
        let kept = if hq.confirms() { page::FORGOTTEN_FEED } else { page::FORGOTTEN_BROKER };
        self.pair(page::FORGOTTEN, self.say(kept));
        if hq.hears_of_no_listener() {
            self.pair(page::UNPROVEN, self.say(page::NO_LISTENER_TOLD));
        }
        if hq.unproven_echo {
            self.pair(page::UNPROVEN, self.say(page::BARE_WORD));
        }
        self.to.push_str("</dl></article>");
        for (at, connection) in overview.connections.iter().enumerate() {
            if self.to.len() > CONNECTIONS_TO_BYTES {
                let more = self.fill(page::AND_MORE, &[&(overview.connections.len() - at).to_string()]);
                let _ = write!(self.to, "<article><p>{more}</p></article>");
                break;
            }
            self.connection(connection);
        }
        self.to.push_str("</div></section>");
    }

    fn connection(&mut self, connection: &Connection) {
        let overview = self.overview;
        self.article(&connection.name, page::POS, connection.standing, page::NO_CONNECTION);
        let _ = write!(self.to, "<p class=soft>{}</p>", self.since(connection.standing_since));
        self.advice(overview.troubles_of(&connection.name));
        self.to.push_str("<dl>");
        let account = match &connection.identity {
            Some(identity) => format!("{} ({})", Escaped(identity), Escaped(&connection.system)),
            None => Escaped(&connection.system).to_string(),
        };
        self.pair(page::ACCOUNT, &account);
        for (label, at) in [(page::READ_TO, connection.watermark), (page::LAST_ANSWER, connection.last_answer)] {
            let text =
                at.map_or_else(|| "–".to_owned(), |at| format!("{} ({})", self.writer.time(at), self.writer.ago(at)));
            self.pair(label, &text);
        }
        self.to.push_str("</dl>");
        if !connection.notes.is_empty() && self.to.len() < CONNECTIONS_TO_BYTES - 2 * 1024 {
            let _ = write!(self.to, "<details><summary>{}</summary><ul lang=en>", self.say(page::CANNOT));
            for note in connection.notes.iter().take(5) {
                if self.to.len() < CONNECTIONS_TO_BYTES {
                    let _ = write!(self.to, "<li>{}", Escaped(note));
                }
            }
            self.to.push_str("</ul></details>");
        }
        self.to.push_str("</article>");
    }

    fn article(&mut self, name: &str, kind: Text, standing: Standing, waits: Text) {
        let (class, sign, text) = match standing {
            Standing::Fine => ("ok", "✓", page::FINE),
            Standing::Starting => ("busy", "…", page::STARTING),
            Standing::CatchingUp => ("busy", "↑", page::CATCHING_UP),
            Standing::Waiting => ("warn", "×", waits),
            Standing::NeedsTechnician => ("bad", "!", page::TECHNICIAN),
        };
        let kind = self.say(kind);
        let called = if name.is_empty() { kind.to_owned() } else { format!("{kind} {}", Escaped(name)) };
        let text = self.say(text);
        let _ = write!(
            self.to,
            "<article><h3>{called} <span class=\"tag {class}\"><span aria-hidden=true>{sign}</span> {text}</span></h3>"
        );
    }

    /// What to do about the gravest of a line's conditions.
    fn advice<'a>(&mut self, troubles: impl Iterator<Item = &'a Trouble>) {
        let gravest = troubles.min_by_key(|trouble| (!trouble.needs_technician, !trouble.hinders()));
        if let Some(advice) = gravest.and_then(|trouble| conditions::advice(&trouble.code)) {
            let _ = write!(self.to, "<p>{}</p>", self.say(advice.to_do));
        }
    }

    fn pair(&mut self, label: Text, value: &str) {
        let _ = write!(self.to, "<dt>{}<dd>{value}", self.say(label));
    }

    /// The printer, where there are lines to it or something is told of it.
    fn printer(&mut self) {
        let overview = self.overview;
        let mut troubles =
            overview.conditions.iter().filter(|trouble| conditions::is_of_printer(&trouble.code)).peekable();
        if troubles.peek().is_none() && !overview.has_printer_lines {
            return;
        }
        let _ = write!(self.to, "<section><h2>{}</h2>", self.say(page::PRINTER));
        if troubles.peek().is_none() {
            let _ = write!(self.to, "<p>✓ {}</p></section>", self.say(page::PRINTER_FINE));
            return;
        }
        self.to.push_str("<ul class=tell>");
        troubles.take(4).for_each(|trouble| self.trouble(trouble));
        self.to.push_str("</ul></section>");
    }

    fn facts(&mut self) {
        let overview = self.overview;
        let writer = self.writer;
        let mut rows: Vec<(Text, String)> = Vec::new();
        if let Some(queue) = &overview.outbox {
            let (used, limit) = (writer.bytes(queue.queued_bytes), writer.bytes(queue.limit_bytes));
            let mut room = self.fill(page::ROOM_OF, &[&used, &limit, &queue.percent().to_string()]);
            match (queue.undelivered, queue.just_left()) {
                (_, 0) => {}
                (0, _) => {
                    let _ = write!(room, "; {}", self.say(page::JUST_LEFT));
                }
                _ => {
                    let _ = write!(room, "; {}", self.say(page::PARTLY_JUST_LEFT));
                }
            }
            rows.push((page::ROOM, room));
            rows.push((page::KEPT, writer.bytes(queue.kept_bytes)));
            rows.push((page::MOST, self.fill(page::MOST_OF, &[&writer.bytes(queue.max_bytes)])));
        }
        let unknown = || self.say(page::UNKNOWN).to_owned();
        rows.push((page::DISK, overview.disk_free_bytes.map_or_else(unknown, |bytes| writer.bytes(bytes))));
        let clock = overview.clock_difference_s().map_or_else(unknown, |seconds| {
            let span = writer.difference(seconds);
            match seconds {
                // Servers tell whole seconds, and answers take their time.
                -5..=5 => self.say(page::CLOCK_RIGHT).to_owned(),
                // The difference is by how much the server is ahead.
                ..-5 => self.fill(page::CLOCK_AHEAD, &[&span]),
                _ => self.fill(page::CLOCK_BEHIND, &[&span]),
            }
        });
        rows.push((page::CLOCK, clock));
        rows.extend(overview.temperature_millicelsius.map(|at| (page::TEMPERATURE, writer.temperature(at))));
        let running = format!("{} ({})", writer.time(overview.up_since), writer.ago(overview.up_since));
        rows.push((page::RUNNING_SINCE, running));
        rows.push((page::VERSION, Escaped(&overview.version).to_string()));
        let _ = write!(self.to, "<section><h2>{}</h2><table><tbody>", self.say(page::BOX));
        for (label, value) in rows {
            let _ = write!(self.to, "<tr><th scope=row>{}<td>{value}", self.say(label));
        }
        self.to.push_str("</table></section>");
    }

    fn end(&mut self) {
        let at = self.writer.second(self.overview.at);
        let updated = self.fill(page::UPDATED, &[&at, &RENEWED_EVERY_S.to_string()]);
        let zone = self.writer.zone.name();
        let _ = write!(self.to, "</main><footer>{updated} {zone}</footer></body></html>");
    }
}

/// How grave it is, as a class of the style.
fn tone(overview: &Overview) -> &'static str {
    match overview.lights {
        lights if lights.fault != Pattern::Off => "bad",
        lights if lights.hold != Pattern::Off => "warn",
        lights if matches!(lights.sync, Pattern::Steady | Pattern::SteadyWink) => "ok",
        lights if lights.sync == Pattern::Off => "bad",
        _ => "busy",
    }
}
