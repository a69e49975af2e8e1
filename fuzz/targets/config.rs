//! Configuration files: each is settled or told what is wrong with it, with lines that are there.
#![no_main]

use std::cell::RefCell;
use std::path::Path;

use baikal_sync::config::{Environment, Where, load};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

thread_local! {
    static FOLDER: RefCell<TempDir> = RefCell::new(TempDir::new().expect("a temporary folder"));
}

fuzz_target!(|text: &[u8]| FOLDER.with_borrow(|folder| read(folder.path(), text)));

fn read(folder: &Path, text: &[u8]) {
    let file = folder.join("config.toml");
    std::fs::write(&file, text).expect("a file");
    let environment = Environment::new([("HOME", "/home/alice")], "/");
    match load(&Where { config: Some(file), state: None, profile: None }, &environment, None) {
        Ok(config) => assert!(config.jobs > 0 && config.state.is_absolute()),
        Err(problems) => {
            assert!(!problems.is_empty());
            let lines = text.iter().filter(|octet| **octet == b'\n').count() + 1;
            assert!(problems.iter().all(|problem| problem.line.is_none_or(|line| (1..=lines).contains(&line))));
            problems.iter().for_each(|problem| assert!(!problem.to_string().is_empty()));
        }
    }
}
