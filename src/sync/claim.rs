//! Who owns the objects of a calendar: what the state knows of the subscriptions that share it, and which prefixes a
//! subscription without records gets back by evidence.

use std::collections::{BTreeMap, HashSet};

use super::known::Known;
use super::matched::Matched;
use super::seen::Seen;
use super::{Run, TARGET};
use crate::db::state::{Identity, Prefix};
use crate::model::{Hash, Href, Key, Record};
use crate::plan::{Claim, Named, claims, naming};

/// The subscriptions in the configuration.
#[derive(Debug, Clone, Default)]
pub struct Configured {
    names: HashSet<(String, String)>,
    sources: HashSet<(Hash, String)>,
    /// If set, only names that begin like this can be unconfigured; all others count as configured. For a run that
    /// got both ends on the command line and does not know the configuration.
    others_begin: Option<&'static str>,
}

impl Configured {
    /// The subscriptions of a configuration.
    pub fn new(identities: impl IntoIterator<Item = Identity>) -> Configured {
        let mut configured = Configured::default();
        for Identity { name, target, source } in identities {
            configured.names.insert((name, target.clone()));
            configured.sources.insert((source, target));
        }
        configured
    }

    /// Also counts every subscription whose name does not begin like this.
    pub fn or_named_otherwise(self, others_begin: &'static str) -> Configured {
        Configured { others_begin: Some(others_begin), ..self }
    }

    /// Whether a subscription of the state is configured.
    pub fn has(&self, Identity { name, target, source }: &Identity) -> bool {
        self.others_begin.is_some_and(|begin| !name.starts_with(begin))
            || self.names.contains(&(name.clone(), target.clone()))
            || self.sources.contains(&(*source, target.clone()))
    }
}

/// The owner of the prefixes that no subscription has.
pub(super) enum Claimed {
    /// None is ours.
    None,
    /// These are, with the objects under them.
    Ours(Vec<Prefix>, BTreeMap<Href, Record>),
    /// Another subscription has as good a claim.
    Draw,
}

impl Run<'_, '_> {
    /// What the state knows of the target and of the other subscriptions that write there.
    pub(super) fn known(&mut self) -> anyhow::Result<Known> {
        let (id, address) = (self.id, self.memory.ends[TARGET].address.clone().unwrap_or_default());
        let configured = self.pass.configured.clone();
        let mut known = self.pass.state.read(move |state| {
            let mut known = Known::default();
            for neighbour in state.neighbours(&address)? {
                if Some(neighbour.id) != id && configured.has(&neighbour.identity) {
                    known.others.extend(state.objects_of(neighbour.id)?);
                    let prefixes = state.prefixes(neighbour.id)?;
                    known.prefixes_of_others.extend(prefixes.into_iter().map(|prefix| prefix.text));
                }
            }
            if let Some(id) = id {
                known.records = state.records(id)?.into_iter().map(|record| (record.key.clone(), record)).collect();
                known.foreign = state.foreign_objects(id)?;
                known.journal = state.journal(id)?.into_iter().collect();
                known.suspects = state.suspects(id)?.into_iter().collect();
                known.prefixes = state.prefixes(id)?;
            }
            Ok(known)
        })?;
        if known.prefixes.is_empty() {
            let fresh = match self.fresh_prefix.take() {
                Some(fresh) => fresh,
                None => naming::prefix((self.pass.chance)()?),
            };
            known.prefixes.push(Prefix { text: fresh.clone(), is_claimed: false });
            self.fresh_prefix = Some(fresh);
            known.prefixes_are_new = true;
        }
        Ok(known)
    }

    /// Decides who owns the prefixes that no configured subscription has, for a subscription without records. What
    /// belongs to another subscription, which has not run since the state was lost, is marked so in `seen`.
    pub(super) fn claim(&self, seen: &mut Seen, matched: &Matched<'_>) -> Claimed {
        let mut prefixes: BTreeMap<String, Vec<Named>> = BTreeMap::new();
        // Objects that ended before they left the feed prove nothing, however many there are.
        let had_ended = |href: &Href| seen.remote.found.get(href).is_some_and(|found| found.ended);
        for (href, record) in seen.claimable.iter().filter(|(href, _)| !had_ended(href)) {
            let objects = naming::prefix_of(href).map(|prefix| prefixes.entry(prefix.to_owned()).or_default());
            if let Some(objects) = objects {
                objects.push((record.key.clone(), record.source.hash));
            }
        }
        if prefixes.is_empty() {
            return Claimed::None;
        }
        let mine = matched.wanted.iter().map(|wanted| (Key::clone(wanted.key), wanted.hash)).collect();
        let address = self.memory.ends[TARGET].address.clone().unwrap_or_default();
        let candidates: Vec<Vec<Named>> = std::iter::once(mine).chain((self.pass.rivals)(&address)).collect();
        let claims = claims(&prefixes, &candidates);
        let takes_over = self.takes_over().is_some();
        let is_ours = |claim: &Claim| *claim == Claim::Of(0) || (takes_over && *claim == Claim::Draw);
        if claims.values().any(|claim| *claim == Claim::Draw) && !takes_over {
            return Claimed::Draw;
        }
        let is_of_others = |href: &&Href| {
            let claim = naming::prefix_of(href).and_then(|prefix| claims.get(prefix));
            matches!(claim, Some(Claim::Of(1..)))
        };
        seen.remote.others.extend(seen.claimable.keys().filter(is_of_others).cloned());
        let ours = claims.into_iter().filter(|(_, claim)| is_ours(claim));
        let ours: Vec<Prefix> = ours.map(|(text, _)| Prefix { text, is_claimed: true }).collect();
        if ours.is_empty() {
            return Claimed::None;
        }
        let is_under =
            |href: &Href| naming::prefix_of(href).is_some_and(|prefix| ours.iter().any(|own| own.text == prefix));
        let records = seen.claimable.iter().filter(|(href, _)| is_under(href));
        let records = records.map(|(href, record)| (href.clone(), record.clone())).collect();
        Claimed::Ours(ours, records)
    }
}
