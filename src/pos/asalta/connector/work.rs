//! What is asked next.

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
        order.sort_by_key(|list| !(unproven(&self.cursor.lists[*list]) && matches!(*list, RETURNS | ORDER_RETURNS)));
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
            if let Some(sale) = self.cursor.returns_due[due].first().filter(|_| self.cursor.lists[list].per_sale) {
                let target = Target::Returns(list, sale.clone(), self.returns_page);
                if !self.is_put_off(&target, now) {
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

    pub(super) fn plan_report(&mut self, now: DateTime<Utc>) {
        // Before the history is read there is nothing to compare with.
        if now < self.report_due || !self.report_days.is_empty() || !self.cursor.lists[INVOICES].whole {
            return;
        }
        let today = self.context.source_zone.local(now).date_naive();
        self.report_due = now + REPORT_EVERY;
        if !std::mem::take(&mut self.confirming) {
            self.refetched.clear();
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
        let stored = self.memory.between(self.cursor.since, now + TimeDelta::days(1));
        for known in stored.into_iter().filter(|known| known.resource == Resource::Invoice && !known.vanished) {
            if report::is_open(known.mark) {
                self.fetch(Resource::Invoice, known.external_id);
            } else if report::has_return(known.mark) && known.at > now - TimeDelta::days(REPORT_DAYS) {
                // Goods may come back a second time, and the sale names one return only.
                self.returns_of(RETURNS, known.external_id);
            }
        }
        let oldest = (now - TimeDelta::days(REPORT_DAYS_MAX)).max(self.cursor.since);
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
        let due = &mut self.cursor.returns_due[usize::from(list == ORDER_RETURNS)];
        if self.cursor.lists[list].per_sale && due.len() < RETURNS_DUE_MAX {
            due.insert(sale);
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
