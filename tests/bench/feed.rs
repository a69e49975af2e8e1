//! The feeds of the benchmarks: as producers write them, or where their generator is missing, simple ones of that size.

use std::path::Path;
use std::process::Command;

use crate::root;

/// A generator of feeds that real producers could have written; it is no part of the project.
const GENERATOR: &str = "../shared/tools/gen_feed.py";

/// Says where the feeds come from.
pub(crate) fn origin() -> &'static str {
    if root().join(GENERATOR).exists() { "feeds by gen_feed.py --style mixed" } else { "simple feeds of our own" }
}

/// A feed with so many events, about 900 octets each.
pub(crate) fn feed(events: usize) -> Vec<u8> {
    let path = root().join(format!("target/bench/{events}-0.ics"));
    if !path.exists() && !generate(events, &path) {
        return simple(events).into_bytes();
    }
    std::fs::read(&path).expect("a feed")
}

fn generate(events: usize, path: &Path) -> bool {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let mut python = Command::new("python3");
    python.arg(root().join(GENERATOR)).args(["--seed", "1", "--style", "mixed", "--events", &events.to_string(), "-o"]);
    root().join(GENERATOR).exists() && python.arg(path).status().is_ok_and(|status| status.success())
}

/// A feed that any generator could write, one object for each event.
pub(crate) fn simple(events: usize) -> String {
    let description = "a line of a description as people write it in their calendars\\n\r\n ".repeat(11);
    let event = |number: usize| {
        let (day, hour) = (1 + number % 28, number % 24);
        format!(
            "BEGIN:VEVENT\r\nUID:{number:06}@bench.example\r\nDTSTAMP:20261120T090000Z\r\n\
             DTSTART:202612{day:02}T{hour:02}0000Z\r\nSUMMARY:Event {number}\r\nDESCRIPTION:{description}.\r\nEND:VEVENT\r\n"
        )
    };
    let events: String = (0..events).map(event).collect();
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//bench//EN\r\n{events}END:VCALENDAR\r\n")
}

/// The same feed as it is fetched at another moment: every DTSTAMP is another one, nothing else.
pub(crate) fn at_another_moment(feed: &[u8], moment: usize) -> Vec<u8> {
    let mut text = feed.to_vec();
    let stamp = format!("2026{:02}{:02}T{:02}0000Z", 1 + moment / 28 % 12, 1 + moment % 28, moment % 24);
    let places: Vec<usize> =
        feed.windows(9).enumerate().filter(|(_, at)| *at == b"\nDTSTAMP:").map(|(at, _)| at).collect();
    for at in places {
        text[at + 9..at + 9 + stamp.len()].copy_from_slice(stamp.as_bytes());
    }
    text
}

/// The same feed with another title in this many of its events, spread over it.
pub(crate) fn with_changes(feed: &str, changes: usize) -> String {
    let every = feed.matches("\r\nSUMMARY").count() / changes;
    let mut pieces = feed.split("\r\nSUMMARY:");
    let mut text = pieces.next().expect("a head").to_owned();
    for (number, piece) in pieces.enumerate() {
        let is_one = number % every == 0 && number / every < changes;
        text += if is_one { "\r\nSUMMARY:Now " } else { "\r\nSUMMARY:" };
        text += piece;
    }
    text
}
