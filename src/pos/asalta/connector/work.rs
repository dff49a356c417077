//! What is asked next.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Timelike, Utc};

use super::{
    super::{
        cursor::ListCursor,
        lists::{INVOICES, ORDER_RETURNS, ORDERS, RETURNS},
        report::{self, Days},
        walk::Purpose,
    },
    Asalta, Target,
};
use crate::transaction::Resource;

/// The report of the last week, and of what lies before it in pieces of a week.
const REPORT_EVERY: TimeDelta = TimeDelta::hours(1);
const REPORT_DAYS: i64 = 7;
const REPORT_DAYS_MAX: i64 = 90;

/// Local hour after which the nightly work is due.
const NIGHT_HOUR: u32 = 3;

/// Records that wait to be read one by one.
const FETCHES_WAITING_MAX: usize = 5_000;

/// Sales whose returns wait to be asked.
const RETURNS_DUE_MAX: usize = 20_000;

impl Asalta {
    /// The newest of one list. Whether returns can be listed is found out before the sales that have some are read.
    pub(super) fn newest_target(&mut self, now: DateTime<Utc>) -> Option<Target> {
        let unproven = |own: &ListCursor| !own.per_sale && own.read_to.is_none();
        let mut order = [INVOICES, RETURNS, ORDERS, ORDER_RETURNS];
        let fails = |list: usize| {
            self.troubles.keys().any(|target| matches!(target, Target::Page(of, Purpose::Newest, _) if *of == list))
        };
        // What failed lately comes last: only where the others are answered is it known to fail alone.
        order.sort_by_key(|list| {
            let first = unproven(&self.cursor.lists[*list]) && matches!(*list, RETURNS | ORDER_RETURNS);
            (fails(*list), !first)
        });
        order.into_iter().find_map(|list| self.page_target(list, Purpose::Newest, now))
    }

    pub(super) fn page_target(&mut self, list: usize, purpose: Purpose, now: DateTime<Utc>) -> Option<Target> {
        let page = self.lists[list].page(&mut self.cursor.lists[list], purpose, now)?;
        let due = purpose != Purpose::Newest || now >= self.lists[list].due;
        Some(Target::Page(list, purpose, page)).filter(|target| due && !self.is_put_off(target, now))
    }

    /// What is not the newest.
    pub(super) fn other_target(&mut self, now: DateTime<Utc>) -> Option<Target> {
        for (due, list) in [RETURNS, ORDER_RETURNS].into_iter().enumerate() {
            if self.cursor.lists[list].per_sale {
                self.read_sales_of_missed_returns(list, now);
                // One that fails holds up none of the others.
                let mut targets = self.cursor.returns_due[due].iter().map(|sale| self.returns_target(list, sale));
                if let Some(target) = targets.find(|target| !self.is_put_off(target, now)) {
                    return Some(target);
                }
            }
        }
        if let Some((resource, id)) = self.fetches.front().cloned() {
            let target = Target::One(resource, id);
            if !self.is_put_off(&target, now) {
                return Some(target);
            }
            self.fetches.rotate_left(1);
        }
        self.plan_nightly(now);
        self.plan_report(now);
        if let Some(days) = self.report_days.front() {
            let target = Target::Report(*days);
            if !self.is_put_off(&target, now) {
                return Some(target);
            }
        }
        let lists = [INVOICES, RETURNS, ORDERS, ORDER_RETURNS];
        let pages = [Purpose::Recent, Purpose::Whole].into_iter().flat_map(|purpose| lists.map(|list| (list, purpose)));
        pages.into_iter().find_map(|(list, purpose)| self.page_target(list, purpose, now))
    }

    fn returns_target(&self, list: usize, sale: &str) -> Target {
        let at = self.returns_at.as_ref().filter(|(of, at, _)| *of == list && at == sale);
        Target::Returns(list, sale.to_owned(), at.map_or(1, |(.., page)| *page))
    }

    pub(super) fn plan_report(&mut self, now: DateTime<Utc>) {
        // Before the history is read there is nothing to compare with.
        if now < self.report_due || !self.report_days.is_empty() || !self.cursor.lists[INVOICES].whole {
            return;
        }
        let today = self.context.source_zone.local(now).date_naive();
        self.report_due = now + REPORT_EVERY;
        if !std::mem::take(&mut self.confirming) {
            self.refetched.clear();
            self.looked_again.retain(|days, _| days.last < today);
        }
        let first = today - TimeDelta::days(REPORT_DAYS);
        self.report_days.push_back(Days { first, last: today + TimeDelta::days(1) });
    }

    pub(super) fn plan_nightly(&mut self, now: DateTime<Utc>) {
        let local = self.context.outlet_zone.local(now);
        let today = local.date_naive();
        if local.hour() < NIGHT_HOUR || self.cursor.nightly == Some(today) || !self.cursor.lists[INVOICES].whole {
            return;
        }
        self.cursor.nightly = Some(today);
        self.looked_again.clear();
        for list in self.cursor.spoilt.iter().map(|spoilt| spoilt.list).collect::<BTreeSet<_>>() {
            // What could not be read may lie anywhere in its list by now.
            self.lists[list].walk.begin_whole(&mut self.cursor.lists[list], now);
        }
        let since = self.bound(INVOICES, now);
        let stored = self.memory.between(since, now + TimeDelta::days(1));
        for known in stored.into_iter().filter(|known| known.resource == Resource::Invoice && !known.vanished) {
            if report::is_open(known.mark) {
                self.fetch(Resource::Invoice, known.external_id);
            } else if report::has_return(known.mark) && known.at > now - TimeDelta::days(REPORT_DAYS) {
                // Goods may come back a second time, and the sale names one return only.
                self.returns_of(RETURNS, known.external_id);
            }
        }
        let oldest = (now - TimeDelta::days(REPORT_DAYS_MAX)).max(since);
        let oldest = self.context.source_zone.local(oldest).date_naive();
        let mut last = self.context.source_zone.local(now).date_naive() - TimeDelta::days(REPORT_DAYS + 1);
        while last >= oldest {
            let first = (last - TimeDelta::days(REPORT_DAYS - 1)).max(oldest);
            self.report_days.push_back(Days { first, last });
            last = first - TimeDelta::days(1);
        }
    }

    pub(super) fn fetch(&mut self, resource: Resource, id: String) {
        let one = (resource, id);
        if self.fetches.len() < FETCHES_WAITING_MAX && !self.fetches.contains(&one) {
            self.fetches.push_back(one);
        }
    }

    pub(super) fn returns_of(&mut self, list: usize, sale: String) {
        let which = usize::from(list == ORDER_RETURNS);
        let due = &mut self.cursor.returns_due[which];
        if !self.cursor.lists[list].per_sale || due.contains(&sale) {
            return;
        }
        if due.len() < RETURNS_DUE_MAX {
            due.insert(sale);
        } else {
            self.cursor.returns_missed[which] = true;
        }
    }

    /// Sales whose returns found no room among those that wait are found again by reading all of them.
    fn read_sales_of_missed_returns(&mut self, list: usize, now: DateTime<Utc>) {
        let which = usize::from(list == ORDER_RETURNS);
        let sales = if list == RETURNS { INVOICES } else { ORDERS };
        let own = &mut self.cursor.lists[sales];
        if self.cursor.returns_missed[which] && self.cursor.returns_due[which].is_empty() && own.back.is_none() {
            self.lists[sales].walk.begin_whole(own, now);
            // Until that is read, returns are not claimed to be.
            own.whole &= own.back.is_none();
            self.cursor.returns_missed[which] = false;
        }
    }

    pub(super) fn is_put_off(&self, target: &Target, now: DateTime<Utc>) -> bool {
        self.troubles.get(target).is_some_and(|trouble| now < trouble.until)
    }

    /// When something is to be done next.
    pub(super) fn wakes(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let lists = self.lists.iter().zip(&self.cursor.lists).filter(|(_, own)| !own.per_sale);
        let dues = lists.flat_map(|(list, _)| [list.due, list.recent_due, list.whole_due]);
        let troubles = self.troubles.values().map(|trouble| trouble.until);
        let all = dues.chain(troubles).chain([self.report_due]).filter(|due| *due > now);
        all.min().unwrap_or(now + TimeDelta::minutes(1)).max(now + TimeDelta::seconds(1))
    }
}
