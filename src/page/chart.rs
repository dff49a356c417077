//! The last day's sales as a bar chart that needs neither colour nor eyes: what is delivered is a full bar, what is not
//! an open one on top, and the same numbers stand in a table.

use std::fmt::Write as _;

use super::write::Writer;
use crate::{
    overview::{HOURS, Sales},
    texts::page,
};

/// The drawing's size; it is stretched to the room there is.
const HEIGHT: u64 = 100;
const BAR: usize = 10;
const BAR_FILLED: usize = 7;

/// Under every third bar stands its hour; on narrow screens under every sixth.
const HOURS_BETWEEN_LABELS: usize = 3;

/// Writes the chart's section; `confirms` says whether HQ confirms what it has, or only the broker does.
pub fn chart(to: &mut String, sales: &Sales, confirms: bool, writer: &Writer<'_>) {
    let language = writer.language;
    let number = |number| language.number(number);
    let (total, most) = (sales.total(), sales.hours.iter().map(|hour| hour.seen).max().unwrap_or(0));
    let (full, open) = if confirms { (page::AT_HQ, page::NOT_AT_HQ) } else { (page::WITH_BROKER, page::STILL_HERE) };
    let summary = page::CHART
        .filled(language, &[&number(total.seen), &number(total.delivered), full.of(language), &number(most)]);
    let _ = write!(to, "<section><h2>{}</h2><figure><p class=key>", page::LAST_DAY.of(language));
    for (class, text) in [("full", full), ("open", open)] {
        let _ = write!(
            to,
            "<span><svg viewBox=\"0 0 9 9\" aria-hidden=true><path class={class} d=\"M1 1h7v7H1z\"/></svg>{}</span>",
            text.of(language)
        );
    }
    let width = HOURS * BAR;
    let _ = write!(
        to,
        "</p><svg class=bars viewBox=\"0 -2 {width} {}\" preserveAspectRatio=none role=img aria-label=\"{summary}\">\
         <path class=axis d=\"M0 {HEIGHT}H{width}\"/>",
        HEIGHT + 3
    );
    for (at, hour) in sales.hours.iter().enumerate().filter(|(_, hour)| hour.seen > 0) {
        // One sale is seen, too, however many there were in another hour.
        let height = |of: u64| if of == 0 { 0 } else { (of * HEIGHT / most.max(1)).max(2) };
        let (seen, delivered) = (height(hour.seen), height(hour.delivered));
        let (x, open) = (
            at * BAR + (BAR - BAR_FILLED) / 2,
            seen.saturating_sub(delivered).max(u64::from(hour.delivered < hour.seen) * 2),
        );
        let delivered = delivered.min(HEIGHT - open);
        if delivered > 0 {
            let _ = write!(to, "<path class=full d=\"M{x} {HEIGHT}v-{delivered}h{BAR_FILLED}v{delivered}z\"/>");
        }
        if open > 0 {
            let _ = write!(to, "<path class=open d=\"M{x} {}v-{open}h{BAR_FILLED}v{open}z\"/>", HEIGHT - delivered);
        }
    }
    to.push_str("</svg><p class=hours aria-hidden=true>");
    let hour = |at| writer.zone.local(sales.begins(at)).format("%H:%M");
    for at in (0..HOURS).step_by(HOURS_BETWEEN_LABELS) {
        let _ = write!(to, "<span>{}</span>", hour(at));
    }
    let _ = write!(
        to,
        "</p><figcaption class=soft>{summary}</figcaption></figure><details><summary>{}</summary>\
         <table><thead><tr><th scope=col>{}<th scope=col>{}<th scope=col>{}<tbody>",
        page::AS_TABLE.of(language),
        page::HOUR.of(language),
        page::SEEN.of(language),
        full.of(language),
    );
    for (at, of) in sales.hours.iter().enumerate() {
        let _ = write!(to, "<tr><th scope=row>{}<td>{}<td>{}", hour(at), number(of.seen), number(of.delivered));
    }
    to.push_str("</table></details></section>");
}
