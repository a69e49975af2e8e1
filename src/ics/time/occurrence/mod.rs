//! The end of an object's last occurrence, for `deletes = "future"`: Outlook publishes only the last thirty days.

use std::collections::HashSet;

use super::super::line::own;
use super::super::line::{ContentLine, Name};
use super::super::{Feed, Object, Resource, property};
use super::duration::Duration;
use super::recurrence::Rule;
use super::timezone::{Clock, Zones};
use crate::model::{ComponentType, EndsAt};
use crate::words::time::{DAY, Timestamp, Wall, Zone};

#[cfg(test)]
mod tests;

const DAYS: i64 = DAY.cast_signed();

impl Feed {
    /// When the last occurrence of an object ends: of the series by RRULE, RDATE and EXDATE, and of every override,
    /// wherever it was moved. `machine` is the time zone of floating times and of whole days. A time zone unknown to
    /// the IANA database and the feed is taken for the earliest one.
    pub fn end_of_last_occurrence(&self, object: &Object, machine: &Zone) -> EndsAt {
        let zones = Zones::new(self.zones(object), machine);
        let components =
            self.parts(object).map(|part| Component::read(&self.lines(part), object.key.component, &zones));
        let Some(components) = components.collect::<Option<Vec<_>>>() else { return EndsAt::Unknown };
        let (overrides, masters): (Vec<_>, Vec<_>) =
            components.into_iter().partition(|component| component.recurrence.is_some());
        let ends = masters.iter().map(|master| master.end_of_series(&overrides));
        ends.chain(overrides.iter().map(Component::end)).max().unwrap_or(EndsAt::Unknown)
    }
}

impl Resource {
    /// When the last occurrence in the resource ends; see [`Feed::end_of_last_occurrence`].
    pub fn end_of_last_occurrence(&self, machine: &Zone) -> EndsAt {
        let feed = self.feed();
        let ends = feed.objects().iter().map(|object| feed.end_of_last_occurrence(object, machine));
        ends.max().unwrap_or(EndsAt::Unknown)
    }
}

/// A DATE or DATE-TIME.
#[derive(Debug, Clone, PartialEq)]
struct Moment<'z> {
    wall: Wall,
    clock: Clock<'z>,
    is_day: bool,
    /// Whether it is a time without a time zone.
    is_floating: bool,
}

impl<'z> Moment<'z> {
    fn read(value: &str, zone: Option<&str>, zones: &'z Zones<'_>) -> Option<Moment<'z>> {
        let value = value.trim();
        let utc = value.strip_suffix(['Z', 'z']);
        let wall = Wall::parse(utc.unwrap_or(value))?;
        let is_day = !value.contains('T');
        let clock = match zone {
            _ if utc.is_some() => Clock::Zone(Zone::UTC),
            Some(name) if !is_day => zones.clock(name),
            _ => zones.floating(),
        };
        Some(Moment { wall, clock, is_day, is_floating: utc.is_none() && zone.is_none() && !is_day })
    }

    /// The local time on another clock. A day is the same day everywhere.
    fn wall_on(&self, clock: &Clock<'_>) -> Option<Wall> {
        if self.is_day || self.clock == *clock {
            return Some(self.wall);
        }
        clock.wall(self.clock.moment(self.wall)?)
    }

    fn timestamp(&self) -> Option<Timestamp> {
        self.clock.moment(self.wall)
    }

    /// The span up to `end`: in calendar days for days, otherwise in elapsed time.
    fn until(&self, end: &Moment<'_>) -> Option<Duration> {
        if self.is_day && end.is_day {
            return Some(Duration { days: (end.wall.0 - self.wall.0) / DAYS, seconds: 0 });
        }
        Some(Duration { days: 0, seconds: end.timestamp()?.0.checked_sub(self.timestamp()?.0)? })
    }
}

/// The length of an occurrence.
#[derive(Debug, Clone, Copy)]
enum Length {
    Lasting(Duration),
    /// Until a task is completed.
    Open,
}

/// The times of a VEVENT, VTODO or VJOURNAL.
#[derive(Debug)]
struct Component<'z> {
    /// DTSTART, or DUE of a task without one; `None` without any date.
    start: Option<Moment<'z>>,
    /// The length of each occurrence.
    length: Length,
    /// COMPLETED of a task that does not recur.
    completed: Option<Timestamp>,
    /// RECURRENCE-ID, and whether it applies to all later occurrences too.
    recurrence: Option<(Moment<'z>, bool)>,
    /// RRULEs; `None` for an invalid one.
    rules: Vec<Option<Rule>>,
    /// RDATEs; a PERIOD has its own length.
    additions: Vec<(Moment<'z>, Option<Duration>)>,
    /// EXDATEs.
    exceptions: Vec<Moment<'z>>,
}

impl<'z> Component<'z> {
    /// `None` if a date is invalid, or for an event without any.
    fn read(lines: &[ContentLine<'_>], kind: ComponentType, zones: &'z Zones<'_>) -> Option<Component<'z>> {
        let moment = |name| own(lines, name).map(|entry| one(entry, zones)).map_or(Some(None), |read| read.map(Some));
        let (dtstart, due) = (moment(Name::Dtstart)?, moment(Name::Due)?.filter(|_| kind == ComponentType::Todo));
        let end = if kind == ComponentType::Todo { due.clone() } else { moment(Name::Dtend)? };
        if dtstart.is_none() && kind == ComponentType::Event {
            return None;
        }
        let written = own(lines, Name::Duration).map(|entry| String::from_utf8_lossy(entry.value()).into_owned());
        let duration = written.map_or(Some(None), |text| Duration::parse(text.trim()).map(Some))?;
        let start = dtstart.or_else(|| due.clone());
        let length = match &start {
            None => Length::Open,
            Some(start) => {
                // Some producers only give the start a time zone.
                let end =
                    end.map(|end| if end.is_floating { Moment { clock: start.clock.clone(), ..end } } else { end });
                length_of(start, end.as_ref(), duration, kind)?
            }
        };
        let all = |name| lines.iter().filter(move |entry| entry.name == name);
        let rules: Vec<_> =
            all(Name::Rrule).map(|entry| Rule::parse(&String::from_utf8_lossy(entry.value()))).collect();
        let completed = moment(Name::Completed)?.filter(|_| kind == ComponentType::Todo && rules.is_empty());
        let named =
            own(lines, Name::RecurrenceId).map(|entry| Some((one(entry, zones)?, entry.parameter("RANGE").is_some())));
        Some(Component {
            start,
            length,
            completed: completed.and_then(|completed| completed.timestamp()),
            recurrence: named.map_or(Some(None), |read| read.map(Some))?,
            rules,
            additions: all(Name::Rdate).flat_map(|entry| periods(entry, zones)).collect(),
            exceptions: all(Name::Exdate).flat_map(|entry| many(entry, zones)).collect(),
        })
    }

    /// When this occurrence ends.
    fn end(&self) -> EndsAt {
        match (&self.start, self.completed) {
            (_, Some(completed)) => EndsAt::At(completed),
            (Some(start), None) => end_from(&start.clock, start.wall, self.length),
            (None, None) => EndsAt::Never,
        }
    }

    /// When the last occurrence of a master ends, excluding those replaced by overrides.
    fn end_of_series(&self, overrides: &[Component<'z>]) -> EndsAt {
        let Some(start) = &self.start else { return self.end() };
        let excluded = Excluded::new(self, overrides, &start.clock);
        let mut last = Some(start.wall).filter(|wall| !excluded.contains(*wall));
        for rule in &self.rules {
            match rule.as_ref().map_or(Last::Unknown, |rule| last_start(rule, start, &excluded)) {
                Last::Start(wall) => last = last.max(wall),
                Last::Never => return EndsAt::Never,
                Last::Unknown => return EndsAt::Unknown,
            }
        }
        let added = self.additions.iter().filter(|(moment, _)| {
            let wall = moment.wall_on(&start.clock);
            wall.is_none_or(|wall| !excluded.contains(wall))
        });
        let added = added
            .map(|(moment, length)| end_from(&moment.clock, moment.wall, length.map_or(self.length, Length::Lasting)));
        let series = last.map(|wall| self.end_of_occurrence(start, wall, overrides));
        // A series with no occurrences left ended before it began.
        series.into_iter().chain(added).max().unwrap_or_else(|| self.end())
    }

    /// Takes into account that an occurrence may have been moved together with earlier ones (RANGE=THISANDFUTURE).
    fn end_of_occurrence(&self, start: &Moment<'_>, wall: Wall, overrides: &[Component<'_>]) -> EndsAt {
        if self.rules.is_empty() && self.completed.is_some() {
            return self.end();
        }
        let moved = overrides.iter().filter_map(|other| match (&other.recurrence, &other.start) {
            (Some((from, true)), Some(to)) => Some((from.wall_on(&start.clock)?, to, other)),
            _ => None,
        });
        match moved.filter(|(from, ..)| *from <= wall).max_by_key(|(from, ..)| *from) {
            Some((from, to, other)) => end_from(&to.clock, to.wall.plus(wall.0 - from.0), other.length),
            None => end_from(&start.clock, wall, self.length),
        }
    }
}

/// When an occurrence that begins at `wall` ends.
fn end_from(clock: &Clock<'_>, wall: Wall, length: Length) -> EndsAt {
    let Length::Lasting(span) = length else { return EndsAt::Never };
    let begun = span.days.checked_mul(DAYS).and_then(|seconds| clock.moment(wall.plus(seconds)));
    let end = begun.and_then(|moment| moment.0.checked_add(span.seconds));
    // The calendar ends with the year 9999.
    end.map_or(EndsAt::Never, |end| EndsAt::At(Timestamp(end)))
}

/// The last start of a rule.
enum Last {
    /// A start, if there is any.
    Start(Option<Wall>),
    Never,
    Unknown,
}

fn last_start(rule: &Rule, start: &Moment<'_>, excluded: &Excluded) -> Last {
    let until = rule.until.as_deref().map(|until| last_moment(until, start));
    let until = match until {
        Some(None) => return Last::Unknown,
        Some(until) => until,
        None => None,
    };
    if until.is_some_and(|until| until < start.wall) {
        return Last::Start(None);
    }
    let Some(mut series) = rule.series(start.wall, until) else { return Last::Unknown };
    if rule.is_endless() {
        return Last::Never;
    }
    let last = series.by_ref().filter(|wall| !excluded.contains(*wall)).last();
    match (series.cut, until) {
        // It has ended by then.
        (true, Some(until)) => Last::Start(Some(if start.is_day { until.midnight() } else { until })),
        (true, None) => Last::Never,
        (false, _) => Last::Start(last),
    }
}

/// UNTIL as local time of DTSTART. A day includes its end. For whole days Outlook writes local midnight as UTC;
/// others write the end of the day in UTC.
fn last_moment(until: &str, start: &Moment<'_>) -> Option<Wall> {
    let utc = until.strip_suffix('Z');
    let wall = Wall::parse(utc.unwrap_or(until))?;
    let local = utc.and_then(|_| start.clock.wall(Zone::UTC.moment(wall)?));
    let wall = local.filter(|local| !start.is_day || *local == local.midnight()).unwrap_or(wall);
    Some(if start.is_day || !until.contains('T') { wall.midnight().plus(DAYS - 1) } else { wall })
}

/// Starts that are removed or moved: EXDATEs and RECURRENCE-IDs. Some producers use the day for a series with times,
/// or midnight for one without.
struct Excluded {
    walls: HashSet<Wall>,
    days: HashSet<Wall>,
}

impl Excluded {
    fn new(master: &Component<'_>, overrides: &[Component<'_>], clock: &Clock<'_>) -> Excluded {
        let by_day = master.start.as_ref().is_some_and(|start| start.is_day);
        let moved = overrides.iter().filter_map(|other| other.recurrence.as_ref().map(|(moment, _)| moment));
        let mut excluded = Excluded { walls: [].into(), days: [].into() };
        for moment in master.exceptions.iter().chain(moved) {
            let Some(wall) = moment.wall_on(clock) else { continue };
            if by_day || moment.is_day {
                excluded.days.insert(wall.midnight());
            } else {
                excluded.walls.insert(wall);
            }
        }
        excluded
    }

    fn contains(&self, wall: Wall) -> bool {
        self.walls.contains(&wall) || self.days.contains(&wall.midnight())
    }
}

/// The length of an occurrence. `None` if it is unknown.
fn length_of(
    start: &Moment<'_>,
    end: Option<&Moment<'_>>,
    duration: Option<Duration>,
    kind: ComponentType,
) -> Option<Length> {
    let one_day = Duration { days: i64::from(start.is_day), seconds: 0 };
    let length = match (end, duration) {
        // A task is due at the end of a day; an event ends before it.
        (Some(end), _) if kind == ComponentType::Todo && end.is_day => {
            let to_midnight = start.until(end)?;
            Duration { days: to_midnight.days + 1, ..to_midnight }
        }
        (Some(end), _) => start.until(end)?,
        (None, Some(duration)) => duration,
        (None, None) if kind == ComponentType::Todo => return Some(Length::Open),
        (None, None) => one_day,
    };
    // An end before the start gives the shortest possible length.
    let is_backward = length.in_seconds().is_none_or(|seconds| seconds <= 0);
    Some(Length::Lasting(if is_backward { one_day } else { length }))
}

fn one<'z>(entry: &ContentLine<'_>, zones: &'z Zones<'_>) -> Option<Moment<'z>> {
    Moment::read(&String::from_utf8_lossy(entry.value()), zone_of(entry).as_deref(), zones)
}

fn many<'z>(entry: &ContentLine<'_>, zones: &'z Zones<'_>) -> Vec<Moment<'z>> {
    let (text, zone) = (String::from_utf8_lossy(entry.value()), zone_of(entry));
    text.split(',').filter_map(|value| Moment::read(value, zone.as_deref(), zones)).collect()
}

/// RDATE: starts, and PERIODs with their own length.
fn periods<'z>(entry: &ContentLine<'_>, zones: &'z Zones<'_>) -> Vec<(Moment<'z>, Option<Duration>)> {
    let (text, zone) = (String::from_utf8_lossy(entry.value()), zone_of(entry));
    let period = |value: &str| {
        let (start, end) = value.split_once('/').map_or((value, None), |(start, end)| (start, Some(end.trim())));
        let start = Moment::read(start, zone.as_deref(), zones)?;
        let until = |end| start.until(&Moment::read(end, zone.as_deref(), zones)?);
        let length = end.and_then(|end| Duration::parse(end).or_else(|| until(end)));
        Some((start, length))
    };
    text.split(',').filter_map(period).collect()
}

fn zone_of(entry: &ContentLine<'_>) -> Option<String> {
    property::read(entry)?.parameter("TZID").map(str::to_owned)
}
