//! Durations and sizes with their units, as the config writes them: `15s`, `90d`, `512MiB`.

use std::{ops::RangeInclusive, time::Duration};

/// Milliseconds in each unit of time.
const TIME_UNITS_MS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 24 * 3_600_000)];

/// Bytes in each unit of size. Binary units only: "MB" means two things, and a store's limit must mean one.
const SIZE_UNITS_BYTES: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Reads a duration within bounds.
pub(super) fn duration(text: &str, bounds: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let Some((number, unit)) = split(text) else {
        return Err("is not a duration; write a whole number and ms, s, m, h or d, such as \"15s\"".to_owned());
    };
    let Some((_, unit_ms)) = TIME_UNITS_MS.iter().find(|(name, _)| *name == unit) else {
        return Err(if unit.is_empty() {
            format!("has no unit; write ms, s, m, h or d behind the number, such as \"{number}s\"")
        } else {
            "has an unknown unit; write ms, s, m, h or d behind a whole number, such as \"15s\"".to_owned()
        });
    };
    within(number, *unit_ms, |ms| bounds.contains(&Duration::from_millis(ms)))
        .map(Duration::from_millis)
        .ok_or_else(|| out_of(&duration_text(*bounds.start()), &duration_text(*bounds.end())))
}

/// How long a person may tell the program to be patient.
const PATIENCE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3_600);

/// Reads a duration from the command line, as the config writes them.
///
/// # Errors
/// It is none; what was expected.
pub fn patience(text: &str) -> Result<Duration, String> {
    duration(text, &PATIENCE).map_err(|fault| format!("`{text}` {fault}"))
}

/// Reads a size in bytes within bounds.
pub(super) fn size(text: &str, bounds: &RangeInclusive<u64>) -> Result<u64, String> {
    let Some((number, unit)) = split(text) else {
        return Err("is not a size; write a whole number and KiB, MiB or GiB, such as \"512MiB\"".to_owned());
    };
    let Some((_, unit_bytes)) = SIZE_UNITS_BYTES.iter().find(|(name, _)| *name == unit) else {
        let meant =
            SIZE_UNITS_BYTES.iter().find(|(name, _)| unit.get(..1).is_some_and(|c| name[..1].eq_ignore_ascii_case(c)));
        return Err(match meant {
            Some((name, _)) => {
                format!("has a unit that is not read, only KiB, MiB and GiB are; did you mean \"{number}{name}\"?")
            }
            None => format!(
                "has no unit that is read; write KiB, MiB or GiB behind a whole number, such as \"{number}MiB\""
            ),
        });
    };
    within(number, *unit_bytes, |bytes| bounds.contains(&bytes))
        .ok_or_else(|| out_of(&size_text(*bounds.start()), &size_text(*bounds.end())))
}

/// A duration in the largest unit that shows it exactly.
pub(super) fn duration_text(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (unit, unit_ms) =
        TIME_UNITS_MS.iter().rfind(|(_, unit_ms)| ms > 0 && ms.is_multiple_of(*unit_ms)).unwrap_or(&("s", 1_000));
    format!("{}{unit}", ms / unit_ms)
}

/// A size in the largest unit that shows it exactly.
pub(crate) fn size_text(bytes: u64) -> String {
    let (unit, unit_bytes) = SIZE_UNITS_BYTES
        .iter()
        .rfind(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit))
        .unwrap_or(&(" bytes", 1));
    format!("{}{unit}", bytes / unit_bytes)
}

/// The digits and what follows them; `None` without digits.
fn split(text: &str) -> Option<(&str, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0).then(|| text.split_at(digits))
}

/// The number in the base unit, unless it is out of bounds or of what can be counted.
fn within(number: &str, unit: u64, bounds: impl Fn(u64) -> bool) -> Option<u64> {
    number.parse::<u64>().ok()?.checked_mul(unit).filter(|value| bounds(*value))
}

fn out_of(least: &str, most: &str) -> String {
    format!("is out of bounds; expected {least} to {most}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY_TIME: RangeInclusive<Duration> = Duration::ZERO..=Duration::MAX;

    #[test]
    fn durations_in_every_unit() {
        for (text, ms) in
            [("500ms", 500), ("15s", 15_000), ("2m", 120_000), ("1h", 3_600_000), ("90d", 7_776_000_000), ("0d", 0)]
        {
            assert_eq!(duration(text, &ANY_TIME), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in
            ["", "s", "-1s", "1.5h", "15 s", "15S", "1h30m", "15", "99999999999999999999s", "213503982335d", "１s"]
        {
            assert!(duration(text, &ANY_TIME).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_in_binary_units_only() {
        for (text, bytes) in [("4KiB", 4_096), ("512MiB", 536_870_912), ("1GiB", 1_073_741_824)] {
            assert_eq!(size(text, &(0..=u64::MAX)), Ok(bytes), "{text}");
        }
        for text in ["", "512", "512B", "MiB", "17179869184GiB", "1.5GiB", "5ßiB"] {
            assert!(size(text, &(0..=u64::MAX)).is_err(), "{text}");
        }
        for text in ["512MB", "512M", "512mib"] {
            let message = size(text, &(0..=u64::MAX)).expect_err("not a binary unit");
            assert!(message.ends_with("did you mean \"512MiB\"?"), "{message}");
        }
    }

    #[test]
    fn bounds_belong_to_what_is_allowed_and_are_named() {
        let bounds = Duration::from_secs(1)..=Duration::from_secs(3_600);
        assert!(duration("1s", &bounds).is_ok() && duration("60m", &bounds).is_ok());
        assert_eq!(duration("999ms", &bounds), Err("is out of bounds; expected 1s to 1h".to_owned()));
        assert_eq!(size("1KiB", &(4_096..=8_192)), Err("is out of bounds; expected 4KiB to 8KiB".to_owned()));
    }

    #[test]
    fn the_largest_exact_unit_is_shown() {
        let shown = [(0, "0s"), (1_500, "1500ms"), (90_000, "90s"), (120_000, "2m"), (86_400_000, "1d")];
        for (ms, text) in shown {
            assert_eq!(duration_text(Duration::from_millis(ms)), text);
        }
        for (bytes, text) in
            [(0, "0 bytes"), (1_000, "1000 bytes"), (1 << 20, "1MiB"), (1_536, "1536 bytes"), (3 << 30, "3GiB")]
        {
            assert_eq!(size_text(bytes), text);
        }
    }
}
