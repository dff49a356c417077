//! The last day's sales as a bar chart that needs neither colour nor eyes: what is at HQ is a full bar, what is still in
//! the box an open one on top, and the same numbers stand in a table.

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

/// Writes the chart's section.
pub fn chart(to: &mut String, sales: &Sales, writer: &Writer<'_>) {
    let language = writer.language;
    let number = |number| language.number(number);
    let (total, most) = (sales.total(), sales.hours.iter().map(|hour| hour.seen).max().unwrap_or(0));
    let summary = page::CHART.filled(language, &[&number(total.seen), &number(total.at_hq), &number(most)]);
    let _ = write!(to, "<section><h2>{}</h2><figure><p class=key>", page::LAST_DAY.of(language));
    for (class, text) in [("full", page::AT_HQ), ("open", page::STILL_HERE)] {
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
        let (seen, at_hq) = (height(hour.seen), height(hour.at_hq));
        let (x, open) =
            (at * BAR + (BAR - BAR_FILLED) / 2, seen.saturating_sub(at_hq).max(u64::from(hour.at_hq < hour.seen) * 2));
        let at_hq = at_hq.min(HEIGHT - open);
        if at_hq > 0 {
            let _ = write!(to, "<path class=full d=\"M{x} {HEIGHT}v-{at_hq}h{BAR_FILLED}v{at_hq}z\"/>");
        }
        if open > 0 {
            let _ = write!(to, "<path class=open d=\"M{x} {}v-{open}h{BAR_FILLED}v{open}z\"/>", HEIGHT - at_hq);
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
        page::AT_HQ.of(language),
    );
    for (at, of) in sales.hours.iter().enumerate() {
        let _ = write!(to, "<tr><th scope=row>{}<td>{}<td>{}", hour(at), number(of.seen), number(of.at_hq));
    }
    to.push_str("</table></details></section>");
}
