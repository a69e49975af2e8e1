//! Writes an object as one resource: CRLF, folded where a line is longer than 75 octets (RFC 5545 §3.1), never inside a
//! character (other generators do).

use super::line::{Entry, Name, entries, joined};

const LONGEST: usize = 75;
const OWN_PRODID: &[u8] = b"PRODID:-//baikal-sync//baikal-sync//EN";

/// How an object is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// Stands in place of the feed's UID (a rename).
    pub target_uid: Option<String>,
    /// Makes sure that ORGANIZER and ATTENDEE forbid the server to send mail: SCHEDULE-AGENT=CLIENT (RFC 6638 §7.1),
    /// unless they say NONE.
    pub schedule_agent: bool,
    /// What becomes of ORGANIZER and ATTENDEE.
    pub attendees: Attendees,
}

/// `attendees` of the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Attendees {
    /// They are mirrored.
    #[default]
    Keep,
    /// ORGANIZER and ATTENDEE are left out.
    Strip,
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
        match form.attendees {
            Attendees::Strip if addressed => {}
            Attendees::Keep if addressed && form.schedule_agent => fold(out, &without_mail(&entry).text),
            _ => fold(out, &entry.text),
        }
    }
}

/// The line with an agent that keeps the server from sending mail about it.
fn without_mail<'a>(entry: &Entry<'a>) -> Entry<'a> {
    const AGENT: &str = "SCHEDULE-AGENT";
    let is_quiet = |agent: &[u8]| [&b"CLIENT"[..], b"NONE"].iter().any(|quiet| agent.eq_ignore_ascii_case(quiet));
    if entry.parameter(AGENT).is_some_and(is_quiet) {
        return entry.clone();
    }
    let is_agent = |parameter: &&[u8]| {
        parameter.get(..=AGENT.len()).is_some_and(|name| name.eq_ignore_ascii_case(b"SCHEDULE-AGENT="))
    };
    let others = entry.parameters().filter(|parameter| !is_agent(parameter));
    entry.with_parameters(std::iter::once(&b"SCHEDULE-AGENT=CLIENT"[..]).chain(others))
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
        let form = Form { target_uid: Some("t".to_owned()), ..Form::default() };
        check(text, &form, "BEGIN:VEVENT\nUID:t\nSUMMARY:x\nBEGIN:VALARM\nUID:b\nEND:VALARM\nEND:VEVENT\n");
    }

    #[test]
    fn a_schedule_agent_that_would_send_mail_becomes_one_that_does_not() {
        let text = "BEGIN:VEVENT\nORGANIZER;schedule-agent=SERVER:mailto:o\nATTENDEE;CN=\"a:b\":mailto:a\n\
                    ATTENDEE;SCHEDULE-AGENT=NONE:mailto:n\nBEGIN:VALARM\nATTENDEE:mailto:x\nEND:VALARM\nEND:VEVENT\n";
        let form = Form { schedule_agent: true, ..Form::default() };
        let expected = text.replace("schedule-agent=SERVER", "SCHEDULE-AGENT=CLIENT");
        check(text, &form, &expected.replace("ATTENDEE;CN", "ATTENDEE;SCHEDULE-AGENT=CLIENT;CN"));
    }

    #[test]
    fn attendees_are_left_out_where_that_is_asked_for_but_not_those_of_alarms() {
        let alarm = "BEGIN:VALARM\nATTENDEE:mailto:x\nEND:VALARM\n";
        let text = format!("BEGIN:VEVENT\nORGANIZER:mailto:o\nATTENDEE:mailto:a\n{alarm}END:VEVENT\n");
        let form = Form { attendees: Attendees::Strip, schedule_agent: true, ..Form::default() };
        check(&text, &form, &format!("BEGIN:VEVENT\n{alarm}END:VEVENT\n"));
    }
}
