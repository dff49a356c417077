//! Foreign text as it is told: in one line, and as it was written.
//!
//! A point of sale, a broker or a file may hold what breaks a line, steers a terminal, turns the direction of writing or
//! is not seen at all: whoever reads a log or a list would see a line that nobody wrote, or a name that is another's.
//! Each such character shows as an escape, `\n` or `\u{202e}`. Text that was escaped stays as it is when it is escaped
//! again, so it may be done wherever text is shown without asking whether somebody has done it before.
//!
//! Deliberately absent: escaping the backslash. What stands in a name as `\n` is no harm, and paths stay readable.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

/// A value that shows in one line, with everything escaped that is not [plain](is_plain).
#[derive(Debug, Clone, Copy)]
pub struct Plain<T>(pub T);

impl<T: fmt::Display> fmt::Display for Plain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

/// Text in one line, with everything escaped that is not [plain](is_plain).
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_plain) { Cow::Borrowed(text) } else { Cow::Owned(Plain(text).to_string()) }
}

/// Text of several lines of our own, each of which may hold foreign text.
#[must_use]
pub fn plain_lines(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| c == '\n' || is_plain(c)) {
        return Cow::Borrowed(text);
    }
    let lines: Vec<_> = text.split('\n').map(plain).collect();
    Cow::Owned(lines.join("\n"))
}

/// The same JSON, with its strings' characters that are not plain written as JSON's own escapes.
#[must_use]
pub fn plain_json(json: &str) -> Cow<'_, str> {
    // Below U+0020 only the blanks between the values stand in JSON; those inside are escaped already.
    let stays = |c: char| c < ' ' || is_plain(c);
    if json.chars().all(stays) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if stays(c) {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _infallible = write!(text, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(text)
}

/// Whether a character shows as itself, where it stands, and nothing else changes by it.
#[must_use]
pub fn is_plain(c: char) -> bool {
    !matches!(c,
        // Lines and paragraphs end there without being a control character.
        '\u{2028}' | '\u{2029}'
        // The direction of writing.
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        // Nothing is seen of these.
        | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180e}'
        | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}'
    ) && !c.is_control()
}

/// Writes on what is plain, and the rest as escapes.
struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, odd)) = rest.char_indices().find(|(_, c)| !is_plain(*c)) {
            self.0.write_str(&rest[..at])?;
            write!(self.0, "{}", odd.escape_default())?;
            rest = &rest[at + odd.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What may not reach whoever reads, as the issue names it.
    const HOSTILE: [char; 22] = [
        '\n',
        '\r',
        '\t',
        '\u{0}',
        '\u{1b}',
        '\u{7f}',
        '\u{85}',
        '\u{9b}',
        '\u{61c}',
        '\u{200b}',
        '\u{200d}',
        '\u{200e}',
        '\u{200f}',
        '\u{2028}',
        '\u{2029}',
        '\u{202a}',
        '\u{202e}',
        '\u{2060}',
        '\u{2066}',
        '\u{2069}',
        '\u{feff}',
        '\u{e0041}',
    ];

    #[test]
    fn what_breaks_a_line_or_turns_it_shows_as_an_escape() {
        assert_eq!(Plain("Kopi\r\n2026-01-01 ERROR x").to_string(), r"Kopi\r\n2026-01-01 ERROR x");
        assert_eq!(plain("a\u{202e}b\u{1b}[2J\u{85}"), r"a\u{202e}b\u{1b}[2J\u{85}");
        for c in HOSTILE {
            assert!(!is_plain(c) && Plain(c).to_string().starts_with('\\'), "{c:?}");
        }
    }

    #[test]
    fn what_people_write_stays() {
        for text in ["Warung Sabang №3", "مقهى", "咖啡", "Caf\u{e9} ☕\u{fe0f}", "C:\\kasir\\n", "“Kopi” – 5\u{a0}%"]
        {
            assert!(matches!(plain(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn our_own_lines_stay_lines() {
        assert_eq!(plain_lines("one\ntwo\u{202e}\r\n"), "one\ntwo\\u{202e}\\r\n");
    }

    proptest! {
        #[test]
        fn escaped_text_is_one_plain_line_and_stays_as_it_is(text in any::<String>(), hostile in prop::sample::select(&HOSTILE[..])) {
            let once = Plain(format!("{hostile}{text}{hostile}")).to_string();
            prop_assert!(once.chars().all(is_plain), "{once:?}");
            prop_assert_eq!(plain(&once), once.as_str());
        }

        #[test]
        fn json_means_the_same_and_is_plain(text in any::<String>(), hostile in prop::sample::select(&HOSTILE[..])) {
            let value = serde_json::json!({ format!("{hostile}{text}"): [format!("{text}{hostile}\u{1f600}"), 1, null] });
            for json in [value.to_string(), format!("{value:#}")] {
                let shown = plain_json(&json);
                prop_assert!(shown.chars().all(|c| c == '\n' || is_plain(c)), "{shown:?}");
                prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"), &value);
            }
        }
    }
}
