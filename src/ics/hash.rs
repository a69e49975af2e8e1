//! The stable hash of a component's content, without what producers change at every fetch.

use std::borrow::Cow;

use super::line::{ContentLine, Name, Names, set_of};
use crate::words::digest::{Hash, sha256, sha256_of};

/// Properties that producers change at every fetch, so that they say nothing about the event.
const VOLATILE: Names = set_of(&[
    // Outlook, Google and most generators write the time of the fetch here.
    Name::Dtstamp,
    // Generators write the time of the fetch here.
    Name::LastModified,
    // Generators write the time of the fetch here, because they store no other.
    Name::Created,
    // Some producers count fetches; a real change shows in another property.
    Name::Sequence,
]);

/// Whether a property is left out of hashes and comparisons.
pub(super) fn is_volatile(name: Name) -> bool {
    name.is_in(VOLATILE)
}

struct Frame<'e> {
    name: &'e [u8],
    lines: usize,
    children: usize,
}

/// The hash of one component, given from BEGIN to END. Its UID is left out: it is compared as a part of the key, and
/// an object with a new UID is recognized by its hash.
pub(super) fn component(entries: &[ContentLine<'_>]) -> Hash {
    let mut lines: Vec<(u64, Cow<'_, [u8]>)> = Vec::with_capacity(entries.len());
    let mut children: Vec<Hash> = Vec::new();
    let mut open: Vec<Frame<'_>> = Vec::new();
    let mut text = Vec::with_capacity(entries.iter().map(|entry| entry.text.len() + 1).sum());
    for entry in entries {
        match entry.name {
            Name::Begin => {
                open.push(Frame { name: entry.component(), lines: lines.len(), children: children.len() });
            }
            Name::End => {
                let Some(frame) = open.pop() else { break };
                let hash = close(&frame, &mut lines, &mut children, &mut text);
                children.push(hash);
            }
            Name::Uid if open.len() == 1 => {}
            name if is_volatile(name) => {}
            _ => {
                let line = canonical(entry);
                lines.push((ends(&line), line));
            }
        }
    }
    children.first().copied().unwrap_or_else(|| sha256(&[]))
}

fn close(
    frame: &Frame<'_>,
    lines: &mut Vec<(u64, Cow<'_, [u8]>)>,
    children: &mut Vec<Hash>,
    text: &mut Vec<u8>,
) -> Hash {
    text.clear();
    text.extend(frame.name.iter().map(u8::to_ascii_uppercase));
    text.push(b'\n');
    if let Some(own) = lines.get_mut(frame.lines..) {
        own.sort_unstable();
    }
    for (_, line) in lines.drain(frame.lines..) {
        text.extend_from_slice(&line);
        text.push(b'\n');
    }
    // No line is empty, so an empty one separates lines from children.
    text.push(b'\n');
    if let Some(own) = children.get_mut(frame.children..) {
        own.sort_unstable();
    }
    children.drain(frame.children..).for_each(|hash| text.extend_from_slice(&hash.0));
    sha256(&[text])
}

/// One hash for several, independent of their order.
pub(super) fn of_all(mut hashes: Vec<Hash>) -> Hash {
    hashes.sort_unstable();
    sha256_of(hashes.iter().map(|hash| hash.0.as_slice()))
}

/// A fast sort key for lines before comparing their octets. It uses both ends because the names of one producer start
/// alike.
fn ends(line: &[u8]) -> u64 {
    let number = |octets: Option<&[u8; 8]>| octets.map_or(0, |octets| u64::from_be_bytes(*octets));
    number(line.first_chunk()) ^ number(line.last_chunk()).rotate_left(29)
}

/// A line with its names in upper case and its parameters sorted.
pub(super) fn canonical<'e>(entry: &'e ContentLine<'_>) -> Cow<'e, [u8]> {
    if is_canonical(entry) {
        return Cow::Borrowed(&entry.text);
    }
    let mut parameters: Vec<Vec<u8>> = entry.parameters().map(with_upper_name).collect();
    parameters.sort_unstable();
    let mut line = entry.name_text().to_ascii_uppercase();
    for parameter in parameters {
        line.push(b';');
        line.extend_from_slice(&parameter);
    }
    line.push(b':');
    line.extend_from_slice(entry.value());
    Cow::Owned(line)
}

fn is_canonical(entry: &ContentLine<'_>) -> bool {
    let mut last: Option<&[u8]> = None;
    !entry.name_text().iter().any(u8::is_ascii_lowercase)
        && entry.parameters().all(|parameter| {
            let sorted = last.is_none_or(|last| last <= parameter);
            last = Some(parameter);
            sorted && !parameter_name(parameter).iter().any(u8::is_ascii_lowercase)
        })
}

fn parameter_name(parameter: &[u8]) -> &[u8] {
    parameter.split(|byte| *byte == b'=').next().unwrap_or_default()
}

fn with_upper_name(parameter: &[u8]) -> Vec<u8> {
    let mut upper = parameter.to_vec();
    let name = parameter_name(parameter).len();
    if let Some(name) = upper.get_mut(..name) {
        name.make_ascii_uppercase();
    }
    upper
}

#[cfg(test)]
mod tests {
    use super::super::line::entries;
    use super::*;

    fn hash_of(text: &str) -> Hash {
        let entries: Vec<_> = entries(text.as_bytes()).collect();
        component(&entries)
    }

    fn check(one: &str, other: &str, equal: bool) {
        assert_eq!(hash_of(one) == hash_of(other), equal, "{one}\n{other}");
    }

    const EVENT: &str = "BEGIN:VEVENT\nUID:a\nDTSTAMP:1\nSUMMARY:x\nATTENDEE;A=1;B=2:m\nEND:VEVENT\n";

    #[test]
    fn churn_order_and_case_of_names_do_not_count() {
        check(EVENT, "begin:vevent\nATTENDEE;b=2;A=1:m\nSEQUENCE:7\nsummary:x\nUID:a\nEND:VEVENT\n", true);
    }

    #[test]
    fn every_other_octet_counts() {
        check(EVENT, &EVENT.replace("SUMMARY:x", "SUMMARY:X"), false);
        check(EVENT, &EVENT.replace("A=1", "A=\"1\""), false);
        check(EVENT, &EVENT.replace("SUMMARY:x\n", "SUMMARY:x\nSUMMARY:x\n"), false);
        check(EVENT, &EVENT.replace("VEVENT", "VTODO"), false);
    }

    #[test]
    fn a_line_that_moves_into_an_alarm_counts() {
        let one = "BEGIN:VEVENT\nA:1\nBEGIN:VALARM\nB:2\nEND:VALARM\nEND:VEVENT\n";
        check(one, "BEGIN:VEVENT\nBEGIN:VALARM\nA:1\nB:2\nEND:VALARM\nEND:VEVENT\n", false);
        check(one, "BEGIN:VEVENT\nBEGIN:VALARM\nB:2\nEND:VALARM\nA:1\nEND:VEVENT\n", true);
    }
}
