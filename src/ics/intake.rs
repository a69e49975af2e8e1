//! The path of each component from the grammar to the pieces: it is repaired, shaped by the rules, hashed and stored.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::charset::{self, Decoded};
use super::hash;
use super::line::{ContentLine, Name, joined, own};
use super::pieces::{Calendar, Part, Pieces, Place, Zone};
use super::property::from_text;
use super::repair;
use super::shape::{Shape, shaped};
use super::split::{self, Kind, MOST, Sink, upper};
use crate::model::ComponentType;

/// Processes a decoded body; the result still lacks the body itself. Err: why it is not a complete calendar.
pub(super) fn take_in(body: &Decoded, shape: Shape) -> Result<Pieces, String> {
    let mut intake = Intake {
        suspicious: body.suspicious,
        shape,
        pieces: Pieces::default(),
        version: None,
        keys: HashMap::new(),
        zone_sets: HashMap::new(),
    };
    split::split(&body.text, &mut intake)?;
    Ok(intake.finish())
}

struct Intake {
    suspicious: bool,
    shape: Shape,
    pieces: Pieces,
    /// The VERSION line of the current calendar.
    version: Option<Vec<u8>>,
    keys: HashMap<ComponentType, HashMap<String, usize>>,
    zone_sets: HashMap<Vec<usize>, usize>,
}

impl Sink for Intake {
    fn begin_calendar(&mut self) {
        self.pieces.calendars.push(Calendar::default());
        self.version = None;
    }

    /// Only these of the calendar's own lines are written. Others are dropped without a complaint, because nearly
    /// every feed has some: METHOD, which Baïkal rejects (415), X-WR-CALNAME, REFRESH-INTERVAL.
    fn calendar_line(&mut self, entry: &ContentLine<'_>) {
        let Some(calendar) = self.pieces.calendars.last_mut() else { return };
        let target = match entry.name {
            Name::Prodid => &mut calendar.prodid,
            Name::Calscale => &mut calendar.calscale,
            Name::Version => &mut self.version,
            _ => return,
        };
        let cleaned = if self.suspicious { charset::clean(&entry.text) } else { None };
        let line = ContentLine::new(cleaned.unwrap_or_else(|| entry.text.to_vec()));
        if target.is_none() && !line.value().trim_ascii().is_empty() {
            *target = Some(line.text.into_owned());
        }
    }

    fn end_calendar(&mut self) {
        let Some(calendar) = self.pieces.calendars.last() else { return };
        let version = self.version.take().map(|line| ContentLine::new(line).value().to_vec());
        let faults = [
            (calendar.prodid.is_none(), "PRODID", "is missing; ours stands there"),
            (version.is_none(), "VERSION", "is missing; it is taken as 2.0"),
            (version.is_some_and(|version| version != b"2.0"), "VERSION", "is not 2.0; 2.0 stands there"),
        ];
        for (_, property, message) in faults.into_iter().filter(|(found, ..)| *found) {
            self.pieces.complain("", property, message);
        }
    }

    fn component(&mut self, kind: Kind, lines: &[ContentLine<'_>], range: Range<usize>) -> Result<(), String> {
        let repaired = repair::mend(lines, self.suspicious, &mut self.pieces.complaints);
        let place = match &repaired {
            None => Place::Body(range),
            Some(lines) => self.pieces.keep_changed(&joined(lines)),
        };
        let lines = repaired.as_deref().unwrap_or(lines);
        match kind {
            Kind::Object(component) => self.object(component, lines, place),
            Kind::Timezone => self.zone(lines, place),
        }
        if self.pieces.zone_names() > MOST { Err(split::too_many()) } else { Ok(()) }
    }

    fn other_component(&mut self, name: &[u8]) {
        self.pieces.complain("", &upper(name), "is no event, task or journal entry; it is not mirrored");
    }

    fn outside(&mut self, lines: usize) {
        self.pieces.complain("", "", &format!("{lines} lines outside of any VCALENDAR are ignored"));
    }
}

impl Intake {
    /// Applies the rules here, after all repairs and before hashing.
    fn object(&mut self, component: ComponentType, lines: &[ContentLine<'_>], place: Place) {
        match shaped(lines, self.shape) {
            None => self.part(component, lines, place, None),
            Some(lines) => {
                let changed = self.pieces.keep_changed(&joined(&lines));
                self.part(component, &lines, changed, Some(place));
            }
        }
    }

    fn part(&mut self, component: ComponentType, lines: &[ContentLine<'_>], place: Place, unshaped: Option<Place>) {
        let uid = own(lines, Name::Uid).map(|entry| String::from_utf8_lossy(entry.value())).unwrap_or_default();
        let uid = if uid.trim().is_empty() { Cow::Borrowed("") } else { uid };
        let part = Part {
            place,
            hash: hash::component(lines),
            calendar: self.pieces.last_calendar(),
            key: self.key(component, &uid),
            zone_set: self.zone_set(lines),
            master: own(lines, Name::RecurrenceId).is_none(),
            refusal: repair::refusal(lines, component == ComponentType::Event),
        };
        self.pieces.keep_part(part, unshaped);
    }

    fn key(&mut self, component: ComponentType, uid: &str) -> usize {
        let known = self.keys.entry(component).or_default();
        if let Some(index) = known.get(uid) {
            return *index;
        }
        let index = self.pieces.keys.len();
        known.insert(uid.to_owned(), index);
        // The text itself is moved in at the end.
        self.pieces.keys.push((component, String::new()));
        index
    }

    fn zone_set(&mut self, lines: &[ContentLine<'_>]) -> usize {
        let mut names: Vec<usize> = Vec::new();
        let mut last: &[u8] = &[];
        for name in lines.iter().filter_map(|entry| entry.parameter("TZID")) {
            // Start and end usually share a time zone.
            if name != last {
                names.push(self.pieces.zone_name(name));
                last = name;
            }
        }
        names.sort_unstable();
        names.dedup();
        if let Some(index) = self.zone_sets.get(&names) {
            return *index;
        }
        let index = self.pieces.zone_sets.len();
        self.pieces.zone_sets.push(names.clone());
        self.zone_sets.insert(names, index);
        index
    }

    fn zone(&mut self, lines: &[ContentLine<'_>], place: Place) {
        let named = own(lines, Name::Tzid).filter(|entry| !entry.value().trim_ascii().is_empty());
        // One without a name is rejected by servers and cannot be referenced.
        let Some(name) = named else { return self.pieces.complain("", "VTIMEZONE", "has no TZID; it is left out") };
        // Parameters have no escapes; TEXT values do.
        let name = from_text(&String::from_utf8_lossy(name.value()));
        self.pieces.keep_zone(name.as_bytes(), Zone { place, hash: hash::component(lines) });
    }

    fn finish(mut self) -> Pieces {
        for (uid, index) in self.keys.into_values().flatten() {
            if let Some(key) = self.pieces.keys.get_mut(index) {
                key.1 = uid;
            }
        }
        self.pieces
    }
}
