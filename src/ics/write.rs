//! Writes an object as one resource: CRLF, folded where a line is longer than 75 octets (RFC 5545 §3.1), never inside a
//! character (`reference/parsers.md` §1.1: other generators do).

use super::entry::{Entry, Name, entries, joined};

const LONGEST: usize = 75;
const OWN_PRODID: &[u8] = b"PRODID:-//baikal-sync//baikal-sync//EN";

/// How an object is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// Stands in place of the feed's UID (a rename, design §3).
    pub target_uid: Option<String>,
    /// Adds SCHEDULE-AGENT=CLIENT (RFC 6638 §7.1) to ORGANIZER and ATTENDEE that say nothing about it.
    pub schedule_agent: bool,
}

/// The lines that begin a resource.
pub(super) fn header(out: &mut Vec<u8>, prodid: Option<&[u8]>, calscale: Option<&[u8]>) {
    fold(out, b"BEGIN:VCALENDAR");
    fold(out, b"VERSION:2.0");
    fold(out, prodid.unwrap_or(OWN_PRODID));
    if let Some(line) = calscale {
        fold(out, line);
    }
}

/// The line that ends a resource.
pub(super) fn footer(out: &mut Vec<u8>) {
    fold(out, b"END:VCALENDAR");
}

/// A component as it is.
pub(super) fn plain(out: &mut Vec<u8>, text: &[u8]) {
    entries(text).for_each(|entry| fold(out, &entry.text));
}

/// A component in the form that the target needs.
pub(super) fn formed(out: &mut Vec<u8>, text: &[u8], form: &Form) {
    let renamed = form.target_uid.as_ref().map(|uid| with_uid(text, uid));
    let mut depth = 0_usize;
    for entry in entries(renamed.as_deref().unwrap_or(text)) {
        match entry.name {
            Name::Begin => depth += 1,
            Name::End => depth = depth.saturating_sub(1),
            _ => {}
        }
        let addressed = matches!(entry.name, Name::Organizer | Name::Attendee) && depth == 1;
        if form.schedule_agent && addressed && entry.parameter("SCHEDULE-AGENT").is_none() {
            let agent: &[u8] = b"SCHEDULE-AGENT=CLIENT";
            fold(out, &entry.with_parameters(std::iter::once(agent).chain(entry.parameters())).text);
        } else {
            fold(out, &entry.text);
        }
    }
}

/// The component, unfolded, with exactly this UID. The UIDs of alarms (RFC 9074 §5) are left alone.
pub(super) fn with_uid(text: &[u8], uid: &str) -> Vec<u8> {
    let line = Entry::new([b"UID:", uid.as_bytes()].concat());
    let mut depth = 0_usize;
    let mut lines: Vec<Entry<'_>> = Vec::new();
    for entry in entries(text) {
        match entry.name {
            Name::Begin => depth += 1,
            Name::End => depth = depth.saturating_sub(1),
            Name::Uid if depth == 1 => continue,
            _ => {}
        }
        lines.push(entry);
        if lines.len() == 1 {
            lines.push(line.clone());
        }
    }
    joined(&lines)
}

/// One line with its end, in pieces of at most 75 octets.
fn fold(out: &mut Vec<u8>, line: &[u8]) {
    let mut rest = line;
    let mut room = LONGEST;
    while rest.len() > room {
        let (piece, others) = rest.split_at_checked(boundary(rest, room)).unwrap_or((rest, &[]));
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n ");
        rest = others;
        // The blank that begins a continuation counts.
        room = LONGEST - 1;
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(b"\r\n");
}

/// The last place at or before `room` where a character begins.
fn boundary(line: &[u8], room: usize) -> usize {
    let continues = |at: &usize| line.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (room.saturating_sub(3)..=room).rev().find(|at| !continues(at)).unwrap_or(room)
}

/// The header lines of a calendar, if they are there.
pub(super) fn lines_of(calendar: &super::split::Calendar) -> (Option<&[u8]>, Option<&[u8]>) {
    (calendar.prodid.as_deref(), calendar.calscale.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(line: &str) -> String {
        let mut out = Vec::new();
        fold(&mut out, line.as_bytes());
        String::from_utf8(out).unwrap()
    }

    fn check(text: &str, form: &Form, expected: &str) {
        let mut out = Vec::new();
        formed(&mut out, text.as_bytes(), form);
        assert_eq!(String::from_utf8(out).unwrap().replace("\r\n", "\n"), expected);
    }

    #[test]
    fn a_line_is_folded_before_its_76th_octet_and_never_inside_a_character() {
        assert_eq!(folded(&"x".repeat(75)), format!("{}\r\n", "x".repeat(75)));
        assert_eq!(folded(&"x".repeat(76)), format!("{}\r\n x\r\n", "x".repeat(75)));
        assert_eq!(folded(&"🎉".repeat(40)), ["🎉".repeat(18), "🎉".repeat(18), "🎉".repeat(4)].join("\r\n ") + "\r\n");
    }

    #[test]
    fn a_target_uid_replaces_the_uid_of_the_component_alone() {
        let text = "BEGIN:VEVENT\nSUMMARY:x\nuid:a\nBEGIN:VALARM\nUID:b\nEND:VALARM\nEND:VEVENT\n";
        let form = Form { target_uid: Some("t".to_owned()), schedule_agent: false };
        check(text, &form, "BEGIN:VEVENT\nUID:t\nSUMMARY:x\nBEGIN:VALARM\nUID:b\nEND:VALARM\nEND:VEVENT\n");
    }

    #[test]
    fn the_schedule_agent_is_added_where_none_is() {
        let text = "BEGIN:VEVENT\nORGANIZER:mailto:o\nATTENDEE;CN=\"a:b\":mailto:a\nATTENDEE;SCHEDULE-AGENT=NONE:mailto:n\n\
                    BEGIN:VALARM\nATTENDEE:mailto:x\nEND:VALARM\nEND:VEVENT\n";
        let form = Form { target_uid: None, schedule_agent: true };
        let expected = text.replace("ORGANIZER:", "ORGANIZER;SCHEDULE-AGENT=CLIENT:");
        check(text, &form, &expected.replace("ATTENDEE;CN", "ATTENDEE;SCHEDULE-AGENT=CLIENT;CN"));
    }
}
