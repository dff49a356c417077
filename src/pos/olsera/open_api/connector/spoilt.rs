//! Pages of a day that cannot be read, are too large or do not come: one row is passed over, or the rest of a page, and the
//! day is a gap that is asked again.

use chrono::{DateTime, NaiveDate, Utc};

use super::{
    super::{day::Day, parse::Orders},
    OpenApi, STRAYED_WAIT, Slot,
};
use crate::{
    gap::{Gap, GapReason},
    notice::Notice,
    pos::{connector::Yield, narrow::Failing},
};

impl OpenApi {
    /// Whether a page is to be taken as far as it could be read. `Some`: it is asked for otherwise.
    ///
    /// # Errors
    /// It broke off, for the first time: a line may cut an answer once.
    pub(super) fn as_far_as_read(
        &mut self,
        slot: Slot,
        orders: &Orders,
        now: DateTime<Utc>,
    ) -> Result<Option<Yield>, String> {
        let Some(fault) = &orders.stopped else { return Ok(None) };
        let text = fault.to_string();
        if !fault.may_pass_when_halved() {
            return Err(text);
        }
        if let Some(found) = self.page_breaks(slot, &text, now) {
            return Ok(Some(found));
        }
        let Some(day) = self.slot(slot).as_ref() else { return Ok(Some(Yield::default())) };
        let (what, is_spoilt) = (format!("{} {:?} unreadable", day.date, day.next_page()), day.spoilt.is_some());
        let date = day.date;
        let gap = self.day_gap(date);
        let is_known = is_spoilt || self.open_gaps.contains(&gap);
        if is_known || self.lasts(what, 2) { Ok(None) } else { Err(text) }
    }

    /// A page of a list cannot be read, is too large or does not come: smaller ones are asked for, until the row that
    /// spoils it is alone, and then what lies behind it. `None`: it failed as any request may.
    pub(super) fn page_breaks(&mut self, slot: Slot, fault: &str, now: DateTime<Utc>) -> Option<Yield> {
        let day = match slot {
            Slot::Newest => self.newest.as_mut(),
            Slot::Background => self.background.as_mut(),
        }?;
        let failing = day.page_breaks(fault, &mut self.pages, now);
        (failing != Failing::Other).then(Yield::default)
    }

    /// Nothing of a day's list could be read: today it is asked again, and of a past day that is a gap.
    ///
    /// # Errors
    /// It is today's.
    pub(super) fn nothing_read(&mut self, slot: Slot, day: Day, now: DateTime<Utc>) -> Result<Yield, String> {
        let text = day.spoilt.clone().unwrap_or_default();
        if slot == Slot::Newest {
            (self.newest_complete, self.newest_due) = (false, now + self.poll_every.max(STRAYED_WAIT));
            return Err(text);
        }
        *self.slot(slot) = Some(day);
        Ok(self.give_up_day(slot, Some(&text)))
    }

    /// A list of a past day fails for good: a gap for the whole of it, and on with the next. `spoilt` is what the answers
    /// are like, where there are any.
    pub(super) fn give_up_day(&mut self, slot: Slot, spoilt: Option<&str>) -> Yield {
        self.failures = (String::new(), 0);
        let Some(day) = self.slot(slot).take() else { return Yield::default() };
        self.cursor.was_read(day.date);
        let mut found = Yield::default();
        match spoilt {
            Some(fault) => self.open_spoilt(&day, fault, &mut found),
            None => found.gaps_opened.extend(self.open_gap(self.day_gap(day.date))),
        }
        found
    }

    /// Records of a day spoil the answers that hold them.
    pub(super) fn open_spoilt(&mut self, day: &Day, fault: &str, found: &mut Yield) {
        let Some(gap) = self.open_gap(self.day_gap(day.date)) else { return };
        let again = "the day is asked again each hour";
        found.notices.push(Notice::unreadable("olsera GET /order", (gap.from, gap.to), fault, again));
        found.gaps_opened.push(gap);
    }

    fn day_gap(&self, date: NaiveDate) -> Gap {
        let (from, to) = self.bounds(date);
        Gap { from, to, reason: GapReason::Unreadable }
    }
}
