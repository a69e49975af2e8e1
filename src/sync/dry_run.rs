//! The dry run: the plan in human-readable form, with what changes in each object.

use std::collections::HashMap;

use super::Run;
use super::known::Known;
use super::matched::Matched;
use crate::ics::Resource;
use crate::model::{Href, Record};
use crate::plan::{Note, Op, Plan, Put, Write};
use crate::report::Step;

impl Run<'_, '_> {
    /// Puts the plan into the report with its counts. Reads objects to be updated, to show what changes.
    pub(super) fn show(&mut self, plan: &Plan, matched: &Matched<'_>, known: &Known) -> anyhow::Result<()> {
        let updates = plan.puts.iter().filter(|put| matches!(put, Put::Update { .. }));
        let hrefs: Vec<Href> = updates.map(|put| put.place().href.clone()).collect();
        let read = self.pass.target.read(&hrefs)?;
        let resources = read.stored.into_iter().filter_map(|it| Some((it.href, Resource::read(it.text)?)));
        let standing: HashMap<Href, Resource> = resources.collect();
        let mut steps = Vec::new();
        for op in plan.ops() {
            self.count(&op);
            let wanted = op.key().and_then(|key| matched.wanted(key));
            let record = op.key().and_then(|key| known.records.get(key));
            let (summary, start) = match op.key().and_then(|key| matched.description(key)) {
                Some(description) => description,
                None => record.map(described).unwrap_or_default(),
            };
            let old = op.href().and_then(|href| standing.get(href));
            let changes = wanted.zip(old).map(|(wanted, old)| matched.differences(wanted, old)).unwrap_or_default();
            steps.push(Step { op, start, summary, changes });
        }
        self.report.plan = Some(steps);
        Ok(())
    }

    fn count(&mut self, op: &Op) {
        let report = &mut *self.report;
        match op {
            Op::Write(Write::Put(Put::Create { restores, .. })) => {
                report.created += 1;
                report.restored += u64::from(*restores);
            }
            Op::Write(Write::Put(Put::Update { restores, .. })) => {
                report.updated += 1;
                report.restored += u64::from(restores.is_some());
            }
            Op::Write(Write::Delete(_)) => report.deleted += 1,
            Op::Note(Note::Rename { from, to }) => report.renamed += u64::from(from.uid != to.uid),
            Op::Note(Note::Stands { adopted, .. }) => report.adopted += u64::from(*adopted),
            Op::Note(_) => {}
        }
    }
}

fn described(record: &Record) -> (String, String) {
    (record.source.summary.clone(), record.source.start.clone())
}
