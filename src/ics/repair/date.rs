//! Dates, date-times and durations with a form that servers reject.

use super::super::line::{ContentLine, Name, Names, set_of};

/// Properties with date or date-time values.
const DATES: Names = set_of(&[Name::Dtstart, Name::Dtend, Name::Due, Name::RecurrenceId, Name::Exdate, Name::Rdate]);
/// Properties whose values are always date-times.
const MOMENTS: Names = set_of(&[Name::Dtstamp, Name::Created, Name::LastModified]);
/// Properties whose values are or may be durations.
const SPANS: Names = set_of(&[Name::Duration, Name::Trigger]);

/// Whether the value of this property is a date, a date-time or a duration.
pub(super) fn is_of_time(entry: &ContentLine<'_>) -> bool {
    entry.name.is_in(DATES | MOMENTS | SPANS)
}

/// The line with a cleaned-up value, and the complaint about it; `None` if it is clean.
pub(super) fn tidied(entry: &ContentLine<'_>) -> Option<(ContentLine<'static>, &'static str)> {
    let value = entry.value().trim_ascii();
    match value {
        // sabre and Radicale reject both, except for a TRIGGER, which sabre does not parse.
        [date @ .., b'Z'] if is_digits(date, 8) => {
            Some((entry.with_value(date), "has the Z of a time after a date; it is left out"))
        }
        [] => None,
        _ if value.len() == entry.value().len() => None,
        _ => Some((entry.with_value(value), "has blanks around its value; they are left out")),
    }
}

/// Whether this is a date-time in UTC.
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

/// Why a date would be rejected.
pub(super) enum Fault {
    Empty,
    NoMoment,
    Type(Option<&'static [u8]>),
}

/// The reason why servers would reject a date or its VALUE parameter (sabre/dav 4.7 answers 415).
pub(super) fn fault(entry: &ContentLine<'_>) -> Option<Fault> {
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

/// A date has no time zone (RFC 5545 §3.2.19), and Xandikos writes an invalid date if it has one.
pub(super) fn with_value_type(entry: &ContentLine<'_>, value: Option<&'static [u8]>) -> ContentLine<'static> {
    let begins =
        |parameter: &[u8], name: &[u8]| parameter.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name));
    let replaced = |parameter: &[u8]| begins(parameter, b"VALUE=") || (value.is_some() && begins(parameter, b"TZID="));
    let kept = entry.parameters().filter(|parameter| !replaced(parameter));
    entry.with_parameters(value.into_iter().chain(kept))
}
