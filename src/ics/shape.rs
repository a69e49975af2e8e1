//! Applies the configured rules to each object. All rules run here, between repair and hash, so that the hash is that
//! of the sent object.

use super::line::{ContentLine, Name, Names, set_of};

/// The rules to apply to each object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Shape {
    /// What happens to ORGANIZER and ATTENDEE.
    pub attendees: Attendees,
    /// Ensures that ORGANIZER and ATTENDEE forbid the server to send mail: SCHEDULE-AGENT=CLIENT (RFC 6638 §7.1),
    /// unless they have NONE.
    pub schedule_agent: bool,
}

/// The `attendees` key of the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Attendees {
    /// ORGANIZER and ATTENDEE are mirrored.
    #[default]
    Keep,
    /// ORGANIZER and ATTENDEE are removed.
    Strip,
}

const ADDRESSES: Names = set_of(&[Name::Organizer, Name::Attendee]);

/// The result for a line.
enum Made {
    Same,
    Other(ContentLine<'static>),
    Gone,
}

impl Shape {
    /// The properties that it affects.
    fn names(self) -> Names {
        if self == Shape::default() { 0 } else { ADDRESSES }
    }

    /// Applies the rules to a line of the component itself.
    fn make(self, entry: &ContentLine<'_>) -> Made {
        if self.attendees == Attendees::Strip {
            return Made::Gone;
        }
        without_mail(entry).map_or(Made::Same, Made::Other)
    }
}

/// Applies the rules to a component, given from BEGIN to END. `None` if it stays the same.
pub(super) fn shaped<'e>(component: &'e [ContentLine<'_>], shape: Shape) -> Option<Vec<ContentLine<'e>>> {
    let names = shape.names();
    if names == 0 || !component.iter().any(|entry| entry.name.is_in(names)) {
        return None;
    }
    let mut lines = Vec::with_capacity(component.len());
    let mut changed = false;
    let mut depth = 0_usize;
    for entry in component {
        match entry.name {
            Name::Begin => depth += 1,
            Name::End => depth = depth.saturating_sub(1),
            _ => {}
        }
        // The ATTENDEE of an alarm is its recipient.
        let made = if depth == 1 && entry.name.is_in(names) { shape.make(entry) } else { Made::Same };
        changed |= !matches!(made, Made::Same);
        match made {
            Made::Same => lines.push(entry.borrowed()),
            Made::Other(line) => lines.push(line),
            Made::Gone => {}
        }
    }
    changed.then_some(lines)
}

/// The line with an agent that keeps the server from sending mail. `None` if it already has one.
fn without_mail(entry: &ContentLine<'_>) -> Option<ContentLine<'static>> {
    const AGENT: &str = "SCHEDULE-AGENT";
    let is_quiet = |agent: &[u8]| [&b"CLIENT"[..], b"NONE"].iter().any(|quiet| agent.eq_ignore_ascii_case(quiet));
    if entry.parameter(AGENT).is_some_and(is_quiet) {
        return None;
    }
    let is_agent = |parameter: &&[u8]| {
        parameter.get(..=AGENT.len()).is_some_and(|name| name.eq_ignore_ascii_case(b"SCHEDULE-AGENT="))
    };
    let others = entry.parameters().filter(|parameter| !is_agent(parameter));
    Some(entry.with_parameters(std::iter::once(&b"SCHEDULE-AGENT=CLIENT"[..]).chain(others)))
}

#[cfg(test)]
mod tests {
    use super::super::line::{entries, joined};
    use super::*;

    const QUIET: Shape = Shape { attendees: Attendees::Keep, schedule_agent: true };
    const STRIP: Shape = Shape { attendees: Attendees::Strip, schedule_agent: true };

    fn check(text: &str, shape: Shape, expected: Option<&str>) {
        let component: Vec<_> = entries(text.as_bytes()).collect();
        let made = shaped(&component, shape).map(|lines| String::from_utf8(joined(&lines)).unwrap());
        assert_eq!(made.as_deref(), expected);
    }

    #[test]
    fn a_schedule_agent_that_would_send_mail_becomes_one_that_does_not() {
        let text = "BEGIN:VEVENT\nORGANIZER;schedule-agent=SERVER:mailto:o\nATTENDEE;CN=\"a:b\":mailto:a\n\
                    ATTENDEE;SCHEDULE-AGENT=NONE:mailto:n\nBEGIN:VALARM\nATTENDEE:mailto:x\nEND:VALARM\nEND:VEVENT\n";
        let expected = text.replace("schedule-agent=SERVER", "SCHEDULE-AGENT=CLIENT");
        let expected = expected.replace("ATTENDEE;CN", "ATTENDEE;SCHEDULE-AGENT=CLIENT;CN");
        check(text, QUIET, Some(&expected));
        check(&expected, QUIET, None);
    }

    #[test]
    fn attendees_are_left_out_where_that_is_asked_for_but_not_those_of_alarms() {
        let bare = "BEGIN:VEVENT\nBEGIN:VALARM\nATTENDEE:mailto:x\nEND:VALARM\nEND:VEVENT\n";
        let full = bare.replacen("VEVENT\n", "VEVENT\nORGANIZER:mailto:o\nattendee:mailto:a\n", 1);
        check(&full, STRIP, Some(bare));
        check(bare, STRIP, None);
    }

    #[test]
    fn nothing_is_copied_where_no_rule_acts() {
        check("BEGIN:VEVENT\nATTENDEE:mailto:a\nEND:VEVENT\n", Shape::default(), None);
        check("BEGIN:VEVENT\nSUMMARY:x\nEND:VEVENT\n", STRIP, None);
    }
}
