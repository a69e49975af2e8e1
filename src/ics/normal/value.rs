//! The meaning of a property, independent of the ways in which servers rewrite it.

use std::collections::{BTreeMap, HashSet};

use super::super::line::own;
use super::super::line::{ContentLine, Name, Names, set_of};
use super::super::property::{self, Property, from_text};
use super::super::time::duration::Duration;
use super::super::time::timezone::Zones;
use crate::words::time::{Wall, Zone};

/// Properties with date or date-time values, possibly lists.
const DATES: Names =
    set_of(&[Name::Dtstart, Name::Dtend, Name::Due, Name::Completed, Name::RecurrenceId, Name::Exdate, Name::Rdate]);

/// What affects the meaning of a component's properties.
#[derive(Debug)]
pub(super) struct Context<'z> {
    zones: &'z Zones<'z>,
    start: Option<Moment>,
    has_end: bool,
    /// Whether the rules may produce several occurrences in one day.
    crowded: bool,
    /// The days of additional occurrences, as written.
    additions: HashSet<String>,
}

impl<'z> Context<'z> {
    /// The context of a component, given from BEGIN to END, in a resource with these time zones.
    pub(super) fn of(component: &[ContentLine<'_>], zones: &'z Zones<'z>) -> Context<'z> {
        let texts = |name| component.iter().filter(move |entry| entry.name == name).map(text_of);
        let rules: Vec<String> = texts(Name::Rrule).map(|rule| rule.to_ascii_uppercase()).collect();
        let times = ["BYHOUR", "BYMINUTE", "BYSECOND", "FREQ=HOURLY", "FREQ=MINUTELY", "FREQ=SECONDLY"];
        let mut context = Context {
            zones,
            start: None,
            has_end: own(component, Name::Dtend).is_some(),
            crowded: rules.iter().any(|rule| times.iter().any(|part| rule.contains(part))),
            additions: texts(Name::Rdate)
                .flat_map(|list| list.split(',').filter_map(day_of).collect::<Vec<_>>())
                .collect(),
        };
        context.start = own(component, Name::Dtstart).and_then(|entry| context.moment(&property::read(entry)?));
        context
    }

    /// The meaning of a line of the component: one item for each date of a list, otherwise one. `inside`: the line
    /// belongs to a sub-component.
    pub(super) fn sayings(&self, entry: &ContentLine<'_>, inside: bool) -> Vec<String> {
        let Some(property) = property::read(entry) else {
            return vec![String::from_utf8_lossy(&entry.text).into_owned()];
        };
        let redundant = |seconds: i64| seconds == 0 && self.has_end && !inside;
        match entry.name {
            name if name.is_in(DATES) => self.dates(name, &property),
            // Radicale leaves it out if there is a DTEND; Thunderbird writes both.
            Name::Duration
                if Duration::parse(property.value.trim()).and_then(Duration::in_seconds).is_some_and(redundant) =>
            {
                Vec::new()
            }
            name => vec![parameters_of(name, &property, &[]) + ":" + &value_of(name, &property)],
        }
    }

    /// The date-time that identifies a component; as written if it is invalid.
    pub(super) fn label(&self, entry: &ContentLine<'_>) -> String {
        let moment = property::read(entry).and_then(|property| self.moment(&property));
        moment.map_or_else(|| text_of(entry), |moment| moment.to_string())
    }

    fn dates(&self, name: Name, property: &Property) -> Vec<String> {
        let (zone, all) = (property.parameter("TZID"), parameters_of(name, property, &[]));
        let others = parameters_of(name, property, &["TZID", "VALUE"]);
        let say = |value: &str| match Moment::read(value, zone, self.zones) {
            Some(moment) if name == Name::Exdate => format!("{others}{:?}", self.aligned(moment)),
            Some(moment) => format!("{others}{moment:?}"),
            None => format!("{all}:{}", value.trim()),
        };
        property.value.split(',').map(say).collect()
    }

    fn moment(&self, property: &Property) -> Option<Moment> {
        Moment::read(&property.value, property.parameter("TZID"), self.zones)
    }

    /// An EXDATE in the form of DTSTART, if unambiguous. Radicale writes it this way.
    fn aligned(&self, moment: Moment) -> Moment {
        match &self.start {
            // A UTC time may fall on another local day.
            Some(start) if start.time.is_none() && (moment.place != Place::Utc || moment.is_midnight()) => {
                Moment { date: moment.date, ..start.clone() }
            }
            Some(start) if moment.time.is_none() && !self.has_several_on(&moment.date) => {
                Moment { date: moment.date, ..start.clone() }
            }
            Some(start) if moment.time.is_some() && moment.place == Place::Anywhere => {
                Moment { place: start.place.clone(), ..moment }
            }
            _ => moment,
        }
    }

    fn has_several_on(&self, date: &str) -> bool {
        self.crowded || self.additions.contains(date)
    }
}

/// The time zone of a time.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Anywhere,
    Utc,
    /// Named by TZID.
    Named(String),
}

/// A date or date-time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Moment {
    date: String,
    time: Option<String>,
    place: Place,
}

impl Moment {
    fn is_midnight(&self) -> bool {
        self.time.as_deref().is_none_or(|time| time == "000000")
    }

    fn read(value: &str, zone: Option<&str>, zones: &Zones<'_>) -> Option<Moment> {
        let value = value.trim();
        let utc = value.strip_suffix('Z');
        let wall = Wall::parse(utc.unwrap_or(value))?;
        let zone = zone.map(str::trim).filter(|zone| !zone.is_empty());
        if !value.contains('T') {
            return utc.is_none().then(|| Moment { date: value.to_owned(), time: None, place: Place::Anywhere });
        }
        // For COMPLETED, and for zones equal to UTC, Radicale writes the time in UTC but leaves the TZID.
        let shown = match (zone, utc) {
            (Some(zone), Some(_)) => {
                let (clock, moment) = (zones.known(zone)?, Zone::UTC.moment(wall)?);
                // During a repeated hour, the local time alone is ambiguous.
                clock.wall(moment).filter(|shown| clock.moment(*shown) == Some(moment))?.to_string()
            }
            _ => utc.unwrap_or(value).to_owned(),
        };
        let place = match (zone, utc) {
            (Some(zone), _) => Place::Named(zone.to_owned()),
            (None, Some(_)) => Place::Utc,
            (None, None) => Place::Anywhere,
        };
        let (date, time) = shown.split_once('T')?;
        Some(Moment { date: date.to_owned(), time: Some(time.to_owned()), place })
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = self.time.as_ref().map(|time| format!("T{time}")).unwrap_or_default();
        let place = match &self.place {
            Place::Anywhere => String::new(),
            Place::Utc => "Z".to_owned(),
            Place::Named(zone) => format!(" {zone}"),
        };
        write!(formatter, "{}{time}{place}", self.date)
    }
}

fn day_of(date: &str) -> Option<String> {
    date.trim().get(..8).map(str::to_owned)
}

fn text_of(entry: &ContentLine<'_>) -> String {
    String::from_utf8_lossy(entry.value()).into_owned()
}

/// The parameters except for `but`, decoded and sorted, without defaults and empty ones. Duplicates are merged, as
/// Radicale does.
fn parameters_of(name: Name, property: &Property, but: &[&str]) -> String {
    let mut known: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (parameter, values) in &property.parameters {
        let mut values = values.iter().map(String::as_str).filter(|value| !value.is_empty()).peekable();
        let counts = values.peek().is_some_and(|first| !is_default(name, parameter, first));
        if counts && !but.contains(&parameter.as_str()) {
            known.entry(parameter).or_default().extend(values);
        }
    }
    // Its quotes and braces separate it from what follows.
    format!("{known:?}")
}

/// What servers add or remove without changing the meaning: a property's default type, and internal parameters of
/// vobject (Radicale).
fn is_default(name: Name, parameter: &str, value: &str) -> bool {
    let value = value.to_ascii_uppercase();
    let default = match name {
        name if name.is_in(DATES) => "DATE-TIME",
        Name::Trigger | Name::Duration => "DURATION",
        Name::Attach | Name::Url => "URI",
        Name::Attendee | Name::Organizer => "CAL-ADDRESS",
        Name::Rrule => "RECUR",
        _ => "TEXT",
    };
    // The type of a TRIGGER follows from its value; Radicale adds it if the feed omitted it.
    let told = value == default || (name == Name::Trigger && value == "DATE-TIME");
    parameter.starts_with("X-VOBJ-") || (parameter == "VALUE" && told)
}

fn value_of(name: Name, property: &Property) -> String {
    let value = property.value.trim_end();
    match name {
        Name::Rrule => {
            let mut parts: Vec<String> =
                value.split(';').filter(|part| !part.is_empty()).map(str::to_ascii_uppercase).collect();
            parts.sort_unstable();
            parts.join(";")
        }
        Name::Trigger | Name::Duration => {
            let seconds = Duration::parse(value).and_then(Duration::in_seconds);
            seconds.map_or_else(|| value.to_owned(), |seconds| format!("{seconds}s"))
        }
        _ => from_text(value).trim_end().to_owned(),
    }
}
