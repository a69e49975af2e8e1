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
        // `--verbose...` can be given more than once.
        let names = words.filter_map(|word| word.strip_prefix("--")).map(|word| word.trim_end_matches('.'));
        flags.extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
    }
    assert!(flags.len() > 5, "{flags:?}");
    flags
}

/// What stands between quotes in the source below a folder and can only be the name of a variable of the environment.
fn variables_in(folder: &str) -> BTreeSet<String> {
    let is_variable = |word: &&str| {
        let is_shouted = word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        is_shouted && word.len() > 3 && !word.ends_with('_')
    };
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(root().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let text = std::fs::read_to_string(&path).unwrap();
            names.extend(text.split('"').filter(is_variable).map(str::to_owned));
        }
    }
    names
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

/// The code blocks of a Markdown file: what follows the opening fence, and the lines.
fn blocks(text: &str) -> Vec<(String, Vec<String>)> {
    let fenced = text.split("```").skip(1).step_by(2);
    let block = |block: &str| {
        let mut lines = block.lines().map(str::to_owned);
        (lines.next().unwrap_or_default(), lines.collect())
    };
    fenced.map(block).collect()
}

/// What is wrong with a command that the README shows.
fn mistake(line: &str, commands: &[String], flags: &BTreeSet<String>) -> Option<String> {
    let line = line.split(" #").next().unwrap_or_default().trim().trim_start_matches("$ ").trim_start_matches("sudo ");
    let words: Vec<&str> = line.split_whitespace().collect();
    let program = words.first()?;
    if let Some(path) = program.strip_prefix("./") {
        let is_there = root().join(path).is_file() || path.starts_with("target/");
        return (!is_there).then(|| format!("{path} is not there"));
    }
    if *program != "baikal-sync" {
        return None;
    }
    let known = |word: &str| flags.contains(word.trim_start_matches("--").split('=').next().unwrap_or_default());
    if !words.iter().any(|word| commands.iter().any(|command| command == word) || *word == "--help") {
        return Some(format!("no command in: {line}"));
    }
    let unknown = words.iter().find(|word| word.starts_with("--") && !known(word));
    unknown.map(|word| format!("{word} is unknown in: {line}"))
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
    let names = variables_in("src/config").into_iter().chain(variables_in("src/commands")).collect::<BTreeSet<_>>();
    assert!(names.contains("ICS_URL") && names.contains("NO_COLOR"), "{names:?}");
    check_told("man/baikal-sync.1", names);
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
fn the_commands_that_the_readme_shows_exist() {
    let (commands, flags) = (subcommands(), long_flags());
    let blocks = blocks(&read("README.md"));
    let shown = blocks.iter().filter(|(kind, _)| matches!(kind.as_str(), "" | "sh" | "shell" | "console" | "bash"));
    let lines: Vec<&String> = shown.flat_map(|(_, lines)| lines).filter(|line| !line.trim().is_empty()).collect();
    assert!(lines.iter().any(|line| line.contains("./tests/all")), "the README tells how everything is tested");
    let mistakes: Vec<String> = lines.iter().filter_map(|line| mistake(line, &commands, &flags)).collect();
    assert!(mistakes.is_empty(), "{mistakes:#?}");
}

#[test]
fn a_mistake_in_the_readme_would_be_seen() {
    let (commands, flags) = (["run".to_owned()], BTreeSet::from(["full".to_owned()]));
    let mistake = |line| mistake(line, &commands, &flags).is_some();
    assert!(mistake("baikal-sync rum") && mistake("baikal-sync run --ful") && mistake("./tests/everything"));
    assert!(!mistake("$ baikal-sync run work --full # all of it") && !mistake("./tests/all") && !mistake("crontab -e"));
}

#[test]
fn the_manual_of_the_configuration_tells_every_key() {
    check_told("man/baikal-sync.toml.5", baikal_sync::config::keys().into_iter().map(str::to_owned));
}

#[test]
fn the_sample_configurations_are_accepted() {
    let readme = read("README.md");
    let in_readme = blocks(&readme).into_iter().filter(|(kind, _)| kind == "toml").map(|(_, lines)| lines.join("\n"));
    let packaged = samples().into_iter().map(|path| std::fs::read_to_string(path).unwrap());
    let samples: Vec<String> = in_readme.chain(packaged).collect();
    assert!(!samples.is_empty(), "there is a sample configuration");
    for sample in samples {
        let env = Env::with_config(&sample);
        let ran = env.run(&["check"]);
        // A sample names secret files and folders that are not here; that, and only that, may be missed.
        let told = ran.stdout.clone() + &ran.stderr;
        let unknown = ["unknown", "not a duration", "allowed:"].iter().any(|word| told.contains(word));
        assert!(!unknown && matches!(ran.code, 0 | 77 | 78), "{ran}");
    }
}
