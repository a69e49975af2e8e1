//! Every file of the corpus of real feeds: nothing panics, and what is written says what was read.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::super::entry::{Name, entries};
use super::super::*;
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

/// What a written object must hold of the source: its lines, but for those that a complaint accounts for.
fn round_trip(path: &Path, body: Vec<u8>) -> usize {
    let Ok(feed) = read(body, None) else { return 0 };
    for object in feed.objects() {
        let text = feed.write(object, &Form::default());
        let about = || format!("{} {:?}\n{}", path.display(), object.key, String::from_utf8_lossy(&text));
        let again = read(text.clone(), None).unwrap_or_else(|reason| panic!("{reason} {}", about()));
        assert_eq!(again.objects().len(), 1, "{}", about());
        assert_eq!(again.complaints(), [], "{}", about());
        let found = identify(&text).unwrap();
        assert_eq!((&found.key, found.hash), (&object.key, object.hash), "{}", about());
        assert_eq!(found.content_hash, feed.content_hash(object), "{}", about());
        assert_eq!((found.summary, found.start), (feed.summary(object), feed.start(object)), "{}", about());
        assert!(
            std::str::from_utf8(&text).is_ok_and(|text| text.split("\r\n").all(|line| line.len() <= 75)),
            "{}",
            about()
        );
        assert!(same(&text, &text.iter().copied().filter(|byte| *byte != b'\r').collect::<Vec<u8>>()), "{}", about());
    }
    feed.objects().len()
}

#[test]
fn every_object_of_the_corpus_is_itself_after_writing_and_reading() {
    let Some(folder) = folder() else { return eprintln!("skipped: no corpus; set BAIKAL_SYNC_CORPUS") };
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    let objects: usize = paths.iter().map(|path| round_trip(path, std::fs::read(path).unwrap())).sum();
    assert!(objects > 10_000, "{objects} objects in {} files", paths.len());
}

/// The lines of the objects in a body: each must be written again, unless a complaint names its UID or it has none.
fn lost_line(body: &[u8]) -> Option<String> {
    let feed = read(body.to_vec(), None).ok()?;
    let excused: HashSet<&str> = feed.complaints().iter().map(|complaint| complaint.uid.as_str()).collect();
    let mut written = HashSet::new();
    for object in feed.objects() {
        written.extend(entries(&feed.write(object, &Form::default())).map(|entry| entry.text.into_owned()));
    }
    let mut open: Vec<Vec<u8>> = Vec::new();
    let mut component: Vec<Entry<'_>> = Vec::new();
    for entry in entries(&feed.split.body) {
        let mirrored = open.get(1).is_some_and(|name| ComponentType::from_name(name).is_some());
        match entry.name {
            Name::Begin => open.push(entry.component().to_vec()),
            Name::End => drop(open.pop()),
            _ if mirrored => component.push(entry),
            _ => {}
        }
        if open.len() == 1 {
            let lines = std::mem::take(&mut component);
            let uid = lines.iter().find(|entry| entry.name == Name::Uid).map(Entry::value).unwrap_or_default();
            let excused = uid.trim_ascii().is_empty() || excused.contains(&*String::from_utf8_lossy(uid));
            let lost = lines.iter().find(|entry| !excused && !written.contains(entry.text.as_ref()));
            if let Some(entry) = lost {
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
    for path in paths {
        assert_eq!(lost_line(&std::fs::read(&path).unwrap()), None, "{}", path.display());
    }
}

#[test]
fn line_ends_do_not_count_in_any_file_of_the_corpus() {
    let Some(folder) = folder() else { return eprintln!("skipped: no corpus; set BAIKAL_SYNC_CORPUS") };
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    let digest = |body: Vec<u8>| read(body, None).map(|feed| feed.digest()).ok();
    for path in paths {
        let body = std::fs::read(&path).unwrap();
        if body.contains(&0) {
            // UTF-16, whose line ends are two octets.
            continue;
        }
        let lines: Vec<&[u8]> = body.split(|byte| *byte == b'\n').collect();
        assert_eq!(digest(lines.join(&b"\r\n"[..])), digest(body.clone()), "{}", path.display());
    }
}
