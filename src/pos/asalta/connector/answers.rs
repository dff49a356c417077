//! What an answer brings.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    super::{
        cursor::{ListCursor, Order},
        lists::{INVOICES, ORDER_RETURNS, ORDERS, RETURNS},
        paging::{self, Onward},
        parse::{Listed, Meta, parse_records, parse_report, parse_warehouses},
        report::{self, Days},
        requests,
        walk::{Purpose, Sight, Walk},
    },
    Asalta, TRY_AGAIN, Target,
};
use crate::{
    health::Condition,
    notice::Notice,
    outbox::ACCOUNT_IDS_MAX,
    pos::{body::BodyFault, connector::Yield, http::Answer, page::Page},
    transaction::{Kind, Relation, Resource, Transaction},
};

/// What differed is compared again after this long, when it was read again.
const CONFIRM_AFTER: TimeDelta = TimeDelta::minutes(2);

/// So often the newest days are compared again within an hour; others once in a night.
const CONFIRMS_MAX: u32 = 3;

/// Records that are read one by one for one comparison.
const FETCHES_MAX: usize = 200;

/// A sale from before the backfill may be given back within it, if it is not older than this.
const RETURNED_WITHIN: TimeDelta = TimeDelta::days(180);

/// Names of outlets that are shown.
const NAMED_MAX: usize = 3;

/// Names of unknown fields that are remembered.
const UNKNOWN_FIELDS_MAX: usize = 32;

impl Asalta {
    pub(super) fn parse(
        &mut self,
        answer: &Answer,
        resource: Resource,
        of: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Listed, BodyFault> {
        self.context.observed_at = now;
        let listed = parse_records(&answer.body, resource, of, &self.context)?;
        for field in &listed.page.unknown_fields {
            if self.unknown_fields.len() < UNKNOWN_FIELDS_MAX && self.unknown_fields.insert(field.clone()) {
                let connection = &self.context.connection;
                tracing::info!(connection, field, "asalta: a field that this version does not know");
            }
        }
        Ok(listed)
    }

    /// A page's records, with what is noted beside them; the returns of its sales are to be asked where that is new.
    /// Ids beyond `up_to` were never there before: a till that uploads late is heard, however old its sales are.
    pub(super) fn yield_of(&mut self, page: Page, everything: bool, up_to: Option<u64>, now: DateTime<Utc>) -> Yield {
        let mut found = Yield { quarantined: page.quarantined, ..Yield::default() };
        for record in page.records {
            let at = record.timestamp.with_timezone(&Utc);
            let marked = matches!(record.resource, Resource::Invoice | Resource::Order);
            let mark = marked.then(|| report::mark_of(&record));
            let returns = match record.resource {
                Resource::Invoice => Some(RETURNS),
                Resource::Order => Some(ORDER_RETURNS),
                _ => None,
            };
            if let Some(list) = returns.filter(|list| self.cursor.lists[*list].per_sale && has_return(&record)) {
                let is_news = || {
                    let known = self.memory.find(record.resource, &record.external_id);
                    known.is_none_or(|known| mark.is_none_or(|mark| mark != known.mark))
                };
                if at >= self.bound(list, now) - RETURNED_WITHIN && (everything || is_news()) {
                    self.returns_of(list, record.external_id.clone());
                }
            }
            if at < self.cursor.since || at < self.bound(list_of(record.resource), now) && !self.is_kept(&record, up_to)
            {
                continue;
            }
            if let Some(mark) = mark {
                found.marks.insert((record.resource, record.external_id.clone()), mark);
            }
            found.transactions.push(record);
        }
        found
    }

    /// Whether a record from before the bound is told for all that: it is not forgotten, or was never there before.
    fn is_kept(&self, record: &Transaction, up_to: Option<u64>) -> bool {
        let id = record.external_id.parse::<u64>();
        up_to.is_some_and(|up_to| id.is_ok_and(|id| id > up_to))
            || self.memory.find(record.resource, &record.external_id).is_some()
    }

    /// What was owed of the lists that are whole now is paid.
    pub(super) fn settle(&mut self) {
        for list in 0..self.cursor.lists.len() {
            let own = &self.cursor.lists[list];
            let paid = if own.per_sale {
                let which = usize::from(list == ORDER_RETURNS);
                let sales = &self.cursor.lists[if list == RETURNS { INVOICES } else { ORDERS }];
                let asked = self.cursor.returns_due[which].is_empty() && !self.cursor.returns_missed[which];
                asked && sales.whole && sales.back.is_none()
            } else {
                own.whole
            };
            if paid {
                self.cursor.lists[list].owed = None;
            }
        }
    }

    /// Takes a page; `broken` is what is wrong with one that breaks off, of which this is what can be read.
    pub(super) fn take_page(
        &mut self,
        (list, purpose, page): (usize, Purpose, u64),
        listed: Listed,
        broken: Option<&str>,
        now: DateTime<Utc>,
    ) -> Yield {
        let sight = Sight { broken: broken.is_some(), ..sight(&listed) };
        let read_to = self.cursor.lists[list].read_to;
        match broken {
            Some(fault) => self.lists[list].breaks.broke(page, &listed, fault, now),
            None => self.lists[list].breaks.read(page, &listed),
        }
        let own = &mut self.cursor.lists[list];
        let up_to = own.read_up_to().filter(|_| purpose == Purpose::Newest);
        let step = self.lists[list].walk.take(own, purpose, &sight, now);
        let resource = self.lists[list].resource;
        let target = Target::Page(list, purpose, page);
        match step.lies.filter(|_| step.again && purpose == Purpose::Whole) {
            Some(lie) => _ = self.count(&target, lie, false, now),
            None => _ = self.troubles.remove(&target),
        }
        if purpose != Purpose::Recent {
            // A lie stands until the reading that met it goes through.
            let own = &mut self.lists[list];
            own.lies_now = step.lies.or(own.lies_now);
            own.lies = if step.done { own.lies_now.take() } else { own.lies_now.or(own.lies) };
        }
        let mut found = self.yield_of(listed.page, purpose == Purpose::Whole, up_to, now);
        self.weigh_breaks(list, read_to, &mut found);
        self.settle();
        let today = self.context.outlet_zone.local(now).date_naive();
        if step.moved && self.cursor.tell_once(&format!("list {}", requests::name(resource)), today) {
            let text =
                format!("records of the list {} have moved to other pages: it is read anew", requests::name(resource));
            found.notices.push(Notice::new("list_moved", text));
        }
        let own = &self.cursor.lists[list];
        if step.moved {
            self.lists[list].look_due = now;
        }
        match purpose {
            Purpose::Newest if step.done => {
                self.lists[list].newest_read = step.lies.is_none() || own.order == Some(Order::None);
                self.lists[list].newest_done(own, now);
                self.follow_invoices(list);
                // A short list is whole at every poll; what is stored is compared with it as rarely as with a long one.
                if step.whole && now >= self.lists[list].look_due {
                    self.look_for_missing(list, now);
                }
            }
            Purpose::Whole if step.done && step.again => {
                self.lists[list].whole_due = now + TRY_AGAIN;
            }
            Purpose::Whole if step.done => self.look_for_missing(list, now),
            _ => {}
        }
        found
    }

    /// Where returns are asked of their sales, they are read as far as the sales are.
    pub(super) fn follow_invoices(&mut self, list: usize) {
        let read_to = self.cursor.lists[INVOICES].read_to;
        let asked = self.cursor.returns_due[0].is_empty() && !self.cursor.returns_missed[0];
        if list == INVOICES && self.cursor.lists[RETURNS].per_sale && asked {
            self.cursor.lists[RETURNS].read_to = read_to;
        }
    }

    /// What is stored and was on no page of a whole reading is asked for by its id.
    pub(super) fn look_for_missing(&mut self, list: usize, now: DateTime<Utc>) {
        let resource = self.lists[list].resource;
        let Some(seen) = self.lists[list].walk.seen.take() else { return };
        self.lists[list].looked(now);
        let begun = self.cursor.lists[list].whole_read.unwrap_or(now);
        for known in self.memory.between(self.bound(list, now), begun) {
            let gone = known.external_id.parse().is_ok_and(|id: u64| !seen.contains(&id));
            if known.resource == resource && !known.vanished && gone {
                self.fetch(resource, known.external_id);
            }
        }
    }

    pub(super) fn take_warehouses(&mut self, answer: &Answer) -> Result<Yield, String> {
        let outlets = parse_warehouses(&answer.body).map_err(|fault| fault.to_string())?;
        let ids = outlets.iter().filter_map(|outlet| outlet.external_id.as_deref()).take(ACCOUNT_IDS_MAX);
        self.account = ids.map(|id| format!("warehouse:{id}")).collect();
        let named = outlets.iter().filter_map(|outlet| outlet.name.clone().or_else(|| outlet.code.clone()));
        let shown: Vec<_> = named.take(NAMED_MAX).collect();
        self.identity = Some(match outlets.len().saturating_sub(shown.len()) {
            _ if shown.is_empty() => "no warehouse named".to_owned(),
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        });
        Ok(Yield { conditions: vec![(Condition::PosUnfit, None)], ..Yield::default() })
    }

    pub(super) fn take_one(
        &mut self,
        resource: Resource,
        id: &str,
        answer: &Answer,
        now: DateTime<Utc>,
    ) -> Result<Yield, String> {
        if answer.status != 200 {
            self.fetches.retain(|one| one != &(resource, id.to_owned()));
            // An order that is gone cannot be made a void one: what it was is not kept on the box.
            return Ok(Yield { vanished: vec![(resource, id.to_owned())], ..Yield::default() });
        }
        let listed = self.parse(answer, resource, None, now).map_err(|fault| fault.to_string())?;
        let is_it = listed.page.records.iter().any(|record| record.external_id == id);
        if !is_it && listed.page.quarantined.is_empty() {
            return Err(format!("expected the record that was asked for by its id, found {} others", listed.page.rows));
        }
        self.fetches.retain(|one| one != &(resource, id.to_owned()));
        if resource == Resource::Invoice {
            self.refetched.insert(id.to_owned());
        }
        Ok(self.yield_of(listed.page, false, None, now))
    }

    pub(super) fn take_returns(
        &mut self,
        (list, sale, page): (usize, &str, u64),
        answer: &Answer,
        now: DateTime<Utc>,
    ) -> Result<Yield, String> {
        let listed = if answer.status == 200 {
            let resource = self.lists[list].resource;
            self.parse(answer, resource, Some(sale), now).map_err(|fault| fault.to_string())?
        } else {
            Listed::nothing()
        };
        let onward = paging::onward(&listed.meta, page, listed.page.rows);
        // Without any word on pages a sale's returns are on one.
        let says_nothing = listed.meta == Meta::default();
        let found = self.yield_of(listed.page, false, None, now);
        if matches!(onward, Onward::Last | Onward::Stuck | Onward::Short) || says_nothing {
            self.returns_asked(list, sale);
        } else {
            self.returns_at = Some((list, sale.to_owned(), page + 1));
        }
        Ok(found)
    }

    pub(super) fn returns_asked(&mut self, list: usize, sale: &str) {
        self.returns_at.take_if(|(of, at, _)| *of == list && at == sale);
        self.cursor.returns_due[usize::from(list == ORDER_RETURNS)].remove(sale);
        self.follow_invoices(INVOICES);
        self.settle();
    }

    pub(super) fn take_report(
        &mut self,
        days: Days,
        asked_at: DateTime<Utc>,
        answer: &Answer,
        now: DateTime<Utc>,
    ) -> Result<Yield, String> {
        let zone = self.context.source_zone.clone();
        let (rows, unread) = parse_report(&answer.body, &zone).map_err(|fault| fault.to_string())?;
        if unread > 0 && rows.is_empty() {
            return Err(format!("expected sales in the report, found {unread} rows of another form"));
        }
        if !self.cursor.report_in_query && report::ignores_days(&rows, days, &zone) {
            self.cursor.report_in_query = true;
            return Ok(Yield::default());
        }
        self.report_days.pop_front();
        let bounds = days.bounds(&zone);
        let beside = TimeDelta::days(2);
        let stored = self.memory.between(bounds.0 - beside, bounds.1 + beside);
        // Neither the box's clock nor the server's may make a sale of this minute one that is missing.
        let asked_at = answer.date.map_or(asked_at, |date| date.min(asked_at));
        let newest = self.cursor.lists[INVOICES].read_to.map_or(asked_at, |read| read.min(asked_at));
        let differences = report::compare(&rows, &stored, bounds, self.bound(INVOICES, now), newest);
        Ok(self.follow_up(days, differences, now))
    }

    /// What differs is read again; what differs still is told.
    pub(super) fn follow_up(&mut self, days: Days, differences: report::Differences, now: DateTime<Utc>) -> Yield {
        let today = self.context.outlet_zone.local(now).date_naive();
        let mut found = Yield::default();
        let only_reported = differences.rows.len() > differences.stored.len();
        let mut again = false;
        // What cannot be fetched now is left to a later comparison.
        let fails = |id: &String| self.troubles.contains_key(&Target::One(Resource::Invoice, id.clone()));
        let stored: Vec<_> = differences.stored.into_iter().filter(|id| !fails(id)).take(FETCHES_MAX).collect();
        for id in stored {
            let told = self.cursor.told.get(&id).is_some_and(|day| *day >= today);
            if !self.refetched.contains(&id) && !told {
                self.fetch(Resource::Invoice, id);
                again = true;
            } else if self.cursor.tell_once(&id, today) {
                let text =
                    "the report of sales shows this invoice otherwise, or not at all, also after it was read again";
                found.notices.push(Notice::new("report_differs", text).about(Resource::Invoice, id));
            }
        }
        self.suspects.retain(|_, seen| now - *seen < TimeDelta::days(2));
        if only_reported {
            for row in differences.rows.into_iter().take(FETCHES_MAX) {
                let first = *self.suspects.entry(row).or_insert(now);
                let own = &mut self.cursor.lists[INVOICES];
                let read_since = own.whole_read.is_some_and(|read| read > first + CONFIRM_AFTER);
                if first == now {
                    again = true;
                } else if !read_since && own.back.is_none() {
                    self.lists[INVOICES].walk.begin_whole(own, now);
                    // A list whose order is not known cannot be begun.
                    again |= own.back.is_some();
                } else if read_since && self.cursor.tell_once(&format!("row {row:016x}"), today) {
                    let text =
                        "the report of sales has a sale that no list of invoices shows, also after all were read";
                    found.notices.push(Notice::new("report_differs", text));
                }
            }
        }
        let is_newest = self.context.source_zone.local(now).date_naive() <= days.last;
        let times = self.looked_again.entry(days).or_default();
        again &= *times < if is_newest { CONFIRMS_MAX } else { 1 };
        *times += u32::from(again);
        if again && is_newest {
            (self.report_due, self.confirming) = (self.report_due.min(now + CONFIRM_AFTER), true);
        } else if again {
            // What is to be read again comes before the next report.
            self.report_days.push_back(days);
        }
        found
    }

    /// A list of returns that wants a sale: they are asked of each from now on.
    pub(super) fn go_per_sale(&mut self, list: usize, now: DateTime<Utc>) -> Yield {
        let owed = self.cursor.lists[list].owed;
        self.cursor.lists[list] = ListCursor { per_sale: true, owed, ..ListCursor::default() };
        self.troubles.retain(|target, _| !matches!(target, Target::Page(of, ..) if *of == list));
        let sales = if list == RETURNS { INVOICES } else { ORDERS };
        let own = &mut self.cursor.lists[sales];
        // Sales that were read already say which of them have returns.
        if own.whole {
            self.lists[sales].walk.begin_whole(own, now);
        } else {
            own.lose_place();
            self.lists[sales].walk = Walk::default();
        }
        Yield::default()
    }
}

fn list_of(resource: Resource) -> usize {
    match resource {
        Resource::ReturnInvoice => RETURNS,
        Resource::Order => ORDERS,
        Resource::ReturnOrder => ORDER_RETURNS,
        Resource::Invoice | Resource::Transaction | Resource::OrderRefund => INVOICES,
    }
}

fn has_return(record: &Transaction) -> bool {
    record.kind != Kind::Void && record.related.iter().any(|related| related.relation == Relation::RefundedBy)
}

/// What a page shows to its walk: ids in the source's order, those of elements that were put aside too.
pub(super) fn sight(listed: &Listed) -> Sight {
    let page = &listed.page;
    let read = page.records.iter().map(|record| record.external_id.parse().ok());
    let aside = page.quarantined.iter().filter_map(|aside| aside.external_id.as_ref()?.parse().ok());
    let newest = page.records.iter().map(|record| record.timestamp.with_timezone(&Utc)).max();
    let mut ids: Vec<Option<u64>> = read.collect();
    let descending = ids.len() > 1 && ids.is_sorted_by(|a, b| a > b);
    let ascending = ids.is_sorted_by(|a, b| a < b);
    ids.extend(aside.map(Some));
    if descending {
        // Elements that were put aside stand where their ids say, if the others do.
        ids.sort_by(|a, b| b.cmp(a));
    } else if ascending {
        ids.sort();
    }
    Sight { ids, rows: page.rows, meta: listed.meta, newest, broken: false }
}
