//! The house rules: layers, purity, one crate in one file, length, first lines, and what must not be left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The modules of each layer, lowest first; imports go downward or sideways.
const LAYERS: &[(&str, &[&str])] = &[
    ("words", &["words", "model"]),
    ("core", &["auth", "dav", "ics", "plan", "report"]),
    ("edges", &["config", "db", "files", "http", "signal"]),
    ("adapters", &["collection", "feed"]),
    ("conductor", &["sync"]),
    ("shell", &["cli", "commands", "exit", "lib", "main"]),
];

/// What would let the world into the core.
const IMPURE: &[&str] = &["std::fs", "std::net", "std::env", "SystemTime", "Instant", "ureq", "rusqlite"];

/// Crates and the one file or folder that may name each. `""`: any file, but one only.
const HOMES: &[(&str, &str)] = &[
    ("ureq", "http"),
    ("rusqlite", "db/"),
    ("ical", "ics/property.rs"),
    ("roxmltree", "dav/xml.rs"),
    ("jiff", "words/time/"),
    ("url", "words/url.rs"),
    ("rrule", "ics/time/recurrence.rs"),
    ("toml", ""),
    ("toml_edit", "config/edit.rs"),
    ("encoding_rs", ""),
    ("http_auth", ""),
    ("signal_hook", ""),
    ("indicatif", ""),
    ("clap_complete", ""),
    ("sha2", "words/digest.rs"),
    ("rustls_native_certs", ""),
];

/// A file of the project: its path from `src/` or from the root, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The file without comments and without its tests, which may use what they like.
    fn code(&self) -> String {
        if self.path.ends_with("tests.rs") || self.path.contains("/tests/") {
            return String::new();
        }
        let code = self.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn module(&self) -> &str {
        self.path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    /// `ics/time/mod.rs` is `ics::time`.
    fn path_of_module(&self) -> Vec<String> {
        let path = self.path.trim_end_matches(".rs").trim_end_matches("/mod");
        path.split('/').map(str::to_owned).collect()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder of the project, with paths from that folder.
fn sources(folder: &str) -> Vec<Source> {
    let base = root().join(folder);
    let mut folders = vec![base.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push(Source { path: path.strip_prefix(&base).unwrap().display().to_string(), text });
            }
        }
    }
    assert!(!found.is_empty(), "no Rust files in {folder}");
    found
}

fn all_sources() -> impl Iterator<Item = Source> {
    sources("src").into_iter().chain(sources("tests"))
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|(_, modules)| modules.contains(&module))
}

/// Fails with every complaint at once.
#[track_caller]
fn check(complaints: impl IntoIterator<Item = String>) {
    let complaints: Vec<String> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// The modules of the crate that a text names: `crate::a::B`, `use crate::{a::B, c}`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        let rest = &code[at + path.len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(heads_of_group(group)),
            None => names.extend(words(rest).next()),
        }
    }
    names
}

/// The first word of each item of `a::{B, C}, d::E}`.
fn heads_of_group(group: &str) -> Vec<String> {
    let (mut depth, mut items) = (0_usize, vec![String::new()]);
    for letter in group.chars() {
        match letter {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(String::new()),
            _ if depth == 0 => items.last_mut().unwrap().push(letter),
            _ => {}
        }
    }
    items.iter().filter_map(|item| words(item.trim()).next()).collect()
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').take(1).map(str::to_owned)
}

/// Whether a text names an outside crate: `name::` that is no part of a longer path or word, nor of an import of ours.
fn names_crate(code: &str, name: &str) -> bool {
    let wanted = format!("{name}::");
    let in_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(&wanted).any(|(at, _)| {
        let before = &code[..at];
        let statement = before.rsplit(';').next().unwrap_or_default();
        let path = before.strip_suffix("::").unwrap_or(before);
        !path.ends_with(in_word) && !statement.contains("use crate::{")
    })
}

#[test]
fn imports_go_downward_only() {
    check(sources("src").iter().flat_map(|source| {
        let own = layer(source.module());
        let code = source.code();
        imports(&code).into_iter().filter_map(move |module| match (own, layer(&module)) {
            (None, _) => Some(format!("{}: say in tests/it/tidy.rs to which layer it belongs", source.path)),
            (Some(own), Some(other)) if other > own => {
                Some(format!("{}, of the {}, imports {module}, of the {}", source.path, LAYERS[own].0, LAYERS[other].0))
            }
            _ => None,
        })
    }));
}

/// The path of each module that a file names, from the root of the crate; `super` is resolved.
fn named_modules(source: &Source) -> Vec<Vec<String>> {
    let own = source.path_of_module();
    let code = source.code();
    let mut found = Vec::new();
    for root in ["crate", "super"] {
        for (at, _) in code.match_indices(&format!("{root}::")) {
            let before = &code[..at];
            if before.ends_with("::") || before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_') {
                continue;
            }
            let path = code[at..].split(|letter: char| !letter.is_alphanumeric() && !":_".contains(letter)).next();
            let mut resolved = if root == "super" { own.clone() } else { Vec::new() };
            for part in path.unwrap_or_default().split("::").filter(|part| !part.is_empty()) {
                match part {
                    "crate" => {}
                    "super" => drop(resolved.pop()),
                    name => resolved.push(name.to_owned()),
                }
            }
            found.push(resolved);
        }
    }
    found
}

/// The modules of one folder that stand on each other, directly or not.
fn circle(uses: &BTreeMap<String, BTreeSet<String>>) -> Option<String> {
    let in_circle: Vec<&str> =
        uses.keys().filter(|module| reached(uses, module).contains(*module)).map(String::as_str).collect();
    (!in_circle.is_empty()).then(|| in_circle.join(", "))
}

fn reached<'u>(uses: &'u BTreeMap<String, BTreeSet<String>>, start: &'u String) -> BTreeSet<&'u String> {
    let (mut open, mut seen) = (vec![start], BTreeSet::new());
    while let Some(module) = open.pop() {
        open.extend(uses.get(module).into_iter().flatten().filter(|next| seen.insert(*next)));
    }
    seen
}

#[test]
fn no_modules_of_a_folder_stand_on_each_other() {
    let mut folders: BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for source in sources("src") {
        let own = source.path_of_module();
        for named in named_modules(&source) {
            let shared = own.iter().zip(&named).take_while(|(one, other)| one == other).count();
            let (Some(from), Some(to)) = (own.get(shared), named.get(shared)) else { continue };
            // What a module itself holds is no file beside it.
            if to.chars().all(|letter| !letter.is_uppercase()) {
                let folder = folders.entry(own[..shared].to_vec()).or_default();
                folder.entry(from.clone()).or_default().insert(to.clone());
            }
        }
    }
    check(folders.iter().filter_map(|(folder, uses)| {
        Some(format!("in src/{} these import each other in a circle: {}", folder.join("/"), circle(uses)?))
    }));
}

#[test]
fn a_module_with_files_of_its_own_is_the_mod_rs_of_its_folder() {
    let base = root().join("src");
    check(sources("src").iter().filter_map(|Source { path, .. }| {
        let folder = path.strip_suffix(".rs")?;
        base.join(folder).is_dir().then(|| format!("src/{path} belongs to src/{folder}/mod.rs"))
    }));
}

/// Whether a text makes a value of this name; a pattern ends in `..` or is followed by what it is matched with.
fn makes(code: &str, name: &str) -> bool {
    code.match_indices(&format!("{name} {{")).any(|(at, found)| {
        let inside = &code[at + found.len()..];
        let Some(end) = inside.find('}') else { return false };
        let is_pattern = inside[..end].trim_end().ends_with("..")
            || ["=", "|"].iter().any(|sign| inside[end + 1..].trim_start_matches([')', ' ', '\n']).starts_with(sign));
        let is_definition = code[..at].trim_end().ends_with("struct") || code[..at].trim_end().ends_with("impl");
        !is_pattern && !is_definition
    })
}

#[test]
fn only_the_plan_decides_about_a_write_and_only_the_executor_sends_it() {
    let senders = ["sync/execute.rs", "sync/forget.rs"];
    let conductors = |source: &&Source| ["sync/", "commands/", "report/"].iter().any(|it| source.path.starts_with(it));
    check(sources("src").iter().filter(conductors).flat_map(|source| {
        let (code, path) = (source.code(), &source.path);
        let made = ["Delete", "Put::Create", "Put::Update"].into_iter().filter(|name| makes(&code, name));
        let made: Vec<String> = made.map(|name| format!("{path} makes a {name}, which is for the plan")).collect();
        let sends = ["collection.put(", "collection.delete("].iter().any(|call| code.contains(call));
        let sent = (sends && !senders.contains(&path.as_str())).then(|| format!("{path} sends a write"));
        made.into_iter().chain(sent)
    }));
    assert!(makes("x(Delete { key, href })", "Delete") && makes("Delete { etag, ..other.clone() }", "Delete"));
    assert!(!makes("let Delete { key } = x;", "Delete") && !makes("Write::Put(Put::Update { .. }) =>", "Put::Update"));
}

#[test]
fn the_core_and_the_words_let_no_world_in() {
    check(sources("src").iter().flat_map(|source| {
        let pure = layer(source.module()) == layer("plan");
        let code = source.code();
        let named = IMPURE.iter().filter(move |name| pure && code.contains(**name));
        named.map(|name| format!("{} is pure and names {name}", source.path))
    }));
}

#[test]
fn one_crate_is_named_in_one_place() {
    let sources = sources("src");
    check(HOMES.iter().flat_map(|(name, home)| {
        let places: BTreeSet<&str> = sources
            .iter()
            .filter(|source| names_crate(&source.code(), name))
            .map(|source| source.path.as_str())
            .collect();
        let strangers: Vec<&str> = places.iter().copied().filter(|path| !path.starts_with(home)).collect();
        let complaint = if home.is_empty() && places.len() > 1 {
            Some(format!("{name} is named in {places:?}"))
        } else {
            (!strangers.is_empty()).then(|| format!("{name} belongs to {home} and is named in {strangers:?}"))
        };
        complaint.into_iter()
    }));
}

#[test]
fn a_file_fits_in_the_head_and_says_first_what_it_is_for() {
    check(all_sources().flat_map(|Source { path, text }| {
        let lines = text.lines().count();
        let long = (lines > 600).then(|| format!("{path} has {lines} lines; 600 are the limit"));
        let silent = (!text.starts_with("//! ")).then(|| format!("{path} does not begin with a //! comment"));
        long.into_iter().chain(silent)
    }));
}

#[test]
fn nothing_unfinished_is_left_behind() {
    let marks = [
        concat!("to", "do!"),
        concat!("dbg", "!("),
        concat!("#[", "ignore"),
        concat!("FIX", "ME"),
        concat!("un", "implemented!"),
    ];
    check(all_sources().flat_map(|Source { path, text }| {
        marks.into_iter().filter(move |mark| text.contains(mark)).map(move |mark| format!("{path} holds {mark}"))
    }));
}

#[test]
fn the_changelog_is_open_and_its_newest_release_is_this_version() {
    let changelog = std::fs::read_to_string(root().join("CHANGELOG.md")).expect("CHANGELOG.md");
    let mut sections = changelog.lines().filter_map(|line| line.strip_prefix("## ["));
    assert_eq!(sections.next(), Some("Unreleased]"), "the first section collects what is to come");
    let newest = sections.next().and_then(|section| section.split(']').next());
    // Before the first release there is none.
    let version = env!("CARGO_PKG_VERSION");
    assert!(newest.is_none_or(|newest| newest == version), "{newest:?} is the newest section, {version} the version");
}

#[test]
fn the_rules_themselves_see_what_they_look_for() {
    let code =
        "use crate::{error::{Kind, fault}, http, model::Key};\nuse crate::plan::Op;\nlet a = crate::words::time::DAY;";
    assert_eq!(imports(code), ["error", "http", "model", "plan", "words"].map(str::to_owned).into());
    let uses = ["use url::Url;", "let u: url::Url;", "::url::Url", "x(url::Url)"];
    assert!(uses.iter().all(|code| names_crate(code, "url")));
    let others =
        ["use crate::words::url::Url;", "use crate::{http, url::Url};", "curl::Easy", "my_url::X", "super::url::Url"];
    assert!(others.iter().all(|code| !names_crate(code, "url")));
}
