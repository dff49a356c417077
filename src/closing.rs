//! Closings: per connection and business day, what HQ must have; any day is checked with one comparison.
//!
//! A closing is sent after the day's end, and again whenever late records change it. A day that was not seen whole says
//! so, and so does one to which a record may belong that could not be read: it is incomplete, never wrong. Nor does a
//! person's word make a day complete: what was ended by hand was not proven.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde::Serialize;

use crate::{
    amount::Amount,
    config::Currency,
    content::ContentId,
    event::{Draft, EventType},
    gap::Gap,
    instant,
    outbox::{ClosingDraft, DayTotals},
    transaction::Kind,
    zone::Zone,
};

/// A day is closed this long after its end, so that the last polls of it are in.
pub const GRACE: TimeDelta = TimeDelta::minutes(15);

/// A day that is still incomplete so long after its end is told as it is.
const PATIENCE: TimeDelta = TimeDelta::hours(6);

/// When business days begin, and where.
#[derive(Debug, Clone)]
pub struct Calendar {
    /// The outlet's zone.
    pub zone: Zone,
    /// Local time at which a day begins.
    pub day_starts: NaiveTime,
}

/// What the box knows of one day.
#[derive(Debug)]
pub struct Day<'a> {
    /// The day.
    pub date: NaiveDate,
    /// Its counts and sums.
    pub totals: &'a DayTotals,
    /// Everything of it was read at least once.
    pub covered: bool,
    /// Records that are put aside and belong, or may belong, to it.
    pub quarantined: u64,
    /// Those of them that a person dismissed, which are not in `quarantined`.
    pub dismissed: u64,
    /// Gaps in it that a person closed, and nothing has proven since.
    pub gaps_closed_by_hand: u64,
    /// When it was last read by a reading of the whole, where that is known.
    pub read_at: Option<DateTime<Utc>>,
    /// No re-reading looks at it any more.
    pub is_final: bool,
    /// The digest of the closing that was sent last.
    pub last: Option<&'a [u8]>,
}

#[derive(Serialize)]
struct Data<'a> {
    schema: &'static str,
    connection: &'a str,
    #[serde(with = "instant::day")]
    business_date: NaiveDate,
    complete: bool,
    quarantined: u64,
    // Left out where there is none: of days without a person's word the closings are no news.
    #[serde(skip_serializing_if = "is_none")]
    dismissed: u64,
    #[serde(skip_serializing_if = "is_none")]
    gaps_closed_by_hand: u64,
    #[serde(rename = "final")]
    is_final: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_at: Option<String>,
    totals: Vec<Line>,
    records: u64,
    first_sequence: u64,
    last_sequence: u64,
    open_gaps: Vec<&'a Gap>,
    digest: ContentId,
}

#[derive(Serialize)]
struct Line {
    kind: Kind,
    currency: Currency,
    count: u64,
    sum: Option<Amount>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Calendar {
    /// The interval of a business day: begin, and end which belongs to the next.
    #[must_use]
    pub fn bounds(&self, day: NaiveDate) -> (DateTime<Utc>, DateTime<Utc>) {
        let next = day.succ_opt().unwrap_or(day);
        (self.zone.day_begins(day, self.day_starts), self.zone.day_begins(next, self.day_starts))
    }

    /// The business day of an instant.
    #[must_use]
    pub fn day_of(&self, at: DateTime<Utc>) -> NaiveDate {
        self.zone.business_date(at, self.day_starts)
    }
}

impl Day<'_> {
    /// Whether everything of the day was read, and proven; what was read may still be put aside.
    #[must_use]
    pub fn is_whole(&self, calendar: &Calendar, gaps: &[Gap]) -> bool {
        self.covered && self.gaps(calendar, gaps).next().is_none()
    }

    fn gaps<'g>(&self, calendar: &Calendar, gaps: &'g [Gap]) -> impl Iterator<Item = &'g Gap> {
        let (begin, end) = calendar.bounds(self.date);
        gaps.iter().filter(move |gap| gap.from < end && gap.to > begin)
    }
}

/// The closing to send for a day now, if there is one to send.
#[must_use]
pub fn closing(
    connection: &str,
    calendar: &Calendar,
    day: &Day<'_>,
    gaps: &[Gap],
    now: DateTime<Utc>,
) -> Option<ClosingDraft> {
    let open_gaps: Vec<&Gap> = day.gaps(calendar, gaps).collect();
    let is_whole = day.is_whole(calendar, gaps);
    let (_, end) = calendar.bounds(day.date);
    let due = end + if is_whole || day.last.is_some() { GRACE } else { PATIENCE };
    if now < due {
        return None;
    }
    let totals = by_kind(&day.totals.sums);
    let mut data = Data {
        schema: "tillbox.closing.v1",
        connection,
        business_date: day.date,
        complete: is_whole && day.quarantined == 0 && day.dismissed == 0 && day.gaps_closed_by_hand == 0,
        quarantined: day.quarantined,
        dismissed: day.dismissed,
        gaps_closed_by_hand: day.gaps_closed_by_hand,
        is_final: day.is_final,
        read_at: None,
        records: totals.iter().map(|line| line.count).sum(),
        totals,
        first_sequence: day.totals.sequences.0,
        last_sequence: day.totals.sequences.1,
        open_gaps,
        digest: ContentId(day.totals.digest),
    };
    // That it was read again and found the same is no news.
    let digest = ContentId::of_json(&serde_json::to_value(&data).unwrap_or_default());
    if day.last == Some(&digest.0) {
        return None;
    }
    data.read_at = day.read_at.map(instant::text_utc);
    let value = serde_json::to_value(&data).unwrap_or_default();
    let draft = Draft {
        event_type: EventType::Closing,
        connection: Some(connection.to_owned()),
        subject: format!("closing/{}", day.date),
        time: instant::text_utc(now),
        content: ContentId::of_json(&value),
        data: value.to_string(),
    };
    Some(ClosingDraft { day: day.date, digest: digest.0.to_vec(), draft })
}

fn by_kind(sums: &BTreeMap<(Kind, Currency), (u64, Option<Amount>)>) -> Vec<Line> {
    let line = |(&(kind, currency), &(count, sum)): (&(Kind, Currency), &(u64, Option<Amount>))| Line {
        kind,
        currency,
        count,
        sum,
    };
    sums.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;
    use serde_json::Value;

    use super::*;

    fn calendar() -> Calendar {
        Calendar { zone: Zone::load("Asia/Jakarta").unwrap(), day_starts: NaiveTime::from_hms_opt(4, 0, 0).unwrap() }
    }

    fn told(day: &Day<'_>, hours_after: i64) -> Option<(Value, Vec<u8>)> {
        let (_, end) = calendar().bounds(day.date);
        let closing = closing("front", &calendar(), day, &[], end + TimeDelta::hours(hours_after))?;
        assert_eq!(closing.draft.content, ContentId::of_json(&serde_json::from_str(&closing.draft.data).unwrap()));
        Some((serde_json::from_str(&closing.draft.data).unwrap(), closing.digest))
    }

    #[test]
    fn what_is_put_aside_makes_a_day_incomplete_at_once() {
        let totals = DayTotals { sums: BTreeMap::new(), sequences: (0, 0), digest: [0; 32] };
        let date = NaiveDate::from_ymd_opt(2026, 3, 14).unwrap();
        let day = |quarantined| Day {
            date,
            totals: &totals,
            covered: true,
            quarantined,
            dismissed: 0,
            gaps_closed_by_hand: 0,
            read_at: None,
            is_final: false,
            last: None,
        };
        let (one, _) = told(&day(1), 1).unwrap();
        assert_eq!((&one["complete"], &one["quarantined"]), (&false.into(), &1.into()));
        let (none, _) = told(&day(0), 1).unwrap();
        assert_eq!((&none["complete"], &none["quarantined"]), (&true.into(), &0.into()));
        // What was not read whole is waited for.
        assert!(told(&Day { covered: false, ..day(1) }, 1).is_none());
    }

    #[test]
    fn what_a_person_ended_never_makes_a_day_complete() {
        let totals = DayTotals { sums: BTreeMap::new(), sequences: (0, 0), digest: [0; 32] };
        let day = |dismissed, gaps_closed_by_hand| Day {
            date: NaiveDate::from_ymd_opt(2026, 3, 14).unwrap(),
            totals: &totals,
            covered: true,
            quarantined: 0,
            dismissed,
            gaps_closed_by_hand,
            read_at: None,
            is_final: false,
            last: None,
        };
        // Nothing is waited for any more, and why it is not complete stands in it.
        let (dismissed, _) = told(&day(2, 0), 1).unwrap();
        assert_eq!((&dismissed["complete"], &dismissed["dismissed"]), (&false.into(), &2.into()));
        let (closed, _) = told(&day(0, 1), 1).unwrap();
        assert_eq!((&closed["complete"], &closed["gaps_closed_by_hand"]), (&false.into(), &1.into()));
        let (plain, _) = told(&day(0, 0), 1).unwrap();
        assert_eq!((plain.get("dismissed"), plain.get("gaps_closed_by_hand")), (None, None), "no news for old days");
    }

    #[test]
    fn another_reading_that_finds_the_same_is_no_news_and_the_last_one_is() {
        let totals = DayTotals { sums: BTreeMap::new(), sequences: (0, 0), digest: [0; 32] };
        let read_at = Utc.with_ymd_and_hms(2026, 3, 15, 1, 0, 0).unwrap();
        let date = NaiveDate::from_ymd_opt(2026, 3, 14).unwrap();
        let day = Day {
            date,
            totals: &totals,
            covered: true,
            quarantined: 0,
            dismissed: 0,
            gaps_closed_by_hand: 0,
            read_at: Some(read_at),
            is_final: false,
            last: None,
        };
        let (first, digest) = told(&day, 1).unwrap();
        assert_eq!((&first["read_at"], &first["final"]), (&"2026-03-15T01:00:00Z".into(), &false.into()));
        let again = Day { read_at: Some(read_at + TimeDelta::days(1)), last: Some(&digest), ..day };
        assert!(told(&again, 30).is_none());
        let (last, _) = told(&Day { is_final: true, ..again }, 30).unwrap();
        assert_eq!((&last["read_at"], &last["final"]), (&"2026-03-16T01:00:00Z".into(), &true.into()));
    }
}
