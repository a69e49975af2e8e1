//! Gates 1 to 3: whether a feed changed, judged by its validators, its body and its objects.

use super::{FORM, Run, SOURCE, TARGET};
use crate::config::SourceAddress;
use crate::feed::Fetched;
use crate::ics::{self, Feed, Shape};
use crate::model::memory::FeedMemory;
use crate::model::{Hash, Validators};
use crate::plan::Rules;
use crate::report::{FeedReport, Gate};
use crate::words::digest;
use crate::words::error::{Kind, fault};
use crate::words::time::{DAY, Timestamp};

/// For how many seconds after the body was last read validators and body hash are trusted.
const TRUSTED: u64 = DAY;

/// A feed that was read, and what to remember of it once everything in it is on the target.
pub(super) struct Fresh {
    pub(super) feed: Feed,
    pub(super) memory: FeedMemory,
}

impl Fresh {
    /// The same feed in another shape.
    pub(super) fn reshaped(self, shape: Shape) -> Fresh {
        if self.feed.shape() == shape {
            return self;
        }
        let feed = self.feed.reshaped(&shape);
        let memory = FeedMemory { digest: feed.digest(), ..self.memory };
        Fresh { feed, memory }
    }
}

/// The result of gates 1 to 3.
pub(super) enum Gated {
    /// Nothing changed: the feed's memory with validators and time of this fetch, and the feed if it was read.
    Unchanged(FeedMemory, Option<Feed>),
    /// Something may have changed.
    Changed(Fresh),
}

/// Everything that shapes output or plan. The whole value is hashed, so that no setting can be forgotten.
#[derive(Debug)]
#[expect(dead_code, reason = "they are read by the derived Debug alone")]
struct Settings {
    form: u32,
    source: Hash,
    rules: Rules,
    shape: Shape,
}

impl Run<'_, '_> {
    /// A hash of every setting that shapes output or plan.
    pub(super) fn fingerprint(&self) -> Hash {
        let subscription = self.pass.subscription;
        let source = digest::sha256(&[subscription.source.reveal().as_bytes()]);
        let settings = Settings { form: FORM, source, rules: subscription.rules, shape: self.shape };
        digest::sha256(&[format!("{settings:?}").as_bytes()])
    }

    /// Why gates 1 to 3 must not be used, human-readable; `None` if they may.
    pub(super) fn distrust(&self, settings: Hash) -> Option<&'static str> {
        let memory = &self.memory;
        let reasons = [
            (memory.objects.is_none(), "the first time"),
            (self.pass.options.full, "--full"),
            (self.takes_over().is_some(), "--take-over"),
            (memory.settings != Some(settings), "the settings have changed"),
            (memory.feed.is_none(), "something is still to be done"),
            (memory.next_change_at.is_some_and(|at| at <= self.started), "refused events are due to be tried again"),
        ];
        reasons.into_iter().find_map(|(holds, reason)| holds.then_some(reason))
    }

    /// Fetches the feed and finds out whether it changed.
    pub(super) fn gates(&mut self, distrust: Option<&str>) -> anyhow::Result<Gated> {
        self.end = Some(SOURCE);
        let gated = self.pass_gates(distrust.is_none())?;
        self.end = Some(TARGET);
        let name = &self.pass.subscription.name;
        match (&gated, distrust) {
            (Gated::Changed(_), Some(reason)) => log::info!("{name}: the feed is read whole ({reason})"),
            (Gated::Changed(_), None) => log::info!("{name}: the feed has changed"),
            _ => log::info!("{name}: the feed has not changed ({})", self.report.feed.gate.in_words()),
        }
        Ok(gated)
    }

    fn pass_gates(&mut self, trusts: bool) -> anyhow::Result<Gated> {
        let known = self.memory.feed.clone().filter(|_| trusts);
        // A time in the future comes from a clock that jumped.
        let is_late = |read_at: Timestamp| read_at > self.started || self.started.since(read_at) >= TRUSTED;
        let lately = known.clone().filter(|feed| !is_late(feed.read_at));
        let validators = lately.as_ref().map(|feed| feed.validators.clone()).unwrap_or_default();
        let (body, charset, validators) = match self.pass.source.fetch(&validators)? {
            Fetched::NotModified => {
                let feed = lately.ok_or_else(|| fault(Kind::Unavailable, "the feed's server answered 304 unasked"))?;
                self.report.feed.gate = Gate::Validator;
                self.report.feed.status = self.status(304);
                self.report.unchanged = self.taken();
                return Ok(Gated::Unchanged(feed, None));
            }
            Fetched::Document { body, charset, validators } => (body, charset, validators),
        };
        let hash = digest::sha256(&[&body]);
        self.report.feed = FeedReport { status: self.status(200), bytes: body.len() as u64, gate: Gate::None };
        if let Some(feed) = known.as_ref().filter(|feed| feed.body == hash) {
            self.report.feed.gate = Gate::Body;
            self.report.unchanged = self.taken();
            let memory = FeedMemory { validators, read_at: self.started, ..feed.clone() };
            return Ok(Gated::Unchanged(memory, None));
        }
        let fresh = self.read_feed(body, charset.as_deref(), hash, validators)?;
        if known.is_some_and(|feed| feed.digest == fresh.memory.digest) {
            self.report.feed.gate = Gate::Objects;
            self.report.unchanged = self.taken();
            return Ok(Gated::Unchanged(fresh.memory, Some(fresh.feed)));
        }
        Ok(Gated::Changed(fresh))
    }

    /// How many objects of an unchanged feed are in the target.
    fn taken(&self) -> u64 {
        self.memory.objects.unwrap_or(0).saturating_sub(self.memory.refused)
    }

    fn read_feed(
        &mut self,
        body: Vec<u8>,
        charset: Option<&str>,
        hash: Hash,
        validators: Validators,
    ) -> anyhow::Result<Fresh> {
        let feed = ics::read_shaped(body, charset, &self.shape)
            .map_err(|reason| fault(Kind::Feed, format!("the feed cannot be used: {reason}")))?;
        for complaint in feed.complaints() {
            log::info!("{}: {complaint}", self.pass.subscription.name);
        }
        self.report.repairs = feed.complaints().len() as u64;
        let memory = FeedMemory { validators, body: hash, digest: feed.digest(), read_at: self.started };
        Ok(Fresh { feed, memory })
    }

    /// The whole feed, regardless of the gates: the target drifted, so its objects are needed.
    pub(super) fn fetch_fresh(&mut self) -> anyhow::Result<Fresh> {
        self.end = Some(SOURCE);
        let fresh = self.fetch_whole()?;
        self.end = Some(TARGET);
        Ok(fresh)
    }

    fn fetch_whole(&mut self) -> anyhow::Result<Fresh> {
        match self.pass.source.fetch(&Validators::default())? {
            Fetched::NotModified => Err(fault(Kind::Unavailable, "the feed's server answered 304 unasked")),
            Fetched::Document { body, charset, validators } => {
                let hash = digest::sha256(&[&body]);
                self.report.feed.status = self.status(200);
                self.report.feed.bytes = body.len() as u64;
                self.read_feed(body, charset.as_deref(), hash, validators)
            }
        }
    }

    fn status(&self, status: u16) -> Option<u16> {
        matches!(self.pass.subscription.source, SourceAddress::Web { .. }).then_some(status)
    }
}
