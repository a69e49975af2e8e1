//! `forget` and `remove`: gives up a subscription, with or without its events, and deletes what nobody has claimed.
//! Shows first what would be deleted, and asks a person.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write, stdin, stdout};

use super::connect::{Connections, Target};
use super::locks::{Claim, Locks};
use super::output::Output;
use crate::cli;
use crate::config::{self, Config, Subscription, TargetAddress};
use crate::dav::discover::CalendarAddress;
use crate::db::state::{Owner, State, Summary};
use crate::exit;
use crate::files;
use crate::model::{Href, Record};
use crate::plan::Delete;
use crate::report::advice::Advice;
use crate::report::human::title;
use crate::signal::Stop;
use crate::sync::{self, forget};
use crate::words::error::{Kind, OrFault, fault};
use crate::words::url::Url;

/// How many events are listed by name before a person is asked.
const MOST_SHOWN: usize = 10;

/// Forgets what is not configured: a subscription by its name, or a prefix.
pub(super) fn forget(config: &Config, arguments: &cli::Forget, advice: &Advice, output: &Output) -> anyhow::Result<u8> {
    let farewell = Farewells { config, advice, yes: arguments.yes, output };
    match (&arguments.name, &arguments.prefix) {
        (_, Some(prefix)) => farewell.prefix(prefix),
        (Some(name), None) => farewell.left_behind(name, arguments.delete_events),
        (None, None) => Err(fault(Kind::Usage, "name a subscription, or a prefix with --prefix")),
    }
}

/// Removes a subscription from the configuration file and forgets it.
pub(super) fn remove(config: &Config, arguments: &cli::Remove, advice: &Advice, output: &Output) -> anyhow::Result<u8> {
    let farewell = Farewells { config, advice, yes: arguments.yes, output };
    farewell.configured(&arguments.name, arguments.delete_events)
}

struct Farewells<'a> {
    config: &'a Config,
    advice: &'a Advice,
    yes: bool,
    output: &'a Output,
}

impl Farewells<'_> {
    fn left_behind(&self, name: &str, delete_events: bool) -> anyhow::Result<u8> {
        let known = self.known(name)?;
        let (origin, state) = (&self.config.origin, self.config.state.display());
        if known.is_empty() && self.config.subscriptions.iter().any(|subscription| subscription.name == name) {
            let remove = self.advice.command(&["remove", name]);
            return Err(fault(Kind::Usage, format!("{name} is in {origin}; to take it out of there too: {remove}")));
        }
        if known.is_empty() {
            return Err(fault(Kind::Usage, format!("{state} remembers no subscription {name}")));
        }
        let mut code = exit::SETTLED;
        for summary in known {
            let target = self.target_of(&summary);
            if let Some(left) = self.give_up(&summary, target, delete_events)? {
                State::open_to_answer(&self.config.state)?.forget(summary.id)?;
                self.output.result(&format!("{name}: forgotten\n"));
                code = code.max(left);
            }
        }
        Ok(code)
    }

    fn configured(&self, name: &str, delete_events: bool) -> anyhow::Result<u8> {
        let subscription = self.config.choose(&[name.to_owned()])?.into_iter().next();
        let (Some(file), Some(subscription)) = (&self.config.file, subscription) else {
            let text = format!("{} is no file that {name} could be taken out of", self.config.origin);
            return Err(fault(Kind::Usage, text));
        };
        let text = std::fs::read_to_string(file)
            .or_fault(Kind::Configuration, || format!("cannot read {}", file.display()))?;
        let without = config::without_subscription(&text, name).ok_or_else(|| {
            let text = format!("{name} cannot be taken out of {}; delete its lines there by hand", file.display());
            fault(Kind::Configuration, text)
        })?;
        let identity = sync::identity(subscription);
        let summaries = self.summaries()?.into_iter();
        let known = summaries.filter(|it| it.name == identity.name && it.target == identity.target).collect::<Vec<_>>();
        let mut code = exit::SETTLED;
        for summary in &known {
            let Some(left) = self.give_up(summary, Ok(subscription.target.clone()), delete_events)? else {
                return Ok(exit::SETTLED);
            };
            code = code.max(left);
        }
        if known.is_empty() && !self.agrees(&format!("{name} is taken out of {}.", file.display()))? {
            return Ok(exit::SETTLED);
        }
        files::replace(file, without.as_bytes())?;
        for summary in known {
            State::open_to_answer(&self.config.state)?.forget(summary.id)?;
        }
        self.output.result(&format!("{name}: taken out of {} and forgotten\n", file.display()));
        Ok(code)
    }

    /// Shows what would happen to a subscription's events, and does it if a person agrees; then the exit code.
    fn give_up(
        &self,
        summary: &Summary,
        target: anyhow::Result<TargetAddress>,
        delete_events: bool,
    ) -> anyhow::Result<Option<u8>> {
        let name = &summary.name;
        if !delete_events {
            let events = summary.tally.mirrored;
            let text = format!(
                "{name}: {events} events stay in {}; nothing updates or deletes them any more.",
                summary.target
            );
            return Ok(self.agrees(&text)?.then_some(exit::SETTLED));
        }
        let state = State::open_to_read(&self.config.state)?.map_or_else(State::in_memory, Ok)?;
        let records = state.records(summary.id)?;
        drop(state);
        self.at(&target?, |target, claim| {
            let found = forget::look_at(target.collection(), &records)?;
            let mut text = format!("{name}: {} events are deleted from {}:\n", found.deletes.len(), summary.target);
            let of = |delete: &Delete| records.iter().find(|record| record.href() == Some(&delete.href));
            for record in found.deletes.iter().filter_map(of).take(MOST_SHOWN) {
                let _ = writeln!(text, "  - {}", told(record));
            }
            if found.deletes.len() > MOST_SHOWN {
                let _ = writeln!(text, "  and {} more", found.deletes.len() - MOST_SHOWN);
            }
            for record in &found.edited {
                let _ = writeln!(text, "  left, for somebody edited it: {}", told(record));
            }
            if !self.agrees(text.trim_end())? {
                return Ok(None);
            }
            self.delete(target, claim, &found.deletes).map(Some)
        })
    }

    fn prefix(&self, prefix: &str) -> anyhow::Result<u8> {
        let prefix = format!("{}-", prefix.trim_end_matches('-'));
        let state = State::open_to_read(&self.config.state)?.map_or_else(State::in_memory, Ok)?;
        let summaries = state.subscriptions()?;
        let knows = |summary: &&Summary| summary.tally.unclaimed.contains_key(&prefix);
        let seen = summaries.iter().filter(knows);
        let mut targets: Vec<&Subscription> = seen.filter_map(|summary| self.subscription_of(summary)).collect();
        targets.dedup_by_key(|subscription| subscription.target.canonical());
        if targets.is_empty() {
            let text =
                format!("no calendar of {} has events under {prefix} that nobody has claimed", self.config.origin);
            return Err(fault(Kind::Usage, text));
        }
        let records = summaries.iter().map(|summary| state.records(summary.id)).collect::<anyhow::Result<Vec<_>>>()?;
        drop(state);
        let records = records.concat();
        let is_claimed = |href: &Href| records.iter().any(|record| record.href() == Some(href));
        let mut code = exit::SETTLED;
        for subscription in targets {
            let left = self.at(&subscription.target, |target, claim| {
                let deletes = forget::look_under(target.collection(), &prefix, is_claimed)?;
                let (events, target_name) = (deletes.len(), &subscription.target);
                if !self.agrees(&format!("{events} events under {prefix} are deleted from {target_name}."))? {
                    return Ok(exit::SETTLED);
                }
                self.delete(target, claim, &deletes)
            })?;
            code = code.max(left);
        }
        State::open_to_answer(&self.config.state)?.forget_prefix(&prefix)?;
        Ok(code)
    }

    /// Deletes these, and reports what was left and why.
    fn delete(&self, target: &Target, claim: &Claim<'_>, deletes: &[Delete]) -> anyhow::Result<u8> {
        let collection = target.collection();
        claim.take(&[collection.address().unwrap_or_default()])?;
        let (count, left) = forget::delete(collection, deletes)?;
        self.output.result(&format!("{count} deleted\n"));
        for (href, why) in &left {
            self.output.error(&format!("{} was not deleted: {why}", href.as_str()));
        }
        Ok(if left.is_empty() { exit::SETTLED } else { exit::PARTIAL })
    }

    /// Opens a target and runs `act` on it.
    fn at<T>(
        &self,
        address: &TargetAddress,
        act: impl FnOnce(&Target, &Claim<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let stop = Stop::on_signals()?;
        // Discovery is repeated, and its result not stored.
        let (owner, handle) = Owner::new(State::in_memory()?);
        let asking = std::thread::spawn(|| owner.serve());
        let connections = Connections::new(stop.clone(), handle);
        let locks = Locks::new(self.config.state.with_extension("locks"), false, stop);
        locks.prepare()?;
        let done = connections.target(address, &mut Vec::new()).and_then(|target| {
            target.collection().open(false)?;
            act(&target, &locks.claim())
        });
        drop(connections);
        let _ = asking.join();
        done
    }

    /// Subscriptions in the state with this name that no configured one continues.
    fn known(&self, name: &str) -> anyhow::Result<Vec<Summary>> {
        let summaries = self.summaries()?.into_iter();
        Ok(summaries.filter(|summary| summary.name == name && self.subscription_of(summary).is_none()).collect())
    }

    fn summaries(&self) -> anyhow::Result<Vec<Summary>> {
        State::open_to_read(&self.config.state)?.map_or_else(|| Ok(Vec::new()), |state| state.subscriptions())
    }

    fn subscription_of(&self, summary: &Summary) -> Option<&Subscription> {
        let goes_on = |it: &&Subscription| it.name == summary.name && it.target.canonical() == summary.target;
        self.config.subscriptions.iter().find(goes_on)
    }

    /// The target of a subscription that is no longer configured, on a server that is.
    fn target_of(&self, summary: &Summary) -> anyhow::Result<TargetAddress> {
        let address = summary.memory.ends.b.address.as_deref().unwrap_or(&summary.target);
        if let Some(path) = address.strip_prefix("dir:") {
            return Ok(TargetAddress::Folder(path.into()));
        }
        let url = Url::parse(address)?;
        let server = self.config.servers.iter().find(|server| server.url.origin() == url.origin());
        let server = server.cloned().ok_or_else(|| {
            let text =
                format!("{} has no server at {}, so its events cannot be deleted", self.config.origin, url.origin());
            fault(Kind::Configuration, text)
        })?;
        Ok(TargetAddress::Calendar { server, calendar: CalendarAddress::Absolute(url) })
    }

    /// Whether a person agrees to what was shown.
    fn agrees(&self, what: &str) -> anyhow::Result<bool> {
        self.output.result(&format!("{what}\n"));
        if self.yes {
            return Ok(true);
        }
        if !stdin().is_terminal() {
            return Err(fault(Kind::Usage, "nothing was done: there is no terminal to ask at; --yes answers"));
        }
        let asked = write!(stdout(), "Go on? [y/N] ").and_then(|()| stdout().flush());
        asked.or_fault(Kind::Internal, || "cannot ask".to_owned())?;
        let mut answer = String::new();
        stdin().read_line(&mut answer).or_fault(Kind::Internal, || "cannot read the answer".to_owned())?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

fn told(record: &Record) -> String {
    let day = record.source.start.get(..10).unwrap_or(&record.source.start);
    format!("{day} {}", title(&record.source.summary, &record.key.uid))
}
