//! The time zone of a TZID: from the IANA database, from a VTIMEZONE of the resource (Windows names, zones of
//! Exchange), or unknown.

use std::collections::HashMap;

use super::super::line::own;
use super::super::line::{ContentLine, Name};
use super::super::property::from_text;
use super::recurrence::Rule;
use crate::words::time::{DAY, Timestamp, Wall, Zone};

/// The offset furthest ahead of UTC, so that times in an unknown zone are rather too early.
const FURTHEST_AHEAD: i32 = 14 * 3600;
const YEAR: i64 = 366 * DAY.cast_signed();

/// Converts between local times and timestamps.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::ics) enum Clock<'z> {
    Zone(Zone),
    Defined(&'z [Observance]),
}

/// The time zones of a resource.
#[derive(Debug)]
pub(in crate::ics) struct Zones<'m> {
    machine: &'m Zone,
    defined: HashMap<String, Vec<Observance>>,
}

/// One STANDARD or DAYLIGHT of a VTIMEZONE (RFC 5545 §3.6.5).
#[derive(Debug, Clone, PartialEq)]
pub(in crate::ics) struct Observance {
    /// DTSTART, in local time before the change.
    start: Wall,
    /// Offset from UTC before the change, in seconds.
    from: i64,
    /// Offset from UTC after the change, in seconds.
    to: i64,
    rule: Option<Rule>,
    additions: Vec<Wall>,
}

impl<'m> Zones<'m> {
    /// `definitions` are the lines of the VTIMEZONEs; `machine` is for values without a time zone.
    pub(in crate::ics) fn new<'a, L: AsRef<[ContentLine<'a>]>>(
        definitions: impl Iterator<Item = L>,
        machine: &'m Zone,
    ) -> Zones<'m> {
        let mut defined = HashMap::new();
        for lines in definitions {
            let lines = lines.as_ref();
            let name = own(lines, Name::Tzid).map(|entry| from_text(&String::from_utf8_lossy(entry.value())));
            let observances = observances(lines);
            if let Some(name) = name.filter(|_| !observances.is_empty()) {
                defined.insert(name, observances);
            }
        }
        Zones { machine, defined }
    }

    /// The clock for values without a time zone, and for days.
    pub(in crate::ics) fn floating(&self) -> Clock<'_> {
        Clock::Zone(self.machine.clone())
    }

    /// The clock of a TZID; an unknown one is furthest ahead of UTC.
    pub(in crate::ics) fn clock(&self, name: &str) -> Clock<'_> {
        let ahead = || Clock::Zone(Zone::ahead(FURTHEST_AHEAD).unwrap_or(Zone::UTC));
        self.known(name).unwrap_or_else(ahead)
    }

    /// The same, or `None` if unknown. IANA names take precedence over the feed's definitions, which are less
    /// reliable.
    pub(in crate::ics) fn known(&self, name: &str) -> Option<Clock<'_>> {
        if let Some(zone) = Zone::named(name) {
            return Some(Clock::Zone(zone));
        }
        if let Some(observances) = self.defined.get(name) {
            return Some(Clock::Defined(observances));
        }
        // `/freeassociation.sourceforge.net/Europe/Berlin`
        let tails = name.match_indices('/').filter_map(|(slash, _)| name.get(slash + 1..));
        tails.filter(|tail| tail.contains('/')).find_map(Zone::named).map(Clock::Zone)
    }
}

impl Clock<'_> {
    /// The timestamp of a local time, as in [`Zone::moment`].
    pub(in crate::ics) fn moment(&self, wall: Wall) -> Option<Timestamp> {
        let observances = match self {
            Clock::Zone(zone) => return zone.moment(wall),
            Clock::Defined(observances) => observances,
        };
        let onsets = observances.iter().filter_map(|observance| Some((observance.onset(wall)?, observance)));
        let offset = match onsets.max_by_key(|(onset, _)| *onset) {
            // A skipped hour uses the offset before the change.
            Some((onset, observance)) if wall < onset.plus(observance.to - observance.from) => observance.from,
            Some((_, observance)) => observance.to,
            None => observances.iter().min_by_key(|observance| observance.start)?.from,
        };
        Some(Timestamp(wall.0.checked_sub(offset)?))
    }

    /// The local time at a timestamp.
    pub(in crate::ics) fn wall(&self, moment: Timestamp) -> Option<Wall> {
        let observances = match self {
            Clock::Zone(zone) => return zone.wall(moment),
            Clock::Defined(observances) => observances,
        };
        let onsets = observances.iter().filter_map(|observance| {
            let onset = observance.onset(Wall(moment.0.checked_add(observance.from)?))?;
            Some((onset.plus(-observance.from), observance.to))
        });
        let before = || observances.iter().min_by_key(|observance| observance.start).map(|first| first.from);
        let offset = onsets.max_by_key(|(onset, _)| *onset).map(|(_, to)| to).or_else(before)?;
        Some(Wall(moment.0.checked_add(offset)?))
    }
}

impl Observance {
    fn read(lines: &[ContentLine<'_>]) -> Option<Observance> {
        let value = |name| own(lines, name).map(|entry| String::from_utf8_lossy(entry.value()).trim().to_owned());
        let offset = |name: &[u8]| {
            let entry = lines.iter().find(|entry| entry.name_text().eq_ignore_ascii_case(name))?;
            offset_of(String::from_utf8_lossy(entry.value()).trim())
        };
        let walls = |entry: &ContentLine<'_>| {
            let text = String::from_utf8_lossy(entry.value()).into_owned();
            text.split(',').filter_map(|wall| Wall::parse(wall.trim())).collect::<Vec<_>>()
        };
        Some(Observance {
            start: Wall::parse(&value(Name::Dtstart)?)?,
            from: offset(b"TZOFFSETFROM")?,
            to: offset(b"TZOFFSETTO")?,
            rule: value(Name::Rrule).and_then(|rule| Rule::parse(&rule)),
            additions: lines.iter().filter(|entry| entry.name == Name::Rdate).flat_map(walls).collect(),
        })
    }

    /// Its last onset at or before `by`; both in local time before the change.
    fn onset(&self, by: Wall) -> Option<Wall> {
        let all = self.additions.iter().copied().chain([self.start]).chain(self.latest_by_rule(by));
        all.filter(|onset| *onset <= by).max()
    }

    fn latest_by_rule(&self, by: Wall) -> Option<Wall> {
        let rule = self.rule.as_ref().filter(|_| by > self.start)?;
        let until = rule.until.as_deref().and_then(|until| self.until(until));
        let end = until.map_or(by, |until| until.min(by));
        // Windows zones begin in 1601; avoid expanding all the years in between.
        let years = end.0.saturating_sub(self.start.0) / YEAR - 1;
        let first = Some(self.start).filter(|_| years < 1 || !rule.is_plainly_yearly());
        let first = first.or_else(|| self.start.years_later(years)).unwrap_or(self.start);
        rule.series(first, Some(end))?.last()
    }

    /// UNTIL of a time zone is in UTC (RFC 5545 §3.3.10).
    fn until(&self, text: &str) -> Option<Wall> {
        let wall = Wall::parse(text.trim_end_matches('Z'))?;
        Some(if text.ends_with('Z') { wall.plus(self.from) } else { wall })
    }
}

/// The valid STANDARD and DAYLIGHT sub-components.
fn observances(zone: &[ContentLine<'_>]) -> Vec<Observance> {
    let begins = zone.iter().enumerate().skip(1).filter(|(_, entry)| entry.name == Name::Begin).map(|(place, _)| place);
    let read = |begin: usize| {
        let rest = zone.get(begin..)?;
        let end = rest.iter().position(|entry| entry.name == Name::End)?;
        Observance::read(rest.get(..=end)?)
    };
    begins.filter_map(read).collect()
}

/// Parses a UTC-OFFSET in seconds (RFC 5545 §3.3.14): `-0500`, `+053020`.
fn offset_of(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("-", digits) => (-1, digits),
        ("+", digits) => (1, digits),
        _ => (1, text),
    };
    let pair = |at: usize| digits.get(at..at + 2).and_then(|pair| pair.parse::<i64>().ok());
    let seconds = if digits.len() > 4 { pair(4)? } else { 0 };
    Some(sign * (pair(0)? * 3600 + pair(2)? * 60 + seconds))
}

#[cfg(test)]
mod tests {
    use super::super::super::line::entries;
    use super::*;

    const WINDOWS: &str = "BEGIN:VTIMEZONE\nTZID:W. Europe Standard Time\nBEGIN:STANDARD\nDTSTART:16010101T030000\n\
        TZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nRRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10\nEND:STANDARD\n\
        BEGIN:DAYLIGHT\nDTSTART:16010101T020000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\n\
        RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3\nEND:DAYLIGHT\nEND:VTIMEZONE\n";

    /// Checks the conversion of a local time to a timestamp and back.
    fn check(definition: &str, name: &str, shown: &str, moment: &str) {
        let machine = Zone::UTC;
        let zones = Zones::new(std::iter::once(entries(definition.as_bytes()).collect::<Vec<_>>()), &machine);
        let clock = zones.clock(name);
        let (wall, expected) = (Wall::parse(shown).unwrap(), Timestamp(Wall::parse(moment).unwrap().0));
        assert_eq!(clock.moment(wall), Some(expected), "{shown}");
        let back = clock.wall(expected).and_then(|wall| clock.moment(wall));
        assert_eq!(back, Some(expected), "{shown}");
    }

    #[test]
    fn a_windows_zone_is_followed_as_it_is_defined() {
        let check = |shown, moment| check(WINDOWS, "W. Europe Standard Time", shown, moment);
        check("20260115T120000", "20260115T110000");
        check("20260715T120000", "20260715T100000");
        check("20260329T015959", "20260329T005959");
        check("20260329T023000", "20260329T013000");
        check("20260329T030000", "20260329T010000");
        check("20261025T023000", "20261025T003000");
        check("20261025T030000", "20261025T020000");
        check("20410701T000000", "20410630T220000");
    }

    #[test]
    fn a_zone_with_past_rules_and_dates_is_followed_too() {
        let zone = "BEGIN:VTIMEZONE\nTZID:Custom\nBEGIN:STANDARD\nDTSTART:19701025T030000\nTZOFFSETFROM:-0400\n\
            TZOFFSETTO:-0500\nRDATE:20200101T000000\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:20100401T020000\n\
            TZOFFSETFROM:-0500\nTZOFFSETTO:-0400\nRRULE:FREQ=YEARLY;UNTIL=20120401T070000Z\nEND:DAYLIGHT\nEND:VTIMEZONE\n";
        check(zone, "Custom", "20190101T000000", "20190101T040000");
        check(zone, "Custom", "20210101T000000", "20210101T050000");
        check(zone, "Custom", "19690101T000000", "19690101T040000");
    }

    #[test]
    fn a_name_is_found_with_a_prefix_and_an_unknown_one_is_read_as_early_as_can_be() {
        check(WINDOWS, "Europe/Berlin", "20260715T120000", "20260715T100000");
        check(WINDOWS, "/freeassociation.sourceforge.net/America/New_York", "20260715T120000", "20260715T160000");
        check(WINDOWS, "Customized Time Zone", "20260715T120000", "20260714T220000");
    }

    #[test]
    fn offsets_have_seconds_and_a_sign() {
        let read = ["+0530", "-0330", "+005328", "0100", "", "+1"].map(offset_of);
        assert_eq!(read, [Some(19_800), Some(-12_600), Some(3_208), Some(3_600), None, None]);
    }
}
