//! Human-readable title and start of an object.

use super::line::{ContentLine, Name, own};
use super::property::{self, from_text};
use crate::words::shown::shortened;

/// The SUMMARY of a component, shortened, unescaped and on one line; empty if it has none.
pub(super) fn summary(component: &[ContentLine<'_>]) -> String {
    let written = own(component, Name::Summary).map(|entry| String::from_utf8_lossy(entry.value()));
    written.map(|text| from_text(&shortened(&text)).replace('\n', " ")).unwrap_or_default()
}

/// The start of a component, or the due date of a task without one, as in the feed: `2026-11-20 09:15 Europe/Berlin`,
/// `2026-11-20`, `2026-11-20 09:15 UTC`; empty if it has neither.
pub(super) fn start(component: &[ContentLine<'_>]) -> String {
    let Some(entry) = own(component, Name::Dtstart).or_else(|| own(component, Name::Due)) else {
        return String::new();
    };
    let value = String::from_utf8_lossy(entry.value());
    let zone = property::read(entry).and_then(|property| property.parameter("TZID").map(str::to_owned));
    match moment(&value) {
        None => shortened(&value).into_owned(),
        Some((date, None)) => date,
        Some((date, Some(time))) if value.ends_with('Z') => format!("{date} {time} UTC"),
        Some((date, Some(time))) => {
            [date, time].into_iter().chain(zone.map(|zone| shortened(&zone).into_owned())).collect::<Vec<_>>().join(" ")
        }
    }
}

/// Date and time of day of `20261120T091500`; `20261120` has no time.
fn moment(value: &str) -> Option<(String, Option<String>)> {
    let value = value.trim().trim_end_matches('Z');
    let (date, time) = value.split_once('T').map_or((value, None), |(date, time)| (date, Some(time)));
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(date, 8) || !time.is_none_or(|time| digits(time, 6)) {
        return None;
    }
    let date = format!("{}-{}-{}", date.get(..4)?, date.get(4..6)?, date.get(6..)?);
    let time = time.and_then(|time| Some(format!("{}:{}", time.get(..2)?, time.get(2..4)?)));
    Some((date, time))
}

#[cfg(test)]
mod tests {
    use super::super::line::entries;
    use super::*;

    fn check(line: &str, expected: &str) {
        let text = format!("BEGIN:VEVENT\n{line}\nEND:VEVENT\n");
        let lines: Vec<_> = entries(text.as_bytes()).collect();
        assert_eq!(start(&lines), expected, "{line}");
    }

    #[test]
    fn a_start_reads_as_the_feed_writes_it() {
        check("DTSTART;TZID=Europe/Berlin:20261120T091500", "2026-11-20 09:15 Europe/Berlin");
        check("DTSTART;TZID=\"W. Europe, Standard\":20261120T091500", "2026-11-20 09:15 W. Europe, Standard");
        check("DTSTART;VALUE=DATE:20261120", "2026-11-20");
        check("DTSTART:20261120T091500Z", "2026-11-20 09:15 UTC");
        check("DTSTART:20261120T091500", "2026-11-20 09:15");
        check("DUE:20261120T091500Z", "2026-11-20 09:15 UTC");
        check("DTSTART:next Friday", "next Friday");
        check("SUMMARY:x", "");
    }

    #[test]
    fn a_title_is_that_of_the_component_itself() {
        let text = b"BEGIN:VEVENT\nBEGIN:VALARM\nSUMMARY:no\nEND:VALARM\nSUMMARY:a\\, b\\nc\nEND:VEVENT\n";
        let lines: Vec<_> = entries(text).collect();
        assert_eq!(summary(&lines), "a, b c");
    }
}
