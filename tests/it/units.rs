//! The systemd units, judged by systemd itself, where its tool is installed.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::env::Env;

/// The units as an administrator installs them, with the program that was built here in the place of the installed one.
fn installed() -> TempDir {
    let folder = TempDir::new().unwrap();
    let packaged = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    for name in ["baikal-sync@.service", "baikal-sync@.timer"] {
        let unit = std::fs::read_to_string(packaged.join(name)).unwrap();
        let unit = unit.replace("/usr/bin/baikal-sync", env!("CARGO_BIN_EXE_baikal-sync"));
        std::fs::write(folder.path().join(name), unit).unwrap();
    }
    folder
}

/// What `systemd-analyze` says of the units; `None`, with a note, where it is not installed.
fn analyze(arguments: &[&str]) -> Option<(bool, String)> {
    let folder = installed();
    let output = Command::new("systemd-analyze").args(arguments).current_dir(folder.path()).output();
    let Ok(output) = output else {
        eprintln!("systemd-analyze is not installed: the units are not judged");
        assert!(std::env::var_os("CI").is_none(), "systemd-analyze is missing");
        return None;
    };
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

#[test]
fn systemd_finds_no_fault_in_the_units() {
    // The man pages are not installed where this runs.
    let verdict = analyze(&["verify", "--man=no", "./baikal-sync@.service", "./baikal-sync@.timer"]);
    if let Some((success, said)) = verdict {
        assert!(success && said.trim().is_empty(), "{said}");
    }
}

#[test]
fn the_sandbox_stays_as_tight_as_it_was_measured() {
    let verdict = analyze(&["security", "--no-pager", "--offline=true", "--threshold=12", "./baikal-sync@.service"]);
    if let Some((success, said)) = verdict {
        assert!(success, "{said}");
    }
}

#[test]
fn the_unit_calls_the_program_as_it_wants_to_be_called() {
    let unit = std::fs::read_to_string(installed().path().join("baikal-sync@.service")).unwrap();
    let line = unit.lines().find(|line| line.starts_with("ExecStart=")).unwrap();
    let arguments: Vec<&str> = line.split(' ').skip(1).collect();
    let env = Env::new();
    env.file("credentials/config.toml", "jobs = 1\n");
    let env = {
        let folder = env.path("credentials").display().to_string();
        env.var("CREDENTIALS_DIRECTORY", folder)
    };
    let arguments: Vec<String> = arguments.iter().map(|word| word.replace("%i", "home")).collect();
    let ran = env.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    // It finds the configuration, which has nothing to mirror.
    assert!(ran.code == 78 && ran.stderr.contains("nothing to mirror"), "{ran}");
}

#[test]
fn a_hold_or_a_refused_event_does_not_fail_the_unit() {
    let unit = std::fs::read_to_string(installed().path().join("baikal-sync@.service")).unwrap();
    let codes = unit.lines().find_map(|line| line.strip_prefix("SuccessExitStatus=")).unwrap();
    assert_eq!(codes, "3 4 75 143");
}
