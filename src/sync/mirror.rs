//! Brings the target in line with a feed that was read: look, plan, write, settle.

use std::collections::{HashMap, HashSet};

use super::apply::Stage;
use super::aside::PutAside;
use super::carry_over::carry_over;
use super::claim::Claimed;
use super::gates::Fresh;
use super::gather::{Reading, read};
use super::known::Known;
use super::look::Look;
use super::matched::Matched;
use super::record::Recorder;
use super::seen::{Judge, Seen};
use super::settle::settle;
use super::{FORM, Run, TARGET, identity};
use crate::db::state::{ForeignObject, Id, Intent};
use crate::ics::{Feed, Resource};
use crate::model::memory::{HeldFor, Hold, Memory};
use crate::model::{Etag, Href, Mark, Occupant, Record};
use crate::plan::{Delete, Deletes, Facts, Note, Op, Plan, Policy, Put, guard_again, plan, refused_for};
use crate::sync::execute::Executor;
use crate::words::error::{Kind, fault, kind_of};
use crate::words::message::Why;
use crate::words::time::Timestamp;

/// What a settled pass leaves for the next one.
pub(super) struct Changes {
    /// The target as the records describe it.
    pub(super) mark: Mark,
    /// Whether everything was listed.
    pub(super) listed: bool,
    /// The href written last; `None` if nothing was written.
    pub(super) last_written: Option<Href>,
    /// When the earliest refused object is tried again.
    pub(super) retry_rejected_at: Option<Timestamp>,
    /// How many objects of the feed are refused and not in the target in any form.
    pub(super) refused: u64,
}

/// How a round ended.
enum Round {
    /// The whole plan is on the target and in the records.
    Settled(Changes),
    /// Objects had other versions than expected; everything else except the deletes is done.
    Stale,
}

impl Run<'_, '_> {
    /// Looks (unless `seen` is given), plans, writes and settles; a second time if somebody changed objects
    /// meanwhile.
    pub(super) fn change(&mut self, fresh: Fresh, seen: Option<Look>) -> anyhow::Result<(Changes, Fresh)> {
        let abilities = match self.open() {
            Err(error) if self.pass.options.dry_run && self.may_create() && kind_of(&error) == Kind::Missing => {
                return Ok((self.show_all(&fresh.feed)?, fresh));
            }
            abilities => abilities?,
        };
        // The kind of server may be known only now.
        self.shape.schedule_agent = abilities.needs_schedule_agent;
        let fresh = fresh.reshaped(self.shape);
        let feed = &fresh.feed;
        if let Round::Settled(changes) = self.round(feed, seen, self.pass.options.full)? {
            return Ok((changes, fresh));
        }
        match self.round(feed, None, true)? {
            Round::Settled(changes) => Ok((changes, fresh)),
            Round::Stale => Err(fault(Kind::Internal, "the second round left something undecided; please report this")),
        }
    }

    /// The dry run for a target that a real run would create.
    fn show_all(&mut self, feed: &Feed) -> anyhow::Result<Changes> {
        let known = self.known()?;
        let matched = self.matched(feed, &known);
        let plan = self.plan(&matched, &Seen::default());
        self.show(&plan, &matched, &known)?;
        Ok(Changes::without_writes(Mark::default(), false))
    }

    fn matched<'f>(&self, feed: &'f Feed, known: &'f Known) -> Matched<'f>
    where
        Self: 'f,
    {
        let prefix = known.prefixes.first().map(|prefix| prefix.text.as_str()).unwrap_or_default();
        Matched::new(feed, &known.records, prefix, self.pass.zone)
    }

    fn round(&mut self, feed: &Feed, seen: Option<Look>, everything: bool) -> anyhow::Result<Round> {
        self.rounds += 1;
        let known = self.known()?;
        let end = self.target();
        let matched = self.matched(feed, &known);
        let everything = everything || matched.has_doubtful_orphans();
        let look = match seen {
            Some(look) if look.listed || !everything => look,
            _ => {
                end.collection.begin(Why::Look);
                end.look(end.collection.mark()?, &known.expected(), everything)?
            }
        };
        let is_older = self.memory.form.is_some_and(|form| form != FORM);
        let is_new = known.records.values().all(|record| record.base().is_none()) && !feed.objects().is_empty();
        let judge = |resource: &Resource| resource.end_of_last_occurrence(self.pass.zone).had_ended(self.started);
        let judges = self.pass.subscription.rules.deletes == Deletes::Future;
        let had_ended = judges.then_some(&judge as &Judge<'_>);
        let what = Reading { is_new, compare_all: is_older, had_ended };
        let (look, mut seen) = read(&end, look, &known, &matched, &what)?;
        let mut prefixes = None;
        let mut named = std::mem::take(&mut seen.astray);
        match self.claim(&mut seen, &matched) {
            Claimed::None => {}
            Claimed::Draw => return Ok(Round::Settled(self.hold_everything())),
            Claimed::Ours(ours, objects) => {
                seen.is_claimed = true;
                named.extend(objects);
                prefixes = Some(ours);
            }
        }
        let named = seen.take_named(named, &matched, prefixes.as_deref().unwrap_or(&known.prefixes));
        // The state was lost, and meanwhile the feed issued new UIDs.
        let recognised = matched.recognised(&seen.nameless, &seen.remote.present);
        seen.forget_unrecorded(&recognised);
        if prefixes.is_none() && named.is_empty() && recognised.is_empty() && !is_older {
            return self.act(&look, &seen, &known, &matched);
        }
        // Until this pass settles, the state does not know these objects, so the last mark no longer vouches for it.
        self.memory.ends[TARGET].mark = Mark::default();
        let mut more = known.clone();
        if is_older {
            more.is_carried_over = true;
            more.records =
                carry_over(&known.records, feed, &matched, &mut seen, self.pass.subscription.rules.on_conflict);
        }
        if let Some(prefixes) = prefixes {
            (more.prefixes, more.prefixes_are_new) = (prefixes, true);
        }
        let found = named.into_iter().chain(recognised);
        more.records.extend(found.map(|record| (record.key.clone(), record)));
        let matched = self.matched(feed, &more);
        self.act(&look, &seen, &more, &matched)
    }

    /// Does nothing until a person says who owns the existing objects.
    fn hold_everything(&mut self) -> Changes {
        let reason = "the calendar has events that this subscription and another one could have put there, and no record \
                      says which of them did";
        let held_for = HeldFor::Draw;
        self.report.held = Some(Hold { deletes: 0, held_for, reason: reason.to_owned(), said_at: None });
        // What was read is not remembered, so no mark may vouch for it.
        Changes::without_writes(Mark::default(), false)
    }

    /// Plans, then executes the plan or shows it.
    fn act(&mut self, look: &Look, seen: &Seen, known: &Known, matched: &Matched<'_>) -> anyhow::Result<Round> {
        let plan = self.plan(matched, seen);
        self.report.held.clone_from(&plan.hold);
        // What an earlier round wrote counts as unchanged in this one.
        let before = self.report.created + self.report.updated + self.report.adopted;
        self.report.unchanged = untouched(matched, &plan).saturating_sub(before);
        if self.pass.options.dry_run {
            self.show(&plan, matched, known)?;
            if plan.writes() {
                self.check_rights()?;
            }
            return Ok(Round::Settled(Changes::without_writes(look.mark.clone(), look.listed)));
        }
        self.carry_out(&plan, look, seen, known, matched)
    }

    fn plan(&self, matched: &Matched<'_>, seen: &Seen) -> Plan {
        plan(&self.facts(matched, seen), &self.policy())
    }

    fn facts<'a>(&self, matched: &'a Matched<'_>, seen: &'a Seen) -> Facts<'a> {
        let last_objects = self.memory.objects.map(|objects| objects.saturating_sub(self.memory.refused));
        Facts {
            wanted: &matched.wanted,
            orphans: &matched.orphans,
            unrecorded: &seen.unrecorded,
            is_claimed: seen.is_claimed,
            claimed: &seen.claimed,
            remote: &seen.remote,
            last_objects,
            now: self.started,
        }
    }

    /// Checks what a dry run cannot try: whether we may write at all.
    fn check_rights(&self) -> anyhow::Result<()> {
        self.pass.target.begin(Why::Probe);
        if self.pass.target.rights()?.write {
            return Ok(());
        }
        Err(fault(Kind::Refused, "the user has no right to write there: a real run would change nothing"))
    }

    fn carry_out(
        &mut self,
        plan: &Plan,
        look: &Look,
        seen: &Seen,
        known: &Known,
        matched: &Matched<'_>,
    ) -> anyhow::Result<Round> {
        let intents = intents(plan, matched);
        let id = self.begin(plan, seen, known, &intents)?;
        // Asked again, without a request: now that the round trip is known, so is the useful number of connections.
        let connections = self.open()?.connections;
        let stage = Stage {
            executor: Executor { collection: self.pass.target, connections, stop: self.pass.stop },
            matched,
            total: plan.puts.len() + plan.deletes.len(),
            progress: self.pass.progress,
        };
        let on_drift = self.pass.subscription.rules.on_drift;
        let (facts, policy) = (self.facts(matched, seen), self.policy());
        let mut recorder = Recorder::new(self.pass.state, id, self.started, matched, known, seen, self.report);
        recorder.is_last_round = self.rounds > 1;
        recorder.on_drift = on_drift;
        recorder.journal = intents.into_iter().chain(known.journal.iter().cloned()).map(|(href, _)| href).collect();
        plan.notes.iter().try_for_each(|note| recorder.note(note))?;
        let mut aside = PutAside {
            collection: self.pass.target,
            state: self.pass.state,
            id,
            now: self.started,
            bodies: &seen.bodies,
            done: HashSet::new(),
        };
        aside.before(&plan.puts, &plan.deletes)?;
        stage.put(&plan.puts, &mut recorder)?;
        let mut more = refused_before(&stage, &facts, &policy, &plan.deletes, &mut aside, &mut recorder)?;
        // A pass that holds deletions must not retry refused ones either.
        more.retain(|_| plan.hold.is_none());
        if recorder.stale.is_empty() && recorder.uid_taken.is_empty() {
            let (notes, deletes) = match guard_again(plan, &facts, &policy, &recorder.refused_creates) {
                Some(Plan { notes, deletes, hold, .. }) => {
                    recorder.report.held = hold;
                    (notes, deletes)
                }
                None => (Vec::new(), plan.deletes.iter().cloned().chain(more).collect()),
            };
            notes.iter().try_for_each(|note| recorder.note(note))?;
            aside.before(&[], &deletes)?;
            stage.delete(&deletes, on_drift, &mut recorder)?;
            let more = refused_before(&stage, &facts, &policy, &[], &mut aside, &mut recorder)?;
            let is_decided = recorder.stale.is_empty() && recorder.uid_taken.is_empty();
            if recorder.report.held.is_none() && is_decided {
                aside.before(&[], &more)?;
                stage.delete(&more, on_drift, &mut recorder)?;
            }
        }
        let held = recorder.report.held.is_some();
        let settled = settle(self.pass.target, look, &recorder.wrote)?;
        let mut mark = recorder.settled(settled)?;
        let is_known = |record: &&Record| {
            let standing = record.href().and_then(|href| seen.remote.present.get(href));
            standing.is_none() || standing == record.etag()
        };
        if held && !(seen.unrecorded.is_empty() && matched.orphans.iter().all(is_known)) {
            // No record shows these objects: the next pass finds what is held only with a listing.
            mark = Mark::default();
        }
        if !(recorder.stale.is_empty() && recorder.uid_taken.is_empty()) {
            return Ok(Round::Stale);
        }
        let last_written = recorder.last_written;
        let (retry_rejected_at, refused) = self.pass.state.read(move |state| state.refusals(id))?;
        Ok(Round::Settled(Changes { mark, listed: look.listed, last_written, retry_rejected_at, refused }))
    }

    /// Makes sure that the subscription is in the state, and that a pass that dies while writing does not count as
    /// settled: the journal has what it is about to write, and no feed is remembered until it settles.
    fn begin(&mut self, plan: &Plan, seen: &Seen, known: &Known, intents: &[Intent]) -> anyhow::Result<Id> {
        let identity = identity(self.pass.subscription);
        // A hold is marked in the record, so the gates must not skip it if the feed goes back.
        let writes = plan.writes() || plan.notes.iter().any(|note| matches!(note, Note::Hold { .. }));
        let prefixes = if known.prefixes_are_new { known.prefixes.clone() } else { Vec::new() };
        self.began |= writes;
        let released = released(plan, &seen.remote.present, known).chain(left_alone(plan, seen));
        let foreign: Vec<ForeignObject> = seen.foreign.iter().cloned().chain(released).collect();
        let old: HashSet<_> = known.foreign.iter().collect();
        let foreign_changed = old.len() != foreign.len() || foreign.iter().any(|object| !old.contains(object));
        let foreign = foreign_changed.then_some(foreign);
        let memory = writes.then(|| Memory { feed: None, ..self.memory.clone() });
        let intents = intents.to_vec();
        let carried = known.is_carried_over.then(|| known.records.values().cloned().collect::<Vec<_>>());
        let id = self.pass.state.write(move |state| {
            let id = state.subscription(&identity)?;
            memory.map_or(Ok(()), |memory| state.remember(id, &memory))?;
            if !prefixes.is_empty() {
                state.set_prefixes(id, &prefixes)?;
            }
            carried.map_or(Ok(()), |records| state.set_records(id, &records))?;
            state.add_to_journal(id, &intents)?;
            foreign.map_or(Ok(()), |foreign| state.set_foreign_objects(id, &foreign))?;
            Ok(id)
        })?;
        if writes {
            self.pass.state.commit()?;
        }
        self.id = Some(id);
        Ok(id)
    }
}

impl Changes {
    fn without_writes(mark: Mark, listed: bool) -> Changes {
        Changes { mark, listed, last_written: None, retry_rejected_at: None, refused: 0 }
    }
}

/// After an object was accepted that had been refused before, retries the others that were refused for the same
/// cause. Returns the deletions among them that are not in `planned`.
fn refused_before(
    stage: &Stage<'_>,
    facts: &Facts<'_>,
    policy: &Policy,
    planned: &[Delete],
    aside: &mut PutAside<'_>,
    recorder: &mut Recorder<'_>,
) -> anyhow::Result<Vec<Delete>> {
    let mut deletes = Vec::new();
    let mut collected: HashSet<Href> = planned.iter().map(|delete| delete.href.clone()).collect();
    while !recorder.causes.is_empty() {
        let causes = std::mem::take(&mut recorder.causes);
        let (puts, more) = refused_for(facts, policy, &causes, &recorder.tried);
        aside.before(&puts, &[])?;
        stage.put(&puts, recorder)?;
        deletes.extend(more.into_iter().filter(|delete| collected.insert(delete.href.clone())));
    }
    Ok(deletes)
}

/// What the writes of a plan are to leave behind: otherwise a write whose answer was lost would look like an edit.
fn intents(plan: &Plan, matched: &Matched<'_>) -> Vec<Intent> {
    let hash = |put: &Put| matched.wanted(put.key()).map(|wanted| wanted.hash);
    let puts = plan.puts.iter().filter_map(|put| Some((put.place().href.clone(), Some(hash(put)?))));
    puts.chain(plan.deletes.iter().map(|delete| (delete.href.clone(), None))).collect()
}

/// Objects under our prefix that no step touches. They need not be read again.
fn left_alone<'a>(plan: &Plan, seen: &'a Seen) -> impl Iterator<Item = ForeignObject> + 'a {
    let touched: HashSet<Href> = plan.ops().iter().filter_map(|op| op.href().cloned()).collect();
    // The next pass must find again what a guard holds back.
    let is_held = plan.hold.is_some();
    let left = seen.unrecorded.iter().filter(move |href| !is_held && !touched.contains(href));
    left.filter_map(|href| {
        let found = seen.remote.found.get(href)?;
        Some((href.clone(), found.etag.clone(), found.key.clone()))
    })
}

/// Objects that the plan leaves to whoever edited them.
fn released<'a>(
    plan: &'a Plan,
    present: &'a HashMap<Href, Etag>,
    known: &'a Known,
) -> impl Iterator<Item = ForeignObject> + 'a {
    let forgotten = plan.notes.iter().filter_map(|note| match note {
        Note::Forget { key } => known.records.get(key),
        _ => None,
    });
    forgotten.filter_map(|record| {
        let href = record.href()?;
        Some((href.clone(), present.get(href)?.clone(), Some(record.key.clone())))
    })
}

/// How many objects of the feed no step touches, or only one that leaves them to someone who has the same.
fn untouched(matched: &Matched<'_>, plan: &Plan) -> u64 {
    let is_equal = |op: &&Op| !matches!(op, Op::Note(Note::Leave { occupant: Occupant::Equal, .. }));
    let ops = plan.ops();
    let touched: HashSet<_> = ops.iter().filter(is_equal).filter_map(Op::key).collect();
    matched.wanted.iter().filter(|wanted| !touched.contains(wanted.key)).count() as u64
}
