//! How Asalta is read without holes.
//!
//! - *The lists*, each by its own walk (`walk`, `lists`): the newest, the recent ones again each hour, everything each
//!   week; on a new box everything at once, the newest first. No link of a body is followed.
//! - *Returns*: their lists as well, where the source gives them without a sale; else those of each sale that says that
//!   it has some.
//! - *The report of sales* (`report`), hourly for a week and nightly for ninety days: invoices that differ from it are
//!   read again one by one; a sale that is only in the report has everything read anew.
//! - *One by one*, nightly: what is not fully paid; and what a whole reading no longer showed: it has vanished if the
//!   source says 404 of it.
//! - *A request that fails for good* (five equal answers while others succeed) is put off for an hour, and holds up
//!   nothing else. Until then the others are asked in between.
//!
//! No gap is opened for a list that proves nothing: the watermark does not pass it, so nothing is claimed.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Timelike, Utc};

use super::{
    cursor::{Cursor, ListCursor, Order},
    lists::{INVOICES, List, ORDER_RETURNS, ORDERS, RETURNS},
    paging::{self, Onward},
    parse::{Listed, parse_records, parse_report, parse_warehouses},
    report::{self, Days},
    requests,
    walk::{Purpose, Sight},
};
use crate::{
    health::Condition,
    notice::Notice,
    pos::{
        connector::{Begin, Connector, Memory, Progress, Step, Terms, Yield},
        http::{Answer, Failure},
        page::{Page, ParseContext},
        request::{Authorization, Request},
    },
    secret::Secret,
    transaction::{Kind, Relation, Resource, Transaction},
};

/// A request that failed so often is put off …
const FAILURES_MAX: u32 = 5;

/// … for so long, and so is a key that does not fit.
const TRY_AGAIN: TimeDelta = TimeDelta::hours(1);

/// From one failure of a request to its next try, times the failures before.
const FAILED_WAIT: TimeDelta = TimeDelta::seconds(15);

/// The report of the last week, and of what lies before it in pieces of a week.
const REPORT_EVERY: TimeDelta = TimeDelta::hours(1);
const REPORT_DAYS: i64 = 7;
const REPORT_DAYS_MAX: i64 = 90;

/// What differed is compared again after this long, when it was read again.
const CONFIRM_AFTER: TimeDelta = TimeDelta::minutes(2);

/// Records that are read one by one for one comparison, and that wait for it at all.
const FETCHES_MAX: usize = 200;
const FETCHES_WAITING_MAX: usize = 5_000;

/// Sales whose returns wait to be asked.
const RETURNS_DUE_MAX: usize = 20_000;

/// A sale from before the backfill may be given back within it, if it is not older than this.
const RETURNED_WITHIN: TimeDelta = TimeDelta::days(180);

/// Local hour after which the nightly work is due.
const NIGHT_HOUR: u32 = 3;

/// Names of outlets that are shown.
const NAMED_MAX: usize = 3;

/// Names of unknown fields that are remembered.
const UNKNOWN_FIELDS_MAX: usize = 32;

/// Requests that failed lately and are remembered.
const TROUBLES_MAX: usize = 256;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Warehouses,
    Page(usize, Purpose, u64),
    /// A page of the returns of a sale or an order.
    Returns(usize, String, u64),
    One(Resource, String),
    Report(Days),
}

/// Failures of one request.
#[derive(Debug, Clone)]
struct Trouble {
    count: u32,
    first: DateTime<Utc>,
    until: DateTime<Utc>,
    /// For a person, once it is put off.
    put_off: Option<String>,
}

/// The connector for one Asalta account.
pub struct Asalta {
    token: Secret,
    context: ParseContext,
    memory: Arc<dyn Memory>,
    cursor: Cursor,
    identity: Option<String>,
    warehouses_due: DateTime<Utc>,
    lists: [List; 4],
    asked: Option<(Target, DateTime<Utc>)>,
    /// Newest and other work take turns.
    others_turn: bool,
    fetches: VecDeque<(Resource, String)>,
    returns_page: u64,
    report_due: DateTime<Utc>,
    report_days: VecDeque<Days>,
    /// The comparison that is due next looks again at what was read again.
    confirming: bool,
    /// Invoices that were read again for the comparison that runs, and rows that were seen before.
    refetched: BTreeSet<String>,
    suspects: BTreeMap<u64, DateTime<Utc>>,
    troubles: BTreeMap<Target, Trouble>,
    answered: DateTime<Utc>,
    told_unreliable: Option<Option<String>>,
    unknown_fields: BTreeSet<String>,
}

impl Asalta {
    /// A connector that goes on from where the last one stopped, or begins the backfill before now.
    #[must_use]
    pub fn new(terms: Terms, begin: Begin) -> Self {
        let Terms { context, poll_every, backfill } = terms;
        let Begin { secret: token, cursor: stored, gaps: _, memory, now } = begin;
        let stored: Option<Cursor> = stored.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        // What a new box reads at first, it need not compare the same night.
        let nightly = Some(context.outlet_zone.local(now).date_naive());
        let since = (now - backfill).with_nanosecond(0).unwrap_or(now - backfill);
        let mut cursor = stored.unwrap_or(Cursor { nightly, ..Cursor::beginning(since) });
        for list in &mut cursor.lists {
            // A clock that was ahead claimed to have read what was not there.
            list.read_to = list.read_to.map(|read| read.min(now));
        }
        Self {
            token,
            context,
            memory,
            cursor,
            identity: None,
            warehouses_due: now,
            lists: List::all(poll_every, now),
            asked: None,
            others_turn: false,
            fetches: VecDeque::new(),
            returns_page: 1,
            report_due: now,
            report_days: VecDeque::new(),
            confirming: false,
            refetched: BTreeSet::new(),
            suspects: BTreeMap::new(),
            troubles: BTreeMap::new(),
            answered: DateTime::<Utc>::MIN_UTC,
            told_unreliable: None,
            unknown_fields: BTreeSet::new(),
        }
    }

    fn request(&self, target: &Target) -> Request {
        let request = match target {
            Target::Warehouses => requests::warehouses(),
            Target::Page(list, _, page) => requests::list(self.lists[*list].resource, *page, None),
            Target::Returns(list, sale, page) => requests::list(self.lists[*list].resource, *page, Some(sale)),
            Target::One(resource, id) => requests::one(*resource, id),
            Target::Report(days) => requests::report(days.first, days.last, self.cursor.report_in_query),
        };
        request.authorized(Authorization::Bearer(self.token.clone()))
    }

    fn is_put_off(&self, target: &Target, now: DateTime<Utc>) -> bool {
        self.troubles.get(target).is_some_and(|trouble| now < trouble.until)
    }

    /// The newest of one list. Whether returns can be listed is found out before the sales that have some are read.
    fn newest_target(&mut self, now: DateTime<Utc>) -> Option<Target> {
        let unproven = |own: &ListCursor| !own.per_sale && own.read_to.is_none();
        let mut order = [INVOICES, RETURNS, ORDERS, ORDER_RETURNS];
        order.sort_by_key(|list| !(unproven(&self.cursor.lists[*list]) && matches!(*list, RETURNS | ORDER_RETURNS)));
        order.into_iter().find_map(|list| self.page_target(list, Purpose::Newest, now))
    }

    fn page_target(&mut self, list: usize, purpose: Purpose, now: DateTime<Utc>) -> Option<Target> {
        let page = self.lists[list].page(&mut self.cursor.lists[list], purpose, now)?;
        let due = purpose != Purpose::Newest || now >= self.lists[list].due;
        Some(Target::Page(list, purpose, page)).filter(|target| due && !self.is_put_off(target, now))
    }

    /// What is not the newest.
    fn other_target(&mut self, now: DateTime<Utc>) -> Option<Target> {
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

    fn plan_report(&mut self, now: DateTime<Utc>) {
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

    fn plan_nightly(&mut self, now: DateTime<Utc>) {
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

    fn fetch(&mut self, resource: Resource, id: String) {
        let one = (resource, id);
        if self.fetches.len() < FETCHES_WAITING_MAX && !self.fetches.contains(&one) {
            self.fetches.push_back(one);
        }
    }

    fn returns_of(&mut self, list: usize, sale: String) {
        let due = &mut self.cursor.returns_due[usize::from(list == ORDER_RETURNS)];
        if self.cursor.lists[list].per_sale && due.len() < RETURNS_DUE_MAX {
            due.insert(sale);
        }
    }

    fn parse(
        &mut self,
        answer: &Answer,
        resource: Resource,
        of: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Listed, String> {
        self.context.observed_at = now;
        let listed = parse_records(&answer.body, resource, of, &self.context).map_err(|fault| fault.to_string())?;
        for field in &listed.page.unknown_fields {
            if self.unknown_fields.len() < UNKNOWN_FIELDS_MAX && self.unknown_fields.insert(field.clone()) {
                let connection = &self.context.connection;
                tracing::info!(connection, field, "asalta: a field that this version does not know");
            }
        }
        Ok(listed)
    }

    /// A page's records, with what is noted beside them; the returns of its sales are to be asked where that is new.
    fn yield_of(&mut self, page: Page, everything: bool) -> Yield {
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
                if at >= self.cursor.since - RETURNED_WITHIN && (everything || is_news()) {
                    self.returns_of(list, record.external_id.clone());
                }
            }
            if at < self.cursor.since {
                continue;
            }
            if let Some(mark) = mark {
                found.marks.insert((record.resource, record.external_id.clone()), mark);
            }
            found.transactions.push(record);
        }
        found
    }

    fn take_page(&mut self, (list, purpose): (usize, Purpose), listed: Listed, now: DateTime<Utc>) -> Yield {
        let sight = sight(&listed);
        let own = &mut self.cursor.lists[list];
        let step = self.lists[list].walk.take(own, purpose, &sight, now);
        let resource = self.lists[list].resource;
        if purpose != Purpose::Recent {
            // A lie stands until the reading that met it goes through.
            let own = &mut self.lists[list];
            own.lies_now = step.lies.or(own.lies_now);
            own.lies = if step.done { own.lies_now.take() } else { own.lies_now.or(own.lies) };
        }
        let mut found = self.yield_of(listed.page, purpose == Purpose::Whole);
        if step.moved {
            let text =
                format!("records of the list {} have moved to other pages: it is read anew", requests::name(resource));
            found.notices.push(Notice::new("list_moved", text));
        }
        let own = &self.cursor.lists[list];
        match purpose {
            Purpose::Newest if step.done => {
                self.lists[list].newest_read = step.lies.is_none() || own.order == Some(Order::None);
                self.lists[list].newest_done(own, now);
                self.follow_invoices(list);
            }
            Purpose::Whole if step.done && step.lies.is_some() => {
                self.lists[list].whole_due = now + TRY_AGAIN;
            }
            Purpose::Whole if step.done => self.look_for_missing(list, now),
            _ => {}
        }
        found
    }

    /// Where returns are asked of their sales, they are read as far as the sales are.
    fn follow_invoices(&mut self, list: usize) {
        let read_to = self.cursor.lists[INVOICES].read_to;
        if list == INVOICES && self.cursor.lists[RETURNS].per_sale && self.cursor.returns_due[0].is_empty() {
            self.cursor.lists[RETURNS].read_to = read_to;
        }
    }

    /// What is stored and was on no page of a whole reading is asked for by its id.
    fn look_for_missing(&mut self, list: usize, now: DateTime<Utc>) {
        let resource = self.lists[list].resource;
        let Some(seen) = self.lists[list].walk.seen.take() else { return };
        let begun = self.cursor.lists[list].whole_read.unwrap_or(now);
        for known in self.memory.between(self.cursor.since, begun) {
            let gone = known.external_id.parse().is_ok_and(|id: u64| !seen.contains(&id));
            if known.resource == resource && !known.vanished && gone {
                self.fetch(resource, known.external_id);
            }
        }
    }

    fn take_warehouses(&mut self, answer: &Answer) -> Result<Yield, String> {
        let outlets = parse_warehouses(&answer.body).map_err(|fault| fault.to_string())?;
        let named = outlets.iter().filter_map(|outlet| outlet.name.clone().or_else(|| outlet.code.clone()));
        let shown: Vec<_> = named.take(NAMED_MAX).collect();
        self.identity = Some(match outlets.len().saturating_sub(shown.len()) {
            _ if shown.is_empty() => "no warehouse named".to_owned(),
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        });
        Ok(Yield { conditions: vec![(Condition::PosUnfit, None)], ..Yield::default() })
    }

    fn take_one(&mut self, resource: Resource, id: &str, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        if answer.status != 200 {
            self.fetches.retain(|one| one != &(resource, id.to_owned()));
            // An order that is gone cannot be made a void one: what it was is not kept on the box.
            return Ok(Yield { vanished: vec![(resource, id.to_owned())], ..Yield::default() });
        }
        let listed = self.parse(answer, resource, None, now)?;
        let is_it = listed.page.records.iter().any(|record| record.external_id == id);
        if !is_it && listed.page.quarantined.is_empty() {
            return Err(format!("expected the record that was asked for by its id, found {} others", listed.page.rows));
        }
        self.fetches.retain(|one| one != &(resource, id.to_owned()));
        if resource == Resource::Invoice {
            self.refetched.insert(id.to_owned());
        }
        Ok(self.yield_of(listed.page, false))
    }

    fn take_returns(
        &mut self,
        (list, sale, page): (usize, &str, u64),
        answer: &Answer,
        now: DateTime<Utc>,
    ) -> Result<Yield, String> {
        let listed = if answer.status == 200 {
            self.parse(answer, self.lists[list].resource, Some(sale), now)?
        } else {
            Listed { page: Page::default(), meta: super::parse::Meta::default() }
        };
        let onward = paging::onward(&listed.meta, page, listed.page.rows);
        // Without any word on pages a sale's returns are on one.
        let says_nothing = listed.meta == super::parse::Meta::default();
        if matches!(onward, Onward::Last | Onward::Stuck) || says_nothing {
            self.returns_asked(list, sale);
        } else {
            self.returns_page = page + 1;
        }
        Ok(self.yield_of(listed.page, false))
    }

    fn returns_asked(&mut self, list: usize, sale: &str) {
        self.returns_page = 1;
        self.cursor.returns_due[usize::from(list == ORDER_RETURNS)].remove(sale);
        self.follow_invoices(INVOICES);
    }

    fn take_report(
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
        let differences = report::compare(&rows, &stored, bounds, self.cursor.since, newest);
        Ok(self.follow_up(days, differences, now))
    }

    /// What differs is read again; what differs still is told.
    fn follow_up(&mut self, days: Days, differences: report::Differences, now: DateTime<Utc>) -> Yield {
        let today = self.context.outlet_zone.local(now).date_naive();
        let mut found = Yield::default();
        let only_reported = differences.rows.len() > differences.stored.len();
        let mut again = false;
        for id in differences.stored.into_iter().take(FETCHES_MAX) {
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
                    again = true;
                } else if read_since && self.cursor.tell_once(&format!("row {row:016x}"), today) {
                    let text =
                        "the report of sales has a sale that no list of invoices shows, also after all were read";
                    found.notices.push(Notice::new("report_differs", text));
                }
            }
        }
        if again && self.context.source_zone.local(now).date_naive() <= days.last {
            (self.report_due, self.confirming) = (self.report_due.min(now + CONFIRM_AFTER), true);
        } else if again {
            // What is to be read again comes before the next report.
            self.report_days.push_back(days);
        }
        found
    }

    /// What makes the lists ones that prove nothing, for a person.
    fn unreliable(&self) -> Option<String> {
        let lying = self
            .lists
            .iter()
            .filter_map(|list| Some(format!("asalta GET /pos/{}: {}", requests::name(list.resource), list.lies?)));
        let put_off = self.troubles.values().filter_map(|trouble| trouble.put_off.clone());
        let mut all: Vec<String> = lying.chain(put_off).take(4).collect();
        all.dedup();
        (!all.is_empty()).then(|| all.join("; "))
    }

    fn tell_unreliable(&mut self, found: &mut Yield) {
        let now_told = self.unreliable();
        if self.told_unreliable.as_ref() != Some(&now_told) {
            found.conditions.push((Condition::ListUnreliable, now_told.clone()));
            self.told_unreliable = Some(now_told);
        }
    }

    /// Counts a failure that may be of this request alone; whether it is put off for it.
    fn count(&mut self, target: &Target, failure: &Failure, now: DateTime<Utc>) -> bool {
        if self.troubles.len() >= TROUBLES_MAX && !self.troubles.contains_key(target) {
            self.troubles.pop_first();
        }
        let answered = self.answered;
        let request = self.request(target).to_string();
        let trouble =
            self.troubles.entry(target.clone()).or_insert(Trouble { count: 0, first: now, until: now, put_off: None });
        trouble.count = trouble.count.saturating_add(1);
        // While nothing else is answered either, it is the server that is in trouble.
        let alone = answered >= trouble.first;
        let forbidden = matches!(failure, Failure::Refused(403));
        if forbidden || trouble.count >= FAILURES_MAX && alone {
            trouble.put_off = Some(format!("asalta {request}: {failure}; it is asked again in an hour"));
            trouble.until = now + TRY_AGAIN;
            return true;
        }
        trouble.until = now + FAILED_WAIT * i32::try_from(trouble.count.min(4)).unwrap_or(4);
        false
    }

    /// When something is to be done next.
    fn wakes(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let lists = self.lists.iter().zip(&self.cursor.lists).filter(|(_, own)| !own.per_sale);
        let dues = lists.flat_map(|(list, _)| [list.due, list.recent_due, list.whole_due]);
        let troubles = self.troubles.values().map(|trouble| trouble.until);
        let all = dues.chain(troubles).chain([self.report_due]).filter(|due| *due > now);
        all.min().unwrap_or(now + TimeDelta::minutes(1)).max(now + TimeDelta::seconds(1))
    }

    fn counted(&self) -> [&ListCursor; 2] {
        [&self.cursor.lists[INVOICES], &self.cursor.lists[RETURNS]]
    }

    /// Everything that counts was read from `since` up to here.
    fn watermark(&self) -> DateTime<Utc> {
        let read = |own: &ListCursor| own.read_to.filter(|_| own.whole || own.per_sale);
        let least = self.counted().into_iter().map(read).min().flatten();
        least.map_or(self.cursor.since, |read| read.max(self.cursor.since))
    }

    /// A list of returns that wants a sale: they are asked of each from now on.
    fn go_per_sale(&mut self, list: usize, now: DateTime<Utc>) -> Yield {
        self.cursor.lists[list] = ListCursor { per_sale: true, ..ListCursor::default() };
        self.troubles.retain(|target, _| !matches!(target, Target::Page(of, ..) if *of == list));
        let sales = if list == RETURNS { INVOICES } else { ORDERS };
        let own = &mut self.cursor.lists[sales];
        // Sales that were read already say which of them have returns.
        if own.whole {
            self.lists[sales].walk.begin_whole(own, now);
        } else {
            own.lose_place();
            self.lists[sales].walk = super::walk::Walk::default();
        }
        Yield::default()
    }
}

impl Connector for Asalta {
    fn next(&mut self, now: DateTime<Utc>) -> Step {
        let target = if self.identity.is_none() {
            if now < self.warehouses_due {
                return Step::Wait(self.warehouses_due);
            }
            Some(Target::Warehouses)
        } else if self.others_turn {
            self.other_target(now).or_else(|| self.newest_target(now))
        } else {
            self.newest_target(now).or_else(|| self.other_target(now))
        };
        let Some(target) = target else { return Step::Wait(self.wakes(now)) };
        self.others_turn = matches!(target, Target::Page(_, Purpose::Newest, _));
        let request = self.request(&target);
        self.asked = Some((target, now));
        Step::Ask(request)
    }

    fn accepts(&self, status: u16) -> bool {
        // A record that is gone, or a sale that has no returns.
        matches!(self.asked, Some((Target::One(..) | Target::Returns(..), _))) && matches!(status, 404 | 410)
    }

    fn take(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        let Some((target, asked_at)) = self.asked.clone() else { return Ok(Yield::default()) };
        let taken = match &target {
            Target::Warehouses => self.take_warehouses(answer),
            Target::Page(list, purpose, _) => {
                let resource = self.lists[*list].resource;
                self.parse(answer, resource, None, now).map(|listed| self.take_page((*list, *purpose), listed, now))
            }
            Target::Returns(list, sale, page) => self.take_returns((*list, sale, *page), answer, now),
            Target::One(resource, id) => self.take_one(*resource, id, answer, now),
            Target::Report(days) => self.take_report(*days, asked_at, answer, now),
        };
        let mut found = taken?;
        self.asked = None;
        self.answered = now;
        self.troubles.remove(&target);
        self.tell_unreliable(&mut found);
        Ok(found)
    }

    fn failed(&mut self, failure: &Failure, now: DateTime<Utc>) -> Option<Yield> {
        let (target, _) = self.asked.take()?;
        let unfit = matches!(failure, Failure::Refused(403) | Failure::Unexpected(_));
        match (&target, failure) {
            (Target::Warehouses, _) if unfit => {
                self.warehouses_due = now + TRY_AGAIN;
                let text = format!(
                    "asalta GET /pos/warehouses: {failure}: the key is perhaps not one of the product Inventory & POS; \
                     ask Asalta for such a key, or check the base-url"
                );
                Some(Yield { conditions: vec![(Condition::PosUnfit, Some(text))], ..Yield::default() })
            }
            (Target::Page(list, ..), Failure::Unexpected(400))
                if matches!(*list, RETURNS | ORDER_RETURNS) && self.cursor.lists[*list].read_to.is_none() =>
            {
                Some(self.go_per_sale(*list, now))
            }
            (Target::Page(list, purpose, page), Failure::Unexpected(400)) if *page > 1 => {
                // There is no such page (any more).
                let listed = Listed { page: Page::default(), meta: super::parse::Meta::default() };
                Some(self.take_page((*list, *purpose), listed, now))
            }
            (Target::Report(days), Failure::TooLarge) if days.halves().is_some() => {
                let halves = days.halves().into_iter().flatten();
                self.report_days.pop_front();
                halves.rev().for_each(|half| self.report_days.push_front(half));
                Some(Yield::default())
            }
            (Target::Warehouses, _) => None,
            (_, Failure::Refused(403) | Failure::Trouble(_) | Failure::Unexpected(_) | Failure::TooLarge) => {
                if !self.count(&target, failure, now) {
                    return None;
                }
                match &target {
                    // Returns without a sale are refused by a 500 too, says the reference.
                    Target::Page(list, ..)
                        if matches!(*list, RETURNS | ORDER_RETURNS) && self.cursor.lists[*list].read_to.is_none() =>
                    {
                        self.go_per_sale(*list, now);
                    }
                    Target::One(resource, id) => self.fetches.retain(|one| one != &(*resource, id.clone())),
                    Target::Report(_) => _ = self.report_days.pop_front(),
                    _ => {}
                }
                let mut found = Yield::default();
                self.tell_unreliable(&mut found);
                Some(found)
            }
            _ => None,
        }
    }

    fn cursor(&self) -> Vec<u8> {
        serde_json::to_vec(&self.cursor).expect("times, numbers and flags are always JSON")
    }

    fn rewind(&mut self, since: DateTime<Utc>) {
        self.cursor.rewind(since.with_nanosecond(0).unwrap_or(since));
        self.asked = None;
        for list in &mut self.lists {
            list.walk = super::walk::Walk::default();
        }
    }

    fn progress(&self) -> Progress {
        let own = &self.cursor.lists;
        let mut notes = vec![
            "orders and their returns are told but not counted: an order that is sold is an invoice of its own"
                .to_owned(),
            "the source does not say in which zone its times are: the configured one is taken".to_owned(),
        ];
        let order = |list: usize| match own[list].order {
            Some(Order::OldestFirst) => {
                Some(format!("{} are listed oldest first", requests::name(self.lists[list].resource)))
            }
            Some(Order::NewestFirst) => {
                Some(format!("{} are listed newest first", requests::name(self.lists[list].resource)))
            }
            Some(Order::None) => Some(format!(
                "{} are listed in no order: all are read each time",
                requests::name(self.lists[list].resource)
            )),
            None => None,
        };
        notes.extend((0..self.lists.len()).filter_map(order));
        let per_sale = |list: usize| {
            own[list]
                .per_sale
                .then(|| format!("{} are given only for one sale at a time", requests::name(self.lists[list].resource)))
        };
        notes.extend([RETURNS, ORDER_RETURNS].into_iter().filter_map(per_sale));
        notes.extend(
            self.cursor.report_in_query.then(|| "the report ignores its form, and is asked by the query".to_owned()),
        );
        notes.extend(self.unknown_fields.iter().map(|field| format!("unknown field {field}")));
        let read = |list: usize| own[list].per_sale || self.lists[list].newest_read && own[list].whole;
        let put_off = self.troubles.values().any(|trouble| trouble.put_off.is_some());
        Progress {
            identity: self.identity.clone(),
            watermark: Some(self.watermark()),
            since: Some(self.cursor.since),
            complete: read(INVOICES) && read(RETURNS) && self.cursor.returns_due[0].is_empty() && !put_off,
            notes,
        }
    }

    fn covers(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
        self.cursor.since <= from && to <= self.watermark()
    }
}

fn has_return(record: &Transaction) -> bool {
    record.kind != Kind::Void && record.related.iter().any(|related| related.relation == Relation::RefundedBy)
}

/// What a page shows to its walk: ids in the source's order, those of elements that were put aside too.
fn sight(listed: &Listed) -> Sight {
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
    Sight { ids, rows: page.rows, meta: listed.meta, newest }
}
