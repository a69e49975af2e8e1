//! Reads typed values from a table. An invalid value is recorded as a problem and reads as absent, so that one run
//! finds every mistake.

use std::path::PathBuf;

use crate::config::Problem;
use crate::config::tree::{Node, Table, Value};
use crate::words::time::parse_duration;

/// What a key accepts, worded for its error message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// `is not a duration`
    pub is_not: &'static str,
    /// The allowed values, with an example.
    pub allowed: &'static str,
}

const TEXT: Expected = Expected { is_not: "is not text", allowed: "text in quotes" };
const TRUTH: Expected = Expected { is_not: "is neither true nor false", allowed: "true or false, without quotes" };
const PATH: Expected = Expected { is_not: "is not a path", allowed: "a path in quotes" };
const COMMAND: Expected = Expected {
    is_not: "is not a command",
    allowed: "the command and its arguments as a list, such as [\"pass\", \"show\", \"dav\"]",
};
const DURATION: Expected = Expected { is_not: "is not a duration", allowed: DURATIONS };
const SPAN: Expected = Expected { is_not: "is not a duration above zero", allowed: DURATIONS };
const DURATIONS: &str = "a number and a unit in quotes, such as \"90s\", \"15m\", \"3h\", \"2d\" or \"1w\"";
const SIZE: Expected = Expected {
    is_not: "is not a size",
    allowed: "a number and a unit in quotes, such as \"500KiB\", \"128MiB\" or \"1GiB\", or a number of octets",
};

/// A table and the list that collects its problems.
pub(super) struct Reader<'a> {
    /// The table to read.
    pub table: &'a Table,
    /// The problems found so far.
    pub problems: &'a mut Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// The value of a key as parsed by `parse`; `None` if the key is missing, or after recording a problem.
    pub(super) fn value<T>(
        &mut self,
        key: &str,
        expected: Expected,
        parse: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let node = self.table.get(key)?;
        let read = parse(&node.value);
        if read.is_none() {
            let shown = node.value.shown();
            self.problems.push(node.problem(format!("{shown} {}; allowed: {}", expected.is_not, expected.allowed)));
        }
        read
    }

    /// Non-empty text.
    pub(super) fn text(&mut self, key: &str) -> Option<&'a str> {
        self.value(key, TEXT, |value| value.as_text().filter(|text| !text.trim().is_empty()))
    }

    /// The node of a required key; `allowed` says what to write.
    pub(super) fn required(&mut self, key: &str, allowed: &str) -> Option<&'a Node> {
        let node = self.table.get(key);
        if node.is_none() {
            self.problems.push(self.table.place.below(key).problem(format!("is missing; allowed: {allowed}")));
        }
        node
    }

    /// `true` or `false`.
    pub(super) fn truth(&mut self, key: &str) -> Option<bool> {
        self.value(key, TRUTH, |value| if let Value::Truth(truth) = value { Some(*truth) } else { None })
    }

    /// A duration in seconds.
    pub(super) fn duration(&mut self, key: &str) -> Option<u64> {
        self.value(key, DURATION, |value| parse_duration(value.as_text()?))
    }

    /// A duration in seconds, at least 1.
    pub(super) fn span(&mut self, key: &str) -> Option<u64> {
        self.value(key, SPAN, |value| parse_duration(value.as_text()?).filter(|seconds| *seconds > 0))
    }

    /// A size in octets, at least 1.
    pub(super) fn size(&mut self, key: &str) -> Option<u64> {
        self.value(key, SIZE, |value| match value {
            Value::Number(octets) => Some(*octets).filter(|octets| *octets > 0),
            Value::Text(text) => parse_size(text).filter(|octets| *octets > 0),
            _ => None,
        })
    }

    /// One of a fixed set of words.
    pub(super) fn word<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let node = self.table.get(key)?;
        let known = node.value.as_text().and_then(|text| words.iter().find(|(word, _)| *word == text));
        if known.is_none() {
            let allowed: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            let shown = node.value.shown();
            self.problems.push(node.problem(format!("{shown} is not known; allowed: {}", allowed.join(" or "))));
        }
        known.map(|(_, meaning)| *meaning)
    }

    /// An absolute path: a relative one is resolved against the place where the key was written.
    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        let written = self.value(key, PATH, |value| value.as_text().filter(|text| !text.is_empty()))?;
        Some(self.table.get(key)?.place.origin.path(written))
    }

    /// A command with its arguments.
    pub(super) fn command(&mut self, key: &str) -> Option<Vec<String>> {
        self.value(key, COMMAND, |value| {
            let Value::List(nodes) = value else { return None };
            let words: Option<Vec<String>> = nodes.iter().map(|node| node.value.as_text().map(str::to_owned)).collect();
            words.filter(|words| words.first().is_some_and(|program| !program.is_empty()))
        })
    }

    /// Rejects every key that is not in `known`, except those in `told`, which already have a more specific problem.
    pub(super) fn refuse_others(&mut self, known: &[&str], told: &[&str]) {
        for (key, node) in &self.table.nodes {
            if !known.contains(&key.as_str()) && !told.contains(&key.as_str()) {
                self.problems.push(node.problem(unknown(key, known)));
            }
        }
    }
}

/// The message for an unknown key.
fn unknown(key: &str, known: &[&str]) -> String {
    match nearest(key, known) {
        Some(meant) => format!("unknown key; did you mean {meant}?"),
        None => format!("unknown key; allowed: {}", known.join(", ")),
    }
}

/// The known word that was probably meant: at most a third of its letters differ.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|candidate| (distance(word, candidate), *candidate)).min()?;
    Some(near)
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3).min(3))
        .map(|(_, candidate)| candidate)
}

/// The number of letters to insert, delete or replace (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (at, letter) in left.chars().enumerate() {
        let mut diagonal = at;
        let mut before = at + 1;
        if let Some(first) = row.first_mut() {
            *first = before;
        }
        for (cell, other) in row.iter_mut().skip(1).zip(right.chars()) {
            let changed = diagonal + usize::from(letter != other);
            diagonal = *cell;
            before = changed.min(before + 1).min(*cell + 1);
            *cell = before;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Parses a size: `500KiB`, `128MiB`, `1GiB`, `64MB`, `1000`.
fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let factor = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_and_decimal_units() {
        let read = ["128MiB", "1 GiB", "500KiB", "64MB", "1kB", "7", "7B"].map(parse_size);
        let octets = [134_217_728, 1 << 30, 512_000, 64_000_000, 1_000, 7, 7].map(Some);
        assert_eq!((read, parse_size("1.5MiB"), parse_size("MiB"), parse_size("5 cats")), (octets, None, None, None));
    }

    #[test]
    fn the_nearest_word_is_near() {
        let known = ["max_delete", "max_size", "every", "url"];
        let meant = ["max_deletes", "maxdelete", "evrey", "uri", "password", "x"].map(|word| nearest(word, &known));
        assert_eq!(meant, [Some("max_delete"), Some("max_delete"), Some("every"), Some("url"), None, None]);
    }
}
