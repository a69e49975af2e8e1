//! The world of a story: subscriptions with their feeds, one calendar, and a state that can be lost or turned back.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use baikal_sync::config::{
    Attendees, MaxDelete, OnConflict, OnEmpty, Rules, SourceAddress, Subscription, TargetAddress, Verify,
};
use baikal_sync::db::state::{Owner, State};
use baikal_sync::feed::{Fetched, Source};
use baikal_sync::ics::{self, Shape};
use baikal_sync::model::{Gone, Hash, Href, Record, Status, Validators};
use baikal_sync::plan::{Named, naming};
use baikal_sync::report::{Outcome, PassReport, Refused};
use baikal_sync::signal::Stop;
use baikal_sync::sync::{self, Configured, Options, Pass};
use baikal_sync::words::time::Zone;
use tempfile::TempDir;

use crate::env::folder;
use crate::fake::memory::{Edit, Feed, Memory};

/// What is never the same event twice -> what it says.
pub(super) type Events = BTreeMap<String, u64>;

/// Whether the event of this place had ended long ago; the others are far ahead.
pub(super) fn had_ended(place: &str) -> bool {
    place.ends_with(['0', '2', '4', '6', '8'])
}

/// An event. Its place is what it is known by, whatever its UID; `guests` are lines.
fn event(uid: &str, place: &str, says: u64, guests: &str) -> String {
    let year = if had_ended(place) { 2001 } else { 2999 };
    format!(
        "BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:{year}0102T100000Z\r\nSUMMARY:says {says}\r\n\
         LOCATION:at {place}\r\n{guests}END:VEVENT\r\n"
    )
}

/// A calendar of these events; the UID of each is its place with this behind it.
pub(super) fn calendar(events: &Events, suffix: &str, guests: &str) -> String {
    let event = |(place, says): (&String, &u64)| event(&format!("{place}{suffix}"), place, *says, guests);
    let inside: String = events.iter().map(event).collect();
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\n{inside}END:VCALENDAR\r\n")
}

/// What a server that refuses this event finds in it.
pub(super) fn mark_of(place: &str, says: u64) -> String {
    format!("SUMMARY:says {says}\r\nLOCATION:at {place}\r\n")
}

/// The place and what is said there.
pub(super) fn read(text: &str) -> (String, u64) {
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    (value("LOCATION:at ").to_owned(), value("SUMMARY:says ").parse().unwrap())
}

/// One subscription and the feed that it mirrors.
pub(super) struct Mirror {
    pub(super) subscription: Subscription,
    pub(super) feed: Feed,
}

/// What a feed has at this moment.
fn wants(mirror: &Mirror) -> Vec<Named> {
    let Ok(Fetched::Document { body, charset, .. }) = mirror.feed.fetch(&Validators::default()) else {
        return Vec::new();
    };
    let shape = Shape { attendees: mirror.subscription.attendees, schedule_agent: false };
    let feed = ics::read_shaped(body, charset.as_deref(), &shape);
    feed.map(|feed| feed.objects().iter().map(|object| (object.key.clone(), object.hash)).collect()).unwrap_or_default()
}

/// A state in which nothing is, for to make one takes longer than a pass.
static EMPTY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = folder();
    let file = folder.path().join("state.db");
    drop(State::open(&file).unwrap());
    std::fs::read(file).unwrap()
});

/// Everything that a story happens to.
pub(super) struct World {
    pub(super) mirrors: Vec<Mirror>,
    pub(super) target: Memory,
    state: RefCell<Option<State>>,
    /// Where the state stands.
    folder: TempDir,
    stop: RefCell<Stop>,
    /// Every pass in a line.
    passes: RefCell<Vec<String>>,
    /// How many prefixes were made.
    prefixes: AtomicU32,
}

impl Mirror {
    pub(super) fn new(name: &str) -> Mirror {
        let subscription = Subscription {
            name: name.to_owned(),
            source: SourceAddress::File { path: format!("/{name}.ics").into(), max_size: 1 << 20 },
            target: TargetAddress::Folder("/memory".into()),
            every: 0,
            create: false,
            verify: Verify::Always,
            rules: Rules {
                on_conflict: OnConflict::Equal,
                on_empty: OnEmpty::Accept,
                max_delete: MaxDelete::Percent(100),
                ..Rules::default()
            },
            attendees: Attendees::default(),
            alert_after: 3600,
        };
        Mirror { subscription, feed: Feed::default() }
    }
}

impl World {
    pub(super) fn new(mirrors: Vec<Mirror>, target: Memory) -> World {
        World {
            mirrors,
            target,
            state: RefCell::new(None),
            folder: folder(),
            stop: RefCell::default(),
            passes: RefCell::default(),
            prefixes: AtomicU32::default(),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("state.db")
    }

    fn take_state(&self) -> State {
        self.state.take().unwrap_or_else(|| {
            let file = self.file();
            if !file.exists() {
                std::fs::write(&file, &*EMPTY).unwrap();
            }
            State::open(&file).unwrap()
        })
    }

    /// Loses the state; whether there was something in it.
    pub(super) fn lose_state(&self) -> bool {
        let all = 0..self.mirrors.len();
        let lost = all.map(|which| self.recorded(which).len()).sum::<usize>() > 0;
        self.state.replace(None);
        let _ = std::fs::remove_file(self.file());
        lost
    }

    /// Keeps, at the n-th request from now, the state as a kill at that moment leaves it. With `kills`, nothing is written
    /// from then on, otherwise the kept state is that of an old backup.
    pub(super) fn keep_state_at(&self, at: usize, kills: bool) {
        let file = self.file();
        let mishap = if kills { "a pass is killed" } else { "the state of an old backup comes back" };
        self.target.set_alarm(at, Some(mishap), kills, move || copy(&file, &file.with_extension("kept")));
    }

    /// Turns the state back to the moment that was kept; whether one was.
    pub(super) fn turn_back(&self) -> bool {
        let file = self.file();
        let kept = file.with_extension("kept");
        let is_kept = kept.exists();
        if is_kept {
            self.state.replace(None);
            copy(&kept, &file);
            std::fs::remove_file(kept).unwrap();
        }
        is_kept
    }

    /// Asks the next pass to stop at the n-th request from now.
    pub(super) fn stop_at(&self, at: usize) {
        let stop = self.stop.borrow().clone();
        self.target.set_alarm(at, None, false, move || stop.request(15));
    }

    pub(super) fn pass(&self, which: usize, options: Options) -> PassReport {
        let state = self.take_state();
        let identity = |mirror: &Mirror| sync::identity(&mirror.subscription);
        let configured = Configured::new(self.mirrors.iter().map(identity));
        let has_records = |mirror: &Mirror| match state.memory(&identity(mirror)).unwrap() {
            Some((id, _)) => state.records(id).unwrap().iter().any(|record| record.base().is_some()),
            None => false,
        };
        let others = self.mirrors.iter().enumerate().filter(|(place, mirror)| *place != which && !has_records(mirror));
        let rivals: Vec<Vec<Named>> = others.map(|(_, mirror)| wants(mirror)).collect();
        let (owner, handle) = Owner::new(state);
        let Mirror { subscription, feed: source } = &self.mirrors[which];
        let (collection, stop, prefixes) = (&self.target, self.stop.take(), &self.prefixes);
        let options = Options { force: true, ..options };
        let (state, report) = std::thread::scope(|scope| {
            let pass = scope.spawn(move || {
                let (state, stop) = (&handle, &stop);
                let zone: &LazyLock<Zone> = &LazyLock::new(Zone::of_machine);
                let (progress, claim) = (&|_, _| {}, &|_: &[String]| Ok(()));
                let chance = || Ok(u32::to_be_bytes(1 + prefixes.fetch_add(1, Ordering::Relaxed)));
                let (preflight, inputs, begin) = (&|| Ok(()), &|| Hash([0; 32]), &|_| Ok(()));
                let pass = Pass {
                    subscription,
                    source,
                    target: collection,
                    state,
                    stop,
                    options,
                    zone,
                    progress,
                    claim,
                    preflight,
                    inputs,
                    begin,
                    configured: &configured,
                    rivals: &|_| rivals.clone(),
                    chance: &chance,
                    killed: None,
                };
                sync::pass(&pass)
            });
            (owner.serve().unwrap(), pass.join().unwrap())
        });
        self.target.unset_alarm();
        self.state.replace(Some(state));
        self.passes.borrow_mut().push(in_a_line(&report, options));
        report
    }

    /// The last passes, each in a line.
    pub(super) fn last_passes(&self) -> Vec<String> {
        let passes = self.passes.borrow();
        passes[passes.len().saturating_sub(8)..].to_vec()
    }

    /// A person answers what the last pass held; how many deletions they approve.
    pub(super) fn approve(&self, which: usize) -> u64 {
        let state = self.take_state();
        let id = state.subscription(&sync::identity(&self.mirrors[which].subscription)).unwrap();
        let approved = state.approve(id, sync::now()).unwrap();
        self.state.replace(Some(state));
        approved
    }

    /// Where objects stand whose deletion is approved.
    pub(super) fn approved(&self, which: usize) -> BTreeSet<String> {
        let state = self.take_state();
        let id = state.subscription(&sync::identity(&self.mirrors[which].subscription)).unwrap();
        let records = state.records(id).unwrap();
        self.state.replace(Some(state));
        let is_approved =
            |record: &&Record| matches!(record.status, Status::Gone(_, Gone::Held { approved: true, .. }));
        records.iter().filter(is_approved).map(|record| record.href().unwrap().as_str().to_owned()).collect()
    }

    /// Whether the state says that something is still to be done.
    pub(super) fn is_pending(&self, which: usize) -> bool {
        let state = self.take_state();
        let memory = state.memory(&sync::identity(&self.mirrors[which].subscription)).unwrap();
        self.state.replace(Some(state));
        memory.is_some_and(|(_, memory)| memory.objects.is_some() && memory.feed.is_none())
    }

    /// What the state remembers of a subscription: UID -> whether it is mirrored.
    pub(super) fn recorded(&self, which: usize) -> BTreeMap<String, bool> {
        let state = self.take_state();
        let id = state.subscription(&sync::identity(&self.mirrors[which].subscription)).unwrap();
        let records = state.records(id).unwrap().into_iter();
        self.state.replace(Some(state));
        records.map(|record| (record.key.uid.clone(), record.etag().is_some())).collect()
    }

    /// The places of the events that the server does not take, or does not delete, as the state says.
    pub(super) fn refused(&self) -> BTreeSet<String> {
        let state = self.take_state();
        let ids = self.mirrors.iter().map(|mirror| state.subscription(&sync::identity(&mirror.subscription)).unwrap());
        let records = ids.flat_map(|id| state.records(id).unwrap()).collect::<Vec<_>>();
        self.state.replace(Some(state));
        let refused = records.into_iter().filter(|record| record.refusal().is_some());
        refused.map(|record| record.key.uid.split('-').next().unwrap().to_owned()).collect()
    }

    /// Everything in the state, to be compared.
    pub(super) fn state_in_words(&self) -> String {
        let state = self.take_state();
        let told = state.subscriptions().unwrap();
        let ids: Vec<_> = self
            .mirrors
            .iter()
            .filter_map(|mirror| Some(state.memory(&sync::identity(&mirror.subscription)).unwrap()?.0))
            .collect();
        let records: Vec<_> =
            ids.iter().map(|id| (state.records(*id).unwrap(), state.foreign_objects(*id).unwrap())).collect();
        self.state.replace(Some(state));
        format!("{told:?} {records:?}")
    }

    /// Removes what stands under prefixes of our shape that no subscription has; whether there was any.
    pub(super) fn forget_unclaimed(&self) -> bool {
        let state = self.take_state();
        let ids = self.mirrors.iter().map(|mirror| state.subscription(&sync::identity(&mirror.subscription)).unwrap());
        let ids: Vec<_> = ids.collect();
        let prefixes: BTreeSet<String> =
            ids.iter().flat_map(|id| state.prefixes(*id).unwrap()).map(|prefix| prefix.text).collect();
        let records = ids.iter().flat_map(|id| state.records(*id).unwrap());
        let recorded: BTreeSet<String> = records.filter_map(|it| Some(it.href()?.as_str().to_owned())).collect();
        self.state.replace(Some(state));
        let objects = self.target.objects();
        let is_unclaimed = |name: &&String| {
            naming::prefix_of(&Href::new(name.as_str())).is_some_and(|prefix| !prefixes.contains(prefix))
        };
        let unclaimed: Vec<&String> =
            objects.keys().filter(is_unclaimed).filter(|name| !recorded.contains(*name)).collect();
        for name in &unclaimed {
            self.target.edit(&Edit::Remove(String::clone(name)));
        }
        !unclaimed.is_empty()
    }

    /// What stands in the calendar: place -> what is said there, as often as it stands.
    pub(super) fn standing(&self) -> BTreeMap<String, Vec<u64>> {
        let mut standing: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for text in self.target.objects().values() {
            let (place, says) = read(text);
            standing.entry(place).or_default().push(says);
        }
        standing
    }
}

/// What a person needs of a report to follow a story.
fn in_a_line(report: &PassReport, options: Options) -> String {
    let PassReport { name, outcome, created, updated, deleted, adopted, renamed, restored, .. } = report;
    let Options { full, dry_run, allow_deletes, take_over, .. } = options;
    let uids = |refused: &[Refused]| refused.iter().map(|it| it.uid.clone()).collect::<Vec<_>>().join(" ");
    let (rejected, conflicts) = (uids(&report.rejected), uids(&report.conflicts));
    let held = report.held.as_ref().map(|hold| &hold.reason);
    let error = report.error.as_ref().map(|fault| &fault.message);
    format!(
        "{name} (full {full}, dry {dry_run}, allowed {allow_deletes}, {take_over:?}): {outcome:?}, +{created} ~{updated} \
         -{deleted}, adopted {adopted}, renamed {renamed}, restored {restored}, rejected [{rejected}], left [{conflicts}], \
         held {held:?}, error {error:?}"
    )
}

/// The file with its journal, if it has one: what a kill leaves.
fn copy(from: &Path, to: &Path) {
    for suffix in ["-journal", ""] {
        let beside = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        let _ = std::fs::remove_file(beside(to));
        let _ = std::fs::copy(beside(from), beside(to));
    }
}

/// Whether a pass left nothing to be done.
pub(super) fn is_idle(report: &PassReport) -> bool {
    // A calendar that lacks most of its feed says so in each pass.
    let lacks_most = report.outcome == Outcome::Partial && report.rejected.is_empty() && report.conflicts.is_empty();
    matches!(report.outcome, Outcome::Unchanged | Outcome::Held) || lacks_most
}

/// The names of a set of events.
pub(super) fn places(events: &Events) -> BTreeSet<String> {
    events.keys().cloned().collect()
}
