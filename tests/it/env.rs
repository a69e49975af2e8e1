//! A home of its own for one run of the program: configuration, state, secrets, and an environment without surprises.

use std::fmt;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// A temporary home. Configuration and state stand where the program looks for them by itself.
pub(crate) struct Env {
    home: TempDir,
    variables: Vec<(String, String)>,
}

/// A temporary folder where nothing waits for a disk, if there is such a place.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.expect("a temporary folder")
}

/// How a run ended.
pub(crate) struct Ran {
    /// The exit code; 128 and the number of the signal for a run that was killed, as a shell says it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    /// What was run, with the configuration, for failure messages.
    context: String,
}

impl Env {
    /// An empty home.
    pub(crate) fn new() -> Env {
        Env { home: folder(), variables: Vec::new() }
    }

    /// A home with this configuration file.
    pub(crate) fn with_config(config: &str) -> Env {
        let env = Env::new();
        env.set_config(config);
        env
    }

    /// Writes the configuration file.
    pub(crate) fn set_config(&self, config: &str) {
        self.file("config/baikal-sync/config.toml", config);
    }

    /// The same home, with a variable in the environment of its runs.
    pub(crate) fn var(mut self, name: &str, value: impl Into<String>) -> Env {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Writes a file that only its owner can read, and gives its path.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("permissions");
        path
    }

    /// A path in this home, whether something is there or not.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The state file.
    pub(crate) fn state(&self) -> PathBuf {
        self.path("state/baikal-sync/state.db")
    }

    /// Loses the state, and all that lies beside it.
    pub(crate) fn forget_state(&self) {
        std::fs::remove_dir_all(self.path("state")).expect("there was a state");
    }

    /// Lets time pass: moves every moment that the state knows back by so many seconds.
    pub(crate) fn later(&self, seconds: i64) {
        const MOMENTS: [&str; 10] = [
            "feed_read_at",
            "started_at",
            "settled_at",
            "next_change_at",
            "failing_since",
            "retry_at",
            "failure_said_at",
            "held_said_at",
            "asked_at",
            "failure_until",
        ];
        let moved: Vec<String> = MOMENTS.iter().map(|column| format!("{column} = {column} - {seconds}")).collect();
        let sql = format!(
            "UPDATE subscription SET {}; UPDATE record SET since = since - {seconds};
             UPDATE ends SET looked_at = looked_at - {seconds}, listed_at = listed_at - {seconds};",
            moved.join(", ")
        );
        self.change_state(&sql);
        // A run that was killed has left the moment of its beginning in its lock.
        for lock in std::fs::read_dir(self.state().with_extension("locks")).into_iter().flatten().flatten() {
            let word = std::fs::read_to_string(lock.path()).ok().and_then(|word| word.parse::<i64>().ok());
            if let Some(moment) = word {
                std::fs::write(lock.path(), (moment - seconds).to_string()).expect("a lock");
            }
        }
    }

    /// Changes the state as these statements say.
    pub(crate) fn change_state(&self, sql: &str) {
        let state = rusqlite::Connection::open(self.state()).expect("a state");
        state.execute_batch(sql).expect("statements");
    }

    /// The program with these arguments, ready to run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.here(env!("CARGO_BIN_EXE_baikal-sync"));
        command.args(arguments);
        command
    }

    /// Any program in this home and its environment.
    pub(crate) fn here(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_none_or(is_ours) {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.home.path())
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("TZ", "UTC")
            .env("NO_PROXY", "*")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().expect("the program starts");
        self.ran(arguments, &output)
    }

    /// Runs the program to its end, which must come within a minute (else: 137), with so many megabytes of address space
    /// at most (else it aborts: 134).
    pub(crate) fn run_within(&self, megabytes: usize, arguments: &[&str]) -> Ran {
        const SCRIPT: &str = "ulimit -c 0 && ulimit -v $0 && exec timeout --signal KILL 60 \"$@\"";
        let kilobytes = (megabytes * 1024).to_string();
        let mut command = self.here("sh");
        command.args(["-c", SCRIPT, &kilobytes, env!("CARGO_BIN_EXE_baikal-sync")]).args(arguments);
        // Each arena of the allocator reserves 64 MB that it does not use.
        let output = command.env("MALLOC_ARENA_MAX", "1").output().expect("the program starts");
        self.ran(arguments, &output)
    }

    /// Runs the program with this on its standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut pipe = child.stdin.take().expect("a pipe");
        // A program that ends without reading its input closes the pipe; that is for the test to judge.
        let _ = pipe.write_all(input);
        drop(pipe);
        self.ended(arguments, child)
    }

    /// Waits for a child that was started from [`Env::command`] with piped output.
    pub(crate) fn ended(&self, arguments: &[&str], child: Child) -> Ran {
        let output = child.wait_with_output().expect("the program ends");
        self.ran(arguments, &output)
    }

    fn ran(&self, arguments: &[&str], output: &Output) -> Ran {
        use std::os::unix::process::ExitStatusExt;
        let config = std::fs::read_to_string(self.path("config/baikal-sync/config.toml")).unwrap_or_default();
        Ran {
            code: output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0)),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            context: format!("baikal-sync {}\n--- configuration\n{config}", arguments.join(" ")),
        }
    }
}

/// Whether a variable of the developer's shell could change what the program does.
fn is_ours(name: &str) -> bool {
    const NAMES: [&str; 11] = [
        "ICS_URL",
        "SYNC_FREQUENCY",
        "CALENDAR_ID",
        "JOURNAL_STREAM",
        "CREDENTIALS_DIRECTORY",
        "STATE_DIRECTORY",
        "RUST_LOG",
        "NO_COLOR",
        "CLICOLOR_FORCE",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    ];
    let starts = |prefix| name.starts_with(prefix);
    NAMES.contains(&name) || starts("BAIKAL_") || starts("XDG_") || name.to_ascii_lowercase().ends_with("_proxy")
}

impl Ran {
    /// Asserts the exit code, and shows everything when it is another one.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "exit code\n{self}");
        self
    }

    /// The one JSON document on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON: {error}\n{self}"))
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ran { code, stdout, stderr, context } = self;
        write!(formatter, "{context}\n--- exit code\n{code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

/// The `[server]` of a configuration, with the password in a file.
pub(crate) fn server(url: &str, user: &str, password_file: &Path) -> String {
    let password_file = password_file.display();
    format!("[server]\nurl = \"{url}\"\nuser = \"{user}\"\npassword_file = \"{password_file}\"\n")
}

/// The `[[subscription]]` called `work`, from a source into a target; `more` are further keys.
pub(crate) fn subscription(source: &str, target: &str, more: &str) -> String {
    format!("\n[[subscription]]\nname = \"work\"\nsource = \"{source}\"\ntarget = \"{target}\"\n{more}\n")
}
