//! The figures for Prometheus, in its text format 0.0.4.
//!
//! What is not known is left out, so that no rule takes a default for a figure.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use crate::{
    board::profile::Light,
    overview::{Overview, Standing},
    plain::plain_lines,
    signal::Pattern,
};

/// Writes every metric.
#[must_use]
pub fn metrics(overview: &Overview) -> String {
    let mut to = Metrics::default();
    to.gauge(
        "tillbox_info",
        "The program, its outlet, and whose word makes an event count as delivered (acknowledge); always 1.",
    );
    let (version, outlet, acknowledge) = (&overview.version, &overview.outlet, &overview.hq.acknowledge);
    to.sample(&[("version", version), ("outlet", outlet), ("acknowledge", acknowledge)], 1);
    to.gauge("tillbox_start_time_seconds", "When the daemon started, in Unix time.");
    to.sample(&[], unix(overview.up_since));
    to.gauge("tillbox_light", "How each light is lit: 1 for the pattern that shows.");
    for light in Light::ALL {
        for (pattern, name) in PATTERNS {
            to.sample(&[("line", light.name()), ("pattern", name)], u8::from(overview.lights.of(light) == pattern));
        }
    }
    to.gauge("tillbox_condition", "1 for each condition that holds; since when is its own metric.");
    for of in &overview.conditions {
        to.sample(&[("code", &of.code), ("connection", of.connection.as_deref().unwrap_or_default())], 1);
    }
    to.gauge("tillbox_condition_since_seconds", "When each condition that holds began, in Unix time.");
    for of in &overview.conditions {
        let labels = [("code", of.code.as_str()), ("connection", of.connection.as_deref().unwrap_or_default())];
        to.sample(&labels, unix(of.since));
    }
    to.gauge("tillbox_broker_connected", "Whether a broker is reached and events may be published there.");
    to.sample(&[], u8::from(overview.hq.connected));
    to.gauge("tillbox_broker_unproven", "Whether the broker's bare word counts, which nothing proves (hq.echo).");
    to.sample(&[], u8::from(overview.hq.unproven_echo));
    outbox(&mut to, overview);
    connections(&mut to, overview);
    to.gauge("tillbox_open_gaps", "Intervals that are not proven complete.");
    to.sample(&[], overview.open_gaps);
    if let Some(sales) = &overview.sales {
        // Two names for two truths: HQ's own word, or the broker's.
        let delivered = if overview.hq.confirms() { "hq" } else { "broker" };
        to.gauge("tillbox_last_sale_timestamp_seconds", "The newest sale of the last 24 hours, in Unix time.");
        for (place, at) in [("box", sales.last_seen), (delivered, sales.last_delivered)] {
            if let Some(at) = at {
                to.sample(&[("at", place)], unix(at));
            }
        }
    }
    if let Some(bytes) = overview.disk_free_bytes {
        to.gauge("tillbox_disk_free_bytes", "Free space where the store lies.");
        to.sample(&[], bytes);
    }
    if let Some(at) = overview.temperature_millicelsius {
        to.gauge("tillbox_temperature_celsius", "The processor's temperature.");
        let sign = if at < 0 { "-" } else { "" };
        to.sample(&[], format_args!("{sign}{}.{:03}", at.unsigned_abs() / 1_000, at.unsigned_abs() % 1_000));
    }
    to.text
}

const PATTERNS: [(Pattern, &str); 5] = [
    (Pattern::Off, "off"),
    (Pattern::Steady, "steady"),
    (Pattern::SteadyWink, "steady_wink"),
    (Pattern::Slow, "slow"),
    (Pattern::Fast, "fast"),
];

fn outbox(to: &mut Metrics, overview: &Overview) {
    let Some(queue) = &overview.outbox else { return };
    to.counter("tillbox_events_stored_total", "Events of the running stream that are on the device.");
    to.sample(&[], queue.durable);
    to.counter("tillbox_events_acknowledged_total", "Events of the running stream that the broker acknowledged.");
    to.sample(&[], queue.acknowledged);
    to.counter("tillbox_events_released_total", "Events of the running stream that the box may forget.");
    to.sample(&[], queue.released);
    to.gauge("tillbox_outbox_undelivered_events", "Events that are not yet where acknowledge promises them.");
    to.sample(&[], queue.undelivered);
    to.gauge("tillbox_outbox_waiting_for_broker_events", "Events that the broker has not acknowledged.");
    to.sample(&[], queue.waiting_for_broker);
    if overview.hq.confirms() {
        to.gauge("tillbox_outbox_waiting_for_hq_events", "Events that the broker has and HQ has not confirmed.");
        to.sample(&[], queue.waiting_for_hq);
    }
    to.gauge("tillbox_outbox_used_bytes", "Bytes of events in the store that may not be forgotten yet.");
    to.sample(&[], queue.queued_bytes);
    to.gauge("tillbox_outbox_limit_bytes", "Bytes that those may take.");
    to.sample(&[], queue.limit_bytes);
    to.gauge("tillbox_outbox_kept_bytes", "Bytes of delivered events that are kept until that room is needed.");
    to.sample(&[], queue.kept_bytes);
    to.gauge("tillbox_outbox_max_bytes", "What the store may take on the card, as configured (outbox.max-size).");
    to.sample(&[], queue.max_bytes);
    if let Some(at) = queue.oldest_undelivered {
        to.gauge(
            "tillbox_outbox_oldest_timestamp_seconds",
            "When the oldest undelivered event happened, in Unix time.",
        );
        to.sample(&[], unix(at));
    }
    if let Some(seconds) = queue.drained_in_s {
        to.gauge("tillbox_outbox_drained_in_seconds", "Until all is delivered, at the speed of the last minute.");
        to.sample(&[], seconds);
    }
}

fn connections(to: &mut Metrics, overview: &Overview) {
    let all = &overview.connections;
    to.gauge("tillbox_pos_up", "Whether a point of sale answers as it should.");
    for of in all {
        let labels = [("connection", of.name.as_str()), ("system", of.system.as_str())];
        to.sample(&labels, u8::from(matches!(of.standing, Standing::Fine | Standing::CatchingUp)));
    }
    to.gauge("tillbox_pos_complete", "Whether the newest records are read and nothing older waits to be read.");
    for of in all {
        to.sample(&[("connection", &of.name)], u8::from(of.standing == Standing::Fine));
    }
    to.gauge("tillbox_pos_watermark_timestamp_seconds", "Up to where a point of sale is read, in Unix time.");
    for (of, at) in all.iter().filter_map(|of| Some((of, of.watermark?))) {
        to.sample(&[("connection", &of.name)], unix(at));
    }
    to.gauge("tillbox_pos_last_answer_timestamp_seconds", "When the last answer was stored, in Unix time.");
    for (of, at) in all.iter().filter_map(|of| Some((of, of.last_answer?))) {
        to.sample(&[("connection", &of.name)], unix(at));
    }
    to.gauge("tillbox_pos_clock_ahead_seconds", "How far a server's clock is ahead of the box's.");
    for (of, seconds) in all.iter().filter_map(|of| Some((of, of.clock_difference_s?))) {
        to.sample(&[("connection", &of.name)], seconds);
    }
    to.gauge("tillbox_put_aside_records", "Records that cannot be read.");
    for of in all {
        to.sample(&[("connection", &of.name)], of.put_aside);
    }
}

fn unix(at: DateTime<Utc>) -> i64 {
    at.timestamp()
}

#[derive(Default)]
struct Metrics {
    text: String,
    name: &'static str,
}

impl Metrics {
    fn gauge(&mut self, name: &'static str, help: &str) {
        self.metric(name, "gauge", help);
    }

    fn counter(&mut self, name: &'static str, help: &str) {
        self.metric(name, "counter", help);
    }

    fn metric(&mut self, name: &'static str, of_type: &str, help: &str) {
        self.name = name;
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {of_type}\n");
    }

    /// A value of the metric that was named last.
    fn sample(&mut self, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.text.push_str(self.name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let text = plain_lines(text).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{}{label}=\"{text}\"", if at == 0 { '{' } else { ',' });
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}
