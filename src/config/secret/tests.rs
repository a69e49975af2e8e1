//! Secrets from files, commands and credentials.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::words::error::{kind_of, sentence};

fn command(words: &[&str]) -> SecretSource {
    SecretSource::Command(words.iter().map(|word| (*word).to_owned()).collect())
}

fn shell(script: &str) -> SecretSource {
    command(&["sh", "-c", script])
}

/// The kind and message of a failed fetch.
fn refusal(source: &SecretSource) -> (Kind, String) {
    let error = source.fetch().unwrap_err();
    (kind_of(&error), sentence(&error))
}

fn configuration(message: &str) -> (Kind, String) {
    (Kind::Configuration, message.to_owned())
}

#[test]
fn the_output_of_a_command_is_the_secret_less_one_newline() {
    for (script, secret) in
        [("echo hunter2", "hunter2"), ("printf 'a\\n\\n'", "a\n"), ("printf 'b\\r\\n'", "b"), ("printf ' c '", " c ")]
    {
        assert_eq!(shell(script).fetch().unwrap().reveal(), secret, "{script}");
    }
}

#[test]
fn a_command_gets_no_shell_and_no_standard_input() {
    assert_eq!(command(&["printf", "%s", "$HOME;x"]).fetch().unwrap().reveal(), "$HOME;x");
    assert_eq!(shell("cat; echo end").fetch().unwrap().reveal(), "end");
}

#[test]
fn a_command_that_fails_says_why_in_one_line() {
    let said = "the secret command sh failed (exit status: 2): gpg: no key; gpg: sorry";
    assert_eq!(refusal(&shell("echo hunter2; echo 'gpg: no key\n\n gpg: sorry' >&2; exit 2")), configuration(said));
    let silent = "the secret command false failed (exit status: 1): it said nothing";
    assert_eq!(refusal(&command(&["false"])), configuration(silent));
}

#[test]
fn a_command_that_prints_nothing_or_is_not_there_is_a_mistake() {
    assert_eq!(refusal(&command(&["true"])), configuration("the secret command true printed nothing"));
    let (kind, message) = refusal(&command(&["/nowhere/pass", "show"]));
    assert_eq!(kind, Kind::Configuration);
    assert!(message.starts_with("cannot start the secret command /nowhere/pass: "), "{message}");
}

#[test]
fn a_command_that_fills_both_pipes_does_not_hang() {
    let script = "head -c 60000 /dev/zero | tr '\\0' e >&2; head -c 60000 /dev/zero | tr '\\0' s";
    assert_eq!(shell(script).fetch().unwrap().reveal().len(), 60_000);
}

#[test]
fn what_a_command_leaves_running_is_not_waited_for() {
    assert_eq!(shell("sleep 2 & echo hunter2").fetch().unwrap().reveal(), "hunter2");
}

#[test]
fn a_command_that_takes_too_long_is_killed() {
    let words = ["sleep", "3600"].map(str::to_owned);
    let error = run(&words, Duration::ZERO).unwrap_err();
    assert_eq!(sentence(&error), "the secret command sleep took longer than 0ns");
}

#[test]
fn a_credential_is_read_from_the_folder_of_systemd_whatever_its_permissions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dav");
    std::fs::write(&path, "hunter2\n").unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
    let credential = |directory| SecretSource::Credential { name: "dav".to_owned(), directory };
    assert_eq!(credential(Some(folder.path().to_owned())).fetch().unwrap().reveal(), "hunter2");
    let missing = "there is no credential dav: start from a systemd unit that has LoadCredential=dav:PATH";
    assert_eq!(refusal(&credential(None)), configuration(missing));
    assert_eq!(refusal(&SecretSource::File { path, credentials: None }).0, Kind::Refused);
}

#[test]
fn a_secret_source_prints_without_arguments_and_values() {
    let given = SecretSource::Value(Secret::new("hunter2"));
    let printed = [command(&["pass", "show", "dav"]), given].map(|source| source.to_string());
    assert_eq!(printed, ["command pass", "given value"]);
}
