//! The one property (design §2): whatever is cut off, lost, refused, held or edited meanwhile, the target ends as the
//! feeds and what was never ours, the records equal the feeds, and the pass after that writes nothing.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use baikal_sync::config::{MaxDelete, OnConflict, OnDrift, OnEmpty, Verify};
use baikal_sync::report::{Outcome, PassReport};
use baikal_sync::sync::Options;

use crate::fake::memory::{Edit, Fuse, Habits, Meddler, Memory};
use world::{Events, Mirror, World, calendar, is_idle, mark_of, places, read};

/// Numbers that look like chance and are the same in every run.
struct Dice(u64);

impl Dice {
    fn at(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(limit as u64)).unwrap()
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

/// What a story is about, besides cuts, edits and a lost state.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools)] // Each is thrown by the dice alone.
struct Plot {
    /// The feed issues new UIDs at every fetch.
    renames: bool,
    /// Two subscriptions mirror into one calendar, and their feeds hold the same UIDs now and then.
    shares: bool,
    /// The calendar refuses some objects, and the server stumbles over others.
    refuses: bool,
    /// `on_drift = "keep"`.
    keeps: bool,
    /// Guards are at work.
    holds: bool,
    /// Others put UIDs of the feed into the calendar.
    contests: bool,
    /// The state is turned back to a moment in the middle of a pass.
    dies: bool,
    /// Nobody else touches the calendar, nothing looks for drift, and the feed goes back to what it was now and then.
    trusts: bool,
}

impl Plot {
    fn new(dice: &mut Dice) -> Plot {
        let renames = dice.one_in(4);
        // An edit that is kept while its event gets another UID and another content cannot be told from someone's own.
        let keeps = !renames && dice.one_in(4);
        let trusts = !keeps && dice.one_in(4);
        // What is pending shows best where nothing is looked for.
        let often = if trusts { 2 } else { 4 };
        Plot {
            renames,
            shares: !renames && !trusts && dice.one_in(4),
            refuses: dice.one_in(4),
            keeps,
            holds: dice.one_in(often),
            contests: !renames && !trusts && dice.one_in(4),
            // Without its record, what we wrote is what someone else wrote.
            dies: !keeps && dice.one_in(often),
            trusts,
        }
    }
}

/// A place -> what may stand there; `None`: nothing.
type Allowed = BTreeMap<String, BTreeSet<Option<u64>>>;

struct Story {
    plot: Plot,
    habits: Habits,
    dice: Dice,
    world: World,
    /// What the feeds say now.
    feeds: Vec<Events>,
    /// What they said before.
    before: Vec<Events>,
    /// How often the UIDs were issued anew.
    issue: u64,
    /// What the feeds ever said.
    said: Allowed,
    /// What the calendar refuses now.
    refused: BTreeSet<(String, u64)>,
}

impl Story {
    fn new(seed: u64) -> Story {
        let mut dice = Dice(seed);
        let plot = Plot::new(&mut dice);
        let habits = Habits {
            tells_changes: !dice.one_in(3),
            rewrites: dice.one_in(3),
            one_uid: plot.contests || dice.one_in(2),
            connections: if dice.one_in(2) { 4 } else { 1 },
        };
        let mut mirrors = vec![Mirror::new("work")];
        mirrors.extend(plot.shares.then(|| Mirror::new("home")));
        for Mirror { subscription, .. } in &mut mirrors {
            if plot.keeps {
                subscription.on_drift = OnDrift::Keep;
            }
            if plot.trusts {
                subscription.verify = Verify::Never;
            }
            if plot.holds {
                (subscription.on_empty, subscription.max_delete) = (OnEmpty::Hold, MaxDelete::Count(0));
            }
            if plot.contests && dice.one_in(2) {
                subscription.on_conflict = OnConflict::Skip;
            }
        }
        let feeds = vec![Events::new(); mirrors.len()];
        let world = World::new(mirrors, Memory::new(habits), plot.dies);
        let (said, refused) = (Allowed::new(), BTreeSet::new());
        Story { plot, habits, dice, world, before: feeds.clone(), feeds, issue: 0, said, refused }
    }

    /// Plays the story and gives what went wrong in it.
    fn play(mut self) -> Result<(), String> {
        // Going back takes a pass that settled and one that was cut off.
        let feeds = self.feeds.len();
        let passes = self.dice.at(4) + if self.plot.trusts { 3 } else { feeds };
        for number in 0..passes {
            let which = if number < feeds { number } else { self.dice.at(feeds) };
            self.chapter(which)?;
        }
        self.world.target.set_meddler(None);
        self.settles("left alone", false)?;
        self.mend();
        self.settles("mended", true)
    }

    /// One pass among changes and mishaps.
    fn chapter(&mut self, which: usize) -> Result<(), String> {
        self.change_feed(which);
        if self.plot.refuses {
            self.refuse();
        }
        self.world.target.set_meddler(None);
        if !self.plot.trusts && self.dice.one_in(2) {
            let edit = self.somebody();
            self.world.target.edit(&edit);
        }
        if self.dice.one_in(4) {
            self.dry_run_changes_nothing(which)?;
        }
        let meddled = !self.plot.trusts && self.dice.one_in(2) && self.meddle();
        if self.dice.one_in(2) {
            let lasts = (self.plot.refuses && self.dice.one_in(2)).then(|| 1 + self.dice.at(3));
            let fuse = Fuse { after: self.dice.at(8), gets_through: self.dice.one_in(2), lasts };
            self.world.target.set_fuse(Some(fuse));
        }
        let at = 1 + self.dice.at(12);
        if self.plot.dies && self.dice.one_in(2) {
            self.world.keep_state_at(at, self.plot.trusts || self.dice.one_in(2));
        } else if self.dice.one_in(4) {
            self.world.stop_at(at);
        }
        self.world.target.take_writes();
        let report = self.world.pass(which, Options::default());
        self.wrote_in_order(which, meddled, &report)?;
        self.world.target.set_fuse(None);
        if self.plot.dies {
            self.world.turn_back();
        }
        if !self.plot.keeps && self.dice.one_in(4) {
            self.world.lose_state();
        }
        Ok(())
    }

    fn change_feed(&mut self, which: usize) {
        // Guards let a few deletions pass whatever they are told.
        let (size, changes) = if self.plot.holds { (20, 40) } else { (10, 10) };
        let mut next = self.feeds[which].clone();
        for _ in 0..self.dice.below(changes) {
            let place = format!("u{}", self.dice.below(size));
            if self.dice.one_in(3) {
                next.remove(&place);
            } else {
                next.insert(place, self.dice.below(5));
            }
        }
        if self.plot.holds && self.dice.one_in(4) {
            let left = self.dice.at(3);
            next = next.into_iter().take(left).collect();
        }
        if self.plot.trusts && !self.dice.one_in(3) {
            next.clone_from(&self.before[which]);
        }
        self.before[which] = std::mem::replace(&mut self.feeds[which], next);
        self.serve(which);
    }

    /// The feed says what it says now, under UIDs that may be new.
    fn serve(&mut self, which: usize) {
        self.issue += 1;
        for (place, says) in &self.feeds[which] {
            self.said.entry(place.clone()).or_default().insert(Some(*says));
        }
        let text = calendar(&self.feeds[which], &self.suffix());
        self.world.mirrors[which].feed.set(text);
    }

    /// What stands behind the place in a UID.
    fn suffix(&self) -> String {
        if self.plot.renames { format!("-{}", self.issue) } else { String::new() }
    }

    fn refuse(&mut self) {
        for _ in 0..self.dice.below(6) {
            let event = (format!("u{}", self.dice.below(10)), self.dice.below(5));
            if !self.refused.remove(&event) {
                self.refused.insert(event);
            }
        }
        self.world.target.refuse(self.refused.iter().map(|(place, says)| mark_of(place, *says)).collect());
    }

    /// Somebody edits or deletes an object of the calendar, or adds one of their own.
    fn somebody(&mut self) -> Edit {
        let objects = self.world.target.objects();
        let ours: Vec<(&String, &String)> = objects.iter().filter(|(name, _)| !name.starts_with("theirs")).collect();
        if ours.is_empty() || self.dice.one_in(3) {
            let contested = self.plot.contests && self.dice.one_in(2);
            let place =
                if contested { format!("u{}", self.dice.below(10)) } else { format!("f{}", self.dice.below(3)) };
            // Now and then just what the feed says of it too.
            let says = self.dice.below(5) + if self.dice.one_in(2) { 100 } else { 0 };
            let name = format!("theirs-{place}.ics");
            let is_there = objects.iter().any(|(other, text)| *other != name && read(text).0 == place);
            if !is_there {
                return Edit::Write(name, calendar(&[(place, says)].into(), "").into_bytes());
            }
        }
        let Some((name, text)) = (!ours.is_empty()).then(|| ours[self.dice.at(ours.len())]) else {
            return Edit::Remove("nothing.ics".to_owned());
        };
        if self.dice.one_in(2) {
            return Edit::Remove(name.clone());
        }
        // Never the same edit twice: a form that comes back is taken for the server's own.
        let says = 1000 + self.dice.below(1_000_000_000);
        let old = format!("SUMMARY:says {}\r\n", read(text).1);
        Edit::Write(name.clone(), text.replace(&old, &format!("SUMMARY:says {says}\r\n")).into_bytes())
    }

    /// Somebody does something in the middle of the next pass; whether they do.
    fn meddle(&mut self) -> bool {
        let (at, does) = (1 + self.dice.at(8), self.somebody());
        let is_ours = |name: &str| !name.starts_with("theirs");
        // Where PUT tells no ETag, an edit between it and the settling cannot be told from what the server made.
        let undetectable = self.habits.rewrites && matches!(&does, Edit::Write(name, _) if is_ours(name));
        // What was chosen before the pass may be doubled by it where a calendar allows that.
        let doubles = self.plot.contests && matches!(&does, Edit::Write(name, _) if !is_ours(name));
        if undetectable || doubles {
            return false;
        }
        self.world.target.set_meddler(Some(Meddler { at, does }));
        true
    }

    fn dry_run_changes_nothing(&self, which: usize) -> Result<(), String> {
        let before = (self.world.target.objects(), self.world.state_in_words());
        let report = self.world.pass(which, Options { dry_run: true, ..Options::default() });
        let after = (self.world.target.objects(), self.world.state_in_words());
        if before == after { Ok(()) } else { Err(format!("a dry run made {after:#?} of {before:#?}\n{report:#?}")) }
    }

    /// Deletes come last, and not before everything else is there.
    fn wrote_in_order(&self, which: usize, meddled: bool, report: &PassReport) -> Result<(), String> {
        let writes = self.world.target.take_writes();
        let first_delete = writes.iter().position(|write| write.starts_with("DELETE"));
        let last_put = writes.iter().rposition(|write| write.starts_with("PUT"));
        if first_delete.is_some() && first_delete < last_put {
            return Err(format!("wrote after it deleted: {writes:?}\n{report:#?}"));
        }
        if first_delete.is_some() && report.outcome == Outcome::Held {
            return Err(format!("deleted what was held: {writes:?}\n{report:#?}"));
        }
        let Plot { refuses, keeps, contests, shares, .. } = self.plot;
        let standing = self.world.standing();
        let is_whole = self.feeds[which].keys().all(|place| standing.contains_key(place));
        let is_disturbed = meddled || refuses || keeps || contests || shares;
        if first_delete.is_some() && !is_whole && !is_disturbed {
            return Err(format!("deleted before everything was there: {writes:?}\n{report:#?}"));
        }
        Ok(())
    }

    /// Takes everything away that kept the calendar from being what the feeds say.
    fn mend(&mut self) {
        self.refused.clear();
        self.world.target.refuse(BTreeSet::new());
        for name in self.world.target.objects().into_keys().filter(|name| name.starts_with("theirs-u")) {
            self.world.target.edit(&Edit::Remove(name));
        }
        for which in 0..self.feeds.len() {
            if self.plot.keeps {
                self.feeds[which].values_mut().for_each(|says| *says += 10);
            }
            self.serve(which);
        }
    }

    /// After two quiet passes everything is as it should be, and a third one writes nothing.
    fn settles(&mut self, when: &str, mended: bool) -> Result<(), String> {
        let options = Options { allow_deletes: mended, full: mended, ..Options::default() };
        let all = 0..self.feeds.len();
        let mut reports = Vec::new();
        for _ in 0..2 {
            reports.extend(all.clone().map(|which| self.world.pass(which, options)));
        }
        let failed = |complaint: String| Err(format!("{when}: {complaint}\n{:?}\n{reports:#?}", self.plot));
        let held: Vec<bool> = reports.iter().rev().take(all.len()).rev().map(|report| report.held.is_some()).collect();
        let allowed = self.allowed(mended, held.contains(&true));
        let standing = self.world.standing();
        for (place, says) in &standing {
            // The forms under earlier UIDs are deletions that are held.
            let doubled = says.len() > 1 && !(self.plot.renames && held.contains(&true));
            let may = |says: &u64| allowed.get(place).is_some_and(|allowed| allowed.contains(&Some(*says)));
            if doubled || !says.iter().any(may) {
                return failed(format!("{place} says {says:?} and may {:?}", allowed.get(place)));
            }
        }
        let missing = |(place, may): &(&String, &BTreeSet<_>)| !may.contains(&None) && !standing.contains_key(*place);
        if let Some((place, _)) = allowed.iter().find(missing) {
            return failed(format!("{place} is missing"));
        }
        if let Some(complaint) = self.touched() {
            return failed(complaint);
        }
        for which in all.clone() {
            let recorded: BTreeSet<String> = self.world.recorded(which).into_keys().collect();
            let suffix = self.suffix();
            let wanted: BTreeSet<String> =
                places(&self.feeds[which]).into_iter().map(|place| format!("{place}{suffix}")).collect();
            let exact = !held[which] && !self.plot.keeps;
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
                return Err(format!("{when}: the third pass of {which} wrote {writes:?}\n{:?}\n{idle:#?}", self.plot));
            }
        }
        Ok(())
    }

    /// What may stand at each place, and whether it must.
    fn allowed(&self, mended: bool, held: bool) -> Allowed {
        let mut allowed = self.said.clone();
        let by_hand = self.by_hand();
        by_hand.keys().filter(|place| place.starts_with('u')).for_each(|place| {
            allowed.entry(place.clone()).or_default();
        });
        for (place, may) in &mut allowed {
            let said = may.clone();
            let wanted: BTreeSet<Option<u64>> =
                self.feeds.iter().filter_map(|feed| feed.get(place)).map(|says| Some(*says)).collect();
            let hands = by_hand.get(place).cloned().unwrap_or_default();
            let kept_back = !mended
                && (self.plot.contests
                    || (held && (wanted.is_empty() || self.plot.shares))
                    || (self.plot.refuses && !wanted.is_empty()));
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
                may.extend(hands);
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
    fn touched(&self) -> Option<String> {
        let mut theirs: BTreeMap<String, Option<String>> = BTreeMap::new();
        // Where it says what the feed says it may have been adopted.
        let mut adoptable = BTreeSet::new();
        for edit in self.world.target.edits() {
            match edit {
                Edit::Write(name, text) if name.starts_with("theirs") => {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    let (place, says) = read(&text);
                    adoptable.extend((place.starts_with('u') && says < 100).then(|| name.clone()));
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

#[test]
fn every_story_ends_with_the_feed_in_the_target_and_an_idle_pass() {
    // More of them, and others, for whoever has time.
    let number = |name: &str, usual| std::env::var(name).ok().map_or(usual, |text| text.parse().unwrap());
    let first = number("BAIKAL_TEST_SEED", 0);
    let seeds = first..first + number("BAIKAL_TEST_STORIES", 1000);
    let broken: Vec<(u64, String)> = seeds.filter_map(|seed| Some((seed, Story::new(seed).play().err()?))).collect();
    let first = broken.first().map(|(seed, told)| format!("{} stories, first {seed}: {told}", broken.len()));
    assert_eq!(first, None);
}
