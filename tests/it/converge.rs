//! The one property: whatever is cut off, lost, refused, held or edited meanwhile, the target ends as the
//! feeds and what was never ours, the records equal the feeds, and the pass after that writes nothing.

mod plot;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use baikal_sync::config::{MaxDelete, OnConflict, OnDrift, OnEmpty, Verify};
use baikal_sync::report::{Gate, Outcome, PassReport};
use baikal_sync::sync::Options;
use baikal_sync::words::error::Kind;

use crate::fake::memory::{Edit, Fuse, Habits, Meddler, Memory};
use plot::{Dice, Plot, Tally};
use world::{Events, Mirror, World, calendar, is_idle, mark_of, places, read};

/// A place -> what may stand there; `None`: nothing.
type Allowed = BTreeMap<String, BTreeSet<Option<u64>>>;

/// From here on, events say what somebody made of them.
const EDITED: u64 = 1000;

struct Story {
    plot: Plot,
    habits: Habits,
    dice: Dice,
    world: World,
    /// What the feeds say now.
    feeds: Vec<Events>,
    /// What they said when a pass last settled.
    settled: Vec<Option<Events>>,
    /// How often the UIDs were issued anew.
    issue: u64,
    /// What the feeds ever said.
    said: Allowed,
    /// What the calendar refuses now.
    refused: BTreeSet<(String, u64)>,
    tally: Tally,
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
                subscription.rules.on_drift = OnDrift::Keep;
            }
            if plot.trusts {
                subscription.verify = Verify::Never;
            }
            if plot.holds {
                (subscription.rules.on_empty, subscription.rules.max_delete) = (OnEmpty::Hold, MaxDelete::Count(0));
            }
            if plot.contests && dice.one_in(2) {
                subscription.rules.on_conflict = OnConflict::Skip;
            }
        }
        let feeds = vec![Events::new(); mirrors.len()];
        let world = World::new(mirrors, Memory::new(habits));
        let (said, refused, mut tally) = (Allowed::new(), BTreeSet::new(), Tally::default());
        tally.count("two subscriptions share a calendar", plot.shares);
        let settled = vec![None; feeds.len()];
        Story { plot, habits, dice, world, settled, feeds, issue: 0, said, refused, tally }
    }

    /// Plays the story: what happened, and what went wrong.
    fn play(mut self) -> (Tally, Result<(), String>) {
        let played = self.play_all();
        (self.tally, played)
    }

    fn play_all(&mut self) -> Result<(), String> {
        // Going back takes a pass that settled and one that was cut off.
        let feeds = self.feeds.len();
        let passes = self.dice.at(4) + if self.plot.trusts || self.plot.holds { 3 } else { feeds };
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
            let breaks = !self.plot.refuses || self.dice.one_in(2);
            let lasts = if breaks { self.dice.one_in(2).then_some(1) } else { Some(1 + self.dice.at(3)) };
            // A write of ours whose answer was lost looks like an edit, and an edit that is kept keeps its UID from others.
            let gets_through = self.dice.one_in(2) && !(self.plot.keeps && self.plot.shares);
            let fuse = Fuse { after: self.dice.at(8), gets_through, breaks, lasts };
            self.world.target.set_fuse(Some(fuse));
        }
        let at = 1 + self.dice.at(12);
        if self.plot.dies && self.dice.one_in(2) {
            self.world.keep_state_at(at, self.plot.trusts || self.dice.one_in(2));
        } else if self.dice.one_in(4) {
            self.world.stop_at(at);
        }
        self.world.target.take_writes();
        self.tally.count("a pass begins while something is pending", self.world.is_pending(which));
        let report = self.world.pass(which, Options::default());
        self.happened(&report);
        self.wrote_in_order(which, meddled, &report)?;
        self.world.target.set_fuse(None);
        let is_turned_back = self.plot.dies && self.world.turn_back();
        if !is_turned_back && matches!(report.outcome, Outcome::Changed | Outcome::Unchanged | Outcome::Partial) {
            self.settled[which] = Some(self.feeds[which].clone());
        }
        // A state that is lost forgets what is pending.
        if !self.plot.keeps && self.dice.one_in(if self.plot.trusts { 8 } else { 4 }) {
            self.tally.count("the state is lost", self.world.lose_state());
        }
        Ok(())
    }

    /// Counts what happened in a pass.
    fn happened(&mut self, report: &PassReport) {
        self.world.target.take_mishaps().into_iter().for_each(|mishap| self.tally.count(mishap, true));
        self.tally.count("a pass is stopped", report.kind() == Some(Kind::Stopped));
        self.tally.count("the feed has not changed", report.feed.gate != Gate::None);
        self.tally.count("events come under new UIDs", report.renamed > 0);
        self.tally.count("an object is adopted", report.adopted > 0);
        self.tally.count("an object is restored", report.restored > 0);
        self.tally.count("an object is rejected", !report.rejected.is_empty());
        self.tally.count("a UID is left to its owner", !report.conflicts.is_empty());
        self.tally.count("deletions are held", report.held.is_some());
    }

    fn change_feed(&mut self, which: usize) {
        let goes_back = self.dice.one_in(if self.plot.trusts || self.plot.holds { 2 } else { 6 });
        let settled = self.settled[which].clone().filter(|settled| goes_back && *settled != self.feeds[which]);
        self.tally.count("the feed goes back to what was settled", settled.is_some());
        let shrinks = self.plot.holds && self.dice.one_in(3);
        self.feeds[which] = match settled {
            Some(settled) => settled,
            None if shrinks => self.shrunk(which),
            None => self.changed(which),
        };
        self.serve(which);
    }

    /// Almost nothing is left, and that says something else.
    fn shrunk(&mut self, which: usize) -> Events {
        let left: Vec<String> = self.feeds[which].keys().take(self.dice.at(4)).cloned().collect();
        left.into_iter().map(|place| (place, self.dice.below(5))).collect()
    }

    /// Some events came, some changed, some went.
    fn changed(&mut self, which: usize) -> Events {
        // Guards let ten deletions pass whatever they are told.
        let (size, changes, stay) =
            if self.plot.holds { (20, 20 + self.dice.below(20), 6) } else { (10, self.dice.below(10), 3) };
        let mut events = self.feeds[which].clone();
        for _ in 0..changes {
            let place = format!("u{}", self.dice.below(size));
            if self.dice.one_in(stay) {
                events.remove(&place);
            } else {
                events.insert(place, self.dice.below(5));
            }
        }
        events
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
        if ours.is_empty() || self.dice.one_in(if self.plot.contests { 2 } else { 3 }) {
            let contested = self.plot.contests && !self.dice.one_in(4);
            let of_feeds: Vec<&String> = self.feeds.iter().flat_map(Events::keys).filter(|_| contested).collect();
            let place = match of_feeds.len() {
                0 => format!("{}{}", if contested { "u" } else { "f" }, self.dice.below(3)),
                places => of_feeds[self.dice.at(places)].clone(),
            };
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
        let says = EDITED + self.dice.below(1_000_000_000);
        let old = format!("SUMMARY:says {}\r\n", read(text).1);
        Edit::Write(name.clone(), text.replace(&old, &format!("SUMMARY:says {says}\r\n")).into_bytes())
    }

    /// Somebody does something in the middle of the next pass; whether they do.
    fn meddle(&mut self) -> bool {
        let (at, does) = (1 + self.dice.at(8), self.somebody());
        let is_ours = |name: &str| !name.starts_with("theirs");
        // Where PUT tells no ETag, an edit between it and the settling cannot be told from what the server made.
        let undetectable = self.habits.rewrites && matches!(&does, Edit::Write(name, _) if is_ours(name));
        if undetectable {
            return false;
        }
        self.world.target.set_meddler(Some(Meddler { at, does }));
        true
    }

    fn dry_run_changes_nothing(&mut self, which: usize) -> Result<(), String> {
        let before = (self.world.target.objects(), self.world.state_in_words());
        let report = self.world.pass(which, Options { dry_run: true, ..Options::default() });
        let after = (self.world.target.objects(), self.world.state_in_words());
        self.tally.count("a dry run plans something", report.plan.as_ref().is_some_and(|plan| !plan.is_empty()));
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
        let Plot { keeps, contests, shares, .. } = self.plot;
        let standing = self.world.standing();
        // What the server did not take is to blame for nothing else.
        let refused = self.world.refused();
        let is_whole = self.feeds[which].keys().all(|place| standing.contains_key(place) || refused.contains(place));
        let is_disturbed = meddled || keeps || contests || shares;
        if first_delete.is_some() && !is_whole && !is_disturbed {
            return Err(format!("deleted before everything was there: {writes:?}\n{report:#?}"));
        }
        Ok(())
    }

    /// Takes everything away that kept the calendar from being what the feeds say.
    fn mend(&mut self) {
        self.refused.clear();
        self.world.target.refuse(BTreeSet::new());
        // An edit that was kept while its event left the feed of one subscription keeps its UID from the other.
        let keeps_away = |text: &str| self.plot.keeps && self.plot.shares && read(text).1 >= EDITED;
        for (name, text) in self.world.target.objects() {
            if name.starts_with("theirs-u") || (keeps_away(&text) && !name.starts_with("theirs")) {
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
    fn settles(&mut self, when: &str, mended: bool) -> Result<(), String> {
        // What was refused is not tried again otherwise; a hold is released without.
        let full = mended && (!self.world.refused().is_empty() || self.dice.one_in(2));
        let mut options = Options { allow_deletes: mended, full, ..Options::default() };
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
        let failed = |complaint: String| Err(format!("{when}: {complaint}\n{:?}\n{reports:#?}", self.plot));
        let held: Vec<bool> = reports.iter().rev().take(all.len()).rev().map(|report| report.held.is_some()).collect();
        let allowed = self.allowed(mended, held.contains(&true));
        let standing = self.world.standing();
        for (place, says) in &standing {
            // The forms under earlier UIDs are deletions that are held.
            let left = held.contains(&true) || self.world.refused().contains(place);
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
        if let Some(complaint) = self.touched() {
            return failed(complaint);
        }
        for which in all.clone() {
            let recorded: BTreeSet<String> = self.world.recorded(which).into_keys().collect();
            let suffix = self.suffix();
            let wanted: BTreeSet<String> =
                places(&self.feeds[which]).into_iter().map(|place| format!("{place}{suffix}")).collect();
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
                return Err(format!("{when}: the third pass of {which} wrote {writes:?}\n{:?}\n{idle:#?}", self.plot));
            }
        }
        Ok(())
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

/// Plays the stories of these seeds on every core; what happened, and what went wrong in which.
fn play(seeds: Range<u64>) -> (Tally, BTreeMap<u64, String>) {
    let next = AtomicU64::new(seeds.start);
    let told = Mutex::new((Tally::default(), BTreeMap::new()));
    let work = || {
        while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| seeds.contains(seed)) {
            let (tally, played) = Story::new(seed).play();
            let mut told = told.lock().unwrap();
            told.0.add(tally);
            told.1.extend(played.err().map(|wrong| (seed, wrong)));
        }
    };
    let cores = std::thread::available_parallelism().unwrap().get();
    std::thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    told.into_inner().unwrap()
}

#[test]
fn every_story_ends_with_the_feed_in_the_target_and_an_idle_pass() {
    // More of them, and others, for whoever has time.
    let number = |name: &str, usual| std::env::var(name).ok().map_or(usual, |text| text.parse().unwrap());
    let (first, stories) = (number("BAIKAL_TEST_SEED", 0), number("BAIKAL_TEST_STORIES", 2000));
    let (tally, broken) = play(first..first + stories);
    let first =
        broken.first_key_value().map(|(seed, wrong)| format!("{} stories, first {seed}: {wrong}", broken.len()));
    assert_eq!(first, None);
    println!("{tally:#?}");
    assert_eq!(tally.rarer_than(usize::try_from(stories / 100).unwrap()), []);
}
