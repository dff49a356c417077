//! The known word that a misspelt one was meant to be.

/// Longer words are no misspelling of anything known; it also bounds the work.
const LONGEST_WORD_CHARS: usize = 64;

/// The known word nearest to `word`, if it is near enough to be meant: at most one edit for every three characters
/// (and at least one), whatever the case.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = |text: &str| text.to_lowercase().chars().collect::<Vec<char>>();
    let word = letters(word);
    let limit = (word.len() / 3).max(1);
    if word.len() > LONGEST_WORD_CHARS {
        return None;
    }
    let distances = known.into_iter().map(|candidate| (edits(&word, &letters(candidate)), candidate));
    distances.filter(|(distance, _)| *distance <= limit).min_by_key(|(distance, _)| *distance).map(|(_, found)| found)
}

/// `; did you mean …?` for the nearest known word, or nothing.
pub(super) fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map(|found| format!("; did you mean `{found}`?")).unwrap_or_default()
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other.
fn edits(from: &[char], to: &[char]) -> usize {
    let mut two_above: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = above[j] + usize::from(a != b);
            let mut least = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                least = least.min(two_above[j - 1] + 1);
            }
            row.push(least);
        }
        two_above = std::mem::replace(&mut above, row);
    }
    above[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_another_word_is_not() {
        let known = ["poll-every", "backfill", "id", "name"];
        for (word, meant) in [
            ("pol-every", Some("poll-every")),
            ("poll_every", Some("poll-every")),
            ("pollEvery", Some("poll-every")),
            ("opll-every", Some("poll-every")),
            ("di", Some("id")),
            ("Name", Some("name")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }
}
