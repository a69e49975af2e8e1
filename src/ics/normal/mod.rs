//! Compares resources that a server may have rewritten, and lists their differences. Looser than the hash: Radicale
//! (vobject) and Xandikos reorder properties, requote parameters and write escapes, rules and durations in their own
//! way (Radicale 3.9, Xandikos 0.4).

use std::collections::{BTreeMap, BTreeSet};

use super::hash::is_volatile;
use super::line::own;
use super::line::{ContentLine, Name};
use super::property::from_text;
use super::time::timezone::Zones;
use super::{Feed, Object, Resource};
use crate::model::Hash;
use crate::words::digest::sha256;
use crate::words::time::Zone;
use value::Context;

mod value;

#[cfg(test)]
mod tests;

/// Whether an object of the feed and a resource mean the same. Ignores volatile properties, time zones that only one
/// of them includes, and the UID, which is compared as a part of the key.
pub fn says_the_same(feed: &Feed, object: &Object, resource: &Resource) -> bool {
    // Sufficient in most cases, and much cheaper.
    object.hash == resource.hash() || Meaning::of_object(feed, object).is_that_of(&Meaning::of_resource(resource))
}

/// The names of properties that differ, unique and sorted: `SUMMARY`, `VALARM.TRIGGER`, in an override `RECURRENCE-ID
/// 20261120T091500: SUMMARY`, `VTIMEZONE Europe/Berlin`.
pub fn differences(feed: &Feed, object: &Object, resource: &Resource) -> Vec<String> {
    if object.hash == resource.hash() {
        return Vec::new();
    }
    Meaning::of_object(feed, object).differences(&Meaning::of_resource(resource))
}

/// Whether two UIDs are equal except for escapes, which servers rewrite.
pub fn same_uid(one: &str, other: &str) -> bool {
    one == other || from_text(one).trim_end() == from_text(other).trim_end()
}

/// The meaning of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Saying {
    /// Covers everything, including sub-components.
    hash: Hash,
    /// By path of component names and property name.
    values: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Default)]
struct Meaning {
    /// By label, which is empty for masters.
    components: BTreeMap<String, Vec<Saying>>,
    zones: BTreeMap<String, Hash>,
}

impl Meaning {
    fn of_object(feed: &Feed, object: &Object) -> Meaning {
        Meaning::of(&feed.zones(object).collect::<Vec<_>>(), feed.parts(object).map(|part| feed.lines(part)))
    }

    fn of_resource(resource: &Resource) -> Meaning {
        let feed = resource.feed();
        let parts = feed.objects().iter().flat_map(|object| feed.parts(object));
        Meaning::of(&feed.all_zones().collect::<Vec<_>>(), parts.map(|part| feed.lines(part)))
    }

    /// The meaning of components, with the lines of their time zones.
    fn of<'e>(definitions: &[Vec<ContentLine<'e>>], parts: impl Iterator<Item = Vec<ContentLine<'e>>>) -> Meaning {
        // Times without a time zone are compared as written, so the machine's time zone does not matter.
        let nowhere = Zone::UTC;
        let zones = Zones::new(definitions.iter().map(Vec::as_slice), &nowhere);
        let mut meaning = Meaning::default();
        for definition in definitions {
            let name = own(definition, Name::Tzid).map(|entry| from_text(&String::from_utf8_lossy(entry.value())));
            let saying = Saying::of(definition, &Context::of(definition, &zones));
            meaning.zones.entry(name.unwrap_or_default()).or_insert(saying.hash);
        }
        for part in parts {
            let context = Context::of(&part, &zones);
            let recurrence = own(&part, Name::RecurrenceId).map(|entry| context.label(entry));
            let label = recurrence.map(|moment| format!("RECURRENCE-ID {moment}: ")).unwrap_or_default();
            meaning.components.entry(label).or_default().push(Saying::of(&part, &context));
        }
        meaning.components.values_mut().for_each(|sayings| sayings.sort_by_key(|saying| saying.hash));
        meaning
    }

    fn is_that_of(&self, other: &Meaning) -> bool {
        self.components == other.components && self.zones_that_differ(other).next().is_none()
    }

    fn differences(&self, other: &Meaning) -> Vec<String> {
        let mut names = BTreeSet::new();
        for label in self.components.keys().chain(other.components.keys()) {
            let of = |meaning: &'_ Meaning| meaning.components.get(label).cloned().unwrap_or_default();
            let (before, after) = (of(self), of(other));
            if before != after {
                names.extend(names_that_differ(&before, &after).into_iter().map(|name| format!("{label}{name}")));
            }
        }
        names.extend(self.zones_that_differ(other).map(|zone| format!("VTIMEZONE {zone}")));
        names.into_iter().collect()
    }

    /// Time zones that both include, but with different rules.
    fn zones_that_differ<'m>(&'m self, other: &'m Meaning) -> impl Iterator<Item = &'m str> {
        let differ = |(name, hash): &(&String, &Hash)| other.zones.get(*name).is_some_and(|known| known != *hash);
        self.zones.iter().filter(differ).map(|(name, _)| name.as_str())
    }
}

struct Frame {
    path: String,
    facts: Vec<String>,
}

impl Saying {
    fn of(component: &[ContentLine<'_>], context: &Context<'_>) -> Saying {
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
                // It is compared as a part of the key.
                (Name::Uid, Some(_)) if depth == 1 => {}
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

/// Names nested deeper than a few levels are useless for users, and hostile ones would grow without limit.
fn path_below(parent: Option<&Frame>, begin: &ContentLine<'_>) -> String {
    const LONGEST: usize = 200;
    match parent {
        None => String::new(),
        Some(frame) if frame.path.len() > LONGEST => frame.path.clone(),
        Some(frame) => format!("{}{}.", frame.path, String::from_utf8_lossy(begin.component()).to_uppercase()),
    }
}

fn hash_of(mut facts: Vec<String>, end: &ContentLine<'_>) -> Hash {
    facts.sort_unstable();
    let name = end.component().to_ascii_uppercase();
    let facts = facts.join("\0");
    sha256(&[&name, b"\0", facts.as_bytes()])
}

/// The properties whose values differ; the whole component if only their distribution over sub-components does.
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
