//! Pages that break off, are too large or do not come: what can be read of them is kept, and reading goes on behind them.

use chrono::{DateTime, Utc};

use super::{
    super::{
        lists::{INVOICES, RETURNS},
        parse::{Listed, parse_readable},
        requests,
        spoilt::{SPOILT_MAX, Spoilt},
        walk::Purpose,
    },
    Asalta, Target,
};
use crate::{
    notice::Notice,
    pos::{connector::Yield, http::Answer},
};

impl Asalta {
    /// A page cannot be read as a whole, or does not come. `None`: it failed as any request may.
    pub(super) fn page_breaks(
        &mut self,
        place: (usize, Purpose, u64),
        answer: Option<&Answer>,
        fault: &str,
        now: DateTime<Utc>,
    ) -> Option<Yield> {
        let (list, purpose, page) = place;
        let target = Target::Page(list, purpose, page);
        let is_told = self.cursor.spoilt.iter().any(|spoilt| (spoilt.list, spoilt.page) == (list, page));
        let is_known = is_told || self.lists[list].breaks.is_broken(page);
        if self.is_unproven(&target) || !is_known && !self.fails_alone(&target) {
            return None;
        }
        let resource = self.lists[list].resource;
        let read = answer.and_then(|answer| parse_readable(&answer.body, resource, &self.context).ok());
        Some(self.take_page(place, read.unwrap_or_else(Listed::nothing), Some(fault), now))
    }

    /// What the pages that were read say of the records that could not be.
    pub(super) fn weigh_breaks(&mut self, list: usize, read_to: Option<DateTime<Utc>>, found: &mut Yield) {
        let since = self.cursor.since;
        let own = &self.cursor.lists[list];
        let breaks = &mut self.lists[list].breaks;
        if let Some((spoilt, fault)) = breaks.told(list, own.order, since) {
            let is_it =
                |known: &&mut Spoilt| known.list == list && known.ids.0 < spoilt.ids.1 && spoilt.ids.0 < known.ids.1;
            if let Some(known) = self.cursor.spoilt.iter_mut().find(is_it) {
                known.page = spoilt.page;
            } else if spoilt.gap.to > since && self.cursor.spoilt.len() < SPOILT_MAX {
                let asked = format!("asalta GET /pos/{}", requests::name(self.lists[list].resource));
                let again = "the page is asked again with the list, which is read whole each night while this lasts";
                let place = (spoilt.gap.from, spoilt.gap.to);
                found.notices.push(Notice::unreadable(&asked, place, &fault, again));
                if matches!(list, INVOICES | RETURNS) {
                    found.gaps_opened.push(spoilt.gap.clone());
                }
                self.cursor.spoilt.push(spoilt);
            }
        }
        let (own, breaks) = (&mut self.cursor.lists[list], &self.lists[list].breaks);
        if breaks.is_open().is_some() {
            // As far as it is not known what lacks, nothing more is claimed.
            own.read_to = read_to;
        }
        // All of it was read since a page broke off last.
        let is_whole = own.whole && own.back.is_none();
        let read = own.whole_read.filter(|read| is_whole && *read >= self.begun);
        let is_mended = read.is_some_and(|read| breaks.last.is_none_or(|last| last < read));
        let order = own.order;
        let holds = |spoilt: &mut Spoilt| spoilt.list == list && (is_mended || breaks.holds(spoilt, order));
        let closed = self.cursor.spoilt.extract_if(.., holds).map(|spoilt| spoilt.gap);
        found.gaps_closed.extend(closed.filter(|_| matches!(list, INVOICES | RETURNS)));
        let is_read = |list: usize| {
            let own = &self.cursor.lists[list];
            own.per_sale || own.whole && own.back.is_none() && own.whole_read.is_some_and(|read| read >= self.begun)
        };
        let has_none = !self.cursor.spoilt.iter().any(|spoilt| matches!(spoilt.list, INVOICES | RETURNS));
        if has_none && !self.inherited.is_empty() && is_read(INVOICES) && is_read(RETURNS) {
            found.gaps_closed.append(&mut self.inherited);
        }
    }
}
