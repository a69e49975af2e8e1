//! Splits a body into calendars and their components, and is sure that it is complete. One pass; nothing recurses.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::Complaint;
use super::charset;
use super::hash;
use super::line::{Entry, Name, joined, own};
use super::repair;
use super::scan::{Lines, line_number, slice};
use crate::model::{ComponentType, Hash};
use crate::words::shown::shortened;

/// No calendar has more components or time zones, and no component more lines. Each costs memory beyond its text, so that
/// a feed of nothing else would take many times its size.
const MOST: usize = 500_000;

/// Where the text of a component stands.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// In the body, as the feed has it.
    Body(Range<usize>),
    /// Among the mended texts, unfolded, with LF.
    Mended(Range<usize>),
}

/// What a VCALENDAR says of itself that is written again.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    /// The PRODID line.
    pub prodid: Option<Vec<u8>>,
    /// The CALSCALE line.
    pub calscale: Option<Vec<u8>>,
    version: Option<Vec<u8>>,
}

/// One VEVENT, VTODO or VJOURNAL.
#[derive(Debug)]
pub(super) struct Part {
    pub place: Place,
    pub hash: Hash,
    /// Index of its calendar.
    pub calendar: usize,
    /// Index into `Split::keys`.
    pub key: usize,
    /// Index into `Split::zone_sets`.
    pub zone_set: usize,
    /// Whether it has no RECURRENCE-ID.
    pub master: bool,
    /// Why it is never sent.
    pub refusal: Option<&'static str>,
}

/// One VTIMEZONE.
#[derive(Debug)]
pub(super) struct Zone {
    pub place: Place,
    pub hash: Hash,
}

/// A body in its pieces.
#[derive(Debug, Default)]
pub(super) struct Split {
    pub body: Vec<u8>,
    pub mended: Vec<u8>,
    pub calendars: Vec<Calendar>,
    pub parts: Vec<Part>,
    pub zones: Vec<Zone>,
    /// UIDs; empty for none.
    pub keys: Vec<(ComponentType, String)>,
    /// Names of time zones, each once.
    zone_names: HashMap<Vec<u8>, usize>,
    /// The first definition of a name in a calendar.
    definitions: HashMap<(usize, usize), usize>,
    /// Names of time zones that a component uses.
    pub zone_sets: Vec<Vec<usize>>,
    pub complaints: Vec<Complaint>,
}

/// What a component of a calendar is to the mirror.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Object(ComponentType),
    Timezone,
    Unknown,
}

impl Role {
    fn of(name: &[u8]) -> Role {
        match ComponentType::from_name(name) {
            Some(component) => Role::Object(component),
            None if name.eq_ignore_ascii_case(b"VTIMEZONE") => Role::Timezone,
            None => Role::Unknown,
        }
    }
}

struct Splitter<'a> {
    text: &'a [u8],
    suspicious: bool,
    split: Split,
    /// BEGIN lines that are not closed, and where they stand.
    open: Vec<(Entry<'a>, usize)>,
    role: Role,
    /// The lines of the component at hand.
    lines: Vec<Entry<'a>>,
    keys: HashMap<ComponentType, HashMap<String, usize>>,
    zone_sets: HashMap<Vec<usize>, usize>,
    outside: usize,
}

/// Splits a decoded body. Err: why it is not a complete calendar.
pub(super) fn split(decoded: charset::Decoded) -> Result<Split, String> {
    let text = &decoded.text;
    refuse_other_formats(text)?;
    let mut splitter = Splitter {
        text,
        suspicious: decoded.suspicious,
        split: Split::default(),
        open: Vec::new(),
        role: Role::Unknown,
        lines: Vec::new(),
        keys: HashMap::new(),
        zone_sets: HashMap::new(),
        outside: 0,
    };
    for line in Lines::new(text) {
        splitter.line(line.text, line.start, line.end)?;
        splitter.refuse_too_many()?;
    }
    let mut split = splitter.finish()?;
    split.body = decoded.text;
    Ok(split)
}

fn refuse_other_formats(text: &[u8]) -> Result<(), String> {
    let start = text.trim_ascii_start();
    if start.is_empty() {
        return Err("it is empty".to_owned());
    }
    if start.starts_with(b"<") {
        return Err(
            "it is a web page (HTML or XML), not a calendar; its address may want a login, or have moved".to_owned()
        );
    }
    let begins = |line: &[u8]| slice(start, 0..line.len()).eq_ignore_ascii_case(line);
    if begins(b"BEGIN:VCALENDAR\r") && !text.contains(&b'\n') {
        return Err(
            "its lines end in a bare CR, which no calendar program reads; its producer must write CRLF".to_owned()
        );
    }
    Ok(())
}

impl<'a> Splitter<'a> {
    fn line(&mut self, text: Cow<'a, [u8]>, start: usize, end: usize) -> Result<(), String> {
        let entry = Entry::new(text);
        match (entry.name, self.open.len()) {
            (Name::Begin, 0) => return self.begin_calendar(entry, start),
            (_, 0) => self.outside_line(&entry),
            (Name::Begin, depth) => {
                if entry.component().eq_ignore_ascii_case(b"VCALENDAR") {
                    let line = line_number(self.text, start);
                    return Err(format!("line {line} begins a VCALENDAR inside of another, which is not closed"));
                }
                if depth == 1 {
                    self.role = Role::of(entry.component());
                }
                self.open.push((entry.clone(), start));
                self.keep(entry);
            }
            (Name::End, depth) => {
                let begun = self.close(&entry, start)?;
                self.keep(entry);
                if depth == 2 {
                    self.component(begun..end);
                } else if depth == 1 {
                    self.end_calendar();
                }
            }
            (_, 1) => self.calendar_line(&entry),
            _ => self.keep(entry),
        }
        Ok(())
    }

    fn refuse_too_many(&self) -> Result<(), String> {
        let Split { calendars, parts, zones, zone_names, .. } = &self.split;
        if calendars.len().max(parts.len()).max(zones.len()).max(zone_names.len()) > MOST {
            return Err(format!("it has more than {MOST} events or time zones, as no calendar has"));
        }
        if self.lines.len().max(self.open.len()) > MOST {
            return Err(format!("one of its events has more than {MOST} lines, as none has"));
        }
        Ok(())
    }

    fn keep(&mut self, entry: Entry<'a>) {
        if self.role != Role::Unknown {
            self.lines.push(entry);
        }
    }

    fn begin_calendar(&mut self, entry: Entry<'a>, start: usize) -> Result<(), String> {
        let name = entry.component();
        if name.eq_ignore_ascii_case(b"VCALENDAR") {
            self.split.calendars.push(Calendar::default());
            self.open.push((entry, start));
            return Ok(());
        }
        if Role::of(name) != Role::Unknown {
            let line = line_number(self.text, start);
            return Err(format!("line {line} begins a {} outside of any VCALENDAR", upper(name)));
        }
        self.outside += 1;
        Ok(())
    }

    /// A second calendar may bring its own byte order mark along.
    fn outside_line(&mut self, entry: &Entry<'a>) {
        let marked = entry.text.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec);
        match marked.map(Entry::new) {
            Some(begin) if begin.name == Name::Begin && begin.component().eq_ignore_ascii_case(b"VCALENDAR") => {
                self.split.calendars.push(Calendar::default());
                self.open.push((begin, 0));
            }
            _ => self.outside += 1,
        }
    }

    /// Closes what is open and tells where it was begun.
    fn close(&mut self, end: &Entry<'a>, at: usize) -> Result<usize, String> {
        match self.open.pop() {
            Some((begin, start)) if begin.component().eq_ignore_ascii_case(end.component()) => Ok(start),
            Some((begin, start)) => Err(format!(
                "line {} ends a {}, but the {} that line {} began is open",
                line_number(self.text, at),
                upper(end.component()),
                upper(begin.component()),
                line_number(self.text, start),
            )),
            None => Ok(at),
        }
    }

    /// Of the calendar's own lines only these are written. The others are dropped without a complaint, for nearly every
    /// feed has some: METHOD, which Baïkal refuses (415), X-WR-CALNAME, REFRESH-INTERVAL.
    fn calendar_line(&mut self, entry: &Entry<'a>) {
        let Some(calendar) = self.split.calendars.last_mut() else { return };
        let target = match entry.name {
            Name::Prodid => &mut calendar.prodid,
            Name::Calscale => &mut calendar.calscale,
            Name::Version => &mut calendar.version,
            _ => return,
        };
        let cleaned = if self.suspicious { charset::clean(&entry.text) } else { None };
        let line = Entry::new(cleaned.unwrap_or_else(|| entry.text.to_vec()));
        if target.is_none() && !line.value().trim_ascii().is_empty() {
            *target = Some(line.text.into_owned());
        }
    }

    fn end_calendar(&mut self) {
        let Some(calendar) = self.split.calendars.last() else { return };
        let version = calendar.version.as_deref().map(|line| Entry::new(line).value().to_vec());
        let faults = [
            (calendar.prodid.is_none(), "PRODID", "is missing; ours stands there"),
            (version.is_none(), "VERSION", "is missing; it is taken as 2.0"),
            (version.is_some_and(|version| version != b"2.0"), "VERSION", "is not 2.0; 2.0 stands there"),
        ];
        for (_, property, message) in faults.into_iter().filter(|(found, ..)| *found) {
            self.complain("", property, message);
        }
    }

    fn complain(&mut self, uid: &str, property: &str, message: &str) {
        Complaint::new(uid, property, message).add_to(&mut self.split.complaints);
    }

    fn component(&mut self, range: Range<usize>) {
        let lines = std::mem::take(&mut self.lines);
        match self.role {
            Role::Unknown => {
                let first = Lines::new(slice(self.text, range)).next();
                let name = first.map(|line| upper(Entry::new(line.text).component())).unwrap_or_default();
                self.complain("", &name, "is no event, task or journal entry; it is not mirrored");
            }
            role => {
                let mended = repair::mend(&lines, self.suspicious, &mut self.split.complaints);
                let place = match &mended {
                    None => Place::Body(range),
                    Some(lines) => self.split.keep_mended(&joined(lines)),
                };
                let whole = mended.as_deref().unwrap_or(&lines);
                match role {
                    Role::Object(component) => self.part(component, whole, place),
                    _ => self.zone(whole, place),
                }
            }
        }
        self.role = Role::Unknown;
        self.lines = lines;
        self.lines.clear();
    }

    fn part(&mut self, component: ComponentType, lines: &[Entry<'_>], place: Place) {
        let uid = own(lines, Name::Uid).map(|entry| String::from_utf8_lossy(entry.value())).unwrap_or_default();
        let uid = if uid.trim().is_empty() { Cow::Borrowed("") } else { uid };
        let part = Part {
            place,
            hash: hash::component(lines),
            calendar: self.split.calendars.len().saturating_sub(1),
            key: self.key(component, &uid),
            zone_set: self.zone_set(lines),
            master: own(lines, Name::RecurrenceId).is_none(),
            refusal: repair::refusal(lines, component == ComponentType::Event),
        };
        self.split.parts.push(part);
    }

    fn key(&mut self, component: ComponentType, uid: &str) -> usize {
        let known = self.keys.entry(component).or_default();
        if let Some(index) = known.get(uid) {
            return *index;
        }
        let index = self.split.keys.len();
        known.insert(uid.to_owned(), index);
        // The text itself is handed over at the end.
        self.split.keys.push((component, String::new()));
        index
    }

    fn zone_set(&mut self, lines: &[Entry<'_>]) -> usize {
        let mut names: Vec<usize> = Vec::new();
        let mut last: &[u8] = &[];
        for name in lines.iter().filter_map(|entry| entry.parameter("TZID")) {
            // Start and end mostly share their time zone.
            if name != last {
                names.push(self.split.zone_name(name));
                last = name;
            }
        }
        names.sort_unstable();
        names.dedup();
        if let Some(index) = self.zone_sets.get(&names) {
            return *index;
        }
        let index = self.split.zone_sets.len();
        self.split.zone_sets.push(names.clone());
        self.zone_sets.insert(names, index);
        index
    }

    fn zone(&mut self, lines: &[Entry<'_>], place: Place) {
        let named = own(lines, Name::Tzid).filter(|entry| !entry.value().trim_ascii().is_empty());
        // One without a name is refused and cannot be used.
        let Some(name) = named else { return self.complain("", "VTIMEZONE", "has no TZID; it is left out") };
        // Parameters know no escapes, values of the type TEXT do.
        let text = super::property::from_text(&String::from_utf8_lossy(name.value()));
        let name = self.split.zone_name(text.as_bytes());
        let calendar = self.split.calendars.len().saturating_sub(1);
        let index = self.split.zones.len();
        self.split.zones.push(Zone { place, hash: hash::component(lines) });
        self.split.definitions.entry((calendar, name)).or_insert(index);
    }

    fn finish(mut self) -> Result<Split, String> {
        if let Some((begin, start)) = self.open.last() {
            return Err(format!(
                "it is cut off: it stops in line {}, inside the {} that line {} began",
                line_number(self.text, self.text.trim_ascii_end().len()),
                upper(begin.component()),
                line_number(self.text, *start),
            ));
        }
        if self.split.calendars.is_empty() {
            return Err("there is no BEGIN:VCALENDAR in it, so it is not a calendar".to_owned());
        }
        if self.outside > 0 {
            let message = format!("{} lines outside of any VCALENDAR are ignored", self.outside);
            self.complain("", "", &message);
        }
        for (uid, index) in self.keys.into_values().flatten() {
            if let Some(key) = self.split.keys.get_mut(index) {
                key.1 = uid;
            }
        }
        Ok(self.split)
    }
}

impl Split {
    /// The text of a component.
    pub(super) fn text(&self, place: &Place) -> &[u8] {
        match place {
            Place::Body(range) => slice(&self.body, range.clone()),
            Place::Mended(range) => slice(&self.mended, range.clone()),
        }
    }

    /// Keeps a text that is not in the body.
    pub(super) fn keep_mended(&mut self, text: &[u8]) -> Place {
        let start = self.mended.len();
        self.mended.extend_from_slice(text);
        Place::Mended(start..self.mended.len())
    }

    /// The definition of a time zone that counts in a calendar.
    pub(super) fn definition(&self, calendar: usize, name: usize) -> Option<usize> {
        self.definitions.get(&(calendar, name)).copied()
    }

    fn zone_name(&mut self, name: &[u8]) -> usize {
        if let Some(index) = self.zone_names.get(name) {
            return *index;
        }
        let index = self.zone_names.len();
        self.zone_names.insert(name.to_vec(), index);
        index
    }
}

fn upper(name: &[u8]) -> String {
    shortened(&String::from_utf8_lossy(name)).to_uppercase()
}
