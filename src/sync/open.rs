//! Opens the target of a pass: finds it, locks it, and identifies the subscription in the state.

use super::{Run, TARGET, identity};
use crate::collection::Abilities;
use crate::config::TargetAddress;
use crate::model::memory::Memory;

impl Run<'_, '_> {
    /// Opens the target and locks the address where it was found: a calendar can be configured in several spellings.
    pub(super) fn open(&mut self) -> anyhow::Result<Abilities> {
        let (collection, dry_run) = (self.pass.target, self.pass.options.dry_run);
        let abilities = collection.open(self.may_create() && !dry_run)?;
        let address = collection.address().unwrap_or_else(|| self.pass.subscription.target.canonical());
        if !dry_run {
            (self.pass.claim)(std::slice::from_ref(&address))?;
        }
        if self.memory.ends[TARGET].address.is_none() {
            self.recognise(&address)?;
        }
        self.memory.ends[TARGET].address = Some(address);
        Ok(abilities)
    }

    /// Whether to create a missing target: a folder only for the first pass, because later a disk may be missing.
    pub(super) fn may_create(&self) -> bool {
        let subscription = self.pass.subscription;
        let is_folder = matches!(subscription.target, TargetAddress::Folder(_));
        subscription.create || (is_folder && self.memory.settled_at.is_none())
    }

    /// A subscription whose target was never opened may be a known one whose target was spelled differently. It then
    /// continues with that memory.
    fn recognise(&mut self, address: &str) -> anyhow::Result<()> {
        let (me, address) = (identity(self.pass.subscription), address.to_owned());
        let asked = me.clone();
        let Some((id, memory)) = self.pass.state.read(move |state| state.memory_at(&asked, &address))? else {
            return Ok(());
        };
        if !self.pass.options.dry_run {
            self.pass.state.write(move |state| state.respell(id, &me))?;
        }
        self.id = Some(id);
        self.memory = Memory { started_at: Some(self.started), ..memory };
        Ok(())
    }
}
