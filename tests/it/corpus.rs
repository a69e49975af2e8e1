//! Every file of the corpus of real feeds, mirrored into folders, and real feeds through their history.

use std::path::Path;

use crate::env::{Env, folder, subscription};
use crate::judged::{Corpus, reports};

#[test]
fn every_real_feed_is_mirrored_whole_or_listed_with_its_reason() {
    let Some(corpus) = Corpus::found() else { return };
    let folder = folder();
    let target = |number: usize| folder.path().join(format!("f{number}"));
    let state = folder.path().join("state.db").display().to_string();
    let subscriptions = corpus.subscriptions(|number| format!("dir:{}", target(number).display()));
    let env = Env::with_config(&format!("jobs = 8\nstate = {state:?}\n{subscriptions}"));
    let ran = env.run(&["-v", "run", "--json"]).exits(3);
    let again = env.run(&["run", "--json"]);
    let [whole, mended, refused] = corpus.judge([&ran, &ran, &again], "folder", target);
    eprintln!("{whole} feeds whole, {mended} with repairs, {refused} refused or not whole");
}

/// The versions of a feed in their order, by the folder that holds them.
fn histories(corpus: &Corpus) -> Vec<Vec<&str>> {
    let mut histories: Vec<Vec<&str>> = Vec::new();
    for file in corpus.files.iter().filter(|file| file.contains("/@history/")) {
        let folder = Path::new(file).parent();
        match histories.last_mut().filter(|versions| Path::new(versions[0]).parent() == folder) {
            Some(versions) => versions.push(file),
            None => histories.push(vec![file]),
        }
    }
    histories
}

#[test]
fn a_real_feed_costs_as_many_writes_as_objects_changed() {
    let Some(corpus) = Corpus::found() else { return };
    for versions in histories(&corpus) {
        let env = Env::new();
        let source = env.path("feed.ics");
        let keys = "max_delete = \"100%\"\non_empty = \"accept\"";
        let target = format!("dir:{}", env.path("mirror").display());
        env.set_config(&subscription(source.to_str().unwrap(), &target, keys));
        let mut writes = String::new();
        // No feed of the corpus issues other UIDs at every fetch, as some do, so the last version comes once more in that way.
        let mut paths: Vec<_> = versions.iter().map(|version| corpus.path(version)).collect();
        let last = String::from_utf8(std::fs::read(&paths[paths.len() - 1]).unwrap()).unwrap();
        paths.push(env.file("renamed.ics", last.replace("\nUID:", "\nUID:other-")));
        for path in &paths {
            std::fs::copy(path, &source).unwrap();
            let report = reports(&env.run(&["run", "--json"]).exits(0)).remove(0);
            let count = |field: &str| report[field].as_u64().unwrap();
            writes += &format!("{} {} {} {}\n", count("created"), count("updated"), count("deleted"), count("renamed"));
        }
        let arguments: Vec<&str> =
            std::iter::once("changes").chain(paths.iter().map(|path| path.to_str().unwrap())).collect();
        let (_, after_the_first) = writes.split_once('\n').unwrap();
        assert!(writes.trim_end().lines().last().unwrap().starts_with("0 0 0 "), "{writes}");
        assert_eq!(after_the_first, corpus.ask(&arguments, ""), "added, changed, removed, renamed in {versions:#?}");
        eprintln!("{}: created, updated, deleted, renamed\n{writes}", versions[0]);
    }
}
