//! Instants as sources write them, and the one text in which this crate writes them.
//!
//! A source's time is kept with the offset it was sent with; a time without one is read in the connection's zone and
//! says so. Nothing is guessed: a form that is not listed at [`SourceTime::parse`] is a fault, not a time.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Offset as _, TimeZone, Timelike as _, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::zone::Zone;

/// The earliest year in which a sale is believed: before it stand the zero values of other systems (`0000-00-00`, Go's
/// `0001-01-01`, Unix's 1970).
const YEAR_MIN: i32 = 2000;

/// What the source wrote and what it means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceTime {
    /// The instant, with the offset as sent or, where none was sent, of the connection's zone.
    #[serde(with = "rfc3339")]
    pub at: DateTime<FixedOffset>,
    /// How finely the source told it.
    pub precision: Precision,
    /// No offset was sent: the connection's zone was taken.
    pub timezone_assumed: bool,
    /// Only a date was sent: `at` is that day's local midnight.
    pub time_of_day_unknown: bool,
    /// The source's text.
    pub raw: String,
}

/// How finely an instant was told. A time without seconds counts as told to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// A date.
    Day,
    /// A time of day without a fraction.
    Second,
    /// A time of day with a fraction, be it zero.
    Subsecond,
}

/// Why a text is not the instant of a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TimeFault {
    /// Another form, or a date or time that does not exist.
    #[error("not a date and time in a known form")]
    Invalid,
    /// A date before the year 2000.
    #[error("before the year {YEAR_MIN}")]
    TooEarly,
}

impl SourceTime {
    /// Reads `YYYY-MM-DD`, or `YYYY-MM-DD[T ]HH:MM[:SS[.f]]` with up to 9 fraction digits and, if it has one, an offset
    /// `Z`, `+07:00` or `+0700`. (RFC 3339 lies within that; it allows `t` and `z` too.) No blanks around it, no leap
    /// second, no `24:00`.
    ///
    /// # Errors
    /// Another form, a day that does not exist, or a year before 2000.
    pub fn parse(text: &str, zone: &Zone) -> Result<Self, TimeFault> {
        let Parts { local, precision, offset } = Parts::read(text).ok_or(TimeFault::Invalid)?;
        if chrono::Datelike::year(&local) < YEAR_MIN {
            return Err(TimeFault::TooEarly);
        }
        let at = match offset {
            Some(offset) => offset.from_local_datetime(&local).single().ok_or(TimeFault::Invalid)?,
            None => zone.instant(local),
        };
        Ok(Self {
            at,
            precision,
            timezone_assumed: offset.is_none(),
            time_of_day_unknown: precision == Precision::Day,
            raw: text.to_owned(),
        })
    }
}

/// An instant as RFC 3339 text with its offset (`Z` for none), fraction only if there is one and without zeros at its
/// end.
#[must_use]
pub fn text(at: DateTime<FixedOffset>) -> String {
    let seconds = at.offset().local_minus_utc();
    if seconds % 60 != 0 {
        // Such an offset (local mean time, long ago) has no RFC 3339 text.
        return text_utc(at.with_timezone(&Utc));
    }
    let mut text = at.format("%Y-%m-%dT%H:%M:%S").to_string();
    let nanoseconds = at.nanosecond() % 1_000_000_000;
    if nanoseconds > 0 {
        text.push_str(format!(".{nanoseconds:09}").trim_end_matches('0'));
    }
    match seconds {
        0 => text.push('Z'),
        _ => text.push_str(&at.offset().to_string()),
    }
    text
}

/// An instant as RFC 3339 text in UTC: equal instants have equal texts.
#[must_use]
pub fn text_utc(at: DateTime<Utc>) -> String {
    text(at.with_timezone(&Utc.fix()))
}

/// Reads RFC 3339 text, as [`text`] writes it.
#[must_use]
pub fn read(text: &str) -> Option<DateTime<FixedOffset>> {
    let parts = Parts::read(text)?;
    parts.offset?.from_local_datetime(&parts.local).single()
}

/// Serde's way through [`text`] and [`read`], for `#[serde(with = …)]`.
pub mod rfc3339 {
    use std::borrow::Cow;

    use chrono::{DateTime, FixedOffset};
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(at: &DateTime<FixedOffset>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::text(*at))
    }

    /// # Errors
    /// The deserializer's, or the text is not RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<FixedOffset>, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        super::read(&text).ok_or_else(|| D::Error::custom("not an RFC 3339 time"))
    }
}

/// [`rfc3339`] for an instant that the source may not tell (`null`).
pub mod rfc3339_option {
    use std::borrow::Cow;

    use chrono::{DateTime, FixedOffset};
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer, de::Error as _};

    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(at: &Option<DateTime<FixedOffset>>, serializer: S) -> Result<S::Ok, S::Error> {
        at.map(super::text).serialize(serializer)
    }

    /// # Errors
    /// The deserializer's, or the text is not RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<FixedOffset>>, D::Error> {
        let Some(text) = Option::<Cow<'de, str>>::deserialize(deserializer)? else { return Ok(None) };
        super::read(&text).map(Some).ok_or_else(|| D::Error::custom("not an RFC 3339 time"))
    }
}

/// [`rfc3339`] for an instant of ours, always in UTC.
pub mod rfc3339_utc {
    use chrono::{DateTime, Utc};
    use serde::{Deserializer, Serializer};

    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::text_utc(*at))
    }

    /// # Errors
    /// The deserializer's, or the text is not RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
        super::rfc3339::deserialize(deserializer).map(|at| at.with_timezone(&Utc))
    }
}

/// A calendar day as `YYYY-MM-DD`, for `#[serde(with = …)]`.
pub mod day {
    use std::borrow::Cow;

    use chrono::NaiveDate;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(day: &NaiveDate, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(day)
    }

    /// # Errors
    /// The deserializer's, or the text is not a day.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NaiveDate, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        super::date(&text).ok_or_else(|| D::Error::custom("not a day such as 2026-03-14"))
    }
}

/// A text taken apart.
struct Parts {
    local: NaiveDateTime,
    precision: Precision,
    offset: Option<FixedOffset>,
}

impl Parts {
    fn read(text: &str) -> Option<Self> {
        let (day, rest) = text.split_at_checked(10)?;
        let day = date(day)?;
        if rest.is_empty() {
            return Some(Self { local: day.and_time(NaiveTime::MIN), precision: Precision::Day, offset: None });
        }
        let rest = rest.strip_prefix(['T', 't', ' '])?;
        let clock_end = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
        let (clock, zone) = rest.split_at(clock_end);
        let offset = if zone.is_empty() { None } else { Some(offset(zone)?) };
        let (time, precision) = time(clock)?;
        Some(Self { local: day.and_time(time), precision, offset })
    }
}

/// `YYYY-MM-DD`
fn date(text: &str) -> Option<NaiveDate> {
    let [year, month, day] = fields(text, '-')?;
    if year.len() != 4 {
        return None;
    }
    NaiveDate::from_ymd_opt(year.parse().ok()?, two(month)?, two(day)?)
}

/// `HH:MM[:SS[.f]]`
fn time(text: &str) -> Option<(NaiveTime, Precision)> {
    let (clock, fraction) = text.split_once('.').map_or((text, None), |(clock, fraction)| (clock, Some(fraction)));
    let (hour, minute, second) = match fields::<3>(clock, ':') {
        Some([hour, minute, second]) => (hour, minute, second),
        None if fraction.is_none() => fields::<2>(clock, ':').map(|[hour, minute]| (hour, minute, "00"))?,
        None => return None,
    };
    let (nanoseconds, precision) = match fraction {
        None => (0, Precision::Second),
        Some(digits) if (1..=9).contains(&digits.len()) && all_digits(digits) => {
            (format!("{digits:0<9}").parse().ok()?, Precision::Subsecond)
        }
        Some(_) => return None,
    };
    let time = NaiveTime::from_hms_nano_opt(two(hour)?, two(minute)?, two(second)?, nanoseconds)?;
    Some((time, precision))
}

/// `Z`, `+07:00` or `+0700`
fn offset(text: &str) -> Option<FixedOffset> {
    if matches!(text, "Z" | "z") {
        return Some(Utc.fix());
    }
    let (sign, rest) = text.split_at_checked(1)?;
    let (hours, rest) = rest.split_at_checked(2)?;
    let minutes = rest.strip_prefix(':').unwrap_or(rest);
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    if minutes > 59 {
        return None;
    }
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    // `east_opt` refuses 24 hours and more.
    FixedOffset::east_opt(if sign == "-" { -seconds } else { seconds })
}

fn fields<const N: usize>(text: &str, separator: char) -> Option<[&str; N]> {
    let mut parts = text.split(separator);
    let mut found = [""; N];
    for place in &mut found {
        *place = parts.next()?;
    }
    (parts.next().is_none() && found.iter().all(|part| all_digits(part))).then_some(found)
}

/// Exactly two digits.
fn two(text: &str) -> Option<u32> {
    if text.len() == 2 && all_digits(text) { text.parse().ok() } else { None }
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn jakarta() -> Zone {
        Zone::load("Asia/Jakarta").unwrap()
    }

    fn read_source(sent: &str) -> Result<String, TimeFault> {
        SourceTime::parse(sent, &jakarta()).map(|t| text(t.at))
    }

    #[test]
    fn the_forms_that_sources_use() {
        for (sent, at) in [
            ("2026-03-14T02:15:00Z", "2026-03-14T02:15:00Z"),
            ("2026-03-14t02:15:00z", "2026-03-14T02:15:00Z"),
            ("2026-03-14T09:15:00+07:00", "2026-03-14T09:15:00+07:00"),
            ("2026-03-14 09:15:00+0700", "2026-03-14T09:15:00+07:00"),
            ("2026-03-14T09:15:00-03:30", "2026-03-14T09:15:00-03:30"),
            ("2026-03-14T09:15:00+00:00", "2026-03-14T09:15:00Z"),
            ("2026-03-14T09:15", "2026-03-14T09:15:00+07:00"),
            ("2026-03-14 09:15:00.120000", "2026-03-14T09:15:00.12+07:00"),
            ("2026-03-14T09:15:00.000000001Z", "2026-03-14T09:15:00.000000001Z"),
            ("2026-03-14", "2026-03-14T00:00:00+07:00"),
            ("2000-01-01", "2000-01-01T00:00:00+07:00"),
            ("9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59-12:00"),
        ] {
            assert_eq!(read_source(sent).as_deref(), Ok(at), "{sent}");
        }
    }

    #[test]
    fn what_was_assumed_is_said() {
        let of = |sent: &str| {
            let time = SourceTime::parse(sent, &jakarta()).unwrap();
            (time.precision, time.timezone_assumed, time.time_of_day_unknown)
        };
        assert_eq!(of("2026-03-14"), (Precision::Day, true, true));
        assert_eq!(of("2026-03-14T09:15"), (Precision::Second, true, false));
        assert_eq!(of("2026-03-14T09:15:00.000Z"), (Precision::Subsecond, false, false));
    }

    #[test]
    fn other_forms_are_no_times() {
        for sent in [
            "",
            " ",
            "2026",
            "2026-3-14",
            "14/03/2026 09:15",
            "2026-02-30T09:15:00",
            "2026-03-14T",
            "2026-03-14T09",
            "2026-03-14T9:15",
            "2026-03-14T09:15:60",
            "2026-03-14T24:00:00",
            "2026-03-14T09:15:00.",
            "2026-03-14T09:15.5",
            "2026-03-14T09:15:00.1234567890",
            "2026-03-14T09:15:00,5",
            "2026-03-14T09:15:00 +07:00",
            "2026-03-14T09:15:00+07",
            "2026-03-14T09:15:00+7:00",
            "2026-03-14T09:15:00+07:60",
            "2026-03-14T09:15:00+24:00",
            "2026-03-14T09:15:00Z ",
            "2026-03-14+07:00",
            "2026-03-14_09:15:00",
            "1773454500",
            "+2026-03-14",
            "2026-03-14T09:15:00+",
            "2026-03-1٤",
        ] {
            assert_eq!(read_source(sent), Err(TimeFault::Invalid), "{sent}");
        }
        for sent in ["1999-12-31", "0001-01-01T00:00:00Z", "1970-01-01 00:00:00"] {
            assert_eq!(read_source(sent), Err(TimeFault::TooEarly), "{sent}");
        }
        assert_eq!(read_source("0000-00-00 00:00:00"), Err(TimeFault::Invalid));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(sent in ".{0,40}", near in "[0-9T:. Z+-]{0,40}") {
            let _ = read_source(&sent);
            let _ = read_source(&near);
        }

        #[test]
        fn a_text_is_read_back_as_the_same_instant(
            seconds in 946_684_800_i64..4_000_000_000,
            nanoseconds in prop_oneof![Just(0_u32), 0_u32..1_000_000_000],
            quarters in -48_i32..=56,
        ) {
            let offset = FixedOffset::east_opt(quarters * 900).unwrap();
            let at = DateTime::from_timestamp(seconds, nanoseconds).unwrap().with_timezone(&offset);
            let again = read(&text(at)).unwrap();
            prop_assert_eq!((again, again.offset()), (at, at.offset()));
        }
    }
}
