//! The corpus of real feeds, many mirrored in one run, and what a reader that is not ours says of the outcome. Shared with
//! the live tests.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::env::Ran;

/// What of the corpus cannot be mirrored: file, target, kind, count, what is said of it.
const REFUSED: &str = include_str!("../fixtures/corpus-refused.tsv");

/// Files of the corpus, and the reader that judges them.
pub(crate) struct Corpus {
    folder: PathBuf,
    python: PathBuf,
    /// Their paths from the folder of the corpus.
    pub files: Vec<String>,
}

/// What the UIDs begin with that the program derives.
const DERIVED: &str = "baikal-sync-";

/// A row of the list without its last column: file, target, kind, what is said; and how often.
type Refusals = BTreeMap<[String; 4], usize>;

impl Corpus {
    /// All files; `None`, with a note, where the corpus or the reader is not there.
    pub(crate) fn found() -> Option<Corpus> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let near = root.join("../shared/corpus/open");
        let folder = std::env::var_os("BAIKAL_SYNC_CORPUS").map_or(near, PathBuf::from);
        let python = root.join("target/live/venv/bin/python");
        for (path, what) in [(&folder, "the corpus of real feeds"), (&python, "the reader that tests/all installs")] {
            if !path.exists() {
                eprintln!("{what} is not there, so nothing is tested with real feeds");
                return None;
            }
        }
        let mut corpus = Corpus { folder, python, files: Vec::new() };
        let mut folders = vec![corpus.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "ics") {
                    corpus.files.push(path.strip_prefix(&corpus.folder).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        corpus.files.sort();
        Some(corpus)
    }

    /// The absolute path of a file.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// One subscription for each file, called `f` and its number.
    pub(crate) fn subscriptions(&self, target: impl Fn(usize) -> String) -> String {
        let one = |(number, file): (usize, &String)| {
            let (source, target) = (self.path(file).display().to_string(), target(number));
            format!("[[subscription]]\nname = \"f{number}\"\nsource = {source:?}\ntarget = {target:?}\n")
        };
        self.files.iter().enumerate().map(one).collect()
    }

    /// Asserts that everything is in the folder that stands for each target, or has its row in the list, and that each
    /// row is still true. `ran` was `-v run --json`; `settled` is the run that says of a feed that failed in it what is
    /// wrong; `again` should not have written anything. Gives how many feeds came whole, with repairs, and not as a whole.
    #[track_caller]
    pub(crate) fn judge(
        &self,
        [ran, settled, again]: [&Ran; 3],
        target: &str,
        folder: impl Fn(usize) -> PathBuf,
    ) -> [usize; 3] {
        let final_report = |(first, last): (Value, Value)| if first["error"].is_null() { first } else { last };
        let last: Vec<Value> = reports(ran).into_iter().zip(reports(settled)).map(final_report).collect();
        let later = reports(again);
        let mut found = Refusals::new();
        let mut counts = [0; 3];
        let mut orders = String::new();
        for (number, file) in self.files.iter().enumerate() {
            let report = &last[number];
            let mut refuse = |kind: &str, what: &Value| {
                let what = what.as_str().unwrap().to_owned();
                *found.entry([file.clone(), target.to_owned(), kind.to_owned(), what]).or_default() += 1;
            };
            if let Some(message) = report["error"].get("message") {
                refuse("feed", message);
            } else {
                orders += &format!("{}\t{}\n", self.path(file).display(), folder(number).display());
            }
            for _ in 0..written(&later[number]) {
                refuse("object", &Value::from("is written anew"));
            }
            let rejected = report["rejected"].as_array().unwrap();
            for rejected in rejected {
                refuse("object", &rejected["reason"]);
            }
            let whole = report["error"].is_null() && rejected.is_empty();
            counts[if whole { usize::from(report["repairs"] != 0) } else { 2 }] += 1;
        }
        let complaints = complaints(&ran.stderr);
        for row in self.ask(&["mirrored"], &orders).lines() {
            let [feed, uid, names]: [&str; 3] = row.split('\t').collect::<Vec<_>>().try_into().unwrap();
            let file = Path::new(feed).strip_prefix(&self.folder).unwrap().to_str().unwrap().to_owned();
            let number = self.files.binary_search(&file).unwrap();
            let none = Vec::new();
            let said = complaints.get(format!("f{number}").as_str()).unwrap_or(&none);
            if !is_explained(uid, names, said, last[number]["rejected"].as_array().unwrap()) {
                *found.entry([file, target.to_owned(), "difference".to_owned(), names.to_owned()]).or_default() += 1;
            }
        }
        let known = self.listed(target);
        let rows = |one: &Refusals, other: &Refusals| -> String {
            let rows = one.iter().filter(|(row, count)| other.get(*row) != Some(count));
            rows.map(|([file, target, kind, what], count)| format!("{file}\t{target}\t{kind}\t{count}\t{what}\n"))
                .collect()
        };
        let (new, old) = (rows(&found, &known), rows(&known, &found));
        assert!(new.is_empty() && old.is_empty(), "not in the list:\n{new}\nin the list and not true:\n{old}");
        counts
    }

    /// The rows of the list about our files and this target. What no target gets is listed as `any`.
    fn listed(&self, target: &str) -> Refusals {
        let row = |line: &str| {
            let [file, where_, kind, count, what]: [&str; 5] =
                line.splitn(6, '\t').take(5).collect::<Vec<_>>().try_into().ok()?;
            let ours = (where_ == "any" || where_ == target) && self.files.iter().any(|known| known == file);
            ours.then(|| ([file, target, kind, what].map(str::to_owned), count.parse().unwrap()))
        };
        REFUSED.lines().skip(1).filter_map(row).collect()
    }

    /// What the independent reader answers.
    pub(crate) fn ask(&self, arguments: &[&str], input: &str) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/corpus.py");
        let mut reader = Command::new(&self.python);
        let pipes = reader.arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = pipes.env("PYTHONDONTWRITEBYTECODE", "1").spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "the reader failed");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The report of each subscription.
pub(crate) fn reports(ran: &Ran) -> Vec<Value> {
    ran.json()["subscriptions"].as_array().unwrap().clone()
}

/// How many objects a pass wrote.
pub(crate) fn written(report: &Value) -> u64 {
    ["created", "updated", "deleted"].iter().map(|field| report[field].as_u64().unwrap()).sum()
}

/// What the program complained of, by subscription.
fn complaints(stderr: &str) -> HashMap<&str, Vec<&str>> {
    let mut said: HashMap<&str, Vec<&str>> = HashMap::new();
    for (name, complaint) in stderr.lines().filter_map(|line| line.split_once(": ")) {
        said.entry(name).or_default().push(complaint);
    }
    said
}

/// Whether the program named the difference: each property, or the component that it stands in, for this very UID.
fn is_explained(uid: &str, names: &str, said: &[&str], rejected: &[Value]) -> bool {
    let about = if uid.is_empty() { String::new() } else { format!("UID {uid}: ") };
    let says = |name: &str| {
        let start = format!("{name} ").replace('_', "-");
        let mut mine = said.iter().filter_map(|complaint| complaint.strip_prefix(&about));
        mine.any(|complaint| complaint.replace('_', "-").starts_with(&start))
    };
    if names == "missing" {
        let mut uids = rejected.iter().filter_map(|one| one["uid"].as_str());
        return says("UID") || uids.any(|known| known.trim() == uid || (uid.is_empty() && known.starts_with(DERIVED)));
    }
    let derived =
        |name: &str| uid.is_empty() && name == "UID" && said.iter().any(|line| line.contains(": UID is missing"));
    names.split(',').all(|name| derived(name) || name.split('.').any(says))
}
