//! Whether two resources say the same although a server wrote one of them anew, and where they differ. Looser than the
//! hash: Radicale (vobject) and Xandikos reorder properties, requote parameters and write escapes, rules and durations
//! in their own way (Radicale 3.9, Xandikos 0.4).

use std::collections::{BTreeMap, BTreeSet};

use super::hash::is_volatile;
use super::line::own;
use super::line::{Entry, Name, entries};
use super::property::from_text;
use super::time::timezone::Zones;
use crate::model::Hash;
use crate::words::digest::sha256;
use crate::words::time::Zone;
use value::Context;

mod value;

#[cfg(test)]
mod tests;

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
