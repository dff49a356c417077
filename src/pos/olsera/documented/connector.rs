//! How the documented list is read without silent holes.
//!
//! - *Who answers*: the merchant's own id, where it is told, must be the configured one; else nothing is read.
//! - *Newest*, at every poll: the newest 100 rows. The answer is joined to the one before if it holds a row that is
//!   stored, or if the list has fewer than 100 rows. If not, the time between the newest row of before and the oldest
//!   row of now is a proven gap, from the second of the one to the end of the second of the other: both seconds may
//!   hold rows that were never shown.
//! - *Back*: what lies behind the newest rows cannot be asked for as documented. Three undocumented ways are tried once
//!   (`history`); without one, what lies before the first answer is a gap for good.
//! - Gaps are closed by an answer that reaches back over them: because rows vanished, or by such a way.
//!
//! Which rows were there before is known from what is stored, so a restart forgets nothing.

mod back;
mod newest;
mod proof;
mod spoilt;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use chrono::{DateTime, NaiveDate, TimeDelta, Timelike, Utc};

use self::spoilt::Sizes;
use super::{
    cursor::{Cursor, History},
    history::{Probing, Walk},
    pace::Pace,
    parse::{parse_merchant, parse_transactions},
};
use crate::{
    gap::{Gap, GapReason},
    health::Condition,
    pos::{
        body::BodyFault,
        connector::{Begin, Connector, Memory, Step, Terms, Yield},
        http::{Answer, Failure},
        olsera::{
            NO_REFUNDS,
            requests::{LIMIT_ROWS, Part, ask_merchant, ask_transactions},
        },
        page::{Page, ParseContext},
    },
    progress::Progress,
    secret::Secret,
};

/// A merchant that is not the configured one is asked again after this long.
const UNFIT_WAIT: TimeDelta = TimeDelta::minutes(5);

/// A clock that is ahead by no more is not distrusted.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// Where there is a way back: how far it is read again, and how often. So often, too, open gaps are asked for, and
/// stored rows that should stand in the list are looked for.
const RECENT: (TimeDelta, TimeDelta) = (TimeDelta::hours(48), TimeDelta::hours(1));

/// Names of unknown fields that are remembered.
const UNKNOWN_FIELDS_MAX: usize = 32;

const OLDEST_FIRST: &str = "the list shows the oldest sales first and is full: new sales are not seen";

/// A source that gave no way back may give one after its next release.
const PROBE_AGAIN: TimeDelta = TimeDelta::days(1);

/// What was asked last, and when.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Merchant,
    Newest(DateTime<Utc>),
    Probe,
    Walk,
}

/// The connector for one merchant.
pub struct Documented {
    key: Secret,
    merchant_id: String,
    context: ParseContext,
    memory: Arc<dyn Memory>,
    cursor: Cursor,
    open_gaps: Vec<Gap>,
    /// Who answers, once that is known to be right.
    identity: Option<String>,
    merchant_due: DateTime<Utc>,
    asked: Option<Asked>,
    due: DateTime<Utc>,
    pace: Pace,
    joined: bool,
    unreliable: bool,
    stale: u32,
    /// The rows of the last good answer, and when it was asked for.
    shown: (HashSet<String>, DateTime<Utc>),
    probing: Option<Probing>,
    walk: Option<Walk>,
    /// Times that a walk was lost in a row.
    lost: u32,
    walk_due: DateTime<Utc>,
    /// When a way back that was not found is looked for again, while something is missing.
    probe_due: DateTime<Utc>,
    recent_read: Option<DateTime<Utc>>,
    nightly_read: NaiveDate,
    /// Stored rows that were missing from a list that should show them: since when, and their times.
    missing: BTreeMap<String, (DateTime<Utc>, DateTime<Utc>)>,
    look_due: DateTime<Utc>,
    /// Answers in a row that broke off: to the newest rows, and of a walk.
    broken: [u32; 2],
    pages: Sizes,
    unknown_fields: BTreeSet<String>,
}

impl Documented {
    /// A connector that goes on from where the last one stopped.
    #[must_use]
    pub fn new(terms: Terms, begin: Begin, merchant_id: &str) -> Self {
        let Terms { context, poll_every, backfill } = terms;
        let Begin { secret: key, cursor: stored, gaps: open_gaps, memory, now } = begin;
        let stored: Option<Cursor> = stored.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        // One that begins in the future is of a clock that was far ahead.
        let stored = stored.filter(|cursor| cursor.target <= now);
        let mut cursor = stored.unwrap_or_else(|| Cursor::beginning(whole_second(now - backfill)));
        cursor.distrust_the_future(whole_second(now), AHEAD);
        let nightly_read = context.outlet_zone.local(now).date_naive();
        Self {
            key,
            merchant_id: merchant_id.to_owned(),
            context,
            memory,
            cursor,
            open_gaps,
            identity: None,
            merchant_due: now,
            asked: None,
            due: now,
            pace: Pace::new(poll_every),
            joined: false,
            unreliable: false,
            stale: 0,
            shown: (HashSet::new(), now),
            probing: None,
            walk: None,
            lost: 0,
            walk_due: now,
            probe_due: now + PROBE_AGAIN,
            recent_read: None,
            nightly_read,
            missing: BTreeMap::new(),
            look_due: now,
            broken: [0; 2],
            pages: Sizes::default(),
            unknown_fields: BTreeSet::new(),
        }
    }

    fn take_merchant(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        let merchant = parse_merchant(&answer.body)?;
        let is_other = merchant.id.is_some_and(|id| id.trim() != self.merchant_id.trim());
        let text = is_other.then(|| {
            format!(
                "olsera GET /merchant/info: expected merchant `{}`, found another; nothing is read; correct \
                 merchant-id or api-key",
                self.merchant_id
            )
        });
        if is_other {
            self.merchant_due = now + UNFIT_WAIT;
        } else {
            self.identity = Some(merchant.name.unwrap_or_else(|| format!("merchant {}", self.merchant_id)));
        }
        Ok(Yield { conditions: vec![(Condition::PosUnfit, text)], ..Yield::default() })
    }

    fn parse(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Page, BodyFault> {
        self.context.observed_at = now;
        let page = parse_transactions(&answer.body, &self.context)?;
        // A bad record is put aside; a list of something else is no answer, and proves nothing.
        if page.is_of_something_else() {
            return Err(BodyFault::NoRecords { key: "data" });
        }
        for field in &page.unknown_fields {
            if self.unknown_fields.len() < UNKNOWN_FIELDS_MAX && self.unknown_fields.insert(field.clone()) {
                let connection = &self.context.connection;
                tracing::info!(connection, field, "olsera: a field that this version does not know");
            }
        }
        Ok(page)
    }
}

impl Connector for Documented {
    fn next(&mut self, now: DateTime<Utc>) -> Step {
        if self.identity.is_none() {
            if now < self.merchant_due {
                return Step::Wait(self.merchant_due);
            }
            self.asked = Some(Asked::Merchant);
            return Step::Ask(ask_merchant(&self.merchant_id, &self.key));
        }
        if now >= self.due {
            self.asked = Some(Asked::Newest(now));
            let rows = self.pages.rows(now);
            return Step::Ask(ask_transactions(Part::Newest, rows, &self.merchant_id, &self.key));
        }
        if let Some(part) = self.probing.as_ref().and_then(Probing::next) {
            self.asked = Some(Asked::Probe);
            return Step::Ask(ask_transactions(part, LIMIT_ROWS, &self.merchant_id, &self.key));
        }
        if self.walk.is_none() {
            self.walk = self.plan_walk(now);
        }
        let Some(walk) = &self.walk else { return Step::Wait(self.due) };
        self.asked = Some(Asked::Walk);
        Step::Ask(ask_transactions(walk.next(), LIMIT_ROWS, &self.merchant_id, &self.key))
    }

    fn take(&mut self, answer: &Answer, now: DateTime<Utc>) -> Result<Yield, String> {
        match self.asked.take() {
            None => Ok(Yield::default()),
            Some(Asked::Merchant) => self.take_merchant(answer, now),
            Some(Asked::Newest(at)) => self.take_newest(at, answer, now),
            Some(Asked::Probe) => self.take_probe(answer, now),
            Some(Asked::Walk) => self.take_walk(answer, now),
        }
    }

    fn failed(&mut self, failure: &Failure, now: DateTime<Utc>) -> Option<Yield> {
        let for_good = matches!(failure, Failure::Unexpected(_) | Failure::TooLarge);
        let counts = for_good || matches!(failure, Failure::Trouble(_) | Failure::TooSlow(_));
        match self.asked.take()? {
            Asked::Newest(_) => {
                self.joined = false;
                let is_large = matches!(failure, Failure::TooLarge | Failure::TooSlow(_));
                return (is_large && self.pages.failed(now)).then(Yield::default);
            }
            Asked::Probe if counts => {
                let answered = self.probing.as_mut().is_some_and(|probing| probing.failed(for_good));
                let gaps_opened = self.probed();
                return answered.then(|| Yield { gaps_opened, ..Yield::default() });
            }
            Asked::Walk if for_good || matches!(failure, Failure::TooSlow(_)) => {
                // So far and no further, today: the newest rows are read all the same.
                (self.walk, self.walk_due) = (None, now + RECENT.1);
                return Some(Yield::default());
            }
            Asked::Merchant | Asked::Probe | Asked::Walk => {}
        }
        None
    }

    fn cursor(&self) -> Vec<u8> {
        serde_json::to_vec(&self.cursor).expect("times and flags are always JSON")
    }

    fn rewind(&mut self, since: DateTime<Utc>) {
        self.cursor.target = self.cursor.target.min(whole_second(since));
        self.cursor.back = true;
        (self.walk, self.asked) = (None, None);
        // The next answer says what of it there is.
        self.due = DateTime::<Utc>::MIN_UTC;
    }

    fn progress(&self) -> Progress {
        let mut notes = vec![NO_REFUNDS.to_owned(), "lines, taxes and payments are not told by this source".to_owned()];
        let behind = match self.cursor.history {
            Some(History::Offset) => "sales behind the newest 100 are read by `offset`, which is not documented",
            Some(History::Page) => "sales behind the newest 100 are read by `page`, which is not documented",
            Some(History::Days) => "sales behind the newest 100 are read by `start_date`, which is not documented",
            Some(History::Closed) | None => {
                "of sales behind the newest 100 neither changes nor late uploads are told by this source"
            }
        };
        notes.push(behind.to_owned());
        let limit = self.cursor.limit;
        notes.extend((limit < LIMIT_ROWS).then(|| format!("the list holds {limit} rows at most, 100 are asked for")));
        notes.extend(self.unreliable.then(|| OLDEST_FIRST.to_owned()));
        notes.extend(self.unknown_fields.iter().map(|field| format!("unknown field {field}")));
        Progress {
            identity: self.identity.clone(),
            // On the way back nothing is joined yet from the target on.
            watermark: if self.cursor.back { Some(self.cursor.target) } else { self.cursor.watermark },
            since: Some(self.cursor.since.filter(|_| !self.cursor.back).unwrap_or(self.cursor.target)),
            complete: self.joined && !self.cursor.back,
            notes,
        }
    }

    fn account(&self) -> Option<Vec<String>> {
        // The key opens this merchant's list alone, and where the source names a merchant it is this one.
        self.identity.as_ref().map(|_| vec![format!("merchant:{}", self.merchant_id.trim())])
    }

    fn covers(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
        let since = self.cursor.since.is_some_and(|since| since <= from);
        since && self.cursor.watermark.is_some_and(|watermark| to <= watermark)
    }

    fn read_at(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.cursor.readings.of(from, to)
    }
}

/// What this list's answers open and close.
fn is_ours(gap: &Gap) -> bool {
    matches!(gap.reason, GapReason::NoOverlap | GapReason::BehindHistory | GapReason::Unreadable)
}

fn yield_of(page: Page) -> Yield {
    Yield { transactions: page.records, quarantined: page.quarantined, ..Yield::default() }
}

fn whole_second(at: DateTime<Utc>) -> DateTime<Utc> {
    at.with_nanosecond(0).unwrap_or(at)
}
