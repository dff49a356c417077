//! What `tillbox outbox list` shows a person.

use super::{Head, Summary};
use crate::{
    config::Acknowledge,
    instant::text_utc,
    outbox::Aside,
    overview::{
        Queue,
        text::{room, waits},
    },
    plain::plain,
    status::acknowledge_name,
};

/// The outbox in lines, with the events that wait first.
#[must_use]
pub fn list(summary: &Summary, heads: &[Head]) -> String {
    let mut text = String::new();
    let Summary { outlet, acknowledge, outbox, .. } = summary;
    let confirms = acknowledge == acknowledge_name(Acknowledge::Feed);
    let generation = outbox.generation.map_or("not known before HQ is reached".to_owned(), |number| number.to_string());
    push(&mut text, &format!("outlet   {outlet}"));
    push(&mut text, &format!("stream   {}, generation {generation}", outbox.stream.as_deref().unwrap_or_default()));
    let Queue { durable, acknowledged, released, undelivered, .. } = outbox;
    push(&mut text, &format!("numbers  durable {durable}, acknowledged {acknowledged}, released {released}"));
    for (label, line) in ["bytes", ""].iter().zip(room(outbox, |bytes| bytes.to_string())) {
        push(&mut text, &format!("{label:<9}{line}"));
    }
    if let Some(reason) = &outbox.closed {
        push(&mut text, &format!("closed   {reason}"));
    }

    text.push('\n');
    for line in waits(outbox, confirms) {
        push(&mut text, &line);
    }
    for head in heads {
        let Head { number, event_type, connection, subject, time } = head;
        let connection = connection.as_deref().unwrap_or("-");
        let sent = if *number <= outbox.acknowledged { "  (the broker has it)" } else { "" };
        push(&mut text, &format!("  {number:>8}  {event_type:<11}  {connection}  {subject}  {time}{sent}"));
    }
    let shown = u64::try_from(heads.len()).unwrap_or(u64::MAX);
    if shown < *undelivered {
        push(&mut text, &format!("  and {} more; --limit shows more", undelivered - shown));
    }

    let gaps: Vec<_> =
        summary.open_gaps.iter().flat_map(|(name, gaps)| gaps.iter().map(move |gap| (name, gap))).collect();
    text.push('\n');
    push(&mut text, &format!("not proven complete: {}", count(gaps.len() as u64, "gap")));
    for (connection, gap) in gaps {
        let reason = named(&gap.reason);
        push(&mut text, &format!("  {connection}  from {} to {}  {reason}", text_utc(gap.from), text_utc(gap.to)));
    }

    let asides: Vec<_> =
        summary.put_aside.iter().flat_map(|(name, list)| list.iter().map(move |a| (name, a))).collect();
    text.push('\n');
    push(&mut text, &format!("put aside: {}", count(asides.len() as u64, "record")));
    for (connection, aside) in asides {
        let dismissed = aside.dismissed.as_ref().map(|dismissed| format!("; dismissed by {}", dismissed.by.name));
        push(&mut text, &format!("  {connection}  {}{}", record_line(aside), dismissed.unwrap_or_default()));
    }
    if !summary.set_aside.is_empty() {
        text.push('\n');
        push(&mut text, &format!("of other outlets: {}, set aside", count(summary.set_aside.len() as u64, "store")));
        for store in &summary.set_aside {
            push(&mut text, &format!("  {}", store.remedy()));
        }
    }
    text
}

/// A record that is put aside: what it is, and what is wrong with it.
pub(super) fn record_line(aside: &Aside) -> String {
    let record = &aside.quarantined;
    let id = record.external_id.as_deref().unwrap_or("without a readable id");
    let field = record.field.as_deref().map(|field| format!("{field}: ")).unwrap_or_default();
    format!(
        "{} {id}  {field}{}, expected {}, found {}; since {} (tillbox {})",
        record.resource.name(),
        named(&record.reason),
        record.expected,
        named(&record.found),
        text_utc(aside.observed_at),
        aside.version,
    )
}

pub(super) fn count(number: u64, of: &str) -> String {
    match number {
        0 => "nothing".to_owned(),
        1 => format!("1 {of}"),
        _ => format!("{number} {of}s"),
    }
}

/// The name under which a value stands in JSON.
fn named(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

/// Adds a line. Ids come from the source: nothing in them may break it, or steer a terminal.
pub(super) fn push(text: &mut String, line: &str) {
    text.push_str(&plain(line));
    text.push('\n');
}
