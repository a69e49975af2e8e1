//! One pass over one subscription, from the feed to the record: gates, look, plan, writes, settling.

mod apply;
mod aside;
mod carry_over;
mod claim;
mod dry_run;
pub mod execute;
#[cfg(test)]
mod fake;
pub mod forget;
mod gates;
mod gather;
mod known;
mod look;
mod matched;
mod mirror;
mod open;
mod reading;
mod record;
mod seen;
mod settle;

use std::sync::LazyLock;
use std::time::{Instant, SystemTime};

use crate::collection::Collection;
use crate::config::{Subscription, TargetAddress, Verify};
use crate::db::state::{Handle, Id, Identity};
use crate::feed::Source;
use crate::ics::Shape;
use crate::model::memory::{EndMemory, Failing, Memory};
use crate::model::{End, Ends, Hash};
use crate::plan::backoff::{self, Turn, Wish};
use crate::plan::{Named, Policy, TakeOver};
use crate::report::{Outcome, PassReport, Say};
use crate::signal::Stop;
use crate::words::digest;
use crate::words::error::{Kind, fault_of, kind_of};
use crate::words::message::Why;
use crate::words::time::{DAY, Timestamp, Zone};

pub use claim::Configured;
use gates::{Fresh, Gated};
use look::{Look, OpenEnd};

/// Changes whenever the hash of an object or the form in which we write it does. Records of another form are compared
/// with the target again; equal objects are not rewritten.
const FORM: u32 = 3;
/// The ends of a mirror.
const SOURCE: End = End::A;
const TARGET: End = End::B;
/// A lasting problem is reported again after this many seconds.
const SAY_EVERY: u64 = DAY;

/// How to run a pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Options {
    /// Override back-off and due time.
    pub force: bool,
    /// Trust nothing remembered.
    pub full: bool,
    /// Plan only; write neither target nor state.
    pub dry_run: bool,
    /// Execute the deletions that a guard holds.
    pub allow_deletes: bool,
    /// Take over existing objects in the target that have UIDs of the feed.
    pub take_over: Option<TakeOver>,
    /// The subscription was named on the command line, so its interval is ignored.
    pub asked: bool,
    /// A person waits for the answer, so interval and back-off are ignored.
    pub attended: bool,
}

/// Everything that a pass needs.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    /// The settings.
    pub subscription: &'a Subscription,
    /// The feed.
    pub source: &'a dyn Source,
    /// The target.
    pub target: &'a dyn Collection,
    /// The state.
    pub state: &'a Handle,
    /// The request to stop.
    pub stop: &'a Stop,
    /// The machine's time zone, for whole days and floating times; determined when needed.
    pub zone: &'a LazyLock<Zone>,
    /// How to run it.
    pub options: Options,
    /// Receives how many writes are done, and how many there are.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
    /// Locks the collections at these addresses before anything there is trusted: one writer per collection. Does
    /// nothing if it has locked just these already.
    pub claim: &'a (dyn Fn(&[String]) -> anyhow::Result<()> + Sync),
    /// Checks what needs no request: secrets, certificates, files.
    pub preflight: &'a (dyn Fn() -> anyhow::Result<()> + Sync),
    /// Fingerprints the files that settings, secrets and certificates come from, to notice changes.
    pub inputs: &'a (dyn Fn() -> Hash + Sync),
    /// The configured subscriptions: others in the state have no claim any more.
    pub configured: &'a Configured,
    /// What the other configured subscriptions without records want in the calendar at this address.
    pub rivals: &'a (dyn Fn(&str) -> Vec<Vec<Named>> + Sync),
    /// Four unpredictable octets.
    pub chance: &'a (dyn Fn() -> anyhow::Result<[u8; 4]> + Sync),
    /// When the last pass began, if it was killed before it ended.
    pub killed: Option<Timestamp>,
    /// Notes that a pass has begun, before its first request.
    pub begin: &'a (dyn Fn(Timestamp) -> anyhow::Result<()> + Sync),
}

/// Runs a pass. The outcome is in the report, and in the state unless this is a dry run.
pub fn pass(pass: &Pass<'_>) -> PassReport {
    let (clock, started) = (Instant::now(), now());
    let mut report = PassReport::new(&pass.subscription.name);
    if let Err(error) = pass.attempt(&mut report, started) {
        report.outcome = Outcome::Failed;
        report.error = Some(fault_of(&error));
        // A failing state cannot remember that a person was notified.
        report.say = Say::Trouble;
    }
    report.duration_ms = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
    report
}

/// What distinguishes a subscription from others in the state.
pub fn identity(subscription: &Subscription) -> Identity {
    Identity {
        name: subscription.name.clone(),
        target: subscription.target.canonical(),
        source: digest::sha256(&[subscription.source.reveal().as_bytes()]),
    }
}

/// The current time, from the machine's clock.
pub fn now() -> Timestamp {
    Timestamp::from_system(SystemTime::now())
}

impl Pass<'_> {
    /// Gate 0, the pass itself, and what to remember of it. Returns only errors of the state.
    fn attempt(&self, report: &mut PassReport, started: Timestamp) -> anyhow::Result<()> {
        let me = identity(self.subscription);
        let known = self.state.read(move |state| state.memory(&me))?;
        let (id, mut memory) = known.map_or((None, Memory::default()), |(id, memory)| (Some(id), memory));
        let is_counted = |at| {
            let was_killed = memory.failing.as_ref().is_some_and(|failing| failing.kind == Kind::Killed);
            was_killed && memory.started_at == Some(at)
        };
        if let Some(at) = self.killed.filter(|at| !is_counted(*at)) {
            self.count_kill(&mut memory, at)?;
        }
        let Options { force, asked: named, dry_run, attended, .. } = self.options;
        let known_inputs = memory.failing.as_ref().and_then(|failing| failing.inputs);
        let mended = known_inputs.is_some_and(|inputs| inputs != (self.inputs)());
        let wish = Wish { named, attended: attended || dry_run, mended, force };
        match backoff::turn(&memory, self.subscription.every, started, wish) {
            Turn::Now => {}
            Turn::NotDue(at) => {
                report.outcome = Outcome::NotDue;
                report.retry_at = Some(at);
                report.held.clone_from(&memory.held);
                return Ok(());
            }
            Turn::BackingOff(at) => {
                report.outcome = Outcome::BackingOff;
                report.retry_at = Some(at);
                let tells = memory.failing.as_mut().is_some_and(|failing| self.tell(failing, report, started));
                return if tells && !dry_run { self.keep(memory) } else { Ok(()) };
            }
        }
        let memory = Memory { started_at: Some(started), ..memory };
        let shape = Shape { attendees: self.subscription.attendees, schedule_agent: self.target.schedules() };
        let mut run = Run {
            shape,
            pass: self,
            id,
            started,
            memory,
            report,
            began: false,
            rounds: 0,
            end: None,
            fresh_prefix: None,
        };
        let result = run.prepare().and_then(|()| run.mirror());
        let Run { memory: before, began, end, .. } = run;
        let is_settled = result.is_ok();
        let mut memory = match result {
            Ok(next) => {
                report.say = said_when_settled(&before, &next);
                next
            }
            Err(error) if kind_of(&error) == Kind::Locked => {
                report.outcome = Outcome::Locked;
                report.error = Some(fault_of(&error));
                return Ok(());
            }
            Err(error) => {
                let feed = before.feed.clone().filter(|_| !began);
                let held = report.held.clone().or_else(|| before.held.clone());
                let mut memory = Memory { feed, held, ..before.clone() };
                self.failed(&mut memory, report, &error, started, end);
                memory
            }
        };
        if let Some(held) = &mut memory.held {
            let told = held.said_at.is_some_and(|at| started.since(at) < SAY_EVERY);
            if !told {
                report.say = Say::Trouble;
                held.said_at = Some(started);
            }
            report.held = Some(held.clone());
        }
        if dry_run {
            // A dry run is not remembered, so it has no back-off.
            report.retry_at = None;
            return Ok(());
        }
        let me = identity(self.subscription);
        // What is held or refused differs from its record, and the journal may say why.
        let is_done = is_settled && memory.held.is_none() && memory.next_change_at.is_none();
        let ends_take_over = is_settled && before.take_over;
        let ends_journal = is_done && (began || before.feed.is_none());
        self.state.write(move |state| {
            let id = state.subscription(&me)?;
            state.remember(id, &memory)?;
            if is_settled {
                state.forget_suspects(id)?;
            }
            if ends_take_over {
                state.end_take_over(id)?;
            }
            if ends_journal { state.clear_journal(id) } else { Ok(()) }
        })
    }

    /// Counts a killed pass as a failure, and stores that before anything else is tried.
    fn count_kill(&self, memory: &mut Memory, at: Timestamp) -> anyhow::Result<()> {
        let text = "the last run was killed before it ended (out of memory, or a lost machine?)";
        let error = crate::words::error::fault(Kind::Killed, text);
        let mut unheard = PassReport::default();
        let said_at = memory.failing.as_ref().filter(|failing| failing.kind == Kind::Killed).and_then(|it| it.said_at);
        memory.started_at = Some(at);
        self.failed(memory, &mut unheard, &error, at, Some(TARGET));
        if let Some(failing) = &mut memory.failing {
            failing.retry_at = Some(at.plus(backoff::delay(failing.failures, None)));
            // Nobody was notified yet; that happens below.
            failing.said_at = said_at;
        }
        self.keep(memory.clone())?;
        self.state.commit()
    }

    fn keep(&self, memory: Memory) -> anyhow::Result<()> {
        let me = identity(self.subscription);
        self.state.write(move |state| {
            let id = state.subscription(&me)?;
            state.remember(id, &memory)
        })
    }

    /// Puts a failure into the report. Returns whether a person must be notified now, and notes it if so.
    fn tell(&self, failing: &mut Failing, report: &mut PassReport, started: Timestamp) -> bool {
        report.stands(failing, started, self.subscription.alert_after);
        let needs_a_person = !failing.kind.is_temporary() || report.alert;
        let told = failing.said_at.is_some_and(|at| started.since(at) < SAY_EVERY);
        if needs_a_person && !told {
            report.say = Say::Trouble;
            failing.said_at = Some(started);
        }
        needs_a_person && !told
    }

    /// Counts a failure: when to retry, and whether a person must be notified. `end`: which end failed; `None` for a
    /// problem of this machine, before any request.
    fn failed(
        &self,
        memory: &mut Memory,
        report: &mut PassReport,
        error: &anyhow::Error,
        started: Timestamp,
        end: Option<End>,
    ) {
        report.outcome = Outcome::Failed;
        let fault = fault_of(error);
        report.error = Some(fault.clone());
        if fault.kind == Kind::Stopped {
            return;
        }
        let before = memory.failing.take();
        let failures = before.as_ref().map_or(0, |failing| failing.failures) + 1;
        let since = before.as_ref().map_or(started, |failing| failing.since);
        // A local problem costs no server a request, and may be fixed at any moment.
        let is_local = fault.kind == Kind::Configuration || end.is_none();
        let end = end.unwrap_or(TARGET);
        let retry_at = (!is_local).then(|| now().plus(backoff::delay(failures, fault.retry_after)));
        let until = fault.retry_after.map(|seconds| now().plus(seconds.min(DAY)));
        let inputs = Some((self.inputs)());
        let same = before.as_ref().is_some_and(|failing| failing.kind == fault.kind);
        let said_at = before.filter(|_| same).and_then(|failing| failing.said_at);
        let (kind, message) = (fault.kind, fault.message.clone());
        let mut failing = Failing { failures, since, retry_at, until, end, inputs, kind, message, said_at };
        self.tell(&mut failing, report, started);
        report.error = Some(fault);
        memory.failing = Some(failing);
    }
}

/// Whether a problem that a person was notified of has ended.
fn said_when_settled(before: &Memory, after: &Memory) -> Say {
    let told_of_failure = before.failing.as_ref().is_some_and(|failing| failing.said_at.is_some());
    let told_of_hold = before.held.as_ref().is_some_and(|held| held.said_at.is_some()) && after.held.is_none();
    if told_of_failure || told_of_hold { Say::Recovered } else { Say::Nothing }
}

/// A pass that got through gate 0.
struct Run<'a, 'r> {
    pass: &'a Pass<'a>,
    id: Option<Id>,
    started: Timestamp,
    memory: Memory,
    report: &'r mut PassReport,
    /// Whether something may have been written to the target.
    began: bool,
    /// How many rounds of looking, planning and writing have begun.
    rounds: u32,
    /// The end being worked on; `None` until something was requested.
    end: Option<End>,
    /// The prefix for a subscription that has none yet.
    fresh_prefix: Option<String>,
    /// What the rules make of each object, as far as known.
    shape: Shape,
}

impl Run<'_, '_> {
    /// Finds problems of this machine before any request, and notes that the pass has begun.
    fn prepare(&mut self) -> anyhow::Result<()> {
        let is_folder = matches!(self.pass.subscription.target, TargetAddress::Folder(_));
        (self.pass.preflight)()?;
        if is_folder && !self.may_create() {
            self.pass.target.open(false)?;
        }
        if self.pass.options.dry_run { Ok(()) } else { (self.pass.begin)(self.started) }
    }

    /// Runs the pass; returns what to remember if it settled or is held.
    fn mirror(&mut self) -> anyhow::Result<Memory> {
        let settings = self.fingerprint();
        let distrust = self.distrust(settings);
        let mut seen = None;
        let fresh = match self.gates(distrust)? {
            Gated::Changed(fresh) => fresh,
            Gated::Unchanged(feed_memory, feed) => {
                let mut next = Memory { feed: Some(feed_memory.clone()), failing: None, ..self.memory.clone() };
                if !self.must_look() {
                    log::info!("{}: the target is not due to be looked at (`verify`)", self.name());
                    return Ok(self.settled(next));
                }
                let (look, drifted) = self.look_for_drift()?;
                log::info!("{}: the target has {}changed", self.name(), if drifted { "" } else { "not " });
                if !drifted {
                    next.ends[TARGET].mark = look.mark;
                    next.ends[TARGET].looked_at = Some(self.started);
                    if look.listed {
                        next.ends[TARGET].listed_at = Some(self.started);
                    }
                    return Ok(self.settled(next));
                }
                seen = Some(look);
                match feed {
                    Some(feed) => Fresh { feed, memory: feed_memory },
                    None => self.fetch_fresh()?,
                }
            }
        };
        let (changes, fresh) = self.change(fresh, seen)?;
        let before = &self.memory.ends[TARGET];
        let b = EndMemory {
            address: before.address.clone(),
            mark: changes.mark,
            looked_at: Some(self.started),
            listed_at: if changes.listed { Some(self.started) } else { before.listed_at },
            last_written: changes.last_written.or_else(|| before.last_written.clone()),
        };
        let mut next = Memory {
            settings: Some(self.fingerprint()),
            form: Some(FORM),
            failing: None,
            ends: Ends { b, ..Ends::default() },
            held: self.report.held.clone(),
            next_change_at: changes.retry_rejected_at,
            refused: changes.refused,
            ..self.memory.clone()
        };
        if let (Some(held), Some(before)) = (&mut next.held, &self.memory.held) {
            held.said_at = before.said_at.filter(|_| before.deletes == held.deletes);
        }
        if next.held.is_some() {
            self.report.outcome = Outcome::Held;
            next.feed = None;
            return Ok(next);
        }
        next.objects = Some(fresh.feed.objects().len() as u64);
        next.feed = Some(fresh.memory);
        Ok(self.settled(next))
    }

    fn settled(&mut self, mut next: Memory) -> Memory {
        next.settled_at = Some(self.started);
        let refused = !self.report.rejected.is_empty() || !self.report.conflicts.is_empty();
        // A calendar that lacks most of its feed is no success, however old the problem is.
        let objects = next.objects.unwrap_or(0);
        let mostly = next.refused * 2 > objects;
        self.report.missing = if mostly { next.refused } else { 0 };
        self.report.outcome = if refused || mostly {
            Outcome::Partial
        } else if self.report.wrote() || self.report.adopted > 0 {
            Outcome::Changed
        } else {
            Outcome::Unchanged
        };
        next
    }

    fn name(&self) -> &str {
        &self.pass.subscription.name
    }

    /// Whether to look at the target even if the feed did not change: it is due, it failed last time, or a person
    /// asked.
    fn must_look(&self) -> bool {
        let was_failing = self.memory.failing.as_ref().is_some_and(|failing| failing.end == TARGET);
        let Options { force, asked, .. } = self.pass.options;
        was_failing || (force && asked) || self.verify_is_due()
    }

    fn verify_is_due(&self) -> bool {
        match self.pass.subscription.verify {
            Verify::Always => true,
            Verify::Never => false,
            Verify::Every(seconds) => self.memory.ends[TARGET]
                .looked_at
                .is_none_or(|looked| looked > self.started || self.started.since(looked) >= seconds),
        }
    }

    /// The target, and what the last pass left of it.
    fn target(&self) -> OpenEnd<'_> {
        OpenEnd { collection: self.pass.target, memory: &self.memory.ends[TARGET], now: self.started }
    }

    /// Looks at the target although the feed did not change, and returns whether something of ours differs.
    fn look_for_drift(&mut self) -> anyhow::Result<(Look, bool)> {
        self.open()?;
        self.pass.target.begin(Why::Look);
        let mark = self.pass.target.mark()?;
        if self.target().proves_nothing_changed(&mark) {
            return Ok((Look { mark, ..Look::default() }, false));
        }
        let known = self.known()?;
        let (end, expected) = (self.target(), known.expected());
        let mut look = end.look(mark, &expected, false)?;
        if !expected.differs_from(&look) && !end.bears_out(&look)? {
            look = end.look_at_all(look.mark)?;
        }
        let drifted = expected.differs_from(&look);
        Ok((look, drifted))
    }

    /// What a person allowed to take over, on the command line or since the last pass.
    fn takes_over(&self) -> Option<TakeOver> {
        self.pass.options.take_over.or(self.memory.take_over.then_some(TakeOver::Ours))
    }

    fn policy(&self) -> Policy {
        let subscription = self.pass.subscription;
        let settings_changed = self.memory.settings.is_some_and(|settings| settings != self.fingerprint());
        Policy {
            rules: subscription.rules,
            allow_deletes: self.pass.options.allow_deletes,
            take_over: self.takes_over(),
            schedules: self.shape.schedule_agent,
            was_held: self.memory.held.as_ref().map(|held| held.held_for),
            retry_rejected: self.pass.options.full || settings_changed,
        }
    }
}
