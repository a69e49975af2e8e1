//! What `check` prints for valid and invalid configurations.

use std::fs::{Permissions, create_dir, set_permissions, write};
use std::path::PathBuf;

use super::*;
use crate::config::{Environment, Where, load};

/// A folder with its own configuration and state folder.
struct Case(tempfile::TempDir);

impl Case {
    fn new(config: &str) -> Case {
        let case = Case(tempfile::tempdir().unwrap());
        create_dir(case.path("state")).unwrap();
        case.set_mode("state", 0o700);
        case.file("config.toml", config, 0o600);
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn set_mode(&self, name: &str, mode: u32) {
        set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    fn file(&self, name: &str, text: &str, mode: u32) {
        write(self.path(name), text).unwrap();
        self.set_mode(name, mode);
    }

    /// What is printed, without the folder of the test, and the exit code.
    fn check(&self) -> (String, u8) {
        let arguments = Where {
            config: Some(self.path("config.toml")),
            state: Some(self.path("state/state.db")),
            ..Where::default()
        };
        let (text, code) = check(&load(&arguments, &Environment::default(), None));
        (text.replace(&format!("{}/", self.0.path().display()), ""), code)
    }

    /// The problems and warnings.
    fn complaints(&self) -> (Vec<String>, u8) {
        let (text, code) = self.check();
        let is_complaint = |line: &&str| line.starts_with("problem: ") || line.starts_with("warning: ");
        (text.lines().filter(is_complaint).map(str::to_owned).collect(), code)
    }
}

const SERVER: &str = "[server]\nurl = \"https://dav.example.org/\"\nuser = \"alice\"\npassword_file = \"password\"\n";

fn subscription(source: &str, target: &str) -> String {
    format!("[[subscription]]\nname = \"work\"\nsource = \"{source}\"\ntarget = \"{target}\"\n")
}

fn with_server(lines: &str) -> Case {
    Case::new(&format!("{SERVER}{lines}{}", subscription("https://feeds.example.org/a.ics", "work")))
}

#[test]
fn a_configuration_in_order_is_told_line_by_line() {
    let case = with_server("");
    case.file("password", "hunter2\n", 0o600);
    let expected = "\
configuration: config.toml
state: state/state.db
server default: https://dav.example.org/ as alice, password from file password
subscription work: from https://feeds.example.org/… to work on https://dav.example.org/
no problem found
";
    assert_eq!(case.check(), (expected.to_owned(), 0));
    assert_eq!(std::fs::read_dir(case.path("state")).unwrap().count(), 0);
}

#[test]
fn every_mistake_of_the_file_comes_first_and_exits_with_78() {
    let (text, code) = Case::new("jobs = 0\nfoo = 1\n").check();
    let starts: Vec<&str> = text.lines().map(|line| line.get(..26).unwrap_or(line)).collect();
    assert_eq!(starts, ["problem: config.toml:1: jo", "problem: config.toml:2: fo", "2 problems found"]);
    assert_eq!(code, 78);
}

#[test]
fn a_secret_file_that_others_can_read_exits_with_77() {
    let case = with_server("");
    case.file("password", "hunter2\n", 0o644);
    let (complaints, code) = case.complaints();
    assert_eq!((complaints.len(), code), (1, 77));
    assert!(
        complaints[0].starts_with("problem: server default: ") && complaints[0].contains("chmod"),
        "{complaints:?}"
    );
}

#[test]
fn missing_files_exit_with_78() {
    let case = with_server("tls_ca = \"ca.pem\"\n");
    case.file("password", "hunter2\n", 0o600);
    let ca = "problem: server default: cannot read ca.pem (`tls_ca`): No such file or directory (os error 2)";
    assert_eq!(case.complaints(), (vec![ca.to_owned()], 78));
    let feed = "problem: subscription work: the feed a.ics cannot be read: No such file or directory (os error 2)";
    assert_eq!(Case::new(&subscription("a.ics", "dir:out")).complaints(), (vec![feed.to_owned()], 78));
}

#[test]
fn certificates_are_read_as_a_connection_would_and_so_are_those_of_a_feed() {
    let lines = "tls_cert = \"cert.pem\"\n";
    let case = Case::new(&format!("{}{lines}", subscription("https://feeds.example.org/a.ics", "dir:out")));
    case.file("cert.pem", "none", 0o600);
    let problem = "problem: subscription work: cert.pem (`tls_cert`) holds no certificate in PEM form";
    assert_eq!(case.complaints(), (vec![problem.to_owned()], 78));
}

#[test]
fn a_feed_that_is_a_folder_and_a_target_that_is_a_file_are_problems() {
    let case = Case::new(&subscription("state", "dir:a.ics"));
    case.file("a.ics", "", 0o600);
    let expected = [
        "problem: subscription work: the feed state cannot be read: is a directory",
        "problem: subscription work: the target a.ics cannot be written to: Not a directory (os error 20)",
    ];
    assert_eq!(case.complaints(), (expected.map(str::to_owned).to_vec(), 78));
}

#[test]
fn a_missing_target_folder_that_can_be_made_is_fine() {
    let case = Case::new(&subscription("-", "dir:new/folder"));
    assert_eq!(case.complaints(), (Vec::new(), 0));
    assert!(!case.path("new").exists());
}

#[test]
fn a_command_that_fails_is_told_with_its_words() {
    let server = "[server]\nurl = \"https://dav.example.org/\"\nuser = \"u\"\npassword_command = [\"false\"]\n";
    let case = Case::new(&format!("{server}{}", subscription("-", "work")));
    let expected = "problem: server default: the secret command false failed (exit status: 1): it said nothing";
    assert_eq!(case.complaints(), (vec![expected.to_owned()], 78));
}

#[test]
fn the_secret_of_a_feed_is_tried_too() {
    let lines = "source_token_file = \"token\"\n";
    let case = Case::new(&format!("{}{lines}", subscription("https://feeds.example.org/a.ics", "dir:out")));
    let (complaints, code) = case.complaints();
    assert_eq!((complaints.len(), code), (1, 78));
    assert!(
        complaints[0].starts_with("problem: subscription work: cannot read the secret file token"),
        "{complaints:?}"
    );
}

#[test]
fn everyone_may_read_a_configuration_unless_a_feed_address_looks_secret() {
    let warned = |address: &str, mode: u32| {
        let case = Case::new(&subscription(address, "dir:out"));
        case.set_mode("config.toml", mode);
        let (complaints, code) = case.complaints();
        assert_eq!(code, 0);
        complaints
            == [
                "warning: everyone can read config.toml, and the feed address of work looks like a secret: chmod o-r config.toml",
            ]
    };
    for secret in ["https://h/private-0123456789abcdef/basic.ics", "https://h/a.ics?token=t", "https://u:p@h/a.ics"] {
        assert!(warned(secret, 0o644) && !warned(secret, 0o640), "{secret}");
    }
    assert!(!warned("https://h/holidays/de.ics", 0o644));
}

#[test]
fn an_open_state_folder_and_an_unencrypted_server_are_warned_of() {
    let case =
        Case::new("[server]\nurl = \"http://dav.example.org/\"\nuser = \"u\"\npassword_command = [\"echo\", \"x\"]\n");
    case.set_mode("state", 0o755);
    let expected = [
        "warning: config.toml: subscription: is missing, so there is nothing to mirror",
        "warning: others can look into the state folder state: chmod o-rwx state",
        "warning: server default: what is sent to http://dav.example.org/ is not encrypted",
    ];
    assert_eq!(case.complaints(), (expected.map(str::to_owned).to_vec(), 0));
}

#[test]
fn a_configuration_problem_wins_over_a_refusal() {
    let case = with_server("tls_ca = \"ca.pem\"\n");
    case.file("password", "hunter2\n", 0o666);
    let (complaints, code) = case.complaints();
    assert_eq!((complaints.len(), code), (2, 78));
}
