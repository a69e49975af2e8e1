//! README, man pages and samples against the program: what is promised in words is there, and what is there is told.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::env::Env;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A man page as its reader sees the words: `\-` is a hyphen, `Fl \-json` is `--json`.
fn man(path: &str) -> String {
    read(path).replace("\\-", "-").replace("\\&", "")
}

fn help(arguments: &[&str]) -> String {
    Env::new().run(&[arguments, &["--help"]].concat()).exits(0).stdout
}

/// The subcommands that `--help` lists.
fn subcommands() -> Vec<String> {
    let help = help(&[]);
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // Continuation lines of a long description are indented further.
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<String> = names.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect();
    assert!(names.iter().any(|name| name == "run"), "{help}");
    names
}

/// The long flags of the program and of every subcommand, without their two hyphens.
fn long_flags() -> BTreeSet<String> {
    let mut flags = BTreeSet::new();
    for command in std::iter::once(None).chain(subcommands().into_iter().map(Some)) {
        let help = help(&command.as_deref().into_iter().collect::<Vec<_>>());
        let options = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
        let words = options.flat_map(|line| line.split([' ', ',', '=', '[']));
        flags.extend(
            words.filter_map(|word| word.strip_prefix("--")).filter(|flag| !flag.is_empty()).map(str::to_owned),
        );
    }
    assert!(flags.len() > 5, "{flags:?}");
    flags
}

/// The exit codes that `--help` lists.
fn exit_codes() -> Vec<u32> {
    let help = help(&[]);
    let (_, table) = help.split_once("EXIT CODES:").unwrap_or_else(|| panic!("no exit codes in\n{help}"));
    table.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

/// The words of a page that stand alone, so that `--full` is not found in `--fullness`.
fn words(page: &str) -> BTreeSet<&str> {
    page.split(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != '-').collect()
}

#[track_caller]
fn check_told(page: &str, wanted: impl IntoIterator<Item = String>) {
    let text = man(page);
    let words = words(&text);
    let missing: Vec<String> = wanted.into_iter().filter(|word| !words.contains(word.as_str())).collect();
    assert!(missing.is_empty(), "{page} does not tell {missing:?}");
}

/// Files of the packaging that are configurations.
fn samples() -> Vec<PathBuf> {
    let mut folders = vec![root().join("packaging")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                found.push(path);
            }
        }
    }
    found
}

/// The code blocks of the README.
fn readme_blocks() -> String {
    read("README.md").split("```").skip(1).step_by(2).collect()
}

#[test]
fn the_man_page_tells_every_command_flag_and_exit_code() {
    check_told("man/baikal-sync.1", subcommands());
    check_told("man/baikal-sync.1", exit_codes().iter().map(ToString::to_string));
    // mdoc writes `Fl -json` for `--json`.
    let text = man("man/baikal-sync.1");
    let words = words(&text);
    let missing: Vec<String> = long_flags()
        .into_iter()
        .filter(|flag| !words.contains(format!("-{flag}").as_str()) && !words.contains(format!("--{flag}").as_str()))
        .collect();
    assert!(missing.is_empty(), "man/baikal-sync.1 does not tell {missing:?}");
}

#[test]
fn the_man_page_tells_every_variable_of_the_environment() {
    let names = [
        "BAIKAL_SYNC_CONFIG",
        "BAIKAL_SYNC_STATE",
        "ICS_URL",
        "BAIKAL_URL",
        "BAIKAL_USER",
        "BAIKAL_PASS",
        "BAIKAL_PASS_FILE",
        "SYNC_FREQUENCY",
        "CALENDAR_ID",
    ];
    check_told("man/baikal-sync.1", names.map(str::to_owned));
}

#[test]
fn mandoc_finds_no_fault_in_the_man_pages() {
    for page in ["man/baikal-sync.1", "man/baikal-sync.toml.5"] {
        let output = Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(root().join(page)).output();
        let Ok(output) = output else {
            eprintln!("mandoc is not installed: the man pages are not judged");
            assert!(std::env::var_os("CI").is_none(), "mandoc is missing");
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.trim().is_empty(), "{said}");
    }
}

#[test]
fn the_commands_and_flags_of_the_readme_exist() {
    let (commands, flags) = (subcommands(), long_flags());
    let blocks = readme_blocks();
    let calls: Vec<&str> =
        blocks.lines().filter_map(|line| line.trim().trim_start_matches("$ ").strip_prefix("baikal-sync ")).collect();
    assert!(calls.len() >= 2, "the README shows how the program is called");
    for call in calls {
        let words: Vec<&str> = call.split('#').next().unwrap_or_default().split_whitespace().collect();
        let known = |word: &&str| flags.contains(word.trim_start_matches("--").split('=').next().unwrap_or_default());
        assert!(words.iter().any(|word| commands.iter().any(|command| command == word)), "no command in: {call}");
        assert!(words.iter().filter(|word| word.starts_with("--")).all(known), "an unknown flag in: {call}");
    }
}

#[test]
fn the_scripts_that_the_readme_names_exist() {
    let readme = read("README.md");
    assert!(readme.contains("tests/all"), "the README tells how the tests are run");
    assert!(root().join("tests/all").is_file() && root().join(".ci/run").is_file());
}

#[test]
fn the_sample_configurations_are_accepted() {
    let samples = samples();
    assert!(!samples.is_empty(), "there is a sample configuration");
    for sample in samples {
        let env = Env::new();
        let ran = env.run(&["--config", sample.to_str().unwrap(), "check"]);
        // A sample names secret files that are not here; that, and only that, may be missed.
        let about_secrets = ran.stderr.contains("password") || ran.stderr.contains("credential");
        assert!(ran.code == 0 || (ran.code != 64 && about_secrets && !ran.stderr.contains("unknown")), "{ran}");
    }
}
