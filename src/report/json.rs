//! Reports as JSON: one document with `"version": 1`, additive only. The only file that names `serde_json`.

use serde_json::{Value, json};

use super::status::{State, StatusReport};
use super::{PassReport, Refused, Step};
use crate::dav::discover::Calendar;
use crate::model::Href;
use crate::plan::{Note, Op, Put, Write};
use crate::words::time::Timestamp;

/// The document of `run --json`.
pub fn run(reports: &[PassReport], exit_code: u8, dry_run: bool) -> String {
    let subscriptions: Vec<Value> = reports.iter().map(subscription).collect();
    document(&json!({
        "version": 1, "exit_code": exit_code, "dry_run": dry_run, "subscriptions": subscriptions,
    }))
}

/// The document of `status --json`.
pub fn status(reports: &[StatusReport], exit_code: u8) -> String {
    let subscriptions: Vec<Value> = reports.iter().map(standing).collect();
    document(&json!({ "version": 1, "exit_code": exit_code, "subscriptions": subscriptions }))
}

/// The document of `calendars --json`.
pub fn calendars(server: &str, calendars: &[Calendar]) -> String {
    let calendars: Vec<Value> = calendars
        .iter()
        .map(|calendar| {
            let components: Vec<&str> = calendar.components.iter().map(|component| component.as_str()).collect();
            json!({
                "url": calendar.url.to_string(), "name": calendar.display_name, "components": components,
                "writable": calendar.rights.write, "sync_collection": calendar.can_sync,
            })
        })
        .collect();
    document(&json!({ "version": 1, "exit_code": 0, "server": server, "calendars": calendars }))
}

/// The document of a command that failed completely.
pub fn failure(kind: &str, messages: &[String], exit_code: u8) -> String {
    let error = json!({ "kind": kind, "message": messages.join("\n") });
    document(&json!({ "version": 1, "exit_code": exit_code, "error": error, "subscriptions": [] }))
}

fn document(value: &Value) -> String {
    format!("{value:#}\n")
}

fn subscription(report: &PassReport) -> Value {
    let error = report.error.as_ref().map(|fault| json!({ "kind": fault.kind.as_str(), "message": fault.message }));
    let held = report
        .held
        .as_ref()
        .map(|held| json!({ "deletes": held.deletes, "for": held.held_for.as_str(), "reason": held.reason }));
    let mut value = json!({
        "name": report.name,
        "outcome": report.outcome.as_str(),
        "created": report.created,
        "updated": report.updated,
        "deleted": report.deleted,
        "unchanged": report.unchanged,
        "adopted": report.adopted,
        "renamed": report.renamed,
        "restored": report.restored,
        "rejected": report.rejected.iter().map(refused).collect::<Vec<_>>(),
        "conflicts": report.conflicts.iter().map(refused).collect::<Vec<_>>(),
        "held": held,
        "repairs": report.repairs,
        "feed": {
            "status": report.feed.status, "bytes": report.feed.bytes, "gate": report.feed.gate.as_str(),
        },
        "requests": report.requests,
        "bytes_sent": report.bytes_sent,
        "bytes_received": report.bytes_received,
        "duration_ms": report.duration_ms,
        "retry_at": moment(report.retry_at),
        "error": error,
    });
    if let (Some(steps), Some(object)) = (&report.plan, value.as_object_mut()) {
        object.insert("plan".to_owned(), steps.iter().map(step).collect());
    }
    value
}

fn refused(refused: &Refused) -> Value {
    json!({ "uid": refused.uid, "summary": refused.summary, "reason": refused.reason })
}

fn step(step: &Step) -> Value {
    let (action, reason) = match &step.op {
        Op::Note(Note::Rename { .. }) => ("rename", None),
        Op::Note(Note::Stands { adopted: true, .. }) => ("adopt", None),
        Op::Note(Note::Stands { .. } | Note::Before { .. }) => ("note", None),
        Op::Note(Note::Removed { .. }) => ("accept", None),
        Op::Note(Note::Keep { .. }) => ("keep", None),
        Op::Note(Note::Hold { .. }) => ("hold", None),
        Op::Note(Note::Forget { .. }) => ("forget", None),
        Op::Note(Note::Leave { occupant, .. }) => ("leave", Some(occupant.reason())),
        Op::Note(Note::Reject { reason, .. }) => ("reject", Some(reason.as_str())),
        Op::Write(Write::Put(Put::Create { .. })) => ("create", None),
        Op::Write(Write::Put(Put::Update { .. })) => ("update", None),
        Op::Write(Write::Delete(_)) => ("delete", None),
    };
    json!({
        "action": action,
        "uid": step.op.key().map(|key| &key.uid),
        "component": step.op.key().map(|key| key.component.as_str()),
        "href": step.op.href().map(Href::as_str),
        "start": step.start,
        "summary": step.summary,
        "changes": step.changes,
        "reason": reason,
    })
}

fn standing(report: &StatusReport) -> Value {
    let memory = &report.memory;
    let failing = memory.failing.as_ref().map(|failing| {
        json!({
            "kind": failing.kind.as_str(), "message": failing.message, "failures": failing.failures,
            "since": failing.since.rfc3339(), "retry_at": moment(failing.retry_at),
        })
    });
    let held = memory.held.as_ref().map(|held| {
        let event = |held: &Refused| json!({ "uid": held.uid, "summary": held.summary, "start": held.reason });
        json!({
            "deletes": held.deletes, "for": held.held_for.as_str(), "reason": held.reason, "approved": report.approved,
            "events": report.held.iter().map(event).collect::<Vec<_>>(),
        })
    });
    let state = match report.state() {
        State::InOrder => "in_order",
        State::NeverRan => "never_ran",
        State::Refusing => "refusing",
        State::Failing => "failing",
        State::Held => "held",
        State::Unfinished => "unfinished",
        State::Running => "running",
        State::NotConfigured => "not_configured",
    };
    json!({
        "name": report.name,
        "state": state,
        "source": report.source,
        "target": report.target,
        "objects": report.mirrored,
        "started_at": moment(memory.started_at),
        "settled_at": moment(memory.settled_at),
        "running_since": moment(report.running_since),
        "rejected": report.rejected.iter().map(refused).collect::<Vec<_>>(),
        "conflicts": report.conflicts.iter().map(refused).collect::<Vec<_>>(),
        "held": held,
        "unclaimed": report.unclaimed.iter().map(|(prefix, events)| json!({ "prefix": prefix, "events": events }))
            .collect::<Vec<_>>(),
        "error": failing,
    })
}

fn moment(moment: Option<Timestamp>) -> Option<String> {
    moment.map(Timestamp::rfc3339)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Outcome;
    use crate::words::error::{Fault, Kind};

    #[test]
    fn a_failure_is_in_the_document_with_its_kind() {
        let error = Some(Fault::new(Kind::Refused, "401"));
        let report =
            PassReport { outcome: Outcome::Failed, error, retry_at: Some(Timestamp(0)), ..PassReport::new("w") };
        let document: Value = serde_json::from_str(&run(&[report], 77, false)).unwrap();
        let subscription = &document["subscriptions"][0];
        assert_eq!((&document["version"], &document["exit_code"]), (&json!(1), &json!(77)));
        assert_eq!(subscription["error"], json!({ "kind": "refused", "message": "401" }));
        assert_eq!(subscription["retry_at"], json!("1970-01-01T00:00:00Z"));
        assert!(subscription.get("plan").is_none());
    }

    #[test]
    fn every_field_of_the_interface_is_there() {
        let document: Value = serde_json::from_str(&run(&[PassReport::new("w")], 0, true)).unwrap();
        let fields = "name outcome created updated deleted unchanged adopted renamed restored rejected held repairs \
                      feed requests bytes_sent bytes_received duration_ms retry_at error";
        for field in fields.split_whitespace() {
            assert!(document["subscriptions"][0].get(field).is_some(), "{field}");
        }
    }
}
