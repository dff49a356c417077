//! Time zones by their IANA names, read from the system's own database (Debian's `tzdata`), so that a change of the
//! rules reaches the box with the system's updates.

use std::{fmt, path::PathBuf, sync::Arc};

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone as _, Timelike, Utc};
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
    #[error("`{0}` is not an IANA zone name such as Asia/Jakarta")]
    Name(String),
    #[error("{path} cannot be read: {cause}; install Debian's package tzdata or correct the zone's name")]
    Read { path: String, cause: String },
}

impl Zone {
    /// Loads a zone by its IANA name.
    ///
    /// # Errors
    /// The name has another shape than a zone's, or the system does not know it.
    pub fn load(name: &str) -> Result<Self, ZoneError> {
        let plain = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphabetic())
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "_+-".contains(c))
        };
        if name.len() > 64 || !name.split('/').all(plain) {
            return Err(ZoneError::Name(name.to_owned()));
        }
        let path = PathBuf::from(ZONES_DIRECTORY).join(name);
        let read = |cause: String| ZoneError::Read { path: path.display().to_string(), cause };
        let bytes = std::fs::read(&path).map_err(|e| read(e.to_string()))?;
        let rules = tz::TimeZone::from_tz_data(&bytes).map_err(|e| read(e.to_string()))?;
        Ok(Self { name: name.into(), rules: Arc::new(rules) })
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
            (*self.rules).as_ref(),
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
        (self.local(instant).naive_local() - (starts - NaiveTime::MIN)).date()
    }

    /// The instant at which a business day begins.
    #[must_use]
    pub fn day_begins(&self, day: NaiveDate, starts: NaiveTime) -> DateTime<Utc> {
        self.instant(day.and_time(starts)).with_timezone(&Utc)
    }
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
