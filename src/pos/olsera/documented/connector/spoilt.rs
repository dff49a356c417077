//! Answers that break off, are too large or do not come: what can be read of them is kept, and where rows may stand that
//! could not be read is a gap.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    super::{
        list::{Listed, Order},
        pace::fresh,
        parse::parse_readable,
    },
    Documented, RECENT, whole_second,
};
use crate::{
    gap::{Gap, GapReason},
    notice::Notice,
    pos::{body::BodyFault, connector::Yield, http::Answer, olsera::requests::LIMIT_ROWS, page::Page},
    transaction::Resource,
};

/// Rows that are asked for where more are too many for one answer.
const SIZES: [usize; 4] = [LIMIT_ROWS, 50, 25, 10];

/// A larger answer is tried again after this.
const TRY_AGAIN: TimeDelta = TimeDelta::hours(1);

/// How many of the newest rows are asked for.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    failed: u32,
    most: Option<(usize, DateTime<Utc>)>,
}

impl Sizes {
    /// So many now.
    pub(super) fn rows(&self, now: DateTime<Utc>) -> usize {
        self.most.filter(|(_, until)| now < *until).map_or(LIMIT_ROWS, |(rows, _)| rows)
    }

    /// There was an answer.
    pub(super) fn answered(&mut self) {
        self.failed = 0;
    }

    /// The answer was too large, or did not come; whether fewer rows are to be asked for at once.
    pub(super) fn failed(&mut self, now: DateTime<Utc>) -> bool {
        let rows = self.rows(now);
        self.failed += 1;
        // The first time it may be the line.
        if self.failed < 2 && self.most.is_none() {
            return false;
        }
        let Some(fewer) = SIZES.into_iter().find(|size| *size < rows) else { return false };
        (self.failed, self.most) = (0, Some((fewer, now + TRY_AGAIN)));
        true
    }
}

impl Documented {
    /// What can be read of an answer that breaks off, once a second one did so too: a line may cut an answer once. `of`: one
    /// to the newest rows, or of a walk.
    ///
    /// # Errors
    /// The answer is none, or the first of its kind.
    pub(super) fn readable(&mut self, of: usize, answer: &Answer, fault: &BodyFault) -> Result<Page, String> {
        if !fault.may_pass_when_halved() {
            return Err(fault.to_string());
        }
        self.broken[of] = self.broken[of].saturating_add(1);
        let is_known = self.open_gaps.iter().any(|gap| gap.reason == GapReason::Unreadable);
        if self.broken[of] < 2 && !is_known {
            return Err(fault.to_string());
        }
        parse_readable(&answer.body, &self.context).map(|(page, _)| page).map_err(|fault| fault.to_string())
    }

    /// The newest rows, as far as they can be read. They are joined to what was read before as those of a whole answer are,
    /// and prove nothing beyond themselves: down to the newest row that is stored below them, nothing is known.
    pub(super) fn take_broken(
        &mut self,
        asked_at: DateTime<Utc>,
        answer: &Answer,
        fault: &BodyFault,
        now: DateTime<Utc>,
    ) -> Result<Yield, String> {
        self.joined = false;
        let page = self.readable(0, answer, fault)?;
        let listed = Listed { full: true, ..Listed::of(&page, &self.context.source_zone, LIMIT_ROWS) };
        let (Some(oldest), Some(to)) = (listed.oldest, listed.oldest_ends) else { return Err(fault.to_string()) };
        let fresh_rows = fresh(&page.records, |id| self.memory.find(Resource::Transaction, id).is_some());
        self.due = now + self.pace.learn(&page, &listed, fresh_rows, asked_at);
        let mut found = Yield::default();
        if let (Order::NewestFirst, Some(watermark)) = (listed.order, self.cursor.watermark) {
            let seen_at = whole_second(answer.date.map_or(asked_at, |date| date.min(asked_at)));
            // The store is looked into only where the rows do not end as they did at the last poll.
            let is_told = |gap: &Gap| gap.reason == GapReason::Unreadable && gap.to == to;
            if !self.open_gaps.iter().any(is_told) {
                let stored = self.memory.between(oldest - RECENT.0, oldest);
                let below = stored.iter().filter(|known| !known.vanished).map(|known| known.at).max();
                let from = below.or(self.cursor.newest).unwrap_or(watermark).min(oldest);
                self.open_spoilt((whole_second(from), to), &fault.to_string(), &mut found);
            }
            self.joined = true;
            self.cursor.watermark = Some(watermark.max(seen_at));
            self.cursor.newest = self.cursor.newest.max(listed.newest.map(|newest| newest.min(seen_at)));
        }
        Ok(Yield { transactions: page.records, quarantined: page.quarantined, ..found })
    }

    /// Records of this time spoil the answers that hold them.
    pub(super) fn open_spoilt(&mut self, (from, to): (DateTime<Utc>, DateTime<Utc>), fault: &str, found: &mut Yield) {
        // What was open since a row was the newest one reaches further up than the next one below it.
        let is_told = |gap: &Gap| gap.reason == GapReason::Unreadable && gap.from <= from && to <= gap.to;
        if self.open_gaps.iter().any(is_told) {
            return;
        }
        let Some(gap) = self.open_gap(Gap { from, to, reason: GapReason::Unreadable }) else { return };
        let again = "it is looked for at every poll, and behind the newest rows where this source shows them";
        found.notices.push(Notice::unreadable("olsera GET /transactions", (gap.from, gap.to), fault, again));
        found.gaps_opened.push(gap);
    }
}
