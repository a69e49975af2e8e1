//! Time zones: converts between local times and timestamps.

use std::fmt;

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use super::{DAY, Timestamp};

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// A local date and time in an unspecified time zone, as the seconds since 1970-01-01T00:00:00 local time, with
/// 86,400 seconds in every day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(pub i64);

/// A time zone of the IANA database, that of the machine, or one with a fixed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Wall {
    /// Parses `20261120T091500` or `20261120`, the beginning of that day (RFC 5545 §3.3.4, §3.3.5). A leap second
    /// counts as the second before it. `None` if there is no such date or time.
    pub fn parse(text: &str) -> Option<Wall> {
        let (date, time) = text.split_once('T').unwrap_or((text, "000000"));
        let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(date, 8) || !digits(time, 6) {
            return None;
        }
        let small = |text: &str, at: usize| text.get(at..at + 2)?.parse::<i8>().ok();
        let (year, month, day) = (date.get(..4)?.parse().ok()?, small(date, 4)?, small(date, 6)?);
        let (hour, minute, second) = (small(time, 0)?, small(time, 2)?, small(time, 4)?);
        let shown = DateTime::new(year, month, day, hour, minute, second.min(59), 0).ok()?;
        Some(Wall::showing(shown))
    }

    /// The first second of the day.
    pub fn midnight(self) -> Wall {
        Wall(self.0 - self.0.rem_euclid(DAY.cast_signed()))
    }

    /// This local time plus a number of seconds.
    pub fn plus(self, seconds: i64) -> Wall {
        Wall(self.0.saturating_add(seconds))
    }

    /// The same date and time `years` later; 28 February if that year has no 29th.
    pub fn years_later(self, years: i64) -> Option<Wall> {
        let later = self.shown()?.checked_add(jiff::Span::new().try_years(years).ok()?).ok()?;
        Some(Wall::showing(later))
    }

    fn showing(shown: DateTime) -> Wall {
        Wall(shown.duration_since(EPOCH).as_secs())
    }

    fn shown(self) -> Option<DateTime> {
        EPOCH.checked_add(SignedDuration::from_secs(self.0)).ok()
    }
}

impl fmt::Display for Wall {
    /// In the format of [`Wall::parse`]: `20261120T091500`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shown() {
            Some(shown) => write!(formatter, "{}", shown.strftime("%Y%m%dT%H%M%S")),
            None => write!(formatter, "second {}", self.0),
        }
    }
}

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Zone = Zone(TimeZone::UTC);

    /// The machine's time zone; UTC if it is not set.
    pub fn of_machine() -> Zone {
        Zone(TimeZone::system())
    }

    /// A time zone by its IANA name, case-insensitively.
    pub fn named(name: &str) -> Option<Zone> {
        TimeZone::get(name).ok().map(Zone)
    }

    /// A time zone with a fixed offset of `seconds` ahead of UTC. `None` if that is more than a day.
    pub fn ahead(seconds: i32) -> Option<Zone> {
        Offset::from_seconds(seconds).ok().map(|offset| Zone(TimeZone::fixed(offset)))
    }

    /// The timestamp of a local time. An ambiguous time means the first one; a skipped time uses the offset before
    /// the change (RFC 5545 §3.3.5). `None` beyond the year 9999.
    pub fn moment(&self, wall: Wall) -> Option<Timestamp> {
        let moment = self.0.to_ambiguous_timestamp(wall.shown()?).compatible().ok()?;
        Some(Timestamp(moment.as_second()))
    }

    /// The local time at a timestamp. `None` beyond the year 9999.
    pub fn wall(&self, moment: Timestamp) -> Option<Wall> {
        let shown = self.0.to_datetime(jiff::Timestamp::from_second(moment.0).ok()?);
        Some(Wall::showing(shown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(zone: &str, shown: &str, moment: &str) {
        let zone = Zone::named(zone).unwrap();
        let expected = Wall::parse(moment).map(|wall| Timestamp(wall.0));
        assert_eq!(Wall::parse(shown).and_then(|wall| zone.moment(wall)), expected, "{shown}");
    }

    #[test]
    fn a_clock_shows_a_moment() {
        check("Europe/Berlin", "20261120T091500", "20261120T081500");
        check("america/new_york", "20260720", "20260720T040000");
        check("Asia/Kolkata", "20400101T000000", "20391231T183000");
    }

    #[test]
    fn a_time_that_is_skipped_or_shown_twice_is_read_as_before_the_change() {
        check("Europe/Berlin", "20260329T023000", "20260329T013000");
        check("Europe/Berlin", "20261025T023000", "20261025T003000");
    }

    #[test]
    fn a_moment_is_shown_by_a_clock() {
        let zone = Zone::ahead(-3600 * 5).unwrap();
        assert_eq!(zone.wall(Timestamp(0)), Some(Wall(-18_000)));
        assert_eq!(
            Zone::named("Europe/Berlin").unwrap().wall(Timestamp(1_782_864_000)),
            Wall::parse("20260701T020000")
        );
    }

    #[test]
    fn what_is_no_date_or_time_of_day_is_none() {
        let read =
            ["20260230", "2026", "20260101T240000", "20260101T0900", "2026+101", "20260101T09:00"].map(Wall::parse);
        assert_eq!(read, [None; 6]);
        assert_eq!(Wall::parse("20161231T235960"), Wall::parse("20161231T235959"));
        assert_eq!(Wall::parse("20260704T120000").map(Wall::midnight), Wall::parse("20260704"));
    }
}
