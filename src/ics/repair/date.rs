//! Dates, dates with time and spans that servers refuse for their form.

use super::super::line::{Entry, Name, Names, set_of};

/// The properties whose values are dates, or dates with time.
const DATES: Names = set_of(&[Name::Dtstart, Name::Dtend, Name::Due, Name::RecurrenceId, Name::Exdate, Name::Rdate]);
/// The properties whose values are always dates with time.
const MOMENTS: Names = set_of(&[Name::Dtstamp, Name::Created, Name::LastModified]);
/// The properties whose values are spans of time, or may be.
const SPANS: Names = set_of(&[Name::Duration, Name::Trigger]);

/// Whether the value of this property is made of dates or is a span.
pub(super) fn is_of_time(entry: &Entry<'_>) -> bool {
    entry.name.is_in(DATES | MOMENTS | SPANS)
}

/// The line without what stands around its value, and what to say of that; `None`: nothing does.
pub(super) fn tidied(entry: &Entry<'_>) -> Option<(Entry<'static>, &'static str)> {
    let value = entry.value().trim_ascii();
    match value {
        // sabre and Radicale refuse both, but for a TRIGGER, which sabre does not read.
        [date @ .., b'Z'] if is_digits(date, 8) => {
            Some((entry.with_value(date), "has the Z of a time after a date; it is left out"))
        }
        [] => None,
        _ if value.len() == entry.value().len() => None,
        _ => Some((entry.with_value(value), "has blanks around its value; they are left out")),
    }
}

/// Whether this is a date with time in UTC.
pub(super) fn is_utc(value: &[u8]) -> bool {
    matches!(value, [date @ .., b'Z'] if is_date_time(date))
}

fn is_date_time(value: &[u8]) -> bool {
    let (date, time) = value.split_at_checked(8).unwrap_or_default();
    is_digits(date, 8) && matches!(time, [b'T', time @ ..] if is_digits(time, 6))
}

fn is_moment(value: &[u8]) -> bool {
    is_date_time(value) || is_utc(value)
}

fn is_digits(value: &[u8], count: usize) -> bool {
    value.len() == count && value.iter().all(u8::is_ascii_digit)
}

/// Why a date would be refused.
pub(super) enum Fault {
    Empty,
    NoMoment,
    Type(Option<&'static [u8]>),
}

/// Tells when a date or its VALUE parameter would be refused (sabre/dav 4.7 answers 415).
pub(super) fn fault(entry: &Entry<'_>) -> Option<Fault> {
    let value = entry.value();
    if entry.name.is_in(SPANS) {
        return None;
    }
    if value.trim_ascii().is_empty() {
        return Some(Fault::Empty);
    }
    let says_date = entry.parameter("VALUE").is_some_and(|value| value.eq_ignore_ascii_case(b"DATE"));
    let all = |shape: fn(&[u8]) -> bool| value.split(|byte| *byte == b',').all(shape);
    if says_date && all(is_moment) {
        return Some(Fault::Type(None));
    }
    if entry.name.is_in(MOMENTS) {
        return (!is_moment(value)).then_some(Fault::NoMoment);
    }
    (!says_date && all(|item| is_digits(item, 8))).then_some(Fault::Type(Some(b"VALUE=DATE")))
}

/// A date has no time zone (RFC 5545 §3.2.19), and Xandikos makes a broken date of one that has.
pub(super) fn with_value_type(entry: &Entry<'_>, value: Option<&'static [u8]>) -> Entry<'static> {
    let begins =
        |parameter: &[u8], name: &[u8]| parameter.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name));
    let replaced = |parameter: &[u8]| begins(parameter, b"VALUE=") || (value.is_some() && begins(parameter, b"TZID="));
    let kept = entry.parameters().filter(|parameter| !replaced(parameter));
    entry.with_parameters(value.into_iter().chain(kept))
}
