//! Pages of the list that fail for good. What stands on them and below is told as a gap, asked again hourly, and holds up
//! nothing else.

use chrono::{DateTime, TimeDelta, Utc};

use super::{PosKasir, Slot};
use crate::{
    gap::{Gap, GapReason},
    pos::{
        connector::Yield,
        narrow::Failing,
        pos_kasir::walk::{PAGE_FAILS_MAX, second_after, whole_second},
    },
};

/// A walk that was given up is begun again after this.
const AGAIN: TimeDelta = TimeDelta::hours(1);

/// The least width of such a gap: that of a single order is a second.
pub(super) const WIDTH_MIN: TimeDelta = TimeDelta::seconds(2);

/// Whether a gap is of pages that fail, and not of a single order.
pub(super) fn is_of_pages(gap: &Gap) -> bool {
    gap.reason == GapReason::Unreadable && gap.to - gap.from >= WIDTH_MIN
}

impl PosKasir {
    /// A page cannot be read, is too large or does not come: it is asked for in smaller pages, until the row that spoils it
    /// is alone, and then what lies behind it. `None`: it failed as any request may.
    pub(super) fn page_breaks(&mut self, slot: Slot, how: &str, now: DateTime<Utc>) -> Option<Yield> {
        let walk = match slot {
            Slot::Newest => self.newest.as_mut(),
            Slot::Background => self.background.as_mut(),
        }?;
        match walk.position.failed(&mut self.narrow, now) {
            Failing::Other => return None,
            Failing::AskOn => {}
            Failing::PassedOver => {
                walk.passed_over();
                how.clone_into(&mut self.spoilt_by);
            }
            Failing::Lost => {
                // What was passed over may be as good as the rest.
                let purpose = walk.purpose;
                *self.slot(slot) = None;
                self.held.push((purpose, now + AGAIN));
                return None;
            }
        }
        Some(Yield::default())
    }

    /// A page was answered with an error, or with what is no page. `Some`: it fails for good, and its walk is given up.
    pub(super) fn page_failed(&mut self, slot: Slot, how: &str, now: DateTime<Utc>) -> Option<Yield> {
        let newest_answered = self.newest_answered;
        // The first page is the newest walk's as well: without it there is nothing to read.
        let walk = self.slot(slot).as_mut().filter(|walk| walk.position.place().offset > 0)?;
        if slot == Slot::Newest {
            if walk.page_failed(how.to_owned()) < PAGE_FAILS_MAX.1 {
                return None;
            }
            let mut walk = self.newest.take()?;
            let mut found = Yield::default();
            walk.break_off(walk.lowest);
            self.finish(walk, &mut found, now);
            return Some(found);
        }
        // An outage is not the page's fault.
        if !newest_answered {
            return None;
        }
        let fails = walk.page_failed(how.to_owned());
        self.newest_answered = false;
        if fails < PAGE_FAILS_MAX.0 {
            return None;
        }
        let mut walk = self.background.take()?;
        let (lowest, stop) = (walk.lowest?, walk.stop?);
        self.held.push((walk.purpose, now + AGAIN));
        let mut found = Yield::default();
        walk.break_off(Some(lowest));
        self.conclude(walk, &mut found, now);
        found.gaps_opened.extend(self.open_page_gaps(whole_second(stop), second_after(lowest)));
        Some(found)
    }

    /// Opens what is not open yet of a span that could not be listed. As new orders push rows down, its upper end rises;
    /// what was read before is not added to a gap that is open.
    fn open_page_gaps(&mut self, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Gap> {
        let mut open: Vec<_> = self.open_gaps.iter().filter(|gap| is_of_pages(gap)).cloned().collect();
        open.sort();
        let is_told = open.iter().any(|gap| gap.from < to && from < gap.to);
        let was_read = |from, to| {
            let ahead = self.cursor.ahead.is_some_and(|(begin, end)| begin <= from && to <= end);
            ahead || self.cursor.covers(from, to)
        };
        let mut opened: Vec<Gap> = Vec::new();
        let mut reached = from;
        let ends = open.into_iter().map(|gap| (gap.from, gap.to)).chain([(to, to)]);
        for (next_from, next_to) in ends {
            let end = next_from.min(to);
            if reached < end && !(is_told && was_read(reached, end)) {
                let gap = Gap { from: reached, to: end.max(reached + WIDTH_MIN), reason: GapReason::Unreadable };
                if !self.open_gaps.contains(&gap) {
                    opened.push(gap);
                }
            }
            reached = reached.max(next_to);
        }
        self.open_gaps.extend(opened.iter().cloned());
        opened
    }
}
