//! Splits a content line (RFC 5545 §3.1) into name, parameters and value without copying, and lists the property
//! names that matter to the mirror.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::scan::{Lines, slice};

/// The names that are handled; all others are `Other` and passed through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Begin,
    End,
    Uid,
    Dtstamp,
    Created,
    LastModified,
    Sequence,
    Dtstart,
    Dtend,
    Due,
    Duration,
    RecurrenceId,
    Rrule,
    Exdate,
    Rdate,
    Summary,
    Description,
    Location,
    Comment,
    Contact,
    Url,
    Organizer,
    Attendee,
    Class,
    Geo,
    Priority,
    Status,
    Transp,
    Completed,
    Action,
    Trigger,
    Repeat,
    Attach,
    Tzid,
    Tzurl,
    Prodid,
    Version,
    Calscale,
    /// X-ALT-DESC: the HTML description written by Outlook and many others.
    AltDesc,
    /// Well-formed but irrelevant.
    Other,
    /// A name with `_`, which sabre rejects.
    Underscored,
    /// Not of the form `name:value`.
    Malformed,
}

impl Name {
    fn of(name: &[u8]) -> Name {
        if let [b'X' | b'x', b'-', rest @ ..] = name {
            return if rest.eq_ignore_ascii_case(b"ALT-DESC") { Name::AltDesc } else { Name::Other };
        }
        match Name::of_upper(name) {
            Name::Other if name.len() <= 16 && name.iter().any(u8::is_ascii_lowercase) => {
                Name::of_upper(&name.to_ascii_uppercase())
            }
            known => known,
        }
    }

    fn of_upper(name: &[u8]) -> Name {
        match name {
            b"BEGIN" => Name::Begin,
            b"END" => Name::End,
            b"UID" => Name::Uid,
            b"DTSTAMP" => Name::Dtstamp,
            b"CREATED" => Name::Created,
            b"LAST-MODIFIED" => Name::LastModified,
            b"SEQUENCE" => Name::Sequence,
            b"DTSTART" => Name::Dtstart,
            b"DTEND" => Name::Dtend,
            b"DUE" => Name::Due,
            b"DURATION" => Name::Duration,
            b"RECURRENCE-ID" => Name::RecurrenceId,
            b"RRULE" => Name::Rrule,
            b"EXDATE" => Name::Exdate,
            b"RDATE" => Name::Rdate,
            b"SUMMARY" => Name::Summary,
            b"DESCRIPTION" => Name::Description,
            b"LOCATION" => Name::Location,
            b"COMMENT" => Name::Comment,
            b"CONTACT" => Name::Contact,
            b"URL" => Name::Url,
            b"ORGANIZER" => Name::Organizer,
            b"ATTENDEE" => Name::Attendee,
            b"CLASS" => Name::Class,
            b"GEO" => Name::Geo,
            b"PRIORITY" => Name::Priority,
            b"STATUS" => Name::Status,
            b"TRANSP" => Name::Transp,
            b"COMPLETED" => Name::Completed,
            b"ACTION" => Name::Action,
            b"TRIGGER" => Name::Trigger,
            b"REPEAT" => Name::Repeat,
            b"ATTACH" => Name::Attach,
            b"TZID" => Name::Tzid,
            b"TZURL" => Name::Tzurl,
            b"PRODID" => Name::Prodid,
            b"VERSION" => Name::Version,
            b"CALSCALE" => Name::Calscale,
            _ => Name::Other,
        }
    }

    /// Whether this name is in a set.
    pub(super) fn is_in(self, set: Names) -> bool {
        set & self.bit() != 0
    }

    /// The bit of this name in a set.
    pub(super) const fn bit(self) -> Names {
        1 << (self as u64)
    }
}

/// A set of names, one bit for each.
pub(super) type Names = u64;

/// The set of these names.
pub(super) const fn set_of(names: &[Name]) -> Names {
    let mut set = 0;
    let mut rest = names;
    while let [name, others @ ..] = rest {
        set |= name.bit();
        rest = others;
    }
    set
}

/// A logical line.
#[derive(Debug, Clone)]
pub(super) struct ContentLine<'a> {
    /// The whole line, unfolded.
    pub text: Cow<'a, [u8]>,
    /// The name of the property.
    pub name: Name,
    name_end: usize,
    value_start: usize,
}

impl<'a> ContentLine<'a> {
    /// Parses a line.
    pub(super) fn new(text: impl Into<Cow<'a, [u8]>>) -> ContentLine<'a> {
        let text = text.into();
        let name_end = text.iter().position(|byte| !is_name_byte(*byte)).unwrap_or(text.len());
        let colon = match text.get(name_end) {
            Some(b':') => Some(name_end),
            Some(b';') => {
                let rest = slice(&text, name_end..text.len());
                // If no colon is outside quotes, the first one is used.
                first_outside_quotes(rest, b':').or_else(|| memchr(b':', rest)).map(|colon| name_end + colon)
            }
            _ => None,
        };
        let value_start = colon.map_or(text.len(), |colon| colon + 1);
        let mut entry = ContentLine { text, name: Name::Malformed, name_end, value_start };
        if colon.is_some() && name_end > 0 {
            entry.name = entry.classify();
        }
        entry
    }

    /// The same line, borrowing its text.
    pub(super) fn borrowed(&self) -> ContentLine<'_> {
        ContentLine { text: Cow::Borrowed(&self.text), ..*self }
    }

    fn classify(&self) -> Name {
        let name = self.name_text();
        match Name::of(name) {
            Name::Begin | Name::End if !self.names_component() => Name::Other,
            Name::Other if self.is_address() => Name::Malformed,
            Name::Other if memchr(b'_', name).is_some() => Name::Underscored,
            known => known,
        }
    }

    /// Whether this is an address that starts an unescaped line of text.
    fn is_address(&self) -> bool {
        let rest = slice(&self.text, self.name_end..self.text.len());
        rest.starts_with(b"://") && memchr(b'-', self.name_text()).is_none()
    }

    fn names_component(&self) -> bool {
        let name = self.value().trim_ascii();
        !name.is_empty() && name.iter().all(|byte| is_name_byte(*byte))
    }

    /// The name as written.
    pub(super) fn name_text(&self) -> &[u8] {
        slice(&self.text, 0..self.name_end)
    }

    /// The name for display, in upper case.
    pub(super) fn label(&self) -> String {
        String::from_utf8_lossy(self.name_text()).to_uppercase()
    }

    /// Parameters (without the leading `;`) and value.
    pub(super) fn parts(&self) -> (&[u8], &[u8]) {
        let parameters = self.name_end + 1..self.value_start.saturating_sub(1);
        (slice(&self.text, parameters), self.value())
    }

    /// The value as written.
    pub(super) fn value(&self) -> &[u8] {
        slice(&self.text, self.value_start..self.text.len())
    }

    /// The component named by BEGIN or END.
    pub(super) fn component(&self) -> &[u8] {
        self.value().trim_ascii()
    }

    /// The parameters, each as `NAME=value`.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = Some(self.parts().0).filter(|parameters| !parameters.is_empty());
        std::iter::from_fn(move || {
            let list = rest?;
            let end = first_outside_quotes(list, b';').unwrap_or(list.len());
            rest = list.get(end + 1..);
            Some(slice(list, 0..end))
        })
    }

    /// The value of a parameter, without surrounding quotes.
    pub(super) fn parameter(&self, name: &str) -> Option<&[u8]> {
        self.parameters().find_map(|parameter| {
            let equals = memchr(b'=', parameter)?;
            let known = slice(parameter, 0..equals).eq_ignore_ascii_case(name.as_bytes());
            known.then(|| unquoted(slice(parameter, equals + 1..parameter.len())))
        })
    }

    /// The same line with another value.
    pub(super) fn with_value(&self, value: &[u8]) -> ContentLine<'static> {
        ContentLine::new([slice(&self.text, 0..self.value_start), value].concat())
    }

    /// The same line with other parameters.
    pub(super) fn with_parameters<'p>(&self, parameters: impl Iterator<Item = &'p [u8]>) -> ContentLine<'static> {
        let mut text = self.name_text().to_vec();
        for parameter in parameters {
            text.push(b';');
            text.extend_from_slice(parameter);
        }
        text.push(b':');
        text.extend_from_slice(self.value());
        ContentLine::new(text)
    }
}

/// The content lines of a text.
pub(super) fn entries(text: &[u8]) -> impl Iterator<Item = ContentLine<'_>> {
    Lines::new(text).map(|line| ContentLine::new(line.text))
}

/// The first line of this name in the component itself, not in a sub-component.
pub(super) fn own<'e, 'a>(component: &'e [ContentLine<'a>], name: Name) -> Option<&'e ContentLine<'a>> {
    let mut depth = 0_usize;
    component.iter().find(|entry| {
        match entry.name {
            Name::Begin => depth += 1,
            Name::End => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 1 && entry.name == name
    })
}

/// The lines as one text, each terminated by LF.
pub(super) fn joined(entries: &[ContentLine<'_>]) -> Vec<u8> {
    let mut text = Vec::with_capacity(entries.iter().map(|entry| entry.text.len() + 1).sum());
    for entry in entries {
        text.extend_from_slice(&entry.text);
        text.push(b'\n');
    }
    text
}

/// Characters allowed in names, and those that feeds use beyond RFC 5545: a group before a dot, `_`.
fn is_name_byte(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_')
}

fn first_outside_quotes(text: &[u8], wanted: u8) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = memchr2(b'"', wanted, text.get(at..)?) {
        at += found;
        if text.get(at) == Some(&wanted) {
            return Some(at);
        }
        at += memchr(b'"', text.get(at + 1..)?)? + 2;
    }
    None
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        bare => bare,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, name: Name, parameters: &[&str], value: &str) {
        let entry = ContentLine::new(line.as_bytes());
        let found: Vec<_> = entry.parameters().map(String::from_utf8_lossy).collect();
        assert_eq!((entry.name, found.join("|")), (name, parameters.join("|")), "{line}");
        assert_eq!(String::from_utf8_lossy(entry.value()), value, "{line}");
    }

    #[test]
    fn a_line_is_told_apart() {
        check("SUMMARY:::) x", Name::Summary, &[], "::) x");
        check("dtstart;tzid=\"a:b;c\";X=1:2026", Name::Dtstart, &["tzid=\"a:b;c\"", "X=1"], "2026");
        check("X-A;;B:", Name::Other, &["", "B"], "");
        check("ATTENDEE;CN=\"open:mailto:a@b", Name::Attendee, &["CN=\"open"], "mailto:a@b");
        check("a.SUMMARY:x", Name::Other, &[], "x");
    }

    #[test]
    fn what_has_no_name_and_value_is_malformed() {
        for line in ["no colon", ":value", "Hello world: x", "LOCATION", "LOCATION;LANGUAGE=de", "https://a.example/x"]
        {
            assert_eq!(ContentLine::new(line.as_bytes()).name, Name::Malformed, "{line}");
        }
        assert_eq!(ContentLine::new(&b"X_A:1"[..]).name, Name::Underscored);
    }

    #[test]
    fn only_a_bare_name_makes_a_component() {
        assert_eq!(ContentLine::new(&b"begin;X=1: vEvent "[..]).component(), b"vEvent");
        assert_eq!(ContentLine::new(&b"BEGIN: all of it"[..]).name, Name::Other);
    }

    #[test]
    fn a_parameter_is_found_without_its_quotes() {
        let entry = ContentLine::new(&b"DTSTART;VALUE=DATE-TIME;tzid=\"W. Europe\":2026"[..]);
        assert_eq!(entry.parameter("TZID"), Some(&b"W. Europe"[..]));
        assert_eq!(entry.parameter("RANGE"), None);
    }
}
