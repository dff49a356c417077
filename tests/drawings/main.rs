//! The drawings in `board/` are what the profiles and the texts say: the wiring of each header, and the cashier's card.
//!
//! After a change to those, `TILLBOX_DRAW=1 cargo test --test drawings` draws them anew; look at the pictures then.

mod card;
mod sheet;
mod wiring;

use std::{fs, path::Path};

use tillbox::board::profile::Light;

const GREEN: &str = "#1a7f43";
const YELLOW: &str = "#b98000";
const RED: &str = "#c8322b";

fn colour(light: Light) -> &'static str {
    match light {
        Light::Sync => GREEN,
        Light::Hold => YELLOW,
        Light::Fault => RED,
    }
}

/// Compares a drawing with the file that holds it, or writes it where that is asked for.
fn is_drawn(name: &str, drawing: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("board").join(name);
    if std::env::var_os("TILLBOX_DRAW").is_some() {
        fs::write(&path, drawing).expect("the drawing is written");
    }
    let known = fs::read_to_string(&path).unwrap_or_else(|error| panic!("board/{name}: {error}"));
    let differs = drawing.lines().zip(known.lines()).find(|(now, then)| now != then);
    assert!(
        known == drawing,
        "board/{name} is not what the profiles and the texts say: draw it anew with TILLBOX_DRAW=1, and look at it; \
         expected and found: {differs:#?}"
    );
}

#[test]
fn the_card_says_what_the_texts_say() {
    is_drawn("card.svg", &card::card());
}

#[test]
fn every_profile_is_wired_as_its_drawing_shows() {
    for (profile, name, drawing) in wiring::all() {
        println!("{profile}: board/{name}");
        is_drawn(name, &drawing);
    }
}

#[test]
fn a_text_is_broken_where_it_no_longer_fits() {
    let of = sheet::plain(20);
    assert_eq!(of.wrapped("one two three", of.width("one two") + 1), ["one two", "three"]);
    assert_eq!(of.wrapped("one", 1), ["one"], "a word is never cut");
    assert!(of.width("iii") < of.width("WWW") && of.width("WWW") < sheet::bold(20).width("WWW"));
}
