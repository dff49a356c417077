//! What a page says of the pages after it. Pure; the next page is always the one that follows, whatever a link or a
//! number says.

use super::parse::Meta;

/// No list has more pages: a shop with 500 sales a day fills so many of 20 in ten years.
pub const PAGES_MAX: u64 = 100_000;

/// What to do after a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Onward {
    /// The next page follows.
    Next,
    /// The source says that there is none, and its own count says otherwise: go on by counting.
    Counted,
    /// This was the last.
    Last,
    /// The next page that the source names does not lie ahead: nothing is known of what follows.
    Stuck,
    /// Nothing is here, where the count says that something is: nothing is known of what follows.
    Short,
}

/// Judges the answer to a page.
pub fn onward(meta: &Meta, asked: u64, rows: usize) -> Onward {
    // A server that shows its last page for every later one says so.
    if rows == 0 || asked >= PAGES_MAX || meta.current.is_some_and(|current| current < asked) {
        return Onward::Last;
    }
    let by_size = meta.size.zip(meta.total).map(|(size, total)| asked.saturating_mul(size) < total);
    let counted = by_size.or(meta.pages.map(|pages| asked < pages));
    match (meta.next, meta.pages, counted) {
        (Some(Some(next)), ..) if next <= asked => Onward::Stuck,
        (None, Some(pages), _) if asked < pages => Onward::Next,
        (Some(None), _, Some(true)) | (None, Some(_), Some(true)) => Onward::Counted,
        (Some(None), ..) | (None, Some(_), _) | (None, None, Some(false)) => Onward::Last,
        // A next page is named; or nothing is said: then only an empty page, or the same one again, is an end.
        (Some(Some(_)), ..) | (None, None, _) => Onward::Next,
    }
}

/// Whether records should stand on a page, by the count of its answer, or else by one before; `rows` are those of a full
/// page.
pub fn should_hold(meta: &Meta, asked: u64, rows: u64, before: Option<u64>) -> bool {
    let size = meta.size.unwrap_or(rows);
    match meta.total.or(before) {
        Some(total) => asked.saturating_sub(1).saturating_mul(size) < total,
        None => meta.pages.is_some_and(|pages| asked <= pages && pages > 1),
    }
}

/// How many pages the source counts.
pub fn pages(meta: &Meta, rows: usize) -> Option<u64> {
    let counted = meta.total.map(|total| total.div_ceil(size(meta, rows).max(1)));
    meta.pages.into_iter().chain(counted).max().filter(|pages| (1..PAGES_MAX).contains(pages))
}

/// Pages that a row may have moved up by when so many others were deleted.
pub fn moved_by(meta: &Meta, rows: usize, fallen: u64) -> u64 {
    fallen.div_ceil(size(meta, rows).max(1)).max(1)
}

fn size(meta: &Meta, rows: usize) -> u64 {
    meta.size.unwrap_or_else(|| u64::try_from(rows).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_page_is_no_end_where_the_count_says_that_more_follows() {
        let counted = Meta { size: Some(5), total: Some(11), ..Meta::default() };
        for (meta, asked, before, told) in [
            (counted, 3, None, true),
            (counted, 4, None, false),
            (Meta::default(), 3, Some(11), true),
            (Meta::default(), 3, Some(10), false),
            (Meta::default(), 3, None, false),
            (Meta { total: Some(0), ..counted }, 1, Some(11), false),
            (Meta { pages: Some(3), ..Meta::default() }, 3, None, true),
            (Meta { pages: Some(1), ..Meta::default() }, 1, None, false),
        ] {
            assert_eq!(should_hold(&meta, asked, 5, before), told, "{meta:?} page {asked}");
        }
    }

    #[test]
    fn each_shape_says_what_follows() {
        let counted = Meta { current: Some(1), size: Some(2), total: Some(3), ..Meta::default() };
        for (meta, asked, rows, told) in [
            (Meta { next: Some(Some(2)), ..counted }, 1, 2, Onward::Next),
            (Meta { next: Some(Some(20)), ..counted }, 1, 2, Onward::Next),
            (Meta { next: Some(None), current: Some(2), ..counted }, 2, 1, Onward::Last),
            (Meta { next: Some(None), ..counted }, 1, 2, Onward::Counted),
            (Meta { next: Some(Some(1)), ..counted }, 1, 2, Onward::Stuck),
            (Meta { pages: Some(2), ..counted }, 1, 2, Onward::Next),
            (Meta { pages: Some(2), current: Some(2), ..counted }, 2, 1, Onward::Last),
            (Meta { next: Some(Some(5)), ..counted }, 4, 0, Onward::Last),
            (Meta { size: None, pages: Some(3), next: Some(None), total: Some(5), current: None }, 3, 1, Onward::Last),
            (
                Meta { size: None, pages: Some(3), next: Some(None), total: Some(5), current: None },
                2,
                2,
                Onward::Counted,
            ),
            (Meta { next: Some(Some(2)), ..counted }, 3, 2, Onward::Last),
            (Meta::default(), 1, 2, Onward::Next),
            (Meta::default(), 2, 0, Onward::Last),
            (Meta::default(), PAGES_MAX, 20, Onward::Last),
        ] {
            assert_eq!(onward(&meta, asked, rows), told, "{meta:?}, page {asked} of {rows} rows");
        }
        assert_eq!((pages(&counted, 2), pages(&Meta::default(), 2)), (Some(2), None));
    }
}
