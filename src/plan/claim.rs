//! Who owns a prefix without records: the state was lost, or a subscription changed both its name and its link.
//! Decided by evidence alone: the objects under the prefix, and what each subscription without records wants.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::model::{Hash, Key};

/// An object, by name and by content.
pub type Named = (Key, Hash);

/// What the evidence says about a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It belongs to this candidate.
    Of(usize),
    /// Several candidates have equally good claims, the first candidate among them.
    Draw,
}

/// Assigns each prefix to the candidate that wants at least half of the objects under it, and finds at least half of
/// its wants there. The greatest number of matches is assigned first; what a candidate found under one prefix is not
/// matched again. Prefixes that nobody wants are not in the result.
pub fn claims(prefixes: &BTreeMap<String, Vec<Named>>, candidates: &[Vec<Named>]) -> BTreeMap<String, Claim> {
    let mut wants: Vec<Vec<&Named>> = candidates.iter().map(|wants| wants.iter().collect()).collect();
    let mut left: BTreeMap<&String, &Vec<Named>> = prefixes.iter().collect();
    let mut claims = BTreeMap::new();
    // Whoever claims a prefix has at most half of its wants left, so there are few rounds.
    while let Some((prefix, objects, best)) = strongest(&left, &wants) {
        left.remove(prefix);
        let claim = match best.as_slice() {
            [only] => Claim::Of(*only),
            several if several.contains(&0) => Claim::Draw,
            [first, ..] => Claim::Of(*first),
            [] => continue,
        };
        claims.insert(prefix.clone(), claim);
        for candidate in best {
            if let Some(wants) = wants.get_mut(candidate) {
                let found = matching(objects, wants);
                *wants = std::mem::take(wants).into_iter().filter(|want| !found.contains(&want.0)).collect();
            }
        }
    }
    claims
}

/// The prefix with the most wanted objects, and the candidates that want that many.
fn strongest<'p>(
    prefixes: &BTreeMap<&'p String, &'p Vec<Named>>,
    wants: &[Vec<&Named>],
) -> Option<(&'p String, &'p Vec<Named>, Vec<usize>)> {
    let mut best: Option<(usize, &String, &Vec<Named>, Vec<usize>)> = None;
    for (prefix, objects) in prefixes {
        for (candidate, wants) in wants.iter().enumerate() {
            if objects.len() * 2 < wants.len() {
                continue;
            }
            let count = matching(objects, wants).len();
            if count == 0 || count * 2 < objects.len() || count * 2 < wants.len() {
                continue;
            }
            match &mut best {
                Some((greatest, found, _, candidates)) if *greatest == count && found == prefix => {
                    candidates.push(candidate);
                }
                Some((greatest, ..)) if *greatest >= count => {}
                _ => best = Some((count, prefix, objects, vec![candidate])),
            }
        }
    }
    best.map(|(_, prefix, objects, candidates)| (prefix, objects, candidates))
}

/// The wants that match one of these objects: by UID, else by content.
fn matching<'w>(objects: &[Named], wants: &[&'w Named]) -> HashSet<&'w Key> {
    let named: HashSet<&Key> = objects.iter().map(|(key, _)| key).collect();
    let mut found: HashSet<&Key> = wants.iter().map(|(key, _)| key).filter(|key| named.contains(key)).collect();
    if found.len() == wants.len() {
        return found;
    }
    let mut by_content: HashMap<Hash, usize> = HashMap::new();
    for (_, hash) in objects.iter().filter(|(key, _)| !found.contains(key)) {
        *by_content.entry(*hash).or_default() += 1;
    }
    for (key, hash) in wants {
        if let Some(count) = by_content.get_mut(hash).filter(|count| **count > 0 && !named.contains(key)) {
            *count -= 1;
            found.insert(key);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ComponentType;

    fn named(number: u8, content: u8) -> Named {
        (Key { component: ComponentType::Event, uid: format!("u{number}") }, Hash([content; 32]))
    }

    fn objects(numbers: impl IntoIterator<Item = u8>) -> Vec<Named> {
        numbers.into_iter().map(|number| named(number, number)).collect()
    }

    #[track_caller]
    fn check(prefixes: &[(&str, Vec<Named>)], candidates: &[Vec<Named>], expected: &[(&str, Claim)]) {
        let prefixes = prefixes.iter().map(|(prefix, objects)| ((*prefix).to_owned(), objects.clone())).collect();
        let expected = expected.iter().map(|(prefix, claim)| ((*prefix).to_owned(), *claim)).collect();
        assert_eq!(claims(&prefixes, candidates), expected);
    }

    #[test]
    fn a_prefix_goes_to_whom_wants_half_of_it_and_has_half_of_its_wants_there() {
        let prefix = || vec![("a-", objects(0..10))];
        check(&prefix(), &[objects(0..10)], &[("a-", Claim::Of(0))]);
        check(&prefix(), &[objects(5..15)], &[("a-", Claim::Of(0))]);
        check(&prefix(), &[objects(6..16)], &[]);
        check(&prefix(), &[objects(0..4)], &[]);
        check(&prefix(), &[objects(0..30)], &[]);
        check(&prefix(), &[objects(20..30)], &[]);
        check(&[], &[objects(0..3)], &[]);
    }

    #[test]
    fn what_has_other_uids_is_known_by_its_content() {
        let renamed = (0..10).map(|number| named(100 + number, number)).collect();
        check(&[("a-", objects(0..10))], &[renamed], &[("a-", Claim::Of(0))]);
    }

    #[test]
    fn the_greater_number_wins_and_a_draw_is_nobodys() {
        let prefix = || vec![("a-", objects(0..10))];
        check(&prefix(), &[objects(0..8), objects(0..10)], &[("a-", Claim::Of(1))]);
        check(&prefix(), &[objects(0..10), objects(0..10)], &[("a-", Claim::Draw)]);
        check(&prefix(), &[objects(50..60), objects(0..10), objects(0..10)], &[("a-", Claim::Of(1))]);
    }

    #[test]
    fn feeds_that_overlap_each_get_their_own_prefix_back() {
        // The second one has under its prefix only what the first one has not claimed.
        let prefixes = [("a-", objects(0..10)), ("b-", objects(10..15))];
        let claims = [("a-", Claim::Of(0)), ("b-", Claim::Of(1))];
        check(&prefixes, &[objects(0..10), objects(5..15)], &claims);
    }

    #[test]
    fn one_subscription_may_own_several_prefixes() {
        let prefixes = [("a-", objects(0..10)), ("b-", objects(10..15))];
        check(&prefixes, &[objects(0..15)], &[("a-", Claim::Of(0)), ("b-", Claim::Of(0))]);
    }
}
