//! Whether two resources say the same although a server wrote one of them anew, and where they differ. Looser than the
//! hash: Radicale (vobject) and Xandikos reorder properties, requote parameters and write escapes, rules and durations
//! in their own way (`reference/servers.md` §13, the rows `201≠`).

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Entry, Name, entries};
use super::hash::{is_volatile, sha256};
use super::property::{self, Property, from_text};
use super::span::Span;
use super::split::own;
use crate::model::Hash;

/// Whether two resources say the same. Volatile properties do not count, and neither does a time zone that only one of
/// them brings along.
pub fn same(ours: &[u8], theirs: &[u8]) -> bool {
    let hash = |text| super::identify(text).map(|found| (found.key, found.hash));
    // The answer in most cases, and cheaper by far.
    if ours == theirs || hash(ours).is_some_and(|known| hash(theirs) == Some(known)) {
        return true;
    }
    let (ours, theirs) = (Meaning::of(ours), Meaning::of(theirs));
    ours.components == theirs.components && zones_agree(&ours, &theirs)
}

/// The names of the properties that differ, each once and sorted: `SUMMARY`, `VALARM.TRIGGER`, in an override
/// `RECURRENCE-ID 20261120T091500: SUMMARY`, `VTIMEZONE Europe/Berlin`.
pub fn differing(old: &[u8], new: &[u8]) -> Vec<String> {
    let (old, new) = (Meaning::of(old), Meaning::of(new));
    let mut names = BTreeSet::new();
    for label in old.components.keys().chain(new.components.keys()) {
        let none = Vec::new();
        let of = |meaning: &'_ Meaning| meaning.components.get(label).unwrap_or(&none).clone();
        let (before, after) = (of(&old), of(&new));
        if before != after {
            names.extend(names_that_differ(&before, &after).into_iter().map(|name| format!("{label}{name}")));
        }
    }
    names.extend(zones_that_differ(&old, &new).map(|zone| format!("VTIMEZONE {zone}")));
    names.into_iter().collect()
}

/// What a component says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Saying {
    /// Over all of it, sub-components as wholes.
    hash: Hash,
    /// By path of component names and property name.
    values: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Default)]
struct Meaning {
    /// By label: empty for masters.
    components: BTreeMap<String, Vec<Saying>>,
    zones: BTreeMap<String, Hash>,
}

impl Meaning {
    fn of(text: &[u8]) -> Meaning {
        let mut meaning = Meaning::default();
        let mut component: Vec<Entry<'_>> = Vec::new();
        let mut depth = 0_usize;
        for entry in entries(text) {
            let name = entry.name;
            depth += usize::from(name == Name::Begin);
            if depth > 1 {
                component.push(entry);
            }
            if name == Name::End {
                depth = depth.saturating_sub(1);
                if depth == 1 {
                    meaning.add(&std::mem::take(&mut component));
                }
            }
        }
        meaning.components.values_mut().for_each(|sayings| sayings.sort_by_key(|saying| saying.hash));
        meaning
    }

    fn add(&mut self, component: &[Entry<'_>]) {
        let is_zone = component.first().is_some_and(|begin| begin.component().eq_ignore_ascii_case(b"VTIMEZONE"));
        let saying = Saying::of(component);
        if is_zone {
            let name = own(component, Name::Tzid).map(|entry| from_text(&String::from_utf8_lossy(entry.value())));
            self.zones.entry(name.unwrap_or_default()).or_insert(saying.hash);
        } else {
            let recurrence = own(component, Name::RecurrenceId).map(|entry| String::from_utf8_lossy(entry.value()));
            let label = recurrence.map(|moment| format!("RECURRENCE-ID {moment}: ")).unwrap_or_default();
            self.components.entry(label).or_default().push(saying);
        }
    }
}

struct Frame {
    path: String,
    facts: Vec<String>,
}

impl Saying {
    fn of(component: &[Entry<'_>]) -> Saying {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut open: Vec<Frame> = Vec::new();
        let mut hash = sha256(&[]);
        for entry in component {
            match (entry.name, open.last_mut()) {
                (Name::Begin, parent) => {
                    let path = path_below(parent.as_deref(), entry);
                    open.push(Frame { path, facts: Vec::new() });
                }
                (Name::End, _) => {
                    let Some(frame) = open.pop() else { break };
                    hash = hash_of(frame.facts, entry);
                    if let Some(parent) = open.last_mut() {
                        parent.facts.push(hash.to_string());
                    }
                }
                (name, Some(frame)) if !is_volatile(name) => {
                    let said = meaning_of(entry);
                    frame.facts.push(format!("{}={said}", entry.label()));
                    values.entry(format!("{}{}", frame.path, entry.label())).or_default().push(said);
                }
                _ => {}
            }
        }
        for said in values.values_mut() {
            said.sort_unstable();
        }
        Saying { hash, values }
    }
}

/// Names deeper than a few levels tell people nothing, and hostile ones would grow without end.
fn path_below(parent: Option<&Frame>, begin: &Entry<'_>) -> String {
    const LONGEST: usize = 200;
    match parent {
        None => String::new(),
        Some(frame) if frame.path.len() > LONGEST => frame.path.clone(),
        Some(frame) => format!("{}{}.", frame.path, String::from_utf8_lossy(begin.component()).to_uppercase()),
    }
}

fn hash_of(mut facts: Vec<String>, end: &Entry<'_>) -> Hash {
    facts.sort_unstable();
    let name = end.component().to_ascii_uppercase();
    let facts = facts.join("\0");
    sha256(&[&name, b"\0", facts.as_bytes()])
}

/// A property without the liberties of writing: parameters decoded and sorted, defaults left out, escapes resolved.
fn meaning_of(entry: &Entry<'_>) -> String {
    let Some(property) = property::read(entry) else {
        return String::from_utf8_lossy(&entry.text).into_owned();
    };
    let mut parameters: Vec<String> = property
        .parameters
        .iter()
        .filter(|(name, values)| !is_default(entry.name, name, values))
        .map(|(name, values)| format!(";{name}={}", values.join(",")))
        .collect();
    parameters.sort_unstable();
    parameters.concat() + ":" + &value_of(entry.name, &property)
}

/// What servers add or leave out without changing the meaning: the type that the property has anyway, and what vobject
/// (Radicale) notes for itself.
fn is_default(name: Name, parameter: &str, values: &[String]) -> bool {
    let value = values.first().map(|value| value.to_ascii_uppercase()).unwrap_or_default();
    let default = match name {
        Name::Dtstart | Name::Dtend | Name::Due | Name::RecurrenceId | Name::Exdate | Name::Rdate => "DATE-TIME",
        Name::Trigger | Name::Duration => "DURATION",
        Name::Attach | Name::Url => "URI",
        Name::Attendee | Name::Organizer => "CAL-ADDRESS",
        Name::Rrule => "RECUR",
        _ => "TEXT",
    };
    // The form of a TRIGGER tells its type; Radicale adds it where a feed forgot it.
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
            let seconds = Span::parse(value).and_then(Span::in_seconds);
            seconds.map_or_else(|| value.to_owned(), |seconds| format!("{seconds}s"))
        }
        _ => from_text(value).trim_end().to_owned(),
    }
}

fn zones_agree(one: &Meaning, other: &Meaning) -> bool {
    zones_that_differ(one, other).next().is_none()
}

/// Time zones that both bring along, and not with the same rules.
fn zones_that_differ<'m>(one: &'m Meaning, other: &'m Meaning) -> impl Iterator<Item = &'m str> {
    let differ = |(name, hash): &(&String, &Hash)| other.zones.get(*name).is_some_and(|known| known != *hash);
    one.zones.iter().filter(differ).map(|(name, _)| name.as_str())
}

/// The properties whose values differ; where only their distribution over sub-components does, the whole.
fn names_that_differ(before: &[Saying], after: &[Saying]) -> BTreeSet<String> {
    let values = |sayings: &[Saying]| {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, said) in sayings.iter().flat_map(|saying| &saying.values) {
            all.entry(name.clone()).or_default().extend(said.iter().cloned());
        }
        all
    };
    let (before, after) = (values(before), values(after));
    let names = before.keys().chain(after.keys());
    let found: BTreeSet<String> = names.filter(|name| before.get(*name) != after.get(*name)).cloned().collect();
    if found.is_empty() { BTreeSet::from(["sub-components".to_owned()]) } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(lines: &str) -> String {
        format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n")
    }

    fn check(one: &str, other: &str, expected: &[&str]) {
        let (one, other) = (event(one), event(other));
        assert_eq!(differing(one.as_bytes(), other.as_bytes()), expected, "{one}\n{other}");
        assert_eq!(same(one.as_bytes(), other.as_bytes()), expected.is_empty(), "{one}\n{other}");
    }

    #[test]
    fn what_servers_write_in_their_own_way_is_the_same() {
        check("SUMMARY:a\\, b\\N;", "summary:a, b\\n\\;", &[]);
        check("DTSTART;TZID=\"Europe/Berlin\":1", "DTSTART;VALUE=DATE-TIME;TZID=Europe/Berlin:1", &[]);
        check("DTSTART:1", "DTSTART;X-VOBJ-FLOATINGTIME-ALLOWED=TRUE:1", &[]);
        check("RRULE:FREQ=WEEKLY;COUNT=2", "RRULE:COUNT=2;FREQ=weekly;", &[]);
        check("TRIGGER:19980403T120000Z", "TRIGGER;VALUE=DATE-TIME:19980403T120000Z", &[]);
        check("DURATION:PT90M", "DURATION:+P0DT1H30M", &[]);
        check("ATTENDEE;CN=A;X=\"b\":m\nSEQUENCE:1\nLOCATION:", "LOCATION:\nSEQUENCE:2\nATTENDEE;X=b;CN=\"A\":m", &[]);
    }

    #[test]
    fn what_a_person_would_see_differs_by_name() {
        check("SUMMARY:a\nLOCATION:x", "SUMMARY:b\nURL:x", &["LOCATION", "SUMMARY", "URL"]);
        check("DTSTART;TZID=A:1", "DTSTART;TZID=B:1", &["DTSTART"]);
        check("SUMMARY:a\\\\n", "SUMMARY:a\\n", &["SUMMARY"]);
        check("DURATION:PT1H", "DURATION:-PT1H", &["DURATION"]);
    }

    #[test]
    fn alarms_are_compared_as_wholes() {
        let alarm =
            |trigger: &str, action: &str| format!("BEGIN:VALARM\nTRIGGER:{trigger}\nACTION:{action}\nEND:VALARM");
        let two = |one: &str, other: &str| [alarm("-PT1M", one), alarm("-PT2M", other)].join("\n");
        check(&alarm("-PT15M", "DISPLAY"), &alarm("-PT0H15M0S", "DISPLAY"), &[]);
        check(&alarm("-PT15M", "DISPLAY"), &alarm("-PT16M", "DISPLAY"), &["VALARM.TRIGGER"]);
        check(&two("AUDIO", "DISPLAY"), &two("DISPLAY", "AUDIO"), &["sub-components"]);
    }

    #[test]
    fn an_override_is_named_by_its_moment() {
        let with =
            |summary: &str| event("SUMMARY:x") + &event(&format!("RECURRENCE-ID:20261120T091500\nSUMMARY:{summary}"));
        let found = differing(with("a").as_bytes(), with("b").as_bytes());
        assert_eq!(found, ["RECURRENCE-ID 20261120T091500: SUMMARY"]);
    }

    #[test]
    fn a_time_zone_counts_where_both_have_it() {
        let with = |zone: &str| format!("BEGIN:VCALENDAR\n{zone}BEGIN:VEVENT\nUID:a\nEND:VEVENT\nEND:VCALENDAR\n");
        let berlin = |offset: &str| with(&format!("BEGIN:VTIMEZONE\nTZID:Berlin\nX:{offset}\nEND:VTIMEZONE\n"));
        assert!(same(berlin("1").as_bytes(), with("").as_bytes()));
        assert_eq!(differing(berlin("1").as_bytes(), berlin("2").as_bytes()), ["VTIMEZONE Berlin"]);
    }
}
