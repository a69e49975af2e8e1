//! Logical lines of iCalendar text: unfolds octets before any decoding (RFC 5545 §3.1), because feeds fold inside
//! UTF-8 sequences.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr_iter};

/// A part of a text; empty if out of range.
pub(super) fn slice(text: &[u8], range: Range<usize>) -> &[u8] {
    text.get(range).unwrap_or_default()
}

/// The usual number of pieces of a folded line; a few have many more.
const ROOM: usize = 4;

/// A logical line and its position.
pub(super) struct Logical<'a> {
    /// The line without folds and line ending; never empty.
    pub text: Cow<'a, [u8]>,
    /// The position of its first octet.
    pub start: usize,
    /// The position after its last octet, excluding the line ending.
    pub end: usize,
}

/// Iterates over logical lines. CRLF, LF and CRCRLF end a line; blank lines are skipped, even before a continuation.
pub(super) struct Lines<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    /// The lines of a text.
    pub(super) fn new(text: &'a [u8]) -> Lines<'a> {
        Lines { text, at: 0 }
    }

    /// The next physical line, without its line ending.
    fn physical(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let rest = self.text.get(start..).filter(|rest| !rest.is_empty())?;
        let length = memchr(b'\n', rest).unwrap_or(rest.len());
        self.at = start + length + 1;
        let mut end = start + length;
        while end > start && self.text.get(end - 1) == Some(&b'\r') {
            end -= 1;
        }
        Some(start..end)
    }

    /// Skips blank lines and returns whether the next line continues the previous one.
    fn continues(&mut self) -> bool {
        while let Some(b'\r' | b'\n') = self.text.get(self.at) {
            let before = self.at;
            if self.physical().is_some_and(|line| !line.is_empty()) {
                self.at = before;
                return false;
            }
        }
        matches!(self.text.get(self.at), Some(b' ' | b'\t'))
    }

    fn unfold(&mut self, first: Range<usize>) -> Logical<'a> {
        let start = first.start;
        let mut end = first.end;
        let mut joined = Vec::with_capacity(ROOM * first.len());
        joined.extend_from_slice(slice(self.text, first));
        while let Some(line) = self.physical() {
            end = line.end;
            joined.extend_from_slice(slice(self.text, line.start + 1..line.end));
            if !self.continues() {
                break;
            }
        }
        Logical { text: Cow::Owned(joined), start, end }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Logical<'a>;

    fn next(&mut self) -> Option<Logical<'a>> {
        loop {
            let line = self.physical()?;
            if line.is_empty() {
                continue;
            }
            if self.continues() {
                return Some(self.unfold(line));
            }
            let Range { start, end } = line;
            return Some(Logical { text: Cow::Borrowed(slice(self.text, start..end)), start, end });
        }
    }
}

/// The physical line that contains an octet, starting at 1.
pub(super) fn line_number(text: &[u8], at: usize) -> usize {
    memchr_iter(b'\n', slice(text, 0..at.min(text.len()))).count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8], expected: &[&[u8]]) {
        let lines: Vec<_> = Lines::new(text).map(|line| line.text.into_owned()).collect();
        assert_eq!(lines, expected, "{}", String::from_utf8_lossy(text));
    }

    #[test]
    fn every_line_end_ends_a_line() {
        check(b"A:1\r\nB:2\nC:3\r\r\nD:4", &[b"A:1", b"B:2", b"C:3", b"D:4"]);
        check(b"A:1\r", &[b"A:1"]);
    }

    #[test]
    fn a_fold_is_joined_on_octets_and_keeps_blanks() {
        check(b"A:hello \r\n  world\r\n\tx\r\nB:\xc3\r\n \xa4\n", &[b"A:hello  worldx", "B:ä".as_bytes()]);
        check(b"A:x\r\n \r\n y\r\n", &[b"A:xy"]);
    }

    #[test]
    fn blank_lines_are_skipped_also_inside_a_fold() {
        check(b"\r\nA:1\r\n\r\n\n 2\r\n\n\nB:3\n\n", &[b"A:12", b"B:3"]);
    }

    #[test]
    fn a_carriage_return_within_a_line_stays_for_the_repair() {
        check(b"A:1\r2\n\rB:3\n", &[b"A:1\r2", b"\rB:3"]);
    }

    #[test]
    fn a_line_knows_where_it_stands() {
        let text = b"A:1\r\nB:2\r\n 3\r\nC:4\r\n";
        let places: Vec<_> = Lines::new(text).map(|line| (line.start, line.end)).collect();
        assert_eq!(places, [(0, 3), (5, 12), (14, 17)]);
        assert_eq!(line_number(text, 14), 4);
    }
}
