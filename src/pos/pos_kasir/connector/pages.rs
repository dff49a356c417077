//! What is made of a page of the list, and of a walk that is done.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    PosKasir, Slot,
    unlisted::{WIDTH_MIN, is_of_pages},
};
use crate::{
    content::ContentId,
    gap::{Gap, GapReason},
    health::Condition,
    notice::Notice,
    pos::{
        connector::{RESCAN_HORIZON, Yield},
        http::Answer,
        narrow::{Place, ROWS_MAX},
        pos_kasir::{
            order::{fingerprint, hash},
            parse::{Orders, PageFault, parse_orders},
            states::{BITS, ROW_ONLY},
            walk::{OVERLAP, Purpose, Short, Task, Turn, Walk, second_after, whole_second},
        },
    },
    transaction::{Kind, Resource, Transaction},
};

/// Details that one newest walk reads. Of more, the newest come now, and the others as history.
const NEWEST_DETAILS_MAX: usize = 30;

/// Pages of a newest walk until it meets what was read, and while it finds changes.
const NEWEST_PAGES_MAX: (u64, u64) = (3, 5);

/// Orders that are read again hourly though the list shows no change.
const REFRESHED_MAX: usize = 120;

/// Stored orders that one walk asks for because the list did not show them.
const UNLISTED_MAX: usize = 50;

/// The list, in what is told.
const ASKED: &str = "pos-kasir GET /orders";

/// A gap that is wider than the place of a row by more was opened for a whole stretch of the list.
const WIDER: TimeDelta = TimeDelta::hours(1);

/// Rows may stand in another order by so much.
const ORDER_SLACK: TimeDelta = TimeDelta::seconds(1);

impl PosKasir {
    pub(super) fn take_page(
        &mut self,
        slot: Slot,
        place: Place,
        asked_at: DateTime<Utc>,
        answer: &Answer,
        now: DateTime<Utc>,
    ) -> Result<Yield, PageFault> {
        let is_first = place.offset == 0;
        let body = (slot == Slot::Newest && is_first).then(|| ContentId::of_bytes(&answer.body));
        let meets = self.newest.as_ref().is_some_and(|walk| walk.stop.is_some());
        if meets && body.is_some() && body == self.unchanged.map(|(body, _)| body) {
            return Ok(self.take_unchanged(asked_at, answer, now));
        }
        let orders = parse_orders(&answer.body, &self.context)?;
        let page = place.page();
        if orders.number != page {
            return Err(PageFault::Form(format!("expected page {page} of the orders, found another")));
        }
        if orders.page.is_of_something_else() {
            return Err(PageFault::Form("expected objects in the list `data/orders`, found none".to_owned()));
        }
        if place.rows < ROWS_MAX && orders.rows_max != place.rows {
            // These rows are not those that were asked for.
            self.narrow.keeps_its_size();
            self.newest.iter_mut().chain(&mut self.background).for_each(|walk| walk.position.realign());
            return Ok(Yield::default());
        }
        self.learn_fields(&orders.page.unknown_fields);
        // A few new orders are no sign.
        if is_first
            && (place.rows == ROWS_MAX || orders.is_last())
            && let Some(sample) = self.signs_of_a_reset(&orders, now)
        {
            (self.newest, self.background) = (None, None);
            self.begin_probe(sample);
            return Ok(Yield::default());
        }
        let Some(mut walk) = self.slot(slot).take() else { return Ok(Yield::default()) };
        if is_first {
            // Neither our clock nor the server's may let the watermark pass what was not there to be seen.
            walk.begun = whole_second(answer.date.map_or(asked_at, |date| date.min(asked_at)));
        }
        let hidden = self.hidden(&walk, &orders);
        let lacking = orders.missing().saturating_sub(hidden);
        let above = walk.lowest.unwrap_or(walk.begun);
        let below = orders.page.records.iter().map(|row| row.timestamp.to_utc()).min().unwrap_or(above);
        let unexplained = lacking.saturating_sub(self.explained(&Short {
            from: below,
            to: above,
            missing: lacking,
            reason: GapReason::ShortPage,
        }));
        if walk.purpose == Purpose::Backfill
            && let Some(lowest) = walk.lowest
        {
            // Its details were read before this page was asked for.
            self.cursor.read_down_to(lowest);
        }
        if walk.take(&orders, (lacking, unexplained), &mut self.narrow, now) == Turn::Again {
            *self.slot(slot) = Some(walk);
            return Ok(Yield::default());
        }
        let mut found = Yield { conditions: vec![order_of(&orders)], ..Yield::default() };
        let changed_below = self.find_tasks(&mut walk, &orders, &mut found, now);
        if walk.purpose == Purpose::Newest {
            bound(&mut walk, changed_below);
        }
        if let Some(body) = body {
            let is_known = walk.reached && walk.tasks.is_empty() && orders.missing() == 0;
            self.unchanged = is_known.then_some((body, walk.list_ended));
        }
        self.settle(slot, walk, &mut found, now);
        Ok(found)
    }

    /// The first page is, byte for byte, one on which everything was known: nothing happened since, and it need not be
    /// read for that.
    fn take_unchanged(&mut self, asked_at: DateTime<Utc>, answer: &Answer, now: DateTime<Utc>) -> Yield {
        let mut found = Yield::default();
        if let Some(mut walk) = self.newest.take() {
            walk.begun = whole_second(answer.date.map_or(asked_at, |date| date.min(asked_at)));
            walk.end(self.unchanged.is_some_and(|(_, list_ended)| list_ended));
            self.finish(walk, &mut found, now);
        }
        found
    }

    /// Adds what is to be read in detail. Whether some of it stands in the page's last quarter.
    fn find_tasks(&mut self, walk: &mut Walk, orders: &Orders, found: &mut Yield, now: DateTime<Utc>) -> bool {
        let (floor, compares) = (self.floor(now), matches!(walk.purpose, Purpose::Recent | Purpose::Nightly));
        let rows = orders.page.records.len();
        let mut changed_below = false;
        for (n, row) in orders.page.records.iter().enumerate() {
            let at = row.timestamp.to_utc();
            if compares && at >= walk.begun - RESCAN_HORIZON {
                walk.listed.insert(id_hash(&row.external_id));
            }
            if at >= floor && self.bad.contains_key(&row.external_id) {
                self.tell_by_row(row.clone(), fingerprint(row), found);
            } else if at >= floor
                && let Some(task) = self.task_of(walk, row)
            {
                changed_below |= (n + 1) * 4 > rows * 3;
                walk.tasks.push_back(task);
            }
        }
        for aside in &orders.page.quarantined {
            // A row may be bad where its detail is not; what has no id has no detail.
            let Some(id) = &aside.external_id else {
                found.quarantined.push(aside.clone());
                continue;
            };
            let print = hash(&aside.hash);
            walk.listed.insert(id_hash(id));
            let is_told = self.put_aside.get(id) == Some(&print) && walk.purpose != Purpose::Nightly;
            if !is_told && !self.bad.contains_key(id) {
                walk.tasks.push_back(Task::of_aside(id.clone(), aside, print));
            }
        }
        changed_below
    }

    /// The task of a row that is new, or not what is stored.
    fn task_of(&self, walk: &mut Walk, row: &Transaction) -> Option<Task> {
        let print = fingerprint(row);
        let id = row.external_id.as_str();
        let given_up = self.put_aside.get(id) == Some(&print) && walk.purpose != Purpose::Nightly;
        if given_up {
            return None;
        }
        let is_news = match self.memory.find(Resource::Order, id) {
            None => true,
            Some(known) if known.vanished || (known.mark ^ print) & !BITS != 0 => true,
            Some(known) => {
                // What has no payment may have had one between two polls, and looks the same again.
                let unfinished = row.kind != Kind::Sale && walk.refreshed < REFRESHED_MAX;
                let again = match walk.purpose {
                    Purpose::Recent => unfinished || known.mark & ROW_ONLY != 0,
                    Purpose::Nightly => known.mark & ROW_ONLY != 0,
                    _ => false,
                };
                walk.refreshed += usize::from(again);
                again
            }
        };
        is_news.then(|| Task::of_row(row, print))
    }

    /// How many stored orders should stand on a short page, and do not: the server dropped them, and what it shows of
    /// them by themselves is asked hourly.
    fn hidden(&self, walk: &Walk, orders: &Orders) -> u64 {
        if orders.missing() == 0 {
            return 0;
        }
        let rows = &orders.page.records;
        let below = rows.iter().map(|row| row.timestamp.to_utc()).min().unwrap_or(walk.begun);
        let above = walk.lowest.unwrap_or(walk.begun);
        let mut known = self.memory.between(whole_second(below), above);
        known.retain(|known| {
            let listed = rows.iter().any(|row| row.external_id == known.external_id);
            known.resource == Resource::Order && !known.vanished && !listed
        });
        known.len() as u64
    }

    /// How many of these rows the open gaps stand for.
    fn explained(&self, short: &Short) -> u64 {
        let standing = self.short_counts.iter().filter(|(gap, _)| stands_for(gap, short));
        standing.map(|(_, count)| *count).sum()
    }

    /// Puts a walk back, or finishes it.
    pub(super) fn settle(&mut self, slot: Slot, mut walk: Walk, found: &mut Yield, now: DateTime<Utc>) {
        let compares = matches!(walk.purpose, Purpose::Recent | Purpose::Nightly);
        if walk.is_done() && compares && !std::mem::replace(&mut walk.compared, true) {
            walk.tasks.extend(self.unlisted(&walk));
        }
        if walk.is_done() {
            self.finish(walk, found, now);
        } else {
            *self.slot(slot) = Some(walk);
        }
    }

    /// Stored orders of the time that was read which the list did not show: their details say whether they are gone.
    fn unlisted(&self, walk: &Walk) -> Vec<Task> {
        let from = walk.stop.unwrap_or(walk.begun).max(walk.begun - RESCAN_HORIZON + OVERLAP);
        let mut known = self.memory.between(from, walk.begun - OVERLAP);
        known.retain(|known| {
            let listed =
                walk.listed.contains(&id_hash(&known.external_id)) || self.bad.contains_key(&known.external_id);
            known.resource == Resource::Order && !known.vanished && !listed
        });
        known.truncate(UNLISTED_MAX);
        known.into_iter().map(|known| Task { at: Some(known.at), ..Task::of_id(known.external_id, None) }).collect()
    }

    pub(super) fn finish(&mut self, walk: Walk, found: &mut Yield, now: DateTime<Utc>) {
        match walk.purpose {
            Purpose::Newest => {
                self.newest_complete = true;
                self.newest_due = now + self.poll_every;
            }
            Purpose::Recent => self.recent_read = Some(walk.planned),
            Purpose::Nightly => {
                self.cursor.nightly_read = Some(self.context.outlet_zone.local(walk.planned).date_naive());
            }
            Purpose::CatchUp | Purpose::Backfill => {}
            Purpose::Single => return,
        }
        self.conclude(walk, found, now);
    }

    /// What a walk proves as far as it came.
    pub(super) fn conclude(&mut self, mut walk: Walk, found: &mut Yield, now: DateTime<Utc>) {
        let floor = self.floor(now);
        walk.close_short(floor);
        let whole = match (walk.list_ended, walk.reached, walk.stop) {
            (true, _, _) => Some(floor.min(self.cursor.target)),
            (false, true, Some(stop)) => Some(stop),
            _ => walk.lowest.map(whole_second),
        };
        let Some(from) = whole else { return };
        let read_to = self.cursor.read_to();
        for short in &walk.shorts {
            let Some(gap) = self.open_short_gap(short, read_to) else { continue };
            if gap.reason == GapReason::Unreadable {
                let again = "they are asked again with the list: each hour for two days, then each night";
                found.notices.push(Notice::unreadable(ASKED, (gap.from, gap.to), &self.spoilt_by, again));
            }
            found.gaps_opened.push(gap);
        }
        self.cursor.count_as_read(from, walk.begun);
        if walk.purpose != Purpose::Newest && walk.shorts.is_empty() {
            self.cursor.readings.note(from, walk.begun, walk.begun);
        }
        let mended = |gap: &Gap| {
            let inside = from <= gap.from && gap.to <= second_after(walk.begun);
            let is_ours = is_of_pages(gap) || gap.reason == GapReason::ShortPage;
            inside && is_ours && !walk.shorts.iter().any(|short| stands_for(gap, short))
        };
        let closed: Vec<_> = self.open_gaps.extract_if(.., |gap| mended(gap)).collect();
        self.short_counts.retain(|gap, _| !closed.contains(gap));
        found.gaps_closed.extend(closed);
    }

    /// Opens a gap for rows that a page lacks, or that spoil it, unless open gaps stand for as many. What was read before is not in it.
    fn open_short_gap(&mut self, short: &Short, read_to: Option<DateTime<Utc>>) -> Option<Gap> {
        let missing = short.missing.saturating_sub(self.explained(short));
        if missing == 0 {
            return None;
        }
        let to = second_after(short.to);
        let covered = read_to.filter(|_| self.cursor.since.is_some_and(|since| since <= short.from));
        let from = covered.map_or(short.from, |read| short.from.max(whole_second(read - OVERLAP)));
        let width = if short.reason == GapReason::Unreadable { WIDTH_MIN } else { TimeDelta::seconds(1) };
        let gap = Gap { from: from.min(to - width), to, reason: short.reason };
        if self.open_gaps.contains(&gap) {
            return None;
        }
        self.open_gaps.push(gap.clone());
        self.short_counts.insert(gap.clone(), missing);
        Some(gap)
    }
}

/// Whether a gap was opened for such rows there.
fn stands_for(gap: &Gap, short: &Short) -> bool {
    let touches = gap.reason == short.reason && short.from <= gap.to && gap.from <= short.to;
    let is_a_rows = is_of_pages(gap) && gap.to - gap.from <= short.to - short.from + WIDER;
    touches && (gap.reason == GapReason::ShortPage || is_a_rows)
}

/// The newest walk is short, so that the next poll is not far.
fn bound(walk: &mut Walk, changed_below: bool) {
    let pages = walk.position.pages();
    if walk.tasks.len() > NEWEST_DETAILS_MAX {
        walk.tasks.truncate(NEWEST_DETAILS_MAX);
        let lowest = walk.tasks.iter().filter_map(|task| task.at).min();
        walk.break_off(lowest.or(Some(walk.begun)));
    } else if !walk.is_listed() && pages >= NEWEST_PAGES_MAX.0 && !walk.reached {
        walk.break_off(walk.lowest);
    } else if walk.reached && changed_below && pages < NEWEST_PAGES_MAX.1 {
        walk.go_on();
    }
}

/// Whether the list is newest first, as everything here relies on.
fn order_of(orders: &Orders) -> (Condition, Option<String>) {
    let times: Vec<_> = orders.page.records.iter().map(|row| row.timestamp).collect();
    let descends = times.windows(2).all(|pair| pair[1] <= pair[0] + ORDER_SLACK);
    let text =
        "pos-kasir GET /orders: expected the newest orders first, found another order: what is new may be missed";
    (Condition::ListUnreliable, (!descends).then(|| text.to_owned()))
}

fn id_hash(id: &str) -> u64 {
    hash(&ContentId::of_bytes(id.as_bytes()))
}
