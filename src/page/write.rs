//! How values become text on the page, and how outside text becomes harmless.

use std::fmt::{self, Write as _};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    plain::is_plain,
    texts::{Language, page},
    zone::Zone,
};

/// Outside text is cut once it takes so many bytes on the page: a source's name may be as long as it likes.
pub const OUTSIDE_MAX_BYTES: usize = 480;

/// Text that shows as itself, in content and in quoted attributes. What is not [plain](is_plain) shows as an escape; what
/// is too long is cut.
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut bytes, mut own) = (0, [0; 4]);
        let mut escape;
        for c in self.0.chars() {
            let shown = match c {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&quot;",
                '\'' => "&#39;",
                c if is_plain(c) => c.encode_utf8(&mut own),
                c => {
                    escape = c.escape_default().to_string();
                    escape.as_str()
                }
            };
            bytes += shown.len();
            if bytes > OUTSIDE_MAX_BYTES {
                return to.write_char('…');
            }
            to.write_str(shown)?;
        }
        Ok(())
    }
}

/// Writes times and spans as a language does, in a zone, at a moment.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    /// The language.
    pub language: Language,
    /// The outlet's zone.
    pub zone: &'a Zone,
    /// Now.
    pub now: DateTime<Utc>,
}

impl Writer<'_> {
    /// A time of day, with its day if that is not today.
    #[must_use]
    pub fn time(&self, at: DateTime<Utc>) -> String {
        let (local, today) = (self.zone.local(at), self.zone.local(self.now).date_naive());
        let form = if local.date_naive() == today { "%H:%M" } else { "%d/%m/%Y %H:%M" };
        local.format(form).to_string()
    }

    /// A time of day to the second.
    #[must_use]
    pub fn second(&self, at: DateTime<Utc>) -> String {
        self.zone.local(at).format("%H:%M:%S").to_string()
    }

    /// How long ago something was.
    #[must_use]
    pub fn ago(&self, at: DateTime<Utc>) -> String {
        let passed = self.now - at;
        match passed.num_seconds() {
            -4..=4 => page::JUST_NOW.of(self.language).to_owned(),
            5.. => page::AGO.filled(self.language, &[&self.span(passed)]),
            _ => page::AHEAD.filled(self.language, &[&self.span(-passed)]),
        }
    }

    /// A span in its largest unit; of hours and days, with the next smaller one.
    #[must_use]
    pub fn span(&self, span: TimeDelta) -> String {
        let seconds = span.num_seconds().max(0);
        let one = |text: crate::texts::Text, number: i64| text.filled(self.language, &[&number.to_string()]);
        let two = |large: String, small: String, rest: i64| if rest == 0 { large } else { format!("{large} {small}") };
        match seconds {
            0..60 => one(page::SECONDS, seconds),
            60..3_600 => one(page::MINUTES, seconds / 60),
            3_600..86_400 => {
                let rest = seconds % 3_600 / 60;
                two(one(page::HOURS, seconds / 3_600), one(page::MINUTES, rest), rest)
            }
            _ => {
                let rest = seconds % 86_400 / 3_600;
                two(one(page::DAYS, seconds / 86_400), one(page::HOURS, rest), rest)
            }
        }
    }

    /// By how much two clocks differ: to the second while that says more than minutes.
    #[must_use]
    pub fn difference(&self, seconds: i64) -> String {
        const EXACT_BELOW_S: u64 = 120;
        match seconds.unsigned_abs() {
            few @ ..EXACT_BELOW_S => page::SECONDS.filled(self.language, &[&few.to_string()]),
            many => self.span(TimeDelta::seconds(i64::try_from(many).unwrap_or(i64::MAX / 1_000))),
        }
    }

    /// Bytes in the largest binary unit that gives at least 1, with one digit behind the point below 10.
    #[must_use]
    pub fn bytes(&self, bytes: u64) -> String {
        let units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
        let mut unit = 0;
        while unit + 1 < units.len() && bytes >> (10 * (unit + 1)) > 0 {
            unit += 1;
        }
        let whole = bytes >> (10 * unit);
        if unit == 0 || whole >= 10 {
            return format!("{whole} {}", units[unit]);
        }
        let tenth = (bytes >> (10 * (unit - 1)) & 1_023) * 10 / 1_024;
        format!("{whole}{}{tenth} {}", self.point(), units[unit])
    }

    /// A temperature with one digit behind the point.
    #[must_use]
    pub fn temperature(&self, millicelsius: i64) -> String {
        let (sign, size) = (if millicelsius < 0 { "−" } else { "" }, millicelsius.unsigned_abs());
        format!("{sign}{}{}{} °C", size / 1_000, self.point(), size % 1_000 / 100)
    }

    fn point(&self) -> char {
        match self.language {
            Language::English => '.',
            Language::Indonesian => ',',
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_text_shows_as_itself_and_does_nothing() {
        let shown = |text: &str| Escaped(text).to_string();
        assert_eq!(shown("Warung & Co"), "Warung &amp; Co");
        assert_eq!(shown("<script>alert('x')</script>"), "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;");
        assert_eq!(shown("\" onload=\""), "&quot; onload=&quot;");
        assert_eq!(shown("a\u{0}b\nc\u{202e}d\u{7f}"), r"a\u{0}b\nc\u{202e}d\u{7f}");
        assert_eq!(shown("<\u{61c}\u{85}\u{2028}\u{feff}>"), r"&lt;\u{61c}\u{85}\u{2028}\u{feff}&gt;");
        assert_eq!(shown(&"ü".repeat(1_000)).chars().count(), OUTSIDE_MAX_BYTES / 2 + 1);
        assert!(shown(&"\"".repeat(1_000)).len() <= OUTSIDE_MAX_BYTES + '…'.len_utf8());
        assert_eq!(shown("日本 🍜"), "日本 🍜");
    }

    #[test]
    fn times_are_the_outlets_and_spans_have_two_units_at_most() {
        let zone = Zone::load("Asia/Jakarta").unwrap();
        let now: DateTime<Utc> = "2026-03-04T17:30:00Z".parse().unwrap();
        let writer = Writer { language: Language::English, zone: &zone, now };
        assert_eq!(writer.time(now), "00:30");
        assert_eq!(writer.time(now - TimeDelta::minutes(31)), "04/03/2026 23:59");
        assert_eq!(writer.second(now), "00:30:00");
        let ago = |seconds| writer.ago(now - TimeDelta::seconds(seconds));
        assert_eq!(ago(2), "just now");
        assert_eq!((ago(59), ago(60), ago(3_599)), ("59 s ago".into(), "1 min ago".into(), "59 min ago".into()));
        assert_eq!(
            (ago(7_260), ago(90_000), ago(172_800)),
            ("2 h 1 min ago".into(), "1 d 1 h ago".into(), "2 d ago".into())
        );
        assert_eq!(ago(-60), "in 1 min");
        let apart = [-95, 119, 121, 31_536_000 - 3_600].map(|seconds| writer.difference(seconds));
        assert_eq!(apart, ["95 s", "119 s", "2 min", "364 d 23 h"]);
        let writer = Writer { language: Language::Indonesian, ..writer };
        assert_eq!(writer.ago(now - TimeDelta::hours(3)), "3 jam lalu");
        assert_eq!(writer.bytes(1_536), "1,5 KiB");
        assert_eq!((writer.bytes(1_023), writer.bytes(512 << 20)), ("1023 bytes".into(), "512 MiB".into()));
        assert_eq!((writer.temperature(48_312), writer.temperature(-500)), ("48,3 °C".into(), "−0,5 °C".into()));
    }
}
