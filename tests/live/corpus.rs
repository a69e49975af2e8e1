//! The corpus of real feeds into Radicale, one calendar for each file. `BAIKAL_SYNC_CORPUS_ALL=1` takes every file, which
//! needs many minutes; otherwise it is every eighth.

use std::path::PathBuf;

use crate::env::{Env, server};
use crate::judged::{Corpus, reports, written};
use crate::server::{Server, root, with};

const EVERY: usize = 8;

#[test]
fn every_real_feed_arrives_in_radicale_or_is_listed_with_its_reason() {
    with("RADICALE", |to| {
        let Some(mut corpus) = Corpus::found() else { return };
        if std::env::var_os("BAIKAL_SYNC_CORPUS_ALL").is_none() {
            corpus.files = corpus.files.into_iter().step_by(EVERY).collect();
        }
        arrives(to, &corpus);
    });
}

fn arrives(to: &Server, corpus: &Corpus) {
    // Radicale keeps each object in a file of its own, so that no request stands between it and the reader.
    let storage = root().join("target/live/run/radicale/collections/collection-root");
    let paths: Vec<String> = corpus.files.iter().map(|_| to.unused_path()).collect();
    let folder = |number: usize| -> PathBuf { storage.join(paths[number].trim_matches('/')) };
    for number in 0..paths.len() {
        std::fs::create_dir_all(folder(number)).unwrap();
        std::fs::write(folder(number).join(".Radicale.props"), "{\"tag\": \"VCALENDAR\"}").unwrap();
    }
    let user = to.user.as_deref().expect("a server with a login");
    let server = server(&format!("{}/", to.origin), user, &to.password_file);
    let subscriptions = corpus.subscriptions(|number| paths[number].clone());
    let env = Env::with_config(&format!("jobs = 2\n{server}{subscriptions}"));
    let ran = env.run(&["-v", "run", "--json"]).exits(3);
    let second: u64 = reports(&env.run(&["run", "--json"])).iter().map(written).sum();
    env.forget_state();
    let without_state = env.run(&["run", "--json"]);
    let [whole, mended, refused] = corpus.judge([&ran, &without_state], "radicale", folder);
    eprintln!("{whole} feeds whole, {mended} with repairs, {refused} refused or not whole");
    assert_eq!(second, 0, "writes of the second run");
}
