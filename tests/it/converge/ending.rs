//! The ending of a story: what may stand in the calendar and in the records when nothing goes wrong any more.

use std::collections::{BTreeMap, BTreeSet};

use baikal_sync::config::OnConflict;
use baikal_sync::plan::TakeOver;
use baikal_sync::report::{Outcome, PassReport};
use baikal_sync::sync::Options;

use super::world::{Events, had_ended, is_idle, places, read};
use super::{Allowed, EDITED, Story};
use crate::fake::memory::Edit;

impl Story {
    /// Takes everything away that kept the calendar from being what the feeds say, but for what a person lets us take over.
    pub(super) fn mend(&mut self) {
        self.refused.clear();
        self.world.target.refuse(BTreeSet::new());
        // An edit that was kept while its event left the feed of one subscription keeps its UID from the other.
        let keeps_away = |text: &str| self.plot.keeps && self.plot.shares && read(text).1 >= EDITED;
        for (name, text) in self.world.target.objects() {
            if (name.starts_with("theirs-u") && !self.plot.takes_over)
                || (keeps_away(&text) && !name.starts_with("theirs"))
            {
                self.world.target.edit(&Edit::Remove(name));
            }
        }
        for which in 0..self.feeds.len() {
            if self.plot.keeps {
                self.feeds[which].values_mut().for_each(|says| *says += 10);
            }
            self.serve(which);
        }
    }

    /// After two quiet passes that did not fail everything is as it should be, and one more writes nothing.
    pub(super) fn settles(&mut self, when: &str, mended: bool) -> Result<(), String> {
        // What was refused, and what was left to others, is not tried again otherwise; a hold is released without.
        let full = mended && (!self.world.refused().is_empty() || self.dice.one_in(2));
        let take_over = (mended && self.plot.takes_over).then_some(TakeOver::All);
        let mut options = Options { allow_deletes: mended, full, take_over, ..Options::default() };
        let all = 0..self.feeds.len();
        let mut reports = Vec::new();
        for round in 0..6 {
            let last: Vec<PassReport> = all.clone().map(|which| self.world.pass(which, options)).collect();
            // What nothing explains is refused in the third pass.
            let is_over = round > 0 && last.iter().all(|report| report.outcome != Outcome::Failed);
            reports.extend(last);
            // What a lost state left behind, and nobody recognised, goes when a person says so.
            if is_over && !self.world.forget_unclaimed() {
                break;
            }
            options.full |= is_over;
        }
        self.tally.count("deletions are released", mended && reports.iter().any(|report| report.deleted > 10));
        let takes = take_over.is_some() && reports.iter().any(|report| report.adopted > 0 || report.updated > 0);
        self.tally.count("a person takes over what stands there", takes);
        let failed = |complaint: String| Err(format!("{when}: {complaint}"));
        let held: Vec<bool> = reports.iter().rev().take(all.len()).rev().map(|report| report.held.is_some()).collect();
        let allowed = self.allowed(mended, held.contains(&true));
        let standing = self.world.standing();
        let is_refused = |(place, says): (&String, &Vec<u64>)| {
            says.iter().any(|says| self.refused.contains(&(place.clone(), *says)))
        };
        let still_fails = reports.iter().rev().take(all.len()).any(|report| report.outcome == Outcome::Failed);
        if still_fails && standing.iter().any(is_refused) {
            // A calendar that takes nothing any more, not even what stands there, is to blame itself.
            return Ok(());
        }
        for (place, says) in &standing {
            // The forms under earlier UIDs are deletions that are held, or had ended.
            let left = held.contains(&true) || self.world.refused().contains(place) || self.may_stay(place);
            let doubled = says.len() > 1 && !(self.plot.renames && left);
            let may = |says: &u64| allowed.get(place).is_some_and(|allowed| allowed.contains(&Some(*says)));
            if doubled || !says.iter().any(may) {
                return failed(format!("{place} says {says:?} and may {:?}", allowed.get(place)));
            }
        }
        let missing = |(place, may): &(&String, &BTreeSet<_>)| !may.contains(&None) && !standing.contains_key(*place);
        if let Some((place, _)) = allowed.iter().find(missing) {
            return failed(format!("{place} is missing"));
        }
        if let Some(complaint) = self.touched(mended).or_else(|| self.uninvited()) {
            return failed(complaint);
        }
        let stays = |place: &String| self.may_stay(place) && self.feeds.iter().all(|feed| !feed.contains_key(place));
        self.tally.count("what had ended before it left the feed stays", standing.keys().any(stays));
        for which in all.clone() {
            let mut recorded: BTreeSet<String> = self.world.recorded(which).into_keys().collect();
            let suffix = self.suffix();
            let wanted: BTreeSet<String> =
                places(&self.feeds[which]).into_iter().map(|place| format!("{place}{suffix}")).collect();
            recorded.retain(|uid| wanted.contains(uid) || !self.may_stay(uid.split('-').next().unwrap()));
            let exact = !held[which] && !self.plot.keeps && self.world.refused().is_empty();
            if !recorded.is_superset(&wanted) || (exact && recorded != wanted) {
                return failed(format!("the record of {which} is {recorded:?}, not {wanted:?}"));
            }
        }
        if mended && let Some(complaint) = self.unmirrored() {
            return failed(complaint);
        }
        self.world.target.take_writes();
        for which in all {
            // The same events under new UIDs are nothing new either.
            if self.plot.renames {
                self.serve(which);
            }
            let idle = self.world.pass(which, Options { allow_deletes: mended, ..Options::default() });
            let writes = self.world.target.take_writes();
            if !is_idle(&idle) || !writes.is_empty() {
                return Err(format!("{when}: the third pass of {which} wrote {writes:?}"));
            }
        }
        Ok(())
    }

    /// Whether the event of this place had ended, and may stay for that when it leaves the feed.
    fn may_stay(&self, place: &str) -> bool {
        self.plot.ends && had_ended(place)
    }

    /// What may stand at each place, and whether it must.
    fn allowed(&self, mended: bool, held: bool) -> Allowed {
        let mut allowed = self.said.clone();
        let (by_hand, refused) = (self.by_hand(), self.world.refused());
        by_hand.keys().filter(|place| place.starts_with('u')).for_each(|place| {
            allowed.entry(place.clone()).or_default();
        });
        for (place, may) in &mut allowed {
            let said = may.clone();
            let wanted: BTreeSet<Option<u64>> =
                self.feeds.iter().filter_map(|feed| feed.get(place)).map(|says| Some(*says)).collect();
            let hands = by_hand.get(place).cloned().unwrap_or_default();
            let kept_back = !mended
                && (self.plot.contests || (held && (wanted.is_empty() || self.plot.shares)) || refused.contains(place));
            if kept_back {
                may.extend(hands);
                may.insert(None);
                continue;
            }
            *may = wanted;
            if may.is_empty() {
                may.insert(None);
            }
            if self.plot.keeps && (!mended || may.contains(&None)) {
                may.extend(hands.clone());
            }
            // What had ended stays as it is, and becomes someone's own when they edit it.
            if self.may_stay(place) && may.contains(&None) {
                may.extend(said.iter().chain(&hands));
            }
            // What others have of a place that no feed has any more is theirs; and so is, without its record, what we made of it.
            if self.plot.takes_over && may.contains(&None) {
                may.extend(said.iter().chain(&hands));
            }
            // Where the server writes anew what it gets, a write of ours whose answer was lost looks like an edit, and what
            // left the feed is left to its editor.
            if self.plot.keeps && self.habits.rewrites && may.contains(&None) {
                may.extend(said);
            }
        }
        let theirs = by_hand.into_iter().filter(|(place, _)| place.starts_with('f'));
        allowed.extend(theirs.map(|(place, may)| (place, may.into_iter().next_back().into_iter().collect())));
        allowed
    }

    /// What somebody wrote at each place, or that they deleted it.
    fn by_hand(&self) -> Allowed {
        let mut by_hand = Allowed::new();
        for edit in self.world.target.edits() {
            let Edit::Write(_, text) = &edit else { continue };
            let (place, says) = read(&String::from_utf8_lossy(text));
            let entry = by_hand.entry(place.clone()).or_default();
            if place.starts_with('f') {
                entry.clear();
            }
            // Whoever may have edited it may have deleted it too.
            entry.insert(Some(says));
        }
        if self.plot.keeps {
            for place in self.said.keys() {
                by_hand.entry(place.clone()).or_default().insert(None);
            }
        }
        by_hand
    }

    /// Somebody's own object that is not as they left it.
    fn touched(&self, mended: bool) -> Option<String> {
        let mut theirs: BTreeMap<String, Option<String>> = BTreeMap::new();
        // Only what a rule or a person lets us have may have been adopted.
        let has =
            |rule: OnConflict| self.world.mirrors.iter().any(|mirror| mirror.subscription.rules.on_conflict == rule);
        let takes_equal = has(OnConflict::Equal) || self.plot.takes_over;
        let takes_all = has(OnConflict::Adopt) || (mended && self.plot.takes_over);
        let mut adoptable = BTreeSet::new();
        for edit in self.world.target.edits() {
            match edit {
                Edit::Write(name, text) if name.starts_with("theirs") => {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    let (place, says) = read(&text);
                    let may_take = takes_all || (takes_equal && says < 100);
                    adoptable.extend((place.starts_with('u') && may_take).then(|| name.clone()));
                    theirs.insert(name, Some(text));
                }
                Edit::Remove(name) if name.starts_with("theirs") => drop(theirs.insert(name, None)),
                _ => {}
            }
        }
        let objects = self.world.target.objects();
        let touched =
            theirs.iter().find(|(name, text)| !adoptable.contains(*name) && objects.get(*name) != text.as_ref());
        touched.map(|(name, text)| format!("{name} is {:?}, not {text:?}", objects.get(name)))
    }

    /// An object of ours in which a guest stands who is to be left out.
    fn uninvited(&self) -> Option<String> {
        let objects = self.world.target.objects().into_iter();
        let mut invites = objects.filter(|(_, text)| self.plot.strips && text.contains("ATTENDEE"));
        invites.next().map(|(name, text)| format!("{name} has guests: {text}"))
    }

    /// An event that no subscription says it mirrors, or that two do.
    fn unmirrored(&self) -> Option<String> {
        let mut mirrored: BTreeMap<String, usize> = BTreeMap::new();
        for which in 0..self.feeds.len() {
            let recorded = self.world.recorded(which).into_iter();
            recorded.for_each(|(uid, is_mirrored)| *mirrored.entry(uid).or_default() += usize::from(is_mirrored));
        }
        let (suffix, wanted) = (self.suffix(), self.feeds.iter().flat_map(Events::keys));
        let mut wanted = wanted.map(|place| format!("{place}{suffix}"));
        wanted
            .find(|uid| mirrored.get(uid) != Some(&1))
            .map(|uid| format!("{uid} is mirrored {:?} times", mirrored.get(&uid)))
    }
}
