//! What people write who know another spelling, and what is meant: each as a function from the text to words for it.
//!
//! Nothing here is read as what it means: a config says one thing in one way, and a guess at a shop's time zone or
//! currency would be wrong for years. It is told what to write instead.

use chrono::{DateTime, FixedOffset, Utc};

use super::{keys, read::shown};
use crate::zone::Zone;

/// Abbreviations of times, and what has it.
const ABBREVIATIONS: &[(&str, &str)] = &[
    ("WIB", "Asia/Jakarta"),
    ("WITA", "Asia/Makassar"),
    ("WIT", "Asia/Jayapura"),
    ("SGT", "Asia/Singapore"),
    ("MYT", "Asia/Kuala_Lumpur"),
    ("ICT", "Asia/Bangkok"),
    ("PHT", "Asia/Manila"),
];

/// Places that have no zone of their own, and whose they have.
const PLACES: &[(&str, &[&str])] = &[
    (
        "Asia/Jakarta",
        &[
            "surabaya",
            "bandung",
            "medan",
            "semarang",
            "yogyakarta",
            "jogja",
            "palembang",
            "malang",
            "bogor",
            "depok",
            "tangerang",
            "bekasi",
            "batam",
            "padang",
            "pekanbaru",
            "solo",
            "surakarta",
            "lampung",
            "java",
            "jawa",
            "sumatra",
            "sumatera",
            "indonesia",
        ],
    ),
    (
        "Asia/Makassar",
        &[
            "bali",
            "denpasar",
            "lombok",
            "mataram",
            "kupang",
            "manado",
            "banjarmasin",
            "balikpapan",
            "samarinda",
            "palu",
            "kendari",
            "gorontalo",
            "sulawesi",
            "flores",
            "ubud",
            "kuta",
        ],
    ),
    ("Asia/Jayapura", &["ambon", "sorong", "papua", "ternate", "manokwari", "merauke", "timika", "maluku"]),
    ("Asia/Pontianak", &["kalimantan barat", "singkawang"]),
];

/// Zones that are named first of those with an offset.
const NEAR: &[&str] = &[
    "Asia/Jakarta",
    "Asia/Makassar",
    "Asia/Jayapura",
    "Asia/Singapore",
    "Asia/Kuala_Lumpur",
    "Asia/Manila",
    "Asia/Bangkok",
    "Asia/Ho_Chi_Minh",
    "Asia/Dili",
];

/// How many zones are named for an offset.
const NAMED_ZONES: usize = 3;

/// Two days of which one has summer time, wherever there is any.
const WINTER_AND_SUMMER_UNIX_SECONDS: [i64; 2] = [1_768_435_200, 1_784_073_600];

/// Signs and names of currencies, in lower case and without a point at the end.
const CURRENCIES: &[(&str, &str)] = &[
    ("rp", "IDR"),
    ("rupiah", "IDR"),
    ("s$", "SGD"),
    ("rm", "MYR"),
    ("ringgit", "MYR"),
    ("us$", "USD"),
    ("₱", "PHP"),
    ("peso", "PHP"),
    ("฿", "THB"),
    ("baht", "THB"),
    ("₫", "VND"),
    ("dong", "VND"),
    ("€", "EUR"),
    ("euro", "EUR"),
];

const YES: [&str; 8] = ["true", "yes", "on", "y", "ya", "1", "aktif", "iya"];
const NO: [&str; 9] = ["false", "no", "off", "n", "tidak", "0", "mati", "tdk", "none"];

/// How a zone that the system does not know is written, if that can be said.
pub(super) fn zone(text: &str) -> Option<String> {
    let told = text.trim();
    let same = |known: &str| known.eq_ignore_ascii_case(told);
    if let Some((_, zone)) = ABBREVIATIONS.iter().find(|(known, _)| same(known)) {
        return Some(format!("{} is an abbreviation, and no zone's name; write `{zone}`", shown(text)));
    }
    let place = told.rsplit('/').next().unwrap_or_default().replace('_', " ").to_lowercase();
    if let Some((zone, _)) = PLACES.iter().find(|(_, places)| places.contains(&place.as_str())) {
        return Some(format!("{} is in no list of zones, which names one city for many; write `{zone}`", shown(text)));
    }
    let zones: Vec<_> = with_offset(offset(told)?).iter().map(|zone| format!("`{zone}`")).collect();
    let such = if zones.is_empty() { String::new() } else { format!(", of those that have it: {}", zones.join(", ")) };
    Some(format!("{} is an offset, and no zone's name; write the shop's zone{such}", shown(text)))
}

/// `GMT+7`, `UTC+07:00`, `+0700`: the offset.
fn offset(text: &str) -> Option<FixedOffset> {
    let upper = text.to_ascii_uppercase();
    let rest = ["UTC", "GMT"].iter().find_map(|prefix| upper.strip_prefix(prefix)).unwrap_or(&upper).trim();
    let (east, digits) = match (rest.strip_prefix('+'), rest.strip_prefix(['-', '\u{2212}'])) {
        (Some(digits), _) => (1, digits),
        (_, Some(digits)) => (-1, digits),
        _ => return None,
    };
    let digits = digits.trim();
    let (hours, minutes) = match digits.split_once([':', '.']) {
        Some(parts) => parts,
        None if digits.len() == 4 => digits.split_at_checked(digits.len() - 2)?,
        None => (digits, "0"),
    };
    let is_number = |text: &str| matches!(text.len(), 1 | 2) && text.bytes().all(|b| b.is_ascii_digit());
    let number = |text: &str| is_number(text).then(|| text.parse::<i32>().ok())?;
    let (hours, minutes) = (number(hours).filter(|hours| *hours <= 14)?, number(minutes).filter(|at| *at < 60)?);
    FixedOffset::east_opt(east * (hours * 3_600 + minutes * 60))
}

/// Some zones that have an offset all the year.
fn with_offset(offset: FixedOffset) -> Vec<String> {
    let has = |name: &String| {
        Zone::load(name).is_ok_and(|zone| {
            let at = |unix| zone.local(DateTime::<Utc>::from_timestamp(unix, 0).unwrap_or_default());
            WINTER_AND_SUMMER_UNIX_SECONDS.into_iter().all(|unix| *at(unix).offset() == offset)
        })
    };
    let near: Vec<String> = NEAR.iter().map(|name| (*name).to_owned()).filter(has).collect();
    if !near.is_empty() {
        return near.into_iter().take(NAMED_ZONES).collect();
    }
    // Zones that are no place's are named for nobody.
    let places = Zone::names().into_iter().filter(|name| name.contains('/') && !name.starts_with("Etc/"));
    places.filter(has).take(NAMED_ZONES).collect()
}

/// The code of a currency that is called otherwise.
pub(super) fn currency(text: &str) -> Option<&'static str> {
    let told = text.trim().trim_end_matches('.').to_lowercase();
    let code = super::Currency::parse(&told.to_uppercase()).map(|currency| currency.as_str());
    CURRENCIES.iter().find(|(name, _)| *name == told).map(|(_, code)| *code).or(code)
}

/// The truth value that a word means.
pub(super) fn boolean(text: &str) -> Option<bool> {
    let told = text.trim().to_lowercase();
    let is = |words: &[&str]| words.contains(&told.as_str());
    if is(&YES) { Some(true) } else { is(&NO).then_some(false) }
}

/// Whether a text says that something is to be written there.
pub(super) fn is_placeholder(text: &str) -> bool {
    let told = text.trim().to_lowercase().replace(['_', ' '], "-");
    let within = |begin: &str, end: &str| told.len() > 1 && told.starts_with(begin) && told.ends_with(end);
    let filled = |c: char| "x*.…-?".contains(c);
    let words =
        ["changeme", "change-me", "replaceme", "replace-me", "placeholder", "todo", "tbd", "isi-di-sini", "ganti-ini"];
    told == "…"
        || told.chars().count() >= 3 && told.chars().all(filled) && told.chars().all(|c| told.starts_with(c))
        || within("<", ">")
        || within("{{", "}}")
        || within("${", "}")
        || words.contains(&told.as_str())
        || ["your-", "insert-", "enter-your", "paste-", "put-your", "change-this", "my-secret-"]
            .iter()
            .any(|begin| told.starts_with(begin))
        || told.ends_with("-here")
}

/// Whether an address has a placeholder in it.
pub(super) fn has_placeholder(address: &str) -> bool {
    address.contains(['<', '>', '…']) || address.split(['/', ':', '.']).any(is_placeholder)
}

/// What stands where it is not seen for what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Odd {
    /// A quote as letters have it.
    Quote,
    /// A dash as letters have it.
    Dash,
    /// A blank that is none to a program.
    Blank,
    /// Nothing is seen of it.
    Unseen,
}

fn odd(c: char) -> Option<Odd> {
    match c {
        '\u{ab}'
        | '\u{bb}'
        | '\u{b4}'
        | '`'
        | '\u{2018}'..='\u{201f}'
        | '\u{2032}'
        | '\u{2033}'
        | '\u{2039}'
        | '\u{203a}'
        | '\u{300c}'..='\u{300f}'
        | '\u{ff02}'
        | '\u{ff07}' => Some(Odd::Quote),
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe63}' | '\u{ff0d}' => Some(Odd::Dash),
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => Some(Odd::Blank),
        '\t' | '\r' | '\n' => None,
        c if !crate::plain::is_plain(c) => Some(Odd::Unseen),
        _ => None,
    }
}

/// Whether a character is a blank to nobody but the reader, or not seen at all.
pub(super) fn is_unseen(c: char) -> bool {
    matches!(odd(c), Some(Odd::Blank | Odd::Unseen))
}

/// The text with every character escaped that would not be seen for what it is.
pub(super) fn visible(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if is_unseen(c) || !crate::plain::is_plain(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
        shown
    })
}

/// What a character is called: `a no-break blank (U+00A0)`.
pub(super) fn called(c: char) -> String {
    let name = match c {
        '\u{a0}' | '\u{2007}' | '\u{202f}' => "a no-break blank",
        '\u{200b}' => "a zero-width blank",
        '\u{feff}' => "a byte order mark",
        ' ' => return "a blank".to_owned(),
        '\r' | '\n' => return "a line's end".to_owned(),
        '\t' => return "a tab".to_owned(),
        c => match odd(c) {
            Some(Odd::Quote) => "a typographic quote",
            Some(Odd::Dash) => "a typographic dash",
            Some(Odd::Blank) => "a typographic blank",
            Some(Odd::Unseen) => "a character that nobody sees",
            None => "a character beyond ASCII",
        },
    };
    format!("{name} (U+{:04X})", u32::from(c))
}

/// What to do with it.
fn remedy(c: char) -> &'static str {
    match odd(c) {
        Some(Odd::Quote) => "write the straight quote `\"`",
        Some(Odd::Dash) => "write `-`",
        Some(Odd::Blank) => "write a plain blank, or take it out",
        _ => "take it out",
    }
}

/// Words for a text in straight quotes that was refused, if an odd character is in it; the text is `shown` or not.
pub(super) fn odd_within(text: &str, is_shown: bool) -> Option<String> {
    let at = text.chars().position(|c| odd(c).is_some())?;
    let found = text.chars().nth(at)?;
    let meant: String = text
        .chars()
        .filter_map(|c| match odd(c) {
            // Of the values that are refused for a blank none has one.
            Some(Odd::Quote | Odd::Blank | Odd::Unseen) => None,
            Some(Odd::Dash) => Some('-'),
            None => Some(c),
        })
        .collect();
    let write = if is_shown { format!("write {}", shown(meant.trim())) } else { remedy(found).to_owned() };
    Some(format!("holds {} as character {}; {write}", called(found), at + 1))
}

/// Words for a line that is no TOML, with the byte at which what they tell stands; `None` for the beginning of its value.
pub(super) fn syntax(line: &str) -> Option<(Option<usize>, String)> {
    if let Some((at, c)) = outside_of_quotes(line).find(|(_, c)| odd(*c).is_some()) {
        let so = match line.split_once('=') {
            // The key is not repeated where it may be anything.
            Some((key, value)) if odd(c) == Some(Odd::Quote) && keys::is_known(key.trim()) => {
                let is_shown = keys::is_shown(key.trim()) && !value.contains(['@', '?', '=', '#', '[', '{']);
                let meant: String = value.chars().filter(|c| odd(*c).is_none() && *c != '"').collect();
                let meant = if is_shown { meant.trim().to_owned() } else { "…".to_owned() };
                let [open, close] = if value.contains('[') { ["[", "]"] } else { ["", ""] };
                format!("write straight ones, `{} = {open}\"{meant}\"{close}`", key.trim())
            }
            _ => remedy(c).to_owned(),
        };
        return Some((Some(at), format!("{} stands here; {so}", called(c))));
    }
    if let Some((key, value)) = line.split_once('=') {
        let (key, value) = (key.trim(), value[..value.find('#').unwrap_or(value.len())].trim());
        if keys::is_truth(key) {
            let meant = boolean(value)?;
            return Some((None, format!("{} is no truth value; write `{key} = {meant}`", shown(value))));
        }
        let bare = |c: char| c.is_ascii_alphanumeric() || "/_.:-+@ ".contains(c);
        let is_bare = value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') && value.chars().all(bare);
        let text = if keys::is_shown(key) && !value.contains('@') { value } else { "…" };
        return (is_bare && keys::is_text(key))
            .then(|| (None, format!("text stands in quotes; write `{key} = \"{text}\"`")));
    }
    let (key, _) = line.split_once(':')?;
    keys::all().any(|known| known == key.trim()).then(|| {
        (line.find(':'), format!("a key and its value stand with `=` between them; write `{} = …`", key.trim()))
    })
}

/// The characters that stand in no straight quotes and in no comment. A quote that nothing ends begins none.
fn outside_of_quotes(line: &str) -> impl Iterator<Item = (usize, char)> {
    let mut within = None;
    line.char_indices()
        .filter(move |(at, c)| match within {
            Some(quote) => {
                if quote == *c {
                    within = None;
                }
                false
            }
            None if matches!(c, '"' | '\'') && line[at + 1..].contains(*c) => {
                within = Some(*c);
                false
            }
            None => true,
        })
        .take_while(|(_, c)| *c != '#')
}

/// Words for a document in another language, with the byte at which it begins.
pub(super) fn other_language(text: &str) -> Option<(usize, String)> {
    let begin = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let mut lines = begin
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.trim_start().is_empty() && !line.trim_start().starts_with('#'));
    let first = lines.next()?;
    let is_yaml = first == "---"
        || first.split_once(':').is_some_and(|(key, rest)| is_word(key) && (rest.is_empty() || rest.starts_with(' ')));
    let language = match first.chars().next() {
        Some('{') => "JSON",
        Some('<') => "XML",
        _ if is_yaml => "YAML",
        _ => return None,
    };
    let write = |key: &str, example: &str| format!("`{key} = \"{}\"`", scalar(text, key).unwrap_or(example));
    let lines = [write("id", "jkt-014"), write("timezone", "Asia/Jakarta"), write("currency", "IDR")].join(", ");
    let at = text.find(first).unwrap_or_default();
    Some((
        at,
        format!(
            "this is {language}, and the config is TOML; write it so, a line each: `[outlet]`, {lines}; the example tillbox.toml has all of it"
        ),
    ))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// What another language sets a key to, if it is a plain word.
fn scalar<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.match_indices(key).find_map(|(at, _)| {
        let is_begin = text[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '-' && c != '_');
        let rest = text[at + key.len()..].trim_start_matches(['"', '\'']).trim_start_matches([' ', '\t']);
        let value = rest.strip_prefix(':').filter(|_| is_begin)?.trim_start_matches([' ', '\t', '"', '\'']);
        let end = value.find(|c: char| !c.is_ascii_alphanumeric() && !"-_./+".contains(c)).unwrap_or(value.len());
        Some(&value[..end]).filter(|value| !value.is_empty() && value.len() <= 64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_as_people_write_them() {
        for text in ["GMT+7", "UTC+7", "utc +7", "UTC+07:00", "+07:00", "+7", "+0700", "GMT +07.00"] {
            assert_eq!(offset(text).map(|offset| offset.local_minus_utc()), Some(7 * 3_600), "{text}");
        }
        assert_eq!(offset("UTC-3:30").map(|offset| offset.local_minus_utc()), Some(-12_600));
        for text in ["GMT", "7", "+", "UTC+", "UTC+x", "+15:00", "+7:60", "Asia/Jakarta", "GMT+007", "+é1"] {
            assert_eq!(offset(text), None, "{text}");
        }
        assert_eq!(
            with_offset(FixedOffset::east_opt(7 * 3_600).unwrap()),
            ["Asia/Jakarta", "Asia/Bangkok", "Asia/Ho_Chi_Minh"]
        );
        assert_eq!(with_offset(FixedOffset::east_opt(9 * 3_600).unwrap()), ["Asia/Jayapura", "Asia/Dili"]);
    }

    #[test]
    fn a_placeholder_is_told_from_what_a_system_gives() {
        for text in [
            "<token>",
            "YOUR_TOKEN",
            "your-token-here",
            "xxx",
            "XXXXXXXX",
            "changeme",
            "CHANGE_ME",
            "...",
            "…",
            "***",
            "${TOKEN}",
            "{{ token }}",
            "paste-it-here",
            "TODO",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in ["x", "t", "T0", "secret", "xoxb-17", "hunter2-Zq7", "youri", "yours", "<3", "1234", "111", "-"] {
            assert!(!is_placeholder(text), "{text}");
        }
        assert!(has_placeholder("mqtts://<host>:8883") && has_placeholder("https://your-server.id/api/v1"));
        assert!(
            !has_placeholder("mqtts://mqtt.hq.example:8883") && !has_placeholder("http://192.168.1.10:8080/api/v1")
        );
    }

    #[test]
    fn what_stands_in_quotes_or_in_a_comment_is_no_fault_of_the_syntax() {
        assert_eq!(syntax("name = \"Warung “Sabang”\" # “so”"), None);
        let (at, words) = syntax("id = “jkt-014”").unwrap();
        assert_eq!(
            (at, words.as_str()),
            (Some(5), "a typographic quote (U+201C) stands here; write straight ones, `id = \"jkt-014\"`")
        );
        let (_, words) = syntax("token = “hunter2”").unwrap();
        assert!(words.ends_with("`token = \"…\"`"), "{words}");
        let (_, words) = syntax("hunter2 “x” = 1").unwrap();
        assert!(!words.contains("hunter2"), "{words}");
    }
}
