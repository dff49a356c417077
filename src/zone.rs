//! Time zones by their IANA names, read from the system's own database (Debian's `tzdata`), so that a change of the
//! rules reaches the box with the system's updates.

use std::{fmt, path::PathBuf, sync::Arc};

use chrono::{
    DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone as _, Timelike, Utc,
};
use thiserror::Error;

/// Where Debian keeps the compiled zones.
pub const ZONES_DIRECTORY: &str = "/usr/share/zoneinfo";

/// A time zone such as `Asia/Jakarta`.
#[derive(Clone)]
pub struct Zone {
    name: Arc<str>,
    rules: Arc<tz::TimeZone>,
}

/// Why a zone cannot be had.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ZoneError {
    /// It has another shape than a zone's name.
    #[error("`{0}` is no IANA zone name; expected one such as Asia/Jakarta")]
    Name(String),
    /// The system's database does not have it.
    #[error("{path} cannot be read: {cause}; install Debian's package tzdata or correct the zone's name")]
    Read {
        /// The zone's file.
        path: String,
        /// What the system said.
        cause: String,
    },
}

/// No zone's name is as long.
const LONGEST_NAME_CHARS: usize = 64;
/// The year 2100.
const FAR_AHEAD_UNIX_SECONDS: i64 = 4_102_444_800;

/// Copies of the zones by other names, and what is no place's time: other systems know none of these.
const NOT_IANA: [&str; 6] = ["posix", "right", "posixrules", "localtime", "leapseconds", "Factory"];

impl Zone {
    /// Loads a zone by its IANA name.
    ///
    /// # Errors
    /// The name has another shape than a zone's, or the system does not know it.
    pub fn load(name: &str) -> Result<Self, ZoneError> {
        if !is_iana_name(name) {
            return Err(ZoneError::Name(name.to_owned()));
        }
        let path = PathBuf::from(ZONES_DIRECTORY).join(name);
        let read = |cause: String| ZoneError::Read { path: path.display().to_string(), cause };
        let bytes = std::fs::read(&path).map_err(|e| read(e.to_string()))?;
        let rules = tz::TimeZone::from_tz_data(&bytes).map_err(|e| read(e.to_string()))?;
        // Without a rule for the times to come, every sale after the last change would silently count as UTC.
        if rules.as_ref().find_local_time_type(FAR_AHEAD_UNIX_SECONDS).is_err() {
            return Err(read("it has no rule for the times to come".to_owned()));
        }
        Ok(Self { name: name.into(), rules: Arc::new(rules) })
    }

    /// The names of all zones that the system has, sorted; none if its database is missing.
    #[must_use]
    pub fn names() -> Vec<String> {
        let mut names = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(PathBuf::from(ZONES_DIRECTORY).join(&folder));
            for entry in entries.into_iter().flatten().flatten() {
                let name = format!("{folder}{}", entry.file_name().to_string_lossy());
                // A link to a folder could lead round in a circle, so links count as zones only.
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() && is_iana_name(&name) => folders.push(name + "/"),
                    Ok(_) if is_iana_name(&name) => names.push(name),
                    _ => {}
                }
            }
        }
        names.sort();
        names
    }

    /// The IANA name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The instant in this zone's local time.
    #[must_use]
    pub fn local(&self, instant: DateTime<Utc>) -> DateTime<FixedOffset> {
        let seconds = self.rules.find_local_time_type(instant.timestamp()).map_or(0, tz::LocalTimeType::ut_offset);
        instant.with_timezone(&FixedOffset::east_opt(seconds).unwrap_or(Utc.fix()))
    }

    /// The instant that a local clock shows; of two (clocks set back) the earlier one, and of none (clocks set
    /// forward) the one that the clock would have shown had it not been set.
    #[must_use]
    pub fn instant(&self, local: NaiveDateTime) -> DateTime<FixedOffset> {
        let part = |n: u32| u8::try_from(n).unwrap_or_default();
        let found = tz::DateTime::find(
            local.year(),
            part(local.month()),
            part(local.day()),
            part(local.hour()),
            part(local.minute()),
            part(local.second()),
            0,
            tz::TimeZone::as_ref(&self.rules),
        );
        let offset = found
            .ok()
            .and_then(|list| list.earliest())
            .and_then(|at| FixedOffset::east_opt(at.local_time_type().ut_offset()))
            .unwrap_or_else(|| *self.local(Utc.from_utc_datetime(&local)).offset());
        offset.from_local_datetime(&local).single().unwrap_or_else(|| Utc.from_utc_datetime(&local).into())
    }

    /// The business day to which an instant belongs: days begin at `starts`, local time.
    #[must_use]
    pub fn business_date(&self, instant: DateTime<Utc>, starts: NaiveTime) -> NaiveDate {
        let local = self.local(instant).naive_local();
        local.checked_sub_signed(starts - NaiveTime::MIN).unwrap_or(local).date()
    }

    /// The instant at which a business day begins.
    #[must_use]
    pub fn day_begins(&self, day: NaiveDate, starts: NaiveTime) -> DateTime<Utc> {
        self.instant(day.and_time(starts)).with_timezone(&Utc)
    }
}

fn is_iana_name(name: &str) -> bool {
    let plain = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "_+-".contains(c))
    };
    let first = name.split('/').next().unwrap_or_default();
    name.len() <= LONGEST_NAME_CHARS && name.split('/').all(plain) && !NOT_IANA.contains(&first)
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::load(name).expect("a zone of the system's database")
    }

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().expect("an instant")
    }

    fn wall(text: &str) -> NaiveDateTime {
        text.parse().expect("a local time")
    }

    #[test]
    fn jakarta_is_seven_hours_ahead() {
        let jakarta = zone("Asia/Jakarta");
        assert_eq!(jakarta.local(utc("2026-03-01T18:30:00Z")).to_rfc3339(), "2026-03-02T01:30:00+07:00");
        assert_eq!(jakarta.instant(wall("2026-03-02T01:30:00")).to_rfc3339(), "2026-03-02T01:30:00+07:00");
        assert_eq!(jakarta.local(utc("2090-07-01T00:00:00Z")).to_rfc3339(), "2090-07-01T07:00:00+07:00");
        assert_eq!((jakarta.name(), format!("{jakarta:?}").as_str()), ("Asia/Jakarta", "Asia/Jakarta"));
    }

    #[test]
    fn of_two_instants_the_earlier_one_is_meant() {
        // Clocks went back from 03:00 to 02:00.
        let berlin = zone("Europe/Berlin");
        assert_eq!(berlin.instant(wall("2025-10-26T02:30:00")).to_rfc3339(), "2025-10-26T02:30:00+02:00");
        assert_eq!(berlin.instant(wall("2025-10-26T03:00:00")).to_rfc3339(), "2025-10-26T03:00:00+01:00");
        assert_eq!(berlin.local(utc("2025-10-26T01:30:00Z")).to_rfc3339(), "2025-10-26T02:30:00+01:00");
    }

    #[test]
    fn a_skipped_time_is_read_as_if_the_clock_had_not_been_set() {
        // Clocks went forward from 02:00 to 03:00; 02:30 by the old time was 03:30 by the new.
        let berlin = zone("Europe/Berlin");
        let instant = berlin.instant(wall("2025-03-30T02:30:00"));
        assert_eq!(instant.with_timezone(&Utc), utc("2025-03-30T01:30:00Z"));
        assert_eq!(berlin.local(instant.with_timezone(&Utc)).to_rfc3339(), "2025-03-30T03:30:00+02:00");
        // The same beyond the table's end, where only the rule speaks.
        let instant = berlin.instant(wall("2060-03-28T02:30:00"));
        assert_eq!(instant.with_timezone(&Utc), utc("2060-03-28T01:30:00Z"));
    }

    #[test]
    fn the_business_day_turns_at_its_start() {
        let jakarta = zone("Asia/Jakarta");
        let starts = NaiveTime::from_hms_opt(4, 0, 0).expect("a time");
        let day = |text| jakarta.business_date(utc(text), starts).to_string();
        assert_eq!(day("2026-03-01T20:59:59Z"), "2026-03-01"); // 03:59:59 on the 2nd
        assert_eq!(day("2026-03-01T21:00:00Z"), "2026-03-02"); // 04:00:00 on the 2nd
        let second = NaiveDate::from_ymd_opt(2026, 3, 2).expect("a date");
        assert_eq!(jakarta.day_begins(second, starts), utc("2026-03-01T21:00:00Z"));
        assert_eq!(jakarta.business_date(jakarta.day_begins(second, starts), starts), second);
    }

    #[test]
    fn a_day_whose_start_the_clocks_skipped_begins_when_they_had_been_set() {
        // In Santiago midnight of 2025-09-07 was skipped: the clocks went from 00:00 to 01:00.
        let santiago = zone("America/Santiago");
        let day = NaiveDate::from_ymd_opt(2025, 9, 7).expect("a date");
        assert_eq!(santiago.day_begins(day, NaiveTime::MIN), utc("2025-09-07T04:00:00Z"));
    }

    #[test]
    fn the_ends_of_time_do_no_harm() {
        let jakarta = zone("Asia/Jakarta");
        for instant in [utc("0000-01-01T00:00:00Z"), utc("9999-12-31T23:59:59Z")] {
            let _ = jakarta.business_date(instant, NaiveTime::MIN);
            let _ = jakarta.instant(instant.naive_utc());
        }
    }

    #[test]
    fn only_names_that_others_know_are_taken() {
        for name in ["", "/", "Asia", "Asia/", "../etc/passwd", "Asia/../UTC", "posix/UTC", "localtime", "Asia/Jakrta"]
        {
            assert!(Zone::load(name).is_err(), "{name}");
        }
    }

    #[test]
    fn every_listed_zone_loads() {
        let names = Zone::names();
        assert!(names.is_sorted() && names.len() > 300 && names.iter().any(|name| name == "Asia/Jakarta"));
        for name in &names {
            zone(name);
        }
    }
}
