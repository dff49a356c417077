//! Every text that a shop sees, in English and Indonesian: on the page, on the cashier's card, in reports for people.
//!
//! One table, so that a word is the same wherever it stands, and a test can tell that no text is missing in either
//! language. Texts for the journal, for `tillbox check` and for HQ are not here: those are for technicians, in English.

pub mod card;
pub mod conditions;
pub mod lights;
pub mod page;
pub mod report;

use serde::{Deserialize, Serialize};

/// A language that a shop reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Language {
    /// English.
    #[default]
    #[serde(rename = "en")]
    English,
    /// Indonesian.
    #[serde(rename = "id")]
    Indonesian,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::English, Self::Indonesian];

    /// Its ISO 639-1 code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Indonesian => "id",
        }
    }

    /// What its speakers call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Indonesian => "Bahasa Indonesia",
        }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::English => Self::Indonesian,
            Self::Indonesian => Self::English,
        }
    }

    /// Reads a code; `in` is how old phones call Indonesian.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        match code {
            "en" => Some(Self::English),
            "id" | "in" => Some(Self::Indonesian),
            _ => None,
        }
    }

    /// What a browser prefers, by its `Accept-Language`: the known language with the highest weight, of two the first.
    #[must_use]
    pub fn accepted(header: &str) -> Option<Self> {
        let mut best: Option<(u32, Self)> = None;
        for range in header.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let tag = parts.next().unwrap_or_default().to_ascii_lowercase();
            let language = Self::of_code(tag.split('-').next().unwrap_or_default());
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1_000, thousandths);
            if let Some(language) = language.filter(|_| weight > best.map_or(0, |(weight, _)| weight)) {
                best = Some((weight, language));
            }
        }
        best.map(|(_, language)| language)
    }

    /// A count with its thousands apart, as the language writes it.
    #[must_use]
    pub fn number(self, number: u64) -> String {
        let separator = match self {
            Self::English => ',',
            Self::Indonesian => '.',
        };
        let digits = number.to_string();
        let mut text = String::with_capacity(digits.len() * 4 / 3);
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push(separator);
            }
            text.push(digit);
        }
        text
    }
}

/// A weight such as `0.8`, in thousandths; nonsense counts as nothing.
fn thousandths(text: &str) -> u32 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    match (whole.parse::<u32>(), fraction.parse::<u32>()) {
        (Ok(whole), Ok(fraction)) => whole.min(1) * 1_000 + fraction,
        _ => 0,
    }
}

/// A text in every language. `{}` in it is a place to fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// English.
    pub english: &'static str,
    /// Indonesian.
    pub indonesian: &'static str,
}

impl Text {
    /// Both texts, English first.
    #[must_use]
    pub const fn new(english: &'static str, indonesian: &'static str) -> Self {
        Self { english, indonesian }
    }

    /// The text in a language.
    #[must_use]
    pub const fn of(self, language: Language) -> &'static str {
        match language {
            Language::English => self.english,
            Language::Indonesian => self.indonesian,
        }
    }

    /// The text in a language, its places filled in order.
    #[must_use]
    pub fn filled(self, language: Language, with: &[&str]) -> String {
        let mut text = String::new();
        let mut with = with.iter();
        for (at, part) in self.of(language).split("{}").enumerate() {
            if at > 0 {
                text.push_str(with.next().copied().unwrap_or_default());
            }
            text.push_str(part);
        }
        text
    }
}

/// Declares each text once, by name, and lists all of them.
macro_rules! texts {
    ($($name:ident = $english:literal, $indonesian:literal;)*) => {
        $(
            #[doc = $english]
            pub const $name: Text = Text::new($english, $indonesian);
        )*

        /// Every text of this part, by its name.
        pub const ALL: &[(&str, Text)] = &[$((stringify!($name), $name)),*];
    };
}
use texts;

/// What something means, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// What it means.
    pub meaning: Text,
    /// What to do.
    pub to_do: Text,
}

impl Advice {
    const fn new(meaning: [&'static str; 2], to_do: [&'static str; 2]) -> Self {
        Self { meaning: Text::new(meaning[0], meaning[1]), to_do: Text::new(to_do[0], to_do[1]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{board::profile::Light, health::Condition, signal::Pattern};

    fn all() -> Vec<(String, Text)> {
        let parts = [page::ALL, card::ALL, report::ALL, lights::ALL].into_iter().flatten();
        let mut all: Vec<(String, Text)> = parts.map(|(name, text)| ((*name).to_owned(), *text)).collect();
        let mut advice = |name: String, advice: Advice| {
            all.push((format!("{name}, meaning"), advice.meaning));
            all.push((format!("{name}, to do"), advice.to_do));
        };
        for light in Light::ALL {
            for pattern in [Pattern::Off, Pattern::Steady, Pattern::SteadyWink, Pattern::Slow, Pattern::Fast] {
                advice(format!("{light:?} {pattern:?}"), lights::advice(light, pattern));
            }
        }
        for (code, of) in conditions::ALL {
            advice((*code).to_owned(), *of);
        }
        all
    }

    #[test]
    fn no_text_is_missing_or_the_same_in_both_languages() {
        for (name, Text { english, indonesian }) in all() {
            assert!(!english.trim().is_empty() && !indonesian.trim().is_empty(), "{name}");
            assert_ne!(english, indonesian, "{name}");
            assert_eq!(english.matches("{}").count(), indonesian.matches("{}").count(), "{name}: places to fill");
            let ends = |text: &str| text.ends_with(['.', '?', '!']);
            assert_eq!(ends(english), ends(indonesian), "{name}: both are sentences, or neither is");
            assert_eq!(english.trim().len() + indonesian.trim().len(), english.len() + indonesian.len(), "{name}");
        }
    }

    #[test]
    fn every_condition_has_its_advice() {
        for condition in Condition::ALL {
            assert!(conditions::advice(condition.code()).is_some(), "{}", condition.code());
        }
        assert!(conditions::advice("nonsense").is_none());
    }

    #[test]
    fn a_browser_gets_the_language_that_it_prefers() {
        use Language::{English, Indonesian};
        for (header, language) in [
            ("id-ID,id;q=0.9,en-US;q=0.8,en;q=0.7", Some(Indonesian)),
            ("en-US,en;q=0.9,id;q=0.8", Some(English)),
            ("fr, id;q=0.4, en;q=0.35", Some(Indonesian)),
            ("in", Some(Indonesian)),
            ("ID", Some(Indonesian)),
            ("de-DE,de", None),
            ("en;q=0", None),
            ("id;q=x,en;q=0.1", Some(English)),
            ("", None),
            (";;,,;q=", None),
        ] {
            assert_eq!(Language::accepted(header), language, "{header}");
        }
    }

    #[test]
    fn numbers_and_places_are_filled_as_the_language_does() {
        assert_eq!(Language::English.number(1_234_567), "1,234,567");
        assert_eq!(Language::Indonesian.number(1_234), "1.234");
        assert_eq!((Language::English.number(0), Language::English.number(999)), ("0".to_owned(), "999".to_owned()));
        let text = Text::new("{} of {}", "{} dari {}");
        assert_eq!(text.filled(Language::Indonesian, &["1", "{}"]), "1 dari {}");
    }
}
