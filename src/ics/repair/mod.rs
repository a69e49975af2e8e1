//! Repairs what a server would reject, without losing anything. Each rule comes from an object that Baïkal 0.11,
//! Radicale 3.9 or Xandikos 0.4 rejected. A single pass that copies nothing if there is nothing to repair.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};

use super::Complaint;
use super::charset;
use super::line::own;
use super::line::{ContentLine, Name, Names, set_of};
use super::property;
use date::Fault;

mod date;

/// Selects the repairs for a line or sub-component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Event,
    Todo,
    Journal,
    Alarm,
    Timezone,
    Other,
}

/// Properties that sabre rejects if repeated: its validation rules `?` and `1`.
const ONCE_IN_OBJECT: Names = set_of(&[
    Name::Uid,
    Name::Dtstamp,
    Name::Dtstart,
    Name::Dtend,
    Name::Due,
    Name::Duration,
    Name::RecurrenceId,
    Name::Rrule,
    Name::Created,
    Name::LastModified,
    Name::Sequence,
    Name::Summary,
    Name::Description,
    Name::Location,
    Name::Url,
    Name::Organizer,
    Name::Class,
    Name::Geo,
    Name::Priority,
    Name::Status,
    Name::Transp,
    Name::Completed,
]);
const ONCE_IN_ALARM: Names = set_of(&[Name::Action, Name::Trigger, Name::Duration, Name::Repeat, Name::Attach]);
const ONCE_IN_TIMEZONE: Names = set_of(&[Name::Tzid, Name::Tzurl, Name::LastModified]);

/// Properties with text values.
const TEXTS: Names = set_of(&[
    Name::Summary,
    Name::Description,
    Name::Location,
    Name::Comment,
    Name::Contact,
    Name::AltDesc,
    Name::Other,
]);
/// Texts that Radicale silently cuts off at the first unescaped comma: its library, vobject, reads it as a list and
/// keeps the first value. It also takes UIDs with the same beginning for equal and rejects the second.
const CUT_AT_COMMAS: Names =
    set_of(&[Name::Uid, Name::Summary, Name::Description, Name::Location, Name::Comment, Name::Contact, Name::AltDesc]);

/// Longest start of a broken line that is shown as a property name, in octets.
const LONGEST_NAME: usize = 40;

impl Kind {
    fn of(name: &[u8]) -> Kind {
        const KINDS: [(&[u8], Kind); 5] = [
            (b"VEVENT", Kind::Event),
            (b"VALARM", Kind::Alarm),
            (b"VTIMEZONE", Kind::Timezone),
            (b"VTODO", Kind::Todo),
            (b"VJOURNAL", Kind::Journal),
        ];
        KINDS.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or(Kind::Other, |(_, kind)| kind)
    }

    fn single_valued(self) -> Names {
        match self {
            Kind::Event | Kind::Todo => ONCE_IN_OBJECT,
            // RFC 5545 §3.6.3 allows several descriptions in a journal.
            Kind::Journal => ONCE_IN_OBJECT & !Name::Description.bit(),
            Kind::Alarm => ONCE_IN_ALARM,
            Kind::Timezone => ONCE_IN_TIMEZONE,
            Kind::Other => 0,
        }
    }
}

/// Deeper nested components are passed through, so that repair stays linear; real alarms are one level deep.
const DEEPEST: usize = 8;

struct Frame {
    kind: Kind,
    single: Names,
    seen: Names,
    empty: Names,
    start: usize,
}

struct Mender<'e, 'a> {
    source: &'e [ContentLine<'a>],
    at: usize,
    out: Option<Vec<ContentLine<'a>>>,
    open: Vec<Frame>,
    /// A QUOTED-PRINTABLE line that continues on the next one.
    quoted: Option<Vec<u8>>,
    uid: Option<String>,
    complaints: &'e mut Vec<Complaint>,
}

/// Repairs a component, given from BEGIN to END. `None` if there is nothing to repair. `suspicious`: lines may
/// contain forbidden characters.
pub(super) fn mend<'a>(
    component: &[ContentLine<'a>],
    suspicious: bool,
    complaints: &mut Vec<Complaint>,
) -> Option<Vec<ContentLine<'a>>> {
    let mut mender =
        Mender { source: component, at: 0, out: None, open: Vec::new(), quoted: None, uid: None, complaints };
    for (at, entry) in component.iter().enumerate() {
        mender.at = at;
        mender.line(entry, suspicious);
    }
    mender.out
}

impl<'a> Mender<'_, 'a> {
    fn line(&mut self, entry: &ContentLine<'a>, suspicious: bool) {
        let cleaned = if suspicious { charset::clean(&entry.text) } else { None };
        match cleaned {
            None => self.content(Cow::Borrowed(entry), false),
            Some(text) => {
                let cleaned = ContentLine::new(text);
                let structure = |name| matches!(name, Name::Begin | Name::End);
                if structure(cleaned.name) && !structure(entry.name) {
                    return self
                        .drop(entry, "holds characters that are not allowed, and nothing else of use; it is left out");
                }
                self.complain(&cleaned, "held characters that are not allowed in a calendar");
                self.content(Cow::Owned(cleaned), true);
            }
        }
    }

    fn content(&mut self, entry: Cow<'_, ContentLine<'a>>, changed: bool) {
        if let Some(mut quoted) = self.quoted.take() {
            if matches!(entry.name, Name::Begin | Name::End) {
                self.decoded(&ContentLine::new(quoted));
            } else {
                quoted.extend_from_slice(&entry.text);
                return self.quoted(quoted);
            }
        }
        match entry.name {
            Name::Begin => self.begin(entry, changed),
            Name::End => self.end(entry, changed),
            Name::Malformed => self.malformed(&entry),
            Name::Underscored => {
                self.complain(&entry, "has `_` in its name, which servers refuse; `-` stands there now");
                let renamed = with_dashes(&entry);
                self.property(Cow::Owned(renamed), true);
            }
            _ => self.property(entry, changed),
        }
    }

    fn begin(&mut self, entry: Cow<'_, ContentLine<'a>>, changed: bool) {
        let kind = if self.open.len() < DEEPEST { Kind::of(entry.component()) } else { Kind::Other };
        let start = self.length();
        self.open.push(Frame { kind, single: kind.single_valued(), seen: 0, empty: 0, start });
        self.structure(entry, b"BEGIN:", changed);
    }

    fn end(&mut self, entry: Cow<'_, ContentLine<'a>>, changed: bool) {
        let Some(frame) = self.open.pop() else { return };
        let has = |name: Name| name.is_in(frame.seen);
        match frame.kind {
            Kind::Alarm if !has(Name::Trigger) => {
                self.complain_of("VALARM", "has no TRIGGER; it is left out");
                return self.owned().truncate(frame.start);
            }
            Kind::Alarm if !has(Name::Action) => self.add_action(has(Name::Description)),
            Kind::Event | Kind::Todo | Kind::Journal if !has(Name::Dtstamp) => self.add_dtstamp(frame.start),
            _ => {}
        }
        self.structure(entry, b"END:", changed);
    }

    /// Writes BEGIN and END in their plain form.
    fn structure(&mut self, entry: Cow<'_, ContentLine<'a>>, plain: &[u8], changed: bool) {
        let is_plain = entry.text.strip_prefix(plain) == Some(entry.component());
        if is_plain {
            return self.push(entry, changed);
        }
        let text = [plain, entry.component()].concat();
        self.push(Cow::Owned(ContentLine::new(text)), true);
    }

    fn add_action(&mut self, described: bool) {
        self.complain_of("VALARM", "has no ACTION; it is taken as DISPLAY");
        let out = self.owned();
        out.push(ContentLine::new(&b"ACTION:DISPLAY"[..]));
        if !described {
            out.push(ContentLine::new(&b"DESCRIPTION:Reminder"[..]));
        }
    }

    /// Adds a DTSTAMP that is the same at every fetch.
    fn add_dtstamp(&mut self, start: usize) {
        self.complain_of("DTSTAMP", "is missing; one is derived");
        let component = self.owned().get(start..).unwrap_or_default();
        let moment_of = |name| {
            let value = own(component, name).map(ContentLine::value).filter(|value| date::is_utc(value));
            value.map(<[u8]>::to_vec)
        };
        let moment = moment_of(Name::LastModified).or_else(|| moment_of(Name::Created));
        let moment = moment.unwrap_or_else(|| b"19700101T000000Z".to_vec());
        let line = ContentLine::new([b"DTSTAMP:".as_slice(), &moment].concat());
        self.owned().push(line);
    }

    /// Appends a line of text with an unescaped line break to the previous line, if that is a text.
    fn malformed(&mut self, entry: &ContentLine<'a>) {
        if !self.last().is_some_and(takes_text) {
            let name = Some(entry.label()).filter(|name| (1..=LONGEST_NAME).contains(&name.len()));
            self.complain_of(name.as_deref().unwrap_or("a line"), "is not of the form NAME:VALUE; it is left out");
            self.owned();
            return;
        }
        let Some(last) = self.owned().pop() else { return };
        self.complain(&last, "has a line break in its text that is not escaped");
        let whole = ContentLine::new([&last.text, b"\\n".as_slice(), &entry.text].concat());
        let escaped = with_escaped_commas(&whole);
        self.owned().push(escaped.unwrap_or(whole));
    }

    fn property(&mut self, entry: Cow<'_, ContentLine<'a>>, changed: bool) {
        if is_quoted_printable(&entry) {
            self.owned();
            return self.quoted(entry.text.to_vec());
        }
        if !date::is_of_time(&entry) {
            return self.text(entry, changed);
        }
        match date::tidied(&entry) {
            None => self.date(entry, changed),
            Some((tidied, reason)) => {
                self.complain(&entry, reason);
                self.date(Cow::Owned(tidied), true);
            }
        }
    }

    fn date(&mut self, entry: Cow<'_, ContentLine<'a>>, changed: bool) {
        let in_timezone = self.open.iter().any(|frame| frame.kind == Kind::Timezone);
        match date::fault(&entry) {
            None if in_timezone && entry.name == Name::Rdate => self.transitions(entry, changed),
            None => self.once(entry, changed),
            Some(Fault::Empty) => self.drop(&entry, "is empty; it is left out"),
            Some(Fault::NoMoment) => self.drop(&entry, "is no date with time; it is left out"),
            Some(Fault::Type(value)) => {
                self.complain(&entry, "has a value of another type than it says; VALUE is corrected");
                let typed = date::with_value_type(&entry, value);
                self.once(Cow::Owned(typed), true);
            }
        }
    }

    /// Writes each date of a time zone's RDATE on its own line: vobject (Radicale) supports no lists there and cuts
    /// the line off at its first comma.
    fn transitions(&mut self, entry: Cow<'_, ContentLine<'a>>, changed: bool) {
        if memchr(b',', entry.value()).is_none() {
            return self.push(entry, changed);
        }
        self.complain(&entry, "is a list, of which some servers keep the first date only; each has a line of its own");
        self.owned();
        for value in entry.value().split(|byte| *byte == b',').filter(|value| !value.trim_ascii().is_empty()) {
            self.property(Cow::Owned(entry.with_value(value)), true);
        }
    }

    fn text(&mut self, entry: Cow<'_, ContentLine<'a>>, changed: bool) {
        match with_escaped_commas(&entry) {
            None => self.once(entry, changed),
            Some(escaped) => {
                self.complain(
                    &entry,
                    "has commas that are not escaped, where some servers cut it off; they are escaped",
                );
                self.once(Cow::Owned(escaped), true);
            }
        }
    }

    /// vCalendar 1.0 continues such a line without a leading space (RFC 2045 §6.7, rule 5).
    fn quoted(&mut self, mut text: Vec<u8>) {
        if text.last() == Some(&b'=') {
            text.pop();
            self.quoted = Some(text);
        } else {
            self.decoded(&ContentLine::new(text));
        }
    }

    fn decoded(&mut self, entry: &ContentLine<'a>) {
        self.complain(entry, "was QUOTED-PRINTABLE, which iCalendar does not know; it is decoded");
        let decoded = property::from_quoted_printable(entry);
        self.property(Cow::Owned(with_escaped_commas(&decoded).unwrap_or(decoded)), true);
    }

    /// Of a property that is allowed once, keeps the first that is not empty.
    fn once(&mut self, entry: Cow<'_, ContentLine<'a>>, changed: bool) {
        let bit = entry.name.bit();
        let empty = if entry.value().is_empty() { bit } else { 0 };
        let Some(frame) = self.open.last_mut() else { return };
        let [single, seen, was_empty] = [frame.single, frame.seen, frame.empty].map(|set| entry.name.is_in(set));
        frame.seen |= bit;
        if !single || !seen {
            frame.empty |= empty;
            return self.push(entry, changed);
        }
        if !was_empty || empty != 0 {
            return self.drop(&entry, "may stand only once; the first one is kept");
        }
        frame.empty &= !bit;
        let start = frame.start;
        self.complain(&entry, "may stand only once; the empty one is left out");
        self.remove_own(start, entry.name);
        self.push(entry, changed);
    }

    /// Removes the first property of this name in the open component itself.
    fn remove_own(&mut self, start: usize, name: Name) {
        let mut depth = 0_usize;
        let found = self.owned().iter().skip(start).position(|entry| {
            match entry.name {
                Name::Begin => depth += 1,
                Name::End => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 1 && entry.name == name
        });
        if let Some(at) = found {
            self.owned().remove(start + at);
        }
    }

    fn push(&mut self, entry: Cow<'_, ContentLine<'a>>, changed: bool) {
        if changed {
            self.owned();
        }
        if let Some(out) = &mut self.out {
            out.push(entry.into_owned());
        }
    }

    fn drop(&mut self, entry: &ContentLine<'a>, reason: &str) {
        self.complain(entry, reason);
        self.owned();
    }

    /// The repaired component so far, which from here on differs from the source.
    fn owned(&mut self) -> &mut Vec<ContentLine<'a>> {
        let before = self.source.get(..self.at).unwrap_or_default();
        self.out.get_or_insert_with(|| before.to_vec())
    }

    fn length(&self) -> usize {
        self.out.as_ref().map_or(self.at, Vec::len)
    }

    fn last(&self) -> Option<&ContentLine<'a>> {
        match &self.out {
            Some(out) => out.last(),
            None => self.at.checked_sub(1).and_then(|before| self.source.get(before)),
        }
    }

    fn complain(&mut self, entry: &ContentLine<'a>, message: &str) {
        self.complain_of(&entry.label(), message);
    }

    fn complain_of(&mut self, property: &str, message: &str) {
        let source = self.source;
        let uid = self.uid.get_or_insert_with(|| uid_of(source));
        let complaint = Complaint::new(uid, property, message);
        // A text with a hundred raw line breaks is one problem.
        if self.complaints.last() != Some(&complaint) {
            complaint.add_to(self.complaints);
        }
    }
}

fn uid_of(component: &[ContentLine<'_>]) -> String {
    let uid = component.iter().find(|entry| entry.name == Name::Uid).map(ContentLine::value);
    uid.map(|uid| String::from_utf8_lossy(uid).into_owned()).unwrap_or_default()
}

/// Whether the value is text, as far as we know, and can be continued: an open quote in the parameters would swallow
/// the addition. The parameters are parsed again for each line, so their length is limited.
fn takes_text(entry: &ContentLine<'_>) -> bool {
    const LONGEST: usize = 4096;
    let name = entry.label();
    let numeric = name.starts_with("TZOFFSET") || name == "PERCENT-COMPLETE";
    let (parameters, _) = entry.parts();
    let closed = parameters.len() <= LONGEST && memchr_iter(b'"', parameters).count().is_multiple_of(2);
    entry.name.is_in(TEXTS) && !numeric && closed
}

/// The line with a backslash before each unescaped comma of its text (RFC 5545 §3.3.11). `None` if there are none.
fn with_escaped_commas(entry: &ContentLine<'_>) -> Option<ContentLine<'static>> {
    let value = entry.value();
    let is_bare = |comma: usize| {
        let before = value.get(..comma).unwrap_or_default();
        before.iter().rev().take_while(|byte| **byte == b'\\').count().is_multiple_of(2)
    };
    if !entry.name.is_in(CUT_AT_COMMAS) || !memchr_iter(b',', value).any(is_bare) {
        return None;
    }
    let mut escaped = Vec::with_capacity(value.len() + 1);
    for (at, byte) in value.iter().enumerate() {
        if *byte == b',' && is_bare(at) {
            escaped.push(b'\\');
        }
        escaped.push(*byte);
    }
    Some(entry.with_value(&escaped))
}

fn with_dashes(entry: &ContentLine<'_>) -> ContentLine<'static> {
    let mut text = entry.text.to_vec();
    let name = entry.name_text().len();
    text.iter_mut().take(name).filter(|byte| **byte == b'_').for_each(|byte| *byte = b'-');
    ContentLine::new(text)
}

/// `ENCODING=QUOTED-PRINTABLE`, or only the value as vCalendar 1.0 allows.
fn is_quoted_printable(entry: &ContentLine<'_>) -> bool {
    const FORMS: [&[u8]; 2] = [b"ENCODING=QUOTED-PRINTABLE", b"QUOTED-PRINTABLE"];
    entry.parameters().any(|parameter| FORMS.iter().any(|form| parameter.eq_ignore_ascii_case(form)))
}

/// Why an object that contains this component is never sent.
pub(super) fn refusal(component: &[ContentLine<'_>], is_event: bool) -> Option<&'static str> {
    let mut depth = 0_usize;
    let mut started = false;
    for entry in component {
        match entry.name {
            Name::Begin => depth += 1,
            Name::End => depth = depth.saturating_sub(1),
            Name::Dtstart if depth == 1 => started = true,
            // Causes an endless loop in sabre that keeps a PHP worker busy for 30 s (4.7).
            Name::Rrule if depth == 1 && hangs(entry.value()) => {
                return Some(
                    "its RRULE has BYHOUR of 24 or more, or BYMINUTE of 60 or more, which hangs a Baïkal server",
                );
            }
            _ => {}
        }
    }
    (is_event && !started).then_some("it has no DTSTART")
}

fn hangs(rule: &[u8]) -> bool {
    let beyond = |numbers: &str, limit: u64| {
        numbers.split(',').filter_map(|number| number.trim().parse::<u64>().ok()).any(|number| number >= limit)
    };
    String::from_utf8_lossy(rule).to_ascii_uppercase().split(';').any(|part| match part.trim().split_once('=') {
        Some(("BYHOUR", hours)) => beyond(hours, 24),
        Some(("BYMINUTE", minutes)) => beyond(minutes, 60),
        _ => false,
    })
}

#[cfg(test)]
mod tests;
