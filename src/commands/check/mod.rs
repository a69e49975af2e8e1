//! `check`: reads the whole configuration and checks everything that needs no network: secrets, certificates, feed
//! files, folders, permissions. It leaves nothing behind.

use std::fmt::Write;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::connect::options;
use super::local::source_secret;
use crate::config::{
    Config, Problem, SecretSource, Server, SourceAddress, SourceCredentials, Subscription, TargetAddress, Timeouts, Tls,
};
use crate::db::state::State;
use crate::exit::{self, Standing};
use crate::files::temporary_name;
use crate::words::error::{Kind, kind_of, sentence};
use crate::words::url::Url;

/// One finding.
#[derive(Debug)]
enum Finding {
    /// This cannot work.
    Problem(Kind, String),
    /// This works, but may not be what was meant.
    Warning(String),
    /// A statement about something that is fine.
    Fact(String),
}

/// What to print, and 0, 77 (a secret that others can read, a folder that we may not write to) or 78 (the rest).
/// Problems come first, then warnings, then a line for the files, each server and each subscription.
pub(super) fn check(loaded: &Result<Config, Vec<Problem>>) -> (String, u8) {
    let findings = match loaded {
        Ok(config) => findings(config),
        Err(problems) => {
            problems.iter().map(|problem| Finding::Problem(Kind::Configuration, problem.to_string())).collect()
        }
    };
    (render(&findings), code(&findings))
}

fn code(findings: &[Finding]) -> u8 {
    let standings = findings.iter().filter_map(|finding| match finding {
        Finding::Problem(Kind::Refused, _) => Some(Standing::Failed(exit::REFUSED)),
        Finding::Problem(..) => Some(Standing::Failed(exit::CONFIGURATION)),
        _ => None,
    });
    exit::combine(&standings.collect::<Vec<_>>())
}

fn render(findings: &[Finding]) -> String {
    let lines = |pick: fn(&Finding) -> Option<String>| findings.iter().filter_map(pick).collect::<Vec<String>>();
    let problems = lines(|finding| match finding {
        Finding::Problem(_, text) => Some(format!("problem: {text}")),
        _ => None,
    });
    let warnings = lines(|finding| match finding {
        Finding::Warning(text) => Some(format!("warning: {text}")),
        _ => None,
    });
    let facts = lines(|finding| match finding {
        Finding::Fact(text) => Some(text.clone()),
        _ => None,
    });
    let mut text = String::new();
    for line in problems.iter().chain(&warnings).chain(&facts) {
        let _ = writeln!(text, "{line}");
    }
    let _ = match problems.len() {
        0 => writeln!(text, "no problem found"),
        1 => writeln!(text, "1 problem found"),
        count => writeln!(text, "{count} problems found"),
    };
    text
}

fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = vec![Finding::Fact(format!("configuration: {}", config.origin))];
    findings.extend(config.without_subscriptions().map(|problem| Finding::Warning(problem.to_string())));
    findings.extend(open_file_with_secret_feeds(config));
    findings.extend(state(&config.state));
    config.servers.iter().for_each(|each| findings.extend(server(each)));
    config.subscriptions.iter().for_each(|each| findings.extend(subscription(each)));
    findings
}

/// Whoever can read the address of a private feed can read the feed.
fn open_file_with_secret_feeds(config: &Config) -> Option<Finding> {
    let file = config.file.as_deref().filter(|file| mode(file).is_some_and(|mode| mode & 0o004 != 0))?;
    let secret = config.subscriptions.iter().find(|each| match &each.source {
        SourceAddress::Web { url, credentials, .. } => {
            looks_secret(&url.0)
                || matches!(credentials, Some(SourceCredentials::Password { password: SecretSource::Value(_), .. }))
        }
        _ => false,
    })?;
    let file = file.display();
    Some(Finding::Warning(format!(
        "everyone can read {file}, and the feed address of {} looks like a secret: chmod o-r {file}",
        secret.name
    )))
}

/// Private feeds carry a query or a long random part in their path.
fn looks_secret(url: &Url) -> bool {
    const RANDOM: usize = 20;
    url.request_target().contains('?') || url.path().split('/').any(|part| part.len() >= RANDOM)
}

fn state(path: &Path) -> Vec<Finding> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut findings = vec![Finding::Fact(format!("state: {}", path.display()))];
    findings.extend(try_folder("the state folder", folder));
    if mode(folder).is_some_and(|mode| mode & 0o007 != 0) {
        let folder = folder.display();
        findings
            .push(Finding::Warning(format!("others can look into the state folder {folder}: chmod o-rwx {folder}")));
    }
    match State::open_to_read(path) {
        Ok(Some(_)) => {
            let opened = OpenOptions::new().read(true).write(true).open(path);
            findings
                .extend(failure(opened, || format!("the state file {} cannot be read and written", path.display())));
        }
        Ok(None) => {}
        Err(error) => findings.push(Finding::Problem(kind_of(&error), sentence(&error))),
    }
    findings
}

fn server(server: &Server) -> Vec<Finding> {
    let mut words = format!("server {}: {}", server.name, server.url);
    if let Some(user) = &server.user {
        let _ = write!(words, " as {user}");
    }
    if let Some(secret) = &server.secret {
        let _ = write!(words, ", {} from {secret}", if server.bearer { "token" } else { "password" });
    }
    let mut findings = vec![Finding::Fact(words)];
    let thing = format!("server {}", server.name);
    findings.extend(server.secret.as_ref().and_then(|source| secret(&thing, source)));
    findings.extend(certificates(&thing, server.timeouts, &server.tls));
    if server.secret.is_some() && !server.url.is_https() && !is_this_machine(server.url.host()) {
        findings.push(Finding::Warning(format!("{thing}: what is sent to {} is not encrypted", server.url)));
    }
    findings
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.starts_with("127.") || host == "[::1]"
}

fn subscription(subscription: &Subscription) -> Vec<Finding> {
    let thing = format!("subscription {}", subscription.name);
    let mut findings = vec![Finding::Fact(format!("{thing}: from {} to {}", subscription.source, subscription.target))];
    match &subscription.source {
        SourceAddress::File { path, .. } => findings.extend(try_feed(&thing, path)),
        SourceAddress::Web { credentials, timeouts, tls, .. } => {
            findings.extend(credentials.as_ref().and_then(|credentials| secret(&thing, source_secret(credentials))));
            findings.extend(certificates(&thing, *timeouts, tls));
        }
        SourceAddress::StandardInput { .. } => {}
    }
    if let TargetAddress::Folder(path) = &subscription.target {
        findings.extend(try_folder(&format!("{thing}: the target"), path));
    }
    findings
}

/// Fetches a secret and drops it.
fn secret(thing: &str, source: &SecretSource) -> Option<Finding> {
    source.fetch().err().map(|error| problem(thing, &error))
}

/// Reads the certificate files as a connection would.
fn certificates(thing: &str, timeouts: Timeouts, tls: &Tls) -> Option<Finding> {
    options(timeouts, tls).check_certificates().err().map(|error| problem(thing, &error))
}

fn problem(thing: &str, error: &anyhow::Error) -> Finding {
    Finding::Problem(kind_of(error), format!("{thing}: {}", sentence(error)))
}

/// A pipe is not opened: that would block until it has a writer.
fn try_feed(thing: &str, path: &Path) -> Option<Finding> {
    let readable = path.metadata().and_then(|metadata| {
        if metadata.is_dir() {
            Err(io::Error::from(io::ErrorKind::IsADirectory))
        } else if metadata.is_file() {
            File::open(path).map(drop)
        } else {
            Ok(())
        }
    });
    failure(readable, || format!("{thing}: the feed {} cannot be read", path.display()))
}

/// Whether files can be created in a folder, or the folder itself if it is missing. Permissions do not show that
/// (read-only mounts, ACLs, sandboxes), so a file is created and removed again.
fn try_folder(thing: &str, folder: &Path) -> Option<Finding> {
    let existing = folder.ancestors().find(|ancestor| ancestor.symlink_metadata().is_ok())?;
    let probe = temporary_name(&existing.join("baikal-sync"), &format!(".{}.check", std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).open(&probe).map(drop);
    if made.is_ok() {
        let _ = std::fs::remove_file(&probe);
    }
    let cannot = if existing == folder { "cannot be written to" } else { "cannot be made" };
    failure(made, || format!("{thing} {} {cannot}", folder.display()))
}

/// A failed file operation as a problem.
fn failure<T>(result: io::Result<T>, what: impl FnOnce() -> String) -> Option<Finding> {
    let error = result.err()?;
    let kind = if error.kind() == io::ErrorKind::PermissionDenied { Kind::Refused } else { Kind::Configuration };
    Some(Finding::Problem(kind, format!("{}: {error}", what())))
}

fn mode(path: &Path) -> Option<u32> {
    path.metadata().ok().map(|metadata| metadata.permissions().mode())
}

#[cfg(test)]
mod tests;
