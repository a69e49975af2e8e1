//! A chapter of a story: the feed changes, somebody does something, and one pass goes well or badly.

use std::collections::BTreeSet;

use baikal_sync::config::OnConflict;
use baikal_sync::model::memory::HeldFor;
use baikal_sync::plan::TakeOver;
use baikal_sync::report::{Gate, Outcome, PassReport};
use baikal_sync::sync::Options;
use baikal_sync::words::error::Kind;

use super::plot::Plot;
use super::world::{Events, Mirror, calendar, mark_of, read};
use super::{EDITED, Story};
use crate::fake::memory::{Edit, Fuse, Meddler};

/// An object as somebody else puts it into the calendar.
fn theirs(place: &str, says: u64) -> Vec<u8> {
    calendar(&[(place.to_owned(), says)].into(), "", "").into_bytes()
}

impl Story {
    /// Where a person is to be asked whose the events are, others have most of them already, now and then.
    pub(super) fn crowd(&mut self) {
        let asks = |mirror: &Mirror| mirror.subscription.rules.on_conflict == OnConflict::Ask;
        if self.plot.contests && self.world.mirrors.iter().any(asks) && self.dice.one_in(2) {
            for place in (0..10).map(|number| format!("u{number}")) {
                self.world.target.edit(&Edit::Write(format!("theirs-{place}.ics"), theirs(&place, 100)));
            }
        }
    }

    /// One pass among changes and mishaps.
    pub(super) fn chapter(&mut self, which: usize) -> Result<(), String> {
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
        let has_meddler = !self.plot.trusts && self.dice.one_in(2) && self.meddle();
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
        let may_take = self.plot.takes_over && self.dice.one_in(4);
        let take_over = may_take.then_some(TakeOver::Ours);
        let approved = self.world.approved(which);
        let report = self.world.pass(which, Options { take_over, ..Options::default() });
        self.happened(&report);
        self.wrote_in_order(which, has_meddler, &approved, &report)?;
        self.world.target.set_fuse(None);
        let is_turned_back = self.plot.dies && self.world.turn_back();
        if !is_turned_back && matches!(report.outcome, Outcome::Changed | Outcome::Unchanged | Outcome::Partial) {
            self.settled[which] = Some(self.feeds[which].clone());
        }
        self.answer(which, &report);
        // A state that is lost forgets what is pending.
        if !self.plot.keeps && self.dice.one_in(if self.plot.trusts { 8 } else { 4 }) {
            self.tally.count("the state is lost", self.world.lose_state());
        }
        Ok(())
    }

    /// A person lets go what a pass held, or leaves it there.
    fn answer(&mut self, which: usize, report: &PassReport) {
        let Some(hold) = &report.held else { return };
        let may_answer = self.plot.takes_over || !hold.held_for.is_about_owners();
        if may_answer && self.dice.one_in(2) {
            let approved = self.world.approve(which);
            self.tally.count("deletions are approved", approved > 0);
        }
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
        let held_for = report.held.as_ref().map(|hold| hold.held_for);
        self.tally.count("deletions are held", held_for.is_some_and(|held_for| !held_for.is_about_owners()));
        self.tally.count("a person is asked whose the events are", held_for == Some(HeldFor::Occupied));
        self.tally.count("what had not ended is deleted beside what may stay", self.plot.ends && report.deleted > 0);
        self.tally.count("guests are left out", self.plot.strips && report.created > 0);
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
    pub(super) fn serve(&mut self, which: usize) {
        self.issue += 1;
        for (place, says) in &self.feeds[which] {
            self.said.entry(place.clone()).or_default().insert(Some(*says));
        }
        let guests = format!("ATTENDEE:mailto:guest-{}@example.org\r\n", self.issue);
        let guests = if self.plot.strips { guests } else { String::new() };
        let text = calendar(&self.feeds[which], &self.suffix(), &guests);
        self.world.mirrors[which].feed.set(text);
    }

    /// What stands behind the place in a UID.
    pub(super) fn suffix(&self) -> String {
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
                return Edit::Write(name, theirs(&place, says));
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
        if before == after { Ok(()) } else { Err(format!("a dry run made {after:#?} of {before:#?}")) }
    }

    /// Deletes come last, and not before everything else is there.
    fn wrote_in_order(
        &mut self,
        which: usize,
        meddled: bool,
        approved: &BTreeSet<String>,
        report: &PassReport,
    ) -> Result<(), String> {
        let writes = self.world.target.take_writes();
        let first_delete = writes.iter().position(|write| write.starts_with("DELETE"));
        let last_put = writes.iter().rposition(|write| write.starts_with("PUT"));
        if first_delete.is_some() && first_delete < last_put {
            return Err(format!("wrote after it deleted: {writes:?}"));
        }
        let deleted = || writes.iter().filter_map(|write| write.strip_prefix("DELETE "));
        self.tally.count("an approved deletion is carried out", deleted().any(|name| approved.contains(name)));
        let holds = report.outcome == Outcome::Held;
        if holds && !deleted().all(|name| approved.contains(name)) {
            return Err(format!("deleted what was held: {writes:?}, of which {approved:?} were approved"));
        }
        let Plot { keeps, contests, shares, .. } = self.plot;
        let standing = self.world.standing();
        // What the server did not take is to blame for nothing else.
        let refused = self.world.refused();
        let is_whole = self.feeds[which].keys().all(|place| standing.contains_key(place) || refused.contains(place));
        let is_disturbed = meddled || keeps || contests || shares;
        if first_delete.is_some() && !is_whole && !is_disturbed {
            return Err(format!("deleted before everything was there: {writes:?}"));
        }
        Ok(())
    }
}
