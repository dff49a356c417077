//! Walks a TOML document by its schema, and goes on after every fault.
//!
//! The schema asks a [`Table`] for each key that it knows, once; the table notes what is wrong with it. What nobody
//! asked for is unknown, and what was asked for in vain is missing: the two are told apart from a misspelt key only
//! when the whole table has been read, so they are reported then.
//!
//! serde is deliberately absent: it stops at the first fault.

use std::{cell::RefCell, collections::BTreeSet, path::Path};

use toml::de::{DeTable, DeValue};

use super::{
    fault::{Fault, Faults, Position},
    keys, meant,
    nearest::nearest,
};

/// How much of a faulty value is shown.
const SHOWN_CHARS: usize = 48;

/// A config file's text on its way to a config.
pub(super) struct Document<'d> {
    text: &'d str,
    root: DeTable<'d>,
    /// Lines whose syntax is broken: what the parser guessed there is not worth a second fault.
    broken_lines: BTreeSet<usize>,
    line_starts: Vec<usize>,
    faults: RefCell<Vec<Fault>>,
}

/// One table, asked key by key.
pub(super) struct Table<'d> {
    document: &'d Document<'d>,
    /// The dotted path, empty for the document itself.
    path: String,
    /// Where its header stands.
    header: usize,
    entries: &'d DeTable<'d>,
    asked: Vec<&'static str>,
    missing: Vec<Missing>,
    /// What is told of a key that nobody asked for, if that is known.
    elsewhere: Option<Box<Elsewhere<'d>>>,
}

type Elsewhere<'d> = dyn Fn(&str) -> Option<String> + 'd;

struct Missing {
    /// Any of them will do.
    keys: Vec<&'static str>,
    message: String,
}

/// A value whose type is still open.
pub(super) struct Value<'d> {
    value: &'d DeValue<'d>,
    /// It may be a secret.
    hidden: bool,
}

/// What became of a key.
pub(super) type Read<T> = Result<T, String>;

impl<'d> Document<'d> {
    /// Parses the text, with every fault of its syntax.
    pub(super) fn parse(text: &'d str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let mut document = Self {
            text,
            root: root.into_inner(),
            broken_lines: BTreeSet::new(),
            line_starts,
            faults: RefCell::default(),
        };
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            let line = document.line(at);
            let duplicate = error.message() == "duplicate key";
            // What follows a table's header that is broken counts to the table before it.
            if duplicate && !document.broken_lines.is_empty() {
                continue;
            }
            // The parser stumbles again where it fell; the first fault of a line tells what happened.
            if document.broken_lines.insert(line) {
                let begin = document.line_starts[line];
                let habit = meant::syntax(document.line_text(line)).filter(|_| !duplicate);
                if let Some((place, words)) = habit {
                    document.fault(
                        place.map_or(at, |place| begin + place),
                        String::new(),
                        format!("not TOML: {words}"),
                    );
                    continue;
                }
                let remedy = match (error.message(), error.span().and_then(|span| text.get(span))) {
                    (_, Some(key)) if duplicate => format!("duplicate key {}; take one of the two out", shown(key)),
                    (message, _) => message.to_owned(),
                };
                document.fault(at, String::new(), format!("not TOML: {remedy}"));
            }
        }
        document
    }

    /// Reads the document by its schema.
    pub(super) fn read<T>(&'d self, file: &Path, read: impl FnOnce(&mut Table<'d>) -> Option<T>) -> Result<T, Faults> {
        let mut root = Table::new(self, String::new(), 0, &self.root);
        let read = read(&mut root);
        root.finish();
        let faults = self.faults.take();
        match read {
            Some(config) if faults.is_empty() => Ok(config),
            _ => Err(Faults::new(file, faults, self.text)),
        }
    }

    /// The one fault of a document that is none, whatever else was found.
    pub(super) fn refused(&self, file: &Path, at: usize, message: &str) -> Faults {
        let fault =
            Fault { position: Some(self.position(at)), key: String::new(), message: format!("not TOML: {message}") };
        Faults::new(file, vec![fault], self.text)
    }

    /// A line without its end; the number counts from 0.
    fn line_text(&self, line: usize) -> &'d str {
        let begin = self.line_starts.get(line).copied().unwrap_or(self.text.len());
        self.text.get(begin..).and_then(|rest| rest.lines().next()).unwrap_or_default()
    }

    fn fault(&self, at: usize, key: String, message: String) {
        let position = Some(self.position(at));
        self.faults.borrow_mut().push(Fault { position, key, message });
    }

    /// The number of the line, from 0.
    fn line(&self, at: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= at).saturating_sub(1)
    }

    fn position(&self, at: usize) -> Position {
        let line = self.line(at);
        let before = self.text.get(self.line_starts[line]..at).unwrap_or_default();
        // Editors show a byte order mark nowhere, so no column counts it.
        let column = before.trim_start_matches('\u{feff}').chars().count() + 1;
        Position { line: line + 1, column }
    }

    fn is_broken(&self, at: usize) -> bool {
        self.broken_lines.contains(&self.line(at))
    }

    /// From the first line with broken syntax on this word stands somewhere, so the key may well be there: the parser
    /// can lose all that follows.
    fn names_behind_a_break(&self, key: &str) -> bool {
        let rest = self.broken_lines.first().and_then(|line| self.text.get(self.line_starts[*line]..));
        rest.is_some_and(|text| text.contains(key))
    }
}

impl<'d> Table<'d> {
    fn new(document: &'d Document<'d>, path: String, header: usize, entries: &'d DeTable<'d>) -> Self {
        Self { document, path, header, entries, asked: Vec::new(), missing: Vec::new(), elsewhere: None }
    }

    /// Says what is told of a key that nobody asks for, and that is known to belong elsewhere.
    pub(super) fn elsewhere(&mut self, told: impl Fn(&str) -> Option<String> + 'd) {
        self.elsewhere = Some(Box::new(told));
    }

    /// The dotted path, such as `pos[0]`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Whether the key is given, rightly or wrongly.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// A key that may be absent.
    pub(super) fn optional<T>(&mut self, key: &'static str, read: impl FnOnce(&Value<'d>) -> Read<T>) -> Option<T> {
        self.value(key, false, read)
    }

    /// A key's text, if it is one; a further look at what is read, and told if it is wrong, elsewhere.
    pub(super) fn optional_text(&self, key: &str) -> Option<String> {
        match self.entries.get(key)?.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            _ => None,
        }
    }

    /// A key that may be absent, and whose value must not be shown.
    pub(super) fn secret<T>(&mut self, key: &'static str, read: impl FnOnce(&Value<'d>) -> Read<T>) -> Option<T> {
        self.value(key, true, read)
    }

    /// A key that may be absent and then means `default`.
    pub(super) fn or<T>(&mut self, key: &'static str, default: T, read: impl FnOnce(&Value<'d>) -> Read<T>) -> T {
        self.value(key, false, read).unwrap_or(default)
    }

    /// A key that must be there; `remedy` says what to do if it is not.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        remedy: &str,
        read: impl FnOnce(&Value<'d>) -> Read<T>,
    ) -> Option<T> {
        self.require(&[key], remedy);
        self.value(key, false, read)
    }

    /// One of these keys must be there.
    pub(super) fn require(&mut self, keys: &[&'static str], remedy: &str) {
        if !keys.iter().any(|key| self.has(key)) {
            self.missing.push(Missing { keys: keys.to_vec(), message: remedy.to_owned() });
        }
    }

    /// A list that must be there, with at least one element, each read by itself.
    pub(super) fn each<T>(
        &mut self,
        key: &'static str,
        remedy: &str,
        read: impl FnMut(&Value<'d>) -> Read<T>,
    ) -> Option<Vec<T>> {
        self.require(&[key], remedy);
        self.list(key, remedy, read)
    }

    /// A list that may be absent, and if it is there has at least one element, each read by itself.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        remedy: &str,
        mut read: impl FnMut(&Value<'d>) -> Read<T>,
    ) -> Option<Vec<T>> {
        let list = self.value(key, false, |value| match value.value {
            DeValue::Array(list) if !list.is_empty() => Ok(list),
            DeValue::Array(_) => Err(format!("is an empty list; {remedy}")),
            _ => Err(format!("found {}; {remedy}", value.description())),
        })?;
        let mut elements = Vec::new();
        for (index, element) in list.iter().enumerate() {
            match read(&Value { value: element.get_ref(), hidden: false }) {
                Ok(element) => elements.push(element),
                Err(message) => {
                    let message = said(element.get_ref(), keys::is_shown(key), message);
                    self.note(element.span().start, format!("{}[{index}]", self.path_of(key)), message);
                }
            }
        }
        Some(elements)
    }

    /// A table `[key]`; without a remedy it may be absent.
    pub(super) fn table<T>(
        &mut self,
        key: &'static str,
        remedy: Option<&str>,
        read: impl FnOnce(&mut Table<'d>) -> Option<T>,
    ) -> Option<T> {
        if let Some(remedy) = remedy {
            self.require(&[key], remedy);
        }
        let (header, entries) = self
            .value(key, false, |value| match value.value {
                DeValue::Table(entries) => Ok(entries),
                DeValue::Array(_) => Err(format!("found a list; there is only one, write `[{key}]`")),
                _ => Err(format!("found {}; expected a table `[{key}]`", value.description())),
            })
            .map(|entries| (self.header_of(key), entries))?;
        let mut table = Table::new(self.document, self.path_of(key), header, entries);
        let read = read(&mut table);
        table.finish();
        read
    }

    /// Tables `[[key]]`, at least one and at most `limit`; `None` stands for one that could not be read.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        remedy: &str,
        limit: usize,
        mut read: impl FnMut(&mut Table<'d>) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.require(&[key], remedy);
        let expected = format!("expected tables, each headed `[[{key}]]`");
        let list = self.value(key, false, |value| match value.value {
            DeValue::Array(list) if list.len() > limit => Err(format!("are {}; at most {limit} are read", list.len())),
            DeValue::Array(list) if !list.is_empty() => Ok(list),
            DeValue::Table(_) => Err(format!("found one table; {expected}")),
            _ => Err(format!("found {}; {expected}", value.description())),
        })?;
        let mut tables = Some(Vec::new());
        for (index, element) in list.iter().enumerate() {
            let (at, path) = (element.span().start, format!("{}[{index}]", self.path_of(key)));
            let DeValue::Table(entries) = element.get_ref() else {
                let value = Value { value: element.get_ref(), hidden: false };
                self.note(at, path, format!("found {}; {expected}", value.description()));
                continue;
            };
            let mut table = Table::new(self.document, path, at, entries);
            let read = read(&mut table);
            table.finish();
            match (read, &mut tables) {
                (Some(element), Some(list)) => list.push(element),
                _ => tables = None,
            }
        }
        tables
    }

    /// Notes a fault that only the table as a whole shows, at the key's value.
    pub(super) fn fault(&self, key: &str, message: impl Into<String>) {
        let at = self.entries.get(key).map_or(self.header, |value| value.span().start);
        self.note(at, self.path_of(key), message.into());
    }

    fn value<T>(&mut self, key: &'static str, hidden: bool, read: impl FnOnce(&Value<'d>) -> Read<T>) -> Option<T> {
        self.asked.push(key);
        let value = self.entries.get(key)?;
        match read(&Value { value: value.get_ref(), hidden }) {
            Ok(read) => Some(read),
            Err(message) => {
                self.note(value.span().start, self.path_of(key), said(value.get_ref(), keys::is_shown(key), message));
                None
            }
        }
    }

    /// Tells unknown, misspelt and missing keys.
    fn finish(mut self) {
        let absent: Vec<&str> = self.asked.iter().copied().filter(|key| !self.has(key)).collect();
        for (key, value) in self.entries {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            // A key that is not there yet is more likely to be meant than one that is.
            let of_another = self.elsewhere.as_ref().and_then(|told| told(name));
            let meant = nearest(name, absent.iter().copied()).or_else(|| nearest(name, self.asked.iter().copied()));
            let meant = meant.filter(|_| of_another.is_none());
            let elsewhere = of_another.or_else(|| keys::place_of(name, &self.path).filter(|_| meant.is_none()));
            let kind = match value.get_ref() {
                DeValue::Table(_) => "table",
                _ => "key",
            };
            let advice = match (meant, elsewhere) {
                (Some(meant), _) => format!("did you mean `{meant}`?"),
                (None, Some(elsewhere)) => format!("{elsewhere}; known here: {}", self.asked.join(", ")),
                (None, None) => format!("known here: {}", self.asked.join(", ")),
            };
            if !self.document.is_broken(value.span().start) {
                self.note(key.span().start, self.path_of(name), format!("unknown {kind}; {advice}"));
            }
            self.missing.retain(|missing| !meant.is_some_and(|meant| missing.keys.contains(&meant)));
        }
        for Missing { keys, message } in std::mem::take(&mut self.missing) {
            if !self.document.is_broken(self.header) && !keys.iter().any(|key| self.document.names_behind_a_break(key))
            {
                self.document.fault(self.header, self.path_of(keys[0]), format!("missing; {message}"));
            }
        }
    }

    fn note(&self, at: usize, path: String, message: String) {
        if !self.document.is_broken(at) {
            self.document.fault(at, path, message);
        }
    }

    fn header_of(&self, key: &str) -> usize {
        self.entries.get(key).map_or(self.header, |value| value.span().start)
    }

    fn path_of(&self, key: &str) -> String {
        let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        let key = if bare { shortened(key) } else { format!("{:?}", shortened(key)) };
        if self.path.is_empty() { key } else { format!("{}.{key}", self.path) }
    }
}

impl<'d> Value<'d> {
    /// The value as text; `expected` completes "expected …".
    pub(super) fn text(&self, expected: &str) -> Read<&'d str> {
        match self.value {
            DeValue::String(text) => Ok(text),
            _ => Err(self.unexpected(expected)),
        }
    }

    /// The value as a whole number.
    pub(super) fn integer(&self, expected: &str) -> Read<i64> {
        match self.value {
            DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
                .map_err(|_| format!("{} is out of bounds; expected {expected}", self.description())),
            _ => Err(self.unexpected(expected)),
        }
    }

    /// The value as `true` or `false`.
    pub(super) fn boolean(&self) -> Read<bool> {
        let word = match self.value {
            DeValue::Boolean(flag) => return Ok(*flag),
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(digits) => Some(digits.to_string()),
            _ => None,
        };
        let meant = word.and_then(|word| meant::boolean(&word).map(|meant| (word, meant)));
        let told = meant.map(|(word, meant)| format!("; for {} write {meant}", shown(&word)));
        Err(self.unexpected("true or false, without quotes") + &told.unwrap_or_default())
    }

    fn unexpected(&self, expected: &str) -> String {
        format!("found {}; expected {expected}", self.description())
    }

    fn description(&self) -> String {
        let (kind, text) = match self.value {
            // Not shown: a whole address with its password may stand where a list was expected.
            DeValue::String(_) => return "text".to_owned(),
            DeValue::Integer(digits) => ("the whole number", digits.to_string()),
            DeValue::Float(digits) => ("the number", digits.to_string()),
            DeValue::Boolean(flag) => ("the truth value", flag.to_string()),
            DeValue::Datetime(time) => ("the date or time", time.to_string()),
            DeValue::Array(_) => return "a list".to_owned(),
            DeValue::Table(_) => return "a table".to_owned(),
        };
        if self.hidden { format!("{kind} (not shown)") } else { format!("{kind} {}", shown(&text)) }
    }
}

/// What is told of a refused value: where it holds what is not seen for what it is, that.
fn said(value: &DeValue, is_shown: bool, message: String) -> String {
    let DeValue::String(text) = value else { return message };
    match meant::odd_within(text, is_shown && !text.contains(['@', '?'])) {
        Some(words) if is_shown => format!("{} {words}", shown(&meant::visible(text))),
        // Which character of a token it is stands in its own words.
        Some(words) if !message.contains("U+") => words,
        _ => message,
    }
}

/// A value in a message: quoted, and not longer than a reader needs.
pub(super) fn shown(text: &str) -> String {
    format!("`{}`", shortened(text))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
