//! The line of a config file in which a fault stands, with a caret under the place.
//!
//! A line may hold a secret, in the right place or in a wrong one. So it is not asked which values are secrets, but which
//! are none: of a key that is known, and whose values are shown in messages anyway, the value is shown; of every other
//! line what stands before its `=`, if that is a key which the program knows or the fault names; else nothing.

use std::fmt;

use super::{fault::Fault, keys, meant::visible, nearest::nearest};

/// A line that is longer is cut around the place.
const WIDTH_CHARS: usize = 100;

/// What is shown of the file for one fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// From 1.
    number: usize,
    /// What may be shown of the line.
    line: String,
    /// Characters before the caret.
    caret: usize,
}

impl Excerpt {
    /// The line of a fault in its file; `None` where nothing of it may be shown.
    pub(super) fn of(text: &str, fault: &Fault) -> Option<Self> {
        let at = fault.position?;
        let line = text.lines().nth(at.line.checked_sub(1)?)?;
        let line = line.strip_prefix('\u{feff}').filter(|_| at.line == 1).unwrap_or(line);
        let shown = harmless(line, &fault.key)?;
        let rest = line[shown.len()..].trim_start();
        let indent = shown.chars().take_while(|c| matches!(c, ' ' | '\t')).count();
        // Behind what is shown the caret stands below the sign for what is not.
        let before = at.column.saturating_sub(1).min(shown.chars().count());
        let before: String = shown.chars().take(before).skip(indent).collect();
        let shown: String = shown.chars().skip(indent).collect();
        let mut line = visible(&shown);
        if !rest.is_empty() && !rest.starts_with('#') {
            line.push('…');
        }
        let (line, caret) = around(&line, visible(&before).chars().count());
        (!line.is_empty()).then_some(Self { number: at.line, line, caret })
    }
}

/// Two lines, each with its end.
impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, line, caret } = self;
        writeln!(f, "{number:>5} | {line}")?;
        writeln!(f, "{:>5} | {:>2$}", "", '^', caret + 1)
    }
}

/// The beginning of a line that holds nothing which could be a secret.
fn harmless<'l>(line: &'l str, fault: &str) -> Option<&'l str> {
    if line.trim_start().starts_with('[') {
        let name = |c: char| c.is_ascii_alphanumeric() || "[]-_. ".contains(c);
        return Some(line[..line.find(|c| !name(c)).unwrap_or(line.len())].trim_end());
    }
    // What stands between a key and its value may be wrong, too.
    let begin = line.len() - line.trim_start_matches([' ', '\t']).len();
    let end = line[begin..].find(['=', ':', ' ', '\t']).map_or(line.len(), |end| begin + end);
    let key = line[begin..end].rsplit('.').next().unwrap_or_default().trim_matches(['"', '\'']);
    let between = line[end..].trim_start_matches([' ', '\t']);
    let value = between.strip_prefix(['=', ':']).unwrap_or(between).trim_start_matches([' ', '\t']);
    if keys::is_shown(key) && is_value(value) {
        return Some(line[..line.len() - value.len() + comment(value)].trim_end());
    }
    let is_named =
        !key.is_empty() && (fault == key || fault.strip_suffix(key).is_some_and(|table| table.ends_with('.')));
    if is_named || keys::is_known(key) || between.starts_with('=') && nearest(key, keys::all()).is_some() {
        return Some(&line[..line.len() - value.len()]);
    }
    // An element of a list on a line of its own.
    let list = fault.rsplit('.').next().and_then(|key| key.split_once('[')).is_some_and(|(key, _)| keys::is_shown(key));
    (list && is_value(line)).then(|| line[..comment(line)].trim_end())
}

/// Whether it may be the value of one key, and holds no address with a password in it.
fn is_value(text: &str) -> bool {
    let value = &text[..comment(text)];
    !value.contains(['@', '?', '=', '{'])
}

/// Where the comment behind a value begins, or the value ends.
fn comment(value: &str) -> usize {
    let mut within = None;
    for (at, c) in value.char_indices() {
        match within {
            // Of a text without an end nobody knows where its comment begins.
            Some(quote) if c == quote && value[at + 1..].contains(quote) || Some(c) == within => within = None,
            None if c == '"' || c == '\'' => within = value[at + 1..].contains(c).then_some(c),
            None if c == '#' => return at,
            _ => {}
        }
    }
    value.len()
}

/// A part of the line of bounded width that holds the caret, and where the caret is in it.
fn around(line: &str, caret: usize) -> (String, usize) {
    let length = line.chars().count();
    let caret = caret.min(length);
    if length <= WIDTH_CHARS {
        return (line.to_owned(), caret);
    }
    let from = caret.saturating_sub(WIDTH_CHARS / 2).min(length.saturating_sub(WIDTH_CHARS));
    let mut part: String = line.chars().skip(from).take(WIDTH_CHARS).collect();
    if from > 0 {
        part = part.chars().skip(1).collect();
        part.insert(0, '…');
    }
    if from + WIDTH_CHARS < length {
        part.pop();
        part.push('…');
    }
    (part, caret - from)
}
