//! Every file of the corpus of real feeds: nothing panics, and what is written equals what was read.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::super::line::{Name, entries};
use super::super::*;
use super::shapes::SHAPES;
use crate::model::ComponentType;

fn folder() -> Option<PathBuf> {
    let near = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/open");
    let folder = std::env::var_os("BAIKAL_SYNC_CORPUS").map_or(near, PathBuf::from);
    folder.is_dir().then_some(folder)
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension != "md" && extension != "tsv") {
            found.push(path);
        }
    }
}

/// Checks written objects by reading them again.
fn round_trip(path: &Path, body: Vec<u8>) -> usize {
    let Ok(feed) = read(body, None) else { return 0 };
    for object in feed.objects() {
        let text = feed.write(object, None);
        let about = || format!("{} {:?}\n{}", path.display(), object.key, String::from_utf8_lossy(&text));
        let resource = Resource::read(text.clone()).unwrap_or_else(|| panic!("{}", about()));
        let again = resource.feed();
        assert_eq!((again.objects().len(), again.complaints()), (1, [].as_slice()), "{}", about());
        assert_eq!((resource.key(), resource.hash()), (&object.key, object.hash), "{}", about());
        assert_eq!((resource.summary(), resource.start()), (feed.summary(object), feed.start(object)), "{}", about());
        assert_eq!(again.write(&again.objects()[0], None), text);
        assert!(
            std::str::from_utf8(&text).is_ok_and(|text| text.split("\r\n").all(|line| line.len() <= 75)),
            "{}",
            about()
        );
    }
    let objects = feed.objects().len();
    SHAPES.into_iter().fold(feed, |feed, shape| shaped_round_trip(path, feed, shape));
    objects
}

/// The same for objects that a shape changes; their keys do not depend on it.
fn shaped_round_trip(path: &Path, feed: Feed, shape: Shape) -> Feed {
    let before = feed.objects().to_vec();
    let feed = feed.reshaped(&shape);
    assert_eq!(feed.objects().len(), before.len(), "{}", path.display());
    for (object, before) in feed.objects().iter().zip(&before) {
        assert_eq!(object.key, before.key, "{}", path.display());
        if object.hash != before.hash {
            let resource = Resource::read(feed.write(object, None)).unwrap();
            assert_eq!((resource.key(), resource.hash()), (&object.key, object.hash), "{}", path.display());
        }
    }
    feed
}

#[test]
fn every_object_of_the_corpus_is_itself_after_writing_and_reading() {
    let Some(folder) = folder() else { return eprintln!("skipped: no corpus; set BAIKAL_SYNC_CORPUS") };
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    let objects: usize = paths.iter().map(|path| round_trip(path, std::fs::read(path).unwrap())).sum();
    assert!(objects > 10_000, "{objects} objects in {} files", paths.len());
}

/// Differences that the complaints of a feed explain.
struct Excuses<'f>(&'f [Complaint]);

impl Excuses<'_> {
    fn any(&self, uid: &str, excuses: impl Fn(&Complaint) -> bool) -> bool {
        self.0.iter().any(|complaint| complaint.uid == uid.trim() && excuses(complaint))
    }

    /// Whether one of several components with the same identity is left out.
    fn a_component(&self, uid: &str) -> bool {
        self.any(uid, |complaint| complaint.property == "UID" && complaint.message.contains("more than once"))
    }

    /// Whether a line inside these nested components is left out or repaired.
    fn a_line(&self, uid: &str, inside: &[Vec<u8>], line: &ContentLine<'_>) -> bool {
        let names = |name: &[u8]| {
            let name = String::from_utf8_lossy(name).to_uppercase();
            self.any(uid, |complaint| complaint.property == name)
        };
        let joins = |message: &str| message.contains("line break") || message.contains("QUOTED-PRINTABLE");
        let joined = || self.any(uid, |complaint| joins(&complaint.message));
        let derived = uid.trim().is_empty() && line.name == Name::Uid;
        derived
            || names(line.name_text())
            || inside.iter().any(|name| names(name))
            || (line.name == Name::Malformed && (joined() || self.any(uid, |complaint| complaint.property == "a line")))
    }
}

/// A line of the objects in a body that is not written again, although no complaint about its UID names it.
fn lost_line(body: &[u8]) -> Option<String> {
    let feed = read(body.to_vec(), None).ok()?;
    let excuses = Excuses(feed.complaints());
    let mut written = HashSet::new();
    for object in feed.objects() {
        written.extend(entries(&feed.write(object, None)).map(|entry| entry.text.into_owned()));
    }
    let mut open: Vec<Vec<u8>> = Vec::new();
    let mut component: Vec<(Vec<Vec<u8>>, ContentLine<'_>)> = Vec::new();
    for entry in entries(&feed.pieces.body.text) {
        let mirrored = open.get(1).is_some_and(|name| ComponentType::from_name(name).is_some());
        match entry.name {
            Name::Begin => open.push(entry.component().to_vec()),
            Name::End => drop(open.pop()),
            _ if mirrored => component.push((open[2..].to_vec(), entry)),
            _ => {}
        }
        if open.len() == 1 {
            let lines = std::mem::take(&mut component);
            let uid = lines.iter().find(|(inside, entry)| inside.is_empty() && entry.name == Name::Uid);
            let uid = uid.map(|(_, entry)| String::from_utf8_lossy(entry.value())).unwrap_or_default();
            let lost = lines.iter().find(|(inside, entry)| {
                !written.contains(entry.text.as_ref())
                    && !excuses.a_component(&uid)
                    && !excuses.a_line(&uid, inside, entry)
            });
            if let Some((_, entry)) = lost {
                return Some(String::from_utf8_lossy(&entry.text).into_owned());
            }
        }
    }
    None
}

#[test]
fn no_line_of_the_corpus_is_lost_without_a_complaint() {
    let Some(folder) = folder() else { return eprintln!("skipped: no corpus; set BAIKAL_SYNC_CORPUS") };
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    let lost = paths
        .iter()
        .filter_map(|path| lost_line(&std::fs::read(path).unwrap()).map(|line| format!("{}: {line}", path.display())));
    assert_eq!(lost.collect::<Vec<_>>(), [""; 0]);
}

/// The same text with other line endings.
fn with_line_ends(body: &[u8], end: &[u8]) -> Vec<u8> {
    let bare = |line: &[u8]| line.len() - line.iter().rev().take_while(|byte| **byte == b'\r').count();
    let lines: Vec<&[u8]> = body.split(|byte| *byte == b'\n').map(|line| &line[..bare(line)]).collect();
    lines.join(end)
}

#[test]
fn line_ends_do_not_count_in_any_file_of_the_corpus() {
    let Some(folder) = folder() else { return eprintln!("skipped: no corpus; set BAIKAL_SYNC_CORPUS") };
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    // What is written does not depend on line endings either, so the round trip of the unmodified file covers all.
    let said = |body: Vec<u8>| {
        let feed = read(body, None)?;
        let written = feed.objects().iter().flat_map(|object| feed.write(object, None)).collect::<Vec<u8>>();
        Ok::<_, String>((feed.digest(), feed.complaints().to_vec(), written))
    };
    for path in paths {
        let body = std::fs::read(&path).unwrap();
        // Line endings of UTF-16 are two octets; a file without LF ends its lines with a bare CR.
        if body.contains(&0) || !body.contains(&b'\n') {
            continue;
        }
        let as_it_is = said(body.clone());
        for end in [&b"\n"[..], b"\r\n"] {
            assert!(said(with_line_ends(&body, end)) == as_it_is, "{} {end:?}", path.display());
        }
    }
}
