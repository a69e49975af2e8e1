//! Opens the target of a pass: finds it, locks it, and finds out which of the subscriptions in the state this one is.

use super::{Run, identity};
use crate::collection::Abilities;
use crate::config::TargetAddress;
use crate::model::memory::Memory;

impl Run<'_, '_> {
    /// Opens the target and locks the place where it was found: one calendar can be written in many ways.
    pub(super) fn open(&mut self) -> anyhow::Result<Abilities> {
        let (collection, dry_run) = (self.pass.collection, self.pass.options.dry_run);
        let abilities = collection.open(self.may_create() && !dry_run)?;
        let address = collection.address().unwrap_or_else(|| self.pass.subscription.target.canonical());
        if !dry_run {
            (self.pass.claim)(&address)?;
        }
        if self.memory.target.address.is_none() {
            self.recognise(&address)?;
        }
        self.memory.target.address = Some(address);
        Ok(abilities)
    }

    /// Whether a missing target is made. A folder is made for the first pass; later its absence may be that of a disk.
    pub(super) fn may_create(&self) -> bool {
        let subscription = self.pass.subscription;
        let is_folder = matches!(subscription.target, TargetAddress::Folder(_));
        subscription.create || (is_folder && self.memory.settled_at.is_none())
    }

    /// A subscription whose target was never opened may be one that wrote the same target in another way until now. Then
    /// it goes on with what is remembered of that one.
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
