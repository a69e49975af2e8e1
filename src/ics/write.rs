//! Writes an object as one resource: with CRLF, folding lines longer than 75 octets (RFC 5545 §3.1), but never inside
//! a character (other generators do).

use super::line::{ContentLine, Name};
use super::pieces::Calendar;

const LONGEST: usize = 75;
const OWN_PRODID: &[u8] = b"PRODID:-//baikal-sync//baikal-sync//EN";

/// Writes the lines that begin a resource.
pub(super) fn header(out: &mut Vec<u8>, calendar: Option<&Calendar>) {
    fold(out, b"BEGIN:VCALENDAR");
    fold(out, b"VERSION:2.0");
    fold(out, calendar.and_then(|calendar| calendar.prodid.as_deref()).unwrap_or(OWN_PRODID));
    if let Some(line) = calendar.and_then(|calendar| calendar.calscale.as_deref()) {
        fold(out, line);
    }
}

/// Writes the line that ends a resource.
pub(super) fn footer(out: &mut Vec<u8>) {
    fold(out, b"END:VCALENDAR");
}

/// Writes a component, replacing its UID by `uid` if given.
pub(super) fn component(out: &mut Vec<u8>, lines: &[ContentLine<'_>], uid: Option<&str>) {
    match uid {
        None => lines.iter().for_each(|entry| fold(out, &entry.text)),
        Some(uid) => with_uid(lines, uid).iter().for_each(|entry| fold(out, &entry.text)),
    }
}

/// A component, given from BEGIN to END, with exactly this UID. UIDs of alarms (RFC 9074 §5) are left alone.
pub(super) fn with_uid<'e>(component: &'e [ContentLine<'_>], uid: &str) -> Vec<ContentLine<'e>> {
    let mut depth = 0_usize;
    let mut lines = Vec::with_capacity(component.len() + 1);
    for entry in component {
        match entry.name {
            Name::Begin => depth += 1,
            Name::End => depth = depth.saturating_sub(1),
            Name::Uid if depth == 1 => continue,
            _ => {}
        }
        lines.push(entry.borrowed());
        if lines.len() == 1 {
            lines.push(ContentLine::new([b"UID:", uid.as_bytes()].concat()));
        }
    }
    lines
}

/// Writes one line with its ending, folded at 75 octets.
fn fold(out: &mut Vec<u8>, line: &[u8]) {
    let mut rest = line;
    let mut room = LONGEST;
    while rest.len() > room {
        let (piece, others) = rest.split_at_checked(boundary(rest, room)).unwrap_or((rest, &[]));
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n ");
        rest = others;
        // The space that begins a continuation counts.
        room = LONGEST - 1;
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(b"\r\n");
}

/// The last character boundary at or before `room`.
fn boundary(line: &[u8], room: usize) -> usize {
    let continues = |at: &usize| line.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (room.saturating_sub(3)..=room).rev().find(|at| !continues(at)).unwrap_or(room)
}

#[cfg(test)]
mod tests {
    use super::super::line::entries;
    use super::*;

    fn folded(line: &str) -> String {
        let mut out = Vec::new();
        fold(&mut out, line.as_bytes());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_is_folded_before_its_76th_octet_and_never_inside_a_character() {
        assert_eq!(folded(&"x".repeat(75)), format!("{}\r\n", "x".repeat(75)));
        assert_eq!(folded(&"x".repeat(76)), format!("{}\r\n x\r\n", "x".repeat(75)));
        assert_eq!(folded(&"🎉".repeat(40)), ["🎉".repeat(18), "🎉".repeat(18), "🎉".repeat(4)].join("\r\n ") + "\r\n");
    }

    #[test]
    fn another_uid_replaces_the_uid_of_the_component_alone() {
        let text = "BEGIN:VEVENT\nSUMMARY:x\nuid:a\nBEGIN:VALARM\nUID:b\nEND:VALARM\nEND:VEVENT\n";
        let lines: Vec<_> = entries(text.as_bytes()).collect();
        let mut out = Vec::new();
        component(&mut out, &lines, Some("t"));
        let expected = "BEGIN:VEVENT\nUID:t\nSUMMARY:x\nBEGIN:VALARM\nUID:b\nEND:VALARM\nEND:VEVENT\n";
        assert_eq!(String::from_utf8(out).unwrap().replace("\r\n", "\n"), expected);
    }
}
