//! Where a secret comes from. It is fetched only when needed: a pass that sends nothing reads nothing.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::Environment;
use crate::config::reader::{Expected, Reader};
use crate::config::tree::{Node, Table};
use crate::files::read_secret_file;
use crate::words::error::{Kind, OrFault, fault};
use crate::words::secret::Secret;

/// The source of a password or token. It prints without arguments and values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file that nobody else can read.
    File {
        /// An absolute path.
        path: PathBuf,
        /// `$CREDENTIALS_DIRECTORY`, if set: permissions are not checked there, as in /run/secrets.
        credentials: Option<PathBuf>,
    },
    /// A command and its arguments; its output is the secret.
    Command(Vec<String>),
    /// A systemd credential.
    Credential {
        /// Its name, without a slash.
        name: String,
        /// `$CREDENTIALS_DIRECTORY`, if set.
        directory: Option<PathBuf>,
    },
    /// A value from the environment or from a source address.
    Value(Secret),
}

impl SecretSource {
    /// Reads the secret, or runs its command (at most 30 seconds, without a shell and without standard input). An
    /// error says what to do and never contains the secret.
    pub fn fetch(&self) -> anyhow::Result<Secret> {
        match self {
            SecretSource::File { path, credentials } => read_secret_file(path, credentials.as_deref()),
            SecretSource::Command(words) => run(words, LIMIT),
            SecretSource::Credential { name, directory: Some(directory) } => {
                read_secret_file(&directory.join(name), Some(directory))
            }
            SecretSource::Credential { name, directory: None } => Err(fault(
                Kind::Configuration,
                format!("there is no credential {name}: start from a systemd unit that has LoadCredential={name}:PATH"),
            )),
            SecretSource::Value(secret) => Ok(secret.clone()),
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretSource::File { path, .. } => write!(formatter, "file {}", path.display()),
            SecretSource::Command(words) => write!(formatter, "command {}", program(words)),
            SecretSource::Credential { name, .. } => write!(formatter, "credential {name}"),
            SecretSource::Value(_) => formatter.write_str("given value"),
        }
    }
}

const LIMIT: Duration = Duration::from_secs(30);
const LONGEST: u64 = 64 * 1024;

fn program(words: &[String]) -> &str {
    words.first().map(String::as_str).unwrap_or_default()
}

/// Runs a command and returns its output as the secret, without the final newline.
fn run(words: &[String], limit: Duration) -> anyhow::Result<Secret> {
    let program = program(words);
    let mut child = Command::new(program)
        .args(words.iter().skip(1))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .or_fault(Kind::Configuration, || format!("cannot start the secret command {program}"))?;
    // Both pipes are read in parallel: a command that fills one of them would block forever.
    let output = drain(child.stdout.take());
    let complaints = drain(child.stderr.take());
    let Some(status) = wait(&mut child, limit)? else {
        return Err(fault(Kind::Configuration, format!("the secret command {program} took longer than {limit:?}")));
    };
    if !status.success() {
        return Err(fault(Kind::Configuration, failure(program, status, &text_of(&complaints))));
    }
    let output = text_of(&output);
    let line = output.strip_suffix('\n').unwrap_or(&output);
    let secret = line.strip_suffix('\r').unwrap_or(line);
    if secret.is_empty() {
        return Err(fault(Kind::Configuration, format!("the secret command {program} printed nothing")));
    }
    Ok(Secret::new(secret))
}

/// Waits for a command to end; `None` if it had to be killed.
fn wait(child: &mut Child, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
    const STEP: Duration = Duration::from_millis(5);
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().or_fault(Kind::Internal, || "cannot wait for a command".to_owned())? {
            return Ok(Some(status));
        }
        if began.elapsed() >= limit {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(None);
        }
        thread::sleep(STEP);
    }
}

/// Reads a pipe in its own thread. The output arrives in pieces, because a process that the command left running may
/// keep the pipe open forever.
fn drain(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let Some(pipe) = pipe else { return };
        let mut pipe = pipe.take(LONGEST);
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = pipe.read(&mut piece) {
            let _ = sender.send(piece.iter().copied().take(length).collect());
        }
    });
    receiver
}

/// The output of a command until it ended.
fn text_of(pipe: &Receiver<Vec<u8>>) -> String {
    const GRACE: Duration = Duration::from_millis(500);
    let pieces: Vec<Vec<u8>> = std::iter::from_fn(|| pipe.recv_timeout(GRACE).ok()).collect();
    String::from_utf8_lossy(&pieces.concat()).into_owned()
}

fn failure(program: &str, status: ExitStatus, complaints: &str) -> String {
    let words: Vec<&str> = complaints.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = if words.is_empty() { "it said nothing".to_owned() } else { words.join("; ") };
    format!("the secret command {program} failed ({status}): {said}")
}

/// The keys that give the source of one secret.
pub(super) struct SecretKeys {
    file: &'static str,
    command: &'static str,
    credential: &'static str,
}

/// The password of a server.
pub(super) const PASSWORD: SecretKeys =
    SecretKeys { file: "password_file", command: "password_command", credential: "credential" };
/// The token of a server.
pub(super) const TOKEN: SecretKeys =
    SecretKeys { file: "token_file", command: "token_command", credential: "token_credential" };
/// The password of a feed.
pub(super) const SOURCE_PASSWORD: SecretKeys =
    SecretKeys { file: "source_password_file", command: "source_password_command", credential: "source_credential" };
/// The token of a feed.
pub(super) const SOURCE_TOKEN: SecretKeys =
    SecretKeys { file: "source_token_file", command: "source_token_command", credential: "source_token_credential" };

const NAME: Expected =
    Expected { is_not: "is not the name of a credential", allowed: "letters, digits and any of . _ - in quotes" };

impl SecretKeys {
    /// All of them.
    pub(super) fn keys(&self) -> [&'static str; 3] {
        [self.file, self.command, self.credential]
    }

    /// The first of them that a table contains.
    pub(super) fn first_in<'a>(&self, table: &'a Table) -> Option<&'a Node> {
        self.keys().into_iter().find_map(|key| table.get(key))
    }

    /// What to write instead of the secret itself.
    pub(super) fn instead(&self) -> String {
        let [file, command, credential] = self.keys();
        format!("a secret cannot stand here; write {file}, {command} or {credential} instead")
    }

    /// The source of the secret; more than one is a problem.
    pub(super) fn read(&self, reader: &mut Reader<'_>, environment: &Environment) -> Option<SecretSource> {
        let directory = environment.credentials_directory();
        let credentials = directory.clone();
        let file = reader.path(self.file).map(|path| SecretSource::File { path, credentials });
        let command = reader.command(self.command).map(SecretSource::Command);
        let name = reader.value(self.credential, NAME, |value| value.as_text().filter(|name| is_credential_name(name)));
        let credential = name.map(|name| SecretSource::Credential { name: name.to_owned(), directory });
        let given: Vec<&str> = self.keys().into_iter().filter(|key| reader.table.get(key).is_some()).collect();
        if let [first, others @ ..] = given.as_slice() {
            for node in others.iter().filter_map(|key| reader.table.get(key)) {
                reader.problems.push(node.problem(format!("{first} is given too; remove one of them")));
            }
        }
        file.or(command).or(credential)
    }
}

fn is_credential_name(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    plain && !name.is_empty() && !name.starts_with('.')
}

#[cfg(test)]
mod tests;
