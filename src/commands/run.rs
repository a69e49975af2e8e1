//! `run`: a pass over each selected subscription, several in parallel.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use anyhow::Context;

use super::connect::Connections;
use super::local;
use super::locks::Locks;
use super::output::Output;
use super::progress::Progress;
use crate::cli;
use crate::config::{self, Config, Subscription};
use crate::db::state::{Handle, Owner, State};
use crate::exit::{self, Standing};
use crate::feed::Fetched;
use crate::files;
use crate::ics;
use crate::model::Validators;
use crate::plan::Named;
use crate::report::advice::Advice;
use crate::report::{Outcome, PassReport, Say, human, json};
use crate::signal::Stop;
use crate::sync::{self, Configured, Options, Pass, execute};
use crate::words::error::{Kind, fault, fault_of, sentence};
use crate::words::time::Zone;

/// Runs, reports what a person must know, and returns the exit code.
pub(super) fn run(
    config: &Config,
    arguments: &cli::Run,
    ad_hoc: bool,
    advice: &Advice,
    output: &Output,
) -> anyhow::Result<u8> {
    let subscriptions = config.choose(&arguments.names)?;
    let stop = Stop::on_signals()?;
    let state = if arguments.dry_run {
        State::open_to_read(&config.state)?.map_or_else(State::in_memory, Ok)?
    } else {
        refuse_the_unit_s_state(config, advice)?;
        State::open(&config.state)?
    };
    let (owner, handle) = Owner::new(state);
    let runner = Runner {
        // Detecting it lists all names of time zones; few runs need it.
        zone: LazyLock::new(Zone::of_machine),
        connections: Connections::new(stop.clone(), handle.clone()),
        state: handle,
        stop: stop.clone(),
        locks: Locks::new(config.state.with_extension("locks"), arguments.wait, stop.clone()),
        options: Options {
            force: arguments.force,
            full: arguments.full,
            dry_run: arguments.dry_run,
            allow_deletes: arguments.allow_deletes,
            take_over: arguments.take_over.map(cli::TakeOver::meant),
            asked: ad_hoc || !arguments.names.is_empty(),
            attended: output.is_attended,
        },
        config_file: config.file.clone(),
        configured: configured(config, ad_hoc),
        all: config.subscriptions.clone(),
        progress: Progress::new(output.shows_progress()),
    };
    let jobs = config.jobs;
    if !arguments.dry_run {
        runner.locks.prepare()?;
    }
    // This thread owns the state; the other one ends when it drops the last handle.
    let (reports, served) = thread::scope(|scope| {
        let passes = scope.spawn(move || runner.all(&subscriptions, jobs));
        let served = owner.serve();
        (passes.join(), served)
    });
    let reports = reports.map_err(|_| fault(Kind::Internal, "a pass panicked; please report this"))?;
    // If SQLite fails while it works, set the file aside too, so that the next run does not fail the same way.
    let is_in_trouble = served.is_err() || reports.iter().any(|report| report.kind() == Some(Kind::State));
    if is_in_trouble && !arguments.dry_run {
        State::set_aside_if_damaged(&config.state)?;
    }
    served.with_context(|| config.state.display().to_string())?;
    let standings: Vec<Standing> = reports.iter().map(|report| standing(report, &stop)).collect();
    let code = exit::combine(&standings);
    tell(&reports, arguments, ad_hoc, code, advice, output);
    Ok(code)
}

/// The user of a unit may not be able to use what root writes into its state.
fn refuse_the_unit_s_state(config: &Config, advice: &Advice) -> anyhow::Result<()> {
    let folder = config.state.parent().and_then(|folder| folder.metadata().ok());
    // A folder that does not exist yet belongs to the unit, if there is one.
    let is_the_unit_s = folder.map_or_else(has_unit, |metadata| metadata.uid() != 0);
    match &advice.profile {
        Some(profile) if files::user() == 0 && is_the_unit_s => {
            let start = advice.run("");
            let text = format!("the profile {profile} runs as a user of its own; start it with: {start}");
            Err(fault(Kind::Refused, text))
        }
        _ => Ok(()),
    }
}

/// Whether the template unit is installed.
fn has_unit() -> bool {
    let folders =
        ["/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
    folders.iter().any(|folder| Path::new(folder).join("baikal-sync@.service").exists())
}

/// What all passes of a run share.
struct Runner {
    connections: Connections,
    state: Handle,
    stop: Stop,
    zone: LazyLock<Zone>,
    locks: Locks,
    options: Options,
    config_file: Option<PathBuf>,
    configured: Configured,
    /// Every configured subscription, selected or not.
    all: Vec<Subscription>,
    progress: Progress,
}

impl Runner {
    /// Runs every pass, `jobs` targets at a time; returns the reports in the order of the subscriptions.
    fn all(self, subscriptions: &[&Subscription], jobs: usize) -> Vec<PassReport> {
        let was_killed =
            |subscription: &&&Subscription| !self.options.dry_run && self.locks.was_killed(&subscription.name);
        let killed: HashSet<&str> =
            subscriptions.iter().filter(was_killed).map(|subscription| subscription.name.as_str()).collect();
        let queues = by_target(subscriptions, |name| killed.contains(name));
        let next = AtomicUsize::new(0);
        let (sender, reports) = channel();
        let work = || {
            while let Some(queue) = queues.get(next.fetch_add(1, Ordering::Relaxed)) {
                for (place, subscription) in queue {
                    // The receiver below outlives this.
                    let _ = sender.send((*place, self.one(subscription)));
                }
            }
        };
        thread::scope(|scope| {
            // This thread is one of the workers: the usual run of one subscription needs no other.
            for _ in 1..jobs.min(queues.len()) {
                scope.spawn(work);
            }
            work();
        });
        drop(sender);
        let mut reports: Vec<(usize, PassReport)> = reports.iter().collect();
        reports.sort_by_key(|(place, _)| *place);
        if !self.options.dry_run
            && let Err(error) = self.connections.remember()
        {
            // Losing them costs the next run a request. A problem with the state is reported elsewhere.
            log::info!("the servers' challenges could not be remembered: {}", sentence(&error));
        }
        reports.into_iter().map(|(_, report)| report).collect()
    }

    /// One pass with its locks. A run that was asked to stop begins no other.
    fn one(&self, subscription: &Subscription) -> PassReport {
        let result = if self.stop.requested().is_some() { Err(execute::stopped()) } else { self.locked(subscription) };
        result.unwrap_or_else(|error| {
            let fault = fault_of(&error);
            let outcome = if fault.kind == Kind::Locked { Outcome::Locked } else { Outcome::Failed };
            // A failure before the state was reached is not remembered as reported.
            let say = if matches!(fault.kind, Kind::Locked | Kind::Stopped) { Say::Nothing } else { Say::Trouble };
            PassReport { outcome, say, error: Some(fault), ..PassReport::new(&subscription.name) }
        })
    }

    /// What the other subscriptions of a calendar that have no records want there. An unreadable feed claims nothing.
    fn rivals(&self, subscription: &Subscription, address: &str) -> Vec<Vec<Named>> {
        let of_state = address.to_owned();
        let neighbours = self.state.read(move |state| state.neighbours(&of_state)).unwrap_or_default();
        let has_objects = |other: &&Subscription| {
            let identity = sync::identity(other);
            let mut known = neighbours.iter().filter(|neighbour| neighbour.has_objects);
            known.any(|neighbour| Configured::new([identity.clone()]).has(&neighbour.identity))
        };
        let target = subscription.target.canonical();
        let others = self.all.iter().filter(|other| other.name != subscription.name);
        let others = others.filter(|other| other.target.canonical() == target).filter(|other| !has_objects(other));
        others.filter_map(|other| self.wants(other).ok()).collect()
    }

    /// The current objects of a subscription's feed.
    fn wants(&self, subscription: &Subscription) -> anyhow::Result<Vec<Named>> {
        let connected = self.connections.connect(subscription)?;
        let Fetched::Document { body, charset, .. } = connected.source.fetch(&Validators::default())? else {
            return Ok(Vec::new());
        };
        let feed = ics::read(body, charset.as_deref()).map_err(|reason| fault(Kind::Feed, reason))?;
        Ok(feed.objects().iter().map(|object| (object.key.clone(), object.hash)).collect())
    }

    fn locked(&self, subscription: &Subscription) -> anyhow::Result<PassReport> {
        let locks = if self.options.dry_run {
            None
        } else {
            Some(self.locks.of(&subscription.name, &[subscription.target.canonical()])?)
        };
        let claim = self.locks.claim();
        let connected = self.connections.connect(subscription)?;
        let bar = self.progress.of(&subscription.name);
        let mut report = sync::pass(&Pass {
            subscription,
            source: connected.source.as_ref(),
            target: connected.collection(),
            state: &self.state,
            stop: &self.stop,
            zone: &self.zone,
            options: self.options,
            progress: &|done, total| bar.show(done, total),
            claim: &|places| claim.take(places),
            preflight: &|| local::check(subscription),
            inputs: &|| local::inputs(subscription, self.config_file.as_deref()),
            configured: &self.configured,
            rivals: &|address| self.rivals(subscription, address),
            chance: &files::chance,
            killed: locks.as_ref().and_then(|locks| locks.killed),
            begin: &|now| locks.as_ref().map_or(Ok(()), |locks| locks.begin(now)),
        });
        let kept = if self.options.dry_run { Ok(()) } else { connected.remember(&self.state) };
        if let Some(locks) = &locks {
            locks.end(matches!(report.outcome, Outcome::BackingOff | Outcome::NotDue));
        }
        drop((claim, locks));
        kept?;
        let traffic = connected.traffic();
        report.requests = traffic.requests;
        report.bytes_sent = traffic.bytes_sent;
        report.bytes_received = traffic.bytes_received;
        Ok(report)
    }
}

/// The configured subscriptions. A run that got both ends on the command line does not know the configuration, and
/// takes over what earlier ones of its kind left behind.
fn configured(config: &Config, ad_hoc: bool) -> Configured {
    let configured = Configured::new(config.subscriptions.iter().map(sync::identity));
    if ad_hoc { configured.or_named_otherwise(config::AD_HOC) } else { configured }
}

/// The subscriptions with their positions, grouped by target, because a target takes one writer at a time. Those
/// whose last pass was killed come last, so that they do not block others.
fn by_target<'a>(
    subscriptions: &[&'a Subscription],
    was_killed: impl Fn(&str) -> bool,
) -> Vec<Vec<(usize, &'a Subscription)>> {
    let mut first_places: HashMap<String, usize> = HashMap::new();
    let mut queues: BTreeMap<usize, Vec<_>> = BTreeMap::new();
    for (place, subscription) in subscriptions.iter().enumerate() {
        let first = *first_places.entry(subscription.target.canonical()).or_insert(place);
        queues.entry(first).or_default().push((place, *subscription));
    }
    let mut queues: Vec<Vec<_>> = queues.into_values().collect();
    for queue in &mut queues {
        queue.sort_by_cached_key(|(_, subscription)| was_killed(&subscription.name));
    }
    queues.sort_by_cached_key(|queue| queue.iter().any(|(_, subscription)| was_killed(&subscription.name)));
    queues
}

/// The exit status for a report. A back-off repeats the code of its failure, so that a monitor does not flap.
fn standing(report: &PassReport, stop: &Stop) -> Standing {
    match (&report.error, report.outcome) {
        (Some(fault), _) => Standing::Failed(exit::of(fault.kind, report.alert, stop.requested())),
        (None, _) if report.held.is_some() => Standing::Held,
        (None, Outcome::Partial) => Standing::Partial,
        (None, _) => Standing::Settled,
    }
}

fn tell(reports: &[PassReport], arguments: &cli::Run, ad_hoc: bool, code: u8, advice: &Advice, output: &Output) {
    if arguments.json {
        output.result(&json::run(reports, code, arguments.dry_run));
    }
    // A person reads the answer of a dry run, or of a run with both ends given, even through a pager or a pipe.
    let listener = if arguments.dry_run || ad_hoc { human::Listener::Terminal } else { output.listener };
    for report in reports {
        for line in human::lines(report, listener, advice) {
            if !arguments.json || line.weight != human::Weight::Info {
                output.say(&line, listener);
            }
        }
        if !arguments.json {
            output.result(&human::dry_run(report));
        }
    }
}
