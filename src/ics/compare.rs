//! Whether two resources say the same although a server wrote one of them anew, and where they differ. Looser than the
//! hash: Radicale (vobject) and Xandikos reorder properties, requote parameters and write escapes, rules and durations
//! in their own way (`reference/servers.md` §13, the rows `201≠`).

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Entry, Name, entries};
use super::hash::{is_volatile, sha256};
use super::property::from_text;
use super::split::own;
use super::timezone::Zones;
use crate::model::Hash;
use crate::time::Zone;
use value::Context;

mod value;

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
        let components = components(text);
        // Times without a time zone are compared as they are written, so that of the machine does not matter.
        let nowhere = Zone::UTC;
        let zones = Zones::new(components.iter().filter(|lines| is_zone(lines)).cloned(), &nowhere);
        let mut meaning = Meaning::default();
        for component in &components {
            meaning.add(component, &zones);
        }
        meaning.components.values_mut().for_each(|sayings| sayings.sort_by_key(|saying| saying.hash));
        meaning
    }

    fn add(&mut self, component: &[Entry<'_>], zones: &Zones<'_>) {
        let context = Context::of(component, zones);
        let saying = Saying::of(component, &context);
        if is_zone(component) {
            let name = own(component, Name::Tzid).map(|entry| from_text(&String::from_utf8_lossy(entry.value())));
            self.zones.entry(name.unwrap_or_default()).or_insert(saying.hash);
        } else {
            let recurrence = own(component, Name::RecurrenceId).map(|entry| context.label(entry));
            let label = recurrence.map(|moment| format!("RECURRENCE-ID {moment}: ")).unwrap_or_default();
            self.components.entry(label).or_default().push(saying);
        }
    }
}

fn is_zone(component: &[Entry<'_>]) -> bool {
    component.first().is_some_and(|begin| begin.component().eq_ignore_ascii_case(b"VTIMEZONE"))
}

/// The lines of each component in the calendar, from its BEGIN to its END.
fn components(text: &[u8]) -> Vec<Vec<Entry<'_>>> {
    let mut all = Vec::new();
    let mut component = Vec::new();
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
                all.push(std::mem::take(&mut component));
            }
        }
    }
    all
}

struct Frame {
    path: String,
    facts: Vec<String>,
}

impl Saying {
    fn of(component: &[Entry<'_>], context: &Context<'_>) -> Saying {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut open: Vec<Frame> = Vec::new();
        let mut hash = sha256(&[]);
        for entry in component {
            let depth = open.len();
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
                    for said in context.sayings(entry, depth > 1) {
                        frame.facts.push(format!("{}={said}", entry.label()));
                        values.entry(format!("{}{}", frame.path, entry.label())).or_default().push(said);
                    }
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
        check("SUMMARY:\\\"a\\\"", "SUMMARY:\"a\"", &[]);
        check("ORGANIZER;SENT-BY=;CN=A:m", "ORGANIZER;CN=A:m", &[]);
        check("ATTENDEE;MEMBER=\"a:b\",c;MEMBER=d:m", "ATTENDEE;MEMBER=\"a:b\",c,d:m", &[]);
    }

    #[test]
    fn the_times_that_radicale_converts_are_the_same() {
        check("COMPLETED;TZID=Europe/Paris:20130920T180000", "COMPLETED;TZID=Europe/Paris:20130920T160000Z", &[]);
        check("DTSTART;TZID=Etc/GMT:20120821T210000", "DTSTART;TZID=Etc/GMT:20120821T210000Z", &[]);
        check("DTSTART;TZID=Mine :20120821T210000", "DTSTART;TZID=Mine:20120821T210000", &[]);
        check("DTSTART;TZID=:20120821T210000", "DTSTART:20120821T210000", &[]);
        check("COMPLETED;TZID=Europe/Paris:20130920T180000", "COMPLETED:20130920T180000Z", &["COMPLETED"]);
        check("DUE;TZID=Europe/Paris:20131027T003000Z", "DUE;TZID=Europe/Paris:20131027T013000Z", &["DUE"]);
        check("COMPLETED;TZID=Mine:20130920T180000", "COMPLETED;TZID=Mine:20130920T160000Z", &["COMPLETED"]);
        let mine = |completed: &str| {
            let zone = "BEGIN:STANDARD\nDTSTART:16010101T000000\nTZOFFSETFROM:-0500\nTZOFFSETTO:-0500\nEND:STANDARD\n";
            event(completed)
                .replace("BEGIN:VEVENT", &format!("BEGIN:VTIMEZONE\nTZID:Mine\n{zone}END:VTIMEZONE\nBEGIN:VEVENT"))
        };
        let (one, other) = (mine("COMPLETED;TZID=Mine:20130920T180000"), mine("COMPLETED;TZID=Mine:20130920T230000Z"));
        assert!(same(one.as_bytes(), other.as_bytes()), "{one}\n{other}");
    }

    fn check_exdate(series: &str, one: &str, other: &str, equal: bool) {
        let with = |exdate: &str| format!("{series}\nEXDATE{exdate}");
        check(&with(one), &with(other), if equal { &[] } else { &["EXDATE"] });
    }

    #[test]
    fn an_exception_is_the_same_in_the_form_of_its_series() {
        let daily = "DTSTART;TZID=Europe/Paris:20130901T180000\nRRULE:FREQ=DAILY";
        check_exdate(daily, ";VALUE=DATE:20130902", ";TZID=Europe/Paris:20130902T180000", true);
        check_exdate(daily, ":20130902T180000", ";TZID=Europe/Paris:20130902T180000", true);
        check_exdate(daily, ";VALUE=DATE:20130902,20130903", ":20130903T180000\nEXDATE:20130902T180000", true);
        let days = "DTSTART;VALUE=DATE:20210401\nRRULE:FREQ=DAILY";
        check_exdate(days, ";TZID=Europe/Paris:20210409T000000", ";TZID=Europe/Paris;VALUE=DATE:20210409", true);
        check_exdate(days, ":20210409T000000Z", ";VALUE=DATE:20210409", true);
    }

    #[test]
    fn an_exception_of_something_else_differs() {
        let daily = "DTSTART;TZID=Europe/Paris:20130901T180000\nRRULE:FREQ=DAILY";
        let often = &format!("{daily};BYHOUR=9,18");
        let added = &format!("{daily}\nRDATE;TZID=Europe/Paris:20130902T090000");
        let floating = "DTSTART:20120603T100000\nRRULE:FREQ=DAILY";
        check_exdate(daily, ";VALUE=DATE:20130902", ";TZID=Europe/Paris:20130903T180000", false);
        check_exdate(daily, ":20130902T180000Z", ";TZID=Europe/Paris:20130902T180000", false);
        check_exdate(often, ";VALUE=DATE:20130902", ";TZID=Europe/Paris:20130902T180000", false);
        check_exdate(added, ";VALUE=DATE:20130902", ";TZID=Europe/Paris:20130902T180000", false);
        check_exdate(floating, ":20120603T080000Z", ":20120603T080000", false);
        check_exdate("DTSTART;VALUE=DATE:20210401", ":20210408T220000Z", ";VALUE=DATE:20210408", false);
    }

    #[test]
    fn a_length_of_nothing_counts_where_no_end_is_told() {
        let of_nothing = "DURATION:PT0S";
        check(&format!("DTEND:20191109T190000Z\n{of_nothing}"), "DTEND:20191109T190000Z", &[]);
        check(of_nothing, "LOCATION:", &["DURATION", "LOCATION"]);
        check(&format!("DTEND:20191109T190000Z\n{of_nothing}"), "DTEND:20191109T190000Z\nDURATION:PT1S", &["DURATION"]);
    }

    #[test]
    fn what_a_person_would_see_differs_by_name() {
        check("SUMMARY:a\nLOCATION:x", "SUMMARY:b\nURL:x", &["LOCATION", "SUMMARY", "URL"]);
        check("DTSTART;TZID=A:1", "DTSTART;TZID=B:1", &["DTSTART"]);
        check("SUMMARY:a\\\\n", "SUMMARY:a\\n", &["SUMMARY"]);
        check("X-A;B=\"c:d\":e", "X-A;B=c:d:e", &["X-A"]);
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
