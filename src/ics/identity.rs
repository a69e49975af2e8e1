//! Groups components into objects and handles duplicates and components without a UID.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::hash;
use super::line::{Name, joined, own};
use super::pieces::{Part, Pieces};
use super::write::with_uid;
use super::{Complaint, Object};
use crate::model::{ComponentType, Hash, Key};
use crate::words::digest::sha256;

/// How derived UIDs begin.
const DERIVED: &str = "baikal-sync-";

/// The objects of a feed in the order of their first components, and the parts that their ranges index: first the
/// master, then overrides by RECURRENCE-ID, because sabre indexes only the first one.
pub(super) fn objects(pieces: &mut Pieces) -> (Vec<Object>, Vec<usize>) {
    let keys = std::mem::take(&mut pieces.keys);
    let mut order: Vec<usize> = (0..pieces.parts.len()).collect();
    order.sort_by_key(|part| pieces.parts.get(*part).map(|part| part.key));
    let is_like_derived = |(_, uid): &&(ComponentType, String)| uid.starts_with(DERIVED);
    let taken = keys.iter().filter(is_like_derived).cloned().collect();
    let (objects, members) = (Vec::with_capacity(keys.len()), Vec::with_capacity(order.len()));
    let mut builder = Builder { pieces, objects, members, taken };
    let mut rest = order.as_slice();
    for (index, (component, uid)) in keys.into_iter().enumerate() {
        let count = rest.iter().take_while(|part| builder.key_of(**part) == Some(index)).count();
        let (group, others) = rest.split_at_checked(count).unwrap_or_default();
        rest = others;
        match group {
            _ if uid.is_empty() => builder.without_uid(component, group),
            [only] => builder.add(Key { component, uid }, [*only]),
            _ => builder.group(component, uid, group),
        }
    }
    (builder.objects, builder.members)
}

/// The properties that decide between components with the same identity.
struct Claim {
    part: usize,
    hash: Hash,
    sequence: i64,
    modified: Vec<u8>,
    start: Vec<u8>,
    recurrence: Vec<u8>,
    recurs: bool,
}

impl Claim {
    fn of(pieces: &Pieces, index: usize) -> Option<Claim> {
        let part = pieces.parts.get(index)?;
        let lines = pieces.lines(&part.place);
        let value = |name| own(&lines, name).map(|entry| entry.value().to_vec()).unwrap_or_default();
        let zoned = |name| {
            let zone = own(&lines, name).and_then(|entry| entry.parameter("TZID")).unwrap_or_default();
            [value(name).as_slice(), zone].join(&b' ')
        };
        Some(Claim {
            part: index,
            hash: pieces.unshaped_hash(index)?,
            sequence: String::from_utf8_lossy(&value(Name::Sequence)).trim().parse().unwrap_or(0),
            modified: value(Name::LastModified),
            start: zoned(Name::Dtstart),
            recurrence: zoned(Name::RecurrenceId),
            recurs: own(&lines, Name::Rrule).is_some(),
        })
    }
}

struct Builder<'s> {
    pieces: &'s mut Pieces,
    objects: Vec<Object>,
    members: Vec<usize>,
    /// The UIDs of the feed that look like derived ones.
    taken: HashSet<(ComponentType, String)>,
}

impl Builder<'_> {
    fn key_of(&self, part: usize) -> Option<usize> {
        self.pieces.parts.get(part).map(|part| part.key)
    }

    fn add(&mut self, key: Key, parts: impl IntoIterator<Item = usize>) {
        let start = self.members.len();
        self.members.extend(parts);
        let own = self.members.get(start..).unwrap_or_default();
        let found = own.iter().filter_map(|part| self.pieces.parts.get(*part));
        let rejected = found.clone().find_map(|part| part.refusal).map(str::to_owned);
        let hash = hash_of(self.pieces, found);
        self.objects.push(Object { key, hash, rejected, parts: start..self.members.len() });
    }

    fn group(&mut self, component: ComponentType, uid: String, group: &[usize]) {
        let mut masters = Vec::new();
        let mut overrides: BTreeMap<Vec<u8>, Vec<Claim>> = BTreeMap::new();
        for claim in group.iter().filter_map(|part| Claim::of(self.pieces, *part)) {
            let master = self.pieces.parts.get(claim.part).is_some_and(|part| part.master);
            if master {
                masters.push(claim);
            } else {
                overrides.entry(claim.recurrence.clone()).or_default().push(claim);
            }
        }
        let masters = self.newest(&uid, masters);
        let exceptions: Vec<usize> =
            overrides.into_values().filter_map(|claims| self.last(&uid, claims)).map(|claim| claim.part).collect();
        let differ = masters.windows(2).any(|pair| matches!(pair, [one, other] if one.start != other.start));
        if differ {
            return self.apart(component, &uid, masters, &exceptions);
        }
        let master = self.last(&uid, masters).map(|claim| claim.part);
        self.add(Key { component, uid }, master.into_iter().chain(exceptions));
    }

    /// Removes equal claims and keeps those with the highest SEQUENCE.
    fn newest(&mut self, uid: &str, claims: Vec<Claim>) -> Vec<Claim> {
        let mut distinct: Vec<Claim> = Vec::new();
        let mut known: HashMap<Hash, usize> = HashMap::new();
        for claim in claims {
            match known.get(&claim.hash).and_then(|index| distinct.get_mut(*index)) {
                None => {
                    known.insert(claim.hash, distinct.len());
                    distinct.push(claim);
                }
                Some(equal) => {
                    self.complain(uid, "stands in the feed more than once with equal content; it is taken once");
                    if (claim.sequence, &claim.modified) >= (equal.sequence, &equal.modified) {
                        *equal = claim;
                    }
                }
            }
        }
        let highest = distinct.iter().map(|claim| claim.sequence).max().unwrap_or(0);
        let (newest, older): (Vec<_>, Vec<_>) = distinct.into_iter().partition(|claim| claim.sequence == highest);
        for _ in older {
            self.complain(uid, "stands in the feed more than once; the one with the highest SEQUENCE is taken");
        }
        newest
    }

    /// The most recently modified claim; the last one in the feed if that is a tie.
    fn last(&mut self, uid: &str, claims: Vec<Claim>) -> Option<Claim> {
        let mut newest = self.newest(uid, claims);
        newest.sort_by(|one, other| one.modified.cmp(&other.modified));
        for _ in newest.iter().skip(1) {
            self.complain(uid, "stands in the feed more than once; the one that was modified last is taken");
        }
        newest.pop()
    }

    /// Splits different events that a broken producer gave one UID. Overrides stay with the recurring one.
    fn apart(&mut self, component: ComponentType, uid: &str, mut masters: Vec<Claim>, exceptions: &[usize]) {
        masters.sort_by(|one, other| (&one.start, one.hash).cmp(&(&other.start, other.hash)));
        let series = masters.iter().position(|claim| claim.recurs).unwrap_or(0);
        let mut last: Option<(Vec<u8>, u64)> = None;
        for (index, claim) in masters.into_iter().enumerate() {
            let ordinal = last.filter(|(start, _)| *start == claim.start).map_or(0, |(_, ordinal)| ordinal + 1);
            let derived = self.derived(component, &[uid.as_bytes(), &claim.start, &ordinal.to_be_bytes()]);
            last = Some((claim.start, ordinal));
            self.complain(uid, &format!("stands for several events; this one is mirrored as {derived}"));
            let own = if index == series { exceptions } else { &[] };
            self.add_renamed(component, derived, std::iter::once(claim.part).chain(own.iter().copied()));
        }
    }

    /// Turns each component without a UID into its own object.
    fn without_uid(&mut self, component: ComponentType, group: &[usize]) {
        let mut count: HashMap<Hash, u64> = HashMap::new();
        for index in group {
            let Some(hash) = self.pieces.unshaped_hash(*index) else { continue };
            let ordinal = count.entry(hash).or_default();
            let about: [&[u8]; 3] = [component.as_str().as_bytes(), &hash.0, &ordinal.to_be_bytes()];
            let derived = self.derived(component, &about);
            *ordinal += 1;
            self.complain(&derived, "is missing; this one is derived from the content");
            self.add_renamed(component, derived, [*index]);
        }
    }

    /// A derived UID that no event of the feed has: exports of calendars that we filled bring ours back.
    fn derived(&self, component: ComponentType, about: &[&[u8]]) -> String {
        let salted = (1_u64..).map(|salt| derived_uid(&[about, &[&salt.to_be_bytes()]].concat()));
        let mut candidates = std::iter::once(derived_uid(about)).chain(salted);
        let is_free = |uid: &String| !self.taken.contains(&(component, uid.clone()));
        candidates.find(is_free).unwrap_or_default()
    }

    fn add_renamed(&mut self, component: ComponentType, uid: String, parts: impl IntoIterator<Item = usize>) {
        let parts: Vec<usize> = parts.into_iter().collect();
        for index in &parts {
            let Some(part) = self.pieces.parts.get(*index) else { continue };
            let text = joined(&with_uid(&self.pieces.lines(&part.place), &uid));
            let place = self.pieces.keep_changed(&text);
            if let Some(part) = self.pieces.parts.get_mut(*index) {
                part.place = place;
            }
        }
        self.add(Key { component, uid }, parts);
    }

    fn complain(&mut self, uid: &str, message: &str) {
        Complaint::new(uid, "UID", message).add_to(&mut self.pieces.complaints);
    }
}

/// The n-th substitute for a UID that already belongs to another object of the calendar.
pub fn substitute_uid(uid: &str, ordinal: usize) -> String {
    derived_uid(&[uid.as_bytes(), b"substitute", &ordinal.to_be_bytes()])
}

/// A unique UID that is the same at every fetch.
fn derived_uid(about: &[&[u8]]) -> String {
    let hash = sha256(&[&about.join(&b'\0')]).to_string();
    format!("{DERIVED}{}", hash.get(..32).unwrap_or_default())
}

/// The hash of an object: its components and the time zones they use.
fn hash_of<'p>(pieces: &Pieces, parts: impl Iterator<Item = &'p Part> + Clone) -> Hash {
    let mut hashes: Vec<Hash> = parts.clone().map(|part| part.hash).collect();
    let zones = zones_of(pieces, parts);
    hashes.extend(zones.into_iter().filter_map(|zone| pieces.zones.get(zone)).map(|zone| zone.hash));
    hash::of_all(hashes)
}

/// The definitions of the time zones that these components use, each name once: the first one in a calendar wins.
pub(super) fn zones_of<'p>(pieces: &Pieces, parts: impl Iterator<Item = &'p Part>) -> Vec<usize> {
    let mut zones: Vec<(usize, usize)> = Vec::new();
    for part in parts {
        let names = pieces.zone_sets.get(part.zone_set).map(Vec::as_slice).unwrap_or_default();
        zones.extend(names.iter().filter_map(|name| Some((*name, pieces.definition(part.calendar, *name)?))));
    }
    zones.sort_by_key(|(name, _)| *name);
    zones.dedup_by_key(|(name, _)| *name);
    zones.into_iter().map(|(_, definition)| definition).collect()
}
