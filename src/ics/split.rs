//! The grammar: splits a body into calendars and their components, and verifies that it is complete. A single pass
//! without recursion; the sink handles the components.

use std::borrow::Cow;
use std::ops::Range;

use super::line::{ContentLine, Name};
use super::scan::{Lines, line_number, slice};
use crate::model::ComponentType;
use crate::words::shown::shortened;

/// Maximum number of components and time zones of a calendar, and of lines of a component. Each costs memory beyond
/// its text, so a hostile feed would take many times its size. Smaller in tests, to keep them fast.
pub(super) const MOST: usize = if cfg!(test) { 50_000 } else { 500_000 };

/// A component that is mirrored, or a time zone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Object(ComponentType),
    Timezone,
}

impl Kind {
    fn of(name: &[u8]) -> Option<Kind> {
        match ComponentType::from_name(name) {
            Some(component) => Some(Kind::Object(component)),
            None if name.eq_ignore_ascii_case(b"VTIMEZONE") => Some(Kind::Timezone),
            None => None,
        }
    }
}

/// Receives what the grammar finds, in the order of the text.
pub(super) trait Sink {
    /// A VCALENDAR begins.
    fn begin_calendar(&mut self);

    /// A line of the VCALENDAR itself.
    fn calendar_line(&mut self, entry: &ContentLine<'_>);

    /// The VCALENDAR ends.
    fn end_calendar(&mut self);

    /// A component of the VCALENDAR, from BEGIN to END, and its range in the text. Err: why the whole body is
    /// rejected.
    fn component(&mut self, kind: Kind, lines: &[ContentLine<'_>], range: Range<usize>) -> Result<(), String>;

    /// A component with another name.
    fn other_component(&mut self, name: &[u8]);

    /// At the end of the text: the number of lines outside any VCALENDAR.
    fn outside(&mut self, lines: usize);
}

struct Splitter<'a, 's, S> {
    text: &'a [u8],
    sink: &'s mut S,
    /// Unclosed BEGIN lines and their positions.
    open: Vec<(ContentLine<'a>, usize)>,
    /// The kind of the current component; `None` if it is not mirrored.
    kind: Option<Kind>,
    /// The lines of the current component.
    lines: Vec<ContentLine<'a>>,
    calendars: usize,
    objects: usize,
    zones: usize,
    outside: usize,
}

/// Splits a decoded body. Err: why it is not a complete calendar.
pub(super) fn split(text: &[u8], sink: &mut impl Sink) -> Result<(), String> {
    refuse_other_formats(text)?;
    let mut splitter = Splitter {
        text,
        sink,
        open: Vec::new(),
        kind: None,
        lines: Vec::new(),
        calendars: 0,
        objects: 0,
        zones: 0,
        outside: 0,
    };
    for line in Lines::new(text) {
        splitter.line(line.text, line.start, line.end)?;
        splitter.refuse_too_many()?;
    }
    splitter.finish()
}

/// Why a body with more than `MOST` of something is rejected.
pub(super) fn too_many() -> String {
    format!("it has more than {MOST} events or time zones, as no calendar has")
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

impl<'a, S: Sink> Splitter<'a, '_, S> {
    fn line(&mut self, text: Cow<'a, [u8]>, start: usize, end: usize) -> Result<(), String> {
        let entry = ContentLine::new(text);
        match (entry.name, self.open.len()) {
            (Name::Begin, 0) => return self.outermost(entry, start),
            (_, 0) => self.outside_line(&entry),
            (Name::Begin, depth) => {
                if entry.component().eq_ignore_ascii_case(b"VCALENDAR") {
                    let line = line_number(self.text, start);
                    return Err(format!("line {line} begins a VCALENDAR inside of another, which is not closed"));
                }
                if depth == 1 {
                    self.kind = Kind::of(entry.component());
                }
                self.open.push((entry.clone(), start));
                self.keep(entry);
            }
            (Name::End, depth) => {
                let begun = self.close(&entry, start)?;
                match (depth, self.kind) {
                    (1, _) => self.sink.end_calendar(),
                    (2, None) => self.sink.other_component(entry.component()),
                    (2, Some(kind)) => {
                        self.lines.push(entry);
                        return self.end_component(kind, begun..end);
                    }
                    _ => self.keep(entry),
                }
            }
            (_, 1) => self.sink.calendar_line(&entry),
            _ => self.keep(entry),
        }
        Ok(())
    }

    fn refuse_too_many(&self) -> Result<(), String> {
        if self.calendars.max(self.objects).max(self.zones) > MOST {
            return Err(too_many());
        }
        if self.lines.len().max(self.open.len()) > MOST {
            return Err(format!("one of its events has more than {MOST} lines, as none has"));
        }
        Ok(())
    }

    fn keep(&mut self, entry: ContentLine<'a>) {
        if self.kind.is_some() {
            self.lines.push(entry);
        }
    }

    /// Handles a BEGIN outside any calendar.
    fn outermost(&mut self, entry: ContentLine<'a>, start: usize) -> Result<(), String> {
        let name = entry.component();
        if name.eq_ignore_ascii_case(b"VCALENDAR") {
            self.begin_calendar(entry, start);
            return Ok(());
        }
        if Kind::of(name).is_some() {
            let line = line_number(self.text, start);
            return Err(format!("line {line} begins a {} outside of any VCALENDAR", upper(name)));
        }
        self.outside += 1;
        Ok(())
    }

    /// A second calendar may have its own byte order mark.
    fn outside_line(&mut self, entry: &ContentLine<'a>) {
        let marked = entry.text.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec);
        match marked.map(ContentLine::new) {
            Some(begin) if begin.name == Name::Begin && begin.component().eq_ignore_ascii_case(b"VCALENDAR") => {
                self.begin_calendar(begin, 0);
            }
            _ => self.outside += 1,
        }
    }

    fn begin_calendar(&mut self, begin: ContentLine<'a>, start: usize) {
        self.calendars += 1;
        self.open.push((begin, start));
        self.sink.begin_calendar();
    }

    /// Closes the innermost open component and returns where it began.
    fn close(&mut self, end: &ContentLine<'a>, at: usize) -> Result<usize, String> {
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

    fn end_component(&mut self, kind: Kind, range: Range<usize>) -> Result<(), String> {
        match kind {
            Kind::Object(_) => self.objects += 1,
            Kind::Timezone => self.zones += 1,
        }
        let taken = self.sink.component(kind, &self.lines, range);
        self.lines.clear();
        self.kind = None;
        taken
    }

    fn finish(self) -> Result<(), String> {
        if let Some((begin, start)) = self.open.last() {
            return Err(format!(
                "it is cut off: it stops in line {}, inside the {} that line {} began",
                line_number(self.text, self.text.trim_ascii_end().len()),
                upper(begin.component()),
                line_number(self.text, *start),
            ));
        }
        if self.calendars == 0 {
            return Err("there is no BEGIN:VCALENDAR in it, so it is not a calendar".to_owned());
        }
        if self.outside > 0 {
            self.sink.outside(self.outside);
        }
        Ok(())
    }
}

/// The name of a component for display.
pub(super) fn upper(name: &[u8]) -> String {
    shortened(&String::from_utf8_lossy(name)).to_uppercase()
}
