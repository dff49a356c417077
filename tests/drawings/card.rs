//! The cashier's card, A5: what each pattern of each light means and what to do, in both languages side by side.

use tillbox::{
    board::profile::Light,
    signal::Pattern,
    texts::{Language, Text, card, lights},
};

use super::{
    colour,
    sheet::{INK, PALE, Sheet, Type, bold, plain},
};

/// In tenths of a millimetre.
const WIDTH: i32 = 1_480;
const HEIGHT: i32 = 2_100;
const MARGIN: i32 = 70;

/// Where the columns begin, and how wide one is.
const COLUMNS: [(Language, i32); 2] = [(Language::English, 316), (Language::Indonesian, 876)];
const COLUMN: i32 = 534;

/// Letters are as large as there is room for, and never smaller than can be read at arm's length: 2.5 mm is 7 points.
const SIZES: std::ops::RangeInclusive<i32> = 25..=34;

/// What a cashier may see. Yellow and red are dark as long as nothing is wrong.
const SEEN: [(Light, &[Pattern]); 3] = [
    (Light::Sync, &[Pattern::Off, Pattern::SteadyWink, Pattern::Slow, Pattern::Fast]),
    (Light::Hold, &[Pattern::Steady, Pattern::Slow, Pattern::Fast]),
    (Light::Fault, &[Pattern::Steady, Pattern::Slow, Pattern::Fast]),
];

pub fn card() -> String {
    SIZES.rev().find_map(card_of).expect("the texts are too long for the card: shorten them, in src/texts/lights.rs")
}

/// The card in letters of a size, if it fits on the page.
fn card_of(size: i32) -> Option<String> {
    let mut sheet = Sheet::new(WIDTH, HEIGHT, "tillbox: what the lights mean", true);
    let say = |text: Text, language| text.of(language);
    sheet.text((MARGIN, 118), bold(50), say(card::TITLE, Language::English));
    sheet.text((WIDTH - MARGIN, 118), bold(50).filled(PALE).end(), say(card::TITLE, Language::Indonesian));
    let mut y = 150;
    for (light, patterns) in SEEN {
        let colour = colour(light);
        sheet.frame((MARGIN - 10, y), (WIDTH - 2 * MARGIN + 20, 56), 10, (colour, colour, 10));
        let white = bold(36).filled("#ffffff");
        sheet.text((MARGIN + 14, y + 41), white, &light.name().to_uppercase());
        for (language, x) in COLUMNS {
            sheet.text((x, y + 41), white, &say(lights::colour(light), language).to_uppercase());
        }
        y += 56;
        for (nth, pattern) in patterns.iter().enumerate() {
            if nth > 0 {
                sheet.line("#d3dae1", 20, &[(MARGIN, y), (WIDTH - MARGIN, y)]);
            }
            y = row(&mut sheet, y + 14, size, light, *pattern) + 14;
        }
    }
    let foot = HEIGHT - 60;
    sheet.text((WIDTH / 2, foot - 38), bold(29).middle(), say(card::GO_ON, Language::English));
    sheet.text((WIDTH / 2, foot), bold(29).middle(), say(card::GO_ON, Language::Indonesian));
    (y <= foot - 38 - 40).then(|| sheet.done())
}

/// One pattern; gives where it ends.
fn row(sheet: &mut Sheet, y: i32, size: i32, light: Light, pattern: Pattern) -> i32 {
    strip(sheet, (MARGIN, y), colour(light), pattern);
    let words = lights::pattern(pattern);
    sheet.text((MARGIN, y + 62), bold(24), words.english);
    sheet.text((MARGIN, y + 92), plain(24), words.indonesian);
    let advice = lights::advice(light, pattern);
    let ends = COLUMNS.map(|(language, x)| {
        let mut y = y;
        for (of, text) in [(bold(size), advice.meaning), (plain(size), advice.to_do)] {
            for line in of.wrapped(text.of(language), COLUMN) {
                y += line_height(of);
                sheet.text((x, y - of.size * 3 / 10), of, &line);
            }
        }
        y
    });
    ends.into_iter().max().unwrap_or(y).max(y + 104)
}

const fn line_height(of: Type) -> i32 {
    of.size * 6 / 5
}

/// Two seconds of a light.
fn strip(sheet: &mut Sheet, (x, y): (i32, i32), colour: &'static str, pattern: Pattern) {
    const WIDE: i32 = 208;
    const HIGH: i32 = 32;
    sheet.frame((x, y), (WIDE, HIGH), 6, ("#f3f5f7", INK, 15));
    let parts: &[(i32, i32)] = match pattern {
        Pattern::Off => &[],
        Pattern::Steady => &[(0, 208)],
        Pattern::SteadyWink => &[(0, 100), (108, 100)],
        Pattern::Slow => &[(0, 52), (104, 52)],
        Pattern::Fast => &[(0, 13), (26, 13), (52, 13), (78, 13), (104, 13), (130, 13), (156, 13), (182, 13)],
    };
    for (from, wide) in parts {
        sheet.frame((x + from, y), (*wide, HIGH), 4, (colour, colour, 0));
    }
}
