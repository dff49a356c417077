//! Whatever stands in the file: no panic, and a fault for each slip.

use proptest::prelude::*;

use crate::{VALID, faults, private};

/// The lines of the valid config that hold a key, with the key's length.
fn key_lines() -> Vec<(usize, usize)> {
    let keys = VALID.lines().enumerate().filter_map(|(index, line)| Some((index, line.find(" = ")?)));
    keys.collect()
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*|[\\[\\]=\"'a-z0-9.,{}#\n\\\\ -]*") {
        let _ = private(&text).map_err(|faults| faults.to_string());
    }

    #[test]
    fn no_mutation_makes_it_panic(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..12)) {
        let mut bytes = VALID.as_bytes().to_vec();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.drain(at..(at + usize::from(byte)).min(bytes.len() - 1).max(at))),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        match private(&text) {
            Ok(config) => prop_assert!(!config.summary().is_empty()),
            Err(faults) => {
                prop_assert!(!faults.list().is_empty());
                prop_assert_eq!(faults.to_string().lines().count(), faults.list().len());
                // To a terminal: each with the line and the caret, or without either.
                let shown = faults.shown().to_string();
                let told = shown.lines().filter(|line| !line.starts_with(' ')).count();
                prop_assert!(shown.ends_with('\n') && told == faults.list().len(), "{shown}");
                let below: Vec<&str> = shown.lines().filter(|line| line.starts_with(' ')).collect();
                prop_assert!(below.chunks(2).all(|two| two.len() == 2 && two[1].trim_start().starts_with("| ") && two[1].ends_with('^')), "{shown}");
                prop_assert!(shown.chars().all(|c| c == '\n' || tillbox::plain::is_plain(c)), "{shown:?}");
                let lines = text.matches('\n').count() + 1;
                prop_assert!(faults.list().iter().all(|fault| fault.position.is_some_and(|at| (1..=lines).contains(&at.line) && at.column > 0)));
            }
        }
    }

    #[test]
    fn a_misspelt_key_is_told_with_its_line_and_what_was_meant(
        line in prop::sample::select(key_lines()),
        at in any::<prop::sample::Index>(),
        letter in prop::char::range('a', 'z'),
    ) {
        let (index, length) = line;
        let mut lines: Vec<String> = VALID.lines().map(str::to_owned).collect();
        let key = lines[index][..length].to_owned();
        lines[index].insert(at.index(length + 1), letter);
        let list = faults(&lines.join("\n"));
        let found = list.iter().find(|fault| fault.starts_with(&format!("{}:1: ", index + 1)));
        let expected = format!("unknown key; did you mean `{key}`?");
        prop_assert!(found.is_some_and(|fault| fault.ends_with(&expected)), "{list:#?}");
        prop_assert!(list.iter().all(|fault| !fault.contains("missing") || fault.contains("hq.username")), "{list:#?}");
    }
}
