//! The corpus of real feeds into real servers, one calendar for each file. `BAIKAL_SYNC_CORPUS_ALL=1` takes every file,
//! which needs many minutes; otherwise it is every eighth.

use std::path::Path;

use tempfile::TempDir;

use crate::env::{Env, Ran, server};
use crate::judged::{Corpus, reports, written};
use crate::server::{Server, root, with};

const EVERY: usize = 8;
/// Files with placeholders for dates. sabre/dav 1.8 crashes on each, which is tried again for seconds.
const TEMPLATES: &str = "apple+ccs-";

#[test]
fn every_real_feed_arrives_in_radicale_or_is_listed_with_its_reason() {
    with("RADICALE", |to| {
        // Radicale keeps each object in a file of its own, so that no request stands between it and the reader.
        let storage = root().join("target/live/run/storage/radicale/collection-root/alice");
        arrives(to, "radicale", &storage, |_| true, |_| {});
    });
}

#[test]
fn every_real_feed_arrives_in_sabre_or_is_listed_with_its_reason() {
    with("SABRE", |to| {
        let storage = TempDir::new().unwrap();
        let database = root().join("target/live/run/storage/sabre.sqlite").display().to_string();
        let folder = storage.path().display().to_string();
        let read_back = |corpus: &Corpus| {
            corpus.ask(&["stored", &database, &folder], "");
        };
        arrives(to, "sabre", storage.path(), |file| !file.starts_with(TEMPLATES), read_back);
    });
}

/// Mirrors the files that are wanted, twice more as it is, and once without its state. `storage` holds a folder for each
/// calendar when `read_back` is done.
fn arrives(to: &Server, name: &str, storage: &Path, is_wanted: impl Fn(&str) -> bool, read_back: impl Fn(&Corpus)) {
    let Some(mut corpus) = Corpus::found() else { return };
    corpus.files.retain(|file| is_wanted(file));
    if std::env::var_os("BAIKAL_SYNC_CORPUS_ALL").is_none() {
        corpus.files = corpus.files.into_iter().step_by(EVERY).collect();
    }
    let paths: Vec<String> = corpus.files.iter().map(|_| to.fresh_calendar().path).collect();
    let user = to.user.as_deref().expect("a server with a login");
    let server = server(&format!("{}/", to.origin), user, &to.password_file);
    let subscriptions = corpus.subscriptions(|number| paths[number].clone());
    let env = Env::with_config(&format!("jobs = 8\n{server}{subscriptions}"));
    let ran = env.run(&["-v", "run", "--json"]).exits(3);
    // That an event is refused which is the only one of its feed is known after three tries.
    let [second, third] = [(); 2].map(|()| env.run(&["run", "--force", "--json"]));
    let writes = |run: &Ran| -> u64 { reports(run).iter().map(written).sum() };
    assert_eq!([&second, &third].map(writes), [0; 2], "writes of later runs");
    env.forget_state();
    let without_state = env.run(&["run", "--json"]);
    read_back(&corpus);
    let calendar = |number: usize| storage.join(paths[number].trim_end_matches('/').rsplit('/').next().unwrap());
    let [whole, mended, refused] = corpus.judge([&ran, &third, &without_state], name, calendar);
    eprintln!("{name}: {whole} feeds whole, {mended} with repairs, {refused} refused or not whole");
}
