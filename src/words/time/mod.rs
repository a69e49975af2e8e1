//! Timestamps and durations, and their formats: HTTP dates, configured durations, human-readable text. The only
//! folder that names the crate `jiff`. It reads no clock: only the shell does, and passes "now" as an argument.

mod zone;

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;

pub use zone::{Wall, Zone};

/// A timestamp in whole seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// A minute in seconds.
pub const MINUTE: u64 = 60;
/// An hour in seconds.
pub const HOUR: u64 = 60 * MINUTE;
/// A day in seconds.
pub const DAY: u64 = 24 * HOUR;

impl Timestamp {
    /// A timestamp from a system clock or file time.
    pub fn from_system(time: SystemTime) -> Timestamp {
        let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Timestamp(i64::try_from(seconds).unwrap_or(i64::MAX))
    }

    /// This timestamp plus a number of seconds.
    pub fn plus(self, seconds: u64) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX)))
    }

    /// Seconds since an earlier timestamp; 0 if that one is later.
    pub fn since(self, earlier: Timestamp) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    /// `2026-11-20 09:15` in the machine's time zone.
    pub fn local(self) -> String {
        self.format("%Y-%m-%d %H:%M", TimeZone::system())
    }

    /// `2026-11-20T09:15:00Z` (RFC 3339).
    pub fn rfc3339(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%SZ", TimeZone::UTC)
    }

    fn format(self, pattern: &str, zone: TimeZone) -> String {
        match jiff::Timestamp::from_second(self.0) {
            Ok(moment) => moment.to_zoned_datetime(zone).strftime(pattern).to_string(),
            Err(_) => format!("second {}", self.0),
        }
    }
}

/// Parses an HTTP date (RFC 9110 §5.6.7; the preferred form, which is also an RFC 2822 date).
pub fn parse_http_date(text: &str) -> Option<Timestamp> {
    let moment = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text.trim()).ok()?;
    Some(Timestamp(moment.as_second()))
}

/// Parses a Retry-After field (RFC 9110 §10.2.3), seconds or a date, as seconds from `now`.
pub fn parse_retry_after(text: &str, now: Timestamp) -> Option<u64> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number {
        return Some(text.parse().unwrap_or(u64::MAX));
    }
    parse_http_date(text).map(|moment| moment.since(now))
}

/// Parses a configured duration in seconds: a number with `s`, `m`, `h`, `d` or `w`, or a bare `0`.
pub fn parse_duration(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().ok()?;
    let factor = match unit.trim() {
        "s" => 1,
        "m" | "min" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        "w" => 7 * DAY,
        "" if number == 0 => 0,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// A human-readable duration: `40 seconds`, `5 minutes`, `3 hours`, `2 days`.
pub fn in_words(seconds: u64) -> String {
    let (number, unit) = match seconds {
        0..=89 => (seconds, "second"),
        90..=5_399 => ((seconds + 30) / MINUTE, "minute"),
        5_400..=172_799 => ((seconds + HOUR / 2) / HOUR, "hour"),
        _ => (seconds.saturating_add(DAY / 2) / DAY, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = parse_http_date("Fri, 20 Nov 2026 09:00:00 GMT").unwrap();
        let read = |text| parse_retry_after(text, now);
        assert_eq!((read("120"), read("99999999999999999999")), (Some(120), Some(u64::MAX)));
        assert_eq!(read("Fri, 20 Nov 2026 09:05:00 GMT"), Some(300));
        assert_eq!((read("Fri, 20 Nov 2020 09:05:00 GMT"), read("soon")), (Some(0), None));
    }

    #[test]
    fn durations_of_the_configuration_have_one_unit() {
        let read = ["90s", "15m", "3h", "2d", "1w", "0", "15", "m", "1h30m", "99999999999999999w"].map(parse_duration);
        let minutes = [Some(90), Some(900), Some(10_800), Some(172_800), Some(604_800), Some(0)];
        assert_eq!((&read[..6], &read[6..]), (&minutes[..], &[None, None, None, None][..]));
    }

    #[test]
    fn spans_read_like_words() {
        let words = [1, 89, 90, 3600, 7200, 172_800].map(in_words);
        assert_eq!(words, ["1 second", "89 seconds", "2 minutes", "60 minutes", "2 hours", "2 days"]);
    }
}
